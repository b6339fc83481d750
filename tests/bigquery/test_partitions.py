"""Partitions by the time of loading, decorators, and partitions whose time is over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.bigquery.conftest import opened

from tule.kernel.clock import VirtualClock

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

DAY = timedelta(days=1)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
FIELDS = {"fields": [{"name": "x", "type": "INTEGER"}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQueryApi]:
    with opened(tmp_path_factory.mktemp("partitions") / "home", VirtualClock(NOON)) as made:
        yield made


@pytest.fixture
def still(server: BigQueryApi) -> Iterator[BigQueryApi]:
    """A server whose time stands still, with an empty dataset ``d``."""
    server.dataset("d")
    yield server
    server.ok("DELETE", "datasets/d?deleteContents=true")


def partitions(api: BigQueryApi, table: str) -> list[list[str]]:
    return api.rows(
        f"SELECT partition_id, total_rows FROM d.INFORMATION_SCHEMA.PARTITIONS WHERE table_name = '{table}' ORDER BY 1"
    )


def made(api: BigQueryApi, table: str, **layout: Any) -> dict[str, Any]:
    body = {"tableReference": api.reference(table), "schema": FIELDS, "timePartitioning": {"type": "DAY"}, **layout}
    answer: dict[str, Any] = api.ok("POST", "datasets/d/tables", body)
    return answer


def test_rows_get_the_partition_of_the_day_that_they_come_on(timed: BigQueryApi, clock: VirtualClock) -> None:
    assert made(timed, "t")["timePartitioning"] == {"type": "DAY"}
    timed.query("INSERT INTO d.t (x) VALUES (1), (2)")
    clock.advance(DAY)
    timed.query("INSERT INTO d.t VALUES (3)")
    timed.query("INSERT INTO d.t (x) SELECT 4")
    timed.ok("POST", "datasets/d/tables/t/insertAll", {"rows": [{"json": {"x": 5}}]})
    timed.done(
        query={"query": "SELECT 6 AS x", "destinationTable": timed.reference("t"), "writeDisposition": "WRITE_APPEND"}
    )
    timed.query("MERGE d.t USING (SELECT 7 AS x) AS s ON FALSE WHEN NOT MATCHED THEN INSERT ROW")
    timed.query("MERGE d.t USING (SELECT 8 AS x) AS s ON FALSE WHEN NOT MATCHED THEN INSERT VALUES (x)")
    assert partitions(timed, "t") == [["20261124", "2"], ["20261125", "6"]]
    assert timed.rows("SELECT * FROM d.t WHERE _PARTITIONTIME = TIMESTAMP('2026-11-24') ORDER BY x") == [["1"], ["2"]]
    assert timed.rows(
        "SELECT t.*, _PARTITIONDATE AS day FROM d.t AS t WHERE t._PARTITIONDATE > '2026-11-24' AND x > 7"
    ) == [["8", "2026-11-25"]]
    assert timed.rows("SELECT MAX(_PARTITIONTIME) IS NULL FROM d.t WHERE FALSE") == [["true"]]
    assert timed.rows("WITH a AS (SELECT _PARTITIONDATE d, * FROM d.t) SELECT d, SUM(x) FROM a GROUP BY d ORDER BY d") == [
        ["2026-11-24", "3"], ["2026-11-25", "33"],
    ]  # fmt: skip


def test_the_time_of_loading_is_written_and_moved(still: BigQueryApi) -> None:
    made(still, "t")
    still.query(
        "INSERT INTO d.t (_PARTITIONTIME, x) SELECT TIMESTAMP('2026-01-01'), 1 UNION ALL SELECT TIMESTAMP('2026-01-02'), 2"
    )
    still.query(
        "UPDATE d.t SET _PARTITIONTIME = TIMESTAMP('2026-01-03'), x = x + 1 WHERE _PARTITIONDATE = '2026-01-02'"
    )
    assert partitions(still, "t") == [["20260101", "1"], ["20260103", "1"]]
    still.query("DELETE FROM d.t WHERE _PARTITIONTIME < '2026-01-02'")
    assert still.rows("SELECT x, _PARTITIONDATE AS day FROM d.t") == [["3", "2026-01-03"]]
    error = still.query_error("INSERT INTO d.t (_PARTITIONTIME, x) VALUES ('2026-01-01 10:00:00', 1)")
    assert "beginning of a partition" in error["message"]
    error = still.query_error("UPDATE d.t SET _PARTITIONDATE = '2026-01-01' WHERE TRUE")
    assert "_PARTITIONDATE" in error["message"]
    assert partitions(still, "t") == [["20260103", "1"]]


@pytest.mark.parametrize(
    ("expression", "grain", "id"),
    [
        ("_PARTITIONDATE", "DAY", "20261124"), ("DATE(_PARTITIONTIME)", "DAY", "20261124"),
        ("TIMESTAMP_TRUNC(_PARTITIONTIME, HOUR)", "HOUR", "2026112412"),
        ("DATE_TRUNC(_PARTITIONTIME, MONTH)", "MONTH", "202611"), ("DATE_TRUNC(_PARTITIONDATE, YEAR)", "YEAR", "2026"),
    ],
)  # fmt: skip
def test_by_statement(still: BigQueryApi, expression: str, grain: str, id: str) -> None:
    still.query(f"CREATE TABLE d.t (x INT64) PARTITION BY {expression}")
    assert still.ok("GET", "datasets/d/tables/t")["timePartitioning"] == {"type": grain}
    still.query("INSERT INTO d.t (x) VALUES (1)")
    assert partitions(still, "t") == [[id, "1"]]
    ddl = still.rows("SELECT ddl FROM d.INFORMATION_SCHEMA.TABLES WHERE table_name = 't'")[0][0]
    assert ("DATE(_PARTITIONTIME)" if grain == "DAY" else f"TIMESTAMP_TRUNC(_PARTITIONTIME, {grain})") in ddl
    hidden = "SELECT column_name, is_hidden, ordinal_position FROM d.INFORMATION_SCHEMA.COLUMNS WHERE is_hidden = 'YES'"
    assert still.rows(hidden) == [["_PARTITIONTIME", "YES", None]]


def test_what_cannot_be_said(still: BigQueryApi) -> None:
    made(still, "t")
    error = still.query_error("SELECT _PARTITIONTIME FROM d.t")
    assert error["message"].startswith('Invalid field name "_PARTITIONTIME". Field names are not allowed to start with')
    assert (
        "AS query_statement"
        in still.query_error("CREATE TABLE d.u PARTITION BY _PARTITIONDATE AS SELECT 1 AS x")["message"]
    )
    still.query("CREATE TABLE d.v (x INT64)")
    assert (
        "Unrecognized name: _PARTITIONTIME"
        in still.query_error("SELECT x FROM d.v WHERE _PARTITIONTIME IS NULL")["message"]
    )
    assert "cannot include decorator" in still.query_error("SELECT x FROM `d.t$20260101`")["message"]
    assert still.error("GET", "datasets/d/tables/u")["code"] == 404


def test_rows_are_moved_with_their_time(timed: BigQueryApi, clock: VirtualClock) -> None:
    made(timed, "t")
    timed.query(
        "INSERT INTO d.t (_PARTITIONTIME, x) SELECT TIMESTAMP('2026-01-01'), 1 UNION ALL SELECT TIMESTAMP('2026-01-02'), 2"
    )
    tables = {"sourceTable": timed.reference("t"), "destinationTable": timed.reference("u")}
    timed.done(copy=tables)
    timed.query("CREATE TABLE d.v CLONE d.t")
    timed.query("CREATE TABLE d.w COPY d.t")
    timed.query("CREATE TABLE d.same LIKE d.t")
    timed.query("ALTER TABLE d.w ADD COLUMN y INT64, RENAME COLUMN x TO z")
    for table in "uvw":
        assert partitions(timed, table) == [["20260101", "1"], ["20260102", "1"]]
    assert partitions(timed, "same") == []
    assert timed.rows("SELECT z, y, _PARTITIONDATE AS d FROM d.w WHERE z = 2") == [["2", None, "2026-01-02"]]
    # What others have goes to the partition of now.
    timed.query("CREATE TABLE d.plain AS SELECT 9 AS x")
    timed.done(copy={**tables, "sourceTable": timed.reference("plain"), "writeDisposition": "WRITE_APPEND"})
    assert partitions(timed, "u") == [["20260101", "1"], ["20260102", "1"], ["20261124", "1"]]
    clock.advance(DAY)
    timed.query("UPDATE d.t SET x = 20 WHERE x = 2")
    old = "SELECT x, _PARTITIONDATE AS d FROM d.t FOR SYSTEM_TIME AS OF TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 1 HOUR)"
    assert timed.rows(f"{old} ORDER BY x") == [["1", "2026-01-01"], ["2", "2026-01-02"]]
    timed.query("CREATE ROW ACCESS POLICY p ON d.t GRANT TO ('allAuthenticatedUsers') FILTER USING (x = 1)")
    assert timed.rows("SELECT x, _PARTITIONDATE AS d FROM d.t") == [["1", "2026-01-01"]]
    assert timed.rows("SELECT x, _TABLE_SUFFIX AS s, _PARTITIONDATE AS d FROM `d.v*` WHERE x = 1") == [
        ["1", "", "2026-01-01"]
    ]


# -- decorators


def written(api: BigQueryApi, table: str, sql: str, write: str = "WRITE_TRUNCATE", **more: Any) -> dict[str, Any]:
    """The status of a query job into a table."""
    status: dict[str, Any] = api.job(
        query={"query": sql, "destinationTable": api.reference(table), "writeDisposition": write, **more}
    )["status"]
    return status


def test_a_partition_is_replaced_alone(still: BigQueryApi) -> None:
    made(still, "t")
    for day in ("20260101", "20260102"):
        assert "errorResult" not in written(still, f"t${day}", "SELECT 1 AS x UNION ALL SELECT 2", "WRITE_APPEND")
    assert "errorResult" not in written(still, "t$20260101", "SELECT 9 AS x")
    assert still.load("x\n5\n", "t$20260103", skipLeadingRows="1")["status"].get("errorResult") is None
    rows = "SELECT _PARTITIONDATE AS d, x FROM d.t ORDER BY d, x"
    assert still.rows(rows) == [["2026-01-01", "9"], ["2026-01-02", "1"], ["2026-01-02", "2"], ["2026-01-03", "5"]]
    error = written(still, "t$20260101", "SELECT 1 AS x", "WRITE_EMPTY")["errorResult"]
    assert (error["reason"], error["message"]) == ("duplicate", "Already Exists: Table test-project:d.t$20260101")
    assert "errorResult" not in written(still, "t$20260104", "SELECT 1 AS x", "WRITE_EMPTY")
    # The past is kept, and a column may come.
    assert "errorResult" not in written(
        still, "t$20260104", "SELECT 7 AS x, 'a' AS y", schemaUpdateOptions=["ALLOW_FIELD_ADDITION"]
    )
    assert still.rows(f"{rows.replace('x FROM', 'x, y FROM')} LIMIT 10")[-1] == ["2026-01-04", "7", "a"]
    assert len(still.rows(rows)) == 5


def test_rows_of_other_partitions_are_an_error(still: BigQueryApi) -> None:
    still.query("CREATE TABLE d.c (x INT64, day DATE) PARTITION BY day")
    still.query("INSERT INTO d.c VALUES (1, '2026-01-01'), (2, '2026-01-02')")
    error = written(still, "c$20260101", "SELECT 9 AS x, DATE '2026-01-02' AS day")["errorResult"]
    assert error["message"] == (
        "Some rows belong to different partitions rather than destination partition test-project:d.c$20260101"
    )
    assert still.rows("SELECT x FROM d.c ORDER BY x") == [["1"], ["2"]]
    assert "errorResult" not in written(still, "c$20260101", "SELECT 9 AS x, DATE '2026-01-01' AS day")
    assert still.rows("SELECT x FROM d.c ORDER BY x") == [["2"], ["9"]]
    assert "errorResult" not in written(still, "c$20260101", "SELECT x, day FROM d.c WHERE FALSE")
    assert partitions(still, "c") == [["20260102", "1"]]


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("c$2026", "written as YYYYMMDD"), ("c$20261399", "written as YYYYMMDD"), ("r$7", "start of a range of 10"),
        ("r$100", "start of a range of 10"), ("plain$20260101", "is not partitioned"), ("c$__NULL__", "cannot be written"),
        ("c@1000", "only be the source of a copy"), ("c$!", "Invalid table decorator"),
    ],
)  # fmt: skip
def test_partitions_that_cannot_be(still: BigQueryApi, table: str, why: str) -> None:
    still.query("CREATE TABLE d.c (x INT64, day DATE) PARTITION BY day")
    still.query("CREATE TABLE d.r (x INT64) PARTITION BY RANGE_BUCKET(x, GENERATE_ARRAY(0, 100, 10))")
    still.query("CREATE TABLE d.plain (x INT64)")
    body = {"configuration": {"query": {"query": "SELECT 1 AS x", "destinationTable": still.reference(table),
                                        "writeDisposition": "WRITE_APPEND"}}}  # fmt: skip
    status, answer = still.call("POST", "jobs", body)
    told = (
        answer["error"]["message"]
        if status >= 400
        else still.ended(answer["jobReference"]["jobId"])["status"]["errorResult"]["message"]
    )
    assert why in told


def test_partitions_are_read_copied_extracted_and_deleted(still: BigQueryApi) -> None:
    still.query("CREATE TABLE d.r (x INT64) PARTITION BY RANGE_BUCKET(x, GENERATE_ARRAY(0, 100, 10))")
    still.query("INSERT INTO d.r VALUES (1), (12), (13), (500), (NULL)")
    assert partitions(still, "r") == [["0", "1"], ["10", "2"], ["__NULL__", "1"], ["__UNPARTITIONED__", "1"]]

    def listed(table: str) -> list[Any]:
        return still.cells(still.ok("GET", f"datasets/d/tables/{table}/data"))

    assert [listed(f"r${id}") for id in ("0", "10", "20", "__NULL__", "__UNPARTITIONED__")] == [
        [["1"]], [["12"], ["13"]], [], [[None]], [["500"]],
    ]  # fmt: skip
    paged = still.ok("GET", "datasets/d/tables/r$10/data?maxResults=1")
    assert paged["totalRows"] == "2"
    assert still.cells(still.ok("GET", f"datasets/d/tables/r$10/data?pageToken={paged['pageToken']}")) == [["13"]]
    about = still.ok("GET", "datasets/d/tables/r$10")
    assert (about["id"], about["numRows"], about["numBytes"]) == ("test-project:d.r$10", "2", "16")
    still.done(copy={"sourceTable": still.reference("r$10"), "destinationTable": still.reference("s")})
    still.done(copy={"sourceTable": still.reference("r$0"), "destinationTable": still.reference("s$0")})
    assert partitions(still, "s") == [["0", "1"], ["10", "2"]]
    job = still.job(copy={"sourceTable": still.reference("r$0"), "destinationTable": still.reference("s$10"),
                          "writeDisposition": "WRITE_TRUNCATE"})  # fmt: skip
    assert "Some rows belong to different partitions" in job["status"]["errorResult"]["message"]
    still.ok("DELETE", "datasets/d/tables/r$10")
    assert partitions(still, "r") == [["0", "1"], ["__NULL__", "1"], ["__UNPARTITIONED__", "1"]]
    still.ok("DELETE", "datasets/d/tables/r$__NULL__")
    assert still.rows("SELECT x FROM d.r ORDER BY x") == [["1"], ["500"]]
    assert still.error("DELETE", "datasets/d/tables/r$7")["code"] == 400


def test_a_partition_makes_its_table(still: BigQueryApi) -> None:
    assert "errorResult" not in written(still, "m$202602", "SELECT 1 AS x", "WRITE_EMPTY")
    assert still.ok("GET", "datasets/d/tables/m")["timePartitioning"] == {"type": "MONTH"}
    assert partitions(still, "m") == [["202602", "1"]]
    more = {"timePartitioning": {"type": "DAY", "field": "d"}}
    error = written(still, "o$20260101", "SELECT DATE '2026-01-03' AS d", "WRITE_EMPTY", **more)["errorResult"]
    assert "different partitions" in error["message"]
    assert still.error("GET", "datasets/d/tables/o")["code"] == 404


def test_streamed_to_a_partition(still: BigQueryApi) -> None:
    made(still, "t")
    row = {"rows": [{"json": {"x": 1}}]}
    assert "insertErrors" not in still.ok("POST", "datasets/d/tables/t$20261120/insertAll", row)
    error = still.error("POST", "datasets/d/tables/t$20260101/insertAll", row)
    assert "outside the allowed bounds" in error["message"]
    assert partitions(still, "t") == [["20261120", "1"]]


def test_a_job_must_not_change_the_partitioning(still: BigQueryApi) -> None:
    made(still, "t")
    hour = {"timePartitioning": {"type": "HOUR"}}
    error = written(still, "t", "SELECT 1 AS x", "WRITE_APPEND", **hour)["errorResult"]
    assert error["message"] == (
        "Incompatible table partitioning specification. Expects partitioning specification interval(type:day), but input "
        "partitioning specification is interval(type:hour)"
    )
    error = written(still, "t", "SELECT 1 AS x", **hour)["errorResult"]
    assert error["message"].startswith("Cannot replace a table with a different partitioning spec.")
    assert "errorResult" not in written(still, "t", "SELECT 1 AS x", timePartitioning={"type": "DAY"})
    assert partitions(still, "t") == [["20261124", "1"]]


# -- the end of partitions


def test_partitions_whose_time_is_over_are_gone(timed: BigQueryApi, clock: VirtualClock) -> None:
    timed.query("CREATE TABLE d.e (x INT64, day DATE) PARTITION BY day OPTIONS(partition_expiration_days = 3)")
    assert timed.ok("GET", "datasets/d/tables/e")["timePartitioning"]["expirationMs"] == str(3 * 86_400_000)
    timed.query(
        "INSERT INTO d.e VALUES (0, '2026-11-01'), (1, '2026-11-22'), (2, '2026-11-23'), (3, NULL), (4, '1950-01-01')"
    )
    rows = "SELECT x FROM d.e ORDER BY x"
    assert timed.rows(rows) == [["1"], ["2"], ["3"], ["4"]]
    clock.advance(timedelta(hours=11, minutes=59))
    assert timed.rows(rows) == [["1"], ["2"], ["3"], ["4"]]
    clock.advance(timedelta(minutes=1))
    assert timed.rows(rows) == [["2"], ["3"], ["4"]]
    assert timed.rows(rows) == [["2"], ["3"], ["4"]]
    clock.advance(DAY)
    assert timed.ok("GET", "datasets/d/tables/e")["numRows"] == "2"
    assert partitions(timed, "e") == [["__NULL__", "1"], ["__UNPARTITIONED__", "1"]]
    old = "SELECT x FROM d.e FOR SYSTEM_TIME AS OF TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 30 HOUR) ORDER BY x"
    assert timed.rows(old) == [["1"], ["2"], ["3"], ["4"]]


def test_the_time_of_partitions_is_changed_and_given_by_the_dataset(timed: BigQueryApi, clock: VirtualClock) -> None:
    timed.query("CREATE SCHEMA kept OPTIONS(default_partition_expiration_days = 2, default_table_expiration_days = 1)")
    timed.query("CREATE TABLE kept.t (x INT64) PARTITION BY _PARTITIONDATE")
    timed.query("CREATE TABLE kept.plain (x INT64)")
    timed.query("INSERT INTO kept.t (x) VALUES (1)")
    table = timed.ok("GET", "datasets/kept/tables/t")
    assert table["timePartitioning"] == {"type": "DAY", "expirationMs": str(2 * 86_400_000)}
    assert "expirationTime" not in table
    assert "expirationTime" in timed.ok("GET", "datasets/kept/tables/plain")
    clock.advance(2 * DAY)
    timed.query("CREATE SNAPSHOT TABLE kept.s CLONE kept.t")
    assert timed.rows("SELECT COUNT(*) FROM kept.t") == [["0"]]
    timed.query("ALTER TABLE kept.t SET OPTIONS(partition_expiration_days = NULL)")
    assert timed.ok("GET", "datasets/kept/tables/t")["timePartitioning"] == {"type": "DAY"}
    timed.query("INSERT INTO kept.t (_PARTITIONTIME, x) VALUES ('2020-01-01', 1)")
    assert timed.rows("SELECT COUNT(*) FROM kept.t") == [["1"]]
    timed.ok("PATCH", "datasets/kept/tables/t", {"timePartitioning": {"type": "DAY", "expirationMs": "86400000"}})
    assert timed.rows("SELECT COUNT(*) FROM kept.t") == [["0"]]


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("CREATE TABLE d.x (x INT64) OPTIONS(partition_expiration_days = 3)", "must be of a table partitioned by time"),
        ("CREATE TABLE d.x (x INT64) PARTITION BY RANGE_BUCKET(x, GENERATE_ARRAY(0, 9, 1)) "
         "OPTIONS(partition_expiration_days = 3)", "must be of a table partitioned by time"),
        ("CREATE TABLE d.x (x INT64) PARTITION BY _PARTITIONDATE OPTIONS(partition_expiration_days = -1)", "not negative"),
        ("CREATE MATERIALIZED VIEW d.x PARTITION BY day OPTIONS(partition_expiration_days = 3) AS SELECT day FROM d.base",
         "partition_expiration_days"),
    ],
)  # fmt: skip
def test_times_that_partitions_cannot_have(still: BigQueryApi, sql: str, why: str) -> None:
    still.query("CREATE TABLE d.base (day DATE) PARTITION BY day")
    assert why in still.query_error(sql)["message"]
    assert still.error("GET", "datasets/d/tables/x")["code"] == 404


def test_a_filter_on_the_time_of_loading_can_be_demanded(still: BigQueryApi) -> None:
    made(still, "t", timePartitioning={"type": "DAY", "requirePartitionFilter": True})
    assert still.ok("GET", "datasets/d/tables/t")["requirePartitionFilter"] is True
    error = still.query_error("SELECT x FROM d.t")
    assert error["message"] == (
        "Cannot query over table 'test-project.d.t' without a filter over column(s) '_PARTITION_LOAD_TIME', "
        "'_PARTITIONDATE', '_PARTITIONTIME' that can be used for partition elimination"
    )
    assert still.rows("SELECT x FROM d.t WHERE _PARTITIONDATE > '2020-01-01'") == []
    still.query_error("DELETE FROM d.t WHERE x = 1")
    still.query("DELETE FROM d.t WHERE _PARTITIONTIME > '2020-01-01'")
    still.query(
        "CREATE TABLE d.r (x INT64) PARTITION BY RANGE_BUCKET(x, GENERATE_ARRAY(0, 9, 1)) "
        "OPTIONS(require_partition_filter = true)"
    )
    assert "'x'" in still.query_error("SELECT * FROM d.r")["message"]
    assert still.rows("SELECT * FROM d.r WHERE x < 3") == []


def test_a_table_as_it_was_is_listed_and_extracted(timed: BigQueryApi, clock: VirtualClock) -> None:
    timed.query("CREATE TABLE d.t AS SELECT 1 AS x")
    was = int(clock.now().timestamp() * 1000)
    clock.advance(DAY)
    timed.query("UPDATE d.t SET x = 2 WHERE TRUE")
    assert timed.cells(timed.ok("GET", f"datasets/d/tables/t@{was}/data")) == [["1"]]
    assert timed.cells(timed.ok("GET", "datasets/d/tables/t@-3600000/data")) == [["1"]]
    assert timed.cells(timed.ok("GET", "datasets/d/tables/t/data")) == [["2"]]
    error = timed.error("GET", "datasets/d/tables/t@1000/data")
    assert "Invalid snapshot time" in error["message"]
    assert "only be the source of a copy" in timed.error("DELETE", f"datasets/d/tables/t@{was}")["message"]
    timed.query("CREATE ROW ACCESS POLICY p ON d.t GRANT TO ('user:a@b.c') FILTER USING (TRUE)")
    assert timed.error("GET", f"datasets/d/tables/t@{was}/data")["code"] == 403


def test_a_transaction_goes_on_without_rows_of_no_partition(still: BigQueryApi) -> None:
    made(still, "t")
    still.query(
        "BEGIN BEGIN TRANSACTION; INSERT INTO d.t (x) VALUES (1); "
        "INSERT INTO d.t (_PARTITIONTIME, x) VALUES ('2026-01-01 10:00:00', 2); COMMIT TRANSACTION; "
        "EXCEPTION WHEN ERROR THEN COMMIT TRANSACTION; END"
    )
    assert still.rows("SELECT x, _PARTITIONDATE AS d FROM d.t") == [["1", "2026-11-24"]]
