"""A weighted mean of models: what an automatic search ends with, one bundle that answers without any of its parts.

Each part is a whole model of another family; a part of a regression may have learned the logarithm of the label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from tule.kernel.errors import InvalidArgument
from tule.learn.metrics import Classification, Evaluator, Regression, matrix
from tule.learn.models.base import Model, Options, Parts, Rows, batches_of, option
from tule.learn.models.supervised import choose, classified
from tule.learn.schema import Signature

if TYPE_CHECKING:
    from tule.learn.models.fitting import FitRequest

OBJECTIVES = (
    "MINIMIZE_RMSE",
    "MINIMIZE_MAE",
    "MINIMIZE_RMSLE",
    "MAXIMIZE_AU_ROC",
    "MINIMIZE_LOG_LOSS",
    "MAXIMIZE_AU_PRC",
    "MAXIMIZE_PRECISION_AT_RECALL",
    "MAXIMIZE_RECALL_AT_PRECISION",
)


@dataclass
class AutomlOptions(Options):
    """Options of an automatic search. ``budget_seconds`` of real time; ``most_candidates`` ends it before.

    ``optimization_objective`` None: MINIMIZE_RMSE, MAXIMIZE_AU_ROC of two classes, MINIMIZE_LOG_LOSS of more.
    ``objective_value``: the recall or precision that the last two objectives hold fixed.
    """

    budget_seconds: float = option(60.0, low=0.0)
    most_candidates: int = option(40, low=1)
    optimization_objective: str | None = None
    objective_value: float | None = option(None, low=0.0, high=1.0)

    def check(self, given: set[str]) -> None:
        if self.optimization_objective not in (None, *OBJECTIVES):
            raise InvalidArgument(
                f"OPTIMIZATION_OBJECTIVE must be one of {', '.join(OBJECTIVES)}", given=self.optimization_objective,
                location="optimization_objective",
            )  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One model of a blend; weights of all parts sum to 1. ``logarithm``: it answers log(1 + label)."""

    model: Model
    weight: float
    logarithm: bool = False

    def numbers(self, batch: pa.RecordBatch) -> np.ndarray:
        """(n,) predictions of a regression."""
        return self.outward(np.asarray(self.model.predict(batch).column("prediction").to_numpy(), float))

    def outward(self, found: np.ndarray) -> np.ndarray:
        """The model's own predictions in units of the label."""
        return np.expm1(np.minimum(found, LARGEST_LOG)) if self.logarithm else found

    def probabilities(self, batch: pa.RecordBatch, classes: Sequence[Any]) -> np.ndarray:
        """(n, classes) in the order of ``classes``; 0 for those that this part has not seen."""
        found = matrix(self.model.predict(batch).column("probabilities"), len(self.model.classes or ()))
        return self.in_order(found, classes)

    def in_order(self, found: np.ndarray, classes: Sequence[Any]) -> np.ndarray:
        """The model's own probabilities in the order of ``classes``."""
        own = list(self.model.classes or ())
        if own == list(classes):
            return found
        made = np.zeros((len(found), len(classes)))
        made[:, [list(classes).index(each) for each in own]] = found
        return made


LARGEST_LOG = 700.0


