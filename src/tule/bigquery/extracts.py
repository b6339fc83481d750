"""Extract jobs and EXPORT DATA: the rows of a table or a query, or a model, into files of Cloud Storage.

https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationExtract
https://cloud.google.com/bigquery/docs/reference/standard-sql/export-statements
"""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from tule.bigquery import decorators
from tule.bigquery.decorators import Decorated
from tule.bigquery.errors import invalid, invalid_query, not_implemented
from tule.bigquery.formats import writers
from tule.bigquery.jobs import Job, Outcome
from tule.bigquery.readable import Sources
from tule.bigquery.references import ModelReference
from tule.bigquery.source_files import ObjectFiles
from tule.bigquery.types import Field

_URI = re.compile(r"gs://(?P<bucket>[^/]+)/(?P<key>.+)")
# Rows of one file when the URI has a wildcard.
_SHARD_ROWS = 1_000_000
_CONTENT_TYPES = {"CSV": "text/csv", "NEWLINE_DELIMITED_JSON": "application/json"}

Batches = Iterable[pa.RecordBatch]
ExportModel = Callable[[ModelReference, str, str, str | None, Callable[[], None]], int]


@dataclass(frozen=True)
class ExtractPlan:
    """An extract job, checked."""

    table: Decorated | None
    model: ModelReference | None
    uris: tuple[str, ...]
    format: str
    compression: str
    config: Mapping[str, Any]


@dataclass
class Written:
    """What was written: the number of files of each URI, rows and bytes."""

    files: list[int] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0


class Extracts:
    """Runs extract jobs and EXPORT DATA.

    ``export_model(reference, uri, format, trial, check)`` writes a model; set by the warehouse.
    """

    def __init__(self, sources: Sources, objects: ObjectFiles, folder: Path) -> None:
        self._sources = sources
        self._objects = objects
        self._folder = folder
        self.export_model: ExportModel | None = None

    def plan(self, project: str, config: Mapping[str, Any]) -> ExtractPlan:
        """The job as it will run; raises for what is wrong before anything is read."""
        uris = tuple(
            config.get("destinationUris") or ([config["destinationUri"]] if config.get("destinationUri") else ())
        )
        if not uris:
            raise invalid("Required parameter is missing: configuration.extract.destinationUris")
        if len(uris) > 1:
            raise not_implemented("An extract job with several destinationUris", do="use one URI with a wildcard (*)")
        for uri in uris:
            if _URI.fullmatch(uri) is None or uri.count("*") > 1:
                raise invalid(f"A destination URI must be gs://BUCKET/KEY with at most one *; given: {uri!r}")
        model = config.get("sourceModel")
        if model:
            if not model.get("datasetId") or not model.get("modelId"):
                raise invalid("Required parameter is missing: configuration.extract.sourceModel")
            reference = ModelReference(str(model.get("projectId") or project), model["datasetId"], model["modelId"])
            format = str(config.get("destinationFormat") or "ML_TF_SAVED_MODEL")
            return ExtractPlan(None, reference, uris, format, "NONE", config)
        table = decorators.decorated(config.get("sourceTable"), project, "configuration.extract.sourceTable")
        format = str(config.get("destinationFormat") or "CSV").upper()
        compression = str(config.get("compression") or "NONE").upper()
        _delimiter(config)
        return ExtractPlan(table, None, uris, format, compression, config)

    def run(self, job: Job, plan: ExtractPlan) -> Outcome:
        """Write the files; each appears whole or not at all."""
        if plan.model is not None:
            if self.export_model is None:
                raise not_implemented("The extract of a model")
            trial = (plan.config.get("modelExtractOptions") or {}).get("trialId")
            count = self.export_model(plan.model, plan.uris[0], plan.format, trial, job.check)
            return Outcome({"extract": {"destinationUriFileCounts": [str(count)], "inputBytes": "0"}})
        assert plan.table is not None
        source = self._sources.of(plan.table, job.user, job.started or job.created)
        written = self.write(job, plan, source.columns, source.scan())
        counts = [str(count) for count in written.files]
        return Outcome({"extract": {"destinationUriFileCounts": counts, "inputBytes": str(written.bytes)}})

    def exported(
        self, job: Job, options: Mapping[str, Any], fields: Sequence[Field], batches: Batches
    ) -> dict[str, Any]:
        """Write the rows of a query as EXPORT DATA says; what the job's statistics tell of that."""
        plan = export_plan(options)
        if not plan.config.get("overwrite") and (found := self._objects.glob(plan.uris[0])):
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            raise invalid_query(
                f"The destination of EXPORT DATA must be empty: {plan.uris[0]} has gs://{found[0].bucket}/{found[0].key}"
                f"{more}. Next: set overwrite = true"
            )
        written = self.write(job, plan, fields, batches)
        return {"exportDataStatistics": {"fileCount": str(sum(written.files)), "rowCount": str(written.rows)}}

    def write(self, job: Job, plan: ExtractPlan, fields: Sequence[Field], batches: Batches) -> Written:
        """Write rows; each file appears whole or not at all."""
        writers.check(plan.format, plan.compression, fields)
        made = Written()

        def rows() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                job.check()
                made.bytes += batch.nbytes
                made.rows += batch.num_rows
                yield batch

        for uri in plan.uris:
            shards = _shards(rows()) if "*" in uri else iter([rows()])
            count = 0
            for number, shard in enumerate(shards):
                self._write(uri.replace("*", f"{number:012d}"), plan, fields, shard)
                count += 1
            made.files.append(count)
        return made

    def _write(self, uri: str, plan: ExtractPlan, fields: Sequence[Field], batches: Iterator[pa.RecordBatch]) -> None:
        found = _URI.fullmatch(uri)
        assert found is not None
        with tempfile.TemporaryFile(dir=self._folder) as file:
            writers.write(
                cast(BinaryIO, file),
                plan.format,
                fields,
                batches,
                compression=plan.compression,
                delimiter=_delimiter(plan.config),
                header=bool(plan.config.get("printHeader", True)),
                logical=bool(plan.config.get("useAvroLogicalTypes")),
            )
            file.seek(0)
            self._objects.put(
                found["bucket"],
                found["key"],
                iter(lambda: file.read(1 << 20), b""),
                content_type=_CONTENT_TYPES.get(plan.format, "application/octet-stream"),
            )


