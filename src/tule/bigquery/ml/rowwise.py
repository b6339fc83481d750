"""Expressions of a TRANSFORM as Python functions of one row: for online requests, where planning a query costs more than
answering it.

Only what is certain is compiled: kinds are known beforehand, and each operation is the one that the engine's does on
such values. Everything else (another function, an overflow, NaN, a division by zero) is left to the engine: ``compiled``
gives None, or the function raises ``Unsure``. Whoever uses it also compares both on rows made for that (``proof.py``).
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from sqlglot import exp

Row = Sequence[Any]
Evaluate = Callable[[Row], Any]

INT, FLOAT, TEXT, BOOL, DATE, MOMENT, NULL = "INT64", "FLOAT64", "STRING", "BOOL", "DATE", "DATETIME", "NULL"
_LARGEST = 2**63 - 1


class Unsure(Exception):
    """This row is one for the engine."""


class _Unknown(Exception):
    """This expression is one for the engine."""


Compiled = tuple[Any, Evaluate]
"""(kind, function of a row). A kind is one of the words above, ("STRUCT", {name: kind}) or ("ARRAY", kind)."""


def kind_of(kind: pa.DataType) -> Any:
    """The kind of a column; None for a type that is the engine's business."""
    if pa.types.is_struct(kind):
        fields = {field.name: kind_of(field.type) for field in kind}
        return None if None in fields.values() else ("STRUCT", fields)
    for fits, name in (
        (pa.types.is_boolean, BOOL),
        (pa.types.is_integer, INT),
        (pa.types.is_floating, FLOAT),
        (pa.types.is_string, TEXT),
        (pa.types.is_date, DATE),
        (pa.types.is_timestamp, MOMENT),
    ):
        if fits(kind):
            return name
    return None


def compiled(node: Any, columns: Mapping[str, tuple[int, Any]]) -> Compiled | None:
    """An expression as its kind and a function of a row; ``columns`` gives the place and kind of each by lower-case name.

    None where the engine must compute it. The function raises Unsure for a row that the engine must judge.
    """
    try:
        return _Compiler(columns).compile(node)
    except _Unknown:
        return None


