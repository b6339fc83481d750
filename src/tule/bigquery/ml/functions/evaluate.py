"""ML.EVALUATE: one row of metrics, or of forecasts one for each series."""

from __future__ import annotations

import pyarrow as pa

from tule.bigquery.ml.functions.forecast import given, time_series
from tule.bigquery.ml.functions.function import Answer, Argument, Call, TableFunction
from tule.bigquery.ml.options import ModelOptions
from tule.bigquery.ml.options.model_types import AUTOENCODER, CLASSIFIERS, FORECASTING, LEARNED

_METRICS = {
    "clustering": ("davies_bouldin_index", "mean_squared_distance"),
    "reduction": ("total_explained_variance_ratio",),
    "reconstruction": ("mean_absolute_error", "mean_squared_error", "mean_squared_log_error"),
    "classification": ("precision", "recall", "accuracy", "f1_score", "log_loss", "roc_auc"),
    "regression": (
        "mean_absolute_error",
        "mean_squared_error",
        "mean_squared_log_error",
        "median_absolute_error",
        "r2_score",
        "explained_variance",
    ),
    "ranking": (
        "mean_average_precision",
        "mean_squared_error",
        "normalized_discounted_cumulative_gain",
        "average_rank",
    ),
}


def measured(options: ModelOptions) -> str:
    """What kind of metrics a model has: its task, a recommendation being a regression or a ranking."""
    if options.type.task == "recommendation":
        return "ranking" if options["feedback_type"] == "IMPLICIT" else "regression"
    if options.model_type == AUTOENCODER:
        return "reconstruction"
    return options.type.task


def metric_names(options: ModelOptions) -> tuple[str, ...]:
    """The columns of ML.EVALUATE for a model of these options."""
    return _METRICS[measured(options)]


def answer(call: Call) -> Answer:
    trained = call.trained
    schema = pa.schema([pa.field(name, pa.float64()) for name in metric_names(trained.options)])

    def table() -> pa.Table:
        from tule.learn import metrics

        row = metrics.evaluate(trained.model, call.evaluation(), threshold=call.arguments["threshold"])
        return pa.Table.from_pylist([row], schema)

    return Answer.computed(schema, table)


def forecasts(call: Call) -> Answer:
    """Errors of the forecasts at the times of the rows given; without rows, what the models are."""
    model, rows = time_series(call), given(call)
    if rows is None:
        return Answer.of(model.arima_evaluate().drop_columns(["error_message"]))
    return Answer.of(
        model.evaluate(
            rows,
            horizon=call.arguments["horizon"],
            confidence_level=call.arguments["confidence_level"],
            perform_aggregation=call.arguments["perform_aggregation"],
        )
    )


FORMS = (
    TableFunction(
        name="EVALUATE",
        model_types=LEARNED - FORECASTING,
        data="optional",
        arguments={"threshold": Argument(0.5, float, 0.0, 1.0, types=CLASSIFIERS)},
        for_each_trial=True,
        answer=answer,
    ),
    TableFunction(
        name="EVALUATE",
        model_types=FORECASTING,
        data="optional",
        arguments={
            "perform_aggregation": Argument(True, bool),
            "horizon": Argument(None, int, 1),
            "confidence_level": Argument(0.95, float, 0.0, 1.0),
        },
        answer=forecasts,
    ),
)
