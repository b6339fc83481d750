"""How the rows of a table are cut into partitions: by the time of a column or of loading, or by ranges of whole numbers.

Partitions are not stored apart: a row's partition is a function of its columns. The time of loading is one more column of
the physical table, which the schema does not show. https://cloud.google.com/bigquery/docs/partitioned-tables
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from tule.bigquery.errors import invalid

JsonField = dict[str, Any]

TIME, DATE = "_PARTITIONTIME", "_PARTITIONDATE"
LOADED: JsonField = {"name": TIME, "type": "TIMESTAMP", "mode": "NULLABLE"}
"""The column of the time of loading, as tables keep it."""
NULL, OUTSIDE = "__NULL__", "__UNPARTITIONED__"

_FORMATS = {"HOUR": "%Y%m%d%H", "DAY": "%Y%m%d", "MONTH": "%Y%m", "YEAR": "%Y"}
_WRITTEN = {"HOUR": "YYYYMMDDHH", "DAY": "YYYYMMDD", "MONTH": "YYYYMM", "YEAR": "YYYY"}
_DIGITS = {4: "YEAR", 6: "MONTH", 8: "DAY", 10: "HOUR"}
# Times of columns outside of these have no partition of their own.
_FIRST, _END = "1960-01-01 00:00:00", "2160-01-01 00:00:00"
_NUMBER = re.compile(r"-?\d{1,19}")


@dataclass(frozen=True)
class Partitioning:
    """``field`` is the column, of REST type ``kind``; ``grain`` is empty for ranges, which ``bounds`` tells (start, end,
    interval). ``lifetime``: milliseconds that a partition is kept, None for ever."""

    field: str
    kind: str
    grain: str = ""
    bounds: tuple[int, int, int] = (0, 0, 0)
    lifetime: int | None = None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Partitioning | None:
        """The partitioning of a table's resource; None for a table that has none."""
        if time := body.get("timePartitioning"):
            name, lifetime = time.get("field") or TIME, time.get("expirationMs")
            fields = (body.get("schema") or {}).get("fields") or ()
            kind = next((each["type"] for each in fields if each["name"] == name), "TIMESTAMP")
            return cls(name, kind, time["type"], lifetime=None if lifetime is None else int(lifetime))
        if span := body.get("rangePartitioning"):
            start, end, step = (int(span["range"][key]) for key in ("start", "end", "interval"))
            return cls(span["field"], "INTEGER", bounds=(start, end, step))
        return None

    @property
    def by_loading(self) -> bool:
        return self.field == TIME

    @property
    def filters(self) -> tuple[str, ...]:
        """The columns of which a filter can leave out partitions."""
        return ("_PARTITION_LOAD_TIME", DATE, TIME) if self.by_loading else (self.field,)

    # -- in the engine's SQL

    @property
    def column(self) -> str:
        return '"' + self.field.replace('"', '""') + '"'

    @property
    def id(self) -> str:
        """The id of a row's partition."""
        column = self.column
        if self.grain:
            told = f"strftime({column}, '{_FORMATS[self.grain]}')"
            outside = "" if self.by_loading else f"WHEN {self._outside()} THEN '{OUTSIDE}' "
            return f"CASE WHEN {column} IS NULL THEN '{NULL}' {outside}ELSE {told} END"
        start, end, step = self.bounds
        return (
            f"CASE WHEN {column} IS NULL THEN '{NULL}' WHEN {column} < {start} OR {column} >= {end} THEN '{OUTSIDE}' "
            f"ELSE CAST({start} + (({column} - {start}) // {step}) * {step} AS VARCHAR) END"
        )

    def _outside(self) -> str:
        return f"{self.column} < {self._moment(_FIRST)} OR {self.column} >= {self._moment(_END)}"

    def _moment(self, text: str) -> str:
        if self.kind == "DATE":
            return f"DATE '{text[:10]}'"
        return f"TIMESTAMP '{text}'" if self.kind == "DATETIME" else f"TIMESTAMP WITH TIME ZONE '{text}+00'"

    def holds(self, id: str) -> str:
        """The condition that a row is in a partition."""
        column = self.column
        if id == NULL:
            return f"{column} IS NULL"
        if id == OUTSIDE:
            if self.by_loading:
                return "FALSE"
            if self.grain:
                return self._outside()
            return f"({column} < {self.bounds[0]} OR {column} >= {self.bounds[1]})"
        if not self.grain:
            start = int(id)
            return f"({column} >= {start} AND {column} < {min(start + self.bounds[2], self.bounds[1])})"
        begin = self.start(id)
        end = following(begin, self.grain)
        upper = "" if end is None else f" AND {column} < {self._moment(_written(end))}"
        return f"({column} >= {self._moment(_written(begin))}{upper})"

    def holding(self, ids: Collection[str]) -> str:
        """The condition that a row is in one of some partitions; those that follow each other are told together."""
        special = [each for each in ids if each in (NULL, OUTSIDE)]
        rest = sorted(set(ids) - {*special}, key=lambda id: id if self.grain else int(id))
        made = [self.holds(each) for each in special]
        while rest:
            first = last = rest.pop(0)
            while rest and self._next(last) == rest[0]:
                last = rest.pop(0)
            (low, _), (_, high) = self._span(first), self._span(last)
            made.append(f"{self.column} BETWEEN {low} AND {high}")
        return f"({' OR '.join(made)})" if made else "FALSE"

    def _next(self, id: str) -> str | None:
        if not self.grain:
            return str(int(id) + self.bounds[2])
        end = following(self.start(id), self.grain)
        return None if end is None else self.id_at(end)

    def _span(self, id: str) -> tuple[str, str]:
        """The least and the greatest value of a partition that is neither of NULLs nor outside."""
        if not self.grain:
            return id, str(min(int(id) + self.bounds[2], self.bounds[1]) - 1)
        begin = self.start(id)
        end = following(begin, self.grain) or datetime.max.replace(tzinfo=UTC)
        last = end - timedelta(days=1) if self.kind == "DATE" else end - timedelta(microseconds=1)
        if self.by_loading:
            last = begin
        return self._moment(_written(begin)), self._moment(_written(last))

    def bounds_of(self, id: str) -> tuple[str, str] | None:
        """The same as literals of the engine, NULLs for the partition of NULLs; None where there are no bounds."""
        if id == OUTSIDE:
            return None
        kind = {"DATE": "DATE", "DATETIME": "TIMESTAMP", "INTEGER": "BIGINT"}.get(self.kind, "TIMESTAMP WITH TIME ZONE")
        low, high = ("NULL", "NULL") if id == NULL else self._span(id)
        return f"CAST({low} AS {kind})", f"CAST({high} AS {kind})"

    def over(self, now: datetime) -> str | None:
        """The condition that a row's partition is older than partitions are kept; None where they are kept for ever."""
        if self.lifetime is None:
            return None
        # A partition is over that long after it began: so is all that lies before the next one.
        end = following(floor(now - timedelta(milliseconds=self.lifetime), self.grain), self.grain)
        assert end is not None
        kept = "" if self.by_loading else f" AND {self.column} >= {self._moment(_FIRST)}"
        return f"({self.column} < {self._moment(_written(end))}{kept})"

    @property
    def in_partitions(self) -> str:
        """The least time of the rows that are in partitions of their own; a moment, or NULL where there are none."""
        kept = "" if self.by_loading else f" FILTER (NOT coalesce({self._outside()}, TRUE))"
        return f"CAST(min({self.column}){kept} AS TIMESTAMP)"

    @property
    def misplaced(self) -> str:
        """The condition that a time of loading is that of no partition."""
        return f"({self.column} IS NULL OR date_trunc('{self.grain.lower()}', {self.column}) <> {self.column})"

    # -- ids

    def checked(self, id: str, table: object) -> str:
        """The id of a partition as rows of it have it; raises for one that no partition of the table can have."""
        if id in (NULL, OUTSIDE):
            return id
        if self.grain:
            if len(id) == len(_WRITTEN[self.grain]) and id.isdigit():
                try:
                    datetime.strptime(id, _FORMATS[self.grain])
                    return id
                except ValueError:
                    pass
            raise invalid(
                f"The partition of {table} must be written as {_WRITTEN[self.grain]}, {NULL} or {OUTSIDE}: it is "
                f"partitioned by {self.grain}; given: ${id[:100]}"
            )
        start, end, step = self.bounds
        if _NUMBER.fullmatch(id) is None or not start <= int(id) < end or (int(id) - start) % step:
            raise invalid(
                f"The partition of {table} must be the start of a range of {step} from {start} to {end}, {NULL} or "
                f"{OUTSIDE}; given: ${id[:100]}"
            )
        return str(int(id))

    def start(self, id: str) -> datetime:
        """When a partition of time begins."""
        return datetime.strptime(id, _FORMATS[self.grain]).replace(tzinfo=UTC)

    def id_at(self, moment: datetime) -> str:
        """The partition of time that a moment is in."""
        return floor(moment, self.grain).strftime(_FORMATS[self.grain])


