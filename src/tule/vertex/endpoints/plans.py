"""Models turned into arrays: compiled, proven equal to the model itself, kept beside the deployment.

A scikit-learn object is taken apart inside the jail; what comes out are numbers, which the server predicts with. The
proof is by trial: rows made around the very numbers the model compares with must give, one at a time and together,
exactly the answers that the model itself gives in its jail.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tule.kernel.errors import DataLoss, TuleError
from tule.kernel.home import write_private
from tule.vertex.endpoints.workers import Worker

ROWS = 600
"""Rows in a proof."""

_ALONE = 40
_DESCRIPTION, _ARRAYS = "plan.json", "plan.npz"
BOOSTER = "model.ubj"
"""A booster that came out of a pickle, beside the deployment."""
_DEEPEST = 10_000


def from_worker(worker: Worker, folder: Path) -> Any | str:
    """The plan of the model that ``worker`` opened, also written to ``folder``; or why there is none."""
    from tule.learn import runtime

    found = worker.plan()
    if isinstance(found, str):
        return found
    if isinstance(found, bytes):
        write_private(folder / BOOSTER, found, replace=True)
        return booster(folder / BOOSTER)
    description, arrays = found
    try:
        _check_depths(description)
        plan = runtime.plan_from_arrays({**description, "arrays": arrays})
    except TuleError as error:
        return error.message
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        # What a jailed process sends is as untrusted as the model.
        return f"its description is not a plan: {type(error).__name__}"
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays)
    write_private(folder / _ARRAYS, packed.getvalue(), replace=True)
    write_private(folder / _DESCRIPTION, orjson.dumps(description, option=orjson.OPT_SERIALIZE_NUMPY), replace=True)
    return plan


def _check_depths(description: Mapping[str, Any]) -> None:
    """Trees are walked as deep as the description says, so a false depth would keep the server busy for ever."""
    for step in description["steps"]:
        if not 0 <= int(step.get("depth", 0)) <= _DEEPEST:
            raise ValueError("depth")


def load(folder: Path) -> Any:
    """The plan that ``from_worker`` wrote."""
    from tule.learn import runtime

    try:
        description = orjson.loads((folder / _DESCRIPTION).read_bytes())
        with np.load(folder / _ARRAYS, allow_pickle=False) as packed:
            arrays = {name: packed[name] for name in packed.files}
    except (OSError, ValueError) as error:
        raise DataLoss(
            "A deployed model's arrays must be readable", given=str(error), do="undeploy the model and deploy it again"
        ) from error
    return runtime.plan_from_arrays({**description, "arrays": arrays})


def booster(path: Path) -> Any | str:
    """The plan of an XGBoost file, or why there is none."""
    from tule.learn import runtime

    try:
        return runtime.compile_xgboost(path)
    except TuleError as error:
        return error.message


def difference(plan: Any, worker: Worker) -> str | None:
    """None if the plan answers as the model in ``worker`` does, else what differed."""
    rows = sample_rows(plan)
    try:
        wanted = worker.predict(rows)
        alone = [worker.predict([row])[0] for row in rows[:_ALONE]]
    except TuleError as error:
        return f"the model could not be tried: {error.message}"
    try:
        found = _as_sent(plan.predict(rows))
        found_alone = [_as_sent(plan.predict([row]))[0] for row in rows[:_ALONE]]
    except Exception as error:
        # Whatever a faulty plan raises, the model itself still serves.
        return f"the arrays could not be tried: {type(error).__name__}: {error}"
    for place, (mine, theirs) in enumerate(zip([*found_alone, *found], [*alone, *wanted], strict=True)):
        if mine != theirs:
            return f"{mine} instead of {theirs} for row {place}"
    return None


def _as_sent(answers: list[Any]) -> Any:
    """Answers as they look after JSON, which is how the worker's arrive."""
    return orjson.loads(orjson.dumps(answers, option=orjson.OPT_SERIALIZE_NUMPY))


def sample_rows(plan: Any, seed: int = 7) -> list[list[float]]:
    """Rows that reach the corners of a model: around each number in it, plain, large, small, zero and whole values."""
    random = np.random.default_rng(seed)
    width = plan.num_features
    rows = random.normal(size=(ROWS, width)) * 10.0 ** random.integers(-2, 4, size=(ROWS, 1))
    known = np.unique(np.concatenate([np.zeros(1), *_numbers(plan)]))
    known = known[np.isfinite(known)]
    near = random.choice(known, size=(ROWS // 2, width))
    step = random.integers(-1, 2, size=near.shape)
    # The number itself, or the next single-precision value beside it: trees compare in either precision.
    beside = np.nextafter(near.astype(np.float32), np.where(step > 0, np.inf, -np.inf).astype(np.float32))
    rows[: ROWS // 2] = np.where(step == 0, near, beside.astype(np.float64))
    rows[ROWS // 2 : ROWS // 2 + 50] = np.round(rows[ROWS // 2 : ROWS // 2 + 50])
    rows[-1] = 0.0
    order = random.permutation(ROWS)
    # Values beyond single precision are refused by scikit-learn's trees.
    limit = float(np.finfo(np.float32).max) / 2
    return [[float(value) for value in row] for row in np.clip(rows[order], -limit, limit)]


def _numbers(value: Any, depth: int = 0) -> Iterator[np.ndarray]:
    """Every array of floating-point numbers that a plan holds, at most some thousands of values of each."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f":
            yield value.ravel()[:: max(1, value.size // 5000)].astype(np.float64)
        return
    if depth > 5:
        return
    if isinstance(value, dict):
        parts = list(value.values())
    elif isinstance(value, (list, tuple)):
        parts = list(value)
    elif hasattr(value, "__dict__"):
        parts = list(vars(value).values())
    else:
        parts = [getattr(value, name, None) for name in getattr(type(value), "__slots__", ())]
    for part in parts:
        yield from _numbers(part, depth + 1)
