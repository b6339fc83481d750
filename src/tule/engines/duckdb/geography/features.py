"""ST_ functions of one row on shapes: parts, vertices, constructions and distances between vertices.

https://cloud.google.com/bigquery/docs/reference/standard-sql/geography_functions
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from tule.engines.duckdb.geography import shapes, sphere
from tule.engines.duckdb.geography.operations import checked, simple
from tule.engines.duckdb.geography.shapes import EMPTY, BadShape, Position, Shape


def on_shapes(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of WKB from one of shapes: bytes come in as shapes, shapes go out as bytes."""

    def made(*values: Any) -> Any:
        return _given(function(*map(_taken, values)))

    return made


def _taken(value: Any) -> Any:
    if isinstance(value, bytes):
        return shapes.read(value)
    return [_taken(each) for each in value] if isinstance(value, list | tuple) else value


def _given(value: Any) -> Any:
    if isinstance(value, tuple) and value and value[0] in shapes._CODES:
        return shapes.write(value)
    return [_given(each) for each in value] if isinstance(value, list) else value


def _line(shape: Shape, name: str) -> list[Position]:
    if shape[0] != "LINESTRING":
        raise BadShape(f"{name}: the argument must be a linestring; given: {kind_of(shape)}")
    line: list[Position] = shape[1]
    return line


def _point(shape: Shape, name: str) -> Position:
    if shape[0] != "POINT":
        raise BadShape(f"{name}: the argument must be a point; given: {kind_of(shape)}")
    position: Position = shape[1]
    return position


# -- accessors


def coordinate(name: str, index: int) -> Callable[[Shape], float | None]:
    def of(shape: Shape) -> float | None:
        if shape == EMPTY:
            return None
        return _point(shape, name)[index]

    return of


def kind_of(shape: Shape) -> str:
    return "ST_" + {"POINT": "Point", "LINESTRING": "LineString", "POLYGON": "Polygon", "MULTIPOINT": "MultiPoint",
                    "MULTILINESTRING": "MultiLineString", "MULTIPOLYGON": "MultiPolygon",
                    "GEOMETRYCOLLECTION": "GeometryCollection"}[shape[0]]  # fmt: skip


def point_count(shape: Shape) -> int:
    """Vertices, the one that closes a ring told twice."""
    return sum(len(each) for each in shapes.lines(shape))


def part_count(shape: Shape) -> int:
    return len(list(shapes.parts(shape)))


def is_collection(shape: Shape) -> bool:
    return part_count(shape) > 1


def is_closed(shape: Shape) -> bool:
    """Whether each part has an empty boundary: points do, polygons do not."""
    found = list(shapes.parts(shape))
    return bool(found) and all(
        kind == "POINT" or (kind == "LINESTRING" and content[0] == content[-1]) for kind, content in found
    )


def is_ring(shape: Shape) -> bool:
    kind, content = shape
    return (
        kind == "LINESTRING"
        and len(content) > 3
        and content[0] == content[-1]
        and len(set(content)) == len(content) - 1
    )


def end(place: int, name: str) -> Callable[[Shape], Shape]:
    return lambda shape: ("POINT", _line(shape, name)[place])


def point_at(shape: Shape, index: int) -> Shape | None:
    line = _line(shape, "ST_POINTN")
    place = index - 1 if index > 0 else len(line) + index
    return ("POINT", line[place]) if index and 0 <= place < len(line) else None


def exterior_ring(shape: Shape) -> Shape:
    if shape[0] != "POLYGON":
        raise BadShape(f"ST_EXTERIORRING: the argument must be a polygon; given: {kind_of(shape)}")
    return "LINESTRING", shape[1][0]


def interior_rings(shape: Shape) -> list[Shape]:
    if shape[0] != "POLYGON":
        raise BadShape(f"ST_INTERIORRINGS: the argument must be a polygon; given: {kind_of(shape)}")
    return [("LINESTRING", ring[::-1]) for ring in shape[1][1:]]


def dump(shape: Shape, dimension: int) -> list[Shape]:
    return [each for each in shapes.parts(shape) if dimension == -1 or shapes.dimension(each) == dimension]


