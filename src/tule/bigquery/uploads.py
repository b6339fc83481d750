"""Uploads of files to load: multipart in one request, or resumable in chunks that survive a lost connection or a restart.

https://cloud.google.com/bigquery/docs/reference/api-uploads
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tule.bigquery.errors import invalid, not_found
from tule.kernel.clock import Clock
from tule.kernel.home import Home
from tule.kernel.records import Records

KIND = "bigquery#upload"
_KEPT = timedelta(days=7)
_RANGE = re.compile(r"bytes (?:(?P<first>\d+)-(?P<last>\d+)|\*)/(?P<total>\d+|\*)")
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)
_LARGEST_HEAD = 16 * 2**20


@dataclass(frozen=True)
class Progress:
    """How far a resumable upload is: ``received`` bytes are durable; ``complete`` when nothing is missing."""

    received: int
    complete: bool


class Uploads:
    """Files on their way in, under ``uploads/`` of the data directory. Names on disk are random."""

    def __init__(self, records: Records, home: Home, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._folder = home.folder("uploads")

    # -- multipart

    def multipart(self, content_type: str, chunks: Iterable[bytes]) -> tuple[dict[str, Any], Path]:
        """The JSON part of a ``multipart/related`` body, and the file its second part was written to.

        A body that ends before its closing boundary raises and leaves no file.
        """
        found = _BOUNDARY.search(content_type)
        if not content_type.lower().startswith("multipart/related") or found is None:
            raise invalid(
                "A multipart upload must have the content type multipart/related with a boundary; "
                f"given: {content_type or 'none'}"
            )
        parts = _Parts((found.group(1) or found.group(2)).encode(), chunks)
        head = b"".join(parts.part(limit=_LARGEST_HEAD))
        body = _json(head)
        path = self._folder / secrets.token_hex(16)
        try:
            with path.open("xb") as file:
                for piece in parts.part():
                    file.write(piece)
            parts.end()
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return body, path

    # -- resumable

    def begin(self, project: str, user: str, body: dict[str, Any]) -> str:
        """Open an upload session; its id goes into the ``Location`` that chunks are sent to."""
        upload = secrets.token_hex(20)
        with (self._folder / upload).open("xb"):
            pass
        self._records.create(KIND, _name(project, upload), {"user": user, "job": body})
        return upload

    def receive(self, project: str, upload: str, content_range: str, chunks: Iterable[bytes]) -> Progress:
        """Append a chunk. ``bytes a-b/total`` or ``bytes a-b/*`` sends, ``bytes */total`` asks how far it is.

        A chunk that repeats bytes already here is taken from where it is new; one that leaves a gap is refused.
        Without a ``Content-Range`` the body is the whole file.
        """
        path = self._path(project, upload)
        held = path.stat().st_size
        if not content_range:
            with path.open("r+b") as file:
                file.truncate(0)
                for piece in chunks:
                    file.write(piece)
                _sync(file)
                return Progress(file.tell(), True)
        found = _RANGE.fullmatch(content_range.strip())
        if found is None:
            raise invalid(f"Content-Range must be bytes FIRST-LAST/TOTAL or bytes */TOTAL; given: {content_range!r}")
        total = None if found["total"] == "*" else int(found["total"])
        if found["first"] is None:
            for _ in chunks:
                raise invalid("A request that asks how far an upload is must have no body")
            return Progress(held, total is not None and held >= total)
        first, last = int(found["first"]), int(found["last"])
        if first > held or last < first:
            raise invalid(f"A chunk must begin where the last one ended; given: {content_range}, held: {held} bytes")
        position = first
        with path.open("r+b") as file:
            file.seek(first)
            for piece in chunks:
                if position + len(piece) > last + 1:
                    raise invalid(f"A chunk must be as long as its Content-Range says; given: {content_range}")
                file.write(piece)
                position += len(piece)
            _sync(file)
        held = max(held, position)
        # The file is whole only when the chunk that says its end arrived whole.
        return Progress(held, total is not None and held >= total)

    def take(self, project: str, upload: str) -> tuple[dict[str, Any], str, Path]:
        """End a session: its job body, its user, and the file, which now belongs to the caller."""
        path = self._path(project, upload)
        record = self._records.delete(_name(project, upload))
        return record.body["job"], record.body["user"], path

    def user(self, project: str, upload: str) -> str:
        record = self._records.find(_name(project, upload))
        if record is None:
            raise not_found("Upload", upload)
        return str(record.body["user"])

    def abandon(self, project: str, upload: str) -> None:
        """Forget a session and its bytes."""
        self._path(project, upload).unlink(missing_ok=True)
        self._records.delete(_name(project, upload))

    def sweep(self, *, starting: bool = False) -> None:
        """Remove sessions older than a week; at start also the files that belong to no session."""
        before = self._clock.now() - _KEPT
        live: set[str] = set()
        for record in self._records.list(KIND).records:
            upload = record.name.rsplit("/", 1)[1]
            if record.create_time < before:
                (self._folder / upload).unlink(missing_ok=True)
                self._records.delete(record.name)
            else:
                live.add(upload)
        if starting:
            for path in self._folder.iterdir():
                if path.name not in live:
                    path.unlink(missing_ok=True)

    def _path(self, project: str, upload: str) -> Path:
        # The id is looked up as a record first, so that no text of a user becomes a path.
        if not upload.isalnum() or self._records.find(_name(project, upload)) is None:
            raise not_found("Upload", upload)
        return self._folder / upload


def _name(project: str, upload: str) -> str:
    return f"projects/{project}/bigqueryUploads/{upload}"


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _json(text: bytes) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError as error:
        raise invalid(f"The first part of an upload must be a JSON job; {error}") from error
    if not isinstance(body, dict):
        raise invalid("The first part of an upload must be a JSON object")
    return body


class _Parts:
    """The parts of a multipart body, read as a stream (RFC 2046)."""

    def __init__(self, boundary: bytes, chunks: Iterable[bytes]) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._chunks = iter(chunks)
        # The first boundary stands at the start of the body, without a line break before it.
        self._buffer = b"\r\n"
        for _ in self._until_delimiter():
            pass

    def part(self, *, limit: int | None = None) -> Iterator[bytes]:
        """The content of the next part, in pieces."""
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > 65_536:
                raise invalid("A part of a multipart upload must begin with headers and an empty line")
            self._more()
        if self._buffer.startswith(b"--"):
            raise invalid("A multipart upload must have two parts: the job in JSON, then the file")
        self._buffer = self._buffer.split(b"\r\n\r\n", 1)[1]
        sent = 0
        for piece in self._until_delimiter():
            sent += len(piece)
            if limit is not None and sent > limit:
                raise invalid(f"The JSON part of an upload must be at most {limit} bytes")
            yield piece

    def end(self) -> None:
        """Check that the body was whole: its last boundary ends with two dashes."""
        while len(self._buffer) < 2:
            self._more()
        if not self._buffer.startswith(b"--"):
            raise invalid("A multipart upload must end after two parts")

    def _until_delimiter(self) -> Iterator[bytes]:
        keep = len(self._delimiter)
        while True:
            at = self._buffer.find(self._delimiter)
            if at >= 0:
                if at:
                    yield self._buffer[:at]
                self._buffer = self._buffer[at + keep :]
                return
            if len(self._buffer) > keep:
                yield self._buffer[:-keep]
                self._buffer = self._buffer[-keep:]
            self._more()

    def _more(self) -> None:
        try:
            self._buffer += next(self._chunks)
        except StopIteration:
            raise invalid("The upload ended before its closing boundary: it was cut off. Next: send it again") from None
