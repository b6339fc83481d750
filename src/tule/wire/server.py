"""The running server: two listeners, uvicorn's protocol on the event loop, gRPC behind a private socket."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tule.kernel.errors import FailedPrecondition
from tule.wire.front import ConnectHandler, Front, TlsContexts
from tule.wire.grpc import Grpc
from tule.wire.rest import Rest

_LOG = logging.getLogger(__name__)
_BACKLOG = 1024
_DESCRIPTORS = 65_536
# Seconds that requests in flight have when the server stops.
_GRACE = 3.0


class Server:
    """Runs in a thread of its own; ``start`` returns when both ports accept connections."""

    def __init__(
        self,
        rest: Rest,
        make_grpc: Callable[[Path], Grpc],
        *,
        tls: TlsContexts,
        connect: ConnectHandler,
        private: Path,
        host: str,
        port: int,
        tls_port: int,
        before: tuple[int, int] = (0, 0),
        patience: float = 60.0,
    ) -> None:
        """Port 0 takes the one of ``before`` where it is free, else any.

        ``private``: a folder for a socket of the server's own; what an earlier server left there is removed.
        ``patience``: seconds after which a client that does not go on with what it began is let go.
        """
        self._rest = rest
        self._make_grpc = make_grpc
        self._tls = tls
        self._connect = connect
        self._host = host
        self._patience = patience
        self._private = PrivateSocket(private)
        self._sockets = (_listener(host, port, before[0]), _listener(host, tls_port, before[1]))
        self.port: int = self._sockets[0].getsockname()[1]
        self.tls_port: int = self._sockets[1].getsockname()[1]
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: BaseException | None = None
        self._grpc: Grpc | None = None
        self._thread = threading.Thread(target=self._run, name="wire", daemon=True)

    def start(self) -> None:
        _allow_many_connections()
        self._grpc = self._make_grpc(self._private.path)
        self._grpc.start()
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Take no more requests, let those in flight end for a moment, close."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
        elif self._grpc is not None:
            self._grpc.stop(0)
        for listener in self._sockets:
            listener.close()
        self._rest.close()
        self._private.close()

    def _run(self) -> None:
        import uvloop

        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            self._failure = error
            _LOG.exception("The server's event loop ended")
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        import uvicorn
        from uvicorn.server import ServerState

        from tule.wire.http import PromptHttp

        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        config = uvicorn.Config(
            self._rest, access_log=False, log_config=None, lifespan="off", server_header=False, ws="none",
            proxy_headers=False, timeout_keep_alive=75,
        )  # fmt: skip
        config.load()
        state = ServerState()

        def make_http() -> Any:
            return PromptHttp(
                config=config, server_state=state, app_state={}, patience=self._patience, short=self._rest.short
            )

        front = Front(make_http, self._private.path, tls=self._tls, connect=self._connect, patience=self._patience)
        for listener in self._sockets:
            front.listen(listener)
        ticking = self._loop.create_task(_tick(state, config, min(1.0, self._patience / 4)))
        self._ready.set()
        await self._stop.wait()
        front.close()
        ticking.cancel()
        for connection in list(state.connections):
            connection.shutdown()
        answered = asyncio.wait(list(state.tasks), timeout=_GRACE) if state.tasks else asyncio.sleep(0)
        assert self._grpc is not None
        await asyncio.gather(answered, self._loop.run_in_executor(None, self._grpc.stop, _GRACE))
        # What has not ended by now is told so.
        unanswered = [task for task in state.tasks if task.cancel()]
        if unanswered:
            await asyncio.wait(unanswered, timeout=1)
        front.cut()
        for connection in list(state.connections):
            connection.transport.abort()
        # Transports are closed in the next turns of the loop.
        await asyncio.sleep(0.01)


class PrivateSocket:
    """A place for a Unix socket in a folder of ours.

    A socket's path is short by law of the kernel, a data directory's need not be: ``path`` leads to the folder by an open
    descriptor, for this process alone. File systems without sockets (of some shared folders) have a place elsewhere.
    """

    def __init__(self, folder: Path) -> None:
        self._temporary: Path | None = None
        self._open(folder)
        if not self._works():
            os.close(self._descriptor)
            self._temporary = Path(tempfile.mkdtemp(prefix="tule-"))
            self._open(self._temporary)

    def _open(self, folder: Path) -> None:
        for left in folder.iterdir():
            left.unlink()
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.path = Path(f"/proc/self/fd/{self._descriptor}/grpc")

    def _works(self) -> bool:
        with socket.socket(socket.AF_UNIX) as trial:
            try:
                trial.bind(str(self.path))
                self.path.unlink()
            except OSError:
                return False
        return True

    def close(self) -> None:
        """Remove the socket; idempotent."""
        if self._descriptor >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)


async def _tick(state: Any, config: Any, seconds: float) -> None:
    """Keep the Date header of answers, as uvicorn's own main loop does, and end connections that got stuck."""
    from email.utils import formatdate

    loop = asyncio.get_running_loop()
    while True:
        state.default_headers = [(b"date", formatdate(usegmt=True).encode()), *config.encoded_headers]
        now = loop.time()
        for connection in list(state.connections):
            if connection.waited_too_long(now):
                _LOG.info("A client did not go on with its request or its answer; its connection is ended")
                connection.transport.abort()
        await asyncio.sleep(seconds)


def _allow_many_connections() -> None:
    """Each connection is a file descriptor, of which a process may have 1024 unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listener(host: str, port: int, before: int = 0) -> socket.socket:
    if port == 0 and before:
        try:
            return _listener(host, before)
        except FailedPrecondition:
            return _listener(host, 0)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise FailedPrecondition(
            f"The port {port} of {host} must be free", given=str(error), do="choose another with --port, or 0"
        ) from None
    made.listen(_BACKLOG)
    return made
