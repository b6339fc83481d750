"""Copy jobs: the rows of one or several tables into another, or a model.

https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationTableCopy
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tule.bigquery import schemas
from tule.bigquery.destinations import Destination, WriteLocks, check_dispositions
from tule.bigquery.errors import invalid, not_found, not_implemented
from tule.bigquery.jobs import Job, Outcome
from tule.bigquery.models import Models
from tule.bigquery.physical import Physical, fit
from tule.bigquery.readable import Sources
from tule.bigquery.references import ModelReference, TableReference
from tule.bigquery.schemas import JsonField
from tule.bigquery.tables import Tables
from tule.bigquery.types import fields_from_rest


@dataclass(frozen=True)
class CopyPlan:
    """A copy job, checked."""

    sources: tuple[TableReference, ...]
    reference: TableReference
    config: Mapping[str, Any]
    model: bool = False
    """Whether a model is copied; models and tables share their names."""

    @property
    def permissions(self) -> list[tuple[str, str]]:
        """What the caller must be allowed, and on which resource."""
        if self.model:
            source, target = model_of(self.sources[0]), model_of(self.reference)
            return [("bigquery.models.getData", source.name), ("bigquery.models.updateData", target.name)]
        read = [("bigquery.tables.getData", each.name) for each in self.sources]
        return [*read, ("bigquery.tables.updateData", self.reference.name)]


CopyModel = Callable[[ModelReference, ModelReference, bool], Outcome]
"""``copy(source, target, replace)``: the Outcome that makes the copy visible."""


class Copies:
    """Runs copy jobs."""

    copy_model: CopyModel | None = None

    def __init__(self, tables: Tables, models: Models, sources: Sources, physical: Physical, locks: WriteLocks) -> None:
        self._tables = tables
        self._models = models
        self._sources = sources
        self._physical = physical
        self._locks = locks

    def plan(self, project: str, config: Mapping[str, Any]) -> CopyPlan:
        """The job as it will run; raises for what is wrong before anything is read."""
        operation = config.get("operationType") or "COPY"
        if operation not in ("COPY", "OPERATION_TYPE_UNSPECIFIED"):
            raise not_implemented(f"operationType {operation} (snapshots, clones and restores)", do="use COPY")
        given = config.get("sourceTables") or ([config["sourceTable"]] if config.get("sourceTable") else [])
        if not given:
            raise invalid("Required parameter is missing: configuration.copy.sourceTables")
        check_dispositions(config)
        sources = tuple(TableReference.read(each, project, "configuration.copy.sourceTable") for each in given)
        return CopyPlan(
            sources,
            TableReference.read(config.get("destinationTable"), project, "configuration.copy.destinationTable"),
            config,
            model=len(sources) == 1 and self._models.find(model_of(sources[0])) is not None,
        )

    def run(self, job: Job, plan: CopyPlan) -> Outcome:
        """Write the rows of all sources."""
        if plan.model:
            return self._model(plan)
        found = [self._sources.open(each) for each in plan.sources]
        fields: list[JsonField] = found[0].fields
        for reference, source in zip(plan.sources[1:], found[1:], strict=True):
            if _shape(source.fields) != _shape(fields):
                raise invalid(f"The schema of {reference} must be that of {plan.sources[0]}: they are copied together")
        destination = Destination(
            self._tables, self._physical, self._locks, plan.reference, plan.config, default_write="WRITE_EMPTY"
        )

        def batches(into: Sequence[JsonField]) -> Iterable[pa.RecordBatch]:
            columns = fields_from_rest(into)
            for source in found:
                for batch in source.scan():
                    yield fit(batch, columns)

        def statistics(rows: int) -> dict[str, Any]:
            return {"copy": {"copiedRows": str(rows)}}

        # Layout comes along: it is part of what a table is.
        record = self._tables.find(plan.sources[0])
        first = record.body if record is not None else {}
        keys = ("timePartitioning", "rangePartitioning", "clustering")
        destination.layout_of(schemas.layout({key: first[key] for key in keys if key in first}, fields))
        described: dict[str, Any] = {
            key: first[key] for key in ("description", "friendlyName", "labels") if key in first
        }
        return destination.store(job, fields, batches, statistics, described=described)

    def _model(self, plan: CopyPlan) -> Outcome:
        if self.copy_model is None:
            raise not_implemented("Copying a model", do="start a server with machine learning")
        write = plan.config.get("writeDisposition") or "WRITE_EMPTY"
        if write not in ("WRITE_EMPTY", "WRITE_TRUNCATE"):
            raise invalid(f"A model is copied with WRITE_EMPTY or WRITE_TRUNCATE; given: {write}")
        target = model_of(plan.reference)
        if plan.config.get("createDisposition") == "CREATE_NEVER" and self._models.find(target) is None:
            raise not_found("Model", target)
        return self.copy_model(model_of(plan.sources[0]), target, write == "WRITE_TRUNCATE")


def model_of(reference: TableReference) -> ModelReference:
    """The model of a table's name."""
    return ModelReference(reference.project, reference.dataset, reference.table)


def _shape(fields: Sequence[JsonField]) -> list[Any]:
    """What must be the same for rows to go into one table: names and types in order."""
    return [
        (each["name"].lower(), each["type"], each["mode"] == "REPEATED", _shape(each.get("fields", [])))
        for each in fields
    ]
