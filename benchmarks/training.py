"""Training beside DuckDB: CREATE MODEL through the server, against fetching the table and calling the library.

    python benchmarks/training.py                  5,000,000 rows x 20 columns
    python benchmarks/training.py --quick          200,000
    python benchmarks/training.py --only linear,trees --repeat 3

The server's SQL engine has a pool of 256 MB (TULE_MEMORY), as that of the reference has. Its time is that of the job, from
start to end as the job itself tells, with the model on disk; its memory is the peak of the whole server during it, which was
started anew for the family. A reference runs in a process of its own over the same rows in a DuckDB file. Imports are not
counted on either side: a small model of the family is trained first. Weights are compared with a second fit of the library,
not timed, to a tolerance of 1e-10: its default one leaves an error of some 1e-4.

``--only limited`` trains on a table of four times the memory that the server may have: RLIMIT_DATA, which counts all private
writable addresses (also those of stacks and heaps that are not used), is set to a quarter of the table's values, with a pool
of 96 MB.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
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


# -- the references, each in a process of its own: fit (a frame, its label) and give the weights of a converged fit


def linear(frame: Any, label: Any) -> Callable[[], Any]:
    from sklearn.linear_model import LinearRegression

    fitted = LinearRegression().fit(frame, label)
    return lambda: fitted.coef_.tolist()


def logistic(frame: Any, label: Any) -> Callable[[], Any]:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    LogisticRegression(C=np.inf).fit(frame, label)
    return lambda: LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(frame, label).coef_[0].tolist()


def boosted(matrix: str) -> Callable[[Any, Any], Callable[[], Any]]:
    def fit(frame: Any, label: Any) -> Callable[[], Any]:
        import xgboost

        parameters = {"objective": "binary:logistic", "nthread": THREADS, "eta": 0.3, "max_depth": 6}
        xgboost.train(parameters, getattr(xgboost, matrix)(frame, label), 20)
        return lambda: None

    return fit


def clusters(frame: Any, label: Any) -> Callable[[], Any]:
    from sklearn.cluster import KMeans

    values = frame.to_numpy()
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    KMeans(8, init="random", n_init=1, max_iter=10, tol=0.0, algorithm="lloyd", random_state=0).fit(values)
    return lambda: None


def components(frame: Any, label: Any) -> Callable[[], Any]:
    from sklearn.decomposition import PCA

    values = frame.to_numpy()
    PCA(5, svd_solver="covariance_eigh").fit((values - values.mean(axis=0)) / values.std(axis=0))
    return lambda: None


REFERENCES = {
    "linear": (linear, "y"),
    "logistic": (logistic, "z"),
    "trees": (boosted("QuantileDMatrix"), "z"),
    "dmatrix": (boosted("DMatrix"), "z"),
    "kmeans": (clusters, None),
    "pca": (components, None),
}


def run_reference(name: str, path: str) -> None:
    """In the reference's own process: import, time, print."""
    import pandas  # noqa: F401
    import sklearn.cluster
    import sklearn.decomposition
    import sklearn.linear_model  # noqa: F401
    import xgboost  # noqa: F401

    connection = connect(path)
    fit, target = REFERENCES[name]
    began = time.perf_counter()
    frame = connection.execute(f"SELECT {XS}{f', {target}' if target else ''} FROM t").df()
    weights = fit(frame, frame.pop(target) if target else None)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "megabytes": peak, "weights": weights()}))


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
name, options, target, xs, table = sys.argv[1:]
label = f", INPUT_LABEL_COLS = ['{target}'], DATA_SPLIT_METHOD = 'NO_SPLIT'" if target else ""
job = client.query(f"CREATE OR REPLACE MODEL bench.{name} OPTIONS ({options}{label}) "
                   f"AS SELECT {xs}{', ' + target if target else ''} FROM {table}")
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
    "kmeans": ("MODEL_TYPE = 'KMEANS', NUM_CLUSTERS = 8, MAX_ITERATIONS = 10, EARLY_STOP = FALSE", ""),
    "pca": ("MODEL_TYPE = 'PCA', NUM_PRINCIPAL_COMPONENTS = 5", ""),
}
FEW = """
import sys
from google.cloud import bigquery
bigquery.Client().query_and_wait("CREATE TABLE IF NOT EXISTS bench.few AS SELECT * FROM bench.t LIMIT 2000")
"""
BIG = """
import sys
from google.cloud import bigquery
client = bigquery.Client()
client.query_and_wait("CREATE TABLE bench.big AS SELECT * FROM bench.t LIMIT 0")
for _ in range(int(sys.argv[1])):
    client.query_and_wait("INSERT INTO bench.big SELECT * FROM bench.t")
"""


def tule(name: str, server: ServerProcess, table: str = "bench.t") -> dict[str, Any]:
    options, target = OPTIONS[name]
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # peak memory counts from here
    done = server.exec([sys.executable, "-c", TRAIN, name, options, target, XS, table], timeout=1200)
    status = Path(f"/proc/{server.pid}/status").read_text()
    peak = next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    return {**json.loads(done.stdout.splitlines()[-1]), "megabytes": peak}


