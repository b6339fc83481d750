"""The kernel's protocol of file systems in user space (FUSE): requests in, answers out.

https://docs.kernel.org/filesystems/fuse.html; the numbers are those of ``linux/fuse.h``. A file system gives a method for
each operation and raises OSError for what fails; an operation that it lacks does not exist.
"""

from __future__ import annotations

import errno
import os
import select
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tule.engines.mount.opening import IN, MOST, OUT, ROOM

_ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
_ENTRY = struct.Struct("<QQQQII")
_ATTR_OUT = struct.Struct("<QII")
_OPENED = struct.Struct("<QII")
_TRANSFER = struct.Struct("<QQIIQII")
_SETATTR = struct.Struct("<IIQQQQQQIIIIIIII")
_CREATE = struct.Struct("<IIII")
_RELEASE = struct.Struct("<QIIQ")
_FLUSH = struct.Struct("<QIIQ")
_DIRENT = struct.Struct("<QQII")
_STATFS = struct.Struct("<QQQQQIIII24x")

# An entry that was found is taken for granted this long (seconds); one that was not is asked for again.
_ENTRY_SECONDS = 1

_FORGET, _DESTROY, _INTERRUPT, _BATCH_FORGET = 2, 38, 36, 42
_SET_SIZE, _SET_HANDLE, _SET_MTIME, _SET_MTIME_NOW = 1 << 3, 1 << 6, 1 << 5, 1 << 8
_FROM_MEMORY = 1
_NO_REPLACE = 1


@dataclass(frozen=True)
class Attributes:
    """What ``stat`` says. ``directory`` or a plain file; times in nanoseconds."""

    node: int
    directory: bool
    size: int = 0
    mtime_ns: int = 0


class Files(Protocol):
    """A file system. Nodes and handles are its own numbers; the root is node 1."""

    def lookup(self, parent: int, name: str) -> Attributes:
        """A child; it is known to the kernel from now on, until ``forget``."""

    def forget(self, node: int, count: int) -> None:
        """The kernel knows a node so many times less."""

    def attributes(self, node: int) -> Attributes:
        """A node."""

    def change(self, node: int, *, size: int | None, mtime_ns: int | None, opened: bool) -> Attributes:
        """Set a size or time; ``opened``: through an open file."""

    def make_folder(self, parent: int, name: str) -> Attributes:
        """A new folder."""

    def unlink(self, parent: int, name: str) -> None:
        """Remove a file."""

    def remove_folder(self, parent: int, name: str) -> None:
        """Remove an empty folder."""

    def rename(self, source: tuple[int, str], target: tuple[int, str], *, replace: bool) -> None:
        """Give another name."""

    def open(self, node: int, flags: int) -> int:
        """A handle of a file."""

    def create(self, parent: int, name: str, flags: int) -> tuple[Attributes, int]:
        """A new file and a handle of it."""

    def read(self, handle: int, offset: int, size: int) -> bytes:
        """A part of a file; less at its end."""

    def write(self, handle: int, offset: int, data: memoryview, *, from_memory: bool) -> int:
        """How many bytes were written. ``from_memory``: the kernel's own copy, maybe after the last close."""

    def flush(self, handle: int) -> None:
        """Each close of a descriptor, and ``fsync``."""

    def release(self, handle: int) -> None:
        """The last close."""

    def open_folder(self, node: int) -> int:
        """A handle of a folder's content as it is now."""

    def read_folder(self, handle: int) -> list[tuple[str, bool]]:
        """Names, and whether each is a folder."""

    def release_folder(self, handle: int) -> None:
        """The end of a listing."""

    def space(self) -> tuple[int, int, int]:
        """Bytes of a block, blocks and free blocks."""


