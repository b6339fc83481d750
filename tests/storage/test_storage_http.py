"""The JSON API as other clients may speak it: the resumable protocol, ranges, broken requests, other people's buckets."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tule.kernel.access import Access
from tule.kernel.clock import RealClock
from tule.kernel.home import Home
from tule.kernel.settings import Settings
from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def api(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=30) as client:
        yield client


@pytest.fixture
def bucket(api: httpx.Client, request: pytest.FixtureRequest) -> str:
    """A bucket of the test's own."""
    name = "http-" + "".join(letter if letter.isalnum() else "-" for letter in request.node.originalname)[-50:].lower()
    name = name.strip("-")
    if api.get(f"/storage/v1/b/{name}").status_code == 404:
        assert api.post("/storage/v1/b", params={"project": "test-project"}, json={"name": name}).status_code == 200
    return name


def put(api: httpx.Client, bucket: str, key: str, content: bytes = b"0123456789", **headers: str) -> dict[str, Any]:
    answer = api.post(
        f"/upload/storage/v1/b/{bucket}/o",
        params={"uploadType": "media", "name": key},
        content=content,
        headers=headers,
    )
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def path(bucket: str, key: str) -> str:
    return f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}"


def begin(api: httpx.Client, bucket: str, key: str, **headers: str) -> str:
    answer = api.post(
        f"/upload/storage/v1/b/{bucket}/o", params={"uploadType": "resumable"}, json={"name": key}, headers=headers
    )
    assert answer.status_code == 200, answer.text
    return answer.headers["location"]


def reason(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


# -- the resumable protocol


def test_a_session_takes_chunks_in_order(api: httpx.Client, bucket: str) -> None:
    address = begin(api, bucket, "a", **{"X-Upload-Content-Type": "text/x", "X-Upload-Content-Length": "6"})
    asked = api.put(address, headers={"Content-Range": "bytes */6"})
    assert (asked.status_code, asked.headers.get("range")) == (308, None)
    sent = api.put(address, content=b"abc", headers={"Content-Range": "bytes 0-2/6"})
    assert (sent.status_code, sent.headers["range"]) == (308, "bytes=0-2")
    gap = api.put(address, content=b"f", headers={"Content-Range": "bytes 5-5/6"})
    assert reason(gap) == (400, "invalid")
    assert "must begin where the last one ended; given: byte 5, with 3 bytes received" in gap.text
    long = api.put(address, content=b"defg", headers={"Content-Range": "bytes 3-5/6"})
    assert "must be as long as its Content-Range says" in long.text
    assert api.get(path(bucket, "a")).status_code == 404
    last = api.put(address, content=b"cdef", headers={"Content-Range": "bytes 2-5/6"})
    assert (last.status_code, last.json()["size"], last.json()["contentType"]) == (200, "6", "text/x")
    # A client that did not hear of the end asks again, or sends the last chunk again.
    for again in (
        api.put(address, headers={"Content-Range": "bytes */6"}),
        api.put(address, content=b"cdef", headers={"Content-Range": "bytes 2-5/6"}),
    ):
        assert (again.status_code, again.json()["generation"]) == (200, last.json()["generation"])
    assert api.get(path(bucket, "a"), params={"alt": "media"}).content == b"abcdef"


def test_a_session_takes_the_whole_in_one_request(api: httpx.Client, bucket: str) -> None:
    assert api.put(begin(api, bucket, "a"), content=b"whole").json()["size"] == "5"
    assert api.put(begin(api, bucket, "b"), content=iter([b"in ", b"pieces"])).json()["size"] == "9"
    address = begin(api, bucket, "c")
    assert api.put(address, headers={"Content-Range": "bytes */0"}).json()["size"] == "0"


def test_the_address_of_a_session_is_its_credential(api: httpx.Client, bucket: str, server: ServerProcess) -> None:
    address = begin(api, bucket, "a")
    assert httpx.put(address, content=b"x", headers={"Content-Range": "bytes 0-0/1"}).status_code == 200
    unknown = httpx.put(address.replace("upload_id=", "upload_id=0"), content=b"x")
    assert reason(unknown) == (404, "notFound")
    assert "An upload session must exist" in unknown.text


def test_a_cancelled_session_is_gone(api: httpx.Client, bucket: str) -> None:
    address = begin(api, bucket, "a")
    api.put(address, content=b"abc", headers={"Content-Range": "bytes 0-2/6"})
    assert api.delete(address).status_code == 499
    assert api.put(address, headers={"Content-Range": "bytes */6"}).status_code == 404
    assert api.get(path(bucket, "a")).status_code == 404


@pytest.mark.parametrize(
    ("key", "began", "last", "message"),
    [
        ("size", {"X-Upload-Content-Length": "7"}, {}, "declared 7 bytes, received 3"),
        ("crc", {}, {"X-Goog-Hash": "crc32c=mnG7TA=="}, "must have the CRC32C that was declared"),
        ("md5", {}, {"X-Goog-Hash": "md5=XUFAKrxLKna5cZ2REBfFkg=="}, "must have the MD5 hash that was declared"),
    ],
    ids=["size", "crc32c", "md5"],
)
def test_an_upload_that_is_not_what_was_declared_makes_no_object(
    api: httpx.Client, bucket: str, key: str, began: dict[str, str], last: dict[str, str], message: str
) -> None:
    address = begin(api, bucket, key, **began)
    wrong = api.put(address, content=b"abc", headers={"Content-Range": "bytes 0-2/3", **last})
    assert reason(wrong) == (400, "invalid")
    assert message in wrong.text
    assert api.get(path(bucket, key)).status_code == 404


def test_two_that_race_for_a_new_object_by_sessions(api: httpx.Client, bucket: str) -> None:
    first, second = (
        api.post(
            f"/upload/storage/v1/b/{bucket}/o",
            params={"uploadType": "resumable", "ifGenerationMatch": "0"},
            json={"name": "a"},
        ).headers["location"]
        for _ in range(2)
    )
    assert api.put(first, content=b"first").status_code == 200
    assert reason(api.put(second, content=b"second")) == (412, "conditionNotMet")
    assert api.get(path(bucket, "a"), params={"alt": "media"}).content == b"first"


# -- uploads in parts

HOST = {"Host": "storage.googleapis.com"}


def part(api: httpx.Client, bucket: str, upload: str, number: int, content: bytes, **headers: str) -> httpx.Response:
    query = {"partNumber": str(number), "uploadId": upload}
    return api.put(f"/{bucket}/a", params=query, content=content, headers=HOST | headers)


def listing(*parts: tuple[int, str]) -> str:
    inner = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in parts)
    return f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>"


