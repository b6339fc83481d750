"""The standard methods of a kind of resource over records: Get, List, Create, Update, Delete (https://google.aip.dev/130).

Google's message is the record: what a request sends is stored as its JSON, less what the API fills in itself; answers are
the record with its name, times and etag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tule.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Unimplemented
from tule.kernel.labels import check_labels
from tule.kernel.names import Pattern, numeric_id
from tule.kernel.operations import Progress
from tule.kernel.records import Record, Records
from tule.wire.calls import Call, Handler
from tule.wire.fields import behaviours, missing, without_output_only
from tule.wire.receipts import Receipt
from tule.wire.surfaces import Method, ServiceSurface, pb, pb_class
from tule.wire.transcode import to_dict

if TYPE_CHECKING:
    from tule.wire.service import Service

STANDARD = ("get", "list", "create", "update", "delete")
_PAGE, _LARGEST_PAGE = 100, 1000
# Parents that exist by being named.
_GIVEN_PARENTS = ("projects", "locations")
# Records below a resource that are about it, not in it.
_ABOUT = ("iamPolicy", "operation")


@dataclass(frozen=True)
class Collection:
    """A kind of resource with its standard methods (AIP 131-135), stored as records.

    ``type``: the message's name, ``Endpoint``. ``pattern``: of its resource name. ``permission``: prefix of the
    methods' permissions. ``executes``, ``stores``: fields of the resource for create and update. ``methods``: which of the
    standard methods the door has without writing them.
    """

    type: str
    pattern: str
    permission: str
    executes: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    methods: tuple[str, ...] = STANDARD

    @property
    def kind(self) -> str:
        """The kind of its records."""
        return self.type[0].lower() + self.type[1:]

    @property
    def field(self) -> str:
        """The request field that carries the resource: ``deployed_model``."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.type).lower()


class Standard:
    """The standard methods of one collection, over records."""

    def __init__(self, service: Service, collection: Collection, surface: ServiceSurface) -> None:
        self._service = service
        self._collection = collection
        self._pattern = Pattern(collection.pattern)
        self._methods = _standard_methods(surface, collection)
        self._receipts = _receipts(collection)

    @property
    def _records(self) -> Records:
        return self._service.platform.records

    def handlers(self) -> Iterable[Handler]:
        for verb in self._collection.methods:
            method = self._methods.get(verb)
            if method is not None:
                permission = f"{self._collection.permission}.{verb}"
                yield Handler(method, getattr(self, verb), self._receipts[verb], permission, self._service)

    # -- the methods, in Google's order

    def get(self, request: Any, call: Call) -> dict[str, Any]:
        return resource(self._find(request.name))

    def list(self, request: Any, call: Call) -> dict[str, Any]:
        parent = self._pattern.parent
        if parent is not None:
            parent.parse(request.parent)
        page = self._records.list(
            self._collection.kind,
            getattr(request, "parent", None),
            filter=getattr(request, "filter", ""),
            order_by=getattr(request, "order_by", ""),
            page_size=min(getattr(request, "page_size", 0) or _PAGE, _LARGEST_PAGE),
            page_token=getattr(request, "page_token", ""),
        )
        name = _plural_field(call.method, self._collection.type)
        return {name: [resource(record) for record in page.records], "nextPageToken": page.next_page_token}

    def create(self, request: Any, call: Call) -> Any:
        field = self._collection.field
        given = pb(getattr(request, field))
        if lacking := missing(given):
            raise InvalidArgument(f"{call.method.name} must be given {field}.{lacking[0]}", given="none")
        self._check_parent(request.parent)
        name = f"{request.parent}/{self._pattern.collection}/{getattr(request, f'{field}_id', '') or numeric_id()}"
        self._pattern.parse(name)
        body = {**_body(given), "name": name}
        if call.method.operation is None:
            return resource(self._create(name, body))
        if self._records.find(name) is not None:
            raise AlreadyExists("The name must be free", given=name, do="choose another id")
        return call.start(request.parent, lambda _: resource(self._create(name, body)), metadata={}, target=name)

    def update(self, request: Any, call: Call) -> Any:
        message = pb(getattr(request, self._collection.field))
        name, etag = self._find(message.name).name, getattr(message, "etag", "") or None
        mask = self._mask(message, list(pb(request).update_mask.paths))
        body = _body(message)
        if call.method.operation is None:
            return resource(self._records.update(name, body, mask=mask, etag=etag))

        def work(_: Progress) -> dict[str, Any]:
            return resource(self._records.update(name, body, mask=mask, etag=etag))

        return call.start(self._pattern.parent_of(name), work, metadata={}, target=name)

    def delete(self, request: Any, call: Call) -> Any:
        name, etag = self._find(request.name).name, getattr(request, "etag", "") or None
        if call.method.operation is None:
            self._delete(name, etag)
            return None

        def work(_: Progress) -> None:
            self._delete(name, etag)

        return call.start(self._pattern.parent_of(name), work, metadata={}, target=name)

    # -- on records

    def _find(self, name: str) -> Record:
        self._pattern.parse(name)
        record = self._records.find(name)
        if record is None or record.kind != self._collection.kind:
            raise NotFound(f"The {self._collection.type} must exist", given=name)
        return record

    def _check_parent(self, name: str) -> None:
        parent = self._pattern.parent
        assert parent is not None
        parent.parse(name)
        if name.split("/")[-2] not in _GIVEN_PARENTS and self._records.find(name) is None:
            raise NotFound(f"The parent of a {self._collection.type} must exist", given=name, do="create it first")

    def _create(self, name: str, body: dict[str, Any]) -> Record:
        return self._records.create(self._collection.kind, name, body)

    def _delete(self, name: str, etag: str | None) -> None:
        with self._records.transaction():
            inside = self._records.first_under(name, besides=_ABOUT)
            if inside is not None:
                raise FailedPrecondition(
                    f"A {self._collection.type} must be empty to be deleted",
                    given=f"{name}, which has {inside.name}",
                    do="delete what is inside first",
                )
            self._records.delete(name, etag=etag)
            self._service.platform.policies.forget(name)

    def _mask(self, message: Any, paths: Sequence[str]) -> Sequence[str]:
        """The fields that an update changes: those of its mask, else those that are set, but never what is filled in."""
        descriptor, receipt = message.DESCRIPTOR, self._receipts["update"]
        fixed = behaviours(descriptor).output_only | {"name", "etag"}
        if paths == ["*"]:
            paths = [each.name for each in descriptor.fields if receipt.covers(f"{self._collection.field}.{each.name}")]
        elif not paths:
            paths = [each.name for each, _ in message.ListFields()]
        for path in paths:
            if not _is_field(descriptor, path):
                raise InvalidArgument(f"update_mask must name fields of {descriptor.name}", given=path)
            if not receipt.covers(f"{self._collection.field}.{path}"):
                raise Unimplemented(
                    f"Tule does not change {path} of {descriptor.name}", do="leave it out of update_mask"
                )
        kept = [path for path in paths if path.split(".")[0] not in fixed]
        if not kept:
            raise InvalidArgument("update_mask must name a field to change", given=", ".join(paths) or "none")
        return kept


