"""The program beside a process that sees the server's buckets below ``/gcs``: makes its view, starts it, serves its files.

Run with the path of a JSON file (see ``Mount``) and the command. It ends as the command does: with its code, or by the
signal that ended it. What the command closed below ``/gcs`` is an object by then, and was one as soon as it was closed.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import socket

    from tule.engines.mount.fuse import Serving

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> NoReturn:
    about = json.loads(Path(arguments[0]).read_text())
    for note in about["notes"]:
        print(f"tule: {note}", file=sys.stderr, flush=True)
    device = _view(about)
    pipe = _pipe() if about["closed"] else None
    child = os.fork()
    if child == 0:
        _become(arguments[1:], int(about["port"]), pipe)
    # A request to end is for the command; this program ends with it.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _serve(about, device, child, pipe)


def _view(about: dict[str, str]) -> int:
    """Make the process's view of the file system; returns the device through which its files are asked for."""
    from tule.engines.mount import namespaces

    parent = os.getppid()
    really_root = namespaces.enter()
    # What ties this process to its parent is lost with its old rights.
    _die_with_parent()
    if os.getppid() != parent:
        os._exit(126)
    return namespaces.mount_files(Path(about["root"]), "gcs", everybody=really_root)


def _pipe() -> tuple[socket.socket, socket.socket]:
    import socket

    return socket.socketpair()


def _become(command: list[str], port: int, pipe: tuple[socket.socket, socket.socket] | None) -> NoReturn:
    _die_with_parent()
    try:
        if pipe is not None:
            from tule.engines.mount.network import close_network

            close_network(port, pipe[1])
    except OSError as error:
        print(f"tule: it could not be kept from the network ({error})", file=sys.stderr, flush=True)
        os._exit(126)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"tule: it could not run: {command[0]} ({error.strerror})", file=sys.stderr, flush=True)
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def _serve(
    about: dict[str, str], device: int, child: int, pipe: tuple[socket.socket, socket.socket] | None
) -> NoReturn:
    from tule.engines.mount import opening

    if pipe is not None:
        from tule.engines.mount.network import serve_network

        pipe[1].close()
        serve_network(about["host"], int(about["port"]), pipe[0])
    opening.greet(device)
    serving = _files(about, device) if opening.is_wanted(device, child) else None
    _, status = os.waitpid(child, 0)
    if serving is not None:
        serving.settle()
    sys.stderr.flush()
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.pause()
    os._exit(os.WEXITSTATUS(status))


def _files(about: dict[str, str], device: int) -> Serving:
    """Begin to serve the files."""
    from tule.engines.mount.fuse import Serving
    from tule.engines.mount.remote import Remote
    from tule.engines.mount.tree import Tree

    remote = Remote(about["host"], int(about["port"]), about["token"], about["project"])
    serving = Serving(device, Tree(remote, about["staging"]))
    serving.start()
    return serving


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
