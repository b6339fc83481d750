"""Downloads: an object's content with its headers, whole or in part, packed or unpacked.

https://cloud.google.com/storage/docs/transcoding
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from tule.kernel.errors import InvalidArgument, OutOfRange
from tule.kernel.objects import Object
from tule.storage.resources import etag
from tule.wire.door import Reply
from tule.wire.ranges import byte_range

_PIECE = 2**20
_HEADERS = {
    "contentDisposition": "Content-Disposition",
    "contentLanguage": "Content-Language",
    "cacheControl": "Cache-Control",
}


def download(found: Object, file: BinaryIO, asked: Mapping[str, str]) -> Reply:
    """The answer to a request with the headers ``asked``; closes the file at its end."""
    headers = described(found)
    encoding = found.body.get("contentEncoding")
    if encoding == "gzip" and _unpacks(found, asked):
        return Reply(
            200, _unpacked(file), headers | {"Warning": '214 Tule "unpacked from gzip"', "Vary": "Accept-Encoding"}
        )
    if encoding:
        headers["Content-Encoding"] = encoding
    try:
        part = byte_range(asked.get("range", ""), found.size)
    except OutOfRange:
        file.close()
        return Reply(416, b"", {"Content-Range": f"bytes */{found.size}", "Content-Type": "text/plain"})
    if part is None:
        return Reply(200, _pieces(file, 0, found.size), headers | {"Content-Length": str(found.size)})
    first, last = part
    size = last - first + 1
    headers |= {"Content-Range": f"bytes {first}-{last}/{found.size}", "Content-Length": str(size)}
    return Reply(206, _pieces(file, first, size), headers)


def described(found: Object) -> dict[str, str]:
    """The headers that describe an object."""
    sums = f"crc32c={found.crc32c}" + (f",md5={found.md5}" if found.md5 else "")
    headers = {
        "Content-Type": found.content_type or "application/octet-stream",
        "ETag": etag(found.generation, found.metageneration),
        "Accept-Ranges": "bytes",
        "X-Goog-Generation": str(found.generation),
        "X-Goog-Metageneration": str(found.metageneration),
        "X-Goog-Hash": sums,
        "X-Goog-Storage-Class": found.body.get("storageClass", "STANDARD"),
        "X-Goog-Stored-Content-Encoding": found.body.get("contentEncoding", "identity"),
        "X-Goog-Stored-Content-Length": str(found.size),
        "Last-Modified": found.update_time.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    }
    for name, header in _HEADERS.items():
        if name in found.body:
            headers[header] = found.body[name]
    return headers


def _unpacks(found: Object, asked: Mapping[str, str]) -> bool:
    """Whether the caller cannot unpack by itself, and the object's writer lets us do it."""
    takes = [each.split(";")[0].strip().lower() for each in asked.get("accept-encoding", "").split(",")]
    return "gzip" not in takes and "no-transform" not in str(found.body.get("cacheControl", ""))


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    inflate = zlib.decompressobj(wbits=31)
    try:
        for piece in _pieces(file, 0, None):
            pending = piece
            while pending:
                yield inflate.decompress(pending, _PIECE)
                pending = inflate.unconsumed_tail
        yield inflate.flush()
    except zlib.error as error:
        raise InvalidArgument(
            "An object whose contentEncoding is gzip must be gzip",
            given=str(error),
            do="correct its contentEncoding, or ask with Accept-Encoding: gzip for the bytes as they are",
        ) from None


def _pieces(file: BinaryIO, first: int, size: int | None) -> Iterator[bytes]:
    with file:
        file.seek(first)
        while size is None or size > 0:
            piece = file.read(_PIECE if size is None else min(_PIECE, size))
            if not piece:
                return
            if size is not None:
                size -= len(piece)
            yield piece
