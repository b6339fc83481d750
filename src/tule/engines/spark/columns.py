"""Columns between the port, Spark and Parquet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tule.engines.spark.lake import File
from tule.kernel.errors import InvalidArgument, Unimplemented

TYPES = frozenset(
    {"INT64", "FLOAT64", "NUMERIC", "BOOL", "STRING", "BYTES", "DATE", "DATETIME", "TIMESTAMP", "JSON", "STRUCT"}
)
_NAMES = {
    "INT64": "BIGINT", "FLOAT64": "DOUBLE", "NUMERIC": "DECIMAL(38,9)", "BOOL": "BOOLEAN", "STRING": "STRING",
    "BYTES": "BINARY", "DATE": "DATE", "DATETIME": "TIMESTAMP_NTZ", "TIMESTAMP": "TIMESTAMP", "JSON": "STRING",
}  # fmt: skip
_FIXED = {"INT64": 8, "FLOAT64": 8, "BOOL": 1, "DATE": 8, "DATETIME": 8, "TIMESTAMP": 8, "NUMERIC": 16}
METADATA = "bq"
BATCH_ROWS = 32_768
_ROW_GROUP = 1 << 20


def check(fields: Iterable[Any]) -> None:
    """Raise for a column that Spark cannot keep."""
    for each in fields:
        if each.type not in TYPES:
            raise Unimplemented(
                f"A column of type {each.type} must be kept by the embedded engine", given=f"{each.name}, TULE_SQL=spark",
                do="CAST it to another type, or set TULE_SQL=duckdb", reason="notImplemented", location="query",
            )  # fmt: skip
        check(each.fields)


def type_name(field: Any) -> str:
    """The type of a column as Spark's SQL writes it."""
    name = _NAMES.get(field.type) or ""
    if field.type == "STRUCT":
        name = "STRUCT<" + ", ".join(f"{quoted(each.name)}: {type_name(each)}" for each in field.fields) + ">"
    return f"ARRAY<{name}>" if field.mode == "REPEATED" else name


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def spark_schema(fields: Iterable[Any]) -> Any:
    """Columns as a schema of Spark; what it cannot tell stands in the metadata, which plain columns keep in queries."""
    from pyspark.sql.types import StructField, StructType

    made = []
    for each in fields:
        metadata = {METADATA: each.type} if each.type == "JSON" else {}
        made.append(StructField(each.name, _type(each), True, metadata))
    return StructType(made)


def _type(field: Any) -> Any:
    from pyspark.sql import types

    plain: dict[str, Any] = {
        "INT64": types.LongType(), "FLOAT64": types.DoubleType(), "NUMERIC": types.DecimalType(38, 9),
        "BOOL": types.BooleanType(), "STRING": types.StringType(), "BYTES": types.BinaryType(), "DATE": types.DateType(),
        "DATETIME": types.TimestampNTZType(), "TIMESTAMP": types.TimestampType(), "JSON": types.StringType(),
    }  # fmt: skip
    made: Any = plain.get(field.type)
    if field.type == "STRUCT":
        made = types.StructType([types.StructField(each.name, _type(each), True) for each in field.fields])
    return types.ArrayType(made, True) if field.mode == "REPEATED" else made


def arrow_fields(schema: Any) -> list[pa.Field]:
    """The columns of a query's schema as the port tells them."""
    return [_arrow(each.name, each.dataType, (each.metadata or {}).get(METADATA)) for each in schema.fields]


def _arrow(name: str, kind: Any, told: str | None = None) -> pa.Field:
    from pyspark.sql import types

    metadata = {b"bq": told.encode()} if told else None
    match kind:
        case types.ArrayType():
            item = _arrow("item", kind.elementType, told)
            return pa.field(name, pa.list_(item), metadata=metadata)
        case types.StructType():
            return pa.field(name, pa.struct([_arrow(each.name, each.dataType) for each in kind.fields]))
        case types.DecimalType():
            made: pa.DataType = pa.decimal128(38, 9)
        case types.NullType() | types.IntegerType() | types.ShortType() | types.ByteType() | types.LongType():
            made = pa.int64()
        case types.FloatType() | types.DoubleType():
            made = pa.float64()
        case types.BooleanType():
            made = pa.bool_()
        case types.StringType() | types.CharType() | types.VarcharType():
            made = pa.string()
        case types.BinaryType():
            made = pa.binary()
        case types.DateType():
            made = pa.date32()
        case types.TimestampNTZType():
            made = pa.timestamp("us")
        case types.TimestampType():
            made = pa.timestamp("us", tz="UTC")
        case _:
            raise Unimplemented(
                "A column must have a type that this engine answers", given=f"{name}: {kind.simpleString()}",
                do="CAST it to another type", reason="notImplemented", location="query",
            )  # fmt: skip
    return pa.field(name, made, metadata=metadata)


