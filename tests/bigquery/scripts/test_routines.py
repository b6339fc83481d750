"""Routines as resources: REST and SQL make and show the same; what INFORMATION_SCHEMA tells of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.bigquery.conftest import PROJECT, opened

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

INT64, STRING = {"typeKind": "INT64"}, {"typeKind": "STRING"}


@pytest.fixture
def dataset(api: BigQueryApi, request: pytest.FixtureRequest) -> str:
    """A dataset of the test alone."""
    return api.dataset(f"routines_{abs(hash(request.node.name)) % 10**8}")


def reference(dataset: str, name: str) -> dict[str, str]:
    return {"projectId": PROJECT, "datasetId": dataset, "routineId": name}


def function(dataset: str, name: str = "f", **more: Any) -> dict[str, Any]:
    """The resource of a function ``x + 1``."""
    return {
        "routineReference": reference(dataset, name),
        "routineType": "SCALAR_FUNCTION",
        "language": "SQL",
        "arguments": [{"name": "x", "dataType": INT64}],
        "definitionBody": "x + 1",
        **more,
    }


# -- by REST


def test_a_function_made_by_rest_is_called_in_sql(api: BigQueryApi, dataset: str) -> None:
    made = api.ok("POST", f"datasets/{dataset}/routines", function(dataset, returnType=INT64, description="adds one"))
    assert made["routineReference"] == reference(dataset, "f")
    assert (made["description"], made["returnType"], made["definitionBody"]) == ("adds one", INT64, "x + 1")
    assert made["creationTime"] == made["lastModifiedTime"] and made["etag"]
    assert api.ok("GET", f"datasets/{dataset}/routines/f") == made
    assert api.rows(f"SELECT {dataset}.f(4)") == [["5"]]


def test_an_update_replaces_the_whole(api: BigQueryApi, dataset: str) -> None:
    made = api.ok("POST", f"datasets/{dataset}/routines", function(dataset, description="old"))
    body = function(dataset, definitionBody="x * 100")
    updated = api.ok("PUT", f"datasets/{dataset}/routines/f", body)
    assert "description" not in updated
    assert updated["etag"] != made["etag"]
    assert api.rows(f"SELECT {dataset}.f(4)") == [["400"]]


def test_an_update_of_an_older_etag_changes_nothing(api: BigQueryApi, dataset: str) -> None:
    made = api.ok("POST", f"datasets/{dataset}/routines", function(dataset))
    api.ok("PUT", f"datasets/{dataset}/routines/f", function(dataset, definitionBody="x + 2"))
    error = api.error(
        "PUT", f"datasets/{dataset}/routines/f", function(dataset, definitionBody="x + 3"),
        headers={"If-Match": made["etag"]},
    )  # fmt: skip
    assert (error["code"], error["reason"]) == (412, "conditionNotMet")
    assert api.rows(f"SELECT {dataset}.f(1)") == [["3"]]


def test_delete(api: BigQueryApi, dataset: str) -> None:
    api.ok("POST", f"datasets/{dataset}/routines", function(dataset))
    api.ok("DELETE", f"datasets/{dataset}/routines/f")
    for verb in ("GET", "DELETE"):
        error = api.error(verb, f"datasets/{dataset}/routines/f")
        assert (error["code"], error["reason"]) == (404, "notFound")
        assert error["message"] == f"Not found: Routine {PROJECT}:{dataset}.f"


def test_a_list_is_short_sorted_paged_and_filtered(api: BigQueryApi, dataset: str) -> None:
    for name in ("c", "a", "b"):
        api.ok("POST", f"datasets/{dataset}/routines", function(dataset, name))
    api.query(f"CREATE PROCEDURE {dataset}.p() BEGIN SELECT 1; END")
    page = api.ok("GET", f"datasets/{dataset}/routines", params={"maxResults": "3"})
    assert [each["routineReference"]["routineId"] for each in page["routines"]] == ["a", "b", "c"]
    assert "definitionBody" not in page["routines"][0]
    rest = api.ok("GET", f"datasets/{dataset}/routines", params={"pageToken": page["nextPageToken"]})
    assert [each["routineReference"]["routineId"] for each in rest["routines"]] == ["p"]
    params = {"filter": "routineType:PROCEDURE", "readMask": "definitionBody,routineType"}
    [only] = api.ok("GET", f"datasets/{dataset}/routines", params=params)["routines"]
    assert only["definitionBody"] == "BEGIN SELECT 1; END"
    assert set(only) == {"routineReference", "definitionBody", "routineType"}


def test_a_read_mask_names_what_is_answered(api: BigQueryApi, dataset: str) -> None:
    api.ok("POST", f"datasets/{dataset}/routines", function(dataset))
    found = api.ok("GET", f"datasets/{dataset}/routines/f", params={"readMask": "arguments"})
    assert found["arguments"] == [{"name": "x", "dataType": INT64}]
    assert "definitionBody" not in found


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        ({"routineReference": {}}, "invalid", "Required parameter is missing: routineReference.routineId"),
        ({"routineReference": {"routineId": "a-b"}}, "invalid", "Invalid routine ID"),
        ({"routineReference": {"datasetId": "other", "routineId": "f"}}, "invalid", "routineReference must name"),
        ({"routineType": "FUNCTION"}, "invalid", "routineType must be one of"),
        ({"routineType": None}, "invalid", "routineType must be one of"),
        ({"language": "PYTHON"}, "notImplemented", "A routine in the language PYTHON"),
        ({"definitionBody": ""}, "invalid", "Required parameter is missing: definitionBody"),
        ({"definitionBody": "x +"}, "invalidQuery", "Syntax error: Unexpected end of script at [1:4]"),
        ({"definitionBody": "y + 1"}, "invalidQuery", "Unrecognized name: y at [1:1]"),
        ({"definitionBody": "1); DROP TABLE t; SELECT (1"}, "invalidQuery", "Syntax error"),
        ({"arguments": [{"name": "x"}]}, "invalid", "Required parameter is missing: dataType of the argument x"),
        ({"arguments": [{"dataType": INT64}]}, "invalid", "Each argument of a routine must have a name"),
        ({"arguments": [{"name": "x", "dataType": {"typeKind": "NOPE"}}]}, "invalid", "typeKind must be ARRAY, STRUCT"),
        ({"arguments": [{"name": "x", "dataType": INT64, "mode": "OUT"}]}, "invalid", "Only arguments of procedures"),
        ({"returnType": STRING}, "invalidQuery", "Function declared to return STRING but the function body produces"),
        ({"returnTableType": {"columns": []}}, "invalid", "returnTableType can be set only for"),
        ({"remoteFunctionOptions": {"endpoint": "https://x"}}, "notImplemented", "remoteFunctionOptions"),
        ({"nothing": 1}, None, "nothing"),
    ],
)
def test_what_cannot_be_made(
    api: BigQueryApi, dataset: str, change: dict[str, Any], reason: str | None, message: str
) -> None:
    error = api.error("POST", f"datasets/{dataset}/routines", {**function(dataset), **change})
    assert message in error["message"]
    if reason is not None:
        assert error["reason"] == reason
    assert api.ok("GET", f"datasets/{dataset}/routines")["routines"] == []


def test_other_things_that_are_refused(api: BigQueryApi, dataset: str) -> None:
    api.ok("POST", f"datasets/{dataset}/routines", function(dataset))
    again = api.error("POST", f"datasets/{dataset}/routines", function(dataset))
    assert (again["code"], again["message"]) == (409, f"Already Exists: Routine {PROJECT}:{dataset}.f")
    body = function(dataset, routineType="PROCEDURE", definitionBody="BEGIN END")
    assert "type of a routine cannot be changed" in api.error("PUT", f"datasets/{dataset}/routines/f", body)["message"]
    assert api.error("PUT", f"datasets/{dataset}/routines/g", function(dataset, "g"))["code"] == 404
    assert api.error("POST", "datasets/nothing/routines", function("nothing"))["code"] == 404
    assert api.error("GET", "datasets/nothing/routines")["code"] == 404
    wrong = api.error("GET", f"datasets/{dataset}/routines", params={"filter": "name:f"})
    assert "A filter must be routineType:" in wrong["message"]
    wrong = api.error("GET", f"datasets/{dataset}/routines/f", params={"readMask": "nothing"})
    assert "readMask must name fields of a Routine" in wrong["message"]


# -- by SQL


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "CREATE FUNCTION {d}.r(x INT64, y ANY TYPE) AS (  x /* c */ + 1 ) OPTIONS (description = 'why')",
            {
                "routineType": "SCALAR_FUNCTION",
                "arguments": [{"name": "x", "dataType": INT64}, {"name": "y", "argumentKind": "ANY_TYPE"}],
                "definitionBody": "x /* c */ + 1",
                "description": "why",
            },
        ),
        (
            "CREATE FUNCTION {d}.r(a ARRAY<STRUCT<p INT64, q STRING>>) RETURNS STRUCT<n INT64> AS "
            "(STRUCT(ARRAY_LENGTH(a) AS n))",
            {
                "arguments": [
                    {
                        "name": "a",
                        "dataType": {
                            "typeKind": "ARRAY",
                            "arrayElementType": {
                                "typeKind": "STRUCT",
                                "structType": {"fields": [{"name": "p", "type": INT64}, {"name": "q", "type": STRING}]},
                            },
                        },
                    }
                ],
                "returnType": {"typeKind": "STRUCT", "structType": {"fields": [{"name": "n", "type": INT64}]}},
            },
        ),
        (
            "CREATE TABLE FUNCTION {d}.r(x INT64) RETURNS TABLE<a INT64> AS SELECT x AS a",
            {
                "routineType": "TABLE_VALUED_FUNCTION",
                "returnTableType": {"columns": [{"name": "a", "type": INT64}]},
                "definitionBody": "SELECT x AS a",
            },
        ),
        (
            "CREATE AGGREGATE FUNCTION {d}.r(x INT64, y INT64 NOT AGGREGATE) AS (SUM(x) * y)",
            {
                "routineType": "AGGREGATE_FUNCTION",
                "arguments": [
                    {"name": "x", "dataType": INT64}, {"name": "y", "dataType": INT64, "isAggregate": False}
                ],
            },
        ),
        (
            "CREATE PROCEDURE {d}.r(a INT64, OUT b STRING, INOUT c ANY TYPE) OPTIONS (strict_mode = FALSE) BEGIN END",
            {
                "routineType": "PROCEDURE",
                "arguments": [
                    {"name": "a", "dataType": INT64, "mode": "IN"},
                    {"name": "b", "dataType": STRING, "mode": "OUT"},
                    {"name": "c", "argumentKind": "ANY_TYPE", "mode": "INOUT"},
                ],
                "strictMode": False,
                "definitionBody": "BEGIN END",
            },
        ),
        (
            "CREATE FUNCTION {d}.r(x FLOAT64) RETURNS STRING DETERMINISTIC LANGUAGE js "
            "OPTIONS (library = ['gs://b/o.js']) AS r'''return `${{x}}`;'''",
            {
                "language": "JAVASCRIPT",
                "determinismLevel": "DETERMINISTIC",
                "importedLibraries": ["gs://b/o.js"],
                "definitionBody": "return `${x}`;",
                "returnType": STRING,
            },
        ),
    ],
    ids=["templated", "nested types", "table function", "aggregate", "procedure", "JavaScript"],
)  # fmt: skip
def test_what_a_statement_makes_is_shown(
    api: BigQueryApi, dataset: str, statement: str, expected: dict[str, Any]
) -> None:
    answer = api.query(statement.format(d=dataset))
    job = api.ok("GET", f"jobs/{answer['jobReference']['jobId']}")
    query = job["statistics"]["query"]
    assert query["ddlOperationPerformed"] == "CREATE"
    assert query["ddlTargetRoutine"] == reference(dataset, "r")
    found = api.ok("GET", f"datasets/{dataset}/routines/r")
    assert {key: found.get(key) for key in expected} == expected
    # What is shown may be made again as it is.
    api.ok("DELETE", f"datasets/{dataset}/routines/r")
    body = {key: value for key, value in found.items() if key not in ("etag", "creationTime", "lastModifiedTime")}
    again = api.ok("POST", f"datasets/{dataset}/routines", body)
    assert {key: again.get(key) for key in expected} == expected


def test_the_type_of_each_statement(api: BigQueryApi, dataset: str) -> None:
    kinds = {}
    for text in (
        "CREATE FUNCTION {}.f() AS (1)", "CREATE OR REPLACE FUNCTION {}.f() AS (2)",
        "CREATE FUNCTION IF NOT EXISTS {}.f() AS (3)", "CREATE TABLE FUNCTION {}.t() AS SELECT 1 AS x",
        "CREATE PROCEDURE {}.p() BEGIN END", "DROP FUNCTION {}.f", "DROP TABLE FUNCTION {}.t", "DROP PROCEDURE {}.p",
        "DROP FUNCTION IF EXISTS {}.f",
    ):  # fmt: skip
        job = api.query(text.format(dataset))["jobReference"]["jobId"]
        query = api.ok("GET", f"jobs/{job}")["statistics"]["query"]
        kinds[text.replace("{}.", "")] = (query["statementType"], query["ddlOperationPerformed"])
    assert kinds == {
        "CREATE FUNCTION f() AS (1)": ("CREATE_FUNCTION", "CREATE"),
        "CREATE OR REPLACE FUNCTION f() AS (2)": ("CREATE_FUNCTION", "REPLACE"),
        "CREATE FUNCTION IF NOT EXISTS f() AS (3)": ("CREATE_FUNCTION", "SKIP"),
        "CREATE TABLE FUNCTION t() AS SELECT 1 AS x": ("CREATE_TABLE_FUNCTION", "CREATE"),
        "CREATE PROCEDURE p() BEGIN END": ("CREATE_PROCEDURE", "CREATE"),
        "DROP FUNCTION f": ("DROP_FUNCTION", "DROP"),
        "DROP TABLE FUNCTION t": ("DROP_TABLE_FUNCTION", "DROP"),
        "DROP PROCEDURE p": ("DROP_PROCEDURE", "DROP"),
        "DROP FUNCTION IF EXISTS f": ("DROP_FUNCTION", "SKIP"),
    }


def test_a_query_tells_the_routines_that_it_used(api: BigQueryApi, dataset: str) -> None:
    api.query(f"CREATE FUNCTION {dataset}.inner_one(x INT64) AS (x + 1)")
    api.query(f"CREATE FUNCTION {dataset}.outer_one(x INT64) AS ({dataset}.inner_one(x) * 2)")
    job = api.query(f"SELECT {dataset}.outer_one(1)")["jobReference"]["jobId"]
    used = api.ok("GET", f"jobs/{job}")["statistics"]["query"]["referencedRoutines"]
    assert [each["routineId"] for each in used] == ["outer_one", "inner_one"]


def test_a_dataset_with_routines_is_in_use(api: BigQueryApi) -> None:
    api.dataset("filled")
    api.query("CREATE FUNCTION filled.f() AS (1)")
    assert api.error("DELETE", "datasets/filled")["reason"] == "resourceInUse"
    assert api.rows("SELECT filled.f()") == [["1"]]
    api.ok("DELETE", "datasets/filled", params={"deleteContents": "true"})
    api.dataset("filled")
    assert api.ok("GET", "datasets/filled/routines")["routines"] == []


def test_permissions(api: BigQueryApi, dataset: str) -> None:
    api.query(f"CREATE FUNCTION {dataset}.f() AS (1)")
    jobs = {"role": "permissions/bigquery.jobs", "members": ["user:eve@example.com"]}
    api.app.policies.set(f"projects/{PROJECT}", {"bindings": [jobs]})
    with api.caller("eve@example.com") as eve:
        for error in (
            eve.query_error(f"SELECT {dataset}.f()"),
            eve.query_error(f"CREATE FUNCTION {dataset}.g() AS (1)"),
            eve.query_error(f"DROP FUNCTION {dataset}.f"),
            eve.error("GET", f"datasets/{dataset}/routines"),
            eve.error("GET", f"datasets/{dataset}/routines/f"),
            eve.error("POST", f"datasets/{dataset}/routines", function(dataset, "g")),
            eve.error("DELETE", f"datasets/{dataset}/routines/f"),
        ):
            assert (error["code"], error["reason"]) == (403, "accessDenied")
    assert len(api.ok("GET", f"datasets/{dataset}/routines")["routines"]) == 1


def test_routines_last_over_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as api:
        api.dataset("d")
        api.query("CREATE FUNCTION d.f(x INT64) AS (x + 1)")
        api.query("CREATE PROCEDURE d.p(OUT x INT64) BEGIN SET x = d.f(1); END")
        before = api.ok("GET", "datasets/d/routines/p")
    with opened(tmp_path / "home") as api:
        assert api.ok("GET", "datasets/d/routines/p") == before
        assert api.rows("DECLARE x INT64; CALL d.p(x); SELECT x;") == [["2"]]


# -- INFORMATION_SCHEMA


def test_the_views_of_routines(api: BigQueryApi, dataset: str) -> None:
    api.query(f"CREATE FUNCTION {dataset}.f(x INT64, y ANY TYPE) RETURNS INT64 AS (x + 1) OPTIONS (description = 'd')")
    api.query(f"CREATE PROCEDURE {dataset}.p(OUT z STRING) BEGIN SET z = 'a'; END")
    views = f"{dataset}.INFORMATION_SCHEMA"
    assert api.rows(
        f"SELECT routine_name, routine_type, data_type, routine_body, routine_definition FROM {views}.ROUTINES ORDER BY 1"
    ) == [["f", "FUNCTION", "INT64", "SQL", "x + 1"], ["p", "PROCEDURE", None, "SQL", "BEGIN SET z = 'a'; END"]]
    assert api.rows(
        f"SELECT specific_name, ordinal_position, parameter_mode, parameter_name, data_type "
        f"FROM {views}.PARAMETERS ORDER BY 1, 2"
    ) == [
        ["f", "0", None, None, "INT64"], ["f", "1", None, "x", "INT64"], ["f", "2", None, "y", "ANY TYPE"],
        ["p", "1", "OUT", "z", "STRING"],
    ]  # fmt: skip
    assert api.rows(f"SELECT specific_name, option_name, option_value FROM {views}.ROUTINE_OPTIONS") == [
        ["f", "description", '"d"']
    ]


def test_the_ddl_of_a_routine_makes_it_again(api: BigQueryApi, dataset: str) -> None:
    api.query(f"CREATE FUNCTION {dataset}.f(x INT64, a ARRAY<STRING>) RETURNS INT64 AS (x + ARRAY_LENGTH(a))")
    [[text]] = api.rows(f"SELECT ddl FROM {dataset}.INFORMATION_SCHEMA.ROUTINES")
    api.query(f"DROP FUNCTION {dataset}.f")
    api.query(text)
    assert api.rows(f"SELECT {dataset}.f(1, ['a', 'b'])") == [["3"]]
