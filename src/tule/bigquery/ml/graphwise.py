"""Expressions of a TRANSFORM as nodes of a graph, for models that are exported: the graph takes the raw columns then.

A value is a tensor of a row's length and, where it may be NULL, a tensor of booleans that says so. Numbers are float64,
whole ones too: they are exact below 2^53. What has no operator of the same meaning (parts of dates, hashes, texts of
numbers) is refused by name; a division by zero is infinite where SQL fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from tule.bigquery.ml.transform import Item, Transform

if TYPE_CHECKING:
    from tule.learn.onnx.builder import Graph
    from tule.learn.schema import Signature

NUMBER, TEXT, BOOL, OTHER, NULL, STRUCT, ENTRIES = "number", "text", "bool", "other", "null", "struct", "entries"
_INT64, _BOOL, _DOUBLE = 7, 9, 11


@dataclass(frozen=True)
class Value:
    """``kind`` OTHER: dates and times as texts, moments as seconds; they may only pass through. ``null`` None: never NULL.
    A STRUCT has ``fields``; ENTRIES are one pair of an index and a value, each a number."""

    kind: str
    tensor: str = ""
    null: str | None = None
    fields: Mapping[str, Value] | None = None


class _Formless(Exception):
    """This expression has no form; its words."""


def supply(graph: Graph, transform: Transform, signature: Signature) -> None:
    """Compute the model's inputs from raw columns: Unimplemented names an item that has no exact form."""
    from tule.learn.onnx.preprocessing import no_form
    from tule.learn.transforms.features import features_of

    raw = {column.name.lower(): column for column in transform.columns}
    compiler = _Compiler(graph, raw)
    values: dict[str, Value] = {}
    for name in signature.input_names:
        item = transform.item(name)
        assert item is not None
        try:
            values[name] = compiler.item(item)
        except _Formless as found:
            raise no_form(f"TRANSFORM with {found}", item.sql[:100]) from None
    made: dict[str, str] = {}
    for feature in features_of(signature.inputs):
        try:
            value = values[feature.path[0]]
            if len(feature.path) > 1:
                value = _field(value, feature.path[1])
            made[feature.name] = compiler.given(value, feature.kind)
        except _Formless as found:
            raise no_form(f"TRANSFORM with {found}", feature.name) from None
    graph.supplied |= made


def _field(value: Value, name: str) -> Value:
    if value.fields is None or name not in value.fields:
        raise _Formless("a STRUCT that is not written out")
    return value.fields[name]


