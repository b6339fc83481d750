"""HTTP requests as messages: bodies, paths, queries, and every way in which they can be wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.cloud import aiplatform_v1
from hypothesis import given, settings
from hypothesis import strategies as st

from tule.kernel.errors import InvalidArgument
from tule.wire import names, transcode
from tule.wire.door import one_line, read_json
from tule.wire.partial import select_fields
from tule.wire.surfaces import HttpRule, Method, Surface, pb

SURFACE = Surface("google.cloud.aiplatform_v1")
ENDPOINT = "projects/p/locations/l/endpoints/e"


def method(service: str, name: str) -> Method:
    return SURFACE.service(service).methods[name]


def message(service: str, name: str, path: str, body: bytes = b"", query: Any = (), index: int = 0) -> Any:
    described = method(service, name)
    rule = described.http[index]
    fields = rule.match(rule.verb, path)
    assert fields is not None
    return transcode.request_message(described, rule, fields, query, body)


def predict(body: bytes) -> Any:
    return message("PredictionService", "Predict", f"/v1/{ENDPOINT}:predict", body)


def test_a_body_that_is_the_request() -> None:
    made = predict(b'{"instances": [{"x": [1, null, true]}], "parameters": {"a": "b"}}')
    assert made.endpoint == ENDPOINT
    assert transcode.to_dict(made)["instances"] == [{"x": [1.0, None, True]}]


def test_the_path_counts_where_the_body_says_otherwise() -> None:
    assert predict(b'{"endpoint": "projects/other/locations/l/endpoints/e"}').endpoint == ENDPOINT


def test_a_body_that_is_one_field() -> None:
    path = f"/v1/{ENDPOINT}"
    made = message(
        "EndpointService", "UpdateEndpoint", path, b'{"displayName": "x"}', [("updateMask", "display_name,labels.a")]
    )
    assert (made.endpoint.name, made.endpoint.display_name) == (ENDPOINT, "x")
    assert list(made.update_mask.paths) == ["display_name", "labels.a"]


@pytest.mark.parametrize("mask", ["displayName,trafficSplit", "display_name,traffic_split"])
def test_a_mask_in_a_query_comes_in_both_spellings(mask: str) -> None:
    made = message("EndpointService", "UpdateEndpoint", f"/v1/{ENDPOINT}", b"{}", [("updateMask", mask)])
    assert list(made.update_mask.paths) == ["display_name", "traffic_split"]


def test_query_parameters_are_fields_of_every_kind() -> None:
    made = message(
        "EndpointService",
        "ListEndpoints",
        "/v1/projects/p/locations/l/endpoints",
        query=[
            ("pageSize", "5"),
            ("page_token", "t"),
            ("readMask", "name"),
            ("key", "k"),
            ("$alt", "json"),
            ("alt", "json"),
            ("prettyPrint", "false"),
            ("fields", "x"),
        ],
    )
    assert (made.page_size, made.page_token, list(made.read_mask.paths)) == (5, "t", ["name"])


def test_a_raw_body_is_taken_as_it_is() -> None:
    described = method("PredictionService", "RawPredict")
    rule = described.http[0]
    made = transcode.request_message(described, rule, {"endpoint": ENDPOINT}, [], b"\x00not json", "image/png")
    assert (made.http_body.data, made.http_body.content_type) == (b"\x00not json", "image/png")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "The body must be JSON; given: unexpected end of data"),
        (b"\xff\xfe", "The body must be JSON"),
        (b'{"a": "\xff"}', "The body must be JSON"),
        (b'{"a": NaN}', "The body must be JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "The body must be JSON"),
        (b"[1]", "The body must be a JSON object; given: list"),
        (b"null", "The body must be a JSON object; given: NoneType"),
        (b'{"nonsense": 1}', 'no field named "nonsense"'),
        (b'{"instances": {"a": 1}}', "repeated field instances must be in"),
        (b'{"instances": 5}', "instances"),
        (b'{"labels": "x"}', "labels"),
        (b'{"instances": ' + b"[" * 200 + b"]" * 200 + b"}", "JSON must be nested at most 100 deep"),
        (b"[" * 100_000, "The body must be JSON"),
    ],
)
def test_a_wrong_body_is_refused_with_what_is_wrong(body: bytes, said: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        predict(body)
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ([("nonsense", "1")], "ListEndpointsRequest has no field nonsense"),
        ([("labels.x", "1")], "has no field labels.x"),
        ([("pageSize", "many")], "many"),
        ([("pageSize", "99999999999999999999")], "99999999999999999999"),
        ([("parent.x", "1")], "has no field parent.x"),
        ([("callback", "alert")], "has no field callback"),
        ([("access_token", "x")], "has no field access_token"),
        ([("$httpHeaders", "x")], "has no field $httpHeaders"),
    ],
)
def test_a_wrong_query_is_refused_with_what_is_wrong(query: list[tuple[str, str]], said: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        message("EndpointService", "ListEndpoints", "/v1/projects/p/locations/l/endpoints", query=query)
    assert said in refused.value.message


def test_a_method_without_a_body_takes_none() -> None:
    with pytest.raises(InvalidArgument, match="GetEndpoint takes no body; given: 2 bytes"):
        message("EndpointService", "GetEndpoint", f"/v1/{ENDPOINT}", b"{}")


@pytest.mark.parametrize(
    "body", [b'{"displayName": "a", "displayName": "b"}', b'{"display_name": "a", "displayName": "b"}']
)
def test_of_keys_that_come_twice_the_last_counts(body: bytes) -> None:
    assert message("EndpointService", "UpdateEndpoint", f"/v1/{ENDPOINT}", body).endpoint.display_name == "b"


FIELDS = st.sampled_from(
    ["displayName", "deployedModels", "trafficSplit", "labels", "createTime", "encryptionSpec", "kmsKeyName", "etag",
     "predictRequestResponseLoggingConfig", "samplingRate", "dedicatedEndpointEnabled", "id", "model", "@type", "value"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | FIELDS, inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=300)
@given(st.dictionaries(FIELDS, JSON, max_size=5))
def test_any_json_is_a_message_or_a_clear_refusal(body: dict[str, Any]) -> None:
    try:
        made = message("EndpointService", "UpdateEndpoint", f"/v1/{ENDPOINT}", json.dumps(body).encode())
    except InvalidArgument as refused:
        assert refused.message
    else:
        assert made.endpoint.name == ENDPOINT
        json.dumps(transcode.to_dict(made))


@settings(max_examples=300)
@given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_any_bytes_are_json_or_a_clear_refusal(raw: bytes) -> None:
    try:
        read_json(raw)
    except InvalidArgument as refused:
        assert refused.message.startswith("The body must be JSON")


@pytest.mark.parametrize("depth", [1, 99, 100])
def test_json_that_is_nested_as_deep_as_allowed_is_read(depth: int) -> None:
    assert read_json(b"[" * depth + b"]" * depth) is not None


@pytest.mark.parametrize("raw", [b"[" * 101 + b"]" * 101, b'{"a":' * 500 + b"1" + b"}" * 500])
def test_json_that_is_nested_deeper_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidArgument, match="nested at most 100 deep"):
        read_json(raw)


# -- answers


def test_enums_are_names_or_numbers() -> None:
    made = pb(aiplatform_v1.Feature(value_type=aiplatform_v1.Feature.ValueType.INT64))
    assert transcode.to_dict(made) == {"valueType": "INT64"}
    assert transcode.to_dict(made, integers=True) == {"valueType": 9}


BODY = {"a": 1, "b": {"c": 2, "d": 3}, "e": [{"f": 4, "g": {"h": 5, "i": 6}}, {"f": 7}], "n": None}


@pytest.mark.parametrize(
    ("fields", "selected"),
    [
        ("a", {"a": 1}),
        ("a,n", {"a": 1, "n": None}),
        ("b/c", {"b": {"c": 2}}),
        ("b.c", {"b": {"c": 2}}),
        ("b(c)", {"b": {"c": 2}}),
        ("b(c,d)", {"b": {"c": 2, "d": 3}}),
        ("b/c,b/d", {"b": {"c": 2, "d": 3}}),
        ("b(c),b(d)", {"b": {"c": 2, "d": 3}}),
        ("b,b/c", {"b": {"c": 2, "d": 3}}),
        ("b/c,b", {"b": {"c": 2, "d": 3}}),
        ("e/g/h,e(g(i))", {"e": [{"g": {"h": 5, "i": 6}}, {}]}),
        ("e(f,g/h)", {"e": [{"f": 4, "g": {"h": 5}}, {"f": 7}]}),
        ("*", BODY),
        ("*/c", {"a": 1, "b": {"c": 2}, "e": [{}, {}], "n": None}),
        ("*/c,b/d", {"a": 1, "b": {"c": 2, "d": 3}, "e": [{}, {}], "n": None}),
        ("missing", {}),
        (" a , b / c ", {"a": 1, "b": {"c": 2}}),
    ],
)
def test_partial_answers(fields: str, selected: dict[str, Any]) -> None:
    assert select_fields(BODY, fields) == selected


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("", "fields must name a field"),
        ("a,", "fields must name a field"),
        ("a//b", "fields must name a field"),
        ("a(b", "fields must close its parentheses"),
        ("a(b))", "fields must be a list of paths"),
        ("a()", "fields must name a field"),
        ("a(" * 1000 + ")" * 1000, "fields must be nested at most 30 deep"),
        ("a/" * 1000 + "b", "fields must be nested at most 30 deep"),
    ],
)
def test_a_wrong_selection_is_refused(fields: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        select_fields(BODY, fields)


@given(st.text(alphabet="ab,/.()* ", max_size=20))
def test_any_selection_selects_or_is_refused(fields: str) -> None:
    try:
        found = select_fields(BODY, fields)
    except InvalidArgument:
        return
    assert set(found) <= set(BODY)


def test_a_header_stays_on_its_line() -> None:
    assert one_line("a\r\nSet-Cookie: b\x00\x7f\tc é") == "a  Set-Cookie: b  \tc é"


# -- resource names


def request(**fields: Any) -> Any:
    return pb(aiplatform_v1.DeployModelRequest(**fields))


def test_the_first_name_is_what_a_request_is_about() -> None:
    made = request(endpoint="projects/a/endpoints/1", deployed_model={"model": "projects/b/models/2"})
    assert names.about(made) == "projects/a/endpoints/1"
    assert list(names.elsewhere(made, "projects/a/endpoints/1")) == ["projects/b/models/2"]
    assert names.about(request(deployed_model={"model": "projects/b/models/2"})) == "projects/b/models/2"


@pytest.mark.parametrize("text", ["", "operations/7", "projects/", "projects/a b", "my projects/a", "projects//x"])
def test_what_is_no_name_is_none(text: str) -> None:
    assert names.about(request(endpoint=text)) == ""


def test_what_people_write_is_no_name_and_stays_as_it_is() -> None:
    made = pb(aiplatform_v1.Endpoint(display_name="projects/1", description="projects/1/x", labels={"a": "projects/1"}))
    names.with_ids(made, lambda number: "p")
    assert (made.display_name, made.description, made.labels["a"]) == ("projects/1", "projects/1/x", "projects/1")
    assert names.about(made) == ""


def test_numbers_become_ids_wherever_a_name_stands() -> None:
    known = {12: "p"}
    made = request(endpoint="projects/12/endpoints/1", deployed_model={"model": "projects/99/models/2"})
    names.with_ids(made, known.get)
    assert made.endpoint == "projects/p/endpoints/1"
    assert made.deployed_model.model == "projects/99/models/2"
    listed = pb(aiplatform_v1.BatchCancelPipelineJobsRequest(names=["projects/12/a/1", "x", "projects/12"]))
    names.with_ids(listed, known.get)
    assert list(listed.names) == ["projects/p/a/1", "x", "projects/p"]
    huge = request(endpoint="projects/" + "9" * 5000)
    names.with_ids(huge, known.get)
    assert len(huge.endpoint) == 5009


def test_values_are_not_looked_into() -> None:
    made = predict(b'{"instances": ["projects/12/x"]}')
    names.with_ids(made, {12: "p"}.get)
    assert made.instances[0].string_value == "projects/12/x"


def test_rules_compare_by_what_they_leave_open() -> None:
    rules = [HttpRule("GET", template, None) for template in ("/v1/{a=**}", "/v1/x", "/v1/{a}", "/v1/{a=x/*}/{b}")]
    assert [rule.template for rule in sorted(rules, key=lambda rule: rule.generality)] == [
        "/v1/x",
        "/v1/{a}",
        "/v1/{a=x/*}/{b}",
        "/v1/{a=**}",
    ]
