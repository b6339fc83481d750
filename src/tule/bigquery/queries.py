"""Statements of query jobs, one at a time: alone, in a script, in a transaction (``plans``, ``scripts``).

Names, types and values are found wrong while the job runs, and are its error.
https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationQuery
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from tule.bigquery import schemas
from tule.bigquery.catalog import Guard, KeptRows, SessionCatalog, type_text
from tule.bigquery.connections.federation import ExternalQueries, Federation
from tule.bigquery.data_statements import DataStatements
from tule.bigquery.datasets import Datasets
from tule.bigquery.definitions import Definitions, layout_of
from tule.bigquery.destinations import Destination, WriteLocks
from tule.bigquery.engine import Session
from tule.bigquery.errors import invalid, invalid_query, not_found, not_implemented
from tule.bigquery.external.relations import ExternalRelations
from tule.bigquery.external.tables import ExternalTables
from tule.bigquery.information_schema import Asked, InformationSchema
from tule.bigquery.jobs import Job, Jobs, Outcome
from tule.bigquery.materialized_views import MaterializedViews
from tule.bigquery.model_statements import ModelStatements, Run, reference
from tule.bigquery.partitioning import TIME, Partitioning, is_by_loading, stored_fields
from tule.bigquery.permission_statements import PermissionStatements
from tule.bigquery.physical import Physical, fit, new_name, note
from tule.bigquery.plans import QueryPlan
from tule.bigquery.query_cache import Answer, QueryCache
from tule.bigquery.references import RoutineReference, TableReference
from tule.bigquery.result_columns import result_columns
from tule.bigquery.results import Results, Rows, anonymous_table
from tule.bigquery.routines import Routines, check_procedure, check_result
from tule.bigquery.row_policies import RowPolicies
from tule.bigquery.schemas import JsonField
from tule.bigquery.scripts.system import of_statement
from tule.bigquery.scripts.transactions import Transaction
from tule.bigquery.sql import (
    Compilations,
    Compiled,
    Context,
    Name,
    Parameter,
    Parsed,
    Scope,
    compile_check,
    compile_query,
    constant,
)
from tule.bigquery.sql.analysis.doubtful_sums import IN_DOUBT
from tule.bigquery.sql.conditions import filtered
from tule.bigquery.sql.parse import parse
from tule.bigquery.sql.routine_statements import PROCEDURE, RoutineDefinition
from tule.bigquery.sql.rules.read_moments import moment_of
from tule.bigquery.sql.statements import (
    AlterModelOptions,
    AlterTable,
    Computed,
    CreateExternalTable,
    CreateModel,
    CreateRoutineNamed,
    CreateSchema,
    CreateTable,
    CreateView,
    Dml,
    Drop,
    DropRoutineNamed,
    DropSchema,
    ExportModelTo,
    ExportQuery,
    LoadFiles,
    Query,
    Statement,
)
from tule.bigquery.sql.table_definitions import (
    AlterSchema,
    AlterView,
    CopyTable,
    CreateMaterializedView,
    CreateRowAccessPolicy,
    CreateVectorIndex,
    DropRowAccessPolicy,
    DropVectorIndex,
    Permissions,
    UndropSchema,
)
from tule.bigquery.table_statements import TableStatements
from tule.bigquery.tables import Tables, writable
from tule.bigquery.types import arrow_schema, fields_from_rest, fields_of
from tule.kernel.errors import InvalidArgument
from tule.kernel.records import Record, Records

_DML_COUNTS = {
    "INSERT": "insertedRowCount",
    "UPDATE": "updatedRowCount",
    "DELETE": "deletedRowCount",
    "TRUNCATE_TABLE": "deletedRowCount",
}


@dataclass
class Line:
    """One statement's line of work: its session, its catalog and what it holds."""

    session: Session
    catalog: SessionCatalog
    held: ExitStack
    context: Callable[[], Context] = field(repr=False)
    volatile: set[str] = field(default_factory=set)
    """What the statement calls that answers otherwise each time, once it is compiled."""

    def compile(self, tree: Any) -> Compiled:
        compiled = compile_query(tree.copy(), self.context())
        return self.noted(compiled)

    def noted(self, compiled: Compiled) -> Compiled:
        """The statement, after what it reads was measured: once it runs, the session is its alone."""
        self.catalog.reads.note(compiled)
        self.catalog.reads.measure()
        return compiled


@dataclass
class ViewRows:
    """The rows of a materialized view's query, with the tables that they are made of."""

    fields: list[JsonField]
    batches: Iterable[pa.RecordBatch]
    tables: list[TableReference]


