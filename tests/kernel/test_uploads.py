"""Uploads in chunks: each goes on where the last one ended, across restarts and impatient clients."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tule.kernel.clock import VirtualClock
from tule.kernel.errors import Aborted, InvalidArgument, NotFound, ResourceExhausted, Unavailable
from tule.kernel.home import Home
from tule.kernel.records import Records
from tule.kernel.uploads import Progress, Uploads

KIND = "testUploads"


@pytest.fixture
def uploads(records: Records, home: Home, clock: VirtualClock) -> Uploads:
    return Uploads(records, home, clock, KIND)


def content(uploads: Uploads, upload: str) -> bytes:
    with uploads.whole(upload) as path:
        return path.read_bytes()


def test_chunks_make_a_whole(uploads: Uploads) -> None:
    upload = uploads.begin({"name": "a"})
    assert uploads.receive(upload, [b"he", b"l"], first=0, length=3, total=5) == Progress(3, False)
    assert uploads.received(upload) == 3
    # A chunk may repeat what is here.
    assert uploads.receive(upload, [b"llo"], first=2, length=3, total=5) == Progress(5, True)
    assert content(uploads, upload) == b"hello"
    assert uploads.body(upload) == {"name": "a"}


def test_a_gap_a_long_chunk_and_a_shrinking_total_are_refused(uploads: Uploads) -> None:
    upload = uploads.begin({})
    uploads.receive(upload, [b"abc"], first=0, length=3)
    with pytest.raises(InvalidArgument, match="must begin where the last one ended; given: byte 4, with 3"):
        uploads.receive(upload, [b"x"], first=4, length=1)
    with pytest.raises(InvalidArgument, match="as long as its Content-Range says"):
        uploads.receive(upload, [b"xyz"], first=3, length=2)
    with pytest.raises(InvalidArgument, match="cannot get shorter"):
        uploads.receive(upload, [b"x"], first=1, length=1, total=2)
    assert content(uploads, upload) == b"abc"


def test_what_came_of_a_broken_chunk_is_kept_over_a_restart(
    uploads: Uploads, records: Records, home: Home, clock: VirtualClock
) -> None:
    upload = uploads.begin({"name": "a"})

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        uploads.receive(upload, broken(), first=0, length=8, total=8)
    again = Uploads(records, home, clock, KIND)
    again.sweep(starting=True)
    assert again.received(upload) == 4
    assert again.receive(upload, [b"rest"], first=4, length=4, total=8).complete
    assert content(again, upload) == b"halfrest"


def test_the_newest_request_goes_on_and_a_hanging_one_may_not(uploads: Uploads) -> None:
    upload = uploads.begin({})
    hanging, released = threading.Event(), threading.Event()
    failures: list[Exception] = []

    def slow() -> Iterator[bytes]:
        yield b"old"
        hanging.set()
        released.wait(20)
        yield b"OLD"

    def send() -> None:
        try:
            uploads.receive(upload, slow())
        except Aborted as error:
            failures.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    assert hanging.wait(20)
    assert uploads.receive(upload, [b"new"], first=3, length=3, total=6) == Progress(6, True)
    released.set()
    thread.join(20)
    assert "Another request has taken this upload over" in str(failures[0])
    assert content(uploads, upload) == b"oldnew"


def test_nobody_writes_to_a_file_that_is_being_used(uploads: Uploads) -> None:
    upload = uploads.begin({})
    uploads.receive(upload, [b"whole"])
    with uploads.whole(upload) as path, pytest.raises(Unavailable, match="being finished"):
        uploads.receive(upload, [b"x"], first=5)
    assert uploads.received(upload) == 5
    assert path.exists()


def test_a_finished_session_tells_its_answer_and_takes_nothing(uploads: Uploads, records: Records) -> None:
    upload = uploads.begin({})
    assert uploads.answer(upload) is None
    with pytest.raises(RuntimeError), records.transaction():
        uploads.finish(upload, {"object": "a"})
        raise RuntimeError("the transaction fails")
    assert (uploads.answer(upload), uploads.received(upload)) == (None, 0)
    with records.transaction():
        uploads.finish(upload, {"object": "a"})
    assert uploads.answer(upload) == {"object": "a"}
    with pytest.raises(Unavailable, match="finished takes no more bytes"):
        uploads.receive(upload, [b"x"])


def test_a_taken_and_an_abandoned_session_are_gone(uploads: Uploads, home: Home) -> None:
    first, second = uploads.begin({"n": 1}), uploads.begin({"n": 2})
    uploads.receive(first, [b"x"])
    body, path = uploads.take(first)
    uploads.abandon(second)
    assert (body, path.read_bytes()) == ({"n": 1}, b"x")
    for upload in (first, second):
        with pytest.raises(NotFound, match="An upload session must exist"):
            uploads.received(upload)
    assert list(home.folder("uploads", KIND).iterdir()) == [path]


@pytest.mark.parametrize("upload", ["", "..", "../../tule.db", "0" * 40, "ü"])
def test_only_ids_that_were_given_out_are_looked_for(uploads: Uploads, upload: str) -> None:
    with pytest.raises(NotFound, match="Next: begin the upload anew"):
        uploads.receive(upload, [b"x"])


def test_old_sessions_are_forgotten(uploads: Uploads, home: Home, clock: VirtualClock) -> None:
    old = uploads.begin({})
    clock.advance(timedelta(days=8))
    new = uploads.begin({})
    with pytest.raises(NotFound):
        uploads.body(old)
    (home.folder("uploads", KIND) / "stray").write_bytes(b"x")
    uploads.sweep(starting=True)
    assert [path.name for path in home.folder("uploads", KIND).iterdir()] == [new]


def test_a_full_disk_is_told_as_such(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    upload = uploads.begin({})
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(ResourceExhausted, match=r"room on the disk.*Next: free some"):
            uploads.receive(upload, [b"x"])
    assert uploads.receive(upload, [b"x"]).received == 1
