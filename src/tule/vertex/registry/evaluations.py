"""What is kept of a ModelEvaluation message: the figures somebody measured, as they were measured."""

STORED = (
    "display_name", "metrics_schema_uri", "metrics", "slice_dimensions", "data_item_schema_uri",
    "annotation_schema_uri", "model_explanation.*", "explanation_specs.*", "metadata", "bias_configs.*",
)  # fmt: skip
"""Fields that ImportModelEvaluation keeps; a client reads them back as they are."""

METRICS_SCHEMAS = {
    "classification": "gs://google-cloud-aiplatform/schema/modelevaluation/classification_metrics_1.0.0.yaml",
    "regression": "gs://google-cloud-aiplatform/schema/modelevaluation/regression_metrics_1.0.0.yaml",
}
"""Google's names of the metric schemas, by problem."""
