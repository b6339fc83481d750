"""The process of a server: build, listen, say so, stop on a signal.

``python -m tule.cli.serving --home=... [--NAME=VALUE ...]`` is what other commands start: the same without the command
line's own libraries.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tule.cli.running import Runtime, remove_runtime, write_runtime
from tule.kernel.settings import Settings

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def serve(settings: Settings, *, until_closed: int | None = None) -> NoReturn:
    """Run a server until SIGTERM, SIGINT or SIGHUP, then end the process with 0.

    ``until_closed``: also stop once this pipe is closed by the one who started it and no command uses the server.
    """
    _answer_promptly()
    from tule.app import build, credentials_file

    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr, format=_FORMAT)
    stop = threading.Event()
    _stop_on_signals(stop)
    app = build(settings)
    try:
        _log_to(app.home.path("logs", "server.log"))
        credentials_file(app)
        _ = app.authority.bundle
        app.start()
        gc.freeze()
        runtime = Runtime(
            pid=os.getpid(),
            host=settings.host,
            port=app.server.port,
            tls_port=app.server.tls_port,
            project=settings.project,
            location=settings.location,
            started=app.clock.now().isoformat(timespec="seconds"),
            temporary=until_closed is not None,
        )
        write_runtime(app.home, runtime)
        print(ready_line(runtime, settings), flush=True)
        if sys.stdout.isatty():
            print("Ctrl-C stops it. Elsewhere: tule exec -- python train.py, or tule sql", flush=True)
        if until_closed is not None:
            _watch(until_closed, lambda: _stop_when_unused(app.home, stop))
        stop.wait()
        remove_runtime(app.home)
    finally:
        app.stop()
    if sys.stdout.isatty():
        print("\nTule has stopped", flush=True)
    logging.shutdown()
    # Everything is closed and durable. Going on to take the interpreter apart would take time, and engines' libraries
    # would print what they think of objects that live to its end.
    os._exit(0)


def _answer_promptly() -> None:
    """Let nothing that this process does at its leisure hold up a request for long.

    A thread that computes in Python gives way to the event loop after a millisecond, not five. A full collection walks
    every object, a tenth of a second where libraries are many, so it waits for a million new ones; what is there once a
    server or a room of it is built (``App``) is frozen, that is left out of it.
    """
    sys.setswitchinterval(0.001)
    gc.set_threshold(5_000, 10, 20)


def ready_line(runtime: Runtime, settings: Settings) -> str:
    return (
        f"Tule is ready at {runtime.url} (TLS: https://{runtime.host}:{runtime.tls_port}), "
        f"project {runtime.project}, data in {settings.home}"
    )


def _stop_on_signals(stop: threading.Event) -> None:
    """The first signal stops in good order, the same once more at once."""

    def handle(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # Left alone where whoever started us wants it ignored, as nohup does.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handle)


def _log_to(path: Path) -> None:
    """Log to the file too, unless standard error is that file already."""
    if path.exists() and os.path.samestat(os.fstat(sys.stderr.fileno()), path.stat()):
        return
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter(_FORMAT))
    logging.getLogger().addHandler(handler)


def _watch(pipe: int, action: Callable[[], None]) -> None:
    """Run ``action`` when the other end of ``pipe`` is closed: its holder ended, in whatever way."""

    def wait() -> None:
        while os.read(pipe, 1):
            pass
        action()

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _stop_when_unused(home: Any, stop: threading.Event) -> None:
    from tule.cli.leases import wait_until_unused

    # Stays open, and so locked, until this process is gone.
    wait_until_unused(home)
    stop.set()


def main(arguments: list[str]) -> int:
    from tule.kernel.errors import TuleError

    given = dict(each.removeprefix("--").split("=", 1) for each in arguments)
    pipe = given.pop("until-closed", None)
    try:
        settings = Settings.read({f"TULE_{name.upper()}": value for name, value in given.items()})
        serve(settings, until_closed=None if pipe is None else int(pipe))
    except TuleError as error:
        print(f"tule: {error.message}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
