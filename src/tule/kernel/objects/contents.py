"""Contents in files named by their SHA-256, written whole or not at all, shared by all objects of that content."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from tule.kernel.clock import Clock
from tule.kernel.errors import InvalidArgument
from tule.kernel.home import Home, room_on_disk, sync_folder

_INCOMING = "incoming"
_PIECE = 2**20
# How long a file whose path was handed out outlives its last object: its reader may open it several times.
_LENT_FOR = timedelta(hours=24)
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Content:
    """A stored content: size in bytes, and its checksums; ``crc32c`` and ``md5`` in base64."""

    sha256: str
    size: int
    crc32c: str
    md5: str


@dataclass(frozen=True, slots=True)
class Checksums:
    """What a writer says its content has; None for what it did not say."""

    md5: str | None = None
    crc32c: str | None = None
    size: int | None = None
    sha256: str | None = None

    def check(self, content: Content) -> None:
        """Raise InvalidArgument when the content is not the one that was meant."""
        for word, said, found in (
            ("MD5 hash", self.md5, content.md5),
            ("CRC32C", self.crc32c, content.crc32c),
            ("size", self.size, content.size),
            ("SHA-256 hash", self.sha256, content.sha256),
        ):
            if said is not None and said != found:
                raise InvalidArgument(
                    f"The content that arrived must have the {word} that was declared for it",
                    given=f"declared {said}, received {found}",
                    do="send it again; nothing was stored",
                )


class Contents:
    """The files under ``objects/`` of the data directory. Safe to use from any thread.

    A content is pinned from before its file appears until its writer is done, so that the removal of an older object of
    the same content cannot take the file away in between.
    """

    def __init__(self, home: Home, clock: Clock, named: Callable[[str], bool]) -> None:
        """``named`` says whether an object names a content, by committed state."""
        self._named = named
        self._folder = home.folder("objects")
        self._incoming = home.folder("objects", _INCOMING)
        self._clock = clock
        self._lock = threading.Lock()
        self._pins: Counter[str] = Counter()
        self._lent: dict[str, datetime] = {}
        self._returns: deque[tuple[datetime, str]] = deque()

    def path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def open(self, sha256: str) -> BinaryIO:
        return self.path(sha256).open("rb")

    def lend(self, sha256: str) -> Path:
        """The path of a content for a reader that opens it itself; the file stays at least a day."""
        now = self._clock.now()
        with self._lock:
            if len(self._lent) >= _REMEMBERED:
                self._lent = {each: until for each, until in self._lent.items() if until > now}
            self._lent[sha256] = now + _LENT_FOR
        return self.path(sha256)

    @contextmanager
    def written(self, chunks: Iterable[bytes]) -> Iterator[Content]:
        """Store a stream; the content is durable and pinned inside the block. A stream that raises leaves nothing."""
        temporary = self._incoming / secrets.token_hex(16)
        try:
            with room_on_disk(), temporary.open("xb") as file:
                sums = Sums()
                for chunk in chunks:
                    file.write(chunk)
                    sums.add(chunk)
                _sync(file)
            with self._placed(sums.content(), temporary) as content:
                yield content
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def adopted(self, path: Path) -> Iterator[Content]:
        """Store a finished file of the data directory under a second name; nobody may write to it from now on.

        The caller removes ``path`` once it is needed no more: a crash before that leaves it as it was.
        """
        sums = Sums()
        with path.open("rb+") as file:
            while chunk := file.read(_PIECE):
                sums.add(chunk)
            _sync(file)
        second = self._incoming / secrets.token_hex(16)
        try:
            os.link(path, second)
            with self._placed(sums.content(), second) as content:
                yield content
        finally:
            second.unlink(missing_ok=True)

    @contextmanager
    def _placed(self, content: Content, file: Path) -> Iterator[Content]:
        target = self.path(content.sha256)
        with self._lock:
            self._pins[content.sha256] += 1
        try:
            if not target.parent.exists():
                target.parent.mkdir(mode=0o700, exist_ok=True)
                sync_folder(self._folder)
            if not (target.exists() and target.stat().st_size == content.size):
                file.replace(target)
            # Also where the file was there: its writer may not have come so far yet.
            sync_folder(target.parent)
            yield content
        except BaseException:
            self._unpin(content.sha256)
            self.remove(content.sha256)
            raise
        self._unpin(content.sha256)

    def _unpin(self, sha256: str) -> None:
        with self._lock:
            self._pins[sha256] -= 1
            self._pins += Counter()  # forgets what is at zero

    def remove(self, sha256: str) -> None:
        """Delete a file unless an object names it, or it is pinned or lent."""
        with self._lock:
            self._remove(sha256)
            while self._returns and self._returns[0][0] <= self._clock.now():
                self._remove(self._returns.popleft()[1])

    def _remove(self, sha256: str) -> None:
        if self._pins[sha256] or self._named(sha256):
            return
        until = self._lent.get(sha256)
        if until is not None and until > self._clock.now():
            self._returns.append((until, sha256))
            return
        self._lent.pop(sha256, None)
        self.path(sha256).unlink(missing_ok=True)

    def sweep(self, named: Collection[str]) -> int:
        """Remove every file that is not ``named``, and what was cut off on its way in; only while nobody writes."""
        removed = 0
        for path in self._incoming.iterdir():
            path.unlink(missing_ok=True)
        for folder in self._folder.iterdir():
            if folder == self._incoming or not folder.is_dir():
                continue
            for path in folder.iterdir():
                if path.name not in named:
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed


class Sums:
    """The checksums of a stream."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32c = google_crc32c.Checksum()
        self._size = 0

    def add(self, chunk: bytes) -> None:
        self._sha256.update(chunk)
        self._md5.update(chunk)
        self._crc32c.update(chunk)
        self._size += len(chunk)

    def content(self) -> Content:
        return Content(
            self._sha256.hexdigest(),
            self._size,
            base64.b64encode(self._crc32c.digest()).decode(),
            base64.b64encode(self._md5.digest()).decode(),
        )


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
