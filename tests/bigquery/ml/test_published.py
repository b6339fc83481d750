"""Numbers that the service published for its public penguins table, asked for in the words of its tutorials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.bigquery.ml.conftest import PENGUINS

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models


@pytest.fixture(scope="module", autouse=True)
def tutorial(models: Models) -> Iterator[None]:
    models.api.query(
        f"CREATE OR REPLACE MODEL `d.penguins_model` OPTIONS (model_type='linear_reg', "
        f"input_label_cols=['body_mass_g']) "
        f"AS SELECT * FROM {PENGUINS} WHERE body_mass_g IS NOT NULL"
    )
    yield


def test_evaluation_of_the_linear_tutorial(models: Models) -> None:
    (row,) = models.ask(
        f"SELECT * FROM ML.EVALUATE(MODEL `d.penguins_model`, (SELECT * FROM {PENGUINS} WHERE body_mass_g IS NOT NULL))"
    )
    assert row == pytest.approx(
        {
            "mean_absolute_error": 227.01223115137774,
            "mean_squared_error": 81838.1598975635,
            "mean_squared_log_error": 0.0050704049984503835,
            "median_absolute_error": 173.08081641661738,
            "r2_score": 0.8723772534253441,
            "explained_variance": 0.8723772534253441,
        },
        rel=1e-5,
    )


def test_predictions_of_the_linear_tutorial(models: Models) -> None:
    rows = models.ask(
        "SELECT * FROM ML.PREDICT(MODEL `d.penguins_model`, "
        f"(SELECT * FROM {PENGUINS} WHERE island = 'Biscoe')) ORDER BY predicted_body_mass_g"
    )
    assert len(rows) == 168
    # One row of Biscoe has no measures: it is predicted from means and categories.
    (bare,) = [row for row in rows if row["body_mass_g"] is None]
    assert 3000 < bare["predicted_body_mass_g"] < 6000
    mean = sum(abs(row["predicted_body_mass_g"] - row["body_mass_g"]) for row in rows if row["body_mass_g"]) / 167
    assert 200 < mean < 260


def test_explanations_of_the_linear_tutorial(models: Models) -> None:
    rows = models.ask(
        "SELECT * FROM ML.EXPLAIN_PREDICT(MODEL `d.penguins_model`, "
        f"(SELECT * FROM {PENGUINS} WHERE island = 'Biscoe'), STRUCT(3 AS top_k_features))"
    )
    (mean,) = models.ask(f"SELECT AVG(body_mass_g) AS mass FROM {PENGUINS}")
    for row in rows:
        assert row["baseline_prediction_value"] == pytest.approx(mean["mass"]) and row["approximation_error"] == 0
        assert len(row["top_feature_attributions"]) == 3
        assert row["prediction_value"] == pytest.approx(row["predicted_body_mass_g"], rel=1e-12)


def test_what_a_category_that_training_did_not_know_adds(models: Models) -> None:
    """Unknown values weigh nothing; NULL is a category of its own."""
    base = f"SELECT * REPLACE ({{}} AS island) FROM {PENGUINS} WHERE body_mass_g = 4875 AND sex = '.'"
    found = [
        models.ask(
            f"SELECT predicted_body_mass_g AS mass FROM ML.PREDICT(MODEL d.penguins_model, ({base.format(value)}))"
        )[0]["mass"]
        for value in ("'Atlantis'", "'Hyperborea'", "'Biscoe'")
    ]
    weights = models.ask("SELECT * FROM ML.WEIGHTS(MODEL d.penguins_model) WHERE processed_input = 'island'")
    biscoe = next(each["weight"] for each in weights[0]["category_weights"] if each["category"] == "Biscoe")
    assert found[0] == found[1] and found[2] - found[0] == pytest.approx(biscoe)
