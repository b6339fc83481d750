"""What is done with the fields of a Model that somebody uploads."""

from __future__ import annotations

UPLOADED = (
    "display_name", "version_aliases", "labels", "artifact_uri", "container_spec.image_uri", "container_spec.command",
    "container_spec.args", "explanation_spec.parameters.sampled_shapley_attribution.*",
    "explanation_spec.parameters.top_k", "explanation_spec.parameters.output_indices",
    "explanation_spec.metadata.inputs", "explanation_spec.metadata.outputs",
)  # fmt: skip
# What only a container of one's own reads is kept with the model; deploying such a model is refused.
KEPT = (
    "description", "version_description", "container_spec.env.*", "container_spec.ports.*",
    "container_spec.grpc_ports.*", "container_spec.predict_route", "container_spec.health_route",
    "container_spec.invoke_route_prefix", "container_spec.deployment_timeout", "container_spec.shared_memory_size_mb",
    "container_spec.startup_probe.*", "container_spec.health_probe.*", "container_spec.liveness_probe.*",
    "predict_schemata.*", "metadata", "metadata_schema_uri", "pipeline_job",
    "explanation_spec.metadata.feature_attributions_schema_uri",
)  # fmt: skip
