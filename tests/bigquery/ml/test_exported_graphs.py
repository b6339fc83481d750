"""EXPORT MODEL as ONNX: ONNX Runtime answers the training rows as ML.PREDICT does, and so does the graph once imported."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tule.learn.search import automl
from tule.learn.search.portfolio import Candidate, Problem

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

# Columns of every kind that has a form: numbers, texts, booleans, dates, moments and vectors, with NULL.
_ROWS = """
SELECT n AS id, IF(MOD(n, 9) = 0, NULL, SIN(n) * 10) AS x, MOD(n, 7) AS k,
  IF(MOD(n, 11) = 0, NULL, ['a', 'b', 'ü'][MOD(n, 3)]) AS c, MOD(n, 2) = 0 AS b,
  DATE_ADD(DATE '2024-01-01', INTERVAL MOD(n, 5) DAY) AS d,
  TIMESTAMP_ADD(TIMESTAMP '1999-12-28 05:00:00+00', INTERVAL n * 311 MINUTE) AS t, [COS(n), MOD(n, 4) / 2] AS v,
  n * 0.5 + MOD(n, 3) * 20 AS y, ['low', 'mid', 'top'][MOD(n, 3)] AS label, n > 60 AS big
FROM UNNEST(GENERATE_ARRAY(1, 120)) AS n
"""
_FEATURES = "x, k, c, b, d, t, v"
# The same columns as the graph takes them.
_INPUTS = """id, x, CAST(k AS FLOAT64) AS k, IFNULL(c, '_null_filler') AS c, CAST(b AS STRING) AS b, CAST(d AS STRING) AS d,
  CAST(UNIX_SECONDS(t) AS FLOAT64) AS t, v"""

_MODELS: dict[str, tuple[str, str, str]] = {
    "line": ("MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y']", f"{_FEATURES}, y", "predicted_y"),
    "binary": ("MODEL_TYPE='LOGISTIC_REG', INPUT_LABEL_COLS=['big'], L2_REG=1", f"{_FEATURES}, big", "predicted_big"),
    "several": ("MODEL_TYPE='LOGISTIC_REG', L2_REG=1", f"{_FEATURES}, label", "predicted_label"),
    "tree": ("MODEL_TYPE='BOOSTED_TREE_REGRESSOR', INPUT_LABEL_COLS=['y']", f"{_FEATURES}, y", "predicted_y"),
    "dart": (
        "MODEL_TYPE='BOOSTED_TREE_CLASSIFIER', BOOSTER_TYPE='DART', DROPOUT=0.2, CATEGORY_ENCODING_METHOD='LABEL_ENCODING'",
        f"{_FEATURES}, label", "predicted_label",
    ),
    "forest": (
        "MODEL_TYPE='RANDOM_FOREST_CLASSIFIER', INPUT_LABEL_COLS=['big'], NUM_PARALLEL_TREE=8", f"{_FEATURES}, big",
        "predicted_big",
    ),
    "groups": ("MODEL_TYPE='KMEANS', NUM_CLUSTERS=4", _FEATURES, "CENTROID_ID"),
    "parts": ("MODEL_TYPE='PCA', NUM_PRINCIPAL_COMPONENTS=2", _FEATURES, "principal_component_1"),
    "deep": ("MODEL_TYPE='DNN_CLASSIFIER', MAX_ITERATIONS=2, ACTIVATION_FN='ELU'", f"{_FEATURES}, label", "predicted_label"),
    "wide": (
        "MODEL_TYPE='DNN_LINEAR_COMBINED_REGRESSOR', INPUT_LABEL_COLS=['y'], MAX_ITERATIONS=2", f"{_FEATURES}, y",
        "predicted_y",
    ),
    "codes": ("MODEL_TYPE='AUTOENCODER', HIDDEN_UNITS=[6, 2, 6], MAX_ITERATIONS=2", _FEATURES, "latent_col_2"),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def bucket(models: Models) -> Iterator[None]:
    models.api.app.objects.buckets.create("test-project", "graphs")
    models.api.query(f"CREATE TABLE d.rows AS {_ROWS}")
    yield


def exported(models: Models, name: str) -> bytes:
    models.api.query(f"EXPORT MODEL d.{name} OPTIONS(URI = 'gs://graphs/{name}')")
    content: bytes = models.api.app.objects.path("graphs", f"{name}/onnx/model.onnx").read_bytes()
    return content


def answers(content: bytes, rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """What ONNX Runtime itself answers."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    feeds = {}
    for each in session.get_inputs():
        values = [row[each.name] for row in rows]
        text = each.type == "tensor(string)"
        feeds[each.name] = np.array(values, object) if text else np.array([np.nan if v is None else v for v in values])
    found = session.run(None, feeds)
    return {each.name: values for each, values in zip(session.get_outputs(), found, strict=True)}


