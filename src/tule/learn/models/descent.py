"""Batch gradient descent with a line search or a constant rate, over passes of encoded rows.

The line search tries 2, 1, 1/2 and 1/4 times the last rate and takes the best. An l1 penalty is applied by a proximal
step (soft thresholding) after the gradient step. Symbols: W (D + 1, K), the intercept last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tule.kernel.errors import InvalidArgument
from tule.learn.models.base import Iteration
from tule.learn.models.fitting import Rows, Source, Watch, stalled
from tule.learn.models.solvers import soft

_FACTORS = (2.0, 1.0, 0.5, 0.25)


class Loss(Protocol):
    """A mean loss of scores."""

    def value(self, scores: np.ndarray, rows: Rows) -> float:
        """Sum of the (weighted) losses of rows with scores (n, K)."""

    def slope(self, scores: np.ndarray, rows: Rows) -> np.ndarray:
        """(n, K) derivatives of that sum by the scores."""


class Quadratic:
    """Squared error."""

    def value(self, scores: np.ndarray, rows: Rows) -> float:
        error = scores[:, 0] - rows.target
        return float(error @ error)

    def slope(self, scores: np.ndarray, rows: Rows) -> np.ndarray:
        return np.asarray(2.0 * (scores - rows.target[:, None]))


@dataclass
class Descent:
    """What a descent found."""

    weights: np.ndarray
    iterations: list[Iteration]
    notes: list[str]


def descend(
    loss: Loss,
    source: Source,
    evaluation: Source | None,
    start: np.ndarray,
    active: np.ndarray,
    options: Any,
    watch: Watch,
    width: int,
) -> Descent:
    """Go down from ``start`` for at most ``max_iterations`` steps; columns that are not active stay 0."""
    line_search = options.learn_rate_strategy == "LINE_SEARCH"
    watch.expect(1 + options.max_iterations * (2 if line_search else 1))
    weights = start.copy()
    weights[:-1][~active] = 0.0
    mask = np.append(active, options.fit_intercept)[:, None].astype(float)
    if not options.fit_intercept:
        weights[-1] = 0.0
    rate = options.ls_init_learn_rate if line_search else options.learn_rate
    value, gradient = _gradient(loss, source, weights)
    objective = value + _penalty(weights, options)
    iterations: list[Iteration] = []
    notes: list[str] = []
    for number in range(options.max_iterations):
        gradient[:-1] += 2.0 * options.l2_reg * weights[:-1]
        gradient *= mask
        rates = [rate * factor for factor in _FACTORS] if line_search else [rate]
        steps = [_step(weights, gradient, own, options) for own in rates]
        if line_search:
            values = _values(loss, source, steps)
            objectives = [found + _penalty(step, options) for found, step in zip(values, steps, strict=True)]
            finite = [found if math.isfinite(found) else math.inf for found in objectives]
            best = int(np.argmin(finite))
            if not finite[best] < objective:
                rate = rates[-1]
                if number == 0 or rate > 1e-8:
                    iterations.append(_record(watch, number, value, evaluation, loss, weights, rate, options))
                    continue
                break
            rate, new_value, new_objective = rates[best], values[best], objectives[best]
            weights = steps[best]
            _, gradient = _gradient(loss, source, weights)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                new_value, new_gradient = _gradient(loss, source, steps[0])
                new_objective = new_value + _penalty(steps[0], options)
            worse = not new_objective <= objective
            if worse and (number == 0 or not math.isfinite(new_objective)):
                raise InvalidArgument(
                    "The loss must go down", given=f"learn rate {rate} makes it grow", do="use a smaller LEARN_RATE"
                )
            if worse and options.early_stop:
                notes.append(f"Training stopped at iteration {number}: the learn rate {rate} made the loss grow.")
                break
            weights, gradient = steps[0], new_gradient
        iterations.append(_record(watch, number, new_value, evaluation, loss, weights, rate, options))
        done = stalled(objective, new_objective, options)
        value, objective = new_value, new_objective
        if done:
            break
    return Descent(weights, iterations, notes)


def _record(
    watch: Watch,
    number: int,
    value: float,
    evaluation: Source | None,
    loss: Loss,
    weights: np.ndarray,
    rate: float,
    options: Any,
) -> Iteration:
    eval_loss = None if evaluation is None else mean_loss(loss, evaluation, weights)
    return watch.iteration(number, value, eval_loss, rate, of=options.max_iterations)


def _step(weights: np.ndarray, gradient: np.ndarray, rate: float, options: Any) -> np.ndarray:
    moved = weights - rate * gradient
    if options.l1_reg:
        moved[:-1] = soft(moved[:-1], rate * options.l1_reg)
    return np.asarray(moved)


def _penalty(weights: np.ndarray, options: Any) -> float:
    own = weights[:-1]
    return float(options.l1_reg * np.abs(own).sum() + options.l2_reg * np.sum(own * own))


def _gradient(loss: Loss, source: Source, weights: np.ndarray) -> tuple[float, np.ndarray]:
    total, mass = 0.0, 0.0
    gradient = np.zeros_like(weights)
    for rows in source:
        scores = rows.block.times(weights[:-1]) + weights[-1]
        total += loss.value(scores, rows)
        slope = loss.slope(scores, rows)
        gradient[:-1] += rows.block.transposed_times(slope)
        gradient[-1] += slope.sum(axis=0)
        mass += mass_of(rows)
    return total / mass, gradient / mass


def _values(loss: Loss, source: Source, candidates: list[np.ndarray]) -> list[float]:
    totals, mass = np.zeros(len(candidates)), 0.0
    size = candidates[0].shape[1]
    stacked = np.concatenate(candidates, axis=1)
    for rows in source:
        with np.errstate(over="ignore", invalid="ignore"):
            scores = rows.block.times(stacked[:-1]) + stacked[-1]
            for at in range(len(candidates)):
                totals[at] += loss.value(scores[:, at * size : (at + 1) * size], rows)
        mass += mass_of(rows)
    return [float(total) for total in totals / mass]


def mean_loss(loss: Loss, source: Source, weights: np.ndarray) -> float:
    """The mean loss over encoded rows, penalties and row weights left out; NaN without rows."""
    total, count = 0.0, 0
    for rows in source:
        scores = rows.block.times(weights[:-1]) + weights[-1]
        total += loss.value(scores, Rows(rows.block, rows.target))
        count += len(rows.target)
    return total / count if count else math.nan


def mass_of(rows: Rows) -> float:
    """The number of rows, or the sum of their weights."""
    return float(len(rows.target)) if rows.weight is None else float(rows.weight.sum())
