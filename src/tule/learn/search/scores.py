"""What an automatic search makes small: one number for the predictions of a blend, whatever the objective."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_SMALLEST = 1e-15

Score = Callable[[np.ndarray, np.ndarray], float]
"""From the labels (n,) (numbers, or places of classes) and predictions (n,) or (n, classes) to what becomes small."""


def rmse(actual: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.sqrt(np.mean((predicted - actual) ** 2)))


def mae(actual: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.mean(np.abs(predicted - actual)))


def rmsle(actual: np.ndarray, predicted: np.ndarray) -> float:
    return rmse(np.log1p(np.maximum(actual, 0.0)), np.log1p(np.maximum(predicted, 0.0)))


def log_loss(actual: np.ndarray, predicted: np.ndarray) -> float:
    own = predicted[np.arange(len(actual)), actual]
    return float(-np.mean(np.log(np.clip(own / predicted.sum(axis=1), _SMALLEST, None))))


def missed_area(actual: np.ndarray, predicted: np.ndarray) -> float:
    """1 - the area under the ROC curve of two classes; their log loss, scaled down, breaks ties."""
    scores, positive = predicted[:, 1], actual == 1
    total = float(positive.sum()) * float((~positive).sum())
    if total == 0.0:
        return log_loss(actual, predicted)
    _, places = np.unique(scores, return_inverse=True)
    negative_at = np.bincount(places[~positive], minlength=places.max() + 1)
    positive_at = np.bincount(places[positive], minlength=places.max() + 1)
    below = np.cumsum(negative_at) - negative_at
    area = float(np.dot(positive_at, below + negative_at / 2.0)) / total
    return 1.0 - area + 1e-3 * log_loss(actual, predicted)


def _curve(actual: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(precision, recall) with every row but the lowest, the next and so on called positive."""
    order = np.argsort(-predicted[:, 1], kind="stable")
    hits = np.cumsum(actual[order] == 1)
    return hits / np.arange(1, len(order) + 1), hits / max(1, int(hits[-1]))


def missed_precision_area(actual: np.ndarray, predicted: np.ndarray) -> float:
    """1 - the average precision of the positive class."""
    precision, recall = _curve(actual, predicted)
    return 1.0 - float(np.sum(np.diff(recall, prepend=0.0) * precision))


def missed_precision(recall: float) -> Score:
    """1 - the best precision with at least this recall."""

    def score(actual: np.ndarray, predicted: np.ndarray) -> float:
        precision, reached = _curve(actual, predicted)
        return 1.0 - float(precision[reached >= recall].max(initial=0.0)) + 1e-3 * log_loss(actual, predicted)

    return score


def missed_recall(precision: float) -> Score:
    """1 - the best recall with at least this precision."""

    def score(actual: np.ndarray, predicted: np.ndarray) -> float:
        reached, recall = _curve(actual, predicted)
        return 1.0 - float(recall[reached >= precision].max(initial=0.0)) + 1e-3 * log_loss(actual, predicted)

    return score


_PLAIN: dict[str, Score] = {
    "MINIMIZE_RMSE": rmse,
    "MINIMIZE_MAE": mae,
    "MINIMIZE_RMSLE": rmsle,
    "MINIMIZE_LOG_LOSS": log_loss,
    "MAXIMIZE_AU_ROC": missed_area,
    "MAXIMIZE_AU_PRC": missed_precision_area,
}


def score_of(objective: str | None, value: float | None, classes: int) -> Score:
    """The score of an objective; of the default one for the number of classes (0: a regression) for None."""
    if objective is None:
        objective = "MINIMIZE_RMSE" if not classes else "MAXIMIZE_AU_ROC" if classes == 2 else "MINIMIZE_LOG_LOSS"
    if objective == "MAXIMIZE_PRECISION_AT_RECALL":
        return missed_precision(0.5 if value is None else value)
    if objective == "MAXIMIZE_RECALL_AT_PRECISION":
        return missed_recall(0.5 if value is None else value)
    return _PLAIN[objective]


def greedy(predictions: list[np.ndarray], actual: np.ndarray, score: Score, rounds: int = 30) -> np.ndarray:
    """Weights (m,) of a blend that sum to 1: models are added one by one, again where that helps (Caruana et al. 2004)."""
    counts = np.zeros(len(predictions))
    total = np.zeros_like(predictions[0], dtype=float)
    best, best_counts = np.inf, counts
    for size in range(1, rounds + 1):
        scores = [score(actual, (total + each) / size) for each in predictions]
        chosen = int(np.argmin(scores))
        counts = counts.copy()
        counts[chosen] += 1
        total = total + predictions[chosen]
        if scores[chosen] < best:
            best, best_counts = scores[chosen], counts
    return best_counts / best_counts.sum()
