"""Rows that can be read by name: a table's, a query result's or a public data set's, all through one shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from tule.bigquery.physical import Physical, fit
from tule.bigquery.references import TableReference
from tule.bigquery.results import Rows
from tule.bigquery.schemas import JsonField
from tule.bigquery.tables import Tables, physical_of
from tule.bigquery.types import Field, fields_from_rest


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

    @cached_property
    def columns(self) -> list[Field]:
        return self.kept.columns if self.kept is not None else fields_from_rest(self.fields)

    def scan(self, start: int = 0, count: int | None = None) -> Iterator[pa.RecordBatch]:
        """Batches of ``count`` rows from ``start``, with exactly the columns of ``fields``."""
        columns = self.columns
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

    def open(self, reference: TableReference, user: str | None = None) -> Readable:
        """The rows as they are now; with ``user``, those that they see. Raises NotFound for a name that means nothing,
        InvalidArgument for a view or an external table."""
        record = self._tables.find(reference)
        if record is None:
            kept = self.kept(reference)
            if kept is None:
                raise self._tables.missing(reference)
            return of_rows(kept, reference.name)
        name, project = physical_of(record), reference.project
        if user is not None and (seen := self.seen(reference, user)) is not None:
            few = of_rows(seen, reference.name)
            return Readable(record.body["schema"]["fields"], few.rows, f"{name}-{few.rows}", few.read)

        def read(start: int, count: int | None) -> Iterator[pa.RecordBatch]:
            return self._physical.scan(project, name, start=start, count=count)

        fields, rows = record.body["schema"]["fields"], self._physical.rows(project, name)
        return Readable(fields, rows, name, read, physical=(project, name))

    def at(self, reference: TableReference, moment: int) -> Readable:
        """The rows that a table had at a moment (microseconds since 1970); raises where that is not remembered."""
        state, project = self._tables.at(reference, moment), reference.project
        most = self._physical.rows(project, state.physical) if state.rows is None else state.rows

        def read(start: int, count: int | None) -> Iterator[pa.RecordBatch]:
            rest = max(0, most - start)
            return self._physical.scan(
                project, state.physical, start=start, count=min(rest, rest if count is None else count)
            )

        return Readable(state.body["schema"]["fields"], most, f"{state.physical}@{most}", read)


def of_rows(rows: Rows, owner: str) -> Readable:
    """Kept rows as something to read."""

    def read(start: int, count: int | None) -> Iterator[pa.RecordBatch]:
        return rows.scan(start, None if count is None else start + count)

    return Readable([each.rest() for each in rows.columns], rows.num_rows, owner, read, rows)
