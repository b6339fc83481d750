"""Tables and views over REST: schemas, changes, expiration, rows and streaming inserts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tule.kernel.clock import VirtualClock

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

COLUMNS = [
    {"name": "id", "type": "INTEGER", "mode": "REQUIRED"},
    {"name": "name", "type": "STRING", "mode": "NULLABLE", "description": "who"},
    {"name": "tags", "type": "STRING", "mode": "REPEATED"},
    {
        "name": "place", "type": "RECORD", "mode": "NULLABLE",
        "fields": [
            {"name": "city", "type": "STRING", "mode": "NULLABLE"},
            {"name": "at", "type": "TIMESTAMP", "mode": "NULLABLE"},
        ],
    },
]  # fmt: skip


def table(api: BigQueryApi, name: str, fields: list[dict[str, Any]] | None = None, **more: Any) -> str:
    body = {"tableReference": api.reference(name), "schema": {"fields": fields or COLUMNS}, **more}
    api.ok("POST", "datasets/d/tables", body)
    return f"datasets/d/tables/{name}"


# -- resources


def test_a_table_from_creation_to_deletion(api: BigQueryApi) -> None:
    path = table(api, "life", labels={"a": "b"}, description="Text")
    made = api.ok("GET", path)
    assert made["schema"]["fields"] == COLUMNS
    assert (made["type"], made["numRows"], made["numBytes"], made["location"]) == ("TABLE", "0", "0", "US")
    listed = api.ok("GET", "datasets/d/tables")["tables"]
    assert [each["labels"] for each in listed if each["tableReference"]["tableId"] == "life"] == [{"a": "b"}]
    changed = api.ok("PATCH", path, {"description": None, "friendlyName": "Name", "labels": {"a": None, "c": "d"}})
    assert ("description" in changed, changed["friendlyName"], changed["labels"]) == (False, "Name", {"c": "d"})
    before = api.physical()
    assert api.call("DELETE", path) == (204, {})
    assert api.error("GET", path)["message"] == "Not found: Table test-project:d.life"
    # What it was stays, for time travel.
    assert api.physical() == before


def test_errors_name_what_is_missing(api: BigQueryApi) -> None:
    assert api.error("GET", "datasets/no/tables/t")["message"] == "Not found: Dataset test-project:no"
    assert api.error("GET", "datasets/no/tables")["message"] == "Not found: Dataset test-project:no"
    assert api.error("DELETE", "datasets/d/tables/no")["message"] == "Not found: Table test-project:d.no"
    assert api.query_error("SELECT * FROM d.no") == {
        "code": 404, "reason": "notFound", "message": "Not found: Table test-project:d.no was not found in location US",
    }  # fmt: skip
    assert api.query_error("SELECT * FROM no.t")["message"] == (
        "Not found: Dataset test-project:no was not found in location US"
    )


def test_a_taken_name(api: BigQueryApi) -> None:
    table(api, "taken")
    before = api.physical()
    error = api.error(
        "POST", "datasets/d/tables", {"tableReference": api.reference("taken"), "schema": {"fields": COLUMNS}}
    )
    assert error == {"code": 409, "reason": "duplicate", "message": "Already Exists: Table test-project:d.taken"}
    assert api.physical() == before


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"name": "a"}, "Invalid value for type"),
        ({"name": "a", "type": "NUMBER"}, "Invalid value for type: 'NUMBER' is not a valid value; field: a"),
        ({"name": "a", "type": "STRING", "mode": "SOMETIMES"}, "Invalid value for mode"),
        ({"name": "a b$", "type": "STRING"}, 'Invalid field name "a b$"'),
        ({"name": "_TABLE_x", "type": "STRING"}, "reserved prefix"),
        ({"name": "a", "type": "RECORD"}, "Field a is type RECORD but has no schema"),
        ({"name": "ID", "type": "STRING"}, "Duplicate field name: ID"),
    ],
    ids=["untyped", "type", "mode", "name", "reserved", "record", "duplicate"],
)
def test_schemas_that_cannot_be(api: BigQueryApi, field: dict[str, Any], message: str) -> None:
    fields = [{"name": "id", "type": "INTEGER"}, field]
    before = api.physical()
    error = api.error(
        "POST", "datasets/d/tables", {"tableReference": api.reference("bad"), "schema": {"fields": fields}}
    )
    assert (error["code"], error["reason"]) == (400, "invalid")
    assert message in error["message"]
    assert api.physical() == before


@pytest.mark.parametrize(("attribute", "value"), [("policyTags", {"names": ["x"]}), ("categories", {"names": ["x"]})])
def test_attributes_of_fields_that_are_not_done_are_refused_by_name(
    api: BigQueryApi, attribute: str, value: Any
) -> None:
    fields = [{"name": "id", "type": "STRING", attribute: value}]
    error = api.error(
        "POST", "datasets/d/tables", {"tableReference": api.reference("bad"), "schema": {"fields": fields}}
    )
    assert (error["code"], error["reason"]) == (501, "notImplemented")
    assert f"{attribute} of field id" in error["message"]


def test_schema_changes(api: BigQueryApi) -> None:
    path = table(api, "changing")
    api.query("INSERT INTO d.changing (id, name) VALUES (1, 'a')")
    relaxed = [{**COLUMNS[0], "mode": "NULLABLE"}, *COLUMNS[1:], {"name": "extra", "type": "FLOAT", "mode": "NULLABLE"}]
    changed = api.ok("PATCH", path, {"schema": {"fields": relaxed}})
    assert changed["schema"]["fields"] == relaxed
    assert api.rows("SELECT id, name, extra FROM d.changing") == [["1", "a", None]]
    for fields, message in (
        (relaxed[:-1], "Field extra is missing in new schema"),
        ([{**relaxed[0], "type": "STRING"}, *relaxed[1:]], "Field id has changed type from INTEGER to STRING"),
        ([{**relaxed[0], "mode": "REQUIRED"}, *relaxed[1:]], "Field id has changed mode from NULLABLE to REQUIRED"),
        ([*relaxed, {"name": "r", "type": "STRING", "mode": "REQUIRED"}], "Cannot add required fields"),
    ):
        error = api.error("PATCH", path, {"schema": {"fields": fields}})
        assert (error["code"], error["reason"]) == (400, "invalid")
        assert f"Provided Schema does not match Table test-project:d.changing. {message}" in error["message"]
    assert api.ok("GET", path)["schema"]["fields"] == relaxed


def test_what_is_answered_can_be_sent_back(api: BigQueryApi) -> None:
    path = table(api, "back", clustering={"fields": ["id"]}, labels={"a": "b"}, description="Text")
    api.query("INSERT INTO d.back (id) VALUES (1)")
    api.query("CREATE VIEW d.back_view AS SELECT id FROM d.back")
    api.dataset("back", description="Text", labels={"a": "b"})
    for each in (path, "datasets/d/tables/back_view", "datasets/back"):
        found = api.ok("GET", each)
        assert api.ok("PUT", each, found) == found
        assert api.ok("PATCH", each, found) == found
    assert api.rows("SELECT id FROM d.back_view") == [["1"]]


def test_a_stale_etag(api: BigQueryApi) -> None:
    path = table(api, "staled")
    old = api.ok("GET", path)["etag"]
    api.ok("PATCH", path, {"description": "a"}, headers={"If-Match": old})
    status, answer = api.call("PATCH", path, {"description": "b"}, headers={"If-Match": old})
    assert (status, answer["error"]["errors"][0]["reason"]) == (412, "conditionNotMet")
    assert api.ok("GET", path)["description"] == "a"


def test_rows_give_a_table_a_new_etag(api: BigQueryApi) -> None:
    path = table(api, "etag", [{"name": "a", "type": "INTEGER"}])
    before = api.ok("GET", path)
    api.query("INSERT INTO d.etag VALUES (1)")
    after = api.ok("GET", path)
    assert after["etag"] != before["etag"]
    assert (after["numRows"], after["numBytes"]) == ("1", "8")


def test_layouts(api: BigQueryApi) -> None:
    path = table(
        api, "laid", [{"name": "day", "type": "DATE"}, {"name": "kind", "type": "STRING"}],
        timePartitioning={"type": "DAY", "field": "day"}, clustering={"fields": ["kind"]},
    )  # fmt: skip
    made = api.ok("GET", path)
    assert (made["timePartitioning"], made["clustering"]) == ({"type": "DAY", "field": "day"}, {"fields": ["kind"]})
    error = api.error("PATCH", path, {"timePartitioning": {"type": "MONTH", "field": "day"}})
    assert error["message"] == "Cannot change partitioning/clustering spec for a partitioned/clustered table"
    error = api.error(
        "POST", "datasets/d/tables",
        {
            "tableReference": api.reference("bad"), "schema": {"fields": [{"name": "a", "type": "FLOAT"}]},
            "clustering": {"fields": ["b"]},
        },
    )  # fmt: skip
    assert "Invalid field: b." in error["message"]
    api.query("CREATE TABLE d.laid_in_sql (ts TIMESTAMP, k INT64) PARTITION BY TIMESTAMP_TRUNC(ts, HOUR) CLUSTER BY k")
    made = api.ok("GET", "datasets/d/tables/laid_in_sql")
    assert (made["timePartitioning"], made["clustering"]) == ({"type": "HOUR", "field": "ts"}, {"fields": ["k"]})
    api.query("CREATE TABLE d.ranged (k INT64) PARTITION BY RANGE_BUCKET(k, GENERATE_ARRAY(0, 100, 10))")
    bounds = {"start": "0", "end": "100", "interval": "10"}
    assert api.ok("GET", "datasets/d/tables/ranged")["rangePartitioning"] == {"field": "k", "range": bounds}


def test_views(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.base AS SELECT 1 AS a, 'x' AS b")
    made = api.ok(
        "POST", "datasets/d/tables",
        {
            "tableReference": api.reference("seen"),
            "view": {"query": "SELECT a + 1 AS next FROM d.base", "useLegacySql": False},
            "schema": {"fields": [{"name": "next", "type": "INTEGER", "description": "one more"}]},
        },
    )  # fmt: skip
    assert made["type"] == "VIEW"
    assert made["schema"]["fields"] == [
        {"name": "next", "type": "INTEGER", "mode": "NULLABLE", "description": "one more"}
    ]
    assert api.rows("SELECT next FROM d.seen") == [["2"]]
    api.query("INSERT INTO d.base VALUES (5, 'y')")
    assert api.rows("SELECT next FROM d.seen ORDER BY next") == [["2"], ["6"]]
    changed = api.ok(
        "PATCH", "datasets/d/tables/seen", {"view": {"query": "SELECT b FROM d.base", "useLegacySql": False}}
    )
    assert [each["name"] for each in changed["schema"]["fields"]] == ["b"]
    error = api.error("GET", "datasets/d/tables/seen/data")
    assert "is not allowed for this operation because it is currently a VIEW." in error["message"]
    error = api.query_error("INSERT INTO d.seen VALUES ('z')")
    assert "currently a VIEW" in error["message"]
    error = api.error(
        "POST", "datasets/d/tables",
        {"tableReference": api.reference("broken"), "view": {"query": "SELECT no FROM d.base", "useLegacySql": False}},
    )  # fmt: skip
    assert (error["code"], error["message"].split(" at ")[0]) == (400, "Unrecognized name: no")
    api.query("CREATE OR REPLACE VIEW d.seen AS SELECT COUNT(*) AS n FROM d.base")
    assert api.rows("SELECT n FROM d.seen") == [["2"]]
    assert api.query_error("DROP TABLE d.seen")["code"] == 400
    api.query("DROP VIEW d.seen")
    assert api.error("GET", "datasets/d/tables/seen")["code"] == 404


def test_tables_vanish_at_their_time(timed: BigQueryApi, clock: VirtualClock) -> None:
    soon = str(int((clock.now() + timedelta(hours=2)).timestamp() * 1000))
    path = table(timed, "short", expirationTime=soon)
    timed.ok("PATCH", "datasets/d", {"defaultTableExpirationMs": str(4 * 3_600_000)})
    timed.query("CREATE TABLE d.longer AS SELECT 1 AS a")
    assert timed.ok("GET", path)["expirationTime"] == soon
    clock.advance(timedelta(hours=3))
    assert timed.error("GET", path)["code"] == 404
    assert timed.query_error("SELECT * FROM d.short")["code"] == 404
    assert [each["tableReference"]["tableId"] for each in timed.ok("GET", "datasets/d/tables")["tables"]] == ["longer"]
    table(timed, "short")
    clock.advance(timedelta(hours=9))
    assert timed.query_error("SELECT * FROM d.longer")["code"] == 404
    assert timed.physical() == timed.warehouse.tables.physical_names("test-project")
    error = timed.error("PATCH", path, {"expirationTime": "1"})
    assert error["message"] in ("Not found: Table test-project:d.short",) or "in the future" in error["message"]


def test_pages_of_tables(api: BigQueryApi) -> None:
    api.dataset("many")
    for index in range(5):
        api.query(f"CREATE TABLE many.t{index} (a INT64)")
    first = api.ok("GET", "datasets/many/tables", params={"maxResults": "2"})
    assert ([each["tableReference"]["tableId"] for each in first["tables"]], first["totalItems"]) == (["t0", "t1"], 5)
    rest = api.ok("GET", "datasets/many/tables", params={"pageToken": first["nextPageToken"]})
    assert [each["tableReference"]["tableId"] for each in rest["tables"]] == ["t2", "t3", "t4"]


def test_copies(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.one AS SELECT 1 AS a")
    api.query("CREATE TABLE d.two AS SELECT 2 AS a")

    def copy(**more: Any) -> dict[str, Any]:
        return api.job(copy={"destinationTable": api.reference("copied"), **more})

    job = copy(sourceTable=api.reference("one"))
    assert (job["status"], job["statistics"]["copy"]["copiedRows"]) == ({"state": "DONE"}, "1")
    assert copy(sourceTable=api.reference("one"))["status"]["errorResult"]["reason"] == "duplicate"
    copy(sourceTables=[api.reference("one"), api.reference("two")], writeDisposition="WRITE_APPEND")
    assert api.rows("SELECT a FROM d.copied ORDER BY a") == [["1"], ["1"], ["2"]]
    copy(sourceTable=api.reference("two"), writeDisposition="WRITE_TRUNCATE")
    assert api.rows("SELECT a FROM d.copied") == [["2"]]
    missing = copy(sourceTable=api.reference("none"), writeDisposition="WRITE_TRUNCATE")
    assert missing["status"]["errorResult"]["message"] == "Not found: Table test-project:d.none"
    assert api.rows("SELECT a FROM d.copied") == [["2"]]


# -- definitions in SQL


def test_tables_in_sql(api: BigQueryApi) -> None:
    job = api.done(
        query={
            "query": "CREATE TABLE d.made (a INT64 NOT NULL OPTIONS (description = 'key'), b ARRAY<STRING>, "
            "c STRUCT<x FLOAT64, y DATE>) OPTIONS (description = 'Text', labels = [('k', 'v')])",
            "useLegacySql": False,
        }
    )
    query = job["statistics"]["query"]
    assert (query["statementType"], query["ddlOperationPerformed"], query["ddlTargetTable"]) == (
        "CREATE_TABLE", "CREATE", api.reference("made"),
    )  # fmt: skip
    made = api.ok("GET", "datasets/d/tables/made")
    assert (made["description"], made["labels"]) == ("Text", {"k": "v"})
    assert [(each["name"], each["type"], each["mode"]) for each in made["schema"]["fields"]] == [
        ("a", "INTEGER", "REQUIRED"), ("b", "STRING", "REPEATED"), ("c", "RECORD", "NULLABLE"),
    ]  # fmt: skip
    assert made["schema"]["fields"][0]["description"] == "key"
    assert api.query_error("CREATE TABLE d.made (a INT64)")["message"] == "Already Exists: Table test-project:d.made"
    skipped = api.done(query={"query": "CREATE TABLE IF NOT EXISTS d.made (z INT64)", "useLegacySql": False})
    assert skipped["statistics"]["query"]["ddlOperationPerformed"] == "SKIP"
    api.query("CREATE OR REPLACE TABLE d.made AS SELECT 1 AS z")
    assert api.rows("SELECT * FROM d.made") == [["1"]]
    api.query("CREATE TABLE d.made_like LIKE d.made")
    api.query("CREATE TABLE d.made_copy COPY d.made")
    assert (api.rows("SELECT z FROM d.made_like"), api.rows("SELECT z FROM d.made_copy")) == ([], [["1"]])
    api.query("DROP TABLE d.made")
    assert api.query_error("DROP TABLE d.made")["message"] == (
        "Not found: Table test-project:d.made was not found in location US"
    )
    api.query("DROP TABLE IF EXISTS d.made")


def test_tables_altered_in_sql(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.altered AS SELECT 1 AS a, 'x' AS b")
    api.query("ALTER TABLE d.altered ADD COLUMN c FLOAT64, ADD COLUMN IF NOT EXISTS a INT64")
    api.query("ALTER TABLE d.altered RENAME COLUMN b TO text")
    api.query("INSERT INTO d.altered (a, text, c) VALUES (2, 'y', 2.5)")
    assert api.rows("SELECT a, text, c FROM d.altered ORDER BY a") == [["1", "x", None], ["2", "y", "2.5"]]
    api.query("ALTER TABLE d.altered DROP COLUMN text")
    assert api.rows("SELECT * FROM d.altered ORDER BY a") == [["1", None], ["2", "2.5"]]
    api.query("ALTER TABLE d.altered SET OPTIONS (description = 'Text')")
    assert api.ok("GET", "datasets/d/tables/altered")["description"] == "Text"
    api.query("ALTER TABLE d.altered RENAME TO renamed")
    assert api.rows("SELECT COUNT(*) FROM d.renamed") == [["2"]]
    assert api.query_error("SELECT * FROM d.altered")["code"] == 404
    for sql, message in (
        ("ALTER TABLE d.renamed DROP COLUMN nothing", "Column not found: nothing"),
        ("ALTER TABLE d.renamed ADD COLUMN a STRING", "Column already exists: a"),
        ("ALTER TABLE d.renamed ADD COLUMN r STRING NOT NULL", "Cannot add required columns to an existing table."),
        ("ALTER TABLE d.none ADD COLUMN r STRING", "Not found: Table test-project:d.none"),
    ):
        assert message in api.query_error(sql)["message"]


def test_changes_of_rows(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.changes AS SELECT x AS a, 'n' AS b FROM UNNEST([1, 2, 3, 4]) AS x")

    def changed(sql: str) -> tuple[str, dict[str, str]]:
        query = api.done(query={"query": sql, "useLegacySql": False})["statistics"]["query"]
        return query["numDmlAffectedRows"], query["dmlStats"]

    assert changed("UPDATE d.changes SET b = 'u' WHERE a > 2") == ("2", {"updatedRowCount": "2"})
    assert changed("DELETE FROM d.changes WHERE a = 1") == ("1", {"deletedRowCount": "1"})
    assert changed("INSERT INTO d.changes SELECT a + 10, b FROM d.changes") == ("3", {"insertedRowCount": "3"})
    assert changed("TRUNCATE TABLE d.changes")[1] == {"deletedRowCount": "6"}
    assert api.rows("SELECT COUNT(*) FROM d.changes") == [["0"]]
    error = api.query_error("INSERT INTO d.changes (a) VALUES ('text')")
    assert (error["code"], error["reason"]) == (400, "invalidQuery")
    assert api.query_error("UPDATE d.changes SET z = 1 WHERE TRUE")["reason"] == "invalidQuery"
    assert api.query_error("DELETE FROM d.nothing WHERE TRUE")["code"] == 404


def test_a_required_column_takes_no_null(api: BigQueryApi) -> None:
    table(api, "required")
    error = api.query_error("INSERT INTO d.required (name) VALUES ('x')")
    assert (error["code"], error["message"]) == (400, "Required field id cannot be null")
    assert api.rows("SELECT * FROM d.required") == []


def test_wildcard_tables(api: BigQueryApi) -> None:
    api.dataset("wild")
    for year in ("2023", "2024"):
        api.query(f"CREATE TABLE wild.sales_{year} AS SELECT {year} AS y")
    api.query("CREATE TABLE wild.other AS SELECT 1 AS y")
    assert api.rows("SELECT y, _TABLE_SUFFIX AS s FROM `wild.sales_*` ORDER BY y") == [
        ["2023", "2023"],
        ["2024", "2024"],
    ]
    assert api.rows("SELECT y FROM `wild.sales_*` WHERE _TABLE_SUFFIX = '2024'") == [["2024"]]
    error = api.query_error("SELECT * FROM `wild.none_*`")
    assert (error["code"], error["message"]) == (404, "test-project:wild.none_* does not match any table.")


def test_the_information_schema(api: BigQueryApi) -> None:
    api.dataset("informed")
    api.query("CREATE TABLE informed.t (a INT64 NOT NULL, b ARRAY<STRUCT<x STRING>>)")
    api.query("CREATE VIEW informed.v AS SELECT a FROM informed.t")
    assert api.rows("SELECT table_name, table_type FROM informed.INFORMATION_SCHEMA.TABLES ORDER BY 1") == [
        ["t", "BASE TABLE"], ["v", "VIEW"],
    ]  # fmt: skip
    assert api.rows(
        "SELECT column_name, ordinal_position, is_nullable, data_type FROM informed.INFORMATION_SCHEMA.COLUMNS "
        "WHERE table_name = 't' ORDER BY ordinal_position"
    ) == [["a", "1", "NO", "INT64"], ["b", "2", "YES", "ARRAY<STRUCT<x STRING>>"]]
    assert api.rows("SELECT view_definition FROM `test-project`.informed.INFORMATION_SCHEMA.VIEWS") == [
        ["SELECT a FROM informed.t"]
    ]
    error = api.query_error("SELECT * FROM informed.INFORMATION_SCHEMA.NOTHING")
    assert (error["code"], error["reason"]) == (404, "notFound")


def test_the_public_penguins(api: BigQueryApi) -> None:
    assert api.rows(
        "SELECT species, COUNT(*) FROM `bigquery-public-data.ml_datasets.penguins` GROUP BY species ORDER BY species"
    ) == [
        ["Adelie Penguin (Pygoscelis adeliae)", "152"],
        ["Chinstrap penguin (Pygoscelis antarctica)", "68"],
        ["Gentoo penguin (Pygoscelis papua)", "124"],
    ]
    path = "/bigquery/v2/projects/bigquery-public-data/datasets/ml_datasets/tables/penguins"
    found = api.ok("GET", path)
    assert (found["numRows"], found["tableReference"]["projectId"]) == ("344", "bigquery-public-data")
    page = api.ok("GET", f"{path}/data", params={"maxResults": "2"})
    assert (page["totalRows"], len(page["rows"])) == ("344", 2)


# -- rows


def test_pages_of_rows(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.paged AS SELECT x AS a, x * 2 AS b FROM UNNEST(GENERATE_ARRAY(1, 10)) AS x")
    path = "datasets/d/tables/paged/data"
    first = api.ok("GET", path, params={"maxResults": "4"})
    second = api.ok("GET", path, params={"maxResults": "4", "pageToken": first["pageToken"]})
    third = api.ok("GET", path, params={"maxResults": "4", "pageToken": second["pageToken"]})
    assert "pageToken" not in third
    rows = [row for answer in (first, second, third) for row in api.cells(answer)]
    assert sorted(rows, key=lambda row: int(row[0])) == [[str(x), str(2 * x)] for x in range(1, 11)]
    assert len(api.cells(api.ok("GET", path, params={"selectedFields": "b", "maxResults": "1"}))[0]) == 1
    assert len(api.ok("GET", path, params={"startIndex": "8"})["rows"]) == 2
    assert "No such field: z" in api.error("GET", path, params={"selectedFields": "z"})["message"]
    api.query("TRUNCATE TABLE d.paged")
    assert "rows" not in api.ok("GET", path)


def test_selected_parts_of_records(api: BigQueryApi) -> None:
    path = table(api, "parts")
    api.query("INSERT INTO d.parts (id, tags, place) VALUES (1, ['a', 'b'], STRUCT('Rome', NULL))")
    assert api.cells(api.ok("GET", f"{path}/data")) == [["1", None, ["a", "b"], ["Rome", None]]]
    error = api.query_error("INSERT INTO d.parts (id, place) VALUES (2, STRUCT('Rome'))")
    assert (error["code"], error["reason"]) == (400, "invalidQuery")
    assert "cannot be inserted into column place, which has type STRUCT<city STRING, at TIMESTAMP>" in error["message"]
    assert api.cells(api.ok("GET", f"{path}/data", params={"selectedFields": "place.city,id"})) == [["1", ["Rome"]]]


def insert(api: BigQueryApi, name: str, rows: list[Any], **more: Any) -> dict[str, Any]:
    return api.ok("POST", f"datasets/d/tables/{name}/insertAll", {"rows": rows, **more})


def test_streamed_rows(api: BigQueryApi) -> None:
    table(api, "streamed")
    rows = [
        {"insertId": "1", "json": {"id": 1, "name": "a", "tags": ["x"], "place": {"city": "Rome", "at": "2024-01-02"}}},
        {"json": {"id": "2", "NAME": "b", "place": {"at": 1704164645.5}}},
    ]
    assert insert(api, "streamed", rows) == {"kind": "bigquery#tableDataInsertAllResponse"}
    assert api.rows("SELECT id, name, ARRAY_LENGTH(tags), place.city FROM d.streamed ORDER BY id") == [
        ["1", "a", "1", "Rome"], ["2", "b", "0", None],
    ]  # fmt: skip
    assert insert(api, "streamed", rows[:1]) == {"kind": "bigquery#tableDataInsertAllResponse"}
    assert api.rows("SELECT COUNT(*) FROM d.streamed") == [["2"]]


def test_an_insert_id_within_one_request(api: BigQueryApi) -> None:
    table(api, "twice", [{"name": "a", "type": "INTEGER"}])
    insert(api, "twice", [{"insertId": "k", "json": {"a": 1}}, {"insertId": "k", "json": {"a": 1}}])
    assert api.rows("SELECT a FROM d.twice") == [["1"]]


def test_bad_rows_of_a_stream(api: BigQueryApi) -> None:
    table(api, "strict")
    rows = [{"json": {"id": 1}}, {"json": {"id": "x"}}, {"json": {"name": "n"}}, {"json": {"id": 2, "z": 1}}]
    refused = insert(api, "strict", rows)["insertErrors"]
    assert [(each["index"], each["errors"][0]["reason"], each["errors"][0]["location"]) for each in refused] == [
        (0, "stopped", ""), (1, "invalid", "id"), (2, "invalid", "id"), (3, "invalid", "z"),
    ]  # fmt: skip
    assert "no such field: z." in refused[3]["errors"][0]["message"]
    assert api.rows("SELECT COUNT(*) FROM d.strict") == [["0"]]
    refused = insert(api, "strict", rows, skipInvalidRows=True, ignoreUnknownValues=True)["insertErrors"]
    assert [each["index"] for each in refused] == [1, 2]
    assert api.rows("SELECT id FROM d.strict ORDER BY id") == [["1"], ["2"]]


def test_streams_that_cannot_be(api: BigQueryApi) -> None:
    assert api.error("POST", "datasets/d/tables/none/insertAll", {"rows": [{"json": {}}]})["message"] == (
        "Not found: Table test-project:d.none"
    )
    table(api, "empty")
    assert api.error("POST", "datasets/d/tables/empty/insertAll", {})["message"] == "No rows present in the request."
    error = api.error("POST", "datasets/d/tables/empty/insertAll", {"rows": [{"json": {}}], "templateSuffix": "x"})
    assert (error["code"], "templateSuffix" in error["message"]) == (501, True)


# -- policies


def test_the_policy_of_a_table(api: BigQueryApi) -> None:
    table(api, "guarded")
    path = "datasets/d/tables/guarded"
    assert api.ok("POST", f"{path}:getIamPolicy", {})["bindings"] == []
    policy = {"bindings": [{"role": "roles/bigquery.dataViewer", "members": ["user:ann@example.com"]}]}
    made = api.ok("POST", f"{path}:setIamPolicy", {"policy": policy})
    assert made["bindings"] == policy["bindings"]
    found = api.ok("POST", f"{path}:getIamPolicy", {})
    assert found == made
    assert api.ok("POST", f"{path}:testIamPermissions", {"permissions": ["bigquery.tables.getData"]}) == {
        "permissions": ["bigquery.tables.getData"]
    }
    assert api.error("POST", "datasets/d/tables/none:getIamPolicy", {})["code"] == 404
    assert api.error("POST", f"{path}:explode", {})["code"] == 404
