"""Experiments of MLflow: contexts of the schema system.Experiment in the default metadata store.

An experiment's id is the id of its context: its name where that can be one, so that Google's SDK finds it by that name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tule.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from tule.kernel.names import numeric_id
from tule.kernel.records import Record
from tule.vertex.experiments import CONTEXT, Metadata
from tule.vertex.mlflow.artifacts import SCHEME
from tule.vertex.mlflow.search import Key, parse_filter, sort
from tule.vertex.mlflow.values import ACTIVE, DELETED, milliseconds, pairs, stages

SCHEMA = "system.Experiment"
DEFAULT_ID, DEFAULT_NAME = "0", "Default"
_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")


def private(record: Record) -> dict[str, Any]:
    """What MLflow keeps of a node beside its message."""
    found: dict[str, Any] = record.body.get("_tule", {}).get("mlflow", {})
    return found


def stage_of(record: Record) -> str:
    return str(private(record).get("stage", ACTIVE))


def with_private(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A node's body with changes of what MLflow keeps beside its message."""
    hidden = body.get("_tule", {})
    return {**body, "_tule": {**hidden, "mlflow": {**hidden.get("mlflow", {}), **changes}}}


class Experiments:
    """The experiments of one project and location."""

    def __init__(self, metadata: Metadata, parent: str) -> None:
        self.metadata = metadata
        self._parent = parent

    @property
    def store(self) -> str:
        return self.metadata.ensure_store(self._parent)

    def name_of(self, id: str) -> str:
        """The context of an experiment or run."""
        return f"{self._parent}/metadataStores/default/contexts/{id}"

    # -- reading

    def record(self, id: str) -> Record:
        """An experiment's context; raises NotFound."""
        found = self.metadata.find(self.name_of(id)) if id else None
        if found is None and id == DEFAULT_ID:
            return self._create(DEFAULT_ID, DEFAULT_NAME, {}, "")
        if found is None or found.body.get("schemaTitle") != SCHEMA:
            raise NotFound("The experiment must exist", given=f"experiment_id {id or 'none'}", do="search experiments")
        return found

    def get(self, id: str) -> dict[str, Any]:
        return message(self.record(id))

    def by_name(self, name: str) -> dict[str, Any]:
        if name == DEFAULT_NAME:
            self.record(DEFAULT_ID)
        for record in self._all():
            if record.body.get("displayName") == name:
                return message(record)
        raise NotFound("The experiment must exist", given=f"name {name!r}", do="create it with experiments/create")

    def _all(self) -> list[Record]:
        return list(self.metadata.nodes(CONTEXT, self.store, f'schema_title = "{SCHEMA}"'))

    def search(
        self, view: str, filter: str, order_by: Sequence[str], most: int, offset: int
    ) -> tuple[list[dict[str, Any]], int | None]:
        """A page of experiments, and where the next begins."""
        self.record(DEFAULT_ID)
        wanted, shown = parse_filter(filter, _find), stages(view)
        found = [record for record in self._all() if stage_of(record) in shown and wanted(record)]
        found.sort(key=lambda record: (-milliseconds(record.create_time), record.name))
        found = sort(found, order_by, _find)
        page = [message(record) for record in found[offset : offset + most]]
        return page, offset + most if len(found) > offset + most else None

    # -- changing

    def create(self, name: str, given: Mapping[str, str], location: str) -> str:
        """Add an experiment; returns its id. Raises AlreadyExists for a name that is taken."""
        if not name.strip() or len(name) > 128:
            raise InvalidArgument("An experiment must have a name of 1 to 128 characters", given=repr(name[:150]))
        if any(record.body.get("displayName") == name for record in self._all()) or name == DEFAULT_NAME:
            raise AlreadyExists("The name of an experiment must be free", given=name, do="use or restore that one")
        free = _ID.fullmatch(name) is not None and self.metadata.find(self.name_of(name)) is None
        return self._create(name if free else numeric_id(), name, given, location).name.rpartition("/")[2]

    def _create(self, id: str, name: str, given: Mapping[str, str], location: str) -> Record:
        metadata = {"experiment_deleted": False, "_tags": dict(given)}
        context = self.metadata.put_context(self.store, id, schema=SCHEMA, display_name=name, metadata=metadata)
        where = location or f"{SCHEME}{id}"
        return self.metadata.change(context, lambda body: with_private(body, location=where))

    def update(self, id: str, name: str) -> None:
        if name and any(
            record.body.get("displayName") == name and not record.name.endswith(f"/{id}") for record in self._all()
        ):
            raise AlreadyExists("The name of an experiment must be free", given=name)
        self.check_active(id)
        if name:
            self.metadata.change(self.name_of(id), lambda body: {**body, "displayName": name})

    def set_stage(self, id: str, stage: str) -> None:
        """Delete or restore an experiment, which stays."""
        record = self.record(id)
        if id == DEFAULT_ID and stage == DELETED:
            raise FailedPrecondition("The default experiment is not deleted", given=id)

        def change(body: dict[str, Any]) -> dict[str, Any]:
            body["metadata"] = {**body.get("metadata", {}), "experiment_deleted": stage == DELETED}
            return with_private(body, stage=stage)

        self.metadata.change(record.name, change)

    def change_tags(self, id: str, change: Callable[[dict[str, str]], None]) -> None:
        self.check_active(id)
        self.metadata.change(self.name_of(id), lambda body: tagged(body, change))

    def check_active(self, id: str) -> Record:
        record = self.record(id)
        if stage_of(record) != ACTIVE:
            raise FailedPrecondition("The experiment must be active", given=f"{id}, deleted", do="restore it first")
        return record


def tagged(body: dict[str, Any], change: Callable[[dict[str, str]], None]) -> dict[str, Any]:
    """A node's body with its tags changed."""
    metadata = dict(body.get("metadata", {}))
    metadata["_tags"] = dict(metadata.get("_tags", {}))
    change(metadata["_tags"])
    return {**body, "metadata": metadata}


def message(record: Record) -> dict[str, Any]:
    """MLflow's Experiment."""
    id = record.name.rpartition("/")[2]
    return {
        "experiment_id": id,
        "name": record.body.get("displayName") or id,
        "artifact_location": location_of(record),
        "lifecycle_stage": stage_of(record),
        "creation_time": milliseconds(record.create_time),
        "last_update_time": milliseconds(record.update_time),
        "tags": pairs(record.body.get("metadata", {}).get("_tags", {})),
    }


def location_of(record: Record) -> str:
    return str(private(record).get("location") or f"{SCHEME}{record.name.rpartition('/')[2]}")


def _find(record: Record, key: Key) -> Any:
    if key.kind == "tags":
        return record.body.get("metadata", {}).get("_tags", {}).get(key.name)
    shown = message(record)
    if key.kind != "attributes" or key.name not in shown:
        raise InvalidArgument("Experiments are searched by attributes and tags", given=f"{key.kind}.{key.name}")
    return shown[key.name]
