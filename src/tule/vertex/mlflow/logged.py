"""Logged models of MLflow: artifacts of the schema system.Model, what a run made."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tule.kernel.errors import InvalidArgument, NotFound
from tule.kernel.records import Record
from tule.vertex.experiments import ARTIFACT, Metadata
from tule.vertex.mlflow.experiments import Experiments, location_of, private, tagged, with_private
from tule.vertex.mlflow.search import Key, parse_filter, sort
from tule.vertex.mlflow.values import key, milliseconds, number, pairs, whole, written

SCHEMA = "system.Model"
_STATUSES = {"LOGGED_MODEL_PENDING": 1, "LOGGED_MODEL_READY": 2, "LOGGED_MODEL_UPLOAD_FAILED": 3}


class LoggedModels:
    """The logged models of one project and location."""

    def __init__(self, metadata: Metadata, experiments: Experiments) -> None:
        self._metadata = metadata
        self._experiments = experiments

    def create(self, given: Mapping[str, Any], tags: Mapping[str, str], params: Mapping[str, str]) -> dict[str, Any]:
        """Begin a model, whose files are still to come."""
        experiment = self._experiments.check_active(given.get("experiment_id", ""))
        id = f"m-{secrets.token_hex(16)}"
        uri = f"{location_of(experiment)}/models/{id}/artifacts"
        run = given.get("source_run_id", "")
        hidden = {
            "experiment": given["experiment_id"], "run": run, "type": given.get("model_type", ""),
            "status": "LOGGED_MODEL_PENDING", "params": dict(params),
        }  # fmt: skip
        with self._metadata.transaction():
            name = self._metadata.put_artifact(
                self._experiments.store, id, schema=SCHEMA, uri=uri, display_name=given.get("name", "")[:128],
                metadata={"_tags": dict(tags)}, state="PENDING",
            )  # fmt: skip
            record = self._metadata.change(name, lambda body: with_private(body, **hidden))
            if run:
                self._metadata.add_to_context(self._experiments.name_of(run), artifacts=[name])
        return message(record)

    def record(self, id: str) -> Record:
        found = self._metadata.find(f"{self._experiments.store}/artifacts/{id}") if id else None
        if found is None or "experiment" not in private(found):
            raise NotFound("The logged model must exist", given=f"model_id {id or 'none'}")
        return found

    def get(self, id: str) -> dict[str, Any]:
        return message(self.record(id))

    def finalize(self, id: str, status: str) -> dict[str, Any]:
        if status not in _STATUSES:
            raise InvalidArgument(f"The status must be one of {', '.join(_STATUSES)}", given=status or "none")

        def change(body: dict[str, Any]) -> dict[str, Any]:
            state = "LIVE" if status == "LOGGED_MODEL_READY" else "PENDING"
            return with_private({**body, "state": state}, status=status)

        return message(self._metadata.change(self.record(id).name, change))

    def change_tags(self, id: str, change: Callable[[dict[str, str]], None]) -> dict[str, Any]:
        return message(self._metadata.change(self.record(id).name, lambda body: tagged(body, change)))

    def add_params(self, id: str, params: Mapping[str, str]) -> None:
        record = self.record(id)
        known = private(record).get("params", {})
        self._metadata.change(record.name, lambda body: with_private(body, params={**known, **params}))

    def add_metrics(self, run: str, metrics: Sequence[Mapping[str, Any]]) -> None:
        """Keep with each model the metrics that were logged of it: of each the last one of a run and data set."""
        by_model: dict[str, list[Mapping[str, Any]]] = {}
        for each in metrics:
            if each.get("model_id"):
                by_model.setdefault(each["model_id"], []).append(each)
        for id, given in by_model.items():
            record = self.record(id)
            known = {_place(each): each for each in private(record).get("metrics", [])}
            known |= {_place(made): made for made in (_metric(each, id, run) for each in given)}
            changed = with_private(record.body, metrics=list(known.values()))
            self._metadata.change(record.name, {"_tule": changed["_tule"]})

    def delete(self, id: str) -> None:
        self._metadata.delete(ARTIFACT, self.record(id).name)

    def search(
        self, experiments: Sequence[str], filter: str, order_by: Sequence[str], most: int, offset: int
    ) -> tuple[list[dict[str, Any]], int | None]:
        wanted = parse_filter(filter, _find)
        found = [
            message(record)
            for record in self._metadata.nodes(ARTIFACT, self._experiments.store, f'schema_title = "{SCHEMA}"')
            if private(record).get("experiment") in experiments
        ]
        found = [each for each in found if wanted(each)]
        found.sort(key=lambda each: (-each["info"]["creation_timestamp_ms"], each["info"]["model_id"]))
        found = sort(found, order_by, _find)
        return found[offset : offset + most], offset + most if len(found) > offset + most else None


def _metric(given: Mapping[str, Any], model: str, run: str) -> dict[str, Any]:
    return {
        "key": key(given.get("key"), "metric"),
        "value": written(number(given.get("value"), "A metric")),
        "timestamp": whole(given.get("timestamp"), "timestamp"),
        "step": whole(given.get("step"), "step"),
        "model_id": model,
        "run_id": run,
        **{name: given[name] for name in ("dataset_name", "dataset_digest") if given.get(name)},
    }


def _place(metric: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(metric.get(name) for name in ("key", "run_id", "dataset_name", "dataset_digest"))


def message(record: Record) -> dict[str, Any]:
    """MLflow's LoggedModel."""
    hidden = private(record)
    return {
        "info": {
            "model_id": record.name.rpartition("/")[2],
            "experiment_id": hidden["experiment"],
            "name": record.body.get("displayName", ""),
            "creation_timestamp_ms": milliseconds(record.create_time),
            "last_updated_timestamp_ms": milliseconds(record.update_time),
            "artifact_uri": record.body["uri"],
            "status": hidden["status"],
            "model_type": hidden["type"],
            "source_run_id": hidden["run"],
            "tags": pairs(record.body.get("metadata", {}).get("_tags", {})),
        },
        "data": {"params": pairs(hidden.get("params", {})), "metrics": hidden.get("metrics", [])},
    }


def _find(model: dict[str, Any], at: Key) -> Any:
    if at.kind in ("tags", "params"):
        held = model["info"]["tags"] if at.kind == "tags" else model["data"]["params"]
        return next((each["value"] for each in held if each["key"] == at.name), None)
    names = {"creation_timestamp": "creation_timestamp_ms", "creation_time": "creation_timestamp_ms"}
    name = names.get(at.name, at.name)
    if at.kind != "attributes" or name not in model["info"]:
        raise InvalidArgument("Logged models are searched by attributes, tags and params", given=f"{at.kind}.{at.name}")
    return model["info"][name]
