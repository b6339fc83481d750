"""PCA against numpy's own decomposition and scikit-learn; what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tule.kernel.errors import InvalidArgument, ResourceExhausted, Unimplemented
from tule.learn import bundle, metrics
from tule.learn.data import ArrowBatches
from tule.learn.models import FAMILIES
from tule.learn.models import pca as pca_module
from tule.learn.runtime import load

FEATURES = ["a", "b", "city", "on"]


def fit(table: pa.Table, *, features: list[str] | None = None, **options: Any) -> Any:
    return FAMILIES["pca"].fit(ArrowBatches(table, 700), label=None, features=features or FEATURES, options=options)


def test_components_are_those_of_the_encoded_rows(table: pa.Table, design: Callable[[pa.Table], Any]) -> None:
    matrix = design(table)
    model = fit(table, num_principal_components=4)
    values, vectors = np.linalg.eigh(matrix.T @ matrix / (len(matrix) - 1))
    info = model.component_info()
    assert [each.component_id for each in info] == [0, 1, 2, 3]
    np.testing.assert_allclose([each.eigenvalue for each in info], values[::-1][:4], rtol=1e-10)
    np.testing.assert_allclose(info[-1].cumulative_explained_variance_ratio, values[::-1][:4].sum() / values.sum())
    scores = model.predict(table)
    assert scores.column_names == [f"principal_component_{n}" for n in (1, 2, 3, 4)]
    found = np.column_stack([column.to_numpy() for column in scores.columns])
    np.testing.assert_allclose(np.abs(found), np.abs(matrix @ vectors[:, ::-1][:, :4]), atol=1e-9)


def test_loadings_are_told_by_feature_and_category(table: pa.Table) -> None:
    model = fit(table, num_principal_components=2)
    lines = model.components()
    assert [(line.component_id, line.name) for line in lines] == [(at, name) for at in (0, 1) for name in FEATURES]
    city = next(line for line in lines if line.name == "city")
    assert city.value is None
    assert [name for name, _ in city.categories] == ["ams", "ber", "cai", "dub", "_null_filler"]
    for line in lines[:4]:
        own = [line.value] if line.value is not None else [value for _, value in line.categories]
        assert np.isfinite(own).all()
    whole = [
        v for line in lines[:4] for v in ([line.value] if line.value is not None else dict(line.categories).values())
    ]
    assert max(whole, key=abs) > 0 and np.dot(whole, whole) == pytest.approx(1.0)


def test_plain_numbers_agree_with_scikit_learn() -> None:
    from sklearn.datasets import load_wine
    from sklearn.decomposition import PCA

    data = load_wine().data
    names = [f"x{at}" for at in range(data.shape[1])]
    table = pa.table(dict(zip(names, data.T, strict=True)))
    for scaled in (True, False):
        model = fit(table, features=names, num_principal_components=5, scale_features=scaled)
        own = (data - data.mean(axis=0)) / (data.std(axis=0, ddof=1) if scaled else 1.0)
        theirs = PCA(5).fit(own)
        ratios = [each.explained_variance_ratio for each in model.component_info()]
        np.testing.assert_allclose(ratios, theirs.explained_variance_ratio_, rtol=1e-9)


def test_the_ratio_chooses_the_number_of_components(table: pa.Table) -> None:
    whole = fit(table, num_principal_components=9).component_info()
    wanted = whole[2].cumulative_explained_variance_ratio
    assert len(fit(table, pca_explained_variance_ratio=wanted).component_info()) == 3
    assert len(fit(table, pca_explained_variance_ratio=wanted + 1e-6).component_info()) == 4


def test_the_randomized_solver_finds_the_same(table: pa.Table) -> None:
    full, random = (fit(table, num_principal_components=3, pca_solver=name) for name in ("FULL", "RANDOMIZED"))
    np.testing.assert_allclose(random.loadings, full.loadings, atol=1e-6)
    np.testing.assert_allclose(random.eigenvalues, full.eigenvalues, rtol=1e-9)


def test_evaluation_and_anomalies(table: pa.Table, design: Callable[[pa.Table], Any]) -> None:
    model = fit(table, num_principal_components=2)
    matrix = design(table)
    assert metrics.evaluate(model, ArrowBatches(table)) == {
        "total_explained_variance_ratio": pytest.approx(model.component_info()[-1].cumulative_explained_variance_ratio)
    }
    found = model.detect_anomalies(table, contamination=0.1)
    rest = matrix - matrix @ model.loadings.T @ model.loadings
    np.testing.assert_allclose(
        found.column("mean_squared_error").to_numpy(), (rest**2).sum(axis=1) / len(FEATURES), atol=1e-9
    )
    flags = found.column("is_anomaly").to_numpy()
    assert flags.sum() == round(0.1 * len(matrix))
    assert not model.detect_anomalies(table, contamination=0.0).column("is_anomaly").to_numpy().any()


def test_served_rows_have_the_same_coordinates(table: pa.Table, tmp_path: Path) -> None:
    model = fit(table, num_principal_components=2)
    bundle.save(model, tmp_path / "m")
    runner = load(tmp_path / "m")
    rows = table.slice(0, 20).select(FEATURES)
    answers = runner.predict(rows.to_pylist())
    assert answers[0]["principal_component_ids"] == [1, 2]
    expected = np.column_stack([column.to_numpy() for column in model.predict(rows).columns])
    np.testing.assert_allclose([each["projections"] for each in answers], expected, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "exactly one of"),
        ({"num_principal_components": 2, "pca_explained_variance_ratio": 0.5}, "exactly one of"),
        ({"pca_explained_variance_ratio": 1.0}, "between 0 and 1"),
        ({"num_principal_components": 99}, "at most the 10 encoded columns"),
        ({"pca_explained_variance_ratio": 0.5, "pca_solver": "RANDOMIZED"}, "needs NUM_PRINCIPAL_COMPONENTS"),
        ({"num_principal_components": 2, "max_iterations": 3}, "Unsupported option MAX_ITERATIONS"),
    ],
    ids=["neither", "both", "ratio of one", "too many", "randomized by ratio", "an option of others"],
)
def test_wrong_options_are_named(table: pa.Table, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        fit(table, **options)


def test_rows_that_have_no_components_are_refused(table: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidArgument, match="at least two rows"):
        fit(table.slice(0, 1), num_principal_components=1)
    constant = pa.table({"x": [1.0, 1.0, 1.0]})
    with pytest.raises(InvalidArgument, match="a feature that varies"):
        fit(constant, features=["x"], num_principal_components=1)
    with pytest.raises(InvalidArgument, match="takes no label"):
        FAMILIES["pca"].fit(ArrowBatches(table), label="y", options={"num_principal_components": 1})
    monkeypatch.setattr(pca_module, "MOST_COLUMNS", 4)
    with pytest.raises(ResourceExhausted, match="encoded columns"):
        fit(table, num_principal_components=1)
    monkeypatch.undo()
    with pytest.raises(Unimplemented, match="no centroids"):
        fit(table, num_principal_components=1).centroids()
