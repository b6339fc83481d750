"""Small dense problems behind the linear families: A is a (D, D) symmetric positive semidefinite matrix.

With full one-hot encoding the columns of a category sum to the intercept, so A is singular by construction. All answers
are the (nearly) minimum-norm ones, which do not depend on the order of columns.
"""

from __future__ import annotations

import numpy as np

_EXACT = 800


def solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The minimum-norm x with A x = right, right in the range of A.

    Eigenvalues below D * 1e-15 of the largest count as zero. Past 800 columns a Cholesky factor of A + r I with r at
    1e-12 of the mean diagonal replaces the eigenvalues (16 times less work, the same answer to about 1e-9).
    """
    size = len(matrix)
    if size == 0:
        return np.zeros(0)
    if size <= _EXACT:
        values, vectors = np.linalg.eigh(matrix)
        cut = max(size, 10) * 1e-15 * max(float(values[-1]), 0.0)
        inverse = np.where(values > cut, 1.0 / np.where(values > cut, values, 1.0), 0.0)
        return np.asarray(vectors @ (inverse * (vectors.T @ right)))
    return ridge_solve(matrix, right)


def ridge_solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """x with (A + r I) x = right, r as small as lets A + r I be factored (from 1e-12 of the mean diagonal)."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    scale = float(np.trace(matrix)) / max(len(matrix), 1) or 1.0
    ridge = 1e-12
    while True:
        moved = matrix.copy()
        moved[np.diag_indices_from(moved)] += ridge * scale
        try:
            factor = cho_factor(moved, lower=True, overwrite_a=True, check_finite=False)
        except LinAlgError:
            ridge *= 100.0
            if ridge > 1.0:
                raise
            continue
        return np.asarray(cho_solve(factor, right, check_finite=False))


def inverse(matrix: np.ndarray) -> np.ndarray:
    """The pseudo-inverse of A, by eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    cut = max(len(matrix), 10) * 1e-15 * max(float(values[-1]), 0.0)
    scaled = np.where(values > cut, 1.0 / np.where(values > cut, values, 1.0), 0.0)
    return np.asarray((vectors * scaled) @ vectors.T)


def rank(matrix: np.ndarray) -> int:
    """Number of eigenvalues that are not zero to rounding."""
    values = np.linalg.eigvalsh(matrix)
    return int(np.sum(values > max(len(matrix), 10) * 1e-15 * max(float(values[-1]), 0.0)))


def soft(values: np.ndarray, by: float | np.ndarray) -> np.ndarray:
    """Soft thresholding: towards zero by ``by``, not past it."""
    return np.asarray(np.sign(values) * np.maximum(np.abs(values) - by, 0.0))


def lasso(
    matrix: np.ndarray,
    right: np.ndarray,
    penalty: np.ndarray,
    start: np.ndarray,
    *,
    sweeps: int = 2000,
    tolerance: float = 1e-10,
) -> np.ndarray:
    """The x that makes 0.5 x'Ax - right'x + sum(penalty * |x|) least, by cyclic coordinate descent.

    ``penalty`` (D,) may be 0 for some columns. Stops when no coordinate moves the value by more than ``tolerance`` of
    the largest move of the first sweep. (Friedman, Hastie, Tibshirani 2010.)
    """
    x = start.copy()
    product = matrix @ x
    diagonal = np.diag(matrix).copy()
    order = np.flatnonzero(diagonal > 1e-14 * float(diagonal.max(initial=0.0)))
    x[diagonal <= 1e-14 * float(diagonal.max(initial=0.0))] = 0.0
    first = 0.0
    for sweep in range(sweeps):
        largest = 0.0
        for at in order:
            own = diagonal[at]
            target = right[at] - product[at] + own * x[at]
            shrunk = abs(target) - penalty[at]
            new = 0.0 if shrunk <= 0.0 else (shrunk if target > 0 else -shrunk) / own
            move = new - x[at]
            if move != 0.0:
                product += move * matrix[:, at]
                x[at] = new
                largest = max(largest, own * move * move)
        if sweep == 0:
            first = largest
        if largest <= tolerance * tolerance * max(first, 1e-300):
            break
    return x
