"""Objects as values, and the names that buckets and objects may have (https://cloud.google.com/storage/docs/buckets)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tule.kernel.errors import InvalidArgument
from tule.kernel.records.store import from_microseconds

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_LONGEST_PART = 63
_LONGEST_KEY = 1024


@dataclass(frozen=True, slots=True)
class Object:
    """One generation of an object. ``body`` holds what its writer said of it: contentType, metadata, ..., as JSON.

    ``crc32c`` and ``md5`` are base64; a composed object has no md5 but the number of its components.
    """

    bucket: str
    key: str
    generation: int
    metageneration: int
    live: bool
    sha256: str
    size: int
    crc32c: str
    md5: str | None
    components: int | None
    create_time: datetime
    update_time: datetime
    delete_time: datetime | None
    body: dict[str, Any]

    @property
    def content_type(self) -> str | None:
        return self.body.get("contentType")


@dataclass(frozen=True, slots=True)
class Piece:
    """One source of a composition: an object of the same bucket, by default its live generation."""

    key: str
    generation: int | None = None
    generation_match: int | None = None


def from_row(row: Mapping[str, Any]) -> Object:
    return Object(
        bucket=row["bucket"],
        key=row["key"],
        generation=row["generation"],
        metageneration=row["metageneration"],
        live=bool(row["live"]),
        sha256=row["sha256"],
        size=row["size"],
        crc32c=row["crc32c"],
        md5=row["md5"],
        components=row["components"],
        create_time=from_microseconds(row["create_us"]),
        update_time=from_microseconds(row["update_us"]),
        delete_time=None if row["delete_us"] is None else from_microseconds(row["delete_us"]),
        body=json.loads(row["body"]),
    )


def check_bucket_name(name: str) -> None:
    fits = _BUCKET.fullmatch(name) is not None and _ADDRESS.fullmatch(name) is None and ".." not in name
    if not fits or any(len(part) > _LONGEST_PART for part in name.split(".")) or name.startswith("goog"):
        raise InvalidArgument(
            "Invalid bucket name: it must be 3 to 63 lower-case letters, digits, hyphens, underscores and dots (63 in "
            "each dotted part), begin and end with a letter or digit, not begin with goog and not be an IP address",
            given=repr(name[:100]),
        )


def check_key(key: str) -> None:
    """Any text may be an object's name, as it never becomes a path; these few are Cloud Storage's own limits."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidArgument("An object name must be valid Unicode", given=repr(key[:80])) from None
    if not 1 <= size <= _LONGEST_KEY:
        raise InvalidArgument(
            f"An object name must be 1 to {_LONGEST_KEY} bytes of UTF-8", given=f"{size} bytes, {key[:40]!r}"
        )
    if (
        any(letter in key for letter in "\r\n\x00")
        or key in (".", "..")
        or key.startswith(".well-known/acme-challenge/")
    ):
        raise InvalidArgument(
            "An object name must have no line break or NUL, not be . or .., and not begin with "
            ".well-known/acme-challenge/",
            given=repr(key[:80]),
        )
