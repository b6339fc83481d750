"""Messages around a large value come to the bytes that protobuf itself would read them from."""

from __future__ import annotations

import pyarrow as pa
import pytest
from google.cloud.bigquery_storage_v1 import types

from tule.wire.splices import spliced
from tule.wire.surfaces import pb


@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000, 3_000_000])
def test_what_is_spliced_reads_as_if_it_had_been_set(size: int) -> None:
    value = bytes(index % 251 for index in range(size))
    message = pb(types.ReadRowsResponse(row_count=7, uncompressed_byte_size=size))
    message.arrow_record_batch.row_count = 7
    found = spliced(message, ("arrow_record_batch", "serialized_record_batch"), pa.py_buffer(value))
    message.arrow_record_batch.serialized_record_batch = value
    assert type(message).FromString(found.data) == message


def test_a_field_at_the_top_and_one_that_there_is_not() -> None:
    message = pb(types.ArrowRecordBatch(row_count=2))
    assert type(message).FromString(spliced(message, ("serialized_record_batch",), b"abc").data) == pb(
        types.ArrowRecordBatch(row_count=2, serialized_record_batch=b"abc")
    )
    with pytest.raises(KeyError, match="rows"):
        spliced(message, ("rows",), b"")
