"""The shape of an ML.* table function: what it may be asked, of which models, and how it answers."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from tule.bigquery.ml.options import ModelOptions
from tule.bigquery.ml.options.model_types import TYPES
from tule.bigquery.ml.options.tuning import TUNED
from tule.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from tule.bigquery.ml.batches import Relation
    from tule.bigquery.ml.transform import Transform
    from tule.bigquery.ml.trials import Tuning
    from tule.learn.data import Batches
    from tule.learn.drift import Distribution
    from tule.learn.models import FeatureStatistics, Iteration, Model


@dataclass(frozen=True)
class Trained:
    """A trained model as functions see it."""

    name: str
    """``project.dataset.model``."""
    options: ModelOptions
    model: Model
    kept: Callable[[], Batches]
    """The evaluation rows kept at training: the held-out ones, or all of them when nothing was held out."""
    statistics: Sequence[FeatureStatistics]
    """Of the training columns before any TRANSFORM."""
    earlier_runs: Sequence[Sequence[Iteration]] = ()
    """The histories of the runs that a warm start went on from."""
    transform: Transform | None = None
    tuning: Tuning | None = None
    """Of a model that several trials were trained for; this is one of them, the optimal one unless asked otherwise."""
    of_trial: Callable[[int], Trained] | None = None
    """The model of a trial that succeeded."""
    distributions: Callable[[], Mapping[str, Distribution] | None] = lambda: None
    """Of the feature columns of the training rows, before any TRANSFORM; None of a model that has none kept."""

    @property
    def label(self) -> str:
        assert self.model.signature.label is not None
        return self.model.signature.label.name


@dataclass(frozen=True)
class Answer:
    """Rows of a table function: their columns, and what computes them once they are wanted."""

    schema: pa.Schema
    batches: Callable[[], Iterable[pa.RecordBatch]]

    @classmethod
    def of(cls, table: pa.Table) -> Answer:
        return cls(table.schema, table.to_batches)

    @classmethod
    def computed(cls, schema: pa.Schema, table: Callable[[], pa.Table]) -> Answer:
        return cls(schema, lambda: table().to_batches())


@dataclass(frozen=True)
class Call:
    """One use of a function in a query. ``arguments`` has every key of the function, defaults filled."""

    trained: Trained
    arguments: Mapping[str, Any]
    rows: Batches | None = None
    """The rows that the query gives to an evaluation function: the model's inputs and label."""
    array: Sequence[float] | None = None

    def evaluation(self) -> Batches:
        """The rows to evaluate on: those given, else those kept at training."""
        return self.rows if self.rows is not None else self.trained.kept()


@dataclass(frozen=True)
class Argument:
    """One key of the STRUCT argument: its default and what a value must be."""

    default: Any
    kind: type
    low: float | None = None
    high: float | None = None
    required: bool = False
    types: frozenset[str] | None = None
    """The model types that take it; None: all of the function's."""
    choices: tuple[str, ...] = ()
    """Of text: what it may be, in capitals."""

    def read(self, function: str, key: str, value: Any) -> Any:
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, self.kind) or (isinstance(value, bool) and self.kind is not bool):
            words = {float: "a number", int: "a whole number", bool: "TRUE or FALSE", str: "a string"}
            raise InvalidArgument(
                f"Argument {key} of ML.{function} must be {words[self.kind]}", given=repr(value), reason="invalidQuery"
            )
        if self.choices:
            text = str(value).upper()
            if text not in self.choices:
                raise InvalidArgument(
                    f"Argument {key} of ML.{function} must be {' or '.join(self.choices)}",
                    given=repr(value), reason="invalidQuery",
                )  # fmt: skip
            return text
        size: Any = value
        if (self.low is not None and size < self.low) or (self.high is not None and size > self.high):
            span = f"at least {self.low:g}" if self.high is None else f"between {self.low:g} and {self.high:g}"
            raise InvalidArgument(f"Argument {key} of ML.{function} must be {span}", given=value, reason="invalidQuery")
        return value


