"""Boosted trees evaluated by ONNX Runtime, bit for bit as xgboost itself answers.

A call into xgboost costs some 40 us before the first tree is walked, and half a millisecond where the trees are many: it
makes views of all of them each time. ONNX Runtime keeps its own form of them and answers one row in ten. It adds the
leaves in single precision in the order of the trees, as xgboost does; what becomes of the sum is done here as xgboost
has it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from ctypes import c_float
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import orjson

from tule.learn.runtime import graphs
from tule.learn.runtime.graphs import Tree

# xgboost's JSON is read as a whole, which takes about eight times the room of the file.
_LARGEST_FILE = 20 * 2**20

Finish = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Ensemble:
    """The trees of a booster, the base score among them, and what becomes of their sums."""

    trees: list[Tree]
    width: int
    targets: int
    finish: Finish


class Forest:
    """The trees of one booster. ``predict`` is safe for several threads."""

    def __init__(self, trees: list[Tree], width: int, targets: int, finish: Finish) -> None:
        self._run = graphs.runner(graphs.ensemble(trees, width, targets, kind="float32", or_equal=False))
        self._finish = finish
        self._width = width
        self._thresholds = [(tree.feature[tree.left > 0], tree.threshold[tree.left > 0]) for tree in trees]

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """(n,) or (n, targets) float32 for float32 (n, W), NaN for missing."""
        return self._finish(self._run(rows))

    def probes(self, count: int) -> np.ndarray:
        """(count, W) rows that reach the corners of the trees: values on and beside their thresholds, and none."""
        random = np.random.default_rng(0)
        rows = random.normal(scale=3.0, size=(count, self._width)).astype(np.float32)
        features, thresholds = (np.concatenate(parts) for parts in zip(*self._thresholds, strict=True))
        for feature in range(self._width):
            known = thresholds[features == feature].astype(np.float32)
            if len(known):
                near = random.choice(known, size=count)
                beside = np.nextafter(near, random.choice(np.array([-np.inf, np.inf], np.float32), size=count))
                rows[:, feature] = np.where(random.random(count) < 0.5, near, beside)
        rows[random.random(rows.shape) < 0.1] = np.nan
        return rows


def forest_of(booster: Any) -> Forest | None:
    """The trees of a booster, None for what is not done exactly here: categories, other objectives, DART.

    Exactness is the caller's to prove: it depends on the order in which these versions of the libraries add.
    """
    try:
        if len(booster.save_raw("ubj")) > _LARGEST_FILE:
            return None
        found = _compile(orjson.loads(bytes(booster.save_raw("json")))["learner"])
        return None if found is None else Forest(found.trees, found.width, found.targets, found.finish)
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, OSError, AttributeError, ImportError):
        # Another version's file, one that somebody made up, or no ONNX Runtime: xgboost itself answers.
        return None


def ensemble_of(booster: Any) -> Ensemble | None:
    """The trees of a booster, those of DART too; None for other objectives and for splits by category."""
    learner = orjson.loads(bytes(booster.save_raw("json")))["learner"]
    machine = learner["gradient_booster"]
    if machine["name"] != "dart":
        return _compile(learner)
    found = _compile({**learner, "gradient_booster": {**machine["gbtree"], "name": "gbtree"}})
    if found is None:
        return None
    # The first trees are the base score, which no dropout weighs.
    own = len(found.trees) - len(machine["weight_drop"])
    weights = [*([1.0] * own), *machine["weight_drop"]]
    trees = [
        replace(tree, value=tree.value * np.float32(weight)) for tree, weight in zip(found.trees, weights, strict=True)
    ]
    return replace(found, trees=trees)


def _compile(learner: Mapping[str, Any]) -> Ensemble | None:
    parameters, machine = learner["learner_model_param"], learner["gradient_booster"]
    objective = learner["objective"]["name"]
    classes = max(1, int(parameters["num_class"]))
    base = [np.float32(each) for each in orjson.loads(_bracketed(parameters["base_score"]))]
    if machine["name"] != "gbtree" or int(parameters["num_target"]) > 1:
        return None
    finish = {"binary:logistic": _sigmoid, "reg:logistic": _sigmoid, "multi:softprob": _softmax}.get(objective)
    if finish is None and objective in _IDENTITY:
        finish = _as_is
    if finish is None or (finish is _softmax) != (classes > 1):
        return None
    if finish is _sigmoid:
        # The base score is a probability; what is added up are log-odds.
        logf = _single_precision("logf")
        base = [np.float32(-logf(float(np.float32(1) / each - np.float32(1)))) for each in base]
    found = machine["model"]["trees"]
    if any(any(each["split_type"]) for each in found):
        return None
    # The base score is the first summand, so it is the first tree.
    starts = base if len(base) == classes else base * classes
    trees = [Tree.constant(float(start), target) for target, start in enumerate(starts)]
    trees += [_tree(each, target) for each, target in zip(found, machine["model"]["tree_info"], strict=True)]
    return Ensemble(trees, int(parameters["num_feature"]), classes, finish)


def _tree(tree: Mapping[str, Any], target: int) -> Tree:
    """From xgboost's JSON, where a leaf's value stands in the place of its threshold."""
    left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
    own, leaf = np.arange(len(left)), left < 0
    numbers = np.array(tree["split_conditions"], np.float32)
    return Tree(
        left=np.where(leaf, own, left),
        right=np.where(leaf, own, right),
        feature=np.array(tree["split_indices"]),
        threshold=numbers,
        missing_left=np.array(tree["default_left"], bool),
        value=numbers,
        target=target,
    )


_IDENTITY = {
    "reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:squaredlogerror", "reg:quantileerror",
    "binary:logitraw", "rank:pairwise", "rank:ndcg", "rank:map",
}  # fmt: skip


def _bracketed(text: str) -> str:
    """A base score as a list: older files have a lone number."""
    return text if text.startswith("[") else f"[{text}]"


def _single_precision(name: str) -> Callable[[float], float]:
    """A function of the C library that xgboost itself calls: NumPy's own round differently."""
    function: Any = getattr(ctypes.CDLL(None), name)
    function.restype, function.argtypes = c_float, [c_float]
    return cast(Callable[[float], float], function)


