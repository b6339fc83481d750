"""Syntax that Spark lacks, by name: arrays of subqueries, unions by name."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.kernel.errors import Unimplemented


def refuse_syntax(tree: Any, context: Context) -> Any:
    for node in tree.walk():
        what = _what(node)
        if what:
            raise Unimplemented(
                f"{what} must run on the embedded engine", given="TULE_SQL=spark",
                do="write it otherwise, or set TULE_SQL=duckdb", reason="notImplemented", location="query",
            )  # fmt: skip
    return tree


def _what(node: Any) -> str:
    if isinstance(node, exp.Array) and any(isinstance(each, exp.Query) for each in node.expressions):
        return "ARRAY of a subquery"
    if isinstance(node, exp.SetOperation) and node.args.get("by_name"):
        return "UNION ALL BY NAME, by which wildcard tables are read,"
    if isinstance(node, exp.Pivot):
        return "PIVOT and UNPIVOT"
    if isinstance(node, exp.In) and node.args.get("query") is not None and not _filters(node):
        return "IN of a subquery or an array outside of a filter"
    if isinstance(node, exp.AtTimeZone):
        return "A time zone other than UTC"
    if isinstance(node, exp.Window) and node.find(exp.Rand) is not None:
        return "A window over random values"
    if isinstance(node, exp.TableSample):
        return "TABLESAMPLE"
    if isinstance(node, exp.With) and node.args.get("recursive"):
        return "WITH RECURSIVE"
    return ""


def _filters(node: Any) -> bool:
    """Whether a condition stands in WHERE, where NULL is as good as FALSE: elsewhere Spark takes the one for the other."""
    while isinstance(node.parent, exp.Paren | exp.Not):
        node = node.parent
    while isinstance(node.parent, exp.And | exp.Paren):
        node = node.parent
    return isinstance(node.parent, exp.Where)
