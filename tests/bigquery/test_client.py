"""google-cloud-bigquery as it is, in its own process: the calls that its users make, and what they see of failures."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients

Exec = Callable[..., subprocess.CompletedProcess[str]]

RESOURCES = """
from google.api_core import exceptions
from google.cloud import bigquery
client = bigquery.Client()
project = client.project

def raises(kind, call, *words):
    try:
        call()
    except kind as error:
        assert all(word in str(error) for word in words), str(error)
        return error
    raise AssertionError(f"{kind.__name__} was expected")

# Datasets
dataset = bigquery.Dataset(f"{project}.c_resources")
dataset.location, dataset.description, dataset.labels = "EU", "Text", {"team": "ads"}
made = client.create_dataset(dataset)
assert (made.location, made.description, made.labels) == ("EU", "Text", {"team": "ads"})
raises(exceptions.Conflict, lambda: client.create_dataset(dataset), f"Already Exists: Dataset {project}:c_resources")
assert client.create_dataset(dataset, exists_ok=True).etag == made.etag
assert [(each.role, each.entity_id) for each in made.access_entries if each.entity_type != "specialGroup"] == []
made.access_entries = [*made.access_entries, bigquery.AccessEntry("READER", "userByEmail", "ann@example.com")]
made = client.update_dataset(made, ["access_entries"])
assert ("READER", "ann@example.com") in [(each.role, each.entity_id) for each in made.access_entries]
made.description = "Other"
made.labels["env"] = "test"
updated = client.update_dataset(made, ["description", "labels"])
assert (updated.description, updated.labels) == ("Other", {"team": "ads", "env": "test"})
made.description = "Stale"
raises(exceptions.PreconditionFailed, lambda: client.update_dataset(made, ["description"]))
assert client.get_dataset("c_resources").description == "Other"
assert "c_resources" in [each.dataset_id for each in client.list_datasets(filter="labels.env:test")]
raises(exceptions.NotFound, lambda: client.get_dataset("c_none"), f"Not found: Dataset {project}:c_none")
client.delete_dataset("c_none", not_found_ok=True)

# Tables
schema = [
    bigquery.SchemaField("id", "INTEGER", mode="REQUIRED", description="key"),
    bigquery.SchemaField("tags", "STRING", mode="REPEATED"),
    bigquery.SchemaField("place", "RECORD", fields=[bigquery.SchemaField("city", "STRING")]),
]
table = bigquery.Table(f"{project}.c_resources.t", schema=schema)
table.time_partitioning = None
table.clustering_fields = ["id"]
table.description = "A table"
table = client.create_table(table)
assert table.schema == schema and table.clustering_fields == ["id"] and table.num_rows == 0
raises(exceptions.Conflict, lambda: client.create_table(table), f"Already Exists: Table {project}:c_resources.t")
client.create_table(table, exists_ok=True)
table.schema = [*schema, bigquery.SchemaField("more", "FLOAT64")]
table = client.update_table(table, ["schema"])
assert [each.name for each in table.schema] == ["id", "tags", "place", "more"]
table.schema = schema
raises(exceptions.BadRequest, lambda: client.update_table(table, ["schema"]),
       "Provided Schema does not match Table", "Field more is missing in new schema")
assert [each.table_id for each in client.list_tables("c_resources")] == ["t"]
view = bigquery.Table(f"{project}.c_resources.v")
view.view_query = f"SELECT id FROM `{project}.c_resources.t`"
view = client.create_table(view)
assert view.table_type == "VIEW" and view.schema[0].name == "id"
raises(exceptions.NotFound, lambda: client.get_table("c_resources.none"), "Not found: Table", "c_resources.none")

# Policies of tables
policy = client.get_iam_policy(table)
policy.bindings = [{"role": "roles/bigquery.dataViewer", "members": {"user:ann@example.com"}}]
assert list(client.set_iam_policy(table, policy).bindings)[0]["members"] == {"user:ann@example.com"}
assert client.test_iam_permissions(table, ["bigquery.tables.get"]) == {"permissions": ["bigquery.tables.get"]}

