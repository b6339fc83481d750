"""Geometry on the sphere of BigQuery's GEOGRAPHY, of radius 6,371,010 metres: positions as unit vectors.

An edge is the shortest arc between its ends. https://cloud.google.com/bigquery/docs/geospatial-data
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from tule.engines.duckdb.geography.shapes import Position

RADIUS = 6_371_010.0
Vector = tuple[float, float, float]


def vector(position: Position) -> Vector:
    x, y = math.radians(position[0]), math.radians(position[1])
    return math.cos(y) * math.cos(x), math.cos(y) * math.sin(x), math.sin(y)


def position(at: Vector) -> Position:
    x, y, z = at
    return math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y)))


def dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def norm(a: Vector) -> float:
    return math.sqrt(dot(a, a))


def unit(a: Vector) -> Vector:
    size = norm(a) or 1.0
    return a[0] / size, a[1] / size, a[2] / size


def angle(a: Vector, b: Vector) -> float:
    """Radians between two vectors; exact for small ones too."""
    return math.atan2(norm(cross(a, b)), dot(a, b))


def metres(a: Position, b: Position) -> float:
    return RADIUS * angle(vector(a), vector(b))


def between(a: Vector, b: Vector, share: float) -> Vector:
    """The point at a share of the way from a to b."""
    whole = angle(a, b)
    if whole == 0:
        return a
    p, q = math.sin((1 - share) * whole) / math.sin(whole), math.sin(share * whole) / math.sin(whole)
    return unit((p * a[0] + q * b[0], p * a[1] + q * b[1], p * a[2] + q * b[2]))


def nearest(point: Vector, a: Vector, b: Vector) -> Vector:
    """The point of an edge that is nearest to a point."""
    normal = cross(a, b)
    if norm(normal) > 0:
        foot = unit(cross(normal, cross(point, normal)))
        if dot(cross(normal, a), foot) >= 0 and dot(cross(normal, b), foot) <= 0 and norm(cross(point, normal)) > 0:
            return foot
    return a if dot(point, a) >= dot(point, b) else b


def length(line: Sequence[Position]) -> float:
    """Metres of a line."""
    return sum(metres(a, b) for a, b in itertools.pairwise(line))


def azimuth(a: Vector, b: Vector) -> float | None:
    """The direction from a to b, clockwise from north, in radians from 0 to 2 pi; None where there is none."""
    if angle(a, b) in (0.0, math.pi):
        return None
    north = (0.0, 0.0, 1.0)
    east = cross(north, a)
    if norm(east) < 1e-15:
        east = (0.0, 1.0, 0.0)
    east = unit(east)
    made = math.atan2(dot(b, east), dot(b, cross(a, east)))
    return made % (2 * math.pi)


def latitudes(a: Position, b: Position) -> tuple[float, float]:
    """The lowest and the highest latitude of an edge: the middle of an arc lies nearer to the pole than its ends."""
    low, high = sorted((a[1], b[1]))
    u, v = vector(a), vector(b)
    normal = cross(u, v)
    if norm(normal) == 0:
        return low, high
    normal = unit(normal)
    for sign in (1.0, -1.0):
        top = cross(normal, cross((0.0, 0.0, sign), normal))
        if norm(top) == 0:
            continue
        top = unit(top)
        if dot(cross(normal, u), top) > 0 and dot(cross(normal, v), top) < 0:
            latitude = position(top)[1]
            low, high = min(low, latitude), max(high, latitude)
    return low, high
