"""Locks the calling process in: limits, its own network namespace, a read-only view of few folders, a call filter.

Each layer closes what another might leave open; ``confine`` says which ones the machine allowed. The system call filter
is the one that must hold: without it ``confine`` raises, and no pickle is opened. The others make it narrower where the
kernel offers them: Landlock hides every file but the installed packages and the model itself, so a model cannot read
the server's keys.

Everything here is irrevocable for the process and inherited by its threads, so it is called before the first thread.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from tule.engines.jail.syscalls import MACHINES, program

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 1, 38, 4
_SIGKILL = 9
_SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
# The same numbers on every machine.
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3

# What an interpreter and native libraries read besides installed packages. Files that are absent are passed over.
_SYSTEM = (
    "/usr", "/lib", "/lib64", "/lib32", "/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/proc/self",
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm", "/proc/filesystems", "/sys/devices/system",
    "/sys/fs/cgroup", "/sys/kernel/mm", "/dev/urandom", "/dev/random", "/dev/null", "/dev/zero",
)  # fmt: skip


class JailUnavailable(Exception):
    """The machine offers no system call filter."""


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(answer: int, what: str) -> int:
    if answer < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return answer


def tie_to_parent(parent: int) -> None:
    """Let the kernel kill this process when the thread that started it ends; exit now if ``parent`` is already gone."""
    _check(_libc().prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "parent-death signal")
    if os.getppid() != parent:
        os._exit(1)


def _limit(memory: int) -> None:
    # A file may grow to 1 MiB: the only one open for writing is the log.
    for limit, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 1 << 20),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (least, least))


def _leave_network() -> bool:
    """A user and a network namespace of its own, without even a loopback. False where the system forbids it."""
    return bool(_libc().unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def _hide_files(readable: Iterable[str]) -> bool:
    """Landlock: no writing, reading only beneath ``readable``. False if the kernel has none."""
    libc = _libc()
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, 1)
    if version < 1:
        return False
    # Every right the version knows is handled (so denied unless granted): files, TCP, abstract sockets and signals.
    rights = (1 << (13 if version == 1 else 14 if version == 2 else 15 if version < 5 else 16)) - 1
    attributes = struct.pack("=Q", rights)
    if version >= 4:
        attributes += struct.pack("=Q", 0b11)
    if version >= 6:
        attributes += struct.pack("=Q", 0b11)
    ruleset = _check(libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0), "landlock ruleset")
    for path in readable:
        try:
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        allowed = _READ_FILE | _READ_DIR if Path(path).is_dir() else _READ_FILE
        rule = struct.pack("=Qi", allowed, handle)
        _check(libc.syscall(_LANDLOCK_ADD, ruleset, 1, rule, 0), f"landlock rule for {path}")
        os.close(handle)
    _check(libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0), "landlock")
    os.close(ruleset)
    return True


def _filter_calls() -> None:
    machine = MACHINES.get(platform.machine())
    if machine is None or sys.byteorder != "little" or sys.platform != "linux":
        raise JailUnavailable(f"no system call filter for {sys.platform} on {platform.machine()}")
    code = program(machine, os.getpid())
    buffer = ctypes.create_string_buffer(code, len(code))
    address = ctypes.addressof(buffer)
    # struct sock_fprog: a 16-bit count, padding, a pointer.
    header = ctypes.create_string_buffer(struct.pack("@HP", len(code) // 8, address))
    libc = _libc()
    if libc.syscall(_SYS_SECCOMP[platform.machine()], _SET_MODE_FILTER, _ALL_THREADS, header) != 0:
        raise JailUnavailable(f"the kernel refused the system call filter: {os.strerror(ctypes.get_errno())}")


def installed_packages() -> list[str]:
    """The folders that imports read."""
    return [
        entry for entry in {sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path} if entry and Path(entry).exists()
    ]


def confine(*, readable: Iterable[str], memory: int) -> list[str]:
    """Lock this process in; ``readable`` are the model's own folders, ``memory`` its address space in bytes.

    Returns the layers that hold, in order. Raises JailUnavailable if the system call filter cannot be set.
    """
    layers = ["limits"]
    libc = _libc()
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    if _leave_network():
        layers.append("network namespace")
    if _hide_files([*_SYSTEM, *installed_packages(), *readable]):
        layers.append("landlock")
    _limit(memory)
    _filter_calls()
    layers.append("seccomp")
    return layers
