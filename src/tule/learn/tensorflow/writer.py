"""The process that writes a SavedModel: ``python -m tule.learn.tensorflow.writer FOLDER``.

Reads the graph that ``saving`` left in the folder, builds it of TensorFlow's operators, and saves it below ``saved``. Its
one signature, ``serving_default``, takes a tensor a feature and answers a tensor a column.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped, import-not-found, unused-ignore]

from tule.learn.tensorflow.saving import ARRAYS, GRAPH

_TYPES = {"float32": tf.float32, "float64": tf.float64, "int64": tf.int64, "bool": tf.bool, "str": tf.string}
_NUMBERS = {1: tf.float32, 6: tf.int32, 7: tf.int64, 9: tf.bool, 11: tf.float64}
"""Data types of ONNX by number."""


def _all(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda *values: functools.reduce(function, values)


def _top(values: Any, count: Any, *, axis: int, largest: int, sorted: int) -> Any:
    found, places = tf.math.top_k(values if largest else -values, int(np.asarray(count).item()), sorted=bool(sorted))
    return found if largest else -found, tf.cast(places, tf.int64)


def _axes(axes: Any) -> list[int]:
    return [int(each) for each in np.asarray(axes).ravel()]


_OPERATORS: dict[str, Callable[..., Any]] = {
    "Identity": tf.identity,
    "Add": tf.add,
    "Sub": tf.subtract,
    "Mul": tf.multiply,
    "Div": tf.divide,
    "MatMul": tf.linalg.matmul,
    "Exp": tf.exp,
    "Neg": tf.negative,
    "Sqrt": tf.sqrt,
    "Tanh": tf.tanh,
    "Abs": tf.abs,
    "Log": tf.math.log,
    "Ceil": tf.math.ceil,
    "Pow": tf.pow,
    "StringConcat": lambda a, b: tf.strings.join([a, b]),
    "Floor": tf.floor,
    "IsNaN": tf.math.is_nan,
    "Not": tf.logical_not,
    "And": tf.logical_and,
    "Or": tf.logical_or,
    "Min": _all(tf.minimum),
    "Max": _all(tf.maximum),
    "Sum": _all(tf.add),
    "Where": tf.where,
    "Greater": tf.greater,
    "GreaterOrEqual": tf.greater_equal,
    "Less": tf.less,
    "LessOrEqual": tf.less_equal,
    "Equal": tf.equal,
    "Cast": lambda value, *, to: tf.cast(value, _NUMBERS[to]),
    "Unsqueeze": lambda value, axes: functools.reduce(tf.expand_dims, _axes(axes), value),
    "Squeeze": lambda value, axes: tf.squeeze(value, _axes(axes)),
    "Concat": lambda *values, axis: tf.concat(values, axis),
    "Gather": lambda value, places, *, axis=0: tf.gather(value, places, axis=axis),
    "ReduceSum": lambda value, axes, *, keepdims=1: tf.reduce_sum(value, _axes(axes), bool(keepdims)),
    "ReduceMax": lambda value, axes, *, keepdims=1: tf.reduce_max(value, _axes(axes), bool(keepdims)),
    "ArgMax": lambda value, *, axis, keepdims: tf.argmax(value, axis, tf.int64),
    "TopK": _top,
}


class Served(tf.Module):  # type: ignore[misc, unused-ignore]
    """A graph as one function of tensors."""

    def __init__(self, told: Mapping[str, Any], constants: Mapping[str, Any]) -> None:
        super().__init__()
        self._nodes = [*told["nodes"]]
        self._constants = constants
        self._names = [name for name, _, _ in told["inputs"]]
        self._outputs = [name for name, _, _ in told["outputs"]]
        self.tables = {
            str(at): _table(node["attributes"])
            for at, node in enumerate(self._nodes)
            if "values_int64s" in node["attributes"]
        }
        specs = [tf.TensorSpec((None, *sizes), _TYPES[kind], name) for name, kind, sizes in told["inputs"]]
        self.serve = tf.function(self._serve, input_signature=specs)

    def _serve(self, *given: Any) -> dict[str, Any]:
        values = {**self._constants, **dict(zip(self._names, given, strict=True))}
        for at, node in enumerate(self._nodes):
            inputs = [values[name] for name in node["inputs"]]
            if str(at) in self.tables:
                found = self.tables[str(at)].lookup(inputs[0])
            else:
                found = _OPERATORS[node["operator"]](*inputs, **node["attributes"])
            values |= zip(node["outputs"], found if isinstance(found, tuple) else (found,), strict=True)
        return {name: values[name] for name in self._outputs}


def _table(attributes: Mapping[str, Any]) -> Any:
    """A LabelEncoder: places of known values."""
    texts = "keys_strings" in attributes
    keys = tf.constant(attributes["keys_strings" if texts else "keys_int64s"], tf.string if texts else tf.int64)
    values = tf.constant(attributes["values_int64s"], tf.int64)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), attributes["default_int64"])


def main(folder: Path) -> None:
    told = json.loads((folder / GRAPH).read_bytes())
    with np.load(folder / ARRAYS, allow_pickle=False) as packed:
        constants: dict[str, Any] = {name: packed[name] for name in packed.files}
    for name, (shape, texts) in told["texts"].items():
        constants[name] = np.array(texts, dtype=object).reshape(shape)
    served = Served(told, constants)
    tf.saved_model.save(served, str(folder / "saved"), signatures={"serving_default": served.serve})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