def grain_of(id: str) -> str:
    """The grain that a partition of time has by the length of its id; raises where it is none."""
    found = _DIGITS.get(len(id)) if id.isdigit() else None
    if found is None:
        raise invalid(f"A partition of time must be written as {', '.join(_WRITTEN.values())}; given: ${id[:100]}")
    return found


def floor(moment: datetime, grain: str) -> datetime:
    """The beginning of the hour, day, month or year of a moment.

    >>> floor(datetime(2026, 5, 7, 17, 22, tzinfo=UTC), "MONTH").isoformat()
    '2026-05-01T00:00:00+00:00'
    """
    made = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if grain != "HOUR":
        made = made.replace(hour=0)
    if grain in ("MONTH", "YEAR"):
        made = made.replace(day=1)
    return made.replace(month=1) if grain == "YEAR" else made


def following(begin: datetime, grain: str) -> datetime | None:
    """The beginning of the next partition; None behind the last one that there can be."""
    try:
        if grain in ("HOUR", "DAY"):
            return begin + timedelta(hours=1 if grain == "HOUR" else 24)
        if grain == "MONTH" and begin.month < 12:
            return begin.replace(month=begin.month + 1)
        return begin.replace(year=begin.year + 1, month=1)
    except (OverflowError, ValueError):
        return None


