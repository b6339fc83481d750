"""scikit-learn models as plain arrays: taken out of the object in one process, predicted from in another.

``sklearn_plan`` runs where the object was unpickled (a jailed worker) and never imports scikit-learn itself: it looks
at class names and fitted attributes. ``compile_steps`` makes a plan that repeats scikit-learn's own float64 operations
in their order, so that answers are equal bit for bit; whoever calls it should still compare both on sample rows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from tule.kernel.errors import DataLoss, InvalidArgument
from tule.learn.runtime.graphs import Tree, ensemble, runner
from tule.learn.runtime.matrices import matrix_of

_LINEAR_REGRESSORS = {
    "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "BayesianRidge",
    "HuberRegressor", "SGDRegressor", "Lars", "LassoLars", "TheilSenRegressor", "ARDRegression", "LinearSVR",
}  # fmt: skip
_LINEAR_CLASSIFIERS = {
    "LogisticRegression", "LogisticRegressionCV", "RidgeClassifier", "RidgeClassifierCV", "SGDClassifier", "Perceptron",
    "LinearSVC", "PassiveAggressiveClassifier", "LinearDiscriminantAnalysis",
}  # fmt: skip
_TREES = {"DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor"}
_FORESTS = {"RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor"}
_BOOSTED = {"GradientBoostingClassifier", "GradientBoostingRegressor"}


def sklearn_plan(estimator: Any) -> dict[str, Any] | None:
    """``{"steps": [...], "arrays": {name: ndarray}, "num_features": n, "feature_names": [...] | None}`` or None.

    None: the estimator (or one of its steps) is not of a kind that can be repeated exactly; keep it in the worker.
    ``steps`` is JSON; the arrays are numeric or boolean, never objects (class labels are in ``steps``).
    """
    steps: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    parts = [estimator]
    if _name(estimator) == "Pipeline":
        parts = [part for _, part in estimator.steps if part is not None and part != "passthrough"]
    try:
        if not parts:
            return None
        for at, part in enumerate(parts):
            last = at == len(parts) - 1
            step = _model(part, f"{at}/", arrays) if last else _transformer(part, f"{at}/", arrays)
            if step is None:
                return None
            steps.append(step)
        width = int(parts[0].n_features_in_)
    except AttributeError:
        # Not fitted, or another version keeps its state elsewhere.
        return None
    names = getattr(parts[0], "feature_names_in_", None)
    if any(array.dtype == object for array in arrays.values()):
        return None
    return {
        "steps": steps,
        "arrays": arrays,
        "num_features": width,
        "feature_names": None if names is None else [str(name) for name in names],
    }


def _name(estimator: Any) -> str:
    """The class name of scikit-learn's own classes; "" for anybody else's, subclasses included."""
    kind = type(estimator)
    return kind.__name__ if kind.__module__.split(".")[0] == "sklearn" else ""


def _transformer(part: Any, prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, Any] | None:
    name = _name(part)
    operations: list[list[str]] = []

    def add(operation: str, values: Any) -> None:
        key = f"{prefix}{len(operations)}"
        arrays[key] = np.asarray(values)
        operations.append([operation, key])

    if name == "StandardScaler":
        if part.with_mean:
            add("subtract", part.mean_)
        if part.with_std:
            add("divide", part.scale_)
    elif name == "MinMaxScaler":
        add("multiply", part.scale_)
        add("add", part.min_)
        if part.clip:
            add("clip", np.array(part.feature_range, np.float64))
    elif name == "MaxAbsScaler":
        if getattr(part, "clip", False):
            return None
        add("divide", part.scale_)
    elif name == "RobustScaler":
        if part.with_centering:
            add("subtract", part.center_)
        if part.with_scaling:
            add("divide", part.scale_)
    elif name == "SimpleImputer":
        missing_nan = isinstance(part.missing_values, float) and np.isnan(part.missing_values)
        values = np.asarray(part.statistics_)
        if not missing_nan or part.add_indicator or values.dtype.kind != "f" or np.isnan(values).any():
            return None
        add("fill", values)
    else:
        return None
    return {"kind": "scale", "operations": operations}


def _labels(part: Any) -> Any:
    classes = part.classes_
    return classes.tolist() if isinstance(classes, np.ndarray) and classes.ndim == 1 else None


def _model(part: Any, prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, Any] | None:
    name = _name(part)
    classes = None
    if name in _LINEAR_CLASSIFIERS | _TREES | _FORESTS | _BOOSTED and hasattr(part, "classes_"):
        classes = _labels(part)
        if classes is None or not all(isinstance(value, (bool, int, float, str)) for value in classes):
            return None
    if name in _LINEAR_REGRESSORS or name in _LINEAR_CLASSIFIERS:
        coef, intercept = part.coef_, part.intercept_
        if hasattr(coef, "toarray"):
            return None
        if name in _LINEAR_CLASSIFIERS and (np.ndim(coef) != 2 or classes is None):
            return None
        if classes is not None and len(classes) > 2 and len(coef) != len(classes):
            return None
        arrays[f"{prefix}coef"] = np.asarray(coef)
        arrays[f"{prefix}intercept"] = np.asarray(intercept)
        return {"kind": "linear", "key": prefix, "classes": classes}
    if name in _TREES:
        if part.n_outputs_ != 1:
            return None
        return {"kind": "trees", "key": prefix, "classes": classes, **_forest([part.tree_], prefix, arrays)}
    if name in _FORESTS:
        if part.n_outputs_ != 1 or any(type(tree) is not type(part.estimators_[0]) for tree in part.estimators_):
            return None
        found = _forest([tree.tree_ for tree in part.estimators_], prefix, arrays)
        return {"kind": "trees", "key": prefix, "classes": classes, **found}
    if name in _BOOSTED:
        width = int(part.n_features_in_)
        start = np.asarray(part._raw_predict_init(np.zeros((2, width), np.float32)), np.float64)
        other = np.asarray(part._raw_predict_init(np.ones((2, width), np.float32)), np.float64)
        if not np.array_equal(start, other):
            return None
        arrays[f"{prefix}start"] = start[0]
        trees = [tree.tree_ for stage in part.estimators_ for tree in stage]
        found = _forest(trees, prefix, arrays)
        arrays[f"{prefix}value"] = arrays[f"{prefix}value"] * float(part.learning_rate)
        return {
            "kind": "boosted",
            "key": prefix,
            "classes": classes,
            "outputs": int(part.estimators_.shape[1]),
            **found,
        }
    return None


def _forest(trees: Sequence[Any], prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The nodes of all trees one after the other; a leaf is its own child."""
    feature, threshold, left, right, value, missing, roots = [], [], [], [], [], [], []
    offset = 0
    depth = 0
    for tree in trees:
        count = int(tree.node_count)
        own = np.arange(count, dtype=np.int64)
        leaf = tree.children_left < 0
        roots.append(offset)
        feature.append(np.where(leaf, 0, tree.feature))
        threshold.append(np.where(leaf, np.inf, tree.threshold))
        left.append(np.where(leaf, own, tree.children_left) + offset)
        right.append(np.where(leaf, own, tree.children_right) + offset)
        value.append(np.asarray(tree.value)[:, 0, :])
        flags = getattr(tree, "missing_go_to_left", None)
        missing.append(np.ones(count, bool) if flags is None else np.asarray(flags, bool))
        depth = max(depth, int(tree.max_depth))
        offset += count
    arrays[f"{prefix}feature"] = np.concatenate(feature).astype(np.int64)
    arrays[f"{prefix}threshold"] = np.concatenate(threshold).astype(np.float64)
    arrays[f"{prefix}left"] = np.concatenate(left).astype(np.int64)
    arrays[f"{prefix}right"] = np.concatenate(right).astype(np.int64)
    arrays[f"{prefix}value"] = np.concatenate(value).astype(np.float64)
    arrays[f"{prefix}missing_left"] = np.concatenate(missing)
    arrays[f"{prefix}roots"] = np.asarray(roots, np.int64)
    return {"depth": depth}


