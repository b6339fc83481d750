"""Pipeline jobs: what is asked for, checked before it is stored; what they are at any time; their end.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.pipelineJobs
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tule.kernel.clock import Clock
from tule.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from tule.kernel.jobs import Jobs
from tule.kernel.labels import check_labels
from tule.kernel.names import numeric_id
from tule.kernel.objects import Objects
from tule.kernel.records import Record, Records
from tule.vertex.pipelines import details, ir, steps, templates
from tule.vertex.pipelines.launches import LocalLaunches
from tule.vertex.pipelines.runs import ENDED, JOB_KIND, Runs
from tule.vertex.pipelines.steps import JOB
from tule.vertex.pipelines.tasks import KIND, Artifacts, Run, Shape, TaskRun

_ID = re.compile(r"[a-z][-a-z0-9]{0,127}")
_LONGEST_NAME = 128
_PARENT = JOB.parent
CANCELLING = "PIPELINE_STATE_CANCELLING"
# The fields of a request to create a job that are executed and stored, here and by schedules.
_CONFIG = "pipeline_job.runtime_config"
EXECUTES = (
    "pipeline_job.pipeline_spec", "pipeline_job.template_uri", "pipeline_job.labels", "pipeline_job.service_account",
    "pipeline_job.preflight_validations", f"{_CONFIG}.parameter_values", f"{_CONFIG}.gcs_output_directory",
    f"{_CONFIG}.failure_policy", f"{_CONFIG}.input_artifacts",
)  # fmt: skip
STORES = ("pipeline_job.display_name",)


class PipelineJobs:
    """The pipeline jobs of one server. Safe to use from any thread."""

    def __init__(
        self, records: Records, clock: Clock, objects: Objects, jobs: Jobs, launches: LocalLaunches, runs: Runs
    ) -> None:
        self._records = records
        self._clock = clock
        self._objects = objects
        self._jobs = jobs
        self._launches = launches
        self._runs = runs

    def recover(self) -> None:
        """At the start: let the runs that are not over go on, and remove what a crash left of others."""
        going_on = [task.name.rpartition("/")[2] for task in self._records.list(KIND, filter="state=RUNNING")]
        self._launches.sweep(going_on)
        self._runs.recover()

    def stop(self) -> None:
        self._runs.stop()

    def on_end(self, listener: Callable[[str], None]) -> None:
        """Call ``listener`` with the name of each job that ended."""
        self._runs.on_end(listener)

    # -- creation

    def create(
        self, parent: str, message: Mapping[str, Any], job_id: str = "", *, schedule: str = "", scheduled: str = ""
    ) -> dict[str, Any]:
        """Store a job and let it run; joins an open transaction. ``schedule`` made it, for the moment ``scheduled``."""
        body, pipeline = self._checked(parent, message)
        job_id = job_id or f"{_slug(pipeline.name)}-{numeric_id()}"
        if _ID.fullmatch(job_id) is None:
            raise InvalidArgument(
                f"pipeline_job_id must match {_ID.pattern}", given=repr(job_id[:150]), do="use lower case, digits and -"
            )
        name = f"{parent}/pipelineJobs/{job_id}"
        body["_tule"]["created"] = _text(self._clock.now())
        if schedule:
            body["scheduleName"] = schedule
            body["_tule"]["scheduled"] = scheduled
        with self._records.transaction():
            if self._records.find(name) is not None:
                raise AlreadyExists("The name of a PipelineJob must be free", given=name, do="choose another id")
            record = self._records.create(JOB_KIND, name, body)
            self._records.after_commit(lambda: self._runs.start(name))
        return self._message(record)

    def check(self, parent: str, message: Mapping[str, Any]) -> None:
        """Raise what ``create`` would, for a job that is to be made later."""
        self._checked(parent, message)

    def _checked(self, parent: str, message: Mapping[str, Any]) -> tuple[dict[str, Any], ir.Pipeline]:
        assert _PARENT is not None
        _PARENT.parse(parent)
        if len(message.get("displayName", "")) > _LONGEST_NAME:
            raise InvalidArgument("display_name must have at most 128 characters", given=len(message["displayName"]))
        check_labels(message.get("labels", {}))
        body = dict(message)
        if not body.get("pipelineSpec"):
            if not body.get("templateUri"):
                raise InvalidArgument(
                    "A PipelineJob must have a pipeline_spec or a template_uri", given="neither",
                    do="compile the pipeline with kfp.compiler and give the file to aiplatform.PipelineJob",
                )  # fmt: skip
            body["pipelineSpec"] = templates.fetched(body["templateUri"], self._objects)
        pipeline = ir.checked(body["pipelineSpec"])
        body["runtimeConfig"] = config = dict(body.get("runtimeConfig", {}))
        config.setdefault("gcsOutputDirectory", pipeline.default_root)
        self._check_directory(config["gcsOutputDirectory"])
        self._launches.check(pipeline, body.get("serviceAccount", ""))
        inputs = {
            "parameters": _parameters(pipeline, config.get("parameterValues", {})),
            "artifacts": self._artifacts(parent, pipeline, config.get("inputArtifacts", {})),
        }
        body |= {"state": "PIPELINE_STATE_PENDING", "pipelineName": pipeline.name, "_tule": {"inputs": inputs}}
        return body, pipeline

    def _check_directory(self, uri: str) -> None:
        bucket = uri.removeprefix("gs://").partition("/")[0]
        if not uri.startswith("gs://") or not bucket:
            raise InvalidArgument(
                "runtime_config.gcs_output_directory must be a folder in Cloud Storage",
                given=repr(uri),
                do="give gs://BUCKET/FOLDER",
            )
        if self._objects.buckets.find(bucket) is None:
            raise NotFound(
                "The bucket of runtime_config.gcs_output_directory must exist", given=uri, do=f"create gs://{bucket}"
            )

    def _artifacts(self, parent: str, pipeline: ir.Pipeline, given: Mapping[str, Any]) -> Artifacts:
        """The artifacts of the metadata store that the pipeline's inputs are."""
        wanted = pipeline.root.inputs.artifacts
        found: Artifacts = {}
        for name, value in given.items():
            if name not in wanted:
                raise _unknown("input_artifacts", name, wanted)
            artifact = f"{parent}/metadataStores/default/artifacts/{value.get('artifactId', '')}"
            record = self._records.find(artifact)
            if record is None:
                raise NotFound(f"The artifact of the input {name} must exist", given=artifact)
            kind = steps.artifact_type(record.body.get("schemaTitle", ""), record.body.get("schemaVersion", ""))
            found[name] = [
                {"name": artifact, "uri": record.body.get("uri", ""), "type": kind,
                 "metadata": record.body.get("metadata", {})}
            ]  # fmt: skip
        lacking = [name for name, each in wanted.items() if name not in found and not each.optional]
        if lacking:
            raise InvalidArgument(f"runtime_config.input_artifacts must have {lacking[0]}", given="none")
        return found

    # -- what there is

    def get(self, name: str) -> dict[str, Any]:
        """The PipelineJob with its tasks."""
        record = self._find(name)
        message = self._message(record)
        stored = (TaskRun.from_json(each.body) for each in self._records.list(KIND, name))
        run = Run(name, ir.read(record.body["pipelineSpec"]), record.body, {each.id: each for each in stored})
        parents = self._runs.lineage.parents(name, run.pipeline.name)
        return {**message, "jobDetail": details.job_detail(run, parents)}

    def list(
        self, parent: str, *, filter: str, order_by: str, page_size: int, page_token: str
    ) -> tuple[list[dict[str, Any]], str]:
        """The jobs under a parent, the newest first unless ordered, and the token of the next page."""
        assert _PARENT is not None
        _PARENT.parse(parent)
        page = self._records.list(
            JOB_KIND, parent, filter=filter, order_by=order_by or "create_time desc", page_size=page_size,
            page_token=page_token,
        )  # fmt: skip
        found = []
        for record in page:
            pipeline = record.body["pipelineName"]
            parents = self._runs.lineage.parents(record.name, pipeline)
            contexts = details.context_detail(record.name, pipeline, parents)
            found.append({**self._message(record), "jobDetail": contexts})
        return found, page.next_page_token

    @staticmethod
    def _message(record: Record) -> dict[str, Any]:
        body = {key: value for key, value in record.body.items() if not key.startswith("_") and key != "pipelineName"}
        return {
            **body,
            "name": record.name,
            "createTime": _text(record.create_time),
            "updateTime": _text(record.update_time),
        }

    def over(self, name: str) -> bool:
        """Whether a job has ended, or is no longer there."""
        return self.state(name) in (None, *ENDED)

    def state(self, name: str) -> str | None:
        """The state of a job, None when there is none."""
        record = self._records.find(name)
        return None if record is None else str(record.body["state"])

    def _find(self, name: str) -> Record:
        JOB.parse(name)
        record = self._records.find(name)
        if record is None or record.kind != JOB_KIND:
            raise NotFound("The PipelineJob must exist", given=name)
        return record

    # -- ends

    def cancel(self, name: str) -> None:
        """Ask a job to end; one that is over stays as it is."""
        with self._records.transaction():
            if self._find(name).body["state"] in (*ENDED, CANCELLING):
                return
            self._records.update(name, {"state": CANCELLING})
            self._records.after_commit(lambda: self._runs.cancel(name))

    def check_delete(self, name: str) -> None:
        """Raise NotFound, and FailedPrecondition for a job that runs."""
        if self._find(name).body["state"] not in ENDED:
            raise FailedPrecondition(
                "A PipelineJob must be over to be deleted", given=name, do="cancel it first, then wait for its end"
            )

    def delete(self, name: str) -> None:
        """Forget a job, its tasks and the logs of its steps; what it stored stays. Joins an open transaction."""
        self.check_delete(name)
        processes = [
            each.name
            for task in self._records.list(KIND, name)
            if task.body["shape"] == Shape.STEP
            for each in self._jobs.list(task.name)
        ]
        for each in processes:
            self._jobs.delete(each)
        with self._records.transaction():
            self._records.delete_under(name)
            self._records.delete(name)


def _parameters(pipeline: ir.Pipeline, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a run as their types have them, defaults filled in."""
    wanted = pipeline.root.inputs.parameters
    for name in given:
        if name not in wanted:
            raise _unknown("parameter_values", name, wanted)
    found: dict[str, Any] = {}
    for name, each in wanted.items():
        if given.get(name) is not None:
            found[name] = ir.converted(each.type, given[name], f"runtime_config.parameter_values.{name}")
        elif each.default is not ir.NONE:
            found[name] = each.default
        elif not each.optional:
            raise InvalidArgument(
                f"runtime_config.parameter_values must have {name}", given="none", do=f"give it a value of {each.type}"
            )
    return {name: value for name, value in found.items() if value is not None}


def _unknown(field: str, name: str, wanted: Mapping[str, Any]) -> InvalidArgument:
    known = ", ".join(sorted(wanted)) or "none"
    return InvalidArgument(
        f"runtime_config.{field} must name inputs of the pipeline", given=name, do=f"its inputs are {known}"
    )


def _slug(name: str) -> str:
    """
    >>> _slug("My Pipeline_2")
    'my-pipeline-2'
    """
    made = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:100]
    return made if made[:1].isalpha() else f"p-{made}".rstrip("-")


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
