"""MLflow's tracking over a real record store: what it logs, how it is searched, what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tule.kernel.clock import RealClock
from tule.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from tule.kernel.home import Home
from tule.kernel.objects import Objects
from tule.kernel.records import Records
from tule.vertex.experiments import CONTEXT, Metadata
from tule.vertex.mlflow import Artifacts, Experiments, LoggedModels, Runs
from tule.vertex.mlflow.runs import find
from tule.vertex.mlflow.search import parse_filter, sort

PARENT = "projects/p/locations/us-central1"


@pytest.fixture
def metadata(records: Records) -> Metadata:
    return Metadata(records)


@pytest.fixture
def experiments(metadata: Metadata) -> Experiments:
    return Experiments(metadata, PARENT)


@pytest.fixture
def runs(metadata: Metadata, experiments: Experiments) -> Runs:
    experiments.create("churn", {}, "")
    return Runs(metadata, experiments)


def _run(runs: Runs, name: str, **logged: Any) -> str:
    id = str(runs.create("churn", name, "ann", 1, {})["info"]["run_id"])
    runs.log(
        id,
        metrics=[{"key": key, "value": value} for key, value in logged.get("metrics", {}).items()],
        params=[{"key": key, "value": value} for key, value in logged.get("params", {}).items()],
        tags=[{"key": key, "value": value} for key, value in logged.get("tags", {}).items()],
    )
    return id


def test_a_run_is_a_context_under_its_name(runs: Runs, metadata: Metadata, experiments: Experiments) -> None:
    id = _run(runs, "first", params={"rate": "0.1"}, metrics={"auc": 0.9})
    assert id == "churn-first"
    context = metadata.get(CONTEXT, experiments.name_of(id))
    assert context["displayName"] == "first" and context["schemaTitle"] == "system.ExperimentRun"
    assert context["parentContexts"] == [experiments.name_of("churn")]
    assert context["metadata"]["_params"] == {"rate": "0.1"} and context["metadata"]["_metrics"] == {"auc": 0.9}
    assert "_tule" not in context
    again = runs.create("churn", "first", "", 2, {})["info"]
    assert again["run_id"] != id and again["run_name"] == "first"
    assert runs.create("churn", "Ünnamed Run", "", 2, {})["info"]["run_name"] == "Ünnamed Run"
    assert runs.create("churn", "", "", 2, {})["info"]["run_name"]


def test_the_last_value_is_that_of_the_largest_step(runs: Runs) -> None:
    id = _run(runs, "r")

    def log(value: Any, step: int, moment: int = 0) -> None:
        runs.log(id, metrics=[{"key": "loss", "value": value, "step": step, "timestamp": moment}])

    for value, step in ((0.5, 3), (0.9, 1), ("NaN", 2)):
        log(value, step)
    (metric,) = runs.get(id)["data"]["metrics"]
    assert (metric["value"], metric["step"]) == (0.5, 3)
    log("NaN", 4)
    assert runs.get(id)["data"]["metrics"][0]["value"] == "NaN"
    points = [point for _, point in runs.history(id, "loss", most=10, after=None)]
    assert [point.step for point in points] == [1, 2, 3, 4] and math.isnan(points[1].value)


def test_a_batch_is_logged_whole_or_not_at_all(runs: Runs) -> None:
    id = _run(runs, "r", params={"kind": "tree"})
    runs.log(id, params=[{"key": "kind", "value": "tree"}])
    with pytest.raises(InvalidArgument, match=r"param kind must keep its value.*'forest', where it is 'tree'"):
        runs.log(id, metrics=[{"key": "auc", "value": 1}], params=[{"key": "kind", "value": "forest"}])
    for wrong in ({"key": "../x", "value": 1}, {"key": "a", "value": "high"}, {"key": "", "value": 1}):
        with pytest.raises(InvalidArgument):
            runs.log(id, metrics=[{"key": "auc", "value": 1}, wrong])
    with pytest.raises(InvalidArgument, match="at most 1000 metrics"):
        runs.log(id, metrics=[{"key": "a", "value": 1}] * 1001)
    with pytest.raises(InvalidArgument, match="at most 6000 characters"):
        runs.log(id, params=[{"key": "long", "value": "x" * 6001}])
    assert runs.get(id)["data"] == {"metrics": [], "params": [{"key": "kind", "value": "tree"}],
                                    "tags": [{"key": "mlflow.runName", "value": "r"}]}  # fmt: skip
    assert not runs.history(id, "auc", most=10, after=None)


def test_deleted_things_are_kept_and_refuse_changes(runs: Runs, experiments: Experiments) -> None:
    id = _run(runs, "r")
    runs.set_stage(id, "deleted")
    with pytest.raises(FailedPrecondition, match="must be active"):
        runs.log(id, tags=[{"key": "a", "value": "b"}])
    assert runs.search(["churn"], "", "", [], 10, 0) == ([], None)
    assert len(runs.search(["churn"], "DELETED_ONLY", "", [], 10, 0)[0]) == 1
    runs.set_stage(id, "active")
    experiments.set_stage("churn", "deleted")
    with pytest.raises(FailedPrecondition, match="restore it first"):
        runs.create("churn", "x", "", 0, {})
    with pytest.raises(AlreadyExists):
        experiments.create("churn", {}, "")
    with pytest.raises(NotFound, match="run_id nowhere"):
        runs.log("nowhere", tags=[])
    with pytest.raises(FailedPrecondition, match="default experiment"):
        experiments.set_stage("0", "deleted")


@pytest.mark.parametrize(
    ("filter", "wanted"),
    [
        ("", "abc"),
        ("metrics.auc > 0.8", "a"),
        ("metrics.`auc` <= 0.8 and params.kind = 'tree'", "b"),
        ("params.kind != 'tree'", "c"),
        ("tags.owner LIKE 'a%'", "ab"),
        ("tags.owner ILIKE '%NN'", "a"),
        ("tags.owner NOT LIKE 'a%'", ""),
        ("params.kind IN ('tree', 'net')", "abc"),
        ("attributes.run_name IN ('a', 'c')", "ac"),
        ("tags.owner IS NULL", "c"),
        ("tags.owner IS NOT NULL AND run_name = 'b'", "b"),
        ("attributes.start_time >= 1 AND status = 'RUNNING'", "abc"),
        ("metrics.missing < 1", ""),
        ('tags."mlflow.runName" = "a"', "a"),
    ],
)
def test_searches(runs: Runs, filter: str, wanted: str) -> None:
    _run(runs, "a", metrics={"auc": 0.9}, params={"kind": "tree"}, tags={"owner": "ann"})
    _run(runs, "b", metrics={"auc": 0.7}, params={"kind": "tree"}, tags={"owner": "abe"})
    _run(runs, "c", metrics={"auc": math.nan}, params={"kind": "net"})
    found, _ = runs.search(["churn"], "", filter, ["run_name"], 10, 0)
    assert "".join(each["info"]["run_name"] for each in found) == wanted


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        ("metrics.auc > 'high'", "compared with a number"),
        ("params.kind > 'a'", "quoted text"),
        ("metrics.auc", "ends where a comparator"),
        ("metrics.auc > 1 OR metrics.auc < 0", "AND should join"),
        ("things.x = 'a'", "must be one of"),
        ("tags.x = 'a' AND", "ends where a key"),
        ("tags.x IN 'a'", "followed by a list"),
        ("tags.x = ;", "at '"),
    ],
)
def test_wrong_searches_say_where(filter: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        parse_filter(filter, find)


def test_orders_put_what_is_missing_last() -> None:
    things = [{"a": 2}, {"a": None}, {"a": 3}, {"a": float("nan")}, {"a": 1}]
    assert [each["a"] for each in sort(things, ["a DESC"], lambda thing, key: thing[key.name])][:3] == [3, 2, 1]
    assert [each["a"] for each in sort(things, ["a"], lambda thing, key: thing[key.name])][:3] == [1, 2, 3]
    with pytest.raises(InvalidArgument, match="ASC or DESC"):
        sort(things, ["a UP"], lambda thing, key: thing[key.name])


def test_files_stay_inside(home: Home, records: Records) -> None:
    artifacts = Artifacts(Objects(home, records, RealClock()), "p")
    assert artifacts.listed("e") == []
    artifacts.put("e/r/artifacts/a.txt", [b"one", b"two"])
    artifacts.put("e/r/artifacts/sub/b.txt", [b""])
    assert artifacts.file("e/r/artifacts/a.txt").read_bytes() == b"onetwo"
    listed = artifacts.list_at("mlflow-artifacts:/e/r/artifacts", "")
    assert listed == [{"path": "a.txt", "is_dir": False, "file_size": 6}, {"path": "sub", "is_dir": True}]
    assert [each["path"] for each in artifacts.list_at("mlflow-artifacts:/e/r/artifacts", "sub")] == ["sub/b.txt"]
    for wrong in ("../x", "a/../../x", "a//b", "", "a\\b"):
        with pytest.raises(InvalidArgument, match="inside"):
            artifacts.put(wrong, [b""])
    artifacts.delete("e/r/artifacts")
    with pytest.raises(NotFound):
        artifacts.file("e/r/artifacts/a.txt")


def test_logged_models_keep_their_metrics(runs: Runs, metadata: Metadata, experiments: Experiments) -> None:
    models = LoggedModels(metadata, experiments)
    run = _run(runs, "r")
    made = models.create({"experiment_id": "churn", "name": "net", "source_run_id": run}, {"a": "b"}, {"k": "v"})
    id = made["info"]["model_id"]
    assert made["info"]["status"] == "LOGGED_MODEL_PENDING"
    models.finalize(id, "LOGGED_MODEL_READY")
    models.add_metrics(run, [{"key": "auc", "value": value, "model_id": id} for value in (0.5, 0.75)])
    (metric,) = models.get(id)["data"]["metrics"]
    assert metric["value"] == 0.75 and metric["run_id"] == run
    assert len(models.search(["churn"], "tags.a = 'b' AND name = 'net'", [], 10, 0)[0]) == 1
    assert metadata.context_lineage(experiments.name_of(run)).artifacts[0]["displayName"] == "net"
    with pytest.raises(InvalidArgument, match="LOGGED_MODEL_READY"):
        models.finalize(id, "DONE")
    models.delete(id)
    with pytest.raises(NotFound):
        models.get(id)
