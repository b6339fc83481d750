"""When a transfer runs: the schedule texts of the Data Transfer API, in UTC.

    every 15 minutes                     every 6 hours from 08:00 to 20:00        every day 09:00
    every mon,wed 17:30                  1st,third monday of month 15:30          every fri of jan,jun 13:15
    first sunday of quarter 00:00        1,15 of month 06:00

https://cloud.google.com/appengine/docs/flexible/scheduling-jobs-with-cron-yaml#formatting_the_schedule
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from tule.kernel.errors import InvalidArgument

SHORTEST = timedelta(minutes=5)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ORDINALS = {
    "1st": 1, "first": 1, "2nd": 2, "second": 2, "3rd": 3, "third": 3, "4th": 4, "fourth": 4, "5th": 5, "fifth": 5,
}  # fmt: skip
_QUARTERS = frozenset({1, 4, 7, 10})
_FURTHEST = 366 * 5

_CLOCK = r"(?P<{0}>\d{{1,2}}:\d{{2}})"
_INTERVAL = re.compile(
    r"every\s+(?P<count>\d+)\s*(?P<unit>hours?|hrs?|h|minutes?|mins?|m)"
    rf"(?:\s+(?:synchronized|from\s+{_CLOCK.format('first')}\s+to\s+{_CLOCK.format('last')}))?"
)
_CALENDAR = re.compile(
    rf"(?P<which>every|[\w,]+?)\s+(?:(?P<days>day|[a-z,]+)\s+)?(?:of\s+(?P<months>[a-z,]+)\s+)?{_CLOCK.format('at')}"
)
_MONTH_DAYS = re.compile(rf"(?P<days>\d[\d,]*)\s+of\s+(?P<months>[a-z,]+)\s+{_CLOCK.format('at')}")


@dataclass(frozen=True)
class Schedule:
    """A schedule. ``interval`` counts from the moment the transfer was made; ``wanted`` says on which days it runs."""

    text: str
    interval: timedelta | None = None
    window: tuple[time, time] | None = None
    wanted: Callable[[date], bool] | None = None
    at: time = time(0)

    def next_after(self, moment: datetime, anchor: datetime) -> datetime:
        """The first run after ``moment``; intervals count from ``anchor``."""
        if self.interval is not None:
            return self._next_interval(moment, anchor, self.interval)
        assert self.wanted is not None
        for ahead in range(_FURTHEST):
            day = (moment + timedelta(days=ahead)).date()
            found = datetime.combine(day, self.at, UTC)
            if found > moment and self.wanted(day):
                return found
        raise _wrong(self.text)

    def _next_interval(self, moment: datetime, anchor: datetime, interval: timedelta) -> datetime:
        if self.window is None:
            steps = max(0, (moment - anchor) // interval + 1)
            return anchor + steps * interval
        first, last = self.window
        for ahead in range(2):
            day = (moment + timedelta(days=ahead)).date()
            begin, end = (datetime.combine(day, edge, UTC) for edge in (first, last))
            found = begin + max(0, (moment - begin) // interval + 1) * interval
            if found <= end:
                return found
        raise _wrong(self.text)


def read(text: str) -> Schedule:
    """A schedule from its text; raises InvalidArgument naming the forms there are."""
    words = " ".join(text.lower().split())
    if found := _INTERVAL.fullmatch(words):
        interval = int(found["count"]) * (timedelta(hours=1) if found["unit"].startswith("h") else timedelta(minutes=1))
        if interval < SHORTEST:
            raise InvalidArgument(
                "A transfer must not run more often than every 5 minutes", given=repr(text), location="schedule"
            )
        window = None
        if found["first"]:
            window = (_clock(found["first"], text), _clock(found["last"], text))
            if window[0] > window[1]:
                raise _wrong(text)
        return Schedule(text, interval=interval, window=window)
    if found := _MONTH_DAYS.fullmatch(words):
        days = {int(each) for each in found["days"].split(",") if each}
        months = _months(found["months"], text)
        if not days or not days <= set(range(1, 32)):
            raise _wrong(text)
        return Schedule(text, wanted=lambda day: day.day in days and day.month in months, at=_clock(found["at"], text))
    if found := _CALENDAR.fullmatch(words):
        return _calendar(found, text)
    raise _wrong(text)


def _calendar(found: re.Match[str], text: str) -> Schedule:
    ordinals = None
    if found["which"] != "every":
        names = found["which"].split(",")
        if not all(name in _ORDINALS for name in names):
            raise _wrong(text)
        ordinals = {_ORDINALS[name] for name in names}
    weekdays = _weekdays(found["days"] or "", text)
    months = _months(found["months"] or "month", text)

    def wanted(day: date) -> bool:
        if day.month not in months:
            return False
        if weekdays is None:
            return ordinals is None or day.day in ordinals
        return day.weekday() in weekdays and (ordinals is None or (day.day - 1) // 7 + 1 in ordinals)

    return Schedule(text, wanted=wanted, at=_clock(found["at"], text))


def _weekdays(words: str, text: str) -> set[int] | None:
    """Numbers of weekdays from Monday 0; None for every day."""
    if words == "day":
        return None
    found = set()
    for word in words.split(","):
        if word in _DAYS:
            found.add(_DAYS.index(word))
        elif word in _DAY_NAMES:
            found.add(_DAY_NAMES.index(word))
        else:
            raise _wrong(text)
    return found


def _months(words: str, text: str) -> frozenset[int]:
    if words == "month":
        return frozenset(range(1, 13))
    if words == "quarter":
        return _QUARTERS
    found = set()
    for word in words.split(","):
        if word[:3] not in _MONTHS:
            raise _wrong(text)
        found.add(_MONTHS.index(word[:3]) + 1)
    return frozenset(found)


def _clock(text: str, whole: str) -> time:
    hour, _, minute = text.partition(":")
    if int(hour) > 23 or int(minute) > 59:
        raise _wrong(whole)
    return time(int(hour), int(minute))


def _wrong(text: str) -> InvalidArgument:
    return InvalidArgument(
        "schedule must say when to run",
        given=repr(text),
        do="write 'every 24 hours', 'every day 09:00', 'every mon,wed 17:30', '1st monday of month 08:00' or "
        "'1,15 of month 06:00' (UTC)",
        location="schedule",
    )


__all__ = ["SHORTEST", "Schedule", "read"]
