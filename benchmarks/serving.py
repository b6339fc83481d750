"""Online prediction beside a bare uvicorn + orjson + onnxruntime application, over REST on the plain port.

    python benchmarks/serving.py            two models, 1 and 100 rows, 1, 8 and 32 connections
    python benchmarks/serving.py --quick    one short round

Both servers run at once and take turns under load, so that each ratio is of one moment. The load generator is ``wrk``
where it is installed, else a small one of our own in its own process. Rates are the median of seven rounds; the answers
are compared first, with those of the library that made the model.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bench
import numpy as np
import serving_bare

SKLEARN = "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest"
XGBOOST = "us-docker.pkg.dev/vertex-ai/prediction/xgboost-cpu.2-1:latest"
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
AGAINST = "uvicorn + orjson + onnxruntime"

DEPLOY = """
import json, logging, sys
from google.cloud import aiplatform, storage
logging.disable(logging.INFO)
aiplatform.init(project="bench", location="us-central1", staging_bucket="gs://bench-serving")
storage.Client(project="bench").create_bucket("bench-serving")
found = {}
for name, folder, image in json.loads(sys.argv[1]):
    model = aiplatform.Model.upload(display_name=name, artifact_uri=folder, serving_container_image_uri=image)
    found[name] = model.deploy(machine_type="n1-standard-2").resource_name
