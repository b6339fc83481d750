"""ML.DESCRIBE_DATA, ML.VALIDATE_DATA_DRIFT and ML.VALIDATE_DATA_SKEW beside the same numbers by NumPy and pandas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from tests.bigquery.ml.conftest import PENGUINS

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

FEATURES = "species, island, culmen_length_mm, culmen_depth_mm, flipper_length_mm, sex"


@pytest.fixture(scope="module", autouse=True)
def made(models: Models) -> Iterator[None]:
    models.api.query(
        """CREATE TABLE d.mixed AS SELECT n AS whole, n / 4 AS part, IF(n = 3, NULL, CONCAT('w', MOD(n, 3))) AS word,
        n > 5 AS flag, DATE '2026-01-01' + n AS day, GENERATE_ARRAY(1, n) AS counts, STRUCT(n * 2 AS twice, 'k' AS k) AS s,
        [STRUCT(n AS i, 0.5 AS v)] AS sparse, CAST(NUMERIC '0' AS NUMERIC) AS zero
        FROM UNNEST(GENERATE_ARRAY(0, 9)) AS n"""
    )
    models.train("mass", "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['body_mass_g']",
                 f"SELECT {FEATURES}, body_mass_g FROM {PENGUINS} WHERE body_mass_g IS NOT NULL")  # fmt: skip
    yield


def birds(models: Models, where: str) -> list[dict[str, Any]]:
    return models.ask(f"SELECT * FROM {PENGUINS} WHERE {where}")


def shares(rows: list[dict[str, Any]], column: str) -> dict[str, float]:
    values = [row[column] for row in rows if row[column] is not None]
    return {value: values.count(value) / len(values) for value in set(values)}


def divergence(a: list[float], b: list[float], ranges: int = 10) -> float:
    """Both on the edges of both, as if values were spread evenly in each of the ranges."""
    tables = [np.histogram(each, ranges) for each in (a, b)]
    edges = np.unique(np.concatenate([edges for _, edges in tables]))
    spread = [np.diff(np.interp(edges, own, np.concatenate([[0], np.cumsum(counts)]))) for counts, own in tables]
    return float(jensenshannon(*spread, 2) ** 2)


# -- DESCRIBE_DATA


def described(models: Models, options: str = "", table: str = "TABLE d.mixed") -> dict[str, dict[str, Any]]:
    options = f", STRUCT({options})" if options else ""
    rows = models.ask(f"SELECT * FROM ML.DESCRIBE_DATA({table}{options})")
    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)
    return {row["name"]: row for row in rows}


def test_the_columns_of_a_description(models: Models) -> None:
    assert models.columns("SELECT * FROM ML.DESCRIBE_DATA(TABLE d.mixed)") == [
        ("name", "STRING"), ("num_rows", "INTEGER"), ("num_nulls", "INTEGER"), ("num_zeros", "INTEGER"),
        ("min", "STRING"), ("max", "STRING"), ("mean", "FLOAT"), ("stddev", "FLOAT"), ("median", "FLOAT"),
        ("quantiles", "FLOAT[]"), ("unique", "INTEGER"), ("avg_string_length", "FLOAT"), ("num_values", "INTEGER"),
        ("top_values", "RECORD[]"), ("min_array_length", "INTEGER"), ("max_array_length", "INTEGER"),
        ("avg_array_length", "FLOAT"), ("total_array_length", "INTEGER"), ("array_length_quantiles", "INTEGER[]"),
        ("dimension", "INTEGER"),
    ]  # fmt: skip


def test_numbers_are_described(models: Models) -> None:
    found = described(models, "3 AS num_quantiles, 2 AS top_k")
    whole = found["whole"]
    assert whole | {"stddev": None} == {
        "name": "whole", "num_rows": 10, "num_nulls": 0, "num_zeros": 1, "min": "0", "max": "9", "mean": 4.5,
        "stddev": None, "median": 4.0, "quantiles": [0.0, 3.0, 6.0, 9.0], "unique": None, "avg_string_length": None,
        "num_values": 10, "top_values": [], "min_array_length": None, "max_array_length": None,
        "avg_array_length": None, "total_array_length": None, "array_length_quantiles": [], "dimension": None,
    }  # fmt: skip
    # Of the population, as the service answers.
    assert whole["stddev"] == pytest.approx(np.arange(10).std())
    assert (found["part"]["max"], found["zero"]["num_zeros"], found["s_twice"]["mean"]) == ("2.25", 10, 9.0)


def test_texts_are_described(models: Models) -> None:
    found = described(models, "2 AS top_k")
    word = found["word"]
    assert (word["num_nulls"], word["num_values"], word["unique"], word["min"], word["max"]) == (1, 9, 3, "w0", "w2")
    assert word["top_values"] == [{"value": "w0", "count": 3}, {"value": "w1", "count": 3}]
    assert (word["avg_string_length"], word["mean"], word["quantiles"]) == (2.0, None, [])
    assert found["flag"]["top_values"][0] == {"value": "false", "count": 6}
    assert (found["day"]["min"], found["s_k"]["unique"]) == ("2026-01-01", 1)
    assert len(described(models)["word"]["top_values"]) == 1


def test_arrays_are_described_by_their_elements(models: Models) -> None:
    found = described(models, "3 AS num_array_length_quantiles")
    counts = found["counts"]
    assert (counts["num_values"], counts["max"], counts["num_rows"]) == (45, "9", 10)
    assert (counts["min_array_length"], counts["max_array_length"], counts["total_array_length"]) == (0, 9, 45)
    assert (counts["avg_array_length"], counts["array_length_quantiles"]) == (4.5, [0, 3, 6, 9])
    assert (found["sparse"]["dimension"], found["sparse"]["mean"]) == (10, 0.5)


def test_many_rows_have_approximate_quantiles(models: Models) -> None:
    rows = "(SELECT MOD(n * 7919, 200000) AS x FROM UNNEST(GENERATE_ARRAY(1, 200000)) AS n)"
    (found,) = models.ask(
        f"SELECT median, quantiles, num_rows FROM ML.DESCRIBE_DATA({rows}, STRUCT(4 AS num_quantiles))"
    )
    assert found["num_rows"] == 200_000
    assert found["quantiles"] == pytest.approx([0, 50_000, 100_000, 150_000, 199_999], abs=2_000)
    assert found["median"] == found["quantiles"][2]


def test_empty_and_odd_columns(models: Models) -> None:
    values = "[1.0, CAST('inf' AS FLOAT64), NULL]"
    rows = f"(SELECT CAST(NULL AS FLOAT64) AS none, x, b'\\xff' AS bytes FROM UNNEST({values}) AS x)"
    found = described(models, table=rows)
    assert (found["none"]["num_nulls"], found["none"]["mean"], found["none"]["quantiles"]) == (3, None, [])
    assert (found["x"]["min"], found["x"]["mean"], found["x"]["num_values"]) == ("1", float("inf"), 2)
    assert described(models, table="(SELECT * FROM d.mixed WHERE FALSE)")["whole"]["num_rows"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("TABLE d.mixed, STRUCT(0 AS num_quantiles)", "must be between 1 and 100000; given: 0"),
        ("TABLE d.mixed, STRUCT(3 AS topk)", "has no argument topk. Next: use top_k"),
        ("STRUCT(3 AS top_k)", "takes TABLE name or (query), [STRUCT(value AS key, ...)], in this order"),
        ("TABLE d.mixed, TABLE d.mixed", "takes TABLE name or (query)"),
        ("TABLE d.nowhere", "d.nowhere"),
        ("(SELECT ST_GEOGPOINT(1, 2) AS p)", "given: p of type GEOGRAPHY"),
    ],
)
def test_what_cannot_be_described(models: Models, arguments: str, message: str) -> None:
    assert message in models.api.query_error(f"SELECT * FROM ML.DESCRIBE_DATA({arguments})")["message"]


# -- VALIDATE_DATA_DRIFT


def test_drift_between_islands(models: Models) -> None:
    base, study = birds(models, "island = 'Biscoe'"), birds(models, "island = 'Dream'")
    rows = models.ask(
        f"""SELECT * FROM ML.VALIDATE_DATA_DRIFT((SELECT * FROM {PENGUINS} WHERE island = 'Biscoe'),
        (SELECT * FROM {PENGUINS} WHERE island = 'Dream'), STRUCT([('sex', 0.0)] AS thresholds))"""
    )
    found = {row["input"]: row for row in rows}
    assert list(rows[0]) == ["input", "metric", "threshold", "value", "is_anomaly"]
    for name in ("species", "island", "sex"):
        p, q = shares(base, name), shares(study, name)
        wanted = max(abs(p.get(each, 0) - q.get(each, 0)) for each in {*p, *q})
        assert (found[name]["metric"], found[name]["value"]) == ("L_INFTY", pytest.approx(wanted))
    for name in ("culmen_length_mm", "flipper_length_mm", "body_mass_g"):
        wanted = divergence(*([row[name] for row in rows if row[name] is not None] for rows in (base, study)))
        assert found[name]["metric"] == "JENSEN_SHANNON_DIVERGENCE"
        assert found[name]["value"] == pytest.approx(wanted, rel=1e-9)
    assert [found[name]["is_anomaly"] for name in ("island", "culmen_length_mm", "sex")] == [True, False, True]
    assert (found["sex"]["threshold"], found["island"]["threshold"]) == (0.0, 0.3)


def test_one_measure_for_all(models: Models) -> None:
    (row,) = models.ask(
        """SELECT * FROM ML.VALIDATE_DATA_DRIFT((SELECT x FROM UNNEST(['a', 'a', 'b']) AS x),
        (SELECT x FROM UNNEST(['a', 'b', 'b', NULL]) AS x),
        STRUCT('jensen_shannon_divergence' AS categorical_metric_type, 0.05 AS categorical_default_threshold))"""
    )
    wanted = float(jensenshannon([2 / 3, 1 / 3], [1 / 3, 2 / 3], 2) ** 2)
    assert row == {"input": "x", "metric": "JENSEN_SHANNON_DIVERGENCE", "threshold": 0.05,
                   "value": pytest.approx(wanted), "is_anomaly": True}  # fmt: skip


def ranges_of_two() -> float:
    """Half of the first below 49.5, of the second as if spread evenly from 50 to 99.5."""
    return divergence([float(n) for n in range(100)], [n + 50.0 for n in range(100)], 2)


def test_sizes_of_histograms_count(models: Models) -> None:
    rows = "(SELECT n + {} AS x, CAST(n AS STRING) AS t FROM UNNEST(GENERATE_ARRAY(0, 99)) AS n)"

    def drift(options: str) -> dict[str, float]:
        sql = f"SELECT * FROM ML.VALIDATE_DATA_DRIFT({rows.format(0)}, {rows.format(50)}, STRUCT({options}))"
        return {row["input"]: row["value"] for row in models.ask(sql)}

    assert drift("2 AS num_histogram_buckets")["x"] == pytest.approx(ranges_of_two())
    # Of a hundred texts once each, the first two by name are all that is looked at.
    assert drift("2 AS num_rank_histogram_buckets")["t"] == 0.0


def test_only_columns_of_both_are_compared(models: Models) -> None:
    rows = models.ask(
        """SELECT input FROM ML.VALIDATE_DATA_DRIFT((SELECT 1 AS a, 'x' AS b, 2.5 AS C, CAST(NULL AS INT64) AS e),
        (SELECT 'y' AS b, 2 AS c, 'z' AS d, 1 AS e))"""
    )
    assert [row["input"] for row in rows] == ["C", "b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("1.0 AS categorical_default_threshold", "must be at least 0 and below 1; given: 1.0"),
        ("'L_INFTY' AS numerical_metric_type", "must be JENSEN_SHANNON_DIVERGENCE; given: 'L_INFTY'"),
        ("'COSINE' AS categorical_metric_type", "must be L_INFTY or JENSEN_SHANNON_DIVERGENCE"),
        ("[('nothing', 0.1)] AS thresholds", "must name columns that are compared; given: nothing"),
        ("[0.1] AS thresholds", "must be an array of columns with thresholds"),
        ("1001 AS num_histogram_buckets", "must be between 1 and 1000"),
        ("TRUE AS enable_visualization_link", "has no argument enable_visualization_link"),
    ],
)
def test_what_drift_does_not_take(models: Models, options: str, message: str) -> None:
    sql = f"SELECT * FROM ML.VALIDATE_DATA_DRIFT(TABLE d.mixed, TABLE d.mixed, STRUCT({options}))"
    error = models.api.query_error(sql)
    assert message in error["message"] and error["reason"] == "invalidQuery"


def test_links_to_charts_are_refused(models: Models) -> None:
    sql = "SELECT * FROM ML.VALIDATE_DATA_DRIFT(TABLE d.mixed, TABLE d.mixed, STRUCT(), MODEL d.mass)"
    assert "does not make the visualization links" in models.api.query_error(sql)["message"]
    sql = "SELECT * FROM ML.VALIDATE_DATA_SKEW(MODEL d.mass, TABLE d.mixed, STRUCT(TRUE AS enable_visualization_link))"
    assert "does not make the visualization links" in models.api.query_error(sql)["message"]


# -- VALIDATE_DATA_SKEW


def skew(models: Models, name: str, rows: str, options: str = "") -> dict[str, dict[str, Any]]:
    sql = f"SELECT * FROM ML.VALIDATE_DATA_SKEW(MODEL d.{name}, {rows}, STRUCT({options}))"
    return {row["input"]: row for row in models.ask(sql)}


def test_training_rows_have_no_skew(models: Models) -> None:
    found = skew(models, "mass", f"(SELECT * FROM {PENGUINS} WHERE body_mass_g IS NOT NULL)")
    assert sorted(found) == sorted(FEATURES.split(", "))
    assert {row["value"] for row in found.values()} == {0.0}
    assert not any(row["is_anomaly"] for row in found.values())


def test_skew_is_drift_from_the_training_rows(models: Models) -> None:
    train = f"(SELECT {FEATURES} FROM {PENGUINS} WHERE body_mass_g IS NOT NULL)"
    serve = f"(SELECT * EXCEPT (species) FROM {PENGUINS} WHERE sex = 'FEMALE')"
    found = skew(models, "mass", serve, "0.2 AS numerical_default_threshold")
    rows = models.ask(f"SELECT input, value FROM ML.VALIDATE_DATA_DRIFT({train}, {serve})")
    assert {name: row["value"] for name, row in found.items()} == {row["input"]: row["value"] for row in rows}
    assert found["sex"]["is_anomaly"] and found["sex"]["value"] > 0.45
    assert (found["culmen_depth_mm"]["threshold"], found["sex"]["threshold"]) == (0.2, 0.3)


def test_raw_columns_are_compared_before_a_transform(models: Models) -> None:
    models.train("scaled", "MODEL_TYPE='LOGISTIC_REG', INPUT_LABEL_COLS=['sex']",
                 f"SELECT sex, body_mass_g, island FROM {PENGUINS} WHERE sex IN ('MALE', 'FEMALE')",
                 transform="sex, ML.STANDARD_SCALER(body_mass_g) OVER () AS scaled, island")  # fmt: skip
    found = skew(models, "scaled", f"(SELECT * FROM {PENGUINS} WHERE sex = 'MALE')")
    assert sorted(found) == ["body_mass_g", "island"]
    base, study = birds(models, "sex IN ('MALE', 'FEMALE')"), birds(models, "sex = 'MALE'")
    wanted = divergence([row["body_mass_g"] for row in base], [row["body_mass_g"] for row in study])
    assert found["body_mass_g"]["value"] == pytest.approx(wanted)


def test_held_out_rows_are_no_training_rows(models: Models) -> None:
    models.train("split", "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y'], "
                 "DATA_SPLIT_METHOD='CUSTOM', DATA_SPLIT_COL='out'",
                 "SELECT n AS x, n * 2.0 AS y, n >= 100 AS out FROM UNNEST(GENERATE_ARRAY(0, 199)) AS n")  # fmt: skip
    assert skew(models, "split", "(SELECT n AS x FROM UNNEST(GENERATE_ARRAY(0, 99)) AS n)")["x"]["value"] == 0.0
    assert skew(models, "split", "(SELECT n AS x FROM UNNEST(GENERATE_ARRAY(100, 199)) AS n)")["x"]["value"] == 1.0


def test_a_large_training_is_remembered_by_a_sample_with_all_its_ends(models: Models) -> None:
    columns = "MOD(n * 7919, 150001) AS x, CONCAT('k', MOD(n, 4)) AS k, n AS y"
    rows = f"SELECT {columns} FROM UNNEST(GENERATE_ARRAY(1, 150001)) AS n"
    models.train("large", "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y']", rows)
    kept = models.opened("large").distributions()
    assert kept is not None
    assert (kept["x"].edges[0], kept["x"].edges[-1]) == (0.0, 150_000.0)  # type: ignore[union-attr]
    found = skew(models, "large", f"({rows})")
    assert found["x"]["value"] < 1e-4 and found["k"]["value"] < 0.01


def test_models_that_remember_nothing(models: Models) -> None:
    models.train("series", "MODEL_TYPE='ARIMA_PLUS', TIME_SERIES_TIMESTAMP_COL='t', TIME_SERIES_DATA_COL='y'",
                 "SELECT DATE '2026-01-01' + n AS t, n AS y FROM UNNEST(GENERATE_ARRAY(0, 20)) AS n")  # fmt: skip
    sql = "SELECT * FROM ML.VALIDATE_DATA_SKEW(MODEL d.{}, TABLE d.mixed)"
    assert "is not supported for model type ARIMA_PLUS" in models.api.query_error(sql.format("series"))["message"]
    models.train("mass", "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['body_mass_g'], WARM_START=TRUE, MAX_ITERATIONS=2",
                 f"SELECT {FEATURES}, body_mass_g FROM {PENGUINS} WHERE body_mass_g IS NOT NULL",
                 verb="CREATE OR REPLACE")  # fmt: skip
    error = models.api.query_error(sql.format("mass"))
    assert "trained from the beginning" in error["message"] and "CREATE OR REPLACE MODEL" in error["message"]


# -- messages of TensorFlow Data Validation


def statistics(models: Models, rows: str, options: str = "") -> dict[str, Any]:
    (row,) = models.ask(f"SELECT * FROM ML.TFDV_DESCRIBE({rows}{', STRUCT(' + options + ')' if options else ''})")
    found: dict[str, Any] = json.loads(row["dataset_feature_statistics_list"])
    return found


def test_statistics_as_a_message(models: Models) -> None:
    assert models.columns("SELECT * FROM ML.TFDV_DESCRIBE(TABLE d.mixed)") == [
        ("dataset_feature_statistics_list", "JSON")
    ]
    (dataset,) = statistics(models, "TABLE d.mixed", "3 AS num_histogram_buckets, 2 AS num_rank_histogram_buckets")[
        "datasets"
    ]
    features = {each["name"]: each for each in dataset["features"]}
    assert (dataset["num_examples"], len(features)) == ("10", 10)
    numbers = features["part"]["num_stats"]
    assert (features["part"]["type"], "type" in features["whole"]) == ("FLOAT", False)
    assert numbers["common_stats"] == {
        "num_non_missing": "10", "min_num_values": "1", "max_num_values": "1", "avg_num_values": 1.0, "tot_num_values": "10"
    }  # fmt: skip
    assert (numbers["mean"], numbers["num_zeros"], numbers["max"], "min" in numbers) == (1.125, "1", 2.25, False)
    standard, quantiles = numbers["histograms"]
    assert standard == {"buckets": [
        {"high_value": 0.75, "sample_count": 3.0}, {"low_value": 0.75, "high_value": 1.5, "sample_count": 3.0},
        {"low_value": 1.5, "high_value": 2.25, "sample_count": 4.0},
    ]}  # fmt: skip
    assert quantiles["type"] == "QUANTILES" and sum(each["sample_count"] for each in quantiles["buckets"]) == 10.0
    words = features["word"]["string_stats"]
    assert words["common_stats"]["num_missing"] == "1"
    assert words["rank_histogram"]["buckets"] == [
        {"label": "w0", "sample_count": 3.0},
        {"low_rank": "1", "high_rank": "1", "label": "w1", "sample_count": 3.0},
    ]
    lengths = features["counts"]["num_stats"]["common_stats"]
    assert (lengths["num_non_missing"], lengths["num_missing"], lengths["tot_num_values"]) == ("9", "1", "45")


@pytest.mark.parametrize("kind", ["SKEW", "DRIFT"])
def test_messages_are_compared(models: Models, kind: str) -> None:
    base, study = (f"(SELECT * FROM {PENGUINS} WHERE island = '{name}')" for name in ("Biscoe", "Dream"))
    (row,) = models.ask(
        f"""SELECT ML.TFDV_VALIDATE((SELECT * FROM ML.TFDV_DESCRIBE({base})), (SELECT * FROM ML.TFDV_DESCRIBE({study})),
        '{kind}', 0.3, 'L_INFTY', 0.2, 'JENSEN_SHANNON_DIVERGENCE', [('SEX', 0.5)]) AS found"""
    )
    found = json.loads(row["found"])
    drift = models.ask(
        f"""SELECT * FROM ML.VALIDATE_DATA_DRIFT({base}, {study}, STRUCT(0.2 AS numerical_default_threshold,
        [('sex', 0.5)] AS thresholds))"""
    )
    assert found["drift_skew_info"] == [
        {"path": {"step": [row["input"]]}, f"{kind.lower()}_measurements": [
            {"type": row["metric"], "value": row["value"], "threshold": row["threshold"]}]}
        for row in drift
    ]  # fmt: skip
    assert sorted(found["anomaly_info"]) == sorted(row["input"] for row in drift if row["is_anomaly"])
    sides = {"SKEW": "training and serving", "DRIFT": "current and previous"}[kind]
    island = found["anomaly_info"]["island"]
    assert island["severity"] == "ERROR" and island["reason"][0]["type"] == "COMPARATOR_L_INFTY_HIGH"
    assert island["short_description"] == f"High Linfty distance between {sides}"
    assert island["description"] == (
        f"The Linfty distance between {sides} is 1 (up to six significant digits), above the threshold 0.3. "
        "The feature value with maximum difference is: Dream"
    )
    schema = {each["name"]: each for each in found["baseline"]["feature"]}
    assert schema["sex"] == {
        "name": "sex",
        "type": "BYTES",
        f"{kind.lower()}_comparator": {"infinity_norm": {"threshold": 0.5}},
    }


def test_a_message_from_elsewhere(models: Models) -> None:
    """The statistics of TFX's own test of its distribution validator, as text."""
    texts = []
    for low in (0.0, 10.0):
        bucket = {"low_value": low, "high_value": low + 9, "sample_count": 12.0}
        feature = {"path": {"step": ["parent", "value"]}, "num_stats": {"histograms": [{"buckets": [bucket]}]}}
        texts.append(json.dumps({"datasets": [{"num_examples": "12", "features": [feature]}]}))
    (row,) = models.ask(f"SELECT ML.TFDV_VALIDATE(r'''{texts[0]}''', PARSE_JSON(r'''{texts[1]}'''), 'drift') AS found")
    found = json.loads(row["found"])
    assert found["drift_skew_info"][0]["drift_measurements"][0]["value"] == 1.0
    assert found["anomaly_info"]["parent.value"]["description"] == (
        "The approximate Jensen-Shannon divergence between current and previous is 1 (up to six significant digits), "
        "above the threshold 0.3."
    )


