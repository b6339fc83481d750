"""OPTIONS of statements as fields of REST resources. An option that is not done is refused by name.

https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#table_option_list
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tule.bigquery.errors import invalid_query, not_implemented
from tule.bigquery.formats.values import timestamp

_DAY_MS, _MINUTE_MS = 86_400_000, 60_000
_INTERVAL = re.compile(r"(?:(\d+)-(\d+) )?(?:(\d+) )?(\d+):(\d+):(\d+(?:\.\d+)?)")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise invalid_query(f"The option {name} must be a STRING; given: {value!r}")
    return value


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise invalid_query(f"The option {name} must be a BOOL; given: {value!r}")
    return value


def _labels(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, list) or any(not isinstance(each, tuple) or len(each) != 2 for each in value):
        raise invalid_query(f"The option {name} must be an ARRAY<STRUCT<STRING, STRING>>; given: {value!r}")
    return {str(key): str(text) for key, text in value}


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise invalid_query(f"The option {name} must be a number that is not negative; given: {value!r}")
    return float(value)


def _moment(name: str, value: Any) -> str:
    try:
        return str(timestamp(str(value)) // 1000)
    except ValueError:
        raise invalid_query(f"{name} must be a TIMESTAMP literal; given: {value!r}") from None


def _days(name: str, value: Any) -> str:
    return str(int(_number(name, value) * _DAY_MS))


def _minutes(name: str, value: Any) -> str:
    return str(int(_number(name, value) * _MINUTE_MS))


def _hours(name: str, value: Any) -> str:
    return str(int(_number(name, value)))


def _interval(name: str, value: Any) -> str:
    if not isinstance(value, str) or _INTERVAL.fullmatch(value) is None:
        raise invalid_query(f"The option {name} must be an INTERVAL; given: {value!r}")
    return value


Known = Mapping[str, tuple[str, Callable[[str, Any], Any]]]
"""Name -> the field of the resource (dots lead inside) and what makes its value."""

_DESCRIBED: Known = {
    "description": ("description", _text),
    "friendly_name": ("friendlyName", _text),
    "labels": ("labels", _labels),
}
VIEW: Known = {**_DESCRIBED, "expiration_timestamp": ("expirationTime", _moment)}
TABLE: Known = {
    **VIEW,
    "partition_expiration_days": ("timePartitioning.expirationMs", _days),
    "require_partition_filter": ("requirePartitionFilter", _boolean),
    "enable_change_history": ("enableChangeHistory", _boolean),
}
MATERIALIZED_VIEW: Known = {
    **VIEW,
    "enable_refresh": ("materializedView.enableRefresh", _boolean),
    "refresh_interval_minutes": ("materializedView.refreshIntervalMs", _minutes),
    "max_staleness": ("materializedView.maxStaleness", _interval),
    "allow_non_incremental_definition": ("materializedView.allowNonIncrementalDefinition", _boolean),
}
SCHEMA: Known = {
    **_DESCRIBED,
    "location": ("location", _text),
    "default_table_expiration_days": ("defaultTableExpirationMs", _days),
    "default_partition_expiration_days": ("defaultPartitionExpirationMs", _days),
    "max_time_travel_hours": ("maxTimeTravelHours", _hours),
    "storage_billing_model": ("storageBillingModel", _text),
}
# Options that change nothing where they have this value.
NOTHING: dict[str, tuple[Any, ...]] = {
    "default_rounding_mode": ("ROUND_HALF_AWAY_FROM_ZERO", "ROUNDING_MODE_UNSPECIFIED"),
    "is_case_insensitive": (False,),
    "is_primary": (True,),
    "enable_fine_grained_mutations": (False,),
    "tags": ([],),
}
# Options of the public reference that no statement does.
REFUSED = (
    "default_kms_key_name", "default_rounding_mode", "enable_fine_grained_mutations", "failover_reservation",
    "file_format", "is_case_insensitive", "is_primary", "kms_key_name", "primary_replica", "privacy_policy",
    "storage_uri", "table_format", "tags",
)  # fmt: skip


def described(options: Mapping[str, Any], known: Known, *, clears: bool = False) -> dict[str, Any]:
    """OPTIONS as fields of the resource; a NULL gives None where it ``clears``, and otherwise nothing."""
    made: dict[str, Any] = {}
    for name, value in options.items():
        lower = name.lower()
        if lower not in known:
            if lower not in REFUSED and not any(lower in each for each in (TABLE, MATERIALIZED_VIEW, SCHEMA)):
                raise invalid_query(f"Unknown option: {name}")
            if value is None or value in NOTHING.get(lower, ()):
                continue
            raise not_implemented(f"The option {name}", do=f"leave it out; done are {', '.join(known)}")
        field, read = known[lower]
        if value is None and not clears:
            continue
        place = made
        *path, last = field.split(".")
        for each in path:
            place = place.setdefault(each, {})
        place[last] = None if value is None else read(lower, value)
    return made


def minutes(text: str) -> float:
    """The length of an interval as BigQuery writes it (``0-0 0 4:0:0``), in minutes; a month has thirty days.

    >>> minutes("0-0 1 4:30:0")
    1710.0
    """
    found = _INTERVAL.fullmatch(text)
    assert found is not None
    years, months, days, hours, part, seconds = (float(each or 0) for each in found.groups())
    return (((years * 12 + months) * 30 + days) * 24 + hours) * 60 + part + seconds / 60
