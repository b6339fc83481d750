"""A run's tasks as PipelineJob.job_detail shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tule.vertex.pipelines.lineage import PIPELINE, PIPELINE_RUN, contexts, execution_name, metadata, schema
from tule.vertex.pipelines.tasks import Artifacts, Run, Shape, State, TaskRun

_VERSION = "0.0.1"


def job_detail(run: Run, parents: Sequence[str]) -> dict[str, Any]:
    """The tasks in the order in which they came up, and the contexts; ``parents`` are those of the run's context."""
    tasks = [_detail(run, each) for each in run.tasks.values()]
    return {**context_detail(run.name, run.pipeline.name, parents), "taskDetails": tasks}


def context_detail(job: str, pipeline: str, parents: Sequence[str]) -> dict[str, Any]:
    """The contexts of a run, which lists show too."""
    of_pipeline, of_run = contexts(job, pipeline)
    run_context = _context(of_run, PIPELINE_RUN, of_run.rpartition("/")[2])
    return {
        "pipelineContext": _context(of_pipeline, PIPELINE, pipeline),
        "pipelineRunContext": {**run_context, "parentContexts": list(parents)},
    }


def _context(name: str, title: str, display_name: str) -> dict[str, Any]:
    return {"name": name, "displayName": display_name, "schemaTitle": title, "schemaVersion": _VERSION}


def _detail(run: Run, task: TaskRun) -> dict[str, Any]:
    made: dict[str, Any] = {
        "taskId": task.id,
        "taskName": task.name,
        "taskUniqueName": ".".join((run.pipeline.name, *run.path(task))),
        "state": task.state.value,
        "createTime": task.created,
        "pipelineTaskStatus": task.history,
    }
    made |= {"parentTaskId": task.parent} if task.parent else {}
    made |= {"startTime": task.started} if task.started else {}
    made |= {"endTime": task.ended} if task.ended else {}
    made |= {"error": task.error} if task.error else {}
    made |= {"inputs": _artifacts(task.artifacts)} if task.artifacts else {}
    made |= {"outputs": _artifacts(task.output_artifacts)} if task.output_artifacts else {}
    if task.shape is Shape.STEP and (task.process or task.processes):
        container = {"mainJob": task.process, "failedMainJobs": task.processes}
        made["executorDetail"] = {"containerDetail": {key: value for key, value in container.items() if value}}
    if task.state in _EXECUTION_STATES and (task.state.final or task.shape is not Shape.STEP):
        made["execution"] = {
            "name": execution_name(run.name, task.id),
            "displayName": task.name,
            "schemaTitle": schema(run, task),
            "schemaVersion": _VERSION,
            "state": _EXECUTION_STATES[task.state],
            "metadata": metadata(task),
        }
    return made


_EXECUTION_STATES = {
    State.RUNNING: "RUNNING", State.SUCCEEDED: "COMPLETE", State.SKIPPED: "CACHED", State.FAILED: "FAILED",
    State.CANCELLED: "CANCELLED",
}  # fmt: skip


def _artifacts(found: Artifacts) -> dict[str, Any]:
    return {
        name: {
            "artifacts": [
                {
                    "name": each["name"],
                    "displayName": name,
                    "uri": each["uri"],
                    "schemaTitle": each["type"]["schemaTitle"],
                    "metadata": each["metadata"],
                    "state": "LIVE",
                }
                for each in listed
            ]
        }
        for name, listed in found.items()
    }
