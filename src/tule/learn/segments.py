"""Segments of rows: every set of dimension values (``city=Bern``, ``city=Bern`` and ``item=hat``) that is large enough.

A segment's support is the share of a total that its rows hold, the greater one of two shares. Where no value is negative a
segment is never larger than one that it is a part of, so the search goes from the largest on and leaves out whatever lies
under a segment that is too small (Agrawal and Srikant 1994, "Fast algorithms for mining association rules").
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MOST = 1_000_000
"""Segments of one search; a table of more is nobody's insight."""


@dataclass(frozen=True)
class Segment:
    """``codes`` (d,): the value of each dimension, -1 for any. ``rows``: those that are in it, ascending."""

    codes: tuple[int, ...]
    rows: np.ndarray
    support: float

    @property
    def size(self) -> int:
        """How many dimensions it names."""
        return sum(code >= 0 for code in self.codes)

    def holds(self, other: Segment) -> bool:
        """Whether this one names all that ``other`` names, and more."""
        return self.size > other.size and all(
            theirs in (-1, mine) for mine, theirs in zip(self.codes, other.codes, strict=True)
        )


def segments(codes: np.ndarray, shares: np.ndarray, least: float) -> Iterator[Segment]:
    """Segments in the order of falling support, that of all rows first.

    ``codes`` (n, d): the value of each row in each dimension, -1 for one that makes no segment. ``shares`` (n, 2): what
    each row adds to the two shares. ``least``: the support from which a segment counts; 0 or less lets every one pass,
    also where values are negative.
    """
    count, dimensions = codes.shape
    turn = itertools.count()
    # Of waiting segments the rows of the one above are held: few are looked at in the end.
    waiting: list[tuple[float, int, tuple[int, ...], np.ndarray, int]] = [
        (-1.0, next(turn), (-1,) * dimensions, np.arange(count), -1)
    ]
    while waiting:
        negated, _, names, above, last = heapq.heappop(waiting)
        rows = above if last < 0 else above[codes[above, last] == names[last]]
        yield Segment(names, rows, -negated)
        for dimension in range(last + 1, dimensions):
            values = codes[rows, dimension]
            known = values >= 0
            if not known.any():
                continue
            found = values[known]
            sums = np.array([np.bincount(found, weights=each) for each in shares[rows][known].T])
            for code in np.flatnonzero(np.bincount(found)).tolist():
                support = float(sums[:, code].max())
                if support >= least or least <= 0.0:
                    below = (*names[:dimension], code, *names[dimension + 1 :])
                    heapq.heappush(waiting, (-support, next(turn), below, rows, dimension))
