"""The data directory: one place for everything a server keeps, held by one server at a time.

``Home.open`` takes the directory for a server and refuses a second one; ``Home.attach`` is for the command line, which
reads credentials and addresses beside a running server. Parts of paths are chosen by Tule, never by a user: names map
to ids and contents to checksums before they come here.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tule.kernel.errors import FailedPrecondition, InvalidArgument, PermissionDenied, ResourceExhausted
from tule.kernel.settings import Settings

_LOCK = "lock"
# What the command line puts into a directory before a server has it.
_BEFORE_A_SERVER = {"logs", "users"}
# struct flock: a write lock on the whole file.
_WHOLE_FILE = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


class Home:
    """A data directory of mode 0700. Files and folders made through it are private to the user."""

    def __init__(self, root: Path, lock: int | None = None) -> None:
        self.root = root
        self._lock = lock

    @classmethod
    def open(cls, settings: Settings) -> Home:
        """The directory, made where it is missing and locked for this process until ``close`` or the process's end.

        Raises FailedPrecondition naming the holder's pid when another server has it.
        """
        root = _data_directory(settings)
        descriptor = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _WHOLE_FILE)
        except OSError:
            os.close(descriptor)
            holder = cls(root).holder()
            who = f"process {holder}" if holder else "another process"
            raise FailedPrecondition(
                "A data directory belongs to one server at a time",
                given=f"{root}, held by {who}",
                do="use that server, stop it with `tule down`, or choose another directory with --home or TULE_HOME",
            ) from None
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(root, descriptor)

    @classmethod
    def attach(cls, settings: Settings) -> Home:
        """The directory without the lock, for commands that run beside a server."""
        return cls(_data_directory(settings))

    def holder(self) -> int | None:
        """The pid of the server that holds this directory now, None when no one does."""
        try:
            descriptor = os.open(self.root / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise PermissionDenied(
                "The data directory must be readable",
                given=str(self.root),
                do="choose another with --home or TULE_HOME",
            ) from error
        try:
            # Only asked for, not taken: a look must never be in the way of a server that starts.
            kind, *_ = struct.unpack("hhqqi4x", fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _WHOLE_FILE))
            if kind == fcntl.F_UNLCK:
                return None
            text = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            return int(text) if text.isdigit() else None
        finally:
            os.close(descriptor)

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._lock is not None

    def path(self, *parts: str) -> Path:
        """The path of a file in the directory; the folder around it exists afterwards, the file need not."""
        found = self._join(parts)
        _private_folder(found.parent)
        return found

    def folder(self, *parts: str) -> Path:
        """The path of a folder in the directory, made (mode 0700) where it is missing."""
        return _private_folder(self._join(parts))

    def _join(self, parts: tuple[str, ...]) -> Path:
        for part in parts:
            if "\x00" in part or part.startswith("/") or ".." in part.split("/"):
                raise InvalidArgument("A path must stay inside the data directory", given=repr(part))
        return self.root.joinpath(*parts)

    def close(self) -> None:
        """Give the directory up; idempotent."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _data_directory(settings: Settings) -> Path:
    """The root as a private folder; refused where it holds somebody's files, which must not be closed to others."""
    root = settings.home.expanduser()
    if root.is_dir() and not (root / _LOCK).exists():
        strangers = sorted(each.name for each in root.iterdir() if each.name not in _BEFORE_A_SERVER)
        if strangers:
            more = f" and {len(strangers) - 3} more" if len(strangers) > 3 else ""
            raise FailedPrecondition(
                "A data directory must be new, empty or made by Tule",
                given=f"{root}, which holds {', '.join(strangers[:3])}{more}",
                do="choose another with --home or TULE_HOME",
            )
    return _private_folder(root)


def _private_folder(path: Path) -> Path:
    """``path`` as a folder of mode 0700 owned by us."""
    if path.exists() and not path.is_dir():
        raise FailedPrecondition("The data directory must be a directory", given=str(path), do="move that file away")
    missing = [each for each in (path, *path.parents) if not each.exists()]
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for made in missing:
            with suppress(PermissionError):
                sync_folder(made.parent)  # a folder above the data directory need not be ours to read
        about = path.stat()
    except PermissionError as error:
        raise PermissionDenied(
            "The data directory must be writable", given=str(path), do="choose another with --home or TULE_HOME"
        ) from error
    if about.st_uid != os.getuid():
        raise FailedPrecondition(
            "The data directory must belong to the user who starts Tule",
            given=f"{path}, owned by uid {about.st_uid}",
            do="choose another with --home or TULE_HOME",
        )
    if stat.S_IMODE(about.st_mode) & 0o077:
        path.chmod(0o700)
    return path


def write_private(path: Path, content: bytes, *, replace: bool = False) -> bool:
    """Write ``content`` durably to ``path`` with mode 0600; the file appears whole or not at all.

    Without ``replace`` an existing file stays and False is returned, also when two processes try at once.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def read_private(path: Path) -> bytes:
    """The content of a secret file; refused when others may read it or it is not a plain file of ours."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(file.fileno())
        mode = stat.S_IMODE(about.st_mode)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.getuid() or mode & 0o077:
            raise FailedPrecondition(
                "A secret must be a plain file that only its owner can read",
                given=f"{path} with mode {mode:04o}, owned by uid {about.st_uid}",
                do=f"run `chmod 600 {path}`; if others may have read it, delete it so that a new one is made",
            )
        return file.read()


@contextmanager
def room_on_disk() -> Iterator[None]:
    """A full disk as ResourceExhausted, for writes of the sizes that users choose."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ResourceExhausted(
            "There must be room on the disk of the data directory",
            given=str(error),
            do="free some, then repeat the call",
            reason="quotaExceeded",
        ) from error


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable (a rename is not, before this)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
