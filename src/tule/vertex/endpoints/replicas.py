"""The port behind which deployed models answer, and the local way of answering: in this process, or in jailed workers.

A model that is data only (a bundle trained by Tule, a booster file, a scikit-learn model that was turned into arrays)
is predicted inside the server. Everything else runs in jailed worker processes behind the same port.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from tule.kernel.errors import FailedPrecondition, InvalidArgument, Unimplemented
from tule.vertex.endpoints import plans
from tule.vertex.endpoints.transforms import RowTransform, Transforms
from tule.vertex.endpoints.workers import Launcher, Loaded, Pool, Task, Worker
from tule.vertex.registry import Version


class Replica(Protocol):
    """One deployed model that answers. Safe to call from several threads.

    Errors name their cause: InvalidArgument for instances the model cannot take, Unavailable while it is being
    restarted, DeadlineExceeded when one call took too long. ``close`` is idempotent; calls in progress end or fail.
    """

    inline: bool
    """Whether ``predict`` only computes, so quickly that the event loop may call it for small requests."""

    def predict(self, instances: Sequence[Any], seconds: float | None = None) -> list[Any]:
        """One JSON value per instance, in order."""

    def explain(self, instances: Sequence[Any]) -> list[dict[str, Any]] | None:
        """Exact attributions per instance as ``learn.runtime`` words them, None where the model has no such form."""

    def status(self) -> dict[str, Any]:
        """Google's DeployedModel.Status as JSON."""

    def resize(self, least: int, most: int) -> None:
        """Hold at least and at most so many processes, where the replica has any."""

    def close(self) -> None:
        """Stop answering and free everything."""


@dataclass(frozen=True)
class Serving:
    """How a deployed model is served: decided at deployment, stored, and repeated at the next start."""

    mode: str
    """``bundle``, ``booster``, ``plan`` (arrays taken out of a pickle) or ``worker``."""
    reason: str
    """Why this mode, in a sentence."""
    loader: str = ""
    """For a worker: how it opens the file."""
    least: int = 1
    most: int = 1
    logs: bool = True
    """Whether what a worker prints is kept."""
    notes: list[str] = field(default_factory=list)
    """Warnings of the libraries that opened the model (version skew), and what confined it."""


class Replicas(Protocol):
    """Starts replicas. An implementation decides where they run; it keeps nothing that ``Serving`` does not say.

    ``prepare`` is called once when a model is deployed: it opens the model, tries it, and chooses how it is served; it
    may take minutes and raises FailedPrecondition naming the cause when the model cannot be served. ``restore`` is
    called at each later start with the ``Serving`` that ``prepare`` chose. ``folder`` is an empty directory of the
    deployment's own, kept until it is undeployed.
    """

    def prepare(self, version: Version, folder: Path, want: Serving) -> tuple[Serving, Replica]:
        """Open a model for the first time; ``want`` gives the numbers of processes."""

    def restore(self, version: Version, folder: Path, serving: Serving) -> Replica:
        """Open a model again as before."""


class InProcess:
    """A data-only model answered inside the server."""

    def __init__(self, runtime: Any, transform: RowTransform | None = None) -> None:
        # A transform that asks the SQL engine takes milliseconds, and waits for others.
        self.inline = transform is None or bool(getattr(transform, "by_rows", False))
        self._runtime = runtime
        self._transform = transform
        self.predict = self._transformed if transform is not None else self._plain

    def _plain(self, instances: Sequence[Any], seconds: float | None = None) -> list[Any]:
        answers: list[Any] = self._runtime.predict(instances)
        return answers

    def _transformed(self, instances: Sequence[Any], seconds: float | None = None) -> list[Any]:
        assert self._transform is not None
        answers: list[Any] = self._runtime.predict(self._transform(instances))
        return answers

    def explain(self, instances: Sequence[Any]) -> list[dict[str, Any]] | None:
        explain = getattr(self._runtime, "explain", None)
        if explain is None:
            return None
        found: list[dict[str, Any]] = explain(self._transform(instances) if self._transform is not None else instances)
        return found

    def status(self) -> dict[str, Any]:
        return {"availableReplicaCount": 1}

    def resize(self, least: int, most: int) -> None:
        """The server answers for as many as are asked for."""

    def close(self) -> None:
        """Nothing is held."""


