"""Linear regression from sufficient statistics: one or two passes over the rows, whatever the solver.

The objective, on standardised numbers and one-hot categories, intercept w0 not penalised:

    mean((y - w0 - Xw)^2) + l1 * sum|w| + l2 * sum(w^2)

Without l1 the answer solves the normal equation; with l1 coordinate descent runs on the Gram matrix. With
BATCH_GRADIENT_DESCENT the weights move along the gradient, pass by pass, until the relative progress is small: fewer
steps are a regularisation of their own, which is why the service prefers it for few rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tule.kernel.errors import InvalidArgument, ResourceExhausted
from tule.learn.models import solvers
from tule.learn.models.base import Iteration, IterativeOptions, option
from tule.learn.models.descent import Quadratic, descend
from tule.learn.models.fitting import FitRequest, Source, feature_statistics, supervised_source
from tule.learn.models.glm import LinearModel
from tule.learn.models.supervised import prediction_fields
from tule.learn.schema import Signature
from tule.learn.transforms import Encoding, Kind, Survey
from tule.learn.transforms.survey import GramSums

MAX_NORMAL_COLUMNS = 20_000
"""A Gram matrix of this many encoded columns takes 3.2 GB."""
AUTO_COLUMNS = 10_000


@dataclass
class LinearOptions(IterativeOptions):
    """Options of linear regression."""

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

    def check(self, given: set[str]) -> None:
        check_descent(self, given)
        if self.optimize_strategy == "NORMAL_EQUATION":
            if self.l1_reg:
                raise InvalidArgument(
                    "NORMAL_EQUATION cannot be combined with L1_REG",
                    given=self.l1_reg,
                    do="use BATCH_GRADIENT_DESCENT or AUTO_STRATEGY",
                )
            gradient = given & {"learn_rate_strategy", "learn_rate", "ls_init_learn_rate"}
            if gradient:
                raise InvalidArgument(
                    "NORMAL_EQUATION has no learn rate",
                    given=", ".join(sorted(name.upper() for name in gradient)),
                    do="leave it out or use BATCH_GRADIENT_DESCENT",
                )


def check_descent(options: Any, given: set[str]) -> None:
    """Rules of learn rates and p-values that linear and logistic regression share."""
    if "learn_rate" in given and options.learn_rate_strategy != "CONSTANT":
        raise InvalidArgument(
            "LEARN_RATE needs LEARN_RATE_STRATEGY = 'CONSTANT'",
            given=options.learn_rate_strategy,
            do="set the strategy, or use LS_INIT_LEARN_RATE",
        )
    if "ls_init_learn_rate" in given and options.learn_rate_strategy != "LINE_SEARCH":
        raise InvalidArgument(
            "LS_INIT_LEARN_RATE needs LEARN_RATE_STRATEGY = 'LINE_SEARCH'", given=options.learn_rate_strategy
        )
    if options.learn_rate is None and options.learn_rate_strategy == "CONSTANT":
        options.learn_rate = 0.1
    if options.calculate_p_values:
        if options.category_encoding_method != "DUMMY_ENCODING":
            raise InvalidArgument(
                "CALCULATE_P_VALUES needs CATEGORY_ENCODING_METHOD = 'DUMMY_ENCODING'",
                given=options.category_encoding_method,
            )
        if options.l1_reg:
            raise InvalidArgument("CALCULATE_P_VALUES needs L1_REG = 0", given=options.l1_reg)


@dataclass
class Moments:
    """Sums over the rows: X'X, X'y, X'1, y'y, 1'y with y shifted by ``label_shift``."""

    gram: np.ndarray
    product: np.ndarray
    totals: np.ndarray
    label_squares: float
    label_total: float
    label_shift: float
    rows: int

    def loss(self, weights: np.ndarray, intercept: float) -> float:
        """Mean squared error of weights (intercept relative to the shift)."""
        squares = (
            self.label_squares
            + weights @ self.gram @ weights
            + self.rows * intercept * intercept
            - 2.0 * (weights @ self.product + intercept * self.label_total)
            + 2.0 * intercept * (weights @ self.totals)
        )
        return max(0.0, float(squares)) / self.rows


