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
        file = self.path.open("rb")
        if file.read(2) == b"\x1f\x8b":
            file.seek(0)
            return cast(BinaryIO, gzip.GzipFile(fileobj=file))
        file.seek(0)
        return file
