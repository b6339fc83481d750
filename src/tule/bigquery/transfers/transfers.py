"""Scheduled queries and their runs: records, timers on the kernel's clock, and what a restart finds.

A run is a query job with an id of its own, so that after a crash the job tells how the run ended. Runs that fell due
while no server ran are made up for by one run when it starts. https://cloud.google.com/bigquery/docs/scheduling-queries
"""

from __future__ import annotations

import logging
import re
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from tule.bigquery.transfers.schedules import Schedule, read
from tule.kernel.clock import Clock
from tule.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, TuleError
from tule.kernel.names import Pattern
from tule.kernel.records import Page, Record, Records

_LOG = logging.getLogger(__name__)
CONFIG, RUN = "transferConfig", "transferRun"
SOURCE = "scheduled_query"
DEFAULT_SCHEDULE = "every 24 hours"
CONFIG_NAME = Pattern("projects/{project}/locations/{location}/transferConfigs/{config}")
RUN_NAME = Pattern("projects/{project}/locations/{location}/transferConfigs/{config}/runs/{run}")
_MOST_BACKFILL = 366
_PARAMETERS = ("query", "destination_table_name_template", "write_disposition", "partitioning_field")
_TEMPLATE = re.compile(r"\{(?P<word>run_time|run_date)(?P<shift>[+-]\d+(?:h|m|s))?(?:\|\"(?P<format>[^\"]+)\")?\}")
_UNITS = {"h": "hours", "m": "minutes", "s": "seconds"}


class RunQuery(Protocol):
    """What a run needs of the warehouse."""

    def __call__(self, project: str, body: dict[str, Any], owner: Mapping[str, Any]) -> dict[str, Any]:
        """Insert a query job on behalf of ``owner`` and wait for its end; the Job. A job of this id that is there
        already is waited for instead."""


