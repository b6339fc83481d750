"""INSERT, UPDATE, DELETE and MERGE as queries: files never change, so a change is a query of the rows that there are then.

https://spark.apache.org/docs/latest/sql-ref.html has these statements for tables of other kinds only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp, parse_one

from tule.engines.spark.columns import quoted
from tule.engines.spark.lake import Key
from tule.kernel.errors import InvalidArgument, Unimplemented

Find = Callable[[str], tuple[Key, Sequence[Any]]]


@dataclass(frozen=True)
class Change:
    """``rows``: the query of a table's new rows, those that are added where ``adds``, else all; its columns are the
    table's in their order. ``count``: the query of how many rows are changed. ``checks``: queries that must answer 0,
    each with what is wrong where they do not."""

    key: Key
    rows: str
    adds: bool = False
    count: str = ""
    checks: tuple[tuple[str, str], ...] = ()


def change_of(sql: str, find: Find) -> Change:
    """What a statement comes to."""
    tree: Any = parse_one(sql, read="spark")
    match tree:
        case exp.Insert():
            return _insert(tree, find)
        case exp.Delete():
            return _delete(tree, find)
        case exp.Update():
            return _update(tree, find)
        case exp.Merge():
            from tule.engines.spark.merges import merge

            return merge(tree, find)
    raise Unimplemented(f"Spark does not run {sql.split(None, 1)[0]} statements", reason="notImplemented")


def sql_of(tree: Any) -> str:
    return str(tree.sql(dialect="spark"))


def _insert(tree: Any, find: Find) -> Change:
    target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    key, fields = find(target.name)
    names = (
        [each.name for each in tree.this.expressions]
        if isinstance(tree.this, exp.Schema)
        else [each.name for each in fields]
    )
    given = {name.lower(): f"v{at}" for at, name in enumerate(names)}
    items = ", ".join(
        f"q.{given[each.name.lower()]} AS {quoted(each.name)}"
        if each.name.lower() in given
        else f"NULL AS {quoted(each.name)}"
        for each in fields
    )
    source = tree.expression
    query = sql_of(source) if not isinstance(source, exp.Values) else f"SELECT * FROM {sql_of(source)}"
    if isinstance(source, exp.Values):
        rows = [each.expressions if isinstance(each, exp.Tuple) else [each] for each in source.expressions]
        query = " UNION ALL ".join("SELECT " + ", ".join(map(sql_of, row)) for row in rows)
    aliases = ", ".join(f"v{at}" for at in range(len(names)))
    return Change(key, f"SELECT {items} FROM ({query}) AS q ({aliases})", adds=True)


def _delete(tree: Any, find: Find) -> Change:
    key, _ = find(tree.this.name)
    source, condition = sql_of(tree.this), _condition(tree)
    return Change(
        key,
        f"SELECT * FROM {source} WHERE NOT COALESCE({condition}, FALSE)",
        count=f"SELECT COUNT(*) FROM {source} WHERE {condition}",
    )


def _update(tree: Any, find: Find) -> Change:
    key, fields = find(tree.this.name)
    source, condition = sql_of(tree.this), _condition(tree)
    values = {each.this.name.lower(): sql_of(each.expression) for each in tree.expressions}
    alias = quoted(tree.this.alias or tree.this.name)
    items = ", ".join(
        f"CASE WHEN {condition} THEN {values[each.name.lower()]} ELSE {alias}.{quoted(each.name)} END AS {quoted(each.name)}"
        if each.name.lower() in values
        else f"{alias}.{quoted(each.name)}"
        for each in fields
    )
    return Change(key, f"SELECT {items} FROM {source}", count=f"SELECT COUNT(*) FROM {source} WHERE {condition}")


def _condition(tree: Any) -> str:
    where = tree.args.get("where")
    if where is None:
        raise InvalidArgument("A change must have a WHERE clause", reason="invalidQuery", location="query")
    return f"({sql_of(where.this)})"


__all__ = ["Change", "change_of", "sql_of"]
