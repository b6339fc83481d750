"""A fitted time series model: forecasts, explanations, evaluation, anomalies, and what it consists of, as Arrow tables.

Every table begins with the id columns, in their own types. Times are TIMESTAMP whatever the training column was.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.learn.data import missing_column
from tule.learn.forecast.decomposition import PERIODS
from tule.learn.forecast.frequency import average
from tule.learn.forecast.hierarchy import Ids, parents
from tule.learn.forecast.holidays import Calendar, Holiday
from tule.learn.forecast.regression import INTERCEPT
from tule.learn.forecast.series import Contributions, Fitted
from tule.learn.metrics import Evaluator, numbers
from tule.learn.models.base import Model, Parts, Rows
from tule.learn.schema import type_from_json, type_to_json

TIME = pa.timestamp("us", tz="UTC")
SEASONS = tuple(reversed(PERIODS))
"""YEARLY first: the order of the columns of an explanation."""
NO_HORIZON = 3


@dataclass(frozen=True)
class _Ahead:
    """The points to come of one series, regression included."""

    times: np.ndarray
    parts: Contributions
    regression: np.ndarray


@dataclass(frozen=True)
class ChangePoint:
    """A stretch of time in which a series changed for good, and how its values were in it. Times are microseconds."""

    ids: Ids
    first: int
    last: int
    metrics: dict[str, float | int]


class TimeSeriesModel(Model):
    """One fitted series for each tuple of ``ids``, or the message of its problem."""

    def __init__(
        self,
        common: Mapping[str, Any],
        ids: Sequence[Ids],
        fitted: Sequence[Fitted | None],
        problems: Sequence[str],
        calendar: Calendar,
    ) -> None:
        super().__init__(common)
        self.ids = list(ids)
        self.fitted = [None if each is None else replace(each, calendar=calendar) for each in fitted]
        self.problems = list(problems)
        self.calendar = calendar
        self.time_column, self.data_column = (field.name for field in self.signature.inputs[:2])
        given = self.options["time_series_id_col"]
        self.id_columns: list[str] = [] if given is None else [given] if isinstance(given, str) else list(given)
        first = 2 + len(self.id_columns)
        self.id_types = [field.type for field in self.signature.inputs[2:first]]
        self.regressors = [field.name for field in self.signature.inputs[first:]]
        self._places = {own: at for at, own in enumerate(self.ids)}

    @property
    def features(self) -> list[str]:
        return self.regressors or [self.time_column]

    def predict(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        raise Unimplemented("A time series model has no ML.PREDICT", do="use ML.FORECAST")

    def evaluator(self, threshold: float) -> Evaluator:
        raise Unimplemented("A time series model is evaluated as a whole", do="use its evaluate method")

    # -- forecasts

    def forecast(
        self, horizon: int | None = None, confidence_level: float = 0.95, rows: Rows | None = None
    ) -> pa.Table:
        """ML.FORECAST: ``horizon`` points a series (default 3; XREG: as many as ``rows`` gives regressors for)."""
        horizon, z = self._horizon(horizon), _quantile(confidence_level)
        found: list[dict[str, Any]] = []
        keys: list[Ids] = []
        for own, children in self._groups():
            ahead = _total([self._ahead(at, horizon, z, rows) for at in children], z)
            parts = ahead.parts
            keys += [own] * len(ahead.times)
            found.append(
                {
                    "forecast_timestamp": ahead.times,
                    "forecast_value": parts.total,
                    "standard_error": parts.errors,
                    "confidence_level": np.full(len(ahead.times), confidence_level),
                    "prediction_interval_lower_bound": parts.lower,
                    "prediction_interval_upper_bound": parts.upper,
                    "confidence_interval_lower_bound": parts.lower,
                    "confidence_interval_upper_bound": parts.upper,
                }
            )
        return self._table(keys, found)

    def explain_forecast(
        self, horizon: int | None = None, confidence_level: float = 0.95, rows: Rows | None = None
    ) -> pa.Table:
        """ML.EXPLAIN_FORECAST: the history and the forecast, each as parts that add up."""
        self._decomposed("ML.EXPLAIN_FORECAST")
        horizon, z = self._horizon(horizon), _quantile(confidence_level)
        found: list[dict[str, Any]] = []
        keys: list[Ids] = []
        for own, children in self._groups():
            past = self._summed_past(children)
            ahead = _total([self._ahead(at, horizon, z, rows) for at in children], z)
            coming = self._explained_ahead(ahead, confidence_level)
            found.append({name: np.concatenate([past[name], coming[name]]) for name in past})
            keys += [own] * len(found[-1]["time_series_timestamp"])
        return self._table(keys, found)

    def _explained_ahead(self, ahead: _Ahead, confidence_level: float) -> dict[str, Any]:
        parts, count = ahead.parts, len(ahead.times)
        nothing = np.full(count, np.nan)
        found: dict[str, Any] = {
            "time_series_timestamp": ahead.times,
            "time_series_type": np.full(count, "forecast", dtype=object),
            "time_series_data": parts.total,
            "time_series_adjusted_data": parts.total,
            "standard_error": parts.errors,
            "confidence_level": np.full(count, confidence_level),
            "prediction_interval_lower_bound": parts.lower,
            "prediction_interval_upper_bound": parts.upper,
            "trend": parts.trend,
        }
        found |= {f"seasonal_period_{name.lower()}": each for name, each in zip(SEASONS, parts.seasonals, strict=True)}
        found["holiday_effect"] = _sum_known(list(parts.holidays.values()), count)
        found |= {"spikes_and_dips": nothing, "step_changes": nothing, "residual": nothing}
        found |= {f"holiday_effect_{name}": each for name, each in parts.holidays.items()}
        for at, name in enumerate(self._attributed()):
            found[f"attribution_{name}"] = ahead.regression[:, at]
        return found

    def _explained_past(self, at: int) -> dict[str, Any]:
        fitted = self.fitted[at]
        assert fitted is not None and fitted.history is not None
        history, parts, count = fitted.history, self._named(fitted, fitted.past(1.0)), fitted.grid.points
        nothing = np.full(count, np.nan)
        window = self.options["trend_smoothing_window_size"]
        trend = parts.trend if window is None else _moving_average(parts.trend, window)
        adjusted = history.data - history.spikes - history.steps
        added = history.regression.sum(axis=1)
        rest = adjusted - added - (parts.total - parts.trend + trend)
        found: dict[str, Any] = {
            "time_series_timestamp": fitted.grid.times(0, count),
            "time_series_type": np.full(count, "history", dtype=object),
            "time_series_data": history.data,
            "time_series_adjusted_data": adjusted,
            "standard_error": parts.errors,
            "confidence_level": nothing,
            "prediction_interval_lower_bound": nothing,
            "prediction_interval_upper_bound": nothing,
            "trend": trend,
        }
        found |= {f"seasonal_period_{name.lower()}": each for name, each in zip(SEASONS, parts.seasonals, strict=True)}
        found["holiday_effect"] = _sum_known(list(parts.holidays.values()), count)
        found["spikes_and_dips"] = history.spikes if self.options["clean_spikes_and_dips"] else nothing
        found["step_changes"] = history.steps if self.options["adjust_step_changes"] else nothing
        found["residual"] = rest
        found |= {f"holiday_effect_{name}": each for name, each in parts.holidays.items()}
        for each, name in enumerate(self._attributed()):
            found[f"attribution_{name}"] = history.regression[:, each]
        return found

    def _summed_past(self, children: Sequence[int]) -> dict[str, Any]:
        if len(children) == 1:
            return self._explained_past(children[0])
        tables = [self._explained_past(at) for at in children]
        times, places = np.unique(
            np.concatenate([each["time_series_timestamp"] for each in tables]), return_inverse=True
        )
        found: dict[str, Any] = {}
        for name in tables[0]:
            if name == "time_series_timestamp":
                found[name] = times
            elif name == "time_series_type":
                found[name] = np.full(len(times), "history", dtype=object)
            else:
                values = np.concatenate([each[name] for each in tables])
                values = values**2 if name == "standard_error" else values
                known = np.isfinite(values)
                sums = np.bincount(places[known], weights=values[known], minlength=len(times)).astype(float)
                sums[np.bincount(places[known], minlength=len(times)) == 0] = np.nan
                found[name] = np.sqrt(sums) if name == "standard_error" else sums
        return found

    def _groups(self) -> list[tuple[Ids, list[int]]]:
        """Every series that has a model, rolled-up ones first."""
        usable = [at for at, each in enumerate(self.fitted) if each is not None]
        single: list[tuple[Ids, list[int]]] = [(self.ids[at], [at]) for at in usable]
        levels = self.options.get("hierarchical_time_series_cols")
        if not levels:
            return single
        rolled = parents([self.ids[at] for at in usable], self.id_columns, levels)
        return [(own, [usable[each] for each in children]) for own, children in rolled] + single

    def _ahead(self, at: int, horizon: int, z: float, rows: Rows | None) -> _Ahead:
        fitted = self.fitted[at]
        assert fitted is not None
        regression = np.zeros((horizon, 0))
        if fitted.regression is not None:
            regression = self._future(at, fitted, horizon, rows)
            horizon = len(regression)
        parts = self._named(fitted, fitted.ahead(horizon, z))
        times = fitted.grid.times(fitted.grid.points, horizon)
        if regression.shape[1]:
            added = regression.sum(axis=1)
            parts = replace(parts, total=parts.total + added, lower=parts.lower + added, upper=parts.upper + added)
        return _Ahead(times, parts, regression)

    def _future(self, at: int, fitted: Fitted, horizon: int, rows: Rows | None) -> np.ndarray:
        """(points, terms) contributions of the regressors that ``rows`` gives for the points to come."""
        assert fitted.regression is not None
        if rows is None:
            raise InvalidArgument(
                "Forecasts of ARIMA_PLUS_XREG need the future values of its features",
                given="no data",
                do=f"give rows with {', '.join([self.time_column, *self.id_columns, *self.regressors])}",
            )
        table, places = self._rows_of(at, fitted, rows)
        from tule.learn.models.arima import plain

        coming = (places >= fitted.grid.points) & (places < fitted.grid.points + horizon)
        if not coming.any():
            raise InvalidArgument(
                "Forecasts of ARIMA_PLUS_XREG need the features of the time points after the training data",
                given=f"no row from {_shown(fitted.grid.times(fitted.grid.points, 1)[0])} on"
                + (f" for {', '.join(map(str, self.ids[at]))}" if self.ids[at] else ""),
                do="add rows for them",
            )
        chosen = table.filter(pa.array(coming))
        added = fitted.regression.contributions({name: plain(chosen.column(name)) for name in self.regressors})
        last = int(places[coming].max()) - fitted.grid.points + 1
        columns = [average(places[coming] - fitted.grid.points, column, last) for column in added.T]
        found = np.column_stack(columns)
        missing = np.flatnonzero(~np.isfinite(found[:, -1]))
        if len(missing):
            raise InvalidArgument(
                "The future features must have a row for each time point up to the last one",
                given=f"none for {_shown(fitted.grid.times(fitted.grid.points + int(missing[0]), 1)[0])}",
                do="add the missing rows",
            )
        return found

    def _named(self, fitted: Fitted, parts: Contributions) -> Contributions:
        """Parts with one array for each of ``SEASONS`` and each holiday of the model, NaN for those it lacks."""
        count = len(parts.trend)
        own = {season.name: each for season, each in zip(fitted.seasons, parts.seasonals, strict=True)}
        nothing = np.full(count, np.nan)
        holidays = {name: parts.holidays.get(name, nothing) for name in self._holiday_names()}
        return replace(parts, seasonals=[own.get(name, nothing) for name in SEASONS], holidays=holidays)

    def _holiday_names(self) -> list[str]:
        return sorted({effect.name for each in self.fitted if each is not None for effect in each.effects})

    def _attributed(self) -> list[str]:
        return [*self.regressors, INTERCEPT] if self.regressors else []

    # -- what it consists of

    def arima_evaluate(self, show_all_candidate_models: bool = False) -> pa.Table:
        """ML.ARIMA_EVALUATE: the chosen model of each series, or every candidate, best first."""
        keys: list[Ids] = []
        lines: list[dict[str, Any]] = []
        for own, fitted, problem in zip(self.ids, self.fitted, self.problems, strict=True):
            if fitted is None:
                keys.append(own)
                lines.append({"error_message": problem})
                continue
            chosen = fitted.arima
            best = (len(chosen.ar), chosen.d, len(chosen.ma), chosen.drift)
            for line in fitted.candidates:
                if not show_all_candidate_models and (line.p, line.d, line.q, line.drift) != best:
                    continue
                keys.append(own)
                lines.append(
                    {
                        "non_seasonal_p": line.p,
                        "non_seasonal_d": line.d,
                        "non_seasonal_q": line.q,
                        "has_drift": line.drift,
                        "log_likelihood": line.log_likelihood,
                        "AIC": line.aic,
                        "variance": line.variance,
                        "seasonal_periods": [season.name for season in fitted.seasons] or ["NO_SEASONALITY"],
                        "has_holiday_effect": bool(fitted.effects),
                        "has_spikes_and_dips": fitted.has_spikes,
                        "has_step_changes": fitted.has_steps,
                        "error_message": "",
                    }
                )
        schema = pa.schema(
            [
                *((name, pa.int64()) for name in ("non_seasonal_p", "non_seasonal_d", "non_seasonal_q")),
                ("has_drift", pa.bool_()),
                *((name, pa.float64()) for name in ("log_likelihood", "AIC", "variance")),
                ("seasonal_periods", pa.list_(pa.string())),
                *((name, pa.bool_()) for name in ("has_holiday_effect", "has_spikes_and_dips", "has_step_changes")),
                ("error_message", pa.string()),
            ]
        )
        return self._keyed(keys, pa.Table.from_pylist(lines, schema=schema))

    def arima_coefficients(self) -> pa.Table:
        """ML.ARIMA_COEFFICIENTS; XREG: the regression's terms as further rows, after the one of the ARIMA."""
        keys: list[Ids] = []
        lines: list[dict[str, Any]] = []
        for own, fitted in zip(self.ids, self.fitted, strict=True):
            if fitted is None:
                continue
            keys.append(own)
            lines.append(
                {
                    "ar_coefficients": fitted.arima.ar.tolist(),
                    "ma_coefficients": fitted.arima.ma.tolist(),
                    "intercept_or_drift": fitted.arima.intercept_or_drift,
                    "category_weights": [],
                }
            )
            if fitted.regression is None:
                continue
            for term in fitted.regression.terms:
                pairs = zip(term.categories or (), term.weights, strict=True)
                keys.append(own)
                lines.append(
                    {
                        "ar_coefficients": [],
                        "ma_coefficients": [],
                        "processed_input": term.name,
                        "weight": None if term.categories is not None else term.weight,
                        "category_weights": [{"category": name, "weight": weight} for name, weight in pairs],
                    }
                )
            keys.append(own)
            lines.append(
                {
                    "ar_coefficients": [],
                    "ma_coefficients": [],
                    "processed_input": INTERCEPT,
                    "weight": fitted.regression.intercept,
                    "category_weights": [],
                }
            )
        numbers_list = pa.list_(pa.float64())
        fields = [
            ("ar_coefficients", numbers_list),
            ("ma_coefficients", numbers_list),
            ("intercept_or_drift", pa.float64()),
        ]
        if self.regressors:
            pair = pa.struct([("category", pa.string()), ("weight", pa.float64())])
            fields += [("processed_input", pa.string()), ("weight", pa.float64()), ("category_weights", pa.list_(pair))]
        return self._keyed(keys, pa.Table.from_pylist(lines, schema=pa.schema(fields)))

    def holiday_info(self) -> pa.Table:
        """ML.HOLIDAY_INFO: the holidays that the model looked at."""
        days = self.calendar.days
        return pa.table(
            {
                "region": pa.array([each.region for each in days], pa.string()),
                "holiday_name": pa.array([each.name for each in days], pa.string()),
                "primary_date": pa.array([each.day for each in days], pa.date32()),
                "preholiday_days": pa.array([each.before for each in days], pa.int64()),
                "postholiday_days": pa.array([each.after for each in days], pa.int64()),
            }
        )

    # -- data beside the forecasts

    def evaluate(
        self,
        rows: Rows,
        *,
        horizon: int | None = None,
        confidence_level: float = 0.95,
        perform_aggregation: bool = True,
    ) -> pa.Table:
        """ML.EVALUATE with data: errors of the forecasts at the rows' times, for each series or for each row.

        Rows outside the horizon or of an unknown series have NULL. mean_absolute_scaled_error is in units of the mean
        absolute change between neighbouring training points; percentages are of 100.
        """
        horizon = self.options["horizon"] if horizon is None else self._horizon(horizon)
        found = self._beside(rows, horizon, _quantile(confidence_level), past=False)
        data, expected = found["data"], found["expected"]
        missed = np.abs(data - expected)
        with np.errstate(divide="ignore", invalid="ignore"):
            percent = np.where(data == 0.0, np.nan, 100.0 * missed / np.abs(data))
            both = np.abs(data) + np.abs(expected)
            symmetric = np.where(both == 0.0, 0.0, 200.0 * missed / both)
        if not perform_aggregation:
            return self._keyed(
                found["keys"],
                pa.table(
                    {
                        self.time_column: _times(found["times"]),
                        self.data_column: _nullable(data),
                        f"forecasted_{self.data_column}": _nullable(expected),
                        "lower_bound": _nullable(found["lower"]),
                        "upper_bound": _nullable(found["upper"]),
                        "absolute_error": _nullable(missed),
                        "absolute_percentage_error": _nullable(percent),
                    }
                ),
            )
        keys, lines = [], []
        for at, own in enumerate(self.ids):
            fitted, mine = self.fitted[at], (found["series"] == at) & np.isfinite(missed)
            if fitted is None or not mine.any():
                continue
            keys.append(own)
            absolute, squared = float(missed[mine].mean()), float((missed[mine] ** 2).mean())
            shares = percent[mine][np.isfinite(percent[mine])]
            lines.append(
                {
                    "mean_absolute_error": absolute,
                    "mean_squared_error": squared,
                    "root_mean_squared_error": math.sqrt(squared),
                    "mean_absolute_percentage_error": float(shares.mean()) if len(shares) else None,
                    "symmetric_mean_absolute_percentage_error": float(symmetric[mine].mean()),
                    "mean_absolute_scaled_error": absolute / fitted.naive_error if fitted.naive_error else None,
                }
            )
        if not lines:
            raise InvalidArgument(
                "The evaluation data must have rows at time points of the forecast",
                given="none of them",
                do="give the rows that follow the training data",
            )
        fields = [(name, pa.float64()) for name in lines[0]]
        return self._keyed(keys, pa.Table.from_pylist(lines, schema=pa.schema(fields)))

    def find_anomalies(self, rows: Rows | None = None, *, anomaly_prob_threshold: float = 0.95) -> pa.Table:
        """ML.DETECT_ANOMALIES on the training data (``rows`` None), or on rows of the time after it.

        A point's probability is that of a value nearer to what was expected: 2 Phi(|z|) - 1. Further columns of ``rows``
        follow. Rows outside the horizon or of an unknown series have NULL.
        """
        from scipy.special import ndtr

        if not 0.0 <= anomaly_prob_threshold < 1.0:
            raise InvalidArgument("anomaly_prob_threshold must be at least 0 and below 1", given=anomaly_prob_threshold)
        z = _quantile(anomaly_prob_threshold)
        if rows is None:
            self._decomposed("ML.DETECT_ANOMALIES without data")
            found = self._fits(z)
        else:
            found = self._beside(rows, self.options["horizon"], z, past=False)
        with np.errstate(divide="ignore", invalid="ignore"):
            away = np.abs(found["data"] - found["expected"])
            score = np.where(away <= 1e-12 * (1.0 + np.abs(found["expected"])), 0.0, away / found["errors"])
        probability = np.where(
            np.isfinite(found["expected"]) & np.isfinite(found["data"]), 2.0 * ndtr(score) - 1.0, np.nan
        )
        known = np.isfinite(probability)
        columns: dict[str, Any] = {
            self.time_column: _times(found["times"]),
            self.data_column: _nullable(found["data"]),
            "is_anomaly": pa.array(probability > anomaly_prob_threshold, mask=~known),
            "lower_bound": _nullable(found["lower"]),
            "upper_bound": _nullable(found["upper"]),
            "anomaly_probability": _nullable(probability),
        }
        taken = {*self.id_columns, *columns}
        columns |= {name: column for name, column in found.get("others", {}).items() if name not in taken}
        return self._keyed(found["keys"], pa.table(columns))

    def _fits(self, z: float) -> dict[str, Any]:
        found: dict[str, list[Any]] = {name: [] for name in ("times", "data", "expected", "lower", "upper", "errors")}
        keys: list[Ids] = []
        for at, fitted in enumerate(self.fitted):
            if fitted is None or fitted.history is None:
                continue
            parts, history = fitted.past(z), fitted.history
            # A step is no anomaly of the points before it; a spike is one.
            shift = history.steps + history.regression.sum(axis=1)
            keys += [self.ids[at]] * fitted.grid.points
            found["times"].append(fitted.grid.times(0, fitted.grid.points))
            found["data"].append(history.data)
            found["errors"].append(parts.errors)
            for name, each in (("expected", parts.total), ("lower", parts.lower), ("upper", parts.upper)):
                found[name].append(each + shift)
        return {"keys": keys, **{name: np.concatenate(parts) for name, parts in found.items()}}

    def _beside(self, rows: Rows, horizon: int, z: float, *, past: bool) -> dict[str, Any]:
        """Rows beside their forecasts, by ids and time."""
        table = self._checked_rows(rows, [self.time_column, self.data_column, *self.id_columns, *self.regressors])
        order = [(name, "ascending") for name in (*self.id_columns, self.time_column)]
        table = table.sort_by(order).combine_chunks()
        from tule.learn.models.arima import microseconds, plain

        times, data = microseconds(table.column(self.time_column)), numbers(table.column(self.data_column))
        columns = [table.column(name).to_pylist() for name in self.id_columns]
        keys: list[Ids] = list(zip(*columns, strict=True)) if columns else [()] * table.num_rows
        series = np.array([self._places.get(own, -1) for own in keys], dtype=np.int64)
        found = {name: np.full(table.num_rows, np.nan) for name in ("expected", "lower", "upper", "errors")}
        for at in np.unique(series[series >= 0]):
            fitted = self.fitted[at]
            if fitted is None:
                continue
            mine = np.flatnonzero(series == at)
            places = fitted.grid.places(times[mine]) - fitted.grid.points
            inside = (places >= 0) & (places < horizon)
            mine, places = mine[inside], places[inside]
            if not len(mine):
                continue
            parts = fitted.ahead(int(places.max()) + 1, z)
            added = np.zeros(len(mine))
            if fitted.regression is not None:
                own = table.take(pa.array(mine))
                added = fitted.regression.contributions(
                    {name: plain(own.column(name)) for name in self.regressors}
                ).sum(axis=1)
            found["errors"][mine] = parts.errors[places]
            for name, each in (("expected", parts.total), ("lower", parts.lower), ("upper", parts.upper)):
                found[name][mine] = each[places] + added
        others = {name: table.column(name) for name in table.schema.names}
        return {"keys": keys, "series": series, "times": times, "data": data, "others": others, **found}

    # -- changes

    def change_points(self) -> list[ChangePoint]:
        """ML.DETECT_CHANGE_POINTS: where the level or the slope of each series changed for good."""
        from tule.learn.forecast.changes import changes

        found = []
        for own, fitted in zip(self.ids, self.fitted, strict=True):
            if fitted is None or fitted.history is None:
                continue
            parts, history = fitted.past(1.0), fitted.history
            level = history.data - history.spikes - (parts.total - parts.trend)
            for first, last in changes(level):
                inside = history.data[first : last + 1]
                metrics: dict[str, float | int] = {
                    "avg": float(inside.mean()),
                    "min": float(inside.min()),
                    "max": float(inside.max()),
                    "stddev": float(inside.std(ddof=1)),
                    "count": len(inside),
                }
                times = fitted.grid.times(first, last - first + 1)
                found.append(ChangePoint(own, int(times[0]), int(times[-1]), metrics))
        return found

    # -- shared

    def _checked_rows(self, rows: Rows, names: Sequence[str]) -> pa.Table:
        for name in names:
            if name not in rows.schema.names:
                raise missing_column(name, rows.schema.names)
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        kind = table.schema.field(self.time_column).type
        if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            raise InvalidArgument(
                f"{self.time_column} must be a TIMESTAMP, DATE or DATETIME column", given=str(kind), do="convert it"
            )
        for name, wanted in zip(self.id_columns, self.id_types, strict=True):
            if table.schema.field(name).type != wanted:
                table = table.set_column(table.schema.get_field_index(name), name, table.column(name).cast(wanted))
        return table

    def _rows_of(self, at: int, fitted: Fitted, rows: Rows) -> tuple[pa.Table, np.ndarray]:
        """The rows of one series and their places on its grid."""
        import pyarrow.compute as pc

        from tule.learn.models.arima import microseconds

        table = self._checked_rows(rows, [self.time_column, *self.id_columns, *self.regressors])
        for name, value in zip(self.id_columns, self.ids[at], strict=True):
            table = table.filter(pc.equal(table.column(name), value))
        table = table.filter(pc.is_valid(table.column(self.time_column)))
        return table, fitted.grid.places(microseconds(table.column(self.time_column)))

    def _horizon(self, horizon: int | None) -> int:
        most = self.options["horizon"]
        if horizon is None:
            return int(min(NO_HORIZON, most)) if not self.regressors else int(most)
        if not 1 <= horizon <= most:
            raise InvalidArgument(
                f"horizon must be between 1 and the HORIZON that the model was trained with, {most}",
                given=horizon,
                do="lower it, or train with a longer HORIZON",
                location="horizon",
            )
        return horizon

    def _decomposed(self, function: str) -> None:
        if not self.options.get("decompose_time_series", True):
            raise InvalidArgument(
                f"{function} needs a model trained with DECOMPOSE_TIME_SERIES = TRUE",
                given="FALSE",
                do="train it again",
            )

    def _table(self, keys: Sequence[Ids], found: Sequence[Mapping[str, Any]]) -> pa.Table:
        columns: dict[str, Any] = {}
        for name in found[0]:
            values = np.concatenate([each[name] for each in found])
            if name.endswith("_timestamp"):
                columns[name] = _times(values)
            else:
                columns[name] = pa.array(values, pa.string()) if values.dtype == object else _nullable(values)
        return self._keyed(keys, pa.table(columns))

    def _keyed(self, keys: Sequence[Ids], table: pa.Table) -> pa.Table:
        """``table`` with the id columns before it."""
        for at in range(len(self.id_columns) - 1, -1, -1):
            column = pa.array([own[at] for own in keys], self.id_types[at])
            table = table.add_column(0, self.id_columns[at], column)
        return table

    # -- on disk

    def to_parts(self) -> Parts:
        states: list[Any] = []
        arrays: dict[str, list[np.ndarray]] = {"history": [], "regression": []}
        for each in self.fitted:
            if each is None:
                states.append(None)
                continue
            state, own = each.to_parts()
            # Series have histories of different shapes: kept flat, one after the other.
            state["shapes"] = {name: list(array.shape) for name, array in own.items()}
            states.append(state)
            for name, array in own.items():
                arrays[name].append(array.ravel())
        joined = {name: np.concatenate([np.zeros(0), *parts]) for name, parts in arrays.items()}
        columns = [pa.array([own[at] for own in self.ids], kind) for at, kind in enumerate(self.id_types)]
        sink = io.BytesIO()
        schema = pa.schema(
            [
                (name, type_from_json(type_to_json(kind)))
                for name, kind in zip(self.id_columns, self.id_types, strict=True)
            ]
        )
        with pa.ipc.new_file(sink, schema) as writer:
            if columns:
                writer.write_batch(pa.record_batch(columns, schema=schema))
        state = {
            "series": states,
            "problems": self.problems,
            "holidays": [each.to_json() for each in self.calendar.days],
        }
        return Parts(state, joined, {"ids.arrow": sink.getvalue()})

    @classmethod
    def from_parts(cls, common: Mapping[str, Any], parts: Parts) -> Self:
        calendar = Calendar([Holiday.from_json(each) for each in parts.state["holidays"]])
        fitted: list[Fitted | None] = []
        starts = dict.fromkeys(parts.arrays, 0)
        for own in parts.state["series"]:
            if own is None:
                fitted.append(None)
                continue
            histories = {}
            for name, shape in own["shapes"].items():
                size = math.prod(shape)
                histories[name] = parts.arrays[name][starts[name] : starts[name] + size].reshape(shape)
                starts[name] += size
            fitted.append(Fitted.from_parts(own, histories, calendar))
        table = pa.ipc.open_file(parts.files["ids.arrow"]).read_all()
        columns = [column.to_pylist() for column in table.columns]
        ids: list[Ids] = list(zip(*columns, strict=True)) if columns else [()]
        return cls(common, ids, fitted, parts.state["problems"], calendar)