class Queries:
    """Runs query jobs. ``models`` is None where machine learning is not installed; ``data``,
    ``external`` and ``federation`` are set by the warehouse."""

    def __init__(
        self,
        records: Records,
        datasets: Datasets,
        tables: Tables,
        physical: Physical,
        results: Results,
        locks: WriteLocks,
        jobs: Jobs,
        definitions: Definitions,
        kept: KeptRows,
        routines: Routines,
        parsed: Parsed,
    ) -> None:
        self._records = records
        self._datasets = datasets
        self._tables = tables
        self._physical = physical
        self._results = results
        self._locks = locks
        self._jobs = jobs
        self._definitions = definitions
        self._kept = kept
        self._routines = routines
        self._parsed = parsed
        self._compilations = Compilations()
        self.models: ModelStatements | None = None
        self.data: DataStatements
        self.external: ExternalTables
        self.federation: Federation
        self.row_policies: RowPolicies
        self.materialized: MaterializedViews
        self.table_statements: TableStatements
        self.permissions: PermissionStatements
        self.cache: QueryCache
        self.information: InformationSchema

    # -- looking

    @contextmanager
    def line(
        self,
        project: str,
        dataset: str | None,
        values: Mapping[str, Parameter],
        guard: Guard,
        job: Job | None = None,
        *,
        looking: bool = False,
        scope: Scope | None = None,
        transaction: Transaction | None = None,
        external: Mapping[str, Any] | None = None,
        user: str | None = None,
    ) -> Iterator[Line]:
        """A session and a catalog for one statement, which is only looked at with ``looking``; everything is let go at
        the end. ``scope`` tells what names mean in a script; a ``transaction`` has a session of its own; ``user`` is who
        asks, where that is not the job's."""
        with ExitStack() as held:
            session = held.enter_context(self._physical.session()) if transaction is None else transaction.session
            if job is not None:
                held.callback(job.on_cancel(session.interrupt))
            catalog = SessionCatalog(
                self._records, self._datasets, self._tables, self._physical, session, held, self._kept, guard,
                self._routines, transaction,
            )  # fmt: skip

            if user is None and job is not None:
                user = job.user
            if user is not None:
                reader = user
                catalog.seen = lambda reference: self.row_policies.condition(reference, reader)
            catalog.now = self._jobs.now
            catalog.is_current = self.materialized.is_current
            catalog.views = lambda where, within, view: self.information.view(
                view, Asked(where, within, user or "", guard)
            )
            check = job.check if job else _nothing
            catalog.external = ExternalRelations(self.external, session, check, external)
            on_cancel = job.on_cancel if job is not None else _never
            catalog.elsewhere = ExternalQueries(self.federation, session, guard, on_cancel, looking=looking)

            volatile: set[str] = set()

            def context() -> Context:
                made = Context(
                    catalog, project, dataset, values, instant=self._jobs.now(), user=user or "", scope=scope or Scope(),
                    dialect=session.dialect,
                )  # fmt: skip
                made.volatile = volatile
                if self.models is not None:
                    models, run = (
                        self.models,
                        Run(job, project, session, context, check, guard, looking, transaction is not None),
                    )
                    made.expand = lambda node, inner: models.expand(node, inner, run)
                return made

            yield Line(session, catalog, held, context, volatile)

    def dry_run(self, plan: QueryPlan) -> dict[str, Any]:
        """The statistics of a job that is not run: type, schema, bytes and tables. A script tells its type alone: what it
        reads depends on what it does before."""
        size, schema, tables = 0, None, []
        statement = plan.statement
        tree = getattr(statement, "query", None) if not isinstance(statement, Query | Dml) else statement.tree
        if statement is not None and tree is not None and not isinstance(tree, str):
            scope = replace(plan.scope or Scope(), system=of_statement(plan, None))
            if plan.session is not None:
                scope = replace(scope, temporary=plan.session.temporary, functions=plan.session.state.functions)
            project = plan.names_project or plan.project
            external = plan.config.get("tableDefinitions")
            with self.line(
                project, plan.dataset, plan.parameters, plan.guard, looking=True, scope=scope, external=external
            ) as line:
                compiled = line.compile(tree)
                if isinstance(statement, Query):
                    schema = result_columns(line.session.schema(compiled.sql, compiled.parameters), compiled.kinds)
                size = line.catalog.reads.total
                self._within_budget(plan, line)
                tables = [each.json() for each in line.catalog.read]
        query: dict[str, Any] = {
            "statementType": plan.type,
            "totalBytesProcessed": str(size),
            "totalBytesBilled": "0",
            "totalBytesProcessedAccuracy": "UPPER_BOUND",
            "cacheHit": False,
            "referencedTables": tables,
        }
        if schema is not None:
            query["schema"] = {"fields": schema}
        return {"totalBytesProcessed": str(size), "query": query}

    def view_schema(self, project: str, text: str, guard: Guard) -> list[JsonField]:
        """The columns of a view's query; raises for one that cannot run."""
        tree = self._parsed.query(text)
        if tree is None:
            raise invalid("A view must be made of one SELECT statement")
        with self.line(project, None, {}, guard, looking=True) as line:
            compiled = line.compile(tree)
            return result_columns(line.session.schema(compiled.sql, compiled.parameters), compiled.kinds)

    def check_function(self, definition: RoutineDefinition, plan: QueryPlan) -> None:
        """Raise for a temporary function whose body cannot run."""
        with self.line(plan.project, None, {}, plan.guard, looking=True, scope=plan.scope) as line:
            _check_body(definition, line)

    def check_routine(self, definition: RoutineDefinition, reference: RoutineReference) -> None:
        """Raise for a function or procedure whose body cannot run."""
        with self.line(reference.project, None, {}, _open_door, looking=True) as line:
            if definition.kind == PROCEDURE:
                check_procedure(definition, reference, line.catalog)
            else:
                _check_body(definition, line)

    def visible(self, table: TableReference, user: str) -> Rows:
        """The rows of a table that a user sees."""
        tree = parse(f"SELECT * FROM `{table.project}`.`{table.dataset}`.`{table.table}`")
        with self.line(table.project, None, {}, _open_door, user=user) as line:
            compiled = line.compile(tree)
            result = line.session.query(compiled.sql, compiled.parameters)
            return self._results.keep(result.schema, result.batches).rows

    @contextmanager
    def view_rows(self, project: str, text: str, job: Job | None) -> Iterator[ViewRows]:
        """The rows of a materialized view's query; raises for one that does not always answer the same."""
        tree = self._parsed.query(text)
        if tree is None:
            raise invalid("A materialized view must be made of one SELECT statement")
        with self.line(project, None, {}, _open_door, job) as line:
            compiled = line.compile(tree)
            if line.volatile or line.catalog.opaque or line.catalog.used or line.catalog.limited:
                what = ", ".join(sorted(line.volatile)) or "tables whose changes are not known here"
                raise invalid_query(f"Materialized view query contains unsupported feature: {what}")
            result = line.session.query(compiled.sql, compiled.parameters)
            fields = result_columns(result.schema, compiled.kinds)
            columns = fields_from_rest(fields)
            batches = (fit(each, columns) for each in result.batches)
            yield ViewRows(fields, batches, list(dict.fromkeys(line.catalog.read)))

    def check_policy(self, table: TableReference, filter: str) -> None:
        """Raise for the filter of a row access policy that cannot run."""
        record = self._tables.record(table)
        columns = ", ".join(f"CAST(NULL AS {type_text(each)}) AS `{each.name}`" for each in
                            fields_from_rest(record.body["schema"]["fields"]))  # fmt: skip
        tree = parse(f"SELECT (\n{filter}\n) AS seen FROM (SELECT {columns}) AS `{table.table}`")
        with self.line(table.project, None, {}, _open_door, looking=True, user="") as line:
            compiled = line.compile(tree)
            (kind,) = fields_of(line.session.schema(compiled.sql, compiled.parameters))
        if (kind.type, kind.repeated) != ("BOOL", False):
            raise invalid_query(f"FILTER USING expression must return type BOOL, but returns {type_text(kind)}")

    def filtered(self, table: TableReference, restriction: str, user: str) -> Iterator[pa.RecordBatch]:
        """The rows of a table for which a GoogleSQL condition holds, of those that a user sees."""
        tree = filtered(Name(table.project, table.dataset, table.table), restriction)
        with self.line(table.project, None, {}, _open_door, user=user) as line:
            compiled = line.compile(tree)
            yield from line.session.query(compiled.sql, compiled.parameters).batches

    # -- running

    def execute(self, job: Job, plan: QueryPlan) -> Outcome:
        """Run a job's statement."""
        assert plan.statement is not None
        statement = self._with_options(job, plan, plan.statement)
        outcome = self._inside(job, plan, statement) if plan.transaction else self._dispatch(job, plan, statement)
        query = outcome.statistics.setdefault("query", {})
        query.setdefault("statementType", statement.kind)
        query.setdefault("totalBytesProcessed", "0")
        query.setdefault("totalBytesBilled", query["totalBytesProcessed"])
        query.setdefault("cacheHit", False)
        outcome.statistics.setdefault("totalBytesProcessed", query["totalBytesProcessed"])
        return outcome

    def _with_options(self, job: Job, plan: QueryPlan, statement: Statement) -> Statement:
        """The statement with the options that functions make computed."""
        if not isinstance(statement, CreateSchema | CreateTable | CreateView):
            return statement
        if not any(isinstance(given, Computed) for given in statement.options.values()):
            return statement
        options = dict(statement.options)
        with self._line(job, plan) as line:
            for name, given in options.items():
                if isinstance(given, Computed):
                    compiled = line.compile(constant(given.tree))
                    options[name] = _written(line.catalog.constant(compiled.sql, compiled.parameters))
        return replace(statement, options=options)

    def _inside(self, job: Job, plan: QueryPlan, statement: Statement) -> Outcome:
        """Run a statement of an open transaction: of definitions only those of temporary tables may be among them."""
        assert plan.transaction is not None
        match statement:
            case Query():
                return self._select(job, plan, statement)
            case Dml():
                return self._dml_inside(job, plan, plan.transaction, statement)
            case CreateTable() if _is_temporary(plan, statement.target):
                return self._create_inside(job, plan, plan.transaction, statement)
            case Drop() if _is_temporary(plan, statement.target):
                return self._definitions.drop(statement, plan.transaction)
        raise invalid_query(
            f"{statement.kind.replace('_', ' ')} is not supported inside a transaction: of definitions, only those of "
            "temporary tables and functions are"
        )

    def _dispatch(self, job: Job, plan: QueryPlan, statement: Statement) -> Outcome:
        match statement:
            case Query():
                return self._select(job, plan, statement)
            case Dml():
                return self._dml(job, plan, statement)
            case CreateTable():
                return self._create_table(job, plan, statement)
            case CreateView():
                plan.guard("bigquery.tables.create", _table(statement.target).name)
                columns = self.view_schema(plan.project, statement.query, plan.guard)
                return self._definitions.create_view(statement, columns)
            case CreateSchema():
                plan.guard("bigquery.datasets.create", f"projects/{statement.project}")
                return self._definitions.create_schema(statement)
            case DropSchema():
                plan.guard("bigquery.datasets.delete", f"projects/{statement.project}/datasets/{statement.dataset}")
                return self._definitions.drop_schema(statement)
            case Drop():
                kind = "models" if statement.kind == "DROP_MODEL" else "tables"
                plan.guard(f"bigquery.{kind}.delete", _table(statement.target).name)
                return self._definitions.drop(statement)
            case AlterTable():
                plan.guard("bigquery.tables.update", _table(statement.target).name)
                return self._definitions.alter_table(statement)
            case CreateRoutineNamed() if statement.target is not None:
                plan.guard("bigquery.routines.create", _dataset(statement.target))
                return self._routines.create(statement)
            case DropRoutineNamed():
                plan.guard("bigquery.routines.delete", _routine(statement.target))
                return self._routines.drop(statement)
            case LoadFiles():
                plan.guard("bigquery.tables.updateData", _table(statement.table.target).name)
                return self.data.load(job, statement)
            case ExportQuery():
                return self._export(job, plan, statement)
            case CreateExternalTable():
                plan.guard("bigquery.tables.create", _table(statement.target).name)
                return self.data.create_external(statement)
            case CreateModel() | AlterModelOptions() | ExportModelTo():
                return self._model(job, plan, statement)
        return self._about_table(job, plan, statement)

    def _about_table(self, job: Job, plan: QueryPlan, statement: Statement) -> Outcome:
        """Statements about tables that already are."""
        about = self.table_statements
        match statement:
            case CopyTable():
                target = _table(statement.target)
                plan.guard("bigquery.tables.getData", _table(statement.source).name)
                plan.guard("bigquery.tables.create", target.name)
                self.row_policies.check_all(_table(statement.source), job.user, "A copy")
                outcome = about.copy(statement, lambda node: self._moment(job, plan, node))
                outcome.configuration = _writes(target, "WRITE_EMPTY")
                return outcome
            case CreateVectorIndex() | DropVectorIndex():
                return self._vector_index(job, plan, statement)
            case CreateMaterializedView():
                plan.guard("bigquery.tables.create", _table(statement.target).name)
                self.view_schema(plan.project, statement.query, plan.guard)
                return self.materialized.create(job, statement)
            case AlterView():
                plan.guard("bigquery.tables.update", _table(statement.target).name)
                materialized = statement.kind == "ALTER_MATERIALIZED_VIEW"
                return self.materialized.alter(statement) if materialized else about.alter_view(statement)
            case AlterSchema():
                plan.guard("bigquery.datasets.update", f"projects/{statement.project}/datasets/{statement.dataset}")
                return about.alter_schema(statement)
            case Permissions():
                return self.permissions.run(statement, plan.guard)
            case UndropSchema():
                plan.guard("bigquery.datasets.create", f"projects/{statement.project}")
                return about.undrop_schema(statement)
            case CreateRowAccessPolicy():
                plan.guard("bigquery.rowAccessPolicies.create", _table(statement.target).name)
                return about.create_policy(statement)
            case DropRowAccessPolicy():
                plan.guard("bigquery.rowAccessPolicies.delete", _table(statement.target).name)
                return about.drop_policy(statement)
        raise not_implemented(f"The statement {statement.kind}")

    def _moment(self, job: Job, plan: QueryPlan, node: Any) -> datetime:
        """The value of FOR SYSTEM_TIME AS OF."""
        with self._line(job, plan) as line:
            return moment_of(node, line.context())

    def _line(self, job: Job, plan: QueryPlan) -> Any:
        return self.line(
            plan.names_project or plan.project, plan.dataset, plan.parameters, plan.guard, job, scope=plan.scope,
            transaction=plan.transaction, external=plan.config.get("tableDefinitions"),
        )  # fmt: skip

    def _within_budget(self, plan: QueryPlan, line: Line) -> None:
        if plan.maximum_bytes is not None and (size := line.catalog.reads.billed) > plan.maximum_bytes:
            raise invalid_budget(plan.maximum_bytes, size)

    def _select(self, job: Job, plan: QueryPlan, statement: Query) -> Outcome:
        key = self.cache.key(plan, job.user)
        if key is not None and (found := self.cache.find(key)) is not None:
            return self._again(job, plan, found)
        try:
            # A failure inside a transaction is the end of it.
            return self._selected(job, plan, statement, key, quick=plan.transaction is None)
        except InvalidArgument as error:
            if IN_DOUBT not in error.message:
                raise
        return self._selected(job, plan, statement, key, quick=False)

    def _selected(self, job: Job, plan: QueryPlan, statement: Query, key: str | None, *, quick: bool) -> Outcome:
        with self._line(job, plan) as line:
            if plan.config.get("tableDefinitions"):
                compiled = line.compile(statement.tree)
            else:
                compiled = line.noted(self._compilations.compile(plan.text, statement.tree, line.context, quick=quick))
            states = self.cache.states(line.catalog.read) if key is not None else {}
            self._within_budget(plan, line)
            result = line.session.query(compiled.sql, compiled.parameters)
            fields = result_columns(result.schema, compiled.kinds)
            about = self._about(line, fields)
            if plan.destination is not None:
                outcome = self._stored(job, plan, fields, result.batches, about)
            else:
                kept = self._results.keep(result.schema, _watched(job, result.batches))
                anonymous = anonymous_table(job.reference, job.user)
                outcome = Outcome(
                    {"query": about},
                    configuration=_writes(anonymous, "WRITE_TRUNCATE"),
                    private={"result": kept},
                    result=kept.rows,
                    undo=lambda: self._results.drop(kept),
                )
                if (
                    key is not None
                    and compiled.repeatable
                    and not (line.volatile or line.catalog.opaque or line.catalog.used or line.catalog.limited)
                ):
                    self.cache.keep(key, Answer(kept, about, states))
        return outcome

    def _again(self, job: Job, plan: QueryPlan, answer: Answer) -> Outcome:
        """The answer that the same query had before."""
        for name in answer.states:
            plan.guard("bigquery.tables.getData", name)
        about = {**answer.about, "totalBytesProcessed": "0", "totalBytesBilled": "0", "cacheHit": True}
        return Outcome(
            {"query": about},
            configuration=_writes(anonymous_table(job.reference, job.user), "WRITE_TRUNCATE"),
            private={"result": answer.kept},
            result=answer.kept.rows,
        )

    @staticmethod
    def _about(line: Line, fields: Sequence[JsonField] | None = None) -> dict[str, Any]:
        about: dict[str, Any] = {
            "totalBytesProcessed": str(line.catalog.reads.total),
            "totalBytesBilled": str(line.catalog.reads.billed),
        }
        if partitions := line.catalog.reads.partitions:
            about["totalPartitionsProcessed"] = str(partitions)
        if line.catalog.used:
            about["referencedRoutines"] = [each.json() for each in line.catalog.used]
        if line.catalog.read:
            about["referencedTables"] = [each.json() for each in dict.fromkeys(line.catalog.read)]
        if fields is not None:
            about["schema"] = {"fields": list(fields)}
        return about

    def _stored(
        self,
        job: Job,
        plan: QueryPlan,
        fields: Sequence[JsonField],
        batches: Iterable[pa.RecordBatch],
        about: dict[str, Any],
    ) -> Outcome:
        """Write the rows of a query to its destination table."""
        assert plan.destination is not None
        plan.guard("bigquery.tables.updateData", plan.destination.name)
        destination = Destination(
            self._tables, self._physical, self._locks, plan.destination, plan.config, default_write="WRITE_EMPTY",
            partition=plan.partition,
        )  # fmt: skip

        def make(into: Sequence[JsonField]) -> Iterator[pa.RecordBatch]:
            columns = fields_from_rest(into)
            for batch in batches:
                yield fit(batch, columns)

        def statistics(rows: int) -> dict[str, Any]:
            return {"query": {**about, "outputRows": str(rows)}}

        outcome = destination.store(job, fields, make, statistics)
        outcome.private["result"] = {"table": plan.destination.json()}
        return outcome

    def _export(self, job: Job, plan: QueryPlan, statement: ExportQuery) -> Outcome:
        with self._line(job, plan) as line:
            compiled = line.compile(statement.query)
            self._within_budget(plan, line)
            result = line.session.query(compiled.sql, compiled.parameters)
            result_columns(result.schema)
            return Outcome({"query": {**self._about(line), **self.data.export(job, statement, result, result.batches)}})

    def _dml(self, job: Job, plan: QueryPlan, statement: Dml) -> Outcome:
        target = _table(statement.target)
        plan.guard("bigquery.tables.updateData", target.name)
        self._tables.current(target)
        held = ExitStack()
        held.enter_context(self._locks.hold(target.name, check=job.check))
        try:
            record = self._tables.find(target)
            if record is None:
                self._datasets.check(target.parent)
                raise not_found("Table", target, location=self._datasets.location(target.parent))
            physical = writable(record)
            if statement.kind != "INSERT":
                self.row_policies.check_all(target, job.user, f"{statement.kind} of")
            before: dict[str, str | None] = {}
            with self._line(job, plan) as line:
                compiled = line.compile(statement.tree)
                self._within_budget(plan, line)
                about = self._about(line)
                if statement.kind != "INSERT":
                    line.held.enter_context(self._physical.changing(target.project, physical))
                with line.session.transaction():
                    if statement.kind != "INSERT":
                        before[target.name] = self._tables.history.copy(line.session, record)
                    about |= _counted(statement, line.session.execute(compiled.sql, compiled.parameters))
                    self._check_loading(line.session, plan, record)
                    marker = note({"query": about}, [target.name], before)
                    line.session.mark(target.project, job.reference.name, marker)
        except BaseException:
            held.close()
            raise
        return Outcome(
            {"query": about},
            # The service names the table that a statement changes as the job's destination; clients look there.
            configuration=_writes(target, "WRITE_APPEND"),
            commit=lambda: self._tables.touch(target, before.get(target.name), grown=not before, how=statement.kind),
            after=lambda: self._physical.done_with(target.project, job.reference.name),
            release=held.close,
        )

    def _check_loading(self, session: Session, plan: QueryPlan, record: Record) -> None:
        """Raise where a statement gave rows a time of loading that is none of a partition."""
        partitioning = Partitioning.of(record.body)
        if partitioning is None or not partitioning.by_loading or TIME not in plan.text.upper():
            return
        reference = TableReference.of(record.name)
        relation = self._physical.relation(reference.project, writable(record))
        found = session.query(
            f"SELECT count(*) FROM {relation} WHERE {self._physical.said(partitioning.misplaced)}"
        ).table()
        if found.column(0)[0].as_py():
            # What the statement did is undone with the rest of the transaction, of which the rest is done again.
            session.aborted = True
            raise invalid_query(
                f"Values of {TIME} must be the beginning of a partition of {reference}, which is partitioned by "
                f"{partitioning.grain}; given: {found.column(0)[0].as_py()} rows with others. Next: write "
                f"TIMESTAMP_TRUNC(value, {partitioning.grain})"
            )

    def _create_table(self, job: Job, plan: QueryPlan, statement: CreateTable) -> Outcome:
        target = _table(statement.target)
        plan.guard("bigquery.tables.create", target.name)
        if statement.like is not None and statement.copies_rows:
            self.row_policies.check_all(_table(statement.like), job.user, "A copy")
        if statement.query is None:
            outcome = self._definitions.create_table(statement)
            outcome.configuration = _writes(target, "WRITE_EMPTY")
            return outcome
        held = ExitStack()
        held.enter_context(self._locks.hold(target.name, check=job.check))
        try:
            if skipped := self._definitions.skipped(statement):
                held.close()
                return skipped
            with self._line(job, plan) as line:
                compiled = line.compile(statement.query)
                self._within_budget(plan, line)
                result = line.session.query(compiled.sql, compiled.parameters)
                fields, batches = _shaped(statement, result, job, compiled)
                if is_by_loading(layout_of(statement)):
                    raise invalid_query("The AS query_statement clause cannot be used with PARTITION BY _PARTITIONDATE")
                name, rows = self._physical.fill(target.project, fields, batches)
                about = self._about(line)
            outcome = self._definitions.created(statement, fields, name)
            outcome.statistics["query"] |= {**about, "outputRows": str(rows)}
            outcome.configuration = _writes(target, "WRITE_EMPTY")
        except BaseException:
            held.close()
            raise
        outcome.release = held.close
        return outcome

    def _model(self, job: Job, plan: QueryPlan, statement: CreateModel | AlterModelOptions | ExportModelTo) -> Outcome:
        if self.models is None:
            raise not_implemented(f"{statement.kind.replace('_', ' ')}", do="start a server with machine learning")
        target = reference(statement.target)
        verb = {"CREATE_MODEL": "create", "ALTER_MODEL": "updateMetadata", "EXPORT_MODEL": "export"}[statement.kind]
        plan.guard(f"bigquery.models.{verb}", target.name)
        self._datasets.check(target.parent)
        with self._line(job, plan) as line:
            run = Run(
                job, plan.project, line.session, line.context, job.check, plan.guard,
                tables=lambda: list(dict.fromkeys(line.catalog.read)),
            )  # fmt: skip
            if isinstance(statement, CreateModel):
                outcome = self.models.create(statement, run)
                # A model is the destination of the job that trains it: clients look there for its name.
                outcome.configuration = _writes(
                    TableReference(target.project, target.dataset, target.model), "WRITE_EMPTY"
                )
            elif isinstance(statement, AlterModelOptions):
                outcome = self.models.alter(statement, run)
            else:
                outcome = self.models.export(statement, run)
            about = self._about(line)
        query = outcome.statistics.setdefault("query", {})
        for key, value in about.items():
            query.setdefault(key, value)
        if statement.kind != "EXPORT_MODEL":
            query.setdefault(
                "ddlTargetTable",
                {"projectId": target.project, "datasetId": target.dataset, "tableId": target.model},
            )
        return outcome

    def _vector_index(self, job: Job, plan: QueryPlan, statement: CreateVectorIndex | DropVectorIndex) -> Outcome:
        if self.models is None:
            raise not_implemented(statement.kind.replace("_", " "), do="start a server with machine learning")
        target = _table(statement.target)
        verb = "createIndex" if isinstance(statement, CreateVectorIndex) else "deleteIndex"
        plan.guard(f"bigquery.tables.{verb}", target.name)
        self._datasets.check(target.parent)
        if isinstance(statement, DropVectorIndex):
            return self.models.drop_index(statement)
        with self._line(job, plan) as line:
            run = Run(job, plan.project, line.session, line.context, job.check, plan.guard)
            return self.models.create_index(statement, run)

    # -- inside a transaction

    def _dml_inside(self, job: Job, plan: QueryPlan, transaction: Transaction, statement: Dml) -> Outcome:
        target = _table(statement.target)
        plan.guard("bigquery.tables.updateData", target.name)
        if statement.kind != "INSERT":
            self.row_policies.check_all(target, job.user, f"{statement.kind} of")
        record = transaction.write(target, changes_rows=statement.kind != "INSERT")
        with self._line(job, plan) as line:
            compiled = line.compile(statement.tree)
            self._within_budget(plan, line)
            about = self._about(line)

            def change(session: Session) -> int:
                rows = session.execute(compiled.sql, compiled.parameters)
                self._check_loading(session, plan, record)
                return rows

            rows = transaction.do(change, exact=compiled.exact)
        transaction.wrote(target)
        about |= _counted(statement, rows)
        return Outcome({"query": about}, configuration=_writes(target, "WRITE_APPEND"))

    def _create_inside(self, job: Job, plan: QueryPlan, transaction: Transaction, statement: CreateTable) -> Outcome:
        """A temporary table: its rows are kept, so that they are the same should the transaction have to begin again."""
        if statement.like is not None:
            raise not_implemented("CREATE TABLE LIKE, COPY or CLONE in a transaction", do="use AS SELECT")
        target = _table(statement.target)
        if skipped := self._definitions.skipped(statement):
            return skipped
        about: dict[str, Any] = {}
        kept = None
        if statement.query is None:
            fields = schemas.checked([each.rest() for each in statement.fields or ()])
        else:
            with self._line(job, plan) as line:
                compiled = line.compile(statement.query)
                self._within_budget(plan, line)
                result = line.session.query(compiled.sql, compiled.parameters)
                fields, batches = _shaped(statement, result, job, compiled)
                kept = self._results.keep(arrow_schema(fields_from_rest(fields)), batches)
                about = {**self._about(line), "outputRows": str(kept.rows.num_rows)}
            transaction.keep(lambda: self._results.drop(kept))
        name, columns = new_name(), fields_from_rest(fields)
        stored = fields_from_rest(stored_fields(layout_of(statement), fields))

        def make(session: Session) -> None:
            session.create(target.project, name, stored)
            if kept is not None:
                session.append(target.project, name, arrow_schema(columns), kept.rows.scan())

        transaction.do(make, exact=True)
        outcome = self._definitions.created(statement, fields, name, transaction)
        outcome.statistics["query"] |= about
        return outcome


