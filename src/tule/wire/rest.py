"""The HTTP/1.1 carrier: an ASGI application over the handler table.

An ordinary request is an ``Exchange``. One with a short way (``short.py``) comes here only where its answer has to be
waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from tule.kernel.access import Access
from tule.kernel.errors import TuleError
from tule.wire.bodies import Receive
from tule.wire.door import JSON
from tule.wire.exchange import Carrier, Exchange, Scope, Send
from tule.wire.handlers import HandlerTable
from tule.wire.short import BEGUN, Outcome, ShortWays
from tule.wire.threads import Threads

__all__ = ["Rest"]

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
        self._access = access
        self._carrier = Carrier(table, access, max_body, Threads(threads, "rest"), Threads(threads, "upload"))
        self.short = ShortWays(table, access, self._carrier.threads, fast, max_body=max_body)

    def close(self) -> None:
        self._carrier.threads.close()
        self._carrier.uploads.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/healthz" and scope["method"] == "GET" and self._ours(dict(scope["headers"])):
            await _send_json(send, 200, b'{"status":"ready"}')
            return
        exchange = Exchange(self._carrier, scope, receive, send)
        begun = scope.get(BEGUN)
        if begun is None or not await self._short(begun, exchange, send):
            await exchange.run()

    async def _short(self, begun: Awaitable[Outcome | None], exchange: Exchange, send: Send) -> bool:
        """Wait for what the short way began and send it; False when it declines."""
        try:
            outcome = await begun
        except asyncio.CancelledError:
            await exchange.stopped()
            return True
        if outcome is not None:
            await _send_json(send, *outcome)
        return outcome is not None

    def _ours(self, headers: dict[bytes, bytes]) -> bool:
        """Whether host and origin are those of a client of ours; if not, the ordinary way words the refusal."""
        try:
            self._access.check_host(_text(headers, b"host"), _text(headers, b"origin") or None)
        except TuleError:
            return False
        return True


def _text(headers: dict[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


async def _send_json(send: Send, status: int, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [_CONTENT_TYPE, length]})
    await send({"type": "http.response.body", "body": body})
