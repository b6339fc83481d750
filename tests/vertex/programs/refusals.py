"""What the registry and endpoints refuse, in which words, and what is there afterwards."""

from __future__ import annotations

import samples
from google.cloud import aiplatform, aiplatform_v1
from sklearn.linear_model import LinearRegression

transport = samples.start()
parent = f"projects/test-project/locations/{samples.LOCATION}"
good = samples.dumped(LinearRegression().fit(samples.ROWS[:, :4], samples.LABELS))
mine = f"labels.refusals={transport}"
rest = transport == "rest"


def upload(folder: str, image: str = samples.SKLEARN, **more: object) -> aiplatform.Model:
    return aiplatform.Model.upload(
        display_name="refused", artifact_uri=f"gs://{samples.BUCKET}/{folder}-{transport}",
        serving_container_image_uri=image, labels={"refusals": transport}, **more,
    )  # fmt: skip


def put(folder: str, files: dict[str, bytes]) -> None:
    samples.put(f"{folder}-{transport}", files)


# Artifact directories with no model, two, another framework's, none at all.
put("none", {"notes.txt": b"x"})
put("two", {"model.joblib": good, "model.pkl": good})
put("other", {"model.bst": b"x"})
put("deep", {"v1/model.joblib": good})
samples.refused(lambda: upload("none"), "exactly one of model.joblib, model.pkl", "given: notes.txt in gs://")
samples.refused(lambda: upload("two"), "must hold one model", "model.joblib and model.pkl")
samples.refused(lambda: upload("other"), "model.bst belongs to another framework")
samples.refused(lambda: upload("deep"), "give the directory that holds v1/model.joblib")
samples.refused(lambda: upload("nothing"), f"no object under gs://{samples.BUCKET}/nothing-{transport}")
samples.refused(
    lambda: aiplatform.Model.upload(
        display_name="x", artifact_uri="gs://no-such-bucket/x", serving_container_image_uri=samples.SKLEARN
    ),
    "no-such-bucket",
)
assert aiplatform.Model.list(filter=mine) == []

# Names, parents, fields that are not done.
put("good", {"model.joblib": good})
samples.refused(lambda: upload("good", parent_model="nothere"), "The model must exist", f"{parent}/models/nothere")
samples.refused(lambda: upload("good", model_id="9bad"), "A model id must have 1 to 63 characters", "9bad")
samples.refused(lambda: upload("good", version_aliases=["No good"]), "A version alias must match", "'No good'")
samples.refused(
    lambda: upload("good", encryption_spec_key_name=f"{parent}/keyRings/a/cryptoKeys/b"),
    "Tule does not do model.encryption_spec.kms_key_name of UploadModel",
)
assert aiplatform.Model.list(filter=mine) == []
model = upload("good", model_id=f"good-{transport}")
samples.refused(lambda: upload("good", model_id=model.name), "The model id must be free", "give it as parent_model")
assert [each.version_id for each in model.versioning_registry.list_versions()] == ["1"]

# An editor whose copy is stale.
client = aiplatform_v1.ModelServiceClient(
    transport=transport, client_options={"api_endpoint": f"{samples.LOCATION}-aiplatform.googleapis.com"}
)
stale = client.get_model(name=model.resource_name)
model.update(description="newer")
stale.description = "older"
samples.refused(
    lambda: client.update_model(model=stale, update_mask={"paths": ["description"]}), "somebody changed the model"
)
assert aiplatform.Model(model.name).description == "newer"
samples.refused(
    lambda: client.update_model(model=client.get_model(name=model.resource_name), update_mask={"paths": ["artifact_uri"]}),
    "An update of a model must name only", "artifactUri",
)  # fmt: skip

