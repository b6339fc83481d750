"""xgboost models for serving: predictions straight from an array, bit for bit those of ``Booster.predict``.

``Booster.predict`` builds a DMatrix and ``inplace_predict`` checks and wraps in Python; for one row that costs
several times the trees themselves. They are answered by a ``Forest`` where the trees can be one, otherwise by a
``DensePredictor``; both were compared with ``Booster.predict`` beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tule.kernel.errors import InvalidArgument
from tule.learn.runtime.dense import DensePredictor
from tule.learn.runtime.forests import Forest, forest_of
from tule.learn.runtime.matrices import matrix_of

if TYPE_CHECKING:
    from tule.learn.models import Importance

_PROBES = 1024
# Squares of numbers that single precision holds add up to less.
_SMALL = 1e76


class BoosterPredictor:
    """One booster on one thread. ``predict`` takes float32 (n, W), NaN for missing; safe for several threads."""

    def __init__(self, booster: Any) -> None:
        self._booster = booster
        booster.set_param({"nthread": 1})
        self.num_features = int(booster.num_features())
        self._direct = self._exact_direct()
        self._forest = self._exact_forest()

    def _exact_forest(self) -> Forest | None:
        import xgboost

        forest = forest_of(self._booster)
        if forest is None or not self.num_features:
            return None
        rows = forest.probes(_PROBES)
        wanted = self._booster.predict(xgboost.DMatrix(rows), validate_features=False)
        exact = np.array_equal(forest.predict(rows), wanted) and np.array_equal(forest.predict(rows[:1]), wanted[:1])
        return forest if exact else None

    def _exact_direct(self) -> DensePredictor | None:
        import xgboost

        rows = np.random.default_rng(0).normal(scale=3.0, size=(64, self.num_features)).astype(np.float32)
        rows[::7] = np.nan
        wanted = self._booster.predict(xgboost.DMatrix(rows), validate_features=False)
        try:
            direct = DensePredictor(self._booster)
            exact = np.array_equal(direct.predict(rows), wanted) and np.array_equal(
                direct.predict(rows[:1]), wanted[:1]
            )
        except (xgboost.core.XGBoostError, AttributeError, OSError):
            return None
        return direct if exact else None

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """(n,) or (n, outputs) float32."""
        if self._forest is not None:
            return self._forest.predict(rows)
        if self._direct is not None:
            return self._direct.predict(rows)
        import xgboost

        return np.asarray(self._booster.predict(xgboost.DMatrix(rows), validate_features=False))


class BoosterPlan:
    """A booster file as the prebuilt xgboost serving containers answer for it."""

    def __init__(self, booster: Any) -> None:
        self._predictor = BoosterPredictor(booster)
        self.num_features = self._predictor.num_features
        self._booster = booster
        self.feature_names: list[str] | None = list(booster.feature_names) if booster.feature_names else None
        self.feature_types: list[str] | None = list(booster.feature_types) if booster.feature_types else None

    def predict(self, instances: Sequence[Any]) -> list[Any]:
        """``Booster.predict`` of the rows, as JSON values."""
        if not instances:
            return []
        wide = matrix_of(instances, self.num_features, self.feature_names)
        # A product with itself is small unless a number is not, or is none: one quick look at all of them.
        rows = wide.astype(np.float32) if np.vdot(wide, wide) < _SMALL else self._narrowed(wide, instances)
        found: list[Any] = self._predictor.predict(rows).tolist()
        return found

    @property
    def outputs(self) -> int | None:
        """How many numbers each row's answer is; None where it is one number."""
        found = self._predictor.predict(np.zeros((1, self.num_features), np.float32))
        return found.shape[1] if found.ndim == 2 else None

    def predict_columns(self, columns: Sequence[pa.Array]) -> np.ndarray:
        """``Booster.predict`` of rows given as columns of numbers and booleans, NULL for missing: (n,) or (n, outputs)."""
        rows = np.empty((len(columns[0]), len(columns)), np.float32)
        for at, column in enumerate(columns):
            if pa.types.is_boolean(column.type):
                column = column.cast(pa.int8())
            values = column.cast(pa.float64(), safe=False) if not pa.types.is_float64(column.type) else column
            rows[:, at] = values.to_numpy(zero_copy_only=False)
        if np.isinf(rows).any():
            raise InvalidArgument("Numbers must be finite and fit a 32-bit float", given="a larger one", do="use NULL")
        return self._predictor.predict(rows)

    def importance(self, names: Sequence[str]) -> list[Importance]:
        """Use of each feature by the trees: splits, mean gain, mean cover."""
        from tule.learn.models.base import Importance

        known = self.feature_names or [f"f{at}" for at in range(self.num_features)]
        weight, gain, cover = (self._booster.get_score(importance_type=kind) for kind in ("weight", "gain", "cover"))
        return [
            Importance(name, int(weight.get(own, 0)), float(gain.get(own, 0.0)), float(cover.get(own, 0.0)))
            for name, own in zip(names, known, strict=True)
        ]

    def _narrowed(self, wide: np.ndarray, instances: Sequence[Any]) -> np.ndarray:
        """In single precision; raises InvalidArgument for what is infinite there."""
        with np.errstate(over="ignore"):
            rows = wide.astype(np.float32)
        infinite = np.argwhere(np.isinf(rows))
        if infinite.size:
            row, column = infinite[0]
            key = column if isinstance(instances[row], list) else (self.feature_names or [])[column]
            raise InvalidArgument(
                "Numbers must be finite and fit a 32-bit float", given=instances[row][key], do="send null instead"
            )
        return rows


def compile_booster(path: Path) -> BoosterPlan:
    """Read a booster file. xgboost itself parses it: UBJSON or JSON, no code in it."""
    import xgboost

    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise InvalidArgument("The model file must be readable", given=path.name) from error
    if start[:1] == b"\x80":
        raise InvalidArgument(
            "A booster file must be in xgboost's own format",
            given=f"{path.name} is a pickle",
            do="save it with Booster.save_model('model.bst'), or upload it as model.pkl",
        )
    booster = xgboost.Booster()
    try:
        booster.load_model(bytearray(path.read_bytes()) if start[:1] == b"{" else str(path))
    except (xgboost.core.XGBoostError, ValueError, UnicodeDecodeError) as error:
        lines = [line.strip() for line in str(error).split("Stack trace:")[0].splitlines() if line.strip()]
        raise InvalidArgument(
            "A booster file must be one that xgboost can read",
            given=f"{path.name}: {lines[-1][:300] if lines else 'no reason given'}",
            do="save it again with Booster.save_model of xgboost 1.0 or later",
        ) from None
    return BoosterPlan(booster)
