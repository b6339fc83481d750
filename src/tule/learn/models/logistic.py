"""Logistic regression, binary and multinomial, by Newton's method on streamed rows.

The objective, on standardised numbers and one-hot categories, intercepts not penalised, weights normalised:

    mean(-ln p(class of the row)) + l1 * sum|w| + l2 * sum(w^2)

Newton starts on an even sample of the rows and then needs two full passes, because its error squares at each step.
With l1 each Newton step solves a lasso on the quadratic model (proximal Newton; Lee, Sun, Saunders 2014). Where
the Hessian would be large (many classes times many columns) L-BFGS takes over. BATCH_GRADIENT_DESCENT is done as named.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tule.kernel.errors import InvalidArgument
from tule.learn.data import ArrowBatches
from tule.learn.models import solvers
from tule.learn.models.base import Iteration, IterativeOptions, option
from tule.learn.models.descent import descend, mass_of, mean_loss
from tule.learn.models.fitting import (
    FitRequest,
    Rows,
    Source,
    class_weights_of,
    supervised_source,
)
from tule.learn.models.glm import LogisticModel
from tule.learn.models.linear import active_columns, carried, check_descent, check_p_values, common_of, encoding_of
from tule.learn.transforms import Survey

MAX_CLASSES = 50
MAX_HESSIAN = 1500
"""Largest side of a Hessian (columns times scores) that Newton builds; L-BFGS beyond."""
_STEEP = 1e-6
_EXACT = 1e-13


@dataclass
class LogisticOptions(IterativeOptions):
    """Options of logistic regression."""

    optimize_strategy: str = option(
        "AUTO_STRATEGY", choices=("AUTO_STRATEGY", "BATCH_GRADIENT_DESCENT", "NORMAL_EQUATION")
    )
    l1_reg: float = option(0.0, low=0.0)
    l2_reg: float = option(0.0, low=0.0)
    learn_rate_strategy: str = option("LINE_SEARCH", choices=("LINE_SEARCH", "CONSTANT"))
    learn_rate: float | None = option(None, low=0.0)
    ls_init_learn_rate: float = option(0.1, low=0.0)
    category_encoding_method: str = option("ONE_HOT_ENCODING", choices=("ONE_HOT_ENCODING", "DUMMY_ENCODING"))
    calculate_p_values: bool = False
    fit_intercept: bool = True
    auto_class_weights: bool = False
    class_weights: dict[Any, float] | None = None

    def check(self, given: set[str]) -> None:
        check_descent(self, given)
        check_class_weights(self)
        if self.optimize_strategy == "NORMAL_EQUATION":
            raise InvalidArgument(
                "NORMAL_EQUATION is for linear regression only", given="logistic regression", do="use AUTO_STRATEGY"
            )


def check_class_weights(options: Any) -> None:
    """Class weights are either automatic or given."""
    if options.auto_class_weights and options.class_weights is not None:
        raise InvalidArgument("CLASS_WEIGHTS cannot be combined with AUTO_CLASS_WEIGHTS", do="use one of them")


class Logistic:
    """Log loss of two classes from one score."""

    scores = 1

    def value(self, scores: np.ndarray, rows: Rows) -> float:
        z = scores[:, 0]
        own = np.where(rows.target == 1, -z, z)
        # ln(1 + e^own) without overflow
        losses = np.maximum(own, 0.0) + np.log1p(np.exp(-np.abs(own)))
        return float(losses.sum() if rows.weight is None else losses @ rows.weight)

    def slope(self, scores: np.ndarray, rows: Rows) -> np.ndarray:
        slope = _sigmoid(scores[:, 0]) - rows.target
        return np.asarray(slope if rows.weight is None else slope * rows.weight)[:, None]

    def all(self, scores: np.ndarray, rows: Rows) -> tuple[float, np.ndarray, np.ndarray]:
        """Value, slope (n, 1) and curvature (n,), from one exponential."""
        z = scores[:, 0]
        small = np.exp(-np.abs(z))
        bigger = 1.0 / (1.0 + small)
        lesser = small * bigger
        positive = np.where(z >= 0, bigger, lesser)
        agrees = (z >= 0) == (rows.target == 1)
        losses = np.log1p(small) + np.where(agrees, 0.0, np.abs(z))
        slope, curve = positive - rows.target, bigger * lesser
        if rows.weight is not None:
            return float(losses @ rows.weight), (slope * rows.weight)[:, None], curve * rows.weight
        return float(losses.sum()), slope[:, None], curve


class Softmax:
    """Log loss of several classes, one score each."""

    def __init__(self, scores: int) -> None:
        self.scores = scores

    def probabilities(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, K) probabilities and (n,) logarithms of the normaliser."""
        top = scores.max(axis=1)
        powers = np.exp(scores - top[:, None])
        sums = powers.sum(axis=1)
        return powers / sums[:, None], top + np.log(sums)

    def value(self, scores: np.ndarray, rows: Rows) -> float:
        top = scores.max(axis=1)
        norms = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
        losses = norms - scores[np.arange(len(scores)), rows.target]
        return float(losses.sum() if rows.weight is None else losses @ rows.weight)

    def slope(self, scores: np.ndarray, rows: Rows) -> np.ndarray:
        slope, _ = self.probabilities(scores)
        slope[np.arange(len(scores)), rows.target] -= 1.0
        return np.asarray(slope if rows.weight is None else slope * rows.weight[:, None])


