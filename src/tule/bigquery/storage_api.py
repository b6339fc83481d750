"""The door of the BigQuery Storage Read API. https://cloud.google.com/bigquery/docs/reference/storage/rpc"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from google.cloud.bigquery_storage_v1 import types

from tule.bigquery.errors import invalid, not_implemented
from tule.bigquery.formats import avro
from tule.bigquery.read_sessions import ARROW, AVRO, StreamRows
from tule.bigquery.record_batches import serialized
from tule.bigquery.references import TableReference
from tule.bigquery.schemas import JsonField
from tule.bigquery.types import fields_from_rest
from tule.bigquery.warehouse import Warehouse
from tule.kernel.names import Pattern
from tule.wire.service import Call, Platform, Service, rpc
from tule.wire.splices import spliced
from tule.wire.surfaces import pb

_TABLE = Pattern("projects/{project}/datasets/{dataset}/tables/{table}")
_CODECS = {0: None, 1: "lz4", 2: "zstd"}
_MICROS = (0, 1)


class BigQueryRead(Service):
    """google.cloud.bigquery.storage.v1.BigQueryRead"""

    packages = ("google.cloud.bigquery_storage_v1",)
    service = "BigQueryRead"

    def __init__(self, platform: Platform, warehouse: Warehouse) -> None:
        super().__init__(platform)
        self._warehouse = warehouse

    @rpc(
        permission="bigquery.readsessions.create",
        executes=(
            "parent",
            "max_stream_count",
            "preferred_min_stream_count",
            "read_session.table",
            "read_session.data_format",
            "read_session.read_options.selected_fields",
            "read_session.read_options.row_restriction",
            "read_session.read_options.arrow_serialization_options.buffer_compression",
            "read_session.read_options.arrow_serialization_options.picos_timestamp_precision",
        ),
        stores=("read_session.trace_id",),
    )
    def create_read_session(self, request: Any, call: Call) -> Any:
        wanted = request.read_session
        format = types.DataFormat(wanted.data_format).name
        if format not in (ARROW, AVRO):
            raise invalid("read_session.data_format must be ARROW or AVRO")
        options = wanted.read_options.arrow_serialization_options
        compression = _codec(options)
        project = request.parent.removeprefix("projects/")
        table = TableReference(**_TABLE.parse(wanted.table))
        self._warehouse.check_read(table, call.principal)
        made = self._warehouse.read_sessions.create(
            project,
            table,
            user=call.principal.email,
            selected=list(wanted.read_options.selected_fields),
            restriction=wanted.read_options.row_restriction,
            most_streams=request.max_stream_count,
            compression=compression,
            format=format,
        )
        return types.ReadSession(
            name=made.name,
            expire_time=made.expires,
            data_format=format,
            **_schema(format, made.schema, made.fields),
            table=wanted.table,
            read_options=wanted.read_options,
            streams=[types.ReadStream(name=name) for name in made.streams],
            estimated_total_bytes_scanned=made.bytes,
            estimated_row_count=made.rows,
            trace_id=wanted.trace_id,
        )

    @rpc(
        permission="bigquery.readsessions.getData",
        executes=(
            "read_stream",
            "offset",
            "arrow_serialization_options.buffer_compression",
            "arrow_serialization_options.picos_timestamp_precision",
        ),
    )
    def read_rows(self, request: Any, call: Call) -> Iterator[Any]:
        found = self._warehouse.read_sessions.read(request.read_stream, request.offset)
        return _responses(found, request.offset, _codec(request.arrow_serialization_options) or found.compression)

    @rpc(permission="bigquery.readsessions.update", executes=("name", "fraction"))
    def split_read_stream(self, request: Any, call: Call) -> Any:
        raise not_implemented("SplitReadStream", do="ask for more streams with max_stream_count")


def _codec(options: Any) -> str | None:
    if int(options.picos_timestamp_precision) not in _MICROS:
        raise not_implemented("picos_timestamp_precision beyond microseconds", do="leave it out")
    return _CODECS.get(int(options.buffer_compression))


def _schema(format: str, schema: pa.Schema, fields: Sequence[JsonField]) -> dict[str, Any]:
    """The schema of a session in its format, as the one field that carries it."""
    if format == AVRO:
        text = json.dumps(avro.row_schema(fields_from_rest(fields)))
        return {"avro_schema": types.AvroSchema(schema=text)}
    return {"arrow_schema": types.ArrowSchema(serialized_schema=schema.serialize().to_pybytes())}


def _responses(found: StreamRows, offset: int, compression: str | None) -> Iterator[Any]:
    """Messages of a stream; the first carries the schema, each says how far it is."""
    described = _schema(found.format, found.schema, found.fields)
    fields = fields_from_rest(found.fields)
    done, total = offset, found.rows
    for index, batch in enumerate(found.batches):
        before = done / total
        done += batch.num_rows
        message = pb(
            types.ReadRowsResponse(
                **(described if index == 0 else {}),
                row_count=batch.num_rows,
                stats=types.StreamStats(
                    progress=types.StreamStats.Progress(at_response_start=before, at_response_end=done / total)
                ),
                uncompressed_byte_size=batch.nbytes,
            )
        )
        if found.format == AVRO:
            message.avro_rows.row_count = batch.num_rows
            yield spliced(message, ("avro_rows", "serialized_binary_rows"), avro.binary_rows(fields, batch))
        else:
            message.arrow_record_batch.row_count = batch.num_rows
            path = ("arrow_record_batch", "serialized_record_batch")
            yield spliced(message, path, serialized(batch, compression))
