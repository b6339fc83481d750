"""ML.DETECT_ANOMALIES: rows far from their cluster, the cut taken from the training rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tule.bigquery.ml.functions.function import DATA, MODEL, STRUCT, Argument, Call, RowFunction, flat
from tule.bigquery.ml.options import KMEANS

_FIELDS = [
    pa.field("is_anomaly", pa.bool_()),
    pa.field("normalized_distance", pa.float64()),
    pa.field("CENTROID_ID", pa.int64()),
]


def columns(call: Call, features: pa.RecordBatch) -> list[Any]:
    found = call.trained.model.detect_anomalies(features, contamination=call.arguments["contamination"])
    return [flat(found.column(name)) for name in ("is_anomaly", "normalized_distance", "centroid_id")]


FUNCTION = RowFunction(
    name="DETECT_ANOMALIES",
    model_types=frozenset({KMEANS}),
    data="required",
    arguments={"contamination": Argument(None, float, 0.0, 0.5, required=True)},
    order=(MODEL, STRUCT, DATA),
    fields=lambda call: list(_FIELDS),
    columns=columns,
)
