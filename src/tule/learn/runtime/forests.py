"""Boosted trees evaluated by NumPy, all nodes of all trees at once, bit for bit as xgboost does it.

A call into xgboost costs about 100 us before the first tree is walked (each time it asks the machine's files how many
processors there are), ten times what the trees of a small request cost. Here no tree is walked: every node's comparison
is made, and each tree's leaf is found by ANDing bit masks, one bit a leaf (QuickScorer, Lucchese et al., SIGIR 2015).

S splits and T trees in all; a mask has a zero for each leaf that is out of reach once its split sent a row to the right.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import orjson

_LEAVES = 64
_EVERY = np.uint64(2**64 - 1)
_ONE = np.uint64(1)
_LARGEST_FILE = 20 * 2**20
_MOST_CLASSES = 32

Finish = Callable[[np.ndarray], np.ndarray]


class Forest:
    """The trees of one booster. ``predict`` is safe for several threads; ``splits`` is what a row costs."""

    def __init__(self, trees: Sequence[_Tree], classes: int, finish: Finish) -> None:
        self._classes = classes
        self._each = len(trees) // classes
        self._finish = finish
        self._features = np.array([each for tree in trees for each in tree.features], np.intp)
        self._thresholds = np.array([each for tree in trees for each in tree.thresholds], np.float32)
        self._masks = np.array([each for tree in trees for each in tree.masks], np.uint64)
        self._default_left = np.array([each for tree in trees for each in tree.default_left], bool)
        self._values = np.array([each for tree in trees for each in tree.values], np.float32)
        self._first_split = np.cumsum([0, *(len(tree.features) for tree in trees[:-1])])
        self._first_leaf = np.cumsum([0, *(len(tree.values) for tree in trees[:-1])])
        self.splits = len(self._features)

    def probes(self, count: int, width: int) -> np.ndarray:
        """(count, width) rows that reach the corners of the trees: values on and beside their thresholds, and none."""
        random = np.random.default_rng(0)
        rows = random.normal(scale=3.0, size=(count, width)).astype(np.float32)
        for feature in range(width):
            known = self._thresholds[(self._features == feature) & np.isfinite(self._thresholds)]
            if len(known):
                near = random.choice(known, size=count)
                beside = np.nextafter(near, random.choice(np.array([-np.inf, np.inf], np.float32), size=count))
                rows[:, feature] = np.where(random.random(count) < 0.5, near, beside)
        rows[random.random(rows.shape) < 0.1] = np.nan
        return rows

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """(n,) or (n, classes) float32 for float32 (n, W), NaN for missing."""
        values = rows.take(self._features, axis=1)
        left = values < self._thresholds
        total = rows.sum()
        if total - total != 0.0:
            left |= np.isnan(values) & self._default_left
        # True is 1, and minus 1 has every bit set.
        reached = left.view(np.int8).astype(np.int64)
        np.negative(reached, out=reached)
        masks = reached.view(np.uint64)
        masks |= self._masks
        leaves = np.bitwise_and.reduceat(masks, self._first_split, axis=1)
        # The leftmost leaf in reach is the row's: the number of zeros below the lowest bit.
        places = np.bitwise_count(~leaves & (leaves - _ONE))
        found = self._values.take(self._first_leaf + places)
        if self._classes == 1:
            # xgboost adds tree by tree in single precision, and so does a running sum.
            return self._finish(np.add.accumulate(found, axis=1)[:, -1])
        return self._finish(np.add.accumulate(found.reshape(len(rows), self._classes, self._each), axis=2)[:, :, -1])


class _Tree:
    """One tree's splits in the order of their leaves, from left to right."""

    def __init__(self) -> None:
        self.features: list[int] = []
        self.thresholds: list[float] = []
        self.masks: list[int] = []
        self.default_left: list[bool] = []
        self.values: list[float] = []

    @classmethod
    def constant(cls, value: float) -> _Tree:
        """A tree that answers ``value``: a split that closes nothing."""
        made = cls()
        made.features, made.thresholds, made.masks, made.default_left = [0], [math.inf], [int(_EVERY)], [True]
        made.values = [value]
        return made

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> _Tree | None:
        """From xgboost's JSON; None for more leaves than a mask has bits, and for categorical splits."""
        if any(tree["split_type"]) or sum(child < 0 for child in tree["left_children"]) > _LEAVES:
            return None
        made = cls()
        made._walk(tree, 0)
        return made if made.features else cls.constant(made.values[0])

    def _walk(self, tree: Mapping[str, Any], node: int) -> None:
        left, right = tree["left_children"][node], tree["right_children"][node]
        if left < 0:
            self.values.append(tree["split_conditions"][node])
            return
        place, before = len(self.masks), len(self.values)
        self.features.append(tree["split_indices"][node])
        self.thresholds.append(tree["split_conditions"][node])
        self.default_left.append(bool(tree["default_left"][node]))
        self.masks.append(0)
        self._walk(tree, left)
        closed = (1 << len(self.values)) - (1 << before)
        self.masks[place] = int(_EVERY) & ~closed
        self._walk(tree, right)