class _Compiler:
    def __init__(self, columns: Mapping[str, tuple[int, Any]]) -> None:
        self._columns = columns

    def compile(self, node: Any) -> Compiled:
        handler = _NODES.get(type(node))
        if handler is None:
            raise _Unknown(type(node).__name__)
        return handler(self, node)

    def all(self, nodes: Sequence[Any]) -> list[Compiled]:
        return [self.compile(each) for each in nodes]

    def number(self, node: Any) -> Compiled:
        kind, evaluate = self.compile(node)
        if kind not in (INT, FLOAT, NULL):
            raise _Unknown(kind)
        return kind, evaluate

    def of(self, node: Any, *kinds: str) -> Evaluate:
        kind, evaluate = self.compile(node)
        if kind not in (*kinds, NULL):
            raise _Unknown(kind)
        return evaluate

    # -- columns and constants

    def column(self, node: Any) -> Compiled:
        first, *rest = [part.name for part in node.parts]
        found = self._columns.get(first.lower())
        if found is None or found[1] is None:
            raise _Unknown(first)
        place, kind = found
        evaluate: Evaluate = lambda row: row[place]  # noqa: E731
        for name in rest:
            kind, evaluate = _field(kind, evaluate, name)
        return kind, evaluate

    def dot(self, node: Any) -> Compiled:
        kind, evaluate = self.compile(node.this)
        return _field(kind, evaluate, node.expression.name)

    def literal(self, node: Any) -> Compiled:
        if node.is_string:
            return TEXT, _constant(node.this)
        if node.this.isdigit():
            return INT, _constant(_whole(int(node.this)))
        return FLOAT, _constant(float(node.this))

    def struct(self, node: Any) -> Compiled:
        names = [each.this.name for each in node.expressions if isinstance(each, exp.PropertyEQ)]
        if len(names) < len(node.expressions):
            raise _Unknown("STRUCT")
        parts = self.all([each.expression for each in node.expressions])
        pairs = [(name, evaluate) for name, (_, evaluate) in zip(names, parts, strict=True)]
        kinds = {name: kind for name, (kind, _) in zip(names, parts, strict=True)}
        return ("STRUCT", kinds), lambda row: {name: evaluate(row) for name, evaluate in pairs}

    def array(self, node: Any) -> Compiled:
        parts = self.all(node.expressions)
        kind = ("ARRAY", _common([each for each, _ in parts]))
        evaluates = [_as(kind[1], evaluate) for _, evaluate in parts]
        if all(isinstance(each, exp.Literal | exp.Neg) for each in node.expressions):
            return kind, _constant([evaluate(()) for evaluate in evaluates])
        return kind, lambda row: [evaluate(row) for evaluate in evaluates]

    # -- arithmetic

    def arithmetic(self, node: Any) -> Compiled:
        (a_kind, a), (b_kind, b) = self.number(node.this), self.number(node.expression)
        operate = _OPERATIONS[type(node)]
        if a_kind == b_kind == INT:
            return INT, lambda row: None if (x := a(row)) is None or (y := b(row)) is None else _whole(operate(x, y))
        return (
            FLOAT,
            lambda row: (
                None if (x := a(row)) is None or (y := b(row)) is None else _finite(operate(float(x), float(y)))
            ),
        )

    def divide(self, node: Any) -> Compiled:
        (_, a), (_, b) = self.number(node.this), self.number(node.expression)
        return FLOAT, lambda row: None if (x := a(row)) is None or (y := b(row)) is None else _quotient(x, y)

    def negate(self, node: Any) -> Compiled:
        kind, a = self.number(node.this)
        if kind == INT:
            return kind, lambda row: None if (x := a(row)) is None else _whole(-x)
        return kind, lambda row: None if (x := a(row)) is None else -x

    def cast(self, node: Any) -> Compiled:
        kind, a = self.compile(node.this)
        target = node.to.this
        if target == exp.DataType.Type.DOUBLE and kind in (INT, FLOAT, NULL):
            return FLOAT, lambda row: None if (x := a(row)) is None else float(x)
        if target == exp.DataType.Type.BIGINT and kind in (INT, NULL):
            return INT, a
        if target == exp.DataType.Type.BIGINT and kind == BOOL:
            return INT, lambda row: None if (x := a(row)) is None else int(x)
        if target in (exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR) and kind in (TEXT, INT, BOOL, NULL):
            return TEXT, lambda row: None if (x := a(row)) is None else _text(x)
        if target == exp.DataType.Type.DATE and isinstance(node.this, exp.Literal) and node.this.is_string:
            try:
                return DATE, _constant(datetime.date.fromisoformat(node.this.this))
            except ValueError:
                raise _Unknown("DATE") from None
        raise _Unknown("CAST")

    # -- conditions

    def compare(self, node: Any) -> Compiled:
        (a_kind, a), (b_kind, b) = self.compile(node.this), self.compile(node.expression)
        convert = _comparable(a_kind, b_kind)
        operate = _COMPARISONS[type(node)]
        return (
            BOOL,
            lambda row: None if (x := a(row)) is None or (y := b(row)) is None else operate(convert(x), convert(y)),
        )

    def both(self, node: Any) -> Compiled:
        a, b = self.of(node.this, BOOL), self.of(node.expression, BOOL)

        def evaluate(row: Row) -> bool | None:
            x = a(row)
            if x is False:
                return False
            y = b(row)
            return False if y is False else None if x is None or y is None else True

        return BOOL, evaluate

    def either(self, node: Any) -> Compiled:
        a, b = self.of(node.this, BOOL), self.of(node.expression, BOOL)

        def evaluate(row: Row) -> bool | None:
            x = a(row)
            if x is True:
                return True
            y = b(row)
            return True if y is True else None if x is None or y is None else False

        return BOOL, evaluate

    def invert(self, node: Any) -> Compiled:
        a = self.of(node.this, BOOL)
        return BOOL, lambda row: None if (x := a(row)) is None else not x

    def is_(self, node: Any) -> Compiled:
        _, a = self.compile(node.this)
        if isinstance(node.expression, exp.Null):
            return BOOL, lambda row: a(row) is None
        if isinstance(node.expression, exp.Boolean):
            wanted = bool(node.expression.this)
            return BOOL, lambda row: a(row) is wanted
        raise _Unknown("IS")

    def in_(self, node: Any) -> Compiled:
        if not node.expressions:
            raise _Unknown("IN")
        kind, a = self.compile(node.this)
        parts = self.all(node.expressions)
        converts = [_comparable(kind, each) for each, _ in parts]
        if any(not isinstance(each, exp.Literal | exp.Neg) for each in node.expressions):
            raise _Unknown("IN")
        values = {convert(evaluate(())) for convert, (_, evaluate) in zip(converts, parts, strict=True)}
        convert = converts[0]
        return BOOL, lambda row: None if (x := a(row)) is None else convert(x) in values

    def between(self, node: Any) -> Compiled:
        low = exp.GTE(this=node.this.copy(), expression=node.args["low"].copy())
        high = exp.LTE(this=node.this.copy(), expression=node.args["high"].copy())
        return self.both(exp.And(this=low, expression=high))

    def case(self, node: Any) -> Compiled:
        branches: list[tuple[Evaluate, Evaluate]] = []
        kinds = []
        operand = node.args.get("this")
        for each in node.args["ifs"]:
            condition = each.this if operand is None else exp.EQ(this=operand.copy(), expression=each.this.copy())
            kind, value = self.compile(each.args["true"])
            branches.append((self.of(condition, BOOL), value))
            kinds.append(kind)
        otherwise: Evaluate = _constant(None)
        if node.args.get("default") is not None:
            kind, otherwise = self.compile(node.args["default"])
            kinds.append(kind)
        return _choice(_common(kinds), branches, otherwise)

    def if_(self, node: Any) -> Compiled:
        arguments = [node.this, node.args["true"], node.args.get("false") or exp.Null()]
        return _conditional(self, arguments)

    # -- functions

    def join(self, node: Any) -> Compiled:
        return _concat(self, [node.this, node.expression])

    def coalesce(self, node: Any) -> Compiled:
        return _first(self, [node.this, *node.expressions])

    def call(self, node: Any) -> Compiled:
        name = node.name.lower()
        # The engine's own GREATEST and LEAST pass over NULL, GoogleSQL's do not.
        build = _ENGINES.get(name) if node.meta.get("tule_engine") else None
        build = build or _FUNCTIONS.get(name)
        if build is None:
            raise _Unknown(node.name)
        return build(self, list(node.expressions))

    def extract(self, node: Any) -> Compiled:
        part = node.this.name.upper()
        kind, a = self.compile(node.expression)
        read = _DATE_PARTS.get(part) if kind in (DATE, MOMENT) else None
        if read is None and kind == MOMENT:
            read = _TIME_PARTS.get(part)
        if read is None:
            raise _Unknown(part)
        found = read
        return INT, lambda row: None if (x := a(row)) is None else found(x)


