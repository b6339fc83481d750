"""One listener that looks at the first bytes of a connection and hands it on.

    0x16            a TLS handshake; inside, ALPN (or again the first bytes) tells HTTP/2 from HTTP/1.1
    PRI * HTTP/2    gRPC: piped to the gRPC server's private socket
    CONNECT ...     a proxy client: the ``ConnectHandler`` decides where its tunnel ends
    GET http://...  a proxy client without a tunnel: likewise, unless it asks for one of our own names
    otherwise       HTTP/1.1: uvicorn's protocol takes the socket over, in this event loop, without a hop

Bytes are peeked at, not read, so whoever takes the socket over finds it untouched. See docs/decisions/0001-one-listener.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

_LOG = logging.getLogger(__name__)

_PREFACE = b"PRI * HTTP/2.0\r\n"
_TLS = 0x16
_LONGEST_HEAD = 64 * 1024
_LONGEST_LINE = 16 * 1024
# What a refused client may still be sending is read for this long, so that it sees the refusal and not a reset.
_LINGER = 1.0
_HERE = ("localhost", "127.0.0.1", "::1")


class ConnectHandler(Protocol):
    """What answers clients that use the listener as a proxy."""

    def is_ours(self, host: str) -> bool:
        """Whether requests for this host are answered here, beside those for the listener's own address."""

    async def connect(self, tunnel: Tunnel) -> None:
        """Answer a CONNECT request by exactly one of the tunnel's methods."""

    async def forward(self, tunnel: Tunnel) -> None:
        """Answer a request with an absolute URI of a host that is not ours; nothing of it has been read yet."""


TlsContexts = Callable[[str | None], ssl.SSLContext]
"""A server context for the host of a tunnel (None: the listener's own names)."""


class Front:
    """A listener on any number of addresses. ``make_http`` builds uvicorn's protocol, ready to take a connection."""

    def __init__(
        self,
        make_http: Callable[[], asyncio.Protocol],
        grpc_socket: Path,
        *,
        tls: TlsContexts,
        connect: ConnectHandler,
        patience: float = 60.0,
    ) -> None:
        """``patience``: seconds after which a client that connects and says nothing, or half a line, is let go."""
        self._patience = patience
        self._make_http = make_http
        self._grpc_socket = grpc_socket
        self._tls = tls
        self._connect = connect
        self._tasks: set[asyncio.Task[None]] = set()
        self._pipes: set[Pipe] = set()

    def listen(self, listener: socket.socket) -> None:
        """Serve connections of a listening socket until ``close``; call in the event loop."""
        listener.setblocking(False)
        self._spawn(self._accept(listener))

    def close(self) -> None:
        """Take no more connections; the open ones go on."""
        for task in list(self._tasks):
            task.cancel()

    def cut(self) -> None:
        """End what still goes through pipes."""
        for pipe in list(self._pipes):
            pipe.cut()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.info("A connection ended: %s: %s", type(error).__name__, error)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    sock, _ = await loop.sock_accept(listener)
                except OSError as error:
                    # Out of descriptors, or the client was gone at once: the listener must live on.
                    _LOG.warning("A connection could not be accepted: %s", error)
                    await asyncio.sleep(0.05)
                    continue
                if sock.family != socket.AF_UNIX:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._spawn(self.serve(sock, None))

    async def serve(self, sock: socket.socket, tunnel: str | None) -> None:
        """Look at a fresh socket (or the inside of a tunnel to one of our names) and hand it on."""
        sock.setblocking(False)
        try:
            async with asyncio.timeout(self._patience):
                await self._hand_on(sock, tunnel)
        except Exception as error:
            _LOG.info("A connection ended before it began: %s: %s", type(error).__name__, error)
            sock.close()
        except asyncio.CancelledError:
            sock.close()
            raise

    async def _hand_on(self, sock: socket.socket, tunnel: str | None) -> None:
        loop = asyncio.get_running_loop()
        data = await peek(sock, len(_PREFACE), lambda seen: seen[0] == _TLS or not _PREFACE.startswith(seen))
        if not data:
            sock.close()
        elif data[0] == _TLS:
            context = self._tls(tunnel)
            await loop.connect_accepted_socket(lambda: Inside(self), sock, ssl=context)
        elif data == _PREFACE:
            await loop.connect_accepted_socket(lambda: self.pipe_to_grpc(b""), sock)
        elif data.startswith(b"CONNECT ") and tunnel is None:
            await self._connect.connect(await self._tunnel(sock, take=True))
        elif tunnel is None and _may_be_absolute(data) and await self._is_foreign(sock):
            await self._connect.forward(await self._tunnel(sock, take=False))
        else:
            await loop.connect_accepted_socket(self._make_http, sock)

    def make_http(self) -> asyncio.Protocol:
        return self._make_http()

    def is_ours(self, host: str) -> bool:
        return self._connect.is_ours(host)

    def pipe_to_grpc(self, first: bytes) -> Pipe:
        """A protocol that copies its connection to and from the gRPC server."""
        pipe = self.pipe()
        loop = asyncio.get_running_loop()
        self._spawn(pipe.open(loop.create_unix_connection(self.pipe, str(self._grpc_socket)), first))
        return pipe

    def pipe(self) -> Pipe:
        return Pipe(self._pipes)

    # -- proxy clients

    async def _is_foreign(self, sock: socket.socket) -> bool:
        """Whether a request line carries an absolute URI of an address that is not ours."""
        head = await peek(sock, _LONGEST_LINE, lambda seen: not _may_be_absolute(seen) or b"\n" in seen)
        words = head.split(b"\n", 1)[0].split(b" ")
        if len(words) < 2 or words[1][:7].lower() != b"http://":
            return False
        host, port = address_of(words[1].decode("latin-1"), 80)
        return not (self._connect.is_ours(host) or (host in _HERE and port == sock.getsockname()[1]))

    async def _tunnel(self, sock: socket.socket, *, take: bool) -> Tunnel:
        seen = await peek(sock, _LONGEST_HEAD, lambda data: b"\r\n\r\n" in data)
        end = seen.find(b"\r\n\r\n")
        if end < 0:
            raise ConnectionError("a proxy request must have a whole head of at most 64 KiB")
        made = Tunnel(self, sock, seen[: end + 4])
        if take:
            await made.take_head()
        return made


