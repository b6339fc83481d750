"""Each function by its form in Spark (``functions.sql``, ``builtins.py``); one that has none is refused by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.bigquery.sql.dialects.spark.builtins import BUILTINS, SYNTAX
from tule.kernel.errors import Unimplemented

_DEFINED = re.compile(r"(?P<name>(?:tule|on)_\w+)\((?P<arguments>[^)]*)\) AS\s+(?P<body>.*)", re.DOTALL)
_DONE = "tule_spark"


@dataclass(frozen=True)
class Function:
    arguments: tuple[str, ...]
    body: Any


@cache
def functions() -> dict[str, Function]:
    """The definitions by name."""
    text = "\n".join(
        line for line in Path(__file__).with_name("functions.sql").read_text().splitlines() if line[:2] != "--"
    )
    found = {}
    for part in text.split(";\n"):
        if (match := _DEFINED.fullmatch(part.strip())) is not None:
            arguments = tuple(each.strip() for each in match["arguments"].split(",") if each.strip())
            found[match["name"]] = Function(arguments, sqlglot.parse_one(match["body"], read="spark"))
    return found


def call_functions(tree: Any, context: Context) -> Any:
    holder = exp.Paren(this=tree)
    for node in reversed(list(holder.find_all(exp.Func))):
        if node.meta.get(_DONE):
            continue
        name = _name(node)
        if name in ("floor", "ceil") and isinstance(node.parent, exp.Cast):
            # Of INT64 and NUMERIC; the cast says which.
            node.replace(_done(exp.Anonymous(this=name, expressions=_arguments(node))))
            continue
        if not name:
            if type(node).__name__ not in SYNTAX:
                raise _refused(node.sql_name())
        elif name == "isfinite":
            node.replace(_finite(node.expressions[0]))
        elif (own := _own_name(node, name)) in functions():
            _check_aggregate(node, name)
            node.replace(expanded(own, _arguments(node)[own.startswith("on_date_diff_") :]))
        elif name in BUILTINS:
            node.set("this", BUILTINS[name])
        else:
            node.replace(expanded(name, node.expressions))
    made = holder.this
    made.pop()
    return made


def _name(node: Any) -> str:
    """The name of a function of DuckDB; empty for what is syntax."""
    if isinstance(node, exp.Floor | exp.Ceil):
        return type(node).__name__.lower()
    return str(node.name).lower() if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc) else ""


def _arguments(node: Any) -> list[Any]:
    return [node.this] if isinstance(node, exp.Floor | exp.Ceil) else list(node.expressions)


def _done(node: Any) -> Any:
    node.meta[_DONE] = True
    return node


def _own_name(node: Any, name: str) -> str:
    """The definition of a function of DuckDB; a part of dates belongs to its name."""
    if name == "date_diff" and isinstance(node.expressions[0], exp.Literal):
        return f"on_date_diff_{node.expressions[0].name.lower()}"
    return f"on_{name}"


def _check_aggregate(node: Any, name: str) -> None:
    """Arrays and texts of rows in an order, of unlike ones or in a window have no equal."""
    if name in ("list", "string_agg") and (
        node.find(exp.Order, exp.Distinct) is not None
        or isinstance(node.parent, exp.Filter | exp.Window | exp.IgnoreNulls)
    ):
        raise _refused("ARRAY_AGG and STRING_AGG with ORDER BY, DISTINCT, FILTER or OVER")


def expanded(name: str, arguments: list[Any]) -> Any:
    """A call with the definition in its place."""
    found = functions().get(name)
    if found is None or len(arguments) != len(found.arguments):
        raise _refused(name)
    given = dict(zip(found.arguments, arguments, strict=True))
    made = exp.Paren(this=found.body.copy())
    for column in list(made.find_all(exp.Column)):
        if column.name in given and not column.table:
            column.replace(exp.Paren(this=given[column.name].copy()))
    for node in reversed(list(made.find_all(exp.Anonymous))):
        if node.name.lower() == "isfinite":
            node.replace(_finite(node.expressions[0]))
        elif node.name.lower().startswith("tule_"):
            node.replace(expanded(node.name.lower(), node.expressions))
    for each in made.find_all(exp.Func):
        each.meta[_DONE] = True
    return made


def _finite(value: Any) -> Any:
    made = sqlglot.parse_one("(NOT isnan(x) AND abs(x) <> double('Infinity'))", read="spark")
    for column in list(made.find_all(exp.Column)):
        column.replace(exp.Paren(this=value.copy()))
    for node in made.find_all(exp.Func):
        node.meta[_DONE] = True
    return made


def _refused(name: str) -> Unimplemented:
    shown = name.removeprefix("tule_").upper() if name.islower() else name
    return Unimplemented(
        f"The function behind {shown} must run on the embedded engine", given="TULE_SQL=spark",
        do="write it otherwise, or set TULE_SQL=duckdb", reason="notImplemented", location="query",
    )  # fmt: skip


__all__ = ["call_functions", "functions"]
