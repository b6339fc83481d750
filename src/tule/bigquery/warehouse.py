"""The warehouse: builds the room's parts, answers what needs several of them, and keeps time and crashes in mind."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from tule.bigquery.anonymous import AnonymousTables
from tule.bigquery.answers import Answers
from tule.bigquery.catalog import Guard, PublicTables
from tule.bigquery.connections.connections import Connections
from tule.bigquery.connections.federation import Federation
from tule.bigquery.copies import Copies
from tule.bigquery.data_statements import DataStatements
from tule.bigquery.datasets import Datasets
from tule.bigquery.definitions import Definitions
from tule.bigquery.deleted_datasets import DeletedDatasets
from tule.bigquery.destinations import WriteLocks
from tule.bigquery.engine import QueryEngine
from tule.bigquery.errors import invalid, not_found
from tule.bigquery.external.tables import ExternalTables
from tule.bigquery.extracts import Extracts
from tule.bigquery.information_schema import InformationSchema
from tule.bigquery.javascript import Engine, Functions
from tule.bigquery.job_requests import JobRequests
from tule.bigquery.jobs import Jobs, Outcome
from tule.bigquery.loads import Loads
from tule.bigquery.materialized_views import MaterializedViews
from tule.bigquery.model_statements import ModelStatements
from tule.bigquery.models import Models
from tule.bigquery.partitions import Partitions
from tule.bigquery.permission_statements import PermissionStatements
from tule.bigquery.physical import Physical
from tule.bigquery.plans import Planner
from tule.bigquery.queries import Queries
from tule.bigquery.query_cache import QueryCache
from tule.bigquery.read_sessions import ReadSessions
from tule.bigquery.readable import Sources
from tule.bigquery.references import DatasetReference, JobReference, TableReference
from tule.bigquery.results import Results, Rows
from tule.bigquery.routines import Routines
from tule.bigquery.row_policies import RowPolicies
from tule.bigquery.rows import TableRows
from tule.bigquery.scripts.procedures import Procedures
from tule.bigquery.scripts.runs import Runs
from tule.bigquery.scripts.sessions import Sessions
from tule.bigquery.scripts.transactions import Transactions
from tule.bigquery.snapshots import Snapshots
from tule.bigquery.source_files import FileSystems, ObjectFiles, SourceFiles
from tule.bigquery.sql import Parsed
from tule.bigquery.table_statements import TableStatements
from tule.bigquery.tables import Tables
from tule.bigquery.write_streams import WriteStreams
from tule.kernel.access import Principal
from tule.kernel.clock import Clock
from tule.kernel.home import Home
from tule.kernel.iam import Policies
from tule.kernel.projects import Projects
from tule.kernel.records import Records
from tule.kernel.uploads import Uploads

_LOG = logging.getLogger(__name__)
_SWEEP = timedelta(hours=6)


class AccessCheck(Protocol):
    """What this room needs of ``kernel.access``."""

    def check(self, principal: Principal, permission: str, resource: str) -> None:
        """Raise PermissionDenied unless the principal has the permission."""


class Warehouse:
    """BigQuery's behaviour behind its doors."""

    def __init__(
        self,
        *,
        records: Records,
        clock: Clock,
        home: Home,
        engine: QueryEngine,
        objects: ObjectFiles,
        folders: FileSystems,
        federation: Federation,
        connections: Connections,
        access: AccessCheck,
        policies: Policies,
        projects: Projects,
        public: PublicTables | None = None,
        workers: int = 16,
    ) -> None:
        self.records = records
        self.clock = clock
        self.projects = projects
        self._access = access
        self._policies = policies
        self._engine = engine
        self.physical = Physical(engine)
        self.datasets = Datasets(records, policies)
        self.tables = Tables(records, self.datasets, self.physical, clock)
        self.models = Models(records, self.datasets, clock)
        self.routines = Routines(records, self.datasets)
        self.results = Results(home, clock)
        self.jobs = Jobs(records, clock, workers=workers)
        self.uploads = Uploads(records, home, clock, "bigqueryUploads")
        self.sources = Sources(self.tables, self.physical)
        self.anonymous = AnonymousTables(self.jobs, self.results, public)
        self.answers = Answers(self.jobs, self.results, self.sources)
        locks = WriteLocks()
        self.rows = TableRows(self.tables, self.sources, self.physical, locks, clock)
        self.partitions = Partitions(records, self.tables, self.physical, locks, clock)
        self.tables.settle = self.partitions.settle
        parsed = Parsed()
        self.sessions = Sessions(records, self.tables, clock)
        self.plans = Planner(parsed, self.sessions)
        self.definitions = Definitions(
            records, self.datasets, self.tables, self.models, self.physical, self.sources, locks, clock
        )
        self.queries = Queries(
            records,
            self.datasets,
            self.tables,
            self.physical,
            self.results,
            locks,
            self.jobs,
            self.definitions,
            self.anonymous.rows,
            self.routines,
            parsed,
        )
        procedures = Procedures(self.routines, parsed, self.jobs, self.sessions)
        self.runs = Runs(
            self.queries,
            self.jobs,
            parsed,
            self.tables,
            procedures,
            Transactions(records, self.tables, self.physical, locks),
            self.sessions,
        )
        self._objects = objects
        self.files = SourceFiles(objects, folders)
        self.external = ExternalTables(self.files)
        self.loads = Loads(self.tables, self.physical, locks, self.files)
        self.extracts = Extracts(self.sources, objects, home.folder("uploads"))
        self.queries.data = DataStatements(self.datasets, self.tables, self.loads, self.extracts)
        self.snapshots = Snapshots(self.tables, self.physical, clock)
        self.row_policies = RowPolicies(records, self.tables, policies)
        self.deleted_datasets = DeletedDatasets(records, self.datasets, self.tables, clock)
        cache = QueryCache(self.tables, clock)
        self.states = cache.states
        self.materialized_views = MaterializedViews(records, self.tables, self.physical, locks, cache, clock)
        self.copies = Copies(
            self.tables, self.models, self.sources, self.physical, locks, self.snapshots, self.row_policies, clock
        )
        self.requests = JobRequests(
            clock=clock,
            jobs=self.jobs,
            answers=self.answers,
            results=self.results,
            plans=self.plans,
            queries=self.queries,
            runs=self.runs,
            loads=self.loads,
            extracts=self.extracts,
            copies=self.copies,
            guard=self.guard,
        )
        self.read_sessions = ReadSessions(records, self.sources, self.physical, home, clock)
        self.write_streams = WriteStreams(records, self.tables, self.physical, locks, clock)
        self.read_sessions.filtered = self.queries.filtered
        self.read_sessions.job_rows = self.answers.rows_of
        self.sources.kept = self.anonymous.rows
        self.sources.seen = self._seen
        self.datasets.remember = self.deleted_datasets.remember
        self.tables.materialize = self.materialized_views.insert
        self.row_policies.check = self.queries.check_policy
        self.materialized_views.run = self.queries.view_rows
        procedures.refresh = self.materialized_views.refresh
        self.queries.row_policies = self.row_policies
        self.queries.materialized = self.materialized_views
        self.queries.cache = cache
        self.queries.information = InformationSchema(records, self.datasets, self.tables, self.jobs, policies)
        self.queries.table_statements = TableStatements(
            self.datasets, self.tables, self.snapshots, self.row_policies, self.deleted_datasets
        )
        self.queries.permissions = PermissionStatements(self.datasets, self.tables, policies)
        self.tables.anonymous = self.anonymous.resource
        self.tables.view_schema = lambda reference, text: self.queries.view_schema(reference.project, text, _trusted)
        self.queries.external = self.external
        self.queries.federation = federation
        self.connections = connections
        self.tables.external_schema = self.external.schema
        self.routines.validate = self.queries.check_routine
        self._timer: Callable[[], None] | None = None
        self._timer_lock = threading.Lock()
        self._stopped = False

    def use_javascript(self, engine: Engine) -> None:
        """Let functions in JavaScript run."""
        self.routines.javascript = Functions(engine, self._objects)

    def use_models(self, models: ModelStatements) -> None:
        """Let queries train and use models."""
        self.queries.models = models
        self.models.forget = models.forget
        self.extracts.export_model = models.extract
        self.copies.copy_model = models.copy

    # -- life

    def start(self) -> None:
        """Bring what a crash left to a true state, and begin to keep time."""
        self.jobs.recover(self._happened)
        self.sessions.recover()
        self.uploads.sweep(starting=True)
        self.connections.recover()
        self.write_streams.recover()
        self.read_sessions.recover()
        for project in self._engine.projects():
            known = self.tables.physical_names(project) | self.write_streams.physical_names(project)
            dropped = self.physical.sweep(project, known)
            if dropped:
                _LOG.info("%d physical tables of %s that no table named were dropped", dropped, project)
            self._engine.forget(project, self._engine.marks(project))
        self._tick()
        self.materialized_views.start()

    def stop(self) -> None:
        """End jobs truthfully and let the engine go; idempotent."""
        with self._timer_lock:
            if self._stopped:
                return
            self._stopped = True
            if self._timer is not None:
                self._timer()
        self.materialized_views.stop()
        self.jobs.stop()
        self.sessions.close()
        self._engine.close()

    def _tick(self) -> None:
        """Remove what is over (nobody is shown it any more), and come back in some hours."""
        try:
            self.tables.expire()
            self.partitions.sweep()
            self.tables.history.sweep()
            self.deleted_datasets.sweep()
            self.models.expire()
            self.results.sweep()
            self.sessions.sweep()
            self.read_sessions.sweep()
            self.write_streams.sweep()
            self.uploads.sweep()
            self.jobs.purge()
        except Exception:
            _LOG.exception("Expired things could not be removed now; the next sweep tries again")
        with self._timer_lock:
            if not self._stopped:
                self._timer = self.clock.call_at(self.clock.now() + _SWEEP, self._tick)

    def _happened(self, job: JobReference, body: dict[str, Any]) -> Outcome | None:
        """Whether a job that a crash cut off took effect: its marker in the engine tells."""
        for project in self._engine.projects():
            text = self._engine.marked(project, job.name)
            if text is not None:
                said = json.loads(text)
                tables = [TableReference.of(name) for name in said["tables"]]
                before = said.get("before", {})

                def commit(tables: Sequence[TableReference] = tables, before: dict[str, Any] = before) -> None:
                    for each in tables:
                        self.tables.touch(each, before.get(each.name), grown=each.name not in before)

                return Outcome(said["statistics"], commit=commit)
        return None

    # -- projects, policies

    def list_projects(self, *, page_size: int = 0, page_token: str = "") -> tuple[list[dict[str, Any]], str]:
        """The projects that were used here."""
        found = self.records.list("project", "", page_size=page_size, page_token=page_token)
        return [_project(each.body) for each in found], found.next_page_token

    def service_account(self, project: str) -> str:
        return f"bq-{self.projects.number(project)}@bigquery-encryption.iam.gserviceaccount.com"

    def guard(self, principal: Principal) -> Guard:
        """What raises where ``principal`` lacks a permission on a record; the owner lacks none."""
        return lambda permission, resource: self._access.check(principal, permission, resource)

    def _seen(self, table: TableReference, user: str) -> Rows | None:
        """The rows of a table that a user sees; None where these are all."""
        return None if self.row_policies.condition(table, user) is None else self.queries.visible(table, user)

    def check_read(self, table: TableReference, principal: Principal) -> None:
        self._access.check(principal, "bigquery.tables.getData", table.name)

    def table_policy(
        self, table: TableReference, action: str, body: Mapping[str, Any], principal: Principal
    ) -> dict[str, Any]:
        """getIamPolicy, setIamPolicy and testIamPermissions of a table."""
        if action not in ("getIamPolicy", "setIamPolicy", "testIamPermissions"):
            raise not_found("Method", action)
        if self.tables.find(table) is None:
            raise self.tables.missing(table)
        if action == "getIamPolicy":
            return self._policies.get(table.name)
        if action == "setIamPolicy":
            self._access.check(principal, "bigquery.tables.setIamPolicy", table.name)
            if not isinstance(body.get("policy"), dict):
                raise invalid("Required parameter is missing: policy")
            return self._policies.set(table.name, dict(body["policy"]))
        wanted = [str(each) for each in body.get("permissions") or []]
        held = wanted if principal.owner else self._policies.test(principal.email, table.name, wanted)
        return {"permissions": held} if held else {}

    def delete_dataset(self, reference: DatasetReference, *, contents: bool) -> None:
        self.datasets.delete(reference, contents=contents, drop=self.definitions.drop_contents)


def _project(body: Mapping[str, Any]) -> dict[str, Any]:
    project = body["projectId"]
    return {
        "kind": "bigquery#project",
        "id": project,
        "numericId": body["projectNumber"],
        "projectReference": {"projectId": project},
        "friendlyName": project,
    }


def _trusted(permission: str, name: str) -> None:
    """The caller may make the view; whoever reads it is checked then."""
