"""The end of a file, and what comes after."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TextIO

from tule.kernel.clock import Clock, RealClock

_LOOK = 0.2


def tail(path: Path, count: int, *, follow: bool = False, clock: Clock | None = None) -> Generator[str, None, None]:
    """The last ``count`` lines; with ``follow`` also what is appended, without end.

    A file that is replaced while it is followed is read on to its end, then the new one from its beginning.
    """
    file: TextIO = path.open(errors="replace")
    try:
        yield from deque(file, maxlen=max(0, count))
        while follow:
            yield from _appended(file)
            if (newer := _replaced(path, file)) is not None:
                yield from _appended(file)
                file.close()
                file = newer
            else:
                (clock or RealClock()).sleep(_LOOK)
    finally:
        file.close()


def _appended(file: TextIO) -> Iterator[str]:
    while line := file.readline():
        yield line


def _replaced(path: Path, file: TextIO) -> TextIO | None:
    """The file that is at ``path`` now, None where it is the one that is open or where there is none for the moment."""
    try:
        newer = path.open(errors="replace")
    except FileNotFoundError:
        return None
    if os.path.samestat(os.fstat(newer.fileno()), os.fstat(file.fileno())):
        newer.close()
        return None
    return newer
