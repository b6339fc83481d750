"""Bound values are named by a colon."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context


def bind_by_colon(tree: Any, context: Context) -> Any:
    for node in list(tree.find_all(exp.Parameter)):
        node.replace(exp.Placeholder(this=node.name))
    return tree
