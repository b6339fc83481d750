"""Copy jobs: the rows of one or several tables into another, or a model.

https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationTableCopy
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from tule.bigquery import schemas
from tule.bigquery.decorators import Decorated, decorated, partition
from tule.bigquery.destinations import Destination, WriteLocks, check_dispositions
from tule.bigquery.errors import invalid, not_found, not_implemented
from tule.bigquery.jobs import Job, Outcome
from tule.bigquery.models import Models
from tule.bigquery.partitioning import TIME
from tule.bigquery.physical import Physical, fit
from tule.bigquery.readable import Readable, Sources
from tule.bigquery.references import ModelReference, TableReference
from tule.bigquery.row_policies import RowPolicies
from tule.bigquery.schemas import JsonField
from tule.bigquery.snapshots import Snapshots
from tule.bigquery.tables import Tables
from tule.bigquery.types import fields_from_rest
from tule.kernel.clock import Clock


@dataclass(frozen=True)
class CopyPlan:
    """A copy job, checked."""

    sources: tuple[Decorated, ...]
    destination: Decorated
    config: Mapping[str, Any]
    operation: str = "COPY"
    model: bool = False
    """Whether a model is copied; models and tables share their names."""

    @property
    def reference(self) -> TableReference:
        return self.destination.reference

    @property
    def permissions(self) -> list[tuple[str, str]]:
        """What the caller must be allowed, and on which resource."""
        if self.model:
            source, target = model_of(self.sources[0].reference), model_of(self.reference)
            return [("bigquery.models.getData", source.name), ("bigquery.models.updateData", target.name)]
        read = [("bigquery.tables.getData", each.reference.name) for each in self.sources]
        return [*read, ("bigquery.tables.updateData", self.reference.name)]


CopyModel = Callable[[ModelReference, ModelReference, bool], Outcome]
"""``copy(source, target, replace)``: the Outcome that makes the copy visible."""


class Copies:
    """Runs copy jobs."""

    copy_model: CopyModel | None = None

    def __init__(
        self,
        tables: Tables,
        models: Models,
        sources: Sources,
        physical: Physical,
        locks: WriteLocks,
        snapshots: Snapshots,
        row_policies: RowPolicies,
        clock: Clock,
    ) -> None:
        self._tables = tables
        self._models = models
        self._sources = sources
        self._physical = physical
        self._locks = locks
        self._snapshots = snapshots
        self._row_policies = row_policies
        self._clock = clock

    def plan(self, project: str, config: Mapping[str, Any]) -> CopyPlan:
        """The job as it will run; raises for what is wrong before anything is read."""
        operation = str(config.get("operationType") or "COPY")
        if operation == "OPERATION_TYPE_UNSPECIFIED":
            operation = "COPY"
        if operation not in ("COPY", "SNAPSHOT", "CLONE", "RESTORE"):
            raise invalid(f"operationType must be COPY, SNAPSHOT, CLONE or RESTORE; given: {operation!r}")
        given = config.get("sourceTables") or ([config["sourceTable"]] if config.get("sourceTable") else [])
        if not given:
            raise invalid("Required parameter is missing: configuration.copy.sourceTables")
        if operation != "COPY" and len(given) > 1:
            raise invalid(f"operationType {operation} must have one source table; given: {len(given)}")
        check_dispositions(config)
        if operation != "COPY":
            _check_special(operation, config)
        sources = tuple(decorated(each, project, "configuration.copy.sourceTable") for each in given)
        destination = partition(config.get("destinationTable"), project, "configuration.copy.destinationTable")
        if operation != "COPY" and (named := [each for each in (*sources, destination) if each.partition]):
            raise invalid(f"operationType {operation} is of whole tables; given: {named[0]}")
        return CopyPlan(
            sources,
            destination,
            config,
            operation,
            len(sources) == 1 and self._models.find(model_of(sources[0].reference)) is not None,
        )

    def run(self, job: Job, plan: CopyPlan) -> Outcome:
        """Write the rows of all sources."""
        if plan.model:
            return self._model(plan)
        for each in plan.sources:
            self._row_policies.check_all(each.reference, job.user, "A copy")
        if plan.operation != "COPY":
            return self._special(job, plan)
        found = [self._open(each) for each in plan.sources]
        fields: list[JsonField] = found[0].fields
        for reference, source in zip(plan.sources[1:], found[1:], strict=True):
            if _shape(source.fields) != _shape(fields):
                raise invalid(
                    f"The schema of {reference.reference} must be that of {plan.sources[0].reference}: they are copied "
                    "together"
                )
        destination = Destination(
            self._tables, self._physical, self._locks, plan.reference, plan.config, default_write="WRITE_EMPTY",
            partition=plan.destination.partition,
        )  # fmt: skip
        destination.keep_time()

        def batches(into: Sequence[JsonField]) -> Iterable[pa.RecordBatch]:
            columns = fields_from_rest(into)
            for source in found:
                for batch in source.scan(stored=source.stored):
                    # Without a time of loading of their own, rows get that of the copy.
                    known = [each for each in columns if each.name != TIME or TIME in batch.schema.names]
                    yield fit(batch, known)

        def statistics(rows: int) -> dict[str, Any]:
            return {"copy": {"copiedRows": str(rows)}}

        # Layout comes along: it is part of what a table is.
        record = self._tables.find(plan.sources[0].reference)
        first = record.body if record is not None else {}
        keys = ("timePartitioning", "rangePartitioning", "clustering")
        destination.layout_of(schemas.layout({key: first[key] for key in keys if key in first}, fields))
        described: dict[str, Any] = {
            key: first[key] for key in ("description", "friendlyName", "labels") if key in first
        }
        # Its columns too keep the collations that they have, whatever the dataset gives to new ones.
        described["defaultCollation"] = first.get("defaultCollation", "")
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
        return self.copy_model(model_of(plan.sources[0].reference), target, write == "WRITE_TRUNCATE")

    def _open(self, source: Decorated) -> Readable:
        moment = source.at(self._clock.now())
        if moment is None:
            return self._sources.open(source.reference, partition=source.partition)
        return self._sources.at(source.reference, moment, partition=source.partition)

    def _special(self, job: Job, plan: CopyPlan) -> Outcome:
        """A snapshot, a clone, or a table of a snapshot."""
        (source,) = plan.sources
        held = ExitStack()
        held.enter_context(self._locks.hold(plan.reference.name, check=job.check))
        try:
            replace = plan.config.get("writeDisposition") == "WRITE_TRUNCATE"
            expires = plan.config.get("destinationExpirationTime")
            described = {} if expires is None else {"expirationTime": _milliseconds(str(expires))}
            outcome, rows = self._snapshots.copied(
                plan.operation, source.reference, source.at(self._clock.now()), plan.reference, described=described,
                replace=replace,
            )  # fmt: skip
        except BaseException:
            held.close()
            raise
        outcome.statistics = {"copy": {"copiedRows": str(rows)}}
        outcome.release = held.close
        return outcome


def _check_special(operation: str, config: Mapping[str, Any]) -> None:
    """Snapshots are made new; clones and restores may replace a table, and add to none."""
    write = config.get("writeDisposition") or "WRITE_EMPTY"
    allowed = ("WRITE_EMPTY",) if operation == "SNAPSHOT" else ("WRITE_EMPTY", "WRITE_TRUNCATE")
    if write not in allowed:
        raise invalid(f"writeDisposition of operationType {operation} must be {' or '.join(allowed)}; given: {write}")
    if config.get("createDisposition") == "CREATE_NEVER":
        raise invalid(f"operationType {operation} makes a table: createDisposition must be CREATE_IF_NEEDED")


def model_of(reference: TableReference) -> ModelReference:
    """The model of a table's name."""
    return ModelReference(reference.project, reference.dataset, reference.table)


def _milliseconds(text: str) -> str:
    """``destinationExpirationTime``, a moment as RFC 3339 writes it, in milliseconds."""
    try:
        return str(int(datetime.fromisoformat(text).timestamp() * 1000))
    except ValueError:
        raise invalid(f"destinationExpirationTime must be a time as RFC 3339 writes it; given: {text!r}") from None


def _shape(fields: Sequence[JsonField]) -> list[Any]:
    """What must be the same for rows to go into one table: names and types in order."""
    return [
        (each["name"].lower(), each["type"], each["mode"] == "REPEATED", _shape(each.get("fields", [])))
        for each in fields
    ]
