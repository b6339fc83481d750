"""Training and prediction beside DuckDB: Tule's streamed fits against fetching the table and calling the library.

    python benchmarks/training.py                  5,000,000 rows x 20 columns
    python benchmarks/training.py --rows 500000    smaller
    python benchmarks/training.py --only linear,trees --repeat 3

Each case runs in its own process, which reports its seconds (imports left out) and its peak memory. Prints one JSON
object a line: what, unit, tule, reference, ratio (above 1: Tule is ahead), then the same as a table.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

COLUMNS = 20
POOL = "256MB"
THREADS = 2


def connect(path: str) -> Any:
    import duckdb

    connection = duckdb.connect(path, config={"memory_limit": POOL, "threads": THREADS})
    connection.execute("SET preserve_insertion_order = true")
    return connection


def make_table(path: str, rows: int) -> None:
    """x0..x19 normal, y linear with noise, z a class drawn from a logistic of the same score."""
    connection = connect(path)
    connection.execute("SELECT setseed(0.42)")
    columns = ", ".join(
        f"sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) * {1 + at % 3} + {at % 5} AS x{at}"
        for at in range(COLUMNS)
    )
    score = " + ".join(f"{((at * 7) % 11 - 5) / 5} * x{at}" for at in range(COLUMNS))
    connection.execute(
        f"CREATE TABLE t AS SELECT *, s + 3 * (random() + random() + random() - 1.5) AS y, "
        f"(random() < 1 / (1 + exp(-(s - 2) / 4)))::BIGINT AS z FROM (SELECT *, {score} AS s FROM "
        f"(SELECT {columns} FROM range({rows})))"
    )
    connection.execute("ALTER TABLE t DROP COLUMN s")
    connection.close()


class Query:
    """A DuckDB query as ``Batches``."""

    def __init__(self, connection: Any, sql: str) -> None:
        self._connection = connection
        self._sql = sql
        self.schema = connection.cursor().sql(f"SELECT * FROM ({sql}) LIMIT 0").to_arrow_table().schema
        self.num_rows = connection.cursor().execute(f"SELECT count(*) FROM ({sql})").fetchone()[0]

    def scan(self, columns: Sequence[str] | None = None) -> Iterator[Any]:
        names = ", ".join(columns or self.schema.names)
        # sql() streams; execute() would hold the whole result before its first batch
        yield from self._connection.cursor().sql(f"SELECT {names} FROM ({self._sql})").to_arrow_reader(65_536)


XS = ", ".join(f"x{at}" for at in range(COLUMNS))


def tule_fit(family: str, target: str, options: dict[str, Any]) -> Callable[[str], Callable[[], Any]]:
    def prepare(path: str) -> Callable[[], Any]:
        import threadpoolctl  # noqa: F401  imports are not counted here nor in the references

        from tule.learn.models import FAMILIES

        if "tree" in family:
            import xgboost  # noqa: F401
        if "logistic" in family:
            import scipy.linalg  # noqa: F401
        connection = connect(path)

        def run() -> Any:
            data = Query(connection, f"SELECT {XS}, {target} FROM t")
            model = FAMILIES[family].fit(data, label=target, options=options)
            return {"loss": model.iterations[-1].loss, "passes": len(model.iterations)}

        return run

    return prepare


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
                fitted = LinearRegression().fit(frame, label)
                return {"loss": float(np.mean((fitted.predict(frame.head(100_000)) - label.head(100_000)) ** 2))}
            if kind == "logistic":
                fitted = LogisticRegression(C=np.inf).fit(frame, label)
                return {"passes": int(fitted.n_iter_[0])}
            matrix = xgboost.QuantileDMatrix(frame, label)
            parameters = {"objective": "binary:logistic", "nthread": THREADS, "eta": 0.3, "max_depth": 6}
            result: dict[str, Any] = {}
            xgboost.train(parameters, matrix, 20, evals=[(matrix, "train")], evals_result=result, verbose_eval=False)
            return {"loss": result["train"]["logloss"][-1]}

        return run

    return prepare


def tule_predict(path: str) -> Callable[[], Any]:
    from tule.learn.models import FAMILIES

    connection = connect(path)
    small = Query(connection, f"SELECT {XS}, z FROM t LIMIT 20000")
    model = FAMILIES["logistic_regression"].fit(small, label="z")

    def run() -> Any:
        total = 0.0
        for batch in Query(connection, f"SELECT {XS} FROM t").scan():
            answer = model.predict(batch)
            total += answer.column("probabilities").combine_chunks().flatten().to_numpy()[1::2].sum()
        return {"sum": total}

    return run


def library_predict(path: str) -> Callable[[], Any]:
    import numpy as np
    import pandas  # noqa: F401
    from sklearn.linear_model import LogisticRegression

    connection = connect(path)
    frame = connection.execute(f"SELECT {XS}, z FROM t LIMIT 20000").df()
    fitted = LogisticRegression(C=np.inf).fit(frame.drop(columns="z"), frame["z"])

    def run() -> Any:
        return {"sum": float(fitted.predict_proba(connection.execute(f"SELECT {XS} FROM t").df())[:, 1].sum())}

    return run


TREES = {"max_iterations": 20, "early_stop": False}
CASES: dict[str, Callable[[str], Callable[[], Any]]] = {
    "linear/tule": tule_fit("linear_regression", "y", {}),
    "linear/reference": library_fit("linear", "y"),
    "logistic/tule": tule_fit("logistic_regression", "z", {}),
    "logistic/reference": library_fit("logistic", "z"),
    "trees/tule": tule_fit("boosted_tree_classifier", "z", TREES),
    "trees/reference": library_fit("trees", "z"),
    "predict/tule": tule_predict,
    "predict/reference": library_predict,
}
NAMES = {
    "linear": "linear regression, table to model; reference: fetch + pandas + scikit-learn",
    "logistic": "logistic regression, table to model; reference: fetch + pandas + scikit-learn",
    "trees": "boosted trees, 20 rounds; reference: xgboost QuantileDMatrix from pandas",
    "predict": "logistic predictions over batches; reference: fetch + pandas + scikit-learn",
}


def run_case(name: str, path: str) -> None:
    """In the case's own process: prepare, time, print."""
    run = CASES[name](path)
    began = time.perf_counter()
    note = run()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "megabytes": peak, "note": note}))


