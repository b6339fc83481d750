"""When a trial is hopeless: the median rule of Golovin et al. 2017 (Google Vizier, section 3.2.2)."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

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
