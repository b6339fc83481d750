"""Blobs of time series (images, graphs): objects in a bucket of the project, where Google's uploader puts them too."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from typing import Any

from tule.kernel.errors import AlreadyExists, NotFound


class Blobs:
    """The blobs of one server's tensorboards."""

    def __init__(self, objects: Any) -> None:
        self._objects = objects

    def bucket(self, project: str) -> str:
        """The bucket that holds the blobs of a project, made if it is not there."""
        digest = hashlib.sha256(project.encode()).hexdigest()
        name = f"cloud-ai-platform-{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
        if self._objects.buckets.find(name) is None:
            with contextlib.suppress(AlreadyExists):  # another thread was quicker
                self._objects.buckets.create(project, name)
        return name

    def add(self, series: str, data: bytes) -> str:
        """Store a blob that came with its point; returns its id."""
        id = str(uuid.uuid4())
        self._objects.put(self._bucket_of(series), f"{_folder(series)}/{id}", [data])
        return id

    def read(self, series: str, id: str) -> Iterator[bytes]:
        """The bytes of a blob in pieces; raises NotFound."""
        key = f"{_folder(series)}/{id}"
        bucket = self._bucket_of(series)
        if self._objects.find(bucket, key) is None:
            raise NotFound("The blob must exist", given=f"{id} of {series}", do="read the ids of the time series anew")
        with self._objects.open(bucket, key) as stream:
            yield stream.read()

    def size(self, tensorboard: str) -> int:
        """The bytes of all blobs of a tensorboard."""
        prefix = f"tensorboard-{tensorboard.rpartition('/')[2]}/"
        return sum(each.size for each in self._objects.list(self._bucket_of(tensorboard), prefix=prefix).objects)

    def forget(self, name: str) -> None:
        """Remove the blobs below a tensorboard, an experiment, a run or a time series."""
        bucket = self._bucket_of(name)
        for each in self._objects.list(bucket, prefix=f"{_folder(name)}/").objects:
            self._objects.delete(bucket, each.key)

    def _bucket_of(self, name: str) -> str:
        return self.bucket(name.split("/")[1])


def _folder(name: str) -> str:
    """Where the blobs of a resource lie: ``tensorboard-T/E/R/S``, as Google's uploader writes them.

    >>> _folder("projects/p/locations/l/tensorboards/7/experiments/e/runs/r/timeSeries/s")
    'tensorboard-7/e/r/s'
    """
    ids = name.split("/")[5::2]
    return "/".join([f"tensorboard-{ids[0]}", *ids[1:]])
