"""Query jobs over REST: results, paging, parameters, destinations, scripts, dry runs, cancelling."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tule.kernel.clock import VirtualClock

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi


def parameter(name: str, kind: str, value: Any) -> dict[str, Any]:
    return {"name": name, "parameterType": {"type": kind}, "parameterValue": {"value": value}}


def fields(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["name"], each["type"], each["mode"]) for each in answer["schema"]["fields"]]


# -- results


def test_values_and_types(api: BigQueryApi) -> None:
    answer = api.query(
        "SELECT 1 AS i, 2.5 AS f, TRUE AS b, 'x' AS s, b'ab' AS y, NUMERIC '1.50' AS n, DATE '2024-02-29' AS d, "
        "TIME '01:02:03.5' AS t, DATETIME '2024-01-02 03:04:05' AS dt, TIMESTAMP '2024-01-02 03:04:05.25+00' AS ts, "
        "JSON '{\"a\":1}' AS j, [1, 2] AS a, STRUCT(1 AS x, 'y' AS y) AS r, [STRUCT(1 AS x)] AS ar, "
        "CAST(NULL AS STRING) AS z, CAST('NaN' AS FLOAT64) AS nan",
        formatOptions={"useInt64Timestamp": True},
    )
    assert fields(answer) == [
        ("i", "INTEGER", "NULLABLE"), ("f", "FLOAT", "NULLABLE"), ("b", "BOOLEAN", "NULLABLE"),
        ("s", "STRING", "NULLABLE"), ("y", "BYTES", "NULLABLE"), ("n", "NUMERIC", "NULLABLE"),
        ("d", "DATE", "NULLABLE"), ("t", "TIME", "NULLABLE"), ("dt", "DATETIME", "NULLABLE"),
        ("ts", "TIMESTAMP", "NULLABLE"), ("j", "JSON", "NULLABLE"), ("a", "INTEGER", "REPEATED"),
        ("r", "RECORD", "NULLABLE"), ("ar", "RECORD", "REPEATED"), ("z", "STRING", "NULLABLE"),
        ("nan", "FLOAT", "NULLABLE"),
    ]  # fmt: skip
    assert api.cells(answer) == [
        ["1", "2.5", "true", "x", "YWI=", "1.5", "2024-02-29", "01:02:03.500000", "2024-01-02T03:04:05",
         "1704164645250000", '{"a":1}', ["1", "2"], ["1", "y"], [["1"]], None, "NaN"]
    ]  # fmt: skip


def test_timestamps_without_the_int64_option_are_seconds(api: BigQueryApi) -> None:
    [[text]] = api.rows("SELECT TIMESTAMP '2024-01-02 03:04:05.25+00'")
    assert float(text) == 1704164645.25


def test_an_empty_result_has_its_schema(api: BigQueryApi) -> None:
    answer = api.query("SELECT 1 AS a FROM (SELECT 1) WHERE FALSE")
    assert (answer["totalRows"], answer.get("rows"), fields(answer)) == ("0", None, [("a", "INTEGER", "NULLABLE")])


def test_unnamed_columns_are_numbered_among_themselves(api: BigQueryApi) -> None:
    assert [name for name, _, _ in fields(api.query("SELECT 1, 2 AS a, 3"))] == ["f0_", "a", "f1_"]


def test_duplicate_columns_are_refused(api: BigQueryApi) -> None:
    error = api.query_error("SELECT 1 AS a, 2 AS a")
    assert (error["code"], error["reason"]) == (400, "invalidQuery")
    assert error["message"] == "Duplicate column names in the result are not supported. Found duplicate(s): a"


def test_pages_of_a_result(api: BigQueryApi) -> None:
    answer = api.query("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 25)) AS x ORDER BY x", maxResults=10)
    job = answer["jobReference"]["jobId"]
    assert answer["totalRows"] == "25"
    seen = api.cells(answer)
    while token := answer.get("pageToken"):
        answer = api.ok("GET", f"queries/{job}", params={"pageToken": token, "maxResults": "10"})
        assert answer["totalRows"] == "25"
        seen += api.cells(answer)
    assert seen == [[str(x)] for x in range(1, 26)]
    assert api.cells(api.ok("GET", f"queries/{job}", params={"startIndex": "23"})) == [["24"], ["25"]]
    assert "rows" not in api.ok("GET", f"queries/{job}", params={"startIndex": "99"})


def test_a_page_token_of_other_rows_is_refused(api: BigQueryApi) -> None:
    one = api.query("SELECT x FROM UNNEST([1, 2, 3]) AS x", maxResults=1)
    other = api.query("SELECT 1")["jobReference"]["jobId"]
    error = api.error("GET", f"queries/{other}", params={"pageToken": one["pageToken"]})
    assert (error["code"], error["reason"]) == (400, "invalid")
    assert "Invalid page token" in error["message"]


def test_the_python_client_gets_small_results_with_its_first_question(api: BigQueryApi) -> None:
    job = api.query("SELECT 7 AS a")["jobReference"]["jobId"]
    python = {"x-goog-api-client": "gl-python/3.11 gccl/3.47"}
    assert "rows" not in api.ok("GET", f"queries/{job}", params={"maxResults": "0"})
    assert api.cells(api.ok("GET", f"queries/{job}", params={"maxResults": "0"}, headers=python)) == [["7"]]
    # Not what is in a table that it named: BigQuery DataFrames goes on with the table.
    named = {"query": "SELECT 7 AS a", "useLegacySql": False, "destinationTable": api.reference("d.named")}
    written = api.done(query=named)["jobReference"]["jobId"]
    assert "rows" not in api.ok("GET", f"queries/{written}", params={"maxResults": "0"}, headers=python)
    assert api.cells(api.ok("GET", f"queries/{written}", params={"maxResults": "1"}, headers=python)) == [["7"]]
    large = api.query("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 20000)) AS x")["jobReference"]["jobId"]
    answer = api.ok("GET", f"queries/{large}", params={"maxResults": "0"}, headers=python)
    assert (answer["totalRows"], "rows" in answer) == ("20000", False)


def test_a_result_is_a_table_that_can_be_read_and_queried(api: BigQueryApi) -> None:
    job = api.done(query={"query": "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'y'", "useLegacySql": False})
    table = job["configuration"]["query"]["destinationTable"]
    assert table["datasetId"].startswith("_")
    path = f"datasets/{table['datasetId']}/tables/{table['tableId']}"
    found = api.ok("GET", path)
    assert (found["numRows"], fields(found)) == ("2", [("a", "INTEGER", "NULLABLE"), ("b", "STRING", "NULLABLE")])
    assert sorted(api.cells(api.ok("GET", f"{path}/data"))) == [["1", "x"], ["2", "y"]]
    name = f"`{table['projectId']}.{table['datasetId']}.{table['tableId']}`"
    assert api.rows(f"SELECT SUM(a) FROM {name}") == [["3"]]
    error = api.query_error(f"INSERT INTO {name} (a) VALUES (3)")
    assert error["code"] in (400, 403, 404)


def test_a_result_is_forgotten_after_a_day(timed: BigQueryApi, clock: VirtualClock) -> None:
    small = timed.query("SELECT 1 AS a")["jobReference"]["jobId"]
    large = timed.query("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 50000)) AS x", maxResults=1)["jobReference"]["jobId"]
    results = timed.app.home.root / "results"
    assert len(list(results.rglob("*"))) > 0
    clock.advance(timedelta(hours=23))
    assert timed.cells(timed.ok("GET", f"queries/{small}")) == [["1"]]
    clock.advance(timedelta(hours=9))
    for job in (small, large):
        assert timed.error("GET", f"queries/{job}")["code"] == 404
        assert timed.ok("GET", f"jobs/{job}")["status"] == {"state": "DONE"}
    assert [each for each in results.rglob("*") if each.is_file()] == []


# -- parameters


def test_named_parameters_of_every_type(api: BigQueryApi) -> None:
    given = [
        parameter("i", "INT64", "7"),
        parameter("f", "FLOAT64", "1.5"),
        parameter("b", "BOOL", "true"),
        parameter("s", "STRING", "o'clock; -- \\ ?"),
        parameter("y", "BYTES", "YWI="),
        parameter("n", "NUMERIC", "1.25"),
        parameter("d", "DATE", "2024-02-29"),
        parameter("t", "TIME", "01:02:03"),
        parameter("dt", "DATETIME", "2024-01-02T03:04:05"),
        parameter("ts", "TIMESTAMP", "2024-01-02 03:04:05+00:00"),
        parameter("z", "INT64", None),
    ]
    answer = api.query(
        "SELECT @i, @f, @b, @s, @y, @n, @d, @t, @dt, @ts, @z", queryParameters=given, parameterMode="NAMED",
        formatOptions={"useInt64Timestamp": True},
    )  # fmt: skip
    assert api.cells(answer) == [
        ["7", "1.5", "true", "o'clock; -- \\ ?", "YWI=", "1.25", "2024-02-29", "01:02:03", "2024-01-02T03:04:05",
         "1704164645000000", None]
    ]  # fmt: skip
    assert [kind for _, kind, _ in fields(answer)] == [
        "INTEGER", "FLOAT", "BOOLEAN", "STRING", "BYTES", "NUMERIC", "DATE", "TIME", "DATETIME", "TIMESTAMP", "INTEGER"
    ]  # fmt: skip


def test_arrays_and_structs_as_parameters(api: BigQueryApi) -> None:
    array = {
        "name": "a",
        "parameterType": {"type": "ARRAY", "arrayType": {"type": "STRING"}},
        "parameterValue": {"arrayValues": [{"value": "x"}, {"value": "y"}]},
    }
    empty = {**array, "name": "e", "parameterValue": {}}
    struct = {
        "name": "r",
        "parameterType": {
            "type": "STRUCT",
            "structTypes": [{"name": "p", "type": {"type": "INT64"}}, {"name": "q", "type": {"type": "STRING"}}],
        },
        "parameterValue": {"structValues": {"p": {"value": "1"}, "q": {"value": "z"}}},
    }
    answer = api.query(
        "SELECT ARRAY_LENGTH(@a), ARRAY_LENGTH(@e), @r.p, @r.q, 'x' IN UNNEST(@a)",
        queryParameters=[array, empty, struct],
    )
    assert api.cells(answer) == [["2", "0", "1", "z", "true"]]


def test_positional_parameters(api: BigQueryApi) -> None:
    given = [{"parameterType": {"type": "INT64"}, "parameterValue": {"value": str(each)}} for each in (5, 7)]
    assert api.rows("SELECT ? - ?", queryParameters=given, parameterMode="POSITIONAL") == [["-2"]]
    # In the order of the text, however deep each stands.
    nested = "SELECT (1 + 1) * (x - ?) FROM UNNEST([10]) AS x WHERE x > ?"
    assert api.rows(nested, queryParameters=given, parameterMode="POSITIONAL") == [["10"]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([parameter("x", "INT64", "abc")], "Invalid value for query parameter x: 'abc' is not a valid INT64"),
        ([parameter("x", "NUMBER", "1")], "Invalid field type NUMBER"),
        ([parameter("x", "INT64", "1"), parameter("X", "INT64", "1")], "Duplicate query parameter: X"),
        ([{"name": "x", "parameterValue": {"value": "1"}}], "Query parameter x must have a parameterType"),
        ([parameter("y", "INT64", "1")], "Query parameter 'x' not found"),
    ],
    ids=["value", "type", "duplicate", "untyped", "missing"],
)
def test_wrong_parameters(api: BigQueryApi, given: list[dict[str, Any]], message: str) -> None:
    error = api.query_error("SELECT @x", queryParameters=given)
    assert error["code"] == 400
    assert message in error["message"]


# -- destinations


def test_a_destination_table_and_its_dispositions(api: BigQueryApi) -> None:
    def write(sql: str, **more: Any) -> dict[str, Any]:
        query = {"query": sql, "useLegacySql": False, "destinationTable": api.reference("dest")}
        return api.job(query={**query, **more})

    assert write("SELECT 1 AS a")["status"] == {"state": "DONE"}
    again = write("SELECT 2 AS a")
    assert again["status"]["errorResult"]["reason"] == "duplicate"
    assert again["status"]["errorResult"]["message"] == "Already Exists: Table test-project:d.dest"
    write("SELECT 2 AS a", writeDisposition="WRITE_APPEND")
    assert api.rows("SELECT a FROM d.dest ORDER BY a") == [["1"], ["2"]]
    wrong = write("SELECT 'x' AS a", writeDisposition="WRITE_APPEND")
    assert wrong["status"]["errorResult"]["reason"] == "invalid"
    assert "Field a has changed type from INTEGER to STRING" in wrong["status"]["errorResult"]["message"]
    write("SELECT 3 AS a, 'n' AS b", writeDisposition="WRITE_APPEND", schemaUpdateOptions=["ALLOW_FIELD_ADDITION"])
    assert api.rows("SELECT * FROM d.dest ORDER BY a") == [["1", None], ["2", None], ["3", "n"]]
    job = write("SELECT 'x' AS c", writeDisposition="WRITE_TRUNCATE")
    assert api.cells(api.ok("GET", f"queries/{job['jobReference']['jobId']}")) == [["x"]]
    assert api.rows("SELECT * FROM d.dest") == [["x"]]
    never = api.job(
        query={
            "query": "SELECT 1", "useLegacySql": False, "destinationTable": api.reference("nowhere"),
            "createDisposition": "CREATE_NEVER",
        }
    )  # fmt: skip
    assert never["status"]["errorResult"]["reason"] == "notFound"


def test_a_destination_in_a_missing_dataset(api: BigQueryApi) -> None:
    job = api.job(query={"query": "SELECT 1", "useLegacySql": False, "destinationTable": api.reference("no.t")})
    assert job["status"]["errorResult"] == {"reason": "notFound", "message": "Not found: Dataset test-project:no"}
    before = api.physical()
    assert api.physical() == before


# -- scripts


def test_a_script_of_plain_statements(api: BigQueryApi) -> None:
    job = api.done(
        query={
            "query": "CREATE TABLE d.script (a INT64); INSERT INTO d.script VALUES (1), (2); "
            "SELECT SUM(a) AS s FROM d.script;",
            "useLegacySql": False,
        }
    )
    assert job["statistics"]["query"]["statementType"] == "SCRIPT"
    assert job["statistics"]["numChildJobs"] == "3"
    assert api.cells(api.ok("GET", f"queries/{job['jobReference']['jobId']}")) == [["3"]]
    children = api.ok("GET", "jobs", params={"parentJobId": job["jobReference"]["jobId"], "projection": "full"})["jobs"]
    kinds = {each["statistics"]["query"]["statementType"] for each in children}
    assert kinds == {"CREATE_TABLE", "INSERT", "SELECT"}
    listed = [each["jobReference"]["jobId"] for each in api.ok("GET", "jobs")["jobs"]]
    assert not {each["jobReference"]["jobId"] for each in children} & set(listed)


def test_a_script_stops_at_its_first_error_and_keeps_what_was_done(api: BigQueryApi) -> None:
    error = api.query_error(
        "CREATE TABLE d.halfway (a INT64); INSERT INTO d.halfway VALUES (1); SELECT nothing FROM d.halfway; "
        "INSERT INTO d.halfway VALUES (2)"
    )
    assert error["reason"] == "invalidQuery"
    assert "Unrecognized name: nothing" in error["message"]
    assert api.rows("SELECT a FROM d.halfway") == [["1"]]


# -- dry runs


def test_a_dry_run_runs_nothing(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.dry AS SELECT 1 AS a, 'xyz' AS b")
    before = api.ok("GET", "jobs")["jobs"]
    job = api.ok(
        "POST", "jobs",
        {"configuration": {"dryRun": True, "query": {"query": "SELECT a, b FROM d.dry", "useLegacySql": False}}},
    )  # fmt: skip
    assert job["status"] == {"state": "DONE"}
    assert job["statistics"]["totalBytesProcessed"] == "13"
    assert job["statistics"]["query"]["schema"]["fields"][1] == {"name": "b", "type": "STRING", "mode": "NULLABLE"}
    assert job["statistics"]["query"]["referencedTables"] == [api.reference("dry")]
    answer = api.query("DELETE FROM d.dry WHERE TRUE", dryRun=True)
    assert "jobId" not in answer["jobReference"]
    assert api.rows("SELECT COUNT(*) FROM d.dry") == [["1"]]
    assert api.query_error("SELECT c FROM d.dry", dryRun=True)["message"].startswith("Unrecognized name: c")
    assert len(api.ok("GET", "jobs")["jobs"]) == len(before) + 1


def test_maximum_bytes_billed(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.bytes AS SELECT x FROM UNNEST(GENERATE_ARRAY(1, 100)) AS x")
    error = api.query_error("SELECT * FROM d.bytes", maximumBytesBilled="10485759")
    assert error["reason"] == "bytesBilledLimitExceeded"
    assert error["message"] == "Query exceeded limit for bytes billed: 10485759. 10485760 or higher required."
    assert len(api.rows("SELECT * FROM d.bytes", maximumBytesBilled="10485760")) == 100


# -- jobs


def test_a_request_id_gives_one_effect(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.once (a INT64)")
    first = api.query("INSERT INTO d.once VALUES (1)", requestId="3b0f0b6e")
    again = api.query("INSERT INTO d.once VALUES (1)", requestId="3b0f0b6e")
    assert again["jobReference"] == first["jobReference"]
    assert again["numDmlAffectedRows"] == "1"
    assert api.rows("SELECT COUNT(*) FROM d.once") == [["1"]]


def test_a_job_id_is_used_once(api: BigQueryApi) -> None:
    body = {
        "jobReference": {"jobId": "mine"},
        "configuration": {"query": {"query": "SELECT 1", "useLegacySql": False}},
    }
    api.ok("POST", "jobs", body)
    error = api.error("POST", "jobs", body)
    assert error == {"code": 409, "reason": "duplicate", "message": "Already Exists: Job test-project:US.mine"}
    assert api.error("GET", "jobs/never")["message"] == "Not found: Job test-project:US.never"


def test_a_failed_query_is_a_job_with_its_error(api: BigQueryApi) -> None:
    job = api.job(query={"query": "SELECT 1 / 0", "useLegacySql": False})
    assert job["status"]["errorResult"]["reason"] == "invalidQuery"
    assert job["status"]["errorResult"]["message"].startswith("division by zero: 1 / 0")
    error = api.error("GET", f"queries/{job['jobReference']['jobId']}")
    assert (error["code"], error["reason"]) == (400, "invalidQuery")


def test_the_list_of_jobs(timed: BigQueryApi, clock: VirtualClock) -> None:
    for index in range(5):
        clock.advance(timedelta(seconds=1))
        timed.ok(
            "POST", "jobs",
            {
                "jobReference": {"jobId": f"job{index}"},
                "configuration": {
                    "labels": {"n": str(index)}, "query": {"query": f"SELECT {index}", "useLegacySql": False},
                },
            },
        )  # fmt: skip
        timed.ended(f"job{index}")
    first = timed.ok("GET", "jobs", params={"maxResults": "2"})
    assert [each["jobReference"]["jobId"] for each in first["jobs"]] == ["job4", "job3"]
    assert first["jobs"][0]["configuration"] == {"jobType": "QUERY", "labels": {"n": "4"}}
    rest = timed.ok("GET", "jobs", params={"pageToken": first["nextPageToken"], "projection": "full"})
    assert [each["jobReference"]["jobId"] for each in rest["jobs"]] == ["job2", "job1", "job0"]
    assert rest["jobs"][0]["configuration"]["query"]["query"] == "SELECT 2"
    at = timed.ok("GET", "jobs/job2")["statistics"]["creationTime"]
    between = timed.ok("GET", "jobs", params={"minCreationTime": at, "maxCreationTime": at})
    assert [each["jobReference"]["jobId"] for each in between["jobs"]] == ["job2"]
    assert timed.ok("GET", "jobs", params={"stateFilter": "running"})["jobs"] == []
    assert timed.ok("GET", "jobs", params={"minCreationTime": "9" * 17})["jobs"] == []
    error = timed.error("GET", "jobs", params={"stateFilter": "gone"})
    assert error["message"] == "stateFilter must be done, pending or running; given: 'GONE'"


def test_the_oldest_of_very_many_jobs_are_forgotten(
    timed: BigQueryApi, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timed.warehouse.jobs, "most_kept", 3)
    jobs = []
    for index in range(5):
        clock.advance(timedelta(seconds=1))
        jobs.append(timed.query(f"SELECT {index}")["jobReference"]["jobId"])
    timed.ok("GET", "jobs")
    clock.advance(timedelta(hours=6))
    assert [each["jobReference"]["jobId"] for each in timed.ok("GET", "jobs")["jobs"]] == jobs[:1:-1]


def test_a_job_is_forgotten_after_180_days(timed: BigQueryApi, clock: VirtualClock) -> None:
    job = timed.query("SELECT 1")["jobReference"]["jobId"]
    clock.advance(timedelta(days=181))
    assert timed.error("GET", f"jobs/{job}")["code"] == 404


ENDLESS = "SELECT COUNT(*) FROM d.numbers AS a, d.numbers AS b, d.numbers AS c WHERE a.x * b.x * c.x = 7"


@pytest.fixture(scope="module")
def numbers(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.numbers AS SELECT x FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS x")


@pytest.mark.usefixtures("numbers")
def test_a_running_query_is_cancelled(api: BigQueryApi) -> None:
    job = api.ok("POST", "jobs", {"configuration": {"query": {"query": ENDLESS, "useLegacySql": False}}})
    name = job["jobReference"]["jobId"]
    assert job["status"]["state"] == "RUNNING"
    assert "rows" not in api.ok("GET", f"queries/{name}", params={"timeoutMs": "1"})
    assert api.ok("GET", f"queries/{name}", params={"timeoutMs": "1"})["jobComplete"] is False
    api.ok("POST", f"jobs/{name}/cancel")
    ended = api.ended(name)
    assert ended["status"]["errorResult"] == {
        "reason": "stopped",
        "message": "Job execution was cancelled: User requested cancellation",
    }
    assert api.ok("POST", f"jobs/{name}/cancel")["job"]["status"]["state"] == "DONE"


@pytest.mark.usefixtures("numbers")
def test_a_job_ends_at_its_timeout(api: BigQueryApi) -> None:
    job = api.job(jobTimeoutMs="300", query={"query": ENDLESS, "useLegacySql": False})
    assert job["status"]["errorResult"]["reason"] == "stopped"
    assert "timed out after 0.3s" in job["status"]["errorResult"]["message"]


@pytest.mark.usefixtures("numbers")
@pytest.mark.parametrize("patience", [50, 400])  # on a thread of its own, on that of its request
def test_a_query_that_takes_longer_than_its_request(api: BigQueryApi, patience: int) -> None:
    asked = {"timeoutMs": patience, "requestId": f"long-{patience}"}
    answer = api.query(ENDLESS, **asked)
    assert (answer["jobComplete"], "rows" in answer) == (False, False)
    name = answer["jobReference"]["jobId"]
    assert api.ok("GET", f"jobs/{name}")["status"]["state"] == "RUNNING"
    again = api.ok(
        "POST", "queries?fields=jobComplete,jobReference/jobId", {"query": ENDLESS, "useLegacySql": False, **asked}
    )
    assert again == {"jobComplete": False, "jobReference": {"jobId": name}}
    api.ok("POST", f"jobs/{name}/cancel")
    assert api.ended(name)["status"]["errorResult"]["reason"] == "stopped"
    # What the request's own thread came to in the end is told to those who ask afterwards.
    assert api.error("GET", f"queries/{name}")["reason"] == "stopped"


@pytest.mark.usefixtures("numbers")
def test_more_long_queries_than_run_at_once_are_all_answered_in_time(api: BigQueryApi) -> None:
    with ThreadPoolExecutor(20) as clients:
        answers = list(clients.map(lambda _: api.query(ENDLESS, timeoutMs=300), range(20)))
    names = [each["jobReference"]["jobId"] for each in answers]
    assert not any(each["jobComplete"] for each in answers)
    states = Counter(api.ok("GET", f"jobs/{name}")["status"]["state"] for name in names)
    assert states == {"RUNNING": 16, "PENDING": 4}
    for name in names:
        api.ok("POST", f"jobs/{name}/cancel")
    assert {api.ended(name)["status"]["errorResult"]["reason"] for name in names} == {"stopped"}
    assert api.rows("SELECT 1") == [["1"]]


def test_the_record_of_a_done_job_can_be_deleted(api: BigQueryApi) -> None:
    job = api.query("SELECT 1")["jobReference"]["jobId"]
    api.ok("DELETE", f"jobs/{job}/delete")
    assert api.error("GET", f"jobs/{job}")["code"] == 404


def test_a_query_that_was_answered_whole_is_on_record_soon_after(tmp_path: Path) -> None:
    from tests.bigquery.conftest import opened

    with opened(tmp_path / "home") as api:
        made = [api.query(f"SELECT {index} AS a", requestId=f"r{index}") for index in range(300)]
        names = [each["jobReference"]["jobId"] for each in made]
        # Known at once, whether or not it was written yet.
        assert api.ok("GET", f"jobs/{names[-1]}")["status"] == {"state": "DONE"}
        assert api.cells(api.ok("GET", f"queries/{names[-1]}")) == [["299"]]
        assert api.query("SELECT 299 AS a", requestId="r299")["jobReference"] == made[-1]["jobReference"]
        assert [each["jobReference"]["jobId"] for each in api.ok("GET", "jobs")["jobs"]] == names[::-1]
        # A part of the rows leaves something to come back for: the record is durable before the answer.
        part = api.query("SELECT x FROM UNNEST([1, 2, 3]) AS x", maxResults=1)["jobReference"]["jobId"]
        assert api.app.records.find(f"projects/test-project/jobs/{part}") is not None
    with opened(tmp_path / "home") as api:
        assert len(api.ok("GET", "jobs")["jobs"]) == 301
        assert api.cells(api.ok("GET", f"queries/{names[7]}")) == [["7"]]
        assert api.query("SELECT 7 AS a", requestId="r7")["jobReference"]["jobId"] == names[7]
