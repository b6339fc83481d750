"""Training pipelines: a task that trains, and a model that is registered when it succeeded.

The task is a job of its own (a custom job, a tuning job), which the pipeline's record names; the registered model and
the pipeline's end are written in one transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tule.kernel.clock import Clock
from tule.kernel.errors import (
    NUMBERS,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    TuleError,
    Unimplemented,
)
from tule.kernel.labels import check_labels
from tule.kernel.names import Pattern, numeric_id
from tule.kernel.records import Record, Records
from tule.vertex.messages import timestamp
from tule.vertex.registry import Models, Version
from tule.vertex.training import specs
from tule.vertex.training.custom_jobs import CustomJobs, OnEnd

PIPELINE = Pattern("projects/{project}/locations/{location}/trainingPipelines/{pipeline}")
KIND = "trainingPipeline"
DEFINITIONS = "gs://google-cloud-aiplatform/schema/trainingjob/definition/"

_LOG = logging.getLogger(__name__)
FINAL = tuple(f"PIPELINE_STATE_{each}" for each in ("SUCCEEDED", "FAILED", "CANCELLED"))
# The pipeline's state while its job is in one of its own.
_STATES = {
    "JOB_STATE_QUEUED": "PIPELINE_STATE_PENDING",
    "JOB_STATE_PENDING": "PIPELINE_STATE_PENDING",
    "JOB_STATE_CANCELLING": "PIPELINE_STATE_CANCELLING",
}


class Task(Protocol):
    """What a training task definition does. ``inputs`` are the messages' JSON that the door made of the task's."""

    metadata: str
    """The field of the pipeline's metadata that names the job: ``backingCustomJob``."""
    message: str
    """The message of Google's whose JSON its inputs are."""
    fields: tuple[str, ...]
    """The fields of that message that are done."""

    def check(self, parent: str, inputs: Mapping[str, Any]) -> None:
        """Raise what is wrong with the inputs before anything is stored."""

    def create(self, parent: str, display_name: str, labels: Mapping[str, str], inputs: Mapping[str, Any]) -> str:
        """Store and queue the job, within the caller's transaction; returns its name."""

    def get(self, name: str) -> dict[str, Any]: ...

    def cancel(self, name: str) -> None: ...

    def on_end(self, name: str, action: OnEnd) -> None: ...

    def model_folder(self, inputs: Mapping[str, Any], job: Mapping[str, Any]) -> str:
        """Where the model of a job that succeeded lies, '' where none was to be written."""


class CustomTask:
    """custom_task_1.0.0: a custom job."""

    metadata = "backingCustomJob"
    message = "CustomJobSpec"
    fields = (*specs.executed(""), *specs.stored(""))

    def __init__(self, jobs: CustomJobs) -> None:
        self._jobs = jobs

    def check(self, parent: str, inputs: Mapping[str, Any]) -> None:
        self._jobs.check(parent, inputs)

    def create(self, parent: str, display_name: str, labels: Mapping[str, str], inputs: Mapping[str, Any]) -> str:
        message = {"displayName": f"{display_name}-custom-job", "jobSpec": inputs, "labels": dict(labels)}
        return str(self._jobs.create(parent, message)["name"])

    def get(self, name: str) -> dict[str, Any]:
        return self._jobs.get(name)

    def cancel(self, name: str) -> None:
        self._jobs.cancel(name)

    def on_end(self, name: str, action: OnEnd) -> None:
        self._jobs.on_end(name, action)

    def model_folder(self, inputs: Mapping[str, Any], job: Mapping[str, Any]) -> str:
        return specs.output_variables(inputs).get("AIP_MODEL_DIR", "")


