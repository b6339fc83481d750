"""What this machine has, and whether that is what a container asks for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tule.kernel.errors import FailedPrecondition
from tule.vertex.containers.container import Container

_CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")
_DO = "ask for less, or start Tule with TULE_SCALE_MACHINES=1 to run on what there is"


@dataclass(frozen=True, slots=True)
class Share:
    """What a container gets. ``notes`` say where that is less than it asked for."""

    cpus: float | None
    memory_bytes: int | None
    gpus: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resources:
    """The processors, memory and GPUs that processes of this machine may use."""

    cpus: int
    memory_bytes: int
    gpus: int

    @classmethod
    def of_this_machine(cls) -> Resources:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        try:
            limit = _CGROUP_MEMORY.read_text().strip()
            memory = min(memory, int(limit)) if limit.isdigit() else memory
        except OSError:
            pass
        gpus = [each for each in Path("/dev").glob("nvidia*") if each.name.removeprefix("nvidia").isdigit()]
        return cls(len(os.sched_getaffinity(0)), memory, len(gpus))

    def share(self, container: Container, *, gpu_image: bool, scale: bool) -> Share:
        """What a container gets of it; raises FailedPrecondition, naming what there is not, unless it may ``scale``."""
        notes: list[str] = []
        cpus = self._within("processors", container.cpus, float(self.cpus), notes)
        memory = self._within("bytes of memory", container.memory_bytes, float(self.memory_bytes), notes)
        gpus = container.accelerators
        if gpus > self.gpus or (gpu_image and not self.gpus):
            asked = f"{gpus} GPUs" if gpus else f"the GPUs of the image {container.image}"
            notes.append(f"it asks for {asked}, this machine has {self.gpus or 'none'}")
        if notes and not scale:
            raise FailedPrecondition("This machine must have what a container asks for", given="; ".join(notes), do=_DO)
        scaled: Sequence[str] = [f"{each}: it runs on what there is (TULE_SCALE_MACHINES)" for each in notes]
        return Share(
            cpus, None if memory is None else int(memory), bool(gpus or gpu_image) and self.gpus > 0, tuple(scaled)
        )

    @staticmethod
    def _within(what: str, asked: float | None, there: float, notes: list[str]) -> float | None:
        if asked is None or asked <= there:
            return asked
        notes.append(f"it asks for {_amount(asked)} {what}, this machine has {_amount(there)}")
        return there


def _amount(number: float) -> str:
    return f"{number / 2**30:.1f} Gi" if number >= 2**20 else f"{number:g}"
