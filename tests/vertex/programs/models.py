"""The model registry through the stock SDK: uploads, versions, aliases, lists, changes, evaluations, copies, deletions."""

from __future__ import annotations

import samples
from google.cloud import aiplatform, storage
from google.protobuf import json_format, struct_pb2
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

transport = samples.start()
first = make_pipeline(StandardScaler(), LogisticRegression()).fit(samples.ROWS, samples.LABELS)
second = LinearRegression().fit(samples.ROWS, samples.LABELS)
model_id = f"tumours-{transport}"
parent = f"projects/test-project/locations/{samples.LOCATION}"

# A local directory: the SDK stages it in the bucket.
with samples.directory({"model.joblib": samples.dumped(first)}) as folder:
    model = aiplatform.Model.upload(
        display_name="tumours",
        artifact_uri=folder,
        serving_container_image_uri=samples.SKLEARN,
        model_id=model_id,
        labels={"team": "red", "carrier": transport},
        description="malignant or not",
        version_aliases=["golden"],
        version_description="logistic",
    )
assert model.resource_name == f"{parent}/models/{model_id}" and model.version_id == "1"
assert model.versioned_resource_name == f"{parent}/models/{model_id}@1"
assert list(model.version_aliases) == ["default", "golden"], model.version_aliases
assert model.display_name == "tumours" and model.description == "malignant or not"
assert model.version_description == "logistic" and model.labels["team"] == "red"
assert model.uri.startswith(f"gs://{samples.BUCKET}/vertex_ai_auto_staging/")
assert model.container_spec.image_uri == samples.SKLEARN
assert model.version_create_time and model.create_time and model.update_time

# A second version from gs://, not the default one.
address = samples.put(f"second-{transport}", {"model.pkl": samples.pickled(second), "notes.txt": b"least squares"})
version = aiplatform.Model.upload(
    display_name="tumours",
    artifact_uri=address,
    serving_container_image_uri=samples.SKLEARN,
    parent_model=model_id,
    is_default_version=False,
    version_aliases=["challenger"],
    labels={"kind": "linear"},
)
assert version.resource_name == model.resource_name and version.version_id == "2"
assert list(version.version_aliases) == ["challenger"]

# By id, by name, by version, by alias.
assert aiplatform.Model(model_id).version_id == "1"
assert aiplatform.Model(model.resource_name, version="challenger").version_id == "2"
assert aiplatform.Model(f"{model.resource_name}@2").version_id == "2"
assert dict(aiplatform.Model(model_id, version="2").labels) == {"team": "red", "carrier": transport, "kind": "linear"}

registry = model.versioning_registry
assert [each.version_id for each in registry.list_versions()] == ["1", "2"]
assert [each.version_id for each in registry.list_versions(filter="labels.kind=linear")] == ["2"]
assert registry.get_version_info("challenger").model_display_name == "tumours"
registry.add_version_aliases(["next", "golden"], version="2")
assert list(registry.get_version_info("2").version_aliases) == ["challenger", "golden", "next"]
assert list(registry.get_version_info("1").version_aliases) == ["default"]
registry.remove_version_aliases(["next"], version="2")
assert list(registry.get_version_info("2").version_aliases) == ["challenger", "golden"]
registry.update_version("2", version_description="linear", labels={"kind": "least-squares"})
assert registry.get_version_info("2").version_description == "linear"
assert aiplatform.Model(model_id, version="2").labels["kind"] == "least-squares"

# A third becomes the default; the registry answers for it under the plain name.
third = aiplatform.Model.upload(
    display_name="tumours", artifact_uri=address, serving_container_image_uri=samples.SKLEARN, parent_model=model_id
)
assert list(third.version_aliases) == ["default"] and aiplatform.Model(model_id).version_id == "3"
registry.add_version_aliases(["default"], version="1")
assert aiplatform.Model(model_id).version_id == "1"
registry.delete_version("3")
assert [each.version_id for each in registry.list_versions()] == ["1", "2"]

model = model.update(display_name="Tumours", description="new words", labels={"team": "blue", "carrier": transport})
assert (model.display_name, model.description, model.labels["team"]) == ("Tumours", "new words", "blue")
assert aiplatform.Model(model_id, version="2").display_name == "Tumours"

# Lists: default versions, filtered and ordered.
other = aiplatform.Model.upload(display_name=f"other {transport}", labels={"carrier": transport})
mine = f"labels.carrier={transport}"
assert [each.name for each in aiplatform.Model.list(filter=mine, order_by="create_time")] == [model_id, other.name]
assert [each.name for each in aiplatform.Model.list(filter=mine, order_by="display_name desc")] == [
    other.name,
    model_id,
]
assert [each.name for each in aiplatform.Model.list(filter=f'{mine} AND display_name="Tumours"')] == [model_id]
assert [each.name for each in aiplatform.Model.list(filter=f"{mine} AND labels.team=blue")] == [model_id]
assert [each.name for each in aiplatform.Model.list(filter=f"model={model_id}")] == [model_id]
assert aiplatform.Model.list(filter=mine, location="europe-west4") == []
pages = model.api_client.list_models(request={"parent": parent, "filter": mine, "page_size": 1})
assert len(list(pages)) == 2

# Evaluations belong to a version.
assert registry.get_model("2").list_model_evaluations() == []
metrics = json_format.ParseDict({"auRoc": 0.99, "logLoss": 0.1}, struct_pb2.Value())
imported = model.api_client.import_model_evaluation(
    parent=f"{model.resource_name}@1",
    model_evaluation={
        "display_name": "holdout",
        "metrics": metrics,
        "metrics_schema_uri": "gs://google-cloud-aiplatform/schema/modelevaluation/classification_metrics_1.0.0.yaml",
    },
)
(evaluation,) = model.list_model_evaluations()
assert evaluation.resource_name == imported.name and evaluation.display_name == "holdout"
assert dict(evaluation.metrics)["auRoc"] == 0.99
assert model.get_model_evaluation().resource_name == imported.name
assert model.get_model_evaluation(evaluation_id=evaluation.name).metrics["logLoss"] == 0.1

# Files go out as they came in.
assert list(model.supported_export_formats) == ["custom-trained"]
exported = version.export_model(
    export_format_id="custom-trained", artifact_destination=f"gs://{samples.BUCKET}/out-{transport}"
)
prefix = exported["artifactOutputUri"].removeprefix(f"gs://{samples.BUCKET}/")
blobs = {
    blob.name.removeprefix(f"{prefix}/"): blob.download_as_bytes()
    for blob in storage.Client(project="test-project").list_blobs(samples.BUCKET, prefix=prefix)
}
assert blobs == {"model.pkl": samples.pickled(second), "notes.txt": b"least squares"}, list(blobs)

copy = version.copy(destination_location="europe-west4", destination_model_id=f"copy-{transport}")
assert copy.resource_name == f"projects/test-project/locations/europe-west4/models/copy-{transport}"
assert aiplatform.Model(copy.resource_name).display_name == "Tumours"
copy.delete()

samples.refused(lambda: registry.delete_version("1"), "The default version cannot be deleted")
registry.delete_version("challenger")
samples.refused(lambda: registry.get_version_info("2"), "The version or alias must exist", f"{model_id}@2")
model.delete()
samples.refused(lambda: aiplatform.Model(model_id), "The model must exist", model_id)
other.delete()
assert aiplatform.Model.list(filter=mine) == []
