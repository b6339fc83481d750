"""ML.TREND, ML.SEASONALITY, ML.DETECT_CHANGE_POINTS and ML.CORRELATION: their columns, what they find, wrong calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

_NAMED = "data_col => 'y', timestamp_col => 'day'"


@pytest.fixture(scope="module", autouse=True)
def made(models: Models) -> Iterator[None]:
    # A level that jumps in a, one that does not in b; a gap in a.
    models.api.query(
        """CREATE TABLE d.days AS SELECT s, DATE_ADD(DATE '2026-01-01', INTERVAL n DAY) AS day,
        IF(s = 'a' AND n >= 60, 90, 50) + [0, 1, 2, 3, 2, 1, 9][OFFSET(MOD(n, 7))] + MOD(n * n * 7, 5) / 5 AS y
        FROM UNNEST(['a', 'b']) AS s, UNNEST(GENERATE_ARRAY(0, 118)) AS n WHERE NOT (s = 'a' AND n = 30)"""
    )
    models.train(
        "weeks",
        "MODEL_TYPE = 'ARIMA_PLUS', TIME_SERIES_TIMESTAMP_COL = 'day', TIME_SERIES_DATA_COL = 'y', "
        "TIME_SERIES_ID_COL = 's', HORIZON = 9",
        "SELECT s, day, y FROM d.days",
    )
    yield


def test_a_trend_keeps_the_names_and_types_of_the_table(models: Models) -> None:
    sql = f"SELECT * FROM ML.TREND(TABLE d.days, {_NAMED}, id_cols => ['s'], horizon => 3)"
    assert models.columns(sql) == [
        ("s", "STRING"), ("day", "DATE"), ("time_series_type", "STRING"), ("y", "FLOAT"), ("trend", "FLOAT"),
        ("status", "STRING"),
    ]  # fmt: skip
    rows = models.ask(f"{sql} ORDER BY s, day")
    assert [row["time_series_type"] for row in rows[:122]] == ["history"] * 119 + ["forecast"] * 3
    assert rows[30]["day"] == "2026-01-31" and rows[30]["y"] == pytest.approx((rows[29]["y"] + rows[31]["y"]) / 2), (
        "a gap is filled"
    )
    assert rows[20]["trend"] == pytest.approx(53, abs=2) and rows[100]["trend"] == pytest.approx(93, abs=2)
    assert {row["status"] for row in rows} == {""}


def test_a_window_and_steps_change_a_trend(models: Models) -> None:
    sql = "SELECT STDDEV(trend) AS s FROM ML.TREND((SELECT day, y FROM d.days WHERE s = 'a'), {})"
    (plain,), (smooth,), (adjusted,) = (
        models.ask(sql.format(f"{_NAMED}{more}"))
        for more in ("", ", smoothing_window_size => 41", ", adjust_step_changes => TRUE")
    )
    assert smooth["s"] < plain["s"] and adjusted["s"] < 0.2 * plain["s"]


def test_seasons_are_those_of_the_model(models: Models) -> None:
    own = models.ask(
        f"SELECT * FROM ML.SEASONALITY(TABLE d.days, {_NAMED}, id_cols => ['s'], horizon => 9) ORDER BY s, day"
    )
    assert list(own[0]) == [
        "s", "day", "time_series_type", "y", "yearly", "quarterly", "monthly", "weekly", "daily", "status"
    ]  # fmt: skip
    wanted = models.ask(
        "SELECT seasonal_period_weekly AS w FROM ML.EXPLAIN_FORECAST(MODEL d.weeks, STRUCT(9 AS horizon)) "
        "ORDER BY s, time_series_timestamp"
    )
    assert [row["weekly"] for row in own] == [row["w"] for row in wanted]
    assert {row["yearly"] for row in own} == {row["daily"] for row in own} == {None}
    (few,) = models.ask(
        f"SELECT COUNT(weekly) AS n, COUNT(daily) AS d FROM ML.SEASONALITY(TABLE d.days, {_NAMED}, id_cols => 's', "
        "seasonalities => ['Weekly'])"
    )
    assert few == {"n": 238, "d": 0}


def test_a_change_is_told_as_a_stretch_of_time(models: Models) -> None:
    sql = f"SELECT * FROM ML.DETECT_CHANGE_POINTS(TABLE d.days, {_NAMED}, id_cols => ['s'])"
    assert models.columns(sql) == [
        ("s", "STRING"), ("begin_timestamp", "TIMESTAMP"), ("end_timestamp", "TIMESTAMP"), ("metrics", "RECORD"),
        ("status", "STRING"),
    ]  # fmt: skip
    rows = models.ask(
        "SELECT s, DATE(begin_timestamp) AS a, DATE(end_timestamp) AS b, metrics, status FROM ML.DETECT_CHANGE_POINTS("
        f"TABLE d.days, {_NAMED}, id_cols => ['s'])"
    )
    # The 60th day after the first is the first of March and one more.
    assert [(row["s"], row["a"], row["b"], row["status"]) for row in rows] == [("a", "2026-03-01", "2026-03-02", "")]
    assert list(rows[0]["metrics"]) == ["avg", "min", "max", "stddev", "count"] and rows[0]["metrics"]["count"] == 2
    assert rows[0]["metrics"]["min"] < 65 < 85 < rows[0]["metrics"]["max"]


@pytest.mark.parametrize("name", ["TREND", "SEASONALITY", "DETECT_CHANGE_POINTS"])
def test_a_series_that_is_too_short_says_so_and_the_others_answer(models: Models, name: str) -> None:
    data = "(SELECT * FROM d.days UNION ALL SELECT 'short', DATE '2026-01-01', 1)"
    rows = models.ask(f"SELECT * FROM ML.{name}({data}, {_NAMED}, id_cols => ['s'])")
    short = [row for row in rows if row["s"] == "short"]
    assert len(short) == 1 and "at least 3" in short[0]["status"]
    assert any(row["s"] == "a" for row in rows)


# -- correlations: the sample of the public page


_SAMPLE = """(SELECT 'USA' AS country, 'New York' AS city, 100 AS ad_spend, 150 AS budget, 1000 AS revenue UNION ALL
  SELECT 'USA', 'New York', 150, 200, 1500 UNION ALL SELECT 'USA', 'New York', 200, 250, 2000 UNION ALL
  SELECT 'USA', 'Seattle', 200, 250, 2000 UNION ALL SELECT 'USA', 'Seattle', 300, 350, 3000 UNION ALL
  SELECT NULL, 'London', 100, 120, 500 UNION ALL SELECT NULL, 'London', 200, 220, 900 UNION ALL
  SELECT NULL, NULL, 200, 200, 1000 UNION ALL SELECT NULL, NULL, 250, 250, 1200)"""


def test_correlations_by_segment(models: Models) -> None:
    call = (
        f"ML.CORRELATION({_SAMPLE}, target_col => 'revenue', target_correlation_cols => 'ad_spend', "
        "dimension_cols => ['country'])"
    )
    assert models.columns(f"SELECT * FROM {call}") == [
        ("segment", "RECORD[]"), ("country", "STRING"), ("target_col", "STRING"), ("corr_col", "STRING"),
        ("correlation", "FLOAT"), ("segment_size", "INTEGER"), ("segment_proportion", "FLOAT"),
    ]  # fmt: skip
    rows = models.ask(f"SELECT *, TO_JSON_STRING(segment) AS text FROM {call}")
    assert [(row["country"], row["segment_size"], row["text"]) for row in rows] == [
        (None, 9, "[]"),
        ("USA", 5, '[{"dimension_col":"country","dimension_value":"USA"}]'),
        (None, 4, '[{"dimension_col":"country","dimension_value":null}]'),
    ]
    corr = models.ask(f"SELECT CORR(revenue, ad_spend) AS c FROM {_SAMPLE} WHERE country IS NULL")
    assert [row["correlation"] for row in rows[1:]] == pytest.approx([1.0, corr[0]["c"]])
    assert [row["segment_proportion"] for row in rows] == pytest.approx([1.0, 5 / 9, 4 / 9])


def test_every_combination_of_dimensions_and_columns(models: Models) -> None:
    rows = models.ask(
        f"SELECT * FROM ML.CORRELATION({_SAMPLE}, target_col => 'revenue', "
        "target_correlation_cols => ['budget', 'ad_spend'], dimension_cols => ['country', 'city'])"
    )
    # Four cities by country, four cities, two countries, all: each for both columns.
    assert len(rows) == 2 * (4 + 4 + 2 + 1)
    assert [(row["segment_size"], row["corr_col"]) for row in rows[:2]] == [(9, "ad_spend"), (9, "budget")]
    sizes = [row["segment_size"] for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    assert {row["city"] for row in rows if row["segment_size"] == 3} == {"New York"}


@pytest.mark.parametrize("method", ["SPEARMAN", "kendall"])
def test_ranks(models: Models, method: str) -> None:
    from scipy.stats import kendalltau, spearmanr

    x, y = [1, 2, 2, 4, 5, 3], [2.0, 1.0, 3.0, 3.0, 9.0, 8.0]
    pairs = ", ".join(f"STRUCT({a} AS x, {b} AS y)" for a, b in zip(x, y, strict=True))
    rows = f"(SELECT * FROM UNNEST([{pairs}, STRUCT(9, NULL)]))"
    (row,) = models.ask(
        f"SELECT correlation AS c, segment_size AS n FROM ML.CORRELATION({rows}, target_col => 'x', "
        f"target_correlation_cols => ['y'], method => '{method}')"
    )
    function = spearmanr if method == "SPEARMAN" else kendalltau
    assert row == {"c": pytest.approx(function(x, y).statistic), "n": 7}


def test_too_few_pairs_or_none_that_vary(models: Models) -> None:
    rows = models.ask(
        "SELECT k, correlation AS c, segment_size AS n FROM ML.CORRELATION((SELECT 'one' AS k, 1 AS x, 2 AS y UNION ALL "
        "SELECT 'same', 1, 1 UNION ALL SELECT 'same', 1, 2), target_col => 'x', target_correlation_cols => 'y', "
        "dimension_cols => 'k') WHERE k IS NOT NULL ORDER BY k"
    )
    assert rows[0] == {"k": "one", "c": None, "n": 1} and str(rows[1]["c"]) == "nan"
    empty = models.ask(
        "SELECT correlation AS c, segment_size AS n FROM ML.CORRELATION((SELECT 1 AS x, 2 AS y FROM UNNEST([1]) WHERE "
        "FALSE), target_col => 'x', target_correlation_cols => 'y')"
    )
    assert empty == [{"c": None, "n": 0}]


WRONG: dict[str, str] = {
    "ML.TREND(TABLE d.days, data_col => 'y')": "ML.TREND needs the argument timestamp_col",
    f"ML.TREND(TABLE d.days, {_NAMED}, horizon => -1)": "must be a whole number between 0 and 10,000",
    f"ML.TREND(TABLE d.days, {_NAMED}, smoothing_window_size => 0)": "must be a whole number of at least 1",
    f"ML.TREND(TABLE d.days, {_NAMED}, seasonalities => ['DAILY'])": "ML.TREND has no argument seasonalities",
    f"ML.SEASONALITY(TABLE d.days, {_NAMED}, seasonalities => ['HOURLY'])": "must be an array of YEARLY, QUARTERLY",
    f"ML.DETECT_CHANGE_POINTS(TABLE d.days, {_NAMED}, horizon => 1)": "has no argument horizon",
    "ML.TREND(TABLE d.days, data_col => 's', timestamp_col => 'day')": "TIME_SERIES_DATA_COL must be a numeric column",
    "ML.TREND(TABLE d.days, data_col => 'y', timestamp_col => 'y')": "that ML.TREND is told must be different",
    "ML.CORRELATION(TABLE d.days, target_col => 'y')": "needs the argument target_correlation_cols",
    "ML.CORRELATION(TABLE d.days, target_col => 's', target_correlation_cols => 'y')": "must be numbers; given: s of type",
    "ML.CORRELATION(TABLE d.days, target_col => 'z', target_correlation_cols => 'y')": "given: z. Next: use one of s, day",
    "ML.CORRELATION((SELECT 1 AS segment, 2 AS y), target_col => 'segment', target_correlation_cols => 'y')": (
        "must not be called as its own"
    ),
    "ML.CORRELATION((SELECT 1 AS x, 2 AS y, [1] AS k), target_col => 'x', target_correlation_cols => 'y', "
    "dimension_cols => 'k')": "must be of a type that can be grouped; given: k of type ARRAY<INT64>",
    "ML.CORRELATION(TABLE d.days, target_col => 'y', target_correlation_cols => 'y', method => 'COSINE')": (
        "must be one of PEARSON, SPEARMAN, KENDALL"
    ),
}  # fmt: skip


@pytest.mark.parametrize("call", WRONG)
def test_calls_that_cannot_be(models: Models, call: str) -> None:
    error = models.api.query_error(f"SELECT * FROM {call}")
    assert error["reason"] == "invalidQuery" and WRONG[call] in error["message"]
