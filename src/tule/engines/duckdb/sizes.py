"""Logical bytes of values, as BigQuery counts them. https://cloud.google.com/bigquery/pricing#data"""

from __future__ import annotations

from typing import Any

from tule.engines.duckdb.types import quoted

_FIXED = {
    "INT64": 8,
    "FLOAT64": 8,
    "BOOL": 1,
    "DATE": 8,
    "TIME": 8,
    "DATETIME": 8,
    "TIMESTAMP": 8,
    "NUMERIC": 16,
    "BIGNUMERIC": 32,
    "INTERVAL": 16,
    "RANGE": 16,
}


def column_bytes(field: Any) -> str:
    """The aggregate that measures a column. NULL takes nothing, an array what its elements take, a struct its fields."""
    name = quoted(field.name)
    if field.mode == "REPEATED" or field.type not in _FIXED:
        return f"coalesce(sum({_value(field, name, repeated=field.mode == 'REPEATED')}), 0)"
    count = "count(*)" if field.mode == "REQUIRED" else f"count({name})"
    return f"{_FIXED[field.type]} * {count}"


def _value(field: Any, value: str, *, repeated: bool, depth: int = 0) -> str:
    if repeated:
        if field.type in _FIXED:
            return f"{_FIXED[field.type]} * coalesce(len({value}), 0)"
        each = f"x{depth}"
        inner = _value(field, each, repeated=False, depth=depth + 1)
        return f"coalesce(list_sum(list_transform({value}, lambda {each}: {inner})), 0)"
    if field.type == "STRUCT":
        parts = [
            _value(each, f"struct_extract({value}, '{each.name.replace(chr(39), chr(39) * 2)}')",
                   repeated=each.mode == "REPEATED", depth=depth)
            for each in field.fields
        ]  # fmt: skip
        return f"({' + '.join(parts)})"
    if field.type in _FIXED:
        return f"(CASE WHEN {value} IS NULL THEN 0 ELSE {_FIXED[field.type]} END)"
    if field.type == "BYTES":
        return f"coalesce(octet_length({value}) + 2, 0)"
    if field.type == "JSON":
        return f"coalesce(strlen(CAST({value} AS VARCHAR)), 0)"
    if field.type == "GEOGRAPHY":
        text = f"CAST({value} AS VARCHAR)"
        return f"coalesce(16 + 24 * (1 + length({text}) - length(replace({text}, ',', ''))), 0)"
    return f"coalesce(strlen(CAST({value} AS VARCHAR)) + 2, 0)"


__all__ = ["column_bytes"]
