"""Pipelines over a real store and real processes, without a server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tule.engines.local import LocalRunner
from tule.kernel.access import Access
from tule.kernel.clock import Clock, RealClock
from tule.kernel.errors import NotFound
from tule.kernel.home import Home
from tule.kernel.iam import Policies
from tule.kernel.jobs import Jobs
from tule.kernel.objects import Objects
from tule.kernel.projects import Projects
from tule.kernel.records import Records
from tule.kernel.settings import Settings
from tule.vertex.containers import Accounts, Containers
from tule.vertex.experiments import Metadata
from tule.vertex.pipelines import Cache, LocalLaunches, MetadataLineage, PipelineJobs, Runs

PARENT = "projects/p/locations/us-central1"
ROOT = "gs://runs/root"


class Room:
    """Everything that runs pipelines, on one data directory."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        clock = clock or RealClock()
        self.home = Home.open(Settings(home=folder))
        self.records = Records(f"sqlite:///{self.home.path('tule.db')}", clock)
        self.objects = Objects(self.home, self.records, clock)
        policies = Policies(self.records)
        access = Access(self.home, RealClock(), "p", policies=policies)
        accounts = Accounts(access, policies, Projects(self.records), self.records)
        self.runner = LocalRunner(self.home.folder("jobs"), RealClock())
        self.processes = Jobs(self.records, self.runner, clock, slots=4)
        self.metadata = Metadata(self.records)
        containers = Containers(self.home, self.objects, accounts, _variables)
        self.launches = LocalLaunches(self.home, self.objects, containers, self.processes)
        self.runs = Runs(
            self.records, clock, self.processes, self.launches, Cache(self.records, self.objects),
            MetadataLineage(self.metadata),
        )  # fmt: skip
        self.jobs = PipelineJobs(self.records, clock, self.objects, self.processes, self.launches, self.runs)
        self._ended: set[str] = set()
        self._changed = threading.Condition()
        self.jobs.on_end(self._end)
        try:
            self.objects.buckets.get("runs")
        except NotFound:
            self.objects.buckets.create("p", "runs")
        self.processes.recover()

    def _end(self, name: str) -> None:
        with self._changed:
            self._ended.add(name)
            self._changed.notify_all()

    def submit(self, spec: Mapping[str, Any], parameters: Mapping[str, Any] | None = None, **message: Any) -> str:
        """Store a job and return its name."""
        config = {"gcsOutputDirectory": ROOT, "parameterValues": parameters or {}, **message.pop("config", {})}
        job_id = message.pop("job_id", "")
        body = {"displayName": "test", "pipelineSpec": spec, "runtimeConfig": config, **message}
        made: str = self.jobs.create(PARENT, body, job_id)["name"]
        return made

    def wait(self, name: str) -> dict[str, Any]:
        """The job once it is over."""
        with self._changed:
            over = self._changed.wait_for(lambda: name in self._ended or _over(self.jobs.state(name)), 120)
        assert over, self.jobs.get(name)
        return self.jobs.get(name)

    def run(
        self, spec: Mapping[str, Any], parameters: Mapping[str, Any] | None = None, **message: Any
    ) -> dict[str, Any]:
        return self.wait(self.submit(spec, parameters, **message))

    def close(self) -> None:
        self.jobs.stop()
        self.processes.close(grace=0)
        self.runner.close(grace=0)
        self.records.close()
        self.home.close()


def _over(state: str | None) -> bool:
    return state is not None and state.rpartition("_")[2] in ("SUCCEEDED", "FAILED", "CANCELLED")


def _variables(*, project: str, credential: str, credentials: Path) -> dict[str, str]:
    return {"GOOGLE_CLOUD_PROJECT": project}


def tasks(job: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The tasks of a job by their names below the pipeline's."""
    found = {}
    for each in job["jobDetail"]["taskDetails"]:
        found[each["taskUniqueName"].partition(".")[2]] = each
    return found


def states(job: Mapping[str, Any]) -> dict[str, str]:
    return {name: each["state"] for name, each in tasks(job).items()}


def outputs(job: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """The output parameters of a task, or of the pipeline."""
    metadata = tasks(job)[name].get("execution", {}).get("metadata", {})
    return {key.removeprefix("output:"): value for key, value in metadata.items() if key.startswith("output:")}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    made = Room(tmp_path_factory.mktemp("pipelines") / "home")
    yield made
    made.close()


@pytest.fixture
def open_room(tmp_path: Path) -> Iterator[Callable[..., Room]]:
    """Rooms of this test alone, one after the other on the same data directory."""
    opened: list[Room] = []

    def make(clock: Clock | None = None) -> Room:
        while opened:
            opened.pop().close()
        opened.append(Room(tmp_path / "home", clock))
        return opened[-1]

    yield make
    while opened:
        opened.pop().close()
