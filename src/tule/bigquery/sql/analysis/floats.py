"""FLOAT64 by BigQuery's rules where the engine has others: NaN is equal to nothing, and what overflows is an error.

The engine orders NaN above all other values, also in comparisons, and answers infinity for ``1e308 * 10``.
https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#floating_point_semantics
"""

from __future__ import annotations

import math
import operator
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.kinds import Kind

IEEE = "tule_ieee"
"""Meta of an operator that answers as the machine does: infinity and NaN, no error."""

_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div)
_OPERATORS: dict[type[Any], Any] = {
    exp.Add: operator.add, exp.Sub: operator.sub, exp.Mul: operator.mul, exp.Div: operator.truediv,
}  # fmt: skip
_INSIDE = (*_ARITHMETIC, exp.Neg, exp.Paren)
# A larger operand of a larger expression is handed on by name, so that nested checks do not multiply the text. It goes
# through a list of one element, which costs more than the arithmetic.
_SMALL, _LARGE = 12, 300


def _infinity() -> Any:
    made = exp.Cast(this=exp.Literal.string("infinity"), to=exp.DataType(this=exp.DataType.Type.DOUBLE))
    made.meta["tule_done"] = True
    return made


def _number(node: Any) -> bool:
    """Whether a node is a constant, which is never NaN."""
    while isinstance(node, exp.Neg | exp.Paren | exp.Cast) and not isinstance(node, exp.TryCast):
        node = node.this
    return isinstance(node, exp.Literal) and not node.is_string


def maybe_nan(node: Any, kind: Kind | None) -> bool:
    return kind is not None and kind.name == "FLOAT64" and not _number(node)


def _is_number(node: Any) -> Any:
    """Not NaN, which the engine puts above infinity; such a condition can go down to the scan."""
    return exp.LTE(this=exp.Paren(this=node.copy()), expression=_infinity())


def _is_nan(node: Any) -> Any:
    return exp.GT(this=exp.Paren(this=node.copy()), expression=_infinity())


def compared(node: Any, left: Kind | None, right: Kind | None) -> Any:
    """A comparison in which NaN is equal to nothing and neither smaller nor larger."""
    a, b = node.this, node.expression
    nan_a, nan_b = maybe_nan(a, left), maybe_nan(b, right)
    if isinstance(node, exp.NEQ):
        if not (nan_a and nan_b):
            return node
        both = exp.And(this=_is_nan(a), expression=_is_nan(b))
        return exp.Paren(this=exp.Or(this=node.copy(), expression=exp.Paren(this=both)))
    if isinstance(node, exp.EQ):
        guarded, other = (a if nan_a and nan_b else None), b
    elif isinstance(node, exp.GT | exp.GTE):
        guarded, other = (a if nan_a else None), b
    else:
        guarded, other = (b if nan_b else None), a
    if guarded is None:
        return node
    guard = _is_number(guarded) if _number(other) or _filters(node) else _number_or_unknown(guarded, [other])
    return exp.Paren(this=exp.And(this=node.copy(), expression=guard))


def _filters(node: Any) -> bool:
    """Whether FALSE does for NULL where a condition stands: it only chooses."""
    while True:
        parent = node.parent
        if isinstance(parent, exp.And | exp.Or | exp.Paren):
            node = parent
            continue
        if isinstance(parent, exp.If):
            case = parent.parent
            return node.arg_key == "this" and not (isinstance(case, exp.Case) and case.this is not None)
        return isinstance(parent, exp.Where | exp.Having | exp.Qualify) or (
            isinstance(parent, exp.Join) and node.arg_key == "on"
        )


def _number_or_unknown(node: Any, others: list[Any]) -> Any:
    """Whether a node is not NaN; NULL, not FALSE, beside an operand that is NULL."""
    made = _is_number(node)
    for each in others:
        unknown = exp.Is(this=exp.Paren(this=each.copy()), expression=exp.Null())
        made = exp.Or(this=made, expression=exp.Paren(this=exp.And(this=unknown, expression=exp.Null())))
    return exp.Paren(this=made)


def without_nan(node: Any) -> Any:
    """NULL for NaN: what is compared with the values of a CASE is then equal to none."""
    nan = exp.Cast(this=exp.Literal.string("nan"), to=exp.DataType(this=exp.DataType.Type.DOUBLE))
    nan.meta["tule_done"] = True
    return _call("nullif", node, nan)


def found_in(node: Any, value: Any, others: list[Any] | None = None) -> Any:
    """An IN that no NaN passes; ``others``: the values of its list."""
    unknown = [each for each in others or () if not _number(each)]
    guard = _is_number(value) if not unknown or _filters(node) else _number_or_unknown(value, unknown)
    return exp.Paren(this=exp.And(this=node.copy(), expression=guard))


