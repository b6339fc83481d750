"""Boosted trees: the same trees as xgboost given the same matrix, and what Tule adds round them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xgboost

from tule.kernel.errors import Cancelled, InvalidArgument
from tule.learn.data import ArrowBatches
from tule.learn.metrics import evaluate, matrix
from tule.learn.models import FAMILIES
from tule.learn.models import trees as trees_module
from tule.learn.transforms import survey as survey_module

FEATURES = ["a", "b", "city", "on"]
FIXED = {"early_stop": False}


def regress(table: pa.Table, *, batch_rows: int = 65_536, options: dict[str, Any] | None = None, **more: Any) -> Any:
    family = FAMILIES["boosted_tree_regressor"]
    more.setdefault("features", FEATURES)
    return family.fit(ArrowBatches(table, batch_rows), label="y", options=options or FIXED, **more)


def classify(table: pa.Table, label: str, *, options: dict[str, Any] | None = None, **more: Any) -> Any:
    family = FAMILIES["boosted_tree_classifier"]
    more.setdefault("features", FEATURES)
    return family.fit(ArrowBatches(table), label=label, options=options or FIXED, **more)


def encoded(model: Any, table: pa.Table) -> np.ndarray:
    block = model.encoding.encode(table.combine_chunks().to_batches()[0], scaled=False)
    return np.asarray(model.columns.matrix(block))


def test_the_trees_are_xgboosts(table: pa.Table) -> None:
    model = regress(table)
    X = encoded(model, table)
    assert X.dtype == np.float32 and X.shape == (3000, 2 + 5 + 3)
    own = xgboost.train(
        {"tree_method": "hist", "max_depth": 6, "eta": 0.3},
        xgboost.QuantileDMatrix(X, table["y"].to_numpy()),
        20,
    )
    np.testing.assert_array_equal(model.predict(table)["prediction"].to_numpy(), own.predict(xgboost.DMatrix(X)))


def test_batches_do_not_change_the_trees_much(table: pa.Table) -> None:
    one, other = regress(table), regress(table, batch_rows=100)
    assert other.iterations[-1].loss == pytest.approx(one.iterations[-1].loss, rel=0.02)


def test_same_seed_same_bytes(table: pa.Table) -> None:
    options = {"subsample": 0.5, "colsample_bytree": 0.7, "early_stop": False}
    assert regress(table, options=options, seed=3).file == regress(table, options=options, seed=3).file
    assert regress(table, options=options, seed=3).file != regress(table, options=options, seed=4).file


def test_cuts_from_a_sample_are_as_good(mixed_table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table = mixed_table(30_000)
    whole = regress(table)
    monkeypatch.setattr(survey_module, "SAMPLE_ROWS", 8000)
    sampled = regress(table)
    assert sampled.file != whole.file
    assert sampled.iterations[-1].loss == pytest.approx(whole.iterations[-1].loss, rel=0.02)


def test_history_counts_from_one_and_holds_squared_errors(table: pa.Table) -> None:
    model = regress(table, evaluation=ArrowBatches(table.slice(0, 500)), options={"learn_rate": 0.1, **FIXED})
    assert [item.number for item in model.iterations] == list(range(1, 21))
    assert {item.learn_rate for item in model.iterations} == {0.1}
    metrics = evaluate(model, ArrowBatches(table))
    assert model.iterations[-1].loss == pytest.approx(metrics["mean_squared_error"], rel=1e-4)
    held = evaluate(model, ArrowBatches(table.slice(0, 500)))
    assert model.iterations[-1].eval_loss == pytest.approx(held["mean_squared_error"], rel=1e-4)


def test_it_stops_when_the_held_out_loss_stalls(table: pa.Table) -> None:
    model = regress(table, options={"max_iterations": 200}, evaluation=ArrowBatches(table.slice(0, 500)))
    losses = [item.eval_loss for item in model.iterations]
    assert len(losses) < 200
    assert losses[-2] - losses[-1] < 0.01 * losses[-2]
    assert all(before - after >= 0.01 * before for before, after in itertools.pairwise(losses[:-1]))


@pytest.mark.parametrize("label", ["flag", "label"])
def test_classes(table: pa.Table, label: str) -> None:
    model = classify(table, label)
    answer = model.predict(table)
    found = matrix(answer["probabilities"], len(model.classes))
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-6)
    assert model.classes == sorted(set(table[label].to_pylist()))
    metrics = evaluate(model, ArrowBatches(table))
    assert metrics["accuracy"] > 0.8 and metrics["roc_auc"] > 0.9
    assert answer["label"].type == table[label].type


@pytest.mark.parametrize("method", ["ONE_HOT_ENCODING", "LABEL_ENCODING", "TARGET_ENCODING"])
@pytest.mark.parametrize("label", ["y", "flag", "label"])
def test_category_encodings(table: pa.Table, method: str, label: str) -> None:
    options = {"category_encoding_method": method, **FIXED}
    model = regress(table, options=options) if label == "y" else classify(table, label, options=options)
    X = encoded(model, table)
    assert X.shape[1] == len(model.columns.owners())
    cities = table["city"].to_pylist()
    if method == "LABEL_ENCODING":
        numbers = {"ams": 1, "ber": 2, "cai": 3, "dub": 4, None: 0}
        assert X[:, 2].tolist() == [numbers[city] for city in cities]
        unknown = table.slice(0, 1).set_column(2, "city", pa.array(["new"]))
        assert encoded(model, unknown)[0, 2] == 0
    if method == "TARGET_ENCODING" and label != "label":
        means = {city: np.mean(table[label].to_numpy()[[at == city for at in cities]]) for city in set(cities)}
        np.testing.assert_allclose(X[:, 2], [means[city] for city in cities], rtol=1e-6)
        unknown = table.slice(0, 1).set_column(2, "city", pa.array(["new"]))
        assert encoded(model, unknown)[0, 2] == pytest.approx(np.mean(table[label].to_numpy()))
    if method == "TARGET_ENCODING" and label == "label":
        assert X.shape[1] == 2 + 2 * 3
        np.testing.assert_allclose(X[:, 2:5].sum(axis=1), 1.0, atol=1e-6)
    assert model.iterations[-1].loss < model.iterations[0].loss


def test_many_categories_make_a_sparse_matrix(monkeypatch: pytest.MonkeyPatch, table: pa.Table) -> None:
    dense = regress(table)
    exact = regress(table, options={"tree_method": "EXACT", **FIXED})
    monkeypatch.setattr(trees_module, "WIDE", 5)
    sparse = regress(table)
    assert sparse.columns.sparse and not dense.columns.sparse
    assert sparse.iterations[-1].loss == pytest.approx(dense.iterations[-1].loss, rel=0.02)
    answer = sparse.explain(table.slice(0, 50))
    np.testing.assert_allclose(
        answer["prediction_value"].to_numpy(), sparse.predict(table.slice(0, 50))["prediction"].to_numpy(), rtol=1e-4
    )
    other = regress(table, options={"tree_method": "EXACT", **FIXED})
    assert other.iterations[-1].loss == pytest.approx(exact.iterations[-1].loss, rel=0.02)


@pytest.mark.parametrize("label", ["y", "flag", "label"])
def test_explanations_are_tree_shap(table: pa.Table, label: str) -> None:
    model = regress(table) if label == "y" else classify(table, label)
    rows = table.slice(0, 200)
    answer = model.explain(rows)
    shares = np.array(answer["attributions"].to_pylist())
    assert shares.shape == (200, len(FEATURES)) and model.features == FEATURES
    total = answer["baseline"].to_numpy() + shares.sum(axis=1)
    np.testing.assert_allclose(total, answer["prediction_value"].to_numpy(), atol=1e-9)
    X = xgboost.DMatrix(encoded(model, rows))
    margin = model.booster.predict(X, output_margin=True)
    if label == "y":
        np.testing.assert_allclose(total, margin, atol=1e-4)
    elif label == "flag":
        np.testing.assert_allclose(total, margin * np.where(answer["label"].to_numpy() == 1, 1, -1), atol=1e-4)
    else:
        np.testing.assert_allclose(total, margin.max(axis=1), atol=1e-4)


def test_importance_sums_the_encoded_columns_of_a_feature(table: pa.Table) -> None:
    model = regress(table)
    importance = {item.name: item for item in model.importance()}
    assert list(importance) == FEATURES
    assert sum(item.weight for item in importance.values()) == sum(model.booster.get_score().values())
    gains = model.booster.get_score(importance_type="total_gain")
    city = sum(gains.get(f"f{at}", 0.0) for at in range(2, 7))
    assert importance["city"].gain * importance["city"].weight == pytest.approx(city)


@pytest.mark.parametrize(
    "options",
    [
        {"booster_type": "DART", "dropout": 0.2, "dart_normalize_type": "FOREST"},
        {"tree_method": "EXACT"},
        {"tree_method": "APPROX"},
        {"num_parallel_tree": 3, "subsample": 0.7, "colsample_bynode": 0.8},
        {"max_tree_depth": 2, "min_tree_child_weight": 10, "min_split_loss": 1.0, "l1_reg": 1.0, "l2_reg": 5.0},
        {"base_score": 0.5},
    ],
    ids=lambda options: next(iter(options)),
)
def test_options_reach_xgboost(table: pa.Table, options: dict[str, Any]) -> None:
    plain, changed = regress(table), regress(table, options={**options, **FIXED})
    assert changed.iterations[-1].loss < 20
    if options != {"tree_method": "APPROX"}:
        assert changed.file != plain.file


def test_weights_count_rows(table: pa.Table) -> None:
    rng = np.random.default_rng(0)
    times = rng.integers(1, 4, table.num_rows)
    weighted = regress(table.append_column("w", pa.array(times)), instance_weight="w")
    repeated = regress(table.take(pa.array(np.repeat(np.arange(table.num_rows), times))))
    assert "w" not in weighted.features
    wanted = evaluate(repeated, ArrowBatches(table))["mean_squared_error"]
    assert evaluate(weighted, ArrowBatches(table))["mean_squared_error"] == pytest.approx(wanted, rel=0.1)
    low, high = (
        np.mean(
            [value == "mid" for value in classify(table, "label", options=options).predict(table)["label"].to_pylist()]
        )
        for options in ({"class_weights": {"low": 1.0, "mid": weight, "top": 1.0}, **FIXED} for weight in (0.2, 5.0))
    )
    assert high > low + 0.1


def test_training_can_be_cancelled_between_rounds(table: pa.Table) -> None:
    def watch(iteration: int, loss: float, eval_loss: float | None, fraction: float) -> None:
        if iteration == 3:
            raise Cancelled("Training was cancelled")

    with pytest.raises(Cancelled):
        regress(table, progress=watch)


def test_an_error_inside_the_data_reaches_the_caller(table: pa.Table) -> None:
    class Broken(ArrowBatches):
        scans = 0

        def scan(self, columns: Any = None) -> Any:
            Broken.scans += 1
            if Broken.scans == 2:
                raise InvalidArgument("The query failed")
            return super().scan(columns)

    with pytest.raises(InvalidArgument, match="The query failed"):
        FAMILIES["boosted_tree_regressor"].fit(Broken(table), label="y", features=["a"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout": 0.1}, "DROPOUT needs BOOSTER_TYPE = 'DART'"),
        ({"max_tree_depth": 0}, "MAX_TREE_DEPTH must be between 1 and 30"),
        ({"subsample": 0.0}, "SUBSAMPLE must be above 0"),
        ({"hidden_units": [3]}, "Unsupported option HIDDEN_UNITS"),
        ({"class_weights": {"a": 1.0}}, "Unsupported option CLASS_WEIGHTS"),
    ],
)
def test_wrong_options_are_named(table: pa.Table, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        regress(table, options=options)


def test_values_that_trees_cannot_hold() -> None:
    table = pa.table({"a": [1e39, 1.0], "y": [1.0, 2.0], "w": [1.0, -1.0]})
    with pytest.raises(InvalidArgument, match="32-bit float; given: a reaches 1e"):
        regress(table, features=["a"])
    with pytest.raises(InvalidArgument, match="Instance weights must be finite"):
        regress(table.set_column(0, "a", pa.array([1.0, 2.0])), features=["a"], instance_weight="w")
    model = regress(pa.table({"a": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0]}), features=["a"])
    huge, large = (model.predict(pa.table({"a": [value]}))["prediction"][0] for value in (1e300, 3.0))
    assert huge == large
