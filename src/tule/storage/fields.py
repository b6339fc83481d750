"""What may be said of a bucket and of an object, checked; what Cloud Storage would do and Tule does not is refused here.

https://cloud.google.com/storage/docs/json_api/v1/buckets#resource
https://cloud.google.com/storage/docs/json_api/v1/objects#resource
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from tule.kernel.errors import InvalidArgument, Unimplemented

Json = Mapping[str, Any]

STORAGE_CLASSES: Final = (
    "STANDARD",
    "NEARLINE",
    "COLDLINE",
    "ARCHIVE",
    "MULTI_REGIONAL",
    "REGIONAL",
    "DURABLE_REDUCED_AVAILABILITY",
)
_DUAL_REGIONS = ("ASIA1", "EUR4", "EUR5", "EUR7", "EUR8", "NAM4")
_MULTI_REGIONS = ("US", "EU", "ASIA")
_LOCATION = re.compile(r"[A-Z]+-[A-Z]+\d+")

# Set by the server; clients send them back with what they change.
BUCKET_READ_BACK: Final = (
    "kind",
    "id",
    "selfLink",
    "projectNumber",
    "generation",
    "metageneration",
    "etag",
    "timeCreated",
    "updated",
    "locationType",
    "satisfiesPZS",
    "satisfiesPZI",
    "softDeletePolicy.effectiveTime",
    "iamConfiguration.uniformBucketLevelAccess.lockedTime",
    "iamConfiguration.bucketPolicyOnly.lockedTime",
)
BUCKET_EXECUTED: Final = (
    "name",
    "location",
    "storageClass",
    "labels.*",
    "versioning.enabled",
    "defaultEventBasedHold",
    # Those below may say only what holds for every bucket here (see ``_FIXED``).
    "iamConfiguration.uniformBucketLevelAccess.enabled",
    "iamConfiguration.bucketPolicyOnly.enabled",
    "softDeletePolicy.retentionDurationSeconds",
    "billing.requesterPays",
    "autoclass.enabled",
    "hierarchicalNamespace.enabled",
    "rpo",
    *BUCKET_READ_BACK,
)
# Nothing here is public or leaves the machine, so this changes nothing.
BUCKET_STORED: Final = ("iamConfiguration.publicAccessPrevention",)

_FIXED: Final[tuple[tuple[str, tuple[object, ...], str], ...]] = (
    ("iamConfiguration.uniformBucketLevelAccess.enabled", (True,), "every bucket has uniform access; use its IAM policy"),
    ("iamConfiguration.bucketPolicyOnly.enabled", (True,), "every bucket has uniform access; use its IAM policy"),
    ("softDeletePolicy.retentionDurationSeconds", ("0", 0), "deleted objects are gone; use versioning to keep them"),
    ("billing.requesterPays", (False,), "nobody pays"),
    ("autoclass.enabled", (False,), "set storage classes yourself"),
    ("hierarchicalNamespace.enabled", (False,), "names are flat; list with a delimiter"),
    ("rpo", ("DEFAULT",), "there is one copy, on this machine"),
)  # fmt: skip

OBJECT_READ_BACK: Final = (
    "kind",
    "id",
    "selfLink",
    "mediaLink",
    "bucket",
    "name",
    "generation",
    "metageneration",
    "size",
    "etag",
    "owner.*",
    "componentCount",
    "timeCreated",
    "updated",
    "timeDeleted",
    "timeFinalized",
    "timeStorageClassUpdated",
    "md5Hash",
    "crc32c",
)
_OBJECT_TEXTS = ("contentType", "contentEncoding", "contentDisposition", "contentLanguage", "cacheControl")
_OBJECT_FLAGS = ("temporaryHold", "eventBasedHold")
OBJECT_EXECUTED: Final = (
    *_OBJECT_TEXTS,
    *_OBJECT_FLAGS,
    "metadata.*",
    "storageClass",
    "customTime",
    *OBJECT_READ_BACK,
)
OBJECT_WRITABLE: Final = (*_OBJECT_TEXTS, *_OBJECT_FLAGS, "metadata", "storageClass", "customTime")
_MOST_METADATA = 8192


def merged(present: Json, given: Json) -> dict[str, Any]:
    """A JSON merge patch (RFC 7396): null removes, objects merge, everything else replaces.

    >>> merged({"a": 1, "b": {"c": 2, "d": 3}}, {"a": None, "b": {"c": 4}})
    {'b': {'c': 4, 'd': 3}}
    """
    made = dict(present)
    for key, value in given.items():
        if value is None:
            made.pop(key, None)
        elif isinstance(value, Mapping):
            inner = made.get(key)
            made[key] = merged(inner if isinstance(inner, Mapping) else {}, value)
        else:
            made[key] = value
    return made


# -- buckets


def bucket_body(given: Json) -> dict[str, Any]:
    """What is kept of a bucket's description."""
    for path, allowed, advice in _FIXED:
        value = _at(given, path)
        if value is not None and value not in allowed:
            raise Unimplemented(f"Tule does not do {path}", given=repr(value), do=advice, reason="notImplemented")
    location = str(given.get("location") or "US").upper()
    location_type(location)
    made: dict[str, Any] = {"location": location, "storageClass": storage_class(given.get("storageClass"), "STANDARD")}
    if labels := _texts(given, "labels"):
        made["labels"] = labels
    versioning = _at(given, "versioning.enabled")
    if versioning is not None:
        made["versioning"] = {"enabled": _flag("versioning.enabled", versioning)}
    if (hold := given.get("defaultEventBasedHold")) is not None:
        made["defaultEventBasedHold"] = _flag("defaultEventBasedHold", hold)
    prevention = _at(given, "iamConfiguration.publicAccessPrevention")
    if prevention not in (None, "inherited", "unspecified", "enforced"):
        raise _wrong("publicAccessPrevention must be inherited or enforced", prevention)
    if prevention == "enforced":
        made["publicAccessPrevention"] = prevention
    return made


