"""A network of a process's own, in which nothing is but the server: a namespace of the kernel and a relay into it."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import threading

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_PIECE = 1 << 16
_BACKLOG = 128


def close_network(port: int, pipe: socket.socket) -> None:
    """Leave the machine's network for one of this process's own; a listener at ``port`` of it goes through the pipe."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"unshare: {os.strerror(code)}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen(_BACKLOG)
        socket.send_fds(pipe, [b"."], [listener.fileno()])


def serve_network(host: str, port: int, pipe: socket.socket) -> None:
    """Take the listener out of the pipe and lead its connections to the server, on threads of their own."""
    _, descriptors, _, _ = socket.recv_fds(pipe, 1, 1)
    if descriptors:
        listener = socket.socket(fileno=descriptors[0])
        threading.Thread(target=_accept, args=(listener, host, port), name="network", daemon=True).start()


def _accept(listener: socket.socket, host: str, port: int) -> None:
    while True:
        inside, _ = listener.accept()
        threading.Thread(target=_relay, args=(inside, host, port), name="network", daemon=True).start()


def _relay(inside: socket.socket, host: str, port: int) -> None:
    with inside:
        try:
            outside = socket.create_connection((host, port))
        except OSError:
            return
        with outside:
            back = threading.Thread(target=_copy, args=(outside, inside), name="network", daemon=True)
            back.start()
            _copy(inside, outside)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Until the source ends; the target is told so."""
    with contextlib.suppress(OSError):
        while data := source.recv(_PIECE):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
