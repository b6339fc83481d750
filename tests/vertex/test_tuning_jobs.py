"""Tuning jobs over real processes of this machine: trials, reports, hopeless ones, failures and crashes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.vertex.house import PARENT, House, pool

from tule.kernel.errors import FailedPrecondition, InvalidArgument, Unimplemented
from tule.kernel.home import Home
from tule.kernel.settings import Settings
from tule.vertex.training import Resources
from tule.vertex.tuning import Trials, TuningJobs

GIB = 2**30

SPEC = {
    "metrics": [{"metricId": "loss", "goal": "MINIMIZE"}],
    "parameters": [
        {"parameterId": "x", "doubleValueSpec": {"minValue": -1.0, "maxValue": 1.0}},
        {"parameterId": "size", "discreteValueSpec": {"values": [16.0, 32.0]}},
    ],
}
REPORTS = """
import argparse, os, sys
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--size", type=int)
given = parser.parse_args()
import hypertune
tune = hypertune.HyperTune()
for step in (1, 2):
    tune.report_hyperparameter_tuning_metric("loss", given.x**2 / step, global_step=step)
tune.report_hyperparameter_tuning_metric("beside", 1.0)
"""


class TuningHouse(House):
    """With the tuning jobs of the same data directory."""

    def open(self) -> None:
        super().open()
        self.home = Home.open(Settings(home=self.folder / "home"))
        self.trials = Trials(self.records, self.clock)
        self.tuning = TuningJobs(self.records, self.home, self.clock, self.jobs, self.trials)
        self.tuning.recover()

    def close(self) -> None:
        self.tuning.close()
        super().close()
        self.home.close()

    def tune(self, code: str, *, count: int, parallel: int = 2, most_failed: int = 0, **spec: Any) -> str:
        message = {
            "displayName": "a search",
            "studySpec": {**SPEC, **spec},
            "maxTrialCount": count,
            "parallelTrialCount": parallel,
            "maxFailedTrialCount": most_failed,
            "trialJobSpec": {
                "workerPoolSpecs": [pool(code)],
                "baseOutputDirectory": {"outputUriPrefix": "gs://bucket/search"},
            },
        }
        return str(self.tuning.create(PARENT, message)["name"])

    def tuned(self, name: str) -> dict[str, Any]:
        ended = threading.Event()
        self.tuning.on_end(name, lambda message: ended.set())
        assert ended.wait(120), self.tuning.get(name)
        return self.tuning.get(name)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[TuningHouse]:
    made = TuningHouse(tmp_path, Resources(2.0, 16 * GIB))
    yield made
    made.close()


def test_trials_run_as_jobs_and_their_reports_are_measurements(house: TuningHouse) -> None:
    ended = house.tuned(house.tune(REPORTS, count=3))
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended
    assert ended["createTime"] <= ended["startTime"] <= ended["endTime"]
    assert [(each["id"], each["state"]) for each in ended["trials"]] == [(f"{at}", "SUCCEEDED") for at in (1, 2, 3)]
    for trial in ended["trials"]:
        values = {each["parameterId"]: each["value"] for each in trial["parameters"]}
        assert [each["stepCount"] for each in trial["measurements"]] == ["1", "2"]
        assert trial["finalMeasurement"]["metrics"] == [{"metricId": "loss", "value": values["x"] ** 2 / 2}]
        job = house.jobs.get(trial["customJob"])
        assert job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]["args"][1:] == [
            f"--x={values['x']}", f"--size={int(values['size'])}"
        ]  # fmt: skip
    assert house.tuning.list(PARENT)[0][0]["name"] == ended["name"]


def test_a_trial_knows_its_number_and_its_folder(house: TuningHouse) -> None:
    code = (
        """
import json, os, sys
print(json.dumps([os.environ["CLOUD_ML_TRIAL_ID"], os.environ["AIP_MODEL_DIR"],
                  json.loads(os.environ["CLUSTER_SPEC"])["task"]["trial"]]))