@pytest.mark.parametrize("name", _MODELS)
def test_a_graph_answers_as_its_model(models: Models, name: str) -> None:
    options, columns, first = _MODELS[name]
    models.train(name, options, f"SELECT {columns} FROM d.rows")
    content = exported(models, name)
    own = models.ask(f"SELECT * FROM ML.PREDICT(MODEL d.{name}, (SELECT id, {_FEATURES} FROM d.rows), "
                     f"STRUCT({'TRUE AS keep_original_columns' if name == 'parts' else ''})) ORDER BY id")  # fmt: skip
    found = answers(content, models.ask(f"SELECT {_INPUTS} FROM d.rows ORDER BY id"))
    if isinstance(own[0][first], float):
        assert found[first] == pytest.approx(np.array([row[first] for row in own]), rel=2e-6, abs=2e-6)
    else:
        assert found[first].tolist() == [row[first] for row in own]
    if f"{first}_probs" in found:
        wanted = np.array([[pair["prob"] for pair in row[f"{first}_probs"]] for row in own])
        assert found[f"{first}_probs"] == pytest.approx(wanted, abs=2e-6)


def every_kind(problem: Problem) -> list[Candidate]:
    """A part of each family that a search tries, quickly trained."""
    stem, linear = ("classifier", "logistic") if problem.classes else ("regressor", "linear")
    trees = {"max_iterations": 5, "early_stop": False, "learn_rate": 0.3}
    found = [
        Candidate(
            f"boosted_tree_{stem}",
            {**trees, "category_encoding_method": each},
            problem.classes == 0 and each != "LABEL_ENCODING",
        )
        for each in ("LABEL_ENCODING", "ONE_HOT_ENCODING", "TARGET_ENCODING")
    ]
    network = Candidate(f"dnn_{stem}", {"hidden_units": [6], "max_iterations": 2})
    return [*found, Candidate(f"{linear}_regression", {"l2_reg": 1e-3}), network]


@pytest.mark.parametrize("label", ["y", "label", "big"])
def test_a_blend_is_exported(models: Models, monkeypatch: pytest.MonkeyPatch, label: str) -> None:
    """The parts of an automatic search as one graph: trees, linear models and networks over the same inputs."""
    monkeypatch.setattr(automl._Search, "_candidates", lambda search: iter(every_kind(search._problem)))
    monkeypatch.setattr(automl, "greedy", lambda found, actual, score: np.full(len(found), 1 / len(found)))
    monkeypatch.setattr(automl, "FOLDS", 2)
    monkeypatch.setattr(automl, "FOLDS_OF_MANY_CLASSES", 2)
    name, kind = f"blend_{label}", "REGRESSOR" if label == "y" else "CLASSIFIER"
    columns, options = "x, k, c, b, d, t", f"MODEL_TYPE='AUTOML_{kind}', INPUT_LABEL_COLS=['{label}']"
    models.train(name, options, f"SELECT {columns}, {label} FROM ({_ROWS.replace('120', '1100')})")
    assert len(models.opened(name).model.parts) >= 5  # type: ignore[attr-defined]
    found = answers(exported(models, name), models.ask(f"SELECT {_INPUTS} FROM d.rows ORDER BY id"))
    own = models.ask(f"SELECT * FROM ML.PREDICT(MODEL d.{name}, (SELECT id, {columns} FROM d.rows)) ORDER BY id")
    first = f"predicted_{label}"
    if label == "y":
        assert found[first] == pytest.approx(np.array([row[first] for row in own]), rel=2e-6, abs=2e-6)
    else:
        wanted = np.array([[pair["prob"] for pair in row[f"{first}_probs"]] for row in own])
        assert found[f"{first}_probs"] == pytest.approx(wanted, abs=2e-6)
        assert found[first].tolist() == [row[first] for row in own]


