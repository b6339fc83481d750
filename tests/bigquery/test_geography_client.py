"""GEOGRAPHY through google-cloud-bigquery: columns, loads of four formats, streams, parameters and results."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.clients

Exec = Callable[..., subprocess.CompletedProcess[str]]

COLUMNS = """
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core import exceptions
from google.cloud import bigquery

client = bigquery.Client()
client.create_dataset("c_geography", exists_ok=True)
schema = [bigquery.SchemaField("name", "STRING"), bigquery.SchemaField("at", "GEOGRAPHY"),
          bigquery.SchemaField("way", "GEOGRAPHY", mode="REPEATED"),
          bigquery.SchemaField("nested", "RECORD", fields=[bigquery.SchemaField("g", "GEOGRAPHY")])]
table = client.create_table(bigquery.Table(f"{client.project}.c_geography.t", schema=schema))
assert [each.field_type for each in client.get_table(table).schema] == ["STRING", "GEOGRAPHY", "GEOGRAPHY", "RECORD"]

# WKT, GeoJSON and hexadecimal WKB, whose rings are turned to enclose the smaller part
rows = [
    {"name": "wkt", "at": "POINT(-122.35 47.62)", "way": ["POINT(1 1)"], "nested": {"g": "POINT(5 6)"}},
    {"name": "json", "at": json.dumps({"type": "Point", "coordinates": [1, 2]})},
    {"name": "wkb", "at": "0101000000000000000000f03f0000000000000040"},
    {"name": "ring", "at": "POLYGON((0 0, 0 1, 1 1, 1 0, 0 0))"},
    {"name": "none", "at": None},
]
def load(data, kind, **options):
    config = bigquery.LoadJobConfig(source_format=kind, schema=options.pop("schema", schema), **options)
    return client.load_table_from_file(io.BytesIO(data), table, job_config=config).result()
load("\\n".join(map(json.dumps, rows)).encode(), "NEWLINE_DELIMITED_JSON")
found = {row.name: row for row in client.query_and_wait("SELECT * FROM c_geography.t")}
assert (found["wkt"].at, found["wkt"].way) == ("POINT(-122.35 47.62)", ["POINT(1 1)"])
assert found["wkt"].nested == {"g": "POINT(5 6)"}
assert found["json"].at == found["wkb"].at == "POINT(1 2)"
assert found["ring"].at == "POLYGON((0 0, 1 0, 1 1, 0 1, 0 0))" and found["none"].at is None

# Other formats
load(b"csv,POINT(3 4)\\n", "CSV", schema=schema[:2])
buffer = io.BytesIO()
pq.write_table(pa.table({"name": ["parquet"], "at": ["POINT(7 8)"]}), buffer)
load(buffer.getvalue(), "PARQUET", schema=schema[:2])
assert client.insert_rows_json(table, [{"name": "stream", "at": "POINT(9 9)"}]) == []
assert {row.name: row.at for row in client.list_rows(table)}.items() >= {
    ("csv", "POINT(3 4)"), ("parquet", "POINT(7 8)"), ("stream", "POINT(9 9)")}

# What is no shape is told, and nothing of the load is there
before = client.get_table(table).num_rows
try:
    load(json.dumps({"name": "bad", "at": "POINT(1"}).encode(), "NEWLINE_DELIMITED_JSON")
except exceptions.BadRequest as error:
    assert "Invalid WKT string: POINT(1" in str(error), error
else:
    raise AssertionError("a shape that is none was loaded")
assert client.get_table(table).num_rows == before

# Results by Arrow, and parameters
arrow = client.query_and_wait("SELECT at, nested FROM c_geography.t WHERE name = 'wkt'").to_arrow()
assert arrow.column("at").to_pylist() == ["POINT(-122.35 47.62)"]
assert arrow.column("nested").to_pylist() == [{"g": "POINT(5 6)"}]
config = bigquery.QueryJobConfig(query_parameters=[bigquery.ScalarQueryParameter("g", "GEOGRAPHY", "POINT(-122.3 47.6)")])
near = client.query_and_wait("SELECT name, ST_DISTANCE(at, @g) AS d FROM c_geography.t WHERE ST_DWITHIN(at, @g, 10000)",
                             job_config=config)
assert [(row.name, round(row.d)) for row in near] == [("wkt", 4358)]
client.delete_dataset("c_geography", delete_contents=True)
print("done")
"""


def test_columns_of_geography(tule_exec: Exec) -> None:
    done = tule_exec(COLUMNS)
    assert done.stdout.strip().endswith("done"), done.stdout + done.stderr


MISSING = """
import sys
sys.modules["spherely"] = None
sys.modules["s2geometry"] = None
import duckdb
from tule.engines.duckdb.errors import translated
from tule.engines.duckdb.functions import register
from tule.kernel.errors import Unimplemented

connection = duckdb.connect()
register(connection)
print(connection.sql("SELECT tule_st_astext(tule_st_geogpoint(1.0, 2.0))").fetchall()[0][0])
for call in ("tule_st_area(tule_st_geogpoint(1.0, 2.0))", "tule_st_of_text('LINESTRING(0 0, 1 1)', FALSE, FALSE)",
             "tule_s2_coveringcellids(tule_st_geogpoint(1.0, 2.0), 0, 30, 8, 0.0)"):
    try:
        connection.sql(f"SELECT {call}").fetchall()
    except Exception as error:
        made = translated(error)
        assert isinstance(made, Unimplemented), made
        print(made.message)
"""


def test_without_the_extra_points_work_and_the_sphere_is_refused_by_its_name(tule_exec: Exec) -> None:
    done = tule_exec(MISSING)
    lines = done.stdout.strip().splitlines()
    assert lines[0] == "POINT(1 2)", done.stderr
    assert lines[1:] == [
        "GEOGRAPHY functions on the sphere need the extra geography. Next: pip install 'tule[geography]'",
        "GEOGRAPHY functions on the sphere need the extra geography. Next: pip install 'tule[geography]'",
        "S2 cells and ST_BUFFER need the extra geography. Next: pip install 'tule[geography]'",
    ], done.stdout + done.stderr
