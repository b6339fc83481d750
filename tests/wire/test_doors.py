"""JSON doors: routes, receipts over queries and bodies, partial answers, batches, methods in disguise."""

from __future__ import annotations

import email
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from tests.wire.conftest import LOCATION, Example

NOTES = "/notes/v1/projects/p/notes"


def refused(example: Example, answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    message: str = example.error(answer)["message"]
    return message


# -- routes


@pytest.mark.parametrize("name", ["n", "a b", "é", "a/b", "%2F", "a:b", "?#"])
def test_variables_are_decoded_and_stay_in_their_segment(example: Example, name: str) -> None:
    assert example.http.get(f"{NOTES}/{quote(name, safe='')}").json()["id"] == name


def test_a_path_that_is_no_utf8_is_refused(example: Example) -> None:
    assert refused(example, example.http.get(f"{NOTES}/%FF"), 400).startswith("A path must be UTF-8")


def test_the_host_decides_where_it_is_googles(example: Example) -> None:
    for host, status in (("notes.googleapis.com", 200), ("aiplatform.googleapis.com", 404), ("x.googleapis.com", 404)):
        assert example.http.get(f"{NOTES}/n", headers={"host": host}).status_code == status
    boards = f"/v1/{LOCATION}/tensorboards"
    for host, status in (("us-central1-aiplatform.googleapis.com", 200), ("notes.googleapis.com", 404)):
        assert example.http.get(boards, headers={"host": host}).status_code == status


@pytest.mark.parametrize(("verb", "path"), [("PUT", f"{NOTES}/n"), ("GET", "/notes/v2/x"), ("DELETE", NOTES)])
def test_what_no_route_has_is_not_found_in_the_words_of_the_door(example: Example, verb: str, path: str) -> None:
    answer = example.http.request(verb, path)
    assert refused(example, answer, 404).startswith(f"There is no method at {verb} {path}")
    assert example.error(answer)["errors"][0]["reason"] == "notFound"


def test_a_public_route_wants_no_credential_and_the_others_do(example: Example) -> None:
    assert httpx.get(f"http://{example.address}/notes/v1/public").json() == {"who": "anonymous"}
    assert httpx.get(f"http://{example.address}{NOTES}/n").status_code == 401
    headers = {"authorization": f"Bearer {example.access.issue('eve@example.com')}"}
    answer = httpx.get(f"http://{example.address}{NOTES}/n", headers=headers)
    assert answer.status_code == 403
    assert example.error(answer)["message"].startswith(
        "eve@example.com must have the permission notes.get; given: projects/p"
    )


def test_a_bug_shows_an_incident_only(example: Example) -> None:
    said = refused(example, example.http.get("/notes/v1/bug"), 500)
    assert said.startswith("Tule met an error of its own; given: incident ") and "secret" not in said


def test_a_title_cannot_add_headers(example: Example) -> None:
    answer = example.http.post(NOTES, json={"title": "a\r\nSet-Cookie: x=y\r\n\r\nbody"})
    assert answer.headers["x-title"] == "a  Set-Cookie: x=y    body"
    assert "set-cookie" not in answer.headers


# -- receipts


def test_what_is_declared_passes(example: Example) -> None:
    body = {"id": "1", "body": {"text": "x"}, "title": "t", "flags": {"any": [{"thing": None}]}, "more": None, "x": []}
    answer = example.http.post(NOTES, json=body)
    assert (answer.status_code, answer.json()) == (201, body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"nonsense": False}, "nonsense"),
        ({"nonsense": {}}, "nonsense"),
        ({"body": {"text": "x", "html": "y"}}, "body.html"),
        ({"body": {"text": {"bold": 1}}}, "body.text.bold"),
        ({"body": [{"html": 1}]}, "body.html"),
        ({"b": 1, "a": {"c": 1}}, "a.c, b"),
    ],
)
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
def test_other_fields_are_refused_whatever_the_body_calls_itself(
    example: Example, body: dict[str, Any], said: str, kind: str
) -> None:
    answer = example.http.post(NOTES, content=json.dumps(body), headers={"content-type": kind})
    assert refused(example, answer, 501).startswith(f"Tule does not do {said} of insert_note. Next: leave it out")
    assert example.error(answer)["errors"][0]["reason"] == "notImplemented"


@pytest.mark.parametrize("query", ["nonsense=1", "callback=alert", "access_token=x", "verbose=1&html=2", "=x"])
def test_other_query_parameters_are_refused(example: Example, query: str) -> None:
    said = refused(example, example.http.get(f"{NOTES}/n?{query}"), 501)
    assert said.startswith("Tule does not do ") and "of get_note" in said


@pytest.mark.parametrize("query", ["verbose=1", "prettyPrint=false&key=k&quotaUser=u&alt=json&userIp=1", "$.xgafv=2"])
def test_what_every_api_knows_is_no_field(example: Example, query: str) -> None:
    assert example.http.get(f"{NOTES}/n?{query}").status_code == 200