def _sigmoid(z: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-z)))


@dataclass
class Quadratics:
    """Mean value, gradient (D+1, K) and Hessian ((D+1)K, (D+1)K) of the loss at some weights, penalties left out."""

    value: float
    gradient: np.ndarray
    hessian: np.ndarray


def fit_logistic(request: FitRequest) -> LogisticModel:
    """Fit a logistic regression."""
    options: LogisticOptions = request.options
    request.watch.expect(4)
    survey = request.survey(keep=request.columns, max_classes=MAX_CLASSES)
    assert survey.classes is not None
    classes = survey.classes.ordered()
    if options.calculate_p_values and len(classes) > 2:
        raise InvalidArgument(
            "CALCULATE_P_VALUES needs two classes", given=f"{len(classes)} classes", do="leave it out"
        )
    weights = class_weights_of(options, classes, survey.classes.counts)
    encoding = encoding_of(survey, options)
    active = active_columns(encoding, options)
    check_p_values(options, encoding, survey.rows)
    loss: Logistic | Softmax = Logistic() if len(classes) == 2 else Softmax(len(classes))
    start = np.zeros((encoding.width + 1, loss.scores))
    if request.warm_start is not None:
        assert isinstance(request.warm_start, LogisticModel)
        if request.warm_start.classes != classes:
            raise InvalidArgument(
                "A warm start needs the same classes",
                given=f"{request.warm_start.classes} before, {classes} now",
                do="train from scratch",
            )
        start = carried(request.warm_start, encoding)
    elif options.fit_intercept:
        start[-1] = _start_intercepts(survey, classes, weights, loss.scores)
    source: Iterable[Rows] = supervised_source(request, encoding, classes, class_weights=weights)
    sample = supervised_source(
        request, encoding, classes, data=ArrowBatches(survey.sample.pieces()), class_weights=weights
    )
    evaluation = None
    if request.evaluation is not None:
        evaluation = supervised_source(request, encoding, classes, data=request.evaluation)
    if survey.sample.complete:
        source = sample
    effective = options.to_json()
    notes: list[str] = []
    wanted = options.optimize_strategy
    if wanted == "BATCH_GRADIENT_DESCENT":
        assert isinstance(source, Source)
        result = descend(loss, source, evaluation, start, active, options, request.watch, encoding.width)
        found, iterations = result.weights, result.iterations
        notes += result.notes
        effective["solver"] = "gradient"
    elif (int(active.sum()) + 1) * loss.scores > MAX_HESSIAN:
        found, iterations = _quasi_newton(request, loss, source, sample, evaluation, start, active, options)
        effective["solver"] = "lbfgs"
    else:
        trainer = Newton(request, loss, active, options)
        if source is not sample:
            start, _ = trainer.run(sample, start, None, quiet=True)
        found, iterations = trainer.run(source, start, evaluation)
        effective["solver"] = "newton"
        notes += trainer.notes
    errors = None
    if options.calculate_p_values:
        errors = _standard_errors(source, found, active, options)
    return LogisticModel(
        common_of(request, survey, effective, iterations, classes, notes), encoding, found[:-1], found[-1], errors
    )


