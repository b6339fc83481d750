"""A service of Google's whose methods belong to several rooms: each adds a door of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tule.kernel.access import Access
from tule.kernel.clock import RealClock
from tule.kernel.errors import Unimplemented
from tule.kernel.home import Home
from tule.kernel.iam import Policies
from tule.kernel.journal import Journal
from tule.kernel.operations import Operations
from tule.kernel.projects import Projects
from tule.kernel.records import Records
from tule.kernel.settings import Settings
from tule.wire.calls import Call, Platform, rpc
from tule.wire.handlers import HandlerTable
from tule.wire.service import FastPath, Service

PACKAGE = ("google.cloud.aiplatform_v1",)
PATH = "/google.cloud.aiplatform.v1.JobService/"


class CustomJobs(Service):
    packages = PACKAGE
    service = "JobService"

    @property
    def fast(self) -> dict[str, FastPath]:
        return {"get_custom_job": lambda request: b"custom"}

    @rpc(permission="aiplatform.customJobs.get", executes=("name",))
    def get_custom_job(self, request: Any, call: Call) -> dict[str, Any]:
        return {}


class BatchJobs(Service):
    packages = PACKAGE
    service = "JobService"

    @rpc(permission="aiplatform.batchPredictionJobs.get", executes=("name",))
    def get_batch_prediction_job(self, request: Any, call: Call) -> dict[str, Any]:
        return {}


@pytest.fixture
def table(tmp_path: Path) -> HandlerTable:
    clock = RealClock()
    home = Home.open(Settings(home=tmp_path))
    records = Records(f"sqlite:///{tmp_path / 'r.db'}", clock)
    policies = Policies(records)
    platform = Platform(records, Operations(records, Journal(records), clock), Projects(records), policies)
    made = HandlerTable(platform, Access(home, clock, "p", policies=policies))
    made.add_api("aiplatform.googleapis.com", PACKAGE)
    return made


def test_each_method_is_answered_by_the_door_of_its_room(table: HandlerTable) -> None:
    for door in (CustomJobs, BatchJobs):
        table.add_service(PACKAGE, "JobService", lambda door=door: door(table.platform))  # type: ignore[misc]
    assert isinstance(table.by_grpc_path(PATH + "GetCustomJob").service, CustomJobs)
    assert isinstance(table.by_grpc_path(PATH + "GetBatchPredictionJob").service, BatchJobs)
    job = "/v1/projects/p/locations/l/batchPredictionJobs/1"
    assert isinstance(table.by_http("aiplatform.googleapis.com", "GET", job)[0].service, BatchJobs)
    assert list(table.fast(PACKAGE[0], "JobService")) == ["get_custom_job"]
    with pytest.raises(Unimplemented, match=r"JobService\.CreateCustomJob"):
        table.by_grpc_path(PATH + "CreateCustomJob")


def test_two_doors_for_one_method_are_a_mistake_of_the_wiring(table: HandlerTable) -> None:
    for _ in range(2):
        table.add_service(PACKAGE, "JobService", lambda: CustomJobs(table.platform))
    with pytest.raises(ValueError, match=r"Two doors answer /google\.cloud\.aiplatform\.v1\.JobService/GetCustomJob"):
        table.by_grpc_path(PATH + "GetCustomJob")
