"""Bundles: the same model comes back, the same seed gives the same bytes, damage is named."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from tule.kernel.errors import AlreadyExists, DataLoss, NotFound, Unimplemented
from tule.learn import bundle
from tule.learn.data import ArrowBatches
from tule.learn.models import FAMILIES

FEATURES = ["a", "b", "city", "on"]
LABELS = {
    "linear_regression": "y",
    "logistic_regression": "label",
    "boosted_tree_regressor": "y",
    "boosted_tree_classifier": "flag",
    "random_forest_regressor": "y",
    "random_forest_classifier": "label",
    "kmeans": None,
    "pca": None,
}
OPTIONS = {
    "boosted_tree_regressor": {"category_encoding_method": "TARGET_ENCODING"},
    "boosted_tree_classifier": {"category_encoding_method": "TARGET_ENCODING"},
    "random_forest_regressor": {"num_parallel_tree": 4},
    "random_forest_classifier": {"num_parallel_tree": 4},
    "pca": {"num_principal_components": 3},
}


def test_every_family_is_covered() -> None:
    # Ratings and series are no features of a table, networks need PyTorch: their own tests have their bundles.
    # A blend is one of several models.
    others = {
        "matrix_factorization",
        "arima_plus",
        "arima_plus_xreg",
        "transform_only",
        "automl_regressor",
        "automl_classifier",
        "contribution_analysis",
    }
    assert {*LABELS, *others} == {name for name in FAMILIES if not name.startswith(("dnn_", "autoencoder"))}
    assert all(name == family.name == family.model.family for name, family in FAMILIES.items())


def fit(family: str, table: pa.Table, **more: Any) -> Any:
    data, options = ArrowBatches(table), OPTIONS.get(family, {})
    return FAMILIES[family].fit(data, label=LABELS[family], features=FEATURES, options=options, seed=7, **more)


@pytest.mark.parametrize("family", LABELS)
def test_the_same_model_comes_back(family: str, table: pa.Table, tmp_path: Path) -> None:
    model = fit(family, table)
    metrics, provenance = {"r2_score": float("nan"), "n": 3}, {"query": "SELECT 1", "nested": [{"x": float("-inf")}]}
    saved = bundle.save(model, tmp_path / "m", metrics=metrics, provenance=provenance)
    loaded = bundle.load(tmp_path / "m")
    assert type(loaded) is type(model)
    assert loaded.predict(table).equals(model.predict(table))
    for name in ("signature", "options", "classes", "iterations", "statistics", "num_rows", "skipped_rows", "notes"):
        assert getattr(loaded, name) == getattr(model, name), name
    if FAMILIES[family].supervised:
        assert loaded.explain(table.slice(0, 50)).equals(model.explain(table.slice(0, 50)))
    manifest = bundle.read(tmp_path / "m")
    assert manifest.family == saved.family == family
    assert manifest.provenance == provenance
    assert np.isnan(manifest.metrics["r2_score"]) and manifest.metrics["n"] == 3
    assert bundle.is_bundle(tmp_path / "m") and not bundle.is_bundle(tmp_path)


@pytest.mark.parametrize("family", LABELS)
def test_the_same_seed_gives_the_same_bytes(family: str, table: pa.Table, tmp_path: Path) -> None:
    for name in ("one", "two"):
        bundle.save(fit(family, table), tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert bundle.MANIFEST in files and bundle.ARRAYS in files
    for name in files:
        if name != bundle.TIMINGS:
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_weights_and_histories_survive(table: pa.Table, tmp_path: Path) -> None:
    model = FAMILIES["linear_regression"].fit(
        ArrowBatches(table),
        label="y",
        features=FEATURES,
        options={"calculate_p_values": True, "category_encoding_method": "DUMMY_ENCODING"},
    )
    bundle.save(model, tmp_path / "m")
    loaded = bundle.load(tmp_path / "m")
    assert loaded.weights() == model.weights()
    assert str(loaded.advanced_weights()) == str(model.advanced_weights())
    assert loaded.linear_expression() == model.linear_expression()
    clusters = fit("kmeans", table)
    bundle.save(clusters, tmp_path / "k")
    loaded = bundle.load(tmp_path / "k")
    assert loaded.iterations == clusters.iterations and loaded.iterations[0].clusters
    found = loaded.detect_anomalies(table, contamination=0.1)
    assert found.equals(clusters.detect_anomalies(table, contamination=0.1))


def test_a_bundle_is_only_data(table: pa.Table, tmp_path: Path) -> None:
    bundle.save(fit("boosted_tree_classifier", table), tmp_path / "m")
    assert {path.name for path in (tmp_path / "m").iterdir()} == {
        "bundle.json",
        "arrays.npz",
        "model.ubj",
        "timings.json",
    }
    with np.load(tmp_path / "m" / "arrays.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "fiub" for name in arrays.files)


@pytest.mark.parametrize("name", ["arrays.npz", "model.ubj"])
def test_a_changed_file_is_named(table: pa.Table, tmp_path: Path, name: str) -> None:
    bundle.save(fit("boosted_tree_regressor", table), tmp_path / "m")
    content = bytearray((tmp_path / "m" / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "m" / name).write_bytes(content)
    with pytest.raises(DataLoss, match=f"match their checksums; given: {name} differs"):
        bundle.load(tmp_path / "m")
    (tmp_path / "m" / name).unlink()
    with pytest.raises(DataLoss, match=f"complete; given: {name} is missing"):
        bundle.load(tmp_path / "m")


def change(directory: Path, **fields: Any) -> None:
    path = directory / "bundle.json"
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | fields))


def test_manifests_that_cannot_be_read(table: pa.Table, tmp_path: Path) -> None:
    bundle.save(fit("linear_regression", table), tmp_path / "m")
    change(tmp_path / "m", version=99)
    with pytest.raises(Unimplemented, match="format version 1; given: 99"):
        bundle.load(tmp_path / "m")
    change(tmp_path / "m", version=1, family="oracle")
    with pytest.raises(Unimplemented, match="known model family; given: oracle"):
        bundle.load(tmp_path / "m")
    change(tmp_path / "m", family="kmeans")
    with pytest.raises(DataLoss, match="must fit together"):
        bundle.load(tmp_path / "m")
    change(tmp_path / "m", files={"../secret": "00"})
    with pytest.raises(DataLoss, match="own directory"):
        bundle.load(tmp_path / "m")
    (tmp_path / "m" / "bundle.json").write_bytes(b'{"format": "tule-bundle", "version": 1')
    with pytest.raises(DataLoss, match="damaged in m"):
        bundle.read(tmp_path / "m")
    with pytest.raises(NotFound, match=r"must hold bundle\.json; given: nothing"):
        bundle.load(tmp_path / "nothing")


def test_a_bundle_appears_whole_or_not_at_all(table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fit("linear_regression", table)
    real = os.fsync

    def full(handle: int) -> None:
        if (tmp_path / "m").exists() or len(list(tmp_path.rglob("*.npz"))):
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        bundle.save(model, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    bundle.save(model, tmp_path / "m")
    with pytest.raises(AlreadyExists, match="given: m"):
        bundle.save(model, tmp_path / "m")


def test_durations_are_kept_beside(table: pa.Table, tmp_path: Path) -> None:
    def slow(iteration: int, loss: float, eval_loss: float | None, fraction: float) -> None:
        time.sleep(0.002)

    model = fit("boosted_tree_regressor", table, progress=slow)
    assert sum(item.duration_ms for item in model.iterations) > 0
    bundle.save(model, tmp_path / "m")
    assert bundle.load(tmp_path / "m").iterations == model.iterations
    (tmp_path / "m" / bundle.TIMINGS).unlink()
    assert {item.duration_ms for item in bundle.load(tmp_path / "m").iterations} == {0}


@pytest.mark.parametrize(
    "kind", [pa.date32(), pa.binary(), pa.bool_(), pa.timestamp("us", tz="UTC"), pa.decimal128(21, 2)]
)
def test_classes_of_every_type_come_back(kind: pa.DataType, tmp_path: Path) -> None:
    numbers = pa.array([0, 1] * 20)
    if pa.types.is_binary(kind):
        label = pa.array([b"\x00", b"\xff"] * 20)
    elif pa.types.is_date(kind):
        label = numbers.cast(pa.int32()).cast(kind)
    else:
        label = numbers.cast(kind)
    table = pa.table({"x": np.arange(40.0) + np.tile([0.0, 9.0], 20), "when": label})
    model = FAMILIES["boosted_tree_classifier"].fit(ArrowBatches(table), label="when")
    bundle.save(model, tmp_path / "m")
    loaded = bundle.load(tmp_path / "m")
    assert loaded.classes == model.classes and len(loaded.classes) == 2
    assert loaded.predict(table)["label"].type == kind