# -- constructions


def make_line(a: Shape, b: Shape) -> Shape:
    return make_line_of([a, b])


def make_line_of(given: Sequence[Shape | None]) -> Shape:
    """The line through points and lines, one after the other."""
    found: list[Position] = []
    for shape in given:
        if shape is None:
            raise BadShape("ST_MAKELINE: NULL array element")
        if shape[0] not in ("POINT", "LINESTRING"):
            raise BadShape(f"ST_MAKELINE: arguments must be points and linestrings; given: {kind_of(shape)}")
        for each in [shape[1]] if shape[0] == "POINT" else shape[1]:
            if not found or found[-1] != each:
                found.append(each)
    if not found:
        return EMPTY
    return ("LINESTRING", found) if len(found) > 1 else ("POINT", found[0])


def make_polygon(shell: Shape, holes: Sequence[Shape], *, oriented: bool = False) -> Shape:
    name = "ST_MAKEPOLYGON"
    rings = []
    for each in (shell, *holes):
        line = list(_line(each, name))
        if line[0] != line[-1]:
            line.append(line[0])
        rings.append(line)
    return checked(("POLYGON", rings), oriented=oriented)


def make_polygon_oriented(rings: Sequence[Shape]) -> Shape:
    if not rings:
        return EMPTY
    return make_polygon(rings[0], rings[1:], oriented=True)


def snap_to_grid(shape: Shape, size: float) -> Shape:
    """Positions on a grid of a power of ten degrees; what collapses falls away to what is left of it."""
    digits = round(-math.log10(size)) if size > 0 else 0
    if size <= 0 or not math.isclose(size, 10.0**-digits, rel_tol=1e-9):
        raise BadShape("ST_SNAPTOGRID: the grid size must be 10^n for n < 0")
    found = []
    for kind, content in shapes.parts(
        shapes.mapped(shape, lambda each: (round(each[0], digits), round(each[1], digits)))
    ):
        lines = [content] if kind == "LINESTRING" else content
        if kind == "POINT":
            found.append((kind, content))
            continue
        kept = [_distinct(each) for each in lines]
        if kind == "POLYGON" and len(kept[0]) > 3:
            found.append((kind, [each for each in kept if len(each) > 3]))
        elif len(kept[0]) > 1 and kind == "LINESTRING":
            found.append((kind, kept[0]))
        else:
            found.append(("POINT", kept[0][0]))
    return simple(shapes.collected(found)) if found else EMPTY


def _distinct(line: Sequence[Position]) -> list[Position]:
    return [each for index, each in enumerate(line) if not index or each != line[index - 1]]


def simplify(shape: Shape, tolerance: float) -> Shape:
    """Fewer vertices, none of those that fall away further than ``tolerance`` metres from what is left.

    D. Douglas and T. Peucker, Algorithms for the reduction of the number of points, 1973, with distances on the sphere.
    """
    if tolerance < 0:
        raise BadShape("ST_SIMPLIFY: the tolerance must not be negative")
    found: list[Shape] = []
    for kind, content in shapes.parts(shape):
        if kind == "POINT":
            found.append((kind, content))
        elif kind == "LINESTRING":
            kept = _thinned(content, tolerance)
            found.append((kind, kept) if len(set(kept)) > 1 else ("POINT", kept[0]))
        else:
            rings = [_thinned_ring(ring, tolerance) for ring in content]
            if len(rings[0]) > 3:
                found.append((kind, [ring for ring in rings if len(ring) > 3]))
            else:
                found.append(("POINT", content[0][0]))
    return simple(shapes.collected(found)) if found else EMPTY


def _thinned_ring(ring: list[Position], tolerance: float) -> list[Position]:
    """A ring in two halves, that at least the vertex farthest from its beginning stays."""
    far = max(range(len(ring)), key=lambda index: sphere.metres(ring[0], ring[index]))
    return _thinned(ring[: far + 1], tolerance)[:-1] + _thinned(ring[far:], tolerance)


