"""An automatic search for tables: candidates trained on folds of the rows, their blend chosen on rows they have not seen.

Few rows are split into five folds, and each candidate is the mean of its five models; of many rows a part is held out.
The candidates of the portfolio come first, then trees tuned by what those gave, until the budget is used up, enough were
tried, or nothing has helped for a while: without a cut by the budget, the same seed gives the same model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tule.kernel.clock import Clock
from tule.kernel.errors import InvalidArgument, ResourceExhausted
from tule.learn.data import ArrowBatches
from tule.learn.metrics import numbers
from tule.learn.models.base import Diverged, Iteration, Model
from tule.learn.models.blend import AutomlOptions, BlendModel, Part
from tule.learn.models.fitting import FitRequest, feature_statistics, limited_threads, thread_count
from tule.learn.models.supervised import prediction_fields
from tule.learn.sampling import RowSample
from tule.learn.schema import Signature
from tule.learn.search.portfolio import (
    MANY_ROWS,
    Candidate,
    Problem,
    last_resort,
    point_of,
    portfolio,
    trees,
    tuned_trees,
)
from tule.learn.search.scores import Score, greedy, log_loss, score_of
from tule.learn.search.study import Objective, Study
from tule.learn.search.trials import Status, Trial
from tule.learn.transforms.labels import class_codes

MOST_ROWS = 200_000
"""Of more rows an even sample is searched."""
MOST_BYTES = 512 << 20
MOST_CLASSES = 1000
FOLDED_ROWS = MANY_ROWS
"""Of fewer rows there are folds."""
FOLDS, FOLDS_OF_MANY_CLASSES, MANY_CLASSES = 5, 3, 5
_HELD, _MOST_HELD = 0.12, 15_000
# Blends are chosen on at most so many rows.
_SCORED = 10_000
# Candidates without a better blend that end the search.
_STALE = 12
_MOST_FAILURES = 12
_LEAST_WEIGHT = 0.04
# The share of the budget that the search may take where models of folds are trained again on all rows.
_SEARCHED = 0.85
# A label is skewed when its upper half reaches so many times as far as its lower one.
_SKEW = 1.5


class _OutOfTime(Exception):
    """The budget was used up within a candidate."""


@dataclass(frozen=True)
class Fold:
    """Places of the rows that train and of those that judge."""

    training: np.ndarray
    judged: np.ndarray


@dataclass(frozen=True)
class Tried:
    """A candidate that was trained: a model of each fold, and what they predict for the rows that they have not seen."""

    candidate: Candidate
    models: tuple[Model, ...]
    predictions: np.ndarray
    score: float
    seconds: float


class Rows:
    """The rows of a search in memory, their labels as numbers or places of classes, and the folds.

    ``order``: the rows that judge, in the order of all folds' predictions.
    """

    def __init__(self, request: FitRequest) -> None:
        assert request.label is not None
        self.label = request.label
        self.names = [field.name for field in request.inputs]
        self.table, sampled = _read(request)
        given = None if request.evaluation is None else _labelled(request.evaluation, [*self.names, self.label.name],
                                                                  self.label.name)  # fmt: skip
        self.sampled = sampled
        column = self.table.column(self.label.name)
        self.classes: list[Any] | None = None
        if request.family.task == "classification":
            self.classes = sorted(pc.unique(column).to_pylist())
            if len(self.classes) < 2:
                raise InvalidArgument(
                    "A classifier needs rows of at least two classes", given=f"{len(self.classes)}: {self.classes}",
                    do="check the label column and the query that selects the rows", location=self.label.name,
                )  # fmt: skip
        rows = self.table.num_rows
        if given is not None and given.num_rows:
            self.table = pa.concat_tables([self.table, given.cast(self.table.schema)])
            self.folds = [Fold(np.arange(rows), np.arange(rows, self.table.num_rows))]
        else:
            self.folds = _folds(rows, self._targets(), len(self.classes or ()), request.seed)
        self.targets = self._targets()
        self.order = np.concatenate([fold.judged for fold in self.folds])

    def _targets(self) -> np.ndarray:
        column = self.table.column(self.label.name).combine_chunks()
        return numbers(column) if self.classes is None else class_codes(column, self.classes)

    @property
    def problem(self) -> Problem:
        low, middle, high = np.quantile(self.targets, [0.01, 0.5, 0.99]) if self.classes is None else (0, 0, 0)
        skewed = self.classes is None and self.targets.min() >= 0 and high - middle > _SKEW * (middle - low)
        return Problem(self.table.num_rows, len(self.classes or ()), bool(skewed))

    def take(self, places: np.ndarray, *, logarithm: bool) -> ArrowBatches:
        table = self.table.take(pa.array(places))
        if logarithm:
            at = table.schema.get_field_index(self.label.name)
            table = table.set_column(at, self.label.name, pa.array(np.log1p(self.targets[places])))
        return ArrowBatches(table)


def search(request: FitRequest) -> BlendModel:
    """The best blend within the budget; at least one candidate is trained, however long it takes."""
    survey = request.survey()
    search = _Search(request, Rows(request))
    parts = search.run()
    rows, label = search.rows, request.label
    assert label is not None
    common = {
        "signature": Signature(request.inputs, label, prediction_fields(rows.classes, label)),
        "options": {**request.options.to_json()},
        "classes": rows.classes,
        "iterations": search.iterations,
        "statistics": feature_statistics(survey),
        "num_rows": survey.rows,
        "skipped_rows": survey.skipped,
        "notes": search.notes(),
    }
    made = request.family.model(common, parts)  # type: ignore[call-arg]
    assert isinstance(made, BlendModel)
    return made


class _Search:
    def __init__(self, request: FitRequest, rows: Rows) -> None:
        self.rows = rows
        self._request = request
        self._options: AutomlOptions = request.options
        self._clock: Clock = request.watch.clock
        self._began = self._clock.monotonic()
        self._budget = self._options.budget_seconds * (_SEARCHED if len(rows.folds) > 1 else 1.0)
        self._problem = rows.problem
        classes, objective = len(rows.classes or ()), self._options.optimization_objective
        if classes > 2 and objective not in (None, "MINIMIZE_LOG_LOSS"):
            raise InvalidArgument(
                f"OPTIMIZATION_OBJECTIVE = '{objective}' needs a label of two classes", given=f"{classes} classes",
                do="use MINIMIZE_LOG_LOSS, or leave it out", location="optimization_objective",
            )  # fmt: skip
        if classes > MOST_CLASSES:
            raise InvalidArgument(
                f"A classifier takes at most {MOST_CLASSES:,} classes", given=f"{classes:,}", do="group the rarest",
                location=rows.label.name,
            )  # fmt: skip
        self._score: Score = score_of(objective, self._options.objective_value, classes)
        self._actual = rows.targets[rows.order]
        self._looked_at = _even(len(self._actual), _SCORED)
        self._tried: list[Tried] = []
        self._tuning = False
        self._last_resort = False
        self._weights = np.ones(0)
        self.iterations: list[Iteration] = []
        self._failures: list[str] = []

    def run(self) -> list[Part]:
        best, stale = np.inf, 0
        for candidate in self._candidates():
            left = self._budget - (self._clock.monotonic() - self._began)
            if left <= 0:
                break
            if self._tried and self._expected(candidate) > left:
                if self._tuning:
                    break
                continue
            if not self._try(candidate):
                if len(self._failures) >= _MOST_FAILURES:
                    break
                continue
            reached = self._blend()
            stale = 0 if reached < best - 1e-5 * abs(best) or not np.isfinite(best) else stale + 1
            best = min(best, reached)
            if len(self._tried) >= self._options.most_candidates or stale >= _STALE:
                break
        if not self._tried:
            self._last_resort = True
            if not self._try(last_resort(self._problem)):
                raise InvalidArgument(
                    "At least one model must be trained on these rows", given=self._failures[0], do="check the columns"
                )
            self._blend()
        return self._parts()

    def notes(self) -> list[str]:
        told = [f"{len(self._tried)} candidates were tried"]
        if self.rows.sampled:
            told.append(f"the search took an even sample of {self.rows.table.num_rows:,} rows")
        return told + self._failures

    # -- candidates

    def _candidates(self) -> Iterator[Candidate]:
        """Those of the portfolio, then trees near the best ones."""
        yield from portfolio(self._problem)
        space = trees(self._problem)
        self._tuning = True
        while True:
            # What was tried before counts, whoever had the idea.
            trials = [
                Trial(number, point_of(each.candidate, space), Status.SUCCEEDED, (each.score,))
                for number, each in enumerate(self._trees(), 1)
            ]
            study = Study(space, [Objective("score")], seed=self._request.seed, trials=trials)
            suggested = study.suggest()
            assert suggested is not None
            yield tuned_trees(self._problem, suggested.values)

    def _trees(self) -> list[Tried]:
        return [each for each in self._tried if each.candidate.family.startswith("boosted_tree")]

    def _expected(self, candidate: Candidate) -> float:
        """About how many seconds a candidate takes: those of the longest of its family."""
        known = [each.seconds for each in self._tried if each.candidate.family == candidate.family]
        return max(known, default=0.0)

    def _try(self, candidate: Candidate) -> bool:
        """Train a candidate on every fold; whether it counts."""
        began = self._clock.monotonic()
        try:
            made = list(self._folds(candidate))
        except _OutOfTime:
            return False
        except (ResourceExhausted, Diverged, InvalidArgument) as error:
            self._failures.append(f"{candidate.family}: {error.message}")
            return False
        models, predictions = zip(*made, strict=True)
        found = np.concatenate(predictions)
        if not np.isfinite(found).all():
            self._failures.append(f"{candidate.family}: predictions are not finite")
            return False
        score = self._score(self._actual, found)
        self._tried.append(Tried(candidate, tuple(models), found, score, self._clock.monotonic() - began))
        return True

    def _folds(self, candidate: Candidate) -> Iterator[tuple[Model, np.ndarray]]:
        """The model and the predictions of each fold. Folds are trained side by side, a processor for each: threads of one
        small training would wait for one another."""

        def one(number: int) -> tuple[Model, np.ndarray]:
            fold = self.rows.folds[number]
            with limited_threads(max(1, thread_count() // len(self.rows.folds))):
                model = self._fitted(candidate, fold, number)
                return model, self._predicted(Part(model, 1.0, candidate.logarithm), fold)

        workers = min(thread_count(), len(self.rows.folds))
        with ThreadPoolExecutor(workers, thread_name_prefix="fold") as pool:
            futures = [pool.submit(copy_context().run, one, number) for number in range(len(self.rows.folds))]
            try:
                for future in futures:
                    yield future.result()
            except BaseException:
                for future in futures:
                    future.cancel()
                raise

    def _fitted(self, candidate: Candidate, fold: Fold, number: int) -> Model:
        from tule.learn.models import FAMILIES

        return FAMILIES[candidate.family].fit(
            self.rows.take(fold.training, logarithm=candidate.logarithm),
            label=self.rows.label.name,
            options=candidate.options,
            features=self.rows.names,
            evaluation=self.rows.take(fold.judged, logarithm=candidate.logarithm),
            seed=self._request.seed + number,
            progress=self._progress,
            clock=self._clock,
        )

    def _progress(self, iteration: int, loss: float, eval_loss: float | None, fraction: float) -> None:
        self._request.watch.tick(0)
        if not self._last_resort and self._clock.monotonic() - self._began > self._budget:
            raise _OutOfTime

    def _predicted(self, part: Part, fold: Fold) -> np.ndarray:
        rows = self.rows.take(fold.judged, logarithm=False)
        ask: Callable[[pa.RecordBatch], np.ndarray] = part.numbers
        if (classes := self.rows.classes) is not None:
            ask = lambda batch: part.probabilities(batch, classes)  # noqa: E731
        return np.concatenate([ask(batch) for batch in rows.scan(self.rows.names)])

    # -- the blend

    def _blend(self) -> float:
        """Choose the weights anew; the score reached."""
        at = self._looked_at
        found = [each.predictions[at] for each in self._tried]
        self._weights = greedy(found, self._actual[at], self._score)
        mean = sum((w * each for w, each in zip(self._weights, found, strict=True)), np.zeros_like(found[0], float))
        reached = self._score(self._actual[at], mean)
        loss = log_loss(self._actual[at], mean) if self.rows.classes else float(np.mean((mean - self._actual[at]) ** 2))
        self.iterations.append(
            self._request.watch.iteration(len(self._tried) - 1, loss, of=self._options.most_candidates)
        )
        return reached

    def _parts(self) -> list[Part]:
        """The models of the blend: where there are folds, each candidate trained again on all rows."""
        kept = np.where(self._weights >= _LEAST_WEIGHT, self._weights, 0.0)
        kept /= kept.sum()
        chosen = [(each, float(weight)) for each, weight in zip(self._tried, kept, strict=True) if weight > 0]
        # The heaviest first: the time that is left may not be enough for all.
        ordered = sorted(chosen, key=lambda each: -each[1])
        with ThreadPoolExecutor(thread_count(), thread_name_prefix="whole") as pool:
            futures = [pool.submit(copy_context().run, self._whole, tried) for tried, _ in ordered]
            made = [future.result() for future in futures]
        return [
            Part(model, weight / len(models), tried.candidate.logarithm)
            for (tried, weight), models in zip(ordered, made, strict=True)
            for model in models
        ]

    def _whole(self, tried: Tried) -> tuple[Model, ...]:
        """The models that stand for a candidate: one of all rows, or those of the folds where there is no time for it."""
        if not self._may_train_again(tried):
            return tried.models
        with limited_threads(1):
            return (self._final(tried),)

    def _may_train_again(self, tried: Tried) -> bool:
        """Whether the time that is left is enough to train a candidate on all rows."""
        left = self._options.budget_seconds - (self._clock.monotonic() - self._began)
        folds = len(tried.models)
        return folds > 1 and tried.seconds / folds * (1 + 1 / folds) < left

    def _final(self, tried: Tried) -> Model:
        from tule.learn.models import FAMILIES

        every = np.arange(self.rows.table.num_rows)
        options = dict(tried.candidate.options)
        if options.pop("patience", 0):
            # As long as the folds took to their best, a little longer for the rows that come to it.
            options["max_iterations"] = max(1, round(1.05 * float(np.mean([_best(each) for each in tried.models]))))
        return FAMILIES[tried.candidate.family].fit(
            self.rows.take(every, logarithm=tried.candidate.logarithm),
            label=self.rows.label.name,
            options=options,
            features=self.rows.names,
            seed=self._request.seed,
            progress=lambda *told: self._request.watch.tick(0),
            clock=self._clock,
        )


def _best(model: Model) -> int:
    """The iterations that a model took to its best loss on the rows that judged it."""
    losses = [each.loss if each.eval_loss is None else each.eval_loss for each in model.iterations]
    return int(np.argmin(losses)) + 1


def _read(request: FitRequest) -> tuple[pa.Table, bool]:
    """The labelled rows, an even sample of many; whether it is one."""
    assert request.label is not None
    names = [*(field.name for field in request.inputs), request.label.name]
    sample = RowSample(MOST_ROWS, max_bytes=MOST_BYTES, seed=request.seed, expected=request.data.num_rows)
    for batch in request.data.scan(names):
        request.watch.tick(batch.num_rows)
        kept = batch.filter(batch.column(request.label.name).is_valid())
        if kept.num_rows:
            sample.add(kept)
    if not len(sample):
        raise InvalidArgument(
            "Training needs at least one row with a label", given="none", do="check the training query",
            location=request.label.name,
        )  # fmt: skip
    return pa.Table.from_batches(sample.pieces()).combine_chunks(), not sample.complete


def _labelled(data: Any, names: list[str], label: str) -> pa.Table:
    table = pa.Table.from_batches(list(data.scan(names)), pa.schema([data.schema.field(name) for name in names]))
    return table.filter(pc.is_valid(table.column(label)))


def _folds(rows: int, targets: np.ndarray, classes: int, seed: int) -> list[Fold]:
    """Every row judges once in folds of few rows; of many a part does. Classes, or ranges of numbers, are spread evenly."""
    random = np.random.default_rng(seed)
    shuffled = random.permutation(rows)
    # Dealt out in the order of the label, neighbours go to different folds.
    ordered = shuffled[np.argsort(targets[shuffled], kind="stable")]
    if rows <= FOLDED_ROWS:
        count = min(FOLDS if classes <= MANY_CLASSES else FOLDS_OF_MANY_CLASSES, rows)
        dealt = np.empty(rows, np.int64)
        dealt[ordered] = np.arange(rows) % count
        every = np.arange(rows)
        return [Fold(every[dealt != number], every[dealt == number]) for number in range(count)]
    held = min(_MOST_HELD, round(rows * _HELD))
    judged = ordered[np.linspace(0, rows - 1, held).astype(np.int64)]
    training = np.setdiff1d(np.arange(rows), judged)
    return [Fold(training, np.sort(judged))]


def _even(rows: int, most: int) -> np.ndarray:
    """Places of at most ``most`` rows, evenly spread."""
    return np.arange(rows) if rows <= most else np.linspace(0, rows - 1, most).astype(np.int64)
