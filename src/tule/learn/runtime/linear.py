"""Linear models answered in the order of their formula, so that a row online is the same row in SQL, to the last bit.

A linear ML.PREDICT is an expression inside the query engine: the intercept, then one summand a feature, added from left
to right, and the C library's exponential. A matrix product adds in an order of its own, and NumPy has an exponential
of its own; both are right to the last digit but one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tule.learn.models.glm import GeneralizedLinearModel
from tule.learn.transforms import Block


def scores_of(model: GeneralizedLinearModel) -> Callable[[Block], np.ndarray]:
    """(n, K) scores of encoded rows; in the formula's order for every model that has one in SQL."""
    layout, encoding = model.encoding.layout, model.encoding
    if layout.ragged or encoding.vectors:
        return model.scores
    # As linear_expression has them: by feature; of a timestamp its seconds, then its parts.
    numbers = [(each.feature, 0, at) for at, each in enumerate(encoding.numbers)]
    categories = [(each.feature, 1, at) for at, each in enumerate(encoding.categories)]
    order = sorted([*numbers, *categories])
    zero = np.zeros((1, model.raw_coef.shape[1]))
    tables = [np.concatenate([model.raw_coef[first:last], zero]) for first, last in layout.code_ranges()]
    columns = [at for _, kind, at in order if kind == 0]
    weights = np.ascontiguousarray(model.raw_coef[columns])
    # The places of summands, behind the intercept.
    places = [1 + place for place, (_, kind, _) in enumerate(order) if kind == 0]
    coded = [(1 + place, tables[at], at) for place, (_, kind, at) in enumerate(order) if kind == 1]
    intercept, outputs = model.raw_intercept, model.raw_coef.shape[1]

    def scores(block: Block) -> np.ndarray:
        summands = np.empty((len(block.dense), 1 + len(order), outputs))
        summands[:, 0] = intercept
        summands[:, places] = block.dense[:, columns, None] * weights
        for place, table, at in coded:
            summands[:, place] = table[block.codes[at]]
        found: np.ndarray = np.add.accumulate(summands, axis=1)[:, -1]
        return found

    return scores


def softmax(scores: np.ndarray) -> np.ndarray:
    """(n, K) scores to probabilities, the exponentials summed in the order of the classes."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    powers = np.array([math.exp(each) for each in shifted.ravel().tolist()]).reshape(shifted.shape)
    return np.asarray(powers / np.add.accumulate(powers, axis=1)[:, -1:])
