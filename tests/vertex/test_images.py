"""Serving images as names of runtimes, against the list that the SDK knows."""

from __future__ import annotations

import pytest

from tule.vertex.registry.images import runtime_of


def test_every_prebuilt_image_of_the_sdk_names_its_runtime() -> None:
    from google.cloud.aiplatform.constants import prediction

    for known, framework in (
        (prediction.SKLEARN_CONTAINER_URIS, "sklearn"),
        (prediction.XGBOOST_CONTAINER_URIS, "xgboost"),
        (prediction.TF_CONTAINER_URIS, "tensorflow"),
        (prediction.PYTORCH_CONTAINER_URIS, "pytorch"),
    ):
        for uri in known:
            image = runtime_of(uri)
            assert image is not None and image.framework == framework, uri


def test_the_optimized_tensorflow_runtime_and_the_old_registry() -> None:
    optimized = runtime_of("us-docker.pkg.dev/vertex-ai-restricted/prediction/tf_opt-cpu.nightly:latest")
    assert optimized is not None and optimized.framework == "tensorflow"
    old = runtime_of("gcr.io/cloud-aiplatform/prediction/sklearn-cpu.0-22:latest")
    assert old is not None and old.version == "0.22"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "us-docker.pkg.dev/my-project/repo/sklearn-cpu.1-5:latest",
        "evil.example/us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest",
        "us-docker.pkg.dev/vertex-ai/prediction/lightgbm-cpu.3-2:latest",
        "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest\n",
    ],
)
def test_other_images_are_containers_of_their_own(uri: str) -> None:
    assert runtime_of(uri) is None
