"""What an automatic search tries: a fixed order of models that do well on tables, then trees tuned from there on."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tule.learn.search.spaces import Categories, Parameter, Reals, Scale, Space, Wholes

# Families other than trees know no more classes.
MOST_CLASSES = 50
MANY_ROWS = 12_000


@dataclass(frozen=True)
class Candidate:
    """A family with its options. ``logarithm``: it learns log(1 + label)."""

    family: str
    options: Mapping[str, Any]
    logarithm: bool = False


@dataclass(frozen=True)
class Problem:
    """What decides which candidates there are. ``classes`` 0: a regression."""

    rows: int
    classes: int
    skewed: bool = False
    """Whether the label is positive with a long tail, so that its logarithm is worth learning."""


def portfolio(problem: Problem) -> list[Candidate]:
    """The candidates in the order in which they are tried: the ones that help most often first."""
    deep = _trees(
        problem, "LABEL_ENCODING", max_tree_depth=8, min_tree_child_weight=5, subsample=0.8, colsample_bytree=0.7
    )
    shallow = _trees(problem, "ONE_HOT_ENCODING", max_tree_depth=4, subsample=0.8, colsample_bytree=0.5)
    middle = _trees(
        problem, "TARGET_ENCODING", max_tree_depth=6, min_tree_child_weight=3, subsample=0.9, colsample_bytree=0.6
    )
    broad = _trees(
        problem, "LABEL_ENCODING", max_tree_depth=10, min_tree_child_weight=20, subsample=0.7, colsample_bytree=0.5
    )
    plain = [_linear(problem)] if problem.classes <= MOST_CLASSES else []
    networks = _networks(problem) if plain else []
    if problem.classes > 2:
        # Trees are grown for each class: what is cheap comes first.
        return [*plain, *networks, shallow, deep, middle]
    if problem.skewed:
        target = _trees(problem, "TARGET_ENCODING", max_tree_depth=4, subsample=0.8, colsample_bytree=0.4)
        logs = [replace(each, logarithm=True) for each in (deep, target, broad)]
        return [*logs, shallow, deep, *plain, middle, _forest(problem), *networks]
    if not problem.classes:
        return [deep, shallow, middle, *plain, broad, _forest(problem), *networks]
    return [deep, shallow, *plain, middle, *networks, broad, _forest(problem)]


def last_resort(problem: Problem) -> Candidate:
    """What is trained where the budget is over before anything else was: a few quick trees."""
    options = {"learn_rate": 0.3, "max_iterations": 30, "category_encoding_method": "LABEL_ENCODING"}
    return Candidate(_named("boosted_tree", problem), options)


def trees(problem: Problem) -> Space:
    """Where trees are tuned after the portfolio."""
    return Space([*_TREES, *_SKEWED] if problem.skewed else _TREES)


_SKEWED = [Parameter("logarithm", Categories((True, False)))]
_TREES = [
    Parameter("category_encoding_method", Categories(("LABEL_ENCODING", "ONE_HOT_ENCODING", "TARGET_ENCODING"))),
    Parameter("learn_rate", Reals(0.02, 0.12, Scale.LOG)),
    Parameter("max_tree_depth", Wholes(3, 11)),
    Parameter("min_tree_child_weight", Wholes(1, 30, Scale.LOG)),
    Parameter("subsample", Reals(0.5, 1.0)),
    Parameter("colsample_bytree", Reals(0.25, 1.0)),
    Parameter("colsample_bynode", Reals(0.5, 1.0)),
    Parameter("l2_reg", Reals(0.05, 20.0, Scale.LOG)),
]


def tuned_trees(problem: Problem, values: Mapping[str, Any]) -> Candidate:
    """The candidate of a point of ``trees``."""
    options = dict(values)
    logarithm = options.pop("logarithm", False)
    return _trees(problem, options.pop("category_encoding_method"), logarithm=logarithm, **options)


def point_of(candidate: Candidate, space: Space) -> dict[str, Any]:
    """The point of ``trees`` nearest to a candidate of trees."""
    return space.nearest({**candidate.options, "logarithm": candidate.logarithm})


def _trees(problem: Problem, encoding: str, *, logarithm: bool = False, **options: Any) -> Candidate:
    # Where trees cost much they are fewer and take longer steps.
    rate = 0.05 if problem.classes <= 2 and problem.rows <= MANY_ROWS else 0.1
    usual = {"learn_rate": rate, "max_iterations": 1500, "patience": 40, "early_stop": False}
    named = {"category_encoding_method": encoding, **usual, **options}
    return Candidate(_named("boosted_tree", problem), named, logarithm)


def _forest(problem: Problem) -> Candidate:
    options = {"num_parallel_tree": 200, "category_encoding_method": "LABEL_ENCODING", "colsample_bynode": 0.4}
    return Candidate(_named("random_forest", problem), options)


def _linear(problem: Problem) -> Candidate:
    family = "logistic_regression" if problem.classes else "linear_regression"
    return Candidate(family, {"l2_reg": 1e-3}, problem.skewed)


def _networks(problem: Problem) -> list[Candidate]:
    """Two networks; of several classes and few rows larger ones too, slowly learned. None without PyTorch."""
    if importlib.util.find_spec("torch") is None:
        return []
    large = []
    if problem.classes > 2 and problem.rows <= MANY_ROWS:
        slowly: dict[str, Any] = {"learn_rate": 0.0005, "max_iterations": 150, "patience": 15}
        large = [
            _network(problem, [512, 256], "RELU6", dropout=0.5, **slowly),
            _network(problem, [512], "RELU", dropout=0.5, **slowly),
        ]
    return [
        *large,
        _network(problem, [128, 64], "RELU", dropout=0.1, logarithm=problem.skewed),
        _network(problem, [256], "ELU", dropout=0.3),
    ]


def _network(
    problem: Problem, layers: list[int], activation: str, *, dropout: float, logarithm: bool = False, **more: Any
) -> Candidate:
    options: dict[str, Any] = {
        "hidden_units": layers,
        "activation_fn": activation,
        "dropout": dropout,
        "batch_size": max(32, min(512, problem.rows // 100)),
        "learn_rate": 0.002,
        "max_iterations": 60,
        "patience": 6,
        "early_stop": False,
        **more,
    }
    return Candidate(_named("dnn", problem), options, logarithm)


def _named(stem: str, problem: Problem) -> str:
    return f"{stem}_{'classifier' if problem.classes else 'regressor'}"
