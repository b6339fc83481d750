"""INFORMATION_SCHEMA.JOBS and SESSIONS. https://cloud.google.com/bigquery/docs/information-schema-jobs"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tule.bigquery.types import Field
from tule.kernel.records import Record

View = tuple[list[Field], list[dict[str, Any]]]
_IDLE = timedelta(hours=24)


def _text(*names: str) -> list[Field]:
    return [Field(name, "STRING") for name in names]


_TABLE = tuple(_text("project_id", "dataset_id", "table_id"))
_JOB = [
    Field("creation_time", "TIMESTAMP"),
    *_text("project_id", "user_email", "job_id", "job_type", "statement_type", "priority"),
    Field("start_time", "TIMESTAMP"),
    Field("end_time", "TIMESTAMP"),
    *_text("query", "state", "reservation_id"),
    Field("total_bytes_processed", "INT64"),
    Field("total_bytes_billed", "INT64"),
    Field("total_slot_ms", "INT64"),
    Field("error_result", "STRUCT", "NULLABLE", tuple(_text("reason", "location", "debug_info", "message"))),
    Field("cache_hit", "BOOL"),
    Field("destination_table", "STRUCT", "NULLABLE", _TABLE),
    Field("referenced_tables", "STRUCT", "REPEATED", _TABLE),
    Field("labels", "STRUCT", "REPEATED", tuple(_text("key", "value"))),
    *_text("parent_job_id", "transaction_id"),
    Field("session_info", "STRUCT", "NULLABLE", tuple(_text("session_id"))),
    Field(
        "dml_statistics", "STRUCT", "NULLABLE",
        (Field("inserted_row_count", "INT64"), Field("deleted_row_count", "INT64"), Field("updated_row_count", "INT64")),
    ),
]  # fmt: skip


def jobs(records: Sequence[Record]) -> View:
    """One row a job, the children of scripts among them."""
    return list(_JOB), [_job(record.body) for record in records]


def _job(body: Mapping[str, Any]) -> dict[str, Any]:
    statistics, configuration, status = body["statistics"], body["configuration"], body["status"]
    kind = configuration["jobType"]
    query, of_query = statistics.get("query", {}), configuration.get("query", {})
    error = status.get("errorResult")
    dml = query.get("dmlStats")
    destination = configuration.get(kind.lower(), {}).get("destinationTable")
    session = statistics.get("sessionInfo")
    return {
        "creation_time": _moment(statistics.get("creationTime")),
        "project_id": body["jobReference"]["projectId"],
        "user_email": body["user_email"],
        "job_id": body["jobReference"]["jobId"],
        "job_type": kind,
        "statement_type": query.get("statementType"),
        "priority": of_query.get("priority"),
        "start_time": _moment(statistics.get("startTime")),
        "end_time": _moment(statistics.get("endTime")),
        "query": of_query.get("query"),
        "state": status["state"],
        "total_bytes_processed": _number(statistics.get("totalBytesProcessed") or query.get("totalBytesProcessed")),
        "total_bytes_billed": _number(query.get("totalBytesBilled")),
        "error_result": None if error is None else {
            "reason": error.get("reason"), "location": error.get("location"), "message": error.get("message"),
        },
        "cache_hit": query.get("cacheHit"),
        "destination_table": _table(destination),
        "referenced_tables": [_table(each) for each in query.get("referencedTables", [])],
        "labels": [{"key": key, "value": value} for key, value in (configuration.get("labels") or {}).items()],
        "parent_job_id": statistics.get("parentJobId"),
        "transaction_id": statistics.get("transactionInfo", {}).get("transactionId"),
        "session_info": None if session is None else {"session_id": session["sessionId"]},
        "dml_statistics": None if dml is None else {
            name: _number(dml.get(key)) for name, key in (
                ("inserted_row_count", "insertedRowCount"), ("deleted_row_count", "deletedRowCount"),
                ("updated_row_count", "updatedRowCount"),
            )
        },
    }  # fmt: skip


def _table(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if given is None:
        return None
    return {"project_id": given["projectId"], "dataset_id": given["datasetId"], "table_id": given["tableId"]}


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromtimestamp(int(text) / 1000, UTC)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def sessions(records: Sequence[Record]) -> View:
    """One row for each session that has not ended."""
    fields = [
        Field("creation_time", "TIMESTAMP"),
        Field("expiration_time", "TIMESTAMP"),
        Field("is_active", "BOOL"),
        Field("last_modified_time", "TIMESTAMP"),
        *_text("project_id", "session_id", "user_email"),
    ]
    rows = [
        {
            "creation_time": record.create_time,
            "expiration_time": datetime.fromisoformat(record.body["used"]) + _IDLE,
            "is_active": True,
            "last_modified_time": datetime.fromisoformat(record.body["used"]),
            "project_id": record.name.split("/")[1],
            "session_id": record.name.rsplit("/", 1)[1],
            "user_email": record.body["user"],
        }
        for record in records
    ]
    return fields, rows
