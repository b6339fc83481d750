"""Page tokens (https://google.aip.dev/158): the sort key of the last record seen, bound to the request that asked.

A token holds a key, not a number of rows to skip: records that come or go between two pages neither repeat nor hide
others. A token given with another parent, filter or order is refused, as is one that was changed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

from tule.kernel.errors import InvalidArgument


def token(request: tuple[str, ...], key: list[Any]) -> str:
    """The opaque token of the page after ``key`` in the answer to ``request``."""
    payload = json.dumps(key, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_seal(request, payload) + payload).decode().rstrip("=")


def key_of(request: tuple[str, ...], text: str) -> list[Any]:
    """The key inside a token; raises InvalidArgument when the token is not one for ``request``."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        seal, payload = raw[:_SEAL], raw[_SEAL:]
        if seal == _seal(request, payload):
            key = json.loads(payload)
            if isinstance(key, list):
                return key
    except (binascii.Error, ValueError):
        pass
    raise InvalidArgument(
        "A page token must come from the last answer to the same request: parent, filter and order_by may not change",
        given=repr(text[:60]),
        do="start again without a page token",
    )


_SEAL = 9


def _seal(request: tuple[str, ...], payload: bytes) -> bytes:
    text = json.dumps(request, separators=(",", ":")).encode()
    return hashlib.blake2b(text + b"\x00" + payload, digest_size=_SEAL, person=b"tule page token").digest()
