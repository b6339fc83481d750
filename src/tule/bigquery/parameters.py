"""Query parameters of the REST API as values to bind.

https://cloud.google.com/bigquery/docs/reference/rest/v2/QueryParameter
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tule.bigquery.errors import invalid
from tule.bigquery.formats.values import TEXT
from tule.bigquery.sql import Parameter
from tule.bigquery.types import RANGE_ELEMENTS, standard

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(given: Sequence[Mapping[str, Any]], mode: str | None) -> dict[str, Parameter]:
    """Parameters by name, positional ones by their number from "0"; raises for what cannot be."""
    named = [bool(each.get("name")) for each in given]
    if any(named) and not all(named):
        raise invalid("Query parameters must be all named or all positional")
    if mode and mode.upper() not in ("NAMED", "POSITIONAL"):
        raise invalid(f"parameterMode must be NAMED or POSITIONAL; given: {mode!r}")
    if given and mode and (mode.upper() == "NAMED") != named[0]:
        raise invalid(f"parameterMode is {mode}, but the parameters {'have' if named[0] else 'lack'} names")
    found: dict[str, Parameter] = {}
    for index, each in enumerate(given):
        key = str(each.get("name") or index)
        if key.lower() in (known.lower() for known in found):
            raise invalid(f"Duplicate query parameter: {key}")
        kind = each.get("parameterType")
        if not isinstance(kind, Mapping):
            raise invalid(f"Query parameter {key} must have a parameterType")
        found[key] = Parameter(_type(kind, key), _value(kind, each.get("parameterValue") or {}, key))
    return found


def _type(kind: Mapping[str, Any], key: str) -> str:
    """A type as GoogleSQL writes it."""
    name = str(kind.get("type", "")).upper()
    if name == "ARRAY":
        inner = kind.get("arrayType")
        if not isinstance(inner, Mapping):
            raise invalid(f"Query parameter {key} must have an arrayType")
        return f"ARRAY<{_type(inner, key)}>"
    if name in ("STRUCT", "RECORD"):
        fields = kind.get("structTypes") or []
        inner_types = [f"`{each['name']}` {_type(each['type'], key)}" for each in fields]
        return f"STRUCT<{', '.join(inner_types)}>"
    if name == "RANGE":
        return f"RANGE<{_element(kind, key)}>"
    return standard(name)


def _value(kind: Mapping[str, Any], value: Mapping[str, Any], key: str) -> Any:
    name = str(kind["type"]).upper()
    if name == "ARRAY":
        # An absent list is an empty one; only an explicit null would be NULL, which arrays cannot be.
        return [_value(kind["arrayType"], each, key) for each in value.get("arrayValues") or []]
    if name in ("STRUCT", "RECORD"):
        values = value.get("structValues")
        if values is None:
            return None
        return {each["name"]: _value(each["type"], values.get(each["name"]) or {}, key) for each in kind["structTypes"]}
    if name == "RANGE":
        return _range(kind, value, key)
    text = value.get("value")
    if text is None:
        return None
    standard_name = standard(name)
    try:
        return _python(standard_name, TEXT[standard_name](_text(text)))
    except (ValueError, OverflowError):
        raise invalid(
            f"Invalid value for query parameter {key}: {str(text)[:128]!r} is not a valid {standard_name}",
            location="query",
        ) from None


def _element(kind: Mapping[str, Any], key: str) -> str:
    inner = kind.get("rangeElementType")
    element = str(inner.get("type", "")).upper() if isinstance(inner, Mapping) else ""
    if element not in RANGE_ELEMENTS:
        raise invalid(f"Query parameter {key} must have a rangeElementType of {', '.join(RANGE_ELEMENTS)}")
    return element


def _range(kind: Mapping[str, Any], value: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """A range by its bounds; a bound without a value is none."""
    element = _element(kind, key)
    given = value.get("rangeValue")
    if given is None:
        return None
    bounds = {each: _value({"type": element}, given.get(each) or {}, key) for each in ("start", "end")}
    if None not in bounds.values() and bounds["start"] >= bounds["end"]:
        raise invalid(f"Query parameter {key}: the start of a range must be smaller than its end", location="query")
    return bounds


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _python(kind: str, value: Any) -> Any:
    """The parsed value as the Python type that engines bind."""
    if kind == "DATE":
        return date(1970, 1, 1) + timedelta(days=value)
    if kind == "TIME":
        return (datetime(1970, 1, 1) + timedelta(microseconds=value)).time()
    if kind == "DATETIME":
        return datetime(1970, 1, 1) + timedelta(microseconds=value)
    if kind == "TIMESTAMP":
        return _EPOCH + timedelta(microseconds=value)
    return value


__all__ = ["read"]
