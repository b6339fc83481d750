"""What the doors of Vertex AI have in common: messages as JSON, masks, the metadata and the end of operations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from tule.kernel.errors import PermissionDenied
from tule.kernel.operations import Progress
from tule.wire.service import Call
from tule.wire.surfaces import pb, pb_class


def metadata(call: Call) -> dict[str, Any]:
    """The metadata that every operation of Vertex AI begins with."""
    now = timestamp(call.platform.records.clock.now())
    return {"genericMetadata": {"createTime": now, "updateTime": now}}


def timestamp(moment: datetime) -> str:
    """A moment in UTC as protobuf's JSON writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def check_also(call: Call, permission: str, resource: str) -> None:
    """Raise PermissionDenied unless the caller has a permission on a second resource that its request names."""
    plain = resource.partition("@")[0]
    who = call.principal
    if not who.owner and not call.platform.policies.test(who.email, plain, [permission]):
        raise PermissionDenied(
            f"{who.email} must have the permission {permission}",
            given=plain,
            do="let the owner grant a role with setIamPolicy",
        )


def finisher(call: Call, progress: Progress) -> Callable[[dict[str, Any]], None]:
    """Ends the operation with a response, inside the transaction that has the effect."""
    assert call.method.operation is not None
    kind = pb_class(call.method.operation[0]).DESCRIPTOR.full_name
    return lambda body: progress.complete({"@type": f"type.googleapis.com/{kind}", **body})


def camel(path: str) -> str:
    """A field path of a mask in JSON's spelling, its first part only."""
    head, *rest = path.split(".")[0].split("_")
    return head + "".join(word.capitalize() for word in rest)


def masked_fields(request: Any, message: Any) -> set[str]:
    """The top-level fields that an update names, in camelCase; without a mask those that are set."""
    named = {camel(path) for path in pb(request).update_mask.paths}
    if not named:
        named = {field.json_name for field, _ in pb(message).ListFields()} - {"name", "etag"}
    return named


def read_masked(messages: list[dict[str, Any]], request: Any) -> list[dict[str, Any]]:
    """The messages with only the fields that a list's read mask names."""
    fields = {camel(path) for path in pb(request).read_mask.paths}
    if not fields or "*" in fields:
        return messages
    return [{key: value for key, value in each.items() if key in fields or key == "name"} for each in messages]
