"""The append-only journal of what changed: triggers, lineage and live pages read it.

Every write of a record appends an entry in the same transaction, so the journal and the records never disagree. Readers
keep the position they reached and go on from there, also after a restart.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tule.kernel.records import Entry, Records

__all__ = ["Entry", "Journal"]


class Journal:
    """The journal of one record store. Positions grow and are never used twice."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._grown = threading.Condition()
        records.on_commit(self._wake)

    def _wake(self) -> None:
        with self._grown:
            self._grown.notify_all()

    def append(self, kind: str, name: str, change: str, detail: dict[str, Any] | None = None) -> None:
        """Add an entry inside the current transaction (or one of its own); it appears when that commits."""
        self._records.note(kind, name, change, detail or {})

    def read(self, after: int = 0, *, limit: int = 1000) -> Sequence[Entry]:
        """The entries behind position ``after``, oldest first."""
        return self._records.entries(after, limit)

    def last(self) -> int:
        """The position of the newest entry, 0 for none."""
        return self._records.last_entry()

    def wait(self, after: int, timeout: float, *, limit: int = 1000) -> Sequence[Entry]:
        """As ``read``, but blocks up to ``timeout`` real seconds until there is an entry."""
        deadline = self._records.clock.monotonic() + timeout
        while True:
            # Looking while holding the condition: a commit in between cannot slip past.
            with self._grown:
                found = self.read(after, limit=limit)
                left = deadline - self._records.clock.monotonic()
                if found or left <= 0:
                    return found
                self._grown.wait(left)

    def trim(self, before: datetime) -> int:
        """Remove the entries older than ``before``; returns how many."""
        return self._records.trim_entries(before)
