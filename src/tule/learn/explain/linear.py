"""Exact Shapley values of a linear score: weight times the distance from the training mean, summed per feature.

For a linear score f(x) = b + sum w_c x_c with features taken as independent, the Shapley value of feature j is the sum
over its encoded columns of w_c (x_c - mean_c) (Lundberg and Lee 2017, corollary 1).
"""

from __future__ import annotations

import numpy as np

from tule.learn.transforms import Block


def attributions(block: Block, weights: np.ndarray, means: np.ndarray, owners: np.ndarray, features: int) -> np.ndarray:
    """(n, features): each feature's share of the scores of the rows. ``weights``, ``means``, ``owners`` are (D,)."""
    layout = block.layout
    answer = np.zeros((block.rows, features), order="F")
    answer -= np.bincount(owners, weights=weights * means, minlength=features)
    for column in range(layout.dense):
        answer[:, owners[column]] += weights[column] * block.dense[:, column]
    for code, (first, last) in zip(block.codes, layout.code_ranges(), strict=True):
        if last > first:
            answer[:, owners[first]] += np.append(weights[first:last], 0.0)[code]
    for item, (first, last) in zip(block.ragged, layout.ragged_ranges(), strict=True):
        if last > first:
            sums = np.bincount(
                item.rows(), weights=weights[first:last][item.indices] * item.values, minlength=block.rows
            )
            answer[:, owners[first]] += sums
    return answer
