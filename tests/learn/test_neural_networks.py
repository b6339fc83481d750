"""Neural networks: what NumPy answers is what PyTorch learned; slopes, optimizers, options, bad input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from tule.kernel.errors import FailedPrecondition, InvalidArgument
from tule.learn import bundle, runtime
from tule.learn.data import ArrowBatches
from tule.learn.metrics import evaluate
from tule.learn.models import FAMILIES
from tule.learn.neural import ACTIVATIONS, Network
from tule.learn.neural.optimizers import Ftrl

CLASSES = ("dnn_classifier", "dnn_linear_combined_classifier")
NUMBERS = ("dnn_regressor", "dnn_linear_combined_regressor")


def rings(rows: int = 1200, classes: int = 2) -> pa.Table:
    """Points of a plane whose ring is their class, which no line can tell apart, and a word that says nothing."""
    rng = np.random.default_rng(4)
    points = rng.normal(size=(rows, 2)) * [1.0, 100.0] + [0.0, 500.0]
    radius = np.hypot(points[:, 0], (points[:, 1] - 500.0) / 100.0)
    ring = np.digitize(radius, [1.18] if classes == 2 else [0.9, 1.5])
    return pa.table(
        {
            "x": points[:, 0],
            "y": points[:, 1],
            "word": pa.array(rng.choice(["a", "b", None], rows).tolist(), pa.string()),
            "ring": pa.array([f"r{each}" for each in ring]),
            "height": 3000.0 + 400.0 * radius**2,
        }
    )


def fit(family: str, table: pa.Table, label: str | None, **options: Any) -> Any:
    options = {"hidden_units": [24, 12], "learn_rate": 0.02, "max_iterations": 30, "early_stop": False, **options}
    features = [name for name in table.schema.names if name not in ("ring", "height")]
    return FAMILIES[family].fit(ArrowBatches(table), label=label, options=options, features=features)


@pytest.mark.parametrize("family", CLASSES)
@pytest.mark.parametrize("classes", [2, 3])
def test_classes_that_no_line_tells_apart_are_learned(family: str, classes: int) -> None:
    table = rings(classes=classes)
    model = fit(family, table, "ring")
    assert evaluate(model, ArrowBatches(table))["accuracy"] > 0.93
    line = FAMILIES["logistic_regression"].fit(ArrowBatches(table), label="ring", features=["x", "y"])
    assert evaluate(line, ArrowBatches(table))["accuracy"] < 0.7
    losses = [each.loss for each in model.iterations]
    assert len(losses) == 30 and losses[-1] < losses[0] / 2


@pytest.mark.parametrize("family", NUMBERS)
def test_numbers_are_learned_in_their_own_units(family: str) -> None:
    table = rings()
    model = fit(family, table, "height")
    found = evaluate(model, ArrowBatches(table))
    assert found["r2_score"] > 0.95
    assert model.iterations[-1].loss == pytest.approx(found["mean_squared_error"], rel=1.0)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_answers_and_slopes_are_those_of_pytorch(name: str) -> None:
    rng = np.random.default_rng(1)
    factor = 2 if ACTIVATIONS[name].doubles else 1
    shapes = [(5, 7), (7 * factor, 4), (4 * factor, 3)]
    layers = tuple((rng.normal(size=shape) * 2, rng.normal(size=shape[1])) for shape in shapes)
    network = Network(name, layers, rng.normal(size=(5, 3)))
    rows = rng.normal(size=(40, 5))
    functions: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "RELU": torch.relu, "RELU6": torch.nn.functional.relu6, "ELU": torch.nn.functional.elu, "SELU": torch.selu,
        "SIGMOID": torch.sigmoid, "TANH": torch.tanh,
        "CRELU": lambda x: torch.cat([torch.relu(x), torch.relu(-x)], dim=1),
    }  # fmt: skip
    inputs = torch.tensor(rows, requires_grad=True)
    outputs: Any = inputs
    for at, (weights, biases) in enumerate(layers):
        outputs = (functions[name](outputs) if at else outputs) @ torch.tensor(weights) + torch.tensor(biases)
    outputs = outputs + inputs @ torch.tensor(network.wide)
    assert network.scores(rows) == pytest.approx(outputs.detach().numpy(), abs=1e-12)
    chosen = rng.integers(0, 3, 40)
    outputs[torch.arange(40), torch.tensor(chosen)].sum().backward()
    assert inputs.grad is not None
    assert network.slopes(rows, chosen) == pytest.approx(inputs.grad.numpy(), abs=1e-12)


def test_ftrl_is_the_published_algorithm() -> None:
    weights = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)
    optimizer = Ftrl([weights], lr=0.3)
    own, squares, linear = np.array([0.5, -1.0]), np.full(2, 0.1), np.zeros(2)
    linear = -own * np.sqrt(squares) / 0.3
    for _ in range(5):
        optimizer.zero_grad()
        ((weights - 2.0) ** 2).sum().backward()
        optimizer.step()
        slope = 2.0 * (own - 2.0)
        before = np.sqrt(squares)
        squares = squares + slope**2
        linear = linear + slope - (np.sqrt(squares) - before) / 0.3 * own
        own = -linear * 0.3 / np.sqrt(squares)
    assert weights.detach().numpy() == pytest.approx(own)


@pytest.mark.parametrize("optimizer", ["ADAM", "ADAGRAD", "FTRL", "RMSPROP", "SGD"])
def test_every_optimizer_learns(optimizer: str) -> None:
    rate = {"ADAGRAD": 0.1, "FTRL": 0.3, "SGD": 0.1, "RMSPROP": 0.005}.get(optimizer, 0.02)
    model = fit("dnn_classifier", rings(), "ring", optimizer=optimizer, learn_rate=rate)
    assert evaluate(model, ArrowBatches(rings()))["accuracy"] > 0.88


@pytest.mark.parametrize("family", (*CLASSES, *NUMBERS))
def test_a_kept_model_answers_the_same_also_online(family: str, tmp_path: Any) -> None:
    table = rings(300)
    model = fit(family, table, "ring" if family in CLASSES else "height", max_iterations=3)
    bundle.save(model, tmp_path / "m")
    again = bundle.load(tmp_path / "m")
    assert again.predict(table).equals(model.predict(table))
    answers = runtime.load(tmp_path / "m").predict(table.select(["x", "y", "word"]).to_pylist())
    if family in NUMBERS:
        assert [each["predicted_height"][0] for each in answers] == pytest.approx(
            model.predict(table).column("prediction").to_pylist(), rel=1e-12
        )
    else:
        assert [each["predicted_ring"][0] for each in answers] == model.predict(table).column("label").to_pylist()


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second = (fit("dnn_regressor", rings(400), "height", max_iterations=3, dropout=0.2) for _ in range(2))
    for one, two in zip(first.network.layers, second.network.layers, strict=True):
        assert np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])


@pytest.mark.parametrize("family", (*CLASSES, *NUMBERS))
def test_attributions_add_up_but_for_the_error_they_tell(family: str) -> None:
    table = rings(400)
    model = fit(family, table, "ring" if family in CLASSES else "height")
    found = model.explain(table)
    shares = np.array(found.column("attributions").to_pylist())
    baseline, totals = (found.column(name).to_numpy() for name in ("baseline", "prediction_value"))
    error = found.column("approximation_error").to_numpy()
    assert np.abs(totals - baseline - shares.sum(axis=1)) == pytest.approx(error * np.abs(totals - baseline), abs=1e-9)
    assert np.median(error) < 0.1
    sizes = np.abs(shares).mean(axis=0)
    assert sizes[:2].min() > 3 * sizes[2]


def test_a_warm_start_goes_on() -> None:
    table = rings()
    first = fit("dnn_regressor", table, "height", max_iterations=5)
    features = ["x", "y", "word"]
    again = {"hidden_units": [24, 12], "learn_rate": 0.02, "max_iterations": 1}
    more = FAMILIES["dnn_regressor"].fit(
        ArrowBatches(table), label="height", options=again, features=features, warm_start=first
    )
    assert more.iterations[0].loss < first.iterations[0].loss / 2
    with pytest.raises(InvalidArgument, match=r"HIDDEN_UNITS and ACTIVATION_FN.*set \[24, 12\] and RELU"):
        FAMILIES["dnn_regressor"].fit(
            ArrowBatches(table), label="height", options={"hidden_units": [5]}, features=features, warm_start=first
        )
    with pytest.raises(InvalidArgument, match="WARM_START needs the features"):
        FAMILIES["dnn_regressor"].fit(
            ArrowBatches(table), label="height", options=again, features=["x"], warm_start=first
        )


# -- autoencoders


def sheet(rows: int = 1500) -> pa.Table:
    """Six numbers that two decide, and a category that follows them; the last row lies off the sheet."""
    rng = np.random.default_rng(2)
    two = rng.normal(size=(rows, 2))
    six = two @ rng.normal(size=(2, 6))
    six[-1] = [6.0, -6.0, 6.0, -6.0, 6.0, -6.0]
    columns: dict[str, Any] = {f"n{at}": six[:, at] for at in range(6)}
    return pa.table(columns | {"side": pa.array(["left" if each < 0 else "right" for each in two[:, 0]])})


def test_an_autoencoder_finds_the_sheet_and_what_lies_off_it(tmp_path: Any) -> None:
    table = sheet()
    options = {
        "hidden_units": [16, 2, 16], "activation_fn": "TANH", "learn_rate": 0.01, "max_iterations": 40, "early_stop": False
    }  # fmt: skip
    model: Any = FAMILIES["autoencoder"].fit(ArrowBatches(table), label=None, options=options)
    assert model.predict(table).schema.names == ["latent_col_1", "latent_col_2"]
    losses = model.reconstruction_loss(table).column("mean_squared_error").to_numpy()
    assert losses.argmax() == len(losses) - 1 and np.median(losses) < 0.05
    metrics = evaluate(model, ArrowBatches(table))
    assert list(metrics) == ["mean_absolute_error", "mean_squared_error", "mean_squared_log_error"]
    assert metrics["mean_squared_error"] == pytest.approx(losses.mean())
    found = model.detect_anomalies(table, contamination=0.01)
    assert found.column("is_anomaly").to_pylist()[-1] and sum(found.column("is_anomaly").to_pylist()) == pytest.approx(
        15, abs=2
    )
    bundle.save(model, tmp_path / "m")
    assert bundle.load(tmp_path / "m").predict(table).equals(model.predict(table))
    (online,) = runtime.load(tmp_path / "m").predict(table.slice(3, 1).to_pylist())
    assert online["latent_cols"] == pytest.approx(
        list(model.predict(table).slice(3, 1).to_pylist()[0].values()), rel=1e-12
    )


# -- what is refused


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("dnn_regressor", {"hidden_units": []}, "HIDDEN_UNITS must be whole numbers above 0"),
        ("dnn_regressor", {"hidden_units": [8, 0]}, "HIDDEN_UNITS must be whole numbers above 0"),
        ("dnn_regressor", {"l1_reg": 0.1}, "L1_REG and L2_REG need OPTIMIZER ADAGRAD, FTRL, SGD; given: ADAM"),
        (
            "dnn_linear_combined_regressor", {"optimizer": "SGD", "linear_optimizer": "ADAM", "l2_reg": 1.0},
            "given: SGD, ADAM",
        ),
        ("dnn_regressor", {"dropout": 1.0}, "DROPOUT must be below 1"),
        ("dnn_regressor", {"learn_rate": 0.0}, "LEARN_RATE must be above 0"),
        ("dnn_regressor", {"activation_fn": "STEP"}, "ACTIVATION_FN must be one of RELU"),
        ("dnn_classifier", {"auto_class_weights": True, "class_weights": {"r0": 1.0}}, "cannot be combined"),
    ],
)  # fmt: skip
def test_options_that_cannot_be(family: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        fit(family, rings(50), "ring" if "classifier" in family else "height", **options)


def test_layers_of_an_autoencoder_mirror_each_other() -> None:
    for units in ([4, 2], [8, 2, 4]):
        with pytest.raises(InvalidArgument, match="an odd number of layers that mirror each other"):
            FAMILIES["autoencoder"].fit(ArrowBatches(sheet(50)), label=None, options={"hidden_units": units})
    with pytest.raises(InvalidArgument, match="ACTIVATION_FN must be one of"):
        FAMILIES["autoencoder"].fit(ArrowBatches(sheet(50)), label=None, options={"activation_fn": "CRELU"})


def test_a_training_that_diverges_says_so() -> None:
    with pytest.raises(InvalidArgument, match=r"Training must not diverge.*lower LEARN_RATE"):
        fit("dnn_regressor", rings(200), "height", optimizer="SGD", learn_rate=1e9)


def test_without_pytorch_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FailedPrecondition, match=r"needs PyTorch.*pip install 'tule\[torch\]'"):
        fit("dnn_regressor", rings(50), "height")


def test_labels_that_never_vary_and_class_weights() -> None:
    table = rings(100).set_column(4, "height", pa.array([5.0] * 100))
    model = fit("dnn_regressor", table, "height", max_iterations=2)
    assert all(math.isfinite(each) for each in model.predict(table).column("prediction").to_pylist())
    heavy = fit("dnn_classifier", rings(600), "ring", class_weights={"r0": 50.0, "r1": 1.0}, max_iterations=5)
    light = fit("dnn_classifier", rings(600), "ring", max_iterations=5)
    share = [evaluate(each, ArrowBatches(rings(600)))["recall"] for each in (heavy, light)]
    assert share[0] < share[1]
