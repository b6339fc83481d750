"""What every model family promises: how it is fitted, what the fitted model can be asked.

Names: a *feature* is one input column after structs are expanded (``address.city`` becomes ``address_city``); an
*encoded column* is one number that the algorithm sees (a category, a scaled number).
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import pyarrow as pa

from tule.kernel.clock import Clock
from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.learn.data import Batches
from tule.learn.models.expression import LinearExpression
from tule.learn.schema import Signature

if typing.TYPE_CHECKING:
    from tule.learn.metrics import Evaluator

Rows: typing.TypeAlias = pa.Table | pa.RecordBatch


class Diverged(InvalidArgument):
    """Training with these options does not converge; others may."""


@dataclass(frozen=True)
class Cluster:
    """One k-means cluster after an iteration: id from 1, root-mean-square distance of its rows, number of rows."""

    centroid_id: int
    radius: float
    size: int


@dataclass(frozen=True)
class Iteration:
    """One line of training history. ``loss`` is without penalties: mean squared error, log loss, squared distance.

    ``number`` counts from 0 (trees: from 1). ``duration_ms`` is real time. ``eval_loss`` is None without
    evaluation rows.
    """

    number: int
    loss: float
    eval_loss: float | None = None
    learn_rate: float | None = None
    duration_ms: int = 0
    clusters: tuple[Cluster, ...] = ()


class Progress(Protocol):
    """Called after each iteration and now and then within a pass. Raise ``kernel.errors.Cancelled`` to stop training.

    ``iteration`` counts from 0 and is -1 while the data is still being surveyed; ``loss`` is NaN then.
    ``fraction`` is the done share of the whole training, an estimate in 0..1.
    """

    def __call__(self, iteration: int, loss: float, eval_loss: float | None, fraction: float) -> None: ...


@dataclass(frozen=True)
class FeatureStatistics:
    """One feature of the training rows. ``stddev`` is the sample deviation of the non-NULL values.

    The five numbers are None for a feature that is not numeric (TIMESTAMP: unix seconds). ``category_count`` counts
    distinct non-NULL values and is None for numeric ones. ``dimension`` is the length of a numeric array. ``median``
    is exact up to 131,072 rows and taken from an even sample of that size beyond.
    """

    name: str
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    median: float | None = None
    stddev: float | None = None
    category_count: int | None = None
    null_count: int = 0
    dimension: int | None = None


@dataclass(frozen=True)
class Weight:
    """One line of a linear model's weights. Numeric: ``weight``; categorical: ``categories`` and ``weight`` None.

    ``class_label`` is set for multinomial models only. The intercept's ``name`` is ``__INTERCEPT__``. The NULL
    category is called ``_null_filler``. ``standard_error`` and ``p_value`` exist after ``calculate_p_values``.
    """

    name: str
    weight: float | None
    categories: tuple[tuple[str, float], ...] = ()
    class_label: Any = None


@dataclass(frozen=True)
class AdvancedWeight:
    """A weight with its standard error and p-value (NaN where there is none, as for a dropped category)."""

    name: str
    category: str | None
    weight: float
    standard_error: float | None
    p_value: float | None


@dataclass(frozen=True)
class CentroidValue:
    """One feature of one centroid: a mean (numeric) or the share of each category."""

    centroid_id: int
    name: str
    value: float | None
    categories: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class ComponentValue:
    """One feature of one principal component (ids from 0): its loading, or one per category."""

    component_id: int
    name: str
    value: float | None
    categories: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class ComponentInfo:
    """How much of the training rows one principal component explains; ratios are of the sum of all eigenvalues."""

    component_id: int
    eigenvalue: float
    explained_variance_ratio: float
    cumulative_explained_variance_ratio: float


@dataclass(frozen=True)
class FactorWeight:
    """The factors and the intercept of one user or item; ``name`` is its column (None: the global intercept)."""

    name: str | None
    feature: str
    factors: tuple[float, ...]
    intercept: float


@dataclass(frozen=True)
class Importance:
    """A feature's use in the trees: number of splits, mean gain and mean cover of them, over its encoded columns."""

    name: str
    weight: int
    gain: float
    cover: float