def location_type(location: str) -> str:
    """
    >>> location_type("US"), location_type("EUROPE-WEST4"), location_type("NAM4")
    ('multi-region', 'region', 'dual-region')
    """
    if location in _MULTI_REGIONS:
        return "multi-region"
    if location in _DUAL_REGIONS:
        return "dual-region"
    if _LOCATION.fullmatch(location) is None:
        raise _wrong("The specified location constraint is not valid: it must be US, EU, ASIA or a region", location)
    return "region"


def storage_class(given: object, otherwise: str) -> str:
    """A storage class, ``otherwise`` when none is given. It is kept and shown; all lie on the same disk."""
    if given is None:
        return otherwise
    name = str(given).upper()
    if name not in STORAGE_CLASSES:
        raise _wrong(f"storageClass must be one of {', '.join(STORAGE_CLASSES)}", given)
    return name


# -- objects


def object_body(given: Json, *, bucket: Json) -> dict[str, Any]:
    """What is kept of an object's description; ``bucket`` has the defaults of its bucket."""
    made: dict[str, Any] = {}
    for name in _OBJECT_TEXTS:
        if (value := given.get(name)) is not None:
            made[name] = _header_text(name, value)
    if bucket.get("defaultEventBasedHold"):
        made["eventBasedHold"] = True
    for name in _OBJECT_FLAGS:
        if (flag := given.get(name)) is not None:
            made[name] = _flag(name, flag)
    if metadata := _texts(given, "metadata"):
        size = sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items())
        if size > _MOST_METADATA:
            raise _wrong(f"metadata must be at most {_MOST_METADATA} bytes", f"{size} bytes")
        made["metadata"] = metadata
    made["storageClass"] = storage_class(given.get("storageClass"), bucket["storageClass"])
    if (moment := given.get("customTime")) is not None:
        made["customTime"] = _moment("customTime", moment)
    return made


def check_change(before: Json, after: Json) -> None:
    """Refuse the changes of an object that need another call, or that are never allowed."""
    if after.get("storageClass") != before.get("storageClass"):
        raise Unimplemented(
            "The storageClass of an object changes by rewriting it, not by a patch",
            given=after.get("storageClass"),
            do="use rewriteTo (update_storage_class of the client)",
        )
    if before.get("customTime") and str(after.get("customTime", "")) < before["customTime"]:
        raise _wrong("customTime must not be removed or set back", after.get("customTime", "none"))


def _header_text(name: str, value: object) -> str:
    """A text that is sent back as a header."""
    if (
        not isinstance(value, str)
        or len(value) > 4096
        or any(ord(letter) < 32 or ord(letter) == 127 for letter in value)
    ):
        raise _wrong(f"{name} must be a text without control characters", value)
    return value


def _texts(given: Json, name: str) -> dict[str, str]:
    value = given.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _wrong(f"{name} must be an object of texts", value)
    for key, inner in value.items():
        if inner is not None and not isinstance(inner, str):
            raise _wrong(f"{name}.{key} must be a text", inner)
    return {key: inner for key, inner in value.items() if inner is not None}


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(f"{name} must be true or false", value)
    return value


def _moment(name: str, value: object) -> str:
    try:
        moment = datetime.fromisoformat(str(value))
        if moment.tzinfo is None:
            raise ValueError
    except ValueError:
        raise _wrong(f"{name} must be a time of RFC 3339 with its offset", value) from None
    return timestamp(moment)


def timestamp(moment: datetime) -> str:
    """A time as Cloud Storage writes it, to the millisecond."""
    moment = moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _at(given: Json, path: str) -> Any:
    value: Any = given
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _wrong(rule: str, given: object) -> InvalidArgument:
    return InvalidArgument(rule, given=repr(given)[:200], reason="invalid")
