"""The warehouse: builds the room's parts, answers what needs several of them, and keeps time and crashes in mind."""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

import pyarrow as pa

from tule.bigquery import paging
from tule.bigquery.catalog import Guard, PublicTables
from tule.bigquery.copies import Copies
from tule.bigquery.datasets import Datasets
from tule.bigquery.definitions import Definitions
from tule.bigquery.destinations import WriteLocks
from tule.bigquery.engine import QueryEngine
from tule.bigquery.errors import invalid, not_found, not_implemented, raised
from tule.bigquery.extracts import Extracts
from tule.bigquery.formats.sources import Source
from tule.bigquery.jobs import Job, Jobs, Outcome, Work
from tule.bigquery.loads import Loads, ObjectFiles
from tule.bigquery.model_statements import ModelStatements
from tule.bigquery.models import Models
from tule.bigquery.physical import Physical
from tule.bigquery.plans import Planner
from tule.bigquery.queries import Queries
from tule.bigquery.read_sessions import ReadSessions
from tule.bigquery.readable import Readable, Sources, of_rows
from tule.bigquery.record_batches import serialized
from tule.bigquery.references import DatasetReference, JobReference, TableReference
from tule.bigquery.results import Results, Rows, anonymous_table, job_of
from tule.bigquery.routines import Routines
from tule.bigquery.rows import Page, RowFormat, TableRows, page
from tule.bigquery.scripts.procedures import Procedures
from tule.bigquery.scripts.runs import Runs
from tule.bigquery.scripts.sessions import Sessions
from tule.bigquery.scripts.transactions import Transactions
from tule.bigquery.sql import Parsed
from tule.bigquery.tables import Tables
from tule.bigquery.types import fields_of
from tule.bigquery.write_streams import WriteStreams
from tule.kernel.access import Principal
from tule.kernel.clock import Clock
from tule.kernel.home import Home
from tule.kernel.iam import Policies
from tule.kernel.projects import Projects
from tule.kernel.records import Record, Records
from tule.kernel.uploads import Uploads

