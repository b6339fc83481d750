"""Linear regression against scikit-learn and closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet, LinearRegression, Ridge

from tule.kernel.errors import Cancelled, FailedPrecondition, InvalidArgument, ResourceExhausted, Unimplemented
from tule.learn.data import ArrowBatches
from tule.learn.models import FAMILIES, LinearExpression
from tule.learn.models import linear as linear_module

FEATURES = ["a", "b", "city", "on"]
FAMILY = FAMILIES["linear_regression"]


def fit(table: pa.Table, *, batch_rows: int = 65_536, **more: Any) -> Any:
    options = more.pop("options", {})
    more.setdefault("features", FEATURES)
    return FAMILY.fit(ArrowBatches(table, batch_rows), label="y", options=options, **more)


def predictions(model: Any, table: pa.Table) -> np.ndarray:
    return model.predict(table)["prediction"].to_numpy()


def test_it_is_least_squares_on_standardised_numbers_and_full_one_hot(table: pa.Table, design: Any) -> None:
    model = fit(table)
    X, y = design(table), table["y"].to_numpy()
    wanted = LinearRegression().fit(X, y).predict(X)
    np.testing.assert_allclose(predictions(model, table), wanted, atol=1e-9)
    assert model.iterations[0].loss == pytest.approx(np.mean((wanted - y) ** 2), rel=1e-9)
    assert model.options["optimize_strategy"] == "NORMAL_EQUATION"
    assert (model.num_rows, model.skipped_rows) == (table.num_rows, 0)


@pytest.mark.parametrize("batch_rows", [17, 1000])
def test_numeric_features_with_nulls_take_one_pass(table: pa.Table, batch_rows: int, design: Any) -> None:
    class Counted(ArrowBatches):
        scans = 0

        def scan(self, columns: Any = None) -> Any:
            Counted.scans += 1
            return super().scan(columns)

    model = FAMILY.fit(Counted(table, batch_rows), label="y", features=["a", "b"])
    assert Counted.scans == 1
    X, y = design(table)[:, :2], table["y"].to_numpy()
    np.testing.assert_allclose(predictions(model, table), LinearRegression().fit(X, y).predict(X), atol=1e-10)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 500), st.integers(0, 50))
def test_streaming_equals_batch(mixed_table: Any, batch_rows: int, seed: int) -> None:
    table = mixed_table(400, seed)
    one, other = fit(table), fit(table, batch_rows=batch_rows)
    np.testing.assert_allclose(other.coef, one.coef, atol=1e-9)
    np.testing.assert_allclose(other.intercept, one.intercept, atol=1e-9)


def test_weights_in_units_of_the_data_and_standardised(table: pa.Table) -> None:
    model = fit(table)
    weights = {weight.name: weight for weight in model.weights()}
    assert list(weights) == [*FEATURES, "__INTERCEPT__"]
    assert [name for name, _ in weights["city"].categories] == ["ams", "ber", "cai", "dub", "_null_filler"]
    assert [name for name, _ in weights["on"].categories] == ["false", "true", "_null_filler"]
    assert weights["a"].categories == () and weights["city"].weight is None
    row = {"a": 1.25, "b": 7, "city": "cai", "on": None}
    total = weights["__INTERCEPT__"].weight + weights["a"].weight * 1.25 + weights["b"].weight * 7
    total += dict(weights["city"].categories)["cai"] + dict(weights["on"].categories)["_null_filler"]
    assert predictions(model, pa.table({name: [value] for name, value in row.items()}))[0] == pytest.approx(total)
    scaled = {weight.name: weight.weight for weight in model.weights(standardize=True)}
    spread = {item.name: item.stddev for item in model.statistics}
    assert scaled["a"] == pytest.approx(weights["a"].weight * spread["a"])


def evaluate_expression(expression: LinearExpression, row: dict[str, Any]) -> float:
    (output,) = expression.outputs
    score = output.intercept
    for term in output.terms:
        value = row[term.path[0]]
        if term.kind == "numeric":
            score += term.weight * (term.mean if value is None else value)
        else:
            assert term.weights is not None
            score += term.weights.get(value, 0.0)
    return score


def test_the_expression_is_the_model(table: pa.Table) -> None:
    model = fit(table)
    expression = model.linear_expression()
    assert (expression.link, expression.classes) == ("identity", ())
    rows = table.slice(0, 200).to_pylist()
    rows += [{"a": None, "b": 3, "city": "unseen", "on": True}]
    own = pa.Table.from_pylist(rows, schema=table.schema)
    np.testing.assert_allclose([evaluate_expression(expression, row) for row in rows], predictions(model, own))


def test_explanations_are_exact_shapley_values(table: pa.Table) -> None:
    model = fit(table)
    answer = model.explain(table)
    shares = np.array(answer["attributions"].to_pylist())
    total = answer["baseline"].to_numpy() + shares.sum(axis=1)
    np.testing.assert_allclose(total, answer["prediction_value"].to_numpy(), atol=1e-9)
    np.testing.assert_allclose(total, predictions(model, table), atol=1e-9)
    # over the training rows every feature's attributions average to nothing, so the baseline is the mean prediction
    np.testing.assert_allclose(shares.mean(axis=0), 0.0, atol=1e-9)
    assert set(answer["approximation_error"].to_pylist()) == {0.0}


@pytest.mark.parametrize("l2", [0.01, 1.0])
def test_l2_is_ridge_with_alpha_n_times_l2(table: pa.Table, l2: float, design: Any) -> None:
    X, y = design(table), table["y"].to_numpy()
    wanted = Ridge(alpha=l2 * len(y), tol=1e-12).fit(X, y).predict(X)
    np.testing.assert_allclose(predictions(fit(table, options={"l2_reg": l2}), table), wanted, atol=1e-8)


def test_l1_and_l2_are_the_elastic_net(table: pa.Table, design: Any) -> None:
    X, y = design(table), table["y"].to_numpy()
    l1, l2 = 0.3, 0.2
    # scikit-learn halves the squared error: alpha * ratio = l1 / 2 and alpha * (1 - ratio) = l2
    net = ElasticNet(alpha=l1 / 2 + l2, l1_ratio=l1 / 2 / (l1 / 2 + l2), tol=1e-12, max_iter=100_000).fit(X, y)
    model = fit(table, options={"l1_reg": l1, "l2_reg": l2})
    np.testing.assert_allclose(model.coef[:, 0], net.coef_, atol=1e-6)
    assert (model.coef == 0).any()
    assert model.options["solver"] == "coordinate_descent"


def test_without_intercept_zero_stays_zero() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(5.0, 1.0, (2, 200))
    table = pa.table({"x": x, "y": y})
    model = fit(table, features=["x"], options={"fit_intercept": False})
    assert model.weights()[0].weight == pytest.approx(x @ y / (x @ x))
    assert predictions(model, pa.table({"x": [0.0]}))[0] == pytest.approx(0.0, abs=1e-12)


def test_dummy_encoding_drops_the_commonest_category(table: pa.Table) -> None:
    model = fit(table, options={"category_encoding_method": "dummy_encoding"})
    np.testing.assert_allclose(predictions(model, table), predictions(fit(table), table), atol=1e-9)
    on = dict(next(weight for weight in model.weights() if weight.name == "on").categories)
    assert on["false"] == 0.0 and on["true"] != 0.0


def test_p_values_are_those_of_ordinary_least_squares() -> None:
    rng = np.random.default_rng(3)
    rows = 60
    x, z = rng.normal(size=(2, rows))
    y = 2.0 * x + rng.normal(size=rows)
    model = fit(
        pa.table({"x": x, "z": z, "y": y}),
        features=["x", "z"],
        options={"calculate_p_values": True, "category_encoding_method": "DUMMY_ENCODING"},
    )
    from scipy import stats

    X = np.column_stack([x, z, np.ones(rows)])
    beta, *_ = np.linalg.lstsq(X, y, rcond=None)
    variance = np.sum((y - X @ beta) ** 2) / (rows - 3)
    errors = np.sqrt(np.diag(np.linalg.inv(X.T @ X)) * variance)
    found = {weight.name: weight for weight in model.advanced_weights()}
    for at, name in enumerate(("x", "z")):
        assert found[name].weight == pytest.approx(beta[at])
        assert found[name].standard_error == pytest.approx(errors[at])
        assert found[name].p_value == pytest.approx(2 * stats.t.sf(abs(beta[at] / errors[at]), rows - 3))
    assert (found["__INTERCEPT__"].standard_error, found["__INTERCEPT__"].p_value) == (None, None)
    standardised = model.advanced_weights(standardize=True)[-1]
    assert standardised.standard_error == pytest.approx(np.sqrt(variance / rows))


def test_few_rows_go_down_the_gradient_and_stop_early(mixed_table: Any) -> None:
    model = fit(mixed_table(60))
    assert model.options["optimize_strategy"] == "BATCH_GRADIENT_DESCENT"
    losses = [item.loss for item in model.iterations]
    assert losses == sorted(losses, reverse=True) and 2 <= len(losses) <= 20
    assert losses[-2] - losses[-1] < 0.01 * losses[-2] or len(losses) == 20
    assert [item.number for item in model.iterations] == list(range(len(losses)))
    assert model.iterations[0].learn_rate in (0.2, 0.1, 0.05, 0.025)


def test_gradient_descent_arrives_at_least_squares(table: pa.Table) -> None:
    options = {"optimize_strategy": "BATCH_GRADIENT_DESCENT", "max_iterations": 2000, "min_rel_progress": 1e-13}
    model = fit(table, options=options, evaluation=ArrowBatches(table))
    np.testing.assert_allclose(predictions(model, table), predictions(fit(table), table), atol=1e-3)
    assert model.iterations[-1].eval_loss == pytest.approx(model.iterations[-1].loss)


def test_a_constant_rate_is_used_and_a_wild_one_is_refused(table: pa.Table) -> None:
    options = {"optimize_strategy": "BATCH_GRADIENT_DESCENT", "learn_rate_strategy": "CONSTANT", "max_iterations": 5}
    model = fit(table, options={**options, "learn_rate": 0.05})
    assert {item.learn_rate for item in model.iterations} == {0.05}
    with pytest.raises(InvalidArgument, match=r"learn rate 1000\.0 makes it grow"):
        fit(table, options={**options, "learn_rate": 1000.0, "max_iterations": 500})


def test_a_warm_start_goes_on_from_the_earlier_weights(table: pa.Table) -> None:
    options = {"optimize_strategy": "BATCH_GRADIENT_DESCENT", "max_iterations": 3, "early_stop": False}
    first = fit(table, options=options)
    second = fit(table, options=options, warm_start=first)
    assert second.iterations[0].loss < first.iterations[-1].loss
    shifted = table.set_column(0, "a", pa.array(table["a"].to_pandas() * 2 + 5, from_pandas=True))
    carried = fit(shifted, options={**options, "max_iterations": 1}, warm_start=first)
    assert np.isfinite(carried.iterations[-1].loss)


def test_collinear_and_constant_columns_do_no_harm() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    table = pa.table({"x": x, "twice": 2 * x, "same": np.full(300, 7.0), "y": 3 * x + 1})
    model = fit(table, features=["x", "twice", "same"])
    np.testing.assert_allclose(predictions(model, table), 3 * x + 1, atol=1e-10)
    assert np.abs(model.coef).max() < 10
    assert model.iterations[0].loss == pytest.approx(0.0, abs=1e-12)


def test_null_labels_are_skipped_and_counted(table: pa.Table) -> None:
    labels = table["y"].to_pylist()
    labels[::3] = [None] * len(labels[::3])
    gappy = table.set_column(table.schema.get_field_index("y"), "y", pa.array(labels, pa.float64()))
    model = fit(gappy)
    assert model.skipped_rows == len(labels[::3])
    assert model.num_rows == table.num_rows - model.skipped_rows
    kept = table.filter(gappy["y"].is_valid())
    np.testing.assert_allclose(predictions(model, table), predictions(fit(kept), table), atol=1e-9)


def test_progress_is_told_and_can_cancel(table: pa.Table) -> None:
    seen: list[tuple[int, float]] = []

    def watch(iteration: int, loss: float, eval_loss: float | None, fraction: float) -> None:
        seen.append((iteration, fraction))
        assert 0.0 <= fraction <= 1.0
        if iteration == 1:
            raise Cancelled("Training was cancelled")

    with pytest.raises(Cancelled):
        fit(table, options={"optimize_strategy": "BATCH_GRADIENT_DESCENT", "early_stop": False}, progress=watch)
    assert [iteration for iteration, _ in seen if iteration >= 0] == [0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"l1_regg": 1.0}, r"Unsupported option L1_REGG.*L1_REG"),
        ({"l1_reg": -1.0}, "L1_REG must be at least 0"),
        ({"l2_reg": "much"}, "L2_REG must be a number; given: 'much'"),
        ({"l2_reg": float("inf")}, "L2_REG must be finite"),
        ({"fit_intercept": 1}, "FIT_INTERCEPT must be a boolean"),
        ({"max_iterations": 1.5}, "MAX_ITERATIONS must be an integer"),
        ({"optimize_strategy": "sgd"}, "OPTIMIZE_STRATEGY must be one of AUTO_STRATEGY"),
        ({"optimize_strategy": "NORMAL_EQUATION", "l1_reg": 0.1}, "cannot be combined with L1_REG"),
        (
            {"optimize_strategy": "NORMAL_EQUATION", "ls_init_learn_rate": 0.1},
            "no learn rate; given: LS_INIT_LEARN_RATE",
        ),
        ({"learn_rate": 0.1}, "LEARN_RATE needs LEARN_RATE_STRATEGY = 'CONSTANT'"),
        ({"calculate_p_values": True}, "needs CATEGORY_ENCODING_METHOD"),
    ],
)
def test_wrong_options_are_named(table: pa.Table, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        fit(table, options=options)


def test_wrong_columns_are_named(table: pa.Table) -> None:
    data = ArrowBatches(table)
    with pytest.raises(InvalidArgument, match="needs a label column"):
        FAMILY.fit(data, label=None)
    with pytest.raises(InvalidArgument, match="must have the column price"):
        FAMILY.fit(data, label="price")
    with pytest.raises(InvalidArgument, match="must be numeric; given: city is string"):
        FAMILY.fit(data, label="city")
    with pytest.raises(InvalidArgument, match="at least one feature column; given: only y"):
        FAMILY.fit(ArrowBatches(table.select(["y"])), label="y")
    with pytest.raises(InvalidArgument, match="must not be the label"):
        fit(table, features=["a", "y"])
    with pytest.raises(InvalidArgument, match="Instance weights are for boosted trees"):
        fit(table, instance_weight="b", features=["a"])
    with pytest.raises(InvalidArgument, match="must have the column city"):
        fit(table).predict(table.drop(["city"]))


def test_labels_that_cannot_be_trained_on() -> None:
    table = pa.table({"x": [1.0, 2.0], "y": pa.array([None, None], pa.float64())})
    with pytest.raises(InvalidArgument, match="y is NULL in all 2 rows"):
        fit(table, features=["x"])
    with pytest.raises(InvalidArgument, match="must be finite; given: y holds inf"):
        fit(pa.table({"x": [1.0, 2.0], "y": [1.0, float("inf")]}), features=["x"])
    with pytest.raises(InvalidArgument, match="at least one row; given: no rows"):
        fit(pa.table({"x": pa.array([], pa.float64()), "y": pa.array([], pa.float64())}), features=["x"])


def test_the_normal_equation_has_a_limit_and_auto_goes_round_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_module, "MAX_NORMAL_COLUMNS", 100)
    monkeypatch.setattr(linear_module, "AUTO_COLUMNS", 50)
    rng = np.random.default_rng(0)
    table = pa.table({"c": [f"v{at % 120}" for at in range(3000)], "y": rng.normal(size=3000)})
    with pytest.raises(ResourceExhausted, match="at most 100 encoded columns; given: 120"):
        fit(table, features=["c"], options={"optimize_strategy": "NORMAL_EQUATION"})
    assert fit(table, features=["c"]).options["optimize_strategy"] == "BATCH_GRADIENT_DESCENT"


def test_what_a_linear_model_is_not(mixed_table: Any) -> None:
    model = fit(mixed_table(500))
    with pytest.raises(FailedPrecondition, match="CALCULATE_P_VALUES"):
        model.advanced_weights()
    with pytest.raises(Unimplemented, match="no feature importance"):
        model.importance()
    with pytest.raises(Unimplemented, match="no centroids"):
        model.centroids()
