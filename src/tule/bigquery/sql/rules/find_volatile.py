"""What makes a statement answer otherwise each time is noted: such an answer is neither kept nor made into a view's rows."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.bigquery.sql.functions.keysets import VOLATILE

_FUNCTIONS = frozenset(
    {"RAND", "GENERATE_UUID", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_DATETIME", "CURRENT_TIMESTAMP", "SESSION_USER",
     "EXTERNAL_QUERY"}
)  # fmt: skip
_NODES: dict[type[exp.Expression], str] = {
    exp.CurrentDate: "CURRENT_DATE",
    exp.CurrentTime: "CURRENT_TIME",
    exp.CurrentDatetime: "CURRENT_DATETIME",
    exp.CurrentTimestamp: "CURRENT_TIMESTAMP",
    exp.CurrentUser: "SESSION_USER",
    exp.TableSample: "TABLESAMPLE",
}


def find_volatile(tree: Any, context: Context) -> Any:
    for node in tree.walk():
        if isinstance(node, exp.Anonymous):
            name = node.name.upper()
            if name in _FUNCTIONS or (
                isinstance(node.parent, exp.Dot) and f"{node.parent.this.name.upper()}.{name}" in VOLATILE
            ):
                context.volatile.add(name)
            elif isinstance(node.parent, exp.Table):
                # Functions of models and others in FROM: what they read has no name here.
                context.volatile.add(name)
        elif (found := _NODES.get(type(node))) is not None:
            context.volatile.add(found)
    return tree
