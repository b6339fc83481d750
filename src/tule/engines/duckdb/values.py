"""Values between DuckDB's Arrow form and the port's, where the two differ.

A BIGNUMERIC is a BIGNUM that counts units of 1e-38 (see docs/decisions), told by Arrow as bytes; a RANGE is a struct whose
missing bounds are infinite. DuckDB knows years beyond 9999 and before 1, which BigQuery lacks: they do not get out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tule.engines.duckdb.geography.columns import geographies, shapes_of
from tule.engines.duckdb.types import END, START
from tule.kernel.errors import InvalidArgument

BIGNUM = pa.opaque(pa.binary(), "bignum", "DuckDB")
_BIGNUMERIC = pa.decimal256(76, 38)
_DAY_MICROS = 86_400_000_000
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_LAST_MICRO = (_LAST_DAY + 1) * _DAY_MICROS - 1
# Raw values of infinity and -infinity.
_DATE_INFINITY, _MOMENT_INFINITY = 2**31 - 1, 2**63 - 1


def given(column: pa.Array, wanted: pa.DataType, name: str) -> pa.Array:
    """A column of DuckDB in the port's form."""
    kind = column.type
    if wanted.equals(_BIGNUMERIC) and isinstance(kind, pa.BaseExtensionType):
        return decimals([None if each is None else _number(each) for each in column.storage.to_pylist()])
    if pa.types.is_string(wanted) and pa.types.is_binary(kind):
        return geographies(column)
    if pa.types.is_list(wanted) and _is_list(kind):
        if column.offset:
            column = pa.concat_arrays([column])
        inner = given(column.values, wanted.value_type, name)
        return pa.ListArray.from_arrays(column.offsets.cast(pa.int32()), inner, type=wanted, mask=_nulls(column))
    if pa.types.is_struct(wanted) and pa.types.is_struct(kind):
        if kind.names == [START, END]:
            return _range(column, wanted)
        children = [given(pc.struct_field(column, [i]), each.type, name) for i, each in enumerate(wanted)]
        return pa.StructArray.from_arrays(children, fields=list(wanted), mask=_nulls(column))
    if kind.equals(wanted):
        return column
    try:
        return column.cast(wanted)
    except pa.ArrowInvalid:
        raise InvalidArgument(f"int64 overflow in column {name}", reason="invalidQuery") from None


def check_moments(column: pa.Array) -> None:
    """Raise where a DATE, DATETIME or TIMESTAMP lies outside the years 1 to 9999."""
    kind = column.type
    if pa.types.is_date32(kind):
        noun, raw, low, high = "date", pa.int32(), _FIRST_DAY, _LAST_DAY
    elif pa.types.is_timestamp(kind) and kind.unit == "us":
        noun, raw = "timestamp" if kind.tz else "datetime", pa.int64()
        low, high = _FIRST_DAY * _DAY_MICROS, _LAST_MICRO
    else:
        return
    ends = pc.min_max(column.cast(raw) if pa.types.is_date32(kind) else column.view(raw))
    if ends["min"].is_valid and (ends["min"].as_py() < low or ends["max"].as_py() > high):
        raise InvalidArgument(
            f"{noun} overflow: a value must lie between 0001-01-01 and 9999-12-31", reason="invalidQuery"
        )


