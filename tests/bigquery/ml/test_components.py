"""PCA and random forests by SQL, on the penguins: against NumPy and XGBoost themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.bigquery.ml.conftest import PENGUINS

from tule.learn import runtime

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

_NUMBERS = ["culmen_length_mm", "culmen_depth_mm", "flipper_length_mm", "body_mass_g"]
_MEASURES = ", ".join(_NUMBERS)


@pytest.fixture(scope="module", autouse=True)
def trained(models: Models) -> Iterator[None]:
    models.api.query(f"CREATE TABLE d.sizes AS SELECT {_MEASURES} FROM {PENGUINS} WHERE body_mass_g > 0")
    models.train("axes", "MODEL_TYPE='PCA', NUM_PRINCIPAL_COMPONENTS=3", "SELECT * FROM d.sizes")
    models.train("share", "MODEL_TYPE='PCA', PCA_EXPLAINED_VARIANCE_RATIO=0.8", "SELECT * FROM d.sizes")
    models.train(
        "forest",
        "MODEL_TYPE='RANDOM_FOREST_CLASSIFIER', INPUT_LABEL_COLS=['species'], NUM_PARALLEL_TREE=30, "
        "ENABLE_GLOBAL_EXPLAIN=TRUE",
        f"SELECT species, {_MEASURES} FROM {PENGUINS} WHERE body_mass_g > 0",
    )
    yield


def test_components_are_the_eigenvectors(models: Models) -> None:
    rows = np.array([[row[name] for name in _NUMBERS] for row in models.ask("SELECT * FROM d.sizes")])
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0, ddof=1)
    values, vectors = np.linalg.eigh(scaled.T @ scaled / (len(rows) - 1))
    info = models.ask("SELECT * FROM ML.PRINCIPAL_COMPONENT_INFO(MODEL d.axes) ORDER BY principal_component_id")
    assert [row["eigenvalue"] for row in info] == pytest.approx(values[::-1][:3], rel=1e-9)
    assert info[0]["explained_variance_ratio"] == pytest.approx(values[-1] / values.sum(), rel=1e-9)
    assert info[2]["cumulative_explained_variance_ratio"] == pytest.approx(values[1:].sum() / values.sum(), rel=1e-9)
    found = models.ask("SELECT * FROM ML.PRINCIPAL_COMPONENTS(MODEL d.axes) WHERE principal_component_id = 0")
    loadings = np.array([next(r["numerical_value"] for r in found if r["feature"] == name) for name in _NUMBERS])
    assert abs(loadings @ vectors[:, -1]) == pytest.approx(1, abs=1e-9)
    answers = models.ask("SELECT * FROM ML.PREDICT(MODEL d.axes, TABLE d.sizes)")
    assert np.sort([row["principal_component_1"] for row in answers]) == pytest.approx(
        np.sort(scaled @ loadings), abs=1e-9
    )


def test_features_give_way_to_components_unless_they_are_kept(models: Models) -> None:
    data = "(SELECT *, 'id' AS id FROM d.sizes)"
    components = [(f"principal_component_{at}", "FLOAT") for at in (1, 2, 3)]
    assert models.columns(f"SELECT * FROM ML.PREDICT(MODEL d.axes, {data})") == [*components, ("id", "STRING")]
    kept = models.columns(f"SELECT * FROM ML.PREDICT(MODEL d.axes, {data}, STRUCT(TRUE AS keep_original_columns))")
    assert kept == [*components, *((name, "FLOAT") for name in _NUMBERS), ("id", "STRING")]


def test_a_share_of_the_variance(models: Models) -> None:
    info = models.ask("SELECT * FROM ML.PRINCIPAL_COMPONENT_INFO(MODEL d.share) ORDER BY principal_component_id")
    shares = [row["cumulative_explained_variance_ratio"] for row in info]
    assert shares[-1] >= 0.8 and all(share < 0.8 for share in shares[:-1])
    (row,) = models.ask("SELECT * FROM ML.EVALUATE(MODEL d.share)")
    assert row == {"total_explained_variance_ratio": pytest.approx(shares[-1])}
    run = models.resource("share")["trainingRuns"][-1]
    assert len(run["results"][0]["principalComponentInfos"]) == len(info)
    assert run["evaluationMetrics"]["dimensionalityReductionMetrics"]["totalExplainedVarianceRatio"] == pytest.approx(
        shares[-1]
    )


def test_rows_that_components_cannot_rebuild(models: Models) -> None:
    rows = models.ask("SELECT * FROM ML.DETECT_ANOMALIES(MODEL d.axes, STRUCT(0.1 AS contamination), TABLE d.sizes)")
    assert list(rows[0]) == ["is_anomaly", "mean_squared_error", *_NUMBERS]
    found = sum(row["is_anomaly"] for row in rows)
    assert abs(found - 0.1 * len(rows)) <= 1
    assert min(r["mean_squared_error"] for r in rows if r["is_anomaly"]) > max(
        r["mean_squared_error"] for r in rows if not r["is_anomaly"]
    )


def test_a_forest_votes(models: Models) -> None:
    (row,) = models.ask("SELECT * FROM ML.EVALUATE(MODEL d.forest)")
    assert row["accuracy"] > 0.95
    (line,) = models.ask("SELECT * FROM ML.TRAINING_INFO(MODEL d.forest)")
    assert line["iteration"] == 1
    important = models.ask("SELECT * FROM ML.FEATURE_IMPORTANCE(MODEL d.forest)")
    assert {each["feature"] for each in important} == set(_NUMBERS)
    (explained,) = models.ask(
        f"SELECT * FROM ML.EXPLAIN_PREDICT(MODEL d.forest, (SELECT {_MEASURES} FROM d.sizes LIMIT 1), "
        "STRUCT(4 AS top_k_features))"
    )
    parts = sum(each["attribution"] for each in explained["top_feature_attributions"])
    assert explained["baseline_prediction_value"] + parts == pytest.approx(explained["prediction_value"], abs=1e-4)
    assert len(models.ask("SELECT * FROM ML.GLOBAL_EXPLAIN(MODEL d.forest)")) == 4
    assert models.resource("forest")["trainingRuns"][-1]["trainingOptions"]["numParallelTree"] == "30"


def _bundle(models: Models, name: str) -> Path:
    record = models.api.app.records.get(f"projects/test-project/datasets/d/models/{name}")
    learning: Any = models.api.warehouse.queries.models
    found: Path = learning.bundles.directory(record.body["_tule"]["bundle"])
    return found


def test_an_endpoint_answers_as_sql_does(models: Models) -> None:
    rows = models.ask("SELECT * FROM d.sizes LIMIT 50")
    components = runtime.load(_bundle(models, "axes")).predict(rows)
    votes = runtime.load(_bundle(models, "forest")).predict(rows)
    for at in (0, 7, 49):
        values = ", ".join(f"{row!r} AS {name}" for name, row in rows[at].items())
        (found,) = models.ask(f"SELECT * FROM ML.PREDICT(MODEL d.axes, (SELECT {values}))")
        assert components[at]["projections"] == pytest.approx(list(found.values()), rel=1e-12)
        (voted,) = models.ask(f"SELECT * FROM ML.PREDICT(MODEL d.forest, (SELECT {values}))")
        assert votes[at]["predicted_species"] == [voted["predicted_species"]]
        assert votes[at]["species_probs"] == pytest.approx(
            [each["prob"] for each in voted["predicted_species_probs"]], rel=1e-9
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("MODEL_TYPE='PCA'", "exactly one of NUM_PRINCIPAL_COMPONENTS and PCA_EXPLAINED_VARIANCE_RATIO"),
        ("MODEL_TYPE='PCA', NUM_PRINCIPAL_COMPONENTS=9", "at most the 4 encoded columns"),
        ("MODEL_TYPE='PCA', PCA_EXPLAINED_VARIANCE_RATIO=1.5", "must be in (0, 1]"),
        ("MODEL_TYPE='PCA', NUM_PRINCIPAL_COMPONENTS=2, MAX_ITERATIONS=3", "MAX_ITERATIONS is not supported"),
        (
            "MODEL_TYPE='RANDOM_FOREST_REGRESSOR', INPUT_LABEL_COLS=['body_mass_g'], SUBSAMPLE=1.0",
            "SUBSAMPLE of a random forest must be below 1",
        ),
        (
            "MODEL_TYPE='RANDOM_FOREST_REGRESSOR', INPUT_LABEL_COLS=['body_mass_g'], NUM_PARALLEL_TREE=1",
            "Option NUM_PARALLEL_TREE must be in [2, 1000]",
        ),
        (
            "MODEL_TYPE='RANDOM_FOREST_REGRESSOR', INPUT_LABEL_COLS=['body_mass_g'], LEARN_RATE=0.1",
            "LEARN_RATE is not supported for model type RANDOM_FOREST_REGRESSOR",
        ),
    ],
)
def test_wrong_options(models: Models, options: str, message: str) -> None:
    error = models.error("bad", options, "SELECT * FROM d.sizes")
    assert error["code"] == 400 and message in error["message"]
    assert not models.exists("bad")
