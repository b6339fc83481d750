"""The short way of predictions over HTTP: what takes it, what leaves it, and that a connection survives both."""

from __future__ import annotations

import contextlib
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.wire.conftest import LOCATION, MAX_BODY, Example
from tests.wire.test_edges import NOTES, connection, head, message_of, read_all, read_answers

PREDICT = f"/v1/{LOCATION}/endpoints/1:predict"
ORDINARY = b'{"instances": [1]}'


def request(example: Example, body: bytes, *lines: str, path: str = PREDICT) -> bytes:
    return head(example, "POST", path, f"Content-Length: {len(body)}", *lines) + body


def test_what_has_to_be_waited_for_is(example: Example) -> None:
    with connection(example) as sock:
        sock.sendall(request(example, b"wait") + request(example, b"now"))
        # What came behind it waits its turn, on the ordinary way: "now" is no JSON.
        found = read_answers(sock, 2)
        assert found[0] == (200, b'{"waited":4}')
        assert found[1][0] == 400 and message_of(found[1][1]).startswith("The body must be JSON")
        sock.sendall(request(example, b"now"))
        assert read_answers(sock, 1) == [(200, b'{"fast":3}')]


def test_a_failure_while_waiting_is_an_answer(example: Example) -> None:
    with connection(example) as sock:
        sock.sendall(request(example, b"wait for a bug"))
        status, body = read_answers(sock, 1)[0]
        assert status == 500 and message_of(body).startswith("Tule met an error of its own")
        sock.sendall(request(example, b"now"))
        assert read_answers(sock, 1) == [(200, b'{"fast":3}')]


def test_pipelined_predictions_are_answered_in_order(example: Example) -> None:
    parts = [
        request(example, b"1"),
        request(example, b"22"),
        head(example, "GET", f"{NOTES}/4?fields=id"),
        request(example, ORDINARY),
    ]
    with connection(example) as sock:
        sock.sendall(b"".join(parts))
        found = read_answers(sock, 4)
    assert [status for status, _ in found] == [200] * 4
    assert [body for _, body in found[:3]] == [b'{"fast":1}', b'{"fast":2}', b'{"id":"4"}']
    assert json.loads(found[3][1])["deployedModelId"] == "ordinary"


def test_a_body_in_pieces_is_held_until_it_is_whole(example: Example) -> None:
    with connection(example) as sock:
        for byte in request(example, b"x" * 20):
            sock.sendall(bytes([byte]))
        assert read_answers(sock, 1) == [(200, b'{"fast":20}')]
    answer = example.http.post(PREDICT, content=(b"x" * 50_000 for _ in range(20)))
    assert answer.json() == {"fast": 1_000_000}


def test_a_body_that_is_cut_off_is_no_prediction(example: Example) -> None:
    with connection(example) as sock:
        sock.sendall(request(example, b"x" * 20)[:-1])
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""


def test_who_says_all_and_closes_its_side_is_answered(example: Example) -> None:
    for body, answer in ((b"x", b'{"fast":1}'), (b"wait", b'{"waited":4}')):
        with connection(example) as sock:
            sock.sendall(request(example, body))
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock).endswith(b"\r\n\r\n" + answer)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_may_be_as_large_as_others(example: Example, chunked: bool) -> None:
    def content(size: int) -> object:
        return (b"x" * (size // 4) for _ in range(4)) if chunked else b"x" * size

    assert example.http.post(PREDICT, content=content(MAX_BODY)).json() == {"fast": MAX_BODY}  # type: ignore[arg-type]
    for size in (MAX_BODY + 4, 3 * MAX_BODY):
        answer = example.http.post(PREDICT, content=content(size))  # type: ignore[arg-type]
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].startswith(f"A request body must be at most {MAX_BODY} bytes")


def test_who_waits_for_the_go_ahead_takes_the_ordinary_way(example: Example) -> None:
    with connection(example) as sock:
        sock.sendall(head(example, "POST", PREDICT, f"Content-Length: {len(ORDINARY)}", "Expect: 100-continue"))
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(ORDINARY)
        assert json.loads(read_answers(sock, 1)[0][1])["deployedModelId"] == "ordinary"


def test_a_path_in_disguise_takes_the_ordinary_way(example: Example) -> None:
    disguised = PREDICT.replace("/1:", "/%31:")
    with connection(example) as sock:
        sock.sendall(request(example, ORDINARY, path=disguised))
        assert json.loads(read_answers(sock, 1)[0][1])["deployedModelId"] == "ordinary"


@pytest.mark.parametrize("body", [b"x", b"wait"])
def test_a_connection_ends_where_the_client_wants_it(example: Example, body: bytes) -> None:
    old = request(example, body).replace(b"HTTP/1.1", b"HTTP/1.0")
    for sent in (old, request(example, body, "Connection: close")):
        with connection(example) as sock:
            sock.sendall(sent)
            answer = read_all(sock).lower()
        assert answer.startswith(b"http/1.1 200 ok\r\n") and b"\r\nconnection: close\r\n" in answer


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("Authorization: Bearer " + "0" * 64,), 401),
        (("Authorization: Basic x",), 401),
        (("Host: evil.example",), 403),
        (("Origin: https://evil.example",), 403),
    ],
    ids=["token", "scheme", "host", "origin"],
)
def test_who_may_not_is_refused_before_the_body_is_there(example: Example, lines: tuple[str, ...], status: int) -> None:
    given = {line.partition(":")[0]: line for line in lines}
    own = {"Host": f"Host: {example.address}", "Authorization": f"Authorization: Bearer {example.access.token}"}
    lead = [f"POST {PREDICT} HTTP/1.1", *(own | given).values(), "Content-Length: 4", "Connection: close", "", ""]
    with connection(example) as sock:
        sock.sendall("\r\n".join(lead).encode() + b"wait")
        answer = read_all(sock)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()) and b"waited" not in answer


def test_a_token_is_looked_at_with_each_request(example: Example) -> None:
    good, bad = example.access.issue(), example.access.issue(seconds=-3600)
    with httpx.Client(base_url=f"http://{example.address}") as client:
        statuses = [
            client.post(PREDICT, content=b"x", headers={"authorization": f"Bearer {token}"}).status_code
            for token in (good, bad, good)
        ]
    assert statuses == [200, 401, 200]


def test_who_is_slow_with_a_body_is_let_go(hasty: Example) -> None:
    with connection(hasty) as sock:
        sock.sendall(request(hasty, b"x" * 20)[:-1])
        assert read_all(sock) == b""


def test_who_waits_when_the_server_stops_is_told_so(tmp_path: Path, side: ThreadPoolExecutor) -> None:
    stopping = Example(tmp_path / "home")
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(connection(stopping))
        sock.sendall(request(stopping, b"wait for ever"))
        other = stack.enter_context(connection(stopping))
        other.sendall(request(stopping, b"wait"))
        assert read_answers(other, 1) == [(200, b'{"waited":4}')]
        stopping.close()
        answer = read_all(sock)
        assert read_all(other) == b""
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert message_of(answer.partition(b"\r\n\r\n")[2]).startswith("The server must be running. Next: start it")


def test_answers_over_tls_are_whole(example: Example) -> None:
    import ssl

    context = ssl.create_default_context(cafile=str(example.authority.root_path))
    with httpx.Client(base_url=f"https://localhost:{example.server.tls_port}", verify=context) as client:
        found = [client.post(PREDICT, content=b"x" * n, headers=example.headers).json() for n in (1, 100_000, 1)]
    assert found == [{"fast": 1}, {"fast": 100_000}, {"fast": 1}]
