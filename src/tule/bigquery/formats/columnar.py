"""Parquet and ORC to read: batches that carry their types, fitted to a table's columns by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tule.bigquery.errors import invalid
from tule.bigquery.formats.sources import AnySource
from tule.bigquery.types import Field

# The rows of a row group of the engine, which it can then pack without joining batches.
_ROWS = 122_880


def schema_of(source: AnySource, format: str) -> pa.Schema:
    """The Arrow schema of a file."""
    try:
        if format == "PARQUET":
            from pyarrow import parquet

            with parquet.ParquetFile(source.raw()) as file:
                return file.schema_arrow
        from pyarrow import orc

        return orc.ORCFile(source.raw()).schema
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(source, format, error) from error


def raw_batches(source: AnySource, format: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The batches of a file as they are."""
    try:
        if format == "PARQUET":
            from pyarrow import parquet

            raw = source.raw()
            # Mapped, and without reading ahead: what the engine's threads wait for is copied once less.
            with parquet.ParquetFile(raw, memory_map=isinstance(raw, Path), pre_buffer=False) as file:
                yield from file.iter_batches(batch_size=_ROWS, columns=columns, use_threads=False)
            return
        from pyarrow import orc

        reader = orc.ORCFile(source.raw())
        for number in range(reader.nstripes):
            stripe = reader.read_stripe(number, columns=columns)
            yield from pa.Table.from_batches([stripe]).to_batches(max_chunksize=_ROWS)
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(source, format, error) from error


def batches(
    sources: Sequence[AnySource], fields: Sequence[Field], format: str, *, ignore_unknown: bool = False
) -> Iterator[pa.RecordBatch]:
    """Typed batches of all files in turn; other columns than those of ``fields`` are not read."""
    wanted = {each.name.lower() for each in fields}
    for source in sources:
        schema = schema_of(source, format)
        check_columns(schema, fields, source, ignore_unknown=ignore_unknown)
        read = [name for name in schema.names if name.lower() in wanted]
        row = 0
        # Without one column there would be no rows.
        for batch in raw_batches(source, format, (read or schema.names[:1]) if len(read) < len(schema) else None):
            yield fitted(batch, fields, source.name, row)
            row += batch.num_rows


def check_columns(schema: pa.Schema, fields: Sequence[Field], source: AnySource, *, ignore_unknown: bool) -> None:
    """Raise for columns that the table lacks, and required ones that the file lacks."""
    given = {name.lower() for name in schema.names}
    wanted = {each.name.lower() for each in fields}
    if not ignore_unknown and (unknown := [name for name in schema.names if name.lower() not in wanted]):
        raise invalid(
            f"Provided Schema does not match: the file {source.name} has the column {unknown[0]}, the table has no such "
            "field. Next: add the column, or set ignoreUnknownValues or schemaUpdateOptions ALLOW_FIELD_ADDITION"
        )
    for each in fields:
        if each.mode == "REQUIRED" and each.name.lower() not in given:
            raise invalid(f"Missing required field: {each.name}; file: {source.name}")


def fitted(batch: pa.RecordBatch, fields: Sequence[Field], source: str, row: int) -> pa.RecordBatch:
    """``batch`` with the columns and types of ``fields``; what is missing is NULL."""
    places = {name.lower(): index for index, name in enumerate(batch.schema.names)}
    columns = []
    for each in fields:
        at = places.get(each.name.lower())
        if at is None:
            columns.append(missing(batch.num_rows, each.arrow.type))
            continue
        values = batch.column(at)
        try:
            columns.append(cast(values, each.arrow.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise invalid(
                f"Error while reading data, error message: column {each.name} has type {values.type}, which does not "
                f"match the table's {each.type}: {error}; rows {row + 1} to {row + batch.num_rows} of {source}",
                location=source,
            ) from error
        if each.mode == "REQUIRED" and columns[-1].null_count:
            raise invalid(
                f"Error while reading data, error message: required field {each.name} is NULL; rows {row + 1} to "
                f"{row + batch.num_rows} of {source}",
                location=source,
            )
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema([each.arrow for each in fields]))


def cast(values: pa.Array, target: pa.DataType) -> pa.Array:
    """``values`` as ``target`` where nothing is lost but precision below a microsecond; raises ArrowInvalid otherwise."""
    kind = values.type
    if (kind.equals(target) and not pa.types.is_nested(kind)) or pa.types.is_null(kind):
        return values if kind.equals(target) else missing(len(values), target)
    if pa.types.is_dictionary(kind):
        return cast(values.dictionary_decode(), target)
    if isinstance(values, pa.ExtensionArray):
        return cast(values.storage, target)
    if _is_list(kind) and pa.types.is_list(target):
        # Without the mask: a NULL array is an empty one in BigQuery.
        inner = cast(values.values, target.value_type)
        return pa.ListArray.from_arrays(values.offsets.cast(pa.int32()), inner, type=target)
    if pa.types.is_struct(kind) and pa.types.is_struct(target):
        names = {field.name.lower(): index for index, field in enumerate(kind)}
        children = [
            cast(values.field(names[field.name.lower()]), field.type)
            if field.name.lower() in names
            else missing(len(values), field.type)
            for field in target
        ]
        return pa.StructArray.from_arrays(children, fields=list(target), mask=_nulls(values))
    if not _compatible(kind, target):
        raise pa.ArrowInvalid("the types do not fit")
    if pa.types.is_temporal(target):
        # Nanoseconds are cut to the microseconds that BigQuery keeps.
        if pa.types.is_timestamp(kind) and pa.types.is_timestamp(target) and kind.tz and not target.tz:
            values = values.cast(pa.timestamp(kind.unit))
        return pc.cast(values, target, safe=False)
    return pc.cast(values, target)


def missing(count: int, kind: pa.DataType) -> pa.Array:
    """What a column that a row lacks holds: NULL, or an empty array."""
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(
            pa.array([0] * (count + 1), pa.int32()), pa.nulls(0, kind.value_type), type=kind
        )
    return pa.nulls(count, kind)


def _nulls(values: pa.Array) -> pa.Array | None:
    return values.is_null() if values.null_count else None


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _compatible(kind: pa.DataType, target: pa.DataType) -> bool:
    t = pa.types
    if t.is_integer(target):
        return t.is_integer(kind)
    if t.is_floating(target):
        return t.is_integer(kind) or t.is_floating(kind)
    if t.is_decimal(target):
        return t.is_decimal(kind) or t.is_integer(kind)
    if t.is_string(target) or t.is_large_string(target):
        return t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind)
    if t.is_binary(target) or t.is_large_binary(target):
        return t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind) or t.is_string(kind)
    if t.is_timestamp(target):
        return t.is_timestamp(kind)
    if t.is_date(target):
        return t.is_date(kind)
    return t.is_time(target) and t.is_time(kind)


def _unreadable(source: AnySource, format: str, error: Exception) -> Exception:
    return invalid(
        f"Error while reading data, error message: Input file is not in {format} format: {error}; file: {source.name}",
        location=source.name,
    )
