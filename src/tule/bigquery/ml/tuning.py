"""Hyperparameter tuning: trials of one CREATE MODEL, chosen by ``learn.search``, each with a bundle of its own.

A trial trains on the training rows, is compared by its metric on the evaluation rows and reports the one on the test rows.
https://cloud.google.com/bigquery/docs/hp-tuning-overview
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tule.bigquery.ml.batches import FileBatches
from tule.bigquery.ml.options import ModelOptions
from tule.bigquery.ml.options import tuning as rules
from tule.bigquery.ml.trials import (
    FAILED,
    INFEASIBLE,
    RUNNING,
    STOPPED_EARLY,
    SUCCEEDED,
    TunedTrial,
    Tuning,
)
from tule.kernel.clock import Clock
from tule.kernel.errors import Cancelled, Internal, InvalidArgument, TuleError
from tule.learn import search
from tule.learn.models import Diverged

if TYPE_CHECKING:
    from tule.learn.models import Model, Progress

_LOG = logging.getLogger(__name__)
_ALGORITHMS = {
    "VIZIER_DEFAULT": search.Algorithm.BAYESIAN,
    "RANDOM_SEARCH": search.Algorithm.RANDOM,
    "GRID_SEARCH": search.Algorithm.GRID,
}
# More failed trials than this share of them end the tuning.
_MOST_FAILED = 0.1
# A trial is not given up before so many iterations.
_FIRST_LOOK = 3


@dataclass(frozen=True)
class Sets:
    """The rows of a tuning; evaluation and test rows are None where there are none."""

    training: FileBatches
    evaluation: FileBatches | None
    test: FileBatches | None


@dataclass(frozen=True)
class Tuned:
    """A tuning that is done. ``stopped``: why it ended before its last trial, of a job that was cancelled."""

    tuning: Tuning
    stopped: TuleError | None = None


Fit = Callable[[ModelOptions, Sets, "Progress"], "Model"]
"""Trains a model with the options of a trial; the last argument is told of each iteration."""
Save = Callable[[int, "Model", ModelOptions], None]
"""Keeps the model of a trial."""
Told = Callable[[Sequence[TunedTrial]], None]
"""Called with all trials whenever one of them changes."""


class _GivenUp(Exception):
    """The trial is hopeless."""


class Tuner:
    """Runs the trials of one statement."""

    def __init__(
        self,
        options: ModelOptions,
        sets: Sets,
        *,
        feasible: Callable[[ModelOptions], None],
        fit: Fit,
        save: Save,
        check: Callable[[], None],
        clock: Clock,
        told: Told,
    ) -> None:
        """``feasible`` raises InvalidArgument for options of a trial that exclude each other."""
        self._options = options
        self._feasible = feasible
        self._sets = sets
        self._fit = fit
        self._save = save
        self._check = check
        self._clock = clock
        self._told = told
        self._objective = rules.objective(options).lower()
        searched = rules.space(options)
        self._space = searched
        self._study = search.Study(
            searched,
            [search.Objective(self._objective, rules.is_maximized(self._objective.upper()))],
            algorithm=_ALGORITHMS[options["hparam_tuning_algorithm"]],
            start=rules.start(options, searched, sets.training.num_rows),
        )
        self._trials = {number: TunedTrial(number) for number in range(1, options["num_trials"] + 1)}

    def tune(self) -> Tuned:
        """InvalidArgument for data or options that no trial can be trained with, or when no trial succeeded.

        A cancelled tuning keeps the trials that succeeded before; without any it raises.
        """
        stopped: TuleError | None = None
        try:
            search.run(
                self._study,
                self._evaluate,
                count=self._options["num_trials"],
                parallel=self._options["max_parallel_trials"],
                check=self._check,
                done=self._done,
            )
        except Cancelled as error:
            if not self._optimal():
                raise
            stopped = error
        optimal = self._optimal()
        tried = [each for each in self._trials.values() if each.status not in ("NOT_STARTED", RUNNING)]
        if not optimal:
            raise InvalidArgument(
                "At least one trial must succeed", given=tried[-1].error if tried else "no trial",
                do="change the ranges of the hyperparameters, or try more trials", reason="invalidQuery",
            )  # fmt: skip
        return Tuned(Tuning(self._objective, kinds(self._options, self._space), tried, optimal), stopped)

    def _optimal(self) -> list[int]:
        """The trials with the best value."""
        found = {each.id: each.evaluated[self._objective] for each in self._trials.values() if each.status == SUCCEEDED}
        best = (max if self._study.objectives[0].maximize else min)(found.values(), default=None)
        return [number for number, value in found.items() if value == best]

    # -- one trial

    def _evaluate(self, trial: search.Trial, still: Callable[[], None]) -> search.Result:
        self._change(trial.number, status=RUNNING, hyperparameters=dict(trial.values), started=self._now())
        finished = [each.curve for each in self._study.trials if each.status is search.Status.SUCCEEDED]
        curve: list[tuple[float, float]] = []

        def progress(iteration: int, loss: float, eval_loss: float | None, fraction: float) -> None:
            still()
            if eval_loss is None or iteration < 0:
                return
            curve.append((float(iteration), eval_loss))
            if self._may_give_up(trial) and len(curve) >= _FIRST_LOOK and search.hopeless(curve, finished):
                raise _GivenUp

        options = self._options.trial(trial.values)
        try:
            self._feasible(options)
        except InvalidArgument as error:
            return self._ended(trial, INFEASIBLE, search.Status.INFEASIBLE, error.message)
        try:
            return self._measured(trial, options, progress, curve)
        except _GivenUp:
            return self._ended(trial, STOPPED_EARLY, search.Status.STOPPED, "the median of the trials before is better")
        except Diverged as error:
            return self._ended(trial, INFEASIBLE, search.Status.INFEASIBLE, error.message)
        except TuleError:
            # Cancelled, or data that no trial could learn from.
            raise
        except Exception as error:
            _LOG.warning("Trial %d failed", trial.number, exc_info=error)
            return self._ended(trial, FAILED, search.Status.FAILED, f"{type(error).__name__}: {error}")

    def _may_give_up(self, trial: search.Trial) -> bool:
        return trial.number > 1 and self._study.algorithm is search.Algorithm.BAYESIAN

    def _measured(
        self,
        trial: search.Trial,
        options: ModelOptions,
        progress: Progress,
        curve: list[tuple[float, float]],
    ) -> search.Result:
        from tule.learn import metrics

        sets = self._sets
        model = self._fit(options, sets, progress)
        judged = sets.evaluation or sets.training
        evaluated = metrics.evaluate(model, judged)
        last = model.iterations[-1]
        losses = {"training_loss": _finite(last.loss), "eval_loss": _finite(last.eval_loss)}
        if not math.isfinite(evaluated[self._objective]):
            self._change(trial.number, **losses)
            return self._ended(
                trial, INFEASIBLE, search.Status.INFEASIBLE,
                f"{self._objective} is {evaluated[self._objective]}: the model learned nothing with these values",
            )  # fmt: skip
        tested = evaluated if sets.test is None else metrics.evaluate(model, sets.test)
        self._save(trial.number, model, options)
        self._change(trial.number, **losses, status=SUCCEEDED, evaluated=evaluated, tested=tested, ended=self._now())
        return search.Result(search.Status.SUCCEEDED, (evaluated[self._objective],), tuple(curve))

    def _ended(self, trial: search.Trial, status: str, kind: search.Status, why: str) -> search.Result:
        self._change(trial.number, status=status, error=why, ended=self._now())
        return search.Result(kind, error=why)

    def _done(self, trial: search.Trial) -> None:
        failed = [each for each in self._study.trials if each.status is search.Status.FAILED]
        if len(failed) > _MOST_FAILED * self._options["num_trials"]:
            raise Internal(
                "At most one tenth of the trials may fail", given=f"{len(failed)} of {self._options['num_trials']}: "
                f"{failed[-1].error}", do="change the ranges of the hyperparameters", reason="internalError",
            )  # fmt: skip

    def _now(self) -> int:
        return round(self._clock.now().timestamp() * 1000)

    def _change(self, number: int, **changes: Any) -> None:
        self._trials[number] = replace(self._trials[number], **changes)
        self._told(list(self._trials.values()))


def kinds(options: ModelOptions, searched: search.Space) -> dict[str, str]:
    """The type of each hyperparameter in SQL."""
    return {each.name: _kind(each.name, options) for each in searched.parameters}


def _kind(name: str, options: ModelOptions) -> str:
    found = rules.tunable(name.upper(), options.model_type)
    assert found is not None
    if found.whole:
        return "int64"
    if name == "hidden_units":
        return "array"
    return "float64" if found.ranged else "string"


def spaces(options: ModelOptions) -> Mapping[str, search.Domain]:
    """The domain of each hyperparameter."""
    return {each.name: each.domain for each in rules.space(options).parameters}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
