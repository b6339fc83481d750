"""Training data as batches of Arrow rows that can be read again: how an engine's query reaches a model.

>>> data = ArrowBatches(pa.table({"x": [1, 2, 3], "y": [2.0, 4.0, 6.0]}), batch_rows=2)
>>> [batch.num_rows for batch in data.scan(["x"])]
[2, 1]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa

from tule.kernel.errors import InvalidArgument


class Batches(Protocol):
    """Rows that can be scanned more than once.

    Promises of an implementation: every scan gives the same rows in the same order, cut into batches in the same way
    (a model fitted twice with one seed must come out byte for byte the same); ``scan(columns)`` gives just those
    columns, in the order asked for; a scan that is abandoned half way releases what it holds. Batches of 10,000 to
    200,000 rows are best; models cut larger ones up and join smaller ones.
    """

    @property
    def schema(self) -> pa.Schema:
        """Names and types of all columns."""

    @property
    def num_rows(self) -> int | None:
        """The number of rows if known without a scan (a hint for progress and buffers), else None."""

    def scan(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Read all rows once, with these columns (default: all)."""


class ArrowBatches:
    """Batches over an Arrow table, record batch or list of record batches that lies in memory."""

    def __init__(self, table: pa.Table | pa.RecordBatch | Sequence[pa.RecordBatch], batch_rows: int = 65_536) -> None:
        if isinstance(table, pa.RecordBatch):
            table = pa.Table.from_batches([table])
        elif not isinstance(table, pa.Table):
            table = pa.Table.from_batches(list(table))
        self._table = table
        self._batch_rows = batch_rows

    @property
    def schema(self) -> pa.Schema:
        return self._table.schema

    @property
    def num_rows(self) -> int:
        return int(self._table.num_rows)

    def scan(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        table = self._table if columns is None else select(self._table, columns)
        yield from table.to_batches(max_chunksize=self._batch_rows)


def select(rows: Any, columns: Sequence[str]) -> Any:
    """``rows`` (table or record batch) with just these columns; a missing one is named in an InvalidArgument."""
    names = rows.schema.names
    for column in columns:
        if column not in names:
            raise missing_column(column, names)
    return rows.select(list(columns))


def missing_column(column: str, given: Sequence[str]) -> InvalidArgument:
    """The error for a column that a model needs and the rows lack, with the near names."""
    import difflib

    near = difflib.get_close_matches(column, given, n=3, cutoff=0.5)
    hint = f"rename {' or '.join(near)} to {column}" if near else f"add the column {column}"
    return InvalidArgument(
        f"The data must have the column {column}", given=", ".join(given) or "no columns", do=hint, location=column
    )
