"""When a trial is hopeless: the rules of Golovin et al. 2017 (Google Vizier, section 3.2).

``hopeless`` is the median rule; ``unpromising`` the curve rule: a Gaussian process over the curves of finished trials
foretells where this one will end.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

import numpy as np

Curve = Sequence[tuple[float, float]]

# With fewer finished trials a median says little.
FEWEST = 5


def hopeless(curve: Curve, others: Iterable[Curve], *, maximize: bool = False, fewest: int = FEWEST) -> bool:
    """Whether a trial's best value so far is worse than the median of the others' means up to the same step.

    ``curve``: its (step, value) pairs, steps ascending; ``others``: those of finished trials, of which at least
    ``fewest`` must have come as far.

    >>> others = [[(1, 0.4), (2, 0.3)], [(1, 0.5), (2, 0.3)], [(1, 0.6), (2, 0.5)]]
    >>> hopeless([(1, 0.9), (2, 0.8)], others, fewest=3), hopeless([(1, 0.9), (2, 0.4)], others, fewest=3)
    (True, False)
    """
    if not curve:
        return False
    step = curve[-1][0]
    means = []
    for other in others:
        met = [value for at, value in other if at <= step]
        if met and other[-1][0] >= step:
            means.append(statistics.fmean(met))
    if len(means) < fewest:
        return False
    median = statistics.median(means)
    values = [value for _, value in curve]
    return max(values) < median if maximize else min(values) > median


# How many places of a curve are compared, and how sure the forecast must be that a trial ends below the best.
_PLACES = 8
_SURE = 0.95
_NOISE = 0.05


def unpromising(curve: Curve, others: Iterable[Curve], *, maximize: bool = False, fewest: int = FEWEST) -> bool:
    """Whether a trial will hardly end better than the best of the others, to judge by the shape of its curve.

    ``curve`` and ``others`` as in ``hopeless``. What a trial still gains after the present step is foretold by a
    Gaussian process (squared exponential kernel) from what those with a like beginning gained; the trial is given up
    where the chance to end above the best is below 5 %.
    """
    if not curve:
        return False
    step, sign = curve[-1][0], 1.0 if maximize else -1.0
    finished = [other for other in others if other and other[0][0] <= step <= other[-1][0]]
    if len(finished) < fewest:
        return False
    places = np.linspace(min(each[0][0] for each in (curve, *finished)), step, _PLACES)
    begun = np.array([_sampled(each, places, sign) for each in (*finished, curve)])
    ends = np.array([sign * each[-1][1] for each in finished])
    gains = ends - begun[:-1, -1]
    mean, deviation = _foretold(begun[:-1], gains, begun[-1])
    needed = float(ends.max() - begun[-1, -1])
    if deviation == 0.0:
        return needed > mean
    return 0.5 * (1.0 + math.erf((needed - mean) / (deviation * math.sqrt(2.0)))) > _SURE


def _sampled(curve: Curve, places: np.ndarray, sign: float) -> np.ndarray:
    """The curve's values at these steps, straight lines in between, turned so that more is better."""
    return sign * np.interp(places, [at for at, _ in curve], [value for _, value in curve])


def _foretold(known: np.ndarray, gains: np.ndarray, new: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of the gain of a curve beside those (n, places) whose gains (n,) are known."""
    mean, spread = float(gains.mean()), float(gains.std())
    if spread == 0.0:
        return mean, 0.0
    squares = ((known[:, None, :] - known[None, :, :]) ** 2).mean(axis=2)
    # The usual distance between two curves is the length on which they are alike.
    length = float(np.median(squares[np.triu_indices(len(known), 1)])) or 1.0
    kernel = np.exp(-0.5 * squares / length) + _NOISE * np.eye(len(known))
    near = np.exp(-0.5 * ((known - new) ** 2).mean(axis=1) / length)
    weights = np.linalg.solve(kernel, near)
    foretold = mean + float(weights @ (gains - mean))
    return foretold, spread * math.sqrt(max(0.0, 1.0 + _NOISE - float(weights @ near)))
