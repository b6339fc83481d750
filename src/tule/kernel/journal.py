"""The append-only journal of what changed: triggers, lineage and live pages read it.

Every write of a record appends an entry in the same transaction, so the journal and the records never disagree. Readers
keep the position they reached and go on from there, also after a restart.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tule.kernel.records import Records
from tule.kernel.records.schema import JOURNAL
from tule.kernel.records.store import from_microseconds, to_microseconds


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: ``change`` is created, updated, deleted, or the word an ``append`` gave."""

    position: int
    time: datetime
    kind: str
    name: str
    change: str
    detail: dict[str, Any]


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

    def read(self, after: int = 0, *, limit: int = 1000) -> list[Entry]:
        """The entries behind position ``after``, oldest first."""
        query = sa.select(JOURNAL).where(JOURNAL.c.position > after).order_by(JOURNAL.c.position).limit(limit)
        with self._records.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            Entry(
                position=row["position"],
                time=from_microseconds(row["time_us"]),
                kind=row["kind"],
                name=row["name"],
                change=row["change"],
                detail=json.loads(row["detail"]),
            )
            for row in rows
        ]

    def last(self) -> int:
        """The position of the newest entry, 0 for none."""
        with self._records.reading() as connection:
            return connection.execute(sa.select(sa.func.max(JOURNAL.c.position))).scalar_one() or 0

    def wait(self, after: int, timeout: float, *, limit: int = 1000) -> list[Entry]:
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
        with self._records.transaction() as connection:
            done = connection.execute(sa.delete(JOURNAL).where(JOURNAL.c.time_us < to_microseconds(before)))
            return done.rowcount
