"""Endpoints over real records and real workers: how a model is served, and that it comes back."""

from __future__ import annotations

import json
import os
import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tule.kernel.clock import RealClock
from tule.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Unimplemented
from tule.kernel.home import Home
from tule.kernel.records import Records
from tule.vertex.endpoints import Endpoints, LocalReplicas, Router
from tule.vertex.endpoints.replicas import Replica
from tule.vertex.endpoints.workers import Launcher, Limits
from tule.vertex.registry import Models

PARENT = "projects/p/locations/us-central1"
ROWS = np.random.default_rng(1).normal(size=(300, 4))
LABELS = np.where(ROWS[:, 0] + ROWS[:, 1] > 0, "up", "down")


class Quiet:
    """Progress that nobody watches."""

    def report(self, percent: int, stage: str = "", **metadata: Any) -> None:
        assert 0 <= percent <= 100


class Bench:
    """An endpoints room and what tests do with it."""

    def __init__(self, home: Home, records: Records, models: Models, files: Any) -> None:
        self.launcher = Launcher(RealClock(), Limits(load_seconds=30))
        self.models = models
        self.files = files
        self.home, self.records = home, records
        self.endpoints = self.room()

    def room(self) -> Endpoints:
        replicas = LocalReplicas(self.launcher, self.models.artifacts)
        return Endpoints(self.home, self.records, self.models, replicas, Router(), RealClock())

    def upload(self, files: dict[str, bytes], framework: str = "sklearn-cpu.1-5") -> str:
        image = f"us-docker.pkg.dev/vertex-ai/prediction/{framework}:latest"
        message = {"displayName": "model", "containerSpec": {"imageUri": image}}
        return self.models.upload(PARENT, message, self.files(files)).name

    def sklearn(self, estimator: Any) -> str:
        return self.upload({"model.pkl": pickle.dumps(estimator)})

    def endpoint(self, **fields: Any) -> str:
        return str(self.endpoints.create(PARENT, {"displayName": "e", **fields})["name"])

    def deploy(self, endpoint: str, model: str, shares: dict[str, int] | None = None, **message: Any) -> str:
        answer: dict[str, Any] = {}
        message = {"model": model, **message}
        progress: Any = Quiet()
        self.endpoints.deploy(endpoint, message, shares or {"0": 100}, progress, answer.update)
        return str(answer["deployedModel"]["id"])

    def mode(self, endpoint: str, deployed: str) -> str:
        return str(self.endpoints.deployment(endpoint, deployed).body["serving"]["mode"])

    def predict(self, endpoint: str, instances: Any) -> list[Any]:
        return self.endpoints.router.predict(endpoint, instances)[0]


@pytest.fixture
def bench(home: Home, records: Records, models: Models, files: Any) -> Iterator[Bench]:
    bench = Bench(home, records, models, files)
    yield bench
    bench.endpoints.close()
    bench.launcher.close()


def estimators() -> dict[str, Callable[[], Any]]:
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestRegressor
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return {
        "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS),
        "linear": lambda: LinearRegression().fit(ROWS, ROWS @ [1.0, 2.0, -1.0, 0.5]),
        "forest": lambda: RandomForestRegressor(20, random_state=0).fit(ROWS, ROWS[:, 0] ** 2),
        "boosting": lambda: GradientBoostingClassifier(n_estimators=10).fit(ROWS, LABELS),
    }


@pytest.mark.parametrize("name", ["logistic", "linear", "forest", "boosting"])
def test_known_estimators_leave_the_pickle_behind(bench: Bench, name: str) -> None:
    estimator = estimators()[name]()
    endpoint = bench.endpoint()
    deployed = bench.deploy(endpoint, bench.sklearn(estimator))
    assert bench.mode(endpoint, deployed) == "plan", bench.endpoints.deployment(endpoint, deployed).body
    assert bench.predict(endpoint, ROWS.tolist()) == estimator.predict(ROWS).tolist()
    with pytest.raises(InvalidArgument, match=r"4 (numbers|features)"):
        bench.predict(endpoint, [[1.0, 2.0]])


