"""Work that a server is killed in the middle of: ``begin``, and ``end`` at the next server."""

from __future__ import annotations

import sys
import time

from google.cloud import aiplatform, aiplatform_v1

PARENT = "projects/test-project/locations/us-central1"
OPTIONS = {"api_endpoint": "us-central1-aiplatform.googleapis.com"}
IMAGE = "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6:latest"


def suggestion(study: str) -> str:
    vizier = aiplatform_v1.VizierServiceClient(client_options=OPTIONS)
    request = {"parent": study, "suggestion_count": 1, "client_id": "worker"}
    (trial,) = vizier.suggest_trials(request).result(timeout=60).trials
    return str(trial.parameters[0].value)


def begin(folder: str) -> None:
    vizier = aiplatform_v1.VizierServiceClient(client_options=OPTIONS)
    parameter = {"parameter_id": "x", "double_value_spec": {"min_value": 0, "max_value": 1}}
    spec = {"metrics": [{"metric_id": "loss", "goal": "MINIMIZE"}], "parameters": [parameter]}
    study = vizier.create_study(parent=PARENT, study={"display_name": "s", "study_spec": spec})
    code = f"""
import os, time
from pathlib import Path
with Path({folder!r}, "begun").open("a") as file: file.write("x")
while not Path({folder!r}, "go").exists(): time.sleep(0.02)
print("it goes on")
"""
    aiplatform.init(project="test-project", location="us-central1", staging_bucket="gs://none")
    pool = {
        "machine_spec": {"machine_type": "n1-standard-1"}, "replica_count": 1,
        "container_spec": {"image_uri": IMAGE, "command": ["python3", "-c", code]},
    }  # fmt: skip
    job = aiplatform.CustomJob(display_name="j", worker_pool_specs=[pool])
    job.submit()
    while job.state.name != "JOB_STATE_RUNNING":
        time.sleep(0.05)
    sys.stdout.write(f"{study.name}\n{suggestion(study.name)}\n{job.resource_name}\n")


def end(study: str, job: str) -> None:
    found = aiplatform.CustomJob.get(job)
    while found.state.name not in ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED"):
        time.sleep(0.05)
    sys.stdout.write(f"{suggestion(study)}\n{found.state.name}\n")


{"begin": begin, "end": end}[sys.argv[1]](*sys.argv[2:])
