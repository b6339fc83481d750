"""ARIMA_PLUS and ARIMA_PLUS_XREG: options, reading series out of rows, fitting them."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tule.kernel.errors import InvalidArgument, ResourceExhausted, TuleError
from tule.learn.data import Batches, missing_column
from tule.learn.forecast.decomposition import PERIODS
from tule.learn.forecast.frequency import DAY, FREQUENCIES, STEPS, check_values, infer
from tule.learn.forecast.holidays import Calendar, Holiday, check_custom, check_region, of_regions
from tule.learn.forecast.pool import Task, fit_all
from tule.learn.forecast.series import Fitted, Plan
from tule.learn.metrics import numbers
from tule.learn.models.base import FeatureStatistics, Options, option
from tule.learn.models.fitting import FitRequest
from tule.learn.models.timeseries import TimeSeriesModel
from tule.learn.schema import Field, Signature

MOST_HORIZON = 10_000
MOST_ROWS = 100_000_000
_NAMES = ("AUTO", "NO_SEASONALITY", *PERIODS)


@dataclass
class SeriesOptions(Options):
    """Options of both families. ``custom_holidays``: rows [region, holiday_name, primary_date, days before, after]."""

    time_series_timestamp_col: str = ""
    time_series_data_col: str = ""
    time_series_id_col: str | list[str] | None = None
    horizon: int = option(1000, low=1, high=MOST_HORIZON)
    auto_arima: bool = True
    auto_arima_max_order: int = option(2, low=1, high=5)
    auto_arima_min_order: int = option(0, low=0, high=5)
    non_seasonal_order: list[int] | None = None
    include_drift: bool = False
    data_frequency: str = option("AUTO_FREQUENCY", choices=("AUTO_FREQUENCY", *FREQUENCIES))
    holiday_region: str | list[str] | None = None
    custom_holidays: list[list[Any]] | None = None
    clean_spikes_and_dips: bool = True
    adjust_step_changes: bool = True
    trend_smoothing_window_size: int | None = option(None, low=1)
    time_series_length_fraction: float | None = None
    min_time_series_length: int | None = option(None, low=4)
    max_time_series_length: int | None = option(None, low=4)

    @property
    def id_columns(self) -> list[str]:
        given = self.time_series_id_col
        return [] if given is None else [given] if isinstance(given, str) else list(given)

    @property
    def regions(self) -> list[str]:
        given = self.holiday_region
        return [] if given is None else [given] if isinstance(given, str) else list(given)

    def check(self, given: set[str]) -> None:
        for name in ("time_series_timestamp_col", "time_series_data_col"):
            if not getattr(self, name):
                raise InvalidArgument(f"A time series model needs {name.upper()}", do="name the column", location=name)
        columns = [self.time_series_timestamp_col, self.time_series_data_col, *self.id_columns]
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise InvalidArgument(
                "The timestamp, data and id columns of a time series must all be different", given=twice[0]
            )
        self._check_orders(given)
        self._check_lengths(given)
        self.holiday_region = [check_region(each) for each in self.regions] or None
        if self.custom_holidays is not None:
            self.custom_holidays = [_custom(row).to_json() for row in self.custom_holidays]

    def _check_orders(self, given: set[str]) -> None:
        if self.auto_arima and self.non_seasonal_order is not None:
            raise InvalidArgument(
                "NON_SEASONAL_ORDER needs AUTO_ARIMA = FALSE", given=str(tuple(self.non_seasonal_order)), do="set it"
            )
        if not self.auto_arima:
            if self.id_columns:
                raise InvalidArgument("AUTO_ARIMA must be TRUE with TIME_SERIES_ID_COL", given=False)
            order = self.non_seasonal_order
            if order is None:
                raise InvalidArgument("AUTO_ARIMA = FALSE needs NON_SEASONAL_ORDER", do="give (p, d, q)")
            whole = all(isinstance(each, int) and not isinstance(each, bool) for each in order)
            if (
                len(order) != 3
                or not whole
                or not all(0 <= each <= most for each, most in zip(order, (5, 2, 5), strict=True))
            ):
                raise InvalidArgument(
                    "NON_SEASONAL_ORDER must be three integers: p from 0 to 5, d from 0 to 2, q from 0 to 5",
                    given=str(tuple(order)),
                    location="non_seasonal_order",
                )
            ranged = sorted(given & {"auto_arima_max_order", "auto_arima_min_order"})
            if ranged:
                raise InvalidArgument(f"{ranged[0].upper()} needs AUTO_ARIMA = TRUE", do="leave it out")
        if self.include_drift and (self.auto_arima or (self.non_seasonal_order or [0, 0, 0])[1] != 1):
            raise InvalidArgument(
                "INCLUDE_DRIFT needs AUTO_ARIMA = FALSE and a NON_SEASONAL_ORDER with d = 1",
                given="AUTO_ARIMA = TRUE" if self.auto_arima else str(tuple(self.non_seasonal_order or [])),
                do="leave it out: AUTO_ARIMA tries both",
            )
        if self.auto_arima_min_order > self.auto_arima_max_order:
            raise InvalidArgument(
                "AUTO_ARIMA_MIN_ORDER must be at most AUTO_ARIMA_MAX_ORDER",
                given=f"{self.auto_arima_min_order} and {self.auto_arima_max_order}",
            )

    def _check_lengths(self, given: set[str]) -> None:
        fraction = self.time_series_length_fraction
        if fraction is not None and not 0.0 < fraction < 1.0:
            raise InvalidArgument(
                "TIME_SERIES_LENGTH_FRACTION must be between 0 and 1, both excluded",
                given=fraction,
                location="time_series_length_fraction",
            )
        if fraction is not None and self.max_time_series_length is not None:
            raise InvalidArgument(
                "TIME_SERIES_LENGTH_FRACTION and MAX_TIME_SERIES_LENGTH exclude each other", do="set one of them"
            )
        if "min_time_series_length" in given and fraction is None:
            raise InvalidArgument("MIN_TIME_SERIES_LENGTH needs TIME_SERIES_LENGTH_FRACTION", do="set both, or neither")


@dataclass
class ArimaOptions(SeriesOptions):
    """Options of ARIMA_PLUS."""

    decompose_time_series: bool = True
    seasonalities: list[str] | None = None
    forecast_limit_lower_bound: float | None = None
    forecast_limit_upper_bound: float | None = None
    hierarchical_time_series_cols: list[str] | None = None

    def check(self, given: set[str]) -> None:
        super().check(given)
        self._check_seasonalities()
        lower, upper = self.forecast_limit_lower_bound, self.forecast_limit_upper_bound
        if lower is not None and upper is not None and lower >= upper:
            raise InvalidArgument(
                "FORECAST_LIMIT_LOWER_BOUND must be below FORECAST_LIMIT_UPPER_BOUND", given=f"{lower} and {upper}"
            )
        if self.trend_smoothing_window_size is not None and not self.decompose_time_series:
            raise InvalidArgument("TREND_SMOOTHING_WINDOW_SIZE needs DECOMPOSE_TIME_SERIES = TRUE", do="leave it out")
        levels = self.hierarchical_time_series_cols
        if levels is not None:
            unknown = [name for name in levels if name not in self.id_columns]
            if not levels or unknown or len(set(levels)) < len(levels):
                raise InvalidArgument(
                    "HIERARCHICAL_TIME_SERIES_COLS must be different columns of TIME_SERIES_ID_COL, the parent first",
                    given=", ".join(map(str, levels)) or "none",
                    location="hierarchical_time_series_cols",
                )

    def _check_seasonalities(self) -> None:
        if self.seasonalities is None:
            return
        names = [str(name).upper() for name in self.seasonalities]
        wrong = [name for name in names if name not in _NAMES]
        if wrong or not names:
            raise InvalidArgument(
                f"SEASONALITIES must be of {', '.join(_NAMES)}",
                given=wrong[0] if wrong else "none",
                location="seasonalities",
            )
        if "NO_SEASONALITY" in names and len(names) > 1:
            raise InvalidArgument("NO_SEASONALITY must stand alone in SEASONALITIES", given=", ".join(names))
        self.seasonalities = names


@dataclass
class XregOptions(SeriesOptions):
    """Options of ARIMA_PLUS_XREG."""

    l2_reg: float = option(0.0, low=0.0)


def plan_of(options: SeriesOptions, holidays: Sequence[Holiday]) -> Plan:
    """What the options ask of every series."""
    order = options.non_seasonal_order
    return Plan(
        frequency=options.data_frequency,
        seasonalities=tuple(getattr(options, "seasonalities", None) or ("AUTO",)),
        low=options.auto_arima_min_order,
        high=options.auto_arima_max_order,
        order=None if order is None else (order[0], order[1], order[2]),
        drift=options.include_drift,
        clean_spikes=options.clean_spikes_and_dips,
        adjust_steps=options.adjust_step_changes,
        keep_history=getattr(options, "decompose_time_series", True),
        lower=getattr(options, "forecast_limit_lower_bound", None),
        upper=getattr(options, "forecast_limit_upper_bound", None),
        fraction=options.time_series_length_fraction,
        shortest=options.min_time_series_length or 20,
        longest=options.max_time_series_length,
        holidays=tuple((each.region, each.name, each.day.isoformat(), each.before, each.after) for each in holidays),
        l2_reg=getattr(options, "l2_reg", 0.0),
    )


def fit_arima(request: FitRequest) -> TimeSeriesModel:
    """Fit one series, or one for each value of the id columns; the first problem where none can be fitted."""
    model, problem = fit_series(request)
    if problem is not None:
        raise problem
    return model


def fit_series(request: FitRequest) -> tuple[TimeSeriesModel, TuleError | None]:
    """The fitted series, and the first one's problem where none could be fitted."""
    options: SeriesOptions = request.options
    if request.warm_start is not None:
        raise InvalidArgument("A time series model has no warm start", do="leave WARM_START out")
    xreg = isinstance(options, XregOptions)
    needed = [options.time_series_timestamp_col, options.time_series_data_col, *options.id_columns]
    names = request.data.schema.names
    for name in needed:
        if name not in names:
            raise missing_column(name, names)
    regressors = [name for name in names if name not in needed] if xreg else []
    if xreg and not regressors:
        raise InvalidArgument(
            "ARIMA_PLUS_XREG needs at least one further column", given=", ".join(names), do="use ARIMA_PLUS"
        )
    if not xreg and len(names) > len(needed):
        extra = [name for name in names if name not in needed]
        raise InvalidArgument(
            "The training query of ARIMA_PLUS must give the timestamp, data and id columns only",
            given=", ".join(extra),
            do="leave them out, or use ARIMA_PLUS_XREG",
        )
    request.watch.expect(2)
    table, skipped = read(request.data, needed, regressors, request.watch.tick)
    holidays = _holidays(options, table)
    ids, tasks = split(table, options, regressors)
    outcomes = fit_all(tasks, plan_of(options, holidays), request.watch.tick)
    first = outcomes[0]
    failed = first if isinstance(first, TuleError) and all(isinstance(each, TuleError) for each in outcomes) else None
    fitted = [each if isinstance(each, Fitted) else None for each in outcomes]
    problems = [each.message if isinstance(each, TuleError) else "" for each in outcomes]
    fields = tuple(Field(name, table.schema.field(name).type) for name in (*needed, *regressors))
    common = {
        "signature": Signature(fields, None, (Field("forecast_value", pa.float64()),)),
        "options": options.to_json(),
        "classes": None,
        "iterations": [request.watch.iteration(0, math.nan if failed else _mean_variance(fitted), of=1)],
        "statistics": _statistics(table, options),
        "num_rows": table.num_rows,
        "skipped_rows": skipped,
        "notes": _notes(ids, fitted, problems),
    }
    return (ArimaXregModel if xreg else ArimaModel)(common, ids, fitted, problems, Calendar(holidays)), failed


