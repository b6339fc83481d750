"""Read sessions of the Storage Read API: a snapshot of rows, cut into streams that can be read again from any row.

A query's result is such a snapshot already; of a table one is written when the session is made, so that streams give the
same rows at the same offsets however the table changes meanwhile.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from tule.bigquery import schemas
from tule.bigquery.errors import invalid, not_found
from tule.bigquery.formats.columnar import cast
from tule.bigquery.readable import Readable, Sources
from tule.bigquery.references import JobReference, TableReference
from tule.bigquery.results import Rows, open_rows
from tule.bigquery.types import Field, fields_of
from tule.kernel.clock import Clock
from tule.kernel.home import Home
from tule.kernel.records import Records

KIND = "bigquery#readSession"
KEPT = timedelta(hours=6)
_ROWS_PER_STREAM = 100_000
_MOST_STREAMS = 8
# Rows of one message: a few megabytes at most.
_MESSAGE_BYTES = 4 * 2**20

ARROW, AVRO = "ARROW", "AVRO"

Filtered = Callable[[TableReference, str], Iterator[pa.RecordBatch]]
JobRows = Callable[[JobReference], Rows]


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
    """Sessions are records, their snapshots files: both survive a restart, neither its time.

    ``filtered`` runs a query with a row restriction, ``job_rows`` finds the result of a job; set by the warehouse.
    """

    def __init__(self, records: Records, sources: Sources, home: Home, clock: Clock) -> None:
        self._records = records
        self._sources = sources
        self._clock = clock
        self._folder = home.folder("readsessions")
        self.filtered: Filtered
        self.job_rows: JobRows

    def create(
        self,
        project: str,
        table: TableReference,
        *,
        selected: Sequence[str] = (),
        restriction: str = "",
        most_streams: int = 0,
        compression: str | None = None,
        format: str = ARROW,
    ) -> ReadSession:
        """A session over the rows that the table has now."""
        source = self._sources.open(table)
        fields = schemas.selected(source.fields, ",".join(selected))
        session = secrets.token_hex(16)
        place: dict[str, Any]
        if source.kept is not None and not restriction:
            rows, place = source.kept, {"table": table.json()}
        else:
            rows = self._snapshot(session, table, source, fields, restriction)
            place = {"file": session}
        count = _streams(rows.num_rows, most_streams)
        cuts = [rows.num_rows * index // count for index in range(count + 1)] if count else [0]
        expires = self._clock.now() + KEPT
        name = f"projects/{project}/locations/us/sessions/{session}"
        body = {
            **place,
            "cuts": cuts,
            "columns": [each["name"] for each in fields],
            "fields": fields,
            "expires": expires.isoformat(),
            "compression": compression,
            "format": format,
        }
        self._records.create(KIND, name, body)
        streams = tuple(f"{name}/streams/{index}" for index in range(count))
        size = rows.num_rows * 8 * len(fields)
        return ReadSession(name, wire_schema(fields), fields, rows.num_rows, streams, expires, size)

    def _snapshot(
        self,
        session: str,
        table: TableReference,
        source: Readable,
        fields: Sequence[schemas.JsonField],
        restriction: str,
    ) -> Rows:
        path = self._folder / session
        batches = self.filtered(table, restriction) if restriction else source.scan()
        wanted = wire_schema(fields)
        try:
            with path.open("xb") as file:
                with pa.ipc.new_file(file, wanted) as writer:
                    for batch in batches:
                        writer.write_batch(picked(batch, wanted))
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return open_rows(path)

    def read(self, stream: str, offset: int) -> StreamRows:
        """The rows of a stream from row ``offset`` on; raises NotFound for a stream of no session that lives."""
        parts = stream.split("/")
        if len(parts) == 8 and parts[4] == "jobs" and parts[6:] == ["streams", "_default"]:
            rows = self.job_rows(JobReference(parts[1], parts[5], parts[3]))
            fields = [each.rest() for each in fields_of(rows.schema)]
            return self._from(rows, {"fields": fields}, 0, rows.num_rows, offset)
        name, _, number = stream.rpartition("/streams/")
        record = self._records.find(name) if parts[4:5] == ["sessions"] else None
        if record is None or datetime.fromisoformat(record.body["expires"]) <= self._clock.now():
            raise not_found("Stream", stream)
        cuts = record.body["cuts"]
        if not number.isdigit() or int(number) >= len(cuts) - 1:
            raise not_found("Stream", stream)
        start, stop = cuts[int(number)], cuts[int(number) + 1]
        rows = self._rows(record.body, stream)
        return self._from(rows, record.body, start, stop, offset)

    def _rows(self, body: dict[str, Any], stream: str) -> Rows:
        if "file" in body:
            path: Path = self._folder / body["file"]
            if not path.exists():
                raise not_found("Stream", stream)
            return open_rows(path)
        kept = self._sources.open(TableReference.read(body["table"], "")).kept
        if kept is None:
            raise not_found("Stream", stream)
        return kept

    @staticmethod
    def _from(rows: Rows, body: Mapping[str, Any], start: int, stop: int, offset: int) -> StreamRows:
        if offset < 0 or offset > stop - start:
            raise invalid(f"The offset must be within the stream's {stop - start} rows; given: {offset}")
        fields = body["fields"]
        schema = wire_schema(fields)
        batches = (piece for batch in rows.scan(start + offset, stop) for piece in _pieces(picked(batch, schema)))
        return StreamRows(schema, fields, batches, stop - start, body.get("compression"), body.get("format", ARROW))

    def sweep(self) -> None:
        """Forget sessions whose time is over, and files of none."""
        now = self._clock.now()
        live = set()
        for record in self._records.list(KIND).records:
            if datetime.fromisoformat(record.body["expires"]) <= now:
                self._records.delete(record.name)
            elif "file" in record.body:
                live.add(record.body["file"])
        for path in self._folder.iterdir():
            if path.name not in live:
                path.unlink(missing_ok=True)


def _streams(rows: int, most: int) -> int:
    """How many streams: none for no rows, one for a hundred thousand rows each, at most what the caller can take."""
    wanted = min(_MOST_STREAMS, -(-rows // _ROWS_PER_STREAM))
    return min(wanted, most) if most > 0 else wanted


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