# Streaming
assert client.insert_rows_json(table, [{"id": 1, "tags": ["a"], "place": {"city": "Rome"}}, {"id": 2}]) == []
assert client.insert_rows(client.get_table(table), [(3, ["x", "y"], {"city": "Oslo"}, 1.5)]) == []
errors = client.insert_rows_json(table, [{"id": 4}, {"id": "no"}])
assert [(each["index"], each["errors"][0]["reason"]) for each in errors] == [(0, "stopped"), (1, "invalid")]
table = client.get_table(table)
rows = sorted(tuple(row) for row in client.list_rows(table))
assert rows == [(1, ["a"], {"city": "Rome"}, None), (2, [], None, None), (3, ["x", "y"], {"city": "Oslo"}, 1.5)], rows
assert [tuple(row) for row in client.list_rows(table, selected_fields=[schema[0]], start_index=1, max_results=1)]
assert client.get_table(table).num_rows == 3
pages = [len(list(page)) for page in client.list_rows(table, page_size=2).pages]
assert pages == [2, 1], pages

raises(exceptions.BadRequest, lambda: client.delete_dataset("c_resources"), "is still in use")
client.delete_table(view)
client.delete_table("c_resources.v", not_found_ok=True)
client.delete_dataset("c_resources", delete_contents=True)
raises(exceptions.NotFound, lambda: client.get_table(table))
assert project in [each.project_id for each in client.list_projects()]
assert "@" in client.get_service_account_email()
"""


def test_datasets_tables_and_rows(tule_exec: Exec) -> None:
    tule_exec(RESOURCES)


QUERIES = """
import datetime, decimal, uuid
from google.api_core import exceptions
from google.cloud import bigquery
client = bigquery.Client()
project = client.project
client.create_dataset("c_queries")

def raises(kind, call, *words):
    try:
        call()
    except kind as error:
        assert all(word in str(error) for word in words), str(error)
        return error
    raise AssertionError(f"{kind.__name__} was expected")

# Three ways to ask
job = client.query("SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, NULL ORDER BY a")
assert [tuple(row) for row in job.result()] == [(1, "x"), (2, None)]
assert (job.state, job.statement_type, job.total_bytes_processed, job.cache_hit) == ("DONE", "SELECT", 0, False)
assert job.destination.dataset_id.startswith("_") and job.created <= job.started <= job.ended
assert [row.a for row in client.query_and_wait("SELECT 3 AS a")] == [3]
job = client.query("SELECT 4 AS a", api_method="QUERY")
assert [row["a"] for row in job.result()] == [4]
assert list(client.query_and_wait("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 10)) AS x", max_results=3).pages)
assert len(list(client.query("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 10)) AS x").result(max_results=3))) == 3
rows = client.query("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 25)) AS x ORDER BY x").result(page_size=10)
assert rows.total_rows == 25 and [row.x for row in rows] == list(range(1, 26))
assert len(list(client.query_and_wait("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 25000)) AS x"))) == 25000
optional = bigquery.Client(default_job_creation_mode="JOB_CREATION_OPTIONAL")
assert [row.a for row in optional.query_and_wait("SELECT 5 AS a")] == [5]

# Every type, in both directions
moment = datetime.datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.timezone.utc)
P, A, S = bigquery.ScalarQueryParameter, bigquery.ArrayQueryParameter, bigquery.StructQueryParameter
values = {
    "i": ("INT64", -7), "f": ("FLOAT64", 2.5), "b": ("BOOL", True), "s": ("STRING", "it's; -- é"),
    "y": ("BYTES", b"\\x00ab"),
    "n": ("NUMERIC", decimal.Decimal("1.25")), "d": ("DATE", datetime.date(2024, 2, 29)),
    "t": ("TIME", datetime.time(1, 2, 3, 400)), "dt": ("DATETIME", datetime.datetime(2024, 1, 2, 3, 4, 5)),
    "ts": ("TIMESTAMP", moment), "z": ("STRING", None),
}
parameters = [P(name, kind, value) for name, (kind, value) in values.items()]
parameters += [A("a", "INT64", [1, 2]), A("e", "STRING", []), S("r", P("x", "INT64", 1), P("y", "STRING", "q"))]
config = bigquery.QueryJobConfig(query_parameters=parameters, labels={"suite": "queries"})
row = next(iter(client.query("SELECT " + ", ".join(f"@{each.name} AS {each.name}" for each in parameters), config).result()))
for name, (_, value) in values.items():
    assert row[name] == value, (name, row[name])
