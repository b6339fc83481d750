"""A trained network of fully connected layers, beside an optional linear part, in NumPy: answers and their slopes.

Symbols: n rows, D inputs, K outputs. Arithmetic is float64 on the float32 weights that training gives, so that a row has the
same answer alone and among others, to about 1e-15.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _elu(x: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    return np.where(x > 0.0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def _elu_slope(x: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    return np.where(x > 0.0, 1.0, alpha * np.exp(np.minimum(x, 0.0)))


@dataclass(frozen=True)
class Activation:
    """``value`` of x, and ``slope``: its derivative, both elementwise (CRELU doubles the width)."""

    value: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]
    doubles: bool = False


ACTIVATIONS: dict[str, Activation] = {
    "RELU": Activation(lambda x: np.maximum(x, 0.0), lambda x: (x > 0.0).astype(float)),
    "RELU6": Activation(lambda x: np.clip(x, 0.0, 6.0), lambda x: ((x > 0.0) & (x < 6.0)).astype(float)),
    "CRELU": Activation(
        lambda x: np.concatenate([np.maximum(x, 0.0), np.maximum(-x, 0.0)], axis=1),
        lambda x: np.concatenate([(x > 0.0).astype(float), -(x < 0.0).astype(float)], axis=1),
        doubles=True,
    ),
    "ELU": Activation(_elu, _elu_slope),
    "SELU": Activation(
        lambda x: _SELU_SCALE * _elu(x, _SELU_ALPHA), lambda x: _SELU_SCALE * _elu_slope(x, _SELU_ALPHA)
    ),
    "SIGMOID": Activation(_sigmoid, lambda x: _sigmoid(x) * (1.0 - _sigmoid(x))),
    "TANH": Activation(np.tanh, lambda x: 1.0 - np.tanh(x) ** 2),
}


@dataclass(frozen=True)
class Network:
    """``layers``: (weights (in, out), biases (out,)), all but the last followed by the activation; ``wide`` (D, K)."""

    activation: str
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    wide: np.ndarray | None = None

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """(n, K) outputs of rows (n, D)."""
        return self._forward(rows, len(self.layers))[0]

    def hidden(self, rows: np.ndarray, layer: int) -> np.ndarray:
        """What the hidden layer of this number, from 0, gives after its activation."""
        value = ACTIVATIONS[self.activation].value
        return value(self._forward(rows, layer + 1)[0])

    def _forward(self, rows: np.ndarray, count: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """The output of the first ``count`` layers before an activation, and the input of each activation on the way."""
        value = ACTIVATIONS[self.activation].value
        found, before = rows, []
        for at, (weights, biases) in enumerate(self.layers[:count]):
            if at:
                before.append(found)
                found = value(found)
            found = found @ weights + biases
        if self.wide is not None and count == len(self.layers):
            found = found + rows @ self.wide
        return found, before

    def slopes(self, rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """(n, D) derivatives, by each input, of the output whose place ``chosen`` (n,) names for the row."""
        activation = ACTIVATIONS[self.activation]
        _, before = self._forward(rows, len(self.layers))
        found = self.layers[-1][0].T[chosen]
        for at in range(len(self.layers) - 2, -1, -1):
            found = found * activation.slope(before[at])
            if activation.doubles:
                half = found.shape[1] // 2
                found = found[:, :half] + found[:, half:]
            found = found @ self.layers[at][0].T
        return found if self.wide is None else found + self.wide.T[chosen]

    def to_parts(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON and arrays (float32) for a bundle."""
        arrays: dict[str, np.ndarray] = {}
        for at, (weights, biases) in enumerate(self.layers):
            arrays |= {
                f"layers/{at}/weights": weights.astype(np.float32),
                f"layers/{at}/biases": biases.astype(np.float32),
            }
        if self.wide is not None:
            arrays["wide"] = self.wide.astype(np.float32)
        return {"activation": self.activation, "layers": len(self.layers)}, arrays

    @classmethod
    def from_parts(cls, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        layers = tuple(
            (arrays[f"layers/{at}/weights"].astype(np.float64), arrays[f"layers/{at}/biases"].astype(np.float64))
            for at in range(state["layers"])
        )
        return cls(state["activation"], layers, arrays["wide"].astype(np.float64) if "wide" in arrays else None)
