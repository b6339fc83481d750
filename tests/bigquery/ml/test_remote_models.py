"""Remote models: an endpoint of this server asked in SQL answers what its model does in ML.PREDICT."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

PARENT = "projects/test-project/locations/us-central1"
_ADDRESS = "https://us-central1-aiplatform.googleapis.com/v1/"
_ROWS = (
    "SELECT n AS id, n / 10 AS x, IF(MOD(n, 3) = 0, 'a', 'b') AS c, 2 * n + MOD(n, 3) AS y "
    "FROM UNNEST(GENERATE_ARRAY(1, 90)) AS n"
)


def deployed(models: Models, name: str) -> str:
    """The https address of a new endpoint with the registered model of this name."""
    return _ADDRESS + models.deploy(name)


@pytest.fixture(scope="module")
def address(models: Models) -> Iterator[str]:
    models.api.warehouse.connections.create("projects/test-project/locations/us", "remote", {"cloudResource": {}}, None)
    options = "MODEL_TYPE = 'LINEAR_REG', INPUT_LABEL_COLS = ['y'], MODEL_REGISTRY = 'VERTEX_AI'"
    models.train("lines", options, f"SELECT * EXCEPT (id) FROM ({_ROWS})")
    address = deployed(models, "lines")
    remote(models, "remote", "INPUT(x FLOAT64, c STRING) OUTPUT(predicted_y FLOAT64)", address)
    yield address


def statement(name: str, clause: str, address: str, connection: str = "`us.remote`") -> str:
    return f"CREATE MODEL d.{name} {clause} REMOTE WITH CONNECTION {connection} OPTIONS(ENDPOINT = '{address}')"


def remote(models: Models, name: str, clause: str, address: str) -> None:
    models.api.done(query={"query": statement(name, clause, address), "useLegacySql": False})


def test_an_endpoint_answers_as_its_model_does(models: Models, address: str) -> None:
    sql = f"SELECT * FROM ML.PREDICT(MODEL d.remote, (SELECT id, x, c FROM ({_ROWS})))"
    assert models.columns(sql) == [
        ("predicted_y", "FLOAT"), ("remote_model_status", "STRING"), ("id", "INTEGER"), ("x", "FLOAT"), ("c", "STRING")
    ]  # fmt: skip
    found = models.ask(f"{sql} ORDER BY id")
    assert {row["remote_model_status"] for row in found} == {""}
    own = models.ask(f"SELECT predicted_y FROM ML.PREDICT(MODEL d.lines, ({_ROWS})) ORDER BY id")
    assert [row["predicted_y"] for row in found] == pytest.approx([row["predicted_y"] for row in own], rel=1e-12)


def test_the_resource_of_a_remote_model(models: Models, address: str) -> None:
    body = models.resource("remote")
    assert body["modelType"] == "MODEL_TYPE_UNSPECIFIED"
    assert body["remoteModelInfo"] == {"endpoint": address, "connection": "test-project.us.remote"}
    assert [each["name"] for each in body["featureColumns"]] == ["x", "c"]


def test_a_row_that_fails_says_why_and_others_are_answered(models: Models, address: str) -> None:
    remote(models, "loose", "INPUT(x STRING, c STRING) OUTPUT(predicted_y FLOAT64)", address)
    rows = "SELECT n AS id, IF(n = 5, 'five', CAST(n AS STRING)) AS x, 'a' AS c FROM UNNEST(GENERATE_ARRAY(1, 9)) AS n"
    found = models.ask(f"SELECT * FROM ML.PREDICT(MODEL d.loose, ({rows})) ORDER BY id")
    wrong = [row for row in found if row["remote_model_status"]]
    assert [row["id"] for row in wrong] == [5]
    assert wrong[0]["predicted_y"] is None and "x must be a number" in wrong[0]["remote_model_status"]
    assert all(row["predicted_y"] is not None for row in found if row["id"] != 5)


def test_an_answer_without_the_fields_of_output(models: Models, address: str) -> None:
    remote(models, "other", "INPUT(x FLOAT64, c STRING) OUTPUT(a FLOAT64, b STRING)", address)
    (row,) = models.ask("SELECT * FROM ML.PREDICT(MODEL d.other, (SELECT 1.0 AS x, 'a' AS c))")
    assert row["a"] is None and "has no a of type FLOAT64" in row["remote_model_status"]


@pytest.mark.parametrize(
    ("clause", "endpoint", "connection", "message"),
    [
        ("INPUT(x FLOAT64) OUTPUT(y FLOAT64)", "", "us.nowhere", "Not found: Connection"),
        ("INPUT(x FLOAT64) OUTPUT(y FLOAT64)", "", "DEFAULT", "no default connection"),
        ("INPUT(x FLOAT64)", "", "`us.remote`", "needs INPUT and OUTPUT"),
        ("INPUT(x FLOAT64) OUTPUT(y FLOAT64)", f"{_ADDRESS}{PARENT}/endpoints/1", "us.remote", "endpoints/1"),
        ("INPUT(x FLOAT64) OUTPUT(y FLOAT64)", "https://example.com/predict", "us.remote", "ENDPOINT must be https://REGION"),
        ("INPUT(x FLOAT64) OUTPUT(y FLOAT64)", "gemini-2.5-flash", "us.remote", "over large language models"),
        ("INPUT(x DATE) OUTPUT(y FLOAT64)", "", "us.remote", "BOOL, STRING, INT64, FLOAT64"),
        ("INPUT(x FLOAT64) OUTPUT(remote_model_status STRING)", "", "us.remote", "different names"),
    ],
)  # fmt: skip
def test_a_remote_model_that_cannot_be(
    models: Models, address: str, clause: str, endpoint: str, connection: str, message: str
) -> None:
    error = models.api.query_error(statement("wrong", clause, endpoint or address, connection))
    assert message in error["message"]
    assert not models.exists("wrong")


def test_services_that_are_not_there_are_refused_by_name(models: Models, address: str) -> None:
    sql = "CREATE MODEL d.wrong REMOTE WITH CONNECTION us.remote OPTIONS(REMOTE_SERVICE_TYPE = 'CLOUD_AI_VISION_V1')"
    error = models.api.query_error(sql)
    assert error["reason"] == "notImplemented" and "CLOUD_AI_VISION_V1" in error["message"]


def test_a_connection_must_still_be_there_and_be_the_callers_to_use(models: Models, address: str) -> None:
    connections: Any = models.api.warehouse.connections
    connections.create("projects/test-project/locations/us", "gone", {"cloudResource": {}}, None)
    clause = "INPUT(x FLOAT64, c STRING) OUTPUT(predicted_y FLOAT64)"
    models.api.done(query={"query": statement("lost", clause, address, "us.gone"), "useLegacySql": False})
    asked = "SELECT predicted_y FROM ML.PREDICT(MODEL d.lost, (SELECT 1.0 AS x, 'a' AS c))"
    assert models.ask(asked)[0]["predicted_y"] is not None
    connections.delete("projects/test-project/locations/us/connections/gone")
    assert "Not found: Connection" in models.api.query_error(asked)["message"]


def test_an_endpoint_that_is_gone_is_told_in_each_row(models: Models, address: str) -> None:
    again = deployed(models, "lines")
    remote(models, "brief", "INPUT(x FLOAT64, c STRING) OUTPUT(predicted_y FLOAT64)", again)
    endpoints = models.api.app.endpoints
    name = again.removeprefix(_ADDRESS)
    (one,) = endpoints.get(name)["deployedModels"]
    endpoints.undeploy(name, one["id"], {})
    endpoints.delete(name)
    (row,) = models.ask("SELECT * FROM ML.PREDICT(MODEL d.brief, (SELECT 1.0 AS x, 'a' AS c))")
    assert row["predicted_y"] is None and row["remote_model_status"].startswith("NOT_FOUND")
