"""``tule.start()``: the Google clients of this Python process land on a local server.

Call it before the first Google client (and before anything else that uses gRPC) is made: gRPC reads its roots and proxy
from the environment when its first channel opens.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType

from tule.cli.leases import Lease
from tule.cli.running import target_of
from tule.kernel.settings import Settings
from tule.wire.intercept.environment import UNSET, environment


class Session:
    """A server and the environment that leads to it; ``stop`` (or the end of a ``with``) undoes both."""

    def __init__(
        self,
        settings: Settings,
        *,
        project: str | None,
        offline: bool,
        temporary: tempfile.TemporaryDirectory[str] | None,
    ) -> None:
        self._settings = settings
        self._temporary = temporary
        self._lease = Lease(settings)
        self._target = target_of(settings, self._lease.runtime, project)
        self._before = dict(os.environ)
        made = environment(self._target, self._before, offline=offline)
        for name in UNSET:
            os.environ.pop(name, None)
        os.environ.update(made)

    @property
    def project(self) -> str:
        return self._target.project

    @property
    def url(self) -> str:
        return self._lease.runtime.url

    @property
    def token(self) -> str:
        return self._target.token

    @property
    def home(self) -> Path:
        return self._settings.home

    @property
    def env(self) -> dict[str, str]:
        """The environment that a child process needs to land here too."""
        return dict(os.environ)

    def stop(self) -> None:
        """Give the environment back, and the server: it stops if a session or command started it and none uses it now.

        Idempotent.
        """
        if self._before:
            os.environ.clear()
            os.environ.update(self._before)
            self._before = {}
        self._lease.end()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(
    home: str | Path | None = None, *, project: str | None = None, offline: bool = False, temporary: bool = False
) -> Session:
    """Start a server for this process, or join the one that runs on ``home`` (default: TULE_HOME, ~/.tule).

    ``temporary``: a data directory of its own that is removed at ``stop``. ``offline``: refuse connections of this
    process that are not for Google's APIs. Raises kernel errors when the server cannot start.
    """
    made = tempfile.TemporaryDirectory(prefix="tule-") if temporary and home is None else None
    settings = Settings.read(home=Path(made.name) if made is not None else home, project=project)
    return Session(settings, project=project, offline=offline, temporary=made)