@pytest.fixture
def parts(api: httpx.Client, bucket: str) -> str:
    """An upload in parts, begun."""
    begun = api.post(f"/{bucket}/a?uploads", headers=HOST | {"Content-Type": "text/x", "x-goog-meta-k": "v"})
    assert begun.status_code == 200
    found = re.search("<UploadId>(.+)</UploadId>", begun.text)
    assert found is not None
    return found[1]


def test_parts_in_any_order_make_a_whole(api: httpx.Client, bucket: str, parts: str, server: ServerProcess) -> None:
    last = part(api, bucket, parts, 3, b"lo").headers["etag"]
    part(api, bucket, parts, 1, b"wrong")
    first = part(api, bucket, parts, 1, b"hel")
    assert first.headers["x-goog-hash"].startswith("crc32c=")
    body = listing((1, first.headers["etag"]), (3, last))
    for _ in range(2):  # also for a client that did not hear of the end
        done = api.post(f"/{bucket}/a", params={"uploadId": parts}, content=body, headers=HOST)
        assert (done.status_code, "CompleteMultipartUploadResult" in done.text) == (200, True)
    made = api.get(path(bucket, "a")).json()
    assert (made["contentType"], made["metadata"], made["size"]) == ("text/x", {"k": "v"}, "5")
    assert api.get(path(bucket, "a"), params={"alt": "media"}).content == b"hello"
    assert list((server.home / "uploads" / "storagePartUploads").iterdir()) == []


