"""Mistakes in data, options and arguments, found by learning: told as BigQuery tells those of a query."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tule.kernel.errors import FailedPrecondition, InvalidArgument, ResourceExhausted


def wrong(message: str, *, given: object = None, do: str | None = None) -> InvalidArgument:
    """A mistake in the text of a query."""
    return InvalidArgument(message, given=given, do=do, reason="invalidQuery", location="query")


@contextmanager
def users_errors() -> Iterator[None]:
    """What is wrong with data or options as BigQuery words such errors: the user's, never to be tried again."""
    try:
        yield
    except (InvalidArgument, FailedPrecondition, ResourceExhausted) as error:
        if error.reason is None:
            error.reason = "resourcesExceeded" if isinstance(error, ResourceExhausted) else "invalidQuery"
        error.location = "query"
        raise
