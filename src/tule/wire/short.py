"""The short way of a request: from its head to its answer in the event loop, without a thread, a message or a task.

Online prediction is answered so. A carrier asks for the way of each request once its head is there (``ShortWays.find``)
and hands over the body once that is whole (``Way.answer``). What is out of the ordinary about a request, what is
forbidden above all, is left to the ordinary way, which words it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable

import orjson

from tule.kernel.access import Access, Principal
from tule.kernel.errors import TuleError
from tule.wire import errors
from tule.wire.handlers import HandlerTable
from tule.wire.service import FastPath, FastRequest
from tule.wire.threads import Threads

# Headers that only the ordinary way understands.
_ORDINARY = (b"content-encoding", b"x-http-method-override")

Key = tuple[str, str, str]
"""Package, service and Python name of a method."""

BEGUN = "tule.begun"
"""In a request's scope: what its short way began and is to be waited for, an awaitable of an ``Outcome`` or None."""

Outcome = tuple[int, bytes]
"""An HTTP status and the JSON under it."""


class ShortWays:
    """The short ways of one server. To be used in the event loop."""

    def __init__(
        self,
        table: HandlerTable,
        access: Access,
        threads: Threads,
        patterns: tuple[tuple[str, str, str, str], ...],
        *,
        max_body: int,
    ) -> None:
        """``patterns``: (path pattern with a ``name`` group, package, service, Python method name)."""
        self.max_body = max_body
        self._table = table
        self._access = access
        self._threads = threads
        self._patterns = [
            (re.compile(pattern), (package, service, name)) for pattern, package, service, name in patterns
        ]
        self._actions: dict[Key, FastPath] = {}

    def find(self, path: str, query: bytes, headers: dict[bytes, bytes]) -> Way | None:
        """The way of a POST request of which the head is known; None: the ordinary one."""
        for pattern, key in self._patterns:
            if (found := pattern.fullmatch(path)) is not None:
                return self._way(key, found["name"], path, query, headers)
        return None

    def _way(self, key: Key, name: str, path: str, query: bytes, headers: dict[bytes, bytes]) -> Way | None:
        if not _plain(query) or any(each in headers for each in _ORDINARY):
            return None
        try:
            return Way(self, key, name, headers, self._who(path, headers))
        except TuleError:
            return None

    def known(self, key: Key) -> FastPath | None:
        return self._actions.get(key)

    async def build(self, key: Key) -> FastPath | None:
        """The action at the end of a way; its door is built on a thread the first time."""
        package, service, name = key
        found = await self._threads.run(lambda: self._table.fast(package, service))
        action: FastPath | None = found.get(name)
        if action is not None:
            self._actions[key] = action
        return action

    def _who(self, path: str, headers: dict[bytes, bytes]) -> Principal:
        host = _text(headers, b"host")
        self._access.check_host(host, _text(headers, b"origin") or None)
        text = {"authorization": _text(headers, b"authorization")}
        if b"proxy-authorization" in headers:
            text["proxy-authorization"] = _text(headers, b"proxy-authorization")
        return self._access.principal_for(text, {}, method="POST", host=host, path=path)


class Way:
    """The way of one request whose caller is known."""

    __slots__ = ("_headers", "_key", "_name", "_principal", "_ways")

    def __init__(self, ways: ShortWays, key: Key, name: str, headers: dict[bytes, bytes], principal: Principal) -> None:
        self._ways = ways
        self._key = key
        self._name = name
        self._headers = headers
        self._principal = principal

    def answer(self, body: bytes) -> Outcome | Awaitable[Outcome | None] | None:
        """The answer, or what becomes of it; None where the request is to take the ordinary way after all."""
        request = FastRequest(self._name, body, self._headers, self._principal)
        action = self._ways.known(self._key)
        if action is None:
            return self._built(request)
        try:
            made = action(request)
        except Exception as error:
            return _refusal(error)
        if made is None or isinstance(made, bytes):
            return None if made is None else (200, made)
        return _awaited(made)

    async def _built(self, request: FastRequest) -> Outcome | None:
        try:
            action = await self._ways.build(self._key)
            made = None if action is None else action(request)
        except Exception as error:
            return _refusal(error)
        if made is None or isinstance(made, bytes):
            return None if made is None else (200, made)
        return await _awaited(made)


async def _awaited(made: Awaitable[bytes]) -> Outcome:
    try:
        return 200, await made
    except Exception as error:
        return _refusal(error)


def _refusal(error: Exception) -> Outcome:
    known = errors.known(error)
    return errors.http_status(known), orjson.dumps(errors.body(known))


def _text(headers: dict[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def _plain(query: bytes) -> bool:
    """Whether a query string asks for nothing but JSON with enums in either form, of which predictions have none."""
    return not query or (query.startswith((b"%24alt=json", b"$alt=json")) and b"&" not in query)
