"""The program ``tule`` as a process, with pipes or in a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "tule.cli"]
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07|\r")


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``tule ARGUMENTS`` on a data directory to its end."""

    def run(
        *arguments: str, home: Path, stdin: str | None = None, timeout: float = 100, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        source = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        return subprocess.run(
            [*PROGRAM, *arguments], capture_output=True, text=True, timeout=timeout, check=False,
            env={**os.environ, "TULE_HOME": str(home), **variables}, **source,  # type: ignore[call-overload]
        )  # fmt: skip

    return run


class Terminal:
    """A program in a terminal of 100 by 40, whose keyboard and screen are the test's."""

    def __init__(self, arguments: list[str], environ: dict[str, str]) -> None:
        self.pid, self._screen = pty.fork()
        if self.pid == 0:
            os.execvpe(arguments[0], arguments, environ)
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self._seen = ""
        self._code: int | None = None

    def type(self, text: str) -> None:
        """Press keys; ``\\r`` is Enter, ``\\x03`` is Ctrl-C."""
        os.write(self._screen, text.encode())

    def expect(self, pattern: str, seconds: float = 120) -> str:
        """What came on the screen up to and with a match; only what follows is looked at next."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self._seen)):
            assert time.monotonic() < deadline, f"{pattern!r} did not appear:\n{self._seen}"
            if not self._read(0.2):
                assert re.search(pattern, self._seen), f"the program ended without {pattern!r}:\n{self._seen}"
        text, self._seen = self._seen[: found.end()], self._seen[found.end() :]
        return text

    def _read(self, seconds: float) -> bool:
        """Take in what is on the screen; whether the program may still write."""
        if not select.select([self._screen], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._screen, 65536)
        except OSError:  # nobody has the terminal any more
            return False
        self._seen += _ESCAPES.sub("", data.decode(errors="replace"))
        return bool(data)

    def exit_code(self, seconds: float = 120) -> int:
        """Wait for the end; -N for a program that signal N ended."""
        deadline = time.monotonic() + seconds
        while self._code is None:
            assert time.monotonic() < deadline, f"the program goes on:\n{self._seen}"
            self._read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def close(self) -> None:
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._screen)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Open ``tule ARGUMENTS`` in a terminal."""
    opened: list[Terminal] = []

    def open_(*arguments: str, home: Path, **variables: str) -> Terminal:
        environ = {**os.environ, "TULE_HOME": str(home), "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", **variables}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            environ.pop(name, None)
        opened.append(Terminal([*PROGRAM, *arguments], environ))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()
