"""Columns without a name are ``f0_``, ``f1_``, ... counted among themselves; others keep the name as it is written."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context


def name_columns(tree: Any, context: Context) -> Any:
    for select in tree.find_all(exp.Select):
        if select.args.get("kind") or isinstance(select.parent, exp.Exists | exp.Insert):
            continue
        unnamed = 0
        named = []
        for item in select.expressions:
            name = _name(item)
            if name is None:
                name = f"f{unnamed}_"
                unnamed += 1
            elif name == "*":
                named.append(item)
                continue
            if not isinstance(item, exp.Alias):
                item = exp.alias_(item, name, quoted=True, copy=False)
            named.append(item)
        select.set("expressions", named)
    return tree


def _name(item: exp.Expression) -> str | None:
    """The name that BigQuery infers, ``*`` for what makes its own names, None for nothing."""
    if isinstance(item, exp.Alias):
        return item.alias
    if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star)):
        return "*"
    if isinstance(item, exp.Dot) and isinstance(item.expression, exp.Star):
        return "*"
    if isinstance(item, exp.Column):
        return item.name
    if isinstance(item, exp.Dot) and not isinstance(item.expression, exp.Func) and not _is_system(item):
        return item.expression.name
    return None


def _is_system(item: exp.Dot) -> bool:
    """``@@error.message`` is one variable, not a field of one."""
    return isinstance(item.this, exp.Parameter) and isinstance(item.this.this, exp.Parameter)
