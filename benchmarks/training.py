"""Training beside DuckDB: CREATE MODEL through the server, against fetching the table and calling the library.

    python benchmarks/training.py                  5,000,000 rows x 20 columns
    python benchmarks/training.py --quick          200,000
    python benchmarks/training.py --only linear,trees --repeat 3

The server's SQL engine has a pool of 256 MB. Its time is that of the job, from start to end as the job itself tells, with
the model on disk; its memory is the peak of the whole server during it. A reference runs in a process of its own over the
same rows in a DuckDB file; its imports are not counted.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bench

from tule.testing.process import ServerProcess

COLUMNS = 20
POOL = "256MB"
THREADS = 2
XS = ", ".join(f"x{at}" for at in range(COLUMNS))


def connect(path: str) -> Any:
    import duckdb

    return duckdb.connect(path, config={"memory_limit": POOL, "threads": THREADS})


def make_table(path: str, rows: int) -> None:
    """x0..x19 normal, y linear with noise, z a class drawn from a logistic of the same score; as table and Parquet."""
    connection = connect(path)
    connection.execute("SELECT setseed(0.42)")
    columns = ", ".join(
        f"sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) * {1 + at % 3} + {at % 5} AS x{at}"
        for at in range(COLUMNS)
    )
    score = " + ".join(f"{((at * 7) % 11 - 5) / 5} * x{at}" for at in range(COLUMNS))
    connection.execute(
        f"CREATE TABLE t AS SELECT * EXCLUDE (s), s + 3 * (random() + random() + random() - 1.5) AS y, "
        f"(random() < 1 / (1 + exp(-(s - 2) / 4)))::BIGINT AS z FROM (SELECT *, {score} AS s FROM "
        f"(SELECT {columns} FROM range({rows})))"
    )
    connection.execute(f"COPY t TO '{path}.parquet' (FORMAT parquet, COMPRESSION uncompressed)")
    connection.close()


# -- the references, each in a process of its own


def library_fit(kind: str, target: str) -> Callable[[str], Callable[[], Any]]:
    def prepare(path: str) -> Callable[[], Any]:
        import numpy as np
        import pandas  # noqa: F401
        import xgboost
        from sklearn.linear_model import LinearRegression, LogisticRegression

        connection = connect(path)

        def run() -> Any:
            frame = connection.execute(f"SELECT {XS}, {target} FROM t").df()
            label = frame.pop(target)
            if kind == "linear":
                return LinearRegression().fit(frame, label).coef_.tolist()
            if kind == "logistic":
                return LogisticRegression(C=np.inf).fit(frame, label).coef_[0].tolist()
            matrix = xgboost.QuantileDMatrix(frame, label)
            parameters = {"objective": "binary:logistic", "nthread": THREADS, "eta": 0.3, "max_depth": 6}
            xgboost.train(parameters, matrix, 20)
            return None

        return run

    return prepare


REFERENCES = {
    "linear": library_fit("linear", "y"),
    "logistic": library_fit("logistic", "z"),
    "trees": library_fit("trees", "z"),
}


def run_reference(name: str, path: str) -> None:
    """In the reference's own process: prepare, time, print."""
    run = REFERENCES[name](path)
    began = time.perf_counter()
    weights = run()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "megabytes": peak, "weights": weights}))


def reference(name: str, path: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, "--reference", name, "--path", path], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# -- Tule

LOAD = """
import sys
from google.cloud import bigquery
client = bigquery.Client()
client.create_dataset("bench", exists_ok=True)
with open(sys.argv[1], "rb") as file:
    client.load_table_from_file(file, "bench.t", job_config=bigquery.LoadJobConfig(source_format="PARQUET")).result()
assert client.get_table("bench.t").num_rows == int(sys.argv[2])
"""
TRAIN = """
import json, sys
from google.cloud import bigquery
client = bigquery.Client()
name, options, target, xs = sys.argv[1:]
job = client.query(f"CREATE OR REPLACE MODEL bench.{name} OPTIONS ({options}, INPUT_LABEL_COLS = ['{target}'], "
                   f"DATA_SPLIT_METHOD = 'NO_SPLIT') AS SELECT {xs}, {target} FROM bench.t")
job.result()
weights = None
if "REG'" in options:
    rows = client.query_and_wait(f"SELECT processed_input, weight FROM ML.WEIGHTS(MODEL bench.{name})")
    found = {row["processed_input"]: row["weight"] for row in rows}
    weights = [found[each] for each in xs.split(", ")]
print(json.dumps({"seconds": (job.ended - job.started).total_seconds(), "weights": weights}))
"""
OPTIONS = {
    "linear": ("MODEL_TYPE = 'LINEAR_REG'", "y"),
    "logistic": ("MODEL_TYPE = 'LOGISTIC_REG'", "z"),
    "trees": ("MODEL_TYPE = 'BOOSTED_TREE_CLASSIFIER', MAX_ITERATIONS = 20, EARLY_STOP = FALSE", "z"),
}


