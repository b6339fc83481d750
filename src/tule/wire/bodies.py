"""Request bodies: how much is read before a method runs, and what is compressed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tule.kernel.errors import InvalidArgument

CHUNK = 1 << 20

Receive = Callable[[], Any]


class ClientGone(Exception):
    """The client closed the connection before its request or our answer was whole."""


def too_large(limit: int) -> InvalidArgument:
    return InvalidArgument(
        f"A request body must be at most {limit} bytes",
        given="more",
        do="send it in parts, or set TULE_MAX_BODY",
        reason="uploadTooLarge",
    )


def content_length(headers: Mapping[str, str]) -> int | None:
    """The length that a request declares, 0 when it has no body, None when only its end will tell."""
    if "transfer-encoding" in headers:
        return None
    declared = headers.get("content-length", "0")
    return int(declared) if declared.isascii() and declared.isdigit() else None


async def read_whole(receive: Receive, limit: int) -> bytes:
    """The whole body; raises InvalidArgument when it is too large, ClientGone when the client leaves before its end."""
    body, whole = await read_some(receive, limit)
    if not whole:
        raise too_large(limit)
    return body


async def read_some(receive: Receive, enough: int) -> tuple[bytes, bool]:
    """The body's beginning, a little more than ``enough`` bytes at most, and whether that is all of it."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body = message.get("body", b"")
        size += len(body)
        parts.append(body)
        if not message.get("more_body") or size > enough:
            return (parts[0] if len(parts) == 1 else b"".join(parts)), not message.get("more_body") and size <= enough


def decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """A body without its Content-Encoding; raises InvalidArgument for one that is cut off or of another encoding."""
    if encoding in ("", "identity"):
        yield from chunks
    elif encoding == "gzip":
        yield from _inflated(chunks)
    else:
        raise InvalidArgument(
            "A body's Content-Encoding must be gzip or identity", given=repr(encoding[:50]), do="send it as it is"
        )


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    inflate, begun = _inflater(), False
    try:
        for pending in chunks:
            begun = begun or bool(pending)
            while pending:
                if inflate.eof:
                    # A gzip file may be several, one behind the other.
                    inflate = _inflater()
                # Never more than a piece at a time: what was small on the wire may be huge.
                yield inflate.decompress(pending, CHUNK)
                pending = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
    except zlib.error as error:
        raise InvalidArgument("A gzip body must be whole", given=str(error)) from None
    if begun and not inflate.eof:
        raise InvalidArgument("A gzip body must be whole", given="one that was cut off", do="send it again")


def _inflater() -> Any:
    return zlib.decompressobj(wbits=31)
