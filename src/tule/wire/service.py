"""The base of doors whose API has a gapic package: declare collections, write only the methods that behave.

    class ModelService(Service):
        packages = ("google.cloud.aiplatform_v1",)
        service = "ModelService"
        collections = (Collection("Model", "projects/{project}/locations/{location}/models/{model}",
                                  permission="aiplatform.models", methods=("get", "list", "update"), ...),)

        @rpc(executes=("parent", "model.display_name"), permission="aiplatform.models.upload")
        def upload_model(self, request, call): ...

Methods are plain functions named as the RPC in snake case. They get the request message (the API's own class) and a
``Call``, and return a message, a JSON object of the response's fields, an ``Operation``, an iterator of messages for a
stream, or None for an empty answer. A method that is not written answers UNIMPLEMENTED with its own name.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from tule.kernel.access import Principal
from tule.kernel.errors import AlreadyExists, InvalidArgument, NotFound
from tule.kernel.iam import Policies
from tule.kernel.names import Pattern, numeric_id
from tule.kernel.operations import Operation, Operations, Progress
from tule.kernel.projects import Projects
from tule.kernel.records import Record, Records
from tule.wire.receipts import Receipt
from tule.wire.surfaces import Method, ServiceSurface, Surface, pb, pb_class

_BLINK = 0.25  # seconds


@dataclass(frozen=True)
class Platform:
    """What every gapic door stands on."""

    records: Records
    operations: Operations
    projects: Projects
    policies: Policies


@dataclass
class Call:
    """One call: who asks, of which method, by which way."""

    principal: Principal
    method: Method
    platform: Platform
    host: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def start(
        self,
        parent: str,
        work: Callable[[Progress], dict[str, Any] | None],
        *,
        metadata: dict[str, Any] | None = None,
        target: str = "",
    ) -> Operation:
        """Start the long-running work of this method under ``parent``; answer with what this returns.

        ``metadata`` and the work's result are JSON objects of the method's metadata and response messages; their types
        are those that the client package names. The result {} answers an empty response.

        Work that ends in a blink is answered done: a client asks again only after up to a second.
        """
        assert self.method.operation is not None, f"{self.method.full_name} is not long-running"
        response, about = self.method.operation
        typed = _typed(about, metadata or {}) if about is not None else {}
        operations = self.platform.operations
        started = operations.start(
            parent,
            lambda progress: _typed(response, work(progress) or {}),
            kind=self.method.full_name,
            metadata=typed,
            response_type=pb_class(response).DESCRIPTOR.full_name,
            target=target,
        )
        return started if self.platform.records.in_transaction else operations.wait(started.name, _BLINK)


def _typed(kind: Any, body: dict[str, Any]) -> dict[str, Any]:
    """A JSON object as Any: with the type of its message, checked to be of that message."""
    from google.protobuf import json_format

    plain = {key: value for key, value in body.items() if key != "@type" and not key.startswith("_")}
    message = json_format.ParseDict(plain, pb_class(kind)(), ignore_unknown_fields=True)
    name = message.DESCRIPTOR.full_name
    return {"@type": f"type.googleapis.com/{name}", **json_format.MessageToDict(message)}


@dataclass(frozen=True)
class Rpc:
    """What ``@rpc`` declares of a method."""

    receipt: Receipt
    permission: str


Function = TypeVar("Function", bound=Callable[..., Any])


def rpc(
    *, permission: str, executes: tuple[str, ...] = (), stores: tuple[str, ...] = ()
) -> Callable[[Function], Function]:
    """Declare a method's permission and its receipt: the request fields it executes and those it only stores."""

    def mark(function: Function) -> Function:
        function.__dict__["rpc"] = Rpc(Receipt(executes, stores), permission)
        return function

    return mark


STANDARD = ("get", "list", "create", "update", "delete")


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


@dataclass(frozen=True)
class Handler:
    """One entry of the handler table: a method with what answers it."""

    method: Method
    call: Callable[[Any, Call], Any]
    receipt: Receipt
    permission: str
    service: Service


FastPath = Callable[["FastRequest"], Awaitable[bytes | None]]


@dataclass(frozen=True)
class FastRequest:
    """A request on the short way: already authenticated, its body unread by anybody else."""

    name: str
    """The resource in the path, project numbers as they came."""
    body: bytes
    headers: Mapping[bytes, bytes]
    principal: Principal


