"""How trees are printed for the engine: sqlglot's DuckDB dialect, which takes our functions as they are written."""

from __future__ import annotations

from typing import Any

from sqlglot.dialects.duckdb import DuckDB


class EngineDialect(DuckDB):
    """The dialect. The engine is set to order NULLs as BigQuery does, so only another order is said."""

    NULL_ORDERING = "nulls_are_small"

    class Generator(DuckDB.Generator):  # type: ignore[valid-type, misc]
        def ignorenulls_sql(self, expression: Any) -> str:
            return f"{self.sql(expression, 'this')} IGNORE NULLS"
