"""What the JSON API does with objects. https://cloud.google.com/storage/docs/json_api/v1/objects"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tule.kernel.errors import InvalidArgument
from tule.kernel.objects import ANY, Checksums, Conditions, Object, Objects, Piece
from tule.kernel.objects.objects import Also
from tule.storage.fields import OBJECT_WRITABLE, check_change, merged, object_body

Json = Mapping[str, Any]
_OWN = ("temporaryHold", "eventBasedHold", "storageClass")


class ObjectResources:
    """Objects by their descriptions."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def check(self, bucket: str, key: str, given: Json, conditions: Conditions = ANY) -> None:
        """Raise now what an ``insert`` would raise at its end."""
        self._body(bucket, given)
        self._objects.check(bucket, key, conditions)

    def insert(
        self,
        bucket: str,
        key: str,
        given: Json,
        chunks: Iterable[bytes],
        conditions: Conditions = ANY,
        checksums: Checksums | None = None,
        also: Also | None = None,
    ) -> Object:
        """Store an object; ``also`` is called with it inside its transaction."""
        body = self._body(bucket, given)
        return self._objects.put(bucket, key, chunks, body=body, conditions=conditions, checksums=checksums, also=also)

    def adopt(
        self,
        bucket: str,
        key: str,
        given: Json,
        path: Path,
        conditions: Conditions,
        checksums: Checksums,
        also: Also,
    ) -> Object:
        """As ``insert``, with a file that is here already."""
        body = self._body(bucket, given)
        return self._objects.adopt(bucket, key, path, body=body, conditions=conditions, checksums=checksums, also=also)

    def change(
        self,
        bucket: str,
        key: str,
        given: Json,
        *,
        generation: int | None = None,
        conditions: Conditions = ANY,
        replace: bool = False,
    ) -> Object:
        """Merge what is given into the description, or let it take the description's place (``replace``)."""

        def changed(present: dict[str, Any]) -> dict[str, Any]:
            present = {"storageClass": "STANDARD", **present}
            kept = {"storageClass": present["storageClass"]} if replace else present
            made = object_body(merged(kept, _writable(given)), bucket={"storageClass": present["storageClass"]})
            check_change(present, made)
            return made

        return self._objects.update(bucket, key, changed, generation=generation, conditions=conditions)

    def copy(
        self,
        source: tuple[str, str],
        target: tuple[str, str],
        given: Json,
        *,
        generation: int | None = None,
        conditions: Conditions = ANY,
        source_conditions: Conditions = ANY,
    ) -> Object:
        """A copy whose description is that of its source, with what is given in its place.

        Holds do not come along, and the storage class is that of the new bucket.
        """
        found = self._objects.get(*source, generation=generation, conditions=source_conditions)
        kept = {name: value for name, value in found.body.items() if name not in _OWN}
        body = self._body(target[0], kept | _writable(given))
        return self._objects.copy(
            source,
            target,
            generation=found.generation,
            body=body,
            conditions=conditions,
            source_conditions=source_conditions,
        )

    def compose(self, bucket: str, key: str, request: Json, conditions: Conditions = ANY) -> Object:
        body = self._body(bucket, request.get("destination") or {})
        pieces = _pieces(request.get("sourceObjects"))
        remove = bool(request.get("deleteSourceObjects"))
        return self._objects.compose(bucket, key, pieces, body=body, conditions=conditions, remove=remove)

    def _body(self, bucket: str, given: Json) -> dict[str, Any]:
        defaults = self._objects.buckets.get(bucket).body
        return object_body(given, bucket={"storageClass": "STANDARD", **defaults})


def _writable(given: Json) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in OBJECT_WRITABLE}


def _pieces(given: Any) -> Sequence[Piece]:
    if not isinstance(given, list) or not all(isinstance(each, Mapping) and each.get("name") for each in given):
        raise InvalidArgument("sourceObjects must be a list of objects with names", given=repr(given)[:200])
    return [
        Piece(
            str(each["name"]),
            _number("generation", each.get("generation")),
            _number("ifGenerationMatch", (each.get("objectPreconditions") or {}).get("ifGenerationMatch")),
        )
        for each in given
    ]


def _number(name: str, value: Any) -> int | None:
    if value is None:
        return None
    text = str(value)
    if not (text.isascii() and text.isdigit()):
        raise InvalidArgument(f"{name} must be a whole number", given=repr(value))
    return int(text)
