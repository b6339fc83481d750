"""ML.PREDICT: the model's answer for each row, then the row's own columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tule.bigquery.ml.functions.function import Argument, Call, RowFunction, Trained, flat
from tule.bigquery.ml.options.model_types import ANSWERING, CLASSIFIERS, FORECASTING, KMEANS, LEARNED, PCA

_CENTROID_DISTANCES = pa.list_(pa.struct([("CENTROID_ID", pa.int64()), ("DISTANCE", pa.float64())]))


def prediction_fields(trained: Trained) -> list[pa.Field]:
    """The columns that ML.PREDICT puts before the input's."""
    if trained.options.model_type in ANSWERING:
        return [pa.field(each.name, each.type) for each in trained.model.signature.outputs]
    if trained.options.model_type == KMEANS:
        return [pa.field("CENTROID_ID", pa.int64()), pa.field("NEAREST_CENTROIDS_DISTANCE", _CENTROID_DISTANCES)]
    if trained.options.type.task == "reduction":
        return [pa.field(each.name, pa.float64()) for each in trained.model.signature.outputs]
    name = f"predicted_{trained.label}"
    if trained.options.model_type not in CLASSIFIERS:
        return [pa.field(name, pa.float64())]
    assert trained.model.signature.label is not None
    kind = trained.model.signature.label.type
    probability = pa.struct([("label", kind), ("prob", pa.float64())])
    return [pa.field(name, kind), pa.field(f"{name}_probs", pa.list_(probability))]


def prediction_columns(trained: Trained, features: pa.RecordBatch, threshold: float) -> list[Any]:
    """The values of ``prediction_fields`` for one batch."""
    if trained.options.model_type in ANSWERING:
        return trained.model.answer(features)  # type: ignore[attr-defined]
    answer = trained.model.predict(features, threshold=threshold)
    if trained.options.model_type == KMEANS:
        nearest = flat(answer.column("distances"))
        # A cast would match fields by name, which differ in letter case.
        pairs = pa.StructArray.from_arrays(nearest.flatten().flatten(), names=["CENTROID_ID", "DISTANCE"])
        offsets = pa.array(np.arange(len(nearest) + 1, dtype=np.int32) * (len(pairs) // max(1, len(nearest))))
        return [flat(answer.column("centroid_id")), pa.ListArray.from_arrays(offsets, pairs)]
    if trained.options.type.task == "reduction":
        return [flat(answer.column(each.name)) for each in trained.model.signature.outputs]
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


def _dropped(call: Call) -> list[str]:
    """Of PCA, the features: components stand for them."""
    if call.trained.options.model_type != PCA or call.arguments["keep_original_columns"]:
        return []
    transform = call.trained.transform
    if transform is not None:
        return [column.name for column in transform.columns]
    return list(call.trained.model.signature.input_names)


FORMS = (
    RowFunction(
        name="PREDICT",
        model_types=LEARNED - FORECASTING | ANSWERING,
        data="required",
        arguments={
            "threshold": Argument(0.5, float, 0.0, 1.0, types=CLASSIFIERS),
            "keep_original_columns": Argument(False, bool, types=frozenset({PCA})),
        },
        fields=lambda call: prediction_fields(call.trained),
        columns=lambda call, features: prediction_columns(call.trained, features, call.arguments["threshold"]),
        drops=_dropped,
    ),
)

__all__ = ["FORMS", "prediction_columns", "prediction_fields"]
