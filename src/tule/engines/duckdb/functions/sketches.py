"""Sketches of HLL_COUNT and KLL_QUANTILES: small values that tell about many, and can be merged.

Their bytes are a format of our own: four letters, a version, parameters, and packed content. BigQuery does not read them.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from tule.engines.duckdb.functions.udfs import Row

_VERSION = 1
_HLL, _KLL = b"THLL", b"TKLL"


def _failure(message: str) -> ValueError:
    return ValueError(f"tule: {message}")


# -- HyperLogLog. P. Flajolet et al., HyperLogLog, 2007; estimated as O. Ertl does, arXiv:1702.01284, algorithm 6


@dataclass(frozen=True)
class Hll:
    """Registers of ``2 ** precision`` buckets, each the longest run of zeros that a hash of it began with, and one."""

    kind: str
    precision: int
    registers: np.ndarray[Any, Any]

    def packed(self) -> bytes:
        kind = self.kind.encode()
        head = _HLL + struct.pack("<BBB", _VERSION, self.precision, len(kind)) + kind
        return head + zlib.compress(self.registers.tobytes(), 1)

    @classmethod
    def read(cls, data: bytes) -> Hll:
        try:
            if data[:4] != _HLL:
                raise ValueError
            version, precision, size = struct.unpack_from("<BBB", data, 4)
            registers = np.frombuffer(zlib.decompress(data[7 + size :]), np.uint8)
            if version != _VERSION or len(registers) != 1 << precision:
                raise ValueError
            return cls(data[7 : 7 + size].decode(), precision, registers)
        except (ValueError, IndexError, struct.error, zlib.error):
            raise _failure("Invalid or incompatible sketch in HLL_COUNT") from None

    def folded(self, precision: int) -> Hll:
        """The same with fewer buckets: what a bucket's number loses goes into its run of zeros."""
        if precision == self.precision:
            return self
        less = self.precision - precision
        low = np.arange(1 << self.precision) & ((1 << less) - 1)
        runs = np.where(low > 0, less - np.floor(np.log2(np.maximum(low, 1))).astype(np.int64), self.registers + less)
        runs = np.where(self.registers > 0, runs, 0)
        return Hll(self.kind, precision, runs.reshape(-1, 1 << less).max(axis=1).astype(np.uint8))

    def estimate(self) -> int:
        buckets, longest = len(self.registers), 64 - self.precision
        counts = np.bincount(self.registers, minlength=longest + 2).astype(float)
        z = buckets * _tau(1 - counts[longest + 1] / buckets)
        for run in range(longest, 0, -1):
            z = 0.5 * (z + counts[run])
        z += buckets * _sigma(counts[0] / buckets)
        return round(buckets / (2 * math.log(2)) * buckets / z)


def _sigma(x: float) -> float:
    if x == 1:
        return math.inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x *= x
        before, z, y = z, z + x * y, 2 * y
    return z


def _tau(x: float) -> float:
    if x in (0, 1):
        return 0.0
    y, z, before = 1.0, 1 - x, -1.0
    while z != before:
        x = math.sqrt(x)
        before, y = z, 0.5 * y
        z -= (1 - x) ** 2 * y
    return z / 3


def _hll_of(codes: Sequence[int | None], precision: int, kind: str) -> bytes | None:
    """The sketch of distinct (bucket, run) pairs, each a number: the bucket times 64, plus the run."""
    found = np.array([each for each in codes if each is not None], np.int64)
    if not len(found):
        return None
    registers = np.zeros(1 << precision, np.uint8)
    np.maximum.at(registers, found >> 6, (found & 63).astype(np.uint8))
    return Hll(kind, precision, registers).packed()


def _hll_merged(sketches: Iterable[bytes | None]) -> Hll | None:
    found = [Hll.read(each) for each in sketches if each is not None]
    if not found:
        return None
    if len({each.kind for each in found}) > 1:
        raise _failure("HLL_COUNT cannot merge sketches of values of different types")
    precision = min(each.precision for each in found)
    registers = np.maximum.reduce([each.folded(precision).registers for each in found])
    return Hll(found[0].kind, precision, registers)


def _hll_partial(sketches: Sequence[bytes | None]) -> bytes | None:
    merged = _hll_merged(sketches)
    return None if merged is None else merged.packed()


