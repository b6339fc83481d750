"""External tables over files: by statement, by tables.insert, in a query's own definitions; read when they are queried."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastavro
import pyarrow as pa
import pytest
from pyarrow import orc, parquet

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

SAMPLE = pa.table(
    {
        "n": pa.array([1, 2, 3], pa.int64()),
        "s": pa.array(["a", None, "c"], pa.string()),
        "d": pa.array([0, 1, None], pa.date32()),
        "wide": pa.array([[1], [], [2, 3]], pa.list_(pa.int64())),
    }
)


@pytest.fixture(scope="module", autouse=True)
def bucket(api: BigQueryApi) -> str:
    api.app.objects.buckets.create("test-project", "files")
    return "files"


def put(api: BigQueryApi, key: str, content: bytes | str) -> str:
    content = content.encode() if isinstance(content, str) else content
    api.app.objects.put("files", key, iter([content]), content_type="text/plain")
    return f"gs://files/{key}"


def content_of(format: str, table: pa.Table = SAMPLE) -> bytes:
    sink = io.BytesIO()
    if format == "PARQUET":
        parquet.write_table(table, sink)
    elif format == "ORC":
        orc.write_table(table, sink)
    elif format == "AVRO":
        fields = [{"name": "n", "type": "long"}, {"name": "s", "type": ["null", "string"]},
                  {"name": "d", "type": ["null", {"type": "int", "logicalType": "date"}]},
                  {"name": "wide", "type": {"type": "array", "items": "long"}}]  # fmt: skip
        schema = fastavro.parse_schema({"type": "record", "name": "r", "fields": fields})
        fastavro.writer(sink, schema, table.to_pylist())
    elif format == "CSV":
        sink.write(b"n,s,d\n1,a,1970-01-01\n2,,1970-01-02\n3,c,\n")
    else:
        sink.write(
            b'{"n":1,"s":"a","d":"1970-01-01","wide":[1]}\n{"n":2,"d":"1970-01-02"}\n{"n":3,"s":"c","wide":[2,3]}\n'
        )
    return sink.getvalue()


OPTIONS = {
    "CSV": "format = 'CSV'",
    "JSON": "format = 'JSON'",
    "PARQUET": "format = 'PARQUET', enable_list_inference = true",
    "AVRO": "format = 'AVRO', enable_logical_types = true",
    "ORC": "format = 'ORC'",
}


@pytest.mark.parametrize("format", OPTIONS)
def test_each_format_shows_its_columns_and_rows(api: BigQueryApi, format: str) -> None:
    uri = put(api, f"each/{format}", content_of(format))
    job = api.done(
        query={"query": f"CREATE EXTERNAL TABLE d.each_{format} OPTIONS ({OPTIONS[format]}, uris = ['{uri}'])"}
    )
    assert job["statistics"]["query"]["statementType"] == "CREATE_EXTERNAL_TABLE"
    assert job["statistics"]["query"]["ddlOperationPerformed"] == "CREATE"
    table = api.ok("GET", f"datasets/d/tables/each_{format}")
    assert table["type"] == "EXTERNAL"
    assert [(each["name"], each["type"]) for each in table["schema"]["fields"]][:3] == [
        ("n", "INTEGER"),
        ("s", "STRING"),
        ("d", "DATE"),
    ]
    assert api.rows(f"SELECT n, s, d FROM d.each_{format} ORDER BY n") == [
        ["1", "a", "1970-01-01"],
        ["2", None, "1970-01-02"],
        ["3", "c", None],
    ]
    assert api.rows(f"SELECT COUNT(*) FROM d.each_{format}") == [["3"]]
    if format != "CSV":
        assert api.rows(f"SELECT SUM(x) FROM d.each_{format}, UNNEST(wide) AS x") == [["6"]]


def test_rows_are_those_of_the_files_now(api: BigQueryApi) -> None:
    put(api, "now/1.csv", "1\n")
    api.query("CREATE EXTERNAL TABLE d.now (n INT64) OPTIONS (format = 'CSV', uris = ['gs://files/now/*'])")
    assert api.rows("SELECT SUM(n) FROM d.now") == [["1"]]
    put(api, "now/2.csv", "10\n")
    assert api.rows("SELECT SUM(n) FROM d.now") == [["11"]]
    put(api, "now/1.csv", "5\n")
    assert api.rows("SELECT SUM(n) FROM d.now") == [["15"]]
    assert api.physical() == set()
    for key in ("now/1.csv", "now/2.csv"):
        api.app.objects.delete("files", key)
    assert "Not found: URI gs://files/now/*" in api.query_error("SELECT SUM(n) FROM d.now")["message"]


def test_names_of_files(api: BigQueryApi) -> None:
    for n in (1, 2):
        put(api, f"named/{n}.csv", f"{n}\n")
    api.query("CREATE EXTERNAL TABLE d.named (n INT64) OPTIONS (format = 'CSV', uris = ['gs://files/named/*'])")
    assert api.rows("SELECT n, _FILE_NAME AS f FROM d.named ORDER BY n") == [
        ["1", "gs://files/named/1.csv"],
        ["2", "gs://files/named/2.csv"],
    ]
    assert api.rows("SELECT n FROM d.named WHERE ENDS_WITH(_FILE_NAME, '2.csv')") == [["2"]]
    made = api.query("SELECT * FROM d.named WHERE _FILE_NAME IS NOT NULL")
    assert [each["name"] for each in made["schema"]["fields"]] == ["n"]


def test_joins_views_and_tables_of_external_rows(api: BigQueryApi) -> None:
    uri = put(api, "joined.parquet", content_of("PARQUET"))
    api.query(f"CREATE EXTERNAL TABLE d.joined OPTIONS ({OPTIONS['PARQUET']}, uris = ['{uri}'])")
    assert api.rows("SELECT COUNT(*) FROM d.joined AS a JOIN d.joined AS b USING (n)") == [["3"]]
    api.query("CREATE VIEW d.over AS SELECT n * 2 AS n FROM d.joined")
    assert api.rows("SELECT SUM(n) FROM d.over") == [["12"]]
    api.query("CREATE TABLE d.taken AS SELECT * FROM d.joined")
    assert api.rows("SELECT n, s FROM d.taken WHERE d IS NULL") == [["3", "c"]]
    api.query("INSERT INTO d.taken SELECT * FROM d.joined WHERE n = 1")
    assert api.rows("SELECT COUNT(*) FROM d.taken") == [["4"]]
    assert api.rows("SELECT j.n FROM d.joined AS j WHERE EXISTS (SELECT 1 FROM d.joined AS k WHERE k.n = j.n + 2)") == [
        ["1"]
    ]
    assert api.rows("SELECT TO_JSON_STRING(j) FROM d.joined AS j WHERE n = 2") == [
        ['{"n":2,"s":null,"d":"1970-01-02","wide":[]}']
    ]


def test_insert_with_a_configuration(api: BigQueryApi) -> None:
    uri = put(api, "rest.csv", "x;1\ny;2\nbad\n")
    made = api.ok(
        "POST",
        "datasets/d/tables",
        {
            "tableReference": api.reference("rest"),
            "description": "files",
            "schema": {"fields": [{"name": "s", "type": "STRING"}, {"name": "n", "type": "INTEGER"}]},
            "externalDataConfiguration": {
                "sourceFormat": "CSV",
                "sourceUris": [uri],
                "maxBadRecords": 1,
                "csvOptions": {"fieldDelimiter": ";", "skipLeadingRows": "0"},
            },
        },
    )
    assert (made["type"], made["description"]) == ("EXTERNAL", "files")
    assert made["externalDataConfiguration"]["csvOptions"] == {"fieldDelimiter": ";", "skipLeadingRows": "0"}
    assert api.rows("SELECT s, n FROM d.rest ORDER BY n") == [["x", "1"], ["y", "2"]]
    listed = {each["tableReference"]["tableId"]: each["type"] for each in api.ok("GET", "datasets/d/tables")["tables"]}
    assert listed["rest"] == "EXTERNAL"
    configuration = {**made["externalDataConfiguration"], "maxBadRecords": 0}
    api.ok("PATCH", "datasets/d/tables/rest", {"externalDataConfiguration": configuration, "schema": made["schema"]})
    error = api.query_error("SELECT COUNT(n) FROM d.rest")
    assert error["message"].startswith(
        "Error while reading table: test-project.d.rest, error message: CSV table encountered"
    )
    assert "Too few columns in a row: expected 2, found 1" in error["message"]


def test_a_query_defines_its_own(api: BigQueryApi) -> None:
    uri = put(api, "own.json", '{"n": 1, "more": true}\n{"n": 2}\n')
    definition = {
        "sourceFormat": "NEWLINE_DELIMITED_JSON", "sourceUris": [uri], "ignoreUnknownValues": True,
        "schema": {"fields": [{"name": "n", "type": "INTEGER"}]},
    }  # fmt: skip
    query = {"query": "SELECT SUM(n) AS n, MIN(_FILE_NAME) AS f FROM own", "tableDefinitions": {"own": definition}}
    job = api.done(query=query)
    answer = api.ok("GET", f"queries/{job['jobReference']['jobId']}")
    assert api.cells(answer) == [["3", uri]]
    assert int(job["statistics"]["query"]["totalBytesProcessed"]) == 32
    detected = {"sourceFormat": "NEWLINE_DELIMITED_JSON", "sourceUris": [uri], "autodetect": True}
    job = api.done(query={"query": "SELECT more FROM own WHERE n = 1", "tableDefinitions": {"own": detected}})
    assert api.cells(api.ok("GET", f"queries/{job['jobReference']['jobId']}")) == [["true"]]
    assert api.error("GET", "datasets/d/tables/own")["code"] == 404
    assert "must be qualified with a dataset" in api.query_error("SELECT * FROM own")["message"]


def test_a_dry_run_reads_no_file(api: BigQueryApi) -> None:
    uri = put(api, "dry.csv", "not a number\n")
    api.query(f"CREATE EXTERNAL TABLE d.dry (n INT64) OPTIONS (format = 'CSV', uris = ['{uri}'])")
    made = api.ok("POST", "jobs", {"configuration": {"query": {"query": "SELECT n FROM d.dry"}, "dryRun": True}})
    assert made["statistics"]["totalBytesProcessed"] == "13"
    assert made["statistics"]["query"]["schema"] == {"fields": [{"name": "n", "type": "INTEGER", "mode": "NULLABLE"}]}
    assert "Could not parse 'not a number' as INT64" in api.query_error("SELECT n FROM d.dry")["message"]


def test_only_columns_that_are_named_are_read(api: BigQueryApi) -> None:
    table = pa.table({"n": pa.array([1], pa.int64()), "wrong": pa.array(["x"], pa.string())})
    uri = put(api, "some.parquet", content_of("PARQUET", table))
    api.query(f"CREATE EXTERNAL TABLE d.some (n INT64, wrong INT64) OPTIONS (format = 'PARQUET', uris = ['{uri}'])")
    assert api.rows("SELECT n FROM d.some") == [["1"]]
    assert "does not match the table's INT64" in api.query_error("SELECT * FROM d.some")["message"]


def test_gzip_is_told_by_the_file(api: BigQueryApi) -> None:
    uri = put(api, "packed.csv.gz", gzip.compress(b"1\n2\n"))
    api.query(
        f"CREATE EXTERNAL TABLE d.packed (n INT64) OPTIONS (format = 'CSV', compression = 'GZIP', uris = ['{uri}'])"
    )
    assert api.rows("SELECT SUM(n) FROM d.packed") == [["3"]]


# -- Hive


@pytest.fixture(scope="module")
def sales(api: BigQueryApi) -> str:
    for day, shop, n in (("2026-01-02", 1, 5), ("2026-01-02", 2, 6), ("2026-01-03", 1, 7)):
        rows = pa.table({"n": pa.array([n], pa.int64())})
        put(api, f"sales/day={day}/shop={shop}/part.parquet", content_of("PARQUET", rows))
    return "format = 'PARQUET', uris = ['gs://files/sales/*'], hive_partition_uri_prefix = 'gs://files/sales'"


def test_folders_give_columns(api: BigQueryApi, sales: str) -> None:
    api.query(f"CREATE EXTERNAL TABLE d.sales WITH PARTITION COLUMNS OPTIONS ({sales})")
    table = api.ok("GET", "datasets/d/tables/sales")
    assert [(each["name"], each["type"]) for each in table["schema"]["fields"]] == [
        ("n", "INTEGER"), ("day", "DATE"), ("shop", "INTEGER"),
    ]  # fmt: skip
    assert table["externalDataConfiguration"]["hivePartitioningOptions"] == {
        "mode": "AUTO", "sourceUriPrefix": "gs://files/sales",
    }  # fmt: skip
    assert api.rows("SELECT n, day, shop FROM d.sales ORDER BY n") == [
        ["5", "2026-01-02", "1"], ["6", "2026-01-02", "2"], ["7", "2026-01-03", "1"],
    ]  # fmt: skip
    assert api.rows("SELECT shop, COUNT(*) FROM d.sales WHERE day = '2026-01-02' GROUP BY shop ORDER BY 1") == [
        ["1", "1"], ["2", "1"],
    ]  # fmt: skip


def test_keys_with_types_of_ones_own(api: BigQueryApi, sales: str) -> None:
    api.query(f"CREATE EXTERNAL TABLE d.typed WITH PARTITION COLUMNS (day STRING, shop INT64) OPTIONS ({sales})")
    options = api.ok("GET", "datasets/d/tables/typed")["externalDataConfiguration"]["hivePartitioningOptions"]
    assert options == {"mode": "CUSTOM", "sourceUriPrefix": "gs://files/sales/{day:STRING}/{shop:INT64}"}
    assert api.rows("SELECT DISTINCT SUBSTR(day, 1, 4) FROM d.typed") == [["2026"]]
    hive = {"mode": "STRINGS", "sourceUriPrefix": "gs://files/sales"}
    external = {"sourceFormat": "PARQUET", "sourceUris": ["gs://files/sales/*"], "hivePartitioningOptions": hive}
    api.ok(
        "POST", "datasets/d/tables", {"tableReference": api.reference("texts"), "externalDataConfiguration": external}
    )
    assert api.rows("SELECT MAX(CONCAT(day, shop)) FROM d.texts") == [["2026-01-031"]]


def test_a_filter_may_be_required(api: BigQueryApi, sales: str) -> None:
    api.query(
        "CREATE EXTERNAL TABLE d.filtered WITH PARTITION COLUMNS "
        f"OPTIONS ({sales}, require_hive_partition_filter = true)"
    )
    error = api.query_error("SELECT SUM(n) FROM d.filtered WHERE n > 5")
    assert error["message"] == (
        "Cannot query over table 'test-project:d.filtered' without a filter over column(s) 'day', 'shop' that can be used "
        "for partition elimination"
    )
    assert api.rows("SELECT SUM(n) FROM d.filtered WHERE shop = 1") == [["12"]]
    assert api.rows("SELECT SUM(n) FROM d.filtered AS f WHERE f.day > '2026-01-02'") == [["7"]]


def test_a_value_that_is_none_of_its_type(api: BigQueryApi) -> None:
    put(api, "typo/day=tomorrow/a.csv", "1\n")
    api.query(
        "CREATE EXTERNAL TABLE d.typo (n INT64) WITH PARTITION COLUMNS (day DATE) OPTIONS (format = 'CSV', "
        "uris = ['gs://files/typo/*'], hive_partition_uri_prefix = 'gs://files/typo')"
    )
    error = api.query_error("SELECT n, day FROM d.typo")
    assert "The partition key day must be of type DATE; given: 'tomorrow'" in error["message"]


# -- what cannot be


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("INSERT INTO d.fixed VALUES (1)", "it is currently an EXTERNAL"),
        ("UPDATE d.fixed SET n = 2 WHERE TRUE", "it is currently an EXTERNAL"),
        ("DELETE FROM d.fixed WHERE TRUE", "it is currently an EXTERNAL"),
        ("TRUNCATE TABLE d.fixed", "it is currently an EXTERNAL"),
        ("MERGE d.fixed AS t USING (SELECT 1 AS n) AS s ON t.n = s.n WHEN NOT MATCHED THEN INSERT ROW", "an EXTERNAL"),
        ("ALTER TABLE d.fixed ADD COLUMN x INT64", "it is currently an EXTERNAL"),
        ("LOAD DATA INTO d.fixed FROM FILES (format = 'CSV', uris = ['gs://files/fixed.csv'])", "an EXTERNAL"),
        ("CREATE EXTERNAL TABLE d.fixed (n INT64) OPTIONS (format = 'CSV', uris = ['gs://files/fixed.csv'])",
         "Already Exists: Table test-project:d.fixed"),
        ("CREATE OR REPLACE EXTERNAL TABLE d.plain (n INT64) OPTIONS (format = 'CSV', uris = ['gs://files/fixed.csv'])",
         "it is currently a TABLE"),
        ("DROP EXTERNAL TABLE d.plain", "it is currently a TABLE"),
        ("SELECT * FROM `d.fix*`", "External tables cannot be queried through prefix"),
        ("SELECT nothing FROM d.fixed", "Unrecognized name: nothing"),
    ],
)  # fmt: skip
def test_an_external_table_is_read_only(api: BigQueryApi, sql: str, message: str) -> None:
    put(api, "fixed.csv", "1\n")
    api.query(
        "CREATE EXTERNAL TABLE IF NOT EXISTS d.fixed (n INT64) OPTIONS (format = 'CSV', uris = ['gs://files/fixed.csv']); "
        "CREATE TABLE IF NOT EXISTS d.plain (n INT64)"
    )
    assert message in api.query_error(sql)["message"]
    assert api.rows("SELECT n FROM d.fixed") == [["1"]]
    assert api.ok("GET", "datasets/d/tables/plain")["type"] == "TABLE"


def test_its_rows_are_not_there_for_other_ways_of_reading(api: BigQueryApi) -> None:
    uri = put(api, "other.csv", "1\n")
    api.query(f"CREATE EXTERNAL TABLE d.other (n INT64) OPTIONS (format = 'CSV', uris = ['{uri}'])")
    for error in (
        api.error("GET", "datasets/d/tables/other/data"),
        api.job(copy={"sourceTable": api.reference("other"), "destinationTable": api.reference("copied")})["status"][
            "errorResult"
        ],
        api.job(extract={"sourceTable": api.reference("other"), "destinationUris": ["gs://files/no.csv"]})["status"][
            "errorResult"
        ],
        api.error("POST", "datasets/d/tables/other/insertAll", {"rows": [{"json": {"n": 1}}]}),
    ):
        assert (
            "test-project:d.other is not allowed for this operation because it is currently an EXTERNAL"
            in error["message"]
        )


def test_replace_and_drop(api: BigQueryApi) -> None:
    one, two = put(api, "r1.csv", "1\n"), put(api, "r2.csv", "2\n")
    for uri, done in ((one, "CREATE"), (two, "REPLACE")):
        job = api.done(
            query={
                "query": f"CREATE OR REPLACE EXTERNAL TABLE d.r (n INT64) OPTIONS (format = 'CSV', uris = ['{uri}'])"
            }
        )
        assert job["statistics"]["query"]["ddlOperationPerformed"] == done
    assert api.rows("SELECT n FROM d.r") == [["2"]]
    job = api.done(query={"query": "DROP EXTERNAL TABLE d.r"})
    assert job["statistics"]["query"]["statementType"] == "DROP_EXTERNAL_TABLE"
    assert api.error("GET", "datasets/d/tables/r")["code"] == 404
    assert api.done(query={"query": "DROP EXTERNAL TABLE IF EXISTS d.r"})["statistics"]["query"][
        "ddlOperationPerformed"
    ] == "SKIP"  # fmt: skip


@pytest.mark.parametrize(
    ("external", "code", "message"),
    [
        ({"sourceFormat": "CSV", "sourceUris": []}, 400, "at least one source URI"),
        ({"sourceUris": ["gs://files/x"]}, 400, "externalDataConfiguration.sourceFormat"),
        ({"sourceFormat": "CSV", "sourceUris": ["gs://files/x"]}, 400, "No schema specified on job or table"),
        ({"sourceFormat": "CSV", "sourceUris": ["gs://files/missing"], "autodetect": True}, 404, "gs://files/missing"),
        ({"sourceFormat": "GOOGLE_SHEETS", "sourceUris": ["https://x"]}, 501, "sourceFormat GOOGLE_SHEETS"),
        ({"sourceFormat": "CSV", "sourceUris": ["gs://files/x"], "objectMetadata": "SIMPLE"}, 501, "An object table"),
        ({"sourceFormat": "CSV", "sourceUris": ["gs://files/x"], "bigtableOptions": {"a": 1}}, 501,
         "externalDataConfiguration.bigtableOptions"),
        ({"sourceFormat": "CSV", "sourceUris": ["gs://files/x"], "csvOptions": {"preserveAsciiControlCharacters": True}},
         501, "externalDataConfiguration.csvOptions.preserveAsciiControlCharacters"),
        ({"sourceFormat": "CSV", "sourceUris": ["gs://files/x"], "hivePartitioningOptions": {"mode": "CUSTOM"}}, 400,
         "must encode the partition keys"),
        ({"sourceFormat": "PARQUET", "sourceUris": ["gs://files/x/*"],
          "hivePartitioningOptions": {"mode": "AUTO", "sourceUriPrefix": "gs://files/y"}}, 400, "the beginning of every"),
        ({"sourceFormat": "CSV", "sourceUris": "gs://files/x"}, 400, "sourceUris"),
    ],
)  # fmt: skip
def test_configurations_that_cannot_be(api: BigQueryApi, external: dict[str, Any], code: int, message: str) -> None:
    body = {"tableReference": api.reference("cannot"), "externalDataConfiguration": external}
    error = api.error("POST", "datasets/d/tables", body)
    assert (error["code"], message in error["message"]) == (code, True), error
    assert api.error("GET", "datasets/d/tables/cannot")["code"] == 404


def test_a_file_of_another_format(api: BigQueryApi) -> None:
    uri = put(api, "text.parquet", "this is text")
    api.query(f"CREATE EXTERNAL TABLE d.text (n INT64) OPTIONS (format = 'PARQUET', uris = ['{uri}'])")
    error = api.query_error("SELECT n FROM d.text")
    assert error["reason"] == "invalid"
    assert error["message"].startswith(
        "Error while reading table: test-project.d.text, error message: Input file is not in PAR"
    )
    assert uri in error["message"]


def test_a_file_of_this_machine_is_none_of_a_query(api: BigQueryApi, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1\n")
    for uri in (
        f"file://{tmp_path}/x.csv",
        "/etc/passwd",
        "hdfs://name/x",
        "memory://x",
        "simplecache::file:///etc/passwd",
    ):
        error = api.query_error(f"CREATE EXTERNAL TABLE d.local (n INT64) OPTIONS (format = 'CSV', uris = ['{uri}'])")
        assert "must be written SCHEME://PATH" in error["message"] or "must begin with gs://" in error["message"]
    assert api.error("GET", "datasets/d/tables/local")["code"] == 404
