"""Encoded rows as a compressed sparse matrix, for models with thousands of one-hot columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from tule.learn.transforms import Block


def to_csr(block: Block) -> Any:
    """X as scipy CSR float32 (n, D). All dense entries are stored, zeros too: an absent entry is a missing value."""
    from scipy.sparse import csr_matrix

    layout, rows = block.layout, block.rows
    counts = np.full(rows, layout.dense, np.int64)
    for code in block.codes:
        counts += code >= 0
    for item in block.ragged:
        counts += np.diff(item.starts)
    starts = np.zeros(rows + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    indices = np.empty(int(starts[-1]), np.int32)
    values = np.ones(int(starts[-1]), np.float32)
    free = starts[:-1].copy()
    for column in range(layout.dense):
        indices[free] = column
        values[free] = block.dense[:, column]
        free += 1
    for code, (first, _) in zip(block.codes, layout.code_ranges(), strict=True):
        known = code >= 0
        indices[free[known]] = first + code[known]
        free += known
    for item, (first, _) in zip(block.ragged, layout.ragged_ranges(), strict=True):
        lengths = np.diff(item.starts)
        within = np.arange(len(item.indices)) - np.repeat(item.starts[:-1], lengths)
        places = np.repeat(free, lengths) + within
        indices[places] = first + item.indices
        values[places] = item.values
        free += lengths
    return csr_matrix((values, indices, starts), shape=(rows, layout.width))


def stacked(matrices: list[Any]) -> Any:
    """Sparse matrices one below the other."""
    from scipy.sparse import vstack

    return vstack(matrices, format="csr")
