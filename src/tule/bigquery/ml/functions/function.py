"""The shape of an ML.* table function: what it may be asked, of which models, and how it answers."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pyarrow as pa

from tule.bigquery.ml.options import MODEL_TYPES, ModelOptions
from tule.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from tule.learn.data import Batches
    from tule.learn.models import FeatureStatistics, Iteration, Model


class Rows(Protocol):
    """The data argument of a call: the rows as written, and what the model makes of them."""

    @property
    def schema(self) -> pa.Schema:
        """The columns of the argument, in order."""

    def features(self) -> Batches:
        """The rows after the model's TRANSFORM (as they are without one), label included where it is there."""

    def pairs(self) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
        """(rows as written, the same rows as ``features``), batch by batch."""


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

    @property
    def label(self) -> str:
        assert self.model.signature.label is not None
        return self.model.signature.label.name


@dataclass(frozen=True)
class Answer:
    """Rows of a table function: a schema and batches that are made while they are read."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]

    @classmethod
    def of(cls, table: pa.Table) -> Answer:
        return cls(table.schema, iter(table.to_batches()))


@dataclass(frozen=True)
class Call:
    """One use of a function in a query. ``arguments`` has every key of the function, defaults filled."""

    trained: Trained
    rows: Rows | None
    arguments: Mapping[str, Any]
    array: list[float] | None = None

    def evaluation(self) -> Batches:
        """The rows to evaluate on: those given, else those kept at training."""
        return self.rows.features() if self.rows is not None else self.trained.kept()


@dataclass(frozen=True)
class Argument:
    """One key of the STRUCT argument: its default and what a value must be."""

    default: Any
    kind: type
    low: float | None = None
    high: float | None = None
    required: bool = False

    def read(self, function: str, key: str, value: Any) -> Any:
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, self.kind) or (isinstance(value, bool) and self.kind is not bool):
            words = {float: "a number", int: "a whole number", bool: "TRUE or FALSE"}
            raise InvalidArgument(
                f"Argument {key} of ML.{function} must be {words[self.kind]}", given=repr(value), reason="invalidQuery"
            )
        size: Any = value
        if (self.low is not None and size < self.low) or (self.high is not None and size > self.high):
            span = f"at least {self.low:g}" if self.high is None else f"between {self.low:g} and {self.high:g}"
            raise InvalidArgument(f"Argument {key} of ML.{function} must be {span}", given=value, reason="invalidQuery")
        return value


@dataclass(frozen=True)
class Function:
    """One ML.* table function."""

    name: str
    answer: Callable[[Call], Answer]
    model_types: frozenset[str]
    data: Literal["required", "optional", "none"] = "none"
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    takes_array: bool = False

    def check(self, trained: Trained) -> None:
        """Refuse a model of a type that this function does not know."""
        if trained.options.model_type not in self.model_types:
            known = ", ".join(sorted(self.model_types, key=list(MODEL_TYPES).index))
            raise InvalidArgument(
                f"ML.{self.name} is not supported for model type {trained.options.model_type}",
                given=f"model {trained.name}",
                do=f"use a model of type {known}",
                reason="invalidQuery",
            )

    def read_arguments(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments with defaults; an unknown key is an error that names the near ones."""
        values = {key: argument.default for key, argument in self.arguments.items()}
        for name, value in written.items():
            key = name.lower()
            if key not in self.arguments:
                near = difflib.get_close_matches(key, self.arguments, n=2) or sorted(self.arguments)
                raise InvalidArgument(
                    f"ML.{self.name} has no argument {name}",
                    do=f"use {' or '.join(near)}" if near else "leave the STRUCT out",
                    reason="invalidQuery",
                )
            values[key] = self.arguments[key].read(self.name, key, value)
        for key, argument in self.arguments.items():
            if argument.required and values[key] is None:
                raise InvalidArgument(
                    f"ML.{self.name} needs the argument {key}", do=f"add STRUCT(... AS {key})", reason="invalidQuery"
                )
        return values


THRESHOLD = Argument(0.5, float, 0.0, 1.0)


def beside(own: list[tuple[pa.Field, Any]], original: pa.RecordBatch) -> pa.RecordBatch:
    """The function's own columns first, then all columns of the input."""
    fields = [each for each, _ in own] + list(original.schema)
    arrays = [flat(values) for _, values in own] + list(original.columns)
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def beside_schema(own: list[pa.Field], original: pa.Schema) -> pa.Schema:
    """The schema of ``beside``; a name that the input already has is refused, as BigQuery does."""
    taken = {name.lower(): name for name in original.names}
    for each in own:
        if each.name.lower() in taken:
            raise InvalidArgument(
                f"Duplicate column name {taken[each.name.lower()]} in the result",
                given="a column of that name in the input",
                do="rename it in the query, or leave it out with SELECT * EXCEPT",
                reason="invalidQuery",
            )
    return pa.schema([*own, *original])


def flat(values: Any) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