def _is_temporary(plan: QueryPlan, name: Any) -> bool:
    temporary = plan.scope.temporary if plan.scope is not None else None
    return temporary is not None and (name.project, name.dataset) == (temporary.project, temporary.dataset)


def _written(value: Any) -> Any:
    """A computed value as options have constants."""
    if isinstance(value, list):
        return [_written(each) for each in value]
    if isinstance(value, dict):
        return tuple(_written(each) for each in value.values())
    return value.isoformat() if isinstance(value, date) else value


def _counted(statement: Dml, rows: int) -> dict[str, Any]:
    """What the statistics say of the rows that a statement changed."""
    made: dict[str, Any] = {"numDmlAffectedRows": str(rows), "statementType": statement.kind}
    if statement.kind in _DML_COUNTS:
        made["dmlStats"] = {_DML_COUNTS[statement.kind]: str(rows)}
    return made


def _shaped(
    statement: CreateTable, result: Any, job: Job, compiled: Compiled
) -> tuple[list[JsonField], Iterator[pa.RecordBatch]]:
    """The columns of CREATE TABLE AS SELECT, and the query's rows in them."""
    given = fields_of(result.schema)
    if statement.fields is None:
        columns = fields_from_rest(result_columns(result.schema, compiled.kinds))
    else:
        if len(statement.fields) != len(given):
            raise invalid(
                f"Number of columns in the column definition list ({len(statement.fields)}) does not match "
                f"that of the query ({len(given)})"
            )
        columns = statement.fields
    fields = schemas.checked([each.rest() for each in columns])
    names = [each.name for each in columns]
    fitted = fields_from_rest(fields)
    return fields, (fit(batch.rename_columns(names), fitted) for batch in _watched(job, result.batches))


