"""Schedules of pipeline jobs: records, one timer each on the kernel's clock, and the runs that fall due.

A run and the note that it was made are one transaction, so that no moment has two. Runs that fell due while no server ran
are made up for by one, or by all of them where the schedule catches up.
https://cloud.google.com/vertex-ai/docs/pipelines/schedule-pipeline-run
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from tule.kernel.clock import Clock
from tule.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, TuleError
from tule.kernel.names import Pattern, numeric_id
from tule.kernel.records import Record, Records
from tule.vertex.schedules import cron

_LOG = logging.getLogger(__name__)
KIND = "schedule"
SCHEDULE = Pattern("projects/{project}/locations/{location}/schedules/{schedule}")
ACTIVE, PAUSED, COMPLETED = "ACTIVE", "PAUSED", "COMPLETED"
_LONGEST_NAME = 128
_REQUEST = "createPipelineJobRequest"
# What an update may change.
FIELDS = (
    "displayName", "cron", "startTime", "endTime", "maxRunCount", "maxConcurrentRunCount",
    "maxConcurrentActiveRunCount", "allowQueueing", _REQUEST,
)  # fmt: skip


class Jobs(Protocol):
    """What this room needs of ``vertex.pipelines``."""

    def check(self, parent: str, message: Mapping[str, Any]) -> None: ...

    def create(
        self, parent: str, message: Mapping[str, Any], job_id: str = "", *, schedule: str = "", scheduled: str = ""
    ) -> dict[str, Any]: ...

    def over(self, name: str) -> bool: ...

    def on_end(self, listener: Callable[[str], None]) -> None: ...


class Schedules:
    """The schedules of one server. Safe to use from any thread."""

    def __init__(self, records: Records, clock: Clock, jobs: Jobs) -> None:
        self._records = records
        self._clock = clock
        self._jobs = jobs
        self._lock = threading.Lock()
        self._timers: dict[str, Callable[[], None]] = {}
        self._stopped = False
        jobs.on_end(self._job_ended)

    # -- the server's life

    def start(self) -> None:
        """Set the timers, and see what became of the runs."""
        for record in self._records.list(KIND, filter=f"state={ACTIVE}"):
            self._skip_missed(record.name)
            self._forget_ended(record.name)
            self._due(record.name)

    def stop(self) -> None:
        """Set no more timers. Idempotent."""
        with self._lock:
            self._stopped = True
            timers, self._timers = list(self._timers.values()), {}
        for cancel in timers:
            cancel()

    def _skip_missed(self, name: str) -> None:
        """Of the moments that passed while no server ran the newest counts, unless the schedule catches up."""

        def changed(body: dict[str, Any]) -> dict[str, Any]:
            moment = _moment(body, "nextRunTime")
            if body.get("catchUp") or moment is None or moment > self._clock.now():
                return body
            last = cron.read(body["cron"]).last(self._clock.now())
            return {**body, "nextRunTime": _text(max(moment, last or moment))}

        self._records.update(name, changed)

    def _forget_ended(self, name: str) -> None:
        def changed(body: dict[str, Any]) -> dict[str, Any]:
            active = [each for each in body["_tule"]["active"] if not self._jobs.over(each)]
            return {**body, "_tule": {**body["_tule"], "active": active}}

        self._records.update(name, changed)

    # -- schedules

    def create(self, parent: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """A new schedule; its first run is at the first moment of its cron after its start."""
        name = f"{parent}/schedules/{numeric_id()}"
        SCHEDULE.parse(name)
        body = self._checked(parent, given)
        now = self._clock.now()
        begin = _moment(body, "startTime") or now
        body |= {"startTime": _text(begin), "state": ACTIVE, "startedRunCount": "0", "catchUp": False}
        body["_tule"] = {"active": []}
        body = self._with_next(body, max(begin, now) if begin > now else now, first=begin > now)
        record = self._records.create(KIND, name, body)
        self._records.after_commit(lambda: self._due(name))
        return self.resource(record)

    def _with_next(self, body: dict[str, Any], moment: datetime, *, first: bool = False) -> dict[str, Any]:
        """The schedule with its next moment behind ``moment``, or completed when there is none."""
        at = cron.read(body["cron"])
        # A start that is itself a moment of the schedule counts.
        following = moment if first and at.last(moment) == moment else at.after(moment)
        end, most = _moment(body, "endTime"), int(body.get("maxRunCount") or 0)
        done = bool(most) and int(body["startedRunCount"]) >= most
        if following is None or done or (end is not None and following > end):
            kept = {key: value for key, value in body.items() if key != "nextRunTime"}
            return {**kept, "state": COMPLETED}
        return {**body, "nextRunTime": _text(following)}

    def _checked(self, parent: str, given: Mapping[str, Any]) -> dict[str, Any]:
        body = dict(given)
        if not body.get("displayName") or len(body["displayName"]) > _LONGEST_NAME:
            raise InvalidArgument(
                "A schedule must have a display_name of at most 128 characters",
                given=repr(body.get("displayName", ""))[:200],
            )
        if not body.get("cron"):
            raise InvalidArgument("A schedule must have a cron", given="none", do="write '0 6 * * *'")
        cron.read(body["cron"])
        if int(body.get("maxConcurrentRunCount") or 0) < 1:
            raise InvalidArgument(
                "max_concurrent_run_count must be 1 or more", given=body.get("maxConcurrentRunCount", 0)
            )
        for field in ("maxRunCount", "maxConcurrentActiveRunCount"):
            if int(body.get(field) or 0) < 0:
                raise InvalidArgument(f"{field} must not be negative", given=body[field])
        start, end = _moment(body, "startTime"), _moment(body, "endTime")
        if end is not None and end <= (start or self._clock.now()):
            raise InvalidArgument("end_time must be after start_time", given=body["endTime"])
        request = body.get(_REQUEST)
        if not request:
            raise InvalidArgument("A schedule must have a create_pipeline_job_request", given="none")
        if request.get("parent", parent) != parent:
            raise InvalidArgument(
                "create_pipeline_job_request.parent must be the schedule's own",
                given=request["parent"],
                do=f"give {parent}",
            )
        if request.get("pipelineJobId"):
            raise InvalidArgument(
                "create_pipeline_job_request.pipeline_job_id must be empty: each run has an id of its own",
                given=request["pipelineJobId"],
            )
        self._jobs.check(parent, request.get("pipelineJob", {}))
        return body

    def get(self, name: str) -> dict[str, Any]:
        return self.resource(self._find(name))

    def list(
        self, parent: str, *, filter: str, order_by: str, page_size: int, page_token: str
    ) -> tuple[Sequence[dict[str, Any]], str]:
        """The schedules under a parent, the newest first unless ordered, and the token of the next page."""
        page = self._records.list(
            KIND, parent, filter=filter, order_by=order_by or "create_time desc", page_size=page_size,
            page_token=page_token,
        )  # fmt: skip
        return [self.resource(each) for each in page], page.next_page_token

    def update(self, name: str, given: Mapping[str, Any], fields: set[str]) -> dict[str, Any]:
        """Change the named fields; the next run is reckoned anew from now on."""
        record = self._find(name)
        if unknown := sorted(fields - set(FIELDS)):
            raise InvalidArgument(f"update_mask must name fields of {', '.join(FIELDS)}", given=unknown[0])
        if record.body["state"] == COMPLETED:
            raise FailedPrecondition("A schedule that is completed must stay as it is", given=name, do="make a new one")
        kept = {key: value for key, value in record.body.items() if key not in fields}
        body = self._checked(_parent(name), {**kept, **{key: given[key] for key in fields if key in given}})
        now = self._clock.now()
        begin = max(now, _moment(body, "startTime") or now)

        def changed(old: dict[str, Any]) -> dict[str, Any]:
            new = {**{key: value for key, value in old.items() if key not in fields},
                   **{key: body[key] for key in fields if key in body}}  # fmt: skip
            return self._with_next(new, begin, first=begin > now)

        with self._records.transaction():
            record = self._records.update(name, changed)
            self._records.after_commit(lambda: self._due(name))
        return self.resource(record)

    def pause(self, name: str) -> None:
        """Make no more runs until it is resumed; runs that were made go on."""

        def changed(body: dict[str, Any]) -> dict[str, Any]:
            if body["state"] != ACTIVE:
                raise FailedPrecondition("A schedule must be active to be paused", given=f"{name}, {body['state']}")
            return {**body, "state": PAUSED, "lastPauseTime": _text(self._clock.now())}

        self._find(name)
        self._records.update(name, changed)
        self._set(name, None)

    def resume(self, name: str, *, catch_up: bool) -> None:
        """Go on. ``catch_up``: the runs that were missed are made first, one for each moment."""

        def changed(body: dict[str, Any]) -> dict[str, Any]:
            if body["state"] != PAUSED:
                raise FailedPrecondition("A schedule must be paused to be resumed", given=f"{name}, {body['state']}")
            now = self._clock.now()
            new = {**body, "state": ACTIVE, "catchUp": catch_up, "lastResumeTime": _text(now)}
            moment = _moment(body, "nextRunTime")
            return new if catch_up or moment is None or moment > now else self._with_next(new, now)

        self._find(name)
        with self._records.transaction():
            self._records.update(name, changed)
            self._records.after_commit(lambda: self._due(name))

    def delete(self, name: str) -> None:
        """Forget a schedule; runs that it made go on. Joins an open transaction."""
        self._find(name)
        self._records.delete(name)
        self._records.after_commit(lambda: self._set(name, None))

    def resource(self, record: Record) -> dict[str, Any]:
        body = {key: value for key, value in record.body.items() if not key.startswith("_")}
        return {
            **body,
            "name": record.name,
            "createTime": _text(record.create_time),
            "updateTime": _text(record.update_time),
        }

    def _find(self, name: str) -> Record:
        SCHEDULE.parse(name)
        record = self._records.find(name)
        if record is None or record.kind != KIND:
            raise NotFound("The schedule must exist", given=name)
        return record

    # -- runs

    def _due(self, name: str) -> None:
        """Make the runs whose moments came, and set the timer of the next one."""
        while not self._stopped:
            with self._records.transaction():
                record = self._records.find(name)
                if record is None or record.body["state"] != ACTIVE:
                    return
                moment = _moment(record.body, "nextRunTime")
                if moment is None or not self._make(record, moment):
                    break
        self._set(name, moment)

    def _make(self, record: Record, moment: datetime) -> bool:
        """Note what becomes of a moment; False while it has to wait."""
        body = record.body
        if moment > self._clock.now():
            return False
        active, most = body["_tule"]["active"], int(body.get("maxConcurrentActiveRunCount") or 0)
        if most and len(active) >= most:
            if body.get("allowQueueing"):
                return False
            told = f"Skipped: {len(active)} runs are active, as many as max_concurrent_active_run_count allows"
            self._records.update(record.name, self._noted(body, moment, told))
            return True
        started = int(body["startedRunCount"]) + 1
        try:
            with self._records.transaction():
                job = self._jobs.create(
                    _parent(record.name), body[_REQUEST].get("pipelineJob", {}), schedule=record.name,
                    scheduled=_text(moment),
                )  # fmt: skip
            told, active = f"Created {job['name']}", [*active, job["name"]]
        except TuleError as error:
            # A bucket that is gone, say: the moment is over, the next one may do better.
            told = f"{error.code}: {error.message}"
        counted = {**body, "startedRunCount": str(started), "_tule": {**body["_tule"], "active": active}}
        self._records.update(record.name, self._noted(counted, moment, told))
        return True

    def _noted(self, body: dict[str, Any], moment: datetime, told: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        response = {"scheduledRunTime": _text(moment), "runResponse": told}
        return lambda _: self._with_next({**body, "lastScheduledRunResponse": response}, moment)

    def _job_ended(self, job: str) -> None:
        """A run is over: another one may have waited for that."""
        record = self._records.find(job)
        name = record.body.get("scheduleName") if record is not None else None
        if name is None or self._stopped:
            return

        def changed(body: dict[str, Any]) -> dict[str, Any]:
            active = [each for each in body["_tule"]["active"] if each != job]
            return {**body, "_tule": {**body["_tule"], "active": active}}

        try:
            self._records.update(name, changed)
        except NotFound:
            return  # the schedule was deleted meanwhile
        self._due(name)

    def _set(self, name: str, moment: datetime | None) -> None:
        """Set the timer of a schedule in place of an earlier one."""
        with self._lock:
            cancel = self._timers.pop(name, None)
        if cancel is not None:
            cancel()
        # A moment that passed waits for a run to end, not for the clock.
        if moment is None or moment <= self._clock.now():
            return
        cancel = self._clock.call_at(moment, lambda: self._due(name))
        with self._lock:
            if not self._stopped:
                self._timers[name] = cancel
                return
        cancel()


def _parent(name: str) -> str:
    return name.rpartition("/schedules/")[0]


def _moment(body: Mapping[str, Any], field: str) -> datetime | None:
    text = body.get(field)
    return None if not text else datetime.fromisoformat(text.replace("Z", "+00:00"))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