class Transfers:
    """The transfer configurations of all projects. Safe to use from any thread."""

    def __init__(self, records: Records, clock: Clock, run_query: RunQuery) -> None:
        self._records = records
        self._clock = clock
        self._run_query = run_query
        self._lock = threading.Lock()
        self._timers: dict[str, Callable[[], None]] = {}
        self._stopped = False

    # -- life

    def start(self) -> None:
        """End runs that a crash cut off as their jobs tell, and set the timers."""
        for record in self._records.list(RUN, filter='state="RUNNING" OR state="PENDING"').records:
            threading.Thread(target=self._execute, args=(record.name,), name="transfer", daemon=True).start()
        for record in self._records.list(CONFIG).records:
            self._schedule(record)

    def stop(self) -> None:
        """Set no more timers; runs in progress end with their jobs. Idempotent."""
        with self._lock:
            self._stopped = True
            timers, self._timers = list(self._timers.values()), {}
        for cancel in timers:
            cancel()

    # -- configurations

    def create(self, parent: str, given: Mapping[str, Any], owner: Mapping[str, Any]) -> dict[str, Any]:
        """A new transfer; its first run is at once unless a start time, a calendar or ``disabled`` says otherwise."""
        name = f"{_located(parent)}/transferConfigs/{uuid.uuid4()}"
        now = self._clock.now()
        body = _checked({**given, "name": name})
        schedule = _schedule(body)
        begin = _moment(body, "startTime") or now
        private: dict[str, Any] = {"owner": dict(owner), "anchor": begin.isoformat()}
        first = begin if schedule is not None and schedule.interval is not None and schedule.window is None else None
        private["next"] = _text(first or self._next(schedule, now, begin))
        record = self._records.create(CONFIG, name, {**body, "state": "PENDING", "_tule": private})
        self._schedule(record)
        return self.resource(record)

    def get(self, name: str) -> dict[str, Any]:
        return self.resource(self._config(name))

    def list(
        self, parent: str, sources: Sequence[str], *, page_size: int, page_token: str
    ) -> tuple[Sequence[Any], str]:
        if sources and SOURCE not in sources:
            return [], ""
        page = self._records.list(CONFIG, _located(parent), page_size=page_size, page_token=page_token)
        return [self.resource(each) for each in page], page.next_page_token

    def update(
        self, name: str, given: Mapping[str, Any], paths: Sequence[str], owner: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Change the named fields; who changes the query owns the transfer from then on."""
        self._config(name)
        if not paths:
            raise InvalidArgument("update_mask must name a field to change", given="none", location="update_mask")
        now = self._clock.now()

        def changed(body: dict[str, Any]) -> dict[str, Any]:
            new = {**body}
            for path in paths:
                key = _camel(path.split(".")[0])
                if key in given:
                    new[key] = given[key]
                else:
                    new.pop(key, None)
            checked = _checked(new)
            private = {**body["_tule"], "owner": dict(owner)}
            anchor = _moment(checked, "startTime") or datetime.fromisoformat(private["anchor"])
            private |= {"anchor": anchor.isoformat(), "next": _text(self._next(_schedule(checked), now, anchor))}
            return {**checked, "state": body.get("state", "PENDING"), "_tule": private}

        record = self._records.update(name, changed)
        self._schedule(record)
        return self.resource(record)

    def delete(self, name: str) -> None:
        """Remove a transfer and its runs; a run in progress ends with its job."""
        self._config(name)
        with self._records.transaction():
            self._records.delete_under(name)
            self._records.delete(name)
        with self._lock:
            cancel = self._timers.pop(name, None)
        if cancel is not None:
            cancel()

    def resource(self, record: Record) -> dict[str, Any]:
        """The TransferConfig."""
        private = record.body["_tule"]
        made = {key: value for key, value in record.body.items() if key != "_tule"}
        made |= {"updateTime": _text(record.update_time), "datasetRegion": _location(record.name)}
        made["ownerInfo"] = {"email": private["owner"]["email"]}
        if private["next"] and not made.get("disabled"):
            made["nextRunTime"] = private["next"]
        return made

    def _config(self, name: str) -> Record:
        return self._found(name, CONFIG, CONFIG_NAME)

    def _found(self, name: str, kind: str, pattern: Pattern) -> Record:
        pattern.parse(name)
        record = self._records.find(name)
        if record is None or record.kind != kind:
            raise NotFound(f"The {kind} must exist", given=name)
        return record

    # -- runs

    def start_manual(self, name: str, moments: Sequence[datetime]) -> Sequence[dict[str, Any]]:
        """Runs for these moments now, oldest first, whatever the schedule."""
        record = self._config(name)
        if len(moments) > _MOST_BACKFILL:
            raise InvalidArgument(
                f"At most {_MOST_BACKFILL} runs may be asked for at once", given=len(moments), do="shorten the range"
            )
        runs = [self._new_run(record, moment) for moment in sorted(moments)]

        def work() -> None:
            for run in runs:
                self._execute(run.name)

        threading.Thread(target=work, name="transfer", daemon=True).start()
        return [self.run_resource(run) for run in runs]

    def moments(self, name: str, start: datetime, end: datetime) -> Sequence[datetime]:
        """The moments of the schedule within [start, end)."""
        record = self._config(name)
        schedule = _schedule(record.body)
        if schedule is None:
            raise FailedPrecondition("A range needs a transfer with a schedule", given=name, do="ask for one run time")
        if start >= end:
            raise InvalidArgument("start_time must be before end_time", given=f"{start} and {end}")
        anchor = datetime.fromisoformat(record.body["_tule"]["anchor"])
        if schedule.interval is not None and schedule.window is None:
            # Before the first run too: a backfill reaches back in the same rhythm.
            anchor -= -(-max(timedelta(0), anchor - start) // schedule.interval) * schedule.interval
        found: list[datetime] = []
        moment = start - timedelta(microseconds=1)
        while (moment := schedule.next_after(moment, anchor)) < end and len(found) <= _MOST_BACKFILL:
            found.append(moment)
        return found

    def get_run(self, name: str) -> dict[str, Any]:
        return self.run_resource(self._found(name, RUN, RUN_NAME))

    def delete_run(self, name: str) -> None:
        self._found(name, RUN, RUN_NAME)
        self._records.delete(name)

    def list_runs(
        self, name: str, states: Sequence[str], latest: bool, *, page_size: int, page_token: str
    ) -> tuple[Sequence[Any], str]:
        """Runs of a transfer, newest first; ``latest``: the last one of each day (then there is one page)."""
        if not name.endswith("/transferConfigs/-"):
            self._config(name)
        wanted = " OR ".join(f'state="{state}"' for state in states)
        order = "create_time desc"
        if latest:
            days: dict[str, Record] = {}
            for each in self._records.list(RUN, name, filter=wanted, order_by=order):
                days.setdefault(each.body["runTime"][:10], each)
            return [self.run_resource(each) for each in days.values()], ""
        page: Page = self._records.list(
            RUN, name, filter=wanted, order_by=order, page_size=page_size, page_token=page_token
        )
        return [self.run_resource(each) for each in page], page.next_page_token

    @staticmethod
    def run_resource(record: Record) -> dict[str, Any]:
        """The TransferRun."""
        made = {key: value for key, value in record.body.items() if key != "_tule"}
        return made | {"name": record.name, "updateTime": _text(record.update_time)}

    def logs(self, name: str) -> Sequence[dict[str, Any]]:
        """The messages of a run."""
        return self._found(name, RUN, RUN_NAME).body["_tule"]["messages"]

    def _new_run(self, config: Record, moment: datetime) -> Record:
        body = config.body
        run = uuid.uuid4()
        made = {
            "scheduleTime": _text(self._clock.now()),
            "runTime": _text(moment),
            "params": body.get("params", {}),
            "destinationDatasetId": body.get("destinationDatasetId", ""),
            "dataSourceId": SOURCE,
            "state": "PENDING",
            "schedule": body.get("schedule", ""),
            "_tule": {"owner": body["_tule"]["owner"], "job": f"scheduled_query_{run}", "messages": []},
        }
        return self._records.create(RUN, f"{config.name}/runs/{run}", made)

    def _execute(self, name: str) -> None:
        """Run a run to its end; safe to call again after a crash."""
        record = self._records.find(name)
        if record is None or record.body["state"] not in ("PENDING", "RUNNING"):
            return
        project = CONFIG_NAME.parse(name.rpartition("/runs/")[0])["project"]
        self._note(name, "RUNNING", "INFO", f"Dispatched run with parameters {record.body['params']}")
        try:
            body = _job(project, record)
            job = self._run_query(project, body, record.body["_tule"]["owner"])
            error = job["status"].get("errorResult")
            told = f"Job {job['jobReference']['jobId']}"
            status = {"code": 3, "message": error["message"]} if error else None
            if error:
                told += f" failed: {error['message']}"
            else:
                told += " completed successfully"
        except TuleError as problem:
            status, told = {"code": 3, "message": problem.message}, problem.message
        except Exception as problem:
            _LOG.exception("A scheduled query could not be run")
            status, told = {"code": 13, "message": str(problem)}, str(problem)
        if self._stopped:
            return  # the server goes down: its next start asks the job how it ended
        self._note(name, "FAILED" if status else "SUCCEEDED", "ERROR" if status else "INFO", told, status)

    def _note(self, name: str, state: str, severity: str, text: str, status: dict[str, Any] | None = None) -> None:
        now = _text(self._clock.now())
        message = {"messageTime": now, "severity": severity, "messageText": text}

        def changed(body: dict[str, Any]) -> dict[str, Any]:
            private = {**body["_tule"], "messages": [*body["_tule"]["messages"], message]}
            new = {**body, "state": state, "_tule": private}
            new["startTime" if state == "RUNNING" else "endTime"] = now
            return new | ({"errorStatus": status} if status else {})

        with self._records.transaction():
            if self._records.find(name) is None:
                return  # it was deleted meanwhile
            self._records.update(name, changed)
            config = name.rpartition("/runs/")[0]
            if self._records.find(config) is not None:
                self._records.update(config, lambda body: {**body, "state": state})

    # -- time

    def _next(self, schedule: Schedule | None, after: datetime, anchor: datetime) -> datetime | None:
        return None if schedule is None else schedule.next_after(after, anchor)

    def _schedule(self, record: Record) -> None:
        """Set the timer of a transfer's next run, in place of an earlier one."""
        with self._lock:
            cancel = self._timers.pop(record.name, None)
        if cancel is not None:
            cancel()
        when = record.body["_tule"]["next"]
        if when is None or record.body.get("disabled"):
            return
        moment = datetime.fromisoformat(when)
        end = _moment(record.body, "endTime")
        if end is not None and moment > end:
            return
        cancel = self._clock.call_at(moment, lambda: self._due(record.name, moment))
        with self._lock:
            if not self._stopped:
                self._timers[record.name] = cancel
                return
        cancel()

    def _due(self, name: str, moment: datetime) -> None:
        """Time for a run: note when the next one is together with the run's record, then run it."""
        run = None
        with self._records.transaction():
            record = self._records.find(name)
            if record is None or record.body["_tule"]["next"] != _text(moment) or self._stopped:
                return
            anchor = datetime.fromisoformat(record.body["_tule"]["anchor"])
            following = self._next(_schedule(record.body), max(moment, self._clock.now()), anchor)
            record = self._records.update(
                name, lambda body: {**body, "_tule": {**body["_tule"], "next": _text(following)}}
            )
            run = self._new_run(record, moment)
        self._schedule(record)
        self._execute(run.name)


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    """A TransferConfig that can run; raises InvalidArgument naming the field."""
    source = body.get("dataSourceId", "")
    if source != SOURCE:
        raise InvalidArgument(
            f"data_source_id must be {SOURCE}: no other source of data is served here", given=repr(source),
            location="transfer_config.data_source_id",
        )  # fmt: skip
    if not body.get("displayName"):
        raise InvalidArgument("A transfer must have a display_name", location="transfer_config.display_name")
    params = body.get("params") or {}
    for key, value in params.items():
        if key not in _PARAMETERS:
            raise InvalidArgument(
                f"A scheduled query takes the parameters {', '.join(_PARAMETERS)}", given=key,
                location="transfer_config.params",
            )  # fmt: skip
        if not isinstance(value, str):
            raise InvalidArgument(f"The parameter {key} must be text", given=repr(value))
    if not str(params.get("query", "")).strip():
        raise InvalidArgument("A scheduled query must have the parameter query", location="transfer_config.params")
    template = params.get("destination_table_name_template", "")
    if template:
        destination(template, datetime(2000, 1, 1, tzinfo=UTC))
        if not body.get("destinationDatasetId"):
            raise InvalidArgument(
                "destination_table_name_template needs a destination_dataset_id",
                location="transfer_config.destination_dataset_id",
            )
    elif params.get("write_disposition") or params.get("partitioning_field"):
        raise InvalidArgument("write_disposition and partitioning_field need a destination_table_name_template")
    if params.get("write_disposition", "WRITE_APPEND") not in ("WRITE_APPEND", "WRITE_TRUNCATE"):
        raise InvalidArgument(
            "write_disposition must be WRITE_APPEND or WRITE_TRUNCATE", given=params["write_disposition"]
        )
    start, end = _moment(body, "startTime"), _moment(body, "endTime")
    if start is not None and end is not None and start >= end:
        raise InvalidArgument("schedule_options.start_time must be before end_time", given=f"{start} and {end}")
    _schedule(body)
    return body


def _schedule(body: Mapping[str, Any]) -> Schedule | None:
    """The schedule of a configuration, None where it runs by hand alone."""
    options = body.get("scheduleOptions") or {}
    if options.get("disableAutoScheduling"):
        return None
    return read(body.get("schedule") or DEFAULT_SCHEDULE)


def _moment(body: Mapping[str, Any], key: str) -> datetime | None:
    text = (body.get("scheduleOptions") or {}).get(key)
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def destination(template: str, moment: datetime) -> str:
    """A table's name from its template: ``t_{run_date}``, ``t_{run_time-24h|"%Y%m%d"}``; InvalidArgument for another."""

    def filled(found: re.Match[str]) -> str:
        at = moment
        if shift := found["shift"]:
            at += timedelta(**{_UNITS[shift[-1]]: int(shift[:-1])})
        if found["word"] == "run_date":
            return at.strftime("%Y%m%d")
        return at.strftime(found["format"] or "%Y%m%d")

    name = _TEMPLATE.sub(filled, template)
    if not re.fullmatch(r"[\w \-]{1,1024}", name):
        raise InvalidArgument(
            "destination_table_name_template must give a table's name",
            given=f"{template!r}, which gives {name!r}",
            do='use {run_date} and {run_time|"%Y%m%d"} in it',
            location="transfer_config.params",
        )
    return name


def _job(project: str, record: Record) -> dict[str, Any]:
    """The query job of a run."""
    body, params = record.body, record.body["params"]
    moment = datetime.fromisoformat(body["runTime"].replace("Z", "+00:00"))
    query: dict[str, Any] = {
        "query": params["query"],
        "useLegacySql": False,
        "parameterMode": "NAMED",
        "queryParameters": [
            _parameter("run_time", "TIMESTAMP", moment.isoformat(sep=" ")),
            _parameter("run_date", "DATE", moment.date().isoformat()),
        ],
    }
    if dataset := body.get("destinationDatasetId"):
        query["defaultDataset"] = {"projectId": project, "datasetId": dataset}
    if template := params.get("destination_table_name_template"):
        query["destinationTable"] = {
            "projectId": project,
            "datasetId": dataset,
            "tableId": destination(template, moment),
        }
        query["writeDisposition"] = params.get("write_disposition") or "WRITE_APPEND"
        if field := params.get("partitioning_field"):
            query["timePartitioning"] = {"type": "DAY", "field": field}
    labels = {"data_source_id": SOURCE}
    reference = {"projectId": project, "jobId": body["_tule"]["job"]}
    return {"jobReference": reference, "configuration": {"query": query, "labels": labels}}


def _parameter(name: str, kind: str, value: str) -> dict[str, Any]:
    return {"name": name, "parameterType": {"type": kind}, "parameterValue": {"value": value}}


def _located(parent: str) -> str:
    """``projects/p`` stands for its location ``us``."""
    return parent if "/locations/" in parent else f"{parent}/locations/us"


def _location(name: str) -> str:
    return CONFIG_NAME.parse(name)["location"]


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


__all__ = ["CONFIG", "RUN", "SOURCE", "RunQuery", "Transfers", "destination"]
