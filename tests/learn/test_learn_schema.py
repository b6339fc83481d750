"""Signatures survive JSON; odd Arrow variants become one plain type."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tule.kernel.errors import DataLoss, InvalidArgument, Unimplemented
from tule.learn.data import ArrowBatches, select
from tule.learn.schema import Field, Signature, plain_type, type_from_json, type_to_json

SCALARS = [
    pa.bool_(), pa.int32(), pa.int64(), pa.uint8(), pa.float32(), pa.float64(), pa.string(), pa.binary(), pa.date32(),
    pa.time64("us"), pa.timestamp("us"), pa.timestamp("us", tz="UTC"), pa.decimal128(38, 9), pa.decimal256(76, 38),
]  # fmt: skip
TYPES = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.one_of(
        inner.map(pa.list_),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda kinds: pa.struct([(f"f{at}", kind) for at, kind in enumerate(kinds)])
        ),
    ),
    max_leaves=5,
)


@given(TYPES)
def test_types_survive_json(kind: pa.DataType) -> None:
    assert type_from_json(type_to_json(kind)) == kind


@pytest.mark.parametrize(
    ("odd", "plain"),
    [
        (pa.large_string(), pa.string()),
        (pa.string_view(), pa.string()),
        (pa.dictionary(pa.int32(), pa.string()), pa.string()),
        (pa.large_list(pa.int64()), pa.list_(pa.int64())),
        (pa.timestamp("ns", tz="Europe/Berlin"), pa.timestamp("us", tz="UTC")),
        (pa.timestamp("s"), pa.timestamp("us")),
        (pa.date64(), pa.date32()),
    ],
)
def test_variants_become_one_type(odd: pa.DataType, plain: pa.DataType) -> None:
    assert plain_type(odd) == plain


def test_a_type_without_a_form_is_refused() -> None:
    with pytest.raises(Unimplemented, match="duration"):
        type_to_json(pa.duration("s"))
    with pytest.raises(DataLoss, match="nonsense"):
        type_from_json("nonsense")


def test_signature_round_trip() -> None:
    signature = Signature((Field("a", pa.int64()), Field("b", pa.list_(pa.string()))), Field("y", pa.bool_()), ())
    assert Signature.from_json(signature.to_json()) == signature
    assert signature.input_names == ["a", "b"]


def test_batches_can_be_read_again_and_by_column() -> None:
    table = pa.table({"a": range(10), "b": range(10, 20)})
    data = ArrowBatches(table, batch_rows=4)
    assert data.num_rows == 10
    for _ in range(2):
        batches = list(data.scan(["b", "a"]))
        assert [batch.num_rows for batch in batches] == [4, 4, 2]
        assert batches[0].schema.names == ["b", "a"]


def test_a_missing_column_is_named_with_the_near_one() -> None:
    with pytest.raises(InvalidArgument, match=r"must have the column island.*rename islands to island"):
        select(pa.table({"islands": [1], "x": [2]}), ["island"])
