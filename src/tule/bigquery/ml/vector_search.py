"""VECTOR_SEARCH: the nearest vectors of a table, among all of them or those of the lists of an index.

The call becomes a query, so it may stand wherever a table may, and rows stream through the engine. With an index of the
base table for this distance, the query is over the rows of the lists nearest to what is asked, which may miss some.

https://cloud.google.com/bigquery/docs/reference/standard-sql/search_functions#vector_search
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from sqlglot import exp

from tule.bigquery.ml import nodes
from tule.bigquery.ml.arguments import constant, query_of
from tule.bigquery.ml.batches import actual
from tule.bigquery.ml.mistakes import wrong
from tule.bigquery.ml.predict_sql import typed
from tule.bigquery.ml.vectors.indexes import VectorIndexes, matrix
from tule.bigquery.model_statements import Run
from tule.bigquery.references import TableReference
from tule.bigquery.sql import Context, compile_query, printed
from tule.bigquery.sql.names import full_name, parts
from tule.bigquery.sql.parse import TableRef, parse

NAME = "VECTOR_SEARCH"
_FORM = (
    "VECTOR_SEARCH takes TABLE base or (query), 'column', TABLE queries or (query) [, 'column of queries'], or "
    "query_value => a vector, then top_k, distance_type and options by name"
)
_NAMES = ("query_column_to_search", "query_value", "top_k", "distance_type", "options")
_DISTANCES = ("EUCLIDEAN", "COSINE", "DOT_PRODUCT")
_OPTIONS = ("use_brute_force", "fraction_lists_to_search")
_ALL = 1 << 40


@dataclass
class _Call:
    """The arguments as written; ``tables`` are the base and, where there is one, the table of queries."""

    tables: list[Any] = field(default_factory=list)
    texts: list[Any] = field(default_factory=list)
    named: dict[str, Any] = field(default_factory=dict)


def expand(call: exp.Expression, context: Context, run: Run, indexes: VectorIndexes) -> exp.Expression:
    """The query that stands in the place of a call."""
    read = _read(call)
    base = _schema(read.tables[0], call, context, run)
    column = _column(base, _text(read.texts[0], context, "column_to_search"), "column_to_search")
    top = _whole(read, context)
    kind = _choice(read, context)
    options = _search_options(read, context)
    base_vector = nodes.column(column, of="b")
    if "query_value" in read.named:
        made = parse(
            "SELECT base, distance FROM (SELECT b AS base, _d_ AS distance, ROW_NUMBER() OVER (ORDER BY _d_) AS place "
            "FROM _base_ AS b WHERE _v_ IS NOT NULL) WHERE place <= _k_"
        )
        asked = read.named["query_value"]
        queries_of = nodes.select([nodes.named(asked.copy(), "v")], None)
    else:
        queries = _schema(read.tables[1], call, context, run)
        made = parse(
            "SELECT query, base, distance FROM (SELECT t.query AS query, b AS base, _d_ AS distance, ROW_NUMBER() OVER "
            "(PARTITION BY t.number ORDER BY _d_) AS place FROM (SELECT q AS query, ROW_NUMBER() OVER () AS number "
            "FROM _queries_ AS q) AS t CROSS JOIN _base_ AS b WHERE _v_ IS NOT NULL AND _q_ IS NOT NULL) WHERE place <= _k_"
        )
        name = _query_column(read, context, queries, column)
        asked = nodes.field(nodes.column("query", of="t"), name)
        given = nodes.subquery(nodes.standalone(query_of(read.tables[1]), call))
        queries_of = nodes.select([nodes.named(nodes.column(name), "v")], given)
    parts = {
        "_d_": _distance(kind, asked, base_vector),
        "_v_": base_vector,
        "_q_": asked,
        "_k_": exp.Literal.number(top),
    }
    for node in list(made.find_all(exp.Column)):
        if not node.table and node.name in parts:
            node.replace(parts[node.name].copy())
    found = None
    if not run.looking and top < _ALL and not options.get("use_brute_force"):
        found = _candidates(read.tables[0], column, kind, queries_of, options, context, run, indexes)
    tables = {"_base_": read.tables[0], "_queries_": read.tables[-1]}
    for table in list(made.find_all(exp.Table)):
        if table.name == "_base_" and found is not None:
            table.replace(nodes.subquery(nodes.select([exp.Star()], nodes.relation(found)), table.alias))
        elif table.name in tables:
            table.replace(nodes.subquery(query_of(tables[table.name]).copy(), table.alias))
    return made


def _candidates(
    base: Any,
    column: str,
    kind: str,
    queries: exp.Expression,
    options: Mapping[str, Any],
    context: Context,
    run: Run,
    indexes: VectorIndexes,
) -> str | None:
    """The rows that an index of the base table gives, as a relation; None without one."""
    table = base.this if isinstance(base, TableRef) else None
    if not isinstance(table, exp.Table) or len(parts(table)) < 2 or set(_given(table)) - {"this", "db", "catalog"}:
        return None
    name = full_name(table, context.project, context.dataset, context.scope.temporary)
    target = TableReference(name.project, name.dataset, name.table)
    if not indexes.may_have(target):
        return None
    made = compile_query(queries, context.beside())
    vectors, _ = matrix(run.session.query(made.sql, made.parameters).table().column(0), "the queries")
    return indexes.candidates(target, column, kind, vectors, options.get("fraction_lists_to_search"), run)


def _given(node: exp.Expression) -> list[str]:
    return [key for key, value in node.args.items() if value]


def _read(call: Any) -> _Call:
    found = _Call()
    for node in call.this.expressions:
        match node:
            case exp.Kwarg():
                name = node.this.name.lower()
                if name not in _NAMES:
                    raise wrong(f"VECTOR_SEARCH has no argument {name}", do=f"use one of {', '.join(_NAMES)}")
                found.named[name] = node.expression
            case TableRef() | exp.Subquery() if not found.named and len(found.tables) < 2:
                found.tables.append(node)
            case _ if not found.named and len(found.tables) > len(found.texts):
                found.texts.append(node)
            case _:
                raise wrong(_FORM, given=printed(node)[:100])
    queries = 1 + ("query_value" not in found.named)
    if len(found.tables) != queries or not found.texts:
        raise wrong(_FORM, given=f"{len(found.tables)} tables and {len(found.texts)} columns")
    return found


def _schema(node: Any, call: exp.Expression, context: Context, run: Run) -> pa.Schema:
    made = compile_query(nodes.standalone(query_of(node), call), context.beside())
    found: pa.Schema = run.session.schema(made.sql, made.parameters)
    return found


def _text(node: Any, context: Context, what: str) -> str:
    value = constant(node, context, f"The argument {what} of VECTOR_SEARCH")
    if not isinstance(value, str):
        raise wrong(f"The argument {what} of VECTOR_SEARCH must be the name of a column", given=repr(value))
    return value


def _column(schema: pa.Schema, written: str, what: str) -> str:
    found = actual(schema.names, written)
    if found is None:
        raise wrong(f"The {what} of VECTOR_SEARCH must be a column of its table", given=f"{written}; there are "
                     + ", ".join(schema.names))  # fmt: skip
    if not _is_vector(schema.field(found).type):
        raise wrong(
            f"The {what} of VECTOR_SEARCH must be of type ARRAY<FLOAT64>", given=f"{found}, {schema.field(found).type}"
        )
    return found


def _is_vector(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))


def _query_column(read: _Call, context: Context, queries: pa.Schema, column: str) -> str:
    """The column of the queries: named, else of the base column's name, else the first with vectors."""
    written = read.named.get("query_column_to_search") or (read.texts[1] if len(read.texts) > 1 else None)
    if written is not None:
        return _column(queries, _text(written, context, "query_column_to_search"), "query_column_to_search")
    same = actual(queries.names, column)
    if same is not None and _is_vector(queries.field(same).type):
        return same
    for each in queries:
        if _is_vector(each.type):
            return str(each.name)
    raise wrong(
        "The queries of VECTOR_SEARCH must have a column of type ARRAY<FLOAT64>", given=", ".join(queries.names)
    )


