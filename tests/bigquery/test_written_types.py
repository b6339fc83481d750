"""Types that files hold in a form of their own: BIGNUMERIC, INTERVAL and RANGE in CSV, JSON, Avro and Parquet."""

from __future__ import annotations

import io
import json
from datetime import date
from decimal import Decimal

import fastavro
import pyarrow as pa
import pytest

from tule.bigquery.formats import avro, writers
from tule.bigquery.formats.values import BadValue, beyond, column, from_json, interval, span
from tule.bigquery.types import Field, arrow_schema
from tule.kernel.errors import TuleError

BIG = Decimal("12345678901234567890123456789012345678.00000000000000000000000000000000000001")
FIELDS = [
    Field("big", "BIGNUMERIC"),
    Field("dur", "INTERVAL"),
    Field("days", "RANGE", element="DATE"),
    Field("inner", "STRUCT", fields=(Field("dur", "INTERVAL"),)),
]
BATCH = pa.RecordBatch.from_pylist(
    [
        {"big": BIG, "dur": interval("1-2 3 -4:5:6.5"), "days": {"start": date(2024, 1, 1), "end": None},
         "inner": {"dur": interval("P1D")}},
        {"big": None, "dur": None, "days": None, "inner": None},
    ],
    schema=arrow_schema(FIELDS),
)  # fmt: skip


def _written(format: str, fields: list[Field], batch: pa.RecordBatch) -> bytes:
    file = io.BytesIO()
    assert writers.write(file, format, fields, iter([batch]), compression="NONE") == batch.num_rows
    return file.getvalue()


def test_csv() -> None:
    text = _written("CSV", FIELDS[:3], BATCH.select([0, 1, 2])).decode()
    assert text.splitlines() == ["big,dur,days", f'{BIG},1-2 3 -4:5:6.5,"[2024-01-01, UNBOUNDED)"', ",,"]


def test_json() -> None:
    first, second = _written("NEWLINE_DELIMITED_JSON", FIELDS, BATCH).splitlines()
    assert json.loads(first) == {
        "big": str(BIG), "dur": "1-2 3 -4:5:6.5", "days": {"start": "2024-01-01", "end": None},
        "inner": {"dur": "0-0 1 0:0:0"},
    }  # fmt: skip
    assert json.loads(second) == {}


def test_avro() -> None:
    rows = list(fastavro.reader(io.BytesIO(_written("AVRO", FIELDS, BATCH))))
    assert rows[0] == {
        "big": BIG, "dur": "1-2 3 -4:5:6.5", "days": {"start": date(2024, 1, 1), "end": None},
        "inner": {"dur": "0-0 1 0:0:0"},
    }  # fmt: skip
    assert avro.row_schema(FIELDS)["fields"][1]["type"] == ["null", {"type": "string", "sqlType": "INTERVAL"}]


def test_parquet_has_no_interval() -> None:
    with pytest.raises(TuleError, match="INTERVAL cannot be written as PARQUET: dur"):
        _written("PARQUET", FIELDS, BATCH)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1-2 3 4:5:6.7", (14, 3, 14_706_700_000_000)),
        ("-1-2 -3 -4:5:6", (-14, -3, -14_706_000_000_000)),
        ("P1Y2M3W4DT5H6M7.8S", (14, 25, 18_367_800_000_000)),
        ("PT-1.5S", (0, 0, -1_500_000_000)),
    ],
)
def test_intervals_are_read(text: str, parts: tuple[int, int, int]) -> None:
    assert tuple(interval(text)) == parts


@pytest.mark.parametrize("text", ["", "P", "PT", "1 day", "1-2 3", "P1.5Y", "200000-0 0 0:0:0"])
def test_what_is_no_interval(text: str) -> None:
    with pytest.raises(ValueError, match=r"interval|INTERVAL"):
        interval(text)


def test_ranges_are_read() -> None:
    assert span("[2024-01-01, UNBOUNDED)", "DATE") == {"start": 19723, "end": None}
    assert span("[NULL, 1970-01-01 00:00:01+00)", "TIMESTAMP") == {"start": None, "end": 1_000_000}
    field = Field("r", "RANGE", element="DATE")
    assert from_json({"start": "1970-01-02"}, field) == {"start": 1, "end": None}


@pytest.mark.parametrize(
    "value", ["[2024-01-01]", "[2024-02-01, 2024-01-01)", {"first": "2024-01-01"}, 5, {"start": "x"}]
)
def test_what_is_no_range(value: object) -> None:
    with pytest.raises(BadValue, match="Cannot convert value to range"):
        from_json(value, Field("r", "RANGE", element="DATE"))


def test_limits_of_columns() -> None:
    assert beyond("abc", Field("s", "STRING", length=3)) == ""
    made, bad = column(pa.array(["12.345", "1000", None]), Field("n", "NUMERIC", precision=5, scale=2))
    assert (made.to_pylist()[0], list(bad)) == (Decimal("12.345"), [1])
    assert "has precision 5 and scale 2" in bad[1]
