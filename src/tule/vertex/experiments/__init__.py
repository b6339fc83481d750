"""Experiments, their runs, and the lineage of what they made: metadata stores of Vertex AI."""

from tule.vertex.experiments.lineage import Lineage
from tule.vertex.experiments.metadata import Metadata
from tule.vertex.experiments.nodes import ARTIFACT, CONTEXT, EXECUTION, Kind
from tule.vertex.experiments.provenance import Provenance

__all__ = ["ARTIFACT", "CONTEXT", "EXECUTION", "Kind", "Lineage", "Metadata", "Provenance"]
