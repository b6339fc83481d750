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
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from tule.kernel.access import Principal
from tule.wire.calls import Call, Handler, Platform, rpc
from tule.wire.standard import Collection, Standard
from tule.wire.surfaces import Surface

__all__ = ["Call", "Collection", "FastPath", "FastRequest", "Handler", "Platform", "Service", "rpc"]

FastPath = Callable[["FastRequest"], "bytes | Awaitable[bytes] | None"]


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

    ``fast`` may map a method's Python name to a function that answers a REST call in the event loop, before any message
    is built: with the JSON of the answer where that is made at once, with something to wait for where it is not, with
    None where the request is to take the ordinary way.
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
