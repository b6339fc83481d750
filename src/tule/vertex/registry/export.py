"""Writing a version's files to Cloud Storage (ExportModel)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from tule.kernel.clock import Clock
from tule.kernel.errors import FailedPrecondition, InvalidArgument
from tule.kernel.operations import Progress
from tule.vertex.registry.artifacts import Artifacts, bucket_prefix
from tule.vertex.registry.models import Version


class Store(Protocol):
    """Where exported files go: ``kernel.objects``."""

    def put(self, bucket: str, key: str, chunks: Iterator[bytes]) -> Any:
        """Store one object; raises NotFound without the bucket."""


class Exporter:
    """Copies stored artifacts to a ``gs://`` directory."""

    def __init__(self, artifacts: Artifacts, store: Store, clock: Clock) -> None:
        self._artifacts = artifacts
        self._store = store
        self._clock = clock

    def destination(self, version: Version, config: Mapping[str, Any]) -> str:
        """The directory that an export of ``version`` with this OutputConfig makes; checks the request."""
        if version.artifact is None:
            raise FailedPrecondition(
                "A model must have an artifact to be exported", given=f"{version.name}, uploaded without one"
            )
        formats = [each["id"] for each in version.message.get("supportedExportFormats", [])]
        wanted = config.get("exportFormatId") or (formats[0] if formats else "")
        if wanted not in formats:
            raise InvalidArgument(
                "The export format must be one that the model supports",
                given=repr(wanted),
                do=f"use one of {', '.join(formats) or 'none'}",
            )
        prefix = config.get("artifactDestination", {}).get("outputUriPrefix", "")
        bucket_prefix(prefix)
        now = self._clock.now()
        stamp = now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"
        name = version.message["displayName"].replace("/", "-")
        return f"{prefix.rstrip('/')}/model-export-{name}-{stamp}"

    def write(self, version: Version, target: str, progress: Progress) -> None:
        """Copy every file of the version under ``target``."""
        assert version.artifact is not None
        directory = self._artifacts.verify(version.artifact)
        bucket, prefix = bucket_prefix(target)
        for done, name in enumerate(sorted(version.artifact.files)):
            progress.report(100 * done // len(version.artifact.files), f"writing {name}")
            self._store.put(bucket, prefix + name, _chunks(directory / name))


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece
