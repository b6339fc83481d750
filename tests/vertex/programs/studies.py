"""Vizier as Google's own clients see it: VizierServiceClient and the SDK's Study and Trial."""

from __future__ import annotations

import sys

from google.api_core import exceptions
from google.cloud import aiplatform, aiplatform_v1
from google.cloud.aiplatform.vizier import Study, pyvizier

PROJECT, LOCATION = "test-project", "us-central1"
PARENT = f"projects/{PROJECT}/locations/{LOCATION}"


def by_the_sdk() -> None:
    aiplatform.init(project=PROJECT, location=LOCATION)
    problem = pyvizier.StudyConfig()
    problem.metric_information.append(
        pyvizier.MetricInformation(name="loss", goal=pyvizier.ObjectiveMetricGoal.MINIMIZE)
    )
    root = problem.search_space.select_root()
    root.add_float_param("x", -2.0, 2.0)
    root.add_int_param("n", 1, 4)
    model = root.add_categorical_param("model", ["linear", "tree"])
    model.select_values(["tree"]).add_int_param("depth", 1, 9)
    study = Study.create_or_load(display_name="by the sdk", problem=problem)
    assert Study.create_or_load(display_name="by the sdk", problem=problem).resource_name == study.resource_name
    for _ in range(4):
        (trial,) = study.suggest(count=1, worker="one")
        values = {key: each.value for key, each in trial.parameters.items()}
        assert ("depth" in values) == (values["model"] == "tree"), values
        measurement = pyvizier.Measurement()
        measurement.metrics["loss"] = float(values["x"]) ** 2
        trial.add_measurement(measurement)
        assert trial.should_stop() is False
        trial.complete(measurement)
    assert [each.uid for each in study.trials()] == [1, 2, 3, 4]
    (best,) = study.optimal_trials()
    losses = [each.materialize().final_measurement.metrics["loss"].value for each in study.trials()]
    assert best.materialize().final_measurement.metrics["loss"].value == min(losses)
    assert study.get_trial(2).status == pyvizier.TrialStatus.COMPLETED
    study.delete()
    try:
        Study(study.resource_name)
    except exceptions.NotFound as error:
        assert "The study must exist" in error.message
    else:
        raise AssertionError("a deleted study was found")


def by_the_client() -> None:
    client = aiplatform_v1.VizierServiceClient(client_options={"api_endpoint": f"{LOCATION}-aiplatform.googleapis.com"})
    spec = {
        "metrics": [{"metric_id": "loss", "goal": "MINIMIZE"}, {"metric_id": "speed", "goal": "MAXIMIZE"}],
        "parameters": [
            {"parameter_id": "rate", "scale_type": "UNIT_LOG_SCALE",
             "double_value_spec": {"min_value": 1e-4, "max_value": 1.0}},
            {"parameter_id": "size", "discrete_value_spec": {"values": [16, 32, 64]}},
        ],
    }  # fmt: skip
    study = client.create_study(parent=PARENT, study={"display_name": "by the client", "study_spec": spec})
    assert study.state == aiplatform_v1.Study.State.ACTIVE
    assert client.lookup_study({"parent": PARENT, "display_name": "by the client"}).name == study.name
    answer = client.suggest_trials({"parent": study.name, "suggestion_count": 2, "client_id": "worker"}).result(
        timeout=60
    )
    assert [each.id for each in answer.trials] == ["1", "2"]
    again = client.suggest_trials({"parent": study.name, "suggestion_count": 2, "client_id": "worker"}).result()
    assert [each.id for each in again.trials] == ["1", "2"]
    for at, trial in enumerate(answer.trials):
        metrics = [{"metric_id": "loss", "value": at}, {"metric_id": "speed", "value": at}]
        client.complete_trial({"name": trial.name, "final_measurement": {"metrics": metrics}})
    best = client.list_optimal_trials({"parent": study.name}).optimal_trials
    assert [each.id for each in best] == ["1", "2"]
    stopped = client.suggest_trials({"parent": study.name, "suggestion_count": 1, "client_id": "w"}).result().trials[0]
    client.stop_trial({"name": stopped.name})
    assert client.check_trial_early_stopping_state({"trial_name": stopped.name}).result().should_stop
    assert len(list(client.list_trials(parent=study.name))) == 3
    refused = {**spec, "metrics": [{**spec["metrics"][0], "safety_config": {"safety_threshold": 1.0}}]}
    try:
        client.create_study(parent=PARENT, study={"display_name": "unsafe", "study_spec": refused})
    except exceptions.MethodNotImplemented as error:
        assert "study_spec.metrics.safety_config" in error.message, error.message
    else:
        raise AssertionError("a safety metric was taken")
    assert [each.display_name for each in client.list_studies(parent=PARENT)] == ["by the client"]
    client.delete_study(name=study.name)


by_the_sdk()
by_the_client()
sys.stdout.write("done\n")