def test_parts_that_do_not_fit_make_nothing(api: httpx.Client, bucket: str, parts: str, server: ServerProcess) -> None:
    etag = part(api, bucket, parts, 1, b"abc").headers["etag"]
    entities = b'<!DOCTYPE a [<!ENTITY b "c">]><CompleteMultipartUpload/>'
    for content, code in (
        (listing((1, "0" * 32)), "InvalidPart"),
        (listing((1, etag), (2, etag)), "InvalidPart"),
        (listing((1, etag), (1, etag)), "InvalidPartOrder"),
        (listing(), "InvalidPartOrder"),
        ("<CompleteMultipartUpload><Part/></CompleteMultipartUpload>", "MalformedXML"),
        ("nothing of this kind", "MalformedXML"),
        (entities, "MalformedXML"),
    ):
        wrong = api.post(f"/{bucket}/a", params={"uploadId": parts}, content=content, headers=HOST)
        assert wrong.status_code == 400
        assert f"<Code>{code}</Code>" in wrong.text
    assert part(api, bucket, parts, 0, b"x").status_code == 400
    bad = part(api, bucket, parts, 2, b"x", **{"X-Goog-Hash": "crc32c=mnG7TA=="})
    assert bad.status_code == 400
    assert "CRC32C that was declared" in bad.text
    elsewhere = api.put(f"/{bucket}/b", params={"partNumber": "1", "uploadId": parts}, headers=HOST)
    assert (elsewhere.status_code, "begin it there" in elsewhere.text) == (404, True)
    assert api.delete(f"/{bucket}/a", params={"uploadId": parts}, headers=HOST).status_code == 204
    assert part(api, bucket, parts, 1, b"abc").status_code == 404
    assert api.get(path(bucket, "a")).status_code == 404
    assert list((server.home / "uploads" / "storagePartUploads").iterdir()) == []


# -- uploads that break


def _send(server: ServerProcess, bucket: str, kind: str, content_type: str, body: bytes, declared: int) -> None:
    """A request whose body ends before the length it declared."""
    with socket.create_connection(("127.0.0.1", server.runtime.port)) as sock:
        sock.sendall(
            f"POST /upload/storage/v1/b/{bucket}/o?uploadType={kind}&name=a HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {server.token}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {declared}\r\n\r\n".encode()
            + body
        )
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)  # the server closes, or answers, once it saw the end


@pytest.mark.parametrize("kind", ["media", "multipart"])
def test_a_truncated_upload_leaves_what_was_there(
    api: httpx.Client, bucket: str, server: ServerProcess, kind: str
) -> None:
    before = put(api, bucket, "a", b"before " + kind.encode())
    body = b"x" * 2_000_000
    if kind == "multipart":
        body = b'--b\r\nContent-Type: application/json\r\n\r\n{"name": "a"}\r\n--b\r\n\r\n' + body
    _send(server, bucket, kind, "multipart/related; boundary=b", body, 4_000_000)
    after = api.get(path(bucket, "a"))
    assert after.json()["generation"] == before["generation"]
    assert api.get(path(bucket, "a"), params={"alt": "media"}).content == b"before " + kind.encode()


@pytest.mark.parametrize(
    ("query", "kind", "body", "message"),
    [
        (
            {"uploadType": "multipart", "name": "a"},
            "multipart/related; boundary=b",
            b"--b\r\n\r\n{}\r\n--b\r\n\r\nx",
            "cut off",
        ),
        ({"uploadType": "multipart"}, "application/json", b"{}", "must have the content type multipart/related"),
        (
            {"uploadType": "multipart"},
            "multipart/related; boundary=b",
            b"--b\r\n\r\n{]\r\n--b\r\n\r\nx\r\n--b--",
            "JSON",
        ),
        ({"uploadType": "media"}, "text/x", b"x", "Required parameter: name"),
        ({"uploadType": "other", "name": "a"}, "text/x", b"x", "uploadType must be media, multipart or resumable"),
        ({"uploadType": "resumable", "name": "a"}, "application/json", b"{", "must be JSON"),
        ({"uploadType": "media", "name": "a", "ifGenerationMatch": "-1"}, "text/x", b"x", "must be a whole number"),
        ({"uploadType": "media", "name": ".."}, "text/x", b"x", "An object name must"),
    ],
    ids=["cut-off", "no-parts", "no-json", "no-name", "kind", "resumable-json", "condition", "dots"],
)
def test_a_broken_upload_is_told_what_is_wrong(
    api: httpx.Client, bucket: str, query: dict[str, str], kind: str, body: bytes, message: str
) -> None:
    answer = api.post(f"/upload/storage/v1/b/{bucket}/o", params=query, content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]
    assert "items" not in api.get(f"/storage/v1/b/{bucket}/o").json()


