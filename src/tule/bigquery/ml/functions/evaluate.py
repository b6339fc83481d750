"""ML.EVALUATE: one row of metrics."""

from __future__ import annotations

import pyarrow as pa

from tule.bigquery.ml.functions.function import THRESHOLD, Answer, Call, TableFunction
from tule.bigquery.ml.options import ALL, CLASSIFIERS, KMEANS
from tule.kernel.errors import InvalidArgument

_CLUSTERING = ("davies_bouldin_index", "mean_squared_distance")
_CLASSIFICATION = ("precision", "recall", "accuracy", "f1_score", "log_loss", "roc_auc")
_REGRESSION = (
    "mean_absolute_error",
    "mean_squared_error",
    "mean_squared_log_error",
    "median_absolute_error",
    "r2_score",
    "explained_variance",
)


def metric_names(model_type: str) -> tuple[str, ...]:
    """The columns of ML.EVALUATE for a model of this type."""
    if model_type == KMEANS:
        return _CLUSTERING
    return _CLASSIFICATION if model_type in CLASSIFIERS else _REGRESSION


def answer(call: Call) -> Answer:
    trained = call.trained
    threshold = call.arguments["threshold"]
    if threshold != THRESHOLD.default and trained.options.model_type not in CLASSIFIERS:
        raise InvalidArgument(
            f"Argument threshold of ML.EVALUATE is not supported for model type {trained.options.model_type}",
            do="leave it out",
            reason="invalidQuery",
        )
    schema = pa.schema([pa.field(name, pa.float64()) for name in metric_names(trained.options.model_type)])

    def table() -> pa.Table:
        from tule.learn import metrics

        row = metrics.evaluate(trained.model, call.evaluation(), threshold=threshold)
        return pa.Table.from_pylist([row], schema)

    return Answer(schema, table)


FUNCTION = TableFunction(
    name="EVALUATE", model_types=ALL, data="optional", arguments={"threshold": THRESHOLD}, answer=answer
)
