"""A tuning job, and a pipeline of one, as Google's own SDK drives them."""

from __future__ import annotations

import sys

from google.cloud import aiplatform, storage
from google.cloud.aiplatform import hyperparameter_tuning as hpt
from google.cloud.aiplatform import jobs

IMAGE = "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6:latest"
BUCKET = "tuning-stage"
jobs._JOB_WAIT_TIME = 0.2

CODE = """
import argparse, hypertune
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
parser.add_argument("--size", type=int)
parser.add_argument("--kind")
given = parser.parse_args()
hypertune.HyperTune().report_hyperparameter_tuning_metric("loss", given.rate * given.size, global_step=1)
"""

aiplatform.init(project="test-project", location="us-central1", staging_bucket=f"gs://{BUCKET}")
storage.Client().create_bucket(BUCKET)
pool = {
    "machine_spec": {"machine_type": "n1-standard-1"}, "replica_count": 1,
    "container_spec": {"image_uri": IMAGE, "command": ["python3", "-c", CODE]},
}  # fmt: skip
job = aiplatform.HyperparameterTuningJob(
    display_name="search",
    custom_job=aiplatform.CustomJob(display_name="trial", worker_pool_specs=[pool]),
    metric_spec={"loss": "minimize"},
    parameter_spec={
        "rate": hpt.DoubleParameterSpec(min=0.001, max=1, scale="log"),
        "size": hpt.DiscreteParameterSpec(values=[16, 32], scale="linear"),
        "kind": hpt.CategoricalParameterSpec(values=["a", "b"]),
    },
    max_trial_count=3,
    parallel_trial_count=2,
    labels={"team": "a"},
)
job.run()
assert job.state.name == "JOB_STATE_SUCCEEDED"
assert [each.id for each in job.trials] == ["1", "2", "3"]
for trial in job.trials:
    values = {each.parameter_id: each.value for each in trial.parameters}
    assert abs(trial.final_measurement.metrics[0].value - values["rate"] * values["size"]) < 1e-9
    assert aiplatform.CustomJob.get(trial.custom_job).state.name == "JOB_STATE_SUCCEEDED"
assert [each.name for each in aiplatform.HyperparameterTuningJob.list(filter='labels.team="a"')] == [job.name]
job.delete()
sys.stdout.write("done\n")
