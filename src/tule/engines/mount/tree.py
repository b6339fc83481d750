"""Buckets and objects as folders and files: ``/BUCKET/KEY``.

As gcsfuse does: what is below a folder are the objects whose names begin with it; a file that is written lies in a local
copy until it is closed, then it becomes a new generation, whole; the last close wins. Removing and renaming files removes
and renames objects. Links, owners, modes and locks between machines there are none.
"""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tule.engines.mount.fuse import Attributes
from tule.engines.mount.remote import Found, Refused, Remote

_ROOT = 1
_CHUNK = 8 << 20
_LONGEST_KEY = 1024


@dataclass(eq=False)
class _Node:
    """A bucket, a folder or an object. ``local`` is the copy that is being written; what it holds counts then.

    ``fresh``: it was just looked up, for what is asked next.
    """

    number: int
    parent: _Node | None
    name: str
    directory: bool
    known: int = 0
    found: Found | None = None
    local: BinaryIO | None = None
    dirty: bool = False
    from_memory: bool = False
    empty: bool = False
    fresh: bool = False
    mtime_ns: int | None = None
    handles: int = 0
    gone: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def path(self) -> list[str]:
        return [] if self.parent is None else [*self.parent.path, self.name]


@dataclass
class _Handle:
    node: _Node
    writes: bool
    chunk: tuple[int, bytes] = (0, b"")


