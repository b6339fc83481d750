"""What the benchmarks share: printing a row, free ports, waiting for a server, memory of a process tree."""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).parent


def row(what: str, unit: str, tule: float, reference: float | None, *, goal: str = "", against: str = "") -> None:
    """Print one result; the runner reads these lines."""
    ratio = tule / reference if reference else None
    print(
        json.dumps(
            {
                "what": what,
                "unit": unit,
                "tule": tule,
                "reference": reference,
                "ratio": ratio,
                "goal": goal,
                "against": against,
            }
        ),
        flush=True,
    )


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for(port: int, seconds: float = 30) -> None:
    """Return when something accepts connections on ``port``."""
    deadline = time.perf_counter() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.perf_counter() > deadline:
                raise
            time.sleep(0.005)


@contextlib.contextmanager
def canned_server(port: int) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, str(HERE / "canned.py"), str(port)]) as process:
        try:
            wait_for(port)
            yield process
        finally:
            process.terminate()


def memory_mb(pid: int) -> float:
    """Proportional set size of a process and its children, in MB."""
    import psutil

    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(process.memory_full_info().pss for process in processes) / 1e6


def median(values: Sequence[float]) -> float:
    return float(statistics.median(values))


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