class Service:
    """Base of a gapic door. ``packages``: the client packages that describe it (v1 and v1beta1 may share one door).

    ``fast`` may map a method's Python name to an async function that answers a REST call in the event loop, before any
    message is built; None means: take the ordinary way.
    """

    packages: ClassVar[tuple[str, ...]] = ()
    service: ClassVar[str] = ""
    collections: ClassVar[tuple[Collection, ...]] = ()

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    @property
    def fast(self) -> Mapping[str, FastPath]:
        return {}

    def handlers(self, surface: Surface) -> dict[str, Handler]:
        """Method path -> handler, for the methods that this door has in one of its packages."""
        described = surface.service(self.service)
        found: dict[str, Handler] = {}
        for collection in self.collections:
            for handler in Standard(self, collection, described).handlers():
                found[handler.method.path] = handler
        for python, function in inspect.getmembers(self, inspect.ismethod):
            declared = getattr(function, "rpc", None)
            if declared is None:
                continue
            method = described.by_python(python)
            if method is None:
                # A method of another version of the API.
                continue
            found[method.path] = Handler(method, function, declared.receipt, declared.permission, self)
        return found


class Standard:
    """The standard methods of one collection, over records."""

    def __init__(self, service: Service, collection: Collection, surface: ServiceSurface) -> None:
        self._service = service
        self._collection = collection
        self._pattern = Pattern(collection.pattern)
        self._methods = _standard_methods(surface, collection)

    @property
    def _records(self) -> Records:
        return self._service.platform.records

    def handlers(self) -> Iterable[Handler]:
        collection, below = self._collection, self._collection.field
        own = tuple(f"{below}.{each}" for each in (*collection.executes, "name", "etag", "labels.*", "labels"))
        stored = tuple(f"{below}.{each}" for each in collection.stores)
        receipts = {
            "get": Receipt(("name",)),
            "list": Receipt(("parent", "filter", "order_by", "page_size", "page_token")),
            "create": Receipt(("parent", f"{below}_id", *own), stored),
            "update": Receipt(("update_mask", *own), stored),
            "delete": Receipt(("name", "etag")),
        }
        for verb in collection.methods:
            method = self._methods.get(verb)
            if method is not None:
                permission = f"{collection.permission}.{verb}"
                yield Handler(method, getattr(self, verb), receipts[verb], permission, self._service)

    # -- the methods, in Google's order

    def get(self, request: Any, call: Call) -> dict[str, Any]:
        self._pattern.parse(request.name)
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
            page_size=getattr(request, "page_size", 0),
            page_token=getattr(request, "page_token", ""),
        )
        name = _plural_field(call.method, self._collection.type)
        return {name: [resource(record) for record in page.records], "nextPageToken": page.next_page_token}

    def create(self, request: Any, call: Call) -> Any:
        from google.protobuf import json_format

        parent = self._pattern.parent
        assert parent is not None
        parent.parse(request.parent)
        given = getattr(request, f"{self._collection.field}_id", "") or numeric_id()
        name = f"{request.parent}/{self._pattern.collection}/{given}"
        self._pattern.parse(name)
        body = json_format.MessageToDict(pb(getattr(request, self._collection.field)))
        body["name"] = name
        if call.method.operation is None:
            return resource(self._create(name, body))
        with self._records.transaction():
            if self._records.find(name) is not None:
                raise AlreadyExists("The name must be free", given=name, do="choose another id")
            return call.start(request.parent, lambda _: resource(self._create(name, body)), metadata={}, target=name)

    def _create(self, name: str, body: dict[str, Any]) -> Record:
        return self._records.create(self._collection.kind, name, body)

    def update(self, request: Any, call: Call) -> Any:
        from google.protobuf import json_format

        message = pb(getattr(request, self._collection.field))
        self._find(message.name)
        body = json_format.MessageToDict(message)
        paths = list(pb(request).update_mask.paths) or [each.name for each, _ in message.ListFields()]
        mask = [path for path in paths if path not in ("name", "etag")]
        if not mask:
            raise InvalidArgument("update_mask must name a field to change", given=", ".join(paths) or "none")
        etag = getattr(message, "etag", "") or None
        return resource(self._records.update(message.name, body, mask=mask, etag=etag))

    def delete(self, request: Any, call: Call) -> Any:
        self._find(request.name)
        etag = getattr(request, "etag", "") or None
        if call.method.operation is None:
            self._records.delete(request.name, etag=etag)
            return None

        def work(_: Progress) -> None:
            self._records.delete(request.name, etag=etag)

        parent = self._pattern.parent_of(request.name)
        return call.start(parent, work, metadata={}, target=request.name)

    def _find(self, name: str) -> Record:
        self._pattern.parse(name)
        record = self._records.find(name)
        if record is None or record.kind != self._collection.kind:
            raise NotFound(f"The {self._collection.type} must exist", given=name)
        return record


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
