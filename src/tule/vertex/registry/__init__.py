"""The model registry: versions, aliases, artifacts, evaluations."""

from tule.vertex.registry.artifacts import Artifact, Artifacts
from tule.vertex.registry.export import Exporter
from tule.vertex.registry.fields import KEPT, UPLOADED
from tule.vertex.registry.images import Image, runtime_of
from tule.vertex.registry.models import Models, Version
from tule.vertex.registry.registered import Registry
from tule.vertex.registry.sources import BucketSource

__all__ = [
    "KEPT",
    "UPLOADED",
    "Artifact",
    "Artifacts",
    "BucketSource",
    "Exporter",
    "Image",
    "Models",
    "Registry",
    "Version",
    "runtime_of",
]
