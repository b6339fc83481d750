"""A server as other commands see it: its runtime file, starting one, stopping it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tule.kernel.clock import Clock, RealClock
from tule.kernel.errors import FailedPrecondition, NotFound, Unavailable
from tule.kernel.home import Home, read_private, write_private
from tule.kernel.settings import Settings
from tule.wire.intercept.environment import Target

RUNTIME = "server.json"
# A server that cannot start ends at once; this is for one that hangs, on a machine however busy.
_STARTING = 120.0
_STOPPING = 15.0
# A log of this size is set aside when the next server starts.
_LOG_BYTES = 10 * 2**20


@dataclass(frozen=True)
class Runtime:
    """What a running server writes to ``server.json`` when it is ready, and removes when it stops.

    ``temporary``: it was started for a command and ends with the last command that uses it; see ``leases``.
    """

    pid: int
    host: str
    port: int
    tls_port: int
    project: str
    location: str
    started: str
    temporary: bool

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True)
class Started:
    """A server that this process started. ``pipe``: a temporary one notices when this end of it is closed."""

    runtime: Runtime
    process: subprocess.Popen[bytes]
    pipe: int | None = None

    def let_go(self) -> None:
        if self.pipe is not None:
            with suppress(OSError):
                os.close(self.pipe)


def write_runtime(home: Home, runtime: Runtime) -> None:
    write_private(home.path(RUNTIME), json.dumps(asdict(runtime)).encode(), replace=True)


def remove_runtime(home: Home) -> None:
    home.path(RUNTIME).unlink(missing_ok=True)


def find_runtime(settings: Settings) -> Runtime | None:
    """The server that holds the data directory and is ready, None when there is none."""
    holder = find_holder(settings)
    if holder is None:
        return None
    try:
        runtime = Runtime(**json.loads(read_private(settings.home / RUNTIME)))
    except (OSError, ValueError, TypeError):
        return None
    # A file left by a server that was killed names a pid that does not hold the lock.
    return runtime if runtime.pid == holder else None


def find_holder(settings: Settings) -> int | None:
    """The pid of the server that holds the data directory, ready or not; looking makes and changes nothing."""
    return Home(settings.home).holder()


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


def start_server(settings: Settings, *, clock: Clock | None = None, temporary: bool = False) -> Started:
    """Start a server as a child process of its own session and wait until it is ready.

    A ``temporary`` one stops when this process lets go of it or ends in whatever way, and nobody else uses it. Raises
    Unavailable with the end of the server's log when it ends or is not ready in time.
    """
    clock = clock or RealClock()
    log = open_log(Home.attach(settings))
    command = [sys.executable, "-m", "tule.cli.serving", *_arguments(settings)]
    reading, writing = os.pipe()
    if temporary:
        command.append(f"--until-closed={reading}")
    with log.open("ab") as output:
        begin = output.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(reading,) if temporary else (),
        )
    os.close(reading)
    if not temporary:
        os.close(writing)
    try:
        runtime = _ready(settings, process, log, begin, clock)
    except BaseException:
        process.kill()
        process.wait()
        if temporary:
            os.close(writing)
        raise
    return Started(runtime, process, writing if temporary else None)


def _arguments(settings: Settings) -> list[str]:
    """The settings that are not the defaults, for ``tule.cli.serving``."""
    values = {each.name: getattr(settings, each.name) for each in fields(Settings)}
    return [f"--{name}={value}" for name, value in values.items() if name == "home" or value != getattr(Settings, name)]


def _ready(settings: Settings, process: subprocess.Popen[bytes], log: Path, begin: int, clock: Clock) -> Runtime:
    deadline = clock.monotonic() + _STARTING
    while clock.monotonic() < deadline:
        runtime = find_runtime(settings)
        if runtime is not None and runtime.pid == process.pid:
            return runtime
        if process.poll() is not None:
            raise Unavailable(
                "The server could not start", given=_tail(log, begin) or f"exit code {process.returncode}"
            )
        clock.sleep(0.01)
    raise Unavailable(f"The server must be ready within {_STARTING:.0f} s", given=_tail(log, begin))


def stop_server(pid: int, settings: Settings, *, seconds: float = _STOPPING, clock: Clock | None = None) -> None:
    """Ask the server that holds the data directory to stop and wait until it has given it up; no-op for another pid."""
    clock = clock or RealClock()
    home = Home(settings.home)
    deadline = clock.monotonic() + seconds
    if home.holder() == pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    while home.holder() == pid:
        if clock.monotonic() > deadline:
            raise FailedPrecondition(
                f"The server must stop within {seconds:.0f} s", given=f"pid {pid}", do=f"kill -9 {pid}"
            )
        clock.sleep(0.02)


def log_path(settings: Settings) -> Path:
    return settings.home / "logs" / "server.log"


def open_log(home: Home) -> Path:
    """The server's log, private; an old one that has grown large is kept as ``server.log.1``."""
    log = home.path("logs", "server.log")
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_name("server.log.1"))
    os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return log


def _tail(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        lines = file.read().decode(errors="replace").strip().splitlines()
    return " / ".join(line.removeprefix("tule: ") for line in lines[-3:])
