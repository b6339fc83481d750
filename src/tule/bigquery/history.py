"""What tables were: the earlier states that time travel and restoring read.

A table's record tells since when its rows are in their physical table and how many there were after each change
(``points``), so a table that only grows needs nothing else: what it was is its first rows. Where rows are replaced, or
changed in their place, the rows before that are a *version*: a record of its own that names the physical table which holds
them. A version is kept for as long as its dataset says, within the bounds below; what is gone is refused as
``Invalid snapshot time``. https://cloud.google.com/bigquery/docs/time-travel
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tule.bigquery.datasets import LONGEST_TIME_TRAVEL, Datasets
from tule.bigquery.engine import Session
from tule.bigquery.errors import invalid_query
from tule.bigquery.partitioning import stored_fields
from tule.bigquery.physical import Physical, new_name
from tule.bigquery.references import DatasetReference, TableReference
from tule.bigquery.schemas import JsonField
from tule.bigquery.types import fields_from_rest
from tule.kernel.clock import Clock
from tule.kernel.records import Record, Records

KIND = "bigquery#tableVersion"
TABLE_KIND = "bigquery#table"
DROP = "DROP"
"""The change that ends a table."""
Points = list[list[int]]
"""(microseconds since 1970, number of rows from then on), in the order of time."""

# A table has at most this many versions and points; the oldest go first.
_MOST_VERSIONS = 16
MOST_POINTS = 256
# Values (rows times columns): of a table that is copied before its rows change in place, and of all versions of a project.
LARGEST_COPY = 20_000_000
_LARGEST_HISTORY = 500_000_000
# A version smaller than this is no occasion to add up the others.
_LOOKED_AT = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class State:
    """A table as it was: ``body`` its record's, the first ``rows`` of the physical table (None for all)."""

    body: Mapping[str, Any]
    physical: str
    rows: int | None


@dataclass(frozen=True)
class Segment:
    """A time in which a table only grew: the rows of ``physical`` after each of its ``points``. ``change``: what ended it,
    as far as that is known; ``lost``: whether the rows before it are not remembered."""

    body: Mapping[str, Any]
    physical: str
    points: Points
    change: str = ""
    lost: bool = False


