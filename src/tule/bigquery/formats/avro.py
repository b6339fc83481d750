"""Avro files to read and to write, through fastavro.

https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-avro
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, BinaryIO

import pyarrow as pa

from tule.bigquery.cells import interval_text
from tule.bigquery.errors import invalid
from tule.bigquery.formats.ndjson import batch_of
from tule.bigquery.formats.sources import AnySource
from tule.bigquery.formats.values import TEXT
from tule.bigquery.types import Field

_ROWS = 20_000
# Texts of files are read as these where the table's column is one.
_PARSED = ("DATE", "TIME", "DATETIME", "TIMESTAMP")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_PLAIN = {
    "string": "STRING",
    "bytes": "BYTES",
    "fixed": "BYTES",
    "int": "INT64",
    "long": "INT64",
    "float": "FLOAT64",
    "double": "FLOAT64",
    "boolean": "BOOL",
    "enum": "STRING",
}
_LOGICAL = {
    "date": "DATE",
    "time-micros": "TIME",
    "time-millis": "TIME",
    "timestamp-micros": "TIMESTAMP",
    "timestamp-millis": "TIMESTAMP",
    "local-timestamp-micros": "DATETIME",
    "local-timestamp-millis": "DATETIME",
}


def fields_of(source: AnySource, *, logical: bool) -> list[dict[str, Any]]:
    """The REST fields of a file; ``logical``: whether logical types count (``useAvroLogicalTypes``)."""
    schema = _reader(source).writer_schema
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise invalid(f"An Avro file must hold records; file: {source.name}")
    return [_field(each["name"], each["type"], logical, each["name"]) for each in schema["fields"]]


def _field(name: str, schema: Any, logical: bool, path: str) -> dict[str, Any]:
    mode = "REQUIRED"
    if isinstance(schema, list):
        kinds = [each for each in schema if each != "null"]
        if len(kinds) != 1:
            raise invalid(f"An Avro union must be of null and one type; field: {path}")
        mode, schema = ("NULLABLE" if len(kinds) < len(schema) else "REQUIRED"), kinds[0]
    if isinstance(schema, dict) and schema.get("type") == "array":
        inner = _field(name, schema["items"], logical, path)
        return {**inner, "mode": "REPEATED"}
    if isinstance(schema, dict) and schema.get("type") == "record":
        inner_fields = [
            _field(each["name"], each["type"], logical, f"{path}.{each['name']}") for each in schema["fields"]
        ]
        return {"name": name, "type": "RECORD", "mode": mode, "fields": inner_fields}
    kind = schema.get("type") if isinstance(schema, dict) else schema
    logical_type = schema.get("logicalType") if isinstance(schema, dict) else None
    if logical_type == "decimal":
        fits = schema["precision"] - schema.get("scale", 0) <= 29 and schema.get("scale", 0) <= 9
        return {"name": name, "type": "NUMERIC" if fits else "BIGNUMERIC", "mode": mode}
    if isinstance(schema, dict) and schema.get("sqlType") == "JSON":
        return {"name": name, "type": "JSON", "mode": mode}
    if logical and logical_type in _LOGICAL:
        return {"name": name, "type": _LOGICAL[logical_type], "mode": mode}
    if not isinstance(kind, str) or kind not in _PLAIN:
        raise invalid(f"The Avro type {kind!r} of field {path} is not executed")
    return {"name": name, "type": _PLAIN[kind], "mode": mode}


def _reader(source: AnySource, file: BinaryIO | None = None) -> Any:
    import fastavro

    try:
        if file is not None:
            return fastavro.reader(file)
        with source.open() as opened:
            return fastavro.reader(opened)
    except Exception as error:  # fastavro raises ValueError, EOFError, KeyError, its own: all mean the same here
        raise invalid(
            f"Error while reading data, error message: Input file is not in AVRO format: {error}; file: {source.name}",
            location=source.name,
        ) from error


def batches(
    sources: Sequence[AnySource], fields: Sequence[Field], *, ignore_unknown: bool = False
) -> Iterator[pa.RecordBatch]:
    """Typed batches of all files in turn."""
    schema = pa.schema([each.arrow for each in fields])
    for source in sources:
        with source.open() as file:
            reader = _reader(source, file)
            _check(reader.writer_schema, fields, source, ignore_unknown)
            row = 0
            while rows := _some(reader, source, row):
                try:
                    converted = [{each.name: _value(_get(body, each.name), each) for each in fields} for body in rows]
                    made = batch_of(converted, fields, schema)
                except (ValueError, pa.ArrowTypeError) as error:
                    raise invalid(
                        f"Error while reading data, error message: values do not fit the table's columns: {error}; rows "
                        f"{row + 1} to {row + len(rows)} of {source.name}",
                        location=source.name,
                    ) from error
                yield made
                row += len(rows)


def _some(reader: Iterable[dict[str, Any]], source: AnySource, row: int) -> list[dict[str, Any]]:
    try:
        return list(itertools.islice(reader, _ROWS))
    except Exception as error:  # a cut-off or corrupt block
        raise invalid(
            f"Error while reading data, error message: The Apache Avro library failed to read data after row {row}: "
            f"{type(error).__name__} {error}; file: {source.name}",
            location=source.name,
        ) from error


def _check(schema: Any, fields: Sequence[Field], source: AnySource, ignore_unknown: bool) -> None:
    given = {each["name"].lower(): each["name"] for each in schema["fields"]}
    wanted = {each.name.lower() for each in fields}
    unknown = [name for key, name in given.items() if key not in wanted]
    if unknown and not ignore_unknown:
        raise invalid(
            f"Provided Schema does not match: the file {source.name} has the field {unknown[0]}, the table has no such "
            "field. Next: add the column, or set ignoreUnknownValues"
        )
    for each in fields:
        if each.mode == "REQUIRED" and each.name.lower() not in given:
            raise invalid(f"Missing required field: {each.name}; file: {source.name}")


def _get(body: dict[str, Any], name: str) -> Any:
    if name in body:
        return body[name]
    return next((value for key, value in body.items() if key.lower() == name.lower()), None)


def _value(value: Any, field: Field) -> Any:
    """A value of fastavro as what Arrow takes for the field; temporal values back to numbers where the field is one."""
    if value is None:
        return [] if field.mode == "REPEATED" else None
    if field.mode == "REPEATED":
        return [_single(each, field) for each in value]
    return _single(value, field)


def _single(value: Any, field: Field) -> Any:
    if field.type == "STRUCT":
        return {each.name: _value(_get(value, each.name), each) for each in field.fields}
    if isinstance(value, str) and field.type in _PARSED:
        return TEXT[field.type](value)
    if isinstance(value, datetime):
        return (value - (_EPOCH if value.tzinfo else _NAIVE_EPOCH)) // _MICROSECOND
    if isinstance(value, date):
        return (value - date(1970, 1, 1)).days
    if isinstance(value, time):
        return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
    return value


# -- writing

_CODECS = {"NONE": "null", "DEFLATE": "deflate", "SNAPPY": "snappy"}


def write(
    file: BinaryIO,
    fields: Sequence[Field],
    batches: Iterable[pa.RecordBatch],
    compression: str,
    *,
    logical: bool = True,
) -> int:
    """Write an Avro file; returns the number of rows. Without ``logical`` dates and times are texts.

    https://cloud.google.com/bigquery/docs/exporting-data#avro_export_details
    """
    import fastavro

    if compression not in _CODECS:
        raise invalid(f"compression of AVRO must be one of {', '.join(_CODECS)}; given: {compression}")
    count = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal count
        for batch in batches:
            count += batch.num_rows
            yield from _rows(fields, batch, logical)

    schema = fastavro.parse_schema(row_schema(fields, logical=logical))
    try:
        fastavro.writer(file, schema, rows(), codec=_CODECS[compression])
    except ValueError as error:
        if "codec" in str(error):
            raise invalid(
                "compression SNAPPY of AVRO needs the package cramjam. Next: install it, or choose DEFLATE"
            ) from error
        raise
    return count


def _rows(fields: Sequence[Field], batch: pa.RecordBatch, logical: bool) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = batch.to_pylist()
    if not any(_has_words(each, logical) for each in fields):
        return kept
    return [{each.name: _worded(row[each.name], each, logical) for each in fields} for row in kept]


def _has_words(field: Field, logical: bool) -> bool:
    """Whether a value of a field holds what is written as text."""
    return not logical or field.type == "INTERVAL" or any(_has_words(each, logical) for each in field.fields)


def _worded(value: Any, field: Field, logical: bool) -> Any:
    """A value whose intervals, and dates and times unless they are ``logical``, are texts."""
    if value is None:
        return None
    if isinstance(value, list):
        return [_worded(each, field, logical) for each in value]
    if field.type == "STRUCT":
        return {each.name: _worded(value[each.name], each, logical) for each in field.fields}
    if field.type == "RANGE":
        bound = Field("bound", field.element)
        return {name: _worded(each, bound, logical) for name, each in value.items()}
    if field.type == "INTERVAL":
        return interval_text(value)
    return value if logical or field.type not in _WORDED else value.isoformat()


def row_schema(fields: Sequence[Field], *, logical: bool = True) -> dict[str, Any]:
    """The Avro schema of rows."""
    return {"type": "record", "name": "Root", "fields": [_avro_field(each, "Root", logical) for each in fields]}


def binary_rows(fields: Sequence[Field], batch: pa.RecordBatch) -> bytes:
    """Rows in Avro's binary form, one after the other, without a file around them."""
    import fastavro

    schema, sink = fastavro.parse_schema(row_schema(fields)), io.BytesIO()
    for row in _rows(fields, batch, True):
        fastavro.schemaless_writer(sink, schema, row)
    return sink.getvalue()


