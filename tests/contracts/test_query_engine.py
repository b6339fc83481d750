"""DuckDB under the contract of ``QueryEngine``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.contracts.query_engine import QueryEngineContract

from tule.bigquery.engine import QueryEngine
from tule.bigquery.types import Field
from tule.engines.duckdb import DuckDBEngine


class TestDuckDB(QueryEngineContract):
    opening = (
        "from tule.bigquery.types import Field\nfrom tule.engines.duckdb import DuckDBEngine\n"
        "engine = DuckDBEngine(folder, threads=2, memory='1GB', field=Field)"
    )

    def open_engine(self, folder: Path) -> QueryEngine:
        engine: Any = DuckDBEngine(folder, threads=2, memory="1GB", field=Field)
        return engine  # type: ignore[no-any-return]

    def numbers(self, count: int) -> str:
        return f"(SELECT range AS n FROM range({count}))"

    FORBIDDEN = (
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "COPY (SELECT 1) TO '{outside}/out.csv'",
        "EXPORT DATABASE '{outside}/out'",
        "ATTACH '{outside}/other.db' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "SET lock_configuration = false",
        "SET TimeZone = 'Asia/Tokyo'",
    )

    def test_macros_are_all_called_by_a_function_of_the_table(self) -> None:
        """Each function of the table has what the engine needs for it, and the engine has nothing that nobody calls."""
        from tule.bigquery.sql.functions import FUNCTIONS
        from tule.engines.duckdb.functions import macros

        made = {name for name, _, _ in macros()}
        # Table functions become queries.
        called = [each for each in FUNCTIONS.values() if each.role != "table"]
        used = {each.engine for function in called for each in function.signatures if each.engine[:5] == "tule_"}
        udfs = {name for name in used if name not in made}
        assert udfs <= set(_python_functions()), f"the engine lacks {udfs}"


def _python_functions() -> list[str]:
    found: list[str] = []

    class Connection:
        def type(self, name: str) -> str:
            return name

        def create_function(self, name: str, *_: Any, **__: Any) -> None:
            found.append(name)

    from tule.engines.duckdb.functions import bignumerics, udfs

    udfs.register(Connection())
    bignumerics.register(Connection())
    return found
