"""The door of the BigQuery Data Transfer API. https://cloud.google.com/bigquery/docs/reference/datatransfer/rpc"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tule.bigquery.transfers.transfers import DEFAULT_SCHEDULE, SOURCE, Transfers
from tule.kernel.errors import InvalidArgument, NotFound
from tule.wire.service import Call, Platform, Service, rpc
from tule.wire.surfaces import pb

PACKAGES = ("google.cloud.bigquery_datatransfer_v1",)
_FIELDS = (
    "name",
    "display_name",
    "data_source_id",
    "destination_dataset_id",
    "params",
    "schedule",
    "schedule_options.disable_auto_scheduling",
    "schedule_options.start_time",
    "schedule_options.end_time",
    "disabled",
)
_CONFIG = tuple(f"transfer_config.{each}" for each in _FIELDS)
_GET, _UPDATE = "bigquery.transfers.get", "bigquery.transfers.update"


class DataTransferService(Service):
    """google.cloud.bigquery.datatransfer.v1.DataTransferService"""

    packages = PACKAGES
    service = "DataTransferService"

    def __init__(self, platform: Platform, transfers: Transfers) -> None:
        super().__init__(platform)
        self._transfers = transfers

    # -- sources

    @rpc(permission=_GET, executes=("name",))
    def get_data_source(self, request: Any, call: Call) -> Any:
        return _source(_named(request.name))

    @rpc(permission=_GET, executes=("parent", "page_size", "page_token"))
    def list_data_sources(self, request: Any, call: Call) -> Any:
        parent = request.parent if "/locations/" in request.parent else f"{request.parent}/locations/us"
        return {"dataSources": [_source(f"{parent}/dataSources/{SOURCE}")]}

    @rpc(permission=_GET, executes=("name",))
    def check_valid_creds(self, request: Any, call: Call) -> Any:
        _source(_named(request.name))
        return {"hasValidCreds": True}

    # -- configurations

    @rpc(permission=_UPDATE, executes=("parent", *_CONFIG))
    def create_transfer_config(self, request: Any, call: Call) -> Any:
        return self._transfers.create(request.parent, _plain(request.transfer_config), _owner(call))

    @rpc(permission=_UPDATE, executes=("update_mask", *_CONFIG))
    def update_transfer_config(self, request: Any, call: Call) -> Any:
        given = _plain(request.transfer_config)
        paths = list(pb(request).update_mask.paths)
        unknown = sorted({path.split(".")[0] for path in paths} - {each.split(".")[0] for each in _FIELDS})
        if unknown:
            raise InvalidArgument("update_mask must name fields that are done here", given=", ".join(unknown))
        return self._transfers.update(_named(request.transfer_config.name), given, paths, _owner(call))

    @rpc(permission=_GET, executes=("name",))
    def get_transfer_config(self, request: Any, call: Call) -> Any:
        return self._transfers.get(_named(request.name))

    @rpc(permission=_GET, executes=("parent", "data_source_ids", "page_size", "page_token"))
    def list_transfer_configs(self, request: Any, call: Call) -> Any:
        found, token = self._transfers.list(
            request.parent, list(request.data_source_ids), page_size=request.page_size, page_token=request.page_token
        )
        return {"transferConfigs": found, "nextPageToken": token}

    @rpc(permission=_UPDATE, executes=("name",))
    def delete_transfer_config(self, request: Any, call: Call) -> None:
        self._transfers.delete(_named(request.name))

    # -- runs

    @rpc(
        permission=_UPDATE,
        executes=("parent", "requested_run_time", "requested_time_range.start_time", "requested_time_range.end_time"),
    )
    def start_manual_transfer_runs(self, request: Any, call: Call) -> Any:
        message, name = pb(request), _named(request.parent)
        if message.HasField("requested_time_range"):
            span = message.requested_time_range
            return {"runs": self._backfill(name, span.start_time, span.end_time)}
        if not message.HasField("requested_run_time"):
            raise InvalidArgument("StartManualTransferRuns needs a requested_run_time or a requested_time_range")
        return {"runs": self._transfers.start_manual(name, [_moment(message.requested_run_time)])}

    @rpc(permission=_UPDATE, executes=("parent", "start_time", "end_time"))
    def schedule_transfer_runs(self, request: Any, call: Call) -> Any:
        message = pb(request)
        return {"runs": self._backfill(_named(request.parent), message.start_time, message.end_time)}

    def _backfill(self, name: str, start: Any, end: Any) -> Sequence[dict[str, Any]]:
        moments = self._transfers.moments(name, _moment(start), _moment(end))
        return self._transfers.start_manual(name, moments)

    @rpc(permission=_GET, executes=("name",))
    def get_transfer_run(self, request: Any, call: Call) -> Any:
        return self._transfers.get_run(_named(request.name))

    @rpc(permission=_UPDATE, executes=("name",))
    def delete_transfer_run(self, request: Any, call: Call) -> None:
        self._transfers.delete_run(_named(request.name))

    @rpc(permission=_GET, executes=("parent", "states", "run_attempt", "page_size", "page_token"))
    def list_transfer_runs(self, request: Any, call: Call) -> Any:
        found, token = self._transfers.list_runs(
            _named(request.parent),
            [state.name for state in request.states],
            request.run_attempt.name == "LATEST",
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return {"transferRuns": found, "nextPageToken": token}

    @rpc(permission=_GET, executes=("parent", "page_size", "page_token", "message_types"))
    def list_transfer_logs(self, request: Any, call: Call) -> Any:
        wanted = {severity.name for severity in request.message_types}
        messages = self._transfers.logs(_named(request.parent))
        return {"transferMessages": [each for each in messages if not wanted or each["severity"] in wanted]}


def _owner(call: Call) -> dict[str, Any]:
    return {"email": call.principal.email, "owner": call.principal.owner}


def _plain(message: Any) -> dict[str, Any]:
    """The fields of a TransferConfig that a client sets, as JSON."""
    from google.protobuf import json_format

    found = json_format.MessageToDict(pb(message))
    kept = ("displayName", "dataSourceId", "destinationDatasetId", "params", "schedule", "scheduleOptions", "disabled")
    return {key: found[key] for key in kept if key in found}


def _named(name: str) -> str:
    """A name with its location: older clients leave it out, and then it is ``us``."""
    return re.sub(r"^(projects/[^/]+)/(transferConfigs|dataSources)/", r"\1/locations/us/\2/", name)


def _moment(stamp: Any) -> datetime:
    found: datetime = stamp.ToDatetime(tzinfo=UTC)
    return found


def _source(name: str) -> dict[str, Any]:
    """The one data source."""
    if not name.endswith(f"/dataSources/{SOURCE}"):
        raise NotFound(f"The data source must be {SOURCE}", given=name)
    texts = (
        ("query", "Query", True),
        ("destination_table_name_template", "Destination table", False),
        ("write_disposition", "Write preference", False),
        ("partitioning_field", "Partitioning field", False),
    )
    return {
        "name": name,
        "dataSourceId": SOURCE,
        "displayName": "Scheduled Query",
        "description": "Runs a GoogleSQL query on a schedule",
        "supportsCustomSchedule": True,
        "defaultSchedule": DEFAULT_SCHEDULE,
        "minimumScheduleInterval": "300s",
        "parameters": [
            {"paramId": key, "displayName": title, "type": "STRING", "required": needed} for key, title, needed in texts
        ],
    }
