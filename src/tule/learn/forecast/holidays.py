"""Holidays: which days they are in a region, and what they do to a series of days or weeks.

Dates come from the ``holidays`` package (an extra); names are its English ones in one word, ``ChristmasDay``.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tule.kernel.errors import FailedPrecondition, InvalidArgument
from tule.learn.forecast.frequency import DAY, Grid

GROUPS: dict[str, tuple[str, ...]] = {
    "NA": ("CA", "US"),
    "JAPAC": ("AU", "CN", "HK", "ID", "IN", "JP", "KR", "MY", "NZ", "PH", "SG", "TH", "TW", "VN"),
    "EMEA": (
        "AE", "AT", "BE", "CH", "CZ", "DE", "DK", "DZ", "EE", "EG", "ES", "FI", "FR", "GB", "GR", "HU", "IE", "IL", "IT",
        "KE", "LT", "LV", "MA", "NG", "NL", "NO", "PL", "PT", "RO", "RS", "RU", "SA", "SE", "SI", "SK", "TR", "UA", "ZA",
    ),
    "LAC": ("AR", "BO", "BR", "CL", "CO", "CR", "EC", "GT", "MX", "PE", "PY", "UY", "VE"),
}  # fmt: skip
REGIONS: tuple[str, ...] = ("GLOBAL", *GROUPS, *sorted({code for codes in GROUPS.values() for code in codes}))
_LONGEST_WINDOW = 30
_SHRINK = 0.3
"""How much of an occurrence without effect each holiday starts with."""
_CLEAR = 2.5
"""Standard errors by which one day of a holiday must differ for the holiday to count."""


@dataclass(frozen=True)
class Holiday:
    """One occurrence: a row of ML.HOLIDAY_INFO. The window goes from ``before`` days earlier to ``after`` days later."""

    region: str
    name: str
    day: datetime.date
    before: int = 1
    after: int = 1

    def to_json(self) -> list[Any]:
        return [self.region, self.name, self.day.isoformat(), self.before, self.after]

    @classmethod
    def from_json(cls, text: Sequence[Any]) -> Holiday:
        return cls(text[0], text[1], datetime.date.fromisoformat(text[2]), text[3], text[4])


def check_region(region: str) -> str:
    """The region in upper case; InvalidArgument if it is not known."""
    name = region.upper()
    if name not in REGIONS:
        raise InvalidArgument(
            "HOLIDAY_REGION must be a known region",
            given=region,
            do=f"use one of {', '.join(REGIONS)}",
            location="holiday_region",
        )
    return name


def check_custom(holiday: Holiday) -> Holiday:
    """Refuse a custom holiday whose name or window is not allowed."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,299}", holiday.name):
        raise InvalidArgument(
            "A holiday_name must be a valid column name: letters, digits and underscores, no digit first",
            given=repr(holiday.name),
            do="rename it",
        )
    if holiday.before < 1 or holiday.after < 1:
        raise InvalidArgument(
            "preholiday_days and postholiday_days must be at least 1",
            given=f"{holiday.before} and {holiday.after} for {holiday.name}",
        )
    if holiday.before + holiday.after + 1 > _LONGEST_WINDOW:
        raise InvalidArgument(
            f"A holiday's window may have at most {_LONGEST_WINDOW} days",
            given=f"{holiday.before} before and {holiday.after} after {holiday.name}",
        )
    return holiday


@functools.lru_cache(maxsize=256)
def _country(code: str, first: int, last: int) -> tuple[tuple[datetime.date, str], ...]:
    """(day, name) of the public holidays of some years."""
    import holidays

    spoken = holidays.country_holidays(code).supported_languages
    language = next((each for each in ("en_US", "en_GB", "en") if each in spoken), None)
    table = holidays.country_holidays(code, years=range(first, last + 1), language=language, observed=False)
    return tuple((day, _word(name)) for day, names in table.items() for name in names.split("; "))


def of_regions(regions: Iterable[str], first: datetime.date, last: datetime.date) -> list[Holiday]:
    """The public holidays of regions between two days, in the order of days. A group of countries keeps its own name."""
    try:
        import holidays  # noqa: F401
    except ImportError as error:
        raise FailedPrecondition(
            "HOLIDAY_REGION needs the holidays package",
            given="it is not installed",
            do="pip install 'tule[holidays]', or give custom holidays",
        ) from error
    found: dict[tuple[str, str, datetime.date], Holiday] = {}
    for region in regions:
        codes = REGIONS[len(GROUPS) + 1 :] if region == "GLOBAL" else GROUPS.get(region, (region,))
        seen: dict[tuple[str, datetime.date], int] = {}
        for code in codes:
            for day, name in _country(code, first.year, last.year):
                seen[name, day] = seen.get((name, day), 0) + 1
        for (name, day), count in seen.items():
            # What one country of many keeps is no holiday of the whole group.
            if name and first <= day <= last and (len(codes) < 3 or count * 4 >= len(codes)):
                found.setdefault((region, name, day), Holiday(region, name, day))
    return sorted(found.values(), key=lambda each: (each.day, each.region, each.name))