assert (row["a"], row["e"], row["r"]) == ([1, 2], [], {"x": 1, "y": "q"})
row = next(iter(client.query_and_wait("SELECT ? + ?", job_config=bigquery.QueryJobConfig(
    query_parameters=[P(None, "INT64", 1), P(None, "INT64", 2)]))))
assert row[0] == 3
raises(exceptions.BadRequest, lambda: client.query_and_wait("SELECT @none"), "Query parameter 'none' not found")

# Statements
client.query_and_wait(f"CREATE TABLE c_queries.t (a INT64, b STRING)")
job = client.query("INSERT INTO c_queries.t VALUES (1, 'x'), (2, 'y')")
job.result()
assert (job.num_dml_affected_rows, job.dml_stats.inserted_row_count, job.statement_type) == (2, 2, "INSERT")
assert client.query_and_wait("UPDATE c_queries.t SET b = 'z' WHERE TRUE").num_dml_affected_rows == 2
job = client.query("CREATE OR REPLACE TABLE c_queries.u AS SELECT * FROM c_queries.t")
job.result()
assert (job.ddl_operation_performed, job.ddl_target_table.table_id) == ("CREATE", "u")
assert job.statement_type == "CREATE_TABLE_AS_SELECT"
job = client.query("SELECT 1; SELECT 2 AS two")
assert [row.two for row in job.result()] == [2]
assert job.num_child_jobs == 2 and job.statement_type == "SCRIPT"
assert {child.statement_type for child in client.list_jobs(parent_job=job)} == {"SELECT"}

# Destinations
config = bigquery.QueryJobConfig(destination=f"{project}.c_queries.dest", write_disposition="WRITE_TRUNCATE",
                                 clustering_fields=["a"])
for _ in range(2):
    job = client.query("SELECT a FROM c_queries.t", config)
    assert sorted(row.a for row in job.result()) == [1, 2]
assert client.get_table("c_queries.dest").num_rows == 2
assert client.get_table("c_queries.dest").clustering_fields == ["a"]
table = client.get_table(client.query("SELECT 9 AS nine").result() and client.query("SELECT 9 AS nine").destination)
assert [tuple(row) for row in client.list_rows(table)] == [(9,)]

# Dry runs and budgets
job = client.query("SELECT a FROM c_queries.t", bigquery.QueryJobConfig(dry_run=True))
assert (job.state, job.total_bytes_processed, [each.name for each in job.schema]) == ("DONE", 16, ["a"])
assert [each.table_id for each in job.referenced_tables] == ["t"]
raises(exceptions.BadRequest, lambda: client.query_and_wait("SELECT a FROM c_queries.t",
       job_config=bigquery.QueryJobConfig(maximum_bytes_billed=1)), "Query exceeded limit for bytes billed: 1.")

# Jobs
name = f"mine-{uuid.uuid4()}"
client.query("SELECT 1", job_id=name, job_config=bigquery.QueryJobConfig(labels={"k": "v"})).result()
assert client.get_job(name).labels == {"k": "v"}
raises(exceptions.Conflict, lambda: client.query("SELECT 1", job_id=name), "Already Exists: Job")
assert name in [each.job_id for each in client.list_jobs(max_results=5, state_filter="done")]
assert client.cancel_job(name).state == "DONE"
client.delete_job_metadata(name)
raises(exceptions.NotFound, lambda: client.get_job(name), "Not found: Job")

# Mistakes come at once and name the cause
raises(exceptions.BadRequest, lambda: client.query_and_wait("SELEC 1"),
       'Syntax error: Unexpected identifier "SELEC" at [1:1]')
raises(exceptions.BadRequest, lambda: client.query("SELECT x FROM c_queries.t").result(), "Unrecognized name: x")
raises(exceptions.BadRequest, lambda: client.query("SELECT 1 / 0").result(), "division by zero: 1 / 0")
raises(exceptions.NotFound, lambda: client.query("SELECT * FROM c_queries.none").result(),
       f"Not found: Table {project}:c_queries.none was not found in location US")
raises(exceptions.NotFound, lambda: client.query_and_wait("SELECT * FROM none.t"), f"Not found: Dataset {project}:none")
raises(exceptions.Conflict, lambda: client.query_and_wait("CREATE TABLE c_queries.t (a INT64)"),
       f"Already Exists: Table {project}:c_queries.t")
