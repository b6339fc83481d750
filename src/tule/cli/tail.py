"""The end of a file, and what comes after."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from tule.kernel.clock import Clock, RealClock


def last_lines(path: Path, count: int) -> list[str]:
    with path.open(errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=max(0, count))]


def follow_file(path: Path, clock: Clock | None = None) -> None:
    """Print what is appended, until interrupted; a file that is replaced is read from its beginning."""
    clock = clock or RealClock()
    while True:
        with path.open(errors="replace") as file:
            file.seek(0, os.SEEK_END)
            while path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                line = file.readline()
                if line:
                    print(line, end="", flush=True)
                else:
                    clock.sleep(0.2)
