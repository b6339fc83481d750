"""What names mean to one statement: the warehouse as ``sql.Catalog``.

Physical tables that a name leads to are held until the statement is over, so that a table replaced meanwhile keeps its old
rows for whoever has begun to read them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from tule.bigquery import change_history, dataset_access
from tule.bigquery.connections.federation import ExternalQueries
from tule.bigquery.datasets import Datasets
from tule.bigquery.engine import Session
from tule.bigquery.errors import invalid_query, not_found, not_implemented
from tule.bigquery.external.relations import ExternalRelations
from tule.bigquery.history import microseconds
from tule.bigquery.partitioning import DATE, TIME, Partitioning
from tule.bigquery.physical import Physical
from tule.bigquery.read_bytes import ReadBytes
from tule.bigquery.references import DatasetReference, RoutineReference, TableReference
from tule.bigquery.results import Rows
from tule.bigquery.sql.catalog import Name, Relation, Through
from tule.bigquery.sql.routine_statements import RoutineDefinition
from tule.bigquery.tables import EXTERNAL, MATERIALIZED_VIEW, TABLE, VIEW, Tables, physical_of
from tule.bigquery.tables import KIND as TABLE_KIND
from tule.bigquery.types import SCALARS, Field, arrow_schema, fields_from_rest, fields_of
from tule.kernel.errors import PermissionDenied
from tule.kernel.records import Record, Records

_BARE = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class PublicTables(Protocol):
    """Data sets that answer under Google's own names."""

    def find(self, project: str, dataset: str, table: str) -> Rows | None:
        """The rows of a public table, None for a name that is none."""


class Snapshot(Protocol):
    """An open transaction, as names see it."""

    def find(self, reference: TableReference) -> Record | None:
        """The record of a table as it was when the transaction began, or as the transaction changed it."""


class RoutineSource(Protocol):
    """Where functions are found."""

    def definition(self, reference: RoutineReference) -> RoutineDefinition | None:
        """The routine of a name; None where there is none."""

    def foreign(self, routine: RoutineDefinition, session: Session, held: ExitStack) -> str:
        """Make a function in another language known to a session for as long as ``held``; its name there."""


KeptRows = Callable[[TableReference], Rows | None]
Guard = Callable[[str, str], None]
Views = Callable[[str, str | None, str], tuple[list[Field], list[dict[str, Any]]]]


