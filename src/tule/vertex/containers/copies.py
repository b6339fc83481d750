"""Buckets as a folder of copies, where a process cannot be given ``/gcs`` itself.

What a command and its variables name below ``/gcs`` is copied before it starts; what it wrote or removed is written back.
The server works in the account's place, so that it asks for the account's permissions.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tule.kernel.errors import NotFound

_PLACE = re.compile(r"/gcs/(?P<bucket>[a-z0-9][a-z0-9._-]*)(?:/(?P<key>[^\s'\"`;|&<>(),:]*))?")
_BEGINS = re.compile(r"/gcs(?=/[a-z0-9])")
_PIECE = 1 << 20

Permit = Callable[[str, str], None]


def named(texts: Sequence[str]) -> list[tuple[str, str]]:
    """The buckets and keys that texts name below ``/gcs``.

    >>> named(["--data=/gcs/b/in/x.csv", "cp /gcs/b/y '/gcs/c'", "/gcsfuse/x"])
    [('b', 'in/x.csv'), ('b', 'y'), ('c', '')]
    """
    found = {(each["bucket"], each["key"] or "") for text in texts for each in _PLACE.finditer(text)}
    return sorted(found)


def moved(text: str, folder: Path) -> str:
    """A text whose paths below ``/gcs`` lead to a folder."""
    return _BEGINS.sub(lambda _: str(folder), text)


@dataclass(slots=True)
class _Copy:
    """A file as it was when it last was the same as its object. ``generation`` is of that."""

    size: int
    mtime_ns: int
    generation: int


@dataclass
class Copies:
    """The copies of one process. ``permit`` raises PermissionDenied unless its account may do something in a bucket."""

    objects: Any
    folder: Path
    permit: Permit
    _known: dict[tuple[str, str], _Copy] = field(default_factory=dict)
    _seen: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fetch(self, places: Sequence[tuple[str, str]]) -> None:
        """Copy the objects that are named, and those below what is named; a bucket that is not there stays away."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        for bucket, key in places:
            if self.objects.buckets.find(bucket) is None:
                continue
            (self.folder / bucket).mkdir(mode=0o700, exist_ok=True)
            # What is written need not be there yet, but the folder around it.
            if _is_path(key) and "/" in key:
                (self.folder / bucket / key).parent.mkdir(parents=True, exist_ok=True)
            self.permit("storage.objects.list", bucket)
            for each in self._below(bucket, key):
                self.permit("storage.objects.get", bucket)
                self._fetch(bucket, each.key)

    def _below(self, bucket: str, key: str) -> Iterator[Any]:
        inside = key if not key or key.endswith("/") else f"{key}/"
        with contextlib.suppress(NotFound):
            if key and not key.endswith("/"):
                yield self.objects.get(bucket, key)
        yield from self.objects.list(bucket, prefix=inside).objects

    def _fetch(self, bucket: str, key: str) -> None:
        path = self.folder / bucket / key
        if not _is_path(key) or (bucket, key) in self._known:
            return
        if key.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        found, stream = self.objects.opened(bucket, key)
        with stream, path.open("xb") as file:
            shutil.copyfileobj(stream, file, _PIECE)
        about = path.stat()
        self._known[bucket, key] = _Copy(about.st_size, about.st_mtime_ns, found.generation)

    def sync(self, *, last: bool = False) -> None:
        """Write back what changed; while the process runs, only files that stayed the same since the last time."""
        with self._lock:
            if not self.folder.is_dir():
                return
            there = {}
            for bucket, key, path in self._files():
                about = path.stat()
                state = about.st_size, about.st_mtime_ns
                there[bucket, key] = state
                known = self._known.get((bucket, key))
                if known is not None and (known.size, known.mtime_ns) == state:
                    continue
                if last or self._seen.get((bucket, key)) == state:
                    self._store(bucket, key, path, state)
            for bucket, key in [each for each in self._known if each not in there]:
                self._remove(bucket, key)
            self._seen = there

    def _files(self) -> Iterator[tuple[str, str, Path]]:
        for place, _, names in os.walk(self.folder):
            for name in names:
                path = Path(place, name)
                bucket, _, key = path.relative_to(self.folder).as_posix().partition("/")
                if key and path.is_file() and not path.is_symlink():
                    yield bucket, key, path

    def _store(self, bucket: str, key: str, path: Path, state: tuple[int, int]) -> None:
        self.permit("storage.objects.create", bucket)
        if self.objects.find(bucket, key) is not None:
            self.permit("storage.objects.delete", bucket)
        with path.open("rb") as file:
            made = self.objects.put(bucket, key, iter(lambda: file.read(_PIECE), b""))
        self._known[bucket, key] = _Copy(*state, made.generation)

    def _remove(self, bucket: str, key: str) -> None:
        """A file that was removed removes its object, unless somebody wrote another since."""
        known = self._known.pop((bucket, key))
        found = self.objects.find(bucket, key)
        if found is not None and found.generation == known.generation:
            self.permit("storage.objects.delete", bucket)
            self.objects.delete(bucket, key)


def _is_path(key: str) -> bool:
    """Whether a key is a path below a folder, and no other."""
    parts = key.removesuffix("/").split("/")
    return not any(part in ("", ".", "..") or "\x00" in part for part in parts)
