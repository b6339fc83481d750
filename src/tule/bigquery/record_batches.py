"""Record batches as bytes of the Arrow IPC format, without the stream around them."""

from __future__ import annotations

import pyarrow as pa


def serialized(batch: pa.RecordBatch, compression: str | None) -> pa.Buffer:
    """The encapsulated message of a batch alone: a stream less the message of its schema, which clients get before."""
    if compression is None:
        return batch.serialize()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_batch(batch)
        end = sink.tell()
    start = batch.schema.serialize().size
    return sink.getvalue().slice(start, end - start)