class Tunnel:
    """A proxy client's request, and the ways to answer it."""

    def __init__(self, front: Front, sock: socket.socket, head: bytes) -> None:
        self._front = front
        self._sock = sock
        self.head = head
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.verb, target, *_ = [*first.split(" "), "", ""]
        self.target = target
        self.host, self.port = address_of(target, 443 if self.verb == "CONNECT" else 80)
        self._taken = False
        self.headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }

    async def take_head(self) -> None:
        """Read the head of a request that was only looked at so far."""
        left = 0 if self._taken else len(self.head)
        self._taken = True
        while left:
            left -= len(await asyncio.get_running_loop().sock_recv(self._sock, left))

    async def accept(self) -> None:
        """Open the tunnel and serve its content here."""
        await self._send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await self._front.serve(self._sock, self.host)

    async def refuse(self, status: int, phrase: str, message: str, headers: dict[str, str] | None = None) -> None:
        """Answer with an error that the client shows, and close."""
        await self.take_head()
        body = message.encode()
        lines = [
            f"HTTP/1.1 {status} {phrase}",
            "Content-Type: text/plain; charset=utf-8",
            f"Content-Length: {len(body)}",
        ]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await self._send("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)
        self._sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(TimeoutError, OSError):
            await asyncio.wait_for(self._discard(), _LINGER)
        self._sock.close()

    async def _discard(self) -> None:
        while await asyncio.get_running_loop().sock_recv(self._sock, _LONGEST_HEAD):
            continue

    async def pass_on(self, host: str, port: int, *, first: bytes = b"", established: bool = True) -> None:
        """Copy bytes to and from ``host:port``; ``established``: say first that the tunnel is open."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            if ours := [each[4][0] for each in found if self._front.is_ours(canonical_host(str(each[4][0])))]:
                await self.refuse(403, "Forbidden", f"{host} leads to {ours[0]}, which Tule stands for.\n")
                return
            transport, other = await loop.create_connection(self._front.pipe, host, port)
        except (OSError, UnicodeError) as error:
            await self.refuse(502, "Bad Gateway", f"{host}:{port} could not be reached: {error}\n")
            return
        if established:
            await self._send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        if first:
            transport.write(first)
        pipe = self._front.pipe()
        pipe.join(transport)
        mine, _ = await loop.connect_accepted_socket(lambda: pipe, self._sock)
        other.join(mine)

    async def _send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, data)


def address_of(target: str, port: int) -> tuple[str, int]:
    """The host, in its one spelling, and the port of a URI or HOST:PORT; '' and 0 for what is neither.

    >>> address_of("http://LocalHost./x", 80), address_of("[::ffff:127.0.0.1]:1", 80), address_of("[bad", 80)
    (('localhost', 80), ('127.0.0.1', 1), ('', 0))
    """
    try:
        parts = urlsplit(target if "://" in target else "//" + target)
        return canonical_host(parts.hostname or ""), port if parts.port is None else parts.port
    except ValueError:
        return "", 0


def canonical_host(host: str) -> str:
    """A host in its one spelling: lower case, no dot at its end, an address as it is usually written.

    >>> canonical_host("0x7f.1"), canonical_host("2852039166"), canonical_host("Example.COM.")
    ('127.0.0.1', '169.254.169.254', 'example.com')
    """
    name = host.lower().rstrip(".")
    try:
        found = ipaddress.ip_address(name)
        return str(getattr(found, "ipv4_mapped", None) or found)
    except ValueError:
        pass
    try:
        # What the C library takes for an address too: numbers in other bases, or fewer than four.
        return socket.inet_ntoa(socket.inet_aton(name)) if name[:1].isdigit() else name
    except OSError:
        return name


def _may_be_absolute(seen: bytes) -> bool:
    """Whether the beginning of a request line may still turn out to carry an absolute URI."""
    target = seen.partition(b" ")[2][:7].lower()
    return b"http://".startswith(target) or target == b"http://"


async def peek(sock: socket.socket, most: int, enough: Callable[[bytes], bool]) -> bytes:
    """Up to ``most`` waiting bytes of a TCP socket without reading them; b'' when the client has gone.

    Returns once there are ``most`` bytes or ``enough``, or when the client sends no more.
    """
    seen, raised = b"", False
    try:
        while True:
            before = len(seen)
            try:
                seen = sock.recv(most, socket.MSG_PEEK)
            except BlockingIOError:
                await _readable(sock)
                continue
            if not seen or len(seen) >= most or enough(seen) or len(seen) == before:
                return seen
            # What was looked at keeps the socket readable: from here on it is only with more, or at the end.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(seen) + 1)
            raised = True
            await _readable(sock)
    finally:
        if raised:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(sock.fileno(), _wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(sock.fileno())


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


class Inside(asyncio.Protocol):
    """The inside of a TLS connection: HTTP/2 to gRPC, the rest to uvicorn."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._transport: Any = None
        self._data = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        chosen = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        if chosen == "h2":
            self._become(self._front.pipe_to_grpc(b""))
        elif chosen == "http/1.1":
            self._become(self._front.make_http())

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self._data.startswith(_PREFACE):
            self._become(self._front.pipe_to_grpc(self._data))
        elif not _PREFACE.startswith(self._data):
            protocol: Any = self._front.make_http()
            self._become(protocol)
            protocol.data_received(self._data)

    def _become(self, protocol: Any) -> None:
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)


