"""ST_BUFFER: everything within a distance of a shape, or, below zero, what of an area is at least so far inside."""

from __future__ import annotations

import itertools
import math

from tule.engines.duckdb.geography import operations, shapes, sphere
from tule.engines.duckdb.geography.operations import s2geometry
from tule.engines.duckdb.geography.shapes import EMPTY, BadShape, Position, Shape

_PIECE = 50_000.0
"""Metres of a line whose surroundings are taken for convex: the error is less than 1e-5 of the distance."""


def buffered(shape: Shape, radius: float, segments: float) -> Shape:
    """The shape with everything within ``radius`` metres; corners are arcs of ``segments`` pieces in a quarter circle."""
    if not segments > 0:
        raise BadShape("ST_BUFFER: the number of segments in a quarter circle must be positive")
    if radius >= math.pi * sphere.RADIUS:
        raise BadShape("ST_BUFFER: the radius must be less than half of the way around the Earth")
    count = max(3, round(4 * segments))
    found: list[bytes | None] = []
    for part in shapes.parts(shape):
        kind, content = part
        if kind == "POINT" and radius > 0:
            found.append(shapes.write(("POLYGON", [_circle(sphere.vector(content), radius, count)])))
        elif kind == "LINESTRING" and radius > 0:
            found += _around(content, radius, count)
        elif kind == "POLYGON":
            found.append(shapes.write(_area(content, radius, segments)))
    return shapes.read(operations.union_of([found])[0]) if found else EMPTY


def tolerated(shape: Shape, radius: float, tolerance: float) -> Shape:
    """The shape with everything within ``radius`` metres, at most ``tolerance`` metres wrong."""
    if tolerance <= 0:
        raise BadShape("ST_BUFFERWITHTOLERANCE: the tolerance must be positive")
    share = min(1.0, max(tolerance / abs(radius), 1e-5)) if radius else 1.0
    return buffered(shape, radius, max(1.0, math.ceil(math.pi / (4 * math.acos(1 - share)))))


def _around(line: list[Position], radius: float, count: int) -> list[bytes | None]:
    """The surroundings of a line, piece by piece."""
    found: list[bytes | None] = []
    for a, b in itertools.pairwise(line):
        p, q = sphere.vector(a), sphere.vector(b)
        pieces = max(1, math.ceil(sphere.metres(a, b) / _PIECE))
        places = [sphere.between(p, q, index / pieces) for index in range(pieces + 1)]
        for start, end in itertools.pairwise(places):
            ring = _circle(start, radius, count)[:-1] + _circle(end, radius, count)[:-1]
            found += operations.convex_hull([shapes.write(("MULTIPOINT", [("POINT", each) for each in ring]))])
    return found


def _area(rings: list[list[Position]], radius: float, segments: float) -> Shape:
    s2 = s2geometry()
    options = s2.S2BufferOperationOptions()
    options.set_buffer_radius(s2.S1Angle.Radians(radius / sphere.RADIUS))
    options.set_error_fraction(min(1.0, max(1e-6, 1 - math.cos(math.pi / (4 * segments)))))
    made = s2.S2Polygon()
    operation = s2.S2BufferOperation(s2.S2PolygonLayer(made), options)
    operation.AddPolygon(operations.polygon(s2, rings))
    operation.Build()
    found = []
    for index in range(made.num_loops()):
        loop = made.loop(index)
        ring = [loop.GetS2LatLngVertex(each) for each in range(loop.num_vertices())]
        positions = [(round(each.lng().degrees(), 13) + 0.0, round(each.lat().degrees(), 13) + 0.0) for each in ring]
        if loop.is_hole():
            positions.reverse()
        found.append((loop.depth(), [*positions, positions[0]]))
    polygons: list[Shape] = []
    for depth, ring in found:
        if depth % 2 == 0:
            polygons.append(("POLYGON", [ring]))
        else:
            polygons[-1][1].append(ring)
    return shapes.collected(polygons) if polygons else EMPTY


def _circle(centre: sphere.Vector, radius: float, count: int) -> list[Position]:
    east = sphere.cross((0.0, 0.0, 1.0), centre)
    east = sphere.unit(east if sphere.norm(east) > 1e-12 else (0.0, 1.0, 0.0))
    north = sphere.cross(centre, east)
    near, far = math.cos(radius / sphere.RADIUS), math.sin(radius / sphere.RADIUS)
    ring = []
    for index in range(count):
        turn = -2 * math.pi * index / count
        a, b = far * math.cos(turn), far * math.sin(turn)
        at = tuple(near * c + a * n + b * e for c, n, e in zip(centre, north, east, strict=True))
        x, y = sphere.position(at)  # type: ignore[arg-type]
        ring.append((round(x, 13) + 0.0, round(y, 13) + 0.0))
    return [*ring, ring[0]]
