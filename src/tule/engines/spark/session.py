"""One line of work: the tables that it sees, its transaction, its temporary relations, and a session of Spark."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tule.engines.capabilities import no_functions
from tule.engines.results import Rows
from tule.engines.spark.changes import Change, change_of
from tule.engines.spark.columns import arrow_fields, check, quoted, read, sizes, spark_schema, type_name, write
from tule.engines.spark.errors import translated
from tule.engines.spark.lake import File, Key, Table, missing, new_version
from tule.kernel.errors import Aborted, InvalidArgument, TuleError

if TYPE_CHECKING:
    from tule.engines.spark.adapter import SparkEngine

_MENTIONED = re.compile(r"\b(p_[0-9a-f]{20}__t_\w+|tmp_[0-9a-f]{24})\b")
_LONGEST_NOTE = 64 * 1024

Parameters = Mapping[str, Any] | Sequence[Any]
Make = Callable[[], Iterable[pa.RecordBatch]]


class SparkSession:
    """Satisfies ``bigquery.engine.Session``. Outside a transaction each call is one of its own."""

    dialect = "spark"

    def __init__(self, engine: SparkEngine) -> None:
        self._engine = engine
        self._lake = engine.lake
        self._connected: Any = None
        self._temporary: dict[str, Table] = {}
        self._streams: dict[str, tuple[pa.Schema, Make]] = {}
        self._shown: dict[str, str] = {}
        """The version of each relation that Spark knows."""
        self._folders: list[Path] = []
        self._depth = 0
        self._seen: dict[str, dict[str, Table]] = {}
        """The tables of each project, as they were when the transaction first looked."""
        self._after: dict[Key, Table | None] = {}
        self._marks: dict[Key, str] = {}
        self._touched: set[str] = set()
        self.aborted = False

    # -- what it sees

    def _tables(self, project: str) -> dict[str, Table]:
        """A project's tables with the changes of the transaction."""
        if not self._depth:
            return self._lake.tables(project)
        if project not in self._seen:
            self._seen[project] = self._lake.tables(project)
        made = dict(self._seen[project])
        for (of, name), table in self._after.items():
            if of == project and table is not None:
                made[name] = table
            elif of == project:
                made.pop(name, None)
        return made

    def _table(self, project: str, name: str) -> Table:
        from tule.engines.spark.adapter import physical

        found = self._tables(project).get(physical(name))
        if found is None:
            raise missing(name)
        return found

    def _set(self, project: str, name: str, table: Table | None) -> None:
        if table is not None:
            self._tables(project)
        self._after[project, name] = table

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._depth:
            yield
            return
        self._depth, self.aborted = 1, False
        with self._lake.reading():
            try:
                yield
                if self.aborted:
                    raise Aborted("Transaction is aborted: a statement in it failed", reason="invalidQuery")
                before = {key: self._seen.get(key[0], {}).get(key[1]) for key in self._after}
                self._lake.commit(before, self._after, self._marks, self._touched)
            finally:
                self._depth, self.aborted = 0, False
                self._seen, self._after, self._marks, self._touched = {}, {}, {}, set()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with translated():
                yield
        except TuleError:
            self.aborted = self._depth > 0
            raise

    def pin(self, project: str) -> None:
        self._tables(project)

    # -- statements

    @property
    def _spark(self) -> Any:
        if self._connected is None:
            self._connected = self._engine.connection()
        return self._connected

    def _frame(self, sql: str, parameters: Parameters) -> Any:
        """A query as a frame of Spark, its relations made known."""
        self._show(sql)
        given = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
        return self._spark.sql(sql, args=_literals(given) or None)

    def query(self, sql: str, parameters: Parameters = ()) -> Any:
        with self._lake.reading(), self._errors():
            frame = self._frame(sql, parameters)
            schema = _answered(frame)
            folder = self._lake.new_folder("answers")
            self._written(frame, schema, folder)
        return Rows(schema, self._answer(folder, schema))

    def _written(self, frame: Any, schema: pa.Schema, folder: Path) -> None:
        """Let Spark write a query's rows as files: so an answer of any size needs no memory."""
        from pyspark.sql.connect.functions import col

        # Names are ours: those of an answer need not be unlike.
        named = frame.toDF(*(f"c{at}" for at in range(len(schema))))
        voids = [each.name for each in named.schema.fields if each.dataType.typeName() == "void"]
        for name in voids:
            named = named.withColumn(name, col(name).cast("bigint"))
        named.write.option("compression", "zstd").parquet(folder.as_uri())

    def _answer(self, folder: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        try:
            with self._errors():
                yield from read(sorted(folder.glob("part-*.parquet")), schema)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def schema(self, sql: str, parameters: Parameters = ()) -> pa.Schema:
        with self._errors():
            self._show(sql, empty=True)
            return _answered(self._frame_only(sql, parameters))

    def _frame_only(self, sql: str, parameters: Parameters) -> Any:
        given = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
        return self._spark.sql(sql, args=_literals(given) or None)

    def execute(self, sql: str, parameters: Parameters = ()) -> int:
        with self.transaction(), self._errors():
            change = change_of(sql, self._target)
            return self._changed(change, parameters)

    def _target(self, relation: str) -> tuple[Key, Sequence[Any]]:
        """The table that a relation's name means."""
        key = self._key(relation)
        if key is None:
            raise InvalidArgument("Not found: the table that is changed", reason="invalidQuery")
        return key, self._table(*key).fields

    def _key(self, relation: str) -> Key | None:
        for project in self._lake.projects() | self._touched:
            start, _, _ = self._engine.relation(project, "t_").strip("`").rpartition("t_")
            if relation.startswith(start):
                return project, "t_" + relation.removeprefix(start + "t_")
        return None

    def _changed(self, change: Change, parameters: Parameters) -> int:
        project, name = change.key
        table = self._table(project, name)
        count = self._count(change.count, parameters) if change.count else None
        for sql, message in change.checks:
            if self._count(sql, parameters):
                raise InvalidArgument(message, reason="invalidQuery", location="query")
        files = self._files(self._frame(change.rows, parameters), table.fields)
        if change.adds:
            self._set(project, name, table.grown(files))
            return sum(each.rows for each in files)
        self._set(project, name, table.replaced(files))
        return count or 0

    def _count(self, sql: str, parameters: Parameters) -> int:
        """The one number that a query answers."""
        return int(self._frame(sql, parameters).toArrow().column(0)[0].as_py() or 0)

    def _files(self, frame: Any, fields: Sequence[Any]) -> list[File]:
        """Let Spark write rows as files of a table."""
        check(fields)
        items = [f"CAST({quoted(each.name)} AS {type_name(each)}) AS {quoted(each.name)}" for each in fields]
        named = frame.toDF(*(each.name for each in fields)).selectExpr(*items)
        folder = self._lake.new_folder()
        named.write.option("compression", "zstd").parquet(folder.as_uri())
        files = []
        for path in sorted(folder.glob("part-*.parquet")):
            found = pq.read_metadata(path)
            _check_required(path, found, fields)
            if found.num_rows:
                files.append(File(str(path.relative_to(self._lake.folder)), found.num_rows))
        return files

    # -- relations that statements read

    def _show(self, sql: str, *, empty: bool = False) -> None:
        """Make the relations of a statement known to Spark. ``empty``: only their columns matter."""
        for name in dict.fromkeys(_MENTIONED.findall(sql)):
            if name in self._streams:
                self._show_stream(name, empty=empty)
                continue
            table = self._temporary.get(name) if name.startswith("tmp_") else self._known(name)
            if table is not None and self._shown.get(name) != table.version:
                self._view(name, table.fields, [self._lake.folder / each.path for each in table.files])
                self._shown[name] = table.version

    def _known(self, relation: str) -> Table | None:
        key = self._key(relation)
        return self._tables(key[0]).get(key[1]) if key is not None else None

    def _show_stream(self, name: str, *, empty: bool) -> None:
        schema, make = self._streams[name]
        fields = [self._engine.field.from_arrow(each) for each in schema]
        self._view(name, fields, [] if empty else [self._kept(schema, make(), fields)])

    def _kept(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch], fields: Sequence[Any]) -> Path:
        """Rows in a file of this session alone."""
        folder = self._lake.new_folder("answers")
        self._folders.append(folder)
        return self._lake.folder / write(folder, "rows.parquet", schema, batches, fields).path

    def _view(self, name: str, fields: Sequence[Any], paths: Sequence[Path]) -> None:
        schema = spark_schema(fields)
        if paths:
            frame = self._spark.read.schema(schema).parquet(*(path.as_uri() for path in paths))
            frame = frame.to(schema) if any(each.type == "JSON" for each in fields) else frame
        else:
            frame = self._spark.createDataFrame([], schema)
        frame.createOrReplaceTempView(name)

    # -- tables

    def statistics(
        self, project: str, table: str, *, columns: Sequence[str] | None = None, where: str = ""
    ) -> tuple[int, int]:
        found = self._table(project, table)
        if not where:
            return self._engine.measured(found, columns)
        wanted = None if columns is None else {each.lower() for each in columns}
        fields = [each for each in found.fields if wanted is None or each.name.lower() in wanted] or list(
            found.fields[:1]
        )
        rows = self._rows_where(project, table, [each.name for each in fields], where).table()
        total = sizes(rows.to_batches(), fields)
        return rows.num_rows, sum(total.values()) if wanted is None or wanted else 0

    def _rows_where(self, project: str, table: str, names: Sequence[str], where: str) -> Any:
        items = ", ".join(map(quoted, names))
        return self.query(f"SELECT {items} FROM {self._engine.relation(project, table)} WHERE {where}")

    def create(self, project: str, table: str, fields: Sequence[Any]) -> None:
        from tule.engines.spark.adapter import physical

        check(fields)
        with self.transaction():
            self._touched.add(project)
            self._set(project, physical(table), Table(new_version(), tuple(fields), ()))

    def create_as(self, project: str, table: str, sql: str, parameters: Parameters = ()) -> int:
        with self.transaction(), self._errors():
            frame = self._frame(sql, parameters)
            fields = [self._engine.field.from_arrow(each) for each in _answered(frame)]
            self.create(project, table, fields)
            made = self._table(project, table).grown(self._files(frame, fields))
            self._set(project, table, made)
            return made.rows

    def append(self, project: str, table: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
        with self.transaction():
            found = self._table(project, table)
            folder = self._lake.new_folder()
            try:
                file = write(folder, "rows.parquet", schema, batches, found.fields)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            if file.rows:
                self._set(project, table, found.grown([file]))
            return file.rows

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
        found = self._table(project, table)
        if where:
            names = [each.name for each in found.fields] if columns is None else columns
            rows = self._rows_where(project, table, names, where)
            return Rows(rows.schema, _window(rows.batches, start, count))
        places = list(range(len(found.fields)))
        if columns is not None:
            names = [each.name for each in found.fields]
            places = [names.index(name) for name in columns]
        schema = pa.schema([found.fields[at].arrow for at in places])
        return Rows(schema, self._part(found, schema, places, start, count))

    def _part(
        self, table: Table, schema: pa.Schema, places: Sequence[int], start: int, count: int | None
    ) -> Iterator[pa.RecordBatch]:
        """Rows of a table from ``start``; files before are not opened."""
        left = table.rows if count is None else count
        with self._lake.reading(), self._errors():
            for each in table.files:
                if start >= each.rows or left <= 0:
                    start = max(0, start - each.rows)
                    continue
                for batch in read([self._lake.folder / each.path], schema, places):
                    if start >= batch.num_rows:
                        start -= batch.num_rows
                        continue
                    part = batch.slice(start, min(left, batch.num_rows - start))
                    start, left = 0, left - part.num_rows
                    yield part
                    if left <= 0:
                        return

    def drop(self, project: str, table: str) -> None:
        from tule.engines.spark.adapter import physical

        with self.transaction():
            if physical(table) in self._tables(project):
                self._set(project, table, None)

    def mark(self, project: str, job: str, note: str) -> None:
        if len(note) > _LONGEST_NOTE:
            raise InvalidArgument("The note of a mark must be at most 64 KiB", given=f"{len(note)} characters")
        with self.transaction():
            self._touched.add(project)
            self._marks[project, job] = note

    # -- relations of the session alone

    def temporary(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> str:
        fields = [self._engine.field.from_arrow(each) for each in schema]
        check(fields)
        path = self._kept(schema, batches, fields)
        return self._own(Table(new_version(), tuple(fields), (File(str(path.relative_to(self._lake.folder)), 0),)))

    def temporary_as(self, sql: str, parameters: Parameters = ()) -> str:
        with self._lake.reading(), self._errors():
            frame = self._frame(sql, parameters)
            schema = _answered(frame)
            folder = self._lake.new_folder("answers")
            self._folders.append(folder)
            self._written(frame.toDF(*schema.names), schema, folder)
        fields = tuple(self._engine.field.from_arrow(each) for each in schema)
        batches = read(sorted(folder.glob("part-*.parquet")), schema)
        path = self._kept(schema, batches, fields)
        return self._own(Table(new_version(), fields, (File(str(path.relative_to(self._lake.folder)), 0),)))

    def _own(self, table: Table) -> str:
        name = f"tmp_{secrets.token_hex(12)}"
        self._temporary[name] = table
        return name

    def stream(self, schema: pa.Schema, batches: Make) -> str:
        check(self._engine.field.from_arrow(each) for each in schema)
        name = f"tmp_{secrets.token_hex(12)}"
        self._streams[name] = (schema, batches)
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
        raise no_functions("spark")

    # -- ends

    def interrupt(self) -> None:
        if self._connected is not None:
            with translated():
                self._connected.interruptAll()

    def close(self) -> None:
        with ExitStack() as rest:
            for folder in self._folders:
                rest.callback(shutil.rmtree, folder, ignore_errors=True)
            connected, self._connected = self._connected, None
            if connected is not None:
                rest.callback(self._engine.give_back, connected)
                with translated():
                    for name in {*self._shown, *self._streams, *self._temporary}:
                        connected.catalog.dropTempView(name)
            self._temporary, self._streams, self._shown, self._folders = {}, {}, {}, []


def _window(batches: Iterator[pa.RecordBatch], start: int, count: int | None) -> Iterator[pa.RecordBatch]:
    """A part of rows by its place."""
    left = count
    for batch in batches:
        if start >= batch.num_rows:
            start -= batch.num_rows
            continue
        part = batch.slice(start, left)
        start = 0
        left = None if left is None else left - part.num_rows
        yield part
        if left == 0:
            return


def _answered(frame: Any) -> pa.Schema:
    return pa.schema(arrow_fields(frame.schema))


def _check_required(path: Path, found: Any, fields: Sequence[Any]) -> None:
    for at, each in enumerate(fields):
        if each.mode != "REQUIRED" or each.fields:
            continue
        names = found.schema.to_arrow_schema().names
        if pq.read_table(path, columns=[names[at]]).column(0).null_count:
            raise InvalidArgument(f"Required field {each.name} cannot be null", reason="invalidQuery")


def _literals(given: Any) -> Any:
    """Values as literals of Spark; a plain list or dict would be taken for something else."""
    if isinstance(given, dict):
        return {name: _literal(value) for name, value in given.items()}
    return [_literal(value) for value in given]


def _literal(value: Any) -> Any:
    from pyspark.sql.connect.functions import array, lit, struct

    if isinstance(value, list):
        return array(*map(_literal, value)) if value else array()
    if isinstance(value, dict):
        return struct(*(_literal(each).alias(name) for name, each in value.items()))
    return lit(value)
