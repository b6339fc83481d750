"""The method table of an API, derived from its official client package: nothing is typed in.

Every package of the generated ("gapic") generation says the same things in the same places: ``gapic_metadata.json``
names services and methods, the gRPC transport knows paths and message types, ``rest_base.py`` knows the HTTP rules, and
the client's source tells what a long-running operation ends in. A package is imported when one of its services is first
asked for: the largest takes half a second and 90 MB.

>>> surface = Surface("google.cloud.language_v2")
>>> surface.service("LanguageService").methods["AnalyzeSentiment"].path
'/google.cloud.language.v2.LanguageService/AnalyzeSentiment'
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import unquote

from tule.kernel.errors import InvalidArgument, NotFound, Unimplemented

UNARY, SERVER_STREAM, CLIENT_STREAM, BOTH_STREAM = "unary_unary", "unary_stream", "stream_unary", "stream_stream"


def _variables(template: str) -> list[tuple[str, str]]:
    """The fields of a path template and their shapes ('' for one segment)."""
    found = (part.partition("=") for part in re.findall(r"\{([^}]+)\}", template))
    return [(name, shape) for name, _, shape in found]


def _shape(shape: str, *, at_end: bool) -> str:
    """A field's shape as an expression. ``at_end``: a colon in the last segment begins a verb, so it is no part of it."""
    *first, last = shape.split("/")
    text = "".join({"**": "(?:[^/]+/)*", "*": "[^/]+/"}.get(each, re.escape(each) + "/") for each in first)
    one = "[^/:]+" if at_end else "[^/]+"
    return text + {"**": f"(?:[^/]+/)*{one}", "*": one}.get(last, re.escape(last))


def _decoded(value: str, *, single: bool) -> str:
    try:
        if single:
            return unquote(value, errors="strict")
        return "%2F".join(unquote(part, errors="strict") for part in re.split("%2[Ff]", value))
    except UnicodeDecodeError:
        raise InvalidArgument("A path must be UTF-8, percent-encoded", given=value[:100]) from None


@dataclass(frozen=True)
class HttpRule:
    """One way to call a method over HTTP (google.api.http): verb, path template, and the field that is the body."""

    verb: str
    template: str
    body: str | None

    @cached_property
    def _fields(self) -> tuple[tuple[str, bool], ...]:
        """The path's fields in order: dotted name, and whether the field is a single segment."""
        return tuple((name, "/" not in (shape or "*") and shape != "**") for name, shape in _variables(self.template))

    @property
    def generality(self) -> tuple[int, int]:
        """Order among rules that one path fits: the less is left open, the sooner."""
        return (self.template.count("**"), self.template.count("*") + len(re.findall(r"\{[\w.]+\}", self.template)))

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The template as an expression over an undecoded path, with a group for each field."""
        text, parts = "", re.split(r"(\{[^}]+\})", self.template)
        for index, part in enumerate(parts):
            if part.startswith("{"):
                shape = part[1:-1].partition("=")[2] or "*"
                text += f"({_shape(shape, at_end=not parts[index + 1])})"
            else:
                text += re.escape(part)
        return re.compile(text)

    def match(self, verb: str, path: str) -> dict[str, str] | None:
        """The decoded fields of an undecoded path by dotted name, or None.

        As google.api.http has it, an encoded slash is a slash in a field of one segment and stays encoded in longer ones.
        """
        if verb != self.verb:
            return None
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        return {
            name: _decoded(value, single=single)
            for (name, single), value in zip(self._fields, found.groups(), strict=True)
        }


@dataclass(frozen=True)
class Method:
    """One RPC."""

    service: str
    """Full name: ``google.cloud.aiplatform.v1.EndpointService``."""
    name: str
    """``DeployModel``; the door's method is ``deploy_model``."""
    python: str
    streaming: str
    request: Any
    """The request class: proto-plus or plain protobuf."""
    response: Any
    http: tuple[HttpRule, ...]
    operation: tuple[Any, Any] | None = None
    """For a long-running method: the classes of its response and of its metadata."""

    @property
    def path(self) -> str:
        return f"/{self.service}/{self.name}"

    @property
    def full_name(self) -> str:
        return f"{self.service}/{self.name}"


@dataclass(frozen=True)
class ServiceSurface:
    """One service of a package."""

    full_name: str
    methods: dict[str, Method]

    def by_python(self, name: str) -> Method | None:
        return next((each for each in self.methods.values() if each.python == name), None)


def pb_class(kind: Any) -> Any:
    """The plain protobuf class of a message class of either kind."""
    return kind.pb() if hasattr(kind, "pb") else kind


def pb(message: Any) -> Any:
    """The plain protobuf message under a message of either kind."""
    return type(message).pb(message) if hasattr(type(message), "pb") else message


