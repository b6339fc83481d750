"""What a job is asked to do, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from tule.kernel.errors import InvalidArgument


class Reason(StrEnum):
    """Why a process is no more."""

    EXITED = "exited"
    """It ended by itself; ``code`` tells how."""
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    CPU_LIMIT = "cpu_limit"
    DISK_LIMIT = "disk_limit"
    HANG = "hang"
    """It neither wrote nor computed anything for as long as it may."""
    SIGNALLED = "signalled"
    """A signal that nobody asked for ended it: a crash, or someone's kill."""
    CANCELLED = "cancelled"
    LOST = "lost"
    """Nobody saw how it ended: the server or the machine went down."""


_LIMITS = ("cpu_seconds", "memory_bytes", "wall_seconds", "file_bytes", "disk_bytes", "idle_seconds", "cpus")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One process to run. The environment is exactly ``env`` and the variables named in ``inherit_env``, never more.

    Limits count for the process and all its descendants together; None is no limit. ``memory_bytes`` limits resident
    memory, ``wall_seconds`` real time, ``file_bytes`` each file that is written, ``disk_bytes`` all files below ``scratch``.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    """Folder to run in; None gives a fresh empty one."""
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    wall_seconds: float | None = None
    file_bytes: int | None = None
    disk_bytes: int | None = None
    scratch: str | None = None
    """Folder whose files count as its own; None is the folder it runs in."""
    idle_seconds: float | None = None
    """How long it may neither write to its output nor use its processors before it counts as hung."""
    cpus: float | None = None
    """Processors it may run on at a time, rounded up."""
    inherit_env: tuple[str, ...] = ()
    network: bool = True
    """False: no sockets but local ones."""
    preload: tuple[str, ...] = ()
    """Python modules, and files of Python that import some, which ``argv``, an interpreter with a script, imports anyway.
    A runner may fork the process from an interpreter that has done so; what it sees is the same."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "argv", tuple(self.argv))
        object.__setattr__(self, "env", dict(self.env))
        object.__setattr__(self, "inherit_env", tuple(self.inherit_env))
        object.__setattr__(self, "preload", tuple(self.preload))
        if not self.argv or not self.argv[0]:
            raise InvalidArgument("A job must name a program to run", given=f"argv {list(self.argv)!r}")
        for text in (*self.argv, *self.env, *self.env.values(), self.cwd or ""):
            if not isinstance(text, str) or "\x00" in text:
                raise InvalidArgument("Arguments and variables must be texts without NUL", given=repr(text))
        for name in self.env:
            if not name or "=" in name:
                raise InvalidArgument("A variable's name must not be empty nor hold =", given=repr(name))
        for limit in _LIMITS:
            value = getattr(self, limit)
            if value is not None and not value > 0:
                raise InvalidArgument(f"{limit} must be more than 0, or None for no limit", given=value)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> JobSpec:
        return cls(**stored)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process ended, and what it used."""

    reason: Reason
    code: int | None = None
    """Exit status, where it ended by itself."""
    signal: int | None = None
    detail: str = ""
    """What was seen, in a sentence: the limit and the use, the signal, the program that could not be run."""
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0

    @property
    def succeeded(self) -> bool:
        return self.reason is Reason.EXITED and self.code == 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Exit:
        return cls(**{**stored, "reason": Reason(stored["reason"])})


@dataclass(frozen=True, slots=True)
class State:
    """A look at a process: running while ``exit`` is None."""

    exit: Exit | None = None

    @property
    def running(self) -> bool:
        return self.exit is None
