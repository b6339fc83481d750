"""Shared tables: mixed columns with NULLs, and the same table encoded for scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest


def _mixed_table(rows: int = 3000, seed: int = 0, nulls: float = 0.1) -> pa.Table:
    """Two numbers, a string and a boolean with NULLs; ``y`` a number, ``label`` a string of three, ``flag`` 0 or 1."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(2.0, 3.0, rows), rng.integers(-5, 50, rows)
    city = rng.integers(0, 4, rows)
    on = rng.random(rows) < 0.3
    y = 1.5 * a - 0.2 * b + np.array([0.0, 4.0, -3.0, 1.0])[city] + 2.0 * on + rng.normal(size=rows)
    return pa.table(
        {
            "a": pa.array(a, mask=rng.random(rows) < nulls),
            "b": pa.array(b, mask=rng.random(rows) < nulls),
            "city": pa.array(np.array(["ams", "ber", "cai", "dub"])[city], mask=rng.random(rows) < nulls),
            "on": pa.array(on, mask=rng.random(rows) < nulls),
            "y": y,
            "label": np.array(["low", "mid", "top"])[np.digitize(y + rng.logistic(size=rows), [-4.0, 4.0])],
            "flag": (y + rng.logistic(size=rows) > 0).astype(np.int64),
        }
    )


def _design(table: pa.Table) -> Any:
    """The same features as numpy: standardised numbers with NULL as mean, one-hot with NULL as a category."""
    columns = []
    for name in ("a", "b"):
        values = table[name].to_pandas().astype(float)
        columns.append(((values - values.mean()) / values.std()).fillna(0.0).to_numpy())
    for name in ("city", "on"):
        values = table[name].to_pylist()
        known = sorted({value for value in values if value is not None})
        for value in [*known, None]:
            column = np.array([item is None if value is None else item == value for item in values], float)
            if column.any():
                columns.append(column)
    return np.column_stack(columns)


@pytest.fixture(scope="session")
def mixed_table() -> Callable[..., pa.Table]:
    return _mixed_table


@pytest.fixture(scope="session")
def design() -> Callable[[pa.Table], Any]:
    return _design


@pytest.fixture(scope="session")
def table() -> pa.Table:
    return _mixed_table()
