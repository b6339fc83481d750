"""Hyperparameter search on plain values: what may be tried, in which order, when to give a trial up.

    space = Space([Parameter("depth", Wholes(1, 10)), Parameter("rate", Reals(1e-4, 1.0, Scale.LOG))])
    study = Study(space, [Objective("loss")], algorithm=Algorithm.BAYESIAN, seed=7)
    run(study, lambda trial, still: measure(trial.values), count=20, parallel=2)
    study.optimal()[0].values

The n-th suggestion follows from the seed, n and the trials recorded before it alone: the same seed gives the same trials,
and a study goes on from recorded trials as if it had never stopped.
"""

from tule.learn.search.running import Result, run
from tule.learn.search.spaces import (
    Categories,
    Condition,
    Discrete,
    Domain,
    Parameter,
    Reals,
    Scale,
    Space,
    Wholes,
)
from tule.learn.search.stopping import hopeless, unpromising
from tule.learn.search.study import Algorithm, Objective, Study
from tule.learn.search.trials import Status, Trial

__all__ = [
    "Algorithm",
    "Categories",
    "Condition",
    "Discrete",
    "Domain",
    "Objective",
    "Parameter",
    "Reals",
    "Result",
    "Scale",
    "Space",
    "Status",
    "Study",
    "Trial",
    "Wholes",
    "hopeless",
    "run",
    "unpromising",
]
