"""BigQuery ML through Google's stock clients: trained in SQL, read by the BigQuery client, served by Vertex AI's."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.clients

Exec = Callable[..., subprocess.CompletedProcess[str]]

PROGRAM = """
from google.api_core import exceptions
from google.cloud import bigquery

client = bigquery.Client()
client.create_dataset("zoo", exists_ok=True)
PENGUINS = "`bigquery-public-data.ml_datasets.penguins`"


def run(sql, **config):
    return list(client.query(sql, job_config=bigquery.QueryJobConfig(**config)).result())


# CREATE MODEL is a job that returns no rows, and says what it did
job = client.query(f\"\"\"CREATE MODEL zoo.species
  TRANSFORM(ML.STANDARD_SCALER(culmen_length_mm) OVER() AS length, ML.QUANTILE_BUCKETIZE(body_mass_g, 5) OVER() AS mass,
            island, species)
  OPTIONS(MODEL_TYPE='LOGISTIC_REG', INPUT_LABEL_COLS=['species'], L2_REG=0.01) AS SELECT * FROM {PENGUINS}\"\"\")
assert list(job.result()) == [] and job.statement_type == "CREATE_MODEL" and job.ddl_operation_performed == "CREATE"
assert job.ddl_target_table.table_id == "species"

model = client.get_model("zoo.species")
assert model.model_type == "LOGISTIC_REGRESSION" and model.model_id == "species" and model.location == "US"
assert [c.name for c in model.feature_columns] == ["culmen_length_mm", "body_mass_g", "island"]
assert [c.name for c in model.label_columns] == ["predicted_species"]
assert [c.name for c in model.transform_columns] == ["length", "mass", "island"]
assert model.training_runs[0]["trainingOptions"]["inputLabelColumns"] == ["species"]
assert model.created is not None and model.etag

assert [m.model_id for m in client.list_models("zoo")] == ["species"]
model.description, model.labels = "penguins", {"team": "birds"}
model = client.update_model(model, ["description", "labels"])
assert client.get_model("zoo.species").description == "penguins" and model.labels == {"team": "birds"}
stale = bigquery.Model.from_api_repr({**model.to_api_repr(), "etag": "old"})
try:
    client.update_model(stale, ["description"])
    raise SystemExit("a stale etag must be refused")
except exceptions.PreconditionFailed:
    pass

# functions, with their types
rows = run(f"SELECT * FROM ML.PREDICT(MODEL zoo.species, (SELECT * FROM {PENGUINS} LIMIT 5))")
assert list(rows[0].keys())[:2] == ["predicted_species", "predicted_species_probs"]
assert abs(sum(p["prob"] for p in rows[0]["predicted_species_probs"]) - 1) < 1e-9
(evaluated,) = run("SELECT * FROM ML.EVALUATE(MODEL zoo.species)")
assert evaluated["accuracy"] > 0.9
parameter = bigquery.ScalarQueryParameter("limit", "FLOAT64", 4000.0)
heavy = f"(SELECT * FROM {PENGUINS} WHERE body_mass_g > @limit)"
counted = run(f"SELECT COUNT(*) AS n FROM ML.PREDICT(MODEL zoo.species, {heavy})", query_parameters=[parameter])
assert counted[0].n == 172, counted
three = f"(SELECT * FROM {PENGUINS} LIMIT 3)"
frame = client.query(f"SELECT * FROM ML.EXPLAIN_PREDICT(MODEL zoo.species, {three})").to_dataframe()
assert list(frame.columns[:3]) == ["predicted_species", "probability", "top_feature_attributions"] and len(frame) == 3
looked = bigquery.QueryJobConfig(dry_run=True)
dry = client.query(f"SELECT * FROM ML.PREDICT(MODEL zoo.species, TABLE {PENGUINS})", job_config=looked)
assert dry.schema[0].name == "predicted_species"

# errors are the client's own exceptions, at once
for sql, kind, words in [
    ("CREATE MODEL zoo.species OPTIONS(MODEL_TYPE='LINEAR_REG') AS SELECT 1 AS x, 2 AS label", exceptions.Conflict,
     "Already Exists: Model"),
    ("SELECT * FROM ML.PREDICT(MODEL zoo.nothing, (SELECT 1 AS x))", exceptions.NotFound, "Not found: Model"),
    ("SELECT * FROM ML.PREDICT(MODEL zoo.species, (SELECT 1 AS x))", exceptions.BadRequest, "The data must have the column"),
    ("CREATE MODEL zoo.bad OPTIONS(MODEL_TYPE='LINEAR_REG') AS SELECT 1 AS x", exceptions.BadRequest,
     "The label column must be one of"),
]:
    try:
        run(sql)
        raise SystemExit(f"must fail: {sql}")
    except kind as error:
        assert words in str(error), error

# an extract of trees, and a default format that cannot be
options = "MODEL_TYPE='BOOSTED_TREE_REGRESSOR', INPUT_LABEL_COLS=['body_mass_g'], MAX_ITERATIONS=3"
run(f"CREATE MODEL zoo.mass OPTIONS({options}) AS SELECT * FROM {PENGUINS} WHERE body_mass_g > 0")
from google.cloud import storage
bucket = storage.Client().create_bucket("zoo-exports")
config = bigquery.ExtractJobConfig(destination_format="ML_XGBOOST_BOOSTER")
mass = client.get_model("zoo.mass").reference
client.extract_table(mass, "gs://zoo-exports/mass", source_type="Model", job_config=config).result()
assert "mass/model.bst" in {blob.name for blob in bucket.list_blobs()}
try:
    client.extract_table(mass, "gs://zoo-exports/mass", source_type="Model").result()
    raise SystemExit("a SavedModel must be refused")
except exceptions.GoogleAPICallError as error:
    assert "TensorFlow" in str(error)

client.delete_model("zoo.mass")
try:
    client.get_model("zoo.mass")
    raise SystemExit("the model must be gone")
except exceptions.NotFound:
    pass
client.delete_model("zoo.mass", not_found_ok=True)
print("fine")
"""

SERVED = """
from google.cloud import aiplatform, bigquery

client = bigquery.Client()
client.create_dataset("served", exists_ok=True)
PENGUINS = "`bigquery-public-data.ml_datasets.penguins`"
client.query(f\"\"\"CREATE MODEL served.sexes
  TRANSFORM(ML.STANDARD_SCALER(body_mass_g) OVER() AS mass, ML.FEATURE_CROSS(STRUCT(island, species)) AS crossed,
            culmen_depth_mm, sex)
  OPTIONS(MODEL_TYPE='BOOSTED_TREE_CLASSIFIER', INPUT_LABEL_COLS=['sex'], MAX_ITERATIONS=5, MODEL_REGISTRY='VERTEX_AI',
          VERTEX_AI_MODEL_ID='sexes', VERTEX_AI_MODEL_VERSION_ALIASES=['birds'])
  AS SELECT * FROM {PENGUINS} WHERE sex IN ('MALE', 'FEMALE')\"\"\").result()

aiplatform.init(location="us-central1")
model = aiplatform.Model("sexes@birds")
assert model.version_id == "1" and model.display_name == "sexes"
endpoint = model.deploy(machine_type="n1-standard-2")

# raw rows online, the same rows in SQL: one answer
order = "ORDER BY body_mass_g, culmen_depth_mm, island LIMIT 50"
raw = f"SELECT * EXCEPT (sex, culmen_length_mm, flipper_length_mm) FROM {PENGUINS} WHERE body_mass_g > 0 {order}"
rows = list(client.query(raw).result())
instances = [dict(row.items()) for row in rows]
online = endpoint.predict(instances=instances).predictions
measured = f"(SELECT * FROM {PENGUINS} WHERE body_mass_g > 0)"
predicted = f"SELECT predicted_sex, predicted_sex_probs FROM ML.PREDICT(MODEL served.sexes, {measured}) {order}"
found = client.query(predicted).result()
for answer, row in zip(online, found, strict=True):
    assert answer["predicted_sex"] == [row["predicted_sex"]], (answer, row)
    assert answer["sex_probs"] == [each["prob"] for each in row["predicted_sex_probs"]], (answer, row)
alone = endpoint.predict(instances=instances[:1]).predictions
assert alone[0] == online[0]

try:
    endpoint.predict(instances=[{"island": "Dream"}])
    raise SystemExit("a missing column must be named")
except Exception as error:
    assert "must have the column" in str(error), error
explained = endpoint.explain(instances=instances[:1])
assert len(explained.explanations) == 1

# what is served stays until it is not
try:
    client.delete_model("served.sexes")
    raise SystemExit("a deployed model must not go")
except Exception as error:
    assert "deployed" in str(error), error
endpoint.undeploy_all()
endpoint.delete()
client.delete_model("served.sexes")
assert [m.name for m in aiplatform.Model.list() if m.name == "sexes"] == []
print("fine")
"""


def test_models_through_the_bigquery_client(tule_exec: Exec) -> None:
    assert tule_exec(PROGRAM).stdout.strip().endswith("fine")


def test_a_model_of_sql_is_served(tule_exec: Exec) -> None:
    assert tule_exec(SERVED, timeout=240).stdout.strip().endswith("fine")


TUNED = """
from google.cloud import bigquery

client = bigquery.Client()
client.create_dataset("tuning", exists_ok=True)
job = client.query('''CREATE MODEL tuning.mass OPTIONS(MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['body_mass_g'],
  NUM_TRIALS=4, MAX_PARALLEL_TRIALS=2, L2_REG=HPARAM_RANGE(0, 10)) AS
  SELECT * FROM `bigquery-public-data.ml_datasets.penguins` WHERE body_mass_g IS NOT NULL''')
assert list(job.result()) == []

# the resource, as the client reads it
model = client.get_model("tuning.mass")
optimal = model.to_api_repr()["optimalTrialIds"]
assert str(model.best_trial_id) == optimal[0] == model.to_api_repr()["defaultTrialId"]
trials = model.to_api_repr()["hparamTrials"]
assert [each["trialId"] for each in trials] == ["1", "2", "3", "4"], trials
assert {each["status"] for each in trials} == {"SUCCEEDED"}
assert all(each["hparamTuningEvaluationMetrics"]["regressionMetrics"]["rSquared"] > 0.5 for each in trials)
assert model.to_api_repr()["hparamSearchSpaces"] == {"l2Reg": {"range": {"min": 1e-14, "max": 10.0}}}

# functions
best = int(optimal[0])
rows = list(client.query("SELECT * FROM ML.TRIAL_INFO(MODEL tuning.mass) ORDER BY trial_id").result())
assert [row["trial_id"] for row in rows] == [1, 2, 3, 4] and rows[best - 1]["is_optimal"]
assert all(isinstance(row["hyperparameters"]["l2_reg"], float) for row in rows)
penguin = "SELECT 'Adelie Penguin (Pygoscelis adeliae)' AS species, 'Dream' AS island, 38.0 AS culmen_length_mm, " \\
    "18.0 AS culmen_depth_mm, 190.0 AS flipper_length_mm, 'MALE' AS sex"
(row,) = client.query(f"SELECT * FROM ML.PREDICT(MODEL tuning.mass, ({penguin}))").result()
assert row["trial_id"] == best and 3000 < row["predicted_body_mass_g"] < 5000
(row,) = client.query(f"SELECT * FROM ML.PREDICT(MODEL tuning.mass, ({penguin}), STRUCT(2 AS trial_id))").result()
assert row["trial_id"] == 2
print("tuned")
"""


def test_a_tuned_model_through_the_stock_client(tule_exec: Exec) -> None:
    assert tule_exec(TUNED).stdout.strip().endswith("tuned")