print(json.dumps(found))
"""


class Models:
    """The models under test, in the forms both servers read, and the right answers."""

    def __init__(self, folder: Path) -> None:
        import joblib
        import xgboost
        from sklearn.datasets import load_breast_cancer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self.rows, labels = load_breast_cancer(return_X_y=True)
        self.folder = folder
        linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(self.rows, labels)
        trees = xgboost.XGBClassifier(n_estimators=100, base_score=0.5).fit(self.rows, labels)
        for name in ("linear", "trees"):
            (folder / name).mkdir()
        joblib.dump(linear, folder / "linear" / "model.joblib")
        trees.get_booster().save_model(folder / "trees" / "model.ubj")
        (folder / "linear.onnx").write_bytes(serving_bare.linear_classifier(linear[0], linear[1]))
        (folder / "trees.onnx").write_bytes(serving_bare.tree_ensemble(trees.get_booster(), 0.0, self.rows.shape[1]))
        booster = trees.get_booster()
        self.answers = {
            "linear": linear.predict(self.rows).tolist(),
            "trees": booster.predict(xgboost.DMatrix(self.rows)).tolist(),
        }


@contextlib.contextmanager
def tule_server(home: Path) -> Iterator[tuple[int, str, int]]:
    """A server of its own: port, token, process id."""
    environment = {**ONE_THREAD, "TULE_HOME": str(home), "TULE_PROJECT": "bench"}
    tule = [sys.executable, "-m", "tule.cli"]
    subprocess.run([*tule, "up", "--detach"], env=environment, check=True, stdout=subprocess.DEVNULL)
    try:
        runtime = json.loads((home / "server.json").read_text())
        yield runtime["port"], (home / "credentials" / "token").read_text().strip(), runtime["pid"]
    finally:
        subprocess.run([*tule, "down"], env=environment, check=False, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def bare_server(model: Path) -> Iterator[int]:
    port = bench.free_port()
    command = [sys.executable, str(bench.HERE / "serving_bare.py"), str(port), str(model)]
    with subprocess.Popen(command, env=ONE_THREAD) as process:
        try:
            bench.wait_for(port)
            yield port
        finally:
            process.terminate()


def deploy(home: Path, models: Models) -> dict[str, str]:
    """Upload and deploy through the stock SDK; endpoint names by model."""
    wanted = [("linear", str(models.folder / "linear"), SKLEARN), ("trees", str(models.folder / "trees"), XGBOOST)]
    shutil.copy(models.folder / "trees" / "model.ubj", models.folder / "trees" / "model.bst")
    (models.folder / "trees" / "model.ubj").unlink()
    command = [sys.executable, "-m", "tule.cli", "exec", "--", sys.executable, "-c", DEPLOY, json.dumps(wanted)]
    environment = {**ONE_THREAD, "TULE_HOME": str(home), "TULE_PROJECT": "bench"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def ask(port: int, path: str, token: str, body: bytes) -> list[Any]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    with urllib.request.urlopen(request) as answer:
        found: list[Any] = json.load(answer)["predictions"]
        return found


def load(port: int, path: str, token: str, body: bytes, connections: int, seconds: float) -> dict[str, float]:
    """One round of load: requests per second and latencies in milliseconds."""
    if shutil.which("wrk"):
        return _wrk(port, path, token, body, connections, seconds)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    command = [sys.executable, str(bench.HERE / "serving_load.py"), str(port), str(connections), str(seconds)]
    done = subprocess.run(command, input=head.encode() + body, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    assert not found["errors"], f"{found['errors']} answers were errors"
    return found


def _wrk(port: int, path: str, token: str, body: bytes, connections: int, seconds: float) -> dict[str, float]:
    script = (
        'wrk.method = "POST"\n'
        f"wrk.body = [==[{body.decode()}]==]\n"
        f'wrk.headers["Authorization"] = "Bearer {token}"\nwrk.headers["Content-Type"] = "application/json"\n'
        "done = function(summary, latency)\n"
        '  io.write(string.format("JSON {\\"requests\\": %d, \\"us\\": %d, \\"p50\\": %f, \\"p99\\": %f, '
        '\\"errors\\": %d}\\n", summary.requests, summary.duration, latency:percentile(50) / 1000, '
        "latency:percentile(99) / 1000, summary.errors.status))\nend\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", file.name]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{port}{path}"], stdout=subprocess.PIPE, text=True, check=True
        )
    found = json.loads(
        next(line for line in done.stdout.splitlines() if line.startswith("JSON ")).removeprefix("JSON ")
    )
    assert not found["errors"], f"{found['errors']} answers were errors"
    return {"rate": found["requests"] / found["us"] * 1e6, "p50": found["p50"], "p99": found["p99"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    rounds, seconds = (1, 0.5) if options.quick else (7, 1.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = Models(folder)
        with tule_server(folder / "home") as (port, token, pid):
            endpoints = deploy(folder / "home", models)
            for model, endpoint in endpoints.items():
                path = f"/v1/{endpoint}:predict"
                _check(port, path, token, models, model)
                with bare_server(folder / f"{model}.onnx") as bare:
                    _check_bare(bare, models, model)
                    for rows in (1, 100):
                        body = json.dumps({"instances": models.rows[:rows].tolist()}).encode()
                        for connections in (1, 8, 32):
                            results: dict[str, list[dict[str, float]]] = {"tule": [], "bare": []}
                            for _ in range(rounds):
                                results["bare"].append(load(bare, "/predict", token, body, connections, seconds))
                                results["tule"].append(load(port, path, token, body, connections, seconds))
                            _print(f"{model}, {rows} row, {connections} connections", results)
            bench.row("memory of the server with both models", "MB", bench.memory_mb(pid), None)


def _print(what: str, results: dict[str, list[dict[str, float]]]) -> None:
    def middle(who: str, figure: str) -> float:
        return bench.median([each[figure] for each in results[who]])

    bench.row(what, "req/s", middle("tule", "rate"), middle("bare", "rate"), goal=">= 0.8", against=AGAINST)
    bench.row(f"{what}, p99", "ms", middle("tule", "p99"), middle("bare", "p99"), against=AGAINST)


def _check(port: int, path: str, token: str, models: Models, model: str) -> None:
    """Tule's answers are the library's, bit for bit."""
    found = ask(port, path, token, json.dumps({"instances": models.rows.tolist()}).encode())
    assert found == models.answers[model], f"{model} answers differ from the library's"


def _check_bare(port: int, models: Models, model: str) -> None:
    """The reference answers the same question (it computes in single precision)."""
    found = ask(port, "/predict", "", json.dumps({"instances": models.rows.tolist()}).encode())
    assert np.allclose(found, models.answers[model], atol=1e-4), f"{model}: the reference answers something else"


if __name__ == "__main__":
    main()
