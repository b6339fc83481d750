"""Routes of uploads: in one request, with a description in two parts, or resumable.

https://cloud.google.com/storage/docs/uploads-downloads
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.kernel.objects import Checksums
from tule.storage.api.routes import UPLOAD_CONDITIONS, StorageDoor, conditions, projection, served
from tule.storage.fields import OBJECT_EXECUTED
from tule.storage.resources import object_resource
from tule.wire import multipart, resumable
from tule.wire.door import Reply, Request
from tule.wire.receipts import Receipt, json_paths

_UPLOAD = "/b/{bucket}/o"
_PARAMETERS = ("name", "contentEncoding", "projection", *UPLOAD_CONDITIONS)
_DESCRIPTION = Receipt(OBJECT_EXECUTED)


class UploadRoutes(StorageDoor):
    """objects.insert"""

    @served(
        "POST",
        _UPLOAD,
        prefix="/upload/storage/v1",
        permission="storage.objects.create",
        executes=(*_PARAMETERS, *OBJECT_EXECUTED),
        streams=True,
    )
    def insert_object(self, request: Request) -> dict[str, Any] | Reply:
        projection(request)
        kind = request.query.get("uploadType", "")
        if kind == "multipart":
            return self._insert_multipart(request)
        if kind == "media":
            return self._insert_media(request)
        if kind == "resumable":
            return self._begin(request)
        raise InvalidArgument("uploadType must be media, multipart or resumable", given=repr(kind[:60]))

    def _insert_media(self, request: Request) -> dict[str, Any]:
        given: dict[str, Any] = {}
        if kind := request.headers.get("content-type"):
            given["contentType"] = kind
        return self._inserted(request, given, request.chunks())

    def _insert_multipart(self, request: Request) -> dict[str, Any]:
        given, part = multipart.related(request.headers.get("content-type", ""), request.chunks())
        _DESCRIPTION.check("insert_object", json_paths(given))
        if kind := part.headers.get("content-type"):
            given.setdefault("contentType", kind)
        return self._inserted(request, given, part.chunks)

    def _inserted(self, request: Request, given: dict[str, Any], chunks: Any) -> dict[str, Any]:
        key, sums = _named(request, given), checksums(given, request.headers)
        bucket = request.params["bucket"]
        self.permit_replacing(request, bucket, key)
        made = self.resources.insert(bucket, key, given, chunks, conditions(request), sums)
        return object_resource(made, request.base_url)

    def _begin(self, request: Request) -> Reply:
        given = request.json()
        _DESCRIPTION.check("insert_object", json_paths(given))
        if kind := request.headers.get("x-upload-content-type"):
            given.setdefault("contentType", kind)
        key, bucket = _named(request, given), request.params["bucket"]
        self.permit_replacing(request, bucket, key)
        sums = checksums(given, {}, size=request.headers.get("x-upload-content-length"))
        return begun(request, bucket, self.uploads.begin(bucket, key, given, conditions(request), sums))

    # The id of a session is long and secret: whoever has it may go on, as with Google's. So no other credential is asked.

    @served("PUT", _UPLOAD, prefix="/upload/storage/v1", public=True, executes=_PARAMETERS, streams=True)
    def continue_upload(self, request: Request) -> dict[str, Any] | Reply:
        upload = request.query.get("upload_id", "")
        if (made := self.uploads.finished(upload)) is not None:
            for _ in request.chunks():
                pass
            return object_resource(made, request.base_url)
        said = checksums({}, request.headers)
        progress = resumable.receive(self.uploads.sessions, upload, request)
        if not progress.complete:
            return resumable.incomplete(progress)
        return object_resource(self.uploads.finish(upload, progress, said), request.base_url)

    @served("DELETE", _UPLOAD, prefix="/upload/storage/v1", public=True, executes=_PARAMETERS)
    def cancel_upload(self, request: Request) -> Reply:
        self.uploads.sessions.abandon(request.query.get("upload_id", ""))
        return Reply(499)


_UNSIGNED = "UNSIGNED-PAYLOAD"


def begun(request: Request, bucket: str, upload: str, status: int = 200) -> Reply:
    """The address of a new session."""
    location = f"{request.base_url}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={upload}"
    return Reply(status, b"", {"Location": location, "X-GUploader-UploadID": upload})


def checksums(given: Mapping[str, Any], headers: Mapping[str, str], *, size: str | None = None) -> Checksums:
    """What a writer says of its content, in the description or in ``X-Goog-Hash`` and ``Content-MD5``."""
    sums = {"md5": given.get("md5Hash"), "crc32c": given.get("crc32c")}
    if md5 := headers.get("content-md5"):
        sums["md5"] = md5.strip()
    for each in headers.get("x-goog-hash", "").split(","):
        name, _, value = each.strip().partition("=")
        if name in sums:
            sums[name] = value
        elif name:
            raise Unimplemented("Tule checks md5 and crc32c", given=f"X-Goog-Hash with {name[:20]}")
    for name, length in (("md5", 16), ("crc32c", 4)):
        if sums[name] is not None:
            _check_digest(name, sums[name], length)
    if size is not None and not (size.isascii() and size.isdigit()):
        raise InvalidArgument("X-Upload-Content-Length must be a whole number", given=repr(size[:60]))
    return Checksums(sums["md5"], sums["crc32c"], None if size is None else int(size), _signed_sha256(headers))


def _signed_sha256(headers: Mapping[str, str]) -> str | None:
    """The hash of the payload that the header of a signed request declares; None where the payload is not signed."""
    said = headers.get("x-goog-content-sha256", _UNSIGNED)
    if said == _UNSIGNED:
        return None
    if re.fullmatch("[0-9a-fA-F]{64}", said) is None:
        raise InvalidArgument(
            f"X-Goog-Content-SHA256 must be {_UNSIGNED} or the SHA-256 of the content in hexadecimal",
            given=repr(said[:80]),
        )
    return said.lower()


def _check_digest(name: str, text: Any, length: int) -> None:
    try:
        right = len(base64.b64decode(text, validate=True)) == length
    except (binascii.Error, TypeError, ValueError):
        right = False
    if not right:
        raise InvalidArgument(f"The {name} of a content must be {length} bytes in base64", given=repr(text)[:60])


def _named(request: Request, given: dict[str, Any]) -> str:
    """The object's name, from the address or the description; what the address says is added to the description."""
    if encoding := request.query.get("contentEncoding"):
        given["contentEncoding"] = encoding
    if given.get("bucket") not in (None, request.params["bucket"]):
        raise InvalidArgument("The bucket of the description must be that of the address", given=repr(given["bucket"]))
    key = request.query.get("name") or given.get("name")
    if not isinstance(key, str) or not key:
        raise InvalidArgument("Required parameter: name", do="name the object", reason="required")
    return key
