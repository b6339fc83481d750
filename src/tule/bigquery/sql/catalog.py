"""The port through which SQL finds what its names mean; the warehouse implements it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from tule.bigquery.sql.routine_statements import RoutineDefinition
from tule.bigquery.types import Field


@dataclass(frozen=True)
class Name:
    """A full table, view or model name."""

    project: str
    dataset: str
    table: str

    def __str__(self) -> str:
        return f"{self.project}:{self.dataset}.{self.table}"


@dataclass(frozen=True)
class Relation:
    """What a name means: a physical ``relation`` of the engine, or a view's ``query`` with the project it was made in."""

    fields: Sequence[Field]
    relation: str = ""
    query: str = ""
    project: str = ""
    read: Callable[[Callable[[str], bool]], str] | None = None
    """Makes the relation with those columns for whose names a test holds; None where ``relation`` is all there is."""
    pseudo: Sequence[Field] = ()
    """Columns that can be named but are not in ``*``."""
    grain: str = ""
    """HOUR, DAY, MONTH or YEAR where the table is partitioned by the time of loading, which its relation then has as a
    column."""
    bytes: int = 0
    """The size of what ``read`` reads."""
    partition: str = ""
    """The column that the table is partitioned by, in lower case."""
    filter_on: Sequence[str] = ()
    """Columns of which a query must filter by one."""
    condition: str = ""
    """GoogleSQL that must hold for a row to be seen; empty for all rows."""
    rows: int | None = None
    """How many of the relation's first rows are meant; None for all."""


@dataclass(frozen=True)
class Temporary:
    """Where the temporary tables of a script or a session are: a hidden dataset of their own."""

    project: str
    dataset: str
    exists: Callable[[Name], bool]

    def named(self, table: str) -> Name:
        """The full name that a temporary table of this name has or would have."""
        return Name(self.project, self.dataset, table)

    def find(self, table: str) -> Name | None:
        name = self.named(table)
        return name if self.exists(name) else None


Through = tuple[str, str, str, str]
"""``view`` or ``routine``, its project, its dataset and its own name: in its query or body a table is named."""


class Catalog(Protocol):
    """Names to relations. Each raises NotFound in BigQuery's words (``Not found: Table p:d.t was not found ...``)."""

    def resolve(self, name: Name, at: datetime | None = None, through: Sequence[Through] = ()) -> Relation:
        """The table or view of a name, as it was ``at`` a moment. Raises where a statement asks for two moments, and where
        neither the caller may read it nor what names it, ``through`` which it is read."""

    def constant(self, sql: str, parameters: Mapping[str, Any]) -> Any:
        """The value of a query of the engine's dialect that reads no tables."""

    def external_query(self, connection: str, sql: str, options: str, project: str) -> str:
        """The relation of the rows that a query gives in another database; ``project`` is that of a connection named
        without one."""

    def changes(self, name: Name, function: str, start: datetime | None, end: datetime | None) -> Relation:
        """The rows of APPENDS or CHANGES of a table."""

    def defined(self, name: str) -> Relation | None:
        """The external table that the query itself defines under a bare name."""

    def tables(self, project: str, dataset: str) -> Sequence[str]:
        """Names of the tables of a dataset, for wildcard tables."""

    def information_schema(self, project: str, dataset: str | None, view: str) -> str:
        """A physical relation with the rows of ``INFORMATION_SCHEMA.<view>``; NotFound for a view there is not."""

    def describe(self, relation: str) -> Sequence[Field]:
        """The columns of a relation of the engine."""

    def routine(self, name: Name) -> RoutineDefinition | None:
        """The function or procedure of a name; None where there is none. Raises where the caller may not use it."""

    def foreign(self, routine: RoutineDefinition) -> str:
        """A function in another language made known to the engine; its name there. It takes a struct of the arguments and
        gives one with the field ``value``."""
