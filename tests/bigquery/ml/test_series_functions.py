"""AI.FORECAST, AI.EVALUATE and AI.DETECT_ANOMALIES: their columns, many series, series too short, wrong calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

_NAMED = "data_col => 'y', timestamp_col => 'day'"


@pytest.fixture(scope="module", autouse=True)
def made(models: Models) -> Iterator[None]:
    models.api.query(
        """CREATE TABLE d.days AS SELECT s, DATE_ADD(DATE '2026-01-01', INTERVAL n DAY) AS day,
        IF(s = 'a', 50 + n, 500) + [0, 1, 2, 3, 2, 1, 9][OFFSET(MOD(n, 7))] AS y
        FROM UNNEST(['a', 'b']) AS s, UNNEST(GENERATE_ARRAY(0, 90)) AS n"""
    )
    models.api.query("CREATE TABLE d.past AS SELECT * FROM d.days WHERE day < '2026-03-25'")
    models.api.query("CREATE TABLE d.later AS SELECT * FROM d.days WHERE day >= '2026-03-25'")
    yield


def test_forecasts(models: Models) -> None:
    rows = models.ask(
        f"SELECT * FROM AI.FORECAST(TABLE d.past, {_NAMED}, id_cols => ['s'], horizon => 7, confidence_level => 0.9) "
        "ORDER BY s, forecast_timestamp"
    )
    assert list(rows[0]) == [
        "s", "forecast_timestamp", "forecast_value", "confidence_level", "prediction_interval_lower_bound",
        "prediction_interval_upper_bound", "ai_forecast_status",
    ]  # fmt: skip
    wanted = models.ask("SELECT y FROM d.later ORDER BY s, day")
    assert len(rows) == 14 and {row["ai_forecast_status"] for row in rows} == {""}
    for row, actual in zip(rows[:7], wanted[:7], strict=True):
        assert row["forecast_value"] == pytest.approx(actual["y"], abs=2)
    (first,) = models.ask(f"SELECT COUNT(*) AS n FROM AI.FORECAST((SELECT day, y FROM d.past WHERE s = 'a'), {_NAMED})")
    assert first["n"] == 10


def test_the_history_beside_the_forecast(models: Models) -> None:
    rows = models.ask(
        f"SELECT * FROM AI.FORECAST((SELECT * FROM d.past WHERE s = 'a'), {_NAMED}, model => 'TimesFM 2.5', "
        "output_historical_time_series => TRUE, context_window => 60) ORDER BY time_series_timestamp"
    )
    assert list(rows[0])[:3] == ["time_series_type", "time_series_timestamp", "time_series_data"]
    assert [row["time_series_type"] for row in rows] == ["history"] * 83 + ["forecast"] * 10
    assert rows[0]["time_series_data"] == 50 and rows[0]["confidence_level"] is None


def test_errors_and_anomalies_beside_what_came(models: Models) -> None:
    rows = models.ask(f"SELECT * FROM AI.EVALUATE(TABLE d.past, TABLE d.later, {_NAMED}, id_cols => ['s']) ORDER BY s")
    assert [row["s"] for row in rows] == ["a", "b"] and max(row["mean_absolute_error"] for row in rows) < 2
    odd = "(SELECT * REPLACE(IF(day = '2026-03-27', 9999, y) AS y) FROM d.later)"
    found = models.ask(
        f"SELECT * FROM AI.DETECT_ANOMALIES(TABLE d.past, {odd}, {_NAMED}, id_cols => 's', anomaly_prob_threshold => 0.99) "
        "WHERE is_anomaly"
    )
    # The rows have no noise at all: what is a little off is an anomaly, too.
    assert {(row["s"], row["time_series_data"]) for row in found} >= {("a", 9999), ("b", 9999)} and len(found) < 7
    assert found[0]["anomaly_probability"] > 0.99 and found[0]["ai_detect_anomalies_status"] == ""


def test_a_forecast_until_a_time(models: Models) -> None:
    rows = models.ask(
        f"SELECT s, forecast_timestamp FROM AI.FORECAST(TABLE d.past, {_NAMED}, id_cols => ['s'], "
        "forecast_end_timestamp => TIMESTAMP '2026-03-29 12:00:00+00') ORDER BY s, forecast_timestamp"
    )
    assert len(rows) == 10 and {row["s"] for row in rows} == {"a", "b"}
    last = models.ask(
        f"SELECT DATE(MAX(time_series_timestamp)) AS day, COUNT(*) AS n FROM AI.FORECAST(TABLE d.past, {_NAMED}, "
        "id_cols => 's', forecast_end_timestamp => '2026-03-27', output_historical_time_series => TRUE)"
    )
    assert last == [{"day": "2026-03-27", "n": 2 * (83 + 3)}]


def test_the_points_that_are_judged_may_be_the_last_ones_of_one_table(models: Models) -> None:
    call = f"AI.DETECT_ANOMALIES({{}}, {_NAMED}, id_cols => ['s'])"
    sql = "SELECT * FROM {} ORDER BY s, time_series_timestamp"
    wanted = models.ask(sql.format(call.format("TABLE d.past, TABLE d.later")))
    last = models.ask(sql.format(call.format("TABLE d.days").replace("id_cols", "target_last_n_points => 8, id_cols")))
    start = call.format("TABLE d.days").replace("id_cols", "target_start_timestamp => DATE '2026-03-25', id_cols")
    assert len(wanted) == 16 and last == wanted and models.ask(sql.format(start)) == wanted


def test_a_series_that_is_too_short_says_so_and_the_others_answer(models: Models) -> None:
    data = "(SELECT * FROM d.past UNION ALL SELECT 'short', DATE '2026-01-01', 1)"
    rows = models.ask(f"SELECT * FROM AI.FORECAST({data}, {_NAMED}, id_cols => ['s'], horizon => 2)")
    short = [row for row in rows if row["s"] == "short"]
    assert len(rows) == 5 and short[0]["forecast_value"] is None and short[0]["ai_forecast_status"]
    alone = models.ask(f"SELECT * FROM AI.FORECAST((SELECT DATE '2026-01-01' AS day, 1 AS y), {_NAMED})")
    assert len(alone) == 1 and alone[0]["forecast_value"] is None and alone[0]["ai_forecast_status"]


WRONG: dict[str, str] = {
    "AI.FORECAST(TABLE d.past, data_col => 'y')": "AI.FORECAST needs the argument timestamp_col",
    f"AI.FORECAST({_NAMED})": "AI.FORECAST takes TABLE name or (query), then arguments by name",
    f"AI.FORECAST(TABLE d.past, {_NAMED}, horizon => 0)": "must be a whole number between 1 and 10,000",
    f"AI.FORECAST(TABLE d.past, {_NAMED}, model => 'GPT')": "must be one of TimesFM 2.0, TimesFM 2.5",
    f"AI.FORECAST(TABLE d.past, {_NAMED}, colour => 1)": "AI.FORECAST has no argument colour",
    "AI.FORECAST(TABLE d.past, data_col => 'why', timestamp_col => 'day')": "given: why. Next: use one of s, day, y",
    "AI.FORECAST(TABLE d.past, data_col => 's', timestamp_col => 'day')": "TIME_SERIES_DATA_COL must be a numeric column",
    f"AI.FORECAST((SELECT * FROM d.past WHERE FALSE), {_NAMED})": "A time series must have rows",
    f"AI.FORECAST(TABLE d.past, {_NAMED}, horizon => 2, forecast_end_timestamp => '2026-04-01')": "exclude each other",
    f"AI.FORECAST(TABLE d.past, {_NAMED}, forecast_end_timestamp => 'soon')": "must be a TIMESTAMP; given: 'soon'",
    f"AI.FORECAST(TABLE d.past, {_NAMED}, forecast_end_timestamp => '2099-01-01')": "within 10,000 points",
    f"AI.DETECT_ANOMALIES(TABLE d.past, {_NAMED})": "in one way: as a second table",
    f"AI.DETECT_ANOMALIES(TABLE d.past, TABLE d.later, {_NAMED}, target_last_n_points => 3)": (
        "given: two tables, target_last_n_points"
    ),
    f"AI.EVALUATE(TABLE d.past, {_NAMED})": "AI.EVALUATE takes TABLE name or (query), TABLE name or (query), then",
    f"AI.GENERATE_TABLE(TABLE d.past, {_NAMED})": "Tule does not do AI.GENERATE_TABLE",
}


@pytest.mark.parametrize("call", WRONG)
def test_calls_that_cannot_be(models: Models, call: str) -> None:
    error = models.api.query_error(f"SELECT * FROM {call}")
    assert error["reason"] in ("invalidQuery", "notImplemented") and WRONG[call] in error["message"]
