"""The next point by a tree-structured Parzen estimator (Bergstra et al. 2011), as optuna has it.

A study of optuna is made anew for each suggestion, from the trials recorded so far and a seed of its own: so that a
suggestion depends on nothing else. Numbers reach it on the scale on which they are walked.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tule.learn.search.spaces import Categories, Discrete, Domain, Parameter, Reals, Scale, Space, Wholes
from tule.learn.search.trials import Status, Trial

if TYPE_CHECKING:
    import optuna

    from tule.learn.search.study import Objective

# Before there are so many results points are drawn at random.
_FEWEST, _MOST = 4, 10


def suggestion(space: Space, objectives: Sequence[Objective], trials: Sequence[Trial], *, seed: int) -> dict[str, Any]:
    """A point that promises an improvement on the succeeded trials, away from those that still run."""
    import optuna

    with warnings.catch_warnings():
        # Its newer options are marked as experimental.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=max(_FEWEST, min(_MOST, 2 * len(space.parameters))),
            multivariate=True,
            group=True,
            constant_liar=True,
        )
    # Its log tells of every trial otherwise.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ways = optuna.study.StudyDirection
    directions = [ways.MAXIMIZE if each.maximize else ways.MINIMIZE for each in objectives]
    study = optuna.create_study(sampler=sampler, directions=directions)
    study.add_trials([_recorded(space, each) for each in trials if each.status in _STATES])
    asked = study.ask()
    point: dict[str, Any] = {}
    for each in space.parameters:
        if space.exists(each, point):
            point[each.name] = _outward(each.domain, _asked(asked, each))
    return point


# Trials without a result say nothing.
_STATES = (Status.SUCCEEDED, Status.RUNNING)


def _recorded(space: Space, trial: Trial) -> optuna.trial.FrozenTrial:
    import optuna

    known = [each for each in space.parameters if each.name in trial.values]
    parameters: Mapping[str, Any] = {
        each.name: _inward(each.domain, each.domain.nearest(trial.values[each.name])) for each in known
    }
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState.COMPLETE if trial.done else optuna.trial.TrialState.RUNNING,
        params=dict(parameters),
        distributions={each.name: _distribution(each.domain) for each in known},
        values=list(trial.objectives) if trial.objectives is not None else None,
    )


def _asked(trial: optuna.trial.Trial, parameter: Parameter) -> Any:
    match parameter.domain:
        case Reals(low, high, scale):
            return trial.suggest_float(parameter.name, low, high, log=scale is not Scale.LINEAR)
        case Wholes(low, high, scale):
            return trial.suggest_int(parameter.name, low, high, log=scale is not Scale.LINEAR)
        case Discrete(points):
            return trial.suggest_int(parameter.name, 0, len(points) - 1)
        case Categories(choices):
            return trial.suggest_categorical(parameter.name, list(range(len(choices))))


def _distribution(domain: Domain) -> optuna.distributions.BaseDistribution:
    import optuna

    match domain:
        case Reals(low, high, scale):
            return optuna.distributions.FloatDistribution(low, high, log=scale is not Scale.LINEAR)
        case Wholes(low, high, scale):
            return optuna.distributions.IntDistribution(low, high, log=scale is not Scale.LINEAR)
        case Discrete(points):
            return optuna.distributions.IntDistribution(0, len(points) - 1)
    return optuna.distributions.CategoricalDistribution(list(range(len(domain.choices))))


def _inward(domain: Domain, value: Any) -> Any:
    """A value of a domain as optuna is told it."""
    match domain:
        case Reals(low, high, Scale.REVERSE_LOG) | Wholes(low, high, Scale.REVERSE_LOG):
            return min(high, max(low, low + high - value))
        case Discrete(points):
            return points.index(value)
        case Categories(choices):
            return choices.index(value)
    return value


def _outward(domain: Domain, value: Any) -> Any:
    match domain:
        case Reals(low, high, Scale.REVERSE_LOG):
            return min(high, max(low, low + high - value))
        case Wholes(low, high, Scale.REVERSE_LOG):
            return low + high - int(value)
        case Wholes():
            return int(value)
        case Reals(low, high, _):
            return min(high, max(low, float(value))) if math.isfinite(value) else low
        case Discrete(points):
            return points[int(value)]
    return domain.choices[int(value)]
