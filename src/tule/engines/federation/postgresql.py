"""PostgreSQL behind the port ``bigquery.connections.federation.ExternalDatabase``, through psycopg.

https://cloud.google.com/bigquery/docs/reference/standard-sql/federated_query_functions#postgresql_mapping
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tule.engines.federation.columns import DECIMALS, Column, batches, decimal, failed, missing, schema_of
from tule.kernel.errors import Cancelled

# OID of a type -> its GoogleSQL type; all others are refused, as BigQuery refuses them.
_TYPES = {
    16: "BOOL", 17: "BYTES", 20: "INT64", 21: "INT64", 23: "INT64", 700: "FLOAT64", 701: "FLOAT64", 1082: "DATE",
    1083: "TIME", 1114: "DATETIME", 1184: "TIMESTAMP", 18: "STRING", 19: "STRING", 25: "STRING", 1042: "STRING",
    1043: "STRING", 114: "STRING", 142: "STRING", 1560: "BYTES", 1562: "BYTES",
}  # fmt: skip
_NUMERIC, _BITS, _JSON = 1700, (1560, 1562), 114
_SECONDS_TO_CONNECT = 10
_ROWS = 1000


class PostgreSql:
    """Asks PostgreSQL servers."""

    def open(self, login: Any, sql: str, *, decimals: str = "", priority: str = "") -> PostgreSqlRows:
        """The rows of one query, which may only read. ``login``: host, port, database, username, password."""
        try:
            import psycopg
        except ImportError:
            raise missing("psycopg", "cloudsql") from None
        if priority:
            raise failed("The option query_execution_priority is only supported in Spanner")
        try:
            connection = psycopg.connect(
                host=login.host,
                port=login.port,
                dbname=login.database,
                user=login.username,
                password=login.password,
                connect_timeout=_SECONDS_TO_CONNECT,
                application_name="tule",
                options="-c TimeZone=UTC -c default_transaction_read_only=on",
            )
        except psycopg.Error as error:
            raise failed(f"Connect to PostgreSQL server failed: {_words(error)}") from None
        return PostgreSqlRows(connection, sql, DECIMALS[decimals or "numeric"])


class PostgreSqlRows:
    """One query: prepared by ``start``, which tells its columns, and run when its rows are read."""

    def __init__(self, connection: Any, sql: str, decimals: str) -> None:
        self._connection = connection
        self._sql = sql
        self._decimals = decimals
        self._cancelled = threading.Event()
        self._columns: list[Column] = []

    def start(self) -> pa.Schema:
        """Prepare the query; its columns."""
        import psycopg
        from psycopg.pq import ExecStatus
        from psycopg.types.string import TextLoader

        self._connection.adapters.register_loader(_JSON, TextLoader)
        self._connection.execute("BEGIN TRANSACTION READ ONLY")
        wire = self._connection.pgconn
        # Prepared by the protocol, not by SQL: it takes one statement, whatever the text holds.
        for result in (wire.prepare(b"tule", self._sql.encode()), wire.describe_prepared(b"tule")):
            if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
                error = psycopg.errors.error_from_result(result)
                raise failed(f"Failed to get query schema from PostgreSQL server. Error: {_words(error)}")
        if not result.nfields:
            raise failed("The query must answer rows: only queries that read can be sent to PostgreSQL")
        self._columns = [
            _column(result.fname(index).decode(), result.ftype(index), self._decimals)
            for index in range(result.nfields)
        ]
        return schema_of(self._columns)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, read as they come."""
        import psycopg

        try:
            with self._connection.cursor() as cursor:
                yield from batches(self._columns, cursor.stream("EXECUTE tule", size=_ROWS))
        except psycopg.Error as error:
            if self._cancelled.is_set():
                raise Cancelled("Job execution was cancelled: the query was stopped", reason="stopped") from None
            raise failed(f"Failed to fetch row from PostgreSQL server: {_words(error)}") from None

    def cancel(self) -> None:
        """Stop the query; from any thread, at any time."""
        self._cancelled.set()
        if not self._connection.closed:
            self._connection.cancel_safe(timeout=5)

    def close(self) -> None:
        self._connection.close()


def _column(name: str, oid: int, decimals: str) -> Column:
    if oid == _NUMERIC:
        return Column(name, decimals, decimal(decimals))
    kind = _TYPES.get(oid)
    if kind is None:
        raise failed(
            f"Postgres type (OID = {oid}) isn't supported now (column {name}). Next: cast it to text in the external query"
        )
    return Column(name, kind, _packed if oid in _BITS else None)


def _packed(bits: str) -> bytes:
    """Bits, the first one the highest of the first byte."""
    width = -(-len(bits) // 8)
    return int(bits.ljust(width * 8, "0") or "0", 2).to_bytes(width, "big")


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