def test_estimators_that_know_their_features_are_exact_too(bench: Bench) -> None:
    pandas = pytest.importorskip("pandas")
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = np.where(np.random.default_rng(3).random(ROWS.shape) < 0.1, np.nan, ROWS)
    frame = pandas.DataFrame(rows, columns=["a", "b", "c", "d"])
    estimator = make_pipeline(SimpleImputer(), StandardScaler(), LinearRegression()).fit(frame, ROWS @ [1, 2, 3, 4.5])
    endpoint = bench.endpoint()
    deployed = bench.deploy(endpoint, bench.sklearn(estimator))
    assert bench.mode(endpoint, deployed) == "plan", bench.endpoints.deployment(endpoint, deployed).body
    asked = json.loads(frame.to_json(orient="records", double_precision=15))
    exact = np.array([list(each.values()) for each in asked], np.float64)
    wanted = pandas.DataFrame(exact, columns=frame.columns, copy=False)
    assert bench.predict(endpoint, asked) == estimator.predict(wanted).tolist()
    assert bench.predict(endpoint, asked[:1]) == estimator.predict(wanted[:1]).tolist()
    with pytest.raises(InvalidArgument, match=r"Instance 0.*'?d'?"):
        bench.predict(endpoint, [{"a": 1, "b": 2, "c": 3}])


def test_other_estimators_run_in_a_worker_and_come_back(bench: Bench) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    estimator = KNeighborsClassifier().fit(ROWS, LABELS)
    endpoint = bench.endpoint()
    deployed = bench.deploy(
        endpoint, bench.sklearn(estimator), dedicatedResources={"minReplicaCount": 2, "maxReplicaCount": 2}
    )
    body = bench.endpoints.deployment(endpoint, deployed).body
    assert body["serving"]["mode"] == "worker" and "KNeighborsClassifier" in body["serving"]["reason"]
    assert bench.predict(endpoint, ROWS[:20].tolist()) == estimator.predict(ROWS[:20]).tolist()
    assert bench.endpoints.get(endpoint)["deployedModels"][0]["status"] == {"availableReplicaCount": 2}
    bench.endpoints.close()
    again = bench.endpoints = bench.room()
    again.recover()
    assert bench.predict(endpoint, ROWS[:20].tolist()) == estimator.predict(ROWS[:20]).tolist()


def test_a_booster_is_exact_and_takes_nulls(bench: Bench, tmp_path: Path) -> None:
    import xgboost

    booster = xgboost.train(
        {"max_depth": 3, "objective": "binary:logistic"}, xgboost.DMatrix(ROWS, label=LABELS == "up"), 15
    )
    booster.save_model(tmp_path / "m.ubj")
    endpoint = bench.endpoint()
    model = bench.upload({"model.bst": (tmp_path / "m.ubj").read_bytes()}, "xgboost-cpu.2-1")
    deployed = bench.deploy(endpoint, model)
    assert bench.mode(endpoint, deployed) == "booster"
    assert bench.predict(endpoint, ROWS.tolist()) == booster.predict(xgboost.DMatrix(ROWS)).tolist()
    holes = [[None, 1.0, 2.0, 3.0]]
    wanted = booster.predict(xgboost.DMatrix(np.array([[np.nan, 1, 2, 3]]))).tolist()
    assert bench.predict(endpoint, holes) == wanted
    pickled = bench.upload({"model.pkl": pickle.dumps(booster)}, "xgboost-cpu.2-1")
    second = bench.deploy(endpoint, pickled, {"0": 100})
    assert bench.mode(endpoint, second) == "booster"
    assert bench.predict(endpoint, ROWS.tolist()) == booster.predict(xgboost.DMatrix(ROWS)).tolist()


def test_an_onnx_graph_runs_in_a_worker(bench: Bench) -> None:
    pytest.importorskip("onnxruntime")
    from skl2onnx import to_onnx

    estimator = estimators()["logistic"]()
    graph = to_onnx(estimator, ROWS[:1], options={"zipmap": False}).SerializeToString()
    endpoint = bench.endpoint()
    deployed = bench.deploy(endpoint, bench.upload({"model.onnx": graph}, "pytorch-cpu.2-1"))
    body = bench.endpoints.deployment(endpoint, deployed).body["serving"]
    assert body["mode"] == "worker" and "ONNX graph" in body["reason"]
    found = bench.predict(endpoint, ROWS.tolist())
    assert [each["label"] for each in found] == estimator.predict(ROWS).tolist()
    np.testing.assert_allclose(
        [each["probabilities"] for each in found], estimator.predict_proba(ROWS), rtol=0, atol=1e-15
    )
    assert bench.predict(endpoint, [{"X": ROWS[0].tolist()}]) == found[:1]
    for wrong, message in (
        ([1.0, 2.0], r"X must have the shape \[4\] in each instance; given: \[2\]"),
        ({"Y": [1.0] * 4}, "exactly the inputs X; given: Y in instance 0"),
        (["a"] * 4, r"X must be tensor\(double\) of one shape"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            bench.predict(endpoint, [wrong])


def test_an_onnx_graph_takes_named_columns(bench: Bench) -> None:
    pytest.importorskip("onnxruntime")
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"size": ROWS[:, 0], "colour": np.where(ROWS[:, 1] > 0, "red", "blue")})
    encoder = make_column_transformer((OneHotEncoder(), ["colour"]), remainder="passthrough")
    estimator = make_pipeline(encoder, LogisticRegression()).fit(frame, LABELS)
    inputs = [("size", FloatTensorType([None, 1])), ("colour", StringTensorType([None, 1]))]
    endpoint = bench.endpoint()
    bench.deploy(endpoint, bench.upload({"model.onnx": to_onnx(estimator, initial_types=inputs).SerializeToString()}))
    found = bench.predict(endpoint, frame.to_dict("records"))
    names = sorted(found[0])
    assert [each[names[0]] for each in found] == estimator.predict(frame).tolist()
    assert set(found[0][names[1]]) == {"up", "down"}
    with pytest.raises(InvalidArgument, match="must be an object with the inputs size, colour; given: list"):
        bench.predict(endpoint, [[1.0, "red"]])


