"""``learn.search``: what is suggested, in which order, when trials are given up, and that it is the same each time."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tule.kernel.errors import Cancelled, InvalidArgument
from tule.learn.models.fitting import thread_count
from tule.learn.search import (
    Algorithm,
    Categories,
    Condition,
    Discrete,
    Objective,
    Parameter,
    Reals,
    Result,
    Scale,
    Space,
    Status,
    Study,
    Trial,
    Wholes,
    hopeless,
    run,
    unpromising,
)

FULL = Space(
    [
        Parameter("kind", Categories(("near", "far"))),
        Parameter("rate", Reals(1e-4, 1.0, Scale.LOG), Condition("kind", ("near",))),
        Parameter("share", Reals(0.1, 0.99, Scale.REVERSE_LOG)),
        Parameter("depth", Wholes(1, 8)),
        Parameter("size", Discrete((0.5, 2.0, 8.0)), Condition("kind", ("far",))),
    ]
)
SMALL = Space([Parameter("a", Wholes(1, 3)), Parameter("b", Categories(("x", "y")))])


def bowl(trial: Trial, still: Callable[[], None]) -> Result:
    """Best near rate 0.01, depth 5, kind near."""
    values = trial.values
    far = 1.0 if values["kind"] == "far" else abs(math.log10(values["rate"]) + 2) / 4
    return Result(Status.SUCCEEDED, (far + abs(values["depth"] - 5) / 10 + values["share"] / 10,))


def searched(space: Space = FULL, evaluate: Any = bowl, *, count: int = 24, parallel: int = 1, **more: Any) -> Study:
    study = Study(space, more.pop("objectives", [Objective("loss")]), **more)
    run(study, evaluate, count=count, parallel=parallel)
    return study


@pytest.mark.parametrize("algorithm", [Algorithm.RANDOM, Algorithm.BAYESIAN])
def test_points_lie_in_the_space_and_conditional_parameters_only_beside_their_parents(algorithm: Algorithm) -> None:
    study = searched(algorithm=algorithm, seed=5)
    for trial in study.trials:
        FULL.check(trial.values)
        assert ("rate" in trial.values) == (trial.values["kind"] == "near")
        assert ("size" in trial.values) == (trial.values["kind"] == "far")
    assert len({str(trial.values) for trial in study.trials}) == 24


@pytest.mark.parametrize("parallel", [1, 3])
def test_the_same_seed_gives_the_same_trials_and_another_one_others(parallel: int) -> None:
    first, again, other = (searched(parallel=parallel, seed=seed) for seed in (7, 7, 8))
    assert first.trials == again.trials
    assert first.trials != other.trials


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_study_goes_on_from_recorded_trials_as_if_it_had_not_stopped(algorithm: Algorithm) -> None:
    space = SMALL if algorithm is Algorithm.GRID else FULL
    objective: Any = bowl if space is FULL else lambda trial, still: Result(Status.SUCCEEDED, (trial.values["a"],))
    whole = searched(space, objective, count=12, algorithm=algorithm, seed=3)
    half = searched(space, objective, count=5, algorithm=algorithm, seed=3)
    recorded = [Trial.from_json(each.to_json()) for each in half.trials]
    resumed = searched(space, objective, count=12, algorithm=algorithm, seed=3, trials=recorded)
    assert resumed.trials == whole.trials


def test_the_bayesian_search_finds_what_a_random_one_does_not() -> None:
    def best(algorithm: Algorithm) -> float:
        found = [searched(count=40, algorithm=algorithm, seed=seed).optimal()[0].objectives for seed in range(3)]
        return float(np.mean([each[0] for each in found if each is not None]))

    assert best(Algorithm.BAYESIAN) < best(Algorithm.RANDOM)


def test_a_grid_takes_every_point_in_order_and_then_ends() -> None:
    study = searched(SMALL, lambda trial, still: Result(Status.SUCCEEDED, (0.0,)), count=50, algorithm=Algorithm.GRID)
    assert [tuple(trial.values.values()) for trial in study.trials] == [(a, b) for a in (1, 2, 3) for b in "xy"]
    assert study.suggest() is None


@pytest.mark.parametrize("algorithm", [Algorithm.RANDOM, Algorithm.BAYESIAN])
def test_a_space_of_few_points_is_exhausted_without_doubles(algorithm: Algorithm) -> None:
    study = searched(
        SMALL, lambda trial, still: Result(Status.SUCCEEDED, (trial.values["a"],)), count=50, algorithm=algorithm
    )
    assert sorted(tuple(trial.values.values()) for trial in study.trials) == [(a, b) for a in (1, 2, 3) for b in "xy"]


def test_the_search_starts_where_it_is_told_even_outside_the_space() -> None:
    study = searched(start={"kind": "near", "rate": 0.0, "share": 0.5, "depth": 3}, evaluate=_flat, count=6)
    assert study.trials[0].values["rate"] == 0.0
    assert all(trial.values.get("rate", 1.0) >= 1e-4 for trial in study.trials[1:])


def _flat(trial: Trial, still: Callable[[], None]) -> Result:
    return Result(Status.SUCCEEDED, (float(trial.number),))


def test_the_nearest_point() -> None:
    assert FULL.nearest({"kind": "far", "share": 7, "depth": -2, "size": 3.0, "rate": 0.5}) == {
        "kind": "far",
        "share": 0.99,
        "depth": 1,
        "size": 2.0,
    }


def test_scales_walk_finer_towards_their_end() -> None:
    draws = np.random.default_rng(0)
    low = [Reals(0.001, 1.0, Scale.LOG).sample(draws) for _ in range(400)]
    high = [Reals(0.001, 1.0, Scale.REVERSE_LOG).sample(draws) for _ in range(400)]
    assert np.median(low) < 0.1 < 0.9 < np.median(high)
    whole = [Wholes(1, 1000, Scale.LOG).sample(draws) for _ in range(400)]
    assert min(whole) >= 1 and max(whole) <= 1000 and np.median(whole) < 100


def test_optimal_trials_with_several_objectives_are_those_that_none_beats() -> None:
    def both(trial: Trial, still: Callable[[], None]) -> Result:
        a = float(trial.values["a"])
        return Result(Status.SUCCEEDED, (a, a if trial.values["b"] == "x" else a - 0.5))

    objectives = [Objective("cost"), Objective("gain", maximize=True)]
    study = searched(SMALL, both, count=6, algorithm=Algorithm.GRID, objectives=objectives)
    assert [(each.values["a"], each.values["b"]) for each in study.optimal()] == [(1, "x"), (2, "x"), (3, "x")]


def test_equal_trials_are_all_optimal_and_those_without_a_result_never() -> None:
    study = Study(SMALL, [Objective("auc", maximize=True)])
    for number, (status, value) in enumerate([("FAILED", None), ("SUCCEEDED", 0.9), ("STOPPED", None)], 1):
        study.record(Trial(number, {"a": number, "b": "x"}, Status(status), None if value is None else (value,)))
    study.record(Trial(4, {"a": 1, "b": "y"}, Status.SUCCEEDED, (0.9,)))
    assert [each.number for each in study.optimal()] == [2, 4]


def test_a_trial_is_hopeless_beyond_the_median_of_the_others_means() -> None:
    others = [[(step, start / step) for step in (1, 2, 3)] for start in (1.0, 1.2, 1.4, 1.6, 1.8)]
    assert not hopeless([(1, 1.0)], others)
    assert hopeless([(1, 2.0), (2, 1.9)], others)
    assert not hopeless([(1, 2.0), (2, 1.9)], others[:4]), "too few to compare with"
    assert not hopeless([(4, 9.0)], others), "none has come as far"
    assert hopeless([(1, 0.1)], [[(1, 0.5)]] * 5, maximize=True)
    assert not hopeless([(1, 0.6)], [[(1, 0.5)]] * 5, maximize=True)


def test_parallel_trials_share_the_processors() -> None:
    seen: list[int] = []
    together = threading.Barrier(2, timeout=30)

    def evaluate(trial: Trial, still: Callable[[], None]) -> Result:
        together.wait()
        seen.append(thread_count())
        return Result(Status.SUCCEEDED, (0.0,))

    searched(evaluate=evaluate, count=4, parallel=2)
    assert seen == [max(1, thread_count() // 2)] * 4


def test_cancelling_ends_every_running_trial() -> None:
    started, cancelled = threading.Barrier(3, timeout=30), threading.Event()
    ended: list[int] = []

    def check() -> None:
        if cancelled.is_set():
            raise Cancelled("no more")

    def evaluate(trial: Trial, still: Callable[[], None]) -> Result:
        started.wait()
        cancelled.wait(30)
        try:
            still()
        finally:
            ended.append(trial.number)
        return Result(Status.SUCCEEDED, (0.0,))

    study = Study(FULL, [Objective("loss")])
    canceller = threading.Thread(target=lambda: (started.wait(), cancelled.set()))
    canceller.start()
    with pytest.raises(Cancelled, match="no more"):
        run(study, evaluate, count=10, parallel=2, check=check)
    canceller.join()
    assert sorted(ended) == [1, 2] and all(not trial.done for trial in study.trials)


def test_an_error_of_one_trial_ends_the_others() -> None:
    failed = threading.Event()

    def evaluate(trial: Trial, still: Callable[[], None]) -> Result:
        if trial.number == 1:
            failed.set()
            raise InvalidArgument("bad data")
        failed.wait(30)
        while True:
            still()

    with pytest.raises(InvalidArgument, match="bad data"):
        run(Study(FULL, [Objective("loss")]), evaluate, count=4, parallel=2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Space([]), "at least one parameter"),
        (lambda: Space([Parameter("a", Wholes(1, 2)), Parameter("a", Wholes(1, 2))]), "different names"),
        (
            lambda: Space([Parameter("a", Wholes(1, 2), Condition("b", (1,))), Parameter("b", Wholes(1, 2))]),
            "a parameter before it",
        ),
        (lambda: Reals(1.0, 0.0), "not below it"),
        (lambda: Reals(0.0, 1.0, Scale.LOG), "begin above 0"),
        (lambda: Reals(0.0, math.inf), "finite"),
        (lambda: Discrete((2.0, 1.0)), "must ascend"),
        (lambda: Categories(()), "at least one"),
        (lambda: Categories(("a", "a")), "must differ"),
        (lambda: Study(FULL, []), "at least one objective"),
        (lambda: Study(FULL, [Objective("x")], algorithm=Algorithm.GRID), "finitely many values"),
        (lambda: FULL.check({"kind": "near", "share": 0.5, "depth": 3}), "parameter rate must be"),
        (lambda: SMALL.check({"a": 1, "b": "x", "c": 2}), "own parameters alone"),
    ],
    ids=["none", "double", "order", "bounds", "log", "infinite", "discrete", "empty", "same", "objective", "grid",
         "missing", "extra"],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        make()


def test_a_succeeded_trial_needs_its_numbers() -> None:
    study = Study(SMALL, [Objective("loss")])
    trial = study.suggest()
    assert trial is not None
    with pytest.raises(InvalidArgument, match="a finite number for each of 1 objectives"):
        study.record(replace(trial, status=Status.SUCCEEDED, objectives=(math.nan,)))
    assert study.trials == [trial]


def _falling(at: float, steps: int = 6) -> list[tuple[float, float]]:
    return [(float(step), at + 1.0 / step) for step in range(1, steps + 1)]


def test_a_curve_that_cannot_reach_the_best_is_unpromising() -> None:
    others = [_falling(at / 20) for at in range(6)]
    assert unpromising(_falling(3.0, 3), others)
    assert not unpromising(_falling(-0.1, 3), others)
    raised = [[(step, -value) for step, value in each] for each in others]
    assert unpromising([(step, -value) for step, value in _falling(3.0, 3)], raised, maximize=True)
    # Too few to judge by, or none that came as far.
    assert not unpromising(_falling(3.0, 3), others[:4])
    assert not unpromising(_falling(3.0, 9), others)
    assert not unpromising([], others)


def test_a_noisy_study_may_repeat_a_point_and_numbers_may_be_given() -> None:
    space = Space([Parameter("x", Categories(("a",)))])
    noisy = Study(space, [Objective("loss")], algorithm=Algorithm.RANDOM, noisy=True)
    assert [trial.values for trial in (noisy.suggest(), noisy.suggest()) if trial] == [{"x": "a"}] * 2
    once = Study(space, [Objective("loss")], algorithm=Algorithm.RANDOM)
    first = once.suggest(7)
    assert first is not None
    assert first.number == 7
    assert once.suggest() is None
