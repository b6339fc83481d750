"""Partitions of tables: their ids, and how many rows each has. Rows are not stored apart; ids are those that BigQuery gives.

https://cloud.google.com/bigquery/docs/partitioned-tables
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tule.bigquery.tables import Tables, physical_of
from tule.kernel.records import Record

_FORMATS = {"HOUR": "%Y%m%d%H", "DAY": "%Y%m%d", "MONTH": "%Y%m", "YEAR": "%Y"}
NULL, OUTSIDE = "__NULL__", "__UNPARTITIONED__"


def partition_rows(record: Record, tables: Tables) -> Sequence[tuple[str | None, int]]:
    """(id, rows) of each partition that has rows; one with the id None for a table that is not partitioned."""
    expression = partition_id(record.body)
    if expression is None:
        return [(None, tables.measure(record)[0])]
    return tables.counted(record, physical_of(record), expression)


def partition_id(body: Mapping[str, Any]) -> str | None:
    """The id of a row's partition, in the engine's SQL; None for a table that is not partitioned."""
    if time := body.get("timePartitioning"):
        column = _quoted(time["field"])
        return f"coalesce(strftime({column}, '{_FORMATS[time['type']]}'), '{NULL}')"
    if span := body.get("rangePartitioning"):
        column, bounds = _quoted(span["field"]), span["range"]
        start, end, step = (int(bounds[key]) for key in ("start", "end", "interval"))
        return (
            f"CASE WHEN {column} IS NULL THEN '{NULL}' WHEN {column} < {start} OR {column} >= {end} THEN '{OUTSIDE}' "
            f"ELSE CAST({start} + (({column} - {start}) // {step}) * {step} AS VARCHAR) END"
        )
    return None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
