"""Compiled queries, the latest kept: as long as every name in a text means what it meant, the text comes to the same SQL.

Kept is only what depends on nothing else. Whatever else a compilation asks for (the time, a parameter, a routine, a model,
the tables that a wildcard stands for) is noted on the way, and then the query is compiled anew each time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.analysis.doubtful_sums import Detached
from tule.bigquery.sql.catalog import Catalog, Name, Relation, Through
from tule.bigquery.sql.compile import LONGEST_KEPT, Compiled, compile_query
from tule.bigquery.sql.context import Context, Expand, Scope
from tule.kernel.errors import TuleError

_Key = tuple[str, str, str | None, str, bool]


@dataclass(frozen=True)
class _Kept:
    compiled: Compiled
    names: Mapping[Name, Relation]

    def holds(self, catalog: Catalog) -> bool:
        """Whether the names mean what they meant. Looks each one up, as compiling does: permissions are checked, and what
        is read is counted and held."""
        try:
            return all(catalog.resolve(name) == relation for name, relation in self.names.items())
        except TuleError:
            # Compiling tells where in the text it is.
            return False


class Compilations:
    """Compiles queries. Safe to use from any thread."""

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._lock = Lock()

    def compile(self, text: str, tree: Any, make_context: Callable[[], Context], *, quick: bool = False) -> Compiled:
        """The compiled form of ``tree``, the one query of ``text``, which is left as it is.

        ``quick``: it may fail with ``IN_DOUBT``, and is then to be compiled again without (``analysis.doubtful_sums``).
        """
        if quick:
            try:
                return self._compiled(text, tree, replace(make_context(), quick=True))
            except Detached:
                pass
        return self._compiled(text, tree, make_context())

    def _compiled(self, text: str, tree: Any, context: Context) -> Compiled:
        key = (text, context.project, context.dataset, context.user, context.quick)
        if context.parameters or not _is_bare(context.scope) or len(text) > LONGEST_KEPT:
            return compile_query(tree.copy(), context)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
        if kept is not None and kept.holds(context.catalog):
            return kept.compiled
        catalog = _Noting(context.catalog)
        context.catalog = catalog
        if context.expand is not None:
            context.expand = catalog.noting(context.expand)
        compiled = compile_query(tree.copy(), context)
        if not (catalog.asked or context.volatile or context.bound) and compiled.repeatable:
            self._keep(key, _Kept(compiled, catalog.names))
        return compiled

    def _keep(self, key: _Key, kept: _Kept) -> None:
        with self._lock:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


def _is_bare(scope: Scope) -> bool:
    return not (scope.variables or scope.functions or scope.temporary)


class _Noting:
    """A catalog that notes what it is asked for: ``names``, and whether for anything else (``asked``)."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.names: dict[Name, Relation] = {}
        self.asked = False

    def noting(self, expand: Expand) -> Expand:
        def noted(node: exp.Expression, inner: Context) -> exp.Expression:
            self.asked = True
            return expand(node, inner)

        return noted

    def resolve(self, name: Name, at: datetime | None = None, through: Sequence[Through] = ()) -> Relation:
        found = self._catalog.resolve(name, at, through)
        self.names[name] = found
        self.asked = self.asked or at is not None
        return found

    def defined(self, name: str) -> Relation | None:
        found = self._catalog.defined(name)
        self.asked = self.asked or found is not None
        return found

    def __getattr__(self, method: str) -> Any:
        self.asked = True
        return getattr(self._catalog, method)
