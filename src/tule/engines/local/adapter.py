"""The runner of this machine: one folder and one launcher process per job.

The launcher (``launcher.py``) does the work between fork and exec, watches, and writes ``exit.json``; this side
starts launchers, reads what they wrote and passes on requests to kill. A job whose launcher is gone without a written
end is ``lost``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tule.engines.local.forks import Fork, Forks
from tule.kernel.clock import Clock
from tule.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from tule.kernel.jobs import Exit, JobSpec, Reason, State, Stream

_Launched = subprocess.Popen[bytes] | Fork
_LAUNCHER = Path(__file__).with_name("launcher.py")
_HANDLE = re.compile(r"[A-Za-z0-9-]{1,80}")
_PATH = "/usr/local/bin:/usr/bin:/bin"
_MARK = "TULE_JOB"
# How often the end of a process that an earlier server started is looked for (seconds).
_LOOK = 0.05


class LocalRunner:
    """Satisfies ``tule.kernel.jobs.Runner`` on Linux, with all its limits.

    ``folder`` keeps logs and ends, ``log_bytes`` is how much of each stream is kept from its beginning on (the last
    64 KiB of a longer one are kept too).
    """

    def __init__(
        self, folder: Path, clock: Clock, *, environ: Mapping[str, str] | None = None, log_bytes: int = 32 * 2**20
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._clock = clock
        self._environ = os.environ if environ is None else environ
        self._log_bytes = log_bytes
        self._lock = threading.Lock()
        self._launchers: dict[str, _Launched] = {}
        self._forks = Forks()

    def start(self, spec: JobSpec, *, handle: str = "") -> str:
        handle = handle or secrets.token_hex(12)
        folder = self._place(handle)
        with self._lock:
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                return handle
            if spec.cwd is None:
                (folder / "work").mkdir(mode=0o700)
            environment = self._environment(spec, handle)
            job = {
                **spec.to_json(),
                "cwd": spec.cwd or str(folder / "work"),
                "env": environment,
                "log_bytes": self._log_bytes,
            }
            forked = self._forks.start(spec, folder, environment) if spec.preload else None
            launcher = self._launchers[handle] = forked or _launcher(folder)
            # Before anyone else can have the pipe: a kill must be the second line.
            self._tell(launcher, job)
        return handle

    def _environment(self, spec: JobSpec, handle: str) -> dict[str, str]:
        inherited = {name: self._environ[name] for name in spec.inherit_env if name in self._environ}
        return {"PATH": _PATH, **inherited, **spec.env, _MARK: handle}

    @staticmethod
    def _tell(launcher: _Launched, line: dict[str, Any]) -> None:
        pipe = launcher.stdin
        assert pipe is not None
        try:
            pipe.write(json.dumps(line).encode() + b"\n")
            pipe.flush()
        except (BrokenPipeError, ValueError):
            pass  # it has ended, and wrote down how

    def poll(self, handle: str) -> State:
        folder = self._known(handle)
        launcher = self._launchers.get(handle)
        alive = launcher.poll() is None if launcher is not None else self._still_there(folder)
        # Read after asking whether it lives: a launcher writes the end first and ends then.
        stored = _read(folder / "exit.json")
        if stored is not None:
            if launcher is not None and not alive:
                self._let_go(handle, launcher)
            return State(Exit.from_json(stored))
        if alive:
            return State()
        self._end_leftovers(handle)
        if launcher is not None:
            self._let_go(handle, launcher)
        trouble = (folder / "launcher.log").read_text(errors="replace").strip().splitlines()[-1:]
        detail = "its launcher ended without a word" + (f": {trouble[0]}" if trouble else "")
        if launcher is None:
            detail = "the server and its launcher went down while it was running"
        lost = Exit(reason=Reason.LOST, detail=detail)
        _write(folder / "exit.json", lost.to_json())
        return State(lost)

    def wait(self, handle: str, timeout: float | None = None) -> State:
        deadline = None if timeout is None else self._clock.monotonic() + timeout
        pause = threading.Event()
        while True:
            state = self.poll(handle)
            left = None if deadline is None else deadline - self._clock.monotonic()
            if not state.running or (left is not None and left <= 0):
                return state
            launcher = self._launchers.get(handle)
            if launcher is None:
                pause.wait(_LOOK if left is None else min(_LOOK, left))
                continue
            _await(launcher, left)

    def kill(self, handle: str, grace: float = 5.0) -> None:
        self._known(handle)
        with self._lock:
            launcher = self._launchers.get(handle)
            if launcher is not None and launcher.poll() is None:
                self._tell(launcher, {"kill": max(0.0, grace)})

    def logs(self, handle: str, stream: Stream = "stdout", *, offset: int = 0, limit: int = 2**20) -> bytes:
        if stream not in ("stdout", "stderr"):
            raise InvalidArgument("A stream must be stdout or stderr", given=repr(stream))
        if offset < 0 or limit < 0:
            raise InvalidArgument("An offset and a limit must not be negative", given=f"{offset}, {limit}")
        try:
            with (self._known(handle) / stream).open("rb") as file:
                file.seek(offset)
                return file.read(limit)
        except FileNotFoundError:
            return b""

    def forget(self, handle: str) -> None:
        if self.poll(handle).running:
            raise FailedPrecondition("A process must have ended to be forgotten", given=handle, do="kill it first")
        with self._lock:
            self._launchers.pop(handle, None)
            shutil.rmtree(self._place(handle))

    def close(self, grace: float = 5.0) -> None:
        """End all processes that this object started and wait for their ends to be written."""
        with self._lock:
            launchers = list(self._launchers.items())
        for handle, _ in launchers:
            self.kill(handle, grace)
        for handle, launcher in launchers:
            try:
                launcher.wait(grace + 10)
            except subprocess.TimeoutExpired:
                launcher.kill()
                launcher.wait()
            self.poll(handle)
        self._forks.close()

    # -- folders and launchers

    def _place(self, handle: str) -> Path:
        if _HANDLE.fullmatch(handle) is None:
            raise InvalidArgument("A handle must be letters, digits and hyphens, at most 80", given=repr(handle[:100]))
        return self._folder / handle

    def _known(self, handle: str) -> Path:
        folder = self._place(handle)
        if not folder.is_dir():
            raise NotFound("The process must have been started here", given=handle)
        return folder

    def _let_go(self, handle: str, launcher: _Launched) -> None:
        with self._lock:
            if launcher.stdin is not None:
                launcher.stdin.close()
            self._launchers.pop(handle, None)

    @staticmethod
    def _still_there(folder: Path) -> bool:
        """Whether the launcher that an earlier server started is alive: its pid, and not one used again."""
        import psutil

        launcher = _read(folder / "launcher.json")
        if launcher is None:
            return False
        try:
            stat = Path(f"/proc/{launcher['pid']}/stat").read_bytes().rpartition(b")")[2].split()
            alive: bool = psutil.Process(launcher["pid"]).status() != psutil.STATUS_ZOMBIE
        except (OSError, psutil.NoSuchProcess):
            return False
        return int(stat[19]) == launcher["start"] and alive

    @staticmethod
    def _end_leftovers(handle: str) -> None:
        """Kill what a job left behind when its launcher was killed; the mark in the environment tells whose it is."""
        for pid in _marked(handle):
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue


def _launcher(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "launcher.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCHER), str(folder)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={"PATH": _PATH},
            cwd="/",
            # A Ctrl-C in the server's terminal is for the server, which ends its jobs in order.
            start_new_session=True,
        )


def _await(launcher: _Launched, timeout: float | None) -> None:
    """Until the process ended or ``timeout`` seconds passed; ``Popen.wait`` would look only every 50 ms."""
    if isinstance(launcher, Fork):
        with contextlib.suppress(subprocess.TimeoutExpired):
            launcher.wait(timeout)
        return
    try:
        descriptor = os.pidfd_open(launcher.pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(None if timeout is None else max(0.0, timeout) * 1000)
    finally:
        os.close(descriptor)


def _marked(handle: str) -> Iterator[int]:
    import psutil

    for process in psutil.process_iter():
        try:
            if process.environ().get(_MARK) == handle:
                yield process.pid
        except (psutil.Error, OSError):
            continue


def _read(path: Path) -> dict[str, Any] | None:
    """What a launcher wrote; None for what is not there, or not whole because the machine went down."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found


def _write(path: Path, content: dict[str, Any]) -> None:
    """Write a file that is whole and durable, or not there."""
    from tule.kernel.home import write_private

    write_private(path, json.dumps(content).encode(), replace=True)
