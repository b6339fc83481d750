"""Spark behind the port ``bigquery.engine.QueryEngine``: tables in a lake of Parquet files, queries by Spark Connect.

Small work (appends, scans, marks) is done here with Arrow; whatever is SQL runs in Spark, which reads the same files.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tule.engines.capabilities import Capabilities
from tule.engines.spark.columns import TYPES, read, sizes
from tule.engines.spark.errors import translated
from tule.engines.spark.lake import Lake, Table, missing
from tule.engines.spark.session import SparkSession
from tule.kernel.errors import InvalidArgument


class SparkEngine:
    """The engine of one folder, which Spark must see under the same path. ``remote`` tells where Spark Connect is
    (``sc://HOST:PORT``), when it is first needed; ``stop`` ends what was started for that."""

    dialect = "spark"
    capabilities = Capabilities(functions=False, closed=False, types=TYPES)

    def __init__(
        self, folder: Path, remote: Callable[[], str], *, field: Any, stop: Callable[[], None] = lambda: None
    ) -> None:
        self.field = field
        self.lake = Lake(folder, field)
        self._remote = remote
        self._stop = stop
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._sizes: dict[str, dict[str, int]] = {}

    # -- Spark's sessions

    def connection(self) -> Any:
        """A session of Spark, an idle one if there is any."""
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            from pyspark.sql.connect.session import SparkSession as Connected

            with self._starting:
                remote = self._remote()
            with translated():
                made = Connected.builder.remote(remote).create()
                for name, value in _SETTINGS.items():
                    made.conf.set(name, value)
                return made

    def give_back(self, connection: Any) -> None:
        self._idle.put(connection)

    # -- tables

    def relation(self, project: str, table: str) -> str:
        return f"`p_{_hash(project)}__{physical(table)}`"

    def tables(self, project: str) -> set[str]:
        return set(self.lake.tables(project))

    def projects(self) -> set[str]:
        return self.lake.projects()

    def fields(self, project: str, table: str) -> list[Any]:
        return list(self._table(project, table).fields)

    def _table(self, project: str, table: str) -> Table:
        found = self.lake.tables(project).get(physical(table))
        if found is None:
            raise missing(table)
        return found

    def statistics(
        self, project: str, table: str, *, columns: Sequence[str] | None = None, where: str = ""
    ) -> tuple[int, int]:
        session = self.session()
        try:
            return session.statistics(project, table, columns=columns, where=where)
        finally:
            session.close()

    def measured(self, table: Table, columns: Sequence[str] | None) -> tuple[int, int]:
        """(rows, bytes) of a table; a file is measured once, for it never changes."""
        schema = pa.schema([each.arrow for each in table.fields])
        with self.lake.reading():
            for each in table.files:
                if each.path not in self._sizes:
                    self._sizes[each.path] = sizes(read([self.lake.folder / each.path], schema), table.fields)
        names = (
            [each.lower() for each in columns] if columns is not None else [each.name.lower() for each in table.fields]
        )
        return table.rows, sum(self._sizes[each.path].get(name, 0) for each in table.files for name in names)

    def marked(self, project: str, job: str) -> str | None:
        return self.lake.marked(project, job)

    def marks(self, project: str) -> set[str]:
        return self.lake.marks(project)

    def forget(self, project: str, jobs: Iterable[str]) -> None:
        self.lake.forget(project, jobs)

    def checkpoint(self) -> None:
        self.lake.checkpoint()

    def close(self) -> None:
        while True:
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                break
            with translated():
                connection.stop()
        self._stop()
        self.lake.close()

    def session(self) -> SparkSession:
        return SparkSession(self)


_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.runSQLOnFiles": "false",
    "spark.sql.caseSensitive": "false",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
}


def _hash(project: str) -> str:
    return hashlib.sha256(project.encode()).hexdigest()[:20]


def physical(table: str) -> str:
    if not table.isidentifier() or not table.startswith("t_"):
        raise InvalidArgument("A physical table is named t_ and hexadecimal digits", given=table)
    return table


__all__ = ["SparkEngine"]
