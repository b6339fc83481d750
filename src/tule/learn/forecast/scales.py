"""Limits of a forecast: inside them the model works on a scale that has none.

Both limits: log((y - lower) / (upper - y)); one: the logarithm of the distance to it; none: the values as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scale:
    """The scale of a series with these limits."""

    lower: float | None = None
    upper: float | None = None

    @property
    def plain(self) -> bool:
        return self.lower is None and self.upper is None

    def inside(self, values: np.ndarray) -> np.ndarray:
        """Which values lie strictly within the limits; NaN does not."""
        found = np.isfinite(values)
        if self.lower is not None:
            found &= values > self.lower
        if self.upper is not None:
            found &= values < self.upper
        return found

    def to(self, values: np.ndarray) -> np.ndarray:
        """Onto the scale without limits."""
        match self.lower, self.upper:
            case None, None:
                return values
            case lower, None:
                return np.log(values - lower)
            case None, upper:
                return -np.log(upper - values)
            case lower, upper:
                return np.log((values - lower) / (upper - values))

    def back(self, values: np.ndarray) -> np.ndarray:
        """The inverse of ``to``."""
        match self.lower, self.upper:
            case None, None:
                return values
            case lower, None:
                return lower + np.exp(np.minimum(values, 700.0))
            case None, upper:
                return upper - np.exp(np.minimum(-values, 700.0))
            case lower, upper:
                return lower + (upper - lower) * 0.5 * (1.0 + np.tanh(0.5 * values))