# -- files


def write(folder: Path, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], fields: Sequence[Any]) -> File:
    """Rows as one durable Parquet file with the columns of ``fields``, matched by name; what is missing is NULL."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path, wanted = folder / name, pa.schema([each.arrow for each in fields])
    rows = 0
    with path.open("wb") as file:
        with pq.ParquetWriter(file, wanted, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(fitted(batch, fields, wanted), row_group_size=_ROW_GROUP)
                rows += batch.num_rows
        file.flush()
        os.fsync(file.fileno())
    return File(f"{folder.parent.name}/{folder.name}/{name}", rows)


def fitted(batch: pa.RecordBatch, fields: Sequence[Any], schema: pa.Schema) -> pa.RecordBatch:
    places = {name.lower(): at for at, name in enumerate(batch.schema.names)}
    columns = []
    for each, want in zip(fields, schema, strict=True):
        at = places.get(each.name.lower())
        column = pa.nulls(batch.num_rows, want.type) if at is None else cast(batch.column(at), want.type)
        if each.mode == "REQUIRED" and column.null_count:
            raise InvalidArgument(f"Required field {each.name} cannot be null", reason="invalidQuery")
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def read(paths: Iterable[Path], schema: pa.Schema, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of files in their order, with the columns of ``schema`` by position."""
    for path in paths:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            wanted = [names[at] for at in (range(len(names)) if columns is None else columns)]
            for batch in file.iter_batches(BATCH_ROWS, columns=wanted, use_threads=False):
                yield pa.RecordBatch.from_arrays(
                    [cast(batch.column(name), want.type) for name, want in zip(wanted, schema, strict=True)],
                    schema=schema,
                )


def cast(column: pa.Array, want: pa.DataType) -> pa.Array:
    if column.type.equals(want):
        return column
    if pa.types.is_list(want):
        column = column.cast(pa.list_(column.type.value_field)) if not pa.types.is_list(column.type) else column
        values = cast(column.flatten(), want.value_type)
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        ends = pc.cumulative_sum(lengths).cast(pa.int32())
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
        mask = column.is_null() if column.null_count else None
        return pa.ListArray.from_arrays(offsets, values, type=want, mask=mask)
    if pa.types.is_struct(want):
        children = [cast(pc.struct_field(column, [at]), each.type) for at, each in enumerate(want)]
        return pa.StructArray.from_arrays(children, fields=list(want), mask=column.is_null())
    try:
        return column.cast(want)
    except pa.ArrowInvalid as error:
        raise InvalidArgument("numeric overflow: the result is out of the range of NUMERIC", given=str(error)[:200],
                              reason="invalidQuery") from error  # fmt: skip


def sizes(batches: Iterable[pa.RecordBatch], fields: Sequence[Any]) -> dict[str, int]:
    """Bytes of each column as BigQuery counts them; nested values by the size that they have in memory."""
    total = dict.fromkeys((each.name.lower() for each in fields), 0)
    for batch in batches:
        for column, each in zip(batch.columns, fields, strict=True):
            there = len(column) - column.null_count
            if each.mode != "REPEATED" and each.type in _FIXED:
                made = _FIXED[each.type] * there
            elif each.mode != "REPEATED" and each.type != "STRUCT":
                made = (pc.sum(pc.binary_length(column)).as_py() or 0) + 2 * there
            else:
                made = column.nbytes
            total[each.name.lower()] += made
    return total


__all__ = [
    "TYPES", "arrow_fields", "cast", "check", "quoted", "read", "sizes", "spark_schema", "type_name", "write",
]  # fmt: skip
