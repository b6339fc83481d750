"""The program of a jailed process: opens one user model and predicts with it until the server hangs up.

Run as ``python -m tule.vertex.endpoints.jail.worker PARENT READ WRITE MEMORY DIRECTORY``: the server's process id, two
pipe handles, bytes of address space, the model's folder. The order matters: tie to the parent, lock in, only then
import anything large, and only after the first frame open the model.

The system call filter is what stops a model; the audit hook here only remembers what it tried, so that the error can
name it. A model that tries something forbidden while it is loaded is refused even if it swallowed the refusal.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tule.vertex.endpoints.jail import frames
from tule.vertex.endpoints.jail.confine import JailUnavailable, confine, tie_to_parent

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NETWORK = (
    "socket.__new__", "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
    "socket.gethostbyname", "socket.gethostbyaddr", "urllib.Request",
)  # fmt: skip
_PROCESSES = (
    "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "pty.spawn",
)  # fmt: skip
_FILES = (
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "shutil.rmtree", "shutil.move", "shutil.copyfile", "tempfile.mkstemp", "tempfile.mkdtemp",
)  # fmt: skip
FORBIDDEN = {
    **dict.fromkeys(_NETWORK, "open a socket"),
    **dict.fromkeys(_PROCESSES, "start a process"),
    **dict.fromkeys(_FILES, "change files"),
    "os.kill": "signal a process",
    "os.killpg": "signal a process",
}


class Watch:
    """Remembers the forbidden things that Python code tried (https://peps.python.org/pep-0578/)."""

    def __init__(self) -> None:
        self.tried: list[dict[str, str]] = []
        self.on = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or len(self.tried) >= 20:
            return
        what = FORBIDDEN.get(event)
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITING and path != os.devnull:
                what = "write a file"
        if what is not None:
            self.on = False  # repr may itself raise events
            shown = ", ".join(repr(value)[:120] for value in arguments[:3])
            self.tried.append({"what": what, "evidence": f"{event}({shown})"})
            self.on = True


class Refused(Exception):
    """The model cannot be served; ``code`` is the canonical code the server answers with."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Model:
    """A loaded user model: what it is, and how it predicts."""

    def __init__(self, loaded: Any, predict: Callable[[Any], Any]) -> None:
        self.loaded = loaded
        self.kind = f"{type(loaded).__module__}.{type(loaded).__qualname__}"
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
            return pandas.DataFrame(array if array is not None else rows, columns=names)
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

    model = Model(booster, predict)
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

    model = Model(loaded, predict)
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
    "bundle": _bundle,
}


class Worker:
    """Answers the server's requests, one at a time."""

    def __init__(self, layers: list[str], watch: Watch) -> None:
        self._layers = layers
        self._watch = watch
        self._model: Model | None = None

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        stage = str(request.get("op"))
        self._watch.tried.clear()
        self._watch.on = True
        try:
            match stage:
                case "load":
                    return self._load(request), b""
                case "plan":
                    return self._plan()
                case "predict":
                    return {"ok": True, "predictions": self._loaded().predict(request["instances"])}, b""
            raise Refused("INTERNAL", f"no operation {stage}")
        except BaseException as error:  # a model may raise SystemExit; whatever it raises is its answer
            self._watch.on = False
            return self._failure(stage, error), b""
        finally:
            self._watch.on = False

    def _loaded(self) -> Model:
        if self._model is None:
            raise Refused("INTERNAL", "no model is loaded")
        return self._model

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            self._model = LOADERS[request["loader"]](request["path"])
        if self._watch.tried:
            raise Refused("FAILED_PRECONDITION", "the model tried what a model may not do")
        return {
            "ok": True,
            "layers": self._layers,
            "kind": self._model.kind,
            "num_features": self._model.num_features,
            "feature_names": self._model.feature_names,
            "warnings": [f"{item.category.__name__}: {item.message}"[:1000] for item in seen][:20],
            "versions": {
                name: str(getattr(sys.modules[name], "__version__", ""))
                for name in ("sklearn", "xgboost", "tensorflow", "numpy")
                if name in sys.modules
            },
        }

    def _plan(self) -> tuple[dict[str, Any], bytes]:
        """The model as numbers, so that it need not run here: ``plan`` in the message, the arrays in the bytes."""
        import io

        import numpy

        from tule.learn.runtime.estimators import sklearn_plan

        model = self._loaded()
        if model.kind.startswith("xgboost.") and model.kind.endswith(".Booster"):
            return {"ok": True, "booster": True}, bytes(model.loaded.save_raw("ubj"))
        found = sklearn_plan(model.loaded)
        if found is None:
            raise Refused("UNIMPLEMENTED", "it is not made of linear models, trees and scalers alone")
        plan = dict(found)
        arrays = plan.pop("arrays")
        packed = io.BytesIO()
        numpy.savez(packed, allow_pickle=False, **arrays)
        return {"ok": True, "plan": plan}, packed.getvalue()

    def _failure(self, stage: str, error: BaseException) -> dict[str, Any]:
        lines = traceback.format_exception(error)
        return {
            "ok": False,
            "stage": stage,
            "code": error.code if isinstance(error, Refused) else None,
            "error": str(error)[:4000] if isinstance(error, Refused) else f"{type(error).__name__}: {error}"[:4000],
            "trace": "".join(lines)[-8000:],
            "tried": list(self._watch.tried),
        }


def main() -> None:
    parent, reader, writer, memory = map(int, sys.argv[1:5])
    directory = sys.argv[5]
    tie_to_parent(parent)
    try:
        layers = confine(readable=[directory], memory=memory)
    except (JailUnavailable, OSError) as error:
        frames.write(writer, {"ok": False, "stage": "jail", "error": str(error)})
        return
    watch = Watch()
    sys.addaudithook(watch)
    worker = Worker(layers, watch)
    frames.write(writer, {"ok": True, "layers": layers})
    while True:
        try:
            request, _ = frames.read(reader)
            message, data = worker.answer(request)
            frames.write(writer, message, data)
        except frames.Closed:
            return


if __name__ == "__main__":
    main()
