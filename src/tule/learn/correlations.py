"""Correlations of two columns within groups of rows: Pearson's, Spearman's and Kendall's (tau-b).

Rows that lack either value do not count. Fewer than two pairs give NaN with ``known`` False; where one side does not vary,
the correlation is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Column:
    """Values, and which rows have one."""

    values: np.ndarray
    known: np.ndarray


@dataclass(frozen=True)
class Correlations:
    """One a group."""

    values: np.ndarray
    known: np.ndarray


Method = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]


def correlations(first: Column, second: Column, groups: np.ndarray, count: int, method: str) -> Correlations:
    """``groups``: the number of each row's group, below ``count``. ``method``: a key of ``METHODS``."""
    both = first.known & second.known
    x, y, own = first.values[both], second.values[both], groups[both]
    pairs = np.bincount(own, minlength=count)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = METHODS[method](x, y, own, count)
    return Correlations(found, pairs >= 2)


def _pearson(x: np.ndarray, y: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(groups, weights=values, minlength=count)

    pairs = np.bincount(groups, minlength=count)
    dx, dy = (each - (summed(each) / pairs)[groups] for each in (x, y))
    return np.clip(summed(dx * dy) / np.sqrt(summed(dx * dx) * summed(dy * dy)), -1.0, 1.0)


def _spearman(x: np.ndarray, y: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    found = _pearson(_ranks(x, groups), _ranks(y, groups), groups, count)
    # A rank of NaN would be a number.
    odd = np.bincount(groups, weights=np.isnan(x) | np.isnan(y), minlength=count) > 0
    return np.where(odd, np.nan, found)


def _ranks(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Ranks within groups up to a constant of the group; equal values share the mean of theirs."""
    order = np.lexsort((values, groups))
    sorted_values, sorted_groups = values[order], groups[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (sorted_values[1:] != sorted_values[:-1]) | (sorted_groups[1:] != sorted_groups[:-1])
    starts = np.flatnonzero(new)
    sizes = np.diff(np.append(starts, len(order)))
    ranks = np.empty(len(order))
    ranks[order] = np.repeat(starts + 0.5 * (sizes - 1), sizes)
    return ranks


def _kendall(x: np.ndarray, y: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    from scipy.stats import kendalltau

    found = np.full(count, np.nan)
    order = np.argsort(groups, kind="stable")
    edges = np.searchsorted(groups[order], np.arange(count + 1))
    for group, (start, end) in enumerate(pairwise(edges)):
        if end - start >= 2:
            rows = order[start:end]
            found[group] = kendalltau(x[rows], y[rows], nan_policy="propagate").statistic
    return found


METHODS: dict[str, Method] = {"PEARSON": _pearson, "SPEARMAN": _spearman, "KENDALL": _kendall}
