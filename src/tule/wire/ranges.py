"""Byte ranges: ``Range`` of downloads and ``Content-Range`` of uploads (RFC 9110, section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tule.kernel.errors import InvalidArgument, OutOfRange

_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")
_CONTENT_RANGE = re.compile(r"bytes (?:(?P<first>[0-9]{1,19})-(?P<last>[0-9]{1,19})|\*)/(?P<total>[0-9]{1,19}|\*)")


@dataclass(frozen=True)
class ContentRange:
    """What a chunk says it is: bytes ``first`` to ``last`` (None: no bytes, a question) of ``total`` (None: unknown)."""

    first: int | None
    last: int | None
    total: int | None

    @property
    def length(self) -> int:
        return 0 if self.first is None or self.last is None else self.last - self.first + 1


def content_range(text: str) -> ContentRange:
    """
    >>> content_range("bytes 0-99/200"), content_range("bytes */*").total
    (ContentRange(first=0, last=99, total=200), None)
    """
    found = _CONTENT_RANGE.fullmatch(text.strip())
    if found is None:
        raise InvalidArgument(
            "Content-Range must be bytes FIRST-LAST/TOTAL, with * for what is unknown", given=repr(text[:100])
        )
    total = None if found["total"] == "*" else int(found["total"])
    if found["first"] is None:
        return ContentRange(None, None, total)
    first, last = int(found["first"]), int(found["last"])
    if last < first or (total is not None and last >= total):
        raise InvalidArgument("Content-Range must name bytes of the file, in order", given=repr(text[:100]))
    return ContentRange(first, last, total)


def byte_range(text: str, size: int) -> tuple[int, int] | None:
    """The first and last byte that a ``Range`` asks for of ``size`` bytes; None for all of them.

    What is not one range of bytes counts as none. OutOfRange when no byte is in it.

    >>> byte_range("bytes=2-", 10), byte_range("bytes=-3", 10), byte_range("bytes=0-99", 10), byte_range("", 10)
    ((2, 9), (7, 9), (0, 9), None)
    """
    found = _RANGE.fullmatch(text.strip())
    if found is None or found.groups() == ("", ""):
        return None
    start, end = found.groups()
    if not start:
        first, last = max(0, size - int(end)), size - 1
    else:
        first, last = int(start), min(int(end), size - 1) if end else size - 1
        if end and int(end) < int(start):
            return None
    if first > last:
        raise OutOfRange(
            "The requested range cannot be satisfied",
            given=f"{text[:60]} of {size} bytes",
            reason="requestedRangeNotSatisfiable",
        )
    return first, last
