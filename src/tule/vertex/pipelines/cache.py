"""The cache: outputs of work that was done before, known by what the work is and by the contents that it reads.

An entry is good while the objects of its outputs are what they were.
https://cloud.google.com/vertex-ai/docs/pipelines/configure-caching
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from tule.kernel.objects import Objects
from tule.kernel.records import Records
from tule.vertex.pipelines import ir
from tule.vertex.pipelines.steps import Outcome
from tule.vertex.pipelines.tasks import Artifacts, Run, TaskRun

KIND = "pipelineCache"


class Cache:
    """The entries of all projects. Within a location, runs of pipelines of one name share them."""

    def __init__(self, records: Records, objects: Objects) -> None:
        self._records = records
        self._objects = objects

    def key(self, run: Run, task: TaskRun) -> str:
        """What the work of a task is known by; empty where it is not to be cached."""
        spec, component = run.specification(task), run.component(task)
        if spec is None or not spec.cached or not isinstance(component.executor, ir.Container):
            return ""
        work: dict[str, Any] = {"pipeline": run.pipeline.name, "outputs": asdict(component.outputs)}
        if spec.cache_key:
            work["key"] = spec.cache_key
        else:
            work |= {
                "container": asdict(component.executor),
                "parameters": task.parameters,
                "artifacts": {name: [self._identity(each) for each in found] for name, found in task.artifacts.items()},
            }
        return hashlib.sha256(json.dumps(work, sort_keys=True, default=repr).encode()).hexdigest()

    def find(self, run: Run, key: str) -> Outcome | None:
        """The outputs of work that was done before and is still what it was."""
        record = self._records.find(_name(run, key))
        if record is None:
            return None
        body = record.body
        if any(self._contents(uri) != known for uri, known in body["contents"].items()):
            return None
        return Outcome(body["parameters"], body["artifacts"])

    def contents(self, artifacts: Artifacts) -> dict[str, str]:
        """What the objects of artifacts are now, by URI; to be asked for outside of a transaction."""
        return {each["uri"]: self._contents(each["uri"]) for found in artifacts.values() for each in found}

    def put(self, run: Run, task: TaskRun, contents: dict[str, str]) -> None:
        """Note the outputs of a task, in the current transaction."""
        body = {
            "parameters": task.output_parameters,
            "artifacts": task.output_artifacts,
            "contents": contents,
            "task": f"{run.name}/tasks/{task.id}",
        }
        self._records.put(KIND, _name(run, task.key), body)

    def _identity(self, artifact: dict[str, Any]) -> list[Any]:
        found = self._contents(artifact["uri"])
        return [artifact["type"], artifact["metadata"], found or artifact["uri"]]

    def _contents(self, uri: str) -> str:
        """A digest of the objects of an artifact, relative to its URI; empty where there is none."""
        if not uri.startswith("gs://"):
            return ""
        bucket, _, key = uri.removeprefix("gs://").partition("/")
        if not key or self._objects.buckets.find(bucket) is None:
            return ""
        found = list(self._objects.list(bucket, prefix=f"{key.rstrip('/')}/").objects)
        itself = self._objects.find(bucket, key)
        if itself is not None:
            found.append(itself)
        if not found:
            return ""
        lines = sorted(f"{each.key.removeprefix(key)}\x00{each.sha256}" for each in found)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _name(run: Run, key: str) -> str:
    return f"{run.name.rpartition('/pipelineJobs/')[0]}/pipelineCaches/{key}"
