"""Where a pipeline's specification comes from when the request has none: a YAML or JSON file in Cloud Storage."""

from __future__ import annotations

import re
from typing import Any

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.kernel.objects import Objects

_REGISTRY = re.compile(r"https://[a-z0-9-]+-kfp\.pkg\.dev/")
_LARGEST = 16 * 2**20


def fetched(uri: str, objects: Objects) -> dict[str, Any]:
    """The specification at a ``template_uri``; raises NotFound, InvalidArgument and Unimplemented."""
    if _REGISTRY.match(uri):
        raise Unimplemented(
            "Tule does not serve Artifact Registry's pipeline templates",
            given=uri,
            do="give a template_uri in Cloud Storage, gs://BUCKET/PIPELINE.yaml, or the pipeline_spec itself",
        )
    if not uri.startswith("gs://"):
        raise Unimplemented(
            "template_uri must be a file in Cloud Storage: nothing is fetched from elsewhere",
            given=uri,
            do="upload it, and give gs://BUCKET/PIPELINE.yaml",
        )
    bucket, _, key = uri.removeprefix("gs://").partition("/")
    if not key:
        raise InvalidArgument("template_uri must name an object", given=uri, do="give gs://BUCKET/PIPELINE.yaml")
    with objects.open(bucket, key) as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise InvalidArgument("A pipeline template must be at most 16 MiB", given=uri)
    return parsed(content, uri)


def parsed(content: bytes, what: str) -> dict[str, Any]:
    """A specification in YAML or JSON: that of a pipeline, or of a whole job."""
    import yaml

    try:
        documents = [each for each in yaml.safe_load_all(content.decode("utf-8")) if each is not None]
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidArgument(
            "A pipeline template must be YAML or JSON", given=f"{what}: {' '.join(str(error).split())[:300]}"
        ) from None
    if len(documents) > 1:
        raise Unimplemented(
            "Tule does not do platform specifications, the second document of a pipeline template",
            given=what,
            do="leave out what belongs to Kubernetes (kfp-kubernetes)",
        )
    if not documents or not isinstance(documents[0], dict):
        raise InvalidArgument("A pipeline template must be one object", given=what)
    found: dict[str, Any] = documents[0]
    return found.get("pipelineSpec", found)
