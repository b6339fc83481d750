"""One call of a gapic method: who asks, what a door declares of it, and the entry of the handler table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tule.kernel.access import Principal
from tule.kernel.iam import Policies
from tule.kernel.operations import Operation, Operations, Progress
from tule.kernel.projects import Projects
from tule.kernel.records import Records
from tule.wire.receipts import Receipt
from tule.wire.surfaces import Method, pb_class

if TYPE_CHECKING:
    from tule.wire.service import Service

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


@dataclass(frozen=True)
class Handler:
    """One entry of the handler table: a method with what answers it."""

    method: Method
    call: Callable[[Any, Call], Any]
    receipt: Receipt
    permission: str
    service: Service
