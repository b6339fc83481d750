"""Resumable uploads of objects: the description comes first, the content in chunks, and the object with the last one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from tule.kernel.errors import InvalidArgument
from tule.kernel.objects import Checksums, ConditionNotMet, Conditions, Object, Objects
from tule.kernel.uploads import Progress, Uploads
from tule.storage.objects import ObjectResources

KIND = "storageUploads"


class ObjectUploads:
    """Sessions that end with an object. A session that ended tells its object to whoever asks again."""

    def __init__(self, objects: Objects, resources: ObjectResources, uploads: Uploads) -> None:
        self._objects = objects
        self._resources = resources
        self.sessions = uploads

    def begin(
        self, bucket: str, key: str, given: Mapping[str, Any], conditions: Conditions, checksums: Checksums
    ) -> str:
        """Open a session; raises now what would be wrong with the object at its end."""
        self._resources.check(bucket, key, given, conditions)
        return self.sessions.begin(
            {
                "bucket": bucket,
                "key": key,
                "object": dict(given),
                "conditions": asdict(conditions),
                "checksums": asdict(checksums),
            }
        )

    def finished(self, upload: str) -> Object | None:
        """The object that a session ended with; None while it is open."""
        answer = self.sessions.answer(upload)
        if answer is None:
            return None
        return self._objects.get(answer["bucket"], answer["key"], generation=int(answer["generation"]))

    def finish(self, upload: str, progress: Progress, said: Checksums) -> Object:
        """Make the object of a complete upload. ``said``: checksums that came with the last chunk.

        An upload whose content or conditions are wrong is over.
        """
        body = self.sessions.body(upload)
        checksums = Checksums(**body["checksums"])
        if checksums.size is not None and checksums.size != progress.received:
            raise InvalidArgument(
                "An upload must have the size that was declared when it began",
                given=f"declared {checksums.size} bytes, received {progress.received}",
            )
        checksums = replace(checksums, md5=said.md5 or checksums.md5, crc32c=said.crc32c or checksums.crc32c)

        def also(made: Object) -> None:
            self.sessions.finish(upload, {"bucket": made.bucket, "key": made.key, "generation": str(made.generation)})

        conditions = Conditions(**body["conditions"])
        try:
            with self.sessions.whole(upload) as path:
                return self._resources.adopt(
                    body["bucket"], body["key"], body["object"], path, conditions, checksums, also
                )
        except (InvalidArgument, ConditionNotMet):
            # Nothing that could be sent to this session would help.
            self.sessions.abandon(upload)
            raise
