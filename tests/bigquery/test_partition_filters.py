"""Tables that may only be read by a filter on their partitioning column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

WORDS = (
    "Cannot query over table 'test-project.d.p' without a filter over column(s) 'day' that can be used for partition "
    "elimination"
)


@pytest.fixture(scope="module")
def days(api: BigQueryApi) -> BigQueryApi:
    api.query("CREATE TABLE d.p (x INT64, day DATE) PARTITION BY day OPTIONS(require_partition_filter = true)")
    api.query("INSERT INTO d.p VALUES (1, '2024-01-01'), (2, '2024-01-02')")
    return api


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT x FROM d.p WHERE day = '2024-01-01'",
        "SELECT a.x FROM d.p AS a WHERE a.day < '2024-01-02' AND a.x > 0",
        "WITH q AS (SELECT * FROM d.p WHERE day = '2024-01-01') SELECT x FROM q",
    ],
)
def test_a_filter_is_enough(days: BigQueryApi, sql: str) -> None:
    assert days.rows(sql) == [["1"]]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT x FROM d.p", "SELECT x FROM d.p WHERE x = 1", "SELECT COUNT(*) FROM (SELECT * FROM d.p)",
        "DELETE FROM d.p WHERE x = 1", "UPDATE d.p SET x = 3 WHERE x = 1",
    ],
)  # fmt: skip
def test_without_one_nothing_is_read_or_changed(days: BigQueryApi, sql: str) -> None:
    assert WORDS in days.query_error(sql)["message"]
    assert days.rows("SELECT SUM(x) FROM d.p WHERE day IS NOT NULL") == [["3"]]


def test_the_demand_is_made_and_dropped(days: BigQueryApi) -> None:
    days.query("CREATE TABLE d.q (x INT64, day DATE) PARTITION BY day")
    days.query("ALTER TABLE d.q SET OPTIONS(require_partition_filter = true)")
    assert days.ok("GET", "datasets/d/tables/q")["requirePartitionFilter"] is True
    days.query_error("SELECT * FROM d.q")
    days.ok("PATCH", "datasets/d/tables/q", {"requirePartitionFilter": False})
    assert days.rows("SELECT * FROM d.q") == []
    error = days.query_error("CREATE TABLE d.r (x INT64) OPTIONS(require_partition_filter = true)")
    assert "must be of a partitioned table" in error["message"]
