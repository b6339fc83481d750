"""ML.EXPLAIN_PREDICT: each prediction with the features that moved it most: exact Shapley values, of networks integrated
gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tule.bigquery.ml.functions.function import THRESHOLD, Argument, Call, RowFunction, flat
from tule.bigquery.ml.options.model_types import CLASSIFIERS, DNN, SUPERVISED
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


def _classifies(call: Call) -> bool:
    return call.trained.options.model_type in CLASSIFIERS


def fields(call: Call) -> list[pa.Field]:
    if call.arguments["approx_feature_contrib"]:
        raise Unimplemented(
            "Tule does not approximate the attributions of trees: its values are exact",
            do="leave approx_feature_contrib out",
            reason="notImplemented",
        )
    label = call.trained.model.signature.label
    assert label is not None
    own = [pa.field(f"predicted_{label.name}", label.type if _classifies(call) else pa.float64())]
    if _classifies(call):
        own.append(pa.field("probability", pa.float64()))
    return [
        *own,
        pa.field("top_feature_attributions", _ATTRIBUTIONS),
        pa.field("baseline_prediction_value", pa.float64()),
        pa.field("prediction_value", pa.float64()),
        pa.field("approximation_error", pa.float64()),
    ]


def columns(call: Call, features: pa.RecordBatch) -> list[Any]:
    model, arguments = call.trained.model, call.arguments
    if steps := arguments["integrated_gradients_num_steps"]:
        model = model.in_steps(steps)  # type: ignore[attr-defined]
    explained = model.explain(features, threshold=arguments["threshold"])
    first = ["label", "probability"] if _classifies(call) else ["prediction"]
    top = _top(flat(explained.column("attributions")), model.features, arguments["top_k_features"])
    rest = ["baseline", "prediction_value", "approximation_error"]
    return [
        *(flat(explained.column(name)) for name in first),
        top,
        *(flat(explained.column(name)) for name in rest),
    ]


FORMS = (
    RowFunction(
        name="EXPLAIN_PREDICT",
        model_types=SUPERVISED,
        data="required",
        arguments={
            "top_k_features": Argument(5, int, 1),
            "threshold": THRESHOLD,
            "approx_feature_contrib": Argument(False, bool),
            "integrated_gradients_num_steps": Argument(None, int, 1, 1000, types=DNN),
        },
        fields=fields,
        columns=columns,
    ),
)
