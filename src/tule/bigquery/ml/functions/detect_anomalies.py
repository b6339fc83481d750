"""ML.DETECT_ANOMALIES: rows far from their cluster, the cut taken from the training rows."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from tule.bigquery.ml.functions.function import Answer, Argument, Call, Function, beside, beside_schema, flat
from tule.bigquery.ml.options import KMEANS


def answer(call: Call) -> Answer:
    assert call.rows is not None
    own = [
        pa.field("is_anomaly", pa.bool_()),
        pa.field("normalized_distance", pa.float64()),
        pa.field("CENTROID_ID", pa.int64()),
    ]
    schema = beside_schema(own, call.rows.schema)

    def batches() -> Iterator[pa.RecordBatch]:
        assert call.rows is not None
        for original, features in call.rows.pairs():
            found = call.trained.model.detect_anomalies(features, contamination=call.arguments["contamination"])
            values = [flat(found.column(name)) for name in ("is_anomaly", "normalized_distance", "centroid_id")]
            yield beside(list(zip(own, values, strict=True)), original)

    return Answer(schema, batches())


FUNCTION = Function(
    "DETECT_ANOMALIES",
    answer,
    frozenset({KMEANS}),
    "required",
    {"contamination": Argument(None, float, 0.0, 0.5, required=True)},
)