class SessionCatalog:
    """The catalog of one session of the engine. ``held`` keeps tables alive; ``guard(permission, name)`` raises where
    the caller may not read; ``kept`` tells the rows of query results and public tables."""

    def __init__(
        self,
        records: Records,
        datasets: Datasets,
        tables: Tables,
        physical: Physical,
        session: Session,
        held: ExitStack,
        kept: KeptRows,
        guard: Guard,
        routines: RoutineSource,
        transaction: Snapshot | None = None,
    ) -> None:
        self._records = records
        self._datasets = datasets
        self._tables = tables
        self._physical = physical
        self._session = session
        self._held = held
        self._kept = kept
        self._guard = guard
        self._routines = routines
        self._snapshot = transaction
        self._find_table = tables.find if transaction is None else transaction.find
        # A transaction sees the rows that there were when it began.
        self._look = tables.current if transaction is None else transaction.find
        self._foreign: dict[tuple[str, ...], str] = {}
        self.external: ExternalRelations
        self.elsewhere: ExternalQueries
        """Set by whoever makes the catalog, as what follows."""
        self.seen: Callable[[TableReference], str | None] = lambda reference: None
        """The condition of the rows that the caller may see of a table; None for all."""
        self.is_current: Callable[[Record], bool] = lambda record: False
        """Whether the rows that a materialized view keeps may be answered."""
        self.now: Callable[[], datetime]
        self.views: Views
        """The columns and rows of an INFORMATION_SCHEMA view, by project, dataset and name."""
        self.limited = False
        """Whether rows were left out that the caller may not see."""
        self.opaque = False
        """Whether something was read whose state no record of a table tells."""
        self.used: list[RoutineReference] = []
        self._resolved: dict[Name, Relation] = {}
        self._moments: dict[Name, datetime | None] = {}
        self._infos: dict[tuple[str, str | None, str], str] = {}
        self.reads = ReadBytes(physical, session, own=transaction is not None)
        self.read: list[TableReference] = []

    def resolve(self, name: Name, at: datetime | None = None, through: Sequence[Through] = ()) -> Relation:
        """The table or view of a name; the same rows each time it is asked for."""
        reference = TableReference(name.project, name.dataset, name.table).checked()
        self._check(reference, through)
        found = self._resolved.get(name)
        if found is None:
            found = self._resolved[name] = self._find(reference) if at is None else self._find_at(reference, at)
            self._moments[name] = at
        elif self._moments[name] != at:
            raise invalid_query(f"Table {name} must not be read at more than one point in time by one statement")
        return found

    def _check(self, reference: TableReference, through: Sequence[Through]) -> None:
        """Raise where the caller may not read a table, nor the view or routine that names it."""
        try:
            self._guard("bigquery.tables.getData", reference.name)
        except PermissionDenied as error:
            dataset = self._datasets.find(reference.parent)
            entries = dataset.body.get("access", ()) if dataset is not None else ()
            if not any(dataset_access.authorizes(entries, each) for each in through):
                raise denied(reference) from error
            # The answer is this caller's, as long as the dataset says so: nobody keeps it.
            self.limited = True

    def constant(self, sql: str, parameters: Mapping[str, Any]) -> Any:
        return self._session.query(sql, parameters).table().column(0)[0].as_py()

    def _find_at(self, reference: TableReference, at: datetime) -> Relation:
        """A table as it was."""
        record = self._find_table(reference)
        if record is not None and record.body["type"] in (VIEW, MATERIALIZED_VIEW):
            self.read.append(reference)
            fields = fields_from_rest(record.body["schema"]["fields"])
            query = record.body["view" if record.body["type"] == VIEW else "materializedView"]["query"]
            return Relation(fields, query=query, project=reference.project)
        if self.seen(reference) is not None:
            raise invalid_query(f"Access Denied: Table {reference}: its history is for those who see all of its rows")
        state = self._tables.history.at(reference, record, microseconds(at))
        if state is None:
            return self._find_kept(reference)
        self._held.enter_context(self._physical.using([(reference.project, state.physical)]))
        self.read.append(reference)
        changes = state.body.get("_tule", {}).get("changes", -1)
        self.reads.add(reference.project, state.physical, changes, state.body)
        fields = fields_from_rest(state.body["schema"]["fields"])
        return Relation(
            fields, relation=self._physical.relation(reference.project, state.physical), rows=state.rows,
            **_partitioned(state.body),
        )  # fmt: skip

    def _find(self, reference: TableReference) -> Relation:
        while True:
            record = self._look(reference)
            if record is None:
                return self._find_kept(reference)
            fields = fields_from_rest(record.body["schema"]["fields"])
            if record.body["type"] == VIEW:
                self.read.append(reference)
                return Relation(fields, query=record.body["view"]["query"], project=reference.project)
            if record.body["type"] == EXTERNAL:
                self.read.append(reference)
                return self._of_files(reference, record)
            if record.body["type"] == MATERIALIZED_VIEW and not self._holds(record):
                self.read.append(reference)
                return Relation(fields, query=record.body["materializedView"]["query"], project=reference.project)
            name = physical_of(record)
            using = ExitStack()
            using.enter_context(self._physical.using([(reference.project, name)]))
            if self._is_still(reference, name):
                self._held.push(using)
                self.read.append(reference)
                changes = record.body["_tule"].get("changes", 0)
                self.reads.add(reference.project, name, changes, record.body)
                condition = self.seen(reference)
                self.limited = self.limited or condition is not None
                relation = self._physical.relation(reference.project, name)
                return Relation(
                    fields, relation=relation, condition=condition or "", filter_on=_filter_on(record.body),
                    **_partitioned(record.body),
                )  # fmt: skip
            # It was replaced before we held it: look again.
            using.close()

    def _holds(self, record: Record) -> bool:
        """Whether a materialized view is answered by its own rows: they are current, and the caller may read all of what
        they were made of."""
        own = TableReference.of(record.name)
        for name in record.body["_tule"]["base"]:
            self._check(TableReference.of(name), [("view", own.project, own.dataset, own.table)])
            if self.seen(TableReference.of(name)) is not None:
                return False
        return self.is_current(record)

    def _of_files(self, reference: TableReference, record: Record) -> Relation:
        self.opaque = True
        external, fields = record.body["externalDataConfiguration"], record.body["schema"]["fields"]
        found = self.external.relation(reference.dotted, external, fields)
        self.reads.add_files(found.bytes)
        return found

    def external_query(self, connection: str, sql: str, options: str, project: str) -> str:
        self.opaque = True
        return self.elsewhere.relation(connection, sql, options, project)

    def changes(self, name: Name, function: str, start: datetime | None, end: datetime | None) -> Relation:
        reference = TableReference(name.project, name.dataset, name.table).checked()
        self._check(reference, ())
        record = self._find_table(reference)
        if record is None:
            raise self._missing(reference)
        if record.body["type"] != TABLE:
            raise invalid_query(f"{function} must be of a table; {reference} is a {record.body['type']}")
        if self.seen(reference) is not None:
            raise invalid_query(f"Access Denied: Table {reference}: its history is for those who see all of its rows")
        if not self._physical.engine.capabilities.ordered:
            raise not_implemented(f"{function} with this engine of SQL", do="see docs/engines.md")
        self.opaque = True
        history = change_history.ChangeHistory(self._tables.history, self._physical, self._session, record)
        segments, sql = change_history.read(history, function, start, end, self.now())
        self._held.enter_context(self._physical.using([(reference.project, each.physical) for each in segments]))
        self.read.append(reference)
        self.reads.add(reference.project, physical_of(record), record.body["_tule"].get("changes", 0), record.body)
        fields = [*fields_from_rest(record.body["schema"]["fields"]), *change_history.COLUMNS]
        return Relation(fields, relation=self._session.temporary_as(sql))

    def defined(self, name: str) -> Relation | None:
        found = self.external.defined(name)
        if found is not None:
            self.opaque = True
            self.reads.add_files(found.bytes)
        return found

    def _is_still(self, reference: TableReference, name: str) -> bool:
        record = self._find_table(reference)
        return record is not None and record.body.get("_tule", {}).get("physical") == name

    def _find_kept(self, reference: TableReference) -> Relation:
        rows = self._kept(reference)
        if rows is None:
            raise self._missing(reference)
        self.read.append(reference)
        relation = self._session.temporary(rows.schema, rows.scan())
        return Relation(fields_of(rows.schema), relation=relation)

    def _missing(self, reference: TableReference) -> Exception:
        if not self._datasets.exists(reference.parent):
            return not_found("Dataset", reference.parent, location=self._datasets.location(reference.parent))
        return not_found("Table", reference, location=self._datasets.location(reference.parent))

    def tables(self, project: str, dataset: str) -> Sequence[str]:
        self.opaque = True
        reference = DatasetReference(project, dataset)
        self._datasets.check(reference)
        records = self._records.list(TABLE_KIND, reference.name).records
        return [record.name.rsplit("/", 1)[1] for record in records if not self._tables.expired(record)]

    def describe(self, relation: str) -> Sequence[Field]:
        return fields_of(self._session.schema(f"SELECT * FROM {relation}"))

    # -- routines

    def routine(self, name: Name) -> RoutineDefinition | None:
        reference = RoutineReference(name.project, name.dataset, name.table)
        found = self._routines.definition(reference)
        if found is not None:
            self._guard("bigquery.routines.get", reference.name)
            if reference not in self.used:
                self.used.append(reference)
        return found

    def foreign(self, routine: RoutineDefinition) -> str:
        if routine.path not in self._foreign:
            self._foreign[routine.path] = self._routines.foreign(routine, self._session, self._held)
        return self._foreign[routine.path]

    # -- INFORMATION_SCHEMA

    def information_schema(self, project: str, dataset: str | None, view: str) -> str:
        """The relation of an information schema view, made from the records as they are now."""
        self.opaque = True
        key = (project, dataset, view)
        if key not in self._infos:
            fields, rows = self.views(project, dataset, view)
            schema = arrow_schema(fields)
            batch = pa.RecordBatch.from_pylist(rows, schema=schema)
            self._infos[key] = self._session.temporary(schema, iter([batch]))
        return self._infos[key]


