"""A Tule whose engine is BigQuery (``TULE_SQL=bigquery://...``): here a second Tule is the service."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tule.kernel.errors import Unavailable
from tule.testing.process import ServerProcess
from tule.wire.intercept.environment import environment

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def tule(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The first Tule, which reaches ``server`` as any client does."""
    made = ServerProcess(
        tmp_path_factory.mktemp("first") / "home", project="first-project", sql="bigquery://test-project/outside"
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(server.target, os.environ, offline=True).items():
            patch.setenv(name, value)
        made.start()
    yield made
    made.stop()


def test_a_client_works_with_tables_that_are_in_the_service(server: ServerProcess, tule: ServerProcess) -> None:
    done = tule.exec(
        """
import pandas as pd
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery

client = bigquery.Client()
client.create_dataset("shop")
frame = pd.DataFrame({"id": range(2000), "team": [f"t{n % 3}" for n in range(2000)], "x": [n / 4 for n in range(2000)]})
client.load_table_from_dataframe(frame, "shop.orders").result()
client.query_and_wait("CREATE TABLE shop.teams (team STRING, name STRING DEFAULT 'none')")
client.query_and_wait("INSERT shop.teams (team, name) VALUES ('t0', 'red'), ('t1', 'blue')")
client.query_and_wait("INSERT shop.teams (team) VALUES ('t2')")

rows = client.query_and_wait(
    "SELECT name, COUNT(*) AS n, SUM(x) AS x, RANK() OVER (ORDER BY SUM(x) DESC) AS r FROM shop.orders"
    " JOIN shop.teams USING (team) WHERE id < @most GROUP BY name ORDER BY name",
    job_config=bigquery.QueryJobConfig(query_parameters=[bigquery.ScalarQueryParameter("most", "INT64", 6)]),
)
assert [tuple(row) for row in rows] == [("blue", 2, 1.25, 2), ("none", 2, 1.75, 1), ("red", 2, 0.75, 3)]

job = client.query("UPDATE shop.teams SET name = CONCAT(name, '!') WHERE team IN ('t0', 't2')")
job.result()
assert job.num_dml_affected_rows == 2
client.query_and_wait(
    "MERGE shop.teams AS t USING (SELECT 't9' AS team) AS s ON t.team = s.team"
    " WHEN NOT MATCHED THEN INSERT (team) VALUES (team)"
)
assert sorted(row.name for row in client.list_rows("shop.teams")) == ["blue", "none", "none!", "red!"]
client.query_and_wait("CREATE VIEW shop.big AS SELECT * FROM shop.orders WHERE x > 400")
assert len(client.query_and_wait("SELECT id, x FROM shop.big ORDER BY id").to_dataframe()) == 399
assert len(client.list_rows("shop.orders").to_dataframe()) == 2000
assert [row[0] for row in client.query_and_wait("SELECT table_name FROM shop.INFORMATION_SCHEMA.TABLES ORDER BY 1")] == [
    "big", "orders", "teams",
]

for sql, words in (
    ("SELECT nothing FROM shop.teams", "Unrecognized name: nothing"),
    ("SELECT 1 / 0", "division by zero"),
    ("SELEC 1", "Syntax error"),
    ("SELECT ML.STANDARD_SCALER(x) OVER () FROM shop.orders", "must run on the embedded engine"),
):
    try:
        client.query_and_wait(sql)
    except Exception as error:
        assert words in str(error), error
        assert "outside_p_" not in str(error) and "t_" not in str(error), error
    else:
        raise AssertionError(sql)
client.query_and_wait("DROP TABLE shop.orders")
print("ok")
"""
    )
    assert done.stdout.strip() == "ok"
    there = server.exec(
        """
from google.cloud import bigquery

client = bigquery.Client()
found = {each.dataset_id: each.friendly_name for each in client.list_datasets() if each.dataset_id.startswith("outside_p_")}
assert list(found.values()) == ["first-project"], found
(dataset,) = found
tables = [each.table_id for each in client.list_tables(dataset) if each.table_id != "marks"]
assert tables and all(each.startswith("t_") for each in tables), tables
print("ok")
"""
    )
    assert there.stdout.strip() == "ok"


def test_a_setting_that_names_no_engine_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(Unavailable, match="TULE_SQL must be one of duckdb, bigquery://"):
        ServerProcess(tmp_path_factory.mktemp("wrong") / "home", sql="bigqery://p").start()
