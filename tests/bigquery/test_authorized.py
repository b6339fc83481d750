"""Authorized views, routines and datasets: who may read only these gets the rows of tables behind them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

ANN = "ann@example.com"
PROJECT = "test-project"


def denied(table: str) -> str:
    return (
        f"Access Denied: Table {PROJECT}:{table}: User does not have permission to query table {PROJECT}:{table}, or "
        "perhaps it does not exist."
    )


def allow(api: BigQueryApi, *entries: dict[str, Any]) -> None:
    """Let the dataset ``secret`` be read by these."""
    kept = [each for each in api.ok("GET", "datasets/secret")["access"] if "role" in each]
    api.ok("PATCH", "datasets/secret", {"access": [*kept, *entries]})


def view(name: str) -> dict[str, Any]:
    return {"view": {"projectId": PROJECT, "datasetId": "shown", "tableId": name}}


@pytest.fixture(scope="module")
def house(api: BigQueryApi) -> BigQueryApi:
    """``secret.t``, which ANN may not read; ``shown``, all of which she may."""
    api.dataset("secret")
    api.dataset("shown", access=[{"role": "READER", "userByEmail": ANN}])
    api.app.policies.set(
        f"projects/{PROJECT}", {"bindings": [{"role": "permissions/bigquery.jobs", "members": [f"user:{ANN}"]}]}
    )
    api.query("CREATE TABLE secret.t AS SELECT 1 AS x, 'a' AS who UNION ALL SELECT 2, 'b'")
    api.query("CREATE VIEW shown.v AS SELECT x FROM secret.t WHERE who = 'a'")
    api.query("CREATE VIEW shown.over AS SELECT x + 1 AS y FROM shown.v")
    api.query("CREATE VIEW shown.other AS SELECT * FROM secret.t")
    api.query("CREATE MATERIALIZED VIEW shown.m AS SELECT who, COUNT(*) AS n FROM secret.t GROUP BY who")
    api.query("CREATE FUNCTION shown.f(w STRING) AS ((SELECT MAX(x) FROM secret.t WHERE who = w))")
    api.query("CREATE TABLE FUNCTION shown.g(w STRING) AS SELECT x FROM secret.t WHERE who = w")
    return api


@pytest.fixture
def ann(house: BigQueryApi) -> Iterator[BigQueryApi]:
    with house.caller(ANN) as made:
        yield made
    allow(house)


QUERIES = ["SELECT * FROM shown.v", "SELECT shown.f('b')", "SELECT * FROM shown.g('a')", "SELECT * FROM shown.m"]


@pytest.mark.parametrize("sql", QUERIES)
def test_without_authorization_nothing_is_read(ann: BigQueryApi, sql: str) -> None:
    error = ann.query_error(sql)
    assert (error["code"], error["reason"], error["message"]) == (403, "accessDenied", denied("secret.t"))
    assert ann.query_error(sql, dryRun=True)["code"] == 403


def test_an_authorized_view_shows_its_rows_and_no_others(house: BigQueryApi, ann: BigQueryApi) -> None:
    allow(house, view("v"), view("m"))
    assert view("v") in house.ok("GET", "datasets/secret")["access"]
    assert ann.rows("SELECT * FROM shown.v") == [["1"]]
    assert ann.rows("SELECT v.x FROM shown.v JOIN shown.over ON y = x + 1") == [["1"]]
    assert sorted(ann.rows("SELECT who, n FROM shown.m")) == [["a", "1"], ["b", "1"]]
    for sql in ("SELECT * FROM secret.t", "SELECT * FROM shown.other", "SELECT t.x FROM shown.v, secret.t"):
        assert ann.query_error(sql)["message"] == denied("secret.t")
    # Not the cache's: what is taken back is taken back at once.
    assert ann.rows("SELECT * FROM shown.v") == [["1"]]
    allow(house)
    assert ann.query_error("SELECT * FROM shown.v")["message"] == denied("secret.t")
    assert ann.query_error("SELECT * FROM shown.over")["message"] == denied("secret.t")


def test_an_authorized_routine_reads_for_who_calls_it(house: BigQueryApi, ann: BigQueryApi) -> None:
    allow(house, {"routine": {"projectId": PROJECT, "datasetId": "shown", "routineId": "f"}})
    assert ann.rows("SELECT shown.f('b')") == [["2"]]
    assert ann.query_error("SELECT * FROM shown.g('a')")["message"] == denied("secret.t")
    allow(house, {"routine": {"projectId": PROJECT, "datasetId": "shown", "routineId": "g"}})
    assert ann.rows("SELECT * FROM shown.g('a')") == [["1"]]
    # What is given to a function is the caller's own.
    assert ann.query_error("SELECT x FROM shown.g((SELECT MAX(who) FROM secret.t))")["message"] == denied("secret.t")


def test_an_authorized_dataset_is_all_its_views_or_routines(house: BigQueryApi, ann: BigQueryApi) -> None:
    def dataset(*kinds: str) -> dict[str, Any]:
        return {"dataset": {"dataset": {"projectId": PROJECT, "datasetId": "shown"}, "targetTypes": list(kinds)}}

    allow(house, dataset("VIEWS"))
    assert sorted(ann.rows("SELECT x FROM shown.other")) == [["1"], ["2"]]
    assert ann.query_error("SELECT shown.f('b')")["code"] == 403
    allow(house, dataset("VIEWS", "ROUTINES"))
    assert ann.rows("SELECT shown.f('b')") == [["2"]]
    assert ann.query_error("SELECT * FROM secret.t")["message"] == denied("secret.t")


def test_row_access_policies_hold_behind_views(house: BigQueryApi, ann: BigQueryApi) -> None:
    allow(house, view("other"))
    house.query(f"CREATE ROW ACCESS POLICY p ON secret.t GRANT TO ('user:{ANN}') FILTER USING (x = 2)")
    try:
        assert ann.rows("SELECT x FROM shown.other") == [["2"]]
    finally:
        house.query("DROP ALL ROW ACCESS POLICIES ON secret.t")
