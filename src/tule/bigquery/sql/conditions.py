"""A condition on the rows of one table, as the Storage Read API takes it: no statement of its own, no other tables."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.catalog import Name
from tule.bigquery.sql.parse import parse
from tule.kernel.errors import InvalidArgument

_PARTS = frozenset({"expressions", "from_", "where"})


def filtered(table: Name, condition: str) -> Any:
    """The query for the rows of ``table`` that fit.

    Raises InvalidArgument for a text that is more or less than a condition on the table's own columns.
    """
    try:
        tree = parse(f"SELECT * FROM `{table.project}`.`{table.dataset}`.`{table.table}` WHERE\n{condition}\n")
    except InvalidArgument as error:
        raise _wrong(condition, error.message) from None
    where = tree.args.get("where")
    others = {name for name, value in tree.args.items() if value} - _PARTS
    if not isinstance(tree, exp.Select) or where is None or others or where.find(exp.Query):
        raise _wrong(condition, "it must have no clauses and no subqueries")
    return tree


def _wrong(condition: str, why: str) -> InvalidArgument:
    return InvalidArgument(
        f"row_restriction must be one condition: {why}", given=repr(condition[:200]), reason="invalid"
    )
