"""Neural networks: DNN_REGRESSOR and _CLASSIFIER, wide and deep ones, and autoencoders.

Numbers are standardised, categories one-hot. A wide and deep network adds a linear part on the same inputs (Cheng et al.
2016). Explanations are integrated gradients (Sundararajan et al. 2017) from the mean of the training rows.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa

from tule.kernel.errors import InvalidArgument, ResourceExhausted
from tule.learn.metrics import Classification, Evaluator, Regression
from tule.learn.models.base import Diverged, Iteration, IterativeOptions, Model, Parts, Rows, batches_of, option
from tule.learn.models.cutoffs import SAMPLE, cutoff_of, quantiles
from tule.learn.models.fitting import (
    FitRequest,
    Source,
    class_weights_of,
    feature_statistics,
    stalled,
    supervised_source,
)
from tule.learn.models.fitting import Rows as EncodedRows
from tule.learn.models.logistic import check_class_weights
from tule.learn.models.supervised import Explained, Supervised, choose, classified, prediction_fields
from tule.learn.neural import ACTIVATIONS, Goal, Network, Recipe, Trainer
from tule.learn.neural.training import require_torch
from tule.learn.sampling import RowSample
from tule.learn.schema import Field, Signature
from tule.learn.transforms import Block, Encoding, Survey

MOST_COLUMNS = 8192
"""There is one input neuron for each encoded column."""
MOST_CLASSES = 50
_OPTIMIZERS = ("ADAM", "ADAGRAD", "FTRL", "RMSPROP", "SGD")
_PENALISED = ("ADAGRAD", "FTRL", "SGD")
_WIDEST = 128
_AT_ONCE = 8192


@dataclass
class NeuralOptions(IterativeOptions):
    """What all networks share. ``hidden_units`` None: one layer by the number of rows; ``batch_size`` None: 32 at most.

    ``patience``: with evaluation rows, stop after so many iterations without a better loss on them and keep the network
    of the best, in place of ``early_stop``.
    """

    hidden_units: list[int] | None = None
    activation_fn: str = option("RELU", choices=tuple(ACTIVATIONS))
    optimizer: str = option("ADAM", choices=_OPTIMIZERS)
    learn_rate: float = option(0.001, low=0.0)
    batch_size: int | None = option(None, low=1)
    dropout: float = option(0.0, low=0.0)
    patience: int = option(0, low=0)

    def check(self, given: set[str]) -> None:
        units = self.hidden_units
        if units is not None and not (
            units and all(isinstance(each, int) and not isinstance(each, bool) and each > 0 for each in units)
        ):
            raise InvalidArgument(
                "HIDDEN_UNITS must be whole numbers above 0", given=str(units), location="hidden_units"
            )
        if self.learn_rate <= 0.0:
            raise InvalidArgument("Option LEARN_RATE must be above 0", given=self.learn_rate)
        if self.dropout >= 1.0:
            raise InvalidArgument("Option DROPOUT must be below 1", given=self.dropout)


@dataclass
class DnnOptions(NeuralOptions):
    """Options of DNN_REGRESSOR."""

    l1_reg: float = option(0.0, low=0.0)
    l2_reg: float = option(0.0, low=0.0)
    integrated_gradients_num_steps: int | None = option(None, low=1, high=1000)

    @property
    def optimizers(self) -> tuple[str, ...]:
        return (self.optimizer,)

    def check(self, given: set[str]) -> None:
        super().check(given)
        if (self.l1_reg or self.l2_reg) and not all(each in _PENALISED for each in self.optimizers):
            raise InvalidArgument(
                f"L1_REG and L2_REG need OPTIMIZER {', '.join(_PENALISED)}",
                given=", ".join(self.optimizers),
                do="choose one of these, or leave the regularisation out",
            )


@dataclass
class DnnClassifierOptions(DnnOptions):
    """Options of DNN_CLASSIFIER."""

    auto_class_weights: bool = False
    class_weights: dict[Any, float] | None = None

    def check(self, given: set[str]) -> None:
        super().check(given)
        check_class_weights(self)


@dataclass
class WideOptions(DnnOptions):
    """Options of DNN_LINEAR_COMBINED_REGRESSOR: the linear part has an optimizer and a learn rate of its own."""

    linear_optimizer: str = option("FTRL", choices=_OPTIMIZERS)
    linear_learn_rate: float = option(0.001, low=0.0)

    @property
    def optimizers(self) -> tuple[str, ...]:
        return (self.optimizer, self.linear_optimizer)


@dataclass
class WideClassifierOptions(WideOptions, DnnClassifierOptions):
    """Options of DNN_LINEAR_COMBINED_CLASSIFIER."""


@dataclass
class AutoencoderOptions(NeuralOptions):
    """Options of AUTOENCODER: an odd number of layers that mirror each other; the one in the middle is the latent space."""

    activation_fn: str = option("RELU", choices=tuple(each for each in ACTIVATIONS if each != "CRELU"))
    l1_reg_activation: float = option(0.0, low=0.0)

    def check(self, given: set[str]) -> None:
        super().check(given)
        units = self.hidden_units
        if units is not None and (len(units) % 2 == 0 or units != units[::-1]):
            raise InvalidArgument(
                "HIDDEN_UNITS of an autoencoder must be an odd number of layers that mirror each other",
                given=str(units),
                do="write for instance [32, 16, 4, 16, 32]",
                location="hidden_units",
            )


class NeuralModel(Supervised):
    """A network for a number or for classes. ``means`` (D,): the mean encoded row, where explanations begin."""

    usual_steps: ClassVar[int] = 15

    def __init__(self, common: Mapping[str, Any], encoding: Encoding, network: Network, means: np.ndarray) -> None:
        super().__init__(common)
        self.steps = self.options.get("integrated_gradients_num_steps") or self.usual_steps
        self.encoding = encoding
        self.network = network
        self.means = means

    def in_steps(self, steps: int) -> Self:
        """The same model, explained in this many steps."""
        made = copy.copy(self)
        made.steps = steps
        return made

    def inputs(self, block: Block) -> np.ndarray:
        """(n, D) inputs of encoded rows that are in their own units."""
        return _inputs(self.encoding, block)

    def scores(self, inputs: np.ndarray) -> np.ndarray:
        return self.network.scores(inputs)

    def probabilities(self, block: Block) -> np.ndarray:
        """(n, number of classes) float64"""
        return _shares(self.scores(self.inputs(block)))

    def values(self, block: Block) -> np.ndarray:
        """(n,) predictions of a regression."""
        return self.scores(self.inputs(block))[:, 0]

    def predict(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        blocks = (self.encoding.encode(batch, scaled=False) for batch in batches_of(rows))
        if self.classes is not None:
            return classified([self.probabilities(each) for each in blocks], self.signature, self.classes, threshold)
        return pa.table({"prediction": pa.chunked_array([self.values(each) for each in blocks], pa.float64())})

    def explain_block(self, block: Block, threshold: float = 0.5) -> Explained:
        inputs = self.inputs(block)
        rows = np.arange(len(inputs))
        outputs = self.scores(inputs)
        if self.classes is None:
            values, chosen, places, signs = outputs[:, 0], None, np.zeros(len(inputs), int), np.ones(len(inputs))
        else:
            shares = _shares(outputs)
            chosen = choose(shares, threshold)
            values = shares[rows, chosen]
            places = chosen if outputs.shape[1] > 1 else np.zeros(len(inputs), int)
            signs = np.ones(len(inputs)) if outputs.shape[1] > 1 else np.where(chosen == 1, 1.0, -1.0)
        slopes = np.zeros_like(inputs)
        away = inputs - self.means
        # The midpoint rule on the straight line from the mean to the row.
        for step in range(self.steps):
            slopes += self.network.slopes(self.means + (step + 0.5) / self.steps * away, places)
        columns = slopes * away / self.steps * signs[:, None]
        shares_of = np.zeros((len(inputs), len(self.features)))
        for column, owner in enumerate(self.encoding.owners()):
            shares_of[:, owner] += columns[:, column]
        baseline = self.scores(self.means[None, :])[0][places] * signs
        totals = outputs[rows, places] * signs
        moved = np.abs(totals - baseline)
        missed = np.abs(totals - baseline - shares_of.sum(axis=1))
        error = np.divide(missed, moved, out=np.zeros_like(missed), where=moved > 0)
        return Explained(values, chosen, shares_of, baseline, totals, error)

    def evaluator(self, threshold: float) -> Evaluator:
        assert self.signature.label is not None
        return Regression(self.signature.label.name) if self.classes is None else Classification(self, threshold)

    def to_parts(self) -> Parts:
        return _parts(self.encoding, self.network, means=self.means)

    @classmethod
    def from_parts(cls, common: Mapping[str, Any], parts: Parts) -> Self:
        encoding = Encoding.from_parts(parts.state["encoding"], parts.arrays)
        return cls(common, encoding, Network.from_parts(parts.state["network"], parts.arrays), parts.arrays["means"])


class DnnRegressor(NeuralModel):
    family = "dnn_regressor"


class DnnClassifier(NeuralModel):
    family = "dnn_classifier"


class WideRegressor(NeuralModel):
    family = "dnn_linear_combined_regressor"
    usual_steps = 50


class WideClassifier(NeuralModel):
    family = "dnn_linear_combined_classifier"
    usual_steps = 50


class AutoencoderModel(Model):
    """A network that gives back its inputs through a narrow layer."""

    family = "autoencoder"

    def __init__(self, common: Mapping[str, Any], encoding: Encoding, network: Network, cutoffs: np.ndarray) -> None:
        super().__init__(common)
        self.encoding = encoding
        self.network = network
        self.cutoffs = cutoffs
        """Reconstruction errors of the training rows, as ``cutoffs.quantiles`` keeps them."""

    @property
    def features(self) -> list[str]:
        return [feature.name for feature in self.encoding.features]

    def latent(self, inputs: np.ndarray) -> np.ndarray:
        """(n, latent columns)"""
        return self.network.hidden(inputs, (len(self.network.layers) - 2) // 2)

    def latent_block(self, block: Block) -> np.ndarray:
        """The same of encoded rows that are in their own units."""
        return self.latent(_inputs(self.encoding, block))

    def predict(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        parts = [self.latent(self._inputs(batch)) for batch in batches_of(rows)]
        return pa.table(
            {
                field.name: pa.chunked_array([np.ascontiguousarray(part[:, at]) for part in parts], pa.float64())
                for at, field in enumerate(self.signature.outputs)
            }
        )

    def reconstruction_loss(self, rows: Rows) -> pa.Table:
        """Each row's errors, means over its encoded columns: absolute, squared, and squared of logarithms."""
        found: dict[str, list[np.ndarray]] = {name: [] for name in LOSSES}
        for batch in batches_of(rows):
            for name, values in _errors(self.network, self._inputs(batch)).items():
                found[name].append(values)
        return pa.table({name: pa.chunked_array(parts, pa.float64()) for name, parts in found.items()})

    def detect_anomalies(self, rows: Rows, *, contamination: float) -> pa.Table:
        cutoff = cutoff_of(self.cutoffs, self.num_rows, contamination)
        found = self.reconstruction_loss(rows).column("mean_squared_error")
        return pa.table({"is_anomaly": pa.array(found.to_numpy() > cutoff), "mean_squared_error": found})

    def _inputs(self, batch: pa.RecordBatch) -> np.ndarray:
        return _inputs(self.encoding, self.encoding.encode(batch, scaled=False))

    def evaluator(self, threshold: float) -> Evaluator:
        return Reconstruction()

    def to_parts(self) -> Parts:
        return _parts(self.encoding, self.network, cutoffs=self.cutoffs)

    @classmethod
    def from_parts(cls, common: Mapping[str, Any], parts: Parts) -> Self:
        encoding = Encoding.from_parts(parts.state["encoding"], parts.arrays)
        return cls(common, encoding, Network.from_parts(parts.state["network"], parts.arrays), parts.arrays["cutoffs"])


