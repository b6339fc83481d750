"""Evaluation of fitted models, streamed: memory does not grow with the number of rows.

Definitions follow BigQuery ML: macro averages over classes for multiclass models, the positive class at the threshold
for binary ones, the lower median of absolute errors, log loss per class and then over classes.
Order statistics (median error, ROC) are exact up to ``EXACT_ROWS`` rows and come from fine histograms or even samples
beyond that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tule.kernel.errors import InvalidArgument
from tule.learn.data import Batches, missing_column
from tule.learn.sampling import RowSample

if TYPE_CHECKING:
    from tule.learn.models.base import Model

EXACT_ROWS = 1 << 20
_BINS = 1 << 20
_SMALLEST = 1e-15


def evaluate(model: Model, data: Batches, *, threshold: float = 0.5) -> dict[str, float]:
    """The model's metrics on ``data``, in BigQuery ML's names and order.

    Regression: mean_absolute_error, mean_squared_error, mean_squared_log_error, median_absolute_error, r2_score,
    explained_variance. Classification: precision, recall, accuracy, f1_score, log_loss, roc_auc. K-means:
    davies_bouldin_index, mean_squared_distance. The label column must be among the columns (rows where it is NULL are
    left out); no row at all is an InvalidArgument.
    """
    return model.evaluator(threshold).run(model, data)


def confusion_matrix(model: Model, data: Batches, *, threshold: float = 0.5) -> pa.Table:
    """``expected_label`` (the label's type, ascending) and one int64 column per class, named by the class's text.

    Classes met in the data that the model does not know get a row too, and no column.
    """
    counts = Classification(model, threshold)
    counts.run(model, data)
    return counts.confusion()


def roc_curve(model: Model, data: Batches, *, thresholds: Sequence[float] | None = None) -> pa.Table:
    """threshold, recall, false_positive_rate, true_positives, false_positives, true_negatives, false_negatives.

    Binary models only. Default thresholds: the 101 percentiles of the scores, descending, doubles removed. A row is
    positive when its score is >= the threshold.
    """
    if model.classes is None or len(model.classes) != 2:
        raise InvalidArgument("A ROC curve needs a binary classifier", given=model.family, do="use a binary label")
    counts = Classification(model, 0.5)
    counts.run(model, data)
    return counts.curve(thresholds)


class Evaluator:
    """Accumulates predictions batch by batch; ``result`` gives the metrics."""

    def run(self, model: Model, data: Batches) -> dict[str, float]:
        """Predict and add every labelled row of ``data``."""
        needed = list(model.signature.input_names)
        label = model.signature.label
        names = data.schema.names
        if label is not None and label.name not in needed:
            needed.append(label.name)
        for name in needed:
            if name not in names:
                raise missing_column(name, names)
        rows = 0
        for batch in data.scan(needed):
            if label is not None:
                batch = batch.filter(batch.column(label.name).is_valid())
            if batch.num_rows == 0:
                continue
            rows += batch.num_rows
            self.add(model, batch)
        if rows == 0:
            raise InvalidArgument(
                "Evaluation needs at least one row" + (" with a label that is not NULL" if label else ""),
                given="none",
                do="check the query that selects the rows",
            )
        return self.result()

    def add(self, model: Model, batch: pa.RecordBatch) -> None:
        raise NotImplementedError

    def result(self) -> dict[str, float]:
        raise NotImplementedError


class Regression(Evaluator):
    """Errors of a regression, with means shifted by the first label so that large offsets lose no digits."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._count = 0
        self._shift = 0.0
        self._sums = np.zeros(6)
        self._errors = RowSample(EXACT_ROWS)

    def add(self, model: Model, batch: pa.RecordBatch) -> None:
        predicted = model.predict(batch).column("prediction").to_numpy()
        self.add_arrays(numbers(batch.column(self._label)), predicted)

    def add_arrays(self, actual: np.ndarray, predicted: np.ndarray) -> None:
        if self._count == 0:
            self._shift = float(actual[0])
        self._count += len(actual)
        error = predicted - actual
        moved = actual - self._shift
        with np.errstate(invalid="ignore", divide="ignore"):
            logs = np.log1p(predicted) - np.log1p(actual)
        self._sums += [
            np.abs(error).sum(),
            np.dot(error, error),
            np.dot(logs, logs),
            error.sum(),
            moved.sum(),
            np.dot(moved, moved),
        ]
        self._errors.add(np.abs(error))

    def result(self) -> dict[str, float]:
        n = self._count
        absolute, squared, logs, error, moved, moved_squared = (float(value) for value in self._sums)
        total = moved_squared - moved * moved / n
        spread = squared - error * error / n
        flat = total <= 0.0
        errors = self._errors.values()
        middle = (len(errors) - 1) // 2
        return {
            "mean_absolute_error": absolute / n,
            "mean_squared_error": squared / n,
            "mean_squared_log_error": logs / n,
            "median_absolute_error": float(np.partition(errors, middle)[middle]),
            "r2_score": math.nan if flat else 1.0 - squared / total,
            "explained_variance": math.nan if flat else 1.0 - spread / total,
        }


class Classification(Evaluator):
    """Confusion counts, log loss and ranking of a classifier."""

    def __init__(self, model: Model, threshold: float) -> None:
        if not 0.0 <= threshold <= 1.0:
            raise InvalidArgument("threshold must be between 0 and 1", given=threshold)
        assert model.classes is not None and model.signature.label is not None
        self._classes = list(model.classes)
        self._index = {value: at for at, value in enumerate(self._classes)}
        self._unknown: dict[Any, np.ndarray] = {}
        self._label = model.signature.label
        self._threshold = threshold
        size = len(self._classes)
        self._matrix = np.zeros((size, size), np.int64)
        self._logs = np.zeros(size)
        self._ranks = [Ranking() for _ in range(1 if size == 2 else size)]

    def add(self, model: Model, batch: pa.RecordBatch) -> None:
        answer = model.predict(batch, threshold=self._threshold)
        labels = batch.column(self._label.name)
        predicted = self._codes(answer.column("label"))
        probabilities = matrix(answer.column("probabilities"), len(self._classes))
        actual = self._codes(labels)
        known = actual >= 0
        size = len(self._classes)
        pairs = actual[known] * size + predicted[known]
        self._matrix += np.bincount(pairs, minlength=size * size).reshape(size, size)
        if not known.all():
            strange = np.flatnonzero(~known)
            for value, at in zip(labels.take(pa.array(strange)).to_pylist(), strange, strict=True):
                self._unknown.setdefault(value, np.zeros(size, np.int64))[predicted[at]] += 1
        rows = np.flatnonzero(known)
        own = np.clip(probabilities[rows, actual[rows]], _SMALLEST, None)
        self._logs += np.bincount(actual[rows], weights=-np.log(own), minlength=size)
        if size == 2:
            self._ranks[0].add(probabilities[rows, 1], actual[rows] == 1)
        else:
            for place, rank in enumerate(self._ranks):
                rank.add(probabilities[rows, place], actual[rows] == place)

    def _codes(self, labels: pa.Array | pa.ChunkedArray) -> np.ndarray:
        if isinstance(labels, pa.ChunkedArray):
            labels = labels.combine_chunks()
        coded = labels.dictionary_encode() if not pa.types.is_dictionary(labels.type) else labels
        found = [self._index.get(value, -1) for value in coded.dictionary.to_pylist()]
        return np.asarray(found, np.int64)[coded.indices.to_numpy(zero_copy_only=False)]

    def result(self) -> dict[str, float]:
        matrix = self._matrix
        missed = sum((row for row in self._unknown.values()), np.zeros(len(self._classes), np.int64))
        total = int(matrix.sum() + missed.sum())
        accuracy = float(np.trace(matrix)) / total
        per_class = matrix.sum(axis=1)
        if len(self._classes) == 2:
            hits, flagged, real = int(matrix[1, 1]), int(matrix[:, 1].sum() + missed[1]), int(per_class[1])
            precision: float = hits / flagged if flagged else math.nan
            recall = hits / real if real else math.nan
            f1 = 2 * hits / (flagged + real) if flagged + real else math.nan
            seen = int(per_class.sum())
            log_loss = float(self._logs.sum()) / seen if seen else math.nan
            area = self._ranks[0].area()
        else:
            flagged_each = matrix.sum(axis=0) + missed
            present = (per_class > 0) | (flagged_each > 0)
            hits_each = np.diag(matrix).astype(float)
            extra = len(self._unknown)
            count = int(present.sum()) + extra
            precision = float(np.sum(hits_each / np.maximum(flagged_each, 1))) / count
            recall = float(np.sum(hits_each / np.maximum(per_class, 1))) / count
            f1 = float(np.sum(2 * hits_each / np.maximum(flagged_each + per_class, 1))) / count
            real_classes = per_class > 0
            each = self._logs[real_classes] / per_class[real_classes]
            log_loss = float(each.mean()) if len(each) else math.nan
            areas = [area for rank in self._ranks if not math.isnan(area := rank.area())]
            area = float(np.mean(areas)) if areas else math.nan
        return {
            "precision": precision,
            "recall": recall,
            "accuracy": accuracy,
            "f1_score": f1,
            "log_loss": log_loss,
            "roc_auc": area,
        }

    def confusion(self) -> pa.Table:
        rows = {value: self._matrix[at] for at, value in enumerate(self._classes)} | self._unknown
        ordered = sorted(rows)
        columns: list[Any] = [pa.array(ordered, self._label.type)]
        columns += [
            pa.array([int(rows[value][at]) for value in ordered], pa.int64()) for at in range(len(self._classes))
        ]
        return pa.Table.from_arrays(columns, names=["expected_label", *(label_text(value) for value in self._classes)])

    def curve(self, thresholds: Sequence[float] | None) -> pa.Table:
        return self._ranks[0].curve(thresholds)


class Ranking:
    """Scores of positive and negative rows: exact while they fit, then counted in 2**20 equal bins of [0, 1]."""

    def __init__(self) -> None:
        self._scores: list[np.ndarray] = []
        self._positive: list[np.ndarray] = []
        self._held = 0
        self._counts: np.ndarray | None = None

    def add(self, scores: np.ndarray, positive: np.ndarray) -> None:
        if self._counts is None:
            self._scores.append(scores)
            self._positive.append(positive)
            self._held += len(scores)
            if self._held > EXACT_ROWS:
                scores, positive = np.concatenate(self._scores), np.concatenate(self._positive)
                self._scores, self._positive = [], []
                self._counts = np.zeros((2, _BINS + 1), np.int64)
            else:
                return
        bins = np.floor(scores * _BINS).astype(np.int64)
        for sign in (0, 1):
            self._counts[sign] += np.bincount(bins[positive == bool(sign)], minlength=_BINS + 1)

    def _table(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distinct scores ascending, and the negative and positive rows at each."""
        if self._counts is not None:
            used = np.flatnonzero(self._counts.sum(axis=0))
            return used / _BINS, self._counts[0, used], self._counts[1, used]
        if not self._scores:
            return np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64)
        scores, positive = np.concatenate(self._scores), np.concatenate(self._positive)
        values, places = np.unique(scores, return_inverse=True)
        return (
            values,
            np.bincount(places[~positive], minlength=len(values)),
            np.bincount(places[positive], minlength=len(values)),
        )

    def area(self) -> float:
        """Area under the ROC curve, ties counted half; NaN when a side is empty."""
        _, negative, positive = self._table()
        total = float(negative.sum()) * float(positive.sum())
        if total == 0.0:
            return math.nan
        below = np.cumsum(negative) - negative
        return float(np.dot(positive, below + negative / 2.0)) / total

    def curve(self, thresholds: Sequence[float] | None) -> pa.Table:
        values, negative, positive = self._table()
        if thresholds is None:
            totals = np.cumsum(negative + positive)
            places = np.linspace(0.0, 1.0, 101) * (totals[-1] - 1)
            cuts = np.unique(values[np.searchsorted(totals, places, side="right")])[::-1]
        else:
            cuts = np.asarray(list(thresholds), float)
        # rows at or above each cut
        tail_negative = np.concatenate([np.cumsum(negative[::-1])[::-1], [0]])
        tail_positive = np.concatenate([np.cumsum(positive[::-1])[::-1], [0]])
        at = np.searchsorted(values, cuts, side="left")
        true_positives, false_positives = tail_positive[at], tail_negative[at]
        all_positive, all_negative = int(positive.sum()), int(negative.sum())
        with np.errstate(invalid="ignore", divide="ignore"):
            return pa.table(
                {
                    "threshold": pa.array(cuts, pa.float64()),
                    "recall": pa.array(true_positives / np.float64(all_positive), pa.float64()),
                    "false_positive_rate": pa.array(false_positives / np.float64(all_negative), pa.float64()),
                    "true_positives": pa.array(true_positives, pa.int64()),
                    "false_positives": pa.array(false_positives, pa.int64()),
                    "true_negatives": pa.array(all_negative - false_positives, pa.int64()),
                    "false_negatives": pa.array(all_positive - true_positives, pa.int64()),
                }
            )


def numbers(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A numeric column as float64, NULL as NaN."""
    if pa.types.is_decimal(column.type) or not pa.types.is_float64(column.type):
        column = column.cast(pa.float64(), safe=False)
    return np.asarray(column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy())


def matrix(column: pa.Array | pa.ChunkedArray, width: int) -> np.ndarray:
    """A fixed-size list column of float64 as an array (rows, width)."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False)).reshape(-1, width)


def label_text(value: Any) -> str:
    """A label value as BigQuery would cast it to text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
