"""The door of the BigQuery Storage Write API. https://cloud.google.com/bigquery/docs/reference/storage/rpc"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from google.cloud.bigquery_storage_v1 import types

from tule.bigquery.errors import invalid
from tule.bigquery.formats.columnar import cast
from tule.bigquery.physical import fit
from tule.bigquery.proto_rows import ProtoRows
from tule.bigquery.references import TableReference
from tule.bigquery.types import Field
from tule.bigquery.warehouse import Warehouse
from tule.bigquery.write_streams import WriteStream
from tule.kernel.errors import AlreadyExists, InvalidArgument, OutOfRange, TuleError
from tule.kernel.names import Pattern
from tule.wire import errors
from tule.wire.service import Call, Platform, Service, rpc

_TABLE = Pattern("projects/{project}/datasets/{dataset}/tables/{table}")
_MOST_BYTES = 20 * 2**20
_MOST_ROW_ERRORS = 1000
_UPDATE = "bigquery.tables.updateData"


class BigQueryWrite(Service):
    """google.cloud.bigquery.storage.v1.BigQueryWrite"""

    packages = ("google.cloud.bigquery_storage_v1",)
    service = "BigQueryWrite"

    def __init__(self, platform: Platform, warehouse: Warehouse) -> None:
        super().__init__(platform)
        self._streams = warehouse.write_streams

    @rpc(permission=_UPDATE, executes=("parent", "write_stream.type_", "write_stream.write_mode"))
    def create_write_stream(self, request: Any, call: Call) -> Any:
        kind = types.WriteStream.Type(request.write_stream.type_).name
        made = self._streams.create(TableReference(**_TABLE.parse(request.parent)), kind)
        return self._resource(made, schema=True)

    @rpc(permission=_UPDATE, executes=("name", "view"))
    def get_write_stream(self, request: Any, call: Call) -> Any:
        found = self._streams.get(request.name)
        return self._resource(found, schema=request.view == types.WriteStreamView.FULL)

    @rpc(permission=_UPDATE, executes=("name",))
    def finalize_write_stream(self, request: Any, call: Call) -> Any:
        return types.FinalizeWriteStreamResponse(row_count=self._streams.finalize(request.name))

    @rpc(permission=_UPDATE, executes=("write_stream", "offset"))
    def flush_rows(self, request: Any, call: Call) -> Any:
        if request.offset is None:
            raise invalid("FlushRows needs an offset")
        return types.FlushRowsResponse(offset=self._streams.flush(request.write_stream, _number(request.offset)))

    @rpc(permission=_UPDATE, executes=("parent", "write_streams"))
    def batch_commit_write_streams(self, request: Any, call: Call) -> Any:
        table = TableReference(**_TABLE.parse(request.parent))
        committed, wrong = self._streams.commit(table, list(request.write_streams))
        return types.BatchCommitWriteStreamsResponse(
            commit_time=committed,
            stream_errors=[
                types.StorageError(code=code, entity=name, error_message=why) for name, (code, why) in wrong.items()
            ],
        )

    @rpc(
        permission=_UPDATE,
        executes=(
            "write_stream",
            "offset",
            "proto_rows.*",
            "arrow_rows.*",
            # No column has a default value (that is refused where tables are made): missing values are NULL either way.
            "missing_value_interpretations",
            "default_missing_value_interpretation",
        ),
        stores=("trace_id", "client_stats.*"),
    )
    def append_rows(self, requests: Iterator[Any], call: Call) -> Iterator[Any]:
        writer = _Connection(self)
        for request in requests:
            yield writer.append(request)

    def _resource(self, stream: WriteStream, *, schema: bool) -> Any:
        made = types.WriteStream(
            name=stream.name,
            type_=stream.type,
            create_time=stream.created,
            commit_time=stream.committed,
            write_mode=types.WriteStream.WriteMode.INSERT,
            location="us",
        )
        if schema:
            made.table_schema = types.TableSchema(fields=[_described(each) for each in self._streams.fields(stream)])
        return made


class _Connection:
    """One AppendRows call: what an earlier request said holds for the later ones."""

    def __init__(self, door: BigQueryWrite) -> None:
        self._streams = door._streams
        self._stream: WriteStream | None = None
        self._descriptor: Any = None
        self._arrow_schema: pa.Schema | None = None
        self._reader: tuple[list[Field], ProtoRows] | None = None

    def append(self, request: Any) -> Any:
        """The answer to one request; what is wrong with its rows or its offset does not end the connection."""
        message = type(request).pb(request)
        if message.ByteSize() > _MOST_BYTES:
            raise invalid(f"An AppendRowsRequest must be smaller than {_MOST_BYTES} bytes; given: {message.ByteSize()}")
        stream = self._target(request.write_stream)
        offset = message.offset.value if message.HasField("offset") else None
        bad: dict[int, str] = {}
        try:
            batch, bad = self._rows(message, self._streams.fields(stream))
            if bad:
                raise invalid(f"Errors found while processing rows: {len(bad)} of {batch.num_rows + len(bad)} rows")
            first = self._streams.append(stream, batch, offset)
        except InvalidArgument as error:
            return _refused(stream, error, bad)
        except AlreadyExists as error:
            return _refused(stream, error, {})
        result = types.AppendRowsResponse.AppendResult()
        if first is not None:
            result.offset = first  # type: ignore[assignment]
        return types.AppendRowsResponse(append_result=result, write_stream=stream.name)

    def _target(self, name: str) -> WriteStream:
        if not name and self._stream is None:
            raise invalid("The first request of a connection must name its write_stream")
        if name and (self._stream is None or name != self._stream.name):
            self._stream = self._streams.get(name)
            self._descriptor = self._arrow_schema = self._reader = None
        assert self._stream is not None
        return self._stream

    def _rows(self, message: Any, fields: list[Field]) -> tuple[pa.RecordBatch, dict[int, str]]:
        kind = message.WhichOneof("rows")
        if kind == "proto_rows":
            data = message.proto_rows
            if data.HasField("writer_schema"):
                self._descriptor, self._reader = data.writer_schema.proto_descriptor, None
            if self._descriptor is None:
                raise invalid("The first request with proto_rows must carry a writer_schema")
            if self._reader is None or self._reader[0] != fields:
                self._reader = (fields, ProtoRows(self._descriptor, fields))
            return self._reader[1].batch(data.rows.serialized_rows)
        if kind == "arrow_rows":
            data = message.arrow_rows
            if data.HasField("writer_schema"):
                self._arrow_schema = _read_schema(data.writer_schema.serialized_schema)
            if self._arrow_schema is None:
                raise invalid("The first request with arrow_rows must carry a writer_schema")
            return _arrow_rows(self._arrow_schema, data.rows.serialized_record_batch, fields), {}
        raise invalid("An AppendRowsRequest must carry proto_rows or arrow_rows")


def _read_schema(data: bytes) -> pa.Schema:
    try:
        return pa.ipc.read_schema(pa.py_buffer(data))
    except (pa.ArrowInvalid, OSError) as error:
        raise invalid(f"writer_schema.serialized_schema must be an Arrow IPC schema: {error}") from error


def _arrow_rows(schema: pa.Schema, data: bytes, fields: list[Field]) -> pa.RecordBatch:
    known = {each.name.lower() for each in fields}
    if unknown := [name for name in schema.names if name.lower() not in known]:
        raise invalid(f"The source object has fields unknown to BigQuery: {', '.join(unknown)}")
    try:
        batch = pa.ipc.read_record_batch(pa.py_buffer(data), schema)
        batch.validate(full=True)
        for field in schema:
            target = next(each for each in fields if each.name.lower() == field.name.lower())
            cast(pa.nulls(0, field.type), target.arrow.type)
        made = fit(batch, fields)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise invalid(f"arrow_rows must fit the columns of the table: {error}") from error
    for each in fields:
        if each.mode == "REQUIRED" and made.column(each.name).null_count:
            raise invalid(f"Missing required field: {each.name}.")
    return made


def _refused(stream: WriteStream, error: TuleError, bad: dict[int, str]) -> Any:
    from google.protobuf import any_pb2
    from google.rpc import status_pb2

    status = status_pb2.Status(code=errors.number(error.code), message=error.message)
    code = _STORAGE_CODES.get(type(error))
    if code is not None:
        detail = any_pb2.Any()
        known = types.StorageError(code=code, entity=stream.name, error_message=error.message)
        detail.Pack(types.StorageError.pb(known))
        status.details.append(detail)
    rows = [
        types.RowError(index=index, code=types.RowError.RowErrorCode.FIELDS_ERROR, message=why)
        for index, why in sorted(bad.items())[:_MOST_ROW_ERRORS]
    ]
    return types.AppendRowsResponse(error=status, row_errors=rows, write_stream=stream.name)


_STORAGE_CODES = {AlreadyExists: "OFFSET_ALREADY_EXISTS", OutOfRange: "OFFSET_OUT_OF_RANGE"}


def _number(offset: Any) -> int:
    return int(getattr(offset, "value", offset))


def _described(field: Field) -> Any:
    """A column as a TableFieldSchema of this API."""
    return types.TableFieldSchema(
        name=field.name,
        type_=_TYPE_NAMES.get(field.type, field.type),
        mode=field.mode,
        fields=[_described(each) for each in field.fields],
        description=field.description,
    )


_TYPE_NAMES = {"FLOAT64": "DOUBLE"}