def read_values(function: str, arguments: Mapping[str, Argument], written: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a function by lower-case key, with defaults; an unknown key is an error that names the near ones."""
    values = {key: argument.default for key, argument in arguments.items()}
    for name, value in written.items():
        key = name.lower()
        if key not in arguments:
            near = difflib.get_close_matches(key, arguments, n=2) or sorted(arguments)
            raise InvalidArgument(
                f"ML.{function} has no argument {name}",
                do=f"use {' or '.join(near)}" if near else "leave the STRUCT out",
                reason="invalidQuery",
            )
        values[key] = arguments[key].read(function, key, value)
    for key, argument in arguments.items():
        if argument.required and values[key] is None:
            raise InvalidArgument(
                f"ML.{function} needs the argument {key}", do=f"add STRUCT(... AS {key})", reason="invalidQuery"
            )
    return values


MODEL, DATA, STRUCT, ARRAY = "MODEL", "DATA", "STRUCT", "ARRAY"


@dataclass(frozen=True, kw_only=True)
class Function:
    """One ML.* table function, or one of its forms: they differ by the types of models or the columns of the rows given.

    ``order``: the arguments as they must be written; MODEL is always first.
    """

    name: str
    model_types: frozenset[str]
    data: Literal["required", "optional", "none"] = "none"
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    order: tuple[str, ...] = (MODEL, DATA, STRUCT)
    by_trial: bool = True
    """Whether its answer differs between the trials of a tuned model."""
    fits: Callable[[Trained, Sequence[str] | None], bool] = lambda trained, columns: True
    """Whether this form is for the columns of the rows given (None: no rows)."""

    def read_arguments(self, written: Mapping[str, Any], trained: Trained) -> dict[str, Any]:
        """Arguments with defaults, as far as the model's type takes them."""
        model_type = trained.options.model_type
        if trained.tuning is None and model_type in TUNED and any(name.lower() == "trial_id" for name in written):
            raise InvalidArgument(
                f"Argument trial_id of ML.{self.name} needs a model trained with NUM_TRIALS",
                given=trained.name, do="leave it out", reason="invalidQuery",
            )  # fmt: skip
        values = read_values(self.name, self.arguments, written)
        for key, argument in self.arguments.items():
            if argument.types is not None and model_type not in argument.types and values[key] != argument.default:
                raise InvalidArgument(
                    f"Argument {key} of ML.{self.name} is not supported for model type {model_type}",
                    do="leave it out",
                    reason="invalidQuery",
                )
        return values


THRESHOLD = Argument(0.5, float, 0.0, 1.0)


def _inputs_and_label(trained: Trained, given: Sequence[str]) -> list[str]:
    label = trained.model.signature.label
    return [*trained.model.signature.input_names, *([label.name] if label is not None else [])]


@dataclass(frozen=True, kw_only=True)
class TableFunction(Function):
    """A function that answers a table of its own."""

    answer: Callable[[Call], Answer]
    reads: Callable[[Trained, Sequence[str]], list[str]] = _inputs_and_label
    """The columns that it reads of the rows given, whose names are the second argument."""
    for_each_trial: bool = False
    """Whether it tells of every trial of a tuned model where it is given no rows and no trial."""


@dataclass(frozen=True, kw_only=True)
class QueryFunction(Function):
    """A function that answers a table of its own by queries over the rows as they are given, of any columns."""

    schema: pa.Schema
    answer: Callable[[Call, Relation, Callable[[Any], Any]], pa.Table]
    """From the call, the rows and what answers a query over them."""
    check: Callable[[Call], None] = lambda call: None
    """Refuses a model before any row is read."""


@dataclass(frozen=True, kw_only=True)
class RowFunction(Function):
    """A function that puts columns before those of each row. It works on any part of the rows, on several threads."""

    fields: Callable[[Call], list[pa.Field]]
    """The columns that it adds."""
    columns: Callable[[Call, pa.RecordBatch], list[Any]]
    """Their values, from the model's inputs."""
    drops: Callable[[Call], Sequence[str]] = lambda call: ()
    """The columns of the rows that the answer leaves out."""


@dataclass(frozen=True, kw_only=True)
class ExpressionFunction(Function):
    """A function that is expressions over the columns of each row."""

    items: Callable[[Trained, pa.Schema], tuple[list[tuple[str, Any]], Sequence[str]]]
    """From the rows' columns to (name, expression) of each column of the answer, and the columns that it leaves out."""


def by_feature(rows: Sequence[Any], id_name: str) -> pa.Table:
    """Centroids or components, feature by feature: a number, or one for each category."""
    categories = pa.list_(pa.struct([("category", pa.string()), ("value", pa.float64())]))
    return pa.table(
        {
            id_name: pa.array([getattr(row, id_name.removeprefix("principal_")) for row in rows], pa.int64()),
            "feature": pa.array([row.name for row in rows], pa.string()),
            "numerical_value": pa.array([row.value for row in rows], pa.float64()),
            "categorical_value": pa.array(
                [[{"category": name, "value": value} for name, value in row.categories] for row in rows], categories
            ),
        }
    )


def flat(values: Any) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def form(name: str, forms: Sequence[Function], trained: Trained, columns: Sequence[str] | None) -> Function:
    """The form of a function for a model and the columns of the rows given; refuses a type that none knows."""
    known = [each for each in forms if trained.options.model_type in each.model_types]
    if not known:
        types = {model_type for each in forms for model_type in each.model_types}
        raise InvalidArgument(
            f"ML.{name} is not supported for model type {trained.options.model_type}",
            given=f"model {trained.name}",
            do=f"use a model of type {', '.join(sorted(types, key=list(TYPES).index))}",
            reason="invalidQuery",
        )
    return next((each for each in known if each.fits(trained, columns)), known[0])
