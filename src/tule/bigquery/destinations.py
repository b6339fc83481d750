"""Where jobs write: dispositions, schema updates and the order of steps that a crash cannot break.

New rows go into a new physical table and the record is flipped to it; rows are appended in place, with the job's marker in
the same transaction of the engine, only where the schema stays. https://cloud.google.com/bigquery/docs/reference/rest/v2/Job
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

import pyarrow as pa

from tule.bigquery import collations, default_values, schemas
from tule.bigquery.engine import Session
from tule.bigquery.errors import already_exists, invalid
from tule.bigquery.jobs import Job, Outcome
from tule.bigquery.partitioning import (
    NULL,
    OUTSIDE,
    Partitioning,
    arriving,
    check_same,
    grain_of,
    partitioning_of,
    stored_fields,
)
from tule.bigquery.physical import Physical, note
from tule.bigquery.references import TableReference
from tule.bigquery.schemas import JsonField
from tule.bigquery.tables import Tables, writable
from tule.bigquery.types import fields_from_rest
from tule.kernel.errors import Aborted
from tule.kernel.records import Record

CREATE = ("CREATE_IF_NEEDED", "CREATE_NEVER")
WRITE = ("WRITE_TRUNCATE", "WRITE_TRUNCATE_DATA", "WRITE_APPEND", "WRITE_EMPTY")
UPDATES = ("ALLOW_FIELD_ADDITION", "ALLOW_FIELD_RELAXATION")

MakeBatches = Callable[[Sequence[JsonField]], Iterable[pa.RecordBatch]]


class WriteLocks:
    """One writer per table at a time: BigQuery queues changes of a table, it does not fail them.

    An open multi-statement transaction holds what it has changed until its end. Others wait for it for ``patience`` seconds
    and then fail, because it may stay open as long as its session does.
    """

    def __init__(self, patience: float = 60.0) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[threading.Lock, int]] = {}
        self._claimed: dict[str, str] = {}
        self._patience = patience

    @contextmanager
    def hold(self, *names: str, check: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the locks of some tables, taken in one order so that two writers never wait for each other.

        ``check`` raises where the waiting should end: a job that waits for its turn can be cancelled.
        """
        with ExitStack() as stack:
            for name in sorted(set(names)):
                stack.enter_context(self._one(name, "", check))
            yield

    def claim(self, name: str, transaction: str) -> ExitStack:
        """Hold the lock of a table for a transaction; raises Aborted where another one has it."""
        if self._claimed.get(name) not in (None, transaction):
            raise conflict(name, transaction)
        stack = ExitStack()
        stack.enter_context(self._one(name, transaction))
        return stack

    @contextmanager
    def attempt(self, name: str) -> Iterator[bool]:
        """Hold the lock of a table if nobody else has it; whether it is held."""
        with self._counted(name) as lock:
            got = lock.acquire(blocking=False)
            try:
                yield got
            finally:
                if got:
                    lock.release()

    @contextmanager
    def _one(self, name: str, transaction: str, check: Callable[[], None] = lambda: None) -> Iterator[None]:
        with self._counted(name) as lock:
            self._acquire(lock, name, transaction, check)
            try:
                if transaction:
                    self._claimed[name] = transaction
                yield
            finally:
                self._claimed.pop(name, None)
                lock.release()

    @contextmanager
    def _counted(self, name: str) -> Iterator[threading.Lock]:
        """The lock of a table, which is kept for as long as somebody wants it."""
        with self._lock:
            lock, waiting = self._held.get(name, (threading.Lock(), 0))
            self._held[name] = (lock, waiting + 1)
        try:
            yield lock
        finally:
            with self._lock:
                lock, waiting = self._held[name]
                if waiting == 1:
                    del self._held[name]
                else:
                    self._held[name] = (lock, waiting - 1)

    def _acquire(self, lock: threading.Lock, name: str, transaction: str, check: Callable[[], None]) -> None:
        rounds = max(1, round(self._patience / _ROUND))
        while not lock.acquire(timeout=_ROUND):
            check()
            if name not in self._claimed:
                continue
            if transaction:
                raise conflict(name, transaction)
            rounds -= 1
            if not rounds:
                raise Aborted(
                    f"Could not serialize access to table {_shown(name)} due to concurrent update",
                    reason="invalidQuery",
                )


_ROUND = 0.25


