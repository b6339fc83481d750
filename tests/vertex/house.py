"""Custom jobs of a data directory over real processes, without a server: what tests of training and tuning stand on."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tule.engines.local import LocalRunner
from tule.kernel.clock import RealClock
from tule.kernel.errors import FailedPrecondition
from tule.kernel.jobs import Jobs, JobSpec
from tule.kernel.records import Records
from tule.vertex.containers import Container, Prepared
from tule.vertex.training import Capacity, CustomJobs, Resources

PARENT = "projects/p/locations/us-central1"


@dataclass(frozen=True)
class Noted(Prepared):
    note: Callable[[], None] = lambda: None

    def finish(self) -> None:
        self.note()


class PlainContainers:
    """The containers of these tests: programs of this interpreter, without environments and interception."""

    closed = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.finished: list[str] = []

    def check(self, container: Container) -> None:
        if container.image != "python":
            raise FailedPrecondition("An image of one's own needs Docker or Podman", given=container.image)

    def prepare(self, container: Container, *, project: str, name: str) -> Prepared:
        spec = JobSpec(argv=(sys.executable, "-c", *container.args), env=container.env, cwd=str(self.folder))
        return Noted(spec, self.folder, note=lambda: self.finished.append(name))


class House:
    """Custom jobs of one data directory; ``crash`` and ``open`` as a server's end and the next one's start."""

    def __init__(self, folder: Path, machine: Resources) -> None:
        self.folder, self.machine = folder, machine
        self.open()

    def open(self) -> None:
        self.clock = RealClock()
        self.records = Records(f"sqlite:///{self.folder / 'r.db'}", self.clock)
        self.runner = LocalRunner(self.folder / "processes", self.clock)
        self.processes = Jobs(self.records, self.runner, self.clock)
        self.processes.recover()
        self.containers = PlainContainers(self.folder)
        containers: Any = self.containers
        self.capacity = Capacity(self.machine)
        self.jobs = CustomJobs(self.records, self.processes, containers, self.clock, machine=self.capacity)
        self.jobs.recover()

    def close(self) -> None:
        self.jobs.close()
        self.processes.close(grace=0.0)
        self.records.close()

    def create(self, code: str, *more: dict[str, Any], project: str = "p", **spec: Any) -> str:
        body = {"workerPoolSpecs": [pool(code), *more], **spec}
        parent = PARENT.replace("/p/", f"/{project}/")
        return str(self.jobs.create(parent, {"displayName": "a job", "jobSpec": body})["name"])

    def end(self, name: str) -> dict[str, Any]:
        ended = threading.Event()
        found: list[dict[str, Any]] = []

        def note(message: dict[str, Any]) -> None:
            found.append(message)
            ended.set()

        self.jobs.on_end(name, note)
        assert ended.wait(60), self.jobs.get(name)
        return found[0]

    def until(self, name: str, state: str) -> dict[str, Any]:
        for _ in range(3000):
            message = self.jobs.get(name)
            if message["state"] == f"JOB_STATE_{state}":
                return message
            threading.Event().wait(0.01)
        raise AssertionError(message)

    def drained(self) -> None:
        """All room is given back, which comes right after the last job's end."""
        while not self.capacity.idle:
            threading.Event().wait(0.01)

    def pids(self, pattern: str = "*") -> list[int]:
        return [int(each.read_text()) for each in sorted(self.folder.glob(f"pid-{pattern}")) if each.read_text()]


def pool(code: str, count: int = 1, machine: str = "n1-standard-1", **env: str) -> dict[str, Any]:
    container = {"imageUri": "python", "args": [code], "env": [{"name": k, "value": v} for k, v in env.items()]}
    return {"containerSpec": container, "replicaCount": str(count), "machineSpec": {"machineType": machine}}
