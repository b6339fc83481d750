"""Matrix factorization by SQL: explicit ratings and implicit feedback, recommended, measured, looked into."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

# Users like items of their own group (five stars), not of the others (one star); a few pairs are left out.
_ROWS = """
SELECT who, what, IF(MOD(who, 3) = MOD(what, 3), 5.0, 1.0) AS stars
FROM UNNEST(GENERATE_ARRAY(1, 60)) AS who, UNNEST(GENERATE_ARRAY(1, 30)) AS what
WHERE MOD(who * 31 + what * 17, 7) != 0
"""
_COLUMNS = "USER_COL='who', ITEM_COL='what', RATING_COL='stars'"


@pytest.fixture(scope="module", autouse=True)
def trained(models: Models) -> Iterator[None]:
    models.api.query(f"CREATE TABLE d.ratings AS {_ROWS}")
    models.train(
        "explicit",
        f"MODEL_TYPE='MATRIX_FACTORIZATION', {_COLUMNS}, NUM_FACTORS=4, L2_REG=0.1",
        "SELECT * FROM d.ratings",
    )
    models.train(
        "implicit",
        f"MODEL_TYPE='MATRIX_FACTORIZATION', FEEDBACK_TYPE='IMPLICIT', {_COLUMNS}, NUM_FACTORS=4, WALS_ALPHA=20",
        "SELECT CAST(who AS STRING) AS who, what, stars FROM d.ratings WHERE stars > 1",
    )
    yield


def test_every_pair_is_recommended_or_those_of_a_side(models: Models) -> None:
    assert models.columns("SELECT * FROM ML.RECOMMEND(MODEL d.explicit)") == [
        ("predicted_stars", "FLOAT"), ("who", "INTEGER"), ("what", "INTEGER")
    ]  # fmt: skip
    (row,) = models.ask(
        "SELECT COUNT(*) AS n, COUNT(DISTINCT who) AS u, COUNT(DISTINCT what) AS i FROM ML.RECOMMEND(MODEL d.explicit)"
    )
    assert row == {"n": 1800, "u": 60, "i": 30}
    rows = models.ask(
        """SELECT * FROM ML.RECOMMEND(MODEL d.explicit, (SELECT 7 AS Who UNION ALL SELECT 7))
        QUALIFY ROW_NUMBER() OVER (ORDER BY predicted_stars DESC) <= 10"""
    )
    assert {row["who"] for row in rows} == {7} and {row["what"] % 3 for row in rows} == {1}
    one_item = models.ask("SELECT * FROM ML.RECOMMEND(MODEL d.explicit, (SELECT 2 AS what))")
    assert len(one_item) == 60


def test_pairs_that_are_given_keep_their_columns(models: Models) -> None:
    rows = models.ask("SELECT * FROM ML.RECOMMEND(MODEL d.explicit, (SELECT 'x' AS note, 3 AS who, 6 AS what))")
    assert list(rows[0]) == ["predicted_stars", "note", "who", "what"] and rows[0]["note"] == "x"
    assert rows[0]["predicted_stars"] == pytest.approx(5, abs=0.6)
    predicted = models.ask("SELECT * FROM ML.PREDICT(MODEL d.explicit, (SELECT 'x' AS note, 3 AS who, 6 AS what))")
    assert predicted[0]["predicted_stars"] == rows[0]["predicted_stars"]


def test_unknown_users_get_what_is_known_of_the_item(models: Models) -> None:
    weights = {
        (row["processed_input"], row["feature"]): row
        for row in models.ask("SELECT * FROM ML.WEIGHTS(MODEL d.explicit)")
    }
    assert len(weights) == 1 + 60 + 30
    mean = weights[None, "global__intercept__"]["intercept"]
    (row,) = models.ask("SELECT * FROM ML.RECOMMEND(MODEL d.explicit, (SELECT 9999 AS who, 6 AS what))")
    assert row["predicted_stars"] == pytest.approx(mean + weights["what", "6"]["intercept"])
    left, right = weights["who", "3"], weights["what", "6"]
    (known,) = models.ask("SELECT * FROM ML.RECOMMEND(MODEL d.explicit, (SELECT 3 AS who, 6 AS what))")
    product = np.dot(*([each["weight"] for each in side["factor_weights"]] for side in (left, right)))
    assert known["predicted_stars"] == pytest.approx(mean + left["intercept"] + right["intercept"] + product)


def test_metrics(models: Models) -> None:
    (row,) = models.ask("SELECT * FROM ML.EVALUATE(MODEL d.explicit)")
    assert next(iter(row)) == "mean_absolute_error" and row["r2_score"] > 0.9
    (given,) = models.ask("SELECT * FROM ML.EVALUATE(MODEL d.explicit, TABLE d.ratings)")
    assert given["mean_squared_error"] < 0.3
    (ranked,) = models.ask("SELECT * FROM ML.EVALUATE(MODEL d.implicit)")
    assert list(ranked) == [
        "mean_average_precision", "mean_squared_error", "normalized_discounted_cumulative_gain", "average_rank"
    ]  # fmt: skip
    assert ranked["average_rank"] < 0.4
    metrics = models.resource("implicit")["trainingRuns"][-1]["evaluationMetrics"]["rankingMetrics"]
    assert metrics["averageRank"] == ranked["average_rank"]


def test_implicit_feedback_gives_confidence_and_keeps_ids_as_they_are(models: Models) -> None:
    assert models.columns("SELECT * FROM ML.RECOMMEND(MODEL d.implicit)") == [
        ("predicted_stars_confidence", "FLOAT"), ("who", "STRING"), ("what", "INTEGER")
    ]  # fmt: skip
    options = models.resource("implicit")["trainingRuns"][-1]["trainingOptions"]
    assert (options["userColumn"], options["itemColumn"], options["inputLabelColumns"]) == ("who", "what", ["stars"])
    assert (options["feedbackType"], options["numFactors"], options["walsAlpha"]) == ("IMPLICIT", "4", 20.0)


WRONG: dict[str, str] = {
    "ML.RECOMMEND(MODEL d.explicit, (SELECT 1 AS nothing))": "must have the column of users, of items, or both",
    "ML.PREDICT(MODEL d.explicit, (SELECT 1 AS who))": "what",
    "ML.RECOMMEND(MODEL d.explicit, (SELECT 'a' AS who, 1 AS what))": "The column who must be of the type it was trained",
    "ML.RECOMMEND(MODEL d.explicit, STRUCT(3 AS top))": "ML.RECOMMEND has no argument top",
    "ML.CENTROIDS(MODEL d.explicit)": "ML.CENTROIDS is not supported for model type MATRIX_FACTORIZATION",
}


@pytest.mark.parametrize("call", WRONG)
def test_calls_that_cannot_be(models: Models, call: str) -> None:
    error = models.api.query_error(f"SELECT * FROM {call}")
    assert error["code"] == 400 and WRONG[call] in error["message"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("NUM_FACTORS=1", "Option NUM_FACTORS must be in [2, 200]"),
        ("WALS_ALPHA=3.0", "WALS_ALPHA needs FEEDBACK_TYPE = 'IMPLICIT'"),
        ("USER_COL='whom'", "did you mean who"),
        ("INPUT_LABEL_COLS=['stars']", "INPUT_LABEL_COLS is not supported for model type MATRIX_FACTORIZATION"),
        ("RATING_COL='what'", "USER_COL, ITEM_COL and RATING_COL must be three columns"),
    ],
)
def test_wrong_options(models: Models, options: str, message: str) -> None:
    names = dict(each.split("=", 1) for each in _COLUMNS.split(", ")) | dict([options.split("=", 1)])
    written = ", ".join(f"{name}={value}" for name, value in names.items())
    error = models.error("bad", f"MODEL_TYPE='MATRIX_FACTORIZATION', {written}", "SELECT * FROM d.ratings")
    assert error["code"] == 400 and message in error["message"]
    assert not models.exists("bad")