LOSSES = ("mean_absolute_error", "mean_squared_error", "mean_squared_log_error")


class Reconstruction(Evaluator):
    """The means of the rows' reconstruction errors."""

    def __init__(self) -> None:
        self._sums = dict.fromkeys(LOSSES, 0.0)
        self._rows = 0

    def add(self, model: Model, batch: pa.RecordBatch) -> None:
        assert isinstance(model, AutoencoderModel)
        found = model.reconstruction_loss(batch)
        self._rows += batch.num_rows
        for name in LOSSES:
            self._sums[name] += float(np.sum(found.column(name).to_numpy()))

    def result(self) -> dict[str, float]:
        return {name: total / self._rows for name, total in self._sums.items()}


def _parts(encoding: Encoding, network: Network, **own: np.ndarray) -> Parts:
    """What a bundle stores of a network and of how its inputs are made, with further arrays."""
    encoded, arrays = encoding.to_parts()
    state, weights = network.to_parts()
    return Parts({"encoding": encoded, "network": state}, {**arrays, **weights, **own})


def _errors(network: Network, inputs: np.ndarray) -> dict[str, np.ndarray]:
    outputs = network.scores(inputs)
    away = outputs - inputs
    # Standardised numbers lie below -1, too: what is negative counts as 0.
    logs = np.log1p(np.maximum(outputs, 0.0)) - np.log1p(np.maximum(inputs, 0.0))
    return {
        "mean_absolute_error": np.abs(away).mean(axis=1),
        "mean_squared_error": (away**2).mean(axis=1),
        "mean_squared_log_error": (logs**2).mean(axis=1),
    }


