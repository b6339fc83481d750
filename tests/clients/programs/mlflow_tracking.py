"""MLflow's own client: experiments, runs, metrics, files, models; what it writes as Google's SDK sees it."""

import math
import os
import tempfile
from pathlib import Path

import mlflow
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

assert os.environ["MLFLOW_TRACKING_URI"].startswith("http://127.0.0.1:")
client = MlflowClient()
id = client.create_experiment("mlflow-churn", tags={"team": "red"})
experiment = mlflow.set_experiment("mlflow-churn")
assert experiment.experiment_id == id and experiment.tags["team"] == "red"
assert client.get_experiment("0").name == "Default"
for wrong in (lambda: client.create_experiment("mlflow-churn"), lambda: client.get_experiment("nowhere")):
    try:
        wrong()
        raise AssertionError("refused")
    except MlflowException as error:
        assert error.error_code in ("RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"), error

with mlflow.start_run(run_name="first") as run:
    mlflow.log_params({"rate": 0.1, "kind": "tree"})
    for step in range(5):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metrics({"auc": 0.9, "odd": math.nan})
    mlflow.set_tag("owner", "ann")
    mlflow.log_dict({"a": 1}, "notes/a.json")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "big.bin").write_bytes(b"x" * 3_000_000)
        mlflow.log_artifacts(folder, "files")
with mlflow.start_run(run_name="second"):
    mlflow.log_metric("auc", 0.7)
try:
    with mlflow.start_run(run_name="third"):
        raise ValueError
except ValueError:
    pass

run = client.get_run(run.info.run_id)
assert run.info.status == "FINISHED" and run.info.end_time >= run.info.start_time
assert run.data.params == {"rate": "0.1", "kind": "tree"} and run.data.tags["owner"] == "ann"
assert run.data.metrics["loss"] == 0.2 and math.isnan(run.data.metrics["odd"])
history = client.get_metric_history(run.info.run_id, "loss")
assert [(each.step, each.value) for each in history] == [(step, 1 / (step + 1)) for step in range(5)]
assert [each.path for each in client.list_artifacts(run.info.run_id)] == ["files", "notes"]
assert mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/notes/a.json") == {"a": 1}
assert len(Path(client.download_artifacts(run.info.run_id, "files/big.bin")).read_bytes()) == 3_000_000

found = client.search_runs([id], "metrics.auc > 0.8 AND params.kind = 'tree' AND tags.owner LIKE 'a%'")
assert [each.info.run_name for each in found] == ["first"]
assert [each.info.run_name for each in client.search_runs([id], order_by=["metrics.auc ASC"])] == [
    "second", "first", "third",
]  # fmt: skip
assert [each.info.run_name for each in client.search_runs([id], "attributes.status = 'FAILED'")] == ["third"]
page = client.search_runs([id], max_results=2)
assert len(page) == 2 and len(client.search_runs([id], max_results=2, page_token=page.token)) == 1
table = mlflow.search_runs([id], "metrics.auc > 0")
assert set(table["tags.mlflow.runName"]) == {"first", "second"}

try:
    client.log_param(run.info.run_id, "kind", "forest")
    raise AssertionError("a param has one value")
except MlflowException as error:
    assert error.error_code == "INVALID_PARAMETER_VALUE" and "must keep its value" in str(error), error
batch = [Metric("many", float(step), 1000 + step, step) for step in range(1000)]
client.log_batch(run.info.run_id, batch)
client.log_batch(run.info.run_id, [], [Param("late", "1")], [RunTag("t", "v")])
assert len(client.get_metric_history(run.info.run_id, "many")) == 1000
client.delete_run(run.info.run_id)
assert "first" not in [each.info.run_name for each in client.search_runs([id])]
client.restore_run(run.info.run_id)
try:
    client.create_registered_model("m")
    raise AssertionError("refused by name")
except MlflowException as error:
    assert "registered-models/create" in str(error) and error.error_code == "NOT_IMPLEMENTED", error

model = client.create_logged_model(id, name="net", source_run_id=run.info.run_id, tags={"a": "b"})
assert client.finalize_logged_model(model.model_id, "READY").status.value == "READY"
assert [each.name for each in client.search_logged_models([id])] == ["net"]

# As Google's SDK has it.
from google.cloud import aiplatform  # noqa: E402

aiplatform.init(project=os.environ["GOOGLE_CLOUD_PROJECT"], location="us-central1", experiment="mlflow-churn")
frame = aiplatform.get_experiment_df("mlflow-churn", include_time_series=False).set_index("run_name")
assert frame.loc["first", "metric.loss"] == 0.2 and frame.loc["first", "param.kind"] == "tree"
assert frame.loc["third", "state"] == "FAILED"
with aiplatform.start_run("first", resume=True) as seen:
    assert seen.get_params()["kind"] == "tree"
    aiplatform.log_metrics({"auc": 0.95})
assert client.get_run(run.info.run_id).data.metrics["auc"] == 0.95
with aiplatform.start_run("fourth"):
    aiplatform.log_params({"depth": 3})
(mine,) = client.search_runs([id], "params.depth = '3'")
assert mine.info.run_name == "fourth" and mine.info.status == "FINISHED"
print("ok")