def test_messages_in_a_script(models: Models) -> None:
    models.api.query("CREATE TABLE d.kept AS SELECT * FROM ML.TFDV_DESCRIBE(TABLE d.mixed)")
    script = """DECLARE base JSON; DECLARE study JSON;
    SET base = (SELECT dataset_feature_statistics_list FROM d.kept);
    SET study = (SELECT * FROM ML.TFDV_DESCRIBE((SELECT * FROM d.mixed WHERE whole < 5)));
    SELECT ML.TFDV_VALIDATE(base, study, 'SKEW') AS found;"""
    (row,) = models.ask(script)
    assert len(json.loads(row["found"])["drift_skew_info"]) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("JSON '{}'", "takes 2 to 8 arguments"),
        ("JSON '{}', JSON '{}', 'CHANGE'", "detection_type of ML.TFDV_VALIDATE must be SKEW or DRIFT"),
        ("JSON '{}', JSON '{}', 'SKEW', 1.5", "must be at least 0 and below 1; given: 1.5"),
        ("JSON '{}', JSON '{}', 'SKEW', 0.3, 'L_INFTY', 0.3, 'L_INFTY'", "must be JENSEN_SHANNON_DIVERGENCE"),
        ("JSON '{\"datasets\": []}', JSON '{}'", "must be a DatasetFeatureStatisticsList of one dataset"),
        ("'no json', JSON '{}'", "must be a DatasetFeatureStatisticsList of one dataset"),
    ],
)
def test_messages_that_cannot_be_compared(models: Models, arguments: str, message: str) -> None:
    error = models.api.query_error(f"SELECT ML.TFDV_VALIDATE({arguments}) AS found")
    assert message in error["message"] and error["reason"] == "invalidQuery"
