"""The Storage Read API in Avro: the stock client decodes what every type holds."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.clients


def test_rows_in_avro(tule_exec: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = tule_exec(
        """
import fastavro, io, json
from google.api_core import exceptions
from google.cloud import bigquery, bigquery_storage
bq = bigquery.Client()
bq.create_dataset("avro", exists_ok=True)
bq.query_and_wait('''CREATE OR REPLACE TABLE avro.t AS SELECT n, n * 0.5 AS f, CAST(n AS NUMERIC) / 4 AS d,
    'é' || CAST(n AS STRING) AS s,
    b'\\\\x01\\\\xff' AS b, n = 1 AS o, DATE '2024-02-29' AS day, TIMESTAMP '2024-02-29 12:00:00.5+00' AS ts,
    DATETIME '2024-02-29 12:00:00' AS dt, TIME '01:02:03' AS ti, [n, 7] AS a, STRUCT(n AS x, [STRUCT('y' AS y)] AS ys) AS r,
    IF(n = 1, NULL, 'z') AS z FROM UNNEST([1, 2, 3]) AS n ORDER BY n''')
client = bigquery_storage.BigQueryReadClient()
session = client.create_read_session(
    parent=f"projects/{bq.project}",
    read_session=bigquery_storage.types.ReadSession(
        table=f"projects/{bq.project}/datasets/avro/tables/t", data_format="AVRO"),
    max_stream_count=1)
schema = fastavro.parse_schema(json.loads(session.avro_schema.schema))
rows = []
for message in client.read_rows(session.streams[0].name):
    data = io.BytesIO(message.avro_rows.serialized_binary_rows)
    rows += [fastavro.schemaless_reader(data, schema) for _ in range(message.row_count)]
for row in rows[:2]:
    print({key: str(value) for key, value in row.items()})
print(len(rows), sum(1 for _ in client.read_rows(session.streams[0].name).rows(session)))
try:
    client.create_read_session(parent=f"projects/{bq.project}", max_stream_count=1,
        read_session=bigquery_storage.types.ReadSession(table=f"projects/{bq.project}/datasets/avro/tables/t"))
except exceptions.InvalidArgument as error:
    print(error.message)
"""
    )
    lines = done.stdout.splitlines()
    assert (
        "'f': '0.5', 'd': '0.250000000', 's': 'é1', 'b': \"b'\\\\x01\\\\xff'\", 'o': 'True', 'day': '2024-02-29'"
        in lines[0]
    )
    assert "'ts': '2024-02-29 12:00:00.500000+00:00'" in lines[0] and "'z': 'None'" in lines[0]
    assert "'a': '[2, 7]'" in lines[1] and "'r': \"{'x': 2, 'ys': [{'y': 'y'}]}\"" in lines[1]
    assert lines[2] == "3 3"
    assert lines[3] == "read_session.data_format must be ARROW or AVRO"
