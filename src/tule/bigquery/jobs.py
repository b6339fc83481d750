"""Jobs: running, waiting, cancelling, the stored history and its recovery after a crash.

A job runs on a thread: its request's own, where that waits for it anyway. What it changed and that it is DONE become
visible in one transaction of the record store: its work returns an ``Outcome`` whose ``commit`` runs inside that
transaction. Work that changes something is recorded before it runs, so that a crash leaves a trace to recover from; a
SELECT that ends within its request is recorded once, DONE, and where its answer was whole, after that (``ledger.py``).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tule.bigquery.datasets import milliseconds
from tule.bigquery.errors import already_exists, invalid, not_found, proto
from tule.bigquery.ledger import Ledger
from tule.bigquery.references import JobReference
from tule.bigquery.results import Kept
from tule.kernel.clock import Clock
from tule.kernel.errors import Aborted, Cancelled, Internal, TuleError
from tule.kernel.records import Record, Records

KIND = "bigquery#job"
_RUNNING_KIND = "bigquery#runningJob"
_LOG = logging.getLogger(__name__)
KEPT = timedelta(days=180)
# No job runs longer than this anyway; a later moment may be none that a clock knows.
_LONGEST = timedelta(days=365)
_MS = timedelta(milliseconds=1)
# What a job that the server's end cut off is told. The first reason is one that clients repeat jobs for, so it is given
# only where nothing happened.
_AGAIN = "jobInternalError"
_NOT_AGAIN = "stopped"


def _nothing() -> None:
    return None


@dataclass
class Outcome:
    """What a job's work came to.

    ``statistics`` are merged into the job's; ``private`` is kept with it and never answered; ``commit`` runs inside the
    transaction that makes the job DONE, ``after`` once that is durable; ``undo`` runs when it failed, ``release`` always.
    ``stopped``: the error that the job ends with although what it has done is kept.
    """

    statistics: dict[str, Any] = field(default_factory=dict)
    configuration: dict[str, Any] = field(default_factory=dict)
    private: dict[str, Any] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    result: Any = None
    commit: Callable[[], None] = _nothing
    after: Callable[[], None] = _nothing
    undo: Callable[[], None] = _nothing
    release: Callable[[], None] = _nothing
    stopped: TuleError | None = None


# Seconds between the interrupts of a cancelled job.
_INSIST = 0.2


class Job:
    """One job while it runs and as long as somebody waits for it."""

    def __init__(
        self,
        reference: JobReference,
        configuration: dict[str, Any],
        user: str,
        created: datetime,
        *,
        private: dict[str, Any] | None = None,
        parent: str | None = None,
    ) -> None:
        self.reference = reference
        self.configuration = configuration
        self.user = user
        self.created = created
        self.started: datetime | None = None
        self.ended: datetime | None = None
        self.state = "PENDING"
        self.statistics: dict[str, Any] = {}
        self.private: dict[str, Any] = dict(private or {})
        self.error: dict[str, Any] | None = None
        self.errors: list[dict[str, Any]] = []
        self.failure: TuleError | None = None
        self.result: Any = None
        self.parent = parent
        self.children_done = 0
        # Whether a client may come back for what is not in the answer, so that the record must be there by then.
        self.lasting = True
        self.etag = ""
        self.stored = False
        self.lock = threading.Lock()
        self._done = threading.Event()
        self._cancelled: TuleError | None = None
        self._interrupts: list[Callable[[], None]] = []

    @property
    def kind(self) -> str:
        """query, load, extract or copy."""
        return str(self.configuration["jobType"]).lower()

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def wait(self, seconds: float) -> bool:
        """Block until the job is DONE, at most ``seconds`` of real time; whether it is."""
        return self._done.wait(max(0.0, seconds))

    def check(self) -> None:
        """Raise where the job was cancelled: long work calls this between its steps."""
        if self._cancelled is not None:
            raise self._cancelled

    def on_cancel(self, interrupt: Callable[[], None]) -> Callable[[], None]:
        """Call ``interrupt`` when the job is cancelled, at once if it was; how an engine's query is broken off. What is
        answered forgets it again: what it interrupts has ended."""
        with self.lock:
            self._interrupts.append(interrupt)
            cancelled = self._cancelled is not None
        if cancelled:
            interrupt()
        return lambda: self._forget(interrupt)

    def _forget(self, interrupt: Callable[[], None]) -> None:
        with self.lock:
            if interrupt in self._interrupts:
                self._interrupts.remove(interrupt)

    def cancel(self, reason: TuleError) -> None:
        """Ask the work to stop; idempotent, without effect on a job that is done."""
        with self.lock:
            if self._cancelled is not None or self.done:
                return
            self._cancelled = reason
        self._interrupt()
        threading.Thread(target=self._insist, name="cancel", daemon=True).start()

    def _interrupt(self) -> None:
        with self.lock:
            interrupts = list(self._interrupts)
        for interrupt in interrupts:
            interrupt()

    def _insist(self) -> None:
        """Interrupt again until the job has ended: an engine drops what comes just before a statement begins."""
        while not self._done.wait(_INSIST):
            self._interrupt()

    @property
    def cancelled(self) -> TuleError | None:
        return self._cancelled

    def finish(self) -> None:
        self.state = "DONE"
        self._interrupts.clear()
        self._done.set()

    def body(self) -> dict[str, Any]:
        """The record: what is told of the job, with the private part."""
        body = self.told()
        if self.private:
            body["_tule"] = {key: each.json if isinstance(each, Kept) else each for key, each in self.private.items()}
        return body

    def told(self) -> dict[str, Any]:
        """The REST Job less what every answer adds."""
        status: dict[str, Any] = {"state": self.state}
        if self.error is not None:
            status["errorResult"] = self.error
        if self.errors:
            status["errors"] = self.errors
        statistics: dict[str, Any] = {"creationTime": milliseconds(self.created)}
        if self.started is not None:
            statistics["startTime"] = milliseconds(self.started)
        if self.ended is not None:
            statistics["endTime"] = milliseconds(self.ended)
            if self.started is not None:
                statistics["finalExecutionDurationMs"] = str((self.ended - self.started) // timedelta(milliseconds=1))
        if self.parent:
            statistics["parentJobId"] = self.parent
        statistics.update(self.statistics)
        return {
            "jobReference": self.reference.json(),
            "configuration": self.configuration,
            "status": status,
            "statistics": statistics,
            "user_email": self.user,
        }


Work = Callable[[Job], Outcome]


class Jobs:
    """All jobs. ``workers`` of them run at once, the others wait as PENDING; ``most_kept`` stay on record for long."""

    most_kept = 100_000

    def __init__(
        self,
        records: Records,
        clock: Clock,
        *,
        workers: int = 16,
        base_url: str = "https://bigquery.googleapis.com/bigquery/v2",
    ) -> None:
        self._records = records
        self._clock = clock
        self._base_url = base_url
        self._running: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="bigquery-job")
        # One for each job that runs, be it on a thread of the pool or on its request's.
        self._slots = threading.BoundedSemaphore(workers)
        self._stopping = False
        self._ledger: Ledger[Job] = Ledger(records, KIND)
        self._requests = _Requests(clock, bool(records.list(KIND, page_size=1).records))

    # -- running

    def start(self, job: Job, work: Work, *, record: bool) -> Job:
        """Run ``work`` on a thread. With ``record`` the job is durable before this returns.

        Raises AlreadyExists for a taken job id.
        """
        self.enter(job, record=record)
        self.go(job, work)
        return job

    def enter(self, job: Job, *, record: bool, fresh: bool = False) -> None:
        """Take a job whose work is to begin, so that it is found; ``go`` must follow. With ``record`` it is durable before
        this returns. Raises AlreadyExists for a taken job id; ``fresh`` ids are known to be free."""
        name = job.reference.name
        with self._lock:
            if self._stopping:
                raise Aborted("The server is stopping", do="start it again and repeat the call")
            if name in self._running:
                raise already_exists("Job", job.reference)
            self._running[name] = job
        try:
            if not fresh and self._stored(name) is not None:
                raise already_exists("Job", job.reference)
            if record:
                self.persist(job)
        except BaseException:
            with self._lock:
                del self._running[name]
            raise

    def go(self, job: Job, work: Work, here: Callable[[], bool] | None = None) -> None:
        """Run the work of a job that was entered: on another thread, or to its end on this one where ``here`` answers true;
        it is asked only where one job more may run now."""
        if here is not None and self._slots.acquire(blocking=False):
            try:
                if here():
                    self._run(job, work)
                    return
            finally:
                self._slots.release()
        self._pool.submit(self._run_in_turn, job, work)

    def _run_in_turn(self, job: Job, work: Work) -> None:
        with self._slots:
            self._run(job, work)

    def run_here(self, job: Job, work: Work, *, record: bool) -> Job:
        """Run ``work`` on this thread to its end: how a script runs its statements."""
        with self._lock:
            self._running[job.reference.name] = job
        try:
            if record:
                self.persist(job)
        except BaseException:
            with self._lock:
                del self._running[job.reference.name]
            raise
        self._run(job, work)
        with self._lock:
            parent = self._running.get(JobReference(job.reference.project, job.parent).name) if job.parent else None
        if parent is not None and job.failure is None:
            parent.children_done += 1
        return job

    def now(self) -> datetime:
        return self._clock.now()

    def persist(self, job: Job) -> None:
        """Make a running job durable, so that its id may be answered; no-op for one that is stored."""
        with job.lock:
            if job.stored:
                return
            with self._records.transaction():
                record = self._records.create(KIND, job.reference.name, job.body())
                self._records.create(_RUNNING_KIND, f"{job.reference.name}/running/1", {"job": job.reference.json()})
            job.etag, job.stored = record.etag, True

    def _run(self, job: Job, work: Work) -> None:
        cancel_timer = _nothing
        outcome: Outcome | None = None
        try:
            job.started, job.state = self._clock.now(), "RUNNING"
            cancel_timer = self._timer(job)
            job.check()
            # No look at the cancelling after this: what the work has committed stays done.
            outcome = work(job)
        except BaseException as error:  # also SystemExit from a library: the waiting client must get an answer
            self._failed(job, error)
        finally:
            cancel_timer()
        try:
            self._end(job, outcome)
        except BaseException as error:
            _LOG.exception("The end of job %s could not be recorded", job.reference)
            self._failed(job, error)
            try:
                self._end(job, None)
            except BaseException:
                _LOG.exception("Job %s ends without a record", job.reference)
        finally:
            if outcome is not None:
                outcome.release()
            with self._lock:
                self._running.pop(job.reference.name, None)
            job.finish()

    def _timer(self, job: Job) -> Callable[[], None]:
        limit = job.configuration.get("jobTimeoutMs")
        if limit is None:
            return _nothing
        span = min(int(limit), _LONGEST // _MS) * _MS
        reason = Cancelled(f"Job execution was cancelled: Job timed out after {int(limit) / 1000:g}s", reason="stopped")
        return self._clock.call_at(self._clock.now() + span, lambda: job.cancel(reason))

    @staticmethod
    def _failed(job: Job, error: BaseException) -> None:
        if job.cancelled is not None:
            # An interrupted engine raises its own error; the cause is the cancelling.
            error = job.cancelled
            if isinstance(error, _ServerStopped):
                error = _ServerStopped(*_cut_off(job.kind, job.children_done))
        if not isinstance(error, TuleError):
            _LOG.error("Job %s failed", job.reference, exc_info=error)
            error = Internal(
                f"Job {job.reference} failed inside the server ({type(error).__name__})",
                do="look into the server's log (tule logs) for this job id",
                reason="internalError",
            )
        job.failure = error
        job.error = proto(error)
        # What the work has told before stays: the single records of a load, say.
        job.errors = [job.error, *job.errors]

    def _end(self, job: Job, outcome: Outcome | None) -> None:
        """Record that the job is DONE, together with what it changed."""
        failed = job.failure is not None
        if outcome is not None:
            job.statistics.update(outcome.statistics)
            _merge(job.configuration, outcome.configuration)
            job.private.update(outcome.private)
            if not failed:
                job.errors = outcome.errors
                job.result = outcome.result
                if outcome.stopped is not None:
                    self._failed(job, outcome.stopped)
        job.ended = self._clock.now()
        job.state = "DONE"
        with job.lock:
            if job.stored or job.lasting:
                self._record_end(job, outcome, failed)
            else:
                # From here on it counts as stored: it is found, and will be on disk in a moment.
                self._ledger.add(job.reference.name, job)
            job.stored = True
        if outcome is not None:
            (outcome.undo if failed else outcome.after)()

    def _record_end(self, job: Job, outcome: Outcome | None, failed: bool) -> None:
        try:
            with self._records.transaction():
                if outcome is not None and not failed:
                    outcome.commit()
                body = job.body()
                if job.stored:
                    record = self._records.update(job.reference.name, lambda _: body)
                    self._records.delete(f"{job.reference.name}/running/1")
                else:
                    record = self._records.create(KIND, job.reference.name, body)
            job.etag = record.etag
        except BaseException:
            if outcome is not None:
                outcome.undo()
            raise

    # -- reading

    def find(self, reference: JobReference) -> Job | Record | None:
        """The running job, or the stored record of one that is done."""
        with self._lock:
            running = self._running.get(reference.name)
        return running or self._stored(reference.name)

    def _stored(self, name: str) -> Job | Record | None:
        """The job of this name that is done."""
        return self._ledger.find(name) or self._records.find(name)

    def keep(self, job: Job) -> None:
        """Return when the record of a job that is done is durable."""
        if self._ledger.find(job.reference.name) is not None:
            self._ledger.flush()

    def of_request(self, reference: JobReference) -> Job | Record | None:
        """The job that a ``requestId`` made; asked once for each request, so that new ones cost no look into the store."""
        return self.find(reference) if self._requests.maybe_seen(reference.name) else None

    def look(self, reference: JobReference) -> Job | Record:
        found = self.find(reference)
        if found is None:
            raise not_found("Job", reference)
        return found

    def get(self, reference: JobReference) -> dict[str, Any]:
        """The REST Job; raises NotFound."""
        return self.resource(self.look(reference))

    def resource(self, job: Job | Record) -> dict[str, Any]:
        """The REST Job of a running or a stored one."""
        if isinstance(job, Job):
            with job.lock:
                body, etag = job.told(), job.etag
        else:
            body, etag = job.body, job.etag
        reference = body["jobReference"]
        made = {
            "kind": KIND,
            "etag": etag,
            "id": f"{reference['projectId']}:{reference['location']}.{reference['jobId']}",
            "selfLink": (
                f"{self._base_url}/projects/{reference['projectId']}/jobs/{reference['jobId']}"
                f"?location={reference['location']}"
            ),
            **{key: value for key, value in body.items() if key != "_tule"},
        }
        made["principal_subject"] = f"serviceAccount:{body['user_email']}"
        made["jobCreationReason"] = {"code": "REQUESTED"}
        return made

    def list(
        self,
        project: str,
        *,
        user: str,
        states: Sequence[str] = (),
        since: int | None = None,
        until: int | None = None,
        parent: str | None = None,
        full: bool = False,
        page_size: int = 0,
        page_token: str = "",
    ) -> tuple[Sequence[dict[str, Any]], str]:
        """Jobs of a project, newest first; ``user`` empty means those of all users, times are milliseconds since 1970."""
        self._write_running(project)
        terms = []
        if states:
            terms.append("(" + " OR ".join(f'status.state = "{state}"' for state in states) + ")")
        if user:
            terms.append(f'user_email = "{user}"')
        if since is not None:
            terms.append(f'createTime >= "{_timestamp(since)}"')
        if until is not None:
            terms.append(f'createTime <= "{_timestamp(until)}"')
        # Children of a script are listed only when their parent is named.
        terms.append(f'statistics.parentJobId = "{parent}"' if parent else "NOT statistics.parentJobId:*")
        page = self._records.list(
            KIND,
            f"projects/{project}",
            filter=" AND ".join(terms),
            order_by="create_time desc",
            page_size=page_size,
            page_token=page_token,
        )
        return [self._short(record, full) for record in page], page.next_page_token

    def records(self, project: str) -> Sequence[Record]:
        """The records of all jobs of a project, newest first."""
        self._write_running(project)
        return self._records.list(KIND, f"projects/{project}", order_by="create_time desc").records

    def _write_running(self, project: str) -> None:
        """Bring into the store what is not there yet: a query's record is written when it ends, or a moment later."""
        with self._lock:
            running = [
                job for job in self._running.values() if job.reference.project == project and job.state == "RUNNING"
            ]
        for job in running:
            self.persist(job)
        self._ledger.flush()

    def _short(self, record: Record, full: bool) -> dict[str, Any]:
        found = self.find(_reference(record.body))
        whole = self.resource(record if found is None else found)
        short = {key: whole[key] for key in ("kind", "id", "jobReference", "status", "statistics", "user_email")}
        short["state"] = whole["status"]["state"]
        if "errorResult" in whole["status"]:
            short["errorResult"] = whole["status"]["errorResult"]
        short["configuration"] = (
            whole["configuration"]
            if full
            else {key: whole["configuration"][key] for key in ("jobType", "labels") if key in whole["configuration"]}
        )
        return short

    def cancel(self, reference: JobReference) -> dict[str, Any]:
        """Ask a job to stop; answers its state, also for one that was done already."""
        found = self.look(reference)
        if isinstance(found, Job):
            found.cancel(Cancelled("Job execution was cancelled: User requested cancellation", reason="stopped"))
            found.wait(1.0)
        return self.get(reference)

    def delete(self, reference: JobReference) -> None:
        """Remove the metadata of a job that is DONE, and of its children."""
        self._ledger.flush()
        found = self.look(reference)
        if isinstance(found, Job):
            raise invalid(f"Job {reference} is running and cannot be deleted. Next: cancel it first")
        with self._records.transaction():
            for child in self._children(reference):
                self._records.delete(child.name)
            self._records.delete(reference.name)

    # -- the life of the store

    def recover(self, happened: Callable[[JobReference, dict[str, Any]], Outcome | None]) -> int:
        """Bring jobs that a crash cut off to a true end; returns how many there were.

        ``happened`` tells from the engine's commit markers whether the effect of a job took place: its Outcome if so.
        """
        cut_off = [_reference({"jobReference": each.body["job"]}) for each in self._records.list(_RUNNING_KIND).records]
        records = [self._records.get(each.name) for each in cut_off]
        # Statements of a script before the script: it is told how many of them took effect.
        for record in sorted(records, key=lambda each: "parentJobId" not in each.body["statistics"]):
            reference = _reference(record.body)
            outcome = happened(reference, record.body)
            children = sum("errorResult" not in each.body["status"] for each in self._children(reference))
            with self._records.transaction():
                if outcome is not None:
                    outcome.commit()
                self._records.update(record.name, self._recovered(outcome, children))
                self._records.delete(f"{record.name}/running/1")
        return len(records)

    def _children(self, reference: JobReference) -> Sequence[Record]:
        """The records of a script's statements."""
        wanted = f'statistics.parentJobId = "{reference.job}"'
        return self._records.list(KIND, reference.parent, filter=wanted).records

    def _recovered(self, outcome: Outcome | None, children: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
        now = milliseconds(self._clock.now())

        def change(body: dict[str, Any]) -> dict[str, Any]:
            body["status"] = {"state": "DONE"}
            body["statistics"].setdefault("startTime", body["statistics"]["creationTime"])
            body["statistics"]["endTime"] = now
            if outcome is None:
                error = proto(_ServerStopped(*_cut_off(body["configuration"]["jobType"].lower(), children)))
                body["status"] |= {"errorResult": error, "errors": [error]}
            else:
                body["statistics"].update(outcome.statistics)
                _merge(body["configuration"], outcome.configuration)
            return body

        return change

    def purge(self) -> int:
        """Forget jobs older than 180 days, and the oldest of very many; returns how many."""
        before = self._clock.now() - KEPT
        too_many = self._records.list(KIND, page_size=1).total_size - self.most_kept
        gone, seen, token = 0, 0, ""
        while True:
            page = self._records.list(KIND, order_by="create_time", page_size=500, page_token=token)
            over = [
                record
                for place, record in enumerate(page.records, seen)
                if record.create_time < before or place < too_many
            ]
            with self._records.transaction():
                for record in over:
                    if record.body["status"]["state"] == "DONE":
                        self._records.delete(record.name)
                        gone += 1
            seen, token = seen + len(page.records), page.next_page_token
            if len(over) < len(page.records) or not token:
                return gone

    def stop(self, patience: float = 5.0) -> None:
        """Cut off what runs, truthfully, and take nothing more. ``patience``: seconds for what cannot be interrupted."""
        with self._lock:
            self._stopping = True
            running = list(self._running.values())
        for job in running:
            job.cancel(_ServerStopped(*_cut_off(job.kind, 0)))
        self._pool.shutdown(wait=False, cancel_futures=False)
        end = self._clock.monotonic() + patience
        for job in running:
            if not job.wait(end - self._clock.monotonic()):
                # Its end is told at the next start, as after a crash.
                _LOG.warning("Job %s did not stop in time", job.reference)
        self._ledger.stop()


class _Requests:
    """Which jobs were made for a ``requestId`` lately. May say yes wrongly, never no."""

    _SPAN = timedelta(minutes=15)

    def __init__(self, clock: Clock, older: bool) -> None:
        """``older``: whether there are jobs of an earlier server."""
        self._clock = clock
        self._lock = threading.Lock()
        self._turn = clock.now()
        # Two generations, so that each name is kept for one span at least.
        self._now: set[int] = set()
        self._before: set[int] = set()
        self._older = older

    def maybe_seen(self, name: str) -> bool:
        """Whether this was asked before; from now on it was."""
        key, now = hash(name), self._clock.now()
        with self._lock:
            if now - self._turn >= self._SPAN:
                gone = now - self._turn >= 2 * self._SPAN
                self._turn, self._before, self._now, self._older = now, set() if gone else self._now, set(), False
            known = self._older or key in self._now or key in self._before
            self._now.add(key)
        return known


class _ServerStopped(Aborted):
    """The server ended while a job ran."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message, reason=reason)


def _cut_off(kind: str, children: int) -> tuple[str, str]:
    """The message and the reason of a job that the server's end cut off."""
    head = "Job execution was stopped: the server stopped while the job ran"
    if children:
        return f"{head}; what its first {children} statements did stays. Next: run the rest of the script", _NOT_AGAIN
    if kind == "extract":
        return f"{head}; files that were complete by then stay. Next: run it again", _AGAIN
    return f"{head}; nothing was changed. Next: run it again", _AGAIN


def _reference(body: dict[str, Any]) -> JobReference:
    reference = body["jobReference"]
    return JobReference(reference["projectId"], reference["jobId"], reference["location"])


def _merge(into: dict[str, Any], change: dict[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


_LAST_MS = 253_402_300_799_999  # the end of the year 9999


def _timestamp(ms: int) -> str:
    return (datetime.fromtimestamp(0, tz=UTC) + timedelta(milliseconds=min(ms, _LAST_MS))).isoformat()
