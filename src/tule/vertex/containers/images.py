"""Which local environment an image's name stands for.

Google's prebuilt images, plain Python images and those of a bare Linux are names here, not containers: each stands for an
interpreter of this machine with what the image is there for. Any other image is somebody's own container.
https://cloud.google.com/vertex-ai/docs/training/pre-built-containers

>>> local_image("us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6.py310:latest")
Image(name='sklearn-cpu.1-6.py310', family='sklearn', version='1.6', python=(3, 10), gpu=False)
>>> local_image("python:3.11-slim").python
(3, 11)
>>> local_image("us-docker.pkg.dev/my-project/my-repo/my-image:3") is None
True
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tule.kernel.errors import InvalidArgument, Unimplemented


@dataclass(frozen=True, slots=True)
class Image:
    """What a name says. ``family``: a framework, ``python`` for an interpreter alone, ``linux`` for no more than a shell."""

    name: str
    family: str
    version: str = ""
    """The framework's version, ``2.17``; empty where the name has none."""
    python: tuple[int, int] | None = None
    gpu: bool = False


@dataclass(frozen=True, slots=True)
class Family:
    """A framework: what must be importable, and what is installed where it is not."""

    module: str
    package: str
    gpu_package: str = ""


FAMILIES = {
    "sklearn": Family("sklearn", "scikit-learn"),
    "xgboost": Family("xgboost", "xgboost"),
    "pytorch": Family("torch", "torch"),
    "tensorflow": Family("tensorflow", "tensorflow-cpu", "tensorflow"),
    "components": Family("google_cloud_pipeline_components", "google-cloud-pipeline-components"),
}

_TAG = r"(?:[:@](?P<tag>[\w.:+-]+))?"
_PREBUILT = re.compile(
    r"(?:(?:us|europe|asia)-docker\.pkg\.dev/vertex-ai(?:-restricted)?/training"
    r"|(?:(?:us|eu|asia)\.)?gcr\.io/cloud-aiplatform/training)"
    r"/(?P<framework>sklearn|xgboost|pytorch|scikit-learn|tf)-(?P<device>cpu|gpu|tpu|xla)\.(?P<version>\d+-\d+)"
    r"(?:\.py(?P<python>\d{2,3}))?" + _TAG
)
_DEEP_LEARNING = re.compile(
    r"(?:(?:us|europe|asia)-docker\.pkg\.dev/deeplearning-platform-release/gcr\.io"
    r"|(?:(?:us|eu|asia)\.)?gcr\.io/deeplearning-platform-release)"
    r"/(?P<framework>base|common|sklearn|xgboost|pytorch|tf2|tf|r)-?(?P<device>cpu|gpu|cu\d+)?"
    r"(?:\.(?P<version>\d+-\d+))?(?:\.py(?P<python>\d{2,3}))?" + _TAG
)
_COMPONENTS = re.compile(r"(?:(?:us|eu|asia)\.)?gcr\.io/ml-pipeline/google-cloud-pipeline-components" + _TAG)
_HUB = r"(?:(?:docker\.io|mirror\.gcr\.io|registry\.hub\.docker\.com)/)?(?:library/)?"
_PYTHON = re.compile(_HUB + r"python" + _TAG)
_LINUX = re.compile(_HUB + r"(?P<name>alpine|bash|busybox|debian|ubuntu)" + _TAG)
_PYTHON_TAG = re.compile(r"(?P<major>\d+)(?:\.(?P<minor>\d+))?(?:[.-].*)?")
_REFERENCE = re.compile(r"[a-z0-9][\w.:/-]*(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?", re.ASCII)

_FRAMEWORK = {"tf": "tensorflow", "tf2": "tensorflow", "scikit-learn": "sklearn", "base": "python", "common": "python"}


def local_image(reference: str) -> Image | None:
    """The environment that an image's name stands for, None for any other image.

    Raises InvalidArgument for what cannot be an image's name, Unimplemented for a prebuilt one that needs a TPU or R.
    """
    if _REFERENCE.fullmatch(reference) is None:
        raise InvalidArgument(
            "A container image must be named as REGISTRY/PATH:TAG",
            given=repr(reference[:200]),
            do="give for instance us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6:latest or python:3.11",
        )
    if found := _PREBUILT.fullmatch(reference) or _DEEP_LEARNING.fullmatch(reference):
        return _framework(reference, found)
    if found := _COMPONENTS.fullmatch(reference):
        version = found["tag"] or ""
        return Image("google-cloud-pipeline-components", "components", version if version[:1].isdigit() else "")
    if found := _PYTHON.fullmatch(reference):
        return _python(reference, found["tag"] or "")
    if found := _LINUX.fullmatch(reference):
        return Image(found["name"], "linux")
    return None


def _framework(reference: str, found: re.Match[str]) -> Image:
    framework, device = found["framework"], found["device"] or "cpu"
    if device in ("tpu", "xla") or framework == "r":
        what = "R" if framework == "r" else "a TPU"
        raise Unimplemented(
            "A prebuilt image must be for CPUs or GPUs, and for Python",
            given=f"{reference}, which needs {what}",
            do="use the image of the same framework for CPUs",
        )
    digits = found["python"]
    python = (int(digits[0]), int(digits[1:])) if digits else None
    name = reference.rpartition("/")[2].partition("@")[0].partition(":")[0]
    version = (found["version"] or "").replace("-", ".")
    return Image(name, _FRAMEWORK.get(framework, framework), version, python, device != "cpu")


def _python(reference: str, tag: str) -> Image:
    found = _PYTHON_TAG.fullmatch(tag)
    python = None
    if found and found["minor"]:
        python = (int(found["major"]), int(found["minor"]))
    if found and found["major"] != "3":
        raise Unimplemented("A Python image must be of Python 3", given=reference, do="use python:3.11")
    return Image(f"python:{tag}" if tag else "python", "python", python=python)
