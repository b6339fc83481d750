"""The tasks of a run as they stand: values that are stored, one record each, and read back after a restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from tule.vertex.pipelines.ir import ROOT, Component, Pipeline, Task

KIND = "pipelineTask"

Artifacts = dict[str, list[dict[str, Any]]]
"""Artifacts by the name of an input or output, each as executors see it: name, uri, type, metadata."""


class State(StrEnum):
    """As in PipelineTaskDetail."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    """Its outputs are those of an earlier run of the same work."""
    NOT_TRIGGERED = "NOT_TRIGGERED"

    @property
    def final(self) -> bool:
        return self not in (State.PENDING, State.RUNNING)

    @property
    def good(self) -> bool:
        return self in (State.SUCCEEDED, State.SKIPPED)


class Shape(StrEnum):
    """What a task is made of."""

    STEP = "step"
    """A container, or an importer."""
    DAG = "dag"
    LOOP = "loop"
    """Its children are the iterations, each a DAG or a step."""


@dataclass
class TaskRun:
    """A task in a run. Times are texts as the API writes them."""

    id: str
    number: int
    """Its place in the order in which the tasks of the run came up."""
    parent: str
    name: str
    component: str
    shape: Shape
    state: State = State.PENDING
    iteration: int | None = None
    created: str = ""
    started: str = ""
    ended: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    artifacts: Artifacts = field(default_factory=dict)
    output_parameters: dict[str, Any] = field(default_factory=dict)
    output_artifacts: Artifacts = field(default_factory=dict)
    error: dict[str, Any] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    process: str = ""
    """The job that runs it, or ran it last."""
    processes: list[str] = field(default_factory=list)
    """Those of earlier tries."""
    failures: int = 0
    losses: int = 0
    """How often the server went down under it."""
    retry_at: str = ""
    items: list[Any] = field(default_factory=list)
    """What a loop runs for."""
    key: str = ""
    """What the cache knows its work by."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> TaskRun:
        return cls(**{**stored, "shape": Shape(stored["shape"]), "state": State(stored["state"])})


class Run:
    """A run in memory: its pipeline, its message and its tasks by id."""

    def __init__(self, name: str, pipeline: Pipeline, message: dict[str, Any], tasks: Mapping[str, TaskRun]) -> None:
        self.name = name
        self.pipeline = pipeline
        self.message = message
        self.tasks: dict[str, TaskRun] = {}
        self._children: dict[str, dict[str | int, TaskRun]] = {}
        for task in sorted(tasks.values(), key=lambda each: each.number):
            self.add(task)

    def add(self, task: TaskRun) -> None:
        self.tasks[task.id] = task
        key = task.name if task.iteration is None else task.iteration
        self._children.setdefault(task.parent, {})[key] = task

    @property
    def root(self) -> TaskRun | None:
        return next(iter(self._children.get("", {}).values()), None)

    @property
    def cancelling(self) -> bool:
        return self.message["state"] == "PIPELINE_STATE_CANCELLING"

    @property
    def fails_fast(self) -> bool:
        policy = self.message.get("runtimeConfig", {}).get("failurePolicy")
        return policy == "PIPELINE_FAILURE_POLICY_FAIL_FAST"

    def children(self, task: TaskRun) -> dict[str | int, TaskRun]:
        """The tasks inside a DAG by name, the iterations of a loop by number."""
        return self._children.get(task.id, {})

    def component(self, task: TaskRun) -> Component:
        pipeline = self.pipeline
        return pipeline.root if task.component == ROOT else pipeline.components[task.component]

    def specification(self, task: TaskRun) -> Task | None:
        """What the pipeline says of a task; None of the root. An iteration's is that of its loop."""
        if not task.parent:
            return None
        parent = self.tasks[task.parent]
        if task.iteration is not None:
            return self.specification(parent)
        dag = self.component(parent).dag
        assert dag is not None
        return dag.tasks[task.name]

    def path(self, task: TaskRun) -> Iterator[str]:
        """The names from below the root down to the task, iterations by number."""
        if task.parent:
            yield from self.path(self.tasks[task.parent])
            yield task.name if task.iteration is None else str(task.iteration)
