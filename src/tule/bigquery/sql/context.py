"""What the rules know while one statement is compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.catalog import Catalog, Name


@dataclass(frozen=True)
class Parameter:
    """A query parameter: its BigQuery type as GoogleSQL writes it (``ARRAY<STRING>``) and its Python value."""

    type: str
    value: Any


Expand = Callable[[exp.Expression, "Context"], exp.Expression]
"""Replaces a table function node (``Table(this=Anonymous(...), db=ML)``) by a relation or a subquery of GoogleSQL."""


@dataclass
class Context:
    """One compilation. ``expand`` answers model functions; ``tables`` collects the names that were read."""

    catalog: Catalog
    project: str
    dataset: str | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    expand: Expand | None = None
    tables: list[Name] = field(default_factory=list)
    bound: dict[str, Any] = field(default_factory=dict)
    views: tuple[Name, ...] = ()

    def beside(self) -> Context:
        """The context of a part that is compiled and run by itself: the same names, bound values of its own."""
        return Context(
            self.catalog, self.project, self.dataset, self.parameters, self.expand, self.tables, {}, self.views
        )

    def inside(self, project: str, view: Name) -> Context:
        """The context of a view's query: its own project, no default dataset, no parameters."""
        return Context(self.catalog, project, None, {}, self.expand, self.tables, self.bound, (*self.views, view))
