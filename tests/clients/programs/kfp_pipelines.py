"""The KFP SDK compiles pipelines and the aiplatform SDK runs what came out, both as they are."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path

from google.cloud import aiplatform, storage
from google.cloud.aiplatform import pipeline_jobs
from kfp import compiler

PROJECT = "test-project"
SAMPLES = Path(__file__).parents[2] / "vertex" / "pipelines" / "samples.py"
pipeline_jobs._JOB_WAIT_TIME = 0.05

spec = importlib.util.spec_from_file_location("samples", SAMPLES)
assert spec is not None and spec.loader is not None
samples = importlib.util.module_from_spec(spec)
sys.modules["samples"] = samples
spec.loader.exec_module(samples)

aiplatform.init(project=PROJECT, location="us-central1", staging_bucket="gs://pipelines-by-kfp")
storage.Client(project=PROJECT).create_bucket("pipelines-by-kfp")
folder = tempfile.mkdtemp()

for pipeline in samples.PIPELINES:
    compiler.Compiler().compile(pipeline, f"{folder}/{pipeline.name}.yaml")

for number, name in enumerate(("hello-world", "artifacts", "conditions", "loops", "nested", "collected-artifacts")):
    job = aiplatform.PipelineJob(
        display_name=name, template_path=f"{folder}/{name}.yaml", job_id=f"kfp-{number}-{name}"
    )
    job.run()
    assert job.state.name == "PIPELINE_STATE_SUCCEEDED", job
print("ok")