class EstimatorPlan:
    """Repeats an estimator's ``predict``."""

    def __init__(
        self,
        stages: Sequence[Callable[[np.ndarray], np.ndarray]],
        finish: Callable[[np.ndarray], list[Any]],
        num_features: int,
        feature_names: list[str] | None,
        missing: bool,
    ) -> None:
        self._stages = list(stages)
        self._finish = finish
        self._missing = missing
        self.num_features = num_features
        self.feature_names = feature_names

    def predict(self, instances: Sequence[Any]) -> list[Any]:
        """What ``estimator.predict(rows).tolist()`` gives."""
        if not instances:
            return []
        rows = matrix_of(instances, self.num_features, self.feature_names)
        return self.predict_array(rows)

    def predict_array(self, rows: np.ndarray) -> list[Any]:
        """The same for float64 (n, num_features); ``rows`` may be overwritten."""
        # A product with itself is finite unless a number is not (or is huge): quicker than isfinite().all() on few rows.
        if not math.isfinite(np.vdot(rows, rows)):
            if np.isinf(rows).any():
                raise InvalidArgument("Instances must hold finite numbers", given="infinity", do="send other values")
            if not self._missing and np.isnan(rows).any():
                raise InvalidArgument(
                    "Instances must not hold null: the model has no way to fill it",
                    given="null",
                    do="send a number, or deploy a pipeline with an imputer",
                )
        for stage in self._stages:
            rows = stage(rows)
        return self._finish(rows)


