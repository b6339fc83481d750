"""``@name`` and ``?`` become bound parameters of the engine, cast to their declared type; never text in the SQL."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.analysis.scopes import wrong
from tule.bigquery.sql.context import BOUND, Context
from tule.bigquery.sql.parse import POSITION


def bind_parameters(tree: Any, context: Context) -> Any:
    for node in list(tree.find_all(exp.Parameter, exp.Placeholder)):
        if node.meta.get(BOUND):
            continue
        if isinstance(node, exp.Placeholder):
            name = str(node.meta[POSITION] + context.scope.first_position)
            if name not in context.parameters:
                raise wrong(f"Query parameter number {int(name) + 1} not found", node)
        else:
            wanted = node.this.name.lower()
            found = next((each for each in context.parameters if each.lower() == wanted), None)
            if found is None:
                raise wrong(f"Query parameter '{node.this.name}' not found", node)
            name = found
        node.replace(context.bind(context.parameters[name], f"@{name}"))
    return tree