def conflict(name: str, transaction: str) -> Aborted:
    """The error of a transaction that lost a table, given by its record's name, to another change."""
    return Aborted(
        f"Transaction is aborted due to concurrent update against table {_shown(name)}. Transaction ID: {transaction}",
        reason="invalidQuery",
    )


def _shown(name: str) -> str:
    return str(TableReference.of(name))


class Destination:
    """The table that a job writes, as its dispositions allow."""

    def __init__(
        self,
        tables: Tables,
        physical: Physical,
        locks: WriteLocks,
        reference: TableReference,
        config: Mapping[str, Any],
        *,
        default_write: str,
        partition: str = "",
    ) -> None:
        """``partition``: the id of the one that is written, "" for the table."""
        self._tables = tables
        self._physical = physical
        self._locks = locks
        self.reference = reference
        self.create = str(config.get("createDisposition") or "CREATE_IF_NEEDED")
        self.write = str(config.get("writeDisposition") or default_write)
        self.updates = frozenset(config.get("schemaUpdateOptions") or ())
        self._config = config
        self._layout: dict[str, Any] | None = None
        self._partition = partition
        self._keeps_time = False
        check_dispositions(config)

    def layout_of(self, layout: dict[str, Any]) -> None:
        """Give a new table this partitioning and clustering, whatever the job's configuration says."""
        self._layout = layout

    def keep_time(self) -> None:
        """Take rows with their time of loading, where the table is partitioned by it and no partition is named."""
        self._keeps_time = not self._partition

    def record(self) -> Record | None:
        """The table as it is now; raises where the dispositions do not allow to write it."""
        if self._partition in (NULL, OUTSIDE):
            raise invalid(f"Rows cannot be written to the partition {self.reference}${self._partition}")
        record = self._tables.find(self.reference)
        if record is None:
            if self.create == "CREATE_NEVER":
                raise self._tables.missing(self.reference)
            self._tables._datasets.check(self.reference.parent)
            return None
        physical, where = writable(record), ""
        if self._partition:
            where = self._partitioning(record.body).holds(self._partition)
        if self.write == "WRITE_EMPTY" and self._physical.rows(self.reference.project, physical, where):
            raise already_exists("Table", self._name)
        return record

    @property
    def _name(self) -> str:
        return f"{self.reference}${self._partition}" if self._partition else str(self.reference)

    def _partitioning(self, body: Mapping[str, Any]) -> Partitioning:
        """That of the table whose partition is written."""
        found = partitioning_of(body, self.reference)
        self._partition = found.checked(self._partition, self.reference)
        return found

    @property
    def appends(self) -> bool:
        return self.write in ("WRITE_APPEND", "WRITE_EMPTY")

    def store(
        self,
        job: Job,
        fields: Sequence[JsonField] | None,
        make: MakeBatches,
        statistics: Callable[[int], dict[str, Any]],
        *,
        described: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """Write rows; returns the Outcome that makes them visible.

        ``fields``: the schema of the rows, None for the table's own. ``make`` gives batches of the schema it is handed.
        ``statistics`` turns the number of rows into the job's statistics; ``described`` are label and texts of a new table.
        """
        held = ExitStack()
        held.enter_context(self._locks.hold(self.reference.name, check=job.check))
        try:
            record = self.record()
            outcome = self._stored(job, record, fields, make, statistics, described or {})
        except BaseException:
            held.close()
            raise
        outcome.release = held.close
        return outcome

    def _stored(
        self,
        job: Job,
        record: Record | None,
        fields: Sequence[JsonField] | None,
        make: MakeBatches,
        statistics: Callable[[int], dict[str, Any]],
        described: Mapping[str, Any],
    ) -> Outcome:
        reference, physical = self.reference, self._physical
        now = job.started or job.created
        replaces = not self.appends and self.write != "WRITE_TRUNCATE_DATA" and not self._partition
        if record is not None and self._layout is None:
            check_same(record.body, self._config, replaces=replaces)
        if record is None or replaces:
            if fields is None:
                fields = record.body["schema"]["fields"] if record is not None else None
            if fields is None:
                raise invalid("No schema specified on job or table.")
            layout = self._new_layout(record, fields)
            body = {**(record.body if record is not None else {}), "schema": {"fields": list(fields)}, **layout}
            new, rows = physical.fill(
                reference.project, stored_fields(body), _watched(job, self._rows(body, make, fields, now))
            )
            outcome = Outcome(statistics(rows), undo=lambda: physical.drop(reference.project, new))
            if record is None:
                made = self._tables.table_body(reference, {**described, **layout}, list(fields))
                outcome.commit = lambda: _ignore(self._tables.replace(reference, made, new))
                if self._partition:
                    self._check_staged(self._partitioning(body), new)
            else:
                columns = collations.inherited(fields, record.body.get("defaultCollation", ""))
                replaced = {"schema": {"fields": columns}, **layout}
                outcome.commit = lambda: _ignore(self._tables.flip(reference, new, replaced))
            return outcome
        old = record.body["schema"]["fields"]
        change = schemas.SchemaChange(list(old), False)
        if fields is not None:
            make = self._with_defaults(job, make, _left_out(old, fields))
            change = schemas.appended(
                reference,
                old,
                fields,
                add="ALLOW_FIELD_ADDITION" in self.updates,
                relax="ALLOW_FIELD_RELAXATION" in self.updates,
                collation=record.body.get("defaultCollation", ""),
            )
        columns = stored_fields(record.body, change.fields)

        def arrived() -> Iterable[pa.RecordBatch]:
            return _watched(job, self._rows(record.body, make, change.fields, now))

        if self._partition:
            return self._in_partition(job, record, change, arrived(), statistics)
        if self.write == "WRITE_TRUNCATE_DATA":
            new, rows = physical.fill(reference.project, columns, arrived())
            return self._flip(new, rows, change.fields, statistics)
        if change.rows_change:
            rows = 0

            def both() -> Iterator[pa.RecordBatch]:
                nonlocal rows
                yield from physical.fitted(reference.project, writable(record), columns)
                for batch in arrived():
                    rows += batch.num_rows
                    yield batch

            new, _ = physical.fill(reference.project, columns, both())
            return self._flip(new, rows, change.fields, statistics, how="APPEND")
        rows = physical.append(
            reference.project, writable(record), columns, arrived(),
            job=job.reference.name, statistics=statistics, table=reference.name,
        )  # fmt: skip
        return Outcome(
            statistics(rows),
            commit=lambda: self._tables.touch(reference),
            after=lambda: physical.done_with(reference.project, job.reference.name),
        )

    def _new_layout(self, record: Record | None, fields: Sequence[JsonField]) -> dict[str, Any]:
        """Partitioning and clustering of a table that is made or replaced; one that is there stays cut as it is."""
        layout = schemas.layout(self._config, fields) if self._layout is None else self._layout
        if record is not None:
            keys = ("timePartitioning", "rangePartitioning")
            kept: dict[str, Any] = {key: record.body[key] for key in keys if key in record.body}
            return {**{key: layout[key] for key in ("clustering",) if key in layout}, **schemas.layout(kept, fields)}
        if self._partition and not ("timePartitioning" in layout or "rangePartitioning" in layout):
            layout = {**layout, "timePartitioning": {"type": grain_of(self._partition)}}
        return layout

    def _rows(
        self, body: Mapping[str, Any], make: MakeBatches, fields: Sequence[JsonField], now: datetime
    ) -> Iterable[pa.RecordBatch]:
        """The rows of a job as the physical table of ``body`` takes them."""
        columns = stored_fields(body, fields) if self._keeps_time else fields
        if self._partition:
            self._partitioning(body)
        return arriving(body, make(columns), now, self._partition)

    def _in_partition(
        self,
        job: Job,
        record: Record,
        change: schemas.SchemaChange,
        batches: Iterable[pa.RecordBatch],
        statistics: Callable[[int], dict[str, Any]],
    ) -> Outcome:
        """Put rows into one partition, in the place of those in it where these are replaced."""
        reference, physical = self.reference, self._physical
        project, partitioning = reference.project, self._partitioning(record.body)
        columns = stored_fields(record.body, change.fields)
        kept = "" if self.appends else f"NOT coalesce({partitioning.holds(self._partition)}, FALSE)"
        staged, rows = physical.fill(project, columns, batches)
        try:
            self._check_staged(partitioning, staged)
            if change.rows_change:
                old = stored_fields(record.body)
                new, _ = physical.fill_from(
                    project, lambda session, name: _merged(session, physical, project, name, columns,
                                                           [(writable(record), old, kept), (staged, columns, "")])
                )  # fmt: skip
                return self._flip(new, rows, change.fields, statistics)
            return self._replaced(job, record, kept, staged, columns, statistics(rows))
        finally:
            physical.drop(project, staged)

    def _replaced(
        self,
        job: Job,
        record: Record,
        kept: str,
        staged: str,
        columns: Sequence[JsonField],
        statistics: dict[str, Any],
    ) -> Outcome:
        """Move rows into a table in its place; only those rows stay for which ``kept`` holds, where that is said."""
        reference, physical, name = self.reference, self._physical, writable(record)
        project, before = reference.project, dict[str, str | None]()
        with ExitStack() as held:
            if kept:
                held.enter_context(physical.changing(project, name))
            session = held.enter_context(physical.session())
            held.enter_context(session.transaction())
            if kept:
                before[reference.name] = self._tables.history.copy(session, record)
                session.execute(f"DELETE FROM {physical.relation(project, name)} WHERE NOT ({physical.said(kept)})")
            physical.move(session, project, staged, name, columns)
            session.mark(project, job.reference.name, note(statistics, [reference.name], before))
        return Outcome(
            statistics,
            commit=lambda: self._tables.touch(reference, before.get(reference.name), grown=not before, how="PARTITION"),
            after=lambda: physical.done_with(project, job.reference.name),
        )

    def _check_staged(self, partitioning: Partitioning, name: str) -> None:
        """Raise where rows are of other partitions than the one that is written."""
        other = f"NOT coalesce({partitioning.holds(self._partition)}, FALSE)"
        if self._physical.rows(self.reference.project, name, other):
            raise invalid(f"Some rows belong to different partitions rather than destination partition {self._name}")

    def _with_defaults(self, job: Job, make: MakeBatches, columns: Sequence[JsonField]) -> MakeBatches:
        if not columns:
            return make
        fields = fields_from_rest(columns)

        def filled(into: Sequence[JsonField]) -> Iterator[pa.RecordBatch]:
            with self._physical.session() as session:
                now = job.started or job.created
                yield from default_values.added(make(into), fields, session, self.reference.project, now)

        return filled

    def _flip(
        self,
        new: str,
        rows: int,
        fields: Sequence[JsonField],
        statistics: Callable[[int], dict[str, Any]],
        how: str = "REPLACE",
    ) -> Outcome:
        reference = self.reference
        return Outcome(
            statistics(rows),
            commit=lambda: _ignore(self._tables.flip(reference, new, {"schema": {"fields": list(fields)}}, how=how)),
            undo=lambda: self._physical.drop(reference.project, new),
        )


def _merged(
    session: Session,
    physical: Physical,
    project: str,
    name: str,
    columns: Sequence[JsonField],
    parts: Sequence[tuple[str, Sequence[JsonField], str]],
) -> int:
    """A new physical table of the rows of others: (table, columns that it has, which of its rows)."""
    session.create(project, name, fields_from_rest(columns))
    return sum(physical.move(session, project, source, name, each, where) for source, each, where in parts)


def _left_out(old: Sequence[JsonField], given: Sequence[JsonField]) -> list[JsonField]:
    """The columns with a default value that rows of a schema lack."""
    names = {each["name"].lower() for each in given}
    return [each for each in old if each.get("defaultValueExpression") and each["name"].lower() not in names]


def check_dispositions(config: Mapping[str, Any]) -> None:
    """Raise for words that are none of BigQuery's."""
    for key, words in (("createDisposition", CREATE), ("writeDisposition", WRITE)):
        if config.get(key) and config[key] not in words:
            raise invalid(f"{key} must be one of {', '.join(words)}; given: {config[key]!r}")
    for each in config.get("schemaUpdateOptions") or ():
        if each not in UPDATES:
            raise invalid(f"schemaUpdateOptions must be of {', '.join(UPDATES)}; given: {each!r}")
    if config.get("schemaUpdateOptions") and config.get("writeDisposition") not in ("WRITE_APPEND", "WRITE_TRUNCATE"):
        raise invalid(
            "Schema update options should only be specified with WRITE_APPEND disposition, or with WRITE_TRUNCATE"
        )


def _watched(job: Job, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches, until the job is cancelled."""
    for batch in batches:
        job.check()
        yield batch
    job.check()


def _ignore(_: Any) -> None:
    return None
