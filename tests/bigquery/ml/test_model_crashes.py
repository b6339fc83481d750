"""``kill -9`` while a model is trained: after the restart the job ended truthfully, and nothing half is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tule.kernel.clock import RealClock

if TYPE_CHECKING:
    from tule.testing.process import ServerProcess

pytestmark = pytest.mark.slow

ROOT = "/bigquery/v2/projects/test-project"
SLOW = """CREATE OR REPLACE MODEL d.m OPTIONS(MODEL_TYPE='BOOSTED_TREE_CLASSIFIER', INPUT_LABEL_COLS=['y'],
  MAX_ITERATIONS=10000, EARLY_STOP=FALSE, MAX_TREE_DEPTH=8, DATA_SPLIT_METHOD='NO_SPLIT')
  AS SELECT x, MOD(x * x, 7919) AS z, MOD(x * 7, 2) AS y FROM UNNEST(GENERATE_ARRAY(1, 300000)) AS x"""
QUICK = (
    "CREATE MODEL d.m OPTIONS(MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y']) AS SELECT x, 2 * x AS y FROM "
    "UNNEST([1, 2, 3]) AS x"
)


class Calls:
    def __init__(self, server: ServerProcess) -> None:
        self._http = httpx.Client(base_url=server.url, headers=server.headers, timeout=240)

    def __call__(self, verb: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self._http.request(verb, f"{ROOT}/{path}", json=body)
        assert answer.status_code < 300, answer.text
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    def query(self, sql: str) -> list[list[Any]]:
        answer = self("POST", "queries", {"query": sql, "useLegacySql": False, "timeoutMs": 200_000})
        assert answer["jobComplete"]
        return [[cell["v"] for cell in row["f"]] for row in answer.get("rows", [])]


def test_killed_in_training(fresh_server: ServerProcess) -> None:
    server, clock = fresh_server, RealClock()
    call = Calls(server)
    call("POST", "datasets", {"datasetReference": {"datasetId": "d"}})
    call.query(QUICK)
    before = call("GET", "datasets/d/models/m")
    bundles = server.home / "bundles"
    (kept,) = bundles.iterdir()
    job = call("POST", "jobs", {"configuration": {"query": {"query": SLOW, "useLegacySql": False}}})["jobReference"][
        "jobId"
    ]
    while not call("GET", f"jobs/{job}")["statistics"].get("query", {}).get("mlStatistics"):
        clock.sleep(0.05)
    assert len(list(bundles.iterdir())) == 2, "the draft of the training"
    server.kill9()
    server.start()
    call = Calls(server)
    ended = call("GET", f"jobs/{job}")
    assert ended["status"]["state"] == "DONE" and ended["status"]["errorResult"]["reason"] == "jobInternalError"
    assert "nothing was changed" in ended["status"]["errorResult"]["message"]
    assert call("GET", "datasets/d/models/m") == before, "the model that was to be replaced"
    assert call.query("SELECT CAST(predicted_y AS INT64) FROM ML.PREDICT(MODEL d.m, (SELECT 5 AS x))") == [["10"]]
    assert list(bundles.iterdir()) == [kept]


def test_killed_after_training(fresh_server: ServerProcess) -> None:
    """A model that a client was told of is there."""
    call = Calls(fresh_server)
    call("POST", "datasets", {"datasetReference": {"datasetId": "d"}})
    call.query(QUICK)
    fresh_server.kill9()
    fresh_server.start()
    call = Calls(fresh_server)
    assert call.query("SELECT CAST(predicted_y AS INT64) FROM ML.PREDICT(MODEL d.m, (SELECT 5 AS x))") == [["10"]]
    assert len(list((fresh_server.home / "bundles").iterdir())) == 1
