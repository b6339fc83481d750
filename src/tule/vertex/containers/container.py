"""What a job or a step asks to run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from tule.kernel.errors import InvalidArgument

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


@dataclass(frozen=True, kw_only=True)
class Container:
    """An image and what runs in it. ``command`` and ``args`` are as Docker's: where both are empty, the image's own."""

    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    """Values may refer to variables before them and to those of the service: ``$(NAME)``; ``$$`` is a dollar."""
    requirements: tuple[str, ...] = ()
    """Distributions to install, as pip writes them."""
    alone: frozenset[str] = frozenset()
    """Those of the requirements whose own requirements are not installed."""
    packages: tuple[str, ...] = ()
    """``gs://`` addresses of source distributions and wheels to install."""
    cpus: float | None = None
    memory_bytes: int | None = None
    accelerators: int = 0
    wall_seconds: float | None = None
    service_account: str = ""

    def __post_init__(self) -> None:
        for name in ("command", "args", "requirements", "packages"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "env", dict(self.env))
        for limit in ("cpus", "memory_bytes", "wall_seconds"):
            value = getattr(self, limit)
            if value is not None and not value > 0:
                raise InvalidArgument(f"{limit} of a container must be more than 0", given=value)
        if self.accelerators < 0:
            raise InvalidArgument("The accelerators of a container must be 0 or more", given=self.accelerators)

    @property
    def argv(self) -> tuple[str, ...]:
        return (*self.command, *self.args)


def expand(env: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """Variables with their references replaced; one to a name that is not known stays as it is written.

    >>> expand({"A": "x", "B": "$(A)/$(HOME)/$(C)", "D": "$$(A)"}, {"HOME": "/h"})
    {'A': 'x', 'B': 'x//h/$(C)', 'D': '$(A)'}
    """
    made: dict[str, str] = {}
    for name, value in env.items():
        made[name] = _REFERENCE.sub(partial(_value, {**known, **made}), value)
    return made


def _value(names: Mapping[str, str], found: re.Match[str]) -> str:
    return "$" if found[0] == "$$" else names.get(found[1], found[0])
