"""Uploads when the server dies: the state is that before or that after, and an unfinished upload goes on."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tule.kernel.clock import RealClock
from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients
PIECE = b"0123456789abcdef" * 16_384  # 256 KiB


def client(server: ServerProcess) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers=server.headers, timeout=30)


def eventually(found: Callable[[], bool]) -> None:
    clock = RealClock()
    until = clock.monotonic() + 30
    while not found():
        assert clock.monotonic() < until
        clock.sleep(0.01)


def stored(home: Path) -> list[Path]:
    return [path for path in (home / "objects").rglob("*") if path.is_file()]


def send_half(server: ServerProcess, verb: str, path: str, headers: dict[str, str], body: bytes) -> socket.socket:
    """Begin a request and leave its body unfinished, the connection open."""
    sock = socket.create_connection(("127.0.0.1", server.runtime.port))
    lines = {"Host": "127.0.0.1", "Authorization": f"Bearer {server.token}", **headers}
    head = f"{verb} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    sock.sendall(head.encode() + b"\r\n" + body)
    return sock


def test_a_kill_in_the_middle_of_an_upload_leaves_what_was_there(fresh_server: ServerProcess) -> None:
    server = fresh_server
    upload = "/upload/storage/v1/b/crashes/o?uploadType=media&name=a"
    with client(server) as api:
        api.post("/storage/v1/b", params={"project": "test-project"}, json={"name": "crashes"})
        before = api.post(upload, content=b"before").json()
    incoming = server.home / "objects" / "incoming"
    with send_half(server, "POST", upload, {"Content-Length": "9000000"}, PIECE * 8):
        eventually(lambda: any(path.stat().st_size for path in incoming.iterdir()))
        server.kill9()
    assert len(stored(server.home)) == 2
    server.start()
    with client(server) as api:
        after = api.get("/storage/v1/b/crashes/o/a").json()
        assert (after["generation"], after["md5Hash"]) == (before["generation"], before["md5Hash"])
        assert api.get("/storage/v1/b/crashes/o/a", params={"alt": "media"}).content == b"before"
        assert api.post(upload, content=b"after").json()["size"] == "5"
    assert [path.read_bytes() for path in stored(server.home)] == [b"after"]


def test_a_resumable_upload_goes_on_after_a_kill_inside_a_chunk(fresh_server: ServerProcess) -> None:
    server = fresh_server
    with client(server) as api:
        api.post("/storage/v1/b", params={"project": "test-project"}, json={"name": "crashes"})
        begun = api.post(
            "/upload/storage/v1/b/crashes/o",
            params={"uploadType": "resumable"},
            json={"name": "a", "contentType": "text/x"},
        )
        parts = urlsplit(begun.headers["location"])
        address = f"{parts.path}?{parts.query}"
        total = 8 * len(PIECE)
        first = api.put(address, content=PIECE * 2, headers={"Content-Range": f"bytes 0-{2 * len(PIECE) - 1}/{total}"})
        assert first.headers["range"] == f"bytes=0-{2 * len(PIECE) - 1}"

        def received() -> int:
            asked = api.put(address, headers={"Content-Range": f"bytes */{total}"})
            assert asked.status_code == 308
            return int(asked.headers["range"].removeprefix("bytes=0-")) + 1

        rest = {"Content-Range": f"bytes {2 * len(PIECE)}-{total - 1}/{total}", "Content-Length": str(6 * len(PIECE))}
        with send_half(server, "PUT", address, rest, PIECE * 3):
            eventually(lambda: received() > 2 * len(PIECE))
            server.kill9()
    server.start()
    with client(server) as api:
        assert api.get("/storage/v1/b/crashes/o/a").status_code == 404
        asked = api.put(address, headers={"Content-Range": "bytes */*"})
        held = int(asked.headers["range"].removeprefix("bytes=0-")) + 1
        assert 2 * len(PIECE) < held < total
        whole = PIECE * 8
        last = api.put(address, content=whole[held:], headers={"Content-Range": f"bytes {held}-{total - 1}/{total}"})
        assert (last.status_code, last.json()["size"], last.json()["contentType"]) == (200, str(total), "text/x")
        assert api.get("/storage/v1/b/crashes/o/a", params={"alt": "media"}).content == whole
    server.kill9()
    server.start()
    with client(server) as api:
        again = api.put(address, headers={"Content-Range": f"bytes */{total}"})
        assert again.json()["generation"] == last.json()["generation"]
    assert list((server.home / "uploads" / "storageUploads").iterdir()) == []


def test_the_stock_client_recovers_its_upload_after_a_kill(fresh_server: ServerProcess) -> None:
    server = fresh_server
    begun = server.exec("""
import io
from google.cloud import storage
client = storage.Client()
blob = client.create_bucket("crashes").blob("a", chunk_size=2**18)
data = b"0123456789abcdef" * 65_536
upload, transport = blob._initiate_resumable_upload(client, io.BytesIO(data), "text/x", len(data), chunk_size=2**18)
upload.transmit_next_chunk(transport)
upload.transmit_next_chunk(transport)
print(upload.resumable_url)
""")
    server.kill9()
    server.start()
    server.exec(f"""
import io
from google.cloud import storage
from google.cloud.storage._media.requests import ResumableUpload
client = storage.Client()
data = b"0123456789abcdef" * 65_536
assert not client.bucket("crashes").blob("a").exists()
upload = ResumableUpload("unused", 2**18, checksum=None)
upload._resumable_url = {begun.stdout.strip()!r}
upload._stream, upload._content_type, upload._total_bytes = io.BytesIO(data), "text/x", len(data)
upload.recover(client._http)
assert upload.bytes_uploaded == 2 * 2**18
while not upload.finished:
    upload.transmit_next_chunk(client._http)
blob = client.bucket("crashes").get_blob("a")
assert blob.download_as_bytes() == data and blob.content_type == "text/x"
""")


def test_what_a_client_was_told_of_outlives_a_kill(fresh_server: ServerProcess) -> None:
    server = fresh_server
    with client(server) as api:
        api.post("/storage/v1/b", params={"project": "test-project"}, json={"name": "crashes", "labels": {"a": "b"}})
        for number in range(5):
            api.post(
                "/upload/storage/v1/b/crashes/o",
                params={"uploadType": "media", "name": f"{number}"},
                content=b"%d" % number,
            )
        api.delete("/storage/v1/b/crashes/o/0")
        api.patch("/storage/v1/b/crashes/o/1", json={"metadata": {"k": "v"}})
        server.kill9()
    server.start()
    with client(server) as api:
        assert api.get("/storage/v1/b/crashes").json()["labels"] == {"a": "b"}
        items = api.get("/storage/v1/b/crashes/o").json()["items"]
        assert [each["name"] for each in items] == ["1", "2", "3", "4"]
        assert items[0]["metadata"] == {"k": "v"}
        assert [
            api.get(each["mediaLink"].replace(_origin(each["mediaLink"]), server.url)).content for each in items
        ] == [
            b"1",
            b"2",
            b"3",
            b"4",
        ]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
