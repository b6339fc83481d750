"""Write streams and protobuf rows in process: offsets, visibility, what a row may hold, crashes between two stores."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf import descriptor_pb2
from tests.bigquery.conftest import PROJECT, BigQueryApi, opened

from tule.bigquery.proto_rows import ProtoRows
from tule.bigquery.references import TableReference
from tule.bigquery.types import Field
from tule.bigquery.write_streams import KEPT, WriteStreams
from tule.kernel.clock import VirtualClock
from tule.kernel.errors import AlreadyExists, InvalidArgument, NotFound, OutOfRange

FieldType = descriptor_pb2.FieldDescriptorProto


def batch(*values: int) -> pa.RecordBatch:
    return pa.record_batch({"x": pa.array(values, pa.int64())})


def made(api: BigQueryApi, name: str) -> tuple[TableReference, WriteStreams]:
    """A table ``d.<name>`` with one column x, and the streams."""
    api.ok("POST", "datasets/d/tables", {"tableReference": api.reference(name), "schema": {"fields": [COLUMN]}})
    return TableReference(PROJECT, "d", name), api.warehouse.write_streams


COLUMN = {"name": "x", "type": "INTEGER"}


def shown(api: BigQueryApi, name: str) -> list[str]:
    return [row[0] for row in api.rows(f"SELECT x FROM d.{name}")]


def test_a_committed_stream_takes_each_offset_once(api: BigQueryApi) -> None:
    table, streams = made(api, "committed")
    stream = streams.create(table, "COMMITTED")
    assert streams.append(stream, batch(1, 2), 0) == 0
    assert streams.append(stream, batch(3), None) == 2
    with pytest.raises(AlreadyExists, match="within stream, expected offset 3, received 2"):
        streams.append(stream, batch(3), 2)
    with pytest.raises(OutOfRange, match="beyond stream, expected offset 3, received 7"):
        streams.append(stream, batch(9), 7)
    assert shown(api, "committed") == ["1", "2", "3"]
    assert streams.finalize(stream.name) == 3
    with pytest.raises(InvalidArgument, match="must not be finalized"):
        streams.append(stream, batch(4), 3)


def test_pending_streams_appear_together_when_they_are_committed(api: BigQueryApi) -> None:
    table, streams = made(api, "pending")
    first, second = streams.create(table, "PENDING"), streams.create(table, "PENDING")
    streams.append(first, batch(1), 0)
    streams.append(second, batch(2), 0)
    streams.finalize(first.name)
    when, wrong = streams.commit(table, [first.name, second.name])
    assert when is None and wrong[second.name][0] == "STREAM_NOT_FINALIZED"
    assert shown(api, "pending") == []
    streams.finalize(second.name)
    when, wrong = streams.commit(table, [first.name, second.name])
    assert when is not None and not wrong
    assert shown(api, "pending") == ["1", "2"]
    _, wrong = streams.commit(table, [first.name, f"{table.name}/streams/nobody"])
    assert {code for code, _ in wrong.values()} == {"STREAM_ALREADY_COMMITTED", "STREAM_NOT_FOUND"}
    assert shown(api, "pending") == ["1", "2"]


def test_a_buffered_stream_shows_what_was_flushed(api: BigQueryApi) -> None:
    table, streams = made(api, "buffered")
    stream = streams.create(table, "BUFFERED")
    streams.append(stream, batch(1, 2, 3), 0)
    streams.append(stream, batch(4, 5), 3)
    assert streams.flush(stream.name, 3) == 3
    assert shown(api, "buffered") == ["1", "2", "3", "4"]
    assert streams.flush(stream.name, 1) == 3
    with pytest.raises(OutOfRange, match="below the stream's 5 rows"):
        streams.flush(stream.name, 5)
    assert streams.flush(stream.name, 4) == 4
    assert shown(api, "buffered") == ["1", "2", "3", "4", "5"]


def test_the_default_stream_has_no_offsets(api: BigQueryApi) -> None:
    table, streams = made(api, "plain")
    stream = streams.get(f"{table.name}/streams/_default")
    assert streams.append(stream, batch(1), None) is None
    with pytest.raises(InvalidArgument, match="default stream"):
        streams.append(stream, batch(1), 0)
    with pytest.raises(InvalidArgument, match="default stream"):
        streams.finalize(stream.name)
    assert shown(api, "plain") == ["1"]


def test_a_stream_ends_with_its_table(api: BigQueryApi) -> None:
    table, streams = made(api, "replaced")
    stream = streams.create(table, "PENDING")
    staging = stream.staging
    api.ok("DELETE", "datasets/d/tables/replaced")
    made(api, "replaced")
    with pytest.raises(NotFound, match="Not found: Stream"):
        streams.append(stream, batch(1), 0)
    streams.sweep()
    assert staging not in api.physical()
    with pytest.raises(NotFound):
        streams.get(stream.name)


def test_a_stream_that_nobody_uses_is_forgotten(timed: BigQueryApi, clock: VirtualClock) -> None:
    table, streams = made(timed, "old")
    stream = streams.create(table, "PENDING")
    streams.append(stream, batch(1), 0)
    clock.advance(KEPT + timedelta(hours=1))
    streams.sweep()
    with pytest.raises(NotFound):
        streams.get(stream.name)
    assert stream.staging not in timed.physical()


def _stop_before(streams: WriteStreams, name: str) -> None:
    """Let the next call of a step fail, as a crash right before it would."""

    def fail(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    setattr(streams, name, fail)


def test_what_the_engine_committed_is_known_after_a_crash(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as api:
        api.dataset("d")
        table, streams = made(api, "t")
        committed = streams.create(table, "COMMITTED")
        streams.append(committed, batch(1, 2), 0)
        pending = streams.create(table, "PENDING")
        streams.append(pending, batch(3), 0)
        streams.finalize(pending.name)
        _stop_before(streams, "_keep")
        with pytest.raises(KeyboardInterrupt):
            streams.commit(table, [pending.name])
    with opened(tmp_path / "home") as api:
        assert sorted(shown(api, "t")) == ["1", "2", "3"]
        streams = api.warehouse.write_streams
        with pytest.raises(AlreadyExists):
            streams.append(streams.get(committed.name), batch(1, 2), 0)
        assert streams.append(streams.get(committed.name), batch(4), 2) == 2
        _, wrong = streams.commit(table, [pending.name])
        assert wrong[pending.name][0] == "STREAM_ALREADY_COMMITTED"
        assert pending.staging not in api.physical()


def test_rows_that_wait_survive_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as api:
        api.dataset("d")
        table, streams = made(api, "t")
        stream = streams.create(table, "BUFFERED")
        streams.append(stream, batch(1, 2, 3), 0)
        streams.flush(stream.name, 0)
    with opened(tmp_path / "home") as api:
        streams = api.warehouse.write_streams
        assert shown(api, "t") == ["1"]
        streams.flush(stream.name, 2)
        assert shown(api, "t") == ["1", "2", "3"]


# -- rows


def schema(*fields: tuple[str, int], nested: Callable[[Any], None] | None = None) -> Any:
    """A message Row with these (name, protobuf type) fields, numbered from 1."""
    message = descriptor_pb2.DescriptorProto(name="Row")
    for number, (name, kind) in enumerate(fields, 1):
        message.field.add(name=name, number=number, type=kind, label=FieldType.LABEL_OPTIONAL)
    if nested is not None:
        nested(message)
    return message


def message(descriptor: Any, **values: Any) -> bytes:
    from tule.bigquery.proto_rows import _message_class

    made = _message_class(descriptor)(**values)
    return bytes(made.SerializeToString())


CASES: dict[str, tuple[str, int, Any, str]] = {
    "integer": ("INT64", FieldType.TYPE_INT64, -7, "-7"),
    "unsigned": ("INT64", FieldType.TYPE_UINT32, 7, "7"),
    "double": ("FLOAT64", FieldType.TYPE_DOUBLE, 2.5, "2.5"),
    "bool": ("BOOL", FieldType.TYPE_BOOL, True, "True"),
    "string": ("STRING", FieldType.TYPE_STRING, "übel", "übel"),
    "bytes": ("BYTES", FieldType.TYPE_BYTES, b"\x00\xff", "b'\\x00\\xff'"),
    "date as days": ("DATE", FieldType.TYPE_INT32, 20000, "2024-10-04"),
    "date as text": ("DATE", FieldType.TYPE_STRING, "2024-10-04", "2024-10-04"),
    "datetime, packed": ("DATETIME", FieldType.TYPE_INT64, 142993148411937600, "2032-01-02 03:04:05.000006"),
    "time, packed": ("TIME", FieldType.TYPE_INT64, (3 << 32) | (4 << 26) | (5 << 20) | 6, "03:04:05.000006"),
    "timestamp in microseconds": ("TIMESTAMP", FieldType.TYPE_INT64, -1, "1969-12-31 23:59:59.999999+00:00"),
    "timestamp as text": ("TIMESTAMP", FieldType.TYPE_STRING, "2024-01-01T00:00:00Z", "2024-01-01 00:00:00+00:00"),
    "numeric as text": ("NUMERIC", FieldType.TYPE_STRING, "1.5", "1.500000000"),
    "numeric as bytes": ("NUMERIC", FieldType.TYPE_BYTES, (-1_500_000_000).to_bytes(16, "little", signed=True),
                         "-1.500000000"),
    "json": ("JSON", FieldType.TYPE_STRING, '{"a": 1}', '{"a": 1}'),
}  # fmt: skip


def packed_datetime(year: int, month: int, day: int, clock: int) -> int:
    return ((year << 9 | month << 5 | day) << 37) | clock


@pytest.mark.parametrize("case", CASES)
def test_a_value_of_each_type(case: str) -> None:
    column, kind, value, expected = CASES[case]
    if case == "datetime, packed":
        value = packed_datetime(2032, 1, 2, (3 << 32) | (4 << 26) | (5 << 20) | 6)
    descriptor = schema(("x", kind), ("other", FieldType.TYPE_INT64))
    fields = [Field("x", column), Field("other", "INT64")]
    rows, bad = ProtoRows(descriptor, fields).batch([message(descriptor, x=value), message(descriptor, other=1)])
    assert not bad
    assert [str(each) for each in rows.column("x").to_pylist()] == [expected, "None"]


def test_structs_arrays_enums_timestamps_and_renamed_columns() -> None:
    def nested(row: Any) -> None:
        inner = row.nested_type.add(name="Inner")
        inner.field.add(name="a", number=1, type=FieldType.TYPE_INT64, label=FieldType.LABEL_OPTIONAL)
        row.enum_type.add(name="Kind").value.add(name="SMALL", number=3)
        row.field.add(
            name="s", number=2, type=FieldType.TYPE_MESSAGE, type_name="Inner", label=FieldType.LABEL_REPEATED
        )
        row.field.add(name="k", number=3, type=FieldType.TYPE_ENUM, type_name="Kind", label=FieldType.LABEL_OPTIONAL)
        row.field.add(
            name="t", number=4, type=FieldType.TYPE_MESSAGE, type_name=".google.protobuf.Timestamp",
            label=FieldType.LABEL_OPTIONAL,
        )  # fmt: skip
        renamed = row.field.add(name="col_1", number=5, type=FieldType.TYPE_INT64, label=FieldType.LABEL_OPTIONAL)
        # The extension column_name, as bytes of the wire: tag 454943157 with length, then the text.
        renamed.options.MergeFromString(b"\xaa\x9b\xbc\xc7\x0d\x05my-id")

    descriptor = schema(("x", FieldType.TYPE_INT64), nested=nested)
    fields = [
        Field("x", "INT64"),
        Field("s", "STRUCT", "REPEATED", (Field("a", "INT64"),)),
        Field("k", "STRING"),
        Field("t", "TIMESTAMP"),
        Field("my-id", "INT64"),
    ]
    data = message(descriptor, x=1, s=[{"a": 5}, {}], k=3, t={"seconds": 1, "nanos": 500}, col_1=9)
    rows, bad = ProtoRows(descriptor, fields).batch([data])
    assert not bad
    row = rows.to_pylist()[0]
    assert (row["x"], row["s"], row["k"], row["my-id"]) == (1, [{"a": 5}, {"a": None}], "SMALL", 9)
    assert row["t"].isoformat() == "1970-01-01T00:00:01+00:00"


def test_a_bad_row_is_named_and_the_others_are_told_apart() -> None:
    descriptor = schema(("x", FieldType.TYPE_STRING))
    reader = ProtoRows(descriptor, [Field("x", "DATE", "REQUIRED")])
    rows, bad = reader.batch([message(descriptor, x="2024-01-01"), message(descriptor, x="soon"), b"\xff", b""])
    assert rows.num_rows == 1
    assert "soon" in bad[1] and "no message of the writer schema" in bad[2] and "Missing required field: x" in bad[3]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("y", FieldType.TYPE_INT64, "fields unknown to BigQuery: root.y"),
        ("x", FieldType.TYPE_BYTES, "bytes of root.x does not fit column x of type INT64"),
    ],
    ids=["unknown column", "type that does not fit"],
)
def test_a_schema_that_does_not_fit_is_refused(name: str, kind: int, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        ProtoRows(schema((name, kind)), [Field("x", "INT64")])


def test_a_descriptor_that_is_not_whole_is_refused() -> None:
    descriptor = schema()
    descriptor.field.add(
        name="x", number=1, type=FieldType.TYPE_MESSAGE, type_name=".elsewhere.Type", label=FieldType.LABEL_OPTIONAL
    )
    with pytest.raises(InvalidArgument, match="complete in itself"):
        ProtoRows(descriptor, [Field("x", "INT64")])
