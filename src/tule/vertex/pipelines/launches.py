"""How a task becomes a process of this machine, and what of it is kept.

A Python component of the KFP SDK runs in the environment of its image without the shell around it (``programs``); any
other container runs its command. Each has a workspace with its artifacts as files, which stays until its end is noted.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from tule.kernel.errors import CODES, FailedPrecondition, InvalidArgument, TuleError, Unimplemented
from tule.kernel.home import Home
from tule.kernel.jobs import Job, Jobs, JobSpec
from tule.kernel.objects import Objects
from tule.vertex.containers import Container, Prepared, cause
from tule.vertex.pipelines import ir, steps
from tule.vertex.pipelines.files import Mount
from tule.vertex.pipelines.placeholders import Placeholders, local_path
from tule.vertex.pipelines.programs import Lightweight, lightweight
from tule.vertex.pipelines.steps import Outcome
from tule.vertex.pipelines.tasks import Run, TaskRun

_PROGRAM = Path(__file__).with_name("kfp_program.py")
_TAIL = 64 * 1024
_BUCKETS = "/gcs/"
# More than this is work for a process of its own: a fork shares what it came from.
_LIGHT_BYTES = 4 * 2**30


class Containers(Protocol):
    """What this room needs of ``vertex.containers``."""

    @property
    def closed(self) -> bool: ...

    def check(self, container: Container) -> None: ...

    def prepare(self, container: Container, *, project: str, name: str) -> Prepared: ...

    def release(self, name: str) -> None: ...


class LocalLaunches:
    """Steps as jobs of this server. Safe to use from any thread."""

    def __init__(self, home: Home, objects: Objects, containers: Containers, jobs: Jobs, *, warm: bool = True) -> None:
        """``warm``: light Python components are forked from an interpreter that has imported the executor."""
        self._home = home
        self._objects = objects
        self._containers = containers
        self._jobs = jobs
        self._warm = warm
        self._standing: dict[str, Prepared] = {}
        """What the processes of tasks stand on, by the task; after a restart it is known by name alone."""

    def check(self, pipeline: ir.Pipeline, service_account: str) -> None:
        """Raise what can be known to be wrong with the containers of a pipeline before anything runs."""
        for component in pipeline.components.values():
            if isinstance(component.executor, ir.Container):
                given = component.executor
                if any("{{$" in each for each in (given.image, *vars(given.resources).values())):
                    continue
                container = _container(given, list(given.command), list(given.args), dict(given.env), service_account)
                try:
                    self._containers.check(container)
                except TuleError as error:
                    raise type(error)(f"Component {component.name}: {error.message}", details=error.details) from None

    def prepare(self, run: Run, task: TaskRun) -> JobSpec:
        given = run.component(task).executor
        assert isinstance(given, ir.Container)
        workspace = self._new_workspace(task)
        mount = Mount(workspace / "buckets", self._objects)
        executor_input = steps.executor_input(run, task, mount.prefix)
        about = {**steps.about(run), "pipeline_task_name": task.name, "pipeline_task_uuid": task.id}
        placeholders = Placeholders(executor_input, about, mount.prefix)
        mount.bring(each["uri"] for found in task.artifacts.values() for each in found)
        (workspace / "brought.json").write_text(json.dumps(mount.brought))
        for path in self._written(run, task, mount):
            path.parent.mkdir(parents=True, exist_ok=True)
        filled = replace(
            given,
            image=placeholders.text(given.image),
            resources=ir.Resources(**{key: placeholders.text(each) for key, each in vars(given.resources).items()}),
        )
        env = {
            "VERTEX_AI_PIPELINES_RUN_LABELS": json.dumps(_labels(run)),
            **{name: placeholders.text(value) for name, value in given.env.items()},
        }
        account = run.message.get("serviceAccount", "")
        light = lightweight(given.command, given.args)
        if light is None:
            for found in executor_input["outputs"]["artifacts"].values():
                Path(local_path(found["artifacts"][0]["uri"], mount.prefix)).parent.mkdir(parents=True, exist_ok=True)
            command, args = placeholders.texts(given.command), placeholders.texts(given.args)
            return self._prepared(run, task, _container(filled, command, args, env, account)).spec
        return self._python(run, task, filled, light, placeholders, env, account)

    def _python(
        self, run: Run, task: TaskRun, given: ir.Container, light: Lightweight, placeholders: Placeholders,
        env: dict[str, str], account: str,
    ) -> JobSpec:  # fmt: skip
        workspace = self._workspace(task)
        source = workspace / "ephemeral_component.py"
        source.write_text(light.source, encoding="utf-8")
        command = [
            str(_PROGRAM), f"{workspace / 'buckets'}/", light.module, "--component_module_path", str(source),
            *placeholders.texts(light.args),
        ]  # fmt: skip
        container = replace(
            _container(given, ["python3"], command, env, account), requirements=light.requirements, alone=light.alone
        )
        prepared = self._prepared(run, task, container)
        if _BUCKETS in light.source or self._containers.closed:
            # It opens files of buckets itself, where only a process of the container's own sees them; a closed network is
            # that process's too.
            return prepared.spec
        small = not container.accelerators and (container.memory_bytes or 0) <= _LIGHT_BYTES
        forked = self._warm and small and set(light.requirements) == light.alone
        argv = (str(prepared.python), *command)
        return replace(prepared.spec, argv=argv, preload=(str(_PROGRAM),) if forked else ())

    def _prepared(self, run: Run, task: TaskRun, container: Container) -> Prepared:
        project = steps.JOB.parse(run.name)["project"]
        made = self._containers.prepare(container, project=project, name=f"{run.name}/tasks/{task.id}")
        if made.python is None:
            made.finish()
            raise Unimplemented(
                "A step must run in an environment of this machine, which an image's name stands for",
                given=container.image,
                do="use python:3.11 or a prebuilt image of Vertex AI with packages_to_install",
            )
        self._standing[task.id] = made
        return made

    def collect(self, run: Run, task: TaskRun) -> Outcome:
        workspace = self._workspace(task)
        if not workspace.is_dir():
            raise FailedPrecondition(
                "The workspace of a step must be there until its end is noted",
                given=f"{task.name}: {workspace.name} is gone",
                do="run the pipeline again",
            )
        mount = Mount(workspace / "buckets", self._objects, json.loads((workspace / "brought.json").read_text()))
        found = steps.outcome(run, task, self._folder(run, task, mount))
        mount.store(besides=self._written(run, task, mount))
        if (prepared := self._standing.get(task.id)) is not None:
            prepared.sync()
        return found

    def explain(self, run: Run, task: TaskRun, job: Job) -> TuleError:
        assert job.exit is not None
        found = cause(job.exit, self._tail(job, "stdout"), self._tail(job, "stderr"))
        text = found.text if found is not None else job.error
        kind = CODES[found.code] if found is not None else FailedPrecondition
        return kind(f"The step {task.name} failed. {text}")

    def clean(self, run: Run, task: TaskRun) -> None:
        self._standing.pop(task.id, None)
        self._containers.release(f"{run.name}/tasks/{task.id}")
        shutil.rmtree(self._workspace(task), ignore_errors=True)

    def sweep(self, running: Iterable[str]) -> None:
        """Remove the workspaces that a crash left, but those of the tasks that go on."""
        kept = set(running)
        for folder in self._home.folder("steps").iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    # -- places

    def _workspace(self, task: TaskRun) -> Path:
        return self._home.path("steps", task.id)

    def _new_workspace(self, task: TaskRun) -> Path:
        """An empty one, whatever an earlier try left."""
        workspace = self._workspace(task)
        try:
            workspace.mkdir(mode=0o700)
        except FileNotFoundError:
            self._home.folder("steps")
            workspace.mkdir(mode=0o700)
        except FileExistsError:
            shutil.rmtree(workspace)
            workspace.mkdir(mode=0o700)
        (workspace / "buckets").mkdir()
        return workspace

    @staticmethod
    def _folder(run: Run, task: TaskRun, mount: Mount) -> Path:
        return mount.place(f"{steps.task_directory(run, task)}/output").parent

    def _written(self, run: Run, task: TaskRun, mount: Mount) -> list[Path]:
        return steps.written(run, task, self._folder(run, task, mount))

    def _tail(self, job: Job, stream: str) -> bytes:
        tail, offset = b"", 0
        while part := self._jobs.logs(job.name, stream, offset=offset):  # type: ignore[arg-type]
            tail, offset = (tail + part)[-_TAIL:], offset + len(part)
        return tail


def _labels(run: Run) -> dict[str, str]:
    return {"vertex-ai-pipelines-run-billing-id": str(steps.numeric(run.name)), **run.message.get("labels", {})}


def _container(
    given: ir.Container, command: list[str], args: list[str], env: dict[str, str], account: str
) -> Container:
    resources = given.resources
    return Container(
        image=given.image,
        command=tuple(command),
        args=tuple(args),
        env=env,
        cpus=steps.cpus(resources.cpu),
        memory_bytes=steps.memory_bytes(resources.memory),
        accelerators=_accelerators(resources),
        service_account=account,
    )


def _accelerators(resources: ir.Resources) -> int:
    if not resources.accelerator and not resources.accelerators:
        return 0
    try:
        return int(float(resources.accelerators or "1"))
    except ValueError:
        raise InvalidArgument("The number of accelerators must be a number", given=resources.accelerators) from None
