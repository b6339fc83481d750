"""A model that learns nothing: BigQuery ML's TRANSFORM_ONLY, of which the transform that is kept beside it is all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import pyarrow as pa

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.learn.metrics import Evaluator
from tule.learn.models.base import Model, Options, Parts, Rows
from tule.learn.models.fitting import FitRequest
from tule.learn.schema import Signature


@dataclass
class TransformOnlyOptions(Options):
    """There are none."""


class TransformOnlyModel(Model):
    """Nothing but the names and types of the columns."""

    family = "transform_only"

    @property
    def features(self) -> list[str]:
        return list(self.signature.input_names)

    def predict(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        raise Unimplemented("A TRANSFORM_ONLY model predicts nothing", do="use ML.TRANSFORM")

    def evaluator(self, threshold: float) -> Evaluator:
        raise Unimplemented("A TRANSFORM_ONLY model has no metrics", do="evaluate a trained model")

    def to_parts(self) -> Parts:
        return Parts()

    @classmethod
    def from_parts(cls, common: Mapping[str, Any], parts: Parts) -> Self:
        return cls(common)


def fit_transform_only(request: FitRequest) -> TransformOnlyModel:
    """One pass over the rows."""
    request.watch.expect(1)
    rows = 0
    for batch in request.data.scan(request.columns[:1]):
        request.watch.tick(batch.num_rows)
        rows += batch.num_rows
    if rows == 0:
        raise InvalidArgument("A model needs at least one row", given="none", do="check the training query")
    return TransformOnlyModel(
        {
            "signature": Signature(request.inputs, None, ()),
            "options": request.options.to_json(),
            "classes": None,
            "iterations": [request.watch.iteration(0, 0.0, of=1)],
            "statistics": [],
            "num_rows": rows,
            "skipped_rows": 0,
            "notes": [],
        }
    )
