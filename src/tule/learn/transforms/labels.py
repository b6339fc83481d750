"""The label column: numbers of a regression, classes of a classification, and the rows that have one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tule.kernel.errors import InvalidArgument, ResourceExhausted
from tule.learn.schema import Field, plain_type
from tule.learn.transforms.features import is_number

MAX_CLASSES = 1000
_NEAR = 10_000


def check_label(field: Field, task: str) -> None:
    """InvalidArgument unless a label of this type fits the task."""
    kind = plain_type(field.type)
    if task == "regression" and not is_number(kind):
        raise InvalidArgument(
            "The label of a regression must be numeric",
            given=f"{field.name} is {kind}",
            do="cast it, or use a classifier",
            location=field.name,
        )
    plain = (
        is_number(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_date(kind)
        or pa.types.is_time(kind)
        or pa.types.is_timestamp(kind)
    )
    if not plain:
        raise InvalidArgument(
            "A label must be a single value that can be grouped",
            given=f"{field.name} is {kind}",
            do="choose another label column",
            location=field.name,
        )


def labelled(batch: pa.RecordBatch, label: str) -> pa.RecordBatch:
    """The rows whose label is not NULL."""
    column = batch.column(label)
    return batch.filter(column.is_valid()) if column.null_count else batch


def label_numbers(column: pa.Array, name: str) -> np.ndarray:
    """Regression labels as float64; NaN or infinity is an InvalidArgument."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not pa.types.is_float64(column.type):
        column = column.cast(pa.float64(), safe=False)
    values = np.asarray(column.to_numpy(zero_copy_only=False))
    if not np.isfinite(values).all():
        wrong = values[~np.isfinite(values)][0]
        raise InvalidArgument(
            "Labels of a regression must be finite",
            given=f"{name} holds {wrong}",
            do="filter those rows out, or make them NULL",
            location=name,
        )
    return values


class Classes:
    """The classes met so far and their row counts."""

    def __init__(self, name: str, limit: int = MAX_CLASSES) -> None:
        self._name = name
        self._limit = limit
        self.counts: dict[Any, int] = {}

    def add(self, column: pa.Array) -> None:
        """Count the labels of a batch without NULLs."""
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_integer(column.type):
            # Few distinct integers are counted faster by subtracting and binning than by hashing.
            numbers = column.to_numpy(zero_copy_only=False)
            low, high = int(numbers.min()), int(numbers.max())
            if high - low < _NEAR:
                for at, count in enumerate(np.bincount(numbers - numbers.dtype.type(low)).tolist()):
                    if count:
                        self.counts[low + at] = self.counts.get(low + at, 0) + count
                self._check()
                return
        for item in pc.value_counts(column).to_pylist():
            self.counts[item["values"]] = self.counts.get(item["values"], 0) + item["counts"]
        self._check()

    def _check(self) -> None:
        if len(self.counts) > self._limit:
            raise ResourceExhausted(
                f"A classifier's label must have at most {self._limit} distinct values",
                given=f"{self._name} has more than {self._limit}",
                do="use a regression, or group the values",
                location=self._name,
            )

    def ordered(self) -> list[Any]:
        """The classes ascending; one class alone, or NaN among them, is an InvalidArgument."""
        if any(isinstance(value, float) and value != value for value in self.counts):
            raise InvalidArgument("Labels must not be NaN", given=self._name, do="filter those rows out")
        if len(self.counts) < 2:
            raise InvalidArgument(
                "A classifier needs at least two distinct labels",
                given=f"{self._name} is always {next(iter(self.counts))!r}",
                do="check the query that selects the rows",
                location=self._name,
            )
        return sorted(self.counts)


def class_codes(column: pa.Array, classes: list[Any]) -> np.ndarray:
    """The place of each label in ``classes`` as int64; -1 for one that is not there."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        known = np.asarray(classes)
        values = column.to_numpy(zero_copy_only=False)
        if len(known) == 2:
            places = (values == known[1]).astype(np.int64)
        else:
            places = np.minimum(np.searchsorted(known, values), len(known) - 1)
        wrong = known[places] != values
        if wrong.any():
            places[wrong] = -1
        return places
    encoded = column.dictionary_encode()
    where = {value: at for at, value in enumerate(classes)}
    found = np.asarray([where.get(value, -1) for value in encoded.dictionary.to_pylist()], np.int64)
    return found[encoded.indices.to_numpy(zero_copy_only=False)] if len(found) else np.empty(0, np.int64)
