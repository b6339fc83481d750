"""Spark under the contract of ``QueryEngine``: one Spark for all tests, a lake for each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.query_engine import QueryEngineContract
from tests.contracts.translated import Translated

from tule.bigquery.engine import QueryEngine

pytestmark = pytest.mark.engines

REMOTE = "TULE_TEST_SPARK"


def opened(folder: Path) -> Any:
    from tule.bigquery.types import Field
    from tule.engines.spark import SparkEngine

    engine = SparkEngine(folder, lambda: os.environ[REMOTE], field=Field)
    return Translated(engine, lambda count: f"(SELECT id AS n FROM range({count}))")


class TestSpark(QueryEngineContract):
    LARGE = 3_000_000
    MISMATCHED = "SELECT abs([n]) FROM {relation}"
    opening = "from tests.contracts.test_spark_engine import opened\nengine = opened(folder)"

    @pytest.fixture(scope="class", autouse=True)
    def spark(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        from tule.engines.spark import LocalSpark
        from tule.kernel.clock import RealClock

        made = LocalSpark(tmp_path_factory.mktemp("spark"), RealClock(), threads=2, memory="1g")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(REMOTE, made.remote())
            yield
        made.stop()

    def open_engine(self, folder: Path) -> QueryEngine:
        return opened(folder)  # type: ignore[no-any-return]
