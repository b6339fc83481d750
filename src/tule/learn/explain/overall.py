"""Which features move the predictions of a data set: the mean of absolute attributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from tule.learn.data import Batches
from tule.learn.metrics import matrix

if TYPE_CHECKING:
    from tule.learn.models.base import Model


@dataclass(frozen=True)
class Attribution:
    """A feature's mean absolute attribution, over all rows or those predicted to be of one class."""

    feature: str
    attribution: float
    class_label: Any = None


def global_explain(model: Model, data: Batches, *, class_level: bool = False) -> list[Attribution]:
    """Mean |attribution| per feature over ``data``, descending; with ``class_level`` per predicted class, ascending."""
    names = model.features
    totals: dict[Any, np.ndarray] = {}
    counts: dict[Any, int] = {}
    for batch in data.scan(model.signature.input_names):
        if batch.num_rows == 0:
            continue
        answer = model.explain(batch)
        sizes = np.abs(matrix(answer.column("attributions"), len(names)))
        groups: list[tuple[Any, np.ndarray]] = [(None, sizes)]
        if class_level and model.classes is not None:
            labels = answer.column("label")
            groups = [(value, sizes[pc.equal(labels, value).to_numpy()]) for value in model.classes]
        for value, part in groups:
            totals[value] = totals.get(value, np.zeros(len(names))) + part.sum(axis=0)
            counts[value] = counts.get(value, 0) + len(part)
    found: list[Attribution] = []
    for value, total in totals.items():
        means = total / max(counts[value], 1)
        order = np.argsort(-means, kind="stable")
        found += [Attribution(names[at], float(means[at]), value) for at in order]
    return found
