"""Insights of contribution analysis: the figures of each segment, as ML.GET_INSIGHTS tells them.

https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-get-insights
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tule.learn.schema import Field

SUMMABLE, RATIO, BY_CATEGORY = "SUMMABLE", "RATIO", "BY_CATEGORY"


@dataclass(frozen=True)
class Insight:
    """One segment. ``values``: of each dimension, None for any. ``test`` and ``control``: the sums of its rows: amount,
    and what it is divided by."""

    values: tuple[Any, ...]
    test: tuple[float, float]
    control: tuple[float, float]
    support: float


def insights_table(kind: str, dimensions: Sequence[Field], insights: Sequence[Insight]) -> pa.Table:
    """The answer of ML.GET_INSIGHTS, see ``ContributionModel.table``."""
    names = [each.name for each in dimensions]
    every = insights[0]
    rows = [_FIGURES[kind](each, every) for each in insights]
    order = sorted(range(len(rows)), key=lambda at: (-_size(rows[at]["contribution"]), at))
    contributors = [
        [f"{name}={_text(value)}" for name, value in zip(names, insights[at].values, strict=True) if value is not None]
        or ["all"]
        for at in order
    ]
    columns: dict[str, pa.Array] = {"contributors": pa.array(contributors, pa.list_(pa.string()))}
    for place, field in enumerate(dimensions):
        columns[field.name] = pa.array([insights[at].values[place] for at in order], field.type)
    for name in rows[0]:
        columns[name] = pa.array([rows[at][name] for at in order], pa.float64())
    return pa.table(columns)


def _size(contribution: float | None) -> float:
    return -math.inf if contribution is None else contribution


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else above / below


def _less(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _magnitude(value: float | None) -> float | None:
    return None if value is None else abs(value)


def _of_sums(each: Insight, every: Insight) -> dict[str, float | None]:
    test, control = each.test[0], each.control[0]
    change = ratio(every.test[0] - test, every.control[0] - control)
    expected = None if change is None else control * change
    unexpected = _less(test, expected)
    return {
        "metric_test": test,
        "metric_control": control,
        "difference": test - control,
        "relative_difference": ratio(test - control, control),
        "unexpected_difference": unexpected,
        "relative_unexpected_difference": ratio(unexpected, expected),
        "apriori_support": each.support,
        "contribution": abs(test - control),
    }


def _of_ratios(each: Insight, every: Insight) -> dict[str, float | None]:
    test, control = ratio(*each.test), ratio(*each.control)

    def elsewhere(part: tuple[float, float], whole: tuple[float, float]) -> float | None:
        return ratio(whole[0] - part[0], whole[1] - part[1])

    attribution = _aumann_shapley(each, every)
    return {
        "metric_test": test,
        "metric_control": control,
        "metric_test_over_metric_control": ratio(test, control),
        "metric_test_over_complement": ratio(test, elsewhere(each.test, every.test)),
        "metric_control_over_complement": ratio(control, elsewhere(each.control, every.control)),
        "aumann_shapley_attribution": attribution,
        "apriori_support": each.support,
        "contribution": _magnitude(attribution),
    }


def _of_categories(each: Insight, every: Insight) -> dict[str, float | None]:
    test, control = ratio(*each.test), ratio(*each.control)
    difference = _less(test, control)
    return {
        "metric_test": test,
        "metric_control": control,
        "difference": difference,
        "relative_difference": ratio(difference, control),
        "metric_test_over_population": ratio(test, ratio(*every.test)),
        "metric_control_over_population": ratio(control, ratio(*every.control)),
        "apriori_support": each.support,
        "contribution": _magnitude(difference),
    }


_FIGURES = {SUMMABLE: _of_sums, RATIO: _of_ratios, BY_CATEGORY: _of_categories}


def _aumann_shapley(each: Insight, every: Insight) -> float | None:
    """What the segment adds to the change of the ratio of all rows, N / D.

    The integral of the ratio's gradient along the straight way from control to test, of which the segment has its own
    changes n and d: n times the mean of 1 / D, less d times the mean of N / D^2. That of all rows is the whole change.
    """
    (n1, d1), (n0, d0) = every.test, every.control
    if d0 <= 0.0 or d1 <= 0.0:
        return None
    own_n, own_d = each.test[0] - each.control[0], each.test[1] - each.control[1]
    growth = d1 / d0 - 1.0
    if abs(growth) < 1e-8:
        mean_inverse = 2.0 / (d0 + d1)
        mean_square = 2.0 * (n0 + n1) / (d0 + d1) ** 2
    else:
        mean_inverse = math.log1p(growth) / (d1 - d0)
        slope = (n1 - n0) / (d1 - d0)
        mean_square = (n0 - slope * d0) / (d0 * d1) + slope * mean_inverse
    return own_n * mean_inverse - own_d * mean_square
