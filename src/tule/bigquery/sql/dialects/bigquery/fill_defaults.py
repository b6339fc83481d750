"""INSERT, UPDATE and MERGE say the default values of columns: the tables behind the engine have none."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql import defaults
from tule.bigquery.sql.analysis import writes
from tule.bigquery.sql.context import Context

_ROWS = "_tule_inserted"


def fill_defaults(tree: Any, context: Context) -> Any:
    if isinstance(tree, exp.Insert):
        _insert(tree)
    elif isinstance(tree, exp.Update):
        writes.set_defaults(tree.expressions, tree.this)
    elif isinstance(tree, exp.Merge):
        for when in tree.args["whens"].expressions:
            then = when.args["then"]
            if isinstance(then, exp.Update):
                writes.set_defaults(then.expressions, tree.this)
            elif isinstance(then, exp.Insert):
                writes.merge_defaults(then, tree.this)
    return tree


def _insert(tree: Any) -> None:
    target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    added = writes.with_defaults(tree, target)
    if not added:
        return
    alias = exp.TableAlias(this=exp.to_identifier(_ROWS, quoted=True))
    rows = exp.Column(this=exp.Star(), table=exp.to_identifier(_ROWS, quoted=True))
    query = exp.select(rows, *map(defaults.default_of, added)).from_(exp.Subquery(this=tree.expression, alias=alias))
    tree.set("expression", query)
    writes.name_columns(tree, added)
