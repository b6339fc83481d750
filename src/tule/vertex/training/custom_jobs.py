"""Custom jobs: stored, queued until there is room, run, and brought to a true end also after a crash.

    QUEUED -> PENDING -> RUNNING -> SUCCEEDED | FAILED | CANCELLED, with CANCELLING in between

The record is Google's message; what it has no room for stands under ``_tule``. Each replica is a process of
``kernel.jobs`` below the job. A job that was cut off by the end of the server starts again from its beginning, with what
it left in its output directory, unless ``scheduling.disable_retries`` says that it must not: then it fails.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from tule.kernel.clock import Clock
from tule.kernel.errors import (
    NUMBERS,
    Aborted,
    Cancelled,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    TuleError,
)
from tule.kernel.jobs import Jobs
from tule.kernel.labels import check_labels
from tule.kernel.names import Pattern, numeric_id
from tule.kernel.records import Page, Record, Records
from tule.vertex.containers import Containers
from tule.vertex.messages import timestamp
from tule.vertex.training import specs
from tule.vertex.training.capacity import Capacity, Ticket
from tule.vertex.training.machines import Resources
from tule.vertex.training.runs import CutOff, Run, Task

CUSTOM_JOB = Pattern("projects/{project}/locations/{location}/customJobs/{job}")
KIND = "customJob"

_LOG = logging.getLogger(__name__)
FINAL = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED")

OnEnd = Callable[[dict[str, Any]], None]
Rooms = Callable[[str, str], Capacity]
"""The room of a persistent resource by parent and id; NotFound, FailedPrecondition where it has none."""


class CustomJobs:
    """The custom jobs of the server. Safe to use from several threads."""

    def __init__(
        self,
        records: Records,
        jobs: Jobs,
        containers: Containers,
        clock: Clock,
        *,
        machine: Capacity,
        scale: bool = False,
    ) -> None:
        """``scale``: jobs that ask for more than there is are made smaller instead of refused."""
        self._records = records
        self._jobs = jobs
        self._containers = containers
        self._clock = clock
        self._machine = machine
        self._scale = scale
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}
        self._actions: dict[str, list[OnEnd]] = {}
        self._seen: set[str] = set()
        self._closed = False
        self.rooms: Rooms = _no_rooms

    # -- Google's methods

    def check(self, parent: str, spec: Mapping[str, Any]) -> tuple[specs.Replica, ...]:
        """Raise what is wrong with a CustomJobSpec, or what this machine cannot do, before anything is stored."""
        specs.check_output(spec)
        specs.scheduling(spec)
        room = self._room(parent, spec)
        replicas = specs.replicas(spec, room.total, scale=self._scale)
        for each in replicas:
            self._containers.check(each.container)
        if len(replicas) > 1 and self._containers.closed:
            raise FailedPrecondition(
                "Replicas of a job must reach each other",
                given=f"{len(replicas)} replicas, with TULE_JOB_NETWORK=closed",
                do="use one replica, or start Tule with TULE_JOB_NETWORK=open",
            )
        return replicas

    def create(
        self, parent: str, message: Mapping[str, Any], *, trial: str = "", variables: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Store a job and queue it. ``trial``: the number of the trial that it is; ``variables``: more of them."""
        if not message.get("displayName"):
            raise InvalidArgument("A job must have a display name", given="none", do="set custom_job.display_name")
        check_labels(message.get("labels", {}))
        self.check(parent, message.get("jobSpec", {}))
        body = {key: message[key] for key in ("displayName", "jobSpec", "labels") if key in message}
        private = {"trial": trial, "variables": dict(variables or {})}
        name = f"{parent}/customJobs/{numeric_id()}"
        with self._records.transaction():
            record = self._records.create(KIND, name, {**body, "state": "JOB_STATE_QUEUED", "_tule": private})
            self._records.after_commit(lambda: self._queue(record))
        return self.message(record)

    def get(self, name: str) -> dict[str, Any]:
        return self.message(self.find(name))

    def list(
        self, parent: str, *, filter: str = "", order_by: str = "", page_size: int = 0, page_token: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        found = self.page(parent, filter=filter, order_by=order_by, page_size=page_size, page_token=page_token)
        return [self.message(each) for each in found], found.next_page_token

    def page(
        self, parent: str, *, filter: str = "", order_by: str = "", page_size: int = 0, page_token: str = ""
    ) -> Page:
        """As ``list``, the records."""
        return self._records.list(
            KIND, parent, filter=filter, order_by=order_by or "create_time desc", page_size=page_size,
            page_token=page_token,
        )  # fmt: skip

    def cancel(self, name: str) -> None:
        """Ask a job to end; nothing happens to one that has ended."""
        with self._records.transaction(), self._lock:
            record = self.find(name)
            state = record.body["state"]
            if state == "JOB_STATE_QUEUED":
                self._settle(name, "JOB_STATE_CANCELLED", Cancelled("The job was cancelled before it began"))
                self._records.after_commit(lambda: self._leave(record))
            elif state not in FINAL:
                self._records.update(name, {"state": "JOB_STATE_CANCELLING"})
            run = self._runs.get(name)
        if run is not None:
            run.cancel()

    def check_delete(self, name: str) -> None:
        if self.find(name).body["state"] not in FINAL:
            raise FailedPrecondition("A job must have ended to be deleted", given=name, do="cancel it first")

    def delete(self, name: str) -> None:
        """Forget a job with its processes and what they wrote."""
        self.check_delete(name)
        for each in self._jobs.list(name):
            self._jobs.delete(each.name)
        self._records.delete(name)

    def on_end(self, name: str, action: OnEnd) -> None:
        """Call ``action`` with the job's message once it has ended, at once where it has."""
        # In a transaction of its own: an end is either seen here, or finds the action.
        with self._records.transaction(), self._lock:
            message = self.get(name)
            if message["state"] not in FINAL:
                self._actions.setdefault(name, []).append(action)
                return
        action(message)

    def find(self, name: str) -> Record:
        CUSTOM_JOB.parse(name)
        record = self._records.find(name)
        if record is None or record.kind != KIND:
            raise NotFound("The custom job must exist", given=name, do="list the custom jobs of the location")
        return record

    @staticmethod
    def message(record: Record) -> dict[str, Any]:
        body = {key: value for key, value in record.body.items() if not key.startswith("_")}
        times = {"createTime": timestamp(record.create_time), "updateTime": timestamp(record.update_time)}
        return {"name": record.name, **body, **times}

    # -- from the queue to the end

    def _room(self, parent: str, spec: Mapping[str, Any]) -> Capacity:
        resource = spec.get("persistentResourceId", "")
        return self.rooms(parent, resource) if resource else self._machine

    def _queue(self, record: Record) -> None:
        """Ask for room; what stands in the way of a job stored earlier becomes its end."""
        name, spec, parent = record.name, record.body["jobSpec"], _parent(record.name)
        with self._lock:
            self._seen.add(name)
        try:
            room, replicas = self._room(parent, spec), self.check(parent, spec)
        except TuleError as error:
            self._end(name, error)
            return
        scheduling = specs.scheduling(spec)
        if scheduling.most_wait is not None:
            when = record.create_time + timedelta(seconds=scheduling.most_wait)
            self._clock.call_at(when, lambda: self._expire(name, room))
        project = name.split("/")[1]
        begin = self._begin(record, replicas, scheduling)
        room.ask(Ticket(name, project, specs.demand(replicas), begin, scheduling.priority))

    def _begin(
        self, record: Record, replicas: tuple[specs.Replica, ...], scheduling: specs.Scheduling
    ) -> Callable[[], None]:
        name, private = record.name, record.body["_tule"]
        project = name.split("/")[1]
        spec = record.body["jobSpec"]
        variables = {**_variables(name, spec, private["trial"]), **private["variables"]}
        task = Task(name, project, replicas, spec, variables, scheduling, private["trial"])

        def begin() -> None:
            threading.Thread(target=self._work, args=(task,), name="training", daemon=True).start()

        return begin

    def _expire(self, name: str, room: Capacity) -> None:
        if room.waiting(name) and room.leave(name):
            self._end(
                name,
                DeadlineExceeded("The job must find room within its max_wait_duration", do="submit it again later"),
            )

    def _work(self, task: Task) -> None:
        run = Run(self._jobs, self._containers, self._clock, task)
        try:
            if not self._claim(task.name, run):
                return
            try:
                run.go(lambda: self._started(task))
                error: TuleError | None = None
            except CutOff:
                return
            except TuleError as raised:
                error = raised
            except Exception as raised:
                _LOG.exception("Job %s failed in the server", task.name)
                error = Internal(f"The server could not run the job: {type(raised).__name__}: {raised}")
            if error is not None and self._closed:
                # Nothing can be started while the server stops: no fault of the job, which the next server takes up.
                return
            self._end(task.name, error)
        except Exception:
            # The store failed (a full disk): the record still says RUNNING, the next start takes the job up again.
            _LOG.exception("The end of job %s could not be stored", task.name)
        finally:
            with self._lock:
                self._runs.pop(task.name, None)
            record = self._records.find(task.name) if not self._closed else None
            if record is not None:
                self._leave(record)

    def _claim(self, name: str, run: Run) -> bool:
        """Make the job PENDING, unless it was cancelled or deleted before."""
        with self._records.transaction(), self._lock:
            record = self._records.find(name)
            if self._closed or record is None or record.body["state"] != "JOB_STATE_QUEUED":
                return False
            self._records.update(name, {"state": "JOB_STATE_PENDING"})
            self._runs[name] = run
            return True

    def _started(self, task: Task) -> None:
        notes = specs.notes(task.spec, task.replicas)
        now = timestamp(self._clock.now())

        def change(body: dict[str, Any]) -> dict[str, Any]:
            state = "JOB_STATE_RUNNING" if body["state"] == "JOB_STATE_PENDING" else body["state"]
            private = {**body["_tule"], "notes": notes}
            return {**body, "state": state, "startTime": body.get("startTime", now), "_tule": private}

        self._records.update(task.name, change)

    def _end(self, name: str, error: TuleError | None) -> None:
        cancelled = isinstance(error, Cancelled)
        state = "SUCCEEDED" if error is None else "CANCELLED" if cancelled else "FAILED"
        with self._records.transaction(), self._lock:
            record = self._records.find(name)
            if record is not None and record.body["state"] not in FINAL:
                self._settle(name, f"JOB_STATE_{state}", error)

    def _settle(self, name: str, state: str, error: TuleError | None) -> None:
        """Write the end down; who waits for it is told when it is durable."""
        body: dict[str, Any] = {"state": state, "endTime": timestamp(self._clock.now())}
        if error is not None:
            body["error"] = {"code": NUMBERS[error.code], "message": error.message}
        record = self._records.update(name, body)
        actions = self._actions.pop(name, [])
        self._records.after_commit(lambda: self._tell(actions, self.message(record)))

    @staticmethod
    def _tell(actions: Sequence[OnEnd], message: dict[str, Any]) -> None:
        # Not under the locks of whoever ended the job.
        def tell() -> None:
            for action in actions:
                try:
                    action(message)
                except Exception:
                    _LOG.exception("An action at the end of %s failed", message["name"])

        if actions:
            threading.Thread(target=tell, name="training-ends", daemon=True).start()

    def _leave(self, record: Record) -> None:
        try:
            self._room(_parent(record.name), record.body["jobSpec"]).leave(record.name)
        except TuleError:
            _LOG.debug("The room of %s is gone", record.name)

    # -- the server's life

    def recover(self) -> None:
        """At the start: queue what had not begun; start again, or end, what was cut off. Returns before they run."""
        left = [each for each in self._records.list(KIND, order_by="create_time") if each.body["state"] not in FINAL]
        for record in [each for each in left if each.name not in self._seen]:
            if record.body["state"] == "JOB_STATE_QUEUED":
                self._queue(record)
            else:
                threading.Thread(target=self._take_up, args=(record,), name="training", daemon=True).start()

    def _take_up(self, record: Record) -> None:
        # Launchers of the last server are just ending their processes.
        for each in self._jobs.list(record.name):
            self._jobs.wait(each.name)
        name = record.name
        if record.body["state"] == "JOB_STATE_CANCELLING":
            self._end(name, Cancelled("The job was cancelled"))
        elif not specs.scheduling(record.body["jobSpec"]).retries:
            self._end(
                name,
                Aborted(
                    "The server stopped while the job was running, and its scheduling.disable_retries is set",
                    do="submit it again; what it wrote before is in its output directory",
                ),
            )
        else:
            self._queue(self._records.update(name, {"state": "JOB_STATE_QUEUED"}))

    def close(self) -> None:
        """Begin nothing more and leave what runs: the next server takes it up."""
        with self._lock:
            self._closed = True
            runs = list(self._runs.values())
        self._machine.close()
        for run in runs:
            run.close()


def _variables(name: str, spec: Mapping[str, Any], trial: str) -> dict[str, str]:
    """The variables that tell a job of itself."""
    _, _, _, location, _, number = name.split("/")
    found = {
        "CLOUD_ML_JOB_ID": number,
        "CLOUD_ML_REGION": location,
        **specs.output_variables(spec, trial),
    }
    for field, variable in (("experiment", "AIP_EXPERIMENT_NAME"), ("experimentRun", "AIP_EXPERIMENT_RUN_NAME")):
        if spec.get(field):
            found[variable] = spec[field].rpartition("/")[2]
    if spec.get("tensorboard"):
        found["AIP_TENSORBOARD_RESOURCE_NAME"] = spec["tensorboard"]
        found["AIP_TENSORBOARD_API_URI"] = f"{location}-aiplatform.googleapis.com"
    return found


def _parent(name: str) -> str:
    return name.rpartition("/customJobs/")[0]


def _no_rooms(parent: str, resource: str) -> Capacity:
    raise NotFound("The persistent resource must exist", given=f"{parent}/persistentResources/{resource}")


def machine_room(machine: Resources) -> Capacity:
    """The room of this machine."""
    return Capacity(machine)
