"""Uploads that arrive in chunks: each continues where the last one ended, also after a lost connection or a crash.

A session is a record and a file of a random name under ``uploads/`` of the data directory. Its id is long and random:
whoever knows it may go on with it, as with Google's session addresses.

https://cloud.google.com/storage/docs/resumable-uploads
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from tule.kernel.clock import Clock
from tule.kernel.errors import Aborted, InvalidArgument, NotFound, Unavailable
from tule.kernel.home import Home, room_on_disk, sync_folder
from tule.kernel.records import Record, Records

_KEPT = timedelta(days=7)
_SWEPT_EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class Progress:
    """How far an upload is: ``received`` bytes are durable; ``complete`` when the sender said that this is all."""

    received: int
    complete: bool


@dataclass
class _Session:
    """What this process knows of an upload. The newest request writes; an older one that still hangs may not."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    writer: object = None
    finishing: bool = False


class Uploads:
    """The sessions of one kind (``storageUploads``). Safe to use from any thread. An unknown session is NotFound."""

    def __init__(self, records: Records, home: Home, clock: Clock, kind: str) -> None:
        self._records = records
        self._clock = clock
        self._kind = kind
        self._folder = home.folder("uploads", kind)
        self._sessions: dict[str, _Session] = {}
        self._lock = threading.Lock()
        self._next_sweep = clock.now()

    def begin(self, body: dict[str, Any]) -> str:
        """Open a session that keeps ``body``; returns its id. Old ones are removed now and then."""
        if self._clock.now() >= self._next_sweep:
            self.sweep()
        upload = secrets.token_hex(20)
        with (self._folder / upload).open("xb"):
            sync_folder(self._folder)
        self._records.create(self._kind, self._name(upload), {"body": body}, parent="")
        return upload

    def body(self, upload: str) -> dict[str, Any]:
        """What the session was opened with."""
        body: dict[str, Any] = self._record(upload).body["body"]
        return body

    def answer(self, upload: str) -> dict[str, Any] | None:
        """What the session ended with (see ``finish``); None while it is open."""
        answer: dict[str, Any] | None = self._record(upload).body.get("answer")
        return answer

    def amend(self, upload: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Change what an open session keeps: ``change`` gets the present body and returns the new one."""
        self._path(upload)
        self._records.update(self._name(upload), lambda kept: {**kept, "body": change(kept["body"])})

    def store(self, chunks: Iterable[bytes]) -> Path:
        """The body of one request as a file, which belongs to the caller; the next start removes what a crash leaves."""
        path = self._folder / secrets.token_hex(20)
        try:
            with room_on_disk(), path.open("xb") as file:
                for chunk in chunks:
                    file.write(chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    # -- bytes

    def received(self, upload: str) -> int:
        """How many bytes are here; they are durable."""
        with self._path(upload).open("rb") as file:
            os.fsync(file.fileno())
            return file.seek(0, os.SEEK_END)

    def receive(
        self,
        upload: str,
        chunks: Iterable[bytes],
        *,
        first: int = 0,
        length: int | None = None,
        total: int | None = None,
    ) -> Progress:
        """Write a chunk of ``length`` bytes at position ``first``, of a file of ``total`` bytes where that is known.

        A chunk that repeats bytes already here is fine; one that leaves a gap is refused. What came of a chunk that was
        cut off is kept.
        """
        path, session, writer = self._path(upload), self._session(upload), object()
        with session.lock:
            self._check_open(upload, session)
            session.writer = writer
        with room_on_disk(), path.open("r+b", buffering=0) as file:
            held = file.seek(0, os.SEEK_END)
            if first > held:
                raise InvalidArgument(
                    "A chunk must begin where the last one ended", given=f"byte {first}, with {held} bytes received"
                )
            if total is not None and held > total:
                raise InvalidArgument("An upload cannot get shorter", given=f"{total} bytes, with {held} received")
            position = first
            try:
                for piece in chunks:
                    if length is not None and position + len(piece) > first + length:
                        raise InvalidArgument(
                            "A chunk must be as long as its Content-Range says", given=f"more than {length} bytes"
                        )
                    with session.lock:
                        if session.writer is not writer:
                            raise Aborted("Another request has taken this upload over", given=f"upload {upload}")
                        _write(file.fileno(), piece, position)
                    position += len(piece)
            finally:
                os.fsync(file.fileno())
        received = max(held, position)
        return Progress(received, total is not None and received >= total)

    @contextmanager
    def whole(self, upload: str) -> Iterator[Path]:
        """The file of a complete upload, that nobody writes to inside the block; an error opens the session again."""
        path, session = self._path(upload), self._session(upload)
        with session.lock:
            self._check_open(upload, session)
            session.writer, session.finishing = None, True
        try:
            yield path
        finally:
            session.finishing = False

    # -- the end

    def finish(self, upload: str, answer: dict[str, Any]) -> None:
        """End a session inside the caller's transaction; ``answer`` is kept for a client that did not hear of it."""
        self._records.update(self._name(upload), {"answer": answer})
        self._records.after_commit(lambda: self._forget(upload))

    def take(self, upload: str) -> tuple[dict[str, Any], Path]:
        """End a session: its body, and its file, which now belongs to the caller."""
        with self.whole(upload) as path:
            record = self._records.delete(self._name(upload))
        return record.body["body"], path

    def abandon(self, upload: str) -> None:
        """Forget a session and its bytes."""
        self._record(upload)
        self._records.delete(self._name(upload))
        self._records.after_commit(lambda: self._forget(upload))

    def sweep(self, *, starting: bool = False) -> None:
        """Remove sessions older than a week; at start also the files that belong to no open session."""
        self._next_sweep = self._clock.now() + _SWEPT_EVERY
        before = self._clock.now() - _KEPT
        live: set[str] = set()
        for record in self._records.list(self._kind).records:
            upload = record.name.rpartition("/")[2]
            if record.create_time < before:
                self._records.delete(record.name)
                self._forget(upload)
            elif "answer" not in record.body:
                live.add(upload)
        if starting:
            for path in self._folder.iterdir():
                if path.name not in live:
                    path.unlink(missing_ok=True)

    # --

    def _name(self, upload: str) -> str:
        return f"{self._kind}/{upload}"

    def _record(self, upload: str) -> Record:
        record = self._records.find(self._name(upload)) if upload.isalnum() and upload.isascii() else None
        if record is None:
            raise NotFound(
                "An upload session must exist: it is kept for a week",
                given=repr(upload[:60]),
                do="begin the upload anew",
            )
        return record

    def _path(self, upload: str) -> Path:
        # The id is looked up as a record first, so that no text of a user becomes a path.
        if "answer" in self._record(upload).body:
            raise Unavailable("An upload that is finished takes no more bytes", do="ask again how far it is")
        return self._folder / upload

    def _session(self, upload: str) -> _Session:
        with self._lock:
            return self._sessions.setdefault(upload, _Session())

    def _check_open(self, upload: str, session: _Session) -> None:
        if session.finishing:
            raise Unavailable(
                "An upload that is being finished takes no more bytes",
                given=f"upload {upload}",
                do="ask again how far it is",
            )

    def _forget(self, upload: str) -> None:
        (self._folder / upload).unlink(missing_ok=True)
        with self._lock:
            self._sessions.pop(upload, None)


def _write(descriptor: int, piece: bytes, position: int) -> None:
    view = memoryview(piece)
    while view:
        written = os.pwrite(descriptor, view, position)
        view, position = view[written:], position + written
