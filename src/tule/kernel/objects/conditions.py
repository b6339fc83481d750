"""Preconditions on generations (https://cloud.google.com/storage/docs/request-preconditions)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from tule.kernel.errors import FailedPrecondition


class ConditionNotMet(FailedPrecondition):
    """A precondition of a request did not hold. ``unchanged``: it asked for another state than the present one."""

    def __init__(self, rule: str, wanted: object, present: str, *, unchanged: bool) -> None:
        super().__init__(
            f"At least one of the pre-conditions you specified did not hold: {rule} {wanted}",
            given=present,
            do="read the present state and decide again",
            reason="conditionNotMet",
            location=rule,
        )
        self.unchanged = unchanged


class Versioned(Protocol):
    """What conditions look at."""

    @property
    def generation(self) -> int: ...

    @property
    def metageneration(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold of the present state; None asks for nothing. A generation of 0 stands for "no such object"."""

    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None

    def check(self, present: Versioned | None) -> None:
        """Raise ConditionNotMet when ``present`` (None: nothing there) is not as wanted."""
        generation = 0 if present is None else present.generation
        metageneration = 0 if present is None else present.metageneration
        shown = "no object" if present is None else f"generation {generation}, metageneration {metageneration}"
        for rule, wanted, found in (
            ("ifGenerationMatch", self.generation_match, generation),
            ("ifMetagenerationMatch", self.metageneration_match, metageneration),
        ):
            if wanted is not None and wanted != found:
                raise ConditionNotMet(rule, wanted, shown, unchanged=False)
        for rule, unwanted, found in (
            ("ifGenerationNotMatch", self.generation_not_match, generation),
            ("ifMetagenerationNotMatch", self.metageneration_not_match, metageneration),
        ):
            if unwanted is not None and unwanted == found:
                raise ConditionNotMet(rule, unwanted, shown, unchanged=True)


ANY: Final = Conditions()
