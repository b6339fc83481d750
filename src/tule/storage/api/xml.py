"""The XML API's addresses of objects, ``/bucket/object``: where signed URLs lead.

https://cloud.google.com/storage/docs/xml-api/reference-methods
"""

from __future__ import annotations

import base64
import re
from typing import Any
from xml.sax.saxutils import escape

from tule.kernel.errors import InvalidArgument, NotFound, TuleError, Unimplemented
from tule.kernel.objects import Conditions, Object
from tule.storage.api import media
from tule.storage.api.routes import StorageDoor, matches, number, reading, reason_of, refuse_keys, status_of
from tule.storage.api.uploads import begun, checksums
from tule.wire.door import Reply, Request, route

_SIGNED = (
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
_SHOWN = {"response-content-type": "Content-Type", "response-content-disposition": "Content-Disposition"}
_DESCRIBED = {
    "content-type": "contentType",
    "content-encoding": "contentEncoding",
    "content-disposition": "contentDisposition",
    "content-language": "contentLanguage",
    "cache-control": "cacheControl",
    "x-goog-storage-class": "storageClass",
    "x-goog-custom-time": "customTime",
}
# Headers of the XML API that change what a request does.
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
_META = "x-goog-meta-"
_OBJECT = "/{bucket}/{object:path}"
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CODES = {
    "notFound": "NoSuchKey",
    "conditionNotMet": "PreconditionFailed",
    "conflict": "Conflict",
    "invalid": "InvalidArgument",
    "notImplemented": "NotImplemented",
    "authError": "AuthenticationRequired",
    "forbidden": "AccessDenied",
    "internalError": "InternalError",
}
_STATUS = {"ExpiredToken": 400, "SignatureDoesNotMatch": 403}


class StorageXml(StorageDoor):
    """storage.googleapis.com: objects by their paths"""

    name = "storage-xml"
    hosts = ("storage.googleapis.com",)

    def error_reply(self, error: TuleError) -> Reply:
        reason = reason_of(error)
        code = _CODES.get(reason, reason)
        if isinstance(error, NotFound) and "bucket" in error.message:
            code = "NoSuchBucket"
        text = (
            f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{escape(code)}</Code>"
            f"<Message>{escape(_clean(error.message))}</Message><Details>{escape(_clean(error.message))}</Details></Error>"
        )
        status = _STATUS.get(reason) or status_of(error)
        return Reply(status, text.encode(), {"Content-Type": "application/xml; charset=UTF-8"})

    @route("GET", _OBJECT, permission="storage.objects.get", executes=("generation", *_SHOWN, *_SIGNED))
    @route("HEAD", _OBJECT, permission="storage.objects.get", executes=("generation", *_SHOWN, *_SIGNED), streams=True)
    def get_object(self, request: Request) -> Reply:
        made: Reply = reading(lambda: self._got(request))
        return made

    def _got(self, request: Request) -> Reply:
        _check_headers(request)
        found, file = self.objects.opened(
            *_name(request), generation=number(request, "generation"), conditions=_conditions(request)
        )
        try:
            matches(request, _etag(found))
        except BaseException:
            file.close()
            raise
        made = media.download(found, file, request.headers)
        made.headers |= _metadata(found) | {"ETag": f'"{_etag(found)}"'}
        for name, header in _SHOWN.items():
            if name in request.query:
                made.headers[header] = _shown(name, request.query[name])
        return made

    @route("PUT", _OBJECT, permission="storage.objects.create", executes=_SIGNED, streams=True)
    def put_object(self, request: Request) -> Reply:
        _check_headers(request)
        bucket, key = _name(request)
        self.permit_replacing(request, bucket, key)
        low, high = _length_range(request)
        chunks = _within(request.raw_chunks(), low, high)
        given, sums = _description(request), checksums({}, request.headers)
        made = self.resources.insert(bucket, key, given, chunks, _conditions(request), sums)
        described = media.described(made)
        shown = ("X-Goog-Generation", "X-Goog-Metageneration", "X-Goog-Hash", "X-Goog-Stored-Content-Encoding",
                 "X-Goog-Stored-Content-Length")  # fmt: skip
        return Reply(200, b"", {name: described[name] for name in shown} | {"ETag": f'"{_etag(made)}"'})

    @route("POST", _OBJECT, permission="storage.objects.create", executes=_SIGNED, streams=True)
    def begin_upload(self, request: Request) -> Reply:
        _check_headers(request)
        if request.headers.get("x-goog-resumable") != "start":
            raise Unimplemented(
                "Tule does not do POST of an object but to begin a resumable upload",
                given="no header x-goog-resumable: start",
                do="use PUT, or the JSON API",
                reason="notImplemented",
            )
        for _ in request.chunks():
            pass
        bucket, key = _name(request)
        self.permit_replacing(request, bucket, key)
        sums = checksums({}, request.headers, size=request.headers.get("x-upload-content-length"))
        upload = self.uploads.begin(bucket, key, _description(request), _conditions(request), sums)
        return begun(request, bucket, upload, status=201)

    @route("DELETE", _OBJECT, permission="storage.objects.delete", executes=("generation", *_SIGNED), streams=True)
    def delete_object(self, request: Request) -> Reply:
        _check_headers(request)
        self.objects.delete(*_name(request), generation=number(request, "generation"), conditions=_conditions(request))
        return Reply(204)

    @route("GET", "/{bucket}", permission="storage.objects.list", executes=("*",))
    @route("GET", "/{bucket}/", permission="storage.objects.list", executes=("*",))
    @route("PUT", "/{bucket}", permission="storage.buckets.create", executes=("*",), streams=True)
    @route("POST", "/{bucket}", public=True, executes=("*",), streams=True)
    @route("POST", "/{bucket}/", public=True, executes=("*",), streams=True)
    @route("DELETE", "/{bucket}", permission="storage.buckets.delete", executes=("*",), streams=True)
    def refused(self, request: Request) -> Reply:
        raise Unimplemented(
            f"Tule does not do {request.method} of a bucket in the XML API",
            given=request.path,
            do="use the JSON API, as google-cloud-storage does; sign URLs of objects",
            reason="notImplemented",
        )


def _name(request: Request) -> tuple[str, str]:
    return request.params["bucket"], request.params["object"]


def _check_headers(request: Request) -> None:
    refuse_keys(request.headers)
    for name in request.headers:
        if name.startswith("x-goog-") and not name.startswith(_META) and name not in _EXECUTED:
            raise Unimplemented(
                f"Tule does not do the header {name}", do="leave it out", reason="notImplemented", location=name
            )


def _conditions(request: Request) -> Conditions:
    values = []
    for name in ("x-goog-if-generation-match", "x-goog-if-metageneration-match"):
        text = request.headers.get(name)
        if text is not None and not (text.isascii() and text.isdigit() and len(text) < 19):
            raise InvalidArgument(f"{name} must be a whole number", given=repr(text[:60]))
        values.append(None if text is None else int(text))
    return Conditions(generation_match=values[0], metageneration_match=values[1])


def _description(request: Request) -> dict[str, Any]:
    given: dict[str, Any] = {
        field: request.headers[name] for name, field in _DESCRIBED.items() if request.headers.get(name)
    }
    metadata = {name.removeprefix(_META): value for name, value in request.headers.items() if name.startswith(_META)}
    return given | ({"metadata": metadata} if metadata else {})


def _length_range(request: Request) -> tuple[int, int | None]:
    """The sizes that a signed URL allows, ``x-goog-content-length-range: 0,1000``."""
    text = request.headers.get("x-goog-content-length-range")
    if text is None:
        return 0, None
    low, _, high = text.partition(",")
    if not (low.strip().isdigit() and high.strip().isdigit()):
        raise InvalidArgument("x-goog-content-length-range must be MINIMUM,MAXIMUM", given=repr(text[:60]))
    return int(low), int(high)


def _within(chunks: Any, low: int, high: int | None) -> Any:
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


def _etag(found: Object) -> str:
    """The MD5 in hexadecimal where there is one, as S3 has it too."""

    return base64.b64decode(found.md5).hex() if found.md5 else f"-{found.generation:x}"


def _metadata(found: Object) -> dict[str, str]:
    """Custom metadata as headers, where a header can hold it."""
    return {
        _META + key: value
        for key, value in (found.body.get("metadata") or {}).items()
        if _TOKEN.fullmatch(key) and value.isascii() and value.isprintable()
    }


def _shown(name: str, value: str) -> str:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
        raise InvalidArgument(f"{name} must have no control characters", given=repr(value[:100]))
    return value


def _clean(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(letter if letter >= " " or letter in "\t\n" else "\ufffd" for letter in text)
