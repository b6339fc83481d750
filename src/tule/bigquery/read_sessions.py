"""Read sessions of the Storage Read API: rows as they are when the session is made, cut into streams that can be read again
from any row.

A query's result never changes. A table's rows are read where they lie, as long as rows are only added behind them; before
they change, the session is given a copy of them in a file. Rows that a restriction leaves are written down at once.
"""

from __future__ import annotations

import itertools
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from tule.bigquery import schemas
from tule.bigquery.errors import invalid, not_found
from tule.bigquery.formats.columnar import cast
from tule.bigquery.physical import Physical
from tule.bigquery.readable import Sources
from tule.bigquery.references import JobReference, TableReference
from tule.bigquery.results import Rows, open_rows
from tule.bigquery.types import Field, fields_of
from tule.kernel.clock import Clock
from tule.kernel.home import Home
from tule.kernel.records import Record, Records

KIND = "bigquery#readSession"
KEPT = timedelta(hours=6)
_ROWS_PER_STREAM = 100_000
_MOST_STREAMS = 8
# Rows of one message. Blocks of a megabyte and more are mappings of their own (kernel.allocator), which cost more than the
# copying does.
_MESSAGE_BYTES = 900_000

ARROW, AVRO = "ARROW", "AVRO"

Filtered = Callable[[TableReference, str, str], Iterator[pa.RecordBatch]]
JobRows = Callable[[JobReference], Rows]
Scan = Callable[[int, int], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class ReadSession:
    """A session: its streams are (name) cut by rows; ``schema`` is what the wire carries."""

    name: str
    schema: pa.Schema
    fields: Sequence[schemas.JsonField]
    rows: int
    streams: tuple[str, ...]
    expires: datetime
    bytes: int


@dataclass(frozen=True)
class StreamRows:
    """What one read of a stream gives: ``batches`` from the offset on, of ``rows`` rows that the stream has."""

    schema: pa.Schema
    fields: Sequence[schemas.JsonField]
    batches: Iterator[pa.RecordBatch]
    rows: int
    compression: str | None
    format: str


class ReadSessions:
    """Sessions are records, their copies files: both survive a restart, neither its time.

    ``filtered`` runs a query with a row restriction, ``job_rows`` finds the result of a job; set by the warehouse.
    """

    def __init__(self, records: Records, sources: Sources, physical: Physical, home: Home, clock: Clock) -> None:
        self._records = records
        self._sources = sources
        self._physical = physical
        self._clock = clock
        self._folder = home.folder("readsessions")
        self.filtered: Filtered
        self.job_rows: JobRows

    def create(
        self,
        project: str,
        table: TableReference,
        *,
        user: str,
        selected: Sequence[str] = (),
        restriction: str = "",
        most_streams: int = 0,
        compression: str | None = None,
        format: str = ARROW,
    ) -> ReadSession:
        """A session over the rows that the table has now, of those that ``user`` sees."""
        source = self._sources.open(table, user)
        fields = schemas.selected(source.fields, ",".join(selected))
        name = f"projects/{project}/locations/us/sessions/{secrets.token_hex(16)}"
        expires = self._clock.now() + KEPT
        body: dict[str, Any] = {
            "columns": [each["name"] for each in fields],
            "fields": fields,
            "expires": expires.isoformat(),
            "compression": compression,
            "format": format,
        }
        if restriction:
            rows = self._written(name, body, self.filtered(table, restriction, user), most_streams)
        elif source.kept is not None:
            rows = source.kept.num_rows
            self._records.create(KIND, name, {**body, "table": table.json(), "cuts": _cuts(rows, most_streams)})
        else:
            place = source.physical
            found = None if place is None else self._in_place(name, body, place, most_streams)
            # Its rows are being changed: what they were before, or are by then, is written down.
            rows = self._written(name, body, source.scan(), most_streams) if found is None else found
        streams = tuple(f"{name}/streams/{index}" for index in range(len(_cuts(rows, most_streams)) - 1))
        size = rows * 8 * len(fields)
        return ReadSession(name, wire_schema(fields), fields, rows, streams, expires, size)

    def _written(self, name: str, body: dict[str, Any], batches: Iterator[pa.RecordBatch], most_streams: int) -> int:
        """Make a session of rows that are copied now; their number."""
        file = _file(name)
        rows = self._copy(file, body["fields"], batches)
        self._records.create(KIND, name, {**body, "file": file, "cuts": _cuts(rows, most_streams)})
        return rows

    def _copy(self, file: str, fields: Sequence[schemas.JsonField], batches: Iterator[pa.RecordBatch]) -> int:
        path, wanted, rows = self._folder / file, wire_schema(fields), 0
        try:
            with path.open("wb") as opened:
                with pa.ipc.new_file(opened, wanted) as writer:
                    for batch in batches:
                        writer.write_batch(picked(batch, wanted))
                        rows += batch.num_rows
                opened.flush()
                os.fsync(opened.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return rows

    # -- rows that lie in a table

    def _in_place(self, name: str, body: dict[str, Any], table: tuple[str, str], most_streams: int) -> int | None:
        """Make a session of the rows of a physical table; None where they are being changed now."""
        made = threading.Event()

        def about_to_change() -> None:
            made.wait()
            self._take_copy(name, table)

        if not self._physical.watch(*table, name, about_to_change):
            return None
        try:
            rows = self._physical.rows(*table)
            self._records.create(KIND, name, {**body, "physical": list(table), "cuts": _cuts(rows, most_streams)})
        except BaseException:
            self._physical.unwatch(*table, name)
            raise
        finally:
            made.set()
        return rows

    def _take_copy(self, name: str, table: tuple[str, str]) -> None:
        """Write the rows of a session into a file, before they change in their table."""
        record = self._records.find(name)
        if record is not None and "physical" in record.body:
            body = record.body
            scan = self._physical.scan(*table, body["columns"], count=body["cuts"][-1])
            self._copy(_file(name), body["fields"], scan)
            self._records.update(name, lambda body: {**_without(body, "physical"), "file": _file(name)})
        self._physical.unwatch(*table, name)

    def recover(self) -> None:
        """After a start: watch the tables again whose rows are read in place."""
        for record in self._records.list(KIND).records:
            if "physical" in record.body:
                table = _table(record)
                self._physical.watch(*table, record.name, partial(self._take_copy, record.name, table))

    # -- reading

    def read(self, stream: str, offset: int) -> StreamRows:
        """The rows of a stream from row ``offset`` on; raises NotFound for a stream of no session that lives."""
        parts = stream.split("/")
        if len(parts) == 8 and parts[4] == "jobs" and parts[6:] == ["streams", "_default"]:
            rows = self.job_rows(JobReference(parts[1], parts[5], parts[3]))
            fields = [each.rest() for each in fields_of(rows.schema)]
            return _stream({"fields": fields}, rows.scan, 0, rows.num_rows, offset)
        name, _, number = stream.rpartition("/streams/")
        record = self._live(name) if parts[4:5] == ["sessions"] else None
        if record is None or not number.isdigit() or int(number) >= len(record.body["cuts"]) - 1:
            raise not_found("Stream", stream)
        start, stop = record.body["cuts"][int(number)], record.body["cuts"][int(number) + 1]
        return _stream(record.body, self._scan(record, stream), start, stop, offset)

    def _live(self, name: str) -> Record | None:
        record = self._records.find(name)
        live = record is not None and datetime.fromisoformat(record.body["expires"]) > self._clock.now()
        return record if live else None

    def _scan(self, record: Record, stream: str) -> Scan:
        """How the rows of a session are read; raises NotFound where they are no longer there."""
        body = record.body
        if "physical" in body:
            return lambda start, stop: self._scan_table(record.name, stream, start, stop)
        if "file" in body:
            path: Path = self._folder / body["file"]
            if not path.exists():
                raise not_found("Stream", stream)
            return open_rows(path).scan
        kept = self._sources.open(TableReference.read(body["table"], "")).kept
        if kept is None:
            raise not_found("Stream", stream)
        return kept.scan

    def _scan_table(self, name: str, stream: str, start: int, stop: int) -> Iterator[pa.RecordBatch]:
        """Rows out of their table, or out of the copy where one was made before the reading began."""
        record = self._live(name)
        if record is None:
            raise not_found("Stream", stream)
        if "physical" in record.body and start < stop:
            found = self._physical.scan(
                *_table(record), record.body["columns"], start=start, count=stop - start,
                settled=lambda: self._records.get(name).body.get("physical") is not None,
            )  # fmt: skip
            first = next(found, None)
            if first is not None:
                yield from itertools.chain((first,), found)
                return
            record = self._records.get(name)
        if start < stop:
            yield from self._scan(record, stream)(start, stop)

    def sweep(self) -> None:
        """Forget sessions whose time is over, and files of none."""
        now = self._clock.now()
        live = set()
        for record in self._records.list(KIND).records:
            if datetime.fromisoformat(record.body["expires"]) <= now:
                self._records.delete(record.name)
                if "physical" in record.body:
                    self._physical.unwatch(*_table(record), record.name)
            elif "file" in record.body:
                live.add(record.body["file"])
        for path in self._folder.iterdir():
            if path.name not in live:
                path.unlink(missing_ok=True)


def _cuts(rows: int, most: int) -> list[int]:
    """Where streams begin, and the end: no stream for no rows, one for a hundred thousand rows each, at most what the
    caller can take; where that is all the same, no more than there are cores to fill them.

    >>> _cuts(0, 0), _cuts(7, 0), _cuts(250_000, 2)
    ([0], [0, 7], [0, 125000, 250000])
    """
    count = min(_MOST_STREAMS, -(-rows // _ROWS_PER_STREAM), most if most > 0 else os.cpu_count() or 1)
    return [rows * index // count for index in range(count + 1)] if count else [0]


def _table(record: Record) -> tuple[str, str]:
    """The physical table (project, name) that a session is read from."""
    project, name = record.body["physical"]
    return project, name


def _file(session: str) -> str:
    return session.rsplit("/", 1)[1]


def _without(body: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != key}


def _stream(body: Mapping[str, Any], scan: Scan, start: int, stop: int, offset: int) -> StreamRows:
    if offset < 0 or offset > stop - start:
        raise invalid(f"The offset must be within the stream's {stop - start} rows; given: {offset}")
    fields = body["fields"]
    schema = wire_schema(fields)
    batches = (piece for batch in scan(start + offset, stop) for piece in _pieces(picked(batch, schema)))
    return StreamRows(schema, fields, batches, stop - start, body.get("compression"), body.get("format", ARROW))


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    size = max(1, batch.nbytes)
    rows = max(1, batch.num_rows * _MESSAGE_BYTES // size)
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def picked(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns of ``schema`` out of a batch, by name; parts of structs where only those are wanted."""
    places = {name.lower(): index for index, name in enumerate(batch.schema.names)}
    columns = [cast(batch.column(places[field.name.lower()]), field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


_EXTENSIONS: dict[str, dict[bytes, bytes]] = {
    "JSON": {b"ARROW:extension:name": b"google:sqlType:json"},
    "DATETIME": {b"ARROW:extension:name": b"google:sqlType:datetime"},
    "GEOGRAPHY": {
        b"ARROW:extension:name": b"google:sqlType:geography",
        b"ARROW:extension:metadata": b'{"encoding": "WKT"}',
    },
}


def wire_schema(fields: Sequence[schemas.JsonField]) -> pa.Schema:
    """The Arrow schema that clients see: types that Arrow lacks are told as Google's service tells them."""
    return pa.schema([_wire(Field.from_rest(each)) for each in fields])


def _wire(field: Field) -> pa.Field:
    kind = field.value_type
    if field.type == "STRUCT":
        kind = pa.struct([_wire(each) for each in field.fields])
    metadata = _EXTENSIONS.get(field.type)
    if field.repeated:
        return pa.field(field.name, pa.list_(pa.field("item", kind, metadata=metadata)), nullable=False)
    return pa.field(field.name, kind, nullable=field.mode != "REQUIRED", metadata=metadata)
