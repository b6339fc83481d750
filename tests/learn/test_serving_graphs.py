"""Tree ensembles as ONNX graphs, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tule.learn.runtime.graphs import Tree, ensemble, runner


def stump(**changes: Any) -> Tree:
    """x0 < 0.5 (or missing): 1, else 2."""
    parts: dict[str, Any] = {
        "left": np.array([1, 1, 2]), "right": np.array([2, 1, 2]), "feature": np.array([0, 0, 0]),
        "threshold": np.array([0.5, 0.0, 0.0]), "missing_left": np.array([True, False, False]),
        "value": np.array([0.0, 1.0, 2.0]),
    }  # fmt: skip
    return Tree(**{**parts, **changes})


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize(("or_equal", "at_threshold"), [(False, 12.0), (True, 11.0)])
def test_leaves_are_summed(kind: str, or_equal: bool, at_threshold: float) -> None:
    model = ensemble([Tree.constant(10.0), stump()], 2, 1, kind=kind, or_equal=or_equal)
    rows = np.array([[0.0, 9.0], [0.5, 9.0], [1.0, 9.0], [np.nan, 9.0]], kind)
    found = runner(model)(rows)
    assert found.dtype == kind and found.tolist() == [[11.0], [at_threshold], [12.0], [11.0]]


def test_targets_are_summed_apart() -> None:
    trees = [Tree.constant(0.5, 1), stump(target=0), stump(target=1), stump(target=1)]
    model = ensemble(trees, 1, 3, kind="float64", or_equal=True)
    assert runner(model)(np.array([[0.0]])).tolist() == [[1.0, 2.5, 0.0]]


def test_a_root_that_is_a_leaf_is_its_value() -> None:
    own = stump(left=np.array([0, 1, 2]), right=np.array([0, 1, 2]), value=np.array([7.0, 1.0, 2.0]))
    model = ensemble([own, own], 1, 1, kind="float32", or_equal=True)
    assert runner(model)(np.array([[3.0]], np.float32)).tolist() == [[14.0]]


def test_large_numbers_of_nodes_are_written_right() -> None:
    """Ids of one, two and three bytes."""
    trees = [stump(value=np.array([0.0, 1.0, float(number)])) for number in range(9000)]
    model = ensemble(trees, 1, 1, kind="float64", or_equal=True)
    run = runner(model)
    assert run(np.array([[0.0]])).tolist() == [[9000.0]]
    assert run(np.array([[1.0]])).tolist() == [[9000 * 8999 / 2]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"left": np.array([1, 0, 2])}, "outside its tree"),
        ({"right": np.array([9, 1, 2])}, "outside its tree"),
        ({"left": np.array([1, 2, 1]), "right": np.array([2, 2, 1])}, "two parents"),
        ({"feature": np.array([7, 0, 0])}, "a feature that is not there"),
        ({"feature": np.array([-1, 0, 0])}, "a feature that is not there"),
    ],
    ids=["back to the root", "beyond the end", "a circle", "no feature", "below zero"],
)
def test_what_is_no_tree_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ensemble([Tree.constant(1.0), stump(**changes)], 2, 1, kind="float64", or_equal=True)
