"""Imported models: files of other frameworks, asked in SQL, answer what their own runtimes answer."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

_FILES = Path(__file__).parent / "files"
_ROWS = (
    "SELECT n AS id, CAST(n AS FLOAT64) AS x1, n / 3 AS x2, MOD(n, 2) = 0 AS flag FROM UNNEST(GENERATE_ARRAY(1, 40)) n"
)


@pytest.fixture(scope="module", autouse=True)
def bucket(models: Models) -> Iterator[None]:
    models.api.app.objects.buckets.create("test-project", "imports")
    models.api.query(f"CREATE TABLE d.rows AS {_ROWS}")
    yield


def put(models: Models, key: str, content: bytes) -> str:
    models.api.app.objects.put("imports", key, iter([content]), content_type="application/octet-stream")
    return f"gs://imports/{key}"


def create(models: Models, name: str, clause: str, options: str, verb: str = "CREATE") -> dict[str, Any]:
    return models.api.done(query={"query": f"{verb} MODEL d.{name} {clause} OPTIONS({options})", "useLegacySql": False})


def rows() -> np.ndarray:
    n = np.arange(1, 41, dtype=float)
    return np.column_stack([n, n / 3])


@pytest.fixture(scope="module")
def classifier(models: Models) -> Any:
    """A scikit-learn classifier as an ONNX graph that takes the columns x1 and x2."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    x = rows()
    fitted = make_pipeline(FunctionTransformer(), LogisticRegression()).fit(
        x, (x[:, 0] > 20).astype(int) + (x[:, 0] > 30)
    )
    vector = convert_sklearn(
        fitted, initial_types=[("float_input", FloatTensorType([None, 2]))], options={"zipmap": False}
    )
    maps = convert_sklearn(fitted, initial_types=[("float_input", FloatTensorType([None, 2]))])
    put(models, "onnx/model.onnx", vector.SerializeToString())
    put(models, "maps/model.onnx", maps.SerializeToString())
    create(models, "onnx", "", "MODEL_TYPE = 'ONNX', MODEL_PATH = 'gs://imports/onnx/model.onnx'")
    return fitted


def test_an_onnx_graph_answers_its_own_outputs_and_the_columns_given(models: Models, classifier: Any) -> None:
    sql = "SELECT * FROM ML.PREDICT(MODEL d.onnx, (SELECT id, [x1, x2] AS float_input FROM d.rows))"
    assert models.columns(sql) == [
        ("label", "INTEGER"), ("probabilities", "FLOAT[]"), ("id", "INTEGER"), ("float_input", "FLOAT[]")
    ]  # fmt: skip
    found = models.ask(f"{sql} ORDER BY id")
    assert [row["label"] for row in found] == classifier.predict(rows()).tolist()
    wanted = classifier.predict_proba(rows())
    assert np.array([row["probabilities"] for row in found]) == pytest.approx(wanted, abs=1e-6)


def test_the_resource_of_an_import(models: Models, classifier: Any) -> None:
    body = models.resource("onnx")
    assert body["modelType"] == "ONNX"
    assert body["trainingRuns"][-1]["trainingOptions"] == {"modelUri": "gs://imports/onnx/model.onnx"}
    assert body["featureColumns"] == [
        {"name": "float_input", "type": {"typeKind": "ARRAY", "arrayElementType": {"typeKind": "FLOAT64"}}}
    ]
    assert [each["name"] for each in body["labelColumns"]] == ["label", "probabilities"]


