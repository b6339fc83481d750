"""Contribution analysis: what changed a metric between control rows and test rows, segment by segment.

Rows are added up by their dimension values in one pass; what is kept is one line for each combination that occurs. The
segments of these lines (``learn.segments``) are compared as BigQuery ML documents it:
https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-get-insights
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tule.kernel.errors import InvalidArgument, ResourceExhausted, Unimplemented
from tule.learn.data import missing_column
from tule.learn.metrics import Evaluator
from tule.learn.models.base import Model, Options, Parts, Rows, option
from tule.learn.models.fitting import FitRequest
from tule.learn.models.insights import BY_CATEGORY, RATIO, SUMMABLE, Insight, insights_table, ratio
from tule.learn.schema import Field, Signature
from tule.learn.segments import MOST, Segment, segments

LEAST_SUPPORT = 0.1
_MOST_DIMENSIONS, _MOST_UNPRUNED = 50, 13
_MOST_LINES = 5_000_000
# Combinations after which those that are the same are added up.
_GATHERED = 500_000
_NAME = r"(`[^`]+`|[A-Za-z_][A-Za-z0-9_]*)"
_FORM = re.compile(
    rf"\s*SUM\s*\(\s*{_NAME}\s*\)\s*(?:/\s*(?:SUM\s*\(\s*{_NAME}\s*\)|COUNT\s*\(\s*DISTINCT\s+{_NAME}\s*\))\s*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Metric:
    """``SUM(amount)``, ``SUM(amount)/SUM(per)`` or ``SUM(amount)/COUNT(DISTINCT category)``."""

    amount: str
    per: str | None = None
    category: str | None = None

    @classmethod
    def parse(cls, text: str) -> Metric:
        found = _FORM.fullmatch(text)
        if found is None:
            raise InvalidArgument(
                "CONTRIBUTION_METRIC must be SUM(column), SUM(column)/SUM(column) or SUM(column)/COUNT(DISTINCT column)",
                given=repr(text),
                do="compute anything else in the training query",
                location="contribution_metric",
            )
        return cls(*(None if each is None else each.strip("`") for each in found.groups()))  # type: ignore[arg-type]

    @property
    def kind(self) -> str:
        return RATIO if self.per else BY_CATEGORY if self.category else SUMMABLE

    @property
    def numbers(self) -> list[str]:
        return [self.amount, *([self.per] if self.per else [])]

    @property
    def columns(self) -> list[str]:
        return [*self.numbers, *([self.category] if self.category else [])]


@dataclass
class ContributionOptions(Options):
    """Options of contribution analysis. ``min_apriori_support`` None: 0.1, unless the top k are asked for."""

    contribution_metric: str | None = None
    is_test_col: str | None = None
    dimension_id_cols: list[str] | None = None
    min_apriori_support: float | None = option(None, low=0.0, high=1.0)
    top_k_insights_by_apriori_support: int | None = option(None, low=1, high=1_000_000)
    pruning_method: str = option("NO_PRUNING", choices=("NO_PRUNING", "PRUNE_REDUNDANT_INSIGHTS"))

    def check(self, given: set[str]) -> None:
        for name in ("contribution_metric", "is_test_col"):
            if not getattr(self, name):
                raise InvalidArgument(f"Contribution analysis needs {name.upper()}", do=f"set {name.upper()}")
        if self.min_apriori_support is not None and self.top_k_insights_by_apriori_support is not None:
            raise InvalidArgument(
                "MIN_APRIORI_SUPPORT and TOP_K_INSIGHTS_BY_APRIORI_SUPPORT exclude each other", do="leave one out"
            )

    @property
    def least(self) -> float:
        """The support from which a segment counts."""
        if self.top_k_insights_by_apriori_support is not None:
            return math.ulp(0.0)
        return LEAST_SUPPORT if self.min_apriori_support is None else self.min_apriori_support


class ContributionModel(Model):
    """The insights, that of all rows first, then by falling support."""

    family = "contribution_analysis"

    def __init__(self, common: Mapping[str, Any], dimensions: list[Field], insights: list[Insight]) -> None:
        super().__init__(common)
        self.dimensions = dimensions
        self.insights = insights

    @property
    def metric(self) -> Metric:
        return Metric.parse(self.options["contribution_metric"])

    @property
    def features(self) -> list[str]:
        return [each.name for each in self.dimensions]

    def predict(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        raise Unimplemented("A CONTRIBUTION_ANALYSIS model predicts nothing", do="use ML.GET_INSIGHTS")

    def evaluator(self, threshold: float) -> Evaluator:
        raise Unimplemented("A CONTRIBUTION_ANALYSIS model has no metrics", do="use ML.GET_INSIGHTS")

    def table(self) -> pa.Table:
        """``contributors`` list<string>, the dimensions, the figures of the metric's kind, ``apriori_support`` and
        ``contribution``, by which the rows are ordered, falling."""
        return insights_table(self.metric.kind, self.dimensions, self.insights)

    def to_parts(self) -> Parts:
        state = {
            "dimensions": [each.to_json() for each in self.dimensions],
            "values": [list(each.values) for each in self.insights],
        }
        sums = [[*each.test, *each.control, each.support] for each in self.insights]
        return Parts(state, {"sums": np.array(sums, np.float64).reshape(len(sums), 5)})

    @classmethod
    def from_parts(cls, common: Mapping[str, Any], parts: Parts) -> Self:
        insights = [
            Insight(tuple(values), (a, b), (c, d), support)
            for values, (a, b, c, d, support) in zip(parts.state["values"], parts.arrays["sums"].tolist(), strict=True)
        ]
        return cls(common, [Field.from_json(each) for each in parts.state["dimensions"]], insights)


def fit_contribution(request: FitRequest) -> ContributionModel:
    """Add the rows up in one pass, then search."""
    options: ContributionOptions = request.options
    columns = _Columns.of(options, request.inputs)
    request.watch.expect(1)
    lines, rows = _lines(request, columns)
    insights = _searched(lines, columns, options)
    common = {
        "signature": Signature(request.inputs, None, ()),
        "options": {**options.to_json(), "dimension_id_cols": [each.name for each in columns.dimensions]},
        "classes": None,
        "iterations": [request.watch.iteration(0, 0.0, of=1)],
        "statistics": [],
        "num_rows": rows,
        "skipped_rows": 0,
        "notes": [],
    }
    return ContributionModel(common, columns.dimensions, insights)


@dataclass(frozen=True)
class _Columns:
    """The columns of the training query by their part in the analysis."""

    metric: Metric
    is_test: str
    dimensions: list[Field]

    @classmethod
    def of(cls, options: ContributionOptions, inputs: Sequence[Field]) -> _Columns:
        assert options.contribution_metric is not None and options.is_test_col is not None
        names = {each.name.lower(): each for each in inputs}

        def column(name: str, what: str, fits: Any, must: str) -> Field:
            found = names.get(name.lower())
            if found is None:
                raise missing_column(name, [each.name for each in inputs])
            if not fits(found.type):
                raise InvalidArgument(f"{what} must be {must}", given=f"{found.name}: {found.type}", do="cast it")
            return found

        written = Metric.parse(options.contribution_metric)
        numbers = [
            column(each, "A column of CONTRIBUTION_METRIC", _is_number, "a number").name for each in written.numbers
        ]
        category = None
        if written.category is not None:
            what = "The column of COUNT(DISTINCT ...) in CONTRIBUTION_METRIC"
            category = column(written.category, what, _is_category, "BOOL, INT64, STRING, or a date or time").name
        metric = Metric(numbers[0], numbers[1] if written.per else None, category)
        is_test = column(options.is_test_col, "IS_TEST_COL", pa.types.is_boolean, "a BOOL column").name
        taken = {*metric.columns, is_test}
        left = [each for each in inputs if each.name not in taken]
        wanted = options.dimension_id_cols
        if wanted is None:
            wanted = [each.name for each in left]
        dimensions = [column(each, "A dimension", _is_dimension, "INT64, BOOL or STRING") for each in wanted]
        for each in dimensions:
            if each.name in taken or sum(each.name == other.name for other in dimensions) > 1:
                raise InvalidArgument(
                    "A column must have one part in contribution analysis", given=each.name, do="name it once"
                )
        if extra := [each.name for each in left if each.name not in {every.name for every in dimensions}]:
            raise InvalidArgument(
                "The training query must have exactly the columns that CONTRIBUTION_METRIC, DIMENSION_ID_COLS and "
                "IS_TEST_COL name",
                given=f"also {', '.join(extra)}",
                do="leave them out of the query, or name them as dimensions",
            )
        most = _MOST_UNPRUNED if options.least <= 0.0 else _MOST_DIMENSIONS
        if not 1 <= len(dimensions) <= most:
            raise InvalidArgument(
                f"Contribution analysis takes 1 to {_MOST_DIMENSIONS} dimensions, {_MOST_UNPRUNED} with "
                "MIN_APRIORI_SUPPORT = 0",
                given=len(dimensions),
                do="select fewer columns",
                location="dimension_id_cols",
            )
        return cls(metric, is_test, dimensions)

    @property
    def keys(self) -> list[str]:
        category = self.metric.category
        return [*(each.name for each in self.dimensions), self.is_test, *([category] if category else [])]


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_dimension(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind))


def _is_category(kind: pa.DataType) -> bool:
    return _is_dimension(kind) or bool(pa.types.is_temporal(kind))


def _lines(request: FitRequest, columns: _Columns) -> tuple[pa.Table, int]:
    """One line for each combination of dimension values, test or control, and category: the sums of its rows; and the
    number of rows. Rows with a NULL among the keys of a segment are left out."""
    names = [*columns.keys, *columns.metric.numbers]
    held: list[pa.Table] = []
    size = rows = 0
    for batch in request.data.scan(names):
        request.watch.tick(batch.num_rows)
        table = pa.Table.from_batches([batch]).select(names)
        for name in (*(each.name for each in columns.dimensions), columns.is_test):
            table = table.filter(pc.is_valid(table.column(name)))
        for name in columns.metric.numbers:
            place = table.schema.get_field_index(name)
            numbers = pc.fill_null(pc.cast(table.column(name), pa.float64(), safe=False), 0.0)
            table = table.set_column(place, name, numbers)
        rows += table.num_rows
        held.append(_added(table, columns))
        size += held[-1].num_rows
        if size > _GATHERED and len(held) > 1:
            held = [_added(pa.concat_tables(held), columns)]
            size = held[0].num_rows
            if size > _MOST_LINES:
                raise ResourceExhausted(
                    f"Contribution analysis takes at most {_MOST_LINES:,} combinations of dimension values",
                    given=f"more than {size:,}",
                    do="leave out dimensions with very many values, or put their values into buckets",
                )
    lines = _added(pa.concat_tables(held), columns) if held else None
    present = set() if lines is None else set(lines.column(columns.is_test).to_pylist())
    if lines is None or present != {True, False}:
        missing = "rows" if not present else "test rows" if True not in present else "control rows"
        raise InvalidArgument(
            "Contribution analysis needs test rows and control rows, with no NULL in a dimension",
            given=f"no {missing}",
            do=f"check {columns.is_test} and the dimensions in the training query",
        )
    return lines, rows


def _added(table: pa.Table, columns: _Columns) -> pa.Table:
    """Lines with the same keys as one. On one thread: sums come out the same each time."""
    numbers = columns.metric.numbers
    found = table.group_by(columns.keys, use_threads=False).aggregate(
        [(name, "sum") for name in dict.fromkeys(numbers)]
    )
    return found.rename_columns({f"{name}_sum": name for name in numbers}).select(
        [*columns.keys, *dict.fromkeys(numbers)]
    )


@dataclass(frozen=True)
class _Figures:
    """The lines as arrays: ``amounts`` and ``divisors`` (n,), ``test`` (n,) whether they are test rows."""

    amounts: np.ndarray
    divisors: np.ndarray | None
    categories: np.ndarray | None
    test: np.ndarray

    def of(self, rows: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
        """(amount, divisor) of the test rows and of the control rows among these."""
        test = self.test[rows]
        return self._sums(rows[test]), self._sums(rows[~test])

    def _sums(self, rows: np.ndarray) -> tuple[float, float]:
        divisor = 1.0
        if self.divisors is not None:
            divisor = float(self.divisors[rows].sum())
        elif self.categories is not None:
            found = self.categories[rows]
            divisor = float(len(np.unique(found[found >= 0])))
        return float(self.amounts[rows].sum()), divisor


def _searched(lines: pa.Table, columns: _Columns, options: ContributionOptions) -> list[Insight]:
    metric = columns.metric
    numbers = [lines.column(name).to_numpy() for name in metric.numbers]
    if options.min_apriori_support != 0.0 and any(bool((each < 0.0).any()) for each in numbers):
        raise InvalidArgument(
            "The numbers of CONTRIBUTION_METRIC must not be negative, unless MIN_APRIORI_SUPPORT is 0",
            given="a negative sum",
            do="set MIN_APRIORI_SUPPORT = 0, or change the training query",
        )
    if not all(bool(np.isfinite(each).all()) for each in numbers):
        raise InvalidArgument("The numbers of CONTRIBUTION_METRIC must be finite", do="change the training query")
    categories = None if metric.category is None else _codes(lines.column(metric.category))[0]
    test = lines.column(columns.is_test).to_numpy(zero_copy_only=False).astype(bool)
    figures = _Figures(numbers[0], numbers[1] if metric.per else None, categories, test)
    found = [_codes(lines.column(each.name)) for each in columns.dimensions]
    codes = np.stack([each for each, _ in found], axis=1)
    shares = _shares(figures)
    if options.least > 0.0:
        codes = _without_small(codes, shares, options.least)
    kept = _kept(segments(codes, shares, options.least), figures, options)
    return [
        Insight(
            tuple(None if code < 0 else values[code] for code, (_, values) in zip(each.codes, found, strict=True)),
            *figures.of(each.rows),
            each.support,
        )
        for each in kept
    ]


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray, list[Any]]:
    """(n,) the place of each value in the ascending list of them, -1 for NULL; and that list."""
    values = sorted(set(column.to_pylist()) - {None})
    places = pc.index_in(column.combine_chunks(), pa.array(values, column.type))
    return pc.fill_null(places, -1).to_numpy(zero_copy_only=False).astype(np.int64), values


def _shares(figures: _Figures) -> np.ndarray:
    """(n, 2) what each line is of the amount of all test lines, and of all control lines."""
    shares = np.zeros((len(figures.amounts), 2))
    for at, side in enumerate((figures.test, ~figures.test)):
        total = figures.amounts[side].sum()
        if total != 0.0:
            shares[side, at] = figures.amounts[side] / total
    return shares


def _without_small(codes: np.ndarray, shares: np.ndarray, least: float) -> np.ndarray:
    """The codes with -1 for each value that is too small by itself."""
    made = codes.copy()
    for dimension in range(codes.shape[1]):
        values = codes[:, dimension]
        support = np.max([np.bincount(values, weights=each) for each in shares.T], axis=0)
        made[support[values] < least, dimension] = -1
    return made


def _kept(found: Iterator[Segment], figures: _Figures, options: ContributionOptions) -> list[Segment]:
    """The segments that are told: the k largest, or all, without those that say less than another of the same figures."""
    most, prune = options.top_k_insights_by_apriori_support, options.pruning_method != "NO_PRUNING"
    found = _countable(found)
    if options.least <= 0.0:
        # With negative values a part may be larger than the whole.
        found = iter(sorted(found, key=lambda each: -each.support))
    kept: list[Segment] = []
    # What is redundant has the support of what makes it so: segments of one support are looked at together.
    for _, group in itertools.groupby(found, key=lambda each: each.support):
        same = list(group)
        kept += _telling(same, figures) if prune else same
        if most is not None and len(kept) >= most:
            break
    return kept if most is None else kept[:most]


def _countable(found: Iterator[Segment]) -> Iterator[Segment]:
    for count, each in enumerate(found):
        if count >= MOST:
            raise ResourceExhausted(
                f"Contribution analysis tells of at most {MOST:,} segments",
                given="more",
                do="set MIN_APRIORI_SUPPORT higher, or TOP_K_INSIGHTS_BY_APRIORI_SUPPORT",
            )
        yield each


def _telling(same: list[Segment], figures: _Figures) -> list[Segment]:
    """Without the segments of which another one, with the same metric, names more. That of all rows stays."""
    metrics = [tuple(ratio(*each) for each in figures.of(segment.rows)) for segment in same]
    alike: dict[Any, list[Segment]] = {}
    for segment, metric in zip(same, metrics, strict=True):
        alike.setdefault(metric, []).append(segment)
    return [
        segment
        for segment, metric in zip(same, metrics, strict=True)
        if segment.size == 0 or not any(other.holds(segment) for other in alike[metric])
    ]
