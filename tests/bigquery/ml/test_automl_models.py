"""AUTOML_CLASSIFIER and AUTOML_REGRESSOR in SQL.

https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-create-automl
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.bigquery.ml.conftest import Models

from tule.bigquery.ml import training
from tule.bigquery.ml.options import read_options
from tule.kernel.errors import InvalidArgument
from tule.learn.search import automl
from tule.learn.search.portfolio import Candidate, Problem

POINTS = """SELECT MOD(i * 7919, 101) / 10.0 AS a, MOD(i * 31, 17) AS b, CAST(MOD(i, 3) AS STRING) AS c,
  IF(MOD(i * 7919, 101) + MOD(i * 31, 17) + MOD(i * 7, 23) > 68, 'yes', 'no') AS label,
  MOD(i * 7919, 101) / 5.0 - MOD(i * 31, 17) + MOD(i * 13, 7) AS y,
  CASE WHEN i <= 900 THEN 'TRAIN' WHEN i <= 1000 THEN 'VALIDATE' WHEN i <= 1150 THEN 'TEST' ELSE 'UNASSIGNED' END AS part,
  TIMESTAMP_SECONDS(i) AS moment
  FROM UNNEST(GENERATE_ARRAY(1, 1200)) AS i"""
ROW = "SELECT 4.0 AS a, 3 AS b, '1' AS c"
CLASSES = "MODEL_TYPE = 'AUTOML_CLASSIFIER'"


def few(problem: Problem) -> list[Candidate]:
    stem, linear = ("classifier", "logistic") if problem.classes else ("regressor", "linear")
    trees = {"max_iterations": 20, "early_stop": False, "category_encoding_method": "LABEL_ENCODING", "learn_rate": 0.3}
    return [Candidate(f"boosted_tree_{stem}", trees), Candidate(f"{linear}_regression", {})]


@pytest.fixture(scope="module")
def searched(models: Models) -> Iterator[Models]:
    """The server with two models of an automatic search, of two candidates each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(automl, "portfolio", few)
        patch.setattr(automl, "FOLDS", 2)
        patch.setattr(automl, "_STALE", 0)
        models.train("classes", CLASSES, f"SELECT a, b, c, label FROM ({POINTS})")
        models.train(
            "numbers", "MODEL_TYPE = 'AUTOML_REGRESSOR', INPUT_LABEL_COLS = ['y'], BUDGET_HOURS = 2.0, "
            "OPTIMIZATION_OBJECTIVE = 'MINIMIZE_MAE'", f"SELECT a, b, c, y FROM ({POINTS})",
        )  # fmt: skip
        yield models


def test_predictions_and_metrics_have_the_documented_columns(searched: Models) -> None:
    names = [name for name, _ in searched.columns(f"SELECT * FROM ML.PREDICT(MODEL d.classes, ({ROW}))")]
    assert names == ["predicted_label", "predicted_label_probs", "a", "b", "c"]
    (row,) = searched.ask("SELECT * FROM ML.EVALUATE(MODEL d.classes)")
    assert list(row) == ["precision", "recall", "accuracy", "f1_score", "log_loss", "roc_auc"] and row["roc_auc"] > 0.9
    (row,) = searched.ask("SELECT * FROM ML.EVALUATE(MODEL d.numbers)")
    assert row["r2_score"] > 0.8
    assert searched.ask(f"SELECT predicted_y FROM ML.PREDICT(MODEL d.numbers, ({ROW}))")[0]["predicted_y"] is not None


def test_a_tenth_of_the_rows_was_held_out_of_the_search(searched: Models) -> None:
    found = searched.opened("classes")
    held = found.kept().num_rows
    assert held is not None and 0.05 * 1200 < held < 0.15 * 1200
    assert found.model.num_rows == 1200 - held


def test_inspection(searched: Models) -> None:
    rows = searched.ask("SELECT * FROM ML.GLOBAL_EXPLAIN(MODEL d.classes)")
    assert {row["feature"] for row in rows} == {"a", "b", "c"} and rows[0]["feature"] == "a"
    assert [row["input"] for row in searched.ask("SELECT * FROM ML.FEATURE_INFO(MODEL d.classes)")] == ["a", "b", "c"]
    told = searched.ask("SELECT * FROM ML.TRAINING_INFO(MODEL d.classes) ORDER BY iteration")
    assert [row["iteration"] for row in told] == list(range(len(told))) and len(told) >= 1
    (curve,) = searched.ask("SELECT COUNT(*) AS n FROM ML.ROC_CURVE(MODEL d.classes)")
    assert curve["n"] > 1
    assert len(searched.ask("SELECT * FROM ML.CONFUSION_MATRIX(MODEL d.classes)")) == 2