@pytest.mark.parametrize("alt", ["proto", "atom", "csv", ""])
def test_another_form_of_answer_is_refused(example: Example, alt: str) -> None:
    assert refused(example, example.http.get(f"{NOTES}/n?alt={alt}"), 501).startswith(
        f"Tule does not answer in alt={alt}"
    )


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("alt=proto", "Tule does not answer ListTensorboards in alt=proto"),
        ("$alt=proto", "Tule does not answer ListTensorboards in alt=proto"),
        ("alt=sse", "Tule does not answer ListTensorboards in alt=sse"),
        ("$alt=json;enum-encoding=string", "Tule does not do the option enum-encoding=string of $alt"),
    ],
)
def test_another_form_of_a_gapic_answer_is_refused(example: Example, query: str, said: str) -> None:
    answer = example.http.get(f"/v1/{LOCATION}/tensorboards?{query}")
    assert refused(example, answer, 501).startswith(said)


# -- partial answers


def test_fields_of_a_door(example: Example) -> None:
    assert example.http.get(f"{NOTES}/n?fields=id,tags/name").json() == {"id": "n", "tags": [{"name": "a"}]}
    assert example.http.get(f"{NOTES}/n?fields=tags(rank)").json() == {"tags": [{"rank": 1}]}
    said = refused(example, example.http.get(f"{NOTES}/n?fields=tags("), 400)
    assert said.startswith("fields must name a field")
    # An error is told whole.
    assert "error" in example.http.get("/notes/v1/bug?fields=id").json()


def test_fields_of_a_gapic_api(example: Example) -> None:
    path = f"/v1/{LOCATION}-f/tensorboards"
    made = example.http.post(path, json={"displayName": "x", "description": "d"}).json()["response"]["name"]
    assert example.http.get(f"/v1/{made}?fields=displayName").json() == {"displayName": "x"}
    assert example.http.get(f"{path}?$fields=tensorboards/description").json() == {
        "tensorboards": [{"description": "d"}]
    }
    series = f"{made}/experiments/e/runs/r/timeSeries/t"
    streamed = example.http.get(f"/v1/{series}:readBlobData?blobIds=a&fields=blobs/id")
    assert streamed.json() == [{"blobs": [{"id": "a"}]}]


def test_enums_of_a_gapic_api(example: Example) -> None:
    path = f"/v1/{LOCATION}/tensorboards/7/experiments/e/runs/r/timeSeries/t:read?maxDataPoints=1"
    names = [example.http.get(path + query).json()["timeSeriesData"] for query in ("", "&$alt=json;enum-encoding=int")]
    assert [each["valueType"] for each in names] == ["BLOB_SEQUENCE", 3]
    assert names[0]["values"][0]["step"] == "7"


# -- batches


def batch(example: Example, *parts: str, kind: str = "multipart/mixed; boundary=b", **headers: str) -> httpx.Response:
    body = "".join(f"--b\r\n{part}\r\n" for part in parts) + "--b--"
    return example.http.post("/batch/notes/v1", content=body.encode(), headers={"content-type": kind, **headers})


def part(request: str, identity: str = "1", kind: str = "application/http") -> str:
    return f"Content-Type: {kind}\r\nContent-ID: <{identity}>\r\n\r\n{request}"


def answers(response: httpx.Response) -> list[tuple[str, int, Any]]:
    """Identity, status and JSON of each part of a batch's answer."""
    assert response.status_code == 200, response.text
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    found = []
    for each in email.message_from_bytes(head + response.content).get_payload():
        status, _, body = each.get_payload().partition("\r\n\r\n")
        found.append((each["Content-ID"], int(status.split(" ")[1]), json.loads(body)))
    return found


def test_a_batch_answers_each_part_in_order(example: Example) -> None:
    insert = f'POST {NOTES} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{{"id": "new"}}'
    one, other = f"GET {NOTES}/one HTTP/1.1\r\n\r\n", f"GET {NOTES}/a%2Fb?fields=id HTTP/1.1"
    found = answers(batch(example, part(one, "a+1"), part(insert, "b+2"), part(other, "c")))
    assert [(identity, status) for identity, status, _ in found] == [
        ("<response-a+1>", 200),
        ("<response-b+2>", 201),
        ("<response-c>", 200),
    ]
    assert found[1][2] == {"id": "new"} and found[2][2] == {"id": "a/b"}


def test_a_part_that_fails_does_not_stop_the_others(example: Example) -> None:
    wrong = [
        "GET /nonsense HTTP/1.1",
        "nonsense",
        "GET http://[bad HTTP/1.1",
        f"PUT {NOTES}/n HTTP/1.1",
        f"GET {NOTES}/%FF HTTP/1.1",
        f"POST {NOTES} HTTP/1.1\r\n\r\n{{",
        f'POST {NOTES} HTTP/1.1\r\n\r\n{{"nonsense": 1}}',
        "POST /batch/notes/v1 HTTP/1.1",
        "GET /notes/v1/bug HTTP/1.1",
    ]
    good = f"GET {NOTES}/n HTTP/1.1"
    found = answers(batch(example, *(part(each) for each in (*wrong, good))))
    assert [status for _, status, _ in found] == [404, 400, 400, 404, 400, 400, 501, 404, 500, 200]
    assert all(body["error"]["message"] for _, _, body in found[:-1])


