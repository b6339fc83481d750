"""Endpoints through the stock SDK: creation, deployment, traffic, predictions in every way, explanations, deletion."""

from __future__ import annotations

import json
from collections import Counter

import samples
from google.cloud import aiplatform
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

transport = samples.start()
rows, some = samples.ROWS, samples.ROWS[:7].tolist()
labels = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, samples.LABELS)
scores = LinearRegression().fit(rows, samples.LABELS)
model_id = f"scored-{transport}"
for estimator in (labels, scores):
    address = samples.put(f"{model_id}-{type(estimator).__name__}", {"model.joblib": samples.dumped(estimator)})
    version = aiplatform.Model.upload(
        display_name="scored",
        artifact_uri=address,
        serving_container_image_uri=samples.SKLEARN,
        **({"model_id": model_id} if estimator is labels else {"parent_model": model_id, "is_default_version": False}),
    )
model = aiplatform.Model(model_id)

# The endpoint itself.
endpoint = aiplatform.Endpoint.create(
    display_name="first name", description="words", labels={"carrier": transport}, endpoint_id=f"e-{transport}"
)
parent = f"projects/test-project/locations/{samples.LOCATION}"
assert endpoint.resource_name == f"{parent}/endpoints/e-{transport}"
assert endpoint.traffic_split == {} and endpoint.list_models() == []
samples.refused(lambda: endpoint.predict(some), "must send its traffic to a deployed model", "has no deployed model")
endpoint.update(display_name="scores", description="new words", labels={"carrier": transport, "stage": "test"})
assert (endpoint.display_name, endpoint.gca_resource.description) == ("scores", "new words")
mine = f"labels.carrier={transport}"
assert [each.name for each in aiplatform.Endpoint.list(filter=mine)] == [f"e-{transport}"]
assert [each.name for each in aiplatform.Endpoint.list(filter=f'{mine} AND display_name="scores"')] == [endpoint.name]
assert aiplatform.Endpoint.list(filter=f'{mine} AND display_name="first name"') == []
assert aiplatform.Endpoint(endpoint.name).display_name == "scores"

# One model takes all the traffic.
answer = model.deploy(endpoint=endpoint, machine_type="n1-standard-4", deployed_model_display_name="labels")
assert answer.resource_name == endpoint.resource_name
(deployed,) = endpoint.list_models()
assert (deployed.display_name, deployed.model, deployed.model_version_id) == ("labels", model.resource_name, "1")
assert deployed.dedicated_resources.machine_spec.machine_type == "n1-standard-4"
assert endpoint.traffic_split == {deployed.id: 100}
assert [each.deployed_model_id for each in aiplatform.Model(model_id).gca_resource.deployed_models] == [deployed.id]
found = endpoint.predict(some)
assert found.predictions == labels.predict(rows[:7]).tolist()
assert (found.deployed_model_id, found.model_resource_name, found.model_version_id) == (
    deployed.id, model.resource_name, "1",
)  # fmt: skip

# Raw requests, in both ways the SDK has.
raw = endpoint.raw_predict(json.dumps({"instances": some}).encode(), {"Content-Type": "application/json"})
assert raw.status_code == 200 and raw.json()["predictions"] == labels.predict(rows[:7]).tolist()
assert raw.headers["X-Vertex-AI-Deployed-Model-Id"] == deployed.id
again = endpoint.predict(some, use_raw_predict=True)
assert again.predictions == found.predictions and again.model_version_id == "1"

# A second version beside it takes a third; every request is dealt, and answered by what it says.
endpoint.deploy(
    version,
    traffic_percentage=34,
    deployed_model_display_name="scores",
    min_replica_count=1,
    max_replica_count=2,
    explanation_metadata=aiplatform.explain.ExplanationMetadata(
        inputs={"cells": {"index_feature_mapping": [f"f{n}" for n in range(30)], "encoding": "BAG_OF_FEATURES"}},
        outputs={"score": {}},
    ),
    explanation_parameters=aiplatform.explain.ExplanationParameters({"sampled_shapley_attribution": {"path_count": 7}}),
)
second = next(each for each in endpoint.list_models() if each.display_name == "scores")
assert endpoint.traffic_split == {deployed.id: 66, second.id: 34}
truth = {"1": labels.predict(rows[:1]).tolist(), "2": scores.predict(rows[:1]).tolist()}
seen: Counter[str] = Counter()
for _ in range(400):
    found = endpoint.predict(some[:1])
    assert found.predictions == truth[found.model_version_id]
    assert found.deployed_model_id == {"1": deployed.id, "2": second.id}[found.model_version_id]
    seen[found.model_version_id] += 1
assert abs(seen["1"] - 264) <= 4 and abs(seen["2"] - 136) <= 4, seen

# Explanations: a linear model's are its coefficients times the distance from the baseline, here zero.
explained = endpoint.explain(some[:2], deployed_model_id=second.id)
assert explained.predictions == scores.predict(rows[:2]).tolist() and explained.deployed_model_id == second.id
for explanation, row in zip(explained.explanations, rows[:2], strict=True):
    (attribution,) = explanation.attributions
    assert attribution.output_name == "score"
    assert abs(attribution.baseline_output_value - scores.intercept_) < 1e-9
    for name, value, weight in zip([f"f{n}" for n in range(30)], row, scores.coef_, strict=True):
        assert abs(attribution.feature_attributions[name] - value * weight) < 1e-9
    total = attribution.baseline_output_value + sum(attribution.feature_attributions.values())
    assert abs(total - attribution.instance_output_value) < 1e-9
samples.refused(
    lambda: endpoint.explain(some[:1], deployed_model_id=deployed.id), "must have an explanation method", "given: no"
)

# The split is moved by an update, and the empty version can go.
endpoint.update(traffic_split={second.id: 100})
assert {endpoint.predict(some[:1]).model_version_id for _ in range(20)} == {"2"}
samples.refused(lambda: model.delete(), "must be undeployed", endpoint.resource_name, deployed.id)
samples.refused(lambda: endpoint.delete(), "no deployed models", f"{deployed.id} (labels), {second.id} (scores)")
endpoint.undeploy(deployed.id)
assert [each.id for each in endpoint.list_models()] == [second.id] and endpoint.traffic_split == {second.id: 100}
endpoint.undeploy_all()
assert endpoint.list_models() == [] and endpoint.traffic_split == {}
samples.refused(lambda: endpoint.predict(some), "has no deployed model")
assert list(aiplatform.Model(model_id).gca_resource.deployed_models) == []

# A model that is deployed without an endpoint makes one; a dedicated one answers under its own DNS name.
made = model.deploy()
assert made.display_name == "scored_endpoint" and made.predict(some).predictions == labels.predict(rows[:7]).tolist()
made.delete(force=True)
dedicated = aiplatform.Endpoint.create(display_name="own", dedicated_endpoint_enabled=True, inference_timeout=30)
dedicated.deploy(model)
assert dedicated.dedicated_endpoint_dns
assert dedicated.predict(some).predictions == labels.predict(rows[:7]).tolist()
dedicated.delete(force=True)
endpoint.delete()
samples.refused(lambda: aiplatform.Endpoint(endpoint.name).display_name, "The endpoint must exist")
assert aiplatform.Endpoint.list(filter=mine) == []
model.delete()
