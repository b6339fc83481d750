"""What a column's type and mode ask of each value beyond the engine's own types, as CHECK constraints.

Every way to write ends in an INSERT, UPDATE or MERGE of the engine, so that no writer needs to look by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tule.engines.duckdb.types import quoted
from tule.kernel.errors import Unimplemented


def constraints(field: Any) -> Iterator[str]:
    """The conditions of a column (a ``bigquery.types.Field`` by shape), each with its own message."""
    yield from _conditions(field, quoted(field.name), field.name)


def _conditions(field: Any, value: str, path: str) -> Iterator[str]:
    if field.mode == "REPEATED":
        nulls = f"list_aggregate({value}, 'count') <> len({value})"
        yield _failing(nulls, f"Array cannot have a null element; error in writing field {path}")
        if _is_limited(field):
            raise Unimplemented(
                "Tule has no parameters of types inside of an ARRAY", given=f"column {path}", do="leave them out",
                reason="notImplemented",
            )  # fmt: skip
        return
    yield from _of_value(field, value, path)


def _is_limited(field: Any) -> bool:
    """Whether a value can break a rule. The engine looks into no array while it writes."""
    limited = field.length is not None or (field.type == "BIGNUMERIC" and field.precision is not None)
    return limited or any(_is_limited(each) for each in field.fields)


def _of_value(field: Any, value: str, path: str) -> Iterator[str]:
    if field.type == "STRUCT":
        for each in field.fields:
            inner = f"({value}).{quoted(each.name)}"
            name = f"{path}.{each.name}"
            if each.mode == "REQUIRED":
                missing = f"{value} IS NOT NULL AND {inner} IS NULL"
                yield _failing(missing, f"Required field {name} cannot be null")
            yield from _conditions(each, inner, name)
    elif field.length is not None:
        measure = "length" if field.type == "STRING" else "octet_length"
        limit = (
            f"Field {path}: {field.type}({field.length}) has maximum length {field.length} but got a value with length "
        )
        failure = f"error({_text('tule: ' + limit)} || {measure}({value}))"
        yield f"CASE WHEN {measure}({value}) > {field.length} THEN {failure} IS NULL ELSE true END"
    elif field.type == "RANGE":
        bounds = f"({value}).tule_start >= ({value}).tule_end"
        yield _failing(bounds, f"Range start must be smaller than range end; error in writing field {path}")
    elif field.type == "BIGNUMERIC":
        yield from _of_bignumeric(field, value, path)


def _of_bignumeric(field: Any, value: str, path: str) -> Iterator[str]:
    low, high = -(2**255), 2**255 - 1
    what = f"numeric overflow: BIGNUMERIC out of range; error in writing field {path}"
    if field.precision is not None:
        scale = field.scale or 0
        high = 10 ** (field.precision - scale) * 10**38 - 10 ** (38 - scale)
        low = -high
        kind = f"BIGNUMERIC({field.precision}, {scale})"
        limit = f"has precision {field.precision} and scale {scale} but got a value that is not in its range"
        what = f"Field {path}: {kind} {limit}"
        if scale < 38:
            digits = f"right(repeat('0', 38) || {value}::VARCHAR, {38 - scale}) <> repeat('0', {38 - scale})"
            more = f"Field {path}: {kind} has scale {scale} but got a value with more digits: round it first"
            yield _failing(digits, more)
    yield _failing(f"{value} < '{low}'::BIGNUM OR {value} > '{high}'::BIGNUM", what)


def _failing(bad: str, message: str) -> str:
    return f"CASE WHEN {bad} THEN error({_text('tule: ' + message)}) IS NULL ELSE true END"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


__all__ = ["constraints"]
