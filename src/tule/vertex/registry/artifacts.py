"""The files of a model version: checked at upload, copied into the data directory, never changed afterwards.

A version keeps its own copy under ``home/models/<id>``, so it serves the same model however the bucket changes later.
The manifest beside the files holds their SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

import orjson

from tule.kernel.errors import DataLoss, FailedPrecondition, InvalidArgument, Unimplemented
from tule.kernel.home import Home, sync_folder, write_private
from tule.vertex.registry.images import Image

MANIFEST = "bundle.json"
"""The file that marks a model trained by Tule."""

MODEL_FILES: dict[str, tuple[str, ...]] = {
    "sklearn": ("model.joblib", "model.pkl", "model.onnx"),
    "xgboost": ("model.bst", "model.json", "model.ubj", "model.joblib", "model.pkl", "model.onnx"),
    "tensorflow": ("saved_model.pb", "saved_model.pbtxt", "model.onnx"),
    "pytorch": ("model.mar", "model.onnx"),
}
"""The model files that each framework's prebuilt image looks for; Tule adds XGBoost's other two forms, and ONNX to all,
because any of the frameworks' models can be written so."""

_ALL_MODEL_FILES = tuple(dict.fromkeys([MANIFEST, *(name for names in MODEL_FILES.values() for name in names)]))
# A bundle of boosted trees keeps xgboost's own file beside its manifest.
_PARTS_OF_A_BUNDLE = ("model.ubj", "model.bst", "model.json")
_LARGEST_COUNT = 10_000


class Source(Protocol):
    """Where artifacts come from: a listing of files by relative name, and their content."""

    uri: str
    """What the user calls the place."""

    def names(self) -> Sequence[str]:
        """The files under the place, their names relative to it with ``/`` between folders."""

    def open(self, name: str) -> BinaryIO:
        """The content of one file."""


class OwnFiles(Protocol):
    """The files of a model that this server keeps: their folder, the format (as ``Artifact`` has it), the file to open."""

    @property
    def directory(self) -> Path: ...
    @property
    def format(self) -> str: ...
    @property
    def file(self) -> str: ...


@dataclass(frozen=True)
class Artifact:
    """A stored copy: ``id`` names its folder, ``model_file`` the one file a runtime opens (None: nothing to open)."""

    id: str
    format: str
    """``bundle``, ``pickle``, ``booster``, ``saved_model``, ``onnx``, ``tflite``, ``archive`` (.mar), ``files`` (a custom
    image's)."""
    model_file: str | None
    files: dict[str, str]
    """Relative name -> SHA-256 in hex."""

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def find_model(names: Sequence[str], image: Image | None, where: str) -> tuple[str, str | None]:
    """The format and the model file of a folder with these files, for the runtime that ``image`` names.

    Raises InvalidArgument, naming what was found and what was expected, unless there is exactly one model file.
    """
    if not names:
        raise InvalidArgument(
            "The artifact directory must hold the model's files",
            given=f"no object under {where}",
            do="check the address; artifact_uri is the directory, not the file",
        )
    if image is None:
        return ("bundle", MANIFEST) if MANIFEST in names else ("files", None)
    expected = MODEL_FILES[image.framework]
    known = [name for name in names if name in _ALL_MODEL_FILES]
    if MANIFEST in known:
        known = [name for name in known if name == MANIFEST or name not in _PARTS_OF_A_BUNDLE]
    usable = [name for name in known if name in expected or name == MANIFEST]
    wanted = f"exactly one of {', '.join(expected)} for a {image.framework} image"
    if len(known) > 1:
        raise InvalidArgument(
            f"An artifact directory must hold one model: {wanted}",
            given=f"{' and '.join(sorted(known))} in {where}",
            do="upload each model from a directory of its own",
        )
    if not usable:
        deeper = [name for name in names if PurePosixPath(name).name in (*expected, MANIFEST)]
        if deeper:
            do = f"give the directory that holds {deeper[0]} as artifact_uri"
        elif known:
            do = f"{known[0]} belongs to another framework: choose the serving image that reads it"
        else:
            do = "name the file so, or choose the serving image of the model's framework"
        raise InvalidArgument(
            f"The artifact directory must hold {wanted}, or a {MANIFEST}",
            given=f"{_some(names)} in {where}",
            do=do,
        )
    (file,) = usable
    return _format(file), file


_FORMATS = {
    ".pb": "saved_model", ".pbtxt": "saved_model", ".mar": "archive", ".joblib": "pickle", ".pkl": "pickle",
    ".onnx": "onnx",
}  # fmt: skip


def _format(file: str) -> str:
    if file == MANIFEST:
        return "bundle"
    return _FORMATS.get(PurePosixPath(file).suffix, "booster")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _safe(name: str) -> str:
    """``name`` as a relative path; a user's object key must not lead out of the folder."""
    parts = name.split("/")
    if name.startswith("/") or any(part in ("", ".", "..") or "\x00" in part or len(part) > 255 for part in parts):
        raise InvalidArgument("An artifact must have a plain file name", given=repr(name), do="rename the object")
    return name


