"""A command in the foreground, as if the shell had started it: signals reach it once, its exit code is ours."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys

# What a terminal, or whoever started us, sends to end a command.
_PASSED = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP})
# siginfo's si_code of a signal that the kernel sent: a terminal's, which the command has got as well.
_SI_KERNEL = 0x80


def run(command: list[str], environ: dict[str, str]) -> int:
    """The exit code of the command, 128 + the signal that ended it, or 127 and 126 as shells give them."""
    try:
        child = subprocess.Popen(command, env=environ)
    except FileNotFoundError:
        print(f"tule: {command[0]} must be a program; given: {shlex.join(command)}", file=sys.stderr)
        return 127
    except (PermissionError, OSError) as error:
        print(
            f"tule: {command[0]} must be executable ({error.strerror}); given: {shlex.join(command)}", file=sys.stderr
        )
        return 126
    awaited = _PASSED | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    try:
        while child.poll() is None:
            got = signal.sigwaitinfo(awaited)
            if got.si_signo != signal.SIGCHLD and got.si_code != _SI_KERNEL:
                child.send_signal(got.si_signo)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return 128 - child.returncode if child.returncode < 0 else child.returncode