# Endpoints: stale copies, other places, splits.
endpoint = aiplatform.Endpoint.create(display_name="refusals", labels={"refusals": transport})
endpoints = aiplatform_v1.EndpointServiceClient(
    transport=transport, client_options={"api_endpoint": f"{samples.LOCATION}-aiplatform.googleapis.com"}
)
stale = endpoints.get_endpoint(name=endpoint.resource_name)
endpoint.update(display_name="renamed")
stale.display_name = "older"
samples.refused(lambda: endpoints.update_endpoint(endpoint=stale, update_mask={"paths": ["display_name"]}), "etag")
assert aiplatform.Endpoint(endpoint.name).display_name == "renamed"
for place in (
    f"projects/test-project/locations/europe-west4/endpoints/{endpoint.name}",
    f"projects/other-project/locations/{samples.LOCATION}/endpoints/{endpoint.name}",
):
    elsewhere = aiplatform.Endpoint(place)
    samples.refused(lambda elsewhere=elsewhere: elsewhere.predict([[1.0] * 4]), "The endpoint must exist", place)
    samples.refused(lambda elsewhere=elsewhere: elsewhere.gca_resource, "The endpoint must exist", place)
samples.refused(
    lambda: endpoints.create_endpoint(
        parent=parent, endpoint={"display_name": "x", "traffic_split": {"7": 100}}
    ).result(),
    "A new endpoint has no deployed model to send traffic to",
)
samples.refused(
    lambda: endpoints.create_endpoint(parent=parent, endpoint={}).result(), "An endpoint must have a display name"
)
samples.refused(
    lambda: endpoints.create_endpoint(
        parent=parent, endpoint={"display_name": "x", "network": "projects/1/global/networks/vpc"}
    ).result(),
    "Tule does not do endpoint.network of CreateEndpoint",
)


def deploy(split: dict[str, int], **fields: object) -> object:
    return endpoints.deploy_model(
        endpoint=endpoint.resource_name,
        deployed_model={"model": model.resource_name, "dedicated_resources": {"min_replica_count": 1}, **fields},
        traffic_split=split,
    ).result(timeout=90)


samples.refused(lambda: deploy({"0": 99}), "must add up to 100", "given: 99 (0: 99)")
samples.refused(lambda: deploy({"0": 50, "77": 50}), "must name models that are deployed to the endpoint", "given: 77")
samples.refused(lambda: deploy({"0": 100}, model=f"{parent}/models/nothere"), "The model must exist", "nothere")
samples.refused(lambda: deploy({"0": 100}, model=f"{model.resource_name}@9"), "The version or alias must exist", "@9")
samples.refused(lambda: deploy({"0": 100}, id="x1"), "A deployed model id must be 1 to 10 digits", "'x1'")
samples.refused(
    lambda: deploy({"0": 100}, dedicated_resources={"machine_spec": {"accelerator_type": 1, "accelerator_count": 1}}),
    "Tule does not do deployed_model.dedicated_resources.machine_spec.accelerator",
)
samples.refused(
    lambda: deploy({"0": 100}, explanation_spec={"parameters": {"xrai_attribution": {"step_count": 3}}}),
    "xrai_attribution",
)
samples.refused(lambda: deploy({"0": 100}, dedicated_resources={"min_replica_count": 99}), "<= 16")
assert endpoint.list_models() == [] and endpoint.traffic_split == {}

# Two deployments; a split that is wrong leaves the old one.
deploy({"0": 100}, id="1")
deploy({"0": 40, "1": 60}, id="2")
samples.refused(lambda: endpoint.update(display_name="from before"), "etag")
endpoint = aiplatform.Endpoint(endpoint.name)
samples.refused(lambda: deploy({"0": 100}, id="2"), "The deployed model id must be free on the endpoint")
samples.refused(lambda: endpoint.update(traffic_split={"1": 50, "2": 40}), "must add up to 100", "given: 90")
samples.refused(lambda: endpoint.update(traffic_split={"1": 50, "3": 50}), "given: 3", "use these ids: 1, 2")
samples.refused(
    lambda: endpoints.undeploy_model(endpoint=endpoint.resource_name, deployed_model_id="1").result(),
    "must have no traffic when it is undeployed", "1 has 60 %",
)  # fmt: skip
samples.refused(
    lambda: endpoints.undeploy_model(endpoint=endpoint.resource_name, deployed_model_id="9").result(),
    "The deployed model must exist on the endpoint", "use one of 1, 2",
)  # fmt: skip
samples.refused(lambda: model.delete(), "must be undeployed", "(deployed model 1)", "(deployed model 2)")
samples.refused(lambda: endpoint.delete(), "must have no deployed models", "1 (refused), 2 (refused)")
samples.refused(lambda: endpoint.explain([[1.0] * 4], deployed_model_id="9"), "use one of 1, 2")
assert aiplatform.Endpoint(endpoint.name).traffic_split == {"1": 60, "2": 40}
assert endpoint.predict([[0.0] * 4]).predictions

