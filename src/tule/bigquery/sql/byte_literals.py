"""Literals of BYTES: ``b'...'`` with escapes, ``rb'...'`` and ``br'...'`` without.

https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#string_and_bytes_literals
"""

from __future__ import annotations

import re
from typing import Any

from sqlglot import exp

RAW_PREFIXES = ("rb", "rB", "Rb", "RB", "br", "bR", "Br", "BR")
_OCTETS = "tule_octets"
"""Meta of a ByteString: its content, where the characters of the token do not tell it."""

_ESCAPE = re.compile(r"\\(?:[xX](?P<hex>[0-9a-fA-F]{2})|(?P<octal>[0-3][0-7]{2})|(?P<plain>.))", re.DOTALL)
_PLAIN = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}


def byte_literal(token: Any, source: str) -> exp.ByteString:
    """The node of a token of BYTES; ``source`` is how it is written."""
    made = exp.ByteString(this=token.text)
    if not source.isascii():
        made.meta[_OCTETS] = _content(source)
    return made


def raw_literal(token: Any, source: str) -> Any:
    """The node of a raw token, which is of BYTES where its prefix has a b."""
    prefix = source[: re.search(r"['\"]", source).start()].lower() if source else "r"  # type: ignore[union-attr]
    if "b" not in prefix:
        return exp.RawString(this=token.text)
    made = exp.ByteString(this=token.text)
    made.meta[_OCTETS] = token.text.encode()
    return made


def octets(node: Any) -> bytes:
    """What a ByteString says."""
    known: bytes | None = node.meta.get(_OCTETS)
    return node.this.encode("latin-1") if known is None else known


def printed_bytes(node: Any) -> str:
    """A ByteString as GoogleSQL text."""
    return "b'" + "".join(f"\\x{each:02x}" for each in octets(node)) + "'"


def _content(source: str) -> bytes:
    """What ``b'...'`` says: characters in UTF-8, escapes as single bytes."""
    quote = 3 if source[1:4] in ("'''", '"""') else 1
    body, made, at = source[1 + quote : -quote], b"", 0
    for found in _ESCAPE.finditer(body):
        made += body[at : found.start()].encode() + _escaped(found)
        at = found.end()
    return made + body[at:].encode()


def _escaped(found: re.Match[str]) -> bytes:
    if found["hex"]:
        return bytes.fromhex(found["hex"])
    if found["octal"]:
        return bytes([int(found["octal"], 8)])
    plain = found["plain"]
    return bytes([_PLAIN[plain]]) if plain in _PLAIN else plain.encode()