_LOG = logging.getLogger(__name__)
# A job that ends this soon is answered DONE at once; clients then need not ask for it.
_FIRST_WAIT = 0.25
_QUERY_WAIT_MS = 10_000
_LONGEST_WAIT_MS = 200_000
# Rows that the first answer about a query carries; more go by pages, or by the Storage Read API.
EAGER_ROWS = 10_000
_EAGER_CELLS = 100_000
_REQUESTS_KEPT = timedelta(minutes=15)
_SWEEP = timedelta(hours=6)
_KINDS = ("query", "load", "extract", "copy")


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
        self._public = public
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
        locks = WriteLocks()
        self.rows = TableRows(self.tables, self.sources, self.physical, locks, clock)
        parsed = Parsed()
        self.sessions = Sessions(records, self.tables, clock)
        self.plans = Planner(parsed, self.sessions)
        self.definitions = Definitions(
            records, self.datasets, self.tables, self.models, self.physical, self.sources, locks
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
            self.kept,
            self.routines,
            parsed,
        )
        self.runs = Runs(
            self.queries,
            self.jobs,
            parsed,
            self.tables,
            Procedures(self.routines, parsed, self.jobs, self.sessions),
            Transactions(records, self.tables, self.physical, locks),
            self.sessions,
        )
        self.loads = Loads(self.tables, self.physical, locks, objects)
        self.extracts = Extracts(self.sources, objects, home.folder("uploads"))
        self.copies = Copies(self.tables, self.sources, self.physical, locks)
        self.read_sessions = ReadSessions(records, self.sources, home, clock)
        self.write_streams = WriteStreams(records, self.tables, self.physical, locks, clock)
        self.read_sessions.filtered = self.queries.filtered
        self.read_sessions.job_rows = self._job_rows
        self.sources.kept = self.kept
        self.tables.anonymous = self._kept_table
        self.tables.view_schema = lambda reference, text: self.queries.view_schema(reference.project, text, _trusted)
        self.routines.validate = self.queries.check_routine
        self._timer: Callable[[], None] | None = None
        self._timer_lock = threading.Lock()
        self._stopped = False

    def use_models(self, models: ModelStatements) -> None:
        """Let queries train and use models."""
        self.queries.models = models
        self.models.forget = models.forget
        self.extracts.export_model = models.extract

    # -- life

    def start(self) -> None:
        """Bring what a crash left to a true state, and begin to keep time."""
        self.jobs.recover(self._happened)
        self.sessions.recover()
        self.uploads.sweep(starting=True)
        self.write_streams.recover()
        for project in self._engine.projects():
            known = self.tables.physical_names(project) | self.write_streams.physical_names(project)
            dropped = self.physical.sweep(project, known)
            if dropped:
                _LOG.info("%d physical tables of %s that no table named were dropped", dropped, project)
            self._engine.forget(project, self._engine.marks(project))
        self._tick()

    def stop(self) -> None:
        """End jobs truthfully and let the engine go; idempotent."""
        with self._timer_lock:
            if self._stopped:
                return
            self._stopped = True
            if self._timer is not None:
                self._timer()
        self.jobs.stop()
        self.sessions.close()
        self._engine.close()

    def _tick(self) -> None:
        """Remove what is over (nobody is shown it any more), and come back in some hours."""
        try:
            self.tables.expire()
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
        import json

        for project in self._engine.projects():
            text = self._engine.marked(project, job.name)
            if text is not None:
                said = json.loads(text)
                tables = [TableReference.of(name) for name in said["tables"]]

                def commit(tables: Sequence[TableReference] = tables) -> None:
                    for each in tables:
                        self.tables.touch(each)

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

    # -- rows that are no table's

    def kept(self, reference: TableReference) -> Rows | None:
        """The rows of a public table, or of a query's result by the name of its table."""
        if self._public is not None:
            found = self._public.find(reference.project, reference.dataset, reference.table)
            if found is not None:
                return found
        job = job_of(reference)
        record = self.jobs.find(job) if job is not None else None
        if record is None:
            return None
        private = record.private if isinstance(record, Job) else record.body.get("_tule", {})
        result = private.get("result")
        user = record.user if isinstance(record, Job) else record.body["user_email"]
        if not result or "table" in result or anonymous_table(job, user) != reference:  # type: ignore[arg-type]
            return None
        return self.results.open(result)

    def _kept_table(self, reference: TableReference) -> dict[str, Any] | None:
        """The Table resource of kept rows."""
        rows = self.kept(reference)
        if rows is None:
            return None
        made: dict[str, Any] = {
            "kind": "bigquery#table",
            "etag": reference.table,
            "id": str(reference),
            "selfLink": f"https://bigquery.googleapis.com/bigquery/v2/{reference.name}",
            "tableReference": reference.json(),
            "schema": {"fields": [each.rest() for each in fields_of(rows.schema)]},
            "numRows": str(rows.num_rows),
            "numBytes": str(sum(batch.nbytes for batch in rows.scan())),
            "type": "TABLE",
            "location": "US",
        }
        job = job_of(reference)
        record = self.jobs.find(job) if job is not None else None
        if record is not None:
            about = record.body if isinstance(record, Record) else record.body()
            made["creationTime"] = about["statistics"]["creationTime"]
            made["lastModifiedTime"] = about["statistics"]["endTime"]
            made["expirationTime"] = about["_tule"]["result"]["expires"]
        return made

    def _job_rows(self, reference: JobReference) -> Rows:
        """The result of a query job, for the default stream of the Storage Read API."""
        body, private, _ = self._job_parts(reference)
        result = private.get("result")
        if not result:
            raise invalid(f"Job {reference} has no result to read")
        if "table" in result:
            raise invalid("This API does not support explicitly-specified destination tables")
        rows = self.results.open(result)
        if rows is None:
            raise not_found("Table", anonymous_table(reference, body["user_email"]))
        return rows

    # -- jobs

    def insert_job(
        self, project: str, body: Mapping[str, Any], principal: Principal, *, upload: Source | None = None
    ) -> dict[str, Any]:
        """jobs.insert: start a job; answered DONE when it ends at once."""
        given = body.get("jobReference") or {}
        reference = JobReference(
            str(given.get("projectId") or project),
            str(given.get("jobId") or _new_job_id()),
            str(given.get("location") or "US"),
        ).checked()
        if reference.project != project:
            raise invalid(f"The project of jobReference must be {project}; given: {reference.project}")
        configuration = _configuration(body.get("configuration"))
        job = Job(reference, configuration, principal.email, self.clock.now())
        kind = job.kind
        if configuration.get("dryRun"):
            if kind != "query":
                raise invalid("dryRun is only possible for query jobs")
            return self._dry(job, principal)
        work, record = self._work(job, principal, upload)
        self.jobs.start(job, work, record=record)
        job.wait(_FIRST_WAIT)
        if not job.done:
            self.jobs.persist(job)
        return self.jobs.resource(job)

    def run_to_end(self, project: str, body: dict[str, Any], owner: Mapping[str, Any]) -> dict[str, Any]:
        """Run a job for ``owner`` (email, owner) to its end; one of this id that is there already is waited for."""
        given = body["jobReference"]
        reference = JobReference(project, given["jobId"], str(given.get("location") or "US"))
        if self.jobs.find(reference) is None:
            self.insert_job(project, body, Principal(str(owner["email"]), bool(owner["owner"])))
        found = self.jobs.look(reference)
        while isinstance(found, Job) and not found.wait(_LONGEST_WAIT_MS / 1000):
            pass
        return self.jobs.resource(found)

    def _work(self, job: Job, principal: Principal, upload: Source | None) -> tuple[Work, bool]:
        """What a job does, and whether it must be on record before it does it."""
        project, config = job.reference.project, job.configuration[job.kind]
        guard = self.guard(principal)
        if upload is not None and job.kind != "load":
            raise invalid("Only load jobs can have an uploaded file")
        if job.kind == "query":
            plan = self.plans.plan(project, {**config, **_shared(job.configuration)}, guard, principal.email)
            if plan.labels:
                job.configuration["labels"] = {**(job.configuration.get("labels") or {}), **plan.labels}
            return lambda running: self.runs.run(running, plan), plan.changes_something
        if job.kind == "load":
            load = self.loads.plan(project, config, upload)
            guard("bigquery.tables.updateData", load.reference.name)

            def loaded(running: Job) -> Outcome:
                try:
                    return self.loads.run(running, load)
                finally:
                    if upload is not None:
                        upload.path.unlink(missing_ok=True)

            return loaded, True
        if job.kind == "copy":
            copy = self.copies.plan(project, config)
            for source in copy.sources:
                guard("bigquery.tables.getData", source.name)
            guard("bigquery.tables.updateData", copy.reference.name)
            return lambda running: self.copies.run(running, copy), True
        extract = self.extracts.plan(project, config)
        if extract.table is not None:
            guard("bigquery.tables.getData", extract.table.name)
        if extract.model is not None:
            guard("bigquery.models.export", extract.model.name)
        return lambda running: self.extracts.run(running, extract), True

    def delete_job(self, reference: JobReference) -> None:
        found = self.jobs.look(reference)
        self.jobs.delete(reference)
        private = found.body.get("_tule", {}) if isinstance(found, Record) else found.private
        if result := private.get("result"):
            self.results.drop(result)

    def _dry(self, job: Job, principal: Principal) -> dict[str, Any]:
        config = {**job.configuration["query"], **_shared(job.configuration)}
        plan = self.plans.plan(job.reference.project, config, self.guard(principal), principal.email)
        job.statistics = self.queries.dry_run(plan)
        job.finish()
        made = self.jobs.resource(job)
        made["statistics"].pop("startTime", None)
        return made

    # -- queries

    def query(self, project: str, body: Mapping[str, Any], principal: Principal) -> dict[str, Any]:
        """jobs.query: run a query and answer its first rows."""
        arrow = _arrow_options(body)
        options = body.get("formatOptions") or {}
        format = RowFormat.read(bool(options.get("useInt64Timestamp")), options.get("timestampOutputFormat"))
        mode = body.get("jobCreationMode")
        if mode not in (None, "JOB_CREATION_MODE_UNSPECIFIED", "JOB_CREATION_REQUIRED", "JOB_CREATION_OPTIONAL"):
            raise invalid(f"jobCreationMode must be JOB_CREATION_REQUIRED or JOB_CREATION_OPTIONAL; given: {mode!r}")
        configuration = _query_configuration(body)
        reference = JobReference(project, _new_job_id(), str(body.get("location") or "US"))
        if body.get("dryRun"):
            return self._dry_query(Job(reference, configuration, principal.email, self.clock.now()), principal)
        if request := body.get("requestId"):
            reference, known = self._of_request(reference, str(request), principal)
            if known:
                found = self.jobs.look(reference)
                if isinstance(found, Job):
                    found.wait(_timeout(body) / 1000)
                return self._query_answer(reference, body, format, arrow)
        job = Job(reference, configuration, principal.email, self.clock.now())
        work, record = self._work(job, principal, None)
        job.lasting = record
        self.jobs.start(job, work, record=record, fresh=True)
        job.wait(_timeout(body) / 1000)
        if not job.done:
            self.jobs.persist(job)
        answer = self._query_answer(reference, body, format, arrow, job)
        if not job.lasting and ("pageToken" in answer or not answer["jobComplete"]):
            self.jobs.keep(job)
        return answer

    def _of_request(self, reference: JobReference, request: str, principal: Principal) -> tuple[JobReference, bool]:
        """The job of a ``requestId``: the same one for fifteen minutes, so that a repeated request runs nothing twice."""
        seal = hashlib.sha256(f"{principal.email}\x00{request}".encode()).hexdigest()[:28]
        same = JobReference(reference.project, f"job_{seal}", reference.location)
        found = self.jobs.of_request(same)
        if found is None:
            return same, False
        created = found.created if isinstance(found, Job) else found.create_time
        if self.clock.now() - created < _REQUESTS_KEPT:
            return same, True
        return reference, False

    def _dry_query(self, job: Job, principal: Principal) -> dict[str, Any]:
        statistics = self._dry(job, principal)["statistics"]
        made: dict[str, Any] = {
            "kind": "bigquery#queryResponse",
            "jobReference": {"projectId": job.reference.project, "location": job.reference.location},
            "totalBytesProcessed": statistics["totalBytesProcessed"],
            "jobComplete": True,
            "cacheHit": False,
        }
        if "schema" in statistics["query"]:
            made["schema"] = statistics["query"]["schema"]
        return made

    def _query_answer(
        self,
        reference: JobReference,
        body: Mapping[str, Any],
        format: RowFormat,
        arrow: dict[str, Any] | None,
        job: Job | None = None,
    ) -> dict[str, Any]:
        count = body.get("maxResults")
        made = self._results_answer(
            reference, "bigquery#queryResponse", format, start=0, count=None if count is None else int(count), job=job,
            arrow=arrow,
        )  # fmt: skip
        made["queryId"] = reference.job
        return made

    def query_results(
        self,
        reference: JobReference,
        *,
        count: int | None,
        start: int | None,
        page_token: str,
        timeout_ms: int,
        format: RowFormat,
        eager: bool,
    ) -> dict[str, Any]:
        """jobs.getQueryResults: wait, then a page of rows. ``eager`` callers get small results though they ask for none."""
        found = self.jobs.look(reference)
        if isinstance(found, Job):
            found.wait(min(timeout_ms, _LONGEST_WAIT_MS) / 1000)
        kind = "bigquery#getQueryResultsResponse"
        if count == 0 and eager and not page_token and not start:
            # This client reads integer microseconds in this answer whatever it asked for.
            return self._results_answer(reference, kind, RowFormat(True), start=0, count=None, eager=True)
        return self._results_answer(reference, kind, format, start=start or 0, count=count, page_token=page_token)

    def _job_parts(
        self, reference: JobReference, job: Job | None = None
    ) -> tuple[dict[str, Any], dict[str, Any], Job | None]:
        """(body, private part, the running job) of a query job that may be answered; raises its error where it failed."""
        found = job or self.jobs.look(reference)
        if isinstance(found, Job):
            if found.failure is not None:
                raise found.failure
            body, private, running = found.body(), found.private, found
        else:
            body, private, running = found.body, found.body.get("_tule", {}), None
        if body["configuration"]["jobType"] != "QUERY":
            raise invalid(f"Job {reference} is not a query job: it has no results")
        if (error := body["status"].get("errorResult")) is not None:
            raise raised(error)
        return body, private, running

    def _results_answer(
        self,
        reference: JobReference,
        kind: str,
        format: RowFormat,
        *,
        start: int,
        count: int | None,
        page_token: str = "",
        eager: bool = False,
        arrow: dict[str, Any] | None = None,
        job: Job | None = None,
    ) -> dict[str, Any]:
        body, private, running = self._job_parts(reference, job)
        made: dict[str, Any] = {"kind": kind, "jobReference": body["jobReference"], "location": reference.location}
        if body["status"]["state"] != "DONE":
            return made | {"jobComplete": False}
        statistics = body["statistics"]
        query = statistics.get("query", {})
        made |= {
            "jobComplete": True,
            "cacheHit": bool(query.get("cacheHit", False)),
            "totalBytesProcessed": statistics.get("totalBytesProcessed", "0"),
            "totalBytesBilled": query.get("totalBytesBilled", "0"),
            "creationTime": statistics["creationTime"],
            "startTime": statistics.get("startTime", statistics["creationTime"]),
            "endTime": statistics.get("endTime", statistics["creationTime"]),
        }
        if kind == "bigquery#getQueryResultsResponse":
            made["etag"] = running.etag if running is not None else reference.job
        for key in ("numDmlAffectedRows", "dmlStats"):
            if key in query:
                made[key] = query[key]
        if "sessionInfo" in statistics:
            made["sessionInfo"] = statistics["sessionInfo"]
        result = private.get("result")
        if not result:
            return made
        source = self._result_source(reference, body, result, running)
        made["schema"] = query["schema"]
        made["totalRows"] = str(source.rows)
        if arrow is not None:
            return made | _arrow_page(source, count, arrow)
        position = paging.position(source.owner, page_token) if page_token else start
        if eager and (source.rows > EAGER_ROWS or source.rows * len(source.fields) > _EAGER_CELLS):
            return made
        if kind == "bigquery#queryResponse":
            count = min(EAGER_ROWS if count is None else count, EAGER_ROWS) if source.rows > EAGER_ROWS else count
        found: Page = page(source, format, start=position, count=count)
        if found.rows or eager:
            made["rows"] = found.rows
        if found.token:
            made["pageToken"] = found.token
        return made

    def _result_source(
        self, reference: JobReference, body: dict[str, Any], result: dict[str, Any], running: Job | None
    ) -> Readable:
        if "table" in result:
            return self.sources.open(TableReference(*result["table"].values()))
        rows = running.result if running is not None and running.result is not None else self.results.open(result)
        if rows is None:
            raise not_found("Table", anonymous_table(reference, body["user_email"]))
        return of_rows(rows, reference.name)


