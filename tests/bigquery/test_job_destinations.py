"""The table that a finished job's configuration names as its destination: tools look there for what a statement changed."""

from __future__ import annotations

import pytest
from tests.bigquery.conftest import BigQueryApi


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE OR REPLACE TABLE d.made (x INT64)",
        "CREATE OR REPLACE TABLE d.made AS SELECT 1 AS x",
        "INSERT INTO d.made (x) VALUES (2)",
        "MERGE d.made USING (SELECT 2 AS y) ON x = y WHEN MATCHED THEN UPDATE SET x = 3",
        "DELETE FROM d.made WHERE x = 3",
    ],
    ids=["create table", "create table as", "insert", "merge", "delete"],
)
def test_a_statement_that_writes_names_its_table(api: BigQueryApi, sql: str) -> None:
    api.query("CREATE TABLE IF NOT EXISTS d.made AS SELECT 1 AS x")
    job = api.done(query={"query": sql, "useLegacySql": False})
    assert job["configuration"]["query"]["destinationTable"] == api.reference("made")


def test_a_statement_that_fails_names_none(api: BigQueryApi) -> None:
    job = api.job(query={"query": "INSERT INTO d.nothing (x) VALUES (1)", "useLegacySql": False})
    assert job["status"]["errorResult"]["reason"] == "notFound"
    assert "destinationTable" not in job["configuration"]["query"]
