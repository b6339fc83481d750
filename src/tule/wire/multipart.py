"""``multipart/related`` uploads: a JSON part, then the file, read as a stream (RFC 2387)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tule.kernel.errors import InvalidArgument
from tule.wire.door import read_json

_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)
_LARGEST_JSON = 16 * 2**20
_LARGEST_HEAD = 65_536


@dataclass
class Media:
    """The second part. ``chunks`` raises at its end when the body was cut off before its closing boundary."""

    headers: dict[str, str]
    chunks: Iterator[bytes]


def related(content_type: str, chunks: Iterable[bytes]) -> tuple[dict[str, Any], Media]:
    """The JSON object and the file of a body, of which nothing behind the JSON has been read yet."""
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/related") or found is None:
        raise InvalidArgument(
            "A multipart upload must have the content type multipart/related with a boundary",
            given=content_type or "none",
        )
    parts = _Parts((found.group(1) or found.group(2)).encode("latin-1"), chunks)
    parts.head()
    body = _json(b"".join(_limited(parts.content())))
    headers = parts.head()

    def media() -> Iterator[bytes]:
        yield from parts.content()
        parts.end()

    return body, Media(headers, media())


def _limited(chunks: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > _LARGEST_JSON:
            raise InvalidArgument(f"The JSON part of an upload must be at most {_LARGEST_JSON} bytes")
        yield chunk


def _json(text: bytes) -> dict[str, Any]:
    body = read_json(text)
    if not isinstance(body, dict):
        raise InvalidArgument(
            "The first part of an upload must be a JSON object", given=type(body).__name__, reason="parseError"
        )
    return body


class _Parts:
    """The parts of a body, in turn: ``head``, ``content``, ``head``, ``content``, ``end``."""

    def __init__(self, boundary: bytes, chunks: Iterable[bytes]) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._chunks = iter(chunks)
        # The first boundary stands at the start of the body, without a line break before it.
        self._buffer = b"\r\n"
        for _ in self.content():
            pass

    def head(self) -> dict[str, str]:
        """The headers of the next part, by their names in lower case."""
        while b"\r\n\r\n" not in self._buffer:
            if self._buffer.startswith(b"--"):
                raise InvalidArgument("A multipart upload must have two parts: JSON, then the file")
            if len(self._buffer) > _LARGEST_HEAD:
                raise InvalidArgument("A part of a multipart upload must begin with headers and an empty line")
            self._more()
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        headers = {}
        for line in head.decode("latin-1").split("\r\n"):
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        headers.pop("", None)
        return headers

    def content(self) -> Iterator[bytes]:
        """What comes before the next boundary, in pieces."""
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

    def end(self) -> None:
        """Check that the body was whole: its last boundary ends with two dashes."""
        while len(self._buffer) < 2:
            self._more()
        if not self._buffer.startswith(b"--"):
            raise InvalidArgument("A multipart upload must end after two parts")

    def _more(self) -> None:
        try:
            self._buffer += next(self._chunks)
        except StopIteration:
            raise InvalidArgument(
                "The upload ended before its closing boundary: it was cut off", do="send it again; nothing was stored"
            ) from None
