"""Jobs: processes that are remembered. Each is a record, each reaches a true final state, also after a crash.

    QUEUED -> RUNNING -> SUCCEEDED | FAILED | CANCELLED

The record says RUNNING with the runner's handle before the process starts, so that after a crash the runner can be
asked what became of it; a handle that the runner never saw goes back to the queue.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from tule.kernel.clock import Clock
from tule.kernel.errors import FailedPrecondition, NotFound, TuleError
from tule.kernel.jobs.runner import Runner, Stream
from tule.kernel.jobs.spec import Exit, JobSpec, Reason
from tule.kernel.names import numeric_id
from tule.kernel.records import Record, Records

_LOG = logging.getLogger(__name__)
_KIND = "process"
_EVIDENCE_LINES = 12
_EVIDENCE_BYTES = 4000
_NOT_BEGUN = "the server stopped before it began"

# What to do about an end, by its reason.
_NEXT = {
    Reason.OUT_OF_MEMORY: "raise its memory limit or work on less data at a time",
    Reason.TIMEOUT: "raise its time limit",
    Reason.CPU_LIMIT: "raise its limit of processor time",
    Reason.DISK_LIMIT: "raise its limit of disk, or write less",
    Reason.HANG: "look at what it waited for, or let it be idle for longer",
    Reason.LOST: "start it again",
}


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def final(self) -> bool:
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Job:
    """A state of a job. ``error`` says what happened, the evidence and what to do; empty unless it FAILED."""

    name: str
    owner: str
    spec: JobSpec
    state: JobState
    exit: Exit | None
    error: str
    cancel_requested: bool
    create_time: datetime
    start_time: datetime | None
    end_time: datetime | None
    handle: str
    label: str = ""


OnEnd = Callable[[Job], None]


class Jobs:
    """The jobs of one server, at most ``slots`` at a time (0: one per core), first come, first served."""

    def __init__(self, records: Records, runner: Runner, clock: Clock, *, slots: int = 0) -> None:
        self._records = records
        self._runner = runner
        self._clock = clock
        self._slots = slots or os.cpu_count() or 1
        self._changed = threading.Condition()
        self._waiting: deque[tuple[str, OnEnd | None]] = deque()
        self._watchers: dict[str, OnEnd] = {}
        self._running = 0
        self._reserved = 0
        self._closed = False

    # -- for callers

    def submit(
        self, owner: str, spec: JobSpec, *, on_end: OnEnd | None = None, label: str = "", reserved: bool = False
    ) -> Job:
        """Store a job ``<owner>/processes/<id>`` and run it when its turn comes.

        Inside a transaction it is queued when that commits. ``owner`` is the resource it works for, ``label`` what it is
        among the owner's. ``on_end`` is called once with the final state, unless the server stops before; ``recover``
        tells what it missed. ``reserved``: the owner has seen to the room for it, so that it takes no slot and begins at
        once; where the server stops before it begins it is lost, for the owner decides anew.
        """
        if self._closed:
            raise FailedPrecondition("The server must be running to start a job", do="start it again")
        body: dict[str, Any] = {"owner": owner, "spec": spec.to_json(), "state": JobState.QUEUED}
        body |= {"label": label} if label else {}
        body |= {"reserved": True} if reserved else {}
        record = self._records.create(_KIND, f"{owner}/processes/{numeric_id()}", body, parent=owner)
        begin = self._begin_reserved if reserved else self._enqueue
        self._records.after_commit(lambda: begin(record.name, on_end))
        return _job(record)

    def get(self, name: str) -> Job:
        """The job; raises NotFound."""
        record = self._records.find(name)
        if record is None or record.kind != _KIND:
            raise NotFound("The job must exist", given=name)
        return _job(record)

    def list(self, owner: str | None = None, *, filter: str = "") -> Sequence[Job]:
        """The jobs of an owner, oldest first; the filter sees ``state``, ``owner``, ``exit.reason``, ``spec``."""
        return [_job(each) for each in self._records.list(_KIND, owner, filter=filter, order_by="create_time")]

    def cancel(self, name: str, *, grace: float = 5.0) -> Job:
        """Ask a job to end; one that ended before stays as it ended."""
        with self._records.transaction():
            job = self.get(name)
            if job.state is JobState.QUEUED:
                self._finish(name, Exit(reason=Reason.CANCELLED, detail="it was cancelled before it began"))
            elif job.state is JobState.RUNNING:
                self._records.update(name, {"cancelRequested": True})
        if job.state is JobState.RUNNING:
            try:
                self._runner.kill(job.handle, grace)
            except NotFound:
                # It is just being started: the thread that starts it looks at the request afterwards.
                _LOG.debug("Cancel of %s came before its start", name)
        return self.get(name)

    def watch(self, name: str, on_end: OnEnd) -> None:
        """Call ``on_end`` once with the final state of a job, at once if it ended; raises NotFound.

        For jobs that an earlier server submitted.
        """
        with self._changed:
            self._watchers[name] = on_end
        job = self.get(name)
        if job.state.final:
            self._tell(job, None)

    def wait(self, name: str, timeout: float | None = None) -> Job:
        """The job in its final state, or as it is after ``timeout`` real seconds."""
        if self._records.in_transaction:
            raise RuntimeError("A job must not be waited for inside a transaction")
        deadline = None if timeout is None else self._clock.monotonic() + timeout
        with self._changed:
            while True:
                job = self.get(name)
                left = None if deadline is None else deadline - self._clock.monotonic()
                if job.state.final or (left is not None and left <= 0):
                    return job
                self._changed.wait(left)

    def logs(self, name: str, stream: Stream = "stdout", *, offset: int = 0, limit: int = 2**20) -> bytes:
        """A part of what the job wrote, as ``Runner.logs``; empty before it began."""
        handle = self.get(name).handle
        try:
            return self._runner.logs(handle, stream, offset=offset, limit=limit) if handle else b""
        except NotFound:
            return b""

    def delete(self, name: str) -> None:
        """Forget a job and its logs; raises FailedPrecondition before it ended."""
        job = self.get(name)
        if not job.state.final:
            raise FailedPrecondition("A job must have ended to be deleted", given=name, do="cancel it first")
        self._records.delete(name)
        if job.handle:
            try:
                self._runner.forget(job.handle)
            except NotFound:
                _LOG.debug("The runner had forgotten %s", name)

    def purge(self, before: datetime) -> int:
        """Forget the jobs that ended before a moment, with their logs; returns how many."""
        names = self._records.names_before(_KIND, before, filter="state != QUEUED AND state != RUNNING")
        for name in names:
            with contextlib.suppress(NotFound):
                self.delete(name)
        return len(names)

    # -- running

    def _enqueue(self, name: str, on_end: OnEnd | None) -> None:
        with self._changed:
            self._waiting.append((name, on_end))
            if self._running >= self._slots or self._closed:
                return
            self._running += 1
        threading.Thread(target=self._serve, name="jobs", daemon=True).start()

    def _serve(self) -> None:
        """One slot: jobs from the queue until it is empty."""
        while True:
            with self._changed:
                if not self._waiting or self._closed:
                    self._running -= 1
                    self._changed.notify_all()
                    return
                name, on_end = self._waiting.popleft()
            self._run_safely(name, on_end)

    def _begin_reserved(self, name: str, on_end: OnEnd | None) -> None:
        """Run a job beside the slots."""

        def serve() -> None:
            self._run_safely(name, on_end)
            with self._changed:
                self._reserved -= 1
                self._changed.notify_all()

        with self._changed:
            if self._closed:
                return
            self._reserved += 1
        threading.Thread(target=serve, name="jobs", daemon=True).start()

    def _run_safely(self, name: str, on_end: OnEnd | None) -> None:
        try:
            self._run(name, on_end)
        except NotFound:
            _LOG.info("Job %s was deleted before it ended", name)
        except Exception:
            # The store failed (a full disk): the record still says RUNNING, the next start asks the runner.
            _LOG.exception("The end of job %s could not be stored", name)

    def _run(self, name: str, on_end: OnEnd | None) -> None:
        job = self._begin(name)
        if job is None:
            return
        try:
            self._runner.start(job.spec, handle=job.handle)
        except Exception as error:
            if not isinstance(error, TuleError):
                _LOG.exception("The runner could not start %s", name)
            text = error.message if isinstance(error, TuleError) else f"the runner failed: {error}"
            self._end(name, Exit(reason=Reason.LOST, detail=f"it could not be started: {text}"), on_end)
            return
        # A cancel between the record's RUNNING and the start found no process to kill.
        if self.get(name).cancel_requested:
            self._runner.kill(job.handle)
        self._watch(name, job.handle, on_end)

    def _begin(self, name: str) -> Job | None:
        """The job, now RUNNING with the handle it will have; None when it is no longer queued."""
        with self._records.transaction():
            record = self._records.get(name)
            if record.body["state"] != JobState.QUEUED:
                return None
            body = {"state": JobState.RUNNING, "handle": record.uid, "startTime": self._clock.now().isoformat()}
            return _job(self._records.update(name, body))

    def _watch(self, name: str, handle: str, on_end: OnEnd | None) -> None:
        state = self._runner.wait(handle)
        if state.exit is None:
            raise TypeError(f"A runner that waits without a timeout must return an end: {type(self._runner).__name__}")
        self._end(name, state.exit, on_end)

    def _end(self, name: str, exit: Exit, on_end: OnEnd | None) -> None:
        self._tell(self._finish(name, exit), on_end)

    def _tell(self, job: Job, on_end: OnEnd | None) -> None:
        with self._changed:
            watcher = self._watchers.pop(job.name, None)
        for action in (on_end, watcher):
            if action is not None:
                try:
                    action(job)
                except Exception:
                    _LOG.exception("An action at the end of job %s failed", job.name)

    def _finish(self, name: str, exit: Exit) -> Job:
        job = self.get(name)
        if exit.reason is Reason.CANCELLED and not job.cancel_requested and job.state is JobState.RUNNING:
            # Nobody asked for it: the server ended its jobs because it was stopped itself.
            exit = replace(exit, reason=Reason.LOST, detail="the server was stopped while it was running")
        if exit.succeeded:
            state = JobState.SUCCEEDED
        else:
            state = JobState.CANCELLED if exit.reason is Reason.CANCELLED else JobState.FAILED
        change: dict[str, Any] = {"state": state, "exit": exit.to_json(), "endTime": self._clock.now().isoformat()}
        if state is JobState.FAILED:
            change["error"] = self._explain(job, exit)
        with self._records.transaction():
            record = self._records.update(name, change)
            self._records.after_commit(self._notify)
        return _job(record)

    def _explain(self, job: Job, exit: Exit) -> str:
        """What happened, the last it wrote, and what to do."""
        evidence = b""
        if job.handle:
            try:
                evidence = self._tail(job.handle, "stderr") or self._tail(job.handle, "stdout")
            except TuleError:
                _LOG.debug("No logs of %s", job.name)
        lines = evidence.decode(errors="replace").splitlines()[-_EVIDENCE_LINES:]
        wrote = "; it last wrote:\n" + "\n".join(lines) + "\n" if lines else ". "
        return f"The process failed: {exit.detail or exit.reason}{wrote}Next: {_NEXT.get(exit.reason, 'read its logs')}"

    def _tail(self, handle: str, stream: Stream) -> bytes:
        tail, offset = b"", 0
        while part := self._runner.logs(handle, stream, offset=offset):
            tail, offset = (tail + part)[-_EVIDENCE_BYTES:], offset + len(part)
        return tail.strip()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # -- the server's life

    def recover(self) -> Sequence[Job]:
        """At the start: queue again what had not begun, settle what had; returns the jobs that ended meanwhile."""
        ended = []
        for record in self._records.list(_KIND, filter="state = QUEUED OR state = RUNNING", order_by="create_time"):
            job = _job(record)
            reserved = record.body.get("reserved", False)
            if job.state is JobState.QUEUED and not reserved:
                self._enqueue(job.name, None)
                continue
            try:
                state = self._runner.poll(job.handle) if job.handle else None
            except NotFound:
                state = None
            if state is None and reserved:
                ended.append(self._finish(job.name, Exit(reason=Reason.LOST, detail=_NOT_BEGUN)))
                continue
            if state is None:
                # The server stopped between writing the handle down and starting the process.
                self._records.update(job.name, {"state": JobState.QUEUED, "handle": None, "startTime": None})
                if job.cancel_requested:
                    self.cancel(job.name)
                else:
                    self._enqueue(job.name, None)
                continue
            if state.exit is not None:
                ended.append(self._finish(job.name, state.exit))
            else:
                # On a cluster it goes on without us; on this machine its launcher is just ending it.
                with self._changed:
                    self._running += 1
                threading.Thread(target=self._rejoin, args=(job,), name="jobs", daemon=True).start()
        return ended

    def _rejoin(self, job: Job) -> None:
        try:
            if job.cancel_requested:
                self._runner.kill(job.handle)
            self._watch(job.name, job.handle, None)
        except NotFound:
            _LOG.info("Job %s was deleted before it ended", job.name)
        except Exception:
            _LOG.exception("The end of job %s could not be stored", job.name)
        self._serve()

    def close(self, grace: float = 5.0) -> None:
        """Start no more jobs; end those that run here and store how they ended."""
        with self._changed:
            self._closed = True
        for job in self.list(filter="state = RUNNING"):
            try:
                self._runner.kill(job.handle, grace)
            except TuleError:
                _LOG.debug("Job %s was not there to be ended", job.name)
        deadline = self._clock.monotonic() + grace + 10
        with self._changed:
            while (self._running or self._reserved) and (left := deadline - self._clock.monotonic()) > 0:
                self._changed.wait(left)


def _job(record: Record) -> Job:
    body = record.body
    return Job(
        name=record.name,
        owner=body["owner"],
        spec=JobSpec.from_json(body["spec"]),
        state=JobState(body["state"]),
        exit=Exit.from_json(body["exit"]) if "exit" in body else None,
        error=body.get("error", ""),
        cancel_requested=body.get("cancelRequested", False),
        create_time=record.create_time,
        start_time=_moment(body.get("startTime")),
        end_time=_moment(body.get("endTime")),
        handle=body.get("handle", ""),
        label=body.get("label", ""),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
