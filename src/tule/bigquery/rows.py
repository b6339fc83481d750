"""Rows by REST: pages of a table or a result, and streaming inserts.

https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyarrow as pa

from tule.bigquery import cells, default_values, paging, schemas
from tule.bigquery.decorators import Decorated
from tule.bigquery.destinations import WriteLocks
from tule.bigquery.errors import invalid, not_implemented
from tule.bigquery.formats.columnar import cast
from tule.bigquery.formats.ndjson import batch_of
from tule.bigquery.formats.values import BadValue, record
from tule.bigquery.partitioning import NULL, OUTSIDE, arriving, partitioning_of
from tule.bigquery.physical import Physical
from tule.bigquery.readable import Readable, Sources
from tule.bigquery.references import TableReference
from tule.bigquery.tables import Tables, writable
from tule.bigquery.types import Field, arrow_schema, fields_from_rest
from tule.kernel.clock import Clock
from tule.kernel.records import Record

# A page holds at most this many rows, and about this many bytes of Arrow.
PAGE_ROWS = 100_000
PAGE_BYTES = 10 * 2**20
_LARGEST_INSERT = 50_000
_REMEMBERED = timedelta(minutes=1)
_MOST_REMEMBERED = 100_000


@dataclass(frozen=True)
class RowFormat:
    """How cells are written: timestamps as integer microseconds, or as seconds with a fraction."""

    int64_timestamps: bool = False

    @classmethod
    def read(cls, use_int64: bool, output: str | None) -> RowFormat:
        """From ``formatOptions``."""
        word = (output or "TIMESTAMP_OUTPUT_FORMAT_UNSPECIFIED").upper()
        if use_int64 and word not in ("TIMESTAMP_OUTPUT_FORMAT_UNSPECIFIED", "INT64"):
            raise invalid("useInt64Timestamp and timestampOutputFormat must not both be given")
        if word == "ISO8601_STRING":
            raise not_implemented("timestampOutputFormat ISO8601_STRING", do="use INT64")
        if word not in ("TIMESTAMP_OUTPUT_FORMAT_UNSPECIFIED", "INT64", "FLOAT64"):
            raise invalid(f"timestampOutputFormat must be INT64 or FLOAT64; given: {output!r}")
        return cls(use_int64 or word == "INT64")


@dataclass(frozen=True)
class Page:
    """Some rows as REST cells, and the token of the next page."""

    rows: list[dict[str, Any]]
    token: str | None


def page(
    source: Readable,
    format: RowFormat,
    *,
    start: int,
    count: int | None,
    fields: Sequence[schemas.JsonField] | None = None,
) -> Page:
    """The rows from ``start``: at most ``count``, and no more than fits into one answer."""
    wanted = fields_from_rest(fields) if fields is not None else source.columns
    most = min(PAGE_ROWS if count is None else count, PAGE_ROWS, max(0, source.rows - start))
    rows: list[dict[str, Any]] = []
    size = 0
    if most:
        for batch in source.scan(start, most):
            part = _selected(batch, wanted) if fields is not None else batch
            rows += cells.rows([part], wanted, int64_timestamps=format.int64_timestamps)
            size += part.nbytes
            if len(rows) >= most or size >= PAGE_BYTES:
                break
    del rows[most:]
    end = start + len(rows)
    more = end < source.rows and (rows or count != 0)
    return Page(rows, paging.token(source.owner, end) if more else None)


def _selected(batch: pa.RecordBatch, wanted: Sequence[Field]) -> pa.RecordBatch:
    schema = arrow_schema(wanted)
    return pa.RecordBatch.from_arrays(
        [cast(batch.column(each.name), each.arrow.type) for each in wanted], schema=schema
    )


class TableRows:
    """tabledata.list and tabledata.insertAll."""

    def __init__(self, tables: Tables, sources: Sources, physical: Physical, locks: WriteLocks, clock: Clock) -> None:
        self._tables = tables
        self._sources = sources
        self._physical = physical
        self._locks = locks
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, str], Any] = OrderedDict()

    def list(
        self,
        table: Decorated,
        *,
        start: int | None,
        count: int | None,
        page_token: str,
        selected: str,
        format: RowFormat,
        user: str,
    ) -> dict[str, Any]:
        """A page of a table's rows, of those of one partition, or of those that it had."""
        source = self._sources.of(table, user, self._clock.now())
        begin = paging.position(source.owner, page_token) if page_token else (start or 0)
        fields = schemas.selected(source.fields, selected) if selected else None
        found = page(source, format, start=begin, count=count, fields=fields)
        made: dict[str, Any] = {
            "kind": "bigquery#tableDataList",
            "etag": source.owner,
            "totalRows": str(source.rows),
            "rows": found.rows,
        }
        if not found.rows:
            del made["rows"]
        return made | ({"pageToken": found.token} if found.token else {})

    def insert_all(self, reference: TableReference, body: Mapping[str, Any], partition: str = "") -> dict[str, Any]:
        """Append rows at once, to one ``partition`` where it is named; what is wrong with some is told row by row."""
        given = body.get("rows")
        if not isinstance(given, list) or not given:
            raise invalid("No rows present in the request.")
        if len(given) > _LARGEST_INSERT:
            raise invalid(f"An insertAll request may have at most {_LARGEST_INSERT} rows; given: {len(given)}")
        with self._locks.hold(reference.name):
            stored = self._tables.record(reference)
            name = writable(stored)
            fields = fields_from_rest(stored.body["schema"]["fields"])
            partition = self._streamed(stored, reference, partition) if partition else ""
            if not fields:
                raise invalid(f"The destination table has no schema: {reference}")
            if any(each.default for each in fields):
                with self._physical.session() as session:
                    given = default_values.fill(given, fields, session, reference.project, self._clock.now())
            rows, errors = self._parsed(given, fields, ignore_unknown=bool(body.get("ignoreUnknownValues")))
            if errors and not body.get("skipInvalidRows"):
                stopped = [{"reason": "stopped", "location": "", "debugInfo": "", "message": ""}]
                refused = [{"index": index, "errors": errors.get(index) or stopped} for index in range(len(given))]
                return {"kind": "bigquery#tableDataInsertAllResponse", "insertErrors": refused}
            fresh = self._fresh(name, rows)
            if fresh:
                batch = batch_of([row for _, row in fresh], fields, arrow_schema(fields))
                (batch,) = arriving(stored.body, [batch], self._clock.now(), partition)
                with self._physical.session() as session, session.transaction():
                    session.append(reference.project, name, batch.schema, iter([batch]))
                self._tables.touch(reference)
                self._remember(name, [key for key, _ in fresh if key is not None])
        made: dict[str, Any] = {"kind": "bigquery#tableDataInsertAllResponse"}
        if errors:
            made["insertErrors"] = [{"index": index, "errors": each} for index, each in sorted(errors.items())]
        return made

    def _streamed(self, record: Record, reference: TableReference, id: str) -> str:
        """The id of a partition that rows may be streamed to."""
        partitioning = partitioning_of(record.body, reference)
        checked = partitioning.checked(id, reference)
        if not partitioning.by_loading:
            raise invalid(
                f"Streaming to a partition of a table that is partitioned by a column is not supported; given: "
                f"{reference}${id}. Next: leave out what stands behind $"
            )
        began = partitioning.start(checked) if checked not in (NULL, OUTSIDE) else None
        now = self._clock.now()
        if began is None or not now - timedelta(days=31) <= began <= now + timedelta(days=16):
            raise invalid(
                f"The destination table's partition {reference.table}${id} is outside the allowed bounds. You can only "
                "stream to partitions within 31 days in the past and 16 days in the future relative to the current date."
            )
        return checked

    @staticmethod
    def _parsed(
        given: Sequence[Any], fields: Sequence[Field], *, ignore_unknown: bool
    ) -> tuple[Sequence[tuple[str | None, dict[str, Any]]], dict[int, Sequence[dict[str, Any]]]]:
        rows = []
        errors: dict[int, Sequence[dict[str, Any]]] = {}
        for index, each in enumerate(given):
            try:
                if not isinstance(each, dict) or not isinstance(each.get("json"), dict):
                    raise BadValue("A row must be an object with json")
                key = each.get("insertId")
                rows.append((str(key) if key else None, record(each["json"], fields, ignore_unknown=ignore_unknown)))
            except BadValue as error:
                errors[index] = [{"reason": "invalid", "location": error.path, "debugInfo": "", "message": str(error)}]
        return rows, errors

    def _fresh(
        self, name: str, rows: Sequence[tuple[str | None, dict[str, Any]]]
    ) -> Sequence[tuple[str | None, dict[str, Any]]]:
        """The rows whose insertId is new, also among themselves."""
        found = []
        seen: set[str] = set()
        for key, row in rows:
            if key is None or (key not in seen and not self._is_repeated(name, key)):
                found.append((key, row))
            if key is not None:
                seen.add(key)
        return found

    def _is_repeated(self, name: str, key: str) -> bool:
        """Whether a row of this insertId came within the last minute: best effort, as BigQuery promises."""
        with self._lock:
            at = self._seen.get((name, key))
        return at is not None and self._clock.now() - at < _REMEMBERED

    def _remember(self, name: str, keys: Sequence[str]) -> None:
        now = self._clock.now()
        with self._lock:
            for key in keys:
                self._seen[(name, key)] = now
            while self._seen:
                oldest, at = next(iter(self._seen.items()))
                if now - at < _REMEMBERED and len(self._seen) <= _MOST_REMEMBERED:
                    break
                del self._seen[oldest]


__all__ = ["Page", "RowFormat", "TableRows", "page"]
