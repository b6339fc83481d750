"""Attributes of a schema's field beside its name, type and mode: parameters of types, ranges and default values.

https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#parameterized_data_types
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tule.bigquery.errors import invalid, not_implemented
from tule.bigquery.types import RANGE_ELEMENTS

# Type -> (digits before the point, digits after it).
_DIGITS = {"NUMERIC": (29, 9), "BIGNUMERIC": (38, 38)}
_PARAMETERS = ("maxLength", "precision", "scale", "roundingMode")
_HALF_AWAY = (None, "", "ROUNDING_MODE_UNSPECIFIED", "ROUND_HALF_AWAY_FROM_ZERO")
_LONGEST_DEFAULT = 2048


def attributes(given: Mapping[str, Any], kind: str, path: str, depth: int) -> dict[str, Any]:
    """What a field of the REST type ``kind`` says beside name, type and mode, checked, as it is stored."""
    made: dict[str, Any] = {}
    _range_element(given, kind, path, made)
    _parameters(given, kind, path, made)
    _default(given, path, depth, made)
    return made


def _range_element(given: Mapping[str, Any], kind: str, path: str, made: dict[str, Any]) -> None:
    element = given.get("rangeElementType")
    if kind != "RANGE":
        if element:
            raise invalid(f"rangeElementType belongs to a field of type RANGE; field {path} is {kind}")
        return
    name = str(element.get("type", "")).upper() if isinstance(element, Mapping) else ""
    if name not in RANGE_ELEMENTS:
        raise invalid(
            f"A field of type RANGE must have a rangeElementType of type {', '.join(RANGE_ELEMENTS)}; field {path}, "
            f"given: {element!r}"
        )
    made["rangeElementType"] = {"type": name}


def _parameters(given: Mapping[str, Any], kind: str, path: str, made: dict[str, Any]) -> None:
    numbers = {key: _whole(given.get(key), key, path) for key in ("maxLength", "precision", "scale")}
    if (length := numbers["maxLength"]) is not None:
        if kind not in ("STRING", "BYTES"):
            raise invalid(f"maxLength belongs to fields of type STRING and BYTES; field {path} is {kind}")
        made["maxLength"] = str(length)
    precision, scale = numbers["precision"], numbers["scale"]
    if precision is None and scale is not None:
        raise invalid(f"scale must come with precision; field: {path}")
    if precision is not None:
        made |= decimal_parameters(kind, precision, scale, path)
    mode = given.get("roundingMode")
    if mode not in _HALF_AWAY:
        if mode != "ROUND_HALF_EVEN":
            raise invalid(f"roundingMode must be ROUND_HALF_AWAY_FROM_ZERO or ROUND_HALF_EVEN; given: {mode!r}")
        raise not_implemented(
            f"roundingMode ROUND_HALF_EVEN (field {path})", do="leave it out: halves are rounded away from zero"
        )
    if mode == "ROUND_HALF_AWAY_FROM_ZERO":
        if kind not in _DIGITS:
            raise invalid(f"roundingMode belongs to fields of type NUMERIC and BIGNUMERIC; field {path} is {kind}")
        made["roundingMode"] = mode


def decimal_parameters(kind: str, precision: int, scale: int | None, path: str) -> dict[str, str]:
    """``precision`` and ``scale`` of NUMERIC or BIGNUMERIC as REST JSON; raises beyond the type's."""
    if kind not in _DIGITS:
        raise invalid(f"precision and scale belong to fields of type NUMERIC and BIGNUMERIC; field {path} is {kind}")
    whole, most = _DIGITS[kind]
    if not 0 <= (scale or 0) <= most:
        raise invalid(f"In {kind}(P, S), S must be between 0 and {most}; given: {scale}; field: {path}")
    if not max(1, scale or 0) <= precision <= whole + (scale or 0):
        raise invalid(
            f"In {kind}(P, {scale or 0}), P must be between {max(1, scale or 0)} and {whole + (scale or 0)}; given: "
            f"{precision}; field: {path}"
        )
    return {"precision": str(precision)} | ({"scale": str(scale)} if scale is not None else {})


def _whole(value: Any, key: str, path: str) -> int | None:
    if value in (None, "", "0", 0) and key != "scale":
        return None
    if value in (None, ""):
        return None
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise invalid(f"{key} must be a whole number above 0; given: {value!r}; field: {path}")
    return number


def _default(given: Mapping[str, Any], path: str, depth: int, made: dict[str, Any]) -> None:
    text = given.get("defaultValueExpression")
    if text in (None, ""):
        return
    if not isinstance(text, str) or len(text) > _LONGEST_DEFAULT:
        raise invalid(f"defaultValueExpression must be a GoogleSQL expression of at most {_LONGEST_DEFAULT} characters")
    if depth:
        raise invalid(f"Default value is not allowed for nested fields. Field: {path}")
    made["defaultValueExpression"] = text


# Widening a type is a change of its parameters alone.
def widened(before: Mapping[str, Any], after: Mapping[str, Any], path: str, head: str) -> dict[str, Any] | None:
    """The parameters of a column that get wider or go, as attributes of ``after``; None where nothing changes. Raises where
    they would get narrower."""
    keys = ("maxLength", "precision", "scale")
    old, new = ({key: each[key] for key in keys if key in each} for each in (before, after))
    if old == new:
        return None
    if new:
        wider = bool(old) and int(new.get("maxLength", 0)) >= int(old.get("maxLength", 0))
        if "precision" in new and old:
            scales = int(new.get("scale", 0)), int(old.get("scale", 0))
            wider = scales[0] >= scales[1] and (int(new["precision"]) - scales[0] >= int(old["precision"]) - scales[1])
        if not wider:
            raise invalid(f"{head} Field {path} has narrower type parameters: they may only be widened or left out")
    return new


__all__ = ["attributes", "decimal_parameters", "widened"]
