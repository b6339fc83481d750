"""Processors and memory: what a job asks for, and what this machine has."""

from __future__ import annotations

from dataclasses import dataclass

from tule.vertex import containers

_GIB = 2**30


@dataclass(frozen=True)
class Resources:
    """Processors and memory, of a replica, a job or a machine.

    >>> Resources(2.0, 8 * 2**30) + Resources(1.0, 2**30)
    Resources(cpus=3.0, memory_bytes=9663676416)
    """

    cpus: float = 0.0
    memory_bytes: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.cpus + other.cpus, self.memory_bytes + other.memory_bytes)

    def __sub__(self, other: Resources) -> Resources:
        return Resources(self.cpus - other.cpus, self.memory_bytes - other.memory_bytes)

    def __mul__(self, factor: float) -> Resources:
        return Resources(self.cpus * factor, int(self.memory_bytes * factor))

    def fits(self, room: Resources) -> bool:
        # Shares of a machine, added up, may be a rounding too much.
        return self.cpus <= room.cpus + 1e-6 and self.memory_bytes <= room.memory_bytes

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs and {self.memory_bytes / _GIB:.1f} GiB"


def resources_of(machine_type: str) -> Resources:
    """What a machine type has; InvalidArgument for one that Google does not offer."""
    machine = containers.machine_of(machine_type)
    return Resources(machine.cpus, machine.memory_bytes)


def this_machine() -> Resources:
    """The processors and the memory that this process may use."""
    found = containers.Resources.of_this_machine()
    return Resources(float(found.cpus), found.memory_bytes)
