"""Boosted trees and random forests by xgboost, fed batch by batch: memory holds the quantised matrix, never the rows.

A random forest is one round of many trees, each on a share of the rows, with full steps: xgboost's own forest.

The bins of a histogram are cut at quantiles: of all rows while they are few, of an even sample of at least 64 thousand
otherwise, which spares the costliest part of reading them (finding quantiles of a stream) and moves no metric visibly.

Categories are one-hot by default; with many categories the matrix is sparse and an absent category is a missing value
to xgboost. Label encoding numbers a column's categories alphabetically from 1 (0 = NULL or unknown); target encoding
replaces a category by the training mean of the label (or by the share of each class).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa

from tule.kernel.errors import InvalidArgument, ResourceExhausted
from tule.learn.data import ArrowBatches, Batches
from tule.learn.metrics import Classification, Evaluator, Regression
from tule.learn.models.base import Importance, Iteration, IterativeOptions, Parts, Rows, batches_of, option
from tule.learn.models.fitting import (
    FitRequest,
    Source,
    class_weights_of,
    feature_statistics,
    stalled,
    thread_count,
)
from tule.learn.models.fitting import Rows as EncodedRows
from tule.learn.models.sparse import to_csr
from tule.learn.models.supervised import Explained, Supervised, choose, classified, prediction_fields
from tule.learn.schema import Signature
from tule.learn.transforms import Block, Encoding, Layout, Survey
from tule.learn.transforms.labels import class_codes, label_numbers

WIDE = 512
"""Past this many encoded columns the matrix is sparse."""
MAX_EXACT_CELLS = 200_000_000
_SHARED_ROWS = 16_384
"""Fewer rows are predicted on one thread: to share them out takes longer than they do."""
_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass
class TreeOptions(IterativeOptions):
    """Options of boosted trees. ``max_iterations`` is the number of rounds.

    ``base_score``: the prediction before the first tree (a probability for classifiers); None estimates it from the
    labels, as current xgboost does (xgboost 0.9 began at 0.5). ``patience``: with evaluation rows, stop after so many
    rounds without a better loss on them and keep the rounds up to the best, in place of ``early_stop``.
    """

    booster_type: str = option("GBTREE", choices=("GBTREE", "DART"))
    dart_normalize_type: str = option("TREE", choices=("TREE", "FOREST"))
    num_parallel_tree: int = option(1, low=1, high=1000)
    max_tree_depth: int = option(6, low=1, high=30)
    dropout: float = option(0.0, low=0.0, high=1.0)
    l1_reg: float = option(0.0, low=0.0)
    l2_reg: float = option(1.0, low=0.0)
    learn_rate: float = option(0.3, low=0.0, high=1.0)
    tree_method: str = option("AUTO", choices=("AUTO", "EXACT", "APPROX", "HIST"))
    min_tree_child_weight: int = option(1, low=0)
    colsample_bytree: float = option(1.0, low=0.0, high=1.0)
    colsample_bylevel: float = option(1.0, low=0.0, high=1.0)
    colsample_bynode: float = option(1.0, low=0.0, high=1.0)
    min_split_loss: float = option(0.0, low=0.0)
    subsample: float = option(1.0, low=0.0, high=1.0)
    category_encoding_method: str = option(
        "ONE_HOT_ENCODING", choices=("ONE_HOT_ENCODING", "LABEL_ENCODING", "TARGET_ENCODING")
    )
    base_score: float | None = None
    patience: int = option(0, low=0)

    def check(self, given: set[str]) -> None:
        if self.booster_type != "DART":
            for name in ("dropout", "dart_normalize_type"):
                if name in given:
                    raise InvalidArgument(
                        f"{name.upper()} needs BOOSTER_TYPE = 'DART'", given=self.booster_type, do="leave it out"
                    )
        for name in ("learn_rate", "subsample", "colsample_bytree", "colsample_bylevel", "colsample_bynode"):
            if getattr(self, name) <= 0.0:
                raise InvalidArgument(f"Option {name.upper()} must be above 0", given=getattr(self, name))


@dataclass
class TreeClassifierOptions(TreeOptions):
    """Boosted trees for classes: class weights too."""

    auto_class_weights: bool = False
    class_weights: dict[Any, float] | None = None

    def check(self, given: set[str]) -> None:
        super().check(given)
        if self.auto_class_weights and self.class_weights is not None:
            raise InvalidArgument("CLASS_WEIGHTS cannot be combined with AUTO_CLASS_WEIGHTS", do="use one of them")
        if self.base_score is not None and not 0.0 < self.base_score < 1.0:
            raise InvalidArgument("BASE_SCORE of a classifier must be between 0 and 1", given=self.base_score)


@dataclass
class ForestOptions(TreeOptions):
    """Options of random forests: one round of ``num_parallel_tree`` trees."""

    max_iterations: int = option(1, low=1, high=1)
    num_parallel_tree: int = option(100, low=2, high=1000)
    max_tree_depth: int = option(15, low=1, high=30)
    learn_rate: float = option(1.0, low=1.0, high=1.0)
    colsample_bynode: float = option(0.8, low=0.0, high=1.0)
    subsample: float = option(0.8, low=0.0, high=1.0)

    def check(self, given: set[str]) -> None:
        super().check(given)
        _check_forest(self)


@dataclass
class ForestClassifierOptions(ForestOptions, TreeClassifierOptions):
    """Random forests for classes: class weights too."""


def _check_forest(options: TreeOptions) -> None:
    if options.subsample >= 1.0:
        raise InvalidArgument(
            "SUBSAMPLE of a random forest must be below 1", given=options.subsample, do="its trees must see other rows"
        )
    shares = (options.colsample_bytree, options.colsample_bylevel, options.colsample_bynode)
    if min(shares) >= 1.0:
        raise InvalidArgument(
            "A random forest needs a COLSAMPLE_BYTREE, COLSAMPLE_BYLEVEL or COLSAMPLE_BYNODE below 1",
            given=", ".join(map(str, shares)),
            do="leave COLSAMPLE_BYNODE at 0.8",
        )


class TreeColumns:
    """From encoded rows to the matrix that xgboost sees (W columns)."""

    def __init__(self, encoding: Encoding, method: str, targets: Sequence[np.ndarray] = ()) -> None:
        self.encoding = encoding
        self.method = method
        self.targets = list(targets)
        """Target encoding: per categorical column (categories + 1, T), the last row for unknown ones."""
        self.sparse = method == "ONE_HOT_ENCODING" and encoding.width > WIDE

    def owners(self) -> np.ndarray:
        """The feature of each of the W columns."""
        own = self.encoding.owners()
        if self.method == "ONE_HOT_ENCODING":
            return own
        layout = self.encoding.layout
        repeat = self.targets[0].shape[1] if self.targets else 1
        categories = np.repeat([category.feature for category in self.encoding.categories], repeat).astype(np.int64)
        return np.concatenate([own[: layout.dense], categories, own[layout.dense + sum(layout.codes) :]])

    def matrix(self, block: Block) -> Any:
        """float32 (n, W): an array, or CSR when sparse. Numbers past the range of float32 become infinite, which splits
        compare as they would the number."""
        if self.sparse:
            return to_csr(block)
        with np.errstate(over="ignore"):
            if block.layout.dense == block.layout.width:
                return np.ascontiguousarray(block.dense, np.float32)
            if self.method == "ONE_HOT_ENCODING":
                return np.ascontiguousarray(block.to_dense(np.float32))
            parts = [block.dense]
            for at, code in enumerate(block.codes):
                if self.method == "LABEL_ENCODING":
                    known = len(self.encoding.categories[at].texts)
                    parts.append(np.where((code >= 0) & (code < known), code + 1, 0)[:, None])
                else:
                    parts.append(self.targets[at][code])
            if block.ragged:
                rest = Block(Layout(0, (), block.layout.ragged), np.empty((block.rows, 0)), (), block.ragged)
                parts.append(rest.to_dense())
            return np.concatenate(parts, axis=1).astype(np.float32)


class TreeModel(Supervised):
    """Fitted boosted trees."""

    def __init__(self, common: Mapping[str, Any], columns: TreeColumns, booster: bytes) -> None:
        import xgboost

        super().__init__(common)
        self.columns = columns
        self.encoding = columns.encoding
        self.file = booster
        self.booster = xgboost.Booster(params={"nthread": thread_count()})
        self.booster.load_model(bytearray(booster))
        # Loading forgets parameters that are not the model's own.
        self.booster.set_param({"nthread": thread_count()})

    def raw(self, block: Block) -> np.ndarray:
        """xgboost's own prediction: (n,) float32, or (n, classes) when there are more than two."""
        booster = self.booster if block.rows >= _SHARED_ROWS else self._alone
        return np.asarray(booster.inplace_predict(self.columns.matrix(block), validate_features=False))

    @cached_property
    def _alone(self) -> Any:
        """The booster on the caller's thread: batches of a query come on several threads at once."""
        booster = self.booster.copy()
        booster.set_param({"nthread": 1})
        return booster

    def contributions(self, block: Block) -> np.ndarray:
        """Tree SHAP values per feature, then the bias: (n, features + 1) or (n, classes, features + 1)."""
        import xgboost

        matrix = self.columns.matrix(block)
        if isinstance(matrix, np.ndarray):
            matrix = np.clip(matrix, -_FLOAT32_MAX, _FLOAT32_MAX)  # a DMatrix refuses infinity
        found = self.booster.predict(xgboost.DMatrix(matrix), pred_contribs=True, strict_shape=True)
        owners = np.append(self.columns.owners(), len(self.features))
        shares = np.zeros((*found.shape[:2], len(self.features) + 1))
        for column, owner in enumerate(owners):
            shares[:, :, owner] += found[:, :, column]
        return shares

    def importance(self) -> list[Importance]:
        owners = self.columns.owners()
        totals = {kind: np.zeros(len(self.features)) for kind in ("weight", "total_gain", "total_cover")}
        for kind, sums in totals.items():
            for name, value in self.booster.get_score(importance_type=kind).items():
                sums[owners[int(name[1:])]] += value
        used = np.maximum(totals["weight"], 1.0)
        return [
            Importance(
                name,
                int(totals["weight"][at]),
                float(totals["total_gain"][at] / used[at]),
                float(totals["total_cover"][at] / used[at]),
            )
            for at, name in enumerate(self.features)
        ]

    def to_parts(self) -> Parts:
        state, arrays = self.encoding.to_parts()
        arrays |= {f"targets/{at}": table for at, table in enumerate(self.columns.targets)}
        return Parts({"encoding": state, "method": self.columns.method}, arrays, {"model.ubj": self.file})

    @classmethod
    def from_parts(cls, common: Mapping[str, Any], parts: Parts) -> Self:
        encoding = Encoding.from_parts(parts.state["encoding"], parts.arrays)
        targets = [
            parts.arrays[f"targets/{at}"] for at in range(sum(name.startswith("targets/") for name in parts.arrays))
        ]
        return cls(common, TreeColumns(encoding, parts.state["method"], targets), parts.files["model.ubj"])


