"""A vector index on disk: ``indexes/<id>``, made whole or not at all and never changed.

rows.arrow      all rows of the table, list by list; each list begins a record batch
lists.npz       the centre of each list, and the batch that it begins with
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tule.kernel.home import Home, sync_folder

ROWS, LISTS = "rows.arrow", "lists.npz"


class IndexFiles:
    """The folder of indexes."""

    def __init__(self, home: Home) -> None:
        self._root = home.folder("indexes")

    def write(self, table: pa.Table, labels: np.ndarray, centers: np.ndarray) -> str:
        """Keep the rows by list; the id of the index, durable when this returns."""
        name = secrets.token_hex(12)
        folder = self._root / f".{name}"
        folder.mkdir(mode=0o700)
        try:
            order = np.argsort(labels, kind="stable")
            sizes = np.bincount(labels, minlength=len(centers))
            sorted_ = table.take(pa.array(order)).combine_chunks()
            with pa.OSFile(str(folder / ROWS), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                at = 0
                for size in sizes.tolist():
                    piece = sorted_.slice(at, size).combine_chunks()
                    batches = piece.to_batches() if size else []
                    writer.write_batch(batches[0] if batches else _empty(table.schema))
                    at += size
            np.savez(folder / LISTS, allow_pickle=False, centers=centers)
            for each in (ROWS, LISTS):
                descriptor = os.open(folder / each, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            sync_folder(folder)
            folder.rename(self._root / name)
            sync_folder(self._root)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return name

    def centers(self, name: str) -> np.ndarray:
        with np.load(self._root / name / LISTS, allow_pickle=False) as packed:
            found: np.ndarray = packed["centers"]
        return found

    def rows(self, name: str, lists: Sequence[int]) -> tuple[pa.Schema, list[pa.RecordBatch]]:
        """The rows of some lists, read where they lie."""
        with pa.memory_map(str(self._root / name / ROWS)) as file, pa.ipc.open_file(file) as reader:
            return reader.schema, [reader.get_batch(at) for at in lists]

    def remove(self, name: str) -> None:
        shutil.rmtree(self._root / name, ignore_errors=True)

    def sweep(self, used: set[str]) -> None:
        for path in self._root.iterdir():
            if path.name not in used:
                shutil.rmtree(path, ignore_errors=True)

    def path(self, name: str) -> Path:
        return self._root / name

    def size(self, name: str) -> int:
        return sum(each.stat().st_size for each in (self._root / name).iterdir())


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
