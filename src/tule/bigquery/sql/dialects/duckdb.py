"""DuckDB's SQL: every operator and function in the engine's form for its types, printed with our functions as they are
written."""

from __future__ import annotations

from typing import Any

from sqlglot.dialects.duckdb import DuckDB

from tule.bigquery.sql.bound_values import bindable
from tule.bigquery.sql.dialects import Dialect
from tule.bigquery.sql.rules.rewrite import rewrite


class Printer(DuckDB):
    """The engine is set to order NULLs as BigQuery does, so only another order is said."""

    NULL_ORDERING = "nulls_are_small"

    class Generator(DuckDB.Generator):  # type: ignore[valid-type, misc]
        def ignorenulls_sql(self, expression: Any) -> str:
            return f"{self.sql(expression, 'this')} IGNORE NULLS"


DIALECT = Dialect(rules=(rewrite,), printer=Printer, bound=lambda each: bindable(each.type, each.value), mark="$")