class TreeRegressor(TreeModel):
    """Boosted trees for a number."""

    family = "boosted_tree_regressor"

    def predict(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        blocks = (self.encoding.encode(batch, scaled=False) for batch in batches_of(rows))
        parts = [self.raw(block).astype(np.float64) for block in blocks]
        return pa.table({"prediction": pa.chunked_array(parts, pa.float64())})

    def explain_block(self, block: Block, threshold: float = 0.5) -> Explained:
        shares = self.contributions(block)[:, 0]
        values = self.raw(block).astype(np.float64)
        return Explained(values, None, shares[:, :-1], shares[:, -1], shares.sum(axis=1))

    def evaluator(self, threshold: float) -> Evaluator:
        assert self.signature.label is not None
        return Regression(self.signature.label.name)


class TreeClassifier(TreeModel):
    """Boosted trees for classes."""

    family = "boosted_tree_classifier"

    def probabilities(self, block: Block) -> np.ndarray:
        """(n, number of classes) float64"""
        return class_probabilities(self.raw(block))

    def predict(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        blocks = (self.encoding.encode(batch, scaled=False) for batch in batches_of(rows))
        parts = [self.probabilities(block) for block in blocks]
        return classified(parts, self.signature, self.classes or [], threshold)

    def explain_block(self, block: Block, threshold: float = 0.5) -> Explained:
        probabilities = self.probabilities(block)
        chosen = choose(probabilities, threshold)
        every = np.arange(len(chosen))
        shares = self.contributions(block)
        if shares.shape[1] == 1:
            own = shares[:, 0] * np.where(chosen == 1, 1.0, -1.0)[:, None]
        else:
            own = shares[every, chosen]
        return Explained(probabilities[every, chosen], chosen, own[:, :-1], own[:, -1], own.sum(axis=1))

    def evaluator(self, threshold: float) -> Evaluator:
        return Classification(self, threshold)


class ForestRegressor(TreeRegressor):
    """A random forest for a number."""

    family = "random_forest_regressor"


class ForestClassifier(TreeClassifier):
    """A random forest for classes."""

    family = "random_forest_classifier"


def class_probabilities(raw: np.ndarray) -> np.ndarray:
    """xgboost's answer as (n, classes) float64."""
    wide = raw.astype(np.float64)
    return wide if wide.ndim == 2 else np.column_stack([1.0 - wide, wide])


def fit_trees(request: FitRequest) -> TreeModel:
    """Fit boosted trees or a random forest."""
    options: TreeOptions = request.options
    assert request.label is not None
    request.watch.expect(5)
    survey = request.survey(keep=request.columns)
    for name, numbers in survey.numbers.items():
        if max(abs(numbers.low), abs(numbers.high)) > _FLOAT32_MAX:
            raise InvalidArgument(
                "Numbers of a tree model must fit a 32-bit float",
                given=f"{name} reaches {max(abs(numbers.low), abs(numbers.high))}",
                do="scale the column down",
                location=name,
            )
    classes = survey.classes.ordered() if survey.classes is not None else None
    weights = None
    if classes is not None and survey.classes is not None:
        weights = class_weights_of(options, classes, survey.classes.counts)
        if weights is not None and request.instance_weight is not None:
            raise InvalidArgument("INSTANCE_WEIGHT_COL cannot be combined with class weights", do="use one of them")
    encoding = Encoding.fit(survey, standardize=False)
    source = _source(request, encoding, classes, weights)
    targets: list[np.ndarray] = []
    if options.category_encoding_method == "TARGET_ENCODING" and encoding.categories:
        targets = _target_tables(source, encoding, classes)
    columns = TreeColumns(encoding, options.category_encoding_method, targets)
    evaluation = None
    if request.evaluation is not None:
        evaluation = _source(request, encoding, classes, None, data=request.evaluation, weighted=False)
    sample = None
    if not survey.sample.complete:
        sample = _source(request, encoding, classes, weights, data=ArrowBatches(survey.sample.pieces()))
    file, iterations = _boost(request, columns, source, sample, evaluation, classes, survey)
    label = request.label
    common = {
        "signature": Signature(request.inputs, label, prediction_fields(classes, label)),
        "options": {
            **options.to_json(),
            "tree_method": "HIST" if options.tree_method == "AUTO" else options.tree_method,
        },
        "classes": classes,
        "iterations": iterations,
        "statistics": feature_statistics(survey),
        "num_rows": survey.rows,
        "skipped_rows": survey.skipped,
        "notes": [],
    }
    made = request.family.model(common, columns, file)  # type: ignore[call-arg]
    assert isinstance(made, TreeModel)
    return made


def _source(
    request: FitRequest,
    encoding: Encoding,
    classes: list[Any] | None,
    class_weights: np.ndarray | None,
    *,
    data: Batches | None = None,
    weighted: bool = True,
) -> Source:
    assert request.label is not None
    label, weight_name = request.label.name, request.instance_weight if weighted else None
    columns = [*(field.name for field in request.inputs), label]
    if weight_name is not None:
        columns.append(weight_name)

    def encode(batch: pa.RecordBatch) -> EncodedRows:
        column = batch.column(label)
        if classes is None:
            target = label_numbers(column, label)
        else:
            target = class_codes(column, classes)
            if (target < 0).any():
                known = target >= 0
                batch, target = batch.filter(pa.array(known)), target[known]
        weight = None if class_weights is None else class_weights[target]
        if weight_name is not None:
            weight = _instance_weights(batch.column(weight_name), weight_name)
        return EncodedRows(encoding.encode(batch, scaled=False), target, weight)

    return Source(data if data is not None else request.data, columns, encode, label=label, tick=request.watch.tick)


def _instance_weights(column: pa.Array, name: str) -> np.ndarray:
    from tule.learn.transforms.features import is_number

    if not is_number(column.type):
        raise InvalidArgument("The instance weight must be a number", given=f"{name} is {column.type}", location=name)
    values = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise InvalidArgument(
            "Instance weights must be finite numbers that are not negative nor NULL",
            given=f"{name} has another value",
            do="replace them, or filter those rows out",
            location=name,
        )
    return values


def _target_tables(source: Source, encoding: Encoding, classes: list[Any] | None) -> list[np.ndarray]:
    """Mean label (or class shares, the positive one alone for two classes) per category, overall mean last."""
    several = classes is not None and len(classes) > 2
    size = len(classes) if several and classes is not None else 1
    tables = [np.zeros((category.width + 1, size)) for category in encoding.categories]
    counts = [np.zeros(category.width + 1) for category in encoding.categories]
    total, rows_seen = np.zeros(size), 0.0
    for rows in source:
        goal = np.zeros((len(rows.target), size))
        if several:
            goal[np.arange(len(goal)), rows.target] = 1.0
        else:
            goal[:, 0] = rows.target
        total += goal.sum(axis=0)
        rows_seen += len(goal)
        for at, code in enumerate(rows.block.codes):
            counts[at] += np.bincount(code + 1, minlength=len(counts[at]))[[*range(1, len(counts[at])), 0]]
            for column in range(size):
                sums = np.bincount(code + 1, weights=goal[:, column], minlength=len(counts[at]))
                tables[at][:, column] += sums[[*range(1, len(counts[at])), 0]]
    overall = total / rows_seen
    for table, count in zip(tables, counts, strict=True):
        known = count > 0
        table[known] /= count[known, None]
        table[~known] = overall
        table[-1] = overall
    return tables


def _boost(
    request: FitRequest,
    columns: TreeColumns,
    source: Source,
    sample: Source | None,
    evaluation: Source | None,
    classes: list[Any] | None,
    survey: Survey,
) -> tuple[bytes, list[Iteration]]:
    import xgboost

    options: TreeOptions = request.options
    method = {"AUTO": "hist", "HIST": "hist", "APPROX": "approx", "EXACT": "exact"}[options.tree_method]
    parameters: dict[str, Any] = {
        "booster": options.booster_type.lower(),
        "tree_method": method,
        "eta": options.learn_rate,
        "max_depth": options.max_tree_depth,
        "min_child_weight": options.min_tree_child_weight,
        "gamma": options.min_split_loss,
        "alpha": options.l1_reg,
        "lambda": options.l2_reg,
        "subsample": options.subsample,
        "colsample_bytree": options.colsample_bytree,
        "colsample_bylevel": options.colsample_bylevel,
        "colsample_bynode": options.colsample_bynode,
        "num_parallel_tree": options.num_parallel_tree,
        "seed": request.seed,
        "nthread": thread_count(),
        "verbosity": 0,
    }
    if options.booster_type == "DART":
        parameters |= {"rate_drop": options.dropout, "normalize_type": options.dart_normalize_type.lower()}
    if options.base_score is not None:
        parameters["base_score"] = options.base_score
    if classes is None:
        parameters |= {"objective": "reg:squarederror", "eval_metric": "rmse"}
    elif len(classes) == 2:
        parameters |= {"objective": "binary:logistic", "eval_metric": "logloss"}
    else:
        parameters |= {"objective": "multi:softprob", "eval_metric": "mlogloss", "num_class": len(classes)}
    if method == "hist":
        cuts = None if sample is None else _quantised(columns, sample, None)
        train = _quantised(columns, source, cuts)
    else:
        cells = survey.rows * len(columns.owners())
        if not columns.sparse and cells > MAX_EXACT_CELLS:
            raise ResourceExhausted(
                f"TREE_METHOD {options.tree_method} holds all rows in memory, at most {MAX_EXACT_CELLS:,} values",
                given=f"{cells:,}",
                do="use TREE_METHOD = 'HIST'",
            )
        train = _whole(columns, source)
    sets = [(train, "train")]
    if evaluation is not None and any(len(rows.target) for rows in evaluation):
        held = _quantised(columns, evaluation, train) if method == "hist" else _whole(columns, evaluation)
        sets.append((held, "eval"))
    booster = xgboost.Booster(parameters, [data for data, _ in sets])
    iterations: list[Iteration] = []
    before = best = float("inf")
    kept = 0
    for round_number in range(options.max_iterations):
        booster.update(train, round_number)
        losses = _losses(booster.eval_set(sets, round_number), squared=classes is None)
        held_loss = losses.get("eval")
        iterations.append(
            request.watch.iteration(
                round_number + 1, losses["train"], held_loss, options.learn_rate, of=options.max_iterations
            )
        )
        own = losses["train"] if held_loss is None else held_loss
        if options.patience and held_loss is not None:
            if held_loss < best:
                best, kept = held_loss, round_number + 1
            elif round_number + 1 - kept >= options.patience:
                break
        elif stalled(before, own, options):
            break
        before = own
    if kept and kept < len(iterations):
        booster = booster[:kept]
    return bytes(booster.save_raw("ubj")), iterations


def _losses(text: str, *, squared: bool) -> dict[str, float]:
    """xgboost's "[0]\\ttrain-rmse:1.5\\teval-rmse:2" as mean losses by set."""
    found: dict[str, float] = {}
    for part in text.split("\t")[1:]:
        name, value = part.rsplit(":", 1)
        number = float(value)
        found[name.split("-", 1)[0]] = number * number if squared else number
    return found


def _batches(columns: TreeColumns, source: Source) -> Iterator[tuple[Any, np.ndarray, np.ndarray | None]]:
    for rows in source:
        weight = None if rows.weight is None else rows.weight.astype(np.float32)
        yield columns.matrix(rows.block), rows.target.astype(np.float32), weight


def _quantised(columns: TreeColumns, source: Source, reference: Any) -> Any:
    """An xgboost.QuantileDMatrix over the passes of a source."""
    import xgboost

    class Reader(xgboost.DataIter):
        def __init__(self) -> None:
            self._open: Iterator[Any] = iter(())
            super().__init__(release_data=True)

        def reset(self) -> None:
            close = getattr(self._open, "close", None)
            if close is not None:
                close()
            self._open = _batches(columns, source)

        def next(self, input_data: Any) -> bool:
            for matrix, target, weight in self._open:
                if weight is None:
                    input_data(data=matrix, label=target)
                else:
                    input_data(data=matrix, label=target, weight=weight)
                return True
            return False

    return xgboost.QuantileDMatrix(Reader(), max_bin=256, nthread=thread_count(), ref=reference)


def _whole(columns: TreeColumns, source: Source) -> Any:
    """An xgboost.DMatrix of all rows, for the methods that cannot stream."""
    import xgboost

    parts = list(_batches(columns, source))
    matrices = [matrix for matrix, _, _ in parts]
    if columns.sparse:
        from tule.learn.models.sparse import stacked

        matrix = stacked(matrices)
    else:
        matrix = np.concatenate(matrices)
    weights = [weight for _, _, weight in parts if weight is not None]
    return xgboost.DMatrix(
        matrix,
        label=np.concatenate([target for _, target, _ in parts]),
        weight=np.concatenate(weights) if weights else None,
        nthread=thread_count(),
    )
