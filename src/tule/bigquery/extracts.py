"""Extract jobs: the rows of a table, or a model, into files of Cloud Storage.

https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationExtract
"""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from tule.bigquery.errors import invalid, not_implemented
from tule.bigquery.formats import writers
from tule.bigquery.jobs import Job, Outcome
from tule.bigquery.loads import ObjectFiles
from tule.bigquery.readable import Sources
from tule.bigquery.references import ModelReference, TableReference

_URI = re.compile(r"gs://(?P<bucket>[^/]+)/(?P<key>.+)")
# Rows of one file when the URI has a wildcard.
_SHARD_ROWS = 1_000_000
_CONTENT_TYPES = {"CSV": "text/csv", "NEWLINE_DELIMITED_JSON": "application/json"}

ExportModel = Callable[[ModelReference, str, str, Callable[[], None]], int]


@dataclass(frozen=True)
class ExtractPlan:
    """An extract job, checked."""

    table: TableReference | None
    model: ModelReference | None
    uris: tuple[str, ...]
    format: str
    compression: str
    config: Mapping[str, Any]


class Extracts:
    """Runs extract jobs. ``export_model(reference, uri, format, check)`` writes a model; set by the warehouse."""

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
        table = TableReference.read(config.get("sourceTable"), project, "configuration.extract.sourceTable")
        format = str(config.get("destinationFormat") or "CSV").upper()
        compression = str(config.get("compression") or "NONE").upper()
        return ExtractPlan(table, None, uris, format, compression, config)

    def run(self, job: Job, plan: ExtractPlan) -> Outcome:
        """Write the files; each appears whole or not at all."""
        if plan.model is not None:
            if self.export_model is None:
                raise not_implemented("The extract of a model")
            count = self.export_model(plan.model, plan.uris[0], plan.format, job.check)
            return Outcome({"extract": {"destinationUriFileCounts": [str(count)], "inputBytes": "0"}})
        assert plan.table is not None
        source = self._sources.open(plan.table)
        fields = source.columns
        writers.check(plan.format, plan.compression, fields)
        size = 0

        def rows() -> Iterator[pa.RecordBatch]:
            nonlocal size
            for batch in source.scan():
                job.check()
                size += batch.nbytes
                yield batch

        counts = []
        for uri in plan.uris:
            shards = _shards(rows()) if "*" in uri else iter([rows()])
            count = 0
            for number, shard in enumerate(shards):
                self._write(uri.replace("*", f"{number:012d}"), plan, fields, shard)
                count += 1
            counts.append(str(count))
        return Outcome({"extract": {"destinationUriFileCounts": counts, "inputBytes": str(size)}})

    def _write(self, uri: str, plan: ExtractPlan, fields: Any, batches: Iterator[pa.RecordBatch]) -> None:
        found = _URI.fullmatch(uri)
        assert found is not None
        delimiter = str(plan.config.get("fieldDelimiter") or ",")
        delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
        if len(delimiter) != 1:
            raise invalid(f"fieldDelimiter must be one character; given: {delimiter!r}")
        with tempfile.TemporaryFile(dir=self._folder) as file:
            writers.write(
                cast(BinaryIO, file),
                plan.format,
                fields,
                batches,
                compression=plan.compression,
                delimiter=delimiter,
                header=bool(plan.config.get("printHeader", True)),
            )
            file.seek(0)
            self._objects.put(
                found["bucket"],
                found["key"],
                iter(lambda: file.read(1 << 20), b""),
                content_type=_CONTENT_TYPES.get(plan.format, "application/octet-stream"),
            )


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
