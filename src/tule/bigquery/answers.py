"""What is answered of query jobs: their state, and their rows by pages.

https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/getQueryResults
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tule.bigquery import paging
from tule.bigquery.errors import invalid, not_found, not_implemented, raised
from tule.bigquery.jobs import Job, Jobs
from tule.bigquery.read_sessions import picked, wire_schema
from tule.bigquery.readable import Readable, Sources, of_rows
from tule.bigquery.record_batches import serialized
from tule.bigquery.references import JobReference, TableReference
from tule.bigquery.results import Kept, Results, Rows, anonymous_table
from tule.bigquery.rows import RowFormat, page

LONGEST_WAIT_MS = 200_000
# Rows that the first answer about a query carries; more go by pages, or by the Storage Read API.
EAGER_ROWS = 10_000
_EAGER_CELLS = 100_000
_QUERY, _RESULTS = "bigquery#queryResponse", "bigquery#getQueryResultsResponse"
_CODECS = {"COMPRESSION_UNSPECIFIED": None, "LZ4_FRAME": "lz4", "ZSTD": "zstd"}


@dataclass(frozen=True)
class ArrowFormat:
    """Rows of the first answer as one Arrow batch."""

    codec: str | None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> ArrowFormat | None:
        """From a QueryRequest; None for rows in JSON."""
        word = body.get("queryResultsFormat") or "QUERY_RESULTS_FORMAT_UNSPECIFIED"
        if word in ("QUERY_RESULTS_FORMAT_UNSPECIFIED", "STRUCT_ENCODING"):
            return None
        if word != "ARROW":
            raise invalid(f"queryResultsFormat must be STRUCT_ENCODING or ARROW; given: {word!r}")
        options = body.get("arrowSerializationOptions") or {}
        codec = options.get("bufferCompression") or "COMPRESSION_UNSPECIFIED"
        if codec not in _CODECS:
            raise invalid(f"bufferCompression must be one of {', '.join(_CODECS)}; given: {codec!r}")
        precision = options.get("picosTimestampPrecision") or "TIMESTAMP_PRECISION_UNSPECIFIED"
        if precision not in ("TIMESTAMP_PRECISION_UNSPECIFIED", "TIMESTAMP_PRECISION_MICROS"):
            raise not_implemented(f"picosTimestampPrecision {precision}", do="use TIMESTAMP_PRECISION_MICROS")
        return cls(_CODECS[codec])

    def page(self, source: Readable, count: int | None) -> dict[str, Any]:
        """At most ``count`` rows from the first."""
        schema = wire_schema(source.fields)
        most = min(EAGER_ROWS if count is None else count, source.rows)
        batches = [picked(batch, schema) for batch in source.scan(0, most)]
        table = pa.Table.from_batches(batches, schema).combine_chunks()
        made: dict[str, Any] = {
            "arrowSchema": {"serializedSchema": _text(schema.serialize().to_pybytes())},
            "pageRowCount": str(table.num_rows),
        }
        if table.num_rows:
            batch = serialized(table.to_batches()[0], self.codec)
            made["arrowRecordBatch"] = {"serializedRecordBatch": _text(batch), "rowCount": str(table.num_rows)}
        if table.num_rows < source.rows:
            made["pageToken"] = paging.token(source.owner, table.num_rows)
        return made


def _text(data: bytes | pa.Buffer) -> str:
    return base64.b64encode(data).decode()


@dataclass(frozen=True)
class _Query:
    """A query job that may be answered: its record, and where its rows are (None for a statement that has none)."""

    reference: JobReference
    body: Mapping[str, Any]
    result: Mapping[str, Any] | Kept | None
    etag: str

    @property
    def named(self) -> bool:
        """Whether the result is in a table that the caller named."""
        return isinstance(self.result, Mapping) and "table" in self.result


class Answers:
    """Answers about query jobs."""

    def __init__(self, jobs: Jobs, results: Results, sources: Sources) -> None:
        self._jobs = jobs
        self._results = results
        self._sources = sources

    def first(
        self, job: Job | JobReference, format: RowFormat, arrow: ArrowFormat | None, count: int | None
    ) -> dict[str, Any]:
        """jobs.query: the state of a job and its first rows, all of them where they are few."""
        query = self._query(job)
        made = self._state(query, _QUERY)
        made["queryId"] = query.reference.job
        if not made["jobComplete"] or not query.result:
            return made
        source = self._told(query, made)
        if arrow is not None:
            return made | arrow.page(source, count)
        if source.rows > EAGER_ROWS:
            count = min(EAGER_ROWS if count is None else count, EAGER_ROWS)
        return made | _rows(source, format, 0, count)

    def results(
        self,
        reference: JobReference,
        format: RowFormat,
        *,
        count: int | None,
        start: int | None,
        page_token: str,
        timeout_ms: int,
        eager: bool,
    ) -> dict[str, Any]:
        """jobs.getQueryResults: wait, then a page of rows. ``eager`` callers get small results though they ask for none,
        but for a table that they named: BigQuery DataFrames takes a result that it has rows of for no table."""
        found = self._jobs.look(reference)
        if isinstance(found, Job):
            found.wait(min(timeout_ms, LONGEST_WAIT_MS) / 1000)
        query = self._query(reference)
        made = self._state(query, _RESULTS)
        if not made["jobComplete"] or not query.result:
            return made
        source = self._told(query, made)
        if count == 0 and eager and not page_token and not start and not query.named:
            if source.rows > EAGER_ROWS or source.rows * len(source.fields) > _EAGER_CELLS:
                return made
            # This client reads integer microseconds in this answer whatever it asked for.
            return made | {"rows": []} | _rows(source, RowFormat(True), 0, None)
        position = paging.position(source.owner, page_token) if page_token else start or 0
        return made | _rows(source, format, position, count)

    def rows_of(self, reference: JobReference) -> Rows:
        """The result of a query job, for the default stream of the Storage Read API."""
        query = self._query(reference)
        if not query.result:
            raise invalid(f"Job {reference} has no result to read")
        if query.named:
            raise invalid("This API does not support explicitly-specified destination tables")
        return self._kept(query)

    def _query(self, job: Job | JobReference) -> _Query:
        """Raises the error of a job that failed, NotFound for none, InvalidArgument for one of another kind."""
        found = self._jobs.look(job) if isinstance(job, JobReference) else job
        if isinstance(found, Job):
            if found.failure is not None:
                raise found.failure
            reference, body, private, etag = found.reference, found.told(), found.private, found.etag
        else:
            assert isinstance(job, JobReference)
            reference, body, private, etag = job, found.body, found.body.get("_tule", {}), found.etag
        if body["configuration"]["jobType"] != "QUERY":
            raise invalid(f"Job {reference} is not a query job: it has no results")
        if (error := body["status"].get("errorResult")) is not None:
            raise raised(error)
        return _Query(reference, body, private.get("result"), etag or reference.job)

    @staticmethod
    def _state(query: _Query, kind: str) -> dict[str, Any]:
        """What is told of a job beside its rows."""
        statistics = query.body["statistics"]
        made: dict[str, Any] = {
            "kind": kind,
            "jobReference": query.body["jobReference"],
            "location": query.reference.location,
            "jobComplete": query.body["status"]["state"] == "DONE",
        }
        if not made["jobComplete"]:
            return made
        about = statistics.get("query", {})
        made |= {
            "cacheHit": bool(about.get("cacheHit", False)),
            "totalBytesProcessed": statistics.get("totalBytesProcessed", "0"),
            "totalBytesBilled": about.get("totalBytesBilled", "0"),
            "creationTime": statistics["creationTime"],
            "startTime": statistics.get("startTime", statistics["creationTime"]),
            "endTime": statistics.get("endTime", statistics["creationTime"]),
        }
        if kind == _RESULTS:
            made["etag"] = query.etag
        made |= {key: about[key] for key in ("numDmlAffectedRows", "dmlStats") if key in about}
        if "sessionInfo" in statistics:
            made["sessionInfo"] = statistics["sessionInfo"]
        return made

    def _told(self, query: _Query, made: dict[str, Any]) -> Readable:
        """The rows of a query; their columns and number go into the answer."""
        result = query.result
        if isinstance(result, Mapping) and query.named:
            source = self._sources.open(TableReference(*result["table"].values()))
        else:
            source = of_rows(self._kept(query), query.reference.name)
        made["schema"] = query.body["statistics"]["query"]["schema"]
        made["totalRows"] = str(source.rows)
        return source

    def _kept(self, query: _Query) -> Rows:
        assert query.result is not None
        rows = self._results.open(query.result)
        if rows is None:
            raise not_found("Table", anonymous_table(query.reference, query.body["user_email"]))
        return rows


def _rows(source: Readable, format: RowFormat, start: int, count: int | None) -> dict[str, Any]:
    """A page of rows, and the token of the next one."""
    found = page(source, format, start=start, count=count)
    made: dict[str, Any] = {"rows": found.rows} if found.rows else {}
    return made | ({"pageToken": found.token} if found.token else {})
