"""Types whose values neither group nor order. https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types"""

from __future__ import annotations

from typing import Any

from tule.bigquery.sql.analysis.scopes import wrong
from tule.bigquery.sql.kinds import Kind

_NEITHER = ("GEOGRAPHY", "JSON")


def groups(kind: Kind | None, node: Any, word: str = "") -> None:
    """Raise where values of a type have no groups."""
    if kind is not None and kind.name in _NEITHER:
        if word:
            raise wrong(f"Column of type {kind} cannot be used in SELECT {word}", node)
        raise wrong(f"Grouping by expressions of type {kind} is not allowed", node)


def orders(kind: Kind | None, node: Any) -> None:
    """Raise where values of a type have no order."""
    if kind is not None and kind.name in (*_NEITHER, "ARRAY", "STRUCT"):
        raise wrong(f"ORDER BY does not support expressions of type {kind}", node)
