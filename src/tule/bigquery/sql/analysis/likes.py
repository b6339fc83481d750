"""LIKE, LIKE ANY and LIKE ALL. https://cloud.google.com/bigquery/docs/reference/standard-sql/operators#like_operator"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis import collations
from tule.bigquery.sql.analysis.scopes import Scope, wrong
from tule.bigquery.sql.kinds import BOOL, BYTES, NULL, STRING, Kind, collates

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.walk import Walk

_PATTERN = "tule_pattern"


def _like(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.expressions import replace, visit

    if isinstance(node.expression, exp.Any | exp.All):
        return _quantified(walk, node, scope, aliases)
    negate = bool(node.args.get("negate"))
    left = visit(walk, node.this, scope, aliases)
    right = visit(walk, node.expression, scope, aliases)
    if (collates(left) or collates(right)) and _is_plain(node.expression):
        # Without wildcards it is equality, which goes by whole texts.
        same = exp.EQ(this=node.this, expression=node.expression)
        collations.compared(same, ("this", "expression"), (left, right))
        replace(node, exp.Not(this=exp.Paren(this=same)) if negate else same)
        return BOOL
    value, pattern = _comparable(node.this, left, node.expression, right, node)
    replace(node, _matched(value, pattern, negate))
    return BOOL


def _is_plain(pattern: Any) -> bool:
    return isinstance(pattern, exp.Literal) and not set(pattern.this) & set("%_\\")


def _comparable(value: Any, left: Kind | None, pattern: Any, right: Kind | None, node: Any) -> tuple[Any, Any]:
    """Both as texts; raises where they cannot be compared."""
    if collates(left) or collates(right):
        return collations.folded(value), collations.folded(pattern)
    if BYTES in (left, right) and {left, right} <= {BYTES, NULL}:
        from tule.bigquery.sql.functions.builders import characters

        # A byte is a character.
        value = characters(value) if left == BYTES else value
        pattern = characters(pattern) if right == BYTES else pattern
    elif any(kind not in (None, NULL, STRING) for kind in (left, right)):
        from tule.bigquery.sql.analysis.operators import no_match

        raise no_match("LIKE", [left, right], node)
    return value, pattern


def _matched(value: Any, pattern: Any, negate: bool) -> Any:
    made: Any = exp.Like(this=value, expression=pattern)
    if not isinstance(pattern, exp.Literal) or "\\" in pattern.this:
        made = exp.Escape(this=made, expression=exp.Literal.string("\\"))
        made.meta["tule_done"] = True
    return exp.Not(this=exp.Paren(this=made)) if negate else made


def _quantified(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.expressions import visit

    patterns = node.expression.this
    while isinstance(patterns, exp.Paren):
        patterns = exp.Tuple(expressions=[patterns.this])
    if not isinstance(patterns, exp.Tuple):
        return _in_array(walk, node, patterns, scope, aliases)
    negate = bool(node.args.get("negate"))
    parts = [
        exp.Paren(this=exp.Like(this=node.this.copy(), expression=each, negate=negate or None))
        for each in patterns.expressions
    ]
    join = exp.or_ if isinstance(node.expression, exp.Any) else exp.and_
    made = exp.Paren(this=join(*parts, copy=False))
    node.replace(made)
    return visit(walk, made, scope, aliases)


def _in_array(walk: Walk, node: Any, patterns: Any, scope: Scope, aliases: bool) -> Kind | None:
    """The patterns of an array or of a subquery."""
    from tule.bigquery.sql.analysis.calls import engine_call
    from tule.bigquery.sql.analysis.expressions import replace, visit

    if isinstance(patterns, exp.Unnest):
        if len(patterns.expressions) != 1:
            raise wrong("LIKE takes UNNEST of one array", node)
        array = patterns.expressions[0]
    else:
        array = exp.Array(expressions=[patterns.unnest()])
    holder = exp.Paren(this=array)
    left = visit(walk, node.this, scope, aliases)
    given = visit(walk, array, scope, aliases)
    if given is not None and given.name not in ("ARRAY", "NULL"):
        raise wrong(f"Values referenced in UNNEST must be arrays. UNNEST contains expression of type {given}", node)
    name = exp.to_identifier(_PATTERN)
    element = NULL if given == NULL else given.element if given is not None else None
    value, pattern = _comparable(node.this.copy(), left, name.copy(), element, node)
    body = exp.Lambda(this=_matched(value, pattern, bool(node.args.get("negate"))), expressions=[name])
    body.meta["tule_done"] = True
    found = engine_call("coalesce", engine_call("list_transform", holder.this, body), _nothing())
    replace(node, engine_call("tule_any" if isinstance(node.expression, exp.Any) else "tule_every", found))
    return BOOL


def _nothing() -> Any:
    made = exp.Cast(this=exp.Array(expressions=[]), to=exp.DataType.build("BOOLEAN[]", dialect="duckdb"))
    made.meta["tule_done"] = True
    return made


HANDLERS: dict[type[Any], Any] = {exp.Like: _like}