class History:
    """The versions of all tables."""

    def __init__(self, records: Records, datasets: Datasets, physical: Physical, clock: Clock) -> None:
        self._records = records
        self._datasets = datasets
        self._physical = physical
        self._clock = clock

    # -- writing

    def begun(self, reference: TableReference, physical: str) -> dict[str, Any]:
        """The private part of a record whose rows are in a new physical table."""
        if reference.parent.hidden:
            return {"physical": physical}
        return {"physical": physical, "points": [self._point(reference.project, physical)]}

    def grown(self, reference: TableReference, private: Mapping[str, Any]) -> Points:
        """The points after rows were added to a table."""
        if reference.parent.hidden:
            return []
        return [*(private.get("points") or []), self._point(reference.project, private["physical"])][-MOST_POINTS:]

    def copy(self, session: Session, record: Record) -> str | None:
        """Copy the rows of a table that are about to change in their place, inside the session's transaction: the
        physical table, for ``Tables.touch``. None where they are too many, or are not remembered."""
        reference = TableReference.of(record.name)
        private, fields = record.body["_tule"], record.body["schema"]["fields"]
        points = private.get("points")
        if not points or points[-1][1] * _columns(fields) > LARGEST_COPY:
            return None
        name = new_name()
        session.create(reference.project, name, fields_from_rest(stored_fields(record.body)))
        into, source = (self._physical.relation(reference.project, each) for each in (name, private["physical"]))
        session.execute(f"INSERT INTO {into} SELECT * FROM {source}")
        return name

    def keep(self, record: Record, physical: str | None = None, change: str = "REPLACE") -> None:
        """A table's rows are about to be replaced, and are in ``physical`` (its own where None): remember them as a
        version, with what the ``change`` is; part of the current transaction of the record store."""
        private = record.body.get("_tule", {})
        held = physical or private.get("physical")
        if not held:
            return
        reference = TableReference.of(record.name)
        points = private.get("points")
        if reference.parent.hidden or not points:
            self._drop(reference.project, held)
            return
        now = self._now()
        body = {
            "body": {key: value for key, value in record.body.items() if key != "_tule"},
            "physical": held,
            "points": points,
            "end": now,
            "change": change,
            **{key: private[key] for key in ("lost",) if key in private},
            "expires": now + self.window(reference.parent),
            "values": points[-1][1] * _columns(record.body["schema"]["fields"]),
        }
        self._records.create(KIND, f"{record.name}/versions/{now}-{held[2:10]}", body)
        self._bound(reference, body["values"])

    def _bound(self, reference: TableReference, values: int) -> None:
        of_table = self._records.list(KIND, reference.name).records
        for record in sorted(of_table, key=_end)[:-_MOST_VERSIONS]:
            self._forget(record)
        if values >= _LOOKED_AT:
            self._bound_project(reference.project)

    def _bound_project(self, project: str) -> None:
        of_project = sorted(self._versions(project), key=_end)
        total = sum(each.body["values"] for each in of_project)
        for record in of_project:
            if total <= _LARGEST_HISTORY:
                break
            total -= record.body["values"]
            self._forget(record)

    def _forget(self, record: Record) -> None:
        self._records.delete(record.name)
        self._drop(record.name.split("/")[1], record.body["physical"])

    def _drop(self, project: str, physical: str) -> None:
        self._records.after_commit(lambda: self._physical.drop(project, physical))

    def forget_all(self, dataset: str) -> None:
        """Remove the versions of a dataset's tables (its record's name)."""
        for record in self._records.list(KIND, f"{dataset}/tables/-").records:
            self._forget(record)

    def _point(self, project: str, physical: str) -> list[int]:
        return [self._now(), self._physical.rows(project, physical)]

    def _now(self) -> int:
        return (self._clock.now() - _EPOCH) // _MICROSECOND

    def window(self, reference: DatasetReference) -> int:
        """How long what a dataset's tables were is remembered, in microseconds."""
        dataset = self._datasets.find(reference)
        hours = dataset.body.get("maxTimeTravelHours") if dataset is not None else None
        return timedelta(hours=int(hours or LONGEST_TIME_TRAVEL)) // _MICROSECOND

    def revive(self, name: str, deleted: int) -> None:
        """Make a table again, by its record's name, as it was when it was deleted; part of the current transaction."""
        for version in self._records.list(KIND, name).records:
            if version.body["end"] >= deleted and version.body["expires"] > self._now():
                private = {"physical": version.body["physical"], "points": version.body["points"]}
                self._records.delete(version.name)
                self._records.create(TABLE_KIND, name, {**version.body["body"], "_tule": private})
                return

    # -- reading

    def segments(self, reference: TableReference, record: Record) -> list[Segment]:
        """All that is remembered of a table since it was made, in the order of time."""
        found: list[Segment] = []
        for version in sorted(self._kept(reference), key=_end):
            found.append(_segment(version.body["body"], version.body, version.body.get("change", "")))
            if version.body.get("change") == DROP:
                # What was before was another table of this name.
                found.clear()
        private = record.body["_tule"]
        if private.get("points"):
            found.append(_segment(record.body, private, ""))
        return found

    def at(self, reference: TableReference, record: Record | None, moment: int) -> State | None:
        """The table as it was at a moment (microseconds since 1970); None where it was not there then.

        ``record`` is the table now. Raises for a moment that is not over, or of which too little is remembered.
        """
        if moment > self._now():
            raise _wrong(reference, moment, f"Cannot read after {self._now() // 1000}.")
        if record is not None and "physical" in record.body.get("_tule", {}):
            private = record.body["_tule"]
            points = private.get("points") or [[0, 0]]
            if moment >= points[0][0]:
                return State(record.body, private["physical"], self._rows_at(reference, private, moment))
        earliest = None
        for version in self._kept(reference):
            points = version.body["points"]
            earliest = points[0][0] if earliest is None else min(earliest, points[0][0])
            if points[0][0] <= moment < version.body["end"]:
                return State(version.body["body"], version.body["physical"], _rows(points, moment))
        if record is None:
            return None
        begun = (record.body.get("_tule", {}).get("points") or [[0, 0]])[0][0]
        if earliest is None and moment // 1000 == begun // 1000:
            # Clients know the creation of a table to the millisecond.
            return State(record.body, record.body["_tule"]["physical"], _rows(record.body["_tule"]["points"], begun))
        raise _wrong(reference, moment, f"Cannot read before {min(begun, earliest or begun) // 1000}.")

    def _rows_at(self, reference: TableReference, private: Mapping[str, Any], moment: int) -> int | None:
        """None where these are all rows of the physical table, also counted: a change may be just about to be told."""
        points = private.get("points")
        if not points:
            return None
        rows = _rows(points, moment)
        return None if self._physical.rows(reference.project, private["physical"]) == rows else rows

    def _kept(self, reference: TableReference) -> Iterator[Record]:
        now = self._now()
        for record in self._records.list(KIND, reference.name).records:
            if record.body["expires"] > now:
                yield record

    # -- time

    def sweep(self) -> None:
        """Remove what is over."""
        now = self._now()
        for record in self._records.list(KIND).records:
            if record.body["expires"] <= now:
                with self._records.transaction():
                    self._forget(record)

    def _versions(self, project: str) -> list[Record]:
        return list(self._records.list(KIND, f"projects/{project}/datasets/-/tables/-").records)

    def physical_names(self, project: str) -> set[str]:
        return {record.body["physical"] for record in self._versions(project)}


def microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _rows(points: Points, moment: int) -> int:
    """The rows that a table had at a moment, which is not before its first point."""
    found = points[0][1]
    for at, rows in points:
        if at > moment:
            break
        found = rows
    return found


def _columns(fields: list[JsonField]) -> int:
    return sum(_columns(each["fields"]) if each.get("fields") else 1 for each in fields) or 1


def _segment(body: Mapping[str, Any], private: Mapping[str, Any], change: str) -> Segment:
    return Segment(body, private["physical"], private["points"], change, bool(private.get("lost")))


def _end(record: Record) -> int:
    return int(record.body["end"])


def _wrong(reference: TableReference, moment: int, why: str) -> Exception:
    at = moment // 1000
    return invalid_query(f"Invalid snapshot time {at} for Table {reference}@{at}. {why}")
