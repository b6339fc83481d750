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
from typing import Any

from tule.engines.jail import frames
from tule.engines.jail.confine import JailUnavailable, confine, tie_to_parent
from tule.vertex.endpoints.jail.loaders import LOADERS, prepare
from tule.vertex.endpoints.jail.models import Model, Refused

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


class Worker:
    """Answers the server's requests, one at a time."""

    def __init__(self, layers: list[str], watch: Watch) -> None:
        self._layers = layers
        self._watch = watch
        self._model: Model | None = None
        self._tensors: Any = None

    def answer(self, request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        stage = str(request.get("op"))
        if stage == "load":
            # What a library tries while it is imported (TensorFlow looks for a folder to write to) is not the model's doing.
            prepare(str(request.get("loader")))
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
                case "describe":
                    return self._describe(), b""
                case "columns":
                    return {"ok": True}, self._columns(data)
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
                for name in ("sklearn", "xgboost", "tensorflow", "ai_edge_litert", "onnxruntime", "numpy")
                if name in sys.modules
            },
        }

    def _plan(self) -> tuple[dict[str, Any], bytes]:
        """The model as numbers, so that it need not run here: ``plan`` in the message, the arrays in the bytes."""
        import io

        import numpy

        from tule.learn.runtime.estimators import sklearn_plan

        model = self._loaded()
        if model.form == "booster":
            return {"ok": True, "booster": True}, bytes(model.loaded.save_raw("ubj"))
        found = sklearn_plan(model.loaded) if model.form == "estimator" else None
        if found is None:
            raise Refused("UNIMPLEMENTED", "it is not made of linear models, trees and scalers alone")
        plan = dict(found)
        arrays = plan.pop("arrays")
        packed = io.BytesIO()
        numpy.savez(packed, allow_pickle=False, **arrays)
        return {"ok": True, "plan": plan}, packed.getvalue()

    def _describe(self) -> dict[str, Any]:
        """The inputs and outputs of a model for columns: name, type and shape of each."""
        made = self._loaded().tensors
        if made is None:
            raise Refused("UNIMPLEMENTED", f"a {self._loaded().kind} has no form for columns")
        self._tensors = made()
        return {
            "ok": True,
            "inputs": [each.to_json() for each in self._tensors.inputs],
            "outputs": [each.to_json() for each in self._tensors.outputs],
        }

    def _columns(self, data: bytes) -> bytes:
        """The outputs for a record batch, each an Arrow stream of one batch."""
        import pyarrow as pa

        from tule.vertex.endpoints.jail.tensors import Unfit

        if self._tensors is None:
            self._describe()
        with pa.ipc.open_stream(data) as reader:
            batch = reader.read_next_batch()
        try:
            found = self._tensors.predict(batch)
        except Unfit as error:
            raise Refused("INVALID_ARGUMENT", str(error)) from None
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, found.schema) as writer:
            writer.write_batch(found)
        return bytes(sink.getvalue())

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
            request, sent = frames.read(reader)
            message, data = worker.answer(request, sent)
            frames.write(writer, message, data)
        except frames.Closed:
            return


if __name__ == "__main__":
    main()
