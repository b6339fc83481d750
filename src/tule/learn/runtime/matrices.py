"""Instances of foreign models as a matrix. Imports little: the jailed worker loads it too."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tule.kernel.errors import InvalidArgument


def matrix_of(instances: Sequence[Any], width: int, names: Sequence[str] | None) -> np.ndarray:
    """Instances as float64 (n, width); null becomes NaN. Objects need the model's feature names."""
    rows = instances if type(instances[0]) is list else _in_order(instances, width, names)
    found = _numbers(rows, width)
    if found is None:
        # Lists and objects may be mixed; what is wrong with a row is worded for the row as it came.
        rows = _in_order(instances, width, names)
        found = _numbers(rows, width)
    if found is None:
        raise _shape_error(rows, width)
    return found


def _numbers(rows: Sequence[Any], width: int) -> np.ndarray | None:
    pack = _packer(width)
    try:
        # The same numbers as np.array makes of plain rows, in less than half the time.
        return np.frombuffer(bytearray().join([pack(*row) for row in rows])).reshape(-1, width)
    except (struct.error, TypeError, ValueError, OverflowError):
        pass  # nulls, text, or rows of another shape
    try:
        found = np.array(rows, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found.ndim == 2 and found.shape[1] == width else None


@functools.lru_cache(maxsize=256)
def _packer(width: int) -> Callable[..., bytes]:
    return struct.Struct(f"{width}d").pack


def _in_order(instances: Sequence[Any], width: int, names: Sequence[str] | None) -> list[Any]:
    """Instances with every object as the list of its values in the order of the features."""
    rows: list[Any] = []
    for at, instance in enumerate(instances):
        if not isinstance(instance, Mapping):
            rows.append(instance)
            continue
        if names is None:
            raise InvalidArgument(
                f"Instance {at} must be a list: the model has no feature names",
                given="an object",
                do=f"send {width} numbers in training order",
            )
        try:
            rows.append([instance[name] for name in names])
        except KeyError as error:
            from tule.learn.data import missing_column

            text = missing_column(str(error.args[0]), [str(key) for key in instance]).message
            raise InvalidArgument(f"Instance {at}: {text}") from None
    return rows


def _shape_error(rows: Sequence[Any], width: int) -> InvalidArgument:
    for at, row in enumerate(rows):
        if not isinstance(row, (list, tuple)):
            return InvalidArgument(
                f"Instance {at} must be a list of {width} numbers", given=type(row).__name__, do="send [[...], ...]"
            )
        if len(row) != width:
            return InvalidArgument(
                f"Instance {at} must have {width} numbers, one a feature", given=len(row), do="check the columns"
            )
        for place, value in enumerate(row):
            try:
                if value is not None and np.ndim(float(value)) == 0:
                    continue
            except (TypeError, ValueError, OverflowError):
                return InvalidArgument(
                    f"Instance {at}: value {place} must be a number", given=repr(value)[:100], do="encode it first"
                )
    return InvalidArgument(f"Instances must be lists of {width} numbers", given="another shape")