class ArimaModel(TimeSeriesModel):
    """Fitted ARIMA_PLUS."""

    family = "arima_plus"


class ArimaXregModel(TimeSeriesModel):
    """Fitted ARIMA_PLUS_XREG."""

    family = "arima_plus_xreg"


def read(data: Batches, needed: Sequence[str], regressors: Sequence[str], tick: Any) -> tuple[pa.Table, int]:
    """All rows that have a time and ids, sorted by ids and time, and the number of the others. Times in UTC."""
    kind = data.schema.field(needed[0]).type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise InvalidArgument(
            "TIME_SERIES_TIMESTAMP_COL must be a TIMESTAMP, DATE or DATETIME column",
            given=f"{needed[0]} of type {kind}",
            do="convert it in the query",
            location=needed[0],
        )
    kind = data.schema.field(needed[1]).type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise InvalidArgument(
            "TIME_SERIES_DATA_COL must be a numeric column",
            given=f"{needed[1]} of type {kind}",
            do="convert it in the query",
            location=needed[1],
        )
    for name in needed[2:]:
        kind = data.schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise InvalidArgument(
                "TIME_SERIES_ID_COL must be STRING or INT64 columns",
                given=f"{name} of type {kind}",
                do="convert it in the query",
                location=name,
            )
    batches, rows = [], 0
    for batch in data.scan([*needed, *regressors]):
        tick(batch.num_rows)
        rows += batch.num_rows
        if rows > MOST_ROWS:
            raise ResourceExhausted(
                f"Time series may have at most {MOST_ROWS:,} rows in all", given="more", do="aggregate in the query"
            )
        batches.append(batch)
    table = pa.Table.from_batches(batches, schema=batches[0].schema if batches else None) if batches else None
    if table is None or not table.num_rows:
        raise InvalidArgument("Training needs rows", given="none", do="check the training query")
    known = table
    for name in (needed[0], *needed[2:]):
        known = known.filter(pc.is_valid(known.column(name)))
    if not known.num_rows:
        raise InvalidArgument(
            "Training needs rows with a time and an id", given="NULL in every row", do="check the training query"
        )
    order = [(name, "ascending") for name in (*needed[2:], needed[0])]
    return known.sort_by(order).combine_chunks(), table.num_rows - known.num_rows


