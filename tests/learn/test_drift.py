"""Distances between distributions: definitions written out again, and the published worked examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from tule.kernel.errors import InvalidArgument
from tule.learn.drift import (
    Criteria,
    Frequencies,
    Histogram,
    compare,
    distribution_of,
    edges_of,
    histogram,
    jensen_shannon,
    l_infinity,
)


def test_categories_are_compared_by_their_shares() -> None:
    base, study = Frequencies({"a": 116, "b": 86, "c": 36}), Frequencies({"a": 775, "b": 795, "c": 279})
    p, q = np.array([116, 86, 36]) / 238, np.array([775, 795, 279]) / 1849
    assert l_infinity(base, study) == (pytest.approx(np.abs(p - q).max()), "b")
    assert jensen_shannon(base, study) == pytest.approx(jensenshannon(p, q, 2) ** 2)


def test_categories_that_only_one_has_count_in_full() -> None:
    assert l_infinity(Frequencies({"x": 3}), Frequencies({"y": 1})) == (1.0, "y")
    assert jensen_shannon(Frequencies({"x": 3}), Frequencies({"y": 1})) == 1.0


def test_numbers_are_compared_on_the_ranges_of_both() -> None:
    # Of the base, [2, 3) has half of 4; of the study it has all of its 6.
    base, study = Histogram((1.0, 3.0, 5.0), (4.0, 4.0)), Histogram((2.0, 3.0, 4.0), (6.0, 2.0))
    p, q = np.array([2, 2, 2, 2]) / 8, np.array([0, 6, 2, 0]) / 8
    assert jensen_shannon(base, study) == pytest.approx(jensenshannon(p, q, 2) ** 2)
    assert jensen_shannon(base, base) == 0.0


def test_points_and_numbers_that_are_not_finite() -> None:
    same, other = Histogram((3.0, 3.0), (5.0,)), Histogram((4.0, 4.0), (2.0,))
    assert jensen_shannon(same, same) == 0.0
    assert jensen_shannon(same, other) == 1.0
    # Infinite numbers never agree, as nobody knows how far they are.
    assert jensen_shannon(
        Histogram((0.0, 1.0), (1.0,), infinite=1), Histogram((0.0, 1.0), (1.0,), infinite=1)
    ) == pytest.approx(0.5)
    far = edges_of(-1.7e308, 1.7e308, 4)
    assert all(map(math.isfinite, far)) and far[2] == 0.0


def test_no_divergence_without_values_or_between_kinds() -> None:
    empty, numbers, text = Histogram((), ()), Histogram((0.0, 1.0), (1.0,)), Frequencies({"a": 2, "b": 1})
    assert jensen_shannon(empty, numbers) is None
    assert jensen_shannon(text, numbers) is None
    assert l_infinity(text, numbers) == (pytest.approx(2 / 3), "a")
    assert [each.name for each in compare({"n": numbers, "t": text}, {"n": text, "t": numbers}, Criteria())] == ["t"]


def test_criteria_choose_measures_and_thresholds() -> None:
    base = {"Kind": Frequencies({"a": 8, "b": 2}), "size": Histogram((0.0, 1.0, 2.0), (5.0, 5.0))}
    study = {
        "kind": Frequencies({"a": 4, "b": 6}),
        "size": Histogram((0.0, 1.0, 2.0), (9.0, 1.0)),
        "more": base["size"],
    }
    first, second = compare(base, study, Criteria(thresholds={"size": 0.05}))
    assert (first.name, first.metric, first.value, first.is_anomaly) == ("Kind", "L_INFTY", pytest.approx(0.4), True)
    assert (second.metric, second.threshold, second.is_anomaly) == ("JENSEN_SHANNON_DIVERGENCE", 0.05, True)
    (gentle, _) = compare(base, study, Criteria("JENSEN_SHANNON_DIVERGENCE"))
    assert gentle.metric == "JENSEN_SHANNON_DIVERGENCE" and not gentle.is_anomaly


@pytest.mark.parametrize(
    "given", [{"categorical": "EUCLIDEAN"}, {"numerical_threshold": 1.0}, {"thresholds": {"a": -0.1}}]
)
def test_criteria_that_cannot_be(given: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        Criteria(**given)  # type: ignore[arg-type]


def test_distributions_are_kept_as_json() -> None:
    for each in (Frequencies({"ä": 1.0}), Histogram((0.0, 0.5), (3.0,), 1, 2)):
        assert distribution_of(each.to_json()) == each


def test_a_histogram_counts_each_number_once_and_what_is_not_finite_apart() -> None:
    values = np.array([0.0, 0.1, 0.5, 0.999, 1.0, np.nan, np.inf, -np.inf])
    found = histogram(values, 2)
    assert found == Histogram((0.0, 0.5, 1.0), (2.0, 3.0), infinite=2.0, undefined=1.0)


def test_a_histogram_of_a_sample_spans_the_ends_of_all() -> None:
    found = histogram(np.array([1.0, 2.0]), 4, (0.0, 8.0))
    assert found == Histogram((0.0, 2.0, 4.0, 6.0, 8.0), (1.0, 1.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("values", "edges", "counts"),
    [
        pytest.param([3.0, 3.0], (3.0, 3.0), (2.0,), id="one-number"),
        pytest.param([], (), (), id="no-number"),
        pytest.param([5e-324, 0.0], (0.0, 5e-324), (2.0,), id="too-near-to-be-parted"),
        pytest.param([-1.7e308, 1.7e308], (-1.7e308, 0.0, 1.7e308), (1.0, 1.0), id="too-far-for-a-difference"),
    ],
)
def test_a_histogram_of_few_numbers(values: list[float], edges: tuple[float, ...], counts: tuple[float, ...]) -> None:
    assert histogram(np.array(values), 2) == Histogram(edges, counts)
