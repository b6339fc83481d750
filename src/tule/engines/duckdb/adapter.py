"""DuckDB behind the port ``bigquery.engine.QueryEngine``: one instance, one attached database file a project.

Files are named by the SHA-256 of the project's id, tables by their random physical names: no user text reaches a path or
an identifier. The instance is closed to files, extensions and settings before any SQL of a user runs.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

# What a relation runs its statement by. A relation would bind it once more before, and look for its tables among the
# variables of the callers.
from duckdb._seam import submit

from tule.engines.capabilities import Capabilities
from tule.engines.duckdb.constraints import constraints
from tule.engines.duckdb.errors import translated
from tule.engines.duckdb.functions import register
from tule.engines.duckdb.sizes import column_bytes
from tule.engines.duckdb.streams import Stream
from tule.engines.duckdb.types import arrow_field, column_type, quoted
from tule.engines.duckdb.values import check_moments, differs, given, taken, taken_schema
from tule.kernel.errors import Aborted, FailedPrecondition, InvalidArgument

_LOG = logging.getLogger(__name__)
# Of a wide table a batch is some megabytes, and the engine makes several at once.
BATCH_ROWS = 32_768
_MARKS = "_marks"
_SCHEMAS = "_schemas"
_LONGEST_NOTE = 64 * 1024

Parameters = Mapping[str, Any] | Sequence[Any]
Run = Callable[[str, Parameters], list[Any]]


class DuckDBEngine:
    """The engine of one data directory. ``folder`` belongs to it alone; ``field`` is the class of the port's columns, made
    from their JSON (``from_rest``) or from Arrow (``from_arrow``)."""

    dialect = "duckdb"
    capabilities = Capabilities()

    def __init__(self, folder: Path, *, threads: int, memory: str, field: Any) -> None:
        self._folder = folder
        self._field = field
        self._lock = threading.RLock()
        self._attached: dict[str, str] = {}
        temporary = folder / "temporary"
        temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
        config: dict[str, Any] = {
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "threads": threads,
            "memory_limit": memory,
            "temp_directory": str(temporary),
            "preserve_insertion_order": "true",
        }
        self._connection = duckdb.connect(":memory:", config=config)
        run = self._connection.execute
        # Global: a plain SET would be this connection's alone, and cursors would go by the machine's time zone.
        run("SET GLOBAL TimeZone = 'UTC'")
        run("SET GLOBAL default_null_order = 'nulls_first_on_asc_last_on_desc'")
        run("SET GLOBAL scalar_subquery_error_on_multiple_rows = true")
        # A division by zero fails instead of giving infinity.
        run("SET GLOBAL ieee_floating_point_ops = false")
        register(self._connection)
        run(f"SET allowed_directories = ['{_text(folder)}']")
        run("SET enable_external_access = false")
        run("SET lock_configuration = true")

    # -- databases

    def _database(self, project: str) -> str:
        """The name under which the project's file is attached; made and attached when it is new."""
        with self._lock:
            found = self._attached.get(project)
            if found is not None:
                return found
            name = "p_" + hashlib.sha256(project.encode()).hexdigest()[:20]
            path = self._folder / f"{name}.duckdb"
            try:
                self._connection.execute(f"ATTACH '{_text(path)}' AS {name}")
                run = self._connection.execute
                run(f"CREATE TABLE IF NOT EXISTS {name}.main.{_MARKS} (job VARCHAR, note VARCHAR)")
                run(f"CREATE TABLE IF NOT EXISTS {name}.main.{_SCHEMAS} (name VARCHAR, fields VARCHAR)")
                run(f"CREATE TABLE IF NOT EXISTS {name}.main._project (id VARCHAR)")
                if not run(f"SELECT id FROM {name}.main._project").fetchall():
                    run(f"INSERT INTO {name}.main._project VALUES (?)", [project])
            except duckdb.Error as error:
                raise FailedPrecondition(
                    "The tables of a project must be readable", given=f"{project}: {error}", do="see `tule logs`"
                ) from error
            self._attached[project] = name
            return name

    def relation(self, project: str, table: str) -> str:
        return f"{self._database(project)}.main.{_physical(table)}"

    def projects(self) -> set[str]:
        found = set()
        for path in self._folder.glob("p_*.duckdb"):
            with self._lock:
                name = path.stem
                if name not in self._attached.values():
                    self._connection.execute(f"ATTACH '{_text(path)}' AS {name}")
                rows = self._connection.execute(f"SELECT id FROM {name}.main._project").fetchall()
                if rows:
                    self._attached[rows[0][0]] = name
                    found.add(str(rows[0][0]))
        return found

    def tables(self, project: str) -> set[str]:
        rows = self._one(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND table_name LIKE 't\\_%' ESCAPE '\\'",
            [self._database(project)],
        )
        return {str(row[0]) for row in rows}

    def fields(self, project: str, table: str) -> list[Any]:
        return self._fields(self._one, project, table)

    def _fields(self, run: Run, project: str, table: str) -> list[Any]:
        database = self._database(project)
        rows = run(f"SELECT fields FROM {database}.main.{_SCHEMAS} WHERE name = ?", [_physical(table)])
        if not rows:
            raise FailedPrecondition("The physical table must exist", given=table)
        return [self._field.from_rest(each) for each in json.loads(rows[0][0])]

    def statistics(
        self, project: str, table: str, *, columns: Sequence[str] | None = None, where: str = ""
    ) -> tuple[int, int]:
        return self._measured(self._one, project, table, columns, where)

    def _measured(
        self, run: Run, project: str, table: str, columns: Sequence[str] | None, where: str
    ) -> tuple[int, int]:
        wanted = None if columns is None else {each.lower() for each in columns}
        fields = [each for each in self._fields(run, project, table) if wanted is None or each.name.lower() in wanted]
        total = " + ".join(["0", *map(column_bytes, fields)])
        condition = f" WHERE {where}" if where else ""
        ((rows, size),) = run(f"SELECT count(*), {total} FROM {self.relation(project, table)}{condition}", [])
        return int(rows), int(size)

    def marked(self, project: str, job: str) -> str | None:
        rows = self._one(f"SELECT note FROM {self._database(project)}.main.{_MARKS} WHERE job = ?", [job])
        return str(rows[0][0]) if rows else None

    def marks(self, project: str) -> set[str]:
        return {str(row[0]) for row in self._one(f"SELECT job FROM {self._database(project)}.main.{_MARKS}", [])}

    def forget(self, project: str, jobs: Iterable[str]) -> None:
        wanted = list(jobs)
        if wanted:
            self._one(f"DELETE FROM {self._database(project)}.main.{_MARKS} WHERE job IN (SELECT unnest(?))", [wanted])

    def _one(self, sql: str, parameters: Parameters) -> list[Any]:
        cursor = self._connection.cursor()
        try:
            found: list[Any] = cursor.execute(sql, parameters).fetchall()
            return found
        except duckdb.Error as error:
            raise translated(error) from error
        finally:
            cursor.close()

    def checkpoint(self) -> None:
        # By a cursor: the connection itself is for attaching, and takes one call at a time.
        cursor = self._connection.cursor()
        try:
            for name in list(self._attached.values()):
                try:
                    cursor.execute(f"CHECKPOINT {name}")
                except duckdb.Error as error:
                    # Another transaction is open: the log stays until the next time.
                    _LOG.info("Checkpoint of %s later: %s", name, error)
        finally:
            cursor.close()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def session(self) -> DuckDBSession:
        return DuckDBSession(self, self._connection.cursor())