@pytest.mark.parametrize("name", ["several", "groups"])
def test_an_exported_graph_is_imported(models: Models, name: str) -> None:
    options, columns, first = _MODELS[name]
    models.train(f"again_{name}", options, f"SELECT {columns} FROM d.rows")
    exported(models, f"again_{name}")
    path = f"gs://graphs/again_{name}/onnx/model.onnx"
    models.api.query(f"CREATE MODEL d.in_{name} OPTIONS(MODEL_TYPE = 'ONNX', MODEL_PATH = '{path}')")
    sql = "SELECT {} AS answer FROM ML.PREDICT(MODEL d.{}, (SELECT {} FROM d.rows)) ORDER BY id"
    own = models.ask(sql.format(f"id, {first}", f"again_{name}", f"id, {_FEATURES}"))
    assert models.ask(sql.format(f"id, {first}", f"in_{name}", _INPUTS)) == own


def test_ratings(models: Models) -> None:
    query = "SELECT CONCAT('u', MOD(id, 9)) AS user, MOD(id * 7, 11) AS item, MOD(id, 5) AS rating FROM d.rows"
    models.train("ratings", "MODEL_TYPE='MATRIX_FACTORIZATION', NUM_FACTORS=3, MAX_ITERATIONS=4", query)
    pairs = models.ask(
        "SELECT 'u3' AS user, 4 AS item UNION ALL SELECT 'u8', 0 UNION ALL SELECT 'new', 99 ORDER BY user"
    )
    own = models.ask(
        "SELECT predicted_rating FROM ML.PREDICT(MODEL d.ratings, (SELECT 'u3' AS user, 4 AS item UNION ALL SELECT 'u8', 0 "
        "UNION ALL SELECT 'new', 99)) ORDER BY user"
    )
    found = answers(exported(models, "ratings"), pairs)
    assert found["predicted_rating"] == pytest.approx(np.array([row["predicted_rating"] for row in own]), rel=1e-12)


def test_a_graph_is_a_format_of_extract_jobs(models: Models) -> None:
    models.train("alone", "MODEL_TYPE='BOOSTED_TREE_REGRESSOR', INPUT_LABEL_COLS=['y']", "SELECT x, y FROM d.rows")
    reference = {"projectId": "test-project", "datasetId": "d", "modelId": "alone"}
    extract = {"sourceModel": reference, "destinationUris": ["gs://graphs/alone"], "destinationFormat": "ML_ONNX"}
    models.api.done(extract=extract)
    found = models.api.app.objects.list("graphs", prefix="alone/").objects
    assert [each.key for each in found] == ["alone/onnx/model.onnx"]


