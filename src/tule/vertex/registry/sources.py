"""Artifact directories in Cloud Storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO, Protocol

from tule.kernel.errors import InvalidArgument
from tule.vertex.registry.artifacts import bucket_prefix


class Bucket(Protocol):
    """What is read of ``kernel.objects``."""

    def list(self, bucket: str, *, prefix: str = ...) -> Any:
        """Pages of the objects whose key begins with ``prefix``."""

    def open(self, bucket: str, key: str) -> BinaryIO:
        """The content of one object."""


class BucketSource:
    """The objects under a ``gs://`` directory."""

    def __init__(self, objects: Any, uri: str) -> None:
        self._objects = objects
        self.uri = uri
        self._bucket, self._prefix = bucket_prefix(uri)
        if not self._prefix:
            raise InvalidArgument("An artifact must lie in a directory of its bucket", given=uri)

    def names(self) -> Sequence[str]:
        found = self._objects.list(self._bucket, prefix=self._prefix)
        return [each.key.removeprefix(self._prefix) for each in found.objects]

    def open(self, name: str) -> BinaryIO:
        stream: BinaryIO = self._objects.open(self._bucket, self._prefix + name)
        return stream
