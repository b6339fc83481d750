"""The HTTP/1.1 carrier: an ASGI application over the handler table.

Every request passes the same gates in the same order: host and origin, credential, then the method's permission and
receipt, then its door on a thread. Online prediction leaves this road early (see ``Rest._fast``).
"""

from __future__ import annotations

import asyncio
import logging
import re
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson

from tule.kernel.access import Access, Principal, split_host
from tule.kernel.errors import InvalidArgument, NotFound, ResourceExhausted, TuleError, Unimplemented
from tule.wire import errors, transcode
from tule.wire.batch import answer_batch, is_batch
from tule.wire.door import Door, Reply, Request
from tule.wire.handlers import HandlerTable
from tule.wire.partial import select_fields
from tule.wire.service import FastPath, FastRequest, Handler
from tule.wire.surfaces import UNARY

_LOG = logging.getLogger(__name__)
_JSON = "application/json; charset=UTF-8"
_CHUNK = 1 << 20

Scope = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[dict[str, Any]], Any]


class Rest:
    """The ASGI application."""

    def __init__(
        self,
        table: HandlerTable,
        access: Access,
        *,
        max_body: int,
        threads: int = 64,
        fast: tuple[tuple[str, str, str, str], ...] = (),
    ) -> None:
        """``fast``: (path pattern with a ``name`` group, package, service, Python method name) of short ways."""
        self._table = table
        self._access = access
        self._max_body = max_body
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rest")
        self._fast_patterns = [
            (re.compile(pattern), (package, service, name)) for pattern, package, service, name in fast
        ]
        self._fast_paths: dict[tuple[str, str, str], FastPath | None] = {}
        self._good_hosts: set[tuple[str, str]] = set()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        if scope["method"] == "POST" and await self._fast(scope, receive, send):
            return
        await Exchange(self, scope, receive, send).run()

    async def _fast(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer a prediction in the event loop; False leaves the request untouched for the ordinary way."""
        path = scope["path"]
        for pattern, key in self._fast_patterns:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            if scope["query_string"] and not scope["query_string"].startswith(b"%24alt="):
                return False
            action = self._fast_paths.get(key)
            if action is None:
                loop = asyncio.get_running_loop()
                action = (await loop.run_in_executor(self._pool, self._table.fast, key[0], key[1])).get(key[2])
                if action is None:
                    return False
                self._fast_paths[key] = action
            headers = dict(scope["headers"])
            if b"content-encoding" in headers:
                return False
            try:
                principal = self._who(scope, headers)
            except TuleError:
                return False  # the ordinary way words the refusal
            body = await _read(receive, self._max_body)
            if body is None:
                await _send_json(send, 413, errors.body(_too_large(self._max_body), http=413))
                return True
            try:
                answer = await action(FastRequest(found["name"], body, headers, principal))
            except Exception as error:
                known = errors.known(error)
                await _send_json(send, errors.http_status(known), errors.body(known))
                return True
            if answer is None:
                await Exchange(self, scope, _replay(body), send).run()
                return True
            await send(_START_JSON)
            await send({"type": "http.response.body", "body": answer})
            return True
        return False

    def _who(self, scope: Scope, headers: dict[bytes, bytes]) -> Principal:
        host = headers.get(b"host", b"").decode("latin-1")
        origin = headers.get(b"origin", b"").decode("latin-1")
        if (host, origin) not in self._good_hosts:
            self._access.check_host(host, origin or None)
            if len(self._good_hosts) < 256:
                self._good_hosts.add((host, origin))
        text = {"authorization": headers.get(b"authorization", b"").decode("latin-1")}
        if b"proxy-authorization" in headers:
            text["proxy-authorization"] = headers[b"proxy-authorization"].decode("latin-1")
        return self._access.principal_for(text, {}, method=scope["method"], host=host, path=scope["path"])


_START_JSON = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", _JSON.encode())],
}


class Exchange:
    """One ordinary request and its answer."""

    def __init__(self, rest: Rest, scope: Scope, receive: Receive, send: Send) -> None:
        self._rest = rest
        self._scope = scope
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self.headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        self.verb = scope["method"]
        self.path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").split("?")[0]
        self.query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        self.door: Door | None = None
        self._began = False
        self._early: bytes | None = None
        self._last: list[dict[str, Any]] = []

    async def run(self) -> None:
        try:
            # A small body is read here, and a whole answer sent from here: each saves the thread a trip to the loop.
            if self.headers.get("content-length", "").isdigit() and int(self.headers["content-length"]) <= _CHUNK:
                self._early = await _read(self._receive, _CHUNK, ClientGone)
            await self._loop.run_in_executor(self._rest._pool, self._answer)
            for message in self._last:
                await self._send(message)
        except ClientGone:
            _LOG.info("The client of %s %s went away", self.verb, self.path)

    # -- on a thread from here on

    def _answer(self) -> None:
        try:
            self._route()
        except ClientGone:
            raise
        except Exception as error:
            known = errors.known(error)
            if self._began:
                raise ClientGone from error  # half an answer is out: only cutting the connection is honest
            self._reply((self.door or _GOOGLE).error_reply(known))

    def _route(self) -> None:
        rest = self._rest
        host_header = self.headers.get("host", "")
        if self.path == "/healthz" and self.verb == "GET":
            rest._access.check_host(host_header, self.headers.get("origin"))
            self._reply(Reply(200, {"status": "ready"}))
            return
        rest._access.check_host(host_header, self.headers.get("origin"))
        host = split_host(host_header)[0].lower()
        if self.verb == "OPTIONS":
            raise Unimplemented("Tule answers no cross-origin preflight", given=self.path)
        self.door = rest._table.door_for(host, self.path)
        if is_batch(self.verb, self.path):
            self._principal(host)
            self._reply(answer_batch(self._request(host, {}, self._principal(host)), self._one_of_batch))
            return
        found = rest._table.door_route(host, self.verb, unquote_safe(self.path))
        if found is not None:
            self.door, bound, params = found
            public = bound.route.public
            principal = Principal("anonymous", owner=False) if public else self._principal(host)
            request = self._request(host, params, principal)
            if bound.route.permission is not None:
                rest._access.check(principal, bound.route.permission, self.door.resource(request))
            bound.check(request)
            self._reply(self._partial(request, bound.call(request)))
            return
        principal = self._principal(host)
        if self.door is not None and not self._gapic_path():
            raise NotFound(f"There is no method at {self.verb} {self.path}", given=f"host {host}", reason="notFound")
        self._gapic(host, principal)

    def _gapic_path(self) -> bool:
        return re.match(r"/v\d+(?:beta\d+|alpha\d*)?/", self.path) is not None

    def _principal(self, host: str) -> Principal:
        principal: Principal = self._rest._access.principal_for(
            self.headers, dict(self.query), method=self.verb, host=host, path=self.path
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
            max_body=self._rest._max_body,
            _chunks=self._chunks,
            _raw_chunks=self._raw_chunks,
        )

    def _one_of_batch(self, verb: str, url: str, headers: dict[str, str], body: bytes, outer: Request) -> Reply:
        path, _, query = url.partition("?")
        query_pairs = parse_qsl(query, keep_blank_values=True)
        door = self._rest._table.door_for(outer.host, path) or _GOOGLE
        try:
            found = self._rest._table.door_route(outer.host, verb, unquote_safe(path))
            if found is None:
                raise NotFound(f"There is no method at {verb} {path}", reason="notFound")
            door, bound, params = found
            request = Request(
                verb, path, params, query_pairs, headers, outer.principal, outer.host, outer.base_url, outer.max_body,
                lambda: iter([body]), lambda: iter([body]),
            )  # fmt: skip
            if bound.route.permission is not None:
                self._rest._access.check(outer.principal, bound.route.permission, door.resource(request))
            bound.check(request)
            return self._partial(request, bound.call(request))
        except Exception as error:
            return door.error_reply(errors.known(error))

    @staticmethod
    def _partial(request: Request, result: Any) -> Reply:
        reply = result if isinstance(result, Reply) else Reply(200, result)
        wanted = request.query.get("fields")
        if wanted and isinstance(reply.body, dict) and reply.status < 400:
            reply.body = select_fields(reply.body, wanted)
        return reply

    def _gapic(self, host: str, principal: Principal) -> None:
        table = self._rest._table
        handler, rule, fields = table.by_http(host, self.verb, self.path)
        query = dict(self.query)
        if query.get("alt", "json") not in ("json", "sse"):
            raise Unimplemented(f"Tule does not answer in alt={query['alt']}", do="use alt=json")
        body = b"".join(self._limited())
        kind = self.headers.get("content-type", "")
        message = transcode.request_message(handler.method, rule, fields, self.query, body, kind)
        result = table.invoke(handler, message, principal, host=host, headers=self.headers)
        integers = query.get("$alt", "").endswith("enum-encoding=int")
        if handler.method.streaming == UNARY:
            if isinstance(result, Reply):
                self._reply(result)
                return
            answer = transcode.response_message(handler.method, result)
            self._raw(200, {"content-type": _JSON}, orjson.dumps(transcode.to_dict(answer, integers=integers)))
            return
        self._reply(Reply(200, _array(handler, result, integers), {"Content-Type": _JSON}))

    # -- bodies

    def _limited(self) -> Iterator[bytes]:
        size = 0
        for chunk in self._chunks():
            size += len(chunk)
            if size > self._rest._max_body:
                raise _too_large(self._rest._max_body)
            yield chunk

    def _chunks(self) -> Iterator[bytes]:
        """The request's body, decompressed; blocks this thread until more arrives."""
        if self.headers.get("content-encoding", "").lower() != "gzip":
            yield from self._raw_chunks()
            return
        inflate = zlib.decompressobj(wbits=31)
        try:
            for chunk in self._raw_chunks():
                pending = chunk
                while pending:
                    yield inflate.decompress(pending, _CHUNK)
                    pending = inflate.unconsumed_tail
            yield inflate.flush()
        except zlib.error as error:
            raise InvalidArgument("A gzip body must be whole", given=str(error)) from None

    def _raw_chunks(self) -> Iterator[bytes]:
        if self._early is not None:
            early, self._early = self._early, b""
            yield early
            return
        while True:
            message = asyncio.run_coroutine_threadsafe(self._receive(), self._loop).result()
            if message["type"] == "http.disconnect":
                raise ClientGone
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body"):
                return

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
            headers.setdefault("content-type", _JSON)
            body = orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)
        if body is None or isinstance(body, bytes):
            self._raw(reply.status, headers, body or b"")
            return
        chunks = _file_chunks(body) if isinstance(body, Path) else body
        if self.verb == "HEAD":
            self._raw(reply.status, headers, b"")
            return
        # The first piece is made before the status is sent: an error until then is still a proper answer.
        first = next(chunks, b"")
        self._began = True
        self._out(_start(reply.status, headers))
        if first:
            self._out({"type": "http.response.body", "body": first, "more_body": True})
        for chunk in chunks:
            if chunk:
                self._out({"type": "http.response.body", "body": chunk, "more_body": True})
        self._last = [{"type": "http.response.body", "body": b""}]

    def _out(self, message: dict[str, Any]) -> None:
        asyncio.run_coroutine_threadsafe(self._send(message), self._loop).result()


