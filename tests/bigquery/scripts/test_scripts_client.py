"""google-cloud-bigquery as it is, in its own process: scripts and their jobs, routines, sessions, transactions."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.clients

Exec = Callable[..., subprocess.CompletedProcess[str]]

PRELUDE = """
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

def rows(sql, **options):
    config = bigquery.QueryJobConfig(**options) if options else None
    return [tuple(row.values()) for row in client.query(sql, job_config=config).result()]
"""

SCRIPTS = """
client.create_dataset("s_scripts")
client.query_and_wait("CREATE TABLE s_scripts.t (x INT64)")

# Children
job = client.query('''
DECLARE i INT64 DEFAULT 0;
WHILE i < 3 DO
  SET i = i + 1;
  INSERT INTO s_scripts.t VALUES (i);
END WHILE;
SELECT SUM(x) AS total FROM s_scripts.t;
''')
assert [row.total for row in job.result()] == [6]
assert job.statement_type == "SCRIPT" and job.num_child_jobs == 4 and job.parent_job_id is None
children = list(client.list_jobs(parent_job=job))
assert [child.statement_type for child in reversed(children)] == ["INSERT"] * 3 + ["SELECT"]
assert all(child.parent_job_id == job.job_id and child.state == "DONE" for child in children)
select = children[0]
assert [row.total for row in select.result()] == [6]
statistics = select.script_statistics
assert statistics.evaluation_kind == "STATEMENT"
[frame] = statistics.stack_frames
assert (frame.start_line, frame.start_column, frame.end_line, frame.end_column) == (7, 1, 7, 40)
assert frame.text == "SELECT SUM(x) AS total FROM s_scripts.t" and frame.procedure_id is None
assert job.job_id in [each.job_id for each in client.list_jobs(max_results=50)]
assert not {child.job_id for child in children} & {each.job_id for each in client.list_jobs(max_results=50)}

# Parameters
config = bigquery.QueryJobConfig(query_parameters=[bigquery.ScalarQueryParameter("n", "INT64", 5)])
assert [row.v for row in client.query("DECLARE y INT64 DEFAULT @n; SELECT y * @n AS v", job_config=config)] == [25]

# Failures
failed = client.query("SELECT 1;\\nINSERT INTO s_scripts.t VALUES (4);\\nSELECT ERROR('stop');")
error = raises(exceptions.BadRequest, failed.result, "stop", "at [3:1]")
assert failed.error_result["reason"] == "invalidQuery" and failed.num_child_jobs == 3
assert rows("SELECT COUNT(*) FROM s_scripts.t") == [(4,)]
raises(exceptions.BadRequest, lambda: rows("BEGIN SELECT 1;"), "Expected keyword END but got end of script")
assert rows("BEGIN SELECT ERROR('x'); EXCEPTION WHEN ERROR THEN SELECT 'handled'; END") == [("handled",)]

# Cancelling
endless = client.query("LOOP END LOOP")
assert endless.cancel()
raises(exceptions.GoogleAPICallError, endless.result, "Job execution was cancelled")
assert endless.state == "DONE"

# Limits of a dry run
dry = client.query("DROP TABLE s_scripts.t; SELECT 1", job_config=bigquery.QueryJobConfig(dry_run=True))
assert dry.statement_type == "SCRIPT"
assert rows("SELECT COUNT(*) FROM s_scripts.t") == [(4,)]
frame = client.query("CREATE TEMP TABLE z AS SELECT 1 AS a; SELECT a, 'b' AS b FROM z").to_dataframe()
assert frame.to_dict("records") == [{"a": 1, "b": "b"}]
"""

ROUTINES = """
client.create_dataset("s_routines")

# A function
INT64 = bigquery.StandardSqlDataType(type_kind=bigquery.StandardSqlTypeNames.INT64)
routine = bigquery.Routine(
    f"{project}.s_routines.plus", type_="SCALAR_FUNCTION", language="SQL", body="x + 1",
    arguments=[bigquery.RoutineArgument(name="x", data_type=INT64)], return_type=INT64, description="adds one",
)
made = client.create_routine(routine)
assert made.created is not None and made.etag and made.description == "adds one"
assert rows("SELECT s_routines.plus(1)") == [(2,)]
raises(exceptions.Conflict, lambda: client.create_routine(routine), "Already Exists: Routine")
assert client.create_routine(routine, exists_ok=True).etag == made.etag
found = client.get_routine("s_routines.plus")
assert (found.body, found.arguments, found.return_type) == ("x + 1", routine.arguments, INT64)
found.body = "x + 10"
whole = ["body", "arguments", "language", "type_", "return_type", "description"]
updated = client.update_routine(found, whole)
assert updated.body == "x + 10" and rows("SELECT s_routines.plus(1)") == [(11,)]
made.body = "x"
raises(exceptions.PreconditionFailed, lambda: client.update_routine(made, whole))
wrong = bigquery.Routine(f"{project}.s_routines.wrong", type_="SCALAR_FUNCTION", language="SQL", body="y")
raises(exceptions.BadRequest, lambda: client.create_routine(wrong), "Unrecognized name: y")
raises(exceptions.NotFound, lambda: client.get_routine("s_routines.wrong"))

