"""Training a network on streamed rows in small batches, by PyTorch.

Rows are shuffled within blocks of up to 64 thousand rows, whose order is that of the data; one epoch is one iteration. The
target of a regression is learned in units of its own deviation, so that learning rates mean the same for every label.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from tule.kernel.errors import FailedPrecondition
from tule.learn.neural.network import ACTIVATIONS, Network

if TYPE_CHECKING:
    import torch

    from tule.learn.models.fitting import Rows


_ASKED = 4096
"""Rows whose loss is computed at once."""


class Goal(Enum):
    """What the outputs are compared with."""

    NUMBER = "number"
    CLASS = "class"
    ITSELF = "itself"


@dataclass(frozen=True)
class Recipe:
    """How a network is built and trained. ``wide``: with a linear part beside it."""

    goal: Goal
    inputs: int
    outputs: int
    hidden: tuple[int, ...]
    activation: str = "RELU"
    wide: bool = False
    optimizer: str = "ADAM"
    learn_rate: float = 0.001
    wide_optimizer: str = "FTRL"
    wide_learn_rate: float = 0.001
    batch_size: int = 32
    dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    l1_activation: float = 0.0
    seed: int = 0
    scales: tuple[float, float] = field(default=(0.0, 1.0))
    """Mean and deviation of a number to learn."""


def require_torch() -> None:
    """FailedPrecondition where PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise FailedPrecondition(
            "Training a neural network needs PyTorch, which is not installed",
            do="install it: pip install 'tule[torch]'",
            reason="invalidQuery",
        )