def _hll_count(sketches: Sequence[bytes | None]) -> int:
    merged = _hll_merged(sketches)
    return 0 if merged is None else merged.estimate()


# -- KLL. Z. Karnin, K. Lang, E. Liberty, Optimal quantile approximation in streams, 2016, arXiv:1603.05346


@dataclass
class Kll:
    """Levels of values: one of level i stands for ``2 ** i`` of those that came."""

    precision: int
    kind: str
    levels: list[np.ndarray[Any, Any]]
    least: Any
    largest: Any

    @property
    def count(self) -> int:
        return sum(len(level) << index for index, level in enumerate(self.levels))

    def compacted(self) -> Kll:
        """Levels within their capacity: of a full one, sorted, every other value rises."""
        width = math.ceil((2.3 * self.precision) ** 1.03)
        index = 0
        while index < len(self.levels):
            room = max(8, math.ceil(width * (2 / 3) ** (len(self.levels) - 1 - index)))
            level = self.levels[index]
            if len(level) > room:
                ordered = np.sort(level)
                kept, pairs = ordered[: len(ordered) % 2], ordered[len(ordered) % 2 :]
                if index + 1 == len(self.levels):
                    self.levels.append(np.empty(0, level.dtype))
                # Which half rises is decided by the values, so that the same values give the same sketch.
                half = zlib.crc32(pairs.tobytes()) & 1
                self.levels[index] = kept
                self.levels[index + 1] = np.concatenate([self.levels[index + 1], pairs[half::2]])
                index = 0 if index == 0 else index - 1
                continue
            index += 1
        return self

    def quantile(self, share: float) -> Any:
        if share <= 0:
            return self.least
        if share >= 1:
            return self.largest
        values = np.concatenate(self.levels)
        weights = np.concatenate([np.full(len(level), 1 << i, np.int64) for i, level in enumerate(self.levels)])
        order = np.argsort(values, kind="stable")
        reached = np.cumsum(weights[order])
        place = int(np.searchsorted(reached, share * reached[-1], side="left"))
        return values[order][min(place, len(values) - 1)].item()

    def packed(self) -> bytes:
        code = "q" if self.kind == "INT64" else "d"
        head = struct.pack(f"<4sBcIB2{code}", _KLL, _VERSION, code.encode(), self.precision, len(self.levels),
                           self.least, self.largest)  # fmt: skip
        sizes = struct.pack(f"<{len(self.levels)}I", *map(len, self.levels))
        return head + sizes + zlib.compress(b"".join(level.tobytes() for level in self.levels), 1)

    @classmethod
    def read(cls, data: bytes, kind: str | None) -> Kll:
        try:
            if data[:4] != _KLL or data[4] != _VERSION:
                raise ValueError
            code = data[5:6].decode()
            found = {"q": "INT64", "d": "FLOAT64"}[code]
            precision, count, least, largest = struct.unpack_from(f"<IB2{code}", data, 6)
            sizes = struct.unpack_from(f"<{count}I", data, 27)
            values = np.frombuffer(zlib.decompress(data[27 + 4 * count :]), np.int64 if code == "q" else np.float64)
            levels = np.split(values, np.cumsum(sizes)[:-1])
        except (ValueError, KeyError, IndexError, struct.error, zlib.error):
            raise _failure("Invalid or incompatible sketch in KLL_QUANTILES") from None
        if kind is not None and kind != found:
            raise _failure(f"KLL_QUANTILES needs a sketch of {kind} values; given: one of {found}")
        return cls(precision, found, list(levels), least, largest)


def _kll_init(kind: str) -> Callable[[Sequence[Any]], pa.Array]:
    """A column function: lists of values, a precision, lists of weights; their sketches."""

    def column(columns: Sequence[Any]) -> pa.Array:
        lists, precisions, weights = (_whole(each) for each in columns)
        values = np.asarray(lists.values.to_numpy(zero_copy_only=False))
        counts = np.asarray(weights.values.to_numpy(zero_copy_only=False))
        made: list[bytes | None] = []
        ends, weight_ends = lists.offsets.to_pylist(), weights.offsets.to_pylist()
        for index, precision in enumerate(precisions.to_pylist()):
            part = values[ends[index] : ends[index + 1]]
            if not lists[index].is_valid or not len(part):
                made.append(None)
                continue
            if not 1 <= precision <= 100_000:
                raise _failure("The precision of KLL_QUANTILES must be between 1 and 100000")
            weight = counts[weight_ends[index] : weight_ends[index + 1]] if weights[index].is_valid else None
            made.append(_kll_of(part, precision, kind, weight))
        return pa.array(made, pa.binary())

    return column