def test_what_is_not_done_is_refused_by_name(api: httpx.Client, bucket: str) -> None:
    for query, described, field in (
        ({"kmsKeyName": "k"}, {}, "kmsKeyName"),
        ({}, {"acl": [{"entity": "allUsers", "role": "READER"}]}, "acl"),
        ({}, {"contexts": {"custom": {"k": {"value": "v"}}}}, "contexts.custom.k.value"),
        ({}, {"retention": {"mode": "Locked"}}, "retention.mode"),
    ):
        answer = api.post(
            f"/upload/storage/v1/b/{bucket}/o",
            params={"uploadType": "resumable", **query},
            json={"name": "a", **described},
        )
        assert reason(answer) == (501, "notImplemented")
        assert f"Tule does not do {field}" in answer.text
    refused = api.post(path(bucket, "a") + "/restore", params={"generation": "1"})
    assert reason(refused) == (501, "notImplemented")
    assert "does not do POST" in refused.text and "restore" in refused.text


# -- downloads


@pytest.mark.parametrize(
    ("asked", "status", "content", "said"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=8-100", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=a-b", 200, b"0123456789", None),
    ],
)
def test_ranges(api: httpx.Client, bucket: str, asked: str, status: int, content: bytes, said: str | None) -> None:
    put(api, bucket, "a")
    for address in (path(bucket, "a"), path(bucket, "a").replace("/storage/", "/download/storage/", 1)):
        answer = api.get(address, params={"alt": "media"}, headers={"Range": asked})
        assert (answer.status_code, answer.content, answer.headers.get("content-range")) == (status, content, said)


def test_a_download_tells_of_its_object(api: httpx.Client, bucket: str) -> None:
    made = put(api, bucket, "a", b"hello", **{"Content-Type": "text/x"})
    answer = api.get(made["mediaLink"])
    assert answer.content == b"hello"
    wanted = {
        "content-type": "text/x",
        "etag": made["etag"],
        "x-goog-generation": made["generation"],
        "x-goog-metageneration": "1",
        "x-goog-hash": "crc32c=mnG7TA==,md5=XUFAKrxLKna5cZ2REBfFkg==",
        "x-goog-stored-content-length": "5",
        "content-length": "5",
    }
    assert {name: answer.headers[name] for name in wanted} == wanted
    same = api.get(made["mediaLink"], headers={"If-None-Match": made["etag"]})
    assert (same.status_code, same.content) == (304, b"")


def test_an_object_that_says_gzip_and_is_not(api: httpx.Client, bucket: str) -> None:
    api.post(
        f"/upload/storage/v1/b/{bucket}/o",
        params={"uploadType": "media", "name": "a", "contentEncoding": "gzip"},
        content=b"not packed",
    )
    answer = api.get(path(bucket, "a"), params={"alt": "media"}, headers={"Accept-Encoding": "identity"})
    assert answer.status_code == 400
    assert "An object whose contentEncoding is gzip must be gzip" in answer.text


# -- names


@pytest.mark.parametrize("key", ["a/../../b", "..%2f", "ñ/日本 語?#", "a//b/", "%", "+ +"])
def test_names_come_back_as_they_were(api: httpx.Client, bucket: str, key: str) -> None:
    made = put(api, bucket, key, key.encode())
    assert (made["name"], made["id"]) == (key, f"{bucket}/{key}/{made['generation']}")
    assert api.get(made["selfLink"]).json()["name"] == key
    assert api.get(made["mediaLink"]).content == key.encode()
    assert api.delete(path(bucket, key)).status_code == 204
    assert "items" not in api.get(f"/storage/v1/b/{bucket}/o").json()


def test_a_path_that_is_no_text_is_refused(api: httpx.Client, bucket: str) -> None:
    answer = api.get(f"/storage/v1/b/{bucket}/o/%FF")
    assert reason(answer) == (400, "invalid")
    assert "must be UTF-8" in answer.text


# -- who may


@pytest.fixture
def stranger(server: ServerProcess) -> Iterator[httpx.Client]:
    """Somebody with a valid token and no role."""
    settings = Settings.read({}, home=server.home, project=server.project)
    access = Access(Home.attach(settings), RealClock(), server.project)
    token = access.issue("stranger@example.com")
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        yield client


def _grant(api: httpx.Client, bucket: str, role: str, member: str = "user:stranger@example.com") -> None:
    policy = {"bindings": [{"role": role, "members": [member]}]}
    assert api.put(f"/storage/v1/b/{bucket}/iam", json=policy).status_code == 200


