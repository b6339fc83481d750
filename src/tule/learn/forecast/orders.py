"""Which ARIMA: how often to difference (KPSS), which orders (AIC); its one-step fits and its forecasts.

An INCLUDE_DRIFT model of d = 1 has a mean of the differences; d = 0 always has a mean; d = 2 has none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tule.learn.forecast.likelihood import Arma, maximise

_KPSS_LEVEL = 0.463
"""Critical value of the KPSS level test at 5 % (Kwiatkowski et al. 1992, table 1)."""


@dataclass(frozen=True)
class Candidate:
    """One line of the search."""

    p: int
    d: int
    q: int
    drift: bool
    log_likelihood: float
    aic: float
    variance: float


@dataclass(frozen=True)
class Arima:
    """A fitted ARIMA.

    ``level``: the last d values that forecasts go on from; ``constant``: mean (d = 0) or drift (d = 1).
    """

    d: int
    ar: np.ndarray
    ma: np.ndarray
    constant: float
    drift: bool
    variance: float
    log_likelihood: float
    aic: float
    level: np.ndarray
    state: np.ndarray

    @property
    def intercept_or_drift(self) -> float:
        """What ML.ARIMA_COEFFICIENTS shows: phi(1) * mean for d = 0, the drift for d = 1, else 0."""
        return self.constant * (1.0 - float(self.ar.sum())) if self.d == 0 else self.constant

    def forecast(self, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """(values, standard errors) of the next ``horizon`` points."""
        values = self._ahead(horizon) + self.constant
        for last in self.level[::-1]:
            values = last + np.cumsum(values)
        weights = self._weights(horizon)
        return values, np.sqrt(self.variance * np.cumsum(weights * weights))

    def at_end_of(self, series: np.ndarray) -> Arima:
        """The same model at the end of other points, more of them than its orders: only where forecasts go on from moves."""
        from scipy.signal import lfilter

        level = []
        for _ in range(self.d):
            level.append(series[-1])
            series = np.diff(series)
        state, size = np.zeros(0), len(self.state)
        if size:
            top, bottom = np.zeros(size + 1), np.zeros(size + 1)
            top[0] = bottom[0] = 1.0
            top[1 : len(self.ar) + 1] = -self.ar
            bottom[1 : len(self.ma) + 1] = self.ma
            _, state = lfilter(top, bottom, series - self.constant, zi=np.zeros(size))
        return replace(self, level=np.array(level), state=state)

    def _ahead(self, horizon: int) -> np.ndarray:
        """Expected values of the centred stationary process: the filter run on its own predictions."""
        from scipy.signal import lfilter

        size = len(self.state)
        if not size:
            return np.zeros(horizon)
        top, bottom = np.zeros(size + 1), np.zeros(size + 1)
        top[0] = bottom[0] = 1.0
        top[1 : len(self.ma) + 1] = self.ma
        bottom[1 : len(self.ar) + 1] = -self.ar
        # e = filter(u) has state z; u = inverse filter(e) has state -z. The future e are zero.
        return np.asarray(lfilter(top, bottom, np.zeros(horizon), zi=-self.state)[0])

    def _weights(self, horizon: int) -> np.ndarray:
        from scipy.signal import lfilter

        pulse = np.zeros(horizon)
        pulse[0] = 1.0
        weights = lfilter(np.r_[1.0, self.ma], np.r_[1.0, -self.ar], pulse)
        for _ in range(self.d):
            weights = np.cumsum(weights)
        return np.asarray(weights)

    def to_json(self) -> dict[str, Any]:
        return {
            "d": self.d,
            "ar": self.ar.tolist(),
            "ma": self.ma.tolist(),
            "constant": self.constant,
            "drift": self.drift,
            "variance": self.variance,
            "log_likelihood": self.log_likelihood,
            "aic": self.aic,
            "level": self.level.tolist(),
            "state": self.state.tolist(),
        }

    @classmethod
    def from_json(cls, text: Mapping[str, Any]) -> Arima:
        arrays = {name: np.array(text[name], dtype=float) for name in ("ar", "ma", "level", "state")}
        return cls(**{**text, **arrays})


def differences(series: np.ndarray, most: int = 2) -> int:
    """How often to difference until the KPSS test no longer rejects a stationary level at 5 %."""
    for count in range(most):
        if len(series) < 6 or np.ptp(series) <= 1e-10 * (1.0 + np.abs(series).max()) or kpss(series) <= _KPSS_LEVEL:
            return count
        series = np.diff(series)
    return most


def kpss(series: np.ndarray) -> float:
    """The KPSS statistic against a level, with Bartlett weights up to lag 3 sqrt(n) / 13."""
    n = len(series)
    residuals = series - series.mean()
    lags = int(3.0 * math.sqrt(n) / 13.0)
    total = float(residuals @ residuals)
    for lag in range(1, lags + 1):
        total += 2.0 * (1.0 - lag / (lags + 1.0)) * float(residuals[lag:] @ residuals[:-lag])
    sums = np.cumsum(residuals)
    return float(sums @ sums) / (n * total) if total > 0.0 else 0.0


def fit(series: np.ndarray, p: int, d: int, q: int, drift: bool) -> tuple[Arima, np.ndarray]:
    """A model of given orders and its one-step residuals (0 for the first d points)."""
    level = []
    moved = series
    for _ in range(d):
        level.append(moved[-1])
        moved = np.diff(moved)
    mean = d == 0 or (d == 1 and drift)
    scale = float(np.abs(moved).max()) or 1.0
    arma = maximise(moved / scale, p, q, mean)
    found = _unscaled(arma, scale, len(moved))
    aic = -2.0 * found.log_likelihood + 2.0 * (p + q + mean + 1)
    arima = Arima(
        d, found.ar, found.ma, found.mean, d == 1 and drift, found.variance, found.log_likelihood, aic,
        np.array(level), found.state,
    )  # fmt: skip
    return arima, np.concatenate([np.zeros(d), found.residuals])


def _unscaled(arma: Arma, scale: float, n: int) -> Arma:
    return Arma(
        arma.ar,
        arma.ma,
        arma.mean * scale,
        arma.variance * scale * scale,
        arma.log_likelihood - n * math.log(scale),
        arma.residuals * scale,
        arma.state * scale,
    )


def search(series: np.ndarray, low: int, high: int, d: int | None = None) -> tuple[Arima, np.ndarray, list[Candidate]]:
    """The model of least AIC with low <= p + q <= high, its residuals, and every candidate (best first)."""
    d = differences(series) if d is None else d
    while d and len(series) - d < 3:
        d -= 1
    best: tuple[Arima, np.ndarray] | None = None
    lines = []
    moved = np.diff(series, d)
    if np.ptp(moved) <= 1e-9 * (float(np.abs(series).max()) + 1e-300):
        # Nothing is left to explain: a constant, a line or a parabola goes on as it is.
        low = high = 0
    for p, q, drift in _grid(low, high, d, len(moved)):
        arima, residuals = fit(series, p, d, q, drift)
        lines.append(Candidate(p, d, q, drift, arima.log_likelihood, arima.aic, arima.variance))
        if best is None or arima.aic < best[0].aic - 1e-9:
            best = arima, residuals
    assert best is not None
    lines.sort(key=lambda line: (line.aic, line.p + line.q, line.p))
    return best[0], best[1], lines


def _grid(low: int, high: int, d: int, points: int) -> Iterator[tuple[int, int, bool]]:
    """Orders in the order of their size. A short series carries fewer: three points for each coefficient."""
    high = max(0, min(high, points // 3 - 1))
    for total in range(min(low, high), high + 1):
        for p in range(total + 1):
            for drift in (False, True) if d == 1 else (False,):
                yield p, total - p, drift
