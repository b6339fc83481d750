"""The short way through CSV files comes to the same rows and the same errors as the careful one."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tule.bigquery.formats import csv, plain_csv
from tule.bigquery.formats.bad_records import BadRecords
from tule.bigquery.formats.csv import CsvOptions
from tule.bigquery.formats.sources import Source
from tule.bigquery.types import Field
from tule.kernel.errors import TuleError

TYPES = ("INT64", "FLOAT64", "BOOL", "DATE", "DATETIME", "TIMESTAMP", "TIME", "NUMERIC", "STRING", "BYTES", "JSON")
CELLS = st.sampled_from([
    "", "0", "1", "-7", "+7", " 12 ", "9223372036854775808", "1.5", "1e3", ".5", "nan", "inf", "-Infinity", "0x1F", "1_0",
    "true", "FALSE", "t", "Yes", "nO", "tRue", "y ", "2024-02-29", "2023-02-29", "2024-2-9", "2024-02-29 10:11:12",
    "2024-02-29T10:11:12.123456", "2024-02-29 10:11:12.1234567", "2024-02-29 10:11:12Z", "2024-02-29 10:11:12+01:00",
    "2024-02-29 10:11", "10:11:12", "24:00:00", "abc", "ä€", "aGk=", "{}", "NULL", "\\N", "  ",
])  # fmt: skip


def _outcome(path: Path, fields: list[Field], options: CsvOptions, allowed: int) -> Any:
    bad = BadRecords("CSV", allowed)
    rows: list[dict[str, Any]] = []
    try:
        for batch in csv.batches([Source("file", path)], fields, options, bad):
            assert batch.schema.equals(batch.schema, check_metadata=True)
            rows += batch.to_pylist()
    except TuleError as error:
        return type(error), str(error)
    return repr(rows), bad.entries


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_short_way_equals_the_careful_one(
    data: st.DataObject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = data.draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=4))
    mode = data.draw(st.sampled_from(["NULLABLE", "NULLABLE", "REQUIRED"]))
    fields = [Field(f"f{place}", kind, mode) for place, kind in enumerate(kinds)]
    width = st.sampled_from([len(kinds)] * 8 + [len(kinds) + 1, 1])
    rows = data.draw(st.lists(width.flatmap(lambda n: st.lists(CELLS, min_size=n, max_size=n)), max_size=6))
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    text = data.draw(st.sampled_from(["", "\ufeff"])) + end.join(",".join(row) for row in rows)
    text += data.draw(st.sampled_from(["", end, end + end]))
    path = tmp_path / "file.csv"
    path.write_bytes(text.encode())
    load = {
        "skipLeadingRows": data.draw(st.sampled_from([0, 1])),
        "nullMarker": data.draw(st.sampled_from(["", "NULL"])),
    }
    options, allowed = CsvOptions.read(load), data.draw(st.sampled_from([0, 2]))
    with monkeypatch.context() as patch:
        short = _outcome(path, fields, options, allowed)
        patch.setattr(plain_csv, "is_plain", lambda source, options: False)
        careful = _outcome(path, fields, options, allowed)
    assert short == careful


@pytest.mark.parametrize(
    ("content", "load", "plain"),
    [
        (b"1,a\n", {}, True),
        (b'1,"a"\n', {}, False),
        (b'1,"a"\n', {"quote": ""}, True),
        (b"1,'a'\n", {"quote": "'"}, False),
        (b"", {}, False),
        (b"\x1f\x8b", {}, False),
        (b"1,a\n", {"encoding": "ISO-8859-1"}, False),
        (b"1,a\n", {"allowJaggedRows": True}, False),
        (b"1,a\n", {"ignoreUnknownValues": True}, False),
    ],
)
def test_which_files_are_plain(tmp_path: Path, content: bytes, load: dict[str, Any], plain: bool) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    assert plain_csv.is_plain(Source("file", path), CsvOptions.read(load)) is plain


def test_the_careful_way_goes_on_behind_the_rows_that_are_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_csv, "_BLOCK", 1000)
    path = tmp_path / "file.csv"
    lines = [f"{n},{n}.5" for n in range(3000)]
    lines[2000] = "x,1"
    lines[2500] = "7"
    path.write_text("\n".join(lines))
    fields, bad = [Field("a", "INT64"), Field("b", "FLOAT64")], BadRecords("CSV", 2)
    made = list(csv.batches([Source("file", path)], fields, CsvOptions(), bad))
    rows = list(itertools.chain.from_iterable(batch.column("a").to_pylist() for batch in made))
    assert rows == [n for n in range(3000) if n not in (2000, 2500)]
    assert len(made) > 2
    assert bad.count == 2
    assert ["row 2001" in bad.entries[0]["message"] or "row 2001" in bad.entries[1]["message"]] == [True]


def test_bytes_that_are_no_utf8_are_told_as_ever(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"1,a\n2,\xff\n")
    found = _outcome(path, [Field("a", "INT64"), Field("b", "STRING")], CsvOptions(), 0)
    assert "Bad character for encoding UTF-8" in found[1]
