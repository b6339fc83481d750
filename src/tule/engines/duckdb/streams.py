"""Rows that are made when DuckDB reads them: an object that it asks for an Arrow stream, once a scan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa

Make = Callable[[], Iterable[pa.RecordBatch]]


class Stream:
    """``batches`` is called for each scan; what it raises is handed to ``failed``, because the library passes on its text
    alone."""

    def __init__(self, schema: pa.Schema, batches: Make, failed: Callable[[BaseException], None]) -> None:
        self._schema = schema
        self._batches = batches
        self._failed = failed

    def __arrow_c_schema__(self) -> Any:
        return self._schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        reader = pa.RecordBatchReader.from_batches(self._schema, self._guarded())
        return reader.__arrow_c_stream__(requested_schema)

    def _guarded(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._batches()
        except BaseException as error:
            # A scan that ends early closes its stream: that is no failure.
            if not isinstance(error, GeneratorExit):
                self._failed(error)
            raise
