"""Cached environments: an interpreter of this machine with what a container requires on top of it.

An environment is named by the checksum of all that makes it. It holds what was missing, installed by pip into a virtual
environment over the interpreter, and the programs (``torchrun``, ``pip``, ...) of both. Each process gets a virtual
environment of its own above (``layer``), so that a ``pip install`` in it changes nothing for others. A file ``ready``,
written last, makes an environment one; what a crash left without it is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tule.kernel.errors import DeadlineExceeded, FailedPrecondition
from tule.kernel.home import Home, room_on_disk, write_private
from tule.vertex.containers.interpreters import Interpreter
from tule.vertex.containers.requirements import missing

_READY = "ready"
_VENV, _PROGRAMS, _LOG = "venv", "programs", "build.log"
# Raised when the making of environments changes, so that older ones are made anew.
_FORM = 1
_INSTALL_SECONDS = 1800
_EVIDENCE = 4
# Since this version it makes wheels without another package.
_SETUPTOOLS = 71
# Resolved by the PATH, which begins with the process's own environment.
_SHEBANG = b"#!/usr/bin/env python3\n"
_PIP = _SHEBANG + b"import sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n"


@dataclass(frozen=True)
class Package:
    """A source distribution or wheel to install; its file must stay while the environment is made."""

    name: str
    sha256: str
    path: Path


@dataclass(frozen=True)
class Environment:
    """A finished environment. ``chain``: folders of packages that a process has in view; they may lead to others."""

    interpreter: Interpreter
    folder: Path
    chain: tuple[Path, ...]

    @property
    def programs(self) -> Path:
        return self.folder / _PROGRAMS

    @property
    def python(self) -> Path:
        """An interpreter that has what was installed in view; nothing is to be installed with it."""
        return self.folder / _VENV / "bin" / "python"

    @property
    def log(self) -> str:
        path = self.folder / _LOG
        return path.read_text(errors="replace") if path.exists() else ""

    def layer(self, folder: Path) -> Path:
        """Make a virtual environment of a process's own at ``folder``; returns the folder of its programs."""
        make_venv(folder, self.interpreter, self.chain)
        return folder / "bin"


class Environments:
    """The environments of a data directory. Safe to use from any thread; one is made once, others wait for it."""

    def __init__(self, home: Home, environ: Mapping[str, str] | None = None) -> None:
        """``environ``: what pip is run with; the server's own environment where it is None."""
        self._home = home
        self._environ = dict(os.environ if environ is None else environ)
        self._lock = threading.Lock()
        self._making: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def get(
        self,
        interpreter: Interpreter,
        requirements: Sequence[str] = (),
        packages: Sequence[Package] = (),
        alone: Sequence[str] = (),
    ) -> Environment:
        """The environment over an interpreter in which the requirements hold and the packages are installed.

        ``alone`` are requirements that are installed without theirs. Without packages, and where the interpreter
        satisfies the requirements, nothing is installed. Raises FailedPrecondition with what pip said when it cannot be
        made.
        """
        wanted = tuple(missing(requirements, interpreter))
        bare = tuple(missing(alone, interpreter))
        key = _key(interpreter, wanted, packages, bare)
        with self._lock:
            making = self._making[key]
        with making:
            folder = self._home.root / "environments" / key
            if not (folder / _READY).exists():
                self._make(folder, key, interpreter, wanted, packages, bare)
        # What was installed stands over the interpreter's own packages and leads to them.
        installed = (_site_packages(folder / _VENV, interpreter),)
        return Environment(interpreter, folder, installed if wanted or packages or bare else interpreter.sites)

    def _make(
        self,
        folder: Path,
        key: str,
        interpreter: Interpreter,
        wanted: Sequence[str],
        packages: Sequence[Package],
        bare: Sequence[str],
    ) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._home.folder("environments", key)
        try:
            with room_on_disk():
                venv = folder / _VENV
                make_venv(venv, interpreter, interpreter.sites)
                self._need_pip(folder, interpreter)
                if bare:
                    self._install(folder, interpreter, bare, (), "--no-deps")
                if wanted or packages:
                    self._install(folder, interpreter, wanted, packages)
                _gather(folder / _PROGRAMS, (venv / "bin", interpreter.programs))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        about = {
            "python": interpreter.label,
            "requirements": [*bare, *wanted],
            "packages": [each.name for each in packages],
        }
        write_private(folder / _READY, json.dumps(about).encode())

    def _need_pip(self, folder: Path, interpreter: Interpreter) -> None:
        """Give an interpreter that has no pip the one that comes with Python."""
        venv = folder / _VENV
        if interpreter.version_of("pip") is None:
            self._run(folder, [str(venv / "bin" / "python"), "-m", "ensurepip"], "it could not be given pip")

    def _install(
        self,
        folder: Path,
        interpreter: Interpreter,
        wanted: Sequence[str],
        packages: Sequence[Package],
        *options: str,
    ) -> None:
        files = folder / "files"
        files.mkdir()
        named = []
        for number, each in enumerate(packages):
            # pip reads the name and version of a distribution off its file's name.
            (files / str(number)).mkdir()
            place = files / str(number) / each.name
            shutil.copyfile(each.path, place)
            named.append(str(self._built(folder, interpreter, place) or place))
        listed = folder / "requirements.txt"
        listed.write_text("\n".join(wanted) + "\n")
        command = [
            *(str(folder / _VENV / "bin" / "python"), "-m", "pip", "install"),
            *("--no-input", "--disable-pip-version-check", "--no-warn-script-location", "--progress-bar", "off"),
            *options,
            *(("-r", str(listed)) if wanted else ()),
            *named,
        ]
        shown = ", ".join((*wanted, *(each.name for each in packages)))
        self._run(folder, command, f"{shown} could not be installed for Python {interpreter.label}")
        shutil.rmtree(files)

    def _built(self, folder: Path, interpreter: Interpreter, source: Path) -> Path | None:
        """The wheel of a source distribution that setuptools builds, where that is installed; None: pip shall see to it.

        pip would fetch setuptools for each, which takes long, and needs a network.
        """
        version = interpreter.version_of("setuptools") or ""
        if int(version.partition(".")[0] or 0) < _SETUPTOOLS or not _is_for_setuptools(source):
            return None
        wheels = source.parent / "wheels"
        command = [
            *(str(folder / _VENV / "bin" / "python"), "-m", "pip", "wheel", "--disable-pip-version-check"),
            *("--no-input", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source)),
        ]
        self._run(folder, command, f"{source.name} could not be built for Python {interpreter.label}")
        return next(iter(wheels.glob("*.whl")), None)

    def _run(self, folder: Path, command: Sequence[str], trouble: str) -> None:
        environ = {name: value for name, value in self._environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        log = folder / _LOG
        with log.open("ab") as output:
            try:
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environ,
                    cwd=folder,
                    timeout=_INSTALL_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise DeadlineExceeded(
                    f"The environment of a container must be made within {_INSTALL_SECONDS} s",
                    given=trouble,
                    do="install what it needs into the server's own environment",
                ) from None
        if done.returncode:
            raise FailedPrecondition(
                "What a container requires must be installable",
                given=f"{trouble}: {_evidence(log)}",
                do="correct the requirement, or install it into the environment that Tule runs in",
            )


def make_venv(folder: Path, interpreter: Interpreter, chain: Sequence[Path]) -> None:
    """A virtual environment over an interpreter with folders of packages in view behind its own.

    As the module ``venv`` makes them, in a millisecond: without pip, and with a file of paths.
    """
    programs, packages = folder / "bin", _site_packages(folder, interpreter)
    programs.mkdir(parents=True)
    packages.mkdir(parents=True)
    for name in ("python", "python3", "python{}.{}".format(*interpreter.minor)):
        (programs / name).symlink_to(interpreter.executable)
    settings = {
        "home": interpreter.executable.parent,
        "include-system-site-packages": "true" if interpreter.system else "false",
        "version": interpreter.label,
    }
    (folder / "pyvenv.cfg").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
    if chain:
        lines = [f"import site; site.addsitedir({str(each)!r})" for each in chain]
        (packages / "_chain.pth").write_text("\n".join(lines) + "\n")


def _site_packages(venv: Path, interpreter: Interpreter) -> Path:
    return venv / "lib" / "python{}.{}".format(*interpreter.minor) / "site-packages"


def _key(interpreter: Interpreter, wanted: Sequence[str], packages: Sequence[Package], bare: Sequence[str] = ()) -> str:
    about: list[Any] = [
        _FORM,
        interpreter.label,
        str(interpreter.executable),
        [str(each) for each in (*interpreter.sites, interpreter.programs)],
        sorted(wanted),
        sorted(bare),
        [(each.name, each.sha256) for each in packages],
        # Another set of programs is another environment: something was installed since.
        interpreter.programs.stat().st_mtime_ns if interpreter.programs.exists() else 0,
    ]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]


