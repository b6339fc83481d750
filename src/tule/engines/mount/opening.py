"""The first word of the kernel's protocol (FUSE), and the wait for a second one.

Apart, because most processes never look below ``/gcs``: what serves files is loaded for those that do.
"""

from __future__ import annotations

import os
import select
import struct

IN = struct.Struct("<IIQQIIIHH")
OUT = struct.Struct("<IiQ")
MOST = 1 << 20
"""The most bytes of one read or write."""
PAGE = 4096
ROOM = MOST + 2 * PAGE
"""What the kernel wants every read of a request to have room for."""

_INIT_IN = struct.Struct("<IIII")
_INIT_OUT = struct.Struct("<IIIIHHIIHHII24x")
_ASYNC_READ, _ATOMIC_O_TRUNC, _BIG_WRITES = 1 << 0, 1 << 3, 1 << 5
_AUTO_INVAL_DATA, _PARALLEL_DIROPS, _MAX_PAGES = 1 << 12, 1 << 18, 1 << 22
_WANTED = _ASYNC_READ | _ATOMIC_O_TRUNC | _BIG_WRITES | _AUTO_INVAL_DATA | _PARALLEL_DIROPS | _MAX_PAGES
_MAJOR, _MINOR = 7, 31
_BACKGROUND, _CONGESTED = 16, 12


def greet(device: int) -> None:
    """Answer the request with which the kernel opens a mount."""
    request = os.read(device, ROOM)
    _, _, unique, *_ = IN.unpack_from(request)
    _, minor, ahead, flags = _INIT_IN.unpack_from(request, IN.size)
    answer = _INIT_OUT.pack(
        _MAJOR, min(minor, _MINOR), min(ahead, MOST), flags & _WANTED, _BACKGROUND, _CONGESTED, MOST, 1, MOST // PAGE,
        0, 0, 0,
    )  # fmt: skip
    os.writev(device, [OUT.pack(OUT.size + len(answer), 0, unique), answer])


def is_wanted(device: int, child: int) -> bool:
    """Wait until something is asked for; False when the child process ended before."""
    ended = os.pidfd_open(child)
    waiting = select.poll()
    waiting.register(device, select.POLLIN)
    waiting.register(ended, select.POLLIN)
    try:
        return any(descriptor == device for descriptor, _ in waiting.poll())
    finally:
        os.close(ended)
