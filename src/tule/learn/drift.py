"""Distances between two distributions of one feature, from aggregates alone: counts of categories, counts of ranges.

    distribution   what is kept of a feature: ``Frequencies`` of text, a ``Histogram`` of numbers
    L-infinity     the largest difference between the shares of one category in both
    Jensen-Shannon divergence  (D(P||M) + D(Q||M)) / 2 with M = (P + Q) / 2 in bits: 0 for equal, at most 1

These are the measures of TensorFlow Data Validation, which BigQuery ML and Vertex AI report. Each histogram has ranges of
equal width between its own least and greatest value; two of them are compared on the ranges that both sets of edges make,
as if values were spread evenly within each.
https://github.com/tensorflow/data-validation/blob/master/g3doc/anomalies.md
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tule.kernel.errors import InvalidArgument

L_INFINITY, JENSEN_SHANNON = "L_INFTY", "JENSEN_SHANNON_DIVERGENCE"
THRESHOLD = 0.3


@dataclass(frozen=True)
class Frequencies:
    """How often each category comes: the most frequent ones, where there are many."""

    counts: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        return {"counts": dict(self.counts)}


@dataclass(frozen=True)
class Histogram:
    """How many finite numbers lie in each range.

    ``edges`` has one number more than ``counts``; a range holds its lower edge, the last one both. Numbers that are all
    equal have one range without width. ``infinite`` and ``undefined`` (NaN) numbers are counted apart.
    """

    edges: tuple[float, ...]
    counts: tuple[float, ...]
    infinite: float = 0
    undefined: float = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "edges": list(self.edges), "ranges": list(self.counts), "infinite": self.infinite, "undefined": self.undefined
        }  # fmt: skip


Distribution = Frequencies | Histogram


def distribution_of(kept: Mapping[str, Any]) -> Distribution:
    """What ``to_json`` wrote."""
    if "counts" in kept:
        return Frequencies(dict(kept["counts"]))
    return Histogram(tuple(kept["edges"]), tuple(kept["ranges"]), kept["infinite"], kept["undefined"])


def edges_of(low: float, high: float, count: int) -> tuple[float, ...]:
    """The edges of ``count`` ranges of equal width; both ends alone where they are the same number, or next to it."""
    if not (high / 2 - low / 2) / count > 0:
        return low, high
    # Halves, because the width of all may be beyond a double.
    return (*(2 * (low / 2 + (high / 2 - low / 2) * (at / count)) for at in range(count)), high)


def range_counts(values: np.ndarray, edges: Sequence[float]) -> list[int]:
    """How many of the finite numbers among ``values`` (float64) lie in each range between ``edges`` (``edges_of``).

    Numbers beyond the ends count to the ranges there.
    """
    count = len(edges) - 1
    finite = values[np.isfinite(values)]
    if count < 2:
        return [len(finite)] * count
    low, half = edges[0] / 2, (edges[-1] / 2 - edges[0] / 2) / count
    part = np.clip(np.floor((finite / 2 - low) / half), 0, count - 1).astype(np.int64)
    return [int(each) for each in np.bincount(part, minlength=count)]


def histogram(values: np.ndarray, count: int, ends: tuple[float, float] | None = None) -> Histogram:
    """Of numbers (float64), in ``count`` ranges; ``ends``: of all numbers, where these are only a sample of them."""
    finite = values[np.isfinite(values)]
    own = [float(finite.min()), float(finite.max()), *(ends or ())] if len(finite) else []
    edges = edges_of(min(own), max(own), count) if own else ()
    counts = tuple(map(float, range_counts(finite, edges)))
    return Histogram(edges, counts, float(np.isinf(values).sum()), float(np.isnan(values).sum()))


def l_infinity(base: Distribution, study: Distribution) -> tuple[float, str]:
    """The largest difference between shares of a category, and the category; numbers have none."""
    shares = [_shares(each.counts) if isinstance(each, Frequencies) else {} for each in (base, study)]
    found = (0.0, "")
    for name in sorted(set(shares[0]) | set(shares[1])):
        difference = abs(shares[0].get(name, 0.0) - shares[1].get(name, 0.0))
        if difference >= found[0]:
            found = difference, name
    return found


def jensen_shannon(base: Distribution, study: Distribution) -> float | None:
    """The divergence; None between text and numbers, or where one of them has no value."""
    if isinstance(base, Frequencies) and isinstance(study, Frequencies):
        names = sorted(set(base.counts) | set(study.counts))
        return _divergence(*([each.counts.get(name, 0.0) for name in names] for each in (base, study)))
    if isinstance(base, Histogram) and isinstance(study, Histogram):
        return _divergence(*_aligned(base, study))
    return None


def _shares(counts: Mapping[str, float]) -> dict[str, float]:
    total = math.fsum(counts.values())
    return {name: count / total for name, count in counts.items()} if total else {}


def _divergence(base: Sequence[float], study: Sequence[float]) -> float | None:
    p, q = np.asarray(base, float), np.asarray(study, float)
    if not p.sum() or not q.sum():
        return None
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    bits = sum(float((each[each > 0] * np.log2(each[each > 0] / middle[each > 0])).sum()) for each in (p, q))
    return min(max(bits / 2, 0.0), 1.0)


def _aligned(base: Histogram, study: Histogram) -> tuple[list[float], list[float]]:
    """The counts of both over the same ranges, single points, and what is not finite; the last ones never agree."""
    edges = np.unique([edge for each in (base, study) if not _is_point(each) for edge in each.edges])
    points = sorted({each.edges[0] for each in (base, study) if _is_point(each)})
    counts = []
    for each in (base, study):
        point = [sum(each.counts) if _is_point(each) and each.edges[0] == place else 0.0 for place in points]
        counts.append([*_spread(each, edges), *point])
    for first, second in ((base.infinite, study.infinite), (base.undefined, study.undefined)):
        counts[0] += [first, 0.0]
        counts[1] += [0.0, second]
    return counts[0], counts[1]


def _is_point(each: Histogram) -> bool:
    return len(each.edges) == 2 and each.edges[0] == each.edges[1]


def _spread(each: Histogram, edges: np.ndarray) -> list[float]:
    """The counts over finer ranges, spread evenly within each of its own."""
    if len(edges) < 2:
        return []
    if _is_point(each) or not each.edges:
        return [0.0] * (len(edges) - 1)
    # Below an edge lies all that the ranges before hold: in between, a straight line.
    below = np.concatenate([[0.0], np.cumsum(each.counts)])
    return [float(value) for value in np.diff(np.interp(edges, each.edges, below))]


# -- judging


@dataclass(frozen=True)
class Criteria:
    """Which measure each kind of feature is compared by, and from where on it counts as anomalous.

    ``thresholds``: of single features, by lower-case name.
    """

    categorical: str = L_INFINITY
    categorical_threshold: float = THRESHOLD
    numerical_threshold: float = THRESHOLD
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.categorical not in (L_INFINITY, JENSEN_SHANNON):
            raise InvalidArgument(
                f"The measure of categorical features must be {L_INFINITY} or {JENSEN_SHANNON}",
                given=repr(self.categorical),
            )
        named = {"categorical features": self.categorical_threshold, "numerical features": self.numerical_threshold}
        for name, threshold in (named | dict(self.thresholds)).items():
            if not 0 <= threshold < 1:
                raise InvalidArgument(f"The threshold of {name} must be at least 0 and below 1", given=threshold)

    def threshold(self, name: str, base: Distribution) -> float:
        default = self.categorical_threshold if isinstance(base, Frequencies) else self.numerical_threshold
        return self.thresholds.get(name.lower(), default)


@dataclass(frozen=True)
class Comparison:
    """One feature in both sets of data. ``most``: the category that differs most, where the measure tells one."""

    name: str
    metric: str
    threshold: float
    value: float
    most: str = ""

    @property
    def is_anomaly(self) -> bool:
        return self.value > self.threshold


def compare(
    base: Mapping[str, Distribution], study: Mapping[str, Distribution], criteria: Criteria
) -> list[Comparison]:
    """The features that both have, whatever the letters of their names, by name.

    A feature that is text here and numbers there has no divergence, nor has one without values: it is left out.
    """
    others = {name.lower(): each for name, each in study.items()}
    found = []
    for name, each in sorted(base.items()):
        other = others.get(name.lower())
        if other is None:
            continue
        threshold = criteria.threshold(name, each)
        if isinstance(each, Frequencies) and criteria.categorical == L_INFINITY:
            value, most = l_infinity(each, other)
            found.append(Comparison(name, L_INFINITY, threshold, value, most))
        elif (divergence := jensen_shannon(each, other)) is not None:
            found.append(Comparison(name, JENSEN_SHANNON, threshold, divergence))
    return found
