"""Partitions, snapshots, clones, materialized views and row access policies as the stock client uses them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

Exec = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.clients

PROGRAM = """
import datetime
from google.api_core import exceptions
from google.cloud import bigquery
client = bigquery.Client()
project = client.project
client.create_dataset("kinds")

def rows(sql):
    return [tuple(row) for row in client.query_and_wait(sql)]

def raises(kind, call, *words):
    try:
        call()
    except kind as error:
        assert all(word in str(error) for word in words), str(error)
        return
    raise AssertionError(f"{kind.__name__} was expected")

# Partitions by the time of loading
schema = [bigquery.SchemaField("x", "INT64")]
table = bigquery.Table(f"{project}.kinds.loaded", schema)
table.time_partitioning = bigquery.TimePartitioning(type_=bigquery.TimePartitioningType.DAY)
table = client.create_table(table)
assert (table.time_partitioning.type_, table.time_partitioning.field, table.partitioning_type) == ("DAY", None, "DAY")
client.load_table_from_json([{"x": 1}, {"x": 2}], f"{project}.kinds.loaded$20260101").result()
client.load_table_from_json([{"x": 3}], f"{project}.kinds.loaded$20260102").result()
replace = bigquery.LoadJobConfig(write_disposition="WRITE_TRUNCATE")
client.load_table_from_json([{"x": 9}], f"{project}.kinds.loaded$20260102", job_config=replace).result()
assert client.insert_rows_json("kinds.loaded", [{"x": 4}]) == []
days = "SELECT _PARTITIONDATE AS d, SUM(x) FROM kinds.loaded WHERE _PARTITIONDATE < '2026-02-01' GROUP BY 1 ORDER BY 1"
assert rows(days) == [
    (datetime.date(2026, 1, 1), 3), (datetime.date(2026, 1, 2), 9)]
assert [tuple(row) for row in client.list_rows(f"{project}.kinds.loaded$20260101", selected_fields=schema)] == [(1,), (2,)]
config = bigquery.QueryJobConfig(destination=f"{project}.kinds.loaded$20260103", write_disposition="WRITE_TRUNCATE")
client.query("SELECT 5 AS x", config).result()
client.copy_table(f"{project}.kinds.loaded$20260101", f"{project}.kinds.part").result()
assert rows("SELECT x FROM kinds.part ORDER BY x") == [(1,), (2,)]
client.delete_table(f"{project}.kinds.loaded$20260101")
assert client.get_table(f"{project}.kinds.loaded").num_rows == 3
raises(exceptions.BadRequest, lambda: client.query_and_wait("SELECT _PARTITIONTIME FROM kinds.loaded"), "Invalid field name")
table = client.get_table("kinds.loaded")
table.time_partitioning = bigquery.TimePartitioning(type_="DAY", expiration_ms=86_400_000)
table.require_partition_filter = True
table = client.update_table(table, ["time_partitioning", "require_partition_filter"])
assert table.time_partitioning.expiration_ms == 86_400_000
assert rows("SELECT x FROM kinds.loaded WHERE _PARTITIONTIME IS NOT NULL") == [(4,)]
raises(exceptions.BadRequest, lambda: rows("SELECT x FROM kinds.loaded"), "Cannot query over table", "partition elimination")

# By a column and by ranges, as statements
rows("CREATE TABLE kinds.days (x INT64, day DATE) PARTITION BY day OPTIONS(partition_expiration_days = 36500)")
rows("INSERT INTO kinds.days VALUES (1, '2026-01-01'), (2, '2026-01-02')")
config = bigquery.QueryJobConfig(destination=f"{project}.kinds.days$20260101", write_disposition="WRITE_TRUNCATE")
raises(exceptions.BadRequest, lambda: client.query("SELECT 1 AS x, DATE '2026-01-02' AS day", config).result(),
       "Some rows belong to different partitions")
rows("CREATE TABLE kinds.ranges (x INT64) PARTITION BY RANGE_BUCKET(x, GENERATE_ARRAY(0, 100, 10))")
rows("INSERT INTO kinds.ranges VALUES (5), (15)")
assert client.get_table("kinds.ranges").range_partitioning.range_.interval == 10
assert [tuple(row) for row in client.list_rows(f"{project}.kinds.ranges$10", selected_fields=schema)] == [(15,)]
job = client.query("SELECT x FROM kinds.days WHERE day = '2026-01-01'", bigquery.QueryJobConfig(dry_run=True))
assert job.total_bytes_processed == 16

# Snapshots, clones, restores
rows("CREATE SNAPSHOT TABLE kinds.snap CLONE kinds.days")
made = client.get_table("kinds.snap")
assert (made.table_type, made.snapshot_definition.base_table_reference.table_id) == ("SNAPSHOT", "days")
raises(exceptions.BadRequest, lambda: rows("DELETE FROM kinds.snap WHERE TRUE"), "currently a SNAPSHOT")
rows("DELETE FROM kinds.days WHERE x = 1")
rows("CREATE TABLE kinds.cloned CLONE kinds.days")
assert client.get_table("kinds.cloned").clone_definition.base_table_reference.table_id == "days"
restore = bigquery.CopyJobConfig(operation_type=bigquery.job.OperationType.RESTORE, write_disposition="WRITE_TRUNCATE")
client.copy_table("kinds.snap", "kinds.days", job_config=restore).result()
assert rows("SELECT x FROM kinds.days ORDER BY x") == [(1,), (2,)] and rows("SELECT x FROM kinds.cloned") == [(2,)]

# Materialized views
view = bigquery.Table(f"{project}.kinds.sums")
view.mview_query, view.mview_enable_refresh = f"SELECT SUM(x) AS n FROM `{project}.kinds.days`", True
assert client.create_table(view).table_type == "MATERIALIZED_VIEW"
rows("INSERT INTO kinds.days VALUES (10, '2026-01-03')")
assert rows("SELECT n FROM kinds.sums") == [(13,)]
rows(f"CALL BQ.REFRESH_MATERIALIZED_VIEW('{project}.kinds.sums')")
assert client.get_table("kinds.sums").mview_last_refresh_time is not None

# Row access policies
rows("CREATE ROW ACCESS POLICY small ON kinds.days GRANT TO ('allAuthenticatedUsers') FILTER USING (x < 5)")
assert rows("SELECT x FROM kinds.days ORDER BY x") == [(1,), (2,)]
rows("DROP ALL ROW ACCESS POLICIES ON kinds.days")
assert len(rows("SELECT x FROM kinds.days")) == 3

# An authorized view
source = client.get_dataset("kinds")
client.create_dataset("shown")
rows(f"CREATE VIEW shown.v AS SELECT x FROM `{project}.kinds.days`")
source.access_entries = [*source.access_entries,
                         bigquery.AccessEntry(None, "view", client.get_table("shown.v").reference.to_api_repr())]
source = client.update_dataset(source, ["access_entries"])
assert [each.entity_type for each in source.access_entries if each.entity_type == "view"] == ["view"]

# What is dropped and had back
rows("DROP SCHEMA kinds CASCADE")
raises(exceptions.NotFound, lambda: client.get_table("kinds.days"))
rows("UNDROP SCHEMA kinds")
assert len(rows("SELECT x FROM kinds.days")) == 3 and rows("SELECT x FROM kinds.part ORDER BY x") == [(1,), (2,)]
"""


def test_table_kinds(tule_exec: Exec) -> None:
    tule_exec(PROGRAM)
