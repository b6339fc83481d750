"""Measurements of a trial (their JSON): checked, chosen, and as the curve by which hopeless trials are known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tule.kernel.errors import InvalidArgument
from tule.learn.search import Objective

Measurement = Mapping[str, Any]


def check(measurement: Measurement, objectives: Sequence[Objective], *, final: bool = False) -> None:
    """InvalidArgument for metrics that the study does not have, and numbers that are none; ``final``: for lacking ones."""
    known = [each.name for each in objectives]
    found = values(measurement)
    for name, value in found.items():
        if name not in known:
            raise InvalidArgument(f"A measurement must give metrics of the study: {', '.join(known)}", given=repr(name))
        if not math.isfinite(value):
            raise InvalidArgument(
                f"The metric {name} must be a finite number", given=value,
                do="complete the trial with trial_infeasible where it has no result",
            )  # fmt: skip
    lacking = [name for name in known if name not in found]
    if lacking and (final or not found):
        raise InvalidArgument(
            f"A {'final ' if final else ''}measurement must give {', '.join(lacking)}", given=", ".join(found) or "none"
        )


def values(measurement: Measurement) -> dict[str, float]:
    """Metric id -> value; protobuf's JSON writes NaN and the infinities as texts, and leaves out 0."""
    return {each.get("metricId", ""): float(each.get("value", 0.0)) for each in measurement.get("metrics", [])}


def numbers(measurement: Measurement, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """One number for each objective of a complete measurement."""
    found = values(measurement)
    return tuple(found[each.name] for each in objectives)


def selected(measurements: Sequence[Measurement], objectives: Sequence[Objective], *, best: bool) -> Measurement | None:
    """The last complete measurement, or the one that is best in the first metric; None where none is complete."""
    complete = [each for each in measurements if all(o.name in values(each) for o in objectives)]
    if not complete:
        return None
    if not best:
        return complete[-1]
    first = objectives[0]
    turned = 1.0 if first.maximize else -1.0
    return max(complete, key=lambda each: turned * values(each)[first.name])


def curve(
    measurements: Sequence[Measurement], objective: Objective, *, elapsed: bool
) -> tuple[tuple[float, float], ...]:
    """(step, value) pairs of one metric, steps ascending; ``elapsed``: seconds in place of steps."""
    found: dict[float, float] = {}
    for at, each in enumerate(measurements, 1):
        value = values(each).get(objective.name)
        if value is not None:
            step = seconds(each.get("elapsedDuration")) if elapsed else float(each.get("stepCount") or at)
            found[step] = value
    return tuple(sorted(found.items()))


def seconds(duration: str | None) -> float:
    """
    >>> seconds("1.5s"), seconds(None)
    (1.5, 0.0)
    """
    return float(duration.removesuffix("s")) if duration else 0.0
