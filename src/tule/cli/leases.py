"""The use of a server by commands, counted: one that was started for a command lives until its last user is gone.

Each user holds a shared lock on ``HOME/users`` while it works; the kernel takes it back however the user ends. Who stops a
temporary server, its starter or itself, holds the lock alone, so that nobody joins one that is about to stop: a newcomer
waits and starts another.
"""

from __future__ import annotations

import fcntl
import os
from types import TracebackType

from tule.cli.running import Runtime, Started, find_holder, find_runtime, start_server, stop_server
from tule.kernel.clock import Clock, RealClock
from tule.kernel.errors import FailedPrecondition, Unavailable
from tule.kernel.home import Home
from tule.kernel.settings import Settings

_USERS = "users"
_WAITING = 120.0


class Lease:
    """The running server of a data directory, or one that lives as long as somebody uses it; given back by ``end``."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        """Raises Unavailable when no server can be started."""
        self._settings = settings
        self._clock = clock or RealClock()
        self._users = _open_users(Home.attach(settings))
        self._started: Started | None = None
        self._ended = False
        try:
            fcntl.flock(self._users, fcntl.LOCK_SH)
            self.runtime = self._join()
        except BaseException:
            self.end()
            raise

    def _join(self) -> Runtime:
        deadline = self._clock.monotonic() + _WAITING
        while self._clock.monotonic() < deadline:
            runtime = find_runtime(self._settings)
            if runtime is not None:
                return runtime
            if find_holder(self._settings) is None:
                try:
                    self._started = start_server(self._settings, clock=self._clock, temporary=True)
                    return self._started.runtime
                except Unavailable:
                    # Another command may have been quicker: then its server is ours too.
                    if find_holder(self._settings) is None:
                        raise
            self._clock.sleep(0.01)
        raise FailedPrecondition(
            "The server that holds the data directory must become ready",
            given=f"pid {find_holder(self._settings)} on {self._settings.home}",
            do="look into its log with `tule logs`",
        )

    def end(self) -> None:
        """Give the server back; whoever started it stops it, or leaves it to those who use it still. Idempotent."""
        if self._ended:
            return
        self._ended = True
        try:
            if self._started is not None:
                if _alone(self._users):
                    stop_server(self._started.runtime.pid, self._settings, clock=self._clock)
                    self._started.process.wait(10)
                self._started.let_go()
        finally:
            os.close(self._users)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def wait_until_unused(home: Home) -> int:
    """Block until no command uses the server of ``home``, and keep others from joining as long as the result is open."""
    users = _open_users(home)
    fcntl.flock(users, fcntl.LOCK_EX)
    return users


def _open_users(home: Home) -> int:
    return os.open(home.path(_USERS), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _alone(users: int) -> bool:
    """Whether the shared lock could be made an exclusive one; if not, it is given up."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
