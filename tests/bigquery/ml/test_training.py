"""CREATE MODEL: what trains, what is held out, what is kept, and how the statement ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from tests.bigquery.ml.conftest import PENGUINS

from tule.bigquery.ml.options import OPTIONS, read_options
from tule.bigquery.ml.options.model_types import AUTOML, LEARNED, TRANSFORM_ONLY, TYPES
from tule.bigquery.ml.training import learn_options

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

LINE = "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y']"


def line(rows: int, extra: str = "") -> str:
    """y = 2 x + 1 and a little, on ``rows`` rows."""
    return f"SELECT x, 2 * x + 1 + MOD(x * 7, 5) / 100 AS y{extra} FROM UNNEST(GENERATE_ARRAY(1, {rows})) AS x"


def held(models: Models, name: str) -> pa.Table:
    return pa.Table.from_batches(list(models.opened(name).kept().scan()))


# -- statements


def test_a_job_that_trains(models: Models) -> None:
    job = models.train("first", LINE, line(100))
    query = job["statistics"]["query"]
    assert (query["statementType"], query["ddlOperationPerformed"]) == ("CREATE_MODEL", "CREATE")
    assert query["ddlTargetTable"] == {"projectId": "test-project", "datasetId": "d", "tableId": "first"}
    about = query["mlStatistics"]
    assert about["modelType"] == "LINEAR_REGRESSION" and about["trainingType"] == "SINGLE_TRAINING"
    (result,) = about["iterationResults"]
    assert result["index"] == 0 and 0 < result["trainingLoss"] < 1e-3


def test_a_name_is_taken_once(models: Models) -> None:
    models.train("taken", LINE, line(10))
    before = models.resource("taken")
    error = models.error("taken", LINE, line(20))
    assert (error["code"], error["reason"]) == (409, "duplicate")
    assert error["message"] == "Already Exists: Model test-project:d.taken"
    skipped = models.api.done(query={"query": f"CREATE MODEL IF NOT EXISTS d.taken OPTIONS({LINE}) AS {line(20)}"})
    assert skipped["statistics"]["query"]["ddlOperationPerformed"] == "SKIP"
    assert models.resource("taken") == before


def test_a_replacement_takes_the_place_when_it_is_done(models: Models) -> None:
    models.train("swapped", LINE, line(10))
    first, bundles = models.resource("swapped"), models.bundles()
    error = models.error("swapped", LINE, "SELECT 1 AS x, CAST(NULL AS FLOAT64) AS y", verb="CREATE OR REPLACE")
    assert error["reason"] == "invalidQuery"
    assert models.resource("swapped") == first and models.bundles() == bundles
    job = models.train("swapped", LINE, line(30), verb="CREATE OR REPLACE")
    assert job["statistics"]["query"]["ddlOperationPerformed"] == "REPLACE"
    assert models.opened("swapped").model.num_rows == 30
    assert len(models.bundles()) == len(bundles), "the old bundle goes"
    assert models.resource("swapped")["etag"] != first["etag"]


def test_tables_views_and_models_share_one_namespace(models: Models) -> None:
    models.api.query("CREATE TABLE d.shared (x INT64)")
    error = models.error("shared", LINE, line(10))
    assert (error["code"], error["message"]) == (409, "Already Exists: Table test-project:d.shared")
    models.train("shared2", LINE, line(10))
    for sql in ("CREATE TABLE d.shared2 (x INT64)", "CREATE VIEW d.shared2 AS SELECT 1 AS x"):
        error = models.api.query_error(sql)
        assert (error["code"], error["message"]) == (409, "Already Exists: Model test-project:d.shared2")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("CREATE MODEL d.bad OPTIONS(MODEL_TYPE='LINEAR_REG')", "CREATE MODEL must have a training query"),
        ("CREATE MODEL d.bad AS SELECT 1 AS x, 2 AS label", "CREATE MODEL must name a MODEL_TYPE"),
        ("CREATE MODEL nowhere.bad OPTIONS(MODEL_TYPE='LINEAR_REG') AS SELECT 1 AS label", "Dataset test-project:nowhere"),
        ("CREATE MODEL d.`b/d` OPTIONS(MODEL_TYPE='LINEAR_REG') AS SELECT 1 AS label", 'Invalid model ID "b/d"'),
        ("CREATE MODEL d.bad OPTIONS(MODEL_TYPE='LINEAR_REG') AS SELECT * FROM d.missing", "Table test-project:d.missing"),
        ("CREATE MODEL d.bad REMOTE WITH CONNECTION DEFAULT OPTIONS(ENDPOINT='x')", "Tule has no default connection"),
        ("CREATE MODEL d.bad OPTIONS(MODEL_TYPE='LINEAR_REG', NUM_TRIALS=2) AS SELECT 1 AS label", "at least one feature"),
    ],
)  # fmt: skip
def test_statements_that_train_nothing(models: Models, sql: str, message: str) -> None:
    bundles = models.bundles()
    assert message in models.api.query_error(sql)["message"]
    assert not models.exists("bad") and models.bundles() == bundles


def test_the_label_is_found_in_any_letter_case(models: Models) -> None:
    models.train(
        "cased", "model_type='linear_reg', input_label_cols=['Y',]", "SELECT x, x AS y FROM UNNEST([1, 2, 3]) AS x"
    )
    assert models.opened("cased").label == "y"
    models.train("plain", "MODEL_TYPE='LINEAR_REG'", "SELECT 1 AS x, 2 AS label UNION ALL SELECT 2, 3")
    assert models.opened("plain").label == "label"


def test_rows_without_a_label_are_skipped(models: Models) -> None:
    models.train("gaps", LINE, "SELECT x, IF(MOD(x, 2) = 0, NULL, x) AS y FROM UNNEST(GENERATE_ARRAY(1, 20)) AS x")
    opened = models.opened("gaps").model
    assert (opened.num_rows, opened.skipped_rows) == (10, 10)


def test_the_same_data_trains_the_same_bytes(models: Models) -> None:
    query = f"SELECT * FROM ({line(2000, ', MOD(x, 3) AS g')}) JOIN UNNEST([1, 2]) AS k ON TRUE"
    contents = []
    for name in ("twin1", "twin2"):
        models.train(name, "MODEL_TYPE='BOOSTED_TREE_REGRESSOR', INPUT_LABEL_COLS=['y'], MAX_ITERATIONS=3", query)
        record = models.api.app.records.get(f"projects/test-project/datasets/d/models/{name}")
        folder = models.api.app.home.root / "bundles" / record.body["_tule"]["bundle"]
        contents.append((folder / "model" / "model.ubj").read_bytes())
    assert contents[0] == contents[1]


_SERIES = "SELECT DATE_ADD(DATE '2026-01-01', INTERVAL n DAY) AS day, n + MOD(n, 7) AS y, SIN(n) AS x"
_OF_DAYS = {"time_series_timestamp_col": "day", "time_series_data_col": "y"}
# An automatic search, imports and segments have tests of their own.
_TRAINED = [each for each in TYPES if each in LEARNED - AUTOML or each == TRANSFORM_ONLY]
# What a type cannot do without, and the rows for it where the penguins do not fit.
_NEEDED: dict[str, dict[str, object]] = {
    "PCA": {"num_principal_components": 2},
    "MATRIX_FACTORIZATION": {"user_col": "u", "item_col": "i", "rating_col": "r"},
    "ARIMA_PLUS": _OF_DAYS,
    "ARIMA_PLUS_XREG": _OF_DAYS,
}
_ROWS = {
    "MATRIX_FACTORIZATION": "SELECT MOD(n, 7) AS u, DIV(n, 7) AS i, MOD(n * n, 5) AS r "
    "FROM UNNEST(GENERATE_ARRAY(0, 69)) AS n",
    "ARIMA_PLUS": f"SELECT day, y FROM ({_SERIES} FROM UNNEST(GENERATE_ARRAY(1, 60)) AS n)",
    "ARIMA_PLUS_XREG": f"{_SERIES} FROM UNNEST(GENERATE_ARRAY(1, 60)) AS n",
}


@pytest.mark.parametrize("model_type", _TRAINED)
def test_a_model_of_every_type(models: Models, model_type: str) -> None:
    options: dict[str, object] = {"model_type": model_type, **_NEEDED.get(model_type, {})}
    if TYPES[model_type].task in ("regression", "classification"):
        options["input_label_cols"] = ["species" if TYPES[model_type].task == "classification" else "body_mass_g"]
    written = ", ".join(f"{key}={value!r}" for key, value in options.items())
    rows = _ROWS.get(model_type, f"SELECT * FROM {PENGUINS} WHERE body_mass_g > 0")
    models.train(f"every_{model_type.lower()}", written, rows, transform="*" if model_type == "TRANSFORM_ONLY" else "")
    resource = models.resource(f"every_{model_type.lower()}")
    assert resource["modelType"] == TYPES[model_type].rest
    assert resource["trainingRuns"][-1]["results"]


@pytest.mark.parametrize("model_type", _TRAINED)
def test_defaults_of_learning_are_those_of_the_options(model_type: str) -> None:
    from tule.learn.models import FAMILIES

    needed = _NEEDED.get(model_type, {})
    written = read_options({"model_type": model_type, **needed})
    learned = FAMILIES[TYPES[model_type].family].options.of(learn_options(written))
    # The learn rate counts only with CONSTANT; min_tree_child_weight is whole there.
    differ = {"learn_rate"} if model_type in ("LINEAR_REG", "LOGISTIC_REG") else set()
    if "COMBINED" in model_type:  # one for each part
        differ = {"learn_rate", "optimizer"}
    for option in OPTIONS:
        if model_type in option.types and hasattr(learned, option.key) and option.key not in {*differ, *needed}:
            assert getattr(learned, option.key) == option.default, option.name


# -- data splits


@pytest.mark.parametrize(("rows", "out"), [(499, 0), (500, 100), (50_000, 10_000), (50_001, 10_000), (60_000, 10_000)])
def test_automatic_split(models: Models, rows: int, out: int) -> None:
    name = f"auto{rows}"
    models.train(name, LINE, line(rows))
    opened = models.opened(name)
    assert opened.model.num_rows == rows - out
    # Nothing held out: the rows that trained are kept to evaluate.
    assert opened.kept().num_rows == (out or rows)
    losses = {row["eval_loss"] is None for row in models.ask(f"SELECT * FROM ML.TRAINING_INFO(MODEL d.{name})")}
    assert losses == {out == 0}


def test_the_split_follows_the_rows_and_not_their_order(models: Models) -> None:
    for name, order in (("along", "ASC"), ("back", "DESC")):
        models.train(
            name,
            f"{LINE}, DATA_SPLIT_METHOD='RANDOM', DATA_SPLIT_EVAL_FRACTION=0.25",
            f"{line(1000)} ORDER BY x {order}",
        )
    along, back = (sorted(held(models, name)["x"].to_pylist()) for name in ("along", "back"))
    assert along == back and 200 < len(along) < 300


def test_equal_rows_are_split_too(models: Models) -> None:
    query = "SELECT MOD(x, 2) AS x, MOD(x, 2) AS y FROM UNNEST(GENERATE_ARRAY(1, 1000)) AS x"
    models.train("equal", LINE, query)
    assert models.opened("equal").model.num_rows == 800
    counts = sorted(pair["counts"] for pair in held(models, "equal")["x"].value_counts().to_pylist())
    assert sum(counts) == 200 and counts[0] > 60, "both kinds of row are on both sides"
    models.train("equal2", f"{LINE}, DATA_SPLIT_METHOD='RANDOM', DATA_SPLIT_EVAL_FRACTION=0.5", query)
    assert 400 < models.opened("equal2").model.num_rows < 600


def test_custom_split(models: Models) -> None:
    query = line(10, ", CASE MOD(x, 3) WHEN 0 THEN TRUE WHEN 1 THEN FALSE END AS part")
    models.train("custom", f"{LINE}, DATA_SPLIT_METHOD='CUSTOM', DATA_SPLIT_COL='part'", query)
    opened = models.opened("custom")
    assert opened.model.num_rows == 4 and opened.model.signature.input_names == ["x"]
    assert sorted(held(models, "custom")["x"].to_pylist()) == [2, 3, 5, 6, 8, 9], "TRUE and NULL evaluate"
    assert held(models, "custom").column_names == ["x", "y"]


def test_sequential_split(models: Models) -> None:
    query = line(10, ", IF(x = 10, NULL, DATE_ADD(DATE '2026-01-01', INTERVAL 100 - x DAY)) AS day")
    models.train(
        "sequence", f"{LINE}, DATA_SPLIT_METHOD='SEQ', DATA_SPLIT_COL='day', DATA_SPLIT_EVAL_FRACTION=0.333", query
    )
    # 0.33 of the nine rows that have a day: the latest days are those of the smallest x.
    assert sorted(held(models, "sequence")["x"].to_pylist()) == [1, 2, 3]
    assert models.opened("sequence").model.num_rows == 7, "a row without a day trains"
    options = models.resource("sequence")["trainingRuns"][0]["trainingOptions"]
    assert (options["dataSplitMethod"], options["dataSplitColumn"]) == ("SEQUENTIAL", "day")


def test_no_split(models: Models) -> None:
    models.train("whole", f"{LINE}, DATA_SPLIT_METHOD='NO_SPLIT'", line(1000))
    assert models.opened("whole").model.num_rows == 1000 and held(models, "whole").num_rows == 1000


def test_of_many_rows_that_all_train_an_even_sample_is_kept(models: Models) -> None:
    models.train("many", f"{LINE}, DATA_SPLIT_METHOD='NO_SPLIT'", line(250_000))
    kept = held(models, "many")["x"].to_pylist()
    assert 50_000 <= len(kept) <= 100_000 and kept == sorted(set(kept))
    assert abs(sum(kept) / len(kept) / 125_000 - 1) < 0.02


@pytest.mark.parametrize(
    ("options", "extra", "message"),
    [
        ("DATA_SPLIT_METHOD='CUSTOM', DATA_SPLIT_COL='part'", ", x AS part", "must be a BOOL column; given: part is int64"),
        ("DATA_SPLIT_METHOD='SEQ', DATA_SPLIT_COL='part'", ", [x] AS part", "must be a column of numbers"),
        ("DATA_SPLIT_METHOD='SEQ', DATA_SPLIT_COL='parts'", ", x AS part", "must be one of the training query: parts"),
        ("DATA_SPLIT_METHOD='CUSTOM', DATA_SPLIT_COL='part'", ", TRUE AS part", "Training needs at least one row"),
    ],
)  # fmt: skip
def test_splits_that_cannot_be(models: Models, options: str, extra: str, message: str) -> None:
    error = models.error("unsplit", f"{LINE}, {options}", line(20, extra))
    assert (error["code"], error["reason"]) == (400, "invalidQuery") and message in error["message"]
    assert not models.exists("unsplit")


# -- weights and warm starts


def test_class_weights(models: Models) -> None:
    query = "SELECT x, IF(x > 90, 'rare', 'often') AS y FROM UNNEST(GENERATE_ARRAY(1, 100)) AS x"
    options = "MODEL_TYPE='LOGISTIC_REG', INPUT_LABEL_COLS=['y'], L2_REG=0.1"
    models.train("unweighted", options, query)
    models.train("balanced", f"{options}, AUTO_CLASS_WEIGHTS=TRUE", query)
    models.train("weighed", f"{options}, CLASS_WEIGHTS=[('rare', 5.0), STRUCT('often', 0.5555555555555556)]", query)
    found = {}
    for name in ("unweighted", "balanced", "weighed"):
        (row,) = models.ask(f"SELECT * FROM ML.PREDICT(MODEL d.{name}, (SELECT 85 AS x))")
        found[name] = next(each["prob"] for each in row["predicted_y_probs"] if each["label"] == "rare")
    assert found["unweighted"] < found["balanced"] and found["balanced"] == pytest.approx(found["weighed"], rel=1e-6)
    error = models.error("lighter", f"{options}, CLASS_WEIGHTS=[('rare', 5.0)]", query)
    assert "one weight for each class: often, rare" in error["message"] and error["reason"] == "invalidQuery"


def test_instance_weights(models: Models) -> None:
    query = "SELECT MOD(x, 2) AS x, x AS y, IF(x > 50, 1.0, 0.0) AS w FROM UNNEST(GENERATE_ARRAY(1, 100)) AS x"
    options = "MODEL_TYPE='BOOSTED_TREE_REGRESSOR', INPUT_LABEL_COLS=['y'], MAX_ITERATIONS=30, LEARN_RATE=0.9"
    models.train("heavy", f"{options}, INSTANCE_WEIGHT_COL='W'", query)
    assert models.opened("heavy").model.signature.input_names == ["x"]
    (row,) = models.ask("SELECT * FROM ML.PREDICT(MODEL d.heavy, (SELECT 0 AS x))")
    assert row["predicted_y"] == pytest.approx(76, abs=1), "rows of weight 0 do not count"
    bad = query.replace("0.0) AS w", "-1.0) AS w")
    assert "not negative nor NULL" in models.error("light", f"{options}, INSTANCE_WEIGHT_COL='w'", bad)["message"]


def test_a_warm_start_goes_on(models: Models) -> None:
    options = "MODEL_TYPE='KMEANS', NUM_CLUSTERS=3, MAX_ITERATIONS=2, EARLY_STOP=FALSE"
    query = f"SELECT culmen_length_mm, body_mass_g FROM {PENGUINS}"
    error = models.error("warm", f"{options}, WARM_START=TRUE", query)
    assert "WARM_START = TRUE needs a model to go on from" in error["message"]
    models.train("warm", options, query)
    models.train("warm", f"{options}, WARM_START=TRUE", query, verb="CREATE OR REPLACE")
    rows = models.ask("SELECT training_run, iteration, loss FROM ML.TRAINING_INFO(MODEL d.warm) ORDER BY 1, 2")
    assert {row["training_run"] for row in rows} == {0, 1}
    assert rows[-1]["loss"] <= rows[0]["loss"]
    assert len(models.resource("warm")["trainingRuns"]) == 2
    error = models.error("warm", f"{LINE}, WARM_START=TRUE", line(10), verb="CREATE OR REPLACE")
    assert "needs a model of the same type, LINEAR_REG" in error["message"]


def test_custom_centroids(models: Models) -> None:
    query = "SELECT x, x IN (1, 100) AS begin FROM UNNEST(GENERATE_ARRAY(1, 100)) AS x"
    options = "MODEL_TYPE='KMEANS', NUM_CLUSTERS=2, KMEANS_INIT_METHOD='CUSTOM', KMEANS_INIT_COL='begin'"
    models.train("begun", options, query)
    assert models.opened("begun").model.signature.input_names == ["x"]
    rows = models.ask("SELECT centroid_id, numerical_value FROM ML.CENTROIDS(MODEL d.begun) ORDER BY 1")
    assert [row["numerical_value"] for row in rows] == [pytest.approx(25.5), pytest.approx(75.5)]
    assert models.error("begun3", options.replace("=2", "=3"), query)["reason"] == "invalidQuery"
