"""Rows for learning (``learn.data.Batches``): queries of the engine that can be run again, files of kept rows, samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tule.bigquery.ml import nodes

if TYPE_CHECKING:
    from sqlglot import exp

    from tule.learn.data import Batches

BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Relation:
    """Rows that SQL can read again and again with the same answer: what stands in FROM, and its columns."""

    source: exp.Expression
    schema: pa.Schema
    rows: int | None = None
    """Their number, where telling it costs nothing."""

    def select(self, items: Iterable[exp.Expression], where: exp.Expression | None = None) -> exp.Select:
        """``SELECT items FROM`` this."""
        return nodes.select(items, self.source.copy(), where.copy() if where is not None else None)

    def name(self, wanted: str) -> str | None:
        """The column that this name means, in its own letters; None where there is none."""
        return actual(self.schema.names, wanted)


def actual(names: Iterable[str], wanted: str) -> str | None:
    """The name among ``names`` that SQL takes ``wanted`` for: letter case does not count."""
    lower = wanted.lower()
    return next((each for each in names if each.lower() == lower), None)


class QueryBatches:
    """The rows of a relation for which ``where`` holds. One scan at a time: a new one ends the one before."""

    def __init__(
        self,
        run: Callable[[exp.Expression], Any],
        relation: Relation,
        columns: Sequence[str],
        where: exp.Expression | None = None,
        *,
        rows: int | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """``run`` gives a query's ``Result``; ``columns`` are those of the relation that there are."""
        self._run = run
        self._relation = relation
        self._where = where
        self._rows = rows
        self._check = check
        self.schema = pa.schema([relation.schema.field(name) for name in columns])

    @property
    def num_rows(self) -> int | None:
        return self._rows

    def scan(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        from tule.learn.data import missing_column

        wanted = list(columns) if columns is not None else self.schema.names
        for name in wanted:
            if name not in self.schema.names:
                raise missing_column(name, self.schema.names)
        items = [nodes.named(nodes.column(name), name) for name in wanted]
        for batch in self._run(self._relation.select(items, self._where)).batches:
            self._check()
            yield batch


class FileBatches:
    """The rows of an Arrow file, a batch in memory at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as reader:
            self.schema = reader.schema
            self._rows = int(reader.count_rows())

    @property
    def num_rows(self) -> int:
        return self._rows

    def scan(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        from tule.learn.data import missing_column

        wanted = list(columns) if columns is not None else self.schema.names
        for name in wanted:
            if name not in self.schema.names:
                raise missing_column(name, self.schema.names)
        places = [self.schema.get_field_index(name) for name in wanted]
        options = pa.ipc.IpcReadOptions(included_fields=places)
        with pa.OSFile(str(self._path)) as file, pa.ipc.open_file(file, options=options) as reader:
            for at in range(reader.num_record_batches):
                yield reader.get_batch(at).select(wanted)


def write_file(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write rows as an Arrow file; their number. Not yet durable."""
    rows = 0
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema, options=options) as writer:
        for batch in batches:
            for start in range(0, batch.num_rows, BATCH_ROWS):
                piece = batch.slice(start, BATCH_ROWS)
                writer.write_batch(pa.RecordBatch.from_arrays(piece.columns, schema=schema))
                rows += piece.num_rows
    return rows


class Watched:
    """Batches that keep an even sample of the first whole scan that reads every column: no pass is made for it alone."""

    def __init__(self, data: Batches, *, rows: int, size: int) -> None:
        """``rows`` and ``size`` (bytes): the most that the sample holds; fewer rows are kept all."""
        self._data = data
        self._limits = rows, size
        self.sample: list[pa.RecordBatch] | None = None

    @property
    def schema(self) -> pa.Schema:
        return self._data.schema

    @property
    def num_rows(self) -> int | None:
        return self._data.num_rows

    def scan(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        names = self.schema.names
        if self.sample is not None or (columns is not None and set(columns) != set(names)):
            yield from self._data.scan(columns)
            return
        from tule.learn.sampling import RowSample

        rows, size = self._limits
        sample = RowSample(rows, max_bytes=size, expected=self.num_rows)
        for batch in self._data.scan(columns):
            sample.add(batch.select(names))
            yield batch
        self.sample = sample.pieces()

    def sampled(self) -> list[pa.RecordBatch]:
        """The sample; a scan of its own where training made no whole one."""
        if self.sample is None:
            for _ in self.scan():
                pass
        assert self.sample is not None
        return self.sample
