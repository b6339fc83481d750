"""The TRANSFORM clause: what a model makes of its input columns, kept with it and replayed wherever it is asked.

Each item of the clause is kept as GoogleSQL text together with the statistics that its analytic functions took of the
training rows. Replaying puts the statistics in as constants, so one row gets the same values in training, in SQL and
online.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from tule.bigquery.ml import nodes
from tule.bigquery.ml.batches import Relation, actual
from tule.bigquery.ml.mistakes import wrong
from tule.bigquery.sql import printed
from tule.bigquery.sql.functions import aggregate_in
from tule.bigquery.sql.parse import parse
from tule.bigquery.sql.preprocessing import ANALYTIC, function_of, replayed, statistics_of
from tule.kernel.errors import Unimplemented

if TYPE_CHECKING:
    from tule.learn.schema import Field

Node = Any
FILE = "transform.json"


@dataclass(frozen=True)
class Statistic:
    """What one analytic function took of the training rows; functions are in the order in which they are replayed."""

    function: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """One output column: its name, its expression as GoogleSQL, and the statistics that go into it."""

    name: str
    sql: str
    statistics: tuple[Statistic, ...] = ()

    def node(self) -> Node:
        """The expression with its statistics as constants: a new tree at each call."""
        holder = exp.Paren(this=_expression(self.sql))
        given = iter(self.statistics)
        for node in _analytic(holder):
            statistic = next(given)
            arguments = list(node.this.expression.expressions)
            node.replace(replayed(statistic.function, arguments, statistic.values))
        made = holder.this
        made.pop()
        return made

    def plain_node(self) -> Node:
        """The same with BigQuery ML's scalar functions taken apart, too."""
        from tule.bigquery.sql.rules.preprocess import plain

        return plain(self.node())

    def inputs(self) -> list[str]:
        """The input columns that it uses, as written."""
        return list(dict.fromkeys(nodes.roots(_expression(self.sql))))


@dataclass(frozen=True)
class Transform:
    """A fitted TRANSFORM clause. ``columns`` are the input columns that its items use, with their types."""

    items: tuple[Item, ...]
    columns: tuple[Field, ...]

    def item(self, name: str) -> Item | None:
        return next((each for each in self.items if each.name == name), None)

    def to_json(self) -> dict[str, Any]:
        return {
            "version": 1,
            "columns": [each.to_json() for each in self.columns],
            "items": [
                {
                    "name": item.name,
                    "sql": item.sql,
                    "statistics": [
                        {"function": each.function, "values": dict(each.values)} for each in item.statistics
                    ],
                }
                for item in self.items
            ],
        }

    @classmethod
    def from_json(cls, text: Mapping[str, Any]) -> Transform:
        from tule.learn.schema import Field

        if text["version"] != 1:
            raise Unimplemented("A kept TRANSFORM must have version 1", given=text["version"], do="train again")
        items = [
            Item(
                each["name"],
                each["sql"],
                tuple(Statistic(one["function"], one["values"]) for one in each["statistics"]),
            )
            for each in text["items"]
        ]
        return cls(tuple(items), tuple(Field.from_json(each) for each in text["columns"]))


def read(directory: Path) -> Transform | None:
    """The transform kept in a bundle's folder; None for a model without one."""
    try:
        content = (directory / FILE).read_bytes()
    except FileNotFoundError:
        return None
    return Transform.from_json(json.loads(content))


def fit_transform(
    written: Sequence[Node], rows: Relation, untouched: Iterable[str], run: Callable[[Node], Any]
) -> Transform:
    """Fit a TRANSFORM clause on ``rows``. ``untouched``: columns that must pass through under their own name.

    ``run`` answers a query (``Run.batches``). InvalidArgument for items that the clause may not hold.
    """
    from tule.learn.schema import Field

    listed = list(_listed(written, rows.schema))
    _check_names([name for name, _ in listed])
    for _, node in listed:
        _check(node)
    for name in untouched:
        _check_untouched(name, listed)
    texts = [_text(node) for _, node in listed]
    statistics = _take(texts, rows, run)
    items = tuple(Item(name, text, tuple(own)) for (name, _), text, own in zip(listed, texts, statistics, strict=True))
    used = list(dict.fromkeys(found for item in items for each in item.inputs() if (found := rows.name(each))))
    return Transform(items, tuple(Field(name, rows.schema.field(name).type) for name in used))


