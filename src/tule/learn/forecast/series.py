"""ARIMA_PLUS for one series: from raw points to a fitted model that can forecast and explain itself.

The steps: a regular grid (duplicates averaged, gaps filled), limits, spikes and steps taken out, holidays and seasons taken
out, ARIMA on what is left. Seasons and holidays add to the trend or multiply it; the likelihood of the data decides.

    plain:           value = trend + seasons + holidays
    multiplicative:  value = trend * exp(seasons + holidays)      (data above zero only)

Shown are always parts that add up: the share of each in turn, trend first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from tule.kernel.errors import InvalidArgument
from tule.learn.forecast import calibration
from tule.learn.forecast.cleaning import Cleaned, clean
from tule.learn.forecast.decomposition import Parts, Season, decompose, detect, noise, possible
from tule.learn.forecast.frequency import Grid, average, fill, lay
from tule.learn.forecast.holidays import Calendar, Effect, Holiday
from tule.learn.forecast.orders import Arima, Candidate, fit, search
from tule.learn.forecast.regression import Regression
from tule.learn.forecast.scales import Scale

FEWEST = 3
"""Points that a series must have."""
_MOST_FITTED = 20_000
"""The latest points that the search for orders looks at in a very long series."""


@dataclass(frozen=True)
class Plan:
    """What is asked of every series; plain values, so that it can be sent to a worker."""

    frequency: str = "AUTO_FREQUENCY"
    seasonalities: tuple[str, ...] = ("AUTO",)
    low: int = 0
    high: int = 2
    order: tuple[int, int, int] | None = None
    drift: bool = False
    clean_spikes: bool = True
    adjust_steps: bool = True
    keep_history: bool = True
    lower: float | None = None
    upper: float | None = None
    fraction: float | None = None
    shortest: int = 20
    longest: int | None = None
    holidays: tuple[tuple[str, str, str, int, int], ...] = ()
    """As ``Holiday.to_json`` writes them."""
    l2_reg: float = 0.0

    def calendar(self) -> Calendar:
        """The holidays."""
        return Calendar([Holiday.from_json(each) for each in self.holidays])


@dataclass(frozen=True)
class Contributions:
    """What adds up to values: trend, one array a season, holidays by name. ``errors``: standard errors of the trend."""

    trend: np.ndarray
    seasonals: list[np.ndarray]
    holidays: dict[str, np.ndarray]
    total: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    errors: np.ndarray


@dataclass(frozen=True)
class History:
    """The training points as the model saw them. ``data``: as given, gaps filled; the parts are on the model's scale."""

    data: np.ndarray
    spikes: np.ndarray
    steps: np.ndarray
    trend: np.ndarray
    seasonals: list[np.ndarray]
    holidays: list[np.ndarray]
    regression: np.ndarray
    """(points, columns of the regression): what each adds; no columns without one."""


