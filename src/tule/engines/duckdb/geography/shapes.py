"""Shapes: points, lines and polygons as plain values, read from and written to WKB, WKT and GeoJSON.

A shape is (kind, content): a position, a list of positions, a list of rings, or a list of shapes. Positions are (longitude,
latitude) in degrees. A shell runs against the clock, a hole with it. https://www.ogc.org/standard/sfa/
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from typing import Any

Position = tuple[float, float]
Shape = tuple[str, Any]

_CODES = {
    "POINT": 1,
    "LINESTRING": 2,
    "POLYGON": 3,
    "MULTIPOINT": 4,
    "MULTILINESTRING": 5,
    "MULTIPOLYGON": 6,
    "GEOMETRYCOLLECTION": 7,
}
_KINDS = {code: name for name, code in _CODES.items()}
_PARTS = {"MULTIPOINT": "POINT", "MULTILINESTRING": "LINESTRING", "MULTIPOLYGON": "POLYGON"}
_JSON = {
    "POINT": "Point",
    "LINESTRING": "LineString",
    "POLYGON": "Polygon",
    "MULTIPOINT": "MultiPoint",
    "MULTILINESTRING": "MultiLineString",
    "MULTIPOLYGON": "MultiPolygon",
    "GEOMETRYCOLLECTION": "GeometryCollection",
}
EMPTY: Shape = ("GEOMETRYCOLLECTION", [])


class BadShape(ValueError):
    """A text or bytes that describe no shape."""

    def __init__(self, message: str) -> None:
        super().__init__(f"tule: {message}")


# -- WKB


def read(data: bytes) -> Shape:
    """The shape that WKB describes."""
    try:
        shape, end = _read(data, 0)
    except (struct.error, IndexError, KeyError):
        raise BadShape("Invalid WKB") from None
    if end != len(data):
        raise BadShape("Invalid WKB: unexpected bytes at its end")
    return shape


def _read(data: bytes, at: int) -> tuple[Shape, int]:
    order = "<" if data[at] else ">"
    code = struct.unpack_from(order + "I", data, at + 1)[0]
    at += 5
    if code & 0x20000000:
        at += 4
    kind = _KINDS[code & 0xFF]
    if code & 0xFFFFFF != code & 0xFF or code & 0xC0000000:
        raise BadShape("Invalid WKB: only two dimensions are supported")
    if kind == "POINT":
        x, y = struct.unpack_from(order + "dd", data, at)
        return ((kind, (x, y)) if x == x else EMPTY), at + 16
    count = struct.unpack_from(order + "I", data, at)[0]
    at += 4
    if kind == "LINESTRING":
        return _positions(data, at, count, order, kind)
    content: list[Any] = []
    for _ in range(count):
        if kind == "POLYGON":
            size = struct.unpack_from(order + "I", data, at)[0]
            (_, ring), at = _positions(data, at + 4, size, order, kind)
            content.append(ring)
        else:
            shape, at = _read(data, at)
            content.append(shape)
    return (kind, content), at


def _positions(data: bytes, at: int, count: int, order: str, kind: str) -> tuple[Shape, int]:
    numbers = struct.unpack_from(f"{order}{2 * count}d", data, at)
    return (kind, list(zip(numbers[::2], numbers[1::2], strict=True))), at + 16 * count


def write(shape: Shape) -> bytes:
    """WKB of a shape. Nothing at all is an empty collection."""
    kind, content = shape
    head = struct.pack("<BI", 1, _CODES[kind])
    if kind == "POINT":
        return head + struct.pack("<dd", *content)
    head += struct.pack("<I", len(content))
    if kind == "LINESTRING":
        return head + _packed(content)
    if kind == "POLYGON":
        return head + b"".join(struct.pack("<I", len(ring)) + _packed(ring) for ring in content)
    return head + b"".join(map(write, content))


def _packed(positions: list[Position]) -> bytes:
    return struct.pack(f"<{2 * len(positions)}d", *(number for position in positions for number in position))


# -- WKT


def text(shape: Shape) -> str:
    """WKT as BigQuery writes it: ``POINT(-122.35 47.62)``."""
    kind, content = shape
    if kind == "POINT":
        return f"POINT({_position(content)})"
    if not content:
        return "GEOMETRYCOLLECTION EMPTY"
    if kind == "GEOMETRYCOLLECTION":
        return f"{kind}({', '.join(map(text, content))})"
    return kind + _bracketed(shape)


def _bracketed(shape: Shape) -> str:
    kind, content = shape
    if kind == "LINESTRING":
        return f"({', '.join(map(_position, content))})"
    if kind == "POLYGON":
        return "(" + ", ".join(f"({', '.join(map(_position, ring))})" for ring in content) + ")"
    if kind == "MULTIPOINT":
        return "(" + ", ".join(_position(each) for _, each in content) + ")"
    return "(" + ", ".join(map(_bracketed, content)) + ")"


def _position(position: Position) -> str:
    return f"{number(position[0])} {number(position[1])}"


def number(value: float) -> str:
    return f"{value + 0.0:.15g}".replace("e-0", "e-") if value else "0"


_TOKEN = re.compile(r"\s*([A-Za-z]+|[(),]|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")


def read_text(wkt: str) -> Shape:
    """The shape that WKT describes, in its own order and orientation."""
    tokens, at = [], 0
    while at < len(wkt.rstrip()):
        found = _TOKEN.match(wkt, at)
        if found is None:
            raise BadShape(f"Invalid WKT string: {wkt[:100]}")
        tokens.append(found[1])
        at = found.end()
    reader = _Reader(tokens, wkt)
    shape = reader.shape()
    if reader.tokens:
        raise BadShape(f"Invalid WKT string: {wkt[:100]}")
    return shape


class _Reader:
    """Recursive descent over the tokens of a WKT."""

    def __init__(self, tokens: list[str], wkt: str) -> None:
        self.tokens = tokens[::-1]
        self._wkt = wkt

    def _take(self, *wanted: str) -> str:
        token = self.tokens.pop() if self.tokens else ""
        if wanted and token.upper() not in wanted:
            raise BadShape(f"Invalid WKT string: {self._wkt[:100]}")
        return token

    def _next(self) -> str:
        return self.tokens[-1].upper() if self.tokens else ""

    def shape(self) -> Shape:
        kind = self._take(*_CODES).upper()
        if self._next() == "EMPTY":
            self._take()
            return EMPTY if kind == "POINT" else (kind, [])
        if self._next() in ("Z", "M", "ZM"):
            raise BadShape(f"Invalid WKT string: only two dimensions are supported: {self._wkt[:100]}")
        return self._content(kind)

    def _content(self, kind: str) -> Shape:
        match kind:
            case "POINT":
                self._take("(")
                position = self._position()
                self._take(")")
                return kind, position
            case "LINESTRING":
                return kind, self._list(self._position)
            case "POLYGON":
                return kind, self._list(lambda: self._list(self._position))
            case "MULTIPOINT":
                return kind, self._list(self._point)
            case "GEOMETRYCOLLECTION":
                return kind, self._list(self.shape)
        part = _PARTS[kind]
        return kind, self._list(lambda: self._content(part))

    def _list(self, item: Any) -> list[Any]:
        self._take("(")
        found = [item()]
        while self._take(",", ")") == ",":
            found.append(item())
        return found

    def _point(self) -> Shape:
        return self._content("POINT") if self._next() == "(" else ("POINT", self._position())

    def _position(self) -> Position:
        try:
            return float(self._take()), float(self._take())
        except ValueError:
            raise BadShape(f"Invalid WKT string: {self._wkt[:100]}") from None


# -- GeoJSON


def read_json(document: str) -> Shape:
    """The shape of a GeoJSON geometry."""
    try:
        return _of_json(json.loads(document))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        if isinstance(error, BadShape):
            raise
        raise BadShape(f"Invalid GeoJSON: {document[:100]}") from None


def _of_json(node: dict[str, Any]) -> Shape:
    kind = next((kind for kind, name in _JSON.items() if name == node["type"]), None)
    if kind is None:
        raise BadShape(f"Invalid GeoJSON: the type {node['type']} is no geometry")
    if kind == "GEOMETRYCOLLECTION":
        return kind, [_of_json(each) for each in node["geometries"]]
    return _of_coordinates(kind, node["coordinates"])


def _of_coordinates(kind: str, content: Any) -> Shape:
    if kind == "POINT":
        return (kind, (float(content[0]), float(content[1]))) if content else EMPTY
    if kind == "LINESTRING":
        return kind, [(float(each[0]), float(each[1])) for each in content]
    if kind == "POLYGON":
        return kind, [[(float(each[0]), float(each[1])) for each in ring] for ring in content]
    return kind, [_of_coordinates(_PARTS[kind], each) for each in content]


def as_json(shape: Shape) -> str:
    """GeoJSON as BigQuery writes it."""
    kind, content = shape
    if kind == "GEOMETRYCOLLECTION":
        return '{ "type": "GeometryCollection", "geometries": [' + ", ".join(map(as_json, content)) + "] }"
    if not content:
        return as_json(EMPTY)
    return f'{{ "type": "{_JSON[kind]}", "coordinates": {_coordinates(shape)} }}'


def _coordinates(shape: Shape) -> str:
    kind, content = shape
    if kind == "POINT":
        return f"[{number(content[0])}, {number(content[1])}]"
    if kind == "LINESTRING":
        return _json_list(content)
    if kind == "POLYGON":
        return "[" + ", ".join(map(_json_list, content)) + "]"
    return "[" + ", ".join(map(_coordinates, content)) + "]"


def _json_list(positions: list[Position]) -> str:
    return "[" + ", ".join(f"[{number(x)}, {number(y)}]" for x, y in positions) + "]"


# -- pieces


def parts(shape: Shape) -> Iterator[Shape]:
    """The points, lines and polygons that a shape consists of."""
    kind, content = shape
    if kind in ("POINT", "LINESTRING", "POLYGON"):
        if content:
            yield shape
        return
    for each in content:
        yield from parts(each)


def collected(found: list[Shape]) -> Shape:
    """Points, lines and polygons as one shape: of the plainest kind that holds them."""
    if len(found) == 1:
        return found[0]
    kinds = {kind for kind, _ in found}
    if len(kinds) == 1:
        return "MULTI" + kinds.pop(), found
    return "GEOMETRYCOLLECTION", found


def lines(shape: Shape) -> Iterator[list[Position]]:
    """The lines of a shape and the rings of its polygons; a point is a line of one position."""
    for kind, content in parts(shape):
        if kind == "POINT":
            yield [content]
        elif kind == "LINESTRING":
            yield content
        else:
            yield from content


def positions(shape: Shape) -> list[Position]:
    """All positions; the one that closes a ring is told once."""
    found: list[Position] = []
    for kind, content in parts(shape):
        if kind == "POINT":
            found.append(content)
        elif kind == "LINESTRING":
            found.extend(content)
        else:
            for ring in content:
                found.extend(ring[:-1])
    return found


def dimension(shape: Shape) -> int:
    """0 for points, 1 for lines, 2 for areas, -1 for nothing: of the highest part."""
    return max(({"POINT": 0, "LINESTRING": 1, "POLYGON": 2}[kind] for kind, _ in parts(shape)), default=-1)


def mapped(shape: Shape, change: Any) -> Shape:
    """A shape with each position changed."""
    kind, content = shape
    if kind == "POINT":
        return kind, change(content)
    if kind == "LINESTRING":
        return kind, [change(each) for each in content]
    if kind == "POLYGON":
        return kind, [[change(each) for each in ring] for ring in content]
    return kind, [mapped(each, change) for each in content]


def plain(shape: Shape) -> Shape:
    """Coordinates without the noise of their way through vectors: to 1e-13 degrees, a hundredth of a micrometre."""
    return mapped(shape, lambda position: (round(position[0], 13) + 0.0, round(position[1], 13) + 0.0))
