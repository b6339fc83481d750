"""The command that runs an image, and whether there is a working engine to run it.

A container is the engine's process, not a child of its command line: whoever ends the command by force removes the
container by its name (``remove``); a server that starts does so for those that an earlier one left.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tule.kernel.clock import Clock

_PROGRAMS = ("docker", "podman")
_PATIENCE = 20
# How long an answer about the engine is taken for granted (seconds).
_FRESH = 30.0


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to run. ``command`` replaces the image's entry point, ``args`` its command. ``variables`` are names: their
    values are taken from the environment that the command runs in. ``volumes``: folders and files by their place inside."""

    image: str
    name: str
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    variables: Sequence[str] = ()
    volumes: Mapping[str, Path] = field(default_factory=dict)
    read_only: Mapping[str, Path] = field(default_factory=dict)
    cpus: float | None = None
    memory_bytes: int | None = None
    gpus: int = 0


class ContainerEngine:
    """The first of Docker and Podman that works."""

    def __init__(self, clock: Clock, environ: Mapping[str, str] | None = None) -> None:
        self._clock = clock
        self._environ = dict(os.environ if environ is None else environ)
        self._lock = threading.Lock()
        self._asked: tuple[float, str, str] | None = None

    @property
    def trouble(self) -> str:
        """Why no image can be run; empty where one can."""
        return self._find()[1]

    @property
    def variables(self) -> dict[str, str]:
        """What the command line needs to find its engine."""
        kept = ("DOCKER_", "CONTAINER_", "XDG_RUNTIME_DIR")
        return {name: value for name, value in self._environ.items() if name.startswith(kept)}

    def argv(self, order: Order) -> tuple[str, ...]:
        """The command that runs an image to its end, in front."""
        program = self._find()[0]
        made = [program, "run", "--rm", "--init", "--name", order.name]
        # The server listens on loopback only.
        made += ["--network", "host"]
        for name in order.variables:
            made += ["--env", name]
        for inside, path in order.volumes.items():
            made += ["--volume", f"{path}:{inside}"]
        for inside, path in order.read_only.items():
            made += ["--volume", f"{path}:{inside}:ro"]
        if order.cpus is not None:
            made += ["--cpus", f"{order.cpus:g}"]
        if order.memory_bytes is not None:
            made += ["--memory", f"{order.memory_bytes}b"]
        if order.gpus:
            made += ["--gpus", str(order.gpus)]
        if order.command:
            made += ["--entrypoint", order.command[0]]
        return (*made, order.image, *order.command[1:], *order.args)

    def remove(self, name: str) -> None:
        """End a container, if there is one of this name."""
        program = self._find()[0]
        if program:
            self._run(program, "rm", "--force", name)

    def _find(self) -> tuple[str, str]:
        """The program of a working engine, and why there is none."""
        with self._lock:
            now = self._clock.monotonic()
            if self._asked is None or now - self._asked[0] > _FRESH:
                self._asked = (now, *self._look())
            return self._asked[1:]

    def _look(self) -> tuple[str, str]:
        troubles = []
        for name in _PROGRAMS:
            program = shutil.which(name, path=self._environ.get("PATH", ""))
            if program is None:
                troubles.append(f"{name} is not installed")
                continue
            done = self._run(program, "info")
            if done is not None and done.returncode == 0:
                return program, ""
            said = done.stderr.strip().splitlines() if done is not None else []
            troubles.append(f"{name}: {said[-1] if said else 'it does not answer'}")
        return "", "; ".join(troubles)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str] | None:
        try:
            return subprocess.run(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                env=self._environ,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            return None
