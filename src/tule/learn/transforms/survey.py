"""One pass over the training rows: the statistics that preprocessing and feature information need.

Memory: a few numbers per numeric column, one counter per category (bounded by ``MAX_CATEGORIES``), a bounded even
sample of rows. For purely numeric features the pass can also gather the Gram matrix of a linear regression, so that it
needs no second one; NULLs are then handled exactly, although their replacement (the mean) is known only at the end:

    filled column = z + (mean - c) m,  z = x - c or 0 where x is NULL,  m = 1 where x is NULL

so the Gram matrix of the filled columns follows from that of [z, m].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from tule.kernel.errors import InvalidArgument, ResourceExhausted
from tule.learn.data import Batches
from tule.learn.sampling import RowSample
from tule.learn.transforms.features import (
    TIMESTAMP_PARTS,
    Feature,
    Kind,
    as_numbers,
    coded,
    column_of,
    timestamp_parts,
)
from tule.learn.transforms.labels import Classes, label_numbers, labelled

MAX_CATEGORIES = 1_000_000
MAX_DIMENSION = 1_000_000
BLOCK_ROWS = 32_768
SAMPLE_ROWS = 131_072
SAMPLE_BYTES = 64 << 20


def row_blocks(batches: Iterator[pa.RecordBatch], rows: int = BLOCK_ROWS) -> Iterator[pa.RecordBatch]:
    """The same rows in blocks of between half of ``rows`` and ``rows`` (the last may be smaller)."""
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        if batch.num_rows == 0:
            continue
        if held + batch.num_rows > rows and waiting:
            yield _joined(waiting)
            waiting, held = [], 0
        if batch.num_rows >= rows // 2:
            count = -(-batch.num_rows // rows)
            size = -(-batch.num_rows // count)
            for start in range(0, batch.num_rows, size):
                yield batch.slice(start, size)
        else:
            waiting.append(batch)
            held += batch.num_rows
            if held >= rows // 2:
                yield _joined(waiting)
                waiting, held = [], 0
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


@dataclass
class Numbers:
    """A numeric column: shifted sums, so that a large mean costs no digits."""

    count: int = 0
    nulls: int = 0
    shift: float | None = None
    total: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    @property
    def mean(self) -> float:
        return (self.shift or 0.0) + self.total / self.count

    @property
    def stddev(self) -> float:
        """Sample standard deviation; 0 for fewer than two values."""
        if self.count < 2 or self.low == self.high:
            return 0.0
        return math.sqrt(max(0.0, self.squares - self.total * self.total / self.count) / (self.count - 1))


@dataclass
class Categories:
    """A categorical column: rows per canonical text."""

    counts: dict[str, int] = field(default_factory=dict)
    nulls: int = 0

    def add(self, codes: np.ndarray, texts: Sequence[str], name: str) -> None:
        found = np.bincount(codes + 1, minlength=len(texts) + 1)
        self.nulls += int(found[0])
        counts = self.counts
        for text, count in zip(texts, found[1:].tolist(), strict=True):
            if count:
                counts[text] = counts.get(text, 0) + count
        if len(counts) > MAX_CATEGORIES:
            raise ResourceExhausted(
                f"A categorical feature must have at most {MAX_CATEGORIES:,} distinct values",
                given=f"{name} has more",
                do="leave the column out, group its values, or hash them into buckets",
                location=name,
            )


@dataclass
class Vectors:
    """A column of arrays of numbers, dense or sparse."""

    dimension: int = 0
    count: int = 0
    nulls: int = 0
    totals: np.ndarray = field(default_factory=lambda: np.zeros(0))


class GramSums:
    """Gram matrix of [z columns, label, 1, m columns]; an m column joins when its feature's first NULL appears."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.masked: list[int] = []
        self.matrix = np.zeros((width + 2, width + 2))
        self.label_shift: float | None = None
        self._buffer = np.empty((0, 0))

    def buffer(self, rows: int) -> np.ndarray:
        """Room for ``add``, (rows, width + 2), column-major; the next call may give the same."""
        if len(self._buffer) < rows:
            self._buffer = np.empty((rows, self.width + 2), order="F")
        return self._buffer[:rows]

    def add(self, shifted: np.ndarray, nulls: Sequence[np.ndarray | None], label: np.ndarray) -> None:
        """``shifted`` has width + 2 columns, column-major; the last two are filled here."""
        if self.label_shift is None:
            self.label_shift = float(label.mean())
        np.subtract(label, self.label_shift, out=shifted[:, self.width])
        shifted[:, self.width + 1] = 1.0
        for at, mask in enumerate(nulls):
            if mask is not None and at not in self.masked:
                self.masked.append(at)
        size = self.width + 2 + len(self.masked)
        if size > len(self.matrix):
            grown = np.zeros((size, size))
            grown[: len(self.matrix), : len(self.matrix)] = self.matrix
            self.matrix = grown
        if self.masked:
            full = np.zeros((len(label), size), order="F")
            full[:, : self.width + 2] = shifted
            for place, at in enumerate(self.masked):
                mask = nulls[at]
                if mask is not None:
                    full[:, self.width + 2 + place] = mask
            shifted = full
        with np.errstate(over="ignore", invalid="ignore"):  # spreads that overflow are named at the end
            self.matrix += shifted.T @ shifted


