"""What a forecast must not learn from: spikes and dips of single points, and steps of the level.

Both are looked for in the seasonally adjusted series against noise measured by medians, so that they do not hide themselves.
A step moves the earlier points to the later level, on which the forecast goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SPIKE = 8.0
"""Deviations from the local median, in standard deviations of those deviations."""
_STEP = 8.0
_STAYS = 0.6
"""Share of a jump by which the medians of the points around it must differ."""
_FEWEST = 12
_WINDOW = 7
_MOST = 0.05
"""Share of points that may be spikes; more of them are how the series is."""


@dataclass(frozen=True)
class Cleaned:
    """``values`` = the series - ``spikes`` - ``steps``."""

    values: np.ndarray
    spikes: np.ndarray
    steps: np.ndarray


def clean(
    values: np.ndarray, seasonal: np.ndarray, protected: np.ndarray, window: int, spikes: bool, steps: bool
) -> Cleaned:
    """Take spikes and steps out. ``protected`` points (holidays) are no spikes; ``window``: points of a level."""
    found_spikes, found_steps = np.zeros(len(values)), np.zeros(len(values))
    if len(values) < _FEWEST:
        return Cleaned(values, found_spikes, found_steps)
    level = values - seasonal
    if spikes:
        found_spikes = _spikes(level, protected)
        level = level - found_spikes
    if steps:
        found_steps = _steps(level, max(_WINDOW, window))
    return Cleaned(values - found_spikes - found_steps, found_spikes, found_steps)


def _spikes(level: np.ndarray, protected: np.ndarray) -> np.ndarray:
    from scipy.ndimage import median_filter

    bent = np.zeros(len(level))
    bent[1:-1] = level[1:-1] - 0.5 * (level[:-2] + level[2:])
    away = level - median_filter(level, _WINDOW, mode="reflect")
    # A spike sticks out of its neighbours and of their median; a point at an end may be the first of a new level.
    far = (np.abs(bent) > _SPIKE * _spread(bent[1:-1])) & (np.abs(away) > _SPIKE * _spread(bent[1:-1])) & ~protected
    far[:2] = far[-2:] = False
    # Beside a spike the neighbours' mean is bent the other way: of a run only the largest is one.
    largest = np.abs(bent) >= np.maximum(np.abs(np.roll(bent, 1)), np.abs(np.roll(bent, -1)))
    found = np.where(far & largest & (_spread(bent[1:-1]) > 0.0), away, 0.0)
    return found if np.count_nonzero(found) <= max(1, _MOST * len(level)) else np.zeros(len(level))


def _steps(level: np.ndarray, window: int) -> np.ndarray:
    n = len(level)
    found = np.zeros(n)
    jumps = np.diff(level)
    centre = float(np.median(jumps))
    spread = _spread(jumps - centre)
    if spread <= 0.0:
        return found
    for at in np.flatnonzero(np.abs(jumps - centre) > _STEP * spread) + 1:
        if at < _WINDOW or n - at < _WINDOW:
            continue
        jump = jumps[at - 1] - centre
        before, after = level[max(0, at - window) : at], level[at : at + window]
        moved = float(np.median(after) - np.median(before)) - centre * 0.5 * (len(before) + len(after))
        if moved * jump > 0.0 and abs(moved) > _STAYS * abs(jump):
            found[:at] -= moved if abs(moved) < abs(jump) else jump
    return found


def _spread(values: np.ndarray) -> float:
    """A standard deviation by the median of absolute values; 0 when most of them are 0, where nothing can be told."""
    return 1.4826 * float(np.median(np.abs(values)))
