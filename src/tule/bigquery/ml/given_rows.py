"""The columns of a table argument that a function is told by name: ``F(TABLE t, data_col => 'y')``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from sqlglot import exp

from tule.bigquery.ml import nodes
from tule.bigquery.ml.arguments import query_of
from tule.bigquery.ml.batches import QueryBatches, Relation, actual
from tule.bigquery.ml.mistakes import wrong
from tule.bigquery.model_statements import Run
from tule.bigquery.sql import Context, compile_query


def given_rows(
    table: Any, wanted: Sequence[str], function: str, call: exp.Expression, context: Context, run: Run
) -> QueryBatches:
    """The rows of ``table``, an argument of ``call``: these columns, called as they are written."""
    query = nodes.standalone(query_of(table), call)
    given = _schema(query, context, run)
    columns = []
    for name in wanted:
        found = actual(given.names, name)
        if found is None:
            raise wrong(f"The columns that {function} is told must be among those of its table", given=name,
                        do=f"use one of {', '.join(given.names)}")  # fmt: skip
        columns.append(nodes.named(nodes.column(found), name))
    chosen = nodes.select(columns, nodes.subquery(query))

    def result(tree: exp.Expression) -> Any:
        made = compile_query(tree, context.beside())
        return run.session.query(made.sql, made.parameters)

    relation = Relation(nodes.subquery(chosen), _schema(chosen, context, run))
    return QueryBatches(result, relation, wanted, check=run.check)


def whole_table(rows: QueryBatches) -> pa.Table:
    """All rows, in memory."""
    return pa.Table.from_batches(list(rows.scan()), rows.schema)


def check_different(names: Sequence[str], function: str) -> None:
    """Refuse a column that is named twice."""
    if len({name.lower() for name in names}) < len(names):
        raise wrong(
            f"The columns that {function} is told must be different", given=", ".join(names), do="name each once"
        )


def _schema(tree: exp.Expression, context: Context, run: Run) -> pa.Schema:
    made = compile_query(tree.copy(), context.beside())
    found: pa.Schema = run.session.schema(made.sql, made.parameters)
    return found
