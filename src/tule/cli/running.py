"""A server as other commands see it: its runtime file, starting one, stopping it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from tule.kernel.clock import Clock, RealClock
from tule.kernel.errors import FailedPrecondition, NotFound, Unavailable
from tule.kernel.home import Home, read_private, write_private
from tule.kernel.settings import Settings
from tule.wire.intercept.environment import Target

RUNTIME = "server.json"
_STARTING = 30.0


@dataclass(frozen=True)
class Runtime:
    """What a running server writes to ``server.json`` when it is ready, and removes when it stops."""

    pid: int
    host: str
    port: int
    tls_port: int
    project: str
    location: str
    started: str

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


def write_runtime(home: Home, runtime: Runtime) -> None:
    write_private(home.path(RUNTIME), json.dumps(asdict(runtime)).encode(), replace=True)


def remove_runtime(home: Home) -> None:
    home.path(RUNTIME).unlink(missing_ok=True)


def find_runtime(settings: Settings) -> Runtime | None:
    """The server that holds the data directory and is ready, None when there is none."""
    if not settings.home.exists():
        return None
    home = Home.attach(settings)
    holder = home.holder()
    try:
        runtime = Runtime(**json.loads(read_private(home.path(RUNTIME))))
    except (OSError, ValueError, TypeError):
        return None
    # A file left by a server that was killed names a pid that does not hold the lock.
    return runtime if runtime.pid == holder else None


def need_runtime(settings: Settings) -> Runtime:
    runtime = find_runtime(settings)
    if runtime is None:
        raise NotFound(
            "A server must be running", given=f"none on {settings.home}", do="start one with `tule up --detach`"
        )
    return runtime


def target_of(settings: Settings, runtime: Runtime, project: str | None = None) -> Target:
    """The running server as intercepted commands need it."""
    home = Home.attach(settings)
    folder = home.root / "credentials"
    name = project or runtime.project
    return Target(
        port=runtime.port,
        token=read_private(folder / "token").decode().strip(),
        project=name,
        location=runtime.location,
        bundle=folder / "ca-bundle.pem",
        credentials=folder / "adc.json",
    )


def start_server(
    settings: Settings, arguments: list[str], *, clock: Clock | None = None, die_with_parent: bool = False
) -> tuple[Runtime, subprocess.Popen[bytes]]:
    """Start ``tule up`` as a child process of its own session and wait until it is ready.

    ``die_with_parent``: the server stops when this process ends in whatever way. Raises Unavailable with the end of
    the server's log when it ends or is not ready in time.
    """
    clock = clock or RealClock()
    home = Home.attach(settings)
    log = home.path("logs", "server.log")
    command = [sys.executable, "-m", "tule.cli", "up", "--home", str(settings.home), *arguments]
    reading, writing = os.pipe()
    if die_with_parent:
        command += ["--until-closed", str(reading)]
    with log.open("ab") as output:
        begin = output.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(reading,) if die_with_parent else (),
        )
    os.close(reading)
    if not die_with_parent:
        os.close(writing)
    deadline = clock.monotonic() + _STARTING
    while clock.monotonic() < deadline:
        runtime = find_runtime(settings)
        if runtime is not None and runtime.pid == process.pid:
            return runtime, process
        if process.poll() is not None:
            raise Unavailable(
                "The server could not start", given=_tail(log, begin) or f"exit code {process.returncode}"
            )
        clock.sleep(0.01)
    process.kill()
    raise Unavailable(f"The server must be ready within {_STARTING:.0f} s", given=_tail(log, begin))


def stop_server(runtime: Runtime, settings: Settings, *, seconds: float = 15.0, clock: Clock | None = None) -> None:
    """Ask the server to stop and wait until it has given the data directory up."""
    clock = clock or RealClock()
    home = Home.attach(settings)
    try:
        os.kill(runtime.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    deadline = clock.monotonic() + seconds
    while home.holder() == runtime.pid:
        if clock.monotonic() > deadline:
            raise FailedPrecondition(
                f"The server must stop within {seconds:.0f} s", given=f"pid {runtime.pid}", do=f"kill -9 {runtime.pid}"
            )
        clock.sleep(0.02)


def _tail(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        lines = file.read().decode(errors="replace").strip().splitlines()
    return " / ".join(line.removeprefix("tule: ") for line in lines[-3:])
