"""MySQL behind the port ``bigquery.connections.federation.ExternalDatabase``, through PyMySQL.

https://cloud.google.com/bigquery/docs/reference/standard-sql/federated_query_functions#mysql_mapping
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from tule.engines.federation.columns import DECIMALS, Column, batches, decimal, failed, missing, schema_of, time_of_day
from tule.kernel.errors import Cancelled

_SECONDS_TO_CONNECT = 10
_ROWS = 1000
_BINARY_CHARSET, _UNSIGNED = 63, 32
_INTEGERS, _DECIMALS, _TEXTS = (1, 2, 3, 8, 9, 13), (0, 246), (15, 249, 250, 251, 252, 253, 254)
_TIMESTAMP, _DATE, _TIME, _DATETIME, _BIGINT = 7, 10, 11, 12, 8
_OTHERS = {4: "FLOAT64", 5: "FLOAT64", 6: "STRING", 245: "STRING", 247: "STRING", 248: "STRING"}


class MySql:
    """Asks MySQL servers."""

    def open(self, login: Any, sql: str, *, decimals: str = "", priority: str = "") -> MySqlRows:
        """The rows of one query, which may only read. ``login``: host, port, database, username, password."""
        try:
            import pymysql
            from pymysql.cursors import SSCursor
        except ImportError:
            raise missing("PyMySQL", "cloudsql") from None
        if priority:
            raise failed("The option query_execution_priority is only supported in Spanner")

        def connect() -> Any:
            return pymysql.connect(
                host=login.host,
                port=login.port,
                database=login.database,
                user=login.username,
                password=login.password,
                charset="utf8mb4",
                connect_timeout=_SECONDS_TO_CONNECT,
                cursorclass=SSCursor,
            )

        try:
            connection = connect()
        except (pymysql.Error, OSError) as error:
            raise failed(f"Connect to MySQL server failed: {_words(error)}") from None
        return MySqlRows(connection, connect, sql, DECIMALS[decimals or "numeric"])


class MySqlRows:
    """One query: run by ``start``, which tells its columns; its rows stay with the server until they are read."""

    def __init__(self, connection: Any, connect: Callable[[], Any], sql: str, decimals: str) -> None:
        self._connection = connection
        self._connect = connect
        self._sql = sql
        self._decimals = decimals
        self._cancelled = threading.Event()
        self._closed = False
        self._cursor = connection.cursor()
        self._columns: list[Column] = []

    def start(self) -> pa.Schema:
        """Run the query; its columns."""
        import pymysql

        try:
            self._cursor.execute("SET SESSION time_zone = '+00:00'")
            self._cursor.execute("START TRANSACTION READ ONLY")
            self._cursor.execute(self._sql)
        except (pymysql.Error, OSError) as error:
            raise self._told("Failed to get query schema from MySQL server. Error", error) from None
        described = self._cursor._result.fields if self._cursor.description else ()
        if not described:
            raise failed("The query must answer rows: only queries that read can be sent to MySQL")
        self._columns = [_column(each, self._decimals) for each in described]
        return schema_of(self._columns)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, read as they come."""
        yield from batches(self._columns, self._rows())

    def _rows(self) -> Iterator[Sequence[Any]]:
        import pymysql

        while True:
            try:
                some = self._cursor.fetchmany(_ROWS)
            except (pymysql.Error, OSError) as error:
                raise self._told("Failed to fetch row from MySQL server", error) from None
            if not some:
                return
            yield from some

    def _told(self, what: str, error: Exception) -> Exception:
        if self._cancelled.is_set():
            return Cancelled("Job execution was cancelled: the query was stopped", reason="stopped")
        return failed(f"{what}: {_words(error)}")

    def cancel(self) -> None:
        """Stop the query by a connection beside it; from any thread, at any time."""
        self._cancelled.set()
        if self._closed:
            return
        import pymysql

        try:
            with self._connect() as beside, beside.cursor() as cursor:
                cursor.execute(f"KILL QUERY {int(self._connection.thread_id())}")
        except (pymysql.Error, OSError):
            # The server is gone, or the query is over.
            return

    def close(self) -> None:
        self._closed = True
        # The cursor would read what is left of the rows first, now or when it is collected.
        if (result := self._cursor._result) is not None:
            result.unbuffered_active = False
        if self._connection.open:
            self._connection.close()


def _column(field: Any, decimals: str) -> Column:
    code, name = field.type_code, field.name
    if code in _DECIMALS:
        return Column(name, decimals, decimal(decimals))
    if code == _BIGINT and field.flags & _UNSIGNED:
        return Column(name, "NUMERIC", _whole)
    if code in _INTEGERS:
        return Column(name, "INT64")
    if code in _TEXTS:
        return Column(name, "BYTES" if field.charsetnr == _BINARY_CHARSET else "STRING", None)
    if code == _TIMESTAMP:
        return Column(name, "TIMESTAMP", _moment)
    if code == _DATETIME:
        return Column(name, "DATETIME", _civil)
    if code == _DATE:
        return Column(name, "DATE", _day)
    if code == _TIME:
        return Column(name, "TIME", time_of_day)
    if code in _OTHERS:
        return Column(name, _OTHERS[code])
    raise failed(
        f"Found unsupported MySQL type in BigQuery (column {name}). Next: cast it to CHAR in the external query"
    )


def _whole(value: int) -> Any:
    from decimal import Decimal

    return Decimal(value)


def _civil(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise failed(f"Invalid DATETIME value: {value}. Next: cast it to CHAR, or NULLIF it")
    return value


def _moment(value: Any) -> datetime:
    return _civil(value).replace(tzinfo=UTC)


def _day(value: Any) -> date:
    if not isinstance(value, date):
        raise failed(f"Invalid DATE value: {value}. Next: cast it to CHAR, or NULLIF it")
    return value


def _words(error: Exception) -> str:
    return " ".join(str(each) for each in error.args) or type(error).__name__