# -- the clause as written


def _listed(written: Sequence[Node], schema: pa.Schema) -> Iterator[tuple[str, Node]]:
    """(name, expression) of each output column, stars taken apart."""
    for node in written:
        if isinstance(node, exp.Alias):
            yield node.alias, node.this
        elif isinstance(node, exp.Star):
            yield from _starred(node, schema)
        elif isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
            yield from _fields_of(node.table, schema)
        elif isinstance(node, exp.Column) and not node.table:
            yield node.name, node
        else:
            raise wrong(
                "An item of TRANSFORM must be a column, *, struct.* or an expression with a name",
                given=_shown(node),
                do="write expression AS name",
            )


def _starred(star: Node, schema: pa.Schema) -> Iterator[tuple[str, Node]]:
    left_out = {_excepted(each).lower() for each in star.args.get("except_") or ()}
    replaced = {each.alias.lower(): each.this for each in star.args.get("replace") or ()}
    for name in [*left_out, *replaced]:
        if actual(schema.names, name) is None:
            raise wrong("The * of TRANSFORM must name columns of the query", given=name, do=_near(name, schema))
    for name in schema.names:
        if name.lower() not in left_out:
            yield name, replaced.get(name.lower(), nodes.column(name))


def _excepted(node: Node) -> str:
    return str(node.name)


def _fields_of(name: str, schema: pa.Schema) -> Iterator[tuple[str, Node]]:
    found = actual(schema.names, name)
    if found is None:
        raise wrong(f"Unrecognized name: {name}", given=f"{name}.* in TRANSFORM", do=_near(name, schema))
    kind = schema.field(found).type
    if not pa.types.is_struct(kind):
        raise wrong(f"{name}.* of TRANSFORM needs a STRUCT column", given=str(kind), do=f"write {name}")
    for each in kind:
        yield each.name, nodes.column(each.name, of=found)


