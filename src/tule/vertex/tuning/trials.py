"""The trials of a study or of a tuning job: suggested, measured, ended.

A trial is a record below its owner, ``OWNER/trials/N``; what is suggested next follows from the owner's StudySpec and the
recorded trials alone, so that a search goes on after a restart as if nothing had happened. The owner's record counts the
numbers: that of a deleted trial does not come again.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tule.kernel.clock import Clock
from tule.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from tule.kernel.names import Pattern
from tule.kernel.records import Page, Record, Records
from tule.learn.search import Status, Study, Trial, hopeless, unpromising
from tule.vertex.messages import timestamp
from tule.vertex.tuning import measurements, specs

TRIAL = Pattern("projects/{project}/locations/{location}/studies/{study}/trials/{trial}")
KIND = "trial"

_STATUS = {"SUCCEEDED": Status.SUCCEEDED, "INFEASIBLE": Status.INFEASIBLE}
_OPEN = ("REQUESTED", "ACTIVE", "STOPPING")
_ORDER = "_tule.number"


class Trials:
    """The trials below any owner. Safe to use from several threads: one suggestion of an owner at a time."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)

    # -- reading

    def get(self, name: str) -> dict[str, Any]:
        return _message(self._find(name))

    def all(self, owner: str) -> list[dict[str, Any]]:
        """All trials, in the order of their numbers."""
        return [_message(each) for each in self._records.list(KIND, owner, order_by=_ORDER)]

    def page(self, owner: str, *, page_size: int, page_token: str) -> tuple[list[dict[str, Any]], str]:
        found: Page = self._records.list(KIND, owner, order_by=_ORDER, page_size=page_size, page_token=page_token)
        return [_message(each) for each in found], found.next_page_token

    def optimal(self, owner: str) -> list[dict[str, Any]]:
        """The best trials: those that no other beats in one metric without losing in another."""
        record = self._records.get(owner)
        best = {each.number for each in self._study(record, self.all(owner)).optimal()}
        return [each for each in self.all(owner) if int(each["id"]) in best]

    # -- suggesting

    def suggest(
        self,
        owner: str,
        client: str,
        count: int,
        commit: Callable[[list[dict[str, Any]]], None] = lambda trials: None,
    ) -> list[dict[str, Any]]:
        """``count`` trials for a client, fewer when the space is exhausted or the study is to stop.

        Those that it was given before and did not complete come first, then those that somebody asked for with
        ``create``, then new ones. ``commit`` joins the transaction that stores them.
        """
        if count < 1:
            raise InvalidArgument("suggestion_count must be at least 1", given=count)
        with self._locks[owner]:
            present = self.all(owner)
            mine = [each for each in present if each["state"] == "ACTIVE" and each.get("clientId", "") == client]
            asked = [each for each in present if each["state"] == "REQUESTED"][: max(0, count - len(mine))]
            fresh = self._fresh(owner, present, count - len(mine) - len(asked))
            with self._records.transaction():
                now = timestamp(self._clock.now())
                given = {"state": "ACTIVE", "clientId": client, "startTime": now}
                found = mine[:count]
                found += [_message(self._records.update(each["name"], given)) for each in asked]
                found += [self._store(owner, trial.number, _parameters(trial.values), given) for trial in fresh]
                commit(found)
        return found

    def _fresh(self, owner: str, present: Sequence[Mapping[str, Any]], count: int) -> list[Trial]:
        record = self._records.get(owner)
        if count < 1 or self.ended(record, present):
            return []
        most = record.body["studySpec"].get("studyStoppingConfig", {}).get("maxNumTrials")
        if most is not None:
            count = min(count, int(most) - len(present))
        study = self._study(record, present)
        number = _next(record)
        found = [study.suggest(at) for at in range(number, number + count)]
        return [each for each in found if each is not None]

    def create(self, owner: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Add a trial of the caller's own: with a final measurement it is over, without one it is suggested next."""
        record = self._records.get(owner)
        spec = record.body["studySpec"]
        objectives = specs.objectives(spec)
        values = specs.point(specs.space(spec), message.get("parameters", []))
        for each in message.get("measurements", []):
            measurements.check(each, objectives)
        body = {key: message[key] for key in ("measurements", "clientId") if key in message}
        final = message.get("finalMeasurement")
        if final is not None:
            measurements.check(final, objectives, final=True)
            now = timestamp(self._clock.now())
            body |= {"state": "SUCCEEDED", "finalMeasurement": final, "startTime": now, "endTime": now}
        elif message.get("state") == "INFEASIBLE":
            body |= {"state": "INFEASIBLE", "infeasibleReason": message.get("infeasibleReason", "")}
        else:
            body["state"] = "REQUESTED"
        with self._locks[owner], self._records.transaction():
            return self._store(owner, _next(self._records.get(owner)), _parameters(values), body)

    def _store(
        self, owner: str, number: int, parameters: list[dict[str, Any]], body: Mapping[str, Any]
    ) -> dict[str, Any]:
        private = {"number": number, "began": timestamp(self._clock.now())}
        message = {"id": str(number), "parameters": parameters, **body, "_tule": private}
        record = self._records.create(KIND, f"{owner}/trials/{number}", message)
        self._records.update(owner, lambda body: {**body, "_tule": {**body.get("_tule", {}), "next": number + 1}})
        return _message(record)

    # -- measuring and ending

    def measure(self, name: str, measurement: Mapping[str, Any]) -> dict[str, Any]:
        """Add an intermediate measurement of a trial that is not over."""
        measurements.check(measurement, self._objectives(name))

        def change(body: dict[str, Any]) -> dict[str, Any]:
            _check_open(name, body)
            began = self._elapsed(body)
            whole = {**measurement, **({} if measurement.get("elapsedDuration") else {"elapsedDuration": began})}
            return {**body, "measurements": [*body.get("measurements", []), whole]}

        self._find(name)
        return _message(self._records.update(name, change))

    def report(self, name: str, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Put all intermediate measurements of a trial in the place of those that it has."""
        return _message(self._records.update(name, {"measurements": list(found)}))

    def complete(
        self, name: str, final: Mapping[str, Any] | None = None, *, infeasible: bool = False, reason: str = ""
    ) -> dict[str, Any]:
        """End a trial: with this measurement, with one of those that it has, or as infeasible."""
        owner = _owner(name)
        self._find(name)
        spec, objectives = self._records.get(owner).body["studySpec"], self._objectives(name)
        if final is not None and not infeasible:
            measurements.check(final, objectives, final=True)
        best = spec.get("measurementSelectionType") == "BEST_MEASUREMENT"

        def change(body: dict[str, Any]) -> dict[str, Any]:
            _check_open(name, body)
            now = timestamp(self._clock.now())
            if infeasible:
                return {**body, "state": "INFEASIBLE", "infeasibleReason": reason, "endTime": now}
            chosen = final or measurements.selected(body.get("measurements", []), objectives, best=best)
            if chosen is None:
                raise FailedPrecondition(
                    "A trial must have a measurement with every metric to be completed", given=name,
                    do="give final_measurement, or say that it is infeasible",
                )  # fmt: skip
            whole = {**chosen, **({} if chosen.get("elapsedDuration") else {"elapsedDuration": self._elapsed(body)})}
            return {**body, "state": "SUCCEEDED", "finalMeasurement": whole, "endTime": now}

        return _message(self._records.update(name, change))

    def stop(self, name: str) -> dict[str, Any]:
        """Ask for a trial to be stopped: whoever runs it is told so when it asks, and completes it."""

        def change(body: dict[str, Any]) -> dict[str, Any]:
            _check_open(name, body)
            return {**body, "state": "STOPPING"}

        self._find(name)
        return _message(self._records.update(name, change))

    def delete(self, name: str) -> None:
        self._find(name)
        self._records.delete(name)

    def check_stop(self, name: str) -> bool:
        """Whether a trial should stop: it was asked to, or the study's rule calls it hopeless (it is asked to then)."""
        trial = self.get(name)
        if trial["state"] not in _OPEN or trial["state"] == "STOPPING":
            return bool(trial["state"] == "STOPPING")
        owner = self._records.get(_owner(name))
        spec, others = owner.body["studySpec"], self.all(owner.name)
        asap = spec.get("studyStoppingConfig", {}).get("shouldStopAsap") and self.ended(owner, others)
        if asap or self._hopeless(spec, trial, others):
            self.stop(name)
            return True
        return False

    @staticmethod
    def _hopeless(spec: Mapping[str, Any], trial: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> bool:
        rule = specs.stopping(spec)
        if rule is None:
            return False
        kind, elapsed = rule
        objective = specs.objectives(spec)[0]

        def curve(of: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
            return measurements.curve(of.get("measurements", []), objective, elapsed=elapsed)

        finished = [curve(each) for each in others if each["state"] == "SUCCEEDED" and each["id"] != trial["id"]]
        judge = hopeless if kind == "median" else unpromising
        return judge(curve(trial), finished, maximize=objective.maximize)

    # -- the end of a study

    def ended(self, owner: Record, trials: Sequence[Mapping[str, Any]]) -> str:
        """Why the study's stopping configuration asks for no more trials, '' where it does not."""
        config = owner.body["studySpec"].get("studyStoppingConfig", {})
        done = [each for each in trials if each["state"] not in _OPEN]
        if len(done) < int(config.get("minNumTrials") or 0) or not self._past(owner, config, "minimum", default=True):
            return ""
        most = config.get("maxNumTrials")
        if most is not None and len(trials) >= int(most):
            return f"it has its {most} trials"
        if self._past(owner, config, "maximum", default=False):
            return "its time is over"
        return self._stagnant(owner, config, done)

    def _stagnant(self, owner: Record, config: Mapping[str, Any], done: Sequence[Mapping[str, Any]]) -> str:
        best = [int(each.number) for each in self._study(owner, done).optimal()]
        last = max(best, default=0)
        count, span = config.get("maxNumTrialsNoProgress"), config.get("maxDurationNoProgress")
        if count is not None and sum(int(each["id"]) > last for each in done) >= int(count):
            return f"{count} trials brought no progress"
        moment = next((each.get("endTime") for each in done if int(each["id"]) == last), None)
        if span and moment and self._since(moment) >= measurements.seconds(span):
            return f"{span} brought no progress"
        return ""

    def _past(self, owner: Record, config: Mapping[str, Any], which: str, *, default: bool) -> bool:
        """Whether the time of a constraint is over; ``default`` where there is none."""
        constraint = config.get(f"{which}RuntimeConstraint") or {}
        if "endTime" in constraint:
            return self._since(constraint["endTime"]) >= 0
        if "maxDuration" in constraint:
            return self._since(timestamp(owner.create_time)) >= measurements.seconds(constraint["maxDuration"])
        return default

    def _since(self, moment: str) -> float:
        from datetime import datetime

        return (self._clock.now() - datetime.fromisoformat(moment.replace("Z", "+00:00"))).total_seconds()

    # -- inside

    def _elapsed(self, body: Mapping[str, Any]) -> str:
        began = body.get("startTime") or body["_tule"]["began"]
        return f"{max(0.0, self._since(began)):.6f}s"

    def _objectives(self, name: str) -> tuple[Any, ...]:
        return specs.objectives(self._records.get(_owner(name)).body["studySpec"])

    def _study(self, owner: Record, trials: Sequence[Mapping[str, Any]]) -> Study:
        spec = owner.body["studySpec"]
        space, objectives = specs.space(spec), specs.objectives(spec)
        recorded = []
        for each in trials:
            status = _STATUS.get(each["state"], Status.RUNNING)
            final = each.get("finalMeasurement") if status is Status.SUCCEEDED else None
            numbers = measurements.numbers(final, objectives) if final is not None else None
            values = specs.point(space, each.get("parameters", []))
            recorded.append(Trial(int(each["id"]), values, status, numbers))
        return Study(
            space,
            objectives,
            algorithm=specs.algorithm(spec),
            seed=specs.seed(owner.body.get("displayName", "")),
            start=specs.start(spec),
            trials=recorded,
            noisy=specs.noisy(spec),
        )

    def _find(self, name: str) -> Record:
        record = self._records.find(name)
        if record is None or record.kind != KIND:
            raise NotFound("The trial must exist", given=name, do="list the trials of the study")
        return record


def _owner(name: str) -> str:
    return name.rpartition("/trials/")[0]


def _next(owner: Record) -> int:
    return int(owner.body.get("_tule", {}).get("next", 1))


def _parameters(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"parameterId": name, "value": value} for name, value in values.items()]


def _check_open(name: str, body: Mapping[str, Any]) -> None:
    if body["state"] not in _OPEN:
        raise FailedPrecondition("The trial must not be over", given=f"{name}, which is {body['state']}")


def _message(record: Record) -> dict[str, Any]:
    return {"name": record.name, **{key: value for key, value in record.body.items() if not key.startswith("_")}}
