"""kill -9 while clients write from several sides: what was acknowledged is there, the rest is there whole or not at all."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients

ROOT = "/bigquery/v2/projects/test-project"


class Writer:
    """A client that does one kind of change again and again, and remembers what was acknowledged."""

    def __init__(self, server: ServerProcess, table: str, write: Callable[[Writer, int], None]) -> None:
        self.http = httpx.Client(base_url=server.url, headers=server.headers, timeout=60)
        self.table = table
        self.acknowledged: list[int] = []
        self.tried: list[int] = []
        self.enough = threading.Event()
        self._write = write
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join(60)
        self.http.close()

    def _run(self) -> None:
        for number in itertools.count(1):
            self.tried.append(number)
            try:
                self._write(self, number)
            except httpx.TransportError:
                return
            self.acknowledged.append(number)
            if number == 3:
                self.enough.set()

    def call(self, verb: str, path: str, body: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        answer = self.http.request(verb, path if path.startswith("/") else f"{ROOT}/{path}", json=body, **options)
        assert answer.status_code < 300, answer.text
        return dict(answer.json())

    def query(self, sql: str) -> dict[str, Any]:
        made = self.call("POST", "queries", {"query": sql, "useLegacySql": False, "timeoutMs": 60_000})
        assert made["jobComplete"]
        return made


def insert(writer: Writer, number: int) -> None:
    writer.query(f"INSERT INTO d.{writer.table} VALUES ({number}), ({number})")


def script(writer: Writer, number: int) -> None:
    writer.query(f"INSERT INTO d.{writer.table} VALUES ({number}); INSERT INTO d.{writer.table} VALUES ({number})")


def stream(writer: Writer, number: int) -> None:
    rows = [{"json": {"a": number}}] * 2
    assert "insertErrors" not in writer.call("POST", f"datasets/d/tables/{writer.table}/insertAll", {"rows": rows})


def load(writer: Writer, number: int) -> None:
    table = {"projectId": "test-project", "datasetId": "d", "tableId": writer.table}
    job = json.dumps({"configuration": {"load": {"destinationTable": table}}})
    content = (
        f"--b\r\nContent-Type: application/json\r\n\r\n{job}\r\n--b\r\nContent-Type: */*\r\n\r\n"
        f"{number}\n{number}\n\r\n--b--"
    )
    answer = writer.http.post(
        f"/upload{ROOT}/jobs?uploadType=multipart",
        content=content,
        headers={"Content-Type": "multipart/related; boundary=b"},
    ).json()
    while answer["status"]["state"] != "DONE":
        answer = writer.call("GET", f"jobs/{answer['jobReference']['jobId']}")
    assert "errorResult" not in answer["status"], answer


def replace(writer: Writer, number: int) -> None:
    writer.query(f"CREATE OR REPLACE TABLE d.{writer.table} AS SELECT {number} AS a UNION ALL SELECT {number}")


KINDS = {"inserted": insert, "scripted": script, "streamed": stream, "loaded": load, "replaced": replace}


def test_killed_while_writing(fresh_server: ServerProcess) -> None:
    before = Writer(fresh_server, "", insert)
    before.call("POST", "datasets", {"datasetReference": {"datasetId": "d"}})
    for table in KINDS:
        before.query(f"CREATE TABLE d.{table} (a INT64)")
    before.http.close()
    writers = [Writer(fresh_server, table, write) for table, write in KINDS.items()]
    for each in writers:
        each.start()
    for each in writers:
        assert each.enough.wait(60)
    fresh_server.kill9()
    for each in writers:
        each.join()
    fresh_server.start()
    after = Writer(fresh_server, "", insert)
    for each in writers:
        rows = after.query(f"SELECT a, COUNT(*) FROM d.{each.table} GROUP BY a ORDER BY a").get("rows", [])
        found = {int(row["f"][0]["v"]): int(row["f"][1]["v"]) for row in rows}
        last = each.tried[-1]
        if each.table == "replaced":
            assert found in ({each.acknowledged[-1]: 2}, {last: 2})
            continue
        assert all(found.get(number) == 2 for number in each.acknowledged), (each.table, found, each.acknowledged)
        # The last try was not answered: it is there whole or not, but a script may have come half its way.
        assert found.get(last, 0) in ((0, 1, 2) if each.table == "scripted" else (0, 2))
        assert set(found) <= set(each.tried)
    jobs = after.call("GET", "jobs", params={"projection": "full"})["jobs"]
    assert {each["state"] for each in jobs} == {"DONE"}
    for job in jobs:
        if (error := job.get("errorResult")) is not None:
            assert error["message"].startswith("Job execution was stopped: the server stopped while the job ran")
    after.query("INSERT INTO d.inserted VALUES (1000)")
    after.http.close()
    assert "Traceback" not in fresh_server.log
