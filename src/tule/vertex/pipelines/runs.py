"""Runs in progress: what happened to a task is noted, and what follows from it, in one transaction.

After a crash each run goes on from what is noted. A step whose process was under way when the server went down runs
again; one whose process had ended, does not.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from tule.kernel.clock import Clock
from tule.kernel.errors import Cancelled, FailedPrecondition, Internal, NotFound, TuleError
from tule.kernel.jobs import Job, Jobs, JobSpec, JobState, Reason
from tule.kernel.names import numeric_id
from tule.kernel.operations import status
from tule.kernel.records import Records
from tule.vertex.pipelines import ir
from tule.vertex.pipelines.cache import Cache
from tule.vertex.pipelines.plan import Plan
from tule.vertex.pipelines.steps import Outcome, about
from tule.vertex.pipelines.tasks import KIND, Artifacts, Run, Shape, State, TaskRun

_LOG = logging.getLogger(__name__)
JOB_KIND = "pipelineJob"
ENDED = ("PIPELINE_STATE_SUCCEEDED", "PIPELINE_STATE_FAILED", "PIPELINE_STATE_CANCELLED")
_THREADS = 16
# A step under which the server goes down again and again is what brings it down.
_MOST_LOSSES = 5
# After a store that failed, seconds until the step forward is tried again.
_AGAIN = 5.0
_RUN_STATES = {
    State.SUCCEEDED: "PIPELINE_STATE_SUCCEEDED",
    State.FAILED: "PIPELINE_STATE_FAILED",
    State.CANCELLED: "PIPELINE_STATE_CANCELLED",
}


class Launches(Protocol):
    """How a task becomes a process, and what comes of it."""

    def prepare(self, run: Run, task: TaskRun) -> JobSpec:
        """All that the process needs, in place; may take long. Raises TuleError for what cannot be had."""

    def collect(self, run: Run, task: TaskRun) -> Outcome:
        """Store what the process wrote, and its outputs. Doing it twice does what once does."""

    def explain(self, run: Run, task: TaskRun, job: Job) -> TuleError:
        """Why its process failed: the cause, the evidence, what to do."""

    def clean(self, run: Run, task: TaskRun) -> None:
        """Remove what was made for the process."""


class Lineage(Protocol):
    """What is written down of a run for the metadata store, in the transaction that has the effect."""

    def began(self, run: Run) -> None: ...

    def changed(self, run: Run, task: TaskRun) -> None: ...

    def parents(self, job: str, pipeline: str) -> list[str]: ...

    def imported(self, run: Run, task: TaskRun, importer: ir.Importer) -> dict[str, Any]:
        """The artifact that an importer names: one that is known already, unless it is to be imported anew."""


class Runs:
    """The runs of one server. Safe to use from any thread."""

    def __init__(
        self, records: Records, clock: Clock, jobs: Jobs, launches: Launches, cache: Cache, lineage: Lineage
    ) -> None:
        self.records = records
        self.clock = clock
        self.jobs = jobs
        self.launches = launches
        self.cache = cache
        self.lineage = lineage
        self._work: deque[Callable[[], None]] = deque()
        self._threads = 0
        self._lock = threading.Lock()
        self._drivers: dict[str, _Driver] = {}
        self._listeners: list[Callable[[str], None]] = []
        self.closed = False

    def on_end(self, listener: Callable[[str], None]) -> None:
        """Call ``listener`` with the name of each run that ended."""
        self._listeners.append(listener)

    def start(self, name: str) -> None:
        """Let a run that was stored begin, or go on."""
        self.soon(lambda: self._driver(name).resume())

    def cancel(self, name: str) -> None:
        """End what a run is doing; to be called when its record says CANCELLING."""
        self.soon(lambda: self._driver(name).cancel())

    def recover(self) -> None:
        """At the start: let the runs that are not over go on."""
        for state in ("PENDING", "RUNNING", "CANCELLING"):
            for record in self.records.list(JOB_KIND, filter=f"state=PIPELINE_STATE_{state}"):
                self.start(record.name)

    def stop(self) -> None:
        """Take no more steps; what is under way ends with its jobs, and goes on at the next start. Idempotent."""
        self.closed = True
        with self._lock:
            drivers = list(self._drivers.values())
        for driver in drivers:
            driver.close()

    def ended(self, name: str) -> None:
        """A run is over: forget it, and tell who listens."""
        with self._lock:
            self._drivers.pop(name, None)
        for listener in self._listeners:
            try:
                listener(name)
            except Exception:
                _LOG.exception("An action at the end of %s failed", name)

    def _driver(self, name: str) -> _Driver:
        with self._lock:
            driver = self._drivers.get(name)
            if driver is None:
                driver = self._drivers[name] = _Driver(self, name)
            return driver

    def soon(self, action: Callable[[], None]) -> None:
        """Run ``action`` on a thread of this room, in turn."""
        with self._lock:
            self._work.append(action)
            if self._threads >= _THREADS:
                return
            self._threads += 1
        # Daemons: an environment that takes long to install must not keep the process from ending.
        threading.Thread(target=self._serve, name="pipeline", daemon=True).start()

    def _serve(self) -> None:
        while True:
            with self._lock:
                if not self._work or self.closed:
                    self._threads -= 1
                    return
                action = self._work.popleft()
            try:
                action()
            except NotFound:
                _LOG.info("A pipeline run was deleted before it went on")
            except Exception:
                _LOG.exception("A pipeline run could not go on")


class _Driver:
    """One run: what happens to it, one thing after the other."""

    def __init__(self, runs: Runs, name: str) -> None:
        self._runs = runs
        self._name = name
        self._lock = threading.RLock()
        self._run = self._read()
        self._starting: set[str] = set()
        self._timers: dict[str, Callable[[], None]] = {}

    def _read(self) -> Run:
        """The run as it is stored."""
        records = self._runs.records
        message = records.get(self._name).body
        stored = (TaskRun.from_json(each.body) for each in records.list(KIND, self._name))
        return Run(self._name, ir.read(message["pipelineSpec"]), message, {each.id: each for each in stored})

    def close(self) -> None:
        with self._lock:
            timers, self._timers = list(self._timers.values()), {}
        for cancel in timers:
            cancel()

    # -- what happens

    def resume(self) -> None:
        """Begin the run, or take it up where it was left."""
        if self._run.message["state"] in ENDED:
            return
        if self._run.root is None:
            inputs = self._run.message["_tule"]["inputs"]
            self._step(lambda plan: plan.begin(inputs["parameters"], inputs["artifacts"]), first=True)
            return
        for task in list(self._run.tasks.values()):
            if task.shape is Shape.STEP and task.state is State.RUNNING:
                self._rejoin(task)
        self._step(lambda plan: None)
        if self._run.cancelling:
            self.cancel()

    def _rejoin(self, task: TaskRun) -> None:
        try:
            self._runs.jobs.watch(task.process, self._job_ended)
        except NotFound:
            self._step(lambda plan: self._lost(plan, plan.run.tasks[task.id]))

    def cancel(self) -> None:
        """End the processes; steps that did not begin are over at once."""
        with self._lock:
            self._run.message = self._runs.records.get(self._name).body
            running = [
                task.id for task in self._run.tasks.values() if task.shape is Shape.STEP and task.state is State.RUNNING
            ]

            def drop(plan: Plan) -> None:
                for task in list(plan.run.tasks.values()):
                    if task.shape is Shape.STEP and task.state is State.PENDING:
                        plan.mark(task, State.CANCELLED, status(Cancelled("The run was cancelled")))

            self._step(drop)
        for each in running:
            task = self._run.tasks[each]
            with contextlib.suppress(NotFound):
                job = self._runs.jobs.cancel(task.process)
                if job.state.final:
                    self._job_ended(job)

    def _job_ended(self, job: Job) -> None:
        """The process of a step is over: what it left is stored first, then its end is noted with what follows."""
        task = self._run.tasks.get(job.owner.rpartition("/")[2])
        if self._runs.closed or task is None or task.process != job.name or task.state is not State.RUNNING:
            return
        outcome: Outcome | None = None
        contents: dict[str, str] = {}
        error: TuleError | None = None
        if job.state is JobState.SUCCEEDED:
            try:
                outcome = self._runs.launches.collect(self._run, task)
                contents = self._runs.cache.contents(outcome.artifacts) if task.key else {}
            except TuleError as problem:
                error = problem
            except Exception as problem:
                _LOG.exception("The outputs of %s could not be read", job.owner)
                error = Internal("The outputs of a step could not be read", given=str(problem))

        def change(plan: Plan) -> None:
            found = plan.run.tasks[task.id]
            if found.process != job.name or found.state is not State.RUNNING:
                return
            if outcome is not None:
                self._give(plan, found, outcome, State.SUCCEEDED)
                if found.key:
                    self._runs.cache.put(plan.run, found, contents)
            elif error is not None:
                self._fail(plan, found, error)
            elif plan.run.cancelling:
                plan.mark(found, State.CANCELLED, status(Cancelled("The run was cancelled")))
            elif job.exit is not None and job.exit.reason is Reason.LOST:
                self._lost(plan, found)
            else:
                self._fail(plan, found, self._runs.launches.explain(plan.run, found, job))

        def clean() -> None:
            if self._run.tasks[task.id].state.final:
                self._runs.launches.clean(self._run, task)

        self._step(change, after=clean)

    def _give(self, plan: Plan, task: TaskRun, outcome: Outcome, state: State) -> None:
        task.output_parameters, task.output_artifacts = outcome.parameters, outcome.artifacts
        plan.mark(task, state)

    def _lost(self, plan: Plan, task: TaskRun) -> None:
        """The server went down under a step: it runs again, as if it had not begun."""
        task.losses += 1
        if task.losses > _MOST_LOSSES:
            plan.mark(task, State.FAILED, status(FailedPrecondition(
                "A step must be able to run while the server does",
                given=f"the server went down {task.losses} times under {task.name}", do="look at the server's log",
            )))  # fmt: skip
            return
        self._again(plan, task)

    def _fail(self, plan: Plan, task: TaskRun, error: TuleError) -> None:
        """A step failed: it is tried again if its policy says so, else that is its end."""
        spec = plan.run.specification(task)
        task.failures += 1
        if spec is None or task.failures > spec.retry.count or plan.run.cancelling:
            plan.mark(task, State.FAILED, status(error))
            return
        pause = timedelta(seconds=spec.retry.pause(task.failures))
        task.retry_at = (self._runs.clock.now() + pause).isoformat() if pause else ""
        self._again(plan, task, status(error))

    def _again(self, plan: Plan, task: TaskRun, error: dict[str, Any] | None = None) -> None:
        if task.process:
            task.processes = [*task.processes, task.process]
        task.process = ""
        plan.mark(task, State.PENDING, error)

    # -- one step forward

    def _step(
        self, change: Callable[[Plan], None], *, first: bool = False, after: Callable[[], None] = lambda: None
    ) -> None:
        """Change tasks, see what follows, note all of it at once; then start what is to start, and do what is ``after``."""
        with self._lock:
            if self._runs.closed or self._run.message["state"] in ENDED:
                return
            try:
                with self._runs.records.transaction():
                    self._advance(change, first)
            except NotFound:
                raise
            except Exception:
                # Nothing was noted: back to what is stored, and again later.
                _LOG.exception("A step of %s could not be stored", self._name)
                self._run = self._read()
                self._timer("again", timedelta(seconds=_AGAIN), self.resume)
                return
            if self._run.message["state"] in ENDED:
                self.close()
        if self._run.message["state"] in ENDED:
            after()
            self._runs.ended(self._name)
        else:
            self._start_ready()
            after()

    def _advance(self, change: Callable[[Plan], None], first: bool) -> None:
        records, run = self._runs.records, self._run
        plan = Plan(run, _text(self._runs.clock.now()), numeric_id, about(run))
        if first:
            run.message = records.update(
                self._name, {"state": "PIPELINE_STATE_RUNNING", "startTime": _text(self._runs.clock.now())}
            ).body
            self._runs.lineage.began(run)
        change(plan)
        plan.settle()
        for task in plan.changed.values():
            self._runs.lineage.changed(run, task)
            records.put(KIND, f"{self._name}/tasks/{task.id}", task.to_json(), parent=self._name)
        if run.root is not None and run.root.state.final:
            root = run.root
            ended = {"state": _RUN_STATES[root.state], "endTime": root.ended}
            run.message = records.update(self._name, {**ended, **({"error": root.error} if root.error else {})}).body

    # -- starts

    def _start_ready(self) -> None:
        """Let the steps begin whose turn it is."""
        with self._lock:
            ready = [
                task.id
                for task in self._run.tasks.values()
                if task.shape is Shape.STEP and task.state is State.PENDING and task.id not in self._starting
            ]
            self._starting.update(ready)
        for each in ready:
            task = self._run.tasks[each]
            if task.retry_at:
                pause = datetime.fromisoformat(task.retry_at) - self._runs.clock.now()
                self._timer(each, pause, lambda each=each: self._soon_launch(each))  # type: ignore[misc]
            else:
                self._soon_launch(each)

    def _soon_launch(self, task_id: str) -> None:
        self._runs.soon(lambda: self._launch(task_id))

    def _timer(self, key: str, pause: timedelta, action: Callable[[], None]) -> None:
        with self._lock:
            self._timers[key] = self._runs.clock.call_at(self._runs.clock.now() + pause, action)

    def _launch(self, task_id: str) -> None:
        task = self._run.tasks[task_id]
        try:
            executor = self._run.component(task).executor
            if isinstance(executor, ir.Importer):
                self._starting.discard(task_id)
                self._step(lambda plan: self._import(plan, plan.run.tasks[task_id], executor))
                return
            key = self._runs.cache.key(self._run, task)
            if key and (known := self._runs.cache.find(self._run, key)) is not None:
                self._starting.discard(task_id)
                self._step(lambda plan: self._give(plan, plan.run.tasks[task_id], known, State.SKIPPED))
                return
            spec = self._runs.launches.prepare(self._run, task)
        except TuleError as error:
            failure = error
        except Exception as error:
            _LOG.exception("The step %s of %s could not be prepared", task.name, self._name)
            failure = Internal("A step could not be prepared", given=str(error))
        else:
            self._submit(task_id, key, spec)
            return
        self._starting.discard(task_id)
        self._step(lambda plan: self._fail_to_start(plan, plan.run.tasks[task_id], failure))

    def _fail_to_start(self, plan: Plan, task: TaskRun, error: TuleError) -> None:
        if task.state is State.PENDING:
            self._fail(plan, task, error)

    def _import(self, plan: Plan, task: TaskRun, importer: ir.Importer) -> None:
        if task.state is not State.PENDING:
            return
        try:
            artifact = self._runs.lineage.imported(plan.run, task, importer)
        except TuleError as error:
            plan.mark(task, State.FAILED, status(error))
            return
        outputs: Artifacts = {name: [artifact] for name in plan.run.component(task).outputs.artifacts}
        self._give(plan, task, Outcome({}, outputs), State.SUCCEEDED)

    def _submit(self, task_id: str, key: str, spec: JobSpec) -> None:
        """Note that a step runs, together with the job that runs it."""
        with self._lock:
            self._starting.discard(task_id)

            def change(plan: Plan) -> None:
                task = plan.run.tasks[task_id]
                if task.state is not State.PENDING:
                    return
                job = self._runs.jobs.submit(f"{self._name}/tasks/{task_id}", spec, on_end=self._job_ended)
                task.process, task.key, task.retry_at = job.name, key, ""
                plan.mark(task, State.RUNNING)

            self._step(change)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
