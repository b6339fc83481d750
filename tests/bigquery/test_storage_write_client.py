"""The Storage Write API as the stock client uses it: protobuf and Arrow rows, each kind of stream, a kill in the middle."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients

PREPARE = """
import pyarrow as pa
from google.api_core import exceptions
from google.cloud import bigquery, bigquery_storage_v1
from google.cloud.bigquery_storage_v1 import types, writer
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

bq = bigquery.Client()
client = bigquery_storage_v1.BigQueryWriteClient()
Field = descriptor_pb2.FieldDescriptorProto
row = descriptor_pb2.DescriptorProto(name="Row")
row.field.add(name="id", number=1, type=Field.TYPE_INT64, label=Field.LABEL_OPTIONAL)
row.field.add(name="day", number=2, type=Field.TYPE_INT32, label=Field.LABEL_OPTIONAL)
file = descriptor_pb2.FileDescriptorProto(name="r.proto", package="r", syntax="proto2", message_type=[row])
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
Row = message_factory.GetMessageClass(pool.FindMessageTypeByName("r.Row"))

def table(name):
    bq.create_dataset("w", exists_ok=True)
    bq.create_table(bigquery.Table(f"{bq.project}.w.{name}", [
        bigquery.SchemaField("id", "INT64"), bigquery.SchemaField("day", "DATE")]))
    return client.table_path(bq.project, "w", name)

def rows(first, last):
    return types.ProtoRows(serialized_rows=[Row(id=i, day=20000).SerializeToString() for i in range(first, last)])

def connection(stream):
    template = types.AppendRowsRequest(write_stream=stream)
    template.proto_rows = types.AppendRowsRequest.ProtoData(writer_schema=types.ProtoSchema(proto_descriptor=row))
    return writer.AppendRowsStream(client, template)

def request(first, last, offset=None):
    made = types.AppendRowsRequest(proto_rows=types.AppendRowsRequest.ProtoData(rows=rows(first, last)))
    if offset is not None:
        made.offset = offset
    return made

def count(name):
    return list(bq.query_and_wait(f"SELECT COUNT(*), MIN(day) FROM w.{name}"))[0].values()
"""
Exec = Callable[..., subprocess.CompletedProcess[str]]


def test_each_kind_of_stream(tule_exec: Exec) -> None:
    done = tule_exec(
        PREPARE
        + """
path = table("kinds")
default = connection(f"{path}/streams/_default")
print(default.send(request(0, 3)).result(30).append_result.offset)
default.close()

stream = client.create_write_stream(parent=path, write_stream=types.WriteStream(type_="PENDING"))
print([(f.name, f.type_.name) for f in stream.table_schema.fields])
pending = connection(stream.name)
futures = [pending.send(request(i, i + 10, offset=i)) for i in range(0, 100, 10)]
print([future.result(30).append_result.offset for future in futures])
pending.close()
print(count("kinds"))
print(client.finalize_write_stream(name=stream.name).row_count)
done = client.batch_commit_write_streams(types.BatchCommitWriteStreamsRequest(parent=path, write_streams=[stream.name]))
print(bool(done.commit_time), len(done.stream_errors), count("kinds"))
again = client.batch_commit_write_streams(types.BatchCommitWriteStreamsRequest(parent=path, write_streams=[stream.name]))
print(again.stream_errors[0].code.name)

stream = client.create_write_stream(parent=path, write_stream=types.WriteStream(type_="BUFFERED"))
buffered = connection(stream.name)
buffered.send(request(0, 5, offset=0)).result(30)
buffered.close()
print(client.flush_rows(types.FlushRowsRequest(write_stream=stream.name, offset=1)).offset, count("kinds")[0])
print(client.get_write_stream(name=stream.name).type_.name)
"""
    )
    assert done.stdout.splitlines() == [
        "None",
        "[('id', 'INT64'), ('day', 'DATE')]",
        "[0, 10, 20, 30, 40, 50, 60, 70, 80, 90]",
        "(3, datetime.date(2024, 10, 4))",
        "100",
        "True 0 (103, datetime.date(2024, 10, 4))",
        "STREAM_ALREADY_COMMITTED",
        "1 105",
        "BUFFERED",
    ]


def test_what_is_wrong_with_rows_and_offsets_is_told_and_the_connection_goes_on(tule_exec: Exec) -> None:
    done = tule_exec(
        PREPARE
        + """