def _inputs(encoding: Encoding, block: Block) -> np.ndarray:
    """Standardised inputs (n, D) float64 of encoded rows that are in their own units."""
    count = len(encoding.numbers)
    inputs = block.to_dense() if block.layout.dense < block.layout.width else np.array(block.dense)
    inputs[:, :count] = (inputs[:, :count] - encoding.centers) / encoding.scales
    return np.ascontiguousarray(inputs)


def _shares(scores: np.ndarray) -> np.ndarray:
    if scores.shape[1] == 1:
        with np.errstate(over="ignore"):
            positive = 1.0 / (1.0 + np.exp(-scores[:, 0]))
        return np.column_stack([1.0 - positive, positive])
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


# -- fitting


def fit_dnn(request: FitRequest) -> NeuralModel:
    """Fit a network for a label, with a linear part beside it where the options are those of a wide one."""
    require_torch()
    options: DnnOptions = request.options
    assert request.label is not None
    request.watch.expect(2 + options.max_iterations)
    survey = request.survey(max_classes=MOST_CLASSES)
    classes = survey.classes.ordered() if survey.classes is not None else None
    weights = class_weights_of(options, classes, survey.classes.counts) if classes and survey.classes else None
    encoding = _encoding(survey)
    source = supervised_source(request, encoding, classes, class_weights=weights)
    held = None
    if request.evaluation is not None:
        held = supervised_source(request, encoding, classes, data=request.evaluation)
    means, scales = _moments(source, encoding.width, classes is None)
    outputs = 1 if classes is None or len(classes) == 2 else len(classes)
    recipe = _recipe(request, encoding, survey.rows, outputs, Goal.NUMBER if classes is None else Goal.CLASS, scales)
    network, iterations = _trained(request, recipe, source, held, _start(request, encoding, classes))
    label = request.label
    common = {
        **_common(request, recipe, survey, iterations),
        "signature": Signature(request.inputs, label, prediction_fields(classes, label)),
        "classes": classes,
    }
    made = request.family.model(common, encoding, network, means)  # type: ignore[call-arg]
    assert isinstance(made, NeuralModel)
    return made