def _thinned(line: list[Position], tolerance: float) -> list[Position]:
    keep = {0, len(line) - 1}
    vectors = [sphere.vector(each) for each in line]
    open_parts = [(0, len(line) - 1)]
    while open_parts:
        first, last = open_parts.pop()
        worst, place = tolerance, -1
        for index in range(first + 1, last):
            foot = sphere.nearest(vectors[index], vectors[first], vectors[last])
            away = sphere.RADIUS * sphere.angle(vectors[index], foot)
            if away > worst:
                worst, place = away, index
        if place > 0:
            keep.add(place)
            open_parts += [(first, place), (place, last)]
    return [line[index] for index in sorted(keep)]


def collected(given: Sequence[Shape]) -> Shape:
    """Shapes side by side, not united."""
    found = [each for shape in given for each in shapes.parts(shape)]
    return shapes.collected(found) if found else EMPTY


# -- measures


def azimuth(a: Shape, b: Shape) -> float | None:
    if EMPTY in (a, b):
        return None
    return sphere.azimuth(sphere.vector(_point(a, "ST_AZIMUTH")), sphere.vector(_point(b, "ST_AZIMUTH")))


def angle(a: Shape, b: Shape, c: Shape) -> float | None:
    """The angle at b from a to c, clockwise."""
    if EMPTY in (a, b, c):
        return None
    at, first, last = (sphere.vector(_point(each, "ST_ANGLE")) for each in (b, a, c))
    one, other = sphere.azimuth(at, first), sphere.azimuth(at, last)
    return None if one is None or other is None else (other - one) % (2 * math.pi)


def max_distance(a: Shape, b: Shape) -> float | None:
    pairs = [(sphere.vector(p), [sphere.vector(q) for q in shapes.positions(b)]) for p in shapes.positions(a)]
    return max((sphere.RADIUS * sphere.angle(p, q) for p, others in pairs for q in others), default=None)


def hausdorff(a: Shape, b: Shape, directed: bool) -> float | None:
    """The discrete Hausdorff distance: over vertices."""
    p, q = ([sphere.vector(each) for each in shapes.positions(shape)] for shape in (a, b))
    if not p or not q:
        return None
    one = _directed(p, q)
    return sphere.RADIUS * (one if directed else max(one, _directed(q, p)))


def _directed(p: list[sphere.Vector], q: list[sphere.Vector]) -> float:
    return max(min(sphere.angle(each, other) for other in q) for each in p)


def closest_point(a: Shape, b: Shape) -> Shape:
    """The point of a that is nearest to b; where they meet, one that they share."""
    from tule.engines.duckdb.geography.operations import combined

    if not list(shapes.parts(a)) or not list(shapes.parts(b)):
        return EMPTY
    shared = shapes.read(combined("intersection")([shapes.write(a)], [shapes.write(b)])[0])
    if common := shapes.positions(shared):
        return "POINT", common[0]
    candidates = [*_feet(a, b), *((p, foot) for foot, p in _feet(b, a))]
    best = min(candidates, key=lambda pair: sphere.angle(*pair))
    x, y = sphere.position(best[0])
    return "POINT", (round(x, 13) + 0.0, round(y, 13) + 0.0)


def _feet(a: Shape, b: Shape) -> list[tuple[sphere.Vector, sphere.Vector]]:
    """(point of a, vertex of b) for each edge of a and each vertex of b."""
    vertices = [sphere.vector(each) for each in shapes.positions(b)]
    found = []
    for line in shapes.lines(a):
        ends = [sphere.vector(each) for each in line]
        for p, q in zip(ends, ends[1:] or ends, strict=False):
            found += [(sphere.nearest(each, p, q), each) for each in vertices]
    return found


# -- places on lines


def interpolate(shape: Shape, share: float) -> Shape | None:
    if not 0 <= share <= 1:
        raise BadShape("ST_LINEINTERPOLATEPOINT: the fraction must be between 0 and 1")
    if shape == EMPTY:
        return None
    line = _line(shape, "ST_LINEINTERPOLATEPOINT")
    return "POINT", _at(line, share)[0]


