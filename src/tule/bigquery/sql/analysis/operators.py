"""Operators: their signatures, and the engine's form where it differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis import bignumerics, collations, floats, likes, structs
from tule.bigquery.sql.analysis.scopes import Scope, wrong
from tule.bigquery.sql.kinds import (
    BIGNUMERIC,
    BOOL,
    BYTES,
    DATE,
    DATETIME,
    FLOAT64,
    INT64,
    INTERVAL,
    NULL,
    NUMERIC,
    STRING,
    TIMESTAMP,
    Kind,
    NoSupertype,
    collates,
    common,
    shown,
)
from tule.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.walk import Walk

STRING_COLLATED = Kind("STRING", collation="und:ci")
Typed = tuple["Kind | None", bool]
_NUMBERS = ("INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64", "NULL")
_SYMBOLS: dict[type[Any], str] = {
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.EQ: "=", exp.NEQ: "!=", exp.LT: "<", exp.LTE: "<=",
    exp.GT: ">", exp.GTE: ">=", exp.DPipe: "||", exp.BitwiseAnd: "&", exp.BitwiseOr: "|", exp.BitwiseXor: "^",
    exp.BitwiseLeftShift: "<<", exp.BitwiseRightShift: ">>", exp.NullSafeEQ: "IS NOT DISTINCT FROM",
    exp.NullSafeNEQ: "IS DISTINCT FROM",
}  # fmt: skip


def no_match(name: str, kinds: Any, node: Any, *, operator: bool = True, supported: str = "") -> InvalidArgument:
    """``No matching signature for operator + for argument types: INT64, STRING. ...``"""
    what = "operator" if operator else "function"
    text = f"No matching signature for {what} {name} for argument types: {shown(list(kinds))}."
    return wrong(text + (f" Supported signature{'s' * (';' in supported)}: {supported}" if supported else ""), node)


def boolean(kind: Kind | None, word: str, node: Any) -> None:
    if kind not in (None, NULL, BOOL):
        raise no_match(word, [kind], node, operator=word not in ("IF",))


def comparable(symbol: str, a: Typed, b: Typed, node: Any) -> Kind | None:
    """The type in which two values are compared; raises where they cannot be."""
    for kind, _ in (a, b):
        if kind is not None and (kind.name in ("JSON", "GEOGRAPHY") or (kind.name == "ARRAY" and symbol != "[]")):
            what = "Equality" if symbol in ("=", "!=", "IN") else "Comparison"
            raise wrong(f"{what} is not defined for arguments of type {kind}", node)
    try:
        return common([a, b])
    except NoSupertype:
        raise no_match(symbol, [a[0], b[0]], node) from None


def _sides(walk: Walk, node: Any, scope: Scope, aliases: bool) -> tuple[Typed, Typed]:
    from tule.bigquery.sql.analysis.expressions import is_literal, visit

    a, b = is_literal(node.this), is_literal(node.expression)
    left = visit(walk, node.this, scope, aliases)
    right = visit(walk, node.expression, scope, aliases)
    return (left, a), (right, b)


def _coerce_sides(node: Any, a: Typed, b: Typed, kind: Kind | None) -> None:
    from tule.bigquery.sql.analysis.expressions import coerced

    for key, (given, literal) in (("this", a), ("expression", b)):
        # Plain numbers the engine widens by itself, without losing what it knows of a column.
        if given is None or kind is None or given == NULL:
            continue
        if not literal and given.name in _NUMBERS and BIGNUMERIC not in (given, kind):
            continue
        made = coerced(node.args[key], given, kind)
        if made is not node.args[key]:
            node.set(key, made)


def _replace(node: Any, made: Any) -> None:
    from tule.bigquery.sql.analysis.expressions import replace

    replace(node, made)


def _call(name: str, *arguments: Any) -> Any:
    from tule.bigquery.sql.analysis.calls import engine_call

    return engine_call(name, *arguments)


def _comparison(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    if structs.written_out(walk, node, scope, aliases):
        return BOOL
    a, b = _sides(walk, node, scope, aliases)
    kind = comparable(_SYMBOLS[type(node)], a, b, node)
    _coerce_sides(node, a, b, kind)
    if collations.compared(node, ("this", "expression"), (kind,)):
        return BOOL
    if kind is not None and kind.name == "STRUCT" and kind.fields:
        _replace(node, structs.compared(node, kind, kind))
    if kind == FLOAT64 and not isinstance(node, exp.NullSafeEQ | exp.NullSafeNEQ):
        _replace(node, floats.compared(node, a[0], b[0]))
    return BOOL


def _number_of(a: Typed, b: Typed) -> Kind | None:
    try:
        return common([a, b])
    except NoSupertype:
        return None


def _plus_minus(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    a, b = _sides(walk, node, scope, aliases)
    left, right = a[0], b[0]
    symbol = _SYMBOLS[type(node)]
    if left is None or right is None:
        return _unknown(left, right)
    if left.name in _NUMBERS and right.name in _NUMBERS:
        kind = _number_of(a, b)
        _coerce_sides(node, a, b, kind)
        if kind == FLOAT64 and not walk.sums.take(node):
            _replace(node, floats.checked(node))
        elif kind == BIGNUMERIC:
            _replace(node, bignumerics.computed(node))
        return INT64 if kind == NULL else kind
    if left == DATE and right == INT64:
        _replace(node, _call("tule_date_plus" if symbol == "+" else "tule_date_minus", node.this, node.expression))
        return DATE
    if left == INT64 and right == DATE and symbol == "+":
        _replace(node, _call("tule_date_plus", node.expression, node.this))
        return DATE
    if right == INTERVAL and left.name in ("DATE", "DATETIME", "TIMESTAMP", "INTERVAL"):
        return _moved(node, left, "expression")
    if left == INTERVAL and symbol == "+" and right.name in ("DATE", "DATETIME", "TIMESTAMP"):
        return _moved(node, right, "this")
    if symbol == "-" and left.name in ("DATE", "DATETIME", "TIMESTAMP", "TIME"):
        try:
            kind = common([a, b])
        except NoSupertype:
            raise no_match(symbol, [left, right], node) from None
        _coerce_sides(node, a, b, kind)
        days = "tule_minus_dates" if kind == DATE else "tule_minus_times"
        _replace(node, _call(days, node.this, node.expression))
        return INTERVAL
    raise no_match(symbol, [left, right], node)


def _moved(node: Any, kind: Kind, step: str) -> Kind:
    """A moment or an interval, moved by the interval that stands at ``step``."""
    if kind == INTERVAL:
        _replace(node, _call("tule_interval_checked", exp.Paren(this=node.copy())))
    elif kind == TIMESTAMP:
        # A month has no one length in time.
        node.set(step, _call("tule_clock_interval", node.args[step]))
    return DATETIME if kind == DATE else kind


def _unknown(left: Kind | None, right: Kind | None) -> Kind | None:
    known = left or right
    # FLOAT64 makes FLOAT64 of any number beside it.
    return FLOAT64 if known == FLOAT64 else None


def _times(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.expressions import cast

    a, b = _sides(walk, node, scope, aliases)
    left, right = a[0], b[0]
    if left is None or right is None:
        return _unknown(left, right)
    if INTERVAL in (left, right) and INT64 in (left, right):
        pair = (node.this, node.expression) if left == INTERVAL else (node.expression, node.this)
        _replace(node, _call("tule_interval_times", *pair))
        return INTERVAL
    if left.name not in _NUMBERS or right.name not in _NUMBERS:
        raise no_match("*", [left, right], node)
    kind = _number_of(a, b)
    _coerce_sides(node, a, b, kind)
    if kind == NUMERIC:
        # The engine would add the scales up.
        copy = exp.Mul(this=_wrapped(node.this), expression=_wrapped(node.expression))
        _replace(node, cast(exp.Paren(this=copy), NUMERIC))
    elif kind == BIGNUMERIC:
        _replace(node, bignumerics.computed(node))
    elif kind == FLOAT64 and not walk.sums.take(node):
        _replace(node, floats.checked(node))
    return INT64 if kind == NULL else kind


def _wrapped(node: Any) -> Any:
    return exp.Paren(this=node) if isinstance(node, exp.Binary) else node


def _divided(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    if node.meta.get(floats.IEEE):
        _sides(walk, node, scope, aliases)
        return FLOAT64
    a, b = _sides(walk, node, scope, aliases)
    left, right = a[0], b[0]
    if left is None or right is None:
        # Decimals would be divided as doubles: let the engine look at the types.
        _replace(node, _call("tule_divide", node.this, node.expression))
        return _unknown(left, right)
    if left == INTERVAL and right == INT64:
        _replace(node, _call("tule_interval_divided", node.this, node.expression))
        return INTERVAL
    if left.name not in _NUMBERS or right.name not in _NUMBERS:
        raise no_match("/", [left, right], node)
    kind = _number_of(a, b)
    if kind == NUMERIC:
        _coerce_sides(node, a, b, kind)
        _replace(node, _call("tule_divide_numeric", node.this, node.expression))
        return NUMERIC
    if kind == BIGNUMERIC:
        _coerce_sides(node, a, b, kind)
        _replace(node, bignumerics.computed(node))
        return BIGNUMERIC
    # No typed or safe flags: the engine's own division, which fails for zero.
    node.set("typed", None)
    node.set("safe", None)
    _replace(node, floats.checked(node))
    return FLOAT64


def _modulo(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    raise wrong('Syntax error: Illegal input character "%"', node)


def _negative(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.expressions import visit

    if isinstance(node.this, exp.Literal) and node.this.this == str(2**63):
        visit(walk, node.this, scope, aliases)
        return INT64
    kind = visit(walk, node.this, scope, aliases)
    if kind is not None and kind.name not in (*_NUMBERS, "INTERVAL"):
        raise no_match("-", [kind], node)
    return INT64 if kind == NULL else kind


def _not(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.expressions import visit

    boolean(visit(walk, node.this, scope, aliases), "NOT", node)
    return BOOL


def _logic(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    word = "AND" if isinstance(node, exp.And) else "OR"
    # A long chain leans to the left: walk it without recursion.
    chain = [node]
    while isinstance(chain[-1].this, type(node)):
        chain.append(chain[-1].this)
    from tule.bigquery.sql.analysis.expressions import visit

    for each in reversed(chain):
        if each is chain[-1]:
            boolean(visit(walk, each.this, scope, aliases), word, each)
        boolean(visit(walk, each.expression, scope, aliases), word, each)
    return BOOL


def _bits(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    a, b = _sides(walk, node, scope, aliases)
    symbol = _SYMBOLS[type(node)]
    left, right = a[0], b[0]
    for kind in (left, right):
        if kind is not None and kind.name not in ("INT64", "NULL", "BYTES"):
            raise no_match(symbol, [left, right], node)
    shifts = isinstance(node, exp.BitwiseLeftShift | exp.BitwiseRightShift)
    if (right == BYTES and (shifts or left == INT64)) or (left == BYTES and right == INT64 and not shifts):
        raise no_match(symbol, [left, right], node)
    if BYTES in (left, right):
        _replace(node, _call(_ON_BYTES[type(node)], node.this, node.expression))
        return BYTES
    if isinstance(node, exp.BitwiseLeftShift | exp.BitwiseRightShift):
        name = "tule_shift_left" if symbol == "<<" else "tule_shift_right"
        _replace(node, _call(name, node.this, node.expression))
    elif isinstance(node, exp.BitwiseXor):
        _replace(node, _call("xor", node.this, node.expression))
    return INT64


_ON_BYTES: dict[type[Any], str] = {
    exp.BitwiseAnd: "tule_bytes_and",
    exp.BitwiseOr: "tule_bytes_or",
    exp.BitwiseXor: "tule_bytes_xor",
    exp.BitwiseLeftShift: "tule_bytes_shift_left",
    exp.BitwiseRightShift: "tule_bytes_shift_right",
}


def _bit_not(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.expressions import visit

    kind = visit(walk, node.this, scope, aliases)
    if kind == BYTES:
        _replace(node, _call("tule_bytes_not", node.this))
        return BYTES
    if kind not in (None, NULL, INT64):
        raise no_match("~", [kind], node)
    return INT64


def _concatenation(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    chain = [node]
    while isinstance(chain[-1].this, exp.DPipe):
        chain.append(chain[-1].this)
    from tule.bigquery.sql.analysis.expressions import coerced, visit

    found: Kind | None = NULL
    for each in reversed(chain):
        if each is chain[-1]:
            found = visit(walk, each.this, scope, aliases)
        right = visit(walk, each.expression, scope, aliases)
        found = _joined(found, right, each)
        each.set("safe", None)
    for each in chain:
        for key in ("this", "expression"):
            if isinstance(each.args[key], exp.Null) and found is not None:
                each.set(key, coerced(each.args[key], NULL, STRING if found == NULL else found))
    if found is not None and found.name == "ARRAY":
        for each in reversed(chain):
            _replace(each, _call("tule_array_concat", each.this, each.expression))
    return found


def _joined(left: Kind | None, right: Kind | None, node: Any) -> Kind | None:
    for kind in (left, right):
        if kind is not None and kind.name not in ("STRING", "BYTES", "ARRAY", "NULL"):
            raise no_match("||", [left, right], node)
    try:
        return common([(left, False), (right, False)])
    except NoSupertype:
        raise no_match("||", [left, right], node) from None


def _between(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.expressions import coerced, is_literal, visit

    literal = is_literal(node.this)
    kind = visit(walk, node.this, scope, aliases)
    bounds: dict[str, Kind | None] = {}
    for key in ("low", "high"):
        other_literal = is_literal(node.args[key])
        other = bounds[key] = visit(walk, node.args[key], scope, aliases)
        together = comparable("BETWEEN", (kind, literal), (other, other_literal), node)
        if BIGNUMERIC in (kind, other) and kind != other:
            raise wrong("Tule does BETWEEN with a BIGNUMERIC only where all three are: cast the others", node)
        if other is not None and other_literal and other.name not in _NUMBERS:
            node.set(key, coerced(node.args[key], other, together))
    if collations.compared(node, ("this", "low", "high"), (kind, *bounds.values())):
        return BOOL
    if floats.maybe_nan(node.args["high"], bounds["high"]) or floats.maybe_nan(node.args["low"], bounds["low"]):
        low = floats.compared(exp.GTE(this=node.this.copy(), expression=node.args["low"]), kind, bounds["low"])
        high = floats.compared(exp.LTE(this=node.this.copy(), expression=node.args["high"]), kind, bounds["high"])
        _replace(node, exp.Paren(this=exp.And(this=low, expression=high)))
    return BOOL


def _in(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.expressions import coerced, is_literal, visit

    literal = is_literal(node.this)
    kind = visit(walk, node.this, scope, aliases)
    if (unnest := node.args.get("unnest")) is not None:
        constant = unnest.find(exp.Column) is None
        elements = visit(walk, unnest.expressions[0], scope, aliases)
        element = elements.element if elements is not None else None
        if elements is not None and elements.name not in ("ARRAY", "NULL"):
            raise wrong(
                f"Values referenced in UNNEST must be arrays. UNNEST contains expression of type {elements}", node
            )
        comparable("IN", (kind, literal), (element, True), node)
        _same_decimals(kind, element, node)
        if collates(kind) or collates(element):
            node.set("this", collations.key(node.this, STRING_COLLATED))
            unnest.set("expressions", [_call("tule_collation_keys", unnest.expressions[0])])
        content, value = unnest.expressions[0], node.this
        made = node
        if constant:
            inner = exp.select(_call("unnest", content))
            node.set("unnest", None)
            node.set("query", exp.Subquery(this=inner))
        else:
            made = _call("tule_in_array", node.this.copy(), content)
        _replace(node, floats.found_in(made, value) if floats.maybe_nan(value, kind) and element == FLOAT64 else made)
        return BOOL
    if (query := node.args.get("query")) is not None:
        columns = walk.query(query, scope)
        if columns is not None:
            if len(columns) != 1:
                raise wrong("Subquery of type IN must have only one output column", node)
            comparable("IN", (kind, literal), (columns[0][1], False), node)
            _same_decimals(kind, columns[0][1], node)
            if collates(kind) or collates(columns[0][1]):
                node.set("this", collations.key(node.this, STRING_COLLATED))
                node.set("query", collations.keys_of(node.args["query"]))
            if floats.maybe_nan(node.this, kind) and columns[0][1] == FLOAT64:
                _replace(node, floats.found_in(node, node.this))
        return BOOL
    nan, kinds = False, [kind]
    if node.expressions and structs.listed(walk, node, kind, scope, aliases):
        return BOOL
    for each in list(node.expressions):
        index = each.index
        other_literal = is_literal(each)
        other = visit(walk, each, scope, aliases)
        together = comparable("IN", (kind, literal), (other, other_literal), node)
        kinds.append(other)
        current = node.expressions[index]
        if kind == BIGNUMERIC and other not in (kind, None, NULL):
            node.set("expressions", coerced(current, other, kind), index)
            continue
        if BIGNUMERIC in (kind, other) and kind != other:
            raise wrong("Tule does IN with a BIGNUMERIC only where all are: cast the others", node)
        nan = nan or floats.maybe_nan(current, other)
        if other is not None and other_literal and other.name not in _NUMBERS:
            made = coerced(current, other, together)
            if made is not current:
                current.replace(made)
    if nan and floats.maybe_nan(node.this, kind):
        _replace(node, floats.found_in(node, node.this, node.expressions))
    if any(map(collates, kinds)):
        node.set("this", collations.key(node.this, STRING_COLLATED))
        node.set("expressions", [collations.key(each, STRING_COLLATED) for each in node.expressions])
    return BOOL


def _same_decimals(a: Kind | None, b: Kind | None, node: Any) -> None:
    if BIGNUMERIC in (a, b) and a != b and NULL not in (a, b):
        raise wrong("Tule does IN with a BIGNUMERIC only where all are: cast the others", node)


def _is(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.expressions import visit

    kind = visit(walk, node.this, scope, aliases)
    if isinstance(node.expression, exp.Boolean):
        boolean(kind, "IS", node)
    return BOOL


def _at_time_zone(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    raise wrong("AT TIME ZONE belongs into EXTRACT, CAST or STRING", node)


HANDLERS: dict[type[Any], Any] = {
    **dict.fromkeys((exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ), _comparison),
    exp.Add: _plus_minus,
    exp.Sub: _plus_minus,
    exp.Mul: _times,
    exp.Div: _divided,
    exp.Mod: _modulo,
    exp.Neg: _negative,
    exp.Not: _not,
    exp.And: _logic,
    exp.Or: _logic,
    **dict.fromkeys(
        (exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseLeftShift, exp.BitwiseRightShift), _bits
    ),
    exp.BitwiseNot: _bit_not,
    exp.DPipe: _concatenation,
    exp.Between: _between,
    exp.In: _in,
    exp.Is: _is,
    **likes.HANDLERS,
    exp.AtTimeZone: _at_time_zone,
}
