"""BigQuery's types in DuckDB and back, as tables."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tule.kernel.errors import Unimplemented

# Standard name -> DuckDB's.
SQL: dict[str, str] = {
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "NUMERIC": "DECIMAL(38,9)",
    "BOOL": "BOOLEAN",
    "STRING": "VARCHAR",
    "BYTES": "BLOB",
    "DATE": "DATE",
    "TIME": "TIME",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
    "JSON": "JSON",
    "INTERVAL": "INTERVAL",
    "GEOGRAPHY": "GEOMETRY",
    # A whole number of 1e-38: the engine's decimals end at 38 digits.
    "BIGNUMERIC": "BIGNUM",
}
START, END = "tule_start", "tule_end"
"""The fields of the struct that a RANGE is; infinite where it has no bound, so that ranges compare as they should."""

_ARROW: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "tinyint": pa.int64(),
    "smallint": pa.int64(),
    "integer": pa.int64(),
    "bigint": pa.int64(),
    "utinyint": pa.int64(),
    "usmallint": pa.int64(),
    "uinteger": pa.int64(),
    "ubigint": pa.int64(),
    "hugeint": pa.int64(),
    "uhugeint": pa.int64(),
    "float": pa.float64(),
    "double": pa.float64(),
    "varchar": pa.string(),
    "uuid": pa.string(),
    "json": pa.string(),
    "blob": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
    "interval": pa.month_day_nano_interval(),
    "bignum": pa.decimal256(76, 38),
    '"null"': pa.int64(),
    "null": pa.int64(),
    "unknown": pa.int64(),
}


def column_type(field: Any) -> str:
    """The DuckDB type of a column (a ``bigquery.types.Field`` by shape)."""
    if field.type == "STRUCT":
        inner = ", ".join(f"{quoted(each.name)} {column_type(each)}" for each in field.fields)
        kind = f"STRUCT({inner})"
    elif field.type == "RANGE":
        kind = f"STRUCT({START} {SQL[field.element]}, {END} {SQL[field.element]})"
    elif field.type == "NUMERIC" and field.precision is not None:
        kind = f"DECIMAL({field.precision},{field.scale or 0})"
    elif field.type in SQL:
        kind = SQL[field.type]
    else:
        raise Unimplemented(
            f"Tule has no columns of type {field.type}", given=f"column {field.name}", do="use STRING or NUMERIC",
            reason="notImplemented",
        )  # fmt: skip
    return f"{kind}[]" if field.mode == "REPEATED" else kind


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def arrow_field(name: str, kind: Any) -> pa.Field:
    """The Arrow field that a result column of this DuckDB type is answered as."""
    if kind.id in ("list", "array"):
        children = kind.children
        item = arrow_field("item", children[0][1])
        return pa.field(name, pa.list_(item), metadata=item.metadata)
    if kind.id == "struct":
        if [key for key, _ in kind.children] == [START, END]:
            bound = arrow_field("start", kind.children[0][1]).type
            bounds = pa.struct([pa.field("start", bound), pa.field("end", bound)])
            return pa.field(name, bounds, metadata={b"bq": b"RANGE"})
        return pa.field(name, pa.struct([arrow_field(key, inner) for key, inner in kind.children]))
    if kind.id == "decimal":
        sizes = dict(kind.children)
        precision, scale = sizes["precision"], sizes["scale"]
        fits = scale <= 9 and precision - scale <= 29
        return pa.field(name, pa.decimal128(38, 9) if fits else pa.decimal256(76, 38))
    text = str(kind).lower()
    if text in ("json", "geometry"):
        return pa.field(name, pa.string(), metadata={b"bq": b"JSON" if text == "json" else b"GEOGRAPHY"})
    found = _ARROW.get(text)
    if found is None:
        raise Unimplemented(
            "A result column must have a type that BigQuery knows", given=f"{name}: {kind}", do="cast it",
            reason="notImplemented",
        )  # fmt: skip
    return pa.field(name, found)
