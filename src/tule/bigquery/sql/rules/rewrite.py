"""Names get their types, and each operator and function the engine's form for these (``bigquery.sql.analysis``)."""

from __future__ import annotations

from typing import Any

from tule.bigquery.sql.analysis import analyzed
from tule.bigquery.sql.context import Context


def rewrite(tree: Any, context: Context) -> Any:
    return analyzed(tree, context)
