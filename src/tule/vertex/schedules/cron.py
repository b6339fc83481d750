"""Cron expressions with time zones, and the moments that they name.

``*/15 9-17 * * MON-FRI``, ``TZ=Europe/Berlin 0 6 * * *``, ``CRON_TZ=America/New_York 0 0 1 * *``. Clock changes are
those of Debian's cron: what would fall into the hour that is left out runs right after it, what falls into the hour that
comes twice runs once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tule.kernel.errors import InvalidArgument

_PREFIX = re.compile(r"(?:CRON_)?TZ=(?P<zone>\S+)\s+(?P<cron>.*)", re.DOTALL)
_FIELDS = 5


@dataclass(frozen=True)
class Cron:
    """An expression and its zone."""

    text: str
    zone: ZoneInfo | None

    def after(self, moment: datetime) -> datetime | None:
        """The first moment behind ``moment``, UTC; None when there is none for fifty years."""
        return next(self._moments(moment), None)

    def last(self, moment: datetime) -> datetime | None:
        """The newest moment that is not behind ``moment``, UTC."""
        from cronsim import CronSim

        at = self.after(moment)
        if at is None:
            return None
        found = next(CronSim(self.text, at.astimezone(self.zone or UTC), reverse=True), None)
        return None if found is None else found.astimezone(UTC)

    def _moments(self, moment: datetime) -> Iterator[datetime]:
        from cronsim import CronSim

        for found in CronSim(self.text, moment.astimezone(self.zone or UTC)):
            yield found.astimezone(UTC)


def read(text: str) -> Cron:
    """An expression from its text; raises InvalidArgument naming the part that is wrong."""
    from cronsim import CronSim, CronSimError

    zone, expression = None, text.strip()
    if found := _PREFIX.fullmatch(expression):
        zone, expression = _zone(found["zone"]), found["cron"].strip()
    if len(expression.split()) != _FIELDS:
        raise InvalidArgument(
            "cron must have five fields: minute, hour, day of month, month, day of week",
            given=repr(text[:200]),
            do="write '0 6 * * MON-FRI' or 'TZ=Europe/Berlin 0 6 * * *'",
        )
    try:
        CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise InvalidArgument("cron must be a cron expression", given=f"{text[:200]!r}: {error}") from None
    return Cron(expression, zone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidArgument(
            "TZ must be a zone of the IANA time zone database", given=name[:100], do="write TZ=Europe/Berlin"
        ) from None
