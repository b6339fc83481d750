"""Artifact directories: exactly one model, copied for good."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tule.kernel.errors import DataLoss, InvalidArgument
from tule.kernel.home import Home
from tule.vertex.registry import Artifacts, runtime_of
from tule.vertex.registry.artifacts import bucket_prefix, find_model

SKLEARN = runtime_of("us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest")
XGBOOST = runtime_of("us-docker.pkg.dev/vertex-ai/prediction/xgboost-cpu.2-1:latest")
TENSORFLOW = runtime_of("us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest")
WHERE = "gs://b/dir/"


def test_one_model_file_is_found() -> None:
    assert find_model(["model.joblib", "notes.txt"], SKLEARN, WHERE) == ("pickle", "model.joblib")
    assert find_model(["model.bst"], XGBOOST, WHERE) == ("booster", "model.bst")
    assert find_model(["model.pkl"], XGBOOST, WHERE) == ("pickle", "model.pkl")
    assert find_model(["saved_model.pb", "variables/variables.index"], TENSORFLOW, WHERE) == (
        "saved_model",
        "saved_model.pb",
    )
    assert find_model(["bundle.json", "arrays.npz", "model.ubj"], XGBOOST, WHERE) == ("bundle", "bundle.json")
    assert find_model(["anything"], None, WHERE) == ("files", None)


@pytest.mark.parametrize(
    ("names", "image", "message"),
    [
        ([], SKLEARN, "given: no object under gs://b/dir/"),
        (["notes.txt"], SKLEARN, "exactly one of model.joblib, model.pkl.*given: notes.txt in gs://b/dir/"),
        (["model.joblib", "model.pkl"], SKLEARN, "one model.*given: model.joblib and model.pkl in gs://b/dir/"),
        (["bundle.json", "model.joblib"], SKLEARN, "given: bundle.json and model.joblib"),
        (["model.bst"], SKLEARN, "Next: model.bst belongs to another framework"),
        (["v1/model.joblib"], SKLEARN, "Next: give the directory that holds v1/model.joblib"),
        ([f"part-{n}" for n in range(9)], XGBOOST, "part-0, part-1, part-2, part-3, part-4 and 4 more"),
    ],
)
def test_none_or_two_are_refused_by_name(names: list[str], image: object, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        find_model(names, image, WHERE)  # type: ignore[arg-type]


def test_the_copy_does_not_follow_its_source(home: Home, files: Any) -> None:
    artifacts = Artifacts(home)
    source = files({"model.joblib": b"one", "sub/extra.txt": b"two"})
    stored = artifacts.store(source, SKLEARN)
    source.files["model.joblib"] = b"changed"
    folder = artifacts.verify(stored)
    assert (folder / "model.joblib").read_bytes() == b"one"
    assert (folder / "sub" / "extra.txt").read_bytes() == b"two"


def test_a_damaged_copy_is_noticed(home: Home, files: Any) -> None:
    artifacts = Artifacts(home)
    stored = artifacts.store(files({"model.joblib": b"one"}), SKLEARN)
    (artifacts.directory(stored.id) / "model.joblib").write_bytes(b"two")
    with pytest.raises(DataLoss, match=r"model\.joblib"):
        artifacts.verify(stored)


@pytest.mark.parametrize("name", ["../model.joblib", "a/../../b", "/etc/passwd", "a//b"])
def test_an_object_key_cannot_leave_the_folder(home: Home, files: Any, name: str) -> None:
    artifacts = Artifacts(home)
    with pytest.raises(InvalidArgument, match="plain file name"):
        artifacts.store(files({"model.joblib": b"", name: b""}), SKLEARN)
    assert not list(artifacts.directory("").iterdir())


def test_a_bundle_must_match_its_manifest(home: Home, files: Any) -> None:
    artifacts = Artifacts(home)
    manifest = json.dumps({"format": "tule-bundle", "files": {"arrays.npz": "00"}}).encode()
    with pytest.raises(InvalidArgument, match=r"arrays\.npz missing or changed"):
        artifacts.store(files({"bundle.json": manifest, "arrays.npz": b"x"}), SKLEARN)
    assert not list(artifacts.directory("").iterdir())


def test_sweeping_keeps_what_is_used(home: Home, files: Any) -> None:
    artifacts = Artifacts(home)
    kept = artifacts.store(files({"model.joblib": b"1"}), SKLEARN)
    gone = artifacts.store(files({"model.joblib": b"2"}), SKLEARN)
    artifacts.directory(".half").mkdir()
    artifacts.sweep({kept.id})
    assert artifacts.directory(kept.id).exists()
    assert not artifacts.directory(gone.id).exists() and not artifacts.directory(".half").exists()


def test_addresses() -> None:
    assert bucket_prefix("gs://b") == ("b", "")
    assert bucket_prefix("gs://b/x/y/") == ("b", "x/y/")
    with pytest.raises(InvalidArgument, match="gs://bucket/directory"):
        bucket_prefix("gs:///x")
