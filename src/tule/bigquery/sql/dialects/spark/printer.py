"""How trees are printed for Spark: sqlglot's dialect; NULLs are small there as in GoogleSQL."""

from __future__ import annotations

from typing import Any

from sqlglot.dialects.spark import Spark


class Printer(Spark):
    """The dialect, with names and literals as they are."""

    NULL_ORDERING = "nulls_are_small"

    class Generator(Spark.Generator):  # type: ignore[valid-type, misc]
        def struct_sql(self, expression: Any) -> str:
            parts = []
            for each in expression.expressions:
                name = each.this.name if hasattr(each.this, "name") else ""
                parts.append(f"'{name}', {self.sql(each, 'expression')}")
            return f"NAMED_STRUCT({', '.join(parts)})"
