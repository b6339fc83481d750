"""One ordinary HTTP request and its answer: through the gates, to a route or an RPC, on a thread.

Every request passes the same gates in the same order: host and origin, credential, then the method's permission and
receipt, then its door.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson

from tule.kernel.access import Access, Principal, split_host
from tule.kernel.errors import InvalidArgument, NotFound, Unavailable, Unimplemented
from tule.wire import bodies, errors, transcode
from tule.wire.batch import answer_batch, is_batch
from tule.wire.bodies import CHUNK, ClientGone, Receive
from tule.wire.door import JSON, BoundRoute, Door, Reply, Request, one_line
from tule.wire.handlers import HandlerTable
from tule.wire.handovers import HandedOver, Handovers
from tule.wire.partial import select_fields
from tule.wire.service import Handler
from tule.wire.surfaces import UNARY
from tule.wire.threads import Threads

_LOG = logging.getLogger(__name__)
_VERSIONED = re.compile(r"/v\d+(?:beta\d+|alpha\d*)?/")
_VERBS = frozenset({"GET", "PUT", "PATCH", "DELETE", "POST"})

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Carrier:
    """What the exchanges of one server share.

    ``threads`` run requests that came whole; ``uploads`` those whose body is still on its way, so that clients that are
    slow to send cannot keep the others waiting.
    """

    table: HandlerTable
    access: Access
    max_body: int
    threads: Threads
    uploads: Threads
    handovers: Handovers = field(default_factory=Handovers)


class Exchange:
    """One request and its answer."""

    def __init__(self, carrier: Carrier, scope: Scope, receive: Receive, send: Send) -> None:
        self._carrier = carrier
        self._scope = scope
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self.headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        self.verb = scope["method"]
        self.path = scope["raw_path"].decode("latin-1")
        self.query = _query(scope["query_string"].decode("latin-1"))
        self.door: Door = _GOOGLE
        # The part of the body that was read already, and whether more follows.
        self._early = b""
        self._more = True
        self._gone = False
        self._began = False
        self._last: list[dict[str, Any]] = []
        self._done: asyncio.Future[Any] | None = None

    async def run(self) -> None:
        try:
            whole = await self._read_early()
            carrier = self._carrier
            self._done = (carrier.threads if whole else carrier.uploads).run(self._answer)
            try:
                await self._done
            finally:
                # What it raised holds this object by its frames: a circle would let go of them late.
                self._done = None
            for message in self._last:
                await self._send(message)
        except ClientGone:
            _LOG.info("The client of %s %s went away", self.verb, self.path)
        except asyncio.CancelledError:
            await self.stopped()

    async def stopped(self) -> None:
        """Tell the client that the server stops before its answer is made, unless a part of it is out."""
        if self._began:
            return
        self._reply(self.door.error_reply(Unavailable("The server must be running", do="start it, then ask again")))
        for message in self._last:
            await self._send(message)

    async def _read_early(self) -> bool:
        """Whether the body is here whole; a small one is read in the event loop, which saves the thread trips to it."""
        declared = bodies.content_length(self.headers)
        if declared == 0:
            self._early, self._more = b"", False
            return True
        if declared is not None and declared > CHUNK:
            return False
        self._early, whole = await bodies.read_some(self._receive, CHUNK)
        self._more = not whole
        return whole

    # -- on a thread from here on

    def _answer(self) -> None:
        self._worded(self._route)

    def _worded(self, answer: Callable[[], None]) -> None:
        """Make the answer; one that fails is an error in the words of the door."""
        try:
            answer()
        except ClientGone:
            raise
        except HandedOver:
            return
        except Exception as error:
            known = errors.known(error)
            if self._began:
                raise ClientGone from error  # half an answer is out: only cutting the connection is honest
            self._reply(self.door.error_reply(known))

    def _route(self) -> None:
        carrier, table = self._carrier, self._carrier.table
        host_header = self.headers.get("host", "")
        carrier.access.check_host(host_header, self.headers.get("origin"))
        self._override_verb()
        host = _host_name(host_header)
        if self.verb == "OPTIONS":
            raise Unimplemented("Tule answers no cross-origin preflight", given=self.path)
        door = table.door_for(host, self.path)
        self.door = door or _GOOGLE
        if is_batch(self.verb, self.path):
            self._reply(answer_batch(self._request(host, {}, self._principal(host)), self._one_of_batch))
            return
        found = table.door_route(host, self.verb, self.path)
        if found is not None:
            self.door, bound, params = found
            principal = _ANYBODY if bound.route.public else self._principal(host)
            self._reply(self._call(self.door, bound, self._request(host, params, principal)))
            return
        principal = self._principal(host)
        if door is not None and _VERSIONED.match(self.path) is None:
            raise NotFound(f"There is no method at {self.verb} {self.path}", given=f"host {host}", reason="notFound")
        self._gapic(host, principal)

    def _override_verb(self) -> None:
        """X-HTTP-Method-Override: what clients send as POST to get past proxies, or for an address that is too long."""
        wanted = self.headers.get("x-http-method-override", "").upper()
        if not wanted or self.verb != "POST":
            return
        if wanted not in _VERBS:
            raise InvalidArgument("X-HTTP-Method-Override must name a method", given=repr(wanted[:20]))
        self.verb = wanted
        form = self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        if wanted == "GET" and form:
            text = b"".join(self._limited()).decode("latin-1")
            self.query = [*self.query, *_query(text)]

    def _principal(self, host: str) -> Principal:
        query = dict(self.query)
        if len(query) != len(self.query) and "x-goog-signature" in {name.lower() for name in query}:
            raise InvalidArgument("A signed URL must have each parameter once", given=self.path)
        principal: Principal = self._carrier.access.principal_for(
            self.headers, query, method=self.verb, host=host, path=self.path
        )
        return principal

    def _request(self, host: str, params: dict[str, str], principal: Principal) -> Request:
        scheme = self._scope.get("scheme", "http")
        return Request(
            method=self.verb,
            path=self.path,
            params=params,
            query_pairs=self.query,
            headers=self.headers,
            principal=principal,
            host=host,
            base_url=f"{scheme}://{self.headers.get('host', '')}",
            max_body=self._carrier.max_body,
            _chunks=self._chunks,
            _raw_chunks=self._raw_chunks,
            _hand_over=self._hand_over,
        )

    # -- JSON doors

    def _call(self, door: Door, bound: BoundRoute, request: Request) -> Reply:
        if bound.route.permission is not None:
            self._carrier.access.check(request.principal, bound.route.permission, door.resource(request))
        if request.query.get("alt", "json") not in ("json", "media"):
            raise Unimplemented(f"Tule does not answer in alt={request.query['alt'][:20]}", do="use alt=json")
        bound.check(request)
        try:
            result = bound.call(request)
        finally:
            if request.handed_over and not self._carrier.handovers.keep(self):
                raise HandedOver
        return self._made(request, result)

    def _made(self, request: Request, result: Any) -> Reply:
        reply = result if isinstance(result, Reply) else Reply(200, result)
        wanted = request.query.get("fields")
        if wanted and isinstance(reply.body, dict) and reply.status < 400:
            reply.body = select_fields(reply.body, wanted)
        return reply

    def _hand_over(self, request: Request, seconds: float, make: Callable[[], Any]) -> None:
        """Let another thread answer with what ``make`` gives, should this one still be at work then."""

        def answer() -> None:
            self._worded(lambda: self._reply(self._made(request, make())))

        def answered(_: asyncio.Future[Any]) -> None:
            if self._done is not None and not self._done.done():
                self._done.set_result(None)

        def then() -> None:
            self._carrier.threads.run(answer).add_done_callback(answered)

        self._carrier.handovers.wait(self._loop, self, seconds, then)

    def _one_of_batch(self, verb: str, url: str, headers: dict[str, str], body: bytes, outer: Request) -> Reply:
        path, _, query = url.partition("?")
        table, access = self._carrier.table, self._carrier.access
        door = table.door_for(outer.host, path) or _GOOGLE
        try:
            found = table.door_route(outer.host, verb, path)
            if found is None:
                raise NotFound(f"There is no method at {verb} {path}", reason="notFound")
            door, bound, params = found
            principal = outer.principal
            if "authorization" in headers:
                principal = access.principal_for(headers, {}, method=verb, host=outer.host, path=path)
            request = Request(
                verb, path, params, _query(query), headers, principal, outer.host, outer.base_url, outer.max_body,
                lambda: iter([body]), lambda: iter([body]),
            )  # fmt: skip
            return self._call(door, bound, request)
        except Exception as error:
            return door.error_reply(errors.known(error))

    # -- gapic

    def _gapic(self, host: str, principal: Principal) -> None:
        table = self._carrier.table
        handler, rule, fields = table.by_http(host, self.verb, self.path)
        shape = Shape.of(dict(self.query), handler)
        body = b"".join(self._limited())
        kind = self.headers.get("content-type", "")
        message = transcode.request_message(handler.method, rule, fields, self.query, body, kind)
        result = table.invoke(handler, message, principal, host=host, headers=self.headers)
        if isinstance(result, Reply):
            self._reply(result)
        elif handler.method.streaming == UNARY:
            self._raw(200, {"content-type": JSON}, shape.one(handler, result))
        elif shape.events:
            self._reply(Reply(200, shape.events_of(handler, result), {"Content-Type": "text/event-stream"}))
        else:
            self._reply(Reply(200, shape.array_of(handler, result), {"Content-Type": JSON}))

    # -- bodies

    def _limited(self) -> Iterator[bytes]:
        size, limit = 0, self._carrier.max_body
        for chunk in self._chunks():
            size += len(chunk)
            if size > limit:
                raise bodies.too_large(limit)
            yield chunk

    def _chunks(self) -> Iterator[bytes]:
        """The request's body, decompressed; blocks this thread until more arrives."""
        return bodies.decoded(self._raw_chunks(), self.headers.get("content-encoding", "").strip().lower())

    def _raw_chunks(self) -> Iterator[bytes]:
        if self._early:
            early, self._early = self._early, b""
            yield early
        while self._more:
            message = asyncio.run_coroutine_threadsafe(self._receive(), self._loop).result()
            if message["type"] == "http.disconnect":
                raise ClientGone
            self._more = bool(message.get("more_body"))
            if message.get("body"):
                yield message["body"]

    # -- answers

    def _raw(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """An answer that is whole: ``run`` sends it."""
        sized = self.verb == "HEAD" and "content-length" in headers
        if status != 204 and not sized:
            headers = {**headers, "content-length": str(len(body))}
        self._last = [
            _start(status, headers),
            {"type": "http.response.body", "body": b"" if self.verb == "HEAD" else body},
        ]

    def _reply(self, reply: Reply) -> None:
        headers = {key.lower(): value for key, value in reply.headers.items()}
        body = reply.body
        if isinstance(body, dict | list):
            headers.setdefault("content-type", JSON)
            body = orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)
        if body is None or isinstance(body, bytes):
            self._raw(reply.status, headers, body or b"")
        elif self.verb == "HEAD":
            self._raw(reply.status, headers, b"")
        else:
            self._stream(reply.status, headers, iter(_file_chunks(body) if isinstance(body, Path) else body))

    def _stream(self, status: int, headers: dict[str, str], chunks: Iterator[bytes]) -> None:
        try:
            # The first piece is made before the status is sent: an error until then is still a proper answer.
            first = next(chunks, b"")
            self._loop.call_soon_threadsafe(self._watch_for_the_end)
            self._began = True
            self._out(_start(status, headers))
            for chunk in itertools.chain((first,), chunks):
                if chunk:
                    self._out({"type": "http.response.body", "body": chunk, "more_body": True})
            self._last = [{"type": "http.response.body", "body": b""}]
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    def _out(self, message: dict[str, Any]) -> None:
        asyncio.run_coroutine_threadsafe(self._send(message), self._loop).result()
        if self._gone:
            # Sending to a client that left raises nothing; making the rest of its answer would be for nobody.
            raise ClientGone

    def _watch_for_the_end(self) -> None:
        self._watching = self._loop.create_task(self._until_gone())

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue
        self._gone = True


