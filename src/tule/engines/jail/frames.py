"""What the server and a jailed worker say to each other: frames of a JSON object and raw bytes over a pair of pipes.

A frame is two 32-bit lengths, the JSON, the bytes. The server trusts neither length nor content: a frame that is too
large or is not JSON ends the worker.
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
from collections.abc import Callable
from typing import Any

import orjson

LIMIT = 256 * 2**20
"""Largest frame, bytes."""

_LENGTHS = struct.Struct("=II")


class BrokenFrame(Exception):
    """The other side sent something that is not a frame."""


class Closed(Exception):
    """The other side is gone."""


class TooLate(Exception):
    """The time was up before the frame was whole."""


Remaining = Callable[[], float]
"""The seconds that are left, zero or less when the time is up."""


def write(handle: int, message: dict[str, Any], data: bytes = b"", remaining: Remaining | None = None) -> None:
    """Send one frame. Closed when nobody reads any more, TooLate when the reader did not take it in time.

    With ``remaining`` the handle must be non-blocking.
    """
    text = orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY)
    pieces = memoryview(_LENGTHS.pack(len(text), len(data)) + text + data)
    try:
        while pieces:
            _wait(handle, select.POLLOUT, remaining)
            with contextlib.suppress(BlockingIOError):
                pieces = pieces[os.write(handle, pieces) :]
    except OSError as error:
        raise Closed(str(error)) from error


def read(handle: int, remaining: Remaining | None = None) -> tuple[dict[str, Any], bytes]:
    """The next frame: its JSON object and its bytes."""
    text_length, data_length = _LENGTHS.unpack(_exactly(handle, _LENGTHS.size, remaining))
    if text_length + data_length > LIMIT:
        raise BrokenFrame(f"a frame of {text_length + data_length} bytes, over the limit of {LIMIT}")
    text = _exactly(handle, text_length, remaining)
    data = _exactly(handle, data_length, remaining)
    try:
        message = orjson.loads(text)
    except ValueError as error:
        raise BrokenFrame(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise BrokenFrame("not a JSON object")
    return message, data


def _wait(handle: int, event: int, remaining: Remaining | None) -> None:
    if remaining is None:
        return
    waiting = select.poll()
    waiting.register(handle, event)
    left = remaining()
    if left <= 0 or not waiting.poll(left * 1000):
        raise TooLate("the time is up")


def _exactly(handle: int, size: int, remaining: Remaining | None) -> bytes:
    pieces: list[bytes] = []
    while size:
        _wait(handle, select.POLLIN, remaining)
        try:
            piece = os.read(handle, min(size, 1 << 20))
        except BlockingIOError:
            continue
        if not piece:
            raise Closed("end of stream")
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
