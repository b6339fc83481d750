"""Models as resources: what models.get tells, how they are described, altered, dropped, registered and exported."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from tests.bigquery.conftest import BigQueryApi
from tests.bigquery.ml.conftest import PENGUINS, Models

from tule.bigquery.ml.registration import region, registered_id

if TYPE_CHECKING:
    from tule.kernel.clock import VirtualClock

LINE = "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y']"
NUMBERS = "SELECT x, IF(MOD(x, 2) = 0, 'a', 'b') AS word, x * 2 AS y FROM UNNEST(GENERATE_ARRAY(1, 600)) AS x"


# -- what is told


def test_the_resource_of_a_classifier(models: Models) -> None:
    models.train(
        "told",
        "MODEL_TYPE='BOOSTED_TREE_CLASSIFIER', INPUT_LABEL_COLS=['sex'], MAX_ITERATIONS=3, SUBSAMPLE=0.9",
        f"SELECT * FROM {PENGUINS} WHERE sex IN ('MALE', 'FEMALE')",
    )
    body = models.resource("told")
    assert body["modelReference"] == {"projectId": "test-project", "datasetId": "d", "modelId": "told"}
    assert body["modelType"] == "BOOSTED_TREE_CLASSIFIER" and body["location"] == "US"
    assert int(body["creationTime"]) <= int(body["lastModifiedTime"])
    assert body["featureColumns"][0] == {"name": "species", "type": {"typeKind": "STRING"}}
    assert body["labelColumns"] == [{"name": "predicted_sex", "type": {"typeKind": "STRING"}}]
    assert "_tule" not in body and "transformColumns" not in body
    (run,) = body["trainingRuns"]
    options = run["trainingOptions"]
    assert options["inputLabelColumns"] == ["sex"] and options["lossType"] == "MEAN_LOG_LOSS"
    assert (options["maxIterations"], options["maxTreeDepth"], options["subsample"]) == ("3", "6", 0.9)
    assert (options["learnRate"], options["l2Regularization"], options["boosterType"]) == (0.3, 1.0, "GBTREE")
    assert [each["index"] for each in run["results"]] == [1, 2, 3]
    metrics = run["evaluationMetrics"]["binaryClassificationMetrics"]
    assert (metrics["positiveLabel"], metrics["negativeLabel"]) == ("MALE", "FEMALE")
    evaluated = models.ask("SELECT * FROM ML.EVALUATE(MODEL d.told)")[0]
    assert metrics["aggregateClassificationMetrics"]["accuracy"] == evaluated["accuracy"]


def test_the_resource_of_a_regression_tells_effective_options(models: Models) -> None:
    models.train("effective", LINE, NUMBERS)
    (run,) = models.resource("effective")["trainingRuns"]
    assert run["trainingOptions"]["optimizationStrategy"] == "NORMAL_EQUATION"
    assert run["trainingOptions"]["lossType"] == "MEAN_SQUARED_LOSS"
    assert set(run["evaluationMetrics"]["regressionMetrics"]) == {
        "meanAbsoluteError",
        "meanSquaredError",
        "meanSquaredLogError",
        "medianAbsoluteError",
        "rSquared",
    }
    models.train("grouped", "MODEL_TYPE='KMEANS'", f"SELECT * FROM {PENGUINS}")
    (run,) = models.resource("grouped")["trainingRuns"]
    assert run["trainingOptions"]["numClusters"] == "2" and "clusteringMetrics" in run["evaluationMetrics"]
    assert len(run["results"][0]["clusterInfos"]) == 2


def test_lists_and_pages(models: Models) -> None:
    models.api.dataset("listed")
    for name in ("one", "two", "three"):
        models.api.query(f"CREATE MODEL listed.{name} OPTIONS({LINE}) AS {NUMBERS}")
    found = models.api.ok("GET", "datasets/listed/models", params={"maxResults": "2"})
    rest = models.api.ok("GET", "datasets/listed/models", params={"pageToken": found["nextPageToken"]})
    names = [each["modelReference"]["modelId"] for each in (*found["models"], *rest["models"])]
    assert sorted(names) == ["one", "three", "two"] and "trainingRuns" not in found["models"][0]
    assert models.api.error("GET", "datasets/nowhere/models")["code"] == 404
    assert models.api.ok("DELETE", "datasets/listed", params={"deleteContents": "true"}) == {}
    assert models.api.error("GET", "datasets/listed/models/one")["code"] == 404


def test_a_dataset_with_models_is_in_use(models: Models) -> None:
    models.api.dataset("inhabited")
    models.api.query(f"CREATE MODEL inhabited.m OPTIONS({LINE}) AS {NUMBERS}")
    error = models.api.error("DELETE", "datasets/inhabited")
    assert (error["code"], error["reason"]) == (400, "resourceInUse")
    bundles = models.bundles()
    models.api.query("DROP SCHEMA inhabited CASCADE")
    assert len(models.bundles()) == len(bundles) - 1


# -- ALTER and DROP


def test_alter_model(models: Models) -> None:
    models.train("altered", LINE, NUMBERS)
    before = models.resource("altered")
    models.api.query(
        "ALTER MODEL d.altered SET OPTIONS(description='about x', friendly_name='X', labels=[('team', 'ads')], "
        "expiration_timestamp=TIMESTAMP '2099-01-01 00:00:00 UTC')"
    )
    body = models.resource("altered")
    assert (body["description"], body["friendlyName"], body["labels"]) == ("about x", "X", {"team": "ads"})
    assert body["expirationTime"] == "4070908800000" and body["etag"] != before["etag"]
    models.api.query("ALTER MODEL d.altered SET OPTIONS(description=NULL, labels=[], expiration_timestamp=NULL)")
    body = models.resource("altered")
    assert "description" not in body and body.get("labels", {}) == {} and "expirationTime" not in body
    assert body["trainingRuns"] == before["trainingRuns"]
    assert models.ask("SELECT predicted_y FROM ML.PREDICT(MODEL d.altered, (SELECT 1 AS x, 'a' AS word))")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("ALTER MODEL d.unknown SET OPTIONS(description='x')", "Not found: Model test-project:d.unknown"),
        ("ALTER MODEL d.kept SET OPTIONS(max_iterations=3)", "Unsupported option max_iterations of ALTER MODEL"),
        ("ALTER MODEL d.kept SET OPTIONS(kms_key_name='k')", "Tule does not do the option KMS_KEY_NAME"),
        ("ALTER MODEL d.kept SET OPTIONS(description=3)", "Option description must be a string; given: 3"),
        ("ALTER MODEL d.kept SET OPTIONS(labels=[('Upper', 'x')])", 'Label key "Upper" has invalid characters'),
        ("ALTER MODEL d.kept SET OPTIONS(expiration_timestamp='soon')", "must be a TIMESTAMP literal; given: 'soon'"),
        ("ALTER MODEL d.kept SET OPTIONS(vertex_ai_model_id='Big')", "VERTEX_AI_MODEL_ID must have 1 to 63"),
        ("DROP MODEL d.unknown", "Not found: Model test-project:d.unknown"),
        ("EXPORT MODEL d.unknown OPTIONS(URI='gs://b/x')", "Not found: Model test-project:d.unknown"),
        ("EXPORT MODEL d.kept", "EXPORT MODEL needs OPTIONS(URI = 'gs://bucket/directory')"),
        ("EXPORT MODEL d.kept OPTIONS(URI='gs://b/x', TRIAL_ID=1)", "The argument trial_id needs a model trained with"),
        ("EXPORT MODEL d.kept OPTIONS(URI='gs://b/x', FORMAT='x')", "Unsupported option FORMAT of EXPORT MODEL"),
        ("EXPORT MODEL d.kept OPTIONS(URI='s3://b/x')", "A model is exported to a directory gs://BUCKET/DIRECTORY"),
        ("EXPORT MODEL d.kept OPTIONS(URI='gs://b/x')", "The specified bucket does not exist"),
    ],
)  # fmt: skip
def test_statements_that_change_nothing(models: Models, sql: str, message: str) -> None:
    if not models.exists("kept"):
        models.train("kept", LINE, NUMBERS)
    before = models.resource("kept")
    assert message in models.api.query_error(sql)["message"]
    assert models.resource("kept") == before


def test_drop_model(models: Models) -> None:
    models.train("dropped", LINE, NUMBERS)
    bundles = models.bundles()
    job = models.api.done(query={"query": "DROP MODEL d.dropped", "useLegacySql": False})
    assert job["statistics"]["query"]["ddlOperationPerformed"] == "DROP"
    assert not models.exists("dropped") and len(models.bundles()) == len(bundles) - 1
    job = models.api.done(query={"query": "DROP MODEL IF EXISTS d.dropped", "useLegacySql": False})
    assert job["statistics"]["query"]["ddlOperationPerformed"] == "SKIP"
    assert "Not found: Model" in models.api.query_error("SELECT * FROM ML.WEIGHTS(MODEL d.dropped)")["message"]
    models.train("dropped", LINE, NUMBERS)
    models.api.ok("DELETE", "datasets/d/models/dropped")
    assert len(models.bundles()) == len(bundles) - 1


def test_a_model_is_dropped_while_it_is_read(models: Models) -> None:
    """Rows that are being predicted are predicted to the end."""
    models.train("going", "MODEL_TYPE='BOOSTED_TREE_REGRESSOR', INPUT_LABEL_COLS=['y']", NUMBERS)
    trained = models.opened("going")
    models.api.query("DROP MODEL d.going")
    assert (
        trained.model.predict(
            next(iter(trained.model.signature and [__import__("pyarrow").table({"x": [1], "word": ["a"]})]))
        ).num_rows
        == 1
    )


def test_a_model_expires(timed: BigQueryApi, clock: VirtualClock) -> None:
    models = Models(timed)
    models.train("brief", LINE, NUMBERS)
    at = (clock.now() + timedelta(hours=2)).strftime("%Y-%m-%d %H:%M:%S UTC")
    timed.query(f"ALTER MODEL d.brief SET OPTIONS(expiration_timestamp=TIMESTAMP '{at}')")
    clock.advance(timedelta(hours=1))
    assert models.exists("brief")
    clock.advance(timedelta(hours=2))
    assert not models.exists("brief")
    clock.advance(timedelta(days=1))
    assert models.bundles() == set()


def test_orphans_are_swept_at_the_next_start(models: Models) -> None:
    models.train("stays", LINE, NUMBERS)
    folder = models.api.app.home.root / "bundles"
    for name in (".0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"):
        (folder / name / "model").mkdir(parents=True)
        (folder / name / "model" / "bundle.json").write_text("{}")
    models.api.warehouse.queries.models.sweep()  # type: ignore[union-attr]
    assert not any(name.strip(".").startswith("0123456789abcdef") for name in models.bundles())
    assert models.ask("SELECT * FROM ML.WEIGHTS(MODEL d.stays)")


# -- copies


def copied(models: Models, source: str, target: str, **config: Any) -> dict[str, Any]:
    """The Job that copies a model of the dataset ``d`` to a name."""
    places = {"sourceTable": models.api.reference(f"d.{source}"), "destinationTable": models.api.reference(target)}
    return models.api.job(copy={**places, **config})


def test_a_model_is_copied(models: Models) -> None:
    models.api.dataset("elsewhere")
    models.train("original", LINE, NUMBERS)
    models.api.ok("PATCH", "datasets/d/models/original", {"description": "doubles"})
    bundles = models.bundles()
    assert "errorResult" not in copied(models, "original", "elsewhere.copy")["status"]
    assert len(models.bundles()) == len(bundles) + 1
    body = models.api.ok("GET", "datasets/elsewhere/models/copy")
    assert body["modelReference"] == {"projectId": "test-project", "datasetId": "elsewhere", "modelId": "copy"}
    assert body["description"] == "doubles"
    assert body["trainingRuns"] == models.resource("original")["trainingRuns"]
    # Each lives by itself.
    ask = "SELECT predicted_y FROM ML.PREDICT(MODEL {}, (SELECT 7 AS x, 'b' AS word))"
    before = models.ask(ask.format("d.original"))
    models.api.query("DROP MODEL d.original")
    assert models.ask(ask.format("elsewhere.copy")) == before
    assert models.ask("SELECT r2_score FROM ML.EVALUATE(MODEL elsewhere.copy)")[0]["r2_score"] > 0.99


def test_a_copy_replaces_a_model_only_where_it_may(models: Models) -> None:
    models.train("one", LINE, NUMBERS)
    models.train("two", "MODEL_TYPE='BOOSTED_TREE_REGRESSOR', INPUT_LABEL_COLS=['y'], MAX_ITERATIONS=1", NUMBERS)
    bundles = models.bundles()
    refused = copied(models, "one", "d.two")["status"]["errorResult"]
    assert refused["reason"] == "duplicate" and "Already Exists: Model test-project:d.two" in refused["message"]
    assert models.resource("two")["modelType"] == "BOOSTED_TREE_REGRESSOR" and models.bundles() == bundles
    assert "errorResult" not in copied(models, "one", "d.two", writeDisposition="WRITE_TRUNCATE")["status"]
    assert models.resource("two")["modelType"] == "LINEAR_REGRESSION" and len(models.bundles()) == len(bundles)


@pytest.mark.parametrize(
    ("target", "config", "message"),
    [
        ("d.refused", {"writeDisposition": "WRITE_APPEND"}, "A model is copied with WRITE_EMPTY or WRITE_TRUNCATE"),
        ("d.refused", {"createDisposition": "CREATE_NEVER"}, "Not found: Model test-project:d.refused"),
        ("nowhere.refused", {}, "Not found: Dataset test-project:nowhere"),
        ("d.taken", {"writeDisposition": "WRITE_TRUNCATE"}, "Already Exists: Table test-project:d.taken"),
        ("d.kept", {"writeDisposition": "WRITE_TRUNCATE"}, "A model cannot be copied onto itself"),
    ],
)
def test_copies_that_cannot_be(models: Models, target: str, config: dict[str, Any], message: str) -> None:
    if not models.exists("kept"):
        models.train("kept", LINE, NUMBERS)
    models.api.query("CREATE TABLE IF NOT EXISTS d.taken (x INT64)")
    bundles = models.bundles()
    assert message in copied(models, "kept", target, **config)["status"]["errorResult"]["message"]
    assert models.bundles() == bundles and models.exists("kept") and not models.exists("refused")


def test_the_job_that_trains_names_the_model_as_its_destination(models: Models) -> None:
    job = models.train("named", LINE, NUMBERS)
    assert job["configuration"]["query"]["destinationTable"] == {
        "projectId": "test-project", "datasetId": "d", "tableId": "named",
    }  # fmt: skip


# -- the registry


def versions(models: Models, model_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = models.api.app.registry.versions("test-project", "us-central1", model_id)
    return found


def test_models_enter_the_registry(models: Models) -> None:
    registry = "MODEL_REGISTRY='VERTEX_AI', VERTEX_AI_MODEL_ID='lines', VERTEX_AI_MODEL_VERSION_ALIASES=['best']"
    models.train("registered", f"{LINE}, {registry}", NUMBERS)
    (first,) = versions(models, "lines")
    assert set(first["versionAliases"]) == {"best", "default"} and first["displayName"] == "registered"
    assert first["modelSourceInfo"] == {"sourceType": "BQML"}
    run = models.resource("registered")["trainingRuns"][-1]
    assert (run["vertexAiModelId"], run["vertexAiModelVersion"]) == ("lines", "1")
    models.train("registered", f"{LINE}, {registry}", NUMBERS, verb="CREATE OR REPLACE")
    both = versions(models, "lines")
    assert [each["versionId"] for each in both] == ["1", "2"] and "best" in both[1]["versionAliases"]
    models.api.query("DROP MODEL d.registered")
    assert versions(models, "lines") == []


def test_registered_by_its_own_name_or_later(models: Models) -> None:
    models.train("Delays", f"{LINE}, MODEL_REGISTRY='vertex_ai'", NUMBERS)
    assert len(versions(models, "delays")) == 1
    models.train("plain_one", LINE, NUMBERS)
    assert versions(models, "later") == []
    models.api.query("ALTER MODEL d.plain_one SET OPTIONS(vertex_ai_model_id='later')")
    assert [each["displayName"] for each in versions(models, "later")] == ["plain_one"]
    assert models.resource("plain_one")["trainingRuns"][-1]["vertexAiModelId"] == "later"
    assert registered_id(None, "2nd model!") == "m_2nd_model_"
    assert (region("US", "us-central1"), region("EU", "us-central1"), region("asia-East1", "x")) == (
        "us-central1",
        "europe-west4",
        "asia-east1",
    )


def test_a_wrong_registration_is_told_before_the_training(models: Models) -> None:
    bundles = models.bundles()
    error = models.error("unregistered", f"{LINE}, MODEL_REGISTRY='VERTEX_AI', VERTEX_AI_MODEL_ID='9lives'", NUMBERS)
    assert "VERTEX_AI_MODEL_ID must have 1 to 63 of a-z" in error["message"]
    error = models.error(
        "unregistered", f"{LINE}, MODEL_REGISTRY='VERTEX_AI', VERTEX_AI_MODEL_VERSION_ALIASES=['1']", NUMBERS
    )
    assert error["code"] == 400
    assert not models.exists("unregistered") and models.bundles() == bundles and versions(models, "unregistered") == []


def test_a_model_that_is_served_cannot_be_dropped(models: Models) -> None:
    models.train("served", f"{LINE}, MODEL_REGISTRY='VERTEX_AI'", NUMBERS)
    (version,) = versions(models, "served")
    name = f"projects/test-project/locations/us-central1/models/served@{version['versionId']}"
    models.api.app.models.note_deployed(name, "projects/test-project/locations/us-central1/endpoints/1", "2")
    error = models.api.query_error("DROP MODEL d.served")
    assert "deployed" in error["message"] and error["code"] == 400
    assert models.api.error("DELETE", "datasets/d/models/served")["code"] == 400
    assert models.exists("served") and models.ask("SELECT * FROM ML.WEIGHTS(MODEL d.served)")
    models.api.app.models.note_undeployed(name, "projects/test-project/locations/us-central1/endpoints/1", "2")
    models.api.query("DROP MODEL d.served")
    assert versions(models, "served") == []


# -- EXPORT


def test_trees_are_exported_as_a_booster(models: Models, tmp_path: Any) -> None:
    import json

    import numpy as np
    import xgboost

    models.api.app.objects.buckets.create("test-project", "out")
    query = f"SELECT culmen_length_mm, island, body_mass_g FROM {PENGUINS} WHERE body_mass_g > 0"
    models.train(
        "booster",
        "MODEL_TYPE='BOOSTED_TREE_REGRESSOR', INPUT_LABEL_COLS=['body_mass_g'], "
        "CATEGORY_ENCODING_METHOD='LABEL_ENCODING'",
        query,
    )
    models.api.query("EXPORT MODEL d.booster OPTIONS(URI='gs://out/first/')")
    job = models.api.done(
        extract={
            "sourceModel": {"projectId": "test-project", "datasetId": "d", "modelId": "booster"},
            "destinationUris": ["gs://out/second"],
            "destinationFormat": "ML_XGBOOST_BOOSTER",
        }
    )
    assert job["statistics"]["extract"]["destinationUriFileCounts"] == ["3"]
    objects = models.api.app.objects
    booster_files = ["assets/1.txt", "assets/model_metadata.json", "model.bst"]
    for folder, names in (("first", [*booster_files, "onnx/model.onnx"]), ("second", booster_files)):
        found = sorted(each.key for each in objects.list("out", prefix=f"{folder}/").objects)
        assert found == [f"{folder}/{name}" for name in names]
    assert objects.path("out", "second/assets/1.txt").read_text() == "Biscoe\nDream\nTorgersen\n"
    about = json.loads(objects.path("out", "second/assets/model_metadata.json").read_text())
    assert about["feature_names"] == ["culmen_length_mm", "island"] and about["label_col"] == "body_mass_g"
    # XGBoost tells the format of a file by its name.
    file = tmp_path / "model.ubj"
    file.write_bytes(objects.path("out", "second/model.bst").read_bytes())
    booster = xgboost.Booster(model_file=str(file))
    # Numbers as they are, categories by the line of their value, from 1.
    raw = booster.predict(xgboost.DMatrix(np.array([[40.0, 2.0]])))
    own = models.opened("booster").model.predict(pa.table({"culmen_length_mm": [40.0], "island": ["Dream"]}))
    assert float(raw[0]) == own["prediction"][0].as_py()


def test_exports_that_cannot_be(models: Models) -> None:
    extract = {
        "sourceModel": {"projectId": "test-project", "datasetId": "d", "modelId": "exported"},
        "destinationUris": ["gs://nowhere/x"],
    }
    models.train("exported", "MODEL_TYPE='BOOSTED_TREE_REGRESSOR', INPUT_LABEL_COLS=['y']", NUMBERS)
    job = models.api.job(extract=extract)
    assert "set destinationFormat to ML_XGBOOST_BOOSTER" in job["status"]["errorResult"]["message"]
    job = models.api.job(extract={**extract, "destinationFormat": "CSV"})
    assert (
        "must be ML_TF_SAVED_MODEL, ML_XGBOOST_BOOSTER or ML_ONNX; given: 'CSV'"
        in job["status"]["errorResult"]["message"]
    )
    job = models.api.job(extract={**extract, "destinationFormat": "ML_XGBOOST_BOOSTER"})
    assert "nowhere" in job["status"]["errorResult"]["message"]


def test_a_transform_is_exported_as_a_query(models: Models) -> None:
    options = "MODEL_TYPE='BOOSTED_TREE_REGRESSOR', INPUT_LABEL_COLS=['y']"
    models.train("prepared", options, NUMBERS, transform="ML.MIN_MAX_SCALER(x) OVER () AS z, y")
    models.api.query("EXPORT MODEL d.prepared OPTIONS(URI='gs://out/prepared')")
    query = models.api.app.objects.path("out", "prepared/transform/transform.sql").read_text()
    made = models.ask(query.replace("FROM input", f"FROM ({NUMBERS})"))
    values = [row["z"] for row in made]
    assert (min(values), max(values)) == (0.0, 1.0)
