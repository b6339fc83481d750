"""Load and extract jobs: every format in and out, dispositions, schemas, bad records, uploads that break off."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING, Any

import fastavro
import pyarrow as pa
import pytest
from pyarrow import orc, parquet

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

TABLE = pa.table(
    {
        "i": pa.array([1, None], pa.int64()),
        "f": pa.array([1.5, None], pa.float64()),
        "s": pa.array(["a", None], pa.string()),
        "t": pa.array([1704164645000000, None], pa.timestamp("us", "UTC")),
        "r": pa.array([{"x": 1}, None], pa.struct([("x", pa.int64())])),
    }
)
ROWS = [["1", "1.5", "a", "1704164645000000", ["1"]], [None, None, None, None, None]]


@pytest.fixture(scope="module", autouse=True)
def bucket(api: BigQueryApi) -> str:
    api.app.objects.buckets.create("test-project", "files")
    return "files"


def put(api: BigQueryApi, key: str, content: bytes | str) -> str:
    content = content.encode() if isinstance(content, str) else content
    api.app.objects.put("files", key, iter([content]), content_type="text/plain")
    return f"gs://files/{key}"


def files(api: BigQueryApi, uri: str) -> dict[str, bytes]:
    objects = api.app.objects
    return {each.key: objects.path(each.bucket, each.key).read_bytes() for each in objects.glob(uri)}


def fails(job: dict[str, Any]) -> dict[str, str]:
    """The error of a job that must have failed."""
    result = job["status"]["errorResult"]
    assert isinstance(result, dict)
    return {"reason": result["reason"], "message": result["message"]}


def rows(api: BigQueryApi, sql: str) -> list[list[Any]]:
    return api.rows(sql, formatOptions={"useInt64Timestamp": True})


def parquet_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()


def orc_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    orc.write_table(table, sink)
    return sink.getvalue()


def avro_bytes(rows: list[dict[str, Any]]) -> bytes:
    schema = {
        "type": "record", "name": "Root",
        "fields": [
            {"name": "i", "type": ["null", "long"]}, {"name": "f", "type": ["null", "double"]},
            {"name": "s", "type": ["null", "string"]},
            {"name": "t", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]},
            {
                "name": "r",
                "type": ["null", {"type": "record", "name": "R", "fields": [{"name": "x", "type": ["null", "long"]}]}],
            },
        ],
    }  # fmt: skip
    sink = io.BytesIO()
    fastavro.writer(sink, fastavro.parse_schema(schema), rows)
    return sink.getvalue()


# -- formats in


@pytest.mark.parametrize("how", ["upload", "object"])
@pytest.mark.parametrize("format", ["PARQUET", "ORC", "AVRO", "NEWLINE_DELIMITED_JSON"])
def test_typed_formats(api: BigQueryApi, format: str, how: str) -> None:
    name = f"typed_{format.lower()}_{how}"
    plain = [{"i": 1, "f": 1.5, "s": "a", "t": "2024-01-02 03:04:05", "r": {"x": 1}}, {}]
    content = {
        "PARQUET": lambda: parquet_bytes(TABLE),
        "ORC": lambda: orc_bytes(TABLE),
        "AVRO": lambda: avro_bytes(TABLE.to_pylist()),
        "NEWLINE_DELIMITED_JSON": lambda: "\n".join(map(json.dumps, plain)).encode(),
    }[format]()
    load = {"sourceFormat": format, "autodetect": True, "useAvroLogicalTypes": True}
    if how == "upload":
        job = api.load(content, name, **load)
    else:
        uri = put(api, f"{name}.bin", content)
        job = api.done(load={"sourceUris": [uri], "destinationTable": api.reference(name), **load})
    assert job["status"] == {"state": "DONE"}
    assert job["statistics"]["load"] == {
        "inputFiles": "1", "inputFileBytes": str(len(content)), "outputRows": "2", "badRecords": "0",
        "outputBytes": job["statistics"]["load"]["outputBytes"],
    }  # fmt: skip
    assert rows(api, f"SELECT i, f, s, t, r FROM d.{name} ORDER BY i DESC") == ROWS
    kinds = [each["type"] for each in api.ok("GET", f"datasets/d/tables/{name}")["schema"]["fields"]]
    assert kinds == ["INTEGER", "FLOAT", "STRING", "TIMESTAMP", "RECORD"]


def test_csv_with_a_schema_and_options(api: BigQueryApi) -> None:
    fields = [{"name": "a", "type": "INTEGER"}, {"name": "b", "type": "STRING"}, {"name": "c", "type": "DATE"}]
    content = "x;y;z\n1;'two;2';2024-01-02\nNIL;NIL;NIL\n"
    job = api.load(
        content, "csv", schema={"fields": fields}, fieldDelimiter=";", quote="'", skipLeadingRows=1, nullMarker="NIL"
    )
    assert job["status"] == {"state": "DONE"}
    assert api.rows("SELECT * FROM d.csv ORDER BY a DESC") == [["1", "two;2", "2024-01-02"], [None, None, None]]


def test_csv_detected(api: BigQueryApi) -> None:
    content = gzip.compress(b"id,name,score,day,ok\n1,Ann,1.5,2024-01-02,true\n2,Bob,2,2024-01-03,false\n")
    assert api.load(content, "detected", autodetect=True)["status"] == {"state": "DONE"}
    fields = api.ok("GET", "datasets/d/tables/detected")["schema"]["fields"]
    assert [(each["name"], each["type"]) for each in fields] == [
        ("id", "INTEGER"), ("name", "STRING"), ("score", "FLOAT"), ("day", "DATE"), ("ok", "BOOLEAN"),
    ]  # fmt: skip
    assert api.rows("SELECT id, ok FROM d.detected ORDER BY id") == [["1", "true"], ["2", "false"]]


def test_many_files_by_a_wildcard(api: BigQueryApi) -> None:
    for index in range(3):
        put(api, f"part-{index}.csv", f"{index}\n")
    job = api.done(
        load={
            "sourceUris": ["gs://files/part-*.csv"], "destinationTable": api.reference("parts"),
            "schema": {"fields": [{"name": "a", "type": "INTEGER"}]},
        }
    )  # fmt: skip
    assert (job["statistics"]["load"]["inputFiles"], job["statistics"]["load"]["outputRows"]) == ("3", "3")
    assert api.rows("SELECT SUM(a) FROM d.parts") == [["3"]]


def test_dispositions(api: BigQueryApi) -> None:
    schema = {"fields": [{"name": "a", "type": "INTEGER"}]}
    assert api.load("1\n", "disposed", schema=schema)["status"] == {"state": "DONE"}
    api.load("2\n", "disposed", schema=schema)
    assert api.rows("SELECT a FROM d.disposed ORDER BY a") == [["1"], ["2"]]
    empty = api.load("3\n", "disposed", schema=schema, writeDisposition="WRITE_EMPTY")
    assert fails(empty) == {"reason": "duplicate", "message": "Already Exists: Table test-project:d.disposed"}
    api.load("4\n", "disposed", schema=schema, writeDisposition="WRITE_TRUNCATE")
    assert api.rows("SELECT a FROM d.disposed") == [["4"]]
    never = api.load("1\n", "absent", schema=schema, createDisposition="CREATE_NEVER")
    assert fails(never) == {"reason": "notFound", "message": "Not found: Table test-project:d.absent"}
    nowhere = api.load("1\n", "no.t", schema=schema)
    assert fails(nowhere) == {"reason": "notFound", "message": "Not found: Dataset test-project:no"}
    assert fails(api.load("1\n", "schemaless"))["message"] == "No schema specified on job or table."


def test_appended_schemas(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.grown (a INT64 NOT NULL)")
    more = {"fields": [{"name": "a", "type": "INTEGER"}, {"name": "b", "type": "STRING"}]}
    relaxed = api.load("1\n", "grown", schema={"fields": more["fields"][:1]})
    assert "Field a has changed mode from REQUIRED to NULLABLE" in fails(relaxed)["message"]
    strict = {"fields": [{"name": "a", "type": "INTEGER", "mode": "REQUIRED"}, more["fields"][1]]}
    job = api.load("1,x\n", "grown", schema=strict)
    assert "Cannot add fields (field: b)" in fails(job)["message"]
    job = api.load(
        "1,x\n", "grown", schema=more, writeDisposition="WRITE_APPEND",
        schemaUpdateOptions=["ALLOW_FIELD_ADDITION", "ALLOW_FIELD_RELAXATION"],
    )  # fmt: skip
    assert job["status"] == {"state": "DONE"}
    assert api.rows("SELECT * FROM d.grown") == [["1", "x"]]
    changed = {"fields": [{"name": "a", "type": "STRING"}, {"name": "b", "type": "STRING"}]}
    assert (
        "Field a has changed type from INTEGER to STRING"
        in fails(api.load("1,x\n", "grown", schema=changed))["message"]
    )


# -- bad records


def test_bad_rows_are_counted_and_placed(api: BigQueryApi) -> None:
    schema = {"fields": [{"name": "a", "type": "INTEGER"}, {"name": "b", "type": "FLOAT"}]}
    content = "1,1\nx,2\n3,y\n4,4,4\n5,5\n"
    job = api.load(content, "bad", schema=schema, maxBadRecords=2)
    error = fails(job)
    assert error["reason"] == "invalid"
    assert "CSV table encountered too many errors, giving up." in error["message"]
    assert "max bad: 2" in error["message"]
    messages = [each["message"] for each in job["status"]["errors"]]
    assert any("Could not parse 'x' as INT64 for field a" in each and "row 2, column a" in each for each in messages)
    assert api.error("GET", "datasets/d/tables/bad")["code"] == 404
    job = api.load(content, "bad", schema=schema, maxBadRecords=3)
    assert "errorResult" not in job["status"]
    assert len(job["status"]["errors"]) == 3
    assert job["statistics"]["load"]["badRecords"] == "3"
    assert api.rows("SELECT * FROM d.bad ORDER BY a") == [["1", "1.0"], ["5", "5.0"]]


def test_bad_json_rows(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.bad_json (a INT64, r STRUCT<x DATE>)")
    load = {"sourceFormat": "NEWLINE_DELIMITED_JSON"}
    job = api.load('{"a": 1}\n{"a": 1, "r": {"x": "yesterday"}}\n', "bad_json", **load)
    assert "row 2, column r.x" in fails(job)["message"]
    assert "no such field: z." in fails(api.load('{"z": 1}\n', "bad_json", **load))["message"]
    assert "JSON parsing error" in fails(api.load('{"a": 1\n', "bad_json", **load))["message"]
    assert api.rows("SELECT COUNT(*) FROM d.bad_json") == [["0"]]
    assert api.load('{"z": 1, "a": 2}\n', "bad_json", ignoreUnknownValues=True, **load)["status"] == {"state": "DONE"}


@pytest.mark.parametrize("format", ["PARQUET", "ORC", "AVRO"])
def test_files_that_are_not_what_they_should_be(api: BigQueryApi, format: str) -> None:
    before = api.physical()
    error = fails(api.load(b"not a file of that kind", "garbage", sourceFormat=format))
    assert error["reason"] == "invalid"
    assert f"Input file is not in {format} format" in error["message"]
    cut = {"PARQUET": parquet_bytes, "ORC": orc_bytes, "AVRO": lambda table: avro_bytes(table.to_pylist())}[format](
        TABLE
    )
    assert fails(api.load(cut[: len(cut) // 2], "garbage", sourceFormat=format))["reason"] == "invalid"
    assert api.error("GET", "datasets/d/tables/garbage")["code"] == 404
    assert api.physical() == before


@pytest.mark.parametrize(
    ("load", "code", "message"),
    [
        ({"sourceFormat": "XML"}, 400, "sourceFormat must be one of CSV, NEWLINE_DELIMITED_JSON, PARQUET, AVRO, ORC"),
        ({"sourceFormat": "GOOGLE_SHEETS"}, 501, "sourceFormat GOOGLE_SHEETS is not executed"),
        ({"destinationTable": {"datasetId": "d"}}, 400, "configuration.load.destinationTable.tableId"),
        ({"fieldDelimiter": ";;"}, 400, "fieldDelimiter must be one character; given: ';;'"),
        ({"encoding": "KLINGON"}, 400, "encoding must be one of UTF-8"),
        ({"maxBadRecords": -1}, 400, "maxBadRecords must not be negative"),
        ({"writeDisposition": "WRITE_MAYBE"}, 400, "writeDisposition must be one of"),
        ({"hivePartitioningOptions": {"mode": "MAYBE"}}, 400, "hivePartitioningOptions.mode must be one of AUTO"),
        ({"sourceUris": ["http://x/y"]}, 400, "A source URI must begin with gs://"),
        ({"schema": {"fields": [{"name": "a", "type": "NUMBER"}]}}, 400, "'NUMBER' is not a valid value"),
    ],
    ids=["format", "sheets", "table", "delimiter", "encoding", "bad-records", "disposition", "hive", "uri", "schema"],
)
def test_loads_that_cannot_be(api: BigQueryApi, load: dict[str, Any], code: int, message: str) -> None:
    config = {"destinationTable": api.reference("cannot"), "sourceUris": ["gs://files/x"], **load}
    status, answer = api.call("POST", "jobs", {"configuration": {"load": config}})
    if status == 200:
        answer = {"error": api.ended(answer["jobReference"]["jobId"])["status"]["errorResult"]}
    else:
        assert status == code
    assert message in answer["error"]["message"]


def test_objects_that_are_not_there(api: BigQueryApi) -> None:
    config = {"destinationTable": api.reference("cannot"), "sourceUris": ["gs://files/none.csv"], "autodetect": True}
    assert fails(api.job(load=config)) == {"reason": "notFound", "message": "Not found: URI gs://files/none.csv"}
    config["sourceUris"] = ["gs://no-such-bucket/none.csv"]
    assert fails(api.job(load=config))["reason"] == "notFound"


# -- uploads


UPLOAD = "/upload/bigquery/v2/projects/test-project/jobs"


def begin(api: BigQueryApi, table: str) -> str:
    """The address of a resumable upload of a CSV file with one column."""
    load = {
        "destinationTable": api.reference(table), "schema": {"fields": [{"name": "a", "type": "INTEGER"}]},
    }  # fmt: skip
    answer = api.request("POST", f"{UPLOAD}?uploadType=resumable", json={"configuration": {"load": load}})
    assert answer.status_code == 200
    return str(answer.headers["location"])


def test_a_resumable_upload_in_chunks(api: BigQueryApi) -> None:
    where = begin(api, "chunks")
    first = api.request("PUT", where, content=b"1\n2\n", headers={"Content-Range": "bytes 0-3/*"})
    assert (first.status_code, first.headers["range"]) == (308, "bytes=0-3")
    asked = api.request("PUT", where, headers={"Content-Range": "bytes */*"})
    assert (asked.status_code, asked.headers["range"]) == (308, "bytes=0-3")
    gap = api.request("PUT", where, content=b"4\n", headers={"Content-Range": "bytes 6-7/8"})
    assert (gap.status_code, "must begin where the last one ended" in gap.text) == (400, True)
    last = api.request("PUT", where, content=b"3\n", headers={"Content-Range": "bytes 4-5/6"})
    assert last.status_code == 200
    assert api.ended(last.json()["jobReference"]["jobId"])["status"] == {"state": "DONE"}
    assert api.rows("SELECT a FROM d.chunks ORDER BY a") == [["1"], ["2"], ["3"]]
    assert api.request("PUT", where, content=b"9\n").status_code == 404


def test_an_upload_that_is_given_up(api: BigQueryApi) -> None:
    where = begin(api, "given_up")
    assert api.request("DELETE", where).status_code == 499
    assert api.request("PUT", where, content=b"1\n").status_code == 404
    assert api.error("GET", "datasets/d/tables/given_up")["code"] == 404


def test_multipart_bodies_that_break_off(api: BigQueryApi) -> None:
    job = json.dumps({"configuration": {"load": {"destinationTable": api.reference("broken"), "autodetect": True}}})
    whole = (
        f"--b\r\nContent-Type: application/json\r\n\r\n{job}\r\n--b\r\nContent-Type: */*\r\n\r\na\n1\n\r\n--b--"
    ).encode()
    headers = {"Content-Type": "multipart/related; boundary=b"}
    folder = api.app.home.root / "uploads"
    for cut in (10, 60, len(whole) - 20, len(whole) - 5):
        answer = api.request("POST", f"{UPLOAD}?uploadType=multipart", content=whole[:cut], headers=headers)
        assert answer.status_code == 400, answer.text
    wrong = api.request("POST", f"{UPLOAD}?uploadType=multipart", content=whole, headers={"Content-Type": "text/csv"})
    assert wrong.status_code == 400
    unnamed = api.request("POST", UPLOAD, content=whole, headers=headers)
    assert unnamed.status_code in (400, 501)
    assert api.error("GET", "datasets/d/tables/broken")["code"] == 404
    assert [each for each in folder.rglob("*") if each.is_file()] == []
    assert api.request("POST", f"{UPLOAD}?uploadType=multipart", content=whole, headers=headers).status_code == 200


def test_an_upload_is_checked_like_a_job(api: BigQueryApi) -> None:
    load = {"destinationTable": api.reference("x"), "columnNameCharacterMap": "V2"}
    answer = api.request("POST", f"{UPLOAD}?uploadType=resumable", json={"configuration": {"load": load}})
    assert (answer.status_code, "columnNameCharacterMap" in answer.text) == (501, True)


# -- formats out


@pytest.fixture(scope="module")
def sample(api: BigQueryApi) -> str:
    api.query(
        "CREATE TABLE d.sample AS SELECT 1 AS i, 'a,\"b' AS s, DATE '2024-01-02' AS d UNION ALL SELECT 2, NULL, NULL"
    )
    return "sample"


def extract(api: BigQueryApi, table: str, uri: str, **more: Any) -> dict[str, Any]:
    return api.job(extract={"sourceTable": api.reference(table), "destinationUris": [uri], **more})


def test_csv_out(api: BigQueryApi, sample: str) -> None:
    job = extract(api, sample, "gs://files/out.csv")
    assert job["statistics"]["extract"]["destinationUriFileCounts"] == ["1"]
    lines = files(api, "gs://files/out.csv")["out.csv"].decode().splitlines()
    assert (lines[0], sorted(lines[1:])) == ("i,s,d", ['1,"a,""b",2024-01-02', "2,,"])
    extract(api, sample, "gs://files/out.tsv.gz", fieldDelimiter="tab", printHeader=False, compression="GZIP")
    text = gzip.decompress(files(api, "gs://files/out.tsv.gz")["out.tsv.gz"]).decode()
    assert sorted(text.splitlines()) == ['1\t"a,""b"\t2024-01-02', "2\t\t"]


@pytest.mark.parametrize("format", ["NEWLINE_DELIMITED_JSON", "PARQUET", "AVRO"])
def test_what_goes_out_comes_back(api: BigQueryApi, sample: str, format: str) -> None:
    uri = f"gs://files/back-{format}-*"
    job = extract(api, sample, uri, destinationFormat=format, useAvroLogicalTypes=True)
    assert job["status"] == {"state": "DONE"}
    assert list(files(api, uri)) == [f"back-{format}-000000000000"]
    name = f"back_{format.lower()}"
    api.done(
        load={
            "sourceUris": [uri], "destinationTable": api.reference(name), "sourceFormat": format, "autodetect": True,
            "useAvroLogicalTypes": True,
        }
    )  # fmt: skip
    assert api.rows(f"SELECT i, s, d FROM d.{name} ORDER BY i") == [["1", 'a,"b', "2024-01-02"], ["2", None, None]]


def test_extracts_that_cannot_be(api: BigQueryApi, sample: str) -> None:
    api.query("CREATE TABLE d.nested AS SELECT [1] AS a")
    assert "nested schema. Field: a" in fails(extract(api, "nested", "gs://files/x.csv"))["message"]
    assert fails(extract(api, "none", "gs://files/x.csv"))["message"] == "Not found: Table test-project:d.none"
    assert (
        "destinationFormat must be one of"
        in fails(extract(api, sample, "gs://files/x", destinationFormat="XML"))["message"]
    )
    assert fails(extract(api, sample, "gs://no-such-bucket/x.csv"))["reason"] == "notFound"
    body = {"configuration": {"extract": {"sourceTable": api.reference(sample), "destinationUris": ["/tmp/x"]}}}
    assert "must be gs://BUCKET/KEY" in api.error("POST", "jobs", body)["message"]
    assert files(api, "gs://files/x*") == {}
