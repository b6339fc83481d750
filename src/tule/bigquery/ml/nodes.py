"""Pieces of GoogleSQL trees that this room writes, and what it needs to know of a tree: built as nodes, never as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.rules.resolve_tables import relation as relation_node

ROWS = "_tule_rows_"
"""The alias of the rows that something is computed from."""


def column(name: str, *, of: str | None = None) -> exp.Column:
    """A column by its exact name."""
    table = exp.to_identifier(of, quoted=True) if of is not None else None
    return exp.Column(this=exp.to_identifier(name, quoted=True), table=table)


def named(node: exp.Expression, name: str) -> exp.Expression:
    """``node AS name``."""
    made: Any = exp.alias_(node, name, quoted=True, copy=False)
    return made


def relation(text: str) -> exp.Expression:
    """A relation of the engine (``Session.temporary``) in FROM."""
    made: exp.Expression = relation_node(text)
    made.set("alias", exp.TableAlias(this=exp.to_identifier(ROWS, quoted=True)))
    return made


def subquery(query: exp.Expression, alias: str = ROWS) -> exp.Expression:
    """A query in FROM."""
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))


def parameter(name: str) -> exp.Parameter:
    """``@name``."""
    return exp.Parameter(this=exp.var(name))


def select(
    items: Iterable[exp.Expression], source: exp.Expression | None, where: exp.Expression | None = None
) -> exp.Select:
    """``SELECT items [FROM source [WHERE where]]``; the nodes become part of it."""
    made = exp.Select(expressions=list(items))
    if source is not None:
        made.set("from_", exp.From(this=source))
    if where is not None:
        made.set("where", exp.Where(this=where))
    return made


def engine_call(name: str, *arguments: exp.Expression) -> exp.Anonymous:
    """A function of the engine, which no rule looks at."""
    made = exp.Anonymous(this=name, expressions=list(arguments))
    made.meta["tule_engine"] = True
    return made


def structure(fields: Iterable[tuple[str, exp.Expression]]) -> exp.Struct:
    """``STRUCT(node AS name, ...)``."""
    return exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=node) for name, node in fields
        ]
    )


def field(node: exp.Expression, name: str) -> exp.Expression:
    """``node.name`` of a struct."""
    return exp.Dot(this=node, expression=exp.to_identifier(name, quoted=True))


def roots(tree: exp.Expression) -> Iterator[str]:
    """The names of the input columns that an expression uses: of ``s.x`` the name ``s``."""
    for node in tree.find_all(exp.Column):
        if not isinstance(node.this, exp.Star):
            yield node.parts[0].name


def standalone(query: exp.Expression, place: exp.Expression) -> exp.Expression:
    """A copy of a query that is part of ``place``'s tree, with the WITH definitions that it uses: to be run alone.

    Definitions of outer scopes are put around those of inner ones, so that each name keeps its meaning.
    """
    made = query.copy()
    for definitions in _visible(place):
        needed = _needed(made, definitions)
        if needed:
            made = select([exp.Star()], subquery(made))
            made.set("with_", exp.With(expressions=[each.copy() for each in needed]))
    return made


def _visible(place: exp.Expression) -> Iterator[Sequence[exp.CTE]]:
    """The WITH clauses around a node, innermost first; of the clause that it stands in only what is defined before."""
    node: Any = place
    inside: Any = None
    while node is not None:
        if isinstance(node, exp.CTE):
            inside = node
        if isinstance(node, exp.With) and inside is not None and inside.parent is node:
            yield node.expressions[: next(at for at, each in enumerate(node.expressions) if each is inside)]
            node = node.parent  # the query of this clause: its definitions are done
        elif (with_ := node.args.get("with_")) is not None:
            yield with_.expressions
        node = node.parent


def _needed(tree: exp.Expression, definitions: Sequence[exp.CTE]) -> list[exp.CTE]:
    """Those that the tree refers to, directly or through each other, in their order."""
    wanted = _names(tree)
    needed: list[exp.CTE] = []
    for each in reversed(definitions):
        if each.alias.lower() in wanted:
            needed.insert(0, each)
            wanted |= _names(each.this)
    return needed


def _names(tree: exp.Expression) -> set[str]:
    return {
        table.name.lower()
        for table in tree.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier) and table.args.get("db") is None
    }