class TrainingPipelines:
    """The training pipelines of the server. Safe to use from several threads.

    ``source`` opens an artifact directory of Cloud Storage; ``tasks`` by the name of their definition.
    """

    def __init__(
        self,
        records: Records,
        clock: Clock,
        models: Models,
        source: Callable[[str], Any],
        tasks: Mapping[str, Task],
        check_explanation: Callable[[dict[str, Any]], None],
    ) -> None:
        self._records = records
        self._clock = clock
        self._models = models
        self._source = source
        self._tasks = dict(tasks)
        self._check_explanation = check_explanation

    def task(self, definition: str) -> Task:
        """The task of a definition; Unimplemented for those of AutoML."""
        name = definition.removeprefix(DEFINITIONS).removesuffix(".yaml")
        if definition != f"{DEFINITIONS}{name}.yaml" or name not in self._tasks:
            raise Unimplemented(
                "training_task_definition must be one that Tule does: "
                + ", ".join(f"{DEFINITIONS}{each}.yaml" for each in self._tasks),
                given=definition or "none",
            )
        return self._tasks[name]

    # -- Google's methods

    def create(self, parent: str, message: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Store a pipeline with its job, which is queued; ``inputs``: the task's own, checked and in camelCase."""
        if not message.get("displayName"):
            raise InvalidArgument("A training pipeline must have a display name", given="none", do="set display_name")
        check_labels(message.get("labels", {}))
        task = self.task(message.get("trainingTaskDefinition", ""))
        task.check(parent, inputs)
        self._check_model(parent, message, inputs, task)
        name = f"{parent}/trainingPipelines/{numeric_id()}"
        with self._records.transaction():
            job = task.create(parent, message["displayName"], message.get("labels", {}), inputs)
            body = {
                **{key: value for key, value in message.items() if key not in ("name", "etag")},
                "trainingTaskMetadata": {task.metadata: job},
                "state": "PIPELINE_STATE_PENDING",
                "_tule": {"job": job, "inputs": inputs},
            }
            record = self._records.create(KIND, name, body)
            self._records.after_commit(lambda: self._follow(record))
        return self.message(record)

    def get(self, name: str) -> dict[str, Any]:
        return self.message(self.find(name))

    def list(
        self, parent: str, *, filter: str = "", page_size: int = 0, page_token: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        found = self._records.list(
            KIND, parent, filter=filter, order_by="create_time desc", page_size=page_size, page_token=page_token
        )
        return [self.message(each) for each in found], found.next_page_token

    def cancel(self, name: str) -> None:
        """Ask the pipeline's job to end; nothing happens to a pipeline that has ended."""
        record = self.find(name)
        if record.body["state"] not in FINAL:
            self._task_of(record).cancel(record.body["_tule"]["job"])

    def check_delete(self, name: str) -> None:
        if self.find(name).body["state"] not in FINAL:
            raise FailedPrecondition("A pipeline must have ended to be deleted", given=name, do="cancel it first")

    def delete(self, name: str) -> None:
        """Forget a pipeline; its job and its model stay."""
        self.check_delete(name)
        self._records.delete(name)

    def find(self, name: str) -> Record:
        PIPELINE.parse(name)
        record = self._records.find(name)
        if record is None or record.kind != KIND:
            raise NotFound("The training pipeline must exist", given=name, do="list those of the location")
        return record

    def message(self, record: Record) -> dict[str, Any]:
        body = {key: value for key, value in record.body.items() if not key.startswith("_")}
        times = {"createTime": timestamp(record.create_time), "updateTime": timestamp(record.update_time)}
        if body["state"] not in FINAL:
            body |= self._present(record)
        return {"name": record.name, **body, **times}

    def _present(self, record: Record) -> dict[str, Any]:
        """State and start of a pipeline that runs, by its job."""
        try:
            job = self._task_of(record).get(record.body["_tule"]["job"])
        except NotFound:
            return {}
        started = {"startTime": job["startTime"]} if "startTime" in job else {}
        return {"state": _STATES.get(job["state"], "PIPELINE_STATE_RUNNING"), **started}

    # -- the model

    def _check_model(self, parent: str, message: Mapping[str, Any], inputs: Mapping[str, Any], task: Task) -> None:
        model = message.get("modelToUpload")
        if model is None:
            return
        if model.get("artifactUri"):
            raise InvalidArgument(
                "model_to_upload must leave artifact_uri out: the model is what the task writes",
                given=model["artifactUri"], do="write it to AIP_MODEL_DIR",
            )  # fmt: skip
        if not task.model_folder(inputs, {}):
            raise InvalidArgument(
                "A pipeline with model_to_upload must have a base_output_directory", given="none",
                do="set it in training_task_inputs",
            )  # fmt: skip
        self._check_explanation(model.get("explanationSpec", {}))
        self._models.check_new(parent, model, message.get("parentModel", ""), message.get("modelId", ""))

    def _follow(self, record: Record) -> None:
        task = self._task_of(record)
        task.on_end(record.body["_tule"]["job"], lambda job: self._ended(record.name, job))

    def _ended(self, name: str, job: Mapping[str, Any]) -> None:
        record = self._records.find(name)
        if record is None or record.body["state"] in FINAL:
            return
        started = {"startTime": job["startTime"]} if "startTime" in job else {}
        if job["state"] != "JOB_STATE_SUCCEEDED":
            state = "CANCELLED" if job["state"] == "JOB_STATE_CANCELLED" else "FAILED"
            self._settle(name, state, error=job.get("error"), **started)
        elif "modelToUpload" not in record.body:
            self._settle(name, "SUCCEEDED", **started)
        else:
            self._upload(record, job, started)

    def _upload(self, record: Record, job: Mapping[str, Any], started: Mapping[str, Any]) -> None:
        body = record.body
        folder = self._task_of(record).model_folder(body["_tule"]["inputs"], job)
        message = {
            **body["modelToUpload"],
            "artifactUri": folder,
            "trainingPipeline": record.name,
            "modelSourceInfo": {"sourceType": "CUSTOM"},
            "supportedDeploymentResourcesTypes": ["DEDICATED_RESOURCES"],
            "supportedExportFormats": [{"id": "custom-trained", "exportableContents": ["ARTIFACT"]}],
        }

        def finish(version: Version) -> None:
            uploaded = {**body["modelToUpload"], "name": version.model, "versionId": version.id}
            self._settle(record.name, "SUCCEEDED", modelToUpload=uploaded, **started)

        try:
            self._models.upload(
                record.name.rpartition("/trainingPipelines/")[0],
                message,
                self._source(folder),
                parent_model=body.get("parentModel", ""),
                model_id=body.get("modelId", ""),
                finish=finish,
            )
        except Exception as raised:
            if not isinstance(raised, TuleError):
                _LOG.exception("The model of %s could not be registered", record.name)
                raised = Internal(f"{type(raised).__name__}: {raised}")
            error = {"code": NUMBERS[raised.code], "message": f"The model was not registered: {raised.message}"}
            self._settle(record.name, "FAILED", error=error, **started)

    def _settle(self, name: str, state: str, **more: Any) -> None:
        found = {key: value for key, value in more.items() if value is not None}
        end = {"state": f"PIPELINE_STATE_{state}", "endTime": timestamp(self._clock.now()), **found}
        self._records.update(name, end)

    def _task_of(self, record: Record) -> Task:
        return self.task(record.body["trainingTaskDefinition"])

    def recover(self) -> None:
        """At the start: wait for the ends of the jobs of pipelines that have not ended."""
        for record in self._records.list(KIND):
            if record.body["state"] not in FINAL:
                try:
                    self._follow(record)
                except NotFound as error:
                    self._settle(record.name, "FAILED", error={"code": NUMBERS[error.code], "message": error.message})
