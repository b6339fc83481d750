"""The bytes that statements process: columns, partitions, what is billed and what budgets are held against."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.bigquery.conftest import opened

from tule.kernel.clock import VirtualClock

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def tables(api: BigQueryApi) -> BigQueryApi:
    """``t`` by the day of ``ts``: x 16 bytes, s 9, ts 16, n 19, r 24; ``u``: x 8, y 4; ``g`` by ranges; ``l`` by loading."""
    api.query(
        "CREATE TABLE d.t (x INT64, s STRING, ts TIMESTAMP, n STRUCT<a INT64, b STRING>, r ARRAY<INT64>) "
        "PARTITION BY DATE(ts)"
    )
    api.query(
        "INSERT INTO d.t VALUES (1, 'ab', '2026-01-01 10:00:00', (1, 'z'), [1, 2]), "
        "(NULL, 'abc', '2026-01-02 10:00:00', NULL, []), (3, NULL, NULL, (1, NULL), [3])"
    )
    api.query("CREATE VIEW d.v AS SELECT * FROM d.t")
    api.query("CREATE TABLE d.u (x INT64, y STRING)")
    api.query("INSERT INTO d.u VALUES (1, 'qq')")
    api.query("CREATE TABLE d.g (x INT64, y INT64) PARTITION BY RANGE_BUCKET(x, GENERATE_ARRAY(0, 100, 10))")
    api.query("INSERT INTO d.g VALUES (1, 1), (11, 1), (99, 1), (200, 1), (NULL, 1)")
    api.query("CREATE TABLE d.l (x INT64) PARTITION BY TIMESTAMP_TRUNC(_PARTITIONTIME, HOUR)")
    api.query("INSERT INTO d.l (_PARTITIONTIME, x) VALUES ('2026-01-01 05:00:00', 1), ('2026-01-02', 2)")
    return api


def dry(api: BigQueryApi, sql: str) -> int:
    return int(api.query(sql, dryRun=True)["totalBytesProcessed"])


@pytest.mark.parametrize(
    ("sql", "size"),
    [
        ("SELECT 1", 0), ("SELECT x FROM d.t", 16), ("SELECT s FROM d.t", 9), ("SELECT n FROM d.t", 19),
        ("SELECT r FROM d.t", 24), ("SELECT * FROM d.t", 84), ("SELECT COUNT(*) FROM d.t", 0), ("SELECT t FROM d.t", 84),
        ("SELECT x FROM (SELECT * FROM d.t)", 16), ("SELECT * EXCEPT (n, r) FROM d.v", 41),
        ("SELECT s, COUNT(*) FROM d.t GROUP BY 1", 9), ("SELECT x FROM d.t ORDER BY s", 25),
        ("SELECT x FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY s) AS n2 FROM d.t)", 16),
        ("WITH a AS (SELECT * FROM d.t), b AS (SELECT s FROM d.t) SELECT a.x FROM a JOIN d.u USING (x)", 24),
        ("SELECT t.x, u.y FROM d.t JOIN d.u ON t.x = u.x", 28), ("SELECT t.x FROM d.t, d.u WHERE y = s", 29),
        ("SELECT (SELECT MAX(s) FROM d.t WHERE t.x = u.x) FROM d.u", 33), ("SELECT e FROM d.t, UNNEST(r) AS e", 24),
        ("SELECT x FROM d.t UNION ALL SELECT x FROM d.u", 24),
        ("SELECT * FROM (SELECT x, s FROM d.t) PIVOT(SUM(x) FOR s IN ('a', 'b'))", 25),
        ("FROM d.t |> WHERE x > 1 |> AGGREGATE SUM(x) AS y GROUP BY s", 25),
        ("SELECT a.x FROM d.u AS a JOIN d.u AS b ON a.y = b.y", 12),
        ("WITH RECURSIVE q AS (SELECT x FROM d.u UNION ALL SELECT x + 1 FROM q WHERE x < 4) SELECT * FROM q", 8),
        ("CREATE TABLE d.z AS SELECT s FROM d.t", 9), ("INSERT INTO d.u (x) SELECT x FROM d.t", 16),
        ("DELETE FROM d.t WHERE x = 1", 84), ("UPDATE d.u SET y = 'a' WHERE TRUE", 12),
        ("MERGE d.u USING d.t ON t.x = u.x WHEN NOT MATCHED THEN INSERT (x) VALUES (x)", 24),
        ("MERGE d.u USING d.t ON t.x = u.x WHEN MATCHED THEN UPDATE SET y = s", 37),
    ],
)  # fmt: skip
def test_only_the_columns_that_are_read_count(tables: BigQueryApi, sql: str, size: int) -> None:
    assert dry(tables, sql) == size


@pytest.mark.parametrize(
    ("sql", "size"),
    [
        # Beside the column itself.
        ("SELECT x FROM d.t WHERE DATE(ts) = '2026-01-01'", 16), ("SELECT s FROM d.t WHERE ts > '2026-01-02'", 13),
        ("SELECT s FROM d.t WHERE ts > '2026-01-02 23:00:00'", 13), ("SELECT s FROM d.t WHERE ts >= '2026-01-03'", 0),
        ("SELECT x FROM d.v WHERE ts IS NULL", 8), ("SELECT s FROM d.v WHERE ts IS NOT NULL", 25),
        ("SELECT s FROM (SELECT s, DATE(ts) AS day FROM d.t) WHERE day = '2026-01-02'", 13),
        ("SELECT s FROM d.t WHERE TIMESTAMP_TRUNC(ts, MONTH) IN ('2026-02-01', '2026-03-01')", 0),
        ("SELECT s FROM d.t WHERE ts BETWEEN '2026-01-02' AND '2026-01-09' AND x > 3", 13),
        ("SELECT s FROM d.t WHERE ts < '2026-01-02' OR x = 3", 41), ("SELECT s FROM d.t WHERE NOT ts > '2026-01-05'", 25),
        ("SELECT x FROM (SELECT * FROM d.t LIMIT 1) WHERE ts = '2027-01-01'", 32),
        ("SELECT y FROM d.g WHERE x = 11", 32), ("SELECT y FROM d.g WHERE x < 5 OR x BETWEEN 10 AND 12", 48),
        ("SELECT x FROM d.l WHERE _PARTITIONTIME = '2026-01-02'", 8),
        ("SELECT x FROM d.l WHERE _PARTITIONDATE = '2026-01-01'", 8),
        ("SELECT x FROM d.l WHERE _PARTITIONTIME < '2026-01-01'", 0),
        ("DELETE FROM d.t WHERE ts < '2026-01-02'", 47),
    ],
)  # fmt: skip
def test_a_filter_by_constants_leaves_out_partitions(tables: BigQueryApi, sql: str, size: int) -> None:
    assert dry(tables, sql) == size


def test_parameters_filter_too(tables: BigQueryApi) -> None:
    given = {"name": "day", "parameterType": {"type": "DATE"}, "parameterValue": {"value": "2026-01-02"}}
    sql = "SELECT s FROM d.t WHERE DATE(ts) = @day"
    job = tables.done(query={"query": sql, "queryParameters": [given], "parameterMode": "NAMED"})
    about = job["statistics"]["query"]
    assert (about["totalBytesProcessed"], about["totalPartitionsProcessed"]) == ("13", "1")
    assert tables.cells(tables.ok("GET", f"queries/{job['jobReference']['jobId']}")) == [["abc"]]


def test_what_is_billed(tables: BigQueryApi) -> None:
    def billed(sql: str) -> int:
        return int(tables.done(query={"query": sql, "useQueryCache": False})["statistics"]["query"]["totalBytesBilled"])

    assert billed("SELECT COUNT(*) FROM d.t") == 0
    assert billed("SELECT x FROM d.u") == 10 * MEGABYTE
    assert billed("SELECT u.x FROM d.u JOIN d.t USING (x)") == 20 * MEGABYTE
    tables.query("CREATE TABLE d.big AS SELECT REPEAT('a', 1024) AS s FROM UNNEST(GENERATE_ARRAY(1, 10300))")
    assert billed("SELECT s FROM d.big") == 11 * MEGABYTE


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM d.u", "INSERT INTO d.u (x) SELECT x FROM d.u", "DELETE FROM d.u WHERE x = 1"]
)
def test_a_budget_is_held_against_what_is_billed(tables: BigQueryApi, sql: str) -> None:
    error = tables.query_error(sql, maximumBytesBilled=str(10 * MEGABYTE - 1))
    assert (error["reason"], error["message"]) == (
        "bytesBilledLimitExceeded",
        "Query exceeded limit for bytes billed: 10485759. 10485760 or higher required.",
    )
    assert tables.rows("SELECT x, y FROM d.u") == [["1", "qq"]]
    assert tables.rows("SELECT x FROM d.u", maximumBytesBilled=str(10 * MEGABYTE)) == [["1"]]


def test_numbers_of_a_table(tables: BigQueryApi) -> None:
    table = tables.ok("GET", "datasets/d/tables/t")
    assert (table["numBytes"], table["numLongTermBytes"], table["numPartitions"]) == ("84", "0", "3")
    assert "numPartitions" not in tables.ok("GET", "datasets/d/tables/u")


@pytest.fixture
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BigQueryApi, VirtualClock]]:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    with opened(tmp_path_factory.mktemp("old") / "home", clock) as made:
        made.dataset("d")
        yield made, clock


def test_what_has_not_changed_for_ninety_days_is_long_term(old: tuple[BigQueryApi, VirtualClock]) -> None:
    api, clock = old
    api.query("CREATE TABLE d.t AS SELECT 1 AS x")

    def numbers() -> tuple[str, str, str]:
        table = api.ok("GET", "datasets/d/tables/t")
        return table["numBytes"], table["numLongTermBytes"], table["numActiveLogicalBytes"]

    clock.advance(timedelta(days=89))
    api.ok("PATCH", "datasets/d/tables/t", {"description": "not its rows"})
    assert numbers() == ("8", "0", "8")
    clock.advance(timedelta(days=1))
    assert numbers() == ("8", "8", "0")
    tier = "SELECT storage_tier FROM d.INFORMATION_SCHEMA.PARTITIONS"
    assert api.rows(tier) == [["LONG_TERM"]]
    api.query("INSERT INTO d.t VALUES (2)")
    assert (numbers(), api.rows(tier)) == (("16", "0", "16"), [["ACTIVE"]])
