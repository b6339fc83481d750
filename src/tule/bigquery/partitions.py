"""Partitions of tables: how many rows each has, the end of their time, and deleting one.

Partitions whose time is over are removed when somebody looks at their table, so that nobody is shown them, and by a sweep.
https://cloud.google.com/bigquery/docs/managing-partitioned-tables
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from tule.bigquery.destinations import WriteLocks
from tule.bigquery.engine import Session
from tule.bigquery.partitioning import Partitioning, floor, partitioning_of, stored_fields
from tule.bigquery.physical import Physical
from tule.bigquery.references import TableReference
from tule.bigquery.tables import KIND, TABLE, Tables, physical_of, writable
from tule.bigquery.types import fields_from_rest
from tule.kernel.clock import Clock
from tule.kernel.records import Record, Records

_REMEMBERED = 1024
_NEVER = datetime.max.replace(tzinfo=UTC)


class Partitions:
    """The partitions of all tables. Safe to use from any thread."""

    def __init__(self, records: Records, tables: Tables, physical: Physical, locks: WriteLocks, clock: Clock) -> None:
        self._records = records
        self._tables = tables
        self._physical = physical
        self._locks = locks
        self._clock = clock
        self._lock = threading.Lock()
        self._ends: OrderedDict[tuple[str, int], datetime] = OrderedDict()
        """When the oldest partition of a physical table begins, for each of its states."""

    def delete(self, reference: TableReference, id: str) -> None:
        """Remove the rows of one partition."""
        with self._locks.hold(reference.name):
            record = self._tables.record(reference)
            partitioning = partitioning_of(record.body, reference)
            self._remove(record, partitioning.holds(partitioning.checked(id, reference)))

    # -- time

    def settle(self, record: Record) -> bool:
        """Remove the partitions of a table whose time is over; whether there were any. While somebody writes the table,
        they are left for the next time."""
        if not self._is_due(record):
            return False
        with self._locks.attempt(record.name) as held:
            current = self._records.find(record.name) if held else None
            if current is None or not self._is_due(current):
                return current is not None
            partitioning = Partitioning.of(current.body)
            condition = partitioning.over(self._clock.now()) if partitioning is not None else None
            assert condition is not None
            self._remove(current, condition)
        return True

    def sweep(self) -> None:
        """Remove the partitions of all tables whose time is over."""
        for record in self._records.list(KIND, filter="timePartitioning.expirationMs:*").records:
            self.settle(record)

    def _is_due(self, record: Record) -> bool:
        partitioning = Partitioning.of(record.body) if record.body["type"] == TABLE else None
        if partitioning is None or partitioning.lifetime is None:
            return False
        begin = self._oldest(record, partitioning)
        return begin != _NEVER and begin <= self._clock.now() - timedelta(milliseconds=partitioning.lifetime)

    def _oldest(self, record: Record, partitioning: Partitioning) -> datetime:
        key = (physical_of(record), record.body["_tule"].get("changes", 0))
        with self._lock:
            if key in self._ends:
                self._ends.move_to_end(key)
                return self._ends[key]
        found = self._tables.least(record, partitioning.in_partitions)
        begin = _NEVER if found is None else floor(found, partitioning.grain)
        with self._lock:
            self._ends[key] = begin
            while len(self._ends) > _REMEMBERED:
                self._ends.popitem(last=False)
        return begin

    def _remove(self, record: Record, condition: str) -> None:
        """Give a table the rows for which a condition does not hold, and no others."""
        reference, name = TableReference.of(record.name), writable(record)
        project, columns = reference.project, stored_fields(record.body)

        def rest(session: Session, new: str) -> int:
            session.create(project, new, fields_from_rest(columns))
            kept = f"NOT coalesce({condition}, FALSE)"
            return self._physical.move(session, project, name, new, columns, kept)

        new, _ = self._physical.fill_from(project, rest)
        try:
            self._tables.flip(reference, new, how="DELETE")
        except BaseException:
            self._physical.drop(project, new)
            raise


def partition_rows(record: Record, tables: Tables) -> Sequence[tuple[str | None, int]]:
    """(id, rows) of each partition that has rows; one with the id None for a table that is not partitioned."""
    partitioning = Partitioning.of(record.body)
    if partitioning is None:
        return [(None, tables.measure(record)[0])]
    return tables.counted(record, physical_of(record), partitioning.id)


def partition_sizes(record: Record, tables: Tables) -> Iterator[tuple[str | None, int, int]]:
    """(id, rows, bytes) of each partition that has rows; one with the id None for a table that is not partitioned."""
    partitioning = Partitioning.of(record.body)
    if partitioning is None:
        yield None, *tables.measure(record)
        return
    for id, rows in partition_rows(record, tables):
        assert id is not None
        yield id, rows, tables.measure(record, partitioning.holds(id))[1]
