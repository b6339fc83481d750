"""One small error tree on Google's canonical codes (https://google.aip.dev/193).

Behaviour raises these; ``tule.wire.errors`` turns a code into an HTTP or gRPC status at the edge. A message has up to
three parts: what must hold, what was given, what to do next.

>>> print(NotFound("The table must exist", given="sales.orders", do="list the tables of sales"))
The table must exist; given: sales.orders. Next: list the tables of sales
"""

from __future__ import annotations

from typing import Any, ClassVar


class TuleError(Exception):
    """Base of every error that a caller may see.

    ``reason`` is the short product-specific word some APIs add (BigQuery's ``invalidQuery``), ``details`` are
    JSON objects with an ``@type`` (``google.rpc.BadRequest`` and so on).
    """

    code: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        given: object = None,
        do: str | None = None,
        reason: str | None = None,
        location: str | None = None,
        details: list[dict[str, Any]] | None = None,
    ) -> None:
        text = message
        if given is not None:
            text = f"{text}; given: {given}"
        if do:
            text = f"{text}. Next: {do}"
        super().__init__(text)
        self.message = text
        self.reason = reason
        self.location = location
        self.details = details or []


class InvalidArgument(TuleError):
    """The request is wrong whatever the state of the system."""

    code = "INVALID_ARGUMENT"


class OutOfRange(InvalidArgument):
    """The request goes past a valid end (a byte range, a page)."""

    code = "OUT_OF_RANGE"


class FailedPrecondition(TuleError):
    """The request is right but the system's state forbids it; the caller must change the state first."""

    code = "FAILED_PRECONDITION"


class NotFound(TuleError):
    """A named resource does not exist."""

    code = "NOT_FOUND"


class AlreadyExists(TuleError):
    """A resource of this name exists."""

    code = "ALREADY_EXISTS"


class Unauthenticated(TuleError):
    """No credential, or one that is not ours."""

    code = "UNAUTHENTICATED"


class PermissionDenied(TuleError):
    """A known principal without the permission."""

    code = "PERMISSION_DENIED"


class ResourceExhausted(TuleError):
    """A limit was reached: size, memory, time, quota."""

    code = "RESOURCE_EXHAUSTED"


class Aborted(TuleError):
    """A concurrent change won (a stale etag), or the work was cut off by a restart."""

    code = "ABORTED"


class Cancelled(TuleError):
    """The caller cancelled the work."""

    code = "CANCELLED"


class DeadlineExceeded(TuleError):
    """The work did not end within its time."""

    code = "DEADLINE_EXCEEDED"


class Unimplemented(TuleError):
    """A method, field, option or statement that Tule does not do, refused by name."""

    code = "UNIMPLEMENTED"


class Unavailable(TuleError):
    """A part that is needed is not running now; the same call may succeed later."""

    code = "UNAVAILABLE"


class DataLoss(TuleError):
    """Stored bytes do not match their checksum."""

    code = "DATA_LOSS"


class Internal(TuleError):
    """A broken promise of Tule's own: a bug."""

    code = "INTERNAL"


# The numbers of google.rpc.Code.
NUMBERS: dict[str, int] = {
    "OK": 0,
    "CANCELLED": 1,
    "UNKNOWN": 2,
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "ABORTED": 10,
    "OUT_OF_RANGE": 11,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "DATA_LOSS": 15,
    "UNAUTHENTICATED": 16,
}

CODES: dict[str, type[TuleError]] = {
    kind.code: kind
    for kind in (
        InvalidArgument,
        OutOfRange,
        FailedPrecondition,
        NotFound,
        AlreadyExists,
        Unauthenticated,
        PermissionDenied,
        ResourceExhausted,
        Aborted,
        Cancelled,
        DeadlineExceeded,
        Unimplemented,
        Unavailable,
        DataLoss,
        Internal,
    )
}
