"""K-means against scikit-learn on the same encoded matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import davies_bouldin_score

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.learn.data import ArrowBatches
from tule.learn.metrics import evaluate
from tule.learn.models import FAMILIES

FAMILY = FAMILIES["kmeans"]


def blobs(rows: int = 2000, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    centers = np.array([[0, 0, 0], [10, 0, 5], [0, 12, -5], [-9, -9, 9]], float)
    group = rng.integers(0, 4, rows)
    points = centers[group] + rng.normal(size=(rows, 3))
    return pa.table(
        {
            "p": pa.array(points[:, 0], mask=rng.random(rows) < 0.05),
            "q": points[:, 1],
            "r": points[:, 2],
            "kind": pa.array(np.array(["k", "l", "m", "n"])[group], mask=rng.random(rows) < 0.05),
        }
    )


def fit(table: pa.Table, *, batch_rows: int = 65_536, **more: Any) -> Any:
    options = {"num_clusters": 4, **more.pop("options", {})}
    return FAMILY.fit(ArrowBatches(table, batch_rows), label=None, options=options, **more)


def encoded(model: Any, table: pa.Table) -> np.ndarray:
    return model.encoding.encode(table.combine_chunks().to_batches()[0], scaled=True).to_dense()


@pytest.mark.parametrize("method", ["RANDOM", "KMEANS++"])
def test_it_is_lloyds_algorithm(method: str) -> None:
    table = blobs()
    options = {"kmeans_init_method": method, "max_iterations": 100, "min_rel_progress": 0.0}
    model = fit(table, options=options, seed=1)
    X = encoded(model, table)
    own = model.predict(table)["centroid_id"].to_numpy() - 1
    for at in range(4):
        np.testing.assert_allclose(model.centers[at], X[own == at].mean(axis=0), atol=1e-9)
    inertia = KMeans(4, n_init=10, random_state=0).fit(X).inertia_ / len(X)
    metrics = evaluate(model, ArrowBatches(table))
    assert list(metrics) == ["davies_bouldin_index", "mean_squared_distance"]
    if method == "KMEANS++":  # random starts may end in a poorer optimum
        assert metrics["mean_squared_distance"] == pytest.approx(inertia, rel=1e-6)
    assert metrics["davies_bouldin_index"] == pytest.approx(davies_bouldin_score(X, own), rel=1e-6)
    losses = [item.loss for item in model.iterations]
    assert losses == sorted(losses, reverse=True) and model.iterations[0].number == 0
    assert sum(cluster.size for cluster in model.clusters) == table.num_rows


def test_numbers_are_scaled_by_the_sample_deviation_and_categories_are_not() -> None:
    table = blobs()
    X = encoded(fit(table), table)
    p = table["p"].to_pandas()
    np.testing.assert_allclose(X[:, 0], ((p - p.mean()) / p.std()).fillna(0.0), atol=1e-12)
    assert set(np.unique(X[:, 3:])) == {0.0, 1.0} and X.shape[1] == 3 + 5
    raw = encoded(fit(table, options={"standardize_features": False}), table)
    np.testing.assert_allclose(raw[:, 1], table["q"].to_numpy())


def test_centroids_are_means_and_shares() -> None:
    table = blobs()
    model = fit(table)
    own = model.predict(table)["centroid_id"].to_numpy()
    lines = {(line.centroid_id, line.name): line for line in model.centroids()}
    assert len(lines) == 4 * 4
    for place in range(1, 5):
        members = table.filter(pa.array(own == place)).to_pandas()
        q = lines[place, "q"]
        assert q.value == pytest.approx(members["q"].mean(), abs=0.05) and q.categories == ()
        shares = dict(lines[place, "kind"].categories)
        assert set(shares) == {"k", "l", "m", "n", "_null_filler"}
        assert sum(shares.values()) == pytest.approx(1.0)
        assert shares["_null_filler"] == pytest.approx(members["kind"].isna().mean(), abs=0.02)


def test_prediction_lists_the_nearest_five() -> None:
    table = blobs()
    model = fit(table, options={"num_clusters": 8})
    answer = model.predict(table.slice(0, 100)).to_pylist()
    X = encoded(model, table.slice(0, 100))
    wanted = np.sqrt(((X[:, None, :] - model.centers) ** 2).sum(axis=2))
    for row, distances in zip(answer, wanted, strict=True):
        assert len(row["distances"]) == 5
        ids = [item["centroid_id"] for item in row["distances"]]
        assert row["centroid_id"] == ids[0] == distances.argmin() + 1
        np.testing.assert_allclose([item["distance"] for item in row["distances"]], np.sort(distances)[:5], atol=1e-9)


@pytest.mark.parametrize("rows", [2000, 9000])
def test_contamination_is_a_share_of_the_training_rows(rows: int) -> None:
    table = blobs(rows)
    model = fit(table)
    for contamination in (0.0, 0.01, 0.25, 0.5):
        found = model.detect_anomalies(table, contamination=contamination)
        assert found["is_anomaly"].to_numpy().sum() == pytest.approx(contamination * rows, abs=rows / 2000 + 1)
    own = found["centroid_id"].to_numpy() - 1
    normal = found["normalized_distance"].to_numpy()
    for at in range(4):
        assert np.mean(normal[own == at] ** 2) == pytest.approx(1.0)
    far = model.detect_anomalies(pa.table({"p": [99.0], "q": [99.0], "r": [99.0], "kind": ["k"]}), contamination=0.01)
    assert far["is_anomaly"].to_pylist() == [True]
    with pytest.raises(InvalidArgument, match=r"between 0 and 0\.5"):
        model.detect_anomalies(table, contamination=0.6)


def test_cosine_ignores_length() -> None:
    rng = np.random.default_rng(0)
    angle = np.repeat([0.0, 2.0, 4.0], 200) + rng.normal(scale=0.1, size=600)
    length = rng.uniform(1, 100, 600)
    table = pa.table({"x": length * np.cos(angle), "y": length * np.sin(angle)})
    options = {
        "num_clusters": 3,
        "distance_type": "COSINE",
        "standardize_features": False,
        "kmeans_init_method": "KMEANS++",
    }
    model = fit(table, options=options)
    own = model.predict(table)["centroid_id"].to_numpy()
    assert [len(set(own[start : start + 200])) for start in (0, 200, 400)] == [1, 1, 1]
    one, ten = (model.predict(pa.table({"x": [scale], "y": [scale]}))["distances"][0].as_py() for scale in (1.0, 10.0))
    assert [item["distance"] for item in one] == pytest.approx([item["distance"] for item in ten])


def test_custom_first_centroids() -> None:
    table = blobs()
    marks = np.zeros(table.num_rows, bool)
    marks[[3, 50, 700]] = True
    marked = table.append_column("start", pa.array(marks))
    options = {"num_clusters": 3, "kmeans_init_method": "CUSTOM"}
    model = fit(marked, options=options, initial_rows="start")
    assert "start" not in model.features and len(model.centers) == 3
    assert fit(marked, options=options, initial_rows="start", seed=9).centers.tolist() == model.centers.tolist()
    with pytest.raises(InvalidArgument, match=r"exactly NUM_CLUSTERS = 4 rows; given: 3"):
        fit(marked, options={"kmeans_init_method": "CUSTOM"}, initial_rows="start")
    with pytest.raises(InvalidArgument, match="must be a BOOL column; given: double"):
        fit(table, options=options, initial_rows="q")
    with pytest.raises(InvalidArgument, match="go together"):
        fit(table, options=options)


@pytest.mark.parametrize("batch_rows", [64, 999])
def test_streaming_equals_batch(batch_rows: int) -> None:
    table = blobs()
    one, other = fit(table, seed=2), fit(table, batch_rows=batch_rows, seed=2)
    np.testing.assert_allclose(other.centers, one.centers, atol=1e-9)
    np.testing.assert_allclose(other.cutoffs, one.cutoffs, atol=1e-9)


def test_default_number_of_clusters_and_seeds() -> None:
    table = blobs(1200)
    assert len(FAMILY.fit(ArrowBatches(table), label=None).centers) == 3
    assert fit(table, seed=5).centers.tolist() == fit(table, seed=5).centers.tolist()


def test_a_warm_start_goes_on() -> None:
    table = blobs()
    first = fit(table, options={"max_iterations": 1}, seed=3)
    second = fit(table, options={"max_iterations": 5}, warm_start=first)
    assert second.iterations[0].loss <= first.iterations[0].loss
    with pytest.raises(InvalidArgument, match="keeps the number of clusters; given: 4 before, 5 now"):
        fit(table, options={"num_clusters": 5}, warm_start=first)


def test_identical_rows_are_at_distance_zero() -> None:
    table = pa.table({"x": [1.5] * 50 + [7.25] * 50, "c": ["a"] * 50 + ["b"] * 50})
    model = fit(table, options={"num_clusters": 2})
    assert evaluate(model, ArrowBatches(table))["mean_squared_distance"] < 1e-25
    assert not any(model.detect_anomalies(table, contamination=0.1)["is_anomaly"].to_pylist())


def test_what_clustering_refuses() -> None:
    table = blobs(50)
    with pytest.raises(InvalidArgument, match="at least as many rows as clusters; given: 3 rows"):
        fit(table.slice(0, 3))
    with pytest.raises(InvalidArgument, match="takes no label column"):
        FAMILY.fit(ArrowBatches(table), label="q")
    with pytest.raises(InvalidArgument, match="NUM_CLUSTERS must be between 2 and 100"):
        fit(table, options={"num_clusters": 101})
    with pytest.raises(Unimplemented, match="no feature attributions"):
        fit(table).explain(table)
