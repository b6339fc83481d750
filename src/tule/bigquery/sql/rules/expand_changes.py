"""``APPENDS(TABLE t, start, end)`` and ``CHANGES(TABLE t, start, end)`` in FROM become relations of what changed.

https://cloud.google.com/bigquery/docs/reference/standard-sql/time-series-functions#appends
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.bigquery.sql.free_names import COLUMNS
from tule.bigquery.sql.names import full_name
from tule.bigquery.sql.parse import TableRef
from tule.bigquery.sql.rules.read_moments import moment_of
from tule.bigquery.sql.rules.resolve_tables import relation
from tule.kernel.errors import InvalidArgument

_FUNCTIONS = ("APPENDS", "CHANGES")
_BOUNDS = ("start_timestamp", "end_timestamp")


def expand_changes(tree: Any, context: Context) -> Any:
    for table in list(tree.find_all(exp.Table)):
        call = table.this
        if not isinstance(call, exp.Anonymous) or call.name.upper() not in _FUNCTIONS or table.args.get("db"):
            continue
        named, start, end = _arguments(call, context)
        name = full_name(named, context.project, context.dataset, context.scope.temporary)
        found = context.catalog.changes(name, call.name.upper(), start, end)
        made: Any = exp.Subquery(this=exp.select(exp.Star()).from_(relation(found.relation)))
        made.meta[COLUMNS] = list(found.fields)
        made.set("alias", table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(call.name, quoted=True)))
        for key in ("joins", "pivots", "laterals"):
            if table.args.get(key):
                made.set(key, table.args[key])
        table.replace(made)
    return tree


def _arguments(call: exp.Anonymous, context: Context) -> tuple[Any, datetime | None, datetime | None]:
    """The table and both moments, None where they are NULL or left out."""
    name, given = call.name.upper(), list(call.expressions)
    if not given or len(given) > 3 or not isinstance(given[0], TableRef):
        raise _wrong(f"{name} takes TABLE name, start_timestamp and end_timestamp; given: {call.sql('bigquery')[:80]}")
    bounds: dict[str, Any] = {}
    for place, each in enumerate(given[1:]):
        key = each.this.name.lower() if isinstance(each, exp.Kwarg) else _BOUNDS[place]
        if key not in _BOUNDS or key in bounds:
            raise _wrong(f"{name} has the arguments {' and '.join(_BOUNDS)}; given: {key}")
        value = each.expression if isinstance(each, exp.Kwarg) else each
        bounds[key] = None if isinstance(value, exp.Null) else moment_of(value, context)
    context.moments.extend(each for each in bounds.values() if each is not None)
    return given[0].this, bounds.get(_BOUNDS[0]), bounds.get(_BOUNDS[1])


def _wrong(message: str) -> InvalidArgument:
    return InvalidArgument(message, reason="invalidQuery", location="query")
