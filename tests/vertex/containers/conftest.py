"""Containers over a real store and a real runner, without a server; and what makes packages to install."""

from __future__ import annotations

import base64
import hashlib
import io
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tule.app import App, build
from tule.engines.local import LocalRunner
from tule.kernel.access import Access
from tule.kernel.clock import RealClock
from tule.kernel.home import Home
from tule.kernel.iam import Policies
from tule.kernel.jobs import Exit, Job, Jobs
from tule.kernel.objects import Objects
from tule.kernel.projects import Projects
from tule.kernel.records import Records
from tule.kernel.settings import Settings
from tule.vertex.containers import Accounts, Container, Containers, Prepared, cause
from tule.vertex.containers.causes import Cause
from tule.vertex.containers.resources import Resources

PYTHON = "{}.{}".format(*sys.version_info[:2])
IMAGE = f"python:{PYTHON}"
PLENTY = Resources(cpus=64, memory_bytes=2**40, gpus=0)


class Bench:
    """Prepares containers and runs them to their end."""

    def __init__(self, home: Home, records: Records) -> None:
        clock = RealClock()
        self.home = home
        self.records = records
        self.objects = Objects(home, records, clock)
        self.policies = Policies(records)
        self.access = Access(home, clock, "p", policies=self.policies)
        self.accounts = Accounts(self.access, self.policies, Projects(records), records)
        self.jobs = Jobs(records, LocalRunner(home.folder("jobs"), clock), clock, slots=4)
        self.containers = self.make()
        self._count = 0

    def make(self, **options: Any) -> Containers:
        """Another room over the same store, with options of its own."""
        options.setdefault("resources", PLENTY)
        return Containers(self.home, self.objects, self.accounts, self._variables, **options)

    @staticmethod
    def _variables(*, project: str, credential: str, credentials: Path) -> dict[str, str]:
        return {"GOOGLE_CLOUD_PROJECT": project, "GOOGLE_APPLICATION_CREDENTIALS": str(credentials)}

    def prepare(self, *command: str, image: str = IMAGE, of: Containers | None = None, **more: Any) -> Prepared:
        self._count += 1
        container = Container(image=image, command=command, **more)
        return (of or self.containers).prepare(container, project="p", name=f"job-{self._count}")

    def run(self, prepared: Prepared) -> Job:
        job = self.jobs.submit("projects/p/customJobs/1", prepared.spec)
        return self.jobs.wait(job.name, 60)

    def output(self, job: Job, stream: Any = "stdout") -> str:
        return self.jobs.logs(job.name, stream).decode()

    def python(self, code: str, **more: Any) -> tuple[Job, str]:
        """A program's end and what it wrote; it must succeed."""
        job = self.run(self.prepare("python", "-c", code, **more))
        assert job.exit is not None and job.exit.succeeded, self.output(job, "stderr") or job.error
        return job, self.output(job)

    def cause(self, job: Job) -> Cause | None:
        assert isinstance(job.exit, Exit), job.state
        return cause(job.exit, self.jobs.logs(job.name, "stdout"), self.jobs.logs(job.name, "stderr"))


@pytest.fixture(scope="package")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A server of this process, for containers that talk to one; use buckets of your own in it."""
    made = build(Settings(home=tmp_path_factory.mktemp("containers") / "home", project="p", offline=True))
    made.start()
    yield made
    made.stop()


def make_bucket(app: App, project: str, name: str, **more: Any) -> str:
    app.objects.buckets.create(project, name, {"location": "US", "storageClass": "STANDARD", **more})
    return name


@pytest.fixture
def bench(home: Home, records: Records) -> Iterator[Bench]:
    made = Bench(home, records)
    yield made
    made.jobs.close(grace=0)


@pytest.fixture(scope="session")
def wheel() -> Callable[..., tuple[str, bytes]]:
    """A wheel of one module, made by hand: ``wheel("name", "1.0", "code")`` is its file name and content."""

    def make(name: str, version: str, code: str, *, requires: str = "", program: str = "") -> tuple[str, bytes]:
        about = f"{name}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        files = {
            f"{name}.py": code,
            f"{about}/METADATA": metadata + (f"Requires-Dist: {requires}\n" if requires else ""),
            f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        if program:
            files[f"{about}/entry_points.txt"] = f"[console_scripts]\n{program} = {name}:main\n"
        record = []
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for path, text in files.items():
                digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
                record.append(f"{path},sha256={digest},{len(text.encode())}")
                archive.writestr(path, text)
            archive.writestr(f"{about}/RECORD", "\n".join([*record, f"{about}/RECORD,,"]) + "\n")
        return f"{name}-{version}-py3-none-any.whl", buffer.getvalue()

    return make
