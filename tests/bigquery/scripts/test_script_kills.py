"""kill -9 in the middle of scripts, transactions and sessions: what is there afterwards, and what is told of it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients

ROOT = "/bigquery/v2/projects/test-project"
_ENDLESS = "SELECT SUM(a * b) FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS a, UNNEST(GENERATE_ARRAY(1, 1000000)) AS b"


class Caller:
    """Calls of a server that may be started again."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server

    def call(self, verb: str, path: str, body: Any = None, **params: str) -> dict[str, Any]:
        answer = httpx.request(
            verb, f"{self._server.url}{ROOT}/{path}", json=body, params=params, headers=self._server.headers, timeout=60
        )
        assert answer.status_code < 300, answer.text
        return dict(answer.json())

    def rows(self, sql: str, **more: Any) -> list[list[Any]]:
        found = self.call("POST", "queries", {"query": sql, "useLegacySql": False, **more})
        return [[cell["v"] for cell in row["f"]] for row in found.get("rows", [])]

    def start(self, sql: str, **more: Any) -> str:
        """Insert a query job; its id."""
        made = self.call("POST", "jobs", {"configuration": {"query": {"query": sql, "useLegacySql": False, **more}}})
        return str(made["jobReference"]["jobId"])

    def children(self, job: str) -> list[dict[str, Any]]:
        found = self.call("GET", "jobs", parentJobId=job, projection="full").get("jobs", [])
        return list(reversed(found))

    def wait_for(self, job: str, running: str) -> None:
        """Return when the statement that begins with ``running`` is the one that runs."""
        while True:
            found = self.children(job)
            if found and found[-1]["configuration"]["query"]["query"].startswith(running):
                assert found[-1]["state"] == "RUNNING"
                return
            assert self.call("GET", f"jobs/{job}")["status"]["state"] != "DONE"

    def tables(self) -> set[str]:
        return {row[0] for row in self.rows("SELECT table_name FROM d.INFORMATION_SCHEMA.TABLES")}


def test_killed_in_the_middle(fresh_server: ServerProcess) -> None:
    caller = Caller(fresh_server)
    caller.call("POST", "datasets", {"datasetReference": {"datasetId": "d"}})
    caller.rows("CREATE TABLE d.t (x INT64)")
    caller.rows(f"CREATE PROCEDURE d.p() BEGIN INSERT INTO d.t VALUES (2); {_ENDLESS}; END")
    made = caller.call(
        "POST",
        "queries",
        {"query": "CREATE TEMP TABLE kept AS SELECT 7 AS x", "useLegacySql": False, "createSession": True},
    )
    session = [{"key": "session_id", "value": made["sessionInfo"]["sessionId"]}]
    caller.rows("DECLARE v INT64 DEFAULT 8", connectionProperties=session)

    # A script with a procedure, one with a transaction, one with a transaction in a session.
    script = caller.start(
        "INSERT INTO d.t VALUES (1);\nCREATE TABLE d.made AS SELECT 1 AS x;\nCREATE TEMP TABLE gone AS SELECT 1 AS x;\n"
        "CALL d.p();\nINSERT INTO d.t VALUES (3);"
    )
    transaction = caller.start(f"BEGIN TRANSACTION; INSERT INTO d.made SELECT 100; {_ENDLESS}; COMMIT;")
    caller.wait_for(script, "SELECT SUM")
    caller.wait_for(transaction, "SELECT SUM")
    caller.rows("BEGIN TRANSACTION", connectionProperties=session)
    caller.rows("INSERT INTO kept VALUES (9)", connectionProperties=session)
    fresh_server.kill9()
    fresh_server.start()

    # What the statements before had done is done, what stood behind is not; transactions are undone.
    assert caller.rows("SELECT x FROM d.t ORDER BY x") == [["1"], ["2"]]
    assert caller.rows("SELECT x FROM d.made") == [["1"]]
    assert caller.tables() == {"t", "made"}
    for job, children in ((script, 5), (transaction, 3)):
        ended = caller.call("GET", f"jobs/{job}")
        assert ended["status"]["state"] == "DONE"
        error = ended["status"]["errorResult"]
        assert error["message"].startswith("Job execution was stopped: the server stopped while the job ran")
        found = caller.children(job)
        assert len(found) == children
        assert [each["state"] for each in found] == ["DONE"] * children
        assert [each for each in found if "errorResult" in each] == found[-1:]
    kinds = [each["statistics"]["query"]["statementType"] for each in caller.children(script)]
    assert kinds == ["INSERT", "CREATE_TABLE_AS_SELECT", "CREATE_TABLE_AS_SELECT", "INSERT", "SELECT"]
    assert caller.children(script)[3]["statistics"]["query"]["numDmlAffectedRows"] == "1"

    # The session goes on without its transaction.
    assert caller.rows("SELECT x, v FROM kept", connectionProperties=session) == [["7", "8"]]
    caller.rows("INSERT INTO kept VALUES (v)", connectionProperties=session)
    assert caller.rows("SELECT SUM(x) FROM kept", connectionProperties=session) == [["15"]]

    # Nothing is held: the same tables are changed again, in the same ways.
    caller.rows(
        "BEGIN TRANSACTION; UPDATE d.t SET x = x * 10 WHERE TRUE; INSERT INTO d.made SELECT x FROM d.t; COMMIT;"
    )
    assert caller.rows("SELECT x FROM d.made ORDER BY x") == [["1"], ["10"], ["20"]]
    assert "Traceback" not in fresh_server.log