def _at(line: list[Position], share: float) -> tuple[Position, int]:
    """The position at a share of a line, and how many vertices lie before it."""
    left = share * sphere.length(line)
    for index, (a, b) in enumerate(itertools.pairwise(line)):
        size = sphere.metres(a, b)
        if left <= size and size:
            if left == size:
                return b, index + 1
            x, y = sphere.position(sphere.between(sphere.vector(a), sphere.vector(b), left / size))
            return (round(x, 13) + 0.0, round(y, 13) + 0.0), index + 1
        left -= size
    return line[-1], len(line) - 1


def locate(shape: Shape, point: Shape) -> float | None:
    if EMPTY in (shape, point):
        return None
    line, at = _line(shape, "ST_LINELOCATEPOINT"), sphere.vector(_point(point, "ST_LINELOCATEPOINT"))
    best, place, before = math.inf, 0.0, 0.0
    for a, b in itertools.pairwise(line):
        foot = sphere.nearest(at, sphere.vector(a), sphere.vector(b))
        away = sphere.angle(at, foot)
        if away < best:
            best, place = away, before + sphere.RADIUS * sphere.angle(sphere.vector(a), foot)
        before += sphere.metres(a, b)
    return place / before if before else 0.0


def substring(shape: Shape, start: float, stop: float) -> Shape | None:
    if not 0 <= start <= stop <= 1:
        raise BadShape("ST_LINESUBSTRING: fractions must be between 0 and 1, the first not larger than the second")
    line = _line(shape, "ST_LINESUBSTRING")
    (first, after), (last, until) = _at(line, start), _at(line, stop)
    found = _distinct([first, *line[after:until], last])
    return ("LINESTRING", found) if len(found) > 1 else ("POINT", found[0])


# -- boxes


def box(shape: Shape) -> list[float] | None:
    """xmin, ymin, xmax, ymax of the smallest box of longitudes and latitudes; None around nothing."""
    return box_of([shape])


def box_of(given: Sequence[Shape | None]) -> list[float] | None:
    spans: list[tuple[float, float]] = []
    lows: list[float] = []
    for shape in given:
        for kind, content in shapes.parts(shape) if shape is not None else ():
            lines = [[content]] if kind == "POINT" else [content] if kind == "LINESTRING" else content
            for line in lines:
                spans.append(_longitudes(line))
                for a, b in zip(line, line[1:] or line, strict=False):
                    lows += sphere.latitudes(a, b)
            if kind == "POLYGON":
                lows += _poles((kind, content))
                spans += [(-180.0, 180.0)] if 90.0 in lows[-1:] or -90.0 in lows[-1:] else []
    if not spans:
        return None
    low, high = _joined(spans)
    return [low, min(lows), high, max(lows)]


def _poles(polygon: Shape) -> list[float]:
    """The latitudes of the poles that a polygon holds."""
    from tule.engines.duckdb.geography.operations import predicate

    found = []
    for latitude in (-90.0, 90.0):
        if predicate("intersects")([shapes.write(polygon)], [shapes.write(("POINT", (0.0, latitude)))])[0]:
            found.append(latitude)
    return found


def _longitudes(line: Sequence[Position]) -> tuple[float, float]:
    """The span of longitudes of a line, whose end may lie beyond 180 degrees."""
    at = low = high = line[0][0]
    for before, after in itertools.pairwise(line):
        step = (after[0] - before[0] + 180) % 360 - 180
        at += step
        low, high = min(low, at), max(high, at)
    if high - low >= 360:
        return -180.0, 180.0
    shift = math.floor((low + 180) / 360) * 360
    return low - shift, high - shift


def _joined(spans: list[tuple[float, float]]) -> tuple[float, float]:
    """The shortest span of longitudes around several."""
    if any(high - low >= 360 for low, high in spans):
        return -180.0, 180.0
    best = (-180.0, 180.0)
    for start, _ in spans:
        end = max(((low - start) % 360) + (high - low) for low, high in spans)
        if end < best[1] - best[0]:
            best = (start, start + end)
    return best


# -- geohashes. https://en.wikipedia.org/wiki/Geohash

_ALPHABET = "0123456789bcdefghjkmnpqrstuvwxyz"