def _writes(table: TableReference, disposition: str) -> dict[str, Any]:
    """What a finished job's configuration says of the table that it wrote."""
    return {
        "query": {
            "destinationTable": table.json(),
            "createDisposition": "CREATE_IF_NEEDED",
            "writeDisposition": disposition,
        }
    }


def _table(name: Any) -> TableReference:
    return TableReference(name.project, name.dataset, name.table)


def _dataset(name: Any) -> str:
    return f"projects/{name.project}/datasets/{name.dataset}"


def _routine(name: Any) -> str:
    return RoutineReference(name.project, name.dataset, name.table).name


def invalid_budget(limit: int, size: int) -> Exception:
    error = invalid(f"Query exceeded limit for bytes billed: {limit}. {size} or higher required.")
    error.reason = "bytesBilledLimitExceeded"
    return error


def _watched(job: Job, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        job.check()
        yield batch


def _check_body(definition: RoutineDefinition, line: Line) -> None:
    if definition.language == "SQL" and (compiled := compile_check(definition, line.context())) is not None:
        check_result(definition, line.session.schema(compiled.sql, compiled.parameters))


def _nothing() -> None:
    return None


def _never(interrupt: Callable[[], None]) -> Callable[[], None]:
    """Nobody can cancel what is no job."""
    return _nothing


def _open_door(permission: str, name: str) -> None:
    """The caller was checked before."""