def _written(moment: datetime) -> str:
    """A moment as the engine reads it; years have four digits."""
    return moment.replace(tzinfo=None).isoformat(" ")


def stored_fields(body: Mapping[str, Any], fields: Sequence[JsonField] | None = None) -> list[JsonField]:
    """The columns of the physical table of a resource (with other ``fields`` than it has, where given)."""
    given = list(body["schema"]["fields"] if fields is None else fields)
    return [*given, LOADED] if is_by_loading(body) else given


def is_by_loading(body: Mapping[str, Any]) -> bool:
    """Whether a table is partitioned by the time of loading."""
    time = body.get("timePartitioning") or {}
    return bool(time) and not time.get("field")


def arriving(
    body: Mapping[str, Any], batches: Iterable[pa.RecordBatch], now: datetime, partition: str = ""
) -> Iterable[pa.RecordBatch]:
    """Rows as the physical table of a resource takes them: with their time of loading where it has one, that of a
    ``partition`` or of now. Rows that have one keep it."""
    partitioning = Partitioning.of(body)
    if partitioning is None or not partitioning.by_loading:
        return batches
    return _loaded(batches, partitioning.start(partition) if partition else floor(now, partitioning.grain))


def _loaded(batches: Iterable[pa.RecordBatch], moment: datetime) -> Iterator[pa.RecordBatch]:
    field = pa.field(TIME, pa.timestamp("us", tz="UTC"))
    for batch in batches:
        if TIME not in batch.schema.names:
            batch = batch.append_column(field, pa.repeat(pa.scalar(moment, field.type), batch.num_rows))
        yield batch


def check_same(old: Mapping[str, Any], new: Mapping[str, Any], *, replaces: bool) -> None:
    """Raise where a job gives a table that is there another partitioning than it has."""
    given = {key: new[key] for key in ("timePartitioning", "rangePartitioning") if new.get(key)}
    if not given or all(cut(old.get(key)) == cut(value) for key, value in given.items()):
        return
    if replaces:
        raise invalid(
            "Cannot replace a table with a different partitioning spec. Instead, DELETE the table, and then recreate it. "
            f"New partitioning spec is {_said(new)} and existing spec is {_said(old)}"
        )
    raise invalid(
        f"Incompatible table partitioning specification. Expects partitioning specification {_said(old)}, but input "
        f"partitioning specification is {_said(new)}"
    )


def cut(layout: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What of a partitioning tells which rows are together."""
    if not layout:
        return None
    made = {key: value for key, value in layout.items() if key not in ("expirationMs", "requirePartitionFilter")}
    return {**made, **({"type": layout.get("type") or "DAY"} if "range" not in layout else {})}


def partitioning_of(body: Mapping[str, Any], table: object) -> Partitioning:
    """The partitioning of a table of which a partition is named."""
    found = Partitioning.of(body)
    if found is None:
        raise invalid(
            f"A partition can only be named of a partitioned table; {table} is not partitioned. Next: leave out what "
            "stands behind $"
        )
    return found


def _said(body: Mapping[str, Any]) -> str:
    if time := body.get("timePartitioning"):
        field = f",field:{time['field']}" if time.get("field") else ""
        return f"interval(type:{(time.get('type') or 'DAY').lower()}{field})"
    if span := body.get("rangePartitioning"):
        bounds = span["range"]
        return f"range(field:{span['field']},start:{bounds['start']},end:{bounds['end']},interval:{bounds['interval']})"
    return "none"


__all__ = [
    "DATE", "LOADED", "NULL", "OUTSIDE", "TIME", "Partitioning", "arriving", "check_same", "cut", "floor", "following",
    "grain_of",
    "is_by_loading", "partitioning_of", "stored_fields",
]  # fmt: skip