def forest_of(booster: Any) -> Forest | None:
    """The trees of a booster, None for what is not done exactly here: deep trees, categories, other objectives, DART.

    Exactness is the caller's to prove: it depends on the order in which this version of xgboost adds.
    """
    try:
        raw = bytes(booster.save_raw("ubj"))
        if len(raw) > _LARGEST_FILE:
            return None
        return _compile(orjson.loads(bytes(booster.save_raw("json")))["learner"])
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, RecursionError, OSError, AttributeError):
        # Another version's file, one that somebody made up, or another C library: xgboost itself answers.
        return None


def _compile(learner: Mapping[str, Any]) -> Forest | None:
    parameters, machine = learner["learner_model_param"], learner["gradient_booster"]
    objective = learner["objective"]["name"]
    classes = max(1, int(parameters["num_class"]))
    base = [np.float32(each) for each in orjson.loads(_bracketed(parameters["base_score"]))]
    if machine["name"] != "gbtree" or int(parameters["num_target"]) > 1 or classes > _MOST_CLASSES:
        return None
    if objective in ("binary:logistic", "reg:logistic"):
        # The base score is a probability; what is added up are log-odds.
        logf = _single_precision("logf")
        base = [np.float32(-logf(float(np.float32(1) / each - np.float32(1)))) for each in base]
        finish = _sigmoid(_single_precision("expf"))
    elif objective == "multi:softprob" and classes > 1:
        finish = _softmax(_single_precision("expf"))
    elif objective in _IDENTITY and classes == 1:
        finish = _as_is
    else:
        return None
    trees = [_Tree.of(each) for each in machine["model"]["trees"]]
    owners = machine["model"]["tree_info"]
    mine = [[tree for tree, owner in zip(trees, owners, strict=True) if owner == each] for each in range(classes)]
    if any(tree is None for tree in trees) or len({len(each) for each in mine}) != 1:
        return None
    # The base score is the first summand, so it is the first tree.
    starts = base if len(base) == classes else base * classes
    ordered = [
        tree
        for start, own in zip(starts, mine, strict=True)
        for tree in (_Tree.constant(float(start)), *own)
        if tree is not None
    ]
    return Forest(ordered, classes, finish)


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
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return cast(Callable[[float], float], function)


def _as_is(margins: np.ndarray) -> np.ndarray:
    return margins


def _sigmoid(expf: Callable[[float], float]) -> Finish:
    """xgboost's own: the exponent is capped, and a tiny number is added to the denominator."""
    one, tiny = np.float32(1), np.float32(1e-16)

    def finish(margins: np.ndarray) -> np.ndarray:
        exponents = np.array([expf(min(-margin, 88.7)) for margin in margins.tolist()], np.float32)
        found: np.ndarray = one / (exponents + one + tiny)
        return found

    return finish


def _softmax(expf: Callable[[float], float]) -> Finish:
    """Exponents in single precision, their sum in double, as xgboost has it."""

    def finish(margins: np.ndarray) -> np.ndarray:
        shifted = margins - margins.max(axis=1, keepdims=True)
        exponents = np.array([expf(each) for each in shifted.ravel().tolist()], np.float32).reshape(shifted.shape)
        total = np.add.accumulate(exponents.astype(np.float64), axis=1)[:, -1:].astype(np.float32)
        found: np.ndarray = exponents / total
        return found

    return finish