@dataclass
class _Recorder:
    """Stands in for a channel: making a stub records its path and kind."""

    made: list[tuple[str, str]] = field(default_factory=list)

    def __getattr__(self, streaming: str) -> Callable[..., Any]:
        def stub(path: str, **_: Any) -> Any:
            self.made.append((streaming, path))
            return stub

        return stub


class Surface:
    """The API of one client package, loaded service by service."""

    def __init__(self, package: str) -> None:
        self.package = package

    @cached_property
    def folder(self) -> Path:
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise Unimplemented(
                f"The client package {self.package} must be installed for its API to be served",
                do=f"pip install {self.package.replace('.', '-').rsplit('_', 1)[0]}",
            )
        return Path(next(iter(spec.submodule_search_locations)))

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """``gapic_metadata.json``: cheap, no import of the package's messages."""
        found: dict[str, Any] = json.loads((self.folder / "gapic_metadata.json").read_text())
        return found

    @property
    def proto_package(self) -> str:
        """``google.cloud.aiplatform.v1``."""
        return str(self.metadata["protoPackage"])

    @property
    def services(self) -> list[str]:
        return list(self.metadata["services"])

    @cached_property
    def _loaded(self) -> dict[str, ServiceSurface]:
        return {}

    def service(self, name: str) -> ServiceSurface:
        """The method table of one service; imports the package the first time."""
        if name not in self._loaded:
            if name not in self.metadata["services"]:
                raise NotFound(f"{self.package} must have the service {name}", given=", ".join(self.services))
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def method_at(self, verb: str, path: str) -> Method | None:
        """The method of a REST call, also one that nobody serves; imports the whole package the first time."""
        fits = ((rule, method) for rule, method in self._rules_of_all if rule.match(verb, path) is not None)
        return next((method for _, method in fits), None)

    @cached_property
    def _rules_of_all(self) -> list[tuple[HttpRule, Method]]:
        methods = (method for name in self.services for method in self.service(name).methods.values())
        return sorted(((rule, each) for each in methods for rule in each.http), key=lambda pair: pair[0].generality)

    def _load(self, name: str) -> ServiceSurface:
        clients = self.metadata["services"][name]["clients"]
        rpcs = {rpc: entry["methods"][0] for rpc, entry in clients["grpc"]["rpcs"].items()}
        module = f"{self.package}.services.{_snake(name)}"
        transport = _class(importlib.import_module(f"{module}.transports.grpc"), f"{name}GrpcTransport")
        rules = self._rules(module, name) if "rest" in clients else {}
        operations = _operations(importlib.import_module(f"{module}.client"))
        methods = {}
        for rpc, python in rpcs.items():
            recorder = _Recorder()
            getattr(transport, python).fget(SimpleNamespace(_stubs={}, _logged_channel=recorder, grpc_channel=recorder))
            ((streaming, path),) = recorder.made
            request, response = _types(transport, python)
            methods[rpc] = Method(
                service=path.strip("/").split("/")[0],
                name=rpc,
                python=python,
                streaming=streaming,
                request=request,
                response=response,
                http=rules.get(rpc, ()),
                operation=operations.get(python),
            )
        return ServiceSurface(f"{self.proto_package}.{name}", methods)

    def _rules(self, module: str, name: str) -> dict[str, tuple[HttpRule, ...]]:
        base = _class(importlib.import_module(f"{module}.transports.rest_base"), f"_Base{name}RestTransport")
        found = {}
        for attribute, holder in vars(base).items():
            if attribute.startswith("_Base") and hasattr(holder, "_get_http_options"):
                options = holder._get_http_options()
                found[attribute.removeprefix("_Base")] = tuple(
                    HttpRule(each["method"].upper(), each["uri"], each.get("body")) for each in options
                )
        return found


def _class(module: ModuleType, name: str) -> Any:
    return getattr(module, name)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _types(transport: Any, python: str) -> tuple[Any, Any]:
    """Request and response classes, from the annotation of the transport's property."""
    made = typing.get_type_hints(getattr(transport, python).fget)["return"]
    (request,), response = typing.get_args(made)
    alternatives = typing.get_args(response)  # Union[X, Awaitable[X]] on base transports
    return request, alternatives[0] if alternatives else response


def _operations(client: ModuleType) -> dict[str, tuple[Any, Any]]:
    """Python method name -> (response class, metadata class) of every ``from_gapic`` call in a client's source."""
    tree = ast.parse(Path(str(client.__file__)).read_text())
    found = {}
    for function in _functions(tree):
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".from_gapic"):
                words = {word.arg: word.value for word in node.keywords}
                metadata = words.get("metadata_type")
                found[function.name] = (_resolve(client, node.args[2]), metadata and _resolve(client, metadata))
    return found


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node


def _resolve(module: ModuleType, node: ast.expr) -> Any:
    value: Any = module
    for name in ast.unparse(node).split("."):
        value = getattr(value, name)
    return value
