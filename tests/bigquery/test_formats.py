"""Files to read and write: values as BigQuery types them, bad ones named with row and column."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tule.bigquery.formats import avro, columnar, csv, detect, ndjson, writers
from tule.bigquery.formats.bad_records import BadRecords, TooManyBadRecords
from tule.bigquery.formats.csv import CsvOptions
from tule.bigquery.formats.sources import Source
from tule.bigquery.types import Field, arrow_schema, fields_from_rest, fields_of
from tule.kernel.errors import InvalidArgument

FIELDS = [
    Field("i", "INT64"),
    Field("f", "FLOAT64"),
    Field("b", "BOOL"),
    Field("s", "STRING"),
    Field("d", "DATE"),
    Field("t", "TIME"),
    Field("dt", "DATETIME"),
    Field("ts", "TIMESTAMP"),
    Field("n", "NUMERIC"),
    Field("y", "BYTES"),
    Field("j", "JSON"),
]


def source(tmp_path: Path, content: str | bytes, name: str = "file") -> Source:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Source("gs://b/file", path)


def read_csv(where: Source, fields: list[Field], *, allowed: int = 0, **options: object) -> list[dict[str, object]]:
    bad = BadRecords("CSV", allowed)
    rows: list[dict[str, object]] = []
    for batch in csv.batches([where], fields, CsvOptions.read(dict(options)), bad):
        rows += batch.to_pylist()
    return rows


def test_csv_types(tmp_path: Path) -> None:
    where = source(
        tmp_path,
        "1,2.5,true,abc,2024-02-29,12:30:01.5,2024-01-02 03:04:05,2024-01-02 03:04:05+02:00,1.25,YWI=,{\"a\":1}\n"
        '-7,NaN,F,"quo""ted, text",2024-1-2,1:2:3,2024-01-02T03:04:05.25,2024-01-02 03:04:05 UTC,-0.000000001,,"[1,2]"\n'
        ",,,,,,,,,,\n",
    )  # fmt: skip
    first, second, third = read_csv(where, FIELDS)
    assert first == {
        "i": 1, "f": 2.5, "b": True, "s": "abc", "d": date(2024, 2, 29), "t": time(12, 30, 1, 500_000),
        "dt": datetime(2024, 1, 2, 3, 4, 5), "ts": datetime(2024, 1, 2, 1, 4, 5, tzinfo=UTC), "n": Decimal("1.25"),
        "y": b"ab", "j": '{"a":1}',
    }  # fmt: skip
    assert second["s"] == 'quo"ted, text' and second["b"] is False and second["d"] == date(2024, 1, 2)
    assert second["n"] == Decimal("-0.000000001") and second["dt"] == datetime(2024, 1, 2, 3, 4, 5, 250_000)
    assert set(third.values()) == {None}


def test_csv_empty_text_is_not_null(tmp_path: Path) -> None:
    where = source(tmp_path, 'a,""\nb,\n')
    assert read_csv(where, [Field("x", "STRING"), Field("y", "STRING")]) == [{"x": "a", "y": ""}, {"x": "b", "y": None}]


def test_csv_null_marker_and_delimiter_and_header(tmp_path: Path) -> None:
    where = source(tmp_path, "x|y\n1|NA\nNA|\n")
    fields = [Field("x", "INT64"), Field("y", "STRING")]
    rows = read_csv(where, fields, skipLeadingRows="1", fieldDelimiter="|", nullMarker="NA")
    assert rows == [{"x": 1, "y": None}, {"x": None, "y": ""}]


def test_csv_quoted_newlines_need_the_option(tmp_path: Path) -> None:
    where = source(tmp_path, '1,"two\nlines"\n2,one\n')
    fields = [Field("x", "INT64"), Field("y", "STRING")]
    assert read_csv(where, fields, allowQuotedNewlines=True)[0]["y"] == "two\nlines"
    with pytest.raises(InvalidArgument):
        read_csv(where, fields)


def test_csv_jagged_and_unknown(tmp_path: Path) -> None:
    where = source(tmp_path, '1\n2,b\n3,c,extra,"x,y"\n')
    fields = [Field("x", "INT64"), Field("y", "STRING")]
    rows = read_csv(where, fields, allowJaggedRows=True, ignoreUnknownValues=True)
    assert rows == [{"x": 1, "y": None}, {"x": 2, "y": "b"}, {"x": 3, "y": "c"}]
    with pytest.raises(TooManyBadRecords, match=r"Too few columns.*row 1"):
        read_csv(where, fields)


def test_csv_encodings(tmp_path: Path) -> None:
    where = source(tmp_path, "1,caf\xe9\n".encode("latin-1"))
    fields = [Field("x", "INT64"), Field("y", "STRING")]
    assert read_csv(where, fields, encoding="ISO-8859-1")[0]["y"] == "café"
    with pytest.raises(InvalidArgument, match="encoding"):
        read_csv(where, fields)


def test_csv_gzip_is_recognised(tmp_path: Path) -> None:
    assert read_csv(source(tmp_path, gzip.compress(b"1\n2\n")), [Field("x", "INT64")]) == [{"x": 1}, {"x": 2}]


def test_csv_bad_value_names_row_and_column(tmp_path: Path) -> None:
    where = source(tmp_path, "h,g\n1,2\nabc,3\n4,x\n5,6\n")
    fields = [Field("h", "INT64"), Field("g", "INT64")]
    with pytest.raises(TooManyBadRecords) as caught:
        read_csv(where, fields, skipLeadingRows=1)
    assert "too many errors, giving up. Rows: 3; errors: 1" in caught.value.message
    assert "Could not parse 'abc' as INT64 for field h" in caught.value.message
    assert (
        caught.value.entries[0]["location"] == "gs://b/file" and "row 3, column h" in caught.value.entries[0]["message"]
    )


def test_csv_max_bad_records_leaves_the_good_rows(tmp_path: Path) -> None:
    where = source(tmp_path, "1,2\nabc,3\n4,x\n5,6\n7\n")
    fields = [Field("h", "INT64"), Field("g", "INT64")]
    assert read_csv(where, fields, allowed=3) == [{"h": 1, "g": 2}, {"h": 5, "g": 6}]
    with pytest.raises(TooManyBadRecords, match="errors: 3; max bad: 2"):
        read_csv(where, fields, allowed=2)


def test_csv_required_and_nested(tmp_path: Path) -> None:
    with pytest.raises(TooManyBadRecords, match="Missing value for required field x"):
        read_csv(source(tmp_path, "1,a\n,b\n"), [Field("x", "INT64", "REQUIRED"), Field("y", "STRING")])
    with pytest.raises(InvalidArgument, match="nested or repeated"):
        read_csv(source(tmp_path, "1\n"), [Field("x", "INT64", "REPEATED")])


@pytest.mark.parametrize(
    "options", [{"fieldDelimiter": "||"}, {"quote": "''"}, {"encoding": "EBCDIC"}, {"skipLeadingRows": "-1"}]
)
def test_csv_options_that_cannot_be(options: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument):
        CsvOptions.read(options)


def test_csv_large_file_streams_in_blocks(tmp_path: Path) -> None:
    lines = "".join(f"{n},row {n}\n" for n in range(600_000))
    where = source(tmp_path, lines)
    fields = [Field("x", "INT64"), Field("y", "STRING")]
    sizes = [each.num_rows for each in csv.batches([where], fields, CsvOptions(), BadRecords("CSV"))]
    assert sum(sizes) == 600_000 and len(sizes) > 1


# -- detection


def test_detect_header_and_types(tmp_path: Path) -> None:
    where = source(tmp_path, "id,the name,when,ok,ratio\n1,a,2024-01-01,true,1\n2,b,2024-01-02,false,2.5\n")
    found = detect.csv_schema(where, CsvOptions())
    assert [(each["name"], each["type"]) for each in found.fields] == [
        ("id", "INT64"), ("the_name", "STRING"), ("when", "DATE"), ("ok", "BOOL"), ("ratio", "FLOAT64"),
    ]  # fmt: skip
    assert found.skip == 1


def test_detect_without_header(tmp_path: Path) -> None:
    found = detect.csv_schema(source(tmp_path, "1,a\n2,b\n"), CsvOptions())
    assert [each["name"] for each in found.fields] == ["int64_field_0", "string_field_1"] and found.skip == 0
    texts = detect.csv_schema(source(tmp_path, "x,y\nz,w\n"), CsvOptions())
    assert [each["name"] for each in texts.fields] == ["string_field_0", "string_field_1"] and texts.skip == 0


def test_detect_with_skip_leading_rows(tmp_path: Path) -> None:
    where = source(tmp_path, "a comment\nx,y\n1,b\n")
    found = detect.csv_schema(where, CsvOptions(skip=2))
    assert [(each["name"], each["type"]) for each in found.fields] == [("x", "INT64"), ("y", "STRING")]
    assert found.skip == 2


def test_detect_json(tmp_path: Path) -> None:
    rows = [
        {"n": 1, "q": "12", "f": 1, "s": "a", "list": [1, 2], "inner": {"x": True, "w": "2024-01-01T00:00:00Z"}},
        {"n": None, "q": "7", "f": 1.5, "s": "b", "list": [], "inner": {"y": ["t"]}},
    ]
    found = detect.json_schema(source(tmp_path, "\n".join(map(json.dumps, rows))))
    by_name = {each["name"]: each for each in found}
    assert {name: each["type"] for name, each in by_name.items()} == {
        "n": "INT64", "q": "INT64", "f": "FLOAT64", "s": "STRING", "list": "INT64", "inner": "RECORD",
    }  # fmt: skip
    assert by_name["list"]["mode"] == "REPEATED"
    assert [(each["name"], each["type"]) for each in by_name["inner"]["fields"]] == [
        ("x", "BOOL"), ("w", "TIMESTAMP"), ("y", "STRING"),
    ]  # fmt: skip


def test_detect_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="No rows to detect"):
        detect.csv_schema(source(tmp_path, ""), CsvOptions())
    with pytest.raises(InvalidArgument, match="No rows to detect"):
        detect.json_schema(source(tmp_path, "\n"))


# -- JSON


NESTED = [
    Field("id", "INT64", "REQUIRED"),
    Field("tags", "STRING", "REPEATED"),
    Field("at", "TIMESTAMP"),
    Field("point", "STRUCT", fields=(Field("x", "FLOAT64"), Field("notes", "STRING", "REPEATED"))),
    Field("any", "JSON"),
]


def read_json(where: Source, fields: list[Field], *, allowed: int = 0, ignore: bool = False) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for batch in ndjson.batches([where], fields, BadRecords("JSON", allowed), ignore_unknown=ignore):
        rows += batch.to_pylist()
    return rows


def test_json_nested(tmp_path: Path) -> None:
    lines = [
        {"ID": "5", "tags": ["a", "b"], "at": 1704067200, "point": {"x": 1, "notes": None}, "any": {"k": [1]}},
        {"id": 6, "at": "2024-01-01 00:00:00", "point": None},
    ]
    first, second = read_json(source(tmp_path, "\n".join(map(json.dumps, lines))), NESTED)
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    assert first == {"id": 5, "tags": ["a", "b"], "at": moment, "point": {"x": 1.0, "notes": []}, "any": '{"k":[1]}'}
    assert second == {"id": 6, "tags": [], "at": moment, "point": None, "any": None}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "x"}', r"Cannot convert value to integer \(bad value\): x.*row 1, column id"),
        ('{"id": 1, "nope": 2}', "no such field: nope"),
        ('{"id": 1, "point": {"z": 1}}', "no such field: point.z"),
        ('{"tags": []}', "Missing required field: id"),
        ('{"id": 1.5}', "has a fraction"),
        ('{"id": true}', "a boolean"),
        ('{"id": 1, "tags": "a"}', "expected a list"),
        ('{"id": 1, "tags": [null]}', "Only optional fields can be set to NULL"),
        ('{"id": 9223372036854775808}', "out of the range of INT64"),
        ('{"id": 1', "JSON parsing error"),
        ("[1]", "must be an object"),
    ],
)
def test_json_bad_rows(tmp_path: Path, line: str, message: str) -> None:
    where = source(tmp_path, line + '\n{"id": 2}\n')
    with pytest.raises(TooManyBadRecords, match=message):
        read_json(where, NESTED)
    assert [row["id"] for row in read_json(where, NESTED, allowed=1)] == [2]


def test_json_ignore_unknown(tmp_path: Path) -> None:
    assert read_json(source(tmp_path, '{"id": 1, "nope": 2}'), NESTED, ignore=True)[0]["id"] == 1


# -- columnar


def test_parquet_fits_by_name_and_fills(tmp_path: Path) -> None:
    table = pa.table(
        {
            "B": pa.array([1.5, None], pa.float32()),
            "a": pa.array([1, 2], pa.int32()),
            "when": pa.array([1_700_000_000_123_456_789, None], pa.timestamp("ns", "UTC")),
            "word": pa.array(["x", "y"]).dictionary_encode(),
            "list": pa.array([[1], None], pa.large_list(pa.int16())),
        }
    )
    path = tmp_path / "f.parquet"
    parquet.write_table(table, path)
    fields = [
        Field("a", "INT64"),
        Field("b", "FLOAT64"),
        Field("when", "TIMESTAMP"),
        Field("word", "STRING"),
        Field("list", "INT64", "REPEATED"),
        Field("gone", "STRING"),
        Field("gone_list", "STRING", "REPEATED"),
    ]
    (batch,) = columnar.batches([Source("f", path)], fields, "PARQUET")
    assert batch.schema == arrow_schema(fields)
    when = datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)
    assert batch.to_pylist() == [
        {"a": 1, "b": 1.5, "when": when, "word": "x", "list": [1], "gone": None, "gone_list": []},
        {"a": 2, "b": None, "when": None, "word": "y", "list": [], "gone": None, "gone_list": []},
    ]  # fmt: skip


def test_parquet_wrong_type_unknown_column_and_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    parquet.write_table(pa.table({"a": ["x"]}), path)
    where = Source("gs://b/f", path)
    with pytest.raises(InvalidArgument, match=r"column a has type string.*INT64.*rows 1 to 1 of gs://b/f"):
        list(columnar.batches([where], [Field("a", "INT64")], "PARQUET"))
    with pytest.raises(InvalidArgument, match="has the column a, the table has no such field"):
        list(columnar.batches([where], [Field("b", "INT64")], "PARQUET"))
    with pytest.raises(InvalidArgument, match="Missing required field: b"):
        list(columnar.batches([where], [Field("a", "STRING"), Field("b", "INT64", "REQUIRED")], "PARQUET"))
    with pytest.raises(InvalidArgument, match="not in PARQUET format"):
        list(columnar.batches([source(tmp_path, "hello", "x")], [Field("a", "STRING")], "PARQUET"))
    with pytest.raises(InvalidArgument, match="not in ORC format"):
        columnar.schema_of(source(tmp_path, "hello", "x"), "ORC")


def test_orc(tmp_path: Path) -> None:
    from pyarrow import orc

    path = tmp_path / "f.orc"
    orc.write_table(pa.table({"a": [1, 2], "s": ["x", None]}), path)
    where = Source("f", path)
    assert [each.type for each in fields_of(columnar.schema_of(where, "ORC"))] == ["INT64", "STRING"]
    (batch,) = columnar.batches([where], [Field("a", "INT64"), Field("s", "STRING")], "ORC")
    assert batch.to_pylist() == [{"a": 1, "s": "x"}, {"a": 2, "s": None}]


# -- Avro and writing


def sample() -> pa.RecordBatch:
    fields = [*FIELDS, Field("r", "INT64", "REPEATED"), Field("p", "STRUCT", fields=(Field("x", "STRING"),))]
    rows = [
        {
            "i": 1, "f": 2.0, "b": True, "s": 'a"b', "d": date(2024, 1, 2), "t": time(1, 2, 3, 500_000),
            "dt": datetime(2024, 1, 2, 3, 4, 5), "ts": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
            "n": Decimal("1.500000000"),
            "y": b"ab", "j": '{"a": 1}', "r": [1, 2], "p": {"x": "in"},
        },
        dict.fromkeys(each.name for each in FIELDS) | {"s": "", "r": [], "p": None},
    ]  # fmt: skip
    return pa.RecordBatch.from_pylist(rows, schema=arrow_schema(fields))


def written(format: str, batch: pa.RecordBatch, **options: object) -> bytes:
    file = io.BytesIO()
    fields = fields_of(batch.schema)
    writers.check(format, str(options.get("compression", "NONE")), fields)
    assert writers.write(file, format, fields, [batch], **options) == batch.num_rows  # type: ignore[arg-type]
    return file.getvalue()


def test_avro_round_trip(tmp_path: Path) -> None:
    where = source(tmp_path, written("AVRO", sample(), compression="DEFLATE"))
    detected = avro.fields_of(where, logical=True)
    assert {each["name"]: each["type"] for each in detected} == {
        "i": "INT64", "f": "FLOAT64", "b": "BOOL", "s": "STRING", "d": "DATE", "t": "TIME", "dt": "DATETIME",
        "ts": "TIMESTAMP", "n": "NUMERIC", "y": "BYTES", "j": "JSON", "r": "INT64", "p": "RECORD",
    }  # fmt: skip
    (batch,) = avro.batches([where], fields_from_rest(detected))
    assert batch.to_pylist() == sample().to_pylist()


def test_avro_without_logical_types_gives_numbers(tmp_path: Path) -> None:
    where = source(tmp_path, written("AVRO", sample()))
    kinds = {each["name"]: each["type"] for each in avro.fields_of(where, logical=False)}
    assert (kinds["d"], kinds["ts"], kinds["n"]) == ("INT64", "INT64", "NUMERIC")
    (batch,) = avro.batches([where], fields_from_rest(avro.fields_of(where, logical=False)))
    assert batch.column("d")[0].as_py() == 19724 and batch.column("ts")[0].as_py() == 1704164645000000


def test_avro_cut_off_and_unknown(tmp_path: Path) -> None:
    content = written("AVRO", sample())
    with pytest.raises(InvalidArgument, match=r"failed to read data after row 0"):
        list(avro.batches([source(tmp_path, content[:-20])], FIELDS, ignore_unknown=True))
    with pytest.raises(InvalidArgument, match="not in AVRO format"):
        avro.fields_of(source(tmp_path, "no"), logical=True)
    with pytest.raises(InvalidArgument, match="has the field r"):
        list(avro.batches([source(tmp_path, content)], FIELDS))


def test_csv_written_reads_back(tmp_path: Path) -> None:
    flat = sample().select([each.name for each in FIELDS])
    content = written("CSV", flat)
    assert content.decode().splitlines() == [
        "i,f,b,s,d,t,dt,ts,n,y,j",
        '1,2.0,true,"a""b",2024-01-02,01:02:03.5,2024-01-02T03:04:05,2024-01-02 03:04:05 UTC,1.5,YWI=,"{""a"": 1}"',
        ',,,"",,,,,,,',
    ]
    assert read_csv(source(tmp_path, content), FIELDS, skipLeadingRows=1) == flat.to_pylist()
    packed = written("CSV", flat, compression="GZIP", header=False, delimiter="\t")
    assert gzip.decompress(packed).startswith(b"1\t2.0\ttrue")


def test_json_written_reads_back(tmp_path: Path) -> None:
    content = written("NEWLINE_DELIMITED_JSON", sample())
    first = json.loads(content.splitlines()[0])
    assert first["i"] == "1" and first["r"] == ["1", "2"] and first["p"] == {"x": "in"} and first["j"] == {"a": 1}
    fields = fields_of(sample().schema)
    back = read_json(source(tmp_path, content), fields)
    assert [row["i"] for row in back] == [1, None] and back[0]["ts"] == sample().to_pylist()[0]["ts"]


def test_parquet_written_reads_back(tmp_path: Path) -> None:
    where = source(tmp_path, written("PARQUET", sample(), compression="SNAPPY"))
    (batch,) = columnar.batches([where], fields_of(sample().schema), "PARQUET")
    assert batch.to_pylist() == sample().to_pylist()


def test_what_cannot_be_written() -> None:
    with pytest.raises(InvalidArgument, match=r"nested schema\. Field: r"):
        written("CSV", sample())
    with pytest.raises(InvalidArgument, match="compression of CSV"):
        written("CSV", sample(), compression="SNAPPY")
    with pytest.raises(InvalidArgument, match="destinationFormat"):
        written("XML", sample())
