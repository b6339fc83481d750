"""What a jailed process opens: user models of every framework, each behind one ``predict`` for JSON instances.

The only code of Tule that opens a pickle. It runs in the jail and nowhere else, and imports a framework when a model of
it is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


class Refused(Exception):
    """The model cannot be served; ``code`` is the canonical code the server answers with."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Model:
    """A loaded user model: what it is, and how it predicts.

    ``form`` says what may be taken out of it: ``estimator`` (perhaps arrays), ``booster`` (xgboost's own file), or
    ``graph`` (nothing: it runs here).
    """

    def __init__(self, loaded: Any, predict: Callable[[Any], Any], *, form: str = "estimator", kind: str = "") -> None:
        self.loaded = loaded
        self.form = form
        self.kind = kind or f"{type(loaded).__module__}.{type(loaded).__qualname__}"
        self._predict = predict
        self.rows: Callable[[Sequence[Any]], list[Any]] = self._lists
        names = getattr(loaded, "feature_names_in_", None)
        self.feature_names = [str(name) for name in names] if names is not None else None
        number: Any = getattr(loaded, "n_features_in_", None)
        self.num_features: int | None = int(number) if hasattr(number, "__int__") else None

    def predict(self, instances: Sequence[Any]) -> list[Any]:
        answers = _plain(self._predict(self.rows(instances)))
        if not isinstance(answers, list) or len(answers) != len(instances):
            raise Refused(
                "INTERNAL", f"{self.kind}.predict must answer one value a row; it answered {str(answers)[:200]}"
            )
        return answers

    def _lists(self, instances: Sequence[Any]) -> list[Any]:
        """The instances as lists in the order of the model's features, their number checked."""
        rows: list[Any] = []
        for place, instance in enumerate(instances):
            if isinstance(instance, Mapping):
                instance = self._ordered(instance, place)
            if isinstance(instance, list) and self.num_features is not None and len(instance) != self.num_features:
                raise Refused(
                    "INVALID_ARGUMENT",
                    f"Each instance must have {self.num_features} features; given: {len(instance)} in instance {place}",
                )
            rows.append(instance)
        return rows

    def _ordered(self, instance: Mapping[str, Any], place: int) -> list[Any]:
        if self.feature_names is None:
            raise Refused(
                "INVALID_ARGUMENT",
                "This model does not know its feature names, so an instance must be a list; given: an object in "
                f"instance {place}. Next: send the values in training order",
            )
        missing = [name for name in self.feature_names if name not in instance]
        unknown = [name for name in instance if name not in self.feature_names]
        if missing or unknown:
            raise Refused(
                "INVALID_ARGUMENT",
                f"An instance must have exactly the model's features; given: instance {place}"
                + (f" without {', '.join(missing)}" if missing else "")
                + (f" with unknown {', '.join(unknown)}" if unknown else ""),
            )
        return [instance[name] for name in self.feature_names]


def _plain(value: Any) -> Any:
    """NumPy, pandas and sparse results as JSON values."""
    if hasattr(value, "toarray"):
        value = value.toarray()
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


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


def _saved_model(directory: str) -> Model:
    """A TensorFlow SavedModel, answered as TensorFlow Serving's row format does."""
    import base64

    import tensorflow  # type: ignore[import-untyped, import-not-found, unused-ignore]

    loaded = tensorflow.saved_model.load(directory)
    signature = loaded.signatures.get("serving_default")
    if signature is None:
        raise Refused("FAILED_PRECONDITION", "The SavedModel must have a serving_default signature; given: none")
    inputs = signature.structured_input_signature[1]

    def decoded(value: Any) -> Any:
        if isinstance(value, Mapping) and set(value) == {"b64"}:
            return base64.b64decode(value["b64"])
        return [decoded(item) for item in value] if isinstance(value, list) else value

    def predict(rows: list[Any]) -> Any:
        if len(inputs) == 1:
            (name,) = inputs
            columns = {name: [row[name] if isinstance(row, Mapping) and name in row else row for row in rows]}
        else:
            columns = {name: [row[name] for row in rows] for name in inputs}
        tensors = {
            name: tensorflow.constant(decoded(values), dtype=inputs[name].dtype) for name, values in columns.items()
        }
        outputs = {name: _plain(tensor.numpy()) for name, tensor in signature(**tensors).items()}
        if len(outputs) == 1:
            return next(iter(outputs.values()))
        return [dict(zip(outputs, values, strict=True)) for values in zip(*outputs.values(), strict=True)]

    return _graph(loaded, predict, "TensorFlow SavedModel")


