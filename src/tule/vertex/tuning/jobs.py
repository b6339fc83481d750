"""Hyperparameter tuning jobs: a search whose trials are custom jobs of this machine.

Each trial's values come to its job as arguments ``--name=value``; what it reports with ``cloudml-hypertune`` becomes its
measurements. A trial and its job are stored in one transaction, so that a search goes on after a crash with the trials
that it has.
"""

from __future__ import annotations

import logging
import queue
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tule.kernel.clock import Clock
from tule.kernel.errors import NUMBERS, Cancelled, FailedPrecondition, Internal, InvalidArgument, NotFound, TuleError
from tule.kernel.home import Home
from tule.kernel.labels import check_labels
from tule.kernel.names import Pattern, numeric_id
from tule.kernel.records import Record, Records
from tule.vertex.messages import timestamp
from tule.vertex.training import FINAL, CustomJobs
from tule.vertex.tuning import specs
from tule.vertex.tuning.reports import Reports
from tule.vertex.tuning.trials import Trials

TUNING_JOB = Pattern("projects/{project}/locations/{location}/hyperparameterTuningJobs/{job}")
KIND = "hyperparameterTuningJob"

_LOG = logging.getLogger(__name__)
# Seconds between two looks at what the trials report.
_LOOK = 0.5
# A job that says nothing of failed trials ends when the first so many, or as many as run at once, all failed.
_FAILED_AT_FIRST = 3
_OPEN = ("ACTIVE", "STOPPING")


