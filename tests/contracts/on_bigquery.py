"""BigQuery under the contract of ``QueryEngine``: run by ``test_bigquery_engine.py`` where a second Tule is the service."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tests.contracts.query_engine import QueryEngineContract
from tests.contracts.translated import Translated

from tule.bigquery.engine import QueryEngine


def numbers(count: int) -> str:
    """An array has at most a million elements."""
    if count <= 10**6:
        return f"(SELECT n FROM UNNEST(GENERATE_ARRAY(0, {count} - 1)) AS n)"
    millions = f"UNNEST(GENERATE_ARRAY(0, {(count - 1) // 10**6})) AS a, UNNEST(GENERATE_ARRAY(0, 999999)) AS b"
    return f"(SELECT a * 1000000 + b AS n FROM {millions} WHERE a * 1000000 + b < {count})"


def opened(folder: Path) -> Any:
    """An engine of its own datasets for each folder."""
    from tule.bigquery.types import Field
    from tule.engines.bigquery import BigQueryEngine

    prefix = "tule_" + hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    engine = BigQueryEngine(f"bigquery://test-project/{prefix}", field=Field)
    return Translated(engine, numbers)


class TestBigQuery(QueryEngineContract):
    LARGE = 3_000_000
    opening = "from tests.contracts.on_bigquery import opened\nengine = opened(folder)"

    def open_engine(self, folder: Path) -> QueryEngine:
        return opened(folder)  # type: ignore[no-any-return]