job = client.query("SELECT CAST('abc' AS INT64)")
assert isinstance(job.exception(), exceptions.BadRequest) and "Bad int64 value: abc" in str(job.exception())
assert job.error_result["reason"] == "invalidQuery"
"""


def test_queries_and_jobs(tule_exec: Exec) -> None:
    tule_exec(QUERIES)


LOADS = """
import csv, io, json, os, tempfile
import pandas
from google.api_core import exceptions
from google.cloud import bigquery, storage
client = bigquery.Client()
project = client.project
client.create_dataset("c_loads")

def raises(kind, call, *words):
    try:
        call()
    except kind as error:
        assert all(word in str(error) for word in words), str(error)
        return error
    raise AssertionError(f"{kind.__name__} was expected")

def rows(table, order="1"):
    return [tuple(row) for row in client.query_and_wait(f"SELECT * FROM c_loads.{table} ORDER BY {order}")]

# Data frames, as Parquet and as CSV
frame = pandas.DataFrame({
    "i": [1, 2], "f": [0.5, None], "s": ["a", None], "b": [True, False],
    "t": pandas.to_datetime(["2024-01-02 03:04:05+00:00", None], utc=True), "l": [[1, 2], []],
})
job = client.load_table_from_dataframe(frame, "c_loads.frame")
job.result()
assert job.output_rows == 2
fields = {each.name: each.field_type for each in client.get_table("c_loads.frame").schema}
assert fields == {"i": "INTEGER", "f": "FLOAT", "s": "STRING", "b": "BOOLEAN", "t": "TIMESTAMP", "l": "INTEGER"}, fields
assert [row[0] for row in rows("frame", "i")] == [1, 2] and rows("frame", "i")[0][5] == [1, 2]
client.load_table_from_dataframe(frame, "c_loads.frame").result()
assert len(rows("frame", "i")) == 4
config = bigquery.LoadJobConfig(write_disposition="WRITE_TRUNCATE")
client.load_table_from_dataframe(frame[["i", "s"]], "c_loads.frame", job_config=config).result()
assert rows("frame") == [(1, "a"), (2, None)]
pair = [bigquery.SchemaField("i", "INT64"), bigquery.SchemaField("s", "STRING")]
config = bigquery.LoadJobConfig(source_format="CSV", schema=pair)
client.load_table_from_dataframe(frame[["i", "s"]], "c_loads.as_csv", job_config=config).result()
assert rows("as_csv") == [(1, "a"), (2, None)]

# JSON rows, with and without a schema
client.load_table_from_json([{"a": 1, "r": {"x": [1, 2]}}, {"a": 2}], "c_loads.json").result()
assert rows("json", "a") == [(1, {"x": [1, 2]}), (2, None)], rows("json", "a")

# Files: with size in one request, without it in chunks
text = "a,b\\n" + "".join(f"{n},row {n}\\n" for n in range(200_000))
config = bigquery.LoadJobConfig(source_format="CSV", skip_leading_rows=1, autodetect=True)
data = io.BytesIO(text.encode())
job = client.load_table_from_file(data, "c_loads.sized", size=len(text), job_config=config)
assert job.result().output_rows == 200_000
job = client.load_table_from_file(io.BytesIO(text.encode()), "c_loads.chunked", job_config=config)
job.result()
assert (job.output_rows, job.input_file_bytes, job.input_files) == (200_000, len(text), 1)
count = "SELECT COUNT(*), SUM(a) FROM c_loads.chunked"
assert [tuple(row) for row in client.query_and_wait(count)] == [(200_000, 199_999 * 100_000)]

# Files in Cloud Storage, in and out
bucket = storage.Client().create_bucket("c-loads")
bucket.blob("in/1.csv").upload_from_string("1,x\\n")
bucket.blob("in/2.csv").upload_from_string("2,y\\n")
schema = [bigquery.SchemaField("a", "INT64"), bigquery.SchemaField("b", "STRING")]
client.load_table_from_uri("gs://c-loads/in/*.csv", "c_loads.uri", job_config=bigquery.LoadJobConfig(schema=schema)).result()
assert rows("uri") == [(1, "x"), (2, "y")]
job = client.extract_table("c_loads.uri", "gs://c-loads/out/*.json",
                           job_config=bigquery.ExtractJobConfig(destination_format="NEWLINE_DELIMITED_JSON"))
