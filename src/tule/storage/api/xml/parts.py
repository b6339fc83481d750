"""Uploads in parts: begun, filled, listed and finished at the object's address.

https://cloud.google.com/storage/docs/multipart-uploads
"""

from __future__ import annotations

from xml.etree import ElementTree

from tule.kernel.errors import InvalidArgument, TuleError
from tule.storage.api.routes import StorageDoor
from tule.storage.api.uploads import checksums
from tule.storage.api.xml.answers import error_answer, etag_of, result
from tule.storage.api.xml.requests import conditions, description
from tule.wire.door import Reply, Request

PART = ("partNumber", "uploadId")


class PartPaths(StorageDoor):
    """What ``uploads`` and ``uploadId`` in the query of an address ask for."""

    def error_reply(self, error: TuleError) -> Reply:
        return error_answer(error)

    def name_of(self, request: Request) -> tuple[str, str]:
        """The bucket and the key of a request."""
        return self.bucket_of(request), request.params["object"]

    def begin_parts(self, request: Request) -> Reply:
        bucket, key = self.name_of(request)
        self.permit_replacing(request, bucket, key)
        upload = self.parts.begin(bucket, key, description(request), conditions(request))
        return result("InitiateMultipartUploadResult", {"Bucket": bucket, "Key": key, "UploadId": upload})

    def put_part(self, request: Request) -> Reply:
        text = request.query.get("partNumber", "")
        if not (text.isascii() and text.isdigit() and len(text) < 6):
            raise InvalidArgument("A part must have a number", given=f"partNumber {text[:20]!r}")
        said = checksums({}, request.headers)
        made = self.parts.receive(
            request.query["uploadId"], self.name_of(request), int(text), request.raw_chunks(), said
        )
        return Reply(200, b"", {"ETag": f'"{made.etag}"', "X-Goog-Hash": f"crc32c={made.crc32c},md5={made.md5}"})

    def finish_parts(self, request: Request) -> Reply:
        bucket, key = self.name_of(request)
        made = self.parts.finish(request.query["uploadId"], (bucket, key), _listed(request.body()))
        location = f"{request.base_url}{request.path}"
        fields = {"Location": location, "Bucket": bucket, "Key": key, "ETag": f'"{etag_of(made)}"'}
        return result("CompleteMultipartUploadResult", fields)

    def abandon_parts(self, request: Request) -> Reply:
        self.parts.abandon(request.query["uploadId"], self.name_of(request))
        return Reply(204)


def _listed(body: bytes) -> list[tuple[int, str]]:
    """The parts that a request to finish names: number and etag."""
    try:
        if b"<!" in body:
            raise ValueError("a document type")  # entities of which could grow without bound
        root = ElementTree.fromstring(body)
        parts = [each for each in root if each.tag.rpartition("}")[2] == "Part"]
        found = [{inner.tag.rpartition("}")[2]: (inner.text or "").strip() for inner in each} for each in parts]
        return [(int(each["PartNumber"]), each["ETag"].strip('"')) for each in found]
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise InvalidArgument(
            "The parts of an upload must be listed as CompleteMultipartUpload with a PartNumber and an ETag in each Part",
            given=str(error)[:200],
            reason="MalformedXML",
        ) from None
