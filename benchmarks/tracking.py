"""Tracking served to MLflow's own client, beside MLflow's server; and the points of a time series by themselves.

    python -m venv /tmp/mlflow && /tmp/mlflow/bin/pip install mlflow
    python benchmarks/tracking.py --python /tmp/mlflow/bin/python
    python benchmarks/tracking.py --python /tmp/mlflow/bin/python --quick

MLflow lives in an environment of its own (MLFLOW_PYTHON names its interpreter for ``run.py``); it is not needed to run or to
test Tule, but its client is what is served here. The same client program runs against both, each server on an empty data
directory; MLflow's is ``mlflow server`` on SQLite with one worker.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import free_port, median, memory_mb, row, wait_for

CLIENT = """
import json, sys, time
from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient
singles, runs = int(sys.argv[1]), int(sys.argv[2])
client = MlflowClient()
experiment = client.create_experiment("bench")
run = client.create_run(experiment).info.run_id
client.log_metric(run, "warm", 1.0)
times = []
for step in range(singles):
    start = time.perf_counter()
    client.log_metric(run, "loss", 1.0 / (step + 1), step=step)
    times.append(time.perf_counter() - start)
found = {"single": times}
start = time.perf_counter()
for batch in range(10):
    client.log_batch(run, [Metric("many", float(i), i, batch * 1000 + i) for i in range(1000)])
found["batches"] = time.perf_counter() - start
start = time.perf_counter()
assert len(client.get_metric_history(run, "many")) == 10000
found["history"] = time.perf_counter() - start
start = time.perf_counter()
for number in range(runs):
    each = client.create_run(experiment).info.run_id
    client.log_batch(each, [Metric(f"m{k}", float(number + k), 0, 0) for k in range(3)],
                     [Param(f"p{k}", str(k)) for k in range(5)])
    client.set_terminated(each)
found["run"] = (time.perf_counter() - start) / runs
searches = []
for _ in range(10):
    start = time.perf_counter()
    client.search_runs([experiment], "metrics.m0 > 3", max_results=100)
    searches.append(time.perf_counter() - start)
found["search"] = searches
print(json.dumps(found))
"""


@contextlib.contextmanager
def mlflow_server(python: str, folder: Path) -> Iterator[tuple[dict[str, str], float, float]]:
    """The client's variables, seconds to ready, memory while idle."""
    port = free_port()
    command = [python, "-m", "mlflow", "server", "--port", str(port), "--workers", "1",
               "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
               "--artifacts-destination", str(folder / "files")]  # fmt: skip
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(port, 120)
            seconds = time.perf_counter() - started
            time.sleep(2)
            yield {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}, seconds, memory_mb(process.pid)
        finally:
            subprocess.run(["kill", "--", *_family(process.pid)], check=False)
            process.wait(20)


def _family(pid: int) -> list[str]:
    import psutil

    return [str(each.pid) for each in (*psutil.Process(pid).children(recursive=True), psutil.Process(pid))]


@contextlib.contextmanager
def tule_server(folder: Path) -> Iterator[tuple[dict[str, str], float, float]]:
    from tule.testing.process import ServerProcess

    started = time.perf_counter()
    server = ServerProcess(folder / "home").start()
    try:
        seconds = time.perf_counter() - started
        time.sleep(2)
        variables = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_TRACKING_TOKEN": server.token}
        yield variables, seconds, memory_mb(server.pid)
    finally:
        server.stop()


def client(python: str, variables: dict[str, str], singles: int, runs: int) -> dict[str, float]:
    command = [python, "-c", CLIENT, str(singles), str(runs)]
    environ = {**os.environ, **variables, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"The client must end with 0; given: {done.stderr[-2000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return {key: median(value) if isinstance(value, list) else value for key, value in found.items()}


def points() -> tuple[float, float]:
    """Seconds to write 10,000 points of one series and to read them, each with its transaction."""
    from tule.kernel.clock import RealClock
    from tule.kernel.records import Point, Points, Records

    with tempfile.TemporaryDirectory() as folder:
        records = Records(f"sqlite:///{folder}/records.db", RealClock())
        series = Points(records)
        given = [Point(step, step, step / 3) for step in range(10_000)]
        started = time.perf_counter()
        series.add({"a": given}, replace=True)
        written = time.perf_counter()
        assert len(series.read("a")) == 10_000
        read = time.perf_counter()
        records.close()
    return written - started, read - written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=os.environ.get("MLFLOW_PYTHON", ""))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    write, read = points()
    row("10,000 points of a series, written durably", "s", write, None)
    row("10,000 points of a series, read", "s", read, None)
    if not options.python:
        print("MLflow's client is not measured: give --python or MLFLOW_PYTHON", file=sys.stderr)
        return
    singles, runs = (100, 30) if options.quick else (500, 200)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a").mkdir()
        with tule_server(Path(folder) / "a") as (variables, start, memory):
            ours = client(options.python, variables, singles, runs)
        with mlflow_server(options.python, Path(folder)) as (variables, their_start, their_memory):
            theirs = client(options.python, variables, singles, runs)
    against = "MLflow's server"
    row("start to ready", "s", start, their_start, against=against)
    row("memory while idle (PSS)", "MB", memory, their_memory, against=against)
    goals = {
        "single": ("one metric", "ms", 1000, "<= 0.28"),
        "batches": ("10,000 metrics in batches of 1,000", "s", 1, "<= 0.25"),
        "history": ("read back a history of 10,000 points", "s", 1, ""),
        "run": ("one run of 5 params and 3 metrics", "ms", 1000, "<= 0.3"),
        "search": ("search runs by a metric", "ms", 1000, ""),
    }
    for key, (what, unit, factor, goal) in goals.items():
        row(what, unit, ours[key] * factor, theirs[key] * factor, goal=goal, against=against)


if __name__ == "__main__":
    main()
