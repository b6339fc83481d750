"""Errors as BigQuery words and codes them: users match on the words, clients retry by the reasons.

A user's mistake must never carry a reason that clients retry (``backendError``, ``internalError``, ``rateLimitExceeded``):
they would repeat it for ten minutes. https://cloud.google.com/bigquery/docs/error-messages
"""

from __future__ import annotations

from typing import Any

from tule.kernel.errors import (
    CODES,
    Aborted,
    AlreadyExists,
    Cancelled,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    TuleError,
    Unimplemented,
)

# Canonical code -> the reason of an error that names none itself.
REASONS: dict[str, str] = {
    "INVALID_ARGUMENT": "invalid",
    "OUT_OF_RANGE": "invalid",
    "FAILED_PRECONDITION": "invalid",
    "NOT_FOUND": "notFound",
    "ALREADY_EXISTS": "duplicate",
    "UNAUTHENTICATED": "authError",
    "PERMISSION_DENIED": "accessDenied",
    "RESOURCE_EXHAUSTED": "resourcesExceeded",
    "ABORTED": "aborted",
    "CANCELLED": "stopped",
    "DEADLINE_EXCEEDED": "timeout",
    "UNIMPLEMENTED": "notImplemented",
    "UNAVAILABLE": "backendError",
    "DATA_LOSS": "internalError",
    "INTERNAL": "internalError",
}

# Reason -> HTTP status, where it is not that of the canonical code.
STATUS: dict[str, int] = {
    "invalidQuery": 400,
    "resourcesExceeded": 400,
    "uploadTooLarge": 413,
}

# Reason -> the canonical code with which a stored job error is raised again (see ``raised``).
_CODE_OF_REASON: dict[str, str] = {
    "notFound": "NOT_FOUND",
    "duplicate": "ALREADY_EXISTS",
    "accessDenied": "PERMISSION_DENIED",
    "notImplemented": "UNIMPLEMENTED",
    "internalError": "INTERNAL",
    "jobInternalError": "ABORTED",
    "stopped": "CANCELLED",
}


class PreconditionFailed(Aborted):
    """The etag in ``If-Match`` is not the resource's."""


def invalid(message: str, *, location: str | None = None, **more: Any) -> InvalidArgument:
    """A value that cannot be."""
    return InvalidArgument(message, reason="invalid", location=location, **more)


def invalid_query(message: str, *, location: str | None = "query") -> InvalidArgument:
    """A statement that cannot be run as written."""
    return InvalidArgument(message, reason="invalidQuery", location=location)


def not_found(kind: str, name: object, *, location: str | None = None) -> NotFound:
    """``Not found: Dataset p:d``; for tables with the location in which they were looked for."""
    where = f" was not found in location {location}" if location else ""
    return NotFound(f"Not found: {kind} {name}{where}", reason="notFound")


def already_exists(kind: str, name: object) -> AlreadyExists:
    return AlreadyExists(f"Already Exists: {kind} {name}", reason="duplicate")


def in_use(name: object) -> InvalidArgument:
    """A dataset with tables in it cannot be deleted without ``deleteContents``."""
    return InvalidArgument(f"Dataset {name} is still in use", reason="resourceInUse")


def not_implemented(what: str, *, do: str | None = None) -> Unimplemented:
    """A thing that is refused by name."""
    return Unimplemented(f"{what} is not executed by Tule", do=do, reason="notImplemented")


def stale() -> PreconditionFailed:
    return PreconditionFailed("Precondition Failed", do="read the resource again and retry", reason="conditionNotMet")


def reason_of(error: TuleError) -> str:
    return error.reason or REASONS.get(error.code, "invalid")


def proto(error: TuleError) -> dict[str, Any]:
    """An ErrorProto: an entry of ``status.errors`` or ``status.errorResult``."""
    body = {"reason": reason_of(error), "message": error.message}
    if error.location:
        body["location"] = error.location
    return body


def raised(body: dict[str, Any]) -> TuleError:
    """The error that a stored ErrorProto tells of: what getQueryResults answers for a job that failed."""
    reason = body.get("reason", "invalid")
    kind = CODES.get(_CODE_OF_REASON.get(reason, "INVALID_ARGUMENT"), InvalidArgument)
    return kind(body.get("message", "the job failed"), reason=reason, location=body.get("location"))


__all__ = [
    "STATUS",
    "Cancelled",
    "FailedPrecondition",
    "Internal",
    "PreconditionFailed",
    "already_exists",
    "in_use",
    "invalid",
    "invalid_query",
    "not_found",
    "not_implemented",
    "proto",
    "raised",
    "reason_of",
    "stale",
]
