"""Runs of MLflow: contexts of the schema system.ExperimentRun, children of their experiment's.

Params, the last value of each metric, state and tags stand in the context's metadata, where Google's SDK looks for them; the
history of a metric is a series of points.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from tule.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from tule.kernel.records import Point, Record
from tule.vertex.experiments import Metadata
from tule.vertex.mlflow import values
from tule.vertex.mlflow.experiments import Experiments, location_of, private, stage_of, tagged, with_private
from tule.vertex.mlflow.search import Key, parse_filter, sort
from tule.vertex.mlflow.values import ACTIVE, STATES, STATUSES, milliseconds, written

SCHEMA = "system.ExperimentRun"
_NAME_TAG, _USER_TAG = "mlflow.runName", "mlflow.user"
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_ENDED = ("FINISHED", "FAILED", "KILLED")
_ADJECTIVES: Final = [
    "amber",
    "brave",
    "calm",
    "eager",
    "fleet",
    "grand",
    "hardy",
    "keen",
    "lucid",
    "merry",
    "noble",
    "proud",
    "quiet",
    "rapid",
    "sunny",
    "vivid",
]
_NOUNS: Final = ("alder", "birch", "cedar", "dune", "egret", "fern", "heron", "kelp", "lark", "otter", "plover", "reed")


class Runs:
    """The runs of one project and location."""

    def __init__(self, metadata: Metadata, experiments: Experiments) -> None:
        self._metadata = metadata
        self._experiments = experiments

    def transaction(self) -> AbstractContextManager[Any]:
        return self._metadata.transaction()

    # -- reading

    def record(self, id: str) -> Record:
        """A run's context; raises NotFound."""
        found = self._metadata.find(self._experiments.name_of(id)) if id else None
        if found is None or found.body.get("schemaTitle") != SCHEMA:
            raise NotFound("The run must exist", given=f"run_id {id or 'none'}", do="search the runs of its experiment")
        return found

    def get(self, id: str) -> dict[str, Any]:
        record = self.record(id)
        return message(record, self._experiment_of(record))

    def _experiment_of(self, record: Record) -> Record:
        known = private(record).get("experiment")
        if known:
            return self._experiments.record(known)
        parents = self._metadata.parents(record.name)
        if not parents:
            raise NotFound("The run must be in an experiment", given=record.name)
        return self._experiments.record(parents[0].rpartition("/")[2])

    def search(
        self,
        experiments: Sequence[str],
        view: str,
        filter: str,
        order_by: Sequence[str],
        most: int,
        offset: int,
    ) -> tuple[list[dict[str, Any]], int | None]:
        """A page of the runs of some experiments, and where the next begins."""
        shown, wanted = values.stages(view), parse_filter(filter, find)
        found: list[dict[str, Any]] = []
        for id in experiments:
            experiment = self._experiments.record(id)
            for record in self._metadata.children(experiment.name):
                if record.body.get("schemaTitle") == SCHEMA and stage_of(record) in shown:
                    run = message(record, experiment)
                    if wanted(run):
                        found.append(run)
        found.sort(key=lambda run: (-run["info"]["start_time"], run["info"]["run_id"]))
        found = sort(found, order_by, find)
        return found[offset : offset + most], offset + most if len(found) > offset + most else None

    def history(self, id: str, key: str, *, most: int, after: tuple[int, int] | None) -> Any:
        """A page of a metric's points with their places."""
        return self._metadata.points.page(_series(self.record(id).name, key), limit=most, after=after)

    # -- their lives

    def create(self, experiment_id: str, name: str, user: str, start: int, given: Mapping[str, str]) -> dict[str, Any]:
        """Begin a run; one without a name is given one."""
        experiment = self._experiments.check_active(experiment_id)
        tags = dict(given)
        name = name or tags.get(_NAME_TAG, "") or _random_name()
        tags[_NAME_TAG] = name
        # Google's SDK finds a run by its name under this id.
        wanted = f"{experiment_id}-{name}"
        store = self._experiments.store
        taken = _ID.fullmatch(wanted) is None or self._metadata.find(f"{store}/contexts/{wanted}") is not None
        id = secrets.token_hex(16) if taken else wanted
        metadata = {"_params": {}, "_metrics": {}, "_state": "RUNNING", "_tags": tags}
        body = {
            "displayName": name[:128],
            "metadata": metadata,
            "_tule": {"mlflow": {"start": start, "user": user, "experiment": experiment_id, "stage": ACTIVE}},
        }
        record = self._metadata.add_context(store, id, schema=SCHEMA, body=body, parent=experiment.name)
        return message(record, experiment)

    def update(self, id: str, status: str, end: int, name: str) -> dict[str, Any]:
        """Change a run's status, its end and its name; those that are empty stay."""
        if status and status not in STATES:
            raise InvalidArgument(f"The status of a run must be one of {', '.join(STATES)}", given=status)

        def change(body: dict[str, Any]) -> dict[str, Any]:
            if status:
                body["metadata"] = {**body.get("metadata", {}), "_state": STATES[status]}
            if name:
                body["displayName"] = name[:128]
                body = tagged(body, lambda tags: tags.update({_NAME_TAG: name}))
            return with_private(body, end=end) if end else body

        record = self._change(id, change)
        info: dict[str, Any] = message(record, self._experiment_of(record))["info"]
        return info

    def set_stage(self, id: str, stage: str) -> None:
        """Delete or restore a run, which stays."""
        self._metadata.change(self.record(id).name, lambda body: with_private(body, stage=stage))

    # -- what they log

    def log(
        self,
        id: str,
        *,
        metrics: Sequence[Mapping[str, Any]] = (),
        params: Sequence[Mapping[str, Any]] = (),
        tags: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Log a batch, all of it or nothing; InvalidArgument for a param that has another value."""
        values.check_batch({"metrics": metrics, "params": params, "tags": tags})
        given = {values.key(each.get("key"), "param"): values.param(each.get("value")) for each in params}
        labels = values.tags(tags)
        name = self._experiments.name_of(id)
        series, last = _points(name, metrics)

        def change(body: dict[str, Any]) -> dict[str, Any]:
            metadata = dict(body.get("metadata", {}))
            if given:
                metadata["_params"] = _with_params(metadata.get("_params", {}), given)
            if labels:
                metadata["_tags"] = {**metadata.get("_tags", {}), **labels}
                if _NAME_TAG in labels:
                    body = {**body, "displayName": labels[_NAME_TAG][:128]}
            body = {**body, "metadata": metadata}
            return _with_metrics(body, last) if last else body

        with self._metadata.transaction():
            self._change(id, change)
            if series:
                self._metadata.points.add(series)

    def change_tags(self, id: str, change: Callable[[dict[str, str]], None]) -> None:
        self._change(id, lambda body: tagged(body, change))

    def note(self, id: str, **more: list[Any]) -> None:
        """Add to the lists of what went into a run and came out of it."""

        def change(body: dict[str, Any]) -> dict[str, Any]:
            old = body.get("_tule", {}).get("mlflow", {})
            return with_private(body, **{what: [*old.get(what, []), *each] for what, each in more.items()})

        self._change(id, change)

    def _change(self, id: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Record:
        """Change an active run in one step; its state is looked at inside of it."""

        def checked(record: Record) -> dict[str, Any]:
            if record.body.get("schemaTitle") != SCHEMA:
                raise NotFound("The run must exist", given=f"run_id {id}")
            if stage_of(record) != ACTIVE:
                raise FailedPrecondition("The run must be active", given=f"{id}, deleted", do="restore it first")
            return change(record.body)

        name = self._experiments.name_of(id)
        with self._metadata.transaction():
            record = self.record(id)
            body = checked(record)
            return self._metadata.change(name, lambda _: body)


def _series(run: str, key: str) -> str:
    return f"{run}/metrics/{key}"


Last = dict[str, tuple[int, int, float]]
"""Of each metric its last point: step, time in milliseconds, value."""


def _points(run: str, metrics: Sequence[Mapping[str, Any]]) -> tuple[dict[str, list[Point]], Last]:
    """The points of a batch by series, and the last of each metric."""
    series: dict[str, list[Point]] = {}
    last: Last = {}
    for each in metrics:
        key = values.key(each.get("key"), "metric")
        value = values.number(each.get("value"), f"The metric {key}")
        moment = values.whole(each.get("timestamp"), "timestamp")
        step = values.whole(each.get("step"), "step")
        series.setdefault(_series(run, key), []).append(Point(step, moment * 1000, value))
        if key not in last or _rank((step, moment, value)) >= _rank(last[key]):
            last[key] = (step, moment, value)
    return series, last


def _rank(point: tuple[int, int, float]) -> tuple[int, int, float]:
    step, moment, value = point
    return step, moment, value if value == value else float("-inf")


def _with_metrics(body: dict[str, Any], last: Last) -> dict[str, Any]:
    """A run's body with the last values of its metrics; an older point changes nothing."""
    known = body.get("_tule", {}).get("mlflow", {}).get("latest", {})
    latest, shown = dict(known), dict(body["metadata"].get("_metrics", {}))
    for key, (step, moment, value) in last.items():
        old = known.get(key)
        if old is None or _rank((step, moment, value)) >= _rank((old[0], old[1], float(old[2]))):
            latest[key] = [step, moment, written(value)]
            shown[key] = written(value)
    return with_private({**body, "metadata": {**body["metadata"], "_metrics": shown}}, latest=latest)


def _with_params(old: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    for key, value in given.items():
        if key in old and _shown(old[key]) != value:
            raise InvalidArgument(
                f"The param {key} must keep its value",
                given=f"{value!r}, where it is {_shown(old[key])!r}",
                do="log it under another key, or in another run",
            )
    return {**old, **given}


def _shown(value: Any) -> str:
    """A param that Google's SDK logged, as text: whole numbers without a point.

    >>> _shown(3.0), _shown(0.5), _shown("x")
    ('3', '0.5', 'x')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _random_name() -> str:
    return f"{secrets.choice(_ADJECTIVES)}-{secrets.choice(_NOUNS)}-{secrets.randbelow(1000)}"


def message(record: Record, experiment: Record) -> dict[str, Any]:
    """MLflow's Run."""
    id, hidden = record.name.rpartition("/")[2], private(record)
    metadata = record.body.get("metadata", {})
    tags = metadata.get("_tags", {})
    status = STATUSES.get(metadata.get("_state", "RUNNING"), "RUNNING")
    info = {
        "run_id": id,
        "run_uuid": id,
        "run_name": tags.get(_NAME_TAG) or record.body.get("displayName") or id,
        "experiment_id": experiment.name.rpartition("/")[2],
        "user_id": hidden.get("user") or tags.get(_USER_TAG, ""),
        "status": status,
        "start_time": hidden.get("start") or milliseconds(record.create_time),
        "artifact_uri": f"{location_of(experiment)}/{id}/artifacts",
        "lifecycle_stage": stage_of(record),
    }
    if hidden.get("end") or (status in _ENDED and "start" not in hidden):
        info["end_time"] = hidden.get("end") or milliseconds(record.update_time)
    latest, moment = hidden.get("latest", {}), milliseconds(record.update_time)
    metrics = [
        {"key": key, "value": value, "step": latest.get(key, (0,))[0], "timestamp": latest.get(key, (0, moment))[1]}
        for key, value in metadata.get("_metrics", {}).items()
    ]
    params = {key: _shown(value) for key, value in metadata.get("_params", {}).items()}
    return {
        "info": info,
        "data": {"metrics": metrics, "params": values.pairs(params), "tags": values.pairs(tags)},
        "inputs": {"dataset_inputs": hidden.get("datasets", []), "model_inputs": hidden.get("model_inputs", [])},
        "outputs": {"model_outputs": hidden.get("model_outputs", [])},
    }


# Attributes under other names than those of the message.
_ALIASES: Final = {"run_name": "run_name", "Run name": "run_name", "created": "start_time", "Created": "start_time"}


def find(run: dict[str, Any], key: Key) -> Any:
    """What a search sees of a run."""
    if key.kind == "attributes":
        name = _ALIASES.get(key.name, key.name)
        if name not in run["info"] and name != "end_time":
            raise InvalidArgument(
                f"The attributes of runs must be {', '.join(sorted(run['info']))} or end_time", given=key.name
            )
        return run["info"].get(name)
    if key.kind == "datasets":
        names = [each.get("dataset", {}).get(key.name) for each in run["inputs"]["dataset_inputs"]]
        return names[0] if names else None
    found = next((each["value"] for each in run["data"][key.kind] if each["key"] == key.name), None)
    return float(found) if key.kind == "metrics" and found is not None else found