def _delimiter(config: Mapping[str, Any]) -> str:
    given = str(config.get("fieldDelimiter") or ",")
    delimiter = {"tab": "\t", "\\t": "\t"}.get(given, given)
    if len(delimiter) != 1:
        raise invalid(f"fieldDelimiter must be one character; given: {delimiter!r}")
    return delimiter


# Option of EXPORT DATA -> (field of configuration.extract, type).
_EXPORT_OPTIONS: dict[str, tuple[str, type]] = {
    "uri": ("destinationUri", str),
    "format": ("destinationFormat", str),
    "compression": ("compression", str),
    "header": ("printHeader", bool),
    "field_delimiter": ("fieldDelimiter", str),
    "overwrite": ("overwrite", bool),
    "use_avro_logical_types": ("useAvroLogicalTypes", bool),
}
_EXPORT_FORMATS = {"CSV": "CSV", "JSON": "NEWLINE_DELIMITED_JSON", "AVRO": "AVRO", "PARQUET": "PARQUET"}


def export_plan(options: Mapping[str, Any]) -> ExtractPlan:
    """OPTIONS of EXPORT DATA, checked."""
    config: dict[str, Any] = {}
    for name, value in options.items():
        if name not in _EXPORT_OPTIONS:
            raise not_implemented(
                f"The option {name} of EXPORT DATA", do=f"leave it out; done are {', '.join(_EXPORT_OPTIONS)}"
            )
        key, kind = _EXPORT_OPTIONS[name]
        if value is None:
            continue
        if not isinstance(value, kind):
            word = "STRING" if kind is str else "BOOL"
            raise invalid_query(f"The option {name} must be a {word}; given: {value!r}")
        config[key] = value
    for name in ("uri", "format"):
        if not config.get(_EXPORT_OPTIONS[name][0]):
            raise invalid_query(f"The option {name} must be set in EXPORT DATA")
    uri, word = config["destinationUri"], config["destinationFormat"].upper()
    if _URI.fullmatch(uri) is None or uri.count("*") != 1:
        raise invalid_query(f"Option 'uri' value must be a wild card URI (gs://BUCKET/NAME-*.csv); given: {uri!r}")
    if word not in _EXPORT_FORMATS:
        raise not_implemented(f"EXPORT DATA in the format {word}", do=f"use one of {', '.join(_EXPORT_FORMATS)}")
    for name, format in (("header", "CSV"), ("field_delimiter", "CSV"), ("use_avro_logical_types", "AVRO")):
        if word != format and _EXPORT_OPTIONS[name][0] in config:
            raise invalid_query(f"The option {name} is of the format {format} alone; given: {word}")
    _delimiter(config)
    compression = str(config.get("compression") or "NONE").upper()
    return ExtractPlan(None, None, (uri,), _EXPORT_FORMATS[word], compression, config)


def _shards(batches: Iterator[pa.RecordBatch]) -> Iterator[Iterator[pa.RecordBatch]]:
    """The rows in files of about a million each; always at least one."""
    first = next(batches, None)
    if first is None:
        yield iter(())
        return
    rest = itertools.chain([first], batches)
    for head in rest:
        yield _shard(head, rest)


def _shard(head: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield head
    rows = head.num_rows
    while rows < _SHARD_ROWS:
        batch = next(rest, None)
        if batch is None:
            return
        rows += batch.num_rows
        yield batch
