"""What changed in a table between two moments: the rows of APPENDS and CHANGES.

A table's history (``history.py``) knows how many rows there were after each time that it grew, so rows that were added are
those between two counts. Where rows were replaced or changed in place it has the rows before: what is there more or less
often than before is what changed. Whether that is an update or a row less and another more, the statement tells that did it.
https://cloud.google.com/bigquery/docs/change-history
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tule.bigquery.engine import Session
from tule.bigquery.errors import invalid_query, not_implemented
from tule.bigquery.history import MOST_POINTS, History, Segment, microseconds
from tule.bigquery.physical import Physical
from tule.bigquery.references import TableReference
from tule.bigquery.types import Field, fields_from_rest
from tule.kernel.records import Record

APPENDS, CHANGES = "APPENDS", "CHANGES"
COLUMNS = (Field("_CHANGE_TYPE", "STRING"), Field("_CHANGE_TIMESTAMP", "TIMESTAMP"))
_LONGEST = timedelta(days=1)
_RECENT = timedelta(minutes=10)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _Rows:
    """Rows of one kind of change, by a query of the engine that gives the table's columns."""

    query: str
    kind: str
    at: int


class ChangeHistory:
    """The changes of one table, as a session of the engine sees them."""

    def __init__(self, history: History, physical: Physical, session: Session, record: Record) -> None:
        self._history = history
        self._physical = physical
        self._session = session
        self._record = record
        self._reference = TableReference.of(record.name)
        self._fields = fields_from_rest(record.body["schema"]["fields"])

    def segments(self, function: str, start: datetime | None, end: datetime | None, now: datetime) -> list[Segment]:
        """What is read; raises for a time that is not remembered, and for what CHANGES does not take."""
        if function == CHANGES:
            self._check_changes(start, end, now)
        found = self._history.segments(self._reference, self._record)
        since = 0 if start is None else microseconds(start)
        created = microseconds(self._record.create_time)
        known = found[0].points[0][0] if found else created
        complete = (
            bool(found) and not found[0].lost and len(found[0].points) < MOST_POINTS and known <= created + 1_000_000
        )
        for each in found[1:]:
            if each.lost or len(each.points) >= MOST_POINTS:
                known, complete = each.points[0][0], False
        earliest = 0 if complete else known
        window = microseconds(now) - self._history.window(self._reference.parent)
        if max(since, created) < max(earliest, window) - 1_000_000:
            raise invalid_query(
                f"Invalid time travel timestamp {max(since, created) // 1000} for table {self._reference}. Cannot read "
                f"before {max(earliest, window) // 1000}."
            )
        return found

    def _check_changes(self, start: datetime | None, end: datetime | None, now: datetime) -> None:
        if not self._record.body.get("enableChangeHistory"):
            raise invalid_query(
                f"CHANGES must be of a table whose option enable_change_history is TRUE; given: {self._reference}"
            )
        if end is None or start is None:
            raise invalid_query("CHANGES must have a start_timestamp and an end_timestamp that are not NULL")
        if end > now - _RECENT:
            raise invalid_query("The end_timestamp of CHANGES must be at least ten minutes before now")
        if end - start > _LONGEST:
            raise invalid_query("The time range of CHANGES must be one day at most")

    def query(self, function: str, found: list[Segment], start: datetime | None, end: datetime | None) -> str:
        """The query of the engine that gives the rows with what happened to them, and when."""
        since, until = (None if each is None else microseconds(each) for each in (start, end))
        names = ", ".join(f'"{each.name}"' for each in self._fields)
        parts = []
        for each in self._changes(function, found):
            if (since is None or each.at >= since) and (until is None or each.at < until):
                moment = (_EPOCH + timedelta(microseconds=each.at)).isoformat(sep=" ")
                what = f"'{each.kind}' AS \"_CHANGE_TYPE\", TIMESTAMPTZ '{moment}' AS \"_CHANGE_TIMESTAMP\""
                parts.append(f"SELECT {names}, {what} FROM ({each.query})")
        if not parts:
            (last,) = found[-1:]
            parts.append(f"SELECT {names}, '' AS \"_CHANGE_TYPE\", TIMESTAMPTZ 'epoch' AS \"_CHANGE_TIMESTAMP\" FROM "
                         f"({self._rows(last)}) WHERE false")  # fmt: skip
        return " UNION ALL ".join(parts)

    def _changes(self, function: str, found: list[Segment]) -> Iterator[_Rows]:
        before: Segment | None = None
        for each in found:
            at, rows = each.points[0]
            if before is None or (before.change == "REPLACE" and function == APPENDS):
                if rows:
                    yield _Rows(self._rows(each, 0, rows), "INSERT", at)
            elif not each.lost:
                yield from self._between(function, before, each, at)
            for (_, less), (moment, more) in zip(each.points, each.points[1:], strict=False):
                if more > less:
                    yield _Rows(self._rows(each, less, more), "INSERT", moment)
            before = each

    def _between(self, function: str, before: Segment, after: Segment, at: int) -> Iterator[_Rows]:
        """What happened where one state of the table took the place of another."""
        if before.change == "ALTER":
            return
        old, new = self._rows(before), self._rows(after, 0, after.points[0][1])
        if before.change == "REPLACE":
            yield _Rows(old, "DELETE", at)
            yield _Rows(new, "INSERT", at)
            return
        gone, come = f"{old} EXCEPT ALL {new}", f"{new} EXCEPT ALL {old}"
        if before.change == "UPDATE":
            if function == CHANGES:
                yield _Rows(come, "UPDATE", at)
        elif before.change in ("DELETE", "TRUNCATE_TABLE"):
            if function == CHANGES:
                yield _Rows(gone, "DELETE", at)
        elif before.change == "PARTITION":
            if function == CHANGES:
                yield _Rows(gone, "DELETE", at)
            yield _Rows(come, "INSERT", at)
        elif not self._any(gone):
            yield _Rows(come, "INSERT", at)
        elif not self._any(come):
            if function == CHANGES:
                yield _Rows(gone, "DELETE", at)
        else:
            raise not_implemented(
                f"{function} over a {before.change or 'transaction'} that both removed or changed rows and added some",
                do="ask for the time before or after it",
            )

    def _any(self, query: str) -> bool:
        found = self._session.query(f"SELECT count(*) FROM (SELECT 1 FROM ({query}) LIMIT 1)").table()
        return bool(found.column(0)[0].as_py())

    def _rows(self, segment: Segment, first: int | None = None, last: int | None = None) -> str:
        """The rows of a segment with the columns that the table has now; those between two counts."""
        known = {each["name"].lower(): each for each in segment.body["schema"]["fields"]}
        items = []
        for each in self._fields:
            has = each.name.lower() in known
            items.append(f'"{known[each.name.lower()]["name"]}" AS "{each.name}"' if has else f'NULL AS "{each.name}"')
        relation = self._physical.relation(self._reference.project, segment.physical)
        made = f"SELECT {', '.join(items)} FROM {relation}"
        if last is not None:
            made += f" LIMIT {last - (first or 0)} OFFSET {first or 0}"
        return f"(SELECT * FROM ({made}))"


def read(history: ChangeHistory, function: str, start: Any, end: Any, now: datetime) -> tuple[list[Segment], str]:
    """The segments that are read and the query of their rows."""
    found = history.segments(function, start, end, now)
    return found, history.query(function, found, start, end)


__all__ = ["APPENDS", "CHANGES", "COLUMNS", "ChangeHistory", "read"]
