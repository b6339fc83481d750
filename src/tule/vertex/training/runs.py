"""One run of a job: its replicas as processes, from the first start to the last end.

The primary replica stands for the job: with its end the job is over, workers that are about to end have a while for it
and the others (parameter servers, evaluators) are ended. A worker that somebody killed is started again, or the whole job
where it says so; one that failed by itself fails the job.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from tule.kernel.clock import Clock
from tule.kernel.errors import CODES, Cancelled, DeadlineExceeded, FailedPrecondition, TuleError
from tule.kernel.jobs import Exit, Job, Jobs, Reason
from tule.vertex.containers import Containers, Prepared, cause
from tule.vertex.training import cluster
from tule.vertex.training.specs import Replica, Scheduling

_LOG = logging.getLogger(__name__)
# How often killed workers of one run are started again.
_RESTARTS = 3
# Seconds in which workers may end after the primary replica did.
_LAST_WORDS = 30.0
_GRACE = 5.0
_TAIL = 16_000

Event = tuple[Literal["ended"], Replica, Job] | tuple[Literal["cancel", "timeout", "late", "close"]]


class CutOff(Exception):
    """The server stops: the run is left as it is, and taken up by the next server."""


@dataclass(frozen=True)
class Task:
    """What is run. ``spec`` is the job's own JSON, ``variables`` come to those of every replica."""

    name: str
    project: str
    replicas: Sequence[Replica]
    spec: Mapping[str, Any]
    variables: Mapping[str, str]
    scheduling: Scheduling
    trial: str = ""

    @property
    def number(self) -> str:
        return self.name.rpartition("/")[2]


