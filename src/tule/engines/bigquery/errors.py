"""The service's errors as Tule's, in its own wording without the names of physical tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError

from tule.kernel.errors import (
    Aborted,
    Cancelled,
    FailedPrecondition,
    InvalidArgument,
    ResourceExhausted,
    TuleError,
    Unavailable,
    Unimplemented,
)

# Project, dataset and table as the service prints them, and the table alone.
_PHYSICAL = re.compile(r"`?(?:[\w.-]+[:.])?`?\.?`?\w+_p_[0-9a-f]{20}`?\.`?\w+`?|\bt(?:mp)?_[0-9a-f]{2,}\b")
_STOPPED = ("stopped", "cancelled", "jobCancelled")


@contextmanager
def translated() -> Iterator[None]:
    """The block's errors of the client library as Tule's."""
    try:
        yield
    except exceptions.GoogleAPICallError as error:
        raise translation(error) from error
    except (GoogleAuthError, exceptions.RetryError, OSError) as error:
        raise Unavailable(
            "BigQuery must be reached", given=str(error)[:300], do="see the credentials and TULE_SQL"
        ) from error


def translation(error: Any) -> TuleError:
    first: dict[str, Any] = next(iter(error.errors or ()), {})
    reason = str(first.get("reason") or "")
    message = _PHYSICAL.sub("the table", str(first.get("message") or error.message or error)).split("\n\n")[0]
    if reason in _STOPPED or isinstance(error, exceptions.Cancelled):
        return Cancelled(f"Job execution was cancelled: {message}", reason="stopped")
    if "aborted due to concurrent update" in message or isinstance(error, exceptions.Aborted):
        return Aborted(message, reason="invalidQuery")
    if reason == "notImplemented":
        return Unimplemented(message, reason=reason, location="query")
    if reason in ("resourcesExceeded", "quotaExceeded", "rateLimitExceeded"):
        return ResourceExhausted(message, reason=reason)
    if isinstance(error, exceptions.Forbidden | exceptions.Unauthorized):
        return FailedPrecondition(
            "BigQuery must allow what Tule does there", given=message, do="see the account's roles"
        )
    if isinstance(error, exceptions.ServerError):
        return Unavailable("BigQuery must answer", given=message, do="try again")
    return InvalidArgument(message, reason="invalidQuery", location="query")


__all__ = ["translated", "translation"]
