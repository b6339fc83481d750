"""Metrics against scikit-learn and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from tule.kernel.errors import InvalidArgument
from tule.learn import metrics
from tule.learn.data import ArrowBatches
from tule.learn.explain import global_explain
from tule.learn.models import FAMILIES

FEATURES = ["a", "b", "city", "on"]


@pytest.fixture(scope="module")
def models(table: pa.Table) -> dict[str, Any]:
    data = ArrowBatches(table.slice(0, 2000))
    return {
        "y": FAMILIES["linear_regression"].fit(data, label="y", features=FEATURES),
        "flag": FAMILIES["logistic_regression"].fit(data, label="flag", features=FEATURES),
        "label": FAMILIES["logistic_regression"].fit(data, label="label", features=FEATURES),
    }


def test_regression(models: dict[str, Any], table: pa.Table) -> None:
    rows = table.filter(pa.array(table["y"].to_numpy() > 0)).slice(0, 400)
    found = metrics.evaluate(models["y"], ArrowBatches(rows, 30))
    actual, predicted = rows["y"].to_numpy(), models["y"].predict(rows)["prediction"].to_numpy()
    errors = np.sort(np.abs(actual - predicted))
    assert list(found) == [
        "mean_absolute_error",
        "mean_squared_error",
        "mean_squared_log_error",
        "median_absolute_error",
        "r2_score",
        "explained_variance",
    ]
    assert found["mean_absolute_error"] == pytest.approx(reference.mean_absolute_error(actual, predicted))
    assert found["mean_squared_error"] == pytest.approx(reference.mean_squared_error(actual, predicted))
    assert found["median_absolute_error"] == errors[(len(errors) - 1) // 2]
    assert found["r2_score"] == pytest.approx(reference.r2_score(actual, predicted))
    assert found["explained_variance"] == pytest.approx(reference.explained_variance_score(actual, predicted))
    with np.errstate(invalid="ignore"):
        logs = np.mean((np.log1p(predicted) - np.log1p(actual)) ** 2)
    assert found["mean_squared_log_error"] == pytest.approx(logs, nan_ok=True)


def test_binary(models: dict[str, Any], table: pa.Table) -> None:
    rows, model = table.slice(2000), models["flag"]
    found = metrics.evaluate(model, ArrowBatches(rows, 100), threshold=0.3)
    score = metrics.matrix(model.predict(rows)["probabilities"], 2)[:, 1]
    actual, predicted = rows["flag"].to_numpy(), (score >= 0.3).astype(int)
    assert found == pytest.approx(
        {
            "precision": reference.precision_score(actual, predicted),
            "recall": reference.recall_score(actual, predicted),
            "accuracy": reference.accuracy_score(actual, predicted),
            "f1_score": reference.f1_score(actual, predicted),
            "log_loss": reference.log_loss(actual, score),
            "roc_auc": reference.roc_auc_score(actual, score),
        }
    )


def test_multiclass_metrics_are_macro_averages(models: dict[str, Any], table: pa.Table) -> None:
    rows, model = table.slice(2000), models["label"]
    found = metrics.evaluate(model, ArrowBatches(rows))
    probabilities = metrics.matrix(model.predict(rows)["probabilities"], 3)
    actual, predicted = rows["label"].to_numpy(), model.predict(rows)["label"].to_numpy(zero_copy_only=False)
    own = probabilities[np.arange(len(actual)), np.searchsorted(model.classes, actual)]
    assert found == pytest.approx(
        {
            "precision": reference.precision_score(actual, predicted, average="macro"),
            "recall": reference.recall_score(actual, predicted, average="macro"),
            "accuracy": reference.accuracy_score(actual, predicted),
            "f1_score": reference.f1_score(actual, predicted, average="macro"),
            "log_loss": np.mean([-np.log(own[actual == value]).mean() for value in model.classes]),
            "roc_auc": reference.roc_auc_score(actual, probabilities, multi_class="ovr", average="macro"),
        }
    )


def test_no_positive_prediction_gives_nan_precision_and_no_hit_gives_zero(
    models: dict[str, Any], table: pa.Table
) -> None:
    found = metrics.evaluate(models["flag"], ArrowBatches(table), threshold=1.0)
    assert math.isnan(found["precision"]) and found["recall"] == 0.0
    negatives = table.filter(pa.array(table["flag"].to_numpy() == 0))
    found = metrics.evaluate(models["flag"], ArrowBatches(negatives), threshold=0.0)
    assert found["precision"] == 0.0 and math.isnan(found["roc_auc"])


def test_confusion_matrix(models: dict[str, Any], table: pa.Table) -> None:
    rows, model = table.slice(2000), models["label"]
    found = metrics.confusion_matrix(model, ArrowBatches(rows, 77))
    predicted = model.predict(rows)["label"].to_numpy(zero_copy_only=False)
    wanted = reference.confusion_matrix(rows["label"].to_numpy(), predicted, labels=model.classes)
    assert found.column_names == ["expected_label", "low", "mid", "top"]
    assert found["expected_label"].to_pylist() == model.classes
    np.testing.assert_array_equal(np.array([found[name].to_numpy() for name in model.classes]).T, wanted)


def test_labels_that_training_did_not_know_are_wrong_not_ignored(models: dict[str, Any], table: pa.Table) -> None:
    rows = table.slice(2000)
    strange = rows.set_column(rows.schema.get_field_index("label"), "label", pa.array(["new"] * rows.num_rows))
    mixed = pa.concat_tables([rows, strange])
    known, both = (metrics.evaluate(models["label"], ArrowBatches(part)) for part in (rows, mixed))
    assert both["accuracy"] == pytest.approx(known["accuracy"] / 2)
    assert both["log_loss"] == pytest.approx(known["log_loss"])
    found = metrics.confusion_matrix(models["label"], ArrowBatches(mixed))
    assert found["expected_label"].to_pylist() == ["low", "mid", "new", "top"]


def test_roc_curve(models: dict[str, Any], table: pa.Table) -> None:
    rows, model = table.slice(2000), models["flag"]
    found = metrics.roc_curve(model, ArrowBatches(rows, 99))
    assert 90 <= found.num_rows <= 101
    assert found.column_names == [
        "threshold", "recall", "false_positive_rate", "true_positives", "false_positives", "true_negatives",
        "false_negatives",
    ]  # fmt: skip
    thresholds = found["threshold"].to_numpy()
    assert (np.diff(thresholds) < 0).all()
    score = metrics.matrix(model.predict(rows)["probabilities"], 2)[:, 1]
    actual = rows["flag"].to_numpy()
    for line in found.to_pylist()[::10]:
        flagged = score >= line["threshold"]
        assert line["true_positives"] == (flagged & (actual == 1)).sum()
        assert line["false_positives"] == (flagged & (actual == 0)).sum()
        assert line["recall"] == pytest.approx(line["true_positives"] / (actual == 1).sum())
        assert line["true_negatives"] + line["false_positives"] == (actual == 0).sum()
    chosen = metrics.roc_curve(model, ArrowBatches(rows), thresholds=[0.0, 0.5, 1.0])
    assert chosen["threshold"].to_pylist() == [0.0, 0.5, 1.0] and chosen["recall"][0].as_py() == 1.0
    with pytest.raises(InvalidArgument, match="binary classifier"):
        metrics.roc_curve(models["label"], ArrowBatches(rows))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=200))
def test_area_under_the_curve_is_the_mann_whitney_statistic(pairs: list[tuple[float, bool]]) -> None:
    scores, positive = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    ranking = metrics.Ranking()
    ranking.add(scores, positive)
    if positive.all() or not positive.any():
        assert math.isnan(ranking.area())
    else:
        assert ranking.area() == pytest.approx(reference.roc_auc_score(positive, scores))


def test_the_area_of_many_rows_is_binned_finely(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(20_000) < 0.3
    scores = np.clip(rng.normal(0.4 + 0.2 * positive, 0.2), 0, 1)
    exact = metrics.Ranking()
    exact.add(scores, positive)
    monkeypatch.setattr(metrics, "EXACT_ROWS", 1000)
    binned = metrics.Ranking()
    for start in range(0, 20_000, 700):
        binned.add(scores[start : start + 700], positive[start : start + 700])
    assert binned.area() == pytest.approx(exact.area(), abs=1e-5)


def test_evaluation_needs_labelled_rows(models: dict[str, Any], table: pa.Table) -> None:
    with pytest.raises(InvalidArgument, match="label that is not NULL; given: none"):
        metrics.evaluate(models["y"], ArrowBatches(table.slice(0, 0)))
    with pytest.raises(InvalidArgument, match="must have the column y"):
        metrics.evaluate(models["y"], ArrowBatches(table.drop(["y"])))
    with pytest.raises(InvalidArgument, match="threshold must be between 0 and 1"):
        metrics.evaluate(models["flag"], ArrowBatches(table), threshold=1.5)
    gappy = table.set_column(table.schema.get_field_index("y"), "y", pa.array([None, 1.0] * 1500))
    full = metrics.evaluate(models["y"], ArrowBatches(gappy.filter(gappy["y"].is_valid())))
    assert metrics.evaluate(models["y"], ArrowBatches(gappy)) == pytest.approx(full, nan_ok=True)


def test_global_explanations_are_mean_absolute_attributions(models: dict[str, Any], table: pa.Table) -> None:
    rows = table.slice(2000)
    found = global_explain(models["y"], ArrowBatches(rows, 100))
    shares = np.abs(np.array(models["y"].explain(rows)["attributions"].to_pylist())).mean(axis=0)
    assert {item.feature: item.attribution for item in found} == pytest.approx(dict(zip(FEATURES, shares, strict=True)))
    sizes = [item.attribution for item in found]
    assert sizes == sorted(sizes, reverse=True)
    by_class = global_explain(models["label"], ArrowBatches(rows), class_level=True)
    assert [item.class_label for item in by_class] == ["low"] * 4 + ["mid"] * 4 + ["top"] * 4