path = table("wrong")
stream = client.create_write_stream(parent=path, write_stream=types.WriteStream(type_="COMMITTED"))
requests = [
    types.AppendRowsRequest(write_stream=stream.name, offset=0, proto_rows=types.AppendRowsRequest.ProtoData(
        writer_schema=types.ProtoSchema(proto_descriptor=row), rows=rows(0, 2))),
    request(0, 2, offset=0),
    request(0, 2, offset=9),
    types.AppendRowsRequest(proto_rows=types.AppendRowsRequest.ProtoData(rows=types.ProtoRows(
        serialized_rows=[b"\\xff", Row(id=1).SerializeToString()]))),
    request(2, 3, offset=2),
]
for answer in client.append_rows(iter(requests)):
    rows_wrong = [each.index for each in answer.row_errors]
    print(answer.error.code, answer.error.message.partition(",")[0], rows_wrong, answer.append_result.offset)
print(count("wrong")[0])
for bad in (types.AppendRowsRequest(write_stream=f"{path}/streams/none"), types.AppendRowsRequest()):
    try:
        list(client.append_rows(iter([bad])))
    except exceptions.GoogleAPICallError as error:
        print(type(error).__name__, error.message)
"""
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "0  [] 0"
    assert lines[1] == "6 The offset is within stream [] None"
    assert lines[2] == "11 The offset is beyond stream [] None"
    assert lines[3] == "3 Errors found while processing rows: 1 of 2 rows [0] None"
    assert lines[4] == "0  [] 2"
    assert lines[5] == "3"
    assert lines[6].startswith("NotFound Not found: Stream projects/")
    assert lines[7].startswith("InvalidArgument AppendRows must be given write_stream")


def test_arrow_rows(tule_exec: Exec) -> None:
    done = tule_exec(
        PREPARE
        + """
import datetime
path = table("arrow")
batch = pa.record_batch({"id": pa.array([1, 2]), "day": pa.array([datetime.date(2020, 1, 1), None])})
request = types.AppendRowsRequest(write_stream=f"{path}/streams/_default")
request.arrow_rows.writer_schema.serialized_schema = batch.schema.serialize().to_pybytes()
request.arrow_rows.rows.serialized_record_batch = batch.serialize().to_pybytes()
wrong = types.AppendRowsRequest(write_stream=f"{path}/streams/_default")
other = pa.record_batch({"id": pa.array(["one"])})
wrong.arrow_rows.writer_schema.serialized_schema = other.schema.serialize().to_pybytes()
wrong.arrow_rows.rows.serialized_record_batch = other.serialize().to_pybytes()
for answer in client.append_rows(iter([request, wrong])):
    print(answer.error.code, answer.error.message[:35])
print(count("arrow"))
"""
    )
    assert done.stdout.splitlines() == [
        "0 ",
        "3 arrow_rows must fit the columns of ",
        "(2, datetime.date(2020, 1, 1))",
    ]


def test_rows_that_were_acknowledged_are_there_after_a_kill(fresh_server: ServerProcess) -> None:
    """Appends in a loop until the server is killed; a retry at each offset then leaves every row once."""
    fresh_server.exec(PREPARE + 'path = table("kill")')
    name = fresh_server.exec(
        PREPARE
        + """
path = client.table_path(bq.project, "w", "kill")
stream = client.create_write_stream(parent=path, write_stream=types.WriteStream(type_="COMMITTED"))
answered = client.append_rows(iter([types.AppendRowsRequest(write_stream=stream.name, offset=i * 10,
    proto_rows=types.AppendRowsRequest.ProtoData(writer_schema=types.ProtoSchema(proto_descriptor=row),
    rows=rows(i * 10, i * 10 + 10))) for i in range(20)]))
for number, answer in enumerate(answered):
    if number == 7:
        break
print(stream.name)
"""
    ).stdout.strip()
    fresh_server.kill9()
    fresh_server.start()
    done = fresh_server.exec(
        PREPARE
        + f"""
name = {name!r}
"""
        + """
codes = []
for answer in client.append_rows(iter([types.AppendRowsRequest(write_stream=name, offset=i * 10,
        proto_rows=types.AppendRowsRequest.ProtoData(writer_schema=types.ProtoSchema(proto_descriptor=row),
        rows=rows(i * 10, i * 10 + 10))) for i in range(20)])):
    codes.append(answer.error.code)
print(set(codes[:8]), codes[-1] in (0, 6))
print(list(bq.query_and_wait("SELECT COUNT(*), COUNT(DISTINCT id), MAX(id) FROM w.kill"))[0].values())
"""
    )
    assert done.stdout.splitlines() == ["{6} True", "(200, 200, 199)"]
