"""Persistent resources: room of this machine that is kept for the jobs that name it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.vertex.house import PARENT, House, pool

from tule.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted
from tule.vertex.training import PersistentResources, Resources

GIB = 2**30
WAITS = "import time\nfrom pathlib import Path\nwhile not Path('go').exists(): time.sleep(0.01)"


class Going:
    """The progress of an operation that nobody cancels."""

    cancelled = False


class Reserved(House):
    """With persistent resources, as the server wires them."""

    def open(self) -> None:
        super().open()
        self.resources = PersistentResources(self.records, self.clock, self.capacity)
        self.resources.recover()
        self.jobs.rooms = self.resources.room

    def reserve(self, key: str, *pools: tuple[str, int]) -> dict[str, Any]:
        given = [{"machineSpec": {"machineType": kind}, "replicaCount": str(count)} for kind, count in pools]
        going: Any = Going()
        return self.resources.create(PARENT, key, {"resourcePools": given}, going)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Reserved]:
    made = Reserved(tmp_path, Resources(4.0, 16 * GIB))
    yield made
    made.close()


def test_jobs_of_a_resource_have_its_room_and_others_the_rest(house: Reserved) -> None:
    made = house.reserve("kept", ("n1-standard-1", 2))
    assert (made["state"], made["resourcePools"][0]["id"]) == ("RUNNING", "pool-0")
    inside = house.create(WAITS, pool(WAITS), persistentResourceId="kept")
    waits = house.create("print(1)", persistentResourceId="kept")
    outside = house.create("print(2)", pool("print(2)"))
    house.until(inside, "RUNNING")
    assert house.end(outside)["state"] == "JOB_STATE_SUCCEEDED"
    assert house.jobs.get(waits)["state"] == "JOB_STATE_QUEUED"
    with pytest.raises(FailedPrecondition, match="No job may run or wait in the persistent resource"):
        house.resources.delete(made["name"])
    (house.folder / "go").touch()
    assert house.end(waits)["state"] == "JOB_STATE_SUCCEEDED"
    with pytest.raises(FailedPrecondition, match="must fit on this machine"):
        house.create("print(1)", pool("print(1)", 2), persistentResourceId="kept")


def test_a_resource_is_there_again_after_a_restart_and_goes_when_it_is_deleted(house: Reserved) -> None:
    name = house.reserve("kept", ("n1-standard-1", 3))["name"]
    house.close()
    house.open()
    while house.resources.get(name)["state"] != "RUNNING" or house.capacity.used.cpus != 3.0:
        threading.Event().wait(0.01)
    large = house.create("print(1)", pool("print(1)"))
    assert house.jobs.get(large)["state"] == "JOB_STATE_QUEUED"
    house.resources.delete(name)
    assert house.end(large)["state"] == "JOB_STATE_SUCCEEDED"
    with pytest.raises(NotFound, match="persistent resource must exist"):
        house.create("print(1)", persistentResourceId="kept")


def test_a_resource_changes_its_size_within_the_machine(house: Reserved) -> None:
    name = house.reserve("kept", ("n1-standard-1", 1))["name"]
    changed = house.resources.update(name, {"resourcePools": [{"id": "pool-0", "replicaCount": "4"}]})
    assert changed["resourcePools"][0]["replicaCount"] == "4"
    assert house.capacity.used.cpus == 4.0
    house.resources.update(name, {"resourcePools": [{"id": "pool-0", "replicaCount": "1"}]})
    running = house.create(WAITS, pool(WAITS))
    house.until(running, "RUNNING")
    with pytest.raises(ResourceExhausted, match="must have the room free"):
        house.resources.update(name, {"resourcePools": [{"id": "pool-0", "replicaCount": "3"}]})
    assert house.resources.get(name)["resourcePools"][0]["replicaCount"] == "1"
    (house.folder / "go").touch()
    house.end(running)
    assert house.resources.reboot(name)["state"] == "RUNNING"


def test_wrong_resources_are_refused_and_not_stored(house: Reserved) -> None:
    with pytest.raises(InvalidArgument, match="persistent_resource_id must be"):
        house.reserve("No", ("n1-standard-1", 1))
    with pytest.raises(InvalidArgument, match="at least one pool"):
        house.reserve("kept")
    with pytest.raises(FailedPrecondition, match="TULE_SCALE_MACHINES=1"):
        house.reserve("kept", ("n1-standard-8", 1))
    assert house.resources.list(PARENT) == ([], "")
    house.reserve("kept", ("n1-standard-1", 1))
    with pytest.raises(AlreadyExists, match="id of a persistent resource must be free"):
        house.reserve("kept", ("n1-standard-1", 1))
