"""Rows that can be read by name: a table's, a query result's or a public data set's, all through one shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import pyarrow as pa

from tule.bigquery.decorators import Decorated
from tule.bigquery.errors import not_implemented
from tule.bigquery.partitioning import partitioning_of, stored_fields
from tule.bigquery.physical import Physical, fit
from tule.bigquery.references import TableReference
from tule.bigquery.results import Rows
from tule.bigquery.schemas import JsonField
from tule.bigquery.tables import Tables, physical_of
from tule.bigquery.types import Field, fields_from_rest
from tule.kernel.errors import PermissionDenied


@dataclass(frozen=True)
class Readable:
    """The rows behind a table's name, as they are now.

    ``owner`` names these very rows: it changes when they are replaced. ``kept`` are rows that can never change;
    ``physical`` is the table (project, name) where rows can.
    """

    fields: list[JsonField]
    rows: int
    owner: str
    read: Callable[[int, int | None], Iterator[pa.RecordBatch]]
    kept: Rows | None = None
    physical: tuple[str, str] | None = None
    layout: Mapping[str, Any] = field(default_factory=dict)
    """Partitioning and clustering."""

    @cached_property
    def columns(self) -> list[Field]:
        return self.kept.columns if self.kept is not None else fields_from_rest(self.fields)

    @cached_property
    def stored(self) -> list[Field]:
        """The columns with those that the schema does not show."""
        return fields_from_rest(stored_fields(self.layout, self.fields))

    def scan(
        self, start: int = 0, count: int | None = None, *, stored: list[Field] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Batches of ``count`` rows from ``start``, with exactly the columns of ``fields``, or with all (``stored``)."""
        columns = self.columns if stored is None else stored
        for batch in self.read(start, count):
            yield fit(batch, columns)


SeenRows = Callable[[TableReference, str], Rows | None]
KeptRows = Callable[[TableReference], Rows | None]


class Sources:
    """Finds what a name means. ``kept`` tells the rows of query results and public tables; set by the warehouse."""

    def __init__(self, tables: Tables, physical: Physical) -> None:
        self._tables = tables
        self._physical = physical
        self.kept: KeptRows = lambda reference: None
        self.seen: SeenRows = lambda reference, user: None
        """The rows of a table that a user sees, None where these are all; set by the warehouse."""

    def open(self, reference: TableReference, user: str | None = None, *, partition: str = "") -> Readable:
        """The rows as they are now; with ``user``, those that they see; of one ``partition`` where it is named. Raises
        NotFound for a name that means nothing, InvalidArgument for a view or an external table."""
        record = self._tables.current(reference)
        if record is None:
            kept = self.kept(reference)
            if kept is None:
                raise self._tables.missing(reference)
            return of_rows(kept, reference.name)
        name, project = physical_of(record), reference.project
        if user is not None and (seen := self.seen(reference, user)) is not None:
            if partition:
                raise PermissionDenied(
                    f"Access Denied: Table {reference}: one partition of a table with row access policies is read by those "
                    "who see all of its rows",
                    do="write a query with a condition on the partitioning column", reason="accessDenied",
                )  # fmt: skip
            few = of_rows(seen, reference.name)
            return Readable(record.body["schema"]["fields"], few.rows, f"{name}-{few.rows}", few.read)
        where = ""
        if partition:
            partitioning = partitioning_of(record.body, reference)
            where = partitioning.holds(partitioning.checked(partition, reference))

        def read(start: int, count: int | None) -> Iterator[pa.RecordBatch]:
            return self._physical.scan(project, name, start=start, count=count, where=where)

        fields, rows = record.body["schema"]["fields"], self._physical.rows(project, name, where)
        if partition:
            return Readable(fields, rows, f"{name}-{partition}", read, layout=_layout(record.body))
        return Readable(fields, rows, name, read, physical=(project, name), layout=_layout(record.body))

    def of(self, table: Decorated, user: str, now: datetime) -> Readable:
        """The rows that a name with decorators means, of those that a user sees."""
        moment = table.at(now)
        if moment is None:
            return self.open(table.reference, user, partition=table.partition)
        if self.seen(table.reference, user) is not None:
            raise PermissionDenied(
                f"Access Denied: Table {table.reference}: its history is for those who see all of its rows",
                reason="accessDenied",
            )
        return self.at(table.reference, moment, partition=table.partition)

    def at(self, reference: TableReference, moment: int, *, partition: str = "") -> Readable:
        """The rows that a table had at a moment (microseconds since 1970); raises where that is not remembered."""
        if partition:
            raise not_implemented(
                "A partition of a table as it was", do="copy the table as it was, and then the partition of the copy"
            )
        state, project = self._tables.at(reference, moment), reference.project
        most = self._physical.rows(project, state.physical) if state.rows is None else state.rows

        def read(start: int, count: int | None) -> Iterator[pa.RecordBatch]:
            rest = max(0, most - start)
            return self._physical.scan(
                project, state.physical, start=start, count=min(rest, rest if count is None else count)
            )

        return Readable(
            state.body["schema"]["fields"], most, f"{state.physical}@{most}", read, layout=_layout(state.body)
        )


def _layout(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: body[key] for key in ("timePartitioning", "rangePartitioning", "clustering") if key in body}


def of_rows(rows: Rows, owner: str) -> Readable:
    """Kept rows as something to read."""

    def read(start: int, count: int | None) -> Iterator[pa.RecordBatch]:
        return rows.scan(start, None if count is None else start + count)

    return Readable([each.rest() for each in rows.columns], rows.num_rows, owner, read, rows)
