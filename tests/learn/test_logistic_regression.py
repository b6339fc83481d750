"""Logistic regression, binary and multinomial, against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from tule.kernel.errors import InvalidArgument, ResourceExhausted
from tule.learn.data import ArrowBatches
from tule.learn.metrics import matrix
from tule.learn.models import FAMILIES
from tule.learn.models import logistic as logistic_module
from tule.learn.transforms import survey as survey_module

FEATURES = ["a", "b", "city", "on"]
FAMILY = FAMILIES["logistic_regression"]


def fit(table: pa.Table, label: str = "flag", *, batch_rows: int = 65_536, **more: Any) -> Any:
    more.setdefault("features", FEATURES)
    return FAMILY.fit(ArrowBatches(table, batch_rows), label=label, **more)


def probabilities(model: Any, table: pa.Table) -> np.ndarray:
    return matrix(model.predict(table)["probabilities"], len(model.classes))


def reference(**more: Any) -> LogisticRegression:
    return LogisticRegression(tol=1e-10, max_iter=10_000, **more)


@pytest.mark.parametrize("label", ["flag", "label"])
def test_it_is_maximum_likelihood(table: pa.Table, label: str, design: Any) -> None:
    model = fit(table, label)
    X, y = design(table), table[label].to_numpy()
    wanted = reference(C=np.inf).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(probabilities(model, table), wanted, atol=1e-5)
    assert model.classes == sorted(set(y))
    assert model.options["solver"] == "newton"
    own = wanted[np.arange(len(y)), np.searchsorted(model.classes, y)]
    assert model.iterations[-1].loss == pytest.approx(-np.log(own).mean(), abs=1e-9)
    answer = model.predict(table)
    assert answer["label"].type == table[label].type
    assert answer["label"].to_pylist() == [model.classes[at] for at in probabilities(model, table).argmax(axis=1)]


@pytest.mark.parametrize("label", ["flag", "label"])
def test_l2_is_a_gaussian_prior(table: pa.Table, label: str, design: Any) -> None:
    X, y = design(table), table[label].to_numpy()
    wanted = reference(C=1 / (2 * 0.05 * len(y))).fit(X, y)
    model = fit(table, label, options={"l2_reg": 0.05})
    np.testing.assert_allclose(probabilities(model, table), wanted.predict_proba(X), atol=1e-6)


def test_l1_is_the_lasso(table: pa.Table, design: Any) -> None:
    X, y = design(table), table["flag"].to_numpy()
    lasso = LogisticRegression(C=1 / (0.02 * len(y)), l1_ratio=1.0, solver="saga", tol=1e-9, max_iter=20_000).fit(X, y)
    model = fit(table, options={"l1_reg": 0.02})
    np.testing.assert_allclose(model.coef[:, 0], lasso.coef_[0], atol=1e-4)
    assert (model.coef == 0).sum() >= 2


@pytest.mark.parametrize("l1", [0.0, 0.02])
def test_l_bfgs_finds_the_same(table: pa.Table, monkeypatch: pytest.MonkeyPatch, l1: float) -> None:
    options = {"l1_reg": l1, "l2_reg": 0.01, "max_iterations": 200}
    newton = fit(table, "label", options=options)
    monkeypatch.setattr(logistic_module, "MAX_HESSIAN", 1)
    other = fit(table, "label", options=options, evaluation=ArrowBatches(table))
    assert other.options["solver"] == "lbfgs"
    np.testing.assert_allclose(probabilities(other, table), probabilities(newton, table), atol=1e-4)
    assert other.iterations[-1].eval_loss == pytest.approx(other.iterations[-1].loss, rel=1e-3)


@pytest.mark.parametrize("label", ["flag", "label"])
def test_streamed_rows_need_two_passes_from_a_sample(
    monkeypatch: pytest.MonkeyPatch, label: str, mixed_table: Any
) -> None:
    table = mixed_table(40_000, 5)
    whole = fit(table, label)
    monkeypatch.setattr(survey_module, "SAMPLE_ROWS", 4000)

    class Counted(ArrowBatches):
        scans = 0

        def scan(self, columns: Any = None) -> Any:
            Counted.scans += 1
            return super().scan(columns)

    monkeypatch.setattr("tule.learn.models.fitting.CACHE_BYTES", 1000)
    model = FAMILY.fit(Counted(table, 3000), label=label, features=FEATURES)
    np.testing.assert_allclose(probabilities(model, table), probabilities(whole, table), atol=1e-4)
    assert model.iterations[-1].loss == pytest.approx(whole.iterations[-1].loss, abs=1e-7)
    assert Counted.scans <= 4


@pytest.mark.parametrize("given", ["auto", "weights"])
def test_class_weights(table: pa.Table, given: str, design: Any) -> None:
    X, y = design(table), table["label"].to_numpy()
    if given == "auto":
        options: dict[str, Any] = {"auto_class_weights": True}
        weights: Any = "balanced"
    else:
        options = {"class_weights": {"low": 1.0, "mid": 5.0, "top": 0.5}}
        weights = options["class_weights"]
    wanted = reference(C=np.inf, class_weight=weights).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(probabilities(fit(table, "label", options=options), table), wanted, atol=1e-5)


@pytest.mark.parametrize("label", ["flag", "label"])
def test_explanations_add_up_to_the_log_odds_of_the_predicted_class(table: pa.Table, label: str) -> None:
    model = fit(table, label)
    answer = model.explain(table, threshold=0.4)
    total = answer["baseline"].to_numpy() + np.array(answer["attributions"].to_pylist()).sum(axis=1)
    np.testing.assert_allclose(total, answer["prediction_value"].to_numpy(), atol=1e-9)
    predicted = model.predict(table, threshold=0.4)
    assert answer["label"].to_pylist() == predicted["label"].to_pylist()
    places = [model.classes.index(value) for value in answer["label"].to_pylist()]
    own = probabilities(model, table)[np.arange(len(places)), places]
    np.testing.assert_allclose(answer["probability"].to_numpy(), own)
    if label == "flag":
        np.testing.assert_allclose(total, np.log(own / (1 - own)), atol=1e-6)


def test_the_threshold_moves_the_label(table: pa.Table) -> None:
    model = fit(table)
    positive = probabilities(model, table)[:, 1]
    for threshold in (0.0, 0.3, 0.9, 1.0):
        found = model.predict(table, threshold=threshold)["label"].to_numpy()
        assert (found == (positive >= threshold)).all()


def test_the_expression_is_the_model(table: pa.Table) -> None:
    model = fit(table, "label")
    expression = model.linear_expression()
    assert expression.link == "softmax" and [output.class_label for output in expression.outputs] == model.classes
    binary = fit(table).linear_expression()
    assert binary.link == "logistic" and binary.outputs[0].class_label == 1
    score = np.full(table.num_rows, binary.outputs[0].intercept)
    for term in binary.outputs[0].terms:
        values = table[term.path[0]].to_pylist()
        if term.kind == "numeric":
            score += [term.weight * (term.mean if value is None else value) for value in values]
        else:
            score += [(term.weights or {}).get(value, 0.0) for value in values]
    np.testing.assert_allclose(1 / (1 + np.exp(-score)), probabilities(fit(table), table)[:, 1], atol=1e-12)


def test_multinomial_weights_name_their_class(table: pa.Table) -> None:
    weights = fit(table, "label").weights()
    assert [weight.class_label for weight in weights if weight.name == "__INTERCEPT__"] == ["low", "mid", "top"]
    assert {weight.class_label for weight in fit(table).weights()} == {None}


@pytest.mark.parametrize("values", [[False, True], ["no", "yes"], [3, 7], [b"a", b"b"]])
def test_label_types_are_kept_and_the_higher_value_is_positive(values: list[Any]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    table = pa.table({"x": x, "y": [values[int(place)] for place in rng.random(400) < 1 / (1 + np.exp(-3 * x))]})
    model = fit(table, "y", features=["x"])
    assert model.classes == values
    answer = model.predict(pa.table({"x": [-9.0, 9.0]}))
    assert answer["label"].to_pylist() == values and answer["label"].type == table["y"].type


def test_separable_classes_end_with_a_note() -> None:
    x = np.concatenate([np.linspace(-2, -1, 300), np.linspace(1, 2, 300)])
    table = pa.table({"x": x, "y": (x > 0).astype(int)})
    model = fit(table, "y", features=["x"])
    assert np.isfinite(model.coef).all()
    assert model.predict(table)["label"].to_pylist() == table["y"].to_pylist()
    assert any("L2_REG" in note for note in model.notes)
    calm = fit(table, "y", features=["x"], options={"l2_reg": 0.01})
    assert calm.notes == []


def test_gradient_descent_by_name(table: pa.Table) -> None:
    options = {"optimize_strategy": "BATCH_GRADIENT_DESCENT"}
    for label in ("flag", "label"):
        model = fit(table, label, options=options)
        losses = [item.loss for item in model.iterations]
        assert model.options["solver"] == "gradient" and losses == sorted(losses, reverse=True)
        assert losses[-1] < fit(table, label).iterations[-1].loss * 1.2


def test_standard_errors_are_those_of_the_information_matrix(mixed_table: Any) -> None:
    table = mixed_table(800, 2, nulls=0.0)
    model = fit(
        table,
        features=["a", "b"],
        options={"calculate_p_values": True, "category_encoding_method": "DUMMY_ENCODING"},
    )
    X = np.column_stack([table["a"].to_numpy(), table["b"].to_numpy(), np.ones(800)])
    p = probabilities(model, table)[:, 1]
    errors = np.sqrt(np.diag(np.linalg.inv(X.T @ (X * (p * (1 - p))[:, None]))))
    found = model.advanced_weights()
    np.testing.assert_allclose([found[0].standard_error, found[1].standard_error], errors[:2], rtol=1e-6)
    assert found[0].p_value is not None and found[0].p_value < 1e-20


def test_a_warm_start_needs_fewer_steps(table: pa.Table) -> None:
    first = fit(table)
    again = fit(table, warm_start=first)
    assert len(again.iterations) <= 2 < len(first.iterations)
    with pytest.raises(InvalidArgument, match="needs the same classes"):
        fit(table, "label", warm_start=first)


@pytest.mark.parametrize(
    ("options", "label", "message"),
    [
        ({"optimize_strategy": "NORMAL_EQUATION"}, "flag", "for linear regression only"),
        ({"auto_class_weights": True, "class_weights": {"0": 1.0, "1": 1.0}}, "flag", "cannot be combined"),
        ({"class_weights": {"0": 1.0}}, "flag", "one weight for each class: 0, 1; given: missing 1"),
        ({"class_weights": {"0": 1.0, "1": 1.0, "2": 1.0}}, "flag", "unknown 2"),
        ({"class_weights": {"0": 1.0, "1": -1.0}}, "flag", "must be positive"),
        (
            {"calculate_p_values": True, "category_encoding_method": "DUMMY_ENCODING"},
            "label",
            "needs two classes; given: 3",
        ),
    ],
)
def test_wrong_options_are_named(table: pa.Table, options: dict[str, Any], label: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        fit(table, label, options=options)


def test_labels_that_cannot_be_classified() -> None:
    with pytest.raises(InvalidArgument, match="at least two distinct labels; given: y is always 'a'"):
        fit(pa.table({"x": [1.0, 2.0], "y": ["a", "a"]}), "y", features=["x"])
    many = pa.table({"x": np.arange(51.0), "y": [f"c{at}" for at in range(51)]})
    with pytest.raises(ResourceExhausted, match="at most 50 distinct values; given: y has more"):
        fit(many, "y", features=["x"])
    with pytest.raises(InvalidArgument, match="single value"):
        fit(pa.table({"x": [1.0, 2.0], "y": [["a"], ["b"]]}), "y", features=["x"])
    with pytest.raises(InvalidArgument, match="must not be NaN"):
        fit(pa.table({"x": [1.0, 2.0], "y": [1.0, float("nan")]}), "y", features=["x"])
