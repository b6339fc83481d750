"""The only reader of time: real, or virtual and steppable.

No other module calls ``time`` or ``datetime.now``; a clock is passed in. Durations for progress and latency use
``monotonic``, which a virtual clock leaves real: work takes the time it takes.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """A source of wall time in UTC and of timers. Safe to use from any thread."""

    def now(self) -> datetime:
        """The present moment, timezone-aware, UTC, to the microsecond."""

    def sleep(self, seconds: float) -> None:
        """Block until ``now()`` has advanced by ``seconds``."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back; always real."""

    def call_at(self, when: datetime, action: Callable[[], None]) -> Callable[[], None]:
        """Run ``action`` once at ``when`` (at once if past), on some thread; returns a function that cancels it."""


class RealClock:
    """The machine's time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))

    def monotonic(self) -> float:
        return time.monotonic()

    def call_at(self, when: datetime, action: Callable[[], None]) -> Callable[[], None]:
        timer = threading.Timer(max(0.0, (when - self.now()).total_seconds()), action)
        timer.daemon = True
        timer.start()
        return timer.cancel


class VirtualClock:
    """Time that moves only when ``advance`` is called; timers run in order of their moment, on the caller's thread.

    >>> clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    >>> seen = []
    >>> cancel = clock.call_at(clock.now() + timedelta(hours=1), lambda: seen.append(clock.now().hour))
    >>> clock.advance(timedelta(days=1))
    >>> seen, clock.now().day
    ([1], 2)
    """

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError(f"A clock must start at a timezone-aware moment; given: {start!r}. Next: add tzinfo=UTC")
        self._now = start.astimezone(UTC)
        self._changed = threading.Condition()
        self._moments: list[tuple[datetime, int]] = []
        self._timers: dict[int, Callable[[], None]] = {}
        self._ids = itertools.count()

    def now(self) -> datetime:
        with self._changed:
            return self._now

    def sleep(self, seconds: float) -> None:
        with self._changed:
            until = self._now + timedelta(seconds=seconds)
            self._changed.wait_for(lambda: self._now >= until)

    def monotonic(self) -> float:
        return time.monotonic()

    def call_at(self, when: datetime, action: Callable[[], None]) -> Callable[[], None]:
        with self._changed:
            if when > self._now:
                number = next(self._ids)
                self._timers[number] = action
                heapq.heappush(self._moments, (when.astimezone(UTC), number))
                return lambda: self._cancel(number)
        # Not on this thread: the caller may hold what the action needs.
        threading.Thread(target=action, name="timer", daemon=True).start()
        return lambda: None

    def _cancel(self, number: int) -> None:
        with self._changed:
            self._timers.pop(number, None)

    def advance(self, by: timedelta) -> None:
        """Move time forward by ``by``, stopping at each timer on the way so that it sees its own moment."""
        with self._changed:
            end = self._now + by
        while True:
            with self._changed:
                if not self._moments or self._moments[0][0] > end:
                    self._now = max(self._now, end)
                    self._changed.notify_all()
                    return
                when, number = heapq.heappop(self._moments)
                action = self._timers.pop(number, None)
                if action is None:
                    continue  # it was cancelled
                self._now = max(self._now, when)
                self._changed.notify_all()
            action()
