"""Routes of jobs, queries and uploads. https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tule.bigquery.api.routes import flag, number, page, served
from tule.bigquery.api.shapes import JOB, QUERY_REQUEST, check
from tule.bigquery.api.tables import row_format
from tule.bigquery.errors import invalid, not_implemented
from tule.bigquery.formats.sources import Source
from tule.bigquery.references import JobReference
from tule.bigquery.warehouse import Warehouse
from tule.wire import multipart, resumable
from tule.wire.door import Reply, Request, route
from tule.wire.receipts import Receipt, json_paths

_SCHEMA_AND_LAYOUT = (
    "timePartitioning.type",
    "timePartitioning.field",
    "timePartitioning.expirationMs",
    "rangePartitioning.*",
    "clustering.fields",
    "schemaUpdateOptions",
)
_QUERY = (
    "query",
    "useLegacySql",
    "defaultDataset.*",
    "destinationTable.*",
    "createDisposition",
    "writeDisposition",
    "queryParameters.*",
    "parameterMode",
    "useQueryCache",
    "maximumBytesBilled",
    "createSession",
    "connectionProperties.*",
    # Which fields of an external table are done is its own check (bigquery/external/options.py).
    "tableDefinitions.*",
    *_SCHEMA_AND_LAYOUT,
)
# All queries run at once, results may be of any size and are nested: these change nothing here.
_QUERY_STORED = (
    "priority",
    "allowLargeResults",
    "flattenResults",
    "preserveNulls",
    # Empty, and no key named: what some clients write for none.
    "destinationEncryptionConfiguration.",
)
_LOAD = (
    "sourceUris",
    "schema.*",
    "destinationTable.*",
    "destinationTableProperties.friendlyName",
    "destinationTableProperties.description",
    "destinationTableProperties.labels.*",
    "createDisposition",
    "writeDisposition",
    "nullMarker",
    "nullMarkers",
    "fieldDelimiter",
    "skipLeadingRows",
    "encoding",
    "quote",
    "maxBadRecords",
    "allowQuotedNewlines",
    "sourceFormat",
    "allowJaggedRows",
    "ignoreUnknownValues",
    "autodetect",
    "useAvroLogicalTypes",
    "parquetOptions.enableListInference",
    "jsonExtension",
    "hivePartitioningOptions.mode",
    "hivePartitioningOptions.sourceUriPrefix",
    "hivePartitioningOptions.requirePartitionFilter",
    "referenceFileSchemaUri",
    "fileSetSpecType",
    # Refused in the words of a load (bigquery/loads.py).
    "decimalTargetTypes",
    "projectionFields",
    *_SCHEMA_AND_LAYOUT,
)
_EXTRACT = (
    "sourceTable.*",
    "sourceModel.*",
    "destinationUri",
    "destinationUris",
    "printHeader",
    "fieldDelimiter",
    "destinationFormat",
    "compression",
    "useAvroLogicalTypes",
    "modelExtractOptions.trialId",
)
_COPY = (
    "sourceTable.*",
    "sourceTables.*",
    "destinationTable.*",
    "createDisposition",
    "writeDisposition",
    "operationType",
)


def _under(kind: str, fields: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"configuration.{kind}.{field}" for field in fields)


INSERT_EXECUTES = (
    "kind",
    "id",
    "selfLink",
    "etag",
    "status.*",
    "statistics.*",
    "user_email",
    "jobReference.*",
    "configuration.jobType",
    "configuration.dryRun",
    "configuration.jobTimeoutMs",
    *_under("query", _QUERY),
    *_under("load", _LOAD),
    *_under("extract", _EXTRACT),
    *_under("copy", _COPY),
)
INSERT_STORES = ("configuration.labels.*", *_under("query", _QUERY_STORED))
_FORMAT = ("formatOptions.useInt64Timestamp", "formatOptions.timestampOutputFormat")
_JOBS = "/projects/{project}/jobs"
_JOB = _JOBS + "/{job}"


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    """The job of an upload, which the carrier could not check: what holds for ``insert_job`` holds for it."""
    Receipt(INSERT_EXECUTES, INSERT_STORES).check("insert_job", json_paths(body))
    check(body, JOB)
    return body


def reference(request: Request) -> JobReference:
    location = request.query.get("location") or "US"
    return JobReference(request.params["project"], request.params["job"], location).checked()


class JobRoutes:
    """jobs.*, and the two ways to upload a file with a load job."""

    warehouse: Warehouse

    @served("POST", _JOBS, permission="bigquery.jobs.create", body=JOB, executes=INSERT_EXECUTES, stores=INSERT_STORES)
    def insert_job(self, request: Request) -> dict[str, Any]:
        return self.warehouse.requests.insert(request.params["project"], request.json(), request.principal)

    @served(
        "GET",
        _JOBS,
        permission="bigquery.jobs.list",
        executes=(
            "allUsers",
            "maxResults",
            "minCreationTime",
            "maxCreationTime",
            "pageToken",
            "projection",
            "stateFilter",
            "parentJobId",
        ),
    )
    def list_jobs(self, request: Request) -> dict[str, Any]:
        states = [each.upper() for each in request.query_list("stateFilter")]
        if wrong := [each for each in states if each not in ("DONE", "PENDING", "RUNNING")]:
            raise invalid(f"stateFilter must be done, pending or running; given: {wrong[0]!r}", location="stateFilter")
        found, token = self.warehouse.jobs.list(
            request.params["project"],
            user="" if flag(request, "allUsers") else request.principal.email,
            states=states,
            since=number(request, "minCreationTime"),
            until=number(request, "maxCreationTime"),
            parent=request.query.get("parentJobId"),
            full=request.query.get("projection", "minimal").lower() == "full",
            **page(request),
        )
        made: dict[str, Any] = {"kind": "bigquery#jobList", "etag": "", "jobs": list(found)}
        return made | ({"nextPageToken": token} if token else {})

    @served("GET", _JOB, permission="bigquery.jobs.get", executes=("location", "projection"))
    def get_job(self, request: Request) -> dict[str, Any]:
        return self.warehouse.jobs.get(reference(request))

    @served(
        "POST",
        _JOB + "/cancel",
        permission="bigquery.jobs.update",
        executes=("location", "projection", "jobReference.*"),
    )
    def cancel_job(self, request: Request) -> dict[str, Any]:
        job = self.warehouse.jobs.cancel(reference(request))
        return {"kind": "bigquery#jobCancelResponse", "job": job}

    @served("DELETE", _JOB + "/delete", permission="bigquery.jobs.delete", executes=("location",))
    def delete_job(self, request: Request) -> Reply:
        self.warehouse.requests.delete(reference(request))
        return Reply(204)

    # -- queries

    @served(
        "POST",
        "/projects/{project}/queries",
        permission="bigquery.jobs.create",
        body=QUERY_REQUEST,
        executes=(
            "query",
            "kind",
            "maxResults",
            "defaultDataset.*",
            "timeoutMs",
            "dryRun",
            "useQueryCache",
            "useLegacySql",
            "parameterMode",
            "queryParameters.*",
            "location",
            "maximumBytesBilled",
            "requestId",
            "createSession",
            "connectionProperties.*",
            "jobTimeoutMs",
            "jobCreationMode",
            "queryResultsFormat",
            "arrowSerializationOptions.bufferCompression",
            "arrowSerializationOptions.picosTimestampPrecision",
            *_FORMAT,
        ),
        stores=("labels.*", "preserveNulls"),
    )
    def query(self, request: Request) -> dict[str, Any]:
        return self.warehouse.requests.query(
            request.params["project"], request.json(), request.principal, request.answer_after
        )

    @served(
        "GET",
        "/projects/{project}/queries/{job}",
        permission="bigquery.jobs.get",
        executes=("location", "maxResults", "pageToken", "startIndex", "timeoutMs", *_FORMAT),
    )
    def get_query_results(self, request: Request) -> dict[str, Any]:
        return self.warehouse.answers.results(
            reference(request),
            row_format(request),
            count=number(request, "maxResults"),
            start=number(request, "startIndex"),
            page_token=request.query.get("pageToken", ""),
            timeout_ms=number(request, "timeoutMs", 10_000) or 0,
            # This client takes rows in the answer that it waits with, and then asks for nothing more.
            eager="gl-python" in request.headers.get("x-goog-api-client", ""),
        )

    # -- uploads

    @route(
        "POST",
        "/upload/bigquery/v2/projects/{project}/jobs",
        permission="bigquery.jobs.create",
        executes=("name",),
        streams=True,
    )
    @route(
        "POST",
        "/resumable/upload/bigquery/v2/projects/{project}/jobs",
        permission="bigquery.jobs.create",
        executes=("name",),
        streams=True,
    )
    def upload(self, request: Request) -> dict[str, Any] | Reply:
        kind = request.query.get("uploadType", "resumable" if request.path.startswith("/resumable") else "")
        project, uploads = request.params["project"], self.warehouse.uploads
        if kind == "multipart":
            body, media = multipart.related(request.headers.get("content-type", ""), request.chunks())
            return self._load(project, _checked(body), uploads.store(media.chunks), request)
        if kind == "resumable":
            upload = uploads.begin({"job": _checked(request.json()), "user": request.principal.email})
            location = f"{request.base_url}{request.path}?uploadType=resumable&upload_id={upload}"
            return Reply(200, {}, {"Location": location, "X-GUploader-UploadID": upload})
        raise not_implemented(f"uploadType={kind or 'none'}", do="use uploadType=multipart or uploadType=resumable")

    @route(
        "PUT",
        "/upload/bigquery/v2/projects/{project}/jobs",
        permission="bigquery.jobs.create",
        streams=True,
    )
    @route(
        "PUT",
        "/resumable/upload/bigquery/v2/projects/{project}/jobs",
        permission="bigquery.jobs.create",
        streams=True,
    )
    def upload_chunk(self, request: Request) -> dict[str, Any] | Reply:
        uploads, upload = self.warehouse.uploads, request.query.get("upload_id", "")
        if uploads.body(upload)["user"] != request.principal.email:
            raise invalid("An upload belongs to the caller who began it")
        progress = resumable.receive(uploads, upload, request)
        if not progress.complete:
            return resumable.incomplete(progress)
        body, path = uploads.take(upload)
        return self._load(request.params["project"], body["job"], path, request)

    @route(
        "DELETE",
        "/upload/bigquery/v2/projects/{project}/jobs",
        permission="bigquery.jobs.create",
        streams=True,
    )
    def abandon_upload(self, request: Request) -> Reply:
        self.warehouse.uploads.abandon(request.query.get("upload_id", ""))
        return Reply(499)

    def _load(self, project: str, body: dict[str, Any], path: Path, request: Request) -> dict[str, Any]:
        try:
            return self.warehouse.requests.insert(project, body, request.principal, upload=Source("upload", path))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
