"""A task as a process: what it is given, how it starts, and what it left behind."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from tule.kernel.errors import FailedPrecondition, InvalidArgument
from tule.kernel.names import Pattern, project_number
from tule.vertex.pipelines import ir
from tule.vertex.pipelines.placeholders import local_path
from tule.vertex.pipelines.tasks import Artifacts, Run, TaskRun

JOB = Pattern("projects/{project}/locations/{location}/pipelineJobs/{job}")
_OUTPUT = "executor_output.json"
_MOST_OUTPUT = 64 * 2**20
_STORE = "default"


@dataclass
class Outcome:
    """What a step gave."""

    parameters: dict[str, Any] = field(default_factory=dict)
    artifacts: Artifacts = field(default_factory=dict)


def about(run: Run) -> dict[str, str]:
    """What the placeholders of every task of a run stand for."""
    names = JOB.parse(run.name)
    message = run.message
    return {
        "pipeline_job_name": names["job"],
        "pipeline_job_resource_name": run.name,
        "pipeline_job_uuid": str(numeric(run.name)),
        "pipeline_job_create_time_utc": message.get("_tule", {}).get("created", ""),
        "pipeline_job_schedule_time_utc": message.get("_tule", {}).get("scheduled", ""),
        "pipeline_root": output_directory(run),
        "pipeline_google_cloud_project_id": names["project"],
        "pipeline_google_cloud_location": names["location"],
    }


def output_directory(run: Run) -> str:
    return str(run.message["runtimeConfig"]["gcsOutputDirectory"]).rstrip("/")


def task_directory(run: Run, task: TaskRun) -> str:
    """Where the outputs of a task lie: as on Vertex AI, by project number, run and task."""
    names = JOB.parse(run.name)
    return f"{output_directory(run)}/{project_number(names['project'])}/{names['job']}/{task.name}_{task.id}"


def artifact_name(run: Run, *parts: str) -> str:
    """The resource name of an artifact, the same whenever it is asked for."""
    parent = run.name.rpartition("/pipelineJobs/")[0]
    return f"{parent}/metadataStores/{_STORE}/artifacts/{numeric(run.name, *parts)}"


def numeric(*parts: str) -> int:
    """A positive 63-bit number made of texts."""
    digest = hashlib.sha256("\x00".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def executor_input(run: Run, task: TaskRun, mount: str) -> dict[str, Any]:
    """What KFP's executors read: inputs as they are, outputs by where they are to be written."""
    outputs, directory = run.component(task).outputs, task_directory(run, task)
    folder = local_path(directory, mount)
    return {
        "inputs": {
            "parameterValues": task.parameters,
            "artifacts": {name: {"artifacts": found} for name, found in task.artifacts.items()},
        },
        "outputs": {
            "artifacts": {name: {"artifacts": [found]} for name, found in _planned(run, task).items()},
            "parameters": {name: {"outputFile": f"{folder}/{name}"} for name in outputs.parameters},
            "outputFile": f"{folder}/{_OUTPUT}",
        },
    }


def _planned(run: Run, task: TaskRun) -> dict[str, dict[str, Any]]:
    directory = task_directory(run, task)
    return {
        name: {
            "name": artifact_name(run, task.id, name),
            "uri": f"{directory}/{name}",
            "type": artifact_type(each.title, each.version),
            "metadata": dict(each.metadata),
        }
        for name, each in run.component(task).outputs.artifacts.items()
    }


def artifact_type(title: str, version: str) -> dict[str, str]:
    return {"schemaTitle": title, **({"schemaVersion": version} if version else {})}


def written(run: Run, task: TaskRun, folder: Path) -> list[Path]:
    """The files by which a step tells its outputs; they are no artifacts."""
    return [folder / _OUTPUT, *(folder / name for name in run.component(task).outputs.parameters)]


def outcome(run: Run, task: TaskRun, folder: Path) -> Outcome:
    """What a step that ended well wrote; raises InvalidArgument or FailedPrecondition for what cannot be used."""
    found = _told(folder / _OUTPUT)
    made = Outcome()
    told = found.get("parameterValues") or {}
    for name, definition in run.component(task).outputs.parameters.items():
        value, given = told.get(name), name in told
        if not given and (folder / name).is_file():
            value, given = _text(folder / name), True
        if given and value is not None:
            made.parameters[name] = ir.converted(definition.type, value, f"Output {name} of {task.name}")
    artifacts = found.get("artifacts") or {}
    for name, planned in _planned(run, task).items():
        told_of = (artifacts.get(name) or {}).get("artifacts") or [{}]
        made.artifacts[name] = [_artifact(run, task, planned, each, place) for place, each in enumerate(told_of)]
    return made


def _artifact(run: Run, task: TaskRun, planned: dict[str, Any], told: Mapping[str, Any], place: int) -> dict[str, Any]:
    found = {**planned, "metadata": {**planned["metadata"], **(told.get("metadata") or {})}}
    if place:
        found["name"] = artifact_name(run, task.id, planned["name"], str(place))
    if told.get("uri"):
        found["uri"] = str(told["uri"])
    return found


def _told(path: Path) -> dict[str, Any]:
    """The executor's output; nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(_text(path), parse_constant=_not_a_number)
    except ValueError as error:
        raise InvalidArgument("A component's executor output must be JSON", given=str(error)[:200]) from None
    if not isinstance(found, dict):
        raise InvalidArgument("A component's executor output must be an object", given=type(found).__name__)
    return found


def _text(path: Path) -> str:
    if path.stat().st_size > _MOST_OUTPUT:
        raise FailedPrecondition(
            "The output parameters of a task must be small",
            given=f"{path.name}: {path.stat().st_size} bytes",
            do="write it as an artifact",
        )
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidArgument("An output parameter must be text in UTF-8", given=f"{path.name}, binary") from None


def _not_a_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number that JSON has")


def memory_bytes(text: str) -> int | None:
    """A limit of memory: gigabytes as a number, or a number with a unit.

    >>> memory_bytes("4"), memory_bytes("512Mi"), memory_bytes("1.5G")
    (4000000000, 536870912, 1500000000)
    """
    if not text or text == "0":
        return None
    digits = text.rstrip("BKMGTPEikmgtpe")
    unit = text[len(digits) :].rstrip("B")
    scale = _UNITS.get(unit.upper().replace("I", "i"), 0)
    try:
        number = float(digits)
    except ValueError:
        number = math.nan
    if not number * scale > 0:
        raise InvalidArgument("A memory limit must be a number of gigabytes or have a unit", given=text, do="write 4G")
    return int(number * scale)


_UNITS = {
    "": 10**9, "K": 10**3, "Ki": 2**10, "M": 10**6, "Mi": 2**20, "G": 10**9, "Gi": 2**30, "T": 10**12, "Ti": 2**40,
}  # fmt: skip


def cpus(text: str) -> float | None:
    """A limit of processors: a number, or thousandths with ``m``.

    >>> cpus("2"), cpus("500m"), cpus("")
    (2.0, 0.5, None)
    """
    if not text or text == "0":
        return None
    try:
        found = float(text[:-1]) / 1000 if text.endswith("m") else float(text)
    except ValueError:
        found = math.nan
    if not found > 0:
        raise InvalidArgument("A processor limit must be a number", given=text, do="write 2 or 500m")
    return found