# A procedure, a table function, one in JavaScript, by SQL
job = client.query("CREATE PROCEDURE s_routines.p(a INT64, OUT b INT64) BEGIN SET b = s_routines.plus(a); END")
job.result()
assert job.ddl_operation_performed == "CREATE" and job.ddl_target_routine.routine_id == "p"
assert rows("DECLARE b INT64; CALL s_routines.p(5, b); SELECT b") == [(15,)]
procedure = client.get_routine("s_routines.p")
assert [(each.name, each.mode) for each in procedure.arguments] == [("a", "IN"), ("b", "OUT")]
rows("CREATE TABLE FUNCTION s_routines.t(n INT64) AS SELECT x FROM UNNEST(GENERATE_ARRAY(1, n)) AS x")
assert sorted(rows("SELECT x FROM s_routines.t(2)")) == [(1,), (2,)]
rows("CREATE FUNCTION s_routines.js(x FLOAT64) RETURNS FLOAT64 LANGUAGE js AS 'return x / 4'")
assert rows("SELECT s_routines.js(1)") == [(0.25,)]
kinds = {each.reference.routine_id: each.type_ for each in client.list_routines("s_routines")}
assert kinds == {
    "js": "SCALAR_FUNCTION", "p": "PROCEDURE", "plus": "SCALAR_FUNCTION", "t": "TABLE_VALUED_FUNCTION"
}
assert len(list(client.list_routines("s_routines", page_size=1))) == 4

# The end
client.delete_routine("s_routines.plus")
raises(exceptions.NotFound, lambda: client.delete_routine("s_routines.plus"), "Not found: Routine")
client.delete_routine("s_routines.plus", not_found_ok=True)
raises(exceptions.BadRequest, lambda: client.delete_dataset("s_routines"), "still in use")
client.delete_dataset("s_routines", delete_contents=True)
raises(exceptions.NotFound, lambda: list(client.list_routines("s_routines")))
"""

SESSIONS = """
client.create_dataset("s_sessions")
client.query_and_wait("CREATE TABLE s_sessions.t AS SELECT 1 AS x")

job = client.query("CREATE TEMP TABLE mine AS SELECT 5 AS a",
                   job_config=bigquery.QueryJobConfig(create_session=True))
job.result()
id = job.session_info.session_id
inside = {"connection_properties": [bigquery.ConnectionProperty("session_id", id)]}
assert rows("SELECT a FROM mine", **inside) == [(5,)]
raises(exceptions.BadRequest, lambda: rows("SELECT a FROM mine"), "must be qualified with a dataset")
rows("DECLARE v INT64 DEFAULT 3", **inside)
assert rows("SELECT v * a FROM mine", **inside) == [(15,)]
assert client.query("SELECT v", job_config=bigquery.QueryJobConfig(**inside)).session_info is not None

# A transaction over several jobs
rows("BEGIN TRANSACTION", **inside)
change = client.query("UPDATE s_sessions.t SET x = 2 WHERE TRUE", job_config=bigquery.QueryJobConfig(**inside))
assert change.result() is not None and change.num_dml_affected_rows == 1 and change.transaction_info is not None
assert rows("SELECT x FROM s_sessions.t", **inside) == [(2,)]
assert rows("SELECT x FROM s_sessions.t") == [(1,)]
rows("COMMIT TRANSACTION", **inside)
assert rows("SELECT x FROM s_sessions.t") == [(2,)]
raises(exceptions.BadRequest, lambda: rows("BEGIN TRANSACTION"), "supported only in scripts or sessions")

# Its end
rows(f"CALL BQ.ABORT_SESSION('{id}')")
raises(exceptions.BadRequest, lambda: rows("SELECT a FROM mine", **inside), "Invalid input session id.")

# By default for all jobs of a client
config = bigquery.QueryJobConfig(create_session=True)
first = client.query("SELECT 1", job_config=config)
first.result()
property = bigquery.ConnectionProperty("session_id", first.session_info.session_id)
other = bigquery.Client(default_query_job_config=bigquery.QueryJobConfig(connection_properties=[property]))
other.query_and_wait("CREATE TEMP FUNCTION f(x INT64) AS (x + 1)")
assert [tuple(row.values()) for row in other.query_and_wait("SELECT f(1)")] == [(2,)]
from google.cloud.bigquery import dbapi
connection = dbapi.connect(other)
cursor = connection.cursor()
cursor.execute("SELECT f(%(x)s) AS y", {"x": 5})
assert [tuple(row) for row in cursor.fetchall()] == [(6,)]
other.query_and_wait("CALL BQ.ABORT_SESSION()")
"""


@pytest.mark.parametrize(
    "program", [SCRIPTS, ROUTINES, SESSIONS], ids=["scripts and their jobs", "routines", "sessions and transactions"]
)
def test_the_client(tule_exec: Exec, program: str) -> None:
    tule_exec(PRELUDE + program)
