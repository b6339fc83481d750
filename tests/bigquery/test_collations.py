"""Collations in resources: of datasets, tables and columns, as clients of the REST API see and set them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.bigquery.conftest import BigQueryApi

NAMES: list[dict[str, Any]] = [
    {"name": "a", "type": "STRING", "mode": "NULLABLE"},
    {"name": "b", "type": "STRING", "mode": "NULLABLE", "collation": ""},
    {"name": "c", "type": "INTEGER", "mode": "NULLABLE"},
]


def collations(fields: list[dict[str, Any]]) -> dict[str, str]:
    return {each["name"]: each.get("collation", "-") for each in fields}


@pytest.fixture(scope="module", autouse=True)
def dataset(api: BigQueryApi) -> None:
    made = api.ok("POST", "datasets", {"datasetReference": {"datasetId": "insensitive"}, "defaultCollation": "und:ci"})
    assert made["defaultCollation"] == "und:ci"


def test_new_tables_and_columns_have_the_collation_of_what_they_are_in(api: BigQueryApi) -> None:
    body = {"tableReference": api.reference("insensitive.t"), "schema": {"fields": NAMES}}
    made = api.ok("POST", "datasets/insensitive/tables", body)
    assert made["defaultCollation"] == "und:ci"
    assert collations(made["schema"]["fields"]) == {"a": "und:ci", "b": "-", "c": "-"}
    grown = [*made["schema"]["fields"], {"name": "d", "type": "STRING"}]
    changed = api.ok("PATCH", "datasets/insensitive/tables/t", {"schema": {"fields": grown}})
    assert collations(changed["schema"]["fields"]) == {"a": "und:ci", "b": "-", "c": "-", "d": "und:ci"}
    api.query("INSERT insensitive.t (a, b) VALUES ('x', 'x')")
    assert api.rows("SELECT a = 'X', b = 'X' FROM insensitive.t") == [["true", "false"]]


def test_results_tell_the_collation_of_their_columns(api: BigQueryApi) -> None:
    answer = api.query("SELECT COLLATE('x', 'und:ci') AS a, 'y' AS b, STRUCT(COLLATE('z', 'und:ci') AS e) AS c")
    fields = answer["schema"]["fields"]
    assert collations(fields) == {"a": "und:ci", "b": "-", "c": "-"}
    assert collations(fields[2]["fields"]) == {"e": "und:ci"}


def test_a_view_tells_and_keeps_it(api: BigQueryApi) -> None:
    api.query("CREATE VIEW insensitive.v AS SELECT COLLATE('x', 'und:ci') AS a, 'y' AS b")
    made = api.ok("GET", "datasets/insensitive/tables/v")
    assert collations(made["schema"]["fields"]) == {"a": "und:ci", "b": "-"}
    assert api.rows("SELECT a = 'X', b = 'Y' FROM insensitive.v") == [["true", "false"]]


def test_copies_keep_what_their_columns_are(api: BigQueryApi) -> None:
    api.dataset("plain")
    api.query("CREATE TABLE plain.t (a STRING, b STRING COLLATE 'und:ci')")
    for sql in (
        "CREATE TABLE insensitive.copied COPY plain.t",
        "CREATE TABLE insensitive.cloned CLONE plain.t",
        "CREATE TABLE insensitive.alike LIKE plain.t",
    ):
        api.query(sql)
        name = sql.split()[2].split(".")[1]
        fields = api.ok("GET", f"datasets/insensitive/tables/{name}")["schema"]["fields"]
        assert collations(fields) == {"a": "-", "b": "und:ci"}, sql


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"defaultCollation": "de"}, "must be 'und:ci' or ''"),
        ({"defaultCollation": 7}, "defaultCollation"),
        ({"schema": {"fields": [{"name": "x", "type": "STRING", "collation": "und:cs"}]}}, "collation of field x"),
        ({"schema": {"fields": [{"name": "x", "type": "BYTES", "collation": "und:ci"}]}}, "fields of type STRING"),
        ({"clustering": {"fields": ["a"]}}, "cannot be clustered by"),
    ],
    ids=["default", "type", "value", "bytes", "clustering"],
)
def test_what_cannot_be_is_told(api: BigQueryApi, change: dict[str, Any], message: str) -> None:
    body = {"tableReference": api.reference("insensitive.bad"), "schema": {"fields": NAMES}, **change}
    error = api.error("POST", "datasets/insensitive/tables", body)
    assert (error["code"], error["reason"]) == (400, "invalid")
    assert message in error["message"]
    assert api.error("GET", "datasets/insensitive/tables/bad")["code"] == 404


def test_the_collation_of_a_column_does_not_change(api: BigQueryApi) -> None:
    api.query("CREATE TABLE insensitive.fixed (a STRING, b STRING COLLATE '')")
    fields = api.ok("GET", "datasets/insensitive/tables/fixed")["schema"]["fields"]
    other = [{**fields[0], "collation": ""}, fields[1]]
    error = api.error("PATCH", "datasets/insensitive/tables/fixed", {"schema": {"fields": other}})
    assert "Field a has changed collation" in error["message"]
    assert api.ok("GET", "datasets/insensitive/tables/fixed")["schema"]["fields"] == fields
