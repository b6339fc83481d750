"""Tree ensembles as ONNX graphs, and ONNX Runtime to run them on one thread.

https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tule.learn.onnx.builder import ML, Graph
from tule.learn.onnx.protobuf import integer, integers, tensor

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

    Raises ValueError as ``tree_attributes`` does.
    """
    graph = Graph("trees")
    rows = graph.input("X", kind, (width,))
    attributes = tree_attributes(trees, width, targets, kind=kind, or_equal=or_equal)
    graph.output("Y", graph.node("TreeEnsemble", rows, raw=attributes, domain=ML), kind, (targets,))
    return graph.to_bytes()


def tree_attributes(trees: Sequence[Tree], width: int, targets: int, *, kind: str, or_equal: bool) -> list[bytes]:
    """The attributes of the operator TreeEnsemble, which adds leaves up in the order of the trees.

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
    return [
        integers("tree_roots", place[first]),
        integers("nodes_featureids", feature[inner]),
        tensor("nodes_splits", threshold[inner].astype(kind)),
        tensor("nodes_modes", np.full(int(inner.sum()), mode, np.uint8)),
        integers("nodes_truenodeids", place[left[inner]]),
        integers("nodes_trueleafs", leaf[left[inner]]),
        integers("nodes_falsenodeids", place[right[inner]]),
        integers("nodes_falseleafs", leaf[right[inner]]),
        integers("nodes_missing_value_tracks_true", missing[inner]),
        integers("leaf_targetids", np.repeat([tree.target for tree in trees], sizes)[leaf]),
        tensor("leaf_weights", value[leaf].astype(kind)),
        integer("n_targets", targets),
        integer("aggregate_function", _SUM),
    ]


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
