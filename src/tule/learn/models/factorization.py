"""Matrix factorization by alternating least squares: explicit ratings, and implicit feedback with confidences.

Symbols: n ratings r of m users and k items; U (m, d), V (k, d) factors; g the mean rating; b_u, b_i intercepts.

Explicit (Koren, Bell, Volinsky 2009): r ~ g + b_u + b_i + u'v; each half step solves one ridge regression a user (or item)
for [u, b_u] on [v, 1]. Implicit (Hu, Koren, Volinsky 2008): preference p = [r > 0], confidence c = 1 + alpha |r|; every pair
counts, those without a rating with c = 1. Ratings are held as codes and float32, 12 bytes each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tule.kernel.errors import InvalidArgument
from tule.learn.data import Batches, missing_column
from tule.learn.metrics import Evaluator, Regression, numbers
from tule.learn.models.base import (
    FactorWeight,
    FeatureStatistics,
    Iteration,
    IterativeOptions,
    Model,
    Parts,
    Rows,
    batches_of,
    option,
)
from tule.learn.models.fitting import FitRequest, stalled, thread_count
from tule.learn.schema import Field, Signature

GLOBAL_INTERCEPT = "global__intercept__"
_CELLS = 1 << 18
"""Numbers that one batch of normal equations may gather: they stay in a processor's cache, and there are batches for all."""
_BLOCK_PAIRS = 1 << 20
_START = 0.1


@dataclass
class FactorizationOptions(IterativeOptions):
    """Options of matrix factorization. ``num_factors`` None: log2 of the ratings, between 2 and 200."""

    feedback_type: str = option("EXPLICIT", choices=("EXPLICIT", "IMPLICIT"))
    num_factors: int | None = option(None, low=2, high=200)
    user_col: str = "user"
    item_col: str = "item"
    rating_col: str = "rating"
    l2_reg: float = option(1.0, low=0.0)
    wals_alpha: float = option(40.0, low=0.0)

    def check(self, given: set[str]) -> None:
        if "wals_alpha" in given and self.feedback_type != "IMPLICIT":
            raise InvalidArgument("WALS_ALPHA needs FEEDBACK_TYPE = 'IMPLICIT'", do="leave it out")
        if len({self.user_col, self.item_col, self.rating_col}) < 3:
            raise InvalidArgument(
                "USER_COL, ITEM_COL and RATING_COL must be three columns",
                given=f"{self.user_col}, {self.item_col}, {self.rating_col}",
            )


@dataclass(frozen=True)
class Side:
    """The users or the items: their ids, factors (size, d) and intercepts (size,)."""

    ids: pa.Array
    factors: np.ndarray
    intercepts: np.ndarray

    def codes(self, column: pa.Array) -> np.ndarray:
        """The place of each id, -1 for one that training did not see (NULL too)."""
        found = pc.index_in(column.cast(self.ids.type), value_set=self.ids)
        return np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)