def checked(node: Any) -> Any:
    """An arithmetic expression that fails where its operands are finite and it is not; itself where that is not asked."""
    if _outermost(node) is not node:
        return node
    leaves = list(_leaves(node))
    if any(each.meta.get(IEEE) for each in node.walk() if isinstance(each, _ARITHMETIC)):
        return node
    if _is_known_finite(node):
        return node
    large = [each for each in leaves if not _number(each) and _size(each) > _SMALL]
    if large and _size(node) > _LARGE:
        return _handed_on(node, large)
    return _case(node, leaves)


def _outermost(node: Any) -> Any:
    """The arithmetic node that a node's value flows into in the end."""
    found, below, at = node, node, node.parent
    while isinstance(at, _INSIDE) and not _divides(below, at):
        if isinstance(at, _ARITHMETIC):
            found = at
        below, at = at, at.parent
    return found


def _divides(node: Any, quotient: Any) -> bool:
    """Whether a node is a divisor: what is divided by infinity is a number again, so that divisors are checked alone."""
    return isinstance(quotient, exp.Div) and quotient.expression is node


def _leaves(node: Any) -> Any:
    for each in (node.this, node.expression) if isinstance(node, _ARITHMETIC) else (node.this,):
        if isinstance(each, _INSIDE) and not _divides(each, node):
            yield from _leaves(each)
        else:
            yield each


def _is_known_finite(node: Any) -> bool:
    """Whether an expression of constants comes to a number, or to the engine's own error."""
    try:
        found = _value(node)
    except ZeroDivisionError:
        return True
    return found is not None and math.isfinite(found)


def _value(node: Any) -> float | None:
    """What an expression of constants comes to, None where it has other parts."""
    if isinstance(node, exp.Paren | exp.Cast):
        return _value(node.this)
    if isinstance(node, exp.Neg):
        value = _value(node.this)
        return None if value is None else -value
    if isinstance(node, _ARITHMETIC):
        a, b = _value(node.this), _value(node.expression)
        return None if a is None or b is None else _OPERATORS[type(node)](a, b)
    return float(node.this) if _number(node) else None


def _size(node: Any) -> int:
    return sum(1 for _ in node.walk())


def _call(name: str, *arguments: Any) -> Any:
    from tule.bigquery.sql.analysis.calls import engine_call

    return engine_call(name, *arguments)


def _double(node: Any) -> Any:
    made = exp.Cast(this=node, to=exp.DataType(this=exp.DataType.Type.DOUBLE))
    made.meta["tule_done"] = True
    return made


def _finite(node: Any) -> Any:
    return _call("isfinite", _double(node))


def _case(node: Any, leaves: list[Any]) -> Any:
    operands: Any = None
    for each in leaves:
        if not _number(each):
            finite = _finite(each.copy())
            operands = finite if operands is None else exp.And(this=operands, expression=finite)
    texts = [_call("tule_text_of_double", _double(each.copy())) for each in (node.this, node.expression)]
    symbol = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}[type(node)]
    message: Any = exp.Literal.string("tule: double overflow: ")
    for part in (texts[0], exp.Literal.string(f" {symbol} "), texts[1]):
        message = exp.DPipe(this=message, expression=part)
    failure = _double(exp.Paren(this=message))
    zero = _double(exp.Literal.number("0.0"))
    case = exp.Case(
        ifs=[
            exp.If(this=_finite(node.copy()), true=zero),
            exp.If(this=operands if operands is not None else exp.Boolean(this=True), true=failure),
        ],
        default=zero.copy(),
    )
    case.meta["tule_done"] = True
    # Less zero, every number stays what it is, -0.0 too. So the operator stands outside of CASE, where the engine computes
    # once what a statement says twice.
    made = exp.Sub(this=exp.Paren(this=node.copy()), expression=case)
    made.meta["tule_done"] = True
    return exp.Paren(this=made)


def _handed_on(node: Any, large: list[Any]) -> Any:
    """The check over operands that are computed once: they are handed in through a list of one element."""
    variable = "tule_operands"
    fields = []
    for index, each in enumerate(large):
        name = f"x{index}"
        reference = exp.Dot(this=exp.to_identifier(variable), expression=exp.to_identifier(name))
        value = each.copy()
        each.replace(reference)
        fields.append(exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=value))
    body = exp.Lambda(this=_case(node, list(_leaves(node))), expressions=[exp.to_identifier(variable)])
    body.meta["tule_done"] = True
    struct = exp.Struct(expressions=fields)
    struct.meta["tule_done"] = True
    handed = exp.Array(expressions=[struct])
    handed.meta["tule_done"] = True
    return _call("list_extract", _call("list_transform", handed, body), exp.Literal.number(1))


__all__ = ["IEEE", "checked", "compared", "found_in", "maybe_nan", "without_nan"]
