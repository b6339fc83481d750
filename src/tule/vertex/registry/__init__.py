"""The model registry: versions, aliases, artifacts, evaluations."""

from tule.vertex.registry.artifacts import Artifact, Artifacts
from tule.vertex.registry.images import Image, runtime_of
from tule.vertex.registry.models import Models, Version

__all__ = ["Artifact", "Artifacts", "Image", "Models", "Version", "runtime_of"]
