"""Objects by their paths in the XML API, ``/bucket/object``: where signed URLs lead.

https://cloud.google.com/storage/docs/xml-api/reference-methods
"""

from __future__ import annotations

from tule.kernel.errors import Unimplemented
from tule.storage.api import media
from tule.storage.api.routes import matches, number, reading
from tule.storage.api.uploads import begun, checksums
from tule.storage.api.xml.answers import etag_of, metadata, shown
from tule.storage.api.xml.parts import PART, PartPaths
from tule.storage.api.xml.requests import OBJECT, SIGNED, check_headers, conditions, description, length_range, within
from tule.wire.door import Reply, Request, route

_SHOWN = {"response-content-type": "Content-Type", "response-content-disposition": "Content-Disposition"}


class ObjectPaths(PartPaths):
    """Objects, and the refusal of buckets."""

    @route("GET", OBJECT, permission="storage.objects.get", executes=("generation", *_SHOWN, *SIGNED))
    @route("HEAD", OBJECT, permission="storage.objects.get", executes=("generation", *_SHOWN, *SIGNED), streams=True)
    def get_object(self, request: Request) -> Reply:
        made: Reply = reading(lambda: self._got(request))
        return made

    def _got(self, request: Request) -> Reply:
        check_headers(request)
        found, file = self.objects.opened(
            *self.name_of(request), generation=number(request, "generation"), conditions=conditions(request)
        )
        try:
            matches(request, etag_of(found))
        except BaseException:
            file.close()
            raise
        made = media.download(found, file, request.headers)
        made.headers |= metadata(found) | {"ETag": f'"{etag_of(found)}"'}
        for name, header in _SHOWN.items():
            if name in request.query:
                made.headers[header] = shown(name, request.query[name])
        return made

    @route("PUT", OBJECT, permission="storage.objects.create", executes=(*PART, *SIGNED), streams=True)
    def put_object(self, request: Request) -> Reply:
        check_headers(request)
        if "uploadId" in request.query:
            return self.put_part(request)
        bucket, key = self.name_of(request)
        self.permit_replacing(request, bucket, key)
        low, high = length_range(request)
        chunks = within(request.raw_chunks(), low, high)
        given, sums = description(request), checksums({}, request.headers)
        made = self.resources.insert(bucket, key, given, chunks, conditions(request), sums)
        described = media.described(made)
        told = ("X-Goog-Generation", "X-Goog-Metageneration", "X-Goog-Hash", "X-Goog-Stored-Content-Encoding",
                 "X-Goog-Stored-Content-Length")  # fmt: skip
        return Reply(200, b"", {name: described[name] for name in told} | {"ETag": f'"{etag_of(made)}"'})

    @route("POST", OBJECT, permission="storage.objects.create", executes=("uploads", "uploadId", *SIGNED), streams=True)
    def begin_upload(self, request: Request) -> Reply:
        check_headers(request)
        if "uploads" in request.query:
            return self.begin_parts(request)
        if "uploadId" in request.query:
            return self.finish_parts(request)
        if request.headers.get("x-goog-resumable") != "start":
            raise Unimplemented(
                "Tule does not do POST of an object but for uploads in chunks or parts",
                given="no header x-goog-resumable: start, no parameter uploads or uploadId",
                do="use PUT, or the JSON API",
                reason="notImplemented",
            )
        for _ in request.chunks():
            pass
        bucket, key = self.name_of(request)
        self.permit_replacing(request, bucket, key)
        sums = checksums({}, request.headers, size=request.headers.get("x-upload-content-length"))
        upload = self.uploads.begin(bucket, key, description(request), conditions(request), sums)
        return begun(request, bucket, upload, status=201)

    @route(
        "DELETE",
        OBJECT,
        permission="storage.objects.delete",
        executes=("generation", "uploadId", *SIGNED),
        streams=True,
    )
    def delete_object(self, request: Request) -> Reply:
        check_headers(request)
        if "uploadId" in request.query:
            return self.abandon_parts(request)
        self.objects.delete(
            *self.name_of(request), generation=number(request, "generation"), conditions=conditions(request)
        )
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
