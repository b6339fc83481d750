"""The four levels of resources: a tensorboard has experiments, these have runs, and these have time series."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tule.kernel.errors import InvalidArgument
from tule.kernel.names import Pattern

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")


@dataclass(frozen=True)
class Level:
    """One kind of resource: of its records, its name in words, the fields that callers set, and those they may change."""

    kind: str
    word: str
    pattern: Pattern
    fields: frozenset[str]
    updatable: frozenset[str]
    named: bool = True
    """Whether its display name is its own among its siblings."""

    def check_id(self, id: str) -> str:
        if _ID.fullmatch(id) is None:
            raise InvalidArgument(f"The id of a {self.word} must match {_ID.pattern}", given=repr(id[:150]))
        return id


_NAMES = frozenset({"displayName", "description"})
_LABELLED = _NAMES | {"labels"}
_PATTERN = "projects/{project}/locations/{location}/tensorboards/{tensorboard}"

TENSORBOARD = Level(
    "tensorboard",
    "tensorboard",
    Pattern(_PATTERN),
    _LABELLED | {"isDefault"},
    _LABELLED | {"isDefault"},
    named=False,
)
EXPERIMENT = Level(
    "tensorboardExperiment",
    "tensorboard experiment",
    Pattern(f"{_PATTERN}/experiments/{{experiment}}"),
    _LABELLED | {"source"},
    _LABELLED,
    named=False,
)
RUN = Level(
    "tensorboardRun",
    "tensorboard run",
    Pattern(f"{EXPERIMENT.pattern.text}/runs/{{run}}"),
    _LABELLED,
    _LABELLED,
)
SERIES = Level(
    "tensorboardTimeSeries",
    "time series",
    Pattern(f"{RUN.pattern.text}/timeSeries/{{time_series}}"),
    _NAMES | {"valueType", "pluginName", "pluginData"},
    _NAMES | {"pluginData"},
)


def tensorboard_of(name: str) -> str:
    """The tensorboard that a resource is in."""
    return "/".join(name.split("/")[:6])
