"""The trials of a tuned model as it is kept: what was tried, what came of it, which one serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tule.bigquery.ml.functions.function import Trained
from tule.kernel.errors import InvalidArgument

TRIAL = "trial_id"
"""The argument that names a trial, and the column that tells it."""
NOT_STARTED, RUNNING, SUCCEEDED = "NOT_STARTED", "RUNNING", "SUCCEEDED"
FAILED, INFEASIBLE, STOPPED_EARLY = "FAILED", "INFEASIBLE", "STOPPED_EARLY"


@dataclass(frozen=True)
class TunedTrial:
    """One trial. ``started`` and ``ended`` are milliseconds since 1970; metrics are as ML.EVALUATE names them.

    ``evaluated``: on the evaluation rows, by which trials are compared; ``tested``: on the test rows.
    """

    id: int
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    status: str = NOT_STARTED
    training_loss: float | None = None
    eval_loss: float | None = None
    error: str | None = None
    started: int | None = None
    ended: int | None = None
    evaluated: Mapping[str, float] = field(default_factory=dict)
    tested: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Tuning:
    """``objective``: the metric in lower case. ``optimal``: ids of the trials with its best value, ascending.

    ``kinds``: of each hyperparameter its name and ``int64``, ``float64``, ``string`` or ``array``.
    """

    objective: str
    kinds: Mapping[str, str]
    trials: Sequence[TunedTrial]
    optimal: Sequence[int]

    @property
    def default(self) -> int:
        """The trial that serves where none is named."""
        return self.optimal[0]

    def trial(self, id: int) -> TunedTrial:
        return next(each for each in self.trials if each.id == id)

    @property
    def usable(self) -> list[int]:
        """The ids of the trials that have a model."""
        return [each.id for each in self.trials if each.status == SUCCEEDED]

    def to_json(self) -> dict[str, Any]:
        return {
            "objective": self.objective,
            "kinds": dict(self.kinds),
            "trials": [asdict(each) for each in self.trials],
            "optimal": list(self.optimal),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Tuning:
        trials = [TunedTrial(**each) for each in body["trials"]]
        return cls(body["objective"], body["kinds"], trials, body["optimal"])


def trial_of(trained: Trained, wanted: Any) -> tuple[int, Trained]:
    """(id, model) of a trial; of the optimal one for None. InvalidArgument names those that there are."""
    tuning = trained.tuning
    if tuning is None or trained.of_trial is None:
        raise InvalidArgument(
            "The argument trial_id needs a model trained with NUM_TRIALS", given=trained.name,
            do="leave it out", reason="invalidQuery", location="query",
        )  # fmt: skip
    if wanted is None or wanted == tuning.default:
        return tuning.default, trained
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted not in tuning.usable:
        raise InvalidArgument(
            f"The argument trial_id must name a trial of {trained.name} that succeeded", given=repr(wanted),
            do=f"use one of {', '.join(map(str, tuning.usable))}; ML.TRIAL_INFO tells of all",
            reason="invalidQuery", location="query",
        )  # fmt: skip
    return wanted, trained.of_trial(wanted)
