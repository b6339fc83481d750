"""One trial of a search: what was tried and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """How a trial stands. ``INFEASIBLE``: its values cannot be used together, ``STOPPED``: it was given up as hopeless."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    INFEASIBLE = "INFEASIBLE"
    STOPPED = "STOPPED"


@dataclass(frozen=True)
class Trial:
    """``number`` counts from 1. ``objectives``: one number for each objective of the study, None without a result.

    ``curve``: (step, value) pairs met on the way, by which hopeless trials are known.
    """

    number: int
    values: Mapping[str, Any]
    status: Status = Status.RUNNING
    objectives: tuple[float, ...] | None = None
    curve: tuple[tuple[float, float], ...] = field(default=())
    error: str | None = None

    @property
    def done(self) -> bool:
        return self.status is not Status.RUNNING

    def to_json(self) -> dict[str, Any]:
        """As JSON values, as far as its own values are such."""
        return {
            "number": self.number,
            "values": dict(self.values),
            "status": self.status.value,
            "objectives": None if self.objectives is None else list(self.objectives),
            "curve": [list(point) for point in self.curve],
            "error": self.error,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Trial:
        """The inverse of ``to_json``."""
        objectives = body["objectives"]
        return cls(
            body["number"],
            body["values"],
            Status(body["status"]),
            None if objectives is None else tuple(objectives),
            tuple((step, value) for step, value in body["curve"]),
            body["error"],
        )