"""
        + REPORTS
    )
    ended = house.tuned(house.tune(code, count=1, parallel=1))
    (process,) = house.processes.list(ended["trials"][0]["customJob"])
    assert json.loads(house.processes.logs(process.name)) == ["1", "gs://bucket/search/1/model/", "1"]


def test_a_hopeless_trial_is_really_stopped(house: TuningHouse) -> None:
    # The first five are quick and good, the sixth is bad and would never end.
    code = """
import os, time, sys
import hypertune
tune = hypertune.HyperTune()
last = os.environ["CLOUD_ML_TRIAL_ID"] == "6"
for step in (1, 2, 3):
    tune.report_hyperparameter_tuning_metric("loss", (9.0 if last else 1.0) / step, global_step=step)
while last: time.sleep(0.1)
"""
    name = house.tune(code, count=6, medianAutomatedStoppingSpec={})
    ended = house.tuned(name)
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended
    bad = ended["trials"][5]
    assert house.jobs.get(bad["customJob"])["state"] == "JOB_STATE_CANCELLED"
    assert (bad["state"], bad["finalMeasurement"]["stepCount"]) == ("SUCCEEDED", "3")
    assert all(each.state.final for each in house.processes.list(bad["customJob"]))


def test_failed_trials_end_the_search_with_their_reason(house: TuningHouse) -> None:
    ended = house.tuned(house.tune("raise SystemExit(4)", count=9, parallel=1, most_failed=2))
    assert (ended["state"], len(ended["trials"])) == ("JOB_STATE_FAILED", 2)
    assert "2 trials failed, and max_failed_trial_count is 2" in ended["error"]["message"]
    assert "exited with a non-zero status of 4" in ended["trials"][0]["infeasibleReason"]
    silent = house.tuned(house.tune("print('nothing')", count=1, parallel=1))
    assert silent["state"] == "JOB_STATE_FAILED"
    assert "must report loss with cloudml-hypertune" in silent["error"]["message"]


def test_a_search_that_was_cut_off_goes_on_with_its_trials(house: TuningHouse) -> None:
    code = "import os, time\nfrom pathlib import Path\nPath('began').touch()\n"
    code += "while not Path('go').exists(): time.sleep(0.01)\n" + REPORTS
    name = house.tune(code, count=3)
    while not (house.folder / "began").exists():
        threading.Event().wait(0.01)
    before = house.tuning.get(name)["trials"]
    house.close()
    (house.folder / "go").touch()
    house.open()
    ended = house.tuned(name)
    assert (ended["state"], len(ended["trials"])) == ("JOB_STATE_SUCCEEDED", 3)
    assert [each["parameters"] for each in ended["trials"][:2]] == [each["parameters"] for each in before]
    assert [each["customJob"] for each in ended["trials"][:2]] == [each["customJob"] for each in before]


def test_a_cancel_ends_all_trials(house: TuningHouse) -> None:
    name = house.tune("import time; time.sleep(600)", count=4)
    while len(house.tuning.get(name)["trials"]) < 2:
        threading.Event().wait(0.01)
    with pytest.raises(FailedPrecondition, match="must have ended to be deleted"):
        house.tuning.delete(name)
    house.tuning.cancel(name)
    ended = house.tuned(name)
    assert ended["state"] == "JOB_STATE_CANCELLED"
    assert [each["state"] for each in ended["trials"]] == ["INFEASIBLE"] * 2
    assert all(house.jobs.get(each["customJob"])["state"] == "JOB_STATE_CANCELLED" for each in ended["trials"])
    house.tuning.delete(name)
    assert house.records.list("trial").records == []


def test_a_wrong_search_is_refused_and_not_stored(house: TuningHouse) -> None:
    with pytest.raises(InvalidArgument, match="the second not above the first; given: 2 and 3"):
        house.tune(REPORTS, count=2, parallel=3)
    default = {"parameterId": "x", "doubleValueSpec": {"minValue": 0.0, "maxValue": 1.0, "defaultValue": 0.5}}
    with pytest.raises(Unimplemented, match="A default value is read by studies alone"):
        house.tune(REPORTS, count=2, parameters=[default])
    with pytest.raises(InvalidArgument, match="at least one metric"):
        house.tune(REPORTS, count=2, metrics=[])
    assert house.tuning.list(PARENT) == ([], "")
    assert house.jobs.list(PARENT) == ([], "")
