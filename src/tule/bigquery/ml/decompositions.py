"""ML.TREND, ML.SEASONALITY and ML.DETECT_CHANGE_POINTS: parts of time series without a model of one's own.

ARIMA_PLUS is fitted to the rows that are given, when the query runs: its parts are what these functions tell. A series that
cannot be fitted has NULLs and a status that says why.

https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-trend
https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-seasonality
https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-detect-change-points
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from tule.bigquery.ml.batches import QueryBatches
from tule.bigquery.ml.given_rows import whole_table
from tule.bigquery.ml.mistakes import users_errors
from tule.bigquery.ml.named_arguments import FLAG, TEXT, TEXTS, Argument, NamedArguments, whole
from tule.bigquery.ml.series_rows import Rows, Series
from tule.bigquery.model_statements import Run
from tule.bigquery.sql import Context
from tule.bigquery.sql.rules.resolve_tables import relation as relation_node

if TYPE_CHECKING:
    from tule.learn.models.timeseries import TimeSeriesModel

_MOST_HORIZON = 10_000
_SEASONS = ("yearly", "quarterly", "monthly", "weekly", "daily")


def _seasons(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(str(each).lower() in _SEASONS for each in value)


_SHARED = {
    "data_col": replace(TEXT, required=True),
    "timestamp_col": replace(TEXT, required=True),
    "id_cols": replace(TEXTS, default=[]),
}
_HORIZON = Argument(
    lambda value: whole(value) and 0 <= value <= _MOST_HORIZON, f"a whole number between 0 and {_MOST_HORIZON:,}", 0
)
FUNCTIONS: dict[str, NamedArguments] = {
    "ML.TREND": NamedArguments(
        1,
        {
            **_SHARED,
            "horizon": _HORIZON,
            "smoothing_window_size": Argument(
                lambda value: whole(value) and value >= 1, "a whole number of at least 1", 5
            ),
            "adjust_step_changes": replace(FLAG, default=False),
        },
    ),
    "ML.SEASONALITY": NamedArguments(
        1,
        {
            **_SHARED,
            "seasonalities": Argument(_seasons, f"an array of {', '.join(each.upper() for each in _SEASONS)}"),
            "horizon": _HORIZON,
        },
    ),
    "ML.DETECT_CHANGE_POINTS": NamedArguments(1, _SHARED),
}


def expand(name: str, call: exp.Expression, context: Context, run: Run) -> exp.Expression:
    """The relation that stands in the place of a call."""
    tables, arguments = FUNCTIONS[name].read(name, call, context)
    series = Series(name, call, context, run, arguments)
    rows = series.rows(tables[0])
    schema = _schema(name, rows, arguments)
    if run.looking:
        return relation_node(run.session.temporary(schema, ()))
    with users_errors():
        answer = _ANSWERS[name](series, rows)
        batches = _typed(answer, schema).to_batches()
    return relation_node(run.session.temporary(schema, batches))


def _schema(name: str, rows: QueryBatches, arguments: Mapping[str, Any]) -> pa.Schema:
    ids = [rows.schema.field(each) for each in arguments["id_cols"]]
    number = pa.float64()
    if name == "ML.DETECT_CHANGE_POINTS":
        time = pa.timestamp("us", tz="UTC")
        own = [pa.field("begin_timestamp", time), pa.field("end_timestamp", time), pa.field("metrics", METRICS)]
        return pa.schema([*ids, *own, pa.field("status", pa.string())])
    parts = ("trend",) if name == "ML.TREND" else _SEASONS
    own = [
        rows.schema.field(arguments["timestamp_col"]),
        pa.field("time_series_type", pa.string()),
        pa.field(arguments["data_col"], number),
        *(pa.field(each, number) for each in parts),
        pa.field("status", pa.string()),
    ]
    return pa.schema([*ids, *own])


METRICS = pa.struct(
    [(name, pa.float64()) for name in ("avg", "min", "max", "stddev")] + [pa.field("count", pa.int64())]
)


def _typed(answer: Rows, schema: pa.Schema) -> pa.Table:
    """The rows in the types of the answer: times are of the type that the table had."""
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in answer]
        if pa.types.is_timestamp(field.type) or pa.types.is_date(field.type):
            moments = pa.array(values, pa.timestamp("us", tz="UTC"))
            columns.append(moments.cast(field.type) if field.type.equals(moments.type) else _local(moments, field.type))
        else:
            columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _local(moments: pa.Array, kind: pa.DataType) -> pa.Array:
    """UTC times as dates or times without a zone."""
    return moments.cast(pa.timestamp("us")).cast(kind)


def _trend(series: Series, rows: QueryBatches) -> Rows:
    arguments = series.arguments
    model = series.fitted(
        whole_table(rows),
        horizon=max(1, arguments["horizon"]),
        trend_smoothing_window_size=arguments["smoothing_window_size"],
        adjust_step_changes=arguments["adjust_step_changes"],
    )
    return _explained(series, model, {"trend": "trend"})


def _seasonality(series: Series, rows: QueryBatches) -> Rows:
    arguments = series.arguments
    options: dict[str, Any] = {"horizon": max(1, arguments["horizon"])}
    if arguments["seasonalities"]:
        options["seasonalities"] = [each.upper() for each in arguments["seasonalities"]]
    return _explained(
        series, series.fitted(whole_table(rows), **options), {f"seasonal_period_{each}": each for each in _SEASONS}
    )


def _explained(series: Series, model: TimeSeriesModel, parts: Mapping[str, str]) -> Rows:
    """The rows of ML.EXPLAIN_FORECAST under other names."""
    arguments = series.arguments
    names = {
        **{each: each for each in arguments["id_cols"]},
        "time_series_timestamp": arguments["timestamp_col"],
        "time_series_type": "time_series_type",
        "time_series_data": arguments["data_col"],
        **parts,
    }
    found: Rows = []
    if any(each is not None for each in model.fitted):
        for row in model.explain_forecast(max(1, arguments["horizon"])).to_pylist():
            if arguments["horizon"] or row["time_series_type"] == "history":
                found.append({**{new: row[old] for old, new in names.items()}, "status": ""})
    return series.listed(found, model, "status")


def _changes(series: Series, rows: QueryBatches) -> Rows:
    model = series.fitted(whole_table(rows), horizon=1, adjust_step_changes=False)
    found = [
        {
            **dict(zip(series.arguments["id_cols"], each.ids, strict=True)),
            "begin_timestamp": each.first,
            "end_timestamp": each.last,
            "metrics": each.metrics,
            "status": "",
        }
        for each in model.change_points()
    ]
    return series.listed(found, model, "status")


_ANSWERS = {"ML.TREND": _trend, "ML.SEASONALITY": _seasonality, "ML.DETECT_CHANGE_POINTS": _changes}
