"""The traffic split: what is refused, and that what is accepted is obeyed."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tule.kernel.errors import FailedPrecondition, InvalidArgument
from tule.vertex.endpoints import traffic


@given(st.integers(1, 99), st.integers(0, 5000))
def test_any_window_of_requests_has_the_shares(share: int, skipped: int) -> None:
    split = traffic.Split({"1": share, "2": 100 - share})
    for _ in range(skipped):
        split.choose()
    seen = Counter(split.choose() for _ in range(1000))
    assert abs(seen["1"] - 10 * share) <= 6


def test_three_ways() -> None:
    split = traffic.Split({"a": 70, "b": 20, "c": 10, "off": 0})
    seen = Counter(split.choose() for _ in range(3000))
    assert set(seen) == {"a", "b", "c"}
    assert abs(seen["a"] - 2100) < 10 and abs(seen["b"] - 600) < 10


def test_no_traffic_and_one_model() -> None:
    assert traffic.Split({}).choose() is None
    assert {traffic.Split({"7": 100}).choose() for _ in range(10)} == {"7"}


def test_zero_stands_for_the_new_model() -> None:
    assert traffic.with_new({"0": 10, "1": 90}, "2", ["1"]) == {"1": 90, "2": 10}


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"1": 50}, r"must add up to 100; given: 50 \(1: 50\)"),
        ({"1": 50, "9": 50}, "must name models that are deployed to the endpoint; given: 9"),
        ({"1": 150, "2": -50}, "between 0 and 100; given: 1: 150, 2: -50"),
    ],
)
def test_wrong_splits_are_refused(split: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        traffic.check(split, ["1", "2"])


def test_undeploying_needs_the_traffic_to_go_elsewhere() -> None:
    with pytest.raises(FailedPrecondition, match="1 has 90 %"):
        traffic.without({"1": 90, "2": 10}, "1", {}, ["2"])
    assert traffic.without({"1": 90, "2": 10}, "1", {"2": 100}, ["2"]) == {"2": 100}
    assert traffic.without({"2": 100}, "1", {}, ["2"]) == {"2": 100}
    assert traffic.without({"1": 100}, "1", {}, []) == {}
    with pytest.raises(InvalidArgument, match="given: 1"):
        traffic.without({"1": 90, "2": 10}, "1", {"1": 50, "2": 50}, ["2"])
