"""Values to bind in the form that the engine takes them: Arrow's Python values of types that the engine keeps otherwise."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Context, Decimal
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.kinds import END, START, Kind, kind_of_node

_OWN_FORM = ("BIGNUMERIC", "INTERVAL", "RANGE")
_WIDE = Context(prec=120)


def bindable(kind: str, value: Any) -> Any:
    """A value of a type as GoogleSQL writes it."""
    if value is None or not any(each in kind for each in _OWN_FORM):
        return value
    return _bindable(kind_of_node(exp.DataType.build(kind, dialect="bigquery")), value)


def _bindable(kind: Kind | None, value: Any) -> Any:
    if value is None or kind is None:
        return value
    match kind.name:
        case "ARRAY":
            return [_bindable(kind.element, each) for each in value]
        case "STRUCT":
            inner = dict(kind.fields)
            return {name: _bindable(inner.get(name), each) for name, each in value.items()}
        case "BIGNUMERIC":
            # Units of 1e-38, as text: larger than any number that can be bound.
            return str(int(Decimal(value).scaleb(38, context=_WIDE)))
        case "INTERVAL":
            months, days, nanos = value
            return f"{months} months {days} days {nanos // 1000} microseconds"
        case "RANGE":
            start, end = value["start"], value["end"]
            return {START: _bound(start, "-infinity"), END: _bound(end, "infinity")}
    return value


def _bound(value: date | datetime | None, missing: str) -> str:
    return missing if value is None else str(value)


__all__ = ["bindable"]
