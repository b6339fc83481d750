"""Tables that are partitioned by the time of loading: ``_PARTITIONTIME`` and ``_PARTITIONDATE``, which are not in ``*``.

https://cloud.google.com/bigquery/docs/querying-partitioned-tables#query_an_ingestion-time_partitioned_table
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.analysis.scopes import wrong
from tule.bigquery.sql.catalog import Relation
from tule.bigquery.sql.free_names import COLUMNS
from tule.bigquery.sql.reads import PARTITION
from tule.bigquery.types import Field

TIME, DATE = "_PARTITIONTIME", "_PARTITIONDATE"


def source(rows: Any, fields: Sequence[Field], pseudo: Sequence[Field], *, hides: bool = True) -> Any:
    """The rows of a relation with the columns ``fields`` and, where they are named, those of the time of loading.
    ``hides``: whether the relation has more columns than ``fields``."""
    if not hides:
        rows.meta[COLUMNS] = list(fields)
        return rows
    items = [exp.column(each.name, quoted=True) for each in fields]
    items += [_date() if each.name == DATE else exp.column(each.name, quoted=True) for each in pseudo]
    made = exp.Subquery(this=exp.select(*items).from_(rows))
    made.meta[COLUMNS] = [*fields, *pseudo]
    return made


def _date() -> Any:
    """The date of the time of loading, in the engine's form."""
    made = exp.cast(exp.column(TIME, quoted=True), exp.DataType.Type.DATE)
    return exp.alias_(made, DATE, quoted=True)


def target(found: Relation, table: Any) -> Any:
    """The table that a statement changes: the time of loading of new rows is now, where the statement does not tell it."""
    from tule.bigquery.sql.rules.resolve_tables import relation

    holder = table.parent
    if not isinstance(holder, exp.Insert | exp.Schema):
        _write_dates_as_times(holder, (table.alias or table.name).lower())
    made = relation(found.relation)
    now = f"TIMESTAMP_TRUNC(CURRENT_TIMESTAMP(), {found.grain})"
    made.meta[PARTITION] = found.partition
    made.meta[COLUMNS] = [*found.fields, Field(TIME, "TIMESTAMP", default=now)]
    return made


def _write_dates_as_times(tree: Any, alias: str) -> None:
    """``_PARTITIONDATE`` of the table that a statement changes, which has the time alone."""
    from tule.bigquery.sql.parse import parse_expression

    for each in list(tree.find_all(exp.Column)):
        if each.name.upper() != DATE or each.table.lower() not in ("", alias):
            continue
        if not each.table and each.find_ancestor(exp.Query) is not None:
            continue
        query: Any = parse_expression(f"DATE({TIME})")
        made = query.expressions[0]
        made.find(exp.Column).set("table", each.args.get("table"))
        assigned = (
            isinstance(each.parent, exp.EQ) and isinstance(each.parent.parent, exp.Update) and each is each.parent.this
        )
        if assigned:
            raise wrong(f"Cannot set the pseudocolumn {DATE}. Next: set {TIME}", each)
        each.replace(made)


__all__ = ["DATE", "TIME", "source", "target"]
