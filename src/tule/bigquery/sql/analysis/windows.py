"""Windows that order or partition by random values: the engine takes only columns there, so the values become one.

A SELECT is split: the inner query has the rows of FROM and WHERE with the values, the outer one the rest. Groups come
between the two, so a SELECT that has them is left as it is, and the engine refuses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.analysis.scopes import Scope
from tule.bigquery.sql.functions import is_aggregate

_RANDOM = frozenset({"rand", "generate_uuid", "random", "tule_uuid"})
_PARTS = ("expressions", "qualify", "order", "windows")


def random_windows(select: Any) -> bool:
    """Whether a SELECT, before it is walked, has windows by random values that can be split off."""
    if select.args.get("from_") is None or not any(True for _ in _values(select)):
        return False
    if any(select.args.get(key) is not None for key in ("group", "having")):
        return False
    return not any(is_aggregate(call) for call in _own(select, exp.Anonymous) if call.find_ancestor(exp.Window) is None)


def split(select: Any, scope: Scope) -> None:
    """Split a SELECT that was walked."""
    if len(scope.sources) > 1 and (scope.using or any(not each.name for each in scope.sources)):
        return
    if any(source.columns is None for source in scope.sources):
        return
    items: list[Any] = [exp.Star()]
    name = scope.sources[0].name or "_tule_rows"
    if len(scope.sources) > 1:
        # The row of each source as a value of its name: what is qualified means the same.
        items = [exp.column(exp.to_identifier(each.name, quoted=True)) for each in scope.sources]
        name = "_tule_rows"
    for index, value in enumerate(list(_values(select))):
        column = exp.to_identifier(f"_tule_random_{index}", quoted=True)
        value.replace(exp.column(column.copy(), exp.to_identifier(name, quoted=True)))
        items.append(exp.alias_(value, column, copy=False))
    inner = exp.Select(expressions=items)
    for key in ("from_", "joins", "where"):
        inner.set(key, select.args.get(key))
        select.set(key, None)
    alias = exp.TableAlias(this=exp.to_identifier(name, quoted=True))
    select.set("from_", exp.From(this=exp.Subquery(this=inner, alias=alias)))


def _values(select: Any) -> Iterator[Any]:
    """What windows of a SELECT order or partition by that has random values in it."""
    for window in _own(select, exp.Window):
        order = window.args.get("order")
        ordered = [each.this for each in order.expressions] if order is not None else []
        for value in [*(window.args.get("partition_by") or ()), *ordered]:
            if any(call.name.lower() in _RANDOM for call in value.find_all(exp.Anonymous)):
                yield value


def _own(select: Any, kind: type[Any]) -> Iterator[Any]:
    """The nodes of a kind in a SELECT's parts after FROM, queries inside left out."""
    for key in _PARTS:
        found = select.args.get(key)
        for part in found if isinstance(found, list) else [found]:
            if part is not None:
                yield from (node for node in part.find_all(kind) if node.find_ancestor(exp.Query) is select)
