"""The front and HTTP itself: bytes as no well-behaved client sends them. Never a 500, never a hang, never half an answer."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import socket
import ssl
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.wire.conftest import LOCATION, MAX_BODY, Example

from tule.wire.intercept.names import METADATA
from tule.wire.server import PrivateSocket

NOTES = "/notes/v1/projects/p/notes"
UPLOADS = "/notes/v1/projects/p/uploads"


@contextlib.contextmanager
def connection(example: Example) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", example.server.port), timeout=20) as sock:
        yield sock


def read_all(sock: socket.socket) -> bytes:
    """What comes until the server closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            found += piece
    return found


def read_answers(sock: socket.socket, count: int) -> list[tuple[int, bytes]]:
    """Status and body of so many answers on a connection that stays open."""
    stream = sock.makefile("rb")
    found = []
    for _ in range(count):
        status, length = int(stream.readline().split(b" ")[1]), 0
        while (line := stream.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        found.append((status, stream.read(length)))
    return found


def head(example: Example, verb: str, path: str, *lines: str) -> bytes:
    own = [f"Host: {example.address}", f"Authorization: Bearer {example.access.token}"]
    return "\r\n".join([f"{verb} {path} HTTP/1.1", *own, *lines, "", ""]).encode()


def message_of(body: bytes) -> str:
    return str(json.loads(body)["error"]["message"])


# -- bodies


def test_a_body_waits_for_the_go_ahead(example: Example) -> None:
    with connection(example) as sock:
        body = b'{"id": "1"}'
        sock.sendall(head(example, "POST", NOTES, f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert read_answers(sock, 1) == [(201, b'{"id":"1"}')]


def test_a_refused_client_is_not_asked_for_a_big_body(example: Example) -> None:
    with connection(example) as sock:
        lines = (f"Content-Length: {2 * MAX_BODY}", "Expect: 100-continue", "X-Goog-Fake: 1")
        sock.sendall(head(example, "POST", "/notes/v1/nothing", *lines))
        assert sock.recv(1000).startswith(b"HTTP/1.1 404")


def test_a_body_in_chunks(example: Example) -> None:
    pieces = [b'{"id"', b': "1", "body"', b': {"text": "x"}}']
    answer = example.http.post(NOTES, content=iter(pieces))
    assert answer.json() == {"id": "1", "body": {"text": "x"}}
    big = example.http.post(UPLOADS, content=(b"x" * 100_000 for _ in range(60)))
    assert big.json() == {"size": 6_000_000}


def test_a_body_that_is_cut_off_is_no_request(example: Example) -> None:
    for lines, body in (
        (("Content-Length: 100",), b'{"id": "cut"}'),
        (("Transfer-Encoding: chunked",), b'd\r\n{"id": "cut"}\r\n'),
        ((f"Content-Length: {2 * 2**20}",), b"x" * 2**20),
    ):
        with connection(example) as sock:
            sock.sendall(head(example, "POST", NOTES, *lines) + body)
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b""


@pytest.mark.parametrize("size", [MAX_BODY + 1, 3 * MAX_BODY])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_huge_body_is_refused(example: Example, size: int, chunked: bool) -> None:
    content = (b" " * (size // 8 + 1) for _ in range(8)) if chunked else b" " * size
    answer = example.http.post(NOTES, content=content)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(f"A request body must be at most {MAX_BODY} bytes")
    assert answer.json()["error"]["errors"][0]["reason"] == "uploadTooLarge"


def test_a_gzip_body_is_read(example: Example) -> None:
    body = json.dumps({"id": "x" * 100_000}).encode()
    packed = gzip.compress(body)
    for content in (packed, gzip.compress(body[:5000]) + gzip.compress(body[5000:])):
        answer = example.http.post(NOTES, content=content, headers={"content-encoding": "gzip"})
        assert len(answer.json()["id"]) == 100_000
    boards = f"/v1/{LOCATION}-z/tensorboards"
    made = example.http.post(
        boards, content=gzip.compress(b'{"displayName": "x"}'), headers={"content-encoding": "gzip"}
    )
    assert made.json()["response"]["displayName"] == "x"


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b'{"id": "1"}')[:-4], gzip.compress(b'{"id": "1"}')[:12], b'{"id": "1"}', zlib.compress(b"{}")],
    ids=["no end", "head only", "plain", "zlib"],
)
def test_a_gzip_body_that_is_not_whole_is_refused(example: Example, content: bytes) -> None:
    answer = example.http.post(NOTES, content=content, headers={"content-encoding": "gzip"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("A gzip body must be whole")


def test_a_small_body_that_unpacks_to_a_huge_one_is_refused(example: Example) -> None:
    bomb = gzip.compress(b" " * (12 * MAX_BODY))
    answer = example.http.post(NOTES, content=bomb, headers={"content-encoding": "gzip"})
    assert answer.status_code == 400 and "at most" in answer.json()["error"]["message"]
    assert example.http.post(UPLOADS, content=bomb, headers={"content-encoding": "gzip"}).json() == {
        "size": 12 * MAX_BODY
    }


def test_another_encoding_is_refused(example: Example) -> None:
    answer = example.http.post(NOTES, content=b"x", headers={"content-encoding": "br"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(
        "A body's Content-Encoding must be gzip or identity; given: 'br'"
    )


# -- one connection, many requests


def test_pipelined_requests_are_answered_in_order(example: Example) -> None:
    body = b'{"id": "2"}'
    requests = [
        head(example, "GET", f"{NOTES}/1?fields=id"),
        head(example, "POST", NOTES, f"Content-Length: {len(body)}") + body,
        head(example, "GET", "/nowhere"),
        head(example, "GET", f"{NOTES}/4?fields=id"),
    ]
    with connection(example) as sock:
        sock.sendall(b"".join(requests))
        found = read_answers(sock, 4)
    assert [status for status, _ in found] == [200, 201, 404, 200]
    assert [json.loads(found[index][1])["id"] for index in (0, 1, 3)] == ["1", "2", "4"]


def test_a_refused_body_does_not_spoil_the_next_request(example: Example) -> None:
    with connection(example) as sock:
        smuggled = head(example, "GET", f"{NOTES}/smuggled")
        lines = ("Content-Type: application/json", f"Content-Length: {len(smuggled)}")
        sock.sendall(head(example, "DELETE", NOTES, *lines) + smuggled + head(example, "GET", f"{NOTES}/n?fields=id"))
        found = read_answers(sock, 2)
    assert [status for status, _ in found] == [404, 200] and json.loads(found[1][1]) == {"id": "n"}


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: +5",),
        ("Content-Length: 0x5",),
        ("Content-Length: -5",),
        ("Transfer-Encoding: chunked, identity",),
        ("Broken header",),
        ("Name : value",),
        (" Folded: value",),
        ("A: b\nC: d\x00",),
    ],
    ids=lambda lines: lines[0].encode().hex()[:16] + str(len(lines)),
)
def test_heads_with_two_meanings_are_refused(example: Example, lines: tuple[str, ...]) -> None:
    with connection(example) as sock:
        sock.sendall(head(example, "POST", NOTES, *lines) + b"5\r\nhello\r\n0\r\n\r\n")
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert answer.count(b"HTTP/1.1 ") == 1 and b"Invalid HTTP request received. Next:" in answer


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\x03",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\xff" * 100,
        b"GET / HTTP/1.1\n\n",
    ],
    ids=["zeros", "hello", "no path", "version", "ff", "newlines"],
)
def test_garbage_is_told_so_or_cut(example: Example, garbage: bytes) -> None:
    with connection(example) as sock:
        sock.sendall(garbage)
        sock.shutdown(socket.SHUT_WR)
        answer = read_all(sock)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    if answer:
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["status"] == "INVALID_ARGUMENT"


def test_a_head_without_end_is_refused(example: Example) -> None:
    with connection(example) as sock, contextlib.suppress(ConnectionError):
        sock.sendall(b"GET / HTTP/1.1\r\n")
        for number in range(100_000):
            sock.sendall(b"X-%d: %s\r\n" % (number, b"x" * 1000))
        pytest.fail("the server read 100 MB of headers")


UPGRADE = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")


def test_an_upgrade_is_not_done_and_the_request_is_with_its_body(example: Example) -> None:
    body = b'{"id": "Upgrade: x"}'
    with connection(example) as sock:
        sock.sendall(head(example, "GET", f"{NOTES}/n?fields=id", *UPGRADE))
        assert read_answers(sock, 1) == [(200, b'{"id":"n"}')]
        sock.sendall(head(example, "POST", NOTES, *UPGRADE, f"Content-Length: {len(body)}") + body)
        assert read_answers(sock, 1) == [(201, b'{"id":"Upgrade: x"}')]
        sock.sendall(head(example, "GET", f"{NOTES}/m?fields=id"))
        assert read_answers(sock, 1) == [(200, b'{"id":"m"}')]


@pytest.mark.parametrize("ahead", [0, 4, 100])
def test_a_body_behind_an_upgrade_is_never_lost(example: Example, ahead: int) -> None:
    """Also where the wish comes in two packets, or behind another request: refused, or done with its body."""
    body = b'{"id": "1"}'
    sent = head(example, "POST", NOTES, *UPGRADE, f"Content-Length: {len(body)}") + body
    before = head(example, "GET", f"{NOTES}/n?fields=id") if not ahead else b""
    at = sent.index(b"Upgrade: h2c") + ahead
    with connection(example) as sock:
        sock.sendall(before + sent[:at])
        if ahead:
            example.http.get("/healthz")
        sock.sendall(sent[at:])
        sock.shutdown(socket.SHUT_WR)
        answer = read_all(sock)
    assert b"HTTP/1.1 201" not in answer or answer.endswith(b'{"id":"1"}'), answer


def test_an_old_client_is_answered_and_let_go(example: Example) -> None:
    with connection(example) as sock:
        sock.sendall(head(example, "GET", f"{NOTES}/n?fields=id").replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert read_all(sock).endswith(b'\r\n\r\n{"id":"n"}')


def test_a_head_request_has_no_body(example: Example) -> None:
    answer = example.http.head("/notes/v1/nowhere")
    assert answer.status_code == 404 and answer.content == b""


# -- clients that are slow, idle, many


def test_a_request_that_comes_byte_by_byte_is_answered(example: Example) -> None:
    with connection(example) as sock:
        for byte in head(example, "GET", f"{NOTES}/n?fields=id"):
            sock.sendall(bytes([byte]))
        assert read_answers(sock, 1) == [(200, b'{"id":"n"}')]


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"P",
        b"PRI * HTTP/2.0",
        b"GET / HT",
        b"GET http://example.com",
        b"CONNECT x:1 HTTP/1.1\r\n",
        b"\x16",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\nhalf",
    ],
    ids=["nothing", "P", "preface", "line", "absolute", "connect", "tls", "head", "body", "upload"],
)
def test_who_does_not_go_on_is_let_go(hasty: Example, begun: bytes) -> None:
    with connection(hasty) as sock:
        sock.sendall(begun)
        answer = read_all(sock)
    # TLS says goodbye in its own way; who sends no credential is refused before the body is there.
    assert answer == b"" or answer[:1] == b"\x15" or answer.startswith(b"HTTP/1.1 401")


def test_who_trickles_a_head_is_let_go(hasty: Example) -> None:
    with connection(hasty) as sock, contextlib.suppress(ConnectionError):
        sock.sendall(b"GET / HTTP/1.1\r\n")
        sock.settimeout(0.05)
        for _ in range(400):
            sock.sendall(b"X")
            with contextlib.suppress(TimeoutError):
                assert sock.recv(10) == b""
                return
        pytest.fail("the server waited for 20 seconds")


def test_who_takes_no_answer_is_let_go(hasty: Example) -> None:
    with connection(hasty) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(head(hasty, "GET", f"/notes/v1/projects/p/download?size={2**30}"))
        # Its thread is free again, although nobody reads: with two threads, two such clients would stop the server.
        with connection(hasty) as other:
            other.sendall(head(hasty, "GET", f"/notes/v1/projects/p/download?size={2**30}"))
            assert hasty.http.get(f"{NOTES}/n").status_code == 200


def test_slow_uploads_do_not_keep_others_waiting(example: Example) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(80):
            sock = stack.enter_context(connection(example))
            sock.sendall(head(example, "POST", UPLOADS, f"Content-Length: {2**30}") + b"x" * 1000)
        assert example.http.get(f"{NOTES}/n").status_code == 200


def test_many_idle_connections_do_no_harm(example: Example) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(1500):
            stack.enter_context(connection(example))
        assert example.http.get(f"{NOTES}/n").status_code == 200
        assert example.client("grpc").list_tensorboards(parent=LOCATION, timeout=20) is not None


def test_slow_calls_beyond_the_threads_wait_their_turn(example: Example, side: ThreadPoolExecutor) -> None:
    example.notes.gate.clear()
    waiting = [side.submit(example.http.get, "/notes/v1/projects/p/wait") for _ in range(16)]
    assert example.http.get(f"{NOTES}/n").status_code == 200
    example.notes.gate.set()
    assert [each.result(30).json() for each in waiting] == [{"opened": True}] * 16


# -- TLS and HTTP/2


def tls(example: Example, *protocols: str, host: str = "localhost") -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(example.authority.root_path))
    if protocols:
        context.set_alpn_protocols(protocols)
    sock = socket.create_connection(("127.0.0.1", example.server.tls_port), timeout=20)
    return context.wrap_socket(sock, server_hostname=host)


