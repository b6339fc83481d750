"""The door of schedules: google.cloud.aiplatform ScheduleService."""

from __future__ import annotations

from typing import Any

from tule.kernel.operations import Operation
from tule.vertex.messages import deletion, masked_fields, page_size
from tule.vertex.pipelines import EXECUTES, STORES
from tule.vertex.schedules.schedules import Schedules
from tule.wire.service import Call, Platform, Service, rpc
from tule.wire.transcode import to_dict

PACKAGES = ("google.cloud.aiplatform_v1", "google.cloud.aiplatform_v1beta1")

_JOB = "schedule.create_pipeline_job_request"
_EXECUTES = (
    "schedule.cron", "schedule.start_time", "schedule.end_time", "schedule.max_run_count",
    "schedule.max_concurrent_run_count", "schedule.max_concurrent_active_run_count", "schedule.allow_queueing",
    f"{_JOB}.parent", f"{_JOB}.pipeline_job_id", f"{_JOB}.pipeline_job.name", *(f"{_JOB}.{each}" for each in EXECUTES),
)  # fmt: skip
_STORES = ("schedule.display_name", *(f"{_JOB}.{each}" for each in STORES))


class ScheduleService(Service):
    """Pipeline jobs by the calendar."""

    packages = PACKAGES
    service = "ScheduleService"

    def __init__(self, platform: Platform, schedules: Schedules) -> None:
        super().__init__(platform)
        self._schedules = schedules

    @rpc(permission="aiplatform.schedules.create", executes=("parent", "schedule.name", *_EXECUTES), stores=_STORES)
    def create_schedule(self, request: Any, call: Call) -> dict[str, Any]:
        message = to_dict(request.schedule)
        message.pop("name", None)
        return self._schedules.create(request.parent, message)

    @rpc(permission="aiplatform.schedules.get", executes=("name",))
    def get_schedule(self, request: Any, call: Call) -> dict[str, Any]:
        return self._schedules.get(request.name)

    @rpc(permission="aiplatform.schedules.list", executes=("parent", "filter", "page_size", "page_token", "order_by"))
    def list_schedules(self, request: Any, call: Call) -> dict[str, Any]:
        found, token = self._schedules.list(
            request.parent, filter=request.filter, order_by=request.order_by,
            page_size=page_size(request), page_token=request.page_token,
        )  # fmt: skip
        return {"schedules": found, "nextPageToken": token}

    # Clients send the whole schedule back; only what the mask names is read.
    @rpc(permission="aiplatform.schedules.update", executes=("schedule.*", "update_mask"))
    def update_schedule(self, request: Any, call: Call) -> dict[str, Any]:
        fields = masked_fields(request, request.schedule)
        return self._schedules.update(request.schedule.name, to_dict(request.schedule), fields)

    @rpc(permission="aiplatform.schedules.update", executes=("name",))
    def pause_schedule(self, request: Any, call: Call) -> None:
        self._schedules.pause(request.name)

    @rpc(permission="aiplatform.schedules.update", executes=("name", "catch_up"))
    def resume_schedule(self, request: Any, call: Call) -> None:
        self._schedules.resume(request.name, catch_up=request.catch_up)

    @rpc(permission="aiplatform.schedules.delete", executes=("name",))
    def delete_schedule(self, request: Any, call: Call) -> Operation:
        name = request.name
        self._schedules.get(name)
        return deletion(call, name, self._schedules.delete)