@dataclass
class Survey:
    """What one pass over the training rows found. ``rows`` have a label, ``skipped`` had none."""

    features: list[Feature]
    rows: int = 0
    skipped: int = 0
    numbers: dict[str, Numbers] = field(default_factory=dict)
    categories: dict[tuple[str, str | None], Categories] = field(default_factory=dict)
    vectors: dict[str, Vectors] = field(default_factory=dict)
    classes: Classes | None = None
    label: Numbers = field(default_factory=Numbers)
    gram: GramSums | None = None
    sample: RowSample = field(default_factory=lambda: RowSample(SAMPLE_ROWS, max_bytes=SAMPLE_BYTES))

    def medians(self) -> dict[str, float]:
        """Median of each numeric (and timestamp) feature, from the sample."""
        found: dict[str, float] = {}
        for feature in self.features:
            if feature.kind not in (Kind.NUMERIC, Kind.TIMESTAMP):
                continue
            parts = []
            for batch in self.sample.pieces():
                values, nulls = as_numbers(column_of(batch, feature), feature)
                parts.append(values if nulls is None else values[~nulls])
            values = np.concatenate(parts) if parts else np.empty(0)
            found[feature.name] = float(np.median(values)) if len(values) else self.numbers[feature.name].mean
        return found


Tick = Callable[[int], None]
"""Called with the number of rows just read; may raise to stop."""


def take_survey(
    data: Batches,
    features: Sequence[Feature],
    *,
    columns: Sequence[str],
    label: str | None,
    task: str,
    max_classes: int,
    gram: bool,
    keep: Sequence[str],
    tick: Tick,
    seed: int = 0,
) -> Survey:
    """Read ``columns`` of all rows once. ``keep``: the columns that the row sample holds."""
    survey = Survey(list(features))
    survey.sample = RowSample(SAMPLE_ROWS, max_bytes=SAMPLE_BYTES, seed=seed, expected=data.num_rows)
    numeric = [feature for feature in features if feature.kind is Kind.NUMERIC]
    others = [feature for feature in features if feature.kind is not Kind.NUMERIC]
    if label is not None and task == "classification":
        survey.classes = Classes(label, max_classes)
    if gram:
        survey.gram = GramSums(len(numeric))
    for feature in features:
        if feature.kind in (Kind.NUMERIC, Kind.TIMESTAMP):
            survey.numbers[feature.name] = Numbers()
        if feature.kind in (Kind.VECTOR, Kind.SPARSE):
            survey.vectors[feature.name] = Vectors()
        if feature.kind in (Kind.CATEGORY, Kind.MULTI):
            survey.categories[feature.name, None] = Categories()
        if feature.kind is Kind.TIMESTAMP:
            for part in TIMESTAMP_PARTS:
                survey.categories[feature.name, part] = Categories()
    for batch in row_blocks(data.scan(columns)):
        tick(batch.num_rows)
        count = batch.num_rows
        if label is not None:
            batch = labelled(batch, label)
            survey.skipped += count - batch.num_rows
            if batch.num_rows == 0:
                continue
        survey.rows += batch.num_rows
        target = None
        if label is not None and survey.classes is not None:
            survey.classes.add(batch.column(label))
        elif label is not None:
            target = label_numbers(batch.column(label), label)
            _moments(survey.label, target, None, label)
        _add_numeric(survey, batch, numeric, target)
        for feature in others:
            _add_other(survey, batch, feature)
        survey.sample.add(batch.select(keep))
    _check(survey, label)
    return survey


