"""Messages around a large value, serialized without copying the value into a message first.

A message that carries megabytes in one field would copy them into the field, out of it into the message around, and once
more into its bytes. Protobuf merges what comes twice, so the value may as well stand behind the bytes of the rest.
https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_LENGTH_DELIMITED = 2


@dataclass(frozen=True)
class Serialized:
    """The bytes of a response, which the door has made itself."""

    data: bytes


def spliced(message: Any, path: Sequence[str], value: Any) -> Serialized:
    """A plain protobuf message with ``value`` (bytes, or what has a buffer) in the bytes field at ``path``, which is not
    set in the message. Only the last field of the path is one of bytes, the others are messages."""
    descriptor, tags = message.DESCRIPTOR, []
    for name in path:
        field = descriptor.fields_by_name[name]
        tags.append(_varint(field.number << 3 | _LENGTH_DELIMITED))
        descriptor = field.message_type
    length = memoryview(value).nbytes
    head = b""
    for tag in reversed(tags):
        head = tag + _varint(length + len(head)) + head
    return Serialized(b"".join((message.SerializeToString(), head, value)))


def joined(message: Any, name: str, parts: Iterable[bytes]) -> Serialized:
    """A plain protobuf message with messages, serialized before, in its repeated field ``name``."""
    tag = _varint(message.DESCRIPTOR.fields_by_name[name].number << 3 | _LENGTH_DELIMITED)
    pieces = [message.SerializeToString()]
    for part in parts:
        pieces += (tag, _varint(len(part)), part)
    return Serialized(b"".join(pieces))


def _varint(number: int) -> bytes:
    """
    >>> _varint(1), _varint(300)
    (b'\\x01', b'\\xac\\x02')
    """
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)
