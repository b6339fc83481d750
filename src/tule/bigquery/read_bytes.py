"""The bytes that a statement processes: of each table the columns that it reads, in the partitions that its filters leave.

https://cloud.google.com/bigquery/docs/estimate-costs#query_size_calculation
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tule.bigquery.engine import Session
from tule.bigquery.partitioning import Partitioning
from tule.bigquery.physical import Physical
from tule.bigquery.sql.compile import Compiled, used
from tule.bigquery.sql.reads import HIGH, LOW, Read

_MEGABYTE = 1024 * 1024
_LEAST_BILLED = 10 * _MEGABYTE


@dataclass(frozen=True)
class _Table:
    project: str
    name: str
    changes: int
    body: Mapping[str, Any]


class ReadBytes:
    """What one statement reads. ``own``: the session of a transaction, whose changes nobody else sees."""

    def __init__(self, physical: Physical, session: Session, *, own: bool) -> None:
        self._physical = physical
        self._session = session
        self._own = own
        self._tables: dict[str, _Table] = {}
        self._reads: dict[str, list[tuple[Read, Mapping[str, Any]]]] = {}
        self._files: list[int] = []
        self._sizes: list[int] | None = None
        self._partitions_read = 0

    def add(self, project: str, name: str, changes: int, body: Mapping[str, Any]) -> None:
        """A table whose rows are in a physical table is among what is read: all of it, unless more is told."""
        self._tables[self._physical.relation(project, name)] = _Table(project, name, changes, body)
        self._sizes = None

    def add_files(self, size: int) -> None:
        self._files.append(size)

    def note(self, compiled: Compiled) -> None:
        """What a compiled statement reads of its tables."""
        for each in compiled.reads:
            self._reads.setdefault(each.relation, []).append((each, compiled.parameters))
        self._sizes = None

    @property
    def total(self) -> int:
        return sum(self._measured())

    @property
    def billed(self) -> int:
        """What BigQuery would bill: whole megabytes, ten of them a table at least."""
        return sum(max(_LEAST_BILLED, -(-size // _MEGABYTE) * _MEGABYTE) for size in self._measured() if size)

    @property
    def partitions(self) -> int:
        """How many partitions of partitioned tables are read."""
        self.measure()
        return self._partitions_read

    def measure(self) -> None:
        """Look at the tables, which takes the session; nothing that was measured is looked at again."""
        if self._sizes is None:
            self._partitions_read = 0
            self._sizes = [self._size(relation, table) for relation, table in self._tables.items()]

    def _measured(self) -> list[int]:
        self.measure()
        return [*(self._sizes or ()), *self._files]

    def _size(self, relation: str, table: _Table) -> int:
        fields = [str(each["name"]) for each in table.body["schema"]["fields"]]
        told = self._reads.get(relation)
        where = self._where(table, told or [])
        if told is None:
            return self._measure(table, fields, "")
        if any(read.columns is None for read, _ in told):
            columns = fields
        else:
            wanted = {name for read, _ in told for name in read.columns or ()}
            columns = [each for each in fields if each.lower() in wanted]
        return self._measure(table, columns, where) if columns else 0

    def _measure(self, table: _Table, columns: Iterable[str], where: str) -> int:
        if self._own:
            return self._session.statistics(
                table.project, table.name, columns=list(columns), where=self._physical.said(where)
            )[1]
        return self._physical.size(table.project, table.name, table.changes, tuple(columns), where)

    def _where(self, table: _Table, told: list[tuple[Read, Mapping[str, Any]]]) -> str:
        """The condition of the engine that a row is in a partition that is read; "" for all."""
        partitioning = Partitioning.of(table.body)
        if partitioning is None:
            return ""
        partitions = self._partitions(table, partitioning)
        if not told or not all(read.condition for read, _ in told):
            self._partitions_read += len(partitions)
            return ""
        kept: set[str] = set()
        for read, parameters in told:
            kept |= self._kept(partitioning, partitions, read.condition, parameters)
        self._partitions_read += len(kept)
        if len(kept) == len(partitions):
            return ""
        return partitioning.holding(kept)

    def _partitions(self, table: _Table, partitioning: Partitioning) -> tuple[str, ...]:
        if self._own:
            relation = self._physical.relation(table.project, table.name)
            found = self._session.query(
                f"SELECT DISTINCT {self._physical.said(partitioning.id)} FROM {relation}"
            ).table()
            return tuple(found.column(0).to_pylist())
        return self._physical.distinct(table.project, table.name, table.changes, partitioning.id)

    def _kept(
        self, partitioning: Partitioning, partitions: Iterable[str], condition: str, parameters: Mapping[str, Any]
    ) -> set[str]:
        """The partitions of which a row can fulfil the condition, those without bounds among them."""
        bounded = {id: bounds for id in partitions if (bounds := partitioning.bounds_of(id)) is not None}
        kept = {id for id in partitions if id not in bounded}
        if bounded:
            rows = ", ".join(f"('{id}', {low}, {high})" for id, (low, high) in bounded.items())
            sql = f'SELECT id FROM (VALUES {rows}) AS partitions (id, "{LOW}", "{HIGH}") WHERE {condition}'
            kept |= set(self._session.query(sql, used(sql, parameters)).table().column(0).to_pylist())
        return kept


__all__ = ["ReadBytes"]