def _add_numeric(survey: Survey, batch: pa.RecordBatch, features: Sequence[Feature], target: np.ndarray | None) -> None:
    gram = survey.gram
    buffer = None if gram is None else gram.buffer(batch.num_rows)
    masks: list[np.ndarray | None] = []
    for at, feature in enumerate(features):
        values, nulls = as_numbers(column_of(batch, feature), feature)
        numbers = survey.numbers[feature.name]
        masks.append(nulls)
        _moments(numbers, values, nulls, feature.name, None if buffer is None else buffer[:, at])
    if gram is not None and buffer is not None:
        assert target is not None
        gram.add(buffer, masks, target)


def _moments(
    numbers: Numbers, values: np.ndarray, nulls: np.ndarray | None, name: str, out: np.ndarray | None = None
) -> None:
    """Add values (0 under the mask) to the sums; with ``out``, z goes there and its Gram matrix will give the sums."""
    missing = 0 if nulls is None else int(nulls.sum())
    numbers.nulls += missing
    if missing == len(values):
        if out is not None:
            out[:] = 0.0
        return
    known = values if nulls is None or not missing else values[~nulls]
    low, high = float(known.min()), float(known.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        wrong = known[~np.isfinite(known)][0]
        raise InvalidArgument(
            "Numeric features must be finite",
            given=f"{name} holds {wrong}",
            do="filter those rows out, or make the value NULL",
            location=name,
        )
    if numbers.shift is None:
        numbers.shift = float(known.mean())
    numbers.count += len(known)
    numbers.low, numbers.high = min(numbers.low, low), max(numbers.high, high)
    with np.errstate(over="ignore", invalid="ignore"):
        shifted = np.subtract(values, numbers.shift, out=out)
        if nulls is not None:
            shifted[nulls] = 0.0
        if out is None:
            numbers.total += float(shifted.sum())
            numbers.squares += float(np.dot(shifted, shifted))


def _add_other(survey: Survey, batch: pa.RecordBatch, feature: Feature) -> None:
    column = column_of(batch, feature)
    match feature.kind:
        case Kind.CATEGORY:
            codes, found = coded(column, feature)
            survey.categories[feature.name, None].add(codes, found, feature.name)
        case Kind.TIMESTAMP:
            values, nulls = as_numbers(column, feature)
            _moments(survey.numbers[feature.name], values, nulls, feature.name)
            parts, nulls = timestamp_parts(column, feature)
            for part, numbers in parts.items():
                own = numbers if nulls is None else numbers[~nulls]
                places, counts = np.unique(own, return_counts=True)
                categories = survey.categories[feature.name, part]
                categories.nulls += len(numbers) - len(own)
                for place, count in zip(places.tolist(), counts.tolist(), strict=True):
                    categories.counts[str(place)] = categories.counts.get(str(place), 0) + count
        case Kind.MULTI:
            _, codes, found, missing = multi_codes(column, feature)
            categories = survey.categories[feature.name, None]
            categories.add(codes, found, feature.name)
            categories.nulls += missing
        case Kind.VECTOR:
            values, known = dense_vectors(column, feature, survey.vectors[feature.name].dimension or None)
            vectors = survey.vectors[feature.name]
            vectors.nulls += int((~known).sum())
            if known.any():
                vectors.dimension = values.shape[1]
                if not len(vectors.totals):
                    vectors.totals = np.zeros(vectors.dimension)
                vectors.count += int(known.sum())
                filled = np.where(np.isnan(values), 0.0, values)
                vectors.totals += filled[known].sum(axis=0)
        case Kind.SPARSE:
            _, indices, numbers, missing = sparse_entries(column, feature)
            vectors = survey.vectors[feature.name]
            vectors.nulls += missing
            vectors.count += len(column) - missing
            if len(indices):
                vectors.dimension = max(vectors.dimension, int(indices.max()) + 1)
                if len(vectors.totals) < vectors.dimension:
                    vectors.totals = np.concatenate([vectors.totals, np.zeros(vectors.dimension - len(vectors.totals))])
                vectors.totals += np.bincount(indices, weights=numbers, minlength=vectors.dimension)


def _listed(column: pa.Array) -> tuple[np.ndarray, pa.Array, np.ndarray]:
    """(row of each item, items, mask of NULL lists) of a list column."""
    if pa.types.is_null(column.type):
        return np.empty(0, np.int64), pa.array([], pa.null()), np.ones(len(column), bool)
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    nulls = np.asarray(column.is_null().to_numpy(zero_copy_only=False))
    return np.repeat(np.arange(len(column)), lengths), column.flatten(), nulls


def multi_codes(column: pa.Array, feature: Feature) -> tuple[np.ndarray, np.ndarray, list[str], int]:
    """(row, place in texts) of the distinct values of each row's array, the texts, and the number of NULL arrays."""
    if not (pa.types.is_null(column.type) or isinstance(column, (pa.ListArray, pa.LargeListArray))):
        if not pa.types.is_fixed_size_list(column.type):
            raise InvalidArgument(
                f"The column {'.'.join(feature.path)} must be of the type it was trained with, {feature.type}",
                given=str(column.type),
                do="cast it in the query",
                location=feature.path[0],
            )
        column = column.cast(pa.list_(column.type.value_type))
    rows, items, nulls = _listed(column)
    codes, found = coded(items, feature)
    known = codes >= 0
    pairs = np.unique(rows[known] * max(len(found), 1) + codes[known])
    size = max(len(found), 1)
    return pairs // size, (pairs % size).astype(np.int64), found, int(nulls.sum())


def dense_vectors(column: pa.Array, feature: Feature, dimension: int | None) -> tuple[np.ndarray, np.ndarray]:
    """((n, d) float64 with NaN for NULL elements, mask of rows that have an array). Empty arrays count as NULL."""
    if pa.types.is_fixed_size_list(column.type):
        column = column.cast(pa.list_(column.type.value_type))
    rows, items, _ = _listed(column)
    known = np.bincount(rows, minlength=len(column)) > 0
    lengths = np.bincount(rows, minlength=len(column))[known]
    if len(lengths) and np.any(lengths != (dimension or lengths[0])):
        wrong = lengths[lengths != (dimension or lengths[0])][0]
        raise InvalidArgument(
            f"All arrays of {'.'.join(feature.path)} must have the same length, {dimension or lengths[0]}",
            given=int(wrong),
            do="pad them, or use ARRAY<STRUCT<INT64, FLOAT64>>",
            location=feature.path[0],
        )
    width = dimension or (int(lengths[0]) if len(lengths) else 0)
    answer = np.full((len(column), width), np.nan)
    if len(lengths):
        inner = Feature(feature.name, feature.path, Kind.NUMERIC, feature.type.value_type)
        values, nulls = as_numbers(items, inner)
        if not np.isfinite(values).all():
            raise InvalidArgument(
                "Numbers in an array feature must be finite",
                given=f"{feature.name} holds {values[~np.isfinite(values)][0]}",
                do="replace them",
                location=feature.path[0],
            )
        if nulls is not None:
            values = np.where(nulls, np.nan, values)
        answer[known] = values.reshape(-1, width)
    return answer, known


def sparse_entries(column: pa.Array, feature: Feature) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """(row, index, value) of each entry, and the number of NULL or empty arrays. Doubled indices add up."""
    rows, items, _ = _listed(column)
    missing = len(column) - len(np.unique(rows))
    if not len(rows):
        return rows, np.empty(0, np.int64), np.empty(0), missing
    if not pa.types.is_struct(items.type) or items.type.num_fields != 2:
        raise InvalidArgument(
            f"The column {'.'.join(feature.path)} must be of the type it was trained with, {feature.type}",
            given=str(column.type),
            do="cast it in the query",
            location=feature.path[0],
        )
    left, right = items.flatten()
    inner = Feature(feature.name, feature.path, Kind.NUMERIC, pa.float64())
    indices, bad = as_numbers(left, inner)
    values, _ = as_numbers(right, inner)  # a NULL value counts as 0, which as_numbers gives
    if bad is not None or (indices < 0).any() or (indices >= MAX_DIMENSION).any():
        raise InvalidArgument(
            f"Indices of a sparse vector must be between 0 and {MAX_DIMENSION - 1:,}",
            given=f"{feature.name} has another",
            do="renumber them",
            location=feature.path[0],
        )
    if not np.isfinite(values).all():
        raise InvalidArgument(
            "Numbers in an array feature must be finite",
            given=feature.name,
            do="replace them",
            location=feature.path[0],
        )
    return rows, indices.astype(np.int64), values, missing


def _check(survey: Survey, label: str | None) -> None:
    if survey.gram is not None:
        for at, feature in enumerate(survey.features):
            numbers = survey.numbers[feature.name]
            numbers.total = float(survey.gram.matrix[at, survey.gram.width + 1])
            numbers.squares = float(survey.gram.matrix[at, at])
    for name, numbers in survey.numbers.items():
        if not math.isfinite(numbers.squares):
            raise InvalidArgument(
                "The spread of a numeric feature must fit a double",
                given=f"{name} ranges from {numbers.low} to {numbers.high}",
                do="scale the column down",
                location=name,
            )
    if survey.rows == 0:
        if survey.skipped:
            raise InvalidArgument(
                "Training needs rows with a label",
                given=f"{label} is NULL in all {survey.skipped} rows",
                do="check the label column",
                location=label,
            )
        raise InvalidArgument(
            "Training needs at least one row", given="no rows", do="check the query that selects the training data"
        )
    if survey.classes is not None:
        survey.classes.ordered()
    for name, numbers in survey.numbers.items():
        if numbers.count == 0:
            raise _all_null(name, survey.rows)
    for (name, part), categories in survey.categories.items():
        if part is None and not categories.counts:
            raise _all_null(name, survey.rows)
    for name, vectors in survey.vectors.items():
        if vectors.count == 0 or vectors.dimension == 0:
            raise _all_null(name, survey.rows)


def _all_null(name: str, rows: int) -> InvalidArgument:
    return InvalidArgument(
        "A feature must have a value that is not NULL in some row",
        given=f"{name} is NULL in all {rows} rows",
        do="leave the column out or fill it",
        location=name,
    )


def statistics_of(survey: Survey) -> list[dict[str, Any]]:
    """The fields of ``FeatureStatistics``, one feature each."""
    medians = survey.medians()
    found: list[dict[str, Any]] = []
    for feature in survey.features:
        item: dict[str, Any] = {"name": feature.name}
        if feature.kind in (Kind.NUMERIC, Kind.TIMESTAMP):
            numbers = survey.numbers[feature.name]
            item |= {
                "min": numbers.low,
                "max": numbers.high,
                "mean": numbers.mean,
                "median": medians[feature.name],
                "stddev": numbers.stddev,
                "null_count": numbers.nulls,
            }
        elif feature.kind in (Kind.CATEGORY, Kind.MULTI):
            categories = survey.categories[feature.name, None]
            item |= {"category_count": len(categories.counts), "null_count": categories.nulls}
        else:
            vectors = survey.vectors[feature.name]
            item |= {"dimension": vectors.dimension, "null_count": vectors.nulls}
        found.append(item)
    return found
