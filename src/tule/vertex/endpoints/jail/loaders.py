"""What a jailed process opens: user models of every framework, each behind one ``predict`` for JSON instances.

The only code of Tule that opens a pickle. It runs in the jail and nowhere else, and imports a framework when a model of
it is opened.
"""

from __future__ import annotations

import contextlib
import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tule.vertex.endpoints.jail import graphs
from tule.vertex.endpoints.jail.models import Model, Refused


def _matrix(rows: list[Any], names: list[str] | None = None) -> Any:
    """Rows as the framework takes them: doubles if all are numbers, else objects; a frame where names are known."""
    import numpy

    try:
        array = numpy.array(rows, dtype=numpy.float64)
    except (TypeError, ValueError):
        array = None
    if names is not None:
        try:
            import pandas
        except ImportError:
            pass
        else:
            # Not copied: a copy lies column by column in memory, and linear models add such a matrix up in another order
            # than the plain array that Google's containers predict with.
            return pandas.DataFrame(array if array is not None else rows, columns=names, copy=False)
    return array if array is not None else numpy.array(rows, dtype=object)


def _unpickled(path: str) -> Any:
    if path.endswith(".joblib"):
        import joblib

        return joblib.load(path)
    import pickle

    with Path(path).open("rb") as file:
        return pickle.load(file)  # noqa: S301 - this is the jail


def _estimator(path: str) -> Model:
    loaded = _unpickled(path)
    if type(loaded).__name__ == "Booster" and type(loaded).__module__.startswith("xgboost"):
        return _booster(loaded)
    if not callable(getattr(loaded, "predict", None)):
        raise Refused(
            "FAILED_PRECONDITION",
            f"The model file must hold an object with a predict method; given: {type(loaded).__module__}."
            f"{type(loaded).__qualname__}. Next: save the fitted estimator itself",
        )
    names = getattr(loaded, "feature_names_in_", None)
    columns = [str(name) for name in names] if names is not None else None
    return Model(loaded, lambda rows: loaded.predict(_matrix(rows, columns)))


def _booster(booster: Any) -> Model:
    import xgboost

    names = booster.feature_names

    def predict(rows: list[Any]) -> Any:
        return booster.predict(xgboost.DMatrix(_matrix(rows), feature_names=names))

    model = Model(booster, predict, form="booster")
    model.num_features = booster.num_features()
    model.feature_names = names
    return model


def _booster_file(path: str) -> Model:
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(path)
    return _booster(booster)


def _bundle(directory: str) -> Model:
    from tule.learn import runtime

    return Model(loaded := runtime.load(Path(directory)), loaded.predict)


LOADERS: dict[str, Callable[[str], Model]] = {
    "pickle": _estimator,
    "booster": _booster_file,
    "saved_model": graphs.saved_model,
    "onnx": graphs.onnx,
    "tflite": graphs.tflite,
    "bundle": _bundle,
}

# The library that a loader opens every file with.
_LIBRARIES = {
    "booster": "xgboost", "saved_model": "tensorflow", "onnx": "onnxruntime", "tflite": "ai_edge_litert.interpreter",
}  # fmt: skip


def prepare(loader: str) -> None:
    """Import the library of a loader; what it raises is raised again when a model is opened."""
    if loader in _LIBRARIES:
        # TensorFlow asks where temporary files go, which is found out by writing one; it may not, and need not.
        tempfile.tempdir = str(Path.cwd())
        with contextlib.suppress(Exception):
            importlib.import_module(_LIBRARIES[loader])
