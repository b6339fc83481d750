"""Start to ready, and idle memory, beside the least that a Python web server can be.

python benchmarks/startup.py            seven starts, a new data directory each
python benchmarks/startup.py --quick    three
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench

from tule.testing.process import ServerProcess

AGAINST = "uvicorn with a canned answer"


def tule_start(home: Path) -> tuple[float, float]:
    """Seconds from the command to the ready file, and idle memory in MB."""
    process = ServerProcess(home, project="bench")
    began = time.perf_counter()
    process.start()
    seconds = time.perf_counter() - began
    try:
        time.sleep(1.0)
        return seconds, bench.memory_mb(process.pid)
    finally:
        process.stop()


def bare_start() -> tuple[float, float]:
    port = bench.free_port()
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, str(bench.HERE / "canned.py"), str(port)]) as process:
        try:
            bench.wait_for(port)
            seconds = time.perf_counter() - began
            time.sleep(1.0)
            return seconds, bench.memory_mb(process.pid)
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds = 3 if parser.parse_args().quick else 7
    tule, bare = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            tule.append(tule_start(Path(folder) / "home"))
        bare.append(bare_start())
    seconds, reference = (bench.median([each[0] for each in runs]) for runs in (tule, bare))
    bench.row("start to ready, new data directory", "s", seconds, reference, goal="< 1.5 s", against=AGAINST)
    memory, reference = (bench.median([each[1] for each in runs]) for runs in (tule, bare))
    bench.row("idle memory (proportional set)", "MB", memory, reference, goal="< 200 MB", against=AGAINST)


if __name__ == "__main__":
    main()
