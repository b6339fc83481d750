"""A Tule whose engine is Spark (``TULE_SQL=spark``): a stock client works with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tule.testing.process import ServerProcess

pytestmark = [pytest.mark.clients, pytest.mark.slow]


@pytest.fixture(scope="module")
def tule(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    made = ServerProcess(tmp_path_factory.mktemp("spark") / "home", sql="spark").start()
    yield made
    made.stop()


def test_a_client_works_with_tables_that_spark_reads(tule: ServerProcess) -> None:
    done = tule.exec(
        """
import pandas as pd
from google.cloud import bigquery

client = bigquery.Client()
client.create_dataset("shop")
frame = pd.DataFrame({"id": range(2000), "team": [f"t{n % 3}" for n in range(2000)], "x": [n / 4 for n in range(2000)]})
client.load_table_from_dataframe(frame, "shop.orders").result()
client.query_and_wait("CREATE TABLE shop.teams (team STRING, name STRING DEFAULT 'none')")
client.query_and_wait("INSERT shop.teams (team, name) VALUES ('t0', 'red'), ('t1', 'blue')")
client.query_and_wait("INSERT shop.teams (team) VALUES ('t2')")

rows = client.query_and_wait(
    "WITH sums AS (SELECT name, COUNT(*) AS n, SUM(x) AS x FROM shop.orders JOIN shop.teams USING (team)"
    " WHERE id < @most GROUP BY name) SELECT *, RANK() OVER (ORDER BY x DESC) AS r FROM sums ORDER BY name",
    job_config=bigquery.QueryJobConfig(query_parameters=[bigquery.ScalarQueryParameter("most", "INT64", 6)]),
)
assert [tuple(row) for row in rows] == [("blue", 2, 1.25, 2), ("none", 2, 1.75, 1), ("red", 2, 0.75, 3)]

job = client.query("UPDATE shop.teams SET name = CONCAT(name, '!') WHERE team IN ('t0', 't2')")
job.result()
assert job.num_dml_affected_rows == 2
job = client.query(
    "MERGE shop.teams AS t USING (SELECT 't9' AS team, 'new' AS name UNION ALL SELECT 't1', 'navy') AS s ON t.team = s.team"
    " WHEN MATCHED THEN UPDATE SET name = s.name WHEN NOT MATCHED THEN INSERT (team) VALUES (team)"
)
job.result()
assert job.num_dml_affected_rows == 2
client.query_and_wait("DELETE FROM shop.teams WHERE team = 't0'")
assert sorted((row.team, row.name) for row in client.list_rows("shop.teams")) == [
    ("t1", "navy"), ("t2", "none!"), ("t9", "none"),
]
(row,) = client.query_and_wait("SELECT CAST(NUMERIC '2.5' AS INT64) AS a, 3 IN (1, NULL) AS b, FLOOR(-2.5) AS c")
assert tuple(row) == (3, None, -3.0), row
client.query_and_wait("CREATE VIEW shop.big AS SELECT * FROM shop.orders WHERE x > 400")
assert len(client.query_and_wait("SELECT id, x FROM shop.big ORDER BY id").to_dataframe()) == 399
assert client.list_rows("shop.orders").to_dataframe()["id"].tolist() == list(range(2000))
assert client.insert_rows_json("shop.teams", [{"team": "t7", "name": "seven"}]) == []
assert [tuple(row) for row in client.query_and_wait("SELECT name FROM shop.teams WHERE team = 't7'")] == [("seven",)]

for sql, words in (
    ("SELECT nothing FROM shop.teams", "Unrecognized name: nothing"),
    ("SELECT 1 / (id - 1) FROM shop.orders WHERE id = 1", "division by zero"),
    ("SELECT CAST(team AS INT64) FROM shop.teams WHERE team = 't1'", "Bad int64 value: t1"),
    ("SELECT ST_GEOGPOINT(1, 2)", "must run on the embedded engine"),
    ("SELECT REGEXP_CONTAINS(name, 'a') FROM shop.teams", "must run on the embedded engine"),
    ("CREATE TABLE shop.t (x GEOGRAPHY)", "must be kept by the embedded engine"),
    (
        "MERGE shop.teams AS t USING (SELECT 't1' AS team UNION ALL SELECT 't1') AS s ON t.team = s.team"
        " WHEN MATCHED THEN DELETE",
        "must match at most one source row for each target row",
    ),
):
    try:
        client.query_and_wait(sql)
    except Exception as error:
        assert words in str(error), error
        assert "__t_" not in str(error), error
    else:
        raise AssertionError(sql)
assert len(list(client.list_rows("shop.teams"))) == 4
print("ok")
""",
        timeout=280,
    )
    assert done.stdout.strip() == "ok"
