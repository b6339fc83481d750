"""Hyperparameter tuning: NUM_TRIALS and its options, the trials in functions and in the resource, failures.

https://cloud.google.com/bigquery/docs/hp-tuning-overview
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.bigquery.ml.conftest import Models

from tule.bigquery.ml import training
from tule.bigquery.ml.options import read_options
from tule.bigquery.ml.options.tuning import space, start
from tule.bigquery.sql.statements import HparamCandidates, HparamRange
from tule.kernel.errors import Cancelled, InvalidArgument
from tule.learn.search import Discrete, Reals, Wholes

POINTS = """SELECT MOD(i * 7919, 101) / 10.0 AS a, MOD(i * 31, 17) AS b, CAST(MOD(i, 3) AS STRING) AS c,
  IF(MOD(i * 7919, 101) + MOD(i * 31, 17) > 58, 'yes', 'no') AS label,
  MOD(i * 7919, 101) / 5.0 - MOD(i * 31, 17) + MOD(i * 13, 7) / 7.0 AS y,
  CASE WHEN i <= 500 THEN 'TRAIN' WHEN i <= 600 THEN 'EVAL' ELSE 'TEST' END AS part
  FROM UNNEST(GENERATE_ARRAY(1, 700)) AS i"""
ROW = "SELECT 4.0 AS a, 3 AS b, '1' AS c"
TREES = (
    "MODEL_TYPE = 'BOOSTED_TREE_CLASSIFIER', NUM_TRIALS = 3, MAX_ITERATIONS = 4, "
    "MAX_TREE_DEPTH = HPARAM_RANGE(1, 3), LEARN_RATE = HPARAM_CANDIDATES([0.1, 0.5])"
)


@pytest.fixture(scope="module")
def tuned(models: Models) -> Models:
    """The server with tuned models: a line, a tree, clusters."""
    models.api.done(query={"query": f"CREATE TABLE d.points AS {POINTS}", "useLegacySql": False})
    models.train(
        "line",
        "MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 4, MAX_PARALLEL_TRIALS = 2, INPUT_LABEL_COLS = ['y']",
        "SELECT a, b, c, y FROM d.points",
    )
    models.train("tree", TREES, "SELECT a, b, c, label FROM d.points")
    models.train("groups", "MODEL_TYPE = 'KMEANS', NUM_TRIALS = 3", "SELECT a, b FROM d.points")
    return models


def infos(models: Models, name: str) -> list[dict[str, Any]]:
    return models.ask(f"SELECT * FROM ML.TRIAL_INFO(MODEL d.{name}) ORDER BY trial_id")


# -- ML.TRIAL_INFO


def test_trial_info_has_the_documented_columns(tuned: Models) -> None:
    found = tuned.api.query("SELECT * FROM ML.TRIAL_INFO(MODEL d.tree)")["schema"]["fields"]
    assert [(field["name"], field["type"]) for field in found] == [
        ("trial_id", "INTEGER"),
        ("hyperparameters", "RECORD"),
        ("hparam_tuning_evaluation_metrics", "RECORD"),
        ("training_loss", "FLOAT"),
        ("eval_loss", "FLOAT"),
        ("status", "STRING"),
        ("error_message", "STRING"),
        ("is_optimal", "BOOLEAN"),
    ]
    assert [(f["name"], f["type"]) for f in found[1]["fields"]] == [
        ("learn_rate", "FLOAT"),
        ("max_tree_depth", "INTEGER"),
    ]
    assert [f["name"] for f in found[2]["fields"]] == ["roc_auc"]


def test_the_optimal_trials_are_those_with_the_best_objective(tuned: Models) -> None:
    rows = infos(tuned, "line")
    assert [row["trial_id"] for row in rows] == [1, 2, 3, 4] and {row["status"] for row in rows} == {"SUCCEEDED"}
    scores = [row["hparam_tuning_evaluation_metrics"]["r2_score"] for row in rows]
    assert [row["is_optimal"] for row in rows] == [score == max(scores) for score in scores]
    assert rows[0]["hyperparameters"] == {"l1_reg": 0.0, "l2_reg": 0.0}, "the first trial has the defaults"
    assert all(1e-14 <= row["hyperparameters"]["l1_reg"] <= 10 for row in rows[1:])
    assert all(row["training_loss"] > 0 and row["eval_loss"] > 0 for row in rows)


def test_the_search_starts_at_the_nearest_point_of_a_given_range(tuned: Models) -> None:
    first = infos(tuned, "tree")[0]["hyperparameters"]
    assert first == {"learn_rate": 0.1 if abs(0.3 - 0.1) <= abs(0.5 - 0.3) else 0.5, "max_tree_depth": 3}


def test_the_smallest_davies_bouldin_index_wins(tuned: Models) -> None:
    rows = infos(tuned, "groups")
    scores = [row["hparam_tuning_evaluation_metrics"]["davies_bouldin_index"] for row in rows]
    assert [row["is_optimal"] for row in rows] == [score == min(scores) for score in scores]
    assert len({row["hyperparameters"]["num_clusters"] for row in rows}) == 3


# -- functions


def test_functions_answer_for_the_optimal_trial_unless_one_is_named(tuned: Models) -> None:
    best = min(row["trial_id"] for row in infos(tuned, "tree") if row["is_optimal"])
    (default,) = tuned.ask(f"SELECT * FROM ML.PREDICT(MODEL d.tree, ({ROW}))")
    assert list(default)[:3] == ["trial_id", "predicted_label", "predicted_label_probs"] and default["trial_id"] == best
    (named,) = tuned.ask(f"SELECT * FROM ML.PREDICT(MODEL d.tree, ({ROW}), STRUCT({best} AS trial_id))")
    assert named == default
    for trial in (1, 2, 3):
        (row,) = tuned.ask(
            f"SELECT * FROM ML.PREDICT(MODEL d.tree, ({ROW}), STRUCT(0.5 AS threshold, {trial} AS TRIAL_ID))"
        )
        assert row["trial_id"] == trial


def test_a_trial_predicts_with_its_own_weights(tuned: Models) -> None:
    weights = {
        row["trial_id"]: row["weight"]
        for row in tuned.ask("SELECT * FROM ML.WEIGHTS(MODEL d.line) WHERE processed_input = 'a'")
    }
    assert set(weights) == {1, 2, 3, 4}
    for trial in (1, 4):
        rows = tuned.ask(
            f"SELECT * FROM ML.PREDICT(MODEL d.line, (SELECT a, 3 AS b, '1' AS c FROM UNNEST([1.0, 2.0]) AS a), "
            f"STRUCT({trial} AS trial_id)) ORDER BY a"
        )
        assert rows[1]["predicted_y"] - rows[0]["predicted_y"] == pytest.approx(weights[trial])
        assert {row["trial_id"] for row in rows} == {trial}


@pytest.mark.parametrize(
    ("call", "trials"),
    [
        ("ML.EVALUATE(MODEL d.tree)", {1, 2, 3}),
        ("ML.EVALUATE(MODEL d.tree, STRUCT(2 AS trial_id))", {2}),
        ("ML.EVALUATE(MODEL d.tree, TABLE d.points, STRUCT(3 AS trial_id, 0.4 AS threshold))", {3}),
        ("ML.TRAINING_INFO(MODEL d.tree)", {1, 2, 3}),
        ("ML.CENTROIDS(MODEL d.groups)", {1, 2, 3}),
        ("ML.CENTROIDS(MODEL d.groups, STRUCT(2 AS trial_id))", {2}),
        ("ML.FEATURE_IMPORTANCE(MODEL d.tree)", {1, 2, 3}),
        ("ML.ROC_CURVE(MODEL d.tree, TABLE d.points, [0.5], STRUCT(2 AS trial_id))", {2}),
        ("ML.CONFUSION_MATRIX(MODEL d.tree, STRUCT(2 AS trial_id))", {2}),
        (f"ML.EXPLAIN_PREDICT(MODEL d.tree, ({ROW}), STRUCT(2 AS trial_id))", {2}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_functions_tell_of_which_trial_they_speak(tuned: Models, call: str, trials: set[int]) -> None:
    assert tuned.columns(f"SELECT * FROM {call}")[0] == ("trial_id", "INTEGER")
    assert {row["trial_id"] for row in tuned.ask(f"SELECT * FROM {call}")} == trials


def test_feature_info_is_that_of_all_trials(tuned: Models) -> None:
    assert tuned.columns("SELECT * FROM ML.FEATURE_INFO(MODEL d.tree)")[0] == ("input", "STRING")


def test_evaluate_measures_the_test_rows_and_trial_info_the_evaluation_rows(models: Models) -> None:
    options = (
        "MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, INPUT_LABEL_COLS = ['y'], DATA_SPLIT_METHOD = 'CUSTOM', "
        "DATA_SPLIT_COL = 'part'"
    )
    models.train("parts", options, f"SELECT a, b, y, part FROM ({POINTS})")
    for part, expected in (
        ("EVAL", [row["hparam_tuning_evaluation_metrics"]["r2_score"] for row in infos(models, "parts")]),
        ("TEST", [row["r2_score"] for row in models.ask("SELECT * FROM ML.EVALUATE(MODEL d.parts) ORDER BY trial_id")]),
    ):
        for trial, value in enumerate(expected, 1):
            (row,) = models.ask(
                f"SELECT * FROM ML.EVALUATE(MODEL d.parts, (SELECT * FROM ({POINTS}) WHERE part = '{part}'), "
                f"STRUCT({trial} AS trial_id))"
            )
            assert row["r2_score"] == pytest.approx(value, rel=1e-9)
    (info,) = models.ask("SELECT COUNT(*) AS n FROM ML.TRAINING_INFO(MODEL d.parts) WHERE trial_id = 1")
    assert info["n"] >= 1


@pytest.mark.parametrize(
    ("options", "shares"),
    [
        ("", (0.8, 0.1, 0.1)),
        ("DATA_SPLIT_METHOD = 'RANDOM', DATA_SPLIT_EVAL_FRACTION = 0.2, DATA_SPLIT_TEST_FRACTION = 0.3,", (0.5, 0.2, 0.3)),
        (
            "DATA_SPLIT_METHOD = 'SEQ', DATA_SPLIT_COL = 'b', DATA_SPLIT_EVAL_FRACTION = 0.2, "
            "DATA_SPLIT_TEST_FRACTION = 0.1,",
            (0.7, 0.2, 0.1),
        ),
        ("DATA_SPLIT_METHOD = 'NO_SPLIT',", (1.0, None, None)),
        (
            "DATA_SPLIT_METHOD = 'RANDOM', DATA_SPLIT_EVAL_FRACTION = 0.2, DATA_SPLIT_TEST_FRACTION = 0,",
            (0.8, 0.2, None),
        ),
    ],
    ids=["automatic", "random", "sequential", "none", "no test"],
)  # fmt: skip
def test_the_rows_are_split_three_ways(
    models: Models, monkeypatch: pytest.MonkeyPatch, options: str, shares: tuple[float | None, ...]
) -> None:
    seen: list[Any] = []
    sets = training.Training._sets

    def watched(self: Any, draft: Any, found: Any) -> Any:
        made, sample = sets(self, draft, found)
        parts = (made.training, made.evaluation, made.test)
        seen.extend(None if part is None else part.num_rows / 700 for part in parts)
        return made, sample

    monkeypatch.setattr(training.Training, "_sets", watched)
    models.train(
        "shares", f"{options} MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 1, INPUT_LABEL_COLS = ['y']",
        f"SELECT a, b, y FROM ({POINTS})", verb="CREATE OR REPLACE",
    )  # fmt: skip
    assert seen == [None if share is None else pytest.approx(share, abs=0.04) for share in shares]


# -- the resource and the job


def test_the_resource_tells_of_spaces_and_trials(tuned: Models) -> None:
    found = tuned.resource("tree")
    assert found["hparamSearchSpaces"] == {
        "maxTreeDepth": {"range": {"min": "1", "max": "3"}},
        "learnRate": {"candidates": {"candidates": [0.1, 0.5]}},
    }
    trials = found["hparamTrials"]
    assert [each["trialId"] for each in trials] == ["1", "2", "3"]
    for each in trials:
        assert each["status"] == "SUCCEEDED" and int(each["endTimeMs"]) >= int(each["startTimeMs"])
        assert set(each["hparams"]) == {"maxTreeDepth", "learnRate"} and isinstance(
            each["hparams"]["maxTreeDepth"], str
        )
        assert "binaryClassificationMetrics" in each["evaluationMetrics"]
        assert "binaryClassificationMetrics" in each["hparamTuningEvaluationMetrics"]
    optimal = [str(row["trial_id"]) for row in infos(tuned, "tree") if row["is_optimal"]]
    assert found["optimalTrialIds"] == optimal and found["defaultTrialId"] == optimal[0]
    (run,) = found["trainingRuns"]
    options = run["trainingOptions"]
    assert options["numTrials"] == "3" and options["hparamTuningObjectives"] == ["ROC_AUC"]
    assert "results" not in run or run["results"] == []
    assert run["evaluationMetrics"] == trials[int(optimal[0]) - 1]["evaluationMetrics"]


def test_the_job_tells_of_its_trials(models: Models) -> None:
    job = models.train("told", TREES, f"SELECT a, b, c, label FROM ({POINTS})")
    told = job["statistics"]["query"]["mlStatistics"]
    assert told["trainingType"] == "HPARAM_TUNING" and [each["trialId"] for each in told["hparamTrials"]] == [
        "1",
        "2",
        "3",
    ]
    assert all("evaluationMetrics" not in each for each in told["hparamTrials"]), "empty in the Job API"


def test_training_again_gives_the_same_trials(tuned: Models) -> None:
    tuned.train("again", TREES, "SELECT a, b, c, label FROM d.points")
    assert infos(tuned, "again") == infos(tuned, "tree")


def test_a_copy_and_a_transform_keep_the_trials(models: Models) -> None:
    models.train(
        "scaled", "MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, INPUT_LABEL_COLS = ['y']", f"SELECT a, b, y FROM ({POINTS})",
        transform="ML.STANDARD_SCALER(a) OVER () AS s, b, y",
    )  # fmt: skip
    rows = models.ask("SELECT * FROM ML.PREDICT(MODEL d.scaled, (SELECT 4.0 AS a, 3 AS b), STRUCT(2 AS trial_id))")
    assert rows[0]["trial_id"] == 2
    models.api.done(
        copy={
            "sourceTable": {"projectId": "test-project", "datasetId": "d", "tableId": "scaled"},
            "destinationTable": {"projectId": "test-project", "datasetId": "d", "tableId": "scaled2"},
        }
    )
    again = models.ask("SELECT * FROM ML.PREDICT(MODEL d.scaled2, (SELECT 4.0 AS a, 3 AS b), STRUCT(2 AS trial_id))")
    assert again == rows


# -- trials that fail


def test_a_trial_that_fails_does_not_end_the_tuning_but_too_many_do(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = training.Training._learn
    broken = {2}

    def failing(self: Any, options: Any, *rest: Any) -> Any:
        numbers.append(len(numbers) + 1)
        if numbers[-1] in broken:
            raise MemoryError("no room")
        return learn(self, options, *rest)

    monkeypatch.setattr(training.Training, "_learn", failing)
    options = "MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 10, INPUT_LABEL_COLS = ['y'], L2_REG = HPARAM_RANGE(0, 1)"
    numbers: list[int] = []
    models.train("lucky", options, f"SELECT a, b, y FROM ({POINTS})")
    rows = infos(models, "lucky")
    assert [row["status"] for row in rows] == ["SUCCEEDED", "FAILED", *["SUCCEEDED"] * 8]
    assert rows[1]["error_message"] == "MemoryError: no room"
    assert "must name a trial of test-project.d.lucky that succeeded" in str(
        models.api.query_error("SELECT * FROM ML.WEIGHTS(MODEL d.lucky, STRUCT(2 AS trial_id))")
    )
    numbers, broken = [], {2, 4}
    before = models.bundles()
    error = models.error("unlucky", options, f"SELECT a, b, y FROM ({POINTS})")
    assert "At most one tenth of the trials may fail" in error["message"] and "2 of 10" in error["message"]
    assert not models.exists("unlucky") and models.bundles() == before


def test_values_that_cannot_be_used_together_are_infeasible(models: Models) -> None:
    """A random forest needs a share of columns below 1."""
    models.train(
        "forest",
        "MODEL_TYPE = 'RANDOM_FOREST_REGRESSOR', NUM_TRIALS = 2, NUM_PARALLEL_TREE = 3, MAX_TREE_DEPTH = 2, "
        "HPARAM_TUNING_ALGORITHM = 'GRID_SEARCH', COLSAMPLE_BYNODE = HPARAM_CANDIDATES([0.7, 1.0]), "
        "INPUT_LABEL_COLS = ['y']",
        f"SELECT a, b, y FROM ({POINTS})",
    )
    rows = infos(models, "forest")
    assert [row["status"] for row in rows] == ["SUCCEEDED", "INFEASIBLE"]
    assert "A random forest needs a COLSAMPLE_BYTREE" in rows[1]["error_message"]
    assert rows[1]["hparam_tuning_evaluation_metrics"]["r2_score"] is None


def test_data_that_no_trial_could_learn_from_is_the_users_error(models: Models) -> None:
    error = models.error("same", "MODEL_TYPE = 'LOGISTIC_REG', NUM_TRIALS = 3", "SELECT 1 AS x, 'a' AS label")
    assert error["code"] == 400 and not models.exists("same")


@pytest.mark.parametrize("trials", [0, 1])
def test_cancelling_keeps_the_trials_that_succeeded(
    models: Models, monkeypatch: pytest.MonkeyPatch, trials: int
) -> None:
    learn = training.Training._learn
    done: list[int] = []

    def cancelled(self: Any, *given: Any) -> Any:
        if len(done) == trials:
            self._run.job.cancel(
                Cancelled("Job execution was cancelled: User requested cancellation", reason="stopped")
            )
        done.append(1)
        return learn(self, *given)

    monkeypatch.setattr(training.Training, "_learn", cancelled)
    name = f"cut{trials}"
    error = models.error(
        name, "MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 5, INPUT_LABEL_COLS = ['y']", f"SELECT a, b, y FROM ({POINTS})"
    )
    assert error["reason"] == "stopped" and len(done) == trials + 1
    assert models.exists(name) == bool(trials)
    if trials:
        assert [row["status"] for row in infos(models, name)] == ["SUCCEEDED"]
        assert models.ask(f"SELECT * FROM ML.PREDICT(MODEL d.{name}, (SELECT 1.0 AS a, 2 AS b))")[0]["trial_id"] == 1


# -- options that are refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 0", "NUM_TRIALS must be in [1, 100]"),
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 101", "NUM_TRIALS must be in [1, 100]"),
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, MAX_PARALLEL_TRIALS = 6", "MAX_PARALLEL_TRIALS must be in [1, 5]"),
        ("MODEL_TYPE = 'LINEAR_REG', L1_REG = HPARAM_RANGE(0, 1)", "L1_REG needs NUM_TRIALS"),
        ("MODEL_TYPE = 'LINEAR_REG', MAX_PARALLEL_TRIALS = 2", "MAX_PARALLEL_TRIALS needs NUM_TRIALS"),
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, L1_REG = HPARAM_RANGE(2, 1)", "must go upwards"),
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, L1_REG = HPARAM_RANGE(-1, 1)", "within 0 and inf"),
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, L1_REG = HPARAM_RANGE(1)", "takes a lowest and a highest number"),
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, L1_REG = HPARAM_CANDIDATES([])", "an array of values"),
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, L1_REG = HPARAM_CANDIDATES(['x'])", "L1_REG must be a number"),
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, MAX_ITERATIONS = HPARAM_RANGE(1, 5)", "cannot be tuned"),
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, L1_REG = 0.1, L2_REG = 0.2", "Nothing is left to tune"),
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, HPARAM_TUNING_ALGORITHM = 'GRID_SEARCH'", "finitely many values"),
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, HPARAM_TUNING_OBJECTIVES = ['ROC_AUC']", "must be one of R2_SCORE"),
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, HPARAM_TUNING_OBJECTIVES = ['R2_SCORE', 'MEAN_SQUARED_ERROR']",
         "must name one objective"),
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, WARM_START = TRUE", "WARM_START cannot be used with NUM_TRIALS"),
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, DATA_SPLIT_METHOD = 'RANDOM', DATA_SPLIT_EVAL_FRACTION = 0.2",
         "are given together"),
        ("MODEL_TYPE = 'LINEAR_REG', DATA_SPLIT_METHOD = 'RANDOM', DATA_SPLIT_TEST_FRACTION = 0.2", "needs NUM_TRIALS"),
        ("MODEL_TYPE = 'BOOSTED_TREE_REGRESSOR', NUM_TRIALS = 2, MAX_TREE_DEPTH = HPARAM_RANGE(1.5, 3)", "whole numbers"),
        ("MODEL_TYPE = 'BOOSTED_TREE_REGRESSOR', NUM_TRIALS = 2, BOOSTER_TYPE = HPARAM_RANGE(1, 3)",
         "must be tuned by HPARAM_CANDIDATES"),
        ("MODEL_TYPE = 'BOOSTED_TREE_REGRESSOR', NUM_TRIALS = 2, DROPOUT = HPARAM_RANGE(0, 0.5)",
         "DROPOUT is tuned only where BOOSTER_TYPE is DART"),
        ("MODEL_TYPE = 'BOOSTED_TREE_REGRESSOR', NUM_TRIALS = 2, DROPOUT = HPARAM_RANGE(0, 0.5), "
         "BOOSTER_TYPE = HPARAM_CANDIDATES(['GBTREE'])", "DROPOUT is tuned only where BOOSTER_TYPE is DART"),
        ("MODEL_TYPE = 'DNN_REGRESSOR', NUM_TRIALS = 2, L1_REG = HPARAM_RANGE(0, 1)", "OPTIMIZER is ADAGRAD"),
        ("MODEL_TYPE = 'PCA', NUM_TRIALS = 2, NUM_PRINCIPAL_COMPONENTS = 1", "NUM_TRIALS is not supported"),
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, DATA_SPLIT_METHOD = 'CUSTOM', DATA_SPLIT_COL = 'a'",
         "must be a STRING column"),
        ("MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, DATA_SPLIT_METHOD = 'CUSTOM', DATA_SPLIT_COL = 's'",
         "must be TRAIN, EVAL, TEST"),
    ],
    ids=lambda value: value[:70],
)  # fmt: skip
def test_options_that_cannot_be(models: Models, options: str, message: str) -> None:
    error = models.error("never", f"{options}, INPUT_LABEL_COLS = ['y']" if "PCA" not in options else options,
                         "SELECT 1.0 AS a, 'x' AS s, 2.0 AS y")  # fmt: skip
    assert message in error["message"], error["message"]
    assert error["code"] == 400 and not models.exists("never")


def test_trial_id_and_trial_info_need_a_tuned_model(models: Models) -> None:
    models.train(
        "plain",
        "MODEL_TYPE = 'LINEAR_REG', INPUT_LABEL_COLS = ['y']",
        "SELECT 1.0 * x AS a, 2.0 * x AS y FROM UNNEST([1, 2, 3]) AS x",
    )
    for call in ("ML.TRIAL_INFO(MODEL d.plain)", "ML.WEIGHTS(MODEL d.plain, STRUCT(1 AS trial_id))"):
        assert "needs a model trained with NUM_TRIALS" in models.api.query_error(f"SELECT * FROM {call}")["message"]


def test_an_unknown_trial_is_named_with_those_that_there_are(tuned: Models) -> None:
    error = tuned.api.query_error(f"SELECT * FROM ML.PREDICT(MODEL d.tree, ({ROW}), STRUCT(9 AS trial_id))")
    assert "given: 9" in error["message"] and "use one of 1, 2, 3" in error["message"]


# -- spaces


def test_default_spaces_are_those_of_the_public_table() -> None:
    trees = space(read_options({"MODEL_TYPE": "BOOSTED_TREE_REGRESSOR", "NUM_TRIALS": 5, "MAX_TREE_DEPTH": 4}))
    assert [each.name for each in trees.parameters] == ["l1_reg", "l2_reg", "learn_rate", "subsample"]
    networks = space(read_options({"MODEL_TYPE": "DNN_CLASSIFIER", "NUM_TRIALS": 5}))
    assert networks["batch_size"].domain == Wholes(16, 1024, networks["batch_size"].domain.scale)  # type: ignore[union-attr]
    assert networks["dropout"].domain == Reals(0.0, 0.8)
    assert networks["l1_reg"].when is not None and networks["l1_reg"].when.values == ("ADAGRAD", "FTRL", "SGD")
    implicit = read_options({"MODEL_TYPE": "MATRIX_FACTORIZATION", "NUM_TRIALS": 5, "FEEDBACK_TYPE": "IMPLICIT"})
    assert {each.name for each in space(implicit).parameters} == {"l2_reg", "num_factors", "wals_alpha"}


@pytest.mark.parametrize(
    ("written", "first"), [([20, 30, 40, 50], 40.0), ([10, 20, 30], 30.0)], ids=["within", "nearest"]
)
def test_the_published_starting_points(written: list[int], first: float) -> None:
    """https://cloud.google.com/bigquery/docs/hp-tuning-overview#search_starting_point"""
    options = read_options(
        {"MODEL_TYPE": "MATRIX_FACTORIZATION", "NUM_TRIALS": 5, "FEEDBACK_TYPE": "IMPLICIT",
         "WALS_ALPHA": HparamCandidates(written)}
    )  # fmt: skip
    searched = space(options)
    assert searched["wals_alpha"].domain == Discrete(tuple(map(float, written)))
    assert start(options, searched, 100) == {"wals_alpha": first}


def test_a_lower_bound_of_0_is_the_least_number_where_0_may_not_be() -> None:
    options = read_options({"MODEL_TYPE": "LINEAR_REG", "NUM_TRIALS": 5, "L1_REG": HparamRange(0, 5)})
    domain = space(options)["l1_reg"].domain
    assert isinstance(domain, Reals) and (domain.low, domain.high) == (1e-14, 5.0)


def test_a_range_is_read_only_for_a_tuned_option() -> None:
    with pytest.raises(InvalidArgument, match="cannot be tuned for model type LINEAR_REG"):
        read_options({"MODEL_TYPE": "LINEAR_REG", "NUM_TRIALS": 5, "EARLY_STOP": HparamCandidates([True])})
