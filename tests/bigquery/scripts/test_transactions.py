"""Transactions of several statements: one commit, one snapshot, undone by an error, lost against another writer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.bigquery.conftest import opened

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi


@pytest.fixture(autouse=True)
def table(api: BigQueryApi) -> None:
    """``d.t`` with the rows 1 and 2."""
    api.query("CREATE OR REPLACE TABLE d.t AS SELECT x FROM UNNEST([1, 2]) AS x")


def content(api: BigQueryApi, name: str = "d.t") -> list[str]:
    return [row[0] for row in api.rows(f"SELECT x FROM {name} ORDER BY x")]


class Session:
    """Queries in one session."""

    def __init__(self, api: BigQueryApi) -> None:
        self._api = api
        self.id = api.query("SELECT 1", createSession=True)["sessionInfo"]["sessionId"]

    @property
    def properties(self) -> list[dict[str, str]]:
        return [{"key": "session_id", "value": self.id}]

    def query(self, sql: str) -> dict[str, Any]:
        return self._api.query(sql, connectionProperties=self.properties)

    def rows(self, sql: str) -> list[list[Any]]:
        return self._api.rows(sql, connectionProperties=self.properties)

    def error(self, sql: str) -> dict[str, Any]:
        return self._api.query_error(sql, connectionProperties=self.properties)

    def content(self, name: str = "d.t") -> list[str]:
        return [row[0] for row in self.rows(f"SELECT x FROM {name} ORDER BY x")]


@contextmanager
def session(api: BigQueryApi) -> Iterator[Session]:
    made = Session(api)
    try:
        yield made
    finally:
        api.query(f"CALL BQ.ABORT_SESSION('{made.id}')")


# -- commit and rollback


def test_changes_of_several_tables_appear_together(api: BigQueryApi) -> None:
    api.query("CREATE OR REPLACE TABLE d.u (x INT64)")
    with session(api) as one:
        one.query("BEGIN TRANSACTION")
        one.query("INSERT INTO d.t VALUES (3)")
        one.query("INSERT INTO d.u SELECT x FROM d.t")
        one.query("UPDATE d.t SET x = x * 10 WHERE x = 1")
        one.query("DELETE FROM d.t WHERE x = 2")
        one.query("MERGE d.u USING (SELECT 9 AS x) AS s ON FALSE WHEN NOT MATCHED THEN INSERT ROW")
        assert (one.content(), one.content("d.u")) == (["3", "10"], ["1", "2", "3", "9"])
        assert (content(api), content(api, "d.u")) == (["1", "2"], [])
        one.query("COMMIT TRANSACTION")
    assert (content(api), content(api, "d.u")) == (["3", "10"], ["1", "2", "3", "9"])


def test_a_rollback_undoes_everything(api: BigQueryApi) -> None:
    api.query(
        "BEGIN TRANSACTION; INSERT INTO d.t VALUES (3); TRUNCATE TABLE d.t; INSERT INTO d.t VALUES (4); "
        "ROLLBACK TRANSACTION;"
    )
    assert content(api) == ["1", "2"]


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN; INSERT INTO d.t VALUES (3); COMMIT;",
        "BEGIN TRANSACTION; INSERT INTO d.t VALUES (3); COMMIT TRANSACTION;",
        "BEGIN TRANSACTION; BEGIN INSERT INTO d.t VALUES (3); END; COMMIT;",
        "IF TRUE THEN BEGIN TRANSACTION; END IF; INSERT INTO d.t VALUES (3); COMMIT;",
    ],
)
def test_the_ways_to_write_it(api: BigQueryApi, text: str) -> None:
    api.query(text)
    assert content(api) == ["1", "2", "3"]


def test_the_numbers_of_a_table_follow_at_the_commit(api: BigQueryApi) -> None:
    before = api.ok("GET", "datasets/d/tables/t")
    api.query("BEGIN TRANSACTION; INSERT INTO d.t VALUES (3); COMMIT;")
    after = api.ok("GET", "datasets/d/tables/t")
    assert (before["numRows"], after["numRows"]) == ("2", "3")
    assert before["etag"] != after["etag"]


def test_the_jobs_of_a_transaction_carry_its_id(api: BigQueryApi) -> None:
    job = api.done(query={"query": "BEGIN TRANSACTION; SELECT 1; COMMIT; SELECT 2;", "useLegacySql": False})
    jobs = api.ok("GET", "jobs", params={"parentJobId": job["jobReference"]["jobId"], "projection": "full"})["jobs"]
    ids = [each["statistics"].get("transactionInfo", {}).get("transactionId") for each in reversed(jobs)]
    kinds = [each["statistics"]["query"]["statementType"] for each in reversed(jobs)]
    assert kinds == ["BEGIN_TRANSACTION", "SELECT", "COMMIT_TRANSACTION", "SELECT"]
    assert ids[0] is not None and ids[0] == ids[1]
    assert ids[3] is None


# -- what a transaction sees


def test_reads_see_the_moment_of_the_beginning(api: BigQueryApi) -> None:
    api.query("CREATE OR REPLACE TABLE d.later AS SELECT 1 AS x")
    with session(api) as one:
        one.query("BEGIN TRANSACTION")
        api.query("INSERT INTO d.t VALUES (100)")
        api.query("CREATE OR REPLACE TABLE d.later AS SELECT 2 AS x")
        api.query("CREATE TABLE d.new_one AS SELECT 3 AS x")
        assert one.content() == ["1", "2"]
        assert one.content("d.later") == ["1"]
        assert "d.new_one" in one.error("SELECT * FROM d.new_one")["message"]
    api.query("DROP TABLE d.new_one")


def test_a_table_that_was_dropped_meanwhile_is_still_read(api: BigQueryApi) -> None:
    api.query("CREATE OR REPLACE TABLE d.short AS SELECT 5 AS x")
    with session(api) as one:
        one.query("BEGIN TRANSACTION")
        assert one.content("d.short") == ["5"]
        api.query("DROP TABLE d.short")
        assert one.content("d.short") == ["5"]
        one.query("COMMIT")
        assert one.error("SELECT * FROM d.short")["code"] == 404


# -- errors


def test_an_error_that_nobody_handles_undoes_the_transaction(api: BigQueryApi) -> None:
    error = api.query_error("BEGIN TRANSACTION;\nINSERT INTO d.t VALUES (3);\nSELECT 1 / 0;\nCOMMIT;")
    assert error["message"] == "Query error: division by zero: 1 / 0 at [3:1]"
    assert content(api) == ["1", "2"]


def test_a_handler_may_roll_back_and_go_on(api: BigQueryApi) -> None:
    rows = api.rows(
        "BEGIN\n"
        "  BEGIN TRANSACTION;\n"
        "  INSERT INTO d.t VALUES (3);\n"
        "  INSERT INTO d.t SELECT CAST('x' AS INT64);\n"
        "  COMMIT TRANSACTION;\n"
        "EXCEPTION WHEN ERROR THEN\n"
        "  ROLLBACK TRANSACTION;\n"
        "  INSERT INTO d.t VALUES (4);\n"
        "  SELECT @@error.message;\n"
        "END;"
    )
    assert rows == [["Query error: Bad int64 value: x at [4:3]"]]
    assert content(api) == ["1", "2", "4"]


def test_a_handler_may_commit_what_was_done_before_the_error(api: BigQueryApi) -> None:
    api.query(
        "BEGIN TRANSACTION; INSERT INTO d.t VALUES (3); UPDATE d.t SET x = x + 10 WHERE TRUE; "
        "BEGIN SELECT 1 / 0; EXCEPTION WHEN ERROR THEN INSERT INTO d.t VALUES (4); END; COMMIT;"
    )
    assert content(api) == ["4", "11", "12", "13"]


def test_random_values_before_an_error_cannot_be_made_again(api: BigQueryApi) -> None:
    error = api.query_error(
        "BEGIN TRANSACTION; INSERT INTO d.t SELECT CAST(RAND() * 1000 AS INT64) + 100;\n"
        "BEGIN SELECT 1 / 0; EXCEPTION WHEN ERROR THEN\nINSERT INTO d.t VALUES (4); END; COMMIT;"
    )
    assert error["message"].startswith("Query error: Transaction is aborted")
    assert content(api) == ["1", "2"]


def test_a_script_that_ends_inside_a_transaction_undoes_it(api: BigQueryApi) -> None:
    api.query("BEGIN TRANSACTION; INSERT INTO d.t VALUES (3);")
    assert content(api) == ["1", "2"]
    # Nothing is held any more.
    api.query("UPDATE d.t SET x = 7 WHERE x = 1")
    assert content(api) == ["2", "7"]


def test_an_error_in_a_session_undoes_its_transaction(api: BigQueryApi) -> None:
    with session(api) as one:
        one.query("BEGIN TRANSACTION")
        one.query("INSERT INTO d.t VALUES (3)")
        one.error("SELECT 1 / 0")
        error = one.error("COMMIT TRANSACTION")
        assert "There is no transaction in progress to commit" in error["message"]
    assert content(api) == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("BEGIN TRANSACTION; BEGIN TRANSACTION;", "A transaction is already in progress"),
        ("SELECT 1; COMMIT;", "There is no transaction in progress to commit"),
        ("SELECT 1; ROLLBACK;", "There is no transaction in progress to roll back"),
        ("BEGIN TRANSACTION", "Transaction control statements are supported only in scripts or sessions"),
        ("COMMIT TRANSACTION", "Transaction control statements are supported only in scripts or sessions"),
        ("ROLLBACK", "Transaction control statements are supported only in scripts or sessions"),
    ],
)
def test_where_the_statements_may_not_stand(api: BigQueryApi, text: str, message: str) -> None:
    assert message in api.query_error(text)["message"]


# -- definitions


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE d.made (x INT64)",
        "CREATE OR REPLACE TABLE d.t AS SELECT 1 AS x",
        "DROP TABLE d.t",
        "ALTER TABLE d.t ADD COLUMN y INT64",
        "CREATE VIEW d.v AS SELECT 1 AS x",
        "CREATE SCHEMA made",
        "CREATE FUNCTION d.f() AS (1)",
        "DROP FUNCTION IF EXISTS d.f",
    ],
)
def test_definitions_that_last_are_refused_inside(api: BigQueryApi, statement: str) -> None:
    error = api.query_error(f"BEGIN TRANSACTION; INSERT INTO d.t VALUES (3);\n{statement};\nCOMMIT;")
    assert (error["code"], error["reason"]) == (400, "invalidQuery")
    assert "transaction" in error["message"].lower()
    assert error["message"].endswith("at [2:1]")
    assert content(api) == ["1", "2"]


def test_temporary_tables_are_made_changed_and_dropped_inside(api: BigQueryApi) -> None:
    before = api.physical()
    rows = api.rows(
        "CREATE TEMP TABLE before AS SELECT 0 AS x;\n"
        "BEGIN TRANSACTION;\n"
        "CREATE TEMP TABLE a AS SELECT x FROM d.t;\n"
        "CREATE OR REPLACE TEMP TABLE a AS SELECT x + 1 AS x FROM a;\n"
        "CREATE TEMP TABLE b (x INT64);\n"
        "INSERT INTO b SELECT x FROM a;\n"
        "DROP TABLE a;\n"
        "INSERT INTO before SELECT x FROM b;\n"
        "COMMIT;\n"
        "SELECT x FROM before ORDER BY x;"
    )
    assert rows == [["0"], ["2"], ["3"]]
    assert api.physical() == before


def test_a_rollback_undoes_temporary_tables_too(api: BigQueryApi) -> None:
    before = api.physical()
    with session(api) as one:
        one.query("CREATE TEMP TABLE kept AS SELECT 1 AS x")
        one.query("CREATE TEMP TABLE replaced AS SELECT 1 AS x")
        one.query("BEGIN TRANSACTION")
        one.query("CREATE TEMP TABLE made AS SELECT 1 AS x")
        one.query("CREATE OR REPLACE TEMP TABLE replaced AS SELECT 2 AS x")
        one.query("DROP TABLE kept")
        assert one.rows("SELECT r.x, m.x AS y FROM replaced AS r, made AS m") == [["2", "1"]]
        one.query("ROLLBACK")
        assert one.rows("SELECT k.x, r.x AS y FROM kept AS k, replaced AS r") == [["1", "1"]]
        assert one.error("SELECT * FROM made")["code"] in (400, 404)
    assert api.physical() == before


# -- two writers


def test_the_second_writer_of_a_table_is_aborted(api: BigQueryApi) -> None:
    with session(api) as one, session(api) as other:
        one.query("BEGIN TRANSACTION")
        other.query("BEGIN TRANSACTION")
        one.query("UPDATE d.t SET x = 10 WHERE x = 1")
        error = other.error("UPDATE d.t SET x = 20 WHERE x = 2")
        assert (error["code"], error["reason"]) == (400, "invalidQuery")
        assert error["message"].startswith("Transaction is aborted due to concurrent update against table ")
        assert "d.t" in error["message"]
        one.query("COMMIT")
        assert content(api) == ["2", "10"]
        # The loser may begin again.
        other.query("BEGIN TRANSACTION; UPDATE d.t SET x = 20 WHERE x = 2; COMMIT")
    assert content(api) == ["10", "20"]


def test_a_change_after_the_beginning_aborts_a_later_change_of_rows(api: BigQueryApi) -> None:
    with session(api) as one:
        one.query("BEGIN TRANSACTION")
        api.query("UPDATE d.t SET x = 5 WHERE x = 1")
        error = one.error("DELETE FROM d.t WHERE x = 2")
        assert error["message"].startswith("Transaction is aborted due to concurrent update against table ")
    assert content(api) == ["2", "5"]


def test_rows_are_added_though_others_were_added_meanwhile(api: BigQueryApi) -> None:
    with session(api) as one:
        one.query("BEGIN TRANSACTION")
        api.query("INSERT INTO d.t VALUES (50)")
        one.query("INSERT INTO d.t VALUES (60)")
        one.query("COMMIT")
    assert content(api) == ["1", "2", "50", "60"]


def test_different_tables_do_not_meet(api: BigQueryApi) -> None:
    api.query("CREATE OR REPLACE TABLE d.u (x INT64)")
    with session(api) as one, session(api) as other:
        one.query("BEGIN TRANSACTION")
        other.query("BEGIN TRANSACTION")
        one.query("DELETE FROM d.t WHERE x = 1")
        other.query("INSERT INTO d.u VALUES (7)")
        one.query("COMMIT")
        other.query("COMMIT")
    assert (content(api), content(api, "d.u")) == (["2"], ["7"])


def test_a_table_that_was_replaced_meanwhile_cannot_be_written(api: BigQueryApi) -> None:
    with session(api) as one:
        one.query("BEGIN TRANSACTION")
        assert one.content() == ["1", "2"]
        api.query("CREATE OR REPLACE TABLE d.t AS SELECT 9 AS x")
        assert one.error("INSERT INTO d.t VALUES (10)")["message"].startswith("Transaction is aborted")
    assert content(api) == ["9"]


# -- restarts


def test_an_open_transaction_is_undone_by_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as api:
        api.dataset("d")
        api.query("CREATE TABLE d.t AS SELECT 1 AS x")
        one = Session(api)
        one.query("BEGIN TRANSACTION")
        one.query("INSERT INTO d.t VALUES (2)")
        properties = one.properties
    with opened(tmp_path / "home") as api:
        assert content(api) == ["1"]
        assert "There is no transaction" in api.query_error("COMMIT", connectionProperties=properties)["message"]
        api.query("INSERT INTO d.t VALUES (3)", connectionProperties=properties)
        assert content(api) == ["1", "3"]


def test_what_was_committed_is_there_after_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as api:
        api.dataset("d")
        api.query("CREATE TABLE d.t AS SELECT 1 AS x")
        api.query("BEGIN TRANSACTION; INSERT INTO d.t VALUES (2); UPDATE d.t SET x = 5 WHERE x = 1; COMMIT")
        rows = api.ok("GET", "datasets/d/tables/t")["numRows"]
    with opened(tmp_path / "home") as api:
        assert content(api) == ["2", "5"]
        assert api.ok("GET", "datasets/d/tables/t")["numRows"] == rows == "2"
