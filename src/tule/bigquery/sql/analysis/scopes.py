"""Scopes: which names can be seen where."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.kinds import Kind
from tule.kernel.errors import InvalidArgument

Columns = list[tuple[str, Kind | None]]

PSEUDO = ("_TABLE_SUFFIX", "_FILE_NAME", "_PARTITIONTIME", "_PARTITIONDATE")
"""Columns that can be named but are not in ``*``."""


@dataclass
class Source:
    """One thing in FROM. ``columns`` None: not known. ``value``: the one column of a value table, whose fields can be seen
    without its name; ``hidden`` columns can be named but are not in ``*``."""

    name: str
    columns: Columns | None
    value: str = ""
    hidden: Columns = field(default_factory=list)
    merged: set[str] = field(default_factory=set)
    """Names that a USING made one with an earlier source's."""
    elements: frozenset[str] = frozenset()
    """Columns that are range variables of their own: an unnested array's element and its offset."""

    def find(self, name: str) -> tuple[bool, Kind | None]:
        for each, kind in (*(self.columns or ()), *self.hidden):
            if each.lower() == name:
                return True, kind
        return False, None

    def field_of_value(self, name: str) -> tuple[bool, Kind | None]:
        """A field of the value of a value table."""
        if not self.value:
            return False, None
        kind = dict(self.columns or ()).get(self.value)
        return kind.member(name) if kind is not None else (False, None)

    @property
    def row(self) -> Kind | None:
        """The type of the whole row under the source's name."""
        if self.columns is None:
            return None
        return Kind("STRUCT", None, tuple(self.columns))


@dataclass
class Scope:
    """The names of one SELECT, inside those of the queries around it."""

    outer: Scope | None = None
    sources: list[Source] = field(default_factory=list)
    tables: dict[str, Columns | None] = field(default_factory=dict)
    """What WITH defines."""
    aliases: dict[str, Kind | None] = field(default_factory=dict)
    """Names of the SELECT list, for the clauses that may use them."""
    using: list[str] = field(default_factory=list)
    qualify: bool = False
    """Whether names without a table get that of their source."""
    joined: dict[str, Any] = field(default_factory=dict)
    """What a name of USING stands for where the engine cannot match the columns by itself."""
    grouped: list[Any] = field(default_factory=list)
    """What of GROUP BY has a collation."""

    def out(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    @contextmanager
    def qualified(self) -> Iterator[None]:
        """Names that are looked up meanwhile, here and further out, get that of their source."""
        changed = [each for each in self.out() if not each.qualify]
        for each in changed:
            each.qualify = True
        try:
            yield
        finally:
            for each in changed:
                each.qualify = False

    def defined(self, name: str) -> tuple[bool, Columns | None]:
        """What a WITH clause around here defines under the name."""
        for scope in self.out():
            if name.lower() in scope.tables:
                return True, scope.tables[name.lower()]
        return False, None

    def element(self, name: str) -> Source | None:
        """The source whose element is named so: range variables come before columns of other sources."""
        return next((each for each in self.sources if name in each.elements), None)

    def shared(self, name: str, owner: Source) -> bool:
        """Whether another source than ``owner`` has, or may have, a column of the name."""
        return any(each.columns is None or each.find(name)[0] for each in self.sources if each is not owner)

    def names(self) -> list[str]:
        """Everything that could have been meant."""
        found: list[str] = []
        for scope in self.out():
            for source in scope.sources:
                found.extend(name for name, _ in source.columns or ())
                found.append(source.name)
            found.extend(scope.aliases)
        return [each for each in found if each]


def at(node: Any) -> str:
    """`` at [line:column]`` of where a node is written, "" where it is not known."""
    first: Any = None
    for each in node.walk():
        meta = each.meta
        if "line" in meta and "start" in meta and (first is None or meta["start"] < first["start"]):
            first = meta
    if first is None:
        return ""
    return f" at [{first['line']}:{first['col'] - (first['end'] - first['start'])}]"


def wrong(message: str, node: Any = None) -> InvalidArgument:
    return InvalidArgument(message + (at(node) if node is not None else ""), reason="invalidQuery", location="query")


def unrecognized(written: str, node: Any, scope: Scope) -> InvalidArgument:
    near = difflib.get_close_matches(written.lower(), {each.lower() for each in scope.names()}, n=1, cutoff=0.75)
    hint = ""
    if near:
        hint = "; Did you mean " + next(each for each in scope.names() if each.lower() == near[0]) + "?"
    return wrong(f"Unrecognized name: {written}{hint}", node)


def parts_of(node: exp.Column) -> list[Any]:
    """The identifiers of a column node, from the left."""
    return [node.args[key] for key in ("catalog", "db", "table", "this") if node.args.get(key) is not None]
