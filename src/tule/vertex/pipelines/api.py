"""The door of pipeline jobs: google.cloud.aiplatform PipelineService."""

from __future__ import annotations

from typing import Any

from tule.kernel.errors import InvalidArgument
from tule.kernel.operations import Operation, Progress
from tule.vertex.messages import deletion, metadata, page_size, read_masked
from tule.vertex.pipelines.jobs import EXECUTES, STORES, PipelineJobs
from tule.wire.service import Call, Platform, Service, rpc
from tule.wire.surfaces import pb
from tule.wire.transcode import to_dict

PACKAGES = ("google.cloud.aiplatform_v1", "google.cloud.aiplatform_v1beta1")

_JOB = "pipeline_job"
_MOST_AT_ONCE = 32


class PipelineService(Service):
    """Runs of compiled pipelines."""

    packages = PACKAGES
    service = "PipelineService"

    def __init__(self, platform: Platform, jobs: PipelineJobs) -> None:
        super().__init__(platform)
        self._jobs = jobs

    @rpc(
        permission="aiplatform.pipelineJobs.create",
        executes=("parent", "pipeline_job_id", f"{_JOB}.name", *EXECUTES),
        stores=STORES,
    )
    def create_pipeline_job(self, request: Any, call: Call) -> dict[str, Any]:
        message = to_dict(request.pipeline_job)
        message.pop("name", None)
        return self._jobs.create(request.parent, message, request.pipeline_job_id)

    @rpc(permission="aiplatform.pipelineJobs.get", executes=("name",))
    def get_pipeline_job(self, request: Any, call: Call) -> dict[str, Any]:
        return self._jobs.get(request.name)

    @rpc(
        permission="aiplatform.pipelineJobs.list",
        executes=("parent", "filter", "page_size", "page_token", "order_by", "read_mask"),
    )
    def list_pipeline_jobs(self, request: Any, call: Call) -> dict[str, Any]:
        found, token = self._jobs.list(
            request.parent, filter=request.filter, order_by=request.order_by,
            page_size=page_size(request), page_token=request.page_token,
        )  # fmt: skip
        return {"pipelineJobs": read_masked(found, request), "nextPageToken": token}

    @rpc(permission="aiplatform.pipelineJobs.cancel", executes=("name",))
    def cancel_pipeline_job(self, request: Any, call: Call) -> None:
        self._jobs.cancel(request.name)

    @rpc(permission="aiplatform.pipelineJobs.delete", executes=("name",))
    def delete_pipeline_job(self, request: Any, call: Call) -> Operation:
        name = request.name
        self._jobs.check_delete(name)
        return deletion(call, name, self._jobs.delete)

    @rpc(permission="aiplatform.pipelineJobs.delete", executes=("parent", "names"))
    def batch_delete_pipeline_jobs(self, request: Any, call: Call) -> Operation:
        names = _several(request)
        for name in names:
            self._jobs.check_delete(name)

        def work(progress: Progress) -> dict[str, Any]:
            deleted = [self._jobs.get(name) for name in names]
            with self.platform.records.transaction():
                for name in names:
                    self._jobs.delete(name)
            return {"pipelineJobs": deleted}

        return call.start(request.parent, work, metadata=metadata(call), target=request.parent)

    @rpc(permission="aiplatform.pipelineJobs.cancel", executes=("parent", "names"))
    def batch_cancel_pipeline_jobs(self, request: Any, call: Call) -> Operation:
        names = _several(request)
        for name in names:
            self._jobs.get(name)

        def work(progress: Progress) -> dict[str, Any]:
            with self.platform.records.transaction():
                for name in names:
                    self._jobs.cancel(name)
            return {"pipelineJobs": [self._jobs.get(name) for name in names]}

        return call.start(request.parent, work, metadata=metadata(call), target=request.parent)


def _several(request: Any) -> list[str]:
    names = list(pb(request).names)
    if not 1 <= len(names) <= _MOST_AT_ONCE:
        raise InvalidArgument(f"names must have 1 to {_MOST_AT_ONCE} PipelineJobs", given=len(names))
    for name in names:
        if _location(name) != request.parent:
            raise InvalidArgument("names must be PipelineJobs of the parent", given=f"{name}; parent {request.parent}")
    return names


def _location(name: str) -> str:
    return name.rpartition("/pipelineJobs/")[0]
