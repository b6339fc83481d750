"""Trees evaluated by ONNX Runtime: every answer equal to xgboost's own, or the work left to xgboost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from tule.learn.runtime.boosters import BoosterPredictor
from tule.learn.runtime.forests import forest_of

RANDOM = np.random.default_rng(5)
ROWS = RANDOM.normal(size=(2000, 7)).astype(np.float32)
ROWS[RANDOM.random(ROWS.shape) < 0.15] = np.nan
SCORES = np.nan_to_num(ROWS) @ np.arange(7.0) + RANDOM.normal(size=2000)


def trained(rounds: int = 30, target: Any = None, **parameters: Any) -> xgboost.Booster:
    label = SCORES if target is None else target
    depth = {} if parameters.get("booster") == "gblinear" else {"max_depth": 5}
    made = xgboost.train({"nthread": 1, **depth, **parameters}, xgboost.DMatrix(ROWS, label=label), rounds)
    copy = xgboost.Booster()
    copy.load_model(made.save_raw("ubj"))
    return copy


def wanted(booster: xgboost.Booster, rows: np.ndarray) -> np.ndarray:
    return booster.predict(xgboost.DMatrix(rows))


@pytest.mark.parametrize(
    ("objective", "parameters"),
    [
        ("reg:squarederror", {}),
        ("reg:squarederror", {"base_score": 12.5, "max_depth": 6}),
        ("reg:absoluteerror", {}),
        ("binary:logistic", {}),
        ("binary:logistic", {"base_score": 0.5, "num_parallel_tree": 3, "subsample": 0.5}),
        ("binary:logitraw", {}),
        ("reg:squarederror", {"max_depth": 12, "min_child_weight": 0}),
        ("multi:softprob", {"num_class": 4, "max_depth": 3}),
        ("multi:softprob", {"num_class": 4, "num_parallel_tree": 2, "subsample": 0.7}),
    ],
)
def test_answers_are_xgboosts_bit_for_bit(objective: str, parameters: dict[str, Any]) -> None:
    target = SCORES
    if objective.startswith("binary"):
        target = (SCORES > 0).astype(float)
    elif objective.startswith("multi"):
        target = np.digitize(SCORES, np.quantile(SCORES, [0.25, 0.5, 0.75])).astype(float)
    booster = trained(target=target, objective=objective, **parameters)
    forest = forest_of(booster)
    assert forest is not None
    for rows in (ROWS, forest.probes(3000), ROWS * 1e30, np.zeros((1, 7), np.float32)):
        np.testing.assert_array_equal(forest.predict(rows), wanted(booster, rows))
    assert len(forest.predict(ROWS[:0])) == 0
    predictor = BoosterPredictor(booster)
    assert predictor._forest is not None
    for count in (1, 3, 17, 400):
        np.testing.assert_array_equal(predictor.predict(ROWS[:count]), wanted(booster, ROWS[:count]))


def test_constant_trees_and_a_single_one() -> None:
    for rounds, parameters in ((1, {}), (3, {"gamma": 1e9}), (3, {"max_depth": 1})):
        booster = trained(rounds, **parameters)
        forest = forest_of(booster)
        assert forest is not None
        np.testing.assert_array_equal(forest.predict(ROWS), wanted(booster, ROWS))


@pytest.mark.parametrize(
    ("why", "parameters"),
    [
        ("dart", {"booster": "dart", "rate_drop": 0.5}),
        ("linear", {"booster": "gblinear"}),
        ("another objective", {"objective": "reg:tweedie", "target": np.abs(SCORES)}),
    ],
)
def test_what_is_left_to_xgboost(why: str, parameters: dict[str, Any]) -> None:
    booster = trained(**parameters)
    assert forest_of(booster) is None, why
    np.testing.assert_array_equal(BoosterPredictor(booster).predict(ROWS[:5]), wanted(booster, ROWS[:5]))


def test_categorical_splits_are_left_to_xgboost() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"c": pandas.Categorical(RANDOM.integers(0, 9, 2000)), "x": ROWS[:, 0]})
    data = xgboost.DMatrix(frame, label=RANDOM.normal(size=2000) + frame["c"].cat.codes % 3, enable_categorical=True)
    assert forest_of(xgboost.train({"max_depth": 4}, data, 5)) is None


def test_a_forest_that_differs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from tule.learn.runtime import boosters

    booster = trained()
    other = forest_of(trained(29))
    monkeypatch.setattr(boosters, "forest_of", lambda booster: other)
    predictor = BoosterPredictor(booster)
    assert predictor._forest is None
    np.testing.assert_array_equal(predictor.predict(ROWS[:2]), wanted(booster, ROWS[:2]))


def test_without_onnx_runtime_xgboost_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    booster = trained()
    assert forest_of(booster) is None
    np.testing.assert_array_equal(BoosterPredictor(booster).predict(ROWS[:5]), wanted(booster, ROWS[:5]))


def test_onnx_runtime_reports_its_use_to_nobody(tmp_path: Path) -> None:
    code = """
import numpy
from tule.learn.runtime import graphs
model = graphs.ensemble([graphs.Tree.constant(1.5)], 1, 1, kind="float32", or_equal=False)
print(graphs.runner(model)(numpy.zeros((1, 1), "f4")))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stdout.strip() == "[[1.5]]"
    # A build that reports keeps what it is going to send beneath the home directory.
    assert list(tmp_path.rglob("*")) == []
