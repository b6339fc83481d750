"""Write streams: rows that are appended at offsets, each exactly once, and become visible at once, by flush or by commit.

What a stream holds is told by a mark in the same transaction of the engine that appended the rows, so that a crash leaves
no row without its offset and no offset without its row. Rows of PENDING and BUFFERED streams wait in a physical table of
their own. https://cloud.google.com/bigquery/docs/write-api
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from tule.bigquery.destinations import WriteLocks
from tule.bigquery.errors import invalid, not_found
from tule.bigquery.partitioning import arriving, stored_fields
from tule.bigquery.physical import Physical, fit
from tule.bigquery.references import TableReference
from tule.bigquery.tables import Tables, writable
from tule.bigquery.types import Field, fields_from_rest
from tule.kernel.clock import Clock
from tule.kernel.errors import AlreadyExists, NotFound, OutOfRange
from tule.kernel.records import Record, Records

KIND = "bigquery#writeStream"
COMMITTED, PENDING, BUFFERED = "COMMITTED", "PENDING", "BUFFERED"
DEFAULT = "_default"
# A stream that nobody touched for this long is forgotten, with the rows that it never made visible.
KEPT = timedelta(days=7)


@dataclass
class WriteStream:
    """One stream as it is now. ``rows``: the offset of the next row; ``flushed``: rows that the table shows."""

    name: str
    table: TableReference
    type: str
    created: datetime
    table_uid: str
    staging: str | None = None
    rows: int = 0
    flushed: int = 0
    finalized: bool = False
    committed: datetime | None = None
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def is_default(self) -> bool:
        return self.name.endswith(f"/streams/{DEFAULT}")

    def position(self) -> str:
        """The note of its mark."""
        at = self.committed
        return json.dumps({"rows": self.rows, "flushed": self.flushed, "committed": at.isoformat() if at else None})


class WriteStreams:
    """The write streams of all tables. Safe to use from any thread; calls on one stream take turns."""

    def __init__(self, records: Records, tables: Tables, physical: Physical, locks: WriteLocks, clock: Clock) -> None:
        self._records = records
        self._tables = tables
        self._physical = physical
        self._locks = locks
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, WriteStream] = {}

    # -- the methods

    def create(self, table: TableReference, type: str) -> WriteStream:
        """A new stream into a table."""
        if type not in (COMMITTED, PENDING, BUFFERED):
            raise invalid(f"write_stream.type must be {COMMITTED}, {PENDING} or {BUFFERED}; given: {type}")
        record = self._tables.record(table)
        writable(record)
        staging = None
        if type != COMMITTED:
            staging = self._physical.create(table.project, record.body["schema"]["fields"])
        name = f"{table.name}/streams/{secrets.token_hex(16)}"
        stream = WriteStream(name, table, type, self._clock.now(), record.uid, staging)
        try:
            self._records.create(KIND, name, _body(stream))
        except BaseException:
            if staging is not None:
                self._physical.drop(table.project, staging)
            raise
        with self._lock:
            self._open[name] = stream
        return stream

    def get(self, name: str) -> WriteStream:
        """The stream of a name; every table has one called ``_default``."""
        with self._lock:
            found = self._open.get(name)
        if found is not None and self._records.find(name) is not None:
            return found
        table = _table_of(name)
        if name.endswith(f"/streams/{DEFAULT}"):
            record = self._tables.record(table)
            writable(record)
            return WriteStream(name, table, COMMITTED, record.create_time, record.uid)
        stored = self._records.find(name)
        if stored is None or stored.kind != KIND:
            raise not_found("Stream", name)
        with self._lock:
            return self._open.setdefault(name, self._stream(stored))

    def fields(self, stream: WriteStream) -> list[Field]:
        """The columns of its table as they are now; NotFound once the table is another one."""
        return fields_from_rest(self._record(stream).body["schema"]["fields"])

    def append(self, stream: WriteStream, batch: pa.RecordBatch, offset: int | None) -> int | None:
        """Add rows at ``offset`` (None: at the end), durably; the offset of the first one, None for a default stream.

        AlreadyExists for rows that are there already, OutOfRange for an offset beyond the end.
        """
        if stream.is_default:
            if offset is not None:
                raise invalid("An offset must not be given when appending to the default stream")
            with self._writing(stream) as (record, session):
                (batch,) = arriving(record.body, [batch], self._clock.now())
                session.append(stream.table.project, writable(record), batch.schema, iter([batch]))
            self._tables.touch(stream.table)
            return None
        with stream.lock:
            self._check_offset(stream, offset)
            first = stream.rows
            with self._restored(stream), self._writing(stream) as (record, session):
                stream.rows += batch.num_rows
                if stream.staging is None:
                    stream.flushed = stream.rows
                target = stream.staging or writable(record)
                if stream.staging is None:
                    (batch,) = arriving(record.body, [batch], self._clock.now())
                session.append(stream.table.project, target, batch.schema, iter([batch]))
                session.mark(stream.table.project, stream.name, stream.position())
            if stream.staging is None:
                self._tables.touch(stream.table)
            return first

    def flush(self, name: str, offset: int) -> int:
        """Let the table show the rows of a BUFFERED stream up to and with ``offset``; the offset they are shown to."""
        stream = self.get(name)
        if stream.type != BUFFERED:
            raise invalid(f"FlushRows is for {BUFFERED} streams; given: a {stream.type} stream")
        with stream.lock:
            if offset >= stream.rows:
                raise OutOfRange(
                    f"The flush offset must be below the stream's {stream.rows} rows",
                    given=offset,
                    do="append first",
                    reason="invalid",
                )
            if offset + 1 > stream.flushed:
                with self._restored(stream), self._writing(stream) as (record, session):
                    self._show(session, record, stream, stream.flushed, offset + 1)
                    stream.flushed = offset + 1
                    session.mark(stream.table.project, stream.name, stream.position())
                self._tables.touch(stream.table)
            return stream.flushed - 1

    def finalize(self, name: str) -> int:
        """Take no more rows; how many there are."""
        stream = self.get(name)
        if stream.is_default:
            raise invalid("The default stream cannot be finalized")
        with stream.lock:
            stream.finalized = True
            self._keep(stream)
            return stream.rows

    def commit(self, table: TableReference, names: Sequence[str]) -> tuple[datetime | None, dict[str, tuple[str, str]]]:
        """Let the table show the rows of PENDING streams, all together: when, or what is wrong with which stream."""
        if not names:
            raise invalid("write_streams must name a stream")
        streams, wrong = self._to_commit(table, names)
        if wrong:
            return None, wrong
        now = self._clock.now()
        before = [(stream, stream.flushed) for stream in streams]
        try:
            with self._writing(streams[0]) as (record, session):
                # Looked at again with the table's lock held: another commit may have come first.
                _, wrong = self._to_commit(table, names)
                if wrong:
                    return None, wrong
                for stream in streams:
                    self._show(session, record, stream, 0, stream.rows)
                    stream.committed, stream.flushed = now, stream.rows
                    session.mark(table.project, stream.name, stream.position())
        except BaseException:
            for stream, flushed in before:
                stream.committed, stream.flushed = None, flushed
            raise
        with self._records.transaction():
            for stream in streams:
                self._keep(stream)
            self._tables.touch(table)
        for stream in streams:
            assert stream.staging is not None
            self._physical.drop(table.project, stream.staging)
        return now, {}

    def _to_commit(
        self, table: TableReference, names: Sequence[str]
    ) -> tuple[list[WriteStream], dict[str, tuple[str, str]]]:
        """The streams of the names, and (StorageErrorCode, why) for those that cannot be committed."""
        streams: list[WriteStream] = []
        wrong: dict[str, tuple[str, str]] = {}
        for name in dict.fromkeys(names):
            try:
                stream = self.get(name)
            except NotFound:
                wrong[name] = ("STREAM_NOT_FOUND", f"The stream must exist; given: {name}")
                continue
            if stream.table != table:
                raise invalid(f"All streams must be of {table}; given: {name}")
            streams.append(stream)
            if stream.type != PENDING:
                wrong[name] = (
                    "INVALID_STREAM_TYPE",
                    f"A stream must be {PENDING} to be committed; it is {stream.type}",
                )
            elif stream.committed is not None:
                wrong[name] = ("STREAM_ALREADY_COMMITTED", "The stream was committed before")
            elif not stream.finalized:
                wrong[name] = ("STREAM_NOT_FINALIZED", "The stream must be finalized before it is committed")
        return streams, wrong

    # -- inside

    def _check_offset(self, stream: WriteStream, offset: int | None) -> None:
        if stream.finalized:
            raise invalid(f"The stream must not be finalized to take rows; given: {stream.name}")
        if offset is None or offset == stream.rows:
            return
        told = f"expected offset {stream.rows}, received {offset}"
        if offset < stream.rows:
            raise AlreadyExists(f"The offset is within stream, {told}", reason="invalid")
        raise OutOfRange(f"The offset is beyond stream, {told}", reason="invalid")

    @contextmanager
    def _restored(self, stream: WriteStream) -> Iterator[None]:
        """Where the block fails, the stream stands where it stood."""
        before = stream.rows, stream.flushed
        try:
            yield
        except BaseException:
            stream.rows, stream.flushed = before
            raise

    @contextmanager
    def _writing(self, stream: WriteStream) -> Iterator[tuple[Record, Any]]:
        """The table's record and a session in a transaction, while nobody else writes the table."""
        with self._locks.hold(stream.table.name):
            record = self._record(stream)
            with self._physical.session() as session, session.transaction():
                yield record, session

    def _record(self, stream: WriteStream) -> Record:
        record = self._tables.find(stream.table)
        if record is None or record.uid != stream.table_uid:
            raise not_found("Stream", stream.name)
        return record

    def _show(self, session: Any, record: Record, stream: WriteStream, start: int, stop: int) -> None:
        """Add rows of a stream's staging table to its table, in their order."""
        assert stream.staging is not None
        columns = fields_from_rest(record.body["schema"]["fields"])
        rows = self._physical.scan(stream.table.project, stream.staging, start=start, count=stop - start)
        batches = arriving(record.body, (fit(batch, columns) for batch in rows), self._clock.now())
        stored = fields_from_rest(stored_fields(record.body))
        session.append(stream.table.project, writable(record), pa.schema([each.arrow for each in stored]), batches)

    def _keep(self, stream: WriteStream) -> None:
        self._records.update(stream.name, lambda _: _body(stream))

    # -- life

    def recover(self) -> None:
        """After a start: what the engine's marks say is written down, so that the marks may go."""
        for record in self._records.list(KIND).records:
            stream = self._stream(record)
            text = self._physical.engine.marked(stream.table.project, stream.name)
            if text is not None:
                said = json.loads(text)
                stream.rows, stream.flushed = said["rows"], said["flushed"]
                stream.committed = datetime.fromisoformat(said["committed"]) if said["committed"] else None
                self._keep(stream)
                self._tables.touch(stream.table)
        self.sweep()

    def physical_names(self, project: str) -> set[str]:
        """The staging tables of a project that are still needed."""
        found = (self._stream(each) for each in self._records.list(KIND).records)
        return {
            each.staging for each in found if each.staging and each.table.project == project and each.committed is None
        }

    def sweep(self) -> None:
        """Forget streams of tables that are gone, and those that nobody used for ``KEPT``."""
        for record in self._records.list(KIND).records:
            stream = self.get(record.name)
            table = self._tables.find(stream.table)
            gone = table is None or table.uid != stream.table_uid
            if gone or self._clock.now() - record.update_time > KEPT:
                with stream.lock:
                    self._records.delete(record.name)
                    with self._lock:
                        self._open.pop(record.name, None)
                if stream.staging is not None and stream.committed is None:
                    self._physical.drop(stream.table.project, stream.staging)

    @staticmethod
    def _stream(record: Record) -> WriteStream:
        body = record.body
        at = body.get("committed")
        return WriteStream(
            record.name, _table_of(record.name), body["type"], datetime.fromisoformat(body["created"]), body["tableUid"],
            body.get("staging"), body["rows"], body["flushed"], body["finalized"],
            datetime.fromisoformat(at) if at else None,
        )  # fmt: skip


def _table_of(name: str) -> TableReference:
    table, found, _ = name.partition("/streams/")
    if not found:
        raise not_found("Stream", name)
    return TableReference.of(table)


def _body(stream: WriteStream) -> dict[str, Any]:
    return {
        "type": stream.type,
        "created": stream.created.isoformat(),
        "tableUid": stream.table_uid,
        "staging": stream.staging,
        "rows": stream.rows,
        "flushed": stream.flushed,
        "finalized": stream.finalized,
        "committed": stream.committed.isoformat() if stream.committed else None,
    }


__all__ = ["BUFFERED", "COMMITTED", "DEFAULT", "PENDING", "WriteStream", "WriteStreams"]
