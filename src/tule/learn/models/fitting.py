"""What every family's fit shares: the checked request, passes over encoded rows, progress and timing."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from tule.kernel.clock import Clock
from tule.kernel.errors import InvalidArgument
from tule.learn.data import Batches, missing_column
from tule.learn.models.base import (
    Cluster,
    Family,
    FeatureStatistics,
    Iteration,
    IterativeOptions,
    Model,
    Options,
    Progress,
)
from tule.learn.schema import Field, plain_type
from tule.learn.transforms import Block, Encoding, Feature, Survey, features_of, take_survey
from tule.learn.transforms.labels import check_label, class_codes, label_numbers, labelled
from tule.learn.transforms.survey import row_blocks, statistics_of

Item = TypeVar("Item")
Made = TypeVar("Made")

CACHE_BYTES = 96 << 20
_TICK_SECONDS = 0.2


@dataclass
class FitRequest:
    """A checked call of ``Family.fit``."""

    family: Family
    data: Batches
    label: Field | None
    options: Any
    inputs: tuple[Field, ...]
    features: list[Feature]
    evaluation: Batches | None
    instance_weight: str | None
    initial_rows: str | None
    warm_start: Model | None
    seed: int
    watch: Watch

    @property
    def columns(self) -> list[str]:
        """The columns that training reads."""
        extra = [self.label.name if self.label else None, self.instance_weight, self.initial_rows]
        names = [field.name for field in self.inputs]
        return names + [name for name in extra if name is not None and name not in names]

    def survey(self, *, gram: bool = False, keep: Sequence[str] | None = None, max_classes: int = 1000) -> Survey:
        """The first pass. ``keep``: columns of the row sample (default: the numeric features only, for medians)."""
        if keep is None:
            keep = sorted({feature.path[0] for feature in self.features if feature.kind in ("numeric", "timestamp")})
        return take_survey(
            self.data,
            self.features,
            columns=self.columns,
            label=self.label.name if self.label else None,
            task=self.family.task,
            max_classes=max_classes,
            gram=gram,
            keep=keep,
            tick=self.watch.tick,
            seed=self.seed,
        )


def prepare(
    family: Family,
    data: Batches,
    *,
    label: str | None,
    options: Mapping[str, Any],
    features: Sequence[str] | None,
    evaluation: Batches | None,
    instance_weight: str | None,
    initial_rows: str | None,
    warm_start: Model | None,
    seed: int,
    progress: Progress | None,
    clock: Clock,
) -> FitRequest:
    """Check names and options of a fit; raises InvalidArgument naming what is wrong."""
    parsed: Options = family.options.of(options)
    schema = data.schema
    names = schema.names
    for name in names:
        if names.count(name) > 1:
            raise InvalidArgument("Training columns must have different names", given=name, do="rename one with AS")
    supervised = family.supervised
    if supervised and label is None:
        raise InvalidArgument(f"A {family.family_text} model needs a label column", do="name it in INPUT_LABEL_COLS")
    if not supervised and label is not None:
        raise InvalidArgument(
            f"A {family.family_text} model takes no label column", given=label, do="leave the label out"
        )
    if instance_weight is not None and not family.weighted:
        raise InvalidArgument(
            "Instance weights are for boosted trees only",
            given=instance_weight,
            do="use class weights, or leave it out",
        )
    if initial_rows is not None and family.task != "clustering":
        raise InvalidArgument("Initial rows are for k-means only", given=initial_rows, do="leave the option out")
    special = [name for name in (label, instance_weight, initial_rows) if name is not None]
    for name in [*special, *(features or [])]:
        if name not in names:
            raise missing_column(name, names)
    chosen = list(features) if features is not None else [name for name in names if name not in special]
    both = [name for name in chosen if name in special]
    if both:
        raise InvalidArgument("A feature must not be the label or a weight too", given=both[0], do="leave it out")
    if not chosen:
        raise InvalidArgument(
            "A model needs at least one feature column",
            given=f"only {', '.join(names)}",
            do="select more columns",
        )
    inputs = tuple(Field(name, plain_type(schema.field(name).type)) for name in chosen)
    label_field = Field(label, plain_type(schema.field(label).type)) if label is not None else None
    if label_field is not None:
        check_label(label_field, family.task)
    if evaluation is not None:
        for name in [*chosen, *([label] if label else [])]:
            if name not in evaluation.schema.names:
                raise missing_column(name, evaluation.schema.names)
    if warm_start is not None and warm_start.family != family.name:
        raise InvalidArgument(
            f"A warm start must go on from a {family.name} model", given=warm_start.family, do="train from scratch"
        )
    return FitRequest(
        family,
        data,
        label_field,
        parsed,
        inputs,
        features_of(inputs),
        evaluation,
        instance_weight,
        initial_rows,
        warm_start,
        seed,
        Watch(progress, clock, data.num_rows, getattr(parsed, "max_iterations", 2)),
    )


class Watch:
    """Progress, cancellation and durations of one training."""

    def __init__(self, progress: Progress | None, clock: Clock, rows: int | None, passes: int) -> None:
        self._progress = progress
        self._clock = clock
        self._rows = rows
        self._passes = max(1, passes)
        self._read = 0
        self._last_call = self._last_iteration = clock.monotonic()
        self._number = -1
        self._loss = math.nan
        self._eval_loss: float | None = None
        self._fraction = 0.0

    @property
    def clock(self) -> Clock:
        """The clock that the training is measured with."""
        return self._clock

    def expect(self, passes: float) -> None:
        """How many passes over the rows the training will take in all, about."""
        self._passes = max(1, math.ceil(passes))

    def tick(self, rows: int) -> None:
        """Some rows were read: tell the caller now and then, and let it cancel."""
        self._read += rows
        now = self._clock.monotonic()
        if self._progress is None or now - self._last_call < _TICK_SECONDS:
            return
        self._last_call = now
        if self._rows:
            self._fraction = max(self._fraction, min(0.99, self._read / (self._rows * self._passes)))
        self._progress(self._number, self._loss, self._eval_loss, self._fraction)

    def iteration(
        self,
        number: int,
        loss: float,
        eval_loss: float | None = None,
        learn_rate: float | None = None,
        clusters: tuple[Cluster, ...] = (),
        *,
        of: int | None = None,
    ) -> Iteration:
        """One iteration is done (``of``: how many there may be): report it and return its record."""
        now = self._clock.monotonic()
        duration = round((now - self._last_iteration) * 1000)
        self._last_iteration = self._last_call = now
        self._number, self._loss, self._eval_loss = number, loss, eval_loss
        if of:
            self._fraction = max(self._fraction, min(0.99, (number + 1) / of))
        if self._progress is not None:
            self._progress(number, loss, eval_loss, self._fraction)
        return Iteration(number, loss, eval_loss, learn_rate, duration, clusters)


@dataclass
class Rows:
    """Encoded rows with their targets: labels or class numbers, and weights if any."""

    block: Block
    target: np.ndarray
    weight: np.ndarray | None = None


class Source:
    """Passes over encoded labelled rows; the first pass keeps them in memory if all of them are small."""

    def __init__(
        self,
        data: Batches,
        columns: Sequence[str],
        encode: Callable[[pa.RecordBatch], Rows],
        *,
        label: str | None,
        tick: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self._data = data
        self._columns = list(columns)
        self._encode = encode
        self._label = label
        self._tick = tick
        self._limit = CACHE_BYTES
        self._cache: list[Rows] | None = None

    @property
    def cached(self) -> bool:
        """Whether the rows are in memory now."""
        return self._cache is not None

    def __iter__(self) -> Iterator[Rows]:
        if self._cache is not None:
            for rows in self._cache:
                self._tick(0)
                yield rows
            return
        kept: list[Rows] | None = []
        held = read = 0
        for batch in row_blocks(self._data.scan(self._columns)):
            self._tick(batch.num_rows)
            read += batch.num_rows
            if self._label is not None:
                batch = labelled(batch, self._label)
            if batch.num_rows == 0:
                continue
            rows = self._encode(batch)
            if kept is not None:
                held += rows.block.nbytes + rows.target.nbytes
                # Rows of which most are to come are not kept for a while first.
                if max(held, held * (self._data.num_rows or 0) // read) > self._limit:
                    kept = None
                else:
                    kept.append(rows)
            yield rows
        self._cache = kept


def supervised_source(
    request: FitRequest,
    encoding: Encoding,
    classes: list[Any] | None,
    *,
    data: Batches | None = None,
    class_weights: np.ndarray | None = None,
    scaled: bool = True,
) -> Source:
    """Rows of the training data (or of other ``data``, such as evaluation rows) for a supervised model.

    Rows of a class that training did not know are left out.
    """
    assert request.label is not None
    label = request.label.name

    def encode(batch: pa.RecordBatch) -> Rows:
        column = batch.column(label)
        if classes is None:
            return Rows(encoding.encode(batch, scaled=scaled), label_numbers(column, label))
        target = class_codes(column, classes)
        if (target < 0).any():
            known = target >= 0
            batch, target = batch.filter(pa.array(known)), target[known]
        weight = None if class_weights is None else class_weights[target]
        return Rows(encoding.encode(batch, scaled=scaled), target, weight)

    columns = [*(field.name for field in request.inputs), label]
    return Source(
        data if data is not None else request.data,
        columns,
        encode,
        label=label,
        tick=request.watch.tick,
    )


def class_weights_of(options: Any, classes: list[Any], counts: Mapping[Any, int]) -> np.ndarray | None:
    """The weight of each class, from ``auto_class_weights`` or ``class_weights`` (keyed by the label's text)."""
    from tule.learn.metrics import label_text

    if options.auto_class_weights:
        total = sum(counts.values())
        return np.array([total / (counts[value] * len(classes)) for value in classes])
    if options.class_weights is None:
        return None
    names = [label_text(value) for value in classes]
    given = {label_text(name): float(weight) for name, weight in options.class_weights.items()}
    missing = [name for name in names if name not in given]
    extra = [name for name in given if name not in names]
    if missing or extra:
        raise InvalidArgument(
            f"CLASS_WEIGHTS must give one weight for each class: {', '.join(names)}",
            given=f"missing {', '.join(missing)}" if missing else f"unknown {', '.join(extra)}",
            do="name every class once",
            location="class_weights",
        )
    weights = np.array([given[name] for name in names])
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise InvalidArgument("Class weights must be positive", given=str(given), location="class_weights")
    return weights


def feature_statistics(survey: Survey) -> list[FeatureStatistics]:
    """The survey as the values that a model keeps."""
    return [FeatureStatistics(**item) for item in statistics_of(survey)]


_LIMIT: ContextVar[int | None] = ContextVar("threads", default=None)


def thread_count() -> int:
    """Processors that work may use here: all of the process's, or its share of them."""
    limit = _LIMIT.get()
    every = len(os.sched_getaffinity(0))
    return every if limit is None else min(limit, every)


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Within it, work takes no more processors than this: several trainings at once share them."""
    token = _LIMIT.set(max(1, count))
    try:
        yield
    finally:
        _LIMIT.reset(token)


def computed(work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """``work`` of each item, in their order, by as many threads as there are processors; few items are held at once."""
    with ThreadPoolExecutor(thread_count(), thread_name_prefix="fit") as pool:
        waiting: deque[Future[Made]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > thread_count():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def one_blas_thread() -> AbstractContextManager[Any]:
    """BLAS on one thread while models are fitted: two threads beside a busy engine are many times slower."""
    from threadpoolctl import threadpool_limits

    context: AbstractContextManager[Any] = threadpool_limits(1, user_api="blas")
    return context


def stalled(before: float, after: float, options: IterativeOptions) -> bool:
    """Whether the relative improvement of the loss is below ``min_rel_progress`` (with ``early_stop``)."""
    if not options.early_stop or not math.isfinite(before):
        return False
    return before - after < options.min_rel_progress * abs(before) or after == 0.0