@pytest.mark.parametrize(
    ("offered", "chosen"), [(("h2", "http/1.1"), "http/1.1"), (("http/1.1",), "http/1.1"), (("h2",), "h2"), ((), None)]
)
def test_http_1_is_chosen_where_both_are_offered(
    example: Example, offered: tuple[str, ...], chosen: str | None
) -> None:
    with tls(example, *offered) as sock:
        assert sock.selected_alpn_protocol() == chosen
        if chosen == "h2":
            return
        sock.sendall(head(example, "GET", f"{NOTES}/n?fields=id"))
        assert read_answers(sock, 1) == [(200, b'{"id":"n"}')]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "storage.googleapis.com", "x.y.googleapis.com"])
def test_certificates_name_ours_and_no_others(example: Example, host: str) -> None:
    if host == "x.y.googleapis.com":
        with pytest.raises(ssl.SSLCertVerificationError):
            tls(example, host=host)
    else:
        tls(example, host=host).close()


def test_the_authority_cannot_vouch_for_other_names(example: Example) -> None:
    """Whoever stole its key could not stand in for a bank."""
    server, client = socket.socketpair()
    context = ssl.create_default_context(cafile=str(example.authority.root_path))
    with ThreadPoolExecutor(1) as pool, server, client:
        accepting = pool.submit(example.authority.context("bank.example").wrap_socket, server, server_side=True)
        with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
            context.wrap_socket(client, server_hostname="bank.example")
        with pytest.raises((ssl.SSLError, OSError)):
            accepting.result(20)


