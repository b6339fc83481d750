"""``/`` by zero is an error, not infinity; ``IEEE_DIVIDE`` is the plain division of the machine."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.bigquery.sql.rules.rewrite_functions import call


def divide(tree: Any, context: Context) -> Any:
    def change(node: Any) -> Any:
        if isinstance(node, exp.Div) and not node.meta.get("tule_ieee"):
            if isinstance(node.expression, exp.Literal) and float(node.expression.this) != 0:
                node.meta["tule_ieee"] = True
                return node
            return call("tule_divide", node.this, node.expression)
        return node

    return tree.transform(change, copy=False)