@pytest.mark.parametrize(
    ("options", "columns", "message"),
    [
        ("MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y']", "[c] AS tags, y", "An array of categories"),
        (
            "MODEL_TYPE='ARIMA_PLUS', TIME_SERIES_TIMESTAMP_COL='t', TIME_SERIES_DATA_COL='y'",
            "t, y",
            "cannot be exported",
        ),
    ],
)
def test_what_has_no_form_is_told(models: Models, options: str, columns: str, message: str) -> None:
    models.train("formless", options, f"SELECT {columns} FROM d.rows WHERE c IS NOT NULL", verb="CREATE OR REPLACE")
    error = models.api.query_error("EXPORT MODEL d.formless OPTIONS(URI = 'gs://graphs/formless')")
    assert message in error["message"]
    assert not models.api.app.objects.list("graphs", prefix="formless/").objects


# -- a TRANSFORM within the graph


_HOT = "ML.ONE_HOT_ENCODER(c, 'most_frequent') OVER () AS c_hot,"
_CLAUSE = """ML.STANDARD_SCALER(x) OVER () AS x, ML.MIN_MAX_SCALER(k) OVER () AS k_small,
  ML.ROBUST_SCALER(x) OVER () AS x_robust, ML.MAX_ABS_SCALER(k) OVER () AS k_share, ML.IMPUTER(x, 'mean') OVER () AS x_full,
  ML.IMPUTER(c, 'most_frequent') OVER () AS c_full, ML.QUANTILE_BUCKETIZE(x, 4) OVER () AS x_quarter,
  ML.BUCKETIZE(k, [1, 3, 5]) AS k_bin, ML.FEATURE_CROSS(STRUCT(c, b)) AS crossed,
  ML.POLYNOMIAL_EXPAND(STRUCT(k, x), 2) AS powers, ML.LABEL_ENCODER(c) OVER () AS c_code,
  IF(x > 2 AND NOT b, k * 2 - 1, COALESCE(x, 0) / 4) AS chosen,
  CASE WHEN x IS NULL THEN 'none' WHEN k >= 4 OR c = 'a' THEN 'up' END AS word, ABS(x) AS size, d, t,"""
_TRANSFORMED = {
    "line": ("MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y']", "y", f"{_HOT} {_CLAUSE}"),
    "several": ("MODEL_TYPE='LOGISTIC_REG', L2_REG=1", "label", f"{_HOT} {_CLAUSE}"),
    "tree": ("MODEL_TYPE='BOOSTED_TREE_REGRESSOR', INPUT_LABEL_COLS=['y']", "y", f"{_HOT} {_CLAUSE}"),
    "deep": ("MODEL_TYPE='DNN_CLASSIFIER', MAX_ITERATIONS=2", "label", _CLAUSE),
}


@pytest.mark.parametrize("name", _TRANSFORMED)
def test_a_transform_is_part_of_the_graph(models: Models, name: str) -> None:
    options, label, clause = _TRANSFORMED[name]
    models.train(
        f"made_{name}", options, f"SELECT x, k, c, b, d, t, {label} FROM d.rows", transform=f"{clause} {label}"
    )
    rows = models.ask(f"SELECT {_INPUTS} FROM d.rows ORDER BY id")
    found = answers(exported(models, f"made_{name}"), rows)
    sql = f"SELECT * FROM ML.PREDICT(MODEL d.made_{name}, (SELECT id, x, k, c, b, d, t FROM d.rows)) ORDER BY id"
    own = models.ask(sql)
    first = f"predicted_{label}"
    if label == "y":
        assert found[first] == pytest.approx(np.array([row[first] for row in own]), rel=2e-6, abs=2e-6)
    else:
        wanted = np.array([[pair["prob"] for pair in row[f"{first}_probs"]] for row in own])
        assert found[f"{first}_probs"] == pytest.approx(wanted, abs=2e-6)
        assert found[first].tolist() == [row[first] for row in own]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("ML.HASH_BUCKETIZE(c, 4) AS h", "TULE_HASH_BUCKETIZE"),
        ("EXTRACT(DAYOFWEEK FROM d) AS h", "EXTRACT"),
        ("CAST(x AS STRING) AS h", "CAST of a number"),
    ],
)
def test_a_transform_without_a_form_is_told(models: Models, item: str, message: str) -> None:
    options = "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y']"
    columns = "SELECT x, c, d, y FROM d.rows"
    models.train("formless", options, columns, transform=f"{item}, y", verb="CREATE OR REPLACE")
    error = models.api.query_error("EXPORT MODEL d.formless OPTIONS(URI = 'gs://graphs/formless')")
    assert "TRANSFORM with" in error["message"] and message in error["message"]
    assert not models.api.app.objects.list("graphs", prefix="formless/").objects