def test_the_resource_tells_of_the_budget(searched: Models) -> None:
    found = searched.resource("numbers")
    options = found["trainingRuns"][0]["trainingOptions"]
    assert found["modelType"] == "AUTOML_REGRESSOR" and options["budgetHours"] == 2.0
    assert options["optimizationObjective"] == "MINIMIZE_MAE"
    assert "regressionMetrics" in found["trainingRuns"][0]["evaluationMetrics"]


@pytest.mark.parametrize(
    ("column", "sizes"), [("part", (900, 100, 150)), ("moment", (960, 120, 120))], ids=["words", "times"]
)
def test_a_column_may_say_what_rows_are_for(
    searched: Models, monkeypatch: pytest.MonkeyPatch, column: str, sizes: tuple[int, ...]
) -> None:
    seen: list[Any] = []
    sets = training.Training._sets

    def watched(self: Any, draft: Any, found: Any) -> Any:
        made, sample = sets(self, draft, found)
        seen.extend(part.num_rows for part in (made.training, made.evaluation, made.test))
        return made, sample

    monkeypatch.setattr(training.Training, "_sets", watched)
    searched.train(
        "placed", f"{CLASSES}, DATA_SPLIT_COL = '{column}'", f"SELECT a, b, c, label, {column} FROM ({POINTS})",
        verb="CREATE OR REPLACE",
    )  # fmt: skip
    assert tuple(seen) == sizes
    assert column not in [each["name"] for each in searched.resource("placed")["featureColumns"]]


@pytest.mark.parametrize(
    ("options", "query", "message"),
    [
        (CLASSES, f"SELECT a, label FROM ({POINTS}) WHERE a < 2", "must be between 1,000 and 200,000,000 rows"),
        (f"{CLASSES}, BUDGET_HOURS = 0.5", POINTS, "BUDGET_HOURS must be in [1, 72]"),
        (f"{CLASSES}, BUDGET_HOURS = 73", POINTS, "BUDGET_HOURS must be in [1, 72]"),
        (f"{CLASSES}, OPTIMIZATION_OBJECTIVE = 'MINIMIZE_MAE'", POINTS, "must be one of MAXIMIZE_AU_ROC"),
        (f"{CLASSES}, OPTIMIZATION_OBJECTIVE = STRUCT('MAXIMIZE_AU_ROC', 0.3)", POINTS, "MAXIMIZE_PRECISION_AT_RECALL"),
        (f"{CLASSES}, OPTIMIZATION_OBJECTIVE = STRUCT('MAXIMIZE_PRECISION_AT_RECALL', 3)", POINTS, "from 0 to 1"),
        (f"{CLASSES}, MAX_ITERATIONS = 3", POINTS, "MAX_ITERATIONS is not supported"),
        (f"{CLASSES}, NUM_TRIALS = 3", POINTS, "NUM_TRIALS is not supported"),
        (f"{CLASSES}, DATA_SPLIT_COL = 'a'", POINTS, "must be a STRING or a TIMESTAMP column"),
        (f"{CLASSES}, DATA_SPLIT_COL = 'c'", POINTS, "must be TRAIN, VALIDATE, TEST, UNASSIGNED"),
    ],
    ids=lambda value: value[-60:],
)
def test_what_cannot_be_searched(searched: Models, options: str, query: str, message: str) -> None:
    error = searched.error("never", options, query)
    assert message in error["message"] and error["code"] == 400 and not searched.exists("never")


def test_functions_that_need_another_model_say_so(searched: Models) -> None:
    for call in ("ML.WEIGHTS(MODEL d.classes)", f"ML.EXPLAIN_PREDICT(MODEL d.classes, ({ROW}))"):
        error = searched.api.query_error(f"SELECT * FROM {call}")
        assert "is not supported for model type AUTOML_CLASSIFIER" in error["message"]
    error = searched.error("never", CLASSES, POINTS, transform="a, label")
    assert "TRANSFORM is not supported for model type AUTOML_CLASSIFIER" in error["message"]


def test_an_objective_with_a_number_is_read() -> None:
    options = read_options(
        {"MODEL_TYPE": "AUTOML_CLASSIFIER", "OPTIMIZATION_OBJECTIVE": ("maximize_recall_at_precision", 0.3)}
    )
    assert options["optimization_objective"] == ("MAXIMIZE_RECALL_AT_PRECISION", 0.3)
    with pytest.raises(InvalidArgument, match="must be one of MINIMIZE_RMSE"):
        read_options({"MODEL_TYPE": "AUTOML_REGRESSOR", "OPTIMIZATION_OBJECTIVE": ("MINIMIZE_RMSE", 0.3)})
