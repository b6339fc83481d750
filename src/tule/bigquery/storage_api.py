"""The door of the BigQuery Storage Read API. https://cloud.google.com/bigquery/docs/reference/storage/rpc"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from google.cloud.bigquery_storage_v1 import types

from tule.bigquery.errors import invalid, not_implemented
from tule.bigquery.record_batches import serialized
from tule.bigquery.references import TableReference
from tule.bigquery.warehouse import Warehouse
from tule.kernel.names import Pattern
from tule.wire.service import Call, Platform, Service, rpc

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
        if wanted.data_format == types.DataFormat.AVRO:
            raise not_implemented("A read session in AVRO", do="use data_format ARROW")
        if wanted.data_format != types.DataFormat.ARROW:
            raise invalid("read_session.data_format must be ARROW")
        options = wanted.read_options.arrow_serialization_options
        compression = _codec(options)
        project = request.parent.removeprefix("projects/")
        table = TableReference(**_TABLE.parse(wanted.table))
        self._warehouse.check_read(table, call.principal)
        made = self._warehouse.read_sessions.create(
            project,
            table,
            selected=list(wanted.read_options.selected_fields),
            restriction=wanted.read_options.row_restriction,
            most_streams=request.max_stream_count,
            compression=compression,
        )
        return types.ReadSession(
            name=made.name,
            expire_time=made.expires,
            data_format=types.DataFormat.ARROW,
            arrow_schema=types.ArrowSchema(serialized_schema=made.schema.serialize().to_pybytes()),
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
        schema, batches, total, compression = self._warehouse.read_sessions.read(request.read_stream, request.offset)
        compression = _codec(request.arrow_serialization_options) or compression
        return _responses(schema, batches, total, request.offset, compression)

    @rpc(permission="bigquery.readsessions.update", executes=("name", "fraction"))
    def split_read_stream(self, request: Any, call: Call) -> Any:
        raise not_implemented("SplitReadStream", do="ask for more streams with max_stream_count")


def _codec(options: Any) -> str | None:
    if int(options.picos_timestamp_precision) not in _MICROS:
        raise not_implemented("picos_timestamp_precision beyond microseconds", do="leave it out")
    return _CODECS.get(int(options.buffer_compression))


def _responses(
    schema: pa.Schema, batches: Iterator[pa.RecordBatch], total: int, offset: int, compression: str | None
) -> Iterator[Any]:
    """Messages of a stream; the first carries the schema, each says how far it is."""
    described = types.ArrowSchema(serialized_schema=schema.serialize().to_pybytes())
    done = offset
    for index, batch in enumerate(batches):
        before = done / total
        done += batch.num_rows
        response = types.ReadRowsResponse(
            arrow_record_batch=types.ArrowRecordBatch(
                serialized_record_batch=serialized(batch, compression),
                row_count=batch.num_rows,
            ),
            row_count=batch.num_rows,
            stats=types.StreamStats(
                progress=types.StreamStats.Progress(at_response_start=before, at_response_end=done / total)
            ),
            uncompressed_byte_size=batch.nbytes,
        )
        if index == 0:
            response.arrow_schema = described
        yield response
