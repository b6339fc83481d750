"""``UNNEST(a) AS x WITH OFFSET AS o`` counts from 0; so does a lateral query over both."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.bigquery.sql.rules.rewrite_functions import call


def unnest_with_offset(tree: Any, context: Context) -> Any:
    for unnest in list(tree.find_all(exp.Unnest)):
        offset = unnest.args.get("offset")
        if not offset:
            continue
        alias = unnest.args.get("alias")
        column = alias.columns[0].name if alias is not None and alias.columns else "_element"
        name = offset.name if isinstance(offset, exp.Identifier) else "offset"
        array = unnest.expressions[0]
        positions = call("range", call("len", array.copy()))
        inner = exp.select(
            exp.alias_(call("unnest", array), column, quoted=True),
            exp.alias_(call("unnest", positions), name, quoted=True),
        )
        made = exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier(f"_tule_{column}", quoted=True)))
        unnest.replace(made)
    return tree
