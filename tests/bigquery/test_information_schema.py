"""INFORMATION_SCHEMA: each view of a small dataset, by dataset and by region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi


@pytest.fixture(scope="module")
def shop(api: BigQueryApi) -> BigQueryApi:
    api.query("CREATE SCHEMA shop OPTIONS(description='a shop', max_time_travel_hours=48)")
    api.query(
        "CREATE TABLE shop.items (id INT64 NOT NULL OPTIONS(description='key'), kind STRING, day DATE, PRIMARY KEY (id) "
        "NOT ENFORCED) PARTITION BY day CLUSTER BY kind OPTIONS(labels=[('a', 'b')])"
    )
    api.query("INSERT INTO shop.items VALUES (1, 'x', '2024-01-01'), (2, 'y', '2024-01-01'), (3, 'y', NULL)")
    api.query(
        "CREATE TABLE shop.sales (item INT64, n INT64, CONSTRAINT of_item FOREIGN KEY (item) REFERENCES shop.items(id) "
        "NOT ENFORCED) PARTITION BY RANGE_BUCKET(n, GENERATE_ARRAY(0, 100, 10))"
    )
    api.query("INSERT INTO shop.sales VALUES (1, 5), (1, 15), (2, 17), (2, 1000)")
    api.query("CREATE VIEW shop.kinds AS SELECT kind FROM shop.items")
    api.query("CREATE MATERIALIZED VIEW shop.sums AS SELECT item, SUM(n) AS n FROM shop.sales GROUP BY item")
    api.query("CREATE SNAPSHOT TABLE shop.then CLONE shop.items")
    api.query("CREATE TABLE shop.twin CLONE shop.sales")
    return api


def rows(api: BigQueryApi, columns: str, view: str, where: str = "TRUE", of: str = "shop") -> list[list[Any]]:
    return api.rows(f"SELECT {columns} FROM {of}.INFORMATION_SCHEMA.{view} WHERE {where} ORDER BY 1, 2")


def test_tables_and_their_kinds(shop: BigQueryApi) -> None:
    assert rows(shop, "table_name, table_type, is_insertable_into, base_table_name", "TABLES") == [
        ["items", "BASE TABLE", "YES", None],
        ["kinds", "VIEW", "NO", None],
        ["sales", "BASE TABLE", "YES", None],
        ["sums", "MATERIALIZED VIEW", "NO", None],
        ["then", "SNAPSHOT", "NO", "items"],
        ["twin", "CLONE", "YES", "sales"],
    ]


@pytest.mark.parametrize("table", ["items", "sales", "kinds", "sums"])
def test_the_statement_that_is_shown_makes_the_same_table(shop: BigQueryApi, table: str) -> None:
    [[ddl, _]] = rows(shop, "ddl, table_name", "TABLES", f"table_name = '{table}'")
    shop.query(ddl.replace(f".shop.{table}`", f".shop.again_{table}`"))
    keys = ("schema", "timePartitioning", "rangePartitioning", "clustering", "labels", "type")
    first, again = (shop.ok("GET", f"datasets/shop/tables/{each}") for each in (table, f"again_{table}"))
    assert {key: first.get(key) for key in keys} == {key: again.get(key) for key in keys}
    shop.call("DELETE", f"datasets/shop/tables/again_{table}")


def test_columns_options_and_paths(shop: BigQueryApi) -> None:
    found = rows(
        shop, "column_name, is_nullable, data_type, is_partitioning_column, clustering_ordinal_position", "COLUMNS",
        "table_name = 'items'",
    )  # fmt: skip
    assert found == [
        ["day", "YES", "DATE", "YES", None], ["id", "NO", "INT64", "NO", None], ["kind", "YES", "STRING", "NO", "1"],
    ]  # fmt: skip
    assert rows(shop, "option_name, option_type, option_value", "TABLE_OPTIONS", "table_name = 'items'") == [
        ["labels", "ARRAY<STRUCT<STRING, STRING>>", '[STRUCT("a", "b")]']
    ]
    paths = rows(shop, "field_path, description", "COLUMN_FIELD_PATHS", "table_name = 'items'")
    assert paths == [["day", None], ["id", "key"], ["kind", None]]


def test_partitions_and_storage(shop: BigQueryApi) -> None:
    assert rows(shop, "table_name, partition_id, total_rows", "PARTITIONS", "table_name IN ('items', 'sales')") == [
        ["items", "20240101", "2"], ["items", "__NULL__", "1"],
        ["sales", "0", "1"], ["sales", "10", "2"], ["sales", "__UNPARTITIONED__", "1"],
    ]  # fmt: skip
    stored = rows(shop, "table_name, total_rows, total_partitions, table_type", "TABLE_STORAGE")
    assert stored[:2] == [["items", "3", "2", "BASE TABLE"], ["sales", "4", "3", "BASE TABLE"]]
    assert rows(shop, "table_name, base_table_name", "TABLE_SNAPSHOTS") == [["then", "items"]]


def test_keys(shop: BigQueryApi) -> None:
    where = "table_name IN ('items', 'sales')"
    assert rows(shop, "constraint_name, constraint_type, enforced", "TABLE_CONSTRAINTS", where) == [
        ["items.pk$", "PRIMARY KEY", "NO"], ["sales.of_item", "FOREIGN KEY", "NO"],
    ]  # fmt: skip
    found = rows(
        shop, "constraint_name, column_name, ordinal_position, position_in_unique_constraint", "KEY_COLUMN_USAGE", where
    )
    assert found == [["items.pk$", "id", "1", None], ["sales.of_item", "item", "1", "1"]]
    used = rows(shop, "constraint_name, table_name, column_name", "CONSTRAINT_COLUMN_USAGE", where)
    assert used == [["items.pk$", "items", "id"], ["sales.of_item", "items", "id"]]


def test_datasets(shop: BigQueryApi) -> None:
    found = shop.rows("SELECT schema_name, location FROM INFORMATION_SCHEMA.SCHEMATA WHERE schema_name = 'shop'")
    assert found == [["shop", "US"]]
    options = shop.rows(
        "SELECT option_name, option_value FROM `test-project`.INFORMATION_SCHEMA.SCHEMATA_OPTIONS "
        "WHERE schema_name = 'shop' ORDER BY 1"
    )
    assert options == [["description", '"a shop"'], ["location", '"US"'], ["max_time_travel_hours", "48"]]


@pytest.mark.parametrize("of", ["`region-us`", "`test-project`.`region-us`", "`test-project.region-US`"])
def test_all_datasets_of_a_region(shop: BigQueryApi, of: str) -> None:
    assert ["shop", "kinds"] in rows(shop, "table_schema, table_name", "VIEWS", of=of)
    assert rows(shop, "table_schema, table_name", "VIEWS", of=of.replace("us", "eu").replace("US", "eu")) == []


def test_views_and_when_they_were_refreshed(shop: BigQueryApi) -> None:
    assert rows(shop, "table_name, last_refresh_time IS NOT NULL", "MATERIALIZED_VIEWS") == [["sums", "true"]]
    assert ["kinds", "SELECT kind FROM shop.items"] in rows(shop, "table_name, view_definition", "VIEWS")


def test_jobs_with_what_they_did(shop: BigQueryApi) -> None:
    shop.query("SELECT 'marked' FROM shop.items", labels={"team": "x"})
    shop.query_error("SELECT 1 / 0 AS marked_too")
    found = shop.rows(
        "SELECT statement_type, state, labels[OFFSET(0)].value, referenced_tables[OFFSET(0)].table_id "
        "FROM `region-us`.INFORMATION_SCHEMA.JOBS WHERE STARTS_WITH(query, \"SELECT 'marked'\")"
    )
    assert found == [["SELECT", "DONE", "x", "items"]]
    failed = shop.rows(
        "SELECT error_result.reason FROM `region-us`.INFORMATION_SCHEMA.JOBS_BY_USER "
        "WHERE STARTS_WITH(query, 'SELECT 1 / 0')"
    )
    assert failed == [["invalidQuery"]]
    counted = shop.rows(
        "SELECT dml_statistics.inserted_row_count FROM `region-us`.INFORMATION_SCHEMA.JOBS_BY_PROJECT "
        "WHERE STARTS_WITH(query, 'INSERT INTO shop.sales')"
    )
    assert counted == [["4"]]


def test_sessions_and_privileges(shop: BigQueryApi) -> None:
    session = shop.query("SELECT 1", createSession=True)["sessionInfo"]["sessionId"]
    found = shop.rows("SELECT session_id, is_active FROM `region-us`.INFORMATION_SCHEMA.SESSIONS_BY_USER")
    assert [session, "true"] in found
    shop.ok("POST", "datasets/shop/tables/items:setIamPolicy", {
        "policy": {"bindings": [{"role": "roles/bigquery.dataViewer", "members": ["user:a@b.c"]}]}
    })  # fmt: skip
    granted = shop.rows(
        "SELECT object_type, privilege_type, grantee FROM `region-us`.INFORMATION_SCHEMA.OBJECT_PRIVILEGES "
        "WHERE object_name = 'items'"
    )
    assert granted == [["TABLE", "roles/bigquery.dataViewer", "user:a@b.c"]]


@pytest.mark.parametrize(
    ("view", "message"),
    [
        ("shop.INFORMATION_SCHEMA.NOTHING", "Not found: Table test-project.shop.INFORMATION_SCHEMA.NOTHING"),
        ("none.INFORMATION_SCHEMA.TABLES", "Not found: Dataset test-project:none"),
        ("INFORMATION_SCHEMA.TABLES", "Not found: Table test-project.INFORMATION_SCHEMA.TABLES"),
        ("`region-us`.INFORMATION_SCHEMA.RESERVATIONS", "INFORMATION_SCHEMA.RESERVATIONS is not executed by Tule"),
        ("`region-us`.INFORMATION_SCHEMA.JOBS_BY_ORGANIZATION", "JOBS_BY_ORGANIZATION is not executed by Tule"),
    ],
)
def test_views_there_are_not(shop: BigQueryApi, view: str, message: str) -> None:
    assert message in shop.query_error(f"SELECT * FROM {view}")["message"]


def test_columns_are_altered(shop: BigQueryApi) -> None:
    shop.query("CREATE TABLE shop.a (x INT64 NOT NULL, y STRING, z INT64)")
    shop.query("INSERT INTO shop.a VALUES (1, 'p', 2)")
    shop.query(
        "ALTER TABLE shop.a ALTER COLUMN x DROP NOT NULL, ALTER COLUMN y SET OPTIONS(description='text'), "
        "ALTER COLUMN z SET DATA TYPE NUMERIC, ALTER COLUMN IF EXISTS q DROP NOT NULL"
    )
    shop.query("ALTER TABLE shop.a RENAME COLUMN IF EXISTS q TO r, RENAME COLUMN y TO w, DROP COLUMN x")
    shop.query("ALTER TABLE shop.a ADD PRIMARY KEY (z) NOT ENFORCED")
    found = shop.ok("GET", "datasets/shop/tables/a")
    assert [(each["name"], each["type"], each["mode"]) for each in found["schema"]["fields"]] == [
        ("w", "STRING", "NULLABLE"), ("z", "NUMERIC", "NULLABLE"),
    ]  # fmt: skip
    assert found["schema"]["fields"][0]["description"] == "text"
    assert found["tableConstraints"] == {"primaryKey": {"columns": ["z"]}}
    assert shop.rows("SELECT w, z FROM shop.a") == [["p", "2"]]
    shop.query("ALTER TABLE shop.a DROP PRIMARY KEY")
    for statement, message in (
        ("DROP PRIMARY KEY", "Primary key not found"),
        ("ALTER COLUMN z SET DATA TYPE STRING", "is assignable to the new column type"),
        ("ALTER COLUMN w DROP NOT NULL", "to be REQUIRED"),
        ("DROP CONSTRAINT c", "Constraint c not found"),
        ("ADD PRIMARY KEY (q) NOT ENFORCED", "Column q of a key was not found"),
        ("SET OPTIONS(kms_key_name='k')", "kms_key_name"),
        ("RENAME TO items", "Already Exists"),
    ):
        assert message in shop.query_error(f"ALTER TABLE shop.a {statement}")["message"], statement
    shop.query("ALTER VIEW shop.kinds SET OPTIONS(description='kinds')")
    assert shop.ok("GET", "datasets/shop/tables/kinds")["description"] == "kinds"
    shop.query("ALTER SCHEMA shop SET OPTIONS(friendly_name='Shop', description=NULL)")
    about = shop.ok("GET", "datasets/shop")
    assert (about["friendlyName"], "description" in about) == ("Shop", False)
