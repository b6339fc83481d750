"""The exact Gaussian likelihood of an ARMA process, by linear filters instead of a loop over time.

w_t = mean + u_t, u_t = phi_1 u_{t-1} + .. + e_t + theta_1 e_{t-1} + ..; m = max(p, q).

Filtering u by phi(B) / theta(B) from a state z of m numbers gives the innovations: e = e0 + H z, where e0 starts from zero
and column i of H is the impulse response of 1 / theta(B), delayed by i. The state is the (negated) prediction state of the
process in innovations form, alpha' = T alpha + K e, so z ~ N(0, s^2 V) with V = T V T' + K K'. Hence e0 ~ N(0, s^2 W) with
W = I + H V H', and by the matrix inversion and determinant lemmas only m x m systems remain (compare Ljung and Box 1979).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_LARGEST = 8.0
"""Bound of the free parameters: tanh of it is 1 - 2e-7."""


@dataclass(frozen=True)
class Arma:
    """Coefficients and what the likelihood says of them. ``mean`` is 0 for a process without one.

    ``residuals`` are the innovations given all data; ``state`` is the filter's state after the last of them.
    """

    ar: np.ndarray
    ma: np.ndarray
    mean: float
    variance: float
    log_likelihood: float
    residuals: np.ndarray
    state: np.ndarray


def coefficients(free: np.ndarray) -> np.ndarray:
    """Coefficients of a stationary autoregression from unbounded numbers: tanh gives partial autocorrelations.

    (Barndorff-Nielsen and Schou 1973; the Durbin-Levinson recursion.)
    """
    partial = np.tanh(free)
    found = partial[:1]
    for value in partial[1:]:
        found = np.append(found - value * found[::-1], value)
    return np.asarray(found)


def partials(values: np.ndarray) -> np.ndarray | None:
    """The inverse of ``coefficients``; None unless the autoregression is stationary."""
    left = np.array(values, dtype=float)
    found = np.empty(len(left))
    for at in range(len(left) - 1, -1, -1):
        last = left[at]
        if not abs(last) < 0.999:
            return None
        found[at] = last
        rest = left[:at]
        left = (rest + last * rest[::-1]) / (1.0 - last * last)
    return np.arctanh(found)


class Likelihood:
    """The likelihood of orders (p, q) for one stationary series; with ``mean`` it is estimated (exactly, not searched)."""

    def __init__(self, series: np.ndarray, p: int, q: int, mean: bool) -> None:
        self._p, self._q, self._m = p, q, max(p, q)
        self._mean = mean
        self._n = len(series)
        self._rows = np.vstack([series, np.ones(self._n)]) if mean else series
        self._pulse = np.zeros(self._n)
        self._pulse[0] = 1.0

    def split(self, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(ar, ma) of free parameters."""
        free = np.clip(free, -_LARGEST, _LARGEST)
        return coefficients(free[: self._p]), -coefficients(free[self._p :])

    def deviance(self, free: np.ndarray) -> float:
        """-2 log likelihood with mean and variance at their best, up to a constant."""
        ar, ma = self.split(free)
        _, squares, determinant, _, _ = self._solve(ar, ma)
        if not squares > 0.0:
            return math.inf
        return self._n * math.log(squares) + determinant

    def fitted(self, free: np.ndarray) -> Arma:
        """Everything about these parameters."""
        from scipy.signal import lfilter

        ar, ma = self.split(free)
        mean, squares, determinant, start, filters = self._solve(ar, ma)
        top, bottom = filters
        variance = squares / self._n
        series = self._rows[0] - mean if self._mean else self._rows
        if self._m:
            residuals, state = lfilter(top, bottom, series, zi=start)
        else:
            residuals, state = series, np.zeros(0)
        floor = max(variance, np.finfo(float).tiny)
        log_likelihood = -0.5 * (self._n * (math.log(2.0 * math.pi * floor) + 1.0) + determinant)
        return Arma(ar, ma, mean, variance, log_likelihood, residuals, state)

    def _solve(
        self, ar: np.ndarray, ma: np.ndarray
    ) -> tuple[float, float, float, np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """(mean, sum of squares, log determinant, starting state, the filter)"""
        m = self._m
        top = np.zeros(m + 1)
        bottom = np.zeros(m + 1)
        top[0] = bottom[0] = 1.0
        top[1 : self._p + 1] = -ar
        bottom[1 : self._q + 1] = ma
        filtered = self._filter(top, bottom)
        rows = filtered if self._mean else filtered[None, :]
        inner = rows @ rows.T
        determinant = 0.0
        if m:
            cross, gram = self._presample(bottom, rows)
            prior = _prior(ar, ma, m)
            middle = np.eye(m) + gram @ prior
            determinant = math.log(max(float(np.linalg.det(middle)), 1e-300))
            shrunk = prior @ np.linalg.solve(middle, cross)
            inner = inner - cross.T @ shrunk
        mean = 0.0
        squares = float(inner[0, 0])
        start = -shrunk[:, 0] if m else np.zeros(0)
        if self._mean and inner[1, 1] > 0.0:
            mean = float(inner[0, 1] / inner[1, 1])
            squares -= mean * float(inner[0, 1])
            if m:
                start = start + mean * shrunk[:, 1]
        return mean, squares, determinant, start, (top, bottom)

    def _filter(self, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
        if self._q:
            from scipy.signal import lfilter

            return np.asarray(lfilter(top, bottom, self._rows))
        found = self._rows.copy()
        for lag in range(1, self._p + 1):
            found[..., lag:] += top[lag] * self._rows[..., :-lag]
        return found

    def _presample(self, bottom: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """H'e0 (m, rows) and H'H (m, m)."""
        from scipy.signal import lfilter

        m, n = self._m, self._n
        if not self._q:
            return rows[:, :m].T, np.eye(m)
        response = lfilter(bottom[:1], bottom, self._pulse)
        shifted = np.zeros((m, n))
        for at in range(m):
            shifted[at, at:] = response[: n - at]
        return shifted @ rows.T, shifted @ shifted.T


def _prior(ar: np.ndarray, ma: np.ndarray, m: int) -> np.ndarray:
    """V = T V T' + K K' (m, m)."""
    phi, gain = np.zeros(m), np.zeros(m)
    phi[: len(ar)] = ar
    gain[: len(ma)] = ma
    gain += phi
    if m == 1:
        return np.array([[gain[0] ** 2 / max(1.0 - phi[0] ** 2, 1e-12)]])
    step = np.zeros((m, m))
    step[:, 0] = phi
    step[np.arange(m - 1), np.arange(1, m)] = 1.0
    square = (step[:, None, :, None] * step[None, :, None, :]).reshape(m * m, m * m)
    found = np.linalg.solve(np.eye(m * m) - square, np.outer(gain, gain).ravel()).reshape(m, m)
    return np.asarray(0.5 * (found + found.T))


def maximise(series: np.ndarray, p: int, q: int, mean: bool) -> Arma:
    """The maximum likelihood estimate."""
    found = Likelihood(series, p, q, mean)
    if not p + q:
        return found.fitted(np.zeros(0))
    start = _start(series, p, q, mean)
    free, value = _descend(found, start)
    if p and q:
        other, less = _descend(found, np.zeros(p + q))
        if less < value - 1e-6:
            free = other
    return found.fitted(free)


def _start(series: np.ndarray, p: int, q: int, mean: bool) -> np.ndarray:
    """Hannan and Rissanen's (1982) regressions: residuals of a long autoregression stand for the innovations."""
    centred = series - series.mean() if mean else series
    n = len(centred)
    start = np.zeros(p + q)
    length = min(max(10, 2 * (p + q)), n // 4)
    if n < 3 * (p + q) + 6 or length < p + q:
        return start
    noise = np.zeros(n)
    if q:
        lags = np.column_stack([centred[length - at - 1 : n - at - 1] for at in range(length)])
        noise[length:] = centred[length:] - lags @ _least_squares(lags, centred[length:])
    first = max(p, q) + (length if q else 0)
    columns = [centred[first - at : n - at] for at in range(1, p + 1)]
    columns += [noise[first - at : n - at] for at in range(1, q + 1)]
    found = _least_squares(np.column_stack(columns), centred[first:])
    for part, size in ((slice(0, p), 1.0), (slice(p, p + q), -1.0)):
        free = partials(size * found[part])
        if free is not None:
            start[part] = np.clip(free, -2.0, 2.0)
    return start


def _least_squares(design: np.ndarray, target: np.ndarray) -> np.ndarray:
    gram = design.T @ design
    gram[np.diag_indices_from(gram)] += 1e-9 * np.trace(gram) / len(gram) + 1e-300
    return np.asarray(np.linalg.solve(gram, design.T @ target))


_STEPS = 60
_SMALL = 1e-5


def _descend(found: Likelihood, start: np.ndarray) -> tuple[np.ndarray, float]:
    """BFGS with differences for slopes."""
    at, value = start, found.deviance(start)
    if not math.isfinite(value):
        at = np.zeros_like(start)
        value = found.deviance(at)
    slope = _slope(found, at, value)
    inverse = np.eye(len(at)) / max(1.0, float(np.abs(slope).max()))
    for step in range(_STEPS):
        way = -inverse @ slope
        fall = float(slope @ way)
        if fall > -1e-7:
            break
        largest = float(np.abs(way).max())
        size = min(1.0, 1.5 / largest)
        while True:
            reached = at + size * way
            next_value = found.deviance(reached)
            if next_value <= value + 1e-4 * size * fall:
                break
            size *= 0.3
            if size * largest < 1e-7:
                return at, value
        next_slope = _slope(found, reached, next_value)
        moved, turned = reached - at, next_slope - slope
        gain = value - next_value
        at, value, slope = reached, next_value, next_slope
        curve = float(moved @ turned)
        if curve > 1e-12:
            if step == 0:
                inverse = np.eye(len(at)) * curve / float(turned @ turned)
            left = np.eye(len(at)) - np.outer(moved, turned) / curve
            inverse = left @ inverse @ left.T + np.outer(moved, moved) / curve
        if gain < 1e-7 * (abs(value) + 1.0) and step:
            break
    return at, value


def _slope(found: Likelihood, at: np.ndarray, value: float) -> np.ndarray:
    slope = np.empty(len(at))
    for each in range(len(at)):
        moved = at.copy()
        moved[each] += _SMALL
        slope[each] = (found.deviance(moved) - value) / _SMALL
    return slope