def _timeout(body: Mapping[str, Any]) -> int:
    given = body.get("timeoutMs")
    return _QUERY_WAIT_MS if given is None else min(int(given), _LONGEST_WAIT_MS)


def _new_job_id() -> str:
    return f"job_{secrets.token_hex(14)}"


def _project(body: Mapping[str, Any]) -> dict[str, Any]:
    project = body["projectId"]
    return {
        "kind": "bigquery#project",
        "id": project,
        "numericId": body["projectNumber"],
        "projectReference": {"projectId": project},
        "friendlyName": project,
    }


def _configuration(given: Any) -> dict[str, Any]:
    """The configuration of a job with its type; exactly one kind must be there."""
    if not isinstance(given, Mapping):
        raise invalid("Required parameter is missing: configuration")
    kinds = [kind for kind in _KINDS if isinstance(given.get(kind), Mapping)]
    if len(kinds) != 1:
        raise invalid(f"Job configuration must contain exactly one job-specific configuration object; given: {kinds}")
    made: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    made["jobType"] = kinds[0].upper()
    made[kinds[0]] = {key: value for key, value in given[kinds[0]].items() if value is not None}
    if kinds[0] == "query":
        made["query"].setdefault("useLegacySql", False)
        made["query"].setdefault("priority", "INTERACTIVE")
    return made


