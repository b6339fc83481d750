"""Time series in the table argument of a function: their rows, what is fitted to them, those that cannot be fitted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from tule.bigquery.ml.batches import QueryBatches
from tule.bigquery.ml.given_rows import check_different, given_rows
from tule.bigquery.ml.mistakes import wrong
from tule.bigquery.model_statements import Run
from tule.bigquery.sql import Context

if TYPE_CHECKING:
    from tule.learn.models.timeseries import TimeSeriesModel

Rows = list[dict[str, Any]]


class Series:
    """The series of one call. ``arguments``: ``timestamp_col``, ``data_col`` and ``id_cols`` among others."""

    def __init__(
        self, name: str, call: exp.Expression, context: Context, run: Run, arguments: Mapping[str, Any]
    ) -> None:
        self._name = name
        self._call = call
        self._context = context
        self._run = run
        self.arguments = arguments

    def rows(self, table: Any) -> QueryBatches:
        """The columns that matter of a table argument: times, data, ids."""
        wanted = [self.arguments["timestamp_col"], self.arguments["data_col"], *self.arguments["id_cols"]]
        check_different(wanted, self._name)
        return given_rows(table, wanted, self._name, self._call, self._context, self._run)

    def fitted(self, table: pa.Table, **options: Any) -> TimeSeriesModel:
        """One ARIMA_PLUS for each series; those that could not be fitted keep their problem."""
        from tule.learn.data import ArrowBatches
        from tule.learn.models import FAMILIES
        from tule.learn.models.arima import fit_series
        from tule.learn.models.timeseries import TimeSeriesModel

        arguments = self.arguments
        options["time_series_timestamp_col"] = arguments["timestamp_col"]
        options["time_series_data_col"] = arguments["data_col"]
        if arguments["id_cols"]:
            options["time_series_id_col"] = arguments["id_cols"]
        if not table.num_rows:
            raise wrong("A time series must have rows", given="none", do="check the query")
        family = replace(FAMILIES["arima_plus"], train=lambda request: fit_series(request)[0])
        model = family.fit(ArrowBatches(table), label=None, options=options)
        assert isinstance(model, TimeSeriesModel)
        return model

    def split(self, table: pa.Table, *, last: int | None = None, start: int | None = None) -> tuple[pa.Table, pa.Table]:
        """The points of each series before its ``last`` ones, or before ``start`` (microseconds), and the others."""
        from tule.learn.models.arima import microseconds

        time, ids = self.arguments["timestamp_col"], self.arguments["id_cols"]
        table = table.filter(pc.is_valid(table.column(time)))
        if start is not None:
            later = microseconds(table.column(time)) >= start
        else:
            assert last is not None
            table = table.sort_by([(name, "ascending") for name in (*ids, time)])
            keys = list(zip(*(table.column(name).to_pylist() for name in ids), strict=True)) or [()] * table.num_rows
            left, later = Counter(keys), np.zeros(table.num_rows, dtype=bool)
            for row, key in enumerate(keys):
                later[row] = left[key] <= last
                left[key] -= 1
        return table.filter(pa.array(~later)), table.filter(pa.array(later))

    def listed(self, found: Rows, model: TimeSeriesModel, status: str) -> Rows:
        """The rows, then one with NULLs and its problem for each series that could not be fitted."""
        for own, fitted, problem in zip(model.ids, model.fitted, model.problems, strict=True):
            if fitted is None:
                found.append({**dict(zip(self.arguments["id_cols"], own, strict=True)), status: problem})
        return found
