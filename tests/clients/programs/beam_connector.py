"""Apache Beam's BigQuery connector: rows written by load jobs, by streaming inserts; read by exports and by the Read API."""

import apache_beam as beam
from apache_beam.io.gcp.bigquery import ReadFromBigQuery, WriteToBigQuery
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to
from google.cloud import bigquery, storage

client = bigquery.Client()
client.create_dataset("beam")
storage.Client().create_bucket("beam-connector")
SCHEMA = {
    "fields": [
        {"name": "n", "type": "INTEGER", "mode": "REQUIRED"},
        {"name": "s", "type": "STRING", "mode": "NULLABLE"},
        {"name": "x", "type": "FLOAT", "mode": "NULLABLE"},
        {"name": "tags", "type": "STRING", "mode": "REPEATED"},
    ]
}
ROWS = [{"n": n, "s": f"r{n}" if n % 2 else None, "x": n / 2, "tags": ["a"] * (n % 3)} for n in range(10)]


def pipeline() -> beam.Pipeline:
    # In this process: Beam's default runner may fetch a program of its own.
    given = ["--runner=FnApiRunner", f"--project={client.project}", "--temp_location=gs://beam-connector/temp"]
    return beam.Pipeline(options=PipelineOptions(given))


with pipeline() as p:
    rows = p | beam.Create(ROWS)
    rows | "load" >> WriteToBigQuery(
        f"{client.project}:beam.loaded", schema=SCHEMA, method="FILE_LOADS", write_disposition="WRITE_TRUNCATE"
    )
    bad = [{"n": 99, "s": "too much", "nothing": 1}]
    more = (rows, p | "bad" >> beam.Create(bad)) | beam.Flatten()
    result = more | "stream" >> WriteToBigQuery(
        f"{client.project}:beam.streamed",
        schema=SCHEMA,
        method="STREAMING_INSERTS",
        insert_retry_strategy="RETRY_NEVER",
    )
    assert_that(result.failed_rows | beam.Map(lambda failed: failed[1]["n"]), equal_to([99]))

for table in ("loaded", "streamed"):
    (row,) = client.query_and_wait(f"SELECT COUNT(*) AS n, SUM(x) AS x, COUNT(s) AS s FROM beam.{table}")
    assert (row.n, row.x, row.s) == (10, 22.5, 5), (table, row)
assert client.get_table("beam.loaded").schema[0].mode == "REQUIRED"

WANTED = [{"n": n, "s": f"r{n}" if n % 2 else None} for n in range(4)]
with pipeline() as p:
    direct = p | "direct" >> ReadFromBigQuery(
        table=f"{client.project}:beam.loaded", method="DIRECT_READ", selected_fields=["n", "s"], row_restriction="n < 4"
    )
    assert_that(direct, equal_to(WANTED), "direct is right")
    asked = p | "asked" >> ReadFromBigQuery(
        query="SELECT n, s FROM beam.streamed WHERE n < 4", use_standard_sql=True, method="DIRECT_READ"
    )
    assert_that(asked, equal_to(WANTED), "asked is right")
    exported = p | "export" >> ReadFromBigQuery(table=f"{client.project}:beam.loaded", method="EXPORT")
    assert_that(exported, equal_to(ROWS), "export is right")

try:
    with pipeline() as p:
        p | ReadFromBigQuery(query="SELECT nothing FROM beam.loaded", use_standard_sql=True)
except Exception as error:
    assert "Unrecognized name: nothing" in str(error), error
else:
    raise AssertionError("a wrong query must fail")
print("ok")
