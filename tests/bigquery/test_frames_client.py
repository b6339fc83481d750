"""Results as Arrow and data frames: with the Storage Read API over gRPC, without its package, and by pandas-gbq."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.clients

Exec = Callable[..., subprocess.CompletedProcess[str]]

COMMON = """
import sys
from google.api_core import exceptions
from google.cloud import bigquery
client = bigquery.Client()
project = client.project
client.create_dataset("c_frames", exists_ok=True)

def raises(kind, call, *words):
    try:
        call()
    except kind as error:
        assert all(word in str(error) for word in words), str(error)
        return error
    raise AssertionError(f"{kind.__name__} was expected")

TYPES = (
    "SELECT 1 AS i, 2.5 AS f, TRUE AS b, 'x' AS s, b'ab' AS y, NUMERIC '1.5' AS n, DATE '2024-02-29' AS d, "
    "TIME '01:02:03.5' AS t, DATETIME '2024-01-02 03:04:05' AS dt, TIMESTAMP '2024-01-02 03:04:05.25+00' AS ts, "
    "JSON '{\\"a\\":1}' AS j, [1, 2] AS a, STRUCT(1 AS x, 'y' AS y) AS r, [STRUCT(1 AS x)] AS ar, "
    "CAST(NULL AS STRING) AS z"
)

def check_types(frame):
    row = frame.iloc[0]
    assert (row.i, row.f, row.b, row.s, row.y) == (1, 2.5, True, "x", b"ab"), row
    assert str(row.n) in ("1.5", "1.500000000") and str(row.d) == "2024-02-29"
    assert str(row.t) == "01:02:03.500000" and str(row["dt"]) == "2024-01-02 03:04:05"
    assert str(row.ts) == "2024-01-02 03:04:05.250000+00:00"
    assert list(row.a) == [1, 2] and dict(row.r) == {"x": 1, "y": "y"} and dict(row.ar[0]) == {"x": 1}
    assert frame.z.isna().all()
"""

STORAGE = (
    COMMON
    + """
import pyarrow as pa
from google.cloud import bigquery_storage
from google.cloud.bigquery_storage import types

# A million rows, through streams
sql = "SELECT x AS a, CAST(x AS STRING) AS s, x / 7 AS f FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS x"
job = client.query(sql)
table = job.result().to_arrow()
assert table.num_rows == 1_000_000 and table.schema.names == ["a", "s", "f"]
assert sorted(table["a"].to_pylist()) == list(range(1, 1_000_001))
frame = client.list_rows(client.get_table(job.destination)).to_dataframe()
assert len(frame) == 1_000_000 and frame.a.sum() == 500_000_500_000
client.query(f"CREATE TABLE c_frames.million AS {sql}").result()
frame = client.query_and_wait("SELECT * FROM c_frames.million").to_dataframe()
assert frame.a.sum() == 500_000_500_000
frame = client.list_rows("c_frames.million", selected_fields=[bigquery.SchemaField("f", "FLOAT64")]).to_dataframe()
assert list(frame.columns) == ["f"] and len(frame) == 1_000_000
seen = 0
for part in client.list_rows("c_frames.million").to_dataframe_iterable(bigquery_storage.BigQueryReadClient()):
    seen += len(part)
assert seen == 1_000_000

# Types, empty results
check_types(client.query(TYPES).to_dataframe())
client.query(f"CREATE TABLE c_frames.types AS {TYPES}").result()
check_types(client.list_rows("c_frames.types").to_dataframe())
empty = client.query("SELECT a FROM c_frames.million WHERE FALSE").to_dataframe()
assert list(empty.columns) == ["a"] and len(empty) == 0

# Sessions by hand
reader = bigquery_storage.BigQueryReadClient()
name = f"projects/{project}/datasets/c_frames/tables/million"

def session(restriction="", fields=(), streams=0, table=name, format=types.DataFormat.ARROW):
    options = types.ReadSession.TableReadOptions(selected_fields=list(fields), row_restriction=restriction)
    wanted = types.ReadSession(table=table, data_format=format, read_options=options)
    return reader.create_read_session(parent=f"projects/{project}", read_session=wanted, max_stream_count=streams)

made = session(streams=4)
assert len(made.streams) == 4 and made.estimated_row_count == 1_000_000
parts = [reader.read_rows(stream.name).to_arrow(made) for stream in made.streams]
assert all(part.num_rows for part in parts) and sum(part.num_rows for part in parts) == 1_000_000
assert len(set().union(*(part["a"].to_pylist() for part in parts))) == 1_000_000
# The rows stay what they were when the session was made, and can be read again from any row.
client.query_and_wait("DELETE FROM c_frames.million WHERE a > 10")
again = reader.read_rows(made.streams[1].name).to_arrow(made)
assert again.equals(parts[1])
late = reader.read_rows(made.streams[1].name, offset=100).to_arrow(made)
assert late.equals(parts[1].slice(100))
made = session("a > 3 AND s != '5'", ["s"])
assert len(made.streams) == 1
rest = reader.read_rows(made.streams[0].name).to_arrow(made)
assert rest.schema.names == ["s"] and sorted(rest["s"].to_pylist()) == ["10", "4", "6", "7", "8", "9"]
made = session("a > 99")
assert len(made.streams) == 0

