"""What ended long ago is forgotten: done operations, ended processes with their logs, entries of the journal.

Rooms forget their own: BigQuery its jobs after 180 days, uploads after a week.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from tule.kernel.clock import Clock
from tule.kernel.errors import InvalidArgument
from tule.kernel.jobs import Jobs
from tule.kernel.journal import Journal
from tule.kernel.operations import Operations

_LOG = logging.getLogger(__name__)
# Not at the start itself, which somebody waits for.
_FIRST = timedelta(minutes=5)
_EVERY = timedelta(days=1)


class Retention:
    """Sweeps once a day, as long as it is started."""

    def __init__(self, journal: Journal, operations: Operations, jobs: Jobs, clock: Clock, *, days: int) -> None:
        if days < 1:
            raise InvalidArgument("Ended work must be remembered for a day or more", given=f"{days} days")
        self._journal = journal
        self._operations = operations
        self._jobs = jobs
        self._clock = clock
        self._kept = timedelta(days=days)
        self._lock = threading.Lock()
        self._cancel: Callable[[], None] | None = None

    def start(self) -> None:
        self._after(_FIRST)

    def close(self) -> None:
        with self._lock:
            if self._cancel is not None:
                self._cancel()
            self._cancel = None

    def sweep(self) -> int:
        """Forget what ended before the time that is kept; returns how many records and entries."""
        before = self._clock.now() - self._kept
        return self._operations.purge(before) + self._jobs.purge(before) + self._journal.trim(before)

    def _after(self, span: timedelta) -> None:
        with self._lock:
            self._cancel = self._clock.call_at(self._clock.now() + span, self._tick)

    def _tick(self) -> None:
        try:
            if forgotten := self.sweep():
                _LOG.info("Forgot %s records and journal entries that ended long ago", forgotten)
        except Exception:
            _LOG.exception("What ended long ago could not be forgotten; it is tried again tomorrow")
        with self._lock:
            stopped = self._cancel is None
        if not stopped:
            self._after(_EVERY)