def _start_intercepts(survey: Survey, classes: list[Any], weights: np.ndarray | None, scores: int) -> np.ndarray:
    """The intercepts that are best without features: log shares of the classes."""
    assert survey.classes is not None
    shares = np.array([survey.classes.counts[value] for value in classes], float)
    if weights is not None:
        shares *= weights
    logs = np.log(shares / shares.sum())
    return np.asarray(logs[1] - logs[0]) if scores == 1 else logs - logs.mean()


class Newton:
    """Newton steps with halving, proximal where there is an l1 penalty."""

    def __init__(self, request: FitRequest, loss: Logistic | Softmax, active: np.ndarray, options: Any) -> None:
        self._watch = request.watch
        self._loss = loss
        self._options = options
        self._columns = (
            np.append(np.flatnonzero(active), len(active)) if options.fit_intercept else np.flatnonzero(active)
        )
        self._penalised = self._columns < len(active)
        self.notes: list[str] = []

    def run(
        self, source: Iterable[Rows], start: np.ndarray, evaluation: Source | None, *, quiet: bool = False
    ) -> tuple[np.ndarray, list[Iteration]]:
        """Weights and history. Stops when a step promises less than 1e-13 of loss, or 1e-6 on streamed rows, where
        the step itself leaves an error of about the square of that."""
        options = self._options
        limit = options.max_iterations
        small = isinstance(source, Source) and source.cached
        weights = start.copy()
        if not options.fit_intercept:
            weights[-1] = 0.0
        iterations: list[Iteration] = []
        step = np.zeros_like(weights)
        before = settled = math.inf
        number = 0
        eval_loss: float | None = None
        for _ in range(3 * limit + 10):
            at = quadratics(self._loss, source, weights, self._columns)
            objective = at.value + self._penalty(weights)
            if objective > before + 1e-12 * abs(before) and np.abs(step).max() > 1e-12:
                step *= 0.5
                weights = weights - step
                continue
            if number and not quiet:
                # Told of when its loss was measured: what the quadratic model promised may have been too good.
                iterations.append(self._watch.iteration(number - 1, at.value, eval_loss, of=limit))
            if number >= limit:
                break
            before, settled = objective, at.value
            step, gain = self._step(at, weights)
            weights = weights + step
            number += 1
            if not quiet:
                eval_loss = None if evaluation is None else mean_loss(self._loss, evaluation, weights)
            small = isinstance(source, Source) and source.cached
            if gain <= (_EXACT if small else _STEEP) * max(1.0, abs(objective)):
                if not quiet:
                    iterations.append(self._watch.iteration(number - 1, max(0.0, at.value - gain), eval_loss, of=limit))
                break
        else:
            if number and not quiet:
                iterations.append(self._watch.iteration(number - 1, settled, eval_loss, of=limit))
            self.notes.append("Training stopped before it converged.")
        if np.abs(weights).max() > 15.0 and number >= limit:
            self.notes.append(
                "Some weights grow without bound because a feature separates the classes; L2_REG keeps them finite."
            )
        return weights, iterations

    def _penalty(self, weights: np.ndarray) -> float:
        own = weights[:-1]
        options = self._options
        return float(options.l1_reg * np.abs(own).sum() + options.l2_reg * np.sum(own * own))

    def _step(self, at: Quadratics, weights: np.ndarray) -> tuple[np.ndarray, float]:
        """The step (D+1, K) and the gain in the objective that the quadratic model promises."""
        options, columns, penalised = self._options, self._columns, self._penalised
        size = weights.shape[1]
        own = weights[columns]
        gradient = at.gradient[columns] + 2.0 * options.l2_reg * own * penalised[:, None]
        hessian = at.hessian
        curve = np.repeat(penalised * (2.0 * options.l2_reg), size)
        hessian[np.diag_indices_from(hessian)] += curve
        flat, slope = own.reshape(-1), gradient.reshape(-1)
        if options.l1_reg:
            penalty = np.repeat(penalised * options.l1_reg, size)
            ridge = 1e-10 * float(np.trace(hessian)) / len(hessian)
            hessian[np.diag_indices_from(hessian)] += ridge
            new = solvers.lasso(hessian, hessian @ flat - slope, penalty, flat)
            move = new - flat
            gain = -float(slope @ move + 0.5 * move @ hessian @ move + penalty @ (np.abs(new) - np.abs(flat)))
        else:
            move = -solvers.ridge_solve(hessian, slope)
            gain = -float(slope @ move + 0.5 * move @ hessian @ move)
        # A step of more than 20 units of a standardised score has left the region that the model describes.
        largest = float(np.abs(move).max(initial=0.0))
        if largest > 20.0:
            move *= 20.0 / largest
        step = np.zeros_like(weights)
        step[columns] = move.reshape(-1, size)
        return step, max(gain, 0.0)


