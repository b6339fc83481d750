"""Graphs of tensors in the jail: ONNX, TensorFlow SavedModel and TensorFlow Lite, each for JSON instances and for columns.

A graph carries no Python but is a program all the same: it may loop and allocate as it likes, and a native library reads
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tule.vertex.endpoints.jail.models import Model, Refused, plain


def onnx(path: str) -> Model:
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
        found = [plain(answer) for answer in session.run(None, feeds)]
        if len(outputs) == 1:
            return found[0]
        if any(not isinstance(answer, list) or len(answer) != len(rows) for answer in found):
            raise Refused("FAILED_PRECONDITION", "An ONNX graph must answer one value a row in each of its outputs")
        return [dict(zip(outputs, values, strict=True)) for values in zip(*found, strict=True)]

    def tensors() -> Any:
        from tule.vertex.endpoints.jail.tensors import Tensors

        return Tensors(
            [_described(each) for each in inputs],
            [_described(each) for each in session.get_outputs()],
            lambda feeds: session.run(None, dict(feeds)),
        )

    return _graph(session, predict, "ONNX graph", tensors)


# Tensor types of ONNX and what NumPy calls them.
_ONNX_TYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16", "tensor(int64)": "int64",
    "tensor(int32)": "int32", "tensor(int16)": "int16", "tensor(int8)": "int8", "tensor(uint8)": "uint8",
    "tensor(bool)": "bool", "tensor(string)": "object",
}  # fmt: skip
_ONNX_ANSWERS = {**_ONNX_TYPES, "tensor(uint16)": "uint16", "tensor(uint32)": "uint32", "tensor(uint64)": "uint64"}


def _described(about: Any) -> Any:
    """An input or output of an ONNX graph."""
    from tule.vertex.endpoints.jail.tensors import Tensor

    if about.type not in _ONNX_ANSWERS:
        raise Refused(
            "FAILED_PRECONDITION",
            f"The inputs and outputs of an ONNX graph must be tensors of numbers or texts; given: {about.name}, "
            f"{about.type}. Next: convert the model so that it answers tensors (with skl2onnx: zipmap=False)",
        )
    dtype = _ONNX_ANSWERS[about.type]
    return Tensor(about.name, "str" if dtype == "object" else dtype, *_sizes(about.name, about.shape))


def _sizes(name: str, shape: Sequence[Any]) -> tuple[tuple[int | None, ...], int | None]:
    """The sizes beside that of rows, and how many rows at once; what is not a size stands for any."""
    if not len(shape):
        raise Refused(
            "FAILED_PRECONDITION", f"A tensor's first dimension must count rows; given: {name}, which has no dimension"
        )
    sizes = [each if isinstance(each, int) and each > 0 else None for each in shape]
    return tuple(sizes[1:]), sizes[0]


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


def saved_model(directory: str) -> Model:
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
        made = {
            name: tensorflow.constant(decoded(values), dtype=inputs[name].dtype) for name, values in columns.items()
        }
        outputs = {name: plain(tensor.numpy()) for name, tensor in signature(**made).items()}
        if len(outputs) == 1:
            return next(iter(outputs.values()))
        return [dict(zip(outputs, values, strict=True)) for values in zip(*outputs.values(), strict=True)]

    def tensors() -> Any:
        from tule.vertex.endpoints.jail.tensors import Tensors

        answers = signature.structured_outputs

        def run(feeds: Mapping[str, Any]) -> list[Any]:
            made = {name: tensorflow.constant(values, dtype=inputs[name].dtype) for name, values in feeds.items()}
            found = signature(**made)
            return [found[name].numpy() for name in answers]

        return Tensors(
            [_of_tensorflow(name, spec) for name, spec in inputs.items()],
            [_of_tensorflow(name, spec) for name, spec in answers.items()],
            run,
        )

    return _graph(loaded, predict, "TensorFlow SavedModel", tensors)


def _of_tensorflow(name: str, spec: Any) -> Any:
    from tule.vertex.endpoints.jail.tensors import Tensor

    if type(spec).__name__ != "TensorSpec" or spec.shape.rank is None:
        raise Refused(
            "FAILED_PRECONDITION",
            f"The inputs and outputs of a SavedModel must be dense tensors of a known rank; given: {name}, {spec}",
        )
    dtype = "str" if spec.dtype.name == "string" else spec.dtype.name
    return Tensor(name, dtype, *_sizes(name, spec.shape.as_list()))


def tflite(path: str) -> Model:
    """A TensorFlow Lite flatbuffer."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    signatures = interpreter.get_signature_list()
    names = _signature_names(interpreter, signatures)
    details = interpreter.get_input_details()

    def run(feeds: Mapping[str, Any]) -> list[Any]:
        import numpy

        for each in details:
            values = feeds[names.get(each["index"], each["name"])]
            if each["dtype"] is numpy.bytes_ or each["dtype"] is numpy.object_:
                values = numpy.array([str(item).encode() for item in values.reshape(-1)], object).reshape(values.shape)
            if list(values.shape) != list(interpreter.get_tensor(each["index"]).shape):
                interpreter.resize_tensor_input(each["index"], list(values.shape))
        interpreter.allocate_tensors()
        for each in details:
            interpreter.set_tensor(each["index"], feeds[names.get(each["index"], each["name"])])
        interpreter.invoke()
        return [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]

    def tensors() -> Any:
        from tule.vertex.endpoints.jail.tensors import Tensors

        return Tensors(
            [_of_lite(names.get(each["index"], each["name"]), each) for each in details],
            [_of_lite(names.get(each["index"], each["name"]), each) for each in interpreter.get_output_details()],
            run,
        )

    interpreter.allocate_tensors()
    made = tensors()

    def predict(rows: list[Any]) -> Any:
        import numpy

        columns = _columns(rows, [each.name for each in made.inputs])
        feeds = {each.name: numpy.array(columns[each.name], dtype=each.dtype) for each in made.inputs}
        found = [plain(answer) for answer in run(feeds)]
        outputs = [each.name for each in made.outputs]
        if len(outputs) == 1:
            return found[0]
        return [dict(zip(outputs, values, strict=True)) for values in zip(*found, strict=True)]

    return _graph(interpreter, predict, "TensorFlow Lite graph", lambda: made)


