"""The C function under xgboost's ``inplace_predict``, called with prepared arguments.

xgboost makes a proxy matrix for each call, and asks the machine's files how many processors there are while it does;
here each thread has one proxy and uses it again. ``Booster.inplace_predict`` has no way to say so.
"""

from __future__ import annotations

import ctypes
import json
import threading
from typing import Any

import numpy as np


class DensePredictor:
    """Predicts from float32 (n, W), NaN for missing. Safe for several threads.

    Raises AttributeError or XGBoostError, when it is made, for an xgboost whose functions are others.
    """

    def __init__(self, booster: Any) -> None:
        from xgboost import core

        self._booster = booster
        self._library = core._LIB
        self._function = self._library.XGBoosterPredictFromDense
        self._error = core.XGBoostError
        options = {
            "type": 0, "training": False, "iteration_begin": 0, "iteration_end": 0, "missing": float("nan"),
            "strict_shape": False, "cache_id": 0,
        }  # fmt: skip
        self._options = json.dumps(options).encode()
        self._threads = threading.local()
        _ = self._slot

    @property
    def _slot(self) -> _Slot:
        found: _Slot | None = getattr(self._threads, "slot", None)
        if found is None:
            found = self._threads.slot = _Slot(self._library)
        return found

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """(n,) or (n, outputs) float32."""
        rows = np.ascontiguousarray(rows, np.float32)
        slot = self._slot
        interface = (
            b'{"data": [%d, true], "strides": null, "descr": [["", "<f4"]], "typestr": "<f4", '
            b'"shape": [%d, %d], "version": 3}' % (rows.ctypes.data, rows.shape[0], rows.shape[1])
        )
        code = self._function(self._booster.handle, interface, self._options, slot.proxy, *slot.outputs)
        if code != 0:
            raise self._error(self._library.XGBGetLastError().decode())
        shape = tuple(slot.shape[at] for at in range(slot.sizes.value))
        # xgboost reuses the answer's memory at the next call on this thread.
        answer = ctypes.string_at(slot.answer, 4 * int(np.prod(shape)))
        return np.frombuffer(answer, np.float32).reshape(shape)


class _Slot:
    """What one thread hands to xgboost: a proxy matrix and the places for the answer."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self.proxy = ctypes.c_void_p()
        if library.XGProxyDMatrixCreate(ctypes.byref(self.proxy)) != 0:
            raise AttributeError(library.XGBGetLastError().decode())
        self.shape = ctypes.POINTER(ctypes.c_uint64)()
        self.sizes = ctypes.c_uint64()
        self.answer = ctypes.POINTER(ctypes.c_float)()
        self.outputs = (ctypes.byref(self.shape), ctypes.byref(self.sizes), ctypes.byref(self.answer))

    def __del__(self) -> None:
        if self.proxy:
            self._library.XGDMatrixFree(self.proxy)
