"""Launchers forked from interpreters that have imported what their jobs need (``zygote.py``)."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tule.kernel.jobs import JobSpec

_LOG = logging.getLogger(__name__)
_ZYGOTE = Path(__file__).with_name("zygote.py")
# An interpreter that imports for longer is not waited for; the job starts as any other.
_READY = 60.0
# How many interpreters are kept; the one that was not used for longest goes first.
_KEPT = 4
# Variables that an interpreter and its loader read as they start: jobs that differ in one have another interpreter.
_READ_EARLY = ("LD_LIBRARY_PATH", "LD_PRELOAD", "LANG", "LC_ALL")
_PATH = "/usr/local/bin:/usr/bin:/bin"


class Fork:
    """A forked launcher, with what ``subprocess.Popen`` gives of a started one."""

    def __init__(self, pid: int, handle: int, stdin: IO[bytes]) -> None:
        self.pid = pid
        self.stdin: IO[bytes] | None = stdin
        self._handle = handle

    def __del__(self) -> None:
        os.close(self._handle)

    def poll(self) -> int | None:
        """0 once it ended, however it did; what it did stands in its folder."""
        return 0 if self._ended(0) else None

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended(timeout):
            raise subprocess.TimeoutExpired("launcher", timeout or 0)
        return 0

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def _ended(self, timeout: float | None) -> bool:
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(None if timeout is None else max(0.0, timeout) * 1000))


@dataclass
class _Zygote:
    """An interpreter and the socket to it; requests take turns. ``forks`` are those that may still run."""

    process: subprocess.Popen[bytes]
    connection: socket.socket
    lock: threading.Lock = field(default_factory=threading.Lock)
    forks: list[Fork] = field(default_factory=list)

    @property
    def busy(self) -> bool:
        self.forks = [each for each in self.forks if each.poll() is None]
        return bool(self.forks)

    def close(self) -> None:
        self.connection.close()
        try:
            self.process.wait(1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


Key = tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]]


class Forks:
    """The warm interpreters of one runner, by program, modules and early variables."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._zygotes: dict[Key, _Zygote | None] = {}

    def start(self, spec: JobSpec, folder: Path, environment: dict[str, str]) -> Fork | None:
        """A launcher for the job of a folder; None where there can be no such interpreter."""
        program = shutil.which(spec.argv[0], path=environment.get("PATH", _PATH))
        if program is None or len(spec.argv) < 2:
            return None
        early = {
            name: value
            for name, value in environment.items()
            if name in _READ_EARLY or (name.startswith("PYTHON") and name != "PYTHONUNBUFFERED")
        }
        key = (program, spec.preload, tuple(sorted(early.items())))
        for _ in range(2):
            zygote = self._zygote(key, early)
            if zygote is None:
                return None
            try:
                return self._fork(zygote, folder)
            except OSError:
                # It was killed; the next one is a new one.
                _LOG.info("An interpreter with %s went away", ", ".join(spec.preload))
                with self._lock:
                    if self._zygotes.get(key) is zygote:
                        del self._zygotes[key]
                zygote.close()
        return None

    def close(self) -> None:
        """End the interpreters; jobs that still run end with them."""
        with self._lock:
            zygotes, self._zygotes = [each for each in self._zygotes.values() if each is not None], {}
        for each in zygotes:
            each.close()

    def _zygote(self, key: Key, early: dict[str, str]) -> _Zygote | None:
        with self._lock:
            if key in self._zygotes:
                # The newest stands last.
                self._zygotes[key] = self._zygotes.pop(key)
                return self._zygotes[key]
            self._make_room()
            made = self._zygotes[key] = _started(key[0], key[1], early)
            return made

    def _make_room(self) -> None:
        for key in list(self._zygotes):
            if len(self._zygotes) < _KEPT:
                return
            oldest = self._zygotes[key]
            if oldest is None or not oldest.busy:
                del self._zygotes[key]
                if oldest is not None:
                    oldest.close()

    @staticmethod
    def _fork(zygote: _Zygote, folder: Path) -> Fork:
        ours: int | None
        theirs, ours = os.pipe()
        try:
            with zygote.lock:
                socket.send_fds(zygote.connection, [str(folder).encode()], [theirs])
                answer, descriptors, _, _ = socket.recv_fds(zygote.connection, 64, 1)
                if not answer:
                    raise ConnectionResetError
            made = Fork(int(answer), descriptors[0], os.fdopen(ours, "wb"))
            ours = None
            zygote.forks.append(made)
            return made
        finally:
            os.close(theirs)
            if ours is not None:
                os.close(ours)


def _started(program: str, modules: tuple[str, ...], early: dict[str, str]) -> _Zygote | None:
    """An interpreter that has imported the modules; None when it cannot."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [program, str(_ZYGOTE), *modules],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": _PATH, **early},
            cwd="/",
            start_new_session=True,
        )
    ours.settimeout(_READY)
    made = _Zygote(process, ours)
    try:
        if ours.recv(16) == b"ready":
            ours.settimeout(_READY)
            return made
    except OSError:
        _LOG.info("An interpreter with %s did not come up", ", ".join(modules))
    made.close()
    return None