def _signature_names(interpreter: Any, signatures: Mapping[str, Any]) -> dict[int, str]:
    """The names that the model's one signature gives to tensors, by their index; none without one."""
    if len(signatures) != 1:
        return {}
    (key,) = signatures
    runner = interpreter.get_signature_runner(key)
    found = {about["index"]: name for name, about in runner.get_input_details().items()}
    return found | {about["index"]: name for name, about in runner.get_output_details().items()}


def _of_lite(name: str, about: Mapping[str, Any]) -> Any:
    import numpy

    from tule.vertex.endpoints.jail.tensors import Tensor

    if about["quantization"][0]:
        raise Refused(
            "FAILED_PRECONDITION",
            f"The inputs and outputs of a TensorFlow Lite graph must be plain numbers; given: {name}, quantized. Next: "
            "convert the model with floating-point inputs and outputs",
        )
    dtype = "str" if about["dtype"] in (numpy.bytes_, numpy.object_) else numpy.dtype(about["dtype"]).name
    shape = about["shape_signature"] if len(about["shape_signature"]) else about["shape"]
    sizes = [int(each) for each in shape]
    # A first size of 1 stands for one example: it can be made larger.
    return Tensor(name, dtype, _sizes(name, sizes)[0], None if sizes[0] in (1, -1) else sizes[0])


def _graph(loaded: Any, predict: Callable[[Any], Any], kind: str, tensors: Callable[[], Any]) -> Model:
    """A model that reads its instances itself."""
    model = Model(loaded, predict, form="graph", kind=kind)
    model.num_features = None
    model.rows = list
    model.tensors = tensors
    return model
