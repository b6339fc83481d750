"""System variables: what ``@@name`` answers, and which of them SET may change.

https://cloud.google.com/bigquery/docs/reference/system-variables
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tule.bigquery.errors import invalid_query, not_implemented
from tule.bigquery.labels import checked_labels
from tule.bigquery.references import DatasetReference
from tule.bigquery.scripts.frames import Frame
from tule.bigquery.scripts.values import Value
from tule.bigquery.sql import Parameter
from tule.bigquery.sql.script.nodes import AssignSystem
from tule.kernel.errors import TuleError

if TYPE_CHECKING:
    from tule.bigquery.jobs import Job
    from tule.bigquery.plans import QueryPlan
    from tule.bigquery.scripts.interpreter import Interpreter
    from tule.bigquery.scripts.state import State

_TRACE = "ARRAY<STRUCT<line INT64, column INT64, filename STRING, location STRING>>"
_LABEL = re.compile(r"\s*(?P<key>[^:,]+?)\s*:\s*(?P<value>[^:,]*?)\s*")
# Names of the one time zone that sessions are in.
_UTC = frozenset({"UTC", "ETC/UTC", "ETC/GMT", "GMT", "UTC+00:00", "+00:00", "+0", "+00"})


def of_statement(plan: QueryPlan, job: Job | None, state: State | None = None) -> Callable[[str], Parameter | None]:
    """The system variables of a statement that is in no script, maybe in a session with this state."""

    def read(name: str) -> Parameter | None:
        if state is not None and (found := _of_state(name, state)) is not None:
            return found
        if name == "project_id":
            return Parameter("STRING", plan.project)
        if name == "dataset_id":
            return Parameter("STRING", plan.dataset.rpartition(".")[2] if plan.dataset else None)
        if name == "dataset_project_id":
            return Parameter("STRING", plan.dataset.rpartition(".")[0] if plan.dataset else None)
        if name == "time_zone":
            return Parameter("STRING", "UTC")
        if name == "session_id":
            return Parameter("STRING", plan.session.id if plan.session is not None else None)
        if name == "current_job_id":
            return Parameter("STRING", job.reference.job if job is not None else None)
        if name == "location":
            return Parameter("STRING", job.reference.location if job is not None else None)
        if name in ("last_job_id", "query_label", "error.message", "error.statement_text", "error.formatted_stack_trace",
                    "script.job_id", "reservation"):  # fmt: skip
            return Parameter("STRING", None)
        if name in ("row_count", "script.bytes_billed", "script.bytes_processed", "script.num_child_jobs"):
            return Parameter("INT64", None)
        if name == "script.creation_time":
            return Parameter("TIMESTAMP", None)
        if name == "error.stack_trace":
            return Parameter(_TRACE, None)
        return None

    return read


def _of_state(name: str, state: State) -> Parameter | None:
    if name == "row_count":
        return Parameter("INT64", state.row_count)
    if name == "last_job_id":
        return Parameter("STRING", state.last_job)
    project, _, dataset = (state.dataset or "").rpartition(".")
    if name == "dataset_id":
        return Parameter("STRING", dataset or None)
    if name == "dataset_project_id":
        return Parameter("STRING", state.project or project or None)
    if name == "query_label" and state.labels is not None:
        return Parameter("STRING", _label_text(state.labels))
    return None


def _label_text(labels: Mapping[str, str]) -> str | None:
    return ",".join(f"{key}:{value}" for key, value in labels.items()) or None


class SystemVariables:
    """The system variables of one script."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._script = interpreter

    def reader(self, child: Job | None) -> Callable[[str], Parameter | None]:
        """Tells a system variable as it is now, for a statement that runs as ``child``."""
        plain = of_statement(self._script.plan, child or self._script.job)

        def read(name: str) -> Parameter | None:
            mine = self._read(name)
            return mine if mine is not None else plain(name)

        return read

    def _read(self, name: str) -> Parameter | None:
        script, state = self._script, self._script.state
        group, _, field = name.partition(".")
        if group == "error":
            return self._error(field)
        if group == "script":
            return self._of_script(field)
        if (found := _of_state(name, state)) is not None:
            return found
        if name == "query_label":
            return Parameter("STRING", _label_text(script.job.configuration.get("labels") or {}))
        return None

    def _error(self, field: str) -> Parameter | None:
        failure = self._script.failures[-1] if self._script.failures else None
        if field == "message":
            return Parameter("STRING", failure.message if failure else None)
        if field == "statement_text":
            return Parameter("STRING", failure.statement if failure else None)
        if field == "formatted_stack_trace":
            return Parameter("STRING", failure.formatted if failure else None)
        if field == "stack_trace":
            frames = failure and [
                {"line": line, "column": column, "filename": None, "location": name}
                for line, column, name in failure.trace
            ]
            return Parameter(_TRACE, frames)
        return None

    def _of_script(self, field: str) -> Parameter | None:
        script = self._script
        values: dict[str, tuple[str, Any]] = {
            "job_id": ("STRING", script.job.reference.job),
            "creation_time": ("TIMESTAMP", script.job.created),
            "num_child_jobs": ("INT64", script.children),
            "bytes_processed": ("INT64", script.bytes),
            "bytes_billed": ("INT64", script.billed),
        }
        if field == "slot_ms":
            raise not_implemented("@@script.slot_ms", do="there are no slots here; leave it out")
        return Parameter(*values[field]) if field in values else None

    # -- SET

    def assign(self, frame: Frame, node: AssignSystem, value: Value) -> None:
        """SET of a system variable."""
        change = {
            "dataset_id": self._set_dataset,
            "dataset_project_id": self._set_project,
            "query_label": self._set_label,
            "time_zone": self._set_zone,
            "location": self._set_location,
        }.get(node.name)
        if change is None:
            if self.reader(None)(node.name) is None:
                raise frame.script.text.error(f"Unrecognized name: @@{node.name}", node.start)
            raise frame.script.text.error(f"Cannot assign to read-only system variable: @@{node.name}", node.start)
        if value.value is not None and not isinstance(value.value, str):
            raise frame.script.text.error(
                f"Cannot coerce expression {frame.script.source(node.value)} to type STRING", node.value.start
            )
        try:
            change(value.value)
        except TuleError as error:
            raise frame.script.text.placed(error, node.value.start) from None

    def _set_dataset(self, name: str | None) -> None:
        state = self._script.state
        if not name:
            state.dataset = None
            return
        project, _, dataset = name.rpartition(".")
        state.dataset = DatasetReference(project or self._script.project, dataset).checked().dotted

    def _set_project(self, name: str | None) -> None:
        state = self._script.state
        state.project = name or None
        if state.dataset:
            self._set_dataset(state.dataset.rpartition(".")[2])

    def _set_label(self, text: str | None) -> None:
        self._script.state.labels = labels_of(text) if text else {}

    @staticmethod
    def _set_zone(name: str | None) -> None:
        if name is None:
            raise invalid_query("Invalid timezone: NULL")
        if name.upper() not in _UTC:
            raise not_implemented(f"SET @@time_zone = {name!r}", do="give the time zone to the functions that take one")

    def _set_location(self, name: str | None) -> None:
        mine = self._script.job.reference.location
        if (name or "").upper() != mine.upper():
            raise invalid_query(f"@@location must be the location that the job runs in, {mine}; given: {name!r}")


def labels_of(text: str) -> dict[str, str]:
    """Labels as ``@@query_label`` writes them: ``key:value,key:value``."""
    labels: dict[str, str] = {}
    for part in text.split(","):
        found = _LABEL.fullmatch(part)
        if found is None:
            raise invalid_query(f"Invalid query label: {text!r}; labels are written key:value,key:value")
        if found["key"] in labels:
            raise invalid_query(f"Duplicate query label key: {found['key']}")
        labels[found["key"]] = found["value"]
    return checked_labels(labels)