class Trainer:
    """One training; ``check`` is called at each step and may raise to stop."""

    def __init__(self, recipe: Recipe, start: Network | None = None) -> None:
        """``start``: a network of the same shape to go on from."""
        require_torch()
        import torch

        # Batches are small: threads would wait for one another, much longer still beside a busy engine.
        torch.set_num_threads(1)
        self._recipe = recipe
        self._generator = torch.Generator().manual_seed(recipe.seed)
        self._layers, self._wide = self._built(start)
        self._optimizers = self._made_optimizers()

    def _built(self, start: Network | None) -> tuple[list[tuple[torch.Tensor, torch.Tensor]], torch.Tensor | None]:
        import torch

        recipe = self._recipe
        if start is not None:
            layers = [(_leaf(weights), _leaf(biases)) for weights, biases in start.layers]
            return layers, None if start.wide is None else _leaf(start.wide)
        widths = [recipe.inputs, *recipe.hidden, recipe.outputs]
        factor = 2 if ACTIVATIONS[recipe.activation].doubles else 1
        layers = []
        for at, (before, after) in enumerate(itertools.pairwise(widths)):
            entering = before * factor if at else before
            # Glorot's bound, as TensorFlow's dense layers start.
            bound = math.sqrt(6.0 / (entering + after))
            weights = (torch.rand(entering, after, generator=self._generator) * 2.0 - 1.0) * bound
            layers.append((weights.requires_grad_(), torch.zeros(after).requires_grad_()))
        wide = torch.zeros(recipe.inputs, recipe.outputs).requires_grad_() if recipe.wide else None
        return layers, wide

    def _made_optimizers(self) -> list[torch.optim.Optimizer]:
        recipe = self._recipe
        deep = [tensor for pair in self._layers for tensor in pair]
        made = [_optimizer(recipe.optimizer, deep, recipe.learn_rate)]
        if self._wide is not None:
            made.append(_optimizer(recipe.wide_optimizer, [self._wide], recipe.wide_learn_rate))
        return made

    def epoch(self, source: Iterable[Rows], check: Callable[[], None]) -> float:
        """Go over all rows once; the mean loss, without penalties, of the batches as they were met."""
        import torch

        total = mass = 0.0
        size = self._recipe.batch_size
        for rows in source:
            order = torch.randperm(rows.block.rows, generator=self._generator).numpy()
            for first in range(0, len(order), size):
                check()
                loss, weight = self._step(*self._tensors(rows, order[first : first + size]))
                total, mass = total + loss, mass + weight
        return self._in_units(total / mass) if mass else math.nan

    def loss(self, source: Iterable[Rows]) -> float:
        """The mean loss of rows, without penalties."""
        import torch

        total = mass = 0.0
        with torch.no_grad():
            for rows in source:
                for first in range(0, rows.block.rows, _ASKED):
                    places = np.arange(first, min(first + _ASKED, rows.block.rows))
                    inputs, targets, weights = self._tensors(rows, places)
                    own = self._losses(self._outputs(inputs, training=False)[0], targets)
                    total += float(own.sum() if weights is None else (own * weights).sum())
                    mass += len(own) if weights is None else float(weights.sum())
        return self._in_units(total / mass) if mass else math.nan

    def network(self) -> Network:
        """The network as it is now, its outputs in the units of the label."""
        mean, deviation = self._recipe.scales
        layers = [(w.detach().double().numpy(), b.detach().double().numpy()) for w, b in self._layers]
        wide = None if self._wide is None else self._wide.detach().double().numpy()
        if self._recipe.goal is Goal.NUMBER:
            weights, biases = layers[-1]
            layers[-1] = (weights * deviation, biases * deviation + mean)
            wide = None if wide is None else wide * deviation
        # Rounded now, so that the model is the same before and after it is kept.
        rounded = tuple((_rounded(weights), _rounded(biases)) for weights, biases in layers)
        return Network(self._recipe.activation, rounded, None if wide is None else _rounded(wide))

    def _tensors(self, rows: Rows, places: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Inputs (m, D), targets and weights of some rows."""
        import torch

        inputs = torch.from_numpy(rows.block.dense_rows(places))
        if self._recipe.goal is Goal.CLASS:
            targets = torch.from_numpy(rows.target[places].astype(np.int64))
        elif self._recipe.goal is Goal.NUMBER:
            mean, deviation = self._recipe.scales
            targets = torch.from_numpy(((rows.target[places] - mean) / deviation).astype(np.float32))
        else:
            targets = inputs
        weights = None if rows.weight is None else torch.from_numpy(rows.weight[places].astype(np.float32))
        return inputs, targets, weights

    def _outputs(self, inputs: torch.Tensor, *, training: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(n, K) outputs, and the sum of the sizes of what hidden layers give, where that is penalised."""
        import torch

        recipe = self._recipe
        activate = _activation(recipe.activation)
        found, sizes = inputs, None
        for at, (weights, biases) in enumerate(self._layers):
            if at:
                found = activate(found)
                if recipe.l1_activation:
                    own = found.abs().sum() / len(found)
                    sizes = own if sizes is None else sizes + own
                if training and recipe.dropout:
                    kept = torch.rand(found.shape, generator=self._generator) >= recipe.dropout
                    found = found * kept / (1.0 - recipe.dropout)
            found = found @ weights + biases
        if self._wide is not None:
            found = found + inputs @ self._wide
        return found, sizes

    def _losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """(n,) losses: squared errors (their mean over the outputs), or minus the logarithm of the class's share."""
        import torch

        if self._recipe.goal is Goal.NUMBER:
            return (outputs[:, 0] - targets) ** 2
        if self._recipe.goal is Goal.ITSELF:
            return ((outputs - targets) ** 2).mean(dim=1)
        if outputs.shape[1] == 1:
            signs = targets.float() * 2.0 - 1.0
            return torch.nn.functional.softplus(-outputs[:, 0] * signs)
        return torch.nn.functional.cross_entropy(outputs, targets, reduction="none")

    def _step(self, inputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None) -> tuple[float, float]:
        recipe = self._recipe
        outputs, sizes = self._outputs(inputs, training=True)
        losses = self._losses(outputs, targets)
        if weights is None:
            summed, mass = losses.sum(), float(len(losses))
        else:
            summed, mass = (losses * weights).sum(), float(weights.sum())
        goal = summed / mass
        if recipe.l1 or recipe.l2:
            for each in [pair[0] for pair in self._layers] + ([] if self._wide is None else [self._wide]):
                goal = goal + recipe.l1 * each.abs().sum() + recipe.l2 * (each**2).sum()
        if sizes is not None:
            goal = goal + recipe.l1_activation * sizes
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        goal.backward()
        for optimizer in self._optimizers:
            optimizer.step()
        return float(summed.detach()), mass

    def _in_units(self, loss: float) -> float:
        return loss * self._recipe.scales[1] ** 2 if self._recipe.goal is Goal.NUMBER else loss


def _leaf(values: np.ndarray) -> torch.Tensor:
    import torch

    return torch.tensor(values, dtype=torch.float32).requires_grad_()


def _rounded(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).astype(np.float64)


def _optimizer(name: str, parameters: list[torch.Tensor], rate: float) -> torch.optim.Optimizer:
    import torch

    match name:
        case "ADAM":
            return torch.optim.Adam(parameters, rate)
        case "ADAGRAD":
            return torch.optim.Adagrad(parameters, rate, initial_accumulator_value=0.1)
        case "RMSPROP":
            return torch.optim.RMSprop(parameters, rate, alpha=0.9)
        case "SGD":
            return torch.optim.SGD(parameters, rate)
    from tule.learn.neural.optimizers import Ftrl

    return Ftrl(parameters, rate)


def _activation(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    import torch
    from torch.nn import functional

    def both(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([functional.relu(x), functional.relu(-x)], dim=1)

    known: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "RELU": functional.relu,
        "RELU6": functional.relu6,
        "CRELU": both,
        "ELU": functional.elu,
        "SELU": functional.selu,
        "SIGMOID": torch.sigmoid,
        "TANH": torch.tanh,
    }
    return known[name]
