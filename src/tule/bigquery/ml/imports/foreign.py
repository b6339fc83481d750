"""Models that this room only asks, as the functions see them: their columns, and who answers."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from tule.bigquery.ml.imports.files import FOLDER
from tule.bigquery.ml.imports.ports import Endpoints, ForeignModels
from tule.bigquery.ml.options import ModelOptions
from tule.bigquery.ml.options.model_types import ONNX, REMOTE, TENSORFLOW, TENSORFLOW_LITE, XGBOOST
from tule.kernel.errors import InvalidArgument, TuleError, Unimplemented
from tule.learn.metrics import Evaluator
from tule.learn.models.base import Importance, Model, Parts, Rows
from tule.learn.schema import Field, Signature

FORMATS = {ONNX: "onnx", TENSORFLOW: "saved_model", TENSORFLOW_LITE: "tflite", XGBOOST: "booster"}
STATUS = "remote_model_status"
_SCALARS = {"INT64": pa.int64(), "FLOAT64": pa.float64(), "BOOL": pa.bool_(), "STRING": pa.string()}
# Instances of one request to an endpoint.
_AT_ONCE = 1024


@dataclass(frozen=True)
class Column:
    """One column of a model's own: ``kind`` is a GoogleSQL type of one value, ``size`` how many an array of them has.

    ``size`` None: no array. 0: an array of any size. ``single``: an array of one value may come as the value.
    """

    name: str
    kind: str
    size: int | None = None
    single: bool = False

    @property
    def type(self) -> pa.DataType:
        scalar = _SCALARS[self.kind]
        return scalar if self.size is None else pa.list_(scalar)

    def to_json(self) -> list[Any]:
        return [self.name, self.kind, self.size, self.single]

    @classmethod
    def of_input(cls, name: str, kind: str, shape: Sequence[int | None]) -> Column:
        """A tensor that a model reads: one value a row where it holds one."""
        if list(shape) in ([], [1]):
            return cls(name, kind, None, bool(shape))
        return cls(name, kind, 0 if None in shape else int(np.prod(shape)))  # type: ignore[arg-type]

    @classmethod
    def of_output(cls, name: str, kind: str, shape: Sequence[int | None]) -> Column:
        """A tensor that a model answers: an array wherever it has more than the dimension of rows."""
        return cls(name, kind, None if not shape else 0)

    def takes(self, kind: pa.DataType) -> bool:
        """Whether values of a column's type can be those of this one."""
        if pa.types.is_list(kind):
            return (self.size is not None or self.single) and self._takes_one(kind.value_type)
        return self.size is None and self._takes_one(kind)

    def _takes_one(self, kind: pa.DataType) -> bool:
        if self.kind == "STRING":
            return bool(pa.types.is_string(kind))
        if self.kind == "BOOL":
            return bool(pa.types.is_boolean(kind))
        whole = pa.types.is_integer(kind)
        return bool(whole or (self.kind == "FLOAT64" and (pa.types.is_floating(kind) or pa.types.is_decimal(kind))))

    @property
    def words(self) -> str:
        if self.size is None:
            return self.kind
        return f"ARRAY<{self.kind}>" + (f" of {self.size} values" if self.size else "")


