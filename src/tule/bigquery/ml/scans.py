"""Which training queries are read again by running them again, and which are kept once.

A query that only reads columns of one table gives the same rows in the same order each time and costs no more than a copy
of its answer would; training then takes no room beside the table. Any other query is answered once, into a temporary
relation: its order may differ between runs, and joins or functions would be computed in every pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.ml import nodes
from tule.bigquery.ml.batches import Relation
from tule.bigquery.ml.split import KEY
from tule.bigquery.sql.names import full_name
from tule.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from tule.bigquery.model_statements import Run

_CLAUSES = {"expressions", "from_", "where"}
# What costs next to nothing to compute in every pass.
_CHEAP: tuple[type[Any], ...] = (
    exp.Add, exp.Alias, exp.And, exp.Between, exp.Boolean, exp.Case, exp.Cast, exp.Column, exp.DataType,
    exp.Div, exp.EQ, exp.From, exp.GT, exp.GTE, exp.Identifier, exp.If, exp.In, exp.Is, exp.Literal, exp.LT, exp.LTE,
    exp.Mul, exp.Neg, exp.NEQ, exp.Not, exp.Null, exp.Or, exp.Paren, exp.Star, exp.Sub, exp.Table, exp.TableAlias, exp.Where,
)  # fmt: skip


_CHEAP_FUNCTIONS = {"ABS", "COALESCE", "IFNULL", "NULLIF"}


def _is_cheap(node: Any) -> bool:
    if isinstance(node, exp.Anonymous):
        return node.name.upper() in _CHEAP_FUNCTIONS
    return isinstance(node, _CHEAP)


def kept(query: exp.Expression, run: Run) -> Relation:
    """The answer of a query, kept for the rest of the statement."""
    relation = nodes.relation(run.temporary(query))
    schema = schema_of(nodes.select([exp.Star()], relation.copy()), run)
    return Relation(relation, schema, _count(relation, run))


def _count(source: exp.Expression, run: Run) -> int:
    """The rows of a table, which the engine knows without reading them."""
    count = nodes.named(exp.Count(this=exp.Star()), "n")
    return int(run.batches(nodes.select([count], source.copy())).table().column(0)[0].as_py())


def readable(query: exp.Expression, run: Run) -> Relation:
    """A training query as rows that can be read again; its columns must have names of their own."""
    schema = schema_of(query, run)
    seen: set[str] = set()
    for name in schema.names:
        if name.lower() in seen or name == KEY:
            raise InvalidArgument(
                "The columns of a training query must have different names" + (f", and none {KEY}" if name == KEY else ""),
                given=name, do="rename it with AS", reason="invalidQuery", location="query",
            )  # fmt: skip
        seen.add(name.lower())
    if not _is_scan(query, run):
        return kept(query, run)
    source = nodes.subquery(query.copy())
    return Relation(source, schema, None if query.args.get("where") else _count(source, run))


def schema_of(query: exp.Expression, run: Run) -> Any:
    made = run.compile(query)
    return run.session.schema(made.sql, made.parameters)


def _is_scan(query: Any, run: Run) -> bool:
    if not isinstance(query, exp.Select) or {key for key, value in query.args.items() if value} - _CLAUSES:
        return False
    source = query.args["from_"].this if query.args.get("from_") else None
    if not isinstance(source, exp.Table) or not isinstance(source.this, exp.Identifier):
        return False
    if {key for key, value in source.args.items() if value} - {"this", "db", "catalog", "alias"}:
        return False
    if not all(_is_cheap(node) for each in query.iter_expressions() for node in each.walk()):
        return False
    context = run.context()
    name = full_name(source, context.project, context.dataset, context.scope.temporary)
    if name.table.endswith("*") or "INFORMATION_SCHEMA" in name.dataset.upper():
        return False
    return bool(context.catalog.resolve(name).relation)
