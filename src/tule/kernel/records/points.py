"""Series of points: a step, a moment and a number or some bytes each, too many and too small to be records.

A point is a row of its own, found by its series and step, and durable with the transaction that adds it. Ten thousand
of them are written in a few tens of milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from tule.kernel.records.schema import POINTS, SERIES
from tule.kernel.records.store import Records

_CHUNK = 500


class Point(NamedTuple):
    """One point. ``moment``: microseconds since 1970. ``payload`` where it is no number (``value`` is then NaN)."""

    step: int
    moment: int
    value: float
    payload: bytes | None = None


class Extent(NamedTuple):
    """How far a series goes."""

    size: int
    last_step: int
    last_moment: int


class Points:
    """The points of one record store, by the names of their series. Safe to use from any thread; writes join an open
    transaction."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def add(self, series: Mapping[str, Sequence[Point]], *, replace: bool = False) -> None:
        """Add points; ``replace``: one that has the step of an older one takes its place, so that repeats change nothing."""
        given = {name: points for name, points in series.items() if points}
        if not given:
            return
        with self._records.transaction() as connection:
            numbers = self._numbers(connection, given)
            if missing := [name for name in given if name not in numbers]:
                connection.execute(sa.insert(SERIES), [{"name": name} for name in missing])
                numbers = self._numbers(connection, given)
            rows: list[dict[str, Any]] = []
            for name, points in given.items():
                number = numbers[name]
                if replace:
                    points = list({point.step: point for point in points}.values())
                    self._clear(connection, number, [point.step for point in points])
                rows.extend(_row(number, point) for point in points)
            connection.execute(_INSERT, rows)

    @staticmethod
    def _clear(connection: sa.Connection, number: int, steps: Sequence[int]) -> None:
        here = POINTS.c.series == number
        last = connection.execute(sa.select(sa.func.max(POINTS.c.step)).where(here)).scalar()
        if last is None or min(steps) > last:
            return  # the common case: they go on where the others ended
        for start in range(0, len(steps), _CHUNK):
            connection.execute(sa.delete(POINTS).where(here & POINTS.c.step.in_(steps[start : start + _CHUNK])))

    def read(self, name: str, *, limit: int = 0, after: tuple[int, int] | None = None) -> list[Point]:
        """The points of a series by step and, within one step, as they came.

        ``limit`` 0 means all; ``after``: only those behind this many points of the same order, as (step, position).
        """
        return [point for _, point in self.page(name, limit=limit, after=after)]

    def page(
        self, name: str, *, limit: int = 0, after: tuple[int, int] | None = None
    ) -> list[tuple[tuple[int, int], Point]]:
        """As ``read``, each with the place to go on from."""
        columns = (POINTS.c.step, POINTS.c.position, POINTS.c.time_us, POINTS.c.value, POINTS.c.payload)
        query = sa.select(*columns).where(POINTS.c.series == _number(name)).order_by(POINTS.c.step, POINTS.c.position)
        if after is not None:
            step, position = after
            query = query.where((POINTS.c.step > step) | ((POINTS.c.step == step) & (POINTS.c.position > position)))
        with self._records.reading() as connection:
            rows = connection.execute(query.limit(limit) if limit else query).all()
        return [
            ((step, position), _point(step, moment, value, payload)) for step, position, moment, value, payload in rows
        ]

    def extent(self, names: Collection[str]) -> dict[str, Extent]:
        """How far each series goes; one without points is left out."""
        found: dict[str, Extent] = {}
        query = (
            sa.select(SERIES.c.name, sa.func.count(), sa.func.max(POINTS.c.step), sa.func.max(POINTS.c.time_us))
            .join(POINTS, POINTS.c.series == SERIES.c.number)
            .group_by(SERIES.c.name)
        )
        every = list(names)
        with self._records.reading() as connection:
            for start in range(0, len(every), _CHUNK):
                chosen = query.where(SERIES.c.name.in_(every[start : start + _CHUNK]))
                for name, count, step, moment in connection.execute(chosen):
                    found[name] = Extent(count, step, moment)
        return found

    def names(self, prefix: str) -> list[str]:
        """The series whose names begin with ``prefix/``."""
        low, high = prefix + "/", prefix + "0"
        query = sa.select(SERIES.c.name).where((SERIES.c.name >= low) & (SERIES.c.name < high)).order_by(SERIES.c.name)
        with self._records.reading() as connection:
            return list(connection.execute(query).scalars())

    def size_under(self, prefix: str) -> int:
        """The bytes that the points of the series below ``prefix`` hold: 8 for a number, and their payloads."""
        low, high = prefix + "/", prefix + "0"
        each = sa.func.coalesce(sa.func.length(POINTS.c.payload), 8)
        query = (
            sa.select(sa.func.coalesce(sa.func.sum(each), 0))
            .select_from(POINTS)
            .join(SERIES, POINTS.c.series == SERIES.c.number)
            .where((SERIES.c.name >= low) & (SERIES.c.name < high))
        )
        with self._records.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def forget(self, name: str) -> None:
        """Remove a series and all series below its name."""
        low, high = name + "/", name + "0"
        here = (SERIES.c.name == name) | ((SERIES.c.name >= low) & (SERIES.c.name < high))
        with self._records.transaction() as connection:
            connection.execute(sa.delete(POINTS).where(POINTS.c.series.in_(sa.select(SERIES.c.number).where(here))))
            connection.execute(sa.delete(SERIES).where(here))

    @staticmethod
    def _numbers(connection: sa.Connection, names: Iterable[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        every = list(names)
        for start in range(0, len(every), _CHUNK):
            query = sa.select(SERIES.c.name, SERIES.c.number).where(SERIES.c.name.in_(every[start : start + _CHUNK]))
            found.update((name, number) for name, number in connection.execute(query))
        return found


_INSERT = sa.insert(POINTS)


def _number(name: str) -> Any:
    return sa.select(SERIES.c.number).where(SERIES.c.name == name).scalar_subquery()


def _row(number: int, point: Point) -> dict[str, Any]:
    value = None if point.payload is not None or math.isnan(point.value) else point.value
    return {"series": number, "step": point.step, "time_us": point.moment, "value": value, "payload": point.payload}


def _point(step: int, moment: int, value: float | None, payload: bytes | None) -> Point:
    return Point(step, moment, math.nan if value is None else value, payload)