class Run:
    """A run of a task. ``go`` does it on the caller's thread; the other methods may come from any."""

    def __init__(self, jobs: Jobs, containers: Containers, clock: Clock, task: Task) -> None:
        self._jobs = jobs
        self._containers = containers
        self._clock = clock
        self._task = task
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._prepared: dict[str, Prepared] = {}
        self._alive: dict[str, str] = {}
        self._restarts = 0
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True
        self._events.put(("cancel",))

    def close(self) -> None:
        """Leave the run: the server stops."""
        self._events.put(("close",))

    def go(self, began: Callable[[], None]) -> None:
        """Run to the end; ``began`` is called when the first process is about to start.

        Raises why it did not succeed: Cancelled, DeadlineExceeded, FailedPrecondition with the named cause; CutOff.
        """
        try:
            try:
                self._prepare()
                began()
                self._start_all()
                self._until_the_end()
            except CutOff:
                raise
            except BaseException:
                self._end_all()
                self._finish(quietly=True)
                raise
            self._finish()
        finally:
            self._prepared.clear()

    # -- the steps

    def _prepare(self) -> None:
        task = self._task
        ports = cluster.free_ports(len(task.replicas))
        for replica in task.replicas:
            self._check_cancelled()
            found = cluster.variables(task.replicas, ports, replica, task.spec, task.trial)
            env = {**found, **task.variables, **replica.container.env}
            container = replace(replica.container, env=env)
            self._prepared[replica.name] = self._containers.prepare(
                container, project=task.project, name=f"{task.number}-{replica.name}"
            )

    def _start_all(self) -> None:
        # The primary one first: workers find it listening.
        for replica in self._task.replicas:
            self._check_cancelled()
            self._start(replica)

    def _start(self, replica: Replica) -> None:
        job = self._jobs.submit(
            self._task.name,
            self._prepared[replica.name].spec,
            on_end=lambda job: self._events.put(("ended", replica, job)),
            label=replica.name,
            reserved=True,
        )
        self._alive[replica.name] = job.name

    def _check_cancelled(self) -> None:
        if self._cancelled:
            raise Cancelled("The job was cancelled")

    def _until_the_end(self) -> None:
        seconds = self._task.scheduling.timeout
        stop = self._after(seconds, ("timeout",))
        try:
            while True:
                event = self._events.get()
                if event[0] == "ended":
                    if self._ended(event[1], event[2]):
                        break
                elif event[0] == "cancel":
                    self._check_cancelled()
                elif event[0] == "timeout":
                    raise DeadlineExceeded(
                        "The job must end within its time", given=f"a timeout of {seconds:g} s",
                        do="raise scheduling.timeout, or give it less to do",
                    )  # fmt: skip
                elif event[0] == "close":
                    raise CutOff
        finally:
            stop()
        self._last_words()

    def _ended(self, replica: Replica, job: Job) -> bool:
        """Take note of a replica's end; True when the primary one succeeded."""
        if self._alive.get(replica.name) != job.name:
            return False
        del self._alive[replica.name]
        exit = job.exit
        assert exit is not None
        if exit.succeeded:
            return replica.primary
        if not _by_somebody_else(exit) or not self._may_restart():
            raise self._failure(replica, job)
        self._restarts += 1
        if self._task.scheduling.restart_all:
            self._end_all()
            self._start_all()
        else:
            self._start(replica)
        return False

    def _may_restart(self) -> bool:
        return self._task.scheduling.retries and self._restarts < _RESTARTS

    def _failure(self, replica: Replica, job: Job) -> TuleError:
        exit = job.exit
        assert exit is not None
        what = (
            f"exited with a non-zero status of {exit.code}" if exit.reason is Reason.EXITED
            else f"did not end by itself: {exit.detail or exit.reason}"
        )  # fmt: skip
        streams = [_tail(self._jobs, job.name, each) for each in ("stdout", "stderr")]
        found = cause(exit, *streams)
        kind = CODES[found.code] if found is not None else FailedPrecondition
        told = f" {found.text}." if found is not None else ""
        return kind(f"The replica {replica.name} {what}.{told} All it wrote: tule logs {self._task.number}")

    def _last_words(self) -> None:
        """Let workers end by themselves for a while, end the others at once."""
        for replica in self._task.replicas:
            if replica.pool > 1 and replica.name in self._alive:
                self._jobs.cancel(self._alive[replica.name], grace=_GRACE)
        stop = self._after(_LAST_WORDS, ("late",))
        try:
            while self._alive:
                event = self._events.get()
                if event[0] == "ended":
                    if self._alive.get(event[1].name) == event[2].name:
                        del self._alive[event[1].name]
                elif event[0] == "close":
                    raise CutOff
                else:
                    break
        finally:
            stop()
        self._end_all()

    def _end_all(self) -> None:
        """End what still runs, and wait for it."""
        for name in self._alive.values():
            self._jobs.cancel(name, grace=_GRACE)
        for name in self._alive.values():
            self._jobs.wait(name)
        self._alive.clear()

    def _finish(self, *, quietly: bool = False) -> None:
        """Bring to the buckets what was written below /gcs; a job that failed fails for its own reason."""
        for name, prepared in self._prepared.items():
            try:
                prepared.finish()
            except TuleError:
                if not quietly:
                    raise
                _LOG.warning("What %s of %s wrote could not be kept", name, self._task.name, exc_info=True)

    def _after(self, seconds: float, event: Event) -> Callable[[], None]:
        when = self._clock.now() + timedelta(seconds=seconds)
        return self._clock.call_at(when, lambda: self._events.put(event))


def _by_somebody_else(exit: Exit) -> bool:
    """Whether a replica was lost or killed from outside, which is no fault of its own."""
    killed = exit.reason is Reason.SIGNALLED and exit.signal in (signal.SIGKILL, signal.SIGTERM)
    return killed or exit.reason is Reason.LOST


def _tail(jobs: Jobs, name: str, stream: Literal["stdout", "stderr"]) -> bytes:
    tail, offset = b"", 0
    with contextlib.suppress(TuleError):
        while part := jobs.logs(name, stream, offset=offset):
            tail, offset = (tail + part)[-_TAIL:], offset + len(part)
    return tail