class Serving:
    """Serves a file system over the kernel's device with some threads."""

    def __init__(self, device: int, files: Files, *, threads: int = 4) -> None:
        self._device = device
        self._files = files
        self._count = threads
        self._busy = 0
        self._leading = threading.Lock()
        self._changed = threading.Condition()
        os.set_blocking(device, False)
        self._user, self._group = os.geteuid(), os.getegid()
        self._calls: dict[int, Callable[[int, memoryview], bytes]] = {
            1: self._lookup, 3: self._getattr, 4: self._setattr, 9: self._mkdir, 10: self._unlink, 11: self._rmdir,
            12: self._rename, 14: self._open, 15: self._read, 16: self._write, 17: self._statfs, 18: self._release,
            20: self._fsync, 25: self._flush, 27: self._opendir, 28: self._readdir, 29: self._releasedir,
            30: self._nothing, 35: self._create, 45: self._rename2,
        }  # fmt: skip

    def start(self) -> None:
        for _ in range(self._count):
            threading.Thread(target=self._serve, name="files", daemon=True).start()

    def settle(self) -> None:
        """Until everything that was asked for is done."""
        waiting = select.poll()
        waiting.register(self._device, select.POLLIN)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._busy)
            # A request that nobody has taken yet: a thread is about to.
            ready = waiting.poll(0)
            if not ready or ready[0][1] & (select.POLLERR | select.POLLHUP):
                return
            with self._changed:
                self._changed.wait(0.001)

    def _serve(self) -> None:
        buffer = bytearray(ROOM)
        view = memoryview(buffer)
        waiting = select.poll()
        waiting.register(self._device, select.POLLIN)
        while True:
            # One thread waits for requests, the others work or wait for their turn to.
            with self._leading:
                waiting.poll()
                with self._changed:
                    # Counted before it is read: at no moment is a request in nobody's hands.
                    self._busy += 1
                try:
                    size = os.readv(self._device, [buffer])
                except OSError as error:
                    self._done()
                    if error.errno in (errno.ENODEV, errno.ECONNABORTED):
                        return
                    if error.errno not in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                        raise
                    continue
            try:
                self._one(view[:size])
            finally:
                self._done()

    def _done(self) -> None:
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def _one(self, request: memoryview) -> None:
        _, code, unique, node, *_ = IN.unpack_from(request)
        body = request[IN.size :]
        if code in (_FORGET, _BATCH_FORGET):
            self._forget(code, node, body)
            return
        if code == _INTERRUPT:
            return
        failed, answer = 0, b""
        try:
            answer = self._answer(code, node, body)
        except OSError as error:
            failed = -(error.errno or errno.EIO)
        except Exception:
            failed = -errno.EIO
        try:
            os.writev(self._device, [OUT.pack(OUT.size + len(answer), failed, unique), answer])
        except OSError as error:
            # Who asked was killed meanwhile.
            if error.errno != errno.ENOENT:
                raise

    def _answer(self, code: int, node: int, body: memoryview) -> bytes:
        if code == _DESTROY:
            return b""
        call = self._calls.get(code)
        if call is None:
            raise OSError(errno.ENOSYS, "not an operation of this file system")
        return call(node, body)

    # -- what is asked

    def _forget(self, code: int, node: int, body: memoryview) -> None:
        if code == _FORGET:
            self._files.forget(node, int.from_bytes(body[:8], "little"))
            return
        count = int.from_bytes(body[:4], "little")
        for each, times in struct.iter_unpack("<QQ", body[8 : 8 + 16 * count]):
            self._files.forget(each, times)

    def _lookup(self, node: int, body: memoryview) -> bytes:
        return self._entry(self._files.lookup(node, _name(body)))

    def _getattr(self, node: int, body: memoryview) -> bytes:
        return self._attributes(self._files.attributes(node))

    def _setattr(self, node: int, body: memoryview) -> bytes:
        valid, _, _, size, _, _, mtime, _, _, nanoseconds, *_ = _SETATTR.unpack_from(body)
        moment = mtime * 10**9 + nanoseconds if valid & _SET_MTIME and not valid & _SET_MTIME_NOW else None
        found = self._files.change(
            node, size=size if valid & _SET_SIZE else None, mtime_ns=moment, opened=bool(valid & _SET_HANDLE)
        )
        return self._attributes(found)

    def _mkdir(self, node: int, body: memoryview) -> bytes:
        return self._entry(self._files.make_folder(node, _name(body[8:])))

    def _unlink(self, node: int, body: memoryview) -> bytes:
        self._files.unlink(node, _name(body))
        return b""

    def _rmdir(self, node: int, body: memoryview) -> bytes:
        self._files.remove_folder(node, _name(body))
        return b""

    def _rename(self, node: int, body: memoryview) -> bytes:
        return self._renamed(node, int.from_bytes(body[:8], "little"), body[8:], 0)

    def _rename2(self, node: int, body: memoryview) -> bytes:
        target, flags, _ = struct.unpack_from("<QII", body)
        return self._renamed(node, target, body[16:], flags)

    def _renamed(self, source: int, target: int, names: memoryview, flags: int) -> bytes:
        if flags & ~_NO_REPLACE:
            raise OSError(errno.EINVAL, "names are not exchanged")
        old, new, *_ = bytes(names).split(b"\0")
        replace = not flags & _NO_REPLACE
        self._files.rename((source, _decoded(old)), (target, _decoded(new)), replace=replace)
        return b""

    def _open(self, node: int, body: memoryview) -> bytes:
        return _OPENED.pack(self._files.open(node, int.from_bytes(body[:4], "little")), 0, 0)

    def _create(self, node: int, body: memoryview) -> bytes:
        flags, *_ = _CREATE.unpack_from(body)
        found, handle = self._files.create(node, _name(body[_CREATE.size :]), flags)
        return self._entry(found) + _OPENED.pack(handle, 0, 0)

    def _read(self, node: int, body: memoryview) -> bytes:
        handle, offset, size, *_ = _TRANSFER.unpack_from(body)
        return self._files.read(handle, offset, size)

    def _write(self, node: int, body: memoryview) -> bytes:
        handle, offset, size, flags, *_ = _TRANSFER.unpack_from(body)
        data = body[_TRANSFER.size : _TRANSFER.size + size]
        written = self._files.write(handle, offset, data, from_memory=bool(flags & _FROM_MEMORY))
        return struct.pack("<II", written, 0)

    def _flush(self, node: int, body: memoryview) -> bytes:
        self._files.flush(_FLUSH.unpack_from(body)[0])
        return b""

    def _fsync(self, node: int, body: memoryview) -> bytes:
        self._files.flush(int.from_bytes(body[:8], "little"))
        return b""

    def _release(self, node: int, body: memoryview) -> bytes:
        self._files.release(_RELEASE.unpack_from(body)[0])
        return b""

    def _opendir(self, node: int, body: memoryview) -> bytes:
        return _OPENED.pack(self._files.open_folder(node), 0, 0)

    def _readdir(self, node: int, body: memoryview) -> bytes:
        handle, offset, size, *_ = _TRANSFER.unpack_from(body)
        names = [(".", True), ("..", True), *self._files.read_folder(handle)]
        made = bytearray()
        for at in range(offset, len(names)):
            name, folder = names[at]
            encoded = name.encode()
            length = _DIRENT.size + len(encoded)
            padded = (length + 7) & ~7
            if len(made) + padded > size:
                break
            # Numbers of nodes that nobody has looked up are unknown; 0 would hide the entry.
            made += _DIRENT.pack(0xFFFFFFFF, at + 1, len(encoded), 4 if folder else 8) + encoded
            made += bytes(padded - length)
        return bytes(made)

    def _releasedir(self, node: int, body: memoryview) -> bytes:
        self._files.release_folder(_RELEASE.unpack_from(body)[0])
        return b""

    def _statfs(self, node: int, body: memoryview) -> bytes:
        size, blocks, free = self._files.space()
        return _STATFS.pack(blocks, free, free, 1 << 32, 1 << 32, size, 255, size, 0)

    @staticmethod
    def _nothing(node: int, body: memoryview) -> bytes:
        return b""

    # -- what is answered

    def _entry(self, found: Attributes) -> bytes:
        return _ENTRY.pack(found.node, 0, _ENTRY_SECONDS, 0, 0, 0) + self._stat(found)

    def _attributes(self, found: Attributes) -> bytes:
        return _ATTR_OUT.pack(0, 0, 0) + self._stat(found)

    def _stat(self, found: Attributes) -> bytes:
        mode, links = (0o040755, 2) if found.directory else (0o100644, 1)
        seconds, nanoseconds = divmod(found.mtime_ns, 10**9)
        return _ATTR.pack(
            found.node, found.size, (found.size + 511) // 512, seconds, seconds, seconds, nanoseconds, nanoseconds,
            nanoseconds, mode, links, self._user, self._group, 0, MOST, 0,
        )  # fmt: skip


def _name(body: memoryview) -> str:
    return _decoded(bytes(body).partition(b"\0")[0])


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise OSError(errno.EINVAL, "the name of an object must be UTF-8") from None
