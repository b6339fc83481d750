"""A model on disk: a directory of data-only files. No code, no pickle.

    bundle.json     everything readable: family, signature, options, history, statistics, the SHA-256 of the others
    arrays.npz      the numbers (loaded with allow_pickle=False)
    model.ubj       boosted trees only: xgboost's own format
    timings.json    how long each iteration took: the only bytes that differ between two trainings with one seed, and
                    therefore the only ones that carry no checksum

A directory appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tule.kernel.errors import AlreadyExists, DataLoss, NotFound, Unimplemented
from tule.learn.models.base import Cluster, FeatureStatistics, Iteration, Model, Parts
from tule.learn.schema import Field, Signature

FORMAT = "tule-bundle"
VERSION = 1
MANIFEST = "bundle.json"
ARRAYS = "arrays.npz"
TIMINGS = "timings.json"


@dataclass(frozen=True)
class Manifest:
    """What ``bundle.json`` says, read without loading the model.

    ``metrics`` and ``provenance`` are what the caller of ``save`` gave: JSON values that this module only keeps (the
    evaluation, the query that trained it, a TRANSFORM's statistics). ``classes`` are Python values of the label's type.
    """

    family: str
    signature: Signature
    options: dict[str, Any]
    classes: list[Any] | None
    num_rows: int
    skipped_rows: int
    notes: list[str]
    iterations: list[Iteration]
    statistics: list[FeatureStatistics]
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    files: dict[str, str]
    """File name -> SHA-256 in hex."""
    state: dict[str, Any]


def is_bundle(directory: Path) -> bool:
    """Whether ``directory`` holds a bundle (of any version)."""
    try:
        return bool(orjson.loads((directory / MANIFEST).read_bytes()).get("format") == FORMAT)
    except (OSError, ValueError, AttributeError):
        return False


def save(
    model: Model,
    directory: Path,
    *,
    metrics: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Manifest:
    """Write ``model`` to ``directory``, which must not exist; durable and whole when this returns.

    Written beside it under a private name, fsynced, then renamed. Raises AlreadyExists if ``directory`` is there.
    """
    if directory.exists():
        raise AlreadyExists("A bundle is saved to a new directory", given=directory.name, do="choose another name")
    parts = model.to_parts()
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **parts.arrays)
    contents = {ARRAYS: packed.getvalue(), **parts.files}
    label = model.signature.label
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "family": model.family,
        "signature": model.signature.to_json(),
        "options": model.options,
        "classes": None if model.classes is None or label is None else [to_json(value) for value in model.classes],
        "num_rows": model.num_rows,
        "skipped_rows": model.skipped_rows,
        "notes": model.notes,
        "iterations": [{**asdict(item), "duration_ms": 0} for item in model.iterations],
        "statistics": [asdict(item) for item in model.statistics],
        "metrics": dict(metrics or {}),
        "provenance": dict(provenance or {}),
        "state": parts.state,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())},
    }
    contents[MANIFEST] = orjson.dumps(_packed(manifest), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    contents[TIMINGS] = orjson.dumps([item.duration_ms for item in model.iterations])
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary = directory.with_name(f".{directory.name}.{secrets.token_hex(8)}")
    temporary.mkdir()
    try:
        for name, content in contents.items():
            with (temporary / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _sync(temporary)
        temporary.rename(directory)
        _sync(directory.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return read(directory)


def read(directory: Path) -> Manifest:
    """The manifest alone. NotFound without one, DataLoss if it is damaged, Unimplemented for an unknown version."""
    path = directory / MANIFEST
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NotFound(
            f"A model directory must hold {MANIFEST}", given=directory.name, do="upload the whole directory"
        ) from error
    try:
        text = orjson.loads(content)
        if text["format"] != FORMAT:
            raise ValueError(text["format"])
        if text["version"] != VERSION:
            raise Unimplemented(
                f"A bundle must have format version {VERSION}",
                given=text["version"],
                do="load it with the version that saved it, or train again",
            )
        text = _unpacked(text)
        for item, duration in zip(text["iterations"], _durations(directory), strict=False):
            item["duration_ms"] = duration
        return Manifest(
            family=text["family"],
            signature=Signature.from_json(text["signature"]),
            options=text["options"],
            classes=None if text["classes"] is None else [from_json(value) for value in text["classes"]],
            num_rows=text["num_rows"],
            skipped_rows=text["skipped_rows"],
            notes=text["notes"],
            iterations=[
                Iteration(**{**item, "clusters": tuple(Cluster(**cluster) for cluster in item["clusters"])})
                for item in text["iterations"]
            ],
            statistics=[FeatureStatistics(**item) for item in text["statistics"]],
            metrics=text["metrics"],
            provenance=text["provenance"],
            files=text["files"],
            state=text["state"],
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataLoss(
            f"{MANIFEST} must be what Tule wrote", given=f"damaged in {directory.name}", do="restore it or train again"
        ) from error


def _durations(directory: Path) -> list[int]:
    try:
        return [int(item) for item in orjson.loads((directory / TIMINGS).read_bytes())]
    except (OSError, ValueError, TypeError):
        return []


def load(directory: Path) -> Model:
    """The model in ``directory``, after the checksum of every file was verified (DataLoss names a damaged one)."""
    from tule.learn.models import FAMILIES

    manifest = read(directory)
    if manifest.family not in FAMILIES:
        raise Unimplemented(
            "The bundle must hold a known model family", given=manifest.family, do=f"one of {', '.join(FAMILIES)}"
        )
    files: dict[str, bytes] = {}
    for name, wanted in manifest.files.items():
        if Path(name).name != name:
            raise DataLoss("A bundle's files must lie in its own directory", given=name)
        try:
            files[name] = (directory / name).read_bytes()
        except OSError as error:
            raise DataLoss(
                "A bundle must be complete", given=f"{name} is missing", do="restore it or train again"
            ) from error
        if hashlib.sha256(files[name]).hexdigest() != wanted:
            raise DataLoss(
                "A bundle's files must match their checksums",
                given=f"{name} differs",
                do="restore it from a copy or train again",
            )
    with np.load(io.BytesIO(files.pop(ARRAYS)), allow_pickle=False) as packed:
        arrays = {name: packed[name] for name in packed.files}
    common = {
        name: getattr(manifest, name)
        for name in ("signature", "options", "classes", "iterations", "statistics", "num_rows", "skipped_rows", "notes")
    }
    common["family"] = manifest.family
    try:
        return FAMILIES[manifest.family].model.from_parts(common, Parts(manifest.state, arrays, files))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataLoss(
            "A bundle's files must fit together", given=f"{type(error).__name__}: {error}", do="train again"
        ) from error


def to_json(value: Any) -> Any:
    """A Python value of an Arrow scalar (date, bytes, decimal and so on included) as JSON that keeps its type."""
    import base64
    import datetime
    import decimal

    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return {"bytes": base64.b64encode(value).decode()}
        case datetime.datetime():
            return {"datetime": value.isoformat()}
        case datetime.date():
            return {"date": value.isoformat()}
        case datetime.time():
            return {"time": value.isoformat()}
        case decimal.Decimal():
            return {"decimal": str(value)}
    raise TypeError(f"no JSON form for {type(value).__name__}")


def from_json(value: Any) -> Any:
    """The inverse of ``to_json``."""
    import base64
    import datetime
    import decimal

    match value:
        case {"bytes": text}:
            return base64.b64decode(text)
        case {"datetime": text}:
            return datetime.datetime.fromisoformat(text)
        case {"date": text}:
            return datetime.date.fromisoformat(text)
        case {"time": text}:
            return datetime.time.fromisoformat(text)
        case {"decimal": text}:
            return decimal.Decimal(text)
    return value


_SPECIAL = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


def _packed(value: Any) -> Any:
    """JSON has no NaN or infinity: they are kept as ``{"float": "nan"}``."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return {"float": str(value)}
    if isinstance(value, Mapping):
        return {str(name): _packed(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_packed(item) for item in value]
    if isinstance(value, np.generic):
        return _packed(value.item())
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and value.get("float") in _SPECIAL:
            return _SPECIAL[value["float"]]
        return {name: _unpacked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_unpacked(item) for item in value]
    return value


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


__all__ = ["FORMAT", "VERSION", "Field", "Manifest", "from_json", "is_bundle", "load", "read", "save", "to_json"]
