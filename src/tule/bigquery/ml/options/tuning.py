"""Hyperparameter tuning: what may be tuned for each model type, and between which values.

Ranges, scales and objectives are those of the table in the public overview.
https://cloud.google.com/bigquery/docs/hp-tuning-overview#hyperparameters_and_objectives
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tule.bigquery.ml.options import option as read
from tule.bigquery.ml.options.model_types import (
    AUTOENCODER,
    BOOSTED,
    CLASSIFIERS,
    DNN,
    FACTORIZATION,
    FORESTS,
    GLM,
    KMEANS,
    NEURAL,
    SUPERVISED,
    TREES,
    WIDE,
)
from tule.bigquery.ml.options.option import Option
from tule.bigquery.sql.statements import HparamCandidates, HparamRange
from tule.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from tule.bigquery.ml.options import ModelOptions
    from tule.learn.search import Domain, Space

TUNED = SUPERVISED | {KMEANS, FACTORIZATION, AUTOENCODER}
"""The model types that take NUM_TRIALS."""
ALGORITHMS = ("VIZIER_DEFAULT", "RANDOM_SEARCH", "GRID_SEARCH")
LEAST = 1e-14
"""What a lower bound of 0 is where 0 itself may not be tried."""
MOST = 1.0 - 1e-6
PENALISED = ("ADAGRAD", "FTRL", "SGD")
"""The optimizers that networks can be regularised with."""

_CODES, _CLUSTERS, _RATINGS = frozenset({AUTOENCODER}), frozenset({KMEANS}), frozenset({FACTORIZATION})
_OPTIMIZERS = ("ADAM", "ADAGRAD", "FTRL", "RMSPROP", "SGD")


@dataclass(frozen=True)
class Tunable:
    """One hyperparameter: its valid range, the one searched where none is written (None: only on request)."""

    name: str
    types: frozenset[str]
    low: float = 0.0
    high: float = math.inf
    default: tuple[float, float] | tuple[str, ...] | None = None
    log: bool = False
    open_low: bool = False
    open_high: bool = False
    ranged: bool = True
    """Whether it is a number, so that it may have a range."""
    whole: bool = False

    @property
    def key(self) -> str:
        return self.name.lower()

    def bounds(self, low: float, high: float) -> tuple[float, float]:
        """A range without the ends that may not be tried."""
        if low == 0 and (self.log or self.open_low):
            low = LEAST
        if high == self.high and self.open_high:
            high = MOST
        return low, high


TUNABLES: tuple[Tunable, ...] = (
    # Parents of conditions come first.
    Tunable("BOOSTER_TYPE", BOOSTED, ranged=False),
    Tunable("OPTIMIZER", NEURAL - WIDE, default=_OPTIMIZERS, ranged=False),
    Tunable("L1_REG", GLM | DNN | TREES, default=(0.0, 10.0), log=True, open_low=True),
    Tunable("L2_REG", GLM | DNN | TREES | _RATINGS, default=(0.0, 10.0), log=True, open_low=True),
    Tunable("NUM_CLUSTERS", _CLUSTERS, 2, 100, (2, 10), whole=True),
    Tunable("NUM_FACTORS", _RATINGS, 2, 200, (2, 20), whole=True),
    Tunable("WALS_ALPHA", _RATINGS, default=(0.0, 100.0)),
    Tunable("LEARN_RATE", BOOSTED, default=(0.0, 1.0), open_low=True),
    Tunable("LEARN_RATE", NEURAL - WIDE - _CODES, 0.0, 1.0, (0.0, 1.0), open_low=True),
    Tunable("LEARN_RATE", _CODES, 0.0, 1.0, (0.0, 1.0), log=True, open_low=True),
    Tunable("BATCH_SIZE", NEURAL, 1, default=(16, 1024), log=True, whole=True),
    Tunable("DROPOUT", NEURAL, 0.0, 1.0, (0.0, 0.8), open_high=True),
    Tunable("DROPOUT", BOOSTED, 0.0, 1.0),
    Tunable("HIDDEN_UNITS", NEURAL, ranged=False),
    Tunable("ACTIVATION_FN", NEURAL, ranged=False),
    Tunable("L1_REG_ACTIVATION", _CODES, default=(0.0, 10.0), log=True, open_low=True),
    Tunable("MAX_TREE_DEPTH", BOOSTED, 1, 20, (1, 10), whole=True),
    Tunable("MAX_TREE_DEPTH", FORESTS, 1, 20, (1, 20), whole=True),
    Tunable("SUBSAMPLE", BOOSTED, 0.0, 1.0, (0.0, 1.0), open_low=True),
    Tunable("SUBSAMPLE", FORESTS, 0.0, 1.0, (0.0, 1.0), open_low=True, open_high=True),
    Tunable("MIN_SPLIT_LOSS", TREES),
    Tunable("NUM_PARALLEL_TREE", BOOSTED, 1, 1000, whole=True),
    Tunable("NUM_PARALLEL_TREE", FORESTS, 2, 1000, (2, 200), whole=True),
    Tunable("MIN_TREE_CHILD_WEIGHT", TREES, whole=True),
    Tunable("COLSAMPLE_BYTREE", TREES, 0.0, 1.0, open_low=True),
    Tunable("COLSAMPLE_BYLEVEL", TREES, 0.0, 1.0, open_low=True),
    Tunable("COLSAMPLE_BYNODE", TREES, 0.0, 1.0, open_low=True),
    Tunable("DART_NORMALIZE_TYPE", BOOSTED, ranged=False),
    Tunable("TREE_METHOD", TREES, ranged=False),
)

_REGRESSION = (
    "R2_SCORE", "MEAN_ABSOLUTE_ERROR", "MEAN_SQUARED_ERROR", "MEAN_SQUARED_LOG_ERROR", "MEDIAN_ABSOLUTE_ERROR",
    "EXPLAINED_VARIANCE",
)  # fmt: skip
_CLASSES = ("ROC_AUC", "PRECISION", "RECALL", "ACCURACY", "F1_SCORE", "LOG_LOSS")
_RANKING = (
    "MEAN_AVERAGE_PRECISION", "MEAN_SQUARED_ERROR", "NORMALIZED_DISCOUNTED_CUMULATIVE_GAIN", "AVERAGE_RANK",
)  # fmt: skip
_LARGE = frozenset({"R2_SCORE", "EXPLAINED_VARIANCE", *_CLASSES, *_RANKING}) - {
    "LOG_LOSS",
    "MEAN_SQUARED_ERROR",
    "AVERAGE_RANK",
}
EVERY_OBJECTIVE = tuple(dict.fromkeys((*_REGRESSION, *_CLASSES, *_RANKING, "DAVIES_BOULDIN_INDEX")))


def objectives(model_type: str, feedback_type: str | None = None) -> tuple[str, ...]:
    """The objectives of a model type, the default first."""
    if model_type == KMEANS:
        return ("DAVIES_BOULDIN_INDEX",)
    if model_type == AUTOENCODER:
        return ("MEAN_SQUARED_ERROR", "MEAN_ABSOLUTE_ERROR", "MEAN_SQUARED_LOG_ERROR")
    if model_type == FACTORIZATION:
        return _RANKING if feedback_type == "IMPLICIT" else ("MEAN_SQUARED_ERROR",)
    return _CLASSES if model_type in CLASSIFIERS else _REGRESSION


def objective(options: ModelOptions) -> str:
    """What the trials of these options are measured by."""
    written = options.get("hparam_tuning_objectives")
    return str(written[0] if written else objectives(options.model_type, options.get("feedback_type"))[0])


def is_maximized(name: str) -> bool:
    return name in _LARGE


def objective_option(option: Option, value: Any) -> list[str]:
    """One objective, bare or in an array."""
    names = read.choices(option, value)
    if len(names) != 1:
        raise InvalidArgument(
            f"Option {option.name} must name one objective", given=", ".join(names), reason="invalidQuery"
        )
    return names


def tunable(name: str, model_type: str) -> Tunable | None:
    return next((each for each in TUNABLES if each.name == name and model_type in each.types), None)


# -- what is written


def read_range(option: Option, written: HparamRange | HparamCandidates, model_type: str) -> Domain:
    """The domain that an option is searched in. InvalidArgument where it cannot be."""
    found = tunable(option.name, model_type)
    if found is None:
        names = ", ".join(each.name for each in TUNABLES if model_type in each.types)
        raise InvalidArgument(
            f"Option {option.name} cannot be tuned for model type {model_type}",
            do=f"give one value; {names} can be" if names else "give one value",
            reason="invalidQuery",
        )
    if isinstance(written, HparamCandidates):
        return _candidates(option, written.values)
    if not found.ranged:
        raise InvalidArgument(
            f"Option {option.name} must be tuned by HPARAM_CANDIDATES", given="HPARAM_RANGE",
            do="list the values to try", reason="invalidQuery",
        )  # fmt: skip
    return _range(found, written.low, written.high)


def _range(found: Tunable, low: Any, high: Any) -> Domain:
    kinds: Any = int if found.whole else (int, float)
    for value in (low, high):
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise InvalidArgument(
                f"HPARAM_RANGE of {found.name} must have two {'whole ' if found.whole else ''}numbers",
                given=repr(value), reason="invalidQuery",
            )  # fmt: skip
    if not found.low <= low <= high <= found.high:
        raise InvalidArgument(
            f"HPARAM_RANGE of {found.name} must go upwards within {found.low:g} and {found.high:g}",
            given=f"{low}, {high}", reason="invalidQuery",
        )  # fmt: skip
    return _domain(found, low, high)


def _domain(found: Tunable, low: float, high: float) -> Domain:
    from tule.learn.search import Reals, Scale, Wholes

    scale = Scale.LOG if found.log else Scale.LINEAR
    if found.whole:
        return Wholes(int(low), int(high), scale if low > 0 else Scale.LINEAR)
    first, last = found.bounds(low, high)
    return Reals(float(first), float(last), scale)


def _candidates(option: Option, written: Any) -> Domain:
    from tule.learn.search import Categories, Discrete

    if not isinstance(written, list) or not written:
        raise InvalidArgument(
            f"HPARAM_CANDIDATES of {option.name} must have an array of values", given=repr(written),
            reason="invalidQuery",
        )  # fmt: skip
    values = [option.read(option, _bare(each)) for each in written]
    distinct = [value for at, value in enumerate(values) if value not in values[:at]]
    if all(isinstance(each, int | float) and not isinstance(each, bool) for each in distinct):
        return Discrete(tuple(sorted(distinct)))
    return Categories(tuple(distinct))


def _bare(value: Any) -> Any:
    """``STRUCT([8, 4])`` stands for an array in an array, which SQL does not have."""
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


# -- the space of a model


def space(options: ModelOptions) -> Space:
    """What is searched: the ranges written, or without any the default ones of the options that have no value.

    InvalidArgument where nothing is left to tune, or a hyperparameter is tuned whose condition no trial can meet.
    """
    from tule.learn.search import Categories, Condition, Parameter, Space

    domains = dict(options.ranges) or _defaults(options)
    parameters = []
    for each in (found for found in TUNABLES if options.model_type in found.types and found.key in domains):
        when: Condition | None = None
        if (rule := _condition(each, options)) is not None:
            parent, values = rule
            if parent in domains:
                chosen = domains[parent]
                assert isinstance(chosen, Categories)
                when = Condition(parent, tuple(value for value in chosen.choices if value in values))
            met = when.values if when is not None else [v for v in _fixed(options, parent) if v in values]
            if not met:
                if not options.ranges:
                    continue
                raise InvalidArgument(
                    f"{each.name} is tuned only where {parent.upper()} is {' or '.join(values)}",
                    given=", ".join(_fixed(options, parent)) if parent not in domains else "no such candidate",
                    do=f"set {parent.upper()}, or leave {each.name} out", reason="invalidQuery",
                )  # fmt: skip
        parameters.append(Parameter(each.key, domains[each.key], when))
    if not parameters:
        raise InvalidArgument(
            f"Nothing is left to tune for model type {options.model_type}",
            given=", ".join(sorted(options.given)), do="leave an option to be tuned out, or give it an HPARAM_RANGE",
            reason="invalidQuery",
        )  # fmt: skip
    return Space(parameters)


def _defaults(options: ModelOptions) -> dict[str, Domain]:
    from tule.learn.search import Categories

    found: dict[str, Domain] = {}
    for each in TUNABLES:
        if options.model_type not in each.types or each.default is None or each.name in options.given:
            continue
        if each.key == "wals_alpha" and options.get("feedback_type") != "IMPLICIT":
            continue
        if not each.ranged:
            found[each.key] = Categories(tuple(each.default))
        else:
            low, high = each.default
            found[each.key] = _domain(each, float(low), float(high))
    return found


def _condition(found: Tunable, options: ModelOptions) -> tuple[str, tuple[str, ...]] | None:
    """(option, values) that a hyperparameter needs."""
    if found.key in ("dropout", "dart_normalize_type") and options.model_type in BOOSTED:
        return "booster_type", ("DART",)
    if found.key in ("l1_reg", "l2_reg") and options.model_type in DNN:
        return "optimizer", PENALISED
    return None


def _fixed(options: ModelOptions, key: str) -> list[str]:
    """The value of an option that is not tuned; of a wide and deep network it counts if both parts have it."""
    value = options.get(key)
    if key == "optimizer" and options.model_type in WIDE:
        parts = value or {"dnn": "ADAM", "linear": "FTRL"}
        return sorted(set(parts.values())) if all(each in PENALISED for each in parts.values()) else ["ADAM"]
    return [str(value)]


def start(options: ModelOptions, searched: Space, rows: int | None) -> dict[str, Any]:
    """The values of the first trial: the defaults, or those in the ranges written that are nearest to them."""
    known = max(2, rows or 2)
    usual: Mapping[str, Any] = {
        "num_clusters": max(2, round(math.log10(known))),
        "num_factors": max(2, round(math.log2(known))),
        "batch_size": min(32, known),
    }
    values = {each.name: options.get(each.name) for each in searched.parameters}
    values = {key: usual.get(key) if value is None else value for key, value in values.items()}
    point = searched.nearest(values)
    if options.ranges:
        return point
    # A default may lie outside its own default range: L1_REG = 0, say.
    return {key: values[key] if values[key] is not None else value for key, value in point.items()}