def _field(kind: Any, evaluate: Evaluate, name: str) -> Compiled:
    if not isinstance(kind, tuple) or kind[0] != "STRUCT" or name not in kind[1]:
        raise _Unknown(name)
    return kind[1][name], lambda row: None if (x := evaluate(row)) is None else x[name]


def _constant(value: Any) -> Evaluate:
    return lambda row: value


def _known(evaluate: Evaluate) -> Any:
    """The value of what must be a constant."""
    try:
        return evaluate(())
    except IndexError:
        raise _Unknown("not a constant") from None


def _whole(number: int) -> int:
    if not -_LARGEST - 1 <= number <= _LARGEST:
        raise Unsure("overflow")
    return number


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise Unsure("overflow")
    return number


def _quotient(a: float, b: float) -> float:
    if b == 0:
        raise Unsure("division by zero")
    return _finite(float(a) / float(b))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _same(value: Any) -> Any:
    return value


def _comparable(a: Any, b: Any) -> Callable[[Any], Any]:
    """What both sides of a comparison become before it."""
    kinds = {a, b} - {NULL} if not isinstance(a, tuple) and not isinstance(b, tuple) else {"?", "!"}
    if len(kinds) <= 1:
        return _same
    if kinds == {INT, FLOAT}:
        return float
    raise _Unknown("comparison")


