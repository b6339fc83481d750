"""A study: a space, what is to become small or large, and the trials so far."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from tule.kernel.errors import InvalidArgument
from tule.learn.search.spaces import Space
from tule.learn.search.trials import Status, Trial

# How often a point that was tried before is drawn again before all that are left are looked through.
_REDRAWN = 20
# More points than this are as good as infinitely many.
_FEW = 10_000


class Algorithm(StrEnum):
    """``GRID``: every point in order. ``BAYESIAN``: by what the trials before it gave (tree-structured Parzen)."""

    GRID = "GRID"
    RANDOM = "RANDOM"
    BAYESIAN = "BAYESIAN"


@dataclass(frozen=True)
class Objective:
    """A measure of a trial, to be made small unless ``maximize``."""

    name: str
    maximize: bool = False

    def better(self, a: float, b: float) -> bool:
        return a > b if self.maximize else a < b


class Study:
    """Suggests trials and keeps what they gave. Not for several threads at once; ``running.run`` sees to that.

    With one objective the optimal trials are those with the best value; with several, those that no other trial beats
    in one objective without losing in another.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        *,
        algorithm: Algorithm = Algorithm.BAYESIAN,
        seed: int = 0,
        start: Mapping[str, Any] | None = None,
        trials: Iterable[Trial] = (),
        noisy: bool = False,
    ) -> None:
        """``start``: the first point to try, even outside the space; ``trials``: recorded ones to go on from.
        ``noisy``: a point may be tried again, for its measures change from run to run.

        InvalidArgument for a grid over infinitely many points.
        """
        if not objectives:
            raise InvalidArgument("A study needs at least one objective", given="none")
        if algorithm is Algorithm.GRID and space.points() is None:
            names = [each.name for each in space.parameters if each.domain.values() is None]
            raise InvalidArgument(
                "A grid search needs parameters with finitely many values", given=f"a range of {', '.join(names)}",
                do="list the values to try, or use another algorithm", location=names[0],
            )  # fmt: skip
        self.space = space
        self.objectives = tuple(objectives)
        self.algorithm = algorithm
        self.seed = seed
        self.start = start
        self.noisy = noisy
        self._trials: dict[int, Trial] = {each.number: each for each in trials}
        self._finite = _finite(space)

    @property
    def trials(self) -> list[Trial]:
        """In the order of their numbers."""
        return [self._trials[number] for number in sorted(self._trials)]

    def suggest(self, number: int | None = None) -> Trial | None:
        """The next trial, recorded as running; None when every point was tried.

        Its number follows the highest one, unless it is given: numbers of forgotten trials do not come again.
        """
        number = max(self._trials, default=0) + 1 if number is None else number
        point = self._point(number)
        if point is None:
            return None
        return self.record(Trial(number, point))

    def record(self, trial: Trial) -> Trial:
        """Keep a trial as it stands now. A succeeded one needs a finite number for each objective."""
        if trial.status is Status.SUCCEEDED:
            found = trial.objectives or ()
            if len(found) != len(self.objectives) or not all(math.isfinite(each) for each in found):
                raise InvalidArgument(
                    f"A succeeded trial needs a finite number for each of {len(self.objectives)} objectives",
                    given=str(trial.objectives),
                )
        self._trials[trial.number] = trial
        return trial

    def optimal(self) -> list[Trial]:
        """The best of the succeeded trials, in the order of their numbers."""
        done = [each for each in self.trials if each.status is Status.SUCCEEDED]
        return [each for each in done if not any(self._beats(other, each) for other in done)]

    def _beats(self, one: Trial, other: Trial) -> bool:
        ours, theirs = one.objectives or (), other.objectives or ()
        triples = list(zip(self.objectives, ours, theirs, strict=True))
        loses = any(objective.better(b, a) for objective, a, b in triples)
        return not loses and any(objective.better(a, b) for objective, a, b in triples)

    # -- the next point

    def _point(self, number: int) -> dict[str, Any] | None:
        tried = [dict(each.values) for each in self.trials]
        if not tried and self.start is not None:
            return dict(self.start)
        if self.algorithm is Algorithm.GRID:
            points = self.space.points()
            assert points is not None
            return next((point for point in points if point not in tried), None)
        if self.noisy:
            return self._draw(number, 0)
        if self._finite is not None and all(point in tried for point in self._finite):
            return None
        for attempt in range(_REDRAWN):
            point = self._draw(number, attempt)
            if point not in tried:
                return point
        if self._finite is None:
            return point
        left = [each for each in self._finite if each not in tried]
        return left[int(self._random(number, _REDRAWN).integers(len(left)))]

    def _draw(self, number: int, attempt: int) -> dict[str, Any]:
        if self.algorithm is Algorithm.RANDOM or attempt > 0:
            return self.space.sample(self._random(number, attempt))
        from tule.learn.search.bayesian import suggestion

        return suggestion(self.space, self.objectives, self.trials, seed=_mixed(self.seed, number))

    def _random(self, number: int, attempt: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, number, attempt])


def _mixed(seed: int, number: int) -> int:
    """Another seed for each number."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _finite(space: Space) -> list[dict[str, Any]] | None:
    """All points where they are few."""
    points: Iterator[dict[str, Any]] | None = space.points()
    if points is None:
        return None
    few = list(itertools.islice(points, _FEW + 1))
    return few if len(few) <= _FEW else None
