"""BYTES: as text of one character for each byte, which the functions of text work on, and what only bytes have.

RE2 and GoogleSQL see BYTES the same way: as characters from 0 to 255.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tule.engines.duckdb.functions.udfs import Row


def _characters(value: bytes) -> str:
    return value.decode("latin-1")


def _octets(text: str) -> bytes:
    return text.encode("latin-1")


def _each(function: Callable[[Any], Any]) -> Callable[[Sequence[Any]], list[Any]]:
    return lambda values: [None if each is None else function(each) for each in values]


def _escaped(value: bytes) -> str:
    """Bytes as %t prints them: what is no printable ASCII is escaped."""
    return "".join(_ESCAPES.get(each) or (chr(each) if 32 <= each < 127 else f"\\x{each:02x}") for each in value)


def _quoted(value: bytes) -> str:
    """A BYTES literal, as %T prints it."""
    return 'b"' + _escaped(value).replace('"', '\\"') + '"'


def _together(bits: Callable[[int, int], int]) -> Callable[[bytes, bytes], bytes]:
    """An operator of bits of two values that are equally long."""

    def made(a: bytes, b: bytes) -> bytes:
        if len(a) != len(b):
            raise ValueError(
                "tule: Bitwise binary operator for BYTES requires equal length of the inputs. "
                f"Got {len(a)} bytes on the left hand side and {len(b)} bytes on the right hand side."
            )
        return bytes(map(bits, a, b))

    return made


def _shifted(value: bytes, places: int, left: bool) -> bytes:
    """The bits moved, as many bytes as before; zeros come in."""
    if places < 0:
        raise ValueError("tule: Bitwise shift by negative offset")
    size = len(value) * 8
    if places >= size:
        return bytes(len(value))
    number = int.from_bytes(value)
    moved = (number << places) & ((1 << size) - 1) if left else number >> places
    return moved.to_bytes(len(value))


_ESCAPES = {ord("\\"): "\\\\", 10: "\\n", 13: "\\r", 9: "\\t"}


FUNCTIONS: tuple[Row, ...] = (
    ("tule_characters", _characters, "BLOB", "VARCHAR"),
    ("tule_octets", _octets, "VARCHAR", "BLOB"),
    ("tule_characters_of_all", _each(_characters), "BLOB[]", "VARCHAR[]"),
    ("tule_octets_of_all", _each(_octets), "VARCHAR[]", "BLOB[]"),
    ("tule_lower_bytes", bytes.lower, "BLOB", "BLOB"),
    ("tule_upper_bytes", bytes.upper, "BLOB", "BLOB"),
    ("tule_bit_count_bytes", lambda value: int.from_bytes(value).bit_count(), "BLOB", "BIGINT"),
    ("tule_bytes_and", _together(operator.and_), "BLOB, BLOB", "BLOB"),
    ("tule_bytes_or", _together(operator.or_), "BLOB, BLOB", "BLOB"),
    ("tule_bytes_xor", _together(operator.xor), "BLOB, BLOB", "BLOB"),
    ("tule_bytes_not", lambda value: bytes(each ^ 255 for each in value), "BLOB", "BLOB"),
    ("tule_bytes_shift_left", lambda value, places: _shifted(value, places, True), "BLOB, BIGINT", "BLOB"),
    ("tule_bytes_shift_right", lambda value, places: _shifted(value, places, False), "BLOB, BIGINT", "BLOB"),
    ("tule_escaped_bytes", _escaped, "BLOB", "VARCHAR"),
    ("tule_quoted_bytes", _quoted, "BLOB", "VARCHAR"),
)
