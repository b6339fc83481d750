"""Buckets and objects as Cloud Storage describes them in JSON."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from tule.kernel.objects import Object
from tule.kernel.objects.buckets import name_of
from tule.kernel.records import Record
from tule.storage.fields import location_type, timestamp

_LOCKS_AFTER = timedelta(days=90)


def bucket_resource(record: Record, number: int, base: str) -> dict[str, Any]:
    """``number``: that of the bucket's project; ``base``: the address under which the caller found this server."""
    body, name = record.body, name_of(record)
    created = timestamp(record.create_time)
    uniform = {"enabled": True, "lockedTime": timestamp(record.create_time + _LOCKS_AFTER)}
    made: dict[str, Any] = {
        "kind": "storage#bucket",
        "selfLink": f"{base}/storage/v1/b/{name}",
        "id": name,
        "name": name,
        "projectNumber": str(number),
        "generation": str(int(record.create_time.timestamp() * 1_000_000)),
        "metageneration": str(record.revision),
        "location": body["location"],
        "locationType": location_type(body["location"]),
        "storageClass": body["storageClass"],
        "etag": etag(record.revision),
        "timeCreated": created,
        "updated": timestamp(record.update_time),
        "iamConfiguration": {
            "uniformBucketLevelAccess": uniform,
            "bucketPolicyOnly": uniform,
            "publicAccessPrevention": body.get("publicAccessPrevention", "inherited"),
        },
        "softDeletePolicy": {"retentionDurationSeconds": "0"},
    }
    if made["locationType"] != "region":
        made["rpo"] = "DEFAULT"
    for name in ("labels", "versioning", "defaultEventBasedHold"):
        if name in body:
            made[name] = body[name]
    return made


def object_resource(found: Object, base: str) -> dict[str, Any]:
    bucket, key, generation = found.bucket, quote(found.key, safe="~"), found.generation
    created = timestamp(found.create_time)
    made: dict[str, Any] = {
        "kind": "storage#object",
        "id": f"{bucket}/{found.key}/{generation}",
        "selfLink": f"{base}/storage/v1/b/{bucket}/o/{key}",
        "mediaLink": f"{base}/download/storage/v1/b/{bucket}/o/{key}?generation={generation}&alt=media",
        "name": found.key,
        "bucket": bucket,
        "generation": str(generation),
        "metageneration": str(found.metageneration),
        **found.body,
        "size": str(found.size),
        "crc32c": found.crc32c,
        "etag": etag(generation, found.metageneration),
        "timeCreated": created,
        "updated": timestamp(found.update_time),
        "timeStorageClassUpdated": created,
        "timeFinalized": created,
    }
    made.setdefault("storageClass", "STANDARD")
    if found.md5 is not None:
        made["md5Hash"] = found.md5
    if found.components is not None:
        made["componentCount"] = found.components
    if found.delete_time is not None:
        made["timeDeleted"] = timestamp(found.delete_time)
    return made


def etag(*numbers: int) -> str:
    """An etag of Google's shape: the numbers as the first fields of a protocol buffer, in base64.

    >>> etag(1), etag(1, 2)
    ('CAE=', 'CAEQAg==')
    """
    return base64.b64encode(b"".join(bytes([8 * (at + 1)]) + _varint(each) for at, each in enumerate(numbers))).decode()


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)