class Pipe(asyncio.Protocol):
    """One side of a copy between two connections; each is slowed to the pace of the other."""

    def __init__(self, open_pipes: set[Pipe]) -> None:
        self._open_pipes = open_pipes
        self._transport: Any = None
        self._other: Any = None
        self._held: list[bytes] = []

    async def open(self, opening: Any, first: bytes) -> None:
        """Join with the connection that is being opened."""
        try:
            transport, other = await opening
        except OSError:
            if self._transport is not None:
                self._transport.close()
            raise
        if self._transport is None or self._transport.is_closing():
            transport.close()
            return
        other.join(self._transport)
        self._other = transport
        for data in (first, *self._held):
            if data:
                transport.write(data)
        self._held = []

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._open_pipes.add(self)

    def cut(self) -> None:
        self._transport.abort()

    def join(self, other: Any) -> None:
        self._other = other
        # A server that speaks first may have spoken before anybody was joined.
        for data in self._held:
            other.write(data)
        self._held = []

    def data_received(self, data: bytes) -> None:
        if self._other is None:
            self._held.append(data)
        else:
            self._other.write(data)

    def pause_writing(self) -> None:
        if self._other is not None:
            self._other.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None and not self._other.is_closing():
            self._other.resume_reading()

    def eof_received(self) -> bool:
        if self._other is not None and self._other.can_write_eof():
            self._other.write_eof()
            return True
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._open_pipes.discard(self)
        if self._other is not None:
            self._other.close()
