"""GEOGRAPHY: its functions for the engine, over columns of WKB. https://cloud.google.com/bigquery/docs/geospatial-data"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tule.engines.duckdb.geography import buffers, cells, clusters, features, operations, shapes
from tule.engines.duckdb.geography.features import on_shapes

Entry = tuple[str, Callable[..., Any], str, str]

_BOX = "STRUCT(xmin DOUBLE, ymin DOUBLE, xmax DOUBLE, ymax DOUBLE)"


def _named_box(found: list[float] | None) -> dict[str, float] | None:
    return None if found is None else dict(zip(("xmin", "ymin", "xmax", "ymax"), found, strict=True))


COLUMNS: tuple[Entry, ...] = (
    *(
        (f"tule_st_{name}", operations.predicate(operation), "BLOB, BLOB", "BOOLEAN")
        for name, operation in (
            ("contains", "contains"), ("coveredby", "covered_by"), ("covers", "covers"), ("disjoint", "disjoint"),
            ("equals", "equals"), ("intersects", "intersects"), ("touches", "touches"), ("within", "within"),
        )
    ),
    *((f"tule_st_{name}", operations.measure(name), "BLOB", "DOUBLE") for name in ("area", "length", "perimeter")),
    ("tule_st_distance", operations.distance, "BLOB, BLOB", "DOUBLE"),
    ("tule_st_dwithin", operations.within_distance, "BLOB, BLOB, DOUBLE", "BOOLEAN"),
    *(
        (f"tule_st_{name}", operations.combined(name), "BLOB, BLOB", "BLOB")
        for name in ("union", "intersection", "difference")
    ),
    ("tule_st_boundary", operations.boundary, "BLOB", "BLOB"),
    ("tule_st_centroid", operations.centroid, "BLOB", "BLOB"),
    ("tule_st_convexhull", operations.convex_hull, "BLOB", "BLOB"),
    ("tule_st_union_of", operations.union_of, "BLOB[]", "BLOB"),
)  # fmt: skip
"""Functions of whole columns without NULLs."""

_OF_SHAPES: tuple[Entry, ...] = (
    ("tule_st_x", features.coordinate("ST_X", 0), "BLOB", "DOUBLE"),
    ("tule_st_y", features.coordinate("ST_Y", 1), "BLOB", "DOUBLE"),
    ("tule_st_astext", shapes.text, "BLOB", "VARCHAR"),
    ("tule_st_asgeojson", shapes.as_json, "BLOB", "VARCHAR"),
    ("tule_st_dimension", shapes.dimension, "BLOB", "BIGINT"),
    ("tule_st_geometrytype", features.kind_of, "BLOB", "VARCHAR"),
    ("tule_st_numpoints", features.point_count, "BLOB", "BIGINT"),
    ("tule_st_numgeometries", features.part_count, "BLOB", "BIGINT"),
    ("tule_st_iscollection", features.is_collection, "BLOB", "BOOLEAN"),
    ("tule_st_isclosed", features.is_closed, "BLOB", "BOOLEAN"),
    ("tule_st_isempty", lambda shape: next(shapes.parts(shape), None) is None, "BLOB", "BOOLEAN"),
    ("tule_st_isring", features.is_ring, "BLOB", "BOOLEAN"),
    ("tule_st_startpoint", features.end(0, "ST_STARTPOINT"), "BLOB", "BLOB"),
    ("tule_st_endpoint", features.end(-1, "ST_ENDPOINT"), "BLOB", "BLOB"),
    ("tule_st_pointn", features.point_at, "BLOB, BIGINT", "BLOB"),
    ("tule_st_exteriorring", features.exterior_ring, "BLOB", "BLOB"),
    ("tule_st_interiorrings", features.interior_rings, "BLOB", "BLOB[]"),
    ("tule_st_dump", features.dump, "BLOB, BIGINT", "BLOB[]"),
    ("tule_st_makeline", features.make_line, "BLOB, BLOB", "BLOB"),
    ("tule_st_makeline_of", features.make_line_of, "BLOB[]", "BLOB"),
    ("tule_st_makepolygon", features.make_polygon, "BLOB, BLOB[]", "BLOB"),
    ("tule_st_makepolygonoriented", features.make_polygon_oriented, "BLOB[]", "BLOB"),
    ("tule_st_snaptogrid", features.snap_to_grid, "BLOB, DOUBLE", "BLOB"),
    ("tule_st_simplify", features.simplify, "BLOB, DOUBLE", "BLOB"),
    ("tule_st_buffer", buffers.buffered, "BLOB, DOUBLE, DOUBLE", "BLOB"),
    ("tule_st_bufferwithtolerance", buffers.tolerated, "BLOB, DOUBLE, DOUBLE", "BLOB"),
    ("tule_st_azimuth", features.azimuth, "BLOB, BLOB", "DOUBLE"),
    ("tule_st_angle", features.angle, "BLOB, BLOB, BLOB", "DOUBLE"),
    ("tule_st_maxdistance", features.max_distance, "BLOB, BLOB", "DOUBLE"),
    ("tule_st_hausdorffdistance", features.hausdorff, "BLOB, BLOB, BOOLEAN", "DOUBLE"),
    ("tule_st_closestpoint", features.closest_point, "BLOB, BLOB", "BLOB"),
    ("tule_st_lineinterpolatepoint", features.interpolate, "BLOB, DOUBLE", "BLOB"),
    ("tule_st_linelocatepoint", features.locate, "BLOB, BLOB", "DOUBLE"),
    ("tule_st_linesubstring", features.substring, "BLOB, DOUBLE, DOUBLE", "BLOB"),
    ("tule_st_boundingbox", lambda shape: _named_box(features.box(shape)), "BLOB", _BOX),
    ("tule_st_collected", features.collected, "BLOB[]", "BLOB"),
    ("tule_st_extent_of", lambda given: _named_box(features.box_of(given)), "BLOB[]", _BOX),
    ("tule_st_geohash", features.geohash, "BLOB, BIGINT", "VARCHAR"),
    ("tule_st_geogpointfromgeohash", features.point_of_geohash, "VARCHAR", "BLOB"),
    ("tule_st_geogpoint", features.point_of, "DOUBLE, DOUBLE", "BLOB"),
    ("tule_st_of_text", features.of_text, "VARCHAR, BOOLEAN, BOOLEAN", "BLOB"),
    ("tule_st_of_hex", features.of_hex, "VARCHAR, BOOLEAN, BOOLEAN", "BLOB"),
    ("tule_st_of_json", features.of_json, "VARCHAR", "BLOB"),
    ("tule_st_of_any", features.of_any, "VARCHAR", "BLOB"),
    ("tule_s2_cellidfrompoint", cells.cell_id, "BLOB, BIGINT", "BIGINT"),
    ("tule_s2_coveringcellids", cells.covering, "BLOB, BIGINT, BIGINT, BIGINT, DOUBLE", "BIGINT[]"),
    ("tule_st_intersectsbox", features.intersects_box, "BLOB, DOUBLE, DOUBLE, DOUBLE, DOUBLE", "BOOLEAN"),
    ("tule_st_cluster_of", clusters.cluster_of, "BLOB[], BLOB, DOUBLE, BIGINT", "BIGINT"),
)
ROWS: tuple[Entry, ...] = (
    *((name, on_shapes(function), takes, gives) for name, function, takes, gives in _OF_SHAPES),
    ("tule_st_of_bytes", features.of_bytes, "BLOB, BOOLEAN, BOOLEAN", "BLOB"),
    ("tule_st_of_any_bytes", lambda data: features.of_bytes(data, False, False), "BLOB", "BLOB"),
)
"""Functions of one row, NULL where an argument is."""
