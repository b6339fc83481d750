"""What the rules know while one statement is compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.catalog import Catalog, Name, Temporary, Through
from tule.bigquery.sql.kinds import Kind
from tule.bigquery.sql.routine_statements import RoutineDefinition

BOUND = "tule_bound"


@dataclass(frozen=True)
class Parameter:
    """A query parameter: its BigQuery type as GoogleSQL writes it (``ARRAY<STRING>``) and its Python value."""

    type: str
    value: Any


def _no_variable(name: str) -> Parameter | None:
    return None


@dataclass(frozen=True)
class Scope:
    """What names mean beside the catalog, in a script or a session.

    ``variables`` by name in lower case; a column of that name comes first. ``system`` tells a system variable by its name
    without ``@@``, in lower case. ``functions`` are temporary ones by name in lower case. ``temporary`` is None where there
    can be no temporary tables. ``first_position`` is the number of ``?`` before the statement in its script.
    """

    variables: Mapping[str, Parameter] = field(default_factory=dict)
    system: Callable[[str], Parameter | None] = _no_variable
    functions: Mapping[str, RoutineDefinition] = field(default_factory=dict)
    temporary: Temporary | None = None
    first_position: int = 0


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
    at: datetime | None = None
    """The moment that a view was asked for, of which its tables are read."""
    moments: list[datetime] = field(default_factory=list)
    """What FOR SYSTEM_TIME AS OF came to: with other values the statement may be another."""
    volatile: set[str] = field(default_factory=set)
    """What the statement calls that answers otherwise each time."""
    instant: datetime | None = None
    """The time of the statement, None for the engine's own."""
    quick: bool = False
    """Whether sums of FLOAT64 may be checked as a whole instead of each term: see ``analysis.doubtful_sums``."""
    user: str = ""
    """The address of who asked, "" where a statement is only looked at."""
    scope: Scope = field(default_factory=Scope)
    sources: dict[str, str] = field(default_factory=dict)
    """Which variable or parameter each bound value is of: what lets a statement be run again with other values."""
    called: list[tuple[str, ...]] = field(default_factory=list)
    """The functions of users that were expanded."""
    routines: tuple[tuple[str, ...], ...] = ()
    """The routines whose bodies are around, to find one that calls itself."""
    kinds: list[Kind | None] = field(default_factory=list)
    """The types of the whole query's columns, once they are known."""
    dialect: str = "duckdb"
    """Of the engine that the statement is for."""

    @property
    def through(self) -> tuple[Through, ...]:
        """The view and the routine that are around, the innermost of each."""
        views: tuple[Through, ...] = tuple(("view", each.project, each.dataset, each.table) for each in self.views[-1:])
        routines: tuple[Through, ...] = tuple(("routine", *each) for each in self.routines[-1:] if len(each) == 3)
        return (*views, *routines)

    @property
    def now(self) -> datetime | None:
        """The time of the statement, for what is made of it."""
        self.volatile.add("now")
        return self.instant

    def bind(self, parameter: Parameter, source: str = "") -> exp.Expression:
        """A value as a parameter of the engine, cast to its type."""
        key = f"p_{len(self.bound)}"
        from tule.bigquery.sql.dialects import dialect

        self.bound[key] = dialect(self.dialect).bound(parameter)
        if source:
            self.sources[key] = source
        made = exp.Parameter(this=exp.var(key))
        made.meta[BOUND] = True
        return exp.cast(made, exp.DataType.build(parameter.type, dialect="bigquery"))

    def beside(self) -> Context:
        """The context of a part that is compiled and run by itself: the same names, bound values of its own."""
        return replace(self, bound={}, sources={}, kinds=[], quick=False)

    def inside(self, project: str, view: Name, at: datetime | None = None) -> Context:
        """The context of a view's query: its own project, no default dataset, no parameters."""
        return replace(
            self,
            project=project,
            dataset=None,
            parameters={},
            views=(*self.views, view),
            at=at,
            scope=_system_only(self.scope),
            kinds=[],
            quick=False,
        )


def _system_only(scope: Scope) -> Scope:
    """What views see of a scope."""
    return Scope(system=scope.system)
