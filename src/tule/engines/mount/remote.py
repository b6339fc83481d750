"""Cloud Storage as the file system asks for it: a few calls of its JSON API, with the process's own credential.

Errors become those of files (``OSError``), and are said on the process's standard error where they lose something.
"""

from __future__ import annotations

import errno
import json
import select
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from http.client import HTTPConnection

_TIMEOUT = 600
_PIECE = 1 << 20
_FIELDS = "name,size,updated,generation"
_ERRNO = {
    400: errno.EINVAL,
    401: errno.EACCES,
    403: errno.EACCES,
    404: errno.ENOENT,
    409: errno.EEXIST,
    412: errno.ESTALE,
    416: errno.EINVAL,
    429: errno.ENOSPC,
}


@dataclass(frozen=True)
class Found:
    """An object as a file: bytes, and nanoseconds since 1970."""

    name: str
    size: int
    updated_ns: int
    generation: str


class Refused(OSError):
    """An error of the service; ``message`` is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(_ERRNO.get(status, errno.EIO), message)
        self.message = message


class Remote:
    """The objects that an account sees. Safe to use from any thread; each has a connection of its own."""

    def __init__(self, host: str, port: int, token: str, project: str) -> None:
        self._host = host
        self._port = port
        self._token = token
        self._project = project
        self._local = threading.local()

    # -- looking

    def buckets(self) -> list[str]:
        """The names of the project's buckets."""
        return [
            each["name"] for each in self._pages("/storage/v1/b", {"project": self._project}, "items(name)", "items")
        ]

    def has_bucket(self, bucket: str) -> bool:
        try:
            self._json("GET", f"/storage/v1/b/{quote(bucket, safe='')}", {"fields": "name"})
        except Refused as error:
            if error.errno in (errno.ENOENT, errno.EINVAL):
                return False
            raise
        return True

    def find(self, bucket: str, key: str) -> Found | None:
        try:
            return _found(self._json("GET", _object(bucket, key), {"fields": _FIELDS}))
        except Refused as error:
            if error.errno == errno.ENOENT:
                return None
            raise

    def has_prefix(self, bucket: str, prefix: str) -> bool:
        query = {"prefix": prefix, "maxResults": "1", "fields": "items(name)"}
        return bool(self._json("GET", _objects(bucket), query).get("items"))

    def folder(self, bucket: str, prefix: str) -> tuple[list[Found], list[str]]:
        """The objects and the folders directly below a prefix, names without it."""
        objects: list[Found] = []
        folders: list[str] = []
        query = {"prefix": prefix, "delimiter": "/", "fields": f"items({_FIELDS}),prefixes,nextPageToken"}
        while True:
            page = self._json("GET", _objects(bucket), query)
            for item in page.get("items", ()):
                if item["name"] != prefix:
                    found = _found(item)
                    objects.append(Found(found.name[len(prefix) :], found.size, found.updated_ns, found.generation))
            folders += [each[len(prefix) : -1] for each in page.get("prefixes", ())]
            if "nextPageToken" not in page:
                return objects, folders
            query["pageToken"] = page["nextPageToken"]

    def names(self, bucket: str, prefix: str, most: int = 0) -> list[str]:
        """The names of all objects that begin with a prefix, or of the first few."""
        query = {"prefix": prefix, **({"maxResults": str(most)} if most else {})}
        if most:
            query["fields"] = "items(name)"
            return [each["name"] for each in self._json("GET", _objects(bucket), query).get("items", ())]
        return [each["name"] for each in self._pages(_objects(bucket), query, "items(name)", "items")]

    # -- contents

    def read(self, bucket: str, key: str, generation: str, offset: int, size: int) -> bytes:
        """A part of a content; ESTALE when that generation is gone."""
        query = {"alt": "media", "generation": generation}
        headers = {"Range": f"bytes={offset}-{offset + size - 1}"}
        try:
            return self._call("GET", "/download" + _object(bucket, key), query, headers=headers)[1]
        except Refused as error:
            if error.errno == errno.ENOENT:
                raise Refused(412, error.message) from None
            raise

    def download(self, bucket: str, key: str, generation: str, target: BinaryIO) -> None:
        offset, size = 0, 8 * _PIECE
        found = self.find(bucket, key)
        total = found.size if found is not None else 0
        while offset < total:
            part = self.read(bucket, key, generation, offset, size)
            if not part:
                break
            target.write(part)
            offset += len(part)

    def upload(self, bucket: str, key: str, body: BinaryIO, size: int) -> Found:
        """Store a content; durable and visible, whole, once this returns."""
        query = {"uploadType": "media", "name": key, "fields": _FIELDS}
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        path = f"/upload/storage/v1/b/{quote(bucket, safe='')}/o"
        return _found(json.loads(self._call("POST", path, query, body=body, headers=headers, once=True)[1]))

    def delete(self, bucket: str, key: str) -> None:
        self._call("DELETE", _object(bucket, key), {})

    def move(self, source: tuple[str, str], target: tuple[str, str]) -> None:
        if source[0] == target[0]:
            self._json("POST", f"{_object(*source)}/moveTo/o/{quote(target[1], safe='')}", {"fields": "name"})
            return
        path = f"{_object(*source)}/rewriteTo/b/{quote(target[0], safe='')}/o/{quote(target[1], safe='')}"
        self._json("POST", path, {"fields": "done"})
        self.delete(*source)

    # -- HTTP

    def _pages(self, path: str, query: dict[str, str], fields: str, items: str) -> Iterator[dict[str, Any]]:
        query = {**query, "fields": f"{fields},nextPageToken"}
        while True:
            page = self._json("GET", path, query)
            yield from page.get(items, ())
            if "nextPageToken" not in page:
                return
            query["pageToken"] = page["nextPageToken"]

    def _json(self, verb: str, path: str, query: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._call(verb, path, query)[1])
        return found

    def _call(
        self,
        verb: str,
        path: str,
        query: dict[str, str],
        *,
        body: BinaryIO | None = None,
        headers: dict[str, str] | None = None,
        once: bool = False,
    ) -> tuple[int, bytes]:
        """One request. A connection that the server closed meanwhile is opened anew; ``once``: never sent twice."""
        address = path + ("?" + urlencode(query) if query else "")
        given = {"Authorization": f"Bearer {self._token}", **(headers or {})}
        for attempt in (0, 1):
            connection = self._connection(fresh=attempt > 0)
            from http.client import HTTPException

            try:
                connection.request(verb, address, body=body, headers=given)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, HTTPException) as error:
                self._local.connection = None
                connection.close()
                if attempt or once:
                    raise Refused(503, f"the server could not be reached: {error!r}") from error
                continue
            if answer.status >= 300:
                raise Refused(answer.status, _message(answer.status, content))
            return answer.status, content
        raise AssertionError("unreachable")

    def _connection(self, *, fresh: bool) -> HTTPConnection:
        # Most processes never look below /gcs: what they do not need is not loaded.
        from http.client import HTTPConnection

        connection: HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None or fresh or _was_closed(connection):
            if connection is not None:
                connection.close()
            connection = HTTPConnection(self._host, self._port, timeout=_TIMEOUT, blocksize=_PIECE)
            self._local.connection = connection
        return connection


def _was_closed(connection: HTTPConnection) -> bool:
    """Whether an idle connection has something to read: its end."""
    if connection.sock is None:
        return True
    waiting = select.poll()
    waiting.register(connection.sock, select.POLLIN)
    return bool(waiting.poll(0))


def _objects(bucket: str) -> str:
    return f"/storage/v1/b/{quote(bucket, safe='')}/o"


def _object(bucket: str, key: str) -> str:
    return f"{_objects(bucket)}/{quote(key, safe='')}"


def _found(item: dict[str, Any]) -> Found:
    moment = datetime.fromisoformat(item["updated"].replace("Z", "+00:00"))
    nanoseconds = int(moment.timestamp()) * 10**9 + moment.microsecond * 1000
    return Found(item["name"], int(item["size"]), nanoseconds, item["generation"])


def _message(status: int, content: bytes) -> str:
    try:
        return str(json.loads(content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"status {status}"