def _start(status: int, headers: dict[str, str]) -> dict[str, Any]:
    encoded = [(key.encode("latin-1"), value.encode("utf-8")) for key, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": encoded}


class _GoogleDoor(Door):
    """Words the errors of paths that no JSON door serves, as gapic clients read them."""

    error_style = "google"


_GOOGLE = _GoogleDoor()


class ClientGone(Exception):
    """The client closed the connection before its request or our answer was whole."""


def unquote_safe(path: str) -> str:
    """The path as it came: variables are decoded after matching, so that an encoded slash stays inside its segment."""
    return path


def _too_large(limit: int) -> ResourceExhausted:
    return ResourceExhausted(f"A request body must be at most {limit} bytes", do="send less, or set TULE_MAX_BODY")


def _array(handler: Handler, messages: Any, integers: bool) -> Iterator[bytes]:
    """A server stream as a JSON array, an element at a time."""
    opening = b"["
    for each in messages:
        yield opening + orjson.dumps(transcode.to_dict(transcode.response_message(handler.method, each), integers=integers))
        opening = b",\n"
    yield b"]" if opening != b"[" else b"[]"


def _file_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


async def _read(receive: Receive, limit: int, gone: type[Exception] | None = None) -> bytes | None:
    """The whole body, None when it is too large; raises ``gone`` when the client leaves before its end."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect" and gone is not None:
            raise gone
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body"):
            return body


def _replay(body: bytes) -> Receive:
    """A receive function that gives a body that was read already."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


async def _send_json(send: Send, status: int, body: dict[str, Any]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", _JSON.encode())]})
    await send({"type": "http.response.body", "body": orjson.dumps(body)})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


__all__ = ["Rest"]
