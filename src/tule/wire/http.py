"""uvicorn's HTTP/1.1 protocol, prompt with clients that send a request in two pieces.

A client behind a proxy setting (urllib3, so ``requests`` and Google's REST transports) leaves Nagle's algorithm on and
sends the head and the body apart: the body waits for the acknowledgement of the head, which the kernel by default holds
back for 40 ms in the hope of an answer to put it on. Asking for it at once, only while a body is outstanding, makes such
a call take one millisecond instead of forty.
"""

from __future__ import annotations

import contextlib
import socket

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PromptHttp(HttpToolsProtocol):
    """Acknowledges the head of a request at once when its body has not come yet."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and self.cycle.more_body:
            _acknowledge(self.transport.get_extra_info("socket"))


def _acknowledge(sock: socket.socket | None) -> None:
    option = getattr(socket, "TCP_QUICKACK", None)
    if sock is not None and option is not None:
        # A socket that is not TCP has no such option.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, 1)