def _whole(read: _Call, context: Context) -> int:
    """How many neighbours; all for a negative number."""
    if "top_k" not in read.named:
        return 10
    value = constant(read.named["top_k"], context, "The argument top_k of VECTOR_SEARCH")
    if not isinstance(value, int) or isinstance(value, bool) or value == 0:
        raise wrong("The argument top_k of VECTOR_SEARCH must be a whole number that is not 0", given=repr(value))
    return value if value > 0 else _ALL


def _choice(read: _Call, context: Context) -> str:
    if "distance_type" not in read.named:
        return "EUCLIDEAN"
    value = constant(read.named["distance_type"], context, "The argument distance_type of VECTOR_SEARCH")
    if not isinstance(value, str) or value.upper() not in _DISTANCES:
        raise wrong(f"The distance_type of VECTOR_SEARCH must be one of {', '.join(_DISTANCES)}", given=repr(value))
    return value.upper()


def _search_options(read: _Call, context: Context) -> dict[str, Any]:
    """How an index is searched."""
    if "options" not in read.named:
        return {}
    text = constant(read.named["options"], context, "The argument options of VECTOR_SEARCH")
    try:
        options = json.loads(text)
        unknown = [name for name in options if name not in _OPTIONS]
    except (TypeError, ValueError):
        raise wrong("The options of VECTOR_SEARCH must be a JSON object", given=repr(text)[:100]) from None
    if unknown:
        raise wrong(f"The options of VECTOR_SEARCH must be of {', '.join(_OPTIONS)}", given=unknown[0])
    if options.get("use_brute_force") and "fraction_lists_to_search" in options:
        raise wrong("fraction_lists_to_search cannot be used with use_brute_force", do="leave one out")
    share = options.get("fraction_lists_to_search")
    if share is not None and (isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1):
        raise wrong("fraction_lists_to_search must be a number above 0 and at most 1", given=repr(share))
    return dict(options)


def _distance(kind: str, asked: Any, vector: Any) -> exp.Expression:
    if kind != "DOT_PRODUCT":
        return exp.Anonymous(this=f"{kind}_DISTANCE", expressions=[asked.copy(), vector.copy()])
    # The smaller, the nearer: the product is negated.
    product = nodes.engine_call("list_negative_inner_product", asked.copy(), vector.copy())
    return typed(product, "FLOAT64")
