"""Experiments as people keep them with Google's SDK: runs, metrics over time, artifacts, executions, models."""

import sys

import numpy as np
from google.api_core import exceptions
from google.cloud import aiplatform, storage
from sklearn.linear_model import LogisticRegression

transport = sys.argv[1]
project = "test-project"
storage_client = storage.Client(project=project)
bucket = storage_client.create_bucket(f"experiments-{transport}")

board = aiplatform.Tensorboard.create(display_name=f"board-{transport}", project=project, location="us-central1")
aiplatform.init(
    project=project,
    location="us-central1",
    experiment=f"churn-{transport}",
    experiment_description="who leaves",
    experiment_tensorboard=board,
    staging_bucket=f"gs://{bucket.name}",
    api_transport=transport,
)

with aiplatform.start_run("run-1") as run:
    run.log_params({"rate": 0.1, "depth": 3, "kind": "tree"})
    run.log_metrics({"accuracy": 0.8, "loss": 1})
    for step in range(1, 6):
        run.log_time_series_metrics({"loss": 1 / step, "auc": 0.5 + step / 20}, step=step)
    run.log_classification_metrics(
        labels=["stays", "leaves"],
        matrix=[[8, 2], [1, 9]],
        fpr=[0, 0.5, 1],
        tpr=[0, 0.8, 1],
        threshold=[0.9, 0.5, 0.1],
        display_name="validation",
    )
    with aiplatform.start_execution(
        schema_title="system.ContainerExecution", display_name="preprocess", metadata={"rows": 20}
    ) as execution:
        raw = aiplatform.Artifact.create(
            schema_title="system.Dataset", display_name="raw", uri=f"gs://{bucket.name}/raw.csv"
        )
        execution.assign_input_artifacts([raw])
        clean = aiplatform.Artifact.create(
            schema_title="system.Dataset",
            display_name="clean",
            uri=f"gs://{bucket.name}/clean.csv",
            metadata={"payload_format": "csv", "columns": 4},
        )
        execution.assign_output_artifacts([clean])
    model = LogisticRegression().fit(np.arange(20).reshape(10, 2), [0] * 5 + [1] * 5)
    logged = run.log_model(model, f"model-{transport}", display_name="churn model")
    assert logged.framework_name == "sklearn" and logged.uri.startswith(f"gs://{bucket.name}/")

assert execution.state.name == "COMPLETE"
assert [each.display_name for each in execution.get_input_artifacts()] == ["raw"]
assert [each.display_name for each in execution.get_output_artifacts()] == ["clean"]

# What stands in the service, from a new start.
run = aiplatform.ExperimentRun("run-1", experiment=f"churn-{transport}")
assert run.get_params() == {"rate": 0.1, "depth": 3.0, "kind": "tree"}
assert run.get_metrics() == {"accuracy": 0.8, "loss": 1.0}
assert run.state.name == "COMPLETE"
series = run.get_time_series_data_frame()
assert list(series["step"]) == [1, 2, 3, 4, 5], series
assert abs(series["loss"].iloc[3] - 0.25) < 1e-12
classified = run.get_classification_metrics()
assert [each["display_name"] for each in classified] == ["validation"], classified
assert classified[0]["matrix"] == [[8, 2], [1, 9]]
assert [each.display_name for each in run.get_executions()] == ["preprocess"]
assert {each.display_name for each in run.get_artifacts()} >= {"raw", "clean"}
assert [each.name for each in run.get_experiment_models()] == [f"model-{transport}"]
loaded = logged.load_model()
assert list(loaded.predict([[0, 1], [18, 19]])) == [0, 1]

# A run is taken up again; a second one stands beside it in the table.
with aiplatform.start_run("run-1", resume=True) as run:
    run.log_metrics({"accuracy": 0.85})
aiplatform.start_run("run-2")
aiplatform.log_params({"rate": 0.2})
aiplatform.log_metrics({"accuracy": 0.7})
aiplatform.end_run(state=aiplatform.gapic.Execution.State.FAILED)
table = aiplatform.get_experiment_df(f"churn-{transport}").set_index("run_name")
assert table.loc["run-1", "metric.accuracy"] == 0.85 and table.loc["run-1", "param.kind"] == "tree"
assert table.loc["run-1", "time_series_metric.loss"] == 0.2
assert table.loc["run-2", "state"] == "FAILED" and table.loc["run-2", "run_type"] == "system.ExperimentRun"
try:
    aiplatform.start_run("run-2")
    raise AssertionError("a second run of this name")
except exceptions.Conflict:
    pass

# Lists know contexts, metadata and times.
experiment = aiplatform.Experiment(f"churn-{transport}")
context = aiplatform.Context.get(resource_id=f"churn-{transport}")
members = aiplatform.Artifact.list(filter=f'in_context("{run.resource_name}") AND schema_title="system.Dataset"')
assert {each.display_name for each in members} == {"raw", "clean"}
found = aiplatform.Artifact.list(filter=f'metadata.columns.number_value = 4 AND uri = "gs://{bucket.name}/clean.csv"')
assert [each.display_name for each in found] == ["clean"]
assert not aiplatform.Artifact.list(filter='metadata.columns.string_value = "4"')
runs = aiplatform.Context.list(filter=f'parent_contexts:"{context.resource_name}"', order_by="create_time desc")
assert [each.display_name for each in runs] == ["run-2", "run-1"]
assert clean.lineage_console_uri

aiplatform.ExperimentRun("run-2", experiment=experiment).delete()
assert [each.name for each in aiplatform.ExperimentRun.list(experiment=experiment)] == ["run-1"]
experiment.delete(delete_backing_tensorboard_runs=True)
assert aiplatform.Experiment.get(f"churn-{transport}") is None
assert not [each for each in aiplatform.Experiment.list() if each.name == f"churn-{transport}"]
board.delete()
print("ok")