def test_what_a_graph_cannot_take_is_told(models: Models, classifier: Any) -> None:
    error = models.api.query_error("SELECT * FROM ML.PREDICT(MODEL d.onnx, (SELECT x1 AS float_input FROM d.rows))")
    assert error["reason"] == "invalidQuery" and "ARRAY<FLOAT64> of 2 values" in error["message"]
    error = models.api.query_error("SELECT * FROM ML.PREDICT(MODEL d.onnx, (SELECT x1 FROM d.rows))")
    assert "float_input" in error["message"]
    error = models.api.query_error("SELECT * FROM ML.PREDICT(MODEL d.onnx, (SELECT [1.0, 2.0, 3.0] AS float_input))")
    assert "must have 2 size; one has 3" in error["message"]
    error = models.api.query_error("SELECT * FROM ML.EVALUATE(MODEL d.onnx)")
    assert "ML.EVALUATE is not supported for model type ONNX" in error["message"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("MODEL_TYPE = 'ONNX'", "needs MODEL_PATH"),
        ("MODEL_TYPE = 'ONNX', MODEL_PATH = 'gs://imports/none/*'", "Not found: URI gs://imports/none/*"),
        ("MODEL_TYPE = 'ONNX', MODEL_PATH = '/tmp/model.onnx'", "MODEL_PATH must be gs://"),
        ("MODEL_TYPE = 'ONNX', MODEL_PATH = 'gs://imports/maps/model.onnx'", "zipmap=False"),
        ("MODEL_TYPE = 'ONNX', MODEL_PATH = 'gs://imports/bad/*'", "must open"),
        ("MODEL_TYPE = 'TENSORFLOW', MODEL_PATH = 'gs://imports/bad/*'", "must hold saved_model.pb"),
        ("MODEL_TYPE = 'XGBOOST', MODEL_PATH = 'gs://imports/bad/*'", "ends in .bst or .json or .ubj"),
        ("MODEL_TYPE = 'ONNX', MODEL_PATH = 'gs://imports/bad/*', MAX_ITERATIONS = 3", "Option MAX_ITERATIONS is not"),
    ],
)
def test_an_import_that_cannot_be(models: Models, classifier: Any, options: str, message: str) -> None:
    put(models, "bad/model.onnx", b"\x08\x07garbage")
    before = models.bundles()
    error = models.api.query_error(f"CREATE MODEL d.wrong OPTIONS({options})")
    assert message in error["message"]
    assert not models.exists("wrong")
    assert models.bundles() == before


def test_an_import_is_replaced_copied_and_dropped(models: Models, classifier: Any) -> None:
    path = "MODEL_TYPE = 'ONNX', MODEL_PATH = 'gs://imports/onnx/*'"
    create(models, "again", "", path)
    error = models.api.query_error(f"CREATE MODEL d.again OPTIONS({path})")
    assert error["reason"] == "duplicate"
    create(models, "again", "", path, verb="CREATE OR REPLACE")
    sql = "SELECT label FROM ML.PREDICT(MODEL d.again, (SELECT [35.0, 11.0] AS float_input))"
    assert models.ask(sql) == [{"label": 2}]
    before = models.bundles()
    models.api.query("DROP MODEL d.again")
    assert len(models.bundles()) == len(before) - 1


# -- XGBoost


