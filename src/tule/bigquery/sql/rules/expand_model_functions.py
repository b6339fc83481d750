"""``ML.F(MODEL m, ...)`` in FROM becomes a relation or a subquery; who answers is passed in (``bigquery.ml``)."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.bigquery.sql.series_names import NAMES
from tule.kernel.errors import InvalidArgument


def expand_model_functions(tree: Any, context: Context) -> Any:
    # Innermost first: the data of one function may be the answer of another.
    found = [
        table for table in tree.find_all(exp.Table) if is_table_function(table) and function_name(table) not in NAMES
    ]
    for table in reversed(found):
        if context.expand is None:
            raise InvalidArgument(f"Table-valued function not found: {function_name(table)}", reason="invalidQuery")
        made: Any = context.expand(table, context)
        alias = table.args.get("alias")
        if isinstance(made, exp.Query):
            made = exp.Subquery(this=made)
        if alias is not None:
            made.set("alias", alias)
        for name in ("joins", "pivots"):
            if table.args.get(name):
                made.set(name, table.args[name])
        table.replace(made)
    return tree


def is_table_function(table: exp.Table) -> bool:
    return isinstance(table.this, exp.Anonymous | exp.Func) and not isinstance(table.this, exp.Unnest)


def function_name(table: exp.Table) -> str:
    db = table.args.get("db")
    name = table.this.name if isinstance(table.this, exp.Anonymous) else table.this.sql_name()
    return f"{db.name.upper()}.{name.upper()}" if db is not None else name.upper()
