"""Encoded rows: a dense part, one code per categorical column, and ragged parts, with the products models need.

Symbols: n rows, D encoded columns, p dense ones. Encoded columns lie in this order: dense, then each categorical
column's categories, then each ragged column's. One-hot columns are never written out unless D is small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_NARROW = 64
_TABLE = 1 << 22


@dataclass(frozen=True)
class Layout:
    """Where the encoded columns lie: ``dense`` of them first, then ``codes`` and ``ragged`` widths in order."""

    dense: int
    codes: tuple[int, ...] = ()
    ragged: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """D"""
        return self.dense + sum(self.codes) + sum(self.ragged)

    def code_ranges(self) -> list[tuple[int, int]]:
        """First and past-the-last encoded column of each categorical column."""
        return _ranges(self.dense, self.codes)

    def ragged_ranges(self) -> list[tuple[int, int]]:
        """First and past-the-last encoded column of each ragged column."""
        return _ranges(self.dense + sum(self.codes), self.ragged)


def _ranges(first: int, widths: tuple[int, ...]) -> list[tuple[int, int]]:
    found = []
    for width in widths:
        found.append((first, first + width))
        first += width
    return found


@dataclass(frozen=True)
class Ragged:
    """Sparse rows: row i has ``values[k]`` at ``indices[k]`` for k in ``starts[i]..starts[i+1]``."""

    starts: np.ndarray
    indices: np.ndarray
    values: np.ndarray

    def rows(self) -> np.ndarray:
        """The row of each entry."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


