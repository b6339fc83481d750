"""Page tokens of rows: a position, bound to what is being read."""

from __future__ import annotations

import base64
import binascii
import hashlib

from tule.bigquery.errors import invalid


def token(owner: str, position: int) -> str:
    """The token of the page that begins at row ``position`` of ``owner``."""
    text = f"{_seal(owner)}{position}".encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def position(owner: str, text: str) -> int:
    """The row at which a page begins; raises for a token that is not one of ``owner``'s.

    >>> position("t_1", token("t_1", 7))
    7
    """
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        plain = ""
    seal, number = plain[:12], plain[12:]
    if seal != _seal(owner) or not number.isdigit():
        raise invalid(
            "Invalid page token: it must come from the last answer about the same rows, which may have been replaced "
            f"since; given: {text[:60]!r}. Next: start again without a page token",
            location="pageToken",
        )
    return int(number)


def _seal(owner: str) -> str:
    return hashlib.blake2b(owner.encode(), digest_size=6, person=b"tule rows").hexdigest()