class ForeignModel(Model):
    """A model that was not trained here. ``path``: the gs:// address or the endpoint that it came from."""

    def __init__(self, inputs: Sequence[Column], outputs: Sequence[Column], path: str) -> None:
        self.reads = list(inputs)
        self.path = path
        fields = [tuple(Field(each.name, each.type) for each in columns) for columns in (inputs, outputs)]
        super().__init__(
            {
                "signature": Signature(fields[0], None, fields[1]),
                "options": {},
                "classes": None,
                "iterations": [],
                "statistics": [],
                "num_rows": 0,
                "skipped_rows": 0,
                "notes": [],
            }
        )

    @property
    def features(self) -> list[str]:
        return list(self.signature.input_names)

    @abstractmethod
    def answer(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """The columns of ``signature.outputs`` for a batch with a column for each input."""

    def check_inputs(self, given: pa.Schema) -> None:
        """InvalidArgument where a column has a type that the model cannot read."""
        for each in self.reads:
            if each.name in given.names and not each.takes(given.field(each.name).type):
                from tule.bigquery.ml.inputs import words

                raise InvalidArgument(
                    f"The column {each.name} must be of the type that the model reads, {each.words}",
                    given=words(given.field(each.name).type), do="cast it in the query",
                    reason="invalidQuery", location="query",
                )  # fmt: skip

    def predict(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        raise Unimplemented("A model that was not trained here answers batches of its own columns", do="use ML.PREDICT")

    def evaluator(self, threshold: float) -> Evaluator:
        raise Unimplemented("A model that was not trained here has no metrics", do="evaluate a trained model")

    def to_parts(self) -> Parts:
        raise Unimplemented("A model that was not trained here is no bundle", do="export it")

    @classmethod
    def from_parts(cls, common: Mapping[str, Any], parts: Parts) -> Self:
        raise Unimplemented("A model that was not trained here is no bundle", do="create it again")


class GraphModel(ForeignModel):
    """An ONNX, TensorFlow or TensorFlow Lite graph, run in jailed workers."""

    family = "imported"

    def __init__(
        self, inputs: Sequence[Column], outputs: Sequence[Column], path: str, format: str, directory: Path, file: Path,
        foreign: Callable[[], ForeignModels],
    ) -> None:  # fmt: skip
        super().__init__(inputs, outputs, path)
        self._format, self.folder, self._file, self._foreign = format, directory, file, foreign

    def answer(self, batch: pa.RecordBatch) -> list[pa.Array]:
        columns = [batch.column(each.name) for each in self.reads]
        sent = pa.RecordBatch.from_arrays([_plain(each) for each in columns], names=self.features)
        found = self._foreign().predict(self._format, self.folder, self._file, sent)
        return [found.column(each.name) for each in self.signature.outputs]


class BoosterModel(ForeignModel):
    """An XGBoost file: data only, asked in the server."""

    family = "imported"

    def __init__(self, inputs: Sequence[Column], outputs: Sequence[Column], path: str, file: Path) -> None:
        from tule.learn.runtime.boosters import compile_booster

        super().__init__(inputs, outputs, path)
        self.booster = compile_booster(file)

    def answer(self, batch: pa.RecordBatch) -> list[pa.Array]:
        found = self.booster.predict_columns([batch.column(each.name) for each in self.reads])
        (output,) = self.signature.outputs
        values = found.astype(np.float64).reshape(-1)
        if found.ndim == 1 and not pa.types.is_list(output.type):
            return [pa.array(values).cast(output.type)]
        size = found.shape[1] if found.ndim == 2 else 1
        offsets = pa.array(np.arange(len(found) + 1, dtype=np.int32) * size)
        return [pa.ListArray.from_arrays(offsets, pa.array(values).cast(output.type.value_type))]

    def importance(self) -> list[Importance]:
        return self.booster.importance(self.features)


class RemoteModel(ForeignModel):
    """A Vertex AI endpoint. Each row says how its request went: an empty text where it went well."""

    family = "remote"

    def __init__(
        self, inputs: Sequence[Column], outputs: Sequence[Column], path: str, endpoint: str, connection: str,
        endpoints: Callable[[], Endpoints],
    ) -> None:  # fmt: skip
        super().__init__(inputs, [*outputs, Column(STATUS, "STRING")], path)
        self.endpoint, self.connection = endpoint, connection
        """Resource names; the connection must still be there, and be the caller's to use."""
        self._answers = list(outputs)
        self._endpoints = endpoints

    def answer(self, batch: pa.RecordBatch) -> list[pa.Array]:
        instances = batch.select(self.features).to_pylist()
        found: list[tuple[Any, str]] = []
        for start in range(0, len(instances), _AT_ONCE):
            found += self._asked(instances[start : start + _AT_ONCE])
        rows = [self._read(answer, status) for answer, status in found]
        return [
            pa.array([row[at] for row in rows], field.type) for at, field in enumerate(self.signature.outputs)
        ]  # fmt: skip

    def _asked(self, instances: list[Any]) -> list[tuple[Any, str]]:
        """An answer and a status for each instance: one that is wrong does not fail those beside it."""
        try:
            answers, _ = self._endpoints().predict(self.endpoint, instances)
        except InvalidArgument as error:
            if len(instances) > 1:
                half = len(instances) // 2
                return self._asked(instances[:half]) + self._asked(instances[half:])
            return [(None, f"{error.code}: {error.message}")]
        except TuleError as error:
            return [(None, f"{error.code}: {error.message}")] * len(instances)
        return [(each, "") for each in answers]

    def _read(self, answer: Any, status: str) -> list[Any]:
        """The values of OUTPUT and the status, of one answer."""
        if status:
            return [None] * len(self._answers) + [status]
        values: list[Any] = []
        for each in self._answers:
            try:
                values.append(_read_value(_entry(answer, each.name, len(self._answers)), each))
            except (TypeError, ValueError, KeyError) as error:
                problem = f"INVALID_ARGUMENT: the endpoint's answer has no {each.name} of type {each.words}: {error}"
                return [None] * len(self._answers) + [problem]
        return [*values, ""]


def _entry(answer: Any, name: str, outputs: int) -> Any:
    """The value of one output: by its name, or the answer itself where there is one output and no names."""
    if isinstance(answer, dict):
        if name in answer:
            return answer[name]
        if outputs == 1 and len(answer) == 1:
            return next(iter(answer.values()))
        raise KeyError(f"it has {', '.join(answer) or 'nothing'}")
    if outputs > 1:
        raise TypeError("it is no object")
    return answer


def _read_value(value: Any, column: Column) -> Any:
    if value is None:
        return None
    if column.size is not None:
        return [_read_one(each, column.kind) for each in (value if isinstance(value, list) else [value])]
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return _read_one(value, column.kind)


def _read_one(value: Any, kind: str) -> Any:
    match kind:
        case "STRING":
            return value if isinstance(value, str) else json.dumps(value)
        case "BOOL" if isinstance(value, bool):
            return value
        case "INT64" if isinstance(value, int | float | str) and not isinstance(value, bool):
            if float(value) != int(value):
                raise ValueError(f"{value} is no whole number")
            return int(value)
        case "FLOAT64" if isinstance(value, int | float | str) and not isinstance(value, bool):
            return float(value)
    raise TypeError(f"it is {str(value)[:100]}")


def _plain(column: pa.Array) -> pa.Array:
    """A column without types that a tensor does not know."""
    if pa.types.is_decimal(column.type):
        return column.cast(pa.float64())
    if pa.types.is_list(column.type) and pa.types.is_decimal(column.type.value_type):
        return column.cast(pa.list_(pa.float64()))
    return column


def manifest_of(model: ForeignModel, options: ModelOptions, file: str = "") -> dict[str, Any]:
    """What a bundle keeps of a model that was not trained here."""
    outputs = [each for each in _outputs(model) if each.name != STATUS or options.model_type != REMOTE]
    made = {
        "options": {
            "model_type": options.model_type,
            "values": dict(options.values),
            "given": sorted(options.given),
        },
        "inputs": [each.to_json() for each in model.reads],
        "outputs": [each.to_json() for each in outputs],
        "path": model.path,
        "file": file,
    }
    if isinstance(model, RemoteModel):
        made |= {"endpoint": model.endpoint, "connection": model.connection}
    return made


def _outputs(model: ForeignModel) -> list[Column]:
    kinds = {kind: name for name, kind in _SCALARS.items()}
    return [
        Column(each.name, kinds[each.type.value_type], 0)
        if pa.types.is_list(each.type)
        else Column(each.name, kinds[each.type])
        for each in model.signature.outputs
    ]


def opened(
    about: Mapping[str, Any],
    options: ModelOptions,
    directory: Path,
    foreign: Callable[[], ForeignModels],
    endpoints: Callable[[], Endpoints],
) -> ForeignModel:
    """The model of a manifest whose files lie in ``directory``."""
    inputs, outputs = ([Column(*each) for each in about[key]] for key in ("inputs", "outputs"))
    if options.model_type == REMOTE:
        return RemoteModel(inputs, outputs, about["path"], about["endpoint"], about["connection"], endpoints)
    file = directory / FOLDER / about["file"]
    if options.model_type == XGBOOST:
        return BoosterModel(inputs, outputs, about["path"], file)
    format = FORMATS[options.model_type]
    path = file.parent if format == "saved_model" else file
    return GraphModel(inputs, outputs, about["path"], format, directory / FOLDER, path, foreign)
