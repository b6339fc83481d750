"""What a run leaves in the metadata store: contexts of the pipeline and the run, executions of its tasks, artifacts.

https://cloud.google.com/vertex-ai/docs/pipelines/lineage
"""

from __future__ import annotations

import json
from typing import Any

from tule.kernel.errors import InvalidArgument, NotFound
from tule.vertex.experiments import CONTEXT, Metadata
from tule.vertex.pipelines import ir, steps
from tule.vertex.pipelines.placeholders import Placeholders
from tule.vertex.pipelines.tasks import Artifacts, Run, Shape, State, TaskRun

PIPELINE, PIPELINE_RUN = "system.Pipeline", "system.PipelineRun"
_STATES = {
    State.RUNNING: "RUNNING",
    State.SUCCEEDED: "COMPLETE",
    State.SKIPPED: "CACHED",
    State.FAILED: "FAILED",
    State.CANCELLED: "CANCELLED",
}


class MetadataLineage:
    """Writes through the front of ``vertex.experiments``, always in the transaction of the change."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    def began(self, run: Run) -> None:
        """The contexts that all of the run is in."""
        store = self._metadata.ensure_store(_location(run))
        pipeline = self._metadata.put_context(
            store, _name(run.pipeline.name), schema=PIPELINE, display_name=run.pipeline.name
        )
        names = contexts(run.name, run.pipeline.name)
        about = {key: value for key, value in (("labels", run.message.get("labels")),) if value}
        self._metadata.put_context(
            store, names[1].rpartition("/")[2], schema=PIPELINE_RUN, display_name=names[1].rpartition("/")[2],
            metadata=about, parents=[pipeline],
        )  # fmt: skip

    def parents(self, job: str, pipeline: str) -> list[str]:
        """The contexts that a run's context is in: that of its pipeline, and the experiments it was associated with."""
        of_pipeline, of_run = contexts(job, pipeline)
        try:
            found: list[str] = self._metadata.get(CONTEXT, of_run).get("parentContexts", [])
        except NotFound:
            return [of_pipeline]
        return found

    def changed(self, run: Run, task: TaskRun) -> None:
        """Bring the execution of a task up to date; when it is over, with the artifacts it took and made.

        A step's is written once, when the step is over: what is under way stands in the job's own detail.
        """
        if task.state not in _STATES or (task.shape is Shape.STEP and not task.state.final):
            return
        store = self._metadata.ensure_store(_location(run))
        execution = self._metadata.put_execution(
            store, task.id, schema=schema(run, task), state=_STATES[task.state], display_name=task.name,
            metadata=metadata(task),
        )  # fmt: skip
        of_pipeline, context = contexts(run.name, run.pipeline.name)
        if not task.parent:
            # Runs of a pipeline are compared by what their own executions say.
            self._metadata.add_to_context(of_pipeline, executions=[execution])
        if not task.state.final:
            self._metadata.add_to_context(context, executions=[execution])
            return
        made = self._made(store, task) if task.shape is Shape.STEP and task.state is State.SUCCEEDED else []
        self._metadata.add_to_context(
            context, executions=[execution], artifacts=[*made, *_names(task.output_artifacts)]
        )
        self._metadata.add_events(execution, _names(task.artifacts), _names(task.output_artifacts))

    def _made(self, store: str, task: TaskRun) -> list[str]:
        return [
            self._metadata.put_artifact(
                store, each["name"].rpartition("/")[2], schema=each["type"]["schemaTitle"], uri=each["uri"],
                display_name=name, metadata=each["metadata"],
            )
            for name, found in task.output_artifacts.items()
            for each in found
        ]  # fmt: skip

    def imported(self, run: Run, task: TaskRun, importer: ir.Importer) -> dict[str, Any]:
        """The artifact of an importer: the one known by URI, type and metadata, or a new one."""
        inputs = {"inputs": {"parameterValues": task.parameters, "artifacts": {}}, "outputs": {}}
        placeholders = Placeholders(inputs, {**steps.about(run), "pipeline_task_name": task.name})
        uri = (
            task.parameters.get(importer.uri.input) if importer.uri.input else placeholders.value(importer.uri.constant)
        )
        if not isinstance(uri, str) or not uri:
            raise InvalidArgument(f"The importer {task.name} must be given a URI", given=repr(uri))
        found = {placeholders.text(key): placeholders.value(value) for key, value in importer.metadata.items()}
        known = json.dumps([uri, importer.title, found], sort_keys=True)
        name = (
            steps.artifact_name(run, task.id, uri) if importer.reimport
            else f"{_location(run)}/metadataStores/default/artifacts/{steps.numeric(_location(run), known)}"
        )  # fmt: skip
        return {
            "name": name, "uri": uri, "type": steps.artifact_type(importer.title, importer.version), "metadata": found
        }  # fmt: skip


def contexts(job: str, pipeline: str) -> tuple[str, str]:
    """The names of the contexts of a pipeline and of one of its runs."""
    parent, _, job_id = job.rpartition("/pipelineJobs/")
    store = f"{parent}/metadataStores/default/contexts"
    return f"{store}/{_name(pipeline)}", f"{store}/{job_id}"


def execution_name(job: str, task_id: str) -> str:
    return f"{job.rpartition('/pipelineJobs/')[0]}/metadataStores/default/executions/{task_id}"


def schema(run: Run, task: TaskRun) -> str:
    """The type of a task's execution."""
    if not task.parent:
        return "system.Run"
    if task.shape is not Shape.STEP:
        return "system.DagExecution"
    importer = isinstance(run.component(task).executor, ir.Importer)
    return "system.ImporterExecution" if importer else "system.ContainerExecution"


def metadata(task: TaskRun) -> dict[str, Any]:
    """The parameters of a task as its execution has them."""
    return {
        **{f"input:{name}": value for name, value in task.parameters.items()},
        **{f"output:{name}": value for name, value in task.output_parameters.items()},
    }


def _names(artifacts: Artifacts) -> list[str]:
    return [each["name"] for found in artifacts.values() for each in found]


def _location(run: Run) -> str:
    return run.name.rpartition("/pipelineJobs/")[0]


def _name(pipeline: str) -> str:
    """A pipeline's name as an id.

    >>> _name("My pipeline_1")
    'my-pipeline-1'
    """
    return "".join(each if each.isalnum() else "-" for each in pipeline.lower())[:128] or "pipeline"
