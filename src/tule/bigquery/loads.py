"""Load jobs: files from Cloud Storage or an upload into a table.

https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationLoad
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from tule.bigquery import schemas
from tule.bigquery.destinations import Destination, WriteLocks, check_dispositions
from tule.bigquery.errors import invalid, not_found, not_implemented
from tule.bigquery.formats import avro, columnar, csv, detect, ndjson
from tule.bigquery.formats.bad_records import BadRecords, TooManyBadRecords
from tule.bigquery.formats.csv import CsvOptions
from tule.bigquery.formats.sources import Source
from tule.bigquery.jobs import Job, Outcome
from tule.bigquery.physical import Physical
from tule.bigquery.references import TableReference
from tule.bigquery.schemas import JsonField
from tule.bigquery.tables import Tables
from tule.bigquery.types import Field, fields_from_rest, fields_of

FORMATS = ("CSV", "NEWLINE_DELIMITED_JSON", "PARQUET", "AVRO", "ORC")


class ObjectFiles(Protocol):
    """What this room needs of the object store (``kernel.objects``)."""

    def glob(self, uri: str) -> Sequence[Any]:
        """The objects that a ``gs://bucket/key`` with at most one ``*`` names: values with ``bucket`` and ``key``."""

    def path(self, bucket: str, key: str) -> Path:
        """The file that holds an object's content, for reading only."""

    def put(self, bucket: str, key: str, chunks: Iterable[bytes], *, content_type: str) -> Any:
        """Store an object."""


@dataclass(frozen=True)
class LoadPlan:
    """A load job, checked."""

    reference: TableReference
    format: str
    sources: tuple[Source, ...]
    config: Mapping[str, Any]
    fields: list[JsonField] | None

    @property
    def autodetect(self) -> bool:
        return bool(self.config.get("autodetect"))


