"""xgboost models for serving: predictions straight from an array, bit for bit those of ``Booster.predict``.

``Booster.predict`` builds a DMatrix and ``inplace_predict`` checks and wraps in Python; for one row that costs
several times the trees themselves. Few rows are answered by ``Forest``, more by the C function under
``inplace_predict``, called with prepared arguments; both were compared with ``Booster.predict`` beforehand.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tule.kernel.errors import InvalidArgument
from tule.learn.runtime.forests import Forest, forest_of
from tule.learn.runtime.matrices import matrix_of

# Comparisons (rows times splits) up to which a Forest is faster than a call into xgboost.
_FEW = 12_000
_PROBES = 1024


class BoosterPredictor:
    """One booster on one thread. ``predict`` takes float32 (n, W), NaN for missing; safe for several threads."""

    def __init__(self, booster: Any) -> None:
        self._booster = booster
        booster.set_param({"nthread": 1})
        self.num_features = int(booster.num_features())
        self._direct = self._prepare()
        self._forest = self._exact_forest()

    def _exact_forest(self) -> Forest | None:
        import xgboost

        forest = forest_of(self._booster)
        if forest is None or not self.num_features:
            return None
        rows = forest.probes(_PROBES, self.num_features)
        wanted = self._booster.predict(xgboost.DMatrix(rows), validate_features=False)
        return forest if np.array_equal(forest.predict(rows), wanted) else None

    def _prepare(self) -> Any:
        """The C function with its fixed arguments, if it answers as ``Booster.predict`` does; else None."""
        import xgboost
        from xgboost import core

        try:
            function = core._LIB.XGBoosterPredictFromDense
            options = {
                "type": 0,
                "training": False,
                "iteration_begin": 0,
                "iteration_end": 0,
                "missing": float("nan"),
                "strict_shape": False,
                "cache_id": 0,
            }
            handle, arguments = self._booster.handle, json.dumps(options).encode()

            def direct(rows: np.ndarray) -> np.ndarray:
                shape = ctypes.POINTER(ctypes.c_uint64)()
                sizes = ctypes.c_uint64()
                answer = ctypes.POINTER(ctypes.c_float)()
                interface = (
                    b'{"data": [%d, true], "strides": null, "descr": [["", "<f4"]], "typestr": "<f4", '
                    b'"shape": [%d, %d], "version": 3}' % (rows.ctypes.data, rows.shape[0], rows.shape[1])
                )
                code = function(
                    handle,
                    interface,
                    arguments,
                    None,
                    ctypes.byref(shape),
                    ctypes.byref(sizes),
                    ctypes.byref(answer),
                )
                if code != 0:
                    raise xgboost.core.XGBoostError(core._LIB.XGBGetLastError().decode())
                found = tuple(shape[at] for at in range(sizes.value))
                count = 1
                for size in found:
                    count *= size
                # xgboost reuses this memory at the next call on this thread.
                return np.frombuffer(ctypes.string_at(answer, count * 4), np.float32).reshape(found)

            rng = np.random.default_rng(0)
            probe = rng.normal(scale=3.0, size=(64, self.num_features)).astype(np.float32)
            probe[rng.random(probe.shape) < 0.1] = np.nan
            wanted = self._booster.predict(xgboost.DMatrix(probe), validate_features=False)
            if np.array_equal(direct(probe), wanted) and np.array_equal(direct(probe[:1]), wanted[:1]):
                return direct
        except (xgboost.core.XGBoostError, AttributeError, OSError):
            pass
        return None

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """(n,) or (n, outputs) float32."""
        if self._forest is not None and len(rows) * self._forest.splits <= _FEW:
            return self._forest.predict(rows)
        if self._direct is not None:
            return np.asarray(self._direct(np.ascontiguousarray(rows, np.float32)))
        import xgboost

        return np.asarray(self._booster.predict(xgboost.DMatrix(rows), validate_features=False))


class BoosterPlan:
    """A booster file as the prebuilt xgboost serving containers answer for it."""

    def __init__(self, booster: Any) -> None:
        self._predictor = BoosterPredictor(booster)
        self.num_features = self._predictor.num_features
        self.feature_names: list[str] | None = list(booster.feature_names) if booster.feature_names else None

    def predict(self, instances: Sequence[Any]) -> list[Any]:
        """``Booster.predict`` of the rows, as JSON values."""
        if not instances:
            return []
        rows = matrix_of(instances, self.num_features, self.feature_names)
        with np.errstate(over="ignore"):
            narrow = rows.astype(np.float32)
        if np.isinf(narrow).any():
            raise InvalidArgument(
                "Numbers must be finite and fit a 32-bit float", given=rows[np.isinf(narrow)][0], do="send null instead"
            )
        found: list[Any] = self._predictor.predict(narrow).tolist()
        return found


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