def _common(kinds: Sequence[Any]) -> Any:
    """The kind of a value that is one of these; whole numbers become FLOAT64 beside such."""
    found = [kind for kind in kinds if kind != NULL]
    if not found:
        return NULL
    if all(kind == found[0] for kind in found):
        return found[0]
    if all(kind in (INT, FLOAT) for kind in found):
        return FLOAT
    raise _Unknown("mixed kinds")


def _choice(kind: Any, branches: Sequence[tuple[Evaluate, Evaluate]], otherwise: Evaluate) -> Compiled:
    def evaluate(row: Row) -> Any:
        for condition, value in branches:
            if condition(row) is True:
                return value(row)
        return otherwise(row)

    return kind, _as(kind, evaluate)


def _as(kind: Any, evaluate: Evaluate) -> Evaluate:
    if kind != FLOAT:
        return evaluate
    return lambda row: None if (x := evaluate(row)) is None else float(x)


def _conditional(compiler: _Compiler, nodes: list[Any]) -> Compiled:
    if len(nodes) != 3:
        raise _Unknown("IF")
    condition = compiler.of(nodes[0], BOOL)
    (a_kind, a), (b_kind, b) = compiler.compile(nodes[1]), compiler.compile(nodes[2])
    return _choice(_common([a_kind, b_kind]), [(condition, a)], b)


def _first(compiler: _Compiler, nodes: list[Any]) -> Compiled:
    parts = compiler.all(nodes)
    kind = _common([each for each, _ in parts])
    evaluates = [evaluate for _, evaluate in parts]

    def evaluate(row: Row) -> Any:
        for each in evaluates:
            if (value := each(row)) is not None:
                return value
        return None

    return kind, _as(kind, evaluate)


def _concat(compiler: _Compiler, nodes: list[Any]) -> Compiled:
    parts = [compiler.of(each, TEXT) for each in nodes]

    def evaluate(row: Row) -> str | None:
        values = [part(row) for part in parts]
        return None if None in values else "".join(values)

    return TEXT, evaluate


def _strict(kinds: tuple[str, ...], answer: str | None, function: Callable[[Any], Any]) -> Any:
    """A function of one value that is NULL for NULL; ``answer`` None: the kind of its argument."""

    def build(compiler: _Compiler, nodes: list[Any]) -> Compiled:
        if len(nodes) != 1:
            raise _Unknown("arguments")
        kind, a = compiler.compile(nodes[0])
        if kind not in kinds:
            raise _Unknown(kind)
        return answer or kind, lambda row: None if (x := a(row)) is None else function(x)

    return build


def _ascii(text: str) -> str:
    """Other letters have more than one way to change their case."""
    if not text.isascii():
        raise Unsure("letters")
    return text


def _absolute(value: Any) -> Any:
    return _whole(abs(value)) if isinstance(value, int) else abs(value)


def _real(function: Callable[[float], float]) -> Callable[[Any], float]:
    def evaluate(value: Any) -> float:
        try:
            return _finite(function(float(value)))
        except (ValueError, OverflowError):
            raise Unsure(function.__name__) from None

    return evaluate


