"""What is understood by nobody below is refused here, by name: no part of a statement may be dropped in silence."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.kernel.errors import InvalidArgument, Unimplemented

# Syntax that would be lost or mean something else in the engine's dialect.
REFUSED: tuple[tuple[type[exp.Expression], str], ...] = (
    (exp.MatchRecognize, "MATCH_RECOGNIZE"),
    (exp.Lateral, "LATERAL"),
    (exp.SessionParameter, "system variables (@@...)"),
    (exp.Returning, "THEN RETURN"),
)


def refuse(tree: Any, context: Context) -> Any:
    kinds = tuple(kind for kind, _ in REFUSED)
    for node in tree.walk():
        if isinstance(node, exp.TableSample) and not isinstance(node.parent, exp.Table):
            raise InvalidArgument(
                "TABLESAMPLE SYSTEM can only be applied directly to tables", reason="invalidQuery", location="query"
            )
        if isinstance(node, kinds):
            name = next(name for kind, name in REFUSED if isinstance(node, kind))
            raise Unimplemented(
                f"Tule does not do {name}", do="see docs/bigquery-sql.md for what it does", reason="notImplemented",
                location="query",
            )  # fmt: skip
    return tree