def geohash(shape: Shape, size: int) -> str:
    x, y = _point(shape, "ST_GEOHASH")
    size = min(max(size, 1), 20)
    bits, lows, highs = 0, [-180.0, -90.0], [180.0, 90.0]
    for index in range(5 * size):
        axis = index % 2
        middle = (lows[axis] + highs[axis]) / 2
        above = (x, y)[axis] >= middle
        (lows if above else highs)[axis] = middle
        bits = bits << 1 | above
    return "".join(_ALPHABET[bits >> 5 * (size - 1 - index) & 31] for index in range(size))


def point_of_geohash(code: str) -> Shape:
    lows, highs, axis = [-180.0, -90.0], [180.0, 90.0], 0
    if not code or any(each not in _ALPHABET for each in code.lower()):
        raise BadShape(f"Invalid geohash: {code}")
    for each in code.lower():
        for bit in range(4, -1, -1):
            middle = (lows[axis] + highs[axis]) / 2
            (lows if _ALPHABET.index(each) >> bit & 1 else highs)[axis] = middle
            axis = 1 - axis
    return "POINT", ((lows[0] + highs[0]) / 2, (lows[1] + highs[1]) / 2)


# -- conversions


def of_text(wkt: str, oriented: bool, planar: bool) -> Shape:
    return simple(checked(shapes.read_text(wkt), oriented=oriented, planar=planar))


def of_bytes(data: bytes, oriented: bool, planar: bool) -> bytes:
    return shapes.write(simple(checked(shapes.read(data), oriented=oriented, planar=planar)))


def of_hex(text: str, oriented: bool, planar: bool) -> bytes:
    try:
        return of_bytes(bytes.fromhex(text), oriented, planar)
    except ValueError as error:
        if isinstance(error, BadShape):
            raise
        raise BadShape("Invalid WKB: it must be written as hexadecimal digits") from None


def of_json(document: str) -> Shape:
    """GeoJSON's edges are straight on a flat map: vertices are added where the sphere's would leave them."""
    return simple(checked(shapes.read_json(document), planar=True))


def of_any(value: str) -> Shape | bytes:
    """WKT, GeoJSON or hexadecimal WKB, by how it begins."""
    text = value.strip()
    if text.startswith("{"):
        return of_json(text)
    if all(each in "0123456789abcdefABCDEF" for each in text) and text:
        return of_hex(text, False, False)
    return of_text(value, False, False)


def point_of(x: float, y: float) -> Shape:
    if not -90 <= y <= 90:
        raise BadShape(f"Latitude must be between -90 and 90 degrees; got: {shapes.number(y)}")
    if not math.isfinite(x):
        raise BadShape(f"Longitude must be finite; got: {x}")
    return "POINT", (x if -180 <= x <= 180 else (x + 180) % 360 - 180, y)


def intersects_box(shape: Shape, west: float, south: float, east: float, north: float) -> bool:
    """Whether a shape meets a box of longitudes and latitudes, whose northern and southern sides are parallels."""
    from tule.engines.duckdb.geography.operations import predicate

    if not -90 <= south <= north <= 90:
        raise BadShape("ST_INTERSECTSBOX: latitudes must be between -90 and 90, the first not larger than the second")
    width = min((east - west) % 360 or (360.0 if east != west else 0.0), 360.0)
    pieces = max(1, math.ceil(width / 30))
    for index in range(pieces):
        left, right = west + width * index / pieces, west + width * (index + 1) / pieces
        box = _box_shape(left, south, right, north)
        if predicate("intersects")([shapes.write(shape)], [shapes.write(box)])[0]:
            return True
    return False


def _box_shape(west: float, south: float, east: float, north: float) -> Shape:
    corners = [(west, south), (east, south), (east, north), (west, north)]
    distinct = list(dict.fromkeys((x, y if abs(y) < 90 else math.copysign(90, y)) for x, y in corners))
    if west == east or south == north:
        ends = list(dict.fromkeys([distinct[0], distinct[-1 if south != north else 1]]))
        line: Shape = ("LINESTRING", ends) if len(ends) > 1 else ("POINT", ends[0])
        return checked(line, planar=True, tolerance=1.0)
    return checked(("POLYGON", [[*distinct, distinct[0]]]), planar=True, tolerance=1.0)
