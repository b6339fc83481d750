"""Records of jobs that are written soon after their answers, many in one transaction.

A SELECT that is answered whole within its request changes nothing and leaves nothing to come back for; that it was asked
is history. To wait for the disk each time would cost more than the query. A crash forgets at most the last half second
of it.
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from tule.kernel.records import Records

_LOG = logging.getLogger(__name__)
# Seconds in which records gather, and how many may wait before the next one writes them itself.
_GATHERING = 0.5
_MOST_WAITING = 1024


class Entry(Protocol):
    """A finished job; ``body`` is its record."""

    created: datetime

    def body(self) -> dict[str, Any]: ...


E = TypeVar("E", bound=Entry)


class Ledger(Generic[E]):
    """The records of one kind that wait to be written. Safe to use from any thread."""

    def __init__(self, records: Records, kind: str) -> None:
        self._records = records
        self._kind = kind
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: dict[str, E] = {}
        self._something = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, name: str, entry: E) -> None:
        """Take a record to be written within a moment."""
        with self._lock:
            self._waiting[name] = entry
            many = len(self._waiting) >= _MOST_WAITING
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="bigquery-ledger", daemon=True)
                self._thread.start()
        self._something.set()
        if many:
            self.flush()

    def find(self, name: str) -> E | None:
        """The entry of this name that is not written yet."""
        with self._lock:
            return self._waiting.get(name)

    def flush(self) -> None:
        """Return when everything taken before is durable."""
        with self._writing:
            with self._lock:
                taken = dict(self._waiting)
            if not taken:
                return
            self._write(taken)
            with self._lock:
                for name in taken:
                    del self._waiting[name]

    def _write(self, taken: dict[str, E]) -> None:
        rows = [(name, entry.body(), entry.created) for name, entry in taken.items()]
        try:
            self._records.create_all(self._kind, rows)
        except Exception:
            # History of queries that were answered: nothing that could be told to anybody.
            _LOG.exception("The records of %d queries could not be written", len(rows))

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._something.wait()
            self._stopped.wait(_GATHERING)
            self._something.clear()
            self.flush()

    def stop(self) -> None:
        """Write what waits, and end; idempotent."""
        self._stopped.set()
        self._something.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()