@dataclass(frozen=True)
class Shape:
    """How a client wants a gapic answer written: ``alt``, ``$alt`` and ``fields``."""

    integers: bool
    """Enums as numbers."""
    events: bool
    """A stream as server-sent events, not as a JSON array."""
    fields: str

    @classmethod
    def of(cls, query: dict[str, str], handler: Handler) -> Shape:
        kind, _, option = query.get("$alt", query.get("alt", "json")).partition(";")
        streams = handler.method.streaming != UNARY
        if kind not in ("json", "sse", "media") or (kind == "sse" and not streams):
            raise Unimplemented(f"Tule does not answer {handler.method.name} in alt={kind[:20]}", do="use alt=json")
        if option not in ("", "enum-encoding=int"):
            raise Unimplemented(f"Tule does not do the option {option[:40]} of $alt", do="leave it out")
        return cls(bool(option), kind == "sse", query.get("fields", query.get("$fields", "")))

    def one(self, handler: Handler, result: Any) -> bytes:
        made = transcode.to_dict(transcode.response_message(handler.method, result), integers=self.integers)
        return orjson.dumps(select_fields(made, self.fields) if self.fields else made)

    def array_of(self, handler: Handler, results: Iterable[Any]) -> Iterator[bytes]:
        """A server stream as a JSON array, an element at a time."""
        opening = b"["
        for each in results:
            yield opening + self.one(handler, each)
            opening = b",\n"
        yield b"]" if opening != b"[" else b"[]"

    def events_of(self, handler: Handler, results: Iterable[Any]) -> Iterator[bytes]:
        """A server stream as events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
        for each in results:
            yield b"data: " + self.one(handler, each) + b"\r\n\r\n"


_ANYBODY = Principal("anonymous", owner=False)


class _GoogleDoor(Door):
    """Words the errors of paths that no JSON door serves, as gapic clients read them."""

    error_style = "google"


_GOOGLE = _GoogleDoor()


@functools.lru_cache(maxsize=256)
def _host_name(header: str) -> str:
    return split_host(header)[0].lower()


def _query(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True) if text else []


def _start(status: int, headers: dict[str, str]) -> dict[str, Any]:
    encoded = [(key.encode("latin-1"), one_line(value).encode()) for key, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": encoded}


def _file_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
