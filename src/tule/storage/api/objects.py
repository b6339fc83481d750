"""Routes of objects. https://cloud.google.com/storage/docs/json_api/v1/objects"""

from __future__ import annotations

from typing import Any

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.kernel.objects import Object
from tule.storage.api import media
from tule.storage.api.routes import (
    CONDITIONS,
    SOURCE_CONDITIONS,
    StorageDoor,
    conditions,
    flag,
    matches,
    number,
    projection,
    reading,
    refuse_flag,
    served,
)
from tule.storage.fields import OBJECT_EXECUTED
from tule.storage.resources import etag, object_resource
from tule.wire.door import Reply, Request

_OBJECTS = "/b/{bucket}/o"
_OBJECT = _OBJECTS + "/{object}"
_READ = ("generation", *CONDITIONS, "projection", "softDeleted")
_COMPOSE = (
    "kind",
    *(f"destination.{each}" for each in OBJECT_EXECUTED),
    "sourceObjects.name",
    "sourceObjects.generation",
    "sourceObjects.objectPreconditions.ifGenerationMatch",
    "deleteSourceObjects",
)
_MOST = 1000


class ObjectRoutes(StorageDoor):
    """objects.*, less insert"""

    @served(
        "GET",
        _OBJECTS,
        permission="storage.objects.list",
        executes=(
            "prefix",
            "delimiter",
            "startOffset",
            "endOffset",
            "includeTrailingDelimiter",
            "versions",
            "matchGlob",
            "maxResults",
            "pageToken",
            "projection",
            "softDeleted",
            "includeFoldersAsPrefixes",
        ),
    )
    def list_objects(self, request: Request) -> dict[str, Any]:
        projection(request)
        refuse_flag(request, "softDeleted", "use versions=true in a bucket with versioning")
        refuse_flag(request, "includeFoldersAsPrefixes", "names are flat; list with a delimiter")
        query, size = request.query, number(request, "maxResults")
        found = self.objects.list(
            request.params["bucket"],
            prefix=query.get("prefix", ""),
            delimiter=query.get("delimiter", ""),
            start=query.get("startOffset", ""),
            end=query.get("endOffset", ""),
            glob=query.get("matchGlob", ""),
            versions=flag(request, "versions"),
            trailing_delimiter=flag(request, "includeTrailingDelimiter"),
            page_size=min(size or _MOST, _MOST),
            page_token=query.get("pageToken", ""),
        )
        made: dict[str, Any] = {"kind": "storage#objects"}
        if found.objects:
            made["items"] = [object_resource(each, request.base_url) for each in found.objects]
        if found.prefixes:
            made["prefixes"] = found.prefixes
        return made | ({"nextPageToken": found.next_page_token} if found.next_page_token else {})

    @served("GET", _OBJECT, prefix="/download/storage/v1", permission="storage.objects.get", executes=_READ)
    @served("GET", _OBJECT, permission="storage.objects.get", executes=_READ)
    def get_object(self, request: Request) -> dict[str, Any] | Reply:
        projection(request)
        refuse_flag(request, "softDeleted", "use generation in a bucket with versioning")
        wants_media = request.query.get("alt", "json") == "media"
        if request.path.startswith("/download/") and not wants_media:
            raise InvalidArgument("A download must ask for alt=media", given=f"alt={request.query.get('alt', 'none')}")
        made: dict[str, Any] | Reply = reading(
            lambda: self._media(request) if wants_media else self._described(request)
        )
        return made

    def _described(self, request: Request) -> dict[str, Any]:
        found = self.objects.get(
            *_name(request), generation=number(request, "generation"), conditions=conditions(request)
        )
        matches(request, etag(found.generation, found.metageneration))
        return object_resource(found, request.base_url)

    def _media(self, request: Request) -> Reply:
        found, file = self.objects.opened(
            *_name(request), generation=number(request, "generation"), conditions=conditions(request)
        )
        try:
            matches(request, etag(found.generation, found.metageneration))
        except BaseException:
            file.close()
            raise
        return media.download(found, file, request.headers)

    @served(
        "PATCH",
        _OBJECT,
        permission="storage.objects.update",
        executes=("generation", *CONDITIONS, "projection", "overrideUnlockedRetention", *OBJECT_EXECUTED),
    )
    def patch_object(self, request: Request) -> dict[str, Any]:
        return self._changed(request, replace=False)

    @served(
        "PUT",
        _OBJECT,
        permission="storage.objects.update",
        executes=("generation", *CONDITIONS, "projection", "overrideUnlockedRetention", *OBJECT_EXECUTED),
    )
    def update_object(self, request: Request) -> dict[str, Any]:
        return self._changed(request, replace=True)

    def _changed(self, request: Request, *, replace: bool) -> dict[str, Any]:
        projection(request)
        made = self.resources.change(
            *_name(request),
            request.json(),
            generation=number(request, "generation"),
            conditions=conditions(request),
            replace=replace,
        )
        return object_resource(made, request.base_url)

    @served("DELETE", _OBJECT, permission="storage.objects.delete", executes=("generation", *CONDITIONS))
    def delete_object(self, request: Request) -> Reply:
        self.objects.delete(*_name(request), generation=number(request, "generation"), conditions=conditions(request))
        return Reply(204)

    # -- copies

    @served(
        "POST",
        _OBJECT + "/compose",
        permission="storage.objects.create",
        executes=("ifGenerationMatch", "ifMetagenerationMatch", *_COMPOSE),
    )
    def compose_object(self, request: Request) -> dict[str, Any]:
        bucket, key = _name(request)
        self.permit(request, "storage.objects.get", bucket)
        self.permit_replacing(request, bucket, key)
        if request.json().get("deleteSourceObjects"):
            self.permit(request, "storage.objects.delete", bucket)
        made = self.resources.compose(bucket, key, request.json(), conditions(request))
        return object_resource(made, request.base_url)

    @served(
        "POST",
        _OBJECT + "/copyTo/b/{to_bucket}/o/{to_object}",
        permission="storage.objects.get",
        executes=("sourceGeneration", *CONDITIONS, *SOURCE_CONDITIONS, "projection", *OBJECT_EXECUTED),
    )
    def copy_object(self, request: Request) -> dict[str, Any]:
        return object_resource(self._copied(request), request.base_url)

    @served(
        "POST",
        _OBJECT + "/rewriteTo/b/{to_bucket}/o/{to_object}",
        permission="storage.objects.get",
        executes=(
            "sourceGeneration",
            "rewriteToken",
            "maxBytesRewrittenPerCall",
            *CONDITIONS,
            *SOURCE_CONDITIONS,
            "projection",
            *OBJECT_EXECUTED,
        ),
    )
    def rewrite_object(self, request: Request) -> dict[str, Any]:
        """Contents are shared, so that a rewrite of any size is done in its first call and hands out no token."""
        if request.query.get("rewriteToken"):
            raise InvalidArgument(
                "A rewriteToken must come from an unfinished rewrite",
                given=repr(request.query["rewriteToken"][:60]),
                do="begin the rewrite without a token",
            )
        number(request, "maxBytesRewrittenPerCall")
        made = self._copied(request)
        return {
            "kind": "storage#rewriteResponse",
            "totalBytesRewritten": str(made.size),
            "objectSize": str(made.size),
            "done": True,
            "resource": object_resource(made, request.base_url),
        }

    def _copied(self, request: Request) -> Object:
        projection(request)
        target = (request.params["to_bucket"], request.params["to_object"])
        self.permit(request, "storage.objects.create", target[0])
        self.permit_replacing(request, *target)
        return self.resources.copy(
            _name(request),
            target,
            request.json(),
            generation=number(request, "sourceGeneration"),
            conditions=conditions(request),
            source_conditions=conditions(request, "ifSource"),
        )

    @served(
        "POST",
        _OBJECT + "/moveTo/o/{to_object}",
        permission="storage.objects.delete",
        executes=(*CONDITIONS, *SOURCE_CONDITIONS, "projection"),
    )
    def move_object(self, request: Request) -> dict[str, Any]:
        projection(request)
        bucket, key = _name(request)
        self.permit(request, "storage.objects.get", bucket)
        self.permit(request, "storage.objects.create", bucket)
        made = self.objects.move(
            bucket,
            key,
            request.params["to_object"],
            conditions=conditions(request),
            source_conditions=conditions(request, "ifSource"),
        )
        return object_resource(made, request.base_url)

    # -- what uniform access rules out

    @served("GET", _OBJECT + "/acl", permission="storage.objects.getIamPolicy")
    @served("POST", _OBJECT + "/acl", permission="storage.objects.setIamPolicy", executes=("*",))
    @served("GET", "/b/{bucket}/acl", permission="storage.buckets.getIamPolicy")
    @served("POST", "/b/{bucket}/acl", permission="storage.buckets.setIamPolicy", executes=("*",))
    @served("GET", "/b/{bucket}/defaultObjectAcl", permission="storage.buckets.getIamPolicy")
    @served("POST", "/b/{bucket}/defaultObjectAcl", permission="storage.buckets.setIamPolicy", executes=("*",))
    def access_control_list(self, request: Request) -> Reply:
        raise InvalidArgument(
            "Cannot use ACL API when uniform bucket-level access is enabled, which it is on every bucket here",
            given=f"{request.method} {request.path}",
            do="set the bucket's IAM policy",
        )

    @served("GET", _OBJECT + "/iam", permission="storage.objects.getIamPolicy", executes=("*",))
    @served("PUT", _OBJECT + "/iam", permission="storage.objects.setIamPolicy", executes=("*",))
    def object_policy(self, request: Request) -> Reply:
        raise Unimplemented(
            "Objects have no policies of their own", given=request.path, do="set the bucket's IAM policy"
        )


def _name(request: Request) -> tuple[str, str]:
    return request.params["bucket"], request.params["object"]
