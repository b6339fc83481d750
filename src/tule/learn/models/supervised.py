"""What regressions and classifiers share: the shape of their answers and explanations."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tule.learn.models.base import Model, Rows, batches_of
from tule.learn.schema import Field, Signature
from tule.learn.transforms import Block, Encoding


@dataclass(frozen=True)
class Explained:
    """Attributions of n rows. ``values``: predictions, or probabilities of the classes ``chosen`` (places)."""

    values: np.ndarray
    chosen: np.ndarray | None
    shares: np.ndarray
    baseline: np.ndarray
    totals: np.ndarray
    """The predicted values that the shares explain: baseline + the row's shares, but for the error."""
    error: np.ndarray | None = None
    """What the shares miss, as a part of what they explain; None for exact ones."""


class Supervised(Model):
    """A model with a label; ``explain`` and the runtime build on ``explain_block``."""

    encoding: Encoding

    @property
    def features(self) -> list[str]:
        return [feature.name for feature in self.encoding.features]

    @abstractmethod
    def explain_block(self, block: Block, threshold: float = 0.5) -> Explained:
        """Attributions of encoded rows (numbers in their own units)."""

    def explain(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        parts = []
        label = self.signature.label
        assert label is not None
        for batch in batches_of(rows):
            found = self.explain_block(self.encoding.encode(batch, scaled=False), threshold)
            if found.chosen is None:
                columns = {"prediction": pa.array(found.values)}
            else:
                labels = pa.array(self.classes, label.type).take(pa.array(found.chosen))
                columns = {"label": labels, "probability": pa.array(found.values)}
            flat = pa.array(np.ascontiguousarray(found.shares).reshape(-1))
            columns |= {
                "attributions": pa.FixedSizeListArray.from_arrays(flat, len(self.features)),
                "baseline": pa.array(found.baseline),
                "prediction_value": pa.array(found.totals),
                "approximation_error": pa.array(np.zeros(len(found.values)) if found.error is None else found.error),
            }
            parts.append(pa.record_batch(columns))
        first = [pa.field("prediction", pa.float64())]
        if self.classes is not None:
            first = [pa.field("label", label.type), pa.field("probability", pa.float64())]
        schema = pa.schema(
            [
                *first,
                pa.field("attributions", pa.list_(pa.float64(), len(self.features))),
                pa.field("baseline", pa.float64()),
                pa.field("prediction_value", pa.float64()),
                pa.field("approximation_error", pa.float64()),
            ]
        )
        return pa.Table.from_batches(parts, schema)


def choose(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """The place of the predicted class: by the threshold for two classes, the most probable otherwise."""
    if probabilities.shape[1] == 2:
        return (probabilities[:, 1] >= threshold).astype(np.int64)
    return probabilities.argmax(axis=1)


def classified(parts: list[np.ndarray], signature: Signature, classes: list[Any], threshold: float) -> pa.Table:
    """The answer of a classifier's ``predict`` from probabilities (n, classes) of each batch."""
    assert signature.label is not None
    kind = signature.label.type
    values = pa.array(classes, kind)
    labels = [values.take(pa.array(choose(part, threshold))) for part in parts]
    lists = [pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), len(classes)) for part in parts]
    return pa.table(
        {
            "label": pa.chunked_array(labels, kind),
            "probabilities": pa.chunked_array(lists, pa.list_(pa.float64(), len(classes))),
        }
    )


def prediction_fields(classes: list[Any] | None, label: Field) -> tuple[Field, ...]:
    """The outputs of a supervised model's ``predict``."""
    if classes is None:
        return (Field("prediction", pa.float64()),)
    return (Field("label", label.type), Field("probabilities", pa.list_(pa.float64())))
