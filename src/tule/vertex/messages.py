"""What the doors of Vertex AI have in common: messages as JSON, masks, the metadata and the end of operations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from tule.kernel.errors import PermissionDenied
from tule.kernel.operations import Operation, Progress
from tule.kernel.records import Page, Record
from tule.wire.service import Call
from tule.wire.splices import Serialized, joined
from tule.wire.surfaces import pb, pb_class
from tule.wire.transcode import serialized

_PAGE, _LARGEST_PAGE = 100, 1000


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


def deletion(call: Call, name: str, delete: Callable[[str], None]) -> Operation:
    """The operation that deletes a resource ``.../COLLECTION/ID``: it ends in the transaction that has the effect."""

    def work(progress: Progress) -> dict[str, Any]:
        finish = finisher(call, progress)
        with call.platform.records.transaction():
            delete(name)
            finish({})
        return {}

    return call.start(name.rsplit("/", 2)[0], work, metadata=metadata(call), target=name)


def page_size(request: Any) -> int:
    """How many a list is to answer at once: 100 where the request says nothing, at most 1,000."""
    return min(int(request.page_size) or _PAGE, _LARGEST_PAGE)


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


class MessageCache:
    """Serialized messages of records as they are now, so that a long list costs little more than its bytes.

    Making a message of JSON takes a tenth of a millisecond; one that did not change since is not made again.
    """

    def __init__(self, make: Callable[[Record], dict[str, Any]], most: int = 20_000) -> None:
        self._make = make
        self._most = most
        self._kept: dict[str, tuple[str, int, bytes]] = {}

    def one(self, kind: Any, record: Record) -> bytes:
        """The bytes of a record's message, which is of the plain protobuf class ``kind``."""
        kept = self._kept.get(record.name)
        if kept is not None and kept[:2] == (record.uid, record.revision):
            return kept[2]
        data = serialized(self._make(record), kind)
        if len(self._kept) >= self._most:
            self._kept.clear()
        self._kept[record.name] = (record.uid, record.revision, data)
        return data

    def page(self, response: Any, field: str, page: Page) -> Serialized:
        """A list response, of the plain protobuf class ``response``, with a page of records in its repeated ``field``."""
        message = response(next_page_token=page.next_page_token)
        kind = type(getattr(response(), field).add())
        return joined(message, field, (self.one(kind, record) for record in page))
