"""Neural networks by SQL: deep, wide and deep, and autoencoders, on the penguins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.bigquery.ml.conftest import PENGUINS

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

_NUMBERS = "culmen_length_mm, culmen_depth_mm, flipper_length_mm, body_mass_g"
_DEEP = "HIDDEN_UNITS=[16, 8], LEARN_RATE=0.02, BATCH_SIZE=16, EARLY_STOP=FALSE, MAX_ITERATIONS=15"


@pytest.fixture(scope="module", autouse=True)
def trained(models: Models) -> Iterator[None]:
    models.api.query(f"CREATE TABLE d.birds AS SELECT * FROM {PENGUINS} WHERE sex IN ('MALE', 'FEMALE')")
    for name, model_type, label in (
        ("deep", "DNN_CLASSIFIER", "species"),
        ("wide", "DNN_LINEAR_COMBINED_CLASSIFIER", "sex"),
        ("mass", "DNN_REGRESSOR", "body_mass_g"),
    ):
        options = f"MODEL_TYPE='{model_type}', INPUT_LABEL_COLS=['{label}'], ENABLE_GLOBAL_EXPLAIN=TRUE, {_DEEP}"
        if name == "wide":
            options = options.replace("LEARN_RATE=0.02", "LEARN_RATE=[STRUCT('dnn', 0.02), STRUCT('linear', 0.1)]")
        models.train(name, options, "SELECT * FROM d.birds")
    models.train(
        "code",
        "MODEL_TYPE='AUTOENCODER', HIDDEN_UNITS=[12, 2, 12], ACTIVATION_FN='TANH', LEARN_RATE=0.01, MAX_ITERATIONS=40, "
        "EARLY_STOP=FALSE",
        f"SELECT {_NUMBERS} FROM d.birds",
    )
    yield


def test_networks_learn_and_are_measured(models: Models) -> None:
    assert models.ask("SELECT accuracy FROM ML.EVALUATE(MODEL d.deep)")[0]["accuracy"] > 0.95
    assert models.ask("SELECT accuracy FROM ML.EVALUATE(MODEL d.wide)")[0]["accuracy"] > 0.85
    assert models.ask("SELECT r2_score FROM ML.EVALUATE(MODEL d.mass)")[0]["r2_score"] > 0.75
    history = models.ask("SELECT * FROM ML.TRAINING_INFO(MODEL d.mass) ORDER BY iteration")
    assert len(history) == 15 and history[-1]["loss"] < history[0]["loss"] / 2


def test_predictions_and_explanations_have_the_columns_of_every_classifier(models: Models) -> None:
    names = [name for name, _ in models.columns("SELECT * FROM ML.PREDICT(MODEL d.deep, TABLE d.birds)")]
    assert names[:3] == ["predicted_species", "predicted_species_probs", "species"]
    rows = models.ask(
        "SELECT * FROM ML.EXPLAIN_PREDICT(MODEL d.mass, TABLE d.birds, "
        "STRUCT(6 AS top_k_features, 200 AS integrated_gradients_num_steps))"
    )
    for row in rows:
        found = row["baseline_prediction_value"] + sum(each["attribution"] for each in row["top_feature_attributions"])
        assert found == pytest.approx(row["prediction_value"], rel=0.02)
        assert row["prediction_value"] == pytest.approx(row["predicted_body_mass_g"])
    assert len(models.ask("SELECT * FROM ML.GLOBAL_EXPLAIN(MODEL d.wide)")) == 6


def test_options_come_back_as_they_took_effect(models: Models) -> None:
    options = models.resource("wide")["trainingRuns"][-1]["trainingOptions"]
    assert (options["hiddenUnits"], options["batchSize"], options["activationFn"]) == (["16", "8"], "16", "RELU")
    models.train("usual", "MODEL_TYPE='DNN_REGRESSOR', INPUT_LABEL_COLS=['body_mass_g']", "SELECT * FROM d.birds")
    usual = models.resource("usual")["trainingRuns"][-1]["trainingOptions"]
    assert (usual["hiddenUnits"], usual["batchSize"], usual["optimizer"]) == (["2"], "32", "ADAM")


def test_an_autoencoder_narrows_rebuilds_and_finds_what_it_cannot_rebuild(models: Models) -> None:
    assert models.columns("SELECT * FROM ML.PREDICT(MODEL d.code, TABLE d.birds)")[:3] == [
        ("latent_col_1", "FLOAT"), ("latent_col_2", "FLOAT"), ("species", "STRING")
    ]  # fmt: skip
    (row,) = models.ask("SELECT * FROM ML.EVALUATE(MODEL d.code)")
    assert list(row) == ["mean_absolute_error", "mean_squared_error", "mean_squared_log_error"]
    losses = models.ask("SELECT AVG(mean_squared_error) AS m FROM ML.RECONSTRUCTION_LOSS(MODEL d.code, TABLE d.birds)")
    assert losses[0]["m"] == pytest.approx(row["mean_squared_error"], rel=1e-9) and losses[0]["m"] < 0.5
    strange = (
        "(SELECT 10.0 AS culmen_length_mm, 40.0 AS culmen_depth_mm, 100.0 AS flipper_length_mm, 9000.0 AS body_mass_g)"
    )
    (found,) = models.ask(f"SELECT * FROM ML.DETECT_ANOMALIES(MODEL d.code, STRUCT(0.05 AS contamination), {strange})")
    assert found["is_anomaly"] is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("MODEL_TYPE='DNN_REGRESSOR', HIDDEN_UNITS=[]", "Option HIDDEN_UNITS must be whole numbers"),
        ("MODEL_TYPE='DNN_REGRESSOR', OPTIMIZER='NEWTON'", "Option OPTIMIZER must be one of ADAM"),
        ("MODEL_TYPE='DNN_REGRESSOR', L2_REG=0.1", "L1_REG and L2_REG need OPTIMIZER ADAGRAD, FTRL, SGD"),
        ("MODEL_TYPE='DNN_REGRESSOR', INTEGRATED_GRADIENTS_NUM_STEPS=5", "needs ENABLE_GLOBAL_EXPLAIN = TRUE"),
        (
            "MODEL_TYPE='DNN_LINEAR_COMBINED_REGRESSOR', OPTIMIZER=[STRUCT('deep', 'ADAM')]",
            "must be one value, or STRUCT('dnn', value)",
        ),
        ("MODEL_TYPE='DNN_REGRESSOR', WARM_START=TRUE", "WARM_START = TRUE needs a model to go on from"),
    ],
)
def test_wrong_options(models: Models, options: str, message: str) -> None:
    error = models.error("bad", f"{options}, INPUT_LABEL_COLS=['body_mass_g']", "SELECT * FROM d.birds")
    assert error["code"] == 400 and message in error["message"]
    assert not models.exists("bad")


def test_what_is_not_for_networks(models: Models) -> None:
    call = "ML.EXPLAIN_PREDICT(MODEL d.code, TABLE d.birds)"
    assert "is not supported for model type AUTOENCODER" in models.api.query_error(f"SELECT * FROM {call}")["message"]
    call = "ML.RECONSTRUCTION_LOSS(MODEL d.deep, TABLE d.birds)"
    assert (
        "is not supported for model type DNN_CLASSIFIER" in models.api.query_error(f"SELECT * FROM {call}")["message"]
    )
