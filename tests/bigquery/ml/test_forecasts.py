"""Time series by SQL: CREATE MODEL with ARIMA_PLUS and ARIMA_PLUS_XREG, and the functions that ask them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tule.kernel.errors import Unimplemented
from tule.learn import runtime

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

# Two shops, 200 days: a trend and a week each; sales of b follow the price too.
_ROWS = """
SELECT shop, DATE_ADD(DATE '2025-01-01', INTERVAL n DAY) AS day, price,
  IF(shop = 'a', 100 + 0.5 * n, 50 + 0.1 * n - 3 * price) + [0, 2, 4, 6, 4, 2, 0][OFFSET(MOD(n, 7))]
    + MOD(FARM_FINGERPRINT(CONCAT(shop, CAST(n AS STRING))), 100) / 100 AS sales
FROM UNNEST(['a', 'b']) AS shop, UNNEST(GENERATE_ARRAY(0, 219)) AS n, UNNEST([MOD(n * 7, 11)]) AS price
"""
_SERIES = "TIME_SERIES_TIMESTAMP_COL='day', TIME_SERIES_DATA_COL='sales'"
_BOUNDS = ["prediction_interval_lower_bound", "prediction_interval_upper_bound"]


@pytest.fixture(scope="module", autouse=True)
def trained(models: Models) -> Iterator[None]:
    models.api.query(f"CREATE TABLE d.shops AS {_ROWS}")
    models.api.query("CREATE TABLE d.past AS SELECT * FROM d.shops WHERE day < '2025-07-20'")
    models.api.query("CREATE TABLE d.later AS SELECT * FROM d.shops WHERE day >= '2025-07-20'")
    models.train(
        "one", f"MODEL_TYPE='ARIMA_PLUS', {_SERIES}, HORIZON=30", "SELECT day, sales FROM d.past WHERE shop = 'a'"
    )
    models.train(
        "both", f"MODEL_TYPE='ARIMA_PLUS', {_SERIES}, TIME_SERIES_ID_COL='SHOP'", "SELECT shop, day, sales FROM d.past"
    )
    models.train(
        "priced",
        f"MODEL_TYPE='ARIMA_PLUS_XREG', {_SERIES}, HORIZON=20",
        "SELECT day, sales, price FROM d.past WHERE shop = 'b'",
    )
    yield


def _types(columns: list[tuple[str, str]]) -> dict[str, str]:
    return dict(columns)


def test_forecasts_have_the_documented_columns(models: Models) -> None:
    found = models.columns("SELECT * FROM ML.FORECAST(MODEL d.one)")
    assert found == [
        ("forecast_timestamp", "TIMESTAMP"), ("forecast_value", "FLOAT"), ("standard_error", "FLOAT"),
        ("confidence_level", "FLOAT"), *((name, "FLOAT") for name in _BOUNDS),
        ("confidence_interval_lower_bound", "FLOAT"), ("confidence_interval_upper_bound", "FLOAT"),
    ]  # fmt: skip
    assert models.columns("SELECT * FROM ML.FORECAST(MODEL d.both)")[0] == ("shop", "STRING")


def test_forecasts_follow_the_data(models: Models) -> None:
    rows = models.ask(
        """SELECT l.sales, f.* FROM ML.FORECAST(MODEL d.one, STRUCT(20 AS horizon, 0.8 AS confidence_level)) AS f
        JOIN d.later AS l ON l.shop = 'a' AND TIMESTAMP(l.day) = f.forecast_timestamp ORDER BY forecast_timestamp"""
    )
    assert len(rows) == 20
    for row in rows:
        assert row["forecast_value"] == pytest.approx(row["sales"], abs=3)
        low, high = (row[name] for name in _BOUNDS)
        assert (low + high) / 2 == pytest.approx(row["forecast_value"]) and low < high
        assert high - low == pytest.approx(2 * 1.2815515655446004 * row["standard_error"])


def test_each_series_has_its_own(models: Models) -> None:
    rows = models.ask(
        "SELECT shop, COUNT(*) AS n, MIN(forecast_value) AS low FROM ML.FORECAST(MODEL d.both) GROUP BY 1"
    )
    found = {row["shop"]: row for row in rows}
    assert {name: row["n"] for name, row in found.items()} == {"a": 3, "b": 3}
    assert found["a"]["low"] > 190 and found["b"]["low"] < 90


def test_regressors_of_the_time_to_come_move_the_forecast(models: Models) -> None:
    ask = "SELECT forecast_value FROM ML.FORECAST(MODEL d.priced, STRUCT(3 AS horizon), (SELECT day, {} AS price FROM d.later WHERE shop = 'b')) ORDER BY forecast_timestamp"  # noqa: E501
    cheap, dear = (models.ask(ask.format(price)) for price in (0, 10))
    assert len(cheap) == 3
    for low, high in zip(dear, cheap, strict=True):
        assert high["forecast_value"] - low["forecast_value"] == pytest.approx(30, abs=1)
    message = models.api.query_error("SELECT * FROM ML.FORECAST(MODEL d.priced, STRUCT(3 AS horizon))")["message"]
    assert "ML.FORECAST takes MODEL name, [STRUCT(value AS key, ...)], TABLE name or (query)" in message
    short = "SELECT * FROM ML.FORECAST(MODEL d.priced, STRUCT(3 AS horizon), (SELECT day FROM d.later))"
    assert "price" in models.api.query_error(short)["message"]


def test_an_explanation_adds_up(models: Models) -> None:
    rows = models.ask("SELECT * FROM ML.EXPLAIN_FORECAST(MODEL d.one, STRUCT(5 AS horizon))")
    kinds = [row["time_series_type"] for row in rows]
    assert kinds == ["history"] * 200 + ["forecast"] * 5
    parts = ["trend", "spikes_and_dips", "step_changes", "residual", "holiday_effect"]
    parts += [f"seasonal_period_{name}" for name in ("yearly", "quarterly", "monthly", "weekly", "daily")]
    for row in rows:
        assert row["time_series_data"] == pytest.approx(sum(row[name] or 0.0 for name in parts), abs=1e-9)
    assert rows[0]["seasonal_period_weekly"] is not None and rows[0]["seasonal_period_yearly"] is None


def test_what_a_model_is(models: Models) -> None:
    (row,) = models.ask("SELECT * FROM ML.ARIMA_EVALUATE(MODEL d.one, STRUCT(FALSE AS show_all_candidate_models))")
    assert list(row)[:7] == [
        "non_seasonal_p", "non_seasonal_d", "non_seasonal_q", "has_drift", "log_likelihood", "AIC", "variance"
    ]  # fmt: skip
    assert row["seasonal_periods"] == ["WEEKLY"] and row["error_message"] == ""
    every = models.ask("SELECT * FROM ML.ARIMA_EVALUATE(MODEL d.one)")
    assert len(every) > 3 and every[0]["AIC"] == min(each["AIC"] for each in every) == row["AIC"]
    assert len(models.ask("SELECT * FROM ML.ARIMA_EVALUATE(MODEL d.both)")) == 2
    (own,) = models.ask("SELECT * FROM ML.ARIMA_COEFFICIENTS(MODEL d.one)")
    assert len(own["ar_coefficients"]) == row["non_seasonal_p"] and len(own["ma_coefficients"]) == row["non_seasonal_q"]
    terms = models.ask("SELECT * FROM ML.ARIMA_COEFFICIENTS(MODEL d.priced) WHERE processed_input = 'price'")
    assert terms[0]["weight"] == pytest.approx(-3, abs=0.1)
    assert models.columns("SELECT * FROM ML.TRAINING_INFO(MODEL d.one)") == [
        ("training_run", "INTEGER"), ("iteration", "INTEGER"), ("duration_ms", "INTEGER")
    ]  # fmt: skip


def test_errors_of_forecasts(models: Models) -> None:
    (row,) = models.ask("SELECT * FROM ML.EVALUATE(MODEL d.one, (SELECT day, sales FROM d.later WHERE shop = 'a'))")
    assert list(row) == [
        "mean_absolute_error", "mean_squared_error", "root_mean_squared_error", "mean_absolute_percentage_error",
        "symmetric_mean_absolute_percentage_error", "mean_absolute_scaled_error",
    ]  # fmt: skip
    assert row["root_mean_squared_error"] == pytest.approx(math.sqrt(row["mean_squared_error"]))
    lines = models.ask(
        "SELECT * FROM ML.EVALUATE(MODEL d.one, (SELECT day, sales FROM d.later WHERE shop = 'a'), "
        "STRUCT(FALSE AS perform_aggregation, 10 AS horizon)) ORDER BY day"
    )
    known = [each for each in lines if each["forecasted_sales"] is not None]
    assert len(lines) == 20 and len(known) == 10
    for each in known:
        assert each["absolute_error"] == pytest.approx(abs(each["sales"] - each["forecasted_sales"]))
    without = models.columns("SELECT * FROM ML.EVALUATE(MODEL d.one)")
    assert ("AIC", "FLOAT") in without and "error_message" not in _types(without)


def test_anomalies_of_the_past_and_of_new_rows(models: Models) -> None:
    past = models.ask("SELECT * FROM ML.DETECT_ANOMALIES(MODEL d.one, STRUCT(0.999 AS anomaly_prob_threshold))")
    assert len(past) == 200 and not any(row["is_anomaly"] for row in past)
    rows = models.ask(
        """SELECT * FROM ML.DETECT_ANOMALIES(MODEL d.one, STRUCT(0.99 AS anomaly_prob_threshold),
        (SELECT day, IF(day = '2025-07-23', 500, sales) AS sales, 'x' AS note FROM d.later WHERE shop = 'a'))
        ORDER BY day"""
    )
    assert [str(row["is_anomaly"]) for row in rows].index("True") == 3
    assert {row["note"] for row in rows} == {"x"} and rows[3]["anomaly_probability"] > 0.99
    assert list(rows[0]) == ["day", "sales", "is_anomaly", "lower_bound", "upper_bound", "anomaly_probability", "note"]


def test_custom_holidays(models: Models) -> None:
    models.api.query(
        f"""CREATE MODEL d.holidays OPTIONS(MODEL_TYPE='ARIMA_PLUS', {_SERIES}, HOLIDAY_REGION='US') AS (
          training_data AS (SELECT DATE_ADD(DATE '2024-06-15', INTERVAL n DAY) AS day, 300 + 0.1 * n + MOD(n, 7)
              + IF(EXTRACT(DAY FROM DATE_ADD(DATE '2024-06-15', INTERVAL n DAY)) = 15, 80, 0)
              + MOD(FARM_FINGERPRINT(CAST(n AS STRING)), 100) / 100 AS sales FROM UNNEST(GENERATE_ARRAY(0, 399)) AS n),
          custom_holiday AS (SELECT 'US' AS region, 'payday' AS holiday_name, d AS primary_date, 1 AS preholiday_days,
            1 AS postholiday_days FROM UNNEST(GENERATE_DATE_ARRAY('2024-06-15', '2026-12-15', INTERVAL 1 MONTH)) AS d)
        )"""
    )
    rows = models.ask(
        "SELECT * FROM ML.HOLIDAY_INFO(MODEL d.holidays) WHERE holiday_name = 'payday' ORDER BY primary_date"
    )
    assert rows[0] == {
        "region": "US", "holiday_name": "payday", "primary_date": "2024-06-15", "preholiday_days": 1, "postholiday_days": 1
    }  # fmt: skip
    assert models.ask("SELECT * FROM ML.HOLIDAY_INFO(MODEL d.holidays) WHERE STARTS_WITH(holiday_name, 'Christmas')")
    (row,) = models.ask(
        "SELECT holiday_effect_payday AS effect FROM ML.EXPLAIN_FORECAST(MODEL d.holidays, STRUCT(40 AS horizon)) "
        "WHERE time_series_timestamp = '2025-08-15'"
    )
    assert row["effect"] == pytest.approx(80, abs=8)


WRONG: dict[str, tuple[str, str]] = {
    "no time column": ("TIME_SERIES_DATA_COL='sales'", "needs TIME_SERIES_TIMESTAMP_COL"),
    "no such column": ("TIME_SERIES_TIMESTAMP_COL='dya', TIME_SERIES_DATA_COL='sales'", "did you mean day?"),
    "order with several series": (f"{_SERIES}, AUTO_ARIMA=FALSE", "AUTO_ARIMA = FALSE needs NON_SEASONAL_ORDER"),
    "order out of range": (f"{_SERIES}, AUTO_ARIMA=FALSE, NON_SEASONAL_ORDER=(1, 3, 0)", "d from 0 to 2"),
    "unknown season": (f"{_SERIES}, SEASONALITIES=['FORTNIGHTLY']", "must be one of AUTO, NO_SEASONALITY"),
    "horizon": (f"{_SERIES}, HORIZON=0", "Option HORIZON must be in [1, 10000]"),
    "unknown region": (f"{_SERIES}, HOLIDAY_REGION='ATLANTIS'", "ATLANTIS"),
    "time and data the same": (
        "TIME_SERIES_TIMESTAMP_COL='day', TIME_SERIES_DATA_COL='day'", "must all be different"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_options_say_what_must_hold(models: Models, case: str) -> None:
    options, message = WRONG[case]
    error = models.error("bad", f"MODEL_TYPE='ARIMA_PLUS', {options}", "SELECT day, sales FROM d.past WHERE shop = 'a'")
    assert error["code"] == 400 and message in error["message"]
    assert not models.exists("bad")


CALLS: dict[str, str] = {
    "ML.FORECAST(MODEL d.one, STRUCT(31 AS horizon))": "horizon must be between 1 and the HORIZON",
    "ML.FORECAST(MODEL d.one, STRUCT(1.0 AS confidence_level))": "confidence_level must be at least 0 and below 1",
    "ML.PREDICT(MODEL d.one, TABLE d.later)": "ML.PREDICT is not supported for model type ARIMA_PLUS",
    "ML.EVALUATE(MODEL d.one, TABLE d.past)": "must have rows at time points of the forecast",
    "ML.WEIGHTS(MODEL d.one)": "ML.WEIGHTS is not supported for model type ARIMA_PLUS",
    "ML.DETECT_ANOMALIES(MODEL d.one, STRUCT(0.1 AS contamination))": "has no argument contamination",
}


@pytest.mark.parametrize("call", CALLS)
def test_calls_that_cannot_be(models: Models, call: str) -> None:
    error = models.api.query_error(f"SELECT * FROM {call}")
    assert (error["code"], error["reason"]) == (400, "invalidQuery")
    assert CALLS[call] in error["message"]


def test_a_series_takes_no_transform(models: Models) -> None:
    error = models.error(
        "bad", f"MODEL_TYPE='ARIMA_PLUS', {_SERIES}", "SELECT day, sales FROM d.past", transform="day, sales"
    )
    assert "TRANSFORM is not supported for model type ARIMA_PLUS" in error["message"]


def test_a_series_is_not_deployed(models: Models) -> None:
    record = models.api.app.records.get("projects/test-project/datasets/d/models/one")
    learning: Any = models.api.warehouse.queries.models
    with pytest.raises(Unimplemented, match=r"A time series model cannot be deployed.*ML\.FORECAST"):
        runtime.load(learning.bundles.directory(record.body["_tule"]["bundle"]))


def test_the_resource_tells_the_orders(models: Models) -> None:
    run: dict[str, Any] = models.resource("both")["trainingRuns"][-1]
    series = run["results"][-1]["arimaResult"]["arimaModelInfo"]
    assert [each["timeSeriesId"] for each in series] == ["a", "b"]
    assert set(series[0]["nonSeasonalOrder"]) == {"p", "d", "q"} and series[0]["seasonalPeriods"] == ["WEEKLY"]
    options = run["trainingOptions"]
    assert options["timeSeriesDataColumn"] == "sales" and options["timeSeriesIdColumns"] == ["shop"]
    assert options["horizon"] == "1000" and options["autoArima"] is True