class BlendModel(Model):
    """The weighted mean of its parts."""

    def __init__(self, common: Mapping[str, Any], parts: Sequence[Part]) -> None:
        super().__init__(common)
        self.parts = tuple(parts)

    @property
    def features(self) -> list[str]:
        return self.parts[0].model.features

    def probabilities(self, batch: pa.RecordBatch) -> np.ndarray:
        """(n, number of classes) float64"""
        classes = self.classes or []
        return sum(
            (each.weight * each.probabilities(batch, classes) for each in self.parts),
            np.zeros((batch.num_rows, len(classes))),
        )

    def values(self, batch: pa.RecordBatch) -> np.ndarray:
        """(n,) predictions of a regression."""
        return sum((each.weight * each.numbers(batch) for each in self.parts), np.zeros(batch.num_rows))

    def predict(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        if self.classes is not None:
            found = [self.probabilities(batch) for batch in batches_of(rows)]
            return classified(found, self.signature, self.classes, threshold)
        parts = [self.values(batch) for batch in batches_of(rows)]
        return pa.table({"prediction": pa.chunked_array(parts, pa.float64())})

    def explain(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        """The weighted mean of the parts' attributions, in the parts' own units: log-odds of the class that the part
        predicts, or the label (of a part that learned its logarithm: as shares of the value). ``approximation_error``
        is what their sum misses, as a part of what it explains."""
        return pa.concat_tables([self._explained(batch, threshold) for batch in batches_of(rows)])

    def _explained(self, batch: pa.RecordBatch, threshold: float) -> pa.Table:
        width = len(self.features)
        shares, baseline = np.zeros((batch.num_rows, width)), np.zeros(batch.num_rows)
        totals = np.zeros(batch.num_rows)
        for each in self.parts:
            found = each.model.explain(batch, threshold=threshold)
            own = matrix(found.column("attributions"), width)
            start, value = (found.column(name).to_numpy() for name in ("baseline", "prediction_value"))
            if each.logarithm:
                # Spread what the exponential makes of the sum over the features.
                scale = _ratio(np.expm1(value) - np.expm1(start), value - start)
                own, start, value = own * scale[:, None], np.expm1(start), np.expm1(value)
            shares += each.weight * own
            baseline += each.weight * start
            totals += each.weight * value
        moved, missed = np.abs(totals - baseline), np.abs(totals - baseline - shares.sum(axis=1))
        columns: dict[str, Any]
        if self.classes is None:
            columns = {"prediction": pa.array(self.values(batch))}
        else:
            label = self.signature.label
            assert label is not None
            probabilities = self.probabilities(batch)
            chosen = choose(probabilities, threshold)
            columns = {
                "label": pa.array(self.classes, label.type).take(pa.array(chosen)),
                "probability": pa.array(probabilities[np.arange(len(chosen)), chosen]),
            }
        flat = pa.array(np.ascontiguousarray(shares).reshape(-1))
        columns |= {
            "attributions": pa.FixedSizeListArray.from_arrays(flat, width),
            "baseline": pa.array(baseline),
            "prediction_value": pa.array(totals),
            "approximation_error": pa.array(_ratio(missed, moved)),
        }
        return pa.table(columns)

    def evaluator(self, threshold: float) -> Evaluator:
        assert self.signature.label is not None
        return Regression(self.signature.label.name) if self.classes is None else Classification(self, threshold)

    def to_parts(self) -> Parts:
        states: list[dict[str, Any]] = []
        arrays: dict[str, np.ndarray] = {}
        files: dict[str, bytes] = {}
        for at, each in enumerate(self.parts):
            own = each.model.to_parts()
            states.append(
                {"weight": each.weight, "logarithm": each.logarithm, **_about(each.model), "state": own.state}
            )
            arrays |= {f"part{at}/{name}": array for name, array in own.arrays.items()}
            files |= {f"part{at}.{name}": content for name, content in own.files.items()}
        return Parts({"parts": states}, arrays, files)

    @classmethod
    def from_parts(cls, common: Mapping[str, Any], parts: Parts) -> Self:
        found = []
        for at, told in enumerate(parts.state["parts"]):
            before, name = f"part{at}/", f"part{at}."
            own = {key.removeprefix(before): array for key, array in parts.arrays.items() if key.startswith(before)}
            more = {key.removeprefix(name): content for key, content in parts.files.items() if key.startswith(name)}
            model = _restored(told, Parts(told["state"], own, more))
            found.append(Part(model, told["weight"], told["logarithm"]))
        return cls(common, found)


def _about(model: Model) -> dict[str, Any]:
    """What a part needs beside its own state; its history and statistics are those of the blend."""
    from tule.learn.bundle import to_json

    return {
        "family": model.family,
        "signature": model.signature.to_json(),
        "options": model.options,
        "classes": None if model.classes is None else [to_json(each) for each in model.classes],
        "num_rows": model.num_rows,
    }


def _restored(told: Mapping[str, Any], parts: Parts) -> Model:
    from tule.learn.bundle import from_json
    from tule.learn.models import FAMILIES

    common = {
        "family": told["family"],
        "signature": Signature.from_json(told["signature"]),
        "options": told["options"],
        "classes": None if told["classes"] is None else [from_json(each) for each in told["classes"]],
        "iterations": [],
        "statistics": [],
        "num_rows": told["num_rows"],
        "skipped_rows": 0,
        "notes": [],
    }
    return FAMILIES[told["family"]].model.from_parts(common, parts)


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(np.asarray(a, float)), where=b != 0)


class BlendRegressor(BlendModel):
    family = "automl_regressor"


class BlendClassifier(BlendModel):
    family = "automl_classifier"


def fit_automl(request: FitRequest) -> BlendModel:
    """Search, then blend (``learn.search.automl``)."""
    from tule.learn.search.automl import search

    label = request.label
    if label is None:
        raise InvalidArgument("An automatic search needs a label column", do="name it")
    return search(request)
