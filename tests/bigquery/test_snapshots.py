"""Snapshots, clones and what is had back: by statement, by copy job, with decorators."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tule.kernel.clock import VirtualClock

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

MINUTE = timedelta(minutes=1)


def milliseconds(clock: VirtualClock) -> int:
    return int(clock.now().timestamp() * 1000)


def copied(api: BigQueryApi, source: str, target: str, **config: str) -> dict[str, object]:
    tables = {"sourceTable": api.reference(source), "destinationTable": api.reference(target)}
    job: dict[str, object] = api.job(copy={**tables, **config})["status"]
    return job


@pytest.fixture
def changed(timed: BigQueryApi, clock: VirtualClock) -> BigQueryApi:
    """``d.t``: 1 and 2; a minute later 1 and 20."""
    timed.query(
        "CREATE TABLE d.t (x INT64 OPTIONS(description='a number'), day DATE) PARTITION BY day CLUSTER BY x "
        "OPTIONS(labels=[('a', 'b')])"
    )
    timed.query("INSERT INTO d.t (x) VALUES (1), (2)")
    clock.advance(MINUTE)
    timed.query("UPDATE d.t SET x = 20 WHERE x = 2")
    return timed


def values(api: BigQueryApi, table: str) -> list[str]:
    return [row[0] for row in api.rows(f"SELECT x FROM {table} ORDER BY x")]


def test_a_snapshot_is_a_table_that_nobody_writes(changed: BigQueryApi) -> None:
    job = changed.done(query={"query": "CREATE SNAPSHOT TABLE d.s CLONE d.t OPTIONS(description='then')"})
    about = job["statistics"]["query"]
    assert (about["statementType"], about["ddlOperationPerformed"]) == ("CREATE_SNAPSHOT_TABLE", "CREATE")
    changed.query("DELETE FROM d.t WHERE x = 1")
    assert values(changed, "d.s") == ["1", "20"]
    made = changed.ok("GET", "datasets/d/tables/s")
    assert (made["type"], made["description"], made["labels"], made["numRows"]) == ("SNAPSHOT", "then", {"a": "b"}, "2")
    assert made["snapshotDefinition"]["baseTableReference"] == changed.reference("t")
    assert made["snapshotDefinition"]["snapshotTime"].startswith("2026-11-24T12:01:00")
    assert made["clustering"] == {"fields": ["x"]}
    for statement in ("INSERT INTO d.s (x) VALUES (3)", "DELETE FROM d.s WHERE true", "DROP TABLE d.s"):
        assert "currently a SNAPSHOT" in changed.query_error(statement)["message"]
    assert changed.error("POST", "datasets/d/tables/s/insertAll", {"rows": [{"json": {"x": 1}}]})["code"] == 400
    changed.query("DROP SNAPSHOT TABLE d.s")
    assert changed.error("GET", "datasets/d/tables/s")["code"] == 404
    changed.query("DROP SNAPSHOT TABLE IF EXISTS d.s")


def test_a_snapshot_and_a_clone_of_a_moment(changed: BigQueryApi) -> None:
    old = "FOR SYSTEM_TIME AS OF TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 30 SECOND)"
    changed.query(f"CREATE SNAPSHOT TABLE IF NOT EXISTS d.s CLONE d.t {old}")
    changed.query(f"CREATE TABLE d.c CLONE `test-project.d.t` {old} OPTIONS(friendly_name='copy')")
    assert values(changed, "d.s") == values(changed, "d.c") == ["1", "2"]
    changed.query("INSERT INTO d.c (x) VALUES (3)")
    assert (values(changed, "d.c"), values(changed, "d.t")) == (["1", "2", "3"], ["1", "20"])
    clone = changed.ok("GET", "datasets/d/tables/c")
    assert (clone["type"], clone["friendlyName"]) == ("TABLE", "copy")
    assert clone["cloneDefinition"]["cloneTime"].startswith("2026-11-24T12:00:30")
    changed.ok("PATCH", "datasets/d/tables/c", {"description": "x"})
    assert "cloneDefinition" in changed.ok("GET", "datasets/d/tables/c")


def test_copy_jobs_make_snapshots_clones_and_tables_again(changed: BigQueryApi, clock: VirtualClock) -> None:
    before = milliseconds(clock) - 30_000
    assert copied(changed, f"t@{before}", "s", operationType="SNAPSHOT") == {"state": "DONE"}
    assert values(changed, "d.s") == ["1", "2"]
    assert copied(changed, "s", "back", operationType="RESTORE") == {"state": "DONE"}
    assert changed.ok("GET", "datasets/d/tables/back")["type"] == "TABLE"
    assert copied(changed, "t", "twin", operationType="CLONE") == {"state": "DONE"}
    assert values(changed, "d.twin") == ["1", "20"]
    assert copied(changed, "s", "t", operationType="RESTORE", writeDisposition="WRITE_TRUNCATE") == {"state": "DONE"}
    assert values(changed, "d.t") == ["1", "2"]
    taken = copied(changed, "s", "t", operationType="RESTORE")
    assert "Already Exists" in str(taken["errorResult"])
    wrong = copied(changed, "t", "u", operationType="RESTORE")
    assert "must have a snapshot as its source" in str(wrong["errorResult"])


def test_a_table_that_was_dropped_is_copied_back(changed: BigQueryApi, clock: VirtualClock) -> None:
    before = milliseconds(clock)
    clock.advance(MINUTE)
    changed.query("DROP TABLE d.t")
    assert copied(changed, f"t@{before}", "t") == {"state": "DONE"}
    assert values(changed, "d.t") == ["1", "20"]
    clock.advance(MINUTE)
    assert copied(changed, "t@-30000", "again")["state"] == "DONE"


@pytest.mark.parametrize(
    ("source", "config", "message"),
    [
        ("t@1577836800000", {}, "Invalid snapshot time 1577836800"),
        ("t@99999999999999", {}, "Cannot read after"),
        ("none", {"operationType": "CLONE"}, "Not found: Table test-project:d.none"),
    ],
)
def test_copies_that_fail_leave_nothing(
    changed: BigQueryApi, source: str, config: dict[str, str], message: str
) -> None:
    before = changed.physical()
    assert message in str(copied(changed, source, "u", **config)["errorResult"])
    assert (changed.error("GET", "datasets/d/tables/u")["code"], changed.physical()) == (404, before)


def test_an_operation_of_another_name_is_refused(changed: BigQueryApi) -> None:
    config = {
        "sourceTable": changed.reference("t"),
        "destinationTable": changed.reference("u"),
        "operationType": "MOVE",
    }
    assert "operationType must be" in changed.error("POST", "jobs", {"configuration": {"copy": config}})["message"]


def test_a_dataset_is_had_back_with_its_tables(changed: BigQueryApi, clock: VirtualClock) -> None:
    changed.query("CREATE VIEW d.v AS SELECT x FROM d.t")
    changed.query("CREATE FUNCTION d.f(x INT64) AS (x + 1)")
    clock.advance(MINUTE)
    changed.query("DROP SCHEMA d CASCADE")
    assert changed.error("GET", "datasets/d")["code"] == 404
    clock.advance(timedelta(days=6))
    changed.query("UNDROP SCHEMA d")
    assert values(changed, "d.t") == values(changed, "d.v") == ["1", "20"]
    assert changed.rows("SELECT d.f(1)") == [["2"]]
    assert "Already Exists" in changed.query_error("UNDROP SCHEMA d")["message"]
    changed.query("UNDROP SCHEMA IF NOT EXISTS d")
    changed.call("DELETE", "datasets/d", params={"deleteContents": "true"})
    assert changed.ok("POST", "datasets/d:undelete", {})["datasetReference"]["datasetId"] == "d"
    assert values(changed, "d.t") == ["1", "20"]
    changed.query("DROP SCHEMA d CASCADE")
    clock.advance(timedelta(days=8))
    assert changed.query_error("UNDROP SCHEMA d")["message"].startswith("Not found: Dataset")


def test_how_long_is_remembered_is_the_datasets(timed: BigQueryApi, clock: VirtualClock) -> None:
    timed.dataset("short", maxTimeTravelHours="48")
    assert timed.ok("GET", "datasets/short")["maxTimeTravelHours"] == "48"
    assert timed.ok("GET", "datasets/d")["maxTimeTravelHours"] == "168"
    error = timed.error("PATCH", "datasets/short", {"maxTimeTravelHours": "50"})
    assert "multiple of 24" in error["message"]
    timed.query("CREATE TABLE short.t AS SELECT 1 AS x")
    timed.query("CREATE TABLE d.t AS SELECT 1 AS x")
    then = clock.now().isoformat()
    clock.advance(MINUTE)
    for dataset in ("short", "d"):
        timed.query(f"UPDATE {dataset}.t SET x = 2 WHERE true")
    clock.advance(timedelta(days=3))
    sql = "SELECT x FROM {}.t FOR SYSTEM_TIME AS OF '" + then + "'"
    assert timed.rows(sql.format("d")) == [["1"]]
    assert "Invalid snapshot time" in timed.query_error(sql.format("short"))["message"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"operationType": "SNAPSHOT", "writeDisposition": "WRITE_TRUNCATE"}, "SNAPSHOT must be WRITE_EMPTY; given"),
        ({"operationType": "CLONE", "writeDisposition": "WRITE_APPEND"}, "CLONE must be WRITE_EMPTY or WRITE_TRUNCATE"),
        (
            {"operationType": "RESTORE", "createDisposition": "CREATE_NEVER"},
            "createDisposition must be CREATE_IF_NEEDED",
        ),
    ],
)
def test_dispositions_that_would_be_ignored(changed: BigQueryApi, config: dict[str, str], message: str) -> None:
    tables = {"sourceTable": changed.reference("t"), "destinationTable": changed.reference("other")}
    error = changed.error("POST", "jobs", {"configuration": {"copy": {**tables, **config}}})
    assert error["code"] == 400 and message in error["message"]
    assert changed.call("GET", "datasets/d/tables/other")[0] == 404
