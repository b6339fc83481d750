"""The files of a load: where they lie and how they are opened. Gzip is recognised by its first bytes."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast


@dataclass(frozen=True)
class Source:
    """One file; ``name`` is what error messages call it (a gs:// URI, or ``upload``)."""

    name: str
    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def open(self) -> BinaryIO:
        """The content, unpacked where it is gzipped."""
        with self.path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        return cast(BinaryIO, gzip.open(self.path)) if packed else self.path.open("rb")