def microseconds(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Times as microseconds since 1970 in UTC."""
    kind = column.type
    target = pa.timestamp("us", tz="UTC") if pa.types.is_timestamp(kind) and kind.tz else pa.timestamp("us")
    found = column.cast(target, safe=False).cast(pa.int64())
    return np.asarray(found.to_numpy(), np.int64)


def split(
    table: pa.Table, options: SeriesOptions, regressors: Sequence[str]
) -> tuple[list[tuple[Any, ...]], list[Task]]:
    """The ids of every series, ascending, and their tasks."""
    times = microseconds(table.column(options.time_series_timestamp_col))
    values = numbers(table.column(options.time_series_data_col))
    check_values(values, options.time_series_data_col)
    edges = series_edges(table, options.id_columns)
    columns = {name: plain(table.column(name)) for name in regressors}
    keys = [table.column(name).to_pylist() for name in options.id_columns] if len(edges) < 1000 else None
    ids, tasks = [], []
    for first, last in edges:
        if keys is None:
            ids.append(tuple(table.column(name)[first].as_py() for name in options.id_columns))
        else:
            ids.append(tuple(key[first] for key in keys))
        own = {name: column[first:last] for name, column in columns.items()} if regressors else None
        tasks.append(Task(times[first:last], values[first:last], own))
    return ids, tasks


def series_edges(table: pa.Table, names: Sequence[str]) -> list[tuple[int, int]]:
    """First and past-the-last row of each series of a table sorted by ids."""
    changed = np.zeros(max(0, table.num_rows - 1), dtype=bool)
    for name in names:
        column = table.column(name)
        changed |= pc.not_equal(column.slice(1), column.slice(0, table.num_rows - 1)).to_numpy()
    edges = np.flatnonzero(changed) + 1
    return list(zip([0, *edges.tolist()], [*edges.tolist(), table.num_rows], strict=True))


def plain(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    """Regressor values as numbers, booleans and text."""
    kind = column.type
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif not (
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind)
    ):
        try:
            column = column.cast(pa.string())
        except pa.ArrowNotImplementedError as error:
            raise InvalidArgument(
                "Regressors must be numbers, booleans, strings or dates", given=str(kind), do="leave the column out"
            ) from error
    values: list[Any] = column.to_pylist()
    return values


def _holidays(options: SeriesOptions, table: pa.Table) -> list[Holiday]:
    custom = [Holiday.from_json(row) for row in options.custom_holidays or []]
    if not options.regions:
        return sorted(custom, key=lambda each: (each.day, each.region, each.name))
    times = microseconds(table.column(options.time_series_timestamp_col))
    step = STEPS.get(options.data_frequency)
    if step is None and options.data_frequency == "AUTO_FREQUENCY":
        first = series_edges(table, options.id_columns)[0]
        found, months = infer(np.unique(times[first[0] : first[1]]))
        step = None if months else found
    # Only days and weeks have holidays; for others the days of the training data are listed.
    ahead = options.horizon * step if step in (DAY, 7 * DAY) else 0
    days = [
        np.int64(each).astype("datetime64[us]").astype("datetime64[D]").astype(datetime.date)
        for each in (times.min(), times.max() + ahead)
    ]
    public = of_regions(options.regions, days[0], days[1])
    named = {(each.region, each.name) for each in custom}
    both = [each for each in public if (each.region, each.name) not in named] + custom
    return sorted(both, key=lambda each: (each.day, each.region, each.name))


def _custom(row: Sequence[Any]) -> Holiday:
    region, name, day, *window = row
    if isinstance(day, str):
        try:
            day = datetime.date.fromisoformat(day)
        except ValueError as error:
            raise InvalidArgument("A custom holiday's primary_date must be a date", given=day) from error
    if region is None or name is None or not isinstance(day, datetime.date):
        raise InvalidArgument(
            "A custom holiday must have region, holiday_name and primary_date", given=str(tuple(row)), do="fill them in"
        )
    before, after = ([1 if each is None else int(each) for each in window] + [1, 1])[:2]
    return check_custom(Holiday(str(region).upper(), str(name), day, before, after))


def _mean_variance(fitted: Sequence[Fitted | None]) -> float:
    return float(np.mean([each.arima.variance for each in fitted if each is not None]))


def _statistics(table: pa.Table, options: SeriesOptions) -> list[FeatureStatistics]:
    values = numbers(table.column(options.time_series_data_col))
    known = values[np.isfinite(values)]
    if not len(known):
        return [FeatureStatistics(options.time_series_data_col, null_count=len(values))]
    times = microseconds(table.column(options.time_series_timestamp_col)) / 1e6
    found = [
        FeatureStatistics(
            options.time_series_timestamp_col, float(times.min()), float(times.max()), float(times.mean()),
            float(np.median(times)), _deviation(times),
        ),
        FeatureStatistics(
            options.time_series_data_col, float(known.min()), float(known.max()), float(known.mean()),
            float(np.median(known)), _deviation(known), null_count=len(values) - len(known),
        ),
    ]  # fmt: skip
    for name in options.id_columns:
        found.append(FeatureStatistics(name, category_count=pc.count_distinct(table.column(name)).as_py()))
    return found


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _notes(ids: Sequence[tuple[Any, ...]], fitted: Sequence[Fitted | None], problems: Sequence[str]) -> list[str]:
    found = []
    failed = sum(1 for each in problems if each)
    if failed:
        found.append(f"{failed:,} of {len(ids):,} time series have no model; ML.ARIMA_EVALUATE says why")
    for each in fitted:
        if each is not None:
            found.extend(note for note in each.notes if note not in found)
    return found


__all__ = ["ArimaModel", "ArimaOptions", "ArimaXregModel", "XregOptions", "fit_arima"]
