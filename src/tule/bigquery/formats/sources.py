"""The files that jobs and external tables read: what they are called and how they are opened. Gzip is recognised by its
first bytes."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Source:
    """One local file; ``name`` is what error messages call it (a gs:// URI, or ``upload``)."""

    name: str
    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def raw(self) -> Path | BinaryIO:
        """The content as it is stored, to be read at any place: a path where there is one."""
        return self.path

    def open(self) -> BinaryIO:
        """The content, unpacked where it is gzipped."""
        return _unpacked(self.path.open("rb"))


@dataclass(frozen=True)
class RemoteSource:
    """One file of another file system; ``opened`` gives it anew each time, to be read at any place."""

    name: str
    size: int
    opened: Callable[[], BinaryIO]

    def raw(self) -> Path | BinaryIO:
        return self.opened()

    def open(self) -> BinaryIO:
        """The content, unpacked where it is gzipped."""
        return _unpacked(cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, self.opened()))))


AnySource = Source | RemoteSource


def _unpacked(file: BinaryIO) -> BinaryIO:
    packed = file.read(2) == _GZIP
    file.seek(0)
    return cast(BinaryIO, _Gzip(file)) if packed else file


class _Gzip(gzip.GzipFile):
    """A gzipped file that closes what it was made of."""

    def __init__(self, packed: BinaryIO) -> None:
        super().__init__(fileobj=packed)
        self._packed = packed

    def close(self) -> None:
        super().close()
        self._packed.close()
