"""Variables of a script become bound parameters, ``@@`` variables likewise; a column of the same name comes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.analysis.scopes import wrong
from tule.bigquery.sql.context import Context, Parameter
from tule.bigquery.sql.dialects import dialect
from tule.bigquery.sql.free_names import Describe, free_names, leading, path
from tule.bigquery.sql.rules.resolve_tables import RESOLVED
from tule.bigquery.types import Field
from tule.kernel.errors import InvalidArgument

# System variables that are fields of one.
_GROUPS = ("error", "script")


def resolve_variables(tree: Any, context: Context) -> Any:
    for node in list(tree.find_all(exp.Parameter)):
        if isinstance(node.this, exp.Parameter):
            _system(node, context)
    variables = context.scope.variables
    if variables:
        for node in free_names(tree, variables.keys(), describer(context)):
            name = leading(node)
            _replace(node, context, variables[name], name)
    return tree


def describer(context: Context) -> Describe:
    """Tells the columns of relations of the engine that are in a tree."""

    def describe(table: Any) -> Sequence[Field] | None:
        if not table.meta.get(RESOLVED):
            return None
        bare = table.copy()
        bare.set("alias", None)
        return context.catalog.describe(bare.sql(dialect=dialect(context.dialect).printer, identify=True))

    return describe


def _system(node: exp.Parameter, context: Context) -> None:
    name = node.this.name.lower()
    whole: exp.Expression = node
    if name in _GROUPS and isinstance(node.parent, exp.Dot):
        whole = node.parent
        name = f"{name}.{whole.expression.name.lower()}"
    found = context.scope.system(name)
    if found is None:
        raise wrong(f"Unrecognized name: @@{name}", whole)
    whole.replace(context.bind(found, f"@@{name}"))


def _replace(node: exp.Column, context: Context, parameter: Parameter, name: str) -> None:
    if isinstance(node.this, exp.Star):
        _expand(node, context, parameter, name)
        return
    made: Any = context.bind(parameter, name)
    for part in path(node)[1:]:
        made = exp.Dot(this=exp.Paren(this=made) if isinstance(made, exp.Cast) else made, expression=part.copy())
    node.replace(made)


def _expand(node: exp.Column, context: Context, parameter: Parameter, name: str) -> None:
    """``variable.*``: the fields of a struct as columns."""
    kind = exp.DataType.build(parameter.type, dialect="bigquery")
    if kind.this != exp.DataType.Type.STRUCT or len(path(node)) != 1:
        raise InvalidArgument(
            f"Dot-star is not supported for type {parameter.type}", reason="invalidQuery", location="query"
        )
    skipped = {each.name.lower() for each in node.this.args.get("except_") or node.this.args.get("except") or ()}
    columns = []
    for each in kind.expressions:
        if isinstance(each, exp.ColumnDef) and each.name.lower() not in skipped:
            value = exp.Dot(this=exp.Paren(this=context.bind(parameter, name)), expression=each.this.copy())
            columns.append(exp.alias_(value, each.name, quoted=True))
    select = node.parent
    if not isinstance(select, exp.Select):
        raise InvalidArgument("Dot-star is allowed in a SELECT list only", reason="invalidQuery", location="query")
    items: list[Any] = []
    for item in select.expressions:
        items.extend(columns if item is node else [item])
    select.set("expressions", items)
