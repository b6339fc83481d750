"""What INSERT, UPDATE and MERGE write: default values, and values in the form that the engine keeps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql import defaults
from tule.bigquery.sql.analysis.calls import engine_call as call
from tule.bigquery.sql.analysis.scopes import Columns, Scope
from tule.bigquery.sql.free_names import COLUMNS
from tule.bigquery.sql.kinds import Kind, engine_type, kind_of_field
from tule.bigquery.sql.loading import TIME
from tule.bigquery.types import Field

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.walk import Walk

_ROWS = "_tule_inserted"


def fields_of(target: Any) -> list[Field]:
    """The columns of a target table, none where they are not known."""
    return list(target.meta.get(COLUMNS) or ())


def whole(node: Any, kind: Kind) -> Any:
    """An array as tables keep it: a NULL one is empty."""
    empty = exp.Cast(this=exp.Array(expressions=[]), to=engine_type(kind))
    empty.meta["tule_done"] = True
    return call("coalesce", node, empty)


def with_defaults(tree: Any, target: Any) -> list[Field]:
    """Rewrite an INSERT of rows so that it names every column that has a default value; for an INSERT of a query, the
    columns that are still to be added."""
    fields = fields_of(target)
    if isinstance(tree.this, exp.Schema):
        names = [each.name for each in tree.this.expressions]
    else:
        names = [each.name for each in fields if each.name != TIME]
    added = defaults.missing(fields, names)
    if added and not isinstance(tree.this, exp.Schema):
        # Only the time of loading is left out of all columns.
        tree.set("this", exp.Schema(this=target, expressions=_identifiers(names)))
    if not isinstance(tree.expression, exp.Values):
        return added
    by_name = {each.name.lower(): each for each in fields}
    for row in tree.expression.expressions:
        values = row.expressions if isinstance(row, exp.Tuple) else [row]
        if len(values) != len(names):
            return []
        _put(list(values), names, by_name)
    if added:
        rows = [each.expressions if isinstance(each, exp.Tuple) else [each] for each in tree.expression.expressions]
        made = [exp.Tuple(expressions=[*row, *map(defaults.default_of, added)]) for row in rows]
        tree.expression.set("expressions", made)
        name_columns(tree, added)
    return []


def name_columns(tree: Any, added: list[Field]) -> None:
    """Name more columns in an INSERT."""
    tree.this.set("expressions", [*tree.this.expressions, *_identifiers(each.name for each in added)])


def _identifiers(names: Iterable[str]) -> list[Any]:
    return [exp.to_identifier(each, quoted=True) for each in names]


def _put(values: list[Any], names: list[str], fields: dict[str, Field]) -> None:
    for name, value in zip(names, values, strict=False):
        if defaults.is_default(value) and name.lower() in fields:
            value.replace(defaults.default_of(fields[name.lower()]))


def set_defaults(items: list[Any], target: Any) -> None:
    """Rewrite ``column = DEFAULT`` of an UPDATE."""
    fields = {each.name.lower(): each for each in fields_of(target)}
    for each in items:
        if defaults.is_default(each.expression) and each.this.name.lower() in fields:
            each.set("expression", defaults.default_of(fields[each.this.name.lower()]))


def merge_defaults(then: Any, target: Any) -> None:
    """Rewrite the INSERT of a MERGE: the word DEFAULT, and columns with a default value that it leaves out."""
    fields = fields_of(target)
    if not any(each.default or each.repeated for each in fields) or isinstance(then.this, exp.Var):
        return
    named = then.this.expressions if isinstance(then.this, exp.Tuple) else []
    names = [each.name for each in named] or [each.name for each in fields if each.name != TIME]
    if not named and any(each.name == TIME for each in fields):
        then.set("this", exp.Tuple(expressions=[exp.column(each) for each in _identifiers(names)]))
    if not isinstance(then.expression, exp.Tuple):
        then.set("expression", exp.Tuple(expressions=[then.expression]))
    _put(list(then.expression.expressions), names, {each.name.lower(): each for each in fields})
    for each in defaults.missing(fields, names):
        then.this.append("expressions", exp.column(exp.to_identifier(each.name, quoted=True)))
        then.expression.append("expressions", defaults.default_of(each))


def converted(walk: Walk, tree: Any, made: Columns, wanted: Columns, added: list[Field]) -> None:
    """Rewrite the query of an INSERT where the engine would not make the columns' values of the query's, and where columns
    are to be ``added`` with their default values."""
    from tule.bigquery.sql.analysis.changes import assigned
    from tule.bigquery.sql.analysis.expressions import coerced

    if not added and not any(_needs(given, want) for (_, given), (_, want) in zip(made, wanted, strict=True)):
        return
    names = [f"c{index}" for index in range(len(made))]
    items = []
    for name, (_, given), (_, want) in zip(names, made, wanted, strict=True):
        node: Any = exp.column(exp.to_identifier(name, quoted=True), exp.to_identifier(_ROWS, quoted=True))
        node = coerced(node, given, want)
        items.append(whole(node, want) if want is not None and want.name == "ARRAY" else node)
    for each in added:
        holder = exp.Paren(this=defaults.default_of(each))
        assigned(walk, holder.this, Scope(), (each.name, kind_of_field(each)))
        items.append(holder)
    alias = exp.TableAlias(
        this=exp.to_identifier(_ROWS, quoted=True), columns=[exp.to_identifier(name, quoted=True) for name in names]
    )
    tree.set("expression", exp.select(*items).from_(exp.Subquery(this=tree.expression, alias=alias)))
    if added:
        name_columns(tree, added)


def branch(node: Any, given: Columns, wanted: Columns) -> Any:
    """A branch of a set operation with its columns' values converted, where the engine would not do so by itself."""
    from tule.bigquery.sql.analysis.expressions import coerced

    if not any(_differs(have, want) for (_, have), (_, want) in zip(given, wanted, strict=True)):
        return node
    rows = "_tule_branch"
    names = [f"c{index}" for index in range(len(given))]
    items = []
    for name, (title, have), (_, want) in zip(names, given, wanted, strict=True):
        column: Any = exp.column(exp.to_identifier(name, quoted=True), exp.to_identifier(rows, quoted=True))
        items.append(exp.alias_(coerced(column, have, want), title or name, quoted=True))
    alias = exp.TableAlias(
        this=exp.to_identifier(rows, quoted=True), columns=[exp.to_identifier(name, quoted=True) for name in names]
    )
    inner = node if isinstance(node, exp.Subquery) and not node.alias else exp.Subquery(this=node)
    inner = inner.copy()
    inner.set("alias", alias)
    return exp.select(*items).from_(inner)


_OWN_FORM = frozenset({"BIGNUMERIC", "RANGE"})


def _differs(given: Kind | None, wanted: Kind | None) -> bool:
    """Whether only we can make a value of one type one of another."""
    if wanted is None or given == wanted:
        return False
    return bool(_OWN_FORM & _names(wanted)) or (given is not None and bool(_OWN_FORM & _names(given)))


def _names(kind: Kind) -> set[str]:
    found = {kind.name}
    for each in (kind.element, *(inner for _, inner in kind.fields)):
        if each is not None:
            found |= _names(each)
    return found


def _needs(given: Kind | None, wanted: Kind | None) -> bool:
    return (wanted is not None and wanted.name == "ARRAY") or _differs(given, wanted)


__all__ = ["branch", "converted", "fields_of", "merge_defaults", "set_defaults", "whole", "with_defaults"]
