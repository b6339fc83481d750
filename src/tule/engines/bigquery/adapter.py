"""BigQuery behind the port ``bigquery.engine.QueryEngine``: a dataset for each of Tule's projects in one project there.

Datasets are named by the SHA-256 of the project's id, which is their friendly name; tables by their physical names. A table
that a transaction makes bears the label ``pending`` until it is over: the service has no CREATE TABLE in transactions.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from google.cloud import bigquery

from tule.engines.bigquery.columns import UNLOADABLE, schema_of
from tule.engines.bigquery.errors import translated
from tule.engines.bigquery.session import BigQuerySession
from tule.engines.capabilities import ALL_TYPES, Capabilities
from tule.kernel.errors import FailedPrecondition, InvalidArgument, NotFound

_LOG = logging.getLogger(__name__)
_SETTING = re.compile(
    r"bigquery://(?P<project>[a-z0-9-]+)(?:/(?P<prefix>\w{1,200}))?/?(?:\?location=(?P<location>[\w-]+))?", re.ASCII
)
_DAY = 24 * 60 * 60 * 1000
_MARKS = (bigquery.SchemaField("job", "STRING", "REQUIRED"), bigquery.SchemaField("note", "STRING", "REQUIRED"))


class BigQueryEngine:
    """The engine of one project of the service. ``setting`` is ``bigquery://PROJECT[/DATASET][?location=US]``, DATASET being
    how the names of its datasets begin; ``field`` the class of the port's columns."""

    dialect = "bigquery"
    capabilities = Capabilities(functions=False, ordered=False, closed=False, types=ALL_TYPES - UNLOADABLE)

    def __init__(self, setting: str, *, field: Any) -> None:
        found = _SETTING.fullmatch(setting)
        if found is None:
            raise InvalidArgument("TULE_SQL must be bigquery://PROJECT[/DATASET][?location=US]", given=setting)
        self.field = field
        self._project = found["project"]
        self._prefix = f"{found['prefix'] or 'tule'}_p_"
        self._own = f"{found['prefix'] or 'tule'}_temporary"
        self._location = found["location"] or "US"
        self._lock = threading.RLock()
        self._known: dict[str, str] = {}

    @cached_property
    def client(self) -> bigquery.Client:
        with translated():
            return bigquery.Client(project=self._project, location=self._location)

    @cached_property
    def reader(self) -> Any:
        """The client of the Storage Read API, by which large answers come."""
        from google.cloud import bigquery_storage

        with translated():
            return bigquery_storage.BigQueryReadClient()

    # -- datasets

    def dataset(self, project: str) -> str:
        """The name of a project's dataset; made when it is new."""
        with self._lock:
            found = self._known.get(project)
            if found is not None:
                return found
            name = self._prefix + hashlib.sha256(project.encode()).hexdigest()[:20]
            made = bigquery.Dataset(f"{self._project}.{name}")
            made.location, made.friendly_name = self._location, project
            with translated():
                self.client.create_dataset(made, exists_ok=True)
                self.client.create_table(bigquery.Table(f"{self._project}.{name}.marks", _MARKS), exists_ok=True)
            self._known[project] = name
            return name

    def temporary(self, table: str) -> str:
        """The full name of a table of one session, which the service drops after a day should nobody else."""
        with self._lock:
            if self._own not in self._known:
                made = bigquery.Dataset(f"{self._project}.{self._own}")
                made.location, made.default_table_expiration_ms = self._location, _DAY
                with translated():
                    self.client.create_dataset(made, exists_ok=True)
                self._known[self._own] = self._own
        return f"{self._project}.{self._own}.{table}"

    def path(self, project: str, table: str) -> str:
        """The full name of a table in a project's dataset."""
        return f"{self._project}.{self.dataset(project)}.{table}"

    def relation(self, project: str, table: str) -> str:
        return f"`{self._project}`.`{self.dataset(project)}`.`{_physical(table)}`"

    def projects(self) -> set[str]:
        with translated():
            found = [each for each in self.client.list_datasets() if each.dataset_id.startswith(self._prefix)]
        return {str(each.friendly_name) for each in found if each.friendly_name}

    def tables(self, project: str) -> set[str]:
        with translated():
            found = list(self.client.list_tables(self.path(project, "")[:-1]))
        return {
            each.table_id for each in found if each.table_id.startswith("t_") and "pending" not in (each.labels or {})
        }

    def fields(self, project: str, table: str) -> list[Any]:
        return [self.field.from_rest(each.to_api_repr()) for each in self.described(project, table).schema]

    def described(self, project: str, table: str) -> Any:
        """A physical table as the service describes it."""
        try:
            with translated():
                return self.client.get_table(self.path(project, _physical(table)))
        except (InvalidArgument, NotFound) as error:
            raise FailedPrecondition("The physical table must exist", given=table) from error

    def statistics(
        self, project: str, table: str, *, columns: Sequence[str] | None = None, where: str = ""
    ) -> tuple[int, int]:
        found = self.described(project, table)
        names = {each.name.lower() for each in found.schema}
        if not where and (columns is None or names <= {each.lower() for each in columns}):
            return int(found.num_rows), int(found.num_bytes)
        session = self.session()
        try:
            return session.measured(project, table, columns, where)
        finally:
            session.close()

    # -- marks

    def marked(self, project: str, job: str) -> str | None:
        rows = self._rows(project, "SELECT note FROM {marks} WHERE job = ?", [job])
        return str(rows[0]["note"]) if rows else None

    def marks(self, project: str) -> set[str]:
        return {str(row["job"]) for row in self._rows(project, "SELECT job FROM {marks}", [])}

    def forget(self, project: str, jobs: Iterable[str]) -> None:
        wanted = list(jobs)
        if wanted:
            self._rows(project, "DELETE FROM {marks} WHERE job IN UNNEST(?)", [wanted])

    def _rows(self, project: str, sql: str, parameters: Sequence[Any]) -> list[dict[str, Any]]:
        session = self.session()
        try:
            found: list[dict[str, Any]] = (
                session.query(sql.format(marks=f"`{self.path(project, 'marks')}`"), parameters).table().to_pylist()
            )
            return found
        finally:
            session.close()

    # -- the rest

    def create(self, project: str, table: str, fields: Sequence[Any], *, pending: bool = False) -> None:
        made = bigquery.Table(self.path(project, _physical(table)), schema_of(fields))
        made.labels = {"pending": "true"} if pending else {}
        with translated():
            self.client.create_table(made)

    def settle(self, path: str) -> None:
        """A table is there for everybody."""
        with translated():
            made = self.client.get_table(path)
            made.labels = {"pending": None}
            self.client.update_table(made, ["labels"])

    def checkpoint(self) -> None:
        """The service keeps what it has told of."""

    def close(self) -> None:
        with self._lock:
            client, reader = self.__dict__.pop("client", None), self.__dict__.pop("reader", None)
        if client is not None:
            client.close()
        if reader is not None:
            reader.transport.close()

    def session(self) -> BigQuerySession:
        return BigQuerySession(self)


def _physical(table: str) -> str:
    if not table.isidentifier() or not table.startswith("t_"):
        raise InvalidArgument("A physical table is named t_ and hexadecimal digits", given=table)
    return table


__all__ = ["BigQueryEngine"]
