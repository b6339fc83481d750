"""kill -9 in the middle of LOAD DATA and EXPORT DATA: the table is as before or as after, and the job tells which."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients

ROOT = "/bigquery/v2/projects/test-project"
_ROWS = 200_000


def _call(server: ServerProcess, verb: str, path: str, body: Any = None, **options: Any) -> dict[str, Any]:
    url = server.url + (path if path.startswith("/") else f"{ROOT}/{path}")
    answer = httpx.request(verb, url, json=body, headers=server.headers, timeout=120, **options)
    assert answer.status_code < 300, answer.text
    return dict(answer.json())


def _count(server: ServerProcess) -> int:
    made = _call(
        server, "POST", "queries", {"query": "SELECT COUNT(*) FROM d.t", "useLegacySql": False, "timeoutMs": 60_000}
    )
    return int(made["rows"][0]["f"][0]["v"])


@pytest.mark.parametrize(("verb", "after"), [("INTO", _ROWS + 1), ("OVERWRITE", _ROWS)])
def test_a_kill_in_the_middle_of_load_data(fresh_server: ServerProcess, verb: str, after: int) -> None:
    server = fresh_server
    _call(server, "POST", "datasets", {"datasetReference": {"datasetId": "d"}})
    _call(server, "POST", "/storage/v1/b?project=test-project", {"name": "files"})
    content = "".join(f"{n},row number {n}\n" for n in range(_ROWS)).encode()
    httpx.post(
        f"{server.url}/upload/storage/v1/b/files/o?uploadType=media&name=big.csv", content=content, headers=server.headers,
        timeout=120,
    ).raise_for_status()  # fmt: skip
    _call(server, "POST", "queries", {"query": "CREATE TABLE d.t AS SELECT 1 AS n, 'x' AS s", "useLegacySql": False})
    # Ragged rows go the slow way: the kill finds the load at work.
    sql = (
        f"LOAD DATA {verb} d.t (n INT64, s STRING) FROM FILES (format = 'CSV', uris = ['gs://files/big.csv'], "
        "allow_jagged_rows = true)"
    )
    job = _call(server, "POST", "jobs", {"configuration": {"query": {"query": sql, "useLegacySql": False}}})
    assert job["status"]["state"] in ("PENDING", "RUNNING")
    server.kill9()
    server.start()
    found = _call(server, "GET", f"jobs/{job['jobReference']['jobId']}")
    assert found["status"]["state"] == "DONE"
    assert _count(server) == (1 if "errorResult" in found["status"] else after)
    _call(server, "POST", "queries", {"query": sql, "useLegacySql": False, "timeoutMs": 100_000})
    assert _count(server) == _ROWS + (1 if verb == "INTO" else 0)
