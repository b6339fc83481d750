"""DuckDB as the embedded engine of SQL and tables."""

from tule.engines.duckdb.adapter import DuckDBEngine

__all__ = ["DuckDBEngine"]