def _modulo(compiler: _Compiler, nodes: list[Any]) -> Compiled:
    if len(nodes) != 2:
        raise _Unknown("MOD")
    a, b = compiler.of(nodes[0], INT), compiler.of(nodes[1], INT)

    def evaluate(row: Row) -> int | None:
        x, y = a(row), b(row)
        if x is None or y is None:
            return None
        if y == 0:
            raise Unsure("division by zero")
        rest: int = abs(x) % abs(y)
        return rest if x >= 0 else -rest

    return INT, evaluate


def _safe_divide(compiler: _Compiler, nodes: list[Any]) -> Compiled:
    if len(nodes) != 2:
        raise _Unknown("SAFE_DIVIDE")
    (_, a), (_, b) = compiler.number(nodes[0]), compiler.number(nodes[1])
    return FLOAT, lambda row: None if (x := a(row)) is None or not (y := b(row)) else _quotient(x, y)


def _extreme(choose: Callable[..., Any], *, skips_null: bool) -> Any:
    def build(compiler: _Compiler, nodes: list[Any]) -> Compiled:
        parts = [compiler.number(each) for each in nodes]
        kind = _common([each for each, _ in parts])

        def evaluate(row: Row) -> Any:
            values = [evaluate(row) for _, evaluate in parts]
            known = [value for value in values if value is not None]
            if not known or (len(known) < len(values) and not skips_null):
                return None
            return choose(known)

        return kind, _as(kind, evaluate)

    return build


def _bucket(compiler: _Compiler, nodes: list[Any]) -> Compiled:
    from bisect import bisect_right

    _, a = compiler.number(nodes[0])
    kind, splits = compiler.compile(nodes[1])
    if kind not in (("ARRAY", INT), ("ARRAY", FLOAT)):
        raise _Unknown("splits")
    bounds = [float(each) for each in _known(splits)]
    # Not sorted, or with NaN: the engine counts the splits that are not above.
    if bounds != sorted(bounds) or any(bound != bound for bound in bounds):
        raise _Unknown("splits")
    return TEXT, lambda row: None if (x := a(row)) is None else f"bin_{1 + bisect_right(bounds, float(x))}"


def _position(compiler: _Compiler, nodes: list[Any]) -> Compiled:
    kind, words = compiler.compile(nodes[0])
    value = compiler.of(nodes[1], TEXT)
    if kind not in (("ARRAY", TEXT), ("ARRAY", NULL)):
        raise _Unknown("words")
    places: dict[Any, int] = {}
    for place, word in enumerate(_known(words), 1):
        places.setdefault(word, place)
    return INT, lambda row: places.get(value(row))


def _element(compiler: _Compiler, nodes: list[Any]) -> Compiled:
    kind, values = compiler.compile(nodes[0])
    if not isinstance(kind, tuple) or kind[0] != "ARRAY" or not isinstance(nodes[1], exp.Literal):
        raise _Unknown("element")
    at = int(nodes[1].this)
    found = _known(values)
    if not 1 <= at <= len(found):
        raise _Unknown("element")
    return kind[1], _constant(found[at - 1])


def _slice(compiler: _Compiler, nodes: list[Any]) -> Compiled:
    """Elements from the first to the last number, both counted from 1, or from the end where negative."""
    kind, values = compiler.compile(nodes[0])
    if not isinstance(kind, tuple) or kind[0] != "ARRAY":
        raise _Unknown("slice")
    found = _known(values)
    first, last = (_known(compiler.of(each, INT)) for each in nodes[1:])
    end = last if last >= 0 else len(found) + last + 1
    return kind, _constant(found[max(0, first - 1) : max(0, end)])