class Tree:
    """Satisfies ``fuse.Files``. Safe to use from any thread."""

    def __init__(self, remote: Remote, staging: str) -> None:
        """``staging``: the folder of copies that are being written."""
        self._remote = remote
        self._staging = staging
        self._lock = threading.RLock()
        self._root = _Node(_ROOT, None, "", True, known=1)
        self._nodes: dict[int, _Node] = {_ROOT: self._root}
        self._children: dict[tuple[int, str], _Node] = {}
        self._numbers = itertools.count(_ROOT + 1)
        self._handles: dict[int, _Handle] = {}
        self._listings: dict[int, list[tuple[str, bool]]] = {}

    # -- names

    def lookup(self, parent: int, name: str) -> Attributes:
        folder = self._node(parent)
        here = self._child(folder, name)
        if here is not None and here.local is not None and not here.gone:
            return self._known(here)
        bucket, prefix = self._place(folder)
        if bucket is None:
            if not self._remote.has_bucket(name):
                raise _missing(name)
            return self._known(self._made(folder, name, True))
        found = self._remote.find(bucket, prefix + name)
        if found is not None:
            return self._known(self._made(folder, name, False, found))
        if self._remote.has_prefix(bucket, f"{prefix}{name}/") or (here and here.directory and self._holds_local(here)):
            return self._known(self._made(folder, name, True))
        raise _missing(name)

    def forget(self, node: int, count: int) -> None:
        with self._lock:
            found = self._nodes.get(node)
            if found is None or found is self._root:
                return
            found.known -= count
            if found.known <= 0 and not found.handles and found.local is None:
                self._drop(found)

    def attributes(self, node: int) -> Attributes:
        found = self._node(node)
        if not found.directory and found.local is None and not found.handles and not self._is_fresh(found):
            bucket, key = self._key(found)
            fresh = self._remote.find(bucket, key)
            if fresh is None:
                raise _missing(found.name)
            found.found = fresh
        return self._attributes(found)

    def change(self, node: int, *, size: int | None, mtime_ns: int | None, opened: bool) -> Attributes:
        found = self._node(node)
        if size is not None and found.directory:
            raise OSError(errno.EISDIR, found.name)
        with found.lock:
            if size is not None:
                self._stage(found, keep=size > 0)
                assert found.local is not None
                os.truncate(found.local.fileno(), size)
                found.dirty = True
                if not opened and not found.handles:
                    self._publish(found)
                    self._unstage(found)
            if mtime_ns is not None:
                found.mtime_ns = mtime_ns
        return self._attributes(found)

    def make_folder(self, parent: int, name: str) -> Attributes:
        folder = self._node(parent)
        bucket, prefix = self._place(folder)
        if bucket is None:
            raise OSError(errno.EPERM, "a bucket is made through the API")
        with io.BytesIO() as empty:
            self._remote.upload(bucket, _checked(f"{prefix}{name}/"), empty, 0)
        return self._known(self._made(folder, name, True))

    def unlink(self, parent: int, name: str) -> None:
        folder = self._node(parent)
        bucket, prefix = self._place(folder)
        if bucket is None:
            raise OSError(errno.EPERM, "a bucket is removed through the API")
        here = self._child(folder, name)
        local = here is not None and here.local is not None
        try:
            self._remote.delete(bucket, prefix + name)
        except Refused as error:
            # One that was not closed yet is no object yet.
            if error.errno != errno.ENOENT or not local:
                raise
        self._forgotten(here)

    def remove_folder(self, parent: int, name: str) -> None:
        folder = self._node(parent)
        bucket, prefix = self._place(folder)
        if bucket is None:
            raise OSError(errno.EPERM, "a bucket is removed through the API")
        inside = f"{prefix}{name}/"
        names = self._remote.names(bucket, inside, most=2)
        here = self._child(folder, name)
        if any(each != inside for each in names) or (here is not None and self._holds_local(here)):
            raise OSError(errno.ENOTEMPTY, name)
        if names:
            self._remote.delete(bucket, inside)
        self._forgotten(here)

    def rename(self, source: tuple[int, str], target: tuple[int, str], *, replace: bool) -> None:
        old, new = self._node(source[0]), self._node(target[0])
        from_bucket, from_prefix = self._place(old)
        to_bucket, to_prefix = self._place(new)
        if from_bucket is None or to_bucket is None:
            raise OSError(errno.EPERM, "a bucket keeps its name")
        moved = self._child(old, source[1])
        if moved is None:
            moved = self._node(self.lookup(*source).node)
            moved.known -= 1
        if not replace and self._is_there(to_bucket, to_prefix + target[1]):
            raise OSError(errno.EEXIST, target[1])
        before, after = from_prefix + source[1], _checked(to_prefix + target[1])
        if moved.directory:
            self._move_folder(moved, (from_bucket, f"{before}/"), (to_bucket, f"{after}/"))
        else:
            with moved.lock:
                if moved.dirty and moved.from_memory:
                    self._publish(moved)
                try:
                    self._remote.move((from_bucket, before), (to_bucket, after))
                except Refused as error:
                    if error.errno != errno.ENOENT or moved.local is None:
                        raise
        moved.fresh = False
        if moved.handles and moved.found is not None:
            # Who has it open goes on with the same content, under its new name.
            moved.found = self._remote.find(to_bucket, after)
        with self._lock:
            self._forgotten(self._child(new, target[1]))
            self._children.pop((old.number, source[1]), None)
            moved.parent, moved.name = new, target[1]
            self._children[new.number, target[1]] = moved

    def _move_folder(self, moved: _Node, source: tuple[str, str], target: tuple[str, str]) -> None:
        """Each object below it, one by one: names are flat. One that is open keeps its copy and is written anew."""
        names = self._remote.names(*source)
        if source[0] == target[0] and target[1].startswith(source[1]):
            raise OSError(errno.EINVAL, "a folder cannot be moved into itself")
        if any(each != target[1] for each in self._remote.names(*target, most=2)):
            raise OSError(errno.ENOTEMPTY, moved.name)
        for name in names:
            self._remote.move((source[0], name), (target[0], _checked(target[1] + name[len(source[1]) :])))

    # -- files

    def open(self, node: int, flags: int) -> int:
        found = self._node(node)
        writes = flags & os.O_ACCMODE != os.O_RDONLY
        with found.lock:
            if flags & os.O_TRUNC:
                self._stage(found, keep=False)
                assert found.local is not None
                os.truncate(found.local.fileno(), 0)
                found.dirty = True
            elif found.local is None and not self._is_fresh(found):
                bucket, key = self._key(found)
                found.found = self._remote.find(bucket, key)
                if found.found is None:
                    raise _missing(found.name)
            return self._opened(found, writes)

    def create(self, parent: int, name: str, flags: int) -> tuple[Attributes, int]:
        folder = self._node(parent)
        bucket, prefix = self._place(folder)
        if bucket is None:
            raise OSError(errno.EPERM, "files are in buckets")
        _checked(prefix + name)
        made = self._made(folder, name, False)
        with made.lock:
            self._stage(made, keep=False)
            made.dirty = True
            handle = self._opened(made, True)
        return self._known(made), handle

    def read(self, handle: int, offset: int, size: int) -> bytes:
        held = self._handles[handle]
        node = held.node
        with node.lock:
            if node.local is not None:
                return os.pread(node.local.fileno(), size, offset)
            found = node.found
            if found is None or offset >= found.size:
                return b""
            start, content = held.chunk
            if not start <= offset or offset + size > start + len(content):
                start, content = held.chunk = self._chunk(held, found, offset, size)
            return content[offset - start : offset - start + size]

    def _chunk(self, held: _Handle, found: Found, offset: int, size: int) -> tuple[int, bytes]:
        """A part of an object from ``offset`` on, more than was asked for."""
        bucket, key = self._key(held.node)
        length = min(max(size, _CHUNK), found.size - offset)
        try:
            content = self._remote.read(bucket, key, found.generation, offset, length)
        except Refused as error:
            # Somebody wrote it since it was looked up. Who has read a part of it must not go on with another content.
            fresh = self._remote.find(bucket, key) if error.errno == errno.ESTALE and not held.chunk[1] else None
            if fresh is None:
                raise
            held.node.found = fresh
            content = self._remote.read(bucket, key, fresh.generation, offset, max(1, min(length, fresh.size - offset)))
        return offset, content

    def write(self, handle: int, offset: int, data: memoryview, *, from_memory: bool) -> int:
        node = self._handles[handle].node
        with node.lock:
            self._stage(node, keep=True)
            assert node.local is not None
            written = os.pwrite(node.local.fileno(), data, offset)
            node.dirty, node.mtime_ns = True, None
            node.from_memory = node.from_memory or from_memory
        return written

    def flush(self, handle: int) -> None:
        node = self._handles[handle].node
        with node.lock:
            if node.local is not None and node.dirty and os.fstat(node.local.fileno()).st_size == 0:
                # A shell opens a file and closes it once before it writes: what is empty waits for the last close.
                node.empty = True
                return
            self._publish(node)

    def release(self, handle: int) -> None:
        node = self._handles.pop(handle).node
        with node.lock:
            node.handles -= 1
            if node.handles:
                return
            if node.dirty and (node.from_memory or node.empty):
                # What was written through a mapping may come after the close.
                with contextlib.suppress(OSError):
                    self._publish(node)
            self._unstage(node)
        with self._lock:
            if node.known <= 0:
                self._drop(node)

    # -- folders

    def open_folder(self, node: int) -> int:
        folder = self._node(node)
        bucket, prefix = self._place(folder)
        if bucket is None:
            names = [(each, True) for each in self._remote.buckets()]
        else:
            files, folders = self._remote.folder(bucket, prefix)
            names = [(each, True) for each in folders] + [(each.name, False) for each in files]
            listed = {name for name, _ in names}
            names += [(each, False) for each in self._local_names(folder) if each not in listed]
        # A name that is no name of a file (a//b) can only be had through the API.
        names = sorted({name: kind for name, kind in names if name and name not in (".", "..")}.items())
        number = next(self._numbers)
        self._listings[number] = names
        return number

    def read_folder(self, handle: int) -> list[tuple[str, bool]]:
        return self._listings[handle]

    def release_folder(self, handle: int) -> None:
        self._listings.pop(handle, None)

    def space(self) -> tuple[int, int, int]:
        about = os.statvfs(self._staging)
        return about.f_frsize, about.f_blocks, about.f_bavail

    # -- nodes

    def _node(self, number: int) -> _Node:
        with self._lock:
            found = self._nodes.get(number)
        if found is None:
            raise OSError(errno.ESTALE, "a file that is no more")
        return found

    def _child(self, folder: _Node, name: str) -> _Node | None:
        with self._lock:
            return self._children.get((folder.number, name))

    def _made(self, folder: _Node, name: str, directory: bool, found: Found | None = None) -> _Node:
        """The node of a name, anew where it is another kind of thing by now."""
        with self._lock:
            here = self._children.get((folder.number, name))
            if here is None or here.directory != directory or here.gone:
                here = _Node(next(self._numbers), folder, name, directory)
                self._nodes[here.number] = self._children[folder.number, name] = here
            here.fresh = found is not None
            if found is not None and here.local is None and not here.handles:
                if here.found is None or here.found.generation != found.generation:
                    here.mtime_ns = None
                here.found = found
            return here

    @staticmethod
    def _is_fresh(node: _Node) -> bool:
        fresh, node.fresh = node.fresh, False
        return fresh and node.found is not None

    def _known(self, node: _Node) -> Attributes:
        with self._lock:
            node.known += 1
        return self._attributes(node)

    def _drop(self, node: _Node) -> None:
        with self._lock:
            self._nodes.pop(node.number, None)
            assert node.parent is not None
            if self._children.get((node.parent.number, node.name)) is node:
                del self._children[node.parent.number, node.name]

    def _forgotten(self, node: _Node | None) -> None:
        """A name's thing was removed; who has it open keeps it to the last close."""
        if node is not None:
            node.gone = True
            with self._lock:
                assert node.parent is not None
                if self._children.get((node.parent.number, node.name)) is node:
                    del self._children[node.parent.number, node.name]

    def _attributes(self, node: _Node) -> Attributes:
        size, moment = 0, 0
        if node.local is not None:
            about = os.fstat(node.local.fileno())
            size, moment = about.st_size, about.st_mtime_ns
        elif node.found is not None:
            size, moment = node.found.size, node.found.updated_ns
        return Attributes(node.number, node.directory, size, moment if node.mtime_ns is None else node.mtime_ns)

    def _place(self, folder: _Node) -> tuple[str | None, str]:
        """The bucket of a folder, None for the root, and the prefix of what is in it."""
        bucket, *keys = folder.path or [""]
        return bucket or None, "".join(f"{each}/" for each in keys)

    @staticmethod
    def _key(node: _Node) -> tuple[str, str]:
        bucket, *keys = node.path
        return bucket, "/".join(keys)

    def _is_there(self, bucket: str, key: str) -> bool:
        return self._remote.find(bucket, key) is not None or self._remote.has_prefix(bucket, f"{key}/")

    def _local_names(self, folder: _Node) -> Iterator[str]:
        with self._lock:
            inside = [each for (number, _), each in self._children.items() if number == folder.number]
        return (each.name for each in inside if each.local is not None and not each.gone)

    def _holds_local(self, folder: _Node) -> bool:
        return next(iter(self._local_names(folder)), None) is not None

    # -- copies that are being written

    def _opened(self, node: _Node, writes: bool) -> int:
        node.handles += 1
        number = next(self._numbers)
        self._handles[number] = _Handle(node, writes)
        return number

    def _stage(self, node: _Node, *, keep: bool) -> None:
        """Give a file a local copy; ``keep``: with what it holds."""
        if node.local is not None:
            return
        # It has a name so that it counts as the process's own; it goes with the process's folder, however that ends.
        local = Path(self._staging, str(next(self._numbers))).open("x+b")  # noqa: SIM115 (it stays open)
        try:
            if keep:
                bucket, key = self._key(node)
                found = node.found or self._remote.find(bucket, key)
                if found is not None:
                    self._remote.download(bucket, key, found.generation, local)
                    local.flush()
        except BaseException:
            local.close()
            Path(local.name).unlink()
            raise
        node.local = local

    def _publish(self, node: _Node) -> None:
        """Make what was written an object."""
        if not node.dirty or node.gone or node.local is None:
            return
        bucket, key = self._key(node)
        size = os.fstat(node.local.fileno()).st_size
        try:
            with Path(node.local.name).open("rb") as body:
                node.found = self._remote.upload(bucket, key, body, size)
        except Refused as error:
            print(f"tule: /gcs/{bucket}/{key} could not be written: {error.message}", file=sys.stderr, flush=True)
            raise
        node.dirty = node.from_memory = node.empty = False

    def _unstage(self, node: _Node) -> None:
        if node.local is not None:
            node.local.close()
            Path(node.local.name).unlink(missing_ok=True)
            node.local, node.dirty, node.from_memory, node.empty = None, False, False, False


def _missing(name: str) -> OSError:
    return OSError(errno.ENOENT, name)


def _checked(key: str) -> str:
    if len(key.encode()) > _LONGEST_KEY:
        raise OSError(errno.ENAMETOOLONG, key[:40])
    if "\n" in key or "\r" in key:
        raise OSError(errno.EINVAL, "an object's name has no line break")
    return key
