"""Bad records of a load: counted, skipped up to ``maxBadRecords``, and told with file, row and column."""

from __future__ import annotations

from typing import Any

from tule.bigquery.errors import invalid
from tule.kernel.errors import InvalidArgument

_KEPT = 5


class TooManyBadRecords(InvalidArgument):
    """More bad records than ``maxBadRecords`` allows; ``entries`` are the ErrorProtos of the first ones."""

    def __init__(self, message: str, entries: list[dict[str, Any]]) -> None:
        super().__init__(message, reason="invalid")
        self.entries = entries


class BadRecords:
    """What one load met. ``allowed`` bad records are left out; the next one ends the load."""

    def __init__(self, format: str, allowed: int = 0) -> None:
        if allowed < 0:
            raise invalid(f"maxBadRecords must not be negative; given: {allowed}")
        self._format = format
        self._allowed = allowed
        self.count = 0
        self.entries: list[dict[str, Any]] = []

    def add(self, source: str, row: int | None, message: str, column: str = "") -> None:
        """Count a bad record; raises TooManyBadRecords beyond what is allowed."""
        self.count += 1
        place = f"row {row}" if row is not None else "an unknown row"
        if column:
            place += f", column {column}"
        if len(self.entries) < _KEPT:
            self.entries.append(
                {
                    "reason": "invalid",
                    "location": source,
                    "message": f"Error while reading data, error message: {message}; {place}; file: {source}",
                }
            )
        if self.count > self._allowed:
            first = self.entries[0]["message"].removeprefix("Error while reading data, error message: ")
            raise TooManyBadRecords(
                f"Error while reading data, error message: {self._format} table encountered too many errors, giving "
                f"up. Rows: {row or 0}; errors: {self.count}; max bad: {self._allowed}. First error: {first}",
                self.entries,
            )
