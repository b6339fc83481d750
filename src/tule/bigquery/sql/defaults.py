"""Default values of columns: constant GoogleSQL expressions, which INSERT and the word DEFAULT put into rows.

https://cloud.google.com/bigquery/docs/default-values
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.analysis.scopes import wrong
from tule.bigquery.types import Field
from tule.kernel.errors import InvalidArgument


def default_of(field: Field) -> Any:
    """The expression of a column's default value: NULL where it has none, and an empty array for arrays."""
    if not field.default:
        return exp.Array(expressions=[]) if field.repeated else exp.Null()
    return parsed(field.default)


def parsed(text: str) -> Any:
    """A default value's expression without places in the text; raises InvalidArgument for what is none."""
    from tule.bigquery.sql.parse import parse_expression

    tree: Any = parse_expression(text)
    items = tree.expressions if isinstance(tree, exp.Select) and set(_said(tree)) == {"expressions"} else []
    if len(items) != 1 or isinstance(items[0], exp.Alias):
        raise _invalid(text, "it must be one expression")
    made = items[0].unnest()
    for node in made.walk():
        for key in ("line", "col", "start", "end"):
            node.meta.pop(key, None)
        if isinstance(node, exp.Column) and not _is_part(node):
            raise _invalid(text, f"it must not name columns: {node.sql('bigquery')}")
        if isinstance(node, exp.Query | exp.Window | exp.Parameter | exp.Placeholder):
            raise _invalid(text, "it must be a constant or a function of constants")
    return made.copy()


_PARTS = frozenset(
    {"MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "DAYOFWEEK", "DAYOFYEAR", "WEEK", "ISOWEEK", "MONTH",
     "QUARTER", "YEAR", "ISOYEAR"}
)  # fmt: skip


def _is_part(node: exp.Column) -> bool:
    """Whether a name is the part of a date that a function is told: TIMESTAMP_TRUNC(x, DAY)."""
    return isinstance(node.parent, exp.Func) and not node.table and node.name.upper() in _PARTS


def _said(tree: Any) -> list[str]:
    return [key for key, value in tree.args.items() if value]


def check(field: Field) -> None:
    """Raise where a column's default value is no expression, or of a type that the column cannot have."""
    from tule.bigquery.sql.analysis.changes import assigned
    from tule.bigquery.sql.analysis.scopes import Scope
    from tule.bigquery.sql.analysis.walk import Walk
    from tule.bigquery.sql.context import Context
    from tule.bigquery.sql.kinds import kind_of_field

    if not field.default:
        return
    holder = exp.Paren(this=parsed(field.default))
    # A constant reads no table: nothing asks the catalog.
    walk = Walk(Context(catalog=None, project=""))  # type: ignore[arg-type]
    try:
        assigned(walk, holder.this, Scope(), (field.name, kind_of_field(field)))
    except InvalidArgument as error:
        raise wrong(f"Invalid default value expression for column {field.name}: {error.message}") from None


def missing(fields: Sequence[Field], names: Sequence[str]) -> list[Field]:
    """The columns that an INSERT of these names leaves out and that are not NULL then."""
    given = {name.lower() for name in names}
    return [each for each in fields if (each.default or each.repeated) and each.name.lower() not in given]


def is_default(node: Any) -> bool:
    """Whether a value is the word DEFAULT."""
    if isinstance(node, exp.Column):
        identifier = node.this
        return node.args.get("table") is None and node.name.upper() == "DEFAULT" and not identifier.args.get("quoted")
    return isinstance(node, exp.Var) and node.name.upper() == "DEFAULT"


def _invalid(text: str, why: str) -> InvalidArgument:
    return wrong(f"Invalid default value expression: {text}: {why}")


__all__ = ["check", "default_of", "is_default", "missing", "parsed"]
