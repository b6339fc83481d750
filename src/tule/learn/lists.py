"""Vectors in lists around centroids: an inverted file (Jégou, Douze and Schmid 2011, "Product quantization for nearest
neighbor search", section IV), of which a search looks at the lists nearest to what is asked.

Symbols: n vectors of d numbers, k lists. Vectors of a COSINE file are compared by direction.
"""

from __future__ import annotations

import numpy as np

_SAMPLE = 256
"""Vectors a list that centroids are found on."""
_ITERATIONS = 12
_AT_ONCE = 1 << 22


def centroids(vectors: np.ndarray, count: int, *, cosine: bool, seed: int = 0) -> np.ndarray:
    """(k, d) float32 centres of at most ``count`` lists, by Lloyd's iterations on a sample; the same for the same rows."""
    random = np.random.default_rng(seed)
    rows = _directed(vectors, cosine)
    if len(rows) > _SAMPLE * count:
        rows = rows[np.sort(random.choice(len(rows), _SAMPLE * count, replace=False))]
    found = rows[np.sort(random.choice(len(rows), min(count, len(rows)), replace=False))].copy()
    for _ in range(_ITERATIONS):
        labels = _nearest(rows, found)
        sums = np.zeros(found.shape, np.float64)
        np.add.at(sums, labels, rows)
        sizes = np.bincount(labels, minlength=len(found))
        empty = sizes == 0
        moved = (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)
        # A list that lost all its vectors begins again at one of them.
        moved[empty] = rows[random.integers(len(rows), size=int(empty.sum()))]
        if np.array_equal(moved, found):
            break
        found = moved
    return found


def assigned(vectors: np.ndarray, centers: np.ndarray, *, cosine: bool) -> np.ndarray:
    """(n,) the list of each vector."""
    return _nearest(_directed(vectors, cosine), centers)


def probed(queries: np.ndarray, centers: np.ndarray, probes: int, kind: str) -> np.ndarray:
    """The lists to look at for any of the queries, ascending: the ``probes`` nearest of each by ``kind`` of distance."""
    rows = _directed(queries, kind == "COSINE")
    away = -(rows @ centers.T) if kind == "DOT_PRODUCT" else _squares(rows, centers)
    count = min(probes, len(centers))
    return np.unique(np.argpartition(away, count - 1, axis=1)[:, :count])


def _directed(vectors: np.ndarray, cosine: bool) -> np.ndarray:
    rows = np.ascontiguousarray(vectors, np.float32)
    if not cosine:
        return rows
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)


def _squares(rows: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Squared distances, but for the squared length of each row, which is the same for all centres."""
    return np.asarray((centers**2).sum(axis=1) - 2.0 * (rows @ centers.T))


def _nearest(rows: np.ndarray, centers: np.ndarray) -> np.ndarray:
    step = max(1, _AT_ONCE // len(centers))
    parts = [_squares(rows[at : at + step], centers).argmin(axis=1) for at in range(0, len(rows), step)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
