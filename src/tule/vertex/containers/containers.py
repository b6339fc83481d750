"""Containers: what a job or step asks to run, made a process of this machine.

An image's name stands for an environment (``images``, ``environments``); the process runs under an account of its own
(``accounts``), sees Google's APIs here, and has a folder of its own for what it writes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tule.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted, Unimplemented
from tule.kernel.home import Home
from tule.kernel.jobs import JobSpec
from tule.vertex.containers.accounts import Accounts
from tule.vertex.containers.container import Container, expand
from tule.vertex.containers.copies import Copies, moved, named
from tule.vertex.containers.environments import Environment, Environments, Package
from tule.vertex.containers.images import FAMILIES, Image, local_image
from tule.vertex.containers.interpreters import Interpreter, Interpreters
from tule.vertex.containers.prepared import Prepared
from tule.vertex.containers.requirements import check_requirements
from tule.vertex.containers.resources import Resources, Share
from tule.vertex.containers.variables import PATH, Interception, check_variables, of_folder, of_pip

_LOG = logging.getLogger(__name__)

# Variables that name files of this machine.
_FILES = ("GOOGLE_APPLICATION_CREDENTIALS", "SSL_CERT_FILE")
_RAN_IMAGE = "image"
_DISK_RESERVE = 2**30
IMAGE_PYTHON = ("match", "exact", "server")


class BucketFiles(Protocol):
    """Gives a process the buckets as files below ``/gcs``."""

    closed: bool
    """Whether the process then has a network with nothing in it but the server."""

    @property
    def trouble(self) -> str:
        """Why this machine does not permit it; empty where it does."""

    def command(
        self, folder: Path, argv: Sequence[str], *, project: str, token: str, notes: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """The command with ``/gcs`` in view; the notes are written first."""


class ImageEngine(Protocol):
    """Runs images of one's own; ``tule.engines.docker``."""

    @property
    def trouble(self) -> str:
        """Why none can be run; empty where one can."""

    @property
    def variables(self) -> dict[str, str]:
        """What its command needs beside what is meant for the image."""

    def argv(self, order: Any) -> tuple[str, ...]:
        """The command that runs an ``Order``."""

    def remove(self, name: str) -> None:
        """End a container."""


@dataclass(frozen=True, slots=True)
class _Account:
    """Whom a process is: the file of its key, and what the server knows it by."""

    email: str
    key: Path
    credential: str


