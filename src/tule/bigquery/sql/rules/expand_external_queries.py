"""``EXTERNAL_QUERY(connection, query[, options])`` in FROM becomes a table of the rows that another database answered."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.bigquery.sql.rules.resolve_tables import relation
from tule.kernel.errors import InvalidArgument

_NAME = "EXTERNAL_QUERY"


def expand_external_queries(tree: Any, context: Context) -> Any:
    for table in list(tree.find_all(exp.Table)):
        call = table.this
        if not isinstance(call, exp.Anonymous) or call.name.upper() != _NAME or table.args.get("db") is not None:
            continue
        replacement: Any = relation(context.catalog.external_query(*_arguments(call), context.project))
        replacement.set(
            "alias", table.args.get("alias") or exp.TableAlias(this=exp.to_identifier("_external", quoted=True))
        )
        for name in ("joins", "pivots", "laterals"):
            if table.args.get(name):
                replacement.set(name, table.args[name])
        if table is tree:
            tree = replacement
        else:
            table.replace(replacement)
    return tree


def _arguments(call: exp.Anonymous) -> tuple[str, str, str]:
    given = list(call.expressions)
    if not 2 <= len(given) <= 3:
        raise _wrong(
            f"No matching signature for table-valued function {_NAME}; it takes 2 or 3 arguments, given: {len(given)}"
        )
    texts = []
    for each in given:
        if isinstance(each, exp.RawString) or (isinstance(each, exp.Literal) and each.is_string):
            texts.append(str(each.this))
        else:
            raise _wrong(f"The arguments of {_NAME} must be string literals; given: {each.sql('bigquery')}")
    return texts[0], texts[1], texts[2] if len(texts) > 2 else ""


def _wrong(message: str) -> InvalidArgument:
    return InvalidArgument(message, reason="invalidQuery", location="query")
