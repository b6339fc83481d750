"""Rows of a database as Arrow columns, and the words of its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from itertools import islice
from typing import Any

import pyarrow as pa

from tule.kernel.errors import InvalidArgument

_BATCH = 10_000
# What Arrow cannot tell is told by metadata, as the warehouse's types read it.
_METADATA = b"bq"
_ARROW: dict[str, pa.DataType] = {
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "NUMERIC": pa.decimal128(38, 9),
    "BIGNUMERIC": pa.decimal256(76, 38),
    "BOOL": pa.bool_(),
    "STRING": pa.string(),
    "BYTES": pa.binary(),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "DATETIME": pa.timestamp("us"),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    "JSON": pa.string(),
}
_WIDE = Context(prec=120, rounding=ROUND_HALF_UP)
_SCALES = {"NUMERIC": (Decimal("1e-9"), Decimal(10) ** 29), "BIGNUMERIC": (Decimal("1e-38"), Decimal(10) ** 38)}
DECIMALS = {"numeric": "NUMERIC", "bignumeric": "BIGNUMERIC", "float64": "FLOAT64", "string": "STRING"}


@dataclass(frozen=True)
class Column:
    """One column: its GoogleSQL type, and what makes a value of the library one of Arrow."""

    name: str
    type: str
    value: Callable[[Any], Any] | None = None
    repeated: bool = False


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    fields = []
    for each in columns:
        metadata = {_METADATA: each.type.encode()} if each.type == "JSON" else None
        kind = _ARROW[each.type]
        fields.append(pa.field(each.name, pa.list_(kind) if each.repeated else kind, metadata=metadata))
    return pa.schema(fields)


def batches(columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> Iterator[pa.RecordBatch]:
    """Some thousand rows at a time; raises InvalidArgument for a value that its GoogleSQL type cannot hold."""
    schema, rows = schema_of(columns), iter(rows)
    while some := list(islice(rows, _BATCH)):
        arrays = []
        for index, each in enumerate(columns):
            make = each.value
            values = [row[index] for row in some]
            if make is not None:
                values = [None if value is None else make(value) for value in values]
            try:
                arrays.append(pa.array(values, schema.field(index).type))
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
                raise failed(f"a value of column {each.name} does not fit the type {each.type}: {error}") from error
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def failed(message: str) -> InvalidArgument:
    """The error of EXTERNAL_QUERY."""
    return InvalidArgument(
        f"Invalid table-valued function external_query {message}", reason="invalidQuery", location="query"
    )


def decimal(kind: str) -> Callable[[Any], Any]:
    """What makes a decimal one of NUMERIC or BIGNUMERIC (rounded), or a FLOAT64 or STRING."""
    if kind == "FLOAT64":
        return float
    if kind == "STRING":
        return lambda value: f"{value:f}" if value.is_finite() else str(value)
    step, bound = _SCALES[kind]

    def rounded(value: Decimal) -> Decimal:
        if not value.is_finite():
            raise failed(f"Invalid {kind} value: {value}")
        try:
            made = value.quantize(step, context=_WIDE)
        except InvalidOperation:
            raise failed(f"Invalid {kind} value: {value}") from None
        if abs(made) >= bound:
            raise failed(f"Invalid {kind} value: {value}")
        return made

    return rounded


def time_of_day(value: timedelta | time) -> time:
    """A TIME of MySQL, which may be a span of up to 838 hours."""
    if isinstance(value, time):
        return value
    if not timedelta(0) <= value < timedelta(days=1):
        raise failed(f"Invalid TIME value: {value}. Next: cast it to CHAR")
    seconds = int(value.total_seconds())
    return time(seconds // 3600, seconds // 60 % 60, seconds % 60, value.microseconds)


def missing(library: str, extra: str) -> InvalidArgument:
    return failed(f"needs the package {library}, which is not installed. Next: run `pip install 'tule[{extra}]'`")
