"""Signed URLs: a request whose address carries the signature of a service account, for that one request.

Both ways that clients sign are understood: GOOG4-RSA-SHA256 (``X-Goog-Signature``) and the older one (``Signature``
with ``GoogleAccessId``). What was signed is put together again from the request; who has the key says if it matches.

https://cloud.google.com/storage/docs/authentication/canonical-requests
https://cloud.google.com/storage/docs/access-control/signed-urls-v2
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote, urlencode

from tule.kernel.errors import Unauthenticated

_ALGORITHM = "GOOG4-RSA-SHA256"
_LONGEST = 7 * 24 * 3600
# Sent along with the older kind, not signed by it.
_V2_OWN = ("GoogleAccessId", "Expires", "Signature")
_SKEW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class SignedURL:
    """Who is said to have signed, the signature, and the messages it may be of."""

    email: str
    signature: bytes
    messages: tuple[bytes, ...]


def is_signed(query: Mapping[str, str]) -> bool:
    """Whether a request claims to be signed by its address."""
    return "X-Goog-Signature" in query or ("Signature" in query and "GoogleAccessId" in query)


def read(
    headers: Mapping[str, str], query: Mapping[str, str], *, method: str, host: str, path: str, now: datetime
) -> SignedURL:
    """The claim of a signed request; raises Unauthenticated when its time is over or its parts make no sense.

    ``path`` may be percent-encoded or not, header names are lower case.
    """
    if "X-Goog-Signature" in query:
        return _version_4({"host": host, **headers}, query, method, path, now)
    return _version_2(headers, query, method, path, now)


def _version_4(
    headers: Mapping[str, str], query: Mapping[str, str], method: str, path: str, now: datetime
) -> SignedURL:
    if query.get("X-Goog-Algorithm") != _ALGORITHM:
        raise Unauthenticated(f"A signed URL must use {_ALGORITHM}", given=repr(query.get("X-Goog-Algorithm")))
    try:
        email, scope = query["X-Goog-Credential"].split("/", 1)
        signed_at = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        lifetime = int(query["X-Goog-Expires"])
        names = query["X-Goog-SignedHeaders"].split(";")
        signature = bytes.fromhex(query["X-Goog-Signature"])
    except (KeyError, ValueError) as error:
        raise Unauthenticated(
            "A signed URL must have X-Goog-Credential, -Date, -Expires, -SignedHeaders and -Signature as made",
            given=f"a wrong or missing one: {error}",
        ) from None
    if not 0 < lifetime <= _LONGEST:
        raise Unauthenticated(f"A signed URL must be for 1 to {_LONGEST} seconds", given=lifetime)
    if "host" not in names:
        raise Unauthenticated("The Host of a signed URL must be signed", given=", ".join(names))
    _check_time(signed_at, signed_at + timedelta(seconds=lifetime), now)
    pairs = sorted(f"{_quoted(key)}={_quoted(value)}" for key, value in query.items() if key != "X-Goog-Signature")
    canonical_headers = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names)
    messages = []
    for resource in _spellings(path):
        request = "\n".join(
            (
                method.upper(),
                resource,
                "&".join(pairs),
                canonical_headers,
                ";".join(names),
                headers.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD"),
            )
        )
        digest = hashlib.sha256(request.encode()).hexdigest()
        messages.append("\n".join((_ALGORITHM, query["X-Goog-Date"], scope, digest)).encode())
    return SignedURL(email, signature, tuple(messages))


def _version_2(
    headers: Mapping[str, str], query: Mapping[str, str], method: str, path: str, now: datetime
) -> SignedURL:
    try:
        ends = datetime.fromtimestamp(int(query["Expires"]), UTC)
        signature = base64.b64decode(query["Signature"], validate=True)
    except (KeyError, ValueError, OverflowError, OSError, binascii.Error) as error:
        raise Unauthenticated(
            "A signed URL must have Expires and Signature as they were made", given=f"a wrong or missing one: {error}"
        ) from None
    _check_time(None, ends, now)
    extensions = sorted(
        f"{name}:{' '.join(value.split())}" for name, value in headers.items() if name.startswith("x-goog-")
    )
    # Clients sign the parameters they are told to and add others afterwards: all or none were signed.
    rest = sorted((key.lower(), value) for key, value in query.items() if key not in _V2_OWN)
    messages = []
    for resource in _spellings(path):
        for signed in dict.fromkeys((f"{resource}?{urlencode(rest)}" if rest else resource, resource)):
            head = (method.upper(), headers.get("content-md5", ""), headers.get("content-type", ""), query["Expires"])
            messages.append("\n".join((*head, *extensions, signed)).encode())
    return SignedURL(query["GoogleAccessId"], signature, tuple(messages))


def _check_time(begins: datetime | None, ends: datetime, now: datetime) -> None:
    if now > ends:
        raise Unauthenticated(
            "A signed URL must be used before it expires",
            given=f"one that expired {ends.isoformat()}",
            do="sign a new one",
            reason="ExpiredToken",
        )
    if begins is not None and begins > now + _SKEW:
        raise Unauthenticated(
            "A signed URL must not come from the future",
            given=f"one signed at {begins.isoformat()}",
            do="set the clocks alike",
        )


def _spellings(path: str) -> Iterator[str]:
    """The path as clients may have encoded it: as it came, and encoded as Google's own client does."""
    yield from dict.fromkeys((path, quote(unquote(path), safe="/~"), quote(path, safe="/~")))


def _quoted(text: str) -> str:
    return quote(text, safe="~")
