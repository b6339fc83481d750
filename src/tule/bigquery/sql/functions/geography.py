"""Geography functions, on the sphere. https://cloud.google.com/bigquery/docs/reference/standard-sql/geography_functions"""

from __future__ import annotations

from tule.bigquery.sql.functions.signatures import Function, read

FUNCTIONS: dict[str, Function] = {
    **read(
        "Geography functions",
        """
        S2_CELLIDFROMPOINT(GEOGRAPHY, [level => INT64]) INT64 = @geography
        S2_COVERINGCELLIDS(GEOGRAPHY, [min_level => INT64], [max_level => INT64], [max_cells => INT64], \
            [buffer => FLOAT64]) ARRAY<INT64> = @geography
        ST_ANGLE(GEOGRAPHY, GEOGRAPHY, GEOGRAPHY) FLOAT64 = @geography
        ST_AREA(GEOGRAPHY, [use_spheroid => BOOL]) FLOAT64 = @geography
        ST_ASBINARY(GEOGRAPHY) BYTES = st_aswkb
        ST_ASGEOJSON(GEOGRAPHY) STRING = @geography
        ST_ASTEXT(GEOGRAPHY) STRING = @geography
        ST_AZIMUTH(GEOGRAPHY, GEOGRAPHY) FLOAT64 = @geography
        ST_BOUNDARY(GEOGRAPHY) GEOGRAPHY = @geography
        ST_BOUNDINGBOX(GEOGRAPHY) STRUCT<xmin FLOAT64, ymin FLOAT64, xmax FLOAT64, ymax FLOAT64> = @geography
        ST_BUFFER(GEOGRAPHY, FLOAT64, [num_seg_quarter_circle => FLOAT64], [use_spheroid => BOOL], [endcap => STRING], \
            [side => STRING]) GEOGRAPHY = @geography
        ST_BUFFERWITHTOLERANCE(GEOGRAPHY, FLOAT64, tolerance_meters => FLOAT64, [use_spheroid => BOOL], \
            [endcap => STRING], [side => STRING]) GEOGRAPHY = @geography
        ST_CENTROID(GEOGRAPHY) GEOGRAPHY = @geography
        ST_CLOSESTPOINT(GEOGRAPHY, GEOGRAPHY, [use_spheroid => BOOL]) GEOGRAPHY = @geography
        ST_CONTAINS(GEOGRAPHY, GEOGRAPHY) BOOL = @geography
        ST_CONVEXHULL(GEOGRAPHY) GEOGRAPHY = @geography
        ST_COVEREDBY(GEOGRAPHY, GEOGRAPHY) BOOL = @geography
        ST_COVERS(GEOGRAPHY, GEOGRAPHY) BOOL = @geography
        ST_DIFFERENCE(GEOGRAPHY, GEOGRAPHY) GEOGRAPHY = @geography
        ST_DIMENSION(GEOGRAPHY) INT64 = @geography
        ST_DISJOINT(GEOGRAPHY, GEOGRAPHY) BOOL = @geography
        ST_DISTANCE(GEOGRAPHY, GEOGRAPHY, [use_spheroid => BOOL]) FLOAT64 = @geography
        ST_DUMP(GEOGRAPHY, [INT64]) ARRAY<GEOGRAPHY> = @geography
        ST_DWITHIN(GEOGRAPHY, GEOGRAPHY, FLOAT64, [use_spheroid => BOOL]) BOOL = @geography
        ST_ENDPOINT(GEOGRAPHY) GEOGRAPHY = @geography
        ST_EQUALS(GEOGRAPHY, GEOGRAPHY) BOOL = @geography
        ST_EXTERIORRING(GEOGRAPHY) GEOGRAPHY = @geography
        ST_GEOGFROM(STRING) GEOGRAPHY = @geography
        ST_GEOGFROM(BYTES) GEOGRAPHY = @geography
        ST_GEOGFROMGEOJSON(STRING, [make_valid => BOOL]) GEOGRAPHY = @geography
        ST_GEOGFROMTEXT(STRING, [oriented => BOOL], [planar => BOOL], [make_valid => BOOL]) GEOGRAPHY = @geography
        ST_GEOGFROMWKB(BYTES, [oriented => BOOL], [planar => BOOL], [make_valid => BOOL]) GEOGRAPHY = @geography
        ST_GEOGFROMWKB(STRING, [oriented => BOOL], [planar => BOOL], [make_valid => BOOL]) GEOGRAPHY = @geography
        ST_GEOGPOINT(FLOAT64, FLOAT64) GEOGRAPHY = @geography
        ST_GEOGPOINTFROMGEOHASH(STRING) GEOGRAPHY = @geography
        ST_GEOHASH(GEOGRAPHY, [INT64]) STRING = @geography
        ST_GEOMETRYTYPE(GEOGRAPHY) STRING = @geography
        ST_HAUSDORFFDISTANCE(GEOGRAPHY, GEOGRAPHY, [directed => BOOL]) FLOAT64 = @geography
        ST_HAUSDORFFDWITHIN(GEOGRAPHY, GEOGRAPHY, FLOAT64, [directed => BOOL]) BOOL = @geography
        ST_INTERIORRINGS(GEOGRAPHY) ARRAY<GEOGRAPHY> = @geography
        ST_INTERSECTION(GEOGRAPHY, GEOGRAPHY) GEOGRAPHY = @geography
        ST_INTERSECTS(GEOGRAPHY, GEOGRAPHY) BOOL = @geography
        ST_INTERSECTSBOX(GEOGRAPHY, FLOAT64, FLOAT64, FLOAT64, FLOAT64) BOOL = @geography
        ST_ISCLOSED(GEOGRAPHY) BOOL = @geography
        ST_ISCOLLECTION(GEOGRAPHY) BOOL = @geography
        ST_ISEMPTY(GEOGRAPHY) BOOL = @geography
        ST_ISRING(GEOGRAPHY) BOOL = @geography
        ST_LENGTH(GEOGRAPHY, [use_spheroid => BOOL]) FLOAT64 = @geography
        ST_LINEINTERPOLATEPOINT(GEOGRAPHY, FLOAT64) GEOGRAPHY = @geography
        ST_LINELOCATEPOINT(GEOGRAPHY, GEOGRAPHY) FLOAT64 = @geography
        ST_LINESUBSTRING(GEOGRAPHY, FLOAT64, FLOAT64) GEOGRAPHY = @geography
        ST_MAKELINE(GEOGRAPHY, GEOGRAPHY) GEOGRAPHY = @geography
        ST_MAKELINE(ARRAY<GEOGRAPHY>) GEOGRAPHY = @geography
        ST_MAKEPOLYGON(GEOGRAPHY, [ARRAY<GEOGRAPHY>]) GEOGRAPHY = @geography
        ST_MAKEPOLYGONORIENTED(ARRAY<GEOGRAPHY>) GEOGRAPHY = @geography
        ST_MAXDISTANCE(GEOGRAPHY, GEOGRAPHY, [use_spheroid => BOOL]) FLOAT64 = @geography
        ST_NPOINTS(GEOGRAPHY) INT64 = @geography
        ST_NUMGEOMETRIES(GEOGRAPHY) INT64 = @geography
        ST_NUMPOINTS(GEOGRAPHY) INT64 = @geography
        ST_PERIMETER(GEOGRAPHY, [use_spheroid => BOOL]) FLOAT64 = @geography
        ST_POINTN(GEOGRAPHY, INT64) GEOGRAPHY = @geography
        - ST_REGIONSTATS: there are no rasters in Tule
        ST_SIMPLIFY(GEOGRAPHY, FLOAT64) GEOGRAPHY = @geography
        ST_SNAPTOGRID(GEOGRAPHY, FLOAT64) GEOGRAPHY = @geography
        ST_STARTPOINT(GEOGRAPHY) GEOGRAPHY = @geography
        ST_TOUCHES(GEOGRAPHY, GEOGRAPHY) BOOL = @geography
        ST_UNION(GEOGRAPHY, GEOGRAPHY) GEOGRAPHY = @geography
        ST_UNION(ARRAY<GEOGRAPHY>) GEOGRAPHY = @geography
        ST_WITHIN(GEOGRAPHY, GEOGRAPHY) BOOL = @geography
        ST_X(GEOGRAPHY) FLOAT64 = @geography
        ST_Y(GEOGRAPHY) FLOAT64 = @geography
        """,
    ),
    **read(
        "Geography functions",
        """
        ST_CENTROID_AGG(GEOGRAPHY) GEOGRAPHY = @geography_agg
        ST_EXTENT(GEOGRAPHY) STRUCT<xmin FLOAT64, ymin FLOAT64, xmax FLOAT64, ymax FLOAT64> = @geography_agg
        ST_UNION_AGG(GEOGRAPHY) GEOGRAPHY = @geography_agg
        """,
        role="aggregate",
    ),
    **read(
        "Geography functions",
        "ST_CLUSTERDBSCAN(GEOGRAPHY, FLOAT64, INT64) INT64 = @st_clusterdbscan",
        role="window",
    ),
}