def test_grpc_speaks_on_both_ports_and_behind_tls(example: Example) -> None:
    import grpc

    roots = grpc.ssl_channel_credentials(example.authority.root_path.read_bytes())
    for port in (example.server.port, example.server.tls_port):
        with grpc.secure_channel(f"localhost:{port}", roots) as channel:
            call = channel.unary_unary("/google.cloud.location.Locations/ListLocations")
            answer = call(
                b"\x0a\x0aprojects/p", metadata=[("authorization", f"Bearer {example.access.token}")], timeout=20
            )
            assert b"us-central1" in answer


# -- the proxy


def ask_proxy(example: Example, request: str, *, credential: str | None = None) -> bytes:
    token = example.access.token if credential is None else credential
    encoded = base64.b64encode(f"tule:{token}".encode()).decode()
    first, _, rest = request.partition("\r\n")
    with connection(example) as sock:
        sock.sendall(f"{first}\r\nProxy-Authorization: Basic {encoded}\r\n{rest}".encode())
        sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


@pytest.mark.parametrize(
    "host",
    [
        "metadata.google.internal",
        "METADATA.google.internal.",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[fd20:ce::254]",
    ],
)
def test_the_metadata_server_is_answered_here_however_it_is_spelled(example: Example, host: str) -> None:
    path = "/computeMetadata/v1/project/project-id"
    for name in (host, "localhost"):
        request = f"GET http://{host}{path} HTTP/1.1\r\nHost: {name}\r\nMetadata-Flavor: Google\r\n\r\n"
        answer = ask_proxy(example, request)
        if name == "localhost" or host.lower().strip("[].") in METADATA:
            assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\np"), answer
        assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("target", ["http://[bad/", "http://x:y/", "http:///x", "http://x:99999/"])
