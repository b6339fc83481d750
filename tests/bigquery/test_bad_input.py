"""Whatever JSON, query string or SQL arrives, the answer is the caller's mistake in words, never the server's failure."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

ROOT = "/bigquery/v2/projects/test-project"
TABLE = {"projectId": "test-project", "datasetId": "d", "tableId": "t"}
SCHEMA = {
    "fields": [
        {"name": "a", "type": "INTEGER", "mode": "NULLABLE", "description": "x"},
        {"name": "r", "type": "RECORD", "mode": "REPEATED", "fields": [{"name": "x", "type": "STRING"}]},
    ]
}
PARAMETERS = [
    {"name": "i", "parameterType": {"type": "INT64"}, "parameterValue": {"value": "1"}},
    {
        "name": "a",
        "parameterType": {"type": "ARRAY", "arrayType": {"type": "STRING"}},
        "parameterValue": {"arrayValues": [{"value": "x"}]},
    },
    {
        "name": "r",
        "parameterType": {"type": "STRUCT", "structTypes": [{"name": "p", "type": {"type": "DATE"}}]},
        "parameterValue": {"structValues": {"p": {"value": "2024-01-02"}}},
    },
]
REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "insert_dataset": (
        "POST", "/datasets",
        {
            "datasetReference": {"projectId": "test-project", "datasetId": "new"}, "labels": {"a": "b"},
            "defaultTableExpirationMs": "3600000", "access": [{"role": "READER", "userByEmail": "a@b.c"}],
            "description": "x", "location": "US",
        },
    ),
    "patch_dataset": ("PATCH", "/datasets/d", {"labels": {"a": "b"}, "description": "x", "location": "US"}),
    "insert_table": (
        "POST", "/datasets/d/tables",
        {
            "tableReference": {**TABLE, "tableId": "new"}, "schema": SCHEMA, "labels": {"a": "b"},
            "expirationTime": "9000000000000", "clustering": {"fields": ["a"]},
            "rangePartitioning": {"field": "a", "range": {"start": "0", "end": "10", "interval": "1"}},
        },
    ),
    "insert_view": (
        "POST", "/datasets/d/tables",
        {"tableReference": {**TABLE, "tableId": "view"}, "view": {"query": "SELECT 1 AS a", "useLegacySql": False}},
    ),
    "patch_table": ("PATCH", "/datasets/d/tables/t", {"schema": SCHEMA, "description": "x", "friendlyName": "y"}),
    "update_table": ("PUT", "/datasets/d/tables/t", {"tableReference": TABLE, "schema": SCHEMA, "labels": {}}),
    "insert_all": (
        "POST", "/datasets/d/tables/t/insertAll",
        {
            "rows": [{"insertId": "1", "json": {"a": 1, "r": [{"x": "y"}]}}, {"json": {"a": None}}],
            "skipInvalidRows": True, "ignoreUnknownValues": False,
        },
    ),
    "policy": (
        "POST", "/datasets/d/tables/t:setIamPolicy",
        {"policy": {"bindings": [{"role": "roles/viewer", "members": ["user:a@b.c"]}]}},
    ),
    "query": (
        "POST", "/queries",
        {
            "query": "SELECT @i, @a, @r", "useLegacySql": False, "queryParameters": PARAMETERS, "maxResults": 10,
            "timeoutMs": 1000, "location": "US", "parameterMode": "NAMED", "labels": {"a": "b"}, "requestId": "x",
            "formatOptions": {"useInt64Timestamp": True}, "maximumBytesBilled": "1000", "jobTimeoutMs": "1000",
            "defaultDataset": {"datasetId": "d"}, "queryResultsFormat": "ARROW", "dryRun": False,
            "arrowSerializationOptions": {"bufferCompression": "ZSTD"}, "jobCreationMode": "JOB_CREATION_OPTIONAL",
        },
    ),
    "query_job": (
        "POST", "/jobs",
        {
            "jobReference": {"projectId": "test-project", "location": "US"},
            "configuration": {
                "dryRun": False, "labels": {"a": "b"}, "jobTimeoutMs": "5000",
                "query": {
                    "query": "SELECT 1 AS a", "useLegacySql": False, "destinationTable": {**TABLE, "tableId": "dest"},
                    "writeDisposition": "WRITE_TRUNCATE", "createDisposition": "CREATE_IF_NEEDED",
                    "schemaUpdateOptions": ["ALLOW_FIELD_ADDITION"], "clustering": {"fields": ["a"]},
                    "maximumBytesBilled": "100", "priority": "BATCH", "allowLargeResults": True,
                },
            },
        },
    ),
    "load_job": (
        "POST", "/jobs",
        {
            "configuration": {
                "load": {
                    "sourceUris": ["gs://none/x.csv"], "destinationTable": {**TABLE, "tableId": "loaded"},
                    "schema": SCHEMA, "sourceFormat": "CSV", "skipLeadingRows": "1", "maxBadRecords": 3,
                    "fieldDelimiter": ",", "quote": "'", "encoding": "UTF-8", "nullMarker": "x", "autodetect": True,
                    "parquetOptions": {"enableListInference": True},
                    "destinationTableProperties": {"description": "x", "labels": {"a": "b"}},
                    "timePartitioning": {"type": "DAY", "field": "a"},
                },
            },
        },
    ),
    "extract_job": (
        "POST", "/jobs",
        {
            "configuration": {
                "extract": {
                    "sourceTable": TABLE, "destinationUris": ["gs://none/x"], "destinationFormat": "CSV",
                    "compression": "GZIP", "printHeader": True, "fieldDelimiter": ",",
                },
            },
        },
    ),
    "copy_job": (
        "POST", "/jobs",
        {
            "configuration": {
                "copy": {
                    "sourceTables": [TABLE], "destinationTable": {**TABLE, "tableId": "copied"},
                    "writeDisposition": "WRITE_TRUNCATE", "operationType": "COPY",
                },
            },
        },
    ),
    "insert_external": (
        "POST", "/datasets/d/tables",
        {
            "tableReference": {**TABLE, "tableId": "external"},
            "externalDataConfiguration": {
                "sourceUris": ["gs://none/x"], "sourceFormat": "CSV", "schema": SCHEMA, "maxBadRecords": 1,
                "csvOptions": {"skipLeadingRows": "1", "fieldDelimiter": ","}, "ignoreUnknownValues": True,
                "hivePartitioningOptions": {"mode": "STRINGS", "sourceUriPrefix": "gs://none/"},
            },
        },
    ),
    "insert_materialized_view": (
        "POST", "/datasets/d/tables",
        {
            "tableReference": {**TABLE, "tableId": "fresh"},
            "materializedView": {"query": "SELECT a FROM d.t", "enableRefresh": True, "refreshIntervalMs": "60000"},
        },
    ),
    "insert_constrained": (
        "POST", "/datasets/d/tables",
        {
            "tableReference": {**TABLE, "tableId": "constrained"}, "schema": SCHEMA, "defaultCollation": "und:ci",
            "timePartitioning": {"type": "DAY", "expirationMs": "1000"}, "requirePartitionFilter": True,
            "tableConstraints": {
                "primaryKey": {"columns": ["a"]},
                "foreignKeys": [{"name": "f", "referencedTable": TABLE,
                                 "columnReferences": [{"referencingColumn": "a", "referencedColumn": "a"}]}],
            },
        },
    ),
    "insert_routine": (
        "POST", "/datasets/d/routines",
        {
            "routineReference": {"projectId": "test-project", "datasetId": "d", "routineId": "f"},
            "routineType": "SCALAR_FUNCTION", "language": "SQL", "definitionBody": "x + 1", "description": "x",
            "arguments": [{"name": "x", "argumentKind": "FIXED_TYPE", "dataType": {"typeKind": "INT64"}}],
            "returnType": {"typeKind": "INT64"}, "determinismLevel": "DETERMINISTIC",
        },
    ),
    "insert_table_function": (
        "POST", "/datasets/d/routines",
        {
            "routineReference": {"projectId": "test-project", "datasetId": "d", "routineId": "tvf"},
            "routineType": "TABLE_VALUED_FUNCTION", "definitionBody": "SELECT x AS y",
            "arguments": [{"name": "x", "dataType": {"typeKind": "ARRAY", "arrayElementType": {"typeKind": "STRING"}}}],
            "returnTableType": {"columns": [{"name": "y", "type": {
                "typeKind": "ARRAY", "arrayElementType": {"typeKind": "STRING"}}}]},
        },
    ),
    "insert_javascript": (
        "POST", "/datasets/d/routines",
        {
            "routineReference": {"projectId": "test-project", "datasetId": "d", "routineId": "js"},
            "routineType": "SCALAR_FUNCTION", "language": "JAVASCRIPT", "definitionBody": "return x.a;",
            "importedLibraries": ["gs://none/x.js"], "strictMode": True,
            "arguments": [{"name": "x", "dataType": {"typeKind": "STRUCT", "structType": {
                "fields": [{"name": "a", "type": {"typeKind": "STRING"}}]}}}],
            "returnType": {"typeKind": "STRING"},
        },
    ),
    "update_routine": (
        "PUT", "/datasets/d/routines/g",
        {
            "routineReference": {"projectId": "test-project", "datasetId": "d", "routineId": "g"},
            "routineType": "SCALAR_FUNCTION", "language": "SQL", "definitionBody": "x + 2",
            "arguments": [{"name": "x", "dataType": {"typeKind": "INT64"}}],
        },
    ),
    "patch_model": (
        "PATCH", "/datasets/d/models/m",
        {"description": "x", "friendlyName": "y", "labels": {"a": "b"}, "expirationTime": "9000000000000"},
    ),
    "insert_row_policy": (
        "POST", "/datasets/d/tables/t/rowAccessPolicies",
        {
            "rowAccessPolicyReference": {**TABLE, "policyId": "p"}, "filterPredicate": "a > 1",
            "grantees": ["user:a@b.c", "domain:b.c"],
        },
    ),
    "update_row_policy": (
        "PUT", "/datasets/d/tables/t/rowAccessPolicies/p",
        {
            "rowAccessPolicyReference": {**TABLE, "policyId": "p"}, "filterPredicate": "a > 1",
            "grantees": ["allAuthenticatedUsers"],
        },
    ),
    "delete_row_policies": ("POST", "/datasets/d/tables/t/rowAccessPolicies:batchDelete", {"policyIds": ["p"]}),
    "routine_policy": (
        "POST", "/datasets/d/routines/g:setIamPolicy",
        {"policy": {"bindings": [{"role": "roles/viewer", "members": ["user:a@b.c"]}]}, "updateMask": "bindings"},
    ),
    "test_permissions": ("POST", "/datasets/d/tables/t:testIamPermissions", {"permissions": ["bigquery.tables.get"]}),
}  # fmt: skip
PARAMETER_NAMES = ("maxResults", "pageToken", "startIndex", "timeoutMs", "filter", "all", "selectedFields", "location",
                   "stateFilter", "minCreationTime", "maxCreationTime", "projection", "view", "deleteContents",
                   "parentJobId", "allUsers", "formatOptions.useInt64Timestamp", "datasetView", "alt", "fields")  # fmt: skip
PATHS = (
    "/datasets", "/datasets/d", "/datasets/d/tables", "/datasets/d/tables/t", "/datasets/d/tables/t/data", "/jobs",
    "/jobs/x", "/queries/x", "/datasets/d/models", "/datasets/d/models/m", "/datasets/d/routines", "/serviceAccount",
    "/datasets/d/routines/g", "/datasets/d/tables/t/rowAccessPolicies", "/datasets/d/tables/t/rowAccessPolicies/p",
)  # fmt: skip
PHYSICAL = re.compile(r"\bt_[0-9a-f]{24}\b")

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
    | st.sampled_from(["", "x", "SELECT 1", "-1", "1e400", "9" * 40, "d", "t", "\x00", "\ud7ff", "gs://x/*", "a.b", "$1"])
    | st.sampled_from([2**63, -(2**63) - 1, 2**64, 10**30, 1e308, -0.0, "\u202e", "e\u0301", "\U0001f600" * 300, "a" * 5000,
                       "TRUE", "NULL", "und:ci", "2024-13-45T99:99:99Z", "NaN", "-Infinity", "0x10", " 1 ", "\u0661"])
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
# Looked for at length with TULE_FUZZ=2000; what it finds becomes a test of its own.
often = settings(
    max_examples=int(os.environ.get("TULE_FUZZ", "6")), deadline=None, derandomize="TULE_FUZZ" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def table(api: BigQueryApi) -> Iterator[None]:
    api.query("CREATE TABLE d.t (a INT64, r ARRAY<STRUCT<x STRING>>)")
    api.query("CREATE FUNCTION d.g(x INT64) AS (x + 1)")
    yield
    # The server is well after all of this.
    assert api.rows("SELECT 1") == [["1"]]
    assert api.physical() == api.warehouse.tables.physical_names("test-project")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value but the top."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from places(each, (*path, key))


def changed(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    made = copy.deepcopy(body)
    target = made
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return made


def check(api: BigQueryApi, verb: str, path: str, body: Any = None, **query: str) -> None:
    content = None if body is None else json.dumps(body).encode()
    answer = api.request(verb, ROOT + path, content=content, params=query, headers={"Content-Type": "application/json"})
    assert answer.status_code < 500 or answer.status_code == 501, (answer.status_code, body, answer.text)
    made = answer.json() if answer.content else {}
    if answer.status_code >= 400:
        error = made["error"]
        assert error["code"] == answer.status_code and error["message"] and error["errors"][0]["reason"]
        assert "Traceback" not in error["message"] and not PHYSICAL.search(error["message"])
    elif "configuration" in made:
        done = api.ended(made["jobReference"]["jobId"])
        assert done["status"].get("errorResult", {}).get("reason") != "internalError", (body, done["status"])


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_as_they_should_be(api: BigQueryApi, name: str) -> None:
    verb, path, body = REQUESTS[name]
    status, answer = api.call(verb, ROOT + path, body)
    assert status in (200, 204, 404, 409) or "queryResultsFormat" in body, answer


@pytest.mark.parametrize("name", REQUESTS)
def test_one_wrong_value(api: BigQueryApi, name: str) -> None:
    verb, path, body = REQUESTS[name]
    where = list(places(body))

    @often
    @given(st.sampled_from(where), values, st.just({}) | st.dictionaries(st.text(max_size=6), values, max_size=1))
    def try_it(place: tuple[Any, ...], value: Any, extra: Any) -> None:
        check(api, verb, path, changed(body, place, value) | extra)

    try_it()


@pytest.mark.parametrize("name", REQUESTS)
def test_whole_bodies_of_another_kind(api: BigQueryApi, name: str) -> None:
    verb, path, body = REQUESTS[name]

    @often
    @given(values | st.fixed_dictionaries(dict.fromkeys(body, values)))
    def try_it(value: Any) -> None:
        if value is not None:
            check(api, verb, path, value)

    try_it()


@pytest.mark.parametrize(
    "change",
    [{"refreshIntervalMs": [1]}, {"refreshIntervalMs": True}, {"maxStaleness": {"a": 1}}, {"enableRefresh": "x"}],
    ids=str,
)
def test_materialized_views_that_cannot_be(api: BigQueryApi, change: dict[str, Any]) -> None:
    verb, path, body = REQUESTS["insert_materialized_view"]
    reference = {**TABLE, "tableId": "wrong"}
    view = body["materializedView"] | change
    status, answer = api.call(verb, ROOT + path, {"tableReference": reference, "materializedView": view})
    assert (status, next(iter(change)) in answer["error"]["message"]) == (400, True)


@pytest.mark.parametrize("path", PATHS)
def test_query_strings(api: BigQueryApi, path: str) -> None:
    @often
    @given(st.dictionaries(st.sampled_from(PARAMETER_NAMES), st.text(max_size=12) | st.sampled_from(
        ["0", "1", "-1", "9" * 17, "9" * 40, "true", "labels.a:b", "done", "FULL"]), max_size=3))  # fmt: skip
    def try_it(query: dict[str, str]) -> None:
        check(api, "GET", path, **query)

    try_it()


WORDS = ("SELECT", "FROM", "d.t", "a", "r", "*", "(", ")", ",", "1", "'x'", "WHERE", "GROUP BY", "ORDER BY", "JOIN", "ON",
         "=", "AS", "UNNEST", "[", "]", "STRUCT", "COUNT", "SUM", "CASE", "WHEN", "END", "NULL", "WITH", "q", "UNION ALL",
         "INSERT INTO", "VALUES", "UPDATE", "SET", "DELETE", "CREATE TABLE", "DROP TABLE", "IF EXISTS", "d.none", ";", "`",
         "@x", "?", "OVER", "PARTITION BY", "CAST", "INT64", "DATE", "LIMIT", "--", "/*", "d.INFORMATION_SCHEMA.TABLES",
         "EXCEPT", "PIVOT", "ML.PREDICT", "MODEL", "TABLE", "EXTRACT", "INTERVAL", "TRUE", ".", "+", "-", "'")  # fmt: skip


def test_sql_of_words_in_any_order(api: BigQueryApi) -> None:
    @settings(often, max_examples=5 * often.max_examples)
    @given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12))
    def try_it(words: list[str]) -> None:
        text = " ".join(words)
        if "d.t" in text and ("DROP" in text or "CREATE" in text):
            return  # the table is needed
        check(api, "POST", "/queries", {"query": text, "useLegacySql": False})

    try_it()


def test_sql_of_any_characters(api: BigQueryApi) -> None:
    @often
    @given(st.text(max_size=40))
    def try_it(text: str) -> None:
        check(api, "POST", "/queries", {"query": text, "useLegacySql": False})

    try_it()


@pytest.mark.parametrize(
    "content",
    [b"{", b"[1]", b'"x"', b"\xff\xfe", b'{"a": NaN}', b'{"a": 1} x', b"[" * 100_000, b'{"a":' * 50_000, b"null"],
    ids=["open", "list", "text", "bytes", "nan", "more", "deep-list", "deep-object", "null"],
)
@pytest.mark.parametrize("path", ["/datasets", "/queries", "/jobs", "/datasets/d/tables/t/insertAll"])
def test_bodies_that_are_no_json_objects(api: BigQueryApi, path: str, content: bytes) -> None:
    answer = api.request("POST", ROOT + path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["errors"][0]["reason"] in ("parseError", "invalid", "required")


def test_json_that_is_nested_deeply(api: BigQueryApi) -> None:
    for depth in (50, 200, 400, 1000):
        labels = '{"labels": ' + '{"a":' * depth + "1" + "}" * depth + "}"
        fields = '{"schema": {"fields": [' + '{"name":"a","type":"RECORD","fields":[' * depth + "]}" * depth + "]}}"
        rows = '{"rows": [{"json": ' + '{"r":' * depth + "1" + "}" * depth + "}]}"
        kind = '{"query": "SELECT @a", "queryParameters": [{"name": "a", "parameterType": ' + (
            '{"type":"ARRAY","arrayType":' * depth + "1" + "}" * depth + "}]}"
        )
        for body in (labels, fields, rows, kind):
            for path in ("/datasets", "/datasets/d/tables", "/datasets/d/tables/t/insertAll", "/queries"):
                answer = api.request("POST", ROOT + path, content=body, headers={"Content-Type": "application/json"})
                assert answer.status_code in (400, 501) or "insertErrors" in answer.json(), answer.text


def test_a_body_that_is_too_large(api: BigQueryApi) -> None:
    large = b'{"query": "' + b"x" * (api.app.settings.max_body + 1) + b'"}'
    answer = api.request("POST", ROOT + "/queries", content=large, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (413, "uploadTooLarge")


def test_a_query_that_is_too_long(api: BigQueryApi) -> None:
    error = api.query_error("SELECT '" + "x" * (1024 * 1024) + "'")
    assert (error["code"], "The query is too large" in error["message"]) == (400, True)


def test_names_that_would_lead_elsewhere(api: BigQueryApi) -> None:
    for name in ("d%2Ftables%2Ft", "..", "%2e%2e", "d%00", "%F0%9F%98%80", "a" * 2000):
        for path in (f"/datasets/{name}", f"/datasets/{name}/tables", f"/datasets/d/tables/{name}", f"/jobs/{name}"):
            check(api, "GET", path)
    for sql in (
        "SELECT * FROM `d`.`t/x`",
        "SELECT * FROM `d/tables`.`t`",
        "SELECT * FROM `../d`.t",
        "SELECT * FROM `d.t$1`",
    ):
        assert api.query_error(sql)["code"] in (400, 404)
