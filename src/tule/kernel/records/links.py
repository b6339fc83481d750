"""Links between records: which record stands in which relation to which other.

What is many to many has no place in one record's body. A link is a row of its own, without a journal entry; it is found
from both of its ends.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tule.kernel.records.schema import LINKS
from tule.kernel.records.store import Records, from_microseconds, to_microseconds

# SQLite takes many parameters, not any number.
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Link:
    """One link; ``detail`` is whatever its maker wants to be told with it."""

    source: str
    relation: str
    target: str
    time: datetime
    detail: dict[str, Any] = field(default_factory=dict)


class Links:
    """The links of one record store. Safe to use from any thread; writes join an open transaction."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def add(
        self, source: str, relation: str, targets: Collection[str], details: Mapping[str, dict[str, Any]] | None = None
    ) -> int:
        """Link ``source`` to each target, those that are linked already left as they are; returns how many are new.

        ``details``: by target.
        """
        wanted = list(dict.fromkeys(targets))
        with self._records.transaction() as connection:
            known = set(self.targets(source, relation))
            moment = to_microseconds(self._records.clock.now())
            rows = [
                {
                    "source": source,
                    "relation": relation,
                    "target": target,
                    "time_us": moment,
                    "detail": json.dumps((details or {}).get(target) or {}),
                }
                for target in wanted
                if target not in known
            ]
            if rows:
                connection.execute(sa.insert(LINKS), rows)
        return len(rows)

    def remove(self, source: str, relation: str, targets: Collection[str]) -> None:
        """Take links away; those that are not there are skipped."""
        with self._records.transaction() as connection:
            for chunk in _chunks(targets):
                here = (LINKS.c.source == source) & (LINKS.c.relation == relation) & LINKS.c.target.in_(chunk)
                connection.execute(sa.delete(LINKS).where(here))

    def forget(self, name: str) -> None:
        """Take away every link of one record."""
        with self._records.transaction() as connection:
            connection.execute(sa.delete(LINKS).where((LINKS.c.source == name) | (LINKS.c.target == name)))

    def forget_under(self, prefix: str) -> None:
        """Take away the links of all records whose names begin with ``prefix/``."""
        low, high = prefix + "/", prefix + "0"
        with self._records.transaction() as connection:
            for end in (LINKS.c.source, LINKS.c.target):
                connection.execute(sa.delete(LINKS).where((end >= low) & (end < high)))

    def targets(self, source: str, relation: str) -> list[str]:
        """What a record is linked to, the oldest link first."""
        return [link.target for link in self.leaving([source], (relation,))]

    def sources(self, target: str, relation: str) -> list[str]:
        """What is linked to a record, the oldest link first."""
        return [link.source for link in self.reaching([target], (relation,))]

    def leaving(self, sources: Collection[str], relations: Sequence[str]) -> list[Link]:
        """The links from any of these records."""
        return self._find(LINKS.c.source, sources, relations)

    def reaching(self, targets: Collection[str], relations: Sequence[str]) -> list[Link]:
        """The links to any of these records."""
        return self._find(LINKS.c.target, targets, relations)

    def _find(self, end: sa.ColumnElement[str], names: Collection[str], relations: Sequence[str]) -> list[Link]:
        found: list[Link] = []
        order = (LINKS.c.time_us, LINKS.c.source, LINKS.c.target)
        with self._records.reading() as connection:
            for chunk in _chunks(names):
                query = sa.select(LINKS).where(end.in_(chunk) & LINKS.c.relation.in_(relations)).order_by(*order)
                found.extend(_link(row) for row in connection.execute(query).mappings())
        return found


def _chunks(names: Collection[str]) -> list[list[str]]:
    every = list(names)
    return [every[start : start + _CHUNK] for start in range(0, len(every), _CHUNK)]


def _link(row: sa.RowMapping) -> Link:
    return Link(
        row["source"], row["relation"], row["target"], from_microseconds(row["time_us"]), json.loads(row["detail"])
    )
