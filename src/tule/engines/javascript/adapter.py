"""QuickJS behind the port ``bigquery.javascript.Engine``: starts a worker for each program, asks it, ends it.

What comes back from a worker is text; a worker that dies or breaks the protocol is an error of the program in it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tule.engines.jail import frames
from tule.kernel.errors import Cancelled, FailedPrecondition, Internal, InvalidArgument, ResourceExhausted


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one program may take."""

    memory: int = 256 * 2**20
    """Of its values, bytes."""
    process_memory: int = 2**30
    """Address space of the process around it, bytes."""
    seconds: float = 60
    """Processor time for one request."""


class QuickJs:
    """Opens programs in JavaScript."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    @staticmethod
    def installed() -> bool:
        return importlib.util.find_spec("quickjs") is not None

    def open(self, sources: Sequence[str]) -> Program:
        """A program of scripts that run in this order; the value of the last one is the function that answers requests."""
        return Program(sources, self._limits)


class Program:
    """One program. Its process starts at the first request, on the thread that makes it, and dies with that thread."""

    def __init__(self, sources: Sequence[str], limits: Limits) -> None:
        self._sources = list(sources)
        self._limits = limits
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader = self._writer = -1
        self._stopped = False

    def answer(self, requests: Sequence[str]) -> list[str]:
        """One text for each request, in order. Raises ResourceExhausted where a limit is reached, Cancelled after
        ``stop``."""
        with self._lock:
            if self._process is None:
                self._start()
            return self._ask({"requests": list(requests)})

    def stop(self) -> None:
        """End the program, also in the middle of a request; from any thread."""
        self._stopped = True
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the program; idempotent."""
        self.stop()
        with self._lock:
            self._end()

    def _start(self) -> None:
        if self._stopped:
            raise Cancelled("The JavaScript function was stopped")
        their_reader, self._writer = os.pipe2(os.O_CLOEXEC)
        self._reader, their_writer = os.pipe2(os.O_CLOEXEC)
        try:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "tule.engines.javascript.worker"),
                    *map(str, (os.getpid(), their_reader, their_writer, self._limits.process_memory)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8"},
                pass_fds=(their_reader, their_writer),
                start_new_session=True,
            )
        except BaseException:
            self._end()
            raise
        finally:
            os.close(their_reader)
            os.close(their_writer)
        if self._stopped:
            self._process.kill()
        self._ask({"sources": self._sources, "memory": self._limits.memory, "seconds": self._limits.seconds})

    def _ask(self, message: dict[str, Any]) -> list[str]:
        try:
            frames.write(self._writer, message)
            answer, _ = frames.read(self._reader)
        except (frames.Closed, frames.BrokenFrame) as error:
            self._end()
            if self._stopped:
                raise Cancelled("The JavaScript function was stopped") from None
            raise ResourceExhausted(
                "A JavaScript function must stay within its memory", given=f"its process ended: {error}",
                do="make its values smaller", reason="resourcesExceeded",
            ) from None  # fmt: skip
        if answer.get("ok"):
            return [str(each) for each in answer["answers"]]
        self._end()
        raise self._failure(str(answer.get("kind")), str(answer.get("error")))

    def _failure(self, kind: str, words: str) -> Exception:
        match kind:
            case "jail":
                return FailedPrecondition(
                    "Functions in JavaScript need a process that is locked in", given=words,
                    do="run Tule on Linux with seccomp (x86_64 or aarch64), or write the function in SQL",
                )  # fmt: skip
            case "time":
                return ResourceExhausted(
                    "A JavaScript function must answer in time", given=f"it computed longer than {self._limits.seconds:g} s",
                    do="look for a loop without an end", reason="resourcesExceeded",
                )  # fmt: skip
            case "memory":
                return ResourceExhausted(
                    "A JavaScript function must stay within its memory",
                    given=f"its values take more than {self._limits.memory // 2**20} MiB", do="make its values smaller",
                    reason="resourcesExceeded",
                )  # fmt: skip
            case "source":
                return InvalidArgument(words, reason="invalidQuery", location="query")
        return Internal("A JavaScript function could not be run", given=f"{kind}: {words}", do="see `tule logs`")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        for handle in (self._reader, self._writer):
            if handle >= 0:
                os.close(handle)
        self._reader = self._writer = -1
