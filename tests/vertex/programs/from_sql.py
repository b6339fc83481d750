"""Models trained in SQL: in the registry with their evaluation, deployed, explained, exported and uploaded again."""

from __future__ import annotations

import samples
from google.cloud import aiplatform, bigquery

samples.start()
client = bigquery.Client(project="test-project")
client.create_dataset("birds", exists_ok=True)
PENGUINS = "(SELECT * FROM `bigquery-public-data.ml_datasets.penguins` WHERE body_mass_g IS NOT NULL)"
REGISTERED = "MODEL_REGISTRY = 'VERTEX_AI', VERTEX_AI_MODEL_ID = 'mass'"


def sql(text: str) -> list[bigquery.Row]:
    return list(client.query_and_wait(text))


def train(name: str, options: str) -> None:
    sql(
        f"CREATE OR REPLACE MODEL birds.{name} OPTIONS(INPUT_LABEL_COLS = ['body_mass_g'], {options}) "
        f"AS SELECT * FROM {PENGUINS}"
    )


train("linear", f"MODEL_TYPE = 'LINEAR_REG', {REGISTERED}, VERTEX_AI_MODEL_VERSION_ALIASES = ['plain']")
train("trees", f"MODEL_TYPE = 'BOOSTED_TREE_REGRESSOR', MAX_ITERATIONS = 10, {REGISTERED}")

# Two versions of one model, each with what it was evaluated to be.
versions = aiplatform.Model("mass").versioning_registry.list_versions()
assert [each.version_id for each in versions] == ["1", "2"] and "plain" in versions[0].version_aliases
plain, trees = (aiplatform.Model("mass", version=number) for number in ("1", "2"))
measured = plain.get_model_evaluation().metrics
(evaluated,) = sql("SELECT mean_squared_error, r2_score FROM ML.EVALUATE(MODEL birds.linear)")
assert abs(measured["meanSquaredError"] / evaluated.mean_squared_error - 1) < 1e-9

endpoint = aiplatform.Endpoint.create(display_name="birds")
endpoint.deploy(plain, deployed_model_display_name="linear")
endpoint.deploy(trees, deployed_model_display_name="trees", traffic_percentage=50)
ids = {each.display_name: each.id for each in endpoint.list_models()}
rows = sql(f"SELECT * EXCEPT (body_mass_g) FROM {PENGUINS} ORDER BY body_mass_g, culmen_depth_mm, island LIMIT 60")
instances = [dict(row.items()) for row in rows]
in_sql = {
    name: [
        row.predicted_body_mass_g
        for row in sql(
            f"SELECT predicted_body_mass_g FROM ML.PREDICT(MODEL birds.{name}, {PENGUINS}) "
            "ORDER BY body_mass_g, culmen_depth_mm, island LIMIT 60"
        )
    ]
    for name in ids
}
for transport in ("grpc", "rest"):
    aiplatform.init(api_transport=None if transport == "grpc" else transport)
    asked = aiplatform.Endpoint(endpoint.resource_name)
    seen = set()
    for _ in range(6):
        found = asked.predict(instances)
        name = {number: name for name, number in ids.items()}[found.deployed_model_id]
        seen.add(name)
        for row, each, value in zip(instances, found.predictions, in_sql[name], strict=True):
            assert each["predicted_body_mass_g"] == [value], (transport, name, row, each, value)
    assert seen == {"linear", "trees"}
    for name, number in ids.items():
        explained = asked.explain(instances[:3], deployed_model_id=number)
        wanted = sql(
            f"SELECT * FROM ML.EXPLAIN_PREDICT(MODEL birds.{name}, {PENGUINS}, STRUCT(7 AS top_k_features)) "
            "ORDER BY body_mass_g, culmen_depth_mm, island LIMIT 3"
        )
        for explanation, row in zip(explained.explanations, wanted, strict=True):
            (attribution,) = explanation.attributions
            assert abs(attribution.baseline_output_value - row.baseline_prediction_value) < 1e-6
            assert abs(attribution.instance_output_value - row.prediction_value) < 1e-6
            for each in row.top_feature_attributions:
                assert abs(attribution.feature_attributions[each["feature"]] - each["attribution"]) < 1e-6
samples.refused(lambda: endpoint.predict([{"island": "Dream"}]), "must have the column", "Instance 0")
samples.refused(lambda: endpoint.predict([{**instances[0], "culmen_depth_mm": "deep"}]), "culmen_depth_mm", "'deep'")

# Classes and their probabilities are those of SQL too, to the last bit.
for label, kind in (("sex", "two"), ("species", "three")):
    known = f"(SELECT * FROM {PENGUINS} WHERE {label} IN ('MALE', 'FEMALE') OR '{label}' = 'species')"
    sql(
        f"CREATE OR REPLACE MODEL birds.{kind} OPTIONS(MODEL_TYPE = 'LOGISTIC_REG', INPUT_LABEL_COLS = ['{label}'], "
        f"MODEL_REGISTRY = 'VERTEX_AI') AS SELECT * FROM {known}"
    )
    classifier = aiplatform.Model(kind)
    served = classifier.deploy()
    order = "ORDER BY body_mass_g, culmen_depth_mm, culmen_length_mm, island"
    given = [dict(row.items()) for row in sql(f"SELECT * EXCEPT ({label}) FROM {known} {order}")]
    wanted = sql(f"SELECT * FROM ML.PREDICT(MODEL birds.{kind}, {known}) {order}")
    for answer, row in zip(served.predict(given).predictions, wanted, strict=True):
        assert answer[f"predicted_{label}"] == [row[f"predicted_{label}"]]
        chances = row[f"predicted_{label}_probs"]
        assert answer[f"{label}_probs"] == [each["prob"] for each in chances], (answer, chances)
        assert answer[f"{label}_values"] == [each["label"] for each in chances]
    served.delete(force=True)
    client.delete_model(f"birds.{kind}")

# A bundle that was exported comes back as a model of its own, and answers alike.
exported = trees.export_model(
    export_format_id="custom-trained", artifact_destination=f"gs://{samples.BUCKET}/exported-trees"
)
again = aiplatform.Model.upload(
    display_name="again",
    artifact_uri=exported["artifactOutputUri"],
    serving_container_image_uri=samples.XGBOOST,
)
other = again.deploy()
assert [each["predicted_body_mass_g"] for each in other.predict(instances).predictions] == [
    [value] for value in in_sql["trees"]
]
other.delete(force=True)
again.delete()
samples.refused(lambda: client.delete_model("birds.trees"), "deployed")
endpoint.delete(force=True)
client.delete_model("birds.trees")
assert [each.version_id for each in aiplatform.Model("mass").versioning_registry.list_versions()] == ["1"]
client.delete_model("birds.linear")
samples.refused(lambda: aiplatform.Model("mass"), "The model must exist")
