"""Data that cannot be learned from: what the message says, and that nothing stays behind."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from tests.bigquery.conftest import PROJECT

from tule.bigquery.references import JobReference

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

LINE = "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y']"
CLASSES = "MODEL_TYPE='LOGISTIC_REG', INPUT_LABEL_COLS=['y']"
TREES = "MODEL_TYPE='BOOSTED_TREE_CLASSIFIER', INPUT_LABEL_COLS=['y']"
NUMBERS = "SELECT x, x * 2 AS y FROM UNNEST(GENERATE_ARRAY(1, 60)) AS x"


@pytest.mark.parametrize(
    ("options", "query", "message"),
    [
        ("MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['prize']", "SELECT 1 AS x, 2 AS price",
         "The label column must be one of the training query: prize; given: x, price. Next: did you mean price?"),
        ("MODEL_TYPE='LINEAR_REG'", NUMBERS, "The label column must be one of the training query: label; given: x, y"),
        (LINE, "SELECT 1 AS x, 2 AS y FROM (SELECT 1) WHERE FALSE", "Training needs at least one row; given: no rows"),
        (LINE, "SELECT x, CAST(NULL AS FLOAT64) AS y FROM UNNEST([1, 2]) AS "
            "x", "Training needs rows with a label; given: y is NULL in all 2 rows"),
        (LINE, "SELECT 1 AS y UNION ALL SELECT 2", "needs at least one feature column; given: only y"),
        (LINE, "SELECT CAST(NULL AS FLOAT64) AS x, y FROM UNNEST([1, 2]) AS "
            "y", "A feature must have a value that is not NULL in some row; given: x is NULL in all 2 rows"),
        (LINE, "SELECT CAST(NULL AS STRING) AS x, y FROM UNNEST([1, 2]) AS y", "given: x is NULL in all 2 rows"),
        (LINE, "SELECT CAST('inf' AS FLOAT64) AS x, y FROM UNNEST([1, 2]) AS "
            "y", "Numeric features must be finite; given: x holds inf"),
        (LINE, "SELECT CAST('nan' AS FLOAT64) AS x, y FROM UNNEST([1, 2]) AS "
            "y", "Numeric features must be finite; given: x holds nan"),
        (LINE, "SELECT x, CAST('-inf' AS FLOAT64) AS y FROM UNNEST([1, 2]) AS x", "y"),
        (LINE, "SELECT x, 'high' AS y FROM UNNEST([1, 2]) AS "
            "x", "The label of a regression must be numeric; given: y is string"),
        (LINE, "SELECT x, [x] AS y FROM UNNEST([1, 2]) AS x", "The label of a regression must be numeric"),
        (CLASSES, "SELECT x, [x] AS y FROM UNNEST([1, 2]) AS x", "A label must be a single value"),
        (CLASSES, "SELECT x, 'same' AS y FROM UNNEST([1, 2]) AS x", "same"),
        (TREES, "SELECT x, 1 AS y FROM UNNEST(GENERATE_ARRAY(1, 600)) AS x", "1"),
        (LINE, "SELECT STRUCT(STRUCT(x AS a) AS b) AS s, x AS y FROM UNNEST([1, 2]) AS "
            "x", "A STRUCT feature must not hold another STRUCT; given: s.b"),
        (LINE, "SELECT x, x AS X, x AS y FROM UNNEST([1, 2]) AS x", "must have different names; given: X"),
        (LINE, "SELECT 1 AS _tule_key, x AS y FROM UNNEST([1, 2]) AS x", "_tule_key"),
        (LINE, "SELECT x / 0 AS x, x AS y FROM UNNEST([1, 2]) AS x", "division by zero"),
        (LINE, "SELECT z, y FROM (SELECT 1 AS x, 2 AS y)", "Unrecognized name: z"),
        (f"{CLASSES}, AUTO_CLASS_WEIGHTS=TRUE, CLASS_WEIGHTS=[('a', 1)]", NUMBERS, "exclude each other"),
        (f"{LINE}, CALCULATE_P_VALUES=TRUE", NUMBERS, "CALCULATE_P_VALUES needs CATEGORY_ENCODING_METHOD"),
        (f"{LINE}, OPTIMIZE_STRATEGY='NORMAL_EQUATION', L1_REG=1.0", NUMBERS, "L1_REG cannot be used"),
        (f"{LINE}, LEARN_RATE_STRATEGY='CONSTANT', LS_INIT_LEARN_RATE=0.5", NUMBERS, "LS_INIT_LEARN_RATE"),
        ("MODEL_TYPE='KMEANS', NUM_CLUSTERS=5", "SELECT x FROM UNNEST([1, 2, 3]) AS x", "5"),
        ("MODEL_TYPE='KMEANS', KMEANS_INIT_METHOD='CUSTOM', KMEANS_INIT_COL='k', "
            "NUM_CLUSTERS=2", "SELECT x, x AS k FROM UNNEST([1, 2, 3]) AS "
                "x", "KMEANS_INIT_COL must be a BOOL column; given: int64"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(models: Models, options: str, query: str, message: str) -> None:
    bundles = models.bundles()
    error = models.error("wrong", options, query)
    assert (error["code"], error["reason"]) == (400, "invalidQuery"), error
    assert message in error["message"]
    assert not models.exists("wrong") and models.bundles() == bundles
    # The same session of the engine's next user is not disturbed.
    assert models.ask("SELECT 1 AS one") == [{"one": 1}]


def test_a_label_with_too_many_values(models: Models) -> None:
    error = models.error("wide", CLASSES, "SELECT x, CAST(x AS STRING) AS y FROM UNNEST(GENERATE_ARRAY(1, 51)) AS x")
    assert (error["code"], error["reason"]) == (400, "resourcesExceeded")
    assert error["message"].startswith(
        "A classifier's label must have at most 50 distinct values; given: y has more than 50"
    )
    assert not models.exists("wide")


def test_a_failed_job_tells_its_cause_later(models: Models) -> None:
    job = models.api.job(
        query={"query": f"CREATE MODEL d.later OPTIONS({LINE}) AS SELECT 1 AS x, NULL AS y", "useLegacySql": False}
    )
    assert job["status"]["state"] == "DONE" and job["status"]["errorResult"]["reason"] == "invalidQuery"
    again = models.api.ok("GET", f"jobs/{job['jobReference']['jobId']}")
    assert again["status"]["errorResult"] == job["status"]["errorResult"]


def test_a_schema_that_changed_since_training(models: Models) -> None:
    models.api.query(
        "CREATE TABLE d.changing AS SELECT x, CAST(x AS STRING) AS word, x AS y FROM UNNEST(GENERATE_ARRAY(1, 20)) AS x"
    )
    models.train("steady", f"{LINE}, L2_REG=0.01", "SELECT * FROM d.changing")
    models.api.query("ALTER TABLE d.changing RENAME COLUMN word TO words")
    error = models.api.query_error("SELECT * FROM ML.PREDICT(MODEL d.steady, TABLE d.changing)")
    assert error["message"] == "The data must have the column word; given: x, words, y. Next: rename words to word"
    models.api.query("CREATE OR REPLACE TABLE d.changing AS SELECT x, x AS word FROM UNNEST([1]) AS x")
    error = models.api.query_error("SELECT * FROM ML.PREDICT(MODEL d.steady, TABLE d.changing)")
    assert error["message"].startswith("The column word must be of the type it was trained with, STRING; given: INT64")


def test_a_training_that_is_cancelled(models: Models) -> None:
    """Cancelled while it trains: the job says so, and no model nor bundle stays."""
    bundles = models.bundles()
    query = "SELECT x, MOD(x * x, 7919) / 7919 AS z, MOD(x * 7, 2) AS y FROM UNNEST(GENERATE_ARRAY(1, 300000)) AS x"
    options = f"{TREES}, MAX_ITERATIONS=10000, EARLY_STOP=FALSE, MAX_TREE_DEPTH=8, DATA_SPLIT_METHOD='NO_SPLIT'"
    made = models.api.ok(
        "POST",
        "jobs",
        {
            "configuration": {
                "query": {"query": f"CREATE MODEL d.stopped OPTIONS({options}) AS {query}", "useLegacySql": False}
            }
        },
    )
    job = made["jobReference"]["jobId"]
    running = models.api.warehouse.jobs.find(JobReference(PROJECT, job))
    begun = threading.Event()

    # It is cancelled only once it is known to iterate: its statistics tell.
    def watch() -> None:
        while not begun.is_set() and not running.done:  # type: ignore[union-attr]
            if running.statistics.get("query", {}).get("mlStatistics", {}).get("iterationResults"):  # type: ignore[union-attr]
                begun.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert begun.wait(60)
    watcher.join()
    during = models.api.ok("GET", f"jobs/{job}")
    assert during["status"]["state"] == "RUNNING"
    assert during["statistics"]["query"]["mlStatistics"]["iterationResults"][0]["trainingLoss"] > 0
    models.api.ok("POST", f"jobs/{job}/cancel")
    ended = models.api.ended(job)
    assert ended["status"]["errorResult"]["reason"] == "stopped"
    assert not models.exists("stopped") and models.bundles() == bundles


def test_two_at_once_for_one_name(models: Models) -> None:
    """Both train; the one that ends second finds the name taken and leaves nothing."""
    before = models.bundles()
    query = "SELECT x, MOD(x, 3) AS y FROM UNNEST(GENERATE_ARRAY(1, 20000)) AS x"
    sql = f"CREATE MODEL d.raced OPTIONS({TREES}, MAX_ITERATIONS=10) AS {query}"
    started = [
        models.api.ok("POST", "jobs", {"configuration": {"query": {"query": sql, "useLegacySql": False}}})
        for _ in range(2)
    ]
    ended = [models.api.ended(each["jobReference"]["jobId"]) for each in started]
    errors = [each["status"].get("errorResult") for each in ended]
    failed = [each for each in errors if each is not None]
    assert [each["reason"] for each in failed] == ["duplicate"]
    assert failed[0]["message"] == "Already Exists: Model test-project:d.raced"
    assert models.exists("raced") and len(models.bundles() - before) == 1