class InWorkers:
    """A model answered by jailed processes."""

    inline = False

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def predict(self, instances: Sequence[Any], seconds: float | None = None) -> list[Any]:
        return self._pool.predict(instances, seconds)

    def explain(self, instances: Sequence[Any]) -> list[dict[str, Any]] | None:
        return None

    def status(self) -> dict[str, Any]:
        return {"availableReplicaCount": self._pool.available}

    def resize(self, least: int, most: int) -> None:
        self._pool.resize(least, most)

    def close(self) -> None:
        self._pool.close()


# What opens each format of artifact in a worker.
_LOADERS = {each: each for each in ("pickle", "booster", "saved_model", "onnx", "tflite", "bundle")}


class LocalReplicas:
    """Replicas on this machine."""

    def __init__(self, launcher: Launcher, artifacts: Any, transforms: Transforms | None = None) -> None:
        self._launcher = launcher
        self._artifacts = artifacts
        self._transforms = transforms

    def prepare(self, version: Version, folder: Path, want: Serving) -> tuple[Serving, Replica]:
        check_servable(version)
        assert version.artifact is not None
        directory = self._artifacts.verify(version.artifact)
        if version.artifact.format == "bundle":
            return self._prepare_bundle(version, directory, folder, want)
        loader = _LOADERS[version.artifact.format]
        task = _task(directory, loader, version)
        worker = self._launcher.start(task, folder / "worker-0.log" if want.logs else None)
        try:
            serving, replica = self._choose(worker, task, folder, want, loader)
        except BaseException:
            worker.close()
            raise
        if serving.mode != "worker":
            worker.close()
        return serving, replica

    def _prepare_bundle(
        self, version: Version, directory: Path, folder: Path, want: Serving
    ) -> tuple[Serving, Replica]:
        if version.message.get("modelSourceInfo", {}).get("sourceType") != "BQML":
            # Somebody uploaded it: data only, but a damaged one must crash a worker and not the server.
            self._launcher.start(Task("bundle", directory, directory), folder / "worker-0.log").close()
        replica = self._bundle(directory)
        return replace(want, mode="bundle", reason="it is data only, so it is answered in the server"), replica

    def _choose(self, worker: Worker, task: Task, folder: Path, want: Serving, loader: str) -> tuple[Serving, Replica]:
        """In the server if the model's numbers alone give the same answers, else in workers."""
        loaded = worker.loaded
        assert loaded is not None
        notes = _notes(loaded)
        if loader == "booster":
            # The library reads and predicts in the jail first: a file that crashes it must not crash the server.
            worker.predict([[0.0] * (loaded.num_features or 0)])
            found = plans.booster(task.path)
        else:
            found = plans.from_worker(worker, folder)
        if isinstance(found, str):
            why = f"its {loaded.kind} has no data-only form ({found}), so it runs in a jailed process"
        else:
            difference = plans.difference(found, worker)
            if difference is None:
                mode = "booster" if loader == "booster" or (folder / plans.BOOSTER).exists() else "plan"
                why = f"its {loaded.kind} became arrays that answered {plans.ROWS} rows exactly as the model itself"
                return replace(want, mode=mode, reason=why, loader=loader, notes=notes), InProcess(found)
            why = f"the arrays of its {loaded.kind} answered differently ({difference}), so it runs in a jailed process"
        serving = replace(want, mode="worker", reason=why, loader=loader, notes=notes)
        pool = self._pool(task, folder, serving)
        pool.start(worker)
        return serving, InWorkers(pool)

    def restore(self, version: Version, folder: Path, serving: Serving) -> Replica:
        assert version.artifact is not None
        directory = self._artifacts.verify(version.artifact)
        if serving.mode == "bundle":
            return self._bundle(directory)
        if serving.mode == "plan":
            return InProcess(plans.load(folder))
        task = _task(directory, serving.loader, version)
        if serving.mode == "booster":
            own = folder / plans.BOOSTER
            found = plans.booster(own if own.exists() else task.path)
            if isinstance(found, str):
                raise FailedPrecondition("The booster must still open", given=found, do="deploy the model again")
            return InProcess(found)
        pool = self._pool(task, folder, serving)
        try:
            pool.start()
        except BaseException:
            pool.close()
            raise
        return InWorkers(pool)

    def _bundle(self, directory: Path) -> InProcess:
        from tule.learn import runtime

        transform = self._transforms(directory) if self._transforms is not None else None
        if transform is None and (directory / "transform.json").exists():
            raise Unimplemented(
                "A model with a TRANSFORM clause is served where its transform can be evaluated",
                given=directory.name,
                do="use ML.PREDICT",
            )
        return InProcess(runtime.load(directory), transform)

    def _pool(self, task: Task, folder: Path, serving: Serving) -> Pool:
        return Pool(
            self._launcher,
            task,
            lambda number: folder / f"worker-{number % 10}.log" if serving.logs else None,
            least=serving.least,
            most=serving.most,
        )


