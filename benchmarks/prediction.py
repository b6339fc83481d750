"""ML.PREDICT of each family beside the bare runtime on the same rows.

    python benchmarks/prediction.py                  1,000,000 rows x 20 columns
    python benchmarks/prediction.py --quick          200,000
    python benchmarks/prediction.py --only pca,trees

Ours is a query through the stock client: a scan of the table, ML.PREDICT, a sum of its answers. The reference scans the
same table in a DuckDB of its own as Arrow batches of 65,536 and asks the model that EXPORT MODEL wrote: XGBoost on the
booster for trees, else ONNX Runtime on the graph, all on the two threads that the server has. Both sums must agree.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import bench

from tule.testing.process import ServerProcess

THREADS = 2
FAMILIES: dict[str, tuple[str, str, str]] = {
    "linear": ("MODEL_TYPE = 'LINEAR_REG'", "y", "predicted_y"),
    "logistic": ("MODEL_TYPE = 'LOGISTIC_REG'", "z", "predicted_z_probs[OFFSET(0)].prob"),
    "trees": ("MODEL_TYPE = 'BOOSTED_TREE_REGRESSOR', MAX_ITERATIONS = 20, EARLY_STOP = FALSE", "y", "predicted_y"),
    "forest": ("MODEL_TYPE = 'RANDOM_FOREST_REGRESSOR', NUM_PARALLEL_TREE = 20, MAX_TREE_DEPTH = 8", "y", "predicted_y"),
    "dnn": ("MODEL_TYPE = 'DNN_REGRESSOR', HIDDEN_UNITS = [32, 16], MAX_ITERATIONS = 1", "y", "predicted_y"),
    "wide": ("MODEL_TYPE = 'DNN_LINEAR_COMBINED_REGRESSOR', HIDDEN_UNITS = [32], MAX_ITERATIONS = 1", "y", "predicted_y"),
    "autoencoder": ("MODEL_TYPE = 'AUTOENCODER', HIDDEN_UNITS = [16, 4, 16], MAX_ITERATIONS = 1", "", "latent_col_1"),
    "kmeans": ("MODEL_TYPE = 'KMEANS', NUM_CLUSTERS = 8", "", "NEAREST_CENTROIDS_DISTANCE[OFFSET(0)].DISTANCE"),
    "pca": ("MODEL_TYPE = 'PCA', NUM_PRINCIPAL_COMPONENTS = 5", "", "principal_component_1"),
}  # fmt: skip
MAKE = """
import sys
from google.cloud import bigquery, storage
client = bigquery.Client()
rows = int(sys.argv[1])
client.create_dataset("bench", exists_ok=True)
storage.Client().create_bucket("bench-models")
xs = ", ".join(f"SIN(i * {0.37 + n / 10}) * {n % 3 + 1} AS x{n}" for n in range(20))
score = " + ".join(f"{(n * 7) % 11 - 5} * x{n}" for n in range(20))
client.query_and_wait(f"CREATE TABLE bench.points AS SELECT *, {score} AS y, IF({score} > 0, 1, 0) AS z FROM "
                      f"(SELECT {xs} FROM UNNEST(GENERATE_ARRAY(1, {rows})) AS i)")
"""
RUN = """
import json, os, sys, time
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import duckdb
import numpy as np
import onnxruntime
import xgboost
from google.cloud import bigquery, storage
client = bigquery.Client()
name, options, label, answer, threads, folder = sys.argv[1:]
threads = int(threads)
xs = [f"x{n}" for n in range(20)]
target = f", INPUT_LABEL_COLS = ['{label}'], DATA_SPLIT_METHOD = 'NO_SPLIT'" if label else ""
client.query_and_wait(f"CREATE MODEL bench.{name} OPTIONS ({options}{target}) AS SELECT {', '.join(xs)}"
                      f"{', ' + label if label else ''} FROM bench.points LIMIT 5000")
client.query_and_wait(f"EXPORT MODEL bench.{name} OPTIONS (URI = 'gs://bench-models/{name}')")
bucket = storage.Client().bucket("bench-models")
table = os.path.join(folder, "points.duckdb")
if not os.path.exists(table):
    rows = client.query_and_wait("SELECT * FROM bench.points").to_arrow()
    with duckdb.connect(table) as made:
        made.execute("CREATE TABLE points AS SELECT * FROM rows")
    del rows
scanned = duckdb.connect(table, config={"threads": threads})


def batches():
    return scanned.execute(f"SELECT {', '.join(xs)} FROM points").to_arrow_reader(65536)


if name in ("trees", "forest"):
    booster = xgboost.Booster(params={"nthread": threads})
    booster.load_model(bytearray(bucket.blob(f"{name}/model.bst").download_as_bytes()))
    booster.set_param({"nthread": threads})

    def asked(batch):
        matrix = np.empty((batch.num_rows, len(xs)), np.float32)
        for at, column in enumerate(batch.columns):
            matrix[:, at] = column.to_numpy()
        return booster.inplace_predict(matrix).astype(float)
else:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(bucket.blob(f"{name}/onnx/model.onnx").download_as_bytes(), settings)
    output = {"logistic": "predicted_z_probs", "kmeans": "NEAREST_CENTROIDS_DISTANCE"}.get(name, answer)

    def asked(batch):
        feeds = {each: column.to_numpy() for each, column in zip(xs, batch.columns)}
        found = session.run([output], feeds)[0]
        return found if found.ndim == 1 else found[:, 0]

config = bigquery.QueryJobConfig(use_query_cache=False)
keep = "STRUCT(TRUE AS keep_original_columns)" if name == "pca" else "STRUCT()"
sql = f"SELECT SUM({answer}) FROM ML.PREDICT(MODEL bench.{name}, (SELECT {', '.join(xs)} FROM bench.points), {keep})"
times = {"ours": [], "bare": []}
for _ in range(4):
    began = time.perf_counter()
    (row,) = client.query_and_wait(sql, job_config=config)
    times["ours"].append(time.perf_counter() - began)
    began = time.perf_counter()
    total = sum(float(asked(batch).sum()) for batch in batches())
    times["bare"].append(time.perf_counter() - began)
size = sum(float(np.abs(asked(batch)).sum()) for batch in batches())
assert abs(row[0] - total) < 1e-6 * size, (row[0], total)
print(json.dumps(times))
"""


def compare(server: ServerProcess, name: str, rows: int, folder: str) -> None:
    done = server.exec([sys.executable, "-c", RUN, name, *FAMILIES[name], str(THREADS), folder], timeout=600)
    times: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    # The first of each opens things.
    ours, bare = (bench.median(times[key][1:]) for key in ("ours", "bare"))
    runtime = "XGBoost" if name in ("trees", "forest") else "ONNX Runtime"
    what = FAMILIES[name][0].split("'")[1]
    against = f"{runtime} on Arrow batches of the same scan"
    bench.row(f"ML.PREDICT, {what}, {rows:,} rows", "s", ours, bare, goal="<= 1.3", against=against)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help=f"some of {', '.join(FAMILIES)}")
    given = parser.parse_args()
    rows = 200_000 if given.quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder) / "home", project="bench", threads=THREADS).start()
        try:
            server.exec([sys.executable, "-c", MAKE, str(rows)], timeout=600)
            for name in given.only.split(",") if given.only else FAMILIES:
                compare(server, name, rows, folder)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
