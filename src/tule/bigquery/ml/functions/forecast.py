"""ML.FORECAST, ML.EXPLAIN_FORECAST and what a time series model consists of.

https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-forecast
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from tule.bigquery.ml.functions.function import (
    DATA,
    MODEL,
    STRUCT,
    Answer,
    Argument,
    Call,
    TableFunction,
    Trained,
)
from tule.bigquery.ml.options.model_types import ARIMA, ARIMA_XREG, FORECASTING

if TYPE_CHECKING:
    from tule.learn.models.timeseries import TimeSeriesModel

_ARGUMENTS = {
    "horizon": Argument(None, int, 1),
    "confidence_level": Argument(0.95, float, 0.0, 1.0),
}
_PLAIN, _REGRESSED = frozenset({ARIMA}), frozenset({ARIMA_XREG})


def time_series(call: Call) -> TimeSeriesModel:
    from tule.learn.models.timeseries import TimeSeriesModel

    assert isinstance(call.trained.model, TimeSeriesModel)
    return call.trained.model


def given(call: Call) -> pa.Table | None:
    """The rows that the query gives; a forecast needs all of them at once."""
    if call.rows is None:
        return None
    return pa.Table.from_batches(list(call.rows.scan()), call.rows.schema)


def future_columns(trained: Trained, names: Sequence[str]) -> list[str]:
    """Of rows of the time to come: all inputs but the one that is forecast."""
    data = trained.options["time_series_data_col"].lower()
    return [name for name in trained.model.signature.input_names if name.lower() != data]


def _horizon(call: Call) -> dict[str, object]:
    return {"horizon": call.arguments["horizon"], "confidence_level": call.arguments["confidence_level"]}


def forecast(call: Call) -> Answer:
    return Answer.of(time_series(call).forecast(rows=given(call), **_horizon(call)))  # type: ignore[arg-type]


def explain(call: Call) -> Answer:
    return Answer.of(time_series(call).explain_forecast(rows=given(call), **_horizon(call)))  # type: ignore[arg-type]


def orders(call: Call) -> Answer:
    """ML.ARIMA_EVALUATE; by default every candidate of a single series, the chosen model of each of several."""
    model = time_series(call)
    every = call.arguments["show_all_candidate_models"]
    return Answer.of(model.arima_evaluate(not model.id_columns if every is None else every))


def coefficients(call: Call) -> Answer:
    return Answer.of(time_series(call).arima_coefficients())


def holidays(call: Call) -> Answer:
    return Answer.of(time_series(call).holiday_info())


def _ahead(name: str, answer: Callable[[Call], Answer]) -> tuple[TableFunction, TableFunction]:
    return (
        TableFunction(name=name, model_types=_PLAIN, arguments=_ARGUMENTS, order=(MODEL, STRUCT), answer=answer),
        TableFunction(
            name=name,
            model_types=_REGRESSED,
            data="required",
            arguments=_ARGUMENTS,
            order=(MODEL, STRUCT, DATA),
            answer=answer,
            reads=future_columns,
        ),
    )


FORMS = (
    *_ahead("FORECAST", forecast),
    *_ahead("EXPLAIN_FORECAST", explain),
    TableFunction(
        name="ARIMA_EVALUATE",
        model_types=FORECASTING,
        arguments={"show_all_candidate_models": Argument(None, bool)},
        order=(MODEL, STRUCT),
        answer=orders,
    ),
    TableFunction(name="ARIMA_COEFFICIENTS", model_types=FORECASTING, order=(MODEL,), answer=coefficients),
    TableFunction(name="HOLIDAY_INFO", model_types=FORECASTING, order=(MODEL,), answer=holidays),
)
