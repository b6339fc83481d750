"""ML.RECONSTRUCTION_LOSS: how far each row is from what an autoencoder makes of it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tule.bigquery.ml.functions.function import DATA, MODEL, Call, RowFunction, flat
from tule.bigquery.ml.options.model_types import AUTOENCODER

_NAMES = ("mean_absolute_error", "mean_squared_error", "mean_squared_log_error")


def columns(call: Call, features: pa.RecordBatch) -> list[Any]:
    model: Any = call.trained.model
    found = model.reconstruction_loss(features)
    return [flat(found.column(name)) for name in _NAMES]


FORMS = (
    RowFunction(
        name="RECONSTRUCTION_LOSS",
        model_types=frozenset({AUTOENCODER}),
        data="required",
        order=(MODEL, DATA),
        fields=lambda call: [pa.field(name, pa.float64()) for name in _NAMES],
        columns=columns,
    ),
)
