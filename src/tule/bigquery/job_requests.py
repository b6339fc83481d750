"""What jobs.insert and jobs.query ask for: requests as jobs that run.

https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/insert
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from tule.bigquery.answers import LONGEST_WAIT_MS, Answers, ArrowFormat
from tule.bigquery.catalog import Guard
from tule.bigquery.copies import Copies
from tule.bigquery.errors import invalid
from tule.bigquery.extracts import Extracts
from tule.bigquery.formats.sources import Source
from tule.bigquery.jobs import Job, Jobs, Outcome, Work
from tule.bigquery.labels import checked_labels
from tule.bigquery.loads import Loads
from tule.bigquery.plans import Planner
from tule.bigquery.queries import Queries
from tule.bigquery.references import JobReference
from tule.bigquery.results import Results
from tule.bigquery.rows import RowFormat
from tule.bigquery.scripts.runs import Runs
from tule.kernel.access import Principal
from tule.kernel.clock import Clock
from tule.kernel.records import Record

# A job that ends this soon is answered DONE at once; clients then need not ask for it.
_FIRST_WAIT = 0.25
_QUERY_WAIT_MS = 10_000
_REQUESTS_KEPT = timedelta(minutes=15)
_KINDS = ("query", "load", "extract", "copy")
_MODES = (None, "JOB_CREATION_MODE_UNSPECIFIED", "JOB_CREATION_REQUIRED", "JOB_CREATION_OPTIONAL")


class JobRequests:
    """Starts jobs. ``guard(principal)`` gives what raises where a permission is missing."""

    def __init__(
        self,
        *,
        clock: Clock,
        jobs: Jobs,
        answers: Answers,
        results: Results,
        plans: Planner,
        queries: Queries,
        runs: Runs,
        loads: Loads,
        extracts: Extracts,
        copies: Copies,
        guard: Callable[[Principal], Guard],
    ) -> None:
        self._clock = clock
        self._jobs = jobs
        self._answers = answers
        self._results = results
        self._plans = plans
        self._queries = queries
        self._runs = runs
        self._loads = loads
        self._extracts = extracts
        self._copies = copies
        self._guard = guard
        # Requests of one id take turns from the look for their job until it has started.
        self._turns = [threading.Lock() for _ in range(64)]

    def insert(
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
        job = Job(reference, _configuration(body.get("configuration")), principal.email, self._clock.now())
        if job.configuration.get("dryRun"):
            return self._dry(job, principal)
        work, record = self._work(job, principal, upload)
        self._jobs.start(job, work, record=record)
        job.wait(_FIRST_WAIT)
        if not job.done:
            self._jobs.persist(job)
        return self._jobs.resource(job)

    def run_to_end(self, project: str, body: dict[str, Any], owner: Mapping[str, Any]) -> dict[str, Any]:
        """Run a job for ``owner`` (email, owner) to its end; one of this id that is there already is waited for."""
        given = body["jobReference"]
        reference = JobReference(project, given["jobId"], str(given.get("location") or "US"))
        if self._jobs.find(reference) is None:
            self.insert(project, body, Principal(str(owner["email"]), bool(owner["owner"])))
        found = self._jobs.look(reference)
        while isinstance(found, Job) and not found.wait(LONGEST_WAIT_MS / 1000):
            pass
        return self._jobs.resource(found)

    def delete(self, reference: JobReference) -> None:
        """jobs.delete: forget a job that is DONE, and its result."""
        found = self._jobs.look(reference)
        self._jobs.delete(reference)
        private = found.body.get("_tule", {}) if isinstance(found, Record) else found.private
        if (result := private.get("result")) and not self._queries.cache.holds(_file(result)):
            self._results.drop(result)

    def _work(self, job: Job, principal: Principal, upload: Source | None) -> tuple[Work, bool]:
        """What a job does, and whether it must be on record before it does it. Raises where it could not be done."""
        project, config = job.reference.project, job.configuration[job.kind]
        guard = self._guard(principal)
        if upload is not None and job.kind != "load":
            raise invalid("Only load jobs can have an uploaded file")
        if job.kind == "query":
            plan = self._plans.plan(project, {**config, **_shared(job.configuration)}, guard, principal.email)
            if plan.labels:
                job.configuration["labels"] = {**(job.configuration.get("labels") or {}), **plan.labels}
            return lambda running: self._runs.run(running, plan), plan.changes_something
        if job.kind == "load":
            return self._loading(project, config, guard, upload), True
        if job.kind == "copy":
            copy = self._copies.plan(project, config)
            for permission, resource in copy.permissions:
                guard(permission, resource)
            return lambda running: self._copies.run(running, copy), True
        extract = self._extracts.plan(project, config)
        if extract.table is not None:
            guard("bigquery.tables.getData", extract.table.reference.name)
        if extract.model is not None:
            guard("bigquery.models.export", extract.model.name)
        return lambda running: self._extracts.run(running, extract), True

    def _loading(self, project: str, config: Mapping[str, Any], guard: Guard, upload: Source | None) -> Work:
        plan = self._loads.plan(project, config, upload)
        guard("bigquery.tables.updateData", plan.reference.name)

        def loaded(running: Job) -> Outcome:
            try:
                return self._loads.run(running, plan)
            finally:
                if upload is not None:
                    upload.path.unlink(missing_ok=True)

        return loaded

    def _dry(self, job: Job, principal: Principal) -> dict[str, Any]:
        """The job as it would be, without running it."""
        if job.kind != "query":
            raise invalid("dryRun is only possible for query jobs")
        config = {**job.configuration["query"], **_shared(job.configuration)}
        plan = self._plans.plan(job.reference.project, config, self._guard(principal), principal.email)
        job.statistics = self._queries.dry_run(plan)
        job.finish()
        made = self._jobs.resource(job)
        made["statistics"].pop("startTime", None)
        return made

    # -- jobs.query

    def query(
        self,
        project: str,
        body: Mapping[str, Any],
        principal: Principal,
        answer_after: Callable[[float, Callable[[], Any]], bool] | None = None,
    ) -> dict[str, Any]:
        """jobs.query: run a query and answer its first rows.

        ``answer_after(seconds, make)`` promises that somebody else answers with ``make()`` where this takes longer: then
        the query may run on this thread.
        """
        arrow = ArrowFormat.read(body)
        options = body.get("formatOptions") or {}
        format = RowFormat.read(bool(options.get("useInt64Timestamp")), options.get("timestampOutputFormat"))
        if (mode := body.get("jobCreationMode")) not in _MODES:
            raise invalid(f"jobCreationMode must be JOB_CREATION_REQUIRED or JOB_CREATION_OPTIONAL; given: {mode!r}")
        count = None if body.get("maxResults") is None else int(body["maxResults"])
        if count is not None and count < 0:
            raise invalid(f"maxResults must not be negative; given: {count}", location="maxResults")
        wait = _timeout(body) / 1000
        reference = JobReference(project, _new_job_id(), str(body.get("location") or "US"))
        job = Job(reference, _query_configuration(body), principal.email, self._clock.now())
        if body.get("dryRun"):
            return self._dry_query(job, principal)
        found, work = self._asked(job, body.get("requestId"), principal)

        def answer() -> dict[str, Any]:
            return self._answered(found, job.reference, format, arrow, count)

        if work is not None:
            here = partial(answer_after, wait, answer) if answer_after is not None and wait >= _FIRST_WAIT else None
            self._jobs.go(job, work, here)
        if isinstance(found, Job):
            found.wait(wait)
        return answer()

    def _answered(
        self,
        found: Job | Record,
        reference: JobReference,
        format: RowFormat,
        arrow: ArrowFormat | None,
        count: int | None,
    ) -> dict[str, Any]:
        """What a query has come to by now."""
        if not isinstance(found, Job):
            return self._answers.first(reference, format, arrow, count)
        if not found.done:
            self._jobs.persist(found)
        answer = self._answers.first(found, format, arrow, count)
        if not found.lasting and ("pageToken" in answer or not answer["jobComplete"]):
            self._jobs.keep(found)
        return answer

    def _asked(self, job: Job, request: str | None, principal: Principal) -> tuple[Job | Record, Work | None]:
        """The job of a query with its work, which is to begin; or for a ``requestId`` that came within fifteen minutes,
        the job that was made then. So a request that is repeated, even at once, runs nothing twice."""
        if not request:
            return self._entered(job, principal)
        seal = hashlib.sha256(f"{principal.email}\x00{request}".encode()).hexdigest()[:28]
        same = replace(job.reference, job=f"job_{seal}")
        with self._turns[int(seal, 16) % len(self._turns)]:
            found = self._jobs.of_request(same)
            if found is not None:
                created = found.created if isinstance(found, Job) else found.create_time
                if self._clock.now() - created < _REQUESTS_KEPT:
                    job.reference = same
                    return found, None
            else:
                job.reference = same
            return self._entered(job, principal)

    def _entered(self, job: Job, principal: Principal) -> tuple[Job, Work]:
        work, record = self._work(job, principal, None)
        job.lasting = record
        self._jobs.enter(job, record=record, fresh=True)
        return job, work

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


def _file(result: Any) -> str:
    """The file of a result, as its job's record or the job itself tells it."""
    return str(result.get("file") or "") if isinstance(result, Mapping) else str(result.file)


def _timeout(body: Mapping[str, Any]) -> int:
    given = body.get("timeoutMs")
    return _QUERY_WAIT_MS if given is None else min(int(given), LONGEST_WAIT_MS)


def _new_job_id() -> str:
    return f"job_{secrets.token_hex(14)}"


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
    if "labels" in made:
        made["labels"] = checked_labels(made["labels"])
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