_OPERATIONS: dict[type[Any], Callable[[Any, Any], Any]] = {
    exp.Add: lambda a, b: a + b,
    exp.Sub: lambda a, b: a - b,
    exp.Mul: lambda a, b: a * b,
}
_COMPARISONS: dict[type[Any], Callable[[Any, Any], bool]] = {
    exp.EQ: lambda a, b: a == b,
    exp.NEQ: lambda a, b: a != b,
    exp.LT: lambda a, b: a < b,
    exp.LTE: lambda a, b: a <= b,
    exp.GT: lambda a, b: a > b,
    exp.GTE: lambda a, b: a >= b,
}
_DATE_PARTS: dict[str, Callable[[Any], int]] = {
    "YEAR": lambda day: day.year,
    "MONTH": lambda day: day.month,
    "DAY": lambda day: day.day,
    "QUARTER": lambda day: (day.month + 2) // 3,
    "DAYOFWEEK": lambda day: day.isoweekday() % 7 + 1,
    "DAYOFYEAR": lambda day: day.timetuple().tm_yday,
}
_TIME_PARTS: dict[str, Callable[[Any], int]] = {
    "HOUR": lambda moment: moment.hour,
    "MINUTE": lambda moment: moment.minute,
    "SECOND": lambda moment: moment.second,
}
_FUNCTIONS: dict[str, Callable[[_Compiler, list[Any]], Compiled]] = {
    "if": _conditional,
    "coalesce": _first,
    "ifnull": _first,
    "concat": _concat,
    "mod": _modulo,
    "safe_divide": _safe_divide,
    "abs": _strict((INT, FLOAT), None, _absolute),
    "sqrt": _strict((INT, FLOAT), FLOAT, _real(math.sqrt)),
    "exp": _strict((INT, FLOAT), FLOAT, _real(math.exp)),
    "ln": _strict((INT, FLOAT), FLOAT, _real(math.log)),
    "upper": _strict((TEXT,), TEXT, lambda text: _ascii(text).upper()),
    "lower": _strict((TEXT,), TEXT, lambda text: _ascii(text).lower()),
    "length": _strict((TEXT,), INT, len),
    "least": _extreme(min, skips_null=False),
    "greatest": _extreme(max, skips_null=False),
    "tule_bucket": _bucket,
    "list_position": _position,
    "list_extract": _element,
    "list_slice": _slice,
}
_ENGINES: dict[str, Callable[[_Compiler, list[Any]], Compiled]] = {
    "least": _extreme(min, skips_null=True),
    "greatest": _extreme(max, skips_null=True),
}
_NODES: dict[type[Any], Callable[[_Compiler, Any], Compiled]] = {
    exp.Column: _Compiler.column,
    exp.Dot: _Compiler.dot,
    exp.Literal: _Compiler.literal,
    exp.Boolean: lambda _, node: (BOOL, _constant(bool(node.this))),
    exp.Null: lambda _, node: (NULL, _constant(None)),
    exp.Paren: lambda compiler, node: compiler.compile(node.this),
    exp.Struct: _Compiler.struct,
    exp.Array: _Compiler.array,
    exp.Add: _Compiler.arithmetic,
    exp.Sub: _Compiler.arithmetic,
    exp.Mul: _Compiler.arithmetic,
    exp.Div: _Compiler.divide,
    exp.Neg: _Compiler.negate,
    exp.Cast: _Compiler.cast,
    exp.EQ: _Compiler.compare,
    exp.NEQ: _Compiler.compare,
    exp.LT: _Compiler.compare,
    exp.LTE: _Compiler.compare,
    exp.GT: _Compiler.compare,
    exp.GTE: _Compiler.compare,
    exp.And: _Compiler.both,
    exp.Or: _Compiler.either,
    exp.Not: _Compiler.invert,
    exp.Is: _Compiler.is_,
    exp.In: _Compiler.in_,
    exp.Between: _Compiler.between,
    exp.Case: _Compiler.case,
    exp.If: _Compiler.if_,
    exp.DPipe: _Compiler.join,
    exp.Coalesce: _Compiler.coalesce,
    exp.Anonymous: _Compiler.call,
    exp.Extract: _Compiler.extract,
}