def test_a_split_is_obeyed_across_versions(bench: Bench) -> None:
    from sklearn.dummy import DummyClassifier

    endpoint = bench.endpoint()
    models = [
        bench.sklearn(DummyClassifier(strategy="constant", constant=name).fit([[0], [1]], ["a", "b"]))
        for name in ("a", "b")
    ]
    first = bench.deploy(endpoint, models[0], {"0": 100})
    second = bench.deploy(endpoint, models[1], {first: 90, "0": 10})
    seen = Counter(bench.predict(endpoint, [[0]])[0] for _ in range(1000))
    assert abs(seen["a"] - 900) <= 5 and abs(seen["b"] - 100) <= 5
    bench.endpoints.update(endpoint, {"trafficSplit": {second: 100}}, {"trafficSplit"})
    assert {bench.predict(endpoint, [[0]])[0] for _ in range(50)} == {"b"}
    with pytest.raises(FailedPrecondition, match="100 %"):
        bench.endpoints.undeploy(endpoint, second, {})
    bench.endpoints.undeploy(endpoint, second, {first: 100})
    assert bench.predict(endpoint, [[0]]) == ["a"]
    bench.endpoints.undeploy(endpoint, first, {})
    assert "trafficSplit" not in bench.endpoints.get(endpoint) or not bench.endpoints.get(endpoint)["trafficSplit"]
    with pytest.raises(FailedPrecondition, match="no deployed model"):
        bench.predict(endpoint, [[0]])


def test_deployed_models_hold_their_model_and_endpoint(bench: Bench) -> None:
    endpoint = bench.endpoint()
    model = bench.sklearn(estimators()["linear"]())
    deployed = bench.deploy(endpoint, model, id="77")
    assert deployed == "77"
    with pytest.raises(AlreadyExists, match="77"):
        bench.deploy(endpoint, model, id="77")
    with pytest.raises(FailedPrecondition, match=f"{endpoint} \\(deployed model 77\\)"):
        bench.models.delete(model.partition("@")[0])
    with pytest.raises(FailedPrecondition, match="77 \\(model\\)"):
        bench.endpoints.delete(endpoint)
    bench.endpoints.undeploy(endpoint, "77", {})
    bench.endpoints.delete(endpoint)
    bench.models.delete(model.partition("@")[0])
    with pytest.raises(NotFound):
        bench.predict(endpoint, [[0]])


def test_a_pickle_that_does_harm_leaves_the_endpoint_as_it_was(bench: Bench) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return os.system, ("id",)

    endpoint = bench.endpoint()
    good = bench.deploy(endpoint, bench.sklearn(estimators()["linear"]()))
    before = bench.endpoints.get(endpoint)
    with pytest.raises(FailedPrecondition, match="start a process"):
        bench.deploy(endpoint, bench.sklearn(Harm()), {"0": 50, good: 50})
    assert bench.endpoints.get(endpoint) == before
    assert len(list((bench.home.root / "deployments").iterdir())) == 1
    assert len(bench.predict(endpoint, [[0, 0, 0, 0]])) == 1


