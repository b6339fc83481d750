"""A series taken apart: seasonal components of several periods, and the trend that is left.

Periods of a whole number of points are found as STL does (Cleveland et al. 1990): each phase is smoothed along the cycles
by loess, what is smooth across phases goes back to the trend. Long periods that are no whole number (a year of days or
weeks) are a few harmonics, fitted with weights that fade exponentially with age. Components are found from the shortest
period to the longest, twice, each on what the others leave (Bandara, Hyndman and Bergmeir 2021, MSTL). The seasons to come
are those past, exponentially smoothed over the cycles.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tule.learn.forecast.frequency import DAY, Grid

PERIODS = {"DAILY": 1.0, "WEEKLY": 7.0, "MONTHLY": 365.2425 / 12, "QUARTERLY": 365.2425 / 4, "YEARLY": 365.2425}
"""Days of each seasonal period; the order of BigQuery ML's columns is the reverse."""
_AUTOMATIC = ("DAILY", "WEEKLY", "YEARLY")
_HARMONICS = {"YEARLY": 10, "QUARTERLY": 5, "MONTHLY": 4, "WEEKLY": 6, "DAILY": 6}
_CYCLES = 15
"""Cycles in the window that smooths one phase."""
_FEW = 4
"""Fewer cycles than that are averaged."""
_ROUNDS = 4
_STRONG, _CHANCE = 0.64, 0.6
"""The share of the variance that a season must explain, and what more for few cycles, which fit anything."""
_GAIN = 0.5
"""Of exponential smoothing over cycles, which the loess has smoothed already."""
_ALIKE, _VISIBLE = 0.7, 0.2
_FADE = 0.85
"""Weight of a cycle against the one after it."""
_LONGEST_WHOLE = 11_000
"""Longest period, in points, of which every phase is estimated (a week of minutes)."""


@dataclass(frozen=True)
class Season:
    """One seasonal component: every phase of the last cycle (``whole``), or harmonics of ``period`` points."""

    name: str
    period: float
    pattern: np.ndarray
    """The values of the phases of the points after the last one, or cosines and sines by turns."""
    whole: bool

    def at(self, places: np.ndarray, points: int) -> np.ndarray:
        """The component at places after the training points (``points``: how many those are)."""
        if self.whole:
            return np.asarray(self.pattern[(places - points) % len(self.pattern)])
        return _harmonics(places, self.period, len(self.pattern) // 2) @ self.pattern

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "period": self.period, "whole": self.whole, "pattern": self.pattern.tolist()}

    @classmethod
    def from_json(cls, text: Mapping[str, Any]) -> Season:
        return cls(text["name"], text["period"], np.array(text["pattern"], dtype=float), text["whole"])


@dataclass(frozen=True)
class Parts:
    """``seasonals`` (one array a season) and ``trend``; the rest of the series is the remainder."""

    seasons: list[Season]
    seasonals: list[np.ndarray]
    trend: np.ndarray

    @property
    def seasonal(self) -> np.ndarray:
        """The sum of the seasonal components."""
        return np.asarray(sum(self.seasonals, np.zeros(len(self.trend))))


def length(name: str, grid: Grid) -> tuple[float, bool]:
    """(points of a seasonal period on this grid, whether to estimate every phase)"""
    exact = PERIODS[name] * grid.points_per_day
    if grid.months:
        return float(round(exact)), True
    near = round(exact)
    whole = name in ("DAILY", "WEEKLY") and abs(exact - near) < 1e-9 and near <= _LONGEST_WHOLE
    return (float(near), True) if whole else (exact, False)


def possible(grid: Grid) -> list[str]:
    """The periods of two points or more of which the series holds two cycles."""
    found = []
    for name in PERIODS:
        points, _ = length(name, grid)
        if points >= 2.0 and grid.points >= 2.0 * points:
            found.append(name)
    return found


def detect(series: np.ndarray, grid: Grid) -> list[str]:
    """The seasonal periods that show, from the shortest: a significant correlation of the detrended series at their lag.

    The bound is that of Bartlett for a series correlated at all shorter lags (the seasonality test of the M4 competition);
    a component much larger than the remainder counts as well, and so does a long cycle much like the one before it.
    """
    found: list[str] = []
    left = series
    for name in possible(grid):
        if name not in _AUTOMATIC:
            continue
        points, _ = length(name, grid)
        detrended = left - smooth(left, _trend_window(points))
        _, whole = length(name, grid)
        if (
            correlated(detrended, round(points))
            or (whole and strong(left, grid, name))
            or (not whole and repeated(detrended, round(points)))
        ):
            found.append(name)
            left = series - decompose(series, grid, found).seasonal
    return found


