"""A server as a process of its own, for tests: started, killed, started again on the same data."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tule.cli import running
from tule.cli.running import Runtime, Started
from tule.kernel.clock import RealClock
from tule.kernel.settings import Settings
from tule.wire.intercept.environment import Target, environment


class ServerProcess:
    """A ``tule up`` on a data directory, and commands that run under its interception."""

    def __init__(self, home: Path, *, project: str = "test-project", **settings: Any) -> None:
        self.home = home
        self.project = project
        self._settings = Settings.read({}, home=home, project=project, **settings)
        self._started: Started | None = None

    def start(self) -> ServerProcess:
        """Start and wait until ready; the server also stops when this process ends."""
        self._started = running.start_server(self._settings, temporary=True)
        return self

    @property
    def runtime(self) -> Runtime:
        return self._server.runtime

    @property
    def _server(self) -> Started:
        assert self._started is not None, "the server must be started first"
        return self._started

    @property
    def pid(self) -> int:
        return self.runtime.pid

    @property
    def url(self) -> str:
        return self.runtime.url

    @property
    def target(self) -> Target:
        return running.target_of(self._settings, self.runtime)

    @property
    def token(self) -> str:
        return self.target.token

    @property
    def headers(self) -> dict[str, str]:
        """Headers of a direct call with the token."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def log(self) -> str:
        return (self.home / "logs" / "server.log").read_text(errors="replace")

    def kill9(self) -> None:
        """End the server as a power cut would."""
        os.kill(self.pid, signal.SIGKILL)
        self._server.process.wait(10)
        self._server.let_go()
        clock = RealClock()
        while running.find_runtime(self._settings) is not None:
            clock.sleep(0.01)

    def stop(self) -> None:
        if self._started is not None and self._started.process.poll() is None:
            running.stop_server(self.pid, self._settings)
            self._started.process.wait(15)
            self._started.let_go()

    def exec(
        self,
        code: str | list[str],
        *,
        timeout: float = 120,
        check: bool = True,
        offline: bool = True,
        inherited: Mapping[str, str] | None = None,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run Python source (or a command) in its own process, its Google clients landing here.

        ``check``: fail with the process's output unless it ends with 0. ``inherited``: variables that the command had
        before it was intercepted; ``variables`` are set afterwards.
        """
        command = [sys.executable, "-c", code] if isinstance(code, str) else code
        environ = environment(self.target, {**os.environ, **(inherited or {})}, offline=offline) | variables
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=timeout, check=False)
        if check and done.returncode:
            raise AssertionError(f"exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-6000:]}")
        return done