def quadratics(
    loss: Logistic | Softmax, source: Iterable[Rows], weights: np.ndarray, columns: np.ndarray
) -> Quadratics:
    """One pass: mean loss, its gradient, and its Hessian over ``columns`` (the intercept is column D)."""
    width, size = len(weights) - 1, weights.shape[1]
    total, mass = 0.0, 0.0
    gradient = np.zeros_like(weights)
    pairs = 1 if size == 1 else size * (size + 1) // 2
    grams = np.zeros((pairs, width + 1, width + 1))
    for rows in source:
        block = rows.block
        scores = block.times(weights[:-1]) + weights[-1]
        mass += mass_of(rows)
        if isinstance(loss, Logistic):
            value, slope, curve = loss.all(scores, rows)
            total += value
            gradient[:-1] += block.transposed_times(slope)
            gradient[-1] += slope.sum(axis=0)
            _add_gram(grams[0], block, curve)
            continue
        probabilities, norms = loss.probabilities(scores)
        losses = norms - scores[np.arange(len(scores)), rows.target]
        row_weight = np.ones(len(scores)) if rows.weight is None else rows.weight
        total += float(losses @ row_weight)
        slope = probabilities.copy()
        slope[np.arange(len(scores)), rows.target] -= 1.0
        slope *= row_weight[:, None]
        gradient[:-1] += block.transposed_times(slope)
        gradient[-1] += slope.sum(axis=0)
        at = 0
        for left in range(size):
            for right in range(left, size):
                # off the diagonal the curvature is -p q: summed positively, then negated below
                own = probabilities[:, left]
                curve = own * (1.0 - own) if left == right else own * probabilities[:, right]
                _add_gram(grams[at], block, curve * row_weight)
                at += 1
    total, gradient, grams = total / mass, gradient / mass, grams / mass
    keep = np.ix_(columns, columns)
    if size == 1:
        return Quadratics(total, gradient, grams[0][keep].copy())
    count = len(columns)
    hessian = np.empty((count, size, count, size))
    at = 0
    for left in range(size):
        for right in range(left, size):
            own = grams[at][keep] * (1.0 if left == right else -1.0)
            hessian[:, left, :, right] = own
            hessian[:, right, :, left] = own.T
            at += 1
    return Quadratics(total, gradient, hessian.reshape(count * size, count * size))


def _add_gram(gram: np.ndarray, block: Any, curve: np.ndarray) -> None:
    gram[:-1, :-1] += block.gram(curve)
    sums = block.transposed_times(curve)
    gram[-1, :-1] += sums
    gram[:-1, -1] += sums
    gram[-1, -1] += curve.sum()