class Containers:
    """Prepares containers for one data directory. Safe to use from any thread."""

    def __init__(
        self,
        home: Home,
        objects: Any,
        accounts: Accounts,
        interception: Interception,
        *,
        files: BucketFiles | None = None,
        engine: ImageEngine | None = None,
        scale: bool = False,
        image_python: str = "match",
        disk_bytes: int = 100 * 2**30,
        hang_seconds: float = 0,
        interpreters: Interpreters | None = None,
        resources: Resources | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """``environ`` is the server's own environment: what pip is run with, here and in processes."""
        if image_python not in IMAGE_PYTHON:
            raise InvalidArgument(f"TULE_IMAGE_PYTHON must be one of {', '.join(IMAGE_PYTHON)}", given=image_python)
        self._home = home
        self._objects = objects
        self._accounts = accounts
        self._interception = interception
        self._files = files
        self._engine = engine
        self._scale = scale
        self._image_python = image_python
        self._disk_bytes = disk_bytes
        self._hang_seconds = hang_seconds
        self._interpreters = interpreters or Interpreters()
        self._resources = resources or Resources.of_this_machine()
        self._environ = dict(os.environ if environ is None else environ)
        self._environments = Environments(home, self._environ)

    # -- for rooms that run containers

    def check(self, container: Container) -> None:
        """Raise, by name, what can be known to be wrong before anything is stored or installed."""
        image = self._image(container)
        self._share(container, image)
        check_requirements(container.requirements)
        for uri in container.packages:
            _split(uri)
        if image is not None:
            self._interpreter(image)
        elif container.requirements or container.packages:
            raise Unimplemented(
                "Packages are installed into environments that an image's name stands for",
                given=f"{container.image} with {', '.join((*container.requirements, *container.packages))}",
                do="install them in the image",
            )
        if image is not None and not container.argv:
            raise InvalidArgument(
                "A container of an image that stands for an environment of this machine must have a command",
                given=f"image {container.image} with neither command nor args",
                do="give for instance ['python', '-m', 'trainer.task']",
            )
        self._accounts.check(container.service_account)
        check_variables(container)
        self._check_network(image)

    @property
    def closed(self) -> bool:
        """Whether processes reach the server and nothing else, each other neither."""
        return self._files is not None and self._files.closed

    def _check_network(self, image: Image | None) -> None:
        if self._files is None or not self._files.closed:
            return
        trouble = (
            self._files.trouble if image is not None else "a container of Docker or Podman has the machine's network"
        )
        if trouble:
            raise FailedPrecondition(
                "A process must be kept from the network (TULE_JOB_NETWORK=closed)",
                given=trouble,
                do="start Tule where user namespaces and /dev/fuse may be used, or with TULE_JOB_NETWORK=open",
            )

    def prepare(self, container: Container, *, project: str, name: str) -> Prepared:
        """Make everything that the process needs, under a folder that ``name`` alone has.

        It may take long: an environment that is missing is installed. What an earlier preparation of the same name left
        is removed.
        """
        self.check(container)
        image = self._image(container)
        share = self._share(container, image)
        environment, notes = None, share.notes
        if image is not None:
            interpreter, differences = self._interpreter(image)
            environment, notes = self._environment(container, image, interpreter), (*differences, *notes)
        folder = self._folder(name)
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.parent.is_dir():
            self._home.folder("containers")
        folder.mkdir(mode=0o700)
        account = self._account(container, project, folder)
        try:
            if environment is None:
                prepared = self._of_image(container, project, folder, account, share, notes)
            else:
                prepared = self._of_environment(container, project, folder, account, share, environment, notes)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        for note in prepared.notes:
            _LOG.info("%s: %s", name, note)
        return prepared

    def _of_environment(
        self, container: Container, project: str, folder: Path, account: _Account, share: Share,
        environment: Environment, notes: tuple[str, ...],
    ) -> Prepared:  # fmt: skip
        """A process of this machine, in an environment, with ``/gcs`` as real files or as copies."""
        for each in ("work", "tmp", "home"):
            (folder / each).mkdir(mode=0o700)
        programs = f"{environment.layer(folder / 'venv')}:{environment.programs}"
        env = self._variables(container, project, account, share, of_folder(folder, programs))
        argv, copies = container.argv, None
        if self._files is not None and not self._files.trouble:
            place = folder / "mount"
            place.mkdir(mode=0o700)
            argv = self._files.command(place, argv, project=project, token=account.credential, notes=notes)
        elif places := named([*argv, *container.env.values()]):
            copies = self._copies(account, folder / "gcs")
            copies.fetch(places)
            argv = tuple(moved(each, copies.folder) for each in argv)
            env |= {name: moved(env[name], copies.folder) for name in container.env}
            why = self._files.trouble if self._files is not None else "no server to ask"
            notes = (*notes, f"this machine permits no /gcs ({why}): what its command names there are copies, "
                     "written back when it ends")  # fmt: skip
        spec = self._spec(container, argv, env, folder, share)
        return Prepared(spec, folder, notes, environment.python, copies)

    def _of_image(
        self, container: Container, project: str, folder: Path, account: _Account, share: Share,
        notes: tuple[str, ...],
    ) -> Prepared:  # fmt: skip
        """A container of Docker or Podman, with copies of what its command names below ``/gcs``."""
        from tule.engines.docker import Order

        engine = self._engine
        assert engine is not None, "an image is checked before"
        (folder / "work").mkdir(mode=0o700)
        (folder / _RAN_IMAGE).touch()
        env = self._variables(container, project, account, share, {})
        copies = self._copies(account, folder / "gcs")
        copies.fetch(named([*container.argv, *container.env.values()]))
        name = f"tule-{folder.name}"
        # What an earlier server started under this name may run still.
        engine.remove(name)
        shown = {env[each] for each in _FILES if each in env}
        order = Order(
            image=container.image,
            name=name,
            command=container.command,
            args=container.args,
            variables=sorted(env),
            volumes={"/gcs": copies.folder},
            read_only={each: Path(each) for each in sorted(shown)},
            cpus=share.cpus,
            memory_bytes=share.memory_bytes,
            gpus=container.accelerators if share.gpus else 0,
        )
        env = {"PATH": PATH, **engine.variables, **env}
        spec = self._spec(container, engine.argv(order), env, folder, Share(None, None, share.gpus))
        return Prepared(spec, folder, notes, copies=copies, end=lambda: engine.remove(name))

    def _copies(self, account: _Account, folder: Path) -> Copies:
        return Copies(self._objects, folder, lambda permission, bucket: self._permit(account, permission, bucket))

    def _permit(self, account: _Account, permission: str, bucket: str) -> None:
        self._accounts.permit(account.email, permission, self._objects.buckets.get(bucket).name)

    def _spec(
        self, container: Container, argv: Sequence[str], env: dict[str, str], folder: Path, share: Share
    ) -> JobSpec:
        return JobSpec(
            argv=tuple(argv),
            env=env,
            cwd=str(folder / "work"),
            memory_bytes=share.memory_bytes,
            wall_seconds=container.wall_seconds,
            disk_bytes=self._disk(),
            scratch=str(folder),
            idle_seconds=self._hang_seconds or None,
            cpus=share.cpus,
        )

    def release(self, name: str) -> None:
        """Remove what was prepared under a name, for those who no longer have what ``prepare`` returned."""
        folder = self._folder(name)
        if self._engine is not None and (folder / _RAN_IMAGE).exists():
            self._engine.remove(f"tule-{folder.name}")
        shutil.rmtree(folder, ignore_errors=True)

    def sweep(self, used: Collection[str]) -> int:
        """Remove the folders that a server left which was killed, except those that ``used`` working folders lie in."""
        removed = 0
        kept = {Path(each).parent.name for each in used}
        for folder in self._home.folder("containers").iterdir():
            if folder.name not in kept:
                if self._engine is not None and (folder / _RAN_IMAGE).exists():
                    self._engine.remove(f"tule-{folder.name}")
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed

    # -- what an image stands for

    def _image(self, container: Container) -> Image | None:
        """What an image's name stands for; None for one of somebody's own, which can be run."""
        image = local_image(container.image)
        if image is None:
            trouble = "none was looked for" if self._engine is None else self._engine.trouble
            if trouble:
                raise FailedPrecondition(
                    "An image of one's own needs a working Docker or Podman on this machine",
                    given=f"{container.image}; {trouble}",
                    do="start one, or use a prebuilt image of Vertex AI or python:3.11 with requirements",
                )
        return image

    def _share(self, container: Container, image: Image | None) -> Share:
        return self._resources.share(container, gpu_image=image is not None and image.gpu, scale=self._scale)

    def _interpreter(self, image: Image) -> tuple[Interpreter, tuple[str, ...]]:
        """The interpreter that an image stands for, and what is to be said of it."""
        own = self._interpreters.own
        family = FAMILIES.get(image.family)
        if family is not None and family.module in own.modules:
            return own, _differences(image, own, own.version_of(family.package) or own.version_of(family.gpu_package))
        if image.python is None or image.python == own.minor or self._image_python == "server":
            return own, _differences(image, own, None)
        found = self._interpreters.find(image.python)
        if found is not None:
            return found, ()
        if self._image_python == "exact":
            raise FailedPrecondition(
                "The Python version of an image must be on this machine (TULE_IMAGE_PYTHON=exact)",
                given=f"{image.name}, which needs python{image.python[0]}.{image.python[1]}; the server runs {own.label}",
                do="install it on the PATH of the server, or leave TULE_IMAGE_PYTHON at match",
            )
        return own, _differences(image, own, None)

    def _environment(self, container: Container, image: Image, interpreter: Interpreter) -> Environment:
        requirements = [each for each in container.requirements if each not in container.alone]
        family = FAMILIES.get(image.family)
        if family is not None and family.module not in interpreter.modules:
            package = family.gpu_package if image.gpu and family.gpu_package else family.package
            exact = image.version.count(".") >= 2
            pinned = f"=={image.version}" + ("" if exact else ".*") if image.version else ""
            requirements.insert(0, package + pinned)
        folder = self._home.folder("environments", "incoming")
        packages: list[Package] = []
        try:
            for uri in container.packages:
                packages.append(self._package(uri, folder))
            alone = [each for each in container.requirements if each in container.alone]
            return self._environments.get(interpreter, requirements, packages, alone)
        finally:
            for each in packages:
                each.path.unlink(missing_ok=True)

    def _package(self, uri: str, folder: Path) -> Package:
        """A distribution out of its bucket, as a file of ours."""
        import tempfile

        bucket, key = _split(uri)
        try:
            found, stream = self._objects.opened(bucket, key)
        except NotFound as error:
            raise NotFound("The package of a container must exist", given=f"{uri}: {error.message}") from None
        handle, path = tempfile.mkstemp(dir=folder)
        with stream, os.fdopen(handle, "wb") as file:
            shutil.copyfileobj(stream, file)
        return Package(key.rpartition("/")[2], found.sha256, Path(path))

    def _disk(self) -> int:
        """What a process may write: a full disk would stop the server and all others."""
        free = shutil.disk_usage(self._home.root).free - _DISK_RESERVE
        if free <= 0:
            raise ResourceExhausted(
                "There must be a GiB of room on the disk of the data directory to start a process",
                given=f"{(free + _DISK_RESERVE) >> 20} MiB on that of {self._home.root}",
                do="free some, then start it again",
            )
        return min(self._disk_bytes, free)

    # -- what a process sees

    def _folder(self, name: str) -> Path:
        return self._home.root / "containers" / hashlib.sha256(name.encode()).hexdigest()[:32]

    def _account(self, container: Container, project: str, folder: Path) -> _Account:
        email = self._accounts.resolve(container.service_account, project)
        key = folder / "credentials.json"
        self._accounts.write_key(email, project, key)
        return _Account(email, key, self._accounts.proxy_credential(email))

    def _variables(
        self, container: Container, project: str, account: _Account, share: Share, place: dict[str, str]
    ) -> dict[str, str]:
        known = {
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "CLOUD_ML_PROJECT_ID": str(self._accounts.number(project)),
            **place,
            **(of_pip(self._environ) if place else {}),
            **self._interception(project=project, credential=account.credential, credentials=account.key),
        }
        if not share.gpus:
            known["CUDA_VISIBLE_DEVICES"] = ""
        return {**known, **expand(container.env, known)}


def _split(uri: str) -> tuple[str, str]:
    bucket, slash, key = uri.removeprefix("gs://").partition("/")
    if not uri.startswith("gs://") or not bucket or not slash or not key or key.endswith("/"):
        raise InvalidArgument(
            "A package of a container must be an object in Cloud Storage",
            given=repr(uri[:200]),
            do="give gs://BUCKET/PATH of a source distribution or wheel",
        )
    return bucket, key


def _differences(image: Image, interpreter: Interpreter, version: str | None) -> tuple[str, ...]:
    """What an image's name says and the interpreter is not."""
    notes = []
    if image.python is not None and image.python != interpreter.minor:
        wanted = "{}.{}".format(*image.python)
        notes.append(f"the image {image.name} stands for Python {wanted}; it runs in Python {interpreter.label}")
    if version and image.version and not f"{version}.".startswith(f"{image.version}."):
        notes.append(f"the image {image.name} stands for {image.family} {image.version}; it runs with {version}")
    return tuple(notes)
