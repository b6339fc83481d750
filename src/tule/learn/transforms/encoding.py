"""The fitted preprocessing of a model: from a record batch to encoded rows, the same in training and serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from tule.learn.schema import type_from_json, type_to_json
from tule.learn.transforms.blocks import Block, Layout, Ragged
from tule.learn.transforms.features import (
    TIMESTAMP_PARTS,
    Feature,
    Kind,
    as_numbers,
    coded,
    column_of,
    timestamp_parts,
)
from tule.learn.transforms.survey import Survey, dense_vectors, multi_codes, sparse_entries

NULL_CATEGORY = "_null_filler"
"""How the NULL category is shown. A string of this text is a category of its own all the same."""

_FLOAT64 = pa.float64()
# Up to so many rows a call for each column costs more than the numbers in it; more of them do not stay in the cache.
_FEW = 8192


@dataclass(frozen=True)
class NumberColumn:
    """A number: NULL becomes ``mean``; scaled rows hold (x - center) / scale."""

    feature: int
    name: str
    mean: float
    center: float
    scale: float


@dataclass(frozen=True)
class CategoryColumn:
    """A category: places in ``texts`` (sorted), then NULL if it occurred in training. Unseen values have no place."""

    feature: int
    name: str
    part: str | None
    texts: tuple[str, ...]
    null: bool
    counts: np.ndarray
    """Training rows per category, NULL last."""
    places: Mapping[str, int] = field(repr=False, compare=False, default_factory=dict)

    @property
    def width(self) -> int:
        return len(self.texts) + self.null

    def labels(self) -> list[str | None]:
        """Canonical texts in order; None for NULL."""
        return [*self.texts, None] if self.null else list(self.texts)


@dataclass(frozen=True)
class VectorColumn:
    """An array of numbers of one length; NULL (or an empty array) becomes ``means``."""

    feature: int
    name: str
    means: np.ndarray


@dataclass(frozen=True)
class MultiColumn:
    """An array of categories, multi-hot."""

    feature: int
    name: str
    texts: tuple[str, ...]
    counts: np.ndarray
    places: Mapping[str, int] = field(repr=False, compare=False, default_factory=dict)


@dataclass(frozen=True)
class SparseColumn:
    """An array of (index, number); indices past the training dimension are left out."""

    feature: int
    name: str
    means: np.ndarray


class Encoding:
    """Fitted columns in the order of ``Layout``: dense (numbers, then vectors), categories, ragged (multi, sparse)."""

    def __init__(
        self,
        features: Sequence[Feature],
        numbers: Sequence[NumberColumn],
        vectors: Sequence[VectorColumn],
        categories: Sequence[CategoryColumn],
        multis: Sequence[MultiColumn],
        sparses: Sequence[SparseColumn],
    ) -> None:
        self.features = list(features)
        self.numbers = list(numbers)
        self.vectors = list(vectors)
        self.categories = list(categories)
        self.multis = list(multis)
        self.sparses = list(sparses)
        self.layout = Layout(
            len(self.numbers) + sum(len(vector.means) for vector in self.vectors),
            tuple(category.width for category in self.categories),
            (*(len(multi.texts) for multi in self.multis), *(len(sparse.means) for sparse in self.sparses)),
        )
        self.means = np.array([number.mean for number in self.numbers])
        self.centers = np.array([number.center for number in self.numbers])
        self.scales = np.array([number.scale for number in self.numbers])

    @property
    def width(self) -> int:
        """Number of encoded columns."""
        return self.layout.width

    @classmethod
    def fit(cls, survey: Survey, *, standardize: bool) -> Encoding:
        """Preprocessing from a survey. ``standardize``: numbers are centred and divided by the sample deviation."""
        numbers, vectors, categories, multis, sparses = [], [], [], [], []
        for at, feature in enumerate(survey.features):
            name = feature.name
            if feature.kind in (Kind.NUMERIC, Kind.TIMESTAMP):
                found = survey.numbers[name]
                spread = found.stddev or 1.0
                center, scale = (found.mean, spread) if standardize else (0.0, 1.0)
                numbers.append(NumberColumn(at, name, found.mean, center, scale))
            if feature.kind is Kind.TIMESTAMP:
                for part, prefix in TIMESTAMP_PARTS.items():
                    own = survey.categories[name, part]
                    texts = sorted(own.counts, key=int)
                    categories.append(_category(at, prefix + name, part, texts, own.counts, own.nulls))
            elif feature.kind is Kind.CATEGORY:
                own = survey.categories[name, None]
                categories.append(_category(at, name, None, sorted(own.counts), own.counts, own.nulls))
            elif feature.kind is Kind.MULTI:
                own = survey.categories[name, None]
                texts = sorted(own.counts)
                counts = np.array([own.counts[text] for text in texts], np.int64)
                multis.append(MultiColumn(at, name, tuple(texts), counts, _places(texts)))
            elif feature.kind is Kind.VECTOR:
                vectors.append(VectorColumn(at, name, survey.vectors[name].totals / survey.vectors[name].count))
            elif feature.kind is Kind.SPARSE:
                sparses.append(SparseColumn(at, name, survey.vectors[name].totals / survey.rows))
        return cls(survey.features, numbers, vectors, categories, multis, sparses)

    def encode(self, batch: pa.RecordBatch, *, scaled: bool) -> Block:
        """Encoded rows of a batch; ``scaled`` False leaves numbers in their own units (NULL still filled)."""
        rows = batch.num_rows
        dense = np.empty((rows, self.layout.dense), order="F")
        cache: dict[int, pa.Array] = {}

        def column(at: int) -> pa.Array:
            if at not in cache:
                cache[at] = column_of(batch, self.features[at])
            return cache[at]

        whole = self._whole(batch) if 0 < rows <= _FEW else None
        if whole is not None:
            dense[:, : len(self.numbers)] = (whole - self.centers) * (1.0 / self.scales) if scaled else whole
        for place, number in enumerate(self.numbers if whole is None else ()):
            values, nulls = as_numbers(column(number.feature), self.features[number.feature])
            out = dense[:, place]
            if scaled:
                np.subtract(values, number.center, out=out)
                if number.scale != 1.0:
                    out *= 1.0 / number.scale
                if nulls is not None:
                    out[nulls] = (number.mean - number.center) / number.scale
            else:
                out[:] = values
                if nulls is not None:
                    out[nulls] = number.mean
        first = len(self.numbers)
        for vector in self.vectors:
            found, _ = dense_vectors(column(vector.feature), self.features[vector.feature], len(vector.means))
            dense[:, first : first + len(vector.means)] = np.where(np.isnan(found), vector.means, found)
            first += len(vector.means)
        codes = []
        parts: dict[int, tuple[dict[str, np.ndarray], np.ndarray | None]] = {}
        for category in self.categories:
            feature = self.features[category.feature]
            if category.part is None:
                local, texts = coded(column(category.feature), feature)
                table = [category.places.get(text, -1) for text in texts]
                table.append(len(category.texts) if category.null else -1)
                codes.append(np.asarray(table, np.int32)[local])
            else:
                if category.feature not in parts:
                    parts[category.feature] = timestamp_parts(column(category.feature), feature)
                numbers, nulls = parts[category.feature]
                codes.append(part_codes(category, numbers[category.part], nulls))
        ragged = []
        for multi in self.multis:
            row, local64, texts, _ = multi_codes(column(multi.feature), self.features[multi.feature])
            found64 = np.asarray([multi.places.get(text, -1) for text in texts] or [-1], np.int64)[local64]
            known = found64 >= 0
            ragged.append(_ragged(rows, row[known], found64[known], np.ones(int(known.sum()))))
        for sparse in self.sparses:
            row, indices, values, _ = sparse_entries(column(sparse.feature), self.features[sparse.feature])
            known = indices < len(sparse.means)
            ragged.append(_ragged(rows, row[known], indices[known], values[known]))
        return Block(self.layout, dense, tuple(codes), tuple(ragged))

    def _whole(self, batch: pa.RecordBatch) -> np.ndarray | None:
        """The numbers of a batch as one matrix, where they are FLOAT64 columns of it without NULL; None where not."""
        columns = []
        for number in self.numbers:
            feature = self.features[number.feature]
            place = batch.schema.get_field_index(feature.path[0])
            if place < 0 or len(feature.path) > 1 or feature.kind is not Kind.NUMERIC:
                return None
            column = batch.column(place)
            if column.type != _FLOAT64 or column.null_count:
                return None
            columns.append(column)
        if not columns:
            return None
        names = [str(place) for place in range(len(columns))]
        return np.asarray(pa.RecordBatch.from_arrays(columns, names).to_tensor(row_major=False).to_numpy())

    def owners(self) -> np.ndarray:
        """The feature that each encoded column belongs to, (D,) int64."""
        found = [number.feature for number in self.numbers]
        for vector in self.vectors:
            found += [vector.feature] * len(vector.means)
        for category in self.categories:
            found += [category.feature] * category.width
        for multi in self.multis:
            found += [multi.feature] * len(multi.texts)
        for sparse in self.sparses:
            found += [sparse.feature] * len(sparse.means)
        return np.asarray(found, np.int64)

    def column_means(self, rows: int, *, scaled: bool) -> np.ndarray:
        """Mean of each encoded column over the ``rows`` training rows, (D,)."""
        parts = [(self.means - self.centers) / self.scales if scaled else self.means]
        parts += [vector.means for vector in self.vectors]
        parts += [category.counts / rows for category in self.categories]
        parts += [multi.counts / rows for multi in self.multis]
        parts += [sparse.means for sparse in self.sparses]
        return np.concatenate(parts)

    def keys(self) -> list[tuple[str, str | None, str | int | None]]:
        """A name for each encoded column that outlives this encoding: (feature, part, category text or index)."""
        found: list[tuple[str, str | None, str | int | None]] = [(item.name, None, None) for item in self.numbers]
        for vector in self.vectors:
            found += [(vector.name, None, at) for at in range(len(vector.means))]
        for category in self.categories:
            found += [(category.name, "category", text) for text in category.labels()]
        for multi in self.multis:
            found += [(multi.name, "multi", text) for text in multi.texts]
        for sparse in self.sparses:
            found += [(sparse.name, None, at) for at in range(len(sparse.means))]
        return found

    def unscaled(self) -> Encoding:
        """The same preprocessing with numbers centred but not divided by their deviation."""
        numbers = [replace(number, scale=1.0) for number in self.numbers]
        return Encoding(self.features, numbers, self.vectors, self.categories, self.multis, self.sparses)

    def lines(self, values: np.ndarray) -> list[tuple[str, float | None, tuple[tuple[str, float], ...]]]:
        """An encoded row (D,) by columns: (name, the number, ()) or (name, None, pairs of category and number), in the
        order of the features. The NULL category is called ``NULL_CATEGORY``, places of arrays by their index."""
        found: list[tuple[int, str, float | None, tuple[tuple[str, float], ...]]] = []
        at = 0
        for number in self.numbers:
            found.append((number.feature, number.name, float(values[at]), ()))
            at += 1
        columns: list[tuple[Any, list[str]]] = [
            (item, [str(k) for k in range(len(item.means))]) for item in self.vectors
        ]
        for category in self.categories:
            columns.append((category, [NULL_CATEGORY if text is None else text for text in category.labels()]))
        columns += [(item, list(item.texts)) for item in self.multis]
        columns += [(item, [str(k) for k in range(len(item.means))]) for item in self.sparses]
        for item, texts in columns:
            pairs = tuple(zip(texts, values[at : at + len(texts)].tolist(), strict=True))
            found.append((item.feature, item.name, None, pairs))
            at += len(texts)
        return [(name, value, pairs) for _, name, value, pairs in sorted(found, key=lambda line: line[0])]

    def to_parts(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON state and arrays."""
        state = {
            "features": [
                [feature.name, list(feature.path), str(feature.kind), type_to_json(feature.type)]
                for feature in self.features
            ],
            "numbers": [[item.feature, item.name] for item in self.numbers],
            "vectors": [[item.feature, item.name] for item in self.vectors],
            "categories": [
                [item.feature, item.name, item.part, list(item.texts), item.null] for item in self.categories
            ],
            "multis": [[item.feature, item.name, list(item.texts)] for item in self.multis],
            "sparses": [[item.feature, item.name] for item in self.sparses],
        }
        arrays = {"encoding/means": self.means, "encoding/centers": self.centers, "encoding/scales": self.scales}
        kept = {
            "vectors": [item.means for item in self.vectors],
            "sparses": [item.means for item in self.sparses],
            "categories": [item.counts for item in self.categories],
            "multis": [item.counts for item in self.multis],
        }
        arrays |= {f"encoding/{kind}/{at}": array for kind, items in kept.items() for at, array in enumerate(items)}
        return state, arrays

    @classmethod
    def from_parts(cls, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Encoding:
        """The inverse of ``to_parts``."""
        means, centers, scales = (arrays[f"encoding/{name}"] for name in ("means", "centers", "scales"))
        return cls(
            [
                Feature(name, tuple(path), Kind(kind), type_from_json(text))
                for name, path, kind, text in state["features"]
            ],
            [
                NumberColumn(at, name, float(means[place]), float(centers[place]), float(scales[place]))
                for place, (at, name) in enumerate(state["numbers"])
            ],
            [
                VectorColumn(at, name, arrays[f"encoding/vectors/{place}"])
                for place, (at, name) in enumerate(state["vectors"])
            ],
            [
                CategoryColumn(
                    at, name, part, tuple(texts), null, arrays[f"encoding/categories/{place}"], _places(texts)
                )
                for place, (at, name, part, texts, null) in enumerate(state["categories"])
            ],
            [
                MultiColumn(at, name, tuple(texts), arrays[f"encoding/multis/{place}"], _places(texts))
                for place, (at, name, texts) in enumerate(state["multis"])
            ],
            [
                SparseColumn(at, name, arrays[f"encoding/sparses/{place}"])
                for place, (at, name) in enumerate(state["sparses"])
            ],
        )


def part_codes(category: CategoryColumn, numbers: np.ndarray, nulls: np.ndarray | None) -> np.ndarray:
    """Places of calendar numbers in a category column whose texts are ascending integers."""
    known = np.asarray([int(text) for text in category.texts], np.int64)
    places = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
    codes = np.where(known[places] == numbers, places, -1).astype(np.int32)
    if nulls is not None:
        codes[nulls] = len(category.texts) if category.null else -1
    return codes


def _category(
    feature: int, name: str, part: str | None, texts: Sequence[str], counts: Mapping[str, int], nulls: int
) -> CategoryColumn:
    numbers = [counts[text] for text in texts] + ([nulls] if nulls else [])
    return CategoryColumn(feature, name, part, tuple(texts), nulls > 0, np.array(numbers, np.int64), _places(texts))


def _places(texts: Sequence[str]) -> dict[str, int]:
    return {text: at for at, text in enumerate(texts)}


def _ragged(rows: int, row: np.ndarray, indices: np.ndarray, values: np.ndarray) -> Ragged:
    starts = np.zeros(rows + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=rows), out=starts[1:])
    return Ragged(starts, indices, values)


__all__ = [
    "NULL_CATEGORY",
    "CategoryColumn",
    "Encoding",
    "MultiColumn",
    "NumberColumn",
    "SparseColumn",
    "VectorColumn",
]