# Refusals
raises(exceptions.NotFound, lambda: session(table=f"projects/{project}/datasets/c_frames/tables/none"), "c_frames.none")
raises(exceptions.InvalidArgument, lambda: session("nothing = 1"), "Unrecognized name: nothing")
raises(exceptions.InvalidArgument, lambda: session("a = 1; DROP TABLE c_frames.million"))
raises(exceptions.InvalidArgument, lambda: session("a = 1) OR (TRUE"))
raises(exceptions.InvalidArgument, lambda: session(fields=["zzz"]), "No such field: zzz")
raises(exceptions.NotFound, lambda: list(reader.read_rows(f"projects/{project}/locations/us/sessions/x/streams/0")))
client.query("CREATE VIEW c_frames.v AS SELECT 1 AS a").result()
raises(exceptions.InvalidArgument, lambda: session(table=f"projects/{project}/datasets/c_frames/tables/v"), "VIEW")
"""
)


def test_the_storage_read_api(tule_exec: Exec) -> None:
    tule_exec(STORAGE)


WITHOUT = (
    """
import sys
class Absent:
    # The package as if it were not installed.
    def find_spec(self, name, path=None, target=None):
        if name.startswith("google.cloud.bigquery_storage"):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
"""
    + COMMON
    + """
assert client._ensure_bqstorage_client() is None
check_types(client.query(TYPES).to_dataframe())
frame = client.query("SELECT x AS a, CONCAT('row ', x) AS s FROM UNNEST(GENERATE_ARRAY(1, 50000)) AS x").to_dataframe()
assert len(frame) == 50_000 and frame.a.sum() == 1_250_025_000
table = client.query("SELECT x AS a FROM UNNEST(GENERATE_ARRAY(1, 50000)) AS x").to_arrow()
assert sorted(table["a"].to_pylist()) == list(range(1, 50_001))
client.load_table_from_json([{"a": 1}, {"a": 2}], "c_frames.small").result()
assert sorted(client.list_rows("c_frames.small").to_dataframe().a) == [1, 2]
assert client.query("SELECT 1 AS a FROM (SELECT 1) WHERE FALSE").to_dataframe().shape == (0, 1)
"""
)


def test_frames_without_the_storage_package(tule_exec: Exec) -> None:
    tule_exec(WITHOUT)


PANDAS = (
    COMMON
    + """
import pandas, pandas_gbq
frame = pandas.DataFrame({"a": [1, 2], "s": ["x", None], "t": pandas.to_datetime(["2024-01-02", "2024-01-03"], utc=True)})
pandas_gbq.to_gbq(frame, "c_frames.gbq", project_id=project, progress_bar=False)
raises(pandas_gbq.gbq.TableCreationError, lambda: pandas_gbq.to_gbq(frame, "c_frames.gbq", project_id=project),
       "Already Exists")
pandas_gbq.to_gbq(frame, "c_frames.gbq", project_id=project, if_exists="append", progress_bar=False)
pandas_gbq.to_gbq(frame, "c_frames.gbq_csv", project_id=project, api_method="load_csv", progress_bar=False)
read = pandas_gbq.read_gbq("SELECT a, s FROM c_frames.gbq ORDER BY a", project_id=project, progress_bar_type=None)
assert read.a.tolist() == [1, 1, 2, 2] and read.s.isna().sum() == 2
assert len(pandas_gbq.read_gbq("c_frames.gbq_csv", project_id=project, progress_bar_type=None)) == 2
pandas_gbq.to_gbq(frame[["a"]], "c_frames.gbq", project_id=project, if_exists="replace", progress_bar=False)
assert [each.name for each in client.get_table("c_frames.gbq").schema] == ["a"]
pandas_gbq.to_gbq(frame, "c_frames_new.gbq", project_id=project, progress_bar=False)
raises(pandas_gbq.gbq.GenericGBQException, lambda: pandas_gbq.read_gbq("SELECT * FROM c_frames.nowhere", project_id=project),
       "Not found: Table")
"""
)


def test_pandas_gbq(tule_exec: Exec) -> None:
    tule_exec(PANDAS)


ARROW_ANSWERS = (
    COMMON
    + """
rows = client.query_and_wait("SELECT x AS a FROM UNNEST(GENERATE_ARRAY(1, 10)) AS x", query_results_format="ARROW")
assert sorted(rows.to_arrow()["a"].to_pylist()) == list(range(1, 11))
"""
)


def test_query_answers_in_arrow(tule_exec: Exec) -> None:
    tule_exec(ARROW_ANSWERS)


MAGICS_AND_DBAPI = (
    COMMON
    + """
from google.cloud.bigquery import dbapi
connection = dbapi.connect(client)
cursor = connection.cursor()
rows = "UNNEST([STRUCT(1 AS a, 'x' AS s), STRUCT(2 AS a, 'y' AS s)])"
cursor.execute(f"SELECT a, s FROM {rows} WHERE a > %(least)s", {"least": 1})
assert [tuple(row) for row in cursor.fetchall()] == [(2, "y")]
cursor.execute("CREATE TABLE c_frames.db (a INT64)")
cursor.executemany("INSERT INTO c_frames.db VALUES (%s)", [(1,), (2,)])
cursor.execute("SELECT SUM(a) FROM c_frames.db")
assert cursor.fetchone()[0] == 3
raises(dbapi.DatabaseError, lambda: cursor.execute("SELECT * FROM c_frames.none"), "Not found: Table")
"""
)


def test_the_db_api(tule_exec: Exec) -> None:
    tule_exec(MAGICS_AND_DBAPI)
