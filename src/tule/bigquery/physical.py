"""Physical tables: where rows are. A table's record names one by its random name; nobody else knows it.

A physical table that a reader or a read session still uses is dropped when the last of them is done.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from tule.bigquery.engine import QueryEngine, Session
from tule.bigquery.formats.columnar import cast, missing
from tule.bigquery.schemas import JsonField
from tule.bigquery.sql.dialects import said
from tule.bigquery.types import Field, arrow_schema, fields_from_rest

_NOTE_LIMIT = 60_000
_REMEMBERED = 1024
_MARKS_AT_ONCE = 64


class Physical:
    """The physical tables of all projects. Safe to use from any thread."""

    def __init__(self, engine: QueryEngine) -> None:
        self.engine = engine
        self._lock = threading.Lock()
        self._users: dict[tuple[str, str], int] = {}
        self._doomed: set[tuple[str, str]] = set()
        self._watchers: dict[tuple[str, str], dict[str, Callable[[], None]]] = {}
        self._changing: set[tuple[str, str]] = set()
        self._settled: dict[str, list[str]] = {}
        self._told: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session of the engine for the block."""
        session = self.engine.session()
        try:
            yield session
        finally:
            session.close()

    def relation(self, project: str, table: str) -> str:
        return self.engine.relation(project, table)

    def said(self, text: str) -> str:
        """A part of a statement, written in DuckDB's words, in those of the engine."""
        return said(text, self.engine.dialect) if text else ""

    # -- writing

    def create(self, project: str, fields: Sequence[JsonField]) -> str:
        """A new empty table; its name."""
        name = new_name()
        with self.session() as session:
            session.create(project, name, fields_from_rest(fields))
        return name

    def fill(self, project: str, fields: Sequence[JsonField], batches: Iterable[pa.RecordBatch]) -> tuple[str, int]:
        """A new table with these rows; its name and their number. Nothing stays when ``batches`` raises."""
        name = new_name()
        columns = fields_from_rest(fields)
        with self.session() as session, session.transaction():
            session.create(project, name, columns)
            rows = session.append(project, name, arrow_schema(columns), batches)
        return name, rows

    def fill_from(self, project: str, make: Callable[[Session, str], int]) -> tuple[str, int]:
        """A new table that ``make(session, name)`` fills in the engine; its name and number of rows."""
        name = new_name()
        with self.session() as session, session.transaction():
            rows = make(session, name)
        return name, rows

    def append(
        self,
        project: str,
        name: str,
        fields: Sequence[JsonField],
        batches: Iterable[pa.RecordBatch],
        *,
        job: str,
        statistics: Callable[[int], dict[str, Any]],
        table: str,
    ) -> int:
        """Add rows together with the job's mark; their number."""
        with self.session() as session, session.transaction():
            rows = session.append(project, name, arrow_schema(fields_from_rest(fields)), batches)
            session.mark(project, job, note(statistics(rows), [table]))
        return rows

    def move(
        self, session: Session, project: str, source: str, into: str, fields: Sequence[JsonField], where: str = ""
    ) -> int:
        """Add rows of one table to another, those for which a condition of the engine holds; their number."""
        names = ", ".join(self.said('"' + each["name"].replace('"', '""') + '"') for each in fields)
        condition = f" WHERE {self.said(where)}" if where else ""
        return session.execute(
            f"INSERT INTO {self.relation(project, into)} ({names}) SELECT {names} FROM {self.relation(project, source)}"
            f"{condition}"
        )

    def rewrite(self, project: str, name: str, fields: Sequence[JsonField]) -> str:
        """A new table with the rows of ``name`` fitted to ``fields``: new columns are NULL."""
        return self.fill(project, fields, self.fitted(project, name, fields))[0]

    def fitted(self, project: str, name: str, fields: Sequence[JsonField]) -> Iterator[pa.RecordBatch]:
        """The rows of a table in the columns of ``fields``, matched by name."""
        columns = fields_from_rest(fields)
        for batch in self.scan(project, name):
            yield fit(batch, columns)

    def drop(self, project: str, name: str) -> None:
        """Remove a table, when nobody reads it any more."""
        key = (project, name)
        with self._lock:
            if self._users.get(key):
                self._doomed.add(key)
                return
        self._drop(project, name)

    def _drop(self, project: str, name: str) -> None:
        with self.session() as session:
            session.drop(project, name)

    # -- changes in place

    @contextmanager
    def changing(self, project: str, name: str) -> Iterator[None]:
        """The rows that a table has may change during the block, which one writer at a time is in. Rows that are added
        behind them are no change. Whoever watches the table is told before."""
        key = (project, name)
        with self._lock:
            self._changing.add(key)
            told = list(self._watchers.get(key, {}).values())
        try:
            for tell in told:
                tell()
            yield
        finally:
            with self._lock:
                self._changing.discard(key)

    def watch(self, project: str, name: str, who: str, tell: Callable[[], None]) -> bool:
        """Call ``tell`` before rows of a table change, and keep it from being dropped, until ``unwatch``. False, and
        nothing is promised, where they are being changed now."""
        key = (project, name)
        with self._lock:
            if key in self._changing:
                return False
            self._watchers.setdefault(key, {})[who] = tell
            self._users[key] = self._users.get(key, 0) + 1
        return True

    def unwatch(self, project: str, name: str, who: str) -> None:
        """The end of ``watch``; idempotent."""
        key = (project, name)
        with self._lock:
            watchers = self._watchers.get(key, {})
            if watchers.pop(who, None) is None:
                return
            if not watchers:
                del self._watchers[key]
        self._let_go([key])

    # -- reading

    @contextmanager
    def using(self, tables: Iterable[tuple[str, str]]) -> Iterator[None]:
        """Keep tables (project, name) from being dropped during the block."""
        held = sorted(set(tables))
        with self._lock:
            for key in held:
                self._users[key] = self._users.get(key, 0) + 1
        try:
            yield
        finally:
            self._let_go(held)

    def _let_go(self, held: Iterable[tuple[str, str]]) -> None:
        over = []
        with self._lock:
            for key in held:
                self._users[key] -= 1
                if not self._users[key]:
                    del self._users[key]
                    if key in self._doomed:
                        self._doomed.discard(key)
                        over.append(key)
        for key in over:
            self._drop(*key)

    def scan(
        self,
        project: str,
        name: str,
        columns: Sequence[str] | None = None,
        *,
        start: int = 0,
        count: int | None = None,
        where: str = "",
        settled: Callable[[], bool] = lambda: True,
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a table in the order they were stored, of those for which the engine's condition ``where`` holds;
        none where they are not what ``settled`` tells, which is asked when nothing can change any more which come."""
        with self.using([(project, name)]), self.session() as session, session.transaction():
            batches = session.scan(project, name, columns, start=start, count=count, where=self.said(where)).batches
            if settled():
                yield from batches

    def rows(self, project: str, name: str, where: str = "") -> int:
        """How many rows a table has, of those for which a condition of the engine holds."""
        condition = f" WHERE {self.said(where)}" if where else ""
        with self.session() as session:
            counted = session.query(f"SELECT count(*) AS n FROM {self.relation(project, name)}{condition}").table()
        return int(counted.column(0)[0].as_py())

    def size(self, project: str, name: str, changes: int, columns: tuple[str, ...], where: str = "") -> int:
        """Logical bytes of some columns, in the rows for which a condition of the engine holds; measured once for each
        state of the table (``changes`` counts them)."""

        def measured() -> int:
            return self.engine.statistics(project, name, columns=columns, where=self.said(where))[1]

        return int(self._once((project, name, changes, columns, where), measured))

    def distinct(self, project: str, name: str, changes: int, expression: str) -> tuple[str, ...]:
        """The values of an expression of the engine; asked for once for each state of the table."""

        def asked() -> tuple[str, ...]:
            with self.session() as session:
                found = session.query(
                    f"SELECT DISTINCT {self.said(expression)} FROM {self.relation(project, name)}"
                ).table()
            return tuple(found.column(0).to_pylist())

        made: tuple[str, ...] = self._once((project, name, changes, expression), asked)
        return made

    def _once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        with self._lock:
            if key in self._told:
                self._told.move_to_end(key)
                return self._told[key]
        made = make()
        with self._lock:
            self._told[key] = made
            while len(self._told) > _REMEMBERED:
                self._told.popitem(last=False)
        return made

    # -- marks

    def done_with(self, project: str, job: str) -> None:
        """The job of a mark is on record as DONE: its mark may go, together with others to save commits."""
        with self._lock:
            jobs = self._settled.setdefault(project, [])
            jobs.append(job)
            if len(jobs) < _MARKS_AT_ONCE:
                return
            del self._settled[project]
        self.engine.forget(project, jobs)

    # -- recovery

    def sweep(self, project: str, known: set[str]) -> int:
        """Drop the tables that no record names: what a crash left behind. Their number, with those that are dropped
        later because somebody watches them."""
        orphans = self.engine.tables(project) - known
        for name in orphans:
            self.drop(project, name)
        return len(orphans)


def new_name() -> str:
    return f"t_{secrets.token_hex(12)}"


def note(statistics: dict[str, Any], tables: Sequence[str], before: Mapping[str, str | None] | None = None) -> str:
    """What a commit marker says: the job's statistics and the records of the tables it changed. ``before`` names those
    of which other rows than new ones changed, each with the physical copy of what it was."""
    made = {"tables": list(tables), **({"before": dict(before)} if before else {})}
    text = json.dumps({"statistics": statistics, **made})
    return text if len(text) <= _NOTE_LIMIT else json.dumps({"statistics": {}, **made})


def fit(batch: pa.RecordBatch, fields: Sequence[Field]) -> pa.RecordBatch:
    """A batch of the engine with the columns of ``fields``, matched by name; what is missing is NULL."""
    wanted = arrow_schema(fields)
    if batch.schema.equals(wanted, check_metadata=True):
        return batch
    places = {name.lower(): index for index, name in enumerate(batch.schema.names)}
    columns = []
    for each in fields:
        at = places.get(each.name.lower())
        if at is None:
            columns.append(missing(batch.num_rows, each.arrow.type))
        else:
            columns.append(cast(batch.column(at), each.arrow.type))
    return pa.RecordBatch.from_arrays(columns, schema=wanted)


__all__ = ["Physical", "fit", "new_name", "note"]
