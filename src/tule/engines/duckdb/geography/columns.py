"""Columns of GEOGRAPHY between the port, where they are WKT, and the engine, where they are WKB."""

from __future__ import annotations

import pyarrow as pa

from tule.engines.duckdb.errors import translated
from tule.engines.duckdb.geography import features, shapes


def geographies(column: pa.Array) -> pa.Array:
    """WKB as WKT in BigQuery's form."""
    return pa.array(
        [None if each is None else shapes.text(shapes.read(each)) for each in column.to_pylist()], pa.string()
    )


def shapes_of(column: pa.Array) -> pa.Array:
    """WKT, GeoJSON or hexadecimal WKB as WKB; raises for a text that is no shape on the sphere."""
    known: dict[str, bytes] = {}
    found = column.to_pylist()
    for each in found:
        if each is not None and each not in known:
            known[each] = _wkb(each)
    return pa.array([None if each is None else known[each] for each in found], pa.binary())


def _wkb(text: str) -> bytes:
    try:
        shape = features.of_any(text)
    except (ValueError, RuntimeError) as error:
        raise translated(error) from None
    return shape if isinstance(shape, bytes) else shapes.write(shape)
