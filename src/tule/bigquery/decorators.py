"""Decorators behind a table's name: ``t@1700000000000`` is the table at a moment, ``t$20240101`` one partition.

https://cloud.google.com/bigquery/docs/table-decorators
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tule.bigquery.errors import invalid
from tule.bigquery.references import TableReference

_DECORATED = re.compile(r"(?P<table>[^$@]+)(?:\$(?P<partition>[A-Za-z0-9_\-]+))?(?:@(?P<moment>-?\d{1,16}))?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Decorated:
    """A table's name taken apart. ``moment``: milliseconds, None for now; ``partition``: "" for the whole table."""

    reference: TableReference
    moment: int | None = None
    partition: str = ""

    def __str__(self) -> str:
        return f"{self.reference}${self.partition}" if self.partition else str(self.reference)

    def at(self, now: datetime) -> int | None:
        """The moment in microseconds since 1970: a negative one is before ``now``. A millisecond is meant to its end."""
        if self.moment is None:
            return None
        present = (now - _EPOCH) // timedelta(microseconds=1)
        if self.moment <= 0:
            return present + self.moment * 1000
        end = self.moment * 1000 + 999
        # The present millisecond is not over.
        return present if self.moment * 1000 <= present < end else end


def decorated(body: Any, project: str, what: str) -> Decorated:
    """Read a REST reference whose table may have decorators."""
    table = body.get("tableId") if isinstance(body, Mapping) else None
    if not isinstance(table, str) or not ("$" in table or "@" in table):
        return Decorated(TableReference.read(body, project, what))
    found = _DECORATED.fullmatch(table)
    if found is None:
        raise invalid(f"Invalid table decorator in {what}: {table[:200]!r}")
    reference = TableReference.read({**body, "tableId": found["table"]}, project, what)
    moment = found["moment"]
    return Decorated(reference, None if moment is None else int(moment), found["partition"] or "")


def partition(body: Any, project: str, what: str) -> Decorated:
    """The same of a table of which there can be one partition, and no moment."""
    found = decorated(body, project, what)
    if found.moment is not None:
        raise invalid(
            f"A table at a moment can only be the source of a copy, an extract or a list; given {what}: {found}@"
            f"{found.moment}"
        )
    return found
