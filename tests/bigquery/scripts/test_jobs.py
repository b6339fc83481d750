"""A script's jobs: one for the script, one for each statement; what each says of itself, and how they are stopped."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.bigquery.conftest import PROJECT, opened

from tule.bigquery.jobs import Job
from tule.bigquery.references import JobReference
from tule.kernel.clock import VirtualClock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bigquery.conftest import BigQueryApi


def script(api: BigQueryApi, text: str, **more: Any) -> dict[str, Any]:
    """Run a script to its end; the Job."""
    return api.job(query={"query": text, "useLegacySql": False, **more})


def children(api: BigQueryApi, job: dict[str, Any], **params: str) -> list[dict[str, Any]]:
    """The children of a job, the first one first."""
    found = api.ok("GET", "jobs", params={"parentJobId": job["jobReference"]["jobId"], "projection": "full", **params})
    return list(reversed(found.get("jobs", [])))


def texts(api: BigQueryApi, job: dict[str, Any]) -> list[str]:
    return [each["configuration"]["query"]["query"] for each in children(api, job)]


def kinds(api: BigQueryApi, job: dict[str, Any]) -> list[str]:
    return [each["statistics"]["query"]["statementType"] for each in children(api, job)]


# -- one job a statement


def test_each_statement_is_a_child_and_expressions_without_a_query_are_none(api: BigQueryApi) -> None:
    job = script(
        api,
        "DECLARE x INT64 DEFAULT 1 + 1;\n"
        "CREATE TEMP TABLE t AS SELECT x AS a;\n"
        "SET x = (SELECT MAX(a) FROM t) * 2;\n"
        "IF x > 3 THEN\n"
        "  INSERT INTO t VALUES (x);\n"
        "END IF;\n"
        "SELECT a FROM t ORDER BY a;",
    )
    assert job["status"] == {"state": "DONE"}
    assert job["statistics"]["numChildJobs"] == "4"
    assert job["statistics"]["query"]["statementType"] == "SCRIPT"
    assert kinds(api, job) == ["CREATE_TABLE_AS_SELECT", "SELECT", "INSERT", "SELECT"]
    assert texts(api, job) == [
        "CREATE TEMP TABLE t AS SELECT x AS a", "SELECT ((SELECT MAX(a) FROM t) * 2)", "INSERT INTO t VALUES (x)",
        "SELECT a FROM t ORDER BY a",
    ]  # fmt: skip
    evaluated = [each["statistics"]["scriptStatistics"]["evaluationKind"] for each in children(api, job)]
    assert evaluated == ["STATEMENT", "EXPRESSION", "STATEMENT", "STATEMENT"]
    for each in children(api, job):
        assert each["statistics"]["parentJobId"] == job["jobReference"]["jobId"]
        assert each["status"] == {"state": "DONE"}
    rows = api.cells(api.ok("GET", f"queries/{job['jobReference']['jobId']}"))
    assert rows == [["2"], ["4"]]


def test_the_place_of_each_statement_is_told_with_its_callers(api: BigQueryApi) -> None:
    api.query("CREATE OR REPLACE PROCEDURE d.places(x INT64)\nBEGIN\n  SELECT x;\nEND")
    job = script(api, "SELECT 1;\n  SELECT\n    2;\nCALL d.places(5);\n")
    found = [each["statistics"]["scriptStatistics"]["stackFrames"] for each in children(api, job)]
    first, second, called = found
    assert first == [{"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 9, "text": "SELECT 1"}]
    assert second == [{"startLine": 2, "startColumn": 3, "endLine": 3, "endColumn": 6, "text": "SELECT\n    2"}]
    inner, outer = called
    assert inner["procedureId"] == f"{PROJECT}.d.places"
    assert (inner["startLine"], inner["startColumn"], inner["text"]) == (2, 3, "SELECT x")
    assert (outer["startLine"], outer["text"]) == (4, "CALL d.places(5)")
    assert "procedureId" not in outer


def test_the_names_of_children_follow_their_parent_and_number(api: BigQueryApi) -> None:
    job = script(api, "SELECT 1; SELECT 2; SELECT 3;")
    names = [each["jobReference"]["jobId"] for each in children(api, job)]
    assert len(set(names)) == 3
    assert all(name.startswith("script_job_") for name in names)
    for name in names:
        assert api.ok("GET", f"jobs/{name}")["statistics"]["parentJobId"] == job["jobReference"]["jobId"]


def test_children_are_not_among_the_jobs_of_the_project_unless_asked_for(api: BigQueryApi) -> None:
    job = script(api, "SELECT 'lone'; SELECT 'second';")
    listed = [each["jobReference"]["jobId"] for each in api.ok("GET", "jobs", params={"maxResults": "100"})["jobs"]]
    assert job["jobReference"]["jobId"] in listed
    assert not {each["jobReference"]["jobId"] for each in children(api, job)} & set(listed)


def test_pages_of_children(api: BigQueryApi) -> None:
    job = script(api, "DECLARE x INT64 DEFAULT 0; WHILE x < 7 DO SET x = x + 1; SELECT x; END WHILE;")
    seen, token = [], ""
    while True:
        params = {"parentJobId": job["jobReference"]["jobId"], "maxResults": "3", "projection": "full"}
        page = api.ok("GET", "jobs", params={**params, **({"pageToken": token} if token else {})})
        seen += [each["jobReference"]["jobId"] for each in page["jobs"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert len(seen) == len(set(seen)) == 7


def test_the_result_of_each_select_stays_readable(api: BigQueryApi) -> None:
    job = script(api, "SELECT 1 AS a; SELECT 'b' AS b, 2 AS c;")
    answers = [
        api.cells(api.ok("GET", f"queries/{each['jobReference']['jobId']}")) for each in children(api, job)
    ]  # fmt: skip
    assert answers == [[["1"]], [["b", "2"]]]


def test_the_script_counts_what_its_statements_read(api: BigQueryApi) -> None:
    api.query("CREATE OR REPLACE TABLE d.counted AS SELECT x FROM UNNEST([1, 2, 3]) AS x")
    job = script(api, "SELECT x FROM d.counted; SELECT x FROM d.counted; SELECT 1;")
    each = [int(child["statistics"]["totalBytesProcessed"]) for child in children(api, job)]
    assert each == [24, 24, 0]
    assert job["statistics"]["totalBytesProcessed"] == "48"


def test_labels_of_children_come_from_the_script_and_from_the_variable(api: BigQueryApi) -> None:
    made = api.ok(
        "POST",
        "jobs",
        {
            "configuration": {
                "labels": {"team": "one"},
                "query": {
                    "query": "SELECT 1; SET @@query_label = 'cost:low'; SELECT 2; SET @@query_label = NULL; SELECT 3",
                    "useLegacySql": False,
                },
            }
        },
    )
    job = api.ended(made["jobReference"]["jobId"])
    labels = [each["configuration"].get("labels", {}) for each in children(api, job)]
    assert labels[0] == {"team": "one"}
    assert labels[1] == {"cost": "low"}
    assert labels[2] == {}


def test_one_statement_is_no_script(api: BigQueryApi) -> None:
    job = script(api, "-- a comment\nSELECT 1;\n-- and one behind")
    assert "numChildJobs" not in job["statistics"]
    assert job["statistics"]["query"]["statementType"] == "SELECT"
    assert children(api, job) == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("CALL d.called()", "CALL"),
        ("ASSERT TRUE", "ASSERT"),
        ("BEGIN SELECT 1; END", "SCRIPT"),
        ("SELECT 1; SELECT 2", "SCRIPT"),
        ("EXECUTE IMMEDIATE 'SELECT 1'", "SCRIPT"),
    ],
)
def test_the_statement_type_of_a_script(api: BigQueryApi, text: str, kind: str) -> None:
    api.query("CREATE OR REPLACE PROCEDURE d.called() BEGIN SELECT 1; END")
    job = script(api, text)
    assert job["status"] == {"state": "DONE"}
    assert job["statistics"]["query"]["statementType"] == kind


def test_a_dry_run_tells_the_type_and_checks_the_syntax(api: BigQueryApi) -> None:
    made = api.ok(
        "POST",
        "jobs",
        {"configuration": {"dryRun": True, "query": {"query": "DROP TABLE d.x; SELECT 1", "useLegacySql": False}}},
    )
    assert made["statistics"]["query"]["statementType"] == "SCRIPT"
    error = api.query_error("SELECT 1; SELEC 2", dryRun=True)
    assert error["message"] == 'Syntax error: Unexpected identifier "SELEC" at [1:11]'


# -- failures


def test_what_was_done_before_a_failing_statement_stays(api: BigQueryApi) -> None:
    api.query("CREATE OR REPLACE TABLE d.stays (x INT64)")
    job = script(
        api, "INSERT INTO d.stays VALUES (1);\nINSERT INTO d.stays VALUES (DIV(1, 0));\nINSERT INTO d.stays VALUES (3);"
    )
    assert job["status"]["errorResult"]["reason"] == "invalidQuery"
    assert job["status"]["errorResult"]["message"] == "Query error: division by zero: DIV(1, 0) at [2:1]"
    assert api.rows("SELECT x FROM d.stays") == [["1"]]
    states = [each["status"].get("errorResult", {}).get("message") for each in children(api, job)]
    assert states == [None, "division by zero: DIV(1, 0) at [2:1]"]
    assert job["statistics"]["numChildJobs"] == "2"


def test_a_script_that_cannot_be_parsed_runs_nothing(api: BigQueryApi) -> None:
    api.query("CREATE OR REPLACE TABLE d.untouched (x INT64)")
    error = api.query_error("INSERT INTO d.untouched VALUES (1); IF TRUE THEN SELECT 1;")
    assert error["message"] == "Syntax error: Expected keyword END but got end of script at [1:59]"
    assert api.rows("SELECT COUNT(*) FROM d.untouched") == [["0"]]


def test_a_destination_for_a_script_is_refused(api: BigQueryApi) -> None:
    error = api.error(
        "POST",
        "jobs",
        {
            "configuration": {
                "query": {
                    "query": "SELECT 1; SELECT 2",
                    "useLegacySql": False,
                    "destinationTable": api.reference("d.into"),
                }
            }
        },
    )
    assert error["reason"] == "invalid"
    assert error["message"] == "configuration.query.destinationTable cannot be set for scripts"


def test_permissions_are_looked_at_statement_by_statement(api: BigQueryApi) -> None:
    api.dataset("open")
    api.query("CREATE TABLE open.t AS SELECT 1 AS x")
    api.query("CREATE OR REPLACE TABLE d.closed AS SELECT 2 AS x")
    reader = "scripts@example.com"
    api.ok(
        "POST",
        f"/bigquery/v2/projects/{PROJECT}/datasets/open/tables/t:setIamPolicy",
        {"policy": {"bindings": [{"role": "roles/bigquery.dataViewer", "members": [f"user:{reader}"]}]}},
    )
    user = {"role": "permissions/bigquery.jobs", "members": [f"user:{reader}"]}
    api.app.policies.set(f"projects/{PROJECT}", {"bindings": [user]})
    with api.caller(reader) as other:
        job = script(
            other, "CREATE TEMP TABLE mine AS SELECT x FROM open.t; SELECT x FROM mine; SELECT x FROM d.closed;"
        )
    assert job["status"]["errorResult"]["reason"] == "accessDenied"
    assert (
        "Access Denied: Table test-project:d.closed: User does not have permission to query table test-project:d.closed"
        in (job["status"]["errorResult"]["message"])
    )
    assert job["statistics"]["numChildJobs"] == "3"


# -- stopping


def running(api: BigQueryApi, job: str) -> Job:
    found = api.warehouse.jobs.find(JobReference(PROJECT, job))
    assert isinstance(found, Job)
    return found


def inserted(api: BigQueryApi, text: str, **more: Any) -> str:
    made = api.ok("POST", "jobs", {"configuration": {"query": {"query": text, "useLegacySql": False}, **more}})
    return str(made["jobReference"]["jobId"])


@pytest.mark.parametrize(
    "text",
    [
        "LOOP END LOOP;",
        "DECLARE x INT64 DEFAULT 0; WHILE TRUE DO SET x = x + 1; END WHILE;",
        "REPEAT UNTIL FALSE END REPEAT;",
        "BEGIN WHILE TRUE DO SELECT 1; END WHILE; EXCEPTION WHEN ERROR THEN SELECT 'not reached'; END;",
        "SELECT 1; SELECT SUM(a * b) FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS a, UNNEST(GENERATE_ARRAY(1, 1000000)) AS b;",
    ],
    ids=["loop", "while", "repeat", "with a handler", "in a long query"],
)
def test_cancelling_ends_a_script_wherever_it_is(api: BigQueryApi, text: str) -> None:
    job = inserted(api, text)
    api.ok("POST", f"jobs/{job}/cancel")
    ended = api.ended(job)
    assert ended["status"]["errorResult"]["reason"] == "stopped"
    assert ended["status"]["errorResult"]["message"] == "Job execution was cancelled: User requested cancellation"
    assert all(each["status"]["state"] == "DONE" for each in children(api, ended))


def test_cancelling_a_child_ends_its_script(api: BigQueryApi) -> None:
    job = inserted(
        api,
        "SELECT 1; SELECT SUM(a * b) FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS a, UNNEST(GENERATE_ARRAY(1, 1000000)) AS b;",
    )
    while len(found := children(api, {"jobReference": {"jobId": job}}, stateFilter="running")) < 1:
        assert not running(api, job).done
    api.ok("POST", f"jobs/{found[-1]['jobReference']['jobId']}/cancel")
    ended = api.ended(job)
    assert ended["status"]["errorResult"]["reason"] in ("stopped", "invalidQuery")
    assert "cancel" in ended["status"]["errorResult"]["message"].lower()


def test_a_time_limit_ends_a_script(timed: BigQueryApi, clock: VirtualClock) -> None:
    job = inserted(timed, "LOOP END LOOP;", jobTimeoutMs="5000")
    clock.advance(timedelta(seconds=6))
    ended = timed.ended(job)
    assert ended["status"]["errorResult"]["message"] == "Job execution was cancelled: Job timed out after 5s"


def test_stopping_the_server_ends_a_script(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as api:
        api.dataset("d")
        api.query("CREATE TABLE d.t (x INT64)")
        job = inserted(api, "INSERT INTO d.t VALUES (1); LOOP END LOOP;")
        while not api.rows("SELECT x FROM d.t"):
            pass
    with opened(tmp_path / "home") as api:
        ended = api.ok("GET", f"jobs/{job}")
        assert ended["status"]["state"] == "DONE"
        assert "errorResult" in ended["status"]
        assert api.rows("SELECT x FROM d.t") == [["1"]]
        assert [each["status"]["state"] for each in children(api, ended)] == ["DONE"]


def test_scripts_run_beside_each_other(api: BigQueryApi) -> None:
    api.query("CREATE OR REPLACE TABLE d.beside (x INT64)")
    text = "DECLARE i INT64 DEFAULT 0; WHILE i < 5 DO INSERT INTO d.beside VALUES (i); SET i = i + 1; END WHILE;"
    threads = [threading.Thread(target=script, args=(api, text)) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert api.rows("SELECT COUNT(*), SUM(x) FROM d.beside") == [["15", "30"]]
