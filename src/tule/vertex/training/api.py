"""The doors of training: the custom jobs of google.cloud.aiplatform JobService."""

from __future__ import annotations

from typing import Any

from tule.kernel.operations import Operation, Progress
from tule.vertex.messages import finisher, metadata, read_masked
from tule.vertex.training import specs
from tule.vertex.training.custom_jobs import CustomJobs
from tule.wire.service import Call, Platform, Service, rpc
from tule.wire.transcode import to_dict

PACKAGES = ("google.cloud.aiplatform_v1", "google.cloud.aiplatform_v1beta1")

_LIST = ("parent", "filter", "page_size", "page_token", "read_mask")
_PAGE, _LARGEST_PAGE = 100, 1000


class CustomJobService(Service):
    """The part of JobService that is about custom jobs."""

    packages = PACKAGES
    service = "JobService"

    def __init__(self, platform: Platform, jobs: CustomJobs) -> None:
        super().__init__(platform)
        self._jobs = jobs

    @rpc(
        permission="aiplatform.customJobs.create",
        executes=("parent", "custom_job.display_name", "custom_job.labels", *specs.executed("custom_job.job_spec")),
        stores=specs.stored("custom_job.job_spec"),
    )
    def create_custom_job(self, request: Any, call: Call) -> dict[str, Any]:
        return self._jobs.create(request.parent, to_dict(request.custom_job))

    @rpc(permission="aiplatform.customJobs.get", executes=("name",))
    def get_custom_job(self, request: Any, call: Call) -> dict[str, Any]:
        return self._jobs.get(request.name)

    @rpc(permission="aiplatform.customJobs.list", executes=_LIST)
    def list_custom_jobs(self, request: Any, call: Call) -> dict[str, Any]:
        found, token = self._jobs.list(
            request.parent,
            filter=request.filter,
            page_size=min(request.page_size or _PAGE, _LARGEST_PAGE),
            page_token=request.page_token,
        )
        return {"customJobs": read_masked(found, request), "nextPageToken": token}

    @rpc(permission="aiplatform.customJobs.cancel", executes=("name",))
    def cancel_custom_job(self, request: Any, call: Call) -> None:
        self._jobs.cancel(request.name)

    @rpc(permission="aiplatform.customJobs.delete", executes=("name",))
    def delete_custom_job(self, request: Any, call: Call) -> Operation:
        name = request.name
        self._jobs.check_delete(name)

        def work(progress: Progress) -> dict[str, Any]:
            finish = finisher(call, progress)
            with self.platform.records.transaction():
                self._jobs.delete(name)
                finish({})
            return {}

        return call.start(name.rpartition("/customJobs/")[0], work, metadata=metadata(call), target=name)
