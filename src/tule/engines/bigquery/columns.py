"""Columns and values between the port and the client: schemas, files to load, batches of answers, sizes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import bigquery

from tule.kernel.errors import InvalidArgument, Unimplemented

# Parquet has no form for these that the service would load.
UNLOADABLE = frozenset({"INTERVAL", "RANGE"})


def schema_of(fields: Iterable[Any]) -> list[bigquery.SchemaField]:
    """The port's columns as the client's. Default values are not the service's business: Tule says them in SQL."""
    return [bigquery.SchemaField.from_api_repr(_plain(each.rest())) for each in fields]


def _plain(body: Mapping[str, Any]) -> dict[str, Any]:
    made = {key: value for key, value in body.items() if key not in ("defaultValueExpression", "description")}
    if "fields" in made:
        made["fields"] = [_plain(each) for each in made["fields"]]
    return made


@contextmanager
def parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[IO[bytes]]:
    """Rows as a Parquet file, at its beginning."""
    with tempfile.TemporaryFile() as file:
        with pq.ParquetWriter(file, schema.remove_metadata(), compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch.cast(schema) if batch.schema != schema else batch)
        file.seek(0)
        yield file


def filled(batches: Iterable[pa.RecordBatch], required: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Batches whose required columns have no NULL; the service would name a file that nobody knows."""
    for batch in batches:
        for name in required:
            if (at := batch.schema.get_field_index(name)) >= 0 and batch.column(at).null_count:
                raise InvalidArgument(f"Required field {name} cannot be null", reason="invalidQuery")
        yield batch


def check_loadable(fields: Iterable[Any]) -> None:
    for each in fields:
        if each.type in UNLOADABLE:
            raise Unimplemented(
                f"Rows with a column of type {each.type} must not be loaded into BigQuery", given=each.name,
                do="write them by SQL", reason="notImplemented",
            )  # fmt: skip
        check_loadable(each.fields)


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """An answer with the types of the port; the service's own differ in metadata and in names of list items."""
    columns = [_cast(column, want.type) for column, want in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _cast(column: pa.Array, want: pa.DataType) -> pa.Array:
    if column.type.equals(want):
        return column
    if pa.types.is_list(want):
        values = _cast(column.flatten(), want.value_type)
        lengths = pa.compute.fill_null(pa.compute.list_value_length(column), 0)
        offsets = pa.compute.cumulative_sum(lengths).cast(pa.int32())
        return pa.ListArray.from_arrays(pa.concat_arrays([pa.array([0], pa.int32()), offsets]), values, type=want)
    if pa.types.is_struct(want):
        children = [_cast(pa.compute.struct_field(column, [at]), each.type) for at, each in enumerate(want)]
        return pa.StructArray.from_arrays(children, fields=list(want), mask=column.is_null())
    return column.cast(want)


def size(field: Any) -> str:
    """GoogleSQL that counts the bytes of a value as the service's pages do."""
    name = f"`{field.name}`"
    fixed = {"BOOL": 1, "NUMERIC": 16, "BIGNUMERIC": 32, "INTERVAL": 16, "RANGE": 16}
    if field.mode != "REPEATED":
        if field.type in ("STRING", "BYTES"):
            return f"IFNULL(BYTE_LENGTH({name}) + 2, 0)"
        if field.type not in ("STRUCT", "JSON", "GEOGRAPHY"):
            return f"IF({name} IS NULL, 0, {fixed.get(field.type, 8)})"
    return f"IFNULL(BYTE_LENGTH(TO_JSON_STRING({name})), 0)"


def parameters(given: Mapping[str, Any] | Sequence[Any]) -> list[dict[str, Any]]:
    """Parameters as the REST API writes them: those of the dialect are; plain values tell their type themselves."""
    named = given.items() if isinstance(given, Mapping) else ((None, each) for each in given)
    return [_named(name, value) for name, value in named]


def _named(name: str | None, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping) and "parameterType" in value:
        made = dict(value)
    else:
        made = _told(value)
    return made if name is None else {"name": name, **made}


def _told(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return bigquery.ArrayQueryParameter(None, _type(value[0]), value).to_api_repr()
    return bigquery.ScalarQueryParameter(None, _type(value), value).to_api_repr()


def _type(value: Any) -> str:
    for python, name in ((bool, "BOOL"), (int, "INT64"), (float, "FLOAT64"), (bytes, "BYTES"), (str, "STRING")):
        if isinstance(value, python):
            return name
    raise Unimplemented("A bare parameter must be a number, text or bytes", given=type(value).__name__)


__all__ = ["check_loadable", "conform", "filled", "parameters", "parquet", "schema_of", "size"]
