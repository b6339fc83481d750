"""Newline-delimited JSON to read: one object a line, keys matched to columns without regard to case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pyarrow as pa

from tule.bigquery.errors import invalid
from tule.bigquery.formats.bad_records import BadRecords
from tule.bigquery.formats.sources import AnySource
from tule.bigquery.formats.values import BadValue, array, record
from tule.bigquery.types import Field

_ROWS = 20_000
_LONGEST_LINE = 100 * 2**20


def objects(source: AnySource) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and objects; raises for a line that is not an object."""
    for number, line in _lines(source):
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise invalid(
                f"Error while reading data, error message: JSON parsing error in row {number}: {error}; file: "
                f"{source.name}",
                location=source.name,
            ) from None
        if not isinstance(value, dict):
            raise invalid(f"Error while reading data, error message: row {number} of {source.name} is not an object")
        yield number, value


def _lines(source: AnySource) -> Iterator[tuple[int, bytes]]:
    with source.open() as file:
        number = 0
        while line := file.readline(_LONGEST_LINE + 1):
            number += 1
            if len(line) > _LONGEST_LINE:
                raise invalid(f"A row must be at most {_LONGEST_LINE} bytes; row {number} of {source.name} is longer")
            if line.strip():
                yield number, line


def batches(
    sources: Sequence[AnySource], fields: Sequence[Field], bad: BadRecords, *, ignore_unknown: bool = False
) -> Iterator[pa.RecordBatch]:
    """Typed batches of all files in turn; bad rows are left out through ``bad``."""
    schema = pa.schema([each.arrow for each in fields])
    rows: list[dict[str, Any]] = []
    for source in sources:
        for number, line in _lines(source):
            try:
                value = orjson.loads(line)
                if not isinstance(value, dict):
                    raise BadValue("a row must be an object")
                rows.append(record(value, fields, ignore_unknown=ignore_unknown))
            except orjson.JSONDecodeError as error:
                bad.add(source.name, number, f"JSON parsing error: {error}")
            except BadValue as error:
                bad.add(source.name, number, f"JSON processing encountered an error: {error}", error.path)
            if len(rows) == _ROWS:
                yield batch_of(rows, fields, schema)
                rows = []
    if rows:
        yield batch_of(rows, fields, schema)


def batch_of(rows: Sequence[dict[str, Any]], fields: Sequence[Field], schema: pa.Schema) -> pa.RecordBatch:
    """Parsed rows as a batch."""
    return pa.RecordBatch.from_arrays([array([row[each.name] for row in rows], each) for each in fields], schema=schema)
