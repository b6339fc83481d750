"""Datasets over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi


def test_a_dataset_from_creation_to_deletion(api: BigQueryApi) -> None:
    made = api.ok(
        "POST", "datasets",
        {"datasetReference": {"datasetId": "life"}, "labels": {"team": "ads"}, "description": "Text", "location": "EU"},
    )  # fmt: skip
    assert made["id"] == "test-project:life"
    assert (made["location"], made["labels"], made["description"]) == ("EU", {"team": "ads"}, "Text")
    assert int(made["creationTime"]) > 1_700_000_000_000
    assert api.ok("GET", "datasets/life") == made
    changed = api.ok("PATCH", "datasets/life", {"description": None, "labels": {"env": "test"}})
    assert ("description" in changed, changed["labels"]) == (False, {"team": "ads", "env": "test"})
    replaced = api.ok("PUT", "datasets/life", {"datasetReference": {"datasetId": "life"}, "friendlyName": "Name"})
    assert ("labels" in replaced, replaced["friendlyName"], replaced["location"]) == (False, "Name", "EU")
    assert api.call("DELETE", "datasets/life") == (204, {})
    assert api.error("GET", "datasets/life") == {
        "code": 404, "reason": "notFound", "message": "Not found: Dataset test-project:life",
    }  # fmt: skip


def test_a_taken_name(api: BigQueryApi) -> None:
    api.dataset("taken")
    error = api.error("POST", "datasets", {"datasetReference": {"datasetId": "taken"}})
    assert error == {"code": 409, "reason": "duplicate", "message": "Already Exists: Dataset test-project:taken"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Required parameter is missing: datasetReference.datasetId"),
        ({"datasetReference": {"datasetId": "a-b"}}, 'Invalid dataset ID "a-b"'),
        ({"datasetReference": {"datasetId": "_hidden"}}, 'Invalid dataset ID "_hidden"'),
        ({"datasetReference": {"datasetId": "x"}, "labels": {"A": "b"}}, 'Label key "A" has invalid characters.'),
        ({"datasetReference": {"datasetId": "x"}, "labels": {"a": "B c"}}, 'Label value "B c" has invalid characters.'),
        ({"datasetReference": {"datasetId": "x"}, "defaultTableExpirationMs": "60"}, "must be at least 3600000"),
        ({"datasetReference": {"datasetId": "x"}, "description": 7}, "description"),
    ],
    ids=["empty", "dash", "hidden", "key", "value", "expiration", "type"],
)
def test_what_cannot_be_a_dataset(api: BigQueryApi, body: dict[str, Any], message: str) -> None:
    error = api.error("POST", "datasets", body)
    assert (error["code"], error["reason"]) == (400, "invalid")
    assert message in error["message"]
    assert api.error("GET", "datasets/x")["code"] == 404


@pytest.mark.parametrize("field", ["isCaseInsensitive", "nonsense"])
def test_fields_that_are_not_done_are_refused_by_name(api: BigQueryApi, field: str) -> None:
    error = api.error("POST", "datasets", {"datasetReference": {"datasetId": "refused"}, field: "x"})
    assert (error["code"], error["reason"]) == (501, "notImplemented")
    assert field in error["message"]
    assert api.error("GET", "datasets/refused")["code"] == 404


def test_the_access_list_lets_others_in(api: BigQueryApi) -> None:
    api.dataset("shared", access=[{"role": "READER", "userByEmail": "ann@example.com"}])
    api.dataset("private")
    for name in ("shared", "private"):
        api.query(f"CREATE TABLE {name}.t AS SELECT 1 AS a")
    query = {"role": "permissions/bigquery.jobs", "members": ["user:ann@example.com"]}
    api.app.policies.set("projects/test-project", {"bindings": [query]})
    with api.caller("ann@example.com") as ann:
        assert ann.rows("SELECT a FROM shared.t") == [["1"]]
        assert ann.ok("GET", "datasets/shared/tables/t")["numRows"] == "1"
        for failed in (
            ann.query_error("SELECT a FROM private.t"),
            ann.query_error("INSERT INTO shared.t VALUES (2)"),
            ann.error("GET", "datasets/private"),
            ann.error("DELETE", "datasets/shared/tables/t"),
        ):
            assert (failed["code"], failed["reason"]) == (403, "accessDenied")
        api.ok("PATCH", "datasets/shared", {"access": [{"role": "WRITER", "userByEmail": "ann@example.com"}]})
        ann.query("INSERT INTO shared.t VALUES (2)")
        api.ok("PATCH", "datasets/shared", {"access": []})
        assert ann.query_error("SELECT a FROM shared.t")["code"] == 403
    assert api.rows("SELECT a FROM shared.t ORDER BY a") == [["1"], ["2"]]


def test_grants_by_statement_let_and_no_longer_let_read(api: BigQueryApi) -> None:
    api.query("CREATE SCHEMA granted OPTIONS (location = 'US')")
    api.query("CREATE TABLE granted.t AS SELECT 1 AS a")
    query = {"role": "permissions/bigquery.jobs", "members": ["user:ann@example.com"]}
    api.app.policies.set("projects/test-project", {"bindings": [query]})
    viewer = "`roles/bigquery.dataViewer` ON"
    with api.caller("ann@example.com") as ann:
        for target in ("SCHEMA granted", "TABLE granted.t"):
            assert ann.query_error("SELECT a FROM granted.t")["code"] == 403
            assert ann.query_error(f"GRANT {viewer} {target} TO 'user:ann@example.com'")["code"] == 403
            api.query(f"GRANT {viewer} {target} TO 'user:ann@example.com'")
            assert ann.rows("SELECT a FROM granted.t") == [["1"]]
            assert ann.query_error("INSERT INTO granted.t VALUES (2)")["code"] == 403
            api.query(f"REVOKE {viewer} {target} FROM 'user:ann@example.com'")
        assert ann.query_error("SELECT a FROM granted.t")["code"] == 403
    job = api.query("GRANT `roles/bigquery.dataEditor` ON SCHEMA granted TO 'group:g@example.com', 'allUsers'")
    assert {"role": "WRITER", "groupByEmail": "g@example.com"} in api.ok("GET", "datasets/granted")["access"]
    assert job["jobComplete"]


@pytest.mark.parametrize(
    ("entry", "code", "message"),
    [
        ({"role": "READER"}, 400, "a role and one of userByEmail"),
        ({"role": "KING", "userByEmail": "a@b.c"}, 400, "must be READER, WRITER, OWNER or roles/NAME; given: 'KING'"),
        ({"role": "READER", "specialGroup": "all"}, 400, "specialGroup must be one of"),
        ({"view": {"projectId": "p", "datasetId": "d"}}, 400, "access.view must name projectId, datasetId, tableId"),
        ({"role": "READER", "view": {"projectId": "p", "datasetId": "d", "tableId": "t"}}, 400, "no role either"),
        ({"dataset": {"dataset": {"projectId": "p", "datasetId": "d"}}}, 400, "targetTypes must be of VIEWS, ROUTINES"),
        ({"condition": {"expression": "true"}}, 501, "access.condition"),
        ({"role": "READER", "userByEmail": 7}, 400, "as texts"),
    ],
    ids=["nobody", "role", "group", "view", "role of a view", "dataset", "condition", "number"],
)
def test_access_that_cannot_be(api: BigQueryApi, entry: dict[str, Any], code: int, message: str) -> None:
    error = api.error("PATCH", "datasets/d", {"access": [entry]})
    assert error["code"] == code
    assert message in error["message"]


def test_a_stale_etag(api: BigQueryApi) -> None:
    api.dataset("staled")
    old = api.ok("GET", "datasets/staled")["etag"]
    api.ok("PATCH", "datasets/staled", {"description": "a"}, headers={"If-Match": old})
    for verb in ("PATCH", "PUT"):
        status, answer = api.call(verb, "datasets/staled", {"description": "b"}, headers={"If-Match": old})
        assert (status, answer["error"]["errors"][0]["reason"]) == (412, "conditionNotMet")
    assert api.ok("GET", "datasets/staled")["description"] == "a"


def test_a_dataset_in_use_is_deleted_only_with_its_contents(api: BigQueryApi) -> None:
    api.dataset("full")
    api.query("CREATE TABLE full.t AS SELECT 1 AS a")
    before = api.physical()
    assert api.error("DELETE", "datasets/full") == {
        "code": 400, "reason": "resourceInUse", "message": "Dataset test-project:full is still in use",
    }  # fmt: skip
    assert api.rows("SELECT a FROM full.t") == [["1"]]
    assert api.call("DELETE", "datasets/full?deleteContents=true")[0] == 204
    assert api.error("GET", "datasets/full/tables/t")["message"] == "Not found: Dataset test-project:full"
    # What its tables were stays, for time travel.
    assert api.physical() == before


def test_lists_of_datasets(api: BigQueryApi) -> None:
    for index in range(5):
        api.dataset(f"listed_{index}", labels={"kind": "list", "n": str(index)})

    def names(**query: str) -> list[str]:
        answer = api.ok("GET", "datasets", params=query)
        return [each["datasetReference"]["datasetId"] for each in answer["datasets"]]

    assert names(filter="labels.kind:list") == [f"listed_{index}" for index in range(5)]
    assert names(filter="labels.kind:list labels.n:3") == ["listed_3"]
    assert names(filter="labels.nothing") == []
    first = api.ok("GET", "datasets", params={"filter": "labels.kind:list", "maxResults": "3"})
    second = api.ok(
        "GET", "datasets", params={"filter": "labels.kind:list", "maxResults": "3", "pageToken": first["nextPageToken"]}
    )
    assert len(first["datasets"]) == 3
    assert [each["datasetReference"]["datasetId"] for each in second["datasets"]] == ["listed_3", "listed_4"]
    assert "nextPageToken" not in second
    assert api.error("GET", "datasets", params={"filter": "name:x"})["code"] == 400
    assert api.error("GET", "datasets", params={"pageToken": "x"})["code"] == 400


def test_schemas_in_sql(api: BigQueryApi) -> None:
    api.query("CREATE SCHEMA in_sql OPTIONS (description = 'made', default_table_expiration_days = 2)")
    made = api.ok("GET", "datasets/in_sql")
    assert (made["description"], made["defaultTableExpirationMs"]) == ("made", "172800000")
    assert api.query_error("CREATE SCHEMA in_sql")["message"] == "Already Exists: Dataset test-project:in_sql"
    api.query("CREATE SCHEMA IF NOT EXISTS in_sql")
    api.query("CREATE TABLE in_sql.t (a INT64)")
    assert api.query_error("DROP SCHEMA in_sql")["message"] == "Dataset test-project:in_sql is still in use"
    assert api.rows("SELECT schema_name FROM INFORMATION_SCHEMA.SCHEMATA WHERE schema_name = 'in_sql'") == [["in_sql"]]
    api.query("DROP SCHEMA in_sql CASCADE")
    assert api.query_error("DROP SCHEMA in_sql")["message"] == "Not found: Dataset test-project:in_sql"
    api.query("DROP SCHEMA IF EXISTS in_sql")


def test_projects_and_their_service_account(api: BigQueryApi) -> None:
    assert "test-project" in {each["id"] for each in api.ok("GET", "/bigquery/v2/projects")["projects"]}
    assert "@" in api.ok("GET", "serviceAccount")["email"]


def test_paths_without_the_api_prefix(api: BigQueryApi) -> None:
    api.dataset("short")
    assert api.ok("GET", "/projects/test-project/datasets/short")["id"] == "test-project:short"


def test_an_unknown_method_names_itself(api: BigQueryApi) -> None:
    error = api.error("GET", "datasets/d/nothing")
    assert (error["code"], error["reason"]) == (404, "notFound")
    assert "/datasets/d/nothing" in error["message"]
