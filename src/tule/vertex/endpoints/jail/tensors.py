"""Columns of a table as the tensors of a model and back: what a jailed process does for batch prediction.

A tensor's first dimension counts rows. A column holds one value a row where the tensor has no other dimension, or one of
size 1; else an array, row by row in the order of memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

_LARGEST = 2**63 - 1
# What a column of each kind is in Arrow.
_ARROW = {"INT64": pa.int64(), "FLOAT64": pa.float64(), "BOOL": pa.bool_(), "STRING": pa.string()}


class Unfit(Exception):
    """A tensor or a column that cannot be the other; the text says why."""


@dataclass(frozen=True)
class Tensor:
    """An input or output: ``dtype`` is NumPy's name (``str`` for texts), ``shape`` without rows; None for any size.

    ``rows``: how many rows it takes at once, None for any number.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    rows: int | None = None

    @property
    def kind(self) -> str:
        """The GoogleSQL type of one number: INT64, FLOAT64, BOOL or STRING."""
        if self.dtype == "str":
            return "STRING"
        kind = np.dtype(self.dtype).kind
        if kind not in "iufb":
            raise Unfit(f"{self.name} is of type {self.dtype}, which has no type in SQL")
        return {"f": "FLOAT64", "b": "BOOL"}.get(kind, "INT64")

    def to_json(self) -> list[Any]:
        return [self.name, self.kind, list(self.shape)]


def tensor_of(column: pa.Array, about: Tensor) -> np.ndarray:
    """A column as a tensor (rows, *shape); Unfit names what does not fit."""
    rows, values, inner = len(column), column, list(about.shape)
    if pa.types.is_list(column.type):
        if column.null_count:
            raise Unfit(f"the column {about.name} has a NULL array")
        lengths = np.diff(column.offsets.to_numpy())
        wanted = math.prod(each for each in inner if each is not None) if None not in inner else None
        size = int(lengths[0]) if rows else (wanted or 0)
        if (lengths != size).any() or (wanted is not None and size != wanted):
            raise Unfit(
                f"the arrays of {about.name} must have {wanted or 'one'} size; one has {_other(lengths, wanted)}"
            )
        values = column.flatten()
        inner = (
            [size if each is None else each for each in inner] if inner.count(None) <= 1 and len(inner) == 1 else inner
        )
        if None in inner:
            raise Unfit(f"the sizes of {about.name} must be known, as they are {list(about.shape)}")
    elif inner not in ([], [1], [None]):
        raise Unfit(f"the column {about.name} must be an array of {math.prod(each or 1 for each in inner)} values")
    else:
        inner = [1] * len(inner)
    return _numbers(values, about).reshape(rows, *inner)


def _other(lengths: np.ndarray, wanted: int | None) -> int:
    first = int(lengths[0]) if wanted is None else wanted
    return int(next((each for each in lengths if each != first), first))


def _numbers(values: pa.Array, about: Tensor) -> np.ndarray:
    kind = about.kind
    if values.null_count and kind != "FLOAT64":
        raise Unfit(f"the column {about.name} has NULL, which a tensor of {about.dtype} cannot hold")
    if kind == "STRING":
        return np.array(values.to_pylist(), dtype=object)
    if kind == "FLOAT64":
        return (
            values.cast(pa.float64(), safe=False).fill_null(math.nan).to_numpy(zero_copy_only=False).astype(about.dtype)
        )
    found = values.to_numpy(zero_copy_only=False)
    if kind == "INT64" and len(found):
        limits = np.iinfo(about.dtype)
        if found.min() < limits.min or found.max() > limits.max:
            raise Unfit(f"the column {about.name} has a number beyond {about.dtype}")
    return found.astype(about.dtype)


def column_of(values: Any, about: Tensor, rows: int) -> pa.Array:
    """A tensor as a column; Unfit where it has not one entry a row."""
    array = np.asarray(values)
    if array.ndim == 0 or array.shape[0] != rows:
        raise Unfit(f"the output {about.name} must have one entry a row: {rows}; it has the shape {list(array.shape)}")
    flat = _plain(array.reshape(-1), about)
    if array.ndim == 1:
        return flat
    size = math.prod(array.shape[1:])
    return pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32) * size), flat)


def _plain(flat: np.ndarray, about: Tensor) -> pa.Array:
    kind = about.kind
    if kind == "STRING":
        texts = [each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in flat.tolist()]
        return pa.array(texts, pa.string())
    if flat.dtype == np.uint64 and flat.size and flat.max() > _LARGEST:
        raise Unfit(f"the output {about.name} has a number beyond INT64")
    return pa.array(flat.astype({"FLOAT64": np.float64, "INT64": np.int64, "BOOL": np.bool_}[kind]), _ARROW[kind])


class Tensors:
    """A model as tensors in and out. ``run`` answers the outputs, in their order, for inputs by name."""

    def __init__(
        self,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        run: Callable[[Mapping[str, np.ndarray]], Sequence[Any]],
    ) -> None:
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self._run = run

    def predict(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The outputs' columns for the inputs' columns."""
        feeds = {each.name: tensor_of(batch.column(each.name), each) for each in self.inputs}
        rows = batch.num_rows
        step = min((each.rows for each in self.inputs if each.rows is not None), default=rows) or 1
        parts = []
        for start in range(0, rows, step):
            part = {name: values[start : start + step] for name, values in feeds.items()}
            count = min(step, rows - start)
            if count < step:
                # The last rows of a fixed number: the first of them stands for those that are missing.
                part = {name: np.concatenate([v, np.repeat(v[:1], step - count, axis=0)]) for name, v in part.items()}
            found = self._run(part)
            parts.append([np.asarray(each)[:count] if count < step else each for each in found])
        if not rows:
            raise Unfit("there are no rows")
        joined = [values[0] if len(values) == 1 else np.concatenate(values) for values in zip(*parts, strict=True)]
        columns = [column_of(values, about, rows) for values, about in zip(joined, self.outputs, strict=True)]
        return pa.RecordBatch.from_arrays(columns, names=[each.name for each in self.outputs])