@pytest.fixture(scope="module")
def boosters(models: Models) -> dict[str, Any]:
    import xgboost

    x, y = rows(), rows()[:, 0] ** 2
    named = xgboost.train(
        {"max_depth": 3}, xgboost.DMatrix(x, y, feature_names=["x1", "x2"], feature_types=["float", "q"]), 5
    )
    plain = xgboost.train({"max_depth": 3}, xgboost.DMatrix(x, y), 5)
    classes = xgboost.train(
        {"max_depth": 2, "objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(x, (x[:, 0] // 14)), 4
    )
    for name, booster, form in (("named", named, "json"), ("plain", plain, "ubj"), ("classes", classes, "ubj")):
        content = bytes(booster.save_raw(form))
        put(models, f"{name}/model.{'bst' if name == 'classes' else form}", content)
    return {"named": named, "plain": plain, "classes": classes}


def predicted(booster: Any, x: np.ndarray) -> np.ndarray:
    import xgboost

    return booster.predict(xgboost.DMatrix(x), validate_features=False)


def test_a_booster_that_knows_its_features(models: Models, boosters: dict[str, Any]) -> None:
    create(models, "named", "", "MODEL_TYPE = 'XGBOOST', MODEL_PATH = 'gs://imports/named/*'")
    sql = "SELECT * FROM ML.PREDICT(MODEL d.named, (SELECT x2, x1, id FROM d.rows))"
    assert models.columns(sql)[0] == ("predicted_label", "FLOAT")
    found = [row["predicted_label"] for row in models.ask(f"{sql} ORDER BY id")]
    assert found == predicted(boosters["named"], rows()).tolist()
    used = models.ask("SELECT feature, importance_weight FROM ML.FEATURE_IMPORTANCE(MODEL d.named) ORDER BY 1")
    weights = boosters["named"].get_score(importance_type="weight")
    assert used == [{"feature": name, "importance_weight": int(weights.get(name, 0))} for name in ("x1", "x2")]


def test_boosters_with_input_and_output(models: Models, boosters: dict[str, Any]) -> None:
    create(
        models, "plain", "INPUT(a FLOAT64, b FLOAT64) OUTPUT(y FLOAT64)",
        "MODEL_TYPE = 'XGBOOST', MODEL_PATH = 'gs://imports/plain/model.ubj'",
    )  # fmt: skip
    found = models.ask("SELECT y FROM ML.PREDICT(MODEL d.plain, (SELECT CAST(NULL AS FLOAT64) AS a, 3 AS b))")
    assert found[0]["y"] == predicted(boosters["plain"], np.array([[np.nan, 3.0]]))[0]


def test_a_booster_of_several_classes(models: Models, boosters: dict[str, Any]) -> None:
    create(
        models, "classes", "INPUT(a FLOAT64, b FLOAT64) OUTPUT(p ARRAY<FLOAT64>)",
        "MODEL_TYPE = 'XGBOOST', MODEL_PATH = 'gs://imports/classes/*'",
    )  # fmt: skip
    found = models.ask(
        "SELECT p FROM ML.PREDICT(MODEL d.classes, (SELECT x1 AS a, x2 AS b, id FROM d.rows)) ORDER BY id"
    )
    assert [row["p"] for row in found] == predicted(boosters["classes"], rows()).tolist()


@pytest.mark.parametrize(
    ("clause", "key", "message"),
    [
        ("", "plain", "unless its file has feature_names and feature_types"),
        ("INPUT(a FLOAT64, b FLOAT64) OUTPUT(y FLOAT64)", "named", "as the file does: x1, x2"),
        ("INPUT(a FLOAT64, b FLOAT64) OUTPUT(y FLOAT64)", "classes", "OUTPUT(predicted_label ARRAY<FLOAT64>)"),
        ("INPUT(a STRING, b FLOAT64) OUTPUT(y FLOAT64)", "plain", "must be numbers"),
        ("INPUT(a FLOAT64, b FLOAT64)", "plain", "INPUT and OUTPUT go together"),
        ("INPUT(a DATE, b FLOAT64) OUTPUT(y FLOAT64)", "plain", "must be BOOL, STRING, INT64, FLOAT64"),
    ],
)
def test_a_booster_that_does_not_fit_its_clauses(
    models: Models, boosters: dict[str, Any], clause: str, key: str, message: str
) -> None:
    error = models.api.query_error(
        f"CREATE MODEL d.wrong {clause} OPTIONS(MODEL_TYPE = 'XGBOOST', MODEL_PATH = 'gs://imports/{key}/*')"
    )
    assert message in error["message"]
    assert not models.exists("wrong")


def test_a_pickle_is_no_booster(models: Models) -> None:
    import pickle

    put(models, "pickle/model.bst", pickle.dumps({"a": 1}))
    clause = "INPUT(a FLOAT64) OUTPUT(y FLOAT64)"
    error = models.api.query_error(
        f"CREATE MODEL d.wrong {clause} OPTIONS(MODEL_TYPE = 'XGBOOST', MODEL_PATH = 'gs://imports/pickle/*')"
    )
    assert "model.bst" in error["message"]


# -- in the model registry


_PLACE = "projects/test-project/locations/us-central1"


def served(models: Models, name: str, instances: list[Any]) -> list[Any]:
    answers, _ = models.api.app.endpoints.router.predict(models.deploy(name), instances)
    return answers


def test_a_registered_graph_is_deployed_and_answers_as_in_sql(models: Models, classifier: Any) -> None:
    options = "MODEL_TYPE = 'ONNX', MODEL_PATH = 'gs://imports/onnx/*', MODEL_REGISTRY = 'VERTEX_AI'"
    named = "VERTEX_AI_MODEL_ID = 'net', VERTEX_AI_MODEL_VERSION_ALIASES = ['best']"
    create(models, "kept", "", f"{options}, {named}")
    run = models.resource("kept")["trainingRuns"][-1]
    assert (run["vertexAiModelId"], run["vertexAiModelVersion"]) == ("net", "1")
    version = models.api.app.models.get(f"{_PLACE}/models/net@best")
    assert version.message["modelSourceInfo"] == {"sourceType": "BQML"} and version.artifact.format == "onnx"
    sql = "SELECT label, probabilities FROM ML.PREDICT(MODEL d.kept, (SELECT id, [x1, x2] AS float_input FROM d.rows))"
    found = served(models, "net", [{"float_input": row} for row in rows().tolist()])
    assert found == models.ask(f"{sql} ORDER BY id")
    error = models.api.query_error("DROP MODEL d.kept")
    assert "deployed" in error["message"] and models.exists("kept")


def test_boosters_are_registered_later_or_at_once(models: Models, boosters: dict[str, Any]) -> None:
    path = "MODEL_TYPE = 'XGBOOST', MODEL_PATH = 'gs://imports/{}/*'"
    create(models, "early", "", path.format("named") + ", MODEL_REGISTRY = 'VERTEX_AI'")
    clause = "INPUT(a FLOAT64, b FLOAT64) OUTPUT(p ARRAY<FLOAT64>)"
    create(models, "late", clause, path.format("classes"))
    models.api.query("ALTER MODEL d.late SET OPTIONS (vertex_ai_model_id = 'late-one')")
    assert models.resource("late")["trainingRuns"][-1]["vertexAiModelId"] == "late-one"
    named = [dict(zip(("x1", "x2"), row, strict=True)) for row in rows().tolist()]
    sql = "SELECT predicted_label AS y FROM ML.PREDICT(MODEL d.early, TABLE d.rows) ORDER BY id"
    assert served(models, "early", named) == [row["y"] for row in models.ask(sql)]
    sql = "SELECT p FROM ML.PREDICT(MODEL d.late, (SELECT x1 AS a, x2 AS b, id FROM d.rows)) ORDER BY id"
    assert served(models, "late-one", rows().tolist()) == [row["p"] for row in models.ask(sql)]
    create(models, "early", "", path.format("named") + ", MODEL_REGISTRY = 'VERTEX_AI'", verb="CREATE OR REPLACE")
    assert models.resource("early")["trainingRuns"][-1]["vertexAiModelVersion"] == "2"


def test_a_lite_graph_at_an_endpoint(models: Models) -> None:
    put(models, "small/model.tflite", (_FILES / "two_outputs.tflite").read_bytes())
    path = "MODEL_TYPE = 'TENSORFLOW_LITE', MODEL_PATH = 'gs://imports/small/*', MODEL_REGISTRY = 'VERTEX_AI'"
    create(models, "small", "", path)
    found = served(models, "small", [{"x": row, "b": 0.5} for row in rows().tolist()])
    sql = "SELECT y, s FROM ML.PREDICT(MODEL d.small, (SELECT id, [x1, x2] AS x, 0.5 AS b FROM d.rows)) ORDER BY id"
    assert found == models.ask(sql)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("MODEL_REGISTRY = 'VERTEX_AI', VERTEX_AI_MODEL_ID = 'Not So'", "VERTEX_AI_MODEL_ID must have 1 to 63"),
        ("VERTEX_AI_MODEL_ID = 'net-b'", "MODEL_REGISTRY"),
        ("MODEL_REGISTRY = 'SHELF'", "must be one of VERTEX_AI"),
    ],
)
def test_a_registration_that_cannot_be(models: Models, classifier: Any, options: str, message: str) -> None:
    path = f"MODEL_TYPE = 'ONNX', MODEL_PATH = 'gs://imports/onnx/*', {options}"
    before = models.bundles()
    error = models.api.query_error(f"CREATE MODEL d.unregistered OPTIONS({path})")
    assert message in error["message"]
    assert not models.exists("unregistered") and models.bundles() == before


