"""Series of points: order, replacement, pages, numbers that are none."""

from __future__ import annotations

import math

import pytest

from tule.kernel.records import Point, Points, Records


@pytest.fixture
def points(records: Records) -> Points:
    return Points(records)


def test_points_come_back_by_step_then_as_they_came(points: Points) -> None:
    points.add({"a": [Point(2, 20, 0.5), Point(1, 30, math.nan)], "b": [Point(0, 1, math.inf)], "c": []})
    points.add({"a": [Point(1, 10, -1.5), Point(-3, 0, 0.0, b"bytes")]})
    found = points.read("a")
    assert [(each.step, each.moment) for each in found] == [(-3, 0), (1, 30), (1, 10), (2, 20)]
    assert found[0].payload == b"bytes" and math.isnan(found[1].value) and found[2].value == -1.5
    assert points.read("b")[0].value == math.inf and points.read("none") == []
    assert points.extent(["a", "b", "c"])["a"] == (4, 2, 30) and "c" not in points.extent(["c"])


def test_a_replaced_step_is_there_once(points: Points) -> None:
    points.add({"a": [Point(step, 0, float(step)) for step in range(5)]}, replace=True)
    points.add({"a": [Point(3, 1, 30.0), Point(5, 1, 5.0), Point(3, 2, 31.0)]}, replace=True)
    assert [each.value for each in points.read("a")] == [0, 1, 2, 31, 4, 5]


def test_pages_go_on_where_the_last_ended(points: Points) -> None:
    points.add({"a": [Point(step // 3, step, float(step)) for step in range(10)]})
    seen, place = [], None
    while page := points.page("a", limit=4, after=place):
        seen += [point.moment for _, point in page]
        place = page[-1][0]
    assert seen == list(range(10))


def test_series_are_forgotten_by_prefix(points: Points) -> None:
    points.add({name: [Point(0, 0, 1.0)] for name in ("x/a", "x/b", "xy/a")})
    points.add({"x/a": [Point(1, 0, math.nan, b"four")]})
    assert points.names("x") == ["x/a", "x/b"] and points.size_under("x") == 20
    points.forget("x")
    assert points.names("x") == [] and points.names("xy") == ["xy/a"]
    points.add({"x/a": [Point(7, 0, 1.0)]})
    assert [each.step for each in points.read("x/a")] == [7]


def test_a_failed_transaction_adds_nothing(points: Points, records: Records) -> None:
    with pytest.raises(RuntimeError), records.transaction():
        points.add({"a": [Point(0, 0, 1.0)]})
        raise RuntimeError
    assert points.read("a") == [] and points.extent(["a"]) == {}
