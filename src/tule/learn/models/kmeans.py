"""K-means by Lloyd's algorithm on streamed rows: one pass an iteration.

Numbers are centred and divided by the sample deviation of their non-NULL values, NULL counting as the mean; categories
are one-hot and unscaled. Symbols: k centroids, C (k, D) centroids in that space.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from tule.kernel.errors import InvalidArgument
from tule.learn.metrics import Evaluator
from tule.learn.models.base import (
    CentroidValue,
    Cluster,
    Iteration,
    IterativeOptions,
    Model,
    Parts,
    Rows,
    batches_of,
    option,
)
from tule.learn.models.cutoffs import SAMPLE, cutoff_of, quantiles
from tule.learn.models.fitting import FitRequest, Source, computed, feature_statistics, stalled
from tule.learn.models.fitting import Rows as EncodedRows
from tule.learn.sampling import RowSample
from tule.learn.schema import Field, Signature
from tule.learn.transforms import Block, Encoding, Survey
from tule.learn.transforms.survey import row_blocks

NEAREST = 5
_SMALL = 100_000
# Nearer than this share of both lengths, squared, a difference of squares has lost too many digits.
_NEAR = 1e-5
DISTANCES = pa.list_(pa.struct([pa.field("centroid_id", pa.int64()), pa.field("distance", pa.float64())]))


@dataclass
class KMeansOptions(IterativeOptions):
    """Options of k-means. ``num_clusters`` None: log10 of the rows, at least 2."""

    num_clusters: int | None = option(None, low=2, high=100)
    kmeans_init_method: str = option("RANDOM", choices=("RANDOM", "KMEANS++", "CUSTOM"))
    distance_type: str = option("EUCLIDEAN", choices=("EUCLIDEAN", "COSINE"))
    standardize_features: bool = True


class KMeansModel(Model):
    """Fitted k-means. ``clusters``: final id, root-mean-square distance and size of each cluster."""

    family = "kmeans"

    def __init__(
        self,
        common: Mapping[str, Any],
        encoding: Encoding,
        centers: np.ndarray,
        radii: np.ndarray,
        sizes: np.ndarray,
        cutoffs: np.ndarray,
    ) -> None:
        super().__init__(common)
        self.encoding = encoding
        self.centers = centers
        self.radii = radii
        self.sizes = sizes
        self.cutoffs = cutoffs
        """Normalised distances of the training rows, as ``cutoffs.quantiles`` keeps them."""
        self.cosine = self.options["distance_type"] == "COSINE"

    @property
    def features(self) -> list[str]:
        return [feature.name for feature in self.encoding.features]

    @property
    def clusters(self) -> list[Cluster]:
        """The clusters after the last iteration."""
        return _clusters(self.radii, self.sizes)

    def distances(self, batch: pa.RecordBatch) -> np.ndarray:
        """(n, k) distances to all centroids."""
        return exact_distances(self.encoding.encode(batch, scaled=True), self.centers, self.cosine)

    def predict(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        ids, nearest = [], []
        count = min(NEAREST, len(self.centers))
        for batch in batches_of(rows):
            distances = self.distances(batch)
            order = np.argsort(distances, axis=1, kind="stable")[:, :count]
            places = order + np.arange(0, distances.size, distances.shape[1])[:, None]
            ids.append(pa.array(order[:, 0].astype(np.int64) + 1))
            pairs = pa.StructArray.from_arrays(
                [
                    pa.array((order + 1).reshape(-1).astype(np.int64)),
                    pa.array(distances.reshape(-1)[places.reshape(-1)]),
                ],
                names=["centroid_id", "distance"],
            )
            offsets = pa.array(np.arange(0, len(order) * count + 1, count, dtype=np.int32))
            nearest.append(pa.ListArray.from_arrays(offsets, pairs))
        return pa.table(
            {"centroid_id": pa.chunked_array(ids, pa.int64()), "distances": pa.chunked_array(nearest, DISTANCES)}
        )

    def detect_anomalies(self, rows: Rows, *, contamination: float) -> pa.Table:
        cutoff = cutoff_of(self.cutoffs, self.num_rows, contamination)
        flags, normal, ids = [], [], []
        for batch in batches_of(rows):
            distances = self.distances(batch)
            own = distances.argmin(axis=1)
            found = normalised(distances[np.arange(len(own)), own], self.radii[own])
            flags.append(pa.array(found > cutoff))
            normal.append(pa.array(found))
            ids.append(pa.array(own.astype(np.int64) + 1))
        return pa.table(
            {
                "is_anomaly": pa.chunked_array(flags, pa.bool_()),
                "normalized_distance": pa.chunked_array(normal, pa.float64()),
                "centroid_id": pa.chunked_array(ids, pa.int64()),
            }
        )

    def centroids(self, *, standardize: bool = False) -> list[CentroidValue]:
        numbers = self.encoding.numbers
        centers = self.centers.copy()
        if not standardize:
            for at, number in enumerate(numbers):
                centers[:, at] = centers[:, at] * number.scale + number.center
        return [
            CentroidValue(place + 1, name, value, pairs)
            for place, center in enumerate(centers)
            for name, value, pairs in self.encoding.lines(center)
        ]

    def evaluator(self, threshold: float) -> Evaluator:
        return Clustering(self)

    def to_parts(self) -> Parts:
        state, arrays = self.encoding.to_parts()
        arrays |= {"centers": self.centers, "radii": self.radii, "sizes": self.sizes, "cutoffs": self.cutoffs}
        return Parts({"encoding": state}, arrays)

    @classmethod
    def from_parts(cls, common: Mapping[str, Any], parts: Parts) -> Self:
        arrays = parts.arrays
        encoding = Encoding.from_parts(parts.state["encoding"], arrays)
        return cls(common, encoding, arrays["centers"], arrays["radii"], arrays["sizes"], arrays["cutoffs"])


class Clustering(Evaluator):
    """Davies-Bouldin index (mean distances to centroids) and mean squared distance to the nearest centroid."""

    def __init__(self, model: KMeansModel) -> None:
        self._centers, self._cosine = model.centers, model.cosine
        self._count = np.zeros(len(model.centers))
        self._total = np.zeros(len(model.centers))
        self._squares = 0.0

    def add(self, model: Model, batch: pa.RecordBatch) -> None:
        assert isinstance(model, KMeansModel)
        distances = model.distances(batch)
        own = distances.argmin(axis=1)
        self.add_distances(own, distances[np.arange(len(own)), own])

    def add_distances(self, own: np.ndarray, distances: np.ndarray) -> None:
        self._count += np.bincount(own, minlength=len(self._count))
        self._total += np.bincount(own, weights=distances, minlength=len(self._count))
        self._squares += float(distances @ distances)

    def result(self) -> dict[str, float]:
        used = np.flatnonzero(self._count)
        centers = self._centers[used]
        spread = self._total[used] / self._count[used]
        if self._cosine:
            lengths = np.linalg.norm(centers, axis=1)
            lengths[lengths == 0.0] = 1.0
            apart = 1.0 - (centers / lengths[:, None]) @ (centers / lengths[:, None]).T
        else:
            apart = np.sqrt(((centers[:, None, :] - centers[None, :, :]) ** 2).sum(axis=2))
        index = math.nan
        if len(used) > 1:
            with np.errstate(divide="ignore", invalid="ignore"):
                ratios = (spread[:, None] + spread[None, :]) / apart
            np.fill_diagonal(ratios, -np.inf)
            index = float(ratios.max(axis=1).mean())
        return {"davies_bouldin_index": index, "mean_squared_distance": self._squares / float(self._count.sum())}


def normalised(distances: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Distances by the radius of their cluster; in a cluster without extent 0 stays 0 and all else is infinite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = distances / radii
    return np.where(radii > 0.0, found, np.where(distances > 0.0, np.inf, 0.0))


def exact_distances(block: Block, centers: np.ndarray, cosine: bool) -> np.ndarray:
    """(n, k) distances to ten digits; a row that equals a centroid is at 0 exactly."""
    squares = block.squares()
    if cosine:
        return _cosine(block, centers, np.sqrt(squares))
    if block.layout.dense == block.layout.width and block.rows * centers.size <= _SMALL:
        apart = block.dense[:, None, :] - centers
        return np.asarray(np.sqrt(np.einsum("ijk,ijk->ij", apart, apart)))
    lengths = squares[:, None] + np.einsum("ij,ij->i", centers, centers)
    answer = lengths - 2.0 * block.times(np.ascontiguousarray(centers.T))
    near = answer <= _NEAR * lengths
    for at in np.flatnonzero(near.any(axis=0)):
        answer[near[:, at], at] = _squared_to(block, centers[at])[near[:, at]]
    return np.sqrt(np.maximum(answer, 0.0, out=answer))


def _squared_to(block: Block, center: np.ndarray) -> np.ndarray:
    """Squared distances of rows to one centroid."""
    layout = block.layout
    answer = np.zeros(block.rows)
    for column in range(layout.dense):
        answer += (block.dense[:, column] - center[column]) ** 2
    for code, (first, last) in zip(block.codes, layout.code_ranges(), strict=True):
        answer += _code_table(center[first:last])[code]
    for item, (first, last) in zip(block.ragged, layout.ragged_ranges(), strict=True):
        part = center[first:last]
        entries = (item.values - part[item.indices]) ** 2 - part[item.indices] ** 2
        answer += np.bincount(item.rows(), weights=entries, minlength=block.rows) + float(part @ part)
    return answer


def _cosine(block: Block, centers: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(n, k) cosine distances; 1 for a row or a centroid of length 0."""
    norms = np.linalg.norm(centers, axis=1)
    safe = np.where(lengths > 0.0, lengths, 1.0)[:, None] * np.where(norms > 0.0, norms, 1.0)
    return np.asarray(np.clip(1.0 - block.times(np.ascontiguousarray(centers.T)) / safe, 0.0, 2.0))


