"""BYTES: as text of one character for each byte, which the functions of text work on, and what only bytes have.

RE2 and GoogleSQL see BYTES the same way: as characters from 0 to 255.
"""

from __future__ import annotations

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


_ESCAPES = {ord("\\"): "\\\\", 10: "\\n", 13: "\\r", 9: "\\t"}


FUNCTIONS: tuple[Row, ...] = (
    ("tule_characters", _characters, "BLOB", "VARCHAR"),
    ("tule_octets", _octets, "VARCHAR", "BLOB"),
    ("tule_characters_of_all", _each(_characters), "BLOB[]", "VARCHAR[]"),
    ("tule_octets_of_all", _each(_octets), "VARCHAR[]", "BLOB[]"),
    ("tule_lower_bytes", bytes.lower, "BLOB", "BLOB"),
    ("tule_upper_bytes", bytes.upper, "BLOB", "BLOB"),
    ("tule_bit_count_bytes", lambda value: int.from_bytes(value).bit_count(), "BLOB", "BIGINT"),
    ("tule_escaped_bytes", _escaped, "BLOB", "VARCHAR"),
    ("tule_quoted_bytes", _quoted, "BLOB", "VARCHAR"),
)
