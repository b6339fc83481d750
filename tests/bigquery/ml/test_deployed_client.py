"""Every exportable family deployed through the stock Vertex AI client: an endpoint answers what ML.PREDICT does."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

pytestmark = pytest.mark.clients

PROGRAM = """
import math

from google.cloud import aiplatform, bigquery, storage

client = bigquery.Client()
client.create_dataset("deployed", exists_ok=True)
run = lambda sql: list(client.query(sql).result())
aiplatform.init(location="us-central1")
bucket = storage.Client().create_bucket("deployed-graphs")

run('''CREATE TABLE deployed.rows AS SELECT n AS id, SIN(n) * 10 AS x, MOD(n, 7) AS k, ['a', 'b', 'c'][MOD(n, 3)] AS c,
  n * 0.5 + MOD(n, 3) * 20 AS y, ['low', 'mid', 'top'][MOD(n, 3)] AS label, n > 60 AS big
  FROM UNNEST(GENERATE_ARRAY(1, 120)) AS n''')
supervised = {"y": "x, k, c, y", "label": "x, k, c, label", "big": "x, k, c, big"}
FAMILIES = [
    ("LINEAR_REG", "y", ""), ("LOGISTIC_REG", "label", ", L2_REG=1"), ("LOGISTIC_REG", "big", ", L2_REG=1"),
    ("BOOSTED_TREE_REGRESSOR", "y", ", MAX_ITERATIONS=4"), ("BOOSTED_TREE_CLASSIFIER", "label", ", MAX_ITERATIONS=4"),
    ("RANDOM_FOREST_REGRESSOR", "y", ", NUM_PARALLEL_TREE=4"), ("RANDOM_FOREST_CLASSIFIER", "big", ", NUM_PARALLEL_TREE=4"),
    ("DNN_REGRESSOR", "y", ", MAX_ITERATIONS=1"), ("DNN_CLASSIFIER", "label", ", MAX_ITERATIONS=1"),
    ("DNN_LINEAR_COMBINED_REGRESSOR", "y", ", MAX_ITERATIONS=1"),
    ("DNN_LINEAR_COMBINED_CLASSIFIER", "big", ", MAX_ITERATIONS=1"),
    ("AUTOENCODER", None, ", HIDDEN_UNITS=[4, 2, 4], MAX_ITERATIONS=1"), ("KMEANS", None, ", NUM_CLUSTERS=3"),
    ("PCA", None, ", NUM_PRINCIPAL_COMPONENTS=2"),
]
rows = run("SELECT x, k, c FROM deployed.rows ORDER BY id LIMIT 20")
instances = [dict(row.items()) for row in rows]


def close(a, b):
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6) if isinstance(a, float) else a == b


def wanted(row, label):
    if label is None and "CENTROID_ID" in row.keys():
        return [row["CENTROID_ID"], [each["DISTANCE"] for each in row["NEAREST_CENTROIDS_DISTANCE"]]]
    if label is None:
        return [value for name, value in row.items() if name.startswith(("principal_component_", "latent_col_"))]
    probs = row.get(f"predicted_{label}_probs")
    return [row[f"predicted_{label}"], *([[each["prob"] for each in probs]] if probs else [])]


def served(answer, label):
    if label is None and "NEAREST_CENTROID_ID" in answer:
        return [answer["NEAREST_CENTROID_ID"][0], answer["CENTROID_DISTANCES"]]
    if label is None:
        return answer.get("projections") or answer["latent_cols"]
    probs = answer.get(f"{label}_probs")
    return [answer[f"predicted_{label}"][0], *([probs] if probs else [])]


def graph_answer(answer, label):
    answer = answer if isinstance(answer, dict) else {f"predicted_{label}": answer}
    probs = answer.get(f"predicted_{label}_probs")
    return [answer[f"predicted_{label}"], *([probs] if probs else [])]


for at, (kind, label, options) in enumerate(FAMILIES):
    name, names = f"m{at}", supervised.get(label, "x, k, c")
    labels = f", INPUT_LABEL_COLS=['{label}']" if label else ""
    run(f"CREATE MODEL deployed.{name} OPTIONS(MODEL_TYPE='{kind}', MODEL_REGISTRY='VERTEX_AI'{labels}{options}) "
        f"AS SELECT {names} FROM deployed.rows")
    endpoint = aiplatform.Model(name).deploy(machine_type="n1-standard-2")
    online = endpoint.predict(instances=instances).predictions
    keep = "TRUE AS keep_original_columns" if kind == "PCA" else ""
    sql = run(f"SELECT * FROM ML.PREDICT(MODEL deployed.{name}, (SELECT id, x, k, c FROM deployed.rows), STRUCT({keep})) "
              "ORDER BY id LIMIT 20")
    for answer, row in zip(online, sql, strict=True):
        assert close(served(answer, label), wanted(row, label)), (kind, answer, row)
    if at in (1, 3):
        # The graph of the same model, uploaded as a stranger's file.
        run(f"EXPORT MODEL deployed.{name} OPTIONS(URI='gs://deployed-graphs/{name}')")
        graph = aiplatform.Model.upload(
            display_name=name, artifact_uri=f"gs://deployed-graphs/{name}/onnx",
            serving_container_image_uri="us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-1:latest")
        again = graph.deploy(machine_type="n1-standard-2")
        for answer, row in zip(again.predict(instances=instances).predictions, sql, strict=True):
            assert close(graph_answer(answer, label), wanted(row, label)), (kind, answer, row)
print("fine")
"""


def test_every_family_is_served_as_it_predicts(tule_exec: Callable[..., CompletedProcess[str]]) -> None:
    assert tule_exec(PROGRAM, timeout=280).stdout.strip().endswith("fine")
