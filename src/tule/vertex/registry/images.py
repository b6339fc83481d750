"""Which runtime family a serving image names.

Google's prebuilt prediction images are names here, not containers: each stands for a framework whose model files Tule
loads itself. Any other image is somebody's own container.
https://cloud.google.com/vertex-ai/docs/predictions/pre-built-containers

>>> runtime_of("us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest")
Image(framework='sklearn', accelerator='cpu', version='1.5')
>>> runtime_of("us-docker.pkg.dev/my-project/my-repo/my-image:3") is None
True
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Image(NamedTuple):
    """What a prebuilt image's name says."""

    framework: str
    """``sklearn``, ``xgboost``, ``tensorflow`` or ``pytorch``."""
    accelerator: str
    """``cpu`` or ``gpu``."""
    version: str
    """The framework's version, ``1.5``; ``nightly`` for the optimized TensorFlow runtime."""


_REGISTRY = re.compile(
    r"(?:(?:us|europe|asia)-docker\.pkg\.dev/vertex-ai(?:-restricted)?/(?:prediction|bigquery-ml)"
    r"|(?:(?:us|eu|asia)\.)?gcr\.io/cloud-aiplatform/prediction)"
    r"/(?P<framework>sklearn|xgboost|tf2|tf|tf_opt|pytorch)-(?P<accelerator>cpu|gpu)\.(?P<version>[0-9]+-[0-9x]+|nightly)"
    r"(?:[:@][\w.:+-]+)?"
)
_FAMILY = {"tf": "tensorflow", "tf2": "tensorflow", "tf_opt": "tensorflow"}


def runtime_of(image_uri: str) -> Image | None:
    """The runtime that ``image_uri`` names, None for any image that is not one of Google's prebuilt ones."""
    found = _REGISTRY.fullmatch(image_uri)
    if found is None:
        return None
    framework = found["framework"]
    return Image(_FAMILY.get(framework, framework), found["accelerator"], found["version"].replace("-", "."))
