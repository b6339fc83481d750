"""Load jobs and LOAD DATA: files from Cloud Storage, another file system or an upload into a table.

https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationLoad
https://cloud.google.com/bigquery/docs/reference/standard-sql/load-statements
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from tule.bigquery import decorators, schemas
from tule.bigquery.destinations import Destination, WriteLocks, check_dispositions
from tule.bigquery.errors import invalid, not_implemented
from tule.bigquery.formats.bad_records import BadRecords, TooManyBadRecords
from tule.bigquery.formats.files import FileFormat
from tule.bigquery.formats.sources import AnySource, Source
from tule.bigquery.hive import HiveLayout, HivePartitions
from tule.bigquery.jobs import Job, Outcome
from tule.bigquery.physical import Physical
from tule.bigquery.references import TableReference
from tule.bigquery.schemas import JsonField
from tule.bigquery.source_files import SourceFiles
from tule.bigquery.tables import Tables
from tule.bigquery.types import Field, fields_from_rest

Told = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class LoadPlan:
    """A load, checked. ``sources`` are known beforehand for an upload alone, ``hive`` once the files are."""

    reference: TableReference
    format: FileFormat
    sources: tuple[AnySource, ...]
    config: Mapping[str, Any]
    fields: list[JsonField] | None
    layout: HiveLayout | None = None
    hive: HivePartitions | None = None
    described: Mapping[str, Any] | None = None
    partition: str = ""
    """The id of the one partition that is written, "" for the table."""

    @property
    def autodetect(self) -> bool:
        return bool(self.config.get("autodetect"))


class Loads:
    """Runs load jobs and LOAD DATA statements."""

    def __init__(self, tables: Tables, physical: Physical, locks: WriteLocks, files: SourceFiles) -> None:
        self._tables = tables
        self._physical = physical
        self._locks = locks
        self._files = files

    def plan(self, project: str, config: Mapping[str, Any], upload: Source | None) -> LoadPlan:
        """The job as it will run; raises for what is wrong before anything is read."""
        table = decorators.partition(config.get("destinationTable"), project, "configuration.load.destinationTable")
        format = FileFormat.read(config.get("sourceFormat"), config)
        uris = config.get("sourceUris") or []
        if upload is not None and uris:
            raise invalid("A load job must have sourceUris or an uploaded file, not both")
        if upload is None:
            uris = self._files.checked(uris)
        layout = HiveLayout.read(config.get("hivePartitioningOptions"), uris)
        if layout is not None and upload is not None:
            raise invalid("hivePartitioningOptions must not be set for an uploaded file: it lies in no folder")
        if layout is not None and layout.require_filter:
            raise invalid("hivePartitioningOptions.requirePartitionFilter is of external tables, not of loads")
        if config.get("decimalTargetTypes") or config.get("projectionFields"):
            word = "decimalTargetTypes" if config.get("decimalTargetTypes") else "projectionFields"
            raise not_implemented(word, do="leave it out, or give a schema")
        check_dispositions(config)
        fields = (config.get("schema") or {}).get("fields")
        return LoadPlan(
            table.reference,
            format,
            (upload,) if upload is not None else (),
            config,
            schemas.checked(fields) if fields else None,
            layout,
            described=config.get("destinationTableProperties"),
            partition=table.partition,
        )

    def run(self, job: Job, plan: LoadPlan, told: Told = lambda about: {"load": about}) -> Outcome:
        """Read the files and write the table; ``told`` makes the job's statistics of those of the load."""
        sources = plan.sources or tuple(self._files.of_options(plan.config))
        hive = plan.layout.partitions(sources) if plan.layout is not None else None
        plan = replace(plan, sources=sources, hive=hive)
        destination = Destination(
            self._tables, self._physical, self._locks, plan.reference, plan.config, default_write="WRITE_APPEND",
            partition=plan.partition,
        )  # fmt: skip
        record = destination.record()
        existing: list[JsonField] | None = record.body["schema"]["fields"] if record is not None else None
        plan, fields = self._schema(plan, existing if destination.appends or plan.partition else None, destination)
        if hive is not None and fields is not None:
            fields = schemas.checked(hive.with_columns(fields))
        bad = plan.format.bad_records()
        size = 0

        def statistics(rows: int) -> dict[str, Any]:
            return told(
                {
                    "inputFiles": str(len(sources)),
                    "inputFileBytes": str(sum(each.size for each in sources)),
                    "outputRows": str(rows),
                    "outputBytes": str(size),
                    "badRecords": str(bad.count),
                }
            )

        def batches(into: Sequence[JsonField]) -> Iterable[pa.RecordBatch]:
            nonlocal size
            for batch in _batches(plan, fields_from_rest(into), bad):
                size += batch.nbytes
                yield batch

        try:
            outcome = destination.store(job, fields, batches, statistics, described=plan.described)
        except TooManyBadRecords as error:
            job.errors = error.entries
            raise
        outcome.errors = bad.entries
        return outcome

    def _schema(
        self, plan: LoadPlan, existing: list[JsonField] | None, destination: Destination
    ) -> tuple[LoadPlan, list[JsonField] | None]:
        """The schema of the files, None for the table's; detection may say how many rows of a CSV are its header."""
        if plan.fields is not None:
            return plan, plan.fields
        if plan.format.typed:
            if existing is not None and not destination.updates:
                return plan, None
        elif not plan.autodetect:
            if existing is not None:
                return plan, None
            raise invalid("No schema specified on job or table.")
        reference = plan.config.get("referenceFileSchemaUri")
        first = self._files.find([reference])[0] if reference else plan.sources[0]
        format, found = plan.format.detected(first)
        fields = schemas.checked(found)
        return replace(plan, format=format), fields if format.typed else _fitting(fields, existing)


def _fitting(detected: list[JsonField], existing: list[JsonField] | None) -> list[JsonField]:
    """Detected fields beside an existing table: a column that is there keeps its type."""
    if existing is None:
        return detected
    return [schemas.find(existing, each["name"]) or each for each in detected]


def _batches(plan: LoadPlan, fields: Sequence[Field], bad: BadRecords) -> Iterable[pa.RecordBatch]:
    order = fields_from_rest(plan.fields) if plan.fields is not None else None
    if plan.hive is None:
        yield from plan.format.batches(plan.sources, fields, bad, order=order)
        return
    yield from partitioned(plan.format, plan.sources, plan.hive, fields, bad, order)


def partitioned(
    format: FileFormat,
    sources: Sequence[AnySource],
    hive: HivePartitions,
    fields: Sequence[Field],
    bad: BadRecords,
    order: Sequence[Field] | None = None,
) -> Iterable[pa.RecordBatch]:
    """The rows of files together with the keys of their folders."""
    own = [each for each in fields if each.name.lower() not in hive.names]
    for source in sources:
        yield from hive.completed(source, format.batches([source], own, bad, order=order), fields)
