"""The Python interpreters of this machine, and what each has installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import site
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tule.kernel.errors import FailedPrecondition
from tule.vertex.containers.images import FAMILIES

# Run in another interpreter: what an environment over it has to know.
_PROBE = """
import importlib.metadata, importlib.util, json, os, site, sys
families = json.loads(sys.argv[1])
inside = sys.prefix != sys.base_prefix
print(json.dumps({
    "version": list(sys.version_info[:3]),
    "executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "inside": inside,
    "sites": site.getsitepackages() if inside else [],
    "programs": os.path.join(sys.prefix, "bin"),
    "modules": [each for each in families if importlib.util.find_spec(each)],
    "installed": {str(each.metadata["Name"]): each.version for each in importlib.metadata.distributions()},
}))
"""
_PROBE_SECONDS = 30
_SEPARATORS = re.compile(r"[-_.]+")


@dataclass(frozen=True)
class Interpreter:
    """An interpreter that environments stand on.

    ``executable`` is the one below any virtual environment; ``sites`` are the folders of packages that are added to its
    own, which it has in view itself when ``system``. ``programs`` holds their scripts.
    """

    version: tuple[int, int, int]
    executable: Path
    system: bool
    sites: tuple[Path, ...]
    programs: Path
    modules: frozenset[str]
    installed: Mapping[str, str] | None = field(default=None, compare=False)
    """Distributions by name; None for the server's own, which is asked in this process."""

    @property
    def minor(self) -> tuple[int, int]:
        return self.version[:2]

    @property
    def label(self) -> str:
        return ".".join(map(str, self.version))

    def version_of(self, distribution: str) -> str | None:
        """The installed version of a distribution, None where it is not installed."""
        if self.installed is not None:
            return self.installed.get(normalized(distribution))
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            return None

    def requirements_of(self, distribution: str) -> list[str] | None:
        """What an installed distribution requires; None where that cannot be told without asking it."""
        if self.installed is not None:
            return None
        return importlib.metadata.requires(distribution) or []


def normalized(distribution: str) -> str:
    """
    >>> normalized("Google_Cloud.Storage")
    'google-cloud-storage'
    """
    return _SEPARATORS.sub("-", distribution).lower()


class Interpreters:
    """The server's own interpreter and others on the PATH, each looked at once. Safe to use from any thread."""

    def __init__(self, path: str | None = None) -> None:
        """``path``: where others are looked for, folders separated by colons; the server's PATH where it is None."""
        self._path = os.environ.get("PATH", "") if path is None else path
        self._lock = threading.Lock()
        self._found: dict[tuple[int, int], Interpreter | None] = {}
        self.own = _own()

    def find(self, minor: tuple[int, int]) -> Interpreter | None:
        """An interpreter of a version (3.11, say), None where this machine has none."""
        if minor == self.own.minor:
            return self.own
        with self._lock:
            if minor not in self._found:
                self._found[minor] = next(self._candidates(minor), None)
            return self._found[minor]

    def _candidates(self, minor: tuple[int, int]) -> Iterator[Interpreter]:
        for folder in self._path.split(os.pathsep):
            program = Path(folder) / f"python{minor[0]}.{minor[1]}"
            if folder and os.access(program, os.X_OK):
                found = _probe(program)
                if found is not None and found.minor == minor:
                    yield found


def _own() -> Interpreter:
    inside = sys.prefix != sys.base_prefix
    executable = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    if not executable.exists():
        raise FailedPrecondition("The server must run in a Python interpreter that can be started", given=executable)
    modules = (each.module for each in FAMILIES.values())
    return Interpreter(
        version=sys.version_info[:3],
        executable=executable,
        system=not inside or _sees_system(Path(sys.prefix)),
        sites=tuple(Path(each) for each in site.getsitepackages()) if inside else (),
        programs=Path(sys.prefix) / "bin",
        modules=frozenset(each for each in modules if importlib.util.find_spec(each) is not None),
    )


def _sees_system(prefix: Path) -> bool:
    try:
        lines = (prefix / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return False
    words = dict(line.replace(" ", "").lower().split("=", 1) for line in lines if "=" in line)
    return words.get("include-system-site-packages") == "true"


def _probe(program: Path) -> Interpreter | None:
    """What an interpreter says of itself; None for a program that is none, or does not work (a shim of nothing)."""
    families = json.dumps([each.module for each in FAMILIES.values()])
    try:
        done = subprocess.run(
            [str(program), "-I", "-c", _PROBE, families],
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
            check=True,
        )
        said: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Interpreter(
        version=tuple(said["version"]),
        executable=Path(said["executable"]),
        system=not said["inside"] or _sees_system(Path(said["programs"]).parent),
        sites=tuple(Path(each) for each in said["sites"]),
        programs=Path(said["programs"]),
        modules=frozenset(said["modules"]),
        installed={normalized(name): version for name, version in said["installed"].items()},
    )
