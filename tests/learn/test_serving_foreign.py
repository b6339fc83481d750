"""Models that others made: xgboost files and scikit-learn estimators, answered bit for bit."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from sklearn import datasets, ensemble, linear_model, preprocessing, svm, tree
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline

from tule.kernel.errors import DataLoss, InvalidArgument
from tule.learn import runtime
from tule.learn.runtime.estimators import sklearn_plan
from tule.learn.runtime.matrices import matrix_of

CANCER = datasets.load_breast_cancer(return_X_y=True)
IRIS = datasets.load_iris(return_X_y=True)
NAMED = (IRIS[0], np.array(["setosa", "versicolor", "virginica"])[IRIS[1]])
DIABETES = datasets.load_diabetes(return_X_y=True)


def shipped(plan: dict[str, Any]) -> dict[str, Any]:
    """Through JSON and npz, as between the jailed worker and the server."""
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **plan["arrays"])
    packed.seek(0)
    rest = json.loads(json.dumps({name: value for name, value in plan.items() if name != "arrays"}))
    with np.load(packed, allow_pickle=False) as arrays:
        return rest | {"arrays": {name: arrays[name] for name in arrays.files}}


ESTIMATORS = [
    (linear_model.LinearRegression(), DIABETES),
    (linear_model.LinearRegression(), (DIABETES[0], np.column_stack([DIABETES[1], -DIABETES[1]]))),
    (linear_model.LinearRegression(fit_intercept=False), DIABETES),
    (linear_model.Ridge(), DIABETES),
    (linear_model.Lasso(), DIABETES),
    (linear_model.ElasticNetCV(), DIABETES),
    (linear_model.BayesianRidge(), DIABETES),
    (linear_model.HuberRegressor(max_iter=1000), DIABETES),
    (linear_model.LogisticRegression(max_iter=5000), CANCER),
    (linear_model.LogisticRegression(max_iter=5000), NAMED),
    (linear_model.RidgeClassifier(), NAMED),
    (linear_model.SGDClassifier(random_state=0), IRIS),
    (linear_model.Perceptron(random_state=0), CANCER),
    (svm.LinearSVC(), CANCER),
    (svm.LinearSVR(), DIABETES),
    (make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()), CANCER),
    (make_pipeline(preprocessing.StandardScaler(with_mean=False), linear_model.LogisticRegression()), NAMED),
    (make_pipeline(preprocessing.MinMaxScaler(clip=True), linear_model.Ridge()), DIABETES),
    (make_pipeline(preprocessing.MaxAbsScaler(), linear_model.Ridge()), DIABETES),
    (make_pipeline(preprocessing.RobustScaler(), svm.LinearSVC()), CANCER),
    (
        Pipeline(
            [
                ("fill", SimpleImputer(strategy="median")),
                ("none", "passthrough"),
                ("scale", preprocessing.StandardScaler()),
                ("model", linear_model.LogisticRegression()),
            ]
        ),
        NAMED,
    ),
    (tree.DecisionTreeClassifier(random_state=0), NAMED),
    (tree.DecisionTreeRegressor(random_state=0), DIABETES),
    (ensemble.RandomForestClassifier(20, random_state=0), NAMED),
    (ensemble.RandomForestRegressor(20, random_state=0), DIABETES),
    (ensemble.ExtraTreesClassifier(20, random_state=0), (CANCER[0], CANCER[1] == 1)),
    (ensemble.ExtraTreesRegressor(20, random_state=0), DIABETES),
    (ensemble.GradientBoostingRegressor(random_state=0), DIABETES),
    (ensemble.GradientBoostingClassifier(random_state=0), CANCER),
    (ensemble.GradientBoostingClassifier(n_estimators=20, random_state=0), NAMED),
    (make_pipeline(preprocessing.StandardScaler(), ensemble.RandomForestClassifier(10, random_state=0)), CANCER),
]


@pytest.mark.parametrize(("estimator", "data"), ESTIMATORS, ids=lambda item: type(item).__name__)
def test_answers_are_scikit_learns_bit_for_bit(estimator: Any, data: Any) -> None:
    X, y = data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)
    found = sklearn_plan(estimator)
    assert found is not None
    plan = runtime.plan_from_arrays(shipped(found))
    rng = np.random.default_rng(0)
    noisy = X[rng.integers(len(X), size=300)] * rng.normal(1.0, 0.5, (300, X.shape[1]))
    for rows in (X, noisy):
        assert plan.predict(rows.tolist()) == estimator.predict(rows).tolist()
    for row in noisy[:20].tolist():
        assert plan.predict([row]) == estimator.predict([row]).tolist()
    assert plan.num_features == X.shape[1] and plan.predict([]) == []


def test_missing_values_where_the_estimator_takes_them() -> None:
    X, y = NAMED
    holes = X.copy()
    holes[::7, 1] = np.nan
    rows = [[None if value != value else value for value in row] for row in holes.tolist()]
    for estimator in (
        ensemble.RandomForestClassifier(10, random_state=0),
        make_pipeline(SimpleImputer(), linear_model.LogisticRegression(max_iter=1000)),
    ):
        estimator.fit(holes, y)
        found = sklearn_plan(estimator)
        assert found is not None
        assert runtime.plan_from_arrays(shipped(found)).predict(rows) == estimator.predict(holes).tolist()
    found = sklearn_plan(linear_model.LogisticRegression(max_iter=1000).fit(X, y))
    assert found is not None
    with pytest.raises(InvalidArgument, match="must not hold null"):
        runtime.plan_from_arrays(found).predict(rows)


@pytest.mark.parametrize(
    "estimator",
    [
        ensemble.HistGradientBoostingClassifier(),
        make_pipeline(preprocessing.PolynomialFeatures(), linear_model.LogisticRegression(max_iter=1000)),
        ensemble.GradientBoostingRegressor(init=linear_model.LinearRegression()),
        svm.SVC(),
    ],
    ids=lambda item: type(item).__name__,
)
def test_what_cannot_be_repeated_stays_with_the_worker(estimator: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(*IRIS)
    assert sklearn_plan(estimator) is None


def test_strangers_are_not_taken_for_scikit_learn() -> None:
    class LinearRegression(linear_model.LinearRegression):
        def predict(self, X: Any) -> Any:
            return super().predict(X) + 1

    assert sklearn_plan(LinearRegression().fit(*DIABETES)) is None
    assert sklearn_plan(linear_model.LinearRegression()) is None
    assert sklearn_plan({"not": "an estimator"}) is None


def test_feature_names_let_instances_be_objects() -> None:
    frame = datasets.load_diabetes(as_frame=True)
    estimator = linear_model.LinearRegression().fit(frame.data, frame.target)
    found = sklearn_plan(estimator)
    assert found is not None
    plan = runtime.plan_from_arrays(shipped(found))
    rows = frame.data.head(5)
    assert plan.predict(rows.to_dict("records")) == estimator.predict(rows).tolist()
    with pytest.raises(InvalidArgument, match="Instance 0: The data must have the column bmi"):
        plan.predict([{"age": 1.0, "sex": 0.0}])


def test_the_worker_needs_no_arrow() -> None:
    code = "import sys, tule.learn.runtime.estimators; print('pyarrow' in sys.modules, 'sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_damaged_plans_are_refused() -> None:
    found = sklearn_plan(linear_model.LinearRegression().fit(*DIABETES))
    assert found is not None
    with pytest.raises(DataLoss, match="must be what sklearn_plan made"):
        runtime.plan_from_arrays(found | {"arrays": {}})
    with pytest.raises(DataLoss, match="must be what sklearn_plan made"):
        runtime.plan_from_arrays(found | {"steps": [{"kind": "magic"}]})
    with pytest.raises(DataLoss, match="must be numbers"):
        runtime.plan_from_arrays(found | {"arrays": {"0/coef": np.array(["a"])}})


BOOSTERS: dict[str, tuple[dict[str, Any], Any]] = {
    "regression": ({"objective": "reg:squarederror"}, DIABETES),
    "binary": ({"objective": "binary:logistic"}, CANCER),
    "logitraw": ({"objective": "binary:logitraw"}, CANCER),
    "softprob": ({"objective": "multi:softprob", "num_class": 3}, IRIS),
    "softmax": ({"objective": "multi:softmax", "num_class": 3}, IRIS),
    "poisson": ({"objective": "count:poisson"}, DIABETES),
    "dart": ({"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.2}, CANCER),
    "gblinear": ({"objective": "reg:squarederror", "booster": "gblinear"}, DIABETES),
    "forest": ({"objective": "reg:squarederror", "num_parallel_tree": 5, "subsample": 0.5}, DIABETES),
}


@pytest.mark.parametrize("suffix", [".ubj", ".json", ".bst"])
@pytest.mark.parametrize("name", BOOSTERS)
def test_answers_are_xgboosts_bit_for_bit(name: str, suffix: str, tmp_path: Path) -> None:
    parameters, (X, y) = BOOSTERS[name]
    booster = xgboost.train({"verbosity": 0, **parameters}, xgboost.DMatrix(X, y), 15)
    file = tmp_path / f"model{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        booster.save_model(file)
    plan = runtime.compile_xgboost(file)
    rows = X.copy()
    rows[::5, 2] = np.nan
    json_rows = [[None if value != value else value for value in row] for row in rows.tolist()]
    wanted = booster.predict(xgboost.DMatrix(rows)).tolist()
    assert plan.predict(json_rows) == wanted
    assert [plan.predict([row])[0] for row in json_rows[:20]] == wanted[:20]
    assert plan.num_features == X.shape[1] and plan.predict([]) == []


def test_boosters_with_names_take_objects(tmp_path: Path) -> None:
    frame = datasets.load_diabetes(as_frame=True)
    booster = xgboost.train({}, xgboost.DMatrix(frame.data, frame.target), 5)
    booster.save_model(tmp_path / "m.ubj")
    plan = runtime.compile_xgboost(tmp_path / "m.ubj")
    assert plan.feature_names == list(frame.data.columns)
    wanted = booster.predict(xgboost.DMatrix(frame.data)).tolist()
    assert plan.predict(frame.data.to_dict("records")) == wanted
    assert plan.predict(frame.data.to_numpy().tolist()) == wanted


def test_files_that_are_no_boosters(tmp_path: Path) -> None:
    (tmp_path / "model.bst").write_bytes(b"hello world")
    with pytest.raises(InvalidArgument, match=r"that xgboost can read; given: model\.bst") as caught:
        runtime.compile_xgboost(tmp_path / "model.bst")
    assert "[bt]" not in str(caught.value)
    (tmp_path / "model.json").write_bytes(b'{"learner": {}}')
    with pytest.raises(InvalidArgument, match="that xgboost can read"):
        runtime.compile_xgboost(tmp_path / "model.json")
    (tmp_path / "model.model").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(InvalidArgument, match="is a pickle"):
        runtime.compile_xgboost(tmp_path / "model.model")
    with pytest.raises(InvalidArgument, match="must be readable"):
        runtime.compile_xgboost(tmp_path / "nothing.bst")


@pytest.mark.parametrize(
    ("instances", "message"),
    [
        ([[1.0, 2.0]], "Instance 0 must have 10 numbers, one a feature; given: 2"),
        ([[1.0] * 10, [1.0] * 9 + ["x"]], "Instance 1: value 9 must be a number; given: 'x'"),
        ([3.0], "Instance 0 must be a list of 10 numbers; given: float"),
        ([{"a": 1.0}], "the model has no feature names"),
        ([[1e39] * 10], "fit a 32-bit float; given: 1e"),
    ],
)
def test_wrong_instances_are_named(instances: list[Any], message: str, tmp_path: Path) -> None:
    booster = xgboost.train({}, xgboost.DMatrix(*DIABETES), 2)
    booster.save_model(tmp_path / "m.ubj")
    with pytest.raises(InvalidArgument, match=message):
        runtime.compile_xgboost(tmp_path / "m.ubj").predict(instances)


@pytest.mark.parametrize(
    "rows",
    [
        [[0.1 + 0.2, -0.0], [1e308, 5e-324]],
        [[1, 2**53 + 1], [2**63 + 1, 2**70]],
        [[True, 2.5], (False, 1)],
        [[float("nan"), float("-inf")]],
        [[1, None]],
        [["1.5", 2], [3, "4"]],
        [[0.1, "0.1"]],
    ],
    ids=["floats", "integers", "booleans", "none", "null", "text", "mixed"],
)
def test_rows_become_the_numbers_that_numpy_makes_of_them(rows: list[Any]) -> None:
    found = matrix_of(rows, 2, None)
    assert found.tobytes() == np.array(rows, np.float64).tobytes() and found.shape == (len(rows), 2)
    # Plans compute in place.
    found *= 1


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1, 2], [3]], "Instance 1 must have 2 numbers"),
        ([[1], [2, 3]], "Instance 0 must have 2 numbers"),
        (["12"], "Instance 0 must be a list of 2 numbers"),
        ([[1, 2], None], "Instance 1 must be a list of 2 numbers"),
        ([[[1], [2]]], "Instance 0: value 0 must be a number"),
        ([[1, 10**400]], "Instance 0: value 1 must be a number"),
        ([[1, 2], {"a": 1, "b": 2}], "Instance 1 must be a list: the model has no feature names"),
    ],
)
def test_rows_of_another_shape_are_named(rows: list[Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        matrix_of(rows, 2, None)
