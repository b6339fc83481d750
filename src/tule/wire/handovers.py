"""Requests whose answer is waited for only so long, while what they began goes on.

Such a request does its work on its own thread, which spares short work a second thread and two switches. Where the work
takes longer, another thread makes the answer and the first one's is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

# Seconds between two looks at the time that is up; waits are that much longer at most.
_LOOK = 0.05


class HandedOver(Exception):
    """Another thread answers this request."""


class Handovers:
    """Who waits, for how long, and what is done then. The event loop looks at the time while anybody waits."""

    def __init__(self) -> None:
        self._waiting: dict[Any, tuple[float, Callable[[], None]]] = {}
        self._looking = False

    def wait(self, loop: asyncio.AbstractEventLoop, who: Any, seconds: float, then: Callable[[], None]) -> None:
        """Call ``then`` in the event loop once so much time is over, unless ``keep`` comes first. From any thread."""
        self._waiting[who] = (loop.time() + seconds, then)
        if not self._looking:
            loop.call_soon_threadsafe(self._begin, loop)

    def keep(self, who: Any) -> bool:
        """Take back what ``wait`` asked for; False where its time was up before. One of the two happens, never both."""
        return self._waiting.pop(who, None) is not None

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._looking:
            self._looking = True
            loop.call_later(_LOOK, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        for who, (until, then) in list(self._waiting.items()):
            if loop.time() >= until and self.keep(who):
                then()
        # In this order: who begins to wait now either sees that nobody looks, or is seen here.
        self._looking = False
        if self._waiting:
            self._begin(loop)