job.result()
assert job.destination_uri_file_counts == [1]
[blob] = bucket.list_blobs(prefix="out/")
assert sorted(json.loads(line)["b"] for line in blob.download_as_text().splitlines()) == ["x", "y"]
client.copy_table("c_loads.uri", "c_loads.copied").result()
assert rows("copied") == [(1, "x"), (2, "y")]
config = bigquery.CopyJobConfig(write_disposition="WRITE_APPEND")
client.copy_table(["c_loads.uri", "c_loads.copied"], "c_loads.copied", job_config=config).result()
assert len(rows("copied")) == 6

# What goes wrong
raises(exceptions.BadRequest, lambda: client.load_table_from_file(io.BytesIO(b"x,y\\n"), "c_loads.uri",
       job_config=bigquery.LoadJobConfig(schema=schema)).result(),
       "Could not parse 'x' as INT64 for field a", "row 1, column a")
raises(exceptions.NotFound, lambda: client.load_table_from_uri("gs://c-loads/none", "c_loads.uri",
       job_config=bigquery.LoadJobConfig(schema=schema)).result(), "Not found: URI gs://c-loads/none")
raises(exceptions.NotFound, lambda: client.load_table_from_json([{"a": 1}], "c_none.t").result(),
       f"Not found: Dataset {project}:c_none")
raises(exceptions.Conflict, lambda: client.copy_table("c_loads.uri", "c_loads.copied").result(), "Already Exists: Table")
raises(exceptions.NotFound, lambda: client.extract_table("c_loads.none", "gs://c-loads/x").result(), "c_loads.none")
job = client.load_table_from_file(io.BytesIO(b"1,a\\nx,b\\n3,c\\n"), "c_loads.some",
                                  job_config=bigquery.LoadJobConfig(schema=schema, max_bad_records=1))
job.result()
assert job.output_rows == 2 and len(job.errors) == 1 and job.error_result is None
assert rows("some") == [(1, "a"), (3, "c")] and rows("uri") == [(1, "x"), (2, "y")]
"""


def test_loads_extracts_and_copies(tule_exec: Exec) -> None:
    tule_exec(LOADS)


PATIENCE = """
from google.api_core import exceptions
from google.cloud import bigquery
client = bigquery.Client()
client.create_dataset("c_patience")
client.query_and_wait("CREATE TABLE c_patience.n AS SELECT x FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS x")
endless = "SELECT COUNT(*) FROM c_patience.n AS a, c_patience.n AS b, c_patience.n AS c WHERE a.x * b.x * c.x = 7"

job = client.query(endless)
assert job.running() and not job.done()
assert job.job_id in [each.job_id for each in client.list_jobs(state_filter="running")]
assert job.cancel()
error = job.exception()
assert "User requested cancellation" in str(error) and job.state == "DONE", error

job = client.query(endless, bigquery.QueryJobConfig(job_timeout_ms=300))
error = job.exception()
assert "timed out after 0.3s" in str(error), error
try:
    client.query_and_wait(endless, job_config=bigquery.QueryJobConfig(job_timeout_ms=300))
except exceptions.GoogleAPICallError as error:
    assert "timed out after 0.3s" in str(error), error
else:
    raise AssertionError("an endless query ended")
assert [row.n for row in client.query_and_wait("SELECT COUNT(*) AS n FROM c_patience.n")] == [100000]
"""


def test_time_outs_and_cancelling(tule_exec: Exec) -> None:
    tule_exec(PATIENCE)


DIRECT = """
import sys
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from google.oauth2.credentials import Credentials
url, token = sys.argv[1:]
client = bigquery.Client(project="direct", credentials=Credentials(token), client_options={"api_endpoint": url})
assert [row.a for row in client.query_and_wait("SELECT 1 AS a")] == [1]
client.create_dataset("d", exists_ok=True)
assert client.load_table_from_json([{"a": 1}], "d.t").result().output_rows == 1
assert [tuple(row) for row in client.list_rows("d.t")] == [(1,)]
frame = client.query("SELECT a FROM d.t").to_dataframe(create_bqstorage_client=False)
assert frame["a"].tolist() == [1]
stranger = bigquery.Client(project="direct", credentials=Credentials("other"), client_options={"api_endpoint": url})
try:
    stranger.query_and_wait("SELECT 1")
except GoogleAuthError as error:
    pass
else:
    raise AssertionError("a caller with another token was answered")
"""


def test_a_client_with_the_address_of_the_server(server: ServerProcess) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DIRECT, server.url, server.token],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