class DuckDBSession:
    """One cursor with its temporary tables and registered Arrow readers."""

    dialect = "duckdb"

    def __init__(self, engine: DuckDBEngine, cursor: Any) -> None:
        self._engine = engine
        self._cursor = cursor
        self._temporary: list[str] = []
        self._left: list[str] = []
        self._views: list[str] = []
        self._functions: list[str] = []
        self._stops: list[Callable[[], None]] = []
        self._failure: BaseException | None = None
        """What a function of rows raised: the library passes on its text alone."""
        self._reader: Any = None
        self._depth = 0
        self.aborted = False

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, pa.ArrowInvalid, OSError, RuntimeError) as error:
            self.aborted = self._depth > 0
            failure, self._failure = self._failure, None
            if failure is not None:
                raise failure from None
            raise translated(error) from error

    def _free(self) -> None:
        """Let go of a result that was not read to its end: DuckDB runs one statement a cursor."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def query(self, sql: str, parameters: Parameters = ()) -> Any:
        from tule.engines.results import Rows

        self._free()
        with self._errors():
            result = submit(self._cursor, sql, _values(parameters), "stream", BATCH_ROWS)
            columns = result.description
            if not columns:
                return Rows(pa.schema([]), iter(()))
            schema = pa.schema([arrow_field(name, kind) for name, kind, *_ in columns])
            reader = result.arrow_reader()
        self._reader = reader
        return Rows(schema, self._batches(reader, schema))

    def _batches(self, reader: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        with self._errors():
            for batch in reader:
                for column in batch.columns:
                    check_moments(column)
                yield conform(batch, schema)
        if self._reader is reader:
            self._free()

    def execute(self, sql: str, parameters: Parameters = ()) -> int:
        self._free()
        with self._errors():
            rows = self._cursor.execute(sql, parameters or None).fetchall()
        counted = rows and len(rows[0]) == 1 and isinstance(rows[0][0], int)
        return int(rows[0][0]) if counted else 0

    def schema(self, sql: str, parameters: Parameters = ()) -> pa.Schema:
        self._free()
        with self._errors():
            relation = self._cursor.sql(sql, params=parameters or None)
            return pa.schema([arrow_field(n, kind) for n, kind in zip(relation.columns, relation.types, strict=True)])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._depth:
            yield
            return
        self.execute("BEGIN TRANSACTION")
        self._depth += 1
        self.aborted = False
        try:
            yield
            if self.aborted:
                # DuckDB would answer COMMIT as if it had been done, and undo everything.
                raise Aborted("Transaction is aborted: a statement in it failed", reason="invalidQuery")
            self.execute("COMMIT")
        except BaseException:
            self._free()
            try:
                self._cursor.execute("ROLLBACK")
            except duckdb.Error as error:
                # A failed COMMIT has rolled back by itself.
                _LOG.debug("rollback: %s", error)
            raise
        finally:
            self._depth -= 1
            self.aborted = False

    def pin(self, project: str) -> None:
        # A database is seen as it was when a transaction first reads of it.
        self.execute(f"SELECT id FROM {self._engine._database(project)}.main._project")

    def statistics(
        self, project: str, table: str, *, columns: Sequence[str] | None = None, where: str = ""
    ) -> tuple[int, int]:
        return self._engine._measured(self._rows, project, table, columns, where)

    def _rows(self, sql: str, parameters: Parameters) -> list[Any]:
        self._free()
        with self._errors():
            found: list[Any] = self._cursor.execute(sql, parameters or None).fetchall()
            return found

    def create(self, project: str, table: str, fields: Sequence[Any]) -> None:
        columns = ", ".join(
            [
                f"{quoted(each.name)} {column_type(each)}" + (" NOT NULL" if each.mode == "REQUIRED" else "")
                for each in fields
            ]
            + [f"CHECK ({each})" for field in fields for each in constraints(field)]
        )
        with self.transaction():
            self.execute(f"CREATE TABLE {self._engine.relation(project, table)} ({columns})")
            self._describe(project, table, fields)

    def _describe(self, project: str, table: str, fields: Sequence[Any]) -> None:
        database = self._engine._database(project)
        self.execute(f"DELETE FROM {database}.main.{_SCHEMAS} WHERE name = ?", [_physical(table)])
        text = json.dumps([each.rest() for each in fields])
        self.execute(f"INSERT INTO {database}.main.{_SCHEMAS} VALUES (?, ?)", [_physical(table), text])

    def create_as(self, project: str, table: str, sql: str, parameters: Parameters = ()) -> int:
        fields = [self._engine._field.from_arrow(each) for each in self.schema(sql, parameters)]
        with self.transaction():
            self.create(project, table, fields)
            return self.execute(f"INSERT INTO {self._engine.relation(project, table)} {sql}", parameters)

    def append(self, project: str, table: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
        names = ", ".join(quoted(name) for name in schema.names)
        with self._registered(schema, batches) as source:
            return self.execute(
                f"INSERT INTO {self._engine.relation(project, table)} ({names}) SELECT {names} FROM {source}"
            )

    @contextmanager
    def _registered(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[str]:
        """An Arrow stream under a name of its own. An error in making the batches comes out as itself."""
        failure: list[BaseException] = []

        differ = differs(schema)

        def guarded() -> Iterator[pa.RecordBatch]:
            try:
                for batch in batches:
                    yield taken(batch) if differ else batch
            except BaseException as error:
                failure.append(error)
                raise

        name = f"a_{secrets.token_hex(8)}"
        self._free()
        source = taken_schema(schema) if differ else schema
        self._cursor.register(name, pa.RecordBatchReader.from_batches(source, guarded()))
        try:
            yield name
        except BaseException:
            if failure:
                raise failure[0] from None
            raise
        finally:
            self._forget(name)

    def _forget(self, name: str) -> None:
        """Let go of a registered stream. A failed transaction allows no statement before its end: then at close."""
        try:
            self._cursor.unregister(name)
        except duckdb.Error:
            self._left.append(name)

    def temporary(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> str:
        name = self._temporary_name()
        columns = ", ".join(
            f"{quoted(each.name)} {column_type(self._engine._field.from_arrow(each))}" for each in schema
        )
        self.execute(f"CREATE TEMP TABLE {name} ({columns})")
        with self._registered(schema, batches) as source:
            self.execute(f"INSERT INTO temp.main.{name} SELECT * FROM {source}")
        return f"temp.main.{name}"

    def stream(self, schema: pa.Schema, batches: Callable[[], Iterable[pa.RecordBatch]]) -> str:
        source, view = f"a_{secrets.token_hex(8)}", f"v_{secrets.token_hex(8)}"
        self._free()
        made: Callable[[], Iterable[pa.RecordBatch]] = batches
        if differs(schema):
            made = lambda: (taken(batch) for batch in batches())  # noqa: E731
        self._cursor.register(source, Stream(taken_schema(schema), made, self._failed))
        self._left.append(source)
        columns = ", ".join(
            f"CAST({quoted(each.name)} AS {column_type(self._engine._field.from_arrow(each))}) AS {quoted(each.name)}"
            for each in schema
        )
        self.execute(f"CREATE TEMP VIEW {view} AS SELECT {columns} FROM {source}")
        self._views.append(view)
        return f"temp.main.{view}"

    def _failed(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error

    def temporary_as(self, sql: str, parameters: Parameters = ()) -> str:
        name = self._temporary_name()
        self.execute(f"CREATE TEMP TABLE {name} AS {sql}", parameters)
        return f"temp.main.{name}"

    def _temporary_name(self) -> str:
        name = f"t_{secrets.token_hex(12)}"
        self._temporary.append(name)
        return name

    def function(
        self,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        compute: Callable[[pa.RecordBatch], pa.RecordBatch],
        stop: Callable[[], None] | None = None,
        *,
        pure: bool = False,
    ) -> str:
        from duckdb.sqltypes import DuckDBPyType

        schema = pa.schema([each.arrow for each in inputs])

        def rows(struct: Any) -> pa.StructArray:
            try:
                array = struct.combine_chunks() if isinstance(struct, pa.ChunkedArray) else struct
                # The struct itself is never NULL.
                made = compute(conform(pa.RecordBatch.from_struct_array(array), schema))
                made = taken(made) if differs(made.schema) else made
                return made.to_struct_array()
            except BaseException as error:
                self._failure = error
                raise

        name = f"f_{secrets.token_hex(12)}"
        # A volatile function is computed once a row; another one twice where the optimiser filters by it first.
        with self._errors():
            self._cursor.create_function(
                name, rows, [DuckDBPyType(_struct(inputs))], DuckDBPyType(_struct(outputs)),
                type="arrow", null_handling="special", side_effects=not pure,
            )  # fmt: skip
        self._functions.append(name)
        if stop is not None:
            self._stops.append(stop)
        return name

    def scan(
        self,
        project: str,
        table: str,
        columns: Sequence[str] | None = None,
        *,
        start: int = 0,
        count: int | None = None,
        where: str = "",
    ) -> Any:
        relation = self._engine.relation(project, table)
        names = "*" if columns is None else ", ".join(map(quoted, columns))
        if where:
            window = (
                f" WHERE {where}" + ("" if count is None else f" LIMIT {count}") + (f" OFFSET {start}" * bool(start))
            )
        elif not start and (count is None or count <= BATCH_ROWS):
            window = "" if count is None else f" LIMIT {count}"
        elif self._is_dense(relation):
            # Row groups outside are not looked at; an OFFSET would read all rows before it.
            window = f" WHERE rowid >= {start}" + ("" if count is None else f" AND rowid < {start + count}")
        else:
            window = ("" if count is None else f" LIMIT {count}") + f" OFFSET {start}"
        return self.query(f"SELECT {names} FROM {relation}{window}")

    def _is_dense(self, relation: str) -> bool:
        """Whether row ids are positions: so they are until a row is deleted."""
        ((rows, last),) = self._rows(f"SELECT count(*), max(rowid) FROM {relation}", [])
        return last is None or int(rows) == int(last) + 1

    def drop(self, project: str, table: str) -> None:
        database = self._engine._database(project)
        with self.transaction():
            self.execute(f"DROP TABLE IF EXISTS {database}.main.{_physical(table)}")
            self.execute(f"DELETE FROM {database}.main.{_SCHEMAS} WHERE name = ?", [_physical(table)])

    def mark(self, project: str, job: str, note: str) -> None:
        if len(note) > _LONGEST_NOTE:
            raise InvalidArgument("The note of a mark must be at most 64 KiB", given=f"{len(note)} characters")
        marks = f"{self._engine._database(project)}.main.{_MARKS}"
        with self.transaction():
            self.execute(f"DELETE FROM {marks} WHERE job = ?", [job])
            self.execute(f"INSERT INTO {marks} VALUES (?, ?)", [job, note])

    def interrupt(self) -> None:
        try:
            self._cursor.interrupt()
        except duckdb.ConnectionException as error:
            # It was closed a moment ago.
            _LOG.debug("interrupt: %s", error)
        for stop in list(self._stops):
            stop()

    def close(self) -> None:
        self._free()
        for name in self._temporary:
            self._cursor.execute(f"DROP TABLE IF EXISTS temp.main.{name}")
        for name in self._views:
            self._cursor.execute(f"DROP VIEW IF EXISTS temp.main.{name}")
        for name in self._left:
            self._cursor.unregister(name)
        for name in self._functions:
            try:
                self._cursor.remove_function(name)
            except duckdb.Error as error:
                # It went with a transaction that was rolled back.
                _LOG.debug("function %s: %s", name, error)
        self._temporary, self._left, self._functions, self._stops, self._views = [], [], [], [], []
        self._cursor.close()


def _values(parameters: Parameters) -> list[Any] | dict[str, Any] | None:
    if not parameters:
        return None
    return dict(parameters) if isinstance(parameters, Mapping) else list(parameters)


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch with the types that the schema promises: DuckDB answers SUM as 128-bit, small integers as such."""
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    columns = [given(column, want.type, want.name) for column, want in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _struct(fields: Sequence[Any]) -> str:
    return "STRUCT(" + ", ".join(f"{quoted(each.name)} {column_type(each)}" for each in fields) + ")"


def _physical(table: str) -> str:
    if not table.isidentifier() or not table.startswith("t_"):
        raise InvalidArgument("A physical table is named t_ and hexadecimal digits", given=table)
    return table


def _text(path: Path) -> str:
    return str(path).replace("'", "''")
