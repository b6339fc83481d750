"""The HTTP/1.1 carrier: an ASGI application over the handler table.

An ordinary request is an ``Exchange``. Online prediction leaves that road early: it is answered in the event loop,
without a thread, a message or the database (``Rest._fast``).
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from tule.kernel.access import Access, Principal
from tule.kernel.errors import TuleError
from tule.wire import bodies, errors
from tule.wire.bodies import ClientGone, Receive
from tule.wire.exchange import JSON, Carrier, Exchange, Scope, Send
from tule.wire.handlers import HandlerTable
from tule.wire.service import FastPath, FastRequest
from tule.wire.threads import Threads

__all__ = ["Rest"]

# Headers that only the ordinary way understands.
_ORDINARY = (b"content-encoding", b"x-http-method-override")
_CONTENT_TYPE = (b"content-type", JSON.encode())


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
        self._carrier = Carrier(table, access, max_body, Threads(threads, "rest"), Threads(threads, "upload"))
        self._fast_patterns = [
            (re.compile(pattern), (package, service, name)) for pattern, package, service, name in fast
        ]
        self._fast_paths: dict[tuple[str, str, str], FastPath] = {}

    def close(self) -> None:
        self._carrier.threads.close()
        self._carrier.uploads.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/healthz" and scope["method"] == "GET" and self._ours(dict(scope["headers"])):
            await _send_json(send, 200, b'{"status":"ready"}')
            return
        if scope["method"] == "POST":
            for pattern, key in self._fast_patterns:
                found = pattern.fullmatch(scope["path"])
                if found is not None and await self._fast(found["name"], key, scope, receive, send):
                    return
        await Exchange(self._carrier, scope, receive, send).run()

    async def _fast(self, name: str, key: tuple[str, str, str], scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer a prediction in the event loop; False leaves the request untouched for the ordinary way."""
        headers = dict(scope["headers"])
        if not _plain(scope["query_string"]) or any(each in headers for each in _ORDINARY):
            return False
        try:
            principal = self._who(scope, headers)
        except TuleError:
            return False  # the ordinary way words the refusal
        action = self._fast_paths.get(key) or await self._find(key)
        if action is None:
            return False
        try:
            body = await bodies.read_whole(receive, self._max_body)
            answer = await action(FastRequest(name, body, headers, principal))
        except ClientGone:
            return True
        except Exception as error:
            known = errors.known(error)
            await _send_json(send, errors.http_status(known), orjson.dumps(errors.body(known)))
            return True
        if answer is None:
            await Exchange(self._carrier, scope, _replay(body), send).run()
        else:
            await _send_json(send, 200, answer)
        return True

    async def _find(self, key: tuple[str, str, str]) -> FastPath | None:
        """The action of a short way; its door is built on a thread the first time."""
        package, service, name = key
        found = await self._carrier.threads.run(lambda: self._table.fast(package, service))
        action: FastPath | None = found.get(name)
        if action is not None:
            self._fast_paths[key] = action
        return action

    def _ours(self, headers: dict[bytes, bytes]) -> bool:
        """Whether host and origin are those of a client of ours; if not, the ordinary way words the refusal."""
        try:
            self._access.check_host(_text(headers, b"host"), _text(headers, b"origin") or None)
        except TuleError:
            return False
        return True

    def _who(self, scope: Scope, headers: dict[bytes, bytes]) -> Principal:
        name = _text(headers, b"host")
        self._access.check_host(name, _text(headers, b"origin") or None)
        text = {"authorization": _text(headers, b"authorization")}
        if b"proxy-authorization" in headers:
            text["proxy-authorization"] = _text(headers, b"proxy-authorization")
        return self._access.principal_for(text, {}, method=scope["method"], host=name, path=scope["path"])


def _text(headers: dict[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def _plain(query: bytes) -> bool:
    """Whether a query string asks for nothing but JSON with enums in either form, of which predictions have none."""
    return not query or (query.startswith((b"%24alt=json", b"$alt=json")) and b"&" not in query)


def _replay(body: bytes) -> Receive:
    """A receive function that gives a body that was read already."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


async def _send_json(send: Send, status: int, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [_CONTENT_TYPE, length]})
    await send({"type": "http.response.body", "body": body})