def test_an_address_that_is_none_is_refused(example: Example, target: str) -> None:
    answer = ask_proxy(example, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 502")), answer


@pytest.mark.parametrize("verb", ["CONNECT example.com:443", "GET http://example.com/"])
def test_the_proxy_wants_its_credential_and_says_so_before_it_closes(example: Example, verb: str) -> None:
    body = "x" * 200_000
    request = f"{verb} HTTP/1.1\r\nHost: example.com\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    answer = ask_proxy(example, request, credential="0" * 64)
    assert answer.startswith(b"HTTP/1.1 407") and b"tule exec" in answer


def test_a_service_of_this_machine_is_reached_at_its_own_port(example: Example) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        port = listener.getsockname()[1]
        request = f"GET http://localhost:{port}/x?y HTTP/1.1\r\nHost: localhost\r\nProxy-Connection: keep-alive\r\n\r\n"
        asked = pool.submit(ask_proxy, example, request)
        there, _ = listener.accept()
        with there:
            seen = there.recv(4096)
            there.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        assert asked.result(20).endswith(b"hi")
    assert seen == b"GET /x?y HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def test_our_own_address_is_answered_by_ourselves(example: Example) -> None:
    answer = ask_proxy(example, f"GET http://{example.address}/healthz HTTP/1.1\r\nHost: {example.address}\r\n\r\n")
    assert answer.endswith(b'{"status":"ready"}')


# -- anything at all


def alive(example: Example) -> bool:
    return example.http.get("/healthz").status_code == 200


def exchange(example: Example, sent: bytes) -> bytes:
    with connection(example) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


LINES = st.sampled_from(
    ["GET / HTTP/1.1", "POST /v1/x HTTP/1.1", "CONNECT a:1 HTTP/1.1", "GET http://x/ HTTP/1.1", "PRI * HTTP/2.0", "0",
     "Host: localhost", "Content-Length: 3", "Content-Length: 99", "Transfer-Encoding: chunked", "Expect: 100-continue",
     "Upgrade: h2c", "Connection: Upgrade", "Authorization: Bearer x", "Proxy-Authorization: Basic eA==", "3", "abc",
     "Content-Encoding: gzip", "{}", "\x00", ""]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.lists(LINES, max_size=12).map(lambda lines: "\r\n".join(lines).encode())))
