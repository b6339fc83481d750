"""Passes over training rows: which are kept in memory, and work on them by several threads."""

from __future__ import annotations

import threading
import weakref

import numpy as np
import pyarrow as pa
import pytest

from tule.learn.data import ArrowBatches
from tule.learn.models import fitting
from tule.learn.models.fitting import Rows, Source, computed
from tule.learn.transforms import Block, Layout


def source(rows: int, blocks: list[int]) -> Source:
    def encode(batch: pa.RecordBatch) -> Rows:
        blocks.append(batch.num_rows)
        values = batch.column("x").to_numpy().reshape(-1, 1)
        return Rows(Block(Layout(1), np.asfortranarray(values)), np.empty(0))

    return Source(ArrowBatches(pa.table({"x": np.arange(float(rows))}), 1000), ["x"], encode, label=None)


def test_rows_that_fit_are_encoded_once() -> None:
    blocks: list[int] = []
    passes = source(100_000, blocks)
    first = [rows.block.dense[0, 0] for rows in passes]
    assert passes.cached
    assert [rows.block.dense[0, 0] for rows in passes] == first
    assert sum(blocks) == 100_000


def test_rows_that_will_not_fit_are_never_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "CACHE_BYTES", 400_000)
    passes = source(100_000, [])
    reading = iter(passes)
    first = weakref.ref(next(reading).block)
    second = next(reading)
    assert second.block.nbytes < 400_000  # it was let go before the limit was reached
    assert first() is None
    reading.close()
    assert sum(rows.block.rows for rows in passes) == 100_000
    assert not passes.cached


def test_answers_come_in_the_order_of_the_items() -> None:
    threads = set()

    def square(number: int) -> int:
        threads.add(threading.current_thread().name)
        return number * number

    assert list(computed(square, range(500))) == [number * number for number in range(500)]
    assert all(name.startswith("fit") for name in threads)


def test_what_the_work_raises_comes_out_and_later_items_are_not_taken() -> None:
    taken = []

    def items():
        for number in range(10_000):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        if number == 3:
            raise ValueError("the third")
        return number

    with pytest.raises(ValueError, match="the third"):
        list(computed(work, items()))
    assert len(taken) < 100