# -- TensorFlow


def test_a_tensorflow_lite_graph(models: Models) -> None:
    """x (n, 2) and b (n,) become y = x [[1, 2], [3, 4]] and s = x1 + x2 + b."""
    put(models, "lite/model.tflite", (_FILES / "two_outputs.tflite").read_bytes())
    create(models, "lite", "", "MODEL_TYPE = 'TENSORFLOW_LITE', MODEL_PATH = 'gs://imports/lite/*'")
    sql = "SELECT * FROM ML.PREDICT(MODEL d.lite, (SELECT id, [x1, x2] AS x, 0.5 AS b FROM d.rows)) ORDER BY id"
    found = models.ask(sql)
    x = rows()
    assert np.array([row["y"] for row in found]) == pytest.approx(x @ np.array([[1.0, 2.0], [3.0, 4.0]]), rel=1e-6)
    assert [row["s"] for row in found] == pytest.approx(x.sum(axis=1) + 0.5, rel=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is installed")
def test_a_saved_model_names_the_package_that_it_needs(models: Models) -> None:
    put(models, "saved/saved_model.pb", b"")
    error = models.api.query_error(
        "CREATE MODEL d.saved OPTIONS(MODEL_TYPE='TENSORFLOW', MODEL_PATH='gs://imports/saved/*')"
    )
    assert "tensorflow-cpu is not installed" in error["message"]
    assert not models.exists("saved")


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_a_saved_model(models: Models, tmp_path: Path) -> None:
    import tensorflow

    class Doubled(tensorflow.Module):  # type: ignore[misc, name-defined, unused-ignore]
        @tensorflow.function(input_signature=[tensorflow.TensorSpec([None, 2], tensorflow.float32, name="x")])
        def __call__(self, x: Any) -> dict[str, Any]:
            return {"twice": 2.0 * x, "word": tensorflow.strings.as_string(x[:, 0], precision=1)}

    made = Doubled()
    tensorflow.saved_model.save(made, str(tmp_path / "m"), signatures={"serving_default": made.__call__})
    for path in (tmp_path / "m").rglob("*"):
        if path.is_file():
            put(models, f"tf/{path.relative_to(tmp_path / 'm')}", path.read_bytes())
    create(
        models, "tf", "", "MODEL_TYPE = 'TENSORFLOW', MODEL_PATH = 'gs://imports/tf/*', MODEL_REGISTRY = 'VERTEX_AI'"
    )
    found = models.ask("SELECT twice, word FROM ML.PREDICT(MODEL d.tf, (SELECT [1.5, 2.0] AS x))")
    assert found == [{"twice": [3.0, 4.0], "word": "1.5"}]
    assert served(models, "tf", [{"x": [1.5, 2.0]}]) == found


def test_files_that_say_too_much(models: Models) -> None:
    """A key must not lead out of the model's folder."""
    put(models, "evil/../../up.onnx", b"x")
    error = models.api.query_error(
        "CREATE MODEL d.evil OPTIONS(MODEL_TYPE = 'ONNX', MODEL_PATH = 'gs://imports/evil/*')"
    )
    assert "plain names" in error["message"] or "must" in error["message"]
    assert json.dumps(error)
    assert not models.exists("evil")