def fit_linear(request: FitRequest) -> LinearModel:
    """Fit a linear regression."""
    options: LinearOptions = request.options
    assert request.label is not None
    simple = all(feature.kind is Kind.NUMERIC for feature in request.features) and len(request.features) <= 1000
    wanted = options.optimize_strategy
    fused = simple and wanted != "BATCH_GRADIENT_DESCENT" and request.warm_start is None
    request.watch.expect(1 if fused else 2)
    survey = request.survey(gram=fused)
    encoding = encoding_of(survey, options)
    strategy = wanted
    if wanted == "AUTO_STRATEGY":
        few = survey.rows < 10 * encoding.width
        gradient = request.warm_start is not None or few or encoding.width > AUTO_COLUMNS
        if options.l1_reg:
            gradient = request.warm_start is not None or encoding.width > AUTO_COLUMNS
        strategy = "BATCH_GRADIENT_DESCENT" if gradient else "NORMAL_EQUATION"
    if strategy == "NORMAL_EQUATION" and request.warm_start is not None:
        raise InvalidArgument("NORMAL_EQUATION cannot go on from another model", do="use BATCH_GRADIENT_DESCENT")
    active = active_columns(encoding, options)
    check_p_values(options, encoding, survey.rows)
    source = supervised_source(request, encoding, None)
    evaluation = None
    if request.evaluation is not None:
        evaluation = supervised_source(request, encoding, None, data=request.evaluation)
    effective = options.to_json()
    errors: np.ndarray | None = None
    degrees: float | None = None
    notes: list[str] = []
    if strategy == "NORMAL_EQUATION":
        if encoding.width > MAX_NORMAL_COLUMNS:
            raise ResourceExhausted(
                f"The normal equation takes at most {MAX_NORMAL_COLUMNS:,} encoded columns",
                given=f"{encoding.width:,} (one a category)",
                do="use BATCH_GRADIENT_DESCENT, or group categories",
            )
        fused_sums = survey.gram if survey.gram is not None else None
        moments = (
            _from_survey(survey, encoding, fused_sums) if fused_sums is not None else _pass(source, encoding, survey)
        )
        weights, intercept = solve_moments(moments, active, options)
        if options.calculate_p_values:
            errors, degrees = standard_errors(moments, active, options, weights, intercept)
        loss = moments.loss(weights, intercept)
        intercept += moments.label_shift
        effective["solver"] = "coordinate_descent" if options.l1_reg else "normal_equation"
        effective["optimize_strategy"] = "BATCH_GRADIENT_DESCENT" if options.l1_reg else "NORMAL_EQUATION"
        eval_loss = None if evaluation is None else mean_squared_error(evaluation, weights, intercept)
        iterations = [request.watch.iteration(0, loss, eval_loss)]
    else:
        start = np.zeros(encoding.width + 1)
        if request.warm_start is not None:
            assert isinstance(request.warm_start, LinearModel)
            start = carried(request.warm_start, encoding)[:, 0]
        elif options.fit_intercept:
            start[-1] = survey.label.mean
        result = descend(
            Quadratic(), source, evaluation, start[:, None], active, options, request.watch, encoding.width
        )
        weights, intercept = result.weights[:-1, 0], float(result.weights[-1, 0])
        iterations = result.iterations
        notes += result.notes
        effective["solver"] = "gradient"
        effective["optimize_strategy"] = "BATCH_GRADIENT_DESCENT"
        if options.calculate_p_values:
            moments = _pass(source, encoding, survey)
            errors, degrees = standard_errors(moments, active, options, weights, intercept - moments.label_shift)
    return LinearModel(
        common_of(request, survey, effective, iterations, None, notes),
        encoding,
        weights[:, None],
        np.array([intercept]),
        errors,
        degrees,
    )


def encoding_of(survey: Survey, options: Any) -> Encoding:
    """Standardising preprocessing; without an intercept numbers are scaled but not centred, so that 0 stays 0."""
    encoding = Encoding.fit(survey, standardize=True)
    if options.fit_intercept:
        return encoding
    from dataclasses import replace

    numbers = [replace(number, center=0.0) for number in encoding.numbers]
    return Encoding(
        encoding.features, numbers, encoding.vectors, encoding.categories, encoding.multis, encoding.sparses
    )


def active_columns(encoding: Encoding, options: Any) -> np.ndarray:
    """Mask (D,) of the columns that get a weight: dummy encoding leaves out each category column's commonest one."""
    active = np.ones(encoding.width, bool)
    if options.category_encoding_method == "DUMMY_ENCODING":
        for category, (first, _) in zip(encoding.categories, encoding.layout.code_ranges(), strict=True):
            active[first + int(np.argmax(category.counts))] = False
    return active


def check_p_values(options: Any, encoding: Encoding, rows: int) -> None:
    """The service's limits on p-values."""
    if not options.calculate_p_values:
        return
    if encoding.width >= 1000:
        raise InvalidArgument(
            "CALCULATE_P_VALUES needs fewer than 1,000 encoded columns", given=encoding.width, do="leave it out"
        )
    if rows <= encoding.width:
        raise InvalidArgument(
            "CALCULATE_P_VALUES needs more rows than encoded columns", given=f"{rows} rows, {encoding.width} columns"
        )


def common_of(
    request: FitRequest,
    survey: Survey,
    options: dict[str, Any],
    iterations: list[Iteration],
    classes: list[Any] | None,
    notes: list[str],
) -> dict[str, Any]:
    """The attributes that every model has."""
    outputs = prediction_fields(classes, request.label) if request.label is not None else ()
    return {
        "signature": Signature(request.inputs, request.label, outputs),
        "options": options,
        "classes": classes,
        "iterations": iterations,
        "statistics": feature_statistics(survey),
        "num_rows": survey.rows,
        "skipped_rows": survey.skipped,
        "notes": notes,
    }