def _word(name: str) -> str:
    name = re.sub(r"\((?:estimated|observed)\)", "", name)
    words = re.findall(r"[A-Za-z0-9]+", name.replace("'", "").replace("\u2019", ""))
    text = "".join(word[0].upper() + word[1:] for word in words)
    return f"_{text}" if text[:1].isdigit() else text


@dataclass(frozen=True)
class Effect:
    """What one holiday does: a number for each day of its window (weeks: one for the week that holds its day)."""

    name: str
    values: np.ndarray

    def to_json(self) -> list[Any]:
        return [self.name, self.values.tolist()]

    @classmethod
    def from_json(cls, text: Sequence[Any]) -> Effect:
        return cls(text[0], np.array(text[1], dtype=float))


class Calendar:
    """Holidays of a model, and where their days fall on a grid of days or weeks."""

    def __init__(self, days: Sequence[Holiday]) -> None:
        self.days = list(days)
        self.by_name: dict[str, list[Holiday]] = {}
        for holiday in self.days:
            self.by_name.setdefault(holiday.name, []).append(holiday)

    def fits(self, grid: Grid) -> bool:
        """Whether holidays are modelled at all: daily or weekly points over more than a year."""
        last = int(grid.times(grid.points - 1, 1)[0])
        return bool(self.days) and grid.name in ("DAILY", "WEEKLY") and last - grid.first > 365 * DAY

    def cells(self, name: str, grid: Grid, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """(places from ``start`` on, which number of the effect) of a holiday's days among ``count`` points."""
        places, numbers = [], []
        for holiday in self.by_name[name]:
            noon = _microseconds(holiday.day) + DAY // 2
            # A point at time t stands for the day (or the seven days) that begins with t, whatever its hour.
            if grid.step == DAY:
                middle = (noon - (grid.first - grid.first % DAY)) // DAY
                for number, at in enumerate(range(middle - holiday.before, middle + holiday.after + 1)):
                    places.append(at)
                    numbers.append(number)
            else:
                places.append((noon - grid.first) // grid.step)
                numbers.append(0)
        found, which = np.array(places, dtype=np.int64) - start, np.array(numbers, dtype=np.int64)
        inside = (found >= 0) & (found < count)
        found, which = found[inside], which[inside]
        _, once = np.unique(found, return_index=True)
        return found[once], which[once]

    def covered(self, grid: Grid) -> np.ndarray:
        """Which training points lie in a holiday's window."""
        found = np.zeros(grid.points, dtype=bool)
        for name in self.by_name:
            found[self.cells(name, grid, 0, grid.points)[0]] = True
        return found

    def effects(self, remainder: np.ndarray, grid: Grid) -> list[Effect]:
        """Mean remainders of each holiday's days over the years, shrunk; holidays that change nothing are left out."""
        columns: list[tuple[str, int]] = []
        rows: list[np.ndarray] = []
        for name in self.by_name:
            places, numbers = self.cells(name, grid, 0, grid.points)
            for number in range(int(numbers.max()) + 1 if len(numbers) else 0):
                columns.append((name, number))
                rows.append(places[numbers == number])
        if not columns:
            return []
        design = np.zeros((grid.points, len(columns)))
        for at, places in enumerate(rows):
            design[places, at] = 1.0
        quiet = remainder[design.sum(axis=1) == 0.0]
        noise = float(np.std(quiet)) if len(quiet) > 1 else 0.0
        gram = design.T @ design + _SHRINK * np.eye(len(columns))
        solved = np.linalg.solve(gram, design.T @ (remainder - (float(quiet.mean()) if len(quiet) else 0.0)))
        clear: dict[str, bool] = {}
        values: dict[str, list[float]] = {}
        for (name, _), value, places in zip(columns, solved, rows, strict=True):
            values.setdefault(name, []).append(float(value))
            clear[name] = clear.get(name, False) or bool(
                len(places) and abs(value) * np.sqrt(len(places)) > _CLEAR * noise and abs(value) > 1e-9
            )
        return [Effect(name, np.array(numbers)) for name, numbers in values.items() if clear[name]]

    def line(self, effect: Effect, grid: Grid, start: int, count: int) -> np.ndarray:
        """An effect on ``count`` points from place ``start`` on."""
        found = np.zeros(count)
        places, numbers = self.cells(effect.name, grid, start, count)
        known = numbers < len(effect.values)
        found[places[known]] = effect.values[numbers[known]]
        return found


def _microseconds(day: datetime.date) -> int:
    return int(np.datetime64(day, "us").astype(np.int64))
