"""A linear model as a neutral formula, from which another room can write SQL or any other language.

    score = intercept + sum over numeric terms of  weight * (mean if x is NULL else x)
                      + sum over category terms of weights.get(x, 0.0)        # NULL is a key of its own: None
    regression: prediction = score
    binary:     p(classes[1]) = 1 / (1 + exp(-score));   p(classes[0]) = 1 - p(classes[1])
    softmax:    p(c) = exp(score_c) / sum over all classes of exp(score)

Computed in float64 this gives the numbers of ``Model.predict`` up to the order of summation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

PARTS = ("UNIX_SECONDS", "DAY", "DAYOFWEEK", "MONTH", "HOUR", "MINUTE", "WEEK", "YEAR")
"""Parts of a TIMESTAMP in UTC. DAYOFWEEK counts from 1 = Sunday; WEEK 0..53 begins on Sunday; UNIX_SECONDS floors."""


@dataclass(frozen=True)
class Term:
    """What one feature, or one part of a timestamp feature, adds to the score.

    ``path``: the input column, then the struct field if any. ``part``: one of PARTS for a timestamp, else None.
    ``kind``: numeric (weight, mean), category (weights keyed by the Python value of the column's type or None for
    NULL; for a timestamp part by int), multi (array of categories: weights of its distinct values are added; a NULL
    array adds nothing), vector (array of numbers: ``vector[i]`` times element i, a NULL array counts as
    ``vector_mean``), sparse (array of (index, value) pairs: ``vector[index]`` times value).
    """

    feature: str
    path: tuple[str, ...]
    part: str | None
    kind: Literal["numeric", "category", "multi", "vector", "sparse"]
    weight: float = 0.0
    mean: float = 0.0
    weights: dict[Any, float] | None = None
    vector: tuple[float, ...] = ()
    vector_mean: tuple[float, ...] = ()


@dataclass(frozen=True)
class LinearOutput:
    """One score. ``class_label``: None for regression, the positive class for binary, each class for softmax."""

    class_label: Any
    intercept: float
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class LinearExpression:
    """A whole linear model: its link (identity, logistic, softmax), classes ascending, and one output a score."""

    link: Literal["identity", "logistic", "softmax"]
    classes: tuple[Any, ...]
    outputs: tuple[LinearOutput, ...]
