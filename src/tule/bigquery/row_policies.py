"""Row access policies: which rows of a table a caller sees.

A table that has one shows each caller the rows for which a policy that was granted to them holds, and none to the others,
whatever they own. https://cloud.google.com/bigquery/docs/row-level-security-intro
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tule.bigquery.errors import already_exists, invalid, invalid_query, not_found
from tule.bigquery.references import TableReference
from tule.bigquery.tables import TABLE, Tables, not_a_table
from tule.kernel.errors import PermissionDenied
from tule.kernel.iam import Policies
from tule.kernel.records import Record, Records

KIND = "bigquery#rowAccessPolicy"
ROLE = "roles/bigquery.filteredDataViewer"
_ID = re.compile(r"[A-Za-z]\w{0,255}", re.ASCII)
_MEMBERS = ("user:", "serviceAccount:", "group:", "domain:")
_EVERYONE = ("allUsers", "allAuthenticatedUsers")
_MOST = 400

Check = Callable[[TableReference, str], None]


class RowPolicies:
    """The policies of all tables. ``check`` raises for a filter that cannot run; set by the warehouse."""

    def __init__(self, records: Records, tables: Tables, policies: Policies) -> None:
        self._records = records
        self._tables = tables
        self._policies = policies
        self.check: Check = lambda table, filter: None

    # -- what a caller sees

    def condition(self, table: TableReference, email: str) -> str | None:
        """The condition of the rows that a caller sees, as GoogleSQL; None for all of them."""
        found = self._records.list(KIND, table.name).records
        if not found:
            return None
        granted = [each.body["filterPredicate"] for each in found if self._granted(each, email)]
        if any(_is_true(each) for each in granted):
            return None
        return " OR ".join(f"({each}\n)" for each in granted) or "FALSE"

    def check_all(self, table: TableReference, email: str, what: str) -> None:
        """Raise where a caller does not see all rows of a table, which ``what`` needs."""
        if self.condition(table, email) is not None:
            raise PermissionDenied(
                f"Access Denied: Table {table}: {what} needs all rows of a table with row access policies",
                do="grant a policy with FILTER USING (TRUE) to the caller", reason="accessDenied",
            )  # fmt: skip

    @staticmethod
    def _granted(record: Record, email: str) -> bool:
        wanted = {f"{kind}{email}" for kind in ("user:", "serviceAccount:", "group:")} | {*_EVERYONE}
        wanted.add("domain:" + email.rpartition("@")[2])
        return bool(wanted.intersection(record.body["_tule"]["grantees"]))

    # -- the resource

    def list(
        self, table: TableReference, *, page_size: int = 0, page_token: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        self._tables.record(table)
        page = self._records.list(KIND, table.name, page_size=page_size, page_token=page_token)
        return [_resource(each) for each in page], page.next_page_token

    def get(self, table: TableReference, policy: str) -> dict[str, Any]:
        return _resource(self._record(table, policy))

    def _record(self, table: TableReference, policy: str) -> Record:
        self._tables.record(table)
        found = self._records.find(_name(table, policy))
        if found is None:
            raise not_found("Row access policy", f"{policy} on table {table}")
        return found

    def insert(self, table: TableReference, body: Mapping[str, Any]) -> dict[str, Any]:
        given = body.get("rowAccessPolicyReference") or {}
        policy = str(given.get("policyId") or "")
        return _resource(self.create(table, policy, _filter(body), body.get("grantees") or []))

    def create(
        self, table: TableReference, policy: str, filter: str, grantees: Sequence[Any], *, replace: bool = False
    ) -> Record:
        members = self.checked(table, policy, filter, grantees)
        name = _name(table, policy)
        made = {
            "rowAccessPolicyReference": {**table.json(), "policyId": policy},
            "filterPredicate": filter,
            "_tule": {"grantees": members},
        }
        with self._records.transaction():
            if self._records.find(name) is not None:
                if not replace:
                    raise already_exists("Row access policy", f"{policy} on table {table}")
                self._records.delete(name)
            elif len(self._records.list(KIND, table.name).records) >= _MOST:
                raise invalid(f"A table must have at most {_MOST} row access policies")
            made_record = self._records.create(KIND, name, made)
            self._policies.set(name, {"bindings": [{"role": ROLE, "members": members}] if members else []})
        return made_record

    def checked(self, table: TableReference, policy: str, filter: str, grantees: Sequence[Any]) -> Sequence[str]:
        """Raise for a policy that cannot be; its grantees."""
        record = self._tables.record(table)
        if record.body["type"] != TABLE:
            raise not_a_table(table, record.body["type"])
        if _ID.fullmatch(policy) is None:
            raise invalid(f"A row access policy must be named by letters, digits and underscores; given: {policy!r}")
        members = _members(grantees)
        self.check(table, filter)
        return members

    def update(self, table: TableReference, policy: str, body: Mapping[str, Any]) -> dict[str, Any]:
        old = self._record(table, policy)
        filter = _filter(body)
        self.check(table, filter)
        grantees = body.get("grantees")
        members = old.body["_tule"]["grantees"] if grantees is None else _members(grantees)
        with self._records.transaction():
            made = self._records.update(
                old.name, lambda was: {**was, "filterPredicate": filter, "_tule": {"grantees": members}}
            )
            self._policies.set(old.name, {"bindings": [{"role": ROLE, "members": members}] if members else []})
        return _resource(made)

    def delete(self, table: TableReference, policy: str) -> None:
        record = self._record(table, policy)
        with self._records.transaction():
            self._policies.forget(record.name)
            self._records.delete(record.name)

    def batch_delete(self, table: TableReference, policies: Sequence[Any]) -> None:
        """All of some, or none."""
        with self._records.transaction():
            for each in policies:
                self.delete(table, str(each))

    def delete_all(self, table: TableReference) -> int:
        """Remove the policies of a table; their number."""
        with self._records.transaction():
            found = self._records.list(KIND, table.name).records
            for record in found:
                self._policies.forget(record.name)
                self._records.delete(record.name)
        return len(found)

    def policy(self, table: TableReference, policy: str) -> dict[str, Any]:
        """The IAM policy of one: whom it is granted to."""
        return self._policies.get(self._record(table, policy).name)

    def exists(self, table: TableReference, policy: str) -> bool:
        return self._records.find(_name(table, policy)) is not None


def _name(table: TableReference, policy: str) -> str:
    return f"{table.name}/rowAccessPolicies/{policy}"


def _resource(record: Record) -> dict[str, Any]:
    """The REST RowAccessPolicy; whom it is granted to is told by its IAM policy alone."""
    return {
        **{key: value for key, value in record.body.items() if key != "_tule"},
        "creationTime": f"{record.create_time:%Y-%m-%dT%H:%M:%S.%fZ}",
        "lastModifiedTime": f"{record.update_time:%Y-%m-%dT%H:%M:%S.%fZ}",
        "etag": record.etag,
    }


def _filter(body: Mapping[str, Any]) -> str:
    text = body.get("filterPredicate")
    if not isinstance(text, str) or not text.strip():
        raise invalid("Required parameter is missing: filterPredicate")
    return text


def _members(given: Sequence[Any]) -> list[str]:
    for each in given:
        if not isinstance(each, str) or not (each in _EVERYONE or each.startswith(_MEMBERS)):
            raise invalid_query(
                f"A grantee must be one of {', '.join(_EVERYONE)} or begin with {', '.join(_MEMBERS)}; given: {each!r}"
            )
    return list(dict.fromkeys(given))


def _is_true(filter: str) -> bool:
    return filter.strip().strip("()").strip().upper() == "TRUE"