class Loads:
    """Runs load jobs."""

    def __init__(self, tables: Tables, physical: Physical, locks: WriteLocks, objects: ObjectFiles) -> None:
        self._tables = tables
        self._physical = physical
        self._locks = locks
        self._objects = objects

    def plan(self, project: str, config: Mapping[str, Any], upload: Source | None) -> LoadPlan:
        """The job as it will run; raises for what is wrong before anything is read."""
        reference = TableReference.read(config.get("destinationTable"), project, "configuration.load.destinationTable")
        format = str(config.get("sourceFormat") or "CSV").upper()
        if format in ("DATASTORE_BACKUP", "GOOGLE_SHEETS", "BIGTABLE", "ICEBERG"):
            raise not_implemented(f"sourceFormat {format}", do=f"use one of {', '.join(FORMATS)}")
        if format not in FORMATS:
            raise invalid(f"sourceFormat must be one of {', '.join(FORMATS)}; given: {format!r}")
        uris = config.get("sourceUris") or []
        if upload is None and not uris:
            raise invalid("Load configuration must specify at least one source URI")
        if upload is not None and uris:
            raise invalid("A load job must have sourceUris or an uploaded file, not both")
        if config.get("jsonExtension"):
            raise not_implemented("jsonExtension", do="leave it out")
        check_dispositions(config)
        CsvOptions.read(dict(config))
        BadRecords(format, int(config.get("maxBadRecords") or 0))
        fields = (config.get("schema") or {}).get("fields")
        return LoadPlan(
            reference,
            format,
            (upload,) if upload is not None else (),
            config,
            schemas.checked(fields) if fields else None,
        )

    def run(self, job: Job, plan: LoadPlan) -> Outcome:
        """Read the files and write the table."""
        sources = plan.sources or tuple(self._sources(plan.config["sourceUris"]))
        plan = replace(plan, sources=sources)
        destination = Destination(
            self._tables, self._physical, self._locks, plan.reference, plan.config, default_write="WRITE_APPEND"
        )
        record = destination.record()
        existing: list[JsonField] | None = record.body["schema"]["fields"] if record is not None else None
        plan, fields = self._schema(plan, existing if destination.appends else None, destination)
        bad = BadRecords("CSV" if plan.format == "CSV" else plan.format, int(plan.config.get("maxBadRecords") or 0))

        def statistics(rows: int) -> dict[str, Any]:
            return {
                "load": {
                    "inputFiles": str(len(sources)),
                    "inputFileBytes": str(sum(each.size for each in sources)),
                    "outputRows": str(rows),
                    "outputBytes": str(size),
                    "badRecords": str(bad.count),
                }
            }

        size = 0

        def batches(into: Sequence[JsonField]) -> Iterable[pa.RecordBatch]:
            nonlocal size
            for batch in self._batches(plan, fields_from_rest(into), bad):
                size += batch.nbytes
                yield batch

        properties = plan.config.get("destinationTableProperties") or {}
        try:
            outcome = destination.store(job, fields, batches, statistics, described=properties)
        except TooManyBadRecords as error:
            job.errors = error.entries
            raise
        outcome.errors = bad.entries
        return outcome

    def _sources(self, uris: Sequence[str]) -> Iterable[Source]:
        for uri in uris:
            if not isinstance(uri, str) or not uri.startswith("gs://"):
                raise invalid(f"A source URI must begin with gs://; given: {uri!r}")
            found = self._objects.glob(uri)
            if not found:
                raise not_found("URI", uri)
            for each in found:
                yield Source(f"gs://{each.bucket}/{each.key}", self._objects.path(each.bucket, each.key))

    def _schema(
        self, plan: LoadPlan, existing: list[JsonField] | None, destination: Destination
    ) -> tuple[LoadPlan, list[JsonField] | None]:
        """The schema of the rows, None for the table's; detection may say how many rows of a CSV are its header."""
        if plan.fields is not None:
            return plan, plan.fields
        first = plan.sources[0]
        if plan.format == "CSV":
            if existing is not None and not plan.autodetect:
                return plan, None
            if not plan.autodetect:
                raise invalid("No schema specified on job or table.")
            found = detect.csv_schema(first, CsvOptions.read(dict(plan.config)))
            plan = replace(plan, config={**plan.config, "skipLeadingRows": found.skip})
            return plan, self._fitting(schemas.checked(found.fields), existing)
        if plan.format == "NEWLINE_DELIMITED_JSON":
            if existing is not None and not plan.autodetect:
                return plan, None
            if not plan.autodetect:
                raise invalid("No schema specified on job or table.")
            return plan, self._fitting(schemas.checked(detect.json_schema(first)), existing)
        if existing is not None and not destination.updates:
            return plan, None
        if plan.format == "AVRO":
            logical = bool(plan.config.get("useAvroLogicalTypes"))
            return plan, schemas.checked(avro.fields_of(first, logical=logical))
        schema = columnar.schema_of(first, plan.format)
        if plan.format == "PARQUET" and not (plan.config.get("parquetOptions") or {}).get("enableListInference"):
            lists = [field.name for field in schema if pa.types.is_list(field.type)]
            if lists:
                raise not_implemented(
                    f"A Parquet list (column {lists[0]}) without parquetOptions.enableListInference",
                    do="set it to true: the column is loaded as REPEATED",
                )
        return plan, schemas.checked([_nullable(each) for each in fields_of(schema)])

    @staticmethod
    def _fitting(detected: list[JsonField], existing: list[JsonField] | None) -> list[JsonField]:
        """Detected fields beside an existing table: a column that is there keeps its type."""
        if existing is None:
            return detected
        return [schemas.find(existing, each["name"]) or each for each in detected]

    @staticmethod
    def _batches(plan: LoadPlan, fields: Sequence[Field], bad: BadRecords) -> Iterable[pa.RecordBatch]:
        unknown = bool(plan.config.get("ignoreUnknownValues"))
        if plan.format == "CSV":
            given = fields_from_rest(plan.fields) if plan.fields is not None else None
            return _csv_batches(plan, given, fields, bad)
        if plan.format == "NEWLINE_DELIMITED_JSON":
            return ndjson.batches(plan.sources, fields, bad, ignore_unknown=unknown)
        if plan.format == "AVRO":
            return avro.batches(plan.sources, fields, ignore_unknown=unknown)
        return columnar.batches(plan.sources, fields, plan.format, ignore_unknown=unknown)


def _csv_batches(
    plan: LoadPlan, given: Sequence[Field] | None, fields: Sequence[Field], bad: BadRecords
) -> Iterable[pa.RecordBatch]:
    """CSV columns are told by their order: that of the job's own schema where it gives one, else the table's."""
    options = CsvOptions.read(dict(plan.config))
    order = given or fields
    if [each.name.lower() for each in order] == [each.name.lower() for each in fields]:
        return csv.batches(plan.sources, fields, options, bad)
    by_name = {each.name.lower(): each for each in fields}
    ordered = [by_name.get(each.name.lower(), each) for each in order]
    return (columnar.fitted(batch, fields, "", 0) for batch in csv.batches(plan.sources, ordered, options, bad))


def _nullable(field: Field) -> dict[str, Any]:
    return field.rest()