def compile_steps(plan: Mapping[str, Any]) -> EstimatorPlan:
    """A plan from what ``sklearn_plan`` returned (steps may have travelled as JSON, arrays as npz)."""
    steps, arrays = plan["steps"], {name: np.asarray(array) for name, array in plan["arrays"].items()}
    if any(array.dtype.kind not in "fiub" for array in arrays.values()):
        raise DataLoss("The arrays of a model must be numbers", given="another type", do="deploy the model again")
    try:
        stages = [_scaler(step["operations"], arrays) for step in steps[:-1]]
        last = {**steps[-1], "width": int(plan["num_features"])}
        finish = {"linear": _linear, "trees": _trees, "boosted": _boosted}[last["kind"]](last, arrays)
        fills = any(name == "fill" for step in steps[:-1] for name, _ in step["operations"])
        missing = fills or last["kind"] == "trees"
        names = plan.get("feature_names")
        return EstimatorPlan(stages, finish, int(plan["num_features"]), names, missing)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise DataLoss(
            "A plan must be what sklearn_plan made", given=repr(error), do="deploy the model again"
        ) from error


def _scaler(
    operations: Sequence[Sequence[str]], arrays: Mapping[str, np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    found = [(name, arrays[key]) for name, key in operations]

    def scale(rows: np.ndarray) -> np.ndarray:
        for name, values in found:
            if name == "subtract":
                rows -= values
            elif name == "divide":
                rows /= values
            elif name == "multiply":
                rows *= values
            elif name == "add":
                rows += values
            elif name == "clip":
                np.clip(rows, values[0], values[1], out=rows)
            else:
                empty = np.isnan(rows)
                if empty.any():
                    np.copyto(rows, values, where=empty)
        return rows

    return scale


def _linear(step: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], list[Any]]:
    coef, intercept = arrays[step["key"] + "coef"].T, arrays[step["key"] + "intercept"]
    classes = step["classes"]
    if classes is None:
        return lambda rows: (rows @ coef + intercept).tolist()
    if len(classes) == 2:

        def binary(rows: np.ndarray) -> list[Any]:
            scores = (rows @ coef + intercept).reshape(-1)
            return [classes[score > 0] for score in scores.tolist()]

        return binary
    return lambda rows: [classes[place] for place in (rows @ coef + intercept).argmax(axis=1).tolist()]


Sums = Callable[[np.ndarray], np.ndarray]
"""(n, outputs) float64: what all trees of an ensemble say together, for float64 (n, width)."""


def _leaves(step: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """(n, trees) leaf of each row in each tree, walked level by level over all trees at once."""
    key = step["key"]
    feature, threshold = arrays[key + "feature"], arrays[key + "threshold"]
    children = np.column_stack([arrays[key + "right"], arrays[key + "left"]]).reshape(-1)
    missing, roots, depth = arrays[key + "missing_left"], arrays[key + "roots"], int(step["depth"])

    def leaves(rows: np.ndarray) -> np.ndarray:
        narrow = rows.astype(np.float32, order="C")
        empty = np.isnan(narrow)
        holes = bool(empty.any())
        width = narrow.shape[1]
        flat = narrow.reshape(-1)
        starts = np.arange(0, flat.size, width)[:, None]
        at = np.broadcast_to(roots, (len(narrow), len(roots)))
        for _ in range(depth):
            places = starts + feature[at]
            goes = flat[places] <= threshold[at]
            if holes:
                goes = np.where(empty.reshape(-1)[places], missing[at], goes)
            at = children[2 * at + goes]
        return at

    return leaves


def _chunks(rows: np.ndarray, trees: int) -> list[np.ndarray]:
    """Rows in pieces, so that a piece times all trees stays small."""
    size = max(1, 2_000_000 // max(trees, 1))
    return [rows[first : first + size] for first in range(0, len(rows), size)]


def _walked(
    step: Mapping[str, Any], arrays: Mapping[str, np.ndarray], value: np.ndarray, start: np.ndarray, targets: int
) -> Sums:
    """The sums by walking: ``value`` (nodes, outputs a tree), ``start`` the first summand of each output.

    scikit-learn adds tree by tree; a cumulative sum has that order, a plain sum has not.
    """
    leaves, count = _leaves(step, arrays), len(arrays[step["key"] + "roots"])

    def sums(rows: np.ndarray) -> np.ndarray:
        parts = []
        for part in _chunks(rows, count):
            steps = value[leaves(part)].reshape(len(part), -1, targets)
            first = np.broadcast_to(start, (len(part), 1, targets))
            parts.append(np.cumsum(np.concatenate([first, steps], axis=1), axis=1)[:, -1])
        return np.concatenate(parts)

    return sums


def _graphed(
    step: Mapping[str, Any], arrays: Mapping[str, np.ndarray], value: np.ndarray, start: np.ndarray, targets: int
) -> Sums:
    """The same sums by ONNX Runtime; raises ImportError where it is not installed."""
    key = step["key"]
    bounds = [*arrays[key + "roots"].tolist(), len(value)]
    trees = [Tree.constant(float(each), target) for target, each in enumerate(start)]
    for number, (first, last) in enumerate(itertools.pairwise(bounds)):
        each = slice(first, last)
        left, right = arrays[key + "left"][each] - first, arrays[key + "right"][each] - first
        feature, threshold = arrays[key + "feature"][each], arrays[key + "threshold"][each]
        missing = arrays[key + "missing_left"][each]
        # A tree of several outputs is as many trees of one.
        for output in range(value.shape[1]):
            target = output if value.shape[1] > 1 else number % targets
            trees.append(Tree(left, right, feature, threshold, missing, value[each, output], target))
    run = runner(ensemble(trees, int(step["width"]), targets, kind="float64", or_equal=True))

    def sums(rows: np.ndarray) -> np.ndarray:
        # scikit-learn's trees look at single precision.
        return run(rows.astype(np.float32, order="C").astype(np.float64))

    return sums


# A graph of more nodes takes longer to make than it is worth.
_MOST_NODES = 2_000_000


def _sums(
    step: Mapping[str, Any], arrays: Mapping[str, np.ndarray], value: np.ndarray, start: np.ndarray, targets: int
) -> Sums:
    """The quickest way that gives exactly what walking gives."""
    walked = _walked(step, arrays, value, start, targets)
    if value.size > _MOST_NODES:
        return walked
    try:
        graphed = _graphed(step, arrays, value, start, targets)
    except ImportError:
        return walked
    random = np.random.default_rng(0)
    rows = random.normal(scale=3.0, size=(200, int(step["width"])))
    known = arrays[step["key"] + "threshold"]
    known = known[np.isfinite(known)]
    if len(known):
        rows[100:] = random.choice(known, size=rows[100:].shape)
    same = np.array_equal(graphed(rows), walked(rows)) and np.array_equal(graphed(rows[-1:]), walked(rows[-1:]))
    return graphed if same else walked


def _trees(step: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], list[Any]]:
    value, classes = arrays[step["key"] + "value"], step["classes"]
    count = len(arrays[step["key"] + "roots"])
    sums = _sums(step, arrays, value, np.zeros(value.shape[1]), value.shape[1])

    def predict(rows: np.ndarray) -> list[Any]:
        total = sums(rows)
        if count > 1:
            total = total / count
        if classes is None:
            return cast(list[Any], total[:, 0].tolist())
        return [classes[place] for place in total.argmax(axis=1).tolist()]

    return predict


def _boosted(step: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], list[Any]]:
    value, classes = arrays[step["key"] + "value"][:, :1], step["classes"]
    start, outputs = arrays[step["key"] + "start"], int(step["outputs"])
    sums = _sums(step, arrays, value, start, outputs)

    def predict(rows: np.ndarray) -> list[Any]:
        raw = sums(rows)
        if classes is None:
            return cast(list[Any], raw[:, 0].tolist())
        if outputs == 1:
            return [classes[score >= 0] for score in raw[:, 0].tolist()]
        return [classes[place] for place in raw.argmax(axis=1).tolist()]

    return predict
