"""What jobs write, as entries of Cloud Logging: one a line, of each replica by its name.

A page token says how far each stream of each process was read, so that whoever asks with it again goes on from there; while
the job runs there is always one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, Literal

from tule.kernel.errors import InvalidArgument, NotFound
from tule.kernel.jobs import Job, Jobs
from tule.kernel.records import Record, Records
from tule.vertex.messages import timestamp
from tule.vertex.training.custom_jobs import FINAL, KIND

# How a job of each kind leads to the custom jobs that are its processes.
_KINDS = (KIND, "trainingPipeline", "hyperparameterTuningJob")
_STREAMS: tuple[tuple[Literal["stdout", "stderr"], str], ...] = (("stdout", "INFO"), ("stderr", "ERROR"))
_NOTES = "notes"


class JobLogs:
    """The logs of the jobs of training and tuning."""

    def __init__(self, records: Records, jobs: Jobs) -> None:
        self._records = records
        self._jobs = jobs

    def entries(
        self, project: str, job_id: str, *, page_size: int = 1000, page_token: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        """Up to about ``page_size`` entries of a job, a pipeline or a search, and the token to go on with.

        The token is empty once the job has ended and everything was read.
        """
        record = self._find(project, job_id)
        read = _read(page_token)
        found: list[dict[str, Any]] = []
        customs = self._customs(record)
        # Looked at before the streams: what is written up to the end is read then.
        over = all(each.body["state"] in FINAL for each in (record, *customs) if each.kind == KIND) and _ended(record)
        for custom in customs:
            for each in self._of(custom, job_id, read, page_size - len(found), over=over):
                found.append(each)
        more = len(found) >= page_size
        return found, _token(read) if more or not over else ""

    def _find(self, project: str, job_id: str) -> Record:
        for kind in _KINDS:
            for record in self._records.list(kind, f"projects/{project}/locations/-"):
                if record.name.rpartition("/")[2] == job_id:
                    return record
        raise NotFound("A job of this number must exist in the project", given=f"{job_id} in {project}")

    def _customs(self, record: Record) -> list[Record]:
        if record.kind == KIND:
            return [record]
        if record.kind == "trainingPipeline":
            job = self._records.find(record.body["_tule"]["job"])
            return self._customs(job) if job is not None else []
        trials = self._records.list("trial", record.name, order_by="_tule.number")
        found = [self._records.find(each.body["customJob"]) for each in trials]
        return [each for each in found if each is not None]

    def _of(
        self, custom: Record, job_id: str, read: dict[str, int], most: int, *, over: bool
    ) -> Iterator[dict[str, Any]]:
        resource = {"type": "ml_job", "labels": {"job_id": job_id, "project_id": custom.name.split("/")[1]}}
        notes = custom.body["_tule"].get(_NOTES, [])
        for note in notes[read.get(custom.name, 0) :]:
            read[custom.name] = read.get(custom.name, 0) + 1
            most -= 1
            yield _entry(resource, "service", "NOTICE", timestamp(custom.create_time), note, f"{read[custom.name]}")
        for process in self._jobs.list(custom.name):
            for stream, severity in _STREAMS:
                if most <= 0:
                    return
                moment = timestamp(process.start_time or process.create_time)
                for line, offset in self._lines(process, stream, read, most, over=over or process.state.final):
                    most -= 1
                    name = f"{process.name}/{stream}/{offset}"
                    yield _entry(resource, process.label, severity, moment, line, name)

    def _lines(
        self, process: Job, stream: Literal["stdout", "stderr"], read: dict[str, int], most: int, *, over: bool
    ) -> Iterator[tuple[str, int]]:
        """Whole lines behind what was read; the last one without an end only when nothing more comes."""
        key = f"{process.name.rpartition('/')[2]}/{stream}"
        data = self._jobs.logs(process.name, stream, offset=read.get(key, 0))
        for line in data.splitlines(keepends=True)[:most]:
            if not line.endswith((b"\n", b"\r")) and not over:
                return
            read[key] = read.get(key, 0) + len(line)
            yield line.decode(errors="replace").rstrip("\r\n"), read[key]


def _ended(record: Record) -> bool:
    return str(record.body["state"]).rpartition("_")[2] in ("SUCCEEDED", "FAILED", "CANCELLED")


def _entry(resource: dict[str, Any], task: str, severity: str, moment: str, text: str, name: str) -> dict[str, Any]:
    project, job = resource["labels"]["project_id"], resource["labels"]["job_id"]
    return {
        "logName": f"projects/{project}/logs/{task}",
        "resource": {**resource, "labels": {**resource["labels"], "task_name": task}},
        # A process's streams carry no times: that of its start.
        "timestamp": moment,
        "severity": severity,
        "textPayload": text,
        "insertId": f"{job}/{name}",
    }


def _read(token: str) -> dict[str, int]:
    try:
        found = json.loads(base64.urlsafe_b64decode(token.encode())) if token else {}
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(each, int) and each >= 0 for each in found.values()):
        raise InvalidArgument("pageToken must be one that an answer gave", given=repr(token[:60]))
    return found


def _token(read: dict[str, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(read).encode()).decode()