def resource(record: Record) -> dict[str, Any]:
    """A record as its message's JSON: with name, times and etag, without what is private (``_tule``)."""
    body = {key: value for key, value in record.body.items() if not key.startswith("_")}
    body["name"] = record.name
    body["createTime"] = timestamp(record.create_time)
    body["updateTime"] = timestamp(record.update_time)
    body["etag"] = record.etag
    return body


def timestamp(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


def _body(message: Any) -> dict[str, Any]:
    """What of a resource is stored: the caller's own fields. Name and etag are the store's."""
    body = to_dict(without_output_only(message))
    check_labels(body.get("labels", {}))
    return {key: value for key, value in body.items() if key not in ("name", "etag")}


def _is_field(descriptor: Any, path: str) -> bool:
    """Whether a mask's path leads to a field; what follows a map's name is a key."""
    head, _, rest = path.partition(".")
    field = descriptor.fields_by_name.get(head) if descriptor is not None else None
    if field is None:
        return False
    kind = field.message_type
    return not rest or (kind is not None and (kind.GetOptions().map_entry or _is_field(kind, rest)))


def _receipts(collection: Collection) -> dict[str, Receipt]:
    below = collection.field
    own = tuple(f"{below}.{each}" for each in (*collection.executes, "name", "etag", "labels.*"))
    stored = tuple(f"{below}.{each}" for each in collection.stores)
    return {
        "get": Receipt(("name",)),
        "list": Receipt(("parent", "filter", "order_by", "page_size", "page_token")),
        "create": Receipt(("parent", f"{below}_id", *own), stored),
        "update": Receipt(("update_mask", *own), stored),
        "delete": Receipt(("name", "etag")),
    }


def _standard_methods(surface: ServiceSurface, collection: Collection) -> dict[str, Method]:
    """verb -> RPC, found by the names that the AIPs give them."""
    found = {}
    for verb in ("get", "create", "update", "delete"):
        method = surface.methods.get(f"{verb.capitalize()}{collection.type}")
        if method is not None:
            found[verb] = method
    for name, method in surface.methods.items():
        if name.startswith("List") and _plural_field(method, collection.type):
            found["list"] = method
    return found


def _plural_field(method: Method, message: str) -> str:
    """The JSON name of the repeated field of a list response that holds messages of this name, or ''."""
    for each in pb_class(method.response).DESCRIPTOR.fields:
        if each.message_type is not None and each.is_repeated and each.message_type.name == message:
            return str(each.json_name)
    return ""
