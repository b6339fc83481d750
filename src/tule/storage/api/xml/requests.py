"""What XML requests say in headers: conditions, descriptions, the sizes a signed URL allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.kernel.objects import Conditions
from tule.storage.api.routes import refuse_keys
from tule.wire.door import Request

OBJECT = "/{bucket}/{object:path}"
# What a signed URL brings along.
SIGNED = (
    "X-Goog-Algorithm",
    "X-Goog-Credential",
    "X-Goog-Date",
    "X-Goog-Expires",
    "X-Goog-SignedHeaders",
    "X-Goog-Signature",
    "GoogleAccessId",
    "Expires",
    "Signature",
)
META = "x-goog-meta-"
_DESCRIBED = {
    "content-type": "contentType",
    "content-encoding": "contentEncoding",
    "content-disposition": "contentDisposition",
    "content-language": "contentLanguage",
    "cache-control": "cacheControl",
    "x-goog-storage-class": "storageClass",
    "x-goog-custom-time": "customTime",
}
# The headers of this kind that are done; any other would change what a request does.
_EXECUTED = (
    *_DESCRIBED,
    "x-goog-if-generation-match",
    "x-goog-if-metageneration-match",
    "x-goog-content-length-range",
    "x-goog-content-sha256",
    "x-goog-hash",
    "x-goog-resumable",
    "x-goog-api-client",
    "x-goog-user-project",
    "x-goog-date",
    "x-goog-gcs-idempotency-token",
)


def check_headers(request: Request) -> None:
    refuse_keys(request.headers)
    for name in request.headers:
        if name.startswith("x-goog-") and not name.startswith(META) and name not in _EXECUTED:
            raise Unimplemented(
                f"Tule does not do the header {name}", do="leave it out", reason="notImplemented", location=name
            )


def conditions(request: Request) -> Conditions:
    values = []
    for name in ("x-goog-if-generation-match", "x-goog-if-metageneration-match"):
        text = request.headers.get(name)
        if text is not None and not (text.isascii() and text.isdigit() and len(text) < 19):
            raise InvalidArgument(f"{name} must be a whole number", given=repr(text[:60]))
        values.append(None if text is None else int(text))
    return Conditions(generation_match=values[0], metageneration_match=values[1])


def description(request: Request) -> dict[str, Any]:
    given: dict[str, Any] = {
        field: request.headers[name] for name, field in _DESCRIBED.items() if request.headers.get(name)
    }
    metadata = {name.removeprefix(META): value for name, value in request.headers.items() if name.startswith(META)}
    return given | ({"metadata": metadata} if metadata else {})


def length_range(request: Request) -> tuple[int, int | None]:
    """The sizes that a signed URL allows, ``x-goog-content-length-range: 0,1000``."""
    text = request.headers.get("x-goog-content-length-range")
    if text is None:
        return 0, None
    low, _, high = text.partition(",")
    if not (low.strip().isdigit() and high.strip().isdigit()):
        raise InvalidArgument("x-goog-content-length-range must be MINIMUM,MAXIMUM", given=repr(text[:60]))
    return int(low), int(high)


def within(chunks: Iterable[bytes], low: int, high: int | None) -> Iterator[bytes]:
    """The chunks, of which there must be as many bytes as a signed URL allows."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if high is not None and size > high:
            raise InvalidArgument(
                "The content must fit the signed length range", given="more bytes", reason="EntityTooLarge"
            )
        yield chunk
    if size < low:
        raise InvalidArgument("The content must fit the signed length range", given=size, reason="EntityTooSmall")
