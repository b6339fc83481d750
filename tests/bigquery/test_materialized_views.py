"""Materialized views: kept rows that are never older than they may be; and answers of queries that are given again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tule.kernel.clock import VirtualClock

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

MINUTE = timedelta(minutes=1)
VIEW = "datasets/d/tables/m"


@pytest.fixture
def sums(timed: BigQueryApi) -> BigQueryApi:
    timed.query("CREATE TABLE d.t AS SELECT 'a' AS k, 1 AS x UNION ALL SELECT 'b', 2")
    timed.query("CREATE MATERIALIZED VIEW d.m CLUSTER BY k AS SELECT k, SUM(x) AS s FROM d.t GROUP BY k")
    return timed


def rows(api: BigQueryApi, sql: str = "SELECT k, s FROM d.m ORDER BY k") -> list[list[Any]]:
    return api.rows(sql, useQueryCache=False)


def test_a_view_is_never_stale(sums: BigQueryApi) -> None:
    assert rows(sums) == [["a", "1"], ["b", "2"]]
    sums.query("INSERT INTO d.t VALUES ('a', 10)")
    assert rows(sums) == [["a", "11"], ["b", "2"]]
    sums.query("DELETE FROM d.t WHERE k = 'b'")
    assert rows(sums) == [["a", "11"]]
    # Its own rows are still those of before.
    assert sums.ok("GET", VIEW)["numRows"] == "2"


def test_what_is_told_of_a_view(sums: BigQueryApi) -> None:
    made = sums.ok("GET", VIEW)
    about = made["materializedView"]
    assert (made["type"], made["clustering"]) == ("MATERIALIZED_VIEW", {"fields": ["k"]})
    assert about["query"] == "SELECT k, SUM(x) AS s FROM d.t GROUP BY k"
    assert (about["enableRefresh"], about["refreshIntervalMs"]) == (True, "1800000")
    assert int(about["lastRefreshTime"]) == int(made["creationTime"])
    sums.query("ALTER MATERIALIZED VIEW d.m SET OPTIONS(enable_refresh = false, description = 'sums')")
    changed = sums.ok("GET", VIEW)
    assert (changed["materializedView"]["enableRefresh"], changed["description"]) == (False, "sums")
    sums.ok("PATCH", VIEW, {"materializedView": {"refreshIntervalMs": "60000"}})
    assert sums.ok("GET", VIEW)["materializedView"]["refreshIntervalMs"] == "60000"
    wrong = sums.error("PATCH", VIEW, {"materializedView": {"query": "SELECT 1 AS s"}})
    assert "cannot be changed" in wrong["message"]
    assert "1 minute" in sums.error("PATCH", VIEW, {"materializedView": {"refreshIntervalMs": "5"}})["message"]


def test_rows_are_made_anew_on_the_clock(sums: BigQueryApi, clock: VirtualClock) -> None:
    sums.query("DELETE FROM d.t WHERE k = 'b'")
    clock.advance(timedelta(minutes=29))
    assert sums.ok("GET", VIEW)["numRows"] == "2"
    clock.advance(timedelta(minutes=2))
    assert sums.ok("GET", VIEW)["numRows"] == "1"
    refreshed = sums.ok("GET", VIEW)["materializedView"]["lastRefreshTime"]
    clock.advance(timedelta(hours=2))
    assert sums.ok("GET", VIEW)["materializedView"]["lastRefreshTime"] == refreshed


def test_rows_are_made_anew_on_demand(sums: BigQueryApi) -> None:
    sums.query("INSERT INTO d.t VALUES ('c', 3)")
    sums.query("CALL BQ.REFRESH_MATERIALIZED_VIEW('test-project.d.m')")
    assert sums.ok("GET", VIEW)["numRows"] == "3"
    assert "not a materialized view" in sums.query_error("CALL BQ.REFRESH_MATERIALIZED_VIEW('d.t')")["message"]
    assert "Not found" in sums.query_error("CALL BQ.REFRESH_MATERIALIZED_VIEW('d.none')")["message"]


def test_staleness_that_is_allowed(timed: BigQueryApi, clock: VirtualClock) -> None:
    timed.query("CREATE TABLE d.t AS SELECT 1 AS x")
    timed.query(
        "CREATE MATERIALIZED VIEW d.m OPTIONS(enable_refresh = false, max_staleness = INTERVAL '4' HOUR) AS "
        "SELECT x FROM d.t"
    )
    timed.query("INSERT INTO d.t VALUES (2)")
    clock.advance(timedelta(hours=3))
    assert rows(timed, "SELECT COUNT(*) FROM d.m") == [["1"]]
    clock.advance(timedelta(hours=2))
    assert rows(timed, "SELECT COUNT(*) FROM d.m") == [["2"]]


def test_views_on_views_and_by_rest(timed: BigQueryApi) -> None:
    timed.query("CREATE TABLE d.t AS SELECT 1 AS x")
    timed.query("CREATE VIEW d.v AS SELECT x * 10 AS y FROM d.t")
    body = {"tableReference": timed.reference("m"), "materializedView": {"query": "SELECT y FROM `test-project.d.v`"}}
    assert timed.ok("POST", "datasets/d/tables", body)["type"] == "MATERIALIZED_VIEW"
    assert rows(timed, "SELECT y FROM d.m") == [["10"]]
    timed.query("CREATE OR REPLACE VIEW d.v AS SELECT x * 100 AS y FROM d.t")
    assert rows(timed, "SELECT y FROM d.m") == [["100"]]
    listed = {
        each["tableReference"]["tableId"]: each["type"] for each in timed.ok("GET", "datasets/d/tables")["tables"]
    }
    assert listed == {"t": "TABLE", "v": "VIEW", "m": "MATERIALIZED_VIEW"}


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("CREATE MATERIALIZED VIEW d.n AS SELECT RAND() AS r FROM d.t", "unsupported feature: RAND"),
        ("CREATE MATERIALIZED VIEW d.n AS SELECT CURRENT_DATE() AS r, x FROM d.t", "CURRENT_DATE"),
        ("CREATE MATERIALIZED VIEW d.n AS SELECT SESSION_USER() AS r, x FROM d.t", "SESSION_USER"),
        ("CREATE MATERIALIZED VIEW d.n AS SELECT table_name FROM d.INFORMATION_SCHEMA.TABLES", "unsupported feature"),
        ("CREATE MATERIALIZED VIEW d.n OPTIONS(refresh_interval_minutes = 0.1) AS SELECT x FROM d.t", "1 minute"),
        ("CREATE MATERIALIZED VIEW d.n OPTIONS(kms_key_name = 'k') AS SELECT x FROM d.t", "kms_key_name"),
        ("CREATE MATERIALIZED VIEW d.n AS REPLICA OF d.t", "REPLICA OF"),
        ("CREATE MATERIALIZED VIEW d.m AS SELECT x FROM d.t", "Already Exists"),
        ("INSERT INTO d.m VALUES ('z', 1)", "currently a MATERIALIZED_VIEW"),
        ("DROP VIEW d.m", "currently a MATERIALIZED_VIEW"),
        ("DROP MATERIALIZED VIEW d.t", "currently a TABLE"),
    ],
)
def test_what_cannot_be(sums: BigQueryApi, sql: str, message: str) -> None:
    before = sums.physical()
    assert message in sums.query_error(sql)["message"]
    assert (sums.error("GET", "datasets/d/tables/n")["code"], sums.physical()) == (404, before)


def test_a_view_is_dropped(sums: BigQueryApi) -> None:
    sums.query("DROP MATERIALIZED VIEW d.m")
    sums.query("DROP MATERIALIZED VIEW IF EXISTS d.m")
    assert sums.error("GET", VIEW)["code"] == 404


# -- the query cache


def asked(api: BigQueryApi, sql: str, **more: Any) -> tuple[bool, str, list[list[Any]]]:
    answer = api.query(sql, **more)
    return answer["cacheHit"], answer["totalBytesProcessed"], api.cells(answer)


def test_the_same_query_is_answered_from_the_cache(sums: BigQueryApi, clock: VirtualClock) -> None:
    sql = "SELECT SUM(x) FROM d.t"
    hit, size, first = asked(sums, sql)
    assert (hit, int(size) > 0) == (False, True)
    assert asked(sums, sql) == (True, "0", first)
    assert asked(sums, sql, useQueryCache=False)[0] is False
    assert asked(sums, sql + " ")[0] is False
    sums.query("INSERT INTO d.t VALUES ('c', 5)")
    assert asked(sums, sql) == (False, asked(sums, sql, useQueryCache=False)[1], [["8"]])
    assert asked(sums, sql)[0] is True
    clock.advance(timedelta(hours=25))
    assert asked(sums, sql)[0] is False


def test_a_job_with_a_cached_answer(sums: BigQueryApi) -> None:
    sql = {"query": "SELECT k FROM d.t ORDER BY k", "useLegacySql": False}
    first = sums.done(query=sql)
    again = sums.done(query=sql)
    about = again["statistics"]["query"]
    assert (about["cacheHit"], about["totalBytesProcessed"], about["totalBytesBilled"]) == (True, "0", "0")
    job = again["jobReference"]["jobId"]
    sums.call("DELETE", f"jobs/{first['jobReference']['jobId']}/delete")
    assert sums.cells(sums.ok("GET", f"queries/{job}")) == [["a"], ["b"]]
    assert again["configuration"]["query"]["destinationTable"] != first["configuration"]["query"]["destinationTable"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT RAND() < 2 FROM d.t",
        "SELECT CURRENT_TIMESTAMP() IS NULL",
        "SELECT GENERATE_UUID() IS NULL",
        "SELECT table_name FROM d.INFORMATION_SCHEMA.TABLES",
        "SELECT COUNT(*) FROM `d.t*`",
        "SELECT x FROM d.t FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()",
        "DECLARE y INT64 DEFAULT 1; SELECT y",
    ],
)
def test_what_may_come_out_otherwise_is_not_kept(sums: BigQueryApi, sql: str) -> None:
    assert [asked(sums, sql)[0], asked(sums, sql)[0]] == [False, False]


def test_parameters_are_a_part_of_a_query(sums: BigQueryApi) -> None:
    def given(value: str) -> dict[str, Any]:
        parameter = {"name": "p", "parameterType": {"type": "INT64"}, "parameterValue": {"value": value}}
        return {"parameterMode": "NAMED", "queryParameters": [parameter]}

    sql = "SELECT COUNT(*) FROM d.t WHERE x = @p"
    assert asked(sums, sql, **given("1"))[2] == [["1"]]
    assert asked(sums, sql, **given("7"))[2] == [["0"]]
    assert asked(sums, sql, **given("1"))[0] is True
