"""APPENDS and CHANGES: the rows that a table got, changed and lost between two moments."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.bigquery.conftest import BigQueryApi

from tule.kernel.clock import VirtualClock

MINUTE = timedelta(minutes=1)
SETUP = (
    "CREATE TABLE d.t (product STRING, stock INT64) OPTIONS (enable_change_history = TRUE)",
    "INSERT d.t VALUES ('bananas', 20), ('carrots', 30)",
    "INSERT d.t VALUES ('kale', 5)",
    "UPDATE d.t SET stock = 6 WHERE product = 'kale'",
    "DELETE FROM d.t WHERE product = 'bananas'",
    "MERGE d.t USING (SELECT 'leeks' AS p) ON product = p WHEN NOT MATCHED THEN INSERT VALUES (p, 1)",
    "ALTER TABLE d.t ADD COLUMN color STRING",
    "INSERT d.t VALUES ('plums', 2, 'blue')",
    "TRUNCATE TABLE d.t",
)
"""The moment just before the n-th statement is ``moments[n]``."""


@pytest.fixture
def moments(timed: BigQueryApi, clock: VirtualClock) -> list[str]:
    found = []
    for each in SETUP:
        clock.advance(MINUTE)
        found.append(f"TIMESTAMP '{clock.now().isoformat()}'")
        clock.advance(MINUTE)
        timed.query(each)
    clock.advance(11 * MINUTE)
    found.append(f"TIMESTAMP_SUB(TIMESTAMP '{clock.now().isoformat()}', INTERVAL 10 MINUTE)")
    return found


def appended(api: BigQueryApi, start: str, end: str = "NULL") -> list[str]:
    sql = f"SELECT product FROM APPENDS(TABLE d.t, {start}, {end}) ORDER BY _CHANGE_TIMESTAMP, product"
    return [product for (product,) in api.rows(sql)]


def changed(api: BigQueryApi, start: str, end: str) -> list[tuple[str, ...]]:
    return [
        tuple(row)
        for row in api.rows(
            "SELECT _CHANGE_TYPE AS what, product, stock, color "
            f"FROM CHANGES(TABLE d.t, start_timestamp => {start}, end_timestamp => {end}) AS c "
            "ORDER BY _CHANGE_TIMESTAMP, product"
        )
    ]


def test_rows_that_were_added_stay_in_appends(timed: BigQueryApi, moments: list[str]) -> None:
    assert appended(timed, "NULL") == ["bananas", "carrots", "kale", "leeks", "plums"]
    assert appended(timed, moments[2]) == ["kale", "leeks", "plums"]
    assert appended(timed, "NULL", moments[2]) == ["bananas", "carrots"]
    assert appended(timed, moments[3], moments[5]) == []
    values = timed.rows(
        "SELECT stock, color, _CHANGE_TYPE AS what FROM APPENDS(TABLE d.t, NULL, NULL) WHERE product IN ('kale', 'plums') "
        "ORDER BY product"
    )
    assert values == [["5", None, "INSERT"], ["2", "blue", "INSERT"]]


def test_changes_tell_what_happened_to_each_row(timed: BigQueryApi, moments: list[str]) -> None:
    assert changed(timed, moments[0], moments[9]) == [
        ("INSERT", "bananas", "20", None),
        ("INSERT", "carrots", "30", None),
        ("INSERT", "kale", "5", None),
        ("UPDATE", "kale", "6", None),
        ("DELETE", "bananas", "20", None),
        ("INSERT", "leeks", "1", None),
        ("INSERT", "plums", "2", "blue"),
        ("DELETE", "carrots", "30", None),
        ("DELETE", "kale", "6", None),
        ("DELETE", "leeks", "1", None),
        ("DELETE", "plums", "2", "blue"),
    ]
    assert changed(timed, moments[3], moments[4]) == [("UPDATE", "kale", "6", None)]
    assert changed(timed, moments[6], moments[7]) == []


def test_rows_that_a_job_replaces_are_deleted_and_inserted(timed: BigQueryApi, clock: VirtualClock) -> None:
    timed.query("CREATE TABLE d.t (product STRING, stock INT64, color STRING) OPTIONS (enable_change_history = TRUE)")
    clock.advance(MINUTE)
    timed.query("INSERT d.t VALUES ('a', 1, 'x')")
    clock.advance(MINUTE)
    start = f"TIMESTAMP '{clock.now().isoformat()}'"
    clock.advance(MINUTE)
    timed.done(
        query={
            "query": "SELECT 'b' AS product, 2 AS stock, 'y' AS color",
            "useLegacySql": False,
            "destinationTable": timed.reference("t"),
            "writeDisposition": "WRITE_TRUNCATE",
        }
    )
    clock.advance(11 * MINUTE)
    end = f"TIMESTAMP_SUB(TIMESTAMP '{clock.now().isoformat()}', INTERVAL 10 MINUTE)"
    assert changed(timed, start, end) == [("DELETE", "a", "1", "x"), ("INSERT", "b", "2", "y")]
    assert appended(timed, "NULL") == ["a", "b"]


def test_another_table_of_the_name_is_another_history(timed: BigQueryApi, clock: VirtualClock) -> None:
    timed.query("CREATE TABLE d.t AS SELECT 'old' AS product")
    clock.advance(MINUTE)
    timed.query("DROP TABLE d.t")
    clock.advance(MINUTE)
    timed.query("CREATE TABLE d.t AS SELECT 'new' AS product")
    assert appended(timed, "NULL") == ["new"]


def test_what_cannot_be_told_is_an_error(timed: BigQueryApi, clock: VirtualClock, moments: list[str]) -> None:
    day = "TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 25 HOUR)"
    for sql, message in (
        (f"SELECT product FROM CHANGES(TABLE d.t, NULL, {moments[9]})", "not NULL"),
        (f"SELECT product FROM CHANGES(TABLE d.t, {moments[0]}, CURRENT_TIMESTAMP())", "ten minutes before now"),
        (f"SELECT product FROM CHANGES(TABLE d.t, {day}, {moments[9]})", "one day at most"),
        ("SELECT product FROM APPENDS(d.t, NULL, NULL)", "APPENDS takes TABLE name"),
        ("SELECT x FROM APPENDS(TABLE d.nothing, NULL, NULL)", "Not found: Table"),
        ("SELECT product FROM APPENDS(TABLE d.t, at => NULL)", "given: at"),
        ("SELECT * FROM APPENDS(TABLE d.t, NULL, NULL)", 'Invalid field name "_CHANGE_TYPE"'),
    ):
        assert message in str(timed.query_error(sql)["message"])
    timed.query("ALTER TABLE d.t SET OPTIONS (enable_change_history = FALSE)")
    sql = f"SELECT product FROM CHANGES(TABLE d.t, {moments[0]}, {moments[9]})"
    assert "enable_change_history" in str(timed.query_error(sql)["message"])
    timed.query("CREATE VIEW d.v AS SELECT 1 AS x")
    assert "must be of a table" in str(timed.query_error("SELECT x FROM APPENDS(TABLE d.v)")["message"])
    clock.advance(timedelta(days=8))
    assert "Invalid time travel timestamp" in str(
        timed.query_error("SELECT product FROM APPENDS(TABLE d.t, NULL, NULL)")["message"]
    )


def test_a_merge_that_changes_and_adds_is_refused_by_name(timed: BigQueryApi, clock: VirtualClock) -> None:
    timed.query("CREATE TABLE d.t AS SELECT 'a' AS product, 1 AS stock")
    clock.advance(MINUTE)
    timed.query(
        "MERGE d.t USING (SELECT 'a' AS p UNION ALL SELECT 'b') ON product = p WHEN MATCHED THEN UPDATE SET stock = 2 "
        "WHEN NOT MATCHED THEN INSERT VALUES (p, 3)"
    )
    error = timed.query_error("SELECT product FROM APPENDS(TABLE d.t, NULL, NULL)")
    assert "APPENDS over a MERGE that both removed or changed rows and added some" in str(error["message"])