def _from_survey(survey: Survey, encoding: Encoding, sums: GramSums) -> Moments:
    """Moments of the standardised, filled columns from the survey's shifted ones: B = A T, so B'B = T' (A'A) T."""
    width = sums.width
    transform = np.zeros((len(sums.matrix), width + 2))
    for at, number in enumerate(encoding.numbers):
        shift = survey.numbers[number.name].shift or 0.0
        transform[at, at] = 1.0 / number.scale
        transform[width + 1, at] = (shift - number.center) / number.scale
        if at in sums.masked:
            transform[width + 2 + sums.masked.index(at), at] = (number.mean - shift) / number.scale
    transform[width, width] = transform[width + 1, width + 1] = 1.0
    whole = transform.T @ sums.matrix @ transform
    assert sums.label_shift is not None
    return Moments(
        whole[:width, :width],
        whole[:width, width],
        whole[:width, width + 1],
        float(whole[width, width]),
        float(whole[width, width + 1]),
        sums.label_shift,
        survey.rows,
    )


def _pass(source: Source, encoding: Encoding, survey: Survey) -> Moments:
    """Moments by a pass over encoded rows."""
    shift = survey.label.mean
    width = encoding.width
    moments = Moments(np.zeros((width, width)), np.zeros(width), np.zeros(width), 0.0, 0.0, shift, 0)
    for rows in source:
        label = rows.target - shift
        moments.gram += rows.block.gram()
        sums = rows.block.transposed_times(np.column_stack([label, np.ones(len(label))]))
        moments.product += sums[:, 0]
        moments.totals += sums[:, 1]
        moments.label_squares += float(label @ label)
        moments.label_total += float(label.sum())
        moments.rows += len(label)
    return moments


def _system(moments: Moments, active: np.ndarray, options: LinearOptions) -> tuple[np.ndarray, np.ndarray]:
    """(A, right) of the mean normal equation over active columns, then the intercept."""
    keep = np.flatnonzero(active)
    size = len(keep) + options.fit_intercept
    matrix = np.zeros((size, size))
    right = np.zeros(size)
    matrix[: len(keep), : len(keep)] = moments.gram[np.ix_(keep, keep)] if not active.all() else moments.gram
    right[: len(keep)] = moments.product[keep]
    if options.fit_intercept:
        matrix[-1, :-1] = matrix[:-1, -1] = moments.totals[keep]
        matrix[-1, -1] = moments.rows
        right[-1] = moments.label_total
    else:
        # The label is not shifted then.
        right += moments.label_shift * moments.totals[keep]
    matrix /= moments.rows
    right /= moments.rows
    diagonal = np.arange(len(keep))
    matrix[diagonal, diagonal] += options.l2_reg
    return matrix, right


def solve_moments(moments: Moments, active: np.ndarray, options: LinearOptions) -> tuple[np.ndarray, float]:
    """Weights (D,) and the intercept relative to the label shift (without an intercept: minus that shift)."""
    keep = np.flatnonzero(active)
    matrix, right = _system(moments, active, options)
    weights = np.zeros(len(active))
    if options.l1_reg:
        penalty = np.full(len(right), options.l1_reg / 2.0)
        if options.fit_intercept:
            penalty[-1] = 0.0
        found = solvers.lasso(matrix, right, penalty, np.zeros(len(right)))
    else:
        found = solvers.solve(matrix, right)
    weights[keep] = found[: len(keep)]
    return weights, float(found[-1]) if options.fit_intercept else -moments.label_shift


def standard_errors(
    moments: Moments, active: np.ndarray, options: LinearOptions, weights: np.ndarray, intercept: float
) -> tuple[np.ndarray, float]:
    """Standard errors (D + 1,) of weights and intercept, and the residual degrees of freedom."""
    keep = np.flatnonzero(active)
    matrix, _ = _system(moments, active, options)
    diagonal = np.arange(len(keep))
    matrix[diagonal, diagonal] -= options.l2_reg
    degrees = moments.rows - solvers.rank(matrix)
    variance = moments.loss(weights, intercept) / max(degrees, 1)
    matrix[diagonal, diagonal] += options.l2_reg
    spread = np.sqrt(np.maximum(np.diag(solvers.inverse(matrix)) * variance, 0.0))
    errors = np.full(len(active) + 1, np.nan)
    errors[keep] = spread[: len(keep)]
    if options.fit_intercept:
        errors[-1] = spread[-1]
    return errors, float(degrees)


def mean_squared_error(source: Source, weights: np.ndarray, intercept: float) -> float:
    """Mean squared error over encoded rows; NaN without rows."""
    total, count = 0.0, 0
    for rows in source:
        error = rows.block.times(weights) + intercept - rows.target
        total += float(error @ error)
        count += len(error)
    return total / count if count else float("nan")


def carried(model: Any, encoding: Encoding) -> np.ndarray:
    """(D + 1, K): an earlier model's weights for this encoding's columns, matched by name; new columns start at 0."""
    old = {key: at for at, key in enumerate(model.encoding.keys())}
    weights = np.zeros((encoding.width + 1, model.coef.shape[1]))
    for at, key in enumerate(encoding.keys()):
        if key in old:
            weights[at] = model.raw_coef[old[key]]
    numbers = len(encoding.numbers)
    weights[-1] = model.raw_intercept + encoding.centers @ weights[:numbers]
    weights[:numbers] *= encoding.scales[:, None]
    return weights
