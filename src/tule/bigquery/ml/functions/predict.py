"""ML.PREDICT: the model's answer for each row, then the row's own columns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tule.bigquery.ml.functions.function import THRESHOLD, Answer, Call, Function, Trained, beside, beside_schema, flat
from tule.bigquery.ml.options import ALL, CLASSIFIERS, KMEANS

_CENTROID_DISTANCES = pa.list_(pa.struct([("CENTROID_ID", pa.int64()), ("DISTANCE", pa.float64())]))


def prediction_fields(trained: Trained) -> list[pa.Field]:
    """The columns that ML.PREDICT puts before the input's."""
    if trained.options.model_type == KMEANS:
        return [pa.field("CENTROID_ID", pa.int64()), pa.field("NEAREST_CENTROIDS_DISTANCE", _CENTROID_DISTANCES)]
    name = f"predicted_{trained.label}"
    if trained.options.model_type not in CLASSIFIERS:
        return [pa.field(name, pa.float64())]
    assert trained.model.signature.label is not None
    kind = trained.model.signature.label.type
    probability = pa.struct([("label", kind), ("prob", pa.float64())])
    return [pa.field(name, kind), pa.field(f"{name}_probs", pa.list_(probability))]


def prediction_columns(trained: Trained, features: pa.RecordBatch, threshold: float) -> list[pa.Array]:
    """The values of ``prediction_fields`` for one batch."""
    answer = trained.model.predict(features, threshold=threshold)
    if trained.options.model_type == KMEANS:
        return [flat(answer.column("centroid_id")), flat(answer.column("distances")).cast(_CENTROID_DISTANCES)]
    if trained.options.model_type not in CLASSIFIERS:
        return [flat(answer.column("prediction"))]
    classes = trained.model.classes
    assert classes is not None and trained.model.signature.label is not None
    width, rows = len(classes), answer.num_rows
    probabilities = flat(answer.column("probabilities")).flatten().to_numpy(zero_copy_only=False).reshape(rows, width)
    # Labels descending: the positive class of a binary model comes first.
    labels = pa.array(classes[::-1], trained.model.signature.label.type)
    pairs = pa.StructArray.from_arrays(
        [
            labels.take(pa.array(np.tile(np.arange(width), rows))),
            pa.array(np.ascontiguousarray(probabilities[:, ::-1]).ravel()),
        ],
        names=["label", "prob"],
    )
    offsets = pa.array(np.arange(0, (rows + 1) * width, width, dtype=np.int32))
    return [flat(answer.column("label")), pa.ListArray.from_arrays(offsets, pairs)]


def answer(call: Call) -> Answer:
    assert call.rows is not None
    own = prediction_fields(call.trained)
    schema = beside_schema(own, call.rows.schema)

    def batches() -> Iterator[pa.RecordBatch]:
        assert call.rows is not None
        for original, features in call.rows.pairs():
            values = prediction_columns(call.trained, features, call.arguments["threshold"])
            yield beside(list(zip(own, values, strict=True)), original)

    return Answer(schema, batches())


FUNCTION = Function("PREDICT", answer, ALL, "required", {"threshold": THRESHOLD})

__all__ = ["FUNCTION", "prediction_columns", "prediction_fields"]
