"""ML.DETECT_ANOMALIES: rows far from their cluster or reconstruction, points of a series far from their forecast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from tule.bigquery.ml.functions.forecast import given, time_series
from tule.bigquery.ml.functions.function import (
    DATA,
    MODEL,
    STRUCT,
    Answer,
    Argument,
    Call,
    RowFunction,
    TableFunction,
    Trained,
    flat,
)
from tule.bigquery.ml.options.model_types import AUTOENCODER, FORECASTING, KMEANS, PCA

_REBUILT = [pa.field("is_anomaly", pa.bool_()), pa.field("mean_squared_error", pa.float64())]
_FIELDS = {
    KMEANS: [
        pa.field("is_anomaly", pa.bool_()),
        pa.field("normalized_distance", pa.float64()),
        pa.field("CENTROID_ID", pa.int64()),
    ],
    PCA: _REBUILT,
    AUTOENCODER: _REBUILT,
}


def columns(call: Call, features: pa.RecordBatch) -> list[Any]:
    found = call.trained.model.detect_anomalies(features, contamination=call.arguments["contamination"])
    return [flat(found.column(each.name.lower())) for each in _FIELDS[call.trained.options.model_type]]


def points(call: Call) -> Answer:
    """Of a series: its history, or rows of the time after it."""
    threshold = call.arguments["anomaly_prob_threshold"]
    return Answer.of(time_series(call).find_anomalies(given(call), anomaly_prob_threshold=threshold))


def _all(trained: Trained, names: Sequence[str]) -> list[str]:
    """What the model needs, and every other column."""
    needed = trained.model.signature.input_names
    taken = {name.lower() for name in needed}
    return [*needed, *(name for name in names if name.lower() not in taken)]


FORMS = (
    RowFunction(
        name="DETECT_ANOMALIES",
        model_types=frozenset(_FIELDS),
        data="required",
        arguments={"contamination": Argument(None, float, 0.0, 0.5, required=True)},
        order=(MODEL, STRUCT, DATA),
        fields=lambda call: list(_FIELDS[call.trained.options.model_type]),
        columns=columns,
    ),
    TableFunction(
        name="DETECT_ANOMALIES",
        model_types=FORECASTING,
        data="optional",
        arguments={"anomaly_prob_threshold": Argument(0.95, float, 0.0, 1.0)},
        order=(MODEL, STRUCT, DATA),
        answer=points,
        reads=_all,
    ),
)
