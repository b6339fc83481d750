"""Rows that arrive as serialised protobuf messages, by a schema that the client sends along.

Which protobuf types fit which column: https://cloud.google.com/bigquery/docs/supported-data-types (Storage Write API).
A message becomes what a JSON row would be, and is then read as one, so that both ways in have one reading of values.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tule.bigquery.errors import invalid
from tule.bigquery.formats.ndjson import batch_of
from tule.bigquery.formats.values import BadValue, record
from tule.bigquery.types import Field, arrow_schema

_EPOCH = date(1970, 1, 1)
# The extension google.cloud.bigquery.storage.v1.column_name of a field's options.
_COLUMN_NAME = 454943157
_SCALE = {"NUMERIC": 9, "BIGNUMERIC": 38}
_KNOWN = ("timestamp", "wrappers", "duration")


class ProtoRows:
    """Reads the rows of one writer schema as rows of a table. Raises InvalidArgument for a schema that does not fit."""

    def __init__(self, descriptor: Any, fields: Sequence[Field]) -> None:
        self._fields = fields
        self._class = _message_class(descriptor)
        self._read = _message_reader(self._class.DESCRIPTOR, fields, "root")

    def batch(self, rows: Sequence[bytes]) -> tuple[pa.RecordBatch, dict[int, str]]:
        """The rows in the columns of the table, and what is wrong with which of them (the batch is without those)."""
        from google.protobuf.message import DecodeError

        found: list[dict[str, Any]] = []
        bad: dict[int, str] = {}
        for index, data in enumerate(rows):
            try:
                found.append(record(self._read(self._class.FromString(data)), self._fields))
            except BadValue as error:
                bad[index] = str(error)
            except (DecodeError, ValueError, OverflowError) as error:
                bad[index] = f"The row is no message of the writer schema: {error}"
        return batch_of(found, self._fields, arrow_schema(self._fields)), bad


def _message_class(descriptor: Any) -> Any:
    """The message class of a self-contained DescriptorProto."""
    import importlib

    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(name="rows.proto", package="rows", syntax="proto2")
    for name in _KNOWN:
        known = importlib.import_module(f"google.protobuf.{name}_pb2").DESCRIPTOR
        pool.AddSerializedFile(known.serialized_pb)
        file.dependency.append(known.name)
    file.message_type.append(descriptor)
    try:
        pool.Add(file)
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"rows.{descriptor.name}"))
    except (TypeError, KeyError, ValueError) as error:
        raise invalid(f"writer_schema.proto_descriptor must be complete in itself: {error}") from error


Read = Callable[[Any], Any]


def _message_reader(descriptor: Any, fields: Sequence[Field], path: str) -> Read:
    """From a message to a JSON row of ``fields``."""
    columns = {each.name.lower(): each for each in fields}
    readers: list[tuple[Any, str, Read]] = []
    for each in descriptor.fields:
        name = _column_name(each)
        column = columns.get(name.lower())
        if column is None:
            raise invalid(
                f"The source object has fields unknown to BigQuery: {path}.{name}; the table has "
                f"{', '.join(field.name for field in fields)}"
            )
        if each.is_repeated != column.repeated:
            kind = "repeated" if column.repeated else "single"
            raise invalid(f"The proto field {path}.{name} must be {kind}, as column {column.name} is")
        readers.append((each, column.name, _value_reader(each, column, f"{path}.{name}")))

    def read(message: Any) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for each, name, convert in readers:
            if each.is_repeated:
                row[name] = [convert(value) for value in getattr(message, each.name)]
            elif message.HasField(each.name):
                row[name] = convert(getattr(message, each.name))
        return row

    return read


def _column_name(field: Any) -> str:
    """The column that a field is for: its name, or the name that the option ``column_name`` gives."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    unknown: Any = UnknownFieldSet(field.GetOptions())
    for each in unknown:
        if each.field_number == _COLUMN_NAME and isinstance(each.data, bytes):
            return each.data.decode()
    return str(field.name)


def _value_reader(proto: Any, column: Field, path: str) -> Read:
    """From a value of a protobuf field to what a JSON row holds for the column; raises for types that do not fit."""
    kind = _kind(proto)
    if column.type == "STRUCT":
        if kind != "message":
            raise _mismatch(path, kind, column)
        return _message_reader(proto.message_type, column.fields, path)
    if column.type == "RANGE" and kind == "message":
        bounds = (Field("start", column.element), Field("end", column.element))
        return _message_reader(proto.message_type, bounds, path)
    reader = _READERS.get((column.type, kind))
    if reader is None:
        raise _mismatch(path, kind, column)
    if kind == "enum" and column.type == "STRING":
        names = {value.number: value.name for value in proto.enum_type.values}
        return lambda number: names.get(number, str(number))
    return reader


