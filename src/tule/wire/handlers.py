"""The one handler table: every method of every door, found by gRPC path or by HTTP verb, host and path.

Doors are built when they are first needed, so that a server starts without any API's messages.
"""

from __future__ import annotations

import contextlib
import functools
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tule.kernel.access import Access, Principal
from tule.kernel.errors import InvalidArgument, NotFound, PermissionDenied, Unimplemented
from tule.wire import names
from tule.wire.calls import Call, Handler, Platform
from tule.wire.door import BoundRoute, Door, match
from tule.wire.fields import missing
from tule.wire.mixins import mixin_handlers
from tule.wire.receipts import message_paths
from tule.wire.service import FastPath, Service
from tule.wire.surfaces import HttpRule, Method, Surface

_REGION = re.compile(r"^(?:[a-z]+-[a-z]+\d+|us|eu)-(?=[a-z])")


@dataclass(frozen=True)
class Api:
    """A gapic API: the packages that describe it, the Google host that serves it, and what its permissions begin with."""

    host: str
    packages: tuple[str, ...]
    product: str


class Once:
    """A factory that runs once, on the first call of any thread."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: Any = None

    def __call__(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made


class HandlerTable:
    """Services and doors by how clients ask for them. Registration happens in ``app.py``, before the server listens."""

    def __init__(self, platform: Platform, access: Access) -> None:
        self.platform = platform
        self.access = access
        self._surfaces: dict[str, Surface] = {}
        self._apis: list[Api] = []
        self._services: dict[tuple[str, str], list[Once]] = {}
        self._doors: list[tuple[frozenset[str], tuple[str, ...], Once]] = []
        self._lock = threading.RLock()
        self._handlers: dict[tuple[str, str], dict[str, Handler]] = {}
        self._http: dict[str, list[tuple[HttpRule, Handler]]] = {}

    # -- registration

    def add_api(self, host: str, packages: tuple[str, ...], product: str = "") -> None:
        """Serve a gapic API on ``host`` and its regional names; methods without a door answer UNIMPLEMENTED.

        ``product``: what its permissions begin with, where that is not what the host does.
        """
        self._apis.append(Api(host, packages, product or host.partition(".")[0]))
        for package in packages:
            self._surfaces[package] = Surface(package)

    def add_service(self, packages: tuple[str, ...], service: str, make: Callable[[], Service]) -> None:
        """Let the door that ``make`` builds answer ``service`` of these packages (of an API added before).

        Where a service of Google's is about several capabilities, each room that has one adds a door with its methods.
        """
        once = Once(make)
        for package in packages:
            self._services.setdefault((package, service), []).append(once)

    def add_door(self, hosts: tuple[str, ...], prefixes: tuple[str, ...], make: Callable[[], Door]) -> None:
        """Let a JSON door answer these hosts, and on loopback names the paths with these prefixes.

        A host ``*.example.com`` stands for the names below it, of those that no door serves by name.
        """
        self._doors.append((frozenset(hosts), prefixes, Once(make)))

    # -- gapic

    def by_grpc_path(self, path: str) -> Handler:
        """The handler of ``/package.Service/Method``; Unimplemented names a method that has none."""
        if handler := self._mixins.get(path):
            return handler
        service, _, method = path.strip("/").rpartition("/")
        package_name, _, name = service.rpartition(".")
        for package, surface in self._surfaces.items():
            if surface.proto_package == package_name and name in surface.services:
                handler = self._service_handlers(package, name).get(path)
                if handler is not None:
                    return handler
                raise unimplemented(f"{name}.{method}")
        raise Unimplemented(f"Tule does not serve {service or path}", do="see docs/coverage.md for what it serves")

    def by_http(self, host: str, verb: str, path: str) -> tuple[Handler, HttpRule, dict[str, str]]:
        """The handler, rule and path fields of a REST call, whose path is not decoded."""
        packages = self._packages(host, path)
        for package in packages:
            for rule, handler in self._rules(package):
                if (found := rule.match(verb, path)) is not None:
                    return handler, rule, found
        if packages:
            for rule, handler in self._mixin_rules:
                if (found := rule.match(verb, path)) is not None:
                    # One of the stored operations may be read, whose types must be known.
                    for package in packages:
                        self.load_types(package)
                    return handler, rule, found
        for package in packages:
            if (method := self._surfaces[package].method_at(verb, path)) is not None:
                raise unimplemented(f"{method.service.rpartition('.')[2]}.{method.name}")
        raise NotFound(
            f"There is no method at {verb} {path}", given=f"host {host}", do="check the path and its version"
        )

    def _packages(self, host: str, path: str) -> list[str]:
        """The packages that a REST call may belong to: by host, and by the version that the path begins with."""
        name = _REGION.sub("", host)
        google = host.endswith(".googleapis.com")
        version = path.split("/")[1] if path.count("/") else ""
        return [
            package
            for api in self._apis
            if api.host == name or not google
            for package in api.packages
            if version in (package.rsplit("_", 1)[-1], "ui")
        ]

    def _rules(self, package: str) -> list[tuple[HttpRule, Handler]]:
        """The HTTP rules of the doors of a package, the most literal first."""
        with self._lock:
            if package not in self._http:
                names = [name for name in self._surfaces[package].services if (package, name) in self._services]
                self._http[package] = by_generality(
                    each for name in names for each in self._service_handlers(package, name).values()
                )
            return self._http[package]

    def load_types(self, package: str) -> None:
        """Import the messages of an API before one of its stored operations is read."""
        for name in self._surfaces[package].services:
            if (package, name) in self._services:
                self._service_handlers(package, name)

    def load_types_of(self, type_url: str) -> None:
        """Import the package that a stored ``@type`` belongs to."""
        full = type_url.rpartition("/")[2]
        for package, surface in self._surfaces.items():
            if full.startswith(surface.proto_package + "."):
                self.load_types(package)

    def _service_handlers(self, package: str, name: str) -> dict[str, Handler]:
        key = (package, name)
        with self._lock:
            if key not in self._handlers:
                found: dict[str, Handler] = {}
                for once in self._services.get(key, ()):
                    door = once().handlers(self._surfaces[package])
                    if twice := found.keys() & door.keys():
                        raise ValueError(f"Two doors answer {sorted(twice)[0]}")
                    found |= door
                self._handlers[key] = found
            return self._handlers[key]

    @functools.cached_property
    def _mixins(self) -> dict[str, Handler]:
        return mixin_handlers(self.platform, self)

    @functools.cached_property
    def _mixin_rules(self) -> list[tuple[HttpRule, Handler]]:
        return by_generality(self._mixins.values())

    def invoke(self, handler: Handler, message: Any, principal: Principal, **about: Any) -> Any:
        """Check permission and receipt, then call the door; the one way in of both carriers."""
        return handler.call(
            self._admitted(handler, message, principal), Call(principal, handler.method, self.platform, **about)
        )

    def converse(self, handler: Handler, messages: Iterator[Any], principal: Principal, **about: Any) -> Any:
        """``invoke`` for a stream of requests: the door gets an iterator, each request is checked when it comes."""

        def admitted() -> Iterator[Any]:
            resource = ""
            for place, message in enumerate(messages):
                # A later request that names no resource is about the one named last: only the first must be whole.
                resource = names.about(message) or resource
                yield self._admitted(handler, message, principal, resource, whole=place == 0)

        return handler.call(admitted(), Call(principal, handler.method, self.platform, **about))

    def check(self, principal: Principal, permission: str, resource: str) -> None:
        """Raise PermissionDenied unless the caller has the permission on the resource.

        ``*.operations.get`` is that of the product whose the operation is; of something else, that of any product.
        """
        if principal.owner or not permission.startswith("*."):
            self.access.check(principal, permission, resource)
            return
        wanted = [product + permission[1:] for product in self._products(resource)]
        for each in wanted[:-1]:
            with contextlib.suppress(PermissionDenied):
                self.access.check(principal, each, resource)
                return
        self.access.check(principal, wanted[-1], resource)

    def _products(self, resource: str) -> list[str]:
        """The product whose method began an operation; all of them for anything else."""
        try:
            began = self.platform.operations.get(resource).kind
        except NotFound:
            began = ""
        found = {
            api.product
            for api in self._apis
            for package in api.packages
            if began.startswith(f"{self._surfaces[package].proto_package}.")
        }
        return sorted(found or {api.product for api in self._apis}, reverse=True)

    def _admitted(
        self, handler: Handler, message: Any, principal: Principal, resource: str = "", *, whole: bool = True
    ) -> Any:
        """A request as its door takes it, after permission (on what it names, else ``resource``) and receipt."""
        projects, receipt = self.platform.projects, handler.receipt
        names.with_ids(message, projects.find)
        resource = names.about(message) or resource
        self.check(principal, handler.permission, resource)
        for other in names.elsewhere(message, resource):
            self.check(principal, handler.permission, other)
        receipt.check(handler.method.name, message_paths(message, whole=receipt.whole))
        if whole:
            _check_given(handler.method, message)
        if project := names.project_of(resource):
            projects.resolve(project)
        kind = handler.method.request
        return kind.wrap(message) if hasattr(kind, "wrap") else message

    # -- everything there is, for the docs and for tests; loads all packages

    @property
    def apis(self) -> list[Api]:
        return list(self._apis)

    def services_of(self, package: str) -> dict[str, dict[str, Handler]]:
        """The services of a package that have a door, with their handlers by method path."""
        names = [name for name in self._surfaces[package].services if (package, name) in self._services]
        return {name: self._service_handlers(package, name) for name in names}

    def surface(self, package: str) -> Surface:
        return self._surfaces[package]

    def shared_handlers(self) -> list[Handler]:
        """The methods that all APIs have in common."""
        return list(self._mixins.values())

    def doors(self) -> Iterator[tuple[frozenset[str], tuple[str, ...], Door]]:
        """The JSON doors with the hosts and path prefixes that lead to them."""
        for hosts, prefixes, once in self._doors:
            yield hosts, prefixes, once()

    # -- JSON doors

    def door_route(self, host: str, verb: str, path: str) -> tuple[Door, BoundRoute, dict[str, str]] | None:
        """The JSON route of a call; None when no door has such a path."""
        named = host.endswith(".googleapis.com") or any(_serves(hosts, host) for hosts, _, _ in self._doors)
        for hosts, prefixes, once in self._doors:
            if _serves(hosts, host) if named else path.startswith(prefixes):
                door = once()
                found = match(_routes(door), verb, path)
                if found is not None:
                    return door, *found
        return None

    def door_for(self, host: str, path: str) -> Door | None:
        """The door of a host (or path on loopback) whatever the route: it words the errors."""
        for hosts, prefixes, once in self._doors:
            if _serves(hosts, host) or (not host.endswith(".googleapis.com") and path.startswith(prefixes)):
                door: Door = once()
                return door
        return None

    # -- the short way

    def fast(self, package: str, service: str) -> dict[str, FastPath]:
        """The fast paths of a service; builds its doors."""
        return {name: path for once in self._services.get((package, service), ()) for name, path in once().fast.items()}


def _serves(hosts: frozenset[str], host: str) -> bool:
    return host in hosts or any(name.startswith("*.") and host.endswith(name[1:]) for name in hosts)


@functools.lru_cache(maxsize=64)
def _routes(door: Door) -> list[BoundRoute]:
    return door.routes()


def by_generality(handlers: Iterable[Handler]) -> list[tuple[HttpRule, Handler]]:
    """The HTTP rules of handlers, those with fewer wildcards first: a path may fit more than one."""
    rules = [(rule, handler) for handler in handlers for rule in handler.method.http]
    return sorted(rules, key=lambda pair: pair[0].generality)


def _check_given(method: Method, message: Any) -> None:
    """Raise InvalidArgument for a text or message that the API requires and the request lacks."""
    if lacking := missing(message):
        raise InvalidArgument(f"{method.name} must be given {lacking[0]}", given="none")


def unimplemented(method: str) -> Unimplemented:
    return Unimplemented(f"Tule does not do {method} yet", do="see docs/coverage.md for what it does")
