"""A view of the file system of a process's own, in which ``/gcs`` is ours: by namespaces of the kernel, without root.

The root becomes a small file system in memory that holds everything of the real one by reference, and one name more.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_NOSUID, _MS_NODEV = 0x2, 0x4
_MS_BIND, _MS_REC = 0x1000, 0x4000
_MS_PRIVATE, _MS_UNBINDABLE = 1 << 18, 1 << 17
_MNT_DETACH = 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_LIBC = ctypes.CDLL(None, use_errno=True)


def enter() -> bool:
    """Give this process, which must have one thread, mounts of its own; returns whether it is really root."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            _checked(_LIBC.unshare(_CLONE_NEWNS), "unshare")
            return True
    user, group = os.geteuid(), os.getegid()
    _checked(_LIBC.unshare(_CLONE_NEWUSER | _CLONE_NEWNS), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return False


def mount_files(root: Path, name: str, *, everybody: bool) -> int:
    """Make ``root`` the root directory, with a file system at ``/name`` that whoever has the result serves (FUSE)."""
    _mount("none", "/", None, _MS_PRIVATE | _MS_REC)
    _mount("tule", root, "tmpfs", _MS_NOSUID, "mode=755,size=4m")
    _mount("none", root, None, _MS_UNBINDABLE)
    for entry in sorted(os.scandir("/"), key=lambda each: each.name):
        if entry.name != name:
            _refer(entry, root / entry.name)
    place = root / name
    place.mkdir(mode=0o755)
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id={os.geteuid()},group_id={os.getegid()}"
    _mount("gcs", place, "fuse", _MS_NOSUID | _MS_NODEV, options + (",allow_other" if everybody else ""))
    folder = Path.cwd()
    _become_root(root)
    os.chdir(folder)
    return device


def _refer(entry: os.DirEntry[str], target: Path) -> None:
    """An entry of the real root under the new one."""
    if entry.is_symlink():
        target.symlink_to(Path(entry.path).readlink())
        return
    if entry.is_dir():
        target.mkdir(mode=0o755)
    elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
        target.touch()
    else:
        return
    # What this user may not see at all is not there in the process's view either.
    with contextlib.suppress(OSError):
        _mount(entry.path, target, None, _MS_BIND | _MS_REC)


def _become_root(root: Path) -> None:
    os.chdir(root)
    number = _PIVOT_ROOT.get(os.uname().machine)
    if number is not None and _LIBC.syscall(number, b".", b".") == 0:
        _checked(_LIBC.umount2(b".", _MNT_DETACH), "umount")
    else:
        # The root of an initial file system cannot be turned round.
        os.chroot(".")
    os.chdir("/")


def _mount(source: str | Path, target: str | Path, kind: str | None, flags: int, data: str | None = None) -> None:
    found = _LIBC.mount(
        os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        None if data is None else data.encode(),
    )
    _checked(found, f"mount {target}")


def _checked(result: int, doing: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{doing}: {os.strerror(code)}")
