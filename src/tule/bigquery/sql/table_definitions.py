"""Statements about tables that already are, as plain values: snapshots and clones, materialized views, row access policies,
changes of tables, views and schemas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.catalog import Name
from tule.bigquery.sql.statements import AlterTable, ColumnChange, Drop, ForeignKey, KeyChange, Statement


@dataclass(frozen=True)
class CopyTable(Statement):
    """CREATE SNAPSHOT TABLE, and CREATE TABLE with CLONE: ``source`` as it was ``at`` a moment (None: now)."""

    target: Name
    source: Name
    at: exp.Expression | None = None
    replace: bool = False
    if_not_exists: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CreateMaterializedView(Statement):
    target: Name
    replace: bool
    if_not_exists: bool
    query: str
    options: Mapping[str, Any] = field(default_factory=dict)
    partition_by: str = ""
    cluster_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class CreateRowAccessPolicy(Statement):
    """``grantees`` as IAM writes members; ``filter`` is a condition's text."""

    target: Name
    policy: str
    replace: bool
    if_not_exists: bool
    grantees: tuple[str, ...]
    filter: str


@dataclass(frozen=True)
class CreateVectorIndex(Statement):
    """``stored``: the columns of STORING; ``text``: the statement as written."""

    target: Name
    index: str
    column: str
    replace: bool
    if_not_exists: bool
    stored: tuple[str, ...]
    options: Mapping[str, Any]
    text: str


@dataclass(frozen=True)
class DropVectorIndex(Statement):
    """DROP VECTOR INDEX."""

    target: Name
    index: str
    if_exists: bool


@dataclass(frozen=True)
class DropRowAccessPolicy(Statement):
    """``policy`` empty: all of the table."""

    target: Name
    policy: str
    if_exists: bool


@dataclass(frozen=True)
class AlterView(Statement):
    """SET OPTIONS of a view or a materialized view, and descriptions of its columns."""

    target: Name
    if_exists: bool
    options: Mapping[str, Any]
    columns: tuple[ColumnChange, ...] = ()


@dataclass(frozen=True)
class AlterSchema(Statement):
    project: str
    dataset: str
    if_exists: bool
    options: Mapping[str, Any]
    collation: str | None = None
    """SET DEFAULT COLLATE: that of tables which are made later."""


@dataclass(frozen=True)
class Permissions(Statement):
    """GRANT or REVOKE of ``roles`` on a dataset (``table`` empty) or on a table, to or from members as IAM writes them."""

    roles: tuple[str, ...]
    project: str
    dataset: str
    table: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class UndropSchema(Statement):
    project: str
    dataset: str
    if_not_exists: bool


__all__ = [
    "AlterSchema", "AlterTable", "AlterView", "ColumnChange", "CopyTable", "CreateMaterializedView",
    "CreateRowAccessPolicy", "Drop", "DropRowAccessPolicy", "ForeignKey", "KeyChange", "UndropSchema",
]  # fmt: skip
