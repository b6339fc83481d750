"""An interpreter that has imported what many jobs need, and forks a launcher with a job for each request.

Run as ``python zygote.py MODULE-OR-FILE...`` in the interpreter of the jobs, with a socket as standard input. A request
is the folder of a job together with the pipe that is to be its launcher's standard input; the answer is the launcher's
pid together with a descriptor of it. What happens to a job is what ``launcher.py`` says, but that its script is run in
the forked process and no other program: a start costs two forks. The closing of the socket ends it. Standard library
only.
"""

# pathlib would double the time to start.
# ruff: noqa: PTH100, PTH118, PTH120

from __future__ import annotations

import gc
import importlib
import importlib.machinery
import os
import random
import runpy
import signal
import socket
import sys
import traceback
import types
from typing import Any, NoReturn

_LONGEST_FOLDER = 8192


def serve(connection: socket.socket, launcher: Any) -> None:
    """Answer requests until the other side closes."""
    connection.settimeout(None)
    while True:
        folder, descriptors, _, _ = socket.recv_fds(connection, _LONGEST_FOLDER, 1)
        if not folder:
            return
        _reap()
        pid = os.fork()
        if pid == 0:
            _become_launcher(folder.decode(), descriptors[0], launcher)
        os.close(descriptors[0])
        # Before it is reaped: the descriptor is of this process whatever pid comes next.
        handle = os.pidfd_open(pid)
        socket.send_fds(connection, [str(pid).encode()], [handle])
        os.close(handle)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _become_launcher(folder: str, pipe: int, launcher: Any) -> NoReturn:
    try:
        os.setsid()
        os.dup2(pipe, 0)
        log = os.open(os.path.join(folder, "launcher.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        _close_above(2)
        launcher.launch(folder, run_script)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def run_script(job: dict[str, Any]) -> NoReturn:
    """In the job's process: run its script as the interpreter would have."""
    _close_above(2)
    signal.set_wakeup_fd(-1)
    # As the interpreter has them when it starts.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(job["env"])
    sys.argv = list(job["argv"][1:])
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    random.seed()
    code = 0
    try:
        main = types.ModuleType("__main__")
        main.__file__ = sys.argv[0]
        sys.modules["__main__"] = main
        importlib.machinery.SourceFileLoader("__main__", sys.argv[0]).exec_module(main)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        if ended.code is not None and not isinstance(ended.code, int):
            print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 120
    os._exit(code & 0xFF)


def _close_above(descriptor: int) -> None:
    os.closerange(descriptor + 1, max(map(int, os.listdir("/proc/self/fd"))) + 1)  # noqa: PTH208


def main() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, here)
    launcher = importlib.import_module("launcher")
    sys.path[0] = ""
    for name in sys.argv[1:]:
        if name.endswith(".py"):
            runpy.run_path(name, run_name="preload")
        else:
            importlib.import_module(name)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    connection = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What was imported is never walked again, so that its pages stay shared.
    gc.collect()
    gc.freeze()
    connection.sendall(b"ready")
    serve(connection, launcher)


if __name__ == "__main__":
    main()
