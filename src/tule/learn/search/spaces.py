"""What a search may try: parameters, their domains, and conditions on which a parameter exists at all."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from tule.kernel.errors import InvalidArgument


class Scale(StrEnum):
    """How a range of numbers is walked: evenly, finer towards its low end, or finer towards its high end."""

    LINEAR = "LINEAR"
    LOG = "LOG"
    REVERSE_LOG = "REVERSE_LOG"


@dataclass(frozen=True)
class Reals:
    """Numbers from ``low`` to ``high``, both included."""

    low: float
    high: float
    scale: Scale = Scale.LINEAR

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high, self.scale)

    def sample(self, random: np.random.Generator) -> float:
        return self.at(random.random())

    def at(self, share: float) -> float:
        """The number at a share of the way, 0 to 1, as the scale walks it."""
        low, high = self.low, self.high
        if self.scale is Scale.LINEAR:
            return min(high, low + share * (high - low))
        if self.scale is Scale.REVERSE_LOG:
            share = 1.0 - share
        walked = min(high, max(low, math.exp(math.log(low) + share * (math.log(high) - math.log(low)))))
        return walked if self.scale is Scale.LOG else low + high - walked

    def nearest(self, value: Any) -> float:
        return min(self.high, max(self.low, float(value)))

    def contains(self, value: Any) -> bool:
        return _is_number(value) and self.low <= value <= self.high

    def values(self) -> None:
        return None


@dataclass(frozen=True)
class Wholes:
    """Whole numbers from ``low`` to ``high``, both included."""

    low: int
    high: int
    scale: Scale = Scale.LINEAR

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high, self.scale)

    def sample(self, random: np.random.Generator) -> int:
        if self.scale is Scale.LINEAR:
            return int(random.integers(self.low, self.high + 1))
        # Each number has the room from half below it to half above it.
        wide = Reals(self.low - 0.499, self.high + 0.499, self.scale)
        return self.nearest(round(wide.sample(random)))

    def nearest(self, value: Any) -> int:
        return int(min(self.high, max(self.low, round(float(value)))))

    def contains(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def values(self) -> Sequence[int]:
        return range(self.low, self.high + 1)


@dataclass(frozen=True)
class Discrete:
    """Some numbers, ascending: neighbours are alike."""

    points: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.points or any(b <= a for a, b in itertools.pairwise(self.points)):
            raise InvalidArgument(
                "The numbers of a discrete domain must ascend, at least one", given=str(list(self.points))
            )

    def sample(self, random: np.random.Generator) -> float:
        return self.points[int(random.integers(len(self.points)))]

    def nearest(self, value: Any) -> float:
        return min(self.points, key=lambda point: abs(point - float(value)))

    def contains(self, value: Any) -> bool:
        return _is_number(value) and value in self.points

    def values(self) -> Sequence[float]:
        return self.points


@dataclass(frozen=True)
class Categories:
    """Some values that have no order."""

    choices: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.choices:
            raise InvalidArgument("A domain of categories must have at least one", given="none")
        if any(each in self.choices[:at] for at, each in enumerate(self.choices)):
            raise InvalidArgument("Categories must differ", given=str(list(self.choices)))

    def sample(self, random: np.random.Generator) -> Any:
        return self.choices[int(random.integers(len(self.choices)))]

    def nearest(self, value: Any) -> Any:
        return value if value in self.choices else self.choices[0]

    def contains(self, value: Any) -> bool:
        return value in self.choices

    def values(self) -> Sequence[Any]:
        return self.choices


Domain = Reals | Wholes | Discrete | Categories


@dataclass(frozen=True)
class Condition:
    """A parameter exists where its parent exists and has one of these values."""

    parent: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Parameter:
    name: str
    domain: Domain
    when: Condition | None = None


class Space:
    """Parameters, each after its parent. A *point* maps the names of the parameters that exist to their values."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        """InvalidArgument for none, doubles, and for conditions that name no earlier parameter."""
        self.parameters = tuple(parameters)
        if not self.parameters:
            raise InvalidArgument("A search needs at least one parameter", given="none")
        seen: set[str] = set()
        for each in self.parameters:
            if each.name in seen:
                raise InvalidArgument("Parameters must have different names", given=each.name)
            if each.when is not None and each.when.parent not in seen:
                raise InvalidArgument(
                    f"The condition of {each.name} must name a parameter before it", given=each.when.parent
                )
            seen.add(each.name)

    def __getitem__(self, name: str) -> Parameter:
        return next(each for each in self.parameters if each.name == name)

    def exists(self, parameter: Parameter, point: Mapping[str, Any]) -> bool:
        """Whether a parameter exists beside the values of those before it."""
        when = parameter.when
        return when is None or (when.parent in point and point[when.parent] in when.values)

    def sample(self, random: np.random.Generator) -> dict[str, Any]:
        """A point at random. Each parameter takes its draws whether it exists or not."""
        point: dict[str, Any] = {}
        for each in self.parameters:
            value = each.domain.sample(random)
            if self.exists(each, point):
                point[each.name] = value
        return point

    def nearest(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The point nearest to these values; of a parameter that they leave out the middle or the first value."""
        point: dict[str, Any] = {}
        for each in self.parameters:
            if self.exists(each, point):
                given = values.get(each.name)
                point[each.name] = _middle(each.domain) if given is None else each.domain.nearest(given)
        return point

    def check(self, point: Mapping[str, Any]) -> None:
        """InvalidArgument names a parameter that is missing, too many or outside its domain."""
        seen: dict[str, Any] = {}
        for each in self.parameters:
            if not self.exists(each, seen):
                continue
            if each.name not in point or not each.domain.contains(point[each.name]):
                raise InvalidArgument(
                    f"The parameter {each.name} must be in {each.domain}", given=repr(point.get(each.name)),
                    location=each.name,
                )  # fmt: skip
            seen[each.name] = point[each.name]
        if extra := [name for name in point if name not in seen]:
            raise InvalidArgument("A point must have the space's own parameters alone", given=", ".join(extra))

    def points(self) -> Iterator[dict[str, Any]] | None:
        """All points in order, the last parameter moving fastest; None where there are infinitely many."""
        if any(each.domain.values() is None for each in self.parameters):
            return None
        return self._points(0, {})

    def _points(self, place: int, point: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if place == len(self.parameters):
            yield dict(point)
            return
        parameter = self.parameters[place]
        values = parameter.domain.values()
        if not self.exists(parameter, point) or values is None:
            yield from self._points(place + 1, point)
            return
        for value in values:
            yield from self._points(place + 1, {**point, parameter.name: value})


def _middle(domain: Domain) -> Any:
    match domain:
        case Reals():
            return domain.at(0.5)
        case Wholes():
            return domain.nearest(
                (domain.low + domain.high) / 2
                if domain.scale is Scale.LINEAR
                else Reals(domain.low, domain.high, domain.scale).at(0.5)
            )
        case Discrete():
            return domain.points[(len(domain.points) - 1) // 2]
    return domain.choices[0]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_bounds(low: float, high: float, scale: Scale) -> None:
    if not (math.isfinite(low) and math.isfinite(high)) or low > high:
        raise InvalidArgument(
            "A range must go from a finite number to one that is not below it", given=f"{low}, {high}"
        )
    if scale is not Scale.LINEAR and low <= 0:
        raise InvalidArgument(f"A range of scale {scale} must begin above 0", given=f"{low}")
