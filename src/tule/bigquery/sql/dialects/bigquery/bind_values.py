"""Parameters as the REST API writes them (``queryParameters`` without a name): the service wants a type with each value.

https://cloud.google.com/bigquery/docs/reference/rest/v2/QueryParameter
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Parameter
from tule.bigquery.sql.kinds import Kind, kind_of_node


def bound(parameter: Parameter) -> dict[str, Any]:
    """
    >>> bound(Parameter("ARRAY<INT64>", [1]))["parameterValue"]
    {'arrayValues': [{'value': '1'}]}
    """
    kind = kind_of_node(exp.DataType.build(parameter.type, dialect="bigquery"))
    return {"parameterType": _type(kind), "parameterValue": _value(kind, parameter.value)}


def _type(kind: Kind | None) -> dict[str, Any]:
    assert kind is not None
    if kind.name == "ARRAY":
        return {"type": "ARRAY", "arrayType": _type(kind.element)}
    if kind.name == "STRUCT":
        return {"type": "STRUCT", "structTypes": [{"name": name, "type": _type(inner)} for name, inner in kind.fields]}
    if kind.name == "RANGE":
        return {"type": "RANGE", "rangeElementType": _type(kind.element)}
    return {"type": kind.name}


def _value(kind: Kind | None, value: Any) -> dict[str, Any]:
    assert kind is not None
    if kind.name == "ARRAY":
        return {"arrayValues": [_value(kind.element, each) for each in value or []]}
    if value is None:
        return {"value": None}
    if kind.name == "STRUCT":
        return {"structValues": {name: _value(inner, value[name]) for name, inner in kind.fields}}
    if kind.name == "RANGE":
        return {"rangeValue": {key: _value(kind.element, value[key]) for key in ("start", "end")}}
    return {"value": _text(kind.name, value)}


def _text(kind: str, value: Any) -> str:
    match kind:
        case "BOOL":
            return "true" if value else "false"
        case "BYTES":
            return base64.b64encode(value).decode()
        case "TIMESTAMP" if isinstance(value, datetime):
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00:00"
        case "DATETIME" if isinstance(value, datetime):
            return value.isoformat(sep=" ")
        case "INTERVAL":
            return _interval(*value)
        case "FLOAT64":
            return repr(value)
    return str(value)


def _interval(months: int, days: int, nanos: int) -> str:
    """``Y-M D H:M:S.F``, each part with its own sign."""
    years, rest = divmod(abs(months), 12)
    seconds, micros = divmod(abs(nanos) // 1000, 1_000_000)
    clock = f"{seconds // 3600}:{seconds // 60 % 60}:{seconds % 60}.{micros:06d}"
    return f"{'-' * (months < 0)}{years}-{rest} {days} {'-' * (nanos < 0)}{clock}"


__all__ = ["bound"]
