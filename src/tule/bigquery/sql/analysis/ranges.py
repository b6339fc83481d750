"""RANGE<DATE>, RANGE<DATETIME> and RANGE<TIMESTAMP>: a struct of the engine whose missing bounds are infinite.

https://cloud.google.com/bigquery/docs/reference/standard-sql/range-functions
"""

from __future__ import annotations

import re
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.kinds import STRING, Kind, engine_type

_WRITTEN = re.compile(r"\s*\[\s*([^\s,\[\]()][^,\[\]()]*?)\s*,\s*([^\s,\[\]()][^,\[\]()]*?)\s*\)\s*")


def _call(name: str, *arguments: Any) -> Any:
    from tule.bigquery.sql.analysis.calls import engine_call

    return engine_call(name, *arguments)


def _done(node: Any) -> Any:
    node.meta["tule_done"] = True
    return node


def infinite(element: Kind, sign: str) -> Any:
    """Before or after all values of a type."""
    return _done(exp.Cast(this=exp.Literal.string(f"{sign}infinity"), to=engine_type(element)))


def bound(node: Any, element: Kind, sign: str) -> Any:
    """A bound, infinite where it is NULL."""
    return _call("coalesce", node, infinite(element, sign))


def made_of(start: Any, end: Any, element: Kind) -> Any:
    return _call("tule_range", bound(start, element, "-"), bound(end, element, ""))


def of_text(node: Any, kind: Kind) -> Any:
    """``'[2024-01-01, UNBOUNDED)'`` as a range."""
    from tule.bigquery.sql.analysis.casts import from_string

    assert kind.element is not None
    if isinstance(node, exp.Literal) and (found := _WRITTEN.fullmatch(node.this)) is not None:
        start, end = (_bound_of(text, kind.element) for text in found.groups())
        return made_of(start, end, kind.element)
    ends = []
    for place, sign in ((1, "-"), (2, "")):
        text = _call("tule_range_bound", node.copy(), exp.Literal.number(place))
        ends.append(bound(from_string(text, kind.element), kind.element, sign))
    made = _call("tule_range", *ends)
    right = exp.And(this=_call("tule_range_text_check", node), expression=exp.Not(this=_is_null(node.copy())))
    return exp.Paren(this=_done(exp.Case().when(right, made)))


def _bound_of(text: str, element: Kind) -> Any:
    from tule.bigquery.sql.analysis.casts import from_string

    if text.upper() in ("UNBOUNDED", "NULL"):
        return _done(exp.Cast(this=exp.Null(), to=engine_type(element)))
    return from_string(exp.Literal.string(text), element)


def _is_null(node: Any) -> Any:
    return exp.Is(this=node, expression=exp.Null())


def text_of(node: Any, kind: Kind) -> Any:
    """A range as CAST(r AS STRING) writes it."""
    from tule.bigquery.sql.analysis.casts import to_string

    assert kind.element is not None
    start, end = (to_string(_call(f"tule_range_{end}", node.copy()), kind.element) for end in ("start", "end"))
    made = _call("tule_range_text", start, end)
    return exp.Paren(this=_done(exp.Case().when(exp.Not(this=_is_null(node)), made)))


def converted(node: Any, given: Kind | None, wanted: Kind) -> Any | None:
    """A range of another type, or another type as a range; None where neither is one."""
    if wanted.name == "RANGE" and given == STRING:
        return of_text(node, wanted)
    if given is not None and given.name == "RANGE" and wanted == STRING:
        return text_of(node, given)
    return None


__all__ = ["bound", "converted", "infinite", "made_of", "of_text", "text_of"]
