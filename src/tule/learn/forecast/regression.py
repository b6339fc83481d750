"""The linear regression of ARIMA_PLUS_XREG: numbers as they are, categories as dummies without the first, an L2 penalty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tule.kernel.errors import InvalidArgument
from tule.learn.forecast.frequency import average, fill

INTERCEPT = "__INTERCEPT__"


@dataclass(frozen=True)
class Term:
    """One regressor: its weight and mean (a number), or the weights of its categories (the first has 0)."""

    name: str
    weight: float = 0.0
    mean: float = 0.0
    categories: tuple[str, ...] | None = None
    weights: tuple[float, ...] = ()


@dataclass(frozen=True)
class Regression:
    """intercept + sum of terms."""

    intercept: float
    terms: tuple[Term, ...]

    @property
    def names(self) -> list[str]:
        """The columns of ``contributions``."""
        return [*(term.name for term in self.terms), INTERCEPT]

    @classmethod
    def fit(
        cls, columns: Mapping[str, list[Any]], data: np.ndarray, places: np.ndarray, l2_reg: float
    ) -> tuple[Regression, np.ndarray]:
        """Fit on the grid's points (regressors averaged and filled as the data is); with the contributions there."""
        points = len(data)
        plans: list[Term] = []
        blocks: list[np.ndarray] = []
        for name, values in columns.items():
            term = _survey(name, values)
            encoded = _encode(term, values)
            plans.append(term)
            filled = [fill(average(places, column, points)) for column in encoded.T]
            blocks.append(np.column_stack(filled) if filled else np.zeros((points, 0)))
        design = np.hstack([*blocks, np.ones((points, 1))])
        # Columns of very different size are solved on one scale; the penalty is on the weights as they are.
        size = np.maximum(np.abs(design).max(axis=0), 1e-300)
        scaled = design / size
        penalty = np.append(np.full(design.shape[1] - 1, l2_reg), 0.0)
        gram = scaled.T @ scaled + np.diag(penalty / size**2)
        weights = np.linalg.lstsq(gram, scaled.T @ data, rcond=1e-12)[0] / size
        terms, contributions, at = [], [], 0
        for plan, block in zip(plans, blocks, strict=True):
            own = weights[at : at + block.shape[1]]
            at += block.shape[1]
            contributions.append(block @ own)
            if plan.categories is None:
                terms.append(Term(plan.name, float(own[0]), plan.mean))
            else:
                terms.append(Term(plan.name, 0.0, 0.0, plan.categories, (0.0, *own.tolist())))
        contributions.append(np.full(points, weights[-1]))
        return cls(float(weights[-1]), tuple(terms)), np.column_stack(contributions)

    def contributions(self, columns: Mapping[str, list[Any]]) -> np.ndarray:
        """(rows, ``names``): what each term adds. NULL counts as the mean; an unknown category adds nothing."""
        found = []
        rows = len(next(iter(columns.values())))
        for term in self.terms:
            encoded = _encode(term, columns[term.name])
            own = np.array([term.weight]) if term.categories is None else np.array(term.weights[1:])
            found.append(encoded @ own if encoded.shape[1] else np.zeros(rows))
        return np.column_stack([*found, np.full(rows, self.intercept)])

    def to_json(self) -> dict[str, Any]:
        return {
            "intercept": self.intercept,
            "terms": [[term.name, term.weight, term.mean, term.categories, term.weights] for term in self.terms],
        }

    @classmethod
    def from_json(cls, text: Mapping[str, Any]) -> Regression:
        terms = [
            Term(name, weight, mean, None if categories is None else tuple(categories), tuple(weights))
            for name, weight, mean, categories, weights in text["terms"]
        ]
        return cls(text["intercept"], tuple(terms))


def _survey(name: str, values: list[Any]) -> Term:
    known = [value for value in values if value is not None]
    if any(isinstance(value, (str, bool, bytes)) for value in known):
        return Term(name, categories=tuple(sorted({_text(value) for value in known})))
    numbers = np.array(known, dtype=float)
    if not np.isfinite(numbers).all():
        raise InvalidArgument(
            "Regressors must be finite", given=f"{name} holds another value", do="make it NULL", location=name
        )
    return Term(name, mean=float(numbers.mean()) if len(numbers) else 0.0)


def _encode(term: Term, values: list[Any]) -> np.ndarray:
    if term.categories is None:
        numbers = np.array([term.mean if value is None else float(value) for value in values])
        if not np.isfinite(numbers).all():
            raise InvalidArgument(
                "Regressors must be finite", given=f"{term.name} holds another value", location=term.name
            )
        return numbers[:, None]
    place = {category: at for at, category in enumerate(term.categories)}
    found = np.zeros((len(values), max(0, len(term.categories) - 1)))
    for row, value in enumerate(values):
        at = place.get(_text(value), 0) if value is not None else 0
        if at:
            found[row, at - 1] = 1.0
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.hex() if isinstance(value, bytes) else str(value)
