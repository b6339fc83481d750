"""The doors of training: custom jobs of JobService, training pipelines of PipelineService, PersistentResourceService."""

from __future__ import annotations

from typing import Any

from tule.kernel.errors import InvalidArgument
from tule.kernel.operations import Operation, Progress
from tule.vertex.messages import MessageCache, deletion, metadata, page_size, read_masked
from tule.vertex.registry import KEPT, UPLOADED
from tule.vertex.training import specs
from tule.vertex.training.custom_jobs import CustomJobs
from tule.vertex.training.pipelines import TrainingPipelines
from tule.vertex.training.resources import PersistentResources
from tule.wire.receipts import Receipt, message_paths
from tule.wire.service import Call, Platform, Service, rpc
from tule.wire.splices import Serialized
from tule.wire.surfaces import pb, pb_class
from tule.wire.transcode import to_dict

PACKAGES = ("google.cloud.aiplatform_v1", "google.cloud.aiplatform_v1beta1")

_LIST = ("parent", "filter", "page_size", "page_token", "read_mask")


class CustomJobService(Service):
    """The part of JobService that is about custom jobs."""

    packages = PACKAGES
    service = "JobService"

    def __init__(self, platform: Platform, jobs: CustomJobs) -> None:
        super().__init__(platform)
        self._jobs = jobs
        self._messages = MessageCache(jobs.message)

    @rpc(
        permission="aiplatform.customJobs.create",
        executes=("parent", "custom_job.display_name", "custom_job.labels", *specs.executed("custom_job.job_spec")),
        stores=specs.stored("custom_job.job_spec"),
    )
    def create_custom_job(self, request: Any, call: Call) -> Serialized:
        made = self._jobs.create(request.parent, to_dict(request.custom_job))
        # As it is now: the message is there when a queue is listed.
        return Serialized(self._messages.one(pb_class(call.method.response), self._jobs.find(made["name"])))

    @rpc(permission="aiplatform.customJobs.get", executes=("name",))
    def get_custom_job(self, request: Any, call: Call) -> dict[str, Any]:
        return self._jobs.get(request.name)

    @rpc(permission="aiplatform.customJobs.list", executes=_LIST)
    def list_custom_jobs(self, request: Any, call: Call) -> Any:
        found = self._jobs.page(
            request.parent,
            filter=request.filter,
            page_size=page_size(request),
            page_token=request.page_token,
        )
        if not pb(request).read_mask.paths:
            return self._messages.page(pb_class(call.method.response), "custom_jobs", found)
        masked = read_masked([self._jobs.message(each) for each in found], request)
        return {"customJobs": masked, "nextPageToken": found.next_page_token}

    @rpc(permission="aiplatform.customJobs.cancel", executes=("name",))
    def cancel_custom_job(self, request: Any, call: Call) -> None:
        self._jobs.cancel(request.name)

    @rpc(permission="aiplatform.customJobs.delete", executes=("name",))
    def delete_custom_job(self, request: Any, call: Call) -> Operation:
        name = request.name
        self._jobs.check_delete(name)
        return deletion(call, name, self._jobs.delete)


class TrainingPipelineService(Service):
    """The part of PipelineService that is about training pipelines."""

    packages = PACKAGES
    service = "PipelineService"

    def __init__(self, platform: Platform, pipelines: TrainingPipelines) -> None:
        super().__init__(platform)
        self._pipelines = pipelines

    @rpc(
        permission="aiplatform.trainingPipelines.create",
        executes=(
            "parent", *(f"training_pipeline.{each}" for each in (
                "display_name", "labels", "training_task_definition", "training_task_inputs", "model_id",
                "parent_model", *(f"model_to_upload.{each}" for each in UPLOADED),
            )),
        ),
        stores=tuple(f"training_pipeline.model_to_upload.{each}" for each in KEPT),
    )  # fmt: skip
    def create_training_pipeline(self, request: Any, call: Call) -> dict[str, Any]:
        message = to_dict(request.training_pipeline)
        task = self._pipelines.task(message.get("trainingTaskDefinition", ""))
        inputs = task_inputs(task.message, task.fields, message.get("trainingTaskInputs", {}), call)
        return self._pipelines.create(request.parent, message, inputs)

    @rpc(permission="aiplatform.trainingPipelines.get", executes=("name",))
    def get_training_pipeline(self, request: Any, call: Call) -> dict[str, Any]:
        return self._pipelines.get(request.name)

    @rpc(permission="aiplatform.trainingPipelines.list", executes=_LIST)
    def list_training_pipelines(self, request: Any, call: Call) -> dict[str, Any]:
        found, token = self._pipelines.list(
            request.parent,
            filter=request.filter,
            page_size=page_size(request),
            page_token=request.page_token,
        )
        return {"trainingPipelines": read_masked(found, request), "nextPageToken": token}

    @rpc(permission="aiplatform.trainingPipelines.cancel", executes=("name",))
    def cancel_training_pipeline(self, request: Any, call: Call) -> None:
        self._pipelines.cancel(request.name)

    @rpc(permission="aiplatform.trainingPipelines.delete", executes=("name",))
    def delete_training_pipeline(self, request: Any, call: Call) -> Operation:
        name = request.name
        self._pipelines.check_delete(name)
        return deletion(call, name, self._pipelines.delete)


