"""How much wider intervals must be than the ARIMA alone says: by forecasts from earlier ends of the same series.

The ARIMA sees the series after its seasons were taken out. They took some of the noise with them, and the season to come
differs from the season past; neither is in the ARIMA's own variance. So the finished model (its seasons, its orders and
coefficients) is put at earlier ends, taken apart anew from the points before each end, and its forecasts are compared
with what came. The mean square of these errors in the ARIMA's standard errors, drawn to what is usual, is what variances
are multiplied by. Usual is what the seasons' smoothing does to white noise, twice: orders and coefficients fit these very
points, and no series goes on quite as it was. Later ends count more, for noise grows with most series.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tule.learn.forecast.orders import Arima

ENDS = 8
"""Earlier ends that forecasts are made from."""
MOST_AHEAD = 28
"""Points ahead that are compared, at most."""
NO_CYCLE = 8
"""The same of a series without a short season."""
_USUAL, _WEIGHT = 2.0, 4.0
"""What the ratio of variances is, beside what the seasons do, and how many ends that counts for."""
_FADE = 0.7
"""Weight of an end against the one after it."""


def ends(points: int, cycle: int, fewest: int) -> list[int]:
    """Earlier ends, spread over the latest half of a series, with ``fewest`` points before each."""
    ahead = reach(points, cycle)
    first, last = max(fewest, points // 2), points - ahead
    if last < first:
        return []
    return sorted({round(each) for each in np.linspace(first, last, ENDS)})


def reach(points: int, cycle: int) -> int:
    """How many points ahead are compared: one cycle of the season."""
    return max(1, min(cycle, MOST_AHEAD, points // 4))


def widening(
    arima: Arima,
    chosen: Sequence[int],
    ahead: int,
    adjusted: Callable[[int], tuple[np.ndarray, np.ndarray]],
    seasons: float,
) -> float:
    """The factor of standard errors. ``adjusted(end)``: the points before ``end`` and the ``ahead`` after it, both without
    seasons as they are known at ``end``; ``seasons``: the variance that they bring (``decomposition.noise``)."""
    total, weights = _WEIGHT * _USUAL * seasons, _WEIGHT
    for back, end in enumerate(reversed(chosen)):
        before, after = adjusted(end)
        values, errors = arima.at_end_of(before).forecast(ahead)
        known = errors > 0.0
        if known.any():
            weight = _FADE**back
            total += weight * float(np.mean(((after - values)[known] / errors[known]) ** 2))
            weights += weight
    return math.sqrt(max(1.0, total / weights))