class Artifacts:
    """The folder of stored artifacts. Safe to use from several threads."""

    def __init__(self, home: Home) -> None:
        self._root = home.folder("models")

    def directory(self, artifact_id: str) -> Path:
        return self._root / artifact_id

    def store(self, source: Source, image: Image | None) -> Artifact:
        """Check and copy ``source``; durable when this returns. Raises InvalidArgument for a wrong directory."""
        names = [name for name in source.names() if name and not name.endswith("/")]
        if len(names) > _LARGEST_COUNT:
            raise InvalidArgument(
                f"An artifact directory must hold at most {_LARGEST_COUNT} files",
                given=f"{len(names)} under {source.uri}",
                do="give the model's own directory as artifact_uri",
            )
        format, file = find_model(names, image, source.uri)
        contents = ((name, source.open(name)) for name in names)
        artifact = self._write(contents, format, file)
        if format == "bundle":
            self._check_bundle(artifact)
        return artifact

    def adopt(self, files: OwnFiles) -> Artifact:
        """A copy of a model that this server keeps itself."""
        found = sorted(path for path in files.directory.rglob("*") if path.is_file())
        names = [path.relative_to(files.directory).as_posix() for path in found]
        if files.file not in names:
            given = f"no {files.file} in {files.directory.name}"
            raise FailedPrecondition("A registered model must have its file", given=given)
        contents = ((name, path.open("rb")) for name, path in zip(names, found, strict=True))
        return self._write(contents, files.format, files.file)

    def copy(self, artifact: Artifact) -> Artifact:
        """Another copy of the same files, for a model that lives and dies on its own."""
        source = self.directory(artifact.id)
        contents = ((name, (source / name).open("rb")) for name in artifact.files)
        return self._write(contents, artifact.format, artifact.model_file)

    def _write(self, contents: Iterable[tuple[str, BinaryIO]], format: str, file: str | None) -> Artifact:
        artifact_id = secrets.token_hex(16)
        partial = self._root / f".{artifact_id}"
        partial.mkdir(mode=0o700)
        try:
            files = {name: _copy(stream, partial / _safe(name)) for name, stream in contents}
            for folder in [partial, *(path for path in partial.rglob("*") if path.is_dir())]:
                sync_folder(folder)
            partial.rename(self._root / artifact_id)
            sync_folder(self._root)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return Artifact(artifact_id, format, file, files)

    def _check_bundle(self, artifact: Artifact) -> None:
        """An uploaded bundle is complete and undamaged; otherwise it is dropped and refused."""
        try:
            manifest = orjson.loads((self.directory(artifact.id) / MANIFEST).read_bytes())
            wanted: Mapping[str, str] = manifest["files"]
            wrong = [name for name, digest in wanted.items() if artifact.files.get(name) != digest]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.remove(artifact.id)
            raise InvalidArgument(f"{MANIFEST} must be what EXPORT MODEL wrote", given=str(error)) from error
        if wrong:
            self.remove(artifact.id)
            raise InvalidArgument(
                "A bundle's files must match its manifest",
                given=f"{', '.join(wrong)} missing or changed",
                do="export the model again and upload the whole directory",
            )

    def verify(self, artifact: Artifact) -> Path:
        """The artifact's folder after its checksums were compared; DataLoss names a damaged file."""
        directory = self.directory(artifact.id)
        for name, wanted in artifact.files.items():
            try:
                with (directory / name).open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError:
                found = "missing"
            if found != wanted:
                raise DataLoss("A stored model must match its checksum", given=name, do="upload the model again")
        return directory

    def remove(self, artifact_id: str) -> None:
        shutil.rmtree(self.directory(artifact_id), ignore_errors=True)

    def sweep(self, used: set[str]) -> None:
        """Remove what no version names: copies that a crash cut off."""
        for path in self._root.iterdir():
            if path.is_dir() and path.name not in used:
                shutil.rmtree(path, ignore_errors=True)


def _copy(stream: BinaryIO, target: Path) -> str:
    """Write ``stream`` to ``target`` durably; returns its SHA-256."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with stream, target.open("xb") as out:
        while piece := stream.read(1 << 20):
            digest.update(piece)
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def write_document(path: Path, document: object) -> None:
    """A small JSON file, whole and durable."""
    write_private(path, orjson.dumps(document), replace=True)


def bucket_prefix(uri: str) -> tuple[str, str]:
    """Bucket and key prefix of a ``gs://`` directory; the prefix ends with ``/`` unless it is the whole bucket.

    >>> bucket_prefix("gs://b/dir/model")
    ('b', 'dir/model/')
    """
    if not uri.startswith("gs://"):
        raise Unimplemented("Artifacts must lie in Cloud Storage", given=uri, do="give a gs:// directory")
    bucket, _, prefix = uri.removeprefix("gs://").partition("/")
    prefix = prefix.rstrip("/")
    if not bucket:
        raise InvalidArgument("An artifact address must have the form gs://bucket/directory", given=uri)
    return bucket, f"{prefix}/" if prefix else ""
