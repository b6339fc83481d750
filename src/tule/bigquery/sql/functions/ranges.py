"""Functions of ranges. https://cloud.google.com/bigquery/docs/reference/standard-sql/range-functions"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis import ranges
from tule.bigquery.sql.analysis.calls import engine_call as call
from tule.bigquery.sql.functions.intervals import CALENDAR, CLOCK, span
from tule.bigquery.sql.kinds import Kind, array, engine_type

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.calls import Call


def _element(it: Call) -> Any:
    assert it.match is not None
    result = it.match.result
    kind = result.element if result is not None and result.name == "ARRAY" else result
    assert kind is not None and kind.element is not None
    return kind.element


def _range(it: Call) -> Any:
    if all(kind is None or kind.name == "NULL" for kind, _ in it.kinds):
        raise it.wrong("RANGE must have a bound whose type is known: write CAST(NULL AS DATE)")
    return ranges.made_of(it.argument(0), it.argument(1), _element(it))


def _generate(it: Call) -> Any:
    """The pieces between the bounds start, start + step, start + 2 steps, ..."""
    element = _element(it)
    parts = {"DATE": CALENDAR, "TIMESTAMP": (*CLOCK, "DAY")}.get(element.name, (*CLOCK, *CALENDAR))
    step = span(it, it.argument(1), parts)
    variable = exp.to_identifier("tule_range")
    fields = [
        exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=value)
        for name, value in (("r", it.argument(0)), ("step", step))
    ]
    pieces: Any = call("tule_generate_range_array", variable.copy(), it.argument(2, exp.Boolean(this=True)))
    handed = _done(exp.Array(expressions=[_done(exp.Struct(expressions=fields))]))
    body = _done(exp.Lambda(this=pieces, expressions=[variable]))
    made = call("list_extract", call("list_transform", handed, body), exp.Literal.number(1))
    # A date and an interval make a moment.
    return _done(exp.Cast(this=made, to=engine_type(array(Kind("RANGE", element)))))


def _done(node: Any) -> Any:
    node.meta["tule_done"] = True
    return node


BUILDERS: dict[str, Callable[[Call], Any]] = {"generate_range_array": _generate, "range": _range}
