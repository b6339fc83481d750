"""The base of doors whose API has no gapic package: BigQuery, Cloud Storage, token and metadata endpoints.

A door lists its routes with ``@route``; each declares its permission and its receipt. Methods are plain functions: the
carrier runs them on a thread, checks credentials and receipts before, and words errors after.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import unquote

import orjson

from tule.kernel.access import Principal
from tule.kernel.errors import InvalidArgument, TuleError
from tule.wire.bodies import too_large
from tule.wire.errors import body as error_body
from tule.wire.errors import discovery_body, http_status
from tule.wire.receipts import Receipt, json_paths

# Query parameters that every Google API knows; the carrier executes ``fields`` and ``alt``.
COMMON_QUERY = frozenset(
    {"alt", "prettyPrint", "fields", "key", "quotaUser", "userIp", "uploadType", "upload_id", "userProject", "$alt",
     "$.xgafv"}
)  # fmt: skip

JSON = "application/json; charset=UTF-8"
"""The content type of answers."""


@dataclass
class Request:
    """One HTTP request as a door sees it. Header names are lower case; ``params`` are URL-decoded path variables."""

    method: str
    path: str
    params: dict[str, str]
    query_pairs: list[tuple[str, str]]
    headers: Mapping[str, str]
    principal: Principal
    host: str
    base_url: str
    max_body: int
    _chunks: Callable[[], Iterator[bytes]] = field(repr=False)
    _raw_chunks: Callable[[], Iterator[bytes]] = field(repr=False)
    _hand_over: Callable[[Request, float, Callable[[], Any]], None] | None = field(default=None, repr=False)
    _body: bytes | None = field(default=None, repr=False)
    handed_over: bool = False

    def answer_after(self, seconds: float, make: Callable[[], Any]) -> bool:
        """Answer with what ``make`` gives if the method is still at work ``seconds`` from now; it goes on, and what it
        returns then is dropped. False where that cannot be: the method must come back in time by itself."""
        if self._hand_over is None:
            return False
        self.handed_over = True
        self._hand_over(self, seconds, make)
        return True

    @property
    def query(self) -> dict[str, str]:
        """The last value of each query parameter."""
        return dict(self.query_pairs)

    def query_list(self, name: str) -> list[str]:
        return [value for key, value in self.query_pairs if key == name]

    def chunks(self) -> Iterator[bytes]:
        """The body as it arrives, without a size limit. InvalidArgument when the client stops before its end."""
        if self._body is not None:
            yield self._body
        else:
            self._body = b""
            yield from self._chunks()

    def raw_chunks(self) -> Iterator[bytes]:
        """As ``chunks``, but a body with a Content-Encoding stays encoded."""
        self._body = b""
        yield from self._raw_chunks()

    def body(self) -> bytes:
        """The whole body; InvalidArgument beyond ``max_body`` bytes."""
        if self._body is None:
            parts, size = [], 0
            for chunk in self._chunks():
                size += len(chunk)
                if size > self.max_body:
                    raise too_large(self.max_body)
                parts.append(chunk)
            self._body = b"".join(parts)
        return self._body

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; an empty body is an empty object."""
        raw = self.body()
        if not raw.strip():
            return {}
        value = read_json(raw)
        if not isinstance(value, dict):
            raise InvalidArgument("The body must be a JSON object", given=type(value).__name__, reason="parseError")
        return value


# What protobuf's JSON reader allows too; the recursion of whoever reads the value must have an end.
_DEEPEST = 100


def read_json(raw: bytes) -> Any:
    """The value of a JSON text; InvalidArgument with the position of what is wrong, or for one nested too deeply."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(
            "The body must be JSON", given=f"{error}", do="check the bytes at that position", reason="parseError"
        ) from None
    # Only a text with that many brackets can be so deep.
    if raw.count(b"[") + raw.count(b"{") > _DEEPEST:
        level = [value]
        for _ in range(_DEEPEST):
            level = [inner for each in level for inner in _inside(each)]
            if not level:
                return value
        raise InvalidArgument(f"JSON must be nested at most {_DEEPEST} deep", given="more", reason="parseError")
    return value


def _inside(value: Any) -> Iterator[Any]:
    """The lists and objects directly inside a list or object."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return
    for inner in value:
        if isinstance(inner, dict | list):
            yield inner


