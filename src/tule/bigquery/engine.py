"""The port behind which tables live and SQL runs.

An engine holds *physical tables* in one database a project. Their names are chosen by the caller (``t_<hex>``), never by
a user. SQL text given to it is in its own dialect (``dialect`` names the rules that ``bigquery.sql`` applies before) and
refers to physical tables as ``relation(project, table)`` prints them. Values in and out are Arrow; types that Arrow
cannot tell are told by field metadata (see ``types.py``).

What every engine promises, and ``tests/contracts`` checks:

- A session is used by one thread at a time; sessions of different threads work at once. ``interrupt`` may come from any
  thread and stops the running statement within seconds, which then raises ``kernel.errors.Cancelled``.
- Inside ``transaction`` all changes appear together or not at all, and reads see one snapshot; they are durable when the
  block ends. A change that lost against another one raises ``Aborted``.
- ``mark`` inside a transaction is visible to ``marked`` if and only if that transaction was committed, also after a crash.
- Rows come out as the query orders them; batches are made while they are read, in constant memory.
- Wrong SQL, casts, overflow and division raise ``InvalidArgument`` with reason ``invalidQuery`` and BigQuery's wording,
  without physical names; no other exception of the engine's library gets out.
- SQL cannot read or write files, load extensions or change settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from tule.bigquery.types import Field


@dataclass(frozen=True)
class Result:
    """Rows of a query: read ``batches`` to the end or ``close`` the session's use of it."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]

    def table(self) -> pa.Table:
        return pa.Table.from_batches(list(self.batches), self.schema)


class Capabilities(Protocol):
    """What an engine does of the port. What it does not do raises Unimplemented by name.

    ``functions``: functions of whole rows, computed in the server (JavaScript, ML.PREDICT of models that are no SQL).
    ``ordered``: a scan keeps the order in which rows were stored. ``types``: those that a column can have.
    ``closed``: no SQL text whatever reaches files or settings, not even one that ``bigquery.sql`` would never make.
    """

    @property
    def functions(self) -> bool: ...

    @property
    def ordered(self) -> bool: ...

    @property
    def closed(self) -> bool: ...

    @property
    def types(self) -> frozenset[str]: ...


class Session(Protocol):
    """One line of work with the engine: a connection with its temporary tables."""

    dialect: str
    """That of its engine."""

    def query(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> Result:
        """Run a statement that answers rows. Parameters are bound (``$name`` or ``?``), never spliced: Python values."""

    def execute(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> int:
        """Run a statement that changes something; the number of rows it changed (0 for DDL)."""

    def schema(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> pa.Schema:
        """The columns of a query without running it."""

    def transaction(self) -> AbstractContextManager[None]:
        """All changes of the block together. A block inside another is part of it.

        After an error of a statement the block cannot go on: ``aborted`` is true, and its end raises ``Aborted`` unless an
        error leaves it.
        """

    aborted: bool
    """Whether an error has ended the transaction that is open."""

    def pin(self, project: str) -> None:
        """Inside a transaction: see the project's tables from now on as they are now."""

    def statistics(
        self, project: str, table: str, *, columns: Sequence[str] | None = None, where: str = ""
    ) -> tuple[int, int]:
        """(rows, bytes) of a physical table as this session sees it; see ``QueryEngine.statistics``."""

    def create(self, project: str, table: str, fields: Sequence[Field]) -> None:
        """Make an empty physical table."""

    def create_as(self, project: str, table: str, sql: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> int:
        """Make a physical table of a query's rows; their number."""

    def append(self, project: str, table: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
        """Add rows by column name; missing columns become NULL. Their number."""

    def temporary(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> str:
        """A table of this session alone, as a relation to be used in its SQL; gone when the session closes."""

    def stream(self, schema: pa.Schema, batches: Callable[[], Iterable[pa.RecordBatch]]) -> str:
        """A relation whose rows are made anew by ``batches`` whenever a statement of this session reads them, and kept
        nowhere; gone when the session closes. What ``batches`` raises comes out of the statement as it is."""

    def temporary_as(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> str:
        """A table of this session alone, made of a query's rows."""

    def function(
        self,
        inputs: Sequence[Field],
        outputs: Sequence[Field],
        compute: Callable[[pa.RecordBatch], pa.RecordBatch],
        stop: Callable[[], None] | None = None,
        *,
        pure: bool = False,
    ) -> str:
        """Make a function of whole rows known to this session's SQL; its name. Gone when the session closes.

        In SQL it takes one struct with the fields ``inputs`` and gives one with ``outputs``. ``compute`` is called with
        some rows at a time, once for each row that is needed, in any order, maybe from several threads at once; what it
        raises comes out of the query as it is. A ``pure`` function always answers the same for the same row: it may stand
        where SQL wants that (the order of a window), and may be asked for a row more than once. ``stop`` is called by
        ``interrupt`` and makes ``compute`` raise at once.
        """

    def scan(
        self,
        project: str,
        table: str,
        columns: Sequence[str] | None = None,
        *,
        start: int = 0,
        count: int | None = None,
        where: str = "",
    ) -> Result:
        """Rows of a physical table in the order they were stored, which stays the order of those rows whatever is appended.

        ``where``: a condition in the engine's SQL, which costs looking at all rows before. ``columns``: all, or those of
        these names. A part from any ``start`` costs about as much as its own rows, unless
        rows were deleted; to be used inside a transaction, for it may look twice.
        """

    def drop(self, project: str, table: str) -> None:
        """Remove a physical table if it is there."""

    def mark(self, project: str, job: str, note: str) -> None:
        """Write down that ``job`` took effect, with a note of at most 64 KiB, inside the current transaction.

        A later mark of the same job takes the place of the earlier one.
        """

    def interrupt(self) -> None:
        """Stop the statement that runs now, if any."""

    def close(self) -> None:
        """Give back what the session holds; idempotent."""


class QueryEngine(Protocol):
    """An engine of one server."""

    dialect: str
    """The name of a dialect of ``bigquery.sql.dialects``."""

    @property
    def capabilities(self) -> Capabilities: ...

    def session(self) -> Session:
        """A new session."""

    def relation(self, project: str, table: str) -> str:
        """How SQL of this engine's dialect names a physical table."""

    def tables(self, project: str) -> set[str]:
        """All physical tables of a project."""

    def projects(self) -> set[str]:
        """All projects that have a database."""

    def fields(self, project: str, table: str) -> list[Field]:
        """The columns of a physical table."""

    def statistics(
        self, project: str, table: str, *, columns: Sequence[str] | None = None, where: str = ""
    ) -> tuple[int, int]:
        """(rows, bytes as BigQuery counts them: 8 a number, text by its length + 2, nothing for NULL, and so on), of all
        columns or of some, in the rows for which ``where`` holds, a condition in the engine's SQL."""

    def marked(self, project: str, job: str) -> str | None:
        """The note of a job that took effect, None when it did not."""

    def marks(self, project: str) -> set[str]:
        """The jobs of all marks of a project."""

    def forget(self, project: str, jobs: Iterable[str]) -> None:
        """Remove marks that are no longer needed."""

    def checkpoint(self) -> None:
        """Bring write-ahead logs into the database files."""

    def close(self) -> None:
        """Close all databases; idempotent."""
