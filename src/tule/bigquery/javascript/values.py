"""Values on their way to JavaScript and back, as JSON; ``prelude.js`` makes of it what a body sees.

https://cloud.google.com/bigquery/docs/user-defined-functions#sql-type-encodings-in-javascript
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tule.bigquery.errors import invalid, not_implemented
from tule.bigquery.formats.values import decimal
from tule.bigquery.types import NULLABLE, Field
from tule.kernel.errors import InvalidArgument

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SAME = frozenset({"BOOL", "STRING", "JSON"})
_TAKEN = frozenset({*_SAME, "FLOAT64", "NUMERIC", "BIGNUMERIC", "BYTES", "DATE", "TIMESTAMP", "STRUCT"})
_GIVEN = _TAKEN | {"INT64"}


def check_types(arguments: Sequence[Field], result: Field) -> None:
    """Raise for types that no function in JavaScript has."""
    for each in arguments:
        for kind in _kinds(each):
            if kind == "INT64":
                raise invalid(
                    f"INT64 is not supported as the type of an argument of a JavaScript function; given: {each.name}. "
                    "Next: use FLOAT64 for a number or STRING for its digits"
                )
            if kind not in _TAKEN:
                raise not_implemented(
                    f"An argument of type {kind} of a JavaScript function", do="pass it as STRING, TIMESTAMP or DATE"
                )
    for kind in _kinds(result):
        if kind not in _GIVEN:
            raise not_implemented(
                f"A JavaScript function that returns {kind}", do="return it as STRING, TIMESTAMP or DATE and cast it"
            )


def _kinds(field: Field) -> list[str]:
    return [field.type, *(kind for each in field.fields for kind in _kinds(each))]


def described(field: Field) -> dict[str, Any]:
    """A type as ``prelude.js`` reads it."""
    if field.repeated:
        return {"kind": "ARRAY", "repeated": True, "element": described(replace(field, mode=NULLABLE))}
    fields = [{"name": each.name, "type": described(each)} for each in field.fields]
    return {"kind": field.type, "repeated": False, "fields": fields}


# -- to JavaScript


def given(value: Any, field: Field) -> Any:
    """A Python value of a column as JSON."""
    if field.repeated:
        element = replace(field, mode=NULLABLE)
        return [given(each, element) for each in value or ()]
    if value is None:
        return None
    if field.type == "STRUCT":
        return {each.name: given(value[each.name], each) for each in field.fields}
    convert = _TO.get(field.type)
    return value if convert is None else convert(value)


def _float(value: float) -> Any:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _decimal(value: Decimal) -> str:
    return format(value.normalize(), "f") if value else "0"


def _moment(value: datetime) -> list[int]:
    span = value - _EPOCH
    microseconds = (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds
    return list(divmod(microseconds, 1000))


_TO: dict[str, Callable[[Any], Any]] = {
    "FLOAT64": _float,
    "NUMERIC": _decimal,
    "BIGNUMERIC": _decimal,
    "BYTES": lambda value: base64.b64encode(value).decode(),
    "DATE": lambda value: value.isoformat(),
    "TIMESTAMP": _moment,
}


# -- from JavaScript


def taken(value: Any, field: Field) -> Any:
    """The Python value of an answer; raises ValueError for one that is not of its type."""
    if field.repeated:
        element = replace(field, mode=NULLABLE)
        return [taken(each, element) for each in value]
    if value is None:
        return None
    if field.type == "STRUCT":
        return {each.name: taken(value[each.name], each) for each in field.fields}
    convert = _FROM.get(field.type)
    return value if convert is None else convert(value)


def _integer(text: str) -> int:
    made = int(text)
    if not -(2**63) <= made < 2**63:
        raise ValueError(f"int64 overflow: {text}")
    return made


def _exact(kind: str) -> Callable[[str], Decimal]:
    def convert(text: str) -> Decimal:
        try:
            return decimal(text, kind)
        except InvalidArgument as error:
            raise ValueError(error.message) from error

    return convert


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {text}") from error


def _date(milliseconds: float) -> date:
    try:
        return (_EPOCH + timedelta(days=int(milliseconds // 86_400_000))).date()
    except OverflowError as error:
        raise ValueError("a date must be between 0001-01-01 and 9999-12-31") from error


def _timestamp(value: Sequence[float]) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=int(value[0]), microseconds=int(value[1]))
    except OverflowError as error:
        raise ValueError("a timestamp must be between the years 0001 and 9999") from error


_FROM: Mapping[str, Callable[[Any], Any]] = {
    "INT64": _integer,
    "FLOAT64": float,
    "NUMERIC": _exact("NUMERIC"),
    "BIGNUMERIC": _exact("BIGNUMERIC"),
    "BYTES": _bytes,
    "DATE": _date,
    "TIMESTAMP": _timestamp,
}
