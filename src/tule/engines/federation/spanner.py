"""Spanner behind the port ``bigquery.connections.federation.ExternalDatabase``, through its own client: an emulator, or
another server of its protocol, at an address that a setting gives.

https://cloud.google.com/bigquery/docs/reference/standard-sql/federated_query_functions#spanner-mapping
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from tule.engines.federation.columns import Column, batches, decimal, failed, missing, schema_of
from tule.kernel.errors import Cancelled

_PRIORITIES = {"": None, "low": "PRIORITY_LOW", "medium": "PRIORITY_MEDIUM", "high": "PRIORITY_HIGH"}


class Spanner:
    """Asks the Spanner at one address."""

    def open(self, login: Any, sql: str, *, decimals: str = "", priority: str = "") -> SpannerRows:
        """The rows of one query. ``login``: host, port, database (its full name) and role."""
        try:
            from google.auth.credentials import AnonymousCredentials
            from google.cloud import spanner
        except ImportError:
            raise missing("google-cloud-spanner", "spanner") from None
        if decimals:
            raise failed("The option default_type_for_decimal_columns is not of Spanner")
        if priority not in _PRIORITIES:
            raise failed(f"The option query_execution_priority must be low, medium or high; given: {priority!r}")
        _, project, _, instance, _, database = login.database.split("/")
        # With these credentials the client speaks without TLS, as it does to an emulator.
        client = spanner.Client(
            project=project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": f"{login.host}:{login.port}"},
            disable_builtin_metrics=True,
        )
        role = {"database_role": login.role} if login.role else {}
        opened = client.instance(instance).database(database, **role)
        return SpannerRows(opened, sql, _PRIORITIES[priority])


class SpannerRows:
    """One query: planned by ``start``, which tells its columns, and run when its rows are read."""

    def __init__(self, database: Any, sql: str, priority: str | None) -> None:
        self._database = database
        self._sql = sql
        self._cancelled = threading.Event()
        self._options = {"request_options": {"priority": priority}} if priority else {}
        self._columns: list[Column] = []

    def start(self) -> pa.Schema:
        """Plan the query; its columns."""
        from google.api_core.exceptions import GoogleAPICallError
        from google.cloud.spanner_v1 import ExecuteSqlRequest

        try:
            with self._database.snapshot() as snapshot:
                planned = snapshot.execute_sql(self._sql, query_mode=ExecuteSqlRequest.QueryMode.PLAN)
                list(planned)
                self._columns = [_column(each) for each in planned.fields]
        except GoogleAPICallError as error:
            raise failed(f"Spanner: {error.message}") from None
        return schema_of(self._columns)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, read as they come."""
        from google.api_core.exceptions import GoogleAPICallError

        try:
            with self._database.snapshot() as snapshot:
                yield from batches(self._columns, self._rows(snapshot.execute_sql(self._sql, **self._options)))
        except (GoogleAPICallError, ValueError) as error:
            if self._cancelled.is_set():
                raise _stopped() from None
            if isinstance(error, ValueError):
                raise
            raise failed(f"Spanner: {error.message}") from None

    def _rows(self, found: Any) -> Iterator[Sequence[Any]]:
        for row in found:
            if self._cancelled.is_set():
                raise _stopped()
            yield row

    def cancel(self) -> None:
        """Stop the query; from any thread, at any time."""
        if not self._cancelled.is_set():
            self._cancelled.set()
            self._database.spanner_api.transport.close()

    def close(self) -> None:
        self._database.close()


def _stopped() -> Cancelled:
    return Cancelled("Job execution was cancelled: the query was stopped", reason="stopped")


def _text(value: Any) -> str:
    return str(value.serialize())


def _bytes(value: bytes) -> bytes:
    # The client hands on the base64 of the wire.
    return base64.b64decode(value)


_KINDS: dict[str, tuple[str, Callable[[Any], Any] | None]] = {
    "BOOL": ("BOOL", None),
    "INT64": ("INT64", None),
    "FLOAT64": ("FLOAT64", None),
    "FLOAT32": ("FLOAT64", None),
    "TIMESTAMP": ("TIMESTAMP", None),
    "DATE": ("DATE", None),
    "STRING": ("STRING", None),
    "BYTES": ("BYTES", _bytes),
    "NUMERIC": ("NUMERIC", decimal("NUMERIC")),
    "JSON": ("JSON", _text),
}


def _column(field: Any) -> Column:
    kind = field.type_
    repeated = kind.code.name == "ARRAY"
    if repeated:
        kind = kind.array_element_type
    found = _KINDS.get(kind.code.name)
    if found is None:
        raise failed(f"Spanner type {kind.code.name} isn't supported (column {field.name}). Next: cast it in the query")
    name, value = found
    if repeated and value is not None:
        one = value
        return Column(field.name, name, lambda values: [None if each is None else one(each) for each in values], True)
    return Column(field.name, name, value, repeated)
