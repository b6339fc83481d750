"""What is written in DuckDB's functions (a model as SQL, ML's preprocessing) is not sent to the service."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.kernel.errors import Unimplemented


def refuse_engine_calls(tree: Any, context: Context) -> Any:
    if any(node.meta.get("tule_engine") for node in tree.find_all(exp.Func)):
        raise Unimplemented(
            "Functions of BigQuery ML must run on the embedded engine", given="TULE_SQL=bigquery://...",
            do="set TULE_SQL=duckdb, or ask the service itself", reason="notImplemented", location="query",
        )  # fmt: skip
    return tree