def _total(series: Sequence[_Ahead], z: float) -> _Ahead:
    """The sum of series of one frequency, their errors independent; points that all of them have."""
    if len(series) == 1:
        return series[0]
    times = series[0].times
    for each in series[1:]:
        times = np.intersect1d(times, each.times)
    places = [np.searchsorted(each.times, times) for each in series]

    def added(arrays: Sequence[np.ndarray]) -> np.ndarray:
        rows = np.vstack([array[place] for array, place in zip(arrays, places, strict=True)])
        known = np.isfinite(rows)
        return np.where(known.any(axis=0), np.where(known, rows, 0.0).sum(axis=0), np.nan)

    parts = [each.parts for each in series]
    errors = np.sqrt(added([each.errors**2 for each in parts]))
    total = added([each.total for each in parts])
    return _Ahead(
        times,
        Contributions(
            added([each.trend for each in parts]),
            [added([each.seasonals[at] for each in parts]) for at in range(len(SEASONS))],
            {name: added([each.holidays[name] for each in parts]) for name in parts[0].holidays},
            total,
            total - z * errors,
            total + z * errors,
            errors,
        ),
        np.zeros((len(times), 0)),
    )


def _quantile(level: float) -> float:
    """Standard errors on each side of an interval that holds ``level``."""
    if not 0.0 <= level < 1.0:
        raise InvalidArgument(
            "confidence_level must be at least 0 and below 1", given=level, location="confidence_level"
        )
    from scipy.special import ndtri

    return float(ndtri(0.5 + 0.5 * level))


def _moving_average(values: np.ndarray, window: int) -> np.ndarray:
    """A centred mean, over fewer points at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    first, last = np.maximum(at - (window - 1) // 2, 0), np.minimum(at + window // 2 + 1, len(values))
    return np.asarray((sums[last] - sums[first]) / (last - first))


def _sum_known(arrays: Sequence[np.ndarray], count: int) -> np.ndarray:
    """The sum of what is known at each point; NaN where nothing is."""
    if not arrays:
        return np.full(count, np.nan)
    rows = np.vstack(arrays)
    known = np.isfinite(rows)
    return np.where(known.any(axis=0), np.where(known, rows, 0.0).sum(axis=0), np.nan)


def _nullable(values: np.ndarray) -> pa.Array:
    return pa.array(values, pa.float64(), mask=np.isnan(values))


def _times(values: np.ndarray) -> pa.Array:
    return pa.array(values, pa.int64()).cast(TIME)


def _shown(time: int) -> str:
    return str(np.int64(time).astype("datetime64[us]").astype("datetime64[s]"))
