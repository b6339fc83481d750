"""``SELECT UNNEST(a) AS x`` is ``SELECT EXPLODE(a) AS x``; beside other relations of FROM it is LATERAL there."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.kernel.errors import Unimplemented


def take_arrays_apart(tree: Any, context: Context) -> Any:
    for node in list(tree.find_all(exp.Unnest, exp.Anonymous)):
        if isinstance(node, exp.Anonymous) and node.name.lower() != "unnest":
            continue
        if not isinstance(node.parent, exp.Alias | exp.Select) or len(node.expressions) != 1 or _items(node) != 1:
            raise Unimplemented(
                "UNNEST WITH OFFSET and of several arrays must run on the embedded engine", given="TULE_SQL=spark",
                do="set TULE_SQL=duckdb", reason="notImplemented", location="query",
            )  # fmt: skip
        select = node.find_ancestor(exp.Select)
        node.replace(exp.Explode(this=node.expressions[0]))
        _lateral(select)
    return tree


def _items(node: Any) -> int:
    select = node.find_ancestor(exp.Select)
    return len(select.expressions) if select is not None else 0


def _lateral(select: Any) -> None:
    """A subquery of a join that names columns of the relations before it."""
    holder = select.parent
    if isinstance(holder, exp.Subquery) and isinstance(holder.parent, exp.Join):
        alias = holder.args.get("alias")
        bare = exp.Subquery(this=select.copy())
        holder.replace(exp.Lateral(this=bare, alias=alias))
