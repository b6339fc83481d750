"""One line of work with the service: query jobs; from the first change in a transaction on, in a session there."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from google.cloud import bigquery

from tule.engines.bigquery.columns import check_loadable, conform, filled, parameters, parquet, schema_of, size
from tule.engines.bigquery.errors import translated
from tule.engines.capabilities import no_functions
from tule.engines.results import Rows
from tule.kernel.errors import Aborted, InvalidArgument, TuleError

if TYPE_CHECKING:
    from tule.engines.bigquery.adapter import BigQueryEngine

_LOG = logging.getLogger(__name__)
_TEMPORARY = re.compile(r"\btmp_[0-9a-f]{24}\b")
_LONGEST_NOTE = 64 * 1024

Parameters = Mapping[str, Any] | Sequence[Any]


class BigQuerySession:
    """Satisfies ``bigquery.engine.Session``. Tables that it makes for itself are tables of the service that it alone
    names, and that the service drops after a day should nobody else."""

    dialect = "bigquery"

    def __init__(self, engine: BigQueryEngine) -> None:
        self._engine = engine
        self._temporary: set[str] = set()
        self._streams: dict[str, tuple[pa.Schema, Callable[[], Iterable[pa.RecordBatch]]]] = {}
        self._job: Any = None
        self._depth = 0
        self._begun: str | None = None
        """The service's session of the transaction, once it has begun."""
        self._made: list[str] = []
        self.aborted = False

    # -- statements

    def query(self, sql: str, parameters: Parameters = ()) -> Any:
        with self._errors():
            rows = self._run(sql, parameters).result(job_retry=None)
            schema = self._schema(rows.schema)
            reader = self._engine.reader if rows.total_rows and rows.total_rows > 10_000 else None
            batches = rows.to_arrow_iterable(bqstorage_client=reader)
        return Rows(schema, self._conformed(batches, schema))

    def _conformed(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        with self._errors():
            for batch in batches:
                yield conform(batch, schema)

    def _schema(self, columns: Iterable[Any]) -> pa.Schema:
        return pa.schema([self._engine.field.from_rest(each.to_api_repr()).arrow for each in columns])

    def execute(self, sql: str, parameters: Parameters = ()) -> int:
        with self._errors():
            self._begin()
            job = self._run(sql, parameters)
            job.result(job_retry=None)
            return int(job.num_dml_affected_rows or 0)

    def schema(self, sql: str, parameters: Parameters = ()) -> pa.Schema:
        with self._errors():
            return self._schema(self._run(sql, parameters, dry_run=True).schema or ())

    def _run(
        self, sql: str, given: Parameters, *, dry_run: bool = False, new_session: bool = False, **more: Any
    ) -> Any:
        """Start a job of a statement."""
        self._check(sql)
        if not dry_run:
            self._fill(sql)
        body: dict[str, Any] = {"query": {"useLegacySql": False, "useQueryCache": False}, "dryRun": dry_run}
        if values := parameters(given):
            body["query"]["queryParameters"] = values
            body["query"]["parameterMode"] = "NAMED" if isinstance(given, Mapping) else "POSITIONAL"
        config: Any = bigquery.QueryJobConfig.from_api_repr(body)
        for name, value in more.items():
            setattr(config, name, value)
        config.create_session = new_session or None
        if self._begun is not None:
            config.connection_properties = [bigquery.ConnectionProperty("session_id", self._begun)]
        job = self._engine.client.query(sql, job_config=config, job_retry=None)
        self._job = job
        return job

    def _check(self, sql: str) -> None:
        for name in _TEMPORARY.findall(sql):
            if name not in self._temporary:
                raise InvalidArgument("Not found: a temporary table of another session", reason="invalidQuery")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with translated():
                yield
        except TuleError:
            self.aborted = self._depth > 0
            raise
        finally:
            self._job = None if self._job is not None and self._job.state == "DONE" else self._job

    # -- transactions

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._depth:
            yield
            return
        self._depth, self.aborted, self._made = 1, False, []
        try:
            yield
            if self.aborted:
                raise Aborted("Transaction is aborted: a statement in it failed", reason="invalidQuery")
            with translated():
                for path in self._made:
                    self._engine.settle(path)
                if self._begun is not None:
                    self._run("COMMIT TRANSACTION", ()).result(job_retry=None)
        except BaseException:
            self._undo()
            raise
        finally:
            self._leave()

    def _begin(self) -> None:
        """Begin the service's transaction: its first statement is about to come."""
        if not self._depth or self._begun is not None:
            return
        job = self._run("BEGIN TRANSACTION", (), new_session=True)
        job.result(job_retry=None)
        self._begun = job.session_info.session_id

    def _undo(self) -> None:
        for name, work in (
            ("rollback", lambda: self._begun and self._run("ROLLBACK TRANSACTION", ()).result(job_retry=None)),
            *(
                (path, lambda path=path: self._engine.client.delete_table(path, not_found_ok=True))
                for path in self._made
            ),
        ):
            try:
                with translated():
                    work()
            except TuleError as error:
                # A failed COMMIT has rolled back by itself; a table that stays pending is nobody's.
                _LOG.debug("%s: %s", name, error)

    def _leave(self) -> None:
        self._depth, self.aborted, self._made = 0, False, []
        if self._begun is None:
            return
        try:
            with translated():
                self._run("CALL BQ.ABORT_SESSION()", ()).result(job_retry=None)
        except TuleError as error:
            # It ends by itself after a day.
            _LOG.debug("end of a session: %s", error)
        self._begun = None

    def pin(self, project: str) -> None:
        with self._errors():
            self._begin()
            self._run(f"SELECT COUNT(*) FROM `{self._engine.path(project, 'marks')}`", ()).result(job_retry=None)

    # -- tables

    def statistics(
        self, project: str, table: str, *, columns: Sequence[str] | None = None, where: str = ""
    ) -> tuple[int, int]:
        if self._begun is None:
            return self._engine.statistics(project, table, columns=columns, where=where)
        return self.measured(project, table, columns, where)

    def measured(self, project: str, table: str, columns: Sequence[str] | None, where: str) -> tuple[int, int]:
        """Rows and bytes as this session sees them, by a query."""
        wanted = None if columns is None else {each.lower() for each in columns}
        fields = [each for each in self._engine.fields(project, table) if wanted is None or each.name.lower() in wanted]
        sizes = " + ".join(f"IFNULL(SUM({size(each)}), 0)" for each in fields) or "0"
        condition = f" WHERE {where}" if where else ""
        found = self.query(f"SELECT COUNT(*), {sizes} FROM {self._engine.relation(project, table)}{condition}").table()
        return int(found.column(0)[0].as_py()), int(found.column(1)[0].as_py())

    def create(self, project: str, table: str, fields: Sequence[Any]) -> None:
        with self._errors():
            self._engine.create(project, table, fields, pending=self._depth > 0)
        if self._depth:
            self._made.append(self._engine.path(project, table))

    def create_as(self, project: str, table: str, sql: str, parameters: Parameters = ()) -> int:
        with self.transaction():
            schema = self.schema(sql, parameters)
            fields = [self._engine.field.from_arrow(each) for each in schema]
            self.create(project, table, fields)
            return self._into(self._engine.path(project, table), sql, parameters, schema)

    def _into(self, path: str, sql: str, parameters: Parameters, schema: pa.Schema) -> int:
        """Add a query's rows to a table that this session made."""
        if self._begun is not None:
            # What a transaction has changed, only its own queries see.
            return self._load(path, schema, self.query(sql, parameters).batches)
        with self._errors():
            job = self._run(sql, parameters, destination=path, write_disposition="WRITE_APPEND")
            return int(job.result(job_retry=None, max_results=0).total_rows or 0)

    def append(self, project: str, table: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
        path = self._engine.path(project, table)
        if not self._depth or path in self._made:
            return self._load(path, schema, batches)
        staged = self.temporary(schema, batches)
        names = ", ".join(f"`{name}`" for name in schema.names)
        return self.execute(
            f"INSERT INTO {self._engine.relation(project, table)} ({names}) SELECT {names} FROM {staged}"
        )

    def _load(
        self, path: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], write: str = "WRITE_APPEND"
    ) -> int:
        config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition=write)
        config.parquet_options = bigquery.ParquetOptions.from_api_repr({"enableListInference": True})
        with self._errors():
            known = {each.name.lower(): each for each in self._engine.client.get_table(path).schema}
        config.schema = [known[name.lower()] for name in schema.names if name.lower() in known]
        check_loadable(self._engine.field.from_rest(each.to_api_repr()) for each in config.schema)
        required = [each.name for each in config.schema if each.mode == "REQUIRED"]
        with parquet(schema, filled(batches, required)) as file, self._errors():
            job: Any = self._engine.client.load_table_from_file(file, path, job_config=config)
            self._job = job
            return int(job.result().output_rows or 0)

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
        fields = self._engine.fields(project, table)
        if columns is not None:
            by_name = {each.name: each for each in fields}
            fields = [by_name[name] for name in columns]
        schema = pa.schema([each.arrow for each in fields])
        if count == 0:
            return Rows(schema, iter(()))
        if self._begun is not None or where:
            names = ", ".join(f"`{each.name}`" for each in fields)
            window = "" if count is None and not start else f" LIMIT {2**62 if count is None else count} OFFSET {start}"
            return self.query(
                f"SELECT {names} FROM {self._engine.relation(project, table)}{' WHERE ' * bool(where)}{where}{window}"
            )
        with self._errors():
            whole = not start and count is None
            rows = self._engine.client.list_rows(
                self._engine.path(project, table), schema_of(fields), start_index=start or None, max_results=count
            )
            batches = rows.to_arrow_iterable(bqstorage_client=self._engine.reader if whole else None)
        return Rows(schema, self._conformed(batches, schema))

    def drop(self, project: str, table: str) -> None:
        with self._errors():
            self._engine.client.delete_table(self._engine.path(project, table), not_found_ok=True)

    def mark(self, project: str, job: str, note: str) -> None:
        if len(note) > _LONGEST_NOTE:
            raise InvalidArgument("The note of a mark must be at most 64 KiB", given=f"{len(note)} characters")
        self.execute(
            f"MERGE `{self._engine.path(project, 'marks')}` AS m USING (SELECT @job AS job, @note AS note) AS n "
            "ON m.job = n.job WHEN MATCHED THEN UPDATE SET note = n.note "
            "WHEN NOT MATCHED THEN INSERT (job, note) VALUES (n.job, n.note)",
            {"job": job, "note": note},
        )

    # -- tables of the session alone

    def temporary(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> str:
        path = self._temporary_table(schema)
        self._load(path, schema, batches)
        return _quoted(path)

    def temporary_as(self, sql: str, parameters: Parameters = ()) -> str:
        schema = self.schema(sql, parameters)
        path = self._temporary_table(schema)
        self._into(path, sql, parameters, schema)
        return _quoted(path)

    def stream(self, schema: pa.Schema, batches: Callable[[], Iterable[pa.RecordBatch]]) -> str:
        path = self._temporary_table(schema)
        self._streams[path.rpartition(".")[2]] = (schema, batches)
        return _quoted(path)

    def _fill(self, sql: str) -> None:
        """Load the rows of the streams that a statement reads."""
        for name in set(_TEMPORARY.findall(sql)) & self._streams.keys():
            schema, batches = self._streams[name]
            self._load(self._engine.temporary(name), schema, batches(), "WRITE_TRUNCATE")

    def _temporary_table(self, schema: pa.Schema) -> str:
        name = f"tmp_{secrets.token_hex(12)}"
        fields = [self._engine.field.from_arrow(each) for each in schema]
        path = self._engine.temporary(name)
        made = bigquery.Table(path, schema_of(fields))
        with self._errors():
            self._engine.client.create_table(made)
        self._temporary.add(name)
        return path

    def function(
        self,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        compute: Callable[[pa.RecordBatch], pa.RecordBatch],
        stop: Callable[[], None] | None = None,
        *,
        pure: bool = False,
    ) -> str:
        raise no_functions("bigquery://...")

    # -- ends

    def interrupt(self) -> None:
        job = self._job
        if job is not None:
            with translated():
                self._engine.client.cancel_job(job.job_id, location=job.location)

    def close(self) -> None:
        names, self._temporary, self._streams = self._temporary, set(), {}
        for name in names:
            with translated():
                self._engine.client.delete_table(self._engine.temporary(name), not_found_ok=True)


def _quoted(path: str) -> str:
    return ".".join(f"`{each}`" for each in path.split("."))
