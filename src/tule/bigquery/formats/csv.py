"""CSV files to read, as BigQuery's load options describe them.

Cells come out as text first (pyarrow's parser, block by block), then each column is converted to its type; where nothing
is quoted, ``plain_csv`` does both at once. An unquoted empty cell is NULL, a quoted one an empty text. Rows of wrong length
need the slower reader of this file only where an option says what to do with them (``allowJaggedRows``,
``ignoreUnknownValues``).
https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-csv
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tule.bigquery.errors import invalid
from tule.bigquery.formats import plain_csv
from tule.bigquery.formats.bad_records import BadRecords, TooManyBadRecords
from tule.bigquery.formats.sources import AnySource
from tule.bigquery.formats.values import column
from tule.bigquery.types import Field

_BLOCK = 8 * 2**20
_ROWS = 20_000
_ENCODINGS = {
    "UTF-8": "utf-8-sig",
    "UTF8": "utf-8-sig",
    "ISO-8859-1": "latin-1",
    "UTF-16BE": "utf-16-be",
    "UTF-16LE": "utf-16-le",
    "UTF-32BE": "utf-32-be",
    "UTF-32LE": "utf-32-le",
}


@dataclass(frozen=True)
class CsvOptions:
    """How a CSV file is written."""

    skip: int | None = None
    delimiter: str = ","
    quote: str = '"'
    quoted_newlines: bool = False
    jagged: bool = False
    ignore_unknown: bool = False
    null_markers: tuple[str, ...] = ("",)
    encoding: str = "UTF-8"

    @classmethod
    def read(cls, load: dict[str, Any]) -> CsvOptions:
        """From ``configuration.load``."""
        delimiter = {"tab": "\t", "\\t": "\t"}.get(load.get("fieldDelimiter", ","), load.get("fieldDelimiter", ","))
        quote = load.get("quote", '"')
        if len(delimiter) != 1:
            raise invalid(f"fieldDelimiter must be one character; given: {delimiter!r}")
        if len(quote) > 1:
            raise invalid(f"quote must be one character, or empty for none; given: {quote!r}")
        encoding = str(load.get("encoding", "UTF-8")).upper()
        if encoding not in _ENCODINGS:
            raise invalid(f"encoding must be one of {', '.join(_ENCODINGS)}; given: {encoding}")
        if "nullMarkers" in load and "nullMarker" in load:
            raise invalid("nullMarker and nullMarkers must not both be given")
        markers = tuple(load.get("nullMarkers") or (load.get("nullMarker", ""),))
        skip = load.get("skipLeadingRows")
        if skip is not None and int(skip) < 0:
            raise invalid(f"skipLeadingRows must not be negative; given: {skip}")
        return cls(
            skip=None if skip is None else int(skip),
            delimiter=delimiter,
            quote=quote,
            quoted_newlines=bool(load.get("allowQuotedNewlines", False)),
            jagged=bool(load.get("allowJaggedRows", False)),
            ignore_unknown=bool(load.get("ignoreUnknownValues", False)),
            null_markers=markers,
            encoding=encoding,
        )


def batches(
    sources: Sequence[AnySource], fields: Sequence[Field], options: CsvOptions, bad: BadRecords
) -> Iterator[pa.RecordBatch]:
    """Typed batches of all files in turn; bad rows are left out through ``bad``."""
    for each in fields:
        if each.type == "STRUCT" or each.mode == "REPEATED":
            raise invalid(f"Unsupported field type in CSV: field {each.name} is nested or repeated")
    schema = pa.schema([each.arrow for each in fields])
    for source in sources:
        done = 0
        if plain_csv.is_plain(source, options):
            try:
                for batch in plain_csv.batches(source, fields, options):
                    done += batch.num_rows
                    yield batch
                continue
            except plain_csv.Unusual:
                # Once more from the beginning, without the rows that are out: all before them were good.
                pass
        slow = options.jagged or options.ignore_unknown
        for first, texts in (_padded if slow else _blocks)(source, fields, options, bad):
            batch = _typed(texts, first, fields, schema, source, bad, options)
            out = min(done, batch.num_rows)
            done -= out
            if batch.num_rows > out:
                yield batch.slice(out)


def _typed(
    texts: Sequence[pa.Array],
    rows: Sequence[int],
    fields: Sequence[Field],
    schema: pa.Schema,
    source: AnySource,
    bad: BadRecords,
    options: CsvOptions,
) -> pa.RecordBatch:
    columns: list[pa.Array] = []
    wrong: dict[int, tuple[str, str]] = {}
    for text, each in zip(texts, fields, strict=True):
        if not options.quoted_newlines and pc.any(pc.match_substring(text, "\n")).as_py():
            for index, cell in enumerate(text.to_pylist()):
                if cell is not None and "\n" in cell:
                    why = "Missing close quote character: a quoted cell goes over several lines, allowQuotedNewlines is off"
                    wrong.setdefault(index, (why, each.name))
        values, failed = column(text, each)
        if each.mode == "REQUIRED" and values.null_count:
            for index in range(len(values)):
                if not values[index].is_valid:
                    failed.setdefault(index, f"Missing value for required field {each.name}")
        for index, why in failed.items():
            wrong.setdefault(index, (why, each.name))
        columns.append(values)
    for index in sorted(wrong):
        why, name = wrong[index]
        bad.add(source.name, rows[index], why, name)
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    if wrong:
        keep = pa.array([index not in wrong for index in range(batch.num_rows)])
        batch = batch.filter(keep)
    return batch


def _blocks(
    source: AnySource, fields: Sequence[Field], options: CsvOptions, bad: BadRecords
) -> Iterator[tuple[Sequence[int], list[pa.Array]]]:
    """Columns of text and their row numbers, by pyarrow's parser."""
    from pyarrow import csv

    if source.size == 0:
        return
    names = [f"c{index}" for index in range(len(fields))]
    skipped: list[int] = []
    given_up: list[TooManyBadRecords] = []

    def wrong_length(row: Any) -> str:
        many = "many" if row.actual_columns > row.expected_columns else "few"
        skipped.append(row.number or 0)
        try:
            bad.add(
                source.name,
                row.number,
                f"Too {many} columns in a row: expected {row.expected_columns}, found {row.actual_columns}. Next: correct "
                "the row, or set allowJaggedRows, ignoreUnknownValues or maxBadRecords",
            )
        except TooManyBadRecords as error:
            # The parser lets no exception through: it is raised when the parser gives up.
            given_up.append(error)
            return "error"
        return "skip"

    read = csv.ReadOptions(
        use_threads=False,
        block_size=_BLOCK,
        skip_rows=options.skip or 0,
        column_names=names,
        encoding=_ENCODINGS[options.encoding],
    )
    parse = csv.ParseOptions(
        delimiter=options.delimiter,
        quote_char=options.quote or False,
        double_quote=bool(options.quote),
        newlines_in_values=options.quoted_newlines,
        invalid_row_handler=wrong_length,
    )
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=list(options.null_markers),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    row = (options.skip or 0) + 1
    try:
        with source.open() as file:
            for batch in csv.open_csv(file, read, parse, convert):
                # Rows that were left out keep their numbers.
                numbers: list[int] = []
                gone = set(skipped)
                while len(numbers) < batch.num_rows:
                    if row not in gone:
                        numbers.append(row)
                    row += 1
                yield numbers, batch.columns
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):
            return
        if given_up:
            raise given_up[0] from None
        raise invalid(
            f"Error while reading data, error message: {error}; file: {source.name}", location=source.name
        ) from error
    except UnicodeDecodeError as error:
        raise invalid(
            f"Error while reading data, error message: Bad character for encoding {options.encoding}: {error}; file: "
            f"{source.name}. Next: name the file's encoding",
            location=source.name,
        ) from error