def fit_autoencoder(request: FitRequest) -> AutoencoderModel:
    """Fit an autoencoder."""
    require_torch()
    options: AutoencoderOptions = request.options
    request.watch.expect(3 + options.max_iterations)
    survey = request.survey()
    if survey.rows == 0:
        raise InvalidArgument("Training needs at least one row", given="none", do="check the training query")
    encoding = _encoding(survey)
    names = [field.name for field in request.inputs]

    def encode(batch: pa.RecordBatch) -> EncodedRows:
        return EncodedRows(encoding.encode(batch, scaled=True), np.empty(0))

    source = Source(request.data, names, encode, label=None, tick=request.watch.tick)
    held = None
    if request.evaluation is not None:
        held = Source(request.evaluation, names, encode, label=None, tick=request.watch.tick)
    recipe = _recipe(request, encoding, survey.rows, encoding.width, Goal.ITSELF, (0.0, 1.0))
    start = request.warm_start
    began = start.network if isinstance(start, AutoencoderModel) and _same(start.encoding, encoding) else None
    network, iterations = _trained(request, recipe, source, held, began)
    sample = RowSample(SAMPLE, seed=request.seed)
    for rows in source:
        for first in range(0, rows.block.rows, _AT_ONCE):
            places = np.arange(first, min(first + _AT_ONCE, rows.block.rows))
            sample.add(_errors(network, rows.block.dense_rows(places).astype(np.float64))["mean_squared_error"])
    width = recipe.hidden[len(recipe.hidden) // 2]
    outputs = tuple(Field(f"latent_col_{at + 1}", pa.float64()) for at in range(width))
    common = {
        **_common(request, recipe, survey, iterations),
        "signature": Signature(request.inputs, None, outputs),
        "classes": None,
    }
    return AutoencoderModel(common, encoding, network, quantiles(sample.values(), survey.rows))


def _encoding(survey: Survey) -> Encoding:
    encoding = Encoding.fit(survey, standardize=True)
    if encoding.width > MOST_COLUMNS:
        raise ResourceExhausted(
            f"A neural network takes at most {MOST_COLUMNS:,} encoded columns",
            given=f"{encoding.width:,}, each category of a text column being one",
            do="leave columns with many categories out, or hash them into buckets",
        )
    return encoding


def _moments(source: Source, width: int, numbers: bool) -> tuple[np.ndarray, tuple[float, float]]:
    """The mean encoded row (D,), and mean and deviation of a numeric label."""
    sums, rows, total, squares, shift = np.zeros(width), 0, 0.0, 0.0, 0.0
    for part in source:
        if numbers and not rows:
            shift = float(part.target[0])
        rows += part.block.rows
        sums += part.block.transposed_times(np.ones(part.block.rows))
        if numbers:
            moved = part.target - shift
            total, squares = total + float(moved.sum()), squares + float(moved @ moved)
    if not rows:
        raise InvalidArgument("Training needs rows with a label", given="none", do="check the training query")
    mean = total / rows
    deviation = float(np.sqrt(max(0.0, squares / rows - mean * mean)))
    return sums / rows, (shift + mean, deviation or 1.0) if numbers else (0.0, 1.0)


def _recipe(
    request: FitRequest, encoding: Encoding, rows: int, outputs: int, goal: Goal, scales: tuple[float, float]
) -> Recipe:
    options: NeuralOptions = request.options
    layer = max(1, min(_WIDEST, rows // (10 * (encoding.width + outputs))))
    recipe = Recipe(
        goal=goal,
        inputs=encoding.width,
        outputs=outputs,
        hidden=tuple(options.hidden_units or (layer,)),
        activation=options.activation_fn,
        optimizer=options.optimizer,
        learn_rate=options.learn_rate,
        batch_size=options.batch_size or max(1, min(32, rows)),
        dropout=options.dropout,
        seed=request.seed,
        scales=scales,
    )
    if isinstance(options, DnnOptions):
        recipe = replace(recipe, l1=options.l1_reg, l2=options.l2_reg)
    if isinstance(options, WideOptions):
        recipe = replace(
            recipe, wide=True, wide_optimizer=options.linear_optimizer, wide_learn_rate=options.linear_learn_rate
        )
    if isinstance(options, AutoencoderOptions):
        recipe = replace(recipe, l1_activation=options.l1_reg_activation)
    return recipe


def _start(request: FitRequest, encoding: Encoding, classes: list[Any] | None) -> Network | None:
    """The network that a warm start goes on from, in units of the label's deviation again."""
    start = request.warm_start
    if start is None:
        return None
    assert isinstance(start, NeuralModel)
    if not _same(start.encoding, encoding) or start.classes != classes:
        raise InvalidArgument(
            "WARM_START needs the features, categories and classes of the model that it goes on from",
            given="other ones",
            do="train without WARM_START",
        )
    return start.network


def _same(before: Encoding, now: Encoding) -> bool:
    def names(encoding: Encoding) -> list[Any]:
        return [
            [feature.name for feature in encoding.features],
            [category.texts for category in encoding.categories],
            encoding.layout,
        ]

    return bool(names(before) == names(now))


def _trained(
    request: FitRequest, recipe: Recipe, source: Source, held: Source | None, start: Network | None
) -> tuple[Network, list[Iteration]]:
    options: NeuralOptions = request.options
    if start is not None:
        widths = tuple(len(biases) for _, biases in start.layers[:-1])
        if widths != recipe.hidden or start.activation != recipe.activation:
            raise InvalidArgument(
                "WARM_START needs the HIDDEN_UNITS and ACTIVATION_FN of the model that it goes on from",
                given=f"{list(recipe.hidden)} and {recipe.activation}",
                do=f"set {list(widths)} and {start.activation}",
            )
        start = _scaled_down(start, recipe)
    trainer = Trainer(recipe, start)
    check: Callable[[], None] = lambda: request.watch.tick(0)  # noqa: E731
    iterations: list[Iteration] = []
    before = least = float("inf")
    best: tuple[int, Network] | None = None
    for number in range(options.max_iterations):
        loss = trainer.epoch(source, check)
        if not np.isfinite(loss):
            raise Diverged(
                "Training must not diverge", given=f"a loss of {loss} in iteration {number}", do="lower LEARN_RATE"
            )
        held_loss = trainer.loss(held) if held is not None else None
        iterations.append(
            request.watch.iteration(number, loss, held_loss, options.learn_rate, of=options.max_iterations)
        )
        own = loss if held_loss is None else held_loss
        if options.patience and held_loss is not None:
            if held_loss < least:
                least, best = held_loss, (number, trainer.network())
            elif best is not None and number - best[0] >= options.patience:
                break
        elif stalled(before, own, options):
            break
        before = own
    return trainer.network() if best is None else best[1], iterations


def _scaled_down(network: Network, recipe: Recipe) -> Network:
    if recipe.goal is not Goal.NUMBER:
        return network
    mean, deviation = recipe.scales
    weights, biases = network.layers[-1]
    layers = (*network.layers[:-1], (weights / deviation, (biases - mean) / deviation))
    return Network(network.activation, layers, None if network.wide is None else network.wide / deviation)


def _common(request: FitRequest, recipe: Recipe, survey: Survey, iterations: list[Iteration]) -> dict[str, Any]:
    return {
        "options": {
            **request.options.to_json(),
            "hidden_units": list(recipe.hidden),
            "batch_size": recipe.batch_size,
        },
        "iterations": iterations,
        "statistics": feature_statistics(survey),
        "num_rows": survey.rows,
        "skipped_rows": survey.skipped,
        "notes": [],
    }
