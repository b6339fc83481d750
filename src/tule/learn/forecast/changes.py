"""Where a series changes for good: it is cut into pieces that are straight lines, and the cuts are told as ranges.

Cuts are found by binary segmentation: the cut that explains most is made while it explains more than chance would, by
Schwarz's criterion for a level, a slope and a place. Noise that is like the noise before it makes long runs that look like
changes, so the criterion counts the noise's long-run variance. A range holds the places for a cut that are nearly as likely
as the best one: narrow where the series jumps, wide where it turns slowly.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

_SHORTEST = 7
"""Points between changes."""
_COEFFICIENTS = 3
_NEAR = 3.84
"""How much less likely than the best place a place may be, in variances: chi-square at 5 %."""
_ROUNDS = 4
_MOST_ALIKE = 0.95


def changes(level: np.ndarray) -> list[tuple[int, int]]:
    """(first, last) place of each change of a series without its seasons, in order."""
    n = len(level)
    spread = float(level.std())
    if n < 2 * _SHORTEST or spread <= 1e-12 * (1.0 + float(np.abs(level).max())):
        return []
    lines = _Lines((level - level.mean()) / spread)
    factor, cuts = 1.0, lines.cuts(_variance(lines.values))
    for _ in range(_ROUNDS):
        rest = lines.residuals(cuts)
        variance = float(rest @ rest) / max(1, n - 2 * (len(cuts) + 1))
        alike = min(_MOST_ALIKE, max(0.0, float(rest[1:] @ rest[:-1]) / max(float(rest @ rest), 1e-300)))
        grown = (1.0 + alike) / (1.0 - alike)
        next_cuts = lines.cuts(max(variance * grown, 1e-9))
        factor = variance * grown
        if next_cuts == cuts:
            break
        cuts = next_cuts
    return [lines.range(cuts, at, max(factor, 1e-9)) for at in range(len(cuts))]


def _variance(values: np.ndarray) -> float:
    """Of white noise, by the median of second differences: neither jumps nor slopes are in it."""
    bent = np.diff(values, 2) / math.sqrt(6.0)
    return max((1.4826 * float(np.median(np.abs(bent)))) ** 2, 1e-9)


class _Lines:
    """Least squares lines of any stretch, by running sums."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self._n = len(values)
        x = np.linspace(-1.0, 1.0, self._n)
        self._x = x
        rows = (np.ones(self._n), x, x * x, values, x * values, values * values)
        self._sums = [np.concatenate([[0.0], np.cumsum(each)]) for each in rows]

    def _missed(self, first: np.ndarray | int, last: np.ndarray | int) -> np.ndarray:
        """The sum of squares that the line of [first, last) misses."""
        n, x, xx, y, xy, yy = (np.asarray(each[last] - each[first]) for each in self._sums)
        n = np.maximum(n, 1.0)
        across = np.maximum(xx - x * x / n, 1e-300)
        slope = (xy - x * y / n) ** 2 / across
        return np.maximum(yy - y * y / n - np.where(across > 1e-18, slope, 0.0), 0.0)

    def _gains(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """(places, what a cut there explains)"""
        places = np.arange(first + _SHORTEST, last - _SHORTEST + 1)
        return places, self._missed(first, last) - self._missed(first, places) - self._missed(places, last)

    def cuts(self, variance: float) -> list[int]:
        """The cuts that explain more than chance would with this variance."""
        least = 2.0 * _COEFFICIENTS * math.log(self._n) * variance
        found: list[int] = []
        left = [(0, self._n)]
        while left:
            first, last = left.pop()
            if last - first < 2 * _SHORTEST:
                continue
            places, gains = self._gains(first, last)
            best = int(gains.argmax())
            if gains[best] > least:
                place = int(places[best])
                found.append(place)
                left += [(first, place), (place, last)]
        return self._settled(sorted(found), least)

    def _settled(self, cuts: list[int], least: float) -> list[int]:
        """Each cut where it is best between its neighbours; those that explain too little there are dropped."""
        at = 0
        while at < len(cuts):
            first = cuts[at - 1] if at else 0
            last = cuts[at + 1] if at + 1 < len(cuts) else self._n
            places, gains = self._gains(first, last)
            best = int(gains.argmax())
            if gains[best] > least:
                cuts[at] = int(places[best])
                at += 1
            else:
                del cuts[at]
        return cuts

    def residuals(self, cuts: list[int]) -> np.ndarray:
        """What the lines between the cuts leave."""
        edges = [0, *cuts, self._n]
        parts = []
        for first, last in pairwise(edges):
            x, y = self._x[first:last], self.values[first:last]
            x = x - x.mean()
            across = float(x @ x)
            slope = float(x @ y) / across if across > 0.0 else 0.0
            parts.append(y - y.mean() - slope * x)
        return np.concatenate(parts)

    def range(self, cuts: list[int], at: int, variance: float) -> tuple[int, int]:
        """The places of a change: from the last point of the old line to the first of the new one."""
        first = cuts[at - 1] if at else 0
        last = cuts[at + 1] if at + 1 < len(cuts) else self._n
        places, gains = self._gains(first, last)
        best = cuts[at] - int(places[0])
        near = gains > gains[best] - _NEAR * variance
        low = best
        while low and near[low - 1]:
            low -= 1
        high = best
        while high + 1 < len(near) and near[high + 1]:
            high += 1
        return int(places[low]) - 1, int(places[high])