# From so many values on, arrays cost less than calls.
_MANY = 16
# The C library's expf is the right value to one part in 2**32, rounded; so it is exp in double precision, rounded, but
# where that lies so near the middle between two numbers that it may round either way.
_ABOVE, _BELOW = 1 + 2.0**-30, 1 - 2.0**-30


def _exponentials(values: np.ndarray) -> np.ndarray:
    """The C library's expf of each of (m,) float32, bit for bit."""
    if len(values) < _MANY:
        return np.array([_EXPF(value) for value in values.tolist()], np.float32)
    wide = np.exp(values, dtype=np.float64)
    found = wide.astype(np.float32)
    doubtful = (wide * _ABOVE).astype(np.float32) != (wide * _BELOW).astype(np.float32)
    for place in np.flatnonzero(doubtful).tolist():
        found[place] = _EXPF(float(values[place]))
    return found


_EXPF = _single_precision("expf")
_ONE, _LARGEST = np.ones(1, np.float32), np.array([88.7], np.float32)


def _as_is(margins: np.ndarray) -> np.ndarray:
    return margins[:, 0]


def _sigmoid(margins: np.ndarray) -> np.ndarray:
    """xgboost's own, with its cap on the exponent."""
    if len(margins) == 1:
        # Rounded after each step, as single precision is; arrays of one number cost ten times as much.
        denominator = c_float(_EXPF(min(-margins.item(), 88.7)) + 1.0).value
        return np.array([1.0 / denominator], np.float32)
    found = np.negative(margins[:, 0])
    np.minimum(found, _LARGEST, out=found)
    found = _exponentials(found)
    np.add(found, _ONE, out=found)
    np.divide(_ONE, found, out=found)
    return found


def _softmax(margins: np.ndarray) -> np.ndarray:
    """Exponentials in single precision, their sum in double, as xgboost has it."""
    shifted = margins - margins.max(axis=1, keepdims=True)
    exponentials = _exponentials(shifted.ravel()).reshape(shifted.shape)
    total = np.add.accumulate(exponentials, axis=1, dtype=np.float64)[:, -1:].astype(np.float32)
    found: np.ndarray = exponentials / total
    return found
