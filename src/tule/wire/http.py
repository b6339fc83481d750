"""uvicorn's HTTP/1.1 protocol, prompt with clients that send a request in two pieces, and not patient without end.

A request that has a short way (``short.py``) is held here until its body is whole, and answered on the spot: a task and
its messages would cost more than the answer. Every other one becomes a cycle of uvicorn's, which runs the application.

A client behind a proxy setting (urllib3, so ``requests`` and Google's REST transports) leaves Nagle's algorithm on and
sends the head and the body apart: the body waits for the acknowledgement of the head, which the kernel by default holds
back for 40 ms in the hope of an answer to put it on. Asking for it at once, only while a body is outstanding, makes such
a call take one millisecond instead of forty.
"""

from __future__ import annotations

import contextlib
import re
import socket
from typing import Any, cast

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tule.kernel.errors import InvalidArgument
from tule.wire.door import JSON
from tule.wire.errors import body
from tule.wire.short import BEGUN, ShortWays, Way

_LONGEST_HEAD = 64 * 1024


class PromptHttp(HttpToolsProtocol):
    """One connection. ``waited_too_long`` is asked about it from time to time, which costs less than timers."""

    def __init__(self, *arguments: Any, patience: float, short: ShortWays, **named: Any) -> None:
        """``patience``: seconds that a client may take to go on with what it began."""
        super().__init__(*arguments, **named)
        self._patience = patience
        self._short = short
        self._held: Held | None = None
        self._fresh = True
        # The size of a head that is not whole yet, and when it began.
        self._head: int | None = None
        self._began = self._moved = self.loop.time()
        self._in_body = False
        self._unsent = 0

    def data_received(self, data: bytes) -> None:
        self._moved = self.loop.time()
        if self._head is None and not self._in_body and b"pgrade" in data:
            data = _without_upgrade(data)
        super().data_received(data)
        cycle = self.cycle
        if self._held is not None or (cycle is not None and cycle.more_body and not cycle.response_complete):
            _acknowledge(self.transport.get_extra_info("socket"))
        if self._head is not None:
            self._head += len(data)
            if self._head > _LONGEST_HEAD and not self.transport.is_closing():
                self.send_400_response("The head of a request must be at most 64 KiB")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head, self._began = 0, self._moved

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade() and not {b"content-length", b"transfer-encoding"}.isdisjoint(
            name for name, _ in self.headers
        ):
            raise ValueError("the parser takes no body of a request with Upgrade")
        self._head, self._in_body, self._fresh = None, True, False
        way = self._way()
        if way is None:
            self._begin_cycle()
        else:
            self._held = Held(way, self._short.max_body)

    def _way(self) -> Way | None:
        """The short way of the request whose head is here, unless it must wait for an answer before its own."""
        busy = self.cycle is not None and not self.cycle.response_complete
        waits = busy or self.flow.write_paused or self.transport.is_closing()
        if waits or self.expect_100_continue or self.parser.get_method() != b"POST":
            return None
        path, _, query = self.url.partition(b"?")
        if self.url[:1] != b"/" or b"%" in path or b"#" in self.url or not path.isascii():
            return None
        return self._short.find(path.decode(), query, dict(self.headers))

    def _begin_cycle(self) -> None:
        super().on_headers_complete()
        if self.url[:7].lower() == b"http://":
            # A proxy client would send requests for other hosts after this one, and they must be looked at first.
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        held = self._held
        if held is None:
            super().on_body(body)
        elif not held.take(body):
            # Too large: the ordinary way words it.
            self._release(held)

    def on_message_complete(self) -> None:
        self._in_body = False
        held, self._held = self._held, None
        if held is not None:
            found = held.way.answer(held.body())
            if isinstance(found, tuple):
                self._answer(*found)
                return
            if found is not None:
                cast(dict[str, Any], self.scope)[BEGUN] = found
            self._release(held)
        super().on_message_complete()

    def _release(self, held: Held) -> None:
        """Let the application answer what was held."""
        self._held = None
        self._begin_cycle()
        for part in held.parts:
            super().on_body(part)

    def _answer(self, status: int, content: bytes) -> None:
        keep = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        head = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            head += [name, b": ", value, b"\r\n"]
        head += [_JSON, b"content-length: ", str(len(content)).encode(), b"\r\n"]
        head.append(b"\r\n" if keep else b"connection: close\r\n\r\n")
        self.transport.write(b"".join([*head, content]))
        if not keep:
            self.transport.close()
        self.on_response_complete()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a client that closes its side once it has said everything; uvicorn would hang up on it."""
        cycle = self.cycle
        if self._head is not None or self._in_body or cycle is None or cycle.response_complete:
            return False
        cycle.keep_alive = False
        return True

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the form of every other error."""
        error = InvalidArgument(msg.rstrip("."), do="send requests as RFC 9112 has them")
        content = orjson.dumps(body(error))
        head = (
            "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=UTF-8\r\n"
            f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + content)
        self.transport.close()

    def waited_too_long(self, now: float) -> bool:
        """Whether the client is slow with a head, sends no more of a body, or takes no more of an answer."""
        unsent = self.transport.get_write_buffer_size()
        if unsent:
            if unsent != self._unsent:
                self._unsent, self._moved = unsent, now
            return now - self._moved > self._patience
        self._unsent = 0
        if self._head is not None:
            return now - self._began > self._patience
        # Between requests uvicorn's own timer counts; while reading is paused it is we who are slow.
        waiting = self._fresh or (self._in_body and not self.flow.read_paused)
        return waiting and now - self._moved > self._patience


class Held:
    """A request with a short way, while its body arrives."""

    __slots__ = ("_left", "parts", "way")

    def __init__(self, way: Way, most: int) -> None:
        self.way = way
        self.parts: list[bytes] = []
        self._left = most

    def take(self, part: bytes) -> bool:
        """Add a part of the body; False once it is larger than a body may be."""
        self.parts.append(part)
        self._left -= len(part)
        return self._left >= 0

    def body(self) -> bytes:
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)


_JSON = b"content-type: " + JSON.encode() + b"\r\n"
_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)


def _without_upgrade(data: bytes) -> bytes:
    """The beginning of a request without its wish for another protocol, which a server may leave unheard.

    The parser would stop at it, and the request would run without its body: what Java's client sends first.
    """
    head, end, body = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"\r\nx-upgrade:", head) + end + body


def _acknowledge(sock: socket.socket | None) -> None:
    option = getattr(socket, "TCP_QUICKACK", None)
    if sock is not None and option is not None:
        # A socket that is not TCP has no such option.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, 1)