class _Compiler:
    def __init__(self, graph: Graph, columns: Mapping[str, Any]) -> None:
        self.graph = graph
        self._columns = columns
        self._raw: dict[str, Value] = {}

    def item(self, item: Item) -> Value:
        if not item.inputs():
            raise _Formless("an item of no column")
        return self.compile(item.plain_node())

    def given(self, value: Value, kind: Any) -> str:
        """A value as ``Encoded`` reads a feature of this kind."""
        from tule.learn.onnx.preprocessing import NULL_CATEGORY
        from tule.learn.transforms import Kind

        graph = self.graph
        if kind is Kind.NUMERIC and value.kind in (NUMBER, NULL):
            missing = graph.constant(float("nan"))
            return value.tensor if value.null is None else graph.node("Where", value.null, missing, value.tensor)
        if kind is Kind.CATEGORY and value.kind in (TEXT, BOOL, OTHER):
            text = self.text(value)
            missing = graph.constant(NULL_CATEGORY, "str")
            return text.tensor if text.null is None else graph.node("Where", text.null, missing, text.tensor)
        if kind is Kind.TIMESTAMP and value.kind == OTHER:
            return value.tensor
        if kind is Kind.SPARSE and value.kind == ENTRIES and value.fields is not None:
            # The index, then the value of the one entry of each row.
            last = graph.constant([-1], "int64")
            parts = [graph.node("Unsqueeze", value.fields[name].tensor, last) for name in ("index", "value")]
            return graph.node("Concat", *parts, axis=1)
        raise _Formless(f"a {value.kind} as a {kind.value} feature")

    def compile(self, node: Any) -> Value:
        for kind, handler in _NODES:
            if isinstance(node, kind):
                return handler(self, node)
        raise _Formless(type(node).__name__.upper())

    def all(self, nodes: Sequence[Any]) -> list[Value]:
        return [self.compile(each) for each in nodes]

    def number(self, node: Any) -> Value:
        value = self.compile(node)
        if value.kind == BOOL:
            return Value(NUMBER, self.graph.node("Cast", value.tensor, to=_DOUBLE), value.null)
        if value.kind not in (NUMBER, NULL):
            raise _Formless(f"arithmetic on a {value.kind}")
        return value

    def text(self, value: Value) -> Value:
        if value.kind == BOOL:
            words = self.graph.constant(["false", "true"], "str")
            place = self.graph.node("Cast", value.tensor, to=_INT64)
            return Value(TEXT, self.graph.node("Gather", words, place, axis=0), value.null)
        if value.kind not in (TEXT, OTHER):
            raise _Formless(f"the text of a {value.kind}")
        return Value(TEXT, value.tensor, value.null)

    def either_null(self, values: Sequence[Value]) -> str | None:
        nulls = [each.null for each in values if each.null is not None]
        return reduce(lambda a, b: self.graph.node("Or", a, b), nulls) if nulls else None

    # -- columns and constants

    def column(self, node: Any) -> Value:
        first, *rest = [part.name for part in node.parts]
        found = self._columns.get(first.lower())
        if found is None or rest:
            raise _Formless("a field of a STRUCT column")
        if found.name not in self._raw:
            self._raw[found.name] = self._input(found.name, found.type)
        return self._raw[found.name]

    def _input(self, name: str, kind: pa.DataType) -> Value:
        from tule.learn.onnx.preprocessing import NULL_CATEGORY
        from tule.learn.transforms.features import is_number

        graph = self.graph
        if is_number(kind) or (pa.types.is_timestamp(kind) and kind.tz is not None):
            tensor = graph.input(name, "float64")
            return Value(NUMBER if is_number(kind) else OTHER, tensor, graph.node("IsNaN", tensor))
        if pa.types.is_nested(kind) or pa.types.is_binary(kind):
            raise _Formless(f"the column {name} of this type")
        text = graph.input(name, "str")
        null = self._is_text(text, [NULL_CATEGORY])
        if pa.types.is_boolean(kind):
            return Value(BOOL, self._is_text(text, ["true"]), null)
        return Value(TEXT if pa.types.is_string(kind) else OTHER, text, null)

    def _is_text(self, tensor: str, words: Sequence[str]) -> str:
        return self.graph.node("Greater", self.place(tensor, words), self.graph.constant(0, "int64"))

    def place(self, tensor: str, words: Sequence[str]) -> str:
        """int64: the number of each text among ``words`` from 1, 0 for others."""
        from tule.learn.onnx.builder import ML

        places = list(range(1, len(words) + 1))
        return self.graph.node(
            "LabelEncoder", tensor, domain=ML, keys_strings=list(words), values_int64s=places, default_int64=0
        )

    def literal(self, node: Any) -> Value:
        if node.is_string:
            return Value(TEXT, self.graph.constant(node.this, "str"))
        return Value(NUMBER, self.graph.constant(float(node.this)))

    def boolean(self, node: Any) -> Value:
        return Value(BOOL, self.graph.constant(bool(node.this), "bool"))

    def nothing(self, node: Any) -> Value:
        return Value(NULL, self.graph.constant(0.0), self.graph.constant(True, "bool"))

    def struct(self, node: Any) -> Value:
        if not all(isinstance(each, exp.PropertyEQ) for each in node.expressions):
            raise _Formless("a STRUCT without names")
        return Value(STRUCT, fields={each.this.name: self.compile(each.expression) for each in node.expressions})

    def array(self, node: Any) -> Value:
        """What ML.ONE_HOT_ENCODER makes: one entry."""
        if len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Struct):
            entry = self.struct(node.expressions[0])
            if entry.fields and set(entry.fields) == {"index", "value"}:
                return Value(ENTRIES, fields=entry.fields)
        raise _Formless("an ARRAY")

    # -- arithmetic

    def arithmetic(self, node: Any) -> Value:
        a, b = self.number(node.this), self.number(node.expression)
        return Value(NUMBER, self.graph.node(_ARITHMETIC[type(node)], a.tensor, b.tensor), self.either_null([a, b]))

    def negate(self, node: Any) -> Value:
        a = self.number(node.this)
        return Value(NUMBER, self.graph.node("Neg", a.tensor), a.null)

    def cast(self, node: Any) -> Value:
        value, target = self.compile(node.this), node.to.this
        kinds = exp.DataType.Type
        if target in (kinds.DOUBLE, kinds.BIGINT) and value.kind in (BOOL, NULL):
            return self.number(node.this) if value.kind == BOOL else value
        # A whole number is one in float64, too; another kind of number would be rounded.
        if value.kind == NUMBER and (target == kinds.DOUBLE or (target == kinds.BIGINT and self._is_whole(node.this))):
            return value
        if target in (kinds.TEXT, kinds.VARCHAR) and value.kind in (TEXT, BOOL, OTHER):
            return self.text(value)
        raise _Formless(f"CAST of a {value.kind}")

    def _is_whole(self, node: Any) -> bool:
        if isinstance(node, exp.Anonymous):
            return node.name == "list_position"
        column = self._columns.get(node.name.lower()) if isinstance(node, exp.Column) else None
        return column is not None and pa.types.is_integer(column.type)

    # -- conditions

    def compare(self, node: Any) -> Value:
        a, b = self.compile(node.this), self.compile(node.expression)
        null = self.either_null([a, b])
        operator, inverted = _COMPARISONS[type(node)]
        if a.kind == TEXT and b.kind == TEXT and operator == "Equal":
            words = node.expression if isinstance(node.expression, exp.Literal) else None
            if words is None:
                raise _Formless("texts compared with each other")
            found = self._is_text(a.tensor, [words.this])
        elif a.kind == b.kind == NUMBER:
            found = self.graph.node(operator, a.tensor, b.tensor)
        else:
            raise _Formless(f"a {a.kind} compared with a {b.kind}")
        return Value(BOOL, self.graph.node("Not", found) if inverted else found, null)

    def logic(self, node: Any) -> Value:
        """NULL unless one side decides: FALSE an AND, TRUE an OR."""
        graph, (a, b) = self.graph, (self.condition(node.this), self.condition(node.expression))
        both = isinstance(node, exp.And)
        found = graph.node("And" if both else "Or", a.tensor, b.tensor)
        null = self.either_null([a, b])
        if null is None:
            return Value(BOOL, found)
        decides = [self._decides(each, both) for each in (a, b)]
        return Value(BOOL, found, graph.node("And", null, graph.node("Not", graph.node("Or", *decides))))

    def _decides(self, value: Value, both: bool) -> str:
        tensor = self.graph.node("Not", value.tensor) if both else value.tensor
        if value.null is None:
            return tensor
        return self.graph.node("And", tensor, self.graph.node("Not", value.null))

    def condition(self, node: Any) -> Value:
        value = self.compile(node)
        if value.kind != BOOL:
            raise _Formless(f"a {value.kind} as a condition")
        return value

    def invert(self, node: Any) -> Value:
        value = self.condition(node.this)
        return Value(BOOL, self.graph.node("Not", value.tensor), value.null)

    def is_null(self, node: Any) -> Value:
        if not isinstance(node.expression, exp.Null):
            raise _Formless("IS")
        value = self.compile(node.this)
        if value.null is None:
            raise _Formless("IS NULL of what is never NULL")
        return Value(BOOL, value.null)

    def case(self, node: Any) -> Value:
        if node.args.get("this") is not None:
            raise _Formless("CASE of a value")
        branches = [(each.this, each.args["true"]) for each in node.args["ifs"]]
        return self._choice(branches, node.args.get("default"))

    def if_(self, node: Any) -> Value:
        return self._choice([(node.this, node.args["true"])], node.args.get("false"))

    def _choice(self, branches: Sequence[tuple[Any, Any]], otherwise: Any) -> Value:
        found = self.compile(otherwise if otherwise is not None else exp.Null())
        for test, answer in reversed(branches):
            condition = self.condition(test)
            is_true = self._decides(condition, both=False)
            found = self._chosen(is_true, self.compile(answer), found)
        return found

    def _chosen(self, condition: str, a: Value, b: Value) -> Value:
        """``a`` where the condition holds, else ``b``."""
        graph = self.graph
        kinds = {each.kind for each in (a, b)} - {NULL}
        if len(kinds) > 1 or kinds & {STRUCT, ENTRIES}:
            raise _Formless("a choice between " + " and ".join(sorted(kinds)))
        kind = kinds.pop() if kinds else NULL
        a, b = (self._as(each, kind) for each in (a, b))
        null = None
        if a.null is not None or b.null is not None:
            never = graph.constant(False, "bool")
            null = self._either(condition, a.null or never, b.null or never)
        if kind == BOOL:
            return Value(kind, self._either(condition, a.tensor, b.tensor), null)
        return Value(kind, graph.node("Where", condition, a.tensor, b.tensor), null)

    def _either(self, condition: str, a: str, b: str) -> str:
        """Where of booleans, which ONNX Runtime has not."""
        graph = self.graph
        return graph.node("Or", graph.node("And", condition, a), graph.node("And", graph.node("Not", condition), b))

    def _as(self, value: Value, kind: str) -> Value:
        """NULL as a value of a kind."""
        if value.kind != NULL or kind in (NULL, NUMBER):
            return value
        filler = self.graph.constant("", "str") if kind in (TEXT, OTHER) else self.graph.constant(False, "bool")
        return Value(kind, filler, value.null)

    def coalesce(self, nodes: Sequence[Any]) -> Value:
        *first, found = self.all(nodes)
        for each in reversed(first):
            if each.null is None:
                found = each
            else:
                found = self._chosen(each.null, found, Value(each.kind, each.tensor))
        return found

    # -- functions

    def join(self, nodes: Sequence[Any]) -> Value:
        values = [self.text(self.compile(each)) for each in nodes]
        joined = reduce(lambda a, b: self.graph.node("StringConcat", a, b), [each.tensor for each in values])
        return Value(TEXT, joined, self.either_null(values))

    def arithmetically(self, operator: str, nodes: Sequence[Any]) -> Value:
        """A function of numbers that is NULL where one of them is."""
        values = [self.number(each) for each in nodes]
        return Value(NUMBER, self.graph.node(operator, *(each.tensor for each in values)), self.either_null(values))

    def call(self, node: Any) -> Value:
        name = node.name.lower()
        if name in _FUNCTIONS:
            # Where the engine's own LEAST and GREATEST pass over NULL, the other of the two is a constant.
            return self.arithmetically(_FUNCTIONS[name], node.expressions)
        build = (_ENGINES if node.meta.get("tule_engine") else _CALLS).get(name)
        if build is None:
            raise _Formless(node.name.upper())
        return build(self, list(node.expressions))

    def bucket(self, arguments: Sequence[Any]) -> Value:
        """``bin_<i>``: 1 + the splits that are not above the value."""
        graph, value = self.graph, self.number(arguments[0])
        splits = _constants(arguments[1])
        wide = graph.node("Unsqueeze", value.tensor, graph.constant([-1], "int64"))
        above = graph.node("Cast", graph.node("GreaterOrEqual", wide, graph.constant([splits])), to=_INT64)
        place = graph.node("ReduceSum", above, graph.constant([1], "int64"), keepdims=0)
        names = graph.constant([f"bin_{at}" for at in range(1, len(splits) + 2)], "str")
        return Value(TEXT, graph.node("Gather", names, place, axis=0), value.null)

    def position(self, arguments: Sequence[Any]) -> Value:
        text = self.text(self.compile(arguments[1]))
        words = [str(each) for each in _constants(arguments[0])]
        if not words:
            return Value(NUMBER, self.graph.constant(0.0), text.null)
        return Value(NUMBER, self.graph.node("Cast", self.place(text.tensor, words), to=_DOUBLE), text.null)

    def element(self, arguments: Sequence[Any]) -> Value:
        """An element of a constant array, by its number from 1."""
        values = _constants(arguments[0])
        return Value(NUMBER, self.graph.constant(float(values[int(arguments[1].this) - 1])))