def _shared(configuration: Mapping[str, Any]) -> dict[str, Any]:
    return {key: configuration[key] for key in ("dryRun",) if key in configuration}


_OF_QUERY = (
    "query", "useLegacySql", "defaultDataset", "queryParameters", "parameterMode", "useQueryCache", "maximumBytesBilled",
    "createSession", "connectionProperties", "preserveNulls",
)  # fmt: skip


def _query_configuration(body: Mapping[str, Any]) -> dict[str, Any]:
    """A QueryRequest as the configuration of a job."""
    query = {key: body[key] for key in _OF_QUERY if body.get(key) is not None}
    made: dict[str, Any] = {"query": query}
    for key in ("labels", "dryRun", "jobTimeoutMs"):
        if body.get(key) not in (None, {}, False):
            made[key] = body[key]
    return _configuration(made)


_CODECS = {"COMPRESSION_UNSPECIFIED": None, "LZ4_FRAME": "lz4", "ZSTD": "zstd"}


def _arrow_options(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Options of an ARROW answer, None for rows in JSON."""
    word = body.get("queryResultsFormat") or "QUERY_RESULTS_FORMAT_UNSPECIFIED"
    if word in ("QUERY_RESULTS_FORMAT_UNSPECIFIED", "STRUCT_ENCODING"):
        return None
    if word != "ARROW":
        raise invalid(f"queryResultsFormat must be STRUCT_ENCODING or ARROW; given: {word!r}")
    options = body.get("arrowSerializationOptions") or {}
    codec = options.get("bufferCompression") or "COMPRESSION_UNSPECIFIED"
    if codec not in _CODECS:
        raise invalid(f"bufferCompression must be one of {', '.join(_CODECS)}; given: {codec!r}")
    precision = options.get("picosTimestampPrecision") or "TIMESTAMP_PRECISION_UNSPECIFIED"
    if precision not in ("TIMESTAMP_PRECISION_UNSPECIFIED", "TIMESTAMP_PRECISION_MICROS"):
        raise not_implemented(f"picosTimestampPrecision {precision}", do="use TIMESTAMP_PRECISION_MICROS")
    return {"codec": _CODECS[codec]}


def _arrow_page(source: Readable, count: int | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """The first rows of a result as one Arrow batch."""
    from tule.bigquery.read_sessions import picked, wire_schema

    schema = wire_schema(source.fields)
    most = min(EAGER_ROWS if count is None else count, source.rows)
    table = pa.Table.from_batches([picked(batch, schema) for batch in source.scan(0, most)], schema).combine_chunks()
    made: dict[str, Any] = {
        "arrowSchema": {"serializedSchema": base64.b64encode(schema.serialize().to_pybytes()).decode()},
        "pageRowCount": str(table.num_rows),
    }
    if table.num_rows:
        batch = table.to_batches()[0]
        text = base64.b64encode(serialized(batch, options["codec"])).decode()
        made["arrowRecordBatch"] = {"serializedRecordBatch": text, "rowCount": str(table.num_rows)}
    if table.num_rows < source.rows:
        made["pageToken"] = paging.token(source.owner, table.num_rows)
    return made


def _trusted(permission: str, name: str) -> None:
    """The caller may make the view; whoever reads it is checked then."""


def _nothing() -> None:
    return None
