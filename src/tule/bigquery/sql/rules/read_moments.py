"""``FOR SYSTEM_TIME AS OF moment``: the moment is read before anything else, and stays with its table.

https://cloud.google.com/bigquery/docs/reference/standard-sql/query-syntax#for_system_time_as_of
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.kernel.errors import InvalidArgument, Unimplemented

AT = "tule_at"
"""Meta of a table: the moment of which it is read."""


def read_moments(tree: Any, context: Context) -> Any:
    for version in list(tree.find_all(exp.Version)):
        table = version.parent
        if version.args.get("kind") != "AS OF" or not isinstance(table, exp.Table):
            raise Unimplemented(
                "Tule does not do FOR SYSTEM_TIME but AS OF a moment, behind a table", reason="notImplemented",
                location="query",
            )  # fmt: skip
        if not isinstance(table.this, exp.Identifier):
            raise _wrong("FOR SYSTEM_TIME AS OF must be behind the name of a table")
        table.set("version", None)
        table.meta[AT] = moment_of(version.expression, context)
        context.moments.append(table.meta[AT])
    return tree


def moment_of(expression: Any, context: Context) -> datetime:
    """The value of a constant behind FOR SYSTEM_TIME AS OF."""
    if expression.find(exp.Query):
        raise _wrong("FOR SYSTEM_TIME AS OF expression must be a constant, without subqueries")
    from tule.bigquery.sql.compile import compile_query

    value = exp.cast(expression.copy(), exp.DataType.build("TIMESTAMP", dialect="bigquery"))
    compiled = compile_query(exp.select(exp.alias_(value, "moment", quoted=True)), context.beside())
    found = context.catalog.constant(compiled.sql, compiled.parameters)
    if not isinstance(found, datetime):
        raise _wrong("FOR SYSTEM_TIME AS OF must be a TIMESTAMP; given: NULL")
    return found.astimezone(UTC)


def _wrong(message: str) -> InvalidArgument:
    return InvalidArgument(message, reason="invalidQuery", location="query")
