"""Automatic preprocessing: every column type, NULL, unseen values, and the errors that name a column."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tule.kernel.errors import InvalidArgument, ResourceExhausted, Unimplemented
from tule.learn.data import ArrowBatches
from tule.learn.schema import Field
from tule.learn.transforms import Encoding, Survey, features_of, survey, take_survey
from tule.learn.transforms.survey import statistics_of

UTC = datetime.UTC


def surveyed(table: pa.Table, batch_rows: int = 65_536, **more: Any) -> Survey:
    fields = [Field(name, table.schema.field(name).type) for name in table.schema.names]
    return take_survey(
        ArrowBatches(table, batch_rows),
        features_of(fields),
        columns=table.schema.names,
        label=None,
        task="clustering",
        max_classes=50,
        gram=False,
        keep=table.schema.names,
        tick=lambda rows: None,
        **more,
    )


def encoded(table: pa.Table, rows: pa.Table | None = None, *, standardize: bool = False) -> np.ndarray:
    encoding = Encoding.fit(surveyed(table), standardize=standardize)
    batch = (rows if rows is not None else table).combine_chunks().to_batches()[0]
    return encoding.encode(batch, scaled=True).to_dense()


def test_numbers_are_standardised_by_the_sample_deviation_and_null_is_the_mean() -> None:
    table = pa.table({"x": [1.0, None, 3.0, 5.0]})
    np.testing.assert_allclose(encoded(table, standardize=True)[:, 0], [-1.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(encoded(table)[:, 0], [1.0, 3.0, 3.0, 5.0])


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.uint32(), pa.float32(), pa.decimal128(38, 9)])
def test_every_numeric_type_is_a_number(kind: pa.DataType) -> None:
    values = [decimal.Decimal(n) if pa.types.is_decimal(kind) else n for n in (1, 2, 6)]
    assert encoded(pa.table({"x": pa.array(values, kind)}))[:, 0].tolist() == [1.0, 2.0, 6.0]


@pytest.mark.parametrize(
    "values",
    [
        ["b", None, "a", "b"],
        [True, None, False, True],
        [b"\x01", None, b"\x00", b"\x01"],
        [datetime.date(2026, 2, 1), None, datetime.date(2025, 1, 1), datetime.date(2026, 2, 1)],
        [datetime.time(10), None, datetime.time(9, 30), datetime.time(10)],
        [datetime.datetime(2026, 2, 1, 3), None, datetime.datetime(2025, 1, 1), datetime.datetime(2026, 2, 1, 3)],
    ],
    ids=["STRING", "BOOL", "BYTES", "DATE", "TIME", "DATETIME"],
)
def test_categories_are_one_hot_with_null_as_one_of_them(values: list[Any]) -> None:
    assert encoded(pa.table({"c": values})).tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_dictionary_columns_are_the_values_they_stand_for() -> None:
    repeated = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2]), pa.array(["b", "a", "b"]))
    assert encoded(pa.table({"c": repeated})).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_unseen_values_and_unseen_null_have_no_column() -> None:
    train = pa.table({"c": ["a", "b"]})
    assert encoded(train, pa.table({"c": ["z", None, "b"]})).tolist() == [[0, 0], [0, 0], [0, 1]]


def test_an_all_null_column_of_unknown_type_is_null_at_prediction() -> None:
    train = pa.table({"x": [1.0, 3.0], "c": ["a", None]})
    rows = pa.table({"x": pa.nulls(2), "c": pa.nulls(2)})
    assert encoded(train, rows).tolist() == [[2.0, 0.0, 1.0], [2.0, 0.0, 1.0]]


def test_timestamps_become_seconds_and_calendar_parts() -> None:
    moments = [
        datetime.datetime(2026, 1, 3, 23, 59, 58, 999_999, UTC),
        None,
        datetime.datetime(1969, 12, 28, tzinfo=UTC),
    ]
    table = pa.table({"t": pa.array(moments, pa.timestamp("us", tz="UTC"))})
    encoding = Encoding.fit(surveyed(table), standardize=False)
    assert [number.name for number in encoding.numbers] == ["t"]
    names = [f"_TS_{part}_t" for part in ("DOM", "DOW", "MOY", "HOD", "MOH", "WOY", "YEAR")]
    assert [category.name for category in encoding.categories] == names
    block = encoding.encode(table.to_batches()[0], scaled=False)
    assert block.dense[0, 0] == int(datetime.datetime(2026, 1, 3, 23, 59, 58, tzinfo=UTC).timestamp())
    picked = [
        [category.labels()[code] for code in codes]
        for category, codes in zip(encoding.categories, block.codes, strict=True)
    ]
    # 2026-01-03 is a Saturday before the year's first Sunday; 1969-12-28 a Sunday, the 52nd week's first day
    assert [part[0] for part in picked] == ["3", "7", "1", "23", "59", "0", "2026"]
    assert [part[2] for part in picked] == ["28", "1", "12", "0", "0", "52", "1969"]
    assert [part[1] for part in picked] == [None] * 7


@given(st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1)))
def test_calendar_parts_are_pythons(moment: datetime.datetime) -> None:
    from tule.learn.transforms.features import micros_of_json, parts_of_micros

    micros = micros_of_json(moment.isoformat())
    parts = {name: int(values[0]) for name, values in parts_of_micros(np.array([micros])).items()}
    assert parts == {
        "DAY": moment.day,
        "DAYOFWEEK": moment.isoweekday() % 7 + 1,
        "MONTH": moment.month,
        "HOUR": moment.hour,
        "MINUTE": moment.minute,
        "WEEK": int(moment.strftime("%U")),
        "YEAR": moment.year,
    }


def test_arrays() -> None:
    table = pa.table(
        {
            "tags": [["x", "y", "x", None], None, ["z"]],
            "vector": [[1.0, 2.0], None, [3.0, 6.0]],
            "sparse": pa.array(
                [[{"i": 0, "v": 2.0}, {"i": 3, "v": 1.0}], [], None],
                pa.list_(pa.struct([("i", pa.int64()), ("v", pa.float64())])),
            ),
        }
    )
    # vector (dense), then tags x y z (multi-hot), then the four places of the sparse one
    assert encoded(table).tolist() == [
        [1, 2, 1, 1, 0, 2, 0, 0, 1],
        [2, 4, 0, 0, 0, 0, 0, 0, 0],
        [3, 6, 0, 0, 1, 0, 0, 0, 0],
    ]
    rows = pa.table({"tags": [["new"]], "vector": [[0.0, 0.0]], "sparse": [[{"i": 9, "v": 1.0}]]})
    assert encoded(table, rows).tolist() == [[0.0] * 9]


def test_structs_are_expanded() -> None:
    table = pa.table({"s": [{"a": 1.0, "b": "p"}, {"a": None, "b": "q"}, None]})
    assert [feature.name for feature in features_of([Field("s", table.schema.field("s").type)])] == ["s_a", "s_b"]
    assert encoded(table).tolist() == [[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=2, max_size=60),
    st.integers(1, 20),
    st.randoms(use_true_random=False),
)
def test_statistics_do_not_depend_on_the_batches(values: list[float | None], size: int, random: Any) -> None:
    if all(value is None for value in values):
        values[0] = 1.0
    names = [random.choice(["a", "b", None]) for _ in values]
    names[0] = "a"
    table = pa.table({"x": pa.array(values, pa.float64()), "c": pa.array(names, pa.string())})
    known = np.array([value for value in values if value is not None])
    found = {item["name"]: item for item in statistics_of(surveyed(table, size))}
    x = found["x"]
    assert (x["min"], x["max"], x["null_count"]) == (known.min(), known.max(), len(values) - len(known))
    assert x["mean"] == pytest.approx(known.mean(), rel=1e-9, abs=1e-6)
    assert x["median"] == np.median(known)
    assert x["stddev"] == pytest.approx(known.std(ddof=1) if len(known) > 1 else 0.0, rel=1e-6, abs=1e-6)
    assert found["c"]["category_count"] == len({name for name in names if name})
    assert found["c"]["null_count"] == names.count(None)


def test_a_large_offset_costs_no_digits() -> None:
    rng = np.random.default_rng(0)
    values = 1e9 + rng.normal(size=50_000)
    item = statistics_of(surveyed(pa.table({"x": values}), 1000))[0]
    assert item["stddev"] == pytest.approx(values.std(ddof=1), rel=1e-7)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([1.0, float("nan")]), r"must be finite; given: x holds nan"),
        (pa.array([1.0, float("-inf")]), r"must be finite; given: x holds -inf"),
        (pa.array([1e200, -1e200, 3.0]), r"must fit a double; given: x ranges"),
        (pa.array([None, None], pa.float64()), r"not NULL in some row; given: x is NULL in all 2 rows"),
        (pa.array([None, None], pa.string()), r"x is NULL in all 2 rows"),
        (pa.array([[1.0], [1.0, 2.0]]), r"same length, 1; given: 2"),
        (pa.array([[1.0], [float("inf")]]), r"array feature must be finite"),
        (
            pa.array([[{"i": -1, "v": 1.0}]], pa.list_(pa.struct([("i", pa.int64()), ("v", pa.float64())]))),
            r"between 0 and 999,999",
        ),
    ],
)
def test_values_that_cannot_be_trained_on(column: pa.Array, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        surveyed(pa.table({"x": column}))


def test_types_that_cannot_be_features() -> None:
    with pytest.raises(Unimplemented, match="x is duration"):
        features_of([Field("x", pa.duration("s"))])
    with pytest.raises(InvalidArgument, match=r"must not hold another STRUCT; given: x\.a"):
        features_of([Field("x", pa.struct([("a", pa.struct([("b", pa.int64())]))]))])
    with pytest.raises(InvalidArgument, match="must differ after structs are expanded; given: s_a"):
        features_of([Field("s", pa.struct([("a", pa.int64())])), Field("s_a", pa.int64())])


def test_too_many_categories_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "MAX_CATEGORIES", 100)
    table = pa.table({"id": [f"u{at}" for at in range(101)]})
    with pytest.raises(ResourceExhausted, match="at most 100 distinct values; given: id has more"):
        surveyed(table)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (pa.table({"x": ["a"], "c": ["a"]}), "column x must be of the type it was trained with, double; given: string"),
        (pa.table({"x": [1.0], "c": [1]}), "column c must be of the type it was trained with, string; given: int64"),
        (pa.table({"x": [1.0]}), "must have the column c"),
    ],
)
def test_wrong_columns_at_prediction_are_named(rows: pa.Table, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        encoded(pa.table({"x": [1.0, 2.0], "c": ["a", "b"]}), rows)


def test_an_encoding_survives_its_parts() -> None:
    table = pa.table(
        {
            "x": [1.0, None, 3.0],
            "c": ["a", None, "b"],
            "t": pa.array([0, 10**9, None], pa.timestamp("s", tz="UTC")),
            "tags": [["x"], ["y"], None],
            "v": [[1.0], [2.0], [3.0]],
        }
    )
    encoding = Encoding.fit(surveyed(table), standardize=True)
    copy = Encoding.from_parts(*encoding.to_parts())
    batch = table.to_batches()[0]
    assert np.array_equal(copy.encode(batch, scaled=True).to_dense(), encoding.encode(batch, scaled=True).to_dense())
    assert copy.keys() == encoding.keys() and len(copy.keys()) == copy.width
    assert copy.owners().tolist() == encoding.owners().tolist()
    wanted = encoding.encode(batch, scaled=False).to_dense().mean(axis=0)
    np.testing.assert_allclose(copy.column_means(3, scaled=False), wanted)