def measure(name: str, path: str, repeat: int) -> tuple[float, float, Any]:
    """Median seconds, largest peak memory and the note of a case over ``repeat`` processes."""
    runs = []
    for _ in range(repeat):
        done = subprocess.run(
            [sys.executable, __file__, "--case", name, "--path", path], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{name} failed:\n{done.stderr}")
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return (
        statistics.median(item["seconds"] for item in runs),
        max(item["megabytes"] for item in runs),
        runs[0]["note"],
    )


def busy() -> None:
    while True:
        sum(at * at for at in range(100_000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--only", default=",".join([*NAMES, "busy"]))
    parser.add_argument("--directory", default=None, help="where the table is made (default: a temporary directory)")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        run_case(given.case, given.path)
        return
    lines: list[dict[str, Any]] = []

    def report(what: str, unit: str, tule: float, reference: float, **more: Any) -> None:
        line = {"what": what, "unit": unit, "tule": round(tule, 3), "reference": round(reference, 3)}
        line["ratio"] = round(reference / tule, 2)
        lines.append(line)
        print(json.dumps(line | more), flush=True)

    with tempfile.TemporaryDirectory(dir=given.directory) as folder:
        path = str(Path(folder) / "bench.duckdb")
        make_table(path, given.rows)
        for name in given.only.split(","):
            if name == "busy":
                alone, _, _ = measure("linear/tule", path, given.repeat)
                loops = [multiprocessing.Process(target=busy, daemon=True) for _ in range(os.cpu_count() or 2)]
                for loop in loops:
                    loop.start()
                beside, _, _ = measure("linear/tule", path, given.repeat)
                for loop in loops:
                    loop.kill()
                    loop.join()
                report("linear regression beside two busy processes; reference: the same alone", "s", beside, alone)
                continue
            tule, tule_memory, tule_note = measure(f"{name}/tule", path, given.repeat)
            other, other_memory, other_note = measure(f"{name}/reference", path, given.repeat)
            report(NAMES[name], "s", tule, other, notes=[tule_note, other_note])
            report(NAMES[name].split(",")[0].split(";")[0] + ", peak memory", "MB", tule_memory, other_memory)
    width = max(len(line["what"]) for line in lines)
    print(f"\n{'what':<{width}}  unit      Tule  reference  ratio")
    for line in lines:
        print(
            f"{line['what']:<{width}}  {line['unit']:<4} {line['tule']:>9.2f}  {line['reference']:>9.2f}  "
            f"{line['ratio']:>5.2f}"
        )


if __name__ == "__main__":
    main()