def test_what_cannot_be_served_says_why(bench: Bench) -> None:
    endpoint = bench.endpoint()
    custom = bench.models.upload(
        PARENT,
        {"displayName": "c", "containerSpec": {"imageUri": "gcr.io/p/mine:1"}},
        bench.files({"weights.bin": b""}),
    )
    with pytest.raises(FailedPrecondition, match=r"container engine.*given: gcr\.io/p/mine:1"):
        bench.deploy(endpoint, custom.name)
    placeholder = bench.models.upload(PARENT, {"displayName": "p"}, None)
    with pytest.raises(FailedPrecondition, match="must have an artifact"):
        bench.deploy(endpoint, placeholder.name)
    archive = bench.upload({"model.mar": b""}, "pytorch-cpu.2-1")
    with pytest.raises(Unimplemented, match="TorchServe"):
        bench.deploy(endpoint, archive)
    with pytest.raises(InvalidArgument, match="16"):
        bench.endpoints.check_deploy(
            endpoint, {"model": custom.name, "dedicatedResources": {"minReplicaCount": 99}}, {}
        )
    nothing = bench.upload({"model.onnx": b"not a graph"})
    with pytest.raises(FailedPrecondition, match=r"model\.onnx"):
        bench.deploy(endpoint, nothing)
    broken = bench.upload({"model.bst": b"{not a booster"}, "xgboost-cpu.2-1")
    with pytest.raises(FailedPrecondition, match=r"model\.bst"):
        bench.deploy(endpoint, broken)
    assert bench.endpoints.get(endpoint).get("deployedModels") is None


def test_a_model_that_cannot_be_reopened_is_reported_by_its_endpoint(bench: Bench) -> None:
    from sklearn.neighbors import KNeighborsRegressor

    endpoint = bench.endpoint()
    model = bench.sklearn(KNeighborsRegressor().fit(ROWS, ROWS[:, 0]))
    bench.deploy(endpoint, model)
    bench.endpoints.close()
    artifact = bench.models.get(model).artifact
    assert artifact is not None
    (bench.models.artifacts.directory(artifact.id) / "model.pkl").write_bytes(b"rubbish")
    bench.endpoints = bench.room()
    bench.endpoints.recover()
    with pytest.raises(Exception, match=r"could not be opened again.*model\.pkl"):
        bench.predict(endpoint, [[0, 0, 0, 0]])


def test_requests_are_checked(bench: Bench) -> None:
    endpoint = bench.endpoint()
    bench.deploy(endpoint, bench.sklearn(estimators()["linear"]()))
    router = bench.endpoints.router
    body, deployed = router.predict_json(endpoint, b'{"instances": [[0, 0, 0, 0]]}')
    answer = json.loads(body)
    assert answer["deployedModelId"] == deployed.id and answer["modelVersionId"] == "1" and len(answer) == 5
    for wrong, message in (
        (b"{", "must be JSON"),
        (b"[]", "given: list"),
        (b"{}", "given: an object with nothing"),
        (b'{"instances": []}', "given: an empty list"),
        (b'{"instances": 7}', "given: int"),
        (b'{"instances": [[1]], "extra": 1}', "given: extra"),
        (b'{"instances": [[1]], "parameters": {"a": 1}}', "take no parameters"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            router.predict_json(endpoint, wrong)


def test_the_short_way_is_the_owners(bench: Bench) -> None:
    from tule.kernel.access import Principal
    from tule.vertex.endpoints.api import PredictionService
    from tule.wire.service import FastRequest

    endpoint = bench.endpoint()
    deployed = bench.deploy(endpoint, bench.sklearn(estimators()["linear"]()))
    nothing: Any = None
    predict = PredictionService(nothing, bench.endpoints.router, nothing).fast["predict"]

    def ask(name: str, owner: bool) -> Any:
        body = b'{"instances": [[0, 0, 0, 0]]}'
        return predict(FastRequest(name, body, {}, Principal("ann@example.com", owner=owner)))

    answer = ask(endpoint, True)
    assert answer is not None and json.loads(answer)["deployedModelId"] == deployed
    # The ordinary way looks the permission up, and words what is wrong with a name.
    assert ask(endpoint, False) is None and ask(endpoint + "9", True) is None


def test_counts_can_be_changed(bench: Bench) -> None:
    from sklearn.neighbors import KNeighborsRegressor

    endpoint = bench.endpoint()
    deployed = bench.deploy(endpoint, bench.sklearn(KNeighborsRegressor().fit(ROWS, ROWS[:, 0])))
    message = bench.endpoints.mutate(endpoint, {"id": deployed}, (2, 3))
    assert message["dedicatedResources"] == {"minReplicaCount": 2, "maxReplicaCount": 3}
    replica: Replica = bench.endpoints.router.get(endpoint).choose().replica
    for _ in range(200):
        if replica.status() == {"availableReplicaCount": 2}:
            break
        import time

        time.sleep(0.05)
    assert replica.status() == {"availableReplicaCount": 2}
