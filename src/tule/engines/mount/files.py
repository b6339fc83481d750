"""What gives a process ``/gcs``: the command line of the program beside it, and whether this machine permits it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import tule

_SOURCES = Path(tule.__file__).resolve().parents[1]
# The standard library and ourselves, nothing else: it must be up in a few milliseconds.
_START = "import sys; sys.path.insert(0, {!r}); from tule.engines.mount.program import main; main(sys.argv[1:])"
_TRIAL_SECONDS = 20


class BucketFiles:
    """Gives processes ``/gcs``. Whether this machine permits it is tried once."""

    def __init__(self, port: Callable[[], int], host: str = "127.0.0.1", *, closed: bool = False) -> None:
        """``port``: where the server listens, asked when a process is prepared. ``closed``: a process reaches no other
        machine and nothing of this one but the server."""
        self._port = port
        self._host = host
        self.closed = closed
        self._lock = threading.Lock()
        self._trouble: str | None = None

    def command(
        self, folder: Path, argv: Sequence[str], *, project: str, token: str, notes: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """``argv`` with ``/gcs`` in view, as the account of ``token`` sees it. ``folder`` is private to the process;
        ``notes`` go to its standard error first."""
        about = {
            "host": self._host,
            "port": self._port(),
            "token": token,
            "project": project,
            "notes": list(notes),
            "closed": self.closed,
        }
        return _command(folder, argv, about)

    @property
    def trouble(self) -> str:
        """Why processes of this machine cannot have ``/gcs``; empty where they can."""
        with self._lock:
            if self._trouble is None:
                with tempfile.TemporaryDirectory(prefix="tule-mount-") as folder:
                    self._trouble = _try(Path(folder), closed=self.closed)
            return self._trouble


def _command(folder: Path, argv: Sequence[str], about: dict[str, object]) -> tuple[str, ...]:
    root, staging = folder / "root", folder / "staging"
    for each in (root, staging):
        each.mkdir(mode=0o700)
    path = folder / "mount.json"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({**about, "root": str(root), "staging": str(staging)}, file)
    return (sys.executable, "-I", "-S", "-c", _START.format(str(_SOURCES)), str(path), *argv)


def _try(folder: Path, *, closed: bool) -> str:
    about: dict[str, object] = {
        "host": "127.0.0.1",
        "port": 1,
        "token": "",
        "project": "",
        "notes": [],
        "closed": closed,
    }
    try:
        done = subprocess.run(
            _command(folder, ("/bin/sh", "-c", "test -d /gcs"), about),
            capture_output=True,
            text=True,
            timeout=_TRIAL_SECONDS,
            check=False,
            cwd="/",
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"code {done.returncode}"])[-1]
