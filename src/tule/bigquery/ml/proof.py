"""Rows made to tell two ways of computing apart: around every constant of the expressions, at their edges, and NULL."""

from __future__ import annotations

import datetime
import math
import random
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
from sqlglot import exp

ROWS = 192
_NUMBERS = (0.0, 1.0, -1.0, 0.5, -2.25, 1e6, 3.0000000000000004)
_TEXTS = ("", "other", "Other", "\u00fcber", "it's", "a_b")
_DAYS = (datetime.date(2024, 2, 29), datetime.date(1969, 12, 31), datetime.date(2026, 1, 1), datetime.date(2025, 7, 6))
_CLOCKS = (datetime.time(0), datetime.time(23, 59, 59, 999999), datetime.time(12, 30, 15))


def rows(types: Sequence[pa.DataType], expressions: Iterable[Any]) -> list[list[Any]]:
    """Rows with a value of each type; the same ones for the same expressions."""
    numbers, texts = set(_NUMBERS), set(_TEXTS)
    for tree in expressions:
        for literal in tree.find_all(exp.Literal):
            if literal.is_string:
                texts.add(literal.this)
            else:
                value = float(literal.this)
                numbers |= {value, -value, math.nextafter(value, math.inf), math.nextafter(value, -math.inf), value + 1}
    chooser = random.Random(0)
    pools = [_pool(kind, sorted(numbers), sorted(texts)) for kind in types]
    made = [[pool[at % len(pool)] for pool in pools] for at in range(8)]
    made += [[chooser.choice(pool) for pool in pools] for _ in range(ROWS - len(made))]
    return made


def _pool(kind: pa.DataType, numbers: Sequence[float], texts: Sequence[str]) -> list[Any]:
    if pa.types.is_struct(kind):
        pools = {field.name: _pool(field.type, numbers, texts) for field in kind}
        longest = max((len(pool) for pool in pools.values()), default=0)
        return [None, *({name: pool[at % len(pool)] for name, pool in pools.items()} for at in range(longest))]
    return [None, *_values(kind, numbers, texts)]


def _values(kind: pa.DataType, numbers: Sequence[float], texts: Sequence[str]) -> list[Any]:
    if pa.types.is_boolean(kind):
        return [True, False]
    if pa.types.is_integer(kind):
        return sorted({int(value) for value in numbers if abs(value) < 2**62})
    if pa.types.is_floating(kind):
        return [value for value in numbers if math.isfinite(value)]
    if pa.types.is_date(kind):
        return list(_DAYS)
    if pa.types.is_timestamp(kind):
        zone = datetime.UTC if kind.tz else None
        return [datetime.datetime.combine(day, clock, zone) for day in _DAYS for clock in _CLOCKS]
    return list(texts)


def agree(a: Any, b: Any) -> bool:
    """Whether two answers are the same to the last bit."""
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (a != a and b != b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(agree(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(agree(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and bool(a == b)