@dataclass(frozen=True)
class Block:
    """Some encoded rows. ``dense`` (n, p) is column-major; a code of -1 stands for no category."""

    layout: Layout
    dense: np.ndarray
    codes: tuple[np.ndarray, ...] = ()
    ragged: tuple[Ragged, ...] = ()

    @property
    def rows(self) -> int:
        """n"""
        return int(self.dense.shape[0])

    @property
    def nbytes(self) -> int:
        """Memory held."""
        total = self.dense.nbytes + sum(code.nbytes for code in self.codes)
        return total + sum(item.starts.nbytes + item.indices.nbytes + item.values.nbytes for item in self.ragged)

    def times(self, weights: np.ndarray) -> np.ndarray:
        """X W: weights (D,) or (D, k) give (n,) or (n, k)."""
        layout = self.layout
        answer = self.dense @ weights[: layout.dense]
        for code, (first, last) in zip(self.codes, layout.code_ranges(), strict=True):
            # One zero row at the end, which code -1 picks.
            table = np.concatenate([weights[first:last], np.zeros((1, *weights.shape[1:]))])
            answer += table[code]
        for item, (first, last) in zip(self.ragged, layout.ragged_ranges(), strict=True):
            part = weights[first:last]
            for column in range(1 if part.ndim == 1 else part.shape[1]):
                own = part if part.ndim == 1 else part[:, column]
                sums = np.bincount(item.rows(), weights=own[item.indices] * item.values, minlength=self.rows)
                if part.ndim == 1:
                    answer += sums
                else:
                    answer[:, column] += sums
        return answer

    def transposed_times(self, right: np.ndarray) -> np.ndarray:
        """X' R: R (n,) or (n, k) gives (D,) or (D, k)."""
        layout = self.layout
        answer = np.empty((layout.width, *right.shape[1:]))
        answer[: layout.dense] = self.dense.T @ right
        columns: list[Any] = [slice(None)] if right.ndim == 1 else [(slice(None), at) for at in range(right.shape[1])]
        for code, (first, last) in zip(self.codes, layout.code_ranges(), strict=True):
            part = answer[first:last]
            for column in columns:
                part[column] = np.bincount(code + 1, weights=right[column], minlength=last - first + 1)[1:]
        for item, (first, last) in zip(self.ragged, layout.ragged_ranges(), strict=True):
            part, rows = answer[first:last], item.rows()
            for column in columns:
                entries = right[column][rows] * item.values
                part[column] = np.bincount(item.indices, weights=entries, minlength=last - first)
        return answer

    def dense_rows(self, places: np.ndarray) -> np.ndarray:
        """(m, D) float32: the encoded columns of some rows, written out."""
        layout = self.layout
        answer = np.zeros((len(places), layout.width), np.float32)
        answer[:, : layout.dense] = self.dense[places]
        for code, (first, _) in zip(self.codes, layout.code_ranges(), strict=True):
            own = code[places]
            known = np.flatnonzero(own >= 0)
            answer[known, first + own[known]] = 1.0
        for item, (first, _) in zip(self.ragged, layout.ragged_ranges(), strict=True):
            for row, place in enumerate(places):
                span = slice(item.starts[place], item.starts[place + 1])
                np.add.at(answer[row], first + item.indices[span], item.values[span])
        return answer

    def group_sums(self, groups: np.ndarray, count: int) -> np.ndarray:
        """(count, D) sums of the rows of each group; ``groups`` (n,) holds numbers below ``count``."""
        layout = self.layout
        answer = np.zeros((count, layout.width))
        member = np.zeros((self.rows, count))
        member[np.arange(self.rows), groups] = 1.0
        answer[:, : layout.dense] = member.T @ self.dense
        for code, (first, last) in zip(self.codes, layout.code_ranges(), strict=True):
            add_pairs(answer[:, first:last], groups, code, None)
        for item, (first, last) in zip(self.ragged, layout.ragged_ranges(), strict=True):
            add_pairs(answer[:, first:last], groups[item.rows()], item.indices, item.values)
        return answer

    def squares(self) -> np.ndarray:
        """(n,) squared lengths of the rows."""
        answer = np.einsum("ij,ij->i", self.dense, self.dense)
        for code in self.codes:
            answer += code >= 0
        for item in self.ragged:
            answer += np.bincount(item.rows(), weights=item.values**2, minlength=self.rows)
        return answer

    def gram(self, weights: np.ndarray | None = None) -> np.ndarray:
        """X' diag(weights) X, (D, D), symmetric; weights must not be negative."""
        layout = self.layout
        if layout.dense == layout.width or layout.width <= _NARROW:
            full = self.to_dense()
            if weights is None:
                return full.T @ full
            scaled = full * np.sqrt(weights)[:, None]
            return scaled.T @ scaled
        answer = np.zeros((layout.width, layout.width))
        p = layout.dense
        dense = self.dense if weights is None else np.asfortranarray(self.dense * np.sqrt(weights)[:, None])
        answer[:p, :p] = dense.T @ dense
        weighted = self.dense if weights is None else np.asfortranarray(self.dense * weights[:, None])
        ranges = layout.code_ranges()
        for code, (first, last) in zip(self.codes, ranges, strict=True):
            for column in range(p):
                sums = np.bincount(code + 1, weights=weighted[:, column], minlength=last - first + 1)[1:]
                answer[column, first:last] = sums
            diagonal = np.bincount(code + 1, weights=weights, minlength=last - first + 1)[1:]
            np.fill_diagonal(answer[first:last, first:last], diagonal)
        for left, (code, (first, last)) in enumerate(zip(self.codes, ranges, strict=True)):
            for other, (start, end) in zip(self.codes[left + 1 :], ranges[left + 1 :], strict=True):
                add_pairs(answer[first:last, start:end], code, other, weights)
        for place, (item, (first, last)) in enumerate(zip(self.ragged, layout.ragged_ranges(), strict=True)):
            rows = item.rows()
            entry = item.values if weights is None else item.values * weights[rows]
            for column in range(p):
                answer[column, first:last] = np.bincount(
                    item.indices, weights=entry * self.dense[rows, column], minlength=last - first
                )
            for code, (start, end) in zip(self.codes, ranges, strict=True):
                add_pairs(answer[start:end, first:last], code[rows], item.indices, entry)
            for earlier, (start, end) in zip(
                self.ragged[: place + 1], layout.ragged_ranges()[: place + 1], strict=True
            ):
                _add_ragged(answer[start:end, first:last], earlier, item, entry)
        upper = np.triu(answer)
        return upper + np.triu(upper, 1).T

    def to_dense(self, dtype: Any = np.float64) -> np.ndarray:
        """X written out, (n, D), column-major."""
        layout = self.layout
        if layout.dense == layout.width and self.dense.dtype == dtype:
            return self.dense
        answer = np.zeros((self.rows, layout.width), dtype, order="F")
        answer[:, : layout.dense] = self.dense
        everyone = np.arange(self.rows)
        for code, (first, _) in zip(self.codes, layout.code_ranges(), strict=True):
            known = code >= 0
            answer[everyone[known], first + code[known]] = 1
        for item, (first, _) in zip(self.ragged, layout.ragged_ranges(), strict=True):
            np.add.at(answer, (item.rows(), first + item.indices), item.values)
        return answer


def add_pairs(table: np.ndarray, left: np.ndarray, right: np.ndarray, weights: np.ndarray | None) -> None:
    """table[left[i], right[i]] += weights[i], negative places left out."""
    height, width = table.shape
    known = (left >= 0) & (right >= 0)
    if not known.all():
        left, right = left[known], right[known]
        weights = None if weights is None else weights[known]
    flat = left.astype(np.int64) * width + right
    if height * width <= _TABLE:
        table += np.bincount(flat, weights=weights, minlength=height * width).reshape(height, width)
        return
    places, back = np.unique(flat, return_inverse=True)
    table[places // width, places % width] += np.bincount(back, weights=weights, minlength=len(places))


def _add_ragged(table: np.ndarray, left: Ragged, right: Ragged, entry: np.ndarray) -> None:
    """All pairs of entries of the same row; ``entry`` are the right entries' weighted values."""
    counts_left = np.diff(left.starts)
    right_rows = right.rows()
    repeats = counts_left[right_rows]
    at_right = np.repeat(np.arange(len(right.indices)), repeats)
    ends = np.cumsum(repeats)
    within = np.arange(len(at_right)) - np.repeat(ends - repeats, repeats)
    at_left = left.starts[right_rows[at_right]] + within
    add_pairs(table, left.indices[at_left], right.indices[at_right], left.values[at_left] * entry[at_right])
