"""The time axis of a series: how far apart its points are, the regular grid they lie on, and what comes after.

Times are microseconds since 1970 in UTC. Months, quarters and years are counted in the calendar, other steps are lengths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tule.kernel.errors import InvalidArgument, ResourceExhausted

SECOND = 1_000_000
DAY = 86_400 * SECOND
STEPS = {"PER_MINUTE": 60 * SECOND, "HOURLY": 3600 * SECOND, "DAILY": DAY, "WEEKLY": 7 * DAY}
MONTHS = {"MONTHLY": 1, "QUARTERLY": 3, "YEARLY": 12}
FREQUENCIES = (*STEPS, *MONTHS)
MOST_POINTS = 500_000
"""Points of one series after its gaps are filled."""
_USUAL = 0.6
"""The share of steps that must be equal for an unnamed frequency (every ten minutes, say)."""
_MEAN_MONTH = 365.2425 / 12 * DAY


@dataclass(frozen=True)
class Grid:
    """A regular axis: the time of its first point, the step (microseconds, or calendar months), the number of points."""

    first: int
    step: int
    months: bool
    points: int

    @property
    def name(self) -> str:
        """DATA_FREQUENCY's word for it; for steps that have none, how long they are."""
        table = MONTHS if self.months else STEPS
        names = [name for name, step in table.items() if step == self.step]
        return names[0] if names else f"EVERY_{self.step // SECOND}_SECONDS"

    @property
    def points_per_day(self) -> float:
        return DAY / (self.step * _MEAN_MONTH if self.months else self.step)

    def times(self, start: int, count: int) -> np.ndarray:
        """The times of ``count`` points from place ``start`` on (places after the last point are the future)."""
        places = np.arange(start, start + count, dtype=np.int64)
        if not self.months:
            return self.first + places * self.step
        first = np.int64(self.first).astype("datetime64[us]")
        month = first.astype("datetime64[M]")
        offset = first - month
        months = month + places * self.step
        # The 31st becomes the last day of a shorter month.
        longest = (months + 1).astype("datetime64[us]") - months.astype("datetime64[us]")
        day = np.timedelta64(1, "D").astype("timedelta64[us]")
        late = np.minimum(offset, longest - day + offset % day)
        return np.asarray((months.astype("datetime64[us]") + late).astype(np.int64))

    def places(self, times: np.ndarray) -> np.ndarray:
        """The place of each time: the nearest for steps of a length (daylight saving moves them), else its month."""
        if not self.months:
            return np.asarray(np.floor_divide(times - self.first + self.step // 2, self.step))
        month = times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
        first = np.int64(self.first).astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
        return np.asarray((month - first) // self.step)


def infer(times: np.ndarray) -> tuple[int, bool]:
    """(step, whether in months) of ascending distinct times."""
    gaps = np.diff(times)
    if not len(gaps):
        return DAY, False
    middle = float(np.median(gaps))
    for step in STEPS.values():
        if abs(middle - step) <= 0.1 * step:
            return step, False
    for months in MONTHS.values():
        if abs(middle - months * _MEAN_MONTH) <= 0.1 * months * _MEAN_MONTH:
            return months, True
    steps, counts = np.unique(gaps, return_counts=True)
    if counts.max() >= _USUAL * len(gaps) and steps[counts.argmax()] >= SECOND:
        return int(steps[counts.argmax()]), False
    named: list[tuple[float, int, bool]] = [(step, step, False) for step in STEPS.values()]
    named += [(months * _MEAN_MONTH, months, True) for months in MONTHS.values()]
    _, step, in_months = min(named, key=lambda each: abs(np.log(each[0] / middle)))
    return step, in_months


def lay(times: np.ndarray, frequency: str) -> tuple[Grid, np.ndarray]:
    """The grid of a series, and the place of each of its times on it. ``times`` are ascending."""
    if frequency == "AUTO_FREQUENCY":
        step, months = infer(np.unique(times))
    elif frequency in STEPS:
        step, months = STEPS[frequency], False
    else:
        step, months = MONTHS[frequency], True
    first = int(times[0])
    spaces = np.diff(np.unique(times))
    if not months and len(spaces) and np.median(spaces) <= 0.75 * step:
        # Several points a step: steps begin with the calendar (weeks with Monday), and floor is what is wanted.
        monday = 4 * DAY if step == STEPS["WEEKLY"] else 0
        first -= (first - monday) % step
        times = times - (times - first) % step
    elif months and step > 1:
        month = np.int64(first).astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
        if np.any((times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64) - month) % step):
            begun = np.int64(month - month % step).astype("datetime64[M]")
            first = int(begun.astype("datetime64[us]").astype(np.int64))
    grid = Grid(first, step, months, 1)
    places = grid.places(times)
    points = int(places[-1]) + 1
    if points > MOST_POINTS:
        raise ResourceExhausted(
            f"A time series may have at most {MOST_POINTS:,} points after its gaps are filled",
            given=f"{points:,} points at {grid.name} frequency",
            do="set a coarser DATA_FREQUENCY, aggregate in the query, or take a shorter range of time",
        )
    return Grid(first, step, months, points), places


def average(places: np.ndarray, values: np.ndarray, points: int) -> np.ndarray:
    """The mean of the values of each place, NaN where there is none."""
    known = np.isfinite(values)
    counts = np.bincount(places[known], minlength=points)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(places[known], weights=values[known], minlength=points) / counts)


def fill(values: np.ndarray) -> np.ndarray:
    """Gaps (NaN) filled on the straight line between their neighbours, at the ends with the nearest value."""
    known = np.flatnonzero(np.isfinite(values))
    if len(known) == len(values):
        return values
    return np.interp(np.arange(len(values)), known, values[known])


def check_values(values: np.ndarray, column: str) -> None:
    """Refuse infinite values."""
    if np.isinf(values).any():
        raise InvalidArgument(
            "The values of a time series must be finite",
            given=f"{int(np.isinf(values).sum())} infinite values in {column}",
            do="leave these rows out, or make them NULL: gaps are filled",
            location=column,
        )