def _padded(
    source: AnySource, fields: Sequence[Field], options: CsvOptions, bad: BadRecords
) -> Iterator[tuple[Sequence[int], list[pa.Array]]]:
    """Columns of text where short rows are filled with NULL and long ones cut, as the options allow."""
    width = len(fields)
    numbers: list[int] = []
    rows: list[list[str | None]] = []

    def flush() -> tuple[list[int], list[pa.Array]]:
        columns = [pa.array([row[index] for row in rows], pa.string()) for index in range(width)]
        made = (list(numbers), columns)
        numbers.clear()
        rows.clear()
        return made

    for number, cells in records(source, options):
        if number <= (options.skip or 0):
            continue
        if len(cells) < width and not options.jagged:
            bad.add(source.name, number, f"Too few columns in a row: expected {width}, found {len(cells)}")
            continue
        if len(cells) > width and not options.ignore_unknown:
            bad.add(source.name, number, f"Too many columns in a row: expected {width}, found {len(cells)}")
            continue
        numbers.append(number)
        rows.append((cells + [None] * width)[:width])
        if len(rows) == _ROWS:
            yield flush()
    if rows:
        yield flush()


def records(source: AnySource, options: CsvOptions) -> Iterator[tuple[int, list[str | None]]]:
    """Rows of cells with their numbers from 1: None for NULL. Empty lines are left out but counted."""
    q, d = re.escape(options.quote), re.escape(options.delimiter)
    pattern = rf"{q}(?P<quoted>(?:[^{q}]|{q}{q})*){q}(?={d}|$)|(?P<plain>[^{d}]*)" if q else rf"(?P<plain>[^{d}]*)"
    cell = re.compile(pattern, re.DOTALL)
    with source.open() as file:
        text = io.TextIOWrapper(file, encoding=_ENCODINGS[options.encoding], newline="")
        number, pending = 0, ""
        try:
            for line in text:
                number += 1
                pending += line
                if options.quoted_newlines and q and pending.count(options.quote) % 2:
                    continue
                content, pending = pending.rstrip("\r\n"), ""
                if content:
                    yield number, _cells(content, cell, options)
        except UnicodeDecodeError as error:
            raise invalid(
                f"Error while reading data, error message: Bad character for encoding {options.encoding}: {error}; "
                f"file: {source.name}. Next: name the file's encoding",
                location=source.name,
            ) from error
        if pending:
            yield number, _cells(pending.rstrip("\r\n"), cell, options)


def _cells(content: str, cell: re.Pattern[str], options: CsvOptions) -> list[str | None]:
    found: list[str | None] = []
    position = 0
    while position <= len(content):
        match = cell.match(content, position)
        if match is None:
            raise invalid(f"A CSV row must be cells between delimiters; given: {content[:128]!r}")
        groups = match.groupdict()
        if groups.get("quoted") is not None:
            found.append(groups["quoted"].replace(options.quote * 2, options.quote))
        else:
            plain = groups["plain"]
            found.append(None if plain in options.null_markers else plain)
        position = match.end() + 1
    return found
