"""Models of other frameworks for whole columns: what ML.PREDICT of an imported model runs on, in jailed workers.

A model's workers stay while it is among the last that were asked; the first answer of one after that waits for a start.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tule.kernel.errors import FailedPrecondition, Internal, Unavailable
from tule.vertex.endpoints.replicas import check_installed
from tule.vertex.endpoints.workers import Launcher, Pool, Task

_OPEN = 3
_TYPES = {"INT64": pa.int64(), "FLOAT64": pa.float64(), "BOOL": pa.bool_(), "STRING": pa.string()}


class ForeignModels:
    """Opens and runs model files of other frameworks. Safe to use from several threads.

    ``format``: ``onnx``, ``saved_model``, ``tflite`` or ``booster``; ``path`` lies in ``directory``, whose files do not
    change and which no other model has.
    """

    def __init__(self, launcher: Launcher, threads: int) -> None:
        """``threads``: how many workers one model may have at a time."""
        self._launcher = launcher
        self._threads = threads
        self._lock = threading.Lock()
        self._pools: OrderedDict[Path, Pool] = OrderedDict()

    def describe(self, format: str, directory: Path, path: Path) -> tuple[Sequence[Any], Sequence[Any]]:
        """The inputs and the outputs of a model: [name, GoogleSQL type, shape without rows (None: any size)] of each.

        FailedPrecondition where the file does not open or is no such model, or what reads it is not installed.
        """
        check_installed(format)
        worker = self._launcher.start(Task(format, directory, path), None)
        try:
            return worker.describe()
        finally:
            worker.close()

    def try_booster(self, directory: Path, path: Path) -> None:
        """Open and ask a booster in a worker: a file that crashes the library must not crash the server."""
        worker = self._launcher.start(Task("booster", directory, path), None)
        try:
            assert worker.loaded is not None
            worker.predict([[0.0] * (worker.loaded.num_features or 0)])
        finally:
            worker.close()

    def predict(self, format: str, directory: Path, path: Path, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The outputs' columns for columns named as the inputs. InvalidArgument for values that the model cannot take."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        sent = bytes(sink.getvalue())
        while True:
            pool = self._pool(format, directory, path)
            try:
                answer = pool.use(lambda worker: worker.columns(sent))
                return _checked(answer, batch.num_rows)
            except Unavailable:
                if self._pools.get(directory) is pool:
                    raise
                # It was closed for another model's sake while this one waited.

    def forget(self, directory: Path) -> None:
        """End the workers of a model that is gone."""
        with self._lock:
            pool = self._pools.pop(directory, None)
        if pool is not None:
            pool.close()

    def close(self) -> None:
        with self._lock:
            pools, self._pools = list(self._pools.values()), OrderedDict()
        for pool in pools:
            pool.close()

    def _pool(self, format: str, directory: Path, path: Path) -> Pool:
        surplus: list[Pool] = []
        with self._lock:
            pool = self._pools.get(directory)
            if pool is None:
                check_installed(format)
                task = Task(format, directory, path)
                pool = Pool(self._launcher, task, lambda number: None, least=1, most=self._threads)
                self._pools[directory] = pool
                while len(self._pools) > _OPEN:
                    surplus.append(self._pools.popitem(last=False)[1])
            self._pools.move_to_end(directory)
        for each in surplus:
            each.close()
        return pool


def _checked(answer: bytes, rows: int) -> pa.RecordBatch:
    """What a worker sent, believed after every offset in it was looked at."""
    try:
        with pa.ipc.open_stream(answer) as reader:
            batch = reader.read_next_batch()
        batch.validate(full=True)
    except (pa.ArrowException, StopIteration, OSError, EOFError) as error:
        raise Internal("A worker must answer columns", given=f"{type(error).__name__}: {error}"[:300]) from error
    plain = {kind.id for kind in _TYPES.values()}
    for field in batch.schema:
        kind = field.type.value_type if pa.types.is_list(field.type) else field.type
        if kind.id not in plain:
            raise Internal("A worker must answer plain columns", given=str(field.type))
    if batch.num_rows != rows:
        raise FailedPrecondition("A model must answer one entry a row", given=f"{batch.num_rows} for {rows} rows")
    return batch