def _gather(folder: Path, sources: Sequence[Path]) -> None:
    """Programs of environments under one folder, the first of a name; Python's run with whatever python3 comes first."""
    folder.mkdir()
    for source in sources:
        for path in sorted(source.iterdir()) if source.is_dir() else ():
            target = folder / path.name
            if path.name.startswith(("python", "pip", "activate", "Activate")) or target.exists() or not _runs(path):
                continue
            body = _script(path)
            if body is None:
                target.symlink_to(path)
            else:
                target.write_bytes(_SHEBANG + body)
                target.chmod(0o700)
    for name in ("pip", "pip3"):
        (folder / name).write_bytes(_PIP)
        (folder / name).chmod(0o700)


def _runs(path: Path) -> bool:
    return path.is_file() and bool(path.stat().st_mode & stat.S_IXUSR)


def _script(path: Path) -> bytes | None:
    """A Python program behind its first lines; None for any other program."""
    with path.open("rb") as file:
        first = file.readline(512)
        if not first.startswith(b"#!"):
            return None
        rest = file.read()
    if first.startswith(b"#!/bin/sh") and rest.startswith(b"'''exec' "):
        # How a long or odd path of the interpreter is written: a shell line, closed two lines below.
        _, _, rest = rest.partition(b"' '''\n")
        return rest
    return rest if b"python" in first.rpartition(b"/")[2] else None


def _is_for_setuptools(source: Path) -> bool:
    """Whether a source distribution names no other builder and needs nothing else to be built."""
    import tarfile
    import tomllib

    if not tarfile.is_tarfile(source):
        return False
    try:
        with tarfile.open(source) as archive:
            about = [each for each in archive if each.name.count("/") == 1 and each.name.endswith("/pyproject.toml")]
            if not about:
                return True
            file = archive.extractfile(about[0])
            system = tomllib.loads(file.read().decode()).get("build-system", {}) if file is not None else {}
    except (tarfile.TarError, OSError, ValueError, EOFError):
        return False
    needs = {str(each).split(">")[0].split("=")[0].strip() for each in system.get("requires", ())}
    return system.get("build-backend", "setuptools.build_meta").startswith("setuptools.") and needs <= {
        "setuptools",
        "wheel",
    }


def _evidence(log: Path) -> str:
    """The lines in which pip says what was wrong, else its last."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR:", "error:", "× "))]
    return " / ".join((errors or lines)[-_EVIDENCE:])[:1500]