def correlated(series: np.ndarray, lag: int) -> bool:
    """Whether the autocorrelation at ``lag`` is above its 95 % bound."""
    n = len(series)
    centred = series - series.mean()
    size = 1 << (2 * n - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, size)) ** 2
    products = np.fft.irfft(power, size)[: lag + 1]
    if products[0] <= 1e-12 * n * (1.0 + float(np.abs(series).max())) ** 2:
        return False
    correlations = products / products[0]
    bound = 1.645 * math.sqrt((1.0 + 2.0 * float(correlations[1:lag] @ correlations[1:lag])) / n)
    return bool(correlations[lag] > bound)


def strong(series: np.ndarray, grid: Grid, name: str) -> bool:
    """Whether a component over three cycles or more is large beside the remainder (Wang, Smith and Hyndman 2006)."""
    cycles = grid.points / length(name, grid)[0]
    if cycles < 3.0:
        return False
    parts = decompose(series, grid, [name])
    rest = series - parts.trend
    spread = float(np.var(rest))
    if spread <= 1e-12 * (1.0 + float(np.abs(series).max())) ** 2:
        return False
    return 1.0 - float(np.var(rest - parts.seasonal)) / spread > _STRONG + _CHANCE / cycles


def repeated(series: np.ndarray, lag: int) -> bool:
    """Whether the smoothed series is alike at a distance of ``lag``: two or three long cycles are too few for the bound."""
    smoothed = smooth(series, max(3, lag // 12) | 1)
    first, second = smoothed[:-lag], smoothed[lag:]
    spread = float(first.std() * second.std())
    if spread <= 1e-12 * (1.0 + float(np.abs(series).max())) ** 2:
        return False
    alike = float(((first - first.mean()) * (second - second.mean())).mean()) / spread
    return alike > _ALIKE and float(np.var(smoothed)) > _VISIBLE * float(np.var(series))


def decompose(series: np.ndarray, grid: Grid, names: Sequence[str]) -> Parts:
    """Take ``series`` apart with these periods (a name of ``PERIODS`` each)."""
    n = len(series)
    ordered = [name for name in PERIODS if name in names]
    if not ordered:
        return Parts([], [], smooth(series, max(5, n // 6) | 1))
    seasonals = [np.zeros(n) for _ in ordered]
    patterns = [np.zeros(0) for _ in ordered]
    trend = np.zeros(n)
    for _ in range(2 if len(ordered) > 1 else 1):
        for at, name in enumerate(ordered):
            rest = series - sum((each for other, each in enumerate(seasonals) if other != at), np.zeros(n))
            points, whole = length(name, grid)
            if whole:
                seasonals[at], patterns[at], trend = _phases(rest, int(points))
            else:
                seasonals[at], patterns[at], trend = _waves(rest, points, _HARMONICS[name])
    seasons = [
        Season(name, *(length(name, grid)[0], patterns[at], length(name, grid)[1])) for at, name in enumerate(ordered)
    ]
    return Parts(seasons, seasonals, trend)


def _trend_window(points: float) -> int:
    return math.ceil(1.5 * points / (1.0 - 1.5 / _CYCLES)) | 1


def _phases(series: np.ndarray, period: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(component, its next cycle, trend) of STL's inner loop."""
    n = len(series)
    cycles = -(-n // period)
    short = cycles * period - n
    window = _trend_window(period)
    trend = np.zeros(n)
    seasonal, pattern = trend, np.zeros(period)
    for _ in range(_ROUNDS):
        table = np.empty((cycles + 2, period))
        whole = np.append(series - trend, np.zeros(short)).reshape(cycles, period)
        full = period - short
        table[1:-1, :full] = _along_cycles(whole[:, :full])
        if short:
            table[1:-2, full:] = _along_cycles(whole[:-1, full:])
            table[-2, full:] = table[-3, full:]
        table[0], table[-1] = table[1], table[-2]
        line = table.ravel()[: n + 2 * period]
        low = _means(_means(_means(line, period), period), 3)
        seasonal = line[period : n + period] - low
        trend = smooth(series - seasonal, window)
        pattern = _smoothed_cycles(seasonal, period)
    return seasonal, pattern, trend


def _along_cycles(phases: np.ndarray) -> np.ndarray:
    """Each phase (a column) smoothed. A line through a few cycles would go through their noise: they are averaged."""
    if len(phases) < _FEW:
        return np.broadcast_to(phases.mean(axis=0), phases.shape)
    return smooth(phases, _CYCLES)


@functools.lru_cache(maxsize=64)
def _noise(cycles: int) -> float:
    """The variance of forecasts' errors in that of the adjusted series, for white noise and a season of whole phases."""
    weights = _along_cycles(np.eye(cycles))
    left = np.eye(cycles) - weights
    pattern = weights.T @ _newest_most(cycles)
    return (1.0 + float(pattern @ pattern)) / float((left * left).sum(axis=1).mean())


def noise(season: Season, points: int) -> float:
    """How much of the noise a component took out of the adjusted series, and brings into its forecasts: the variance of what
    comes, in that of the adjusted series, where the noise is white."""
    if season.whole:
        return _noise(max(2, int(points // season.period)))
    coefficients = len(season.pattern)
    return (points + coefficients) / max(1.0, points - coefficients)


def _smoothed_cycles(seasonal: np.ndarray, period: int) -> np.ndarray:
    """The next cycle: each phase exponentially smoothed over the cycles so far."""
    cycles = len(seasonal) // period
    table = seasonal[len(seasonal) - cycles * period :].reshape(cycles, period)
    return np.asarray(_newest_most(cycles) @ table)


def _newest_most(cycles: int) -> np.ndarray:
    """The weights of exponential smoothing."""
    weights = _GAIN * (1.0 - _GAIN) ** np.arange(cycles - 1, -1, -1)
    return np.asarray(weights / weights.sum())


def _waves(series: np.ndarray, period: float, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(component, coefficients, trend) with harmonics."""
    n = len(series)
    count = min(most, int(period // 2))
    design = _harmonics(np.arange(n), period, count)
    weights = np.sqrt(_FADE ** ((n - 1 - np.arange(n)) / period))
    gram = (design * weights[:, None] ** 2).T @ design
    gram[np.diag_indices_from(gram)] += 1e-3 * n / (period * 1.0)
    trend = smooth(series, _trend_window(period))
    found = np.zeros(2 * count)
    for _ in range(2):
        found = np.linalg.solve(gram, design.T @ (weights**2 * (series - trend)))
        trend = smooth(series - design @ found, _trend_window(period))
    return design @ found, found, trend


def _harmonics(places: np.ndarray, period: float, count: int) -> np.ndarray:
    angles = (2.0 * np.pi / period) * np.outer(places, np.arange(1, count + 1))
    found = np.empty((len(places), 2 * count))
    found[:, 0::2], found[:, 1::2] = np.cos(angles), np.sin(angles)
    return found


def _means(line: np.ndarray, size: int) -> np.ndarray:
    sums = np.concatenate([[0.0], np.cumsum(line)])
    return np.asarray((sums[size:] - sums[:-size]) / size)


@functools.lru_cache(maxsize=64)
def _loess(window: int) -> tuple[np.ndarray, np.ndarray]:
    """(weights inside, (half, window) weights of the first ``half`` points) of local straight lines, tricube weights."""
    half = window // 2

    def weights(at: int, reach: float) -> np.ndarray:
        x = np.arange(window) - at
        near = np.clip(1.0 - (np.abs(x) / reach) ** 3, 0.0, None) ** 3
        s0, s1, s2 = near.sum(), (near * x).sum(), (near * x * x).sum()
        determinant = s0 * s2 - s1 * s1
        return near * (s2 - s1 * x) / determinant if determinant > 1e-12 else near / near.sum()

    inside = weights(half, half * 1.001 + 1e-9)
    edge = np.array([weights(at, (window - 1 - at) * 1.001) for at in range(half)]) if half else np.zeros((0, window))
    return inside, edge


@functools.lru_cache(maxsize=64)
def _short(n: int, window: int) -> np.ndarray:
    """(n, n) weights where the window is longer than the series."""
    x = np.arange(n)
    found = np.empty((n, n))
    for at in range(n):
        distance = np.abs(x - at)
        reach = max(float(distance.max()), 1.0) * 1.001 + (window - n) // 2
        near = np.clip(1.0 - (distance / reach) ** 3, 0.0, None) ** 3
        y = x - at
        s0, s1, s2 = near.sum(), (near * y).sum(), (near * y * y).sum()
        determinant = s0 * s2 - s1 * s1
        found[at] = near * (s2 - s1 * y) / determinant if determinant > 1e-12 else near / near.sum()
    return found


_DENSE = 1024


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Loess along the first axis with a window of an odd number of points."""
    n = len(values)
    if window >= n:
        if n > _DENSE:
            return smooth(values, (n - 1) if n % 2 == 0 else n - 2)
        return _short(n, window) @ values
    from scipy.ndimage import correlate1d

    inside, edge = _loess(window)
    found = correlate1d(values, inside, axis=0, mode="nearest")
    half = window // 2
    if half:
        found[:half] = edge @ values[:window]
        found[n - half :] = (edge @ values[::-1][:window])[::-1]
    return found


def year_of(grid: Grid) -> bool:
    """Whether the grid spans more than a year."""
    last = grid.times(grid.points - 1, 1)[0]
    return bool(last - grid.first > 365 * DAY)