def tule(name: str, server: ServerProcess) -> dict[str, Any]:
    options, target = OPTIONS[name]
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # peak memory counts from here
    done = server.exec([sys.executable, "-c", TRAIN, name, options, target, XS], timeout=1200)
    status = Path(f"/proc/{server.pid}/status").read_text()
    peak = next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    return {**json.loads(done.stdout.splitlines()[-1]), "megabytes": peak}


# -- together

NAMES = {
    "linear": ("LINEAR_REG", "fetch + pandas + scikit-learn", "<= 0.2", "< 600 MB"),
    "logistic": ("LOGISTIC_REG", "fetch + pandas + scikit-learn", "<= 0.6", "< 700 MB"),
    "trees": ("BOOSTED_TREE_CLASSIFIER, 20 rounds", "fetch + pandas + QuantileDMatrix", "<= 1", "<= 0.5"),
}


def report(name: str, ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    what, against, goal, memory_goal = NAMES[name]
    seconds, other = (bench.median([each["seconds"] for each in runs]) for runs in (ours, theirs))
    bench.row(f"CREATE MODEL, {what}", "s", seconds, other, goal=goal, against=against)
    peak, other = (max(each["megabytes"] for each in runs) for runs in (ours, theirs))
    bench.row(f"CREATE MODEL, {what}: peak memory", "MB", peak, other, goal=memory_goal, against=against)
    if theirs[0]["weights"] is not None:
        pairs = zip(ours[0]["weights"], theirs[0]["weights"], strict=True)
        largest = max(abs(value) for value in theirs[0]["weights"])
        gap = max(abs(mine - other) for mine, other in pairs) / largest
        bench.row(
            f"CREATE MODEL, {what}: largest gap of a weight", "relative", gap, None, goal="< 1e-4", against=against
        )


def busy() -> None:
    while True:
        sum(at * at for at in range(100_000))


@contextmanager
def company() -> Iterator[None]:
    """As many busy processes as there are cores."""
    loops = [multiprocessing.Process(target=busy, daemon=True) for _ in range(os.cpu_count() or 2)]
    for loop in loops:
        loop.start()
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", default=",".join([*NAMES, "busy"]))
    parser.add_argument("--quick", action="store_true", help="200,000 rows, once")
    parser.add_argument("--directory", default=None, help="where the table is made (default: a temporary directory)")
    parser.add_argument("--reference", help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.reference:
        run_reference(given.reference, given.path)
        return
    rows, repeat = (200_000, 1) if given.quick else (given.rows, given.repeat)
    wanted = given.only.split(",")
    os.environ |= {"TULE_MEMORY": POOL, "TULE_THREADS": str(THREADS)}
    with tempfile.TemporaryDirectory(dir=given.directory) as folder:
        path = str(Path(folder) / "bench.duckdb")
        make_table(path, rows)
        server = ServerProcess(Path(folder) / "home", project="bench").start()
        try:
            server.exec([sys.executable, "-c", LOAD, f"{path}.parquet", str(rows)], timeout=600)
            runs: dict[str, list[dict[str, Any]]] = {}
            for name in [each for each in wanted if each in NAMES]:
                ours, theirs = [], []
                for _ in range(repeat):
                    ours.append(tule(name, server))
                    theirs.append(reference(name, path))
                runs[name] = ours
                report(name, ours, theirs)
            if "busy" in wanted:
                alone = runs.get("linear") or [tule("linear", server) for _ in range(repeat)]
                with company():
                    beside = [tule("linear", server) for _ in range(repeat)]
                bench.row(
                    "CREATE MODEL, LINEAR_REG beside two busy processes", "s",
                    *(bench.median([each["seconds"] for each in case]) for case in (beside, alone)),
                    goal="<= 2", against="the same alone",
                )  # fmt: skip
        finally:
            server.stop()


if __name__ == "__main__":
    main()
