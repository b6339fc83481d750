"""Persistent resources: a part of this machine that is kept for the jobs that name it.

A resource asks the machine for room as a job does, and has it until it is deleted; jobs with its id queue for its room
alone. https://cloud.google.com/vertex-ai/docs/training/persistent-resource-overview
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tule.kernel.clock import Clock
from tule.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted
from tule.kernel.labels import check_labels
from tule.kernel.names import Pattern
from tule.kernel.operations import Progress
from tule.kernel.records import Record, Records
from tule.vertex.messages import timestamp
from tule.vertex.training.capacity import Capacity, Ticket
from tule.vertex.training.machines import Resources, resources_of

RESOURCE = Pattern("projects/{project}/locations/{location}/persistentResources/{resource}")
KIND = "persistentResource"
_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LOOK = 0.2


class PersistentResources:
    """The persistent resources of the server. Safe to use from several threads."""

    def __init__(self, records: Records, clock: Clock, machine: Capacity, *, scale: bool = False) -> None:
        self._records = records
        self._clock = clock
        self._machine = machine
        self._scale = scale
        self._lock = threading.Lock()
        self._rooms: dict[str, Capacity] = {}
        self._ready: dict[str, threading.Event] = {}

    # -- Google's methods

    def check_new(self, parent: str, resource_id: str, message: Mapping[str, Any]) -> None:
        """Raise what is wrong with a new resource before it is made."""
        if not _ID.fullmatch(resource_id):
            raise InvalidArgument(
                "persistent_resource_id must be up to 63 of [a-z0-9-], begin with a letter and not end with a hyphen",
                given=repr(resource_id),
            )
        name = f"{parent}/persistentResources/{resource_id}"
        RESOURCE.parse(name)
        check_labels(message.get("labels", {}))
        self._demand(message.get("resourcePools", []))
        if self._records.find(name) is not None:
            raise AlreadyExists("The id of a persistent resource must be free", given=name, do="choose another")

    def create(self, parent: str, resource_id: str, message: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """Store a resource and wait until the machine has its room free."""
        self.check_new(parent, resource_id, message)
        body = {key: message[key] for key in ("displayName", "resourcePools", "labels", "network") if key in message}
        if "resourceRuntimeSpec" in message:
            body["resourceRuntimeSpec"] = message["resourceRuntimeSpec"]
        for number, pool in enumerate(body["resourcePools"]):
            pool.setdefault("id", f"pool-{number}")
        name = f"{parent}/persistentResources/{resource_id}"
        with self._records.transaction():
            record = self._records.create(KIND, name, {**body, "state": "PROVISIONING"})
            self._records.after_commit(lambda: self._reserve(record))
        return self._when_ready(name, progress)

    def get(self, name: str) -> dict[str, Any]:
        return self.message(self.find(name))

    def list(self, parent: str, *, page_size: int = 0, page_token: str = "") -> tuple[list[dict[str, Any]], str]:
        found = self._records.list(KIND, parent, page_size=page_size, page_token=page_token)
        return [self.message(each) for each in found], found.next_page_token

    def check_idle(self, name: str) -> None:
        """FailedPrecondition while jobs run or wait in it."""
        self.find(name)
        room = self._rooms.get(name)
        if room is not None and not room.idle:
            raise FailedPrecondition(
                "No job may run or wait in the persistent resource", given=name, do="wait for its jobs, or cancel them"
            )

    def delete(self, name: str) -> None:
        """Give the room back to the machine."""
        self.check_idle(name)
        self._records.delete(name)
        self._records.after_commit(lambda: self._release(name))

    def reboot(self, name: str) -> dict[str, Any]:
        """Begin anew; nothing is left of the jobs that ran before, as their processes end with them."""
        self.check_idle(name)
        return self.message(self._records.update(name, {"startTime": timestamp(self._clock.now())}))

    def update(self, name: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Change the replica counts of its pools, which are known by their ids."""
        record = self.find(name)
        counts = {each.get("id", ""): each.get("replicaCount") for each in message.get("resourcePools", [])}
        pools = record.body["resourcePools"]
        unknown = sorted(set(counts) - {each["id"] for each in pools})
        if unknown or not counts:
            raise InvalidArgument(
                "An update must give pools of the resource by their ids: " + ", ".join(each["id"] for each in pools),
                given=", ".join(unknown) or "none",
            )
        changed = [{**each, "replicaCount": counts.get(each["id"]) or each.get("replicaCount", "1")} for each in pools]
        demand = self._demand(changed)
        with self._lock:
            room = self._rooms[name]
            if not room.used.fits(demand) or not self._machine.resize(name, demand):
                raise ResourceExhausted(
                    "The machine must have the room free, and jobs in the resource must keep theirs", given=str(demand),
                    do="wait for jobs to end, or ask for another size",
                )  # fmt: skip
            room.total = demand
        return self.message(self._records.update(name, {"resourcePools": changed}))

    def find(self, name: str) -> Record:
        RESOURCE.parse(name)
        record = self._records.find(name)
        if record is None or record.kind != KIND:
            raise NotFound("The persistent resource must exist", given=name, do="create it first")
        return record

    @staticmethod
    def message(record: Record) -> dict[str, Any]:
        times = {"createTime": timestamp(record.create_time), "updateTime": timestamp(record.update_time)}
        return {"name": record.name, **record.body, **times}

    # -- the room of jobs

    def room(self, parent: str, resource_id: str) -> Capacity:
        """The room of a resource, for the jobs that name it; NotFound where there is none."""
        record = self.find(f"{parent}/persistentResources/{resource_id}")
        with self._lock:
            return self._rooms[record.name]

    def _demand(self, pools: Sequence[dict[str, Any]]) -> Resources:
        if not pools:
            raise InvalidArgument("A persistent resource must have at least one pool", given="none")
        total = Resources()
        for pool in pools:
            count = int(pool.get("replicaCount", 1))
            if count < 1:
                raise InvalidArgument("replica_count of a pool must be at least 1", given=count)
            total += resources_of(pool.get("machineSpec", {}).get("machineType", "")) * count
        if total.fits(self._machine.total):
            return total
        if not self._scale:
            raise FailedPrecondition(
                f"The resource must fit on this machine, which has {self._machine.total}", given=str(total),
                do="ask for less, or start the server with TULE_SCALE_MACHINES=1 to get what there is",
            )  # fmt: skip
        return self._machine.total

    def _reserve(self, record: Record) -> None:
        """Ask the machine for the room; jobs may queue for it before it is there."""
        name, demand = record.name, self._demand(record.body["resourcePools"])
        room, ready = Capacity(demand, closed=True), threading.Event()
        with self._lock:
            if name in self._rooms:
                return
            self._rooms[name], self._ready[name] = room, ready

        def begin() -> None:
            threading.Thread(target=self._provisioned, args=(name, room, ready), name="resources", daemon=True).start()

        self._machine.ask(Ticket(name, name.split("/")[1], demand, begin))

    def _provisioned(self, name: str, room: Capacity, ready: threading.Event) -> None:
        try:
            self._records.update(name, {"state": "RUNNING", "startTime": timestamp(self._clock.now())})
        except NotFound:
            self._machine.leave(name)
            return
        room.open()
        ready.set()

    def _when_ready(self, name: str, progress: Progress) -> dict[str, Any]:
        while not self._ready[name].wait(_LOOK):
            if progress.cancelled:
                self.delete(name)
                progress.check()
        return self.get(name)

    def _release(self, name: str) -> None:
        with self._lock:
            self._rooms.pop(name, None)
            self._ready.pop(name, None)
        self._machine.leave(name)

    def recover(self) -> None:
        """At the start: reserve the room of all resources, before any job asks for some."""
        for record in self._records.list(KIND, order_by="create_time"):
            self._reserve(record)
