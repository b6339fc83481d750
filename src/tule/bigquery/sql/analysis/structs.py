"""Equality of STRUCTs, field by field: unknown where a field is NULL and none differs.

The engine compares whole structs, to which NULL is a value and NaN a number.
https://cloud.google.com/bigquery/docs/reference/standard-sql/operators#comparison_operators
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis.scopes import Scope, wrong
from tule.bigquery.sql.kinds import Kind, shown

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.walk import Walk

_EQUALITY = (exp.EQ, exp.NEQ)
_LESS = {exp.LT: "Less than", exp.LTE: "Less than", exp.GT: "Greater than", exp.GTE: "Greater than"}


def written_out(walk: Walk, node: Any, scope: Scope, aliases: bool) -> bool:
    """Compare two structs that are made here by their fields, before there are any; whether it was so."""
    if not isinstance(node, _EQUALITY):
        return False
    left, right = (_made_here(node.args[key]) for key in ("this", "expression"))
    if left is None or right is None or len(left) != len(right) or not left:
        return False
    from tule.bigquery.sql.analysis.expressions import replace, visit

    made = _all_equal([(a.copy(), b.copy()) for a, b in zip(left, right, strict=True)], isinstance(node, exp.NEQ))
    replace(node, made)
    visit(walk, made, scope, aliases)
    return True


def _made_here(node: Any) -> list[Any] | None:
    """The fields of a struct that is written as one, without types."""
    node = node.unnest()
    if isinstance(node, exp.Struct | exp.Tuple):
        return [each.expression if isinstance(each, exp.PropertyEQ) else each.unalias() for each in node.expressions]
    return None


def _all_equal(pairs: list[tuple[Any, Any]], negate: bool) -> Any:
    parts = [exp.Paren(this=exp.EQ(this=_held(a), expression=_held(b))) for a, b in pairs]
    made: Any = exp.Paren(this=exp.and_(*parts, copy=False))
    return exp.Not(this=made) if negate else made


def _held(node: Any) -> Any:
    return exp.Paren(this=node) if isinstance(node, exp.Binary | exp.Unary | exp.Predicate) else node


def compared(node: Any, left: Kind, right: Kind) -> Any:
    """A comparison of structs that were visited; raises for what is none of equality."""
    if (word := _LESS.get(type(node))) is not None:
        raise wrong(f"{word} is not defined for arguments of type {shown([left])}", node)
    if not isinstance(node, _EQUALITY):
        return node
    made = equal(node.this, node.expression, left, right)
    return node if made is None else exp.Not(this=made) if isinstance(node, exp.NEQ) else made


def listed(walk: Walk, node: Any, kind: Kind | None, scope: Scope, aliases: bool) -> bool:
    """Compare a struct with each value of an IN; whether it is one."""
    if kind is None or kind.name != "STRUCT":
        return False
    from tule.bigquery.sql.analysis.expressions import is_literal, replace, visit
    from tule.bigquery.sql.analysis.operators import comparable

    parts = []
    for index in range(len(node.expressions)):
        literal = is_literal(node.expressions[index])
        given = visit(walk, node.expressions[index], scope, aliases)
        together = comparable("IN", (kind, False), (given, literal), node)
        value = node.expressions[index]
        part = None if together is None or given is None else equal(node.this, value, kind, given)
        parts.append(part if part is not None else exp.EQ(this=node.this.copy(), expression=value.copy()))
    replace(node, exp.Paren(this=exp.or_(*parts, copy=False)))
    return True


def equal(a: Any, b: Any, left: Kind, right: Kind) -> Any:
    """Whether two structs are equal, None where their fields are not known."""
    from tule.bigquery.sql.analysis import collations, floats

    parts = []
    for index, ((name, x), (other, y)) in enumerate(zip(left.fields, right.fields, strict=True), 1):
        if x is None or y is None or "BIGNUMERIC" in (x.name, y.name):
            return None
        one, two = _field(a, name, index), _field(b, other, index)
        if x.name == y.name == "STRUCT":
            part = equal(one, two, x, y)
            if part is None:
                return None
        else:
            part = exp.EQ(this=one, expression=two)
            if "FLOAT64" in (x.name, y.name):
                part = floats.compared(part, x, y)
            collations.compared(part, ("this", "expression"), (x, y))
        parts.append(exp.Paren(this=part))
    if not parts:
        return None
    made = exp.Paren(this=exp.and_(*parts, copy=False))
    made.meta["tule_done"] = True
    return made


def _field(node: Any, name: str, index: int) -> Any:
    if (fields := _made_here(node)) is not None:
        return fields[index - 1].copy()
    label = exp.to_identifier(name or f"_field_{index}", quoted=True)
    return exp.Dot(this=exp.Paren(this=node.copy()), expression=label)


__all__ = ["compared", "equal", "listed", "written_out"]