def denied(reference: TableReference) -> PermissionDenied:
    """The error of who may not read a table."""
    return PermissionDenied(
        f"Access Denied: Table {reference}: User does not have permission to query table {reference}, or perhaps it does "
        "not exist.",
        reason="accessDenied",
    )


def _filter_on(body: Mapping[str, Any]) -> tuple[str, ...]:
    """The column that a query of a table must filter by."""
    partitioning = Partitioning.of(body) if body.get("requirePartitionFilter") else None
    return () if partitioning is None else partitioning.filters


def _partitioned(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a relation tells of how its table is partitioned."""
    partitioning = Partitioning.of(body)
    if partitioning is None:
        return {}
    if not partitioning.by_loading:
        return {"partition": partitioning.field.lower()}
    return {
        "partition": TIME.lower(),
        "grain": partitioning.grain,
        "pseudo": (Field(TIME, "TIMESTAMP"), Field(DATE, "DATE")),
    }


def type_text(field: Field) -> str:
    """A type as GoogleSQL writes it.

    >>> type_text(Field("p", "STRUCT", "REPEATED", (Field("x", "FLOAT64"),)))
    'ARRAY<STRUCT<x FLOAT64>>'
    """
    kind = field.type
    if kind == "STRUCT":
        kind = f"STRUCT<{', '.join(f'{_quoted(each.name)} {type_text(each)}' for each in field.fields)}>"
    elif kind == "RANGE":
        kind = f"RANGE<{field.element}>"
    else:
        assert kind in SCALARS
        sizes = [each for each in (field.length, field.precision, field.scale) if each is not None]
        kind += f"({', '.join(map(str, sizes))})" if sizes else ""
    return f"ARRAY<{kind}>" if field.repeated else kind


def _quoted(name: str) -> str:
    return name if _BARE.fullmatch(name) else f"`{name}`"
