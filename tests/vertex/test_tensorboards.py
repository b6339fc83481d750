"""Tensorboards over a real record store: resources, points, blobs."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tule.kernel.clock import RealClock
from tule.kernel.errors import Aborted, AlreadyExists, InvalidArgument, NotFound, Unimplemented
from tule.kernel.home import Home
from tule.kernel.objects import Objects
from tule.kernel.records import Point, Records
from tule.vertex.tensorboards import Blobs, SeriesData, Tensorboards
from tule.vertex.tensorboards.levels import EXPERIMENT, RUN, SERIES, TENSORBOARD

PARENT = "projects/p/locations/us-central1"


@pytest.fixture
def boards(home: Home, records: Records) -> Tensorboards:
    return Tensorboards(records, Blobs(Objects(home, records, RealClock())))


@pytest.fixture
def run(boards: Tensorboards) -> str:
    board = boards.create(TENSORBOARD, PARENT, "", {"displayName": "board"})["name"]
    experiment = boards.create(EXPERIMENT, board, "e", {})["name"]
    return str(boards.create(RUN, experiment, "r", {"displayName": "r"})["name"])


def _series(boards: Tensorboards, run: str, id: str, value_type: str = "SCALAR") -> str:
    return str(boards.create(SERIES, run, id, {"displayName": id, "valueType": value_type})["name"])


def _write(boards: Tensorboards, run: str, id: str, points: list[Point], value_type: str = "SCALAR") -> None:
    boards.points.write({run: [SeriesData(id, value_type, points)]})


def test_a_point_takes_the_place_of_one_with_its_step(boards: Tensorboards, run: str) -> None:
    name = _series(boards, run, "loss")
    _write(boards, run, "loss", [Point(1, 10, 0.5), Point(3, 30, math.inf)])
    _write(boards, run, "loss", [Point(3, 40, 0.25), Point(2, 20, math.nan), Point(4, 50, 1.0), Point(4, 60, 2.0)])
    points = boards.points.read(name).points
    assert [(each.step, each.moment) for each in points] == [(1, 10), (2, 20), (3, 40), (4, 60)]
    assert math.isnan(points[1].value) and [points[0].value, *(each.value for each in points[2:])] == [0.5, 0.25, 2.0]
    assert boards.get(SERIES, name)["metadata"]["maxStep"] == "4"
    assert [each.step for each in boards.points.read(name, filter="step > 2 AND scalar.value < 1").points] == [3]


def test_long_series_are_thinned_and_exported_whole(boards: Tensorboards, run: str) -> None:
    name = _series(boards, run, "loss")
    for start in (0, 5000):
        _write(boards, run, "loss", [Point(step, step, step / 2) for step in range(start, start + 5000)])
    assert len(boards.points.read(name).points) == 1000
    thin = boards.points.read(name, most=3).points
    assert [each.step for each in thin] == [0, 4999, 9999]
    assert len(boards.points.read(name, most=-1).points) == 10_000
    assert len(boards.points.read_all(name.split("/experiments/")[0], [name])[0].points) == 1000
    page, token = boards.points.export(name, page_size=6000)
    rest, end = boards.points.export(name, page_size=6000, page_token=token)
    assert len(page.points) == 6000 and [each.step for each in rest.points] == list(range(6000, 10_000)) and not end
    few, token = boards.points.export(name, page_size=2, filter="step >= 9997")
    assert [each.step for each in few.points] == [9997, 9998] and token
    last, end = boards.points.export(name, page_size=2, filter="step >= 9997", page_token=token)
    assert [each.step for each in last.points] == [9999] and not end
    with pytest.raises(InvalidArgument, match="page token"):
        boards.points.export(name, page_token=token)
    with pytest.raises(Unimplemented, match="exported by step"):
        boards.points.export(name, order_by="wall_time")


def test_a_write_is_whole_or_not_at_all(boards: Tensorboards, run: str) -> None:
    name = _series(boards, run, "loss")
    good = SeriesData("loss", "SCALAR", [Point(1, 1, 1.0)])
    with pytest.raises(NotFound, match="time series must exist"):
        boards.points.write({run: [good, SeriesData("none", "SCALAR", [Point(1, 1, 1.0)])]})
    with pytest.raises(InvalidArgument, match="series' type, SCALAR"):
        boards.points.write({run: [good, SeriesData("loss", "TENSOR", [Point(1, 1, math.nan, b"x")])]})
    with pytest.raises(InvalidArgument, match="at most 5000"):
        _write(boards, run, "loss", [Point(step, 0, 0.0) for step in range(5001)])
    with pytest.raises(InvalidArgument, match="one of the experiment"):
        boards.points.write({run: [good]}, experiment=run.split("/runs/")[0] + "2")
    assert list(boards.points.read(name).points) == []


def test_names_are_ones_own_among_siblings(boards: Tensorboards, run: str) -> None:
    experiment = run.split("/runs/")[0]
    with pytest.raises(InvalidArgument, match="already exist"):
        boards.create(RUN, experiment, "r2", {"displayName": "r"})
    with pytest.raises(AlreadyExists):
        boards.create(RUN, experiment, "r", {"displayName": "other"})
    with pytest.raises(InvalidArgument, match="already exist"):
        boards.create_all([(RUN, experiment, f"x{each}", {"displayName": "same"}) for each in range(2)])
    with pytest.raises(InvalidArgument, match="must match"):
        boards.create(RUN, experiment, "A", {"displayName": "a"})
    with pytest.raises(NotFound, match="parent of a time series"):
        _series(boards, f"{experiment}/runs/none", "loss")
    with pytest.raises(InvalidArgument, match="SCALAR, TENSOR, BLOB_SEQUENCE"):
        _series(boards, run, "loss", "NUMBER")
    assert boards.get(TENSORBOARD, run.split("/experiments/")[0])["runCount"] == 1


def test_updates_and_the_one_default(boards: Tensorboards, run: str) -> None:
    def board(name: str, **more: Any) -> dict[str, Any]:
        return boards.create(TENSORBOARD, PARENT, "", {"displayName": name, **more})

    first, second = board("first", isDefault=True), board("second")
    boards.update(TENSORBOARD, {"name": second["name"], "isDefault": True}, ["is_default"])
    listed, _ = boards.page(TENSORBOARD, PARENT, filter="is_default=true", order_by="", page_size=0, page_token="")
    assert [each["displayName"] for each in listed] == ["second"]
    changed = boards.update(RUN, {"name": run, "description": "d"}, ["description"])
    with pytest.raises(Aborted):
        boards.update(RUN, {"name": run, "description": "e", "etag": first["etag"]}, [])
    series = _series(boards, run, "loss")
    with pytest.raises(InvalidArgument, match="must stay as they are"):
        boards.update(SERIES, {"name": series, "valueType": "TENSOR"}, ["value_type"])
    assert changed["description"] == "d" and boards.get(SERIES, series)["valueType"] == "SCALAR"


def test_blobs_are_objects_of_the_project(boards: Tensorboards, run: str) -> None:
    name = _series(boards, run, "images", "BLOB_SEQUENCE")
    id = boards.blobs.add(name, b"png")
    assert b"".join(boards.blobs.read(name, id)) == b"png"
    with pytest.raises(NotFound, match="blob must exist"):
        next(boards.blobs.read(name, "other"))
    _write(boards, run, "images", [Point(1, 1, math.nan, b"ids")], "BLOB_SEQUENCE")
    board = run.split("/experiments/")[0]
    assert boards.size(board) == 6
    boards.delete(TENSORBOARD, board)
    with pytest.raises(NotFound):
        boards.get(SERIES, name)
    with pytest.raises(NotFound, match="blob must exist"):
        next(boards.blobs.read(name, id))


def test_a_deleted_series_leaves_no_points(boards: Tensorboards, run: str) -> None:
    name = _series(boards, run, "loss")
    _write(boards, run, "loss", [Point(1, 1, 1.0)])
    boards.delete(SERIES, name)
    assert list(boards.points.read(_series(boards, run, "loss")).points) == []


def test_views_are_counted_by_month(boards: Tensorboards, run: str) -> None:
    board = run.split("/experiments/")[0]
    assert boards.usage(board) == {}
    for who in ("a@x", "b@x", "a@x"):
        boards.viewed(board, who)
    ((month, views),) = boards.usage(board).items()
    assert len(month) == 6 and views == {"a@x": 2, "b@x": 1}