def test_wide_trees_know_absent_categories(models: Models) -> None:
    """Of many categories the columns of one value are missing where it is absent."""
    rows = "(SELECT id + n * 120 AS id, x, y FROM d.rows, UNNEST(GENERATE_ARRAY(0, 11)) AS n)"
    many = f"SELECT CONCAT('c', MOD(id * 37, 997)) AS c, x, y + MOD(id * 37, 997) AS y FROM {rows}"
    models.train("broad", "MODEL_TYPE='BOOSTED_TREE_REGRESSOR', INPUT_LABEL_COLS=['y']", many)
    given = models.ask(f"SELECT c, x FROM ({many}) ORDER BY c, x")
    own = models.ask(f"SELECT predicted_y FROM ML.PREDICT(MODEL d.broad, ({many})) ORDER BY c, x")
    found = answers(exported(models, "broad"), given)
    assert found["predicted_y"] == pytest.approx(np.array([row["predicted_y"] for row in own]), rel=2e-6, abs=2e-6)


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
@pytest.mark.parametrize("name", ["line", "several", "groups", "parts", "deep", "wide", "codes", "clause"])
def test_a_saved_model_answers_as_the_graph_beside_it(models: Models, tmp_path: Path, name: str) -> None:
    import tensorflow

    if name == "clause":
        options, label, clause = _TRANSFORMED["line"]
        columns, transform = "x, k, c, b, d, t, y", f"{clause} {label}"
    else:
        (options, columns, _), transform = _MODELS[name], ""
    models.train(f"saved_{name}", options, f"SELECT {columns} FROM d.rows", transform=transform)
    rows = models.ask(f"SELECT {_INPUTS} FROM d.rows ORDER BY id")
    wanted = answers(exported(models, f"saved_{name}"), rows)
    for each in models.api.app.objects.list("graphs", prefix=f"saved_{name}/").objects:
        path = tmp_path / each.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(models.api.app.objects.path("graphs", each.key).read_bytes())
    serve = tensorflow.saved_model.load(str(tmp_path / f"saved_{name}")).signatures["serving_default"]
    feeds = {}
    for key, spec in serve.structured_input_signature[1].items():
        values = [row[key] for row in rows]
        given = values if spec.dtype == tensorflow.string else [np.nan if v is None else v for v in values]
        feeds[key] = tensorflow.constant(given, spec.dtype)
    found = serve(**feeds)
    assert set(found) == set(wanted)
    for key, values in wanted.items():
        if values.dtype.kind == "f":
            assert found[key].numpy() == pytest.approx(values, rel=1e-9, abs=1e-9)
        else:
            texts = [each.decode() if isinstance(each, bytes) else each for each in found[key].numpy().tolist()]
            assert texts == values.tolist()


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is installed")
def test_a_saved_model_needs_tensorflow(models: Models) -> None:
    models.train("plain", "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y']", "SELECT x, y FROM d.rows")
    reference = {"projectId": "test-project", "datasetId": "d", "modelId": "plain"}
    extract = {"sourceModel": reference, "destinationUris": ["gs://graphs/plain"]}
    job = models.api.job(extract={**extract, "destinationFormat": "ML_TF_SAVED_MODEL"})
    assert "pip install 'tule[tensorflow]'" in job["status"]["errorResult"]["message"]
    assert not models.api.app.objects.list("graphs", prefix="plain/").objects