def _avro_field(field: Field, prefix: str, logical: bool) -> dict[str, Any]:
    kind = _avro_type(field, f"{prefix}_{field.name}", logical)
    if field.mode == "REPEATED":
        return {"name": field.name, "type": {"type": "array", "items": kind}}
    if field.mode == "REQUIRED":
        return {"name": field.name, "type": kind}
    return {"name": field.name, "type": ["null", kind], "default": None}


def _avro_type(field: Field, path: str, logical: bool) -> Any:
    if field.type == "STRUCT":
        return {"type": "record", "name": path, "fields": [_avro_field(each, path, logical) for each in field.fields]}
    if field.type == "RANGE":
        bounds = [_avro_field(Field(name, field.element), path, logical) for name in ("start", "end")]
        return {"type": "record", "name": path, "sqlType": "RANGE", "fields": bounds}
    if not logical and field.type in _WORDED:
        return {"type": "string", "sqlType": field.type}
    try:
        return _WRITTEN[field.type]
    except KeyError:
        raise invalid(f"A field of type {field.type} cannot be written as AVRO: {field.name}") from None


_WORDED = ("DATE", "TIME", "DATETIME")
_WRITTEN: dict[str, Any] = {
    "INT64": "long",
    "FLOAT64": "double",
    "BOOL": "boolean",
    "STRING": "string",
    "BYTES": "bytes",
    "GEOGRAPHY": {"type": "string", "sqlType": "GEOGRAPHY"},
    "JSON": {"type": "string", "sqlType": "JSON"},
    "DATE": {"type": "int", "logicalType": "date"},
    "TIME": {"type": "long", "logicalType": "time-micros"},
    "DATETIME": {"type": "long", "logicalType": "local-timestamp-micros"},
    "TIMESTAMP": {"type": "long", "logicalType": "timestamp-micros"},
    "NUMERIC": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9},
    "BIGNUMERIC": {"type": "bytes", "logicalType": "decimal", "precision": 77, "scale": 38},
    "INTERVAL": {"type": "string", "sqlType": "INTERVAL"},
}
