"""Sessions: what several queries share, who may use them, how they end."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.bigquery.conftest import PROJECT, opened

from tule.kernel.clock import VirtualClock

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi


def new(api: BigQueryApi) -> list[dict[str, str]]:
    """The connection properties of a new session."""
    return properties(api.query("SELECT 1", createSession=True)["sessionInfo"]["sessionId"])


def properties(id: str) -> list[dict[str, str]]:
    return [{"key": "session_id", "value": id}]


def query(api: BigQueryApi, sql: str, session: list[dict[str, str]]) -> dict[str, Any]:
    return api.query(sql, connectionProperties=session)


def rows(api: BigQueryApi, sql: str, session: list[dict[str, str]]) -> list[list[Any]]:
    return api.rows(sql, connectionProperties=session)


def error(api: BigQueryApi, sql: str, session: list[dict[str, str]]) -> dict[str, Any]:
    return api.query_error(sql, connectionProperties=session)


# -- beginning


def test_a_session_is_told_in_the_answer_and_in_the_job(api: BigQueryApi) -> None:
    answer = api.query("SELECT 1", createSession=True)
    id = answer["sessionInfo"]["sessionId"]
    job = api.ok("GET", f"jobs/{answer['jobReference']['jobId']}")
    assert job["statistics"]["sessionInfo"] == {"sessionId": id}
    later = query(api, "SELECT 2", properties(id))
    assert later["sessionInfo"] == {"sessionId": id}
    results = api.ok("GET", f"queries/{later['jobReference']['jobId']}")
    assert results["jobComplete"] and results.get("sessionInfo", later["sessionInfo"]) == {"sessionId": id}


def test_a_session_made_by_a_job_that_fails_is_there(api: BigQueryApi) -> None:
    job = api.job(query={"query": "SELECT 1 / 0", "useLegacySql": False, "createSession": True})
    assert job["status"]["errorResult"]["reason"] == "invalidQuery"
    id = job["statistics"]["sessionInfo"]["sessionId"]
    assert rows(api, "SELECT 3", properties(id)) == [["3"]]


def test_each_session_has_an_id_of_its_own(api: BigQueryApi) -> None:
    assert new(api) != new(api)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"connectionProperties": properties("nothing")}, "Invalid input session id."),
        ({"connectionProperties": properties("")}, "Invalid input session id."),
        ({"connectionProperties": properties("a/b")}, "Invalid input session id."),
        ({"connectionProperties": [{"key": "nothing", "value": "1"}]}, "The connection property nothing"),
        ({"connectionProperties": properties("x") * 2}, "Duplicate connection property: session_id"),
        (
            {"connectionProperties": properties("x"), "createSession": True},
            "createSession cannot be set together with the connection property session_id",
        ),
        ({"connectionProperties": [{"key": "time_zone", "value": "Asia/Tokyo"}]}, "The time zone Asia/Tokyo"),
    ],
)
def test_wrong_requests(api: BigQueryApi, more: dict[str, Any], message: str) -> None:
    found = api.query_error("SELECT 1", **more)
    assert found["message"].startswith(message)
    assert found["reason"] in ("invalid", "notImplemented")


def test_a_dry_run_begins_no_session(api: BigQueryApi) -> None:
    answer = api.query("SELECT 1", createSession=True, dryRun=True)
    assert "sessionInfo" not in answer


# -- what is shared


def test_temporary_tables(api: BigQueryApi) -> None:
    session = new(api)
    query(api, "CREATE TEMP TABLE t AS SELECT 1 AS x", session)
    query(api, "INSERT INTO t VALUES (2)", session)
    assert rows(api, "SELECT SUM(x) FROM t", session) == [["3"]]
    assert rows(api, "SELECT SUM(x) FROM _SESSION.t", session) == [["3"]]
    assert "must be qualified with a dataset" in api.query_error("SELECT * FROM t")["message"]
    assert error(api, "SELECT * FROM t", new(api))["code"] == 400


def test_a_temporary_table_is_known_by_its_full_name(api: BigQueryApi) -> None:
    session = new(api)
    answer = query(api, "CREATE TEMP TABLE t AS SELECT 7 AS x", session)
    job = api.ok("GET", f"jobs/{answer['jobReference']['jobId']}")
    target = job["statistics"]["query"]["ddlTargetTable"]
    assert target["tableId"] == "t" and target["datasetId"].startswith("_")
    table = api.ok("GET", f"datasets/{target['datasetId']}/tables/t")
    assert table["numRows"] == "1"
    assert api.cells(api.ok("GET", f"datasets/{target['datasetId']}/tables/t/data")) == [["7"]]
    listed = [each["datasetReference"]["datasetId"] for each in api.ok("GET", "datasets")["datasets"]]
    assert target["datasetId"] not in listed


def test_variables(api: BigQueryApi) -> None:
    session = new(api)
    query(api, "DECLARE x INT64 DEFAULT 4", session)
    query(api, "DECLARE s STRUCT<a INT64, b ARRAY<STRING>> DEFAULT (1, ['q'])", session)
    query(api, "SET x = x * 2", session)
    assert rows(api, "SELECT x, s.b[OFFSET(0)]", session) == [["8", "q"]]
    query(api, "BEGIN SET x = x + 1; END", session)
    assert rows(api, "SELECT x", session) == [["9"]]
    assert "redeclaration" in error(api, "BEGIN DECLARE x INT64; END", session)["message"]
    assert api.query_error("SELECT x")["message"] == "Unrecognized name: x at [1:8]"


def test_variables_of_an_inner_block_are_not_kept(api: BigQueryApi) -> None:
    session = new(api)
    query(api, "BEGIN DECLARE inner_one INT64 DEFAULT 1; SELECT inner_one; END", session)
    assert error(api, "SELECT inner_one", session)["message"] == "Unrecognized name: inner_one at [1:8]"


def test_functions(api: BigQueryApi) -> None:
    session = new(api)
    query(api, "CREATE TEMP FUNCTION plus(x INT64) AS (x + 1)", session)
    query(api, "CREATE TEMP FUNCTION twice(x INT64) AS (plus(x) * 2)", session)
    assert rows(api, "SELECT twice(1)", session) == [["4"]]
    assert "Already Exists" in error(api, "CREATE TEMP FUNCTION plus(x INT64) AS (x + 2)", session)["message"]
    query(api, "CREATE OR REPLACE TEMP FUNCTION plus(x INT64) AS (x + 10)", session)
    assert rows(api, "SELECT twice(1)", session) == [["22"]]
    assert api.query_error("SELECT plus(1)")["code"] == 400


def test_settings(api: BigQueryApi) -> None:
    session = new(api)
    query(api, "SET @@dataset_id = 'd'", session)
    query(api, "CREATE OR REPLACE TABLE unqualified AS SELECT 5 AS x", session)
    assert rows(api, "SELECT x, @@dataset_id FROM unqualified", session) == [["5", "d"]]
    assert api.rows("SELECT x FROM d.unqualified") == [["5"]]
    [[id]] = rows(api, "SELECT @@session_id", session)
    assert properties(id) == session


def test_the_rows_changed_last(api: BigQueryApi) -> None:
    session = new(api)
    query(api, "CREATE TEMP TABLE t AS SELECT x FROM UNNEST([1, 2, 3]) AS x", session)
    query(api, "UPDATE t SET x = 0 WHERE x > 1", session)
    assert rows(api, "SELECT @@row_count", session) == [["2"]]


def test_loads_and_files_do_not_see_a_session(api: BigQueryApi) -> None:
    job = api.load("a\n1\n", "loaded", sourceFormat="CSV", autodetect=True)
    assert job["status"] == {"state": "DONE"}
    assert rows(api, "SELECT a FROM d.loaded", new(api)) == [["1"]]


def test_jobs_of_a_session_run_one_after_the_other(api: BigQueryApi) -> None:
    session = new(api)
    query(api, "CREATE TEMP TABLE t (x INT64)", session)
    query(api, "DECLARE n INT64 DEFAULT 0", session)

    def add() -> None:
        query(api, "SET n = n + 1; INSERT INTO t VALUES (n);", session)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert rows(api, "SELECT STRING_AGG(CAST(x AS STRING), ',' ORDER BY x), MAX(n) FROM t, (SELECT n)", session) == [
        ["1,2,3,4", "4"]
    ]


# -- whose it is


def test_a_session_belongs_to_its_user(api: BigQueryApi) -> None:
    session = new(api)
    query(api, "CREATE TEMP TABLE secret AS SELECT 1 AS x", session)
    api.app.policies.set(
        f"projects/{PROJECT}", {"bindings": [{"role": "roles/bigquery.user", "members": ["user:ann@example.com"]}]}
    )
    with api.caller("ann@example.com") as ann:
        assert error(ann, "SELECT * FROM secret", session)["message"] == "Invalid input session id."
        found = ann.query_error(f"CALL BQ.ABORT_SESSION('{session[0]['value']}')")
        assert "Session not found or already terminated" in found["message"]
    assert rows(api, "SELECT x FROM secret", session) == [["1"]]


# -- ending


def test_abort_ends_it_and_its_tables(api: BigQueryApi) -> None:
    before = api.physical()
    session = new(api)
    query(api, "CREATE TEMP TABLE t AS SELECT 1 AS x", session)
    assert len(api.physical()) == len(before) + 1
    query(api, "CALL BQ.ABORT_SESSION()", session)
    assert api.physical() == before
    found = error(api, "SELECT 1", session)
    assert (found["code"], found["reason"], found["message"]) == (400, "invalid", "Invalid input session id.")


def test_abort_from_outside(api: BigQueryApi) -> None:
    session = new(api)
    api.query(f"CALL BQ.ABORT_SESSION('{session[0]['value']}')")
    assert error(api, "SELECT 1", session)["message"] == "Invalid input session id."
    again = api.query_error(f"CALL BQ.ABORT_SESSION('{session[0]['value']}')")
    assert "Session not found or already terminated" in again["message"]


def test_a_session_ends_after_a_day_without_use(timed: BigQueryApi, clock: VirtualClock) -> None:
    before = timed.physical()
    session = new(timed)
    query(timed, "CREATE TEMP TABLE t AS SELECT 1 AS x", session)
    clock.advance(timedelta(hours=23, minutes=59))
    assert rows(timed, "SELECT x FROM t", session) == [["1"]]
    clock.advance(timedelta(hours=23, minutes=59))
    assert rows(timed, "SELECT x FROM t", session) == [["1"]]
    clock.advance(timedelta(hours=24))
    found = error(timed, "SELECT x FROM t", session)
    assert found["message"].startswith("Session ") or found["message"] == "Invalid input session id."
    assert timed.physical() == before


def test_a_session_ends_after_a_week_however_much_it_is_used(timed: BigQueryApi, clock: VirtualClock) -> None:
    session = new(timed)
    for _ in range(7):
        assert rows(timed, "SELECT 1", session) == [["1"]]
        clock.advance(timedelta(hours=23, minutes=59))
    assert rows(timed, "SELECT 1", session) == [["1"]]
    clock.advance(timedelta(minutes=7))
    assert error(timed, "SELECT 1", session)["code"] == 400


def test_the_tables_of_a_session_that_is_over_are_removed_though_nobody_asks(
    timed: BigQueryApi, clock: VirtualClock
) -> None:
    before = timed.physical()
    query(timed, "CREATE TEMP TABLE t AS SELECT 1 AS x", new(timed))
    clock.advance(timedelta(hours=31))
    assert timed.physical() == before


def test_a_session_lasts_over_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as api:
        api.dataset("d")
        session = new(api)
        query(api, "SET @@dataset_id = 'd'; CREATE TEMP TABLE t AS SELECT 4 AS x;", session)
        query(api, "DECLARE v ARRAY<STRUCT<a DATE, b NUMERIC>> DEFAULT [(DATE '2020-01-01', NUMERIC '1.5')]", session)
        query(api, "DECLARE n STRING; CREATE TEMP FUNCTION f(x INT64) AS (x * 2);", session)
    with opened(tmp_path / "home") as api:
        assert rows(api, "SELECT f(x), v[OFFSET(0)].b, n, @@dataset_id FROM t", session) == [["8", "1.5", None, "d"]]
        query(api, "CALL BQ.ABORT_SESSION()", session)
        assert api.physical() == set()


def test_temporary_tables_of_scripts_go_with_them(api: BigQueryApi) -> None:
    before = api.physical()
    api.query("CREATE TEMP TABLE a AS SELECT 1 AS x; CREATE TEMP TABLE b AS SELECT 2 AS y; SELECT * FROM a, b;")
    api.query_error("CREATE TEMP TABLE a AS SELECT 1 AS x; SELECT 1 / 0;")
    api.query_error("CREATE TEMP TABLE a AS SELECT 1 AS x; BEGIN TRANSACTION; INSERT INTO a VALUES (2); SELECT 1 / 0;")
    job = api.ok(
        "POST", "jobs",
        {"configuration": {"query": {"query": "CREATE TEMP TABLE a AS SELECT 1 AS x; LOOP END LOOP;",
                                     "useLegacySql": False}}},
    )["jobReference"]["jobId"]  # fmt: skip
    while api.physical() == before:
        pass
    api.ok("POST", f"jobs/{job}/cancel")
    api.ended(job)
    assert api.physical() == before


def test_a_job_that_waits_for_its_turn_sees_what_the_one_before_made(api: BigQueryApi) -> None:
    session = new(api)
    properties_ = {"connectionProperties": session, "useLegacySql": False}
    slow = "SELECT SUM(a * b) FROM UNNEST(GENERATE_ARRAY(1, 3000)) AS a, UNNEST(GENERATE_ARRAY(1, 3000)) AS b"
    texts = [f"{slow}; CREATE TEMP TABLE made (x INT64)", "INSERT INTO made VALUES (1)", "SELECT x FROM made"]
    jobs = [
        api.ok("POST", "jobs", {"configuration": {"query": {"query": text, **properties_}}})["jobReference"]["jobId"]
        for text in texts
    ]
    ended = [api.ended(each) for each in jobs]
    assert [each["status"].get("errorResult") for each in ended] == [None, None, None]
    kinds = [each["statistics"]["query"]["statementType"] for each in ended]
    assert kinds == ["SCRIPT", "INSERT", "SELECT"]


def test_a_session_begins_with_a_temporary_table(api: BigQueryApi) -> None:
    answer = api.query("CREATE TEMP TABLE t AS SELECT 6 AS x", createSession=True)
    job = api.ok("GET", f"jobs/{answer['jobReference']['jobId']}")
    assert job["statistics"]["query"]["statementType"] == "CREATE_TABLE_AS_SELECT"
    assert rows(api, "SELECT x FROM t", properties(answer["sessionInfo"]["sessionId"])) == [["6"]]
