"""Tables as they were: FOR SYSTEM_TIME AS OF, what is remembered of a table and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tule.bigquery import history
from tule.kernel.clock import VirtualClock

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

MINUTE = timedelta(minutes=1)


class Steps:
    """Changes one minute apart; ``at`` is the moment just before each."""

    def __init__(self, api: BigQueryApi, clock: VirtualClock) -> None:
        self.api, self.clock = api, clock
        self.at: list[str] = []

    def run(self, *statements: str) -> None:
        for each in statements:
            self.clock.advance(MINUTE)
            self.at.append(self.clock.now().isoformat())
            self.clock.advance(MINUTE)
            self.api.query(each)
        self.clock.advance(MINUTE)
        self.at.append(self.clock.now().isoformat())

    def seen(self, step: int, sql: str = "SELECT STRING_AGG(CAST(x AS STRING), ',' ORDER BY x) FROM {t}") -> str:
        found = self.api.rows(sql.format(t=f"d.t FOR SYSTEM_TIME AS OF TIMESTAMP '{self.at[step]}'"))
        return str(found[0][0])

    def error(self, step: int) -> str:
        sql = f"SELECT * FROM d.t FOR SYSTEM_TIME AS OF TIMESTAMP '{self.at[step]}'"
        return str(self.api.query_error(sql)["message"])


@pytest.fixture
def steps(timed: BigQueryApi, clock: VirtualClock) -> Steps:
    return Steps(timed, clock)


def test_each_state_of_a_table_that_grows_shrinks_and_changes(steps: Steps) -> None:
    steps.run(
        "CREATE TABLE d.t AS SELECT 1 AS x",
        "INSERT INTO d.t VALUES (2)",
        "INSERT INTO d.t VALUES (3), (4)",
        "UPDATE d.t SET x = x * 10 WHERE x > 2",
        "INSERT INTO d.t VALUES (5)",
        "DELETE FROM d.t WHERE x < 10",
        "MERGE d.t USING (SELECT 30 AS y UNION ALL SELECT 7) ON x = y WHEN MATCHED THEN DELETE "
        "WHEN NOT MATCHED THEN INSERT (x) VALUES (y)",
        "TRUNCATE TABLE d.t",
        "INSERT INTO d.t VALUES (9)",
    )
    states = ["1", "1,2", "1,2,3,4", "1,2,30,40", "1,2,5,30,40", "30,40", "7,40", "None", "9"]
    assert [steps.seen(step) for step in range(1, 10)] == states
    assert "Cannot read before" in steps.error(0)


def test_states_of_a_table_that_is_replaced_and_altered(steps: Steps) -> None:
    steps.run(
        "CREATE TABLE d.t AS SELECT 1 AS x",
        "CREATE OR REPLACE TABLE d.t AS SELECT 'a' AS y, 2 AS x",
        "ALTER TABLE d.t ADD COLUMN z INT64",
        "ALTER TABLE d.t DROP COLUMN y",
    )
    wide = "SELECT TO_JSON_STRING(t) FROM {t} AS t"
    assert [steps.seen(step, wide) for step in range(1, 5)] == [
        '{"x":1}', '{"y":"a","x":2}', '{"y":"a","x":2,"z":null}', '{"x":2,"z":null}',
    ]  # fmt: skip


def test_a_transaction_is_one_change(steps: Steps) -> None:
    steps.run(
        "CREATE TABLE d.t AS SELECT 1 AS x",
        "BEGIN TRANSACTION; INSERT INTO d.t VALUES (2); UPDATE d.t SET x = x + 10 WHERE true; DELETE FROM d.t WHERE x = 11;"
        "COMMIT TRANSACTION",
        "BEGIN TRANSACTION; DELETE FROM d.t WHERE x = 12; ROLLBACK TRANSACTION",
        "BEGIN TRANSACTION; UPDATE d.t SET x = 13 WHERE true; INSERT INTO d.t VALUES (14); COMMIT TRANSACTION",
    )
    assert [steps.seen(step) for step in (2, 3, 4)] == ["12", "12", "13,14"]
    # Rows that the first transaction added before it changed any are no state of the table.
    assert "Cannot read before" in steps.error(1) or steps.seen(1) == "1"


def test_loads_and_streams_are_changes(steps: Steps) -> None:
    steps.run("CREATE TABLE d.t (x INT64)")
    api, clock = steps.api, steps.clock
    for value in (1, 2):
        clock.advance(MINUTE)
        api.ok("POST", "datasets/d/tables/t/insertAll", {"rows": [{"json": {"x": value}}]})
        clock.advance(MINUTE)
        steps.at.append(clock.now().isoformat())
    clock.advance(MINUTE)
    api.load("3\n4\n", sourceFormat="CSV")
    clock.advance(MINUTE)
    steps.at.append(clock.now().isoformat())
    clock.advance(MINUTE)
    api.load(
        "5\n",
        sourceFormat="CSV",
        writeDisposition="WRITE_TRUNCATE",
        schema={"fields": [{"name": "x", "type": "INT64"}]},
    )
    clock.advance(MINUTE)
    steps.at.append(clock.now().isoformat())
    assert [steps.seen(step) for step in range(1, 6)] == ["None", "1", "1,2", "1,2,3,4", "5"]


def test_a_table_that_was_dropped_is_read_as_it_was(steps: Steps) -> None:
    steps.run("CREATE TABLE d.t AS SELECT 1 AS x", "DROP TABLE d.t")
    assert steps.seen(1) == "1"
    assert steps.error(2).startswith("Not found: Table test-project:d.t")


def test_the_moment_may_be_any_constant(steps: Steps) -> None:
    steps.run("CREATE TABLE d.t AS SELECT 1 AS x", "UPDATE d.t SET x = 2 WHERE true")
    api = steps.api
    old = "TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 2 MINUTE)"
    assert api.rows(f"SELECT x FROM d.t FOR SYSTEM_TIME AS OF {old}") == [["1"]]
    assert api.rows(f"SELECT a.x FROM d.t AS a FOR SYSTEM_TIME AS OF {old}") == [["1"]]
    assert api.rows(f"SELECT a.x FROM d.t FOR SYSTEM_TIME AS OF {old} a JOIN UNNEST([1]) AS y ON a.x = y") == [["1"]]
    assert api.rows("SELECT x FROM d.t FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()") == [["2"]]
    assert api.rows(f"SELECT x FROM d.t FOR SYSTEM_TIME AS OF '{steps.at[1]}'") == [["1"]]
    given = {"name": "at", "parameterType": {"type": "TIMESTAMP"}, "parameterValue": {"value": steps.at[1]}}
    sql = "SELECT x FROM d.t FOR SYSTEM_TIME AS OF @at"
    assert api.rows(sql, parameterMode="NAMED", queryParameters=[given]) == [["1"]]
    script = f"DECLARE moment TIMESTAMP DEFAULT '{steps.at[1]}'; SELECT x FROM d.t FOR SYSTEM_TIME AS OF moment"
    assert api.rows(script) == [["1"]]
    loop = (
        f"DECLARE found ARRAY<INT64> DEFAULT []; FOR row IN (SELECT TIMESTAMP '{steps.at[1]}' AS m UNION ALL "
        f"SELECT TIMESTAMP '{steps.at[2]}' ORDER BY m) DO "
        "SET found = ARRAY_CONCAT(found, (SELECT [x] FROM d.t FOR SYSTEM_TIME AS OF row.m)); END FOR; "
        "SELECT found"
    )
    assert api.rows(loop) == [[["1", "2"]]]


def test_a_view_is_read_of_its_tables_as_they_were(steps: Steps) -> None:
    steps.run("CREATE TABLE d.t AS SELECT 1 AS x", "CREATE VIEW d.v AS SELECT x + 1 AS y FROM d.t",
              "UPDATE d.t SET x = 5 WHERE true")  # fmt: skip
    sql = f"SELECT y FROM d.v FOR SYSTEM_TIME AS OF '{steps.at[2]}'"
    assert steps.api.rows(sql) == [["2"]]
    assert steps.api.rows("SELECT y FROM d.v") == [["6"]]


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ("d.t FOR SYSTEM_TIME AS OF TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 1 HOUR)", "Cannot read after"),
        ("d.t FOR SYSTEM_TIME AS OF TIMESTAMP '2020-01-01'", "Invalid snapshot time 1577836800000 for Table "
         "test-project:d.t@1577836800000. Cannot read before"),
        ("d.t FOR SYSTEM_TIME AS OF NULL", "must be a TIMESTAMP"),
        ("d.t FOR SYSTEM_TIME AS OF (SELECT CURRENT_TIMESTAMP())", "must be a constant"),
        ("d.t FOR SYSTEM_TIME AS OF 'soon'", "soon"),
        ("d.t* FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()", "wildcard"),
        ("d.INFORMATION_SCHEMA.TABLES FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()", "INFORMATION_SCHEMA"),
        ("d.t, d.t FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP() AS u", "more than one point in time"),
        ("d.none FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()", "Not found: Table test-project:d.none"),
    ],
)  # fmt: skip
def test_moments_that_cannot_be_read(steps: Steps, tail: str, message: str) -> None:
    steps.run("CREATE TABLE d.t AS SELECT 1 AS x")
    assert message in steps.api.query_error(f"SELECT 1 FROM {tail.replace('d.t*', '`d.t*`')}")["message"]


def test_what_is_over_is_forgotten(steps: Steps, clock: VirtualClock) -> None:
    steps.run("CREATE TABLE d.t AS SELECT 1 AS x", "UPDATE d.t SET x = 2 WHERE true")
    assert len(steps.api.physical()) == 2
    clock.advance(timedelta(days=6, hours=23))
    assert steps.seen(1) == "1"
    clock.advance(timedelta(hours=9))
    assert "Cannot read before" in steps.error(1)
    assert len(steps.api.physical()) == 1


def test_versions_are_bounded(steps: Steps) -> None:
    steps.run("CREATE TABLE d.t AS SELECT 1 AS x", *["UPDATE d.t SET x = x + 1 WHERE true"] * 20)
    assert steps.seen(20) == "20"
    assert "Cannot read before" in steps.error(2)
    assert len(steps.api.physical()) == 17


def test_rows_too_many_to_copy_are_not_remembered(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LARGEST_COPY", 1)
    steps.run("CREATE TABLE d.t AS SELECT x FROM UNNEST([1, 2]) AS x", "UPDATE d.t SET x = 3 WHERE x = 2")
    assert steps.seen(2) == "1,3"
    assert "Cannot read before" in steps.error(1)


def test_a_statement_that_fails_leaves_no_version(steps: Steps) -> None:
    steps.run("CREATE TABLE d.t AS SELECT 1 AS x")
    steps.api.query_error("UPDATE d.t SET x = DIV(1, x - 1) WHERE true")
    assert (steps.seen(1), len(steps.api.physical())) == ("1", 1)
