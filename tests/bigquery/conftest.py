"""The warehouse as the server builds it, in process: over HTTP without a socket, and directly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tule.app import App
from tule.bigquery.references import JobReference
from tule.bigquery.warehouse import Warehouse
from tule.kernel.clock import Clock, VirtualClock
from tule.kernel.settings import Settings

PROJECT = "test-project"
# As long as one request may wait: a busy machine must not fail a test.
_LONG = 200_000
ROOT = f"/bigquery/v2/projects/{PROJECT}"


class BigQueryApi:
    """The REST surface of a server that runs in this process; calls may come from any thread."""

    def __init__(self, app: App, email: str | None = None) -> None:
        """``email``: call as this account instead of the owner."""
        self.app = app
        token = app.access.issue(email) if email else app.access.token
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{app.server.port}", headers={"Authorization": f"Bearer {token}"}, timeout=240
        )

    @property
    def warehouse(self) -> Warehouse:
        found: Warehouse = self.app.warehouse
        return found

    def close(self) -> None:
        self._http.close()

    @contextmanager
    def caller(self, email: str) -> Iterator[BigQueryApi]:
        """The same server, called by another account than the owner's."""
        made = BigQueryApi(self.app, email)
        try:
            yield made
        finally:
            made.close()

    def request(self, verb: str, url: str, **options: Any) -> httpx.Response:
        """A raw HTTP exchange."""
        return self._http.request(verb, url, **options)

    # -- calls

    def call(self, verb: str, path: str, body: Any = None, **options: Any) -> tuple[int, dict[str, Any]]:
        """(status, JSON) of a call below the project's path, or of one that begins with a slash."""
        url = path if path.startswith("/") else f"{ROOT}/{path}"
        if body is not None:
            options["json"] = body
        answer = self.request(verb, url, **options)
        return answer.status_code, answer.json() if answer.content else {}

    def ok(self, verb: str, path: str, body: Any = None, **options: Any) -> dict[str, Any]:
        status, answer = self.call(verb, path, body, **options)
        assert status < 300, answer
        return answer

    def error(self, verb: str, path: str, body: Any = None, **options: Any) -> dict[str, Any]:
        """The error of a call that must fail: code, reason and message."""
        status, answer = self.call(verb, path, body, **options)
        assert status >= 400, answer
        error = answer["error"]
        assert error["code"] == status
        return {"code": status, "reason": error["errors"][0]["reason"], "message": error["message"]}

    # -- shorter ways

    @staticmethod
    def reference(table: str) -> dict[str, str]:
        """``t`` (of the dataset ``d``) or ``d.t`` as a REST reference."""
        dataset, _, name = table.rpartition(".")
        return {"projectId": PROJECT, "datasetId": dataset or "d", "tableId": name}

    def dataset(self, name: str = "d", **more: Any) -> str:
        self.ok("POST", "datasets", {"datasetReference": {"datasetId": name}, **more})
        return name

    @staticmethod
    def cells(answer: dict[str, Any]) -> list[list[Any]]:
        """The rows of an answer as plain values."""
        return [[_plain(cell["v"]) for cell in row["f"]] for row in answer.get("rows", [])]

    def query(self, sql: str, **more: Any) -> dict[str, Any]:
        return self.ok("POST", "queries", {"query": sql, "useLegacySql": False, "timeoutMs": _LONG, **more})

    def rows(self, sql: str, **more: Any) -> list[list[Any]]:
        """The rows of a query as plain values."""
        return self.cells(self.query(sql, **more))

    def query_error(self, sql: str, **more: Any) -> dict[str, Any]:
        return self.error("POST", "queries", {"query": sql, "useLegacySql": False, "timeoutMs": _LONG, **more})

    def job(self, **configuration: Any) -> dict[str, Any]:
        """Insert a job and wait for its end; the Job."""
        made = self.ok("POST", "jobs", {"configuration": configuration})
        return self.ended(made["jobReference"]["jobId"])

    def ended(self, job: str) -> dict[str, Any]:
        found = self.warehouse.jobs.find(JobReference(PROJECT, job))
        if hasattr(found, "wait"):
            assert found.wait(300)
        return self.ok("GET", f"jobs/{job}")

    def done(self, **configuration: Any) -> dict[str, Any]:
        """The same, for a job that must succeed."""
        job = self.job(**configuration)
        assert "errorResult" not in job["status"], job["status"]
        return job

    def load(self, content: bytes | str, table: str = "t", **load: Any) -> dict[str, Any]:
        """Upload a file into ``d.<table>`` and wait; the Job, whether or not it failed."""
        content = content.encode() if isinstance(content, str) else content
        load.setdefault("destinationTable", self.reference(table))
        job = json.dumps({"configuration": {"load": load}}).encode()
        body = b"--==b\r\nContent-Type: application/json\r\n\r\n" + job
        body += b"\r\n--==b\r\nContent-Type: */*\r\n\r\n" + content + b"\r\n--==b--"
        answer = self.request(
            "POST",
            f"/upload{ROOT}/jobs?uploadType=multipart",
            content=body,
            headers={"Content-Type": 'multipart/related; boundary="==b"'},
        )
        assert answer.status_code == 200, answer.text
        return self.ended(answer.json()["jobReference"]["jobId"])

    def physical(self) -> set[str]:
        """The physical tables that there are."""
        return self.warehouse.physical.engine.tables(PROJECT)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each["v"]) for each in value]
    if isinstance(value, dict):
        return [_plain(each["v"]) for each in value["f"]]
    return value


@contextmanager
def opened(home: Path, clock: Clock | None = None) -> Iterator[BigQueryApi]:
    """A server in this process on a data directory."""
    app = App(Settings.read({}, home=home, project=PROJECT), clock)
    app.start()
    api = BigQueryApi(app)
    try:
        yield api
    finally:
        api.close()
        app.stop()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQueryApi]:
    """One server for the tests of a file; each uses datasets of its own. ``d`` is there."""
    with opened(tmp_path_factory.mktemp("bigquery") / "home") as made:
        made.dataset("d")
        yield made


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 11, 24, 12, tzinfo=UTC))


@pytest.fixture
def timed(tmp_path: Path, clock: VirtualClock) -> Iterator[BigQueryApi]:
    """A server of this test alone whose time is in the test's hand (``clock``). ``d`` is there."""
    with opened(tmp_path / "home", clock) as made:
        made.dataset("d")
        yield made
