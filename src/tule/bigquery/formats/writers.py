"""Files to write, as extract jobs make them: CSV, newline-delimited JSON, Parquet and Avro.

https://cloud.google.com/bigquery/docs/exporting-data
"""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tule.bigquery.cells import interval_text
from tule.bigquery.errors import invalid
from tule.bigquery.formats import avro
from tule.bigquery.types import Field

_COMPRESSIONS = {
    "CSV": ("NONE", "GZIP"),
    "NEWLINE_DELIMITED_JSON": ("NONE", "GZIP"),
    "PARQUET": ("NONE", "SNAPPY", "GZIP", "ZSTD"),
    "AVRO": ("NONE", "DEFLATE", "SNAPPY"),
}


def check(format: str, compression: str, fields: Sequence[Field]) -> None:
    """Raise for a format, compression or schema that cannot be written."""
    if format not in _COMPRESSIONS:
        raise invalid(f"destinationFormat must be one of {', '.join(_COMPRESSIONS)}; given: {format}")
    if compression not in _COMPRESSIONS[format]:
        raise invalid(
            f"compression of {format} must be one of {', '.join(_COMPRESSIONS[format])}; given: {compression}"
        )
    if format == "CSV" and (nested := [each for each in fields if each.type == "STRUCT" or each.mode == "REPEATED"]):
        raise invalid(
            "Operation cannot be performed on a nested schema. Field: "
            f"{nested[0].name}. Next: choose NEWLINE_DELIMITED_JSON, AVRO or PARQUET"
        )


def write(
    file: BinaryIO,
    format: str,
    fields: Sequence[Field],
    batches: Iterable[pa.RecordBatch],
    *,
    compression: str = "NONE",
    delimiter: str = ",",
    header: bool = True,
    logical: bool = True,
) -> int:
    """Write one file; returns its number of rows. ``logical``: whether Avro's logical types are used."""
    if format == "PARQUET":
        return _parquet(file, fields, batches, compression)
    if format == "AVRO":
        return avro.write(file, fields, batches, compression, logical=logical)
    pieces = _csv(fields, batches, delimiter, header) if format == "CSV" else _json(fields, batches)
    if compression == "GZIP":
        # Without name and time: the same rows give the same bytes.
        with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
            return _copy(packed, pieces)
    return _copy(file, pieces)


def _copy(file: Any, pieces: Iterable[tuple[int, bytes]]) -> int:
    count = 0
    for rows, piece in pieces:
        file.write(piece)
        count += rows
    return count


def _parquet(file: BinaryIO, fields: Sequence[Field], batches: Iterable[pa.RecordBatch], compression: str) -> int:
    from pyarrow import parquet

    for each in fields:
        if each.type == "INTERVAL":
            raise invalid(
                f"A field of type INTERVAL cannot be written as PARQUET: {each.name}. Next: choose AVRO or CSV"
            )
    count = 0
    schema = pa.schema([each.arrow for each in fields])
    with parquet.ParquetWriter(file, schema, compression=compression) as writer:
        for batch in batches:
            writer.write_batch(batch.cast(schema) if batch.schema != schema else batch)
            count += batch.num_rows
    return count


def _csv(
    fields: Sequence[Field], batches: Iterable[pa.RecordBatch], delimiter: str, header: bool
) -> Iterator[tuple[int, bytes]]:
    """Rows as text: NULL is empty, an empty text is quoted, as is what holds a delimiter, a quote or a line break."""
    special = f'[{re.escape(delimiter)}"\r\n]|^$'
    if header:
        names = [_quoted(each.name) if re.search(special, each.name) else each.name for each in fields]
        yield 0, (delimiter.join(names) + "\n").encode()
    for batch in batches:
        columns = []
        for values, each in zip(batch.columns, fields, strict=True):
            text = texts(values, each)
            quoted = pc.binary_join_element_wise('"', pc.replace_substring(text, '"', '""'), '"', "")
            text = pc.if_else(pc.match_substring_regex(text, special), quoted, text)
            columns.append(pc.fill_null(text, ""))
        lines = pc.binary_join_element_wise(*columns, delimiter)
        yield batch.num_rows, "".join(f"{line}\n" for line in lines.to_pylist()).encode()


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def texts(values: pa.Array, field: Field) -> pa.Array:
    """A column as the text that CSV holds."""
    if field.type in ("STRING", "JSON", "GEOGRAPHY", "INT64", "DATE"):
        return values.cast(pa.string())
    return pa.array([None if each is None else _text(each, field) for each in values.to_pylist()], pa.string())


def _text(value: Any, field: Field) -> str:
    if field.type == "RANGE":
        bounds = [_bound_text(value[each], field) for each in ("start", "end")]
        return f"[{bounds[0]}, {bounds[1]})"
    if field.type == "INTERVAL":
        return interval_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float):
        return _real(value)
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        text = value.replace(tzinfo=None).isoformat(sep=" " if field.type == "TIMESTAMP" else "T")
        text = text.rstrip("0") if "." in text else text
        return text + " UTC" if field.type == "TIMESTAMP" else text
    if isinstance(value, time):
        text = value.isoformat()
        return text.rstrip("0") if "." in text else text
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _bound_text(value: Any, field: Field) -> str:
    return "UNBOUNDED" if value is None else _text(value, Field("bound", field.element))


def _real(value: float) -> str:
    """As BigQuery writes floats: 2.0, 1e+20, NaN, Infinity."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def plain(value: Decimal) -> str:
    """A decimal without exponent and without trailing zeros.

    >>> plain(Decimal("1.500")), plain(Decimal("1E+3"))
    ('1.5', '1000')
    """
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _json(fields: Sequence[Field], batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, bytes]]:
    for batch in batches:
        lines = [orjson.dumps(_object(row, fields), option=orjson.OPT_APPEND_NEWLINE) for row in batch.to_pylist()]
        yield batch.num_rows, b"".join(lines)


def _object(row: dict[str, Any], fields: Sequence[Field]) -> dict[str, Any]:
    """A row as JSON; NULL fields are left out, as BigQuery's exports do."""
    return {each.name: _json_value(row[each.name], each) for each in fields if row[each.name] is not None}


def _json_value(value: Any, field: Field) -> Any:
    if field.mode == "REPEATED" and isinstance(value, list):
        return [_json_single(each, field) for each in value]
    return _json_single(value, field)


def _json_single(value: Any, field: Field) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if field.type == "STRUCT":
        return _object(value, field.fields)
    if field.type == "RANGE":
        return {each: None if value[each] is None else _bound_text(value[each], field) for each in ("start", "end")}
    if field.type == "JSON":
        return orjson.Fragment(value)
    if isinstance(value, float):
        # JSON has no word for these.
        return value if value == value and value not in (float("inf"), float("-inf")) else _real(value)
    return value if isinstance(value, str) else _text(value, field)
