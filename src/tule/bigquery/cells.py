"""Rows as the REST API writes them: ``{"f": [{"v": ...}]}`` with every scalar as text, column by column.

Whole columns are turned into text by Arrow, not value by value, because a page may hold a hundred thousand rows.
https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/list
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tule.bigquery.types import Field

# Rows below which Arrow takes longer to begin than Python takes for all of them.
_FEW = 32


def rows(batches: Iterable[pa.RecordBatch], fields: Sequence[Field], *, int64_timestamps: bool) -> list[dict[str, Any]]:
    """The rows of batches with these columns. TIMESTAMP as integer microseconds, else as seconds with a fraction."""
    made: list[dict[str, Any]] = []
    for batch in batches:
        columns = [
            cells(column, field, int64_timestamps=int64_timestamps)
            for column, field in zip(batch.columns, fields, strict=True)
        ]
        if not columns:
            made.extend({"f": []} for _ in range(batch.num_rows))
        else:
            made.extend({"f": list(row)} for row in zip(*columns, strict=True))
    return made


def cells(column: pa.Array, field: Field, *, int64_timestamps: bool) -> list[dict[str, Any]]:
    """``{"v": value}`` of each row of a column."""
    return [{"v": value} for value in values(column, field, int64_timestamps)]


def values(column: pa.Array, field: Field, int64_timestamps: bool) -> list[Any]:
    """The value of each row: text, None, a list of ``{"v"}`` or a record ``{"f"}``."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if field.repeated:
        return _repeated(column, field, int64_timestamps)
    if field.type == "RANGE":
        return _ranges(column, field)
    if field.type == "STRUCT":
        return _records(column, field, int64_timestamps)
    return _scalars(column, field.type, int64_timestamps)


def _repeated(column: pa.Array, field: Field, int64_timestamps: bool) -> list[Any]:
    element = replace(field, mode="NULLABLE")
    inner = [{"v": value} for value in values(column.flatten(), element, int64_timestamps)]
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_pylist()
    made, at = [], 0
    for length in lengths:
        # A NULL array reads as an empty one.
        made.append(inner[at : at + length])
        at += length
    return made


def _records(column: pa.Array, field: Field, int64_timestamps: bool) -> list[Any]:
    inner = [
        cells(pc.struct_field(column, [index]), each, int64_timestamps=int64_timestamps)
        for index, each in enumerate(field.fields)
    ]
    valid = column.is_valid().to_pylist()
    records = zip(*inner, strict=True) if inner else (() for _ in valid)
    return [{"f": list(record)} if here else None for here, record in zip(valid, records, strict=True)]


def _ranges(column: pa.Array, field: Field) -> list[str | None]:
    """``[start, end)`` of each row. Bounds are written as GoogleSQL does, whatever a TIMESTAMP column is asked for."""
    bounds = [_bounds(pc.struct_field(column, [index]), field.element) for index in (0, 1)]
    valid = column.is_valid().to_pylist()
    return [f"[{start}, {end})" if here else None for here, start, end in zip(valid, *bounds, strict=True)]


def _bounds(column: pa.Array, kind: str) -> list[str]:
    if kind == "TIMESTAMP":
        # Clients read a bound as they read a cell of a TIMESTAMP: in microseconds.
        return [each or "UNBOUNDED" for each in _scalars(column, kind, True)]
    return [each or "UNBOUNDED" for each in _scalars(column, kind, False)]


def _scalars(column: pa.Array, kind: str, int64_timestamps: bool) -> list[str | None]:
    if kind in ("STRING", "JSON", "GEOGRAPHY") and pa.types.is_string(column.type):
        plain: list[str | None] = column.to_pylist()
        return plain
    if kind == "INT64" and len(column) < _FEW:
        return [None if value is None else str(value) for value in column.to_pylist()]
    if kind in ("INT64", "STRING", "JSON", "GEOGRAPHY", "BOOL", "DATE"):
        found: list[str | None] = column.cast(pa.string()).to_pylist()
        return found
    if kind == "FLOAT64":
        return [None if value is None else float_text(value) for value in column.to_pylist()]
    if kind in ("NUMERIC", "BIGNUMERIC"):
        return [None if value is None else decimal_text(value) for value in column.cast(pa.string()).to_pylist()]
    if kind == "TIMESTAMP":
        micros = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
        if int64_timestamps:
            text: list[str | None] = micros.cast(pa.string()).to_pylist()
            return text
        return [None if value is None else repr(value / 1e6) for value in micros.to_pylist()]
    if kind == "DATETIME":
        return [
            None if value is None else _clock(value.replace(" ", "T")) for value in _text(column, pa.timestamp("us"))
        ]
    if kind == "TIME":
        return [None if value is None else _clock(value) for value in _text(column, pa.time64("us"))]
    if kind == "BYTES":
        return [None if value is None else base64.b64encode(value).decode() for value in column.to_pylist()]
    if kind == "INTERVAL":
        return [None if value is None else interval_text(value) for value in column.to_pylist()]
    raise AssertionError(f"no text for {kind}")


def _text(column: pa.Array, kind: pa.DataType) -> list[str | None]:
    found: list[str | None] = column.cast(kind).cast(pa.string()).to_pylist()
    return found


def _clock(text: str) -> str:
    """With six digits of a second's fraction, or none where it is zero: what clients can read."""
    return text.removesuffix(".000000")


def float_text(value: float) -> str:
    """A FLOAT64 as BigQuery writes it: the shortest text that reads back the same.

    >>> float_text(1.0), float_text(1e21), float_text(float("-inf"))
    ('1.0', '1e+21', '-Infinity')
    """
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def decimal_text(text: str) -> str:
    """A NUMERIC without zeros at its end.

    >>> decimal_text("1.500000000"), decimal_text("2.000000000"), decimal_text("0E-9")
    ('1.5', '2', '0')
    """
    if "E" in text or "e" in text:
        from decimal import Decimal

        text = f"{Decimal(text):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def interval_text(value: Any) -> str:
    """``Y-M D H:M:S[.F]`` of a month-day-nano interval."""
    months, days, nanos = value.months, value.days, value.nanoseconds
    sign = "-" if months < 0 else ""
    years, months = divmod(abs(months), 12)
    clock = "-" if nanos < 0 else ""
    seconds, fraction = divmod(abs(nanos) // 1000, 1_000_000)
    text = f"{sign}{years}-{months} {days} {clock}{seconds // 3600}:{seconds // 60 % 60}:{seconds % 60}"
    return f"{text}.{fraction:06d}".rstrip("0") if fraction else text