class FactorizationModel(Model):
    """Fitted factors. ``mean``: the global intercept (0 for implicit feedback)."""

    family = "matrix_factorization"

    def __init__(self, common: Mapping[str, Any], users: Side, items: Side, mean: float) -> None:
        super().__init__(common)
        self.users = users
        self.items = items
        self.mean = mean
        self.user_name, self.item_name, self.rating_name = (
            self.options[name] for name in ("user_col", "item_col", "rating_col")
        )

    @property
    def implicit(self) -> bool:
        return bool(self.options["feedback_type"] == "IMPLICIT")

    @property
    def features(self) -> list[str]:
        return [self.user_name, self.item_name]

    def scores(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """(n,) predictions for pairs of places; -1 stands for an unknown user or item, of which nothing is known."""
        left, right = _padded(self.users), _padded(self.items)
        found = np.einsum("ij,ij->i", left.factors[users], right.factors[items])
        found += self.mean + left.intercepts[users] + right.intercepts[items]
        return found

    def predict(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        parts = []
        for batch in batches_of(rows):
            for name in self.features:
                if name not in batch.schema.names:
                    raise missing_column(name, batch.schema.names)
            users = self.users.codes(batch.column(self.user_name))
            parts.append(self.scores(users, self.items.codes(batch.column(self.item_name))))
        return pa.table({"prediction": pa.chunked_array(parts, pa.float64())})

    def recommend(self, users: pa.Array | None = None, items: pa.Array | None = None) -> Iterator[pa.RecordBatch]:
        """All pairs of the users with the items (None: all of training), users outermost: prediction, user, item."""
        users = self.users.ids if users is None else users.cast(self.users.ids.type)
        items = self.items.ids if items is None else items.cast(self.items.ids.type)
        if not len(users) or not len(items):
            return
        left, right = self.users.codes(users), self.items.codes(items)
        step = max(1, _BLOCK_PAIRS // len(items))
        for first in range(0, len(users), step):
            part = left[first : first + step]
            found = self.scores(np.repeat(part, len(right)), np.tile(right, len(part)))
            places = np.repeat(np.arange(first, first + len(part)), len(right))
            yield pa.record_batch(
                {
                    "prediction": pa.array(found),
                    self.user_name: users.take(pa.array(places)),
                    self.item_name: items.take(pa.array(np.tile(np.arange(len(right)), len(part)))),
                }
            )

    def factor_weights(self) -> Iterator[FactorWeight]:
        """The global intercept, then every user, then every item."""
        yield FactorWeight(None, GLOBAL_INTERCEPT, (), self.mean)
        for name, side in ((self.user_name, self.users), (self.item_name, self.items)):
            for at, value in enumerate(side.ids.to_pylist()):
                yield FactorWeight(name, str(value), tuple(side.factors[at].tolist()), float(side.intercepts[at]))

    def evaluator(self, threshold: float) -> Evaluator:
        return Ranked(self) if self.implicit else Regression(self.rating_name)

    def to_parts(self) -> Parts:
        arrays: dict[str, np.ndarray] = {}
        files: dict[str, bytes] = {}
        for name, side in (("users", self.users), ("items", self.items)):
            arrays |= {f"{name}/factors": side.factors, f"{name}/intercepts": side.intercepts}
            sink = pa.BufferOutputStream()
            with pa.ipc.new_file(sink, pa.schema([("id", side.ids.type)])) as writer:
                writer.write_batch(pa.record_batch({"id": side.ids}))
            files[f"{name}.arrow"] = sink.getvalue().to_pybytes()
        return Parts({"mean": self.mean}, arrays, files)

    @classmethod
    def from_parts(cls, common: Mapping[str, Any], parts: Parts) -> Self:
        sides = []
        for name in ("users", "items"):
            ids = pa.ipc.open_file(parts.files[f"{name}.arrow"]).read_all().column("id").combine_chunks()
            sides.append(Side(ids, parts.arrays[f"{name}/factors"], parts.arrays[f"{name}/intercepts"]))
        return cls(common, sides[0], sides[1], parts.state["mean"])


def _padded(side: Side) -> Side:
    """A side with a last entry of zeros, which place -1 picks."""
    return Side(
        side.ids, np.vstack([side.factors, np.zeros((1, side.factors.shape[1]))]), np.append(side.intercepts, 0.0)
    )


class Ranked(Evaluator):
    """How well items are ranked for each user of the rows: the metrics of implicit feedback.

    Relevant items of a user are those rated above 0. ``average_rank`` is the rating-weighted mean percentile at which the
    rated items stand (Hu, Koren, Volinsky 2008): 0 is best, 0.5 is chance.
    """

    def __init__(self, model: FactorizationModel) -> None:
        self._users: list[np.ndarray] = []
        self._items: list[np.ndarray] = []
        self._ratings: list[np.ndarray] = []

    def add(self, model: Model, batch: pa.RecordBatch) -> None:
        assert isinstance(model, FactorizationModel)
        users = model.users.codes(batch.column(model.user_name))
        items = model.items.codes(batch.column(model.item_name))
        known = (users >= 0) & (items >= 0)
        self._users.append(users[known])
        self._items.append(items[known])
        self._ratings.append(numbers(batch.column(model.rating_name))[known])
        self._model = model

    def result(self) -> dict[str, float]:
        users, items, ratings = (np.concatenate(each) for each in (self._users, self._items, self._ratings))
        order = np.argsort(users, kind="stable")
        users, items, ratings = users[order], items[order], ratings[order]
        errors, precision, gains, rank, weight = 0.0, [], [], 0.0, 0.0
        model = self._model
        for first, last in _groups(users):
            scores = model.items.factors @ model.users.factors[users[first]]
            own, rated = items[first:last], ratings[first:last]
            preferred = rated > 0
            errors += float(((preferred - scores[own]) ** 2).sum())
            position = np.empty(len(scores), np.int64)
            position[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
            share = position[own] / max(1, len(scores) - 1)
            rank += float((np.abs(rated) * share).sum())
            weight += float(np.abs(rated).sum())
            places = np.sort(position[own[preferred]])
            if len(places):
                precision.append(float((np.arange(1, len(places) + 1) / (places + 1)).mean()))
                best = (1.0 / np.log2(np.arange(len(places)) + 2)).sum()
                gains.append(float((1.0 / np.log2(places + 2)).sum() / best))
        return {
            "mean_average_precision": float(np.mean(precision)) if precision else math.nan,
            "mean_squared_error": errors / len(users) if len(users) else math.nan,
            "normalized_discounted_cumulative_gain": float(np.mean(gains)) if gains else math.nan,
            "average_rank": rank / weight if weight else math.nan,
        }


def _groups(ordered: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and past-the-last place of each run of equal numbers."""
    if not len(ordered):
        return
    edges = np.flatnonzero(np.diff(ordered)) + 1
    yield from zip([0, *edges.tolist()], [*edges.tolist(), len(ordered)], strict=True)


# -- fitting


@dataclass(frozen=True)
class Ratings:
    """Codes of users and items, and their ratings."""

    users: np.ndarray
    items: np.ndarray
    values: np.ndarray


def fit_factorization(request: FitRequest) -> FactorizationModel:
    """Fit matrix factorization."""
    options: FactorizationOptions = request.options
    if request.warm_start is not None:
        raise InvalidArgument("Matrix factorization has no warm start", do="leave WARM_START out")
    names = [options.user_col, options.item_col, options.rating_col]
    for name in names:
        if name not in request.data.schema.names:
            raise missing_column(name, request.data.schema.names)
    request.watch.expect(1)
    ratings, users, items, skipped = _read(request.data, names, request)
    held = _known(request.evaluation, names, users, items)
    count = len(ratings.values)
    size = options.num_factors or min(200, max(2, round(math.log2(count))))
    implicit = options.feedback_type == "IMPLICIT"
    solver = (_Implicit if implicit else _Explicit)(ratings, len(users), len(items), size, options, request.seed)
    iterations: list[Iteration] = []
    before = math.inf
    for number in range(options.max_iterations):
        solver.step()
        loss = solver.loss(ratings)
        held_loss = solver.loss(held) if held is not None and len(held.values) else None
        iterations.append(request.watch.iteration(number, loss, held_loss, of=options.max_iterations))
        if stalled(before, loss, options):
            break
        before = loss
    schema = request.data.schema
    fields = tuple(Field(name, schema.field(name).type) for name in names)
    common = {
        "signature": Signature(fields[:2], fields[2], (Field("prediction", pa.float64()),)),
        "options": {**options.to_json(), "num_factors": size},
        "classes": None,
        "iterations": iterations,
        "statistics": _statistics(names, ratings, users, items),
        "num_rows": count,
        "skipped_rows": skipped,
        "notes": [],
    }
    left, right = solver.sides(users, items)
    return FactorizationModel(common, left, right, solver.mean)


def _read(data: Batches, names: list[str], request: FitRequest) -> tuple[Ratings, pa.Array, pa.Array, int]:
    """All ratings as codes, with the ids in ascending order; rows where one of the three is NULL are left out."""
    parts: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    skipped = 0
    for batch in data.scan(names):
        request.watch.tick(batch.num_rows)
        whole = batch
        for name in names:
            whole = whole.filter(whole.column(name).is_valid())
        skipped += batch.num_rows - whole.num_rows
        for part, name in zip(parts, names[:2], strict=False):
            part.append(whole.column(name).dictionary_encode())
        values = numbers(whole.column(names[2]))
        if not np.isfinite(values).all():
            raise InvalidArgument("Ratings must be finite", given=f"{names[2]} holds another value", location=names[2])
        parts[2].append(values.astype(np.float32))
    if not sum(len(part) for part in parts[2]):
        raise InvalidArgument("Training needs at least one rating", given="none", do="check the training query")
    users, user_ids = _coded(parts[0])
    items, item_ids = _coded(parts[1])
    return Ratings(users, items, np.concatenate(parts[2])), user_ids, item_ids, skipped


def _coded(parts: list[pa.DictionaryArray]) -> tuple[np.ndarray, pa.Array]:
    """int32 places in the ascending distinct ids."""
    joined = pa.chunked_array(parts).unify_dictionaries().combine_chunks()
    if isinstance(joined, pa.ChunkedArray):
        joined = joined.chunk(0)
    order = pc.sort_indices(joined.dictionary)
    places = np.empty(len(order), np.int32)
    places[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
    return places[joined.indices.to_numpy()], joined.dictionary.take(order)


def _known(data: Batches | None, names: list[str], users: pa.Array, items: pa.Array) -> Ratings | None:
    """The evaluation rows whose user and item training knows."""
    if data is None:
        return None
    parts: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    left, right = (Side(ids, np.empty((0, 0)), np.empty(0)) for ids in (users, items))
    for batch in data.scan(names):
        found = left.codes(batch.column(names[0])), right.codes(batch.column(names[1]))
        values = numbers(batch.column(names[2]))
        known = (found[0] >= 0) & (found[1] >= 0) & np.isfinite(values)
        for part, own in zip(parts, (*found, values), strict=True):
            part.append(own[known])
    if not parts[0]:
        return None
    return Ratings(*(np.concatenate(part) for part in parts))


def _statistics(names: list[str], ratings: Ratings, users: pa.Array, items: pa.Array) -> list[FeatureStatistics]:
    values = ratings.values.astype(np.float64)
    deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return [
        FeatureStatistics(names[0], category_count=len(users)),
        FeatureStatistics(names[1], category_count=len(items)),
        FeatureStatistics(
            names[2],
            float(values.min()),
            float(values.max()),
            float(values.mean()),
            float(np.median(values)),
            deviation,
        ),
    ]


class _Half:
    """One direction of the alternation: the ratings by owner, owners of like many ratings solved together."""

    def __init__(self, owners: np.ndarray, others: np.ndarray, values: np.ndarray, count: int, size: int) -> None:
        order = np.argsort(owners, kind="stable")
        self._others = others[order].astype(np.int64)
        self._values = values[order].astype(np.float64)
        counts = np.bincount(owners, minlength=count)
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._counts = counts
        self._size = size
        widths = np.where(counts > 0, 1 << np.ceil(np.log2(np.maximum(counts, 1))).astype(np.int64), 0)
        self._buckets = [(int(width), np.flatnonzero(widths == width)) for width in np.unique(widths) if width]

    def groups(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(owners, (g, w) places of others with -1 as padding, (g, w) values with 0 as padding)"""
        for width, owners in self._buckets:
            step = max(1, _CELLS // (width * (self._size + 1) + (self._size + 1) ** 2))
            for first in range(0, len(owners), step):
                part = owners[first : first + step]
                places = self._starts[part][:, None] + np.arange(width)
                real = np.arange(width) < self._counts[part][:, None]
                places[~real] = 0
                others = np.where(real, self._others[places], -1)
                yield part, others, np.where(real, self._values[places], 0.0)


class _Explicit:
    """Alternating ridge regressions with intercepts."""

    def __init__(
        self, ratings: Ratings, users: int, items: int, size: int, options: FactorizationOptions, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        self.mean = float(ratings.values.astype(np.float64).mean())
        self._penalty = options.l2_reg
        self._left = np.zeros((users, size + 1))
        self._right = np.zeros((items, size + 1))
        self._right[:, :size] = rng.standard_normal((items, size)) * _START
        centred = ratings.values.astype(np.float64) - self.mean
        self._by_user = _Half(ratings.users, ratings.items, centred, users, size)
        self._by_item = _Half(ratings.items, ratings.users, centred, items, size)

    def step(self) -> None:
        """Users, then items."""
        _solve(self._by_user, self._left, self._right, self._penalty)
        _solve(self._by_item, self._right, self._left, self._penalty)

    def loss(self, ratings: Ratings) -> float:
        """Mean squared error."""
        left, right = self._left[ratings.users], self._right[ratings.items]
        found = np.einsum("ij,ij->i", left[:, :-1], right[:, :-1]) + left[:, -1] + right[:, -1] + self.mean
        return float(((found - ratings.values) ** 2).mean())

    def sides(self, users: pa.Array, items: pa.Array) -> tuple[Side, Side]:
        return tuple(  # type: ignore[return-value]
            Side(ids, np.ascontiguousarray(own[:, :-1]), np.ascontiguousarray(own[:, -1]))
            for ids, own in ((users, self._left), (items, self._right))
        )


def _solve(half: _Half, own: np.ndarray, other: np.ndarray, penalty: float) -> None:
    """For each owner the [factors, intercept] that minimise the squared errors of its ratings plus the penalty."""
    size = own.shape[1]
    design = np.vstack([other, np.zeros((1, size))])
    shift = design[:, -1].copy()
    design[:-1, -1] = 1.0
    ridge = max(penalty, 1e-9) * np.eye(size)

    def solve(owners: np.ndarray, others: np.ndarray, values: np.ndarray) -> None:
        rows = design[others]
        target = np.where(others >= 0, values - shift[others], 0.0)
        turned = rows.transpose(0, 2, 1)
        own[owners] = np.linalg.solve(turned @ rows + ridge, turned @ target[:, :, None])[:, :, 0]

    _on_all_processors(solve, half.groups())


def _on_all_processors(
    solve: Callable[[np.ndarray, np.ndarray, np.ndarray], None],
    groups: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> None:
    """Solve every group, a thread for each processor: each writes rows of its own."""
    with ThreadPoolExecutor(thread_count(), thread_name_prefix="ratings") as pool:
        for done in [pool.submit(solve, *group) for group in groups]:
            done.result()


class _Implicit:
    """Weighted alternating least squares over all pairs."""

    mean = 0.0

    def __init__(
        self, ratings: Ratings, users: int, items: int, size: int, options: FactorizationOptions, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        self._alpha, self._penalty = options.wals_alpha, options.l2_reg
        self._left = np.zeros((users, size))
        self._right = rng.standard_normal((items, size)) * _START
        self._by_user = _Half(ratings.users, ratings.items, ratings.values, users, size)
        self._by_item = _Half(ratings.items, ratings.users, ratings.values, items, size)

    def step(self) -> None:
        """Users, then items."""
        self._half(self._by_user, self._left, self._right)
        self._half(self._by_item, self._right, self._left)

    def _half(self, half: _Half, own: np.ndarray, other: np.ndarray) -> None:
        size = own.shape[1]
        everything = other.T @ other + max(self._penalty, 1e-9) * np.eye(size)
        padded = np.vstack([other, np.zeros((1, size))])
        # (E + R'DR)^-1 R' = E^-1 R' (I + D R E^-1 R')^-1: with few ratings the second system is the smaller one.
        divided = np.linalg.solve(everything, padded.T).T

        def solve(owners: np.ndarray, others: np.ndarray, values: np.ndarray) -> None:
            rows = padded[others]
            extra = self._alpha * np.abs(values)
            wanted = np.where(values > 0, 1.0 + extra, 0.0)[:, :, None]
            if others.shape[1] < size:
                shares = divided[others]
                left = extra[:, :, None] * (rows @ shares.transpose(0, 2, 1))
                left[:, np.arange(left.shape[1]), np.arange(left.shape[1])] += 1.0
                own[owners] = (shares.transpose(0, 2, 1) @ np.linalg.solve(left, wanted))[:, :, 0]
                return
            turned = rows.transpose(0, 2, 1)
            left = turned @ (extra[:, :, None] * rows) + everything
            own[owners] = np.linalg.solve(left, turned @ wanted)[:, :, 0]

        _on_all_processors(solve, half.groups())

    def loss(self, ratings: Ratings) -> float:
        """Confidence-weighted squared error of the preferences, a mean over all pairs of users and items."""
        found = np.einsum("ij,ij->i", self._left[ratings.users], self._right[ratings.items])
        weight = 1.0 + self._alpha * np.abs(ratings.values.astype(np.float64))
        seen = float((weight * ((ratings.values > 0) - found) ** 2 - found**2).sum())
        pairs = float(((self._left.T @ self._left) * (self._right.T @ self._right)).sum())
        return (seen + pairs) / (len(self._left) * len(self._right))

    def sides(self, users: pa.Array, items: pa.Array) -> tuple[Side, Side]:
        return Side(users, self._left, np.zeros(len(users))), Side(items, self._right, np.zeros(len(items)))
