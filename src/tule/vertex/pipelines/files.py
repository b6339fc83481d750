"""The files of artifacts: objects of Cloud Storage as files of a step, and what a step wrote as objects.

Below a folder lie buckets as ``gcsfuse`` would show them. Inputs are copied in before the step begins; what is new or
changed when it ended is stored.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from tule.kernel.errors import FailedPrecondition, NotFound
from tule.kernel.objects import Objects

_PIECE = 2**20


class Mount:
    """The buckets below one folder."""

    def __init__(self, folder: Path, objects: Objects, brought: dict[str, list[int]] | None = None) -> None:
        """``brought``: what an earlier object of this folder says that it copied in."""
        self.folder = folder
        self._objects = objects
        self.brought: dict[str, list[int]] = dict(brought or {})
        """The files that were copied in: when they were last written, and their sizes."""

    @property
    def prefix(self) -> str:
        return f"{self.folder}/"

    def place(self, uri: str) -> Path:
        """Where an object of a URI lies; raises FailedPrecondition for one that would lie elsewhere."""
        bucket, _, key = uri.removeprefix("gs://").partition("/")
        if not bucket or any(part in ("..", ".") for part in (bucket, *key.split("/"))) or "\x00" in key:
            raise FailedPrecondition("An artifact's object must have a name that can be a file's", given=uri)
        return self.folder / bucket / key

    def bring(self, uris: Iterable[str]) -> None:
        """Copy in the objects that artifacts name: each itself, and those below it as a folder."""
        for uri in uris:
            if uri.startswith("gs://"):
                self._bring(uri)

    def _bring(self, uri: str) -> None:
        bucket, _, key = uri.removeprefix("gs://").partition("/")
        if self._objects.buckets.find(bucket) is None:
            raise NotFound("The bucket of an artifact must exist", given=uri, do="create it, or run its producer again")
        below = [] if not key else self._objects.list(bucket, prefix=f"{key.rstrip('/')}/").objects
        itself = self._objects.find(bucket, key) if key and not key.endswith("/") else None
        for each in (*below, *((itself,) if itself is not None else ())):
            place = self.place(f"gs://{bucket}/{each.key}")
            if each.key.endswith("/"):
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with self._objects.open(bucket, each.key) as source, place.open("wb") as target:
                shutil.copyfileobj(source, target, _PIECE)
            about = place.stat()
            self.brought[str(place)] = [about.st_mtime_ns, about.st_size]

    def store(self, besides: Iterable[Path]) -> list[str]:
        """Store what is new or changed, ``besides`` left out; the URIs. Raises NotFound where a bucket is gone."""
        left_out = {str(each) for each in besides}
        stored = []
        for path in _files(self.folder):
            about = path.stat()
            if str(path) in left_out or self.brought.get(str(path)) == [about.st_mtime_ns, about.st_size]:
                continue
            bucket, _, key = path.relative_to(self.folder).as_posix().partition("/")
            if self._objects.buckets.find(bucket) is None:
                raise NotFound(
                    "The bucket of an output must exist",
                    given=f"gs://{bucket}/{key}",
                    do="create it again, then run the pipeline again",
                )
            with path.open("rb") as file:
                self._objects.put(bucket, key, _pieces(file))
            stored.append(f"gs://{bucket}/{key}")
        return stored


def _files(folder: Path) -> Iterator[Path]:
    """The regular files below a folder, never through a link."""
    for where, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(where) / name
            if path.is_file() and not path.is_symlink():
                yield path


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece
