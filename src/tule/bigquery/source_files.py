"""The files that source URIs name: objects of Cloud Storage, and folders of other file systems that were opened to Tule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tule.bigquery.errors import invalid, not_found
from tule.bigquery.formats.sources import AnySource, RemoteSource, Source

_MOST_URIS = 10_000
_LONGEST_MANIFEST = 10 * 2**20
FILE_SETS = ("FILE_SET_SPEC_TYPE_FILE_SYSTEM_MATCH", "FILE_SET_SPEC_TYPE_NEW_LINE_DELIMITED_MANIFEST")


class ObjectFiles(Protocol):
    """What this room needs of the object store (``kernel.objects``)."""

    def glob(self, uri: str) -> Sequence[Any]:
        """The objects that a ``gs://bucket/key`` with at most one ``*`` names: values with ``bucket`` and ``key``."""

    def path(self, bucket: str, key: str) -> Path:
        """The file that holds an object's content, for reading only."""

    def put(self, bucket: str, key: str, chunks: Iterable[bytes], *, content_type: str) -> Any:
        """Store an object."""


class FileSystems(Protocol):
    """File systems beside Cloud Storage (``engines.filesystems``). Only what lies below a folder that the server's owner
    has named can be read."""

    def check(self, uri: str) -> None:
        """Raise InvalidArgument or PermissionDenied for a URI outside of the named folders."""

    def glob(self, uri: str) -> Sequence[Any]:
        """The files that a URI with at most one ``*`` names, by name: values with ``uri``, ``size`` and ``open()``.

        Raises as ``check`` does, and FailedPrecondition where what reads the files is not installed or does not answer.
        """


class SourceFiles:
    """Finds files by URI."""

    def __init__(self, objects: ObjectFiles, elsewhere: FileSystems) -> None:
        self._objects = objects
        self._elsewhere = elsewhere

    def checked(self, uris: Any) -> tuple[str, ...]:
        """Source URIs; raises for what could be none."""
        if not isinstance(uris, list | tuple) or not uris:
            raise invalid("Load configuration must specify at least one source URI")
        if len(uris) > _MOST_URIS:
            raise invalid(f"At most {_MOST_URIS} source URIs may be given; given: {len(uris)}")
        for uri in uris:
            if not isinstance(uri, str) or "://" not in uri or uri.startswith("://"):
                raise invalid(f"A source URI must begin with gs://; given: {uri!r}")
            if uri.count("*") > 1:
                raise invalid(f"A source URI may have one wildcard (*); given: {uri!r}")
            if not uri.startswith("gs://"):
                self._elsewhere.check(uri)
        return tuple(uris)

    def find(self, uris: Sequence[str]) -> list[AnySource]:
        """The files of all URIs, each once, in their order; raises NotFound for a URI that names none."""
        found: dict[str, AnySource] = {}
        for uri in uris:
            files = self._of(uri)
            if not files:
                raise not_found("URI", uri)
            for each in files:
                found.setdefault(each.name, each)
        return list(found.values())

    def of_options(self, options: Mapping[str, Any]) -> list[AnySource]:
        """The files of ``sourceUris``; with ``fileSetSpecType`` a manifest those are lists of URIs, one a line."""
        uris = options["sourceUris"]
        kind = options.get("fileSetSpecType") or FILE_SETS[0]
        if kind not in FILE_SETS:
            raise invalid(f"fileSetSpecType must be one of {', '.join(FILE_SETS)}; given: {kind!r}")
        if kind != "FILE_SET_SPEC_TYPE_NEW_LINE_DELIMITED_MANIFEST":
            return self.find(uris)
        listed: list[str] = []
        for manifest in self.find(uris):
            with manifest.open() as file:
                content = file.read(_LONGEST_MANIFEST + 1)
            if len(content) > _LONGEST_MANIFEST:
                raise invalid(f"A manifest must be at most {_LONGEST_MANIFEST} bytes; given: {manifest.name}")
            listed += [line.strip() for line in content.decode(errors="replace").splitlines() if line.strip()]
        return self.find(self.checked(listed))

    def _of(self, uri: str) -> list[AnySource]:
        if uri.startswith("gs://"):
            return [
                Source(f"gs://{each.bucket}/{each.key}", self._objects.path(each.bucket, each.key))
                for each in self._objects.glob(uri)
                # What some tools leave to mark a folder is no file.
                if not each.key.endswith("/")
            ]
        return [RemoteSource(each.uri, each.size, each.open) for each in self._elsewhere.glob(uri)]
