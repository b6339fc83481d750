"""The port through which SQL finds what its names mean; the warehouse implements it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

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


class Catalog(Protocol):
    """Names to relations. Each raises NotFound in BigQuery's words (``Not found: Table p:d.t was not found ...``)."""

    def resolve(self, name: Name) -> Relation:
        """The table or view of a name."""

    def tables(self, project: str, dataset: str) -> Sequence[str]:
        """Names of the tables of a dataset, for wildcard tables."""

    def information_schema(self, project: str, dataset: str | None, view: str) -> str:
        """A physical relation with the rows of ``INFORMATION_SCHEMA.<view>``; NotFound for a view there is not."""
