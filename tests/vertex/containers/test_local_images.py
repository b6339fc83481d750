"""Images as names of environments, machine types as sizes."""

from __future__ import annotations

import pytest

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.vertex.containers import machine_of
from tule.vertex.containers.images import Image, local_image

GB = 2**30


@pytest.mark.parametrize(
    ("reference", "family", "version", "python", "gpu"),
    [
        ("us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6.py310:latest", "sklearn", "1.6", (3, 10), False),
        ("europe-docker.pkg.dev/vertex-ai/training/tf-gpu.2-17.py310", "tensorflow", "2.17", (3, 10), True),
        ("asia-docker.pkg.dev/vertex-ai/training/xgboost-cpu.2-1:latest", "xgboost", "2.1", None, False),
        ("us-docker.pkg.dev/vertex-ai/training/pytorch-gpu.2-4.py310:latest", "pytorch", "2.4", (3, 10), True),
        ("gcr.io/cloud-aiplatform/training/tf-cpu.2-1:latest", "tensorflow", "2.1", None, False),
        ("eu.gcr.io/cloud-aiplatform/training/scikit-learn-cpu.0-23:latest", "sklearn", "0.23", None, False),
        ("gcr.io/deeplearning-platform-release/tf2-cpu.2-11", "tensorflow", "2.11", None, False),
        ("gcr.io/deeplearning-platform-release/base-cpu:latest", "python", "", None, False),
        (
            "us-docker.pkg.dev/deeplearning-platform-release/gcr.io/pytorch-cu121.2-2.py310",
            "pytorch",
            "2.2",
            (3, 10),
            True,
        ),
        ("gcr.io/ml-pipeline/google-cloud-pipeline-components:2.20.1", "components", "2.20.1", None, False),
        ("python:3.11", "python", "", (3, 11), False),
        ("python:3.9-slim-bullseye", "python", "", (3, 9), False),
        ("docker.io/library/python:3.12.1", "python", "", (3, 12), False),
        ("mirror.gcr.io/library/python:3", "python", "", None, False),
        ("python", "python", "", None, False),
        ("alpine:3.19", "linux", "", None, False),
        ("ubuntu", "linux", "", None, False),
    ],
)
def test_names_that_stand_for_environments(
    reference: str, family: str, version: str, python: tuple[int, int] | None, gpu: bool
) -> None:
    found = local_image(reference)
    assert found is not None
    assert (found.family, found.version, found.python, found.gpu) == (family, version, python, gpu)


@pytest.mark.parametrize(
    "reference",
    [
        "us-docker.pkg.dev/my-project/repo/trainer:1",
        "gcr.io/my-project/python:3.11",
        "somebody/python:3.11",
        "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest",
        "us-docker.pkg.dev/vertex-ai/training/jax-cpu.0-4:latest",
        "localhost:5000/trainer@sha256:" + "a" * 64,
    ],
)
def test_any_other_name_is_an_image_of_ones_own(reference: str) -> None:
    assert local_image(reference) is None


@pytest.mark.parametrize(
    ("reference", "kind", "rule"),
    [
        ("", InvalidArgument, "must be named as REGISTRY/PATH:TAG"),
        ("python 3.11", InvalidArgument, "must be named as REGISTRY/PATH:TAG"),
        ("python:3.11; rm -rf /", InvalidArgument, "must be named as REGISTRY/PATH:TAG"),
        ("us-docker.pkg.dev/vertex-ai/training/tf-tpu.2-15.py310:latest", Unimplemented, "which needs a TPU"),
        ("gcr.io/deeplearning-platform-release/r-cpu.4-1", Unimplemented, "which needs R"),
        ("python:2.7", Unimplemented, "must be of Python 3"),
    ],
)
def test_what_cannot_be_an_image_here_is_refused(reference: str, kind: type[Exception], rule: str) -> None:
    with pytest.raises(kind, match=rule):
        local_image(reference)


def test_an_image_says_what_it_is_called() -> None:
    assert local_image("us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6.py310:latest") == Image(
        "sklearn-cpu.1-6.py310", "sklearn", "1.6", (3, 10), False
    )


@pytest.mark.parametrize(
    ("name", "cpus", "memory", "gpus"),
    [
        ("n1-standard-4", 4, 15 * GB, 0),
        ("n1-highcpu-16", 16, round(14.4 * GB), 0),
        ("e2-highmem-2", 2, 16 * GB, 0),
        ("e2-medium", 2, 4 * GB, 0),
        ("c2-standard-60", 60, 240 * GB, 0),
        ("c3-highcpu-22", 22, 44 * GB, 0),
        ("n2-custom-6-3072", 6, 3 * GB, 0),
        ("custom-2-8192-ext", 2, 8 * GB, 0),
        ("a2-highgpu-2g", 24, 170 * GB, 2),
        ("g2-standard-24", 24, 96 * GB, 2),
    ],
)
def test_machine_types(name: str, cpus: float, memory: int, gpus: int) -> None:
    found = machine_of(name)
    assert (found.name, found.cpus, found.memory_bytes, found.accelerators) == (name, cpus, memory, gpus)


@pytest.mark.parametrize(
    "name", ["", "n1-standard-3", "n9-standard-4", "c2-standard-2", "standard-4", "n1-standard-4 "]
)
def test_a_machine_type_that_there_is_not(name: str) -> None:
    with pytest.raises(InvalidArgument, match="must be one of Compute Engine's"):
        machine_of(name)