def _near(name: str, schema: pa.Schema) -> str:
    import difflib

    near = difflib.get_close_matches(name, schema.names, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"use one of {', '.join(schema.names)}"


def _check_names(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise wrong("The columns of TRANSFORM must have different names", given=name, do="rename one with AS")
        seen.add(name.lower())


_FORBIDDEN: tuple[tuple[Any, str], ...] = (
    (exp.Query, "a subquery"),
    (exp.Parameter, "a query parameter"),
    (exp.Placeholder, "a query parameter"),
)


def _check(node: Node) -> None:
    for kind, words in _FORBIDDEN:
        if found := node.find(kind):
            raise wrong(f"TRANSFORM must not hold {words}", given=_shown(found), do="compute it in the query")
    if found := aggregate_in(node):
        raise wrong("TRANSFORM must not hold an aggregate function", given=_shown(found), do="compute it in the query")
    for window in node.find_all(exp.Window):
        name = function_of(window.this)
        if name not in ANALYTIC:
            raise wrong(
                "An analytic function of TRANSFORM must be one of BigQuery ML's",
                given=_shown(window),
                do="use one of " + ", ".join(f"ML.{each}" for each in ANALYTIC),
            )
        if window.args.get("partition_by") or window.args.get("order") or window.args.get("spec"):
            raise wrong(f"ML.{name} must be called with an empty OVER ()", given=_shown(window))
    for dot in node.find_all(exp.Dot):
        name = function_of(dot)
        if name in ANALYTIC and not isinstance(dot.parent, exp.Window):
            raise wrong(f"ML.{name} must be called with an empty OVER ()", given=_shown(dot), do="write OVER ()")


def _check_untouched(name: str, listed: Sequence[tuple[str, Node]]) -> None:
    for own, node in listed:
        if own.lower() == name.lower():
            if isinstance(node, exp.Column) and not node.table and node.name.lower() == name.lower():
                return
            raise wrong(
                f"The column {name} must pass through TRANSFORM as it is", given=_shown(node), do=f"list {name} alone"
            )
    raise wrong(
        f"TRANSFORM must list the column {name}",
        given=", ".join(own for own, _ in listed),
        do=f"add {name}: labels, split, weight and initial columns pass through untransformed",
    )


def _shown(node: Node) -> str:
    text = printed(node)
    return text if len(text) <= 100 else f"{text[:97]}..."


# -- text and back


def _text(node: Node) -> str:
    """An expression as GoogleSQL that reads back as the same tree."""
    text = printed(node)
    if _quoted(_expression(text)) != _quoted(node):
        raise Unimplemented(
            "An expression of TRANSFORM must keep its meaning as text, which this one does not", given=_shown(node),
            do="compute it in the query", reason="notImplemented",
        )  # fmt: skip
    return text


def _quoted(node: Node) -> Node:
    """A copy in which every name stands in backticks: printing puts them around words that are reserved."""
    made = node.copy()
    for each in made.find_all(exp.Identifier):
        each.set("quoted", True)
    return made


def _expression(text: str) -> Node:
    made = parse(f"SELECT {text}").expressions[0]
    made.pop()
    return made


def _analytic(tree: Node) -> list[Node]:
    """The windows of analytic functions, inner ones before those around them; always in the same order."""
    found = [node for node in tree.find_all(exp.Window) if function_of(node.this) in ANALYTIC]
    return found[::-1]


# -- statistics


def _take(texts: Sequence[str], rows: Relation, run: Callable[[Node], Any]) -> list[list[Statistic]]:
    """The statistics of each item, in the order in which they are replayed: one query a level of nesting."""
    holders = [exp.Paren(this=_expression(text)) for text in texts]
    windows = [_analytic(holder) for holder in holders]
    taken: list[list[Any]] = [[None] * len(each) for each in windows]
    left = [(item, slot) for item, each in enumerate(windows) for slot in range(len(each))]
    while left:
        ready = [(item, slot) for item, slot in left if len(_analytic(windows[item][slot])) == 1]
        left = [each for each in left if each not in ready]
        asked = [_aggregates(windows[item][slot]) for item, slot in ready]
        every = [each for aggregates in asked for each in aggregates.values()]
        columns = [nodes.named(each, f"s{at}") for at, each in enumerate(every)]
        answers = iter(run(rows.select(columns)).table().to_pylist()[0].values()) if columns else iter(())
        for (item, slot), aggregates in zip(ready, asked, strict=True):
            window = windows[item][slot]
            name = str(function_of(window.this))
            values = {key: _value(next(answers), name, window) for key in aggregates}
            taken[item][slot] = Statistic(name, values)
            window.replace(replayed(name, list(window.this.expression.expressions), values))
    return taken


def _aggregates(window: Node) -> dict[str, Node]:
    return statistics_of(str(function_of(window.this)), list(window.this.expression.expressions))


def _value(value: Any, function: str, node: Node) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case Decimal():
            return float(value)
        case float() if isfinite(value):
            return value
        case list():
            return [_value(each, function, node) for each in value]
        case float():
            raise wrong(
                f"ML.{function} needs finite numbers", given=f"{_shown(node)} over a column that holds {value} or its like",
                do="filter those rows out",
            )  # fmt: skip
    raise Unimplemented(
        f"ML.{function} takes numbers, BOOL or STRING", given=f"{_shown(node)}, {type(value).__name__} values",
        do="cast the column", reason="notImplemented",
    )  # fmt: skip