def test_any_bytes_get_a_clean_answer_or_none(example: Example, sent: bytes) -> None:
    answer = exchange(example, sent)
    assert not answer.startswith(b"HTTP/1.1 5"), answer
    assert b"Traceback" not in answer
    assert alive(example)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**66), 2**66) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)
ROUTES = st.sampled_from(
    [("POST", NOTES), ("POST", f"/v1/{LOCATION}/tensorboards"), ("PATCH", f"/v1/{LOCATION}/tensorboards/7"),
     ("POST", f"/v1/{LOCATION}/tensorboards/7/experiments/e/runs/r:write"), ("POST", f"/v1/{LOCATION}/operations/7:wait"),
     ("POST", f"/v1/{LOCATION}/models/7:setIamPolicy"), ("GET", f"/v1/{LOCATION}/tensorboards"), ("POST", "/batch/notes/v1")]
)  # fmt: skip
BODIES = st.one_of(
    JSON.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=50),
    st.integers(1, 20_000).map(lambda depth: b'{"a":' * depth),
    st.integers(1, 2000).map(lambda depth: b"[" * depth + b"]" * depth),
)
KINDS = st.sampled_from(
    ["application/json", "text/plain", "multipart/mixed; boundary=b", "application/x-www-form-urlencoded", "é"]
)
QUERIES = st.dictionaries(
    st.sampled_from(["fields", "alt", "$alt", "filter", "orderBy", "pageSize", "pageToken", "updateMask", "x"])
    | st.text(max_size=4),
    st.text(max_size=10),
    max_size=3,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROUTES, BODIES, KINDS, QUERIES)
