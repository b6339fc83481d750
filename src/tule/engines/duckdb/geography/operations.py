"""Operations of S2 on whole columns of shapes in WKB, by ``spherely``, which is loaded where the first one is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tule.engines.duckdb.geography import shapes
from tule.engines.duckdb.geography.shapes import EMPTY, BadShape, Position, Shape

MISSING = "tule-missing: "
"""How a message begins that tells of a library which is not there (see errors.py)."""


def spherely() -> Any:
    try:
        import spherely as module
    except ImportError:
        raise RuntimeError(f"{MISSING}GEOGRAPHY functions on the sphere need the extra geography") from None
    return module


def geographies(values: Sequence[bytes]) -> Any:
    """S2's objects of a column, an equal value made once."""
    import numpy as np

    known = list(dict.fromkeys(values))
    made = spherely().from_wkb(np.array(known, dtype=object), oriented=True)
    if len(known) == len(values):
        return made
    places = {value: index for index, value in enumerate(known)}
    return made[[places[each] for each in values]]


def written(found: Any) -> list[bytes]:
    """WKB of S2's objects, without the noise of vectors."""
    return [shapes.write(simple(shapes.plain(shapes.read(each)))) for each in spherely().to_wkb(found)]


def simple(shape: Shape) -> Shape:
    """An empty shape of any kind is the empty collection."""
    return shape if next(shapes.parts(shape), None) is not None else EMPTY


def empty(value: bytes) -> bool:
    return next(shapes.parts(shapes.read(value)), None) is None


Column = Callable[..., list[Any]]


def predicate(name: str) -> Column:
    """A yes or no about two shapes."""
    return lambda a, b: getattr(spherely(), name)(geographies(a), geographies(b)).tolist()


def measure(name: str) -> Column:
    """Metres, or square metres."""
    return lambda values: getattr(spherely(), name)(geographies(values)).tolist()


def distance(a: Sequence[bytes], b: Sequence[bytes]) -> list[float | None]:
    """Metres between the nearest points of two shapes, None where one is empty."""
    import math

    found = spherely().distance(geographies(a), geographies(b)).tolist()
    return [None if math.isinf(each) else each for each in found]


def within_distance(a: Sequence[bytes], b: Sequence[bytes], most: Sequence[float]) -> list[bool]:
    return [each is not None and each <= limit for each, limit in zip(distance(a, b), most, strict=True)]


def combined(name: str) -> Column:
    """A shape of two."""
    return lambda a, b: written(getattr(spherely(), name)(geographies(a), geographies(b)))


def boundary(values: Sequence[bytes]) -> list[bytes]:
    return written(spherely().boundary(geographies(values)))


def centroid(values: Sequence[bytes]) -> list[bytes]:
    """The centroid of the parts of the highest dimension."""
    made = []
    for value in values:
        shape = shapes.read(value)
        highest = shapes.dimension(shape)
        if highest < 0:
            made.append(shapes.write(EMPTY))
            continue
        kept = [each for each in shapes.parts(shape) if shapes.dimension(each) == highest]
        made += written(spherely().centroid(geographies([shapes.write(shapes.collected(kept))])))
    return made


def convex_hull(values: Sequence[bytes]) -> list[bytes]:
    """The smallest convex shape around; of one position it is a point, of two or of a straight line a line."""
    made = []
    for value in values:
        positions = list(dict.fromkeys(shapes.positions(shapes.read(value))))
        if len(positions) < 3:
            kind = ("GEOMETRYCOLLECTION", "POINT", "LINESTRING")[len(positions)]
            content: Any = positions[0] if kind == "POINT" else positions
            made.append(shapes.write((kind, content)))
            continue
        made += written(spherely().convex_hull(geographies([value])))
    return made


def union_of(values: Sequence[Sequence[bytes | None]]) -> list[bytes]:
    """The union of the shapes of each list: two at a time, so that shapes stay small."""
    made = []
    for each in values:
        found = [one for one in each if one is not None]
        while len(found) > 1:
            pairs = combined("union")(found[: len(found) // 2 * 2 : 2], found[1 : len(found) // 2 * 2 : 2])
            found = pairs + found[len(found) // 2 * 2 :]
        made.append(found[0] if found else shapes.write(EMPTY))
    return made


# -- from text


def checked(shape: Shape, *, oriented: bool = False, planar: bool = False, tolerance: float = 10.0) -> Shape:
    """A shape as S2 takes it: its rings closed and turned so that they enclose the smaller part of the sphere, unless they
    are oriented. Planar edges get vertices until they stay within ``tolerance`` metres."""
    shape = shapes.mapped(shape, _normal)
    if shape[0] == "POINT":
        return shape
    for kind, content in shapes.parts(shape):
        if kind == "LINESTRING" and len(dict.fromkeys(content)) < 2:
            raise BadShape("Invalid linestring: it must have at least two distinct vertices")
        for ring in content if kind == "POLYGON" else ():
            if len(ring) < 4 or ring[0] != ring[-1]:
                raise BadShape("Invalid polygon loop: it must be closed and have at least three distinct vertices")
    try:
        made = spherely().from_wkb(
            shapes.write(shape), oriented=oriented, planar=planar, tessellate_tolerance=tolerance
        )
    except RuntimeError as error:
        if str(error).startswith(MISSING):
            raise
        raise BadShape(f"Invalid geography: {str(error).splitlines()[0]}") from None
    found = simple(shapes.plain(shapes.read(spherely().to_wkb(made))))
    return found if planar else _begun_alike(found, shape)


def _normal(position: tuple[float, float]) -> tuple[float, float]:
    x, y = position
    if not -90 <= y <= 90:
        raise BadShape(f"Latitude must be between -90 and 90 degrees; got: {shapes.number(y)}")
    if not -180 <= x <= 180:
        x = (x + 180) % 360 - 180
    return x, y


def _begun_alike(found: Shape, given: Shape) -> Shape:
    """Rings that begin where those that were given did."""
    starts = {ring[0] for kind, content in shapes.parts(shapes.plain(given)) if kind == "POLYGON" for ring in content}

    def begun(ring: list[Any]) -> list[Any]:
        place = next((index for index, each in enumerate(ring) if each in starts), 0)
        return [*ring[place:-1], *ring[:place], ring[place]]

    def of(shape: Shape) -> Shape:
        kind, content = shape
        if kind == "POLYGON":
            return kind, [begun(ring) for ring in content]
        return shape if kind in ("POINT", "LINESTRING", "MULTIPOINT") else (kind, [of(each) for each in content])

    return of(found)


# -- the library s2geometry, for what spherely lacks


def latlng(s2: Any, at: Position) -> Any:
    return s2.S2LatLng.FromDegrees(at[1], at[0])


def polygon(s2: Any, rings: Sequence[Sequence[Position]]) -> Any:
    """A polygon of the library ``s2geometry``."""
    loops = []
    for ring in rings:
        loop = s2.S2Loop()
        loop.Init([latlng(s2, each).ToPoint() for each in ring[:-1]])
        loops.append(loop)
    made = s2.S2Polygon()
    if len(loops) == 1:
        return s2.S2Polygon(loops[0])
    for loop in loops:
        loop.Normalize()
    made.InitNested(loops)
    return made


def s2geometry() -> Any:
    try:
        import s2geometry as module
    except ImportError:
        raise RuntimeError(f"{MISSING}S2 cells and ST_BUFFER need the extra geography") from None
    return module
