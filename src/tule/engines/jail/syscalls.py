"""Which system calls a jailed process may make, as a seccomp filter (classic BPF) written by hand.

An allow list: anything that is not named answers "operation not permitted", so a new kernel call is closed until
somebody opens it. What computing in memory and importing installed packages needs is open: memory, threads, time,
reading files. Closed are sockets, new processes, other programs, signals to others, and every way of writing or
changing a file.

https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# BPF instruction codes.
_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_KILL = 0x80000000

# Offsets in struct seccomp_data; the low word of an argument comes first on both supported (little-endian) machines.
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16


class Machine(NamedTuple):
    """One processor family: its audit number and its numbers of the calls, None where it has no such call."""

    audit: int
    numbers: Mapping[str, int]
    foreign: int | None
    """Numbers from here on belong to another calling convention (x32) and are refused."""


# name: (x86_64, aarch64). The calls made most often come first: the filter is read from the top.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "futex": (202, 98), "mmap": (9, 222), "munmap": (11, 215),
    "madvise": (28, 233), "mprotect": (10, 226), "brk": (12, 214), "sched_yield": (24, 124), "poll": (7, None),
    "close": (3, 57), "fstat": (5, 80), "newfstatat": (262, 79), "lseek": (8, 62), "pread64": (17, 67),
    "stat": (4, None), "lstat": (6, None), "statx": (332, 291), "readv": (19, 65), "writev": (20, 66),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439), "readlink": (89, None),
    "readlinkat": (267, 78), "getcwd": (79, 17), "chdir": (80, 49), "getdents64": (217, 61), "getdents": (78, None),
    "statfs": (137, 43), "fstatfs": (138, 44), "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24),
    "pipe": (22, None), "pipe2": (293, 59), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72),
    "epoll_create": (213, None), "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None),
    "epoll_pwait": (281, 22), "eventfd2": (290, 19), "futex_waitv": (449, 449), "mremap": (25, 216),
    "msync": (26, 227), "mincore": (27, 232), "mlock": (149, 228), "munlock": (150, 229), "membarrier": (324, 283),
    "mbind": (237, 235), "set_mempolicy": (238, 237), "get_mempolicy": (239, 236), "getcpu": (309, 168),
    "sched_getaffinity": (204, 123), "sched_getscheduler": (145, 120), "sched_getparam": (143, 121),
    "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126), "getpriority": (140, 141),
    "set_robust_list": (273, 99), "get_robust_list": (274, 100), "rseq": (334, 293), "set_tid_address": (218, 96),
    "gettid": (186, 178), "getpid": (39, 172), "getppid": (110, 173), "getpgrp": (111, None), "getpgid": (121, 155),
    "getsid": (124, 156), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177),
    "getgroups": (115, 158), "uname": (63, 160), "sysinfo": (99, 179), "getrusage": (98, 165), "times": (100, 153),
    "getrlimit": (97, 163), "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "gettimeofday": (96, 169), "time": (201, None), "getrandom": (318, 278),
    "exit": (60, 93), "exit_group": (231, 94), "restart_syscall": (219, 128), "arch_prctl": (158, None),
    # Allowed under a condition on an argument, see RULES.
    "open": (2, None), "openat": (257, 56), "clone": (56, 220), "fcntl": (72, 25), "ioctl": (16, 29),
    "prctl": (157, 167), "prlimit64": (302, 261), "tgkill": (234, 131), "kill": (62, 129),
    "sched_setaffinity": (203, 122),
    # Answered "no such call", so that the C library takes the older one whose flags a filter can see.
    "clone3": (435, 435), "openat2": (437, 437),
}  # fmt: skip

MACHINES = {
    "x86_64": Machine(0xC000003E, {name: x for name, (x, _) in _NUMBERS.items() if x is not None}, 0x40000000),
    "aarch64": Machine(0xC00000B7, {name: a for name, (_, a) in _NUMBERS.items() if a is not None}, None),
}

# O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND and the bit of O_TMPFILE that is not O_DIRECTORY.
_WRITING = 0o3 | 0o100 | 0o1000 | 0o2000 | 0o20000000
_THREAD = 0x00010000  # CLONE_THREAD
_NAMESPACES = 0x7E020000  # every CLONE_NEW...
_SELF = -1
"""Stands for the process's own id in RULES."""


class Rule(NamedTuple):
    """The call is allowed if its argument ``argument``, masked by ``mask``, is one of ``values``."""

    argument: int
    values: Sequence[int]
    mask: int | None = None


RULES: dict[str, Rule] = {
    "open": Rule(1, [0], _WRITING),
    "openat": Rule(2, [0], _WRITING),
    "clone": Rule(0, [_THREAD], _THREAD | _NAMESPACES),
    # duplicate, descriptor flags, status flags, lock queries, duplicate close-on-exec, pipe size; no signal owner
    "fcntl": Rule(1, [0, 1, 2, 3, 4, 5, 1030, 1032]),
    # terminal queries, window size, bytes ready, non-blocking, close-on-exec
    "ioctl": Rule(1, [0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451]),
    # thread names, names of memory ranges; not the parent-death signal
    "prctl": Rule(0, [15, 16, 0x53564D41]),
    # reading limits; a new limit is a pointer, which must be null
    "prlimit64": Rule(2, [0]),
    "tgkill": Rule(0, [_SELF]),
    "kill": Rule(0, [_SELF]),
    "sched_setaffinity": Rule(0, [0]),
}
NO_SUCH_CALL = ("clone3", "openat2")


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _return(value: int) -> bytes:
    return _instruction(_RETURN, value)


def _conditional(number: int, rule: Rule, process: int) -> list[bytes]:
    """Allow call ``number`` under ``rule``, refuse it otherwise; other calls pass over these instructions."""
    test: list[bytes] = []
    for value in rule.values:
        wanted = process if value == _SELF else value
        if rule.mask is None:
            # The whole 64-bit argument: a high word that is set would otherwise be ignored.
            test += [
                _instruction(_LOAD, _ARGUMENTS + 8 * rule.argument + 4),
                _instruction(_JUMP_EQUAL, 0, 0, 3),
                _instruction(_LOAD, _ARGUMENTS + 8 * rule.argument),
                _instruction(_JUMP_EQUAL, wanted, 0, 1),
                _return(_ALLOW),
            ]
        else:
            test += [
                _instruction(_LOAD, _ARGUMENTS + 8 * rule.argument),
                _instruction(_AND, rule.mask),
                _instruction(_JUMP_EQUAL, wanted, 0, 1),
                _return(_ALLOW),
            ]
    test.append(_return(_ERRNO | errno.EPERM))
    return [_instruction(_JUMP_EQUAL, number, 0, len(test)), *test]


def program(machine: Machine, process: int) -> bytes:
    """The filter for a process with id ``process`` on ``machine``."""
    code = [
        _instruction(_LOAD, _MACHINE),
        _instruction(_JUMP_EQUAL, machine.audit, 1, 0),
        _return(_KILL),
        _instruction(_LOAD, _NUMBER),
    ]
    if machine.foreign is not None:
        code += [_instruction(_JUMP_AT_LEAST, machine.foreign, 0, 1), _return(_KILL)]
    for name, number in machine.numbers.items():
        if name in RULES:
            code += _conditional(number, RULES[name], process)
        else:
            answer = _ERRNO | errno.ENOSYS if name in NO_SUCH_CALL else _ALLOW
            code += [_instruction(_JUMP_EQUAL, number, 0, 1), _return(answer)]
    code.append(_return(_ERRNO | errno.EPERM))
    return b"".join(code)
