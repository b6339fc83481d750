"""The resumable upload protocol over ``kernel.uploads``: chunks with a ``Content-Range``, and questions how far it is.

https://cloud.google.com/storage/docs/performing-resumable-uploads
"""

from __future__ import annotations

from collections.abc import Iterator

from tule.kernel.errors import InvalidArgument
from tule.kernel.uploads import Progress, Uploads
from tule.wire.door import Reply, Request
from tule.wire.ranges import content_range


def receive(uploads: Uploads, upload: str, request: Request) -> Progress:
    """Take what a PUT to a session's address brings.

    ``bytes a-b/total`` or ``bytes a-b/*`` sends, ``bytes */total`` and ``bytes */*`` ask; without a ``Content-Range`` the
    body is the whole file.
    """
    given = request.headers.get("content-range", "")
    if not given:
        return _whole(uploads, upload, request)
    chunk = content_range(given)
    if chunk.first is None:
        if any(request.chunks()):
            raise InvalidArgument("A request that asks how far an upload is must have no body", given=given)
        received = uploads.received(upload)
        if chunk.total is not None and received > chunk.total:
            raise InvalidArgument("An upload cannot get shorter", given=f"{given}, with {received} bytes received")
        return Progress(received, received == chunk.total)
    return uploads.receive(upload, request.chunks(), first=chunk.first, length=chunk.length, total=chunk.total)


def _whole(uploads: Uploads, upload: str, request: Request) -> Progress:
    sent = 0

    def counted() -> Iterator[bytes]:
        nonlocal sent
        for piece in request.chunks():
            sent += len(piece)
            yield piece

    progress = uploads.receive(upload, counted())
    if progress.received != sent:
        raise InvalidArgument("An upload cannot get shorter", given=f"{sent} bytes, with {progress.received} received")
    return Progress(sent, True)


def incomplete(progress: Progress) -> Reply:
    """The answer to a chunk that is not the last: how many bytes are here."""
    headers = {"Range": f"bytes=0-{progress.received - 1}"} if progress.received else {}
    return Reply(308, None, headers)
