"""CSV files in which nothing is quoted: cells become values where they are parsed, without being texts in between.

What the parser takes here, the careful way (``csv.py``) takes as the same values: both convert by the same functions. At the
first thing that it does not take, or that an option may say something about, this way ends, and the careful one goes on.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeGuard

import pyarrow as pa

from tule.bigquery.formats.sources import AnySource, Source
from tule.bigquery.formats.values import FALSE, TRUE, column
from tule.bigquery.types import Field

if TYPE_CHECKING:
    from tule.bigquery.formats.csv import CsvOptions

# Types that the parser converts itself; the others come as text, which ``values.column`` converts.
_PARSED = frozenset({"INT64", "FLOAT64", "BOOL", "DATE", "DATETIME", "STRING"})
_BLOCK = 8 * 2**20
_GZIP = b"\x1f\x8b"


class Unusual(Exception):
    """What comes next needs the careful way."""


def is_plain(source: AnySource, options: CsvOptions) -> TypeGuard[Source]:
    """Whether a file is one of these: UTF-8, not packed, without a quote anywhere. Costs one look over its bytes."""
    if not isinstance(source, Source) or options.encoding not in ("UTF-8", "UTF8"):
        return False
    if options.jagged or options.ignore_unknown or not source.size:
        return False
    with source.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[:2] == _GZIP:
            return False
        return not options.quote or content.find(options.quote.encode()) < 0


def batches(source: Source, fields: Sequence[Field], options: CsvOptions) -> Iterator[pa.RecordBatch]:
    """Typed batches from the first row on; raises Unusual where not all rows of the next one are good."""
    from pyarrow import csv

    names = [f"c{index}" for index in range(len(fields))]
    kinds = [each.arrow.type if each.type in _PARSED else pa.string() for each in fields]
    read = csv.ReadOptions(
        use_threads=False, block_size=_BLOCK, skip_rows=options.skip or 0, column_names=names, encoding="utf8"
    )
    parse = csv.ParseOptions(delimiter=options.delimiter, quote_char=False, double_quote=False)
    convert = csv.ConvertOptions(
        column_types=dict(zip(names, kinds, strict=True)),
        null_values=list(options.null_markers),
        strings_can_be_null=True,
        true_values=_spellings(TRUE),
        false_values=_spellings(FALSE),
    )
    try:
        for batch in csv.open_csv(str(source.path), read, parse, convert):
            yield _whole(batch, fields)
    except pa.ArrowInvalid as error:
        raise Unusual from error


def _whole(batch: pa.RecordBatch, fields: Sequence[Field]) -> pa.RecordBatch:
    columns = []
    for values, each in zip(batch.columns, fields, strict=True):
        if each.type not in _PARSED:
            values, failed = column(values, each)
            if failed:
                raise Unusual
        if each.mode == "REQUIRED" and values.null_count:
            raise Unusual
        columns.append(values)
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema([each.arrow for each in fields]))


def _spellings(words: frozenset[str]) -> list[str]:
    """The usual ones; a word written otherwise is read by the careful way."""
    return sorted({form for word in words for form in (word, word.upper(), word.capitalize())})
