"""S2's cells: the id of the cell of a point, and coverings. http://s2geometry.io/devguide/s2cell_hierarchy

A cell is a square of one of six faces of a cube around the sphere, halved 30 times; cells of a face are counted along a
Hilbert curve.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from tule.engines.duckdb.geography import shapes, sphere
from tule.engines.duckdb.geography.buffers import buffered
from tule.engines.duckdb.geography.operations import latlng, polygon, s2geometry
from tule.engines.duckdb.geography.shapes import EMPTY, BadShape, Shape

LEVELS = 30
_SWAP, _INVERT = 1, 2
# For each orientation of a curve: the quarters that it runs through, and how that changes the orientation.
_QUARTERS = ((0, 1, 3, 2), (0, 2, 3, 1), (3, 2, 0, 1), (3, 1, 0, 2))
_TURNS = (_SWAP, 0, 0, _INVERT | _SWAP)


def cell_id(shape: Shape, level: int) -> int | None:
    """The id of the cell that holds a point, as a signed number."""
    if shape == EMPTY:
        return None
    if shape[0] != "POINT":
        raise BadShape("S2_CELLIDFROMPOINT: the argument must be a point")
    if not 0 <= level <= LEVELS:
        raise BadShape("S2_CELLIDFROMPOINT: the level must be between 0 and 30")
    face, i, j = _place(sphere.vector(shape[1]))
    number = _number(face, i, j)
    lowest = 1 << 2 * (LEVELS - level)
    number = number & -lowest | lowest
    return number - 2**64 if number >= 2**63 else number


def _place(at: sphere.Vector) -> tuple[int, int, int]:
    """(face, i, j) of a direction."""
    axis = max(range(3), key=lambda index: abs(at[index]))
    face = axis if at[axis] >= 0 else axis + 3
    u, v = _uv(face, at)
    return face, _index(u), _index(v)


def _uv(face: int, at: sphere.Vector) -> tuple[float, float]:
    x, y, z = at
    match face:
        case 0:
            return y / x, z / x
        case 1:
            return -x / y, z / y
        case 2:
            return -x / z, -y / z
        case 3:
            return z / x, y / x
        case 4:
            return z / y, -x / y
    return -y / z, -x / z


def _index(value: float) -> int:
    """A coordinate of the cube's face as one of 2^30 cells, by S2's quadratic projection."""
    if value >= 0:
        stretched = 0.5 * (1 + 3 * value) ** 0.5
    else:
        stretched = 1 - 0.5 * (1 - 3 * value) ** 0.5
    return min(max(int(stretched * 2**LEVELS // 1), 0), 2**LEVELS - 1)


@cache
def _quarter(orientation: int) -> dict[int, int]:
    return {quarter: place for place, quarter in enumerate(_QUARTERS[orientation])}


def _number(face: int, i: int, j: int) -> int:
    made, orientation = face, face & _SWAP
    for level in range(LEVELS - 1, -1, -1):
        quarter = (i >> level & 1) << 1 | j >> level & 1
        place = _quarter(orientation)[quarter]
        made = made << 2 | place
        orientation ^= _TURNS[place]
    return made << 1 | 1


def covering(shape: Shape, lowest: int, highest: int, most: int, buffer: float) -> list[int]:
    """Ids of at most so many cells that cover a shape, by S2's own search."""
    if not (0 <= lowest <= highest <= LEVELS) or most < 1 or buffer < 0:
        raise BadShape(
            "S2_COVERINGCELLIDS needs levels from 0 to 30, a positive number of cells and no negative buffer"
        )
    s2 = s2geometry()
    if buffer:
        shape = buffered(shape, buffer, 8.0)
    found = list(shapes.parts(shape))
    coverer = s2.S2RegionCoverer()
    coverer.set_min_level(lowest)
    coverer.set_max_level(highest)
    coverer.set_max_cells(max(1, most // max(1, len(found))))
    ids = {each.id() for part in found for each in coverer.GetCovering(_region(s2, part))}
    return sorted(each - 2**64 if each >= 2**63 else each for each in ids)


def _region(s2: Any, part: Shape) -> Any:
    kind, content = part
    if kind == "POINT":
        return s2.S2Cap.FromPoint(latlng(s2, content).ToPoint())
    if kind == "LINESTRING":
        line = s2.S2Polyline()
        line.InitFromS2LatLngs([latlng(s2, each) for each in content])
        return line
    return polygon(s2, content)
