"""Many callers at once: changes of one table take turns, readers see whole states, who waits can be cancelled."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tule.bigquery.jobs import Job

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi


def test_changes_of_one_table_take_turns(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.turns (a INT64)")

    def change(number: int) -> None:
        if number % 3 == 0:
            api.query(f"INSERT INTO d.turns VALUES ({number})", timeoutMs=60_000)
        elif number % 3 == 1:
            api.ok("POST", "datasets/d/tables/turns/insertAll", {"rows": [{"json": {"a": number}}]})
        else:
            job = api.load(f"{number}\n", "turns", schema={"fields": [{"name": "a", "type": "INTEGER"}]})
            assert "errorResult" not in job["status"], job["status"]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(48)))
    assert api.rows("SELECT COUNT(*), COUNT(DISTINCT a), SUM(a) FROM d.turns") == [["48", "48", str(sum(range(48)))]]


def test_readers_of_a_table_that_is_replaced_again_and_again(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.replaced AS SELECT x AS a, 0 AS n FROM UNNEST(GENERATE_ARRAY(1, 5000)) AS x")

    def read(_: int) -> set[str]:
        if _ % 2:
            found = api.rows("SELECT MIN(n), MAX(n), COUNT(*) FROM d.replaced", timeoutMs=60_000)
            assert found[0][0] == found[0][1] and found[0][2] == "5000"
            return {found[0][0]}
        page = api.cells(api.ok("GET", "datasets/d/tables/replaced/data", params={"maxResults": "5000"}))
        assert len(page) == 5000
        return {row[1] for row in page}

    def replace(number: int) -> None:
        api.query(f"CREATE OR REPLACE TABLE d.replaced AS SELECT a, {number} AS n FROM d.replaced", timeoutMs=60_000)

    with ThreadPoolExecutor(6) as pool:
        reads = [pool.submit(read, index) for index in range(30)]
        changes = [pool.submit(replace, number) for number in range(1, 11)]
        assert all(len(each.result()) == 1 for each in reads)
        for each in changes:
            each.result()
    assert api.physical() == api.warehouse.tables.physical_names("test-project")


def test_the_same_request_sent_at_once_runs_once(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.same (a INT64)")

    def insert(number: int) -> tuple[int, dict[str, Any]]:
        # Different text, so that each is parsed anew.
        sql = f"INSERT INTO d.same SELECT {number % 10}"
        return api.call("POST", "queries", {"query": sql, "useLegacySql": False, "requestId": f"same-{number % 10}"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(insert, sorted(range(60), key=lambda number: number % 10)))
    assert {status for status, _ in answers} == {200}
    assert len({answer["jobReference"]["jobId"] for _, answer in answers}) == 10
    assert api.rows("SELECT COUNT(*), COUNT(DISTINCT f0_) FROM (SELECT a AS f0_ FROM d.same)") == [["10", "10"]]

    def wrong(_: int) -> int:
        return api.call("POST", "queries", {"query": "SELECT", "useLegacySql": False, "requestId": "wrong"})[0]

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(wrong, range(16))) == {400}


def test_a_job_that_waits_for_its_table_is_cancelled(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.numbers AS SELECT x FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS x")
    endless = "(SELECT COUNT(*) FROM d.numbers AS a, d.numbers AS b, d.numbers AS c WHERE a.x * b.x * c.x = 7)"

    def start(sql: str) -> str:
        body = {"configuration": {"query": {"query": sql, "useLegacySql": False}}}
        return str(api.ok("POST", "jobs", body)["jobReference"]["jobId"])

    first = start(f"INSERT INTO d.numbers SELECT {endless}")
    second = start("INSERT INTO d.numbers VALUES (0)")
    assert api.ok("GET", f"jobs/{second}")["status"]["state"] == "RUNNING"
    api.ok("POST", f"jobs/{second}/cancel")
    assert api.ended(second)["status"]["errorResult"]["reason"] == "stopped"
    assert api.ok("GET", f"jobs/{first}")["status"]["state"] == "RUNNING"
    api.ok("POST", f"jobs/{first}/cancel")
    assert api.ended(first)["status"]["errorResult"]["reason"] == "stopped"
    assert api.rows("SELECT COUNT(*) FROM d.numbers") == [["100000"]]


def test_nothing_stays_behind(api: BigQueryApi) -> None:
    """What many queries leave in the server: their records, and no more."""

    def alive() -> int:
        gc.collect()
        return sum(isinstance(each, Job) for each in gc.get_objects())

    def left_in_the_engine() -> list[Any]:
        with api.warehouse.physical.session() as session:
            sql = (
                "SELECT (SELECT count(*) FROM duckdb_tables() WHERE temporary), "
                "(SELECT count(*) FROM duckdb_views() WHERE NOT internal)"
            )
            return [each[0].as_py() for each in session.query(sql).table().columns]

    api.query("CREATE TABLE d.left AS SELECT 1 AS a")
    api.query("CREATE OR REPLACE TABLE d.left AS SELECT * FROM d.left")
    threads = threading.active_count()
    for index in range(40):
        api.query(f"SELECT {index} AS a, (SELECT COUNT(*) FROM d.INFORMATION_SCHEMA.TABLES) AS n")
        api.query_error("SELECT 1 / 0 FROM bigquery-public-data.ml_datasets.penguins")
        api.query(f"INSERT INTO d.left VALUES ({index})")
    api.ok("GET", "jobs")
    assert alive() <= 3
    assert threading.active_count() <= threads + 12
    assert left_in_the_engine() == [0, 0]
    assert [each for each in (api.app.home.root / "results").rglob("*") if each.is_file()] == []
    assert len(api.warehouse.physical.engine.marks("test-project")) < 64