@dataclass(frozen=True)
class Fitted:
    """A fitted series."""

    grid: Grid
    arima: Arima
    seasons: list[Season]
    multiplicative: bool
    effects: list[Effect]
    calendar: Calendar
    scale: Scale
    candidates: list[Candidate]
    has_spikes: bool
    has_steps: bool
    naive_error: float
    """Mean absolute change from one point to the next in training: the unit of mean_absolute_scaled_error."""
    history: History | None
    widening: float = 1.0
    """What the ARIMA's standard errors are multiplied by: ``calibration``."""
    regression: Regression | None = None
    notes: list[str] = field(default_factory=list)

    def ahead(self, horizon: int, z: float) -> Contributions:
        """The next ``horizon`` points with bounds ``z`` standard errors away (without any regression)."""
        n = self.grid.points
        places = np.arange(n, n + horizon)
        trend, errors = self.arima.forecast(horizon)
        return self.contributions(
            trend,
            errors * self.widening,
            [season.at(places, n) for season in self.seasons],
            [self.calendar.line(effect, self.grid, n, horizon) for effect in self.effects],
            z,
        )

    def contributions(
        self,
        trend: np.ndarray,
        errors: np.ndarray,
        seasonals: Sequence[np.ndarray],
        holidays: Sequence[np.ndarray],
        z: float,
    ) -> Contributions:
        """Parts on the model's scale as parts that add up."""
        running = trend
        shares = []
        for part in (*seasonals, *holidays):
            following = running * np.exp(part) if self.multiplicative else running + part
            shares.append(self.scale.back(following) - self.scale.back(running))
            running = following
        if self.multiplicative:
            errors = errors * np.exp(sum((*seasonals, *holidays), np.zeros(len(trend))))
        lower, upper = self.scale.back(running - z * errors), self.scale.back(running + z * errors)
        if not self.scale.plain:
            errors = 0.5 * (self.scale.back(running + errors) - self.scale.back(running - errors))
        names = [effect.name for effect in self.effects]
        return Contributions(
            self.scale.back(trend),
            shares[: len(seasonals)],
            dict(zip(names, shares[len(seasonals) :], strict=True)),
            self.scale.back(running),
            lower,
            upper,
            errors,
        )

    def past(self, z: float) -> Contributions:
        """One-step fits of the training points."""
        assert self.history is not None
        errors = np.full(self.grid.points, math.sqrt(self.arima.variance))
        history = self.history
        return self.contributions(history.trend, errors, history.seasonals, history.holidays, z)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON and arrays."""
        state = {
            "grid": asdict(self.grid),
            "arima": self.arima.to_json(),
            "seasons": [season.to_json() for season in self.seasons],
            "multiplicative": self.multiplicative,
            "effects": [effect.to_json() for effect in self.effects],
            "lower": self.scale.lower,
            "upper": self.scale.upper,
            "candidates": [list(asdict(line).values()) for line in self.candidates],
            "has_spikes": self.has_spikes,
            "has_steps": self.has_steps,
            "naive_error": self.naive_error,
            "widening": self.widening,
            "regression": None if self.regression is None else self.regression.to_json(),
            "notes": self.notes,
        }
        arrays: dict[str, np.ndarray] = {}
        if self.history is not None:
            kept = self.history
            rows = [kept.data, kept.spikes, kept.steps, kept.trend, *kept.seasonals, *kept.holidays]
            arrays["history"] = np.vstack(rows)
            arrays["regression"] = kept.regression
        return state, arrays

    @classmethod
    def from_parts(cls, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray], calendar: Calendar) -> Fitted:
        """The inverse of ``to_parts``."""
        grid = Grid(**state["grid"])
        seasons = [Season.from_json(each) for each in state["seasons"]]
        effects = [Effect.from_json(each) for each in state["effects"]]
        history = None
        if "history" in arrays:
            rows = arrays["history"]
            split = 4 + len(seasons)
            history = History(
                rows[0], rows[1], rows[2], rows[3], list(rows[4:split]), list(rows[split:]), arrays["regression"]
            )
        return cls(
            grid,
            Arima.from_json(state["arima"]),
            seasons,
            state["multiplicative"],
            effects,
            calendar,
            Scale(state["lower"], state["upper"]),
            [Candidate(*line) for line in state["candidates"]],
            state["has_spikes"],
            state["has_steps"],
            state["naive_error"],
            history,
            state["widening"],
            None if state["regression"] is None else Regression.from_json(state["regression"]),
            list(state["notes"]),
        )


def fit_series(
    times: np.ndarray, values: np.ndarray, plan: Plan, columns: Mapping[str, list[Any]] | None = None
) -> Fitted:
    """Fit one series: ascending ``times`` in microseconds, ``values`` with NaN for NULL, regressors by name."""
    known = np.isfinite(values)
    scale = Scale(plan.lower, plan.upper)
    usable = known if scale.plain else scale.inside(values)
    if len(np.unique(times[usable])) < FEWEST:
        inside = "" if scale.plain else " within the forecast limits"
        raise InvalidArgument(
            f"A time series must have at least {FEWEST} different time points with a value{inside}",
            given=f"{len(np.unique(times[usable]))} of {len(times)} rows",
            do="select more rows, or leave this series out",
        )
    # A value missing at an end would leave nothing to draw a line to.
    first, last = np.flatnonzero(usable)[[0, -1]]
    times, values = times[first : last + 1], np.where(usable, values, np.nan)[first : last + 1]
    grid, places = lay(times, plan.frequency)
    if grid.points < FEWEST:
        raise InvalidArgument(
            f"A time series must have at least {FEWEST} points at its frequency",
            given=f"{grid.points} at {grid.name} frequency",
            do="set a finer DATA_FREQUENCY, or select more rows",
        )
    data = fill(average(places, values, grid.points))
    regression, added = None, np.zeros((grid.points, 0))
    if columns is not None:
        cut = {name: column[first : last + 1] for name, column in columns.items()}
        regression, added = Regression.fit(cut, data, places, plan.l2_reg)
    return _Fit(grid, data, added, regression, scale, plan).run()


class _Fit:
    """The steps after the grid."""

    def __init__(
        self,
        grid: Grid,
        data: np.ndarray,
        added: np.ndarray,
        regression: Regression | None,
        scale: Scale,
        plan: Plan,
    ) -> None:
        self.grid, self.data, self.added, self.regression = grid, data, added, regression
        self.scale, self.plan = scale, plan
        self.values = scale.to(data - added.sum(axis=1))
        self.calendar = plan.calendar()
        self.festive = self.calendar.fits(grid)
        self.notes: list[str] = []

    def run(self) -> Fitted:
        cleaned = self._cleaned()
        names = self._seasons(cleaned.values)
        best = self._model(cleaned.values, names, False)
        if (names or self.festive) and self.scale.plain and self.regression is None and cleaned.values.min() > 0.0:
            other = self._model(cleaned.values, names, True)
            if other.score > best.score:
                best = other
        history = None
        if self.plan.keep_history:
            history = self._history(cleaned, best)
        raw = self.data - self.added.sum(axis=1)
        return Fitted(
            self.grid,
            best.arima,
            best.parts.seasons,
            best.multiplicative,
            best.effects,
            self.calendar,
            self.scale,
            best.candidates,
            bool(cleaned.spikes.any()),
            bool(cleaned.steps.any()),
            float(np.abs(np.diff(raw)).mean()),
            history,
            self._widening(cleaned.values, best, names),
            self.regression,
            self.notes,
        )

    def _widening(self, values: np.ndarray, best: _Model, names: Sequence[str]) -> float:
        """How much wider than the ARIMA's own errors those of earlier forecasts were."""
        points, length = len(values), self._length(len(values))
        periods = [season.period for season in best.parts.seasons]
        cycle = round(max((each for each in periods if each <= calibration.MOST_AHEAD), default=calibration.NO_CYCLE))
        fewest = max(
            [2.0 * each for each in periods] + [3.0 * (len(best.arima.ar) + len(best.arima.ma) + best.arima.d + 2)]
        )
        holidays = sum((self.calendar.line(each, self.grid, 0, points) for each in best.effects), np.zeros(points))
        seen = np.log(values) if best.multiplicative else values
        ahead = calibration.reach(points, cycle)

        def adjusted(end: int) -> tuple[np.ndarray, np.ndarray]:
            parts = decompose(seen[:end] - holidays[:end], self.grid, names)
            later = np.arange(end, end + ahead)
            coming = sum((season.at(later, end) for season in parts.seasons), np.zeros(ahead))
            around = np.concatenate([parts.seasonal, coming]) + holidays[: end + ahead]
            kept = values[: end + ahead]
            found = kept / np.exp(around) if best.multiplicative else kept - around
            return found[max(0, end - length) : end], found[end:]

        chosen = calibration.ends(points, cycle, math.ceil(fewest) + 1)
        seasons = math.prod(noise(season, points) for season in best.parts.seasons)
        return calibration.widening(best.arima, chosen, ahead, adjusted, seasons)

    def _cleaned(self) -> Cleaned:
        plan, values = self.plan, self.values
        if not (plan.clean_spikes or plan.adjust_steps):
            return Cleaned(values, np.zeros(len(values)), np.zeros(len(values)))
        names = self._seasons(values)
        protected = self.calendar.covered(self.grid) if self.festive else np.zeros(len(values), dtype=bool)
        window = 14 if self.grid.name in ("DAILY", "HOURLY", "PER_MINUTE") else 8
        if self._grows(values, names):
            logs = np.log(values)
            seasonal = decompose(logs, self.grid, names).seasonal
            found = clean(logs, seasonal, protected, window, plan.clean_spikes, plan.adjust_steps)
            spikes = np.where(found.spikes == 0.0, 0.0, values - np.exp(logs - found.spikes))
            steps = np.where(found.steps == 0.0, 0.0, values - spikes - np.exp(found.values))
            return Cleaned(values - spikes - steps, spikes, steps)
        seasonal = decompose(values, self.grid, names).seasonal
        return clean(values, seasonal, protected, window, plan.clean_spikes, plan.adjust_steps)

    def _grows(self, values: np.ndarray, names: Sequence[str]) -> bool:
        """Whether noise looks more even on a logarithmic scale: by the likelihood of what seasons and trend leave."""
        if not self.scale.plain or values.min() <= 0.0:
            return False
        logs = np.log(values)
        plain, logarithmic = decompose(values, self.grid, names), decompose(logs, self.grid, names)
        left = float(np.var(values - plain.seasonal - plain.trend))
        other = float(np.var(logs - logarithmic.seasonal - logarithmic.trend))
        return other > 0.0 and left > 0.0 and math.log(other) + 2.0 * float(logs.mean()) < math.log(left)

    def _seasons(self, values: np.ndarray) -> list[str]:
        asked = self.plan.seasonalities
        if asked == ("NO_SEASONALITY",):
            return []
        found = detect(values, self.grid) if "AUTO" in asked else []
        fitting = possible(self.grid)
        for name in asked:
            if name != "AUTO" and name not in found:
                if name in fitting:
                    found.append(name)
                else:
                    self.notes.append(
                        f"{name} seasonality needs two whole periods of at least two points each; it is left out"
                    )
        return found

    def _model(self, values: np.ndarray, names: Sequence[str], multiplicative: bool) -> _Model:
        seen = np.log(values) if multiplicative else values
        effects: list[Effect] = []
        holiday = np.zeros(len(seen))
        parts = decompose(seen, self.grid, names)
        if self.festive:
            for _ in range(2):
                effects = self.calendar.effects(seen - parts.seasonal - parts.trend, self.grid)
                lines = [self.calendar.line(each, self.grid, 0, len(seen)) for each in effects]
                holiday = sum(lines, np.zeros(len(seen)))
                parts = decompose(seen - holiday, self.grid, names)
        around = parts.seasonal + holiday
        adjusted = values / np.exp(around) if multiplicative else values - around
        length = self._length(len(values))
        part = adjusted[-length:]
        plan = self.plan
        if plan.order is not None:
            p, d, q = plan.order
            if len(part) <= p + d + q + 1:
                raise InvalidArgument(
                    f"NON_SEASONAL_ORDER ({p}, {d}, {q}) needs more than {p + d + q + 1} points",
                    given=f"{len(part)}",
                    do="lower the orders, or select more rows",
                )
            arima, residuals = fit(part, p, d, q, plan.drift)
            candidates = [Candidate(p, d, q, arima.drift, arima.log_likelihood, arima.aic, arima.variance)]
        else:
            arima, residuals, candidates = search(part, plan.low, plan.high)
        smooth = np.exp(parts.trend) if multiplicative else parts.trend
        fitted = np.concatenate([smooth[: len(values) - length], part - residuals])
        score = arima.log_likelihood / max(1, len(part) - arima.d)
        if multiplicative:
            score -= float(around[-length:].mean())
        return _Model(multiplicative, parts, effects, arima, candidates, fitted, score)

    def _length(self, points: int) -> int:
        plan = self.plan
        length = points
        if plan.fraction is not None:
            length = max(min(points, plan.shortest), math.ceil(points * plan.fraction))
        if plan.longest is not None:
            length = min(length, plan.longest)
        if length > _MOST_FITTED:
            self.notes.append(
                f"the trend is fitted on the latest {_MOST_FITTED:,} of {length:,} points; earlier ones are smoothed"
            )
            length = _MOST_FITTED
        return length

    def _history(self, cleaned: Cleaned, best: _Model) -> History:
        spikes, steps = cleaned.spikes, cleaned.steps
        if not self.scale.plain:
            back = self.scale.back
            unspiked = back(self.values - spikes)
            spikes, steps = back(self.values) - unspiked, unspiked - back(cleaned.values)
        return History(
            self.data,
            spikes,
            steps,
            best.fitted,
            best.parts.seasonals,
            [self.calendar.line(each, self.grid, 0, len(self.data)) for each in best.effects],
            self.added,
        )


@dataclass(frozen=True)
class _Model:
    multiplicative: bool
    parts: Parts
    effects: list[Effect]
    arima: Arima
    candidates: list[Candidate]
    fitted: np.ndarray
    score: float
    """Log likelihood of the data a point."""