def _quasi_newton(
    request: FitRequest,
    loss: Logistic | Softmax,
    source: Iterable[Rows],
    sample: Source,
    evaluation: Source | None,
    start: np.ndarray,
    active: np.ndarray,
    options: Any,
) -> tuple[np.ndarray, list[Iteration]]:
    """L-BFGS; with l1 on positive and negative parts of the weights, each bounded below by 0."""
    from scipy.optimize import minimize

    shape = start.shape
    mask = np.append(active, options.fit_intercept)[:, None] & np.ones(shape, bool)
    penalised = mask.copy()
    penalised[-1] = False
    l1 = options.l1_reg
    iterations: list[Iteration] = []

    def unpack(x: np.ndarray) -> np.ndarray:
        weights = np.zeros(shape)
        count = int(mask.sum())
        weights[mask] = x[:count] - x[count:] if l1 else x
        return weights

    def solve(rows: Iterable[Rows], weights: np.ndarray, record: bool) -> np.ndarray:
        last = [math.nan]

        def value(x: np.ndarray) -> tuple[float, np.ndarray]:
            own = unpack(x)
            total, gradient = 0.0, np.zeros(shape)
            mass = 0.0
            for part in rows:
                scores = part.block.times(own[:-1]) + own[-1]
                total += loss.value(scores, part)
                slope = loss.slope(scores, part)
                gradient[:-1] += part.block.transposed_times(slope)
                gradient[-1] += slope.sum(axis=0)
                mass += mass_of(part)
            last[0] = total / mass
            gradient = gradient / mass + 2.0 * options.l2_reg * own * penalised
            objective = last[0] + options.l2_reg * float(np.sum(own[penalised] ** 2))
            flat = gradient[mask]
            if not l1:
                return objective, flat
            share = np.where(penalised, l1, 0.0)[mask]
            return objective + float(share @ (x[: len(flat)] + x[len(flat) :])), np.concatenate(
                [flat + share, share - flat]
            )

        def after(x: np.ndarray) -> None:
            if record:
                eval_loss = None if evaluation is None else mean_loss(loss, evaluation, unpack(x))
                number = len(iterations)
                iterations.append(request.watch.iteration(number, last[0], eval_loss, of=options.max_iterations))

        flat = weights[mask]
        if l1:
            flat = np.concatenate([np.maximum(flat, 0.0), np.maximum(-flat, 0.0)])
        found = minimize(
            value,
            flat,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, None)] * len(flat) if l1 else None,
            callback=after,
            options={"maxiter": options.max_iterations if record else 100, "ftol": 1e-12, "gtol": 1e-9, "maxcor": 20},
        )
        return unpack(found.x)

    weights = start
    if source is not sample:
        weights = solve(sample, weights, record=False)
    weights = solve(source, weights, record=True)
    if not iterations:
        value = mean_loss(loss, sample, weights)
        eval_loss = None if evaluation is None else mean_loss(loss, evaluation, weights)
        iterations.append(request.watch.iteration(0, value, eval_loss))
    return weights, iterations


def _standard_errors(source: Iterable[Rows], weights: np.ndarray, active: np.ndarray, options: Any) -> np.ndarray:
    """Standard errors (D + 1,) from the inverse Hessian of the summed log loss."""
    columns = np.append(np.flatnonzero(active), len(active)) if options.fit_intercept else np.flatnonzero(active)
    at = quadratics(Logistic(), source, weights, columns)
    mass = sum(mass_of(rows) for rows in source)
    hessian = at.hessian * mass
    penalised = columns < len(active)
    hessian[np.diag_indices_from(hessian)] += penalised * (2.0 * options.l2_reg * mass)
    errors = np.full(len(active) + 1, np.nan)
    errors[columns] = np.sqrt(np.maximum(np.diag(solvers.inverse(hessian)), 0.0))
    return errors
