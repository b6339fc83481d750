"""CAST ... FORMAT: which types take a pattern, and what the engine does with it.

https://cloud.google.com/bigquery/docs/reference/standard-sql/format-elements
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis import casts
from tule.bigquery.sql.analysis.calls import attempt
from tule.bigquery.sql.analysis.calls import engine_call as call
from tule.bigquery.sql.analysis.scopes import Scope, wrong
from tule.bigquery.sql.functions.times import ahead_of, in_zone
from tule.bigquery.sql.kinds import BYTES, DATETIME, INT64, NULL, STRING, TIMESTAMP, Kind, engine_type

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.walk import Walk

_MOMENTS = ("DATE", "TIME", "DATETIME", "TIMESTAMP")
_NUMBERS = ("INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64")


def formatted_cast(walk: Walk, node: Any, to: Kind, scope: Scope, aliases: bool) -> Kind:
    """The engine's form of a cast by a pattern; the type it casts to."""
    from tule.bigquery.sql.analysis.expressions import replace, visit

    pattern, zone = _parts(walk, node, scope, aliases)
    given = visit(walk, node.this, scope, aliases)
    value = node.this
    if given == NULL:
        made: Any = _cast(value, to)
    elif to == STRING and given is not None and given.name in _MOMENTS:
        made = _moment_as_text(value, given, pattern, zone, node)
    elif zone is not None and to != TIMESTAMP:
        raise wrong(f"AT TIME ZONE is not allowed in a cast from {given} to {to}", node)
    elif to == STRING and given is not None and given.name in _NUMBERS:
        made = call("tule_format_number", casts.to_string(value, given), pattern)
    elif to == STRING and given == BYTES:
        made = call("tule_format_bytes", value, pattern)
    elif given == STRING and to == BYTES:
        made = call("tule_parse_bytes", value, pattern)
    elif given == STRING and to.name in _MOMENTS:
        made = _text_as_moment(walk, value, to, pattern, zone)
    else:
        raise wrong(f"FORMAT is not allowed in a cast from {given or 'a type that is not known'} to {to}", node)
    if isinstance(node, exp.TryCast):
        made = attempt(made, [value])
    replace(node, made)
    return to


def _parts(walk: Walk, node: Any, scope: Scope, aliases: bool) -> tuple[Any, Any]:
    """The pattern and the zone, None where there is none."""
    from tule.bigquery.sql.analysis.expressions import visit

    clause, zone = node.args["format"], None
    if isinstance(clause, exp.AtTimeZone):
        visit(walk, clause.args["zone"], scope, aliases)
        zone = clause.args["zone"]
        clause.replace(clause.this)
    kind = visit(walk, node.args["format"], scope, aliases)
    if kind not in (None, STRING, NULL):
        raise wrong(f"The format of CAST must be a STRING; given: {kind}", node)
    return _cast(node.args["format"], STRING) if kind == NULL else node.args["format"], zone


def _cast(node: Any, kind: Kind) -> Any:
    made = exp.Cast(this=node, to=engine_type(kind))
    made.meta["tule_done"] = True
    return made


def _moment_as_text(value: Any, given: Kind, pattern: Any, zone: Any, node: Any) -> Any:
    ahead: Any = _cast(exp.Literal.number(0), INT64)
    if given == TIMESTAMP:
        local = in_zone(value.copy() if zone is not None else value, zone)
        if zone is not None:
            ahead = ahead_of(local.copy(), value)
    elif zone is not None:
        raise wrong(f"AT TIME ZONE is not allowed in a cast from {given} to STRING", node)
    elif given.name == "TIME":
        local = call("tule_datetime_of_time", value)
    else:
        local = _cast(value, DATETIME)
    return call("tule_format_moment", local, pattern, ahead, exp.Literal.string(given.name))


def _text_as_moment(walk: Walk, value: Any, to: Kind, pattern: Any, zone: Any) -> Any:
    now = walk.context.now
    today: Any = exp.Literal.string(now.date().isoformat()) if now is not None else call("tule_today")
    text = call("tule_parse_moment", value, pattern, exp.Literal.string(to.name), today)
    if to == TIMESTAMP:
        return call("tule_timestamp_of_text_in", text, zone if zone is not None else exp.Literal.string("UTC"))
    return _cast(_cast(text, DATETIME), to)