@dataclass
class Options:
    """Base of a family's options. Names are BigQuery ML's in lower case; values are plain Python."""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Check names, types, enumerations and ranges; a wrong one is named in an InvalidArgument."""
        known = {item.name: item for item in dataclasses.fields(cls)}
        hints = typing.get_type_hints(cls)
        values: dict[str, Any] = {}
        for name, value in given.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3)
                raise InvalidArgument(
                    f"Unsupported option {name.upper()} for this kind of model",
                    given=repr(value),
                    do=f"use one of {', '.join(sorted(item.upper() for item in (near or known)))}",
                    location=name,
                )
            values[name] = _checked(name, value, hints[name], known[name].metadata)
        made = cls(**values)
        made.check(set(values))
        return made

    def check(self, given: set[str]) -> None:
        """Rules that span several options; ``given`` are the names that the caller set."""

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass
class IterativeOptions(Options):
    """Options of families that go on until the loss improves too little."""

    max_iterations: int = 20
    early_stop: bool = True
    min_rel_progress: float = 0.01


def option(default: Any, *, choices: Sequence[str] = (), low: float | None = None, high: float | None = None) -> Any:
    """A dataclass field of Options with its allowed values: an enumeration (upper case) or a closed range."""
    return field(default=default, metadata={"choices": tuple(choices), "low": low, "high": high})


def _checked(name: str, value: Any, hint: Any, rules: Mapping[str, Any]) -> Any:
    wanted = typing.get_args(hint) or (hint,)
    shown = name.upper()
    if value is None and type(None) in wanted:
        return None
    if bool in wanted and isinstance(value, bool):
        return value
    if isinstance(value, bool):
        raise InvalidArgument(f"Option {shown} must not be a boolean", given=value, location=name)
    if int in wanted and isinstance(value, (int, np.integer)):
        value = int(value)
    elif float in wanted and isinstance(value, (int, float, np.number)):
        value = float(value)
        if not np.isfinite(value):
            raise InvalidArgument(f"Option {shown} must be finite", given=value, location=name)
    elif str in wanted and isinstance(value, str):
        if rules.get("choices"):
            value = value.upper()
    elif any(typing.get_origin(kind) is dict or kind is dict for kind in wanted) and isinstance(value, Mapping):
        value = dict(value)
    elif any(typing.get_origin(kind) is list for kind in wanted) and isinstance(value, (list, tuple)):
        value = list(value)
    else:
        words = {
            bool: "a boolean",
            int: "an integer",
            float: "a number",
            str: "a string",
            dict: "a mapping",
            list: "a list",
        }
        names = [words.get(typing.get_origin(kind) or kind, "") for kind in wanted if kind is not type(None)]
        raise InvalidArgument(f"Option {shown} must be {' or '.join(names)}", given=repr(value), location=name)
    if rules.get("choices") and value not in rules["choices"]:
        raise InvalidArgument(
            f"Option {shown} must be one of {', '.join(rules['choices'])}", given=value, location=name
        )
    low, high = rules.get("low"), rules.get("high")
    if isinstance(value, (int, float)) and ((low is not None and value < low) or (high is not None and value > high)):
        span = f"between {low} and {high}" if low is not None and high is not None else f"at least {low}"
        raise InvalidArgument(f"Option {shown} must be {span}", given=value, location=name)
    return value


@dataclass(frozen=True)
class Parts:
    """What a bundle stores of a family: JSON state, arrays, and further files by name."""

    state: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


COMMON = ("signature", "options", "classes", "iterations", "statistics", "num_rows", "skipped_rows", "notes")


class Model(ABC):
    """A fitted model. Immutable once fitted and safe to use from several threads.

    ``family``: key of ``FAMILIES``. ``options``: every option with its effective value (``optimize_strategy`` after
    AUTO is resolved, for instance). ``classes``: label values in ascending order (Python values of the label's type),
    None unless a classifier; a binary classifier's positive class is ``classes[1]``. ``num_rows``: training rows used;
    ``skipped_rows``: rows left out because their label was NULL. ``notes``: things worth telling the user
    (separable classes, columns that never vary).
    """

    family: ClassVar[str] = ""

    signature: Signature
    options: dict[str, Any]
    classes: list[Any] | None
    iterations: list[Iteration]
    statistics: list[FeatureStatistics]
    num_rows: int
    skipped_rows: int
    notes: list[str]

    def __init__(self, common: Mapping[str, Any]) -> None:
        """``common``: the attributes that every family has, by name."""
        for name in COMMON:
            setattr(self, name, common[name])

    @property
    @abstractmethod
    def features(self) -> list[str]:
        """Names of the features (inputs with structs expanded): the order of ``attributions`` in ``explain``."""

    @abstractmethod
    def predict(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        """One answer a row, in order; extra input columns are ignored, a missing one is an InvalidArgument naming it.

        Regression: ``prediction`` float64. Classification: ``label`` (the label column's type) and ``probabilities``
        fixed_size_list<float64>[number of classes] in the order of ``classes``; ``threshold`` is compared with the
        positive class's probability (``>=``) of a binary model and not used otherwise. K-means: ``centroid_id`` int64
        and ``distances`` list<struct<centroid_id int64, distance float64>>, the min(5, k) nearest, ascending. PCA:
        ``principal_component_1`` and so on, float64.
        """

    def explain(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        """Attributions of each row's prediction to the features: baseline + sum(attributions) == prediction_value.

        Columns: ``prediction`` float64 | ``label`` and ``probability`` float64 (of the predicted class);
        ``attributions`` fixed_size_list<float64>[number of features] in the order of ``features``; ``baseline``,
        ``prediction_value``, ``approximation_error`` (0.0: both methods are exact). Values of a classifier are log-odds
        of the predicted class (binary: negated for the negative class). K-means: Unimplemented.
        """
        raise Unimplemented(f"A {self.family} model has no feature attributions", do="explain a supervised model")

    @abstractmethod
    def evaluator(self, threshold: float) -> Evaluator:
        """What ``metrics.evaluate`` runs for this family."""

    def linear_expression(self) -> LinearExpression:
        """The model as a neutral formula; Unimplemented unless it is linear."""
        raise Unimplemented(f"A {self.family} model is not a linear formula", do="predict with it instead")

    def weights(self, *, standardize: bool = False) -> list[Weight]:
        """Weights per feature in original units (or of standardised numbers), intercept last; linear models only."""
        raise Unimplemented(f"A {self.family} model has no weights", do="use a linear or logistic model")

    def advanced_weights(self, *, standardize: bool = False) -> list[AdvancedWeight]:
        """Weights with standard errors and p-values; only of a linear model fitted with ``calculate_p_values``."""
        raise Unimplemented(f"A {self.family} model has no p-values", do="use CALCULATE_P_VALUES on a linear model")

    def importance(self) -> list[Importance]:
        """Use of each feature by the trees, all features, in their order; boosted trees only."""
        raise Unimplemented(f"A {self.family} model has no feature importance", do="use boosted trees")

    def centroids(self, *, standardize: bool = False) -> list[CentroidValue]:
        """One line a centroid and feature, centroids ascending; k-means only."""
        raise Unimplemented(f"A {self.family} model has no centroids", do="use k-means")

    def components(self) -> list[ComponentValue]:
        """One line a component and feature, components ascending from 0; PCA only."""
        raise Unimplemented(f"A {self.family} model has no principal components", do="use PCA")

    def component_info(self) -> list[ComponentInfo]:
        """Eigenvalues and explained shares of the components, descending; PCA only."""
        raise Unimplemented(f"A {self.family} model has no principal components", do="use PCA")

    def detect_anomalies(self, rows: Rows, *, contamination: float) -> pa.Table:
        """The ``contamination`` share (in [0, 0.5]) of the training rows sets the cutoff. K-means: is_anomaly bool,
        normalized_distance float64, centroid_id int64; PCA: is_anomaly bool, mean_squared_error float64."""
        raise Unimplemented(f"A {self.family} model detects no anomalies", do="use k-means or PCA")

    @abstractmethod
    def to_parts(self) -> Parts:
        """What a bundle stores of this model."""

    @classmethod
    @abstractmethod
    def from_parts(cls, common: Mapping[str, Any], parts: Parts) -> Model:
        """The inverse of ``to_parts``; ``common`` holds the attributes of this base class."""


@dataclass(frozen=True)
class Family:
    """One line of ``FAMILIES``: what kind of task, which options, how to fit, how to load."""

    name: str
    task: str
    """"regression", "classification", "clustering", "reduction", "recommendation", "forecasting",
    "preparation" or "insights"."""
    options: type[Options]
    model: type[Model]
    train: Callable[[Any], Model]
    """Fits a checked ``FitRequest``; callers use ``fit``."""
    weighted: bool = False
    """Whether rows may carry an instance weight."""

    @property
    def supervised(self) -> bool:
        """Whether it learns from a label."""
        return self.task in ("regression", "classification")

    @property
    def family_text(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    def fit(
        self,
        data: Batches,
        *,
        label: str | None,
        options: Mapping[str, Any] | None = None,
        features: Sequence[str] | None = None,
        evaluation: Batches | None = None,
        instance_weight: str | None = None,
        initial_rows: str | None = None,
        warm_start: Model | None = None,
        seed: int = 0,
        progress: Progress | None = None,
        clock: Clock | None = None,
    ) -> Model:
        """Fit a model on all rows of ``data``; memory use does not grow with the number of rows.

        ``label``: label column (None for clustering and reduction); rows where it is NULL are skipped and counted.
        ``features``: feature columns, default every column but label, ``instance_weight`` and ``initial_rows``.
        ``evaluation``: rows for ``eval_loss`` and early stopping, same columns. ``instance_weight``: numeric column,
        trees only. ``initial_rows``: boolean column, k-means with ``kmeans_init_method`` CUSTOM only.
        ``warm_start``: an earlier model of this family to go on from (linear, logistic, k-means).
        ``seed``: same seed and same data give the same bundle bytes. Raises InvalidArgument with the column or option
        named, ResourceExhausted when categories pass their bound, and what ``progress`` raises.
        """
        from tule.kernel.clock import RealClock
        from tule.learn.models.fitting import one_blas_thread, prepare

        request = prepare(
            self,
            data,
            label=label,
            options=options or {},
            features=features,
            evaluation=evaluation,
            instance_weight=instance_weight,
            initial_rows=initial_rows,
            warm_start=warm_start,
            seed=seed,
            progress=progress,
            clock=clock or RealClock(),
        )
        with one_blas_thread():
            return self.train(request)


def batches_of(rows: Rows) -> Iterator[pa.RecordBatch]:
    """The record batches of a table or record batch."""
    if isinstance(rows, pa.RecordBatch):
        yield rows
    else:
        yield from rows.to_batches()