def taken(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch of the port in DuckDB's form."""
    columns = [_taken(column, field) for column, field in zip(batch.columns, batch.schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def taken_schema(schema: pa.Schema) -> pa.Schema:
    return taken(pa.RecordBatch.from_arrays([pa.nulls(0, each.type) for each in schema], schema=schema)).schema


def differs(schema: pa.Schema) -> bool:
    """Whether a schema has a type whose form is another one in DuckDB."""
    return any(_differs(each) for each in schema)


def _differs(field: pa.Field) -> bool:
    if field.type.equals(_BIGNUMERIC) or _told(field) == b"RANGE" or _is_geography(field):
        return True
    if pa.types.is_list(field.type):
        return _differs(field.type.value_field)
    return pa.types.is_struct(field.type) and any(_differs(each) for each in field.type)


def _taken(column: pa.Array, field: pa.Field) -> pa.Array:
    if not _differs(field):
        return column
    if field.type.equals(_BIGNUMERIC):
        return bignum_column(_units(column))
    if _is_geography(field):
        return shapes_of(column)
    if pa.types.is_list(field.type):
        inner = _taken(column.values, field.type.value_field)
        return pa.ListArray.from_arrays(column.offsets, inner)
    if _told(field) == b"RANGE":
        bounds = [_bounded(pc.struct_field(column, [index]), index) for index in (0, 1)]
        return pa.StructArray.from_arrays(bounds, names=[START, END], mask=_nulls(column))
    children = [_taken(pc.struct_field(column, [i]), each) for i, each in enumerate(field.type)]
    return pa.StructArray.from_arrays(children, names=[each.name for each in field.type], mask=_nulls(column))


def _told(field: pa.Field) -> bytes:
    return (field.metadata or {}).get(b"bq", b"")


def _is_geography(field: pa.Field) -> bool:
    return _told(field) == b"GEOGRAPHY" and pa.types.is_string(field.type)


def _nulls(column: pa.Array) -> pa.Array | None:
    return column.is_null() if column.null_count else None


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


# -- ranges


def _raw(kind: pa.DataType) -> tuple[pa.DataType, int]:
    return (pa.int32(), _DATE_INFINITY) if pa.types.is_date32(kind) else (pa.int64(), _MOMENT_INFINITY)


def _range(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    bounds = []
    for index, each in enumerate(wanted):
        bound = pc.struct_field(column, [index])
        raw, infinity = _raw(each.type)
        numbers = bound.view(raw)
        open_ended = pc.equal(numbers, pa.scalar(infinity if index else -infinity, raw))
        made = pc.if_else(open_ended, pa.scalar(None, raw), numbers).view(each.type)
        check_moments(made)
        bounds.append(made)
    return pa.StructArray.from_arrays(bounds, fields=list(wanted), mask=_nulls(column))


def _bounded(column: pa.Array, index: int) -> pa.Array:
    raw, infinity = _raw(column.type)
    return pc.fill_null(column.view(raw), pa.scalar(infinity if index else -infinity, raw)).view(column.type)


# -- BIGNUM: a sign and length in three bytes, then the number from its highest byte; negative ones have all bits turned


def bignum(number: int) -> bytes:
    """The bytes of a BIGNUM.

    >>> bignum(256).hex(), bignum(-3).hex()
    ('8000020100', '7ffffefc')
    """
    size = max(1, (abs(number).bit_length() + 7) // 8)
    made = (0x800000 | size).to_bytes(3, "big") + abs(number).to_bytes(size, "big")
    return made if number >= 0 else bytes(255 - each for each in made)


def _number(data: bytes) -> int:
    if data[0] & 0x80:
        return int.from_bytes(data[3:], "big")
    return -int.from_bytes(bytes(255 - each for each in data[3:]), "big")


def bignums(column: Any) -> list[int | None]:
    """The numbers of an Arrow column of BIGNUMs."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return [None if each is None else _number(each) for each in column.storage.to_pylist()]


def bignum_column(numbers: Sequence[int | None]) -> pa.Array:
    storage = pa.array([None if each is None else bignum(each) for each in numbers], pa.binary())
    return pa.ExtensionArray.from_storage(BIGNUM, storage)


def decimals(units: Sequence[int | None]) -> pa.Array:
    """BIGNUMERICs of units of 1e-38: by their bytes, because 39 whole digits are one more than Arrow admits to hold."""
    data = b"".join((each or 0).to_bytes(32, "little", signed=True) for each in units)
    valid = pa.array([each is not None for each in units], pa.bool_())
    nulls = valid.false_count
    return pa.Array.from_buffers(
        _BIGNUMERIC, len(units), [valid.buffers()[1] if nulls else None, pa.py_buffer(data)], nulls
    )


def _units(column: pa.Array) -> list[int | None]:
    """The units of 1e-38 of a column of BIGNUMERICs, None for NULL."""
    data, offset = column.buffers()[1], column.offset
    view = memoryview(data)
    return [
        int.from_bytes(view[32 * at : 32 * at + 32], "little", signed=True) if valid else None
        for at, valid in enumerate(column.is_valid().to_pylist(), offset)
    ]


__all__ = [
    "BIGNUM", "bignum", "bignum_column", "bignums", "check_moments", "decimals", "differs", "given", "taken", "taken_schema",
]  # fmt: skip
