"""ML.EXPLAIN_PREDICT: each prediction with the features that moved it most. Exact Shapley values, no approximation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tule.bigquery.ml.functions.function import (
    THRESHOLD,
    Answer,
    Argument,
    Call,
    Function,
    beside,
    beside_schema,
    flat,
)
from tule.bigquery.ml.options import CLASSIFIERS, SUPERVISED
from tule.kernel.errors import Unimplemented

_ATTRIBUTIONS = pa.list_(pa.struct([("feature", pa.string()), ("attribution", pa.float64())]))


def _top(attributions: pa.Array, features: list[str], count: int) -> pa.Array:
    """The ``count`` largest by absolute value of each row, descending."""
    width = len(features)
    values = attributions.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    order = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :count]
    kept = order.shape[1]
    pairs = pa.StructArray.from_arrays(
        [
            pa.array(features, pa.string()).take(pa.array(order.ravel())),
            pa.array(np.take_along_axis(values, order, axis=1).ravel()),
        ],
        names=["feature", "attribution"],
    )
    return pa.ListArray.from_arrays(pa.array(np.arange(0, (len(values) + 1) * kept, kept, dtype=np.int32)), pairs)


def answer(call: Call) -> Answer:
    assert call.rows is not None
    trained, arguments = call.trained, call.arguments
    if arguments["approx_feature_contrib"]:
        raise Unimplemented(
            "Tule does not approximate attributions: its values are exact", do="leave approx_feature_contrib out"
        )
    classifier = trained.options.model_type in CLASSIFIERS
    assert trained.model.signature.label is not None
    kind = trained.model.signature.label.type if classifier else pa.float64()
    own = [pa.field(f"predicted_{trained.label}", kind)]
    names = ["label" if classifier else "prediction"]
    if classifier:
        own.append(pa.field("probability", pa.float64()))
        names.append("probability")
    own += [
        pa.field("top_feature_attributions", _ATTRIBUTIONS),
        pa.field("baseline_prediction_value", pa.float64()),
        pa.field("prediction_value", pa.float64()),
        pa.field("approximation_error", pa.float64()),
    ]
    names += ["attributions", "baseline", "prediction_value", "approximation_error"]
    schema = beside_schema(own, call.rows.schema)

    def batches() -> Iterator[pa.RecordBatch]:
        assert call.rows is not None
        for original, features in call.rows.pairs():
            explained = trained.model.explain(features, threshold=arguments["threshold"])
            values = [flat(explained.column(name)) for name in names]
            at = names.index("attributions")
            values[at] = _top(values[at], trained.model.features, arguments["top_k_features"])
            yield beside(list(zip(own, values, strict=True)), original)

    return Answer(schema, batches())


FUNCTION = Function(
    "EXPLAIN_PREDICT",
    answer,
    SUPERVISED,
    "required",
    {
        "top_k_features": Argument(5, int, 1),
        "threshold": THRESHOLD,
        "approx_feature_contrib": Argument(False, bool),
    },
)