# Instances that the model cannot take.
samples.refused(lambda: endpoint.predict([]), "must have a list of instances")
samples.refused(lambda: endpoint.predict([[1.0]]), "Instance 0 must have 4 numbers", "given: 1")
samples.refused(lambda: endpoint.predict([[1.0] * 4, [1.0] * 5]), "Instance 1 must have 4 numbers", "given: 5")
samples.refused(lambda: endpoint.predict([["a", 1, 1, 1]]), "value 0 must be a number", "'a'")
samples.refused(lambda: endpoint.predict([{"a": 1}]), "the model has no feature names")
samples.refused(lambda: endpoint.predict([7]), "Instance 0 must be a list of 4 numbers")
samples.refused(lambda: endpoint.predict([[None, 1, 1, 1]]), "must not hold null")
samples.refused(lambda: endpoint.predict([[1.0] * 4], parameters={"a": 1}), "take no parameters")
assert len(endpoint.predict([[1.0] * 4] * 50).predictions) == 50

# Models that cannot be served say why, and change nothing.
cases = {
    "custom": (
        "gcr.io/test-project/mine:1",
        {"weights.bin": b"x"},
        ["needs a container engine", "gcr.io/test-project"],
    ),
    "torch": (samples.PYTORCH, {"model.mar": b"x"}, ["TorchServe"]),
    "corrupt": (
        samples.SKLEARN,
        {"model.joblib": b"not a joblib file"},
        ["The model file must open", "model.joblib raised"],
    ),
    "booster": (samples.XGBOOST, {"model.bst": b"{not a booster"}, ["The model file must open", "model.bst raised"]),
    "raises": (samples.SKLEARN, {"model.pkl": samples.pickled(samples.Calls("1/0"))}, ["ZeroDivisionError"]),
    "socket": (
        samples.SKLEARN,
        {"model.pkl": samples.pickled(samples.Calls("__import__('socket').create_connection(('127.0.0.1', 80))"))},
        ["must open without trying to open a socket", "socket."],
    ),
    "forks": (
        samples.SKLEARN,
        {"model.pkl": samples.pickled(samples.Calls("__import__('os').fork()"))},
        ["must open without trying to start a process", "os.fork()"],
    ),
    "dict": (samples.SKLEARN, {"model.pkl": samples.pickled({"a": 1})}, ["must hold an object with a predict method"]),
}
try:
    import tensorflow  # noqa: F401
except ImportError:
    cases["saved"] = (samples.TENSORFLOW, {"saved_model.pb": b"x"}, ["needs TensorFlow", "pip install tensorflow-cpu"])
before = endpoints.get_endpoint(name=endpoint.resource_name)
for name, (image, files, words) in cases.items():
    put(name, files)
    broken = upload(name, image)
    samples.refused(lambda broken=broken: deploy({"0": 50, "1": 50}, model=broken.resource_name), *words)
    broken.delete()
assert endpoints.get_endpoint(name=endpoint.resource_name) == before

endpoint.delete(force=True)
model.delete()
assert aiplatform.Model.list(filter=mine) == [] and aiplatform.Endpoint.list(filter=mine) == []
