"""The schema of a file that comes without one, as BigQuery's auto-detection types it.

https://cloud.google.com/bigquery/docs/schema-detect
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tule.bigquery.errors import invalid
from tule.bigquery.formats import csv, ndjson
from tule.bigquery.formats.csv import CsvOptions
from tule.bigquery.formats.sources import AnySource
from tule.bigquery.formats.values import day, integer, moment_of_day, real, timestamp

_SAMPLE = 500
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_]+")
_DATE_LIKE = re.compile(r"\s*\d{4}-\d{1,2}-\d{1,2}\s*")


def _flag(text: str) -> bool:
    if text.strip().lower() not in ("true", "false"):
        raise ValueError
    return True


def _date(text: str) -> int:
    if _DATE_LIKE.fullmatch(text) is None:
        raise ValueError
    return day(text)


# From narrow to wide: the first type that takes every value of a column is its type. A moment without a zone is a
# TIMESTAMP in UTC: DATETIME is not detected.
_LADDER: tuple[tuple[str, Callable[[str], Any]], ...] = (
    ("BOOL", _flag),
    ("INT64", integer),
    ("FLOAT64", real),
    ("DATE", _date),
    ("TIME", moment_of_day),
    ("TIMESTAMP", timestamp),
)
# The word in the name of a column that has none: ``string_field_0``.
_WORDS = {"INT64": "int64", "FLOAT64": "double", "BOOL": "bool"}


def type_of(texts: Iterable[str | None]) -> str | None:
    """The narrowest type of some texts; None where all are NULL."""
    given = [text for text in texts if text is not None and text != ""]
    if not given:
        return None
    for kind, parse in _LADDER:
        if all(_fits(parse, text) for text in given):
            return kind
    return "STRING"


def _fits(parse: Callable[[str], Any], text: str) -> bool:
    try:
        parse(text)
    except (ValueError, OverflowError):
        return False
    return True


@dataclass(frozen=True)
class DetectedCsv:
    """What a CSV file holds: REST fields, and how many leading rows are not data."""

    fields: list[dict[str, Any]]
    skip: int


def csv_schema(source: AnySource, options: CsvOptions) -> DetectedCsv:
    """Detect header and types from the first rows of a file.

    Without ``skipLeadingRows`` a first row of texts above other types is a header; with N the header is looked for in
    row N; with 0 there is none.
    """
    skip = options.skip
    start = max(0, (skip or 0) - 1) if skip is not None else 0
    rows = list(
        itertools.islice((cells for number, cells in csv.records(source, options) if number > start), _SAMPLE + 1)
    )
    if not rows:
        raise invalid(f"No rows to detect a schema from; file: {source.name}. Next: give a schema")
    first, rest = rows[0], rows[1:]
    width = max(len(row) for row in rows)
    below = [type_of(row[index] if index < len(row) else None for row in rest) for index in range(width)]
    above = [type_of([cell]) for cell in first] + [None] * (width - len(first))
    header = skip != 0 and _is_header(first, above, below)
    if not header and skip:
        # Row N was said to be skipped: without names in it, it is neither header nor data.
        kinds = below
    else:
        kinds = below if header else [type_of(row[i] if i < len(row) else None for row in rows) for i in range(width)]
    names = _names(first if header else [None] * width, kinds)
    fields = [
        {"name": name, "type": kind or "STRING", "mode": "NULLABLE"} for name, kind in zip(names, kinds, strict=True)
    ]
    return DetectedCsv(fields, skip if skip else (1 if header else 0))


def _is_header(first: Sequence[str | None], above: Sequence[str | None], below: Sequence[str | None]) -> bool:
    if any(cell is None or not cell.strip() for cell in first) or any(kind != "STRING" for kind in above):
        return False
    return any(kind not in (None, "STRING") for kind in below)


def _names(cells: Sequence[str | None], kinds: Sequence[str | None]) -> list[str]:
    """Column names: header cells with odd characters replaced, made unique; generated where there is no header."""
    used: set[str] = set()
    names = []
    for index, kind in enumerate(kinds):
        cell = cells[index] if index < len(cells) else None
        word = _WORDS.get(kind or "STRING", (kind or "STRING").lower())
        name = _NOT_A_NAME.sub("_", cell.strip()) if cell else f"{word}_field_{index}"
        if name[0].isdigit():
            name = "_" + name
        unique, number = name, 1
        while unique.lower() in used:
            unique, number = f"{name}_{number}", number + 1
        used.add(unique.lower())
        names.append(unique)
    return names


# -- JSON


def json_schema(source: AnySource) -> list[dict[str, Any]]:
    """Detect fields from the first objects of a file of newline-delimited JSON, in order of appearance."""
    rows = [row for _, row in itertools.islice(ndjson.objects(source), _SAMPLE)]
    if not rows:
        raise invalid(f"No rows to detect a schema from; file: {source.name}. Next: give a schema")
    return _object_fields(rows, "")


def _object_fields(rows: Sequence[dict[str, Any]], prefix: str) -> list[dict[str, Any]]:
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for key, value in row.items():
            columns.setdefault(key, []).append(value)
    return [_json_field(key, values, prefix + key) for key, values in columns.items()]


def _json_field(name: str, values: Sequence[Any], path: str) -> dict[str, Any]:
    present = [value for value in values if value is not None]
    mode = "NULLABLE"
    if any(isinstance(value, list) for value in present):
        if not all(isinstance(value, list) for value in present):
            raise invalid(f"The field {path} is a list in some rows and not in others. Next: give a schema")
        mode = "REPEATED"
        present = [each for value in present for each in value if each is not None]
    if present and all(isinstance(value, dict) for value in present):
        return {"name": name, "type": "RECORD", "mode": mode, "fields": _object_fields(present, path + ".")}
    return {"name": name, "type": _json_type(present), "mode": mode}


def _json_type(values: Sequence[Any]) -> str:
    if any(isinstance(value, dict) for value in values):
        return "JSON"
    if not values:
        return "STRING"
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) == len(values):
        # Quoted numbers and dates are typed by what they say.
        return type_of(texts) or "STRING"
    if texts:
        return "STRING"
    if all(isinstance(value, bool) for value in values):
        return "BOOL"
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return "INT64"
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return "FLOAT64"
    return "STRING"