class TuningJobs:
    """The tuning jobs of the server. Safe to use from several threads."""

    def __init__(self, records: Records, home: Home, clock: Clock, jobs: CustomJobs, trials: Trials) -> None:
        self._records = records
        self._folder = home.folder("tuning")
        self._clock = clock
        self._jobs = jobs
        self._trials = trials
        self._lock = threading.Lock()
        self._searches: dict[str, Search] = {}
        self._actions: dict[str, list[Any]] = {}
        self._closed = False

    # -- Google's methods

    def check(self, parent: str, message: Mapping[str, Any]) -> None:
        """Raise what is wrong with a tuning job before anything is stored."""
        spec = message.get("studySpec", {})
        specs.check(spec)
        specs.refuse_defaults(spec)
        most, parallel = (int(message.get(each, 0)) for each in ("maxTrialCount", "parallelTrialCount"))
        if not 1 <= parallel <= most:
            raise InvalidArgument(
                "max_trial_count and parallel_trial_count must be at least 1, the second not above the first",
                given=f"{most} and {parallel}",
            )
        if int(message.get("maxFailedTrialCount", 0)) < 0:
            raise InvalidArgument("max_failed_trial_count must not be negative", given=message["maxFailedTrialCount"])
        self._jobs.check(parent, message.get("trialJobSpec", {}))

    def create(self, parent: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Store a tuning job and begin with its trials."""
        if not message.get("displayName"):
            raise InvalidArgument("A tuning job must have a display name", given="none", do="set display_name")
        check_labels(message.get("labels", {}))
        self.check(parent, message)
        fields = ("displayName", "studySpec", "maxTrialCount", "parallelTrialCount", "maxFailedTrialCount",
                  "trialJobSpec", "labels")  # fmt: skip
        body = {key: message[key] for key in fields if key in message}
        name = f"{parent}/hyperparameterTuningJobs/{numeric_id()}"
        with self._records.transaction():
            record = self._records.create(KIND, name, {**body, "state": "JOB_STATE_PENDING"})
            self._records.after_commit(lambda: self._begin(name))
        return self.message(record)

    def get(self, name: str) -> dict[str, Any]:
        return self.message(self.find(name))

    def list(
        self, parent: str, *, filter: str = "", page_size: int = 0, page_token: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        found = self._records.list(
            KIND, parent, filter=filter, order_by="create_time desc", page_size=page_size, page_token=page_token
        )
        return [self.message(each) for each in found], found.next_page_token

    def cancel(self, name: str) -> None:
        """Ask a job to end its trials and itself; nothing happens to one that has ended."""
        with self._records.transaction(), self._lock:
            if self.find(name).body["state"] in FINAL:
                return
            self._records.update(name, {"state": "JOB_STATE_CANCELLING"})
            search = self._searches.get(name)
        if search is not None:
            search.cancel()

    def check_delete(self, name: str) -> None:
        if self.find(name).body["state"] not in FINAL:
            raise FailedPrecondition("A job must have ended to be deleted", given=name, do="cancel it first")

    def delete(self, name: str) -> None:
        """Forget a job with its trials; the custom jobs that they were stay."""
        self.check_delete(name)
        self._records.delete_under(name)
        self._records.delete(name)

    def on_end(self, name: str, action: Any) -> None:
        """Call ``action`` with the job's message once it has ended, at once where it has."""
        with self._records.transaction(), self._lock:
            message = self.get(name)
            if message["state"] not in FINAL:
                self._actions.setdefault(name, []).append(action)
                return
        action(message)

    def find(self, name: str) -> Record:
        TUNING_JOB.parse(name)
        record = self._records.find(name)
        if record is None or record.kind != KIND:
            raise NotFound("The tuning job must exist", given=name, do="list those of the location")
        return record

    def message(self, record: Record) -> dict[str, Any]:
        body = {key: value for key, value in record.body.items() if not key.startswith("_")}
        times = {"createTime": timestamp(record.create_time), "updateTime": timestamp(record.update_time)}
        trials = [
            {key: value for key, value in each.items() if key not in ("name", "clientId")}
            for each in self._trials.all(record.name)
        ]
        return {"name": record.name, **body, **times, "trials": trials}

    def best(self, name: str) -> str:
        """The number of the best trial, the first of several."""
        return str(self._trials.optimal(name)[0]["id"])

    # -- running

    def _begin(self, name: str) -> None:
        with self._lock:
            if self._closed or name in self._searches:
                return
            search = self._searches[name] = Search(self, name)
        threading.Thread(target=self._work, args=(search,), name="tuning", daemon=True).start()

    def _work(self, search: Search) -> None:
        name = search.name
        try:
            try:
                search.go()
                error: TuleError | None = None
            except TuleError as raised:
                error = raised
            except Exception as raised:
                if self._closed:
                    return
                _LOG.exception("Tuning job %s failed in the server", name)
                error = Internal(f"The server could not go on with the job: {type(raised).__name__}: {raised}")
            if not self._closed:
                self._end(name, error)
        except Exception:
            # The store failed: the record still says RUNNING, the next start goes on.
            _LOG.exception("The end of tuning job %s could not be stored", name)
        finally:
            with self._lock:
                self._searches.pop(name, None)

    def _end(self, name: str, error: TuleError | None) -> None:
        state = "SUCCEEDED" if error is None else "CANCELLED" if isinstance(error, Cancelled) else "FAILED"
        body: dict[str, Any] = {"state": f"JOB_STATE_{state}", "endTime": timestamp(self._clock.now())}
        if error is not None:
            body["error"] = {"code": NUMBERS[error.code], "message": error.message}
        with self._records.transaction(), self._lock:
            record = self._records.update(name, body)
            actions = self._actions.pop(name, [])
        shutil.rmtree(self.folder(name), ignore_errors=True)
        for action in actions:
            try:
                action(self.message(record))
            except Exception:
                _LOG.exception("An action at the end of %s failed", name)

    def folder(self, name: str) -> Path:
        """Where the trials of a job report."""
        return self._folder / name.rpartition("/")[2]

    def recover(self) -> None:
        """At the start: go on with the jobs that had not ended."""
        for record in self._records.list(KIND, order_by="create_time"):
            if record.body["state"] not in FINAL:
                self._begin(record.name)

    def close(self) -> None:
        """Leave what runs: the next server goes on with it."""
        with self._lock:
            self._closed = True
            searches = list(self._searches.values())
        for search in searches:
            search.leave()


class Search:
    """The trials of one tuning job, from the first to the last, on one thread."""

    def __init__(self, house: TuningJobs, name: str) -> None:
        self.name = name
        self._house = house
        self._records = house._records
        self._jobs = house._jobs
        self._trials = house._trials
        self._events: queue.SimpleQueue[tuple[str, dict[str, Any]]] = queue.SimpleQueue()
        # Trial number -> what it reported so far.
        self._running: dict[str, Reports] = {}
        self._cancelled = self._left = False

    def cancel(self) -> None:
        self._cancelled = True
        self._events.put(("", {}))

    def leave(self) -> None:
        self._left = True
        self._events.put(("", {}))

    def go(self) -> None:
        """Try until there are enough trials; raises why the job did not succeed."""
        self._cancelled = self._cancelled or self._body()["state"] == "JOB_STATE_CANCELLING"
        for trial in self._trials.all(self.name):
            if trial["state"] in _OPEN:
                self._follow(trial)
        try:
            while not self._left:
                self._check()
                if not self._fill() and not self._running:
                    break
                self._listen()
        finally:
            if not self._left:
                self._stop_all()
        if not self._left and not any(each["state"] == "SUCCEEDED" for each in self._trials.all(self.name)):
            raise self._failed("no trial succeeded")

    def _body(self) -> dict[str, Any]:
        return self._records.get(self.name).body

    def _check(self) -> None:
        if self._cancelled:
            raise Cancelled("The job was cancelled")
        trials = self._trials.all(self.name)
        failed = sum(each["state"] == "INFEASIBLE" for each in trials)
        succeeded = sum(each["state"] == "SUCCEEDED" for each in trials)
        body = self._body()
        most = int(body.get("maxFailedTrialCount", 0))
        if most and failed >= most:
            raise self._failed(f"{failed} trials failed, and max_failed_trial_count is {most}")
        if not most and not succeeded and failed >= max(_FAILED_AT_FIRST, int(body["parallelTrialCount"])):
            raise self._failed(f"the first {failed} trials failed")

    def _failed(self, what: str) -> TuleError:
        reasons = [each["infeasibleReason"] for each in self._trials.all(self.name) if each.get("infeasibleReason")]
        last = f" The last of them: {reasons[-1]}" if reasons else ""
        return FailedPrecondition(f"The search ended, for {what}.{last}", do="look at the custom jobs of its trials")

    # -- beginning trials

    def _fill(self) -> bool:
        """Begin as many trials as may run beside each other; whether any was begun."""
        body, begun = self._body(), False
        while len(self._running) < int(body["parallelTrialCount"]):
            known = self._trials.all(self.name)
            if len(known) >= int(body["maxTrialCount"]):
                break
            # A client of its own for each: a trial is never given out twice.
            found = self._trials.suggest(self.name, f"trial {len(known) + 1}", 1, self._create_jobs)
            if not found:
                break
            self._follow(self._trials.get(found[0]["name"]))
            begun = True
        return begun

    def _create_jobs(self, trials: list[dict[str, Any]]) -> None:
        """Within the transaction that stores the trials: a trial without a job is never seen."""
        body = self._body()
        parent = self.name.rpartition("/hyperparameterTuningJobs/")[0]
        for trial in trials:
            number = trial["id"]
            message = {
                "displayName": f"{body['displayName']}-trial-{number}",
                "jobSpec": _with_arguments(body["trialJobSpec"], trial["parameters"]),
                "labels": body.get("labels", {}),
            }
            variables = {"CLOUD_ML_TRIAL_ID": number, "CLOUD_ML_HP_METRIC_FILE": str(self._reports(number))}
            job = self._jobs.create(parent, message, trial=number, variables=variables)
            self._records.update(trial["name"], {"customJob": job["name"]})

    def _reports(self, number: str) -> Path:
        return self._house.folder(self.name) / number / "output.metrics"

    def _follow(self, trial: Mapping[str, Any]) -> None:
        number = trial["id"]
        path = self._reports(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        objectives = specs.objectives(self._body()["studySpec"])
        self._running[number] = Reports(path, [each.name for each in objectives])
        try:
            self._jobs.on_end(trial["customJob"], lambda job: self._events.put((number, job)))
        except NotFound as error:
            gone = {"state": "JOB_STATE_FAILED", "error": {"message": error.message}}
            self._events.put((number, gone))

    # -- following them

    def _listen(self) -> None:
        """Until the next end of a trial or the next look at what they report."""
        try:
            number, job = self._events.get(timeout=_LOOK)
        except queue.Empty:
            self._note_start()
            for number in self._running:
                self._look(number)
            return
        if number:
            self._note_start()
            self._ended(number, job)

    def _note_start(self) -> None:
        """The job runs, and began, with its first trial that does."""
        body = self._body()
        if body["state"] != "JOB_STATE_PENDING":
            return
        for trial in self._trials.all(self.name):
            started = self._jobs.get(trial["customJob"]).get("startTime")
            if started:
                self._records.update(self.name, {"state": "JOB_STATE_RUNNING", "startTime": started})
                return

    def _look(self, number: str) -> None:
        """Store what a trial reported meanwhile, and stop it where it is hopeless."""
        reports, name = self._running[number], self._name(number)
        if not reports.read():
            return
        trial = self._trials.report(name, reports.measurements)
        if trial["state"] == "ACTIVE" and self._trials.check_stop(name):
            self._jobs.cancel(trial["customJob"])

    def _ended(self, number: str, job: Mapping[str, Any]) -> None:
        reports, name = self._running.pop(number), self._name(number)
        if reports.read():
            self._trials.report(name, reports.measurements)
        trial = self._trials.get(name)
        stopped = trial["state"] == "STOPPING" and job["state"] == "JOB_STATE_CANCELLED"
        if job["state"] == "JOB_STATE_SUCCEEDED" or stopped:
            try:
                self._trials.complete(name)
                return
            except FailedPrecondition:
                metrics = ", ".join(each.name for each in specs.objectives(self._body()["studySpec"]))
                reason = f"It must report {metrics} with cloudml-hypertune to succeed"
                reason += f"; it reported {reports.not_finite} as no finite number" if reports.not_finite else ""
        else:
            reason = job.get("error", {}).get("message", "its job was cancelled")
        self._trials.complete(name, infeasible=True, reason=reason)

    def _stop_all(self) -> None:
        """End the trials that still run, where the search ended for a reason of its own."""
        for number in self._running:
            self._jobs.cancel(self._trials.get(self._name(number))["customJob"])
        while self._running and not self._left:
            number, job = self._events.get()
            if number:
                self._ended(number, job)

    def _name(self, number: str) -> str:
        return f"{self.name}/trials/{number}"


def _with_arguments(spec: Mapping[str, Any], parameters: list[dict[str, Any]]) -> dict[str, Any]:
    """A CustomJobSpec whose replicas get the values of a trial as arguments."""
    arguments = [f"--{each['parameterId']}={_written(each['value'])}" for each in parameters]
    pools = []
    for pool in spec["workerPoolSpecs"]:
        kind = "containerSpec" if "containerSpec" in pool else "pythonPackageSpec"
        task = pool.get(kind)
        pools.append({**pool, kind: {**task, "args": [*task.get("args", []), *arguments]}} if task else pool)
    return {**spec, "workerPoolSpecs": pools}


def _written(value: Any) -> str:
    """A whole number of a discrete parameter is written without a point, so that ``type=int`` reads it.

    >>> _written(16.0), _written(0.5), _written("relu")
    ('16', '0.5', 'relu')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


class TuningTask:
    """hyperparameter_tuning_task_1.0.0: a tuning job; the model of the pipeline is that of the best trial."""

    metadata = "backingHyperparameterTuningJob"
    message = "HyperparameterTuningJob"
    fields: tuple[str, ...] = ()

    def __init__(self, jobs: TuningJobs, fields: tuple[str, ...]) -> None:
        self._jobs = jobs
        self.fields = fields

    def check(self, parent: str, inputs: Mapping[str, Any]) -> None:
        self._jobs.check(parent, inputs)

    def create(self, parent: str, display_name: str, labels: Mapping[str, str], inputs: Mapping[str, Any]) -> str:
        message = {**inputs, "displayName": display_name, "labels": dict(labels)}
        return str(self._jobs.create(parent, message)["name"])

    def get(self, name: str) -> dict[str, Any]:
        return self._jobs.get(name)

    def cancel(self, name: str) -> None:
        self._jobs.cancel(name)

    def on_end(self, name: str, action: Any) -> None:
        self._jobs.on_end(name, action)

    def model_folder(self, inputs: Mapping[str, Any], job: Mapping[str, Any]) -> str:
        base = inputs["trialJobSpec"].get("baseOutputDirectory", {}).get("outputUriPrefix", "").rstrip("/")
        if not base or not job:
            return str(base)
        return f"{base}/{self._jobs.best(job['name'])}/model/"
