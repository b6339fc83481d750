"""Results of queries, kept for a day: small ones inside the job's record, larger ones as an Arrow file.

A result is also a table, ``_<hash>.anon<job>``, that clients read by name. It is nothing of its own: the table's name leads
to the job and the job to the rows, so a query costs one write and old results leave nothing behind.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import re
import secrets
import shutil
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from tule.bigquery.references import JobReference, TableReference
from tule.bigquery.types import Field, fields_of
from tule.kernel.clock import Clock
from tule.kernel.home import Home

KEPT = timedelta(hours=24)
# A result up to this many bytes of Arrow goes into the record of its job.
_INLINE_BYTES = 16 * 1024
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX = re.compile(r"[0-9a-f]{32}")


class Rows:
    """The rows of a result or of a snapshot, readable from any position, in memory or from a mapped file."""

    def __init__(self, schema: pa.Schema, batches: list[pa.RecordBatch], reader: Any = None) -> None:
        self.schema = schema
        self._batches = batches
        self._reader = reader
        count = reader.num_record_batches if reader is not None else len(batches)
        self._starts = [0]
        for index in range(count):
            self._starts.append(self._starts[-1] + self._batch(index).num_rows)

    @cached_property
    def columns(self) -> list[Field]:
        return fields_of(self.schema)

    @property
    def num_rows(self) -> int:
        return self._starts[-1]

    def _batch(self, index: int) -> pa.RecordBatch:
        return self._reader.get_batch(index) if self._reader is not None else self._batches[index]

    def scan(self, start: int = 0, stop: int | None = None) -> Iterator[pa.RecordBatch]:
        """Batches of the rows from ``start`` up to ``stop``."""
        end = self.num_rows if stop is None else min(stop, self.num_rows)
        index = max(0, bisect_right(self._starts, start) - 1)
        while start < end:
            first = self._starts[index]
            batch = self._batch(index)
            piece = batch.slice(start - first, min(end, first + batch.num_rows) - start)
            if piece.num_rows:
                yield piece
            start, index = first + batch.num_rows, index + 1

    def table(self, start: int = 0, stop: int | None = None) -> pa.Table:
        return pa.Table.from_batches(list(self.scan(start, stop)), self.schema)


@dataclass(frozen=True)
class Kept:
    """A result and where it is: in a ``file``, or where that is empty inside the record of its job.

    ``json`` goes into the private part of that record; it is made when the record is written.
    """

    rows: Rows
    expires: str
    file: str = ""

    @cached_property
    def json(self) -> dict[str, Any]:
        about = {"rows": self.rows.num_rows, "expires": self.expires}
        if self.file:
            return {"file": self.file, **about}
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.rows.schema) as writer:
            for batch in self.rows.scan():
                writer.write_batch(batch)
        return {"inline": base64.b64encode(sink.getvalue()).decode(), **about}


class Results:
    """The results of all projects."""

    def __init__(self, home: Home, clock: Clock) -> None:
        self._clock = clock
        self._folder = home.folder("results")
        self._lock = threading.Lock()

    def keep(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Kept:
        """Take the rows of a query as they come; constant memory however many they are. Durable when this returns."""
        held: list[pa.RecordBatch] = []
        size = 0
        source = iter(batches)
        for batch in source:
            held.append(batch)
            size += batch.nbytes
            if size > _INLINE_BYTES:
                return self._write(schema, held, source)
        return Kept(Rows(schema, held), self._expiry())

    def _write(self, schema: pa.Schema, held: list[pa.RecordBatch], source: Iterator[pa.RecordBatch]) -> Kept:
        path, place = self._place()
        try:
            with path.open("xb") as file:
                with pa.ipc.new_file(file, schema) as writer:
                    for batch in held:
                        writer.write_batch(batch)
                    held.clear()
                    for batch in source:
                        writer.write_batch(batch)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Kept(open_rows(path), self._expiry(), place)

    def _place(self) -> tuple[Path, str]:
        """A new file in the folder of the present hour: results expire by removing whole folders."""
        hour, name = f"{self._clock.now():%Y%m%d%H}", secrets.token_hex(16)
        folder = self._folder / hour
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / name, f"{hour}/{name}"

    def _expiry(self) -> str:
        return str(int((self._clock.now() + KEPT).timestamp() * 1000))

    def open(self, kept: Mapping[str, Any] | Kept) -> Rows | None:
        """The rows of a kept result; None when its day is over."""
        expires = kept.expires if isinstance(kept, Kept) else kept["expires"]
        if int(expires) <= self._clock.now().timestamp() * 1000:
            return None
        if isinstance(kept, Kept):
            return kept.rows
        if "inline" in kept:
            with pa.ipc.open_stream(pa.py_buffer(base64.b64decode(kept["inline"]))) as reader:
                return Rows(reader.schema, list(reader))
        path = self._folder / kept["file"]
        return open_rows(path) if path.exists() else None

    def drop(self, kept: Mapping[str, Any] | Kept) -> None:
        """Forget a result before its time."""
        if file := (kept.file if isinstance(kept, Kept) else kept.get("file", "")):
            (self._folder / file).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what expired."""
        oldest = self._clock.now() - KEPT - timedelta(hours=1)
        for folder in self._folder.iterdir():
            try:
                hour = datetime.strptime(folder.name + "+0000", "%Y%m%d%H%z")
            except ValueError:
                continue
            if hour < oldest:
                shutil.rmtree(folder, ignore_errors=True)


def open_rows(path: Path) -> Rows:
    """The rows of an Arrow file."""
    # Mapped: pages are read when a row of theirs is.
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    return Rows(reader.schema, [], reader)


def anonymous_dataset(project: str, user: str) -> str:
    """The hidden dataset of a user's results in a project."""
    return "_" + hashlib.sha256(f"{project}/{user}".encode()).hexdigest()[:40]


def anonymous_table(job: JobReference, user: str) -> TableReference:
    """The table that is a job's result.

    >>> job = JobReference("p", "6b51a3f4-2c58-4b6e-9f0e-1d2c3b4a5968")
    >>> anonymous_table(job, "u").table, job_of(anonymous_table(job, "u")) == job
    ('anon6b51a3f42c584b6e9f0e1d2c3b4a5968', True)
    """
    name = job.job.replace("-", "") if _UUID.fullmatch(job.job) else "_" + job.job.replace("_", "__").replace("-", "_d")
    return TableReference(job.project, anonymous_dataset(job.project, user), f"anon{name}")


def job_of(table: TableReference) -> JobReference | None:
    """The job whose result an anonymous table is; None for any other table."""
    if not table.dataset.startswith("_") or not table.table.startswith("anon"):
        return None
    name = table.table.removeprefix("anon")
    if _HEX.fullmatch(name):
        cut = (0, 8, 12, 16, 20, 32)
        return JobReference(table.project, "-".join(name[a:b] for a, b in itertools.pairwise(cut)))
    if name.startswith("_"):
        return JobReference(table.project, re.sub(r"__|_d", lambda found: "_" if found[0] == "__" else "-", name[1:]))
    return None
