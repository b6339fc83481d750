"""Training as Google's own SDK drives it: jobs from scripts and packages, pipelines that register a model, failures."""

from __future__ import annotations

import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.api_core import exceptions
from google.cloud import aiplatform, storage
from google.cloud.aiplatform import jobs, training_jobs

BUCKET = "training-stage"
IMAGE = "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6:latest"
SERVING = "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest"
SMALL: Any = {"machine_type": "n1-standard-1"}

# The SDK looks every five seconds; so much patience is for jobs of hours.
jobs._JOB_WAIT_TIME = training_jobs._JOB_WAIT_TIME = 0.2

FITS = """
import argparse, os
import joblib, numpy
from google.cloud import storage
from sklearn.linear_model import LinearRegression

parser = argparse.ArgumentParser()
parser.add_argument("--slope", type=float, default=1.0)
slope = parser.parse_args().slope
x = numpy.arange(10.0).reshape(-1, 1)
joblib.dump(LinearRegression().fit(x, slope * x.ravel()), "model.joblib")
bucket, _, key = os.environ["AIP_MODEL_DIR"].removeprefix("gs://").partition("/")
storage.Client().bucket(bucket).blob(key + "model.joblib").upload_from_filename("model.joblib")
print("fitted", slope, os.environ.get("COLOUR", "no colour"))
"""


def script(text: str) -> str:
    path = Path(tempfile.mkdtemp()) / "task.py"
    path.write_text(textwrap.dedent(text))
    return str(path)


def package() -> str:
    """A source distribution with a trainer, in its bucket."""
    import subprocess

    root = Path(tempfile.mkdtemp())
    (root / "trainer").mkdir()
    (root / "trainer" / "__init__.py").touch()
    (root / "trainer" / "task.py").write_text(FITS)
    (root / "setup.py").write_text(
        "from setuptools import find_packages, setup\nsetup(name='trainer', version='0.1', packages=find_packages())\n"
    )
    subprocess.run([sys.executable, "setup.py", "-q", "sdist"], cwd=root, check=True, capture_output=True)
    storage.Client().bucket(BUCKET).blob("trainer.tar.gz").upload_from_filename(root / "dist" / "trainer-0.1.tar.gz")
    return f"gs://{BUCKET}/trainer.tar.gz"


def plain(code: str) -> dict[str, object]:
    """A worker pool that runs code as it is."""
    return {
        "machine_spec": {"machine_type": "n1-standard-1"}, "replica_count": 1,
        "container_spec": {"image_uri": IMAGE, "command": ["python3", "-c", code]},
    }  # fmt: skip


def refused(kind: type[Exception], words: str, call: Callable[[], object]) -> None:
    try:
        call()
    except kind as error:
        assert words in str(error), error
    else:
        raise AssertionError(f"not refused: {words}")


def a_local_script() -> None:
    job = aiplatform.CustomJob.from_local_script(
        display_name="script", script_path=script("import six, sys; print('six', six.__version__, sys.argv[1:])"),
        container_uri=IMAGE, requirements=["six"], args=["--a=1"], **SMALL,
    )  # fmt: skip
    job.run()
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    assert job.start_time <= job.end_time
    found = aiplatform.CustomJob.get(job.resource_name)
    assert found.display_name == "script"
    assert [each.name for each in aiplatform.CustomJob.list(filter='display_name="script"')] == [job.name]
    job.delete()
    refused(exceptions.NotFound, "custom job must exist", lambda: aiplatform.CustomJob.get(job.resource_name))


def a_script_becomes_a_model() -> None:
    job = aiplatform.CustomTrainingJob(
        display_name="pipeline", script_path=script(FITS), container_uri=IMAGE,
        model_serving_container_image_uri=SERVING, labels={"team": "a"},
    )  # fmt: skip
    model = job.run(
        model_display_name="fitted", args=["--slope=3"], base_output_dir=f"gs://{BUCKET}/fitted",
        environment_variables={"COLOUR": "red"}, **SMALL,
    )  # fmt: skip
    assert job.state.name == "PIPELINE_STATE_SUCCEEDED"
    assert model.display_name == "fitted"
    assert model.uri == f"gs://{BUCKET}/fitted/model/"
    backing = job._gca_resource.training_task_metadata["backingCustomJob"]
    assert aiplatform.CustomJob.get(backing).state.name == "JOB_STATE_SUCCEEDED"
    endpoint = model.deploy()
    assert abs(endpoint.predict([[5.0]]).predictions[0] - 15.0) < 1e-6
    endpoint.delete(force=True)


def a_package() -> None:
    job = aiplatform.CustomPythonPackageTrainingJob(
        display_name="package", python_package_gcs_uri=package(), python_module_name="trainer.task",
        container_uri=IMAGE, model_serving_container_image_uri=SERVING,
    )  # fmt: skip
    model = job.run(args=["--slope=2"], model_display_name="packed", **SMALL)
    assert model is not None
    assert model.version_id == "1"


def failures() -> None:
    job = aiplatform.CustomTrainingJob(
        display_name="fails", script_path=script("import nowhere_at_all"), container_uri=IMAGE
    )
    refused(RuntimeError, "the module nowhere_at_all is not installed", lambda: job.run(**SMALL))
    assert job.state.name == "PIPELINE_STATE_FAILED"
    own = aiplatform.CustomContainerTrainingJob(display_name="own", container_uri="gcr.io/mine/own:1")
    refused(exceptions.FailedPrecondition, "Docker or Podman", lambda: own.run(**SMALL))
    shell = aiplatform.CustomJob(display_name="shell", worker_pool_specs=[plain("pass")])
    refused(exceptions.MethodNotImplemented, "job_spec.enable_web_access", lambda: shell.submit(enable_web_access=True))


def a_cancel() -> None:
    job = aiplatform.CustomJob(display_name="long", worker_pool_specs=[plain("import time; time.sleep(600)")])
    job.submit()
    job.cancel()
    refused(RuntimeError, "cancelled", job.wait_for_completion)
    assert job.state.name == "JOB_STATE_CANCELLED"


aiplatform.init(project="test-project", location="us-central1", staging_bucket=f"gs://{BUCKET}")
storage.Client().create_bucket(BUCKET)
for part in (a_local_script, a_script_becomes_a_model, a_package, failures, a_cancel):
    part()
sys.stdout.write("done\n")
