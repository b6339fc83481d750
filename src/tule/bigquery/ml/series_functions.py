"""AI.FORECAST, AI.EVALUATE and AI.DETECT_ANOMALIES: time series without a model of one's own.

The service answers with TimesFM, a pretrained network. Tule fits ARIMA_PLUS to the rows that are given, when the query runs;
``model`` may name TimesFM, as clients do, and changes nothing. A series that cannot be fitted has NULLs and a status that
says why.

https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-ai-forecast
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sqlglot import exp

from tule.bigquery.ml.batches import QueryBatches
from tule.bigquery.ml.given_rows import whole_table
from tule.bigquery.ml.mistakes import users_errors, wrong
from tule.bigquery.ml.named_arguments import (
    FLAG,
    MOMENT,
    TEXT,
    TEXTS,
    Argument,
    NamedArguments,
    moment,
    number,
    whole,
)
from tule.bigquery.ml.series_rows import Rows, Series
from tule.bigquery.model_statements import Run
from tule.bigquery.sql import Context
from tule.bigquery.sql.rules.resolve_tables import relation as relation_node

if TYPE_CHECKING:
    from tule.learn.models.timeseries import TimeSeriesModel

_MODELS = ("TimesFM 2.0", "TimesFM 2.5", "TimesFM 3.0")
_MOST_HORIZON = 10_000


def _horizon(value: Any) -> bool:
    return whole(value) and 1 <= value <= _MOST_HORIZON


def _share(value: Any) -> bool:
    return number(value) and 0 <= value < 1


def _model(value: Any) -> bool:
    return value in _MODELS


_HORIZON = Argument(_horizon, f"a whole number between 1 and {_MOST_HORIZON:,}")
_SHARE = Argument(_share, "a number, at least 0 and below 1", 0.95)
_SHARED = {
    "data_col": replace(TEXT, required=True),
    "timestamp_col": replace(TEXT, required=True),
    "model": Argument(_model, f"one of {', '.join(_MODELS)}", _MODELS[0]),
    "id_cols": replace(TEXTS, default=[]),
    "context_window": _HORIZON,
}
FUNCTIONS: dict[str, NamedArguments] = {
    "AI.FORECAST": NamedArguments(
        1,
        {
            **_SHARED,
            "horizon": _HORIZON,
            "forecast_end_timestamp": MOMENT,
            "confidence_level": _SHARE,
            "output_historical_time_series": replace(FLAG, default=False),
        },
    ),
    "AI.EVALUATE": NamedArguments(2, {**_SHARED, "horizon": replace(_HORIZON, default=1024)}),
    "AI.DETECT_ANOMALIES": NamedArguments(
        1,
        {
            **_SHARED,
            "target_last_n_points": _HORIZON,
            "target_start_timestamp": MOMENT,
            "anomaly_prob_threshold": _SHARE,
        },
        optional=1,
    ),
}


def expand(name: str, call: exp.Expression, context: Context, run: Run) -> exp.Expression:
    """The relation that stands in the place of a call."""
    tables, arguments = FUNCTIONS[name].read(name, call, context)
    _check(name, len(tables), arguments)
    series = Series(name, call, context, run, arguments)
    histories = series.rows(tables[0])
    others = series.rows(tables[1]) if len(tables) > 1 else None
    schema = _schema(name, series, histories, arguments)
    if run.looking:
        return relation_node(run.session.temporary(schema, ()))
    with users_errors():
        table, rows = whole_table(histories), None if others is None else whole_table(others)
        if name == "AI.DETECT_ANOMALIES" and rows is None:
            start = arguments["target_start_timestamp"]
            table, rows = series.split(
                table, last=arguments["target_last_n_points"], start=None if start is None else moment(start)
            )
        model = series.fitted(table, horizon=_MOST_HORIZON, **_context(arguments))
        answer = _ANSWERS[name](series, model, rows)
    return relation_node(run.session.temporary(schema, pa.Table.from_pylist(answer, schema).to_batches()))


def _check(name: str, tables: int, arguments: Mapping[str, Any]) -> None:
    """Arguments that exclude each other."""
    if arguments.get("horizon") is not None and arguments.get("forecast_end_timestamp") is not None:
        raise wrong(f"horizon and forecast_end_timestamp of {name} exclude each other", do="leave one out")
    targets = ("target_last_n_points", "target_start_timestamp")
    given = [each for each in targets if arguments.get(each) is not None]
    if name == "AI.DETECT_ANOMALIES" and tables + len(given) != 2:
        raise wrong(
            f"{name} takes the points that are judged in one way: as a second table, or of the first one by "
            + " or ".join(targets),
            given=", ".join([*(["two tables"] if tables > 1 else []), *given]) or "none",
            do="give one of the three",
        )


def _context(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """``context_window`` as an option of ARIMA_PLUS."""
    window = arguments["context_window"]
    return {"max_time_series_length": max(4, window)} if window else {}


def _schema(name: str, series: Series, rows: QueryBatches, arguments: Mapping[str, Any]) -> pa.Schema:
    ids = [rows.schema.field(each) for each in arguments["id_cols"]]
    time, number = pa.timestamp("us", tz="UTC"), pa.float64()
    bounds = [("prediction_interval_lower_bound", number), ("prediction_interval_upper_bound", number)]
    if name == "AI.FORECAST":
        own: list[tuple[str, pa.DataType]] = [("forecast_timestamp", time), ("forecast_value", number)]
        if arguments["output_historical_time_series"]:
            own = [("time_series_type", pa.string()), ("time_series_timestamp", time), ("time_series_data", number)]
        own += [("confidence_level", number), *bounds, ("ai_forecast_status", pa.string())]
    elif name == "AI.EVALUATE":
        own = [*((each, number) for each in _METRICS), ("ai_evaluate_status", pa.string())]
    else:
        own = [
            ("time_series_timestamp", time), ("time_series_data", number), ("is_anomaly", pa.bool_()),
            ("lower_bound", number), ("upper_bound", number), ("anomaly_probability", number),
            ("ai_detect_anomalies_status", pa.string()),
        ]  # fmt: skip
    return pa.schema([*ids, *(pa.field(each, kind) for each, kind in own)])


_METRICS = (
    "mean_absolute_error", "mean_squared_error", "root_mean_squared_error", "mean_absolute_percentage_error",
    "symmetric_mean_absolute_percentage_error", "mean_absolute_scaled_error",
)  # fmt: skip


def _forecast(series: Series, model: TimeSeriesModel, rows: pa.Table | None) -> Rows:
    level, end = series.arguments["confidence_level"], series.arguments["forecast_end_timestamp"]
    horizon = series.arguments["horizon"] or 10
    if end is not None:
        horizon = _points_until(model, moment(end))
    past = series.arguments["output_historical_time_series"]
    found: Rows = []
    if any(each is not None for each in model.fitted):
        made = (model.explain_forecast if past else model.forecast)(horizon, level)
        found = made.to_pylist()
    if end is not None:
        last, time = moment(end), "time_series_timestamp" if past else "forecast_timestamp"
        found = [row for row in found if row.get("time_series_type") == "history" or _microseconds(row[time]) <= last]
    for row in found:
        row["ai_forecast_status"] = ""
        if row.get("time_series_type") == "history":
            row["prediction_interval_lower_bound"] = row["prediction_interval_upper_bound"] = None
    return series.listed(found, model, "ai_forecast_status")


def _points_until(model: TimeSeriesModel, end: int) -> int:
    """How many points the longest forecast has until ``end`` (microseconds), and one more where the end is between two."""
    grids = [each.grid for each in model.fitted if each is not None]
    needed = max((int(grid.places(np.array([end]))[0]) - grid.points + 2 for grid in grids), default=1)
    if needed > _MOST_HORIZON:
        raise wrong(
            f"forecast_end_timestamp must be within {_MOST_HORIZON:,} points of the last one", given=f"{needed:,} points",
            do="choose an earlier time",
        )  # fmt: skip
    return max(1, needed)


def _microseconds(time: datetime.datetime) -> int:
    return (time - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(microseconds=1)


def _evaluate(series: Series, model: TimeSeriesModel, rows: pa.Table | None) -> Rows:
    assert rows is not None
    found = []
    if any(each is not None for each in model.fitted):
        made = model.evaluate(rows, horizon=series.arguments["horizon"])
        found = [{**row, "ai_evaluate_status": ""} for row in made.to_pylist()]
    return series.listed(found, model, "ai_evaluate_status")


def _anomalies(series: Series, model: TimeSeriesModel, rows: pa.Table | None) -> Rows:
    assert rows is not None
    arguments = series.arguments
    found = []
    if any(each is not None for each in model.fitted):
        made = model.find_anomalies(rows, anomaly_prob_threshold=arguments["anomaly_prob_threshold"])
        renamed = {arguments["timestamp_col"]: "time_series_timestamp", arguments["data_col"]: "time_series_data"}
        for row in made.to_pylist():
            found.append({renamed.get(name, name): value for name, value in row.items()})
            known = row["is_anomaly"] is not None
            found[-1]["ai_detect_anomalies_status"] = "" if known else "The point is not of a series and a time to come"
    return series.listed(found, model, "ai_detect_anomalies_status")


_ANSWERS = {"AI.FORECAST": _forecast, "AI.EVALUATE": _evaluate, "AI.DETECT_ANOMALIES": _anomalies}