def _constants(node: Any) -> list[Any]:
    """The numbers or texts of an array of literals."""
    if not isinstance(node, exp.Array):
        raise _Formless("an array that is not written out")
    return [_constant(each) for each in node.expressions]


def _constant(node: Any) -> Any:
    if isinstance(node, exp.Neg):
        return -_constant(node.this)
    if not isinstance(node, exp.Literal):
        raise _Formless("an array that is not written out")
    return node.this if node.is_string else float(node.this)


_ARITHMETIC: dict[type[Any], str] = {exp.Add: "Add", exp.Sub: "Sub", exp.Mul: "Mul", exp.Div: "Div"}
_COMPARISONS: dict[type[Any], tuple[str, bool]] = {
    exp.EQ: ("Equal", False),
    exp.NEQ: ("Equal", True),
    exp.GT: ("Greater", False),
    exp.GTE: ("GreaterOrEqual", False),
    exp.LT: ("Less", False),
    exp.LTE: ("LessOrEqual", False),
}
_FUNCTIONS = {
    "abs": "Abs", "sqrt": "Sqrt", "exp": "Exp", "ln": "Log", "floor": "Floor", "ceil": "Ceil", "ceiling": "Ceil",
    "pow": "Pow", "power": "Pow", "least": "Min", "greatest": "Max",
}  # fmt: skip
"""Operators of numbers by the function's name."""
_CALLS: dict[str, Callable[[_Compiler, Sequence[Any]], Value]] = {
    "coalesce": lambda compiler, arguments: compiler.coalesce(arguments),
    "ifnull": lambda compiler, arguments: compiler.coalesce(arguments),
    "concat": lambda compiler, arguments: compiler.join(arguments),
}
_ENGINES: dict[str, Callable[[_Compiler, Sequence[Any]], Value]] = {
    "tule_bucket": lambda compiler, arguments: compiler.bucket(arguments),
    "list_position": lambda compiler, arguments: compiler.position(arguments),
    "list_extract": lambda compiler, arguments: compiler.element(arguments),
}
_NODES: tuple[tuple[Any, Callable[[_Compiler, Any], Value]], ...] = (
    (exp.Paren, lambda compiler, node: compiler.compile(node.this)),
    (exp.Column, _Compiler.column),
    (exp.Literal, _Compiler.literal),
    (exp.Boolean, _Compiler.boolean),
    (exp.Null, _Compiler.nothing),
    (exp.Struct, _Compiler.struct),
    (exp.Array, _Compiler.array),
    (tuple(_ARITHMETIC), _Compiler.arithmetic),
    (exp.Neg, _Compiler.negate),
    (exp.Cast, _Compiler.cast),
    (tuple(_COMPARISONS), _Compiler.compare),
    ((exp.And, exp.Or), _Compiler.logic),
    (exp.Not, _Compiler.invert),
    (exp.Is, _Compiler.is_null),
    (exp.Case, _Compiler.case),
    (exp.If, _Compiler.if_),
    (exp.Coalesce, lambda compiler, node: compiler.coalesce([node.this, *node.expressions])),
    (exp.DPipe, lambda compiler, node: compiler.join([node.this, node.expression])),
    (exp.Anonymous, _Compiler.call),
)
