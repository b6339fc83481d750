"""Which share of the training rows lies above a score: the cutoffs of anomaly detection.

A model keeps the scores of its training rows: all of them while they are few, else even quantiles of an even sample.
"""

from __future__ import annotations

import math

import numpy as np

from tule.kernel.errors import InvalidArgument

SAMPLE = 1 << 18
"""How many scores a training pass holds."""
_EXACT = 4096


def quantiles(scores: np.ndarray, rows: int) -> np.ndarray:
    """What to keep of the scores of ``rows`` training rows (or of an even sample of them), ascending."""
    ordered = np.sort(scores)
    return ordered if rows <= _EXACT else np.quantile(ordered, np.linspace(0.0, 1.0, _EXACT + 1))


def cutoff_of(kept: np.ndarray, rows: int, contamination: float) -> float:
    """The score that this share of the ``rows`` training rows (rounded down) lies above; the share is in [0, 0.5]."""
    if not 0.0 <= contamination <= 0.5:
        raise InvalidArgument("contamination must be between 0 and 0.5", given=contamination)
    if rows <= _EXACT:
        return float(kept[len(kept) - 1 - math.floor(contamination * len(kept))])
    return float(np.interp(1.0 - contamination, np.linspace(0.0, 1.0, len(kept)), kept))
