"""Texts of dates and times that are constants, read while a statement is compiled.

Only what is certain is answered: for anything else the engine reads the text, and tells what is wrong with it.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

_DATE = r"(\d{4})-(\d{1,2})-(\d{1,2})"
_CLOCK = r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6}))?"
_ZONE = r"(?:(?P<utc>[Zz])|\s*(?P<offset>[+-]\d{1,2}(?::\d{2})?)|\s+(?P<name>[A-Za-z][\w+/-]*))?"
_PATTERNS = {
    "DATE": re.compile(_DATE),
    "TIME": re.compile(_CLOCK),
    "DATETIME": re.compile(rf"{_DATE}(?:[ Tt]{_CLOCK})?"),
    "TIMESTAMP": re.compile(rf"{_DATE}(?:[ Tt]{_CLOCK})?{_ZONE}"),
}


def constant(text: str, kind: str) -> str | None:
    """A text as the engine writes a value of the type; None for what is not certain."""
    pattern = _PATTERNS.get(kind)
    found = pattern.fullmatch(text) if pattern is not None else None
    if found is None:
        return None
    try:
        return _read(found, kind)
    except (ValueError, OverflowError, OSError):
        return None


def _read(found: re.Match[str], kind: str) -> str:
    groups = found.groups()
    if kind == "TIME":
        return _clock(groups).isoformat()
    day = date(*(int(each) for each in groups[:3]))
    if kind == "DATE":
        return day.isoformat()
    moment = datetime.combine(day, _clock(groups[3:7]))
    if kind == "DATETIME":
        return moment.isoformat(sep=" ")
    moment = moment.replace(tzinfo=_zone(found)).astimezone(UTC)
    return moment.replace(tzinfo=None).isoformat(sep=" ") + "+00"


def _clock(groups: tuple[str | None, ...]) -> time:
    hour, minute, second, fraction = groups[:4]
    if hour is None:
        return time()
    return time(int(hour), int(minute or 0), int(second or 0), int((fraction or "0").ljust(6, "0")))


def _zone(found: re.Match[str]) -> ZoneInfo | timezone:
    if name := found["name"]:
        return ZoneInfo(name)
    offset = found["offset"]
    return offset_of(offset) if offset else UTC


def offset_of(text: str) -> timezone:
    """``+08``, ``-8``, ``+05:30`` as a zone."""
    hours, _, minutes = text[1:].partition(":")
    size = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return timezone(-size if text.startswith("-") else size)


def offset_micros(zone: str) -> int | None:
    """Microseconds that a zone written as an offset is ahead of UTC; None for a zone's name."""
    if zone in ("Z", "z"):
        return 0
    if re.fullmatch(r"[+-]\d{1,2}(?::\d{2})?", zone) is None:
        return None
    return offset_of(zone).utcoffset(None) // timedelta(microseconds=1)
