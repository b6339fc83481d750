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

from tule.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted
from tule.kernel.home import Home
from tule.kernel.jobs import JobSpec
from tule.vertex.containers.accounts import Accounts
from tule.vertex.containers.container import Container, expand
from tule.vertex.containers.environments import Environment, Environments, Package
from tule.vertex.containers.images import FAMILIES, Image, local_image
from tule.vertex.containers.interpreters import Interpreter, Interpreters
from tule.vertex.containers.requirements import check_requirements
from tule.vertex.containers.resources import Resources, Share

_LOG = logging.getLogger(__name__)

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# How a process reaches Google's APIs here: it would lead elsewhere, or speak as somebody else.
_OURS = frozenset(
    ("https_proxy", "http_proxy", "no_proxy", "grpc_proxy", "no_grpc_proxy", "all_proxy", "tule_url", "tule_token",
     "google_application_credentials", "grpc_default_ssl_roots_file_path")
)  # fmt: skip
_DISK_RESERVE = 2**30
IMAGE_PYTHON = ("match", "exact", "server")


class Interception(Protocol):
    """The variables under which a process reaches Google's APIs here; ``tule exec`` sets the same."""

    def __call__(self, *, project: str, credential: str, credentials: Path) -> dict[str, str]:
        """For a project, with a credential for the proxy and the file of an account's key."""


class BucketFiles(Protocol):
    """Gives a process the buckets as files below ``/gcs``."""

    @property
    def trouble(self) -> str:
        """Why this machine does not permit it; empty where it does."""

    def command(
        self, folder: Path, argv: Sequence[str], *, project: str, token: str, notes: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """The command with ``/gcs`` in view; the notes are written first."""


@dataclass(frozen=True)
class Prepared:
    """A process that may be started: ``Jobs.submit(owner, prepared.spec)``.

    ``notes`` are for its reader: where it gets less, or other, than its image says. ``finish`` once it has ended.
    """

    spec: JobSpec
    folder: Path
    notes: tuple[str, ...] = ()

    def sync(self) -> None:
        """Write what the process has closed below ``/gcs`` to its objects, while it runs."""

    def finish(self) -> None:
        """As ``sync``, and remove the folder. Idempotent."""
        self.sync()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Account:
    """Whom a process is: the file of its key, and what the server knows it by."""

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
        self._interpreter(image)
        check_requirements(container.requirements)
        for uri in container.packages:
            _split(uri)
        if not container.argv:
            raise InvalidArgument(
                "A container of an image that stands for an environment of this machine must have a command",
                given=f"image {container.image} with neither command nor args",
                do="give for instance ['python', '-m', 'trainer.task']",
            )
        self._accounts.check(container.service_account)
        taken = sorted(name for name in container.env if name.lower() in _OURS)
        if taken:
            raise InvalidArgument(
                "A container must not set the variables by which its clients reach Google's APIs here",
                given=", ".join(taken),
                do="leave them out; a service account is named in its own field",
            )

    def prepare(self, container: Container, *, project: str, name: str) -> Prepared:
        """Make everything that the process needs, under a folder that ``name`` alone has.

        It may take long: an environment that is missing is installed. What an earlier preparation of the same name left
        is removed.
        """
        self.check(container)
        image = self._image(container)
        share = self._share(container, image)
        interpreter, notes = self._interpreter(image)
        environment = self._environment(container, image, interpreter)
        folder = self._folder(name)
        shutil.rmtree(folder, ignore_errors=True)
        folder = self._home.folder("containers", folder.name)
        for each in ("work", "tmp", "home"):
            (folder / each).mkdir(mode=0o700)
        programs = environment.layer(folder / "venv")
        account = self._account(container, project, folder)
        path = f"{programs}:{environment.programs}:{_PATH}"
        notes = (*notes, *share.notes)
        spec = JobSpec(
            argv=self._command(container.argv, account, project, folder, notes),
            env=self._variables(container, account, project, folder, path, share),
            cwd=str(folder / "work"),
            memory_bytes=share.memory_bytes,
            wall_seconds=container.wall_seconds,
            disk_bytes=self._disk(),
            scratch=str(folder),
            idle_seconds=self._hang_seconds or None,
            cpus=share.cpus,
        )
        for note in notes:
            _LOG.info("%s: %s", name, note)
        return Prepared(spec, folder, notes)

    def sweep(self, used: Collection[str]) -> int:
        """Remove the folders that a server left which was killed, except those that ``used`` working folders lie in."""
        removed = 0
        kept = {Path(each).parent.name for each in used}
        for folder in self._home.folder("containers").iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed

    # -- what an image stands for

    @staticmethod
    def _image(container: Container) -> Image:
        image = local_image(container.image)
        if image is None:
            raise FailedPrecondition(
                "An image of one's own needs Docker or Podman on this machine",
                given=container.image,
                do="use a prebuilt image of Vertex AI or python:3.11 with requirements, or install one of them",
            )
        return image

    def _share(self, container: Container, image: Image) -> Share:
        return self._resources.share(container, gpu_image=image.gpu, scale=self._scale)

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
        requirements = list(container.requirements)
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
            return self._environments.get(interpreter, requirements, packages)
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
        return _Account(key, self._accounts.proxy_credential(email))

    def _command(
        self, argv: Sequence[str], account: _Account, project: str, folder: Path, notes: Sequence[str]
    ) -> tuple[str, ...]:
        if self._files is None or self._files.trouble:
            return tuple(argv)
        place = folder / "mount"
        place.mkdir(mode=0o700)
        return self._files.command(place, argv, project=project, token=account.credential, notes=notes)

    def _variables(
        self, container: Container, account: _Account, project: str, folder: Path, path: str, share: Share
    ) -> dict[str, str]:
        known = {
            "PATH": path,
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "CLOUD_ML_PROJECT_ID": str(self._accounts.number(project)),
            **self._pip(),
            **self._interception(project=project, credential=account.credential, credentials=account.key),
        }
        if not share.gpus:
            known["CUDA_VISIBLE_DEVICES"] = ""
        return {**known, **expand(container.env, known)}

    def _pip(self) -> dict[str, str]:
        """What tells pip where the server's user has packages from, for processes that install some."""
        found = {name: value for name, value in self._environ.items() if name.startswith(("PIP_", "UV_"))}
        home = Path(self._environ.get("HOME") or Path.home())
        cache = Path(self._environ.get("XDG_CACHE_HOME") or home / ".cache") / "pip"
        found.setdefault("PIP_CACHE_DIR", str(cache))
        for place in (home / ".config" / "pip" / "pip.conf", home / ".pip" / "pip.conf"):
            if place.exists():
                found.setdefault("PIP_CONFIG_FILE", str(place))
        return {**found, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}


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
