"""A canonical code as an HTTP and a gRPC status, and an error as ``google.rpc.Status`` in JSON.

Unknown exceptions become INTERNAL with an incident id; the trace goes to the server's log, never to the client.
"""

from __future__ import annotations

import logging
import secrets
from typing import Any

from tule.kernel.errors import NUMBERS, Internal, TuleError

_LOG = logging.getLogger(__name__)

HTTP: dict[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "DATA_LOSS": 500,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


def known(error: BaseException) -> TuleError:
    """The error itself when it is ours; otherwise INTERNAL, its trace logged under an incident id."""
    if isinstance(error, TuleError):
        return error
    incident = secrets.token_hex(6)
    _LOG.error("incident %s", incident, exc_info=error)
    return Internal(
        "Tule met an error of its own", given=f"incident {incident}", do="look for the incident in `tule logs`"
    )


def http_status(error: TuleError) -> int:
    return HTTP.get(error.code, 500)


def number(code: str) -> int:
    """The number of a canonical code in ``google.rpc.Code``."""
    return NUMBERS.get(code, NUMBERS["UNKNOWN"])


def status_message(error: TuleError, *, longest: int) -> Any:
    """The error as a ``google.rpc.Status`` message, with at most ``longest`` bytes of text."""
    from google.protobuf import json_format
    from google.rpc import error_details_pb2, status_pb2

    assert error_details_pb2  # its import makes the types of details known
    text = error.message
    if len(text.encode()) > longest:
        text = text.encode()[: longest - 3].decode(errors="ignore") + "..."
    made = {"code": number(error.code), "message": text, "details": error.details}
    return json_format.ParseDict(made, status_pb2.Status())


def body(error: TuleError, *, http: int | None = None) -> dict[str, Any]:
    """The JSON error of gapic REST: ``{"error": {"code", "message", "status", "details"}}``."""
    inner: dict[str, Any] = {"code": http or http_status(error), "message": error.message, "status": error.code}
    if error.details:
        inner["details"] = error.details
    return {"error": inner}


def discovery_body(error: TuleError, *, http: int | None = None) -> dict[str, Any]:
    """The JSON error of BigQuery and Cloud Storage, which adds a list with reasons."""
    made = body(error, http=http)
    entry: dict[str, Any] = {
        "message": error.message,
        "domain": "global",
        "reason": error.reason or REASONS[error.code],
    }
    if error.location:
        entry["location"] = error.location
    made["error"]["errors"] = [entry]
    return made


REASONS: dict[str, str] = {
    "INVALID_ARGUMENT": "invalid",
    "FAILED_PRECONDITION": "conditionNotMet",
    "OUT_OF_RANGE": "requestedRangeNotSatisfiable",
    "UNAUTHENTICATED": "authError",
    "PERMISSION_DENIED": "accessDenied",
    "NOT_FOUND": "notFound",
    "ABORTED": "conflict",
    "ALREADY_EXISTS": "duplicate",
    "RESOURCE_EXHAUSTED": "resourcesExceeded",
    "CANCELLED": "stopped",
    "DATA_LOSS": "dataLoss",
    "UNKNOWN": "internalError",
    "INTERNAL": "internalError",
    "UNIMPLEMENTED": "notImplemented",
    "UNAVAILABLE": "backendError",
    "DEADLINE_EXCEEDED": "timeout",
}