def _nearest(block: Block, centers: np.ndarray, cosine: bool) -> tuple[np.ndarray, np.ndarray]:
    """(n,) place of the nearest centroid, found by a matrix product, and (n,) exact squared distances to it."""
    if cosine:
        distances = _cosine(block, centers, np.sqrt(block.squares()))
        own = distances.argmin(axis=1)
        return own, distances[np.arange(len(own)), own] ** 2
    products = block.times(np.ascontiguousarray(centers.T))
    products *= -2.0
    products += np.einsum("ij,ij->i", centers, centers)
    own = products.argmin(axis=1)
    return own, np.maximum(_squared_to_own(block, centers, own), 0.0)


def _squared_to_own(block: Block, centers: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(n,) squared distances of rows to the centroid that ``own`` numbers, computed as ``_squared_to`` does."""
    layout = block.layout
    answer = np.zeros(block.rows)
    for column in range(layout.dense):
        apart = block.dense[:, column] - np.ascontiguousarray(centers[:, column])[own]
        apart *= apart
        answer += apart
    for code, (first, last) in zip(block.codes, layout.code_ranges(), strict=True):
        answer += np.array([_code_table(center[first:last]) for center in centers])[own, code]
    for item, (first, last) in zip(block.ragged, layout.ragged_ranges(), strict=True):
        rows = item.rows()
        part = centers[:, first:last]
        theirs = part[own[rows], item.indices]
        entries = (item.values - theirs) ** 2 - theirs**2
        lengths = np.array([float(each @ each) for each in part])
        answer += np.bincount(rows, weights=entries, minlength=block.rows) + lengths[own]
    return answer


def _code_table(part: np.ndarray) -> np.ndarray:
    """Squared distances of one categorical column to a centroid's part, by category; the last for no category.

    (1 - c)^2 for the row's own category and c^2 for every other one; all c^2 without a category.
    """
    own = (1.0 - part) ** 2 - part**2
    total = float(part @ part)
    return np.append(np.where(part == 1.0, total - 1.0, total + own), total)


def _clusters(radii: np.ndarray, sizes: np.ndarray) -> list[Cluster]:
    return [
        Cluster(at + 1, float(radius), int(size)) for at, (radius, size) in enumerate(zip(radii, sizes, strict=True))
    ]


def fit_kmeans(request: FitRequest) -> KMeansModel:
    """Fit k-means."""
    options: KMeansOptions = request.options
    if (options.kmeans_init_method == "CUSTOM") != (request.initial_rows is not None):
        raise InvalidArgument(
            "KMEANS_INIT_COL and KMEANS_INIT_METHOD = 'CUSTOM' go together",
            given=f"{options.kmeans_init_method}, column {request.initial_rows}",
            do="give both or neither",
        )
    names = [field.name for field in request.inputs]
    request.watch.expect(options.max_iterations + 2)
    survey = request.survey(keep=names)
    encoding = Encoding.fit(survey, standardize=options.standardize_features)

    def encode(batch: pa.RecordBatch) -> EncodedRows:
        return EncodedRows(encoding.encode(batch, scaled=True), np.empty(0))

    source = Source(request.data, names, encode, label=None, tick=request.watch.tick)
    centers = _start(request, survey, encoding)
    count = len(centers)
    cosine = options.distance_type == "COSINE"
    request.watch.expect(options.max_iterations + 2)
    iterations: list[Iteration] = []
    before = math.inf
    for number in range(options.max_iterations):
        sums, sizes, squares = _assigned(source, centers, cosine)
        loss = float(squares.sum()) / survey.rows
        if cosine and loss > before:
            # Means are not the exact minimum of cosine distances: stop before they make things worse.
            break
        radii = np.sqrt(squares / np.maximum(sizes, 1.0))
        iterations.append(
            request.watch.iteration(number, loss, clusters=tuple(_clusters(radii, sizes)), of=options.max_iterations)
        )
        stop = stalled(before, loss, options) or (number > 0 and loss == before)
        before = loss
        filled = sizes > 0
        moved = centers.copy()
        moved[filled] = sums[filled] / sizes[filled, None]
        if np.array_equal(moved, centers):
            break
        centers = moved
        if stop:
            break
    radii, sizes, cutoffs = _finish(source, centers, cosine, request.seed)
    outputs = (Field("centroid_id", pa.int64()), Field("distances", DISTANCES))
    common = {
        "signature": Signature(request.inputs, None, outputs),
        "options": {**options.to_json(), "num_clusters": count},
        "classes": None,
        "iterations": iterations,
        "statistics": feature_statistics(survey),
        "num_rows": survey.rows,
        "skipped_rows": 0,
        "notes": [f"{int((sizes == 0).sum())} clusters have no rows."] if (sizes == 0).any() else [],
    }
    return KMeansModel(common, encoding, centers, radii, sizes, cutoffs)


def _assigned(source: Source, centers: np.ndarray, cosine: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A pass: of each cluster the sum (k, D) of its rows, their number and the sum of their squared distances."""
    count = len(centers)

    def one(rows: EncodedRows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        own, squared = _nearest(rows.block, centers, cosine)
        sizes = np.bincount(own, minlength=count)
        return rows.block.group_sums(own, count), sizes, np.bincount(own, weights=squared, minlength=count)

    sums, sizes, squares = np.zeros_like(centers), np.zeros(count), np.zeros(count)
    for part in computed(one, source):
        sums += part[0]
        sizes += part[1]
        squares += part[2]
    return sums, sizes, squares


def _finish(source: Source, centers: np.ndarray, cosine: bool, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A last pass: radius and size of each cluster, and the ordered normalised distances for anomaly cutoffs."""
    count = len(centers)
    squares, sizes = np.zeros(count), np.zeros(count, np.int64)
    sample = RowSample(SAMPLE, seed=seed)
    for own, squared in computed(lambda rows: _nearest(rows.block, centers, cosine), source):
        squares += np.bincount(own, weights=squared, minlength=count)
        sizes += np.bincount(own, minlength=count)
        sample.add(np.column_stack([own.astype(float), np.sqrt(squared)]))
    radii = np.sqrt(squares / np.maximum(sizes, 1))
    held = sample.values()
    found = normalised(held[:, 1], radii[held[:, 0].astype(np.int64)])
    return radii, sizes, quantiles(found, int(sizes.sum()))


def _start(request: FitRequest, survey: Survey, encoding: Encoding) -> np.ndarray:
    """(k, D) first centroids."""
    options: KMeansOptions = request.options
    names = [field.name for field in request.inputs]
    wanted = options.num_clusters
    if request.warm_start is not None:
        assert isinstance(request.warm_start, KMeansModel)
        found = _carried(request.warm_start, encoding)
        if wanted is not None and wanted != len(found):
            raise InvalidArgument(
                "A warm start keeps the number of clusters", given=f"{len(found)} before, {wanted} now"
            )
        return found
    if request.initial_rows is not None:
        chosen = _custom_rows(request, names)
        if wanted is not None and chosen.num_rows != wanted:
            raise InvalidArgument(
                f"KMEANS_INIT_COL must be TRUE in exactly NUM_CLUSTERS = {wanted} rows",
                given=chosen.num_rows,
                do="mark that many rows",
                location=request.initial_rows,
            )
        if not 2 <= chosen.num_rows <= 100:
            raise InvalidArgument(
                "KMEANS_INIT_COL must be TRUE in 2 to 100 rows", given=chosen.num_rows, location=request.initial_rows
            )
        return _dense(chosen, encoding)
    count = wanted or max(2, int(math.log10(survey.rows)))
    if survey.rows < count:
        raise InvalidArgument(
            "There must be at least as many rows as clusters",
            given=f"{survey.rows} rows, NUM_CLUSTERS = {count}",
            do="lower NUM_CLUSTERS",
        )
    rng = np.random.default_rng(request.seed)
    sample = pa.Table.from_batches(survey.sample.pieces())
    if options.kmeans_init_method == "RANDOM":
        return _random(sample, encoding, count, rng)
    return _plus_plus(sample, encoding, count, rng, options.distance_type == "COSINE")


def _dense(rows: pa.Table, encoding: Encoding) -> np.ndarray:
    batch = rows.combine_chunks().to_batches()[0]
    return np.ascontiguousarray(encoding.encode(batch, scaled=True).to_dense())


def _custom_rows(request: FitRequest, names: list[str]) -> pa.Table:
    assert request.initial_rows is not None
    kind = request.data.schema.field(request.initial_rows).type
    if not pa.types.is_boolean(kind):
        raise InvalidArgument("KMEANS_INIT_COL must be a BOOL column", given=str(kind), location=request.initial_rows)
    found = []
    for batch in request.data.scan([*names, request.initial_rows]):
        chosen = batch.filter(batch.column(request.initial_rows).fill_null(False))
        if chosen.num_rows:
            found.append(chosen.select(names))
        if sum(part.num_rows for part in found) > 100:
            break
    schema = pa.schema([request.data.schema.field(name) for name in names])
    return pa.Table.from_batches(found, schema)


def _random(sample: pa.Table, encoding: Encoding, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random rows of the sample, different ones as long as there are."""
    order = rng.permutation(sample.num_rows)
    candidates = _dense(sample.take(pa.array(order[: 50 * count])), encoding)
    _, first = np.unique(candidates, axis=0, return_index=True)
    places = np.sort(first)[:count]
    if len(places) < count:
        rest = np.setdiff1d(np.arange(len(candidates)), places)[: count - len(places)]
        places = np.concatenate([places, rest])
    return candidates[places]


def _plus_plus(sample: pa.Table, encoding: Encoding, count: int, rng: np.random.Generator, cosine: bool) -> np.ndarray:
    """K-means++ (Arthur and Vassilvitskii 2007): each next one drawn by its squared distance to those chosen.

    Of 2 + ln k draws the one that lowers the sum most is taken, as the authors advise.
    """
    blocks = [encoding.encode(batch, scaled=True) for batch in row_blocks(iter(sample.to_batches()))]

    def squared(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centers = _dense(sample.take(pa.array(places)), encoding)
        return centers, np.concatenate([exact_distances(block, centers, cosine) ** 2 for block in blocks])

    trials = 2 + int(math.log(count))
    found, distances = squared(rng.integers(sample.num_rows, size=1))
    centers, nearest = [found[0]], distances[:, 0]
    for _ in range(count - 1):
        total = np.cumsum(nearest)
        if total[-1] > 0.0:
            places = np.searchsorted(total, rng.random(trials) * total[-1], side="right")
            places = np.minimum(places, len(total) - 1)
        else:
            places = rng.integers(sample.num_rows, size=1)
        found, distances = squared(places)
        lowered = np.minimum(distances, nearest[:, None])
        best = int(lowered.sum(axis=0).argmin())
        centers.append(found[best])
        nearest = lowered[:, best]
    return np.array(centers)


def _carried(model: KMeansModel, encoding: Encoding) -> np.ndarray:
    """An earlier model's centroids in this encoding's space; columns it did not know start at the mean."""
    old = {key: at for at, key in enumerate(model.encoding.keys())}
    old_numbers, numbers = model.encoding.numbers, encoding.numbers
    found = np.zeros((len(model.centers), encoding.width))
    for at, key in enumerate(encoding.keys()):
        if key not in old:
            continue
        place = old[key]
        values = model.centers[:, place]
        if at < len(numbers):
            raw = values * old_numbers[place].scale + old_numbers[place].center
            values = (raw - numbers[at].center) / numbers[at].scale
        found[:, at] = values
    return found
