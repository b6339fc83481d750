"""What is understood by nobody below is refused here, by name: no part of a statement may be dropped in silence."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.analysis.scopes import wrong
from tule.bigquery.sql.context import Context
from tule.kernel.errors import Unimplemented

# Syntax that would be lost or mean something else in the engine's dialect.
REFUSED: tuple[tuple[type[exp.Expression], str], ...] = (
    (exp.MatchRecognize, "MATCH_RECOGNIZE"),
    (exp.Lateral, "LATERAL"),
    (exp.SessionParameter, "system variables (@@...)"),
    (exp.Returning, "THEN RETURN"),
)
_KINDS = tuple(kind for kind, _ in REFUSED)

_QUERY = frozenset(
    {"with_", "kind", "expressions", "distinct", "from_", "joins", "where", "group", "having", "qualify", "windows", "order",
     "limit", "offset", "pivots", "match", "laterals", "sample"}
)  # fmt: skip
# The parts that GoogleSQL has of what the parser reads for other dialects too.
_PARTS: dict[type[exp.Expression], frozenset[str]] = {
    exp.Select: _QUERY,
    exp.Subquery: _QUERY | {"this", "alias"},
    **dict.fromkeys((exp.Union, exp.Except, exp.Intersect), _QUERY | {"this", "expression", "by_name", "side", "on"}),
    exp.Join: frozenset({"this", "on", "side", "kind", "using", "pivots"}),
    exp.Table: frozenset(
        {"this", "alias", "db", "catalog", "laterals", "joins", "pivots", "system_time", "version", "sample"}
    ),
    exp.Group: frozenset({"expressions", "grouping_sets", "cube", "rollup", "all"}),
    exp.Limit: frozenset({"this", "expression"}),
    exp.Offset: frozenset({"this", "expression"}),
    exp.WindowSpec: frozenset({"kind", "start", "start_side", "end", "end_side"}),
    exp.In: frozenset({"this", "expressions", "query", "unnest"}),
    exp.Ordered: frozenset({"this", "desc", "nulls_first"}),
    exp.With: frozenset({"expressions", "recursive"}),
    exp.CTE: frozenset({"this", "alias"}),
    exp.Distinct: frozenset({"expressions"}),
    exp.Star: frozenset({"except_", "replace", "rename"}),
    exp.Insert: frozenset({"with_", "this", "expression", "returning"}),
    exp.Update: frozenset({"this", "expressions", "from_", "where", "returning"}),
    exp.Delete: frozenset({"this", "where", "returning", "tables"}),
    exp.Between: frozenset({"this", "low", "high"}),
}
_SHOWN = {"on": "DISTINCT ON", "field": "IN without parentheses", "totals": "WITH TOTALS", "exclude": "EXCLUDE"}


def refuse(tree: Any, context: Context) -> Any:
    for node in tree.walk():
        kind = type(node)
        if (parts := _PARTS.get(kind)) is not None:
            for key, value in node.args.items():
                if value and key not in parts:
                    word = _SHOWN.get(key, key.strip("_").replace("_", " ").upper())
                    raise wrong(f"Syntax error: Unexpected {word}", node)
            if kind is exp.WindowSpec and str(node.args.get("kind") or "").upper() not in ("ROWS", "RANGE"):
                raise wrong(f"Syntax error: Unexpected {node.args['kind']} in a window frame", node)
        elif kind is exp.TableSample and not isinstance(node.parent, exp.Table):
            raise wrong("TABLESAMPLE SYSTEM can only be applied directly to tables")
        if isinstance(node, _KINDS):
            name = next(name for kind, name in REFUSED if isinstance(node, kind))
            raise Unimplemented(
                f"Tule does not do {name}", do="see docs/bigquery-sql.md for what it does", reason="notImplemented",
                location="query",
            )  # fmt: skip
    return tree
