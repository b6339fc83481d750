"""The points of time series: written by step, read whole, thinned, filtered or page by page."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tule.kernel.errors import InvalidArgument, NotFound, Unimplemented
from tule.kernel.records import Filter, Point, Points, Records
from tule.kernel.records import pages as page_tokens
from tule.kernel.records.store import from_microseconds
from tule.vertex.tensorboards.levels import EXPERIMENT, RUN, SERIES, tensorboard_of

_MOST_WRITTEN = 5000
_MOST_READ, _READ = 10_000, 1000
_BATCH = {"SCALAR": 1000}
_BATCH_OTHERS = 100
_EXPORTED, _LARGEST_EXPORT = 1000, 10_000


@dataclass(frozen=True)
class SeriesData:
    """Points of one series. Those of tensors and blobs have the message of their value as payload."""

    series: str
    value_type: str
    points: Sequence[Point]


class SeriesPoints:
    """What is written to and read from time series."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._points = Points(records)

    def write(self, runs: Mapping[str, Sequence[SeriesData]], *, experiment: str = "") -> None:
        """Add the points of several runs, all or none; one with the step of an older one takes its place."""
        count = sum(len(data.points) for each in runs.values() for data in each)
        if count > _MOST_WRITTEN:
            raise InvalidArgument(
                f"A request must write at most {_MOST_WRITTEN} points", given=count, do="write them in several"
            )
        if experiment:
            EXPERIMENT.pattern.parse(experiment)
        wanted: dict[str, Sequence[Point]] = {}
        with self._records.transaction():
            for run, given in runs.items():
                RUN.pattern.parse(run)
                if experiment and not run.startswith(f"{experiment}/"):
                    raise InvalidArgument("A run must be one of the experiment", given=run, do=experiment)
                self._find(run, RUN.kind, RUN.word)
                known = self._records.find_all(f"{run}/timeSeries/{data.series}" for data in given)
                for data in given:
                    name = f"{run}/timeSeries/{data.series}"
                    if name not in known:
                        raise NotFound("The time series must exist", given=name, do="create it first")
                    has = known[name].body["valueType"]
                    if data.value_type != has:
                        raise InvalidArgument(
                            f"The points must be of the series' type, {has}", given=f"{data.value_type} for {name}"
                        )
                    wanted[name] = [*wanted.get(name, ()), *data.points]
            self._points.add(wanted, replace=True)

    def read(self, name: str, *, most: int = 0, filter: str = "") -> SeriesData:
        """The points of a series by step; beyond ``most`` of them (1000 unless given, -1: all) evenly thinned ones."""
        if most < -1 or most > _MOST_READ:
            raise InvalidArgument(f"max_data_points must be -1 or 1 to {_MOST_READ}", given=most)
        value_type = self._type(name)
        points = self._points.read(name)
        wanted = Filter(filter)
        if not wanted.empty:
            points = [point for point in points if wanted(_view(point))]
        return SeriesData(name, value_type, points if most == -1 else thinned(points, most or _READ))

    def read_all(self, tensorboard: str, names: Collection[str]) -> list[SeriesData]:
        """Several series of one tensorboard, each thinned to 1000 scalars or 100 tensors or blobs."""
        found = []
        for name in names:
            SERIES.pattern.parse(name)
            if tensorboard_of(name) != tensorboard:
                raise InvalidArgument("A time series must be one of the tensorboard", given=name, do=tensorboard)
            value_type = self._type(name)
            points = thinned(self._points.read(name), _BATCH.get(value_type, _BATCH_OTHERS))
            found.append(SeriesData(name, value_type, points))
        return found

    def export(
        self, name: str, *, filter: str = "", order_by: str = "", page_size: int = 0, page_token: str = ""
    ) -> tuple[SeriesData, str]:
        """A page of all points of a series, by step, and the token of the next page."""
        if page_size < 0:
            raise InvalidArgument("A page size must not be negative", given=page_size)
        if order_by.strip() not in ("", "step", "step asc"):
            raise Unimplemented("Points are exported by step", given=f"order_by {order_by!r}", do="leave it out")
        value_type, wanted = self._type(name), Filter(filter)
        size = min(page_size or _EXPORTED, _LARGEST_EXPORT)
        request = ("points", name, filter, order_by)
        after = _place(page_tokens.key_of(request, page_token)) if page_token else None
        # A filter may leave few of many: pieces are larger than pages.
        piece = max(size, _EXPORTED)
        points: list[Point] = []
        while True:
            page = self._points.page(name, limit=piece, after=after)
            for place, point in page:
                after = place
                if wanted.empty or wanted(_view(point)):
                    points.append(point)
                if len(points) == size:
                    break
            if len(points) == size and self._points.page(name, limit=1, after=after):
                return SeriesData(name, value_type, points), page_tokens.token(request, list(after or ()))
            if len(page) < piece or len(points) == size:
                return SeriesData(name, value_type, points), ""

    def extents(self, names: Collection[str]) -> dict[str, dict[str, Any]]:
        """The ``metadata`` of time series: how far they go."""
        return {
            name: {
                "maxStep": str(extent.last_step),
                "maxWallTime": from_microseconds(extent.last_moment).isoformat().replace("+00:00", "Z"),
            }
            for name, extent in self._points.extent(names).items()
        }

    def size(self, tensorboard: str) -> int:
        return self._points.size_under(tensorboard)

    def forget(self, name: str) -> None:
        self._points.forget(name)

    def _type(self, name: str) -> str:
        SERIES.pattern.parse(name)
        return str(self._find(name, SERIES.kind, SERIES.word).body["valueType"])

    def _find(self, name: str, kind: str, word: str) -> Any:
        record = self._records.find(name)
        if record is None or record.kind != kind:
            raise NotFound(f"The {word} must exist", given=name)
        return record


def thinned(points: Sequence[Point], most: int) -> Sequence[Point]:
    """At most so many points, evenly over all of them, the first and the last among them.

    >>> [point.step for point in thinned([Point(step, 0, 0.0) for step in range(10)], 4)]
    [0, 3, 6, 9]
    """
    if len(points) <= most:
        return points
    if most == 1:
        return points[-1:]
    last = len(points) - 1
    return [points[place * last // (most - 1)] for place in range(most)]


def _view(point: Point) -> dict[str, Any]:
    """A point as filters see it."""
    view: dict[str, Any] = {"step": point.step, "wallTime": from_microseconds(point.moment).isoformat()}
    if point.payload is None and not math.isnan(point.value):
        view["scalar"] = {"value": point.value}
    return view


def _place(key: list[Any]) -> tuple[int, int]:
    if len(key) != 2 or not all(isinstance(each, int) for each in key):
        raise InvalidArgument("A page token must come from the last answer to the same request", given=key)
    return key[0], key[1]