@dataclass
class Reply:
    """An answer: JSON for a dict or list, bytes as they are, a file or an iterator streamed, None for an empty body."""

    status: int = 200
    body: dict[str, Any] | list[Any] | bytes | Iterator[bytes] | Path | None = None
    headers: dict[str, str] = field(default_factory=dict)


def one_line(value: str) -> str:
    """A header's value without the characters that would end it and begin another.

    >>> one_line("a\\r\\nSet-Cookie: b")
    'a  Set-Cookie: b'
    """
    return _CONTROL.sub(" ", value)


_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True)
class Route:
    """A declared route. ``template`` has ``{name}`` for one segment and ``{name:path}`` for any number."""

    verb: str
    template: str
    permission: str | None
    receipt: Receipt
    public: bool
    streams: bool
    method: str

    def pattern(self) -> re.Pattern[str]:
        parts = re.split(r"(\{\w+(?::path)?\})", self.template)
        text = ""
        for part in parts:
            variable = re.fullmatch(r"\{(\w+)(:path)?\}", part)
            if variable is None:
                text += re.escape(part)
            else:
                text += f"(?P<{variable.group(1)}>{'.+' if variable.group(2) else '[^/]+'})"
        return re.compile(text)


Method = TypeVar("Method", bound=Callable[..., Any])


def route(
    verb: str,
    template: str,
    *,
    permission: str | None = None,
    executes: tuple[str, ...] = (),
    stores: tuple[str, ...] = (),
    public: bool = False,
    streams: bool = False,
) -> Callable[[Method], Method]:
    """Serve ``verb template`` with the decorated method; may be stacked.

    ``permission``: what the caller must have; None only together with ``public`` (no credential needed).
    ``executes``, ``stores``: the receipt over query parameters and the JSON body. ``streams``: the method reads the
    body itself, so the carrier checks only the query.
    """
    if (permission is None) != public:
        raise TypeError(f"{verb} {template} must declare a permission, or be public")

    def mark(function: Method) -> Method:
        made = Route(verb, template, permission, Receipt(executes, stores), public, streams, function.__name__)
        function.__dict__.setdefault("routes", []).append(made)
        return function

    return mark


@dataclass(frozen=True)
class BoundRoute:
    """A route with its compiled pattern and its method."""

    route: Route
    pattern: re.Pattern[str]
    call: Callable[[Request], Any]

    def check(self, request: Request) -> None:
        """Refuse query parameters and body fields that the method does not do."""
        paths = {name for name, _ in request.query_pairs if name not in COMMON_QUERY and name not in request.params}
        if not self.route.streams and request.method != "GET":
            paths.update(json_paths(request.json()))
        self.route.receipt.check(self.route.method, paths)


class Door:
    """Base of a door. ``hosts``: the Google host names it answers; on other hosts its routes are found by path."""

    name: ClassVar[str] = ""
    hosts: ClassVar[tuple[str, ...]] = ()
    error_style: ClassVar[str] = "discovery"

    def resource(self, request: Request) -> str:
        """The resource that a route's permission is checked on, '' for the whole server."""
        project = request.params.get("project", "")
        return f"projects/{project}" if project else ""

    def error_reply(self, error: TuleError) -> Reply:
        """The answer to a request that failed, in the words of the API."""
        status = http_status(error)
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        body = discovery_body(error) if self.error_style == "discovery" else error_body(error)
        return Reply(status, body, headers)

    def routes(self) -> list[BoundRoute]:
        """Every declared route, the most literal first."""
        found: list[BoundRoute] = []
        for _, function in inspect.getmembers(self, inspect.ismethod):
            for each in getattr(function, "routes", ()):
                found.append(BoundRoute(each, each.pattern(), function))
        return sorted(found, key=lambda each: _generality(each.route.template))


def _generality(template: str) -> tuple[int, int, int]:
    """Literal templates before those with variables, those before open-ended ones; longer ones first."""
    return (template.count(":path}"), template.count("{"), -len(template))


def match(routes: list[BoundRoute], verb: str, path: str) -> tuple[BoundRoute, dict[str, str]] | None:
    """The first route that fits, with its decoded variables."""
    for each in routes:
        if each.route.verb == verb and (found := each.pattern.fullmatch(path)):
            try:
                return each, {key: unquote(value, errors="strict") for key, value in found.groupdict().items()}
            except UnicodeDecodeError:
                raise InvalidArgument("A path must be UTF-8, percent-encoded", given=repr(path[:200])) from None
    return None