def task_inputs(message: str, fields: tuple[str, ...], given: dict[str, Any], call: Call) -> dict[str, Any]:
    """The inputs of a training task as JSON of the message that they are.

    A client may spell fields either way; what is not done is refused by name, as if the message itself had been sent.
    """
    import google.cloud.aiplatform_v1beta1 as messages
    from google.protobuf import json_format

    parsed = pb_class(getattr(messages, message))()
    try:
        json_format.ParseDict(given, parsed)
    except json_format.ParseError as error:
        raise InvalidArgument(f"training_task_inputs must be a {message}", given=str(error)) from None
    Receipt(fields).check(call.method.name, message_paths(parsed))
    return to_dict(parsed)


_POOL = "persistent_resource.resource_pools"


class PersistentResourceService(Service):
    """Parts of this machine that are kept for jobs."""

    packages = PACKAGES
    service = "PersistentResourceService"

    def __init__(self, platform: Platform, resources: PersistentResources) -> None:
        super().__init__(platform)
        self._resources = resources

    @rpc(
        permission="aiplatform.persistentResources.create",
        executes=(
            "parent", "persistent_resource_id", "persistent_resource.name", "persistent_resource.display_name",
            "persistent_resource.labels", f"{_POOL}.id", f"{_POOL}.replica_count",
            f"{_POOL}.machine_spec.machine_type",
        ),
        # The disk and the network are this machine's; jobs name the account that they run as.
        stores=(
            f"{_POOL}.disk_spec.boot_disk_type", f"{_POOL}.disk_spec.boot_disk_size_gb", "persistent_resource.network",
            "persistent_resource.resource_runtime_spec.service_account_spec.*",
        ),
    )  # fmt: skip
    def create_persistent_resource(self, request: Any, call: Call) -> Operation:
        message, parent, key = to_dict(request.persistent_resource), request.parent, request.persistent_resource_id
        self._resources.check_new(parent, key, message)

        def work(progress: Progress) -> dict[str, Any]:
            return self._resources.create(parent, key, message, progress)

        return call.start(parent, work, metadata=metadata(call), target=f"{parent}/persistentResources/{key}")

    @rpc(permission="aiplatform.persistentResources.get", executes=("name",))
    def get_persistent_resource(self, request: Any, call: Call) -> dict[str, Any]:
        return self._resources.get(request.name)

    @rpc(permission="aiplatform.persistentResources.list", executes=("parent", "page_size", "page_token"))
    def list_persistent_resources(self, request: Any, call: Call) -> dict[str, Any]:
        found, token = self._resources.list(request.parent, page_size=page_size(request), page_token=request.page_token)
        return {"persistentResources": found, "nextPageToken": token}

    @rpc(permission="aiplatform.persistentResources.delete", executes=("name",))
    def delete_persistent_resource(self, request: Any, call: Call) -> Operation:
        name = request.name
        self._resources.check_idle(name)
        return deletion(call, name, self._resources.delete)

    # Clients send the whole resource back; replica counts are what can change.
    @rpc(permission="aiplatform.persistentResources.update", executes=("persistent_resource.*", "update_mask"))
    def update_persistent_resource(self, request: Any, call: Call) -> Operation:
        message = to_dict(request.persistent_resource)
        mask = list(pb(request).update_mask.paths)
        if wrong := [each for each in mask if not each.startswith("resource_pools")]:
            raise InvalidArgument("update_mask must name resource_pools alone", given=", ".join(wrong))
        name = request.persistent_resource.name
        self._resources.find(name)

        def work(progress: Progress) -> dict[str, Any]:
            return self._resources.update(name, message)

        return call.start(_location(name), work, metadata=metadata(call), target=name)

    @rpc(permission="aiplatform.persistentResources.update", executes=("name",))
    def reboot_persistent_resource(self, request: Any, call: Call) -> Operation:
        name = request.name
        self._resources.check_idle(name)

        def work(progress: Progress) -> dict[str, Any]:
            return self._resources.reboot(name)

        return call.start(_location(name), work, metadata=metadata(call), target=name)


def _location(name: str) -> str:
    return name.rpartition("/persistentResources/")[0]