def _attempts(client: httpx.Client, bucket: str) -> dict[str, Callable[[], httpx.Response]]:
    media = {"uploadType": "media"}
    return {
        "list": lambda: client.get(f"/storage/v1/b/{bucket}/o"),
        "get": lambda: client.get(path(bucket, "a")),
        "download": lambda: client.get(path(bucket, "a"), params={"alt": "media"}),
        "create": lambda: client.post(f"/upload/storage/v1/b/{bucket}/o", params={**media, "name": "b"}, content=b"b"),
        "replace": lambda: client.post(f"/upload/storage/v1/b/{bucket}/o", params={**media, "name": "a"}, content=b"!"),
        "patch": lambda: client.patch(path(bucket, "a"), json={"metadata": {"k": "v"}}),
        "policy": lambda: client.put(f"/storage/v1/b/{bucket}/iam", json={"bindings": []}),
    }


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("", set()),
        ("roles/storage.objectViewer", {"list", "get", "download"}),
        ("permissions/storage.objects.create", {"create"}),
        ("roles/storage.objectUser", {"list", "get", "download", "create", "replace", "patch"}),
        ("roles/storage.admin", {"list", "get", "download", "create", "replace", "patch", "policy"}),
        ("roles/bigquery.admin", set()),
    ],
)
def test_a_stranger_may_what_the_buckets_policy_says(
    api: httpx.Client, stranger: httpx.Client, bucket: str, role: str, allowed: set[str]
) -> None:
    put(api, bucket, "a", b"mine")
    if role:
        _grant(api, bucket, role)
    else:
        api.put(f"/storage/v1/b/{bucket}/iam", json={"bindings": []})
    answers = {name: attempt() for name, attempt in _attempts(stranger, bucket).items()}
    assert {name for name, answer in answers.items() if answer.status_code == 200} == allowed
    for name, answer in answers.items():
        if name not in allowed:
            assert reason(answer) == (403, "forbidden")
            assert "stranger@example.com must have the permission storage." in answer.text
    content = api.get(path(bucket, "a"), params={"alt": "media"}).content
    assert content == (b"!" if "replace" in allowed else b"mine")
    api.delete(path(bucket, "b"))


def test_a_role_on_one_bucket_is_none_on_another(api: httpx.Client, stranger: httpx.Client, bucket: str) -> None:
    other = bucket + "-2"
    api.post("/storage/v1/b", params={"project": "test-project"}, json={"name": other})
    put(api, bucket, "a", b"secret")
    _grant(api, other, "roles/storage.admin")
    for answer in (
        stranger.post(f"{path(bucket, 'a')}/copyTo/b/{other}/o/stolen", json={}),
        stranger.post(f"{path(bucket, 'a')}/rewriteTo/b/{other}/o/stolen", json={}),
        stranger.post(f"/storage/v1/b/{bucket}/o/x/compose", json={"sourceObjects": [{"name": "a"}]}),
        stranger.get("/storage/v1/b", params={"project": "test-project"}),
        stranger.post("/storage/v1/b", params={"project": "test-project"}, json={"name": bucket + "-3"}),
        stranger.delete(f"/storage/v1/b/{bucket}"),
    ):
        assert reason(answer) == (403, "forbidden"), answer.text
    _grant(api, bucket, "roles/storage.objectViewer")
    assert stranger.post(f"{path(bucket, 'a')}/copyTo/b/{other}/o/copied", json={}).status_code == 200
    assert stranger.post(f"{path(other, 'copied')}/copyTo/b/{bucket}/o/x", json={}).status_code == 403
    asked = stranger.get(
        f"/storage/v1/b/{bucket}/iam/testPermissions",
        params={"permissions": ["storage.objects.get", "storage.objects.delete"]},
    )
    assert asked.json()["permissions"] == ["storage.objects.get"]


def test_nobody_gets_anything_without_a_credential(api: httpx.Client, bucket: str, server: ServerProcess) -> None:
    put(api, bucket, "a")
    _grant(api, bucket, "roles/storage.objectViewer", "allUsers")
    for headers in ({}, {"Authorization": "Bearer made-up"}):
        answer = httpx.get(server.url + path(bucket, "a"), params={"alt": "media"}, headers=headers)
        assert answer.status_code == 401
        assert b"0123" not in answer.content
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_bodies_that_are_no_objects_are_refused(api: httpx.Client, bucket: str) -> None:
    put(api, bucket, "a")
    for body in (b"{", b"[1]", b'"x"', b'{"metadata": "text"}', b'{"metadata": {"k": [1]}}', b'{"contentType": 5}'):
        answer = api.patch(path(bucket, "a"), content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, body
        assert "must be" in answer.json()["error"]["message"]
    assert json.loads(api.get(path(bucket, "a")).content)["metageneration"] == "1"
