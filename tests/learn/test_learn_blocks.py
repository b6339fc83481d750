"""Products of encoded blocks equal those of the matrix written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tule.learn.models.sparse import to_csr
from tule.learn.sampling import RowSample
from tule.learn.transforms.blocks import Block, Layout, Ragged


def make(seed: int, rows: int, dense: int, widths: tuple[int, ...], ragged: tuple[int, ...]) -> Block:
    rng = np.random.default_rng(seed)
    items = []
    for width in ragged:
        lengths = rng.integers(0, min(width, 4), rows)
        indices = [np.sort(rng.choice(width, size, replace=False)) for size in lengths]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        flat = np.concatenate([*indices, np.empty(0, int)]).astype(np.int64)
        items.append(Ragged(starts, flat, rng.normal(size=len(flat))))
    return Block(
        Layout(dense, widths, ragged),
        np.asfortranarray(rng.normal(size=(rows, dense))),
        tuple(rng.integers(-1, width, rows).astype(np.int32) for width in widths),
        tuple(items),
    )


BLOCKS = st.builds(
    make,
    st.integers(0, 1000),
    st.integers(1, 40),
    st.integers(0, 4),
    st.lists(st.integers(1, 60), max_size=3).map(tuple),
    st.lists(st.integers(1, 9), max_size=2).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(BLOCKS, st.integers(0, 100))
def test_products_equal_the_dense_ones(block: Block, seed: int) -> None:
    rng = np.random.default_rng(seed)
    full = block.to_dense()
    width, rows = block.layout.width, block.rows
    assert full.shape == (rows, width)
    weights, matrix = rng.normal(size=width), rng.normal(size=(width, 3))
    np.testing.assert_allclose(block.times(weights), full @ weights, atol=1e-12)
    np.testing.assert_allclose(block.times(matrix), full @ matrix, atol=1e-12)
    right, columns = rng.normal(size=rows), rng.normal(size=(rows, 2))
    np.testing.assert_allclose(block.transposed_times(right), full.T @ right, atol=1e-12)
    np.testing.assert_allclose(block.transposed_times(columns), full.T @ columns, atol=1e-12)
    curve = rng.random(rows)
    np.testing.assert_allclose(block.gram(), full.T @ full, atol=1e-11)
    np.testing.assert_allclose(block.gram(curve), full.T @ (full * curve[:, None]), atol=1e-11)
    np.testing.assert_allclose(block.squares(), (full**2).sum(axis=1), atol=1e-12)
    groups = rng.integers(0, 3, rows)
    wanted = np.array([full[groups == at].sum(axis=0) for at in range(3)])
    np.testing.assert_allclose(block.group_sums(groups, 3), wanted, atol=1e-12)
    np.testing.assert_allclose(to_csr(block).toarray(), full, rtol=1e-6, atol=1e-6)


def test_wide_columns_take_the_sorted_way() -> None:
    block = make(1, 200, 1, (3000, 2500), ())
    full = block.to_dense()
    np.testing.assert_allclose(block.gram(), full.T @ full, atol=1e-11)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.integers(1, 60), st.integers(1, 50), st.integers(0, 5))
def test_a_sample_depends_on_the_rows_not_on_the_batches(rows: int, limit: int, size: int, seed: int) -> None:
    one, other = RowSample(limit, seed=seed), RowSample(limit, seed=seed)
    values = np.arange(rows, dtype=float)
    one.add(values)
    for start in range(0, rows, size):
        other.add(values[start : start + size])
    assert len(one) <= limit
    if one.complete:
        assert len(one) == rows
    if one.level == other.level:
        assert one.values().tolist() == other.values().tolist()
    else:  # the same rows at the finer of the two levels
        assert set(min(one.values(), other.values(), key=len)) <= set(max(one.values(), other.values(), key=len))


def test_a_sample_that_knows_how_many_rows_come_is_the_same() -> None:
    for rows in (900, 1_000, 1_001, 4_100, 40_000, 123_456):
        plain, told = RowSample(1_000, seed=3), RowSample(1_000, seed=3, expected=rows)
        for start in range(0, rows, 700):
            values = np.arange(start, min(rows, start + 700), dtype=float)
            plain.add(values)
            told.add(values)
        assert told.values().tolist() == plain.values().tolist() and told.level == plain.level


def test_a_sample_is_even() -> None:
    sample = RowSample(10_000)
    for start in range(0, 1_000_000, 50_000):
        sample.add(np.arange(start, start + 50_000, dtype=float))
    values = sample.values()
    assert 5_000 < len(values) <= 10_000
    assert values.mean() == pytest.approx(500_000, rel=0.02)
    assert np.std(values) == pytest.approx(1_000_000 / np.sqrt(12), rel=0.02)