def _mismatch(path: str, kind: str, column: Field) -> Exception:
    fitting = sorted(proto for target, proto in _READERS if target == column.type)
    return invalid(
        f"Proto field type {kind} of {path} does not fit column {column.name} of type {column.type}; "
        f"use one of {', '.join(fitting) or 'message'}"
    )


def _kind(proto: Any) -> str:
    """The protobuf type in one word."""
    if proto.message_type is not None:
        known = proto.message_type.full_name == "google.protobuf.Timestamp"
        return "google.protobuf.Timestamp" if known else "message"
    names = {
        proto.TYPE_DOUBLE: "double",
        proto.TYPE_FLOAT: "float",
        proto.TYPE_BOOL: "bool",
        proto.TYPE_STRING: "string",
        proto.TYPE_BYTES: "bytes",
        proto.TYPE_ENUM: "enum",
    }
    return names.get(proto.type, "integer")


def _same(value: Any) -> Any:
    return value


def _text(value: bytes) -> str:
    return value.decode()


def _base64(value: bytes | str) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def _days(value: int) -> str:
    return (_EPOCH + timedelta(days=value)).isoformat()


def _seconds(micros: int) -> str:
    """Microseconds since 1970 as text of seconds, exactly."""
    sign = "-" if micros < 0 else ""
    return f"{sign}{abs(micros) // 1_000_000}.{abs(micros) % 1_000_000:06d}"


def _time(packed: int) -> str:
    """A time of day in ZetaSQL's 64-bit form: hour, minute, second and microsecond in 5, 6, 6 and 20 bits."""
    hour, minute, second, micro = packed >> 32, packed >> 26 & 63, packed >> 20 & 63, packed & 0xFFFFF
    return f"{hour:02d}:{minute:02d}:{second:02d}.{micro:06d}"


def _datetime(packed: int) -> str:
    """A civil time in ZetaSQL's 64-bit form: year, month and day in 14, 4 and 5 bits above a time of day."""
    day, clock = packed >> 37, packed & (1 << 37) - 1
    return f"{day >> 9:04d}-{day >> 5 & 15:02d}-{day & 31:02d}T{_time(clock)}"


def _scaled(kind: str) -> Read:
    """A decimal as little-endian two's complement of the number times a power of ten."""

    def read(data: bytes) -> str:
        number = Decimal(int.from_bytes(data, "little", signed=True))
        return format(number.scaleb(-_SCALE[kind]), "f") if number else "0"

    return read


_READERS: dict[tuple[str, str], Read] = {
    ("INT64", "integer"): _same,
    ("INT64", "enum"): _same,
    ("INT64", "bool"): int,
    ("INT64", "string"): _same,
    ("FLOAT64", "double"): _same,
    ("FLOAT64", "float"): _same,
    ("FLOAT64", "integer"): _same,
    ("FLOAT64", "string"): _same,
    ("BOOL", "bool"): _same,
    ("BOOL", "integer"): bool,
    ("BOOL", "string"): _same,
    ("STRING", "string"): _same,
    ("INTERVAL", "string"): _same,
    ("STRING", "bytes"): _text,
    ("STRING", "integer"): str,
    ("STRING", "bool"): _same,
    ("STRING", "double"): str,
    ("STRING", "float"): str,
    ("STRING", "enum"): _same,
    ("BYTES", "bytes"): _base64,
    ("BYTES", "string"): _base64,
    ("DATE", "integer"): _days,
    ("DATE", "string"): _same,
    ("TIME", "integer"): _time,
    ("TIME", "string"): _same,
    ("DATETIME", "integer"): _datetime,
    ("DATETIME", "string"): _same,
    ("TIMESTAMP", "integer"): _seconds,
    ("TIMESTAMP", "string"): _same,
    ("TIMESTAMP", "google.protobuf.Timestamp"): lambda value: _seconds(value.seconds * 1_000_000 + value.nanos // 1000),
    ("JSON", "string"): _same,
    ("GEOGRAPHY", "string"): _same,
    **{
        (target, kind): read
        for target in ("NUMERIC", "BIGNUMERIC")
        for kind, read in (
            ("string", _same),
            ("integer", _same),
            ("double", _same),
            ("float", _same),
            ("bytes", _scaled(target)),
        )
    },
}

__all__ = ["ProtoRows"]
