"""The proxy that intercepted commands speak to: Google's names end here, others go where they would have gone.

A client must give the proxy credential: user ``tule`` with the data directory's token. The user may carry, after a ``+``,
a *route*: how hosts that are not Google's leave. It is made with the command's environment; see ``environment.py``.
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote, urlsplit

from tule.kernel.access import Access
from tule.kernel.errors import TuleError
from tule.wire.front import Tunnel
from tule.wire.intercept.names import is_google
from tule.wire.intercept.routes import Route


class Proxy:
    """Answers CONNECT requests and forwards requests with absolute URIs."""

    def __init__(self, access: Access, *, offline: bool = False) -> None:
        """``offline``: refuse other hosts to every client, whatever its route says."""
        self._access = access
        self._offline = offline

    def is_ours(self, host: str) -> bool:
        return is_google(host)

    async def connect(self, tunnel: Tunnel) -> None:
        route = await self._route(tunnel)
        if route is None:
            return
        if is_google(tunnel.host):
            await tunnel.accept()
            return
        await self._leave(tunnel, route, b"")

    async def forward(self, tunnel: Tunnel) -> None:
        route = await self._route(tunnel)
        if route is not None:
            await self._leave(tunnel, route, None)

    async def _route(self, tunnel: Tunnel) -> Route | None:
        """The route of a client with the right credential; anybody else is answered here."""
        given = tunnel.headers.get("proxy-authorization", "")
        try:
            scheme, _, credential = given.partition(" ")
            user, _, password = base64.b64decode(credential, validate=True).decode().partition(":")
            # Some clients (httplib2) send the user as it stands in the proxy's address, escaped.
            name, _, encoded = unquote(user).partition("+")
            again = base64.b64encode(f"{name}:{password}".encode()).decode()
            self._access.principal_for(
                {"proxy-authorization": f"{scheme} {again}"}, {}, method=tunnel.verb, host=tunnel.host, path=""
            )
            return Route.decode(encoded) if encoded else Route()
        except (binascii.Error, UnicodeDecodeError, ValueError, TypeError, TuleError):
            await tunnel.refuse(
                407,
                "Proxy Authentication Required",
                "The proxy wants the credential of this Tule data directory. Next: run the command under `tule exec`\n",
                {"Proxy-Authenticate": 'Basic realm="tule"'},
            )
            return None

    async def _leave(self, tunnel: Tunnel, route: Route, first: bytes | None) -> None:
        where = f"{tunnel.host}:{tunnel.port}"
        if self._offline or route.offline:
            await tunnel.refuse(
                403,
                "Forbidden",
                f"Tule is offline: connections that are not for Google's APIs are refused; given: {where}."
                " Next: leave out --offline\n",
            )
            return
        if not 0 < tunnel.port < 65536 or not tunnel.host:
            await tunnel.refuse(400, "Bad Request", f"A tunnel needs HOST:PORT; given: {tunnel.target[:200]}\n")
            return
        if route.goes_upstream(tunnel.host):
            assert route.upstream is not None
            upstream = urlsplit("//" + route.upstream)
            head = _with_credential(tunnel.head, route.upstream_credential)
            # A CONNECT's head was read already, a forwarded request's still waits in the socket.
            if first is None:
                await tunnel.take_head()
            await tunnel.pass_on(upstream.hostname or "", upstream.port or 80, first=head, established=False)
        elif first is None:
            await tunnel.take_head()
            await tunnel.pass_on(tunnel.host, tunnel.port, first=_origin_form(tunnel), established=False)
        else:
            await tunnel.pass_on(tunnel.host, tunnel.port)


def _lines(head: bytes) -> list[str]:
    return head.decode("latin-1").rstrip("\r\n").split("\r\n")


def _without_ours(lines: list[str]) -> list[str]:
    return [line for line in lines if line.partition(":")[0].strip().lower() != "proxy-authorization"]


def _with_credential(head: bytes, credential: str | None) -> bytes:
    """The head with the upstream's credential in place of ours."""
    lines = _without_ours(_lines(head))
    if credential:
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(credential.encode()).decode()}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _origin_form(tunnel: Tunnel) -> bytes:
    """A request with an absolute URI as its own server expects it, for one request per connection."""
    first, *rest = _without_ours(_lines(tunnel.head))
    verb, target, version = [*first.split(" "), "HTTP/1.1"][:3]
    parts = urlsplit(target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kept = [line for line in rest if line.partition(":")[0].strip().lower() not in ("connection", "proxy-connection")]
    return ("\r\n".join([f"{verb} {path} {version}", *kept, "Connection: close"]) + "\r\n\r\n").encode("latin-1")
