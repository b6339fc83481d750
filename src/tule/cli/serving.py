"""``tule up`` in the foreground: build, listen, say so, stop on a signal."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable

from tule.cli.running import Runtime, remove_runtime, write_runtime
from tule.kernel.settings import Settings


def serve(settings: Settings, *, until_closed: int | None = None) -> None:
    """Run a server until SIGTERM or SIGINT, or until the pipe ``until_closed`` is closed by the one who started it."""
    from tule.app import build, credentials_file

    logging.basicConfig(
        level=settings.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    app = build(settings)
    try:
        credentials_file(app)
        _ = app.authority.bundle
        app.start()
        runtime = Runtime(
            pid=os.getpid(),
            host=settings.host,
            port=app.server.port,
            tls_port=app.server.tls_port,
            project=settings.project,
            location=settings.location,
            started=app.clock.now().isoformat(timespec="seconds"),
        )
        write_runtime(app.home, runtime)
        print(
            f"Tule is ready at {runtime.url} (TLS: https://{runtime.host}:{runtime.tls_port}), "
            f"project {runtime.project}, data in {settings.home}",
            flush=True,
        )
        if until_closed is not None:
            _watch(until_closed, stop.set)
        stop.wait()
        remove_runtime(app.home)
    finally:
        app.stop()


def _watch(pipe: int, action: Callable[[], None]) -> None:
    """Run ``action`` when the other end of ``pipe`` is closed: its holder ended, in whatever way."""

    def wait() -> None:
        while os.read(pipe, 1):
            pass
        action()

    threading.Thread(target=wait, name="parent", daemon=True).start()
