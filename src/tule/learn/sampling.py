"""Even samples of a stream whose length is not known, the same for the same order of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa


class RowSample:
    """Rows whose number hashes under a threshold; when they pass the limit the threshold halves.

    While fewer than ``limit`` rows (and ``max_bytes`` bytes) have come, the sample is all of them: ``level`` is 0.
    Payloads are record batches or numpy arrays (rows on the first axis).
    """

    def __init__(self, limit: int, *, max_bytes: int = 1 << 62, seed: int = 0, expected: int | None = None) -> None:
        """``expected``: how many rows will come, if known: then rows that could not stay are not taken first."""
        self._limit = limit
        self._max_bytes = max_bytes
        self._seed = np.uint64((seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF)
        self._next = 0
        self._held = 0
        self._bytes = 0
        self._pieces: list[tuple[np.ndarray | int, Any]] = []
        # At most what will be needed: how many rows are under a threshold varies, and halving does the rest.
        self.level = max(0, ((expected or 0) // (limit + 1)).bit_length() - 1)
        """The sample holds about one row in 2**level."""

    def __len__(self) -> int:
        return self._held

    @property
    def complete(self) -> bool:
        """Whether the sample is every row seen."""
        return self.level == 0

    def add(self, rows: Any) -> None:
        """Offer the next rows."""
        count = len(rows)
        first = self._next
        self._next += count
        if self.level == 0:
            self._push(first, rows, count)
        else:
            hashes = self._hashes(first, count)
            taken = np.flatnonzero(hashes < self._bound())
            if len(taken):
                self._push(hashes[taken], _take(rows, taken), len(taken))
        while self._held > self._limit or (self._bytes > self._max_bytes and self._held > 1):
            self._halve()

    def _push(self, hashes: np.ndarray | int, rows: Any, count: int) -> None:
        self._pieces.append((hashes, rows))
        self._held += count
        self._bytes += rows.nbytes

    def _halve(self) -> None:
        self.level += 1
        pieces, self._pieces = self._pieces, []
        self._held = self._bytes = 0
        for hashes, rows in pieces:
            words = self._hashes(hashes, len(rows)) if isinstance(hashes, int) else hashes
            taken = np.flatnonzero(words < self._bound())
            if len(taken):
                self._push(words[taken], _take(rows, taken), len(taken))

    def _hashes(self, first: int, count: int) -> np.ndarray:
        return mixed(np.arange(first, first + count, dtype=np.uint64) ^ self._seed)

    def _bound(self) -> np.uint64:
        return np.uint64(1 << (64 - self.level))

    def pieces(self) -> list[Any]:
        """What is held, in row order."""
        return [rows for _, rows in self._pieces]

    def values(self) -> np.ndarray:
        """What is held, of numpy payloads, as one array."""
        return np.concatenate(self.pieces()) if self._pieces else np.empty(0)


def mixed(numbers: np.ndarray) -> np.ndarray:
    """splitmix64 (Steele, Lea, Flood 2014): uint64 numbers to well spread words."""
    z = numbers + np.uint64(0x9E3779B97F4A7C15)
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def _take(rows: Any, places: np.ndarray) -> Any:
    if isinstance(rows, np.ndarray):
        return rows[places]
    return rows.take(pa.array(places))