# -- together

NAMES = {
    "linear": ("LINEAR_REG", "fetch + pandas + scikit-learn", "<= 0.2", "< 600 MB"),
    "logistic": ("LOGISTIC_REG", "fetch + pandas + scikit-learn", "<= 0.6", "< 700 MB"),
    "trees": ("BOOSTED_TREE_CLASSIFIER, 20 rounds", "fetch + pandas + QuantileDMatrix", "<= 1", "<= 0.5"),
    "dmatrix": ("BOOSTED_TREE_CLASSIFIER, 20 rounds", "fetch + pandas + DMatrix", "<= 0.71", "<= 0.3"),
    "kmeans": ("KMEANS, 8 clusters, 10 iterations", "fetch + pandas + scikit-learn (lloyd)", "<= 1", ""),
    "pca": ("PCA, 5 components", "fetch + pandas + scikit-learn (covariance_eigh)", "<= 1", ""),
}
# These take long: once is enough.
ONCE = {"trees", "dmatrix", "kmeans"}
# The model that a reference stands beside, where it has another name.
OURS = {"dmatrix": "trees"}
STREAMING = ("linear", "logistic", "kmeans", "pca")
LIMIT_MB = 800
LIMITED_POOL = "96MB"


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


def limited(folder: Path, rows: int) -> None:
    """Each streaming family on a table of four times the memory that the server may have."""
    value_bytes = 8 * (COLUMNS + 2)
    copies = math.ceil(4 * LIMIT_MB * 2**20 / (rows * value_bytes))
    limit = rows * copies * value_bytes // 4
    with started(folder, POOL) as server:
        server.exec([sys.executable, "-c", BIG, str(copies)], timeout=600)
    for name in STREAMING:
        with started(folder, LIMITED_POOL) as server:
            resource.prlimit(server.pid, resource.RLIMIT_DATA, (limit, limit))
            try:
                tule(name, server, "bench.big")
                passed = 1.0
            except AssertionError as error:
                print(f"{name}: {str(error).strip()[-300:]}", file=sys.stderr)
                passed = 0.0
        what = f"CREATE MODEL, {NAMES[name][0]}, on a table of {rows * copies:,} rows, 4 times the memory allowed"
        bench.row(what, "passed", passed, None, goal="1", against=f"RLIMIT_DATA of {limit // 2**20} MB")


@contextmanager
def started(folder: Path, pool: str) -> Iterator[ServerProcess]:
    server = ServerProcess(folder / "home", project="bench", memory=pool, threads=THREADS).start()
    try:
        yield server
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", default=None, help=f"some of {', '.join([*NAMES, 'busy', 'limited'])}")
    parser.add_argument("--quick", action="store_true", help="200,000 rows, once")
    parser.add_argument("--directory", default=None, help="where the table is made (default: a temporary directory)")
    parser.add_argument("--reference", help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.reference:
        run_reference(given.reference, given.path)
        return
    rows, repeat = (200_000, 1) if given.quick else (given.rows, given.repeat)
    wanted = given.only.split(",") if given.only else [*NAMES, "busy", "limited"]
    with tempfile.TemporaryDirectory(dir=given.directory) as folder:
        path = str(Path(folder) / "bench.duckdb")
        make_table(path, rows)
        with started(Path(folder), POOL) as server:
            server.exec([sys.executable, "-c", LOAD, f"{path}.parquet", str(rows)], timeout=600)
            server.exec([sys.executable, "-c", FEW], timeout=600)
        compare(Path(folder), path, wanted, repeat)
        if "limited" in wanted:
            limited(Path(folder), rows)


def compare(folder: Path, path: str, wanted: list[str], repeat: int) -> None:
    runs: dict[str, list[dict[str, Any]]] = {}
    for name in [each for each in NAMES if each in wanted]:
        again = OURS.get(name) in runs
        ours = runs[OURS[name]][:1] if again else []
        theirs = []
        with started(folder, POOL) if not again else nullcontext() as server:
            if server is not None:
                tule(OURS.get(name, name), server, "bench.few")
            for _ in range(1 if name in ONCE else repeat):
                if server is not None:
                    ours.append(tule(OURS.get(name, name), server))
                theirs.append(reference(name, path))
        runs[name] = ours
        report(name, ours, theirs)
    if "busy" in wanted:
        with started(folder, POOL) as server:
            tule("linear", server, "bench.few")
            alone = [tule("linear", server) for _ in range(repeat)]
            with company():
                beside = [tule("linear", server) for _ in range(repeat)]
        bench.row(
            "CREATE MODEL, LINEAR_REG beside two busy processes", "s",
            *(bench.median([each["seconds"] for each in case]) for case in (beside, alone)),
            goal="<= 2", against="the same alone",
        )  # fmt: skip


if __name__ == "__main__":
    main()
