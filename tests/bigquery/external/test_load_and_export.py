"""LOAD DATA and EXPORT DATA: every option, what they tell, what they refuse and what is there afterwards."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Any

import fastavro
import pyarrow as pa
import pytest
from pyarrow import orc, parquet

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi


@pytest.fixture(scope="module", autouse=True)
def bucket(api: BigQueryApi) -> str:
    api.app.objects.buckets.create("test-project", "files")
    return "files"


def put(api: BigQueryApi, key: str, content: bytes | str) -> str:
    content = content.encode() if isinstance(content, str) else content
    api.app.objects.put("files", key, iter([content]), content_type="text/plain")
    return f"gs://files/{key}"


def contents(api: BigQueryApi, uri: str) -> dict[str, bytes]:
    objects = api.app.objects
    return {each.key: objects.path(each.bucket, each.key).read_bytes() for each in objects.glob(uri)}


def statement(api: BigQueryApi, sql: str) -> dict[str, Any]:
    """The statistics of a query job that must succeed."""
    return api.done(query={"query": sql})["statistics"]["query"]


# -- EXPORT DATA


def test_export_csv(api: BigQueryApi) -> None:
    told = statement(
        api,
        "EXPORT DATA OPTIONS (uri = 'gs://files/out/csv-*.csv', format = 'CSV', header = true, field_delimiter = ';') "
        "AS SELECT 1 AS a, 'x;y' AS b UNION ALL SELECT 2, NULL ORDER BY a",
    )
    assert told["statementType"] == "EXPORT_DATA"
    assert told["exportDataStatistics"] == {"fileCount": "1", "rowCount": "2"}
    assert contents(api, "gs://files/out/csv-*.csv") == {"out/csv-000000000000.csv": b'a;b\n1;"x;y"\n2;\n'}


def test_export_without_header_and_gzipped(api: BigQueryApi) -> None:
    statement(
        api,
        "EXPORT DATA OPTIONS (uri = 'gs://files/out/z-*.gz', format = 'csv', header = false, compression = 'GZIP') "
        "AS SELECT 1 AS a",
    )
    (packed,) = contents(api, "gs://files/out/z-*").values()
    assert gzip.decompress(packed) == b"1\n"


def test_export_json(api: BigQueryApi) -> None:
    statement(
        api,
        "EXPORT DATA OPTIONS (uri = 'gs://files/out/j-*.json', format = 'JSON') "
        "AS SELECT 1 AS a, STRUCT(DATE '2026-01-02' AS d) AS s, [1, 2] AS l",
    )
    (text,) = contents(api, "gs://files/out/j-*").values()
    assert text == b'{"a":"1","s":{"d":"2026-01-02"},"l":["1","2"]}\n'


@pytest.mark.parametrize(("logical", "kept"), [("true", "date"), ("false", "string")])
def test_export_avro(api: BigQueryApi, logical: str, kept: str) -> None:
    statement(
        api,
        f"EXPORT DATA OPTIONS (uri = 'gs://files/out/{kept}-*.avro', format = 'AVRO', compression = 'DEFLATE', "
        f"use_avro_logical_types = {logical}) AS SELECT DATE '2026-01-02' AS d, TIMESTAMP '2026-01-02 03:04:05Z' AS t",
    )
    (content,) = contents(api, f"gs://files/out/{kept}-*").values()
    reader = fastavro.reader(io.BytesIO(content))
    (row,) = list(reader)
    assert (str(row["d"]), row["t"].isoformat()) == ("2026-01-02", "2026-01-02T03:04:05+00:00")
    schema = reader.writer_schema["fields"][0]["type"][1]
    assert kept in (schema.get("logicalType"), schema["type"])
    assert reader.codec == "deflate"


def test_export_parquet_in_several_files(api: BigQueryApi) -> None:
    told = statement(
        api,
        "EXPORT DATA OPTIONS (uri = 'gs://files/out/p-*', format = 'PARQUET', compression = 'SNAPPY') AS "
        "SELECT a FROM UNNEST(GENERATE_ARRAY(1, 1500000)) AS a",
    )
    found = contents(api, "gs://files/out/p-*")
    assert told["exportDataStatistics"] == {"fileCount": str(len(found)), "rowCount": "1500000"}
    assert len(found) > 1
    assert sum(parquet.read_table(io.BytesIO(each)).num_rows for each in found.values()) == 1_500_000


def test_export_of_no_rows_makes_one_file(api: BigQueryApi) -> None:
    told = statement(
        api,
        "EXPORT DATA OPTIONS (uri = 'gs://files/none/*', format = 'CSV') AS SELECT 1 AS a FROM UNNEST([1]) WHERE FALSE",
    )
    assert told["exportDataStatistics"] == {"fileCount": "1", "rowCount": "0"}
    assert contents(api, "gs://files/none/*") == {"none/000000000000": b"a\n"}


def test_export_does_not_write_over_files_unless_told(api: BigQueryApi) -> None:
    sql = "EXPORT DATA OPTIONS (uri = 'gs://files/once/*', format = 'CSV'{}) AS SELECT {} AS a"
    statement(api, sql.format("", 1))
    error = api.query_error(sql.format("", 2))
    assert error["reason"] == "invalidQuery"
    assert (
        "must be empty: gs://files/once/* has gs://files/once/000000000000. Next: set overwrite = true"
        in error["message"]
    )
    assert list(contents(api, "gs://files/once/*").values()) == [b"a\n1\n"]
    statement(api, sql.format(", overwrite = true", 2))
    assert list(contents(api, "gs://files/once/*").values()) == [b"a\n2\n"]


def test_export_reads_variables(api: BigQueryApi) -> None:
    api.query(
        "DECLARE x INT64 DEFAULT 7; EXPORT DATA OPTIONS (uri = 'gs://files/var/*', format = 'CSV') AS SELECT x AS a"
    )
    assert list(contents(api, "gs://files/var/*").values()) == [b"a\n7\n"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("format = 'CSV'", "The option uri must be set in EXPORT DATA"),
        ("uri = 'gs://files/x-*'", "The option format must be set in EXPORT DATA"),
        ("uri = 'gs://files/x', format = 'CSV'", "Option 'uri' value must be a wild card URI"),
        ("uri = 'gs://files/*-*', format = 'CSV'", "Option 'uri' value must be a wild card URI"),
        ("uri = 's3://files/*', format = 'CSV'", "Option 'uri' value must be a wild card URI"),
        (
            "uri = 'gs://files/x-*', format = 'CLOUD_BIGTABLE'",
            "EXPORT DATA in the format CLOUD_BIGTABLE is not executed",
        ),
        ("uri = 'gs://files/x-*', format = 'AVRO', header = true", "The option header is of the format CSV alone"),
        ("uri = 'gs://files/x-*', format = 'CSV', use_avro_logical_types = true", "is of the format AVRO alone"),
        (
            "uri = 'gs://files/x-*', format = 'CSV', compression = 'SNAPPY'",
            "compression of CSV must be one of NONE, GZIP",
        ),
        ("uri = 'gs://files/x-*', format = 'CSV', header = 1", "The option header must be a BOOL; given: 1"),
        ("uri = 'gs://files/x-*', format = 'CSV', shape = 'a'", "The option shape of EXPORT DATA is not executed"),
        ("uri = 'gs://nowhere/x-*', format = 'CSV'", "bucket"),
    ],
)
def test_exports_that_cannot_be(api: BigQueryApi, options: str, message: str) -> None:
    assert message in api.query_error(f"EXPORT DATA OPTIONS ({options}) AS SELECT 1 AS a")["message"]
    assert contents(api, "gs://files/x*") == {}


def test_a_nested_row_is_no_csv(api: BigQueryApi) -> None:
    error = api.query_error("EXPORT DATA OPTIONS (uri = 'gs://files/n-*', format = 'CSV') AS SELECT [1] AS a")
    assert "Operation cannot be performed on a nested schema. Field: a" in error["message"]
    assert contents(api, "gs://files/n-*") == {}


def test_an_export_that_fails_leaves_no_file(api: BigQueryApi) -> None:
    error = api.query_error(
        "EXPORT DATA OPTIONS (uri = 'gs://files/f-*', format = 'CSV') AS "
        "SELECT IF(a = 900000, ERROR('no'), a) AS a FROM UNNEST(GENERATE_ARRAY(1, 900000)) AS a"
    )
    assert error["message"].startswith("no")
    assert contents(api, "gs://files/f-*") == {}


def test_a_dry_run_of_an_export_writes_nothing(api: BigQueryApi) -> None:
    sql = "EXPORT DATA OPTIONS (uri = 'gs://files/dry-*', format = 'CSV') AS SELECT 1 AS a"
    made = api.ok("POST", "jobs", {"configuration": {"query": {"query": sql}, "dryRun": True}})
    assert made["statistics"]["query"]["statementType"] == "EXPORT_DATA"
    assert contents(api, "gs://files/dry-*") == {}


# -- LOAD DATA


def test_load_into_a_new_table_shows_its_columns(api: BigQueryApi) -> None:
    uri = put(api, "new.csv", "day,n\n2026-01-02,1\n2026-01-03,2\n")
    told = statement(api, f"LOAD DATA INTO d.shown FROM FILES (format = 'CSV', uris = ['{uri}'])")
    assert told["statementType"] == "LOAD_DATA"
    about = told["loadQueryStatistics"]
    assert int(about.pop("outputBytes")) > 0
    assert about == {"inputFiles": "1", "inputFileBytes": "32", "outputRows": "2", "badRecords": "0"}
    assert api.rows("SELECT day, n FROM d.shown ORDER BY n") == [["2026-01-02", "1"], ["2026-01-03", "2"]]


def test_load_adds_and_overwrites(api: BigQueryApi) -> None:
    uri = put(api, "more.csv", "1,a\n")
    load = f"d.grown (n INT64, s STRING) FROM FILES (format = 'CSV', uris = ['{uri}'])"
    for _ in range(2):
        statement(api, f"LOAD DATA INTO {load}")
    assert api.rows("SELECT COUNT(*) FROM d.grown") == [["2"]]
    statement(api, f"LOAD DATA INTO d.grown FROM FILES (format = 'CSV', uris = ['{uri}'])")
    assert api.rows("SELECT COUNT(*) FROM d.grown") == [["3"]]
    statement(api, f"LOAD DATA OVERWRITE {load}")
    assert api.rows("SELECT * FROM d.grown") == [["1", "a"]]


def test_load_with_columns_layout_and_description(api: BigQueryApi) -> None:
    uri = put(api, "laid.csv", "x\n2026-01-02|1\n")
    statement(
        api,
        "LOAD DATA INTO d.laid (day DATE NOT NULL OPTIONS (description = 'the day'), n NUMERIC) "
        "PARTITION BY DATE_TRUNC(day, MONTH) CLUSTER BY n OPTIONS (description = 'about', labels = [('k', 'v')]) "
        f"FROM FILES (format = 'CSV', uris = ['{uri}'], skip_leading_rows = 1, field_delimiter = '|')",
    )
    table = api.ok("GET", "datasets/d/tables/laid")
    assert table["timePartitioning"] == {"type": "MONTH", "field": "day"}
    assert table["clustering"] == {"fields": ["n"]}
    assert (table["description"], table["labels"]) == ("about", {"k": "v"})
    assert [(each["name"], each["mode"], each.get("description")) for each in table["schema"]["fields"]] == [
        ("day", "REQUIRED", "the day"),
        ("n", "NULLABLE", None),
    ]


def test_load_options_of_csv(api: BigQueryApi) -> None:
    uri = put(api, "odd.csv", "1;'a\nb';N\n2;c\n3;d;e;f\nx;y;z\n".encode("latin-1"))
    statement(
        api,
        "LOAD DATA INTO d.odd (n INT64, s STRING, t STRING) FROM FILES ("
        f"format = 'CSV', uris = ['{uri}'], field_delimiter = ';', quote = \"'\", allow_quoted_newlines = true, "
        "null_marker = 'N', allow_jagged_rows = true, ignore_unknown_values = true, encoding = 'ISO-8859-1', "
        "max_bad_records = 1)",
    )
    assert api.rows("SELECT n, s, t FROM d.odd ORDER BY n") == [["1", "a\nb", None], ["2", "c", None], ["3", "d", "e"]]


SAMPLE = pa.table({"n": pa.array([1, 2], pa.int64()), "s": pa.array(["a", None], pa.string())})


def _bytes(format: str) -> bytes:
    sink = io.BytesIO()
    if format == "PARQUET":
        parquet.write_table(SAMPLE, sink)
    elif format == "ORC":
        orc.write_table(SAMPLE, sink)
    elif format == "AVRO":
        schema = {"type": "record", "name": "r", "fields": [{"name": "n", "type": "long"},
                  {"name": "s", "type": ["null", "string"]}]}  # fmt: skip
        fastavro.writer(sink, fastavro.parse_schema(schema), SAMPLE.to_pylist())
    else:
        sink.write(b'{"n": 1, "s": "a"}\n{"n": 2}\n')
    return sink.getvalue()


@pytest.mark.parametrize("format", ["PARQUET", "ORC", "AVRO", "JSON"])
def test_load_of_each_format(api: BigQueryApi, format: str) -> None:
    uri = put(api, f"of-{format}", _bytes(format))
    statement(api, f"LOAD DATA INTO d.of_{format} FROM FILES (format = '{format}', uris = ['{uri}'])")
    assert api.rows(f"SELECT n, s FROM d.of_{format} ORDER BY n") == [["1", "a"], ["2", None]]


def test_load_of_partitioned_folders(api: BigQueryApi) -> None:
    put(api, "hive/day=2026-01-02/shop=1/a.csv", "5\n")
    put(api, "hive/day=2026-01-03/shop=2/b.csv", "6\n")
    put(api, "hive/day=2026-01-03/shop=__HIVE_DEFAULT_PARTITION__/c.csv", "7\n")
    options = "format = 'CSV', uris = ['gs://files/hive/*'], hive_partition_uri_prefix = 'gs://files/hive'"
    statement(api, f"LOAD DATA INTO d.folders (n INT64) FROM FILES ({options}) WITH PARTITION COLUMNS")
    kinds = [(each["name"], each["type"]) for each in api.ok("GET", "datasets/d/tables/folders")["schema"]["fields"]]
    assert kinds == [("n", "INTEGER"), ("day", "DATE"), ("shop", "INTEGER")]
    expected = [["5", "2026-01-02", "1"], ["6", "2026-01-03", "2"], ["7", "2026-01-03", None]]
    assert api.rows("SELECT n, day, shop FROM d.folders ORDER BY n") == expected
    statement(
        api,
        f"LOAD DATA INTO d.worded (n INT64) FROM FILES ({options}) WITH PARTITION COLUMNS (day STRING, shop STRING)",
    )
    assert api.rows("SELECT day, shop FROM d.worded WHERE n = 5") == [["2026-01-02", "1"]]


def test_load_of_a_manifest(api: BigQueryApi) -> None:
    lines = [put(api, f"part-{n}.csv", f"{n}\n") for n in (1, 2)]
    manifest = put(api, "manifest", "\n".join(lines) + "\n")
    statement(
        api,
        f"LOAD DATA INTO d.listed (n INT64) FROM FILES (format = 'CSV', uris = ['{manifest}'], "
        "file_set_spec_type = 'FILE_SET_SPEC_TYPE_NEW_LINE_DELIMITED_MANIFEST')",
    )
    assert api.rows("SELECT n FROM d.listed ORDER BY n") == [["1"], ["2"]]


def test_load_into_a_temporary_table(api: BigQueryApi) -> None:
    uri = put(api, "temp.csv", "1\n2\n")
    made = api.query(
        f"LOAD DATA INTO TEMP TABLE t (n INT64) FROM FILES (format = 'CSV', uris = ['{uri}']); SELECT SUM(n) FROM t"
    )
    assert api.cells(made) == [["3"]]
    assert (
        "requires a script or session"
        in api.query_error(f"LOAD DATA INTO TEMP TABLE t (n INT64) FROM FILES (format = 'CSV', uris = ['{uri}'])")[
            "message"
        ]
    )


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("LOAD DATA INTO d.x FROM FILES (format = 'CSV')", "The option uris must be set in FROM FILES"),
        ("LOAD DATA INTO d.x FROM FILES (uris = ['gs://files/a'])", "The option format must be set in FROM FILES"),
        ("LOAD DATA INTO d.x FROM FILES (format = 'XML', uris = ['gs://files/a'])", "sourceFormat must be one of CSV"),
        ("LOAD DATA INTO d.x FROM FILES (format = 'CSV', uris = ['gs://files/missing'])", "Not found: URI gs://files/missing"),
        ("LOAD DATA INTO d.x FROM FILES (format = 'CSV', uris = ['file:///etc/passwd'])", "must begin with gs://"),
        ("LOAD DATA INTO d.x FROM FILES (format = 'CSV', uris = 'gs://files/a')", "must be of type ARRAY<STRING>"),
        ("LOAD DATA INTO d.x FROM FILES (format = 'PARQUET', uris = ['gs://files/a'], quote = 'x')",
         "of the format CSV alone"),
        ("LOAD DATA INTO d.x FROM FILES (format = 'CSV', uris = ['gs://files/a'], time_zone = 'UTC')",
         "The option time_zone of"),
        ("LOAD DATA INTO d.x FROM FILES (format = 'CSV', uris = ['gs://files/a'], hive_partition_uri_prefix = 'gs://files')",
         "need the clause WITH PARTITION COLUMNS"),
        ("LOAD DATA INTO d.x FROM FILES (format = 'CSV', uris = ['gs://files/a']) WITH CONNECTION `a.b`", "WITH CONNECTION"),
        ("LOAD DATA INTO d.x PARTITIONS (day = '2026-01-01') FROM FILES (format = 'CSV', uris = ['gs://files/of.json'])",
         "A partition can only be named of a partitioned table"),
        ("LOAD DATA INTO d.x PARTITIONS (day > '2026-01-01') FROM FILES (format = 'CSV', uris = ['gs://files/of.json'])",
         "PARTITIONS must have one column = value"),
        ("LOAD DATA INTO d.x PARTITIONS (day = '1') (n INT64) PARTITION BY _PARTITIONDATE FROM FILES (format = 'CSV', "
         "uris = ['gs://files/of.json'])", "partitioned by, _PARTITIONTIME; given: day"),
        ("LOAD DATA INTO d.x PARTITIONS (_PARTITIONTIME = 'soon') (n INT64) PARTITION BY _PARTITIONDATE FROM FILES ("
         "format = 'CSV', uris = ['gs://files/of.json'])", "must be a literal of type TIMESTAMP"),
        ("LOAD DATA INTO nowhere.x FROM FILES (format = 'JSON', uris = ['gs://files/of.json'])", "Not found: Dataset"),
        ("LOAD DATA d.x FROM FILES (format = 'CSV', uris = ['gs://files/a'])", "Syntax error: Expected keyword INTO"),
        ("LOAD DATA INTO d.x FROM FILES (format = 'CSV', uris = ['gs://files/a']) nonsense", "Expected end of input"),
    ],
)  # fmt: skip
def test_loads_that_cannot_be(api: BigQueryApi, sql: str, message: str) -> None:
    put(api, "of.json", _bytes("JSON"))
    assert message in api.query_error(sql)["message"]
    assert api.error("GET", "datasets/d/tables/x")["code"] == 404


def test_one_partition_is_loaded(api: BigQueryApi) -> None:
    uri, other = put(api, "one.csv", b"1\n2\n"), put(api, "other.csv", b"3\n")
    load = "(n INT64) PARTITION BY _PARTITIONDATE FROM FILES (format = 'CSV', uris = ['{}'])"
    statement(api, f"LOAD DATA INTO d.parts PARTITIONS (_PARTITIONTIME = TIMESTAMP '2026-01-01') {load.format(uri)}")
    for verb, day in (("", "2026-01-01"), ("", "2026-01-02"), ("OVERWRITE", "2026-01-01")):
        clause = f"{verb} PARTITIONS (_PARTITIONTIME = TIMESTAMP '{day}')"
        statement(api, f"LOAD DATA INTO d.parts {clause} FROM FILES (format = 'CSV', uris = ['{other}'])")
    rows = "SELECT n, _PARTITIONDATE AS d FROM d.parts ORDER BY n, d"
    assert api.rows(rows) == [["3", "2026-01-01"], ["3", "2026-01-02"]]
    api.query("CREATE TABLE d.ranges (n INT64) PARTITION BY RANGE_BUCKET(n, GENERATE_ARRAY(0, 100, 10))")
    tail = f"FROM FILES (format = 'CSV', uris = ['{uri}'])"
    error = api.query_error(f"LOAD DATA INTO d.ranges PARTITIONS (n = 12) {tail}")
    assert "Some rows belong to different partitions" in error["message"]
    statement(api, f"LOAD DATA OVERWRITE d.ranges PARTITIONS (n = 5) {tail}")
    assert api.rows("SELECT n FROM d.ranges ORDER BY n") == [["1"], ["2"]]


def test_a_load_that_does_not_fit_changes_nothing(api: BigQueryApi) -> None:
    statement(api, "CREATE TABLE d.kept AS SELECT 1 AS n")
    before = api.physical()
    uri = put(api, "misfit.csv", "2\nx\n")
    for verb in ("INTO", "OVERWRITE"):
        error = api.query_error(f"LOAD DATA {verb} d.kept (n INT64) FROM FILES (format = 'CSV', uris = ['{uri}'])")
        assert "Could not parse 'x' as INT64 for field n" in error["message"]
        assert uri in error["message"] and "row 2" in error["message"]
    assert api.rows("SELECT n FROM d.kept") == [["1"]]
    assert api.physical() == before
    wrong = put(api, "misfit.parquet", _bytes("PARQUET"))
    error = api.query_error(f"LOAD DATA INTO d.kept FROM FILES (format = 'PARQUET', uris = ['{wrong}'])")
    assert "has the column s, the table has no such field" in error["message"]
    assert api.rows("SELECT n FROM d.kept") == [["1"]]


def test_folders_that_do_not_agree(api: BigQueryApi) -> None:
    put(api, "mixed/day=1/a.csv", "5\n")
    put(api, "mixed/hour=1/b.csv", "6\n")
    error = api.query_error(
        "LOAD DATA INTO d.x (n INT64) FROM FILES (format = 'CSV', uris = ['gs://files/mixed/*'], "
        "hive_partition_uri_prefix = 'gs://files/mixed') WITH PARTITION COLUMNS"
    )
    assert "All files must have the partition keys day in this order" in error["message"]
    assert "gs://files/mixed/hour=1/b.csv" in error["message"]


def test_no_load_inside_a_transaction(api: BigQueryApi) -> None:
    uri = put(api, "inside.csv", "1\n")
    error = api.query_error(
        f"BEGIN TRANSACTION; LOAD DATA INTO d.inside (n INT64) FROM FILES (format = 'CSV', uris = ['{uri}']); "
        "COMMIT TRANSACTION"
    )
    assert "LOAD DATA is not supported inside a transaction" in error["message"]
    assert api.error("GET", "datasets/d/tables/inside")["code"] == 404


def test_who_may_not_change_the_table_may_not_load_it(api: BigQueryApi) -> None:
    uri = put(api, "guarded.csv", "1\n")
    sql = f"LOAD DATA INTO d.guarded (n INT64) FROM FILES (format = 'CSV', uris = ['{uri}'])"
    with api.caller("eve@example.com") as eve:
        assert eve.query_error(sql)["code"] == 403
    assert api.error("GET", "datasets/d/tables/guarded")["code"] == 404
