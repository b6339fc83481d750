"""What the routes of the Storage doors share: permissions on buckets, errors, the reading of parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tule.kernel.access import Access
from tule.kernel.errors import InvalidArgument, TuleError, Unimplemented
from tule.kernel.iam import Policies
from tule.kernel.objects import ConditionNotMet, Conditions, Objects
from tule.kernel.projects import Projects
from tule.kernel.uploads import Uploads
from tule.storage.buckets import BucketResources
from tule.storage.objects import ObjectResources
from tule.storage.parts import PartUploads
from tule.storage.uploads import ObjectUploads
from tule.wire.door import Door, Reply, Request, route
from tule.wire.errors import REASONS, discovery_body, http_status

Method = TypeVar("Method", bound=Callable[..., Any])

CONDITIONS = ("ifGenerationMatch", "ifGenerationNotMatch", "ifMetagenerationMatch", "ifMetagenerationNotMatch")
BUCKET_CONDITIONS = CONDITIONS[2:]
SOURCE_CONDITIONS = tuple(f"ifSource{name[2:]}" for name in CONDITIONS)
# The client spells this one so when it uploads.
UPLOAD_CONDITIONS = (*CONDITIONS, "ifMetaGenerationNotMatch")

_REASONS = REASONS | {
    "ALREADY_EXISTS": "conflict",
    "PERMISSION_DENIED": "forbidden",
    "FAILED_PRECONDITION": "failedPrecondition",
    "RESOURCE_EXHAUSTED": "uploadTooLarge",
}
_STATUS = {"conflict": 409, "quotaExceeded": 403, "requestedRangeNotSatisfiable": 416, "uploadTooLarge": 413}


class StorageDoor(Door):
    """Base of both doors."""

    def __init__(
        self,
        objects: Objects,
        uploads: Uploads,
        parts: Uploads,
        projects: Projects,
        policies: Policies,
        access: Access,
    ) -> None:
        self.objects = objects
        self.projects = projects
        self.policies = policies
        self.access = access
        self.buckets = BucketResources(objects.buckets, projects)
        self.resources = ObjectResources(objects)
        self.uploads = ObjectUploads(objects, self.resources, uploads)
        self.parts = PartUploads(objects, self.resources, parts)

    def bucket_of(self, request: Request) -> str:
        """The bucket that a request is about, '' for none."""
        return request.params.get("bucket", "")

    def resource(self, request: Request) -> str:
        """The bucket that a request is about, under its project; else the project it names."""
        if bucket := self.bucket_of(request):
            return self.objects.buckets.get(bucket).name
        project = request.params.get("project") or request.query.get("project", "")
        return f"projects/{self.projects.id_of(project)}" if project else ""

    def permit(self, request: Request, permission: str, bucket: str) -> None:
        """What a method needs beside the permission of its route."""
        self.access.check(request.principal, permission, self.objects.buckets.get(bucket).name)

    def permit_replacing(self, request: Request, bucket: str, key: str) -> None:
        """Whoever writes over an object deletes one."""
        if self.objects.find(bucket, key) is not None:
            self.permit(request, "storage.objects.delete", bucket)

    def error_reply(self, error: TuleError) -> Reply:
        status = status_of(error)
        body = discovery_body(error, http=status)
        body["error"]["errors"][0]["reason"] = reason_of(error)
        return Reply(status, body, {"WWW-Authenticate": "Bearer"} if status == 401 else {})


def reason_of(error: TuleError) -> str:
    return error.reason or _REASONS[error.code]


def status_of(error: TuleError) -> int:
    if isinstance(error, ConditionNotMet):
        return 412
    return _STATUS.get(reason_of(error)) or http_status(error)


def served(verb: str, template: str, *, prefix: str = "/storage/v1", **declared: Any) -> Callable[[Method], Method]:
    """``route`` under the API's prefix; keys that a client brings along for encryption are refused, never ignored."""

    def mark(function: Method) -> Method:
        @functools.wraps(function)
        def call(self: StorageDoor, request: Request) -> Any:
            refuse_keys(request.headers)
            return function(self, request)

        return route(verb, prefix + template, **declared)(call)  # type: ignore[return-value]

    return mark


def refuse_keys(headers: Mapping[str, str]) -> None:
    for name in headers:
        if name.startswith(("x-goog-encryption-", "x-goog-copy-source-encryption-")):
            raise Unimplemented(
                "Tule encrypts no object with a key of yours",
                given=f"header {name}",
                do="leave the key out; keep the data directory on an encrypted disk",
                reason="notImplemented",
            )


def conditions(request: Request, prefix: str = "if") -> Conditions:
    """The preconditions of a request; ``prefix`` ifSource reads those on the source of a copy."""
    values = {name.lower(): value for name, value in request.query_pairs}

    def read(name: str) -> int | None:
        return _whole_number(prefix + name, values.get((prefix + name).lower()))

    return Conditions(
        read("GenerationMatch"), read("GenerationNotMatch"), read("MetagenerationMatch"), read("MetagenerationNotMatch")
    )


def number(request: Request, name: str) -> int | None:
    """A query parameter that is a whole number, not negative."""
    return _whole_number(name, request.query.get(name))


def _whole_number(name: str, text: str | None) -> int | None:
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidArgument(f"{name} must be a whole number", given=repr(text[:60]), location=name)
    return int(text)


def flag(request: Request, name: str) -> bool:
    """A boolean query parameter, in any case as Python's clients write it."""
    text = request.query.get(name, "false").lower()
    if text not in ("true", "false"):
        raise InvalidArgument(f"{name} must be true or false", given=repr(text[:60]), location=name)
    return text == "true"


def refuse_flag(request: Request, name: str, do: str) -> None:
    """A parameter that may be there as long as it asks for nothing."""
    if flag(request, name):
        raise Unimplemented(f"Tule does not do {name}", do=do, reason="notImplemented", location=name)


def projection(request: Request) -> None:
    """``full`` adds access control lists, which buckets with uniform access do not have."""
    if request.query.get("projection", "noAcl") not in ("full", "noAcl"):
        raise InvalidArgument("projection must be full or noAcl", given=repr(request.query["projection"][:60]))


def matches(request: Request, etag: str) -> None:
    """Raise ConditionNotMet where an If-Match or If-None-Match does not hold."""
    wanted, unwanted = request.headers.get("if-match", ""), request.headers.get("if-none-match", "")
    if wanted and not {etag, "*"}.intersection(_etags(wanted)):
        raise ConditionNotMet("If-Match", wanted[:100], f"etag {etag}", unchanged=False)
    if unwanted and {etag, "*"}.intersection(_etags(unwanted)):
        raise ConditionNotMet("If-None-Match", unwanted[:100], f"etag {etag}", unchanged=True)


def _etags(text: str) -> list[str]:
    return [each.strip().removeprefix("W/").strip('"') for each in text.split(",") if each.strip()]


def reading(answer: Callable[[], Any]) -> Any:
    """``answer()``, or status 304 where the state is the one that was not wanted."""
    try:
        return answer()
    except ConditionNotMet as error:
        if error.unchanged:
            return Reply(304)
        raise