def _task(directory: Path, loader: str, version: Version) -> Task:
    assert version.artifact is not None and version.artifact.model_file is not None
    path = directory if loader in ("saved_model", "bundle") else directory / version.artifact.model_file
    return Task(loader, directory, path)


def _notes(loaded: Loaded) -> list[str]:
    versions = ", ".join(f"{name} {number}" for name, number in loaded.versions.items())
    return [f"opened with {versions} behind {', '.join(loaded.layers)}", *loaded.warnings]


def check_servable(version: Version) -> None:
    """Raises the reason why a version cannot be deployed here, as far as it is known without opening it."""
    if version.artifact is None:
        raise FailedPrecondition(
            "A model must have an artifact to be deployed",
            given=f"{version.name}, uploaded without one",
            do="upload a version with artifact_uri and a serving image",
        )
    if version.artifact.format == "bundle":
        return
    if version.message.get("modelSourceInfo", {}).get("sourceType") == "BQML":
        # A file that BigQuery ML imported: it came without an image, and is opened as there.
        check_installed(version.artifact.format)
        return
    if version.image is None:
        raise FailedPrecondition(
            "A custom serving container needs a container engine, and Tule has none here",
            given=version.image_uri,
            do="upload the model with a prebuilt scikit-learn, XGBoost or TensorFlow image, which Tule serves itself",
        )
    if version.artifact.format == "archive":
        raise Unimplemented(
            "Models for TorchServe (.mar archives) are not served", given=version.image_uri,
            do="export the network to ONNX and upload it as model.onnx under the same image",
        )  # fmt: skip
    spec = version.message.get("containerSpec", {})
    wrong = [name for name in ("command", "args") if spec.get(name)]
    if wrong:
        raise Unimplemented(
            "A prebuilt image is served without a container, so its command cannot be replaced",
            given=", ".join(f"container_spec.{name}" for name in wrong),
            do="leave these out",
        )
    check_installed(version.artifact.format)


# What opens these formats, by the package's name and the way to get it.
_RUNTIMES = {
    "saved_model": ("A SavedModel", "TensorFlow", "tensorflow", "tensorflow-cpu"),
    "onnx": ("An ONNX model", "ONNX Runtime", "onnxruntime", "onnxruntime"),
    "tflite": ("A TensorFlow Lite model", "LiteRT", "ai_edge_litert", "ai-edge-litert"),
}


def check_installed(format: str) -> None:
    """FailedPrecondition names the package that this format needs and that is not installed."""
    from importlib.util import find_spec

    what, runtime, package, requirement = _RUNTIMES.get(format, ("", "", "", ""))
    if package and find_spec(package) is None:
        raise FailedPrecondition(
            f"{what} needs {runtime} where Tule runs",
            given=f"the package {requirement} is not installed",
            do=f"run `pip install {requirement}` in Tule's environment, then try again",
        )


def replica_counts(message: dict[str, Any]) -> tuple[int, int]:
    """Least and most replicas that a DeployedModel message asks for."""
    resources = message.get("dedicatedResources") or message.get("automaticResources") or {}
    least = int(resources.get("minReplicaCount") or 1)
    most = int(resources.get("maxReplicaCount") or least)
    if not 1 <= least <= most <= 16:
        raise InvalidArgument(
            "Replica counts must be 1 <= min_replica_count <= max_replica_count <= 16",
            given=f"{least} and {most}",
            do="lower them: they are processes on this machine",
        )
    return least, most
