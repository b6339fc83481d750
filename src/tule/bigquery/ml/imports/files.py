"""The files that MODEL_PATH names, copied into a bundle that is being made."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from tule.bigquery.ml.mistakes import wrong
from tule.bigquery.ml.options.model_types import ONNX, TENSORFLOW, TENSORFLOW_LITE, XGBOOST
from tule.bigquery.source_files import ObjectFiles
from tule.kernel.errors import InvalidArgument, NotFound
from tule.kernel.home import sync_folder

LARGEST = 450 * 2**20
"""Bytes of an imported model's files, the service's limit."""
MOST = 1000
FOLDER = "files"
_ENDINGS: dict[str, tuple[str, ...]] = {
    ONNX: (".onnx",),
    XGBOOST: (".bst", ".json", ".ubj"),
    TENSORFLOW_LITE: (".tflite",),
}
_SAVED = ("saved_model.pb", "saved_model.pbtxt")


def copy_files(
    model_type: str, path: str, objects: ObjectFiles, folder: Path, check: Callable[[], None]
) -> tuple[dict[str, int], str]:
    """Copy what ``path`` names below ``folder``: the sizes by relative name, and the file that is opened.

    InvalidArgument where it names no model of the type, or one that is too large.
    """
    if not path.startswith("gs://") or path.count("*") > 1 or ("*" in path and not path.endswith("*")):
        raise wrong(
            "MODEL_PATH must be gs://BUCKET/DIRECTORY/* or the address of one file", given=repr(path),
            do="name the files of the model in Cloud Storage",
        )  # fmt: skip
    found = [each for each in objects.glob(path) if not each.key.endswith("/")]
    if not found:
        raise NotFound(f"Not found: URI {path}", reason="notFound")
    start = path.removeprefix("gs://").partition("/")[2]
    cut = len(start) - 1 if start.endswith("*") else start.rfind("/") + 1
    names = {each.key[cut:].lstrip("/"): objects.path(each.bucket, each.key) for each in found}
    opened = _model_file(model_type, path, list(names))
    kept = names if model_type in (TENSORFLOW, ONNX) else {opened: names[opened]}
    sizes = {name: source.stat().st_size for name, source in kept.items()}
    if sum(sizes.values()) > LARGEST or len(sizes) > MOST:
        raise wrong(
            f"The files of an imported model must be at most {LARGEST >> 20} MB and {MOST} files",
            given=f"{len(sizes)} files of {sum(sizes.values()) / 2**20:.0f} MB",
            do="serve a larger model from an endpoint, as a remote model",
        )
    for name, source in kept.items():
        check()
        _copy(source, folder / _safe(name))
    for each in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        sync_folder(each)
    return sizes, opened


def _model_file(model_type: str, path: str, names: list[str]) -> str:
    if model_type == TENSORFLOW:
        saved = [name for name in names if name in _SAVED]
        if len(saved) == 1:
            return saved[0]
        deeper = [name for name in names if PurePosixPath(name).name in _SAVED]
        raise wrong(
            "The directory of a TensorFlow model must hold saved_model.pb", given=_some(names) + f" in {path}",
            do=f"name the directory of {deeper[0]}" if deeper else "export a SavedModel and name its directory",
        )  # fmt: skip
    endings = _ENDINGS[model_type]
    fitting = [name for name in names if name.lower().endswith(endings)]
    if len(fitting) != 1:
        raise wrong(
            f"MODEL_PATH of a model of type {model_type} must name one file that ends in {' or '.join(endings)}",
            given=_some(fitting or names), do="name the file itself",
        )  # fmt: skip
    return fitting[0]


def _some(names: list[str]) -> str:
    return ", ".join(sorted(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _safe(name: str) -> PurePosixPath:
    """A key as a relative path: it must not lead out of the folder."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\x00" in part or len(part) > 255 for part in parts):
        raise InvalidArgument(
            "The files of a model must have plain names", given=repr(name[:200]), do="rename the object",
            reason="invalidQuery", location="query",
        )  # fmt: skip
    return PurePosixPath(*parts)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with source.open("rb") as read, target.open("xb") as write:
        shutil.copyfileobj(read, write, 1 << 20)
        write.flush()
        os.fsync(write.fileno())
