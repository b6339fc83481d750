"""Signed tokens: JSON web tokens of a service account's RSA key, and access tokens sealed with a secret of the server.

Only what Google's clients send is understood: RS256 with a string header and JSON claims. Everything else is no token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, Protocol

from tule.kernel.errors import Unauthenticated

_LONGEST = 16_384


def encode(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: str) -> bytes:
    """The bytes of base64url text, padded or not; raises ValueError."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def seal(secret: bytes, claims: dict[str, Any]) -> str:
    """Claims and their HMAC-SHA256 as ``claims.mac``."""
    payload = encode(json.dumps(claims, separators=(",", ":")).encode())
    return f"{payload}.{encode(_mac(secret, payload))}"


def unseal(secret: bytes, text: str) -> dict[str, Any]:
    """The claims of a sealed token; raises Unauthenticated when the seal is not ours. Times are for the caller."""
    payload, _, mac = text.partition(".")
    try:
        given = decode(mac)
    except ValueError:
        given = b""
    if len(text) > _LONGEST or not hmac.compare_digest(given, _mac(secret, payload)):
        raise Unauthenticated("An access token must be one that this server issued", do=RENEW)
    claims: dict[str, Any] = json.loads(decode(payload))
    return claims


RENEW = "run the command under `tule exec`, or take the variables that `tule env` prints"


def _mac(secret: bytes, payload: str) -> bytes:
    return hmac.new(secret, payload.encode(), hashlib.sha256).digest()


class Key(Protocol):
    """What an account signs with."""

    @property
    def id(self) -> str:
        """How a token's header names it."""

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether this key signed a message."""


def read_jwt(text: str, key_of: Callable[[str], Key]) -> dict[str, Any]:
    """The claims of an RS256 JWT; raises Unauthenticated. Times and audience are for the caller.

    ``key_of`` gives the key of the account that a token says to be issued by, or raises Unauthenticated.
    """
    try:
        if len(text) > _LONGEST:
            raise ValueError("it is too long")
        head, payload, signature = text.split(".")
        header, claims = json.loads(decode(head)), json.loads(decode(payload))
        if not isinstance(header, dict) or not isinstance(claims, dict):
            raise ValueError("its parts are not JSON objects")
        # The algorithm is ours to choose: "none" and HMAC with a public key are the classic ways in.
        if header.get("alg") != "RS256":
            raise ValueError("its algorithm is not RS256")
        issuer = claims.get("iss")
        if not isinstance(issuer, str):
            raise ValueError("it names no issuer")
        key = key_of(issuer)
        if header.get("kid") not in (None, key.id):
            raise ValueError("it was signed by another key")
        if not key.signed(f"{head}.{payload}".encode(), decode(signature)):
            raise ValueError("its signature is wrong")
    except (ValueError, RecursionError) as error:
        reason = str(error) if type(error) is ValueError else "it is malformed"
        raise Unauthenticated(
            "A signed token must be an RS256 JWT of the service account that this data directory made",
            given=f"one where {reason}",
            do=RENEW,
        ) from None
    return claims