# Tensor types of ONNX and what NumPy calls them.
_ONNX_TYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16", "tensor(int64)": "int64",
    "tensor(int32)": "int32", "tensor(int16)": "int16", "tensor(int8)": "int8", "tensor(uint8)": "uint8",
    "tensor(bool)": "bool", "tensor(string)": "object",
}  # fmt: skip


def _onnx(path: str) -> Model:
    """An ONNX graph: an instance is an object by input name, or the value itself where there is one input."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    outputs = [each.name for each in session.get_outputs()]
    foreign = [f"{each.name}: {each.type}" for each in inputs if each.type not in _ONNX_TYPES]
    if foreign:
        raise Refused(
            "FAILED_PRECONDITION",
            f"An ONNX graph must take tensors of {', '.join(_ONNX_TYPES)}; given: {', '.join(foreign)}",
        )

    def predict(rows: list[Any]) -> Any:
        columns = _columns(rows, [each.name for each in inputs])
        feeds = {each.name: _tensor(columns[each.name], each) for each in inputs}
        found = [_plain(answer) for answer in session.run(None, feeds)]
        if len(outputs) == 1:
            return found[0]
        if any(not isinstance(answer, list) or len(answer) != len(rows) for answer in found):
            raise Refused("FAILED_PRECONDITION", "An ONNX graph must answer one value a row in each of its outputs")
        return [dict(zip(outputs, values, strict=True)) for values in zip(*found, strict=True)]

    return _graph(session, predict, "ONNX graph")


def _columns(rows: list[Any], names: list[str]) -> dict[str, list[Any]]:
    """The values of each input, one a row."""
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            if len(names) != 1:
                raise Refused(
                    "INVALID_ARGUMENT",
                    f"An instance must be an object with the inputs {', '.join(names)}; given: "
                    f"{type(row).__name__} in instance {place}",
                )
            row = {names[0]: row}
        if set(row) != set(names):
            raise Refused(
                "INVALID_ARGUMENT",
                f"An instance must have exactly the inputs {', '.join(names)}; given: "
                f"{', '.join(map(str, row)) or 'none'} in instance {place}",
            )
        for name in names:
            columns[name].append(row[name])
    return columns


def _tensor(values: list[Any], about: Any) -> Any:
    """One input of a graph as an array of its type and rank; a scalar a row fills a column."""
    import numpy

    try:
        array = numpy.array(values, dtype=_ONNX_TYPES[about.type])
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused(
            "INVALID_ARGUMENT", f"Input {about.name} must be {about.type} of one shape; given: {error}"
        ) from None
    wanted = list(about.shape)
    if array.ndim == 1 and len(wanted) == 2:
        array = array.reshape(-1, 1)
    fits = len(wanted) == array.ndim and all(
        not isinstance(size, int) or size == given for size, given in zip(wanted[1:], array.shape[1:], strict=True)
    )
    if not fits:
        raise Refused(
            "INVALID_ARGUMENT",
            f"Input {about.name} must have the shape {wanted[1:]} in each instance; given: {list(array.shape[1:])}",
        )
    return array


def _graph(loaded: Any, predict: Callable[[Any], Any], kind: str) -> Model:
    """A model that reads its instances itself."""
    model = Model(loaded, predict, form="graph", kind=kind)
    model.num_features = None
    model.rows = list
    return model


def _bundle(directory: str) -> Model:
    from tule.learn import runtime

    return Model(loaded := runtime.load(Path(directory)), loaded.predict)


LOADERS: dict[str, Callable[[str], Model]] = {
    "pickle": _estimator,
    "booster": _booster_file,
    "saved_model": _saved_model,
    "onnx": _onnx,
    "bundle": _bundle,
}
