"""Connections as resources. https://cloud.google.com/bigquery/docs/reference/bigqueryconnection/rpc"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tule.bigquery.connections.credentials import Credential, Credentials
from tule.kernel.errors import InvalidArgument, NotFound
from tule.kernel.home import Home
from tule.kernel.iam import Policies
from tule.kernel.names import Pattern
from tule.kernel.projects import Projects
from tule.kernel.records import Record, Records

KIND = "bigqueryConnection"
NAME = Pattern("projects/{project}/locations/{location}/connections/{connection}")
_PARENT = Pattern("projects/{project}/locations/{location}")
_ID = re.compile(r"[A-Za-z0-9_\-]{1,1024}")
_INSTANCE = re.compile(r"[^:/\s]+(?::[^:/\s]+)?:[^:/\s]+:[^:/\s]+")
_DATABASE = Pattern("projects/{project}/instances/{instance}/databases/{database}")
KINDS = ("cloudSql", "cloudSpanner", "cloudResource")
_SQL_TYPES = ("POSTGRES", "MYSQL")


@dataclass(frozen=True)
class Target:
    """Where a query is sent: ``kind`` is POSTGRES, MYSQL or SPANNER; ``properties`` those of the connection."""

    name: str
    kind: str
    properties: Mapping[str, Any]
    credential: Credential | None


class Connections:
    """The connections of all projects. Answers are JSON objects of the message, without credentials."""

    def __init__(self, records: Records, home: Home, policies: Policies, projects: Projects) -> None:
        self._records = records
        self._credentials = Credentials(home)
        self._policies = policies
        self._projects = projects

    def recover(self) -> None:
        """Remove credentials that a crash left behind."""
        known = {record.body["_tule"].get("credential") for record in self._records.list(KIND).records}
        self._credentials.sweep({each for each in known if each})

    # -- standard methods

    def create(self, parent: str, id: str, given: Mapping[str, Any], credential: Credential | None) -> dict[str, Any]:
        """A new connection; its id is made where none is given."""
        where = _PARENT.parse(parent)
        id = id or str(uuid.uuid4())
        if _ID.fullmatch(id) is None:
            raise InvalidArgument("connection_id must be letters, digits, dashes and underscores", given=repr(id[:100]))
        name = NAME.name(project=where["project"], location=where["location"].lower(), connection=id)
        body = self._checked(name, given, credential is not None)
        record = self._stored(name, body, credential, None)
        return self.resource(record)

    def get(self, name: str) -> dict[str, Any]:
        return self.resource(self.record(name))

    def list(self, parent: str, *, page_size: int, page_token: str) -> tuple[Sequence[dict[str, Any]], str]:
        where = _PARENT.parse(parent)
        place = f"projects/{where['project']}/locations/{where['location'].lower()}"
        page = self._records.list(KIND, place, page_size=page_size, page_token=page_token)
        return [self.resource(each) for each in page], page.next_page_token

    def update(
        self, name: str, given: Mapping[str, Any], credential: Credential | None, paths: Sequence[str]
    ) -> dict[str, Any]:
        """Change the fields of a mask (in camel case, parts behind a dot)."""
        record = self.record(name)
        if not paths:
            raise InvalidArgument("update_mask must name a field to change", given="none", location="update_mask")
        body = {key: value for key, value in record.body.items() if key != "_tule"}
        kind = _kind(body)
        secret = False
        for path in paths:
            head, _, rest = path.partition(".")
            if head in ("friendlyName", "description"):
                body[head] = given.get(head, "")
            elif head == kind and rest.startswith("credential"):
                secret = True
            elif head == kind and rest:
                body[kind] = {**body[kind], rest: (given.get(kind) or {}).get(rest)}
            elif head == kind:
                body[kind] = dict(given.get(kind) or {})
                secret = credential is not None
            else:
                raise InvalidArgument(
                    "update_mask must name fields of the connection that can change",
                    given=path,
                    do=f"name friendlyName, description, {kind} or a part of it",
                )
        if secret and credential is None:
            raise InvalidArgument("A credential must have a username and a password", given="none")
        old = record.body["_tule"].get("credential")
        checked = self._checked(record.name, body, bool(old) or secret)
        if checked.get("cloudSql", {}).get("type") != record.body.get("cloudSql", {}).get("type"):
            raise InvalidArgument("The type of a Cloud SQL connection cannot change", do="create another connection")
        return self.resource(self._stored(record.name, checked, credential if secret else None, record))

    def delete(self, name: str) -> None:
        record = self.record(name)
        with self._records.transaction():
            self._records.delete(record.name)
            self._policies.forget(record.name)
            if key := record.body["_tule"].get("credential"):
                self._records.after_commit(lambda: self._credentials.forget(key))

    # -- for queries

    def target(self, name: str) -> Target:
        """What a query through a connection needs to know, with its credential."""
        record = self.record(name)
        kind = _kind(record.body)
        if kind == "cloudResource":
            raise InvalidArgument(
                f"The connection {name} is not one to a database: it is of Cloud resources", reason="invalidQuery"
            )
        properties = record.body[kind]
        key = record.body["_tule"].get("credential")
        return Target(
            record.name,
            "SPANNER" if kind == "cloudSpanner" else properties["type"],
            properties,
            self._credentials.read(key) if key else None,
        )

    def check_resource(self, name: str) -> None:
        """Raise unless there is such a connection, and it is of Cloud resources."""
        kind = _kind(self.record(name).body)
        if kind != "cloudResource":
            raise InvalidArgument(
                "A remote model needs a connection of Cloud resources", given=f"{name}, of {kind}",
                do="create a connection with cloud_resource", reason="invalidQuery",
            )  # fmt: skip

    def record(self, name: str) -> Record:
        where = NAME.parse(name)
        found = self._records.find(NAME.name(**{**where, "location": where["location"].lower()}))
        if found is None or found.kind != KIND:
            raise NotFound(f"Not found: Connection {name}", reason="notFound")
        return found

    # -- records

    def _stored(self, name: str, body: dict[str, Any], credential: Credential | None, old: Record | None) -> Record:
        """The record with a credential that is on disk before it, and the old one gone after it."""
        before = old.body["_tule"].get("credential") if old is not None else None
        key = self._credentials.keep(credential) if credential is not None else before
        stored = {**body, "_tule": {"credential": key}}
        try:
            with self._records.transaction():
                if key != before and before:
                    self._records.after_commit(lambda: self._credentials.forget(before))
                if old is None:
                    return self._records.create(KIND, name, stored)
                return self._records.update(name, lambda _: stored, etag=old.etag)
        except BaseException:
            if key != before and key:
                self._credentials.forget(key)
            raise

    def resource(self, record: Record) -> dict[str, Any]:
        """The Connection."""
        made = {key: value for key, value in record.body.items() if key != "_tule" and value not in (None, "")}
        made |= {
            "name": record.name,
            "creationTime": str(int(record.create_time.timestamp() * 1000)),
            "lastModifiedTime": str(int(record.update_time.timestamp() * 1000)),
            "hasCredential": bool(record.body["_tule"].get("credential")),
        }
        number = self._projects.number(record.name.split("/")[1])
        if "cloudSql" in made:
            account = f"service-{number}@gcp-sa-bigqueryconnection.iam.gserviceaccount.com"
            made["cloudSql"] = {**made["cloudSql"], "serviceAccountId": account}
        if "cloudResource" in made:
            account = f"bqcx-{number}-{record.uid[:4]}@gcp-sa-bigquery-condel.iam.gserviceaccount.com"
            made["cloudResource"] = {"serviceAccountId": account}
        return made

    def _checked(self, name: str, given: Mapping[str, Any], has_credential: bool) -> dict[str, Any]:
        kinds = [each for each in KINDS if each in given]
        if len(kinds) != 1:
            raise InvalidArgument(
                f"A connection must have one of {', '.join(KINDS)}",
                given=", ".join(kinds) or "none",
                location="connection",
            )
        made = {key: given[key] for key in ("friendlyName", "description") if given.get(key)}
        properties = {key: value for key, value in given[kinds[0]].items() if value not in (None, "")}
        properties.pop("serviceAccountId", None)
        if kinds[0] == "cloudSql":
            _check_sql(properties, has_credential)
        elif kinds[0] == "cloudSpanner":
            _DATABASE.parse(str(properties.get("database") or ""))
            if has_credential:
                raise InvalidArgument("A Spanner connection must not have a credential")
        return {**made, kinds[0]: properties}


def connection_name(written: str, project: str) -> str:
    """The resource name of a connection: written so, as PROJECT.LOCATION.ID or as LOCATION.ID."""
    if NAME.match(written) is not None:
        return written
    parts = written.rsplit(".", 2)
    if len(parts) == 2:
        parts = [project, *parts]
    if len(parts) != 3 or not all(parts) or "/" in written:
        raise InvalidArgument(
            "A connection must be written projects/PROJECT/locations/LOCATION/connections/ID, PROJECT.LOCATION.ID or "
            "LOCATION.ID", given=repr(written), reason="invalidQuery", location="query",
        )  # fmt: skip
    return NAME.name(project=parts[0], location=parts[1].lower(), connection=parts[2])


def _check_sql(properties: Mapping[str, Any], has_credential: bool) -> None:
    if properties.get("type") not in _SQL_TYPES:
        raise InvalidArgument(
            f"cloud_sql.type must be one of {', '.join(_SQL_TYPES)}", given=repr(properties.get("type"))
        )
    if _INSTANCE.fullmatch(str(properties.get("instanceId") or "")) is None:
        raise InvalidArgument(
            "cloud_sql.instance_id must be PROJECT:LOCATION:INSTANCE", given=repr(properties.get("instanceId"))
        )
    if not properties.get("database"):
        raise InvalidArgument("cloud_sql.database must name a database", given="none")
    if not has_credential:
        raise InvalidArgument("cloud_sql.credential must have a username and a password", given="none")


def _kind(body: Mapping[str, Any]) -> str:
    return next(each for each in KINDS if each in body)
