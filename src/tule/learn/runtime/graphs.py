"""Tree ensembles as ONNX graphs, and ONNX Runtime to run them on one thread.

The few fields of ONNX that a tree ensemble needs are written here
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html);
its own package is large and made for more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# Data types of tensors.
_TYPES = {"float32": 1, "uint8": 2, "float64": 11}
# Kinds of attributes.
_INT, _TENSOR, _INTS = 2, 4, 7
_IR, _OPSET, _TREES_OPSET = 8, 15, 5
_LESS_OR_EQUAL, _LESS = 0, 1
_SUM = 1


@dataclass(frozen=True)
class Tree:
    """The nodes of one tree, each (m,); the root is node 0, and a node whose children are itself is a leaf.

    A row whose ``feature`` is less than ``threshold`` goes left, one without a value where ``missing_left`` says.
    ``value`` counts at leaves, for one ``target`` of the ensemble.
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray
    target: int = 0

    @classmethod
    def constant(cls, value: float, target: int = 0) -> Tree:
        """A tree that answers ``value``: a graph has no root that is a leaf, so one leaf is on both sides of it."""
        one, none = np.array([1, 1]), np.zeros(2)
        return cls(one, one, np.zeros(2, int), none, np.zeros(2, bool), np.array([0.0, value]), target)


def ensemble(trees: Sequence[Tree], width: int, targets: int, *, kind: str, or_equal: bool) -> bytes:
    """An ONNX model: input ``X`` (n, width), output ``Y`` (n, targets), the sums of the leaves in the order of the trees.

    ``kind``: float32 or float64, of all numbers in it. ``or_equal``: a value that is the threshold goes left. Raises
    ValueError for what is no tree: whoever walked it would not come to an end.
    """
    trees = [tree if tree.left[0] != 0 else Tree.constant(float(tree.value[0]), tree.target) for tree in trees]
    sizes = [len(tree.left) for tree in trees]
    first = np.cumsum([0, *sizes[:-1]])
    left, right = (
        np.concatenate([getattr(tree, name) + start for tree, start in zip(trees, first, strict=True)])
        for name in ("left", "right")
    )
    feature, threshold, missing, value = (
        np.concatenate([getattr(tree, name) for tree in trees])
        for name in ("feature", "threshold", "missing_left", "value")
    )
    leaf = left == np.arange(len(left))
    inner = ~leaf
    _check(left, right, inner, np.repeat(first, sizes), np.repeat(first + sizes, sizes))
    if (feature[inner] < 0).any() or (feature[inner] >= width).any():
        raise ValueError("a split on a feature that is not there")
    # ONNX counts leaves and other nodes apart.
    place = np.where(leaf, np.cumsum(leaf), np.cumsum(inner)) - 1
    mode = _LESS_OR_EQUAL if or_equal else _LESS
    attributes = [
        _integers("tree_roots", place[first]),
        _integers("nodes_featureids", feature[inner]),
        _tensor("nodes_splits", threshold[inner].astype(kind)),
        _tensor("nodes_modes", np.full(int(inner.sum()), mode, np.uint8)),
        _integers("nodes_truenodeids", place[left[inner]]),
        _integers("nodes_trueleafs", leaf[left[inner]]),
        _integers("nodes_falsenodeids", place[right[inner]]),
        _integers("nodes_falseleafs", leaf[right[inner]]),
        _integers("nodes_missing_value_tracks_true", missing[inner]),
        _integers("leaf_targetids", np.repeat([tree.target for tree in trees], sizes)[leaf]),
        _tensor("leaf_weights", value[leaf].astype(kind)),
        _attribute("n_targets", _INT, _field(3, targets)),
        _attribute("aggregate_function", _INT, _field(3, _SUM)),
    ]
    node = _field(1, "X") + _field(2, "Y") + _field(4, "TreeEnsemble") + _field(7, "ai.onnx.ml")
    node += b"".join(_field(5, each) for each in attributes)
    graph = _field(1, node) + _field(2, "trees")
    graph += _field(11, _value("X", kind, width)) + _field(12, _value("Y", kind, targets))
    opsets = _field(8, _field(1, "") + _field(2, _OPSET)) + _field(8, _field(1, "ai.onnx.ml") + _field(2, _TREES_OPSET))
    return _field(1, _IR) + opsets + _field(7, graph)


def _check(left: np.ndarray, right: np.ndarray, inner: np.ndarray, begin: np.ndarray, end: np.ndarray) -> None:
    """Raise ValueError unless each node's children lie in its own tree and no node but a leaf is anybody's child twice."""
    children = np.concatenate([left[inner], right[inner]])
    lowest, highest = np.tile(begin[inner], 2), np.tile(end[inner], 2)
    if (children <= lowest).any() or (children >= highest).any():
        raise ValueError("a child outside its tree")
    again = children[inner[children]]
    if len(np.unique(again)) != len(again):
        raise ValueError("a node with two parents")


def runner(model: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """What computes ``Y`` of ``X`` on one thread; raises ImportError where ONNX Runtime is not installed."""
    # Its builds report their use to Microsoft unless this is set before they are loaded.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    # What the wrapper checks around each call cannot be otherwise here, and takes as long as a hundred trees.
    run, output = getattr(session, "_sess", session).run, ["Y"]

    def compute(rows: np.ndarray) -> np.ndarray:
        found: np.ndarray = run(output, {"X": rows}, None)[0]
        return found

    return compute


# -- protobuf


def _varint(value: int) -> bytes:
    return _varints(np.array([value]))


def _varints(values: np.ndarray) -> bytes:
    """Integers from 0 up, each in base 128 with the lowest digits first."""
    shifts = range(0, 63, 7)
    digits = np.stack([(values >> shift) & 0x7F for shift in shifts], axis=1).astype(np.uint8)
    more = np.stack([values >> shift > 0 for shift in (*shifts[1:], 63)], axis=1)
    digits[more] |= 0x80
    used = np.column_stack([np.ones(len(values), bool), more[:, :-1]])
    return digits[used].tobytes()


def _field(number: int, value: int | bytes | str) -> bytes:
    """One field: a number, or something with a length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _attribute(name: str, kind: int, value: bytes) -> bytes:
    return _field(1, name) + value + _field(20, kind)


def _integers(name: str, values: np.ndarray) -> bytes:
    return _attribute(name, _INTS, _field(8, _varints(values.astype(np.int64))))


def _tensor(name: str, values: np.ndarray) -> bytes:
    tensor = _field(1, len(values)) + _field(2, _TYPES[values.dtype.name]) + _field(8, name)
    return _attribute(name, _TENSOR, _field(5, tensor + _field(9, values.tobytes())))


def _value(name: str, kind: str, width: int) -> bytes:
    shape = _field(1, _field(2, "n")) + _field(1, _field(1, width))
    return _field(1, name) + _field(2, _field(1, _field(1, _TYPES[kind]) + _field(2, shape)))