def _whole(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _kll_of(
    values: np.ndarray[Any, Any], precision: int, kind: str, weights: np.ndarray[Any, Any] | None
) -> bytes | None:
    values = values.astype(np.int64 if kind == "INT64" else np.float64)
    if kind == "FLOAT64" and np.isnan(values).any():
        keep = ~np.isnan(values)
        values, weights = values[keep], None if weights is None else weights[keep]
    if weights is None:
        levels = [values]
    else:
        weights = weights.astype(np.int64)
        if (weights < 1).any():
            raise _failure("A weight of KLL_QUANTILES must be positive")
        size = int(weights.max()).bit_length()
        levels = [values[(weights >> bit & 1).astype(bool)] for bit in range(size)]
    if not len(values):
        return None
    return Kll(precision, kind, levels, values.min().item(), values.max().item()).compacted().packed()


def _kll_merged(sketches: Iterable[bytes | None], kind: str | None) -> Kll | None:
    found = [Kll.read(each, kind) for each in sketches if each is not None]
    if not found:
        return None
    if len({each.kind for each in found}) > 1:
        raise _failure("KLL_QUANTILES cannot merge sketches of values of different types")
    height = max(len(each.levels) for each in found)
    levels = [np.concatenate([each.levels[i] for each in found if i < len(each.levels)]) for i in range(height)]
    return Kll(
        min(each.precision for each in found), found[0].kind, levels,
        min(each.least for each in found), max(each.largest for each in found),
    ).compacted()  # fmt: skip


def _kll_partial(sketches: Sequence[bytes | None]) -> bytes | None:
    merged = _kll_merged(sketches, None)
    return None if merged is None else merged.packed()


def _kll_quantiles(kind: str) -> Callable[..., Any]:
    def quantiles(sketches: Sequence[bytes | None], number: int) -> list[Any] | None:
        if number < 1:
            raise _failure("The number of quantiles of KLL_QUANTILES must be positive")
        merged = _kll_merged(sketches, kind)
        return None if merged is None else [merged.quantile(index / number) for index in range(number + 1)]

    return quantiles


def _kll_point(kind: str) -> Callable[..., Any]:
    def point(sketches: Sequence[bytes | None], share: float) -> Any:
        if not 0 <= share <= 1:
            raise _failure("The point of KLL_QUANTILES must be between 0 and 1")
        merged = _kll_merged(sketches, kind)
        return None if merged is None else merged.quantile(share)

    return point


FUNCTIONS: tuple[Row, ...] = (
    ("tule_hll_of", _hll_of, "BIGINT[], BIGINT, VARCHAR", "BLOB"),
    ("tule_hll_partial", _hll_partial, "BLOB[]", "BLOB"),
    ("tule_hll_count", _hll_count, "BLOB[]", "BIGINT"),
    ("tule_kll_partial", _kll_partial, "BLOB[]", "BLOB"),
    ("tule_kll_int64", _kll_quantiles("INT64"), "BLOB[], BIGINT", "BIGINT[]"),
    ("tule_kll_float64", _kll_quantiles("FLOAT64"), "BLOB[], BIGINT", "DOUBLE[]"),
    ("tule_kll_point_int64", _kll_point("INT64"), "BLOB[], DOUBLE", "BIGINT"),
    ("tule_kll_point_float64", _kll_point("FLOAT64"), "BLOB[], DOUBLE", "DOUBLE"),
)
ARRAYS: tuple[Row, ...] = (
    ("tule_kll_init_int64", _kll_init("INT64"), "BIGINT[], BIGINT, BIGINT[]", "BLOB"),
    ("tule_kll_init_float64", _kll_init("FLOAT64"), "DOUBLE[], BIGINT, BIGINT[]", "BLOB"),
)
"""Functions of Arrow columns."""
