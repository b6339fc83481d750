"""What forecasts are made of, against published algorithms: likelihood, orders, decomposition, frequency, cleaning."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest

from tule.kernel.errors import InvalidArgument, ResourceExhausted
from tule.learn.forecast import decomposition, orders
from tule.learn.forecast.cleaning import clean
from tule.learn.forecast.frequency import DAY, Grid, average, fill, infer, lay
from tule.learn.forecast.holidays import Calendar, Holiday, check_custom, check_region, of_regions
from tule.learn.forecast.scales import Scale
from tule.learn.forecast.series import Plan, fit_series


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n)


def microseconds(text: str) -> int:
    return int(np.datetime64(text, "us").astype(np.int64))


# -- the likelihood, beside statsmodels' Kalman filter at the same coefficients


@pytest.mark.parametrize(
    "order", [(1, 0, 0), (0, 0, 1), (2, 0, 1), (1, 1, 2), (3, 1, 1), (0, 2, 2), (0, 1, 0), (5, 0, 5)]
)
def test_the_likelihood_is_exact(order: tuple[int, int, int]) -> None:
    from statsmodels.tsa.arima.model import ARIMA

    p, d, q = order
    series = noise(120, seed=p + 7 * q).cumsum() + 20.0
    found, residuals = orders.fit(series, p, d, q, drift=False)
    constant = [found.constant] if d == 0 else []
    reference = ARIMA(series, order=order, trend="c" if d == 0 else "n").smooth(
        [*constant, *found.ar, *found.ma, found.variance]
    )
    assert found.log_likelihood == pytest.approx(reference.llf, abs=2e-3)
    values, errors = found.forecast(8)
    ahead = reference.get_forecast(8)
    assert values == pytest.approx(ahead.predicted_mean, rel=1e-4)
    # The reference adds what it does not know of the starting state, which near a unit root fades slowly.
    # (twice differenced: a few percent at 120 points).
    assert errors == pytest.approx(ahead.se_mean, rel=5e-2 if d == 2 else 1e-2)
    assert len(residuals) == 120 and not residuals[:d].any()


def test_no_neighbour_is_likelier() -> None:
    from tule.learn.forecast.likelihood import Likelihood, maximise

    series = np.convolve(noise(300), [1.0, 0.6, 0.3])[:300]
    found = maximise(series, 1, 2, True)
    at = Likelihood(series, 1, 2, True)
    from tule.learn.forecast.likelihood import partials

    free = np.concatenate([partials(found.ar), partials(-found.ma)])
    best = at.deviance(free)
    for each in range(3):
        for step in (-0.02, 0.02):
            moved = free.copy()
            moved[each] += step
            assert at.deviance(moved) > best


def test_known_coefficients_come_back() -> None:
    e = noise(4000, seed=3)
    series = np.zeros(4000)
    for t in range(2, 4000):
        series[t] = 0.5 * series[t - 1] - 0.3 * series[t - 2] + e[t] + 0.4 * e[t - 1]
    found, _ = orders.fit(series + 5.0, 2, 0, 1, drift=False)
    assert found.ar == pytest.approx([0.5, -0.3], abs=0.08)
    assert found.ma == pytest.approx([0.4], abs=0.1)
    assert found.constant == pytest.approx(5.0, abs=0.1)


def test_differences_by_kpss() -> None:
    level = noise(300)
    assert [orders.differences(each) for each in (level, level.cumsum(), level.cumsum().cumsum())] == [0, 1, 2]
    from statsmodels.tsa.stattools import kpss

    lags = int(3 * np.sqrt(300) / 13)
    with pytest.warns(UserWarning, match="outside of the range of p-values"):
        reference = kpss(level.cumsum(), "c", nlags=lags)[0]
    assert orders.kpss(level.cumsum()) == pytest.approx(reference, rel=1e-9)


def test_the_search_knows_every_candidate() -> None:
    best, _, lines = orders.search(noise(200).cumsum(), 0, 5)
    # 21 pairs with p + q <= 5, each with and without drift: the 42 of the published tutorials.
    assert best.d == 1 and len(lines) == 42 and len({(line.p, line.q, line.drift) for line in lines}) == 42
    assert lines[0].aic == best.aic == min(line.aic for line in lines)
    few, _, lines = orders.search(noise(200), 1, 2)
    assert few.d == 0 and {line.p + line.q for line in lines} == {1, 2} and not any(line.drift for line in lines)


@pytest.mark.parametrize("series", [np.full(40, 7.0), np.arange(40.0), np.full(3, 0.0), np.array([1.0, 2.0, 4.0])])
def test_what_has_no_noise_goes_on(series: np.ndarray) -> None:
    found, residuals, _ = orders.search(series, 0, 2)
    values, errors = found.forecast(3)
    assert np.isfinite(values).all() and np.isfinite(errors).all()
    step = series[1] - series[0]
    if np.ptp(np.diff(series)) == 0.0:
        assert values == pytest.approx(series[-1] + step * np.arange(1, 4), abs=1e-6)
    assert np.isfinite(residuals).all()


# -- the time axis


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("1m", "PER_MINUTE"), ("60m", "HOURLY"), ("1D", "DAILY"), ("7D", "WEEKLY"), ("M", "MONTHLY"), ("Q", "QUARTERLY"),
        ("Y", "YEARLY"), ("10m", "EVERY_600_SECONDS"),
    ],
)  # fmt: skip
def test_frequencies_are_inferred(step: str, name: str) -> None:
    months = {"M": 1, "Q": 3, "Y": 12}
    if step in months:
        times = np.arange(0, 40 * months[step], months[step]).astype("datetime64[M]").astype("datetime64[us]")
    else:
        count, unit = int(step[:-1]), step[-1]
        times = np.datetime64("2024-01-01", "us") + np.arange(40) * np.timedelta64(count, unit)
    stamps = times.astype(np.int64)
    grid, places = lay(stamps, "AUTO_FREQUENCY")
    assert grid.name == name and grid.points == 40
    assert places.tolist() == list(range(40))
    assert grid.times(0, 40).tolist() == stamps.tolist()


def test_months_end_where_they_end() -> None:
    ends = [microseconds(f"2023-{month:02d}-{day}") for month, day in ((1, 31), (2, 28), (3, 31), (4, 30))]
    grid, _ = lay(np.array(ends), "AUTO_FREQUENCY")
    found = grid.times(4, 11).astype("datetime64[us]").astype("datetime64[D]").astype(str).tolist()
    assert found[0] == "2023-05-31" and found[9] == "2024-02-29" and found[10] == "2024-03-31"


def test_daylight_saving_moves_no_day() -> None:
    # Midnights of Berlin as instants, across both changes of 2024.
    hours = [microseconds("2024-03-25") - 3600 * 10**6 + day * DAY for day in range(6)]
    summer = [microseconds("2024-03-31") - 2 * 3600 * 10**6 + day * DAY for day in range(1, 220)]
    times = np.array([*hours, microseconds("2024-03-31") - 3600 * 10**6, *summer])
    winter = times.copy()
    winter[-3:] += 3600 * 10**6
    grid, places = lay(winter, "AUTO_FREQUENCY")
    assert grid.name == "DAILY" and places.tolist() == list(range(len(winter)))


def test_leap_days_are_days() -> None:
    times = np.arange(microseconds("2024-02-27"), microseconds("2024-03-03"), DAY)
    grid, _ = lay(times, "DAILY")
    assert [str(each)[:10] for each in grid.times(0, 5).astype("datetime64[us]")][2] == "2024-02-29"
    yearly, _ = lay(np.array([microseconds(f"{year}-02-29") for year in (2016, 2020, 2024)]), "YEARLY")
    assert str(yearly.times(1, 1).astype("datetime64[us]")[0])[:10] == "2017-02-28" and yearly.points == 9


def test_duplicates_are_averaged_and_gaps_filled() -> None:
    times = np.array([0, 0, 1, 4, 5]) * DAY
    grid, places = lay(times, "DAILY")
    values = average(places, np.array([1.0, 3.0, 4.0, 10.0, 11.0]), grid.points)
    assert fill(values).tolist() == [2.0, 4.0, 6.0, 8.0, 10.0, 11.0]


def test_finer_data_fall_into_calendar_steps() -> None:
    hours = np.arange(microseconds("2024-01-01T06:00"), microseconds("2024-01-04"), 3600 * 10**6)
    grid, places = lay(hours, "DAILY")
    assert grid.points == 3 and np.bincount(places).tolist() == [18, 24, 24]
    weeks, _ = lay(np.arange(microseconds("2024-01-03"), microseconds("2024-02-01"), DAY), "WEEKLY")
    assert str(weeks.times(0, 1).astype("datetime64[us]")[0])[:10] == "2024-01-01"


def test_irregular_times_take_the_nearest_frequency() -> None:
    gaps = np.random.default_rng(0).uniform(0.5, 1.6, 60) * DAY
    step, months = infer(np.cumsum(gaps).astype(np.int64))
    assert (step, months) == (DAY, False)


def test_a_grid_must_fit() -> None:
    with pytest.raises(ResourceExhausted, match=r"at most 500,000 points .* PER_MINUTE frequency. Next: set a coarser"):
        lay(np.array([0, DAY, 4000 * DAY]), "PER_MINUTE")


# -- parts


def test_a_smoother_keeps_straight_lines() -> None:
    line = 3.0 + 0.5 * np.arange(50)
    for window in (3, 7, 21, 75):
        assert decomposition.smooth(line, window) == pytest.approx(line)


@pytest.mark.parametrize("months", [1, 3])
def test_seasons_are_told_from_noise(months: int) -> None:
    n, period = 96 // months, 12 // months
    grid = Grid(0, months, True, n)
    wave = 4.0 * np.sin(2 * np.pi * np.arange(n) / period)
    series = 0.1 * np.arange(n) + wave + noise(n)
    assert decomposition.detect(series, grid) == ["YEARLY"]
    parts = decomposition.decompose(series, grid, ["YEARLY"])
    assert np.sqrt(np.mean((parts.seasonal - wave) ** 2)) < 0.6
    following = parts.seasons[0].at(np.arange(n, n + period), n)
    assert np.corrcoef(following, wave[:period])[0, 1] > 0.97
    wrong = sum(bool(decomposition.detect(noise(n, seed).cumsum(), grid)) for seed in range(40))
    assert wrong <= 4


def test_several_seasons_at_once() -> None:
    n = 3 * 365
    day = np.arange(n)
    weekly, yearly = np.array([0, 0, 0, 0, 0, 6.0, 4.0])[day % 7], 5.0 * np.cos(2 * np.pi * day / 365.2425)
    series = 100.0 + weekly + yearly + noise(n)
    grid = Grid(0, DAY, False, n)
    assert decomposition.detect(series, grid) == ["WEEKLY", "YEARLY"]
    parts = decomposition.decompose(series, grid, ["WEEKLY", "YEARLY"])
    assert np.std(parts.seasonals[0] - (weekly - weekly.mean())) < 0.5
    assert np.std(parts.seasonals[1] - yearly) < 0.8
    hours = Grid(0, 3600 * 10**6, False, 24 * 28)
    assert decomposition.possible(hours) == ["DAILY", "WEEKLY"]


def test_spikes_and_steps_are_taken_out() -> None:
    n = 200
    series = noise(n, 5)
    series[60] += 30.0
    series[120:] += 25.0
    found = clean(series, np.zeros(n), np.zeros(n, dtype=bool), 14, True, True)
    assert np.flatnonzero(found.spikes).tolist() == [60] and found.spikes[60] == pytest.approx(30.0, abs=4.0)
    assert found.steps[:120] == pytest.approx(-25.0, abs=3.0) and not found.steps[120:].any()
    assert found.values + found.spikes + found.steps == pytest.approx(series)
    kept = clean(series, np.zeros(n), np.arange(n) == 60, 14, True, False)
    assert not kept.spikes.any() and not kept.steps.any()
    for quiet in (noise(n, 6), noise(n, 7).cumsum(), np.zeros(n), np.arange(n) % 2 * 1.0):
        found = clean(quiet, np.zeros(n), np.zeros(n, dtype=bool), 14, True, True)
        assert not found.spikes.any() and not found.steps.any()


def test_scales_go_back() -> None:
    values = np.array([1.5, 2.0, 7.9])
    for scale in (Scale(), Scale(1.0), Scale(None, 8.0), Scale(1.0, 8.0)):
        assert scale.back(scale.to(values)) == pytest.approx(values)
    assert Scale(1.0, 8.0).inside(np.array([0.0, 1.0, 2.0, 8.0, np.nan])).tolist() == [False, False, True, False, False]


# -- holidays


def test_public_holidays_of_a_region() -> None:
    days = of_regions(["US"], datetime.date(2024, 1, 1), datetime.date(2025, 12, 31))
    named = {(each.name, each.day.isoformat()) for each in days}
    assert {
        ("ThanksgivingDay", "2024-11-28"),
        ("ThanksgivingDay", "2025-11-27"),
        ("ChristmasDay", "2024-12-25"),
    } <= named
    assert all(each.region == "US" and each.before == each.after == 1 for each in days)
    assert {each.region for each in of_regions(["GLOBAL"], datetime.date(2024, 1, 1), datetime.date(2024, 1, 9))} == {
        "GLOBAL"
    }


def test_effects_are_found_where_they_are() -> None:
    n = 3 * 365
    grid = Grid(microseconds("2021-01-01"), DAY, False, n)
    days = [Holiday("X", "Fair", datetime.date(year, 6, 10), 1, 2) for year in range(2021, 2026)]
    days += [Holiday("X", "Nothing", datetime.date(year, 2, 10)) for year in range(2021, 2026)]
    calendar = Calendar(days)
    remainder = noise(n, 2) * 0.3
    start = grid.places(np.array([microseconds(f"{year}-06-10") for year in (2021, 2022, 2023)]))
    remainder[start] += 10.0
    remainder[start + 2] += 5.0
    (effect,) = calendar.effects(remainder, grid)
    assert effect.name == "Fair"
    # Shrunk as if there had been three tenths of a year without effect.
    assert effect.values == pytest.approx([0.0, 10 / 1.1, 0.0, 5 / 1.1], abs=0.4)
    coming = calendar.line(effect, grid, n, 365)
    assert np.flatnonzero(np.abs(coming) > 3.0).tolist() == [161, 163]
    weeks = Grid(microseconds("2021-01-01"), 7 * DAY, False, 150)
    assert len(calendar.cells("Fair", weeks, 0, 150)[0]) == 3
    assert not calendar.fits(Grid(0, 1, True, 100)) and not calendar.fits(Grid(0, DAY, False, 300))


@pytest.mark.parametrize(
    ("holiday", "message"),
    [
        (Holiday("US", "my day", datetime.date(2024, 1, 1)), "valid column name"),
        (Holiday("US", "day", datetime.date(2024, 1, 1), 0, 1), "at least 1; given: 0 and 1"),
        (Holiday("US", "day", datetime.date(2024, 1, 1), 20, 20), "at most 30 days"),
    ],
    ids=["name", "window", "length"],
)
def test_custom_holidays_are_checked(holiday: Holiday, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        check_custom(holiday)


def test_unknown_regions_are_named() -> None:
    with pytest.raises(InvalidArgument, match=r"known region; given: Narnia. Next: use one of GLOBAL, NA, JAPAC"):
        check_region("Narnia")
    assert check_region("us") == "US"


# -- one series


def monthly(values: Any, plan: Plan | None = None) -> Any:
    values = np.asarray(values, dtype=float)
    return fit_series(Grid(0, 1, True, len(values)).times(0, len(values)), values, plan or Plan())


def test_growing_seasons_multiply() -> None:
    t = np.arange(120)
    fitted = monthly((50.0 + t) * np.exp(0.3 * np.sin(2 * np.pi * t / 12)) * np.exp(0.02 * noise(120)))
    assert fitted.multiplicative and [season.name for season in fitted.seasons] == ["YEARLY"]
    ahead = fitted.ahead(12, 1.96)
    t = np.arange(120, 132)
    assert ahead.total == pytest.approx((50.0 + t) * np.exp(0.3 * np.sin(2 * np.pi * t / 12)), rel=0.06)
    assert ahead.total == pytest.approx(ahead.trend + sum(ahead.seasonals))
    assert ahead.upper - ahead.total == pytest.approx(ahead.total - ahead.lower)


def test_limits_hold_for_ever() -> None:
    values = 10.0 / (1.0 + np.exp(-0.1 * (np.arange(80) - 40.0))) + 0.05 * noise(80)
    values = np.append(values, [11.0, -3.0])
    fitted = monthly(values, Plan(lower=-1.0, upper=10.5))
    ahead = fitted.ahead(2000, 1.96)
    assert ahead.lower.min() >= -1.0 and ahead.upper.max() <= 10.5
    # What lies outside is left out of the model; at the end that leaves two points to be forecast again.
    assert fitted.grid.points == 80
    with pytest.raises(
        InvalidArgument, match="3 different time points with a value within the forecast limits; given: 2 of"
    ):
        monthly([1.0, 2.0, 30.0, 40.0, 50.0], Plan(upper=10.0))


def test_the_trend_may_look_at_the_latest_points() -> None:
    values = np.concatenate([noise(100) + 50.0, noise(100, 1).cumsum()])
    whole, half = monthly(values), monthly(values, Plan(longest=60))
    assert whole.arima.variance != half.arima.variance
    assert len(half.history.trend) == 200
    same = monthly(values, Plan(fraction=0.3))
    assert same.arima.to_json() == half.arima.to_json()
    assert monthly(values, Plan(fraction=0.01, shortest=60)).arima.to_json() == half.arima.to_json()
