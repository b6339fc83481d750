"""The fields of ONNX that graphs are made of (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).

Its own package is large and made for more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TYPES = {"float32": 1, "uint8": 2, "int64": 7, "str": 8, "bool": 9, "float64": 11}
"""Data types of tensors."""
# Kinds of attributes.
_INT, _STRING, _TENSOR, _INTS, _STRINGS = 2, 3, 4, 7, 8


def varints(values: np.ndarray) -> bytes:
    """Integers, each in base 128 with the lowest digits first; negative ones in ten bytes."""
    plain = values.astype(np.int64).view(np.uint64)
    shifts = np.arange(0, 70, 7, dtype=np.uint64)
    digits = np.stack([(plain >> shift) & np.uint64(0x7F) if shift < 64 else plain * 0 for shift in shifts], axis=1)
    bytes_ = digits.astype(np.uint8)
    more = np.stack([plain >> shift > 0 if shift < 64 else plain < 0 for shift in [*shifts[1:], np.uint64(70)]], axis=1)
    bytes_[more] |= 0x80
    used = np.column_stack([np.ones(len(plain), bool), more[:, :-1]])
    return bytes_[used].tobytes()


def varint(value: int) -> bytes:
    return varints(np.array([value]))


def field(number: int, value: int | bytes | str) -> bytes:
    """One field: a number, or something with a length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def _attribute(name: str, kind: int, value: bytes) -> bytes:
    return field(1, name) + value + field(20, kind)


def integer(name: str, value: int) -> bytes:
    return _attribute(name, _INT, field(3, value))


def integers(name: str, values: np.ndarray) -> bytes:
    return _attribute(name, _INTS, field(8, varints(values)))


def texts(name: str, values: Sequence[str]) -> bytes:
    return _attribute(name, _STRINGS, b"".join(field(9, each) for each in values))


def tensor(name: str, values: np.ndarray) -> bytes:
    """An attribute that is a tensor of one dimension."""
    return _attribute(name, _TENSOR, field(5, tensor_of(name, values)))


def tensor_of(name: str, values: np.ndarray) -> bytes:
    """A tensor with its shape; texts where the values are objects."""
    shape = b"".join(field(1, size) for size in values.shape)
    if values.dtype == object:
        items = b"".join(field(6, str(each)) for each in values.ravel())
        return shape + field(2, TYPES["str"]) + items + field(8, name)
    return (
        shape + field(2, TYPES[values.dtype.name]) + field(8, name) + field(9, np.ascontiguousarray(values).tobytes())
    )


def value_info(name: str, kind: str, sizes: Sequence[int]) -> bytes:
    """An input or output: rows, then ``sizes``."""
    shape = field(1, field(2, "n")) + b"".join(field(1, field(1, size)) for size in sizes)
    return field(1, name) + field(2, field(1, field(1, TYPES[kind]) + field(2, shape)))
