"""Who runs next: a queue before the processors and the memory of a machine.

Jobs of a lower priority number go first; among equals the project that uses the least now, then who came first. The one
whose turn it is waits until it fits and nobody passes it, so that large jobs are not starved by small ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from tule.vertex.training.machines import Resources


@dataclass(frozen=True)
class Ticket:
    """One that wants room. ``begin`` is called once it has it, without a lock held; it must be quick."""

    name: str
    project: str
    demand: Resources
    begin: Callable[[], None]
    priority: int = 0


class Capacity:
    """The room of one machine, or of a persistent resource. Safe to use from several threads."""

    def __init__(self, total: Resources, *, closed: bool = False) -> None:
        self.total = total
        self._lock = threading.Lock()
        self._waiting: list[Ticket] = []
        self._running: dict[str, Ticket] = {}
        self._closed = closed

    def open(self) -> None:
        """Admit those who wait, where it was closed at first."""
        with self._lock:
            self._closed = False
        self._admit()

    def ask(self, ticket: Ticket) -> None:
        """Queue a ticket; it begins at once where there is room."""
        with self._lock:
            self._waiting.append(ticket)
        self._admit()

    def leave(self, name: str) -> bool:
        """Give back what a ticket has, or take it out of the queue; False where it is not known."""
        with self._lock:
            waiting = [each for each in self._waiting if each.name != name]
            known = len(waiting) < len(self._waiting) or name in self._running
            self._waiting = waiting
            self._running.pop(name, None)
        self._admit()
        return known

    def resize(self, name: str, demand: Resources) -> bool:
        """Give a running ticket more or less room; False where there is not so much free now."""
        with self._lock:
            present = self._running[name]
            if not demand.fits(self.total - self._used() + present.demand):
                return False
            self._running[name] = replace(present, demand=demand)
        self._admit()
        return True

    def waiting(self, name: str) -> bool:
        """Whether a ticket is still in the queue."""
        with self._lock:
            return any(each.name == name for each in self._waiting)

    @property
    def used(self) -> Resources:
        with self._lock:
            return self._used()

    @property
    def idle(self) -> bool:
        with self._lock:
            return not self._waiting and not self._running

    def close(self) -> None:
        """Admit nobody any more."""
        with self._lock:
            self._closed = True

    def _admit(self) -> None:
        while (ticket := self._next()) is not None:
            ticket.begin()

    def _next(self) -> Ticket | None:
        """The next ticket, now counted as running; None where nobody waits or whose turn it is does not fit."""
        with self._lock:
            if not self._waiting or self._closed:
                return None
            shares: dict[str, float] = {}
            for each in self._running.values():
                shares[each.project] = shares.get(each.project, 0.0) + self._share(each.demand)
            order = {id(each): at for at, each in enumerate(self._waiting)}
            first = min(self._waiting, key=lambda each: (each.priority, shares.get(each.project, 0.0), order[id(each)]))
            if not first.demand.fits(self.total - self._used()):
                return None
            self._waiting.remove(first)
            self._running[first.name] = first
            return first

    def _used(self) -> Resources:
        return sum((each.demand for each in self._running.values()), Resources())

    def _share(self, demand: Resources) -> float:
        """How much of the machine a demand is, by what it takes most of."""
        return max(demand.cpus / self.total.cpus, demand.memory_bytes / self.total.memory_bytes)