def test_a_part_is_answered_for_whom_it_names(example: Example) -> None:
    eve = example.access.issue("eve@example.com")
    requests = [f"GET {NOTES}/n HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n" for token in (eve, "wrong")]
    found = answers(batch(example, *map(part, requests), part(f"GET {NOTES}/n HTTP/1.1")))
    assert [status for _, status, _ in found] == [403, 401, 200]


def test_a_batch_of_nobody_is_refused(example: Example) -> None:
    answer = httpx.post(f"http://{example.address}/batch/notes/v1", content=b"")
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("application/json", "A batch must be multipart/mixed; given: application/json"),
        ("", "A batch must be multipart/mixed; given: no content type"),
        ("multipart/mixed", "A batch must have parts between its boundaries"),
        ("multipart/mixed; boundary=other", "A batch must have parts between its boundaries"),
    ],
)
def test_what_is_no_batch_is_refused(example: Example, kind: str, said: str) -> None:
    answer = batch(example, part(f"GET {NOTES}/n HTTP/1.1"), kind=kind)
    assert refused(example, answer, 400).startswith(said)


def test_a_batch_of_too_many_is_refused(example: Example) -> None:
    answer = batch(example, *([part(f"GET {NOTES}/n HTTP/1.1")] * 1001))
    assert refused(example, answer, 400).startswith("A batch must have at most 1000 parts; given: 1001")


def test_batches_in_batches_are_refused(example: Example) -> None:
    body = "".join(f"--{level}\r\nContent-Type: multipart/mixed; boundary={level + 1}\r\n\r\n" for level in range(2000))
    headers = {"content-type": "multipart/mixed; boundary=0"}
    answer = example.http.post("/batch/notes/v1", content=body.encode(), headers=headers)
    assert answer.status_code == 400 or [status for _, status, _ in answers(answer)] == [400]


def test_an_identity_cannot_add_headers(example: Example) -> None:
    found = batch(example, part(f"GET {NOTES}/n HTTP/1.1", "é\r\n X: y"))
    assert found.status_code == 200 and b"\r\nX: y" not in found.content


# -- methods in disguise


def test_a_post_stands_for_the_method_that_it_names(example: Example) -> None:
    def disguised(verb: str, path: str, **more: Any) -> httpx.Response:
        return example.http.post(path, headers={"x-http-method-override": verb, **more.pop("headers", {})}, **more)

    assert disguised("GET", f"{NOTES}/n").json()["id"] == "n"
    assert disguised("get", f"{NOTES}/n", data={"fields": "id"}).json() == {"id": "n"}
    board = example.http.post(f"/v1/{LOCATION}-o/tensorboards", json={"displayName": "x"}).json()["response"]["name"]
    changed = disguised("PATCH", f"/v1/{board}?updateMask=displayName", json={"displayName": "y"})
    assert changed.json()["response"]["displayName"] == "y"
    assert disguised("DELETE", f"/v1/{board}").status_code == 200
    assert example.http.get(f"/v1/{board}").status_code == 404
    assert refused(example, disguised("STEAL", f"{NOTES}/n"), 400).startswith(
        "X-HTTP-Method-Override must name a method"
    )


def test_only_a_post_is_in_disguise(example: Example) -> None:
    answer = example.http.get(f"{NOTES}/n", headers={"x-http-method-override": "DELETE"})
    assert answer.json()["id"] == "n"


# -- the short way


PREDICT = f"/v1/{LOCATION}/endpoints/1:predict"


def test_predictions_take_the_short_way(example: Example) -> None:
    answer = example.http.post(PREDICT, content=b"{}" * 50)
    assert answer.json() == {"fast": 100}
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert example.http.post(PREDICT + "?$alt=json;enum-encoding=int", content=b"x").json() == {"fast": 1}


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?fields=deployedModelId", {}),
        ("?$alt=json&fields=deployedModelId", {}),
        ("", {"content-encoding": "identity"}),
        ("?prettyPrint=true", {}),
    ],
)
def test_what_the_short_way_does_not_know_takes_the_ordinary_one(
    example: Example, query: str, headers: dict[str, str]
) -> None:
    answer = example.http.post(PREDICT + query, content=b'{"instances": [1]}', headers=headers)
    assert answer.json()["deployedModelId"] == "ordinary"


def test_the_short_way_may_decline_after_it_read_the_body(example: Example) -> None:
    answer = example.http.post(PREDICT, content=b"ordinary")
    assert refused(example, answer, 400).startswith("The body must be JSON")


def test_the_short_way_has_the_same_gates(example: Example) -> None:
    anybody = httpx.post(f"http://{example.address}{PREDICT}", content=b"{}")
    assert (anybody.status_code, example.error(anybody)["status"]) == (401, "UNAUTHENTICATED")
    assert refused(example, example.http.post(PREDICT, content=b"bug"), 500).startswith("Tule met an error of its own")
    big = example.http.post(PREDICT, content=b"x" * (4 * 2**20 + 1))
    assert refused(example, big, 400).startswith("A request body must be at most 4194304 bytes")
