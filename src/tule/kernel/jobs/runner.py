"""The port behind which processes run: on this machine, or on a cluster."""

from __future__ import annotations

from typing import Literal, Protocol

from tule.kernel.jobs.spec import JobSpec, State

Stream = Literal["stdout", "stderr"]


class Runner(Protocol):
    """Runs processes and tells the truth about them. Safe to use from any thread.

    Promises:

    - A handle is a text that stays good after a restart of the server, until ``forget``; a handle that was never
      started is NotFound everywhere.
    - Descendants of a process end with it, however they detach; none outlives it, and none outlives the server where
      the engine runs on the server's machine.
    - An end, once told, never changes, and survives a restart. An end that nobody saw is ``Reason.LOST``.
    - Limits of the spec hold for a process and its descendants together, and name themselves in the end's reason. A
      limit that the engine cannot hold is refused at ``start`` with Unimplemented, naming it.
    - The process sees no variable that the spec does not name, except ``PATH`` (a plain one where none is given) and
      variables that begin with ``TULE_JOB``.
    - A program that cannot be run is no error of ``start``: it ends as ``exited`` with code 127 (not found) or 126.
    """

    def start(self, spec: JobSpec, *, handle: str = "") -> str:
        """Start a process and return its handle.

        With ``handle`` (letters, digits, hyphens) that one is used; starting it twice runs one process only, so that a
        caller who writes the handle down first can ask again after a crash.
        """

    def poll(self, handle: str) -> State:
        """How the process is now, without waiting."""

    def wait(self, handle: str, timeout: float | None = None) -> State:
        """How the process is once it ended, or after ``timeout`` real seconds."""

    def kill(self, handle: str, grace: float = 5.0) -> None:
        """Ask all its processes to end (SIGTERM), and end them after ``grace`` seconds; does not wait.

        The reason becomes ``cancelled``. A process that ended stays as it ended.
        """

    def logs(self, handle: str, stream: Stream = "stdout", *, offset: int = 0, limit: int = 2**20) -> bytes:
        """Up to ``limit`` bytes of what the process wrote, from byte ``offset`` on; empty at the end.

        A very long output keeps its beginning and its end; a line in between says how much was left out.
        """

    def forget(self, handle: str) -> None:
        """Remove the logs and the end of a process that ended; raises FailedPrecondition for one that runs."""
