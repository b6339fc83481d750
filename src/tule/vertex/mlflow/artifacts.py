"""Artifacts of MLflow: objects in a bucket of the project, reached through the server as ``mlflow-artifacts:/PATH``."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tule.kernel.errors import InvalidArgument, NotFound

SCHEME = "mlflow-artifacts:/"


class Artifacts:
    """The artifacts of one project."""

    def __init__(self, objects: Any, project: str) -> None:
        self._objects = objects
        self._project = project
        self.bucket = f"{project}-mlflow"

    def put(self, path: str, chunks: Iterable[bytes]) -> None:
        """Store a file; durable when this returns."""
        key = _checked(path)
        if self._objects.buckets.find(self.bucket) is None:
            self._objects.buckets.create(self._project, self.bucket)
        self._objects.put(self.bucket, key, chunks)

    def file(self, path: str) -> Path:
        """The file with an artifact's content, to be read only; raises NotFound."""
        key = _checked(path)
        if self._objects.buckets.find(self.bucket) is None or self._objects.find(self.bucket, key) is None:
            raise NotFound("The artifact must exist", given=path, do="list the artifacts of the run")
        found: Path = self._objects.path(self.bucket, key)
        return found

    def listed(self, path: str) -> list[dict[str, Any]]:
        """The files and folders directly in a folder, named relative to it."""
        return self._inside(self.bucket, _checked(path) if path else "")

    def list_at(self, uri: str, path: str) -> list[dict[str, Any]]:
        """The files and folders in a folder of an artifact location, named relative to the location."""
        parts = urlsplit(uri)
        bucket = parts.netloc if parts.scheme == "gs" else self.bucket
        if parts.scheme not in ("gs", "mlflow-artifacts"):
            raise InvalidArgument(
                "Artifacts are listed where the server has them", given=uri, do="use gs:// or the default"
            )
        inside = posixpath.join(parts.path.strip("/"), _checked(path)) if path else parts.path.strip("/")
        return [{**each, "path": posixpath.join(path, each["path"])} for each in self._inside(bucket, inside)]

    def _inside(self, bucket: str, folder: str) -> list[dict[str, Any]]:
        if self._objects.buckets.find(bucket) is None:
            return []
        prefix = f"{folder}/" if folder else ""
        listing = self._objects.list(bucket, prefix=prefix, delimiter="/")
        files = [
            {"path": each.key.removeprefix(prefix), "is_dir": False, "file_size": each.size}
            for each in listing.objects
            if each.key != prefix
        ]
        folders = [{"path": each.removeprefix(prefix).rstrip("/"), "is_dir": True} for each in listing.prefixes]
        return sorted(files + folders, key=lambda each: str(each["path"]))

    def delete(self, path: str) -> None:
        """Remove a file, or a folder with everything in it."""
        key = _checked(path)
        if self._objects.buckets.find(self.bucket) is None:
            return
        if self._objects.find(self.bucket, key) is not None:
            self._objects.delete(self.bucket, key)
        for each in self._objects.list(self.bucket, prefix=f"{key}/").objects:
            self._objects.delete(self.bucket, each.key)


def _checked(path: str) -> str:
    """A path inside the artifacts; raises InvalidArgument for one that leads elsewhere."""
    clean = path.strip("/")
    if not clean or any(part in ("", ".", "..") for part in clean.split("/")) or "\\" in clean:
        raise InvalidArgument("A path of artifacts must lie inside of them", given=repr(path[:200]))
    return clean