def test_any_request_is_answered_and_no_bug_is_met(
    example: Example, route: tuple[str, str], body: bytes, kind: str, query: dict[str, str]
) -> None:
    headers = {"content-type": kind.encode()}
    answer = example.http.request(route[0], route[1], content=body, headers=headers, params=query)
    assert answer.status_code in (200, 201, 400, 404, 409, 501), answer.text
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert error["code"] == answer.status_code and error["message"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters(codec="latin-1", exclude_characters="\r\n\x00"), max_size=60),
    st.sampled_from(["GET", "POST", "DELETE"]),
)
def test_any_path_is_answered(example: Example, path: str, verb: str) -> None:
    answer = exchange(example, head(example, verb, "/" + path.replace(" ", "%20"), "Connection: close"))
    assert not answer.startswith(b"HTTP/1.1 500"), answer


def test_a_client_that_leaves_at_once_does_no_harm(example: Example) -> None:
    for _ in range(50):
        with connection(example) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            sock.sendall(head(example, "GET", f"{NOTES}/n"))
    assert alive(example)


def test_an_answer_is_never_taken_for_another(example: Example, side: ThreadPoolExecutor) -> None:
    def ask(number: int) -> bool:
        return bool(example.http.get(f"{NOTES}/{number}").json()["id"] == str(number))

    assert all(side.map(ask, range(500)))


def test_httpx_with_its_own_tls_stack_lands_here(example: Example) -> None:
    context = ssl.create_default_context(cafile=str(example.authority.root_path))
    answer = httpx.get(f"https://localhost:{example.server.tls_port}/healthz", verify=context)
    assert answer.json() == {"status": "ready"}


@pytest.mark.parametrize("sockets", [True, False])
def test_a_data_directory_may_be_deep_or_on_a_file_system_without_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sockets: bool
) -> None:
    if not sockets:
        monkeypatch.setattr(PrivateSocket, "_works", lambda _: False)
    deep = tmp_path / ("x" * 200) / ("y" * 200)
    made = Example(deep)
    try:
        assert (deep / "sockets" / "grpc").exists() is sockets
        assert made.client("grpc").list_tensorboards(parent=LOCATION, timeout=20) is not None
    finally:
        made.close()
    assert list((deep / "sockets").iterdir()) == []


def test_who_waits_when_the_server_stops_is_told_so(tmp_path: Path, side: ThreadPoolExecutor) -> None:
    stopping = Example(tmp_path / "home")
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connection(stopping)) for _ in range(3)]
        for sock in socks:
            sock.sendall(head(stopping, "GET", "/notes/v1/projects/p/wait"))
        while stopping.notes.waiting < 3:
            assert stopping.http.get("/healthz").status_code == 200
        stopping.close()
        answers = [read_all(sock) for sock in socks]
        stopping.notes.gate.set()
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert message_of(answer.partition(b"\r\n\r\n")[2]).startswith("The server must be running. Next: start it")
