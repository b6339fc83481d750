"""GRANT and REVOKE: access lists of datasets and policies of tables, changed by statement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tule.bigquery import dataset_access
from tule.bigquery.datasets import Datasets
from tule.bigquery.errors import invalid_query
from tule.bigquery.jobs import Outcome
from tule.bigquery.references import DatasetReference, TableReference
from tule.bigquery.sql.table_definitions import Permissions
from tule.bigquery.tables import Tables
from tule.kernel.iam import Policies

_LONGEST_LIST = 1500


class PermissionStatements:
    """Runs them."""

    def __init__(self, datasets: Datasets, tables: Tables, policies: Policies) -> None:
        self._datasets = datasets
        self._tables = tables
        self._policies = policies

    def run(self, statement: Permissions, guard: Callable[[str, str], None]) -> Outcome:
        for role in statement.roles:
            if not role.startswith("roles/"):
                raise invalid_query(f"A role must be written as `roles/bigquery.dataViewer`; given: {role}")
        return self._dataset(statement, guard) if not statement.table else self._table(statement, guard)

    def _dataset(self, statement: Permissions, guard: Callable[[str, str], None]) -> Outcome:
        target = DatasetReference(statement.project, statement.dataset)
        guard("bigquery.datasets.update", target.name)
        present: list[dict[str, Any]] = list(self._datasets.record(target).body.get("access", dataset_access.DEFAULT))
        named = [dataset_access.entry_of(role, each) for role in statement.roles for each in statement.members]
        if statement.kind == "GRANT":
            access = [*present, *(each for each in named if each not in present)]
        else:
            access = [each for each in present if each not in named]
        if len(access) > _LONGEST_LIST:
            raise invalid_query(f"The access list of a dataset may have {_LONGEST_LIST} entries at most")
        checked = dataset_access.checked(access)
        return Outcome(
            {"query": {"dclTargetDataset": target.json()}},
            commit=lambda: _ignore(self._datasets.patch(target, {"access": checked})),
        )

    def _table(self, statement: Permissions, guard: Callable[[str, str], None]) -> Outcome:
        target = TableReference(statement.project, statement.dataset, statement.table).checked()
        record = self._tables.record(target)
        guard("bigquery.tables.setIamPolicy", target.name)
        members = [f"user:{each}" if "@" in each and ":" not in each else each for each in statement.members]
        policy = self._policies.get(target.name)
        held: dict[str, list[str]] = {each["role"]: list(each["members"]) for each in policy["bindings"]}
        for role in statement.roles:
            before = held.get(role, [])
            if statement.kind == "GRANT":
                held[role] = [*before, *(each for each in members if each not in before)]
            else:
                held[role] = [each for each in before if each not in members]
        bindings = [{"role": role, "members": each} for role, each in held.items() if each]
        about = "dclTargetView" if record.body["type"] == "VIEW" else "dclTargetTable"
        return Outcome(
            {"query": {about: target.json()}},
            commit=lambda: _ignore(self._policies.set(target.name, {"bindings": bindings, "etag": policy["etag"]})),
        )


def _ignore(_: Any) -> None:
    return None


__all__ = ["PermissionStatements"]
